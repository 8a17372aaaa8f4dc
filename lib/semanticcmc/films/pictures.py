"""A film's pictures in presentation order: what the grid does not need is skipped, what is damaged counted.

Most films hold pictures that no other refers to (about half of those of a film with B-frames). Such a picture
need not be decoded unless it is the last before a step of the grid, which the times of the packets tell.
"""

from __future__ import annotations

import dataclasses
import math
from bisect import bisect_right, insort
from collections import deque
from collections.abc import Iterator
from fractions import Fraction

import av

from semanticcmc.config import InputError

# Containers that hold each picture whole in one packet with its own presentation time, and codecs whose
# non-reference pictures (nal_ref_idc 0; B-pictures and B-VOPs) no other picture may refer to.
_TIMED_CONTAINERS = frozenset(("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"))
_SKIPPING_CODECS = frozenset(("h264", "mpeg1video", "mpeg2video", "mpeg4"))
_LOOK_AHEAD = 16  # packets; no codec here reorders more


@dataclasses.dataclass
class Damage:
    """How many of a film's pictures were lost.

    Attributes
    ----------
    pictures : int
        Pictures in the film, so far as it has been read.
    lost : int
        Those among them that are damaged and therefore never shown. Skipped ones do not count.
    """

    pictures: int = 0
    lost: int = 0


def in_order(
    container: av.container.InputContainer, stream: av.VideoStream, rate: Fraction, damage: Damage
) -> Iterator[tuple[av.VideoFrame, Fraction, int]]:
    """Pictures in presentation order, each with its seconds since the first and its number.

    Parameters
    ----------
    container, stream
        The film and its picture stream, not yet read.
    rate : Fraction
        Steps of the grid a second. For each step the last picture before it (or at it) is among those
        given, whatever is skipped.
    damage : Damage
        Counts up. Damaged pictures are left out, so that the one before stays on screen.

    Returns
    -------
    iterator of (VideoFrame, Fraction, int)
        The picture; the seconds since the first one, which never run backwards; and its number in
        presentation order, from 0 (skipped pictures count).

    Notes
    -----
    Some containers (AVI) store no presentation times, and those guessed by the demuxer run backwards; then
    the decoding times are taken, as FFmpeg's own tools do (``best_effort_timestamp``).
    """
    decoding = _Decoding(container, stream, rate, damage)
    faulty = {"pts": 0, "dts": 0}
    latest: dict[str, int | None] = {"pts": None, "dts": None}
    first = now = None
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
        first = now if first is None else first
        decoding.first = first
        yield frame, (now - first) * stream.time_base, index


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
    """Decodes a stream packet by packet, a few packets behind what has been read.

    `pending` holds the presentation times of the pictures that were read but have not come out yet, sorted.
    """

    def __init__(
        self, container: av.container.InputContainer, stream: av.VideoStream, rate: Fraction, damage: Damage
    ) -> None:
        self.container, self.stream, self.damage = container, stream, damage
        self.step = None if stream.time_base is None else 1 / (rate * stream.time_base)
        self.skips = self.step is not None and can_skip(container, stream)
        self.first: int | None = None  # presentation time of the first picture; until it is out, none is skipped
        self.pending: list[int] = []
        self.shown = 0

    def pictures(self) -> Iterator[tuple[av.VideoFrame, int]]:
        waiting: deque[av.Packet] = deque()
        for packet in self.container.demux(self.stream):
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
        step_at = self.first + math.ceil((packet.pts - self.first) / self.step) * self.step
        place = bisect_right(self.pending, packet.pts)
        return place < len(self.pending) and self.pending[place] <= step_at

    def _decode(self, packet: av.Packet) -> list[av.VideoFrame]:
        # Read by FFmpeg at each packet, with frame threads as well; pictures that others refer to are decoded.
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
