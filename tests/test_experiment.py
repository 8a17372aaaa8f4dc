import math
import os
import re
from contextlib import nullcontext

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from semanticcmc.cli import main
from semanticcmc.config import InputError
from semanticcmc.experiment import Network, lagged_name, load_experiment, read_values
from semanticcmc.training.recipe import TrainingConfig
from semanticcmc.workflow import resolve_experiment
from semanticcmc.workflow.checks import check_experiment
from tests.conftest import ROOT

HEAD = {
    "name": "tiny",
    "title": "A tiny one",
    "source": "films",
    "lags_s": [5, 1],
    "baselines": ["random", "augment"],
    "seeds": [0],
    "primary_layer": "fc7",
    "movies": {"folder": None},
    "stimuli": {"folder": None},
}


def source(folder, **change):
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in (HEAD | change).items() if value is not ...}))
    return path


@given(
    st.floats(min_value=1e-3, max_value=1e5)
    .map(lambda value: float(f"{value:g}"))
    .filter(lambda x: "e" not in f"{x:g}")
)
def test_a_lag_is_read_back_from_the_network_name(lag_s):
    network = Network.named(lagged_name(lag_s), "info_nce", 0)
    assert (network.lag_s, network.trained, network.views) == (lag_s, True, "rgb")


def test_what_the_baselines_are():
    named = {name: Network.named(name, "info_nce", 0) for name in ("random", "supervised", "augment", "cmc_lab")}
    assert [network.trained for network in named.values()] == [False, False, True, True]
    assert named["augment"].lag_s == 0 and named["cmc_lab"].views == "lab"
    assert math.isnan(named["random"].lag_s) and math.isnan(named["cmc_lab"].lag_s)


@pytest.mark.parametrize("lag_s", [-1, 0, math.nan, math.inf, None, "60", True])
def test_a_lag_that_is_no_positive_number_is_refused(lag_s):
    with pytest.raises(InputError, match="seconds above 0"):
        lagged_name(lag_s)


@pytest.mark.parametrize("name", ["semanticc", "semantic", "semantic_0s", "semantic_-1s", "vgg"])
def test_an_unknown_network_is_refused(name):
    with pytest.raises(InputError, match=r"semantic_60s, or one of random, .*|seconds above 0"):
        Network.named(name, "info_nce", 0)


def test_an_experiment_takes_further_networks(tmp_path):
    experiment = load_experiment(source(tmp_path))
    more = [experiment.network(name, 0) for name in ("semantic_90s", "cmc_lab", "semantic_1s")]
    assert experiment.extended(more).networks == (
        *("random", "augment", "cmc_lab"),
        *("semantic_1s", "semantic_5s", "semantic_90s"),
    )


def test_the_workflow_copy_holds_what_the_call_adds_and_is_written_once(tmp_path):
    films = tmp_path / "films of mine"
    films.mkdir()
    call = dict(results=tmp_path / "results", films=str(films), stimuli=str(tmp_path), seeds=3)
    experiment = resolve_experiment(source(tmp_path), **call)
    assert experiment.folder == tmp_path / "results" / "tiny"
    assert experiment.networks == ("random", "augment", "semantic_1s", "semantic_5s")
    assert experiment.seeds == (0, 1, 2)
    assert experiment.sections["movies"]["folder"] == str(films)
    before = experiment.file.stat().st_mtime_ns
    os.utime(experiment.file, ns=(before - 10**9, before - 10**9))
    resolve_experiment(source(tmp_path), **call)
    assert experiment.file.stat().st_mtime_ns == before - 10**9
    assert load_experiment(experiment.file) == experiment


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lags": [1]}, ["tiny.yaml", "lags", "lags_s"]),
        ({"lags_s": [-1]}, ["tiny.yaml", "-1", "above 0"]),
        ({"lags_s": [1, 1]}, ["lags_s", "duplicate"]),
        ({"source": "tape"}, ["tape", "world, films"]),
        ({"baselines": ["randm"]}, ["randm", "cmc_lab"]),
        ({"seeds": []}, ["seeds"]),
        ({"name": "../up"}, ["../up"]),
        ({"title": ...}, ["missing key title"]),
    ],
)
def test_a_wrong_experiment_is_refused_before_anything_is_written(tmp_path, change, words):
    with pytest.raises(InputError) as error:
        resolve_experiment(source(tmp_path, **change), results=tmp_path / "results")
    for word in words:
        assert word in str(error.value)
    assert not (tmp_path / "results").exists()


def test_absent_files_and_folders_are_named(tmp_path):
    with pytest.raises(InputError, match="no such experiment"):
        load_experiment(tmp_path / "nothing.yaml")
    with pytest.raises(InputError, match="FILMS=.*no such folder"):
        resolve_experiment(source(tmp_path), results=tmp_path, films=str(tmp_path / "nothing"))
    with pytest.raises(InputError, match="LABELS=.*no such folder or file"):
        resolve_experiment(source(tmp_path, labels={}), results=tmp_path, labels=str(tmp_path / "nothing"))
    with pytest.raises(InputError, match="the world makes its own labels"):
        resolve_experiment(source(tmp_path, source="world", labels={}), results=tmp_path, labels=str(tmp_path))
    with pytest.raises(InputError, match="SEEDS=0"):
        resolve_experiment(source(tmp_path), results=tmp_path, seeds=0)
    broken = tmp_path / "broken.yaml"
    broken.write_text("name: [")
    with pytest.raises(InputError, match=r"broken.yaml: not readable as YAML"):
        load_experiment(broken)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_results_folder_is_named(tmp_path):
    results = tmp_path / "results"
    results.mkdir(mode=0o500)
    with pytest.raises(InputError, match="cannot be written"):
        resolve_experiment(source(tmp_path), results=results)


def test_results_where_a_file_stands_are_refused_by_name(tmp_path):
    (tmp_path / "results").write_text("not a folder")
    with pytest.raises(InputError, match="results"):
        resolve_experiment(source(tmp_path), results=tmp_path / "results")


def write(folder, name, **values):
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"name": name, "title": name} | values))
    return path


def test_only_what_an_experiment_says_differs_from_what_it_extends(tmp_path):
    write(tmp_path, "one", training={"steps": 5, "bank": {"noise": 3, "momentum": 0.5}}, lags_s=[1, 2], views=None)
    write(tmp_path, "two", extends="one.yaml", training={"bank": {"noise": 4}}, lags_s=[2])
    values, origins, file = read_values(
        write(tmp_path, "three", extends="two.yaml", training={"bank": None}, seeds=[1])
    )
    assert file == tmp_path / "three.yaml"
    assert values == {
        "name": "three",
        "title": "three",
        "training": {"steps": 5, "bank": None},
        "lags_s": [2],
        "views": None,
        "seeds": [1],
    }
    assert read_values(tmp_path / "two.yaml")[0]["training"]["bank"] == {"noise": 4, "momentum": 0.5}
    assert origins == {
        ("name",): "three.yaml",
        ("title",): "three.yaml",
        ("training", "steps"): "one.yaml",
        ("training", "bank"): "three.yaml",
        ("lags_s",): "two.yaml",
        ("views",): "one.yaml",
        ("seeds",): "three.yaml",
    }


def test_name_and_title_are_an_experiments_own(tmp_path):
    file = tmp_path / "nameless.yaml"
    file.write_text("extends: smoke\n")
    with pytest.raises(InputError, match=r"nameless\.yaml: missing key name, title"):
        load_experiment(file)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"extends": "one.yaml"}, "one.yaml extends two.yaml extends one.yaml: a circle"),
        ({"extends": "absent"}, r"absent\.yaml: no such experiment; there are .*miniature"),
        ({"extends": "smoke", "training": 3}, r"one\.yaml: training: expected a section .* found 3"),
        ({"extends": "smoke", "training": {"stepps": 1}}, r"one\.yaml, section training: unknown key stepps"),
    ],
)
def test_what_cannot_be_extended_is_refused_by_name(tmp_path, values, message):
    write(tmp_path, "two", extends="one.yaml")
    one = write(tmp_path, "one", **(values | ({"extends": "two.yaml"} if "circle" in message else {})))
    with pytest.raises(InputError, match=message):
        check_experiment(load_experiment(one))


@pytest.mark.parametrize("name", ["miniature", "poster:fast"])
def test_show_prints_the_whole_experiment_and_where_each_value_stands(name, capsys):
    assert main(["show", name]) == 0
    said = capsys.readouterr().out
    values, origins, _ = read_values(name)
    assert yaml.safe_load(said) == values
    lines = [line.split("#") for line in said.splitlines() if "#" in line]
    assert sorted(origin.strip() for _, origin in lines) == sorted(
        origin for place, origin in origins.items() if place[0] in values
    )


def test_a_copy_older_than_its_source_is_told(tmp_path, capsys):
    made = resolve_experiment("smoke", tmp_path)
    assert load_experiment("smoke", tmp_path).file == made.file and capsys.readouterr().out == ""
    os.utime(read_values("smoke")[2])  # a new time alone changes nothing
    load_experiment("smoke", tmp_path)
    assert capsys.readouterr().out == ""
    rest = made.file.read_text().split("\n", 1)[1]
    made.file.write_text("# As run, from smoke.yaml (0123456789abcdef)\n" + rest)
    load_experiment("smoke", tmp_path)
    assert "smoke has changed since" in capsys.readouterr().out


def test_the_fast_recipe_differs_from_the_published_where_its_file_says(tmp_path):
    published, fast = load_experiment("poster", tmp_path), load_experiment("poster:fast", tmp_path)
    assert (fast.name, fast.folder.name) == ("poster_fast", "poster_fast")
    assert fast.lags_s == published.lags_s == (1, 10, 30, 60, 300)
    own = yaml.safe_load(fast.file.read_text())
    for section, values in published.sections.items():
        assert fast.sections[section] == {**values, **own.get(section, {})}


def test_the_posters_recipe_is_the_published_one(tmp_path):
    """Numbers of the authors' code and poster (`published_protocol`)."""
    config = load_experiment("poster", tmp_path).section("training", TrainingConfig)
    bank = config.memory_bank
    assert (bank.noise, bank.momentum, bank.form, config.temperature) == (16384, 0.5, "nce", 0.07)
    assert (config.optimiser, config.learning_rate, config.momentum) == ("sgd", 0.03, 0.9)
    assert (config.weight_decay, config.batch_pairs, config.epochs) == (1e-4, 128, 80)
    assert [80 * share for share in config.drops] == [30, 50, 70]


def test_every_value_of_the_base_is_explained():
    text = (ROOT / "analysis" / "experiments" / "base.yaml").read_text()
    values = re.findall(r"^ *(\w+): +[^\s#].*?(  # \S.*)?$", text, flags=re.MULTILINE)  # a heading has no value
    assert len(values) > 100
    assert [key for key, comment in values if not comment] == ["weight_decay", "seed"]


EXPERIMENTS = [path.stem for path in (ROOT / "analysis/experiments").glob("*.yaml") if path.stem != "base"]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_repository_experiments_are_complete(name, tmp_path):
    experiment = load_experiment(name, results=tmp_path)
    assert experiment.name == name
    asked = "give LABELS=<folder or file>$" if experiment.labels_alone else "world.photographs null: name a folder"
    given = experiment.labels_alone or name.startswith("photographs")
    with pytest.raises(InputError, match=asked) if given else nullcontext():
        check_experiment(experiment)


def test_a_relative_folder_in_the_yaml_counts_from_the_repository(tmp_path, repository):
    given = source(tmp_path, movies={"folder": "analysis"}, labels={"nouns": "data_manifests/mine.csv"})
    experiment = resolve_experiment(given, results=tmp_path / "results")
    assert experiment.sections["movies"]["folder"] == str(repository / "analysis")
    assert experiment.sections["labels"]["nouns"] == str(repository / "data_manifests/mine.csv")
    assert experiment.sections["stimuli"]["folder"] is None
