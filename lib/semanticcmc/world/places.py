"""Places: a wall and a floor, soft lights and shapes, out of focus; and each film's colour grade."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor

from semanticcmc.world.config import WorldConfig
from semanticcmc.world.objects import oklch

N_SPOTS = 6
N_PLACE = 8 + 6 * N_SPOTS
REACH = 1.5  # half the width of a place's picture, in half-widths of the two-shot


def place_latents(
    config: WorldConfig, scene: np.ndarray, place_class: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Latents of the places of beats, float64 (beats, N_PLACE), standard normal.

    `scene` and `place_class` are int64 (beats,). The share of the variance that is the class's, in whose place a beat
    plays, is `class_places`; of the rest `scene_background` is the scene's. The places of two classes are independent,
    of one category or not: only films tell which belong together.
    """
    of_class = config.generator("class places").normal(size=(place_class.max() + 1, N_PLACE))[place_class]
    shared = generator.normal(size=(scene.max() + 1, N_PLACE))[scene]
    own = generator.normal(size=(len(scene), N_PLACE))
    free = np.sqrt(config.scene_background) * shared + np.sqrt(1 - config.scene_background) * own
    return np.sqrt(config.class_places) * of_class + np.sqrt(1 - config.class_places) * free


def draw_places(latents: np.ndarray, colour: np.ndarray, size_px: int) -> Tensor:
    """Pictures of places of latents (n, N_PLACE), in light of a colour (n, 3).

    They are float32 (n, 3, size_px, size_px), red, green, blue, 0 to 1; `REACH` to each side of the middle of the
    stage.
    """
    z = torch.as_tensor(latents, dtype=torch.float32)[:, :, None, None]
    axis = (torch.arange(size_px) + 0.5) / size_px * 2 * REACH - REACH
    x, y = axis[None, None, :], axis[None, :, None]
    wall_hue, floor_hue = torch.atan2(z[:, 1], z[:, 0]), torch.atan2(z[:, 3], z[:, 2])
    wall = oklch(0.58 + 0.16 * z[:, 4].tanh() - 0.06 * y, 0.055, wall_hue)
    picture = wall.expand(-1, -1, size_px, size_px).clone()
    for i in range(N_SPOTS):
        spot = z[:, 8 + 6 * i : 14 + 6 * i]
        sx, sy = 0.9 * spot[:, 0], -0.35 + 0.45 * spot[:, 1]
        size = 0.32 * torch.exp(0.4 * spot[:, 2])
        distance = torch.hypot(x - sx, y - sy) / size
        opacity = 0.55 * torch.sigmoid((1 - distance) * 7) * torch.sigmoid(1.5 * spot[:, 3])
        hue = torch.atan2(spot[:, 5], spot[:, 4])
        picture = torch.lerp(picture, oklch(0.72 + 0.1 * spot[:, 3].tanh(), 0.09, hue), opacity[:, None])
    horizon = 0.18 + 0.12 * z[:, 5].tanh() + 0.05 * z[:, 6] * x
    near = (y - horizon).clamp_min(0)
    floor = oklch(0.42 + 0.10 * z[:, 7].tanh() + 0.14 * near, 0.05, floor_hue.expand_as(near))
    picture = torch.lerp(picture, floor, torch.sigmoid((y - horizon) * 24)[:, None])
    tint = torch.as_tensor(colour, dtype=torch.float32)[:, :, None, None]
    return (picture * tint).clamp(0, 1)


@dataclasses.dataclass(frozen=True)
class Grade:
    """A film's colour grade: contrast about mid-grey, saturation, gain of each channel, darker corners."""

    contrast: float
    saturation: float
    gain: tuple[float, float, float]
    vignette: float

    @classmethod
    def draw(cls, config: WorldConfig, generator: np.random.Generator) -> Grade:
        """At `film_grade` 0 the picture is left as it is."""
        strength, z = config.film_grade, generator.normal(size=5)
        gain = np.exp(0.12 * strength * (z[:3] - z[:3].mean()))
        return cls(
            float(np.exp(0.15 * strength * z[3])),
            float(np.exp(0.25 * strength * z[4])),
            tuple(gain.tolist()),
            0.35 * strength,
        )

    def apply(self, pictures: Tensor) -> Tensor:
        """Grade pictures (n, 3, size, size), 0 to 1, in place."""
        size = pictures.shape[-1]
        axis = (torch.arange(size) + 0.5) / size * 2 - 1
        corner = 1 - self.vignette * 0.5 * (axis**2 + axis[:, None] ** 2).clamp(max=2) ** 1.5 / 2**1.5
        grey = pictures.mean(1, keepdim=True)
        pictures.sub_(grey).mul_(self.saturation).add_(grey)
        pictures.sub_(0.5).mul_(self.contrast).add_(0.5)
        gain = torch.tensor(self.gain)[:, None, None] * corner
        return pictures.mul_(gain).clamp_(0, 1)
