"""Frame store: films as plain tars of JPEGs with a Parquet index, read at random, paired across a time lag.

A film is ``<movie_id>.tar``, JPEGs named by their second (``000012.000.jpg``), and ``<movie_id>.parquet``,
one row a frame with the JPEG's place in the tar, so that a frame is one slice of a memory map. The Parquet
file is written last and holds the tar's SHA-256 (`is_finished`): a film stands whole or not at all.
``index.parquet`` is all films' rows, sorted by ``movie_id`` (as text) and time.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import mmap
import sys
import tarfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from torch.nn.functional import interpolate

from semanticcmc.configuration import InputError
from semanticcmc.pairs import LaggedPairs, lagged_pairs
from semanticcmc.run import atomic

COLUMNS = {"movie_id": pa.string(), "time_s": pa.float64(), "pts_s": pa.float64(), "frame_index": pa.int64(),
           "offset": pa.int64(), "nbytes": pa.int64(), "width": pa.int32(), "height": pa.int32()}  # fmt: skip
_METADATA = b"semanticcmc"


@dataclasses.dataclass(frozen=True)
class Frame:
    """One frame of a film.

    Attributes
    ----------
    time_s : float
        Its second on the film's nominal grid: the key. Milliseconds are kept.
    pts_s : float
        Presentation time of the picture shown then, seconds from the film's first frame.
    frame_index : int
        The picture's number in presentation order, from 0.
    image : uint8 array (height, width, 3)
    """

    time_s: float
    pts_s: float
    frame_index: int
    image: np.ndarray


def write_film(
    folder: str | Path,
    movie_id: str,
    frames: Iterable[Frame],
    quality: int,
    made_from: Mapping[str, Any] | None = None,
) -> Path:
    """Write one film into a frame store, atomically and in memory that does not grow with its length.

    Parameters
    ----------
    folder : str or Path
        The store's folder.
    movie_id : str
        A plain file name: no slash, not ``index``, no leading dot.
    frames : iterable of Frame
        In time order, each `time_s` greater than the one before.
    quality : int
        JPEG quality, 1 to 95.
    made_from : mapping, optional
        What decides the frames (source, settings); kept as JSON, compared by `is_finished`.

    Returns
    -------
    Path
        ``<folder>/<movie_id>.parquet``. The same frames give the same bytes on the same machine.

    Raises
    ------
    InputError
        For a `movie_id` that is no file name, frames out of order, or a film without frames.
    """
    folder = Path(folder)
    if not movie_id or "/" in movie_id or movie_id.startswith(".") or movie_id == "index":
        raise InputError(f"movie_id {movie_id!r}: expected a plain file name other than index")
    rows: list[tuple[Any, ...]] = []
    with atomic(folder / f"{movie_id}.tar") as temporary:
        with tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
            for frame in frames:
                time_s = round(float(frame.time_s), 3)
                if rows and time_s <= rows[-1][1]:
                    raise InputError(
                        f"{movie_id}: frame at {time_s} s comes after the one at {rows[-1][1]} s"
                    )
                encoded = io.BytesIO()
                Image.fromarray(frame.image).save(encoded, "JPEG", quality=quality)
                member = tarfile.TarInfo(f"{time_s:010.3f}.jpg")  # mtime, uid and gid of a new one are 0
                member.size = encoded.tell()
                offset = tar.offset + tarfile.BLOCKSIZE  # a ustar header is one block
                encoded.seek(0)
                tar.addfile(member, encoded)
                height, width = frame.image.shape[:2]
                rows.append((movie_id, time_s, float(frame.pts_s), int(frame.frame_index),
                             offset, member.size, width, height))  # fmt: skip
        if not rows:
            raise InputError(f"{movie_id}: no frames")
        metadata = {"sha256": _sha256(temporary), "tar_bytes": temporary.stat().st_size,
                    "jpeg_quality": quality, "made_from": dict(made_from or {})}  # fmt: skip
    table = pa.table(
        {name: pa.array([row[i] for row in rows], COLUMNS[name]) for i, name in enumerate(COLUMNS)}
    )
    path = folder / f"{movie_id}.parquet"
    with atomic(path) as temporary:
        text = json.dumps(metadata, sort_keys=True).encode()
        pq.write_table(table.replace_schema_metadata({_METADATA: text}), temporary)
    (folder / f"{movie_id}.problem.json").unlink(missing_ok=True)
    return path


def is_finished(folder: str | Path, movie_id: str, made_from: Mapping[str, Any]) -> bool:
    """Whether the store holds this film whole (by checksum), made from the same source and settings."""
    tar, index = (Path(folder) / f"{movie_id}{suffix}" for suffix in (".tar", ".parquet"))
    try:
        metadata = _metadata(index)
        same = metadata["made_from"] == json.loads(json.dumps(dict(made_from)))
        return bool(same and metadata["sha256"] == _sha256(tar))
    except (OSError, InputError):
        return False


def merge_index(folder: str | Path, movie_ids: Collection[str] | None = None) -> pd.DataFrame:
    """Merge the films' indices into ``index.parquet`` and say loudly which films are left out, and why.

    Parameters
    ----------
    folder : str or Path
        The store's folder.
    movie_ids : collection of str, optional
        The films wanted; by default all that the folder holds.

    Returns
    -------
    DataFrame
        One row a frame, sorted by ``movie_id`` (as text) and ``time_s``.

    Raises
    ------
    InputError
        If no film is usable.
    """
    folder = Path(folder)
    if movie_ids is None:
        found = {path.name.removesuffix(suffix) for suffix in (".parquet", ".tar", ".problem.json")
                 for path in folder.glob(f"[!.]*{suffix}")}  # fmt: skip
        movie_ids = found - {"index"}
    tables, problems = [], {}
    for movie_id in sorted(movie_ids):
        try:
            tables.append(_film_index(folder, movie_id))
        except InputError as error:
            problems[movie_id] = str(error)
    for movie_id, problem in problems.items():
        print(f"LEFT OUT of every lag: {movie_id}: {problem}", file=sys.stderr)
    if not tables:
        raise InputError(f"{folder}: no usable film among {len(problems)}; the reasons stand above")
    index = pa.concat_tables(tables)
    with atomic(folder / "index.parquet") as temporary:
        pq.write_table(index, temporary)
    return index.to_pandas()


def film_problem(folder: str | Path, movie_id: str, longest_lag_s: float = 0.0) -> str:
    """Why a film of the store cannot be used; empty where it can.

    A film whose frames span no more than `longest_lag_s` seconds has no pair at that lag.
    """
    try:
        times = _film_index(Path(folder), movie_id)["time_s"].to_numpy()
    except InputError as error:
        return str(error)
    span_s = times[-1] - times[0]
    if span_s < longest_lag_s:
        return f"its frames span {span_s:g} s, less than the longest lag, {longest_lag_s:g} s"
    return ""


def _film_index(folder: Path, movie_id: str) -> pa.Table:
    """Index of one film, checked against its tar; InputError says what is wrong."""
    problem = folder / f"{movie_id}.problem.json"
    if problem.exists():
        raise InputError(json.loads(problem.read_text(encoding="utf-8"))["problem"])
    tar, path = folder / f"{movie_id}.tar", folder / f"{movie_id}.parquet"
    for file in (path, tar):
        if not file.exists():
            raise InputError(f"{file} is missing: ingest the film again")
    metadata, table = _metadata(path), _read_index(path)
    if tar.stat().st_size != metadata["tar_bytes"]:
        raise InputError(
            f"{tar} has {tar.stat().st_size} bytes, its index says {metadata['tar_bytes']}: ingest it again"
        )
    return table.replace_schema_metadata(None)


def _read_index(path: Path) -> pa.Table:
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not readable as a frame index ({error}); make it again") from error
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise InputError(f"{path}: no frame index, column {', '.join(missing)} missing; make it again")
    return table.select(list(COLUMNS))


def _metadata(path: Path) -> dict[str, Any]:
    try:
        return json.loads((pq.read_schema(path).metadata or {})[_METADATA])
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise InputError(f"{path}: not readable as the index of a film ({error}); make it again") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


class FrameStore:
    """A folder of films, read at random.

    Parameters
    ----------
    folder : str or Path
        Holds ``index.parquet`` and the films' tars.

    Attributes
    ----------
    index : DataFrame
        One row a frame: `movie_id, time_s, pts_s, frame_index, offset, nbytes, width, height`, sorted by
        `movie_id` (as text) and `time_s`. Row numbers of it are how frames are named elsewhere.
    movies : tuple of str
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        path = self.folder / "index.parquet"
        if not path.exists():
            raise InputError(f"{path}: no such frame store; make it with merge_index or the workflow")
        table = _read_index(path)
        self.index: pd.DataFrame = table.to_pandas()
        if not len(self.index):
            raise InputError(f"{path}: no frames; make it again")
        codes = table["movie_id"].combine_chunks().dictionary_encode()
        film, self.movies = np.asarray(codes.indices), tuple(codes.dictionary.to_pylist())
        time_s = self.index["time_s"].to_numpy()
        later_film, later = np.diff(film) == 1, np.diff(film) == 0
        if not (
            np.all(later_film | (later & (np.diff(time_s) > 0))) and list(self.movies) == sorted(self.movies)
        ):
            raise InputError(f"{path}: rows are not sorted by movie_id and time_s; make it with merge_index")
        starts = np.searchsorted(film, np.arange(len(self.movies) + 1))
        self._rows = {m: slice(*starts[i : i + 2].tolist()) for i, m in enumerate(self.movies)}
        self._film, self._time_s = film.astype(np.int64), time_s
        self._offset, self._nbytes = (self.index[name].to_numpy() for name in ("offset", "nbytes"))
        self._maps: dict[int, mmap.mmap] = {}

    def __len__(self) -> int:
        return len(self.index)

    def rows(self, movie_id: str) -> slice:
        """Rows of the index that are this film's, as a slice."""
        if movie_id not in self._rows:
            raise InputError(f"{self.folder}: no film {movie_id!r}; there are {', '.join(self.movies[:20])}")
        return self._rows[movie_id]

    def times(self, movie_id: str) -> np.ndarray:
        """Seconds of a film's frames, float64 (n,), increasing."""
        return self._time_s[self.rows(movie_id)]

    def read(self, movie_id: str, time_s: float) -> np.ndarray:
        """The frame at `time_s` of the grid, uint8 (height, width, 3)."""
        times = self.times(movie_id)
        row = int(np.searchsorted(times, time_s - 5e-4))
        if row == len(times) or abs(times[row] - time_s) > 5e-4:
            raise InputError(f"{movie_id}: no frame at {time_s} s; it has {len(times)} frames from "
                             f"{times[0]:g} to {times[-1]:g} s")  # fmt: skip
        return self._decode(self.rows(movie_id).start + row).permute(1, 2, 0).numpy()

    def read_rows(
        self, rows: Sequence[int] | torch.Tensor, size_px: tuple[int, int] | None = None
    ) -> torch.Tensor:
        """Frames by their rows in the index, uint8 (n, 3, height, width).

        Parameters
        ----------
        rows : sequence of int
        size_px : tuple of int, optional
            (height, width) that each frame is brought to, whole, whatever its proportions.

        Raises
        ------
        InputError
            For frames of several sizes without `size_px`, or a JPEG that cannot be read.
        """
        wanted = np.asarray(rows, dtype=np.int64)
        if size_px is None:
            sizes = self.index[["height", "width"]].iloc[wanted].drop_duplicates().to_numpy()
            if len(sizes) > 1:
                found = ", ".join(f"{h} x {w}" for h, w in sizes.tolist())
                raise InputError(f"{self.folder}: frames of {found} px (height x width); give one size_px")
            size_px = (int(sizes[0, 0]), int(sizes[0, 1])) if len(sizes) else (0, 0)
        frames = torch.empty((len(wanted), 3, *size_px), dtype=torch.uint8)
        for i, row in enumerate(wanted.tolist()):
            image = self._decode(row)
            if image.shape[1:] != size_px:
                image = interpolate(image[None], size_px, mode="bilinear", antialias=True)[0]
            frames[i] = image
        return frames

    def resident(
        self, size_px: tuple[int, int] | None = None, device: str | torch.device = "cpu"
    ) -> torch.Tensor:
        """All frames at once, uint8 (N, 3, height, width) on `device`, in the order of the index."""
        return self.read_rows(range(len(self)), size_px).to(device)

    def _decode(self, row: int) -> torch.Tensor:
        film = int(self._film[row])
        tar = self.folder / f"{self.movies[film]}.tar"
        if film not in self._maps:
            try:
                with tar.open("rb") as handle:
                    self._maps[film] = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
            except (OSError, ValueError) as error:
                raise InputError(f"{tar}: cannot be read ({error}); make the film again") from error
        start = int(self._offset[row])
        from torchvision.io import ImageReadMode, decode_jpeg  # here: slow to import, and writing needs none

        encoded = bytearray(self._maps[film][start : start + int(self._nbytes[row])])
        try:
            return decode_jpeg(torch.frombuffer(encoded, dtype=torch.uint8), mode=ImageReadMode.RGB)
        except (RuntimeError, ValueError) as error:
            raise InputError(f"{tar}: the frame at {self._time_s[row]:g} s is no JPEG ({error}); "
                             "make the film again") from error  # fmt: skip

    def lagged_pairs(
        self, lag_s: float, longest_lag_s: float, tolerance: float = 0.0, shots: pd.DataFrame | None = None
    ) -> LaggedPairs:
        """Pairs of frames of one film, `lag_s` apart; see `pairs.lagged_pairs`."""
        return lagged_pairs(self.index, lag_s, longest_lag_s, tolerance, shots)
