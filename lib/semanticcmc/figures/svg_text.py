"""SVG whose text is text: searchable, selectable, and the same letters on every machine."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

FAMILY = "DejaVu Sans"  # comes with matplotlib; its licence lets any file embed it
FACES = [(weight, style) for weight in ("normal", "bold") for style in ("normal", "italic")]
SVG_TEXT = "{http://www.w3.org/2000/svg}text"


def embed_fonts(svg: str) -> str:
    """`svg` with the letters that its texts use, of each of their faces, embedded as fonts of a few kB.

    A picture in a page (``<img>``) sees no fonts but its own: those of the page, and on some machines of the system,
    are out of its reach. Texts are of the family `FAMILY`, weight and style given by the CSS property ``font`` or the
    attributes ``font-weight`` and ``font-style``. A drawing without texts stays as it is.
    """
    svg = re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "", svg)  # for which XML has no place
    letters = "".join("".join(text.itertext()) for text in ElementTree.fromstring(svg.encode()).iter(SVG_TEXT))
    if not letters.strip():
        return svg
    fonts = "".join(_rule(letters, *face) for face in _faces(svg))
    style = f'<defs><style type="text/css">{fonts}</style></defs>'
    return re.sub(r"<svg\b[^>]*>", lambda start: start[0] + style, svg, count=1)


def _faces(svg: str) -> list[tuple[str, str]]:
    """Weight and style of the faces that any text may want."""
    said = " ".join(re.findall(r"font(?:-weight|-style)?\s*[:=]\s*['\"]?([^;\"]*)", svg))
    bold, slanted = re.search(r"\b(bold|[6-9]00)\b", said), re.search(r"\b(italic|oblique)\b", said)
    return [face for face in FACES if (bold or face[0] == "normal") and (slanted or face[1] == "normal")]


def font_files() -> list[Path]:
    """Files of the family's faces, for programs that draw an SVG's texts with fonts that they are given."""
    return [Path(_font_file(*face)) for face in FACES]


def _font_file(weight: Any, style: Any, family: str = FAMILY) -> str:
    from matplotlib.font_manager import FontProperties, findfont

    return findfont(FontProperties(family=family, weight=weight, style=style), fallback_to_default=False)


def font_faces(letters: str, family: str) -> str:
    """CSS rules that carry four faces of a family that comes with matplotlib, reduced to some letters."""
    return "".join(_rule(letters, *face, family) for face in FACES)


def _rule(letters: str, weight: Any, style: Any, family: str = FAMILY) -> str:
    """CSS rule that carries a face, reduced to some letters, as WOFF in base 64."""
    import uharfbuzz as hb
    from fontTools.ttLib import TTFont

    wanted = hb.SubsetInput()
    wanted.unicode_set.update(map(ord, letters))
    wanted.flags = hb.SubsetFlags.NO_HINTING | hb.SubsetFlags.NOTDEF_OUTLINE
    wanted.name_id_set.clear()
    wanted.drop_table_tag_set.update(int.from_bytes(tag, "big") for tag in (b"GDEF", b"GSUB", b"MATH", b"gasp"))
    face = hb.Face(hb.Blob.from_file_path(_font_file(weight, style, family)))
    font = TTFont(io.BytesIO(hb.subset(face, wanted).blob.data), recalcTimestamp=False)  # equal letters, equal bytes
    font.flavor = "woff"
    out = io.BytesIO()
    font.save(out)
    return (
        f"@font-face{{font-family:'{family}';font-weight:{weight};font-style:{style};"
        f"src:url(data:font/woff;base64,{base64.b64encode(out.getvalue()).decode()}) format('woff')}}"
    )
