"""Figures of time scales show what their tables hold."""

import itertools

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from semanticcmc.figures import estimators, style
from semanticcmc.figures import timescales as persistence

LEVELS = ("film base rate", "corpus base rate")


@pytest.fixture(autouse=True)
def house_style():
    with matplotlib.rc_context():
        style.use_house_style()
        yield
        plt.close("all")


def table(measures=("appearance", "association")):
    generator = np.random.default_rng(0)
    rows = []
    for measure, level, lag_s in itertools.product(measures, LEVELS, (60, 0, 1, 5, 20)):
        value = generator.uniform(0, 1)
        rows.append((measure, level, lag_s, value, value - 0.1, value + 0.2, -0.03, 0.04))
    columns = ["measure", "level", "lag_s", "value", "ci_low", "ci_high", "null_low", "null_high"]
    return pd.DataFrame(rows, columns=columns)


def line(ax, gid):
    [found] = [one for one in ax.get_lines() if one.get_gid() == gid]
    return found


def gids(ax):
    return {artist.get_gid() for artist in (*ax.get_lines(), *ax.collections)} - {None}


def heights(ax, gid):
    """Lowest and highest edge of a filled band, by x."""
    [band] = [c for c in ax.collections if c.get_gid() == gid]
    x, y = band.get_paths()[0].vertices.T
    return {at: (y[x == at].min(), y[x == at].max()) for at in np.unique(x)}


def test_both_measures_stand_on_one_axis_with_interval_null_and_truth():
    shown = table()
    truth = pd.DataFrame({"measure": "association", "lag_s": [0, 1, 10, 60, 900], "value": [1, 0.9, 0.5, 0.1, 0]})
    ax = persistence.persistence(shown.sample(frac=1, random_state=0), None, truth)
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


def test_half_strengths_lie_where_they_are_on_the_axis_of_lag():
    constants = pd.DataFrame(
        [
            ("appearance", LEVELS[0], 4.0, 3.0, 5.0),
            ("appearance", LEVELS[1], 9.0, 8.0, 10.0),
            ("association", LEVELS[0], 30.0, 20.0, np.inf),
            ("rms", LEVELS[0], np.nan, np.nan, np.nan),
        ],
        columns=["measure", "level", "half_strength_s", "half_strength_low_s", "half_strength_high_s"],
    )
    ax = persistence.persistence(table(("appearance", "association", "rms")), constants)
    assert line(ax, "half strength appearance").get_xdata().tolist() == [4.0]
    assert line(ax, "half strength interval appearance").get_xdata().tolist() == [3.0, 5.0]
    assert line(ax, "half strength interval association").get_xdata().tolist() == [20.0, 60.0]  # the longest lag
    assert not any("half strength" in gid and "rms" in gid for gid in gids(ax))
    assert [text.get_text() for text in ax.texts] == ["4 s (3 s to 5 s)", "30 s (20 s to beyond all lags)"]


def test_a_measure_without_corpus_level_or_null_is_drawn():
    shown = table(("appearance",)).assign(null_low=np.nan, null_high=np.nan)
    shown.loc[shown.level == LEVELS[1], ["value", "ci_low", "ci_high"]] = np.nan
    ax = persistence.persistence(shown)
    assert {"appearance film base rate"} <= gids(ax) and "appearance corpus base rate" not in gids(ax)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0.2 s"), (7.31, "7.3 s"), (99.4, "99 s"), (119, "2 min"), (246, "4.1 min"), (9000, "2.5 h")],
)
def test_times_are_said_with_two_digits(seconds, text):
    assert persistence.time_text(seconds) == text


def test_ticks_are_round_lags_where_there_are_some():
    assert persistence.round_lags([1, 7, 40, 90]) == [1, 3, 10, 30, 60]
    assert persistence.round_lags([2, 3, 4]) == [2, 3, 4]


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
    figure = estimators.r2_by_lag(shown)
    for ax, film_s in zip(figure.axes, (1200.0, 6000.0), strict=True):
        for half_life_s in (10.0, np.inf):
            own = shown[(shown.film_s == film_s) & (shown.half_life_s == half_life_s)]
            drawn = line(ax, f"r2 {half_life_s:g}")
            assert drawn.get_xdata() * film_s == pytest.approx(own.lag_s.to_numpy())
            assert drawn.get_ydata() == pytest.approx(own.mean_r2.to_numpy())
            [low] = line(ax, f"minimum {half_life_s:g}").get_ydata()
            assert low == own.mean_r2.min()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["10 s", "whole film"]


def test_what_cannot_be_told_stands_below_everything_that_is_told():
    published, ours = estimators.ESTIMATOR_STYLES
    untold = (np.nan, np.nan, np.nan)
    rows = [
        (1200.0, 10.0, published, 600.0, 500.0, 650.0),
        (1200.0, 10.0, ours, 11.0, 9.0, 12.0),
        (1200.0, np.inf, published, 590.0, 500.0, 650.0),
        (1200.0, np.inf, ours, *untold),
    ]
    shown = pd.DataFrame(rows, columns=["film_s", "half_life_s", "estimator", "reported_s", "ci_low_s", "ci_high_s"])
    [ax] = estimators.reported(shown).axes
    assert line(ax, published).get_ydata().tolist() == [600.0, 590.0]
    assert line(ax, ours).get_ydata().tolist() == [11.0]
    [below] = line(ax, f"untold {ours}").get_ydata()
    assert ax.get_ylim()[0] < below < 9.0
    bars = {tuple(s[:, 1]) for c in ax.collections for s in c.get_segments()}
    assert bars == {(500.0, 650.0), (9.0, 12.0)}


@pytest.mark.parametrize("published", [None, pd.DataFrame({"lag_s": [60, 600], "mean_r2": [0.02, 0.01]})])
def test_published_curve_is_drawn_where_it_is_at_hand(published):
    streams = {order: pd.DataFrame({"lag_s": [60, 1200], "mean_r2": [0.03, 0.02]}) for order in estimators.ORDER_LINES}
    ax = estimators.r2_beside_published(streams, published, 5700.0)
    assert line(ax, "in time order").get_xdata().tolist() == [1, 20]
    assert ("published" in gids(ax)) == (published is not None)
    assert list(line(ax, "half a film").get_xdata()) == [47.5, 47.5]


def test_rms_curves_with_truth_and_interval():
    plain = pd.DataFrame({"lag_s": [0, 1, 10], "rms_difference": [0, 20.0, 50.0]})
    ours = plain.assign(ci_low=plain.rms_difference - 1, ci_high=plain.rms_difference + 2)
    ax = estimators.rms_by_lag({"ours": ours, "first frame": plain, "truth": plain})
    for gid in ("ours", "first frame", "truth"):
        assert line(ax, gid).get_ydata().tolist() == [20.0, 50.0]
    assert heights(ax, "interval ours") == {1: (19.0, 22.0), 10: (49.0, 52.0)}
    assert "interval first frame" not in gids(ax)
