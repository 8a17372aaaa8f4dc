"""Make the package's WordNet tables from WordNet 3.0: `python data_manifests/make_taxonomy.py`.

Reads WordNet's own `data.noun` and `index.noun` (Debian and Ubuntu: package wordnet-base), the class lists of
`class_lists/*.txt` beside this script (a wnid such as n02084071 or a synset such as dog.n.01 a line), and
`world_classes.csv`, `category_anchors.csv` and the nouns of labels, `*_nouns.csv`, of lib/semanticcmc/data. Writes
there `wordnet_taxonomy.csv` (each listed class, each noun of a label, and everything above), `categories.csv` (each
listed class and the category of its nearest anchor) and `WORDNET_LICENSE`. The same input gives the same files byte for
byte.
"""

from __future__ import annotations

import argparse
import csv
import functools
import io
import re
import sys
from collections import deque
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
DATA = HERE.parent / "lib" / "semanticcmc" / "data"
HYPERNYM, INSTANCE_HYPERNYM = "@", "@i"  # WordNet's pointer symbols, wninput(5WN)


class Synset(NamedTuple):
    """One line of data.noun: its words in their own spelling and the offsets of all its hypernyms."""

    words: list[str]
    hypernyms: list[str]


def read_data(path: Path) -> tuple[dict[str, Synset], list[str]]:
    """Synsets by offset, and the lines of the licence that heads the file (format: wndb(5WN))."""
    synsets, licence = {}, []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("  "):
            licence.append(re.sub(r"^ +\d+ ?", "", line).rstrip())
            continue
        fields = line.split(" | ")[0].split()
        n_words = int(fields[3], 16)
        words = [fields[4 + 2 * i] for i in range(n_words)]
        start = 4 + 2 * n_words
        pointers = [fields[start + 1 + 4 * i : start + 5 + 4 * i] for i in range(int(fields[start]))]
        above = [offset for symbol, offset, *_ in pointers if symbol in (HYPERNYM, INSTANCE_HYPERNYM)]
        synsets[fields[0]] = Synset(words, above)
    return synsets, licence


def read_index(path: Path) -> dict[str, list[str]]:
    """Offsets of each noun's senses, first sense first (format: wndb(5WN))."""
    senses = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("  "):
            fields = line.split()
            senses[fields[0]] = fields[-int(fields[2]) :]
    return senses


def noun_max_depth(synsets: dict[str, Synset]) -> int:
    """Most steps from any noun up to the root: the `depth` of Leacock and Chodorow's similarity."""

    @functools.cache
    def depth(offset: str) -> int:
        return max((1 + depth(above) for above in synsets[offset].hypernyms), default=0)

    return max(map(depth, synsets))


def offset_of(name: str, synsets: dict[str, Synset], senses: dict[str, list[str]], where: str) -> str:
    """Offset of a wnid (`n02084071`) or of a synset's name (`dog.n.01`)."""
    if re.fullmatch(r"n\d{8}", name) and name[1:] in synsets:
        return name[1:]
    if match := re.fullmatch(r"(.+)\.n\.(\d+)", name):
        offsets = senses.get(match[1].lower(), [])
        if 1 <= int(match[2]) <= len(offsets):
            return offsets[int(match[2]) - 1]
    sys.exit(f"error: {where}: {name} is no noun of this WordNet; write a wnid or a synset like dog.n.01")


def distances_above(offset: str, synsets: dict[str, Synset]) -> dict[str, int]:
    """Everything above a synset, itself included, with the fewest steps to it."""
    distances, queue = {offset: 0}, deque([offset])
    while queue:
        here = queue.popleft()
        for above in synsets[here].hypernyms:
            if above not in distances:
                distances[above] = distances[here] + 1
                queue.append(above)
    return distances


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV below `#` lines."""
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(line for line in handle if not line.startswith("#")))


def table(header: list[str], columns: list[str], rows: list[list[str]]) -> str:
    """CSV text below `#` lines."""
    text = io.StringIO()
    text.writelines(f"# {line}\n" for line in header)
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    return text.getvalue()


def make(wordnet: Path, lists: Path, data: Path) -> dict[str, str]:
    """Texts of the files to write, by name."""
    for name in ("data.noun", "index.noun"):
        if not (wordnet / name).is_file():
            sys.exit(
                f"error: {wordnet / name}: not there; give the folder of WordNet 3.0 by --wordnet "
                "(Debian and Ubuntu: apt install wordnet-base)"
            )
    synsets, licence = read_data(wordnet / "data.noun")
    senses = read_index(wordnet / "index.noun")
    version = re.search(r"WordNet (\d+\.\d+) Copyright", "\n".join(licence))
    if version is None or version[1] != "3.0":
        sys.exit(f"error: {wordnet / 'data.noun'}: not WordNet 3.0, whose numbers ImageNet's wnids are")

    classes: dict[str, None] = {}  # an ordered set
    for path in sorted(lists.glob("*.txt")):
        for line in path.read_text(encoding="utf-8").split():
            classes[offset_of(line, synsets, senses, path.name)] = None
    for row in read_rows(data / "world_classes.csv"):
        offset = offset_of(row["wnid"], synsets, senses, "world_classes.csv")
        if row["noun"].lower().replace(" ", "_") not in [w.lower() for w in synsets[offset].words]:
            sys.exit(
                f"error: world_classes.csv: {row['wnid']} is {', '.join(synsets[offset].words)}, not {row['noun']}"
            )
        classes[offset] = None
    anchors = {
        offset_of(row["synset"], synsets, senses, "category_anchors.csv"): row["category"]
        for row in read_rows(data / "category_anchors.csv")
    }

    def noun(offset: str) -> str:
        return synsets[offset].words[0].replace("_", " ")

    def name(offset: str) -> str:
        word = synsets[offset].words[0].lower()
        return f"{word}.n.{senses[word].index(offset) + 1:02d}"

    taxonomy, categories = set(), []
    for offset in sorted(classes):
        distances = distances_above(offset, synsets)
        taxonomy.update(distances)
        # The nearest anchor wins; of two as near, the one that stands first in the table.
        category = min((distances[a], i, c) for i, (a, c) in enumerate(anchors.items()) if a in distances)[2]
        categories.append([f"n{offset}", noun(offset), category])
    for path in sorted(data.glob("*_nouns.csv")):
        for row in filter(lambda row: row["wnid"], read_rows(path)):  # none: the label is no thing
            taxonomy.update(distances_above(offset_of(row["wnid"], synsets, senses, path.name), synsets))
    rows = [
        [f"n{offset}", name(offset), noun(offset), " ".join(f"n{a}" for a in synsets[offset].hypernyms)]
        for offset in sorted(taxonomy)
    ]
    return {
        "wordnet_taxonomy.csv": table(
            [
                f"wordnet_version: {version[1]}",
                f"noun_max_depth: {noun_max_depth(synsets)}",
                "Made by make_taxonomy.py: the classes of class_lists/ and world_classes.csv, the nouns of labels in",
                "*_nouns.csv, and all above them.",
                "hypernyms: instance hypernyms too, in WordNet's order. Licence: WORDNET_LICENSE.",
            ],
            ["wnid", "synset", "noun", "hypernyms"],
            rows,
        ),
        "categories.csv": table(
            ["Made by make_taxonomy.py from category_anchors.csv: to move a class, edit that and run it again."],
            ["wnid", "name", "category"],
            categories,
        ),
        "WORDNET_LICENSE": "\n".join(licence) + "\n",
    }


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--wordnet",
        type=Path,
        default=Path("/usr/share/wordnet"),
        help="folder of data.noun and index.noun of WordNet 3.0 (default: %(default)s)",
    )
    parser.add_argument(
        "--lists", type=Path, default=HERE / "class_lists", help="folder of the lists of classes (default: %(default)s)"
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=DATA,
        help="folder of the world's classes, the anchors, and of the files made (default: %(default)s)",
    )
    arguments = parser.parse_args()
    for name, text in make(arguments.wordnet, arguments.lists, arguments.data).items():
        (arguments.data / name).write_text(text, encoding="utf-8", newline="\n")
        print(f"{arguments.data / name}: {text.count(chr(10))} lines")


if __name__ == "__main__":
    main()
