"""Films to frames: every video file opened first, then decoded once, in presentation order, never by seeking.

python -m semanticcmc.movies <yaml> --probe           opens every film, writes frames/probe.csv
python -m semanticcmc.movies <yaml> --movie-id X      writes film X into the frame store, unless it stands there
python -m semanticcmc.movies <yaml> --merge           writes frames/index.parquet and frames/films.csv

The frame at second t of the grid is the one on screen then: the last with presentation time <= t, counted
from the film's first frame.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import re
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pandas as pd

from semanticcmc.configuration import InputError
from semanticcmc.experiments import Experiment, load_experiment
from semanticcmc.frames import Frame, film_problem, is_finished, merge_index, write_film
from semanticcmc.run import Progress, atomic, duration, write_json
from semanticcmc.video import decode, picture_stream, stated_duration_s

SUFFIXES = frozenset((
    ".3gp", ".asf", ".avi", ".divx", ".f4v", ".flv", ".m2ts", ".m2v", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg",
    ".mpg", ".mts", ".mxf", ".ogv", ".rm", ".ts", ".vob", ".webm", ".wmv",
))  # fmt: skip


@dataclasses.dataclass(frozen=True)
class MoviesConfig:
    """How films become frames.

    Attributes
    ----------
    folder : Path or None
        Folder of video files, also in folders below it; None until one is given (``FILMS=<folder>``).
    frames_per_s : float
        Frames kept for each second of film.
    short_side_px : int
        Length of a frame's short side as displayed, pixels; smaller films are not enlarged.
    jpeg_quality : int
        1 to 95.
    """

    folder: Path | None
    frames_per_s: float
    short_side_px: int
    jpeg_quality: int

    def __post_init__(self) -> None:
        if not 0 < self.frames_per_s <= 100:
            raise ValueError(f"frames_per_s {self.frames_per_s}: expected above 0, at most 100")
        if self.short_side_px < 16:
            raise ValueError(f"short_side_px {self.short_side_px}: expected 16 or more")
        if not 1 <= self.jpeg_quality <= 95:
            raise ValueError(f"jpeg_quality {self.jpeg_quality}: expected 1 to 95")


def _films(folder: Path | None) -> list[Path]:
    """Video files (by suffix) below `folder`, in natural order: film 2 before film 10."""
    if folder is None:
        raise InputError("movies.folder is empty: give FILMS=<folder of video files>")
    folder = folder.expanduser()
    if not folder.is_dir():
        raise InputError(f"movies.folder {folder}: no such folder")
    files = [path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()]
    files = [path for path in files if not path.name.startswith(".")]
    return sorted(files, key=lambda p: [(int(part), "") if part.isdigit() else (-1, part)
                                        for part in re.split(r"([0-9]+)", str(p.relative_to(folder)))])  # fmt: skip


def _movie_ids(paths: list[Path]) -> list[str]:
    """File stems made safe as file names, and unique also where upper and lower case are one."""
    taken, ids = {"index"}, []
    for path in paths:
        stem = re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", path.stem)).strip("._-") or "film"
        movie_id, number = stem, 2
        while movie_id.casefold() in taken:
            movie_id, number = f"{stem}_{number}", number + 1
        taken.add(movie_id.casefold())
        ids.append(movie_id)
    return ids


def probe(folder: str | Path | None, longest_lag_s: float = 0.0) -> pd.DataFrame:
    """Open every film of a folder and say which can be used.

    Parameters
    ----------
    folder : str or Path
        Searched with the folders below it for video files, known by their suffix.
    longest_lag_s : float
        A film that is no longer than this has no pair of frames at the longest lag; it is left out of all.

    Returns
    -------
    DataFrame
        One row a film: `movie_id` (its file name made safe and unique), `path`, `duration_s`, `fps`,
        `width`, `height` (as stored), `codec`, `problem` (empty where it can be used).

    Raises
    ------
    InputError
        If there is no video file, or none can be used.
    """
    paths = _films(Path(folder) if folder is not None else None)
    rows = []
    for path, movie_id in zip(paths, _movie_ids(paths), strict=True):
        row: dict[str, Any] = {"movie_id": movie_id, "path": str(path), "duration_s": math.nan, "fps": math.nan,
                               "width": 0, "height": 0, "codec": "", "problem": ""}  # fmt: skip
        try:
            row |= _probe(path)
            if row["duration_s"] <= longest_lag_s:
                raise InputError(
                    f"{row['duration_s']:g} s long, not longer than the longest lag, {longest_lag_s:g} s"
                )
        except (InputError, OSError, av.FFmpegError) as error:
            row["problem"] = _reason(error)
        rows.append(row)
    if not any(row["problem"] == "" for row in rows):
        listed = "".join(f"\n  {row['path']}: {row['problem']}" for row in rows)
        raise InputError(
            f"{folder}: no film can be used" + (listed or f"; none ends in {' '.join(sorted(SUFFIXES))}")
        )
    return pd.DataFrame(rows)


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return "not readable as a film: " + text if not isinstance(error, InputError) else text


def _probe(path: Path) -> dict[str, Any]:
    """What `probe` says of one film; raises for one that cannot be used."""
    with av.open(str(path)) as container:
        stream = picture_stream(container)
        if next(container.decode(stream), None) is None:
            raise InputError("not one picture in it can be decoded")
        stated_s, short_s = stated_duration_s(container, stream)
        rate = stream.average_rate or stream.guessed_rate
        if math.isfinite(stated_s) and stream.time_base is not None:
            # Only whether the file goes on to its end: frames are never taken by seeking.
            start = stream.start_time or 0
            wanted = start + int(max(0.0, stated_s - 1) / stream.time_base)
            container.seek(wanted, stream=stream)
            ends = [
                p.pts + (p.duration or 0) for p in container.demux(stream) if p.pts is not None and p.size
            ]
            end_s = float((max(ends) - start) * stream.time_base) if ends else 0.0
            if end_s < stated_s - short_s:
                raise InputError(f"truncated: ends before {end_s + 1:.0f} s of {stated_s:.0f} s")
        context = stream.codec_context
        return {"duration_s": stated_s, "fps": float(rate) if rate else math.nan, "width": context.width,
                "height": context.height, "codec": context.name}  # fmt: skip


def ingest(path: str | Path, movie_id: str, folder: str | Path, config: MoviesConfig,
           threads: int = 0, progress: Progress | None = None) -> Path:  # fmt: skip
    """Write one film into the frame store, unless it stands there whole, from this file and settings.

    Parameters
    ----------
    path : str or Path
        Video file.
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
        ``<folder>/<movie_id>.parquet``.

    Raises
    ------
    InputError
        For a film that cannot be decoded to its end; ``<movie_id>.problem.json`` then says why.
    """
    path, folder = Path(path), Path(folder)
    problem = folder / f"{movie_id}.problem.json"
    try:
        state = path.stat()
        made_from = {"source": path.name, "bytes": state.st_size, "changed_ns": state.st_mtime_ns,
                     **{k: v for k, v in dataclasses.asdict(config).items() if k != "folder"}}  # fmt: skip
        if is_finished(folder, movie_id, made_from):
            problem.unlink(missing_ok=True)
            return folder / f"{movie_id}.parquet"
        frames = _counted(decode(path, config.frames_per_s, config.short_side_px, threads), progress)
        return write_film(folder, movie_id, frames, config.jpeg_quality, made_from)
    except (InputError, OSError, av.FFmpegError) as error:
        write_json(problem, {"movie_id": movie_id, "source": str(path), "problem": _reason(error)})
        raise InputError(f"{path}: {_reason(error)}") from error


def _counted(frames: Iterator[Frame], progress: Progress | None) -> Iterator[Frame]:
    for done, frame in enumerate(frames):
        if progress:
            progress.update(done)
        yield frame
    if progress:
        progress.update(progress.total)


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
        `movie_id, title, duration_s, frames, source, problem`, one row a film, also the unusable ones.
    """
    folder = Path(folder)
    problems = dict(zip(probed["movie_id"], probed["problem"], strict=True))
    for movie_id, problem in problems.items():
        if not problem:
            problems[movie_id] = film_problem(folder, movie_id, longest_lag_s)
    films = pd.DataFrame({
        "movie_id": probed["movie_id"], "title": [Path(path).stem for path in probed["path"]],
        "duration_s": probed["duration_s"], "frames": 0, "source": [Path(path).name for path in probed["path"]],
        "problem": list(problems.values()),
    })  # fmt: skip
    usable = [movie_id for movie_id, problem in problems.items() if not problem]
    if usable:
        counts = merge_index(folder, usable)["movie_id"].value_counts()
        films["frames"] = films["movie_id"].map(counts).fillna(0).astype(int)
    with atomic(folder / "films.csv") as temporary:
        films.to_csv(temporary, index=False)
    if not usable:
        raise InputError(f"{folder}: no film can be used; the reasons stand in films.csv")
    return films


def main(arguments: list[str] | None = None) -> None:
    """Command line; see the module."""
    parser = argparse.ArgumentParser(prog="python -m semanticcmc.movies", description=__doc__.splitlines()[0])
    parser.add_argument("experiment", help="path of the experiment's YAML, or its name")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--probe", action="store_true", help="open every film, write frames/probe.csv")
    what.add_argument("--movie-id", metavar="X", help="write one film into the frame store")
    what.add_argument("--merge", action="store_true", help="write frames/index.parquet and frames/films.csv")
    parser.add_argument("--threads", type=int, default=0, help="decoder threads; 0: as many as cores")
    options = parser.parse_args(arguments)
    try:
        experiment = load_experiment(options.experiment)
        if options.probe:
            _probe_folder(experiment)
        elif options.merge:
            films = merge(
                _probed(experiment), experiment.folder / "frames", max(experiment.lags_s, default=0.0)
            )
            _summary(films)
        else:
            _ingest_one(experiment, options.movie_id, options.threads)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def _probe_folder(experiment: Experiment) -> None:
    config = experiment.section("movies", MoviesConfig)
    probed = probe(config.folder, max(experiment.lags_s, default=0.0))
    with atomic(experiment.path("frames", "probe.csv")) as temporary:
        probed.to_csv(temporary, index=False)
    _summary(probed)


def _probed(experiment: Experiment) -> pd.DataFrame:
    path = experiment.folder / "frames" / "probe.csv"
    if not path.exists():
        raise InputError(f"{path}: no such file; open the films first (--probe)")
    return pd.read_csv(path, dtype={"movie_id": str, "path": str, "problem": str}, keep_default_na=False,
                       na_values={"duration_s": [""], "fps": [""]})  # fmt: skip


def _ingest_one(experiment: Experiment, movie_id: str, threads: int) -> None:
    """Write one film; one that fails is left out, and the others go on."""
    probed = _probed(experiment)
    if movie_id not in set(probed["movie_id"]):
        raise InputError(
            f"{experiment.folder}: no film {movie_id!r}; there are {', '.join(probed['movie_id'][:20])}"
        )
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
    print(f"{usable.sum()} of {len(films)} films can be used, {duration(films['duration_s'][usable].sum())}",
          file=sys.stderr)  # fmt: skip
    for film in films[~usable].itertuples():
        print(f"LEFT OUT of every lag: {film.movie_id}: {film.problem}", file=sys.stderr)


if __name__ == "__main__":
    main()
