"""Films to frames: every film opened first, then decoded once, in presentation order, never by seeking.

semanticcmc probe <experiment>           opens every film, writes frames/probe.csv
semanticcmc ingest <experiment> X      writes film X into the frame store, unless it stands there
semanticcmc merge <experiment>           writes frames/index.parquet and frames/films.csv

The frame at second t of the grid is the one on screen then: the last with presentation time <= t, counted
from the film's first frame. A film is a video file, or a folder of pictures (`frame_folders`).
"""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pandas as pd

from semanticcmc.config import InputError
from semanticcmc.experiment import Experiment
from semanticcmc.films.display import Box
from semanticcmc.films.files import Frame, film_problem, is_finished, merge_index, name_of, write_film
from semanticcmc.films.folders import folder_state, read_folder
from semanticcmc.films.letterbox import find_borders
from semanticcmc.films.manifest import refuse_changed
from semanticcmc.films.probe import probe, reason
from semanticcmc.films.video import Damage, decode
from semanticcmc.run import DiskFullError, Progress, atomic, duration, write_json

# They say where films are and which are meant, not what a video's frames look like.
NO_SETTING = ("folder", "manifest", "frame_folders_per_s")


@dataclasses.dataclass(frozen=True)
class MoviesConfig:
    """How films become frames.

    Attributes
    ----------
    folder : Path or None
        Folder of films, also in folders below it; None until one is given (``FILMS=<folder>``).
    frame_folders_per_s : float or None
        Pictures a second of films that come as folders of pictures; None: such a film is left out.
    frames_per_s : float
        Frames kept for each second of film.
    short_side_px : int
        Length of a frame's short side as displayed, pixels; smaller films are not enlarged.
    jpeg_quality : int
        1 to 95.
    crop_black_borders : bool
        Whether letterbox and pillarbox are cut off, the same for all of a film's frames.
    manifest : Path or None
        List of films with their checksums (`film_manifest`); a film that is not on it, or whose file has
        changed, is left out. None: nothing is checked.
    """

    folder: Path | None
    frame_folders_per_s: float | None
    frames_per_s: float
    short_side_px: int
    jpeg_quality: int
    crop_black_borders: bool
    manifest: Path | None

    def __post_init__(self) -> None:
        if not 0 < self.frames_per_s <= 100:
            raise ValueError(f"frames_per_s {self.frames_per_s}: expected above 0, at most 100")
        if self.frame_folders_per_s is not None and not 1e-3 <= self.frame_folders_per_s <= 1000:
            raise ValueError(f"frame_folders_per_s {self.frame_folders_per_s}: expected 0.001 to 1000, or null")
        if self.short_side_px < 16:
            raise ValueError(f"short_side_px {self.short_side_px}: expected 16 or more")
        if not 1 <= self.jpeg_quality <= 95:
            raise ValueError(f"jpeg_quality {self.jpeg_quality}: expected 1 to 95")


def ingest(
    path: str | Path,
    movie_id: str,
    folder: str | Path,
    config: MoviesConfig,
    threads: int = 0,
    progress: Progress | None = None,
) -> Path:
    """Write one film into the frame store, unless it stands there whole, from this file and settings.

    Parameters
    ----------
    path : str or Path
        Video file, or folder of pictures.
    movie_id : str
    folder : str or Path
        The frame store.
    config : MoviesConfig
    threads : int
        Decoder threads; 0 for as many as there are cores.
    progress : Progress, optional
        Told the number of frames written.

    Returns
    -------
    Path
        ``<folder>/<movie_id>.parquet``. ``<movie_id>.notes.json`` says which part of the pictures was kept
        and how many were damaged.

    Raises
    ------
    InputError
        For a film that cannot be decoded to its end; ``<movie_id>.problem.json`` then says why.
    DiskFullError
        No fault of the film, so no problem is noted: the next run takes it up again.
    """
    path, folder = Path(path), Path(folder)
    problem = folder / f"{movie_id}.problem.json"
    try:
        made_from = _state(path, config) | {
            name: value for name, value in dataclasses.asdict(config).items() if name not in NO_SETTING
        }
        if config.manifest and path.is_dir():
            raise InputError("a folder of pictures has no checksum; set movies.manifest to null")
        if config.manifest:
            refuse_changed(path, movie_id, config.manifest, folder / f"{movie_id}.checksum.json")
        if is_finished(folder, movie_id, made_from):
            problem.unlink(missing_ok=True)
            return folder / f"{movie_id}.parquet"
        crop, damage = find_borders(path, threads) if config.crop_black_borders else None, Damage()
        if path.is_dir():
            damage.pictures = made_from["pictures"]
            frames = read_folder(path, config.frame_folders_per_s, config.frames_per_s, config.short_side_px, crop)
        else:
            frames = decode(path, config.frames_per_s, config.short_side_px, threads, crop, damage)
        notes = _noted(_counted(frames, progress), folder / f"{movie_id}.notes.json", crop, damage)
        return write_film(folder, movie_id, notes, config.jpeg_quality, made_from)
    except DiskFullError:
        raise
    except (InputError, OSError, av.FFmpegError) as error:
        write_json(problem, {"movie_id": movie_id, "source": str(path), "problem": reason(error)})
        raise InputError(f"{path}: {reason(error)}") from error


def _state(path: Path, config: MoviesConfig) -> dict[str, Any]:
    """What tells whether a film is still the same, without reading it."""
    if path.is_dir():
        return folder_state(path, config.frame_folders_per_s)
    state = path.stat()
    return {"source": path.name, "bytes": state.st_size, "changed_ns": state.st_mtime_ns}


def _counted(frames: Iterator[Frame], progress: Progress | None) -> Iterator[Frame]:
    for done, frame in enumerate(frames):
        if progress:
            progress.update(done)
        yield frame
    if progress:
        progress.update(progress.total)


def _noted(frames: Iterator[Frame], path: Path, crop: Box | None, damage: Damage) -> Iterator[Frame]:
    """The frames; the notes are written after the last of them, before the store takes the film for finished."""
    yield from frames
    write_json(path, {"kept": dataclasses.asdict(crop) if crop else None, **dataclasses.asdict(damage)})


def _notes(folder: Path, movie_id: str) -> tuple[str, str]:
    """Part of a film's pictures that was kept (width x height + left + top, empty if all), and a warning."""
    path = folder / f"{movie_id}.notes.json"
    if not path.exists():
        return "", ""
    notes = json.loads(path.read_text(encoding="utf-8"))
    kept = "{width}x{height}+{x}+{y}".format(**notes["kept"]) if notes["kept"] else ""
    damaged = f"{notes['lost']} of {notes['pictures']} pictures are damaged; the one before stays on screen"
    return kept, damaged if notes["lost"] else ""


def merge(probed: pd.DataFrame, folder: str | Path, longest_lag_s: float = 0.0) -> pd.DataFrame:
    """Merge the films ingested into ``index.parquet``, and say which films are left out, and why.

    Parameters
    ----------
    probed : DataFrame
        As made by `probe`.
    folder : str or Path
        The frame store; ``films.csv`` is written there as well.
    longest_lag_s : float
        As for `probe`; some durations are known only now.

    Returns
    -------
    DataFrame
        `movie_id, title, duration_s, frames, source, problem, kept_px, warning`, one row a film, also the
        unusable ones. `kept_px` is the part inside black borders, width x height + left + top in pixels as
        stored, empty where all was kept; `warning` is not empty for a film that is used in spite of damage.
    """
    folder = Path(folder)
    problems = dict(zip(probed["movie_id"], probed["problem"], strict=True))
    for movie_id, problem in problems.items():
        if not problem:
            problems[movie_id] = film_problem(folder, movie_id, longest_lag_s)
    films = pd.DataFrame(
        {
            "movie_id": probed["movie_id"],
            "title": [name_of(path) for path in probed["path"]],
            "duration_s": probed["duration_s"],
            "frames": 0,
            "source": [Path(path).name for path in probed["path"]],
            "problem": list(problems.values()),
            "kept_px": "",
            "warning": "",
        }
    )
    usable = [movie_id for movie_id, problem in problems.items() if not problem]
    if usable:
        times = merge_index(folder, usable).groupby("movie_id")["time_s"]
        films["frames"] = films["movie_id"].map(times.size()).fillna(0).astype(int)
        each_s = (times.max() - times.min()) / (times.size() - 1)  # where no duration is stated, to one frame
        films["duration_s"] = films["duration_s"].fillna(films["movie_id"].map(times.size() * each_s))
        notes = {movie_id: _notes(folder, movie_id) for movie_id in usable}
        films["kept_px"], films["warning"] = zip(
            *(notes.get(movie_id, ("", "")) for movie_id in films["movie_id"]), strict=True
        )
    with atomic(folder / "films.csv") as temporary:
        films.to_csv(temporary, index=False)
    if not usable:
        raise InputError(f"{folder}: no film can be used; the reasons stand in films.csv")
    return films


def probe_films(experiment: Experiment) -> None:
    """Open every film of an experiment and write ``frames/probe.csv``."""
    config = experiment.section("movies", MoviesConfig)
    probed = probe(config.folder, max(experiment.lags_s, default=0.0), config.frame_folders_per_s)
    with atomic(experiment.path("frames", "probe.csv")) as temporary:
        probed.to_csv(temporary, index=False)
    _summary(probed)


def _probed(experiment: Experiment) -> pd.DataFrame:
    path = experiment.folder / "frames" / "probe.csv"
    if not path.exists():
        raise InputError(f"{path}: no such file; open the films first: semanticcmc probe")
    return pd.read_csv(
        path,
        dtype={"movie_id": str, "path": str, "problem": str},
        keep_default_na=False,
        na_values={"duration_s": [""], "fps": [""]},
    )


def merge_films(experiment: Experiment) -> None:
    """`merge` the films ingested of an experiment."""
    _summary(merge(_probed(experiment), experiment.folder / "frames", max(experiment.lags_s, default=0.0)))


def ingest_film(experiment: Experiment, movie_id: str, threads: int) -> None:
    """Write one film; one that fails is left out, and the others go on."""
    probed = _probed(experiment)
    if movie_id not in set(probed["movie_id"]):
        raise InputError(f"{experiment.folder}: no film {movie_id!r}; there are {', '.join(probed['movie_id'][:20])}")
    film = probed[probed["movie_id"] == movie_id].iloc[0].to_dict()
    config = experiment.section("movies", MoviesConfig)
    steps = film["duration_s"] * config.frames_per_s
    total = max(1, math.ceil(steps)) if math.isfinite(steps) else 1
    progress = Progress(f"film {movie_id}", total, experiment.folder / "progress")
    try:
        ingest(film["path"], movie_id, experiment.folder / "frames", config, threads, progress)
    except InputError as error:
        print(f"LEFT OUT of every lag: {error}", file=sys.stderr)


def _summary(films: pd.DataFrame) -> None:
    usable = films["problem"] == ""
    print(
        f"{usable.sum()} of {len(films)} films can be used, {duration(films['duration_s'][usable].sum())}",
        file=sys.stderr,
    )
    for film in films[~usable].itertuples():
        print(f"LEFT OUT of every lag: {film.movie_id}: {film.problem}", file=sys.stderr)
    for film in films[films["warning"] != ""].itertuples() if "warning" in films else ():
        print(f"WARNING: {film.movie_id}: {film.warning}", file=sys.stderr)
