"""SwAV: the cluster that one view is assigned to is predicted from the other view."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from semanticcmc.config import Count, Positive, Section, Several
from semanticcmc.training.networks import Encoder
from semanticcmc.training.objectives.base import TwoViews, seeded
from semanticcmc.training.pairings import Draw, Fixed


@dataclasses.dataclass(frozen=True)
class SwAVConfig(Section):
    """Number of prototypes (3,000 in the paper, for 1,000 classes), T .1, epsilon .05, Sinkhorn's iterations 3."""

    prototypes: Several
    temperature: Positive
    epsilon: Positive
    iterations: Count


class SwAV(TwoViews):
    r"""Swapping assignments between views (Caron et al. 2020, arXiv 2006.09882), of two crops and without a queue.

    With L2-normalised embeddings x and y of the two views and K prototypes c, of length 1 as well, the loss is the
    mean over samples of

    .. math:: -\frac12 \sum_k \left( q^y_k \log p^x_k + q^x_k \log p^y_k \right), \qquad
              p^x = softmax(x C^\top / T),

    q being the codes of `sinkhorn`, which take no gradient: assignments of all samples of a batch that use every
    prototype equally often. The paper's first steps with fixed prototypes are left out.
    """

    Config = SwAVConfig
    config: SwAVConfig

    def __init__(self, config: SwAVConfig, encoder: Encoder, pairing: Fixed, seed: int) -> None:
        super().__init__(config, encoder, pairing, seed)
        size: int = encoder.config.embedding_dim  # type: ignore[union-attr, assignment]
        self.prototypes = seeded(seed, lambda: nn.Linear(size, config.prototypes, bias=False))
        self.after_step(0, 0)

    @classmethod
    def chance(cls, config: SwAVConfig, samples: int) -> float | None:
        """Of a prediction that is the same for all prototypes."""
        return math.log(config.prototypes)

    def loss(self, first: Tensor, second: Tensor, draw: Draw) -> Tensor:
        """Loss, in nats, of the embeddings (B, d) of the first and second view of each pair."""
        scores = [self.prototypes(view) for view in (first, second)]
        codes = [sinkhorn(one.detach(), self.config.epsilon, self.config.iterations) for one in scores]
        forth, back = (
            functional.cross_entropy(score / self.config.temperature, code)
            for score, code in zip(scores, reversed(codes), strict=True)
        )
        return (forth + back) / 2

    @torch.no_grad()
    def after_step(self, step: int, steps: int) -> None:
        """Bring prototypes back to length 1."""
        self.prototypes.weight.copy_(functional.normalize(self.prototypes.weight, dim=1))


def sinkhorn(scores: Tensor, epsilon: float, iterations: int) -> Tensor:
    """Codes (B, K), rows summing to 1, of scores (B, K): exp(scores / epsilon) scaled towards equal columns.

    Each iteration scales columns (prototypes), then rows (samples), to equal sums (Cuturi 2013).
    """
    logs = scores / epsilon
    for _ in range(iterations):
        logs = functional.log_softmax(functional.log_softmax(logs, dim=0), dim=1)
    return logs.exp()
