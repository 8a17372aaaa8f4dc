"""Files of the frame store: films as plain tars of JPEGs with a Parquet index each, complete or absent.

A film is ``<movie_id>.tar``, JPEGs named by their second (``000012.000.jpg``), and ``<movie_id>.parquet``,
one row a frame with the JPEG's place in the tar, so that a frame is one read at an offset. The Parquet
file is written last and holds the tar's SHA-256 (`is_finished`), so that a film is complete or absent.
``index.parquet`` is all films' rows, sorted by ``movie_id`` (as text) and time. `store` reads them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import re
import sys
import tarfile
import unicodedata
import zlib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from semanticcmc.config import InputError
from semanticcmc.run import atomic, sha256

COLUMNS = {
    "movie_id": pa.string(),
    "time_s": pa.float64(),
    "pts_s": pa.float64(),
    "frame_index": pa.int64(),
    "offset": pa.int64(),
    "nbytes": pa.int64(),
    "width": pa.int32(),
    "height": pa.int32(),
    "crc32": pa.uint32(),  # of the JPEG; 0 where a store of an earlier version does not say
}
SCHEMA = pa.schema(COLUMNS)
_METADATA = b"semanticcmc"
LONGEST_ID_BYTES = 150  # names of files have 255, of which endings and marks of temporary files take up to 60


@dataclasses.dataclass(frozen=True)
class Frame:
    """One frame of a film."""

    time_s: float  # its second on the film's grid, the key, to the millisecond
    pts_s: float  # presentation time of the picture shown then, seconds from the film's first frame
    frame_index: int  # the picture's number in presentation order, from 0
    image: np.ndarray | bytes  # uint8 (height, width, 3), or a JPEG that is stored as it is


def write_film(
    folder: str | Path, movie_id: str, frames: Iterable[Frame], quality: int, made_from: Mapping[str, Any] | None = None
) -> Path:
    """Write one film into a frame store, atomically and in memory that does not grow with its length.

    Raises InputError for a `movie_id` that is no file name, frames out of order, or a film without frames. Returned is
    a Path: ``<folder>/<movie_id>.parquet``. The same frames give the same bytes on the same machine.

    Parameters
    ----------
    movie_id : str
        A plain file name: no slash, not ``index``, no leading dot.
    frames : iterable of Frame
        In time order, each `time_s` greater than the one before.
    quality : int
        JPEG quality, 1 to 95, of pictures that come as arrays.
    made_from : mapping, optional
        What decides the frames (source, settings); kept as JSON, compared by `is_finished`.
    """
    folder = Path(folder)
    if not movie_id or "/" in movie_id or movie_id.startswith(".") or movie_id == "index":
        raise InputError(f"movie_id {movie_id!r}: expected a plain file name other than index")
    for path in folder.glob(".*.part.tar"):  # left by a job that was killed
        if re.fullmatch(rf"\.{re.escape(movie_id)}\.tar\.\d+\.part\.tar", path.name):
            path.unlink()
    rows: list[tuple[Any, ...]] = []
    with atomic(folder / f"{movie_id}.tar") as temporary:
        with tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
            for frame in frames:
                time_s = round(float(frame.time_s), 3)
                if rows and time_s <= rows[-1][1]:
                    raise InputError(f"{movie_id}: frame at {time_s} s comes after the one at {rows[-1][1]} s")
                jpeg, (width, height) = _encoded(frame.image, quality)
                member = tarfile.TarInfo(f"{time_s:010.3f}.jpg")  # mtime, uid and gid of a new one are 0
                member.size = len(jpeg)
                offset = tar.offset + tarfile.BLOCKSIZE  # a ustar header is one block
                tar.addfile(member, io.BytesIO(jpeg))
                shown = float(frame.pts_s), int(frame.frame_index)
                rows.append((movie_id, time_s, *shown, offset, member.size, width, height, zlib.crc32(jpeg)))
        if not rows:
            raise InputError(f"{movie_id}: no frames")
        metadata = {"sha256": sha256(temporary), "tar_bytes": temporary.stat().st_size, "jpeg_quality": quality}
    text = json.dumps({**metadata, "made_from": dict(made_from or {})}, sort_keys=True)
    table = pa.table({name: pa.array([row[i] for row in rows], COLUMNS[name]) for i, name in enumerate(COLUMNS)})
    path = folder / f"{movie_id}.parquet"
    with atomic(path) as temporary:
        pq.write_table(table.replace_schema_metadata({_METADATA: text}), temporary)
    (folder / f"{movie_id}.problem.json").unlink(missing_ok=True)
    return path


def _encoded(image: np.ndarray | bytes, quality: int) -> tuple[bytes, tuple[int, int]]:
    """A picture as JPEG, and its width and height."""
    if isinstance(image, bytes):
        with Image.open(io.BytesIO(image), formats=["JPEG"]) as opened:
            return image, opened.size
    encoded = io.BytesIO()
    picture = Image.fromarray(image)
    picture.save(encoded, "JPEG", quality=quality)
    return encoded.getvalue(), picture.size


def is_finished(folder: str | Path, movie_id: str, made_from: Mapping[str, Any]) -> bool:
    """Whether the store holds all of this film (by checksum), made from the same source and settings."""
    tar, index = (Path(folder) / f"{movie_id}{suffix}" for suffix in (".tar", ".parquet"))
    try:
        metadata = _metadata(index)
        same = metadata["made_from"] == json.loads(json.dumps(dict(made_from)))
        return bool(same and metadata["sha256"] == sha256(tar))
    except (OSError, InputError):
        return False


def merge_index(folder: str | Path, movie_ids: Collection[str] | None = None) -> pd.DataFrame:
    """Merge the films' indices into ``index.parquet``; print which films are left out, and why.

    Raises InputError if no film is usable. Returned is a DataFrame: `COLUMNS`, one row a frame, sorted by ``movie_id``
    (as text) and ``time_s``. `movie_ids` are the films wanted, by default all in the folder.
    """
    folder = Path(folder)
    if movie_ids is None:
        ends = (".parquet", ".tar", ".problem.json")
        movie_ids = {path.name.removesuffix(end) for end in ends for path in folder.glob(f"[!.]*{end}")} - {"index"}
    tables = []
    for movie_id in sorted(movie_ids):
        try:
            tables.append(_film_index(folder, movie_id))
        except InputError as error:
            print(f"LEFT OUT of every lag: {movie_id}: {error}", file=sys.stderr)
    if not tables:
        raise InputError(f"{folder}: no usable film among {len(movie_ids)}; the reasons are printed above")
    index = pa.concat_tables(tables).cast(SCHEMA)
    with atomic(folder / "index.parquet") as temporary:
        pq.write_table(index, temporary)
    return index.to_pandas()


def film_problem(folder: str | Path, movie_id: str, longest_lag_s: float = 0.0) -> str:
    """What is wrong with a film of the store, or that it has no pair of frames at the longest lag; empty if nothing."""
    try:
        times = _film_index(Path(folder), movie_id)["time_s"].to_numpy()
    except InputError as error:
        return str(error)
    span_s = times[-1] - times[0]
    if span_s < longest_lag_s:
        return f"its frames span {span_s:g} s, less than the longest lag, {longest_lag_s:g} s"
    return ""


def _film_index(folder: Path, movie_id: str) -> pa.Table:
    """Index of one film, checked against its tar."""
    problem = folder / f"{movie_id}.problem.json"
    if problem.exists():
        raise InputError(json.loads(problem.read_text(encoding="utf-8"))["problem"])
    tar, path = folder / f"{movie_id}.tar", folder / f"{movie_id}.parquet"
    for file in (path, tar):
        if not file.exists():
            raise InputError(f"{file} is missing: ingest the film again")
    found, expected = tar.stat().st_size, _metadata(path)["tar_bytes"]
    if found != expected:
        raise InputError(f"{tar} has {found} bytes, its index says {expected}: ingest the film again")
    return read_index(path).replace_schema_metadata(None)


def read_index(path: Path) -> pa.Table:
    """Rows of an index file, all of `COLUMNS`; `movie_id` stays dictionary-encoded, which is fast and small."""
    try:
        table = pq.read_table(path, read_dictionary=["movie_id"])
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not readable as a frame index ({error}); make it again") from error
    if "crc32" not in table.column_names:
        table = table.append_column("crc32", pa.array(np.zeros(len(table), np.uint32)))
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise InputError(f"{path}: no frame index, column {', '.join(missing)} missing; make it again")
    return table.select(list(COLUMNS))


def _metadata(path: Path) -> dict[str, Any]:
    try:
        return json.loads((pq.read_schema(path).metadata or {})[_METADATA])
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise InputError(f"{path}: not readable as the index of a film ({error}); make it again") from error


def file_state(path: Path) -> dict[str, int]:
    """Size and time of change: what tells whether a file is still the same, without reading it."""
    state = path.stat()
    return {"bytes": state.st_size, "changed_ns": state.st_mtime_ns}


# A film's name: that of its file made safe; its pictures, labels and row in a list of films have the same ---


def movie_id_of(name: str) -> str:
    """A film's id from its file's name without suffix: ``Title (1994)`` gives ``Title_1994``.

    Letters and digits of any script, dot, dash and underscore stay; the id of an id is itself. A name too long for
    the files that are named by it, or that repeats itself at its end (Snakemake takes that for a rule that feeds
    itself), is cut, and ends in 8 hexadecimal digits of its SHA-256.
    """
    movie_id = re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", name)).strip("._-") or "film"
    if len(movie_id.encode()) <= LONGEST_ID_BYTES and not re.search(r"(.+)\1{9}$", movie_id):
        return movie_id
    kept = movie_id.encode()[: LONGEST_ID_BYTES - 9].decode(errors="ignore")
    return f"{kept}_{hashlib.sha256(movie_id.encode()).hexdigest()[:8]}"


def name_of(path: str | Path) -> str:
    """A film's name: that of its file without suffix, or of its folder of pictures."""
    path = Path(path)
    return path.name if path.is_dir() else path.stem


def natural_parts(name: str) -> list[tuple[int, str]]:
    """Key of the natural order of names: ``a2b`` gives ``[(-1, "a"), (2, "b")]`` and comes before ``a10b``.

    Each number comes with the text that follows it.
    """
    parts = re.split(r"([0-9]+)", name)
    return [(-1, parts[0]), *((int(n), text) for n, text in zip(parts[1::2], parts[2::2], strict=True))]
