"""One video file's frames at exact seconds: decoded in presentation order, upright, with square pixels."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from semanticcmc.configuration import InputError
from semanticcmc.frames import Frame


def picture_stream(container: av.container.InputContainer) -> av.VideoStream:
    """The film's picture stream (not a cover image)."""
    streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    if not streams:
        raise InputError(
            "no pictures in it, only " + (", ".join(s.type for s in container.streams) or "nothing")
        )
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


def decode(path: str | Path, frames_per_s: float, short_side_px: int, threads: int = 0) -> Iterator[Frame]:
    """Frames of a film on the grid of `frames_per_s`, in time order, upright, with square pixels.

    The frame at t is the last with presentation time <= t, counted from the film's first frame, and the
    grid ends with the last frame's time on screen. Times are compared as fractions, so that no frame is
    missed by rounding.
    """
    rate = Fraction(frames_per_s).limit_denominator(1001)
    with av.open(str(path)) as container:
        stream = picture_stream(container)
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        step, shown, look = 0, None, None
        for frame_index, (frame, since_start) in enumerate(_in_order(container, stream)):
            look = look or _Look.of(frame, stream, short_side_px)
            until = math.ceil(since_start * rate)  # the grid's first step at which this picture is on screen
            if shown is not None and until > step:
                yield from _on_grid(step, until, rate, look.image(shown[0]), shown[1:])
            step, shown = max(step, until), (frame, since_start, frame_index)
        if shown is None or look is None:
            raise InputError("not one picture in it can be decoded")
        end_s = shown[1] + Fraction(shown[0].duration or 0) * (stream.time_base or 0)
        until = max(math.ceil(end_s * rate), math.floor(shown[1] * rate) + 1)
        yield from _on_grid(step, until, rate, look.image(shown[0]), shown[1:])
        stated_s, short_s = stated_duration_s(container, stream)
        if end_s < stated_s - short_s:
            raise InputError(f"truncated: its pictures end at {float(end_s):.1f} s of {stated_s:.1f} s")


def _in_order(
    container: av.container.InputContainer, stream: av.VideoStream
) -> Iterator[tuple[av.VideoFrame, Fraction]]:
    """Pictures in presentation order with their seconds since the first, which never run backwards.

    Some containers (AVI) store no presentation times, and those guessed by the demuxer run backwards; then
    the decoding times are taken, as FFmpeg's own tools do (``best_effort_timestamp``).
    """
    faulty = {"pts": 0, "dts": 0}
    latest: dict[str, int | None] = {"pts": None, "dts": None}
    first = now = None
    for frame in container.decode(stream):
        for kind in faulty:
            time, before = getattr(frame, kind), latest[kind]
            faulty[kind] += time is not None and before is not None and time <= before
            latest[kind] = before if time is None else time
        by_pts = frame.pts is not None and (frame.dts is None or faulty["pts"] <= faulty["dts"])
        time = frame.pts if by_pts else frame.dts
        if time is None or stream.time_base is None:
            raise InputError(
                "its pictures have no presentation times; put it into another container (ffmpeg)"
            )
        now = time if now is None else max(now, time)
        first = now if first is None else first
        yield frame, (now - first) * stream.time_base


def _on_grid(
    step: int, until: int, rate: Fraction, image: np.ndarray, shown: tuple[Fraction, int]
) -> Iterator[Frame]:
    """One picture at each step of the grid from `step` to before `until`."""
    for k in range(step, until):
        yield Frame(float(k / rate), float(shown[0]), shown[1], image)


@dataclasses.dataclass(frozen=True)
class _Look:
    """Size and quarter turns (anticlockwise) by which a film's pictures are displayed."""

    width: int
    height: int
    quarter_turns: int

    @classmethod
    def of(cls, frame: av.VideoFrame, stream: av.VideoStream, short_side_px: int) -> _Look:
        aspect = float(stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or 1)
        width, height = frame.width * max(aspect, 1), frame.height / min(aspect, 1)
        scale = min(1.0, short_side_px / min(width, height))
        return cls(round(width * scale), round(height * scale), round(frame.rotation / 90) % 4)

    def image(self, frame: av.VideoFrame) -> np.ndarray:
        rgb = frame.reformat(self.width, self.height, format="rgb24", interpolation="BICUBIC")
        return np.ascontiguousarray(np.rot90(rgb.to_ndarray(), self.quarter_turns))
