"""How long associations last: labels that follow each other at a lag, within films and in time order.

Every lag uses the same first moments, those from which the longest lag still ends in the film; a film no
longer than the longest lag is left out. Subtracting a film's own rate shortens time scales that come near the
film's length: the rate then holds part of what it is subtracted from.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import sparse

from semanticcmc.configuration import InputError
from semanticcmc.labels import LabelStream, frequencies
from semanticcmc.timescales import TimescalesConfig, table


def association(stream: LabelStream, lags_s: Sequence[float], config: TimescalesConfig) -> pd.DataFrame:
    """How much oftener than by base rates different labels follow each other at a lag.

    Of all pairs of *different* labels a lag apart, J is the share of each, E what base rates lead to expect,
    and D = J - E their difference. The value is the part of D that is alike in other films at lag 0:
    ``sum(D(lag) D'(0) / E')``, D from one half of the films and D' from the other, averaged over splits and
    divided by the same of D(0) above the corpus base rate. It is linear in D, on the scale of covariances:
    if J changes with the lag by its strength alone, the curve is that strength; noise has mean 0, since no
    film meets itself. What follows a label later but is not seen together with it does not count.

    Parameters
    ----------
    stream : LabelStream
    lags_s : sequence of float
        Seconds; each is taken to the nearest multiple of its film's label interval.
    config : TimescalesConfig

    Returns
    -------
    DataFrame
        `measure` ("association"), `level` (`LEVELS`), `lag_s`, `value`, `ci_low`, `ci_high` (bootstrap over
        films), `null_low`, `null_high` (each label shifted on its own, circularly, within its film:
        pointwise). NaN where there is no association at lag 0 to take a share of.

    Raises
    ------
    InputError
        If fewer than two films are longer than the longest lag, or they have fewer than two labels.
    """
    names = pd.Index(sorted(frequencies(stream)["label"].iloc[: config.labels]))
    films = [stream.film(movie_id) for movie_id in stream.movies]
    films = [film for film in films if film["count"] > np.rint(max(lags_s) / film["interval_s"]) + 1]
    if len(films) < 2 or len(names) < 2:
        raise InputError(f"associations need two films with labels that are longer than the longest lag, "
                         f"{max(lags_s):g} s, and two labels; found {len(films)} and {len(names)}")  # fmt: skip
    moments = _Moments.of(stream, films, names, lags_s, config.step_s)
    generator = np.random.default_rng(config.seed)
    halves = generator.permuted(np.tile(np.arange(len(films)) < len(films) // 2, (config.splits, 1)), axis=1)
    found = moments.pairs(np.zeros((len(films), len(names)), dtype=np.int64))
    each_once = np.ones(len(films))
    strength = found.strength(found, each_once, halves)  # (levels, 1 + lags), the first of them lag 0
    scale = strength[1, 0] if strength[1, 0] > 0 else np.nan
    draws = generator.multinomial(len(films), each_once / len(films), size=config.bootstrap_samples)
    samples = np.array([found.strength(found, draw, halves) for draw in draws])
    samples /= np.where(samples[:, 1:, :1] > 0, samples[:, 1:, :1], np.nan)
    null = []
    for _ in range(config.null_samples):
        shifts = generator.integers(moments.counts[:, None], size=(len(films), len(names)))
        null.append(moments.pairs(shifts).strength(found, each_once, halves) / scale)
    return table("association", lags_s, (strength / scale)[:, 1:], samples[:, :, 1:],
                  np.array(null)[:, :, 1:], config)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class _Moments:
    """Labels of all films in one row of moments, film after film, and where pairs of moments lie in it."""

    steps: np.ndarray  # (n,) of a label's occurrence, in its film
    films: np.ndarray  # (n,)
    codes: np.ndarray  # (n,)
    starts: np.ndarray  # (films,) a film's first moment in the row
    counts: np.ndarray  # (films,)
    first: np.ndarray  # (pairs,) first moments, the same for every lag
    later: list[np.ndarray]  # (pairs,) for each lag; lag 0 is put before the lags asked for
    film_of_pair: np.ndarray  # (pairs,)
    labels: int

    @classmethod
    def of(cls, stream: LabelStream, films: Sequence[pd.Series], names: pd.Index, lags_s: Sequence[float],
           step_s: float) -> _Moments:  # fmt: skip
        counts = np.array([film["count"] for film in films], dtype=np.int64)
        starts = np.cumsum(counts) - counts
        every: list[tuple[np.ndarray, ...]] = []
        first, later = [], []
        for i, film in enumerate(films):
            rows = stream.labels.iloc[stream.rows[film["movie_id"]]]
            codes = names.get_indexer(pd.Index(rows["label"]))
            steps = np.rint((rows["time_s"].to_numpy() - film["start_s"]) / film["interval_s"]).astype(
                np.int64
            )
            every.append((steps[codes >= 0], np.full((codes >= 0).sum(), i), codes[codes >= 0]))
            lags = np.rint(np.append(0.0, lags_s) / film["interval_s"]).astype(np.int64)
            step = max(1, round(step_s / film["interval_s"]))
            first.append(starts[i] + np.arange(0, counts[i] - lags.max(), step))
            later.append(first[-1] + lags[:, None])
        steps, of_film, codes = (np.concatenate(part) for part in zip(*every, strict=True))
        film_of_pair = np.repeat(np.arange(len(films)), [len(part) for part in first])
        return cls(steps, of_film, codes, starts, counts, np.concatenate(first),
                   list(np.concatenate(later, axis=1)), film_of_pair, len(names))  # fmt: skip

    def pairs(self, shifts: np.ndarray) -> _Pairs:
        """Pairs counted with each label shifted circularly in its film by ``shifts`` (films, labels) steps."""
        n, films = self.labels, len(self.counts)
        steps = (self.steps + shifts[self.films, self.codes]) % self.counts[self.films]
        # A film's labels have columns of their own, so that one product counts the pairs of all films.
        ones, column = np.ones(len(steps), dtype=np.float32), self.films * n + self.codes
        presence = sparse.csr_array(
            (ones, (self.starts[self.films] + steps, column)), shape=(self.counts.sum(), films * n)
        )
        now = presence[self.first]
        pairs = _Pairs(
            np.empty((films, len(self.later), n, n), np.float32), *np.empty((2, films, len(self.later), n))
        )
        for k, moments in enumerate(self.later):
            later = presence[moments]
            both = (now.T @ later).tocoo()
            of_film, i, j = both.row // n, both.row % n, both.col % n
            different = i != j
            cell = (of_film * n + i) * n + j
            pairs.found[:, k] = np.bincount(cell[different], both.data[different], films * n * n).reshape(
                films, n, n
            )
            for rates, at in ((pairs.first, now), (pairs.second, later)):
                rates[:, k] = np.bincount(at.indices, minlength=films * n).reshape(films, n)
        return pairs


@dataclasses.dataclass(frozen=True)
class _Pairs:
    """Numbers of pairs of different labels by film and lag, and of the occurrences that they are made of."""

    found: np.ndarray  # (films, lags, labels, labels)
    first: np.ndarray  # (films, lags, labels)
    second: np.ndarray  # (films, lags, labels)

    def strength(self, lag_0: _Pairs, films: np.ndarray, halves: np.ndarray) -> np.ndarray:
        """Likeness to the lag 0 of other films by level and lag, (2, lags); NaN if all films are in one half.

        `films` counts how often each film is in; copies of one are never in both halves.
        """
        likeness = []
        for half in halves:
            inside, outside = films * half, films * ~half
            if inside.any() and outside.any():
                for one, other in ((inside, outside), (outside, inside)):
                    likeness.append(self._along(lag_0.pattern(other), one))
        return np.mean(likeness, axis=0) if likeness else np.full((2, self.found.shape[1]), np.nan)

    def pattern(self, films: np.ndarray) -> np.ndarray:
        """D / E of the first lag above the corpus base rate, (labels, labels); 0 where none is expected."""
        found = np.tensordot(films, self.found[:, 0], 1)
        expected = np.outer(films @ self.first[:, 0], films @ self.second[:, 0])
        np.fill_diagonal(expected, 0)
        expected *= found.sum() / max(expected.sum(), 1)
        return np.divide(found - expected, expected, out=np.zeros_like(expected), where=expected > 0)

    def _along(self, pattern: np.ndarray, films: np.ndarray) -> np.ndarray:
        """Sum of D times `pattern` over label pairs, by level and lag, without ever forming D; (2, lags)."""
        some = np.flatnonzero(films)
        weight = films[some] * 1.0
        found = weight @ np.tensordot(self.found[some], pattern.astype(np.float32), 2)
        total = self.total[some]
        own = weight @ (total * _expected_along(pattern, self.first[some], self.second[some]))
        first, second = (np.tensordot(weight, rates[some], 1) for rates in (self.first, self.second))
        common = (weight @ total) * _expected_along(pattern, first, second)
        return np.stack([found - own, found - common]) / np.maximum(weight @ total, 1)

    @functools.cached_property
    def total(self) -> np.ndarray:
        """Pairs of different labels, (films, lags)."""
        return self.found.sum(axis=(-2, -1), dtype=np.float64)


def _expected_along(pattern: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Sum of E times `pattern` (0 on its diagonal) where pairs of different labels follow rates alone; (...)."""
    whole = first.sum(axis=-1) * second.sum(axis=-1) - (first * second).sum(axis=-1)
    return ((first @ pattern) * second).sum(axis=-1) / np.maximum(whole, 1)
