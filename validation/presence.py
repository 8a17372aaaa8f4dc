"""Which labels are present at which label times of films, as matrices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import sparse

from semanticcmc.labels.stream import LabelStream


def presence_matrix(stream: LabelStream, names: Sequence[str], movies: Sequence[str] | None = None) -> sparse.csr_array:
    """Which of the labels `names` are present at each label time of the films, bool csr_array (T, L).

    Parameters
    ----------
    names : sequence of str
        L labels; the columns, in this order.
    movies : sequence of str, optional
        Films whose label times are the rows, film after film; by default all, in the order of `stream.movies`.
    """
    column = pd.Index(names).get_indexer(stream.labels["label"].cat.categories).astype(np.int32)
    code, time_s = stream.labels["label"].cat.codes.to_numpy(), stream.labels["time_s"].to_numpy()
    rows, columns, total = [np.empty(0, np.int64)], [np.empty(0, np.int32)], 0
    for movie_id in stream.movies if movies is None else movies:
        film = stream.film(movie_id)
        columns.append(column[code[stream.rows[movie_id]]])
        step = np.rint((time_s[stream.rows[movie_id]] - film["start_s"]) / film["interval_s"]).astype(np.int64)
        rows.append((step + total)[columns[-1] >= 0])
        columns[-1] = columns[-1][columns[-1] >= 0]
        total += int(film["count"])
    row, column = np.concatenate(rows), np.concatenate(columns)
    return sparse.csr_array((np.ones(len(row), dtype=bool), (row, column)), shape=(total, len(names)))


def presence(stream: LabelStream, movie_id: str, names: Sequence[str]) -> np.ndarray:
    """Which of the labels `names` are present at each of a film's label times, bool array (T, L)."""
    return presence_matrix(stream, names, [movie_id]).toarray()
