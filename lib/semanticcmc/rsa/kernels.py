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

from semanticcmc.rsa.arrays import Squares
from semanticcmc.rsa.fourier import Group, folded, weights
from semanticcmc.rsa.threads import workspace

# Sums may be reordered; infinities and NaN are kept as they are.
_CACHED_VALUES = 2**17  # of diagonals that are transformed at a time: 1 MiB
_KEPT_ITEMS = 4000  # up to which phases are kept, 64 MB at most
FAR_FROM = 500  # items from which memory takes longer than arithmetic
_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: its multiples spread over all bits
_compiled = numba.njit(nogil=True, cache=True, fastmath={"reassoc", "nsz", "contract", "arcp"})


@contextlib.contextmanager
def spectra(squares: Squares, orders: NDArray[np.int64], single: bool) -> Iterator[torch.Tensor]:
    """As `fourier.spectra`, but complex, of float32 if `single` from `FAR_FROM` items; overwritten after the ``with``.

    The tensor has the shape (n // 2 + 1, O, N, n // 2).
    """
    n, half = squares.n, squares.n // 2
    scales = squares.scales or [(0.0, 1.0)] * len(squares)
    real, whole = (np.float32, np.complex64) if single and n >= FAR_FROM else (np.float64, np.complex128)
    pairs = (half + 1) // 2  # two real diagonals, l and l + pairs, make one complex transform
    step = max(1, min(len(orders), _CACHED_VALUES // (2 * n * pairs)))
    around = np.concatenate([orders, orders], axis=1).astype(np.uint32)  # unsigned: no index counts from the end
    half_phases = (_half_phases if n <= _KEPT_ITEMS else _half_phases.__wrapped__)(n, whole)
    with workspace(half + 1, len(orders), len(squares), half, dtype=whole) as out:
        with workspace(step, n, pairs, 2, dtype=real) as rows:
            for place, (given, scale) in enumerate(zip(squares.given, scales, strict=True)):
                for start in range(0, len(orders), step):
                    some = rows[: len(orders) - start]
                    _diagonals(given.numpy(), *scale, around[start : start + step], some)
                    transformed = scipy.fft.fft(some.view(whole)[..., 0], axis=1, overwrite_x=True)
                    _centre(transformed, half_phases, out[:, start : start + step, place])
        yield torch.from_numpy(out)


@functools.lru_cache(maxsize=2)
def _half_phases(n: int, whole: type[np.complexfloating[Any]]) -> NDArray[Any]:
    """exp(-i pi g l / n) / 2 for all g and l."""
    turns = np.outer(np.arange(n // 2 + 1), np.arange(1, n // 2 + 1)) % (2 * n)
    return (np.exp(np.arange(2 * n) * (-1j * np.pi / n)) / 2).astype(whole)[turns]


def products(x: torch.Tensor, y: torch.Tensor, group: Group, multipliers: NDArray[np.int64], n: int) -> torch.Tensor:
    """As `fourier.products`, of spectra as they are here."""
    distinct, which = np.unique(multipliers, return_inverse=True)
    which_x, which_y = (np.array(part) for part in group)
    out = torch.empty(len(which_x), len(which_y), *multipliers.shape, 2, n // 2 + 1, dtype=y.dtype)
    meets, reflected, odd, places, sign = _meetings(n, tuple(distinct.tolist()), y.real.numpy().dtype)
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
def _meetings(n: int, multipliers: tuple[int, ...], real: np.dtype[Any]) -> tuple[NDArray[Any], ...]:
    """For each multiplier the frequency of y that meets each of x, how, and the places and signs of y's diagonals."""
    frequency, diagonal = np.arange(n // 2 + 1), np.arange(1, n // 2 + 1)
    row, column = (folded(np.array(multipliers)[:, None] * one, n) for one in (frequency, diagonal))
    meets = np.argsort(row.place, axis=-1)
    reflected, odd = (np.take_along_axis(part, meets, -1).astype(np.int64) for part in row[1:])
    sign = np.tile(weights(n), (len(multipliers), 2, 2, 1))  # by whether the row is odd, and whether the frequency is
    sign[:, 1] *= np.where(diagonal % 2 == 1, -1.0, 1.0)
    sign[:, :, 1] *= np.where(column.odd, -1.0, 1.0)[:, None]
    return meets, reflected, odd, (column.place - 1).astype(np.uint32), sign.astype(real)


@_compiled
def scale(square):
    """Mean of distances and the factor that standardises them.

    The factor is 0 where the square is not exactly symmetric, its diagonal not 0, or rounding would tell.

    A transposed read takes longer than all else: rows and columns are compared by sums of their bits modulo 2^64,
    which odd factors keep apart.
    """
    n = len(square)
    bits, by_column = square.view(np.uint64), np.zeros(n, dtype=np.uint64)
    by_row, factors = np.empty(n, dtype=np.uint64), np.empty(n, dtype=np.uint64)
    for j in range(n):
        spread = _ODD * np.uint64(j + 1)
        factors[j] = spread ^ (spread >> np.uint64(29)) | np.uint64(1)
    shift = square[0].sum() / (n - 1)  # near the mean, so that one pass gives the variance
    total, squares, wrong = 0.0, 0.0, np.uint64(0)
    for i in range(n):
        wrong |= bits[i, i]
        of_row, factor = np.uint64(0), factors[i]
        for j in range(n):
            value = bits[i, j] ^ (bits[i, j] >> np.uint64(32))
            of_row += value * factors[j]
            by_column[j] += value * factor
        by_row[i] = of_row
        for j in range(i):
            value = square[i, j] - shift
            total += value
            squares += value * value
    for i in range(n):
        wrong |= by_row[i] ^ by_column[i]
    if wrong != 0 or not 1e-200 < squares < np.inf:
        return 0.0, 0.0
    pairs = n * (n - 1) // 2
    mean = shift + total / pairs
    variance = squares - total * total / pairs
    if variance < 1e-3 * squares or variance < 1e-4 * pairs * mean * mean:
        return 0.0, 0.0
    return mean, 1 / np.sqrt(variance)


@_compiled
def permuted(x, mean, factor, y, mean_y, factor_y, permutation):
    """Correlation of x with y whose items are permuted (or not, by none); both are standardised as they are read."""
    total = 0.0
    for i in range(1, len(x)):
        of_row = 0.0
        if len(permutation):
            row = y[permutation[i]]
            for j in range(i):
                of_row += (x[i, j] - mean) * factor * (row[permutation[j]] - mean_y)
        else:
            for j in range(i):
                of_row += (x[i, j] - mean) * factor * (y[i, j] - mean_y)
        total += of_row * factor_y
    return total


@_compiled
def _diagonals(square, mean, factor, around, out):
    """Diagonals ``square[around[k, i], around[k, i + l]]``, standardised, for each order, which is there twice.

    `out` has the shape (orders, n, pairs, 2): beside diagonal l is l + pairs.
    """
    n, pairs, orders = len(square), out.shape[2], out.shape[0]
    nearest, position = np.empty(n, dtype=out.dtype), np.empty((n, orders), dtype=np.int64)
    for k in range(orders):
        for i in range(n):
            position[around[k, i], k] = i
    for item in range(n):  # the matrix is read in one go, and scattered only from the nearest cache
        for j in range(n):
            nearest[j] = (square[item, j] - mean) * factor
        for k in range(orders):
            i = position[item, k]
            others = around[k, i + 1 :]
            for pair in range(pairs):
                out[k, i, pair, 0] = nearest[others[pair]]
            for pair in range(n // 2 - pairs):
                out[k, i, pair, 1] = nearest[others[pair + pairs]]
            if 2 * pairs > n // 2:  # one diagonal has no other
                out[k, i, pairs - 1, 1] = 0.0


@_compiled
def _centre(transformed, half_phases, out):
    """Part the transforms of each two diagonals, multiply by exp(-i pi g l / n)."""
    n, pairs, half = transformed.shape[1], transformed.shape[2], out.shape[2]
    for g in range(out.shape[0]):
        phases = half_phases[g]
        for o in range(out.shape[1]):
            here, there, centred = transformed[o, g], transformed[o, (n - g) % n], out[g, o]
            for pair in range(pairs):
                centred[pair] = (here[pair] + there[pair].conjugate()) * phases[pair]
            for pair in range(half - pairs):
                turned = here[pair] - there[pair].conjugate()
                centred[pairs + pair] = complex(turned.imag, -turned.real) * phases[pairs + pair]


@_compiled
def _products(x, y, which_x, which_y, which, meets, reflected, odd, column, sign, start, stop, out):
    """Rows `start` to `stop` of x against the rows of y that they meet, for all orders and multipliers."""
    half, zero = x.shape[2], np.zeros(1, dtype=sign.dtype)[0]
    fixed = np.empty((len(which_x), 2, half), dtype=sign.dtype)
    moved, met = np.empty((len(which_y), 2, half), dtype=sign.dtype), np.empty(half, dtype=y.dtype)
    for r in range(start, stop):
        for m in range(len(which_x)):
            fixed[m, 0], fixed[m, 1] = x[r, which_x[m]].real, x[r, which_x[m]].imag
        for o in range(which.shape[0]):
            for a in range(which.shape[1]):
                multiplier = which[o, a]
                g, swap, places = meets[multiplier, r], reflected[multiplier, r], column[multiplier]
                weight = sign[multiplier, odd[multiplier, r], g % 2]
                for k in range(len(which_y)):
                    row, real, imaginary = y[g, o, which_y[k]], moved[k, 0], moved[k, 1]
                    for place in range(half):
                        met[place] = row[places[place]]
                    for place in range(half):
                        real[place] = met[place].real * weight[place]
                        imaginary[place] = met[place].imag * weight[place]
                for m in range(len(which_x)):
                    real, imaginary = fixed[m, 0], fixed[m, 1]
                    for k in range(len(which_y)):
                        rr = ri = ir = ii = zero
                        for place in range(half):
                            rr += real[place] * moved[k, 0, place]
                            ri += real[place] * moved[k, 1, place]
                            ir += imaginary[place] * moved[k, 0, place]
                            ii += imaginary[place] * moved[k, 1, place]
                        out[m, k, o, a, swap, g] = complex(rr + ii, ri - ir)
                        out[m, k, o, a, 1 - swap, g] = complex(rr - ii, ri + ir)
