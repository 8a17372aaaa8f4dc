"""What holds for every figure: words for those who cannot see it, letters large enough, one type returned."""

import inspect
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from semanticcmc.figures import (
    accuracy,
    comparisons,
    films,
    lag_curve,
    layers,
    rdms,
    robustness,
    style,
    timescales,
    training,
)
from semanticcmc.figures.style import Drawn
from tests.figures.drawing import FEW_LAGS_S, NETWORKS, curve_table, pictures, selection
from tests.figures.test_accuracy import accuracy_table
from tests.figures.test_comparisons import comparison_table, connectivity_table
from tests.figures.test_lag_curve import prediction
from tests.figures.test_rdms import CATEGORIES, random_rdm
from tests.figures.test_robustness import panel
from tests.figures.test_timescales import NONE, r2_table
from tests.figures.test_timescales import table as strengths

NOUNS = dict(zip(CATEGORIES, ("hammer", "dog", "saw", "cat", "owl"), strict=True))


def curves():
    return curve_table(lags_s=FEW_LAGS_S)


def with_files(folder):
    files = {name: folder / f"{name}.png" for name in CATEGORIES}
    for file in files.values():
        Image.new("RGB", (40, 30)).save(file)
    return rdms.nearest_neighbours(random_rdm(0), files, CATEGORIES, NOUNS, "fc7")


def reported():
    columns = ["film_s", "half_life_s", "estimator", "reported_s", "ci_low_s", "ci_high_s"]
    rows = [(1200.0, 10.0, name, 11.0, 9.0, 12.0) for name in timescales.ESTIMATOR_STYLES]
    return timescales.reported(pd.DataFrame(rows, columns=columns), confidence=0.9, films=48, worlds=3)


def published():
    tables = [curves().assign(source=source) for source in ("published", "ours")]
    return lag_curve.published_table(pd.concat(tables), selection())


def by_layer():
    table = curves().query("network == 'augment' and model == 'lch' and control == 'none'")
    table = table[["condition", "layer", "mantel_r", "ci_low", "ci_high"]]
    return layers.conditions_by_layer(table, selection(), "augment", 0, 48)


def ceilings():
    table = curves().drop_duplicates(["network", "layer"]).assign(ceiling=0.9)
    return accuracy.noise_ceiling(curves(), table, selection())


def looks():
    table = pd.read_csv(Path(__file__).parents[2] / "validation" / "real_images.csv")
    return layers.looks(table, 0.2, confidence=0.95)


def rms():
    curve = pd.DataFrame({"lag_s": [1, 10], "rms_difference": [20.0, 50.0]})
    found = pd.Series({"half_life_s": 4.9, "ci_low_s": 4.8, "ci_high_s": 5.1})
    return timescales.rms_by_lag({"ours": curve}, found, films=40, half_life_s=5.0)


def beside_published():
    streams = {"in time order": pd.DataFrame({"lag_s": [60, 1200], "mean_r2": [0.03, 0.02]})}
    return timescales.r2_beside_published(streams, None, film_s=[5700.0], half_life_s=60.0, parts=16)


FIGURES = {
    accuracy.accuracy_by_condition: lambda: accuracy.accuracy_by_condition(accuracy_table(), selection()),
    accuracy.dissociation: lambda: accuracy.dissociation(curves(), accuracy_table(), selection()),
    accuracy.noise_ceiling: ceilings,
    comparisons.connectivity: lambda: comparisons.connectivity(connectivity_table(), selection(), NETWORKS),
    comparisons.controls: lambda: comparisons.controls(curves(), selection()),
    comparisons.lag_comparisons: lambda: comparisons.lag_comparisons(
        comparison_table((0,)), selection(models=("lch",)), NETWORKS
    ),
    films.association_maps: lambda: films.association_maps({1.0: pd.DataFrame(np.eye(2), list("ab"), list("ab"))}, {}),
    films.film_strip: lambda: films.film_strip(pictures(5), [0.0, 1.0, 2.0, 3.0, 4.0], [["dog"]] * 5, (1, 3)),
    films.label_frequencies: lambda: films.label_frequencies(pd.Series({"cat": 5, "dog": 50})),
    lag_curve.lag_curve: lambda: lag_curve.lag_curve(curves(), selection()),
    lag_curve.predicted_lag_curve: lambda: lag_curve.predicted_lag_curve(*prediction(), confidence=0.9, films=3),
    lag_curve.published_table: published,
    layers.conditions_by_layer: by_layer,
    layers.layers: lambda: layers.layers(curves(), selection()),
    layers.looks: looks,
    rdms.mds: lambda: rdms.mds(random_rdm(0), CATEGORIES, NOUNS),
    rdms.nearest_neighbours: with_files,
    rdms.rdm_matrices: lambda: rdms.rdm_matrices({"a": random_rdm(0)}, CATEGORIES),
    robustness.robustness: lambda: robustness.robustness(panel(), selection(), "semantic_60s"),
    timescales.persistence: lambda: timescales.persistence(strengths(), NONE, confidence=0.9, count=3),
    timescales.r2_beside_published: beside_published,
    timescales.r2_by_lag: lambda: timescales.r2_by_lag(r2_table(), films=48, parts=8, interval_s=10),
    timescales.reported: reported,
    timescales.rms_by_lag: rms,
    training.pairs: lambda: training.pairs(pictures(4), pictures(4), "semantic_60s", 60.0),
    training.training_curves: lambda: training.training_curves(
        pd.DataFrame({key: [1.0, 2.0] for key in ("step", *training.MEASURES)}), "augment", 0, 3.5
    ),
}


def test_every_public_function_that_draws_is_tested_here():
    modules = (accuracy, comparisons, films, lag_curve, layers, rdms, robustness, timescales, training)
    found = {
        function
        for module in modules
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if not name.startswith("_") and function.__module__ == module.__name__
        if inspect.signature(function).return_annotation == "Drawn"
    }
    assert found == set(FIGURES)


@pytest.mark.parametrize("figure", FIGURES, ids=lambda function: function.__name__)
def test_a_figure_comes_with_words_and_letters_large_enough_to_read(figure, tmp_path):
    drawn = FIGURES[figure](tmp_path) if figure is rdms.nearest_neighbours else FIGURES[figure]()
    assert isinstance(drawn, Drawn) and all(ax.figure is drawn.figure for ax in drawn.axes)
    assert not drawn.alt[0].islower()
    for words in filter(None, (drawn.alt, drawn.caption)):
        assert words.endswith(".") and ".." not in words and "nan" not in words.split() and "  " not in words
    sizes = [text.get_fontsize() for text in drawn.figure.findobj(matplotlib.text.Text) if text.get_text().strip()]
    assert min(sizes) >= style.SMALL_PT
