"""Semantic models of classes: similarities in WordNet, superordinate categories, and any matrix of the user's own.

WordNet's nouns come from `wordnet`; categories from ``semanticcmc/data/categories.csv``, made from
``category_anchors.csv``, which a person can edit.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from semanticcmc.config import InputError, package_table, read_text_table, table_head
from semanticcmc.rsa.rdm import FEWEST_CLASSES, RDM, from_class_means, read_rdms
from semanticcmc.rsa.wordnet import REMEDY, Taxonomy, depths, lowest_common_hypernyms, path_lengths, taxonomy_of
from semanticcmc.run import listed

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

NO_CATEGORY = "other"  # semanticcmc/data/categories.csv: what falls under no superordinate category


def lch_similarities(wnids: Sequence[str], taxonomy: Taxonomy | None = None) -> NDArray[np.float64]:
    """Leacock and Chodorow's similarity of each two classes, in nats.

    ``-log((steps + 1) / (2 depth))`` with the steps of the shortest path through a common hypernym and the depth of
    WordNet's noun taxonomy, as nltk's ``lch_similarity`` has it (Leacock and Chodorow 1998). Raises InputError for a
    wnid that the taxonomy lacks, or two classes that share no hypernym. Returned is an array, shape (n, n): greatest on
    the diagonal: log(2 depth), 3.638 in WordNet 3.0.

    Parameters
    ----------
    wnids : sequence of str
        WordNet 3.0's numbers of the n classes, such as ``n02084071``.
    taxonomy : Taxonomy, optional
        By default `wordnet.taxonomy_of` the classes.
    """
    taxonomy = taxonomy_of(wnids, taxonomy)
    return -np.log((path_lengths(wnids, taxonomy) + 1) / (2 * taxonomy.max_depth))


def lch_rdm(wnids: Sequence[str], taxonomy: Taxonomy | None = None) -> RDM:
    """Leacock and Chodorow's similarity as distances: self-similarity minus similarity, log(steps + 1).

    The depth cancels. So published (O'Doherty and Cusack's evaluation of SemanticCMC). Parameters and errors are
    those of `lch_similarities`.
    """
    similarities = lch_similarities(wnids, taxonomy)
    return RDM(similarities.diagonal()[:, None] - similarities, tuple(wnids))


def path_rdm(wnids: Sequence[str], taxonomy: Taxonomy | None = None) -> RDM:
    """1 - nltk's ``path_similarity``, which is 1 / (steps + 1). Parameters and errors: `lch_similarities`."""
    return RDM(1 - 1 / (path_lengths(wnids, taxonomy) + 1), tuple(wnids))


def wu_palmer_rdm(wnids: Sequence[str], taxonomy: Taxonomy | None = None) -> RDM:
    """1 - Wu and Palmer's similarity, as nltk's ``wup_similarity`` has it (Wu and Palmer 1994).

    The similarity is ``2 d / (a + b + 2 d)`` with d the nodes from the root down to the lowest common hypernym (its
    deepest way), and a and b the steps from each class to it. Where nltk's depends on the order of the two (one lies
    above the other, another hypernym is as deep), the larger. Parameters and errors are those of `lch_similarities`.
    """
    taxonomy = taxonomy_of(wnids, taxonomy)
    lowest = lowest_common_hypernyms(wnids, taxonomy)
    nodes = [*wnids, *sorted(set(lowest.ravel()) - {None, *wnids})]
    place = {wnid: i for i, wnid in enumerate(nodes)}
    steps, depth = path_lengths(nodes, taxonomy), depths(taxonomy, nodes)
    at = np.vectorize(place.__getitem__, otypes=[np.intp])(lowest)
    down = np.array([depth[wnid][1] + 1 for wnid in nodes])[at]
    rows = np.arange(len(wnids))
    up = steps[rows[:, None], at] + steps[rows[None, :], at]
    return RDM(1 - 2 * down / (up + 2 * down), tuple(wnids))


WORDNET_MODELS = {"lch": lch_rdm, "path": path_rdm, "wu_palmer": wu_palmer_rdm}


def categories(wnids: Sequence[str], table: str | Path | None = None) -> dict[str, str]:
    """Superordinate category of each class; an InputError names those that the table, or by default WordNet, lacks.

    `table` is a CSV with the columns wnid and category; by default ``semanticcmc/data/categories.csv``, and for classes
    that it lacks their nearest anchor (`anchored_categories`).
    """
    own = package_table("categories.csv")
    path = Path(table or own)
    rows = read_text_table(path, ("wnid", "category"), "wnid")
    category = dict(zip(rows["wnid"], rows["category"], strict=True))
    if path == own:
        category |= anchored_categories([wnid for wnid in wnids if wnid not in category])
    if unknown := [wnid for wnid in wnids if not category.get(wnid)]:
        raise InputError(f"{path}: no category of {listed(unknown)}; give them a row there, or {REMEDY}")
    return {wnid: category[wnid] for wnid in wnids}


def anchored_categories(wnids: Sequence[str]) -> dict[str, str]:
    """Category of the nearest anchor above each class, itself included; of two as near, the first in the table.

    Anchors are the synsets of ``semanticcmc/data/category_anchors.csv``, by the rule that made ``categories.csv``.
    """
    if not wnids:
        return {}
    rows = read_text_table(package_table("category_anchors.csv"), ("synset", "category"), "synset")
    anchors = list(zip(rows["synset"], rows["category"], strict=True))
    taxonomy = taxonomy_of(wnids)
    found = {}
    for wnid in wnids:
        distance = {taxonomy.synsets[above]: steps for above, steps in taxonomy.distances_above(wnid).items()}
        near = [(distance[synset], i) for i, (synset, _) in enumerate(anchors) if synset in distance]
        found[wnid] = anchors[min(near)[1]][1] if near else NO_CATEGORY
    return found


def category_rdm(wnids: Sequence[str], table: str | Path | None = None) -> RDM:
    """Same or different superordinate category as distances: 0 within, 1 between. Parameters: `categories`."""
    category = categories(wnids, table)
    of = np.array([category[wnid] for wnid in wnids])
    return RDM((of[:, None] != of).astype(np.float64), tuple(wnids))


def model_rdm(model: str, classes: Sequence[str], file: str | Path | None = None) -> RDM:
    """Semantic model, by name, of those classes that it has, in their order; a UserWarning counts the others.

    Raises InputError if the model has too few of the classes, or all alike, or a table or file cannot be read or lacks
    one.

    Parameters
    ----------
    model : str
        ``category``: `category_rdm` of the classes that have a category; ``lch``, ``path``, ``wu_palmer``: in
        WordNet; or any name that `file` goes with.
    classes : sequence of str
        wnids.
    file : str or Path, optional
        For ``category``, the table of `categories`. Else a matrix of the user's own, for instance of word vectors or
        of human similarity, or a table of categories (`read_matrix`).
    """
    if model == "category":
        file = file or package_table("categories.csv")
        category = categories(classes, file)
        found = category_rdm([wnid for wnid in classes if category[wnid] != NO_CATEGORY], file)
    elif file is not None:
        found = read_matrix(file)
    elif model in WORDNET_MODELS:
        found, file = WORDNET_MODELS[model](classes), "WordNet"
    else:
        raise InputError(f"model {model!r}: expected category, {', '.join(WORDNET_MODELS)}, or the file of a matrix")
    shared = set(found.classes)
    kept = [wnid for wnid in classes if wnid in shared]
    if len(kept) < FEWEST_CLASSES or not found.values.any():
        raise InputError(
            f"{file}: {len(kept)} of the {len(classes)} classes are in the model {model}; at least "
            f"{FEWEST_CLASSES} are needed, not all alike (of one category), or leave it out of the models"
        )
    if left_out := len(classes) - len(kept):
        warnings.warn(
            f"{left_out} of {len(classes)} classes are not in the model {model}: left out of its tests", stacklevel=2
        )
    return found.subset(kept)


def read_matrix(file: str | Path) -> RDM:
    """A user's own RDM: a square CSV with classes in its head and first column, or a Parquet table of `write_rdms`.

    Or a CSV with the columns wnid and category, as ``data_manifests/small_categories_published.csv``: then same or
    different category (`category_rdm`) of its classes. Or an embedding: a CSV with classes in its first column and
    dimensions in the others (those of text, such as a noun, are left out), as of word vectors or of people's judgements
    (SPoSE: Hebart et al. 2020); then 1 - Pearson's correlation of two classes' dimensions. Raises InputError if it is
    none of these, is not symmetric with zeros on the diagonal, names rows and columns differently, or an embedding has
    duplicate classes, fewer than 3 dimensions or a missing number.
    """
    import pandas as pd

    file = Path(file)
    if file.suffix in (".parquet", ".npz", ".hdf5", ".h5"):
        rdms = read_rdms(file)
        if len(rdms) != 1:
            raise InputError(f"{file}: holds the RDMs {', '.join(rdms)}; a model's file holds one")
        return next(iter(rdms.values()))
    try:
        above, sign, head = table_head(file)
        if {"wnid", "category"} <= set(head):
            rows = read_text_table(file, ("wnid", "category"), "wnid")
            return category_rdm(rows.loc[rows["category"] != NO_CATEGORY, "wnid"].tolist(), file)
        table = pd.read_csv(
            file, sep=sign, skiprows=above, index_col=0, keep_default_na=False, na_values=[""], dtype={0: str}
        )
        table.index = table.index.astype(str)
        if not set(table.index) & {str(name) for name in table.columns} and len(table) != table.shape[1]:
            return _embedded(table)
        if list(table.index) != [str(name) for name in table.columns]:
            raise ValueError("the first column and the head name different classes, or in another order")
        return RDM(table.to_numpy(dtype=np.float64), tuple(table.index))
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: not readable as a square table of distances or an embedding: {error}") from error


def _embedded(table: pd.DataFrame) -> RDM:
    """RDM of an embedding, one row a class."""
    values = table.select_dtypes("number")
    if values.shape[1] < 3:
        raise ValueError(
            f"{values.shape[1]} columns of numbers beside the classes: an embedding has 3 dimensions or more"
        )
    if missing := values.columns[values.isna().any()].tolist():
        raise ValueError(f"a number is missing in dimension {listed(missing)}")
    return from_class_means(values.to_numpy(dtype=np.float64), tuple(values.index))
