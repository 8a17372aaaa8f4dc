"""Transforms of a matrix's cyclic diagonals, and their products, in torch: the arithmetic of `cosets`.

With the items on a circle, x_l[i] = X[i, i + l] for l = 1 .. n / 2 are a matrix's cyclic diagonals, x^_l[g] their
Fourier transforms over i. Kept are the transforms with centred phases, x~_l[g] = exp(-i pi g l / n) x^_l[g]. As
functions of all integers they are even in l and conjugate in g, and

    x~_l[g + n] = (-1)^l x~_l[g],    x~_{l + n}[g] = (-1)^g x~_l[g],

so that half of l and half of g hold everything, the phases of a product cancel, and multiplying positions
by `a` leaves signs alone. The multiplier -a has the same products as `a`, summed otherwise.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from semanticcmc.rsa.arrays import Squares

Group = tuple[Sequence[int], Sequence[int]]  # which x against which y


class Folded(NamedTuple):
    """Integers k as indices up to n / 2: ``z~[k] = (-1)^(odd * other index) z~[place]``, or its conjugate."""

    place: NDArray[np.int64]
    reflected: NDArray[np.bool_]
    odd: NDArray[np.bool_]


def folded(k: NDArray[np.int64], n: int) -> Folded:
    """Fold the integers `k` into 0 .. n / 2; see `Folded`."""
    turns, rest = np.divmod(k, n)
    reflected = rest > n // 2
    return Folded(np.where(reflected, n - rest, rest), reflected, (turns + reflected) % 2 == 1)


def weights(n: int) -> NDArray[np.float64]:
    """Weight of each cyclic diagonal l = 1 .. n / 2: for even n the last holds every pair twice."""
    weight = np.ones(n // 2)
    if n % 2 == 0:
        weight[-1] = 0.5
    return weight


@contextlib.contextmanager
def spectra(squares: Squares, orders: NDArray[np.int64], single: bool) -> Iterator[torch.Tensor]:
    """Centred transforms of the cyclic diagonals of N matrices, for orders (O, n) of the items on the circle.

    Yields a float64 tensor, `single` or not, (n // 2 + 1, O, N, 2, n // 2), by frequency g, order, matrix, real and
    imaginary part, and diagonal l = 1 .. n // 2.
    """
    matrices, n = squares.stack, squares.n
    device = matrices.device
    around = torch.from_numpy(np.concatenate([orders, orders], axis=1)).to(device)
    column = torch.arange(n, device=device)[:, None] + torch.arange(1, n // 2 + 1, device=device)
    rows = matrices[:, around[:, :n, None], around[:, column]]  # (N, O, n, L)
    transformed = torch.fft.rfft(rows, dim=2)
    angle = torch.arange(2 * n, device=device, dtype=torch.float64) * (-math.pi / n)
    turn = torch.polar(torch.ones_like(angle), angle)
    frequency = torch.arange(n // 2 + 1, device=device)[:, None]
    centred = transformed * turn[frequency * torch.arange(1, n // 2 + 1, device=device) % (2 * n)]
    yield torch.stack([centred.real, centred.imag], dim=-2).permute(2, 1, 0, 3, 4).contiguous()


def products(x: torch.Tensor, y: torch.Tensor, group: Group, multipliers: NDArray[np.int64], n: int) -> torch.Tensor:
    """Sums over l of w_l conj(x~_l[a g]) y~_{a l}[g], for ``a`` and ``-a``, of n items.

    x, (n // 2 + 1, M, 2, n // 2), and y, (n // 2 + 1, O, K, 2, n // 2), are `spectra` of x in one order, and of y;
    the group is of positions along M, and along K; multipliers are int (O, A). Returned is a complex tensor, shape
    (x of the group, y of the group, O, A, 2, n // 2 + 1).
    """
    half, orders = n // 2, y.shape[1]
    x, y = x[:, list(group[0])], y[:, :, list(group[1])] * torch.from_numpy(weights(n)).to(x)
    if (multipliers == 1).all():  # nothing to gather
        return _meet(x, y.flatten(1, 2)).view(x.shape[1], orders, -1, 1, 2, half + 1).transpose(1, 2)
    frequency, diagonal = np.arange(half + 1), np.arange(1, half + 1)
    row, column = (folded(multipliers[..., None] * one, n) for one in (frequency, diagonal))
    # Behind all rows and columns are the same with the signs that odd ones have.
    of_rows, of_columns = (torch.from_numpy(np.where(one % 2, -1.0, 1.0)).to(x) for one in (diagonal, frequency))
    x, y = torch.cat([x, x * of_rows]), torch.cat([y, y * of_columns[:, None, None, None, None]], dim=-1)
    places = (np.moveaxis(row.place + row.odd * (half + 1), -1, 0), column.place - 1 + column.odd * half, row.reflected)
    rows, columns, swap = (torch.from_numpy(one).to(x.device) for one in places)
    moved = torch.take_along_dim(y[:, :, None], columns[None, :, :, None, None], dim=-1)  # (G, O, A, K, 2, L)
    sums = _meet(x[rows].flatten(0, 2), moved.flatten(0, 2)).unflatten(-1, (half + 1, *multipliers.shape))
    sums = sums.permute(0, 1, 4, 5, 2, 3)
    return torch.where(swap[:, :, None], sums.flip(4), sums)


def _meet(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Sums over the last axis of conj(x) y and of x y, shape (x, y, 2, G), from (G, x, 2, L) and (G, y, 2, L)."""
    sums = torch.bmm(x.flatten(1, 2), y.flatten(1, 2).transpose(1, 2)).view(-1, x.shape[1], 2, y.shape[1], 2)
    rr, ri, ir, ii = (sums[:, :, i, :, j] for i in (0, 1) for j in (0, 1))
    both = torch.stack([torch.complex(rr + ii, ri - ir), torch.complex(rr - ii, ri + ir)])
    return both.permute(2, 3, 0, 1)
