"""Text of a drawing is text, and its letters travel with it."""

import base64
import io
import itertools
import re
from xml.etree import ElementTree

from fontTools.ttLib import TTFont

from semanticcmc.figures.lag_curve import lag_curve
from semanticcmc.figures.save import save
from semanticcmc.figures.svg_text import FAMILY, embed_fonts, font_files
from tests.figures.drawing import curve_table, selection

SVG = "{http://www.w3.org/2000/svg}"


def embedded_fonts(svg):
    """Fonts that an SVG carries, by weight and style."""
    rules = re.findall(
        r"@font-face\{font-family:'([^']+)';font-weight:(\w+);font-style:(\w+);"
        r"src:url\(data:font/woff;base64,([^)]+)\)",
        svg,
    )
    assert {family for family, *_ in rules} == {FAMILY}
    return {(weight, slant): TTFont(io.BytesIO(base64.b64decode(data))) for _, weight, slant, data in rules}


def test_text_of_a_saved_figure_is_text_and_its_letters_travel_with_it(experiment):
    drawn = lag_curve(curve_table(), selection())
    drawn.axes[0].set_title("R² of Größe, −0.5")
    svg = save(drawn, experiment, "a", []).png.with_suffix(".svg").read_text(encoding="utf-8")
    said = ["".join(text.itertext()) for text in ElementTree.fromstring(svg.encode()).iter(f"{SVG}text")]
    assert {"R² of Größe, −0.5", "time lag between the two views", "correlation with the model, r"} <= set(said)
    fonts = embedded_fonts(svg)
    assert set(fonts) == {("normal", "normal"), ("bold", "normal")}, "the faces that are used"
    faces = itertools.product(("normal", "bold"), ("normal", "italic"))
    whole = dict(zip(faces, font_files(), strict=True))
    for face, font in fonts.items():
        full = TTFont(whole[face])
        for letter in set("".join(said)):
            glyph, original = font.getBestCmap()[ord(letter)], full.getBestCmap()[ord(letter)]
            assert font["hmtx"][glyph][0] == full["hmtx"][original][0], "no letter is wider than it was"
        assert font["head"].modified == full["head"].modified, "nothing of the moment in the file"
    assert len(svg) - len(re.sub("base64,[^)]*", "", svg)) < 60_000


def test_characters_that_xml_cannot_hold_are_left_out(experiment):
    drawn = lag_curve(curve_table(), selection())
    drawn.axes[0].set_title("a\x01b & <c>\x0b\ufffe")
    svg = save(drawn, experiment, "a", []).png.with_suffix(".svg").read_text(encoding="utf-8")
    said = ["".join(text.itertext()) for text in ElementTree.fromstring(svg.encode()).iter(f"{SVG}text")]
    assert "ab & <c>" in said


def test_a_drawing_without_text_stays_as_it_is():
    drawing = '<svg xmlns="http://www.w3.org/2000/svg"><rect width="1" height="1"/></svg>'
    assert embed_fonts(drawing) == drawing
