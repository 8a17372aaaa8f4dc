"""From labels to nouns of WordNet: a table that a person edits goes first, then the word's first sense.

semanticcmc nouns <experiment>

Writes ``labels/label_nouns.csv`` (each label's noun) and ``labels/unmapped_labels.csv`` (those without one, the most
frequent first). ``semanticcmc/data/label_nouns.csv`` holds labels of Amazon Rekognition that are frequent in films;
others are looked up in WordNet 3.0 where it is installed (`wordnet_corpus`), else among the nouns of
``semanticcmc/data/wordnet_taxonomy.csv``.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

from semanticcmc.config import InputError, package_table
from semanticcmc.experiment import Experiment
from semanticcmc.labels.stream import experiment_labels, frequencies
from semanticcmc.rsa.wordnet import read_taxonomy, read_wnid_table
from semanticcmc.rsa.wordnet_corpus import open_wordnet
from semanticcmc.run import atomic

Noun = tuple[str, str, str]  # wnid, noun, source


def first_sense(label: str) -> Noun | None:
    """The first noun sense of a label's word, plurals as their singular: wnid, noun and where it is from."""
    word = re.sub(r"\s+", "_", label.strip().lower())
    corpus = open_wordnet()
    if corpus is not None:
        senses = corpus.synsets(word, "n")
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


def label_nouns(
    labels: Iterable[str], table: Path | None = None, lookup: Callable[[str], Noun | None] = first_sense
) -> pd.DataFrame:
    """Nouns of labels.

    Parameters
    ----------
    labels : iterable of str
        Of a label ``column:value`` (events) the value counts where the whole is not known.
    table : Path, optional
        CSV with the columns `label, wnid, noun, source`, which goes first; an empty wnid says that the
        label is no thing. By default ``semanticcmc/data/label_nouns.csv``.
    lookup : callable
        Asked for labels that the table lacks.

    Returns
    -------
    DataFrame
        `label, wnid, noun, source`, in the order of `labels`; wnid and noun are empty where there is none, and
        source is empty where nobody has decided so. wnids need not be in the repository's taxonomy.

    Raises
    ------
    InputError
        If the table cannot be read, lists a label twice, or holds what is no wnid.
    """
    table = table or package_table("label_nouns.csv")
    known = read_wnid_table(table, ("label", "wnid", "noun", "source"), "label")
    if len(wrong := known[~known["wnid"].str.fullmatch(r"(n\d{8})?")]):
        raise InputError(
            f"{table}: label {wrong['label'].iloc[0]!r}: {wrong['wnid'].iloc[0]!r} is no wnid; "
            "expected one like n02084071, or nothing"
        )
    decided = {row.label: (row.wnid, row.noun, row.source or table.name) for row in known.itertuples()}
    rows = []
    for label in labels:
        names = [label, label.split(":", 1)[1]] if ":" in label else [label]
        found = next((decided[name] for name in names if name in decided), None)
        found = found or next(filter(None, map(lookup, names)), None)
        rows.append((label, *(found or ("", "", ""))))
    return pd.DataFrame(rows, columns=["label", "wnid", "noun", "source"])


def write_label_nouns(experiment: Experiment) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Write ``labels/label_nouns.csv`` and ``labels/unmapped_labels.csv`` of an experiment.

    Returns
    -------
    nouns, unmapped : DataFrame
        As of `label_nouns`, and as of `labels.frequencies`, of the labels without a noun.
    """
    stream = experiment_labels(experiment)
    if stream is None:
        raise InputError(f"{experiment.file}: labels.path is empty: these films have no labels")
    counts = frequencies(stream)
    nouns = label_nouns(counts["label"])
    unmapped = counts[(nouns["wnid"] == "").to_numpy()]
    for name, rows in (("label_nouns", nouns), ("unmapped_labels", unmapped)):
        with atomic(experiment.path("labels", f"{name}.csv")) as temporary:
            rows.to_csv(temporary, index=False)
    listed = experiment.folder / "labels" / "unmapped_labels.csv"
    print(f"{len(nouns) - len(unmapped)} of {len(nouns)} labels have a noun; the others: {listed}", file=sys.stderr)
    return nouns, unmapped
