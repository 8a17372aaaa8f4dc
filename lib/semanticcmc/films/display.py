"""A decoded picture as a viewer sees it: deinterlaced, without borders, in RGB, upright, with square pixels."""

from __future__ import annotations

import dataclasses
from typing import Any

import av
import numpy as np

# AVColorSpace -> name of FFmpeg's scale filter; what is not here (unspecified, mostly) is told by the size.
_MATRICES = {1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020", 10: "bt2020"}
TRANSFERS = {16: "pq", 18: "hlg"}  # AVColorTransferCharacteristic
PEAK_NITS, WHITE_NITS = 1000.0, 203.0
_M1, _M2, _C1, _C2, _C3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
_LUMINANCE = np.array([0.2627, 0.6780, 0.0593])  # of BT.2020 primaries
_TO_BT709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])


@dataclasses.dataclass(frozen=True)
class Box:
    """Part of a picture as stored, pixels from its left and top edge."""

    x: int
    y: int
    width: int
    height: int


class Display:
    """How a film's pictures are displayed, decided by its first one and by its stream's sample aspect ratio.

    Displayed pictures have a short side of `short_side_px` pixels (smaller ones are not enlarged), and show the part
    `crop`, by default all. The luma matrix is that stated by the film, else BT.709 if it is wider than 1,024 or higher
    than 576 pixels, else BT.601, as players have it. A picture flagged as interlaced is deinterlaced from its first
    field alone (FFmpeg's ``estdif``): neither its neighbours nor its time matter.
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
        colour = frame.format.name, frame.colorspace, frame.color_range, frame.color_trc
        kind = frame.width, frame.height, *colour, frame.interlaced_frame
        if frame.interlaced_frame or self._graph is None or self._graph[0] != kind:
            self._graph = kind, self._new_graph(frame)
        graph = self._graph[1]
        graph.push(frame)
        if frame.interlaced_frame:
            graph.push(None)  # it would wait for the next picture; such a graph serves one picture alone
        return graph.vpull()

    def _new_graph(self, frame: av.VideoFrame) -> av.filter.Graph:
        graph = av.filter.Graph()
        width, height, box = frame.width, frame.height, self.crop
        colour = f"pix_fmt={frame.format.name}:colorspace={frame.colorspace}:range={frame.color_range}"
        nodes = [graph.add("buffer", f"video_size={width}x{height}:time_base=1/1000:{colour}")]
        if frame.interlaced_frame:
            nodes.append(graph.add("estdif", "mode=frame:deint=all"))
        if (width, height) == self.stored and (box.width, box.height) != self.stored:
            nodes.append(graph.add("crop", f"{box.width}:{box.height}:{box.x}:{box.y}:exact=1"))
        scale = f"{self.size[0]}:{self.size[1]}:flags=bicubic+accurate_rnd+full_chroma_int"
        if not frame.format.is_rgb:
            default = "bt709" if width > 1024 or height > 576 else "bt601"
            scale += f":in_color_matrix={_MATRICES.get(frame.colorspace, default)}"
        nodes.append(graph.add("scale", scale))
        nodes.append(graph.add("format", "rgb48" if frame.color_trc in TRANSFERS else "rgb24"))
        nodes.append(graph.add("buffersink"))
        graph.link_nodes(*nodes).configure()
        return graph


def _orientation(frame: av.VideoFrame) -> tuple[bool, bool, bool]:
    """Whether a picture is displayed with rows and columns exchanged, then left and right, top and bottom.

    The display matrix of FFmpeg (of MP4: ISO/IEC 14496-12, 8.2.2) takes (x, y) to (a x + c y, b x + d y), y down.
    Rotations are rounded to quarter turns.
    """
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return False, False, False
    a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5].tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return False, a < 0, d < 0
    return True, c < 0, b < 0


# High dynamic range ----------------------------------------------------------------------------------------


def pq_to_nits(signal: np.ndarray) -> np.ndarray:
    """Luminance in cd/m2 of a PQ signal in 0 to 1 (BT.2100, table 4)."""
    root = np.power(signal, 1 / _M2)
    return 10_000 * np.power(np.maximum(root - _C1, 0) / (_C2 - _C3 * root), 1 / _M1)


def nits_to_pq(nits: np.ndarray) -> np.ndarray:
    """PQ signal in 0 to 1 of a luminance in cd/m2: the inverse of `pq_to_nits`."""
    root = np.power(np.maximum(nits, 0) / 10_000, _M1)
    return np.power((_C1 + _C2 * root) / (1 + _C3 * root), _M2)


def hlg_to_nits(signal: np.ndarray) -> np.ndarray:
    """Light in cd/m2 of an HLG signal in 0 to 1, both (..., 3), on a display of `PEAK_NITS` (BT.2100, table 5)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    return PEAK_NITS * np.power(np.maximum(scene @ _LUMINANCE, 1e-12), 0.2)[..., None] * scene


def roll_off(nits: np.ndarray) -> np.ndarray:
    """Luminance on a display of `WHITE_NITS` for one of at most `PEAK_NITS` (BT.2390, section 5.4.1)."""
    peak = nits_to_pq(np.array(PEAK_NITS))
    white = nits_to_pq(np.array(WHITE_NITS)) / peak
    knee = 1.5 * white - 0.5
    signal = np.minimum(nits_to_pq(nits) / peak, 1)
    t = np.maximum(signal - knee, 0) / (1 - knee)
    hermite = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * white
    return pq_to_nits(np.where(signal < knee, signal, hermite) * peak)


PQ_TABLE = pq_to_nits(np.arange(65536) / 65535)  # light of every 16-bit PQ signal, cd/m2


def to_sdr(image: np.ndarray, transfer: str) -> np.ndarray:
    """An HDR picture (PQ or HLG of BT.2100) as a standard one of BT.709.

    `image` is uint16 (height, width, 3), R'G'B' of BT.2020, full range; `transfer` is ``pq`` or ``hlg``. Returned is a
    uint8 array (height, width, 3): R'G'B' of BT.709, full range.

    Notes
    -----
    1. The signal becomes light: ITU-R BT.2100, PQ by its EOTF, HLG by its inverse OETF and the OOTF of a display
       of 1,000 cd/m2 (system gamma 1.2).
    2. BT.2020 primaries become BT.709 primaries (ITU-R BT.2407, section 2); what lies outside is clipped.
    3. Highlights are rolled off by the EETF of ITU-R BT.2390 (section 5.4.1) from 1,000 to 203 cd/m2, the level of
       diffuse white in BT.2408, applied to the greatest of R, G and B, so that hues stay.
    4. Light becomes signal by the inverse of BT.1886 (gamma 2.4), 203 cd/m2 being white.
    """
    nits = PQ_TABLE[image] if transfer == "pq" else hlg_to_nits(image / 65535)
    nits = np.maximum(nits @ _TO_BT709.T, 0)
    greatest = nits.max(axis=2, keepdims=True)
    nits *= roll_off(greatest) / np.maximum(greatest, 1e-6)
    return np.rint(255 * np.power(np.clip(nits / WHITE_NITS, 0, 1), 1 / 2.4)).astype(np.uint8)
