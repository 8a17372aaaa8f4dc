"""What hangs on the control, which network differs from which, and how alike networks see the classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from semanticcmc.figures import captions, style
from semanticcmc.figures.summaries import seeds_text, summary
from semanticcmc.run import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CONTROL_STYLES = {
    "none": {"color": "#9A9A9A", "marker": "_", "label": "none (simple r)"},
    "random": {"color": style.INK, "marker": "o", "label": "untrained networks"},
    "cmc_lab": {"color": "#B45F06", "marker": "v", "label": "L / ab network"},
    "look": {"color": "#4F8F5B", "marker": "^", "label": "true looks"},
}


def controls(
    table: pd.DataFrame,
    over_seeds: pd.DataFrame,
    layer: str,
    model: str = "category",
    condition: str = "intact",
    ax: Axes | None = None,
) -> Axes:
    """Correlation with one model at one layer, given each control: a group of markers a network.

    Filled markers: Holm-corrected p below .05 in every seed.

    Parameters
    ----------
    table : DataFrame
        ``tables/lag_curve.csv``.
    over_seeds : DataFrame
        `evaluation.over_seeds` of it.
    layer, model, condition : str
    ax : Axes, optional

    Returns
    -------
    Axes
        Points carry the control as their gid.
    """
    ax = style.axes(ax, figsize=(style.COLUMN_IN, 0.6 * style.COLUMN_IN))
    rows = table[(table.layer == layer) & (table.model == model) & (table.condition == condition)]
    shown = summary(rows, over_seeds)
    names = list(style.network_styles(rows.network))
    place = {name: float(i) for i, name in enumerate(names)}
    used = [control for control in CONTROL_STYLES if control in set(rows.control)]
    for i, control in enumerate(used):
        look = CONTROL_STYLES[control]
        own = shown[shown.control == control]
        x = own.network.map(place) + 0.6 * captions.offset(i, len(used))
        ax.vlines(x, own.ci_low, own.ci_high, color=look["color"], linewidth=1.3)
        for filled in (True, False):
            some = own.significant == filled
            ax.plot(
                x[some],
                own.mantel_r[some],
                linestyle="none",
                marker="D" if look["marker"] == "_" else look["marker"],
                color=look["color"],
                markerfacecolor=look["color"] if filled else "white",
                markeredgewidth=1.3,
                markersize=5.5,
                gid=control,
                label=look["label"] if filled else "_",
                zorder=3,
            )
    for edge in range(len(names) - 1):
        ax.axvline(edge + 0.5, color=style.RULE, linewidth=0.8, zorder=0)
    style.zero_line(ax)
    captions.network_axis(ax, names)
    ax.set_ylabel(f"r, {style.model_style(model)['label']}")
    return ax


def lag_comparisons(
    table: pd.DataFrame, networks: Sequence[str], model: str, control: str, condition: str, ax: Axes | None = None
) -> Axes:
    """Difference of two networks' correlations with a model, row minus column, and a dot a seed that tells them apart.

    Parameters
    ----------
    table : DataFrame
        ``tables/lag_comparisons.csv``; several seeds are averaged.
    networks : sequence of str
        Rows and columns, in this order; those that the table lacks are left out.
    model, control, condition : str
    ax : Axes, optional

    Returns
    -------
    Axes
        The number of a cell has the gid ``first second``; with a dot a seed whose Holm-corrected p is below .05.
    """
    rows = table[(table.model == model) & (table.control == control) & (table.condition == condition)]
    rows = rows.assign(told_apart=rows.p_holm < style.SIGNIFICANT)
    cells = rows.groupby(["first", "second"]).agg(difference=("difference", "mean"), told_apart=("told_apart", "sum"))
    there = {*rows["first"], *rows["second"]}
    cells = cells.reset_index()
    # The later network minus the earlier one.
    found = zip(cells["second"], cells["first"], -cells["difference"], cells["told_apart"], strict=True)
    values = {(row, column): (float(r), int(dots)) for row, column, r, dots in found}
    return _matrix([name for name in networks if name in there], values, signed=True, ax=ax)


def connectivity(
    table: pd.DataFrame, networks: Sequence[str], control: str, condition: str, ax: Axes | None = None
) -> Axes:
    """Correlation of the RDMs of each two networks, as numbers on a scale of grey from 0 to 1.

    Parameters
    ----------
    table : DataFrame
        ``tables/connectivity.csv``; several seeds are averaged.
    networks : sequence of str
        Rows and columns, in this order; those that the table lacks are left out.
    control : {'none', 'random'}
    condition : str
    ax : Axes, optional
    """
    rows = table[(table.control == control) & (table.condition == condition)]
    cells = rows.groupby(["first", "second"]).r.mean().reset_index()
    there = {*rows["first"], *rows["second"]}
    found = zip(cells["second"], cells["first"], cells["r"], strict=True)
    values = {(row, column): (float(r), 0) for row, column, r in found}
    return _matrix([name for name in networks if name in there], values, signed=False, ax=ax)


def controls_caption(table: pd.DataFrame, layer: str, condition: str, confidence: float, random_networks: int) -> str:
    """Classes, seeds, controls and interval of `controls`."""
    rows = table[(table.layer == layer) & (table.condition == condition)]
    return "; ".join(
        [
            layer,
            f"{captions.values_text(rows.classes)} classes, {condition} pictures",
            f"untrained networks: mean RDM of {random_networks}",
            seeds_text(rows, confidence),
            "filled: Holm-corrected p < .05 in every seed.",
        ]
    )


def lag_comparisons_caption(table: pd.DataFrame, layer: str, control: str, random_networks: int) -> str:
    """What the numbers and dots of `lag_comparisons` are."""
    rows = table[table.control == control]
    seeds, family = rows.seed.nunique(), rows.groupby(["seed", "condition"]).size()
    tests = captions.values_text(family) if len(family) else "0"
    return "; ".join(
        [
            layer,
            f"r {captions.control_text(control, random_networks)}",
            f"network of the row minus that of the column{_mean_of(seeds)}",
            "a dot: a seed in which the paired bootstrap over classes tells the two apart (two-sided p < .05, "
            f"Holm-corrected for the {tests} comparisons of a seed).",
        ]
    )


def connectivity_caption(table: pd.DataFrame, layer: str, random_networks: int) -> str:
    """What the numbers of `connectivity` are."""
    given = captions.control_text("random", random_networks)
    what = f"correlation of the distances in two networks of one seed{_mean_of(table.seed.nunique())}"
    return f"{layer}; {what}; simple, and {given}."


def _mean_of(seeds: int) -> str:
    return f", mean of {counted(seeds, 'seed')}" if seeds > 1 else f" ({counted(seeds, 'seed')})"


def _matrix(
    names: Sequence[str], values: dict[tuple[str, str], tuple[float, int]], signed: bool, ax: Axes | None
) -> Axes:
    """Lower triangle of a matrix: shade for size, the number itself, and dots below it."""
    side = 0.62 * max(len(names) - 1, 2) + 1.3
    ax = style.axes(ax, figsize=(side, side))
    labels = {name: look["label"] for name, look in style.network_styles(names).items()}
    sizes = [abs(value) for value, _ in values.values() if np.isfinite(value)]
    greatest = max([*sizes, 1e-9]) if signed else 1.0
    for (row, column), (value, dots) in values.items():
        i, j = names.index(row) - 1, names.index(column)
        if not np.isfinite(value):
            ax.text(j, i, "-", ha="center", va="center", color=style.QUIET)
            continue
        share = min(max(abs(value) if signed else value, 0.0) / greatest, 1.0)
        shade = 1 - 0.42 * share  # never so dark that ink cannot be read on it
        ax.add_patch(_cell(j, i, str(shade)))
        text = _number(value, signed)
        ax.text(
            j,
            i + (0.12 if dots else 0),
            text,
            ha="center",
            va="center",
            gid=f"{row} {column}",
            color=style.INK,
            fontsize=style.SMALL_PT,
            fontweight="bold" if dots else "normal",
        )
        if dots:
            x = [j + 0.13 * (dot - (dots - 1) / 2) for dot in range(dots)]
            ax.plot(
                x,
                [i - 0.22] * dots,
                linestyle="none",
                marker="o",
                markersize=3.5,
                color=style.INK,
                gid=f"{row} {column} told apart",
            )
    if not values:
        ax.text(0.5, 0.5, "fewer than two networks", transform=ax.transAxes, ha="center", color=style.QUIET)
    count = max(len(names) - 1, 1)
    ax.set(xlim=(-0.5, count - 0.5), ylim=(count - 0.5, -0.5), aspect="equal")
    ax.set_xticks(
        range(len(names) - 1), [labels[name] for name in names[:-1]], rotation=45, ha="right", rotation_mode="anchor"
    )
    ax.set_yticks(range(len(names) - 1), [labels[name] for name in names[1:]])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def _number(value: float, signed: bool) -> str:
    """Two decimals as figures print them: ``+.12``, ``.00``; a sign only where there is something."""
    text = f"{round(value, 2) or 0.0:{'+' if signed and round(value, 2) else ''}.2f}"
    return text.replace("0.", ".", 1).replace("-", "\N{MINUS SIGN}")


def _cell(x: float, y: float, colour: str):
    from matplotlib.patches import Rectangle

    return Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=colour, edgecolor="white", linewidth=1.5)
