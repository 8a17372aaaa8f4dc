"""Mantel correlations for whole cosets of permutations at once, by the fast Fourier transform.

The n items stand on a circle in a random order. Turning and reflecting the circle, and multiplying
positions by numbers coprime to n, permutes the items; for all n turns together the correlations of two
matrices are the inverse transform of one sum over the transforms of their cyclic diagonals,

    S(a, b) = irfft_b( sum_l  w_l  conj( x^_l[a g] )  y^_{a l}[g] ),    x_l[i] = X[i, i + l],  l = 1 .. n / 2,

for the permutation i -> a i + b (w_l is 1, but 1/2 for l = n/2). The set of permutations is a union of
random cosets of the circle's symmetries, one of which holds the identity, and so a valid reference set
(Hemerik and Goeman 2018; Koning and Hemerik 2024). ``papers/permutation_cosets.qmd`` has the proof.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from semanticcmc.rsa import fourier
from semanticcmc.rsa.arrays import Squares
from semanticcmc.rsa.fourier import Group
from semanticcmc.rsa.standardise import kernels_for

MULTIPLIER_EVERY = 100  # one more multiplier an order for each so many items
_BLOCK_VALUES = {"cpu": 2**20, "cuda": 2**23}  # float64 values of y's spectra at a time: 8 MiB, which a cache holds


@dataclasses.dataclass(frozen=True)
class Cosets:
    """A reference set of permutations: which orders on the circle, and which multipliers.

    The permutation of order k, multiplier a (or -a) and turn b moves the item that x has in position i to the
    item that y has in position a i + b: ``permutation[order_x[i]] = orders_y[k][(a i + b) % n]``.
    """

    order_x: NDArray[np.int64]  # (n,): items of x around the circle, in random order
    orders_y: NDArray[np.int64]  # (O, n): items of y around it, in a new order for each k; the first is x's own
    multipliers: NDArray[np.int64]  # (O, A): coprime to n, 1 to n / 2, different within an order; the first of all is 1

    def __len__(self) -> int:
        """Return the number of permutations, the identity included."""
        return 2 * self.multipliers.size * len(self.order_x)

    def permutation(self, index: int | NDArray[np.int64]) -> NDArray[np.int64]:
        """Permutations by index: r is that of x and ``y[permutation][:, permutation]``; 0 is the identity.

        They are int64, (n,) or (len(index), n).
        """
        n = len(self.order_x)
        coset, turn = np.divmod(np.asarray(index), n)
        pair, sign = np.divmod(coset, 2)
        k, place = np.divmod(pair, self.multipliers.shape[1])
        factor = self.multipliers[k, place] * (1 - 2 * sign)
        position = (factor[..., None] * np.arange(n) + turn[..., None]) % n
        moved = np.empty(position.shape, dtype=np.int64)
        moved[..., self.order_x] = np.take_along_axis(self.orders_y[k], position, axis=-1)
        return moved


def draw_cosets(n: int, permutations: int, seed: int) -> Cosets:
    """Draw at least `permutations` permutations besides the identity: all that `stream_cosets` gives, at once."""
    return next(stream_cosets(n, permutations, seed, most=permutations + 1))


def stream_cosets(n: int, permutations: int, seed: int, most: int, first: int | None = None) -> Iterator[Cosets]:
    """Draw at least `permutations` permutations besides the identity, at most `most` orders at a time.

    `first` is the number at the beginning, then twice as many each time; neither changes what is drawn. Few
    multipliers share an order where n is small, since statistics of one order are more alike than those of different
    orders; where n is large they are far cheaper than new orders. Every order has the same number of multipliers: only
    then is the observed order an equal among all.
    """
    rng = np.random.default_rng(seed)
    units = np.flatnonzero(np.gcd(np.arange(n // 2 + 1), n) == 1)
    pairs = -(-(permutations + 1) // (2 * n))
    orders = -(-pairs // min(len(units), max(1, n // MULTIPLIER_EVERY)))
    each = -(-pairs // orders)
    order_x = rng.permutation(n)
    behind = rng  # multipliers are drawn behind all orders
    if each > 1 and orders > 1:
        behind = copy.deepcopy(rng)
        for _ in range(orders - 1):
            behind.permutation(n)
    start, size = 0, most if first is None else min(first, most)
    while start < orders:
        count = min(size, orders - start)
        orders_y = np.stack([order_x if start + k == 0 else rng.permutation(n) for k in range(count)])
        multipliers = np.ones((count, each), dtype=np.int64)
        for row in multipliers if each > 1 else ():
            row[1:] = behind.permutation(units[1:])[: each - 1]
        yield Cosets(order_x, orders_y, multipliers)
        start, size = start + count, min(2 * size, most)


def orders_at_a_time(matrices: Squares) -> int:
    """How many orders of K matrices are transformed at a time: memory does not grow with the permutations."""
    return max(1, _BLOCK_VALUES.get(matrices.given[0].device.type, 2**20) // (len(matrices) * matrices.n**2 // 2))


def coset_correlations(
    x: Squares, y: Squares, groups: Sequence[Group], parts: Iterable[Cosets], single: bool = True
) -> Iterator[tuple[Cosets, list[torch.Tensor]]]:
    """Correlations of x with permuted y, for each part of a stream of cosets, in the order of `Cosets.permutation`.

    Returned are the part and tensors of shape (x of the group, y of the group, orders, permutations of each), one a
    group; maybe of float32, if `single`.

    Parameters
    ----------
    x, y : Squares
    groups : sequence of (indices of x, indices of y)
        Which are to be correlated; every matrix is transformed once.
    parts : iterable of Cosets
        All with the same `order_x`.
    single : bool
        Whether float32 will do where it is faster.
    """
    n = x.n
    engine = kernels_for(x.given[0]) or fourier
    with contextlib.ExitStack() as kept:
        fixed = None
        for part in parts:
            if fixed is None:
                fixed = kept.enter_context(engine.spectra(x, part.order_x[None], single))[:, 0]
            with engine.spectra(y, part.orders_y, single) as moved:
                sums = [engine.products(fixed, moved, group, part.multipliers, n) for group in groups]
            yield part, [torch.fft.irfft(one, n=n, dim=-1).flatten(3) for one in sums]
