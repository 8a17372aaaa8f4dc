"""Films to frames: every film opened first, then decoded once, in presentation order, never by seeking.

The frame at second t of the grid is the one on screen then: the last with presentation time <= t, counted
from the film's first frame. A film is a video file, or a folder of pictures (`folders`).
"""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

import av
import pandas as pd

from semanticcmc.config import InputError, JpegQuality, Rule, Section
from semanticcmc.experiment import Experiment
from semanticcmc.films.files import Frame, file_state, film_problem, is_finished, merge_index, name_of, write_film
from semanticcmc.films.folders import folder_state, read_folder
from semanticcmc.films.letterbox import Kept, find_borders
from semanticcmc.films.manifest import refuse_changed
from semanticcmc.films.motion import SHOTS_PX, STEPS_PER_S, find_shots, flow_pictures, refuse_missing
from semanticcmc.films.probe import probe, read_probe, reason
from semanticcmc.films.soundtrack import film_sound, sound_file, write_sound
from semanticcmc.films.video import Damage, Picture, decode
from semanticcmc.run import DiskFullError, Progress, atomic, duration, write_csv, write_json

# Keys of the configuration that do not decide what a video's frames look like.
NO_SETTING = ("folder", "manifest", "frame_folders_per_s", "sound", "flow", "shots")


@dataclasses.dataclass(frozen=True)
class MoviesConfig(Section):
    """How films become frames: section ``movies`` of an experiment, explained in base.yaml."""

    folder: Path | None
    frame_folders_per_s: Annotated[float, Rule("0.001 to 1000", lambda per_s: 1e-3 <= per_s <= 1000)] | None
    frames_per_s: Annotated[float, Rule("above 0, at most 100", lambda per_s: 0 < per_s <= 100)]
    short_side_px: Annotated[int, Rule("16 or more", lambda px: px >= 16)]
    jpeg_quality: JpegQuality
    crop_black_borders: bool
    manifest: Path | None
    sound: bool
    flow: Literal["farneback", "difference"] | None
    shots: bool


def ingest(
    path: str | Path,
    movie_id: str,
    folder: str | Path,
    config: MoviesConfig,
    threads: int = 0,
    progress: Progress | None = None,
) -> Path:
    """Write one film into the frame store, unless all of it is there already, from this file and these settings.

    Returned is a Path: ``<folder>/<movie_id>.parquet``; beside it ``<movie_id>.notes.json`` holds which part of the
    pictures was kept and how many were damaged. Raises InputError for a film that cannot be decoded to its end, the
    reason in ``<movie_id>.problem.json``, and DiskFullError without such a file: the film is good, the next run tries
    it again.

    Parameters
    ----------
    path : str or Path
        Video file, or folder of pictures.
    folder : str or Path
        The frame store.
    threads : int
        Decoder threads; 0 for as many as there are cores.
    progress : Progress, optional
        Told the number of frames written.
    """
    path, folder = Path(path), Path(folder)
    problem, notes = (folder / f"{movie_id}.{kind}.json" for kind in ("problem", "notes"))
    try:
        if path.is_dir():
            made_from = folder_state(path, config.frame_folders_per_s)
            if config.manifest:
                raise InputError("a folder of pictures has no checksum; set movies.manifest to null")
            if config.sound:
                raise InputError("a folder of pictures has no sound; set movies.sound to false")
        else:
            made_from = {"source": path.name, **file_state(path)}
            if config.manifest:
                refuse_changed(path, movie_id, config.manifest, folder / f"{movie_id}.checksum.json")
        made_from |= {name: value for name, value in dataclasses.asdict(config).items() if name not in NO_SETTING}
        lacking = config.sound and not sound_file(folder, movie_id).exists()
        lacking |= config.shots and not _noted(notes).get("shots")
        moved = made_from | {"flow": config.flow}
        lacking |= config.flow is not None and not is_finished(folder, f"{movie_id}.flow", moved)
        if not lacking and is_finished(folder, movie_id, made_from):
            problem.unlink(missing_ok=True)
            return folder / f"{movie_id}.parquet"
        if config.sound:
            next(film_sound(path, 1.0))  # before all its pictures are read: whether there is any
        kept = Kept(config.frames_per_s)
        crop = find_borders(path, threads, kept) if config.crop_black_borders else None
        # The pictures of a folder are counted.
        damage = kept.damage if kept.pictures else Damage(made_from.get("pictures", 0))
        every = max(1, round(STEPS_PER_S / config.frames_per_s))
        often = float(every * Fraction(config.frames_per_s).limit_denominator(1001))

        def pictures(
            per_s: float, short_side_px: int, damage: Damage | None = None, decoded: Sequence[Picture] = ()
        ) -> Iterator[Frame]:
            if path.is_dir():
                return read_folder(path, config.frame_folders_per_s, per_s, short_side_px, crop)
            return decode(path, per_s, short_side_px, threads, crop, damage, decoded)

        def watched() -> Iterator[Frame]:
            """The frames; all else is written after the last, before the film counts as finished."""
            for done, frame in enumerate(pictures(config.frames_per_s, config.short_side_px, damage, kept.pictures)):
                if progress:
                    progress.update(done)
                yield frame
            kept.pictures.clear()
            if progress:
                progress.update(progress.total)
            if config.sound:
                write_sound(folder, movie_id, film_sound(path, frame.time_s + 1 / config.frames_per_s))
            if config.flow:
                flow = flow_pictures(pictures(often, config.short_side_px), every, config.flow)
                write_film(folder, f"{movie_id}.flow", flow, config.jpeg_quality, moved)
            inside = dataclasses.asdict(crop) if crop else None
            shots = find_shots(pictures(often, SHOTS_PX), often) if config.shots else None
            write_json(notes, {"kept": inside, **dataclasses.asdict(damage), "shots": shots})

        return write_film(folder, movie_id, watched(), config.jpeg_quality, made_from)
    except DiskFullError:
        raise
    except (InputError, OSError, av.FFmpegError) as error:
        write_json(problem, {"movie_id": movie_id, "source": str(path), "problem": reason(error)})
        raise InputError(f"{path}: {reason(error)}") from error


def _noted(file: Path) -> dict[str, Any]:
    """What was noted of a film; nothing of one that was ingested by an earlier version."""
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def merge(probed: pd.DataFrame, folder: str | Path, longest_lag_s: float = 0.0) -> pd.DataFrame:
    """Merge the films ingested into ``index.parquet``, and list all films in ``films.csv``.

    `probed` and `longest_lag_s` are as made by, and for, `probe`; `folder` is the frame store. Shots of films
    (`movie_id, start_s, stop_s, shot`), where they were looked for, go to ``index.shots.parquet``.

    Returned is a DataFrame: `movie_id, title, duration_s, frames, source, problem, kept_px, warning`, one row a film,
    also those that cannot be used. `kept_px` is the part inside black borders, width x height + left + top in pixels as
    stored, empty where all was kept; `warning` is not empty for a film that is used in spite of damage.
    """
    folder, movie_ids = Path(folder), probed["movie_id"]
    films = pd.DataFrame(
        {
            "movie_id": movie_ids,
            "title": [name_of(path) for path in probed["path"]],
            "duration_s": probed["duration_s"],
            "frames": 0,
            "source": [Path(path).name for path in probed["path"]],
            "problem": [
                problem or film_problem(folder, movie_id, longest_lag_s)
                for movie_id, problem in zip(movie_ids, probed["problem"], strict=True)
            ],
            "kept_px": "",
            "warning": "",
        }
    )
    usable = films["problem"] == ""
    if usable.any():
        times = merge_index(folder, movie_ids[usable].tolist()).groupby("movie_id")["time_s"]
        films["frames"] = movie_ids.map(times.size()).fillna(0).astype(int)
        shots: list[tuple[Any, ...]] = []
        for row, movie_id in movie_ids[usable].items():
            notes = _noted(folder / f"{movie_id}.notes.json")
            shots += [(movie_id, *ends, number) for number, ends in enumerate(notes.get("shots") or ())]
            if notes.get("kept"):
                films.loc[row, "kept_px"] = "{width}x{height}+{x}+{y}".format(**notes["kept"])
            if notes.get("lost"):
                lost = f"{notes['lost']} of {notes['pictures']} pictures are damaged"
                films.loc[row, "warning"] = f"{lost}; the one before stays on screen"
        (folder / "index.shots.parquet").unlink(missing_ok=True)
        if shots:
            table = pd.DataFrame(shots, columns=["movie_id", "start_s", "stop_s", "shot"])
            with atomic(folder / "index.shots.parquet") as temporary:
                table.to_parquet(temporary, index=False)
    write_csv(folder / "films.csv", films)
    if not usable.any():
        raise InputError(f"{folder}: no film can be used; films.csv there lists the reasons")
    return films


def probe_films(experiment: Experiment) -> None:
    """Open every film of an experiment and write ``frames/probe.csv``."""
    config = experiment.section("movies", MoviesConfig)
    refuse_missing(config.flow, config.shots)
    probed = probe(config.folder, max(experiment.lags_s, default=0.0), config.frame_folders_per_s)
    write_csv(experiment.path("frames", "probe.csv"), probed)
    _summary(probed)


def merge_films(experiment: Experiment) -> None:
    """`merge` the films ingested of an experiment."""
    _summary(merge(read_probe(experiment), experiment.folder / "frames", max(experiment.lags_s, default=0.0)))


def ingest_film(experiment: Experiment, movie_id: str, threads: int) -> None:
    """`ingest` one film of an experiment; one that fails is left out, and its reason printed."""
    films: dict[Any, Any] = read_probe(experiment).set_index("movie_id").to_dict("index")
    if movie_id not in films:
        raise InputError(f"{experiment.folder}: no film {movie_id!r}; there are {', '.join([*films][:20])}")
    film, config = films[movie_id], experiment.section("movies", MoviesConfig)
    steps = film["duration_s"] * config.frames_per_s
    total = max(1, math.ceil(steps)) if math.isfinite(steps) else 1
    progress = Progress(f"film {movie_id}", total, experiment.folder / "progress")
    try:
        ingest(film["path"], movie_id, experiment.folder / "frames", config, threads, progress)
    except InputError as error:
        print(f"LEFT OUT of every lag: {error}", file=sys.stderr)


def _summary(films: pd.DataFrame) -> None:
    usable = films["problem"] == ""
    lasts = duration(films["duration_s"][usable].sum())
    print(f"{usable.sum()} of {len(films)} films can be used, {lasts}", file=sys.stderr)
    for film in films[~usable].itertuples():
        print(f"LEFT OUT of every lag: {film.movie_id}: {film.problem}", file=sys.stderr)
    for film in films[films["warning"] != ""].itertuples() if "warning" in films else ():
        print(f"WARNING: {film.movie_id}: {film.warning}", file=sys.stderr)
