"""The lag curve's table from RDM files: what is tested against what, what is left out, what is refused."""

import dataclasses
import itertools
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import pdist, squareform

from semanticcmc.config import InputError, configure, package_table
from semanticcmc.evaluation.config import EvaluationConfig
from semanticcmc.evaluation.lag_curve import COLUMNS, by_objective, gather, lag_curve, over_seeds
from semanticcmc.experiment import Experiment, read_values
from semanticcmc.rsa.mantel import mantel, partial_mantel
from semanticcmc.rsa.rdm import RDM, from_class_means, read_rdms, write_rdms
from semanticcmc.rsa.semantics import category_rdm, lch_rdm

WORLD = pd.read_csv(package_table("world_classes.csv"), comment="#").groupby("category").head(3)
SETTINGS = {
    "distance": "correlation",
    "method": "pearson",
    "alternative": "greater",
    "partial": "smouse",
    "permutations": 199,
    "bootstrap_samples": 50,
    "confidence": 0.9,
    "models": ["category", "lch"],
    "model_files": {},
    "categories": None,
    "controls": ["none", "random", "cmc_lab", "look"],
    "planned_lag_s": None,
    "random_seeds": [1, 2, 5],
    "seed": 0,
}
STIMULI = {
    "folder": None,
    "size_px": 32,
    "images_per_class": None,
    "conditions": ["intact"],
    "blur_sigma_px": 2.0,
    "masked_grey": 255,
}
NETWORKS = ("random", "augment", "cmc_lab", "semantic_60s")
RANDOM_SEEDS = (0, 1, 2, 5)  # the experiment's own and those of its controls


def write(folder, network, seed, means, classes, layers=("conv5", "fc7"), condition="intact"):
    rng = np.random.default_rng([*network.encode(), seed])
    rdms = {layer: from_class_means(means + 0.1 * rng.standard_normal(means.shape), classes) for layer in layers}
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
    for seed in (2, 5):
        write(tmp_path, "random", seed, look, classes)
    return Experiment(
        "try",
        "A try",
        "world",
        (60.0,),
        ("random", "augment", "cmc_lab"),
        (0, 1),
        "fc7",
        {"evaluation": SETTINGS, "stimuli": STIMULI},
        Path("try.yaml"),
        tmp_path,
    )


def with_settings(experiment, **changes):
    return dataclasses.replace(experiment, sections={"evaluation": SETTINGS | changes, "stimuli": STIMULI})


def test_every_network_seed_layer_model_and_control_has_a_row(experiment):
    table = lag_curve(experiment)
    assert tuple(table.columns) == COLUMNS
    rows = {(r.network, r.seed, r.layer, r.model, r.control) for r in table.itertuples()}
    every = itertools.product(NETWORKS, (0, 1), ("conv5", "fc7"), ("category", "lch"), SETTINGS["controls"])
    expected = {row for row in every if row[0] != row[-1]}  # no network is tested given itself
    assert rows == expected and len(table) == len(expected)
    assert list(table.network.unique()) == list(NETWORKS)
    lags = table.drop_duplicates("network").set_index("network").lag_s
    assert np.isnan(lags["random"]) and lags["augment"] == 0 and lags["semantic_60s"] == 60
    assert (table.classes == 24).all() and (table.permutations >= 199).all()
    assert (table.method == "pearson").all() and (table.alternative == "greater").all()


def test_every_objective_is_tested_beside_the_lag_curve_and_not_on_it(experiment):
    """Two further networks, one without a lag: in the table of objectives, with what was measured of each."""
    sections = {**experiment.sections, "training": {"objective": "info_nce"}}
    lines = {"window": {"objective": "info_nce", "pairing": {"name": "poly_view", "frames": 3}, "lags_s": [60]}}
    sections["objectives"] = lines | {"rotation": {"objective": "rotation"}}
    whole = dataclasses.replace(experiment, sections=sections)
    assert whole.on_the_curve.networks == experiment.networks and len(whole.networks) == 6
    ranks = {}
    for seed, name in itertools.product((0, 1), whole.networks):
        network = whole.network(name, seed)
        write(whole.folder, name, seed, np.random.default_rng(seed).standard_normal((24, 12)), list(WORLD.wnid))
        ranks[name, seed] = rank = float(len(ranks))
        keys = {"network": name, "lag_s": network.lag_s, "seed": seed, "layer": "fc7", "condition": "intact"}
        measured = {"accuracy": {"measure": ["knn", "chance"], "accuracy": [rank / 20, 0.04]}}
        measured["effective_rank"] = {"effective_rank": [rank]}
        for measure, values in measured.items():
            file = whole.folder / "rdms" / name / f"seed-{seed}_{measure}.csv"
            pd.DataFrame(keys | values).to_csv(file, index=False)
        whole.run_folder(network).mkdir(parents=True)
        (whole.run_folder(network) / "run.json").write_text('{"images": 600}')
    table = by_objective(whole)
    pd.testing.assert_frame_equal(table[list(COLUMNS)], lag_curve(whole, ["fc7"], ["intact"]))
    one = table.drop_duplicates("network").set_index("network")
    assert one.objective.to_dict() == {
        **dict.fromkeys(("augment", "cmc_lab", "semantic_60s", "window_60s"), "info_nce"),
        **{"random": "none", "rotation": "rotation"},
    }
    assert one.pairing[one.pairing != ""].to_dict() == {"semantic_60s": "fixed", "window_60s": "poly_view"}
    assert all(ranks[row.network, row.seed] == row.effective_rank == 20 * row.accuracy for row in table.itertuples())
    assert (table.images == 600).all()


def test_rows_hold_the_mantel_tests_of_the_named_matrices(experiment):
    table = lag_curve(experiment).set_index(["network", "seed", "layer", "model", "control"])
    folder = experiment.folder
    look = read_rdms(folder / "world" / "look_rdm.parquet")["look"]
    classes = tuple(sorted(WORLD.wnid))
    models = {"category": category_rdm(classes, folder / "world" / "classes.csv"), "lch": lch_rdm(classes)}
    for network, seed, layer in (("semantic_60s", 1, "fc7"), ("augment", 0, "conv5")):
        mine, cmc_lab = (
            read_rdms(folder / "rdms" / name / f"seed-{seed}_intact.parquet")[layer].subset(classes)
            for name in (network, "cmc_lab")
        )
        random = np.mean(
            [
                read_rdms(folder / "rdms" / "random" / f"seed-{k}_intact.parquet")[layer].subset(classes).square()
                for k in RANDOM_SEEDS
            ],
            axis=0,
        )
        for model, rdm in models.items():
            found = {control: table.loc[(network, seed, layer, model, control)] for control in SETTINGS["controls"]}
            given = {"random": RDM(random, classes), "cmc_lab": cmc_lab, "look": look}
            for control, row in found.items():
                truth = (
                    partial_mantel(mine, rdm, given[control], int(row.permutations))
                    if control in given
                    else mantel(mine, rdm, int(row.permutations))
                )
                assert row.mantel_r == pytest.approx(truth.r, abs=1e-12)
                assert row.p == truth.p and row.permutations == truth.permutations
                assert row.ci_low < row.mantel_r < row.ci_high


def test_models_looks_and_networks_are_controls_alone_and_together(experiment):
    """Each against the partial test of the named matrices, of the classes that all of them have."""
    folder, classes = experiment.folder, tuple(sorted(WORLD.wnid))
    themed, rng = classes[:-3], np.random.default_rng(4)
    theme = RDM(rng.random(len(themed) * (len(themed) - 1) // 2), themed)
    association = RDM(rng.random(len(classes) * (len(classes) - 1) // 2), classes)
    write_rdms(folder / "world" / "theme_rdm.parquet", {"theme": theme})
    write_rdms(folder / "rdms" / "association.parquet", {"association": association})
    controls = ("theme", "look + association", "shortest_lag", "augment + theme", "lch")
    with pytest.warns(UserWarning, match="3 of 24 classes are not in the model theme"):
        table = lag_curve(with_settings(experiment, controls=controls, models=("lch", "theme")), layers=["fc7"])
    look = read_rdms(folder / "world" / "look_rdm.parquet")["look"]
    fc7 = {name: read_rdms(folder / "rdms" / name / "seed-0_intact.parquet")["fc7"] for name in NETWORKS}
    given = {
        "theme": [theme],
        "look + association": [look, association],
        "shortest_lag": [fc7["semantic_60s"]],
        "augment + theme": [fc7["augment"], theme],
        "lch": [lch_rdm(classes)],
    }
    rows = table[table.seed == 0].set_index(["network", "model", "control"])
    for control, matrices in given.items():
        for name, model in {"lch": lch_rdm(classes), "theme": theme}.items():
            for network in NETWORKS:
                tested = network not in {"shortest_lag": "semantic_60s"}.get(control, control).split(" + ")
                assert ((network, name, control) in rows.index) == (tested and name not in control)
                if (network, name, control) in rows.index:
                    row = rows.loc[(network, name, control)]
                    kept = themed if "theme" in (name, *control.split(" + ")) else classes
                    x, y, *z = (one.subset(kept) for one in (fc7[network], model, *matrices))
                    truth = partial_mantel(x, y, z, int(row.permutations))
                    assert (row.classes, row.p) == (len(kept), truth.p)
                    assert row.mantel_r == pytest.approx(truth.r, abs=1e-12)


@pytest.mark.parametrize("control", ["looks", "look + none", "look+association"])
def test_an_unknown_control_is_refused_with_those_that_there_are(experiment, control):
    with pytest.raises(InputError, match=r"controls: '.*' is none of none, random, cmc_lab, .* look \+ association"):
        lag_curve(with_settings(experiment, controls=(control,)))


def test_only_the_network_that_codes_the_category_is_found_to(experiment):
    table = lag_curve(experiment)
    rows = table[(table.model == "category") & (table.control == "look")].groupby("network")
    assert rows.p.max()["semantic_60s"] < 0.01 and rows.mantel_r.min()["semantic_60s"] > 0.3
    assert rows.mantel_r.max()["augment"] < 0.2


def test_real_films_have_no_looks_to_control(experiment):
    (experiment.folder / "world" / "look_rdm.parquet").unlink()
    assert set(lag_curve(experiment).control) == {"none", "random", "cmc_lab"}
    without = dataclasses.replace(experiment, baselines=("random", "augment"))
    assert set(lag_curve(without).control) == {"none", "random"}


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
        rdms = {"conv5": from_class_means(np.zeros((24, 5)), classes), "fc7": from_class_means(means, classes)}
    write_rdms(experiment.folder / "rdms" / "augment" / "seed-0_intact.parquet", rdms)
    with pytest.warns(RuntimeWarning, match="conv5.*nan"):
        table = lag_curve(experiment)
    dead = (table.network == "augment") & (table.seed == 0) & (table.layer == "conv5")
    assert table[dead].mantel_r.isna().all() and table[dead].p.isna().all() and table[dead].ci_low.isna().all()
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


def test_control_files_that_are_missing_or_unlike_are_refused_with_the_remedy(experiment):
    folder = experiment.folder / "rdms" / "random"
    kept = (folder / "seed-5_intact.parquet").read_bytes()
    (folder / "seed-5_intact.parquet").unlink()
    with pytest.raises(InputError, match=r"random/seed-5_intact\.parquet: missing; semanticcmc controls try\.yaml"):
        lag_curve(experiment)
    means = np.random.default_rng(2).standard_normal((24, 5))
    write(experiment.folder, "random", 5, means[1:], list(WORLD.wnid)[1:])
    with pytest.raises(InputError, match="random/seed-5.*other classes.*remove the folder rdms"):
        lag_curve(experiment)
    write(experiment.folder, "random", 5, means, list(WORLD.wnid), layers=("conv4", "fc7"))
    with pytest.raises(InputError, match="random/seed-5.*layers conv4, fc7.*remove the folder rdms"):
        lag_curve(experiment)
    lag_curve(with_settings(experiment, controls=["none"]))  # where it is no control it is not asked for
    (folder / "seed-5_intact.parquet").write_bytes(kept)
    table = lag_curve(dataclasses.replace(experiment, baselines=("augment",)))  # a control without being a baseline
    assert set(table.control) == {"none", "random", "look"}
    (folder / "seed-0_intact.parquet").unlink()
    with pytest.raises(InputError, match=r"seed-0_intact\.parquet: missing; semanticcmc controls"):
        lag_curve(dataclasses.replace(experiment, baselines=("augment",)))


def test_holm_corrects_over_the_networks_and_models_that_are_shown_together(experiment):
    """Each family by hand: the i-th smallest of m p values times m - i, never falling, at most 1."""
    table = lag_curve(experiment)
    for (seed, layer, control), family in table.groupby(["seed", "layer", "control"]):
        assert len(family) == 2 * (4 if control in ("none", "look") else 3)
        ordered = family.sort_values("p", kind="stable")
        by_hand, least = [], 0.0
        for i, p in enumerate(ordered.p):
            least = max(least, min(1.0, p * (len(ordered) - i)))
            by_hand.append(least)
        np.testing.assert_allclose(ordered.p_holm, by_hand, err_msg=f"{seed} {layer} {control}")
        assert 1 / (family.permutations.min() + 1) * len(family) < 0.05  # the correction can be survived


def test_the_mean_of_more_untrained_networks_is_a_better_measure_of_looks(experiment):
    """A network that sees looks which go with category: the noisier the control, the more category seems left."""
    rng = np.random.default_rng(5)
    classes = list(WORLD.wnid)
    category = pd.get_dummies(WORLD.category).to_numpy(dtype=float)
    look = np.hstack([rng.standard_normal((24, 12)), 1.5 * category])
    distance = from_class_means(look, classes).values

    def drawn(folder, seed, noise):
        noisy = distance + noise * distance.std() * rng.standard_normal(distance.shape)
        write_rdms(folder, {layer: RDM(noisy, tuple(classes)) for layer in ("conv5", "fc7")})

    rdms = experiment.folder / "rdms"
    for seed in range(12):
        drawn(rdms / "random" / f"seed-{seed}_intact.parquet", seed, 1.0)
    for network, seed in itertools.product(NETWORKS[1:], (0, 1)):
        drawn(rdms / network / f"seed-{seed}_intact.parquet", seed, 0.3)
    left = {}
    for seeds in ([0], list(range(12))):
        one = dataclasses.replace(with_settings(experiment, random_seeds=seeds), seeds=(0,))
        table = lag_curve(one)
        table = table[(table.control == "random") & (table.model == "category")]
        left[len(seeds)] = table.mantel_r.mean()
    simple = lag_curve(one).query("control == 'none' and model == 'category' and network != 'random'").mantel_r.mean()
    assert simple > left[1] > 2 * left[12] > 0


def test_every_condition_is_tested_on_its_own_files(experiment):
    """The semantic network's ``background`` knows only looks, its ``intact`` codes the category."""
    sections = experiment.sections | {"stimuli": STIMULI | {"conditions": ["intact", "background"]}}
    both = dataclasses.replace(experiment, sections=sections)
    with pytest.raises(InputError, match=r"random/seed-0_background\.parquet: missing"):
        lag_curve(both)
    folder = experiment.folder / "rdms"
    for network, seed in [*itertools.product(NETWORKS, (0, 1)), ("random", 2), ("random", 5)]:
        other = "augment" if network == "random" else "random"  # its control must not be the network itself
        rdms = read_rdms(folder / other / f"seed-{1 - seed % 2}_intact.parquet")
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


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("permutations", 0, "permutations 0: expected 1 or more"),
        ("confidence", 1.5, "above 0, below 1"),
        ("bootstrap_samples", -1, "0 "),
        ("models", [], "at least one"),
        ("models", ["lch", "lch"], "no duplicate"),
        ("models", ["lhc"], "lhc"),
        ("model_files", {"lch": "a.csv"}, "lch"),
        ("controls", ["blur"], "blur"),
        ("random_seeds", [1, 1], "no duplicate"),
        ("random_seeds", [3, -1], "random_seeds -1: expected 0 or more"),
        ("distance", "manhattan", "manhattan"),
        ("alternative", "bigger", "bigger"),
        ("seed", -1, "0 or more"),
    ],
)
def test_settings_out_of_range_are_refused(key, value, message):
    with pytest.raises(InputError, match=message):
        configure(EvaluationConfig, SETTINGS | {key: value}, "try.yaml")


@pytest.mark.parametrize("name", ["smoke", "miniature", "clips", "poster"])
def test_the_experiments_settings_are_valid(name):
    values = read_values(name)[0]
    assert configure(EvaluationConfig, values["evaluation"], name).permutations >= 199


def test_published_numbers_distance_is_euclidean():
    values = read_values("poster")[0]
    assert values["evaluation"]["distance"] == "euclidean"
    means = np.random.default_rng(3).standard_normal((5, 8))
    np.testing.assert_allclose(from_class_means(means, list("abcde"), "euclidean").square(), squareform(pdist(means)))


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


def test_gather_joins_what_each_network_left_and_names_what_is_missing(experiment):
    for network, seed in itertools.product(NETWORKS, (0, 1)):
        row = {"network": network, "seed": seed, "measure": "knn", "accuracy": 0.1 + 0.2, "ci_low": np.nan}
        pd.DataFrame([row]).to_csv(experiment.folder / "rdms" / network / f"seed-{seed}_accuracy.csv", index=False)
    table = gather(experiment, "accuracy")
    assert list(zip(table.network, table.seed, strict=True)) == list(itertools.product(NETWORKS, (0, 1)))
    assert (table.accuracy == 0.1 + 0.2).all() and table.ci_low.isna().all()
    (experiment.folder / "rdms" / "augment" / "seed-1_accuracy.csv").unlink()
    with pytest.raises(InputError, match=r"augment/seed-1_accuracy\.csv: missing; make poster"):
        gather(experiment, "accuracy")
