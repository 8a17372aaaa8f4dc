"""Further objectives of two views against their formulas in NumPy, and in cases whose value is known."""

import math
import types

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from semanticcmc.config import configure
from semanticcmc.experiment import Network
from semanticcmc.training.networks import NetworksConfig, build
from semanticcmc.training.objectives.align_uniform import AlignUniform, AlignUniformConfig
from semanticcmc.training.objectives.spectral import Spectral
from semanticcmc.training.objectives.swav import SwAV, SwAVConfig, sinkhorn
from semanticcmc.training.objectives.vicreg import VICReg, VICRegConfig
from tests.training.drawn import drawn, no_pairing
from tests.training.test_loop import NETWORKS


def values(count, size, seed):
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def made(kind, config=None, size=None):
    encoder = torch.nn.Identity()
    encoder.config = types.SimpleNamespace(embedding_dim=size)
    return kind(config, encoder, no_pairing(), 0).double()


def loss_of(objective, first, second):
    return objective.loss(first, second, drawn(torch.arange(len(first)), torch.zeros(len(first)))).item()


def test_vicreg_is_its_three_terms():
    first, second = values(9, 5, 0) * 0.5, values(9, 5, 1) * 0.5
    terms = [0.0, 0.0, 0.0]
    terms[0] = np.mean((first.numpy() - second.numpy()) ** 2)
    for one in (first.numpy(), second.numpy()):
        terms[1] += np.maximum(0, 1 - np.sqrt(one.var(0, ddof=1) + 1e-4)).mean() / 2
        covariance = np.cov(one, rowvar=False)
        terms[2] += (covariance[~np.eye(5, dtype=bool)] ** 2).sum() / 5
    for weights in ((25.0, 25.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)):
        objective = made(VICReg, VICRegConfig(*weights))
        assert loss_of(objective, first, second) == pytest.approx(np.dot(weights, terms), rel=1e-9)


def test_vicreg_wants_nothing_more_of_partners_alike_with_live_units_that_do_not_covary():
    signs = torch.tensor([[1, 1], [1, -1], [-1, 1], [-1, -1]], dtype=torch.float64)
    assert loss_of(made(VICReg, VICRegConfig(25.0, 25.0, 1.0)), signs, signs) == 0
    collapsed = torch.ones_like(signs)  # the hinge alone, at the root of what is added to variances
    assert loss_of(made(VICReg, VICRegConfig(25.0, 25.0, 1.0)), collapsed, collapsed) == pytest.approx(25 * 0.99)


def test_align_uniform_is_wang_and_isolas_formula():
    first, second = normalize(values(8, 4, 0), dim=1), normalize(values(8, 4, 1), dim=1)
    x, y = first.numpy(), second.numpy()
    align = np.mean(np.linalg.norm(x - y, axis=1) ** 2)
    uniform = [
        math.log(np.mean([math.exp(-2 * np.sum((z[i] - z[j]) ** 2)) for i in range(8) for j in range(i)]))
        for z in (x, y)
    ]
    objective = made(AlignUniform, AlignUniformConfig(1.5))
    assert loss_of(objective, first, second) == pytest.approx(align + 1.5 * np.mean(uniform), rel=1e-5)
    one = torch.ones(4, 1, dtype=torch.float64)
    assert loss_of(objective, one, one) == pytest.approx(AlignUniform.chance(None, 4), abs=1e-6)


def test_sinkhorns_codes_use_all_prototypes_alike_and_are_those_of_the_matrix_form():
    scores = values(12, 4, 0) * 0.1
    codes = sinkhorn(scores, 0.05, 200)
    torch.testing.assert_close(codes.sum(1), torch.ones(12, dtype=torch.float64))
    torch.testing.assert_close(codes.sum(0), torch.full((4,), 3.0, dtype=torch.float64))
    q = np.exp(scores.numpy().T / 0.05)  # the paper's: prototypes by samples
    for _ in range(3):
        q /= q.sum(1, keepdims=True) * 4
        q /= q.sum(0, keepdims=True) * 12
    np.testing.assert_allclose(sinkhorn(scores, 0.05, 3).numpy(), q.T * 12, rtol=1e-9)


def test_swav_predicts_each_views_codes_from_the_other():
    first, second = normalize(values(10, 6, 0), dim=1), normalize(values(10, 6, 1), dim=1)
    objective = made(SwAV, SwAVConfig(prototypes=4, temperature=0.1, epsilon=0.05, iterations=3), size=6)
    c = objective.prototypes.weight.detach().numpy()
    np.testing.assert_allclose(np.linalg.norm(c, axis=1), 1)
    expected = 0.0
    for one, other in ((first, second), (second, first)):
        p = np.exp(one.numpy() @ c.T / 0.1)
        p /= p.sum(1, keepdims=True)
        q = sinkhorn(torch.from_numpy(other.numpy() @ c.T), 0.05, 3).numpy()
        expected -= (q * np.log(p)).sum(1).mean() / 2
    assert loss_of(objective, first, second) == pytest.approx(expected, rel=1e-6)


def graph_of_lagged_pairs(frames, lag):
    """Directed pairs (E, 2) of a film's frames a lag apart, each in both directions."""
    first = torch.arange(frames - lag)
    pairs = torch.stack((first, first + lag), dim=1)
    return torch.cat((pairs, pairs.flip(1)))


def test_spectral_ends_at_the_eigenvectors_of_the_lagged_pair_graph():
    """The loss is averaged over all batches of two pairs: what is minimised is exactly its mean over draws."""
    frames, size = 7, 2
    pairs = torch.cat((graph_of_lagged_pairs(frames, 1), graph_of_lagged_pairs(frames, 2)))
    count, objective = len(pairs), made(Spectral)
    batches = torch.cartesian_prod(torch.arange(count), torch.arange(count))  # with replacement, as draws are

    def mean_loss(z):
        first, second = z[pairs[batches, 0]], z[pairs[batches, 1]]
        return torch.vmap(lambda x, y: objective.loss(x, y, None))(first, second).mean()

    a = np.zeros((frames, frames))
    np.add.at(a, (pairs[:, 0].numpy(), pairs[:, 1].numpy()), 1 / count)
    root = np.sqrt(a.sum(1))
    eigenvalues, u = np.linalg.eigh(a / np.outer(root, root))
    best = u[:, -size:] * np.sqrt(eigenvalues[-size:]) / root[:, None]
    least = -np.sum(eigenvalues[-size:] ** 2)  # of ||M - F F'||^2 - ||M||^2
    assert mean_loss(torch.from_numpy(best)).item() == pytest.approx(least, rel=1e-9)

    z = (values(frames, size, 3)).requires_grad_()
    optimiser = torch.optim.LBFGS([z], max_iter=300, tolerance_grad=1e-9, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        loss = mean_loss(z)
        loss.backward()
        return loss

    optimiser.step(closure)
    reached = z.detach().numpy()
    np.testing.assert_allclose(reached @ reached.T, best @ best.T, atol=1e-4)  # equal up to a rotation


def test_spectral_has_its_chance_at_an_embedding_that_is_the_same_for_all():
    lengths = [loss_of(made(Spectral), *[torch.full((5, 1), length).double()] * 2) for length in (0.9, 1.0, 1.1)]
    assert min(lengths) == lengths[1] == pytest.approx(Spectral.chance(None, 5))


@pytest.mark.parametrize("name", ["augment", "cmc_lab"])
def test_embeddings_of_any_length_point_where_the_encoders_do(name):
    encoder = build(Network.named(name, "spectral", 0), configure(NetworksConfig, NETWORKS, "here")).eval()
    objective = Spectral(None, encoder, no_pairing(), 0)
    generator, px = torch.Generator().manual_seed(0), NETWORKS["input_px"]
    sizes = (1, 2) if name == "cmc_lab" else (3, 3)
    images = [torch.randn(4, channels, px, px, generator=generator) for channels in sizes]
    for own, unit in zip(objective.embed(*images), encoder.pair(*images), strict=True):
        assert (own.norm(dim=1) - 1).abs().min() > 1e-3
        torch.testing.assert_close(normalize(own, dim=1), unit)
