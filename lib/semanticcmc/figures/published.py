"""The published correlations beside ours: drawn from tables/published.csv."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from semanticcmc.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def published_table(table: pd.DataFrame, control: str = "random", ax: Axes | None = None) -> Axes:
    """The published correlations with LCH beside ours, each at its lag.

    Parameters
    ----------
    table : DataFrame
        ``tables/published.csv``: ``source`` (``published`` or ``ours``), ``network``, ``lag_s``,
        ``control``, ``mantel_r``, and ``ci_low``, ``ci_high`` where known.
    control : str
        Control of the partial correlation; the simple one is drawn faint.
    ax : Axes, optional
    """
    ax = style.axes(ax)
    looks = {
        "published": {"color": style.QUIET, "marker": "D", "label": "published"},
        "ours": {"color": style.MODEL_STYLES["lch"]["color"], "marker": "s", "label": "here"},
    }
    lags_s = sorted(table.lag_s[table.lag_s > 0].unique())
    for source, look in looks.items():
        rows = table[(table.source == source) & (table.lag_s > 0)].dropna(subset="mantel_r")
        for kind, shown in (("partial", control), ("simple", "none")):
            solid = kind == "partial"
            own = rows[rows.control == shown].sort_values("lag_s")
            if own.empty:
                continue
            mean = own.groupby("lag_s")[["mantel_r", "ci_low", "ci_high"]].mean()
            ax.plot(
                mean.index,
                mean.mantel_r,
                gid=f"{source} {kind}",
                label=f"{look['label']}, {kind}",
                color=look["color"],
                marker=look["marker"],
                alpha=1.0 if solid else 0.55,
                linestyle="-" if solid else (0, (3, 2)),
                linewidth=2.4 if solid else 1.2,
                markerfacecolor=look["color"] if solid else "white",
            )
            if solid:
                ax.vlines(mean.index, mean.ci_low, mean.ci_high, color=look["color"], linewidth=1.2)
    style.zero_line(ax)
    style.lag_axis(ax, lags_s, "time lag between the two views")
    ax.set_ylabel("r with WordNet (LCH)")
    ax.legend(ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
    return ax
