"""Which objective teaches what: every network a row, the most taught on top, in every seed and by both models."""

import numpy as np
import pandas as pd
import pytest

from semanticcmc.figures.accuracy import objectives
from tests.figures.drawing import curve_table, points, selection, texts

NAMES = {"window_60s": "window, 60 s", "byol_60s": "byol, 60 s", "same_scene": "same scene"}
NAMES |= {"semantic_60s": "60 s", "semantic_180s": "3 min", "augment": "augment", "cmc_lab": "L / ab"}


def table(seeds=(0,)):
    curve = curve_table(seeds, (60.0, 180.0), ("fc7",))
    further = [curve[curve.network == "semantic_60s"].assign(network=name) for name in ("window_60s", "byol_60s")]
    further.append(curve[curve.network == "semantic_60s"].assign(network="same_scene", lag_s=np.nan))
    whole = pd.concat([curve, *further], ignore_index=True)
    generator = np.random.default_rng(1)
    accuracy = generator.uniform(0.2, 0.9, len(whole))
    return whole.assign(mantel_r=generator.uniform(-0.1, 0.3, len(whole)), accuracy=accuracy, effective_rank=20.0)


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_networks_are_sorted_by_the_mean_correlation_with_the_first_model(seeds):
    found, drawn = table(seeds), objectives(table(seeds), selection())
    rows = found[found.control == "random"]
    means = rows.groupby(["model", "network"]).mantel_r.mean()
    order = means["category"].sort_values(ascending=False)
    labels = drawn.axes[0].get_yticklabels()
    assert texts(labels) == [NAMES[network] for network in order.index]
    assert drawn.axes[0].yaxis_inverted()
    bold = {label.get_text() for label in labels if label.get_fontweight() == "bold"}
    assert bold == {"60 s", "3 min"}
    corrected = rows.groupby(["model", "network"]).p_holm.max() < 0.05
    for model in ("category", "lch"):
        wanted = [(pytest.approx(means[model][name]), corrected[model][name]) for name in order.index]
        assert points(drawn.axes[0], model, axis=0) == wanted
    accuracy = rows[rows.model == "category"].groupby("network").accuracy.mean()
    assert points(drawn.axes[1], "accuracy", axis=0) == [(pytest.approx(accuracy[name]), True) for name in order.index]


def test_words_name_what_is_above_nothing():
    found = table()
    found.loc[found.network == "byol_60s", ["p_holm", "mantel_r"]] = 0.01, 0.25
    found.loc[found.network != "byol_60s", "p_holm"] = 0.5
    assert "Above 0, corrected for all: byol, 60 s (0.25)." in objectives(found, selection()).alt
    assert objectives(found.assign(p_holm=0.5), selection()).alt.endswith(": none.")
