"""Worlds of labels against their truth in closed form."""

import dataclasses
import math

import numpy as np
import pytest
from validation.label_worlds import LabelWorld, simulate
from validation.presence import presence

WORLD = LabelWorld(
    durations_s=(60_000.0, 30_000.0),
    interval_s=1.0,
    half_life_s=7.0,
    groups=3,
    labels_per_group=2,
    active=0.3,
    hit=0.8,
    false_alarm=0.05,
    film_base_rate_sd=0.8,
    seed=3,
)


def rates(world, truth):
    """Probability of each label at a moment of each film, (films, labels)."""
    return world.false_alarm + (world.hit - world.false_alarm) * truth.active[:, truth.group]


def covariance(world, truth, lag_s):
    """Covariance of each label with each other a lag later above each film's base rate, (films, labels, labels).

    ``pi (1 - pi) (hit - false alarm) ** 2 * 2 ** (-lag / half_life)`` for labels of one group that is active for a
    share pi of the film, 0 for others; NaN on the diagonal, which the detector's noise enters.
    """
    variance = (truth.active * (1 - truth.active))[:, truth.group]
    found = variance[:, :, None] * (truth.group[:, None] == truth.group) * 0.5 ** (lag_s / world.half_life_s)
    found *= (world.hit - world.false_alarm) ** 2
    found[:, np.arange(len(truth.group)), np.arange(len(truth.group))] = math.nan
    return found


def test_rates_and_covariances_are_the_closed_forms():
    stream, truth = simulate(WORLD)
    assert stream.movies == ("film-000", "film-001") and stream.times["count"].tolist() == [60_000, 30_000]
    for film, movie_id in enumerate(stream.movies):
        seen = presence(stream, movie_id, truth.labels).astype(float)
        np.testing.assert_allclose(seen.mean(axis=0), rates(WORLD, truth)[film], atol=0.02)
        seen -= seen.mean(axis=0)
        for lag in (0, 3, 7, 100):
            found = seen[: len(seen) - lag].T @ seen[lag:] / (len(seen) - lag)
            expected = covariance(WORLD, truth, lag)[film]
            off = ~np.eye(len(found), dtype=bool)
            np.testing.assert_allclose(found[off], expected[off], atol=0.008)


def test_films_share_the_groups_but_not_their_activity():
    _, truth = simulate(dataclasses.replace(WORLD, durations_s=(10.0,) * 4000))
    odds = np.log(truth.active / (1 - truth.active))
    np.testing.assert_allclose(odds.mean(), math.log(0.3 / 0.7), atol=0.03)
    np.testing.assert_allclose(odds.std(), 0.8, atol=0.03)


def test_an_infinite_half_life_lasts_the_whole_film():
    stream, truth = simulate(
        dataclasses.replace(WORLD, durations_s=(20.0,) * 30, half_life_s=math.inf, hit=1.0, false_alarm=0.0)
    )
    for movie_id in stream.movies:
        seen = presence(stream, movie_id, truth.labels)
        assert (seen == seen[0]).all()


def test_the_seed_decides():
    same, other = simulate(WORLD)[0], simulate(dataclasses.replace(WORLD, seed=4))[0]
    assert simulate(WORLD)[0].labels.equals(same.labels) and not other.labels.equals(same.labels)


@pytest.mark.parametrize(
    "wrong",
    [
        {"durations_s": ()},
        {"half_life_s": 0.0},
        {"active": 1.0},
        {"hit": 0.01},
        {"groups": 0},
        {"film_base_rate_sd": -1.0},
    ],
)
def test_refuses_settings_out_of_range(wrong):
    with pytest.raises(ValueError):
        dataclasses.replace(WORLD, **wrong)
