"""Semantics layer by layer, as its tables have it."""

import itertools

import numpy as np
import pandas as pd
import pytest

from semanticcmc.figures.layers import conditions_by_layer, layers
from tests.figures.drawing import bars, curve_table, lightness, line, rounded, selection, texts


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_layers_draws_a_line_a_network_in_the_order_of_the_layers(seeds):
    table = curve_table(seeds, layers=("conv1", "conv5", "fc6", "fc7"))
    drawn = layers(table, selection())
    for ax, model in zip(drawn.axes, ("category", "lch"), strict=True):
        assert texts(ax.get_xticklabels()) == ["conv1", "conv5", "fc6", "fc7"]
        chosen = table[(table.model == model) & (table.control == "random")]
        assert {one.get_gid() for one in ax.get_lines() if not str(one.get_gid()).startswith("_")} - {None} == set(
            chosen.network
        )
        for network, own in chosen.groupby("network"):
            wanted = own.groupby("layer", sort=False).mantel_r.mean()
            assert line(ax, network).get_ydata() == pytest.approx(wanted.to_numpy())
        if len(seeds) == 1:
            assert bars(ax) == rounded(chosen.ci_low, chosen.ci_high)
    assert texts(drawn.axes[-1].get_legend().get_texts())[:3] == ["augment", "L / ab", "1 s"]
    for words in ("2 seeds" if len(seeds) > 1 else "1 seed (0)", "5 untrained", "48 classes"):
        assert words in drawn.caption


def test_conditions_of_one_network_differ_in_marker_and_lightness():
    conditions = ["intact", "object", "background", "blur", "grey"]
    generator = np.random.default_rng(0)
    table = pd.DataFrame(itertools.product(conditions, ("conv5", "fc7")), columns=["condition", "layer"])
    table = table.assign(mantel_r=generator.uniform(0, 1, len(table)), ci_low=0.0, ci_high=1.0)
    axes, alt, caption = conditions_by_layer(table, selection(), "semantic_60s", 1, 48)
    drawn = [line(axes[0], condition) for condition in conditions]
    assert len({one.get_marker() for one in drawn}) == 5
    for one, condition in zip(drawn, conditions, strict=True):
        assert one.get_ydata() == pytest.approx(table[table.condition == condition].mantel_r.to_numpy())
    assert lightness(drawn[0].get_color()) < min(lightness(one.get_color()) for one in drawn[1:]) - 10
    assert "semantic_60s, seed 1" in alt and "blur" in alt
    assert caption.startswith("semantic_60s; 48 classes; 1 seed (1); bars: 95")
