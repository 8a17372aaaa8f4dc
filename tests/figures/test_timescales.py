"""Figures of time scales show what their tables hold."""

import itertools

import numpy as np
import pandas as pd
import pytest

from semanticcmc.figures import timescales
from tests.figures.drawing import gids, heights, line, selection, texts

LEVELS = ("film base rate", "corpus base rate")


def table(measures=("appearance", "association")):
    generator = np.random.default_rng(0)
    rows = []
    for measure, level, lag_s in itertools.product(measures, LEVELS, (60, 0, 1, 5, 20)):
        value = generator.uniform(0, 1)
        rows.append((measure, level, lag_s, value, value - 0.1, value + 0.2, -0.03, 0.04))
    columns = ["measure", "level", "lag_s", "value", "ci_low", "ci_high", "null_low", "null_high"]
    return pd.DataFrame(rows, columns=columns)


NONE = pd.DataFrame(columns=["measure", "level", "half_strength_s", "half_strength_low_s", "half_strength_high_s"])


def draw(shown, half_strengths=NONE, truth=None, **said):
    return timescales.persistence(shown, half_strengths, truth, confidence=0.95, count=12, **said)


def test_both_measures_are_on_one_axis_with_interval_null_and_truth():
    shown = table()
    truth = pd.DataFrame({"measure": "association", "lag_s": [0, 1, 10, 60, 900], "value": [1, 0.9, 0.5, 0.1, 0]})
    [ax], alt, caption = draw(shown.sample(frac=1, random_state=0), truth=truth, seconds=7200, shared=0.25)
    assert "looks, associations" in alt and "no lag" in alt
    assert "12 films, 2.0 h" in caption and "bootstrap over films" in caption and "0.25 of it" in caption
    for measure, level in itertools.product(("appearance", "association"), LEVELS):
        rows = shown[(shown.measure == measure) & (shown.level == level) & (shown.lag_s > 0)].sort_values("lag_s")
        drawn = line(ax, f"{measure} {level}")
        assert drawn.get_xdata().tolist() == [1, 5, 20, 60]
        assert drawn.get_ydata() == pytest.approx(rows.value.to_numpy())
        for gid, low, high in (("interval", "ci_low", "ci_high"), ("null", "null_low", "null_high")):
            found = heights(ax, f"{gid} {measure} {level}")
            for _, row in rows.iterrows():
                assert found[row.lag_s] == pytest.approx((row[low], row[high]))
    assert line(ax, "truth association").get_xdata().tolist() == [1, 10, 60]  # within the lags that were measured
    assert ax.get_xscale() == "log"


def test_half_strengths_are_where_they_are_on_the_axis_of_lag():
    constants = pd.DataFrame(
        [
            ("appearance", LEVELS[0], 4.0, 3.0, 5.0),
            ("appearance", LEVELS[1], 9.0, 8.0, 10.0),
            ("association", LEVELS[0], 30.0, 20.0, np.inf),
            ("rms", LEVELS[0], np.nan, np.nan, np.nan),
        ],
        columns=["measure", "level", "half_strength_s", "half_strength_low_s", "half_strength_high_s"],
    )
    [ax], alt, caption = draw(table(("appearance", "association", "rms")), constants, layer="fc7")
    assert alt.endswith("half at: looks 4 s (3 s to 5 s). associations 30 s (20 s to beyond all lags).")
    assert caption.startswith("12 films; ") and "untrained features: fc7" in caption
    assert line(ax, "half strength appearance").get_xdata().tolist() == [4.0]
    assert line(ax, "half strength interval appearance").get_xdata().tolist() == [3.0, 5.0]
    assert line(ax, "half strength interval association").get_xdata().tolist() == [20.0, 60.0]  # the longest lag
    assert not any("half strength" in gid and "rms" in gid for gid in gids(ax))
    assert texts(ax.texts) == ["4 s (3 s to 5 s)", "30 s (20 s to beyond all lags)"]


def test_a_measure_without_corpus_level_or_null_is_drawn():
    shown = table(("appearance",)).assign(null_low=np.nan, null_high=np.nan)
    shown.loc[shown.level == LEVELS[1], ["value", "ci_low", "ci_high"]] = np.nan
    [ax] = draw(shown).axes
    assert {"appearance film base rate"} <= gids(ax) and "appearance corpus base rate" not in gids(ax)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0.2 s"),
        (7.31, "7.3 s"),
        (99.4, "99 s"),
        (119, "2 min"),
        (246, "4.1 min"),
        (9000, "2.5 h"),
        (np.inf, "whole film"),
    ],
)
def test_times_are_said_with_two_digits(seconds, text):
    assert timescales.time_text(seconds) == text


def test_ticks_are_round_lags_where_there_are_some():
    assert timescales.round_lags([1, 7, 40, 90]) == [1, 3, 10, 30, 60]
    assert timescales.round_lags([2, 3, 4]) == [2, 3, 4]


def meaning(half_s=40.0):
    """Tables of `timescales.meaning`: both models fall from 0.08, which half a minute halves."""
    lags_s = np.array([0.0, 2, 10, 30, 60, 180])
    r = 0.08 * 0.5 ** (lags_s / 30)
    columns = {"r": r, "ci_low": r - 0.01, "ci_high": r + 0.01, "shuffled_high": 0.07 * 0.5 ** (lags_s / 10)}
    curve = pd.DataFrame(
        {"lag_s": lags_s, "films": 12, "confidence": 0.95, "paired_low": -0.02, "paired_high": 0.02} | columns
    )
    scales = pd.DataFrame({"model": ["category", "lch"], "half_strength_s": half_s})
    return pd.concat([curve.assign(model=model) for model in ("category", "lch")]), scales


def test_meaning_is_drawn_as_the_tables_have_it():
    table, scales = meaning()
    drawn = timescales.meaning(table, scales, selection())
    [ax] = drawn.axes
    lines = {line.get_gid(): line for line in ax.get_lines()}
    for model in ("category", "lch"):
        rows = table[(table.model == model) & (table.lag_s > 0)]
        np.testing.assert_allclose(lines[f"meaning {model}"].get_xydata(), rows[["lag_s", "r"]])
        np.testing.assert_allclose(lines[f"shuffled {model}"].get_ydata(), rows.shuffled_high)
        np.testing.assert_allclose(lines[f"half {model}"].get_xydata(), [[40, 0.04]])
    assert {band.get_gid() for band in ax.collections} >= {"interval lch", "paired lch"}
    assert "2 s 0.076" in drawn.alt and drawn.caption.startswith("12 films; bands: 95")
    timescales.meaning(table.assign(r=np.nan), scales.assign(half_strength_s=np.nan), selection())  # too short for any
