"""Sound beside frames: ``<movie_id>.sound.wav`` of the frame store, mono, 16 bit, second 0 that of the first frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.io import wavfile
from torch import Tensor

from semanticcmc.config import InputError
from semanticcmc.films.soundtrack import SOUND_HZ, sound_file


class Sounds:
    """The sound about any frame of a frame store, read from disk when it is asked for.

    `index` has `movie_id, time_s`, one row a frame. Raises InputError for a film without sound, with one in another
    format, or with one that ends before the film's last frame.
    """

    def __init__(self, folder: str | Path, index: pd.DataFrame) -> None:
        self._film, movies = pd.factorize(index["movie_id"])
        self._first = np.rint(index["time_s"].to_numpy() * SOUND_HZ).astype(np.int64)
        last = pd.Series(self._first).groupby(self._film).max()
        self._samples = [_opened(sound_file(folder, movie_id), n) for movie_id, n in zip(movies, last, strict=True)]

    def around(self, rows: Tensor, seconds: float) -> Tensor:
        """Sound of so many seconds, frames in their middle, int16 (n, samples): silence beyond a film's ends."""
        count = round(seconds * SOUND_HZ)
        heard = np.zeros((len(rows), count), dtype=np.int16)
        for one, row in zip(heard, rows.tolist(), strict=True):
            samples, start = self._samples[self._film[row]], int(self._first[row]) - count // 2
            there = samples[max(0, start) : start + count]
            one[max(0, -start) :][: len(there)] = there
        return torch.from_numpy(heard)


def _opened(file: Path, last: int) -> np.ndarray:
    """Samples of a sound file, int16, mapped into memory; they must go on to sample `last`."""
    if not file.exists():
        raise InputError(f"{file}: no sound of this film; a world writes it (world.hum), and ingest (movies.sound)")
    try:
        rate, samples = wavfile.read(file, mmap=True)
    except ValueError as error:
        raise InputError(f"{file}: not readable as sound ({error}); make it anew") from error
    if (rate, samples.ndim, samples.dtype) != (SOUND_HZ, 1, np.int16):
        found = f"{rate} Hz, {1 if samples.ndim == 1 else samples.shape[1]} channels, {samples.dtype}"
        raise InputError(f"{file}: {found}; expected {SOUND_HZ} Hz, mono, int16 (ffmpeg -ac 1 -ar {SOUND_HZ})")
    if len(samples) < last:
        ends = f"ends at {len(samples) / SOUND_HZ:.1f} s, the film's last frame is at {last / SOUND_HZ:.1f} s"
        raise InputError(f"{file}: {ends}; make it anew")
    return samples
