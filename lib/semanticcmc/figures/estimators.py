"""What the published estimators and ours report of worlds whose truth is known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from semanticcmc.figures import style
from semanticcmc.figures.timescales import round_lags, time_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ESTIMATOR_STYLES: dict[str, dict[str, Any]] = {
    "published, lag of the minimum": {"color": "#B0301C", "marker": "X"},
    "ours, half-life": {"color": "#0B4F8A", "marker": "o"},
}
ORDER_LINES: dict[str, Any] = {"in time order": "-", "in the order of a set": (0, (5, 2))}


def truth_text(half_life_s: float) -> str:
    """A true half-life in words; an endless one is an association that belongs to the film."""
    return "whole film" if math.isinf(half_life_s) else time_text(half_life_s)


def r2_by_lag(table: pd.DataFrame) -> Figure:
    """The published R2 against lag in films of several lengths, a line for each true half-life.

    Parameters
    ----------
    table : DataFrame
        `film_s, half_life_s` (truth; infinite: the association belongs to the film), `lag_s, mean_r2`. A panel a film
        length, with the lag as a share of it and a line at half of it.
    """
    import matplotlib.pyplot as plt

    lengths = sorted(table.film_s.unique())
    truths = sorted(table.half_life_s.unique())
    colours = style.lag_colours(range(len(truths)))
    figure, row = plt.subplots(
        1, len(lengths), sharey=True, squeeze=False, figsize=(2 * style.COLUMN_IN, 0.62 * style.COLUMN_IN)
    )
    for ax, film_s in zip(row[0], lengths, strict=True):
        ax.axvline(0.5, color=style.QUIET, linewidth=1, linestyle=(0, (1, 1.2)), gid="half a film")
        for i, half_life_s in enumerate(truths):
            own = table[(table.film_s == film_s) & (table.half_life_s == half_life_s)].sort_values("lag_s")
            lowest = own.loc[own.mean_r2.idxmin()]
            ax.plot(
                own.lag_s / film_s,
                own.mean_r2,
                color=colours[i],
                gid=f"r2 {half_life_s:g}",
                label=truth_text(half_life_s),
            )
            ax.plot(
                [lowest.lag_s / film_s],
                [lowest.mean_r2],
                color=colours[i],
                marker="X",
                markeredgecolor="white",
                markersize=11,
                linestyle="",
                gid=f"minimum {half_life_s:g}",
            )
        ax.set_yscale("log")
        shown = [
            tick for tick in (0.001, 0.003, 0.01, 0.03, 0.1, 0.3) if table.mean_r2.between(tick / 3, tick * 3).any()
        ]
        ax.set_yticks(shown, [f"{tick:g}" for tick in shown])
        ax.set_yticks([], minor=True)
        ax.set_title(f"films of {time_text(film_s)}")
        ax.set_xlabel("lag (film lengths)")
        ax.set_xticks([0, 0.25, 0.5, 0.75, 1, 1.25], ["0", "¼", "½", "¾", "1", "1¼"])
    row[0][0].set_ylabel("published R², in sample")
    figure.legend(
        *row[0][0].get_legend_handles_labels(),
        loc="outside upper left",
        ncols=len(truths) + 1,
        title="truth: associations last (half-life)",
        alignment="left",
        fontsize=style.SMALL_PT + 1.5,
        title_fontsize=style.SMALL_PT + 1.5,
    )
    return figure


def reported(table: pd.DataFrame, title: str = "") -> Figure:
    """What each estimator reports against what is true, a panel a film length.

    Parameters
    ----------
    table : DataFrame
        `film_s, half_life_s` (truth), `estimator` (of `ESTIMATOR_STYLES`), `reported_s, ci_low_s, ci_high_s`; NaN where
        an estimator says that nothing can be told, NaN intervals where it gives none.
    title : str
    """
    import matplotlib.pyplot as plt

    lengths = sorted(table.film_s.unique())
    truths = sorted(table.half_life_s.unique())
    place = {half_life_s: i for i, half_life_s in enumerate(truths)}
    figure, row = plt.subplots(
        1, len(lengths), sharey=True, squeeze=False, figsize=(2 * style.COLUMN_IN, 0.66 * style.COLUMN_IN)
    )
    known = [value for value in (*table.reported_s, *table.ci_low_s, *table.ci_high_s) if np.isfinite(value)]
    low, high = min(known) / 1.6, max(known) * 1.6
    untold = low / 2.2
    for ax, film_s in zip(row[0], lengths, strict=True):
        for half_life_s, x in place.items():
            if np.isfinite(half_life_s):
                ax.plot(
                    [x - 0.42, x + 0.42],
                    [half_life_s] * 2,
                    color=style.INK,
                    linewidth=1.5,
                    gid="truth",
                    linestyle=(0, (1, 1.2)),
                )
        ax.axhline(film_s / 2, color=style.RULE, linewidth=5, zorder=0, gid="half a film")
        for shift, (estimator, look) in zip((-0.15, 0.15), ESTIMATOR_STYLES.items(), strict=True):
            own = table[(table.film_s == film_s) & (table.estimator == estimator)]
            x = own.half_life_s.map(place).to_numpy() + shift
            told = own.reported_s.notna().to_numpy()
            ax.vlines(x[told], own.ci_low_s[told], own.ci_high_s[told], color=look["color"], linewidth=2.5)
            ax.plot(x[told], own.reported_s[told], linestyle="", markersize=9, gid=estimator, label=estimator, **look)
            ax.plot(
                x[~told],
                np.full((~told).sum(), untold),
                linestyle="",
                markersize=9,
                markerfacecolor="white",
                gid=f"untold {estimator}",
                **look,
            )
        ax.set_yscale("log")
        ax.set_ylim(untold / 1.5, high)
        ax.set_xticks(list(place.values()), [truth_text(value) for value in truths])
        ax.set_xlabel("true half-life")
        ax.set_title(f"films of {time_text(film_s)}")
    ticks = [value for value in (5, 10, 30, 60, 300, 600, 1800, 3600, 10800) if low <= value <= high]
    row[0][0].set_yticks([untold, *ticks], ["cannot be told", *[time_text(tick) for tick in ticks]])
    row[0][0].set_yticks([], minor=True)
    row[0][0].set_ylabel("reported")
    figure.legend(
        *row[0][0].get_legend_handles_labels(), loc="outside upper left", ncols=2, title=title or None, alignment="left"
    )
    return figure


def r2_beside_published(
    streams: Mapping[str, pd.DataFrame], published: pd.DataFrame | None, film_s: float, ax: Axes | None = None
) -> Axes:
    """R2 of a stream of known truth, rows in order of time and of a set, and the published curve where it is at hand.

    Parameters
    ----------
    streams : mapping of str to DataFrame
        Order of rows, of `ORDER_LINES`, to a table `lag_s, mean_r2`.
    published : DataFrame, optional
        `lag_s, mean_r2`.
    film_s : float
        Mean duration of the films; a line at half of it.
    ax : Axes, optional
    """
    ax = style.axes(ax)
    ax.axvline(film_s / 120, color=style.QUIET, linewidth=1, linestyle=(0, (1, 1.2)), gid="half a film")
    for order, table in streams.items():
        ax.plot(
            table.lag_s / 60,
            table.mean_r2,
            color="#0B4F8A",
            linestyle=ORDER_LINES[order],
            gid=order,
            label=f"simulated, rows {order}",
        )
    if published is not None:
        ax.plot(
            published.lag_s / 60,
            published.mean_r2,
            color="#B0301C",
            marker="X",
            markersize=5,
            gid="published",
            label="published",
        )
    ax.set_ylim(0, None)
    ax.set_xlabel("lag (min); dotted: half a film")
    ax.set_ylabel("R², in sample")
    ax.legend()
    return ax


def rms_by_lag(curves: Mapping[str, pd.DataFrame], ax: Axes | None = None) -> Axes:
    """RMS difference against lag by several estimators.

    Parameters
    ----------
    curves : mapping of str to DataFrame
        What it is to `lag_s, rms_difference` and, where there is an interval, `ci_low, ci_high`, grey levels. What is
        called truth is dotted.
    ax : Axes, optional
    """
    ax = style.axes(ax)
    looks = iter(zip(style.GROUP_COLOURS, style.GROUP_MARKERS, strict=True))
    for name, table in curves.items():
        shown = table[table.lag_s > 0].sort_values("lag_s")
        if name == "truth":
            ax.plot(
                shown.lag_s,
                shown.rms_difference,
                color=style.INK,
                linestyle=(0, (1, 1.2)),
                zorder=4,
                gid=name,
                label=name,
            )
            continue
        colour, marker = next(looks)
        if "ci_low" in shown:
            ax.fill_between(
                shown.lag_s, shown.ci_low, shown.ci_high, color=colour, alpha=0.3, linewidth=0, gid=f"interval {name}"
            )
        ax.plot(shown.lag_s, shown.rms_difference, color=colour, marker=marker, markersize=5, gid=name, label=name)
    style.lag_axis(ax, round_lags([lag for table in curves.values() for lag in table.lag_s if lag > 0]))
    ax.set_ylim(0, None)
    ax.set_ylabel("RMS difference (grey levels)")
    ax.legend(fontsize=style.SMALL_PT + 1)
    return ax
