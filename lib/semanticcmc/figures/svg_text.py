"""SVG whose text is text: searchable, selectable, and the same letters on every machine."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

Weight = Literal["normal", "bold"]
Style = Literal["normal", "italic"]
FAMILY = "DejaVu Sans"  # comes with matplotlib; its licence lets any file embed it
SVG_TEXT = "{http://www.w3.org/2000/svg}text"


def embed_fonts(svg: str) -> str:
    """`svg` with the letters that its texts use, of each of their faces, embedded as fonts of a few kB.

    A picture in a page (``<img>``) sees no fonts but its own: those of the page, and on some machines
    of the system, are out of its reach.

    Parameters
    ----------
    svg : str
        A drawing whose texts are of the family `FAMILY`, their weight and style given by the CSS
        property ``font`` or the attributes ``font-weight`` and ``font-style``. Without texts it stays as it is.
    """
    letters = "".join("".join(text.itertext()) for text in ElementTree.fromstring(svg.encode()).iter(SVG_TEXT))
    if not letters.strip():
        return svg
    rules = "".join(
        f"@font-face{{font-family:'{FAMILY}';font-weight:{weight};font-style:{style};"
        f"src:url(data:font/woff;base64,{_subset(letters, weight, style)}) format('woff')}}"
        for weight, style in _faces(svg)
    )
    start = re.search(r"<svg\b[^>]*>", svg)
    assert start  # it was parsed
    return f'{svg[: start.end()]}<defs><style type="text/css">{rules}</style></defs>{svg[start.end() :]}'


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


def _font_file(weight: Weight, style: Style) -> str:
    from matplotlib.font_manager import FontProperties, findfont

    return findfont(FontProperties(family=FAMILY, weight=weight, style=style), fallback_to_default=False)


def _subset(letters: str, weight: Weight, style: Style) -> str:
    """A face reduced to some letters, as WOFF in base 64."""
    from fontTools.subset import Options, Subsetter
    from fontTools.ttLib import TTFont

    font = TTFont(_font_file(weight, style), recalcTimestamp=False)  # equal letters, equal bytes
    options = Options(hinting=False, name_IDs=[], notdef_outline=True, layout_features=["kern"])
    options.drop_tables += ["FFTM", "GDEF", "GSUB", "MATH"]
    subsetter = Subsetter(options)
    subsetter.populate(text=letters)
    subsetter.subset(font)
    font.flavor = "woff"
    out = io.BytesIO()
    font.save(out)
    return base64.b64encode(out.getvalue()).decode("ascii")
