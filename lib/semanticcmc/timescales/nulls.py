"""Associations of labels against chance: utterances shuffled within films, films paired anew, and what lasts longer.

Both nulls keep how often each film has each label. Shuffled utterances also keep which labels are uttered together, so
that they differ from the films in time alone; films paired anew keep each film's course, and what films share.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
from scipy import sparse

from semanticcmc.labels.stream import TIMES, LabelStream, label_stream
from semanticcmc.timescales.curves import TimescalesConfig
from semanticcmc.timescales.decay import first_below_half, with_interval
from semanticcmc.timescales.pairs import LabelPairs


def shuffle_utterances(stream: LabelStream, generator: np.random.Generator) -> LabelStream:
    """The stream with the utterances of each film in another order.

    An utterance is all labels that start at one label time; each label lasts while it is there without a gap. The times
    at which utterances start stay, and so do their labels and how long these last; what would outlast the film is cut.
    Labels of one name that then overlap are one.
    """
    code, time_s = stream.labels["label"].cat.codes.to_numpy(), stream.labels["time_s"].to_numpy().copy()
    there = np.ones(len(code), dtype=bool)
    films = zip(*(stream.times[name].tolist() for name in TIMES), strict=True)
    for movie_id, start_s, interval_s, count in films:
        rows = stream.rows[movie_id]
        step = np.rint((time_s[rows] - start_s) / interval_s).astype(np.int64)
        order = np.lexsort((step, code[rows]))
        at = step[order]
        begins = np.flatnonzero((np.diff(code[rows][order], prepend=-1) != 0) | (np.diff(at, prepend=-2) != 1))
        starts, utterance = np.unique(at[begins], return_inverse=True)
        later = generator.permutation(starts)[utterance] - at[begins]
        step[order] = at + np.repeat(later, np.diff(begins, append=len(at)))
        time_s[rows] = start_s + interval_s * step
        there[rows] = step < count
    return label_stream(stream.labels.assign(time_s=time_s)[there], stream.times)


def pair_films_anew(pairs: LabelPairs, generator: np.random.Generator) -> LabelPairs:
    """The same counts, but second moments are those of another film, at the same time of it.

    All films are put in a circle in random order, so that none is paired with itself; a pair of films takes part in a
    lag as far as both last. Needs at least two films, as `label_pairs` does.
    """
    circle = generator.permutation(len(pairs.movies))
    partner = dict(zip(circle, np.roll(circle, -1), strict=True))
    seen = [sparse.csr_array(film) for film in pairs.presence]
    count = np.zeros_like(pairs.count)
    first, second, both = np.zeros_like(pairs.first), np.zeros_like(pairs.second), np.zeros_like(pairs.both)
    for i, now in enumerate(seen):
        other = seen[partner[i]]
        time_s = np.arange(now.shape[0]) * pairs.step_s[i]
        for k, lag_s in enumerate(pairs.lags_s):
            at = np.rint((time_s + lag_s) / pairs.step_s[partner[i]]).astype(np.int64)
            at = at[at < other.shape[0]]
            held, later = now[: len(at)], other[at]
            count[k, i] = len(at)
            first[k, i], second[k, i] = held.sum(axis=0), later.sum(axis=0)
            both[k, i] = (held.T @ later).toarray()
    return dataclasses.replace(pairs, count=count, first=first, second=second, both=both)


class TimeScale(NamedTuple):
    """How long a curve lasts, seconds, with intervals over bootstrap samples; NaN where it cannot be told."""

    half_strength_s: float
    half_strength_low_s: float
    half_strength_high_s: float
    last_above_null_s: float
    last_above_null_low_s: float
    last_above_null_high_s: float


def time_scale(
    lags_s: np.ndarray, value: np.ndarray, samples: np.ndarray, null: np.ndarray, config: TimescalesConfig
) -> TimeScale:
    """Lag at which a curve is down to half of its value at lag 0, and the last lag at which it is above its null.

    Above is above the upper bound of the central `config.confidence` of the null; the last lag is the end of the first
    run of lags above, since at lag 0, or within an utterance, null and films may be the same. Intervals hold the
    central `config.confidence` of the bootstrap samples of films, the null's bound being held.

    Parameters
    ----------
    lags_s : array, shape (lags,)
        Rising, the first of them 0.
    value, samples, null : array, shapes (lags,), (draws, lags) and (nulls, lags)
        The curve, for films drawn with replacement, and where nothing lasts.
    """
    half = (first_below_half(lags_s, value[None])[0], first_below_half(lags_s, samples))
    bound = config.band(null)[1]
    last = last_above(lags_s, np.concatenate([value[None], samples]), bound)
    return TimeScale(*with_interval(*half, config), *with_interval(last[0], last[1:], config))


def last_above(lags_s: np.ndarray, values: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """Last lag of the first run of lags at which values (rows, lags) are above the bound (lags,); NaN without one."""
    above = values > bound
    start = above.argmax(axis=1)
    after = ~above & (np.arange(len(lags_s)) > start[:, None])
    end = np.where(after.any(axis=1), after.argmax(axis=1), len(lags_s)) - 1
    return np.where(above.any(axis=1), np.asarray(lags_s, dtype=np.float64)[end], np.nan)
