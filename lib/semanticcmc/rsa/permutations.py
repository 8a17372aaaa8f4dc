"""Independent random permutations of a matrix, one gather each: the yardstick of the Mantel tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

_BLOCK_VALUES = 2**21


def independent_correlations(
    x: torch.Tensor,
    y: torch.Tensor,
    groups: Sequence[tuple[Sequence[int], Sequence[int]]],
    permutations: int,
    seed: int,
) -> Iterator[list[torch.Tensor]]:
    """Correlations of x with y whose items are permuted at random.

    Parameters
    ----------
    x, y : tensors of float64, shapes (M, n, n) and (K, n, n)
        Symmetric; mean 0 and sum of squares 1 over the entries above the diagonal, which is 0.
    groups : sequence of (indices of x, indices of y)
        Which are to be correlated.
    permutations : int
        How many; each is the same for all pairs.
    seed : int

    Returns
    -------
    list of tensor of float64, shapes (x of the group, y of the group, B)
        One a group, for the next B permutations.
    """
    n = x.shape[-1]
    rng = np.random.default_rng(seed)
    first, second = torch.triu_indices(n, n, 1, device=x.device)
    fixed = x[:, first, second]
    size = max(1, _BLOCK_VALUES // len(first))
    for start in range(0, permutations, size):
        orders = np.tile(np.arange(n), (min(size, permutations - start), 1))
        order = torch.from_numpy(rng.permuted(orders, axis=1)).to(x.device)
        moved = y[:, order[:, first], order[:, second]]  # (K, B, pairs)
        yield [torch.einsum("mp,kbp->mkb", fixed[list(one)], moved[list(other)]) for one, other in groups]
