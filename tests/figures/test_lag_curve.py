"""Lag curves show what their tables hold: measured and published."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from semanticcmc.figures import style
from semanticcmc.figures.lag_curve import lag_curve, published_table, too_little_film
from tests.figures.drawing import (
    LAGS_S,
    bars,
    curve_table,
    gids,
    heights,
    line,
    points,
    rounded,
    selection,
    texts,
    values,
)

ORDER = ["random", "augment", "cmc_lab", *(f"semantic_{lag_s:g}s" for lag_s in LAGS_S)]


def drawn_as(rows):
    """Rows as they are from left to right: networks without a lag, then by lag; seeds beside each other."""
    rows = rows.sort_values(["network", "seed"], key=lambda one: one.map(ORDER.index) if one.name == "network" else one)
    return list(zip(rows.mantel_r, rows.p_holm < 0.05, strict=True))


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_lag_curve_draws_the_rows_of_the_table(seeds):
    table = curve_table(seeds)
    [ax] = lag_curve(table.sample(frac=1, random_state=1), selection()).axes
    for model in ("category", "lch"):
        rows = table[(table.layer == "fc7") & (table.model == model)]
        for kind, control in (("partial", "random"), ("simple", "none")):
            wanted = rows[(rows.control == control) & (rows.lag_s > 0)].groupby("lag_s").mantel_r.mean()
            assert line(ax, f"{kind} {model}").get_ydata() == pytest.approx(wanted.to_numpy())
            x = line(ax, f"{kind} {model}").get_xdata()
            assert np.abs(np.log(x / wanted.index)).max() < 0.5 * np.log(3.3)  # at its lag
        assert points(ax, f"points {model}") == drawn_as(rows[rows.control == "random"])
        simple = rows[(rows.control == "none") & ~(rows.lag_s > 0)]
        assert values(ax, f"dashes {model}") == [r for r, _ in drawn_as(simple)]
    assert ("over seeds lch" in gids(ax)) == (len(seeds) > 1)
    if len(seeds) > 1:
        band = list(heights(ax, "over seeds lch").values())
        own = table[(table.layer == "fc7") & (table.model == "lch") & (table.control == "random")]
        for (low, high), (_, r) in zip(band, own[own.lag_s > 0].groupby("lag_s").mantel_r, strict=True):
            assert (low, high) == pytest.approx(stats.t.interval(0.95, len(seeds) - 1, r.mean(), stats.sem(r)))


@pytest.mark.parametrize("layer", ["conv5", "fc7"])
def test_lag_curve_shows_every_interval_and_nothing_that_was_not_asked_for(layer):
    table = curve_table()
    [ax] = lag_curve(table, selection(layer=layer, models=("lch",))).axes
    shown = table[(table.layer == layer) & (table.control == "random") & (table.model == "lch")]
    assert bars(ax) == rounded(shown.ci_low, shown.ci_high)
    assert "partial category" not in gids(ax)


def test_lag_curve_leaves_out_what_is_missing_and_keeps_the_rest():
    table = curve_table((0, 1))
    table.loc[(table.network == "semantic_60s") & (table.seed == 0), "mantel_r"] = np.nan
    table = table[~((table.network == "semantic_5s") & (table.seed == 1))]
    [ax] = lag_curve(table, selection()).axes
    drawn = table[(table.layer == "fc7") & (table.control == "random") & (table.model == "lch")]
    assert points(ax, "points lch") == drawn_as(drawn.dropna(subset="mantel_r"))
    wanted = drawn[drawn.lag_s > 0].groupby("lag_s").mantel_r.mean()
    assert line(ax, "partial lch").get_ydata() == pytest.approx(wanted.to_numpy())


@pytest.mark.parametrize("lags_s", [(2.0,), (1.0, 2.0, 5.0), LAGS_S])
def test_networks_without_a_lag_are_left_of_all_lags_and_no_names_touch(lags_s):
    [ax] = lag_curve(curve_table(lags_s=lags_s), selection()).axes
    places = ax.get_xticks()
    assert places[0] < places[1] < places[2] < min(line(ax, "partial category").get_xdata())
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.get_xticklabels() if text.get_text()]
    assert texts(ax.get_xticklabels())[:3] == ["random", "augment", "L / ab"]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def test_lag_curve_of_baselines_alone_is_drawn():
    [ax] = lag_curve(curve_table(lags_s=()), selection()).axes
    assert len(points(ax, "points category")) == 2


def test_a_panel_a_condition_each_with_its_own_rows():
    table = curve_table()
    other = table.assign(condition="object", mantel_r=table.mantel_r / 2)
    drawn = lag_curve(pd.concat([table, other]), selection(), conditions=("intact", "object"))
    for ax, rows in zip(drawn.axes, (table, other), strict=True):
        own = rows[(rows.layer == "fc7") & (rows.model == "lch") & (rows.control == "random")]
        assert points(ax, "points lch") == drawn_as(own)
        assert ax.get_title(loc="left") == own.condition.iloc[0]
    assert "intact: 1 s" in drawn.alt and "object: 1 s" in drawn.alt


def test_caption_and_text_tell_classes_seeds_interval_test_and_numbers_of_the_table():
    table = curve_table((0, 1, 2))
    table.loc[table.model == "category", "classes"] = 40
    drawn = lag_curve(table, selection(confidence=0.9))
    for part in (
        "fc7",
        "40 to 48 classes",
        "3 seeds",
        "90 % bootstrap",
        "one-sided",
        "9,999 permutations",
        "mean RDM of 5 untrained networks",
        "Holm-corrected for the 16 tests",
    ):
        assert part in drawn.caption.replace("\N{NO-BREAK SPACE}", " ")
    rows = table[(table.layer == "fc7") & (table.model == "category") & (table.control == "random")]
    for lag_s in LAGS_S:
        assert f"{style.lag_text(lag_s)} {rows[rows.lag_s == lag_s].mantel_r.mean():.2f}" in drawn.alt
    one = lag_curve(table[table.seed == 0], selection(control="none")).caption
    assert "1 seed (0)" in one and "seeds" not in one


def test_what_a_figure_shows_follows_the_selection():
    drawn = lag_curve(curve_table(), selection(layer="conv5", models=("lch",), control="none"))
    assert "conv5" in drawn.caption
    for text in (drawn.alt, drawn.caption):
        assert "given nothing" in text and "category" not in text


def test_a_remark_stays_clear_of_the_data_and_comes_first_in_words():
    table = curve_table(lags_s=(1.0, 2.0, 5.0))
    remark = "4 clips, 3.7 min: too little film to teach semantics"
    drawn = lag_curve(table, selection(), remark=remark)
    [ax] = drawn.axes
    ax.figure.canvas.draw()
    [box] = [text for text in ax.texts if "too little film" in text.get_text()]
    low = ax.transData.inverted().transform(box.get_bbox_patch().get_window_extent())[0, 1]
    assert low > table.loc[(table.layer == "fc7"), "ci_high"].max()
    assert drawn.alt.startswith(f"{remark}. ")


@pytest.mark.parametrize(
    ("films", "hours", "text"),
    [
        (4, 224 / 3600, "4 films, 3.73 min: too little film to teach semantics"),
        (1, 2.0, "1 film, 2 h: too little film to teach semantics"),
        (100, 158.4, ""),
    ],
)
def test_little_film_is_said_to_be_little(films, hours, text):
    assert too_little_film(films, hours) == text


def test_published_numbers_are_at_their_lags(repository):
    published = pd.read_csv(repository / "data_manifests" / "published_results.csv")
    seconds = published.network.str.extract(r"semantic_(\d+)s")[0].astype(float)
    table = published.assign(lag_s=seconds, source="published", ci_low=np.nan, ci_high=np.nan)
    ours = curve_table().query("layer == 'fc7'").assign(source="ours")
    axes, alt, caption = published_table(pd.concat([table, ours]), selection())
    x, y = line(axes[0], "published partial").get_data()
    # the poster's numbers at conv5, controlling the random network
    wanted = {1.0: -0.04642, 10.0: 0.1654, 60.0: 0.2195, 300.0: 0.1772}
    assert dict(zip(x, y, strict=True)) == pytest.approx(wanted)
    own = ours[(ours.model == "lch") & (ours.control == "random") & (ours.lag_s > 0)].set_index("lag_s").mantel_r
    assert line(axes[0], "ours partial").get_ydata() == pytest.approx(own.sort_index().to_numpy())
    assert gids(axes[0]) >= {"ours simple", "published simple"}
    assert "published, 0.22 at 60 s" in alt and f"here, {own.max():.2f} at {style.lag_text(own.idxmax())}" in alt
    assert "256 classes" in caption and "fc7; 48 classes" in caption
