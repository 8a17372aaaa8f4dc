"""Momentum contrast: each view finds its partner, as a slowly following encoder sees it, among a queue of others."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor
from torch.nn import functional

from semanticcmc.config import BelowOne, Count, Positive, Section
from semanticcmc.training.networks import Encoder
from semanticcmc.training.objectives.base import TwoViews, all_samples, average_of, follow
from semanticcmc.training.pairings import Draw, Fixed


@dataclasses.dataclass(frozen=True)
class MoCoConfig(Section):
    """Temperature T, keys in the queue, and the momentum with which the key encoder follows."""

    temperature: Positive
    queue: Count
    momentum: BelowOne


class MoCo(TwoViews):
    r"""MoCo (He et al. 2020), both ways round: InfoNCE of a query against its key and a queue of earlier keys.

    .. math:: -\log\frac{e^{q \cdot k / T}}{e^{q \cdot k / T} + \sum_{n \in queue} e^{q \cdot n / T}}

    with q of the encoder, k and the queue of its average: after each step the latter's weights become ``momentum``
    times themselves plus ``1 - momentum`` times the encoder's. The mean over the two ways round; keys of both join the
    queue after the loss. It starts with random directions.
    """

    Config = MoCoConfig
    config: MoCoConfig
    queue: Tensor
    place: Tensor

    def __init__(self, config: MoCoConfig, encoder: Encoder, pairing: Fixed, seed: int) -> None:
        super().__init__(config, encoder, pairing, seed)
        self.average = average_of(encoder)
        size: int = encoder.config.embedding_dim  # type: ignore[union-attr, assignment]
        keys = torch.randn(config.queue, size, generator=torch.Generator().manual_seed(seed))
        self.register_buffer("queue", functional.normalize(keys, dim=1))
        self.register_buffer("place", torch.zeros((), dtype=torch.int64))

    def forward(self, images: tuple[Tensor, ...], draw: Draw) -> Tensor:
        """Loss of this process's samples; of three frames and more each against each."""
        images = self.inputs(images)
        queries = self.embed(*images)
        with torch.no_grad():
            keys = self.embed_by(self.average, *images)
        draw, *both = all_samples(draw, *queries, *keys)
        queries, keys = tuple(both[: len(images)]), tuple(both[len(images) :])
        pairs = [(a, b) for a in range(len(images)) for b in range(len(images)) if a != b]
        loss = torch.stack([self.contrast(queries[a], keys[b]) for a, b in pairs]).mean()
        if self.training:
            self.enqueue(torch.cat(keys))
        return loss

    def contrast(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Loss, in nats, of queries and their keys (B, d)."""
        own = (queries * keys).sum(dim=1, keepdim=True)
        scores = torch.cat((own, queries @ self.queue.T), dim=1) / self.config.temperature
        return functional.cross_entropy(scores, scores.new_zeros(len(scores), dtype=torch.int64))

    @torch.no_grad()
    def enqueue(self, keys: Tensor) -> None:
        """Put keys in the place of the oldest; of more than the queue holds the last."""
        keys = keys[-len(self.queue) :]
        at = (self.place + torch.arange(len(keys), device=keys.device)) % len(self.queue)
        self.queue = self.queue.index_copy(0, at, keys)
        self.place = (self.place + len(keys)) % len(self.queue)

    def after_step(self, step: int, steps: int) -> None:
        follow(self.average, self.encoder, self.config.momentum)
