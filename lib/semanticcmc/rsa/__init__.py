"""Representational dissimilarity matrices, semantic models, permutation tests; takes paths and arrays."""
