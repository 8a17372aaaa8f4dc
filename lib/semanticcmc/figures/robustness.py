"""The robustness panel as a forest plot: drawn from tables/robustness.csv."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from semanticcmc.evaluation.robustness import ALPHA, largest, survival
from semanticcmc.experiment import network_lag_s
from semanticcmc.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEADINGS = {
    "declared": "Declared",
    "distance": "Distance of class means",
    "layer": "Layer",
    "control": "Controlled",
    "classes": "Classes",
    "method": "Correlation of RDMs",
}
ROW_IN = 0.2  # height of a row


def robustness(table: pd.DataFrame, network: str, models: Sequence[str] = ("category", "lch")) -> Figure:
    """Correlation of one network with each model, in every row of the panel.

    A mark a seed, with its interval, the first seed on top; filled where p is below .05. A row that does not survive
    (`robustness.survival`) lies on grey. The line is the declared analysis, mean over seeds, the band the mean of its
    intervals' limits. To the right of each row stands the lag with the largest mean, in bold where it is another
    than in the declared analysis.

    Parameters
    ----------
    table : DataFrame
        ``tables/robustness.csv``.
    network : str
    models : sequence of str
        A panel each.

    Returns
    -------
    Figure
        Marks carry a gid: ``category, without bird, seed 0``.
    """
    import matplotlib.pyplot as plt

    rows = table[(table.network == network) & table.model.isin(models)]
    order = rows[["varied", "value"]].drop_duplicates()
    height, place, headings = 0.0, {}, {}
    for varied in order.varied.unique().tolist():
        headings[varied] = height
        for value in order.value[order.varied == varied].tolist():
            height += 1
            place[varied, value] = height
        height += 1.35
    figure, axes = plt.subplots(
        1, len(models), sharey=True, squeeze=False, figsize=(1.3 * style.COLUMN_IN, ROW_IN * height + 1.3)
    )
    survived, best = survival(table), largest(table)
    for ax, model in zip(axes.flat, models, strict=True):
        own = rows[rows.model == model].dropna(subset="mantel_r")
        _declared(ax, own)
        kept = survived[(survived.network == network) & (survived.model == model)]
        for one in kept[~kept.survives].to_dict("records"):
            y = place[one["varied"], one["value"]]
            ax.axhspan(y - 0.5, y + 0.5, color=style.RULE, alpha=0.9, linewidth=0, zorder=0)
        _marks(ax, own, place, style.model_style(model))
        _best_lags(ax, best[best.model == model], place)
        ax.axvline(0, color=style.QUIET, linewidth=0.8, zorder=1)
        ax.set_title(style.model_style(model)["label"])
        ax.set_xlabel("correlation with the model, r")
        ax.spines["left"].set_visible(False)
        ax.tick_params(axis="y", length=0)
    first = axes[0, 0]
    first.set_ylim(height - 0.6, -0.7)
    first.set_yticks(list(place.values()), [value for _, value in place])
    for text in first.get_yticklabels():
        text.set_fontsize(style.SMALL_PT)
    for varied, y in headings.items():
        if varied != "declared":
            first.text(
                -0.02,
                y,
                HEADINGS.get(varied, varied),
                transform=first.get_yaxis_transform(),
                ha="right",
                va="center",
                fontsize=style.SMALL_PT,
                fontweight="bold",
            )
    return figure


def robustness_caption(table: pd.DataFrame, network: str, layer: str, confidence: float) -> str:
    """What marks, bars, band and grey rows of the forest plot mean, with the numbers that are the table's.

    Parameters
    ----------
    table : DataFrame
        ``tables/robustness.csv``.
    network : str
        As drawn.
    layer : str
        The primary layer.
    confidence : float
        Level of the intervals, between 0 and 1.
    """
    rows = table[table.network == network]
    seeds = sorted(rows.seed.unique())
    classes = rows[rows.varied != "classes"].classes.max()
    shown = f"{confidence:.0%}".replace("%", "\N{NO-BREAK SPACE}%")
    marks = f"{len(seeds)} seeds, a mark each, the first on top" if len(seeds) > 1 else f"one seed ({seeds[0]})"
    return (
        f"{style.network_styles([network])[network]['label']} network, {layer} unless the row says otherwise; "
        f"{classes} classes, fewer where a category is left out; {marks}; bars: {shown} bootstrap over classes; "
        f"filled: p < {style.SIGNIFICANT:.2f}, not corrected. Dashed line and band: declared analysis, mean over "
        f"seeds of r and of the limits. Grey rows: not p < {ALPHA:.2f} in every seed. Best lag: largest mean r, "
        "bold where not the declared one."
    )


def _declared(ax: Axes, rows: pd.DataFrame) -> None:
    """Line and band of the declared analysis."""
    found = rows[rows.varied == "declared"][["mantel_r", "ci_low", "ci_high"]].mean()
    if np.isfinite([found.ci_low, found.ci_high]).all():
        ax.axvspan(found.ci_low, found.ci_high, color=style.LAG_COLOURS[0], alpha=0.25, linewidth=0, zorder=0.5)
    ax.axvline(found.mantel_r, color=style.INK, linewidth=1, linestyle=(0, (4, 2)), zorder=1)


def _marks(ax: Axes, rows: pd.DataFrame, place: dict[tuple[str, str], float], look: dict[str, str]) -> None:
    """A mark a seed with its interval."""
    seeds = sorted(rows.seed.unique())
    apart = 0.0 if len(seeds) < 2 else 0.56 / (len(seeds) - 1)
    for one in rows.to_dict("records"):
        y = place[one["varied"], one["value"]] + apart * (seeds.index(one["seed"]) - (len(seeds) - 1) / 2)
        ax.hlines(y, one["ci_low"], one["ci_high"], color=look["color"], linewidth=1.1, zorder=3)
        filled = one["p"] < style.SIGNIFICANT
        ax.plot(
            one["mantel_r"],
            y,
            marker=look["marker"],
            color=look["color"],
            linestyle="none",
            zorder=4,
            markersize=5.5 if len(seeds) == 1 else 3.6,
            markerfacecolor=look["color"] if filled else "white",
            gid=f"{one['model']}, {one['value']}, seed {one['seed']}",
        )


def _best_lags(ax: Axes, best: pd.DataFrame, place: dict[tuple[str, str], float]) -> None:
    """Beside each row the lag with the largest mean over seeds."""
    declared = best.network[best.varied == "declared"].to_list()
    for one in best.to_dict("records"):
        other = [one["network"]] != declared
        ax.text(
            1.01,
            place[one["varied"], one["value"]],
            style.lag_text(network_lag_s(one["network"])),
            va="center",
            transform=ax.get_yaxis_transform(),
            fontsize=style.SMALL_PT,
            clip_on=False,
            color=style.INK if other else style.QUIET,
            fontweight="bold" if other else "normal",
        )
    if len(best):
        ax.text(
            1.01,
            -0.1,
            "best\nlag",
            transform=ax.get_yaxis_transform(),
            fontsize=style.SMALL_PT,
            va="center",
            color=style.QUIET,
        )
