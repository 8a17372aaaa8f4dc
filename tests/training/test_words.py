"""Frames and labels: MIL-NCE as its paper writes it, and label sets that are the nearest ones."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from semanticcmc.config import InputError, configure
from semanticcmc.training.networks import AlexNet, NetworksConfig
from semanticcmc.training.objectives.words import Words, WordsConfig
from semanticcmc.training.pairings import Fixed, NoKeys
from tests.training.test_loop import NETWORKS


@pytest.fixture
def folder(tmp_path):
    """Two films of 20 s with a label set a second: one label, the second's number modulo 7, and "all"."""
    (tmp_path / "labels").mkdir()
    rows = [(film, float(t), label, 90.0) for film in "ab" for t in range(20) for label in (f"{t % 7}", "all")]
    labels = pd.DataFrame(rows, columns=["movie_id", "time_s", "label", "confidence"])
    labels.astype({"movie_id": "category", "label": "category"}).to_parquet(tmp_path / "labels/labels.parquet")
    times = pd.DataFrame({"movie_id": list("ab"), "start_s": 0.0, "interval_s": 1.0, "count": 20})
    times.to_parquet(tmp_path / "labels/label_times.parquet")
    return tmp_path


def objective(folder, lag_s=3.0, **changes):
    index = pd.concat([pd.DataFrame({"movie_id": film, "time_s": np.arange(20.0)}) for film in "ab"], ignore_index=True)
    config = configure(WordsConfig, {"temperature": 0.2, "nearest": 3, "hidden_units": 6} | changes, "here")
    encoder = AlexNet(configure(NetworksConfig, NETWORKS, "here"))
    return Words(config, encoder, Fixed(NoKeys(), index, folder, lag_s, 3.0, 0.0), 0)


def unit(generator, *shape):
    values = generator.normal(size=shape)
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


def test_the_loss_is_mil_nce_as_written(folder):
    generator = np.random.default_rng(0)
    frames, words = unit(generator, 5, 8), unit(generator, 5, 3, 8)
    terms = []
    for i in range(5):
        positives = sum(math.exp(frames[i] @ words[i, k] / 0.2) for k in range(3))
        negatives = sum(
            math.exp(frames[i] @ words[j, k] / 0.2) + math.exp(frames[j] @ words[i, k] / 0.2)
            for j in range(5)
            for k in range(3)
            if j != i
        )
        terms.append(-math.log(positives / (positives + negatives)))
    loss = objective(folder).loss(torch.from_numpy(frames), torch.from_numpy(words))
    assert loss.item() == pytest.approx(np.mean(terms), rel=1e-9)


def test_chance_is_where_all_are_alike(folder):
    same = torch.ones(6, 1)
    loss = objective(folder).loss(same, torch.ones(6, 3, 1))
    assert loss.item() == pytest.approx(Words.chance(None, 6), rel=1e-6)


@pytest.mark.parametrize("lag_s", [0.0, 3.0])
def test_positives_are_the_label_sets_nearest_to_the_frame_a_lag_later(folder, lag_s):
    made = objective(folder, lag_s)
    draw = made.draw(300, torch.Generator().manual_seed(0))
    assert made.images == 1 and made.config.images == 1
    second = draw.rows[:, 0] + int(lag_s)
    for row, targets, film in zip(second.tolist(), draw.targets.tolist(), draw.film.tolist(), strict=True):
        middle = min(max(row, 20 * film + 1), 20 * film + 18)  # at a film's ends the nearest that there are
        assert targets == [middle - 1, middle, middle + 1]


def test_the_tower_adds_up_the_labels_of_a_set(folder):
    made = objective(folder)
    bag, _, linear = made.tower
    names = sorted([*(str(i) for i in range(7)), "all"])
    for row in (0, 9, 33):
        seen = [names.index(str(row % 20 % 7)), names.index("all")]
        expected = linear(torch.relu(bag.weight[seen].sum(0)))
        torch.testing.assert_close(made.tower(made.known[row][None])[0], expected)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"nearest": 0}, "nearest"), ({"nearest": 21}, "20 frames"), ({"temperature": 0}, "temperature")],
)
def test_what_cannot_be_is_refused(folder, wrong, says):
    with pytest.raises(InputError, match=says):
        objective(folder, **wrong)


def test_films_without_labels_are_refused(tmp_path):
    with pytest.raises(InputError, match="labels"):
        objective(tmp_path)
