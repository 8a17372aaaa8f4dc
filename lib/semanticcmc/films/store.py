"""Frame store: frames of films by time or row, all of them in memory, or paired across a time lag.

Films are plain tars of JPEGs with a Parquet index; `files` writes and checks them.
"""

from __future__ import annotations

import functools
import os
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import simplejpeg
import torch
from torch.nn.functional import interpolate

from semanticcmc.config import InputError
from semanticcmc.films.files import SCHEMA, read_index
from semanticcmc.run import small_table

FRAMES_AT_ONCE = 1024  # on their way to a GPU
MEMINFO, CGROUP, CGROUPS = Path("/proc/meminfo"), Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
Rows = Sequence[int] | np.ndarray | torch.Tensor


class FrameStore:
    """A folder of films, read at random.

    Nothing is kept open between calls, so that threads and worker processes, forked or spawned, can share one store.
    `folder` holds ``index.parquet`` and the films' tars; a `view`, such as ``flow``, is another view of the same
    frames, in ``<movie_id>.<view>.tar``. `movies` are the films, sorted as text.
    """

    def __init__(self, folder: str | Path, view: str = "") -> None:
        self.folder, self.view = Path(folder), view
        path = self.folder / "index.parquet"
        if not path.exists():
            raise InputError(f"{path}: no such frame store; make it with merge_index or the workflow")
        self._table = read_index(path)
        if not len(self._table):
            raise InputError(f"{path}: no frames; make it again")
        names = self._table["movie_id"].combine_chunks()
        codes = names.indices.to_numpy()
        starts = np.flatnonzero(np.diff(codes, prepend=-1))
        stops = [*starts[1:].tolist(), len(codes)]
        self.movies = tuple(names.dictionary.take(names.indices.take(starts)).to_pylist())
        self._rows = {m: slice(a, b) for m, a, b in zip(self.movies, starts.tolist(), stops, strict=True)}
        self._film = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(codes)))
        self._time_s = self._table["time_s"].to_numpy()
        columns = ("offset", "nbytes", "height", "width", "crc32")
        table = self._of_view(path) if view else self._table
        self._offset, self._nbytes, self._height, self._width, self._crc32 = (table[c].to_numpy() for c in columns)
        in_order = (np.diff(self._time_s) > 0) | (np.diff(self._film) > 0)
        if not in_order.all() or list(self.movies) != sorted(set(self.movies)):
            raise InputError(f"{path}: rows are not sorted by movie_id and time_s; make it with merge_index")

    def _of_view(self, path: Path) -> pa.Table:
        """Places and sizes, from the films' own indices of the view, which must have the same frames."""
        files = [self.folder / f"{movie_id}.{self.view}.parquet" for movie_id in self.movies]
        for file in files:
            if not file.exists():
                raise InputError(f"{file}: no view {self.view} of this film; see world.other_views, movies.flow")
        table = pa.concat_tables([read_index(file).cast(SCHEMA) for file in files])
        if not np.array_equal(table["time_s"].to_numpy(), self._time_s):
            raise InputError(f"{path}: the films' {self.view} has other frames than they have; make it anew")
        return table

    def __repr__(self) -> str:
        hours = sum(self.times(film)[-1] - self.times(film)[0] for film in self.movies) / 3600
        place = "/".join(self.folder.parts[-2:])  # a page of this goes to others
        return f"FrameStore: {len(self.movies)} films, {len(self):,} frames, {hours:.1f} h; {place}"

    def _repr_html_(self) -> str:
        """What a notebook shows: a row a film."""
        times = {film: self.times(film) for film in self.movies[:12]}
        rows = [(film, f"{len(time_s):,} frames", f"to {time_s[-1]:g} s") for film, time_s in times.items()]
        return small_table([(repr(self), "", ""), *rows])

    def __len__(self) -> int:
        return len(self._film)

    @functools.cached_property
    def index(self) -> pd.DataFrame:
        """One row a frame, `files.COLUMNS`, sorted by `movie_id` (as text) and `time_s`; its rows name the frames."""
        return self._table.cast(SCHEMA).to_pandas()

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
            raise InputError(
                f"{movie_id}: no frame at {time_s} s; it has {len(times)} frames from {times[0]:g} to {times[-1]:g} s"
            )
        return self.read_rows([self.rows(movie_id).start + row])[0].permute(1, 2, 0).numpy()

    def read_rows(self, rows: Rows, size_px: tuple[int, int] | None = None, threads: int | None = None) -> torch.Tensor:
        """Frames by their rows in the index, uint8 (n, 3, height, width).

        Raises InputError for frames of several sizes without `size_px`, or a JPEG that cannot be read.

        Parameters
        ----------
        rows : sequence of int
            In any order; they are read in the order of the files.
        size_px : tuple of int, optional
            (height, width) to which each whole frame is resized, whatever its proportions.
        threads : int, optional
            Frames decoded at once; by default as many as torch may use.
        """
        wanted = np.asarray(rows, dtype=np.int64)
        frames = torch.empty((len(wanted), 3, *self.common_size(size_px, wanted)), dtype=torch.uint8)
        threads = max(1, min(threads or torch.get_num_threads(), len(wanted)))
        pieces = np.array_split(np.argsort(wanted, kind="stable"), 4 * threads if threads > 1 else 1)
        read = functools.partial(self._read_piece, frames, wanted)
        if threads == 1:
            read(pieces[0])
        else:
            with ThreadPoolExecutor(threads) as pool:  # decoding releases Python's lock
                list(pool.map(read, pieces))
        return frames

    def resident(self, size_px: tuple[int, int] | None = None, device: str | torch.device = "cpu") -> torch.Tensor:
        """All frames at once, uint8 (N, 3, height, width) on `device`, in the order of the index.

        A GPU is filled in parts: its frames need not fit the computer's own memory. Raises as `read_rows`; and, before
        anything is read, where the frames do not fit the free memory.
        """
        height, width = self.common_size(size_px)
        needed, free = len(self) * 3 * height * width, available_bytes(device)
        if free is not None and needed > free:
            raise InputError(
                f"{self.folder}: {len(self):,} frames of {height} x {width} px need {needed / 1e9:,.1f} GB of memory "
                f"on {device}, {free / 1e9:,.1f} GB are free; make training.frame_px smaller, or training.frames loader"
            )
        frames = torch.empty((len(self), 3, height, width), dtype=torch.uint8, device=device)
        for start in range(0, len(self), FRAMES_AT_ONCE):
            rows = np.arange(start, min(start + FRAMES_AT_ONCE, len(self)))
            frames[start : start + len(rows)] = self.read_rows(rows, (height, width))
        return frames

    def common_size(self, size_px: tuple[int, int] | None = None, rows: Rows | slice = slice(None)) -> tuple[int, int]:
        """(height, width) of the frames of these rows, or the one asked for; InputError where there are several."""
        if size_px is not None:
            return int(size_px[0]), int(size_px[1])
        sizes = np.unique(np.stack([self._height[rows], self._width[rows]]), axis=1).T.tolist()
        if len(sizes) > 1:
            found = ", ".join(f"{h} x {w}" for h, w in sizes[:10])
            raise InputError(f"{self.folder}: frames of {found} px (height x width); give one size (training.frame_px)")
        return (sizes[0][0], sizes[0][1]) if sizes else (0, 0)

    def _read_piece(self, frames: torch.Tensor, rows: np.ndarray, piece: np.ndarray) -> None:
        """Fill ``frames[i]`` with row ``rows[i]`` for each i of `piece`, whose rows increase."""
        films = self._film[rows[piece]]
        for places in np.split(piece, np.flatnonzero(np.diff(films)) + 1):
            if not len(places):
                continue
            movie_id = self.movies[self._film[rows[places[0]]]]
            tar = self.folder / (f"{movie_id}.{self.view}.tar" if self.view else f"{movie_id}.tar")
            try:
                with tar.open("rb", buffering=0) as handle:
                    for i in places.tolist():
                        frame = self._decode(handle.fileno(), tar, int(rows[i]), tuple(frames.shape[2:]))
                        # By NumPy, which does not start threads of its own for a copy.
                        np.copyto(frames[i].numpy(), frame.numpy())
            except OSError as error:
                raise InputError(f"{tar}: cannot be read ({error}); make the film again") from error

    def _decode(self, handle: int, tar: Path, row: int, size_px: tuple[int, ...]) -> torch.Tensor:
        encoded = os.pread(handle, int(self._nbytes[row]), int(self._offset[row]))
        try:
            if self._crc32[row] and zlib.crc32(encoded) != self._crc32[row]:
                raise ValueError("its bytes have changed since they were written")
            frame = torch.from_numpy(simplejpeg.decode_jpeg(encoded)).permute(2, 0, 1)
        except ValueError as error:
            raise InputError(
                f"{tar}: the frame at {self._time_s[row]:g} s cannot be read ({error}); make the film again"
            ) from error
        if frame.shape[1:] != size_px:
            frame = interpolate(frame[None], size_px, mode="bilinear", antialias=True)[0]
        return frame


# Free memory, so that what cannot fit is refused before any work ---------------------------------------------


def available_bytes(device: str | torch.device = "cpu") -> int | None:
    """Bytes that can still be had on a device; None where the system does not say.

    On a CPU the kernel's estimate (``MemAvailable``: free, and what it can drop at once), or less where the process has
    a limit (cgroup v2, as batch systems and containers set it), of its own group or of one above it.
    """
    device = torch.device(device)
    if device.type == "cuda":
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + held
    if device.type != "cpu":
        return None
    free = [1024 * int(line.split()[1]) for line in _lines(MEMINFO) if line.startswith("MemAvailable:")]
    for line in _lines(CGROUP):
        if line.startswith("0::"):
            group = CGROUPS / line.removeprefix("0::").lstrip("/")
            free += [left for place in (group, *group.parents) if (left := _left_in_group(place)) is not None]
    return min(free, default=None)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def _left_in_group(group: Path) -> int | None:
    """Bytes left below the limit of a cgroup, file caches, which can be dropped, included; None without a limit."""
    try:
        most, used = (int((group / f"memory.{name}").read_text(encoding="utf-8")) for name in ("max", "current"))
        values = dict(line.split() for line in _lines(group / "memory.stat"))
        return most - used + int(values["active_file"]) + int(values["inactive_file"])
    except (OSError, ValueError, KeyError):  # "max" is no limit, the root has none, a container shows part of the tree
        return None
