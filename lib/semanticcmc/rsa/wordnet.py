"""WordNet's nouns: which lie above which, how far apart two are, and nltk's corpus where a class is in no table.

``semanticcmc/data/wordnet_taxonomy.csv`` holds WordNet 3.0's nouns of the package's tables and all above;
``data_manifests/make_taxonomy.py`` makes it.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import re
import warnings
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TextIO

import numpy as np

from semanticcmc.config import InputError, package_table, read_text_table
from semanticcmc.run import listed

if TYPE_CHECKING:
    from nltk.corpus.reader.wordnet import WordNetCorpusReader
    from numpy.typing import NDArray

DEBIAN = Path("/usr/share/wordnet")


@dataclasses.dataclass(frozen=True)
class Taxonomy:
    """Nouns, by wnid, and what lies above them."""

    hypernyms: Mapping[str, tuple[str, ...]]  # instance hypernyms among them; none for the root
    nouns: Mapping[str, str]  # the first word in WordNet's spelling: ``tennis ball``, ``Siamese cat``
    synsets: Mapping[str, str]  # the name in nltk and in publications: ``tennis_ball.n.01``
    max_depth: int  # most steps from any noun of the *whole* WordNet up to its root: 19 in WordNet 3.0

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


REMEDY = (
    "if WordNet 3.0 has it, write it on a line of data_manifests/class_lists/mine.txt "
    "and run data_manifests/make_taxonomy.py"
)


@functools.cache
def read_taxonomy(path: Path | None = None) -> Taxonomy:
    """Read a taxonomy that ``make_taxonomy.py`` made.

    By default the package's, ``semanticcmc/data/wordnet_taxonomy.csv``. Raises InputError if the file is absent, or
    lacks a column, the maximum depth, or a hypernym that it names.
    """
    path = path or package_table("wordnet_taxonomy.csv")
    rows = read_text_table(path, ("wnid", "synset", "noun", "hypernyms"), "wnid")
    with path.open(encoding="utf-8-sig") as handle:
        heads = [line.split(":")[1] for line in handle if line.startswith("# noun_max_depth:")]
    if len(heads) != 1:
        raise InputError(f"{path}: expected one line `# noun_max_depth: 19` at its head, found {len(heads)}")
    hypernyms = {wnid: tuple(above.split()) for wnid, above in zip(rows["wnid"], rows["hypernyms"], strict=True)}
    if lost := sorted({a for above in hypernyms.values() for a in above} - hypernyms.keys()):
        raise InputError(
            f"{path}: names {', '.join(lost[:5])} as hypernyms but has no rows of them; "
            "make it anew by data_manifests/make_taxonomy.py"
        )
    nouns, synsets = (dict(zip(rows["wnid"], rows[name], strict=True)) for name in ("noun", "synset"))
    return Taxonomy(MappingProxyType(hypernyms), MappingProxyType(nouns), MappingProxyType(synsets), int(heads[0]))


def taxonomy_of(wnids: Sequence[str], taxonomy: Taxonomy | None = None) -> Taxonomy:
    """A taxonomy that has these classes: by default the package's, `extended` by what it lacks of them.

    An InputError names the classes that it lacks, and the remedy.
    """
    taxonomy = taxonomy or extended(read_taxonomy(), wnids)
    if unknown := [wnid for wnid in wnids if wnid not in taxonomy.hypernyms]:
        raise InputError(f"{listed(unknown)}: not in the WordNet taxonomy; {REMEDY}")
    return taxonomy


def extended(taxonomy: Taxonomy, wnids: Sequence[str]) -> Taxonomy:
    """The taxonomy with those of `wnids` that it lacks and nltk's WordNet 3.0 has, and all above them."""
    lacking = [wnid for wnid in wnids if wnid not in taxonomy.hypernyms]
    if not lacking or (corpus := open_wordnet()) is None:
        return taxonomy
    hypernyms, nouns, synsets = dict(taxonomy.hypernyms), dict(taxonomy.nouns), dict(taxonomy.synsets)
    queue = deque(wnid for wnid in lacking if re.fullmatch(r"n[0-9]{8}", wnid))
    while queue:
        wnid = queue.popleft()
        if wnid in hypernyms:
            continue
        with warnings.catch_warnings(action="ignore"):  # of a number at which no noun starts
            node = corpus.synset_from_pos_and_offset("n", int(wnid[1:]))
        if node is None:
            continue
        above = [f"n{one.offset():08d}" for one in node.hypernyms() + node.instance_hypernyms()]
        hypernyms[wnid], synsets[wnid] = tuple(above), node.name()
        nouns[wnid] = node.lemma_names()[0].replace("_", " ")
        queue.extend(above)
    return dataclasses.replace(taxonomy, hypernyms=hypernyms, nouns=nouns, synsets=synsets)


@functools.cache
def open_wordnet() -> WordNetCorpusReader | None:
    """Nltk's reader of WordNet 3.0; None where neither nltk nor its corpus nor Debian's files are there.

    ImageNet's wnids are the numbers of WordNet 3.0; another version is passed over.
    """
    try:
        from nltk.corpus import wordnet
    except ImportError:
        return None
    try:
        wordnet.ensure_loaded()
        if wordnet.get_version() == "3.0":
            return wordnet
    except LookupError:  # nltk's word for a corpus that was never downloaded
        pass
    return read_wordnet(DEBIAN) if (DEBIAN / "data.noun").is_file() else None


def read_wordnet(folder: Path) -> WordNetCorpusReader | None:
    """Nltk's reader of a folder of WordNet's files (wndb(5WN)); None for a version other than 3.0."""
    from nltk import data
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    class Reader(WordNetCorpusReader):
        def open(self, file: str) -> TextIO:
            """A file of the folder; `lexnames`, which Debian leaves out and similarities never ask for, is made up."""
            if file == "lexnames" and not (folder / file).is_file():
                return io.StringIO("".join(f"{i:02d}\tfile{i}\t1\n" for i in range(45)))  # as many as lexnames(5WN)
            return (folder / file).open(encoding="ascii")

        def map_wn(self, version: str = "wordnet") -> None:
            """Nothing: a map to other versions' numbers, for other languages."""

    if str(folder) not in data.path:
        data.path.append(str(folder))  # nltk reads from the folders named there alone
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The multilingual functions")
        reader = Reader(data.FileSystemPathPointer(str(folder)), None)
    return reader if reader.get_version() == "3.0" else None


def names(wnids: Sequence[str], taxonomy: Taxonomy | None = None) -> dict[str, str]:
    """Each wnid's first WordNet noun: ``{"n02084071": "dog"}``. Two wnids may share a noun."""
    taxonomy = taxonomy_of(wnids, taxonomy)
    return {wnid: taxonomy.nouns[wnid] for wnid in wnids}


def path_lengths(wnids: Sequence[str], taxonomy: Taxonomy | None = None) -> NDArray[np.int64]:
    """Fewest steps between each two of n classes, up to a common hypernym and down again, shape (n, n).

    Raises InputError for a wnid that the taxonomy lacks, or two classes that share no hypernym.
    """
    taxonomy = taxonomy_of(wnids, taxonomy)
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
        raise InputError(f"{wnids[first]} and {wnids[second]}: no hypernym in common, so no path between them")
    return lengths


def depths(taxonomy: Taxonomy, wnids: Collection[str]) -> dict[str, tuple[int, int]]:
    """Fewest and most steps from each wnid, and from all above it, up to a root."""
    found: dict[str, tuple[int, int]] = {}

    def of(wnid: str) -> tuple[int, int]:
        if wnid not in found:
            above = [of(one) for one in taxonomy.hypernyms[wnid]]
            least, most = (min(one[0] for one in above), max(one[1] for one in above)) if above else (-1, -1)
            found[wnid] = (least + 1, most + 1)
        return found[wnid]

    for wnid in wnids:
        of(wnid)
    return found


def lowest_common_hypernyms(wnids: Sequence[str], taxonomy: Taxonomy | None = None) -> NDArray[np.object_]:
    """The deepest noun above each two classes (or one of the two), by nltk's rule; object array (n, n) of wnids.

    Deepest by the fewest steps up to the root; of several as deep one of the two classes itself, else the first by
    its synset's name. That of a class with itself is the class. None where there is none.
    """
    taxonomy = taxonomy_of(wnids, taxonomy)
    depth = depths(taxonomy, wnids)
    below: dict[str, list[int]] = {}
    for row, wnid in enumerate(wnids):
        for above in taxonomy.distances_above(wnid):
            below.setdefault(above, []).append(row)
    lowest = np.full((len(wnids), len(wnids)), None, dtype=object)
    for wnid in sorted(below, key=lambda one: (-depth[one][0], taxonomy.synsets[one])):
        block = np.ix_(below[wnid], below[wnid])
        lowest[block] = np.where(lowest[block] == None, wnid, lowest[block])  # noqa: E711  (elementwise)
    for row, wnid in enumerate(wnids):
        for other in below[wnid]:
            if other == row or depth[lowest[row, other]][0] == depth[wnid][0]:
                lowest[row, other] = lowest[other, row] = wnid
    return lowest
