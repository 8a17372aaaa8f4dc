"""What the measures of persistence share: settings, lags, levels, curves by lag and their table.

Two levels differ in what is subtracted: above the ``film base rate`` is what belongs to the moment ("this
minute has horses"); above the ``corpus base rate`` there is also what belongs to the film ("this film has
horses"). `association` and `appearance` measure; `decay` has the time constants of their curves.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from semanticcmc.config import Confidence, Count, Percent, Positive, Section, Several

LEVELS = ("film base rate", "corpus base rate")


@dataclasses.dataclass(frozen=True)
class TimescalesConfig(Section):
    """How persistence is estimated: section ``timescales`` of an experiment, explained in base.yaml."""

    lags: Several
    labels: Several
    min_confidence: Percent
    step_s: Positive
    frame_px: tuple[Count, Count]
    bootstrap_samples: Count
    null_samples: Count
    confidence: Confidence
    seed: int
    looks: Path | None

    def band(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of the central `confidence` of samples along the first axis; NaN where there are none."""
        tail = (1 - self.confidence) / 2
        out = np.full((2, *samples.shape[1:]), np.nan)
        some = np.isfinite(samples).any(axis=0)
        out[:, some] = np.nanquantile(samples[:, some], [tail, 1 - tail], axis=0)
        return out[0], out[1]


def lag_grid(interval_s: float, longest_s: float, lags: int) -> tuple[float, ...]:
    """Lag 0 and up to `lags` lags from one sample to `longest_s`, evenly spaced in their logarithm: seconds, rising.

    Every lag is a multiple of `interval_s`, the time between samples; short ones that would fall together are one.
    """
    most = max(1, int(longest_s / interval_s + 1e-9))
    steps = np.unique(np.rint(np.geomspace(1, most, lags)).astype(np.int64))
    return (0.0, *(round(float(step) * interval_s, 9) for step in steps))


@dataclasses.dataclass(frozen=True)
class Curve:
    """A measure by lag at both levels (`LEVELS`), with its bootstrap samples: `value` for films drawn with replacement.

    `decay` is the value on the scale of covariances, on which what belongs to the moment falls as its correlation does:
    to this half-lives are fitted, where it is finite.
    """

    measure: str
    lags_s: np.ndarray  # (lags,)
    value: np.ndarray  # (levels, lags)
    samples: np.ndarray  # (draws, levels, lags)
    null_low: np.ndarray  # (levels, lags): pointwise band of the value where nothing lasts, to null_high
    null_high: np.ndarray
    decay: np.ndarray  # (levels, lags)
    decay_samples: np.ndarray  # (draws, levels, lags)
    pairs: np.ndarray  # (films, lags): of moments; 0 where the film is not longer than the lag
    duration_s: np.ndarray  # (films,)
    interval_s: float  # between samples

    @classmethod
    def of(cls, measure: str, value: np.ndarray, decay: np.ndarray, null: Sequence[np.ndarray], **more: Any) -> Curve:
        """Of `value` and `decay` (1 + draws, levels, lags), whose first row is that of all films, and both nulls."""
        samples: Any = {"samples": value[1:], "decay_samples": decay[1:]}
        return cls(measure, value=value[0], decay=decay[0], null_low=null[0], null_high=null[1], **samples, **more)

    def table(self, config: TimescalesConfig) -> pd.DataFrame:
        """Rows of ``tables/timescales.csv``: measure, level, lag, value, bootstrap interval and null band."""
        ci_low, ci_high = config.band(self.samples)
        return pd.DataFrame(
            {
                "measure": self.measure,
                "level": np.repeat(LEVELS, len(self.lags_s)),
                "lag_s": np.tile(self.lags_s, len(LEVELS)),
                "value": self.value.ravel(),
                "ci_low": ci_low.ravel(),
                "ci_high": ci_high.ravel(),
                "null_low": self.null_low.ravel(),
                "null_high": self.null_high.ravel(),
            }
        )


def film_draws(films: int, config: TimescalesConfig) -> np.ndarray:
    """How often each film is in each bootstrap sample, int64 (draws, films); the same for every measure."""
    generator = np.random.default_rng(config.seed)
    return generator.multinomial(films, np.full(films, 1 / films), size=config.bootstrap_samples)
