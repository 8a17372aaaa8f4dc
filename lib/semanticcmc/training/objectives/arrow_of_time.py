"""Arrow of time: whether a run of frames is shown forwards or backwards."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor, nn

from semanticcmc.config import Count, Section, Several
from semanticcmc.training.networks import Encoder
from semanticcmc.training.objectives.base import all_samples, seeded
from semanticcmc.training.objectives.order import Order
from semanticcmc.training.pairings import Draw, Fixed


@dataclasses.dataclass(frozen=True)
class ArrowOfTimeConfig(Section):
    """Frames of a run, and units of the head's hidden layer."""

    frames: Several
    hidden_units: Count

    @property
    def images(self) -> int:
        """Frames of a sample."""
        return self.frames


class ArrowOfTime(Order):
    """Arrow of time (Pickup et al. 2014; Wei et al. 2018): the cross-entropy of whether a run is shown backwards.

    Half of all runs are, of frames each a lag after the one before. The head over their fc7 is linear, ReLU, linear.
    In a world that is the same in both directions (``world.theme_preference`` 0) nothing is to be learned: the loss
    stays at log 2 for runs never seen.
    """

    Config = ArrowOfTimeConfig
    config: ArrowOfTimeConfig

    def __init__(self, config: ArrowOfTimeConfig, encoder: Encoder, pairing: Fixed, seed: int) -> None:
        super().__init__(config, encoder, pairing, seed, seen=config.frames, drawn=config.frames)
        sizes = config.frames * self.units, config.hidden_units

        def head() -> nn.Module:
            return nn.Sequential(nn.Flatten(), nn.Linear(*sizes), nn.ReLU(True), nn.Linear(sizes[1], 1))

        self.head = seeded(seed, head)

    @classmethod
    def chance(cls, config: ArrowOfTimeConfig, samples: int) -> float | None:
        return math.log(2)

    def draw(self, n: int, generator: torch.Generator) -> Draw:
        """A run a sample; the target is 1 where it is backwards."""
        drawn, backwards = self.pairing.draw(n, generator), torch.randint(2, (n,), generator=generator)
        forth = torch.arange(self.config.frames).expand(n, -1)
        return self.ordered(drawn, torch.where(backwards[:, None] == 1, forth.flip(1), forth), backwards)

    def forward(self, images: tuple[Tensor, ...], draw: Draw) -> Tensor:
        draw, scores = all_samples(draw, self.head(self.features(images)))
        return self.answered(scores, draw.targets[:, 0])
