"""Colour of a batch of images: brightness, contrast, saturation and hue by sample, and CIE Lab.

The four adjustments are torchvision's, with a factor of each sample's own.
"""

from __future__ import annotations

import torch
from torch import Tensor

GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601


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
    centre, sign, offset = images.new_tensor(((3, 2, 4), (1, -1, -1), (-1, 2, 2))).view(3, 1, 3, 1, 1)
    return torch.addcmul(least[:, None], chroma[:, None], ((hue - centre).abs() * sign + offset).clamp_(0, 1))


def _grey(images: Tensor) -> Tensor:
    red, green, blue = images.split(1, dim=1)
    return (red * GREY[0]).add_(green, alpha=GREY[1]).add_(blue, alpha=GREY[2])


def rgb_to_lab(images: Tensor) -> Tensor:
    """CIE 1976 L*a*b* (D65, 2 degrees) of sRGB in [0, 1], (B, 3, h, w): L 0 to 100, a and b about +-100.

    IEC 61966-2-1 for sRGB to linear light, CIE 15 for XYZ to Lab; as scikit-image's ``rgb2lab``.
    """
    linear = torch.where(images > 0.04045, ((images + 0.055) / 1.055) ** 2.4, images / 12.92)
    to_xyz = images.new_tensor(
        ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
    )
    white = images.new_tensor((0.95047, 1.0, 1.08883))
    xyz = torch.matmul(to_xyz / white[:, None], linear.flatten(2)).view_as(linear)
    root = torch.where(xyz > 0.008856, xyz ** (1 / 3), 7.787 * xyz + 16 / 116)
    x, y, z = root.unbind(1)
    return torch.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), dim=1)
