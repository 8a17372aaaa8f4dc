"""Symmetric InfoNCE: each view of a pair finds the other among the pairs of the batch."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from semanticcmc.training.objectives.base import Negatives, PairRows, all_pairs, films_allowed

LEAST_TEMPERATURE = 0.01  # as in CLIP (Radford et al. 2021): a learned temperature must not run to 0


class InfoNCE(nn.Module):
    r"""Symmetric InfoNCE over a batch of pairs: each view finds its partner among candidates of the batch.

    With :math:`s_{ij} = x_i \cdot y_j / T` the loss is the mean over i of

    .. math:: -\frac12 \left( \log\frac{e^{s_{ii}}}{\sum_{j \in C_i} e^{s_{ij}}}
              + \log\frac{e^{s_{ii}}}{\sum_{j \in C_i} e^{s_{ji}}} \right)

    (van den Oord et al. 2018; symmetric as in Radford et al. 2021), where the candidates :math:`C_i` are i
    itself and its negatives. A pair without negatives adds 0 to the sum and counts in the mean. A frame that
    is in the batch twice is a negative of itself, like the frame a second before it: pairs are drawn from so
    many frames that both are rare.

    Parameters
    ----------
    temperature : float
        T, or where it starts.
    learnable : bool
        Whether T is learned with the network (as ``log T``; never below 0.01).
    negatives : {'all', 'within_film', 'cross_film'}
        All other pairs of the batch, those of the pair's own film, or those of other films.
    """

    def __init__(self, temperature: float, learnable: bool, negatives: Negatives = "all") -> None:
        super().__init__()
        self.negatives = negatives
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)), requires_grad=learnable)

    @property
    def temperature(self) -> Tensor:
        """T in use, a scalar."""
        return self.log_temperature.exp().clamp(min=LEAST_TEMPERATURE)

    def measures(self) -> dict[str, float]:
        """What to log of the objective itself."""
        return {"temperature": self.temperature.item()}

    def forward(self, first: Tensor, second: Tensor, rows: PairRows) -> Tensor:
        """Loss, in nats, of the embeddings (B, d) of the first and second view of each pair."""
        first, second, rows = all_pairs(first, second, rows)
        similarity = first @ second.T / self.temperature
        partner = torch.arange(len(first), device=first.device)
        if self.negatives != "all":
            allowed = films_allowed(rows.film, rows.film, self.negatives)
            allowed[partner, partner] = True
            similarity = similarity.masked_fill(~allowed, -torch.inf)
        forth = functional.cross_entropy(similarity, partner)
        back = functional.cross_entropy(similarity.T, partner)
        return (forth + back) / 2
