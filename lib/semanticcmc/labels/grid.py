"""From the times at which a labeller looked to a film's regular label times.

Amazon Rekognition takes a frame about every 200 ms: its stamps are frame times in whole milliseconds (0, 208,
417, 584), regular only on the whole. Each stamp goes to the nearest point of a regular grid; stamps that are off
by more than `TOLERANCE` of the interval are refused, since a label would then stand at a wrong time.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from semanticcmc.config import InputError
from semanticcmc.labels.stream import label_stream
from semanticcmc.run import atomic

TOLERANCE = 0.25  # of the interval
REMEDY = "state the interval in the experiment (labels.interval_s), or put the labels on one (a CSV)"


@dataclasses.dataclass(frozen=True)
class FilmLabels:
    """Labels of one film as its source states them, in any order.

    Attributes
    ----------
    time_s : float array (n,)
    label : object array (n,) of str
    confidence : float array (n,)
        0 to 100.
    duration_s : float
        Length of the film, NaN where the source does not state it.
    looked_s : float array
        Times at which the labeller looked, whether or not it found a label that counts.
    where : str
        File or folder, named in messages.
    """

    time_s: np.ndarray
    label: np.ndarray
    confidence: np.ndarray
    duration_s: float
    looked_s: np.ndarray
    where: str

    def __post_init__(self) -> None:
        confident = (self.confidence >= 0) & (self.confidence <= 100)
        if not confident.all():
            raise InputError(
                f"{self.where}: confidence {self.confidence[~confident][0]:g} found; percent from 0 to 100 expected"
            )
        if not (np.isfinite(self.time_s) & (self.time_s >= 0)).all():
            raise InputError(f"{self.where}: a label at {self.time_s.min():g} s; times from 0 expected")


def sampling(looked_s: np.ndarray, interval_s: float | None, where: str) -> tuple[float, float] | None:
    """Start and interval of the regular grid that lies nearest to the times of looking.

    Parameters
    ----------
    looked_s : float array
        Times of looking, seconds, in any order, repeated or not.
    interval_s : float, optional
        Interval stated; by default inferred: the commonest difference of neighbouring times, made exact by the
        whole length, so that rounded stamps do not drift away from it.
    where : str
        Named in messages.

    Returns
    -------
    (start_s, interval_s), or None
        None where there are too few times to tell the interval, and none is stated.

    Raises
    ------
    InputError
        For times that lie on no regular grid within `TOLERANCE`.
    """
    times = np.unique(looked_s)
    if interval_s is None:
        if len(times) < 2:
            return None
        interval_s = _interval(times)
    if not len(times):
        return 0.0, interval_s
    steps = np.rint((times - times[0]) / interval_s)
    phase_s = float(times[0] + np.median(times - times[0] - steps * interval_s)) % interval_s
    for start_s in (0.0, phase_s):
        off = np.abs(times - start_s - np.rint((times - start_s) / interval_s) * interval_s)
        if off.max() <= TOLERANCE * interval_s:
            return start_s, interval_s
    i = int(np.argmax(off > TOLERANCE * interval_s))
    near = ", ".join(f"{t:g}" for t in times[max(0, i - 2) : i + 3])
    raise InputError(
        f"{where}: labels at {near} s are not {interval_s:g} s apart (within {TOLERANCE:.0%} of it); {REMEDY}"
    )


def _interval(times: np.ndarray) -> float:
    """Interval that the shortest gaps are of, made exact by ever longer ones and a straight line through all."""
    gaps = np.diff(times)
    interval_s = float(gaps.min())
    for most in (1.5, 10.0, np.inf):  # steps: with one gap alone, a long one could be a step more or less
        used = gaps[gaps <= most * interval_s]
        if len(used):
            interval_s = float(used.sum() / np.rint(used / interval_s).sum())
    steps = np.append(0, np.cumsum(np.rint(gaps / interval_s)))
    steps -= steps.mean()
    return round(float(steps @ times / (steps @ steps)), 9)


def on_grid(film: FilmLabels, movie_id: str, start_s: float, interval_s: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables of one film as `labels.label_stream` takes them, each label at the nearest label time.

    The label times go on to the end of the film, where its length is known, else to the last look. A time less
    than `TOLERANCE` of the interval before the end counts only if there is a label, since an inferred interval is
    not exact.

    Raises
    ------
    InputError
        For a label later than the film's end.
    """
    steps = np.rint((film.time_s - start_s) / interval_s).astype(np.int64)
    looked = np.rint((film.looked_s - start_s) / interval_s)
    last = int(looked.max(initial=-1))
    if math.isfinite(film.duration_s):
        count = math.ceil((film.duration_s - start_s) / interval_s - TOLERANCE)
        if last > count:
            raise InputError(
                f"{film.where}: labels until {film.looked_s.max():g} s of a film of "
                f"{film.duration_s:g} s: are they another film's?"
            )
    else:
        count = last + 1
    labels = pd.DataFrame(
        {
            "movie_id": pd.Categorical([movie_id]).repeat(len(steps)),
            "time_s": start_s + interval_s * steps,
            "label": film.label,
            "confidence": film.confidence,
        }
    )
    times = pd.DataFrame(
        {"movie_id": [movie_id], "start_s": [start_s], "interval_s": [interval_s], "count": [max(count, last + 1, 0)]}
    )
    return labels, times


def spans_on_grid(start_s: np.ndarray, stop_s: np.ndarray, interval_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Label times in each span [start, stop): multiples of the interval; for a span between two, the nearest.

    Returns
    -------
    time_s : float array (n,)
    span : int array (n,)
        Which span each time is in.
    """
    first = np.ceil(start_s / interval_s - 1e-6).astype(np.int64)
    last = np.ceil(stop_s / interval_s - 1e-6).astype(np.int64)
    missed = last <= first
    first[missed] = np.rint((start_s + stop_s)[missed] / 2 / interval_s).astype(np.int64)
    count = np.where(missed, 1, last - first)
    span = np.repeat(np.arange(len(count)), count)
    step = np.arange(len(span)) - np.repeat(np.cumsum(count) - count, count) + first[span]
    return step * interval_s, span


# Films imported so far, a Parquet file each, and the one sorted label stream that they are merged into.


def write_part(part: Path, film: FilmLabels, movie_id: str, grid: tuple[float, float], state: dict[str, Any]) -> None:
    """Write one film's labels, sorted.

    Parameters
    ----------
    part : Path
        ``<movie_id>.parquet``; its metadata hold label times, label names and `state`.
    film : FilmLabels
    movie_id : str
    grid : (start_s, interval_s)
    state : dict
        What the part was made from (as JSON has it), for `made_from`.
    """
    stream = label_stream(*on_grid(film, movie_id, *grid), film.where)
    times = {key: stream.times[key].iloc[0].item() for key in ("start_s", "interval_s", "count")}
    names = stream.labels["label"].cat.categories.tolist()
    made = json.dumps({"state": state, "times": times, "labels": names})
    code = stream.labels["label"].cat.codes.to_numpy().astype(np.int32)
    columns = {name: stream.labels[name].to_numpy() for name in ("time_s", "confidence")}
    table = pa.table(columns | {"label": code}).replace_schema_metadata({"made_from": made})
    with atomic(part) as temporary:
        pq.write_table(table, temporary)


def made_from(part: Path) -> dict[str, Any]:
    """Metadata of a part: `state`, `times` (`start_s, interval_s, count`) and `labels`, its label names."""
    return json.loads(pq.read_schema(part).metadata[b"made_from"])


def merge_parts(parts: Sequence[Path], folder: Path) -> None:
    """Write one sorted stream from the films' parts, a row group a film, one film in memory at a time.

    Parameters
    ----------
    parts : sequence of Path
        In the order of `movie_id`.
    folder : Path
        Where ``labels.parquet`` and ``label_times.parquet`` go.
    """
    made = {part.stem: made_from(part) for part in parts}
    movies, names = list(made), sorted(set().union(*(film["labels"] for film in made.values())))
    place = {name: i for i, name in enumerate(names)}
    text = pa.dictionary(pa.int32(), pa.string())
    schema = pa.schema({"movie_id": text, "time_s": pa.float64(), "label": text, "confidence": pa.float64()})
    with atomic(folder / "label_times.parquet") as times_file, atomic(folder / "labels.parquet") as labels_file:
        pd.DataFrame([{"movie_id": movie_id, **film["times"]} for movie_id, film in made.items()]).to_parquet(
            times_file, index=False
        )
        with pq.ParquetWriter(labels_file, schema) as writer:
            for i, part in enumerate(parts):
                rows = pq.read_table(part)
                code = np.array([place[name] for name in made[part.stem]["labels"]], dtype=np.int32)[rows["label"]]
                films = pa.DictionaryArray.from_arrays(np.full(len(rows), i, dtype=np.int32), pa.array(movies))
                labels = pa.DictionaryArray.from_arrays(code, pa.array(names, pa.string()))
                columns = [films, rows["time_s"], labels, rows["confidence"]]
                writer.write_table(pa.table(columns, schema=schema), row_group_size=max(1, len(rows)))
