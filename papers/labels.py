"""What ``labels.qmd``, the poster of labels without films, asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from papers.build import poster, values
from papers.build.values import WORDS, number, plain, spoken

from semanticcmc.experiment import Experiment
from semanticcmc.figures.timescales import time_text

SOURCES = poster.SOURCES
FIGURES = ("persistence", "meaning")


def variables(experiment: Experiment, folder: Path) -> dict[str, Any]:
    """What the source asks for, and its code into the `folder`; an `InputError` names what is missing."""
    scales = values.read_table(experiment, "meaning_scales", "model null half_strength_s last_above_null_s")
    curves = values.read_table(experiment, "meaning", "model lag_s r")
    counted = poster.dataset(experiment)
    said = {
        "experiment": poster.head(experiment),
        "repository": poster.repository(),
        "data": poster.data(experiment, counted),
        "figure": {name: poster.alternative_text(experiment, name) for name in FIGURES},
        "claim": claim(experiment, scales),
    }
    at_0 = curves[curves["lag_s"].eq(0)].set_index("model")["r"]
    parts = {"facts": poster.facts(counted), "table": scale_table(scales, at_0)}
    return poster.unbroken(said) | {"part": parts | poster.ends(experiment, folder, FIGURES)}


def claim(experiment: Experiment, scales: pd.DataFrame) -> dict[str, str]:
    """What may be said: of models whose curve is above both nulls, and of a lag where a curve of looks was given."""
    models = scales.groupby("model", sort=False)
    last_s = models["last_above_null_s"].agg(lambda one: one.min(skipna=False)).dropna()
    half_s = models["half_strength_s"].first().dropna()
    told = [f"{time_text(value)} by {_word(model, 'name')}" for model, value in last_s[last_s > 0].items()]
    half_s = half_s[[last_s.get(model, 0) > 0 for model in half_s.index]]  # of what is above chance
    half = [f"{time_text(value)} ({_word(model, 'head')})" for model, value in half_s.items()]
    found = poster.recommended(experiment)
    looks = experiment.sections["timescales"]["looks"]
    return {
        "headline": f"What labels name a lag apart is {'' if told else 'not '}alike in meaning above chance",
        "until": f" up to {spoken(told)}" if told else " at any lag",
        "result": f"half of the correlation is left at {spoken(half)}" if half else "meaning by lag",
        "lag": found if looks else WORDS["without_looks"],
    }


def scale_table(scales: pd.DataFrame, at_0: pd.Series) -> str:
    """Correlation at 0 s of each model, its half-strength and its last lag above each null, in Markdown."""
    rows = []
    for model, own in scales.groupby("model", sort=False):
        row = {"model": _word(model, "head"), "r": number(at_0[model], 3), "half": _scale(own, "half_strength")}
        rows.append(row | {f"above {one}": _scale(own[own["null"].eq(one)], "last_above_null") for one in own["null"]})
    return values.table("Time scales of meaning", pd.DataFrame(rows))


def _word(model: Any, key: str) -> str:
    return str(WORDS["models"][model][key]) if model in WORDS["models"] else plain(model)


def _scale(rows: pd.DataFrame, name: str) -> str:
    """``43 s (30 s to 62 s)`` of the first row; a dash where there is none."""
    value, low, high = (rows[f"{name}{bound}_s"].iloc[0] for bound in ("", "_low", "_high"))
    return f"{time_text(value)} ({time_text(low)} to {time_text(high)})" if np.isfinite(value) else "–"
