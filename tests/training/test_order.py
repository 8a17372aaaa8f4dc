"""Objectives over several frames of a film: their formulas, and that what is asked has the answer that is said."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from semanticcmc.config import InputError, configure
from semanticcmc.training.networks import AlexNet, NetworksConfig
from semanticcmc.training.objectives import find
from semanticcmc.training.objectives.order import Course
from semanticcmc.training.pairings import Fixed, NoKeys, Window
from tests.training.test_loop import NETWORKS

KEYS = {
    "cpc": {"after_s": [2, 5], "temperature": 0.3},
    "shuffle_and_learn": {"share_in_order": 0.25, "hidden_units": 8},
    "odd_one_out": {"runs": 3, "frames": 3, "hidden_units": 8},
    "arrow_of_time": {"frames": 4, "hidden_units": 8},
}


def pairing(lag_s=2.0, tolerance=0.0, kind=Fixed, times=range(60)):
    """Of two films with a frame at each of `times`."""
    index = pd.concat(
        [pd.DataFrame({"movie_id": film, "time_s": np.array(times, float)}) for film in ("a", "b")], ignore_index=True
    )
    return kind(NoKeys(), index, Path(), lag_s, max(lag_s, 5.0), tolerance)


def objective(name, lag_s=2.0, tolerance=0.0, **changes):
    kind = find(name)
    encoder = AlexNet(configure(NetworksConfig, NETWORKS, "here"))
    lag_s = 0.0 if name == "cpc" else lag_s
    return kind(configure(kind.Config, KEYS[name] | changes, name), encoder, pairing(lag_s, tolerance), 0)


def drawn(name, n=400, **how):
    made = objective(name, **how)
    draw = made.draw(n, torch.Generator().manual_seed(0))
    assert torch.equal(draw.time_s, made.pairing.pairs.axis[draw.rows])
    assert (made.pairing.pairs.film[draw.rows] == draw.film[:, None]).all()
    assert draw.rows.shape == (n, made.images)
    return draw


def test_cpc_is_the_written_formula_and_starts_as_info_nce_of_every_lag():
    made, generator = objective("cpc").double(), np.random.default_rng(0)
    first, later = generator.normal(size=(7, 8)), generator.normal(size=(2, 7, 8))
    predictors = generator.normal(size=(2, 8, 8))
    with torch.no_grad():
        started = made.predictors.clone()
        made.predictors.copy_(torch.from_numpy(predictors))
    terms = []
    for lag in range(2):
        for i in range(7):
            scores = [later[lag, j] @ predictors[lag] @ first[i] for j in range(7)]
            terms.append(math.log(sum(math.exp(score) for score in scores)) - scores[i])
    loss = made.loss(torch.from_numpy(first), torch.from_numpy(later))
    assert loss.item() == pytest.approx(np.mean(terms), rel=1e-9)
    np.testing.assert_allclose(started.numpy(), [np.eye(8) / 0.3] * 2, rtol=1e-6)


def test_cpc_sees_the_frames_at_its_lags_and_knows_chance():
    draw = drawn("cpc")
    assert torch.equal(draw.time_s - draw.time_s[:, :1], torch.tensor([0.0, 2.0, 5.0]).double().expand(400, 3))
    same = torch.ones(5, 8)
    assert objective("cpc").loss(same, torch.ones(2, 5, 8)).item() == pytest.approx(find("cpc").chance(None, 5))


def test_three_frames_are_in_order_where_the_answer_says_so():
    draw = drawn("shuffle_and_learn", n=2000)
    steps = draw.time_s.diff(dim=1)
    in_order = (steps > 0).all(1) | (steps < 0).all(1)
    assert torch.equal(in_order, draw.targets[:, 0] == 1)
    assert in_order.double().mean().item() == pytest.approx(0.25, abs=0.04)
    sorted_s = draw.time_s.sort(dim=1).values  # b c d, a b d or b d e of steps of 2 s
    found = {tuple(row) for row in (sorted_s - sorted_s[:, :1]).tolist()}
    assert found == {(0, 2, 4), (0, 2, 6), (0, 4, 6)}
    assert {tuple(row) for row in (sorted_s - sorted_s[:, :1])[in_order].tolist()} == {(0, 2, 4)}


def test_the_arrow_of_time_points_where_the_answer_says():
    draw = drawn("arrow_of_time", n=2000, tolerance=0.4)
    steps = draw.time_s.diff(dim=1)
    backwards = draw.targets[:, 0] == 1
    assert (steps[backwards] < 0).all() and (steps[~backwards] > 0).all()
    assert backwards.double().mean().item() == pytest.approx(0.5, abs=0.05)


def test_the_odd_run_is_where_the_answer_says():
    draw = drawn("odd_one_out", n=2000)
    steps = draw.time_s.unflatten(1, (3, 3)).diff(dim=2)
    forwards, backwards = (steps > 0).all(2), (steps < 0).all(2)
    odd = torch.nn.functional.one_hot(draw.targets[:, 0], 3).bool()
    assert torch.equal(~forwards, odd) and not backwards.any()
    assert torch.equal(draw.rows.sort(dim=1).values, draw.rows.amin(1, True) + 2 * torch.arange(9))
    assert odd.double().mean(0).tolist() == pytest.approx([1 / 3] * 3, abs=0.04)


@pytest.mark.parametrize("name", ["shuffle_and_learn", "odd_one_out", "arrow_of_time"])
def test_the_loss_is_the_cross_entropy_of_the_answers_and_chance_that_of_knowing_nothing(name):
    made = objective(name)
    answers = made.draw(4000, torch.Generator().manual_seed(0)).targets[:, 0]
    share = np.bincount(answers) / len(answers)
    scores = torch.from_numpy(np.random.default_rng(0).normal(size=(len(answers), 1 if len(share) == 2 else 3)))
    p = torch.cat((torch.zeros_like(scores), scores), 1) if len(share) == 2 else scores
    p = p.exp().numpy() / p.exp().numpy().sum(1, keepdims=True)
    expected = -np.log(p[np.arange(len(answers)), answers]).mean()
    assert made.answered(scores, answers).item() == pytest.approx(expected, rel=1e-9)
    assert made.measures()["right"] == pytest.approx((p.argmax(1) == answers.numpy()).mean())
    knows_shares = -(share * np.log(share)).sum()
    assert made.chance(made.config, 9) == pytest.approx(knows_shares, rel=0.02)


@pytest.mark.parametrize("name", ["shuffle_and_learn", "odd_one_out", "arrow_of_time"])
def test_frames_of_a_sample_have_one_crop_and_their_order_matters(name):
    made = objective(name)
    assert [view.crop_of for view in made.views] == [None] + [0] * (made.images - 1)
    images = torch.randn(made.images, 4, 3, 44, 44, generator=torch.Generator().manual_seed(0))
    made.eval()
    with torch.no_grad():
        features = made.features(tuple(images))
        alone = made.encoder.activations(images[1])["fc7"]
        assert (made.features(tuple(images.flip(0))) - features.flip(1)).abs().max() < 1e-5
    torch.testing.assert_close(features[:, 1], alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("lag_s", "kind"), [(0.0, Fixed), (2.0, Window)])
def test_runs_need_a_lag_and_the_fixed_pairing(lag_s, kind):
    with pytest.raises(InputError, match="lags_s"):
        Course.run(pairing(lag_s, kind=kind), 3)


def test_runs_that_no_film_is_long_enough_for_are_refused_and_gaps_left_out():
    with pytest.raises(InputError, match="long enough"):
        Course.run(pairing(20.0), 4)
    gap = pairing(times=np.concatenate([np.arange(20.0), np.arange(30.0, 60.0)]))
    draw = Course.run(gap, 4).draw(500, torch.Generator().manual_seed(0))
    assert (draw.time_s.diff(dim=1) == 2).all()


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("cpc", {"after_s": [5, 2]}),
        ("cpc", {"after_s": []}),
        ("shuffle_and_learn", {"share_in_order": 1.0}),
        ("odd_one_out", {"frames": 2}),
        ("odd_one_out", {"runs": 1}),
        ("arrow_of_time", {"frames": 1}),
        ("arrow_of_time", {"hidden_units": 0}),
    ],
)
def test_a_wrong_value_names_its_key(name, wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        objective(name, **wrong)
