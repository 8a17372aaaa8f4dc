"""One video file's sound as samples: on the clock of its pictures, mixed to mono."""

from __future__ import annotations

import wave
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from semanticcmc.config import InputError
from semanticcmc.films.video import Damage, in_order, opened, picture_stream
from semanticcmc.run import atomic

SOUND_HZ = 16_000  # samples a second
LOOSE_S = 0.1  # by so much times of sound may differ from the number of samples before they are believed
JUMP_S = 10.0  # by more no sound pauses: its clock starts anew
LEAST = 0.9  # of a film's duration for which there must be sound
OR = "or set movies.sound to false"


def sound_file(folder: str | Path, movie_id: str) -> Path:
    """Where a film's sound lies in a frame store."""
    return Path(folder) / f"{movie_id}.sound.wav"


def write_sound(folder: str | Path, movie_id: str, pieces: Iterable[np.ndarray]) -> None:
    """Write a film's sound, int16 samples piece by piece, atomically."""
    with atomic(sound_file(folder, movie_id)) as temporary, wave.open(str(temporary), "wb") as out:
        out.setparams((1, 2, SOUND_HZ, 0, "NONE", ""))
        for piece in pieces:
            out.writeframesraw(piece.astype("<i2").tobytes())


def film_sound(path: str | Path, duration_s: float) -> Iterator[np.ndarray]:
    """Samples of a film's sound from its first picture on, int16 in pieces, SOUND_HZ a second for `duration_s`.

    Silence where there is no sound, or where it is damaged. Raises InputError for a film without sound, one whose
    sound ends long before it (`LEAST`), or whose clock jumps.
    """
    with opened(path) as container:
        first, _, _ = next(in_order(container, picture_stream(container), Fraction(1), Damage()))
        start_s = first.time if first.time is not None else float((first.dts or 0) * (first.time_base or 0))
    done, total = 0, round(duration_s * SOUND_HZ)
    with opened(path) as container:
        for place, samples in _placed(container):
            at = place - round(start_s * SOUND_HZ)
            silence = np.zeros(max(0, at - done), np.int16)
            piece = np.concatenate([silence, samples[max(0, done - at) :]])[: total - done]
            done += len(piece)
            yield piece
            if done == total:
                return
    if done < LEAST * total:
        raise InputError(f"its sound ends at {done / SOUND_HZ:.1f} s of {duration_s:.1f} s; leave the film out, {OR}")
    yield np.zeros(total - done, np.int16)


def _placed(container: av.container.InputContainer) -> Iterator[tuple[int, np.ndarray]]:
    """Pieces of the sound, int16 (n,), each with its first sample's number on the file's clock."""
    stream = container.streams.best("audio")
    if stream is None:
        raise InputError(f"no sound in it; leave the film out, {OR}")
    resampler, end = av.AudioResampler("s16", "mono", SOUND_HZ), None
    for packet in container.demux(stream):
        try:
            frames: list[Any] = [*packet.decode(), *([] if packet.size else [None])]  # None: what the resampler holds
            pieces = [piece for frame in frames for piece in resampler.resample(frame)]
        except (av.FFmpegError, ValueError):  # damaged, or of another number of channels
            continue
        for piece in pieces:
            samples, at = piece.to_ndarray()[0], round((piece.time or 0.0) * SOUND_HZ)
            if end is not None and (piece.time is None or abs(at - end) <= LOOSE_S * SOUND_HZ):
                at = end
            if end is not None and abs(at - end) > JUMP_S * SOUND_HZ:
                what = f"the clock of its sound jumps by {(at - end) / SOUND_HZ:.0f} s"
                raise InputError(f"{what}; write its times anew with ffmpeg, {OR}")
            end = at + len(samples)
            yield at, samples
