"""Symmetric InfoNCE: each view of a pair finds the other among the pairs of the batch."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from semanticcmc.config import Positive, Section
from semanticcmc.training.networks import Encoder
from semanticcmc.training.objectives.base import Negatives, TwoViews, films_allowed
from semanticcmc.training.pairings import Draw, Fixed

LEAST_TEMPERATURE = 0.01  # as in CLIP (Radford et al. 2021): a learned temperature must not run to 0


@dataclasses.dataclass(frozen=True)
class InfoNCEConfig(Section):
    """Keys of section ``training``, explained in base.yaml."""

    temperature: Positive
    learn_temperature: bool
    negatives: Negatives


class InfoNCE(TwoViews):
    r"""Symmetric InfoNCE over a batch of pairs: each view finds its partner among candidates of the batch.

    With :math:`s_{ij} = x_i \cdot y_j / T` the loss is the mean over i of

    .. math:: -\frac12 \left( \log\frac{e^{s_{ii}}}{\sum_{j \in C_i} e^{s_{ij}}}
              + \log\frac{e^{s_{ii}}}{\sum_{j \in C_i} e^{s_{ji}}} \right)

    (van den Oord et al. 2018; symmetric as in Radford et al. 2021), where the candidates :math:`C_i` are i
    itself and its negatives. A pair without negatives adds 0 to the sum and counts in the mean. A frame that
    is in the batch twice is a negative of itself, like the frame a second before it: pairs are drawn from so
    many frames that both are rare.

    Where a pairing gives weights (`pairings.SoftTime`), the partner's log probability becomes the weighted mean of
    those of all candidates.

    The temperature T is learned as ``log T`` where the config says so, and is never below 0.01; negatives are all other
    pairs of the batch, those of the pair's own film, or those of other films.
    """

    Config = InfoNCEConfig
    config: InfoNCEConfig
    takes_soft = True

    def __init__(self, config: InfoNCEConfig, encoder: Encoder, pairing: Fixed, seed: int) -> None:
        super().__init__(config, encoder, pairing, seed)
        start = torch.tensor(math.log(config.temperature))
        self.log_temperature = nn.Parameter(start, requires_grad=config.learn_temperature)

    @classmethod
    def chance(cls, config: InfoNCEConfig, samples: int) -> float | None:
        return math.log(samples) if config.negatives == "all" else None

    @property
    def temperature(self) -> Tensor:
        """T in use, a scalar."""
        return self.log_temperature.exp().clamp(min=LEAST_TEMPERATURE)

    def measures(self) -> dict[str, float]:
        return super().measures() | {"temperature": self.temperature.item()}

    def loss(self, first: Tensor, second: Tensor, draw: Draw) -> Tensor:
        """Loss, in nats, of the embeddings (B, d) of the first and second view of each pair."""
        similarity = first @ second.T / self.temperature
        partner = torch.arange(len(first), device=first.device)
        if self.config.negatives != "all":
            allowed = films_allowed(draw.film, draw.film, self.config.negatives)
            allowed[partner, partner] = True
            similarity = similarity.masked_fill(~allowed, -torch.inf)
        if self.pairing.soft:
            weights = self.pairing.weights(draw) * similarity.isfinite()
            return (_weighted(similarity, weights) + _weighted(similarity.T, weights.T)) / 2
        forth = functional.cross_entropy(similarity, partner)
        back = functional.cross_entropy(similarity.T, partner)
        return (forth + back) / 2


def _weighted(similarity: Tensor, weights: Tensor) -> Tensor:
    """Mean over rows of the weighted mean of -log softmax; candidates of weight 0 may be at -inf."""
    surprise = -functional.log_softmax(similarity, dim=1).masked_fill(weights == 0, 0)
    return ((surprise * weights).sum(dim=1) / weights.sum(dim=1)).mean()
