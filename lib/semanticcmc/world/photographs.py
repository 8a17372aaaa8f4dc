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
from semanticcmc.world.timeline import CLOSE_UP, N_IN_BEAT, Timeline, timelines

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
    tested = [_pictures(folder / AS_STIMULI / wnid)[: config.stimuli_per_class] for wnid in wnids]
    filmed = zip(wnids, is_filmed(config), strict=True)
    shown = [_pictures(folder / IN_FILMS / wnid) if is_shown else [] for wnid, is_shown in filmed]
    known = {sha256(path): path for files in shown for path in files}
    for path in (path for files in tested for path in files):
        if twin := known.get(sha256(path)):
            raise InputError(f"{path}: the same photograph as {twin}, which films may show; remove one")
    return {IN_FILMS: shown, AS_STIMULI: tested}


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir() or not (files := images_in(folder)):
        what = "no picture in it" if folder.is_dir() else "no such folder"
        raise InputError(f"{folder}: {what}; world.photographs: {NEEDED}")
    if missing := [path for path in files if not path.is_file()]:
        raise InputError(f"{missing[0]}: a folder, or a link to no file; remove it")
    return files


@functools.lru_cache(maxsize=4)
def appearances(config: WorldConfig) -> pd.DataFrame:
    """Photograph of every appearance in films: `movie_id, beat, object, wnid, file`, file below `world.photographs`.

    A class's photographs are shuffled and dealt over all films; when they run out, they are shuffled and dealt again.
    Of `exemplars`, so many of them, drawn once, are in films at all.
    """
    films, folder = timelines(config), _folder(config)
    classes, beats = np.concatenate([film.objects for film in films]).ravel(), [len(film.objects) for film in films]
    file = np.empty(len(classes), dtype=object)
    for k, files in enumerate(photographs(config)[IN_FILMS]):
        generator, count = config.generator("photographs", k), int((classes == k).sum())
        stock = generator.permutation(len(files))[: config.exemplars]
        rounds = [generator.permutation(stock) for _ in range(0, count, max(1, len(stock)))]
        dealt = np.concatenate([stock[:0], *rounds])[:count]
        file[classes == k] = [files[number].relative_to(folder).as_posix() for number in dealt]
    beat = np.concatenate([np.repeat(np.arange(count), N_IN_BEAT) for count in beats])
    whose = {"movie_id": np.repeat(config.movie_ids, N_IN_BEAT * np.array(beats)), "beat": beat}
    whose |= {"object": np.arange(len(classes)) % N_IN_BEAT, "wnid": read_classes(config)["wnid"].to_numpy()[classes]}
    return pd.DataFrame(whose | {"file": file})


def photographed_frames(config: WorldConfig, film: Timeline) -> np.ndarray:
    """All frames of a film, uint8 (n_frames, image_px, image_px, 3): of each beat, one of its two objects at a time.

    Close-ups are the first's photograph, other shots the second's. It fills the frame and stands still; nothing else is
    in the picture, but the film's grade.
    """
    table = appearances(config)
    files = table.loc[table["movie_id"] == film.movie_id, "file"]
    shown = np.array([square(read_image(_folder(config) / file), config.image_px) for file in files])
    grade = Grade.draw(config, config.generator("grade", config.movie_ids.index(film.movie_id)))
    pictures = to_uint8(grade.apply(torch.from_numpy(shown).permute(0, 3, 1, 2) / 255))
    shots = film.shots.iloc[film.shot_at(config.times_s)]
    return pictures[N_IN_BEAT * shots["beat"].to_numpy() + (shots["setup"].to_numpy() != CLOSE_UP)]


def photographed_stimuli(config: WorldConfig, class_index: int) -> tuple[np.ndarray, np.ndarray]:
    """Photographs of one class that no film shows, as `renderer.stimuli`; masks are 255 within the object's box.

    Boxes are read where `stimuli_in_context`, else masks are 0: ``boxes.csv`` has `file, x0, y0, x1, y1`, pixels of the
    upright photograph, the last ones included. A photograph whose central square shows nothing of its box, or nothing
    else, is left out. Raises InputError if one has no box, or none is left.
    """
    files, folder = photographs(config)[AS_STIMULI][class_index], _folder(config)
    upright = [read_image(path) for path in files]
    masks = np.zeros((len(files), config.image_px, config.image_px), dtype=np.uint8)
    images = np.array([square(image, config.image_px) for image in upright])
    if not config.stimuli_in_context:
        return images, masks
    for mask, path, image in zip(masks, files, upright, strict=True):
        name = path.relative_to(folder).as_posix()
        said, where = _boxes(folder / BOXES).get(name), f"{folder / BOXES}, {name}"
        if said is None:
            raise InputError(f"{where}: no such line; add it or set world.stimuli_in_context: false")
        x0, y0, x1, y1 = (int(value) if value.isdecimal() else -1 for value in said)
        if not (0 <= x0 <= x1 < image.width and 0 <= y0 <= y1 < image.height):
            within = f"x0 <= x1 below {image.width} and y0 <= y1 below {image.height}, whole pixels from 0"
            raise InputError(f"{where}: box {', '.join(said)}; expected {within}")
        box = Image.new("L", image.size)
        box.paste(255, (x0, y0, x1 + 1, y1 + 1))
        mask[square(box, config.image_px) >= 128] = 255
    both = masks.any((1, 2)) & (masks == 0).any((1, 2))
    if not both.all():
        left = f"{(~both).sum()} of {len(both)} photographs left out, whose central square is all box or all background"
        if not both.any():
            raise InputError(f"{folder / BOXES}, {files[0].parent.name}: {left}; add others")
        print(f"{files[0].parent.name}: {left}", flush=True)
    return images[both], masks[both]


@functools.lru_cache(maxsize=4)
def _boxes(path: Path) -> dict[str, list[str]]:
    columns = ["file", "x0", "y0", "x1", "y1"]
    return {file: box for file, *box in read_text_table(path, columns, "file")[columns].to_numpy().tolist()}
