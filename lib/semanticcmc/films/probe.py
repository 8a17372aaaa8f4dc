"""Every film of a folder opened before work starts: what can be used, and why the rest cannot."""

from __future__ import annotations

import itertools
import math
import mmap
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pandas as pd

from semanticcmc.config import NO_FILE, InputError
from semanticcmc.experiment import Experiment
from semanticcmc.films import video
from semanticcmc.films.files import movie_id_of, name_of, natural_parts
from semanticcmc.films.folders import is_picture, probe_folder

SUFFIXES = (  # of video files
    ".264 .265 .3g2 .3gp .asf .avi .divx .dv .f4v .flv .gif .h264 .h265 .hevc .ivf .m1v .m2t .m2ts .m2v .m4v .mjpeg "
    ".mkv .mov .mp4 .mpe .mpeg .mpg .mts .mxf .nut .ogg .ogm .ogv .qt .rm .rmvb .ts .vob .webm .wmv"
)
COMPANIONS = (  # of films: subtitles, sound, stills, texts and tables, which nobody takes for films
    ".srt .sub .idx .ass .ssa .vtt .sup .mp3 .wav .flac .aac .ac3 .m4a .opus .bmp .tif .tiff .webp .avif .jfif .svg "
    ".heic .txt .md .nfo .log .html .pdf .csv .tsv .json .jsonl .yaml .yml .xml .parquet .npy .py .sh .db .ini .sha256"
)


def _films(folder: Path | None) -> tuple[list[Path], dict[Path, str]]:
    """Video files (by suffix) and folders of pictures below `folder`, in natural order: film 2 before film 10.

    Pictures beside a video, above it or below it are its cover or stills, and no film. Hidden files and `COMPANIONS`
    are left out; all else that is there is given with the reason why it cannot be used.
    """
    if folder is None:
        raise InputError("movies.folder is empty: give FILMS=<folder of films>")
    folder = folder.expanduser()
    if not folder.is_dir():
        raise InputError(f"movies.folder {folder}: no such folder")
    videos: list[Path] = []
    pictured: set[Path] = set()
    unusable: dict[Path, str] = {}

    def closed(error: OSError) -> None:
        unusable[Path(error.filename)] = reason(error)

    for place, below, names in os.walk(folder, onerror=closed):
        below[:] = [name for name in below if not name.startswith(".")]
        for path in (Path(place, name) for name in below if os.path.islink(Path(place, name))):
            unusable[path] = "a link to a folder, which is not followed; give that folder, or copy it here"
        for path in (Path(place, name) for name in names if not name.startswith(".")):
            suffix = path.suffix.lower()
            if is_picture(path):
                pictured.add(path.parent)
            elif suffix in SUFFIXES.split():
                videos.append(path)
            elif not path.is_file():
                unusable[path] = NO_FILE
            elif suffix not in COMPANIONS.split():
                unusable[path] = "its name does not end as that of a film; rename it, or move it away"
    holding = {video.parent for video in videos} - {folder}
    above = {parent for path in holding for parent in path.parents}
    filmed = [path for path in pictured - above - {folder} if holding.isdisjoint((path, *path.parents))]
    return sorted([*videos, *filmed], key=lambda path: natural_parts(str(path.relative_to(folder)))), unusable


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

    Raises InputError if there is no film, or none can be used. Returned is a DataFrame: one row a film: `movie_id` (its
    file name made safe and unique), `path`, `duration_s`, `fps`, `width`, `height` (as stored), `codec`, `problem`
    (empty where it can be used).

    Parameters
    ----------
    folder : str or Path
        Searched with all folders below it for video files, by their suffix, and for folders of pictures.
    longest_lag_s : float
        A film that is no longer than this has no pair of frames at the longest lag, and is left out.
    frame_folders_per_s : float, optional
        Pictures a second of films that come as folders of pictures; without it such a film cannot be used.
    """
    films, unusable = _films(Path(folder) if folder is not None else None)
    paths = [*films, *sorted(unusable)]  # a film's name is the same whatever lies beside it
    unknown = {"duration_s": math.nan, "fps": math.nan, "width": 0, "height": 0, "codec": "", "problem": ""}
    rows = []
    for path, movie_id in zip(paths, _movie_ids(paths), strict=True):
        row: dict[str, Any] = {"movie_id": movie_id, "path": str(path)} | unknown
        try:
            if not row["path"].isprintable():  # no table could hold it
                row["path"] = row["path"].encode("unicode_escape", "backslashreplace").decode()
                raise InputError("its name, or that of a folder it is in, is no text in UTF-8 of one line; rename it")
            if path in unusable:
                raise InputError(unusable[path])
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
    text = getattr(error, "strerror", None) or str(error)
    return "not readable as a film: " + text if not isinstance(error, InputError) else text


def _probe(path: Path) -> dict[str, Any]:
    """Row of `probe` of one video file; raises for one that cannot be used."""
    with video.opened(path) as container:
        if next(container.decode(video.picture_stream(container)), None) is None:
            raise InputError("not one picture in it can be decoded")
    # Only to see whether the file is complete and its clock is right: frames are never taken by seeking. MP4 has the
    # times of all pictures in its index, so that its end is enough; what other files hold is known once they are read.
    with video.opened(path) as container:
        stream = video.picture_stream(container)
        base, start, end, place = stream.time_base or Fraction(1, av.time_base), None, 0, 0
        stated_s, _ = video.stated_duration_s(container, stream)
        if video.is_indexed(container) and math.isfinite(stated_s):
            for before, after in itertools.pairwise(entry.timestamp for entry in getattr(stream, "index_entries", ())):
                video.refuse_still((after - before) * base)
            start = stream.start_time or 0
            container.seek(start + int(max(0.0, stated_s - 1) / base), stream=stream)
        for packet in video.timed_packets(container, stream):
            time = packet.pts if packet.pts is not None else packet.dts
            if packet.size and time is not None:
                start = time if start is None else start
                end, place = max(end, time + (packet.duration or 0)), max(place, (packet.pos or 0) + packet.size)
        first_s, end_s = float((start or 0) * base), float(end * base)
        duration_s = video.checked_duration_s(container, stream, first_s, max(0.0, end_s - first_s))
        if (video.is_indexed(container) or container.format.name in ("flv", "asf")) and _begins_again(path, place):
            raise InputError("another film follows in the file, which no player shows; join them with ffmpeg's concat")
        rate, context = stream.average_rate or stream.guessed_rate, stream.codec_context
        shape = {"width": context.width, "height": context.height, "codec": context.name}
        return {"duration_s": duration_s, "fps": float(rate) if rate else math.nan, **shape}


def _begins_again(path: Path, place: int) -> bool:
    """Whether a file's own first bytes come again after a place in it."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(content[4:12] if content[4:8] == b"ftyp" else content[:9], max(place, 12)) >= 0
