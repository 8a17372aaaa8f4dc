"""Semantics layer by layer: of all networks, and of one under every condition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from semanticcmc.figures import style
from semanticcmc.figures.style import Drawn
from semanticcmc.figures.tables import Selection, caption, model_names, summary


def layers(table: pd.DataFrame, shown: Selection) -> Drawn:
    """Correlation with each model layer by layer, a panel each: a line a network, darker for a longer lag.

    `table` is ``tables/lag_curve.csv``; layers are in the order of their first rows.
    """
    axes = style.panels(1, len(shown.models), len(shown.models), sharey=True)
    names = list(dict.fromkeys(table.layer))
    rows = shown.rows(table, layer=names)
    for ax, model in zip(axes, shown.models, strict=True):
        means = summary(rows[rows.model == model], shown.confidence)
        looks = style.network_styles(style.network_lags(means))
        style.beside(ax, means, "layer", names, "network", looks, spread=0.6, lines=True)
        style.zero_line(ax)
        ax.set(xlabel="layer", ylabel=shown.axis_label(model))
    style.legend_beside(axes[-1], "network")
    alt = f"Correlation with {model_names(shown.models)} by layer: a line a network, darker for a longer lag."
    return Drawn(axes, alt, caption(rows, shown.given, confidence=shown.confidence))


def conditions_by_layer(table: pd.DataFrame, shown: Selection, network: str, seed: int, classes: int) -> Drawn:
    """Simple correlation of one network's RDMs with the first model, layer by layer: a line a condition.

    `table` is that of `comparisons.simple_by_layer`, in the order to be drawn; `seed` and `classes` are of the RDMs.
    """
    [ax] = axes = style.panels()
    names, conditions = list(dict.fromkeys(table.layer)), list(dict.fromkeys(table.condition))
    style.beside(ax, table, "layer", names, "condition", condition_styles(conditions), spread=0.3, lines=True)
    style.zero_line(ax)
    model = model_names(shown.models[:1])
    ax.set(xlabel="layer", ylabel=f"r, {model}")
    if len(conditions) > 1:
        style.legend_beside(ax, "condition")
    alt = f"Simple correlation with {model} by layer, {network}, seed {seed}, under {', '.join(conditions)}."
    words = caption(table.assign(seed=seed, classes=classes), "simple r", confidence=shown.confidence)
    return Drawn(axes, alt, f"{network}; {words}")


def condition_styles(conditions: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Colour, marker and label of stimulus conditions; whole pictures are ink."""
    colours, markers = style.GROUP_COLOURS, style.GROUP_MARKERS
    return {
        name: {"color": style.INK if name == "intact" else colours[i % 8 - 1], "marker": markers[i % 8], "label": name}
        for i, name in enumerate(conditions)
    }
