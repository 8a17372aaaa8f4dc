"""What every objective shares: the pairs of a batch, over all processes, and what embeddings are watched by.

An objective is a module called as ``objective(first, second, rows)`` with the L2-normalised embeddings of both
views and the `PairRows` that they are of; it gives a scalar loss, and ``measures()``, what to log of itself.

Under torchrun the batch is that of all processes together (`all_pairs`): every process computes the loss of
all pairs and returns the same value, and its gradient is scaled so that the mean over processes, which
DistributedDataParallel takes, is the gradient that one process would have had. An objective is not to be
wrapped in DistributedDataParallel: its parameters and buffers see the same pairs everywhere and stay equal.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, distributed
from torch.nn import functional

Negatives = Literal["all", "within_film", "cross_film"]


class PairRows(NamedTuple):
    """Which frames the pairs of a batch are: int64 tensors (B,), on any device."""

    first: Tensor  # row of the index
    second: Tensor
    film: Tensor  # number of the film that both frames of a pair are from


def films_allowed(film: Tensor, other: Tensor, negatives: Negatives) -> Tensor:
    """Whether frames of films `other` (m,) may be negatives of pairs of films `film` (n,): bool (n, m)."""
    same = film[:, None] == other
    return same if negatives == "within_film" else ~same


def all_pairs(first: Tensor, second: Tensor, rows: PairRows) -> tuple[Tensor, Tensor, PairRows]:
    """The pairs of all processes, in the order of their ranks; the pairs themselves where there is one process.

    Embeddings (B, d), with the same B in each of W processes, become (W B, d); rows come back on their device. In the
    backward pass the gradient of a process's own pairs is multiplied by W, so that averaging over processes gives
    the gradient of a loss that all of them computed.
    """
    rows = PairRows(*(row.to(first.device, non_blocking=True) for row in rows))
    if not (distributed.is_available() and distributed.is_initialized()):
        return first, second, rows
    embeddings = _Gather.apply(torch.cat((first, second), dim=1))
    first, second = embeddings.chunk(2, dim=1)
    return first, second, PairRows(*_gather(torch.stack(rows, dim=1)).unbind(dim=1))


def _gather(local: Tensor) -> Tensor:
    pieces = [torch.empty_like(local) for _ in range(distributed.get_world_size())]
    distributed.all_gather(pieces, local.contiguous())
    return torch.cat(pieces)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, local: Tensor) -> Tensor:
        return _gather(local)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        processes = distributed.get_world_size()
        return gradient.chunk(processes)[distributed.get_rank()] * processes


def alignment(first: Tensor, second: Tensor) -> Tensor:
    """Mean squared distance of partners (Wang & Isola 2020, alpha 2): 0 where each pair coincides."""
    return (first - second).square().sum(dim=1).mean()


def uniformity(embeddings: Tensor) -> Tensor:
    """Log of the mean of exp(-2 d^2) of pairs of L2-normalised rows (Wang & Isola 2020, t 2): 0 where all coincide."""
    return functional.pdist(embeddings.float()).square().mul(-2).exp().mean().log()
