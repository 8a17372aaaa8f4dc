"""Crops of frames: RandomResizedCrop for a whole batch, each image with a box of its own."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

PROPOSALS = 10  # boxes drawn before RandomResizedCrop falls back to the centre, as in torchvision


def crop_boxes(
    count: int,
    height: int,
    width: int,
    scale: tuple[float, float],
    aspect: tuple[float, float],
    generator: torch.Generator,
) -> Tensor:
    """Boxes of RandomResizedCrop (Szegedy et al. 2015), as torchvision draws them, for a whole batch.

    Share of the area uniform in `scale`, log of width / height uniform in `aspect`, place uniform among whole
    pixels; the first of ten proposals that fits, else the largest centred box of allowed aspect.

    Returns
    -------
    Tensor
        int64 (count, 4): top, left, height, width in pixels.
    """

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator) * (high - low) + low

    area = uniform(*scale, count, PROPOSALS) * (height * width)
    logs = torch.tensor(aspect).log()
    ratios = uniform(float(logs[0]), float(logs[1]), count, PROPOSALS).exp()
    widths, heights = (area * ratios).sqrt().round(), (area / ratios).sqrt().round()
    fits = (widths >= 1) & (widths <= width) & (heights >= 1) & (heights <= height)
    first = fits.to(torch.uint8).argmax(dim=1, keepdim=True)
    box_width, box_height = widths.gather(1, first)[:, 0], heights.gather(1, first)[:, 0]
    place = torch.rand(2, count, generator=generator)
    top = (place[0] * (height - box_height + 1)).floor()
    left = (place[1] * (width - box_width + 1)).floor()
    ratio = min(max(width / height, aspect[0]), aspect[1])
    whole_width, whole_height = min(width, round(height * ratio)), min(height, round(width / ratio))
    centre = torch.tensor([(height - whole_height) // 2, (width - whole_width) // 2, whole_height, whole_width])
    boxes = torch.stack((top, left, box_height, box_width), dim=1).long()
    return torch.where(fits.any(dim=1, keepdim=True), boxes, centre)


def resized_crop(images: Tensor, boxes: Tensor, size_px: int, flips: Tensor) -> Tensor:
    """Each image's box resized to a square, bilinear with antialiasing, and flipped left to right.

    Equal to torchvision's ``resized_crop(antialias=True)`` of one image on every device.

    Parameters
    ----------
    images : Tensor
        (B, 3, H, W), uint8 or float.
    boxes : Tensor
        (B, 4): top, left, height, width in pixels, inside the image.
    size_px : int
    flips : Tensor
        bool (B,).

    Returns
    -------
    Tensor
        float32 (B, 3, size_px, size_px), in the units of `images`.
    """
    crop = _cropped_one_by_one if images.device.type == "cpu" else _cropped_by_products
    return crop(images, boxes, size_px, flips)


def _cropped_one_by_one(images: Tensor, boxes: Tensor, size_px: int, flips: Tensor) -> Tensor:
    """`resized_crop` one image after the other: a CPU has no use for the pixels outside a box."""
    crops = torch.empty(len(images), 3, size_px, size_px)
    for crop, image, (top, left, height, width), flip in zip(
        crops, images, boxes.tolist(), flips.tolist(), strict=True
    ):
        box = image[None, :, top : top + height, left : left + width].to(torch.float32)
        resized = functional.interpolate(box, (size_px, size_px), mode="bilinear", antialias=True)[0]
        crop.copy_(resized.flip(2) if flip else resized)
    return crops


def _cropped_by_products(images: Tensor, boxes: Tensor, size_px: int, flips: Tensor) -> Tensor:
    """`resized_crop` of the whole batch at once, for a GPU.

    Bilinear resampling is separable, so each crop is two small matrix products.
    """
    count, channels, height, width = images.shape
    top, left, box_height, box_width = boxes.to(torch.float32).to(images.device, non_blocking=True).unbind(1)
    rows = _resampling(top, box_height, height, size_px)
    columns = _resampling(left, box_width, width, size_px)
    columns = torch.where(flips.to(images.device, non_blocking=True)[:, None, None], columns.flip(1), columns)
    narrow = torch.bmm(images.to(torch.float32).reshape(count, channels * height, width), columns.mT)
    narrow = narrow.view(count, channels, height, size_px)
    return torch.matmul(rows[:, None], narrow)


def _resampling(start: Tensor, length: Tensor, side: int, size_px: int) -> Tensor:
    """Weights (B, size_px, side) of a triangle filter over [start, start + length), as pillow defines it."""
    scale = (length / size_px)[:, None, None]
    steps = torch.arange(size_px, device=start.device, dtype=torch.float32)[:, None] + 0.5
    pixels = torch.arange(side, device=start.device, dtype=torch.float32) + 0.5
    centre = start[:, None, None] + steps * scale
    weights = (1 - (pixels - centre).abs() / scale.clamp(min=1)).clamp_(min=0)
    begin, end = start[:, None, None], (start + length)[:, None, None]
    weights = weights * ((pixels > begin) & (pixels < end))
    return weights / weights.sum(dim=2, keepdim=True)
