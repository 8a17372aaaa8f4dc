"""One video file's frames at exact seconds: decoded in presentation order, shown as a player shows them.

Most films hold pictures that no other refers to (about half of those of a film with B-frames). Such a picture
need not be decoded unless it is the last before a step of the grid, which the times of the packets tell.
"""

from __future__ import annotations

import dataclasses
import math
from bisect import bisect_right, insort
from collections import deque
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.stream import Disposition

from semanticcmc.config import NO_FILE, InputError
from semanticcmc.films.display import Box, Display
from semanticcmc.films.files import Frame

MOST_LOST = 0.01  # share of a film's pictures; with more damaged, it is left out
# Containers that hold each picture whole in one packet with its own presentation time, and codecs whose
# non-reference pictures (nal_ref_idc 0; B-pictures and B-VOPs) no other picture may refer to.
_TIMED_CONTAINERS = frozenset(("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"))
_SKIPPING_CODECS = frozenset(("h264", "mpeg1video", "mpeg2video", "mpeg4"))
_LOOK_AHEAD = 16  # packets; no codec here reorders more
# Formats that are read, none of which names another file to be opened, as lists for players do.
_FORMATS = (
    "asf,av1,avi,dv,flv,gif,h263,h264,hevc,ivf,m4v,matroska,mjpeg,mov,mpeg,mpegts,mpegvideo,mxf,nut,obu,ogg,rm,vc1"
)
_JOINED = frozenset(("mpeg", "mpegts"))  # they state no length, and are joined by joining their bytes
_STILLS = frozenset(("bmp", "mjpeg", "png", "tiff", "webp"))  # codecs of covers, and of few films
_NO_PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
LONGEST_STILL_S = 60  # no film shows one picture for longer; in `_JOINED` the clock may jump by chance, and has 10 s
_OPENING: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__[:2]) < 19 else {}  # 19 does so itself


@dataclasses.dataclass
class Damage:
    """How many pictures of a film have been read, and how many of them are damaged and therefore never shown."""

    pictures: int = 0
    lost: int = 0


Picture = tuple[av.VideoFrame, Fraction, int]  # seconds since the film's first picture, and its number


def opened(path: str | Path) -> av.container.InputContainer:
    """A video file, opened, and nothing but this file."""
    if not Path(path).is_file():
        raise InputError(NO_FILE)
    return av.open(f"file:{path}", options={"format_whitelist": _FORMATS}, **_OPENING)


def picture_stream(container: av.container.InputContainer) -> av.VideoStream:
    """The film's picture stream: no cover image or preview, but the default one, or the largest of several."""
    streams = [s for s in container.streams.video if not s.disposition & _NO_PICTURES]
    if not streams:
        raise InputError("no pictures in it, only " + (", ".join(s.type for s in container.streams) or "nothing"))

    def rank(stream: av.VideoStream) -> tuple[bool, bool, int]:
        still = stream.frames == 1 or stream.codec_context.name in _STILLS
        return not still, bool(stream.disposition & Disposition.default), stream.width * stream.height

    return max(streams, key=rank)  # the first of equals


def stated_duration_s(container: av.container.InputContainer, stream: av.VideoStream) -> tuple[float, float]:
    """Duration that the file states, and by how much the pictures may be shorter; seconds, NaN if unstated.

    Without a duration of the pictures themselves it is that of all streams: sound may be a little longer.
    """
    if stream.duration is not None and stream.time_base is not None and container.format.name not in _JOINED:
        return float(stream.duration * stream.time_base), 0.5
    if container.duration is not None and container.format.name not in _JOINED:
        return container.duration / av.time_base, 2 + 0.02 * container.duration / av.time_base
    return math.nan, math.nan


def checked_duration_s(
    container: av.container.InputContainer, stream: av.VideoStream, first_s: float, lasts_s: float
) -> float:
    """Duration of a film whose pictures are found to last so long, from `first_s` on; InputError if it is truncated."""
    stated_s, short_s = stated_duration_s(container, stream)
    if first_s > 0.5 and not is_indexed(container) and abs(stated_s - first_s - lasts_s) < abs(stated_s - lasts_s):
        stated_s -= first_s  # Matroska and WMV count the time before the first picture
    if lasts_s < stated_s - short_s:
        raise InputError(f"truncated: its pictures end before {stated_s - short_s:.1f} s of {stated_s:.1f} s")
    return stated_s if lasts_s <= stated_s + 0.5 else lasts_s  # joined, or nothing stated


def is_indexed(container: av.container.InputContainer) -> bool:
    """Whether the times of all pictures are known without reading them, as in MP4."""
    return "mp4" in container.format.name.split(",")


def refuse_still(gap_s: Fraction) -> None:
    """Refuse a film that shows one picture for longer than any does."""
    if gap_s > LONGEST_STILL_S:
        what = f"no picture for {float(gap_s):.0f} s: its clock jumps, or the film stands still"
        raise InputError(f"{what}; write its times anew with ffmpeg, or cut it there")


def timed_packets(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.Packet]:
    """Packets of a stream on one clock: where it starts anew, as in joined files, times go on after the last picture.

    Raises InputError where no picture follows for `LONGEST_STILL_S`, or pictures have no times.
    """
    base, joined = stream.time_base or Fraction(1, av.time_base), container.format.name in _JOINED
    frame_s = 1 / (stream.average_rate or stream.guessed_rate or Fraction(25))
    end = dts = keyframe = None
    offset = timeless = 0
    for packet in container.demux(stream):
        time = packet.pts if packet.pts is not None else packet.dts
        timeless += bool(packet.size) and time is None
        if timeless > 2 * _LOOK_AHEAD:
            raise InputError("its pictures have no presentation times; put it into another container (ffmpeg)")
        if packet.size and time is not None:
            if end is not None:
                ahead_s = (time + offset - end) * base
                back = packet.is_keyframe and keyframe is not None and time <= keyframe
                if joined and not back and packet.dts is not None and dts is not None:
                    back = (packet.dts - dts) * base < -0.1
                if back or (joined and ahead_s > 10):
                    offset, ahead_s = end - time, Fraction(0)
                refuse_still(ahead_s)
            end = max(time + offset + (packet.duration or math.ceil(frame_s / base)), time if end is None else end)
            dts, keyframe = packet.dts, time if packet.is_keyframe else keyframe
            packet.pts = None if packet.pts is None else packet.pts + offset
            packet.dts = None if packet.dts is None else packet.dts + offset
        yield packet


def decode(
    path: str | Path,
    frames_per_s: float,
    short_side_px: int,
    threads: int = 0,
    crop: Box | None = None,
    damage: Damage | None = None,
    decoded: Sequence[Picture] = (),
) -> Iterator[Frame]:
    """Frames of a film on the grid of `frames_per_s`, in time order, as displayed.

    The frame at t is the last with presentation time <= t, counted from the film's first frame, and the grid ends with
    the last frame's time on screen. Times are compared as fractions, so that no frame is missed by rounding. A damaged
    picture is never shown: the one before stays. Raises InputError at the film's end, if it is truncated or more than
    `MOST_LOST` of its pictures are damaged.

    Parameters
    ----------
    frames_per_s : float
        Steps of the grid a second.
    short_side_px, crop
        As for `display.Display`.
    threads : int
        Decoder threads; 0 for as many as there are cores.
    damage : Damage, optional
        Counts the film's pictures and those lost.
    decoded : sequence of Picture, optional
        The last picture before (or at) each step, where all were decoded for something else: none is again.
    """
    rate = Fraction(frames_per_s).limit_denominator(1001)
    damage = damage or Damage()
    with opened(path) as container:
        stream = picture_stream(container)
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        step, shown, display = 0, None, None
        for frame, since_start, frame_index in decoded or in_order(container, stream, rate, damage):
            display = display or Display(frame, stream, short_side_px, crop)
            until = math.ceil(since_start * rate)  # the grid's first step at which this picture is on screen
            if shown is not None and until > step:
                yield from _on_grid(step, until, rate, display.image(shown[0]), shown[1:])
            step, shown = max(step, until), (frame, since_start, frame_index)
        if shown is None or display is None:
            raise InputError("not one picture in it can be decoded")
        end_s = shown[1] + (shown[0].duration or 0) * (stream.time_base or Fraction(0))
        until = max(math.ceil(end_s * rate), math.floor(shown[1] * rate) + 1)
        yield from _on_grid(step, until, rate, display.image(shown[0]), shown[1:])
        checked_duration_s(container, stream, float(shown[0].time or 0) - float(shown[1]), float(end_s))
        if damage.lost > MOST_LOST * damage.pictures:
            raise InputError(f"damaged: {damage.lost} of its {damage.pictures} pictures cannot be decoded")


def _on_grid(step: int, until: int, rate: Fraction, image: np.ndarray, shown: tuple[Fraction, int]) -> Iterator[Frame]:
    """One picture at each step of the grid from `step` to before `until`."""
    for k in range(step, until):
        yield Frame(float(k / rate), float(shown[0]), shown[1], image)


def in_order(
    container: av.container.InputContainer, stream: av.VideoStream, rate: Fraction, damage: Damage
) -> Iterator[Picture]:
    """Pictures in presentation order, each with its seconds since the first and its number.

    Of a film that has not been read, the last picture before (or at) each step of a grid of `rate` steps a second is
    among them, and maybe others. Damaged ones are left out and counted in `damage`. Seconds never decrease; numbers
    are from 0, and count skipped pictures.

    Notes
    -----
    Some containers (AVI) store no presentation times, and those that the demuxer guesses may decrease; then the
    decoding times are taken, as FFmpeg's own tools do (``best_effort_timestamp``).
    """
    decoding = _Decoding(container, stream, rate, damage)
    faulty = {"pts": 0, "dts": 0}
    latest: dict[str, int | None] = {"pts": None, "dts": None}
    now = None
    for frame, index in decoding.pictures():
        for kind in faulty:
            time, before = getattr(frame, kind), latest[kind]
            faulty[kind] += time is not None and before is not None and time <= before
            latest[kind] = before if time is None else time
        by_pts = frame.pts is not None and (frame.dts is None or faulty["pts"] <= faulty["dts"])
        time = frame.pts if by_pts else frame.dts
        if time is None or stream.time_base is None:
            raise InputError("its pictures have no presentation times; put it into another container (ffmpeg)")
        decoding.skips = decoding.skips and by_pts
        now = time if now is None else max(now, time)
        if frame.is_corrupt:
            damage.lost += 1
            continue
        if decoding.first is None:
            decoding.first = now
        yield frame, (now - decoding.first) * stream.time_base, index


def can_skip(container: av.container.InputContainer, stream: av.VideoStream) -> bool:
    """Whether a film's non-reference pictures can be left undecoded without changing any other picture.

    HEVC calls a picture non-reference if none of its own temporal layer refers to it, so that it may be
    skipped only where the film has a single layer (numTemporalLayers of ISO/IEC 14496-15).
    """
    if container.format.name not in _TIMED_CONTAINERS:
        return False
    name, extradata = stream.codec_context.name, stream.codec_context.extradata or b""
    if name == "hevc":
        return len(extradata) > 22 and extradata[0] == 1 and (extradata[21] >> 3) & 7 == 1
    return name in _SKIPPING_CODECS


class _Decoding:
    """Decodes a stream packet by packet, a few packets after they are read."""

    def __init__(
        self, container: av.container.InputContainer, stream: av.VideoStream, rate: Fraction, damage: Damage
    ) -> None:
        self.container, self.stream, self.damage = container, stream, damage
        self.step = (1 / (rate * stream.time_base)).as_integer_ratio() if stream.time_base else None
        self.skips = can_skip(container, stream)
        self.first: int | None = None  # presentation time of the first picture; until it is decoded, none is skipped
        self.pending: list[int] = []  # sorted presentation times of the pictures read and not decoded yet
        self.shown = 0

    def pictures(self) -> Iterator[tuple[av.VideoFrame, int]]:
        waiting: deque[av.Packet] = deque()
        for packet in timed_packets(self.container, self.stream):
            waiting.append(packet)
            last = not packet.size  # an empty packet empties the decoder
            if not last and not packet.is_discard:
                self.damage.pictures += 1
                if packet.pts is not None:
                    insort(self.pending, packet.pts)
            while waiting and (last or len(waiting) > _LOOK_AHEAD or self._skipped(waiting[0])):
                for frame in self._decode(waiting.popleft()):
                    yield frame, self._number(frame)

    def _skipped(self, packet: av.Packet) -> bool:
        """Whether a picture read so far comes after this one and no later than the next step of the grid."""
        if not self.skips or self.first is None or packet.pts is None or self.step is None:
            return False
        place = bisect_right(self.pending, packet.pts)
        ticks, parts = self.step  # in whole numbers: this is asked of every packet several times
        steps = -((self.first - packet.pts) * parts // ticks)
        return place < len(self.pending) and (self.pending[place] - self.first) * parts <= steps * ticks

    def _decode(self, packet: av.Packet) -> list[av.VideoFrame]:
        # FFmpeg reads it at each packet, with frame threads as well; pictures that others refer to are decoded.
        self.stream.codec_context.skip_frame = "NONREF" if self._skipped(packet) else "DEFAULT"
        try:
            return list(packet.decode())
        except av.FFmpegError:
            self.damage.lost += 1
            return []

    def _number(self, frame: av.VideoFrame) -> int:
        """Number of a picture in presentation order, by the times of all packets where they have them."""
        place = bisect_right(self.pending, frame.pts) if frame.pts is not None else 0
        number = self.shown + (place - 1 if self.skips and place else 0)
        self.shown, self.pending[:place] = number + 1, []
        return number
