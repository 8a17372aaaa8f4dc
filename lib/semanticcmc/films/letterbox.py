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
from semanticcmc.films.video import Damage, in_order, opened, picture_stream, stated_duration_s

SAMPLES = 60  # pictures in the sample
LEAST_KEYFRAMES = 30  # with fewer of them in the sample, the film's beginning is decoded for it as well
MOST_DECODED = 1500  # pictures of the beginning, a minute; which alone tells nothing of a longer film
FEWEST_KEYFRAMES = 5  # that do, with the beginning
BLACK = 32  # greatest level of a border, of 255: noise and ringing of a codec lie below
STEP = 64  # least level that the film reaches just inside a border at some time
NOISE_SHARE = 0.01  # of the pixels of a row or column, which may be brighter all the same
LEAST_SHARE = 0.4  # of the stored picture that must be left (2.39:1 inside 4:3 inside 16:9 is 0.42)


def find_borders(path: str | Path, threads: int = 0) -> Box | None:
    """What `inside_borders` finds in `SAMPLES` pictures of a film, a video file or a folder of pictures.

    None as well for a long film with almost no keyframes, of which only the beginning could be seen in a short time.
    """
    path = Path(path)
    if path.is_dir():
        return inside_borders(sample(path, SAMPLES))
    try:
        return inside_borders(_sample(path, threads))
    except _TooLittleSeen:
        return None


class _TooLittleSeen(Exception):
    """The sample is of a film's beginning alone."""


def inside_borders(pictures: Iterable[np.ndarray]) -> Box | None:
    """The part of a film inside its black borders, in pixels as stored; None where there is no border.

    It is found from a sample of pictures, uint8 (height, width, 3): a row (or column) is border only if it is black in
    all of them, and only up to a sharp edge; where a film just gets darker towards its edge, nothing is cut.
    """
    size, dark, lit = None, [], []  # of rows and of columns: never above BLACK, at some time above STEP
    for picture in pictures:
        level = picture.max(axis=2)
        if size is None:
            size = level.shape
            dark, lit = [np.ones(n, bool) for n in size], [np.zeros(n, bool) for n in size]
        if level.shape == size:
            for side in (0, 1):
                dark[side] &= (level > BLACK).mean(axis=1 - side) <= NOISE_SHARE
                lit[side] |= (level > STEP).mean(axis=1 - side) > NOISE_SHARE
    if size is None:
        return None
    (top, bottom), (left, right) = ((_border(d, b), _border(d[::-1], b[::-1])) for d, b in zip(dark, lit, strict=True))
    box = Box(left, top, size[1] - left - right, size[0] - top - bottom)
    whole = size[0] * size[1]
    return box if LEAST_SHARE * whole <= box.width * box.height < whole else None


def _border(dark: np.ndarray, lit: np.ndarray) -> int:
    """Width of the border at the start of a side, even as chroma needs it; 0 where none has a sharp edge."""
    width = int(np.argmin(dark))  # 0 as well if all is dark
    inside = lit[width : width + max(2, len(lit) // 100) + 1]
    return width + width % 2 if inside.any() else 0


def _sample(path: Path, threads: int) -> Iterator[np.ndarray]:
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
        yield from _beginning(path, threads, duration_s, len(seen))


def _beginning(path: Path, threads: int, duration_s: float, keyframes: int) -> Iterator[np.ndarray]:
    """Pictures of the first `MOST_DECODED`, for a sample with so many keyframes besides."""
    interval_s = Fraction(max(duration_s / SAMPLES if math.isfinite(duration_s) else 1.0, 0.01)).limit_denominator(1000)
    with opened(path) as container:
        stream = picture_stream(container)
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        next_s = Fraction(0)
        for frame, since_start, number in in_order(container, stream, 1 / interval_s, Damage()):
            if number >= MOST_DECODED:
                if keyframes < FEWEST_KEYFRAMES:
                    raise _TooLittleSeen
                return
            if since_start >= next_s:
                next_s = since_start + interval_s
                yield frame.to_ndarray(format="rgb24")
