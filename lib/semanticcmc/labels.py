"""Label streams: what is seen in a film and when, sorted in time, with the times at which nothing was seen.

``labels.parquet`` has one row a label and time (`movie_id, time_s, label, confidence`), sorted.
``label_times.parquet`` has one row a film (`movie_id, start_s, interval_s, count`): its label sets lie at
``start_s + i * interval_s`` for i from 0 to ``count - 1``, whether or not any label was found there.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from semanticcmc.configuration import InputError
from semanticcmc.experiments import Experiment
from semanticcmc.run import atomic

LABELS = ("movie_id", "time_s", "label", "confidence")
TIMES = ("movie_id", "start_s", "interval_s", "count")


@dataclasses.dataclass(frozen=True)
class LabelsConfig:
    """Where the labels of an experiment's films come from.

    Attributes
    ----------
    file : Path or None
        Folder with `labels.parquet` and `label_times.parquet`; None where the films have no labels, and for
        the world, which writes its own.
    """

    file: Path | None


@dataclasses.dataclass(frozen=True)
class LabelStream:
    """Labels of films in time.

    Attributes
    ----------
    labels : DataFrame
        `movie_id, time_s, label, confidence`, sorted by film, time and label, one row a label and time.
    times : DataFrame
        `movie_id, start_s, interval_s, count`, sorted by film: the times of its label sets.
    """

    labels: pd.DataFrame
    times: pd.DataFrame

    @property
    def movies(self) -> tuple[str, ...]:
        """The films, sorted; also those without any label."""
        return tuple(self.times["movie_id"])

    def time_s(self, movie_id: str) -> np.ndarray:
        """Seconds of a film's label sets, float64 (T,)."""
        film = self.film(movie_id)
        return film["start_s"] + film["interval_s"] * np.arange(film["count"])

    @functools.cached_property
    def rows(self) -> dict[str, slice]:
        """Rows of `labels` that are each film's."""
        films = pd.Index(self.times["movie_id"]).get_indexer(pd.Index(self.labels["movie_id"]))
        ends = np.searchsorted(films, np.arange(len(self.times) + 1)).tolist()
        return {movie_id: slice(*ends[i : i + 2]) for i, movie_id in enumerate(self.movies)}

    def film(self, movie_id: str) -> pd.Series:
        """Row of `times` of one film."""
        rows = self.times[self.times["movie_id"] == movie_id]
        if not len(rows):
            raise InputError(
                f"no film {movie_id!r} in the label stream; there are {', '.join(self.movies[:20])}"
            )
        return rows.iloc[0]


def label_stream(
    labels: pd.DataFrame, times: pd.DataFrame, where: str | Path = "label stream"
) -> LabelStream:
    """A label stream from tables in any order, checked and sorted.

    Of a label that stands twice at one time the highest confidence is kept.

    Parameters
    ----------
    labels : DataFrame
        `movie_id, time_s, label, confidence` (0 to 100).
    times : DataFrame
        `movie_id, start_s, interval_s, count`, one row a film.
    where : str or Path
        Named in messages.

    Raises
    ------
    InputError
        For a missing column, a film without a row in `times`, a label off its film's times.
    """
    for table, columns in ((labels, LABELS), (times, TIMES)):
        if missing := [name for name in columns if name not in table]:
            raise InputError(f"{where}: column {', '.join(missing)} missing; expected {', '.join(columns)}")
    times = times[list(TIMES)].sort_values("movie_id", ignore_index=True)
    if twice := times.loc[times["movie_id"].duplicated(), "movie_id"].tolist():
        raise InputError(f"{where}: film {twice[0]!r} stands twice in the label times")
    bad = times[~((times["interval_s"] > 0) & (times["count"] >= 0))]
    if len(bad):
        raise InputError(
            f"{where}: film {bad['movie_id'].iloc[0]!r}: interval_s above 0 and count from 0 expected"
        )
    film = pd.Index(times["movie_id"]).get_indexer(pd.Index(labels["movie_id"]))
    if (film < 0).any():
        raise InputError(
            f"{where}: film {labels['movie_id'].to_numpy()[film < 0][0]!r} has labels but no label times"
        )
    time_s = labels["time_s"].to_numpy(dtype=np.float64)
    start_s, interval_s, count = (times[name].to_numpy()[film] for name in ("start_s", "interval_s", "count"))
    step = (time_s - start_s) / interval_s
    with np.errstate(invalid="ignore"):
        wrong = ~((np.abs(step - np.rint(step)) < 0.01) & (step > -0.5) & (step < count - 0.5))
    if wrong.any():
        i = int(np.argmax(wrong))
        film_name = labels["movie_id"].iloc[i]
        raise InputError(f"{where}: film {film_name!r} has a label at {time_s[i]} s, none of its label times")
    confidence = labels["confidence"].to_numpy(dtype=np.float64)
    if not ((confidence >= 0) & (confidence <= 100)).all():
        raise InputError(f"{where}: confidence from 0 to 100 expected")
    # Sorting whole numbers is many times faster than sorting text.
    codes, _ = pd.factorize(labels["label"], sort=True)
    if (codes < 0).any():
        raise InputError(f"{where}: a label is missing")
    order = np.lexsort((-confidence, codes, np.rint(step).astype(np.int64), film))
    film, step_i, codes = film[order], np.rint(step[order]).astype(np.int64), codes[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (np.diff(film) != 0) | (np.diff(step_i) != 0) | (np.diff(codes) != 0)
    order = order[first]
    return LabelStream(labels[list(LABELS)].iloc[order].reset_index(drop=True), times)


def write_labels(folder: str | Path, labels: pd.DataFrame, times: pd.DataFrame) -> LabelStream:
    """Write ``labels.parquet`` and ``label_times.parquet``, sorted whatever came in; see `label_stream`."""
    stream = label_stream(labels, times, folder)
    for name, table in (("labels", stream.labels), ("label_times", stream.times)):
        with atomic(Path(folder) / f"{name}.parquet") as temporary:
            table.to_parquet(temporary, index=False)
    return stream


def read_labels(folder: str | Path) -> LabelStream:
    """Read a label stream, sorted whatever order the files have."""
    tables = {}
    for name in ("labels", "label_times"):
        path = Path(folder) / f"{name}.parquet"
        if not path.exists():
            raise InputError(
                f"{path}: no such file; a label stream has labels.parquet and label_times.parquet"
            )
        try:
            tables[name] = pq.read_table(path).to_pandas()
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{path}: not readable as Parquet ({error}); make it again") from error
    return label_stream(tables["labels"], tables["label_times"], folder)


def experiment_labels(experiment: Experiment) -> LabelStream | None:
    """The label stream of an experiment; None where its films have no labels."""
    if experiment.source == "world":
        return read_labels(experiment.folder / "labels")
    file = experiment.section("labels", LabelsConfig).file
    return None if file is None else read_labels(file)


def presence(stream: LabelStream, movie_id: str, names: Sequence[str]) -> np.ndarray:
    """Which of the labels `names` stand at each of a film's label times.

    Parameters
    ----------
    stream : LabelStream
    movie_id : str
    names : sequence of str
        L labels; the columns, in this order.

    Returns
    -------
    bool array (T, L)
    """
    film = stream.film(movie_id)
    out = np.zeros((int(film["count"]), len(names)), dtype=bool)
    labels = stream.labels.iloc[stream.rows[movie_id]]
    column = pd.Index(names).get_indexer(pd.Index(labels["label"]))
    step = np.rint((labels["time_s"].to_numpy() - film["start_s"]) / film["interval_s"]).astype(np.int64)
    out[step[column >= 0], column[column >= 0]] = True
    return out


def frequencies(stream: LabelStream) -> pd.DataFrame:
    """How often each label occurs.

    Returns
    -------
    DataFrame
        `label, count` (label times that have it), `fraction` (of all label times), `movies` (films that
        have it); most frequent first, then by name.
    """
    groups = stream.labels.groupby("label")["movie_id"].agg(["size", "nunique"]).reset_index()
    groups.columns = pd.Index(["label", "count", "movies"])
    groups["fraction"] = groups["count"] / stream.times["count"].sum()
    return groups.sort_values(["count", "label"], ascending=[False, True], ignore_index=True)[
        ["label", "count", "fraction", "movies"]
    ]
