"""Figures are drawn without a screen, in the house style, and closed after each test."""

import matplotlib
import pytest

matplotlib.use("Agg")

import matplotlib.pyplot as plt

from semanticcmc.experiment import Experiment
from semanticcmc.figures import style


@pytest.fixture(autouse=True)
def house_style():
    with matplotlib.rc_context():
        style.use_house_style()
        yield
        plt.close("all")


@pytest.fixture
def experiment(tmp_path):
    folder = tmp_path / "results" / "tiny"
    folder.mkdir(parents=True)
    file = folder / "experiment.yaml"
    file.write_text("name: tiny\n")
    return Experiment("tiny", "A tiny world", "world", (1.0, 60.0), ("random",), (0, 1), "fc7", {}, file, folder)
