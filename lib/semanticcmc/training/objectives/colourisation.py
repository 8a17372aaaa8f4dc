"""Colourisation: which colours has this grey picture?"""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from semanticcmc.config import AboveZero, Count, Positive, Section
from semanticcmc.training import crops
from semanticcmc.training.networks import Encoder
from semanticcmc.training.objectives.base import OneFrame, all_samples, seeded
from semanticcmc.training.pairings import Draw, Fixed
from semanticcmc.training.views import LAB, View

CHANNELS = 32  # of the decoder's map


@dataclasses.dataclass(frozen=True)
class ColourisationConfig(Section):
    """Layer decoded (conv5, or fc7 so that all layers learn); side of the map of colours; width of a bin of ab.

    `uniform` is the share of the uniform distribution that colours' frequencies are mixed with for their weights
    (Zhang: bins of 10, share .5); 1 weighs all colours alike.
    """

    layer: Literal["conv5", "fc6", "fc7"]
    cells: Count
    bin_width: Positive
    uniform: AboveZero


class Colourisation(OneFrame):
    r"""Colourful image colourisation (Zhang, Isola & Efros 2016, arXiv 1603.08511) by classes of ab.

    .. math:: -\frac{1}{B n} \sum_{i, c} w_{k_{ic}} \log \mathrm{softmax}(g(f(L_i))_c)_{k_{ic}}, \qquad
              w_k \propto \left( (1 - \lambda) p_k + \lambda / Q \right)^{-1}, \quad \sum_k p_k w_k = 1

    over the n cells c of a coarse map of each crop, k the nearest of the Q bins of ab that sRGB holds, p their
    frequency in all cells seen so far (the paper: in ImageNet, smoothed; and soft labels over five bins). The
    encoder sees L in all three channels: the colours of conv1's filters are left as drawn. g is linear to a map,
    then ReLU and a convolution of 1 x 1.
    """

    Config = ColourisationConfig
    config: ColourisationConfig
    seen: Tensor
    centres: Tensor

    def __init__(self, config: ColourisationConfig, encoder: Encoder, pairing: Fixed, seed: int) -> None:
        super().__init__(config, encoder, pairing, seed)
        colours = View(distort=False, colour_space="lab", px=config.cells, crop_of=0)
        self.views = (View(distort=False, colour_space="lightness"), colours)
        centres, units = bins_of_ab(config.bin_width), self.units(config.layer)
        self.register_buffer("centres", centres, persistent=False)
        self.register_buffer("seen", torch.zeros(len(centres), dtype=torch.int64))

        def decoder() -> nn.Module:
            to_map = nn.Linear(units, CHANNELS * config.cells**2)
            shape = nn.Unflatten(1, (CHANNELS, config.cells, config.cells))
            return nn.Sequential(nn.Flatten(), to_map, shape, nn.ReLU(True), nn.Conv2d(CHANNELS, len(centres), 1))

        self.decoder = seeded(seed, decoder)

    @property
    def images(self) -> int:
        """The encoder sees the lightness alone."""
        return 1

    def bins(self, lab: Tensor) -> Tensor:
        """Bin of each cell, int64 (b, cells, cells), of images in Lab, normalised, (b, 3, cells, cells)."""
        mean, scale = (lab.new_tensor(values[1:]) for values in LAB)
        ab = lab[:, 1:].permute(0, 2, 3, 1) * scale + mean
        return torch.cdist(ab.flatten(0, 2), self.centres).argmin(dim=1).view(lab.shape[0], *lab.shape[2:])

    def weights(self) -> Tensor:
        """Weight of each bin, float (Q,), by the cells seen; its mean over these is 1."""
        share = self.seen.float() / self.seen.sum()
        mixed = 1 / ((1 - self.config.uniform) * share + self.config.uniform / len(share))
        return mixed / (share @ mixed)

    def forward(self, images: tuple[Tensor, ...], draw: Draw) -> Tensor:
        """Loss, in nats, of this process's frames."""
        lightness, lab = images
        bins = self.bins(lab)
        if self.training:
            (whole,) = all_samples(draw._replace(targets=bins))
            self.seen = self.seen + torch.bincount(whole.targets.flatten(), minlength=len(self.seen))
        (features,) = self.activations(lightness, self.config.layer)
        surprise = functional.cross_entropy(self.decoder(features), bins, weight=self.weights(), reduction="none")
        _, surprise = all_samples(draw, surprise.mean(dim=(1, 2)))
        return surprise.mean()


def bins_of_ab(width: float) -> Tensor:
    """Centres (Q, 2), on a grid of this width, of the bins of a and b that hold colours of sRGB."""
    steps = torch.linspace(0, 1, max(2, math.ceil(300 / width)))
    cube = torch.cartesian_prod(steps, steps, steps).T.reshape(1, 3, -1, 1)
    ab = crops.rgb_to_lab(cube)[0, 1:, :, 0].T
    return torch.unique((ab / width).round(), dim=0) * width
