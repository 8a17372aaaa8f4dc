"""The published estimators of how long associations and looks last, as they were, to be shown beside ours.

They serve comparisons on streams whose truth is known, and no other purpose: `semanticcmc.timescales` measures. What
was done is described in the authors' public code; each docstring says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import sparse

from semanticcmc.config import InputError


def set_order(time_ms: np.ndarray) -> np.ndarray:
    """Order in which time stamps come out of a Python set of integers, int64 (n,), indices into `time_ms`.

    What is wrong: a set has no order. CPython puts an integer into the slot of its table that its last bits name,
    so that a set's order is that of time stamps modulo the table's size, with collisions: rows are ordered in runs
    that jump through the film.

    Parameters
    ----------
    time_ms : int array (n,)
        Milliseconds, each once.
    """
    place = {int(time): i for i, time in enumerate(time_ms)}
    if len(place) != len(time_ms):
        raise ValueError("time_ms: expected no duplicate times")
    return np.array([place[time] for time in set(time_ms.tolist())], dtype=np.int64)


def association_r2(
    films: Sequence[np.ndarray | sparse.spmatrix], lags: Sequence[int], parts: int = 16, penalty: float = 1.0
) -> pd.DataFrame:
    """How well a ridge regression predicts the labels of a row from those of a row some way up, in sample.

    Films are laid end to end and cut into parts of whole films, about 6 each where there are 100. In every part
    the label vector is regressed on itself a number of rows earlier, with an intercept, and R2 taken on the very
    rows that the regression was fitted to, averaged over labels and parts.

    What is wrong: (1) pairs cross from film to film. At a lag of a share a of films of one length, 1 - a of the pairs
    stay in their film and a lead into the next one. Where films differ in how often each label occurs, the
    regression learns that difference, the few next films by heart: of what it explains at lag 0 it explains some
    ``(1 - a)^2 + a^2``, least at half a film and as much as ever at a whole one, however long associations last.
    (2) R2 is in sample: that of unrelated labels is about the number of labels over the number of rows, or more where
    rows resemble their neighbours. (3) It mixes a label's persistence with its association with others.
    (4) R2 grows with the square of a correlation, so that it has half the half-life of a covariance.

    Parameters
    ----------
    films : sequence of arrays (T, labels)
        Which labels are present at each time, in whatever order the rows have. Sparse arrays remain sparse:
        better for thousands of labels, slower for some dozens.
    lags : sequence of int
        In rows, from 0.
    parts : int
        At most as many as there are films.
    penalty : float
        Of the ridge regression, on the sum of squared coefficients.

    Returns
    -------
    DataFrame
        `lag` (rows), `mean_r2`, `parts` (those with more rows than the lag; a label that does not change within a part
        does not count there).
    """
    if not 1 <= parts <= len(films):
        raise InputError(f"{parts} parts of {len(films)} films: expected at most one part a film")
    found = np.full((parts, len(lags)), np.nan)
    for i, part in enumerate(np.array_split(np.arange(len(films)), parts)):
        rows = _end_to_end([films[film] for film in part])
        for k, lag in enumerate(lags):
            if rows.shape[0] - lag > 1:
                found[i, k] = _in_sample_r2(rows[: rows.shape[0] - lag], rows[lag:], penalty)
    return pd.DataFrame(
        {"lag": np.asarray(lags), "mean_r2": np.nanmean(found, axis=0), "parts": np.isfinite(found).sum(axis=0)}
    )


def _end_to_end(films: Sequence[np.ndarray | sparse.spmatrix]) -> np.ndarray | sparse.csr_array:
    """Films one after the other in float64, dense if they are."""
    if all(isinstance(film, np.ndarray) for film in films):
        return np.concatenate(films).astype(np.float64)
    return sparse.csr_array(sparse.vstack([sparse.csr_array(film, dtype=np.float64) for film in films]))


def _in_sample_r2(x: np.ndarray | sparse.csr_array, y: np.ndarray | sparse.csr_array, penalty: float) -> float:
    """Mean over columns of y of the R2 of ridge regression with intercept, on the rows that it was fitted to."""
    n = x.shape[0]
    x_mean, y_mean = (np.asarray(m.sum(axis=0)).ravel() / n for m in (x, y))
    products = (x.T @ x, x.T @ y)
    xx, xy = (one.toarray() if sparse.issparse(one) else one for one in products)
    xx, xy = xx - n * np.outer(x_mean, x_mean), xy - n * np.outer(x_mean, y_mean)
    squares = y.multiply(y) if isinstance(y, sparse.csr_array) else y * y
    total = np.asarray(squares.sum(axis=0)).ravel() - n * y_mean**2
    coefficients = np.linalg.solve(xx + penalty * np.eye(len(xx)), xy)
    residual = total - 2 * (coefficients * xy).sum(axis=0) + (coefficients * (xx @ coefficients)).sum(axis=0)
    changes = total > 1e-9 * n
    return float(np.mean(1 - residual[changes] / total[changes])) if changes.any() else np.nan


def rms_to_first_frame(
    pictures: np.ndarray, time_s: np.ndarray, lags_s: Sequence[float], frames_per_second: float
) -> np.ndarray:
    """RMS difference of a film's frames to its first frame, at whole seconds as the published code counted them.

    What is wrong: (1) the first frame is one picture, most often black or a studio's logo: that later frames are
    unlike it says nothing about how fast films change. (2) The mean of RMS differences over films is not the root of
    their mean square. (3) Frames a second were truncated to a whole number, so that the frame called second n is
    that of ``n * int(fps) / fps``: 23 frames for 23.976 put it 4 % too early, 4 min by the end of a film.

    Parameters
    ----------
    pictures : array (T, ...)
        Frames.
    time_s : array (T,)
        Seconds of the frames in the film, increasing.
    lags_s : sequence of float
        Seconds as the published code names them.
    frames_per_second : float
        Of the video file.

    Returns
    -------
    float64 array (lags,)
        In the pictures' units; NaN beyond the film's end.
    """
    seconds = np.asarray(lags_s, dtype=np.float64) * int(frames_per_second) / frames_per_second + time_s[0]
    step_s = np.median(np.diff(time_s)) if len(time_s) > 1 else 0.0
    nearest = np.abs(time_s[:, None] - seconds).argmin(axis=0)
    first = pictures[0].astype(np.float64)
    found = np.array([np.sqrt(np.mean((pictures[i].astype(np.float64) - first) ** 2)) for i in nearest])
    found[seconds > time_s[-1] + step_s / 2] = np.nan
    return found
