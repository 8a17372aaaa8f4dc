"""Supervised contrast: what of the same scene, or what shares a label at that moment, belongs together."""

from __future__ import annotations

import dataclasses
from typing import Literal

import torch
from torch import Tensor

from semanticcmc.config import Positive, Section
from semanticcmc.training.moments import labels_of_frames, scenes_of_frames
from semanticcmc.training.networks import Encoder
from semanticcmc.training.objectives.base import TwoViews
from semanticcmc.training.pairings import Draw, Fixed


@dataclasses.dataclass(frozen=True)
class SupConConfig(Section):
    """Temperature T, and what makes two frames positives of each other."""

    temperature: Positive
    positives: Literal["scene", "label"]


class SupCon(TwoViews):
    r"""SupCon (Khosla et al. 2020, the sum outside the logarithm) over all 2 B views of a batch.

    With :math:`s_{ij} = z_i \cdot z_j / T`, the loss is the mean over views i that have positives P(i) of

    .. math:: -\frac{1}{|P(i)|} \sum_{p \in P(i)} \log \frac{e^{s_{ip}}}{\sum_{j \ne i} e^{s_{ij}}}.

    Positives are views of the same frame, and of frames in the same scene (known of a world) or with a label in common
    at their moments. It needs what lag objectives do not have, and bounds what they can learn.
    """

    Config = SupConConfig
    config: SupConConfig
    known: Tensor

    def __init__(self, config: SupConConfig, encoder: Encoder, pairing: Fixed, seed: int) -> None:
        super().__init__(config, encoder, pairing, seed)
        if config.positives == "scene":
            known, self.kinds = scenes_of_frames(pairing.index, pairing.folder)[:, None], 0
        else:
            known, names = labels_of_frames(pairing.index, pairing.folder)
            self.kinds = len(names)
        self.register_buffer("known", known, persistent=False)

    def positives(self, rows: Tensor) -> Tensor:
        """Which views are positives of which, bool (n, n), the diagonal aside, of the frames `rows` (n,) seen."""
        known = self.known[rows]
        if self.kinds:
            labels = torch.zeros(len(rows), self.kinds + 1, device=rows.device).scatter_(1, known, 1)[:, :-1]
            alike = labels @ labels.T > 0
        else:
            alike = (known == known.T) & (known >= 0)
        alike |= rows[:, None] == rows
        return alike.fill_diagonal_(False)

    def loss(self, first: Tensor, second: Tensor, draw: Draw) -> Tensor:
        """Loss, in nats, of the embeddings (B, d) of the first and second view of each sample."""
        views, alike = torch.cat((first, second)), self.positives(draw.rows.T.flatten())
        itself = torch.eye(len(views), dtype=torch.bool, device=views.device)
        similarity = (views @ views.T / self.config.temperature).masked_fill(itself, -torch.inf)
        surprise = -similarity.log_softmax(dim=1).masked_fill(itself, 0)
        count = alike.sum(dim=1)
        return ((surprise * alike).sum(dim=1) / count.clamp(min=1))[count > 0].mean()
