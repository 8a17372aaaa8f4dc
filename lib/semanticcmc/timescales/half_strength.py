"""When a curve has fallen to half of where it starts: a time constant that assumes nothing about its shape.

A half-life by fit (`half_life`) is for decays that are exponential. Shots and scenes end at once, set-ups return: their
curves are flat, then steep, or rise again. The lag at which the curve itself has come down to half is then what
a reader sees in the figure. Above the film base rate it reads short where it comes near a film's length.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from semanticcmc.timescales.curves import LEVELS, Curve, TimescalesConfig

COLUMNS = ["measure", "level", "half_strength_s", "half_strength_low_s", "half_strength_high_s"]


def half_strength(curves: Sequence[Curve], config: TimescalesConfig) -> pd.DataFrame:
    """First lag at which each curve is down to half of its value at lag 0.

    Parameters
    ----------
    curves : sequence of Curve
        The first of their lags is 0.
    config : TimescalesConfig

    Returns
    -------
    DataFrame
        `measure, level, half_strength_s, half_strength_low_s, half_strength_high_s`, one row a curve and level. The
        interval holds the central `config.confidence` of the bootstrap samples; one that never comes down counts as
        later than all lags, and such a bound is infinite. NaN where there is no curve, or it never comes down.
    """
    rows = []
    tail = (1 - config.confidence) / 2
    for curve in curves:
        for i, level in enumerate(LEVELS):
            found = first_below_half(curve.lags_s, curve.value[None, i])[0]
            samples = first_below_half(curve.lags_s, curve.samples[:, i])
            samples = np.sort(samples[~np.isnan(samples)])
            bounds = (np.nan, np.nan)
            if np.isfinite(found) and len(samples):
                low, high = (samples[round(share * (len(samples) - 1))] for share in (tail, 1 - tail))
                bounds = (float(low), float(high))
            rows.append((curve.measure, level, found if np.isfinite(found) else np.nan, *bounds))
    return pd.DataFrame(rows, columns=COLUMNS)


def first_below_half(lags_s: np.ndarray, values: np.ndarray) -> np.ndarray:
    """First lag at which values (rows, lags) are at most half of the first one, (rows,).

    Between two lags on a straight line over the logarithm of the lag, from lag 0 over the lag itself. Infinite where a
    row never comes down, NaN where its first value is not above 0.
    """
    start = values[:, :1]
    share = np.divide(values, start, out=np.full(values.shape, np.nan), where=start > 0)
    below = share <= 0.5  # a missing value is not below
    at = below.argmax(axis=1)
    row = np.arange(len(values))
    before = np.maximum(at - 1, 0)
    high, low = share[row, before], share[row, at]
    with np.errstate(divide="ignore", invalid="ignore"):
        part = (high - 0.5) / (high - low)
        straight = lags_s[before] + part * (lags_s[at] - lags_s[before])
        log = lags_s[before] * (lags_s[at] / lags_s[before]) ** part
    found = np.where(lags_s[before] > 0, log, straight)
    found = np.where(np.isnan(high), lags_s[at], found)
    found[~below.any(axis=1)] = np.inf
    found[~(values[:, 0] > 0)] = np.nan
    return found
