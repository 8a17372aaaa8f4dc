"""Settings and lags of measures of persistence."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semanticcmc.timescales.curves import TimescalesConfig, film_draws, lag_grid

CONFIG = TimescalesConfig(
    lags=10,
    labels=50,
    min_confidence=0.0,
    step_s=1.0,
    frame_px=(16, 16),
    bootstrap_samples=500,
    null_samples=10,
    confidence=0.95,
    seed=0,
    looks=None,
)


@given(interval_s=st.floats(0.04, 5), moments=st.integers(1, 50_000), lags=st.integers(2, 60))
def test_lags_are_samples_from_one_to_the_longest(interval_s, moments, lags):
    grid = np.array(lag_grid(interval_s, moments * interval_s, lags))
    steps = grid / interval_s
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-4)
    assert grid[0] == 0 and np.rint(steps[1]) == 1 and np.rint(steps[-1]) == moments
    assert (np.diff(grid) > 0).all() and len(grid) <= lags + 1


def test_lags_are_even_in_their_logarithm():
    grid = np.array(lag_grid(1.0, 10_000.0, 9))[1:]
    np.testing.assert_allclose(np.log10(grid), np.linspace(0, 4, 9), atol=0.03)


def test_draws_take_as_many_films_as_there_are_each_as_often():
    draws = film_draws(7, CONFIG)
    assert draws.shape == (500, 7) and (draws.sum(axis=1) == 7).all()
    np.testing.assert_allclose(draws.mean(axis=0), 1, atol=0.2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"lags": 1},
        {"labels": 1},
        {"min_confidence": 101.0},
        {"step_s": 0.0},
        {"bootstrap_samples": 0},
        {"confidence": 1.0},
    ],
)
def test_refuses_settings_out_of_range(wrong):
    with pytest.raises(ValueError):
        dataclasses.replace(CONFIG, **wrong)
