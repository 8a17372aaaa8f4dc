"""Stimuli: class folders named by wnid, as deterministic batches of square uint8 images.

``<folder>/<wnid>/<any name>.jpg``, and beside it ``<any name>.mask.png`` where a condition needs it (`conditions`).
Nothing is random here: at test time every network sees the same pixels. `stimulus_probing` looks for problems.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from PIL import Image

from semanticcmc.config import InputError
from semanticcmc.evaluation.conditions import MASKED, is_mask, mask_file, read_mask, under, visible
from semanticcmc.evaluation.config import StimuliConfig
from semanticcmc.evaluation.image_files import read_image, square
from semanticcmc.experiment import Experiment, repository_root

if TYPE_CHECKING:
    from numpy.typing import NDArray

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp")


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


def images_in(class_folder: Path) -> list[Path]:
    """Image files of a class, sorted, without masks and hidden files."""
    return sorted(
        path
        for path in class_folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and not is_mask(path)
    )


def shown(path: str | Path, upright: Image.Image, condition: str, config: StimuliConfig) -> NDArray[np.uint8]:
    """Show an image, read already (`image_files.read_image`), as a square under a condition.

    Returns
    -------
    array of uint8, shape (size_px, size_px, 3)

    Raises
    ------
    InputError
        If the condition needs a mask that is missing, does not fit, or leaves nothing to show.
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
        If the folder holds no class folders, or one of them no image. `stimulus_probing.probe` looks deeper.
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

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.files)

    def batches(self, batch_size: int, condition: str = "intact") -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """All images in the order of `files`, each once.

        Images are decoded in as many threads as torch was given, two batches ahead.

        Parameters
        ----------
        batch_size : int
        condition : str
            Of `conditions.CONDITIONS`.

        Returns
        -------
        images : tensor of uint8, shape (B, 3, size_px, size_px)
        class_index : tensor of int64, shape (B,)
            Position in `classes`.
        """
        index = torch.from_numpy(np.searchsorted(self.classes, self.files["wnid"].to_list()))
        paths = self.files["path"].tolist()

        def read(path: str) -> NDArray[np.uint8]:
            return shown(path, read_image(path), condition, self.config)

        starts = list(range(0, len(paths), batch_size))
        with ThreadPoolExecutor(torch.get_num_threads()) as threads:
            ahead = [threads.map(read, paths[start : start + batch_size]) for start in starts[:2]]
            for position, start in enumerate(starts):
                if position + 2 < len(starts):
                    after = starts[position + 2]
                    ahead.append(threads.map(read, paths[after : after + batch_size]))
                images = torch.from_numpy(np.stack(list(ahead.pop(0)))).permute(0, 3, 1, 2).contiguous()
                yield images, index[start : start + batch_size]
