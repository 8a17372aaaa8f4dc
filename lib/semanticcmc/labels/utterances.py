"""What is said or described in films, and when: narrations, SubRip, WebVTT, and tables of timed words or sentences.

One file a film, known by the end of its name: ``<film>.txt`` with lines ``h:m:s|h:m:s|sentence``, ``<film>.srt``,
``<film>.vtt``, or ``<film>.csv`` (or .tsv) with a start, an end or a duration, and a text (`COLUMNS`). Times are
seconds, or hours, minutes and seconds as ``1:02:03.5``.
"""

from __future__ import annotations

import csv
import html
import itertools
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from semanticcmc.config import InputError, opened_text, table_head

LONGEST_S = 600.0  # an utterance that lasts longer has a wrong time
COLUMNS = {
    "start": ("start", "start_s", "start_time", "onset"),
    "stop": ("end", "end_s", "end_time", "stop", "stop_s", "duration"),
    "text": ("text", "sentence", "description", "word"),
}
"""Names of a table's columns; a film's name is the file's."""
_TIME = re.compile(r"(?:(?:(\d{1,9}):)?(\d{1,9}):)?(\d+(?:[.,]\d*)?)")
_CUE = re.compile(r"\s*(\S+)\s*-->\s*(\S+)")
_BREAK = re.compile(r"<br\s*/?>|\\[Nn]", re.IGNORECASE)
_MARKUP = re.compile(r"<[/\w][^>]*>|\{\\[^}]*\}")


class Utterance(NamedTuple):
    """Words that are said, or a sentence that describes, with the line of its file."""

    start_s: float
    stop_s: float
    text: str
    line: int


def is_of_words(file: Path) -> bool:
    """Whether a file's name, or a table's head, is that of utterances."""
    if file.suffix.lower() in (".csv", ".tsv"):
        head = table_head(file)[2]
        return all(set(names) & set(head) for names in COLUMNS.values())
    return file.suffix.lower() in (".txt", ".srt", ".vtt")


def read_utterances(file: Path) -> list[Utterance]:
    """Utterances of one film, sorted by their times.

    Raises InputError, with the line, for text that is not UTF-8, a line that is none of the format, a time that cannot
    be read, or a span that stops before it starts or lasts longer than `LONGEST_S`. Spans that overlap, or are in
    another order, are kept, and said on stderr.
    """
    suffix = file.suffix.lower()
    rows = _narrations(file) if suffix == ".txt" else _captions(file) if suffix in (".srt", ".vtt") else _table(file)
    found = []
    for line, start, stop, text, is_length in rows:
        start_s, stop_s = (_seconds(time, f"{file}, line {line}") for time in (start, stop))
        if is_length:
            stop_s += start_s
        if not 0 <= stop_s - start_s <= LONGEST_S:
            what = f"a span from {start_s:g} to {stop_s:g} s"
            wrong = "stops before it starts" if stop_s < start_s else f"lasts more than {LONGEST_S:g} s"
            raise InputError(f"{file}, line {line}: {what} {wrong}; correct its times")
        found.append(Utterance(start_s, stop_s, text, line))
    if not found:
        raise InputError(f"{file}: no utterance there; expected a start, an end and a text each (see the docs)")
    late = [b.line for a, b in itertools.pairwise(found) if b.start_s < a.start_s]
    found.sort()
    ends = itertools.accumulate((one.stop_s for one in found), max)
    over = [later.line for end_s, later in zip(ends, found[1:], strict=False) if later.start_s < end_s]
    for lines, what in ((late, "before the one above: sorted by time"), (over, "before another ends: both count")):
        if lines:
            print(f"{file}: spans that start {what}: {len(lines)}, the first on line {min(lines)}", file=sys.stderr)
    return found


def _seconds(text: str, where: str) -> float:
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise InputError(f"{where}: {text.strip()!r} is no time from 0; write seconds or h:m:s")
    hours, minutes, seconds = match.groups()
    return 3600 * int(hours or 0) + 60 * int(minutes or 0) + float(seconds.replace(",", "."))


_Row = tuple[int, str, str, str, bool]  # line, start, stop or duration, text, whether a duration


def _narrations(file: Path) -> Iterator[_Row]:
    with opened_text(file) as handle:
        for number, line in enumerate(handle, 1):
            if not line.strip():
                continue
            parts = line.strip().split("|", 2)
            if len(parts) < 3:
                expected = "expected h:m:s|h:m:s|sentence; correct the line, or move a file of other text away"
                raise InputError(f"{file}, line {number}: {line.strip()[:60]!r}: {expected}")
            yield number, parts[0], parts[1], parts[2], False


def _captions(file: Path) -> Iterator[_Row]:
    """Cues of SubRip or WebVTT: a line with ``-->`` and those below it, up to an empty one or the next cue's number."""
    with opened_text(file) as handle:
        lines = [line.strip() for line in handle]
    heads = [i for i, line in enumerate(lines) if "-->" in line]
    for i, following in itertools.pairwise([*heads, len(lines) + 1]):
        match = _CUE.match(lines[i])
        if match is None:
            raise InputError(f"{file}, line {i + 1}: {lines[i]!r}: expected <start> --> <end>")
        below = lines[i + 1 : following]
        if file.suffix.lower() == ".vtt":  # comments and styles may follow an empty line
            below = below[: below.index("")] if "" in below else below
        elif following <= len(lines) and below and below[-1].isdigit():
            below.pop()
        text = html.unescape(_MARKUP.sub("", _BREAK.sub(" ", " ".join(filter(None, below)))))
        yield i + 1, match[1], match[2], text, False


def _table(file: Path) -> Iterator[_Row]:
    above, delimiter, head = table_head(file)
    start, stop, text = (next(head.index(name) for name in names if name in head) for names in COLUMNS.values())
    with opened_text(file) as handle:
        lines = ("\n" if i <= above or line.startswith("#") else line for i, line in enumerate(handle))
        reader, first = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True), 1
        try:
            for row in reader:
                if row and len(row) != len(head):
                    raise csv.Error(f"{len(row)} values for {len(head)} columns; put text with {delimiter!r} in quotes")
                if row:
                    yield first, row[start], row[stop], row[text], head[stop] == "duration"
                first = reader.line_num + 1  # text in quotes may have several lines
        except csv.Error as error:
            raise InputError(f"{file}, line {first}: not readable as a CSV table ({error})") from error
