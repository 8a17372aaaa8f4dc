"""One palette that survives greyscale, styles without names to parse, and points with their intervals."""

import itertools
from html import escape

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb

from semanticcmc.figures import style
from semanticcmc.figures.style import Drawn
from tests.figures.drawing import bars, lightness, points


@given(st.lists(st.floats(0.1, 10_000), min_size=2, max_size=8, unique=True))
@settings(max_examples=30, deadline=None)
def test_lags_get_darker_the_longer_they_are(lags_s):
    colours = style.lag_colours(lags_s)
    shades = [lightness(colours[lag_s]) for lag_s in sorted(lags_s)]
    assert all(b < a - 2 for a, b in itertools.pairwise(shades))
    assert max(shades) < 80  # still seen on white


def test_networks_without_a_lag_are_grey_and_told_apart_without_colour():
    lags_s = {"semantic_60s": 60.0, "mine": np.nan, "cmc_lab": np.nan, "augment": 0.0, "random": np.nan, "older": 0.0}
    styles = style.network_styles(lags_s)
    assert list(styles) == ["random", "augment", "cmc_lab", "mine", "older", "semantic_60s"]
    grey = [styles[name] for name in list(styles)[:-1]]
    assert all(len(set(to_rgb(look["color"]))) == 1 for look in grey)
    assert len({look["marker"] for look in grey}) == len(grey)
    assert [look["label"] for look in styles.values()] == ["random", "augment", "L / ab", "mine", "older", "60 s"]


def test_networks_are_told_by_their_lag_and_not_by_their_name():
    styles = style.network_styles({"b": 1.0, "a": 60.0})
    assert {name: look["label"] for name, look in styles.items()} == {"b": "1 s", "a": "60 s"}
    assert list(styles) == ["b", "a"]
    assert lightness(styles["a"]["color"]) < lightness(styles["b"]["color"])


def test_models_differ_in_lightness_and_marker():
    looks = list(style.MODEL_STYLES.values())
    assert abs(lightness(looks[0]["color"]) - lightness(looks[1]["color"])) > 20
    assert len({look["marker"] for look in looks}) == len(looks)


def test_64_groups_have_64_styles():
    styles = style.group_styles(f"group {i:02d}" for i in range(64))
    assert len({(look["color"], look["marker"]) for look in styles.values()}) == 64


@pytest.mark.parametrize(
    ("lag_s", "text"),
    [
        (0.2, "0.2 s"),
        (1, "1 s"),
        (45, "45 s"),
        (60, "60 s"),
        (90, "90 s"),
        (180, "3 min"),
        (600, "10 min"),
        (3600, "1 h"),
        (5400, "1.5 h"),
    ],
)
def test_a_lag_is_said_in_the_unit_that_fits(lag_s, text):
    assert style.lag_text(lag_s) == text


@pytest.mark.parametrize("across", [False, True])
def test_marks_are_at_their_values_with_their_intervals_hollow_where_asked(across):
    rows = pd.DataFrame({"mantel_r": [0.3, 0.1], "ci_low": [0.2, 0.0], "ci_high": [0.5, 0.4]})
    [ax] = style.panels()
    style.marks(ax, rows, [1, 2], {"color": "#ff0000", "marker": "o"}, filled=[True, False], across=across, gid="a")
    assert points(ax, "a", axis=0 if across else 1) == [(0.3, True), (0.1, False)]
    assert bars(ax, 0 if across else 1) == {(0.2, 0.5), (0.0, 0.4)}


def test_drawn_is_axes_text_and_caption():
    axes = style.panels(1, 2)
    drawn = Drawn(axes, "what it shows")
    assert tuple(drawn) == (axes, "what it shows", "")
    assert drawn.figure is axes[0].figure


@pytest.mark.parametrize("text", ["Ba$$in", "50% off: $5 #1", "$x^2$", "a_b^c", "<b>&amp;", "\\frac{1}{2}"])
def test_text_of_others_is_drawn_as_it_stands(text, tmp_path):
    style.use_house_style()
    [ax] = style.panels()
    ax.set(title=text, xlabel=text)
    ax.plot([0], [0], label=text)
    ax.legend()
    ax.figure.savefig(tmp_path / "a.svg")
    drawn = "".join((tmp_path / "a.svg").read_text())
    assert drawn.count(f">{escape(text, quote=False)}<") == 3
