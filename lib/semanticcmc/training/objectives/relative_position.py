"""Relative position: which of the eight neighbours of a patch is this other patch?"""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from semanticcmc.config import NotNegative, Section, Several
from semanticcmc.training import crops
from semanticcmc.training.networks import Encoder
from semanticcmc.training.objectives.base import OneFrame, all_samples, seeded
from semanticcmc.training.pairings import Draw, Fixed
from semanticcmc.training.views import View

# Rows and columns from the middle of a grid of 3 x 3 to its neighbours.
NEIGHBOURS = tuple((row, column) for row in (-1, 0, 1) for column in (-1, 0, 1) if (row, column) != (0, 0))


@dataclasses.dataclass(frozen=True)
class RelativePositionConfig(Section):
    """Gap between patches and greatest jitter of each, as shares of a patch's side (Doersch: .5 and .07).

    `drop_colour`: each patch keeps one colour channel. `hidden_units`: of the head, which sees both patches' fc7.
    """

    gap: NotNegative
    jitter: NotNegative
    drop_colour: bool
    hidden_units: Several

    def __post_init__(self) -> None:
        super().__post_init__()
        if 2 * self.jitter > self.gap:
            raise ValueError(f"jitter {self.jitter}: at most half of gap {self.gap}, else patches can overlap")


class RelativePosition(OneFrame):
    r"""Context prediction (Doersch, Gupta & Efros 2015, arXiv 1505.05192): cross-entropy of the eight places.

    .. math:: -\frac1B \sum_i \log \mathrm{softmax}(h(f(p_i), f(p'_i)))_{k_i}

    The crop is seen as a grid of 3 x 3 patches with gaps; p is the middle one, p' the neighbour k that was
    drawn, each moved by a jitter of its own, and f the encoder's fc7 (the paper joins the two at fc6). A patch is
    enlarged to the encoder's input. Where colour is dropped, one of the three channels, drawn for each patch, stands
    for all three (the paper puts noise in place of the other two): chromatic aberration cannot tell the place.
    """

    Config = RelativePositionConfig
    config: RelativePositionConfig
    images = 2

    def __init__(self, config: RelativePositionConfig, encoder: Encoder, pairing: Fixed, seed: int) -> None:
        super().__init__(config, encoder, pairing, seed)
        units, hidden = self.units("fc7"), config.hidden_units
        self.views = (View(distort=False, px=2 * encoder.input_px),)
        self.patch_px = int(2 * encoder.input_px / (3 + 2 * config.gap + 2 * config.jitter))
        self.jitter_px = int(config.jitter * self.patch_px)

        def head() -> nn.Module:
            layers = (nn.Linear(2 * units, hidden), nn.BatchNorm1d(hidden), nn.ReLU(True))
            return nn.Sequential(*layers, nn.Linear(hidden, len(NEIGHBOURS)))

        self.head = seeded(seed, head)

    @classmethod
    def chance(cls, config: RelativePositionConfig, samples: int) -> float | None:
        return math.log(len(NEIGHBOURS))

    def draw(self, n: int, generator: torch.Generator) -> Draw:
        """Targets (n, 7): number of the neighbour; of both patches jitter down, jitter right, channel that is kept."""
        place = torch.randint(len(NEIGHBOURS), (n, 1), generator=generator)
        jitter = torch.randint(-self.jitter_px, self.jitter_px + 1, (n, 2, 2), generator=generator)
        channel = torch.randint(3, (n, 2, 1), generator=generator)
        drawn = torch.cat((jitter, channel), dim=2).flatten(1)
        return super().draw(n, generator)._replace(targets=torch.cat((place, drawn), dim=1))

    def corners(self, targets: Tensor) -> Tensor:
        """Top and left, in pixels of the view, of the middle patch and the other: int64 (n, 2, 2)."""
        middle = (2 * self.encoder.input_px - self.patch_px) // 2
        pitch = int((1 + self.config.gap) * self.patch_px)
        steps = crops.beside(targets, NEIGHBOURS)[targets[:, 0]] * pitch
        steps = torch.stack((torch.zeros_like(steps), steps), dim=1)
        return middle + steps + targets[:, 1:].view(-1, 2, 3)[:, :, :2]

    def patches(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Middle patches and the others, each (b, 3, px, px) at the encoder's input size."""
        inside = torch.arange(self.patch_px, device=images.device)
        sample = torch.arange(len(images), device=images.device)[:, None, None]
        channels = targets[:, 1:].view(-1, 2, 3)[:, :, 2]
        patches = []
        for corner, channel in zip(self.corners(targets).unbind(1), channels.unbind(1), strict=True):
            rows, columns = (corner[:, axis, None] + inside for axis in (0, 1))
            patch = images.permute(0, 2, 3, 1)[sample, rows[:, :, None], columns[:, None, :]]
            if self.config.drop_colour:
                patch = patch.gather(3, channel[:, None, None, None].expand_as(patch))
            px = self.encoder.input_px
            patches.append(functional.interpolate(patch.permute(0, 3, 1, 2), (px, px), mode="bilinear"))
        return patches[0], patches[1]

    def forward(self, images: tuple[Tensor, ...], draw: Draw) -> Tensor:
        """Loss, in nats, of this process's frames."""
        features = [self.activations(patch, "fc7")[0] for patch in self.patches(images[0], draw.targets)]
        places = self.head(torch.cat(features, dim=1))
        _, surprise = all_samples(draw, functional.cross_entropy(places, draw.targets[:, 0], reduction="none"))
        return surprise.mean()
