"""Films whose pictures carry a burnt-in counter, encoded by the tests; what is on screen when, by the definition."""

from bisect import bisect_right
from fractions import Fraction

import av
import numpy as np

WIDTH, HEIGHT, BLOCK = 96, 64, 16
B_FRAMES = {"bf": "3", "b_adapt": "0", "x264-params": "b-adapt=0", "g": "250"}
RATES = {"23.976": Fraction(24000, 1001), "25": Fraction(25), "29.97": Fraction(30000, 1001)}


def counter(number):
    """A picture that says its number in 24 black and white blocks."""
    bits = (number >> np.arange(24)) & 1
    blocks = np.kron(bits.reshape(HEIGHT // BLOCK, WIDTH // BLOCK), np.ones((BLOCK, BLOCK)))
    return np.repeat((40 + 170 * blocks).astype(np.uint8)[..., None], 3, axis=2)


def number(image):
    """What `counter` wrote, from the middles of the blocks."""
    middles = image[BLOCK // 2 :: BLOCK, BLOCK // 2 :: BLOCK].mean(axis=2)
    return int(((middles.ravel() > 125) << np.arange(24)).sum())


def moving(number):
    """The counter on a texture that moves and flickers, so that a picture with a wrong reference looks wrong."""
    texture = np.random.default_rng(7).integers(-30, 30, (HEIGHT, WIDTH))
    texture = np.roll(texture, (number, 2 * number), (0, 1)) + 20 * np.sin(number * 1.7)
    return np.clip(counter(number) + texture[..., None], 0, 255).astype(np.uint8)


def film(
    path,
    pts,
    time_base,
    codec="libx264",
    options=None,
    container=None,
    aspect=None,
    picture=counter,
    pix_fmt="yuv420p",
    field_order=None,
):
    """Encode `picture(i)`, counters as a rule, shown from `pts` (in units of `time_base`).

    `field_order` (tff, bff) flags the pictures as interlaced.
    """
    with av.open(str(path), "w", options=container or {}) as out:
        stream = out.add_stream(codec, rate=25, options=options or {})
        height, width = picture(0).shape[:2]
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.codec_context.time_base = stream.time_base = time_base
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        for i, at in enumerate(pts):
            frame = av.VideoFrame.from_ndarray(picture(i), format="rgb24")
            if field_order:
                frame = _interlaced(frame.reformat(format=pix_fmt), field_order)
            frame.pts, frame.time_base = at, time_base
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def _interlaced(frame, field_order):
    graph = av.filter.Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1))
    graph.link_nodes(source, graph.add("setfield", f"mode={field_order}"), graph.add("buffersink")).configure()
    graph.push(frame)
    return graph.vpull()


def constant(path, n, rate, **keywords):
    rate = Fraction(rate)
    return film(path, [i * rate.denominator for i in range(n)], Fraction(1, rate.numerator), **keywords)


def on_screen(pts, time_base, frames_per_s):
    """Second of the grid -> number of the picture then, by the definition; the last one stays for its step."""
    seconds = [Fraction(p - pts[0]) * time_base for p in pts]
    grid = {Fraction(k) / frames_per_s for k in range(int(seconds[-1] * frames_per_s) + 1)}
    return {float(t): bisect_right(seconds, t) - 1 for t in sorted(grid)}


def damaged(path, numbers):
    """Zeros in place of what is stored of some pictures (their numbers in presentation order)."""
    with av.open(str(path)) as container:
        packets = sorted((p for p in container.demux(video=0) if p.size), key=lambda p: p.pts)
    content = bytearray(path.read_bytes())
    for packet in (packets[k] for k in numbers):
        content[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    path.write_bytes(content)
