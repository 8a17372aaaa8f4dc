"""Class accuracy: against semantics, and under every condition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from semanticcmc.figures import captions, style
from semanticcmc.figures.layers import condition_style
from semanticcmc.figures.summaries import seeds_text, summary
from semanticcmc.run import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MEASURES = {"knn": "nearest neighbours", "linear_probe": "linear probe"}


def dissociation(
    table: pd.DataFrame,
    accuracy: pd.DataFrame,
    table_over_seeds: pd.DataFrame,
    accuracy_over_seeds: pd.DataFrame,
    layer: str,
    model: str = "category",
    control: str = "random",
    measure: str = "knn",
    condition: str = "intact",
    ax: Axes | None = None,
) -> Axes:
    """How well classes are told apart against how semantic their distances are: a point a network, bars both ways.

    Several seeds stand as small points around their mean.

    Parameters
    ----------
    table : DataFrame
        ``tables/lag_curve.csv``.
    accuracy : DataFrame
        ``tables/accuracy.csv``; a ``chance`` row, where there is one, gives the dotted line.
    table_over_seeds, accuracy_over_seeds : DataFrame
        `evaluation.over_seeds` of both.
    layer, model, control, condition : str
        Rows of `table` to draw.
    measure : str
        Row of `accuracy`: ``knn`` or ``linear_probe``.
    ax : Axes, optional
    """
    ax = style.axes(ax)
    rows = table[
        (table.layer == layer) & (table.model == model) & (table.control == control) & (table.condition == condition)
    ]
    accuracy = accuracy[(accuracy.layer == layer) & (accuracy.condition == condition)]
    scores = accuracy[accuracy.measure == measure]
    each = rows.merge(scores[["network", "seed", "accuracy"]], on=["network", "seed"], validate="1:1")
    each = each.dropna(subset=["mantel_r", "accuracy"])
    y = summary(rows, table_over_seeds).set_index("network")
    x = summary(scores, accuracy_over_seeds, "accuracy").set_index("network")
    networks = style.network_styles(each.network)
    for network, look in networks.items():
        ax.hlines(y.mantel_r[network], x.ci_low[network], x.ci_high[network], color=look["color"], linewidth=1.0)
        ax.vlines(x.accuracy[network], y.ci_low[network], y.ci_high[network], color=look["color"], linewidth=1.0)
        ax.plot(
            x.accuracy[network],
            y.mantel_r[network],
            linestyle="none",
            gid=network,
            label=look["label"],
            color=look["color"],
            marker=look["marker"],
            markersize=9,
            markeredgecolor="white",
            zorder=3,
        )
        own = each[each.network == network]
        if len(own) > 1:
            ax.plot(
                own.accuracy,
                own.mantel_r,
                linestyle="none",
                gid=f"{network} seeds",
                color=look["color"],
                marker=look["marker"],
                markersize=3.5,
                alpha=0.7,
                markeredgewidth=0,
                zorder=2,
            )
    chance = accuracy[accuracy.measure == "chance"].accuracy.dropna()
    if len(chance) and len(each):
        ax.axvline(chance.iloc[0], color=style.QUIET, linestyle=":", linewidth=1.2)
        ax.annotate(
            " chance",
            (chance.iloc[0], 1),
            xycoords=("data", "axes fraction"),
            va="top",
            fontsize=style.SMALL_PT,
            color=style.QUIET,
        )
    style.zero_line(ax)
    ax.set_xlabel(f"class accuracy, {MEASURES.get(measure, measure)} (share correct)")
    ax.set_ylabel(f"{'partial ' if control != 'none' else ''}r, {style.model_style(model)['label']}")
    if each.empty:
        ax.set(xticks=[], yticks=[])
        ax.text(
            0.5,
            0.5,
            "no class accuracy: a class has one image",
            transform=ax.transAxes,
            ha="center",
            va="bottom",
            color=style.QUIET,
        )
    else:
        ax.legend(title="network", loc="center left", bbox_to_anchor=(1.0, 0.5), alignment="left")
    return ax


def dissociation_caption(
    table: pd.DataFrame, layer: str, model: str, control: str, confidence: float, random_networks: int
) -> str:
    """Layer, classes, seeds, control and intervals of `dissociation`."""
    rows = table[(table.layer == layer) & (table.control == control) & (table.model == model)]
    what = f"{captions.values_text(rows.classes)} classes; r {captions.control_text(control, random_networks)}"
    return f"{layer}; {what}; {seeds_text(rows, confidence)}, both ways."


def accuracy_by_condition(
    accuracy: pd.DataFrame, over_seeds: pd.DataFrame, layer: str, measure: str, ax: Axes | None = None
) -> Axes:
    """Class accuracy of every network: a marker a condition, chance dotted.

    Parameters
    ----------
    accuracy : DataFrame
        ``tables/accuracy.csv``.
    over_seeds : DataFrame
        `evaluation.over_seeds` of it.
    layer : str
    measure : {'knn', 'linear_probe'}
    ax : Axes, optional

    Returns
    -------
    Axes
        Points carry the condition as their gid.
    """
    ax = style.axes(ax, figsize=(style.COLUMN_IN, 0.55 * style.COLUMN_IN))
    rows = accuracy[accuracy.layer == layer]
    shown = summary(rows, over_seeds, "accuracy")
    names = list(style.network_styles(rows.network))
    conditions = list(dict.fromkeys(rows.condition))
    chance = rows[rows.measure == "chance"].accuracy.dropna()
    if len(chance):
        ax.axhline(chance.iloc[0], color=style.QUIET, linestyle=":", linewidth=1.2)
        ax.annotate(
            "chance",
            (1, chance.iloc[0]),
            xycoords=("axes fraction", "data"),
            va="bottom",
            ha="right",
            fontsize=style.SMALL_PT,
            color=style.QUIET,
        )
    for i, condition in enumerate(conditions):
        look = condition_style(condition, conditions)
        own = shown[(shown.measure == measure) & (shown.condition == condition)].set_index("network").reindex(names)
        x = np.arange(len(names)) + 0.5 * captions.offset(i, len(conditions))
        ax.vlines(x, own.ci_low, own.ci_high, color=look["color"], linewidth=1.3)
        ax.plot(x, own.accuracy, linestyle="none", gid=condition, markersize=6, **look)
    if not (shown.measure == measure).any():
        ax.text(
            0.5, 0.5, "no class accuracy: a class has one image", transform=ax.transAxes, ha="center", color=style.QUIET
        )
    captions.network_axis(ax, names)
    ax.set_xlim(right=len(names) + 0.1)  # room for the word chance beside the last network
    ax.set_ylim(0, 1.03)
    ax.set_ylabel("class accuracy (share correct)")
    ax.set_title(MEASURES[measure])
    return ax


def noise_ceiling(
    table: pd.DataFrame, ceilings: pd.DataFrame, layer: str, condition: str = "intact", ax: Axes | None = None
) -> Axes:
    """How much of the noise ceiling each network's simple correlations reach: a dash the ceiling, points below it.

    Parameters
    ----------
    table : DataFrame
        ``tables/lag_curve.csv``; simple correlations are drawn, since the ceiling holds for them alone.
    ceilings : DataFrame
        ``tables/noise_ceiling.csv``.
    layer, condition : str
    ax : Axes, optional

    Returns
    -------
    Axes
        Points carry the model as their gid, ceilings ``ceiling``.
    """
    ax = style.axes(ax, figsize=(style.COLUMN_IN, 0.55 * style.COLUMN_IN))
    above = ceilings[(ceilings.layer == layer) & (ceilings.condition == condition)]
    names = list(style.network_styles(above.network))
    place = {name: float(i) for i, name in enumerate(names)}
    ax.plot(
        above.network.map(place),
        above.ceiling,
        linestyle="none",
        marker="_",
        markersize=20,
        color=style.INK,
        markeredgewidth=1.6,
        gid="ceiling",
        label="noise ceiling",
    )
    rows = table[(table.layer == layer) & (table.condition == condition) & (table.control == "none")]
    models = list(dict.fromkeys(rows.model))
    for i, model in enumerate(models):
        look: dict[str, Any] = dict(style.model_style(model))
        own = rows[rows.model == model]
        x = own.network.map(place) + 0.4 * captions.offset(i, len(models))
        ax.vlines(x, own.ci_low, own.ci_high, color=look["color"], linewidth=1.0, alpha=0.6)
        ax.plot(x, own.mantel_r, linestyle="none", gid=model, markersize=5, **look)
    if above.ceiling.isna().all():
        ax.text(
            0.5, 0.9, "no noise ceiling: a class has one image", transform=ax.transAxes, ha="center", color=style.QUIET
        )
    style.zero_line(ax)
    captions.network_axis(ax, names)
    ax.set_ylim(top=1.05)
    ax.set_ylabel("simple r with the model")
    ax.legend(ncols=len(models) + 1, loc="lower left", bbox_to_anchor=(0, 1), columnspacing=1.2)
    return ax


def noise_ceiling_caption(table: pd.DataFrame, layer: str, confidence: float) -> str:
    """What the dashes and bars of `noise_ceiling` are."""
    rows = table[(table.layer == layer) & (table.control == "none")]
    seeds = rows.seed.nunique()
    return "; ".join(
        [
            f"{layer}; {captions.values_text(rows.classes)} classes",
            f"{counted(seeds, 'seed')}{', a point and dash each' if seeds > 1 else ''}",
            "dash: root of the split-half reliability (Spearman and Brown), what a model without error could reach",
            f"bars: {captions.percent(confidence)} bootstrap over classes.",
        ]
    )


def accuracy_caption(accuracy: pd.DataFrame, layer: str, confidence: float) -> str:
    """Layer, seeds and interval of `accuracy_by_condition`."""
    return f"{layer}; cross-validated within the stimuli; {seeds_text(accuracy[accuracy.layer == layer], confidence)}."
