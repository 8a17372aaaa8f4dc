"""The lag of half strength, of curves whose course is known."""

import dataclasses

import numpy as np
import pytest

from semanticcmc.timescales.curves import LEVELS, Curve, TimescalesConfig
from semanticcmc.timescales.half_strength import first_below_half, half_strength

CONFIG = TimescalesConfig(
    lags=20,
    labels=2,
    min_confidence=0.0,
    step_s=1.0,
    frame_px=(2, 2),
    bootstrap_samples=10,
    null_samples=1,
    confidence=0.8,
    seed=0,
)


def curve(lags_s, value, samples):
    """A curve that is the same at both levels."""
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
    table = half_strength([curve(lags_s, samples[5], samples)], CONFIG)
    assert table["level"].tolist() == list(LEVELS)
    np.testing.assert_allclose(table.iloc[0, 2:].astype(float), [10, constants[1], constants[9]], rtol=0.01)
    samples[7:] = 1.0
    table = half_strength([curve(lags_s, samples[5], samples)], CONFIG)
    assert table["half_strength_s"][0] == pytest.approx(10, rel=0.01)
    assert table["half_strength_high_s"][0] == np.inf
    never = half_strength([curve(lags_s, np.ones(len(lags_s)), samples)], CONFIG)
    assert never.iloc[:, 2:].isna().all().all()
