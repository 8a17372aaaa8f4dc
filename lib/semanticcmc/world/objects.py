"""From a look latent to a picture of one object: contour, parts, texture, palette, shading.

A look is 30 independent standard normal numbers, in blocks of their own (`BLOCKS`). A class has a look; every
appearance of the class adds `instance_noise` to it, a pose and the light of the place.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch
from torch import Tensor

from semanticcmc.world.classes import categories, read_classes
from semanticcmc.world.config import WorldConfig

BLOCKS = {"contour": 10, "aspect": 1, "limb": 4, "badge": 3, "texture": 4, "palette": 8}
N_LOOK = sum(BLOCKS.values())
REACH = 1.75  # half the width of an object's picture, in radii of the object


def class_looks(config: WorldConfig) -> np.ndarray:
    """Look latents of the classes, (classes, 30): sqrt(rho) of the category's and sqrt(1 - rho) of the class's own.

    Each number has variance 1 whatever rho, and the same seed gives the same two parts.
    """
    names, category = categories(read_classes(config))
    generator = config.generator("looks")
    shared = generator.normal(size=(len(names), N_LOOK))[category]
    own = generator.normal(size=(len(category), N_LOOK))
    rho = config.appearance_semantics
    return np.sqrt(rho) * shared + np.sqrt(1 - rho) * own


@dataclasses.dataclass(frozen=True)
class Light:
    """Light of each of n places."""

    towards: np.ndarray  # (n, 3): unit vectors to the source: right, down, towards the viewer
    colour: np.ndarray  # (n, 3): its red, green and blue, about 1

    @classmethod
    def draw(cls, generator: np.random.Generator, n: int) -> Light:
        """From above, left or right of the viewer; warmer or cooler, brighter or dimmer."""
        aside = generator.uniform(-1.1, 1.1, n)
        height = generator.uniform(0.4, 0.9, n)
        flat = np.sqrt(1 - height**2)
        towards = np.stack([flat * np.sin(aside), -flat * np.cos(aside), height], 1)
        warmth = generator.normal(0, 0.06, (n, 1))
        level = generator.uniform(0.85, 1.1, (n, 1))
        return cls(towards, level * (1 + warmth * np.array([1.0, 0.0, -1.0])))

    def __getitem__(self, rows: np.ndarray) -> Light:
        return Light(self.towards[rows], self.colour[rows])


def instances(config: WorldConfig, looks: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Looks of single appearances: the classes' looks with instance noise, same shape."""
    return looks + config.instance_noise * generator.normal(size=looks.shape)


def draw_objects(looks: np.ndarray, tilt: np.ndarray, light: Light, size_px: int) -> Tensor:
    """Pictures of objects of `looks` (n, 30) without a background, rotated in the picture plane by `tilt` (n,), rad.

    Returned is a float32 tensor (n, 4, size_px, size_px): red, green, blue multiplied by opacity, and opacity; 0 to 1.
    Width and height span `REACH` radii to each side of the object's centre. `light` is of n places.
    """
    inputs = [torch.as_tensor(a, dtype=torch.float32) for a in (looks, tilt, light.towards, light.colour)]
    parts = []
    for i in range(0, len(looks), 32):  # as many as stay in the processor's cache
        z, turn, towards, colour = (a[i : i + 32] for a in inputs)
        parts.append(_draw(z, turn, towards, colour, size_px))
    return torch.cat(parts) if parts else torch.empty(0, 4, size_px, size_px)


def _draw(looks: Tensor, tilt: Tensor, towards: Tensor, colour: Tensor, size_px: int) -> Tensor:
    look = dict(zip(BLOCKS, looks[:, :, None, None].split(list(BLOCKS.values()), dim=1), strict=True))
    axis = (torch.arange(size_px) + 0.5) / size_px * 2 * REACH - REACH
    cos, sin = (f(tilt)[:, None, None] for f in (torch.cos, torch.sin))
    x = cos * axis + sin * axis[:, None]  # the object's own coordinates: (n, size, size)
    y = cos * axis[:, None] - sin * axis
    aspect = torch.exp(0.18 * look["aspect"][:, 0])
    scale = _scale(look["contour"], aspect)  # so that long objects stay in the picture
    x, y, pixel = x / scale, y / scale, 2 * REACH / size_px / scale
    radius, angle = torch.hypot(x / aspect, y * aspect), torch.atan2(y * aspect, x / aspect)
    contour = _contour(look["contour"], angle)

    light_x = cos * towards[:, 0, None, None] + sin * towards[:, 1, None, None]
    light_y = cos * towards[:, 1, None, None] - sin * towards[:, 0, None, None]
    light = (light_x, light_y, towards[:, 2, None, None])
    first, second, third = _palette(look["palette"])

    # The limb: an ellipse that sticks out of the body, behind it.
    out = torch.atan2(look["limb"][:, 1], look["limb"][:, 0])
    reach = _contour(look["contour"], out) * 0.95
    along = x * out.cos() + y * out.sin() - reach
    across = y * out.cos() - x * out.sin()
    size = 0.32 * torch.exp(0.25 * look["limb"][:, 2])
    stretch = torch.exp(0.35 * look["limb"][:, 3])
    limb = torch.hypot(along / (size * stretch), across / (size / stretch))
    limb_colour = third * _shade(limb, x - reach * out.cos(), y - reach * out.sin(), light)
    limb_opacity = _inside((1 - limb) * size, pixel)

    # The body: its contour, filled with the texture.
    pattern = _texture(look["texture"], x, y)[:, None]
    depth = radius / contour
    body_colour = torch.lerp(first, second, pattern)
    # The badge: a disc of the limb's colour on the body.
    bx, by = 0.3 * look["badge"][:, 0].tanh(), 0.3 * look["badge"][:, 1].tanh()
    disc = 0.22 * torch.exp(0.25 * look["badge"][:, 2])
    badge = _inside(disc - torch.hypot(x - bx, y - by), pixel)[:, None]
    body_colour = torch.lerp(body_colour, third, badge) * _shade(depth, x, y, light)
    body_opacity = _inside((1 - depth) * contour, pixel)

    opacity = body_opacity + limb_opacity * (1 - body_opacity)
    picture = body_colour * body_opacity[:, None] + limb_colour * (limb_opacity * (1 - body_opacity))[:, None]
    return torch.cat([(picture * colour[:, :, None, None]).clamp(0, 1), opacity[:, None]], 1)


def _contour(block: Tensor, angle: Tensor) -> Tensor:
    """Radius of the body at each angle: a Fourier contour of harmonics 2 to 6, weaker the higher."""
    radius = torch.ones_like(angle)
    for i, harmonic in enumerate(range(2, 7)):
        weight = 0.2 / harmonic**0.8
        radius = radius + weight * (
            block[:, 2 * i] * torch.cos(harmonic * angle) + block[:, 2 * i + 1] * torch.sin(harmonic * angle)
        )
    return 0.3 + torch.nn.functional.softplus(radius - 0.3, beta=4)


def _scale(block: Tensor, aspect: Tensor) -> Tensor:
    """Factor that brings most of a body's differences in greatest extent (n, 1, 1) to 1.3 radii."""
    angle = torch.arange(48) / 48 * 2 * math.pi
    contour = _contour(block, angle[None, None, :])
    extent = torch.hypot(contour * angle.cos() * aspect, contour * angle.sin() / aspect)
    return (1.3 / extent.amax(dim=(1, 2), keepdim=True)) ** 0.8


def _texture(block: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Share of the second colour: stripes or spots, of some direction, spacing and contrast, 0 to 1."""
    direction = 0.5 * torch.atan2(block[:, 1], block[:, 0])
    frequency = 6.0 * torch.exp(0.35 * block[:, 2])
    along = frequency * (x * direction.cos() + y * direction.sin())
    across = frequency * (y * direction.cos() - x * direction.sin())
    stripes, spots = torch.sin(along), 1.6 * torch.sin(along) * torch.sin(across)
    kind = torch.sigmoid(3 * block[:, 3])
    return torch.sigmoid(4 * (torch.lerp(spots, stripes, kind) - 0.1))


def _palette(block: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Three colours (n, 3, 1, 1): body, pattern, and limb with badge."""
    hues = [torch.atan2(block[:, i + 1], block[:, i]) for i in (0, 3, 6)]
    body = oklch(0.66 + 0.10 * block[:, 2].tanh(), 0.14, hues[0])
    pattern = oklch(0.62 + 0.24 * block[:, 5].tanh(), 0.11, hues[1])
    return body, pattern, oklch(0.60, 0.12, hues[2])


def oklch(lightness: Tensor | float, chroma: Tensor | float, hue: Tensor) -> Tensor:
    """Red, green and blue (sRGB, 0 to 1) on a new axis 1, from Oklab's lightness, chroma and hue (Ottosson 2020)."""
    a, b = chroma * torch.cos(hue), chroma * torch.sin(hue)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = torch.stack(
        [
            4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
            -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
            -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short,
        ],
        1,
    )
    linear = linear.clamp(0, 1)
    return torch.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clamp_min(1e-8) ** (1 / 2.4) - 0.055)


def _shade(depth: Tensor, x: Tensor, y: Tensor, light: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Brightness (n, 1, size, size) of a cushion whose edge lies at depth 1: diffuse, a highlight, a dark rim."""
    depth = depth.clamp(0, 1)
    length = torch.hypot(x, y).clamp_min(1e-6)
    slope = 0.9 * depth**2
    nx, ny, nz = slope * x / length, slope * y / length, torch.sqrt(1 - slope**2)
    towards = (nx * light[0] + ny * light[1] + nz * light[2]).clamp_min(0)
    highlight = (2 * nz * towards - light[2]).clamp_min(0) ** 12  # mirrored light towards the viewer
    rim = 1 - 0.35 * torch.sigmoid((depth - 0.93) * math.log(81) / 0.1)
    return ((0.45 + 0.65 * towards) * rim + 0.25 * highlight)[:, None]


def _inside(distance: Tensor, pixel: Tensor) -> Tensor:
    """Opacity from the (about) distance to an edge: 0 to 1 over two pixels."""
    return (distance / (2 * pixel) + 0.5).clamp(0, 1)
