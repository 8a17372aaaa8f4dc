"""What holds for every figure: words for those who cannot see it, letters large enough, one type returned."""

import inspect

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from semanticcmc.figures import accuracy, comparisons, films, lag_curve, layers, rdms, robustness, timescales, training
from tests.figures.drawing import FEW_LAGS_S, TESTED, assert_words_and_letters, curve_table, pictures, selection
from tests.figures.test_accuracy import accuracy_table, yardsticks
from tests.figures.test_comparisons import comparison_table, connectivity_table
from tests.figures.test_objectives import table as taught
from tests.figures.test_rdms import CATEGORIES, random_rdm
from tests.figures.test_robustness import panel
from tests.figures.test_timescales import NONE, meaning
from tests.figures.test_timescales import table as strengths

NOUNS = dict(zip(CATEGORIES, ("hammer", "dog", "saw", "cat", "owl"), strict=True))


def curves():
    return curve_table(lags_s=FEW_LAGS_S)


def with_files(folder):
    files = {name: folder / f"{name}.png" for name in CATEGORIES}
    for file in files.values():
        Image.new("RGB", (40, 30)).save(file)
    return rdms.nearest_neighbours(random_rdm(0), files, CATEGORIES, NOUNS, "fc7")


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


FIGURES = {
    accuracy.accuracy_by_condition: lambda: accuracy.accuracy_by_condition(accuracy_table(), selection()),
    accuracy.dissociation: lambda: accuracy.dissociation(curves(), accuracy_table(), selection()),
    accuracy.noise_ceiling: ceilings,
    accuracy.yardsticks: lambda: accuracy.yardsticks(yardsticks(), selection()),
    comparisons.connectivity: lambda: comparisons.connectivity(connectivity_table(), TESTED, selection()),
    comparisons.controls: lambda: comparisons.controls(curves(), selection()),
    comparisons.lag_comparisons: lambda: comparisons.lag_comparisons(
        comparison_table((0,)), TESTED, selection(models=("lch",))
    ),
    films.association_maps: lambda: films.association_maps({1.0: pd.DataFrame(np.eye(2), list("ab"), list("ab"))}, {}),
    films.film_strip: lambda: films.film_strip(pictures(5), [0.0, 1.0, 2.0, 3.0, 4.0], [["dog"]] * 5, (1, 3)),
    films.label_frequencies: lambda: films.label_frequencies(pd.Series({"cat": 5, "dog": 50})),
    lag_curve.lag_curve: lambda: lag_curve.lag_curve(curves(), selection()),
    lag_curve.published_table: published,
    layers.conditions_by_layer: by_layer,
    layers.layers: lambda: layers.layers(curves(), selection()),
    accuracy.objectives: lambda: accuracy.objectives(taught(), selection()),
    rdms.mds: lambda: rdms.mds(random_rdm(0), CATEGORIES, NOUNS),
    rdms.nearest_neighbours: with_files,
    rdms.rdm_matrices: lambda: rdms.rdm_matrices({"a": random_rdm(0)}, CATEGORIES),
    robustness.robustness: lambda: robustness.robustness(panel(), selection(), "semantic_60s"),
    timescales.meaning: lambda: timescales.meaning(*meaning(), selection()),
    timescales.persistence: lambda: timescales.persistence(strengths(), NONE, confidence=0.9, count=3),
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
    assert_words_and_letters(FIGURES[figure](tmp_path) if figure is rdms.nearest_neighbours else FIGURES[figure]())
