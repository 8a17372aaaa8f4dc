"""How far apart the moments of a film are at every lag: mean squared difference over all pairs, by FFT over time.

For vectors x(t) the sum over pairs ``|x(t) - x(t + lag)|^2`` is two sums of squares less twice the sum of products,
and sums of products at all lags are an autocorrelation: the inverse Fourier transform of the power spectrum
(Wiener-Khinchin), exact when zeros as long as the film follow it. Moments that are missing count in no pair: the
autocorrelation of their presence is the number of pairs at each lag.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from scipy import fft

COLUMNS_AT_ONCE = 64  # columns transformed together: memory stays at some 64 transforms of one film


@dataclasses.dataclass(frozen=True)
class LaggedDifferences:
    """Pairs of moments of one film, 0, 1, ... T - 1 steps apart."""

    pairs: np.ndarray  # int64 (T,): how many
    squared: np.ndarray  # float64 (T,): mean of their squared Euclidean distance; NaN where there is no pair
    mean: np.ndarray  # float64 (d,): of the film's moments
    mean_square: float  # squared length of the film's moments

    @property
    def moments(self) -> int:
        """Moments that are there."""
        return int(self.pairs[0])

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
