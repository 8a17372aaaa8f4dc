"""Labels from tables: BIDS-style events (`onset`, `duration`), and CSVs of labels at times or over spans."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

from semanticcmc.config import InputError
from semanticcmc.labels.grid import FilmLabels, spans_on_grid

NOT_STATED = "n/a"  # a missing value, in BIDS
RUN = re.compile(r"_run-(\d+)(?=_|$)")


def table_columns(path: Path) -> tuple[str, ...]:
    """Names in the head of a CSV or TSV."""
    try:
        with path.open(encoding="utf-8-sig") as handle:
            head = handle.readline().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not readable as text in UTF-8 ({error}); save it as UTF-8") from error
    return tuple(name.strip().strip('"') for name in head.split(_delimiter(path)))


def _delimiter(path: Path) -> str:
    return "\t" if path.suffix.lower() == ".tsv" else ","


# Events ----------------------------------------------------------------------------------------------------


def event_films(files: Sequence[Path], join_runs: bool) -> dict[str, tuple[Path, ...]]:
    """Event tables of each film, in order: ``film_run-2_events.tsv`` is film ``film_run-2``.

    Parameters
    ----------
    files : sequence of Path
    join_runs : bool
        Put ``film_run-1``, ``film_run-2``, ... end to end as one film ``film``.
    """
    films: dict[str, list[tuple[int, Path]]] = {}
    for file in files:
        name = re.sub(r"_events$", "", file.stem)
        run = RUN.search(name)
        if run and join_runs:
            films.setdefault(RUN.sub("", name), []).append((int(run[1]), file))
        else:
            films.setdefault(name, []).append((0, file))
    for name, runs in films.items():
        numbers = [number for number, _ in runs]
        if len(set(numbers)) < len(numbers):
            raise InputError(f"{', '.join(str(file) for _, file in runs)}: two tables of one film {name!r}; rename one")
    return {name: tuple(file for _, file in sorted(runs)) for name, runs in films.items()}


def read_events(files: Sequence[Path], columns: Sequence[str], interval_s: float) -> FilmLabels:
    """Labels of one film from its event tables, each from its onset until its duration is over.

    Parameters
    ----------
    files : sequence of Path
        Tables of one film; those after the first begin where the one before has its last end.
    columns : sequence of str
        Columns whose values are labels; of several, a label is ``column:value``. ``n/a`` and nothing are none.
    interval_s : float
        Time from one label set to the next. An event that falls between two counts for the nearest.

    Raises
    ------
    InputError
        For a table without the columns, or an onset or duration that is no number from 0.
    """
    times, labels, begin_s = [], [], 0.0
    for file in files:
        rows = _read_text_table(file, ("onset", "duration", *columns))
        start_s, length_s = _seconds(rows["onset"], file), _seconds(rows["duration"], file)
        for column in columns:
            value = rows[column].str.strip()
            there = ((value != "") & (value != NOT_STATED)).to_numpy()
            names = value[there].to_numpy(dtype=object)
            if len(columns) > 1:
                names = np.array([f"{column}:{name}" for name in names], dtype=object)
            start = begin_s + start_s[there]
            time_s, event = spans_on_grid(start, start + length_s[there], interval_s)
            times.append(time_s)
            labels.append(names[event])
        begin_s += float((start_s + length_s).max(initial=0.0))
    time_s, label = np.concatenate(times), np.concatenate(labels)
    last_s = max(0, np.ceil(begin_s / interval_s - 1e-6) - 1) * interval_s
    time_s = np.minimum(time_s, last_s)  # the nearest label time of what is at the very end
    where = str(files[0] if len(files) == 1 else files[0].parent)
    return FilmLabels(time_s, label, np.full(len(label), 100.0), begin_s, time_s, where)


def _read_text_table(file: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Columns of a table as text: nothing is taken for a number or for a missing value."""
    try:
        rows = pd.read_csv(file, sep=_delimiter(file), dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:  # also errors of parsing and of decoding
        raise InputError(f"{file}: not readable as a table in UTF-8 ({error})") from error
    if missing := [name for name in columns if name not in rows]:
        raise InputError(f"{file}: no column {', '.join(missing)}; found {', '.join(rows.columns)}")
    return rows


def _seconds(values: pd.Series, file: Path) -> np.ndarray:
    """Text as seconds from 0; a duration that is not stated is 0."""
    seconds = pd.to_numeric(
        values.replace(NOT_STATED, "0" if values.name == "duration" else NOT_STATED), errors="coerce"
    ).to_numpy(dtype=np.float64)
    wrong = ~(np.isfinite(seconds) & (seconds >= 0))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(f"{file}, line {row + 2}: {values.name} {values.iloc[row]!r}; seconds from 0 expected")
    return seconds


# Labels at times or over spans -----------------------------------------------------------------------------


def read_label_csv(path: Path, interval_s: float | None, least_confidence: float) -> dict[str, FilmLabels]:
    """Labels of films from one CSV: ``movie_id, time_s, label`` or ``movie_id, start_s, stop_s, label``.

    A column ``confidence`` (0 to 100) may stand beside them; without it all labels have 100.

    Parameters
    ----------
    path : Path
        CSV, or TSV, in UTF-8.
    interval_s : float or None
        Time from one label set to the next; spans need it.
    least_confidence : float

    Raises
    ------
    InputError
        For a missing column or value, or a table that is not readable.
    """
    head = table_columns(path)
    times = ("start_s", "stop_s") if "start_s" in head else ("time_s",)
    if missing := [name for name in ("movie_id", *times, "label") if name not in head]:
        raise InputError(f"{path}: no column {', '.join(missing)}; found {', '.join(head)}")
    if len(times) == 2 and interval_s is None:
        raise InputError(f"{path}: spans need an interval: state labels.interval_s in the experiment")
    text = pa.dictionary(pa.int32(), pa.string())
    numbers = (*times, *(name for name in ("confidence",) if name in head))
    types = {"movie_id": text, "label": text, **dict.fromkeys(numbers, pa.float64())}
    try:
        wanted = csv.ConvertOptions(column_types=types, include_columns=list(types))
        parsing = csv.ParseOptions(delimiter=_delimiter(path))
        table = csv.read_csv(path, parse_options=parsing, convert_options=wanted)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not readable as a table in UTF-8 ({error})") from error
    for name in numbers:
        if table[name].null_count:
            raise InputError(f"{path}: a row without {name}")
    rows = table.unify_dictionaries().to_pandas(split_blocks=True)
    for name in ("movie_id", "label"):
        if (rows[name] == "").any():
            raise InputError(f"{path}: a row without {name}")
    if len(times) == 2 and not (rows["stop_s"] >= rows["start_s"]).all():
        raise InputError(f"{path}: a span that stops before it starts")
    confidence = rows["confidence"].to_numpy() if "confidence" in rows else np.full(len(rows), 100.0)
    films = {}
    labels = rows["label"].cat.categories.to_numpy(dtype=object)[rows["label"].cat.codes.to_numpy()]
    codes = rows["movie_id"].cat.codes.to_numpy()
    order = np.argsort(codes, kind="stable")
    ends = np.searchsorted(codes[order], np.arange(len(rows["movie_id"].cat.categories) + 1))
    for i, name in enumerate(rows["movie_id"].cat.categories):
        own = order[ends[i] : ends[i + 1]]
        time_s, sure = rows[times[0]].to_numpy()[own], confidence[own]
        if len(times) == 2 and interval_s is not None:
            time_s, span = spans_on_grid(time_s, rows["stop_s"].to_numpy()[own], interval_s)
            own, sure = own[span], sure[span]
        film = FilmLabels(time_s, labels[own], sure, float("nan"), time_s, f"{path}, film {name}")
        kept = sure >= least_confidence
        films[name] = FilmLabels(time_s[kept], labels[own][kept], sure[kept], float("nan"), film.looked_s, film.where)
    return films
