"""Conditions under which stimuli are shown: intact, grey, blurred, the object alone, the background alone.

``object`` and ``background`` need a mask beside each image: ``dog.mask.png`` for ``dog.jpg``, of the image's width and
height, 255 on the object, 0 on the background. What lies between (a soft edge) is shown by neither, so that no pixel
of the one tells about the other. The background hides the smallest box around each piece of the object, since its
outline alone would give the object away (Xiao, Engstrom, Ilyas and Madry 2021: "Only-BG-B").

Nothing is random, and every condition works on the pixels as the network would get them: upright, square, 8 bits.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from semanticcmc.config import InputError, existing
from semanticcmc.films.pictures import mask_file

CONDITIONS = ("intact", "grey", "blur", "object", "background")
MASKED = ("object", "background")
_LUMA = (0.299, 0.587, 0.114)  # red, green, blue (ITU-R BT.601)


def read_mask(image: str | Path, size: tuple[int, int]) -> Image.Image:
    """Read the mask of an image, one channel of 8 bits: 255 on the object, 0 on the background.

    `size` is the width and height of the upright image. Raises InputError if the mask is missing, unreadable, of
    another size, in colour, or marks no object with 255.
    """
    remedy = "white (255) where the object is, black (0) elsewhere"
    path = existing(mask_file(image), f"the conditions object and background need it: {remedy}")
    try:
        with Image.open(path, formats=["PNG"]) as opened:
            opened.load()
            mode, mask = opened.mode, opened.convert("L")
    # Pillow's decoders raise whatever the broken bytes lead them to, struct.error and SyntaxError among it.
    except Exception as error:
        why = str(error) or type(error).__name__
        raise InputError(f"{path}: not readable as an image ({why}); replace it: {remedy}") from error
    if mode not in ("1", "L"):
        raise InputError(f"{path}: Pillow's mode {mode}, expected greyscale of 8 bits: {remedy}")
    if mask.size != size:
        found, expected = (f"{width} x {height}" for width, height in (mask.size, size))
        raise InputError(f"{path}: {found} pixels, where the upright image has {expected}")
    if (highest := mask.getextrema()[1]) != 255:
        raise InputError(f"{path}: marks no object, its greatest value is {highest}: {remedy}")
    return mask


def visible(condition: str, mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which pixels ``object`` or ``background`` shows, bool (height, width); the mask as of `read_mask`."""
    if condition == "object":
        return mask == 255
    shown = np.ones(mask.shape, dtype=bool)
    from scipy import ndimage  # here: slow to import

    for box in ndimage.find_objects(ndimage.label(mask)[0]):
        shown[box] = False
    return shown


def under(
    condition: str,
    pixels: NDArray[np.uint8],
    *,
    blur_sigma_px: float,
    masked_grey: int,
    mask: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """An image (height, width, 3) under one of `CONDITIONS`, uint8 of the same shape.

    ``grey``: luma (ITU-R BT.601) in all three channels. ``blur``: a Gaussian of standard deviation `blur_sigma_px`,
    edges mirrored. ``object`` and ``background`` need the `mask` (height, width); what they hide becomes `masked_grey`,
    0 to 255.
    """
    if condition == "grey":
        return np.repeat(np.rint(pixels @ np.array(_LUMA))[:, :, None], 3, axis=2).astype(np.uint8)
    if condition == "blur":
        sigma = (blur_sigma_px, blur_sigma_px, 0)
        from scipy import ndimage

        return np.rint(ndimage.gaussian_filter(pixels.astype(np.float32), sigma, mode="mirror")).astype(np.uint8)
    if condition in MASKED:
        if mask is None:
            raise ValueError(f"condition {condition}: needs a mask")
        return np.where(visible(condition, mask)[:, :, None], pixels, np.uint8(masked_grey))
    if condition == "intact":
        return pixels
    raise ValueError(f"condition {condition}: none of {', '.join(CONDITIONS)}")
