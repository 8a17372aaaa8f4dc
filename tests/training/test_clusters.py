"""Clusters of another view as labels: found where they are plain, and told at the right lag."""

import numpy as np
import pandas as pd
import pytest
import torch

from semanticcmc.config import InputError, configure
from semanticcmc.films.files import Frame, merge_index, write_film
from semanticcmc.films.soundtrack import SOUND_HZ, write_sound
from semanticcmc.films.store import FrameStore
from semanticcmc.training.networks import AlexNet, NetworksConfig
from semanticcmc.training.objectives.cross_modal_clusters import CrossModalClusters, CrossModalClustersConfig
from semanticcmc.training.pairings import Fixed, NoKeys
from tests.training.test_loop import NETWORKS

KINDS = np.random.default_rng(0).integers(0, 3, (2, 30))  # of each frame's pose, one of three pictures


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two films of grey frames, whose poses are a bright band at the left, in the middle or at the right."""
    folder = tmp_path_factory.mktemp("films")
    poses = np.zeros((3, 48, 48, 3), dtype=np.uint8)
    for kind in range(3):
        poses[kind, :, 16 * kind : 16 * kind + 16] = 250
    for film, kinds in zip("ab", KINDS, strict=True):
        grey = np.full((48, 48, 3), 128, dtype=np.uint8)
        write_film(folder / "frames", film, (Frame(t, t, t, grey) for t in range(30)), quality=90)
        write_film(folder / "frames", f"{film}.pose", (Frame(t, t, t, poses[kinds[t]]) for t in range(30)), quality=90)
    merge_index(folder / "frames", ["a", "b"])
    return folder


def objective(folder, lag_s=4.0, **changes):
    encoder = AlexNet(configure(NetworksConfig, NETWORKS, "here"))
    index: pd.DataFrame = FrameStore(folder / "frames").index
    config = configure(CrossModalClustersConfig, {"view": "pose", "clusters": 3} | changes, "here")
    return CrossModalClusters(config, encoder, Fixed(NoKeys(), index, folder, lag_s, 4.0, 0.0), 0)


@pytest.mark.parametrize("lag_s", [0.0, 4.0])
def test_labels_are_the_kinds_of_poses_a_lag_later(folder, lag_s):
    made = objective(folder, lag_s)
    made.start()
    draw = made.draw(500, torch.Generator().manual_seed(0))
    labels = made.clusters[draw.targets[:, 0]].numpy()
    truth = KINDS.ravel()[draw.rows[:, 0].numpy() + int(lag_s)]
    table = pd.crosstab(truth, labels).to_numpy()
    assert table.shape == (3, 3) and (np.count_nonzero(table, axis=0) == 1).all()  # the same but for their names
    assert made.images == made.config.images == 1


def test_the_loss_is_the_cross_entropy_of_the_labels(folder):
    made = objective(folder).eval()
    made.start()
    draw = made.draw(20, torch.Generator().manual_seed(0))
    images = torch.randn(20, 3, 44, 44, generator=torch.Generator().manual_seed(1))
    scores = made.head(made.encoder.activations(images)["fc7"]).detach().double().numpy()
    labels = made.clusters[draw.targets[:, 0]].numpy()
    p = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    assert made((images,), draw).item() == pytest.approx(-np.log(p[np.arange(20), labels]).mean(), rel=1e-5)
    assert made.measures()["right"] == pytest.approx((p.argmax(1) == labels).mean())


def test_clusters_of_sounds_are_their_pitches(folder):
    second = np.arange(SOUND_HZ) / SOUND_HZ
    tones = np.stack([8000 * np.sin(2 * np.pi * hz * second) for hz in (300, 900, 2700)]).astype(np.int16)
    for film, kinds in zip("ab", KINDS, strict=True):
        write_sound(folder / "frames", film, [np.roll(tones[kinds].ravel(), -SOUND_HZ // 2)])  # a frame amid its tone
    made = objective(folder, view="sound")
    made.start()
    table = pd.crosstab(KINDS.ravel(), made.clusters.numpy()).to_numpy()
    assert table.shape == (3, 3)
    assert np.sort(table, axis=0)[:-1].sum() <= 4  # the same but for names, and films' ends, where half is silence


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"clusters": 1}, "clusters"), ({"view": "smell"}, "view"), ({"view": "flow"}, "a.flow.parquet")],
)
def test_what_cannot_be_is_refused(folder, wrong, says):
    with pytest.raises(InputError, match=says):
        objective(folder, **wrong)
