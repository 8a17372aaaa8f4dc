"""Every film of a folder opened before work starts: what can be used, and why the rest cannot."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import av
import pandas as pd

from semanticcmc.config import InputError
from semanticcmc.experiment import Experiment
from semanticcmc.films.files import movie_id_of, name_of, natural_parts
from semanticcmc.films.folders import is_picture, probe_folder
from semanticcmc.films.video import picture_stream, stated_duration_s

SUFFIXES = (  # of video files
    ".264 .265 .3gp .asf .avi .divx .f4v .flv .h264 .h265 .hevc .m2ts .m2v .m4v .mkv .mov .mp4 .mpeg .mpg .mts .mxf "
    ".ogv .rm .ts .vob .webm .wmv"
)


def _films(folder: Path | None) -> list[Path]:
    """Video files (by suffix) and folders of pictures below `folder`, in natural order: film 2 before film 10.

    Pictures beside a video, above it or below it are its cover or stills, and no film. Hidden files are left out;
    a folder that cannot be read is given as well, to be named among the problems.
    """
    if folder is None:
        raise InputError("movies.folder is empty: give FILMS=<folder of films>")
    folder = folder.expanduser()
    if not folder.is_dir():
        raise InputError(f"movies.folder {folder}: no such folder")
    videos: list[Path] = []
    pictured: set[Path] = set()
    closed: list[Path] = []
    for place, below, names in os.walk(folder, onerror=lambda error: closed.append(Path(error.filename))):
        below[:] = [name for name in below if not name.startswith(".")]
        for path in (Path(place, name) for name in names if not name.startswith(".")):
            if path.suffix.lower() in SUFFIXES.split() and path.is_file():
                videos.append(path)
            elif is_picture(path):
                pictured.add(path.parent)
    holding = {video.parent for video in videos} - {folder}
    above = {parent for path in holding for parent in path.parents}
    filmed = [path for path in pictured - above - {folder} if holding.isdisjoint((path, *path.parents))]
    return sorted([*videos, *filmed, *closed], key=lambda path: natural_parts(str(path.relative_to(folder))))


def _movie_ids(paths: list[Path]) -> list[str]:
    """Names made safe as file names, and unique even where upper and lower case are not told apart."""
    taken, ids = {"index"}, []
    for path in paths:
        stem = movie_id_of(name_of(path))
        movie_id, number = stem, 2
        while movie_id.casefold() in taken:
            movie_id, number = f"{stem}_{number}", number + 1
        taken.add(movie_id.casefold())
        ids.append(movie_id)
    return ids


def probe(
    folder: str | Path | None, longest_lag_s: float = 0.0, frame_folders_per_s: float | None = None
) -> pd.DataFrame:
    """Open every film of a folder and say which can be used.

    Parameters
    ----------
    folder : str or Path
        Searched with all folders below it for video files, by their suffix, and for folders of pictures.
    longest_lag_s : float
        A film that is no longer than this has no pair of frames at the longest lag, and is left out.
    frame_folders_per_s : float, optional
        Pictures a second of films that come as folders of pictures; without it such a film cannot be used.

    Returns
    -------
    DataFrame
        One row a film: `movie_id` (its file name made safe and unique), `path`, `duration_s`, `fps`,
        `width`, `height` (as stored), `codec`, `problem` (empty where it can be used).

    Raises
    ------
    InputError
        If there is no film, or none can be used.
    """
    paths = _films(Path(folder) if folder is not None else None)
    unknown = {"duration_s": math.nan, "fps": math.nan, "width": 0, "height": 0, "codec": "", "problem": ""}
    rows = []
    for path, movie_id in zip(paths, _movie_ids(paths), strict=True):
        row: dict[str, Any] = {"movie_id": movie_id, "path": str(path)} | unknown
        try:
            if not row["path"].isprintable():  # no table could hold it
                row["path"] = row["path"].encode("unicode_escape", "backslashreplace").decode()
                raise InputError("its name, or that of a folder it is in, is no text in UTF-8 of one line; rename it")
            row |= probe_folder(path, frame_folders_per_s) if path.is_dir() else _probe(path)
            if row["duration_s"] <= longest_lag_s:
                raise InputError(f"{row['duration_s']:g} s long, not longer than the longest lag, {longest_lag_s:g} s")
        except (InputError, OSError, av.FFmpegError) as error:
            row["problem"] = reason(error)
        rows.append(row)
    if all(row["problem"] for row in rows):
        listed = "".join(f"\n  {row['path']}: {row['problem']}" for row in rows)
        listed = listed or f"; no file ends in {SUFFIXES}, and no folder in it holds pictures"
        raise InputError(f"{folder}: no film can be used{listed}")
    return pd.DataFrame(rows)


def read_probe(experiment: Experiment) -> pd.DataFrame:
    """What `probe` found of an experiment's films, from ``frames/probe.csv``."""
    path = experiment.folder / "frames" / "probe.csv"
    if not path.exists():
        raise InputError(f"{path}: no such file; open the films first: semanticcmc probe {experiment.file}")
    text = dict.fromkeys(("movie_id", "path", "problem"), str)
    return pd.read_csv(path, dtype=text, keep_default_na=False, na_values={"duration_s": [""], "fps": [""]})


def reason(error: Exception) -> str:
    """What is wrong with a film, in the words of the column `problem`."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return "not readable as a film: " + text if not isinstance(error, InputError) else text


def _probe(path: Path) -> dict[str, Any]:
    """Row of `probe` of one video file; raises for one that cannot be used."""
    with av.open(str(path)) as container:
        stream = picture_stream(container)
        if next(container.decode(stream), None) is None:
            raise InputError("not one picture in it can be decoded")
        stated_s, short_s = stated_duration_s(container, stream)
        rate = stream.average_rate or stream.guessed_rate
        if math.isfinite(stated_s) and stream.time_base is not None:
            # Only to see whether the file is complete: frames are never taken by seeking.
            start = stream.start_time or 0
            wanted = start + int(max(0.0, stated_s - 1) / stream.time_base)
            container.seek(wanted, stream=stream)
            ends = [p.pts + (p.duration or 0) for p in container.demux(stream) if p.pts is not None and p.size]
            end_s = float((max(ends) - start) * stream.time_base) if ends else 0.0
            early_s = float(start * stream.time_base)
            if early_s > 0.5 and abs(stated_s - early_s - end_s) < abs(stated_s - end_s):
                stated_s -= early_s  # Matroska and WMV count the time before the first picture
            if end_s < stated_s - short_s:
                raise InputError(f"truncated: ends before {end_s + 1:.0f} s of {stated_s:.0f} s")
        context, fps = stream.codec_context, float(rate) if rate else math.nan
        shape = {"width": context.width, "height": context.height, "codec": context.name}
        return {"duration_s": stated_s, "fps": fps, **shape}
