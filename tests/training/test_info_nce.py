"""InfoNCE against its written formula in float64, in cases whose value is known, and across processes."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from semanticcmc.training.objectives.base import alignment, effective_rank, uniformity
from semanticcmc.training.objectives.info_nce import LEAST_TEMPERATURE, InfoNCE, InfoNCEConfig
from tests.training.drawn import drawn, no_pairing


def embeddings(count, size, seed):
    values = torch.randn(count, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return normalize(values, dim=1)


def rows_of(films):
    return drawn(torch.arange(len(films)), torch.tensor(films))


def info_nce(temperature, learnable=False, negatives="all"):
    return InfoNCE(InfoNCEConfig(temperature, learnable, negatives), torch.nn.Identity(), no_pairing(), 0)


def one_film(count):
    return rows_of([0] * count)


def written_formula(first, second, temperature, allowed=lambda i, j: True):
    """Mean over i of -(log p(i | first i) + log p(i | second i)) / 2, one pair at a time."""
    total = 0.0
    for i in range(len(first)):
        candidates = [j for j in range(len(first)) if j == i or allowed(i, j)]
        forth = sum(math.exp(float(first[i] @ second[j]) / temperature) for j in candidates)
        back = sum(math.exp(float(first[j] @ second[i]) / temperature) for j in candidates)
        own = float(first[i] @ second[i]) / temperature
        total += -(own - math.log(forth)) / 2 - (own - math.log(back)) / 2
    return total / len(first)


@pytest.mark.parametrize("temperature", [0.07, 0.3, 2.0])
def test_the_loss_is_the_written_formula(temperature):
    first, second = embeddings(17, 5, 0), embeddings(17, 5, 1)
    loss = info_nce(temperature, learnable=False).double().loss(first, second, one_film(17))
    expected = written_formula(first.numpy(), second.numpy(), temperature)
    assert loss.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("negatives", ["within_film", "cross_film"])
def test_negatives_of_the_own_film_or_of_the_others_alone(negatives):
    films = [0, 0, 1, 2, 1, 0, 1]  # the pair of film 2 has no negative within its film
    first, second = embeddings(7, 4, 0), embeddings(7, 4, 1)
    objective = info_nce(0.2, False, negatives).double()
    expected = written_formula(
        first.numpy(), second.numpy(), 0.2, lambda i, j: (films[i] == films[j]) == (negatives == "within_film")
    )
    assert objective.loss(first, second, rows_of(films)).item() == pytest.approx(expected, rel=1e-6)
    inputs = (first.requires_grad_(), second.requires_grad_())
    assert torch.autograd.gradcheck(lambda x, y: objective.loss(x, y, rows_of(films)), inputs)


def test_a_batch_without_negatives_teaches_nothing():
    first, second = embeddings(3, 4, 0).requires_grad_(), embeddings(3, 4, 1)
    loss = info_nce(0.2, False, "cross_film").double().loss(first, second, one_film(3))
    loss.backward()
    assert loss.item() == 0 and first.grad.abs().max() == 0


def test_known_values():
    one = torch.zeros(8, 4)
    one[:, 0] = 1
    rows = one_film(8)
    assert info_nce(0.3).loss(one, one, rows).item() == pytest.approx(math.log(8), rel=1e-6)  # all alike
    apart = torch.eye(8)
    expected = math.log(math.exp(1 / 0.3) + 7) - 1 / 0.3  # partners coincide, all others are orthogonal
    assert info_nce(0.3).loss(apart, apart, rows).item() == pytest.approx(expected, rel=1e-5)


def test_which_view_is_first_does_not_matter():
    first, second, rows = embeddings(9, 6, 0), embeddings(9, 6, 1), one_film(9)
    objective = info_nce(0.2, False).double()
    assert objective.loss(first, second, rows).item() == pytest.approx(
        objective.loss(second, first, rows).item(), rel=1e-12
    )


def test_gradients_of_embeddings_and_of_the_temperature():
    objective = info_nce(0.4, learnable=True).double()
    rows = one_film(6)
    first, second = embeddings(6, 4, 0).requires_grad_(), embeddings(6, 4, 1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, y: objective.loss(x, y, rows), (first, second))
    loss = objective.loss(first, second, rows)
    (slope,) = torch.autograd.grad(loss, objective.log_temperature)
    step = 1e-5
    values = [
        written_formula(first.detach().numpy(), second.detach().numpy(), 0.4 * math.exp(sign * step))
        for sign in (1, -1)
    ]
    assert slope.item() == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-4)


def test_a_fixed_temperature_is_not_learned_and_a_learned_one_has_a_floor():
    assert not info_nce(0.07, learnable=False).log_temperature.requires_grad
    objective = info_nce(0.07, learnable=True)
    assert objective.measures()["temperature"] == pytest.approx(0.07)
    with torch.no_grad():
        objective.log_temperature.fill_(-20)
    assert objective.temperature.item() == pytest.approx(LEAST_TEMPERATURE)


def test_effective_rank_where_it_is_known():
    axes = torch.eye(8)[:, :6].repeat(3, 1)  # six orthogonal directions, all as long
    assert effective_rank(axes).item() == pytest.approx(6, rel=1e-4)
    assert effective_rank(axes[:1].expand(20, -1)).item() == pytest.approx(1, rel=1e-3)
    shares = torch.tensor([0.5, 0.25, 0.125, 0.125])  # 1.75 bits
    assert effective_rank(torch.diag(shares)).item() == pytest.approx(2**1.75, rel=1e-4)


def test_alignment_and_uniformity_where_they_are_known():
    axes = torch.eye(4)
    assert alignment(axes, axes).item() == 0
    assert alignment(axes, axes.roll(1, 0)).item() == pytest.approx(2)  # orthogonal unit vectors
    assert uniformity(axes).item() == pytest.approx(-4)  # every squared distance is 2
    assert uniformity(torch.ones(5, 1)).item() == pytest.approx(0, abs=1e-6)
    assert uniformity(torch.tensor([[1.0], [-1.0]])).item() == pytest.approx(-8)
    points = embeddings(12, 3, 0).numpy()
    squared = [np.sum((points[i] - points[j]) ** 2) for i in range(12) for j in range(i)]
    expected = math.log(np.mean(np.exp(-2 * np.array(squared))))
    assert uniformity(torch.from_numpy(points)).item() == pytest.approx(expected, rel=1e-5)
