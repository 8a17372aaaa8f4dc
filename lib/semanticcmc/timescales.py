"""How long looks and associations last: similarity and co-occurrence by lag, within films and in time order.

Every lag uses the same first moments, those from which the longest lag still ends in the film; a film no
longer than the longest lag is left out. Two levels differ in what is subtracted: above the ``film base rate``
is what belongs to the moment ("this minute has horses"); above the ``corpus base rate`` there is also what
belongs to the film ("this film has horses"). Subtracting a film's own rate shortens time scales that come
near the film's length: the rate then holds part of what it is subtracted from.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from scipy import sparse

from semanticcmc.configuration import InputError
from semanticcmc.frames import FrameStore
from semanticcmc.labels import LabelStream, frequencies
from semanticcmc.pairs import lagged_pairs

LEVELS = ("film base rate", "corpus base rate")
COLUMNS = ["measure", "level", "lag_s", "value", "ci_low", "ci_high", "null_low", "null_high"]


@dataclasses.dataclass(frozen=True)
class TimescalesConfig:
    """How persistence is estimated.

    Attributes
    ----------
    lags_s : tuple of float
        Lags, seconds.
    labels : int
        Number of labels used, the most frequent ones.
    step_s : float
        Time between the first moments of label pairs, seconds; label sets in between add next to nothing.
    frame_px : tuple of int
        (height, width) at which looks are compared.
    splits : int
        Splits of the films into halves over which `association` averages.
    bootstrap_samples, null_samples : int
    confidence : float
        Of intervals and null bands, for instance 0.95.
    seed : int
    """

    lags_s: tuple[float, ...]
    labels: int
    step_s: float
    frame_px: tuple[int, int]
    splits: int
    bootstrap_samples: int
    null_samples: int
    confidence: float
    seed: int

    def __post_init__(self) -> None:
        if not self.lags_s or min(self.lags_s) < 0:
            raise ValueError(f"lags_s {list(self.lags_s)}: at least one, none below 0")
        if self.labels < 2 or self.step_s <= 0 or min(self.frame_px) < 1:
            raise ValueError("expected labels of 2 or more, step_s above 0 and frame_px of 1 or more")
        if min(self.splits, self.bootstrap_samples, self.null_samples) < 1:
            raise ValueError("splits, bootstrap_samples and null_samples: expected 1 or more")
        if not 0 < self.confidence < 1:
            raise ValueError(f"confidence {self.confidence}: expected a share between 0 and 1")

    def band(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of the central `confidence` of samples along the first axis; NaN where there are none."""
        tail = (1 - self.confidence) / 2
        out = np.full((2, *samples.shape[1:]), np.nan)
        some = np.isfinite(samples).any(axis=0)
        out[:, some] = np.nanquantile(samples[:, some], [tail, 1 - tail], axis=0)
        return out[0], out[1]


# Associations ----------------------------------------------------------------------------------------------


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
    return _table("association", lags_s, (strength / scale)[:, 1:], samples[:, :, 1:],
                  np.array(null)[:, :, 1:], config)  # fmt: skip


def _table(measure: str, lags_s: Sequence[float], value: np.ndarray, samples: np.ndarray, null: np.ndarray,
           config: TimescalesConfig) -> pd.DataFrame:  # fmt: skip
    """Rows of the table from values (levels, lags) and samples (draws, levels, lags)."""
    (ci_low, ci_high), (null_low, null_high) = config.band(samples), config.band(null)
    values = {
        "value": value,
        "ci_low": ci_low,
        "ci_high": ci_high,
        "null_low": null_low,
        "null_high": null_high,
    }
    lag_s = np.asarray(lags_s, dtype=np.float64)
    tables = [
        pd.DataFrame(
            {"measure": measure, "level": level, "lag_s": lag_s} | {n: v[i] for n, v in values.items()}
        )
        for i, level in enumerate(LEVELS)
    ]
    return pd.concat(tables, ignore_index=True)[COLUMNS]


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


# Looks -----------------------------------------------------------------------------------------------------


def appearance(store: FrameStore, lags_s: Sequence[float], config: TimescalesConfig) -> pd.DataFrame:
    """How alike the pictures of a film are at a lag, above unrelated pictures.

    Pearson correlation, over pixels and colour channels at ``config.frame_px``, of frames a lag apart,
    averaged over pairs; from it the base rate is subtracted (all pairs of frames of one film, or all pairs
    of frames of two films), and the rest given as a share of 1 less the base rate, so that it is 1 at lag 0.

    Parameters
    ----------
    store : FrameStore
    lags_s : sequence of float
        Seconds; each is taken to the nearest frame. Those above 0 that come nearest to 0 are left out.
    config : TimescalesConfig

    Returns
    -------
    DataFrame
        As of `association`, `measure` "appearance". The null is the correlation of a film with itself
        shifted circularly by a random time. With one film there is no corpus base rate: NaN.

    Raises
    ------
    InputError
        If no film is longer than the longest lag.
    """
    step_s = np.median(np.concatenate([np.diff(store.times(movie_id)) for movie_id in store.movies]))
    lags_s = [lag_s for lag_s in lags_s if lag_s == 0 or lag_s > step_s / 2]
    partners = [lagged_pairs(store.index, lag_s, max(lags_s)) for lag_s in lags_s]
    first = partners[0].anchors
    # A gap can leave single frames without a partner at some lag.
    kept = np.asarray([np.isin(first, pairs.anchors) for pairs in partners]).all(axis=0)
    first = first[torch.from_numpy(kept)]
    seconds = [pairs.partner(first, pairs.lag_s).numpy() for pairs in partners]
    rows, generator = first.numpy(), np.random.default_rng(config.seed)
    alike, shifted, means, pairs_of_film = [], [], [], []
    for movie_id in store.movies:
        film = store.rows(movie_id)
        own = (rows >= film.start) & (rows < film.stop)
        if not own.any():
            continue
        looks = _looks(store, film, config.frame_px)
        now = looks[rows[own] - film.start]
        alike.append([np.einsum("td,td->t", now, looks[s[own] - film.start]).mean() for s in seconds])
        circular = _circular_similarity(looks)
        shifted.append(circular[generator.integers(1, max(len(looks), 2), config.null_samples) % len(looks)])
        means.append(looks.mean(axis=0))
        pairs_of_film.append(own.sum())
    by_film, null, of_films = (
        np.array(alike),
        np.array(shifted).T[:, :, None],
        np.array(means) @ np.array(means).T,
    )
    weight = np.array(pairs_of_film, dtype=np.float64)
    each_once = np.ones(len(weight))
    draws = generator.multinomial(len(weight), each_once / len(weight), size=config.bootstrap_samples)
    samples = np.array([_above_base(by_film, of_films, draw * weight) for draw in draws])
    # A shifted film is as alike at every lag.
    shifts = np.array([_above_base(draw, of_films, weight) for draw in null]).repeat(len(lags_s), axis=2)
    return _table("appearance", lags_s, _above_base(by_film, of_films, weight), samples, shifts, config)


def _looks(store: FrameStore, film: slice, size_px: tuple[int, int]) -> np.ndarray:
    """Small pictures of a film as vectors of mean 0 and length 1 (0 for a plain picture), float32 (T, d)."""
    looks = store.read_rows(range(film.start, film.stop), size_px).flatten(1).numpy().astype(np.float32)
    looks -= looks.mean(axis=1, keepdims=True)
    length = np.linalg.norm(looks, axis=1, keepdims=True)
    return np.divide(looks, length, out=np.zeros_like(looks), where=length > 1e-3)


def _circular_similarity(looks: np.ndarray) -> np.ndarray:
    """Mean product of a film's vectors and the same shifted circularly by 0, 1, ... frames, (T,)."""
    power = np.zeros(len(looks) // 2 + 1)
    for part in np.array_split(looks, max(1, looks.shape[1] // 64), axis=1):
        power += (np.abs(np.fft.rfft(part, axis=0)) ** 2).sum(axis=1)
    return np.fft.irfft(power, n=len(looks)) / len(looks)


def _above_base(by_film: np.ndarray, of_films: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Similarity above base rate as a share of 1 less the base rate, (levels, lags), films weighted."""
    share = weight / weight.sum()
    between = np.outer(share, share)
    np.fill_diagonal(between, 0)
    base = np.array(
        [share @ np.diag(of_films), (between * of_films).sum() / between.sum() if between.any() else np.nan]
    )
    return (share @ by_film - base[:, None]) / (1 - base[:, None])
