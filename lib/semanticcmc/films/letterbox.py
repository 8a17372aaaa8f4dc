"""Black borders of a film (letterbox, pillarbox): found once from pictures spread over it, the same for all frames."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np

from semanticcmc.films.display import Box
from semanticcmc.films.folders import sample
from semanticcmc.films.video import Damage, Picture, can_skip, in_order, opened, picture_stream, stated_duration_s

SAMPLES = 60  # pictures in the sample
LEAST_KEYFRAMES = 30  # with fewer of them in the sample, the film's beginning is decoded for it as well
MOST_DECODED = 1500  # pictures of the beginning, a minute; which alone tells nothing of a longer film
FEWEST_KEYFRAMES = 5  # that do, with the beginning
BLACK = 32  # greatest level of a border, of 255: noise and ringing of a codec lie below
STEP = 64  # least level that the film reaches just inside a border at some time
NOISE_SHARE = 0.01  # of the pixels of a row or column, which may be brighter all the same
KEPT_BYTES = 2**28  # of decoded pictures that are kept: a minute of 1080p at one a second
LEAST_SHARE = 0.4  # of the stored picture that must be left (2.39:1 inside 4:3 inside 16:9 is 0.42)


class Kept:
    """A film's pictures on a grid, kept for `video.decode` where all are decoded for its borders, and these are few."""

    def __init__(self, frames_per_s: float) -> None:
        self.rate = Fraction(frames_per_s).limit_denominator(1001)
        self.pictures: list[Picture] = []  # the last before (or at) each step; none unless the film was seen whole
        self.damage = Damage()

    def watched(self, pictures: Iterable[Picture]) -> Iterator[Picture]:
        """The same pictures, which are kept as they pass."""
        kept, size, whole = self.pictures, 0, False
        try:
            for picture in pictures:
                if kept and math.ceil(kept[-1][1] * self.rate) == math.ceil(picture[1] * self.rate):
                    kept.pop()
                else:
                    size += sum(plane.buffer_size for plane in picture[0].planes)
                kept.append(picture)
                if size > KEPT_BYTES:
                    kept.clear()
                yield picture
            whole = size <= KEPT_BYTES
        finally:
            if not whole:
                kept.clear()


def find_borders(path: str | Path, threads: int = 0, kept: Kept | None = None) -> Box | None:
    """What `inside_borders` finds in `SAMPLES` pictures of a film, a video file or a folder of pictures.

    Where every picture of a short film has to be decoded for it, `kept` keeps those that it wants.

    None as well for a long film with almost no keyframes, of which only the beginning could be seen in a short time.
    """
    path = Path(path)
    try:
        return inside_borders(sample(path, SAMPLES) if path.is_dir() else _sample(path, threads, kept))
    except _TooLittleSeen:
        return None


class _TooLittleSeen(Exception):
    """The sample is of a film's beginning alone."""


def inside_borders(pictures: Iterable[np.ndarray]) -> Box | None:
    """The part of a film inside its black borders, in pixels as stored; None where there is no border.

    It is found from a sample of pictures, uint8 (height, width, 3): a row (or column) is border only if it is black in
    all of them, and only up to a sharp edge; where a film just gets darker towards its edge, nothing is cut.
    """
    size, dark, lit, rims = None, [], [], []  # of each side, for its lines from the edge inwards
    for picture in pictures:
        if size is None:
            size = picture.shape[:2]
            dark, lit = ([np.full(n, value) for n in size for _ in range(2)] for value in (True, False))
            rims = [max(2, n // 100) + 1 for n in size for _ in range(2)]
        if picture.shape[:2] == size:
            edges = picture, picture[::-1], picture.swapaxes(0, 1), picture.swapaxes(0, 1)[::-1]
            for d, b, rim, lines in zip(dark, lit, rims, edges, strict=True):
                some = np.s_[: np.argmin([*d, False]) + rim]  # what may still be border, and just inside it
                level = np.maximum.reduce([lines[some, :, channel] for channel in range(3)])
                d[some] &= (level > BLACK).mean(axis=1) <= NOISE_SHARE
                b[some] |= (level > STEP).mean(axis=1) > NOISE_SHARE
            if not any(d[0] for d in dark):
                return None
    if size is None:
        return None
    top, bottom, left, right = map(_border, dark, lit, rims)
    box = Box(left, top, size[1] - left - right, size[0] - top - bottom)
    return box if LEAST_SHARE <= box.width * box.height / (size[0] * size[1]) < 1 else None


def _border(dark: np.ndarray, lit: np.ndarray, rim: int) -> int:
    """Width of the border at a side, even as chroma needs it; 0 where none has a sharp edge, or all is dark."""
    width = int(np.argmin(dark))
    return width + width % 2 if lit[width : width + rim].any() else 0


def _sample(path: Path, threads: int, kept: Kept | None) -> Iterator[np.ndarray]:
    """Pictures spread evenly over a film, uint8 (height, width, 3): keyframes where it has enough of them."""
    seen: set[int | None] = set()
    with opened(path) as container:
        stream = picture_stream(container)
        duration_s, _ = stated_duration_s(container, stream)
        if math.isnan(duration_s) and container.duration is not None:
            duration_s = container.duration / av.time_base
        if math.isfinite(duration_s) and stream.time_base is not None:
            for k in range(SAMPLES):
                at = (stream.start_time or 0) + int((k + 0.5) / SAMPLES * duration_s / stream.time_base)
                try:
                    container.seek(at, stream=stream)
                    packet = next((p for p in islice(container.demux(stream), MOST_DECODED) if p.is_keyframe), None)
                    if packet is None or packet.pts in seen:
                        continue
                    seen.add(packet.pts)
                    frames = [*packet.decode(), *stream.codec_context.decode(None)]
                except av.FFmpegError:  # damaged there; the rest of the sample does
                    continue
                yield from (frame.to_ndarray(format="rgb24") for frame in frames if not frame.is_corrupt)
    if len(seen) < LEAST_KEYFRAMES:
        yield from _beginning(path, threads, duration_s, len(seen), kept)


def _beginning(path: Path, threads: int, duration_s: float, keyframes: int, kept: Kept | None) -> Iterator[np.ndarray]:
    """Pictures of the first `MOST_DECODED`, for a sample with so many keyframes besides."""
    interval_s = Fraction(max(duration_s / SAMPLES if math.isfinite(duration_s) else 1.0, 0.01)).limit_denominator(1000)
    with opened(path) as container:
        stream = picture_stream(container)
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        next_s = Fraction(0)
        if kept and not can_skip(container, stream):  # what is skipped depends on the grid
            pictures = kept.watched(in_order(container, stream, 1 / interval_s, kept.damage))
        else:
            pictures = in_order(container, stream, 1 / interval_s, Damage())
        for frame, since_start, number in pictures:
            if number >= MOST_DECODED:
                if keyframes < FEWEST_KEYFRAMES:
                    raise _TooLittleSeen
                return
            if since_start >= next_s:
                next_s = since_start + interval_s
                yield frame.to_ndarray(format="rgb24")
