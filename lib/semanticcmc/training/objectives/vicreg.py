"""VICReg: partners alike, each unit of the embedding alive, no two units alike; nothing is contrasted."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor
from torch.nn import functional

from semanticcmc.config import NotNegative, Section
from semanticcmc.training.objectives.base import TwoViews
from semanticcmc.training.pairings import Draw

EPSILON = 1e-4  # added to variances, whose root has no slope at 0


@dataclasses.dataclass(frozen=True)
class VICRegConfig(Section):
    """Weights of the three terms; the paper's are 25, 25 and 1."""

    invariance: NotNegative
    variance: NotNegative
    covariance: NotNegative


class VICReg(TwoViews):
    r"""Variance-invariance-covariance regularisation (Bardes, Ponce & LeCun 2022, arXiv 2105.04906).

    With z and z' (B, d), the embeddings *before* they are normalised, the loss is

    .. math:: \lambda \, \frac{1}{Bd} \sum (z - z')^2
              + \mu \, \frac12 (v(z) + v(z')) + \nu \, (c(z) + c(z')), \\
              v(z) = \frac1d \sum_j \max(0, 1 - \sqrt{Var(z_j) + 10^{-4}}), \qquad
              c(z) = \frac1d \sum_{j \ne k} Cov(z)_{jk}^2

    with variances and covariances over B - 1, each term as the authors' code averages it (facebookresearch/vicreg;
    the paper's formula sums the first over d and does not halve the second). fc8, one linear layer upon fc7, is the
    expander: the same head as that of every objective of two views here.
    """

    Config = VICRegConfig
    config: VICRegConfig
    unit_length = False

    def loss(self, first: Tensor, second: Tensor, draw: Draw) -> Tensor:
        """Loss of the embeddings (B, d) of the first and second view of each pair, of any length."""
        variance = (_variance(first) + _variance(second)) / 2
        covariance = _covariance(first) + _covariance(second)
        weights = self.config
        invariance = weights.invariance * functional.mse_loss(first, second)
        return invariance + weights.variance * variance + weights.covariance * covariance


def _variance(embeddings: Tensor) -> Tensor:
    """How much units' standard deviations fall short of 1, mean over units."""
    return functional.relu(1 - (embeddings.var(dim=0) + EPSILON).sqrt()).mean()


def _covariance(embeddings: Tensor) -> Tensor:
    """Sum of squared covariances of different units, by the number of units."""
    covariances = torch.cov(embeddings.T)
    return (covariances.square().sum() - covariances.diagonal().square().sum()) / embeddings.shape[1]
