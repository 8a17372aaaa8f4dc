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
import pandas as pd

from semanticcmc.config import InputError, package_table
from semanticcmc.experiment import Experiment
from semanticcmc.rsa.rdm import FEWEST_CLASSES, RDM, read_rdms
from semanticcmc.rsa.wordnet import (
    REMEDY,
    Taxonomy,
    depths,
    lowest_common_hypernyms,
    path_lengths,
    read_wnid_table,
    taxonomy_of,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

NO_CATEGORY = "other"  # semanticcmc/data/categories.csv: what falls under no superordinate category


def lch_similarities(wnids: Sequence[str], taxonomy: Taxonomy | None = None) -> NDArray[np.float64]:
    """Leacock and Chodorow's similarity of each two classes, in nats.

    ``-log((steps + 1) / (2 depth))`` with the steps of the shortest path through a common hypernym and the
    depth of WordNet's noun taxonomy, as nltk's ``lch_similarity`` has it (Leacock and Chodorow 1998).

    Returns
    -------
    array, shape (n, n)
        Greatest on the diagonal: log(2 depth), 3.638 in WordNet 3.0.
    """
    taxonomy = taxonomy or taxonomy_of(wnids)
    return -np.log((path_lengths(wnids, taxonomy) + 1) / (2 * taxonomy.max_depth))


def lch_similarity(first: str, second: str, taxonomy: Taxonomy | None = None) -> float:
    """Leacock and Chodorow's similarity of two wnids (`lch_similarities`)."""
    return float(lch_similarities([first, second], taxonomy)[0, 1])


def lch_rdm(wnids: Sequence[str], taxonomy: Taxonomy | None = None) -> RDM:
    """Leacock and Chodorow's similarity as distances: self-similarity minus similarity, log(steps + 1).

    The depth cancels. So published (O'Doherty and Cusack's evaluation of SemanticCMC).
    """
    similarities = lch_similarities(wnids, taxonomy)
    return RDM(similarities.diagonal()[:, None] - similarities, tuple(wnids))


def path_rdm(wnids: Sequence[str], taxonomy: Taxonomy | None = None) -> RDM:
    """1 - nltk's ``path_similarity``, which is 1 / (steps + 1)."""
    return RDM(1 - 1 / (path_lengths(wnids, taxonomy) + 1), tuple(wnids))


def wu_palmer_similarities(wnids: Sequence[str], taxonomy: Taxonomy | None = None) -> NDArray[np.float64]:
    """Wu and Palmer's similarity of each two classes, as nltk's ``wup_similarity`` has it (Wu and Palmer 1994).

    Where nltk's depends on the order of the two (one lies above the other, another hypernym is as deep), the larger.

    ``2 d / (a + b + 2 d)`` with d the nodes from the root down to their lowest common hypernym (its deepest way), and
    a and b the steps from each class to it.

    Returns
    -------
    array, shape (n, n)
        From above 0 to 1, its diagonal.
    """
    taxonomy = taxonomy or taxonomy_of(wnids)
    lowest = lowest_common_hypernyms(wnids, taxonomy)
    common = sorted(set(lowest.ravel()))
    nodes = [*wnids, *(wnid for wnid in common if wnid not in set(wnids))]
    place = {wnid: i for i, wnid in enumerate(nodes)}
    steps, depth = path_lengths(nodes, taxonomy), depths(taxonomy, nodes)
    at = np.vectorize(place.__getitem__, otypes=[np.intp])(lowest)
    down = np.array([depth[wnid][1] + 1 for wnid in nodes])[at]
    rows = np.arange(len(wnids))
    up = steps[rows[:, None], at] + steps[rows[None, :], at]
    return 2 * down / (up + 2 * down)


def wu_palmer_rdm(wnids: Sequence[str], taxonomy: Taxonomy | None = None) -> RDM:
    """1 - Wu and Palmer's similarity."""
    return RDM(1 - wu_palmer_similarities(wnids, taxonomy), tuple(wnids))


def category_table(experiment: Experiment) -> Path:
    """Table of an experiment's superordinate categories.

    The world's own classes where the films are the world's, else ``semanticcmc/data/categories.csv``.
    """
    if experiment.source == "world":
        return experiment.folder / "world" / "classes.csv"
    return package_table("categories.csv")


def categories(wnids: Sequence[str], table: Path | None = None) -> dict[str, str]:
    """Superordinate category of each class.

    Parameters
    ----------
    wnids : sequence of str
    table : Path, optional
        CSV with the columns wnid and category (`category_table` gives an experiment's); by default
        ``semanticcmc/data/categories.csv``, and for classes that it lacks their nearest anchor (`anchored_categories`).

    Raises
    ------
    InputError
        For a wnid that the table lacks, or, by default, WordNet does.
    """
    own = package_table("categories.csv")
    path = table or own
    rows = read_wnid_table(path, ("wnid", "category"))
    category = dict(zip(rows["wnid"], rows["category"], strict=True))
    if path == own:
        category |= anchored_categories([wnid for wnid in wnids if wnid not in category])
    if unknown := [wnid for wnid in wnids if not category.get(wnid)]:
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        raise InputError(f"{path}: no category of {', '.join(unknown[:5])}{more}; give them a row there, or {REMEDY}")
    return {wnid: category[wnid] for wnid in wnids}


def anchored_categories(wnids: Sequence[str]) -> dict[str, str]:
    """Category of the nearest anchor above each class, itself included; of two as near, the one that stands first.

    Anchors are the synsets of ``semanticcmc/data/category_anchors.csv``, by the rule that made ``categories.csv``.
    """
    if not wnids:
        return {}
    rows = read_wnid_table(package_table("category_anchors.csv"), ("synset", "category"), "synset")
    anchors = list(zip(rows["synset"].tolist(), rows["category"].tolist(), strict=True))
    taxonomy = taxonomy_of(wnids)
    found = {}
    for wnid in wnids:
        distance = {taxonomy.synsets[above]: steps for above, steps in taxonomy.distances_above(wnid).items()}
        near = [(distance[synset], i) for i, (synset, _) in enumerate(anchors) if synset in distance]
        found[wnid] = anchors[min(near)[1]][1] if near else NO_CATEGORY
    return found


def category_rdm(wnids: Sequence[str], table: Path | None = None) -> RDM:
    """Same or different superordinate category as distances: 0 within, 1 between (`categories`)."""
    of = np.array(list(categories(wnids, table).values()))
    if len(of) != len(wnids):
        raise ValueError("a wnid stands more than once")
    return RDM((of[:, None] != of[None, :]).astype(np.float64), tuple(wnids))


def model_rdm(model: str, classes: Sequence[str], experiment: Experiment, file: Path | None = None) -> RDM:
    """Semantic model, by name, of an experiment's classes.

    Parameters
    ----------
    model : str
        ``category``: `category_rdm` of the classes that have a category; ``lch``, ``path``, ``wu_palmer``: in
        WordNet; ``association``: what the experiment's films predict (``rdms/association.parquet``, made by
        notebook 01); or any name that `file` goes with.
    classes : sequence of str
        wnids.
    experiment : Experiment
    file : Path, optional
        A matrix of the user's own, for instance of word vectors or of human similarity, or a table of categories
        (`read_matrix`).

    Returns
    -------
    RDM
        Of those of the classes that the model has, in their order; a UserWarning counts the others.

    Raises
    ------
    InputError
        If the model has too few of the classes, or a table or file cannot be read or lacks one.
    """
    if file is not None:
        found = read_matrix(file)
    elif model in WORDNET_MODELS:
        return WORDNET_MODELS[model](classes)
    elif model == "association":
        file = experiment.folder / "rdms" / "association.parquet"
        if not file.is_file():
            raise InputError(f"{file}: missing; notebook 01 makes it for films with labels")
        found = next(iter(read_rdms(file).values()))
    elif model == "category":
        file = category_table(experiment)
        category = categories(classes, file)
        kept = [wnid for wnid in classes if category[wnid] != NO_CATEGORY]
        if len(kept) < FEWEST_CLASSES or len({category[wnid] for wnid in kept}) < 2:
            raise InputError(
                f"{file}: {len(kept)} of the {len(classes)} classes have a category; at least "
                f"{FEWEST_CLASSES} in at least 2 categories are needed, or leave `category` out of "
                "evaluation, models"
            )
        found = category_rdm(kept, file)
    else:
        raise InputError(
            f"model {model!r}: category, association, {', '.join(WORDNET_MODELS)}, or one named in "
            "evaluation, model_files"
        )
    kept = [wnid for wnid in classes if wnid in set(found.classes)]
    if len(kept) < FEWEST_CLASSES:
        raise InputError(
            f"{file}: {len(kept)} of the {len(classes)} classes are in the model {model}; at least "
            f"{FEWEST_CLASSES} are needed, or leave it out of evaluation, models"
        )
    if len(kept) < len(classes):
        warnings.warn(
            f"{len(classes) - len(kept)} of {len(classes)} classes are not in the model {model}: left out of its tests",
            stacklevel=2,
        )
    return found.subset(kept)


def is_category_table(file: Path) -> bool:
    """Whether a CSV has the columns wnid and category, below `#` lines."""
    try:
        with file.open(encoding="utf-8") as lines:
            head = next((line for line in lines if not line.startswith("#")), "")
    except (OSError, UnicodeDecodeError):  # `read_matrix` says so
        return False
    return {"wnid", "category"} <= {name.strip() for name in head.split(",")}


def read_matrix(file: Path) -> RDM:
    """A user's own RDM: a square CSV with classes in its head and first column, or a Parquet table of `write_rdms`.

    Or a CSV with the columns wnid and category, as ``data_manifests/small_categories_published.csv``: then same or
    different category (`category_rdm`) of its classes.

    Raises
    ------
    InputError
        If it is none of these, is not symmetric with zeros on the diagonal, or names rows and columns differently.
    """
    if file.suffix == ".parquet":
        rdms = read_rdms(file)
        if len(rdms) != 1:
            raise InputError(f"{file}: holds the RDMs {', '.join(rdms)}; a model's file holds one")
        return next(iter(rdms.values()))
    if is_category_table(file):
        rows = read_wnid_table(file, ("wnid", "category"))
        return category_rdm(rows.loc[rows["category"] != NO_CATEGORY, "wnid"].tolist(), file)
    try:
        table = pd.read_csv(file, index_col=0, keep_default_na=False, na_values=[""], dtype={0: str})
        table.index = table.index.astype(str)
        if list(table.index) != [str(name) for name in table.columns]:
            raise ValueError("the first column and the head name different classes, or in another order")
        return RDM(table.to_numpy(dtype=np.float64), tuple(table.index))
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: not readable as a square table of distances: {error}") from error


WORDNET_MODELS = {"lch": lch_rdm, "path": path_rdm, "wu_palmer": wu_palmer_rdm}
