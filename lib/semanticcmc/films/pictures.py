"""Picture files: which there are in a folder, read upright as 8-bit RGB, resized and cropped to a square."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from semanticcmc.config import NO_FILE, InputError

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".avif", ".jp2")
# Pillow runs programs for others (PostScript).
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "AVIF", "JPEG2000")
MASK_SUFFIX = ".mask.png"  # of every stimulus: those of a world, and what users have beside their images


def mask_file(image: str | Path) -> Path:
    """Where the mask of an image lies: ``<name without suffix>.mask.png`` beside it."""
    return Path(image).with_suffix(MASK_SUFFIX)


def images_in(class_folder: Path) -> list[Path]:
    """Image files of a class, sorted, without masks and hidden files."""
    return sorted(
        path
        for path in class_folder.iterdir()
        if path.suffix.lower() in SUFFIXES
        and not path.name.startswith(".")
        and not path.name.lower().endswith(MASK_SUFFIX)
    )


def read_image(path: str | Path) -> Image.Image:
    """Read an image of any kind as upright 8-bit RGB.

    The camera's orientation (EXIF) is applied; greyscale, palette and CMYK are converted; 16 bits a channel become 8 by
    division by 257; what is transparent becomes white; of an animation the first frame is taken. Raises InputError if
    the file cannot be read to its end as an image.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: {NO_FILE}")
    try:
        with warnings.catch_warnings(), Image.open(path, formats=FORMATS) as image:
            warnings.simplefilter("ignore")  # Pillow's about odd metadata: what counts is the pixels
            image.load()
            return _rgb(ImageOps.exif_transpose(image))
    # Pillow's decoders raise whatever the broken bytes lead them to, struct.error and SyntaxError among it.
    except Exception as error:
        why = str(error) or type(error).__name__
        raise InputError(f"{path}: not readable as an image ({why}); replace or remove it") from error


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError(f"values from {values.min()} to {values.max()}, expected 8 or 16 bits a channel")
        return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ValueError("floating point pixels, expected 8 or 16 bits a channel")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def square(image: Image.Image, size_px: int) -> NDArray[np.uint8]:
    """Resize the short side (bilinear, antialiased) and crop the centre, as torchvision's transforms do.

    In Pillow and numpy alone: torch's own threads, started from each thread that reads, cost three times as much
    as they save. The result is uint8 (size_px, size_px, 3).
    """
    shortest = min(image.size)
    width, height = (size_px * side // shortest for side in image.size)
    left, top = round((width - size_px) / 2), round((height - size_px) / 2)
    resized = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized.crop((left, top, left + size_px, top + size_px)))
