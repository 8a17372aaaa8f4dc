"""WordNet 3.0 through nltk, wherever its files are: nltk's own corpus, or Debian's package wordnet-base."""

from __future__ import annotations

import functools
import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

DEBIAN = Path("/usr/share/wordnet")
LEXICOGRAPHER_FILES = 45  # lexnames(5WN)


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
                return io.StringIO("".join(f"{i:02d}\tfile{i}\t1\n" for i in range(LEXICOGRAPHER_FILES)))
            return (folder / file).open(encoding="ascii")

        def map_wn(self, version: str = "wordnet") -> None:
            """Nothing: a map to other versions' numbers, for other languages."""

    if str(folder) not in data.path:
        data.path.append(str(folder))  # nltk reads from the folders named there alone
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The multilingual functions")
        reader = Reader(data.FileSystemPathPointer(str(folder)), None)
    return reader if reader.get_version() == "3.0" else None
