"""Contrastive objectives: symmetric InfoNCE, and what a contrastive embedding is watched by."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

LEAST_TEMPERATURE = 0.01  # as in CLIP (Radford et al. 2021): a learned temperature must not run to 0


class InfoNCE(nn.Module):
    r"""Symmetric InfoNCE over a batch of pairs: each view finds its partner among all partners.

    With :math:`s_{ij} = x_i \cdot y_j / T` the loss is the mean over i of

    .. math:: -\frac12 \left( \log\frac{e^{s_{ii}}}{\sum_j e^{s_{ij}}}
              + \log\frac{e^{s_{ii}}}{\sum_j e^{s_{ji}}} \right)

    (van den Oord et al. 2018; symmetric as in Radford et al. 2021). Negatives come from the whole batch,
    whatever film they are from.

    Parameters
    ----------
    temperature : float
        T, or where it starts.
    learnable : bool
        Whether T is learned with the network (as ``log T``; never below 0.01).
    """

    def __init__(self, temperature: float, learnable: bool) -> None:
        super().__init__()
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)), requires_grad=learnable)

    @property
    def temperature(self) -> Tensor:
        """T in use, a scalar."""
        return self.log_temperature.exp().clamp(min=LEAST_TEMPERATURE)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Loss of L2-normalised embeddings (B, d) of the first and second view of each pair, in nats."""
        similarity = first @ second.T / self.temperature
        partner = torch.arange(len(first), device=first.device)
        forth = functional.cross_entropy(similarity, partner)
        back = functional.cross_entropy(similarity.T, partner)
        return (forth + back) / 2


def alignment(first: Tensor, second: Tensor) -> Tensor:
    """Mean squared distance of partners (Wang & Isola 2020, alpha 2): 0 where each pair coincides."""
    return (first - second).square().sum(dim=1).mean()


def uniformity(embeddings: Tensor) -> Tensor:
    """Log of the mean of exp(-2 d^2) over all pairs (Wang & Isola 2020, t 2): 0 where all coincide.

    Parameters
    ----------
    embeddings : Tensor
        L2-normalised, (B, d), at least two rows.
    """
    return functional.pdist(embeddings.float()).square().mul(-2).exp().mean().log()
