"""One video file's frames at exact seconds: decoded in presentation order, shown as a player shows them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from semanticcmc.config import InputError
from semanticcmc.films.display import Box, Display
from semanticcmc.films.files import Frame
from semanticcmc.films.pictures import Damage, in_order

MOST_LOST = 0.01  # share of a film's pictures; with more damaged, it is left out


def picture_stream(container: av.container.InputContainer) -> av.VideoStream:
    """The film's picture stream (not a cover image)."""
    streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    if not streams:
        raise InputError("no pictures in it, only " + (", ".join(s.type for s in container.streams) or "nothing"))
    return streams[0]


def stated_duration_s(container: av.container.InputContainer, stream: av.VideoStream) -> tuple[float, float]:
    """Duration that the file states, and how far the pictures may fall short of it; seconds, NaN if unstated.

    Without a duration of the pictures themselves it is that of all streams: sound may run on a
    little, and Matroska counts what lies before the first picture.
    """
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base), 0.5
    if container.duration is not None:
        stated_s = container.duration / av.time_base
        return stated_s, 2 + 0.02 * stated_s + max(0.0, (container.start_time or 0) / av.time_base)
    return math.nan, math.nan


def decode(
    path: str | Path,
    frames_per_s: float,
    short_side_px: int,
    threads: int = 0,
    crop: Box | None = None,
    damage: Damage | None = None,
) -> Iterator[Frame]:
    """Frames of a film on the grid of `frames_per_s`, in time order, as displayed.

    The frame at t is the last with presentation time <= t, counted from the film's first frame, and the
    grid ends with the last frame's time on screen. Times are compared as fractions, so that no frame is
    missed by rounding. A damaged picture is never shown: the one before stays.

    Parameters
    ----------
    path : str or Path
    frames_per_s : float
    short_side_px : int
        Of the frames as displayed; smaller films are not enlarged.
    threads : int
        Decoder threads; 0 for as many as there are cores.
    crop : Box, optional
        The part of each picture that is kept.
    damage : Damage, optional
        Counts the film's pictures and those lost.

    Raises
    ------
    InputError
        Once the film has come to its end, if it is cut off or more than `MOST_LOST` of its pictures are damaged.
    """
    rate = Fraction(frames_per_s).limit_denominator(1001)
    damage = Damage() if damage is None else damage
    with av.open(str(path)) as container:
        stream = picture_stream(container)
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        step, shown, display = 0, None, None
        for frame, since_start, frame_index in in_order(container, stream, rate, damage):
            display = display or Display(frame, stream, short_side_px, crop)
            until = math.ceil(since_start * rate)  # the grid's first step at which this picture is on screen
            if shown is not None and until > step:
                yield from _on_grid(step, until, rate, display.image(shown[0]), shown[1:])
            step, shown = max(step, until), (frame, since_start, frame_index)
        if shown is None or display is None:
            raise InputError("not one picture in it can be decoded")
        end_s = shown[1] + Fraction(shown[0].duration or 0) * (stream.time_base or 0)
        until = max(math.ceil(end_s * rate), math.floor(shown[1] * rate) + 1)
        yield from _on_grid(step, until, rate, display.image(shown[0]), shown[1:])
        stated_s, short_s = stated_duration_s(container, stream)
        if end_s < stated_s - short_s:
            raise InputError(f"truncated: its pictures end at {float(end_s):.1f} s of {stated_s:.1f} s")
        if damage.lost > MOST_LOST * damage.pictures:
            raise InputError(f"damaged: {damage.lost} of its {damage.pictures} pictures cannot be decoded")


def _on_grid(step: int, until: int, rate: Fraction, image: np.ndarray, shown: tuple[Fraction, int]) -> Iterator[Frame]:
    """One picture at each step of the grid from `step` to before `until`."""
    for k in range(step, until):
        yield Frame(float(k / rate), float(shown[0]), shown[1], image)
