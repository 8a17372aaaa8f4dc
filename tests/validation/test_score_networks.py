"""The table of networks on real images: memory as promised, weights as they are, extraction as by a plain hook."""

import importlib

import pandas as pd
import pytest

from tests.conftest import ROOT

TABLE = ROOT / "validation" / "score_networks.csv"


@pytest.fixture(scope="module")
def table():
    return pd.read_csv(TABLE)


def test_no_process_had_more_memory_than_forecast_nor_than_allowed(table):
    assert (table.peak_mib <= table.forecast_mib).all() and (table.forecast_mib <= table.allowed_mib).all()


def test_the_alarm_fires_for_drawn_networks_and_for_no_trained_one(table):
    heard = table[table.untrained > 0].set_index("network").alarm.astype(str)
    assert {name: set(heard.loc[[name]]) for name in heard.index} == {
        name: {"False" if name == "miniature" else "True"} for name in heard.index
    }
    assert {"resnet18", "vit_small_patch16_224", "miniature"} <= set(heard.index)


def test_distances_are_those_of_a_plain_hook(table):
    assert (table.difference.dropna() < 1e-6).all() and table.difference.notna().sum() >= 3


def test_cases_that_cannot_be_run_are_told(tmp_path, capsys, monkeypatch):
    study = importlib.import_module("validation.score_networks")
    monkeypatch.setattr(study, "TABLE", tmp_path / "table.csv")
    study.main([str(tmp_path)])
    said = capsys.readouterr().err
    assert said.count("skipped") == len(study.CASES) and "is not there" in said
    assert not list(tmp_path.iterdir())
