"""SVG whose text is text: searchable, selectable, and the same letters on every machine."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import Literal, get_args
from xml.etree import ElementTree

Weight = Literal["normal", "bold"]
Style = Literal["normal", "italic"]
FAMILY = "DejaVu Sans"  # comes with matplotlib; its licence lets any file embed it
SVG_TEXT = "{http://www.w3.org/2000/svg}text"


def embed_fonts(svg: str) -> str:
    """`svg` with the letters that its texts use, of each of their faces, embedded as fonts of a few kB.

    A picture in a page (``<img>``) sees no fonts but its own: those of the page, and on some machines of the system,
    are out of its reach. Texts are of the family `FAMILY`, weight and style given by the CSS property ``font`` or the
    attributes ``font-weight`` and ``font-style``. A drawing without texts stays as it is.
    """
    letters = "".join("".join(text.itertext()) for text in ElementTree.fromstring(svg.encode()).iter(SVG_TEXT))
    if not letters.strip():
        return svg
    rules = "".join(_rule(letters, weight, style) for weight, style in _faces(svg))
    start = re.search(r"<svg\b[^>]*>", svg)
    assert start  # it was parsed
    return f'{svg[: start.end()]}<defs><style type="text/css">{rules}</style></defs>{svg[start.end() :]}'


def without_caption(svg: str) -> str:
    """A figure's drawing without the caption at its foot, which `style.caption` set; for where it is set as text."""
    found = re.search(r'<g id="caption">(.*?)</g>', svg, re.DOTALL)
    if not found:
        return svg
    tops = [float(y) for y in re.findall(r'(?:translate\([-\d.]+[ ,]|\by=")([\d.]+)', found[1])]
    height = min(tops) - 10  # the baseline of its first line, less the height of a letter
    svg = svg[: found.start()] + svg[found.end() :]
    svg = re.sub(r'height="[\d.]+pt"', f'height="{height:g}pt"', svg, count=1)
    return re.sub(r'viewBox="0 0 ([\d.]+) [\d.]+"', rf'viewBox="0 0 \1 {height:g}"', svg, count=1)


def _faces(svg: str) -> list[tuple[Weight, Style]]:
    """Weight and style of the faces that any text may want."""
    said = " ".join(re.findall(r"font(?:-weight|-style)?\s*[:=]\s*['\"]?([^;\"]*)", svg))
    weights: list[Weight] = ["normal"]
    styles: list[Style] = ["normal"]
    if re.search(r"\b(bold|[6-9]00)\b", said):
        weights.append("bold")
    if re.search(r"\b(italic|oblique)\b", said):
        styles.append("italic")
    return [(weight, style) for weight in weights for style in styles]


def font_files() -> list[Path]:
    """Files of the family's faces, for programs that draw an SVG's texts with fonts that they are given."""
    weights: tuple[Weight, ...] = ("normal", "bold")
    styles: tuple[Style, ...] = ("normal", "italic")
    return [Path(_font_file(weight, style)) for weight in weights for style in styles]


def _font_file(weight: Weight, style: Style, family: str = FAMILY) -> str:
    from matplotlib.font_manager import FontProperties, findfont

    return findfont(FontProperties(family=family, weight=weight, style=style), fallback_to_default=False)


def font_faces(letters: str, family: str) -> str:
    """CSS rules that carry four faces of a family that comes with matplotlib, reduced to some letters."""
    faces: list[tuple[Weight, Style]] = [(w, s) for w in get_args(Weight) for s in get_args(Style)]
    return "".join(_rule(letters, *face, family) for face in faces)


def _rule(letters: str, weight: Weight, style: Style, family: str = FAMILY) -> str:
    return (
        f"@font-face{{font-family:'{family}';font-weight:{weight};font-style:{style};"
        f"src:url(data:font/woff;base64,{_subset(letters, weight, style, family)}) format('woff')}}"
    )


def _subset(letters: str, weight: Weight, style: Style, family: str = FAMILY) -> str:
    """A face reduced to some letters, as WOFF in base 64."""
    from fontTools.subset import Options, Subsetter
    from fontTools.ttLib import TTFont

    font = TTFont(_font_file(weight, style, family), recalcTimestamp=False, lazy=True)  # equal letters, equal bytes
    options = Options(hinting=False, name_IDs=[], notdef_outline=True, layout_features=["kern"])
    options.drop_tables += ["FFTM", "GDEF", "GSUB", "MATH"]
    subsetter = Subsetter(options)
    subsetter.populate(text=letters)
    subsetter.subset(font)
    font.flavor = "woff"
    out = io.BytesIO()
    font.save(out)
    return base64.b64encode(out.getvalue()).decode("ascii")
