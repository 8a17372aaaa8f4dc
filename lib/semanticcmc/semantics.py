"""Semantic models of classes: Leacock and Chodorow's similarity in WordNet, superordinate categories.

All from small tables in ``data_manifests``: `wordnet_taxonomy.csv` (WordNet 3.0's nouns above the classes
used) and `categories.csv`; ``data_manifests/make_taxonomy.py`` makes them.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import warnings
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from semanticcmc.configuration import InputError
from semanticcmc.experiments import Experiment, repository_root
from semanticcmc.rdm import FEWEST_CLASSES, RDM

if TYPE_CHECKING:
    from numpy.typing import NDArray

NO_CATEGORY = "other"  # data_manifests/categories.csv: what falls under no superordinate category


@dataclasses.dataclass(frozen=True)
class Taxonomy:
    """Nouns and what lies above them.

    Attributes
    ----------
    hypernyms : mapping of str to tuple of str
        Each wnid's hypernyms, instance hypernyms among them; none for the root.
    nouns : mapping of str to str
        Each wnid's first word in WordNet's spelling: ``tennis ball``, ``Siamese cat``.
    max_depth : int
        Most steps from any noun of the *whole* WordNet up to its root: 19 in WordNet 3.0.
    """

    hypernyms: Mapping[str, tuple[str, ...]]
    nouns: Mapping[str, str]
    max_depth: int

    def distances_above(self, wnid: str) -> dict[str, int]:
        """Every wnid above `wnid`, itself included, with the fewest steps up to it."""
        distances, queue = {wnid: 0}, deque([wnid])
        while queue:
            here = queue.popleft()
            for above in self.hypernyms[here]:
                if above not in distances:
                    distances[above] = distances[here] + 1
                    queue.append(above)
        return distances

    def refuse_unknown(self, wnids: Sequence[str]) -> None:
        """Raise an InputError that names the wnids that this taxonomy lacks."""
        if unknown := [wnid for wnid in wnids if wnid not in self.hypernyms]:
            more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
            raise InputError(f"{', '.join(unknown[:5])}{more}: not in the WordNet taxonomy; {REMEDY}")


REMEDY = (
    "if WordNet 3.0 has it, write it on a line of data_manifests/class_lists/mine.txt "
    "and run data_manifests/make_taxonomy.py"
)


@functools.cache
def read_taxonomy(path: Path | None = None) -> Taxonomy:
    """Read a taxonomy that ``make_taxonomy.py`` made.

    Parameters
    ----------
    path : Path, optional
        By default ``data_manifests/wordnet_taxonomy.csv`` of the repository.

    Raises
    ------
    InputError
        If the file is absent, or lacks a column, the maximum depth, or a hypernym that it names.
    """
    path = path or repository_root() / "data_manifests" / "wordnet_taxonomy.csv"
    rows = _read_table(path, ("wnid", "noun", "hypernyms"))
    with path.open(encoding="utf-8") as handle:
        depths = [line.split(":")[1] for line in handle if line.startswith("# noun_max_depth:")]
    if len(depths) != 1:
        raise InputError(f"{path}: expected one line `# noun_max_depth: 19` at its head, found {len(depths)}")
    hypernyms = {
        wnid: tuple(above.split()) for wnid, above in zip(rows["wnid"], rows["hypernyms"], strict=True)
    }
    if lost := sorted({a for above in hypernyms.values() for a in above} - hypernyms.keys()):
        raise InputError(f"{path}: names {', '.join(lost[:5])} as hypernyms but has no rows of them; "
                         "make it anew by data_manifests/make_taxonomy.py")  # fmt: skip
    nouns = dict(zip(rows["wnid"], rows["noun"], strict=True))
    return Taxonomy(MappingProxyType(hypernyms), MappingProxyType(nouns), int(depths[0]))


def _read_table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """A CSV below `#` lines as text, its columns checked."""
    try:
        with path.open(encoding="utf-8") as handle:
            text = "".join(line for line in handle if not line.startswith("#"))
        rows = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not readable as a CSV table: {error}") from error
    if missing := [name for name in columns if name not in rows.columns]:
        raise InputError(f"{path}: no column {', '.join(missing)}; found {', '.join(rows.columns)}")
    if rows["wnid"].duplicated().any():
        raise InputError(f"{path}: {rows['wnid'][rows['wnid'].duplicated()].iloc[0]} stands twice")
    return rows


def known_wnids(taxonomy: Taxonomy | None = None) -> frozenset[str]:
    """All wnids that the taxonomy holds, inner nodes included."""
    return frozenset((taxonomy or read_taxonomy()).hypernyms)


def names(wnids: Sequence[str], taxonomy: Taxonomy | None = None) -> dict[str, str]:
    """Each wnid's first WordNet noun: ``{"n02084071": "dog"}``. Two wnids may share a noun."""
    taxonomy = taxonomy or read_taxonomy()
    taxonomy.refuse_unknown(wnids)
    return {wnid: taxonomy.nouns[wnid] for wnid in wnids}


def path_lengths(wnids: Sequence[str], taxonomy: Taxonomy | None = None) -> NDArray[np.int64]:
    """Fewest steps between each two classes, up to a common hypernym and down again.

    Parameters
    ----------
    wnids : sequence of str, length n

    Returns
    -------
    array of int, shape (n, n)

    Raises
    ------
    InputError
        For a wnid that the taxonomy lacks, or two classes that share no hypernym.
    """
    taxonomy = taxonomy or read_taxonomy()
    taxonomy.refuse_unknown(wnids)
    above = [taxonomy.distances_above(wnid) for wnid in wnids]
    columns = {wnid: column for column, wnid in enumerate(sorted(set().union(*above)))}
    far = 10**6  # more than any path; integers, so that sums of it stay exact
    steps = np.full((len(columns), len(wnids)), far, dtype=np.int64)
    for row, distances in enumerate(above):
        for wnid, distance in distances.items():
            steps[columns[wnid], row] = distance
    lengths = np.empty((len(wnids), len(wnids)), dtype=np.int64)
    for row, distances in enumerate(above):  # a class has some 15 hypernyms, of all classes' thousands
        through = [columns[wnid] for wnid in distances]
        up = np.fromiter(distances.values(), dtype=np.int64)
        lengths[row] = (steps[through] + up[:, None]).min(0)
    if len(wnids) and lengths.max() >= far:
        first, second = np.argwhere(lengths >= far)[0]
        raise InputError(
            f"{wnids[first]} and {wnids[second]}: no hypernym in common, so no path between them"
        )
    return lengths


def lch_similarities(wnids: Sequence[str], taxonomy: Taxonomy | None = None) -> NDArray[np.float64]:
    """Leacock and Chodorow's similarity of each two classes, in nats.

    ``-log((steps + 1) / (2 depth))`` with the steps of the shortest path through a common hypernym and the
    depth of WordNet's noun taxonomy, as nltk's ``lch_similarity`` has it (Leacock and Chodorow 1998).

    Returns
    -------
    array, shape (n, n)
        Greatest on the diagonal: log(2 depth), 3.638 in WordNet 3.0.
    """
    taxonomy = taxonomy or read_taxonomy()
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


def category_table(experiment: Experiment) -> Path:
    """Table of an experiment's superordinate categories.

    The world's own classes where the films are the world's, else ``data_manifests/categories.csv``.
    """
    if experiment.source == "world":
        return experiment.folder / "world" / "classes.csv"
    return repository_root() / "data_manifests" / "categories.csv"


def categories(wnids: Sequence[str], table: Path | None = None) -> dict[str, str]:
    """Superordinate category of each class.

    Parameters
    ----------
    wnids : sequence of str
    table : Path, optional
        CSV with the columns wnid and category (`category_table` gives an experiment's); by default
        ``data_manifests/categories.csv``.

    Raises
    ------
    InputError
        For a wnid that the table lacks.
    """
    path = table or repository_root() / "data_manifests" / "categories.csv"
    rows = _read_table(path, ("wnid", "category"))
    category = dict(zip(rows["wnid"], rows["category"], strict=True))
    if unknown := [wnid for wnid in wnids if not category.get(wnid)]:
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        raise InputError(
            f"{path}: no category of {', '.join(unknown[:5])}{more}; give them a row there, or {REMEDY}"
        )
    return {wnid: category[wnid] for wnid in wnids}


def category_rdm(wnids: Sequence[str], table: Path | None = None) -> RDM:
    """Same or different superordinate category as distances: 0 within, 1 between (`categories`)."""
    of = np.array(list(categories(wnids, table).values()))
    if len(of) != len(wnids):
        raise ValueError("a wnid stands more than once")
    return RDM((of[:, None] != of[None, :]).astype(np.float64), tuple(wnids))


def model_rdm(model: str, classes: Sequence[str], experiment: Experiment) -> RDM:
    """Semantic model, by name, of an experiment's classes.

    Parameters
    ----------
    model : {'category', 'lch'}
        `category_rdm` of the classes that have a category (a UserWarning counts the others), or `lch_rdm`.
    classes : sequence of str
        wnids.
    experiment : Experiment

    Raises
    ------
    InputError
        If too few classes have a category, or the taxonomy or the table lacks one.
    """
    if model == "lch":
        return lch_rdm(classes)
    table = category_table(experiment)
    category = categories(classes, table)
    kept = tuple(name for name in classes if category[name] != NO_CATEGORY)
    if len(kept) < FEWEST_CLASSES or len({category[name] for name in kept}) < 2:
        raise InputError(
            f"{table}: {len(kept)} of the {len(classes)} classes have a category; at least {FEWEST_CLASSES} in "
            "at least 2 categories are needed, or leave `category` out of evaluation, models"
        )
    if len(kept) < len(classes):
        warnings.warn(f"{len(classes) - len(kept)} of {len(classes)} classes have no category: left out of "
                      "the category model", stacklevel=2)  # fmt: skip
    return category_rdm(kept, table)
