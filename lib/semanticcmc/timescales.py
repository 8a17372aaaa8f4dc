"""What measures of how long looks and associations last have in common: settings, levels, the table.

Two levels differ in what is subtracted: above the ``film base rate`` is what belongs to the moment ("this
minute has horses"); above the ``corpus base rate`` there is also what belongs to the film ("this film has
horses"). See `association` and `appearance`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

LEVELS = ("film base rate", "corpus base rate")
COLUMNS = ["measure", "level", "lag_s", "value", "ci_low", "ci_high", "null_low", "null_high"]


@dataclasses.dataclass(frozen=True)
class TimescalesConfig:
    """How persistence is estimated.

    Attributes
    ----------
    lags_s : tuple of float
        Lags, seconds.
    labels : int
        Number of labels used, the most frequent ones.
    step_s : float
        Time between the first moments of label pairs, seconds; label sets in between add next to nothing.
    frame_px : tuple of int
        (height, width) at which looks are compared.
    splits : int
        Splits of the films into halves over which `association` averages.
    bootstrap_samples, null_samples : int
    confidence : float
        Of intervals and null bands, for instance 0.95.
    seed : int
    """

    lags_s: tuple[float, ...]
    labels: int
    step_s: float
    frame_px: tuple[int, int]
    splits: int
    bootstrap_samples: int
    null_samples: int
    confidence: float
    seed: int

    def __post_init__(self) -> None:
        if not self.lags_s or min(self.lags_s) < 0:
            raise ValueError(f"lags_s {list(self.lags_s)}: at least one, none below 0")
        if self.labels < 2 or self.step_s <= 0 or min(self.frame_px) < 1:
            raise ValueError("expected labels of 2 or more, step_s above 0 and frame_px of 1 or more")
        if min(self.splits, self.bootstrap_samples, self.null_samples) < 1:
            raise ValueError("splits, bootstrap_samples and null_samples: expected 1 or more")
        if not 0 < self.confidence < 1:
            raise ValueError(f"confidence {self.confidence}: expected a share between 0 and 1")

    def band(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of the central `confidence` of samples along the first axis; NaN where there are none."""
        tail = (1 - self.confidence) / 2
        out = np.full((2, *samples.shape[1:]), np.nan)
        some = np.isfinite(samples).any(axis=0)
        out[:, some] = np.nanquantile(samples[:, some], [tail, 1 - tail], axis=0)
        return out[0], out[1]


def table(measure: str, lags_s: Sequence[float], value: np.ndarray, samples: np.ndarray, null: np.ndarray,
           config: TimescalesConfig) -> pd.DataFrame:  # fmt: skip
    """Rows of the table from values (levels, lags) and samples (draws, levels, lags)."""
    (ci_low, ci_high), (null_low, null_high) = config.band(samples), config.band(null)
    values = {
        "value": value,
        "ci_low": ci_low,
        "ci_high": ci_high,
        "null_low": null_low,
        "null_high": null_high,
    }
    lag_s = np.asarray(lags_s, dtype=np.float64)
    tables = [
        pd.DataFrame(
            {"measure": measure, "level": level, "lag_s": lag_s} | {n: v[i] for n, v in values.items()}
        )
        for i, level in enumerate(LEVELS)
    ]
    return pd.concat(tables, ignore_index=True)[COLUMNS]
