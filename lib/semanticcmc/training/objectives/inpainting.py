"""Inpainting: what was in the masked middle of the picture?"""

from __future__ import annotations

import dataclasses
from typing import Literal

import torch
from torch import Tensor, nn

from semanticcmc.config import Section
from semanticcmc.training.networks import Encoder
from semanticcmc.training.objectives.base import OneFrame, all_samples, seeded
from semanticcmc.training.pairings import Draw, Fixed
from semanticcmc.training.views import View


@dataclasses.dataclass(frozen=True)
class InpaintingConfig(Section):
    """The layer that is decoded: conv5 as published (then fc6 and fc7 learn nothing), or fc7."""

    layer: Literal["conv5", "fc6", "fc7"]


class Inpainting(OneFrame):
    r"""Context encoder (Pathak et al. 2016, arXiv 1604.07379), its reconstruction loss alone, without the adversary.

    .. math:: \frac{1}{B \, 3 s^2} \sum_i \| m(x_i) - g(f(x_i - m(x_i))) \|^2

    with m the middle quarter of the crop's area, of side s half the input's, which the encoder sees as 0 (the mean
    colour, where normalisation is imagenet), f a layer of the encoder, and g a linear decoder of that layer to the
    pixels of the quarter (the paper's has five layers). Pixels are normalised as the encoder takes them; colours are
    not distorted.
    """

    Config = InpaintingConfig
    config: InpaintingConfig
    views = (View(distort=False),)

    def __init__(self, config: InpaintingConfig, encoder: Encoder, pairing: Fixed, seed: int) -> None:
        super().__init__(config, encoder, pairing, seed)
        self.side_px = encoder.input_px // 2
        start = (encoder.input_px - self.side_px) // 2
        self.middle = (..., slice(start, start + self.side_px), slice(start, start + self.side_px))
        units, pixels = self.units(config.layer), 3 * self.side_px**2
        self.decoder = seeded(seed, lambda: nn.Linear(units, pixels))

    def masked(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (b, 3, px, px) without their middle, and the middle, (b, 3, s, s)."""
        middle, rest = images[self.middle].clone(), images.clone(memory_format=torch.preserve_format)
        rest[self.middle] = 0
        return rest, middle

    def forward(self, images: tuple[Tensor, ...], draw: Draw) -> Tensor:
        """Mean squared error over the masked pixels of this process's frames."""
        rest, middle = self.masked(images[0])
        (features,) = self.activations(rest, self.config.layer)
        decoded = self.decoder(features.flatten(1)).view(middle.shape)
        _, error = all_samples(draw, (decoded - middle).square().mean(dim=(1, 2, 3)))
        return error.mean()
