"""Contrastive predictive coding: one network foretells, by a predictor a lag, what it will see at several lags."""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional

from semanticcmc.config import RISING, SOME, Positive, Section
from semanticcmc.training.networks import Encoder
from semanticcmc.training.objectives.base import Objective, all_samples, refuse_lag
from semanticcmc.training.objectives.order import Course
from semanticcmc.training.pairings import Draw, Fixed
from semanticcmc.training.views import View


@dataclasses.dataclass(frozen=True)
class CPCConfig(Section):
    """Seconds ahead, and the temperature at which the predictors start."""

    after_s: Annotated[tuple[Positive, ...], SOME, RISING]
    temperature: Positive

    @property
    def images(self) -> int:
        """Frames of a sample."""
        return 1 + len(self.after_s)


class CPC(Objective):
    r"""CPC (van den Oord et al. 2018) without a recurrent network: a bilinear predictor :math:`W_k` a lag.

    With embeddings :math:`z_i` of the first frames of samples i and :math:`z_i^k` of the frames a lag k later, the loss
    is the mean over lags and samples of

    .. math:: -\log\frac{e^{z_i^k \cdot W_k z_i}}{\sum_j e^{z_j^k \cdot W_k z_i}}

    over all samples j of the batch. Embeddings are L2-normalised, and each :math:`W_k` starts as the identity over the
    temperature: training starts as InfoNCE at every lag. The network has no lag of its own (``lags_s``).
    """

    Config = CPCConfig
    config: CPCConfig

    def __init__(self, config: CPCConfig, encoder: Encoder, pairing: Fixed, seed: int) -> None:
        refuse_lag(pairing, "those of after_s")
        super().__init__(config, encoder, Course.of(pairing, config.after_s), seed)
        self.views = tuple(View(frame) for frame in range(config.images))
        size: int = encoder.config.embedding_dim  # type: ignore[union-attr, assignment]
        start = torch.eye(size) / config.temperature
        self.predictors = nn.Parameter(start.repeat(len(config.after_s), 1, 1))

    @classmethod
    def chance(cls, config: CPCConfig, samples: int) -> float | None:
        return math.log(samples)

    def forward(self, images: tuple[Tensor, ...], draw: Draw) -> Tensor:
        draw, first, *later = all_samples(draw, *self.embed(*images))
        return self.loss(first, torch.stack(later))

    def loss(self, first: Tensor, later: Tensor) -> Tensor:
        """Loss, in nats, of embeddings of the first frames (B, d) and of those at each lag (lags, B, d)."""
        scores = first @ self.predictors.mT @ later.mT  # (lags, B, B): a row a first frame
        own = torch.arange(len(first), device=first.device).repeat(len(later))
        return functional.cross_entropy(scores.flatten(0, 1), own)
