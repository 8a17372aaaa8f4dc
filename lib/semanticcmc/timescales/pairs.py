"""How often labels follow each other at a lag: counts by film and lag, from which associations are made.

Counts are sufficient: a bootstrap over films only weights them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import sparse

from semanticcmc.config import InputError
from semanticcmc.labels.stream import LabelStream
from semanticcmc.timescales.curves import Curve, TimescalesConfig


@dataclasses.dataclass(frozen=True)
class LabelPairs:
    """Numbers of pairs of moments a lag apart within films, and of the labels seen at them.

    A film takes part in a lag with all its pairs of moments; where it is not longer than the lag it has none. Counts
    are float32, but `count`.
    """

    movies: tuple[str, ...]
    names: tuple[str, ...]  # the labels
    lags_s: np.ndarray  # (lags,), the first is 0
    count: np.ndarray  # (lags, films): pairs of moments, float64
    first: np.ndarray  # (lags, films, labels): first moments of pairs that have the label
    second: np.ndarray  # (lags, films, labels): second moments
    both: np.ndarray  # (lags, films, labels, labels): the first moment has the one label, the second the other
    presence: list[np.ndarray]  # (moments, labels) of each film, at the moments that serve as first ones
    duration_s: np.ndarray  # (films,)
    interval_s: float  # between label sets, the longest of all films'
    step_s: np.ndarray  # (films,): between first moments

    @property
    def rates(self) -> np.ndarray:
        """Share of all first moments that have each label, float64 (labels,)."""
        return self.first[0].sum(axis=0, dtype=np.float64) / self.count[0].sum()

    def curve(self, measure: str, value: np.ndarray, decay: np.ndarray, null: tuple[np.ndarray, np.ndarray]) -> Curve:
        """A measure's `Curve`; the arrays are those of `Curve.of`."""
        spans = {"duration_s": self.duration_s, "interval_s": self.interval_s}
        return Curve.of(measure, value, decay, null, lags_s=self.lags_s, pairs=self.count.T, **spans)


def label_pairs(stream: LabelStream, lags_s: Sequence[float], config: TimescalesConfig) -> LabelPairs:
    """Count the pairs of labels at each lag in each film.

    Lags are seconds, rising, the first of them 0 (`curves.lag_grid`); each is taken to the nearest multiple of its
    film's label interval. Raises InputError if fewer than two films have label sets, or they have fewer than two labels
    of `config.min_confidence`.
    """
    if not len(lags_s) or lags_s[0] != 0 or np.any(np.diff(lags_s) <= 0):
        raise ValueError(f"lags_s {list(lags_s)}: expected 0 first, then rising")
    sure = stream.labels["confidence"].to_numpy() >= config.min_confidence
    label = pd.Categorical(stream.labels["label"])  # of text or already of categories
    often = np.bincount(label.codes[sure], minlength=len(label.categories))
    # Equal counts are taken in the order of names, so that the choice does not depend on that of films.
    counted = enumerate(zip(often, label.categories, strict=True))
    found = sorted((-count, name, code) for code, (count, name) in counted if count)
    chosen = sorted((name, code) for _, name, code in found[: config.labels])
    names = tuple(str(name) for name, _ in chosen)
    films = stream.times[stream.times["count"] > 1].reset_index(drop=True)
    if len(films) < 2 or len(names) < 2:
        raise InputError(
            f"associations need two films with label sets and two labels of confidence {config.min_confidence:g} or "
            f"more; found {len(films)} and {len(names)}; lower timescales.min_confidence or give more films"
        )
    column = np.full(len(label.categories), -1)
    column[[code for _, code in chosen]] = np.arange(len(names))
    step = np.maximum(1, np.rint(config.step_s / films["interval_s"].to_numpy())).astype(np.int64)
    n, shape = len(names), (len(lags_s), len(films))
    count = np.zeros(shape)
    first, second = np.zeros((2, *shape, n), dtype=np.float32)
    both = np.zeros((*shape, n, n), dtype=np.float32)
    kept, time_s = [], stream.labels["time_s"].to_numpy()
    for i, (movie_id, start_s, every_s, moments) in enumerate(
        zip(*(films[name].tolist() for name in ("movie_id", "start_s", "interval_s", "count")), strict=True)
    ):
        rows = stream.rows[movie_id]
        code = np.where(sure[rows], column[label.codes[rows]], -1)
        moment = np.rint((time_s[rows] - start_s) / every_s).astype(np.int64)
        seen = np.zeros((moments, n), dtype=np.float32)
        seen[moment[code >= 0], code[code >= 0]] = 1
        now = seen[:: step[i]].copy()
        kept.append(now)
        few_now, few = sparse.csr_array(now), sparse.csr_array(seen)  # few labels at a time: many times faster
        for k, lag_s in enumerate(lags_s):
            later = seen[round(lag_s / every_s) :: step[i]]
            if not len(later):
                break
            held = now[: len(later)]
            count[k, i] = len(later)
            first[k, i], second[k, i] = held.sum(axis=0), later.sum(axis=0)
            both[k, i] = (few_now[: len(later)].T @ few[round(lag_s / every_s) :: step[i]]).toarray()
    interval_s = films["interval_s"].to_numpy()
    movies, counts = tuple(films["movie_id"].astype(str)), (count, first, second, both)
    spans_s = (films["count"].to_numpy() * interval_s, float(interval_s.max()), step * interval_s)
    return LabelPairs(movies, names, np.asarray(lags_s, dtype=np.float64), *counts, kept, *spans_s)


def times_as_often(pairs: LabelPairs) -> np.ndarray:
    """How many times as often labels follow each other as if each followed its film's rate alone.

    It is float64 (lags, labels, labels), a row a label now, a column a label a lag later; 1: as often as by chance.
    What belongs to the film ("this film has horses") is in the rates, so that it does not show. NaN where no film has
    both.
    """
    share = 1 / np.maximum(pairs.count, 1)
    expected = np.einsum("kfi,kfj,kf->kij", pairs.first, pairs.second, share, dtype=np.float64)
    found = pairs.both.sum(axis=1, dtype=np.float64)
    return np.divide(found, expected, out=np.full(found.shape, np.nan), where=expected > 0)
