"""Time constants of curves by lag: half-lives by fit, the lag of half strength, and the lag that looks recommend.

A half-life is for what belongs to the moment. The curve is fitted by ``a * (r(lag) - v(lag))`` above the film base rate
and by ``a * r(lag) + p`` above the corpus base rate, where ``r(lag) = 2 ** (-lag / half_life)``. The plateau p is what
belongs to the film. The term v is what subtracting a film's own rates takes away: they are means over the film's own
moments, so the expected value of the rest is the covariance at the lag less that of the two means,

    v = (A(s + lag) + A(|s - lag|) - 2 A(lag)) / (2 s^2),  A(t) = 2 c^2 (t / c - 1 + exp(-t / c)),

with s the duration of the film less the lag, c = half_life / ln 2, and A(t) the variance of an integral of an
exponentially correlated process over a time t (Priestley 1981, Spectral Analysis and Time Series, section 5.3). Without
it a half-life that comes near the film's length reads far too short.

A half-life holds where a decay is exponential. Shots and scenes end at once, set-ups return: their curves are flat,
then steep, or rise again. The lag of half strength assumes nothing about the shape, and is what a reader sees in the
figure. Above the film base rate it reads short where it comes near a film's length.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from semanticcmc.config import InputError, table_head
from semanticcmc.timescales.curves import LEVELS, Curve, TimescalesConfig

COLUMNS = ["measure", "level", "half_life_s", "ci_low_s", "ci_high_s", "identifiable", "first_lag_at_null_s", "reason"]
HALF_STRENGTH = ["measure", "level", "half_strength_s", "half_strength_low_s", "half_strength_high_s"]
LONGEST_SHARE = 1 / 10  # of the film: longer half-lives are not distinguished from what belongs to the film
WIDEST = 4.0  # the upper bound of an interval over its lower
FEWEST = 4  # films: fewer are too few for a bootstrap
GRID = 240  # half-lives tried, evenly spaced in their logarithm
LOOKS_GONE = 0.1  # of `recommended_lag`: looks that are less alike, as a share of lag 0, are gone


def half_lives(curves: Sequence[Curve], config: TimescalesConfig) -> pd.DataFrame:
    """Half-lives of curves by fit.

    `measure, level, half_life_s, ci_low_s, ci_high_s, identifiable, first_lag_at_null_s, reason`, one row a curve and
    level. Where there is no half-life it and its interval are NaN, `identifiable` is False and `reason` says why.
    `first_lag_at_null_s` is the first lag whose interval reaches the null, NaN where none does.
    """
    rows = []
    for curve in curves:
        table = curve.table(config)
        for i, level in enumerate(LEVELS):
            half_life_s, low_s, high_s, reason = fit(curve, i, config)
            own = table[table["level"].eq(level)]
            first = own.loc[own["ci_low"].le(own["null_high"]), "lag_s"].min()
            rows.append((curve.measure, level, half_life_s, low_s, high_s, not reason, first, reason))
    return pd.DataFrame(rows, columns=COLUMNS)


def fit(curve: Curve, level: int, config: TimescalesConfig) -> tuple[float, float, float, str]:
    """Half-life of a curve at one level, its interval, seconds, and why there is none (empty where there is one).

    Lags that at least half of the films are longer than are fitted, each by its number of pairs. The interval is on
    the scale of the logarithm: Student's t, with as many degrees of freedom as films less one, times the standard
    deviation over bootstrap samples.
    """
    none = (math.nan, math.nan, math.nan)
    film_s = float(np.average(curve.duration_s, weights=curve.duration_s))
    grid_s = np.geomspace(curve.interval_s / 4, 4 * film_s, GRID)
    films = int((curve.pairs[:, 0] > 0).sum())
    if films < FEWEST:
        return (*none, f"fewer than {FEWEST} films")
    used = np.isfinite(curve.decay[level]) & ((curve.pairs > 0).sum(axis=0) >= films / 2)
    shapes = model(curve, grid_s, centred=level == 0)[:, used]
    weight = curve.pairs.sum(axis=0)[used]
    y = np.concatenate([curve.decay[None, level], curve.decay_samples[:, level]])[:, used]
    log_s, strength = least_squares(y, shapes, weight, np.log(grid_s), plateau=level == 1)
    found = np.isfinite(log_s[1:]) & (strength[1:] > 0)
    tail = (1 - config.confidence) / 2
    if not strength[0] > 0 or found.mean() < 1 - tail:
        return (*none, "no association that falls with the lag")
    spread = np.std(log_s[1:][found], ddof=1) * math.sqrt(films / (films - 1)) * stdtrit(films - 1, 1 - tail)
    half_life_s, low_s, high_s = np.exp(log_s[0] + np.array([0, -spread, spread]))
    if half_life_s > film_s * LONGEST_SHARE:
        return (*none, f"longer than 1/{1 / LONGEST_SHARE:g} of the film")
    if high_s > WIDEST * low_s:
        return (*none, f"interval wider than a factor of {WIDEST:g}")
    if half_life_s < curve.interval_s / 2:
        return (*none, "shorter than half a sample")
    return float(half_life_s), float(low_s), float(high_s), ""


def model(curve: Curve, half_lives_s: np.ndarray, centred: bool) -> np.ndarray:
    """Expected curve of strength 1, (half-lives, lags): ``r``, or ``r - v`` above the film's own rates."""
    lag = curve.lags_s
    decay = 0.5 ** (lag / half_lives_s[:, None])
    if not centred:
        return decay
    constant = (half_lives_s / math.log(2))[:, None]

    def integral(time_s: np.ndarray) -> np.ndarray:
        return 2 * constant**2 * (time_s / constant + np.expm1(-time_s / constant))

    taken = np.zeros_like(decay)
    shares = curve.pairs / np.maximum(curve.pairs.sum(axis=0), 1)
    for duration_s, share in zip(curve.duration_s, shares, strict=True):
        rest = np.maximum(duration_s - lag, curve.interval_s)
        both = integral(rest + lag) + integral(np.abs(rest - lag)) - 2 * integral(lag)
        taken += share * both / (2 * rest**2)
    return decay - taken


def least_squares(
    y: np.ndarray, shapes: np.ndarray, weight: np.ndarray, position: np.ndarray, plateau: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Position of the shape that fits best, and its strength, for each row of y.

    `y` is (rows, lags), `shapes` (positions, lags), `weight` (lags,) and `position` (positions,), evenly spaced;
    between positions a parabola goes through the three best sums of squares. With `plateau` a constant is fitted along.
    """
    w = weight / weight.sum()
    if plateau:
        y, shapes = y - (y @ w)[:, None], shapes - (shapes @ w)[:, None]
    size = np.maximum((shapes**2) @ w, 1e-300)
    strength = (y * w) @ shapes.T / size
    gain = np.where(strength > 0, strength**2 * size, 0)  # what the fit takes off the sum of squares
    best = gain.argmax(axis=1)
    row, inner = np.arange(len(y)), np.clip(best, 1, len(position) - 2)
    left, middle, right = gain[row, inner - 1], gain[row, inner], gain[row, inner + 1]
    bend = left - 2 * middle + right
    shift = np.divide(left - right, 2 * bend, out=np.zeros(len(y)), where=bend < 0)
    found = position[inner] + np.clip(shift, -1, 1) * (position[1] - position[0])
    return np.where(np.isfinite(y).all(axis=1), found, np.nan), strength[row, best]


def half_strength(curves: Sequence[Curve], config: TimescalesConfig) -> pd.DataFrame:
    """First lag at which each curve, whose first lag is 0, is down to half of its value at lag 0.

    `measure, level, half_strength_s, half_strength_low_s, half_strength_high_s`, one row a curve and level. The
    interval holds the central `config.confidence` of the bootstrap samples; one that never falls to half counts as
    later than all lags, and such a bound is infinite. NaN where there is no curve, or it never falls to half.
    """
    rows = []
    for curve in curves:
        for i, level in enumerate(LEVELS):
            found = first_below_half(curve.lags_s, curve.value[None, i])[0]
            samples = first_below_half(curve.lags_s, curve.samples[:, i])
            rows.append((curve.measure, level, *with_interval(found, samples, config)))
    return pd.DataFrame(rows, columns=HALF_STRENGTH)


def recommended_lag(looks: Curve, config: TimescalesConfig) -> pd.DataFrame:
    """The lag recommended before any training: the first at which looks are gone, above the corpus base rate.

    ``tables/recommended_lag.csv``: `lag_s, ci_low_s, ci_high_s`, one row. The lag is the first of the curve `looks`
    whose value is below `LOOKS_GONE`; interval, and NaN where looks do not fall so far, as of `half_strength`. Source:
    ``validation/recommended_lag`` compares this rule with others by their regret in worlds drawn for that, which is how
    much less of category the network of a rule's lag shows than the best of the trained curve.
    """
    value = np.concatenate([looks.value[None, 1], looks.samples[:, 1]])
    below = value < LOOKS_GONE
    first_s = np.where(below.any(axis=1), looks.lags_s[below.argmax(axis=1)], np.inf)
    first_s[~(value[:, 0] >= LOOKS_GONE)] = np.nan  # no other film to compare with, or pictures that are all the same
    found = with_interval(first_s[0], first_s[1:], config)
    return pd.DataFrame([found], columns=["lag_s", "ci_low_s", "ci_high_s"])


def recommended_by(file: Path | None) -> pd.DataFrame:
    """The lag that looks measured elsewhere recommend, as `recommended_lag` has it; all NaN where there is no file.

    `file` is a CSV like ``tables/timescales.csv``, with `lag_s, value`; of several curves ``appearance`` above the
    corpus base rate counts. The interval is where the bounds `ci_low` and `ci_high` fall below `LOOKS_GONE`, NaN
    without them. Raises InputError for a table without such a curve.
    """
    bounds = {"lag_s": "value", "ci_low_s": "ci_low", "ci_high_s": "ci_high"}
    found = dict.fromkeys(bounds, math.nan)
    if file is not None:
        try:
            rows = pd.read_csv(file, comment="#", sep=table_head(file)[1])
        except ValueError as error:
            raise InputError(f"{file} (timescales.looks): not readable as a CSV table ({error})") from error
        for column, wanted in (("measure", "appearance"), ("level", LEVELS[1])):
            rows = rows[rows[column].eq(wanted)] if column in rows else rows
        there = {"lag_s", "value"} <= set(rows)
        numbers = [name for name in ("lag_s", *bounds.values()) if name in rows]
        rows = rows.assign(**{name: pd.to_numeric(rows[name], errors="coerce") for name in numbers})
        rows = rows.dropna(subset=["lag_s", "value"]).sort_values("lag_s") if there else rows
        if not there or rows.empty or not rows["value"].iloc[0] >= LOOKS_GONE:
            raise InputError(
                f"{file} (timescales.looks): no curve of looks as a share of lag 0, from {LOOKS_GONE:g} or more down; "
                f"expected lag_s, value (and measure appearance, level {LEVELS[1]}), as in tables/timescales.csv"
            )
        gone = {key: rows.loc[rows[name] < LOOKS_GONE, "lag_s"] for key, name in bounds.items() if name in rows}
        if len(gone["lag_s"]):
            found |= {key: float(one.min()) if len(one) else math.inf for key, one in gone.items()}
    return pd.DataFrame([found])


def with_interval(found: float, samples: np.ndarray, config: TimescalesConfig) -> tuple[float, float, float]:
    """A lag and the bounds of the central `config.confidence` of its samples, which may be infinite; NaN without."""
    if not np.isfinite(found):
        return math.nan, math.nan, math.nan
    samples, tail = np.sort(samples[~np.isnan(samples)]), (1 - config.confidence) / 2
    if not len(samples):
        return float(found), math.nan, math.nan
    low, high = (float(samples[round(share * (len(samples) - 1))]) for share in (tail, 1 - tail))
    return float(found), low, high


def first_below_half(lags_s: np.ndarray, values: np.ndarray) -> np.ndarray:
    """First lag at which values (rows, lags) are at most half of the first one, (rows,).

    Between two lags on a straight line over the logarithm of the lag, from lag 0 over the lag itself. Infinite where a
    row never falls to half, NaN where its first value is not above 0.
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
