"""Labels from tables: BIDS-style events (`onset`, `duration`), and CSVs of labels at times or over spans."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

from semanticcmc.config import InputError, table_head
from semanticcmc.labels.grid import TOLERANCE, FilmLabels, spans_on_grid

NOT_STATED = "n/a"  # a missing value, in BIDS
RUN = re.compile(r"_run-(\d+)(?=_|$)")


def read_table(path: Path, types: dict[str, pa.DataType]) -> pa.Table:
    """Columns of a CSV or TSV; no text is taken for a missing value."""
    above, delimiter, head = table_head(path)
    if missing := [name for name in types if name not in head]:
        raise InputError(f"{path}: no column {', '.join(missing)}; found {', '.join(head)}")
    wanted = csv.ConvertOptions(column_types=types, include_columns=list(types))
    parts = csv.ParseOptions(
        delimiter=delimiter, invalid_row_handler=lambda row: "skip" if row.text.startswith("#") else "error"
    )
    read = csv.ReadOptions(skip_rows=above + 1, column_names=head)
    try:
        return csv.read_csv(path, read_options=read, parse_options=parts, convert_options=wanted)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not readable as a table in UTF-8 ({error})") from error


def event_films(files: Sequence[Path], join_runs: bool) -> dict[str, tuple[Path, ...]]:
    """Event tables of each film: ``film_run-2_events.tsv`` is film ``film_run-2``.

    With `join_runs` ``film_run-1``, ``film_run-2``, ... are parts of one film ``film``, in this order.
    """
    films: dict[str, list[tuple[int, Path]]] = {}
    for file in files:
        name = re.sub(r"_events$", "", file.stem)
        run = RUN.search(name) if join_runs else None
        name, number = (RUN.sub("", name), int(run[1])) if run else (name, 0)
        films.setdefault(name, []).append((number, file))
    for name, runs in films.items():
        if len({number for number, _ in runs}) < len(runs):
            raise InputError(f"{', '.join(str(file) for _, file in runs)}: two tables of one film {name!r}; rename one")
    return {name: tuple(file for _, file in sorted(runs)) for name, runs in films.items()}


def read_events(files: Sequence[Path], columns: Sequence[str], interval_s: float) -> FilmLabels:
    """Labels of one film from its event tables, each from its onset to the end of its duration.

    Each table begins at the last end of the one before. Values of the columns are labels; of several columns, a label
    is ``column:value``; ``n/a`` and empty are none. An event between two label sets, `interval_s` apart, counts for the
    nearest. Raises InputError for a table without the columns, or an onset or duration that is no number from 0.
    """
    starts, stops, labels, begin_s = [], [], [], 0.0
    for file in files:
        rows = read_table(file, dict.fromkeys(("onset", "duration", *columns), pa.string())).to_pandas()
        start_s, length_s = _seconds(rows["onset"], file), _seconds(rows["duration"], file)
        for column in columns:
            value = rows[column].str.strip()
            there = ((value != "") & (value != NOT_STATED)).to_numpy()
            prefix = f"{column}:" if len(columns) > 1 else ""
            names = (prefix + value[there]).to_numpy(dtype=object)
            start = begin_s + start_s[there]
            starts.append(start)
            stops.append(start + length_s[there])
            labels.append(names)
        begin_s += float((start_s + length_s).max(initial=0.0))
    where = str(files[0] if len(files) == 1 else files[0].parent)
    start_s, stop_s, label = map(np.concatenate, (starts, stops, labels))
    return spans_as_labels(start_s, stop_s, label, begin_s, interval_s, where)


def spans_as_labels(
    start_s: np.ndarray, stop_s: np.ndarray, label: np.ndarray, end_s: float, interval_s: float, where: str
) -> FilmLabels:
    """Labels of one film from n spans, each with a label; the source looked for labels from 0 to `end_s`."""
    time_s, span = spans_on_grid(start_s, stop_s, interval_s, where)
    last_s = max(0, np.ceil(end_s / interval_s - 1e-6) - 1) * interval_s
    time_s = np.minimum(time_s, last_s)  # the nearest label time of what is at the very end
    end = np.ceil(end_s / interval_s - TOLERANCE) - 1  # the last label time, whether or not it has a label
    sampled_s = np.append(time_s, end * interval_s) if end >= 0 else time_s
    return FilmLabels(time_s, label[span], np.full(len(span), 100.0), np.nan, sampled_s, where)


def _seconds(values: pd.Series, file: Path) -> np.ndarray:
    """Text as seconds from 0; a duration that is not stated is 0."""
    stated = values.replace(NOT_STATED, "0") if values.name == "duration" else values
    seconds = pd.to_numeric(stated, errors="coerce").to_numpy(dtype=np.float64)
    wrong = ~(np.isfinite(seconds) & (seconds >= 0))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(f"{file}, line {row + 2}: {values.name} {values.iloc[row]!r}; seconds from 0 expected")
    return seconds


def read_label_csv(path: Path, interval_s: float | None) -> dict[str, FilmLabels]:
    """Labels of films from one CSV, or TSV: ``movie_id, time_s, label`` or ``movie_id, start_s, stop_s, label``.

    There may be a column ``confidence`` (0 to 100); without it all labels have 100. Spans need `interval_s`, the time
    from one label set to the next. Raises InputError for a missing column or value, or a table that is not readable.
    """
    head = table_head(path)[2]
    spans = "start_s" in head
    if spans and interval_s is None:
        raise InputError(f"{path}: spans need an interval: state labels.interval_s in the experiment")
    numbers = ["start_s", "stop_s"] if spans else ["time_s"]
    if "confidence" in head:
        numbers.append("confidence")
    text = pa.dictionary(pa.int32(), pa.string())
    table = read_table(path, {"movie_id": text, **dict.fromkeys(numbers, pa.float64()), "label": text})
    rows = table.unify_dictionaries().to_pandas(split_blocks=True)
    for name in rows:
        if rows[name].isna().any() or (name not in numbers and (rows[name] == "").any()):
            raise InputError(f"{path}: a row without {name}")
    if spans and not (rows["stop_s"] >= rows["start_s"]).all():
        raise InputError(f"{path}: a span that stops before it starts")
    confidence = rows["confidence"].to_numpy() if "confidence" in rows else np.full(len(rows), 100.0)
    labels = rows["label"].cat.categories.str.strip().to_numpy(dtype=object)[rows["label"].cat.codes.to_numpy()]
    films = {}
    for name, own in rows.groupby("movie_id", observed=True).indices.items():
        time_s = rows[numbers[0]].to_numpy()[own]
        if spans and interval_s is not None:
            time_s, span = spans_on_grid(time_s, rows["stop_s"].to_numpy()[own], interval_s, f"{path}, film {name}")
            own = own[span]
        films[str(name)] = FilmLabels(time_s, labels[own], confidence[own], np.nan, time_s, f"{path}, film {name}")
    return films
