"""Losses against those of lightly, on hand-made embeddings."""

import math

import pytest
import torch
from torch.nn.functional import normalize

from semanticcmc.training.objectives.byol import BYOL
from semanticcmc.training.objectives.debiased import Debiased, DebiasedConfig
from semanticcmc.training.objectives.info_nce import InfoNCE, InfoNCEConfig
from semanticcmc.training.objectives.swav import SwAV, SwAVConfig
from semanticcmc.training.objectives.vicreg import VICReg, VICRegConfig
from tests.training.test_two_views import loss_of, made, values

peer = pytest.importorskip("lightly.loss", reason="lightly, the peer of this test alone, is not installed")
T = 0.3


@pytest.mark.parametrize("kind", ["info_nce", "debiased"])
@pytest.mark.parametrize("turn", [0.1, 1.0, 2.5])
def test_info_nce_is_nt_xent_without_its_negatives_within_a_view(kind, turn):
    """On a circle all rows are alike, so that what NT-Xent has in its sum besides can be taken off again."""
    count = 7
    at = torch.arange(count, dtype=torch.float64) * (2 * math.pi / count)
    first, second = (torch.stack((angle.cos(), angle.sin()), dim=1) for angle in (at, at + turn))
    own = math.cos(turn) / T
    within = sum(math.exp(math.cos(angle) / T) for angle in at[1:].tolist())
    loss = peer.NTXentLoss(temperature=T)(first, second).item()
    expected = math.log(math.exp(loss + own) - within) - own
    ours = made(InfoNCE, InfoNCEConfig(T, False, "all")) if kind == "info_nce" else None
    ours = ours or made(Debiased, DebiasedConfig(T, False, 0.0))  # tau 0: InfoNCE
    assert loss_of(ours, first, second) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("weights", [(25.0, 25.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)])
def test_vicreg(weights):
    first, second = values(9, 5, 0) * 0.5, values(9, 5, 1) * 0.5
    expected = peer.VICRegLoss(*weights)(first, second).item()
    assert loss_of(made(VICReg, VICRegConfig(*weights)), first, second) == pytest.approx(expected, rel=1e-9)


def test_byol():
    predicted, targets = values(8, 6, 0), values(8, 6, 1)
    expected = 2 + 2 * peer.NegativeCosineSimilarity()(predicted, targets).item()
    assert BYOL.distance(predicted, targets).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("iterations", [1, 3])
def test_swav(iterations):
    first, second = normalize(values(10, 6, 0), dim=1), normalize(values(10, 6, 1), dim=1)
    objective = made(SwAV, SwAVConfig(prototypes=4, temperature=0.1, epsilon=0.05, iterations=iterations), size=6)
    scores = [objective.prototypes(one).detach() for one in (first, second)]
    expected = peer.SwaVLoss(temperature=0.1, sinkhorn_iterations=iterations, sinkhorn_epsilon=0.05)(scores, [])
    assert loss_of(objective, first, second) == pytest.approx(expected.item(), rel=1e-6)
