"""Debiased InfoNCE: negatives are corrected for those among them that are of the same kind as the pair."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from semanticcmc.config import Positive, Section
from semanticcmc.training.moments import labels_of_frames, scenes_of_frames
from semanticcmc.training.networks import Encoder
from semanticcmc.training.objectives.info_nce import InfoNCE
from semanticcmc.training.pairings import Draw, Fixed


@dataclasses.dataclass(frozen=True)
class DebiasedConfig(Section):
    """Temperature as of InfoNCE; `tau`: the rate of false negatives, or what makes one: the same scene, or a label."""

    temperature: Positive
    learn_temperature: bool
    tau: Literal["scene", "label"] | float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.tau, str) and not 0 <= self.tau < 1:
            raise ValueError(f"tau {self.tau}: expected 0 to less than 1, or scene, or label")


class Debiased(InfoNCE):
    r"""Debiased contrastive loss (Chuang et al. 2020, arXiv 2007.00224), both ways round, one positive a pair.

    With :math:`s_{ij} = x_i \cdot y_j / T` and N = B - 1 negatives a pair, the loss is the mean over i of

    .. math:: -\log\frac{e^{s_{ii}}}{e^{s_{ii}} + N g_i}, \qquad
              g_i = \max\left( \frac{\frac1N \sum_{j \ne i} e^{s_{ij}} - \tau e^{s_{ii}}}{1 - \tau},
              e^{-1/T} \right)

    and of the same with :math:`s_{ji}`; for tau 0 it is InfoNCE, with all other pairs of the batch as negatives. tau is
    the probability that a negative is of the pair's own kind. With ``scene`` (of a world) or ``label`` it is the true
    rate (`rate_of_false_negatives`), and among the measures.
    """

    Config = DebiasedConfig  # type: ignore[assignment]
    config: DebiasedConfig  # type: ignore[assignment]
    takes_soft = False

    def __init__(self, config: DebiasedConfig, encoder: Encoder, pairing: Fixed, seed: int) -> None:
        super().__init__(config, encoder, pairing, seed)  # type: ignore[arg-type]
        self.tau = rate_of_false_negatives(pairing, config.tau) if isinstance(config.tau, str) else config.tau

    @classmethod
    def chance(cls, config: DebiasedConfig, samples: int) -> float | None:  # type: ignore[override]
        """Of embeddings that are all the same, whatever tau."""
        return math.log(samples)

    def measures(self) -> dict[str, float]:
        return super().measures() | {"tau": float(self.tau)}

    def loss(self, first: Tensor, second: Tensor, draw: Draw) -> Tensor:
        """Loss, in nats, of the embeddings (B, d) of the first and second view of each pair."""
        similarity = first @ second.T / self.temperature
        return (self._one_way(similarity) + self._one_way(similarity.T)) / 2

    def _one_way(self, similarity: Tensor) -> Tensor:
        own, count = similarity.diagonal(), len(similarity) - 1
        itself = torch.eye(len(similarity), dtype=torch.bool, device=similarity.device)
        # All relative to e^own and as logarithms: with a small T the exponentials overflow.
        others = (similarity - own[:, None]).masked_fill(itself, -torch.inf).logsumexp(dim=1) - math.log(count)
        corrected = others
        if self.tau:
            others = others.clamp(min=math.log(self.tau) + 1e-6)
            corrected = others + torch.log1p(-self.tau * (-others).exp()) - math.log1p(-self.tau)
        least = -1 / self.temperature - own
        return functional.softplus(torch.maximum(corrected, least) + math.log(count)).mean()


def rate_of_false_negatives(pairing: Fixed, kind: str) -> float:
    """Probability that the first frame of one pair and the second of another share a scene, or a label.

    Pairs are drawn independently, as the two of a batch are: with the share p of first frames, and q of second
    ones at the middle of the pairing's lags, that have each set of labels (or are in each scene), it is the sum of p q
    over all sets that have a label in common.

    Raises
    ------
    InputError
        Where scenes or labels are not known.
    """
    pairs = pairing.pairs
    if kind == "scene":
        known = scenes_of_frames(pairing.index, pairing.folder)[:, None]
        kinds = int(known.max()) + 1
        known = torch.where(known < 0, kinds, known)
    else:
        known, names = labels_of_frames(pairing.index, pairing.folder)
        kinds = len(names)
    sets, of_frame = torch.unique(known, dim=0, return_inverse=True)
    has = torch.zeros(len(sets), kinds + 1).scatter_(1, sets, 1)[:, :-1]
    shares = [
        torch.bincount(of_frame[rows], minlength=len(sets)).double() / len(rows)
        for rows in (pairs.anchors, pairs.partner(pairs.anchors, pairs.lag_s))
    ]
    return float(shares[0] @ (has @ has.T > 0).double() @ shares[1])
