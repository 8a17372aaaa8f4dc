"""Views of frames: crops, flips, colour distortion and colour spaces, a whole batch at once on its device.

Every sample of a batch draws its own parameters. Random numbers come from a generator on the CPU, so that a
view does not depend on the device. (kornia's transforms of single samples take longer: `benchmarks/training.py`
measures them where kornia is installed.)
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal, NamedTuple

import torch
from torch import Tensor

from semanticcmc.config import RISING, AboveZero, Positive, Rule, Section, Share
from semanticcmc.training import crops

# Mean and standard deviation by channel. `lab` is CMC's, for images in CIE Lab; the published runs applied it
# to RGB in [0, 1] (`published_protocol`), which is offered as `published`.
LAB = ((50.0, 6.0250, -6.6895), (50.0, 92.2080, 101.1675))
NORMALISATIONS = {"imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), "published": LAB}
PART_PX = 400_000  # pixels of a view made at a time on a CPU, so that what lies between stays in its cache


@dataclasses.dataclass(frozen=True)
class ViewsConfig(Section):
    """Augmentation of both views: section ``views`` of an experiment, explained in base.yaml."""

    crop_scale: Annotated[tuple[AboveZero, AboveZero], RISING]
    crop_aspect: Annotated[tuple[Positive, Positive], RISING]
    flip: Share
    jitter: Annotated[
        tuple[Share, Share, Share, Share],
        Rule("three strengths up to 1 and a hue up to 0.5", lambda strengths: strengths[3] <= 0.5),
    ]
    jitter_share: Share
    grey_share: Share
    normalisation: Literal["imagenet", "published"]


@dataclasses.dataclass(frozen=True)
class View:
    """One view that an objective asks for of every sample; it comes as one tensor of images.

    What else is to happen to it (patches, masks, quarter turns) the objective does to that tensor.
    """

    frame: int = 0  # which of a sample's frames
    distort: bool = True  # whether colours are distorted as section views says
    colour_space: str = "rgb"  # or lab, or lightness: L in the place of red, green and blue
    px: int | None = None  # side; None: the encoder's input
    crop_of: int | None = None  # number of an earlier view whose crop and flip it has; None: its own
    kind: str = ""  # another view of the frame than the picture: flow, segmentation, pose (`FrameStore`)
    centre: float = 1.0  # share of the frame's sides, about its centre, that crops come from
    box: int | None = None  # column of the draw's targets from which on top, left, height, width of the crop stand


class ViewDraws(NamedTuple):
    """What is random about one view of each image of a batch; made by `draw_views`, on the CPU."""

    boxes: Tensor  # int64 (B, 4): top, left, height, width of the crop in pixels
    flips: Tensor  # bool (B,)
    amounts: Tensor  # (5, B): factors of brightness, contrast, saturation; turns of hue; the saturation grey leaves
    steps: tuple[int, ...]  # rows of `amounts` in the order in which they are applied

    def part(self, rows: slice) -> ViewDraws:
        """The draws of some of the batch's images."""
        return ViewDraws(self.boxes[rows], self.flips[rows], self.amounts[:, rows], self.steps)


def draw_views(
    count: int, height: int, width: int, config: ViewsConfig, generator: torch.Generator, distort: bool = True
) -> ViewDraws:
    """Draw one view of each of `count` images of height x width pixels; the images are not needed for it.

    The generator is on the CPU. `distort` says whether colours are distorted; CMC leaves them as they are.
    """
    boxes = crops.crop_boxes(count, height, width, config.crop_scale, config.crop_aspect, generator)
    flips = torch.rand(count, generator=generator) < config.flip
    amounts, steps = draw_distortion(count, config, generator) if distort else (torch.ones(5, count), ())
    return ViewDraws(boxes, flips, amounts, steps)


def drawn_view(images: Tensor, draws: ViewDraws, size_px: int) -> Tensor:
    """The view of each image that was drawn, as a picture: float32 RGB in [0, 1], (B, 3, size_px, size_px).

    Images are uint8 RGB (B, 3, H, W); the view is on their device.
    """
    view = crops.resized_crop(images, draws.boxes, size_px, draws.flips).div_(255).clamp_(0, 1)
    return distorted(view, draws.amounts, draws.steps)


def random_view(
    images: Tensor, size_px: int, config: ViewsConfig, generator: torch.Generator, distort: bool = True
) -> Tensor:
    """One random view of each image, as a picture: `draw_views`, then `drawn_view`."""
    height, width = images.shape[2:]
    return drawn_view(images, draw_views(len(images), height, width, config, generator, distort), size_px)


def network_view(
    images: Tensor, draws: ViewDraws, size_px: int, normalisation: str, colour_space: str = "rgb"
) -> Tensor:
    """The view of each image that was drawn, as a network takes it: `drawn_view`, then `normalise`."""
    if images.device.type != "cpu":
        return normalise(drawn_view(images, draws, size_px), normalisation, colour_space)
    view = torch.empty((len(images), 3, size_px, size_px), memory_format=torch.channels_last)
    at_once = max(1, PART_PX // size_px**2)
    for start in range(0, len(images), at_once):
        part = slice(start, start + at_once)
        drawn = drawn_view(images[part], draws.part(part), size_px)
        view[part] = normalise(drawn, normalisation, colour_space)
    return view


def evaluation_view(images: Tensor, size_px: int, normalisation: str, colour_space: str = "rgb") -> Tensor:
    """The one view that tests see: the short side resized to `size_px`, centre crop, normalised.

    Images are uint8 RGB (B, 3, H, W), or float in [0, 255]; the view is float32 (B, 3, size_px, size_px).
    """
    count, _, height, width = images.shape
    side = min(height, width)
    box = torch.tensor([(height - side) // 2, (width - side) // 2, side, side]).expand(count, 4)
    view = crops.resized_crop(images, box, size_px, torch.zeros(count, dtype=torch.bool)).div_(255).clamp_(0, 1)
    return normalise(view, normalisation, colour_space)


def normalise(images: Tensor, normalisation: str, colour_space: str = "rgb") -> Tensor:
    """RGB in [0, 1], or its CIE Lab, minus the named mean, over the named standard deviation; channels last.

    ``lightness`` is L / 100 in all three channels, normalised as RGB is.
    """
    if colour_space == "lightness":
        images = crops.rgb_to_lab(images)[:, :1].div(100).expand(-1, 3, -1, -1)
    if colour_space == "lab":
        images, (mean, std) = crops.rgb_to_lab(images), LAB
    else:
        mean, std = NORMALISATIONS[normalisation]
    scale = crops.beside(images, std).reciprocal().view(3, 1, 1)
    offset = -crops.beside(images, mean).view(3, 1, 1) * scale
    result = torch.empty_like(images, memory_format=torch.channels_last)
    return torch.addcmul(offset, images, scale, out=result)


def draw_distortion(count: int, config: ViewsConfig, generator: torch.Generator) -> tuple[Tensor, tuple[int, ...]]:
    """Amounts (5, count) and steps of SimCLR's distortion, as `ViewDraws` holds them: jitter, then grey.

    Each sample has amounts of its own; the order of the four steps of jitter is drawn once a batch.
    """
    drawn = torch.rand(6, count, generator=generator)
    order = torch.randperm(4, generator=generator).tolist()
    strength = torch.tensor(config.jitter)[:, None]
    jittered = drawn[4] < config.jitter_share
    amounts = (drawn[:4] * 2 - 1) * strength * jittered
    amounts[:3] += 1
    keeps_colour = (drawn[5] >= config.grey_share).float()
    steps = [i for i in order if config.jitter[i] and config.jitter_share]
    return torch.cat((amounts, keeps_colour[None])), (*steps, *([4] if config.grey_share else []))


def distorted(images: Tensor, amounts: Tensor, steps: tuple[int, ...]) -> Tensor:
    """RGB images in [0, 1] after each of `steps`, as torchvision defines it (clamped to [0, 1])."""
    amounts = amounts.to(images.device, non_blocking=True)[:, :, None, None, None]
    for i in steps:
        images = crops.ADJUSTMENTS[i](images, amounts[i])
    return images
