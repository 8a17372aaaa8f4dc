"""CoCon's three losses as written, where they vanish, and that blocks and views come from the same frames."""

import itertools
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from semanticcmc.config import InputError, configure
from semanticcmc.training.networks import AlexNet, NetworksConfig
from semanticcmc.training.objectives.cocon import CoCon, CoConConfig, similar, synchronous
from semanticcmc.training.pairings import Fixed, NoKeys
from tests.training.test_loop import NETWORKS

KEYS = {
    "views": ["flow", "pose"],
    "blocks": 3,
    "temperature": 0.5,
    "both_sides": False,
    "cpc": 1.0,
    "sim": 10.0,
    "sync": 10.0,
    "sync_distance": "absolute",
}


def objective(**changes):
    index = pd.concat([pd.DataFrame({"movie_id": film, "time_s": np.arange(60.0)}) for film in "ab"], ignore_index=True)
    encoder = AlexNet(configure(NetworksConfig, NETWORKS, "here"))
    pairing = Fixed(NoKeys(), index, Path(), changes.pop("lag_s", 4.0), 8.0, 0.0)
    return CoCon(configure(CoConConfig, KEYS | changes, "here"), encoder, pairing, 0)


def unit(*shape):
    values = np.random.default_rng(0).normal(size=shape)
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


def cpc(features, temperature):
    """Of one view (clips, blocks, d), predictors the identity."""
    clips, blocks, _ = features.shape
    terms = []
    for i, k in itertools.product(range(clips), range(1, blocks)):
        scores = {
            jm: features[i, 0] @ features[jm] / temperature for jm in itertools.product(range(clips), range(blocks))
        }
        terms.append(math.log(sum(map(math.exp, scores.values()))) - scores[i, k])
    return np.mean(terms)


def sim(u, v):
    same = [1 - u[a] @ v[a] for a in range(len(u))]
    other = [max(0, u[a] @ v[b]) for a in range(len(u)) for b in range(len(u)) if a != b]
    return (np.mean(same) + np.mean(other)) / 2


def sync(u, v, power):
    return np.mean([abs(u[a] @ u[b] - v[a] @ v[b]) ** power for a in range(len(u)) for b in range(len(u))])


@pytest.mark.parametrize(
    ("changes", "temperature", "power"),
    [
        ({}, 0.5, 1),
        ({"both_sides": True, "sync_distance": "squared"}, 0.25, 2),
        ({"cpc": 0}, 0.5, 1),
        ({"sim": 0, "sync": 3.0}, 0.5, 1),
        ({"sim": 0, "sync": 0}, 0.5, 1),
    ],
)
def test_the_loss_is_the_weighted_sum_of_the_written_formulas(changes, temperature, power):
    features, made = unit(3, 4, 3, 8), objective(**changes).double()
    flat = features.reshape(3, 12, 8)
    pairs = list(itertools.combinations(flat, 2))
    expected = {
        "cpc": sum(cpc(view, temperature) for view in features),
        "sim": sum(sim(*pair) for pair in pairs),
        "sync": sum(sync(*pair, power) for pair in pairs),
    }
    weights = {name: (KEYS | changes)[name] for name in expected}
    loss = made.loss(torch.from_numpy(features))
    assert loss.item() == pytest.approx(sum(weights[name] * expected[name] for name in expected), rel=1e-9)
    assert made.measures() == pytest.approx({name: expected[name] for name in expected if weights[name]})


def test_where_the_losses_vanish():
    axes = torch.eye(5)
    turn = torch.linalg.qr(torch.randn(5, 5, generator=torch.Generator().manual_seed(0)))[0]
    points = torch.nn.functional.normalize(torch.randn(7, 5, generator=torch.Generator().manual_seed(1)), dim=1)
    assert similar(axes, axes).item() == 0  # the views agree, blocks are orthogonal
    assert similar(torch.ones(4, 1), torch.ones(4, 1)).item() == 0.5  # all alike
    for squared in (True, False):
        assert synchronous(points, points @ turn, squared).item() < 1e-6  # the same up to a rotation
        assert synchronous(axes, axes[:, [0, 0, 0, 0, 0]], squared).item() > 0


def test_views_are_of_the_same_frames_and_crops_and_each_has_an_encoder():
    made = objective()
    assert [(view.kind, view.frame) for view in made.views] == [
        (kind, b) for kind in ("", "flow", "pose") for b in range(3)
    ]
    assert [view.crop_of for view in made.views] == [None] + [0] * 8
    assert made.images == 3 and len(made.others) == 2
    assert not torch.equal(made.others[0].fc8.weight, made.others[1].fc8.weight)
    draw = made.draw(50, torch.Generator().manual_seed(0))
    assert (draw.time_s.diff(dim=1) == 4).all()


def test_the_encoder_of_the_picture_hears_of_the_other_views_by_sim_and_sync_alone():
    images = list(torch.randn(9, 4, 3, 44, 44, generator=torch.Generator().manual_seed(0)))
    for changes, hears in (({"sim": 0, "sync": 0}, False), ({"cpc": 0, "sim": 0}, True), ({"cpc": 0, "sync": 0}, True)):
        made, gradients = objective(**changes).eval(), []
        for flow in (1.0, -1.0):
            loss = made(
                (*images[:3], *(flow * one for one in images[3:])), made.draw(4, torch.Generator().manual_seed(0))
            )
            gradients.append(torch.autograd.grad(loss, made.encoder.fc8.weight)[0])
        assert torch.equal(*gradients) != hears


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"views": ["sound"]}, "views"),
        ({"views": []}, "views"),
        ({"blocks": 1}, "blocks"),
        ({"cpc": 0, "sim": 0, "sync": 0}, "cpc, sim, sync"),
        ({"sync_distance": "cubed"}, "sync_distance"),
        ({"lag_s": 0.0}, "lags_s"),
    ],
)
def test_what_cannot_be_is_refused(wrong, says):
    with pytest.raises(InputError, match=says):
        objective(**wrong)
