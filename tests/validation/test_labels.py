"""The study of labels at poster scale, cut down: what it draws comes back, page by page."""

import importlib

import numpy as np
import pytest


@pytest.fixture
def study():
    return importlib.import_module("validation.labels")


def test_what_the_study_draws_comes_back(study, tmp_path, monkeypatch):
    monkeypatch.setattr(study, "lengths", lambda films: np.array([300, 500])[:films])
    drawn = study.draw(tmp_path, 2)
    study.bring_in(tmp_path, 2)
    seen = study.look(tmp_path, 2)
    assert seen["label_sets"] == drawn["label_sets"] == 800
    assert seen["labels"] == sum(drawn["names"])
    assert 13 < seen["labels"] / 800 < 16  # as many a set as published: 41 million in 2,851,272
    for name, count in seen["found"].items():
        assert drawn["names"][int(name.removeprefix("Label "))] == count
    assert study.lengths(1).sum() == 300


def test_the_study_has_as_many_label_sets_as_published(study):
    assert study.lengths(100).sum() == 2_851_272 and (study.lengths(100) > 0).all()
    assert study.probabilities().sum() * 2_851_272 == pytest.approx(41e6, rel=1e-6)
