"""Semantics layer by layer: of all networks, and of one under every condition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from semanticcmc.figures import captions, style
from semanticcmc.figures.summaries import seeds_text, summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SPREAD = 0.6  # share of the distance between two layers over which the networks are spread


def layers(
    table: pd.DataFrame,
    over_seeds: pd.DataFrame,
    model: str = "category",
    control: str = "random",
    condition: str = "intact",
    ax: Axes | None = None,
) -> Axes:
    """Correlation with one model layer by layer: a line a network, darker for a longer lag.

    Parameters
    ----------
    table : DataFrame
        ``tables/lag_curve.csv``; layers in the order of their first rows.
    over_seeds : DataFrame
        `evaluation.over_seeds` of the table.
    model, control, condition : str
        Which rows to draw.
    ax : Axes, optional
    """
    ax = style.axes(ax)
    names = list(dict.fromkeys(table.layer))
    rows = table[(table.model == model) & (table.control == control) & (table.condition == condition)]
    means = summary(rows, over_seeds).set_index(["network", "layer"])
    networks = style.network_styles(means.index.get_level_values("network").unique())
    for i, (network, look) in enumerate(networks.items()):
        own = means.loc[network].reindex(names)
        x = np.arange(len(names)) + SPREAD * captions.offset(i, len(networks))
        baseline = network in style.BASELINE_STYLES
        ax.plot(
            x,
            own.mantel_r,
            gid=network,
            label=look["label"],
            color=look["color"],
            marker=look["marker"],
            markersize=5.5,
            linewidth=1.1 if baseline else 1.8,
            linestyle=(0, (2, 1.5)) if baseline else "-",
            zorder=2 if baseline else 3,
        )
        ax.vlines(x, own.ci_low, own.ci_high, color=look["color"], linewidth=0.9, alpha=0.5, zorder=1)
    _finish(ax, names, f"{'partial ' if control != 'none' else ''}r, {style.model_style(model)['label']}")
    ax.legend(title="network", loc="center left", bbox_to_anchor=(1.0, 0.5), alignment="left")
    return ax


def layers_caption(table: pd.DataFrame, control: str, condition: str, confidence: float, random_networks: int) -> str:
    """Classes, seeds, control and interval of `layers`."""
    rows = table[(table.control == control) & (table.condition == condition)]
    given = captions.control_text(control, random_networks)
    classes = f"{captions.values_text(rows.classes)} classes, {condition} pictures"
    return f"{classes}; r {given}; {seeds_text(rows, confidence)}."


def conditions_by_layer(table: pd.DataFrame, model: str = "category", ax: Axes | None = None) -> Axes:
    """Simple correlation of one network's RDMs with a model, layer by layer: a line a condition.

    Parameters
    ----------
    table : DataFrame
        ``condition, layer, mantel_r, ci_low, ci_high``, in the order to be drawn.
    model : str
    ax : Axes, optional
    """
    ax = style.axes(ax)
    names = list(dict.fromkeys(table.layer))
    conditions = list(dict.fromkeys(table.condition))
    for i, condition in enumerate(conditions):
        look = condition_style(condition, conditions)
        own = table[table.condition == condition].set_index("layer").reindex(names)
        x = np.arange(len(names)) + 0.3 * captions.offset(i, len(conditions))
        ax.plot(x, own.mantel_r, gid=condition, **look)
        ax.vlines(x, own.ci_low, own.ci_high, color=look["color"], linewidth=1.2)
    _finish(ax, names, f"r, {style.model_style(model)['label']}")
    if len(conditions) > 1:
        ax.legend(title="condition", loc="center left", bbox_to_anchor=(1.0, 0.5), alignment="left")
    return ax


def condition_style(condition: str, conditions: list[str]) -> dict[str, Any]:
    """Colour, marker and label of a condition; whole pictures are ink."""
    place = conditions.index(condition) % len(style.GROUP_COLOURS)
    colour = style.INK if condition == "intact" else style.GROUP_COLOURS[place - 1]
    return {"color": colour, "marker": style.GROUP_MARKERS[place], "label": condition}


def _finish(ax: Axes, names: list[str], label: str) -> None:
    style.zero_line(ax)
    ax.set_xticks(range(len(names)), names)
    ax.set_xlabel("layer")
    ax.set_ylabel(label)
