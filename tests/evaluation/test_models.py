"""Which files hold an experiment's models."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from semanticcmc.config import InputError, package_table
from semanticcmc.evaluation.models import category_table, experiment_model
from semanticcmc.experiment import Experiment
from semanticcmc.rsa.rdm import RDM, write_rdms
from semanticcmc.rsa.semantics import category_rdm, lch_rdm

CLASSES = pd.read_csv(package_table("world_classes.csv"), comment="#").wnid.tolist()[::8]


@pytest.fixture
def experiment(tmp_path):
    def of(source):
        return Experiment("e", "E", source, (1.0,), (), (0,), "fc7", {}, tmp_path / "e.yaml", tmp_path)

    return of


def test_the_world_brings_its_own_categories(experiment, tmp_path):
    assert category_table(experiment("world")) == tmp_path / "world" / "classes.csv"
    assert category_table(experiment("films")) == package_table("categories.csv")
    (tmp_path / "world").mkdir()
    rows = pd.DataFrame({"wnid": CLASSES, "category": ["one", "two"] * (len(CLASSES) // 2)})
    rows.to_csv(tmp_path / "world" / "classes.csv", index=False)
    for source, table in (("world", tmp_path / "world" / "classes.csv"), ("films", None)):
        found = experiment_model("category", CLASSES, experiment(source), {})
        np.testing.assert_array_equal(found.values, category_rdm(CLASSES, table).values)


def test_a_table_of_ones_own_goes_before_the_packages_and_the_worlds(experiment, tmp_path):
    file = tmp_path / "mine.csv"
    pd.DataFrame({"wnid": CLASSES, "category": ["a", "b"] * (len(CLASSES) // 2)}).to_csv(file, index=False)
    for source in ("world", "films"):
        one = dataclasses.replace(experiment(source), sections={"evaluation": {"categories": str(file)}})
        assert category_table(one) == file
        np.testing.assert_array_equal(
            experiment_model("category", CLASSES, one, {}).values, category_rdm(CLASSES, file).values
        )


def test_models_come_from_wordnet_the_films_or_a_file_of_ones_own(experiment, tmp_path):
    one = experiment("films")
    np.testing.assert_array_equal(experiment_model("lch", CLASSES, one, {}).values, lch_rdm(CLASSES).values)
    with pytest.raises(InputError, match=r"association\.parquet: missing; notebook 01"):
        experiment_model("association", CLASSES, one, {})
    with pytest.raises(InputError, match="model 'words': expected category, lch"):
        experiment_model("words", CLASSES, one, {})
    values = np.random.default_rng(0).random(len(CLASSES) * (len(CLASSES) - 1) // 2)
    for name, file in (("association", "rdms/association.parquet"), ("words", "words.parquet")):
        write_rdms(tmp_path / file, {name: RDM(values, CLASSES)})
        found = experiment_model(name, CLASSES[::-1], one, {"words": str(tmp_path / "words.parquet")})
        assert found.classes == tuple(CLASSES[::-1])
        np.testing.assert_array_equal(found.subset(CLASSES).values, values)
