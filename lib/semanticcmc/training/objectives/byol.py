"""Bootstrap your own latent: each view predicts its partner as a slowly following network sees it; no negatives."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from semanticcmc.config import BelowOne, Section, Several
from semanticcmc.training.networks import Encoder
from semanticcmc.training.objectives.base import TwoViews, all_samples, average_of, follow, seeded
from semanticcmc.training.pairings import Draw, Fixed


@dataclasses.dataclass(frozen=True)
class BYOLConfig(Section):
    """Momentum with which the target follows at first (1 at the end), and units of the predictor's hidden layer."""

    momentum: BelowOne
    hidden_units: Several


class BYOL(TwoViews):
    r"""BYOL (Grill et al. 2020): the mean over both ways round of :math:`2 - 2 \cos(q(z_1), z_2')`.

    z is the encoder's embedding, z' that of its target, which is not learned but follows, and q the predictor (linear,
    batch norm, ReLU, linear). After step k of n the target's weights become :math:`\tau` times themselves plus
    :math:`1 - \tau` times the encoder's, :math:`1 - \tau = (1 - momentum) (\cos(\pi k / n) + 1) / 2`. The embedding,
    fc8, is the projection of the paper.
    """

    Config = BYOLConfig
    config: BYOLConfig

    def __init__(self, config: BYOLConfig, encoder: Encoder, pairing: Fixed, seed: int) -> None:
        super().__init__(config, encoder, pairing, seed)
        self.target = average_of(encoder)
        size: int = encoder.config.embedding_dim  # type: ignore[union-attr, assignment]
        hidden = config.hidden_units

        def predictor() -> nn.Module:
            return nn.Sequential(
                nn.Linear(size, hidden), nn.BatchNorm1d(hidden), nn.ReLU(True), nn.Linear(hidden, size)
            )

        self.predictor = seeded(seed, predictor)

    @classmethod
    def chance(cls, config: BYOLConfig, samples: int) -> float | None:
        """Of directions that have nothing to do with each other."""
        return 2.0

    def forward(self, images: tuple[Tensor, ...], draw: Draw) -> Tensor:
        """Loss of this process's samples; of three frames and more each predicts each."""
        images = self.inputs(images)
        predicted = [self.predictor(embedding) for embedding in self.embed(*images)]
        with torch.no_grad():
            targets = self.embed_by(self.target, *images)
        draw, *both = all_samples(draw, *predicted, *targets)
        pairs = [(a, b) for a in range(len(images)) for b in range(len(images)) if a != b]
        return torch.stack([self.distance(both[a], both[len(images) + b]) for a, b in pairs]).mean()

    @staticmethod
    def distance(predicted: Tensor, targets: Tensor) -> Tensor:
        """Mean over samples of 2 - 2 cos of predictions and targets (B, d)."""
        return 2 - 2 * functional.cosine_similarity(predicted, targets, dim=1).mean()

    def after_step(self, step: int, steps: int) -> None:
        rest = (1 - self.config.momentum) * (math.cos(math.pi * step / steps) + 1) / 2
        follow(self.target, self.encoder, 1 - rest)
