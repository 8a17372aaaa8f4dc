"""Odd one out: which of several runs of frames is shuffled."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Annotated

import torch
from torch import Tensor, nn

from semanticcmc.config import Count, Rule, Section, Several
from semanticcmc.training.networks import Encoder
from semanticcmc.training.objectives.base import all_samples, seeded
from semanticcmc.training.objectives.order import Order
from semanticcmc.training.pairings import Draw, Fixed


@dataclasses.dataclass(frozen=True)
class OddOneOutConfig(Section):
    """Runs of a sample, frames of a run, and units that each run is brought to."""

    runs: Several
    frames: Annotated[int, Rule("3 to 6", lambda frames: 3 <= frames <= 6)]
    hidden_units: Count

    @property
    def images(self) -> int:
        """Frames of a sample."""
        return self.runs * self.frames


class OddOneOut(Order):
    """Odd-one-out networks (Fernando et al. 2017): the cross-entropy of which of N + 1 runs is shuffled.

    The runs follow each other in one film, frames each a lag after the one before. The odd one is in an order drawn
    from all but the right one and the same backwards, which only an arrow of time tells apart (published: all but the
    right one). A run is its frames' fc7 through a linear layer and ReLU, the head linear over the runs side by side
    (published: also sums of differences).
    """

    Config = OddOneOutConfig
    config: OddOneOutConfig

    def __init__(self, config: OddOneOutConfig, encoder: Encoder, pairing: Fixed, seed: int) -> None:
        super().__init__(config, encoder, pairing, seed, seen=config.images, drawn=config.images)
        orders = [order for order in itertools.permutations(range(config.frames)) if sorted(order) != list(order)]
        orders.remove(tuple(reversed(range(config.frames))))
        self.shuffles = torch.tensor(orders)
        sizes = config.frames * self.units, config.hidden_units

        def head() -> nn.Module:
            of_run = nn.Sequential(nn.Linear(*sizes), nn.ReLU(True))
            return nn.Sequential(of_run, nn.Flatten(), nn.Linear(config.runs * sizes[1], config.runs))

        self.head = seeded(seed, head)

    @classmethod
    def chance(cls, config: OddOneOutConfig, samples: int) -> float | None:
        return math.log(config.runs)

    def draw(self, n: int, generator: torch.Generator) -> Draw:
        """Runs one after the other; the target is the number, from 0, of the shuffled one."""
        runs, frames = self.config.runs, self.config.frames
        drawn, odd = self.pairing.draw(n, generator), torch.randint(runs, (n,), generator=generator)
        shuffle = self.shuffles[torch.randint(len(self.shuffles), (n,), generator=generator)]
        order = torch.arange(runs * frames).view(runs, frames).repeat(n, 1, 1)
        order[torch.arange(n), odd] = odd[:, None] * frames + shuffle
        return self.ordered(drawn, order.flatten(1), odd)

    def forward(self, images: tuple[Tensor, ...], draw: Draw) -> Tensor:
        runs = self.features(images).unflatten(1, (self.config.runs, -1)).flatten(2)  # (b, runs, frames * units)
        draw, scores = all_samples(draw, self.head(runs))
        return self.answered(scores, draw.targets[:, 0])
