"""The study of real images, cut down: what is diluted comes back, broader classes share no image."""

import importlib

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.spatial.distance import pdist
from validation.real_images_figure import looks, published_r

from semanticcmc.config import InputError
from semanticcmc.experiment import load_experiment
from semanticcmc.figures.save import Picture
from semanticcmc.rsa.rdm import RDM
from semanticcmc.rsa.wordnet import read_taxonomy
from semanticcmc.scoring import networks
from semanticcmc.training.networks import NetworksConfig, TrainedNetwork, build
from semanticcmc.training.views import ViewsConfig
from tests.figures.drawing import assert_words_and_letters

FEW = {"permutations": 19, "samples": 10, "growth_samples": 10, "draws": 2, "subsets": 3, "confidence": 0.95}


@pytest.fixture(scope="module")
def study():
    return importlib.import_module("validation.real_images")


@pytest.fixture(scope="module")
def imagenet(repository):
    return (repository / "data_manifests" / "class_lists" / "imagenet.txt").read_text().split()


def test_what_few_images_dilute_comes_back(study, imagenet):
    # Truth: the correlation of the model with the distances of the classes themselves, before any image noise.
    rng, n, images = np.random.default_rng(0), 90, 16
    classes = imagenet[:n]
    place = rng.standard_normal((n, 12))
    model = RDM(pdist(place + 1.2 * rng.standard_normal((n, 12))), tuple(classes))
    truth = np.corrcoef(pdist(place), model.values)[0, 1]
    rows = np.repeat(place, images, axis=0) + 2.5 * rng.standard_normal((n * images, 12))
    members = {wnid: np.arange(images) + i * images for i, wnid in enumerate(classes)}
    table = study.growth(rows, members, model, images, 0, FEW | {"draws": 6, "growth_samples": 50})
    table = table.set_index(["quantity", "images"])
    r = table.value["mantel_r"]
    assert (np.diff(r) > 0).all() and r[1] < 0.5 * truth
    assert table.value["r_unlimited", 16] == pytest.approx(truth, abs=0.06)
    assert r[16] < table.value["r_150", 16] < table.value["r_unlimited", 16]
    assert (table.ci_low <= table.ci_high).all()
    # Reliability from halves of 8 images is the correlation of RDMs from two sets of 8.
    sets = [place + 2.5 / np.sqrt(8) * rng.standard_normal((n, 12)) for _ in range(2)]
    assert table.value["reliability", 8] == pytest.approx(np.corrcoef(*map(pdist, sets))[0, 1], abs=0.08)


@pytest.mark.parametrize("fewest", [2, 8, 16])
def test_broader_classes_are_nouns_above_their_images_and_share_none(study, imagenet, fewest):
    found, taxonomy = study.broader_classes(np.array(imagenet), fewest), read_taxonomy()
    positions = np.concatenate(list(found.values()))
    assert len(set(positions)) == len(positions) and min(map(len, found.values())) >= fewest
    for wnid, at in found.items():
        assert all(wnid in taxonomy.distances_above(imagenet[i]) for i in at)
        assert not any(wnid != other and other in taxonomy.distances_above(wnid) for other in found)


def test_classes_with_enough_images_stand_for_themselves(study, imagenet):
    owners = np.repeat(imagenet[:30], 4)
    found = study.broader_classes(owners, 4)
    assert sorted(found) == sorted(imagenet[:30])


def small(kind, seed=0):
    experiment = load_experiment("smoke")
    return build(experiment.network(kind, seed), experiment.section("networks", NetworksConfig))


def test_any_checkpoint_is_read_as_the_network_that_it_holds(study, monkeypatch, tmp_path):
    monkeypatch.setattr(networks, "PUBLISHED", load_experiment("smoke").section("networks", NetworksConfig))
    for kind in ("random", "cmc_lab"):
        network = small(kind, 3)
        torch.save(network.state_dict(), tmp_path / "a.pt")
        found = study.from_file(tmp_path / "a.pt").encoder
        if kind == "random":
            assert all(torch.equal(a, b) for a, b in zip(found.parameters(), network.parameters(), strict=True))
    torch.save({"weight": torch.zeros(3)}, tmp_path / "a.pt")
    with pytest.raises(InputError, match=r"a\.pt: no weights for conv1.*name its architecture"):
        study.from_file(tmp_path / "a.pt")


def test_the_study_runs_on_a_folder_and_is_drawn(study, imagenet, tmp_path):
    rng = np.random.default_rng(1)
    for wnid in imagenet[:1000:40]:
        (tmp_path / "images" / wnid).mkdir(parents=True)
        for k in range(2):
            pixels = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / wnid / f"{k}.png")
    network = TrainedNetwork(small("random"), load_experiment("smoke").section("views", ViewsConfig)).eval()
    table = study.study(tmp_path / "images", settings=FEW, networks=[("small", 0, lambda: network)], fewest=(2,))
    assert list(table.columns) == list(study.COLUMNS)
    refused = [("small", 0, lambda: pytest.fail("tested again"))]
    again = study.study(tmp_path / "images", settings=FEW, networks=refused, fewest=(2,), kept=table)
    pd.testing.assert_frame_equal(again, table)
    assert set(table.study) == {"layers", "images"} and set(table[table.study == "layers"].model) == {"lch", "category"}
    assert (table[table.study == "layers"].images == 2).all()
    assert table[table.study == "images"].classes.eq(25).all()
    assert len(looks(table, 0.2, confidence=0.95).axes) == 2
    assert study.main([]) == 0
    assert study.main([str(tmp_path / "nowhere")]) == 2


def test_looks_tell_how_the_correlation_grows_with_the_images(repository):
    table = pd.read_csv(repository / "validation" / "real_images.csv")
    assert np.isfinite(table.value[table.study != "images"]).all()
    drawn = looks(table, 0.159, confidence=0.95)
    assert len(drawn.axes) == 2 and "published 0.16 at 150" in drawn.alt and "Star: published" in drawn.caption
    rows = table[(table.study == "images") & (table.network == table.network.iloc[0]) & (table.quantity == "mantel_r")]
    means = rows.groupby("images").value.mean()
    assert f"from {means.iloc[0]:.2f} at {means.index[0]:.0f} to {means.iloc[-1]:.2f}" in drawn.alt
    for network, own in table.groupby("network"):
        assert f"{network} {own.seed.nunique()}" in drawn.caption
    assert_words_and_letters(drawn)


def test_the_committed_picture_has_the_words_of_the_committed_table(repository):
    assert published_r() == pytest.approx(0.1589)  # O'Doherty and Cusack's table
    drawn = looks(pd.read_csv(repository / "validation" / "real_images.csv"), published_r(), confidence=0.95)
    words = Picture(repository / "validation" / "real_images.png").words
    assert words.split() == f"{drawn.alt} {drawn.caption}".split(), "run `python -m validation.real_images_figure`"
