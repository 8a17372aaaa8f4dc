"""Draws the study of kind and company: lag curves of crossed worlds, the mix, and what company of company teaches."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from semanticcmc.figures import style
from semanticcmc.run import atomic

ALT = (
    "Five panels with intervals over worlds: theme and category against the lag where themes cross categories, simple, "
    "given looks, and given each other; both against the share of crossed scenes; category where its halves never meet."
)
LOOKS = {  # told apart in grey by marker and line
    "theme": {"color": style.INK, "marker": "o", "linestyle": "-", "label": "theme"},
    "category": {"color": "#B45F06", "marker": "s", "linestyle": "--", "label": "category"},
}


def draw(means: pd.DataFrame, mix: dict[str, float], png: Path) -> None:
    """Lag curves of the crossed world in three ways, the mix (share of crossed scenes by kind), and second order."""
    style.use_house_style()
    figure, axes = plt.subplots(2, 3, figsize=(9.6, 6.4), layout="constrained", sharey="row")
    crossed = means[(means.kind == "crossed") & (means.pairs == "all")]
    ways = {"simple r": ("none", "none"), "given the true looks": ("look", "look")}
    ways["given looks, each other"] = ("look + category", "look + crossed")
    for ax, (title, controls) in zip(axes[0], ways.items(), strict=True):
        for (name, look), control in zip(LOOKS.items(), controls, strict=True):
            rows = crossed[(crossed.model == name) & (crossed.control == control)].sort_values("lag_s")
            points(ax, np.where(rows.lag_s == 0, 0.3, rows.lag_s), rows, look)
        ax.set_title(f"crossed, {title}", fontsize="medium")
        ax.set(xscale="log", xlabel="time lag (s)")
        ax.set_xticks([0.3, 1, 10, 60, 600], ["same\nframe", "1", "10", "60", "600"])
        ax.minorticks_off()
    mixed = means[means.kind.isin(mix) & (means.lag_s == 60) & (means.pairs == "all")].assign(w=means.kind.map(mix))
    for ax, controls, title in (
        (axes[1][0], ("look", "look"), "mix at 60 s: given looks"),
        (axes[1][1], ("look + category", "look + crossed"), "mix at 60 s: and each other"),
    ):
        for (name, look), control in zip(
            {"crossed": LOOKS["theme"], "category": LOOKS["category"]}.items(), controls, strict=True
        ):
            rows = mixed[(mixed.model == name) & (mixed.control == control)].sort_values("w")
            points(ax, rows.w, rows, look)
        ax.set_title(title, fontsize="medium")
        ax.set_xlabel("share of crossed scenes")
    second, ax = means[(means.kind == "second_order") & (means.model == "category")], axes[1][2]
    shown = {
        "all pairs": ("all", "look"),
        "never met": ("never met", "look"),
        "never met,\ngiven association": ("never met", "look + association"),
    }
    for lag_s, marker, shift, fill in ((0, "v", -0.2, "white"), (1, "D", 0.0, "#9A9A9A"), (60, "s", 0.2, "#B45F06")):
        rows = [
            second[(second.lag_s == lag_s) & (second.pairs == of) & (second.control == given)]
            for of, given in shown.values()
        ]
        for place, row in enumerate(rows):
            look = {"color": "#B45F06", "marker": marker, "linestyle": "none", "markerfacecolor": fill}
            points(
                ax,
                np.full(len(row), place + shift),
                row,
                look | ({"label": f"{lag_s} s" if lag_s else "same frame"} if not place else {}),
            )
    ax.set_xticks(range(3), list(shown))
    ax.set_title("second order: category", fontsize="medium")
    ax.margins(x=0.15)
    ax.set_ylim(-0.3, 0.4)  # intervals of two worlds go beyond
    for ax in axes.flat:
        style.zero_line(ax)
    axes[0][0].legend(loc="upper left", frameon=False)
    ax.legend(loc="lower center", ncols=3, frameon=False, fontsize="small", columnspacing=0.8, handletextpad=0.2)
    for row in axes:
        row[0].set_ylabel("(partial) r, fc7")
    n = means[means.lag_s == 60].set_index("kind").worlds.groupby(level=0).max().astype(int)
    shares = [f"{share:g}: {n[kind]}" for kind, share in mix.items() if kind in n]
    told = f"share of crossed scenes {', '.join(shares)}; second order: {n.get('second_order', 0)}"
    style.caption(
        figure, f"Means over worlds, 95 % t intervals over worlds (worlds at 60 s: {told}); 48 classes, 300 steps, fc7."
    )
    with atomic(png) as temporary:
        figure.savefig(temporary, dpi=110)


def points(ax: Axes, x: np.ndarray | pd.Series, rows: pd.DataFrame, look: dict[str, Any]) -> None:
    """Means and their intervals."""
    error = np.abs(rows[["low", "high"]].to_numpy().T - rows["mean"].to_numpy()).reshape(2, -1)
    ax.errorbar(x, rows["mean"], np.nan_to_num(error), capsize=2, markersize=5, linewidth=1.3, **look)
