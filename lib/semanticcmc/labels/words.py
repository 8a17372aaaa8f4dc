"""From the words of utterances to labels: nouns of WordNet that are things, by tables that a person can edit.

A word is looked up in a table of one's own (`labels.nouns`), then in the package's ``word_nouns.csv``, whose words
without a wnid are no things. Other words count if they are nouns at least as often as anything else, by WordNet's
own counts in running text, and name something physical; their sense is that of the package's ``label_nouns.csv``, else
the first. Where WordNet is not installed, nouns are those of the package's tables alone.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from semanticcmc.config import InputError, package_table
from semanticcmc.labels.grid import FilmLabels
from semanticcmc.labels.nouns import DECIDED, first_sense, read_nouns
from semanticcmc.labels.stream import LabelsConfig
from semanticcmc.labels.tables import spans_as_labels
from semanticcmc.labels.utterances import Utterance, read_utterances
from semanticcmc.rsa.wordnet import open_wordnet, taxonomy_of
from semanticcmc.run import atomic, write_csv

SPOKEN = "words.parquet"
PHYSICAL = "n00001930"  # WordNet's physical entity: things, living things, places, materials
SENTENCE = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+")
PERSON = re.compile(r"\[([^\]]*)\]")  # of narrations
LONGEST = 4  # words of one noun


class Decision(NamedTuple):
    """What a word, or several, count for: nothing where the wnid is empty, and `source` says why."""

    label: str
    wnid: str = ""
    noun: str = ""
    source: str = ""
    senses: int = 0


class Lexicon:
    """Decisions about words, by tables and WordNet; `own` is a table of one's own, as of `nouns.label_nouns`."""

    def __init__(self, own: Path | None = None) -> None:
        self.tables = read_nouns([package_table("word_nouns.csv"), *filter(None, [own])])
        self.labels = {name.lower(): noun for name, noun in read_nouns([package_table("label_nouns.csv")]).items()}
        self.corpus = open_wordnet()
        self.word = functools.cache(self._word)
        self.longest: dict[str, int] = {}  # by first word: words of the longest noun that starts with it
        lemmas = self.corpus.all_lemma_names("n") if self.corpus else ()
        for name in (*self.tables, *self.labels, *lemmas):
            first, *rest = re.split("[ _]", name.lower())
            self.longest[first] = min(LONGEST, max(self.longest.get(first, 1), 1 + len(rest)))

    def _word(self, said: str) -> Decision:
        """What is decided about a word, or several with a space between, as said (in lower case, but for names)."""
        if said in self.tables:
            return Decision(said, *self.tables[said], self._senses(said))
        if said != said.lower():
            return Decision(said, source="a name")
        lemma = self._lemma(said)
        if lemma is None:
            return Decision(said)
        senses = self._senses(lemma)
        if lemma in self.tables:
            return Decision(lemma, *self.tables[lemma], senses)
        if self.corpus is not None and " " not in said:
            forms = {pos: form for pos in "nvar" if (form := _lemma(self.corpus, said, pos))}
            uses = {pos: _counts()[form, pos] for pos, form in forms.items()}
            if 2 * uses.get("n", 0) < sum(uses.values()):
                return Decision(said, source="more often a verb, adjective or adverb", senses=senses)
        wnid, noun, source = self.labels.get(lemma) or first_sense(lemma, as_written=True) or ("", "", "")
        if wnid and source != "by hand" and PHYSICAL not in taxonomy_of([wnid]).distances_above(wnid):
            return Decision(lemma, source=f"nothing physical ({noun})", senses=senses)
        # A label has one decision: paintings are things where "painting" is more often what someone does.
        return Decision(lemma if said == lemma or self.word(lemma).wnid else said, wnid, noun, source, senses)

    def _lemma(self, said: str) -> str | None:
        if self.corpus is not None:
            return _lemma(self.corpus, said, "n") or (said if said in self.labels else None)
        forms = (said, said.removesuffix("s"), said.removesuffix("es"))
        named = next((form for form in forms if form in self.tables or form in self.labels), None)
        return named or (noun[1] if (noun := first_sense(said)) else None)

    def _senses(self, lemma: str) -> int:
        return len(self.corpus.synsets(lemma.replace(" ", "_"), "n")) if self.corpus else 0

    def decided(self, words: Sequence[str | None]) -> Iterator[tuple[str, Decision]]:
        """Words as said, with their decisions; the longest noun of several words goes first, None parts them."""
        at = 0
        while at < len(words):
            for count in range(min(self.longest.get(words[at] or "", 1), len(words) - at), 0, -1):
                several = [word for word in words[at : at + count] if word is not None]
                decision = self.word(" ".join(several)) if len(several) == count else None
                if decision and (count == 1 or decision.wnid):
                    yield " ".join(several), decision
                    break
            at += count


def _lemma(corpus: Any, said: str, pos: str) -> str | None:
    """The shortest form in WordNet, with spaces, by the rule of nltk's WordNetLemmatizer, for any copy of WordNet."""
    forms = corpus._morphy(said.replace(" ", "_"), pos)
    return min(forms, key=len).replace("_", " ") if forms else None


@functools.cache
def _counts() -> Counter[tuple[str, str]]:
    """How often each lemma is each part of speech in the texts that WordNet counted (cntlist(5WN))."""
    counts: Counter[tuple[str, str]] = Counter()
    with open_wordnet().open("cntlist.rev") as lines:  # type: ignore[union-attr]
        for line in lines:
            sense, _, count = line.split()
            lemma, kind = sense.split("%")
            counts[lemma.replace("_", " "), " nvara"[int(kind[0])]] += int(count)
    return counts


def words_of(texts: Iterable[str], names_in_brackets: bool) -> list[list[str | None]]:
    """Words of each of a film's texts, in lower case; named people and others in capitals as written, None parts words.

    A name is in square brackets (of narrations), or begins with a capital inside a sentence; at the beginning of a
    sentence if it is a name elsewhere in the film and never has a small letter. Text without any small letter tells no
    names.
    """
    try:
        from nltk.tokenize import NLTKWordTokenizer
    except ImportError as error:
        raise InputError('words need nltk, which is not installed: pip install "semanticcmc[analysis]"') from error
    tokenizer, names, small = NLTKWordTokenizer(), set[str](), set[str]()
    tokens: list[list[tuple[str, bool]]] = []  # and whether at the beginning of a sentence
    for text in texts:
        if names_in_brackets:
            names.update(" ".join(PERSON.findall(text)).split())
            text = PERSON.sub(" | ", text)
        text = text.lower() if text == text.upper() else text
        own = [(token, i == 0) for part in SENTENCE.split(text) for i, token in enumerate(tokenizer.tokenize(part))]
        tokens.append([(token.rstrip("'’.-"), starts) for token, starts in own])
        for token, starts in tokens[-1]:
            if token[:1].islower():
                small.add(token)
            elif not starts and token[:1].isupper():
                names.add(token)
    names = {name for name in names if name.lower() not in small}

    def word(token: str, starts: bool) -> str | None:
        if not token[:1].isalpha() or not all(sign.isalpha() or sign in "-'’" for sign in token):
            return None
        return token if token[0].isupper() and (not starts or token in names) else token.lower()

    return [[word(*one) for one in own] for own in tokens]


def read_words(files: Mapping[str, Path], config: LabelsConfig, folder: Path | None = None) -> dict[str, FilmLabels]:
    """Labels of films from their utterances, ``film: file``: each noun from `widen_s` before its utterance to after it.

    Into `folder` go ``words.csv``, one row a label or word (`label, wnid, noun, source, senses, count, films`, the most
    frequent first), which is what `labels.nouns` takes once a person has edited it: without a wnid a word does not
    count; and ``words.parquet``, one row a word of an utterance (`movie_id, start_s, stop_s, text, label`), the label
    empty for an utterance without any. Raises as `utterances.read_utterances`, and InputError without `interval_s`, or
    if no word is a noun.
    """
    if config.interval_s is None:
        raise InputError(f"{next(iter(files.values()))}: words need labels.interval_s in the experiment, such as 1")
    lexicon, films, decisions = Lexicon(config.nouns), dict[str, FilmLabels](), dict[str, Decision]()
    count, within = Counter[str](), Counter[str]()
    spoken: list[tuple[str, float, float, str, str]] = []
    for name, file in files.items():
        utterances, first = read_utterances(file), len(spoken)
        said = words_of([one.text for one in utterances], file.suffix.lower() == ".txt")
        found = [list(lexicon.decided(words)) for words in said]
        labels = {decision.label: decision for own in found for _, decision in own}
        decisions |= labels
        count.update(decision.label for own in found for _, decision in own)
        within.update(labels.keys())
        for one, own in zip(utterances, found, strict=True):
            kept = [(text, decision.label) for text, decision in own if decision.wnid] or [("", "")]
            spoken += [(name, one.start_s, one.stop_s, *pair) for pair in kept]
        films[name] = _film(utterances, spoken[first:], config, file)
    table = pd.DataFrame(decisions.values(), columns=Decision._fields)
    table = table.assign(count=table["label"].map(count), films=table["label"].map(within))
    table = table.sort_values(["count", "label"], ascending=[False, True], ignore_index=True)
    if folder is not None:
        write_csv(folder / DECIDED, table)
        with atomic(folder / SPOKEN) as temporary:
            pd.DataFrame(spoken, columns=["movie_id", "start_s", "stop_s", "text", "label"]).to_parquet(temporary)
    if not (table["wnid"] != "").any():
        remedy = "is the text English? Else give words a row in a table of your own (label,wnid,noun,source)"
        raise InputError(f"{next(iter(files.values())).parent}: none of {len(table)} words is a noun; {remedy}")
    return films


def _film(utterances: Sequence[Utterance], spoken: Collection[Any], config: LabelsConfig, file: Path) -> FilmLabels:
    """Labels of one film; widened spans stay within its start and the last utterance's end."""
    end = max(utterances, key=lambda one: one.stop_s)
    rows = [row for row in spoken if row[-1]]
    start_s = np.maximum([row[1] - config.widen_s[0] for row in rows], 0)
    stop_s = np.minimum([row[2] + config.widen_s[1] for row in rows], end.stop_s)
    label = np.array([row[-1] for row in rows], dtype=object)
    where = f"{file}, line {end.line}"  # of the last times, which may be another film's
    film = spans_as_labels(start_s, stop_s, label, end.stop_s, config.interval_s or 1.0, where)
    problem = "" if rows else f"{file}: no word is a noun of WordNet; words.csv has what became of each"
    return dataclasses.replace(film, problem=problem)
