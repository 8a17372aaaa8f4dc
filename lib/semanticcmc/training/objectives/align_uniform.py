"""Alignment and uniformity themselves as the loss: partners close, all embeddings spread over the sphere."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from semanticcmc.config import NotNegative, Section
from semanticcmc.training.objectives.base import TwoViews, alignment, uniformity
from semanticcmc.training.pairings import Draw


@dataclasses.dataclass(frozen=True)
class AlignUniformConfig(Section):
    """Weight of uniformity where alignment has 1; the paper's is 1."""

    uniformity: NotNegative


class AlignUniform(TwoViews):
    r"""Wang & Isola (2020, arXiv 2005.10242), with their alpha 2 and t 2.

    With L2-normalised embeddings x and y of the two views, the loss is

    .. math:: \frac1B \sum_i \|x_i - y_i\|^2
              + w \, \frac12 \sum_{z \in \{x, y\}} \log \frac{2}{B (B - 1)} \sum_{i < j} e^{-2 \|z_i - z_j\|^2}

    of which InfoNCE is the limit for many negatives. Both terms are among the measures.
    """

    Config = AlignUniformConfig
    config: AlignUniformConfig

    @classmethod
    def chance(cls, config: AlignUniformConfig, samples: int) -> float | None:
        """Of a network for which all frames look the same: both terms are 0."""
        return 0.0

    def loss(self, first: Tensor, second: Tensor, draw: Draw) -> Tensor:
        """Loss of the embeddings (B, d) of the first and second view of each pair."""
        uniform = (uniformity(first) + uniformity(second)) / 2
        return alignment(first, second) + self.config.uniformity * uniform
