"""What a network was shown and how it learned is drawn as it was."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from semanticcmc.figures import training
from tests.figures.drawing import line, pictures


def test_a_live_curve_is_one_picture_drawn_again(tmp_path, monkeypatch):
    shown = []

    class Handle:
        update = shown.append

    def display(figure, display_id):
        shown.append(figure)
        return Handle

    monkeypatch.setattr("IPython.display.display", display)
    file = tmp_path / "metrics.jsonl"
    live, slow = (training.LiveCurve(file, "semantic_60s, seed 0", every_s=every_s) for every_s in (0, 1e6))
    for step in (1, 2, 3):
        with file.open("a") as lines:
            seen = {"category_r": 0.25} if step == 2 else {}
            lines.write(json.dumps({"step": step, "loss": 5.0 - step, **seen}) + "\n")
        live({"step": step, "loss": 5.0 - step, "seconds_left": 60.0 * (3 - step)})
        assert len(shown) == step
        assert list(shown[-1].axes[0].lines[0].get_xdata()) == list(range(1, step + 1))
    titles = [figure.axes[0].get_title(loc="left") for figure in shown]
    assert titles[0] == "semantic_60s, seed 0: step 1, loss 4.000, 2 min left"
    assert titles[2].endswith("loss 2.000, category r 0.250, done")
    assert line(shown[2].axes[1], "category_r").get_xydata().tolist() == [[2, 0.25]]
    assert not plt.get_fignums()  # none is left for the cell to show again
    for left in (2.0, 1.0, 0.0):
        slow({"step": 3, "loss": 2.0, "seconds_left": left})
    assert len(shown) == 5  # the first and the last


def test_training_curves_draw_the_metrics_and_chance():
    metrics = pd.DataFrame({"step": [5, 10, 15], "loss": [3.0, np.nan, 1.0]})
    metrics = metrics.assign(**{measure: [1.0, 2.0, 3.0] for measure in training.MEASURES[1:]})
    axes, alt, _ = training.training_curves(metrics, "semantic_60s", 1, chance=3.5)
    assert line(axes[0], "loss").get_xydata().tolist() == [[5, 3.0], [15, 1.0]]
    for ax, measure in zip(axes[1:], training.MEASURES[1:], strict=True):
        assert line(ax, measure).get_ydata().tolist() == [1.0, 2.0, 3.0]
    assert line(axes[0], "chance").get_ydata() == pytest.approx([3.5, 3.5])
    assert "semantic_60s, seed 1" in alt and "category r" in alt
    axes, alt, _ = training.training_curves(metrics.drop(columns=["category_r", "temperature"]), "semantic_60s", 1)
    assert len(axes) == len(axes[0].figure.axes) == len(training.MEASURES) - 2 and "category" not in alt


def test_pairs_are_one_above_the_other():
    first, second = pictures(4), pictures(8)[4:]
    axes, alt, _ = training.pairs(first, second, "semantic_60s", 60.0)
    grid = np.array(axes).reshape(2, 4)
    for column, (a, b) in enumerate(zip(first, second, strict=True)):
        assert (grid[0, column].images[0].get_array() == a).all()
        assert (grid[1, column].images[0].get_array() == b).all()
    assert "60 s" in grid[1, 0].get_ylabel() and "4 pairs" in alt and "semantic_60s" in alt
    assert "other crop" in training.pairs(first, second, "augment", 0.0).axes[4].get_ylabel()
