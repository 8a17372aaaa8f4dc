"""Differences at every lag against loops over pairs, and pixels whose autocorrelation has a closed form."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from semanticcmc.timescales.appearance import lagged_differences


def by_hand(moments, steps):
    """Pairs and mean squared distance at each lag, from all pairs one by one."""
    found = {lag: [] for lag in range(steps[-1] - steps[0] + 1)}
    for i, j in itertools.combinations_with_replacement(range(len(steps)), 2):
        found[steps[j] - steps[i]].append(((moments[i] - moments[j]) ** 2).sum())
    return [len(one) for one in found.values()], [np.mean(one) if one else np.nan for one in found.values()]


films = st.tuples(
    st.lists(st.integers(0, 40), min_size=1, max_size=20, unique=True).map(sorted),
    st.sampled_from([1, 3, 63, 64, 65, 130]),  # around the number of columns that are transformed together
    st.integers(0, 2**32 - 1),
)


@given(films)
@settings(max_examples=40, deadline=None)
def test_all_pairs_whatever_is_missing(film):
    steps, width, seed = film
    moments = np.random.default_rng(seed).integers(0, 256, (len(steps), width)).astype(np.uint8)
    found = lagged_differences(moments, np.array(steps))
    exact = moments.astype(np.float64)
    pairs, squared = by_hand(exact, steps)
    np.testing.assert_array_equal(found.pairs, pairs)
    np.testing.assert_allclose(found.squared, squared, rtol=1e-4, atol=1e-5 * 256**2)
    np.testing.assert_allclose(found.mean, exact.mean(axis=0))
    np.testing.assert_allclose(found.mean_square, (exact**2).sum(axis=1).mean(), rtol=1e-6)
    assert found.pairs[0] == len(steps)
    if len(steps) > 1:
        every = cdist(exact, exact, "sqeuclidean")[np.triu_indices(len(steps), 1)]
        np.testing.assert_allclose(found.base, every.mean(), rtol=1e-4)
    else:
        assert np.isnan(found.base)


def test_a_film_shifted_around():
    steps = np.array([0, 1, 2, 5, 6, 9])
    moments = np.random.default_rng(0).normal(size=(6, 5))
    film = np.full((10, 5), np.nan)
    film[steps] = moments
    shifted = [np.nanmean(((film - np.roll(film, s, axis=0)) ** 2).sum(axis=1)) for s in range(10)]
    np.testing.assert_allclose(lagged_differences(moments, steps).circular(), shifted, rtol=1e-5, atol=1e-5)


def test_pixels_that_are_forgotten_at_a_rate():
    """x(t + 1) = a x(t) + noise of variance 1 - a^2: the mean squared difference is 2 (1 - a^lag) a pixel."""
    generator, a, pixels, n = np.random.default_rng(1), 0.9, 400, 4000
    x = np.empty((n, pixels))
    x[0] = generator.normal(size=pixels)
    for t in range(1, n):
        x[t] = a * x[t - 1] + np.sqrt(1 - a**2) * generator.normal(size=pixels)
    found = lagged_differences(x + 100.0)
    lags = np.arange(60)
    np.testing.assert_allclose(found.squared[:60] / pixels, 2 * (1 - a**lags), atol=0.02)


@pytest.mark.parametrize("steps", [[0, 0, 1], [2, 1, 3], [0, 1]])
def test_steps_in_order_one_a_moment(steps):
    with pytest.raises(ValueError, match="increasing"):
        lagged_differences(np.zeros((3, 2)), np.array(steps))
