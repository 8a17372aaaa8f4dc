"""The forest plot shows every row of the robustness table, and which of them do not survive."""

import itertools

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from semanticcmc.figures import style
from semanticcmc.figures.robustness import robustness, robustness_caption

ROWS = [
    ("declared", "declared analysis"),
    ("distance", "fc7, euclidean"),
    ("layer", "conv1"),
    ("layer", "conv2"),
    ("control", "none (simple r)"),
    ("classes", "without bird"),
    ("method", "spearman"),
]


@pytest.fixture(autouse=True)
def house_style():
    with matplotlib.rc_context():
        style.use_house_style()
        yield
        plt.close("all")


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


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_every_row_and_seed_has_its_mark_filled_where_significant(seeds):
    table = panel(seeds)
    figure = robustness(table, "semantic_60s")
    marks = {line.get_gid(): line for ax in figure.axes for line in ax.get_lines() if line.get_gid()}
    own = table[table.network == "semantic_60s"]
    assert len(marks) == len(own)
    for row in own.itertuples():
        mark = marks[f"{row.model}, {row.value}, seed {row.seed}"]
        assert mark.get_xdata()[0] == row.mantel_r
        assert (mark.get_markerfacecolor() != "white") == (row.p < 0.05)
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == [value for _, value in ROWS]
    places = figure.axes[0].get_yticks()
    for row in own.itertuples():  # beside its name, seeds in order
        at = marks[f"{row.model}, {row.value}, seed {row.seed}"].get_ydata()[0]
        assert abs(at - places[labels.index(row.value)]) < 0.4


def test_rows_that_do_not_survive_lie_on_grey():
    table = panel()
    figure = robustness(table, "semantic_60s")
    for ax, model in zip(figure.axes, ("category", "lch"), strict=True):
        own = table[(table.network == "semantic_60s") & (table.model == model)]
        lost = own.groupby("value").p.max() >= 0.05
        grey = [patch for patch in ax.patches if patch.get_facecolor()[:3] == to_rgb(style.RULE)]
        assert len(grey) == lost.sum() > 0


def test_the_caption_says_what_the_marks_are():
    text = robustness_caption(panel((0, 1, 2)), "semantic_60s", "fc7", 0.95)
    for words in ("48 classes", "3 seeds", "95\N{NO-BREAK SPACE}% bootstrap over classes", "not corrected", "fc7"):
        assert words in text
    assert "one seed (0)" in robustness_caption(panel((0,)), "semantic_60s", "fc7", 0.9)
