"""Shares of kind and company, on RDMs whose parts are known."""

import importlib

import numpy as np
import pytest

from semanticcmc.rsa.rdm import RDM, write_rdms


@pytest.fixture
def study():
    return importlib.import_module("validation.kind_or_company_commonality")


def test_the_shares_of_worlds_are_means_over_worlds_and_not_over_networks(study, tmp_path, monkeypatch):
    """Networks made of association and noise: association explains half of them in two worlds, and nothing in one."""
    monkeypatch.setattr(study, "FOLDER", tmp_path)
    names, rng = tuple(f"c{i:02}" for i in range(40)), np.random.default_rng(0)
    first, second = np.triu_indices(40, 1)
    category, theme = (first // 5 != second // 5).astype(float), (first % 5 != second % 5).astype(float)
    models = {"category": category, "association 60 s": theme, "look": rng.random(len(first))}
    for world, weight, networks in ((0, 1.0, 1), (1, 1.0, 3), (2, 0.0, 2)):
        write_rdms(tmp_path / f"crossed_{world}" / "models.parquet", {k: RDM(v, names) for k, v in models.items()})
        for k in range(networks):
            rdm = RDM(weight * theme + theme.std() * rng.standard_normal(len(first)), names)
            write_rdms(tmp_path / "rdms" / f"crossed_{world}_60s_{k}.parquet", {"fc7": rdm})
    found = study.of_worlds("crossed").set_index("part")
    assert (found.worlds == 3).all() and (found.networks == 6).all() and set(found.over) == {"worlds"}
    assert found.share_cv["association"] == pytest.approx((0.5 + 0.5 + 0) / 3, abs=0.04)
    assert found.share_cv[["category", "look"]].abs().max() < 0.02
    assert found.low["association"] < 0 < found.high["association"] < 1.2
    assert found.share_cv["all"] == pytest.approx(found.share_cv.drop("all").sum())
