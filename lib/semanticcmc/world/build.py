"""Write a world into a results folder, in the formats of real films."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import multiprocessing
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image

from semanticcmc.films.files import Frame, is_finished, merge_index, write_film
from semanticcmc.films.pictures import mask_file
from semanticcmc.films.soundtrack import write_sound
from semanticcmc.labels.stream import write_labels
from semanticcmc.rsa.rdm import write_rdms
from semanticcmc.run import Progress, atomic, available_cores, write_csv, write_json
from semanticcmc.world.classes import read_classes
from semanticcmc.world.config import WorldConfig
from semanticcmc.world.hum import hum
from semanticcmc.world.labels import label_tables
from semanticcmc.world.objects import class_looks
from semanticcmc.world.other_views import pictures, tracks
from semanticcmc.world.photographs import appearances, photographed_frames, photographed_stimuli, photographs
from semanticcmc.world.renderer import FilmRenderer, stimuli
from semanticcmc.world.themes import schemes
from semanticcmc.world.timeline import SETUPS, Timeline, timelines
from semanticcmc.world.truth import look_rdm, met_rdm, shot_table, theme_rdm, truth

FRAMES_WORTH_A_PROCESS = 5_000  # rendered in about the time that a new process takes to import torch


def build(config: WorldConfig, folder: str | Path, processes: int | None = None) -> None:
    """Write a world: ``frames/``, ``labels/``, ``stimuli/`` and ``world/`` below `folder`, an experiment's results.

    A film or class of stimuli that is there already, made with the same parameters, is left as it is.
    ``world/theme_rdm.parquet`` and ``world/met_rdm.parquet`` are those of `truth`, and ``world/shots.parquet``
    (`movie_id, start_s, stop_s, shot, beat, scene, theme, setup`) has the shots as `films.pairs.lagged_pairs` takes
    them. At most `processes` films are rendered at once, by default one a CPU, in fewer where starting a process takes
    longer than it saves; the files do not depend on it.
    """
    folder = Path(folder)
    films, classes = timelines(config), read_classes(config)
    _write_tables(config, folder, films, classes)
    made_from = _made_from(config)
    unfinished = [film for film in films if not is_finished(folder / "frames", film.movie_id, made_from)]
    kinds = ("", *(f".{view}" for view in config.other_views), *([".sound"] if config.hum else []))
    _remove_other(folder / "frames", {f"{movie_id}{kind}" for movie_id in config.movie_ids for kind in kinds})
    _remove_other(folder / "stimuli", set(classes["wnid"]))
    missing = [i for i, wnid in enumerate(classes["wnid"]) if not _is_drawn(folder, wnid, made_from)]

    jobs: list[Timeline | int] = [*unfinished, *missing]
    total = len(films) + len(classes)
    progress = Progress("world", total, folder / "progress")
    progress.update(total - len(jobs))
    worth = 1 + len(unfinished) * config.n_frames // FRAMES_WORTH_A_PROCESS
    processes = min(processes or available_cores(), worth)
    for done, name in enumerate(_run(config, folder, jobs, processes), total - len(jobs) + 1):
        progress.update(done, name)
    merge_index(folder / "frames", list(config.movie_ids))
    titles = [f"Miniature film {i + 1}" for i in range(config.films)]
    table = pd.DataFrame({"movie_id": config.movie_ids, "title": titles})
    table = table.assign(duration_s=config.film_duration_s, frames=config.n_frames, source="world", problem="")
    write_csv(folder / "frames" / "films.csv", table)


def _write_tables(config: WorldConfig, folder: Path, films: list[Timeline], classes: pd.DataFrame) -> None:
    names = np.array([name for scheme in schemes(config) for name in scheme.names])
    write_labels(folder / "labels", *label_tables(config, films))
    write_csv(folder / "world" / "classes.csv", classes)
    if config.objects == "drawn":  # whose looks are known
        write_rdms(folder / "world" / "look_rdm.parquet", {"look": look_rdm(config)})
    else:
        (folder / "world" / "look_rdm.parquet").unlink(missing_ok=True)
        write_csv(folder / "world" / "appearances.csv", appearances(config))
    write_rdms(folder / "world" / "theme_rdm.parquet", {"theme": theme_rdm(config)})
    write_rdms(folder / "world" / "met_rdm.parquet", {"met": met_rdm(config, films)})
    shots = shot_table(films)
    shots = shots.assign(theme=names[shots["theme"]], setup=np.array(SETUPS)[shots["setup"]])
    with atomic(folder / "world" / "shots.parquet") as temporary:
        shots.to_parquet(temporary, index=False)
    lags_s = np.unique(np.round(np.geomspace(1, config.film_duration_s / 2, 60)))
    write_csv(folder / "world" / "truth.csv", truth(config, np.append(0.0, lags_s)))


def _run(config: WorldConfig, folder: Path, jobs: list[Timeline | int], processes: int) -> Iterator[str]:
    make = functools.partial(_make, config, folder)
    if processes <= 1:
        yield from map(make, jobs)
        return
    # Spawned, since a fork of a process that already runs torch's threads can hang.
    with multiprocessing.get_context("spawn").Pool(processes, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        yield from pool.imap_unordered(make, jobs)


def _make(config: WorldConfig, folder: Path, what: Timeline | int) -> str:
    """Render and write one film, or the stimuli of the class of a number; returns its movie_id or wnid."""
    made_from, looks, drawn = _made_from(config), class_looks(config), config.objects == "drawn"
    if isinstance(what, Timeline) and not drawn:
        frames = _shown(config, photographed_frames(config, what))
        write_film(folder / "frames", what.movie_id, frames, config.jpeg_quality, made_from)
        return what.movie_id
    if isinstance(what, Timeline):
        renderer = FilmRenderer(config, what, looks)
        for view in config.other_views:
            if view == "tracks":
                with atomic(folder / "world" / "tracks" / f"{what.movie_id}.parquet") as temporary:
                    tracks(renderer, config.times_s).to_parquet(temporary, index=False)
                continue
            frames = _shown(config, pictures(renderer, config.times_s, view))
            write_film(folder / "frames", f"{what.movie_id}.{view}", frames, config.jpeg_quality)
        if config.hum:
            write_sound(folder / "frames", what.movie_id, hum(config, what))
        frames = _shown(config, renderer.frames(config.times_s))  # last: a film that is there has all its views
        write_film(folder / "frames", what.movie_id, frames, config.jpeg_quality, made_from)
        return what.movie_id
    wnid = read_classes(config)["wnid"][what]
    place = folder / "stimuli" / wnid
    _marker(folder, wnid).unlink(missing_ok=True)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    exemplars = stimuli(config, looks, what) if drawn else photographed_stimuli(config, what)
    for i, (image, mask) in enumerate(zip(*exemplars, strict=True)):
        file = place / f"{wnid}_{i:03d}.jpg"
        if config.stimuli_in_context:  # without loss: JPEG would smear object and background into each other
            file = file.with_suffix(".png")
            Image.fromarray(mask).save(mask_file(file))
        Image.fromarray(image).save(file, quality=95)
    write_json(_marker(folder, wnid), made_from)  # last: an interrupted class has none
    return wnid


def _shown(config: WorldConfig, images: np.ndarray) -> Iterator[Frame]:
    for i, (time_s, image) in enumerate(zip(config.times_s.tolist(), images, strict=True)):
        yield Frame(time_s, time_s, i, image)


def _made_from(config: WorldConfig) -> dict[str, Any]:
    """What decides the pictures: the parameters, the classes, and this package's own source."""
    source = hashlib.sha256(read_classes(config).to_csv().encode())
    for file in sorted(Path(__file__).parent.glob("*.py")):
        source.update(file.read_bytes())
    for files in photographs(config).values() if config.objects == "photographs" else ():
        source.update(repr([(path.name, path.stat().st_size) for own in files for path in own]).encode())
    return {"world": dataclasses.asdict(config), "source_sha256": source.hexdigest()}


def _marker(folder: Path, wnid: str) -> Path:
    return folder / "world" / "stimuli" / f"{wnid}.json"


def _is_drawn(folder: Path, wnid: str, made_from: dict[str, Any]) -> bool:
    """Whether a class's stimuli are there, made with these parameters."""
    file = _marker(folder, wnid)
    complete = file.exists() and (folder / "stimuli" / wnid).is_dir()
    return complete and json.loads(file.read_text()) == json.loads(json.dumps(made_from))


def _remove_other(folder: Path, wanted: set[str]) -> None:
    """Remove films or classes of an earlier world in the same folder."""
    for path in folder.glob("*") if folder.exists() else ():
        if path.is_dir() and path.name not in wanted:
            shutil.rmtree(path)
        elif path.suffix in (".tar", ".parquet", ".wav") and path.stem not in wanted | {"index"}:
            path.unlink()
