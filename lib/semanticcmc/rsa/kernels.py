"""What `fourier` computes, in compiled loops for the CPU (needs numba; several times faster there).

Each loop does in one pass what torch does in several over memory. They hold no lock, so that the threads
that torch was given share the rows.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np
import scipy.fft
import torch
from numpy.typing import NDArray

from semanticcmc.rsa.fourier import Group, folded, weights
from semanticcmc.rsa.threads import workspace

# Sums may be reordered; infinities and NaN are kept as they are.
_CACHED_VALUES = 2**17  # of diagonals that are transformed at a time: 1 MiB
_FAR_FROM = 500  # items whose matrix is far from the processor
_compiled = numba.njit(nogil=True, cache=True, fastmath={"reassoc", "nsz", "contract", "arcp"})


@contextlib.contextmanager
def spectra(matrices: torch.Tensor, orders: NDArray[np.int64]) -> Iterator[torch.Tensor]:
    """As `fourier.spectra`; the tensor is overwritten after the ``with``."""
    n, half = matrices.shape[-1], matrices.shape[-1] // 2
    pairs = (half + 1) // 2  # two real diagonals make one complex transform
    step = max(1, min(len(orders), _CACHED_VALUES // (2 * n * pairs)))
    angle = np.arange(2 * n) * (np.pi / n)
    cosine, sine = np.cos(angle), np.sin(angle)
    around = np.concatenate([orders, orders], axis=1).astype(np.uint32)  # unsigned: no index counts from the end
    with workspace(half + 1, len(orders), len(matrices), 2, half) as out:
        with workspace(step, n, 2 * pairs) as rows:
            for place, matrix in enumerate(matrices.numpy()):
                for start in range(0, len(orders), step):
                    some = rows[: len(orders) - start]
                    some[..., half:] = 0.0  # where the number of diagonals is odd, one has no other
                    _diagonals(matrix, around[start : start + step], some[..., :half])
                    transformed = scipy.fft.fft(some.view(np.complex128), axis=1, overwrite_x=True)
                    _centre(transformed, cosine, sine, out[:, start : start + step, place])
        yield torch.from_numpy(out)


def products(x: torch.Tensor, y: torch.Tensor, group: Group, multipliers: NDArray[np.int64], n: int) -> torch.Tensor:
    """As `fourier.products`."""
    distinct, which = np.unique(multipliers, return_inverse=True)
    which_x, which_y = (np.array(part) for part in group)
    out = torch.empty(len(which_x), len(which_y), *multipliers.shape, 2, n // 2 + 1, dtype=torch.complex128)
    meets, reflected, odd, places, sign = _meetings(n, tuple(distinct.tolist()))
    tables = (which_x, which_y, which.reshape(multipliers.shape), meets, reflected, odd, places, sign)
    threads = min(torch.get_num_threads(), n // 2 + 1)
    bounds = np.linspace(0, n // 2 + 1, threads + 1).astype(int)

    def some(start: int, stop: int) -> None:
        _products(x.numpy(), y.numpy(), *tables, start, stop, out.numpy())

    if threads == 1:
        some(0, n // 2 + 1)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(some, bounds[:-1], bounds[1:]))
    return out


@functools.lru_cache(maxsize=4)
def _meetings(n: int, multipliers: tuple[int, ...]) -> tuple[NDArray[Any], ...]:
    """For each multiplier the frequency of y that meets each of x, how, and the places and signs of y's diagonals."""
    frequency, diagonal = np.arange(n // 2 + 1), np.arange(1, n // 2 + 1)
    row, column = (folded(np.array(multipliers)[:, None] * one, n) for one in (frequency, diagonal))
    meets = np.argsort(row.place, axis=-1)
    reflected, odd = (np.take_along_axis(part, meets, -1).astype(np.int64) for part in row[1:])
    sign = np.tile(weights(n), (len(multipliers), 2, 2, 1))  # by whether the row is odd, and whether the frequency is
    sign[:, 1] *= np.where(diagonal % 2 == 1, -1.0, 1.0)
    sign[:, :, 1] *= np.where(column.odd, -1.0, 1.0)[:, None]
    return meets, reflected, odd, (column.place - 1).astype(np.uint32), sign


@_compiled
def standardised(square, out):
    """Write a matrix of distances, standardised over its pairs, into `out`; False if it is none, or nearly constant."""
    n, tile = len(square), 64
    gap = 0.0
    for top in range(0, n, tile):
        for left in range(0, top + 1, tile):
            for i in range(top, min(top + tile, n)):
                for j in range(left, min(left + tile, i)):
                    gap = max(gap, abs(square[i, j] - square[j, i]))
    shift = square[0].sum() / (n - 1)  # near the mean, so that one pass gives the variance
    total, squares = 0.0, 0.0
    for i in range(n):
        gap = max(gap, abs(square[i, i]))
        for j in range(i):
            value = square[i, j] - shift
            total += value
            squares += value * value
    if gap > 0 or not 1e-200 < squares < np.inf:  # what is not finite makes no gap, but such a sum
        return False
    pairs = n * (n - 1) // 2
    mean = shift + total / pairs
    variance = squares - total * total / pairs
    if variance < 1e-3 * squares or variance <= (1e-12 * mean * n) ** 2:  # little but rounding is left
        return False
    scale = 1 / np.sqrt(variance)
    for i in range(n):
        for j in range(n):
            out[i, j] = (square[i, j] - mean) * scale
        out[i, i] = 0.0
    return True


@_compiled
def _diagonals(square, around, out):
    """``out[k, i, l - 1] = square[around[k, i], around[k, i + l]]`` for each order, which is there twice."""
    n = len(square)
    nearest, position = np.empty(n, dtype=np.float64), np.empty(n, dtype=np.int64)
    for k in range(out.shape[0]):
        for i in range(n):
            position[around[k, i]] = i
        for item in range(n):
            i, row = item, square[around[k, item]]
            if n >= _FAR_FROM:  # read in one go, and scattered only from the nearest cache
                i, row = position[item], nearest
                row[:] = square[item]
            others = around[k, i + 1 :]
            for place in range(out.shape[2]):
                out[k, i, place] = row[others[place]]


@_compiled
def _centre(transformed, cosine, sine, out):
    """Part the transforms of each two diagonals, multiply by exp(-i pi g l / n); part real from imaginary."""
    n, half = transformed.shape[1], out.shape[3]
    cosines, sines = np.empty(half, dtype=np.float64), np.empty(half, dtype=np.float64)
    for g in range(out.shape[0]):
        k = 0  # g l modulo 2 n
        for place in range(half):
            k = k + g if k + g < 2 * n else k + g - 2 * n
            cosines[place], sines[place] = cosine[k], sine[k]
        for o in range(out.shape[1]):
            here, there = transformed[o, g], transformed[o, (n - g) % n]
            for pair in range((half + 1) // 2):
                one, other, place = here[pair], there[pair], 2 * pair
                real, imaginary = (one.real + other.real) / 2, (one.imag - other.imag) / 2
                out[g, o, 0, place] = real * cosines[place] + imaginary * sines[place]
                out[g, o, 1, place] = imaginary * cosines[place] - real * sines[place]
                if place + 1 < half:
                    real, imaginary = (one.imag + other.imag) / 2, (other.real - one.real) / 2
                    out[g, o, 0, place + 1] = real * cosines[place + 1] + imaginary * sines[place + 1]
                    out[g, o, 1, place + 1] = imaginary * cosines[place + 1] - real * sines[place + 1]


@_compiled
def _products(x, y, which_x, which_y, which, meets, reflected, odd, column, sign, start, stop, out):
    """Rows `start` to `stop` of x against the rows of y that they meet, for all orders and multipliers."""
    half = x.shape[3]
    moved = np.empty((len(which_y), 2, half), dtype=np.float64)
    for r in range(start, stop):
        for o in range(which.shape[0]):
            for a in range(which.shape[1]):
                multiplier = which[o, a]
                g, swap, places = meets[multiplier, r], reflected[multiplier, r], column[multiplier]
                weight = sign[multiplier, odd[multiplier, r], g % 2]
                for k in range(len(which_y)):
                    row = y[g, o, which_y[k]]
                    for place in range(half):
                        moved[k, 0, place] = row[0, places[place]] * weight[place]
                        moved[k, 1, place] = row[1, places[place]] * weight[place]
                for m in range(len(which_x)):
                    real, imaginary = x[r, which_x[m], 0], x[r, which_x[m], 1]
                    for k in range(len(which_y)):
                        rr = ri = ir = ii = 0.0
                        for place in range(half):
                            rr += real[place] * moved[k, 0, place]
                            ri += real[place] * moved[k, 1, place]
                            ir += imaginary[place] * moved[k, 0, place]
                            ii += imaginary[place] * moved[k, 1, place]
                        out[m, k, o, a, swap, g] = complex(rr + ii, ri - ir)
                        out[m, k, o, a, 1 - swap, g] = complex(rr - ii, ri + ir)
