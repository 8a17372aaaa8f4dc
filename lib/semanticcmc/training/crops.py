"""Crops and colours of a batch of images, each image with a box and amounts of its own.

RandomResizedCrop and the four adjustments of colour are torchvision's; CIE Lab is scikit-image's.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601
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
    pixels; the first of ten proposals that fits, else the largest centred box of allowed aspect. The boxes are
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

    Equal to torchvision's ``resized_crop(antialias=True)`` of one image on every device. Images (B, 3, H, W) are uint8
    or float, boxes (B, 4) as of `crop_boxes`, flips bool (B,); the crops are float32 (B, 3, size_px, size_px).
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


def adjust_brightness(images: Tensor, factor: Tensor) -> Tensor:
    """RGB in [0, 1] times `factor` (B, 1, 1, 1)."""
    return images.mul(factor).clamp_(0, 1)


def adjust_contrast(images: Tensor, factor: Tensor) -> Tensor:
    """RGB in [0, 1] blended with the mean of its grey image by `factor` (B, 1, 1, 1)."""
    mean = _grey(images).mean(dim=(2, 3), keepdim=True)
    return torch.addcmul(mean * (1 - factor), images, factor).clamp_(0, 1)


def adjust_saturation(images: Tensor, factor: Tensor) -> Tensor:
    """RGB in [0, 1] blended with its grey image by `factor` (B, 1, 1, 1); 0 takes all colour away."""
    return torch.addcmul(_grey(images) * (1 - factor), images, factor).clamp_(0, 1)


def adjust_hue(images: Tensor, turns: Tensor) -> Tensor:
    """Hue of RGB in [0, 1] turned by `turns` (B, 1, 1, 1) of the colour circle; HSV value and chroma stay."""
    red, green, blue = images.unbind(1)
    value, least = images.amax(dim=1), images.amin(dim=1)
    chroma = value - least
    safe = torch.where(chroma > 0, chroma, 1)
    hue = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    hue = hue + 6 * turns[:, 0]
    hue = (hue - 6 * (hue / 6).floor())[:, None]  # in sixths of the circle; many times faster than `%`
    # How far each channel lies above the least one, in chromas: a ramp up, 1, and a ramp down along the circle.
    centre, sign, offset = beside(images, ((3, 2, 4), (1, -1, -1), (-1, 2, 2))).view(3, 1, 3, 1, 1)
    return torch.addcmul(least[:, None], chroma[:, None], ((hue - centre).abs() * sign + offset).clamp_(0, 1))


def beside(images: Tensor, values: object) -> Tensor:
    """Numbers as a tensor of the images' type and device; unlike ``new_tensor`` it does not wait for a GPU's work."""
    return torch.tensor(values, dtype=images.dtype).to(images.device, non_blocking=True)


def _grey(images: Tensor) -> Tensor:
    red, green, blue = images.split(1, dim=1)
    return (red * GREY[0]).add_(green, alpha=GREY[1]).add_(blue, alpha=GREY[2])


def rgb_to_lab(images: Tensor) -> Tensor:
    """CIE 1976 L*a*b* (D65, 2 degrees) of sRGB in [0, 1], (B, 3, h, w): L 0 to 100, a and b about +-100.

    IEC 61966-2-1 for sRGB to linear light, CIE 15 for XYZ to Lab; as scikit-image's ``rgb2lab``.
    """
    linear = torch.where(images > 0.04045, ((images + 0.055) / 1.055) ** 2.4, images / 12.92)
    to_xyz = beside(
        images, ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
    )
    white = beside(images, (0.95047, 1.0, 1.08883))
    xyz = torch.matmul(to_xyz / white[:, None], linear.flatten(2)).view_as(linear)
    root = torch.where(xyz > 0.008856, xyz ** (1 / 3), 7.787 * xyz + 16 / 116)
    x, y, z = root.unbind(1)
    return torch.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), dim=1)


# In the order of `views.ViewDraws.amounts`; the last takes colour away.
ADJUSTMENTS = (adjust_brightness, adjust_contrast, adjust_saturation, adjust_hue, adjust_saturation)
