"""The robustness panel: RDMs at other distances, one change a row, planted effects found where they are."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.spatial.distance import pdist
from scipy.stats import rankdata

from semanticcmc.config import configure, package_table
from semanticcmc.evaluation.config import EvaluationConfig
from semanticcmc.evaluation.rdm_files import column, distance_rdms, write_distance_rdms
from semanticcmc.evaluation.robustness import COLUMNS, Material, choices, largest, panel, survival, verdict
from semanticcmc.experiment import Experiment, Network
from semanticcmc.rsa.rdm import RDM, from_class_means, read_rdms
from semanticcmc.training.networks import NetworksConfig, TrainedNetwork, build
from semanticcmc.training.views import ViewsConfig
from tests.evaluation.test_lag_curve import SETTINGS, STIMULI

WORLD = pd.read_csv(package_table("world_classes.csv"), comment="#")
WORLD = WORLD[WORLD.category.isin(WORLD.category.unique()[:4])].groupby("category").head(6)
CLASSES, CATEGORY = tuple(WORLD.wnid), dict(zip(WORLD.wnid, WORLD.category, strict=True))
CATEGORIES = list(dict.fromkeys(CATEGORY.values()))
LAYERS = ("conv5", "fc7")
CONFIG = configure(EvaluationConfig, SETTINGS, "test")


def run(name, seed):
    return Network.named(name, "info_nce", seed)


def same_or_different():
    of = np.array(list(CATEGORY.values()))
    return RDM((of[:, None] != of[None]).astype(float), CLASSES)


def of_layers(look, meaning, rng):
    """RDMs by layer and by distance of a network that codes looks, and what `meaning` adds."""
    means = np.hstack([look, meaning])
    means = means + 0.1 * rng.standard_normal(means.shape)
    wide = np.repeat(means, 4, axis=1) + 0.1 * rng.standard_normal((len(CLASSES), 4 * means.shape[1]))
    by_layer = {layer: from_class_means(values, CLASSES) for layer, values in zip(LAYERS, (wide, means), strict=True)}
    return by_layer, distance_rdms({"fc7": means, "conv5": wide}, {"conv5": means.shape[1]}, CLASSES)


def material(meaning, seeds=(0, 1), random_seeds=(0, 1, 2), with_look=True):
    """`semantic_60s` codes `meaning` beside the looks, the other networks looks alone."""
    rng = np.random.default_rng(1)
    look = rng.standard_normal((len(CLASSES), 12))
    nothing = np.zeros((len(CLASSES), 1))
    made = {
        run(network, seed): of_layers(look, meaning if network == "semantic_60s" else nothing, rng)
        for network in ("cmc_lab", "semantic_1s", "semantic_60s")
        for seed in seeds
    }
    random = {run("random", seed): of_layers(look, nothing, rng) for seed in random_seeds}
    return Material(
        {network: by_layer for network, (by_layer, _) in made.items()},
        {network: by_distance for network, (_, by_distance) in made.items()},
        {network: by_layer for network, (by_layer, _) in random.items()},
        {network: by_distance for network, (_, by_distance) in random.items()},
        from_class_means(look, CLASSES) if with_look else None,
        CATEGORY,
    )


def one_of(*names):
    """Class features that say of each of the named categories which classes belong to it."""
    return np.stack([[3.0 * (CATEGORY[wnid] == name) for wnid in CLASSES] for name in names], axis=1)


def rows(given, **changes):
    declared = {"primary_layer": "fc7", "distance": "correlation", "spatial_mean": False, "method": "pearson"}
    return list(choices(given, **declared | changes))


@pytest.fixture(scope="module")
def everything():
    return material(one_of(*CATEGORIES))


@pytest.fixture(scope="module")
def table(everything):
    return panel(rows(everything), {"category": same_or_different()}, CONFIG)


# RDMs at other distances ------------------------------------------------------------------------------------


def test_spatial_mean_of_class_means_is_the_class_mean_of_spatial_means():
    rng = np.random.default_rng(0)
    maps = rng.gamma(0.5, size=(40, 7, 5, 5))  # images, channels, height, width
    of = np.arange(40) % 8
    names = [f"class {i}" for i in range(8)]
    means = np.stack([maps[of == i].mean(0).ravel() for i in range(8)])
    found = distance_rdms({"conv5": means, "fc7": means[:, :20]}, {"conv5": 7}, names)
    direct = np.stack([maps.mean((2, 3))[of == i].mean(0) for i in range(8)])
    for distance in ("correlation", "euclidean", "cosine"):
        pooled = found[column("conv5", distance, True)].values
        np.testing.assert_allclose(pooled, pdist(direct, distance), rtol=1e-9)
        np.testing.assert_allclose(found[column("conv5", distance, False)].values, pdist(means, distance), rtol=1e-9)
        np.testing.assert_allclose(
            found[column("fc7", distance, None)].values, pdist(means[:, :20], distance), rtol=1e-9
        )
    ranks = pdist(rankdata(direct, axis=1), "correlation")
    np.testing.assert_allclose(found[column("conv5", "spearman", True)].values, ranks, rtol=1e-9)
    assert len(found) == 12


def test_distances_of_a_network_are_those_of_its_activations_to_the_pictures(tmp_path):
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (4, 1, 4, 4, 3)).repeat(12, 2).repeat(12, 3)  # a pattern for each class
    pictures = np.clip(pictures + rng.integers(-40, 40, (4, 3, 48, 48, 3)), 0, 255).astype(np.uint8)
    for name, several in zip("abcd", pictures, strict=True):
        (tmp_path / "stimuli" / name).mkdir(parents=True)
        for i, pixels in enumerate(several):
            Image.fromarray(pixels).save(tmp_path / "stimuli" / name / f"{i}.png")
    activations = {
        "layers": ["fc7"],
        "spatial_mean": True,
        "batch_size": 5,
        "decoding_features": 8,
        "decoding_folds": 2,
        "decoding_neighbours": 1,
    }
    stimuli = STIMULI | {"folder": str(tmp_path / "stimuli"), "size_px": 48}
    experiment = Experiment(
        "try",
        "A try",
        "films",
        (60.0,),
        ("random",),
        (0,),
        "fc7",
        {"activations": activations, "stimuli": stimuli},
        Path("try.yaml"),
        tmp_path,
    )
    views = ViewsConfig((0.5, 1.0), (0.75, 1.33), 0.5, (0.2, 0.2, 0.2, 0.0), 0.8, 0.0, "imagenet")
    config = NetworksConfig("miniature", (8, 16, 16, 16, 16), (32, 32), 16, 44)
    semantic = experiment.network("semantic_60s", 0)
    network = TrainedNetwork(build(semantic, config), views).eval()
    write_distance_rdms(experiment, semantic, network)
    found = read_rdms(tmp_path / "rdms" / "semantic_60s" / "seed-0_intact_distances.parquet")
    with torch.inference_mode():
        images = torch.from_numpy(pictures.reshape(-1, 48, 48, 3)).permute(0, 3, 1, 2)
        seen = {layer: values.double().numpy() for layer, values in network.activations(images).items()}
    for layer, spatial_mean in (("fc7", None), ("conv5", True), ("conv5", False)):
        values = seen[layer].mean((2, 3)) if spatial_mean else seen[layer].reshape(12, -1)
        means = values.reshape(4, 3, -1).mean(1)
        for distance in ("correlation", "euclidean", "cosine"):
            rdm = found[column(layer, distance, spatial_mean)]
            assert rdm.classes == tuple("abcd")
            np.testing.assert_allclose(rdm.values, pdist(means, distance), rtol=1e-6)


# Rows -------------------------------------------------------------------------------------------------------


def test_every_row_changes_one_thing_and_none_stands_there_twice(everything):
    declared, *others = rows(everything)
    assert declared.varied == "declared"
    changed = {
        "distance": {"rdms", "control"},
        "layer": {"rdms", "control"},
        "control": {"control"},
        "classes": {"classes"},
        "method": {"method"},
    }
    for row in others:
        names = [field.name for field in dataclasses.fields(row)]
        differ = {name for name in names if getattr(row, name) != getattr(declared, name)}
        assert differ - {"varied", "value"} == changed[row.varied], row.value
    tested = {}
    for row in (declared, *others):
        network = run("semantic_60s", 0)
        control = None if row.control is None else row.control[network].values.tobytes()
        key = (row.rdms[network].values.tobytes(), control, row.classes, row.method)
        assert tested.setdefault(key, row.value) == row.value
    assert len({(row.varied, row.value) for row in (declared, *others)}) == len(others) + 1


@pytest.mark.parametrize("spatial_mean", [True, False])
@pytest.mark.parametrize("primary_layer", LAYERS)
def test_the_declared_distance_is_no_row_of_its_own(everything, primary_layer, spatial_mean):
    given = rows(everything, primary_layer=primary_layer, distance="euclidean", spatial_mean=spatial_mean)
    distances = {row.value for row in given if row.varied == "distance"}
    layers = {"conv5"} if primary_layer == "conv5" else {"conv5", "fc7"}
    assert distances == {
        column(layer, distance, pooling)
        for layer in layers
        for pooling in ((True, False) if layer == "conv5" else (None,))
        for distance in ("correlation", "spearman", "euclidean", "cosine")
        if not (distance == "euclidean" and pooling in (None, spatial_mean))
    }


def test_controls_are_those_that_there_are(everything):
    values = [row.value for row in rows(everything) if row.varied == "control"]
    assert values == [
        "none (simple r)",
        *(f"random network, seed {k}" for k in range(3)),
        "L / ab network",
        "true looks",
    ]
    fewer = material(one_of("bird"), random_seeds=(0,), with_look=False)
    assert [row.value for row in rows(fewer) if row.varied == "control"] == ["none (simple r)", "L / ab network"]


def test_without_untrained_networks_the_simple_correlation_is_declared():
    given = rows(material(one_of("bird"), random_seeds=()))
    assert all(row.control is None for row in given if row.varied != "control")
    assert [row.value for row in given if row.varied == "control"] == ["L / ab network", "true looks"]
    found = panel(given[:2], {"category": same_or_different()}, CONFIG)
    row = found[(found.network == "semantic_60s") & (found.seed == 0) & (found.varied == "declared")]
    expected = np.corrcoef(given[0].rdms[run("semantic_60s", 0)].values, same_or_different().values)[0, 1]
    assert row.mantel_r.item() == pytest.approx(expected, abs=1e-10)


# Tests ------------------------------------------------------------------------------------------------------


def residual_correlation(x, y, z):
    """Correlation of what least squares on z leaves of x and y."""
    z = np.column_stack([np.ones_like(z), z])
    x, y = (values - z @ np.linalg.lstsq(z, values, rcond=None)[0] for values in (x, y))
    return np.corrcoef(x, y)[0, 1]


def test_rows_hold_the_partial_correlations_of_the_named_matrices(everything, table):
    assert tuple(table.columns) == COLUMNS
    found = table.set_index(["network", "seed", "value"]).mantel_r
    model = same_or_different().values
    semantic = run("semantic_60s", 1)
    mine, lab = everything.by_layer[semantic], everything.by_layer[run("cmc_lab", 1)]["fc7"].values
    control = np.mean([by_layer["fc7"].values for by_layer in everything.random_by_layer.values()], axis=0)
    truth = {
        "declared analysis": residual_correlation(mine["fc7"].values, model, control),
        "none (simple r)": np.corrcoef(mine["fc7"].values, model)[0, 1],
        "true looks": residual_correlation(mine["fc7"].values, model, everything.look.values),
        "L / ab network": residual_correlation(mine["fc7"].values, model, lab),
        "random network, seed 2": residual_correlation(
            mine["fc7"].values, model, everything.random_by_layer[run("random", 2)]["fc7"].values
        ),
        "spearman": residual_correlation(*map(rankdata, (mine["fc7"].values, model, control))),
    }
    name = column("conv5", "cosine", True)
    control = np.mean([by[name].values for by in everything.random_by_distance.values()], axis=0)
    truth[name] = residual_correlation(everything.by_distance[semantic][name].values, model, control)
    for value, r in truth.items():
        assert found["semantic_60s", 1, value] == pytest.approx(r, abs=1e-10), value
    assert not ((table.network == "cmc_lab") & (table.value == "L / ab network")).any()
    assert (table.ci_low < table.mantel_r).all() and (table.mantel_r < table.ci_high).all()


def test_a_category_left_out_is_the_mantel_test_of_the_rest(everything):
    from skbio.stats.distance import DistanceMatrix, mantel

    without_control = [dataclasses.replace(row, control=None) for row in rows(everything) if row.varied == "classes"]
    table = panel(without_control, {"category": same_or_different()}, CONFIG).set_index(["network", "seed", "value"])
    square, model = (rdm.square() for rdm in (everything.by_layer[run("semantic_1s", 0)]["fc7"], same_or_different()))
    for category in CATEGORIES:
        kept = np.array([CATEGORY[wnid] != category for wnid in CLASSES])
        r, _, n = mantel(*(DistanceMatrix(values[np.ix_(kept, kept)]) for values in (square, model)), permutations=0)
        row = table.loc[("semantic_1s", 0, f"without {category}")]
        assert row.mantel_r == pytest.approx(r, abs=1e-10)
        assert row.classes == n


def test_an_effect_of_one_category_is_lost_without_it_and_only_then():
    given = [row for row in rows(material(one_of("bird"))) if row.varied in ("declared", "classes")]
    found = survival(panel(given, {"category": same_or_different()}, CONFIG))
    found = found[found.network == "semantic_60s"].set_index("value")
    assert found.survives["declared analysis"]
    assert not found.survives["without bird"]
    assert found.survives.drop("without bird").all()
    assert abs(found.mantel_r["without bird"]) < 0.1 < found.mantel_r.drop("without bird").min()


def test_what_only_the_semantic_network_knows_survives_there_and_nowhere_else(table):
    found = survival(table)
    partial = found[found.value != "none (simple r)"].groupby("network").survives.mean()
    assert partial["semantic_60s"] == 1.0
    assert partial["semantic_1s"] < 0.1
    assert set(largest(table).network) == {"semantic_60s"}


def test_classes_that_a_model_lacks_are_no_row_of_it(everything):
    kept = [wnid for wnid in CLASSES if CATEGORY[wnid] != "bird"]
    two = [wnid for wnid in CLASSES if CATEGORY[wnid] in CATEGORIES[:2]]
    models = {"no bird": same_or_different().subset(kept), "two": same_or_different().subset(two)}
    found = panel([row for row in rows(everything) if row.varied == "classes"], models, CONFIG)
    values = found.groupby("model").value.unique().map(set)
    assert "without bird" not in values["no bird"] and len(values["no bird"]) == 3
    assert "two" not in values  # without one of two categories there is nothing to tell apart


def test_survival_needs_every_seed():
    key = {"network": "semantic_60s", "lag_s": 60.0, "model": "lch", "varied": "layer"}
    given = {
        "all": [(0.2, 0.01, 0.1), (0.3, 0.049, -0.1)],
        "one not": [(0.2, 0.01, 0.1), (0.3, 0.05, 0.1)],
        "not tested": [(0.2, 0.01, 0.1), (np.nan, np.nan, np.nan)],
        "signs": [(0.2, 0.01, 0.1), (-0.2, 0.01, -0.3)],
        "clear": [(0.2, 0.01, 0.1), (0.3, 0.001, 0.01)],
    }
    rows = [
        key | {"value": value, "seed": seed, "mantel_r": r, "p": p, "ci_low": low, "ci_high": r + 0.1}
        for value, seeds in given.items()
        for seed, (r, p, low) in enumerate(seeds)
    ]
    found = survival(pd.DataFrame(rows)).set_index("value")
    assert set(found.index[found.survives]) == {"all", "clear"}
    assert set(found.index[found.excludes_0]) == {"clear"}
    assert found.mantel_r["all"] == pytest.approx(0.25) and found.p["all"] == 0.049
    assert (found.seeds == 2).all()


def test_the_verdict_names_where_it_fails(table):
    said = verdict(table, "semantic_60s", "category")
    rows = len(table[["varied", "value"]].drop_duplicates())
    assert f"in {rows} of {rows} rows (" in said and "; it fails in none" in said and "2 seeds" in said
    said = verdict(table[table.varied != "control"], "cmc_lab", "category")
    assert said.count("(r ") == 1 and "declared analysis (r" in said and "no result to survive" in said
    some = table[(table.network == "semantic_60s") & (table.varied != "control")].copy()
    some.loc[some.value.isin(["spearman", "conv5"]), "p"] = 0.2
    said = verdict(some, "semantic_60s", "category")
    assert "conv5 (r" in said and "spearman (r" in said and said.count("(r ") == 2
