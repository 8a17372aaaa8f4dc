"""How often labels follow each other at a lag: counts by film, from which associations are made."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import sparse

from semanticcmc.configuration import InputError
from semanticcmc.labels import LabelStream


@dataclasses.dataclass(frozen=True)
class LaggedCounts:
    """Pairs of labels of one film, the second a lag after the first.

    Attributes
    ----------
    names : tuple of str
        L labels.
    movies : tuple of str
        F films.
    lag_s : float
    together : float32 array (F, L, L)
        Pairs of moments of which the first shows label i and the second label j; whole numbers.
    moments : int64 array (F,)
        Pairs of moments; 0 for a film no longer than the lag.
    """

    names: tuple[str, ...]
    movies: tuple[str, ...]
    lag_s: float
    together: np.ndarray
    moments: np.ndarray


def lagged_counts(
    stream: LabelStream, names: Sequence[str], lag_s: float, step_s: float = 0.0
) -> LaggedCounts:
    """Count pairs of labels a lag apart, film by film; no pair joins two films.

    Parameters
    ----------
    stream : LabelStream
    names : sequence of str
        The labels counted; others are passed over.
    lag_s : float
        Seconds from the first moment to the second, taken to the nearest multiple of a film's label interval.
    step_s : float
        Time between first moments; 0 for every one. Label sets in between add next to nothing.

    Returns
    -------
    LaggedCounts

    Raises
    ------
    InputError
        For a lag below 0 or shorter than half a label interval, or a label named twice.
    """
    columns = pd.Index(names)
    if columns.has_duplicates:
        raise InputError(f"label {columns[columns.duplicated()][0]!r} is asked for twice")
    together = np.zeros((len(stream.movies), len(names), len(names)), dtype=np.float32)
    moments = np.zeros(len(stream.movies), dtype=np.int64)
    for i, movie_id in enumerate(stream.movies):
        film = stream.film(movie_id)
        count, interval_s = int(film["count"]), float(film["interval_s"])
        lag, step = round(lag_s / interval_s), max(1, round(step_s / interval_s))
        if lag_s < 0 or (lag_s > 0 and lag == 0):
            raise InputError(
                f"lag_s {lag_s}: 0, or at least half a label interval ({interval_s:g} s in {movie_id})"
            )
        first = np.arange(0, max(count - lag, 0), step)
        if not len(first):
            continue
        labels = stream.labels.iloc[stream.rows[movie_id]]
        column = columns.get_indexer(pd.Index(labels["label"]))
        row = np.rint((labels["time_s"].to_numpy() - film["start_s"]) / interval_s).astype(np.int64)[
            column >= 0
        ]
        shown = sparse.csr_array(
            (np.ones(len(row), dtype=np.float32), (row, column[column >= 0])), (count, len(names))
        )
        together[i] = (shown[first].T @ shown[first + lag]).toarray()
        moments[i] = len(first)
    return LaggedCounts(tuple(names), stream.movies, float(lag_s), together, moments)
