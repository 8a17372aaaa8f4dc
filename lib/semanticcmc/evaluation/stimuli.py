"""Stimuli: class folders named by wnid, as deterministic batches of square uint8 images.

``<folder>/<wnid>/<any name>.jpg``, and beside it ``<any name>.mask.png`` where a condition needs it (`conditions`).
Nothing is random here: at test time every network sees the same pixels. `stimulus_checks` looks for problems.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image

from semanticcmc.config import InputError
from semanticcmc.evaluation.conditions import MASKED, read_mask, under, visible
from semanticcmc.evaluation.config import StimuliConfig
from semanticcmc.experiment import Experiment, repository_root
from semanticcmc.films.pictures import images_in, mask_file, read_image, square


def stimulus_folder(experiment: Experiment) -> Path:
    """Folder of class folders of an experiment: the one that its YAML names, else the world's."""
    folder = experiment.section("stimuli", StimuliConfig).folder
    if folder is not None:
        return repository_root() / folder.expanduser()
    if experiment.source != "world":
        raise InputError(
            f"{experiment.file}, section stimuli, folder: name a folder of class folders "
            "(make: STIMULI=<folder>), one a class, named by WordNet id such as n02084071"
        )
    return experiment.folder / "stimuli"


def class_folders(folder: Path) -> list[Path]:
    """Folders of the classes, sorted."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; stimuli lie in <folder>/<wnid>/*.jpg")
    found = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not found:
        raise InputError(f"{folder}: holds no class folders; stimuli lie in <folder>/<wnid>/*.jpg")
    return found


def shown(path: str | Path, upright: Image.Image, condition: str, config: StimuliConfig) -> NDArray[np.uint8]:
    """Show an image, read already (`read_image`), as a `square` under a condition.

    Raises InputError if the condition needs a mask that is missing, does not fit, or leaves nothing to show.
    """
    mask = None
    if condition in MASKED:
        mask = square(read_mask(path, upright.size), config.size_px)
        if not visible(condition, mask).any():
            raise InputError(
                f"{mask_file(path)}: nothing of the {condition} is left in the central square; "
                "remove the image and its mask, or leave out the condition"
            )
    pixels = square(upright, config.size_px)
    return under(condition, pixels, mask=mask, blur_sigma_px=config.blur_sigma_px, masked_grey=config.masked_grey)


class StimulusFolder:
    """Class folders, named by wnid, as streams of batches (`stimulus_folder` gives an experiment's).

    Raises InputError if the folder holds no class folders, or one of them no image. `stimulus_checks.probe` looks
    deeper. `classes` are the wnids, sorted; `files` has wnid and path, one row an image, sorted by class and name.
    """

    def __init__(self, folder: str | Path, config: StimuliConfig) -> None:
        self.config = config
        images = {path.name: images_in(path)[: config.images_per_class] for path in class_folders(Path(folder))}
        if empty := [wnid for wnid, paths in images.items() if not paths]:
            raise InputError(f"{folder}: no image of {', '.join(empty[:5])}; add some or remove the folder")
        self.classes = tuple(images)
        self.files = pd.DataFrame(
            [(wnid, str(path)) for wnid, paths in images.items() for path in paths], columns=["wnid", "path"]
        )

    def __repr__(self) -> str:
        return f"StimulusFolder: {len(self.classes)} classes, {len(self):,} images"

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.files)

    def fingerprint(self) -> str:
        """SHA-256 of the images' classes, names and sizes, in hexadecimal."""
        found = [
            (wnid, Path(path).name, Path(path).stat().st_size) for wnid, path in self.files.itertuples(index=False)
        ]
        return hashlib.sha256(json.dumps(found).encode()).hexdigest()

    def batches(
        self, batch_size: int, condition: str = "intact", see: Callable[[str], Any] | None = None
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """All images in the order of `files`, each once, under a condition of `conditions.CONDITIONS`.

        Images are decoded in as many threads as torch was given, two batches ahead. A batch is images, uint8 (B, 3,
        size_px, size_px), and their positions in `classes`, int64 (B,). `see` makes another tensor of an image's path.
        """
        index = torch.from_numpy(np.searchsorted(self.classes, self.files["wnid"].to_list()))
        paths = self.files["path"].tolist()

        def read(path: str) -> NDArray[np.uint8]:
            return shown(path, read_image(path), condition, self.config)

        starts = list(range(0, len(paths), batch_size))
        with ThreadPoolExecutor(torch.get_num_threads()) as threads:
            ahead = [threads.map(see or read, paths[start : start + batch_size]) for start in starts[:2]]
            for position, start in enumerate(starts):
                if position + 2 < len(starts):
                    after = starts[position + 2]
                    ahead.append(threads.map(see or read, paths[after : after + batch_size]))
                read_in = list(ahead.pop(0))
                squares = None if see else torch.from_numpy(np.stack(read_in)).permute(0, 3, 1, 2).contiguous()
                yield torch.stack(read_in) if squares is None else squares, index[start : start + batch_size]
