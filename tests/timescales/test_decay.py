"""Half-lives and lags of half strength of curves whose truth is known."""

import dataclasses
import math

import numpy as np
import pytest

from semanticcmc.timescales.curves import LEVELS, Curve, TimescalesConfig, lag_grid
from semanticcmc.timescales.decay import (
    LOOKS_GONE,
    first_below_half,
    fit,
    half_lives,
    half_strength,
    model,
    recommended_lag,
)

CONFIG = TimescalesConfig(
    lags=30,
    labels=50,
    min_confidence=0.0,
    step_s=1.0,
    frame_px=(16, 16),
    bootstrap_samples=200,
    null_samples=10,
    confidence=0.95,
    seed=0,
    looks=None,
)


def curve(half_life_s, duration_s=(2000.0,) * 8, plateau=0.0, noise=0.0, strength=3.0, seed=0):
    """Expected curves of a half-life: centred on film rates by brute force, and above the corpus with a plateau."""
    lag = np.array(lag_grid(1.0, max(duration_s) - 10, 24))
    pairs = np.maximum(np.array(duration_s)[:, None] - lag, 0)
    decay = 0.5 ** (lag / half_life_s)
    taken = np.zeros_like(lag)
    for length in set(duration_s):
        own = [i for i, other in enumerate(duration_s) if other == length]
        time = np.arange(length)
        for k in np.flatnonzero(lag < length - 1):
            rest = time[: int(length - lag[k]) : 5]
            covariance = 0.5 ** (np.abs(rest[:, None] - rest - lag[k]) / half_life_s)
            taken[k] += covariance.mean() * pairs[own, k].sum() / pairs[:, k].sum()
    value = strength * np.stack([decay - taken, decay + plateau])
    samples = value + noise * np.random.default_rng(seed).normal(size=(200, *value.shape)) * value[:, :1]
    band = np.full(value.shape, 0.02 * strength)
    return Curve("anything", lag, value, samples, -band, band, value, samples, pairs, np.array(duration_s), 1.0)


@pytest.mark.parametrize("half_life_s", [4.0, 30.0, 100.0])
def test_the_share_that_a_film_s_own_rates_take_is_given_back(half_life_s):
    made = curve(half_life_s)
    found = model(made, np.array([half_life_s]), centred=True)[0]
    np.testing.assert_allclose(found, made.value[0] / 3, atol=0.01)
    assert fit(made, 0, CONFIG)[0] == pytest.approx(half_life_s, rel=0.03)


def test_films_of_different_lengths_and_a_film_that_is_short():
    made = curve(20.0, (2000.0,) * 5 + (1000.0,) * 3 + (60.0,))
    assert fit(made, 0, CONFIG)[0] == pytest.approx(20, rel=0.03)


@pytest.mark.parametrize("plateau", [0.0, 0.3, 2.0])
def test_what_belongs_to_the_film_does_not_lengthen_what_belongs_to_the_moment(plateau):
    assert fit(curve(25.0, plateau=plateau), 1, CONFIG)[0] == pytest.approx(25, rel=0.01)


def test_the_interval_grows_with_the_noise_and_holds_the_truth():
    widths = []
    for noise in (0.01, 0.05):
        _, low, high, reason = fit(curve(30.0, noise=noise), 0, CONFIG)
        assert low < 30 < high and not reason
        widths.append(high / low)
    assert widths[1] > widths[0] > 1


def test_beyond_what_can_be_told_there_is_a_reason_and_no_number():
    film = "film base rate"
    long = half_lives([curve(800.0)], CONFIG).set_index("level").loc[film]
    assert math.isnan(long["half_life_s"]) and not long["identifiable"] and "1/10 of the film" in long["reason"]
    few = half_lives([curve(20.0, (2000.0,) * 3)], CONFIG)
    assert few["half_life_s"].isna().all() and few["reason"].str.contains("fewer than 4 films").all()
    rising = curve(20.0)
    rising = dataclasses.replace(rising, decay=-rising.decay, decay_samples=-rising.decay_samples)
    assert half_lives([rising], CONFIG)["reason"].str.contains("no association").all()
    wide = fit(curve(30.0, noise=0.6), 0, CONFIG)
    assert math.isnan(wide[0]) and wide[3]


def test_the_first_lag_whose_interval_meets_the_null():
    made = curve(20.0)
    table = half_lives([made], CONFIG).set_index("level")
    expected = made.lags_s[np.argmax(made.value[1] <= 0.06)]
    assert table.loc["corpus base rate", "first_lag_at_null_s"] == expected
    always = dataclasses.replace(made, null_low=made.null_low * 0 - 9, null_high=made.null_high * 0 - 8)
    assert half_lives([always], CONFIG)["first_lag_at_null_s"].isna().all()


# The lag of half strength.

CENTRAL = dataclasses.replace(CONFIG, confidence=0.8)


def level_curve(lags_s, value, samples):
    """A curve that is the same at both levels, without what half-lives need."""
    value, samples = np.stack([value, value]), np.stack([samples, samples], axis=1)
    given = {field.name: None for field in dataclasses.fields(Curve)}
    return Curve(**(given | {"measure": "association", "lags_s": lags_s, "value": value, "samples": samples}))


@pytest.mark.parametrize("half_s", [0.3, 7.0, 190.0])
@pytest.mark.parametrize("scale", [1.0, 0.4])
def test_an_exponential_comes_down_at_its_half_life_a_scene_at_half_its_length(half_s, scale):
    lags_s = np.append(0.0, np.geomspace(0.2, 2000, 60))
    exponential = scale * 0.5 ** (lags_s / half_s)
    scene = scale * np.clip(1 - lags_s / (2 * half_s), 0, None)  # two moments of a scene that lasts twice as long
    found = first_below_half(lags_s, np.stack([exponential, scene]))
    np.testing.assert_allclose(found, half_s, rtol=0.02)


def test_the_first_time_counts_and_a_curve_that_stays_up_never_comes_down():
    lags_s = np.array([0.0, 1.0, 2.0, 4.0])
    values = np.array([[1, 0.6, 0.4, 0.9], [1, 0.9, 0.8, 0.7], [0, 0, 0, 0], [-1, -2, -3, -4], [1, np.nan, 0.1, 0.1]])
    found = first_below_half(lags_s, values)
    assert found[0] == pytest.approx(2**0.5)
    assert found[1] == np.inf and np.isnan(found[2:4]).all() and found[4] == 2.0


def test_interval_is_that_of_the_samples_and_open_where_they_stay_up():
    lags_s = np.append(0.0, np.geomspace(1, 100, 200))
    constants = np.linspace(8, 12, 11)
    samples = 0.5 ** (lags_s / constants[:, None])
    table = half_strength([level_curve(lags_s, samples[5], samples)], CENTRAL)
    assert table["level"].tolist() == list(LEVELS)
    np.testing.assert_allclose(table.iloc[0, 2:].astype(float), [10, constants[1], constants[9]], rtol=0.01)
    samples[7:] = 1.0
    table = half_strength([level_curve(lags_s, samples[5], samples)], CENTRAL)
    assert table["half_strength_s"][0] == pytest.approx(10, rel=0.01)
    assert table["half_strength_high_s"][0] == np.inf
    never = half_strength([level_curve(lags_s, np.ones(len(lags_s)), samples)], CENTRAL)
    assert never.iloc[:, 2:].isna().all().all()


# The lag that looks recommend.


def test_the_lag_recommended_is_the_first_at_which_looks_are_below_a_tenth():
    """Of an exponential that of log2(10) half-lives, to the next lag of the grid, and for its interval likewise."""
    lags_s = np.append(0.0, np.geomspace(1, 100, 200))
    half_lives_s = np.linspace(8, 12, 11)
    samples = 0.5 ** (lags_s / half_lives_s[:, None])
    found = recommended_lag(level_curve(lags_s, samples[5], samples), CENTRAL)
    assert LOOKS_GONE == 0.1 and found.columns.tolist() == ["lag_s", "ci_low_s", "ci_high_s"] and len(found) == 1
    wanted = half_lives_s[[5, 1, 9]] * np.log2(10)
    next_lags_s = lags_s[np.searchsorted(lags_s, wanted, side="right")]
    assert found.iloc[0].tolist() == next_lags_s.tolist()


def test_looks_that_stay_recommend_no_lag_and_samples_that_stay_leave_the_interval_open():
    lags_s = np.array([0.0, 1.0, 2.0, 4.0])
    falls, stays, single = [1, 0.5, 0.05, 0.3], [1, 0.5, 0.2, 0.1], [np.nan] * 4  # copies of one film: no other film
    samples = np.array([falls] * 8 + [stays] * 2 + [single] * 5)
    found = recommended_lag(level_curve(lags_s, np.array(falls), samples), CONFIG)
    assert found.iloc[0].tolist() == [2.0, 2.0, np.inf]
    for value in (stays, single, [0.0] * 4):  # 0 everywhere: pictures that are all the same
        assert recommended_lag(level_curve(lags_s, np.array(value), samples), CONFIG).isna().all(axis=None)
