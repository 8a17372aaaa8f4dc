"""MoCo and BYOL, whose targets are a slowly following encoder, against their written formulas in float64."""

import copy
import math
import types

import pytest
import torch
from torch.nn.functional import normalize

from semanticcmc.training.objectives.byol import BYOL, BYOLConfig
from semanticcmc.training.objectives.moco import MoCo, MoCoConfig
from tests.training.drawn import drawn, no_pairing


class Linear(torch.nn.Module):
    """An encoder of vectors."""

    colour_space = "rgb"
    config = types.SimpleNamespace(embedding_dim=4)

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(6, 4).double()

    def pair(self, *views):
        return tuple(normalize(self.layer(view), dim=1) for view in views)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def batch(count=5, views=2):
    return tuple(torch.randn(views, count, 6, dtype=torch.float64)), drawn(
        torch.arange(count), torch.zeros(count, dtype=torch.int64)
    )


def moco(**changed):
    return MoCo(MoCoConfig(**{"temperature": 0.2, "queue": 12, "momentum": 0.9} | changed), Linear(), no_pairing(), 3)


def surprise(query, key, queue, temperature):
    scores = [math.exp(float(query.detach() @ other.detach()) / temperature) for other in (key, *queue)]
    return -math.log(scores[0] / sum(scores))


def test_moco_is_the_written_formula_and_its_keys_join_the_queue():
    objective = moco().double()
    with torch.no_grad():
        objective.average.layer.weight.mul_(-0.5).add_(0.1)  # apart from the encoder
    images, draw = batch()
    queries, keys = objective.encoder.pair(*images), objective.average.pair(*images)
    queue = objective.queue.clone()
    expected = [
        surprise(q, k, queue, 0.2) for a, b in ((0, 1), (1, 0)) for q, k in zip(queries[a], keys[b], strict=True)
    ]
    loss = objective(images, draw)
    assert loss.item() == pytest.approx(sum(expected) / len(expected), rel=1e-9)
    loss.backward()
    assert all(p.grad is None for p in objective.average.parameters()) and objective.encoder.layer.weight.grad.any()
    assert torch.equal(objective.queue[:10], torch.cat(keys)) and torch.equal(objective.queue[10:], queue[10:])
    _, more = objective(*batch()), objective.queue  # the oldest make room, round the end
    assert int(objective.place) == 8 and not torch.equal(more[:8], torch.cat(keys)[:8])
    torch.testing.assert_close(more[8:10], torch.cat(keys)[8:])


def test_a_queue_shorter_than_a_batch_holds_its_last_keys():
    objective = moco(queue=3).double()
    images, draw = batch()
    objective(images, draw)
    assert {tuple(k) for k in objective.queue.tolist()} == {
        tuple(k) for k in torch.cat(objective.average.pair(*images))[-3:].tolist()
    }


def test_the_key_encoder_follows_by_its_momentum_and_is_never_learned():
    objective = moco()
    before, now = objective.average.layer.weight.clone(), objective.encoder.layer.weight
    with torch.no_grad():
        now += 1
    objective.after_step(1, 10)
    torch.testing.assert_close(objective.average.layer.weight, 0.9 * before + 0.1 * now.detach())
    assert not any(p.requires_grad for p in objective.average.parameters())


def byol():
    return BYOL(BYOLConfig(momentum=0.9, hidden_units=7), Linear(), no_pairing(), 3).double()


def test_byol_is_the_written_formula():
    objective = byol()
    with torch.no_grad():
        objective.target.layer.weight.mul_(-0.5).add_(0.1)
    images, draw = batch()
    predictor = copy.deepcopy(objective.predictor)
    predicted = [predictor(one).detach() for one in objective.encoder.pair(*images)]
    targets = objective.target.pair(*images)
    total = 0.0
    for a, b in ((0, 1), (1, 0)):
        for p, t in zip(predicted[a], targets[b], strict=True):
            total += 2 - 2 * float(p @ t / (p.norm() * t.norm()))
    loss = objective(images, draw)
    assert loss.item() == pytest.approx(total / 10, rel=1e-9)
    loss.backward()
    assert all(p.grad is None for p in objective.target.parameters())
    assert all(p.grad is not None for p in (*objective.encoder.parameters(), *objective.predictor.parameters()))


def test_byols_momentum_rises_to_one():
    for step, momentum in ((5, 1 - 0.1 * (math.cos(math.pi * 0.5) + 1) / 2), (10, 1.0)):
        objective = byol()
        before, now = objective.target.layer.weight.clone(), objective.encoder.layer.weight
        with torch.no_grad():
            now += 1
        objective.after_step(step, 10)
        torch.testing.assert_close(objective.target.layer.weight, momentum * before + (1 - momentum) * now.detach())


def test_of_three_views_each_meets_each():
    images, draw = batch(views=3)
    objective = byol().eval()
    pairs = [objective((images[a], images[b]), draw).item() for a, b in ((0, 1), (0, 2), (1, 2))]
    assert objective(images, draw).item() == pytest.approx(sum(pairs) / 3, rel=1e-9)
