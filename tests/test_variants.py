"""Variants: what stands in one replaces what the experiment says, all else stays; wrong keys are refused by name."""

from pathlib import Path

import pytest
import yaml

from semanticcmc.config import InputError
from semanticcmc.experiment import load_experiment, resolve_experiment
from semanticcmc.training.recipe import TrainingConfig
from semanticcmc.variants import split_variant, varied
from semanticcmc.workflow import check_sections

HERE = Path("an.yaml")
VALUES = {"name": "one", "title": "One", "training": {"steps": 5, "bank": None}, "lags_s": [1, 2]}


def test_a_name_and_its_variant():
    assert split_variant("poster:fast") == ("poster", "fast")
    assert split_variant("poster") == ("poster", None)
    assert split_variant("/some where/a.yaml:fast") == ("/some where/a.yaml", "fast")
    assert split_variant(Path("a.yaml")) == ("a.yaml", None)


def test_only_what_a_variant_says_differs():
    values = VALUES | {"variants": {"few": {"lags_s": [2], "training": {"bank": {"noise": 3}}}}}
    assert varied(values, None, HERE) == VALUES
    assert varied(values, "few", HERE) == {
        "name": "one_few",
        "title": "One",
        "training": {"steps": 5, "bank": {"noise": 3}},
        "lags_s": [2],
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trainin": {}}, "trainin"),
        ({"name": "two"}, "'name'"),
        ({"training": {"stepps": 1}}, "section training has no key stepps"),
        ({"training": 3}, "training is 3"),
        (None, "expected `key: value` lines"),
    ],
)
def test_wrong_keys_are_refused_even_where_the_variant_is_not_wanted(changes, message):
    for variant in (None, "few"):
        with pytest.raises(InputError, match=message):
            varied(VALUES | {"variants": {"few": changes}}, variant, HERE)


def test_unknown_variants_are_refused():
    with pytest.raises(InputError, match=r"no variant 'fats'; there are fast"):
        load_experiment("poster:fats")
    with pytest.raises(InputError, match="there are none"):
        load_experiment("smoke:fast")


def test_the_posters_fast_recipe_differs_where_its_block_says(repository, tmp_path):
    published, fast = load_experiment("poster", tmp_path), load_experiment("poster:fast", tmp_path)
    said = yaml.safe_load((repository / "analysis/experiments/poster.yaml").read_text())["variants"]["fast"]
    assert (published.name, fast.name, fast.folder.name) == ("poster", "poster_fast", "poster_fast")
    assert fast.title == said["title"] and fast.lags_s == published.lags_s == (1, 10, 30, 60, 300)
    for section, values in published.sections.items():
        assert fast.sections[section] == {**values, **said.get(section, {})}
    for experiment in (published, fast):
        check_sections(experiment)


def test_the_posters_recipe_is_the_published_one(tmp_path):
    """Numbers of the authors' code and poster (`published_protocol`)."""
    config = load_experiment("poster", tmp_path).section("training", TrainingConfig)
    bank = config.memory_bank
    assert (bank.noise, bank.momentum, bank.form, config.temperature) == (16384, 0.5, "nce", 0.07)
    assert (config.optimiser, config.learning_rate, config.momentum) == ("sgd", 0.03, 0.9)
    assert (config.weight_decay, config.batch_pairs, config.epochs) == (1e-4, 128, 80)
    assert [80 * share for share in config.drops] == [30, 50, 70]


def test_the_workflows_copy_of_a_variant_stands_by_itself(tmp_path):
    made = resolve_experiment("poster:fast", tmp_path)
    assert made.folder == tmp_path / "poster_fast"
    assert "variants" not in yaml.safe_load(made.file.read_text())
    again = load_experiment("poster:fast", tmp_path)
    assert (again.file, again.sections) == (made.file, made.sections)
    assert load_experiment(made.file).name == "poster_fast"
