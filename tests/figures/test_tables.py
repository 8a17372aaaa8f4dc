"""Means over seeds with the right interval, and captions that count as a person would."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from semanticcmc.evaluation.config import control_seeds
from semanticcmc.experiment import load_experiment
from semanticcmc.figures.tables import Selection, caption, control_text, select, summary, values_text
from tests.figures.drawing import FEW_LAGS_S, curve_table, selection


def test_a_summary_of_one_seed_is_the_seed_and_of_several_their_mean():
    table = curve_table((0, 1, 2), FEW_LAGS_S)
    rows = table[(table.layer == "fc7") & (table.control == "random")]
    found = summary(rows, 0.9).set_index(["network", "model"])
    assert set(found.index) == set(zip(rows.network, rows.model, strict=True))
    for key, own in rows.groupby(["network", "model"]):
        low, high = stats.t.interval(0.9, 2, loc=own.mantel_r.mean(), scale=stats.sem(own.mantel_r))
        one = found.loc[key]
        assert [one.mantel_r, one.ci_low, one.ci_high] == pytest.approx([own.mantel_r.mean(), low, high])
        assert one.significant == (own.p_holm < 0.05).all()
    rows = rows[rows.seed == 1]
    alone = summary(rows, 0.9)
    np.testing.assert_allclose(alone[["mantel_r", "ci_low", "ci_high"]], rows[["mantel_r", "ci_low", "ci_high"]])


def test_a_selection_is_the_rows_that_it_names_as_far_as_a_table_has_such_columns():
    table, shown = curve_table(), selection(models=("lch",))
    wanted = (table.layer == "fc7") & (table.model == "lch")
    assert shown.rows(table).equals(table[wanted & (table.control == "random")])
    assert shown.rows(table, control=table.control).equals(table[wanted])
    plain = table.drop(columns=["model", "control"])
    assert shown.rows(plain).equals(plain[plain.layer == "fc7"])
    assert select(table, network=("random", "augment"), model="lch").network.unique().tolist() == ["random", "augment"]


def test_a_caption_tells_layer_classes_seeds_and_intervals_of_the_rows():
    table = curve_table((0, 1, 2), layers=("fc7",))
    one = caption(table[table.seed == 2], "and more", "", confidence=0.9).replace("\N{NO-BREAK SPACE}", " ")
    assert one == "fc7; 48 classes; intact pictures; 1 seed (2); bars: 90 % bootstrap over classes; and more."
    assert "3 seeds; points: means over seeds; bars: 90" in caption(table, confidence=0.9)
    assert "3 seeds, a point each; bars: 90" in caption(table, confidence=0.9, each=True)
    assert "bootstrap over classes" in caption(table, confidence=0.9, each=True)
    assert "bars" not in caption(table)
    assert "fc7" not in caption(curve_table())  # of two layers none is the figure's


def test_controls_and_numbers_are_said_as_they_are():
    assert control_text("random", 1) == "given the RDM of one untrained network"
    assert "mean RDM of 7" in control_text("random", 7)
    assert selection(control="none").given == "r given nothing (simple r)"
    assert [selection(control=one).axis_label("lch").split(",")[0] for one in ("none", "look")] == ["r", "partial r"]
    assert [values_text(column) for column in ([48, 48], [40, 48, 1000], [])] == ["48", "40 to 1,000", "no"]


def test_a_selection_is_what_an_experiment_declared_unless_something_else_is_chosen():
    experiment = load_experiment("smoke")
    declared = Selection.of(experiment)
    assert (declared.layer, declared.models, declared.control) == ("fc7", ("category", "lch"), "random")
    assert declared.random_networks == len(control_seeds(experiment))
    assert dataclasses.replace(declared, layer="conv5") == Selection.of(experiment, layer="conv5")
