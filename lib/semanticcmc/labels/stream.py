"""Label streams: what is seen in a film and when, sorted in time, with the times at which nothing was seen.

``labels.parquet`` has one row a label and time (`movie_id, time_s, label, confidence`), sorted; film and label are
dictionary codes, so that tens of millions of rows fit into a GiB of memory. ``label_times.parquet`` has one row a film
(`movie_id, start_s, interval_s, count`): it was labelled at ``start_s + i * interval_s`` for i from 0 to ``count - 1``,
whether or not any label was found.
"""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from semanticcmc.config import InputError, NotNegative, Percent, Positive, Section
from semanticcmc.experiment import Experiment
from semanticcmc.run import atomic, small_table

LABELS = ("movie_id", "time_s", "label", "confidence")
TIMES = ("movie_id", "start_s", "interval_s", "count")
MOST = 20_000_000  # label sets of a film, and those of all its spans; more are a wrong unit


@dataclasses.dataclass(frozen=True)
class LabelsConfig(Section):
    """Which labels films have: section ``labels`` of an experiment, explained in base.yaml."""

    path: Path | None
    interval_s: Positive | None
    least_confidence: Percent
    parents: bool
    event_columns: tuple[str, ...]
    join_runs: bool
    nouns: Path | None
    widen_s: tuple[NotNegative, NotNegative]


@dataclasses.dataclass(frozen=True)
class LabelStream:
    """Labels of films in time; tables as of the module."""

    labels: pd.DataFrame  # `LABELS`, sorted by film, time and label, one row a label and time; film, label categorical
    times: pd.DataFrame  # `TIMES`, sorted by film: the times of its label sets

    def __repr__(self) -> str:
        distinct = self.labels["label"].nunique()
        return f"LabelStream: {len(self.movies)} films, {len(self.labels):,} labels, {distinct} of them distinct"

    def _repr_html_(self) -> str:
        """What a notebook shows: the most frequent labels."""
        most = frequencies(self).head(8).set_index("label")["count"]
        return small_table([(repr(self), ""), *((label, f"{count:,} times") for label, count in most.items())])

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
        films = self.labels["movie_id"].cat.codes.to_numpy()
        ends = np.searchsorted(films, np.arange(len(self.times) + 1)).tolist()
        return {movie_id: slice(*ends[i : i + 2]) for i, movie_id in enumerate(self.movies)}

    def film(self, movie_id: str) -> pd.Series:
        """Row of `times` of one film."""
        if movie_id not in self.movies:
            raise InputError(f"no film {movie_id!r} in the label stream; there are {', '.join(self.movies[:20])}")
        return self.times.iloc[self.movies.index(movie_id)]


def label_stream(labels: pd.DataFrame, times: pd.DataFrame, where: str | Path = "label stream") -> LabelStream:
    """A label stream from tables in any order, checked and sorted; of duplicate labels the most confident one is kept.

    `labels` has `movie_id, time_s, label, confidence` (0 to 100), `times` has `movie_id, start_s, interval_s, count`,
    one row a film; `where` is named in messages. Raises InputError for a missing column, a film without a row in
    `times`, a label off its film's times.
    """
    for table, columns in ((labels, LABELS), (times, TIMES)):
        if missing := [name for name in columns if name not in table]:
            raise InputError(f"{where}: column {', '.join(missing)} missing; expected {', '.join(columns)}")
    times = times[list(TIMES)].sort_values("movie_id", ignore_index=True)
    if twice := times.loc[times["movie_id"].duplicated(), "movie_id"].tolist():
        raise InputError(f"{where}: two rows of film {twice[0]!r} in the label times")
    if len(bad := times[~((times["interval_s"] > 0) & (times["count"] >= 0))]):
        raise InputError(f"{where}: film {bad['movie_id'].iloc[0]!r}: interval_s above 0 and count from 0 expected")
    for _, row in times.iterrows():
        refuse_many(row["count"], row["interval_s"], f"{where}, film {row['movie_id']!r}")
    film, films = _codes(labels["movie_id"])
    if (film < 0).any():
        raise InputError(f"{where}: a label has no movie_id")
    if unknown := sorted(set(films) - set(times["movie_id"])):
        raise InputError(f"{where}: film {unknown[0]!r} has labels but no label times")
    film = pd.Index(times["movie_id"]).get_indexer(films).astype(np.min_scalar_type(-len(times) - 1))[film]
    time_s = labels["time_s"].to_numpy(dtype=np.float64)
    # Tens of millions of rows: arrays of a few hundred MiB each, so they are changed in place.
    step = time_s - times["start_s"].to_numpy()[film]
    step /= times["interval_s"].to_numpy()[film]
    with np.errstate(invalid="ignore"):
        right = (step > -0.5) & (step < times["count"].to_numpy()[film] - 0.5)
        right &= np.abs(step - np.rint(step)) < 0.01
    if not right.all():
        i = int(np.argmin(right))
        film_name = labels["movie_id"].iloc[i]
        raise InputError(f"{where}: film {film_name!r} has a label at {time_s[i]} s, none of its label times")
    confidence = labels["confidence"].to_numpy(dtype=np.float64)
    if not ((confidence >= 0) & (confidence <= 100)).all():
        raise InputError(f"{where}: confidence from 0 to 100 expected")
    code, names = _codes(labels["label"])
    if (code < 0).any():
        raise InputError(f"{where}: a label is missing")
    # One whole number a row, in the order wanted: sorting it is many times faster than sorting text.
    place = np.rint(step, out=step).astype(np.int64)
    place += film.astype(np.int64) * int(times["count"].max() if len(times) else 0)
    place *= max(1, len(names))
    place += code
    if not (place[1:] > place[:-1]).all():
        order = np.lexsort((-confidence, place))
        order = order[np.diff(place[order], prepend=-1) > 0]
        film, time_s, code, confidence = film[order], time_s[order], code[order], confidence[order]
    movie_id = pd.Categorical.from_codes(film, categories=pd.Index(times["movie_id"]))
    label = pd.Categorical.from_codes(code, categories=names)
    kept = {"movie_id": movie_id, "time_s": time_s, "label": label, "confidence": confidence}
    return LabelStream(pd.DataFrame(kept, copy=False), times)


def refuse_many(sets: float, interval_s: float, where: str | Path) -> None:
    """Refuse more than `MOST` label sets of a film, before arrays of them fill the memory."""
    if not sets <= MOST:
        found = f"{sets:.3g} label sets, one every {interval_s:g} s"
        raise InputError(f"{where}: {found}; at most {MOST:,} are read; correct the times, or labels.interval_s")


def _codes(values: pd.Series) -> tuple[np.ndarray, pd.Index]:
    """Text as places in the sorted list of its distinct values; -1 where it is missing."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        codes, found = values.cat.codes.to_numpy(), values.cat.categories
    else:
        codes, found = pd.factorize(values)
    used = np.flatnonzero(np.bincount(codes[codes >= 0], minlength=len(found)))
    order = used[np.argsort(found[used].to_numpy(dtype=object))]
    rank = np.full(len(found) + 1, -1, dtype=np.min_scalar_type(-len(found) - 1))
    rank[order] = np.arange(len(order))
    return rank[codes], found[order]  # the last of rank, -1, is for the code -1


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
        if not path.is_file():
            raise InputError(f"{path}: no such file; a label stream has labels.parquet and label_times.parquet")
        try:
            table = pq.read_table(path, read_dictionary=["movie_id", "label"] if name == "labels" else None)
            tables[name] = table.unify_dictionaries().to_pandas(split_blocks=True)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{path}: not readable as Parquet ({error}); make it again") from error
    return label_stream(tables["labels"], tables["label_times"], folder)


def experiment_labels(experiment: Experiment) -> LabelStream | None:
    """The label stream of an experiment; None where its films have no labels.

    Raises InputError if the labels that the experiment names have not been imported.
    """
    folder = experiment.folder / "labels"
    if experiment.source != "world":
        if experiment.section("labels", LabelsConfig).path is None:
            return None
        if not (folder / "labels.parquet").exists():
            raise InputError(
                f"{folder}: no labels yet; make poster imports them, and so does semanticcmc labels {experiment.file}"
            )
    return read_labels(folder)


def frequencies(stream: LabelStream) -> pd.DataFrame:
    """How often each label occurs.

    `label, count` (of label times with it), `fraction` (of all label times), `movies` (number of films with it); most
    frequent first, then by name.
    """
    names, code = stream.labels["label"].cat.categories, stream.labels["label"].cat.codes.to_numpy()
    counts, movies = np.zeros((2, len(names)), dtype=np.int64)
    for rows in stream.rows.values():
        of_film = np.bincount(code[rows], minlength=len(names))
        counts += of_film
        movies += of_film > 0
    seen = {"count": counts, "fraction": counts / stream.times["count"].sum(), "movies": movies}
    table = pd.DataFrame({"label": pd.Index(names.to_numpy(dtype=object), dtype="str")} | seen)
    return table.sort_values(["count", "label"], ascending=[False, True], ignore_index=True)
