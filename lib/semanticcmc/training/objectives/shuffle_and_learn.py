"""Shuffle and learn: whether three frames of a film are in order."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor, nn

from semanticcmc.config import Count, InnerShare, Section
from semanticcmc.training.networks import Encoder
from semanticcmc.training.objectives.base import all_samples, seeded
from semanticcmc.training.objectives.order import Order
from semanticcmc.training.pairings import Draw, Fixed

IN_ORDER, OUT_OF_ORDER = (1, 2, 3), ((1, 0, 3), (1, 4, 3))  # of five frames, from 0


@dataclasses.dataclass(frozen=True)
class ShuffleAndLearnConfig(Section):
    """Share of samples that are in order (published: 0.25), and units of the head's hidden layer."""

    share_in_order: InnerShare
    hidden_units: Count


class ShuffleAndLearn(Order):
    r"""Shuffle and learn (Misra et al. 2016): the cross-entropy of whether three frames are in order.

    Of five frames a, b, c, d, e, each a lag after the one before, b, c, d are in order, b, a, d and b, e, d are not;
    each as often from back to front, which is in order too. The head over the three fc7 is linear, ReLU, linear; the
    published one is linear alone, which adds up what each frame says and cannot compare them. Windows are drawn from
    everywhere, not where something moves: a world's camera and cuts always do.
    """

    Config = ShuffleAndLearnConfig
    config: ShuffleAndLearnConfig

    def __init__(self, config: ShuffleAndLearnConfig, encoder: Encoder, pairing: Fixed, seed: int) -> None:
        super().__init__(config, encoder, pairing, seed, seen=3, drawn=5)
        sizes = 3 * self.units, config.hidden_units

        def head() -> nn.Module:
            return nn.Sequential(nn.Flatten(), nn.Linear(*sizes), nn.ReLU(True), nn.Linear(sizes[1], 1))

        self.head = seeded(seed, head)

    @classmethod
    def chance(cls, config: ShuffleAndLearnConfig, samples: int) -> float | None:
        """Entropy of the answer."""
        share = config.share_in_order
        return -share * math.log(share) - (1 - share) * math.log(1 - share)

    def draw(self, n: int, generator: torch.Generator) -> Draw:
        """Three frames a sample; the target is 1 where they are in order, from front or back."""
        drawn = self.pairing.draw(n, generator)
        right = (torch.rand(n, generator=generator) < self.config.share_in_order).long()
        which = torch.randint(len(OUT_OF_ORDER), (n,), generator=generator)
        order = torch.where(right[:, None] == 1, torch.tensor(IN_ORDER), torch.tensor(OUT_OF_ORDER)[which])
        backwards = torch.rand(n, generator=generator) < 0.5
        return self.ordered(drawn, torch.where(backwards[:, None], order.flip(1), order), right)

    def forward(self, images: tuple[Tensor, ...], draw: Draw) -> Tensor:
        draw, scores = all_samples(draw, self.head(self.features(images)))
        return self.answered(scores, draw.targets[:, 0])
