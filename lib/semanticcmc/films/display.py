"""A decoded picture as a viewer sees it: deinterlaced, without borders, in RGB, upright, with square pixels."""

from __future__ import annotations

import dataclasses
from typing import Any

import av
import numpy as np

from semanticcmc.films.hdr import TRANSFERS, to_sdr

# AVColorSpace -> name of FFmpeg's scale filter; what is not here (unspecified, mostly) is told by the size.
_MATRICES = {1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020", 10: "bt2020"}


@dataclasses.dataclass(frozen=True)
class Box:
    """Part of a picture as stored, pixels from its left and top edge."""

    x: int
    y: int
    width: int
    height: int


class Display:
    """How a film's pictures are displayed, decided by its first one.

    Parameters
    ----------
    frame : VideoFrame
        The film's first picture: size, display matrix.
    stream : VideoStream
        Its sample aspect ratio.
    short_side_px : int
        Of the displayed picture, pixels; smaller ones are not enlarged.
    crop : Box, optional
        The part that is shown.

    Notes
    -----
    The luma matrix is the one that the film states; a film that states none has BT.709 if it is wider than
    1,024 or higher than 576 pixels, else BT.601, as players have it. A picture flagged as interlaced is
    deinterlaced from its first field alone (FFmpeg's ``estdif``): neither its neighbours nor its time matter.
    """

    def __init__(
        self, frame: av.VideoFrame, stream: av.VideoStream, short_side_px: int, crop: Box | None = None
    ) -> None:
        self.stored = frame.width, frame.height
        self.crop = crop or Box(0, 0, *self.stored)
        aspect = float(stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or 1)
        width, height = self.crop.width * max(aspect, 1), self.crop.height / min(aspect, 1)
        scale = min(1.0, short_side_px / min(width, height))
        self.size = round(width * scale), round(height * scale)
        self.transposed, self.mirrored, self.flipped = _orientation(frame)
        self._graph: tuple[object, av.filter.Graph] | None = None

    def image(self, frame: av.VideoFrame) -> np.ndarray:
        """The picture as displayed, uint8 (height, width, 3)."""
        shown = self._scaled(frame)
        image = shown.to_ndarray()
        if frame.color_trc in TRANSFERS:
            image = to_sdr(image, TRANSFERS[frame.color_trc])
        if self.transposed:
            image = image.transpose(1, 0, 2)
        return np.ascontiguousarray(image[:: -1 if self.flipped else 1, :: -1 if self.mirrored else 1])

    def _scaled(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Deinterlaced, cropped and scaled; RGB of 8 bits, of 16 where the film is HDR."""
        interlaced = frame.interlaced_frame
        kind = (
            frame.width,
            frame.height,
            frame.format.name,
            frame.colorspace,
            frame.color_range,
            frame.color_trc,
            interlaced,
        )
        if interlaced or self._graph is None or self._graph[0] != kind:
            self._graph = kind, self._new_graph(frame)
        graph = self._graph[1]
        graph.push(frame)
        if interlaced:
            graph.push(None)  # it would wait for the next picture; such a graph serves one picture alone
        return graph.vpull()

    def _new_graph(self, frame: av.VideoFrame) -> av.filter.Graph:
        graph = av.filter.Graph()
        width, height = frame.width, frame.height
        nodes = [
            graph.add(
                "buffer",
                f"video_size={width}x{height}:pix_fmt={frame.format.name}:"
                f"time_base=1/1000:colorspace={frame.colorspace}:range={frame.color_range}",
            )
        ]
        if frame.interlaced_frame:
            nodes.append(graph.add("estdif", "mode=frame:deint=all"))
        box = self.crop
        if (width, height) == self.stored and (box.width, box.height) != self.stored:
            nodes.append(graph.add("crop", f"{box.width}:{box.height}:{box.x}:{box.y}:exact=1"))
        large = width > 1024 or height > 576
        matrix = _MATRICES.get(frame.colorspace, "bt709" if large else "bt601")
        scale = f"{self.size[0]}:{self.size[1]}:flags=bicubic+accurate_rnd+full_chroma_int"
        if not frame.format.is_rgb:
            scale += f":in_color_matrix={matrix}"
        nodes.append(graph.add("scale", scale))
        nodes.append(graph.add("format", "rgb48" if frame.color_trc in TRANSFERS else "rgb24"))
        nodes.append(graph.add("buffersink"))
        graph.link_nodes(*nodes)
        graph.configure()
        return graph


def _orientation(frame: av.VideoFrame) -> tuple[bool, bool, bool]:
    """Whether a picture is displayed with rows and columns exchanged, then left and right, top and bottom.

    The display matrix of FFmpeg (of MP4: ISO/IEC 14496-12, 8.2.2) takes (x, y) to (a x + c y, b x + d y), y down.
    Turns other than quarters are taken for the nearest.
    """
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return False, False, False
    a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5].tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return False, a < 0, d < 0
    return True, c < 0, b < 0
