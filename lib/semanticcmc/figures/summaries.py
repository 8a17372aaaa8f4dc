"""What a figure shows of several seeds: their mean with its interval, or the one seed with its own over classes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from semanticcmc.figures import captions, style
from semanticcmc.run import counted

KEYS = ("network", "layer", "condition", "model", "control", "measure")


def summary(table: pd.DataFrame, over_seeds: pd.DataFrame, value: str = "mantel_r") -> pd.DataFrame:
    """One row a network (and layer, condition, model, control or measure), in the order of `table`.

    Parameters
    ----------
    table : DataFrame
        Rows of ``tables/lag_curve.csv`` or ``tables/accuracy.csv``.
    over_seeds : DataFrame
        `evaluation.over_seeds` of it.
    value : {'mantel_r', 'accuracy'}

    Returns
    -------
    DataFrame
        The keys, `value`, ``ci_low`` and ``ci_high``: of the mean over seeds where there are several, else over
        classes. ``significant``: whether every seed's Holm-corrected p is below .05. Rows without a value are left out.
    """
    key = [name for name in KEYS if name in table]
    rows = table.dropna(subset=value)
    corrected = rows.p_holm if "p_holm" in rows else pd.Series(np.nan, rows.index)
    rows = rows.assign(significant=corrected < style.SIGNIFICANT)
    own = rows.groupby(key, sort=False).agg(
        low=("ci_low", "first"),
        high=("ci_high", "first"),
        seeds=("seed", "nunique"),
        significant=("significant", "all"),
    )
    means = over_seeds.set_index(key)[[value, "ci_low", "ci_high"]]
    found = own.join(means).reset_index()
    alone = found.seeds == 1
    found["ci_low"] = np.where(alone, found.low, found.ci_low)
    found["ci_high"] = np.where(alone, found.high, found.ci_high)
    return found.drop(columns=["low", "high"])


def seeds_text(table: pd.DataFrame, confidence: float) -> str:
    """Seeds of a table and what the bars of its `summary` are, for a caption."""
    seeds = sorted(table.seed.unique())
    level = captions.percent(confidence)
    if len(seeds) == 1:
        return f"1 seed ({seeds[0]}); bars: {level} bootstrap over classes"
    return f"{counted(len(seeds), 'seed')}: points are their means, bars {level} of the mean over seeds (Student's t)"
