"""The lag curve's table from RDM files: what is tested against what, what is left out, what is refused."""

import dataclasses
import itertools
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.spatial.distance import pdist, squareform

from conftest import ROOT
from semanticcmc.configuration import InputError, configure
from semanticcmc.evaluation import COLUMNS, EvaluationConfig, lag_curve, over_seeds
from semanticcmc.experiments import Experiment
from semanticcmc.mantel import mantel, partial_mantel
from semanticcmc.rdm import from_class_means, read_rdms, write_rdms
from semanticcmc.semantics import category_rdm, lch_rdm

WORLD = pd.read_csv(ROOT / "data_manifests" / "world_classes.csv", comment="#").groupby("category").head(3)
SETTINGS = {"distance": "correlation", "method": "pearson", "alternative": "greater", "permutations": 199,
            "bootstrap_samples": 50, "confidence": 0.9, "models": ["category", "lch"], "model_files": {},
            "controls": ["none", "random", "look"], "seed": 0}  # fmt: skip
STIMULI = {"folder": None, "size_px": 32, "images_per_class": None, "conditions": ["intact"], "blur_sigma_px": 2.0,
           "masked_grey": 255}  # fmt: skip
NETWORKS = ("random", "augment", "semantic_60s")


def write(folder, network, seed, means, classes, layers=("conv5", "fc7"), condition="intact"):
    rng = np.random.default_rng([len(network), seed])
    rdms = {
        layer: from_class_means(means + 0.1 * rng.standard_normal(means.shape), classes) for layer in layers
    }
    write_rdms(folder / "rdms" / network / f"seed-{seed}_{condition}.parquet", rdms)


@pytest.fixture
def experiment(tmp_path):
    """Two seeds of three networks on 24 of the world's classes; the semantic one codes the category."""
    rng = np.random.default_rng(0)
    classes = list(WORLD.wnid)
    look = rng.standard_normal((len(classes), 12))
    category = pd.get_dummies(WORLD.category).to_numpy(dtype=float)
    meaning = np.hstack([look, 3 * category])
    (tmp_path / "world").mkdir()
    WORLD.to_csv(tmp_path / "world" / "classes.csv", index=False)
    write_rdms(tmp_path / "world" / "look_rdm.parquet", {"look": from_class_means(look, classes)})
    for seed in (0, 1):
        for network in NETWORKS:
            order = rng.permutation(len(classes))  # every file in an order of its own
            means = meaning if network == "semantic_60s" else look
            write(tmp_path, network, seed, means[order], [classes[i] for i in order])
    return Experiment("try", "A try", "world", (60.0,), ("random", "augment"), (0, 1), "fc7",
                      {"evaluation": SETTINGS, "stimuli": STIMULI}, Path("try.yaml"), tmp_path)  # fmt: skip


def with_settings(experiment, **changes):
    return dataclasses.replace(experiment, sections={"evaluation": SETTINGS | changes, "stimuli": STIMULI})


def test_every_network_seed_layer_model_and_control_has_a_row(experiment):
    table = lag_curve(experiment)
    assert tuple(table.columns) == COLUMNS
    rows = {(r.network, r.seed, r.layer, r.model, r.control) for r in table.itertuples()}
    every = itertools.product(NETWORKS, (0, 1), ("conv5", "fc7"), ("category", "lch"), SETTINGS["controls"])
    expected = {row for row in every if (row[0], row[-1]) != ("random", "random")}
    assert rows == expected and len(table) == len(expected)
    assert list(table.network.unique()) == list(NETWORKS)
    lags = table.drop_duplicates("network").set_index("network").lag_s
    assert np.isnan(lags["random"]) and lags["augment"] == 0 and lags["semantic_60s"] == 60
    assert (table.classes == 24).all() and (table.permutations >= 199).all()
    assert (table.method == "pearson").all() and (table.alternative == "greater").all()
    written = pd.read_csv(experiment.folder / "tables" / "lag_curve.csv")
    pd.testing.assert_frame_equal(written, table, check_dtype=False)


def test_rows_hold_the_mantel_tests_of_the_named_matrices(experiment):
    table = lag_curve(experiment).set_index(["network", "seed", "layer", "model", "control"])
    folder = experiment.folder
    look = read_rdms(folder / "world" / "look_rdm.parquet")["look"]
    classes = tuple(sorted(WORLD.wnid))
    models = {"category": category_rdm(classes, folder / "world" / "classes.csv"), "lch": lch_rdm(classes)}
    for network, seed, layer in (("semantic_60s", 1, "fc7"), ("augment", 0, "conv5")):
        mine, random = (read_rdms(folder / "rdms" / name / f"seed-{seed}_intact.parquet")[layer].subset(classes)
                        for name in (network, "random"))  # fmt: skip
        for model, rdm in models.items():
            found = {
                control: table.loc[(network, seed, layer, model, control)] for control in SETTINGS["controls"]
            }
            truth = {"none": mantel(mine, rdm, 199), "random": partial_mantel(mine, rdm, random, 199),
                     "look": partial_mantel(mine, rdm, look, 199)}  # fmt: skip
            for control, row in found.items():
                assert row.mantel_r == pytest.approx(truth[control].r, abs=1e-12)
                assert row.p == truth[control].p and row.permutations == truth[control].permutations
                assert row.ci_low < row.mantel_r < row.ci_high


def test_only_the_network_that_codes_the_category_is_found_to(experiment):
    table = lag_curve(experiment)
    rows = table[(table.model == "category") & (table.control == "look")].groupby("network")
    assert rows.p.max()["semantic_60s"] < 0.01 and rows.mantel_r.min()["semantic_60s"] > 0.3
    assert rows.mantel_r.max()["augment"] < 0.2


def test_real_films_have_no_looks_to_control(experiment):
    (experiment.folder / "world" / "look_rdm.parquet").unlink()
    assert set(lag_curve(experiment).control) == {"none", "random"}


def test_classes_without_a_category_are_left_out_of_that_model_alone(experiment):
    table = WORLD.copy()
    table.loc[table.index[:3], "category"] = "other"
    table.to_csv(experiment.folder / "world" / "classes.csv", index=False)
    with pytest.warns(UserWarning, match="3 of 24 classes are not in the model category"):
        found = lag_curve(experiment)
    assert found.groupby("model").classes.unique().map(list).to_dict() == {"category": [21], "lch": [24]}
    table.assign(category="other").to_csv(experiment.folder / "world" / "classes.csv", index=False)
    with pytest.raises(InputError, match=r"classes\.csv: 0 of the 24 classes"):
        lag_curve(experiment)


def test_a_dead_layer_is_nan_and_the_rest_is_tested(experiment):
    means = np.random.default_rng(1).standard_normal((24, 5))
    classes = list(WORLD.wnid)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        rdms = {
            "conv5": from_class_means(np.zeros((24, 5)), classes),
            "fc7": from_class_means(means, classes),
        }
    write_rdms(experiment.folder / "rdms" / "augment" / "seed-0_intact.parquet", rdms)
    with pytest.warns(RuntimeWarning, match="conv5.*nan"):
        table = lag_curve(experiment)
    dead = (table.network == "augment") & (table.seed == 0) & (table.layer == "conv5")
    assert (
        table[dead].mantel_r.isna().all() and table[dead].p.isna().all() and table[dead].ci_low.isna().all()
    )
    assert table[~dead].mantel_r.notna().all()


def test_missing_and_unlike_files_are_refused_by_name(experiment):
    folder = experiment.folder / "rdms" / "augment"
    kept = (folder / "seed-1_intact.parquet").read_bytes()
    (folder / "seed-1_intact.parquet").unlink()
    with pytest.raises(InputError, match=r"augment/seed-1_intact\.parquet: missing"):
        lag_curve(experiment)
    means = np.random.default_rng(2).standard_normal((23, 5))
    write(experiment.folder, "augment", 1, means, list(WORLD.wnid)[1:])
    with pytest.raises(InputError, match="augment/seed-1.*other classes"):
        lag_curve(experiment)
    write(experiment.folder, "augment", 1, np.vstack([means, means[:1]]), list(WORLD.wnid), layers=("conv5",))
    with pytest.raises(InputError, match="augment/seed-1.*layers conv5"):
        lag_curve(experiment)
    (folder / "seed-1_intact.parquet").write_bytes(kept)
    with pytest.raises(InputError, match="random"):
        lag_curve(dataclasses.replace(experiment, baselines=("augment",)))


def test_every_condition_is_tested_on_its_own_files(experiment):
    """The semantic network's ``background`` knows only looks, its ``intact`` codes the category."""
    sections = experiment.sections | {"stimuli": STIMULI | {"conditions": ["intact", "background"]}}
    both = dataclasses.replace(experiment, sections=sections)
    with pytest.raises(InputError, match=r"random/seed-0_background\.parquet: missing"):
        lag_curve(both)
    folder = experiment.folder / "rdms"
    for network, seed in itertools.product(NETWORKS, (0, 1)):
        other = "augment" if network == "random" else "random"  # its control must not be the network itself
        rdms = read_rdms(folder / other / f"seed-{1 - seed}_intact.parquet")
        write_rdms(folder / network / f"seed-{seed}_background.parquet", rdms)
    table = lag_curve(both)
    one = lag_curve(experiment)
    intact = table[table.condition == "intact"].reset_index(drop=True)
    pd.testing.assert_frame_equal(intact, one)
    assert len(table) == 2 * len(one)
    rows = table[(table.network == "semantic_60s") & (table.model == "category") & (table.control == "look")]
    r = rows.groupby("condition").mantel_r
    assert r.min()["intact"] > 0.3 and r.max()["background"] < 0.2


def test_no_bootstrap_leaves_no_interval(experiment):
    table = lag_curve(with_settings(experiment, bootstrap_samples=0, controls=["none"]))
    assert table.ci_low.isna().all() and table.mantel_r.notna().all()


@pytest.mark.parametrize(("key", "value", "message"), [
    ("permutations", 0, "at least 1"), ("confidence", 1.5, "between 0 and 1"), ("bootstrap_samples", -1, "0 "),
    ("models", [], "at least one"), ("models", ["lch", "lch"], "each once"),
    ("models", ["lhc"], "lhc"), ("model_files", {"lch": "a.csv"}, "lch"), ("controls", ["blur"], "blur"),
    ("distance", "manhattan", "manhattan"), ("alternative", "bigger", "bigger"), ("seed", -1, "0 or more"),
])  # fmt: skip
def test_settings_out_of_range_are_refused(key, value, message):
    with pytest.raises(InputError, match=message):
        configure(EvaluationConfig, SETTINGS | {key: value}, "try.yaml")


@pytest.mark.parametrize("name", ["smoke", "miniature", "clips", "poster"])
def test_the_experiments_settings_are_valid(name):
    values = yaml.safe_load((ROOT / "analysis" / "experiments" / f"{name}.yaml").read_text(encoding="utf-8"))
    assert configure(EvaluationConfig, values["evaluation"], name).permutations >= 199


def test_published_numbers_distance_is_euclidean():
    values = yaml.safe_load((ROOT / "analysis" / "experiments" / "poster.yaml").read_text(encoding="utf-8"))
    assert values["evaluation"]["distance"] == "euclidean"
    means = np.random.default_rng(3).standard_normal((5, 8))
    np.testing.assert_allclose(
        from_class_means(means, list("abcde"), "euclidean").square(), squareform(pdist(means))
    )


def test_interval_over_seeds_is_scipys():
    """Against scipy's interval of a mean, one network and cell by hand; a single seed has none."""
    from scipy import stats

    values = [0.1, 0.25, 0.18]
    cell = {
        "network": "semantic_60s",
        "lag_s": 60.0,
        "layer": "fc7",
        "condition": "intact",
        "model": "lch",
        "control": "random",
    }
    table = pd.DataFrame([cell | {"seed": seed, "mantel_r": r} for seed, r in enumerate(values)])
    alone = pd.DataFrame([cell | {"network": "random", "lag_s": np.nan, "seed": 0, "mantel_r": 0.3}])
    result = over_seeds(pd.concat([table, alone]), 0.95).set_index("network")
    low, high = stats.t.interval(0.95, 2, loc=np.mean(values), scale=stats.sem(values))
    assert result.loc["semantic_60s", ["mantel_r", "ci_low", "ci_high"]].tolist() == pytest.approx(
        [np.mean(values), low, high]
    )
    assert result.seeds.to_dict() == {"semantic_60s": 3, "random": 1}
    assert np.isnan(result.loc["random", "ci_low"])
