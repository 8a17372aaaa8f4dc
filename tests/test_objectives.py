"""InfoNCE against its written formula in float64, and in cases whose value is known."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from semanticcmc.objectives import LEAST_TEMPERATURE, InfoNCE, alignment, uniformity


def embeddings(count, size, seed):
    values = torch.randn(count, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return normalize(values, dim=1)


def written_formula(first, second, temperature):
    """Mean over i of -(log p(i | first i) + log p(i | second i)) / 2, one pair at a time."""
    total = 0.0
    for i in range(len(first)):
        forth = sum(math.exp(float(first[i] @ other) / temperature) for other in second)
        back = sum(math.exp(float(other @ second[i]) / temperature) for other in first)
        own = float(first[i] @ second[i]) / temperature
        total += -(own - math.log(forth)) / 2 - (own - math.log(back)) / 2
    return total / len(first)


@pytest.mark.parametrize("temperature", [0.07, 0.3, 2.0])
def test_the_loss_is_the_written_formula(temperature):
    first, second = embeddings(17, 5, 0), embeddings(17, 5, 1)
    loss = InfoNCE(temperature, learnable=False).double()(first, second)
    expected = written_formula(first.numpy(), second.numpy(), temperature)
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_known_values():
    one = torch.zeros(8, 4)
    one[:, 0] = 1
    assert InfoNCE(0.3, False)(one, one).item() == pytest.approx(math.log(8), rel=1e-6)  # all alike: chance
    apart = torch.eye(8)
    expected = math.log(math.exp(1 / 0.3) + 7) - 1 / 0.3  # partners coincide, all others are orthogonal
    assert InfoNCE(0.3, False)(apart, apart).item() == pytest.approx(expected, rel=1e-5)


def test_which_view_is_first_does_not_matter():
    first, second = embeddings(9, 6, 0), embeddings(9, 6, 1)
    objective = InfoNCE(0.2, False).double()
    assert objective(first, second).item() == pytest.approx(objective(second, first).item(), rel=1e-12)


def test_gradients_of_embeddings_and_of_the_temperature():
    objective = InfoNCE(0.4, learnable=True).double()
    first, second = embeddings(6, 4, 0).requires_grad_(), embeddings(6, 4, 1).requires_grad_()
    assert torch.autograd.gradcheck(objective, (first, second))
    loss = objective(first, second)
    (slope,) = torch.autograd.grad(loss, objective.log_temperature)
    step = 1e-5
    values = [
        written_formula(first.detach().numpy(), second.detach().numpy(), 0.4 * math.exp(sign * step))
        for sign in (1, -1)
    ]
    assert slope.item() == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-4)


def test_a_fixed_temperature_is_not_learned_and_a_learned_one_has_a_floor():
    assert not InfoNCE(0.07, learnable=False).log_temperature.requires_grad
    objective = InfoNCE(0.07, learnable=True)
    assert objective.temperature.item() == pytest.approx(0.07)
    with torch.no_grad():
        objective.log_temperature.fill_(-20)
    assert objective.temperature.item() == pytest.approx(LEAST_TEMPERATURE)


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
