"""Tracks of objects: the triplet's formula, and patches that are the truth."""

import numpy as np
import pandas as pd
import pytest
import torch

from semanticcmc.config import InputError, configure
from semanticcmc.training.objectives.tracking_triplet import TrackingTriplet, TrackingTripletConfig
from semanticcmc.training.pairings import Fixed, NoKeys


def seen(times, shot, thing, side):
    return pd.DataFrame(
        {"time_s": times, "shot": shot, "object": thing, "top": 1, "left": times, "height": side, "width": 9}
    )


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "world/tracks").mkdir(parents=True)
    one = [seen([0.0, 1.0, 2.0], 0, 0, 7), seen([1.0, 2.0], 0, 1, 5), seen([3.0], 1, 0, 4), seen([4.0, 6.0], 2, 0, 3)]
    for film in "ab":
        pd.concat(one).astype({"left": int}).to_parquet(tmp_path / f"world/tracks/{film}.parquet")
    return tmp_path


def objective(folder, lag_s=0.0, **changes):
    index = pd.concat([pd.DataFrame({"movie_id": film, "time_s": np.arange(10.0)}) for film in "ab"], ignore_index=True)
    config = configure(TrackingTripletConfig, {"margin": 0.5, "hardest": 2} | changes, "here")
    return TrackingTriplet(config, torch.nn.Identity(), Fixed(NoKeys(), index, folder, lag_s, 1.0, 0.0), 0)


def test_a_sample_is_an_object_at_the_first_and_last_frame_of_its_shot(folder):
    draw = objective(folder).draw(300, torch.Generator().manual_seed(0))
    found = {(*rows, *boxes) for rows, boxes in zip(draw.rows.tolist(), draw.targets.tolist(), strict=True)}
    ends = {(0, 2, 7), (1, 2, 5), (4, 6, 3)}  # the object of one frame alone has no last patch
    assert found == {(a + at, b + at, 1, a, side, 9, 1, b, side, 9) for a, b, side in ends for at in (0, 10)}


@pytest.mark.parametrize("hardest", [1, 2, 9])
def test_the_loss_is_the_written_formula(folder, hardest):
    generator = np.random.default_rng(0)
    first, last = generator.normal(size=(2, 6, 4))
    first, last = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (first, last))
    terms = []
    for i in range(6):
        distances = sorted(1 - first[i] @ last[j] for j in range(6) if j != i)[:hardest]
        terms += [max(0, 1 - first[i] @ last[i] - d + 0.5) for d in distances]
    loss = objective(folder, hardest=hardest).loss(torch.from_numpy(first), torch.from_numpy(last))
    assert loss.item() == pytest.approx(np.mean(terms), rel=1e-9)


def test_known_values(folder):
    made, axes = objective(folder), torch.eye(4)
    assert made.loss(axes, axes).item() == 0  # partners coincide, all others are further away than the margin
    assert made.loss(torch.ones(4, 1), torch.ones(4, 1)).item() == made.chance(made.config, 4) == 0.5


@pytest.mark.parametrize(
    ("wrong", "says"), [({"margin": 0}, "margin"), ({"hardest": 0}, "hardest"), ({"lag_s": 1.0}, "lags_s")]
)
def test_what_cannot_be_is_refused(folder, wrong, says):
    with pytest.raises(InputError, match=says):
        objective(folder, **wrong)


def test_films_without_tracks_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"tracks/a.parquet.*other_views"):
        objective(tmp_path)
