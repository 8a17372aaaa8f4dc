"""Rotation: by how many quarter turns has this picture been turned?"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from semanticcmc.config import Section
from semanticcmc.training.networks import Encoder
from semanticcmc.training.objectives.base import OneFrame, all_samples, seeded
from semanticcmc.training.pairings import Draw, Fixed

TURNS = 4


class Rotation(OneFrame):
    r"""RotNet (Gidaris, Singh & Komodakis 2018, arXiv 1803.07728): cross-entropy of the quarter turns, 0 to 3.

    .. math:: -\frac{1}{4B} \sum_i \sum_{r=0}^3 \log \mathrm{softmax}(W f(\mathrm{rot}_r(x_i)) + b)_r

    with f the encoder's fc7. Each frame is seen at all four turns in one batch, as in the paper, so that it counts as
    four images. Turns are counter-clockwise, of the crop as it has been flipped and distorted.
    """

    images = TURNS

    def __init__(self, config: Section, encoder: Encoder, pairing: Fixed, seed: int) -> None:
        super().__init__(config, encoder, pairing, seed)
        units = self.units("fc7")
        self.head = seeded(seed, lambda: nn.Linear(units, TURNS))

    @classmethod
    def chance(cls, config: Section, samples: int) -> float | None:
        return math.log(TURNS)

    @staticmethod
    def turned(images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (b, 3, px, px) at each turn, (4 b, 3, px, px), and the turns, int64 (4 b,)."""
        every = torch.cat([images.rot90(turn, (2, 3)) for turn in range(TURNS)])
        turns = torch.arange(TURNS, device=images.device).repeat_interleave(len(images))
        return every.contiguous(memory_format=torch.channels_last), turns

    def forward(self, images: tuple[Tensor, ...], draw: Draw) -> Tensor:
        """Loss, in nats, of this process's frames."""
        turned, turns = self.turned(images[0])
        (features,) = self.activations(turned, "fc7")
        surprise = functional.cross_entropy(self.head(features), turns, reduction="none")
        _, surprise = all_samples(draw, surprise)
        return surprise.mean()
