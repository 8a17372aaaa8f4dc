"""Representational dissimilarity matrices, semantic models, permutation tests; takes paths and arrays.

Needs torch (which computes, on the CPU too), NumPy and SciPy. What reads or returns tables imports pandas; numba, nltk
and threadpoolctl are used where they are installed. `semanticcmc.rsa.mantel` is the function; its module's other names
come by ``from semanticcmc.rsa.mantel import ...``.
"""

from semanticcmc.rsa.bootstrap import compare
from semanticcmc.rsa.mantel import MantelResult, mantel, mantel_table, partial_mantel
from semanticcmc.rsa.permutation import holm
from semanticcmc.rsa.rdm import RDM, align, from_class_means, read_rdms, write_rdms
from semanticcmc.rsa.regression import cka, commonality
from semanticcmc.rsa.reliability import reliability_table
from semanticcmc.rsa.semantics import categories, category_rdm, lch_rdm, model_rdm, path_rdm, wu_palmer_rdm

__all__ = [
    "RDM",
    "MantelResult",
    "align",
    "categories",
    "category_rdm",
    "cka",
    "commonality",
    "compare",
    "from_class_means",
    "holm",
    "lch_rdm",
    "mantel",
    "mantel_table",
    "model_rdm",
    "partial_mantel",
    "path_rdm",
    "read_rdms",
    "reliability_table",
    "write_rdms",
    "wu_palmer_rdm",
]
