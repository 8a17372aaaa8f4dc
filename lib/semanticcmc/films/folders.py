"""Films that are folders of pictures, JPEG or PNG, one file a picture, taken at a stated rate.

Pictures are in natural order (2 before 10). A number in their names tells the time: picture n is shown from
(n - first number) / rate on, so that during a gap in the numbers the picture before it stays on screen. Pictures
without numbers in their names follow each other without gaps.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from semanticcmc.config import NO_FILE, InputError
from semanticcmc.films.files import Frame, file_state, natural_parts

if TYPE_CHECKING:
    from semanticcmc.films.display import Box

SUFFIXES = frozenset((".jpg", ".jpeg", ".png"))
_ORIENTATION = 0x0112  # EXIF tag; 1 is upright


def is_picture(path: Path) -> bool:
    """Whether a file's name is that of a picture, and not hidden."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def folder_state(folder: Path, per_s: float | None) -> dict[str, Any]:
    """What a folder's frames are made from: `per_s` pictures a second, their number and bytes, and a digest of all."""
    listed = [(path.name, *file_state(path).values()) for path in _sorted(folder)]
    return {
        "source": folder.name,
        "frame_folders_per_s": per_s,
        "pictures": len(listed),
        "bytes": sum(size for _, size, _ in listed),
        "listed_sha256": hashlib.sha256(repr(listed).encode()).hexdigest(),
    }


def probe_folder(folder: Path, per_s: float | None) -> dict[str, Any]:
    """Columns of `probe.probe` for a folder of `per_s` pictures a second, of which only the first is opened.

    Raises InputError without a rate, for names that do not tell the order, or a first picture that cannot be read.
    Returned is a dict: `duration_s` (the last picture stays for one interval), `fps`, `width`, `height` (of the first
    picture, upright), `codec`.
    """
    pictures, rate = _timed(folder, per_s)
    first, _ = _opened(pictures[0][0])
    width, height = ImageOps.exif_transpose(first).size
    ends_s, codec = float(pictures[-1][1] + 1 / rate), (first.format or "").lower()
    return {"duration_s": ends_s, "fps": float(rate), "width": width, "height": height, "codec": codec}


def read_folder(
    folder: Path, per_s: float | None, frames_per_s: float, short_side_px: int, crop: Box | None = None
) -> Iterator[Frame]:
    """Frames of a folder of `per_s` pictures a second; the other parameters and the grid are those of `video.decode`.

    A frame's image is the file's own bytes where a JPEG is neither made smaller, nor cropped, nor turned. An InputError
    names the picture that cannot be read, or is not as large as the first.
    """
    pictures, rate = _timed(folder, per_s)
    grid = Fraction(frames_per_s).limit_denominator(1001)
    times = [time for _, time in pictures]
    shown, image, size = -1, None, None
    for step in range(max(math.ceil((times[-1] + 1 / rate) * grid), math.floor(times[-1] * grid) + 1)):
        now = bisect_right(times, step / grid) - 1
        if now != shown or image is None:
            shown, path = now, pictures[now][0]
            image, found = _frame(path, short_side_px, crop)
            size = size or (found, path.name)
            if found != size[0]:
                differ = f"{path.name} has {found[0]} x {found[1]} px, {size[1]} has {size[0][0]} x {size[0][1]}"
                raise InputError(f"{differ}; all pictures of a film must have one size")
        yield Frame(float(step / grid), float(times[now]), now, image)


def sample(folder: Path, samples: int) -> Iterator[np.ndarray]:
    """At most `samples` pictures spread evenly over a folder, upright, uint8 (height, width, 3)."""
    pictures = _sorted(folder)
    for k in np.unique(np.linspace(0, len(pictures) - 1, samples).round().astype(int)).tolist():
        yield np.asarray(ImageOps.exif_transpose(_opened(pictures[k])[0]).convert("RGB"))


def _sorted(folder: Path) -> list[Path]:
    """The folder's own pictures, in natural order."""
    pictures = [path for path in folder.iterdir() if is_picture(path)]
    if not pictures:
        raise InputError(f"no pictures in it; their names end in {' '.join(sorted(SUFFIXES))}")
    if odd := next((path for path in pictures if not path.is_file()), None):
        raise InputError(f"{odd.name}: {NO_FILE}")
    return sorted(pictures, key=lambda path: (natural_parts(path.stem), path.name))


def _timed(folder: Path, per_s: float | None) -> tuple[list[tuple[Path, Fraction]], Fraction]:
    """Pictures in order of time, each with its seconds from the first; and the rate."""
    pictures = _sorted(folder)
    if per_s is None:
        raise InputError("a folder of pictures; say in movies.frame_folders_per_s how many there are a second")
    rate = Fraction(per_s).limit_denominator(1_000_000)
    parts = [natural_parts(path.stem) for path in pictures]
    if all(len(part) == 1 for part in parts):
        return [(path, k / rate) for k, path in enumerate(pictures)], rate
    texts = [tuple(text.casefold() for _, text in part) for part in parts]
    usual = Counter(texts).most_common(1)[0][0]
    if odd := [path.name for path, text in zip(pictures, texts, strict=True) if text != usual]:
        like = pictures[texts.index(usual)].name
        raise InputError(f"{odd[0]} is not named like {like}, so its place is not known; move it away or rename it")
    columns = list(zip(*([number for number, _ in part] for part in parts), strict=True))
    changing = [numbers for numbers in columns if len(set(numbers)) > 1]
    if len(changing) > 1:
        raise InputError(
            f"{pictures[0].name} and {pictures[-1].name} differ in {len(changing)} numbers; name the pictures "
            "by one number that counts them"
        )
    counted = sorted(zip(changing[0] if changing else columns[0], pictures, strict=True))
    for (before, one), (n, other) in itertools.pairwise(counted):
        if n == before:
            raise InputError(f"{one.name} and {other.name} have the same number; remove one")
    return [(path, (n - counted[0][0]) / rate) for n, path in counted], rate


def _opened(path: Path) -> tuple[Image.Image, bytes]:
    """A picture, decoded, and its file's bytes."""
    try:
        encoded = path.read_bytes()
        image = Image.open(io.BytesIO(encoded), formats=["JPEG", "PNG"])
        image.load()
    except UnidentifiedImageError:
        raise InputError(f"{path.name} is no JPEG or PNG picture") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path.name} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if image.mode.startswith(("I", "F")):  # would be cut off at 255
        raise InputError(f"{path.name} has 16 bits a pixel of grey; make it one of 8 bits")
    return image, encoded


def _frame(path: Path, short_side_px: int, crop: Box | None) -> tuple[np.ndarray | bytes, tuple[int, int]]:
    """A picture as it is stored, and width and height of the whole picture, upright."""
    image, encoded = _opened(path)
    turned = image.getexif().get(_ORIENTATION, 1) != 1
    upright = ImageOps.exif_transpose(image)
    width, height = (crop.width, crop.height) if crop else upright.size
    scale = min(1.0, short_side_px / min(width, height))
    plain = image.format == "JPEG" and image.mode in ("RGB", "L")
    if plain and not turned and crop is None and scale == 1.0:
        return encoded, upright.size
    shown = upright.convert("RGB")
    if crop:
        shown = shown.crop((crop.x, crop.y, crop.x + crop.width, crop.y + crop.height))
    if scale < 1.0:
        shown = shown.resize((round(width * scale), round(height * scale)), Image.Resampling.BICUBIC)
    return np.asarray(shown), upright.size
