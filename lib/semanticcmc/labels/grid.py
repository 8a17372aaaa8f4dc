"""From the times at which a film was labelled to regular label times, and from films to one sorted stream.

Amazon Rekognition takes a frame about every 200 ms: its stamps are frame times in whole milliseconds (0, 208, 417,
584), regular only on average. Each stamp is moved to the nearest point of a regular grid; stamps further away than
`TOLERANCE` of the interval are refused, since their labels would get a wrong time.
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
from semanticcmc.labels.stream import label_stream, refuse_many, write_labels
from semanticcmc.run import atomic

TOLERANCE = 0.25  # of the interval
REMEDY = "state the interval in the experiment (labels.interval_s), or put the labels on one (a CSV)"


@dataclasses.dataclass(frozen=True)
class FilmLabels:
    """Labels of one film as its source states them, in any order: n of each of the first three."""

    time_s: np.ndarray
    label: np.ndarray  # of str
    confidence: np.ndarray  # 0 to 100
    duration_s: float  # length of the film, NaN where the source does not state it
    sampled_s: np.ndarray  # times at which the source looked for labels, whether or not it found any
    where: str  # file or folder, named in messages
    problem: str = ""  # why these may not be the film's labels, or hold none

    def __post_init__(self) -> None:
        confident = (self.confidence >= 0) & (self.confidence <= 100)
        if not confident.all():
            found = self.confidence[~confident][0]
            raise InputError(f"{self.where}: confidence {found:g} found; percent from 0 to 100 expected")
        if not (np.isfinite(self.time_s) & (self.time_s >= 0)).all():
            raise InputError(f"{self.where}: a label at {self.time_s.min():g} s; times from 0 expected")
        refuse_beyond(self.sampled_s.max(initial=0.0), self.duration_s, self.where)

    def confident(self, least_confidence: float) -> FilmLabels:
        """These labels without the less confident ones; `sampled_s` stays as it is."""
        kept = self.confidence >= least_confidence
        problem = self.problem or unsure(self.confidence, least_confidence, self.where)
        return dataclasses.replace(
            self, time_s=self.time_s[kept], label=self.label[kept], confidence=self.confidence[kept], problem=problem
        )

    def lasting(self, film_s: float) -> FilmLabels:
        """These labels for a film of `film_s`, whatever length their source states."""
        other = ""
        if abs(self.duration_s - film_s) > slack_s(film_s):
            other = f"labels of a film of {self.duration_s:g} s, but it has {film_s:g} s: are they another film's?"
        return dataclasses.replace(self, duration_s=film_s, problem=self.problem or other)


def unsure(confidence: np.ndarray, least_confidence: float, where: str) -> str:
    """Why none of a film's labels is confident enough; empty if one is. Shares of 1 are refused."""
    most = confidence.max(initial=-1.0)
    if not 0 <= most < least_confidence:
        return ""
    if most <= 1:
        raise InputError(f"{where}: no confidence above {most:g}; multiply by 100: percent expected")
    lost = f"none of {len(confidence)} labels has a confidence of {least_confidence:g} or more (at most {most:g})"
    return f"{lost}; lower labels.least_confidence"


def slack_s(film_s: float) -> float:
    """By how much labels may outlast a film, as sound or a rounded last event does."""
    return 1 + 0.01 * film_s


def refuse_beyond(until_s: float, film_s: float, where: str) -> None:
    """Refuse labels that go on after the film's end, unless its length is NaN."""
    if until_s > film_s + slack_s(film_s):
        until = f"labels until {until_s:g} s of a film of {film_s:g} s"
        raise InputError(f"{where}: {until}: are they another film's, or their times not in seconds?")


def sampling(sampled_s: np.ndarray, interval_s: float | None, where: str) -> tuple[float, float] | None:
    """Start and interval of the regular grid nearest to the sampled times; None for too few to tell the interval.

    Times are seconds, in any order, repeated or not. An interval that is not stated is inferred from at least two: the
    shortest difference of neighbouring times, made exact by the whole length, so that rounded stamps do not drift away
    from it. Raises InputError, which names `where`, for times that are on no regular grid within `TOLERANCE`.
    """
    times = np.unique(sampled_s)
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
    """Interval of the shortest gaps, made exact by longer ones and by a straight line through all times."""
    gaps = np.diff(times)
    interval_s = float(gaps.min())
    for most in (1.5, 10.0, np.inf):  # steps: from the shortest gap alone, a long one could be a step more or less
        used = gaps[gaps <= most * interval_s]
        if len(used):
            interval_s = float(used.sum() / np.rint(used / interval_s).sum())
    steps = np.append(0, np.cumsum(np.rint(gaps / interval_s)))
    steps -= steps.mean()
    return round(float(steps @ times / (steps @ steps)), 9)


def on_grid(film: FilmLabels, movie_id: str, start_s: float, interval_s: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables of one film for `stream.label_stream`, each label at the nearest label time.

    Label times end with the film, where its length is known, else with the last sampled time. A time less than
    `TOLERANCE` of the interval before the end counts only if it has a label, since an inferred interval is not exact.
    Labels a little after the end (`slack_s`) are left out. Raises InputError for too many label times
    (`stream.refuse_many`).
    """
    until_s = film.duration_s if math.isfinite(film.duration_s) else film.sampled_s.max(initial=0.0)
    refuse_many(until_s / interval_s, interval_s, film.where)
    steps, sampled = (
        np.rint((time_s - start_s) / interval_s).astype(np.int64) for time_s in (film.time_s, film.sampled_s)
    )
    count = 0
    if math.isfinite(film.duration_s):
        count = math.ceil((film.duration_s - start_s) / interval_s - TOLERANCE)
        sampled = sampled[sampled <= count]
    last = int(sampled.max(initial=-1))
    there = steps <= last
    steps = steps[there]
    seen = {"time_s": start_s + interval_s * steps, "label": film.label[there], "confidence": film.confidence[there]}
    labels = pd.DataFrame({"movie_id": pd.Categorical([movie_id]).repeat(len(steps))} | seen)
    grid = {"start_s": start_s, "interval_s": interval_s, "count": max(count, last + 1, 0)}
    return labels, pd.DataFrame([{"movie_id": movie_id} | grid])


def spans_on_grid(
    start_s: np.ndarray, stop_s: np.ndarray, interval_s: float, where: str | Path = "spans"
) -> tuple[np.ndarray, np.ndarray]:
    """Label times in each span [start, stop): multiples of the interval; for a span between two, the nearest one.

    Returns the times, float array (n,), and the number of each time's span, int array (n,).
    """
    for seconds in ((stop_s - start_s).sum(), stop_s.max(initial=0.0)):
        refuse_many(float(seconds) / interval_s, interval_s, where)
    first = np.ceil(start_s / interval_s - 1e-6).astype(np.int64)
    last = np.ceil(stop_s / interval_s - 1e-6).astype(np.int64)
    missed = last <= first
    first[missed] = np.rint((start_s + stop_s)[missed] / 2 / interval_s).astype(np.int64)
    count = np.where(missed, 1, last - first)
    span = np.repeat(np.arange(len(count)), count)
    step = np.arange(len(span)) - np.repeat(np.cumsum(count) - count, count) + first[span]
    return step * interval_s, span


# Films imported so far, a Parquet file each, and the sorted label stream of all --------------------------------


def write_part(part: Path, film: FilmLabels, grid: tuple[float, float], state: list[Any]) -> None:
    """Write one film's labels, sorted, on a `grid` of (start_s, interval_s), to `part`, ``<movie_id>.parquet``.

    Its metadata hold label times, the film's problem and `state`, what the part was made from.
    """
    stream = label_stream(*on_grid(film, part.stem, *grid), film.where)
    times = {key: stream.times[key].iloc[0].item() for key in ("start_s", "interval_s", "count")}
    made = json.dumps({"state": state, "times": times, "problem": film.problem})
    table = pa.Table.from_pandas(stream.labels.astype({"movie_id": str, "label": str}), preserve_index=False)
    with atomic(part) as temporary:
        pq.write_table(table.replace_schema_metadata({"made_from": made}), temporary)


def made_from(part: Path) -> dict[str, Any]:
    """Metadata of a part: `state`, `times` (`start_s, interval_s, count`) and `problem`."""
    return json.loads(pq.read_schema(part).metadata[b"made_from"])


def merge_parts(parts: Sequence[Path], folder: Path) -> None:
    """Write a label stream to `folder` from the parts of films."""
    times = pd.DataFrame([{"movie_id": part.stem, **made_from(part)["times"]} for part in parts])
    tables = (pq.read_table(part, read_dictionary=["movie_id", "label"]) for part in parts)
    labels = pa.concat_tables([table.replace_schema_metadata(None) for table in tables]).unify_dictionaries()
    write_labels(folder, labels.to_pandas(split_blocks=True), times)
