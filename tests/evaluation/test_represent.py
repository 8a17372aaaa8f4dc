"""What is watched while a network is trained: right by a peer, and without a trace in what is trained."""

import dataclasses
import json
import math
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.stats import entropy, pearsonr
from sklearn.neighbors import NearestCentroid

from semanticcmc.config import package_table
from semanticcmc.evaluation.config import ActivationsConfig, StimuliConfig
from semanticcmc.evaluation.rdm_files import network_rdms
from semanticcmc.evaluation.represent import nearest_mean_accuracy, represent, watched_stimuli
from semanticcmc.evaluation.stimuli import StimulusFolder
from semanticcmc.experiment import read_values
from semanticcmc.training.checkpoints import load_network
from semanticcmc.training.loop import Run
from tests.training import test_loop

frames, experiment = test_loop.frames, test_loop.experiment
CLASSES = pd.read_csv(package_table("categories.csv"), comment="#").groupby("category").head(2).head(6)


@pytest.fixture
def watched(experiment, tmp_path):
    """A function that makes an experiment over three films, with stimuli and the section ``watch``."""
    generator, base = np.random.default_rng(0), read_values("base")[0]
    for wnid in CLASSES.wnid:
        (tmp_path / "stimuli" / wnid).mkdir(parents=True)
        for number in range(3):
            pixels = generator.integers(0, 256, (3, 3, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
            Image.fromarray(pixels).save(tmp_path / "stimuli" / wnid / f"{number}.png")

    def make(name, watch, **stimuli):
        E = experiment(name)
        sections = {key: base[key] for key in ("activations", "evaluation")}
        sections["stimuli"] = base["stimuli"] | {"folder": str(tmp_path / "stimuli"), "images_per_class": 2} | stimuli
        return dataclasses.replace(E, sections={**E.sections, **sections, "watch": watch})

    return make


def trained(E):
    network = E.network("semantic_5s", 0)
    return Run(E, network).train(test=watched_stimuli(E, network))


def test_a_training_that_is_watched_ends_bit_equal_to_one_that_is_not(watched):
    alone = trained(watched("alone", {"every": None, "images_per_class": 2}))
    folder = trained(watched("alone2", {"every": 12, "images_per_class": 2}))
    test_loop.assert_bit_equal(alone, folder)  # the settings that a checkpoint carries are among it
    lines = [pd.read_json(one / "metrics.jsonl", lines=True) for one in (alone, folder)]
    assert set(lines[1]) - set(lines[0]) == {"class_accuracy", "category_r"}
    seen = lines[1].dropna(subset="category_r")
    assert seen.step.tolist() == [1, 15, 25, 40] and seen.class_accuracy.between(0, 1).all()


def test_category_r_is_that_of_the_finished_network(watched):
    E = watched("films", {"every": 10, "images_per_class": 2})
    folder = trained(E)
    last = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    stimuli = StimulusFolder(E.sections["stimuli"]["folder"], E.section("stimuli", StimuliConfig))
    rdms = network_rdms(
        load_network(folder), stimuli, "intact", E.section("activations", ActivationsConfig), "correlation"
    )
    known = CLASSES[CLASSES.category != "other"]  # other: no category
    category, rdm = known.category.to_numpy(), rdms["fc7"].subset(tuple(known.wnid))
    upper = np.triu_indices(len(category), 1)
    expected = pearsonr(rdm.square()[upper], (category[:, None] != category)[upper]).statistic
    assert last["category_r"] == pytest.approx(expected, abs=1e-12)


def test_the_effective_rank_is_that_of_the_activations_of_single_images(watched):
    E = watched("films", {"every": None, "images_per_class": 2})
    folder, stimuli = trained(E), StimulusFolder(E.sections["stimuli"]["folder"], E.section("stimuli", StimuliConfig))
    images = torch.cat([one for one, _ in stimuli.batches(100)])
    with torch.inference_mode():
        rows = load_network(folder).activations(images)[E.primary_layer].double().numpy()
    shares = np.linalg.svd(rows, compute_uv=False)
    expected = np.exp(entropy(shares))  # scipy's makes them sum to 1
    with warnings.catch_warnings(action="ignore"):  # few images
        found = represent(E, E.network("semantic_5s", 0), stimuli, write=False).effective_rank
    assert found.effective_rank.item() == pytest.approx(expected, rel=1e-4)
    about = json.loads((folder / "run.json").read_text())
    assert about["images"] == about["steps"] * 2 * E.sections["training"]["batch_pairs"]


def test_the_encoder_stays_in_training_mode_and_no_random_number_is_drawn(watched):
    E = watched("films", {"every": 10, "images_per_class": 2})
    network = E.network("semantic_5s", 0)
    look, model, state = watched_stimuli(E, network), test_loop.built("semantic_5s").train(), torch.get_rng_state()
    first = look(model, 10, 40)
    assert first == look(model, 40, 40) and look(model, 15, 40) == {}
    assert all(module.training for module in model.modules()) and torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("images", [2, 3, 7])
def test_nearest_mean_accuracy_is_that_of_a_peer_with_each_image_left_out(images):
    generator = np.random.default_rng(images)
    labels = generator.permutation(np.repeat(np.arange(5), images))
    features = generator.normal(size=(len(labels), 4)).astype(np.float32) + 0.6 * labels[:, None]
    right = []
    for i, label in enumerate(labels):
        rest = np.arange(len(labels)) != i
        right.append(NearestCentroid().fit(features[rest], labels[rest]).predict(features[i : i + 1])[0] == label)
    assert nearest_mean_accuracy(features, labels) == np.mean(right)
    assert math.isnan(nearest_mean_accuracy(features[:3], np.array([0, 0, 1])))


def test_without_stimuli_categories_or_a_training_nothing_is_watched(watched, tmp_path):
    E, watch = watched("films", {"every": 10, "images_per_class": 2}), {"every": None, "images_per_class": 2}
    assert watched_stimuli(E, E.network("random", 0)) is None
    for folder in (None, str(tmp_path / "absent")):
        assert watched_stimuli(watched("none", E.sections["watch"], folder=folder), E.network("semantic_5s", 0)) is None
    (tmp_path / "stimuli" / CLASSES.wnid.iloc[0]).rename(tmp_path / "stimuli" / "n99999999")
    look = watched_stimuli(watched("unknown", E.sections["watch"]), E.network("semantic_5s", 0))
    assert set(look(test_loop.built("semantic_5s"), 10, 40)) == {"class_accuracy"}
    assert watched_stimuli(watched("off", watch), E.network("semantic_5s", 0)) is None
