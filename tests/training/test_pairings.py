"""Pairings in time: which lags are drawn, with which probability, and what they refuse."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from torch.nn.functional import normalize

from semanticcmc.config import InputError
from semanticcmc.training.objectives.info_nce import InfoNCE, InfoNCEConfig
from semanticcmc.training.pairings import PAIRINGS, choose_pairing
from tests.training.drawn import no_pairing

INDEX = pd.DataFrame(
    {"movie_id": ["a"] * 900 + ["b"] * 700, "time_s": np.concatenate([np.arange(900), np.arange(700)]) / 5}
)
LAG_S, LONGEST_S = 20.0, 30.0


def pairing(said, index=INDEX, lag_s=LAG_S, **changed):
    kind, config = choose_pairing(said, lag_s, "here")
    return kind(config, index, Path(), lag_s, **{"longest_lag_s": LONGEST_S, "lag_tolerance": 0.1} | changed)


def lags_of(said, n=20_000, seed=0, **changed):
    """Lags in seconds from the first to each other frame, (n, frames - 1), checked to be of one film."""
    one = pairing(said, **changed)
    draw = one.draw(n, torch.Generator().manual_seed(seed))
    films, times = INDEX.movie_id.to_numpy()[draw.rows], INDEX.time_s.to_numpy()[draw.rows]
    assert (films == films[:, :1]).all() and draw.rows.shape == (n, one.frames)
    np.testing.assert_allclose(np.diff(draw.time_s.numpy()), np.diff(times), atol=1e-6)
    return times[:, 1:] - times[:, :1]


def test_a_window_is_uniform_and_a_decay_falls_linearly_to_nothing():
    """Kolmogorov-Smirnov, lags smeared over the fifth of a second between frames."""
    smear = np.random.default_rng(0).uniform(-0.1, 0.1, 20_000)
    window, decay = (lags_of(said)[:, 0] + smear for said in ("window", "decay"))
    assert stats.kstest(window, stats.uniform(-0.1, LAG_S + 0.1).cdf).pvalue > 1e-3
    assert stats.kstest(decay, lambda x: 1 - (1 - np.clip(x, 0, LAG_S) / LAG_S) ** 2).statistic < 0.02
    assert decay.mean() == pytest.approx(LAG_S / 3, rel=0.02) and window.mean() == pytest.approx(LAG_S / 2, rel=0.02)


def test_frames_of_a_poly_view_lie_within_the_lag_and_triples_are_a_lag_apart():
    lags = lags_of({"name": "poly_view", "frames": 4})
    assert lags.shape[1] == 3 and lags.min() >= 0 and lags.max() <= LAG_S + 0.1
    assert abs(np.corrcoef(lags.T)[0, 1]) < 0.03
    present, future = lags_of("triple", longest_lag_s=50.0).T
    np.testing.assert_allclose(future, 2 * present, atol=0.21)
    assert present.min() >= 0.9 * LAG_S - 0.1 and present.max() <= 1.1 * LAG_S + 0.1


def test_first_frames_are_the_same_for_every_pairing_that_reaches_no_further():
    for said in ("window", "decay", {"name": "poly_view", "frames": 3}, {"name": "soft_time", "sharpness": 1.0}):
        assert torch.equal(pairing(said).pairs.anchors, pairing("fixed").pairs.anchors)


def test_no_window_spans_a_gap_of_a_film():
    gap = INDEX[(INDEX.movie_id == "b") | (INDEX.time_s < 80) | (INDEX.time_s > 90)].reset_index(drop=True)
    draw = pairing("window", gap).draw(5000, torch.Generator().manual_seed(0))
    times = gap.time_s.to_numpy()[draw.rows]
    in_a = (draw.film == 0).numpy()
    assert not ((times[in_a, 0] < 80) & (times[in_a, 0] + LAG_S > 80)).any()


def test_without_a_lag_both_frames_are_the_same_whatever_is_said():
    draw = pairing("window", lag_s=0.0).draw(50, torch.Generator().manual_seed(0))
    assert torch.equal(draw.rows[:, 0], draw.rows[:, 1])


def test_soft_weights_fall_with_time_within_a_film_and_make_infonce_a_weighted_mean():
    soft = pairing({"name": "soft_time", "sharpness": 2.0})
    draw = soft.draw(6, torch.Generator().manual_seed(4))
    weights = soft.weights(draw)
    first, second = normalize(torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(1)), dim=2)
    similarity, losses = (first @ second.T / 0.5).tolist(), []
    for i in range(6):
        w = []
        for j in range(6):
            apart = abs(float(draw.time_s[i, 0] - draw.time_s[j, 1])) / LAG_S
            alike = 2 / (1 + math.exp(2 * apart)) if draw.film[i] == draw.film[j] else 0.0
            assert float(weights[i, j]) == pytest.approx(alike, rel=1e-5)
            w.append(alike)
        total = sum(map(math.exp, similarity[i]))
        losses.append(-sum(x * math.log(math.exp(s) / total) for x, s in zip(w, similarity[i], strict=True)) / sum(w))
    objective = InfoNCE(InfoNCEConfig(0.5, False, "all"), torch.nn.Identity(), soft, 0)
    plain = InfoNCE(InfoNCEConfig(0.5, False, "all"), torch.nn.Identity(), no_pairing(), 0)
    columns = weights.T.double() / weights.sum(0).double()[:, None]
    back = -(columns * torch.tensor(similarity).double().T.log_softmax(1)).sum(1).mean()
    assert objective.loss(first, second, draw).item() == pytest.approx((sum(losses) / 6 + back.item()) / 2, rel=1e-5)
    assert plain.loss(first, second, draw).item() != pytest.approx(objective.loss(first, second, draw).item())


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("windw", "pairing 'windw': there are fixed, window"),
        ({"name": "poly_view"}, "here, pairing: missing key frames"),
        ({"name": "poly_view", "frames": 1}, "frames 1: expected 2 or more"),
        ({"name": "soft_time", "sharpness": -1}, "sharpness -1"),
        ({"name": "window", "within": 3}, "unknown key within"),
    ],
)
def test_a_wrong_pairing_names_the_key(said, message):
    assert len(PAIRINGS) == 6
    with pytest.raises(InputError, match=message):
        choose_pairing(said, 5.0, "here")
