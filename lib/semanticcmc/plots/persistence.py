"""How long looks and associations last: curves by lag with their half-lives, and what other estimators make of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pandas as pd

from semanticcmc.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MEASURE_STYLES: dict[str, dict[str, Any]] = {
    "appearance": {"color": "#C46A1B", "marker": "^", "label": "looks"},
    "association": {"color": "#0B4F8A", "marker": "o", "label": "associations"},
    "rms": {"color": "#8C3A7E", "marker": "s", "label": "RMS difference"},
    "features": {"color": "#4F8F5B", "marker": "D", "label": "untrained features"},
    "setting": {"color": "#0B4F8A", "marker": "o", "label": "setting"},
    "locale": {"color": "#C46A1B", "marker": "^", "label": "locale"},
    "int_or_ext": {"color": "#4F8F5B", "marker": "D", "label": "inside or outside"},
}
LEVEL_LINES = {"film base rate": "-", "corpus base rate": (0, (5, 2))}
ROUND_LAGS_S = (0.2, 1, 3, 10, 30, 60, 180, 600, 1800, 3600, 10800)
TRUTH_LINE = (0, (1, 1.2))


def persistence(
    table: pd.DataFrame,
    half_lives: pd.DataFrame | None = None,
    truth: pd.DataFrame | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Strength of looks and of associations against lag on one axis, with intervals, nulls, half-lives and truth.

    Parameters
    ----------
    table : DataFrame
        ``tables/timescales.csv``: ``measure, level, lag_s, value, ci_low, ci_high, null_low, null_high``; a line for
        every measure and level. Lags of 0 s have no place on the log axis and are left out.
    half_lives : DataFrame, optional
        ``tables/half_lives.csv``: ``measure, level, half_life_s, ci_low_s, ci_high_s``; a mark on the axis of
        lag, with its interval, for every measure that has one above the film base rate.
    truth : DataFrame, optional
        ``measure, lag_s, value``; a thin dotted line for each measure of the table.
    ax : Axes, optional
    """
    ax = style.axes(ax)
    table = table[table.lag_s > 0]
    measures = [name for name in MEASURE_STYLES if (table.measure == name).any()]
    levels = [name for name in LEVEL_LINES if table.value[table.level == name].notna().any()]
    for measure in measures:
        look = MEASURE_STYLES[measure]
        for level, dashes in LEVEL_LINES.items():
            rows = table[(table.measure == measure) & (table.level == level)].sort_values("lag_s")
            if rows.value.notna().any():
                name = f"{measure} {level}"
                plain = level == "film base rate"
                ax.fill_between(rows.lag_s, rows.null_low, rows.null_high, color=look["color"], alpha=0.12,
                                linewidth=0, gid=f"null {name}")  # fmt: skip
                ax.fill_between(rows.lag_s, rows.ci_low, rows.ci_high, color=look["color"], alpha=0.3, linewidth=0,
                                gid=f"interval {name}")  # fmt: skip
                ax.plot(rows.lag_s, rows.value, color=look["color"], linestyle=dashes, linewidth=2 if plain else 1.2,
                        marker=look["marker"] if plain else None, markersize=5, gid=name)  # fmt: skip

        if truth is not None:
            known = truth[
                (truth.measure == measure) & truth.lag_s.between(table.lag_s.min(), table.lag_s.max())
            ]
            known = known.sort_values("lag_s")
            ax.plot(known.lag_s, known.value, color=style.INK, linestyle=TRUTH_LINE, linewidth=1.6, zorder=4,
                    gid=f"truth {measure}")  # fmt: skip
    if half_lives is not None:
        _half_lives(ax, half_lives[half_lives.measure.isin(table.measure)])
    style.zero_line(ax)
    style.lag_axis(ax, round_lags(table.lag_s))
    ax.set_ylim(-0.22, 1.1)  # at lags of nearly a film's length bands are wider than the axis
    ax.set_ylabel("strength (share of lag 0)")
    _legend(ax, measures, levels, truth is not None, half_lives is not None)
    return ax


def _half_lives(ax: Axes, half_lives: pd.DataFrame) -> None:
    """A diamond for each half-life at the top of the axes, with its interval and its length in words."""
    shown = half_lives[half_lives.half_life_s.notna() & (half_lives.level == "film base rate")]
    for i, row in enumerate(shown.sort_values("half_life_s").itertuples()):
        look = MEASURE_STYLES[str(row.measure)]
        height = 1.02 - 0.085 * i
        ax.plot([row.ci_low_s, row.ci_high_s], [height, height], color=look["color"], linewidth=3, zorder=5,
                solid_capstyle="butt", gid=f"half-life interval {row.measure}")  # fmt: skip
        ax.plot([row.half_life_s], [height], color=look["color"], marker="d", markersize=9, markeredgecolor="white",
                zorder=6, gid=f"half-life {row.measure}")  # fmt: skip
        text = f"{time_text(row.half_life_s)} ({time_text(row.ci_low_s)} to {time_text(row.ci_high_s)})"
        ax.annotate(text, (row.ci_high_s, height), (7, 0), textcoords="offset points", va="center", zorder=6,
                    color=look["color"], fontsize=style.SMALL_PT + 0.5, fontweight="bold")  # fmt: skip


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


def _legend(ax: Axes, measures: list[str], levels: list[str], truth: bool, half_lives: bool) -> None:
    """What colours are, and what lines are, above the axes."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], **MEASURE_STYLES[measure], markersize=5) for measure in measures]
    handles += [
        Line2D([], [], color=style.QUIET, linestyle=LEVEL_LINES[level], label=f"above {level}")
        for level in levels
    ]
    if truth:
        handles.append(Line2D([], [], color=style.INK, linestyle=TRUTH_LINE, label="truth of the world"))
    if half_lives:
        handles.append(Line2D([], [], color=style.QUIET, marker="d", linestyle="", label="half-life"))
    ax.legend(handles=handles, ncols=3, loc="lower left", bbox_to_anchor=(-0.02, 1.0), fontsize=style.SMALL_PT + 0.5,
              columnspacing=1.2)  # fmt: skip
