"""Class accuracy and noise ceilings are drawn as their tables have them."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex

from semanticcmc.figures import style
from semanticcmc.figures.accuracy import accuracy_by_condition, dissociation, noise_ceiling
from semanticcmc.figures.accuracy import yardsticks as drawn_yardsticks
from tests.figures.drawing import (
    FEW_LAGS_S,
    NETWORKS,
    bars,
    curve_table,
    line,
    points,
    rounded,
    selection,
    texts,
    values,
)


def accuracy_table(seeds=(0,), conditions=("intact",), draw=3):
    generator = np.random.default_rng(draw)
    rows = []
    for seed, (network, lag_s), condition in itertools.product(seeds, NETWORKS.items(), conditions):
        for measure in ("knn", "linear_probe"):
            value = generator.uniform(0.2, 0.8)
            where = {"network": network, "lag_s": lag_s, "seed": seed, "layer": "fc7", "condition": condition}
            rows.append(where | {"measure": measure, "accuracy": value, "ci_low": value - 0.1, "ci_high": value + 0.05})
        rows.append(rows[-1] | {"measure": "chance", "accuracy": 1 / 48, "ci_low": np.nan, "ci_high": np.nan})
    return pd.DataFrame(rows)


def scattered(ax):
    """(x, y) and colour of the points of each scatter of networks, in the order of drawing."""
    clouds = [c for c in ax.collections if isinstance(c, PathCollection) and len(c.get_offsets())]
    return [
        {
            tuple(np.round(xy, 9).tolist()): to_hex(color)
            for xy, color in zip(c.get_offsets(), c.get_facecolors(), strict=True)
        }
        for c in clouds
    ]


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_dissociation_has_intervals_both_ways(seeds):
    table, accuracy = curve_table(seeds, FEW_LAGS_S), accuracy_table(seeds).sample(frac=1, random_state=0)
    drawn = dissociation(table, accuracy, selection())
    [ax] = drawn.axes
    rows = table[(table.layer == "fc7") & (table.model == "category") & (table.control == "random")]
    # the random network has no partial correlation given itself
    each = rows.merge(accuracy[accuracy.measure == "knn"], on=["network", "seed"], suffixes=("", "_x"))
    colours = {name: look["color"].lower() for name, look in style.network_styles(NETWORKS).items()}
    means = each.groupby("network")[["accuracy", "mantel_r"]].mean()
    clouds = scattered(ax)
    assert len(clouds) == (1 if len(seeds) == 1 else 2)
    for cloud, wanted in zip(clouds, (means.reset_index(), each), strict=False):
        assert cloud == {
            (round(one.accuracy, 9), round(one.mantel_r, 9)): colours[one.network] for one in wanted.itertuples()
        }
    if len(seeds) == 1:
        assert bars(ax, 0) == rounded(each.ci_low_x, each.ci_high_x)
        assert bars(ax, 1) == rounded(each.ci_low, each.ci_high)
    else:
        assert len(bars(ax, 0)) == len(bars(ax, 1)) == 5
    assert texts(ax.get_legend().get_texts()) == ["augment", "L / ab", "1 s", "60 s", "10 min"]
    assert any(np.allclose(one.get_xdata(), 1 / 48) for one in ax.get_lines())
    assert "both ways" in drawn.caption and ("1 seed (0)" if len(seeds) == 1 else "3 seeds") in drawn.caption
    assert "nearest neighbours" in drawn.alt and "category" in drawn.alt


def test_without_any_accuracy_a_figure_says_so():
    accuracy = accuracy_table()
    accuracy.loc[accuracy.measure != "chance", ["accuracy", "ci_low", "ci_high"]] = np.nan
    one = dissociation(curve_table(lags_s=FEW_LAGS_S), accuracy, selection())
    for ax in (*one.axes, *accuracy_by_condition(accuracy, selection()).axes):
        assert any("no class accuracy" in text for text in texts(ax.texts))


def test_accuracy_is_drawn_under_every_condition():
    conditions = ("intact", "object", "background")
    accuracy = accuracy_table(conditions=conditions)
    drawn = accuracy_by_condition(accuracy, selection())
    for ax, measure in zip(drawn.axes, ("knn", "linear_probe"), strict=True):
        rows = accuracy[accuracy.measure == measure]
        for condition in conditions:
            own = rows[rows.condition == condition].set_index("network").accuracy[list(NETWORKS)]
            assert values(ax, condition) == pytest.approx(own.to_numpy())
        assert bars(ax) == rounded(rows.ci_low, rows.ci_high)
        assert texts(ax.get_xticklabels()) == ["random", "augment", "L / ab", "1 s", "60 s", "10 min"]
        assert line(ax, "chance").get_ydata() == pytest.approx([1 / 48] * 2)
    assert "intact, object, background" in drawn.alt and "cross-validated" in drawn.caption


def test_noise_ceiling_is_above_the_simple_correlations():
    table = curve_table((0, 1), FEW_LAGS_S)
    ceilings = pd.DataFrame(itertools.product(NETWORKS, (0, 1)), columns=["network", "seed"])
    ceilings = ceilings.assign(
        layer="fc7", condition="intact", lag_s=ceilings.network.map(NETWORKS), ceiling=0.9 + 0.005 * ceilings.index
    )
    drawn = noise_ceiling(table, ceilings, selection())
    [ax] = drawn.axes
    assert sorted(line(ax, "ceiling").get_ydata()) == pytest.approx(sorted(ceilings.ceiling))
    rows = table[(table.layer == "fc7") & (table.control == "none")]
    for model in ("category", "lch"):
        own = rows[rows.model == model]
        assert sorted(points(ax, model)) == sorted((r, True) for r in own.mantel_r)
    assert bars(ax) == rounded(rows.ci_low, rows.ci_high)
    assert "2 seeds" in drawn.caption and "0.90 to 0.96" in drawn.alt
    drawn = noise_ceiling(table, ceilings.assign(ceiling=np.nan), selection())
    assert any("no noise ceiling" in text for text in texts(drawn.axes[0].texts)) and "unknown" in drawn.alt


def yardsticks(seeds=(0,)):
    """A table of the columns of tables/yardsticks.csv."""
    rows, rng = [], np.random.default_rng(1)
    models = {"category_readout": ["category"], "chance": ["category"]}
    models |= {key: ["category", "lch", "look"] for key in ("cka", "share")}
    models["share"] = [*models["share"], "category & lch", "all"]
    for seed, (network, lag_s), measure in itertools.product(seeds, NETWORKS.items(), models):
        for model in models[measure]:
            value = 0.25 if measure == "chance" else rng.uniform(0, 0.4)
            head = {"network": network, "lag_s": lag_s, "seed": seed, "layer": "fc7", "measure": measure}
            rows.append(head | {"model": model, "value": value, "ci_low": value - 0.1, "ci_high": value + 0.1})
    return pd.DataFrame(rows).assign(classes=24)


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_yardsticks_are_drawn_a_panel_each_with_the_models_alone(seeds):
    table = yardsticks(seeds)
    axes = drawn_yardsticks(table, selection()).axes
    for ax, measure in zip(axes, ("category_readout", "cka", "share"), strict=True):
        own = table[(table.measure == measure) & ~table.model.isin(["category & lch", "all"])]
        for model, rows in own.groupby("model"):
            means = rows.groupby("network").value.mean()
            found = [c for c in ax.collections if c.get_gid() == model and isinstance(c, PathCollection)]
            heights = sorted(float(y) for c in found for _, y in c.get_offsets())
            assert heights == pytest.approx(sorted(means))
        assert not [c for c in ax.collections if c.get_gid() in ("category & lch", "all")]
    assert line(axes[0], "chance").get_ydata()[0] == 0.25
