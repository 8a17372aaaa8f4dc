"""Photographs as a world's objects: exemplars of one folder in films, of another as stimuli, never both."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from semanticcmc.config import InputError, read_text_table
from semanticcmc.experiment import repository_root
from semanticcmc.films.pictures import images_in, read_image, square
from semanticcmc.run import sha256
from semanticcmc.world.classes import is_filmed, read_classes
from semanticcmc.world.config import WorldConfig
from semanticcmc.world.places import Grade
from semanticcmc.world.renderer import to_uint8
from semanticcmc.world.timeline import TWO_SHOT, Timeline, timelines

IN_FILMS, AS_STIMULI, BOXES = "train", "test", "boxes.csv"
NEEDED = (
    "name a folder that holds train/<wnid>/*.jpg (photographs for films) and test/<wnid>/*.jpg (for stimuli), as "
    "make poster PHOTOGRAPHS=<folder> or world.photographs; Tiny-ImageNet is at http://cs231n.stanford.edu/"
    "tiny-imagenet-200.zip (research use), and data_manifests/lay_out_tiny_imagenet.py lays it out so"
)


def _folder(config: WorldConfig) -> Path:
    if not config.photographs:
        raise InputError(f"world.photographs null: {NEEDED}")
    if not (folder := repository_root() / Path(config.photographs).expanduser()).is_dir():
        raise InputError(f"world.photographs {folder}: no such folder; {NEEDED}")
    return folder


@functools.lru_cache(maxsize=4)
def photographs(config: WorldConfig) -> dict[str, list[list[Path]]]:
    """Files of a world's photographs: of ``train`` and of ``test``, a sorted list each class.

    Classes that no film shows have none in ``train``; ``test`` has at most `stimuli_per_class`. Raises InputError if a
    folder is missing or without pictures, or a photograph is in both.
    """
    folder, wnids = _folder(config), read_classes(config)["wnid"]
    filmed, found = is_filmed(config), {}
    for part in (IN_FILMS, AS_STIMULI):
        wanted = filmed | (part == AS_STIMULI)
        places = [folder / part / wnid for wnid in wnids]
        absent = [place for place, some in zip(places, wanted, strict=True) if some and not place.is_dir()]
        files = [
            images_in(place) if place.is_dir() and some else [] for place, some in zip(places, wanted, strict=True)
        ]
        empty = [place for place, some, own in zip(places, wanted, files, strict=True) if some and not own]
        if absent or empty:
            what = "no such folder" if absent else "no picture in it"
            others = f" (nor in {len(empty) - 1} more)" if len(empty) > 1 else ""
            raise InputError(f"{(absent or empty)[0]}: {what}{others}; world.photographs: {NEEDED}")
        found[part] = files
    found[AS_STIMULI] = [files[: config.stimuli_per_class] for files in found[AS_STIMULI]]
    for shown, tested in zip(found[IN_FILMS], found[AS_STIMULI], strict=True):
        sizes = {path.stat().st_size for path in tested}
        known = {sha256(path): path for path in shown if path.stat().st_size in sizes}
        for path in tested if known else ():
            if twin := known.get(sha256(path)):
                raise InputError(f"{path}: the same photograph as {twin}, which films may show; remove one")
    return found


@functools.lru_cache(maxsize=4)
def dealt(config: WorldConfig) -> list[np.ndarray]:
    """Which of its class's photographs each appearance is, by film: int64 (beats, 2).

    Each class's are shuffled and dealt over all films; when they run out, they are shuffled and dealt again. Of
    `exemplars`, so many of them, drawn once, are in films at all.
    """
    films = timelines(config)
    classes = np.concatenate([film.objects for film in films]).ravel()
    number = np.zeros(len(classes), dtype=np.int64)
    for k, files in enumerate(photographs(config)[IN_FILMS]):
        generator, count = config.generator("photographs", k), int((classes == k).sum())
        stock = generator.permutation(len(files))[: config.exemplars]
        rounds = [generator.permutation(stock) for _ in range(0, count, max(1, len(stock)))]
        number[classes == k] = np.concatenate([stock[:0], *rounds])[:count]
    ends = np.cumsum([len(film.objects) for film in films])[:-1]
    return np.split(number.reshape(-1, 2), ends)


def appearances(config: WorldConfig) -> pd.DataFrame:
    """Photograph of every appearance in films: `movie_id, beat, object, wnid, file`, file below `world.photographs`."""
    wnids, files, folder = read_classes(config)["wnid"], photographs(config)[IN_FILMS], _folder(config)
    rows = [
        (film.movie_id, beat, which, wnids[k], str(files[k][number].relative_to(folder)))
        for film, numbers in zip(timelines(config), dealt(config), strict=True)
        for (beat, which), k in np.ndenumerate(film.objects)
        for number in [numbers[beat, which]]
    ]
    return pd.DataFrame(rows, columns=["movie_id", "beat", "object", "wnid", "file"])


class PhotographedFilm:
    """Frames of a film of photographs: of each beat, its first object's in close-ups, else its second's.

    Each fills the frame and stands still; nothing else is in the picture, but the film's grade.
    """

    def __init__(self, config: WorldConfig, timeline: Timeline) -> None:
        self.timeline, index = timeline, config.movie_ids.index(timeline.movie_id)
        files, numbers = photographs(config)[IN_FILMS], dealt(config)[index]
        chosen = zip(timeline.objects.ravel(), numbers.ravel(), strict=True)
        shown = np.array([square(read_image(files[k][number]), config.image_px) for k, number in chosen])
        pictures = torch.from_numpy(shown).permute(0, 3, 1, 2) / 255
        self.pictures = to_uint8(Grade.draw(config, config.generator("grade", index)).apply(pictures))

    def frames(self, times_s: np.ndarray) -> np.ndarray:
        """Pictures at given times (n,), uint8 (n, image_px, image_px, 3)."""
        shots = self.timeline.shots.iloc[self.timeline.shot_at(np.asarray(times_s, dtype=np.float64))]
        return self.pictures[2 * shots["beat"].to_numpy() + (shots["setup"].to_numpy() == TWO_SHOT)]


def photographed_stimuli(config: WorldConfig, class_index: int) -> tuple[np.ndarray, np.ndarray]:
    """Photographs of one class that no film shows, as `renderer.stimuli`; masks are 255 within the object's box.

    Boxes are read where `stimuli_in_context`, else masks are 0: ``boxes.csv`` has `file, x0, y0, x1, y1`, pixels of the
    upright photograph, the last ones included. Raises InputError if a photograph has none, or none within its central
    square.
    """
    files = photographs(config)[AS_STIMULI][class_index]
    upright = [read_image(path) for path in files]
    masks = np.zeros((len(files), config.image_px, config.image_px), dtype=np.uint8)
    if config.stimuli_in_context:
        folder = _folder(config)
        table = read_text_table(folder / BOXES, ("file", "x0", "y0", "x1", "y1"), "file").set_index("file")
        for mask, path, image in zip(masks, files, upright, strict=True):
            where = f"{folder / BOXES}, {path.relative_to(folder).as_posix()}"
            if path.relative_to(folder).as_posix() not in table.index:
                raise InputError(f"{where}: no such line; add its box or set world.stimuli_in_context: false")
            said = table.loc[path.relative_to(folder).as_posix(), ["x0", "y0", "x1", "y1"]].tolist()
            mask[:] = _box(said, image.size, where, config.image_px)
    return np.array([square(image, config.image_px) for image in upright]), masks


def _box(said: list[str], size: tuple[int, int], where: str, image_px: int) -> np.ndarray:
    """Mask of a box in the central square of a photograph of `size`, width and height."""
    try:
        x0, y0, x1, y1 = map(int, said)
    except ValueError:
        x0, y0, x1, y1 = -1, -1, -1, -1
    if not (0 <= x0 <= x1 < size[0] and 0 <= y0 <= y1 < size[1]):
        within = f"x0 <= x1 below {size[0]} and y0 <= y1 below {size[1]}, whole pixels from 0"
        raise InputError(f"{where}: box {', '.join(said)}; expected {within}")
    mask = Image.new("L", size)
    mask.paste(255, (x0, y0, x1 + 1, y1 + 1))
    inside = square(mask, image_px) >= 128
    if not inside.any():
        raise InputError(f"{where}: box {', '.join(said)}: nothing of it in the central square; remove the photograph")
    return np.where(inside, np.uint8(255), np.uint8(0))
