"""From labels to nouns of WordNet: by a table of one's own, then the package's, then the word's first sense.

``semanticcmc/data/label_nouns.csv``, the package's, holds labels of Amazon Rekognition that are frequent in films;
others are looked up in WordNet 3.0 where it is installed (`open_wordnet`), else among the nouns of
``semanticcmc/data/wordnet_taxonomy.csv``, and last in ``detector_nouns.csv``, the labels of ``semanticcmc label``.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Collection, Iterable
from pathlib import Path

import pandas as pd

from semanticcmc.config import InputError, package_table, read_text_table
from semanticcmc.experiment import Experiment
from semanticcmc.labels.stream import LabelsConfig, experiment_labels, frequencies
from semanticcmc.rsa.wordnet import open_wordnet, read_taxonomy
from semanticcmc.run import write_csv

Noun = tuple[str, str, str]  # wnid, noun, source
DECIDED = "words.csv"  # of labels that were words: what was decided about each (`words.read_words`)


def first_sense(label: str, as_written: bool = False) -> Noun | None:
    """The first noun sense of a label's word, of a plural that of its singular: wnid, noun and source.

    With `as_written` the first that WordNet writes in small letters: ``or`` is not Oregon.
    """
    word = re.sub(r"\s+", "_", label.strip().lower())
    corpus = open_wordnet()
    if corpus is not None:
        senses = [one for one in corpus.synsets(word, "n") if not as_written or word in one.lemma_names()]
        if not senses:
            return None
        return (f"n{senses[0].offset():08d}", senses[0].lemma_names()[0].replace("_", " "), "WordNet 3.0, first sense")
    known = _first_senses_of_taxonomy()
    lemma = next((form for form in (word, word.removesuffix("s"), word.removesuffix("es")) if form in known), None)
    return (known[lemma], lemma.replace("_", " "), "wordnet_taxonomy.csv, first sense") if lemma else None


@functools.cache
def _first_senses_of_taxonomy() -> dict[str, str]:
    """Wnids by lemma; ``dog.n.01`` is the first sense of dog."""
    synsets = read_taxonomy().synsets
    return {name.removesuffix(".n.01"): wnid for wnid, name in synsets.items() if name.endswith(".n.01")}


def read_nouns(files: Iterable[Path]) -> dict[str, Noun]:
    """Nouns by label from tables `label, wnid, noun, source`, a later table's row before an earlier one's."""
    decided: dict[str, Noun] = {}
    for file in files:
        known = read_text_table(file, ("label", "wnid", "noun", "source"), "label")
        if len(wrong := known[~known["wnid"].str.fullmatch(r"(n\d{8})?")]):
            label, wnid = wrong[["label", "wnid"]].iloc[0]
            raise InputError(f"{file}: label {label!r}: {wnid!r} is no wnid; expected one like n02084071, or nothing")
        for row in known.to_dict("records"):
            decided[row["label"]] = row["wnid"], row["noun"], row["source"] or file.name
    return decided


def label_nouns(labels: Iterable[str], table: Path | None = None, columns: Collection[str] = ()) -> pd.DataFrame:
    """Nouns of labels.

    Raises InputError if a table cannot be read, has two rows of one label, or a wnid that is none. Returned is a
    DataFrame: `label, wnid, noun, source`, in the order of `labels`; wnid and noun are empty where there is none, and
    so is source where no table has the label. wnids need not be in the package's taxonomy.

    Rows of a `table` of one's own, a CSV like that, go before those of the package's ``label_nouns.csv``; an empty wnid
    means that the label is no thing. `first_sense` has labels in neither. Of labels ``column:value`` of event tables'
    `columns` the value is looked up where there is no noun for all of it.
    """
    decided = read_nouns(filter(None, (package_table("label_nouns.csv"), table)))
    known = read_text_table(package_table("detector_nouns.csv"), ("label", "wnid", "noun"), "label")
    detected = {row["label"]: (row["wnid"], row["noun"], "detector_nouns.csv") for row in known.to_dict("records")}
    rows = []
    for label in labels:
        column, _, value = label.partition(":")
        names = [label, value] if column in columns else [label]
        found = next((decided[name] for name in names if name in decided), None)
        found = found or next(filter(None, map(first_sense, names)), None) or detected.get(label)
        rows.append((label, *(found or ("", "", ""))))
    return pd.DataFrame(rows, columns=["label", "wnid", "noun", "source"])


def experiment_nouns(experiment: Experiment, labels: Iterable[str]) -> pd.DataFrame:
    """`label_nouns` of an experiment's labels; those of words as `words.csv` has them."""
    if experiment.source == "world":
        return label_nouns(labels)
    config, decided = experiment.section("labels", LabelsConfig), experiment.folder / "labels" / DECIDED
    return label_nouns(labels, decided if decided.is_file() else config.nouns, columns=config.event_columns)


def write_label_nouns(experiment: Experiment) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Write and return an experiment's ``labels/label_nouns.csv`` (`label_nouns`) and ``labels/unmapped_labels.csv``.

    The second has the labels without a noun, in the form of `stream.frequencies`.
    """
    stream = experiment_labels(experiment)
    if stream is None:
        raise InputError(f"{experiment.file}: labels.path is empty: these films have no labels")
    counts = frequencies(stream)
    nouns = experiment_nouns(experiment, counts["label"])
    unmapped = counts[(nouns["wnid"] == "").to_numpy()]
    for name, rows in (("label_nouns", nouns), ("unmapped_labels", unmapped)):
        write_csv(experiment.path("labels", f"{name}.csv"), rows)
    found, listed = len(nouns) - len(unmapped), experiment.folder / "labels" / "unmapped_labels.csv"
    remedy = "a table of your own, named in the experiment as labels.nouns, can give them one"
    print(f"{found} of {len(nouns)} labels have a noun; the others are in {listed}; {remedy}", file=sys.stderr)
    return nouns, unmapped
