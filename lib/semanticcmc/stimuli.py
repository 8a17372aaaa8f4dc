"""Stimuli: class folders named by wnid, as deterministic batches of square uint8 images.

``<folder>/<wnid>/<any name>.jpg``. Nothing is random here: at test time every network sees the same pixels.
``python -m semanticcmc.stimuli <experiment>`` opens every image and writes ``stimuli.json``.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from PIL import Image, ImageOps

from semanticcmc.configuration import InputError
from semanticcmc.experiments import Experiment, load_experiment, repository_root
from semanticcmc.rdm import FEWEST_CLASSES
from semanticcmc.run import write_json
from semanticcmc.taxonomy import REMEDY, extended, read_taxonomy

if TYPE_CHECKING:
    from numpy.typing import NDArray

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp")
_SHOWN = 20  # problems spelled out in one message


@dataclasses.dataclass(frozen=True)
class StimuliConfig:
    """How the stimuli are read.

    Parameters
    ----------
    folder : Path or None
        Folder of class folders, from the repository's root if not absolute; None for the world's own stimuli.
    size_px : int
        Side of the square images: the short side is resized to it, then the centre is cropped.
    images_per_class : int or None
        At most so many images a class, the first by name; None for all.
    """

    folder: Path | None
    size_px: int
    images_per_class: int | None

    def __post_init__(self) -> None:
        if self.size_px < 8:
            raise ValueError(f"size_px {self.size_px}: at least 8 pixels")
        if self.images_per_class is not None and self.images_per_class < 1:
            raise ValueError(f"images_per_class {self.images_per_class}: at least 1, or nothing for all")


def stimulus_folder(experiment: Experiment) -> Path:
    """Folder of class folders of an experiment: the one that its YAML names, else the world's."""
    folder = experiment.section("stimuli", StimuliConfig).folder
    if folder is not None:
        return repository_root() / folder.expanduser()
    if experiment.source != "world":
        raise InputError(f"{experiment.file}, section stimuli, folder: name a folder of class folders "
                         "(make: STIMULI=<folder>), one a class, named by WordNet id such as n02084071")  # fmt: skip
    return experiment.folder / "stimuli"


def read_image(path: str | Path) -> Image.Image:
    """Read an image of any kind as upright 8-bit RGB.

    The camera's orientation (EXIF) is applied; greyscale, palette and CMYK are converted; 16 bits a channel
    become 8 by division by 257; what is transparent becomes white; of an animation the first frame is taken.

    Raises
    ------
    InputError
        If the file cannot be read to its end as an image.
    """
    try:
        with warnings.catch_warnings(), Image.open(path) as image:
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
    as they save.

    Returns
    -------
    array of uint8, shape (size_px, size_px, 3)
    """
    shortest = min(image.size)
    width, height = (size_px * side // shortest for side in image.size)
    left, top = round((width - size_px) / 2), round((height - size_px) / 2)
    resized = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized.crop((left, top, left + size_px, top + size_px)))


def _class_folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; stimuli lie in <folder>/<wnid>/*.jpg")
    found = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not found:
        raise InputError(f"{folder}: holds no class folders; stimuli lie in <folder>/<wnid>/*.jpg")
    return found


def _images(class_folder: Path) -> list[Path]:
    return sorted(
        path
        for path in class_folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )


def probe(folder: str | Path) -> pd.DataFrame:
    """Open every image of every class to its end, before anything long starts.

    Parameters
    ----------
    folder : str or Path
        Folder of class folders.

    Returns
    -------
    DataFrame
        One row an image: wnid, path, width, height (pixels), mode (Pillow's), sorted by wnid and path.

    Raises
    ------
    InputError
        Lists all problems at once: images that cannot be read, classes without an image, folders whose name
        is no wnid or one that the WordNet taxonomy lacks, fewer than 4 classes.
    """
    folder = Path(folder)
    problems, rows = [], []
    classes = _class_folders(folder)
    known = extended(read_taxonomy(), [path.name for path in classes]).hypernyms
    for path in classes:
        if not re.fullmatch(r"n\d{8}", path.name):
            problems.append(
                f"{path}: {path.name!r} is no WordNet id such as n02084071; rename it or move it away"
            )
        elif path.name not in known:
            problems.append(f"{path}: {path.name} is not in the WordNet taxonomy; {REMEDY}")
        images = _images(path)
        if not images:
            problems.append(f"{path}: no image in it ({', '.join(SUFFIXES)}); add some or remove it")
        rows += [(path.name, image) for image in images]
    if len(classes) < FEWEST_CLASSES:
        problems.append(f"{folder}: {len(classes)} classes; at least {FEWEST_CLASSES} are needed")
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        found = list(threads.map(_look, (image for _, image in rows)))
    problems += [look for look in found if isinstance(look, str)]
    if problems:
        more = [f"... and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        said = "\n  ".join(["", *problems[:_SHOWN], *more])
        raise InputError(f"{folder}: {len(problems)} problems among the stimuli:{said}")
    table = pd.DataFrame(found, columns=["width", "height", "mode"])
    table.insert(0, "wnid", [wnid for wnid, _ in rows])
    table.insert(1, "path", [str(path) for _, path in rows])
    return table


def _look(path: Path) -> tuple[int, int, str] | str:
    """Size and mode of an image that can be read, else what is wrong with it."""
    try:
        upright = read_image(path)
        with Image.open(path) as image:
            return (*upright.size, image.mode)
    except InputError as error:
        return str(error)


class StimulusFolder:
    """Class folders as streams of batches.

    Parameters
    ----------
    folder : str or Path
        Folder of class folders named by wnid (`stimulus_folder` gives an experiment's).
    config : StimuliConfig

    Attributes
    ----------
    classes : tuple of str
        The wnids, sorted.
    files : DataFrame
        wnid, path: one row an image, sorted by class and name.

    Raises
    ------
    InputError
        If the folder holds no class folders, or one of them no image. `probe` looks deeper.
    """

    def __init__(self, folder: str | Path, config: StimuliConfig) -> None:
        self.config = config
        images = {
            path.name: _images(path)[: config.images_per_class] for path in _class_folders(Path(folder))
        }
        if empty := [wnid for wnid, paths in images.items() if not paths]:
            raise InputError(f"{folder}: no image of {', '.join(empty[:5])}; add some or remove the folder")
        self.classes = tuple(images)
        self.files = pd.DataFrame(
            [(wnid, str(path)) for wnid, paths in images.items() for path in paths], columns=["wnid", "path"]
        )

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.files)

    def batches(self, batch_size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """All images in the order of `files`, each once.

        Images are decoded in as many threads as torch was given, two batches ahead.

        Returns
        -------
        images : tensor of uint8, shape (B, 3, size_px, size_px)
        class_index : tensor of int64, shape (B,)
            Position in `classes`.
        """
        index = torch.from_numpy(np.searchsorted(self.classes, self.files["wnid"].to_list()))
        paths = self.files["path"].tolist()
        starts = list(range(0, len(paths), batch_size))
        with ThreadPoolExecutor(torch.get_num_threads()) as threads:
            ahead = [threads.map(self._read, paths[start : start + batch_size]) for start in starts[:2]]
            for position, start in enumerate(starts):
                if position + 2 < len(starts):
                    after = starts[position + 2]
                    ahead.append(threads.map(self._read, paths[after : after + batch_size]))
                images = torch.from_numpy(np.stack(list(ahead.pop(0)))).permute(0, 3, 1, 2).contiguous()
                yield images, index[start : start + batch_size]

    def _read(self, path: str) -> NDArray[np.uint8]:
        return square(read_image(path), self.config.size_px)


def main(arguments: list[str] | None = None) -> int:
    """Command line: probe an experiment's stimuli; exit 2 where they hold a problem."""
    parser = argparse.ArgumentParser(prog="python -m semanticcmc.stimuli", description="Open every stimulus.")
    parser.add_argument("experiment", help="name, or path to a YAML")
    given = parser.parse_args(arguments)
    try:
        experiment = load_experiment(given.experiment)
        folder = stimulus_folder(experiment)
        table = probe(folder)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    counts = table["wnid"].value_counts()
    found = {"folder": folder, "classes": len(counts), "images": len(table), "fewest_images_a_class": int(counts.min()),
             "most_images_a_class": int(counts.max()), "modes": table["mode"].value_counts().to_dict()}  # fmt: skip
    write_json(experiment.path("stimuli.json"), found)
    print(f"{folder}: {len(table)} images of {len(counts)} classes, all readable", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
