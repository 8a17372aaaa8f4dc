"""What ``labels.qmd`` asks for: the poster of labels without films."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from papers.build import poster, values
from papers.build.values import WORDS, number, plain, seconds, spoken

from semanticcmc.experiment import Experiment

SOURCES = poster.SOURCES
FIGURES = ("persistence", "meaning")


def variables(experiment: Experiment, folder: Path) -> dict[str, Any]:
    """What the source asks for, and its code into the `folder`; an `InputError` names what is missing."""
    curves = values.read_table(experiment, "meaning", "model lag_s r")
    scales = values.read_table(experiment, "meaning_scales", "model null half_strength_s last_above_null_s")
    counted = poster.dataset(experiment)
    parts = {"facts": poster.facts(counted), "table": scale_table(curves, scales)}
    parts |= {f"source_{name}": poster.figure_source(poster.sidecar(experiment, name)) for name in FIGURES}
    poster.write_code(folder)
    said = {
        "experiment": poster.head(experiment),
        "repository": poster.repository(),
        "data": poster.data(experiment, counted),
        "figure": {name: poster.alternative_text(experiment, name) for name in FIGURES},
        "claim": claim(experiment, scales),
    }
    return poster.unbroken(said) | {"part": parts}


def claim(experiment: Experiment, scales: pd.DataFrame) -> dict[str, str]:
    """What may be said: of models that the curve is above both nulls for, and of a lag if looks were given."""
    told, half = [], []
    for model, own in scales.groupby("model", sort=False):
        if (last_s := own["last_above_null_s"]).gt(0).all():  # NaN: never above
            told.append(f"{_word(model, 'name')} up to {seconds(last_s.min())}")
        if np.isfinite(own["half_strength_s"].iloc[0]):
            half.append(f"{_word(model, 'head')} {_scale(own, 'half_strength')}")
    lasts = (
        f"follows meaning longer than chance: {spoken(told)}" if told else "does not follow meaning longer than chance"
    )
    looks, found = experiment.sections["timescales"]["looks"], poster.recommended(experiment)
    given = (
        f"{found} Looks are not of these films: the experiment gives a curve of them ({plain(Path(looks or '').name)})."
    )
    lag_s = values.read_table(experiment, "recommended_lag", "lag_s")["lag_s"].iloc[0]
    return {
        "headline": f"What is named together {lasts}",
        "result": f"half is left of {spoken(half)}" if half else "associations and meaning by lag",
        "lag": seconds(lag_s) if np.isfinite(lag_s) else "none is recommended",
        "recommended": given if looks else WORDS["without_looks"],
    }


def scale_table(curves: pd.DataFrame, scales: pd.DataFrame) -> str:
    """Half-strength of each model, and its last lag above each null, in Markdown."""
    at_0 = curves[curves["lag_s"].eq(0)].set_index("model")["r"]
    rows = []
    for model, own in scales.groupby("model", sort=False):
        row = {"": _word(model, "head"), "r": number(at_0[model], 3), "half": _scale(own, "half_strength")}
        above = {f"above {null}": _scale(one, "last_above_null") for null, one in own.groupby("null", sort=False)}
        rows.append(row | above)
    return values.table("Time scales of meaning", pd.DataFrame(rows))


def _word(model: str, key: str) -> str:
    return WORDS["models"][model][key] if model in WORDS["models"] else plain(model)


def _scale(rows: pd.DataFrame, name: str) -> str:
    """``43 s (30 s to 62 s)`` of the first row; a dash where there is none."""
    value, low, high = (rows[f"{name}{which}_s"].iloc[0] for which in ("", "_low", "_high"))
    if not np.isfinite(value):
        return "–"
    return f"{seconds(value)} ({seconds(low)} to {seconds(high) if np.isfinite(high) else 'beyond all lags'})"
