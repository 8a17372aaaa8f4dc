"""Draws the study of photographs: lag curves, accuracy, and what company teaches of seen and unseen photographs."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from semanticcmc.figures import style
from semanticcmc.run import atomic

ALT = (
    "Four panels. Category and WordNet similarity against the lag, given untrained networks, and given these and the "
    "network that saw one frame; accuracy by nearest neighbours against the lag; theme of crossed worlds, of seen and "
    "unseen photographs, and category, against the number of photographs of a class in films."
)
X = {0: 0.3, 1: 1, 10: 10, 60: 60, 600: 600}
EXEMPLARS = {"crossed_2": 2, "crossed_10": 10, "crossed": 72}  # of 100, each dealt once, 72 are in some beat


def draw(table: pd.DataFrame, png: Path) -> None:
    """Means over seeds, each seed a small mark; `table` is photographs.csv."""
    style.use_house_style()
    figure, axes = plt.subplots(2, 2, figsize=(9.2, 7.0), layout="constrained")
    unseen = table[(table.photographs == "unseen") & (table.kind == "category")]
    for ax, control, title in (
        (axes[0][0], "random", "given untrained networks"),
        (axes[0][1], "random + augment", "given untrained and “same frame”"),
    ):
        for model in ("category", "lch"):
            rows = unseen[(unseen.measure == f"r with {model}") & (unseen.control == control)]
            line(ax, rows.lag_s.map(X), rows.value, style.MODEL_STYLES[model])
        ax.set(title=title, ylabel="partial r, fc7")
    for measure, chance, look in (
        ("category of other classes, 5-NN", 7 / 63, {"color": "#0B4F8A", "marker": "o"}),
        ("class, 5-NN", 1 / 64, {"color": "#9A9A9A", "marker": "X"}),
    ):
        ax, rows = axes[1][0], unseen[(unseen.measure == measure)]
        line(ax, rows[rows.lag_s.notna()].lag_s.map(X), rows[rows.lag_s.notna()].value, look | {"label": measure})
        ax.axhline(chance, color=look["color"], linestyle=style.DOTTED, linewidth=1)
        ax.axhline(rows[rows.lag_s.isna()].value.mean(), color=look["color"], linestyle=style.DASHED, linewidth=1)
    axes[1][0].set(title="accuracy (-- untrained, ·· chance)", ylabel="share right")
    for ax in axes.flat[:3]:
        ax.set(xscale="log", xlabel="time lag (s)")
        ax.set_xticks(list(X.values()), ["same\nframe", "1", "10", "60", "600"])
        ax.minorticks_off()
    crossed, ax = table[table.kind.isin(EXEMPLARS) & (table.lag_s == 60) & (table.control == "random")], axes[1][1]
    for model, photographs, look in (
        ("theme", "seen", {"color": style.INK, "marker": "o", "label": "theme, photographs of the films"}),
        (
            "theme",
            "unseen",
            {"color": style.INK, "marker": "s", "linestyle": "--", "label": "theme, unseen photographs"},
        ),
        ("category", "unseen", {"color": "#0B4F8A", "marker": "o", "linestyle": ":", "label": "category, unseen"}),
    ):
        rows = crossed[(crossed.measure == f"r with {model}") & (crossed.photographs == photographs)]
        line(ax, rows.kind.map(EXEMPLARS), rows.value, look)
    ax.set(title="crossed themes, 60 s", ylabel="partial r given untrained", xscale="log")
    ax.set_xlabel("photographs of a class in films\n(72: each in one beat)")
    ax.set_xticks(list(EXEMPLARS.values()), [str(count) for count in EXEMPLARS.values()])
    ax.minorticks_off()
    for ax in axes.flat:
        style.zero_line(ax)
        if ax.get_legend_handles_labels()[0]:
            ax.legend(frameon=False, fontsize="small")
    axes[1][0].set_ylim(top=0.4)
    seeds = unseen[unseen.lag_s.notna()].groupby("lag_s").seed.nunique()
    at_each = " to ".join(str(n) for n in sorted({seeds.min(), seeds.max()}))
    counts = crossed.groupby("kind").seed.nunique()
    said = ", ".join(f"{EXEMPLARS[kind]}: {count}" for kind, count in counts.items()) or "none"
    style.caption(
        figure,
        f"64 classes of Tiny-ImageNet in drawn timelines. Seeds (world and network) at each lag: {at_each}; of crossed "
        f"worlds by photographs: {said}. Lines: means; small marks: seeds.",
    )
    with atomic(png) as temporary:
        figure.savefig(temporary, dpi=110)


def line(ax: Any, x: pd.Series, values: pd.Series, look: dict[str, Any]) -> None:
    """Mean at each x, and each value as a small mark."""
    means = pd.Series(values.to_numpy(), x.to_numpy()).groupby(level=0).mean()
    ax.plot(means.index, means, markersize=6, linewidth=1.4, **look)
    ax.plot(np.asarray(x), values, linestyle="none", marker="_", markersize=7, color=look["color"], alpha=0.6)
