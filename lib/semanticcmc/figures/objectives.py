"""Which objective teaches what: a row an objective, sorted by what was learned of the first model."""

from __future__ import annotations

import pandas as pd

from semanticcmc.evaluation.lag_curve import over_seeds
from semanticcmc.figures import style
from semanticcmc.figures.style import Drawn
from semanticcmc.figures.tables import Selection, caption, model_names, records, summary

ROW_IN = 0.21  # height of a row


def objectives(table: pd.DataFrame, shown: Selection) -> Drawn:
    """Correlation with the models, and class accuracy beside it, of every network of ``tables/objectives.csv``.

    Marks carry the model, or ``accuracy``, as their gid; filled: the corrected p of every seed is below .05. Names of
    the lag curve's networks are bold.
    """
    rows = shown.rows(table, model=shown.models).dropna(subset="mantel_r")
    means, first = summary(rows, shown.confidence), rows[rows.model == shown.models[0]]
    order = means[means.model == shown.models[0]].sort_values("mantel_r", ascending=False, kind="stable")
    place = pd.Series(range(len(order)), order.network, dtype=float)
    height = (ROW_IN * len(order) + 1.0) / style.COLUMN_IN
    ax, beside = axes = style.panels(1, 2, 1.0, height, sharey=True, width_ratios=[2.4, 1])
    for i, model in enumerate(shown.models):
        look, own = style.model_style(model), means[means.model == model]
        at = place[own.network].to_numpy() + 0.4 * style.offset(i, len(shown.models))
        style.marks(ax, own, at, look, filled=own.significant, size=4.5, across=True, gid=model)
    own, look = over_seeds(first, shown.confidence, "accuracy"), {"color": style.INK, "marker": "D"}
    at = place[own.network].to_numpy()
    style.marks(beside, own, at, look, "accuracy", size=4, across=True, gid="accuracy")
    ax.axvline(0, color=style.QUIET, linewidth=0.8, zorder=0)
    for one in axes:
        one.hlines(place, *one.get_xlim(), colors=style.RULE, linewidth=0.5, zorder=0)
        one.tick_params(axis="y", length=0)
    kind = "r" if shown.control == "none" else "partial r"
    ax.set(ylim=(len(order) - 0.4, -0.6), xlabel=kind)
    beside.set(xlabel="class accuracy")
    ax.set_yticks(range(len(order)), [_name(one) for one in records(order)], fontsize=style.SMALL_PT)
    for label, network in zip(ax.get_yticklabels(), order.network, strict=True):
        label.set_fontweight("bold" if network.startswith("semantic_") else "normal")
    style.legend_above(ax, len(shown.models))
    above = [f"{_name(one)} ({one.mantel_r:.2f})" for one in records(order[order.significant])]
    sorted_by = f"{kind} with {model_names(shown.models[:1])}"
    alt = f"{len(order)} networks by their {sorted_by}. Above 0, corrected for all: {', '.join(above) or 'none'}."
    said = "filled: corrected p < .05 in every seed; bold: a fixed lag, InfoNCE; accuracy: nearest neighbours"
    return Drawn(list(axes), alt, caption(rows, shown.given, said, confidence=shown.confidence))


def _name(row: pd.Series) -> str:
    """A network as a reader says it: ``60 s``, ``vicreg, 60 s``, ``same scene``."""
    if row.network in style.BASELINE_STYLES:
        return style.BASELINE_STYLES[row.network]["label"]
    line, lag = (row.network.rsplit("_", 1)[0], style.lag_text(row.lag_s)) if row.lag_s > 0 else (row.network, "")
    return ", ".join(filter(None, (line.replace("_", " ").removeprefix("semantic"), lag)))
