"""How long looks last: how alike the pictures of a film are by lag, above unrelated pictures.

Likeness at a lag is 1 less the mean squared difference of all pairs of frames of a film that lag apart, as a share of
that of unrelated frames: 1 at lag 0, 0 for frames that are no more alike than any two. It is on
the scale of covariances. Unrelated are all pairs of one film (``film base rate``), or all pairs of frames of
two films (``corpus base rate``). For pictures standardised to mean 0 and length 1 the squared difference is twice
1 less their correlation, so that likeness is the correlation above the base rate; for pixels as they are it goes with
the RMS difference. Every film contributes at the lags that it is longer than, each pair of frames counting once, and
is compared with its own base rate weighted alike: that fewer pairs are left at long lags makes them noisier, not lower.

For vectors x(t) the sum over pairs ``|x(t) - x(t + lag)|^2`` is two sums of squares less twice the sum of products,
and sums of products at all lags are an autocorrelation: the inverse Fourier transform of the power spectrum
(Wiener-Khinchin), exact when zeros as long as the film follow it. Moments that are missing count in no pair: the
autocorrelation of their presence is the number of pairs at each lag.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from scipy import fft

from semanticcmc.config import InputError
from semanticcmc.timescales.curves import Curve, TimescalesConfig, film_draws

COLUMNS_AT_ONCE = 64  # columns transformed together: memory stays at some 64 transforms of one film


@dataclasses.dataclass(frozen=True)
class Looks:
    """Squared differences of frames by lag, film by film; made by `compare_frames`."""

    lags_s: np.ndarray  # (lags,)
    squared: np.ndarray  # (films, lags): mean squared difference of a film's frames at each lag; 0 where it has no pair
    pairs: np.ndarray  # int64 (films, lags)
    frames: np.ndarray  # int64 (films,)
    base: np.ndarray  # (films, films): of two different frames, of one film on the diagonal, of two films elsewhere
    shifted: tuple[np.ndarray, ...]  # of each film and itself shifted circularly by 0, 1, ... frames of its span
    duration_s: np.ndarray  # (films,)
    interval_s: float  # between frames
    width: int  # numbers in a frame's vector

    def difference(self, films: np.ndarray) -> np.ndarray:
        """Mean squared difference by lag, (..., lags), of films taken `films` (..., films) times; NaN without pairs."""
        pairs = films @ self.pairs
        return films @ (self.pairs * self.squared) / np.where(pairs > 0, pairs, np.nan)

    def unrelated(self, films: np.ndarray) -> np.ndarray:
        """Mean squared difference of two frames of one film, and of two films, (..., 2, lags): the base rates.

        Copies of one film are not taken for two: NaN where there are no two films.
        """
        pairs = films @ self.pairs
        own = films @ (self.pairs * np.diag(self.base)[:, None]) / np.where(pairs > 0, pairs, np.nan)
        frames = films * self.frames
        between = frames.sum(-1) ** 2 - (frames**2).sum(-1)
        other = ((frames @ (self.base * (1 - np.eye(len(self.frames))))) * frames).sum(-1)
        other = other / np.where(between > 0, between, np.nan)
        return np.stack([own, np.broadcast_to(other[..., None], own.shape)], axis=-2)

    def likeness(self, films: np.ndarray) -> np.ndarray:
        """Likeness above base rate by level and lag, (..., 2, lags), of films taken `films` (..., films) times."""
        base = self.unrelated(films)
        with np.errstate(invalid="ignore", divide="ignore"):
            found = 1 - self.difference(films)[..., None, :] / base
        return np.where(base == 0, 0.0, found)  # of pictures that are all the same


def compare_frames(
    index: pd.DataFrame, vectors: np.ndarray | torch.Tensor, lags_s: Sequence[float], correlation: bool
) -> Looks:
    """Compare all pairs of frames of each film at every lag.

    `index` has `movie_id, time_s`, sorted by both, one row a frame (`films.store.FrameStore.index`); `vectors` (N, ...)
    are what to compare of each: pixels, features. Lags, seconds, are taken to the nearest frame of a film; those above
    0 that come nearest to 0 are left out. For a `correlation` every vector is brought to mean 0 and length 1 first (a
    constant one becomes 0). Raises InputError if no film is longer than the longest lag, or frames do not lie on a grid
    of time.
    """
    codes, movies = pd.factorize(index["movie_id"])
    ends = np.searchsorted(codes, np.arange(len(movies) + 1)).tolist()
    rows = [slice(*ends[i : i + 2]) for i in range(len(movies))]
    time_s = [index["time_s"].to_numpy()[film] for film in rows]
    span_s = np.array([film[-1] - film[0] for film in time_s])
    step_s = np.array([np.median(np.diff(film)) if len(film) > 1 else np.inf for film in time_s])
    lags = np.array([lag for lag in lags_s if lag == 0 or lag > np.median(step_s) / 2], dtype=np.float64)
    longest_s = lags.max(initial=0.0)
    if not (span_s >= longest_s).any():
        spans = ", ".join(f"{movie} {span:g} s" for movie, span in zip(movies, span_s, strict=True))
        raise InputError(f"no film is long enough for a lag of {longest_s:g} s; they span {spans}")
    used = np.flatnonzero(np.isfinite(step_s)).tolist()
    found = []
    for i in used:
        steps = np.rint((time_s[i] - time_s[i][0]) / step_s[i]).astype(np.int64)
        if (np.diff(steps) <= 0).any():
            raise InputError(f"film {movies[i]}: frames closer than the {step_s[i]:g} s of most; import the film again")
        frames = vectors[rows[i]]
        moments = unit_vectors(frames) if correlation else np.asarray(frames).reshape(len(frames), -1)
        found.append(lagged_differences(moments, steps))
    steps_of = np.rint(lags / step_s[used, None]).astype(np.int64)
    squared, pairs = np.zeros(steps_of.shape), np.zeros(steps_of.shape, dtype=np.int64)
    for film, at, one_squared, one_pairs in zip(found, steps_of, squared, pairs, strict=True):
        within = at < len(film.pairs)
        one_pairs[within] = film.pairs[at[within]]
        one_squared[within] = np.nan_to_num(film.squared[at[within]])
    means = np.array([film.mean for film in found])
    squares = np.array([film.mean_square for film in found])
    base = np.maximum(squares[:, None] + squares - 2 * means @ means.T, 0.0)
    np.fill_diagonal(base, [film.base for film in found])
    return Looks(
        lags,
        squared,
        pairs,
        np.array([film.pairs[0] for film in found]),
        base,
        tuple(film.circular() for film in found),
        span_s[used] + step_s[used],
        float(step_s[used].max()),
        means.shape[1],
    )


def persistence(measure: str, looks: Looks, config: TimescalesConfig) -> Curve:
    """Likeness by lag with intervals and null, of a name in the table.

    Its samples are a bootstrap over films. The null compares each film with itself shifted circularly by a random time;
    above the corpus base rate, with another film, as far off its mean as the shift puts it. With one film there is no
    corpus base rate: NaN.
    """
    generator = np.random.default_rng(config.seed)
    films = len(looks.frames)
    value = np.concatenate([looks.likeness(np.ones(films))[None], looks.likeness(film_draws(films, config))])
    null = config.band(np.array([_null(looks, generator) for _ in range(config.null_samples)]))
    made_of = {"lags_s": looks.lags_s, "pairs": looks.pairs.astype(np.float64)}
    return Curve.of(measure, value, value, null, **made_of, duration_s=looks.duration_s, interval_s=looks.interval_s)


def _null(looks: Looks, generator: np.random.Generator) -> np.ndarray:
    """Likeness of unrelated frames by level and lag, one draw."""
    films = np.arange(len(looks.frames))
    shift = [generator.integers(1, max(len(circular), 2)) % len(circular) for circular in looks.shifted]
    own = np.diag(looks.base)
    off = np.array([circular[s] for circular, s in zip(looks.shifted, shift, strict=True)]) - own
    # A shift has a pair for every frame; the fewer there are at a lag, the farther off they may be.
    noise = off[:, None] * np.sqrt(looks.frames[:, None] / np.maximum(looks.pairs, 1))
    around = generator.permutation(films)
    other = np.empty_like(films)
    other[around] = np.roll(around, 1)  # every film gets another one
    drawn = [dataclasses.replace(looks, squared=mean[:, None] + noise) for mean in (own, looks.base[films, other])]
    return np.stack([one.likeness(np.ones(len(films)))[level] for level, one in enumerate(drawn)])


def rms_difference(looks: Looks, config: TimescalesConfig) -> pd.DataFrame:
    """Root of the squared difference of two frames, averaged over pixels, channels and all pairs a lag apart.

    Returned is a DataFrame: `lag_s`, `rms_difference, ci_low, ci_high` (bootstrap over films), and of two frames of one
    film `same_film` and of two films `other_film` (NaN where there is one film), all in the pixels' unit (grey levels
    of 0 to 255). `looks` are of pixels as they are (`compare_frames` without `correlation`).
    """
    films = len(looks.frames)
    low, high = config.band(np.sqrt(looks.difference(film_draws(films, config)) / looks.width))
    all_films = np.ones(films)
    value = np.sqrt(looks.difference(all_films) / looks.width)
    same, other = np.sqrt(looks.unrelated(all_films) / looks.width)
    beside = {"ci_low": low, "ci_high": high, "same_film": same, "other_film": other}
    return pd.DataFrame({"lag_s": looks.lags_s, "rms_difference": value} | beside)


def unit_vectors(frames: np.ndarray | torch.Tensor) -> np.ndarray:
    """Frames (n, ...) as rows of mean 0 and length 1 (0 where constant), float32 (n, d): products are correlations."""
    rows = np.asarray(frames).reshape(len(frames), -1).astype(np.float32)
    rows -= rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, length, out=np.zeros_like(rows), where=length > 1e-3)


@dataclasses.dataclass(frozen=True)
class LaggedDifferences:
    """Pairs of moments of one film, 0, 1, ... T - 1 steps apart."""

    pairs: np.ndarray  # int64 (T,): how many; 0 steps apart, the moments that are there
    squared: np.ndarray  # float64 (T,): mean of their squared Euclidean distance; NaN where there is no pair
    mean: np.ndarray  # float64 (d,): of the film's moments
    mean_square: float  # squared length of the film's moments

    @property
    def base(self) -> float:
        """Mean squared distance of two different moments of the film, whatever their lag; NaN for a single one."""
        later = slice(1, None)
        pairs = self.pairs[later].sum()
        return float(np.nansum(self.pairs[later] * self.squared[later]) / pairs) if pairs else np.nan

    def circular(self) -> np.ndarray:
        """Mean squared distance between the film and itself shifted circularly by 0, 1, ... T - 1 steps, (T,)."""
        sums = np.where(self.pairs > 0, self.pairs * self.squared, 0.0)
        around = np.append(0.0, sums[:0:-1]), np.append(0, self.pairs[:0:-1])
        pairs = self.pairs + around[1]
        return np.divide(sums + around[0], pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)


def lagged_differences(moments: np.ndarray, steps: np.ndarray | None = None) -> LaggedDifferences:
    """Mean squared distance of all pairs of a film's moments at every lag.

    `moments` (n, d) are of any type of number; sums run in float32 over time, in float64 over columns. `steps`, int
    (n,), is each moment's place in time, increasing; by default one follows the other without a gap. In what is
    returned, T is the number of steps from the first moment to the last, both counted.
    """
    if steps is None:
        steps = np.arange(len(moments))
    if len(steps) != len(moments) or not len(steps) or (np.diff(steps) <= 0).any():
        raise ValueError("expected a step for each moment, at least one, increasing")
    place = np.asarray(steps, dtype=np.int64) - steps[0]
    span, width = int(place[-1]) + 1, moments.shape[1]
    size = fft.next_fast_len(2 * span - 1, real=True)
    power = torch.zeros(size // 2 + 1, dtype=torch.float64)
    mean = np.empty(width)
    squares = torch.zeros(len(moments), dtype=torch.float64)
    block = torch.zeros((min(COLUMNS_AT_ONCE, width), size))
    for start in range(0, width, COLUMNS_AT_ONCE):
        part = torch.from_numpy(np.ascontiguousarray(moments[:, start : start + COLUMNS_AT_ONCE].T)).float()
        own = part.double().mean(dim=1)
        mean[start : start + len(part)] = own.numpy()
        part -= own[:, None].float()  # differences do not change, and sums stay small
        squares += part.square().sum(dim=0, dtype=torch.float64)
        block[: len(part), torch.from_numpy(place)] = part
        spectrum = torch.view_as_real(torch.fft.rfft(block[: len(part)], dim=1))
        power += spectrum.square_().sum(dim=(0, 2), dtype=torch.float64)
    there = np.zeros(span)
    there[place] = 1.0
    length = np.zeros(span)
    length[place] = squares.numpy()
    seen = fft.rfft(there, size)
    pairs = np.rint(fft.irfft(np.abs(seen) ** 2, size)[:span]).astype(np.int64)
    # Squares of first moments that have a second one, and of second moments that have a first one.
    crossed = np.conj(fft.rfft(length, size)) * seen
    squares_of_pairs = fft.irfft(crossed, size)[:span] + fft.irfft(np.conj(crossed), size)[:span]
    sums = squares_of_pairs - 2 * fft.irfft(power.numpy(), size)[:span]
    sums[0] = 0.0
    squared = np.divide(sums, pairs, out=np.full(span, np.nan), where=pairs > 0)
    total = float(squares.mean()) + float(mean @ mean)
    return LaggedDifferences(pairs, np.maximum(squared, 0.0), mean, total)
