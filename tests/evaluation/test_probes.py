"""Linear probes against scikit-learn's own search, closed forms, and pictures whose classes are known."""

from __future__ import annotations

import functools
import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.stats import binom, norm
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn import functional

from semanticcmc.cli import main
from semanticcmc.evaluation import probes
from semanticcmc.evaluation.activations import show
from semanticcmc.evaluation.probes import FeatureFiles, held_out, pooled, top1
from semanticcmc.experiment import Network, load_experiment, read_values
from semanticcmc.training.loop import Run
from semanticcmc.training.networks import LAYERS, NetworksConfig, build


def probe(train, test, **changes):
    settings = {"regularisation": (0.001, 0.01, 0.1, 1.0), "validation_share": 0.25, "confidence": 0.95, "seed": 0}
    return top1(train, test, **settings | changes)


def clusters(spread, n_classes=5, n=24, width=10, seed=0):
    """Training and test images of Gaussian classes about common centres."""
    rng = np.random.default_rng(seed)
    y, centres = np.repeat(np.arange(n_classes), n), rng.normal(size=(n_classes, width))
    return [((centres[y] + spread * rng.normal(size=(len(y), width))).astype(np.float32), y) for _ in range(2)]


def test_classes_far_apart_are_all_told_apart():
    found = probe(*clusters(0.01))
    assert found["top1"] == found["ci_high"] == 1.0
    assert (found["classes"], found["train_images"], found["test_images"], found["features"]) == (5, 120, 120, 10)


def test_labels_that_mean_nothing_are_at_chance():
    rng = np.random.default_rng(1)
    sets = [(rng.normal(size=(400, 60)).astype(np.float32), np.tile(np.arange(4), 100)) for _ in range(2)]
    found = probe(*sets)
    low, high = binom.interval(0.9999, 400, 1 / 4)
    assert low <= found["top1"] * 400 <= high
    assert found["ci_low"] < 1 / 4 < found["ci_high"]


@pytest.mark.parametrize("spread", [0.8, 1.5])
def test_the_penalty_and_the_accuracy_are_those_of_scikit_learns_search(spread):
    (x, y), (x_test, y_test) = clusters(spread)
    found = probe((x, y), (x_test, y_test))
    kept = held_out(y, 0.25, 0)
    peer = Pipeline([("scale", StandardScaler()), ("classify", LogisticRegression(max_iter=500))])
    search = GridSearchCV(peer, {"classify__C": [0.001, 0.01, 0.1, 1.0]}, cv=PredefinedSplit(np.where(kept, 0, -1)))
    search.fit(x, y)
    assert found["regularisation"] == search.best_params_["classify__C"]
    assert found["top1"] == search.score(x_test, y_test)
    assert 0.2 < found["top1"] < 1


@pytest.mark.parametrize("confidence", [0.9, 0.99])
def test_the_interval_is_wilsons(confidence):
    found = probe(*clusters(1.0), confidence=confidence)
    p, n, z = found["top1"], 120, norm.ppf(0.5 + confidence / 2)  # Wilson 1927
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert (found["ci_low"], found["ci_high"]) == pytest.approx((centre - half, centre + half))


def test_top1_counts_images_not_classes():
    """Two classes told apart and a third that is like the first; 30, 10 and 2 images to test on."""
    x, y = (np.repeat([[0.0], [9.0], [0.0]], [30, 10, 2], axis=0).astype(np.float32), np.repeat([0, 1, 2], [30, 10, 2]))
    assert probe((x, y), (x, y), regularisation=(1.0,))["top1"] == pytest.approx(40 / 42)


@settings(deadline=None)
@given(st.lists(st.integers(2, 30), min_size=1, max_size=6), st.floats(0.01, 0.99), st.integers(0, 5))
def test_every_class_teaches_and_is_tested(counts, share, seed):
    classes = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    mask = held_out(classes, share, seed)
    kept = np.bincount(classes[mask], minlength=len(counts))
    assert (kept >= 1).all() and (kept < counts).all()
    assert (np.abs(kept - share * np.array(counts)) <= 1).all()
    assert np.array_equal(mask, held_out(classes, share, seed))


def test_maps_are_pooled_to_cmcs_squares():
    """The sides of CMC's linear probing; at conv5 its own 3/2 max-pool."""
    shapes = {
        "conv1": (96, 55, 10),
        "conv2": (256, 27, 6),
        "conv3": (384, 13, 5),
        "conv4": (384, 13, 5),
        "conv5": (256, 13, 6),
    }
    for channels, side, expected in shapes.values():
        assert pooled(torch.zeros(1, channels, side, side), 9600).shape == (1, channels * expected**2)
    values = torch.randn(2, 256, 13, 13, generator=torch.Generator().manual_seed(0))
    assert torch.equal(pooled(values, 9600), functional.max_pool2d(values, 3, 2).flatten(1))
    assert torch.equal(pooled(values[..., :3, :3], 9600), values[..., :3, :3].flatten(1))  # never enlarged
    assert torch.equal(pooled(values, 10), values.amax((2, 3)))
    assert torch.equal(pooled(values[:, 0, 0], 4), values[:, 0, 0])  # fc layers as they are


def test_features_are_the_networks_activations_whatever_the_batches(tmp_path):
    config = NetworksConfig("miniature", (4, 4, 4, 4, 4), (8, 8), 5, 44)
    network = build(Network.named("random", "info_nce", 0), config).eval()
    images = torch.rand(7, 3, 44, 44, generator=torch.Generator().manual_seed(0))
    classes = torch.tensor([0, 0, 1, 1, 2, 2, 2])
    with torch.no_grad():
        expected = {layer: pooled(values, 40) for layer, values in network.activations(images).items()}
    for size in (7, 3):
        batches = zip(images.split(size), classes.split(size), strict=True)
        (tmp_path / str(size)).mkdir()
        features = FeatureFiles(LAYERS, tmp_path / str(size))
        show(network, batches, LAYERS, functools.partial(pooled, features=40), features.add)
        for layer in LAYERS:
            rows, index = features.read(layer)
            assert np.array_equal(index, classes.numpy())
            torch.testing.assert_close(torch.from_numpy(rows), expected[layer])


@pytest.fixture
def experiment(tmp_path, repository):
    """Four classes of pictures, each of one colour with noise of its own; two folders; a random network."""
    rng = np.random.default_rng(0)
    colours = {"n1": (220, 40, 40), "n2": (40, 220, 40), "n3": (40, 40, 220), "n4": (200, 200, 40)}
    for folder, count in (("train", 8), ("test", 5)):
        for name, colour in colours.items():
            (tmp_path / folder / name).mkdir(parents=True)
            for i in range(count):
                pixels = np.clip(rng.normal(colour, 25, (48, 48, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(tmp_path / folder / name / f"{i}.png")

    def make(**changes):
        values = read_values("smoke")[0]
        values["classification"] |= {"train": str(tmp_path / "train"), "test": str(tmp_path / "test")} | changes
        values |= {"baselines": ["random"], "lags_s": []}
        (tmp_path / "experiment.yaml").write_text(yaml.safe_dump(values))
        return load_experiment(tmp_path / "experiment.yaml")

    E = make()
    Run(E, E.network("random", 0)).train()
    return make


def test_colours_are_told_apart_by_a_random_network_and_not_learned_twice(experiment, monkeypatch, capsys):
    E = experiment()
    assert main(["classify", str(E.file)]) == 0
    table = pd.read_csv(E.folder / "tables" / "classification.csv")
    found = ["top1", "ci_low", "ci_high", "classes", "train_images", "test_images", "features", "regularisation"]
    assert list(table.columns) == ["network", "lag_s", "seed", "layer", *found]
    assert list(table.layer) == ["conv5", "fc7"] and set(table.network) == {"random"}
    assert (table.top1 == 1).all() and (table.train_images == 32).all() and (table.test_images == 20).all()
    about = json.loads((E.folder / "classification" / "random_seed-0.json").read_text())
    assert about["config"]["network"] == "random" and about["git_commit"]
    monkeypatch.setattr(probes, "show", lambda *_: pytest.fail("learned again"))
    assert main(["classify", str(E.file), "--network", "random"]) == 0
    monkeypatch.undo()
    assert main(["classify", str(experiment(test=None, test_share=0.25).file)]) == 0  # other settings: learned anew
    table = pd.read_csv(E.folder / "tables" / "classification.csv")
    assert (table.train_images == 24).all() and (table.test_images == 8).all() and (table.top1 == 1).all()


def test_bad_input_is_refused_before_anything_is_learned(experiment, tmp_path, capsys):
    def said(*arguments, **changes):
        assert main(["classify", str(experiment(**changes).file), *arguments]) == 2
        return capsys.readouterr().err

    assert "vgg: no network of" in said("--network", "vgg")
    assert "no such folder" in said(test=str(tmp_path / "absent"))
    assert "both classification.train and classification.test" in said(test=str(tmp_path / "train"))
    assert "n1: holds 1 of the at least 2 images" in said(images_per_class=1)
    assert "n1: holds 2 of the at least 3 images" in said(images_per_class=2, test=None)
    assert "test_share 1.0" in said(test_share=1.0)
    assert "regularisation 0.0: expected above 0" in said(regularisation=[0.0])
    (tmp_path / "test" / "n4").rename(tmp_path / "test" / "n5")
    assert "different classes (n4, n5)" in said()
    (tmp_path / "test" / "n5").rename(tmp_path / "test" / "n4")
    (tmp_path / "networks" / "random" / "seed-0" / "run.json").unlink()
    assert "train this network first" in said()
