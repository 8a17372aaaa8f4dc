"""Figures of time scales show what their tables hold."""

import itertools

import numpy as np
import pandas as pd
import pytest

from semanticcmc.figures import timescales
from tests.figures.drawing import bars, gids, heights, line, points, texts, values

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
    [ax], alt, caption = draw(table(("appearance", "association", "rms")), constants, unit="segment", layer="fc7")
    assert alt.endswith("half at: looks 4 s (3 s to 5 s). associations 30 s (20 s to beyond all lags).")
    assert caption.startswith("12 segments; ") and "untrained features: fc7" in caption
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


def r2_table():
    lag_s = np.linspace(0.01, 1.2, 7)
    return pd.DataFrame(
        [
            (film_s, half_life_s, share * film_s, 0.1 + (share - 0.5) ** 2)
            for film_s in (1200.0, 6000.0)
            for half_life_s in (10.0, np.inf)
            for share in lag_s
        ],
        columns=["film_s", "half_life_s", "lag_s", "mean_r2"],
    )


def test_r2_is_drawn_by_film_lengths_with_its_minimum():
    shown = r2_table()
    drawn = timescales.r2_by_lag(shown, films=48, parts=8, interval_s=10)
    lowest = []
    for ax, film_s in zip(drawn.axes, (1200.0, 6000.0), strict=True):
        curves = [one for one in ax.get_lines() if len(one.get_xdata()) > 2]
        [crosses] = [c for c in ax.collections if len(c.get_offsets())]
        places = np.ma.getdata(crosses.get_offsets())
        for one, half_life_s in zip(curves, (10.0, np.inf), strict=True):
            own = shown[(shown.film_s == film_s) & (shown.half_life_s == half_life_s)]
            assert one.get_xdata() * film_s == pytest.approx(own.lag_s.to_numpy())
            assert one.get_ydata() == pytest.approx(own.mean_r2.to_numpy())
            least = own.loc[own.mean_r2.idxmin()]
            assert np.isclose(places, (least.lag_s / film_s, least.mean_r2)).all(axis=1).any()
            lowest.append(least.lag_s / film_s)
    assert texts(drawn.figure.legends[0].get_texts()) == ["10 s", "whole film"]
    assert f"{np.median(lowest):.2f} film lengths (median)" in drawn.alt and "48 films in 8 parts" in drawn.caption


def test_what_cannot_be_told_is_below_everything_that_is_told():
    published, ours = timescales.ESTIMATOR_STYLES
    untold = (np.nan, np.nan, np.nan)
    rows = [
        (1200.0, 10.0, published, 600.0, 500.0, 650.0),
        (1200.0, 10.0, ours, 11.0, 9.0, 12.0),
        (1200.0, np.inf, published, 590.0, 500.0, 650.0),
        (1200.0, np.inf, ours, *untold),
    ]
    shown = pd.DataFrame(rows, columns=["film_s", "half_life_s", "estimator", "reported_s", "ci_low_s", "ci_high_s"])
    [ax], _, caption = timescales.reported(shown, confidence=0.95, films=48, worlds=3)
    assert values(ax, published) == [600.0, 590.0]
    assert values(ax, ours) == [11.0]
    [(below, filled)] = points(ax, f"untold {ours}")
    assert ax.get_ylim()[0] < below < 9.0 and not filled
    assert {bar for bar in bars(ax) if not np.isnan(bar).any()} == {(500.0, 650.0), (9.0, 12.0)}
    assert "3 worlds" in caption and "48 films" in caption


@pytest.mark.parametrize("published", [None, pd.DataFrame({"lag_s": [60, 600], "mean_r2": [0.02, 0.01]})])
def test_published_curve_is_drawn_where_it_is_at_hand(published):
    streams = {order: pd.DataFrame({"lag_s": [60, 1200], "mean_r2": [0.03, 0.02]}) for order in timescales.ORDER_LINES}
    drawn = timescales.r2_beside_published(streams, published, film_s=[5600.0, 5800.0], half_life_s=60.0, parts=16)
    [ax] = drawn.axes
    assert line(ax, "in time order").get_xdata().tolist() == [1, 20]
    assert ("published" in gids(ax)) == (published is not None)
    assert list(line(ax, "half a film").get_xdata()) == [47.5, 47.5]
    assert "lowest at 20 min in time order and 20 min in the order of a set" in drawn.alt
    assert "2 films of 95.0 min" in drawn.caption and "16 parts" in drawn.caption


def test_rms_curves_with_truth_and_interval():
    plain = pd.DataFrame({"lag_s": [0, 1, 10], "rms_difference": [0, 20.0, 50.0]})
    ours = plain.assign(ci_low=plain.rms_difference - 1, ci_high=plain.rms_difference + 2)
    found = pd.Series({"half_life_s": 4.94, "ci_low_s": 4.81, "ci_high_s": 5.13})
    curves = {"ours": ours, "first frame": plain, "truth": plain}
    [ax], alt, caption = timescales.rms_by_lag(curves, found, films=40, half_life_s=5.0)
    for gid in curves:
        assert line(ax, gid).get_ydata().tolist() == [20.0, 50.0]
    assert heights(ax, "interval ours") == {1: (19.0, 22.0), 10: (49.0, 52.0)}
    assert "interval first frame" not in gids(ax)
    assert "half-life of 4.9 s" in alt and "4.9 s (4.8 to 5.1 s)" in caption and "40 simulated films" in caption
