# ruff: noqa: D103, E501 (a drawing: numbers are places on it)
"""Draw `two_views.svg`, the poster's diagram of what the networks are taught: `python papers/two_views.py`.

Left, SemanticCMC: a frame and the frame a lag later pass one encoder, and their codes are drawn
together and away from the codes of other frames. Right, CMC: the two views are the lightness (L) and
the colour (ab) of one frame. Needs scikit-image (in the extra `test`) for exact L and ab.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from skimage.color import lab2rgb, rgb2lab

from semanticcmc.figures.svg_text import FAMILY, embed_fonts

INK, QUIET, RULE, PAPER = "#1F2430", "#5B6270", "#C9CED6", "#FFFFFF"
FIRST, SECOND = "#C64F63", "#4B2A74"
FONT = f"font-family=\"'{FAMILY}'\""
WIDTH, HEIGHT = 1000, 720
Palette = Callable[[str], str]


def rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])


def text_of(values: np.ndarray) -> str:
    return "#" + "".join(f"{round(255 * value):02X}" for value in np.clip(values, 0, 1))


def in_colour(colour: str) -> str:
    return colour


def lightness(colour: str) -> str:
    """The colour's L alone: grey."""
    lab = rgb2lab(rgb(colour))
    return text_of(lab2rgb(np.array([lab[0], 0.0, 0.0])))


def chroma(colour: str) -> str:
    """The colour's a and b alone, all at one lightness."""
    lab = rgb2lab(rgb(colour))
    return text_of(lab2rgb(np.array([68.0, lab[1], lab[2]])))


def rect(x: float, y: float, w: float, h: float, fill: str, more: str = "") -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" fill="{fill}" {more}/>'


def circle(x: float, y: float, r: float, fill: str, more: str = "") -> str:
    return f'<circle cx="{x:g}" cy="{y:g}" r="{r:g}" fill="{fill}" {more}/>'


def path(d: str, fill: str = "none", more: str = "") -> str:
    return f'<path d="{d}" fill="{fill}" {more}/>'


def text(
    x: float, y: float, words: str, size: float = 23, colour: str = INK, anchor: str = "middle", more: str = ""
) -> str:
    return f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" fill="{colour}" text-anchor="{anchor}" {FONT} {more}>{words}</text>'


def arrow(x0: float, y0: float, x1: float, y1: float, colour: str = INK, width: float = 3.2) -> str:
    angle = math.atan2(y1 - y0, x1 - x0)
    head = 14.0
    left, right = ((x1 - head * math.cos(angle + turn), y1 - head * math.sin(angle + turn)) for turn in (0.45, -0.45))
    x2, y2 = x1 - 0.8 * head * math.cos(angle), y1 - 0.8 * head * math.sin(angle)
    line = path(f"M{x0:g} {y0:g} L{x2:.1f} {y2:.1f}", more=f'stroke="{colour}" stroke-width="{width}"')
    return line + path(f"M{x1:g} {y1:g} L{left[0]:.1f} {left[1]:.1f} L{right[0]:.1f} {right[1]:.1f} Z", colour)


# Pictures of 120 x 90, each a moment of a film.
def cup(c: Palette, x: float, y: float, s: float = 1.0) -> str:
    return (
        path(
            f"M{x + 26 * s:g} {y + 8 * s:g} q{20 * s:g} {-2 * s:g} {14 * s:g} {14 * s:g} q{-6 * s:g} {9 * s:g} {-17 * s:g} {7 * s:g}",
            more=f'stroke="{c("#C23B3B")}" stroke-width="{5 * s:g}"',
        )
        + path(f"M{x:g} {y:g} h{30 * s:g} l{-3 * s:g} {32 * s:g} q{-12 * s:g} {6 * s:g} {-24 * s:g} 0 Z", c("#D94B45"))
        + f'<ellipse cx="{x + 15 * s:g}" cy="{y:g}" rx="{15 * s:g}" ry="{4 * s:g}" fill="{c("#5A2A22")}"/>'
    )


def kettle(c: Palette, x: float, y: float, s: float = 1.0) -> str:
    return (
        path(
            f"M{x - 4 * s:g} {y + 16 * s:g} q{-16 * s:g} {-4 * s:g} {-16 * s:g} {-16 * s:g} l{8 * s:g} {-1 * s:g} q{2 * s:g} {6 * s:g} {12 * s:g} {6 * s:g} Z",
            c("#4C7FA8"),
        )
        + path(
            f"M{x - 6 * s:g} {y + 34 * s:g} q{-2 * s:g} {-34 * s:g} {22 * s:g} {-34 * s:g} q{24 * s:g} 0 {22 * s:g} {34 * s:g} Z",
            c("#5D95BF"),
        )
        + path(
            f"M{x + 2 * s:g} {y + 4 * s:g} q{14 * s:g} {-28 * s:g} {28 * s:g} 0",
            more=f'stroke="{c("#2F3A46")}" stroke-width="{4 * s:g}"',
        )
    )


def kitchen(c: Palette, what: str) -> str:
    wall = rect(0, 0, 120, 90, c("#F1D9A7")) + rect(0, 60, 120, 30, c("#A9713D"))
    tiles = "".join(rect(x, 6, 1.5, 40, c("#E3C486")) for x in range(15, 120, 30))
    board = f'<ellipse cx="60" cy="68" rx="46" ry="8" fill="{c("#C9915A")}"/>'
    if what == "both":
        return wall + tiles + board + kettle(c, 34, 34) + cup(c, 76, 40, 0.8)
    if what == "cup":
        return wall + rect(0, 54, 120, 36, c("#B67C45")) + cup(c, 40, 24, 1.35)
    return wall + tiles + rect(0, 58, 120, 32, c("#B67C45")) + kettle(c, 48, 29, 1.15)


def street(c: Palette, what: str) -> str:
    sky = rect(0, 0, 120, 90, c("#BFE0EE")) + rect(0, 62, 120, 29, c("#7A7F86"))
    house = rect(64, 22, 40, 42, c("#D98C5F")) + path("M58 24 L84 4 L110 24 Z", c("#8A4632"))
    house += rect(72, 34, 10, 12, c("#F6E7B8")) + rect(88, 34, 10, 12, c("#F6E7B8"))
    tree = rect(26, 40, 6, 24, c("#7B5130")) + circle(29, 32, 17, c("#4E9A51"))
    car = path("M18 70 q2 -10 12 -10 l6 -9 q2 -3 6 -3 h18 q4 0 6 3 l6 9 q12 1 12 10 Z", c("#2F6FB3"))
    car += circle(34, 71, 7, c("#23272F")) + circle(72, 71, 7, c("#23272F"))
    if what == "car":
        return sky + f'<g transform="translate(6 -6) scale(1.08)">{car}</g>'
    return sky + tree + house + (car if what == "both" else "")


def frame(x: float, y: float, picture: str, scale: float = 1.0, edge: str = "", dim: bool = False) -> str:
    w, h = 120 * scale, 90 * scale
    faded = rect(0, 0, 120, 90, PAPER, 'opacity="0.55"') if dim else ""
    border = rect(x, y, w, h, "none", f'stroke="{edge}" stroke-width="6"') if edge else ""
    return f'<svg x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" viewBox="0 0 120 90">{picture}{faded}</svg>{border}'


def encoder(x: float, y: float, top: float, bottom: float, height: float, fill: str = INK) -> str:
    d = f"M{x - top / 2:g} {y:g} h{top:g} L{x + bottom / 2:g} {y + height:g} h{-bottom:g} Z"
    return path(d, fill, 'stroke-linejoin="round"')


def strip() -> str:
    """A film strip of six frames, the two that make a pair marked, and the lag between them."""
    pictures = [
        street(in_colour, "none"),
        kitchen(in_colour, "both"),
        kitchen(in_colour, "cup"),
        kitchen(in_colour, "kettle"),
        street(in_colour, "both"),
    ]
    x0, y0, step = 8, 92, 128
    length = step * len(pictures) + 10
    parts = [rect(x0, y0 - 20, length, 130, INK, 'rx="5"')]
    for i in range(int(length / 20)):
        for y in (y0 - 14, y0 + 97):
            parts.append(rect(x0 + 6 + i * 20, y, 9, 7, PAPER, 'rx="2" opacity="0.85"'))
    for i, picture in enumerate(pictures):
        edge = {1: FIRST, 3: SECOND}.get(i, "")
        parts.append(frame(x0 + 9 + step * i, y0, picture, edge=edge, dim=not edge))
    first, second = x0 + 9 + step + 60, x0 + 9 + 3 * step + 60
    bracket = f"M{first} 66 V44 H{second} V66"
    parts.append(path(bracket, more=f'stroke="{INK}" stroke-width="3"'))
    parts.append(rect((first + second) / 2 - 62, 26, 124, 34, PAPER))
    parts.append(text((first + second) / 2, 53, "time lag", 29, more='font-style="italic"'))
    return "".join(parts)


def codes(x: float, y: float, r: float) -> str:
    """The space of codes: a pair drawn together, others pushed away."""
    parts = [circle(x, y, r, "#F4F2EE", f'stroke="{RULE}" stroke-width="3"')]
    others = [(0.15, 0.80), (1.0, 0.74), (2.05, 0.80), (2.9, 0.72), (3.9, 0.82), (5.2, 0.80)]
    for angle, far in others:
        px, py = x + far * r * math.cos(angle), y + far * r * math.sin(angle)
        parts.append(
            arrow(
                x + 0.46 * r * math.cos(angle),
                y + 0.46 * r * math.sin(angle),
                x + (far - 0.14) * r * math.cos(angle),
                y + (far - 0.14) * r * math.sin(angle),
                RULE,
                2.4,
            )
        )
        parts.append(circle(px, py, 8, "#9AA1AC"))
    parts += [
        path(f"M{x - 17:g} {y:g} H{x + 17:g}", more=f'stroke="{INK}" stroke-width="3"'),
        circle(x - 25, y, 13, FIRST),
        circle(x + 25, y, 13, SECOND),
    ]
    return "".join(parts)


def semantic() -> str:
    first, second = 205, 461
    middle = (first + second) / 2
    parts = [strip()]
    for x, name, colour in (
        (first, "frame <tspan font-style='italic'>t</tspan>", FIRST),
        (second, "frame <tspan font-style='italic'>t</tspan> + lag", SECOND),
    ):
        parts.append(text(x, 234, name, 29, colour))
        parts.append(arrow(x, 246, x, 284, colour))
        parts.append(encoder(x, 292, 164, 98, 92))
        parts.append(text(x, 347, "encoder", 29, PAPER))
    parts.append(
        path(
            f"M{first + 66} 338 H{second - 66}",
            more=f'stroke="{INK}" stroke-width="3" stroke-dasharray="2 8" stroke-linecap="round"',
        )
    )
    parts.append(rect(middle - 64, 302, 128, 72, PAPER))
    parts += [text(middle, 330, "same", 29, QUIET), text(middle, 362, "weights", 29, QUIET)]
    parts.append(arrow(first, 388, middle - 76, 458, FIRST))
    parts.append(arrow(second, 388, middle + 76, 458, SECOND))
    parts.append(codes(middle, 556, 118))
    parts += [
        text(middle - 136, 552, "a pair", 29, QUIET, "end"),
        text(middle - 136, 586, "attracts", 29, QUIET, "end"),
    ]
    parts += [
        text(middle + 136, 552, "all others", 29, QUIET, "start"),
        text(middle + 136, 586, "repel", 29, QUIET, "start"),
    ]
    return "".join(parts)


def lab() -> str:
    x, left, right = 845, 772, 918
    parts = [path("M684 20 V680", more=f'stroke="{RULE}" stroke-width="3"')]
    parts.append(text(x, 53, "one frame, halved", 29, more='font-style="italic"'))
    parts.append(frame(x - 60, 76, kitchen(in_colour, "both")))
    parts += [arrow(x - 30, 172, left, 212), arrow(x + 30, 172, right, 212)]
    parts += [frame(left - 60, 220, kitchen(lightness, "both")), frame(right - 60, 220, kitchen(chroma, "both"))]
    parts += [
        text(left, 344, "L", 29, more='font-style="italic"'),
        text(right, 344, "ab", 29, more='font-style="italic"'),
    ]
    for at in (left, right):
        parts.append(encoder(at, 356, 104, 60, 66, QUIET))
        parts.append(text(at, 397, "half", 29, PAPER))
    parts += [arrow(left, 426, x - 52, 474), arrow(right, 426, x + 52, 474)]
    parts.append(codes(x, 556, 92).replace(FIRST, "#8D939D").replace(SECOND, "#E0A03A"))
    return "".join(parts)


def main() -> None:
    captions = text(333, 711, "SemanticCMC", 32, more='font-weight="bold"') + text(
        845, 711, "CMC", 32, more='font-weight="bold"'
    )
    drawing = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">'
        f"<title>Two views</title>{semantic()}{lab()}{captions}</svg>\n"
    )
    (Path(__file__).parent / "two_views.svg").write_text(embed_fonts(drawing), encoding="utf-8")


if __name__ == "__main__":
    main()
