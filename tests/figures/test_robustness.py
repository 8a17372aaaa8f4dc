"""The forest plot shows every row of the robustness table, and which of them do not survive."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from semanticcmc.figures import style
from semanticcmc.figures.robustness import robustness
from tests.figures.drawing import bars, points, rounded, selection, texts

ROWS = [
    ("declared", "declared analysis"),
    ("distance", "fc7, euclidean"),
    ("layer", "conv1"),
    ("layer", "conv2"),
    ("control", "none (simple r)"),
    ("classes", "without bird"),
    ("method", "spearman"),
]


def panel(seeds=(0, 1)):
    rng = np.random.default_rng(0)
    table = []
    for (network, lag_s), seed, model, (varied, value) in itertools.product(
        (("semantic_1s", 1.0), ("semantic_60s", 60.0)), seeds, ("category", "lch"), ROWS
    ):
        r = rng.uniform(0.05, 0.3)
        table.append(
            {
                "network": network,
                "lag_s": lag_s,
                "seed": seed,
                "model": model,
                "varied": varied,
                "value": value,
                "mantel_r": r,
                "p": rng.choice([0.001, 0.2]),
                "ci_low": r - 0.05,
                "ci_high": r + 0.04,
                "classes": 40 if varied == "classes" else 48,
            }
        )
    return pd.DataFrame(table)


def draw(table, network="semantic_60s"):
    return robustness(table, selection(), network)


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_every_row_and_seed_has_its_mark_beside_its_name_filled_where_significant(seeds):
    table = panel(seeds)
    drawn = draw(table)
    for ax, model in zip(drawn.axes, ("category", "lch"), strict=True):
        own = table[(table.network == "semantic_60s") & (table.model == model)]
        wanted = own.set_index("value").loc[[value for _, value in ROWS]]  # seeds in their order
        assert points(ax, model, axis=0) == list(zip(wanted.mantel_r, wanted.p < 0.05, strict=True))  # from the top
        assert bars(ax, 0) >= rounded(own.ci_low, own.ci_high)
        [cloud, hollow] = [c for c in ax.collections if c.get_gid() == model]
        heights = sorted([*cloud.get_offsets()[:, 1], *hollow.get_offsets()[:, 1]])
        places = np.repeat(drawn.axes[0].get_yticks(), len(seeds))
        assert np.abs(np.array(heights) - places).max() < 0.4
    assert texts(drawn.axes[0].get_yticklabels()) == [value for _, value in ROWS]


def test_rows_that_do_not_survive_are_on_grey():
    table = panel()
    for ax, model in zip(draw(table).axes, ("category", "lch"), strict=True):
        own = table[(table.network == "semantic_60s") & (table.model == model)]
        lost = own.groupby("value").p.max() >= 0.05
        grey = [patch for patch in ax.patches if patch.get_facecolor()[:3] == to_rgb(style.RULE)]
        assert len(grey) == lost.sum() > 0


def test_the_best_lag_of_each_row_is_beside_it_bold_where_it_is_another():
    table = panel()
    means = table[table.model == "lch"].groupby(["network", "value"]).mantel_r.mean()
    best = {value: means[:, value].idxmax() for _, value in ROWS}
    ax = draw(table).axes[1]
    beside = [text for text in ax.texts if text.get_position()[0] > 1 and text.get_text() != "best\nlag"]
    beside.sort(key=lambda text: text.get_position()[1])
    assert [f"semantic_{text.get_text().replace(' ', '')}" for text in beside] == list(best.values())
    declared = best["declared analysis"]
    assert [text.get_fontweight() == "bold" for text in beside] == [one != declared for one in best.values()]


def test_the_words_say_what_the_marks_are_and_how_many_rows_survive():
    drawn = draw(panel((0, 1, 2)))
    level = "95\N{NO-BREAK SPACE}% bootstrap over classes"
    for words in ("48 classes", "3 seeds", level, "not corrected", "60 s network, fc7"):
        assert words in drawn.caption
    assert "1 seed (0)" in draw(panel((0,))).caption
    for model in ("category", "lch"):
        assert f"semantic_60s, {model}: p < 0.05 in every one of 3 seeds in" in drawn.alt
