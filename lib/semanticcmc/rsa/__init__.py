"""Representational dissimilarity matrices, semantic models, permutation tests; takes paths and arrays.

Needs torch (which computes, on the CPU too), NumPy and SciPy; pandas is imported by what reads or returns tables,
numba and nltk where they are installed.
"""

from semanticcmc.rsa.bootstrap import bootstrap_intervals, compare
from semanticcmc.rsa.mantel import MantelResult, mantel, mantel_table, partial_mantel
from semanticcmc.rsa.permutation import holm, permutations_for_family
from semanticcmc.rsa.rdm import RDM, align, from_class_means, read_rdms, write_rdms
from semanticcmc.rsa.reliability import reliability_table
from semanticcmc.rsa.semantics import (
    categories,
    category_rdm,
    lch_rdm,
    lch_similarities,
    model_rdm,
    path_rdm,
    read_matrix,
    wu_palmer_rdm,
    wu_palmer_similarities,
)
from semanticcmc.rsa.wordnet import Taxonomy, read_taxonomy

__all__ = [
    "RDM",
    "MantelResult",
    "Taxonomy",
    "align",
    "bootstrap_intervals",
    "categories",
    "category_rdm",
    "compare",
    "from_class_means",
    "holm",
    "lch_rdm",
    "lch_similarities",
    "mantel",
    "mantel_table",
    "model_rdm",
    "partial_mantel",
    "path_rdm",
    "permutations_for_family",
    "read_matrix",
    "read_rdms",
    "read_taxonomy",
    "reliability_table",
    "write_rdms",
    "wu_palmer_rdm",
    "wu_palmer_similarities",
]
