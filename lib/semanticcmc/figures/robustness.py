"""The robustness panel as a forest plot."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from semanticcmc.evaluation.robustness import ALPHA, largest, survival, verdict
from semanticcmc.figures import style
from semanticcmc.figures.style import Axes, Drawn
from semanticcmc.figures.tables import Selection, percent, records, select
from semanticcmc.run import counted

HEADINGS = {
    "distance": "Distance of class means",
    "layer": "Layer",
    "control": "Controlled",
    "classes": "Classes",
    "method": "Correlation of RDMs",
}
ROW_IN = 0.2  # height of a row


def robustness(table: pd.DataFrame, shown: Selection, network: str) -> Drawn:
    """Correlation of one network with each model, in every row of the panel.

    A mark a seed, with its interval, the first seed on top; filled where p is below .05. A row that does not survive
    (`robustness.survival`) is on grey. The line is the declared analysis, mean over seeds, the band the mean of its
    intervals' limits. To the right of each row is the lag with the largest mean, in bold where it is another than in
    the declared analysis. Marks carry the model as their gid. `table` is ``tables/robustness.csv``.
    """
    models, rows = shown.models, select(table, network=network, model=shown.models)
    place, headings, height = _places(rows)
    rows = rows.dropna(subset="mantel_r").assign(
        place=lambda own: [place[key] for key in zip(own.varied, own.value, strict=True)]
    )
    axes = style.panels(1, len(models), 1.3, (ROW_IN * height + 1.3) / style.COLUMN_IN, sharey=True)
    lost, best = survival(table).query("not survives"), largest(table)
    for ax, model in zip(axes, models, strict=True):
        look, own = style.model_style(model), rows[rows.model == model]
        declared = own.loc[own.varied == "declared", ["mantel_r", "ci_low", "ci_high"]].mean()
        if np.isfinite([declared.ci_low, declared.ci_high]).all():
            band = {"color": style.LAG_COLOURS[0], "alpha": 0.25, "linewidth": 0, "zorder": 0.5}
            ax.axvspan(declared.ci_low, declared.ci_high, **band)
        ax.axvline(declared.mantel_r, color=style.INK, linewidth=1, linestyle=(0, (4, 2)), zorder=1)
        for one in records(select(lost, network=network, model=model)):
            y = place[one.varied, one.value]
            ax.axhspan(y - 0.5, y + 0.5, color=style.RULE, alpha=0.9, linewidth=0, zorder=0)
        seeds = sorted(own.seed.unique())
        places = own.place + own.seed.map({seed: 0.56 * style.offset(i, len(seeds)) for i, seed in enumerate(seeds)})
        point, size = {"color": look["color"], "marker": look["marker"]}, 5.5 if len(seeds) == 1 else 3.6
        style.marks(ax, own, places, point, filled=own.p < style.SIGNIFICANT, size=size, across=True, gid=model)
        _best_lags(ax, best[best.model == model], place)
        ax.axvline(0, color=style.QUIET, linewidth=0.8, zorder=1)
        ax.set(title=look["label"], xlabel="correlation with the model, r")
        ax.spines["left"].set_visible(False)
        ax.tick_params(axis="y", length=0)
    axes[0].set_ylim(height - 0.6, -0.7)
    axes[0].set_yticks(list(place.values()), [value for _, value in place], fontsize=style.SMALL_PT)
    left = {"transform": axes[0].get_yaxis_transform(), "ha": "right", "va": "center", "fontsize": style.SMALL_PT}
    for varied, y in headings.items():
        axes[0].text(-0.02, y, HEADINGS.get(varied, varied), fontweight="bold", **left)
    alt = "Forest plot, one row a change of the analysis. " + " ".join(verdict(table, network, one) for one in models)
    return Drawn(axes, alt, _caption(table[table.network == network], shown))


def _places(rows: pd.DataFrame) -> tuple[dict[tuple[str, str], float], dict[str, float], float]:
    """Height of each row and of each heading, from the top, and of the whole."""
    height, place, headings = 0.0, {}, {}
    for varied, group in rows[["varied", "value"]].drop_duplicates().groupby("varied", sort=False):
        if varied != "declared":
            headings[str(varied)] = height
        for value in group.value:
            height += 1
            place[str(varied), value] = height
        height += 1.35
    return place, headings, height


def _best_lags(ax: Axes, best: pd.DataFrame, place: Mapping[tuple[str, str], float]) -> None:
    """Beside each row the lag with the largest mean over seeds."""
    beside = {"transform": ax.get_yaxis_transform(), "va": "center", "fontsize": style.SMALL_PT, "clip_on": False}
    declared = best.network[best.varied == "declared"].to_list()
    for one in records(best):
        other = [one.network] != declared
        look = {"color": style.INK if other else style.QUIET, "fontweight": "bold" if other else "normal"}
        ax.text(1.01, place[one.varied, one.value], style.lag_text(one.lag_s), **beside, **look)
    if len(best):
        ax.text(1.01, -0.1, "best\nlag", color=style.QUIET, **beside)


def _caption(rows: pd.DataFrame, shown: Selection) -> str:
    """What marks, bars, band and grey rows of the forest plot mean, with the numbers that are the table's."""
    seeds, classes = sorted(rows.seed.unique()), rows.classes[rows.varied != "classes"].max()
    marks = (
        f"{counted(len(seeds), 'seed')}, a mark each, the first on top" if len(seeds) > 1 else f"1 seed ({seeds[0]})"
    )
    [look] = style.network_styles(style.network_lags(rows)).values()
    return (
        f"{look['label']} network, {shown.layer} unless the row says otherwise; {classes} classes, fewer where a "
        f"category is left out; {marks}; bars: {percent(shown.confidence)} bootstrap over classes; filled: p < "
        f"{style.SIGNIFICANT:.2f}, not corrected. Dashed line and band: declared analysis, mean over seeds of r and of "
        f"the limits. Grey rows: not p < {ALPHA:.2f} in every seed. Best lag: largest mean r, bold where not the "
        "declared one."
    )
