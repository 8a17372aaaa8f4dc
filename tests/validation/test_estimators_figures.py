"""Figures of the study of estimators show what its tables hold."""

import numpy as np
import pandas as pd
import pytest

from tests.figures.drawing import assert_words_and_letters, bars, gids, heights, line, points, texts, values
from validation import estimators_figures as figures


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
    drawn = figures.r2_by_lag(shown, films=48, parts=8, interval_s=10)
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
    assert_words_and_letters(drawn)


def test_what_cannot_be_told_is_below_everything_that_is_told():
    published, ours = figures.ESTIMATOR_STYLES
    untold = (np.nan, np.nan, np.nan)
    rows = [
        (1200.0, 10.0, published, 600.0, 500.0, 650.0),
        (1200.0, 10.0, ours, 11.0, 9.0, 12.0),
        (1200.0, np.inf, published, 590.0, 500.0, 650.0),
        (1200.0, np.inf, ours, *untold),
    ]
    shown = pd.DataFrame(rows, columns=["film_s", "half_life_s", "estimator", "reported_s", "ci_low_s", "ci_high_s"])
    drawn = figures.reported(shown, confidence=0.95, films=48, worlds=3)
    [ax] = drawn.axes
    assert values(ax, published) == [600.0, 590.0]
    assert values(ax, ours) == [11.0]
    [(below, filled)] = points(ax, f"untold {ours}")
    assert ax.get_ylim()[0] < below < 9.0 and not filled
    assert {bar for bar in bars(ax) if not np.isnan(bar).any()} == {(500.0, 650.0), (9.0, 12.0)}
    assert "3 worlds" in drawn.caption and "48 films" in drawn.caption
    assert_words_and_letters(drawn)


def test_the_published_curve_is_beside_that_of_the_stream():
    published = pd.DataFrame({"lag_s": [60, 600], "mean_r2": [0.02, 0.01]})
    streams = {order: pd.DataFrame({"lag_s": [60, 1200], "mean_r2": [0.03, 0.02]}) for order in figures.ORDER_LINES}
    drawn = figures.r2_beside_published(streams, published, film_s=[5600.0, 5800.0], half_life_s=60.0, parts=16)
    [ax] = drawn.axes
    assert line(ax, "in time order").get_xdata().tolist() == [1, 20]
    assert line(ax, "published").get_xdata().tolist() == [1, 10]
    assert line(ax, "published").get_ydata().tolist() == [0.02, 0.01]
    assert list(line(ax, "half a film").get_xdata()) == [47.5, 47.5]
    assert "lowest at 20 min in time order and 20 min in the order of a set" in drawn.alt
    assert "2 films of 95.0 min" in drawn.caption and "16 parts" in drawn.caption
    assert_words_and_letters(drawn)


def test_rms_curves_with_truth_and_interval():
    plain = pd.DataFrame({"lag_s": [0, 1, 10], "rms_difference": [0, 20.0, 50.0]})
    ours = plain.assign(ci_low=plain.rms_difference - 1, ci_high=plain.rms_difference + 2)
    found = pd.Series({"half_life_s": 4.94, "ci_low_s": 4.81, "ci_high_s": 5.13})
    curves = {"ours": ours, "first frame": plain, "truth": plain}
    drawn = figures.rms_by_lag(curves, found, films=40, half_life_s=5.0)
    [ax] = drawn.axes
    for gid in curves:
        assert line(ax, gid).get_ydata().tolist() == [20.0, 50.0]
    assert heights(ax, "interval ours") == {1: (19.0, 22.0), 10: (49.0, 52.0)}
    assert "interval first frame" not in gids(ax)
    assert "half-life of 4.9 s" in drawn.alt and "4.9 s (4.8 to 5.1 s)" in drawn.caption
    assert "40 simulated films" in drawn.caption
    assert_words_and_letters(drawn)
