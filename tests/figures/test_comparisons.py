"""Controls, differences and connectivity show what their tables hold."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from semanticcmc.figures import comparisons, style
from tests.figures.drawing import (
    FEW_LAGS_S,
    NETWORKS,
    TESTED,
    bars,
    curve_table,
    lightness,
    lines,
    points,
    rounded,
    selection,
    texts,
)

LABELS = {name: look["label"] for name, look in style.network_styles(NETWORKS).items()}


def test_every_control_is_drawn_for_every_network_and_filled_where_it_holds():
    table = curve_table((0,), FEW_LAGS_S)
    more = table[table.control == "none"]
    table = pd.concat([table, more.assign(control="cmc_lab", mantel_r=more.mantel_r + 0.01)])
    table = table[table.network != table.control]
    drawn = comparisons.controls(table, selection())
    for ax, model in zip(drawn.axes, ("category", "lch"), strict=True):
        rows = table[(table.layer == "fc7") & (table.model == model)].set_index("network")
        for control in ("none", "random", "cmc_lab"):
            own = rows[rows.control == control].reindex([name for name in NETWORKS if name != control])
            assert points(ax, control) == list(zip(own.mantel_r, own.p_holm < 0.05, strict=True))
        assert bars(ax) == rounded(rows.ci_low, rows.ci_high)
    assert texts(drawn.axes[0].get_legend().get_texts()) == ["none (simple r)", "untrained networks", "L / ab network"]
    assert "mean RDM of 5" in drawn.caption and "L / ab network" in drawn.alt
    looks = [look["color"] for look in comparisons.CONTROL_STYLES.values()]
    assert len({round(lightness(color)) for color in looks}) == len(looks)


def comparison_table(seeds):
    generator = np.random.default_rng(1)
    table = pd.DataFrame(
        [(seed, *pair) for seed in seeds for pair in itertools.combinations(list(NETWORKS)[1:], 2)],
        columns=["seed", "first", "second"],
    )
    return table.assign(
        condition="intact",
        layer="fc7",
        model="lch",
        control="random",
        difference=generator.normal(0, 0.1, len(table)),
        p_holm=generator.choice([0.01, 0.5], len(table)),
    )


def numbers(ax):
    """Text of a cell by its gid."""
    return {text.get_gid(): text for text in ax.texts if text.get_gid()}


def printed(text):
    return float(text.get_text().replace("\N{MINUS SIGN}", "-"))


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_matrix_of_differences_prints_each_with_a_dot_a_seed_that_tells_them_apart(seeds):
    table = comparison_table(seeds)
    drawn = comparisons.lag_comparisons(table, TESTED, selection(models=("lch",)))
    [ax] = drawn.axes
    assert texts(ax.get_yticklabels()) == list(LABELS.values())[2:]
    assert texts(ax.get_xticklabels()) == list(LABELS.values())[1:-1]
    for (first, second), own in table.groupby(["first", "second"]):
        text = numbers(ax)[f"{second} {first}"]
        assert printed(text) == pytest.approx(-own.difference.mean(), abs=0.0051)
        told = int((own.p_holm < 0.05).sum())
        assert sum(len(line.get_xdata()) for line in lines(ax, f"{second} {first} told apart")) == told
        assert (text.get_fontweight() == "bold") == (told > 0)
        x, y = text.get_position()
        assert texts([ax.get_xticklabels()[int(x)], ax.get_yticklabels()[int(y)]]) == [LABELS[first], LABELS[second]]
    assert len(numbers(ax)) == 10
    assert "Holm-corrected for the 10 comparisons" in drawn.caption
    assert ("mean of 3 seeds" if len(seeds) > 1 else "1 seed (0)") in drawn.caption
    assert drawn.caption.startswith("fc7; ") and "WordNet (LCH)" in drawn.alt


def connectivity_table(seeds=(0, 1)):
    generator = np.random.default_rng(2)
    table = pd.DataFrame(
        [
            (seed, control, first, second, generator.uniform(-0.2, 1))
            for seed in seeds
            for control in ("none", "random")
            for first, second in itertools.combinations(list(NETWORKS)[control == "random" :], 2)
        ],
        columns=["seed", "control", "first", "second", "r"],
    )
    return table.assign(condition="intact", layer="fc7")


def test_connectivity_prints_the_mean_over_seeds_and_leaves_out_what_is_not_there():
    table = connectivity_table()
    drawn = comparisons.connectivity(table, TESTED, selection())
    for ax, control, count in zip(drawn.axes, ("none", "random"), (15, 10), strict=True):
        assert len(numbers(ax)) == count
        for (first, second), own in table[table.control == control].groupby(["first", "second"]):
            assert printed(numbers(ax)[f"{second} {first}"]) == pytest.approx(own.r.mean(), abs=0.0051)
    assert "mean of 2 seeds" in drawn.caption and "given the mean RDM of 5" in drawn.caption
    assert "simple, and given untrained networks" in drawn.alt
    table.loc[table["second"] == "semantic_60s", "r"] = np.nan  # a dead network: a dash
    ax = comparisons.connectivity(table, TESTED, selection()).axes[0]
    assert texts(ax.texts).count("-") == 4


def test_a_shade_is_darker_the_larger_the_number_and_ink_can_be_read_on_every_one():
    """Contrast of at least 4.5 to 1 (WCAG 2)."""

    def luminance(color):
        return sum(
            w * (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4)
            for w, c in zip((0.2126, 0.7152, 0.0722), to_rgb(color), strict=True)
        )

    table = connectivity_table((0,)).query("control == 'none'")
    ax = comparisons.connectivity(table.assign(r=np.linspace(0, 1, len(table))), TESTED, selection()).axes[0]
    ax.figure.canvas.draw()
    [mesh] = [c for c in ax.collections if c.get_array() is not None]
    shown = ~np.ma.getmaskarray(mesh.get_array()).ravel()
    shades = [luminance(color) for color in mesh.get_facecolors()[shown]]
    assert (np.argsort(-mesh.get_array().compressed()) == np.argsort(shades)).all()
    assert min(shades) < 0.3 and all((shade + 0.05) / (luminance(style.INK) + 0.05) > 4.5 for shade in shades)


def test_a_matrix_of_one_network_says_that_there_is_nothing_to_compare():
    table = pd.DataFrame(columns=["control", "condition", "layer", "seed", "first", "second", "r"])
    [ax] = comparisons.connectivity(table, TESTED[:0], selection()).axes
    assert any("fewer than two networks" in text for text in texts(ax.texts))
    table = table.assign(model=[], difference=[], p_holm=[])
    assert "no comparisons" in comparisons.lag_comparisons(table, TESTED[:0], selection()).caption


@pytest.mark.parametrize(
    "value", [(0.004, ".00"), (-0.004, ".00"), (0.126, "+.13"), (-0.126, "\N{MINUS SIGN}.13"), (1.0, "+1.00")]
)
def test_differences_are_printed_with_a_sign_where_there_is_one(value):
    assert comparisons._number(value[0], signed=True) == value[1]
