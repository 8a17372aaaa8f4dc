"""How long looks and associations last: curves by lag, and when they are down to half."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pandas as pd

from semanticcmc.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MEASURE_STYLES: dict[str, dict[str, Any]] = {
    "appearance": {"color": "#C46A1B", "marker": "^", "label": "looks"},
    "association": {"color": "#0B4F8A", "marker": "o", "label": "associations"},
    "prediction_r2": {"color": "#6B7280", "marker": "v", "label": "predictability (R²)"},
    "rms": {"color": "#8C3A7E", "marker": "s", "label": "RMS difference"},
    "features": {"color": "#4F8F5B", "marker": "D", "label": "untrained features"},
    "setting": {"color": "#0B4F8A", "marker": "o", "label": "setting"},
    "locale": {"color": "#C46A1B", "marker": "^", "label": "locale"},
    "int_or_ext": {"color": "#4F8F5B", "marker": "D", "label": "inside or outside"},
}
LEVEL_LINES: dict[str, Any] = {"film base rate": "-", "corpus base rate": (0, (5, 2))}
ROUND_LAGS_S = (0.2, 1, 3, 10, 30, 60, 180, 600, 1800, 3600, 10800)
TRUTH_LINE: Any = (0, (1, 1.2))


def persistence(
    table: pd.DataFrame,
    half_strengths: pd.DataFrame | None = None,
    truth: pd.DataFrame | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Strength of looks and of associations against lag on one axis: intervals, nulls, truth, when half is left.

    Parameters
    ----------
    table : DataFrame
        ``tables/timescales.csv``: ``measure, level, lag_s, value, ci_low, ci_high, null_low, null_high``; a line for
        every measure and level. Lags of 0 s have no place on the log axis and are left out.
    half_strengths : DataFrame, optional
        ``measure, level, half_strength_s, half_strength_low_s, half_strength_high_s`` (`half_strength`); a mark on the
        axis of lag, with its interval, for every measure that comes down to half above the film base rate.
    truth : DataFrame, optional
        ``measure, lag_s, value``; a thin dotted line for each measure of the table.
    ax : Axes, optional
    """
    ax = style.axes(ax)
    table = table[table.lag_s > 0]
    measures = [name for name in MEASURE_STYLES if table.value[table.measure == name].notna().any()]
    levels = [name for name in LEVEL_LINES if table.value[table.level == name].notna().any()]
    for measure in measures:
        look = MEASURE_STYLES[measure]
        for level, dashes in LEVEL_LINES.items():
            rows = table[(table.measure == measure) & (table.level == level)].sort_values("lag_s")
            if rows.value.notna().any():
                name = f"{measure} {level}"
                plain = level == "film base rate"
                ax.fill_between(
                    rows.lag_s,
                    rows.null_low,
                    rows.null_high,
                    color=look["color"],
                    alpha=0.12,
                    linewidth=0,
                    gid=f"null {name}",
                )
                ax.fill_between(
                    rows.lag_s,
                    rows.ci_low,
                    rows.ci_high,
                    color=look["color"],
                    alpha=0.3,
                    linewidth=0,
                    gid=f"interval {name}",
                )
                ax.plot(
                    rows.lag_s,
                    rows.value,
                    color=look["color"],
                    linestyle=dashes,
                    linewidth=2 if plain else 1.2,
                    marker=look["marker"] if plain else None,
                    markersize=5,
                    gid=name,
                )

        if truth is not None:
            known = truth[(truth.measure == measure) & truth.lag_s.between(table.lag_s.min(), table.lag_s.max())]
            known = known.sort_values("lag_s")
            ax.plot(
                known.lag_s,
                known.value,
                color=style.INK,
                linestyle=TRUTH_LINE,
                linewidth=1.6,
                zorder=4,
                gid=f"truth {measure}",
            )
    if half_strengths is not None:
        _half_strengths(ax, half_strengths[half_strengths.measure.isin(table.measure)], table.lag_s.max())
    style.zero_line(ax)
    style.lag_axis(ax, round_lags(table.lag_s))
    ax.set_ylim(-0.22, 1.1)  # at lags of nearly a film's length bands are wider than the axis
    ax.set_ylabel("strength (share of lag 0)")
    _legend(ax, measures, levels, truth is not None, half_strengths is not None)
    return ax


def _half_strengths(ax: Axes, table: pd.DataFrame, longest_s: float) -> None:
    """A diamond for each lag of half strength at the top of the axes, with its interval and its length in words."""
    shown = table[table.half_strength_s.notna() & (table.level == "film base rate")].sort_values("half_strength_s")
    columns = ("half_strength_s", "half_strength_low_s", "half_strength_high_s")
    for i, (measure, *times_s) in enumerate(zip(shown.measure, *(shown[c] for c in columns), strict=True)):
        half_s, low_s, high_s = map(float, times_s)
        look, height, end_s = MEASURE_STYLES[measure], 1.02 - 0.085 * i, min(high_s, longest_s)
        ax.plot(
            [low_s, end_s],
            [height, height],
            color=look["color"],
            linewidth=3,
            zorder=5,
            solid_capstyle="butt",
            gid=f"half strength interval {measure}",
        )
        ax.plot(
            [half_s],
            [height],
            color=look["color"],
            marker="d",
            markersize=9,
            markeredgecolor="white",
            zorder=6,
            gid=f"half strength {measure}",
        )
        end = time_text(high_s) if math.isfinite(high_s) else "beyond all lags"
        text = f"{time_text(half_s)} ({time_text(low_s)} to {end})"
        ax.annotate(
            text,
            (end_s, height),
            (7, 0),
            textcoords="offset points",
            va="center",
            zorder=6,
            color=look["color"],
            fontsize=style.SMALL_PT + 0.5,
            fontweight="bold",
        )


def round_lags(lags_s: Iterable[float]) -> list[float]:
    """Lags for the ticks of an axis: round ones within the range of those given, or these where there are too few."""
    measured = sorted(set(lags_s))
    ticks = [lag for lag in ROUND_LAGS_S if 0.999 * measured[0] <= lag <= 1.001 * measured[-1]]
    return ticks if len(ticks) > 2 else measured


def time_text(seconds: float) -> str:
    """Two digits of a time: ``7.3 s``, ``4.1 min``, ``2.5 h``."""
    if seconds < 99.5:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.2g} min" if seconds < 99.5 * 60 else f"{seconds / 3600:.2g} h"


def _legend(ax: Axes, measures: list[str], levels: list[str], truth: bool, half_strengths: bool) -> None:
    """What colours are, and what lines are, above the axes."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], **MEASURE_STYLES[measure], markersize=5) for measure in measures]
    handles += [
        Line2D([], [], color=style.QUIET, linestyle=LEVEL_LINES[level], label=f"above {level}") for level in levels
    ]
    if truth:
        handles.append(Line2D([], [], color=style.INK, linestyle=TRUTH_LINE, label="truth of the world"))
    if half_strengths:
        handles.append(Line2D([], [], color=style.QUIET, marker="d", linestyle="", label="half of lag 0"))
    ax.legend(
        handles=handles,
        ncols=3,
        loc="lower left",
        bbox_to_anchor=(-0.02, 1.0),
        fontsize=style.SMALL_PT + 0.5,
        columnspacing=1.2,
    )
