"""Debiased InfoNCE against its formula in NumPy, and the true rate of false negatives against all pairs of frames."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.functional import normalize

from semanticcmc.config import InputError, configure
from semanticcmc.training.objectives.debiased import Debiased, DebiasedConfig, rate_of_false_negatives
from semanticcmc.training.objectives.info_nce import InfoNCE, InfoNCEConfig
from semanticcmc.training.pairings import Fixed
from tests.training.test_two_views import loss_of, made, values


def debiased(tau, temperature):
    return made(Debiased, DebiasedConfig(temperature, False, tau))


@pytest.mark.parametrize("temperature", [0.07, 0.3])
@pytest.mark.parametrize("tau", [0.0, 0.01, 0.1, 0.6])
def test_debiased_is_its_formula_and_info_nce_at_tau_0(tau, temperature):
    first, second = normalize(values(11, 4, 0), dim=1), normalize(values(11, 4, 1), dim=1)
    e, losses = np.exp(first.numpy() @ second.numpy().T / temperature), []
    for way in (e, e.T):
        for i in range(11):
            g = (np.delete(way[i], i).mean() - tau * way[i, i]) / (1 - tau)
            losses.append(-math.log(way[i, i] / (way[i, i] + 10 * max(g, math.exp(-1 / temperature)))))
    assert loss_of(debiased(tau, temperature), first, second) == pytest.approx(np.mean(losses), rel=1e-5)
    if tau == 0:
        peer = made(InfoNCE, InfoNCEConfig(temperature, False, "all"))
        assert loss_of(debiased(tau, temperature), first, second) == pytest.approx(loss_of(peer, first, second))


def test_debiased_stays_finite_at_the_least_temperature_and_has_its_chance():
    first = normalize(values(6, 3, 0), dim=1).float().requires_grad_()
    objective = debiased(0.2, 0.01).float()
    for second in (first.detach(), -first.detach()):
        loss = objective.loss(first, second, None)
        (slope,) = torch.autograd.grad(loss, first)
        assert loss.isfinite() and slope.isfinite().all()
    same = torch.ones(6, 1, dtype=torch.float64)
    assert loss_of(debiased(0.2, 0.3), same, same) == pytest.approx(Debiased.chance(None, 6))


def test_the_rate_of_false_negatives_is_that_of_all_pairs_of_frames(tmp_path):
    generator, films = np.random.default_rng(0), ["one", "two"]
    index = pd.DataFrame([(film, float(t)) for film in films for t in range(40)], columns=["movie_id", "time_s"])
    (tmp_path / "world").mkdir()
    scenes = [(film, t, t + 10.0, t // 10, t // 20) for film in films for t in range(0, 40, 10)]
    pd.DataFrame(scenes, columns=["movie_id", "start_s", "stop_s", "shot", "scene"]).to_parquet(
        tmp_path / "world/shots.parquet"
    )
    (tmp_path / "labels").mkdir()
    held = {(film, t): set(generator.choice(list("abcde"), generator.integers(0, 3))) for film, t in index.to_numpy()}
    rows = [(*at, label, 90.0) for at, labels in held.items() for label in sorted(labels)]
    table = pd.DataFrame(rows, columns=["movie_id", "time_s", "label", "confidence"])
    table.astype({"movie_id": "category", "label": "category"}).to_parquet(tmp_path / "labels/labels.parquet")
    times = pd.DataFrame({"movie_id": films, "start_s": 0.0, "interval_s": 1.0, "count": 40})
    times.to_parquet(tmp_path / "labels/label_times.parquet")
    pairing = Fixed(None, index, tmp_path, 5.0, 5.0, 0.0)
    first = [(film, t) for film in films for t in range(35)]
    second = [(film, t + 5) for film, t in first]
    shared = np.mean([bool(held[a] & held[b]) for a in first for b in second])
    assert rate_of_false_negatives(pairing, "label") == pytest.approx(shared)
    same = np.mean([(a[0], a[1] // 20) == (b[0], b[1] // 20) for a in first for b in second])
    assert rate_of_false_negatives(pairing, "scene") == pytest.approx(same)
    objective = Debiased(DebiasedConfig(0.3, False, "scene"), torch.nn.Identity(), pairing, 0)
    assert objective.measures()["tau"] == pytest.approx(same)


@pytest.mark.parametrize("tau", [1.0, -0.1, "theme"])
def test_a_rate_that_cannot_be_is_refused(tau):
    with pytest.raises(InputError, match="here.*tau"):
        configure(DebiasedConfig, {"temperature": 0.3, "learn_temperature": True, "tau": tau}, "here")
