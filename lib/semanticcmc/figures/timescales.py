"""How long looks and associations last, by lag; and what estimators report of worlds whose truth is known."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from semanticcmc.figures import style
from semanticcmc.figures.style import Axes, Drawn
from semanticcmc.figures.tables import percent, records, select
from semanticcmc.run import counted, duration

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
LEVEL_LINES: dict[str, Any] = {"film base rate": "-", "corpus base rate": style.DASHED}
ROUND_LAGS_S = (0.2, 1, 3, 10, 30, 60, 180, 600, 1800, 3600, 10800)
OURS, PUBLISHED = "#0B4F8A", "#B0301C"
ESTIMATOR_STYLES: dict[str, dict[str, Any]] = {
    "published, lag of the minimum": {"color": PUBLISHED, "marker": "X"},
    "ours, half-life": {"color": OURS, "marker": "o"},
}
ORDER_LINES: dict[str, Any] = {"in time order": "-", "in the order of a set": style.DASHED}
HALF_A_FILM: dict[str, Any] = {"color": style.QUIET, "linewidth": 1, "linestyle": style.DOTTED, "gid": "half a film"}


def persistence(
    table: pd.DataFrame,
    half_strengths: pd.DataFrame,
    truth: pd.DataFrame | None = None,
    *,
    confidence: float,
    count: int,
    unit: str = "film",
    seconds: float | None = None,
    layer: str = "",
    shared: float | None = None,
) -> Drawn:
    """Strength of looks and of associations against lag on one axis: intervals, nulls, truth, when half is left.

    Artists carry a gid: ``appearance film base rate``, ``interval ...`` and ``null ...`` of it, ``truth appearance``,
    ``half strength appearance``.

    Parameters
    ----------
    table : DataFrame
        ``tables/timescales.csv``: ``measure, level, lag_s, value, ci_low, ci_high, null_low, null_high``. Lags of 0 s
        have no place on the log axis and are left out.
    half_strengths : DataFrame
        ``measure, level, half_strength_s, half_strength_low_s, half_strength_high_s`` (`half_strength`), marked for
        every measure that comes down to half above the film base rate.
    truth : DataFrame, optional
        ``measure, lag_s, value``, dotted.
    confidence, count, unit, seconds
        Level of the intervals, between 0 and 1; how many films, or other units, they are a bootstrap over, and how long
        these are together.
    layer, shared
        Layer of the untrained features; what the truth of looks counts the other camera set-up of a place for.
    """
    [ax] = axes = style.panels()
    table = table[table.lag_s > 0].sort_values("lag_s").dropna(subset="value")
    measures = [name for name in MEASURE_STYLES if name in set(table.measure)]
    levels = [name for name in LEVEL_LINES if name in set(table.level)]
    for measure, level in itertools.product(measures, levels):
        look, name, rows = MEASURE_STYLES[measure], f"{measure} {level}", select(table, measure=measure, level=level)
        if rows.empty:
            continue
        for low, high, alpha, what in (("null_low", "null_high", 0.12, "null"), ("ci_low", "ci_high", 0.3, "interval")):
            band = {"color": look["color"], "alpha": alpha, "linewidth": 0, "gid": f"{what} {name}"}
            ax.fill_between(rows.lag_s, rows[low], rows[high], **band)
        plain = {"color": look["color"], "linestyle": LEVEL_LINES[level], "linewidth": 1.2}
        line = look | {"linewidth": 2, "markersize": 5} if level == "film base rate" else plain
        ax.plot(rows.lag_s, rows.value, gid=name, **line)
    for level in levels:
        ax.plot([], [], color=style.QUIET, linestyle=LEVEL_LINES[level], label=f"above {level}")
    if truth is not None:
        known = truth[truth.lag_s.between(table.lag_s.min(), table.lag_s.max())].sort_values("lag_s")
        dots = {"color": style.INK, "linestyle": style.DOTTED, "linewidth": 1.6, "zorder": 4}
        for measure in measures:
            own, label = known[known.measure == measure], "truth of the world" if measure == measures[0] else "_"
            ax.plot(own.lag_s, own.value, gid=f"truth {measure}", label=label, **dots)
    ax.plot([], [], "d", color=style.QUIET, label="half of lag 0")
    halves = select(half_strengths, measure=measures, level="film base rate").dropna(subset="half_strength_s")
    told = _half_strengths(ax, halves.sort_values("half_strength_s"), table.lag_s.max())
    style.zero_line(ax)
    style.lag_axis(ax, round_lags(table.lag_s), "time lag")
    # At lags of nearly a film's length bands are wider than the axis.
    ax.set(ylim=(-0.22, 1.1), ylabel="strength (share of lag 0)")
    style.legend_above(ax, 3, bbox_to_anchor=(-0.02, 1.0), fontsize=style.SMALL_PT + 0.5)
    alt = (
        f"Strength of {', '.join(MEASURE_STYLES[measure]['label'] for measure in measures)} against lag, as a share of "
        f"lag 0. Down to half at:{''.join(f' {text}.' for text in told) or ' no lag.'}"
    )
    what = counted(count, unit) + ("" if seconds is None else f", {duration(seconds)}")
    words = f"{what}; bands: {percent(confidence)} bootstrap over {unit}s; pale: the same where nothing lasts"
    words += f"; untrained features: {layer}, random weights" if layer else ""
    if shared is not None and math.isfinite(shared):
        words += f"; truth of looks: same set-up, and {shared:.2f} of it in the place's other one"
    return Drawn(axes, alt, f"{words}.")


def _half_strengths(ax: Axes, table: pd.DataFrame, longest_s: float) -> list[str]:
    """A diamond for each lag of half strength at the top of the axes, with its interval; the lags in words."""
    told = []
    for i, one in enumerate(records(table)):
        low_s, high_s = one.half_strength_low_s, one.half_strength_high_s
        look, height, end_s = MEASURE_STYLES[one.measure], 1.02 - 0.085 * i, min(high_s, longest_s)
        bar = {"color": look["color"], "linewidth": 3, "zorder": 5, "solid_capstyle": "butt"}
        ax.plot([low_s, end_s], [height, height], gid=f"half strength interval {one.measure}", **bar)
        mark = {"color": look["color"], "marker": "d", "markersize": 9, "markeredgecolor": "white", "zorder": 6}
        ax.plot([one.half_strength_s], [height], gid=f"half strength {one.measure}", **mark)
        end = time_text(high_s) if math.isfinite(high_s) else "beyond all lags"
        text = f"{time_text(one.half_strength_s)} ({time_text(low_s)} to {end})"
        letters = {"color": look["color"], "fontsize": style.SMALL_PT + 0.5, "fontweight": "bold"}
        ax.annotate(text, (end_s, height), (7, 0), textcoords="offset points", va="center", zorder=6, **letters)
        told.append(f"{look['label']} {text}")
    return told


def round_lags(lags_s: Iterable[float]) -> list[float]:
    """Lags for the ticks of an axis: round ones within the range of those given, or these where there are too few."""
    measured = sorted(set(lags_s))
    ticks = [lag for lag in ROUND_LAGS_S if 0.999 * measured[0] <= lag <= 1.001 * measured[-1]]
    return ticks if len(ticks) > 2 else measured


def time_text(seconds: float) -> str:
    """Two digits of a time: ``7.3 s``, ``4.1 min``, ``2.5 h``; without end it is that of a ``whole film``."""
    if math.isinf(seconds):
        return "whole film"
    if seconds < 99.5:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.2g} min" if seconds < 99.5 * 60 else f"{seconds / 3600:.2g} h"


def r2_by_lag(table: pd.DataFrame, *, films: int, parts: int, interval_s: float) -> Drawn:
    """The published R2 against lag, a panel a length of film, a line a true half-life, its minimum a cross.

    Parameters
    ----------
    table : DataFrame
        ``film_s, half_life_s`` (truth; infinite: the association belongs to the film), ``lag_s, mean_r2``.
    films, parts, interval_s
        Films of a world, parts that the estimator makes of them, seconds between label sets.
    """
    import seaborn as sns

    axes = _panel_by_length(table, 0.62)
    labels = {half_life_s: time_text(half_life_s) for half_life_s in sorted(table.half_life_s.unique())}
    palette = dict(zip(labels.values(), style.lag_colours(range(len(labels))).values(), strict=True))
    table = table.assign(share=table.lag_s / table.film_s, truth=table.half_life_s.map(labels))
    lowest = table.loc[table.groupby(["film_s", "half_life_s"]).mean_r2.idxmin()]
    ticks = [tick for tick in (0.001, 0.003, 0.01, 0.03, 0.1, 0.3) if table.mean_r2.between(tick / 3, tick * 3).any()]
    look: dict[str, Any] = {"x": "share", "y": "mean_r2", "hue": "truth", "hue_order": list(palette)}
    for ax, (film_s, own) in zip(axes, table.groupby("film_s"), strict=True):
        ax.axvline(0.5, **HALF_A_FILM)
        sns.lineplot(own, ax=ax, estimator=None, palette=palette, legend=ax is axes[0], **look)
        crosses = {"marker": "X", "s": 120, "zorder": 3, "legend": False, "palette": palette}
        sns.scatterplot(lowest[lowest.film_s == film_s], ax=ax, **crosses, **look)
        ax.set_yscale("log")
        ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.set_yticks([], minor=True)
        ax.set_xticks([0, 0.25, 0.5, 0.75, 1, 1.25], ["0", "¼", "½", "¾", "1", "1¼"])
        ax.set(xlabel="lag (film lengths)", ylabel="published R², in sample")
        ax.label_outer()
    more = {"fontsize": style.SMALL_PT + 1.5, "title_fontsize": style.SMALL_PT + 1.5}
    _legend_of_figure(axes[0], len(palette) + 1, title="truth: associations last (half-life)", **more)
    alt = (
        f"Published R2 against lag in film lengths, for films of {len(axes)} lengths and associations of {len(labels)} "
        f"time scales; the minima are at {lowest.share.median():.2f} film lengths (median), from "
        f"{lowest.share.min():.2f} to {lowest.share.max():.2f}."
    )
    what = f"One world of each kind; {films} films in {parts} parts, a label set every {interval_s:g} s"
    return Drawn(axes, alt, f"{what}; crosses: minimum; dotted: half a film.")


def reported(table: pd.DataFrame, *, confidence: float, films: int, worlds: int) -> Drawn:
    """What each estimator reports against what is true, a panel a length of film.

    Points carry the estimator as their gid, ``untold ...`` where it says that nothing can be told.

    Parameters
    ----------
    table : DataFrame
        ``film_s, half_life_s`` (truth), ``estimator`` (of `ESTIMATOR_STYLES`), ``reported_s, ci_low_s, ci_high_s``; NaN
        where nothing can be told.
    confidence : float
        Level of our intervals, between 0 and 1.
    films, worlds : int
        Films of a world, and worlds that the published estimator was given.
    """
    axes = _panel_by_length(table, 0.66)
    table = table.rename(columns={"ci_low_s": "ci_low", "ci_high_s": "ci_high"})
    place = {half_life_s: i for i, half_life_s in enumerate(sorted(table.half_life_s.unique()))}
    known = table[["reported_s", "ci_low", "ci_high"]].to_numpy()
    low, high = np.nanmin(known) / 1.6, np.max(known[np.isfinite(known)]) * 1.6
    untold = low / 2.2
    for ax, film_s in zip(axes, sorted(table.film_s.unique()), strict=True):
        ax.axhline(film_s / 2, color=style.RULE, linewidth=5, zorder=0, gid="half a film")
        for half_life_s, x in place.items():
            truth = {"color": style.INK, "linewidth": 1.5, "linestyle": style.DOTTED, "gid": "truth"}
            ax.plot([x - 0.42, x + 0.42], [half_life_s] * 2, **truth)
        for shift, (estimator, look) in zip((-0.15, 0.15), ESTIMATOR_STYLES.items(), strict=True):
            own = table[(table.film_s == film_s) & (table.estimator == estimator)]
            told, silent = own.dropna(subset="reported_s"), own[own.reported_s.isna()].assign(reported_s=untold)
            for rows, filled, gid in ((told, True, estimator), (silent, False, f"untold {estimator}")):
                places, label = rows.half_life_s.map(place) + shift, {"label": estimator} if filled else {}
                style.marks(ax, rows, places, look | label, "reported_s", filled=filled, size=9, gid=gid)
        ax.set(yscale="log", ylim=(untold / 1.5, high), xlabel="true half-life")
        ax.set_xticks(list(place.values()), [time_text(value) for value in place])
    ticks = [value for value in (5, 10, 30, 60, 300, 600, 1800, 3600, 10800) if low <= value <= high]
    axes[0].set_yticks([untold, *ticks], ["cannot be told", *map(time_text, ticks)])
    axes[0].set_yticks([], minor=True)
    axes[0].set_ylabel("reported")
    _legend_of_figure(axes[0], 2)
    alt = (
        f"Reported against true half-life in films of {len(axes)} lengths: the published estimator gives about half a "
        "film for every truth, ours the truth or that it cannot be told."
    )
    words = (
        f"Dotted: truth. Grey bar: half a film. Published: median and range over {counted(worlds, 'world')}; ours: "
        f"{percent(confidence)} bootstrap over {counted(films, 'film')}. Below: the estimator says that the time scale "
        "cannot be told from what belongs to the film, or that nothing falls with the lag."
    )
    return Drawn(axes, alt, words)


def _panel_by_length(table: pd.DataFrame, height: float) -> list[Axes]:
    lengths = sorted(table.film_s.unique())
    axes = style.panels(1, len(lengths), 2.0, height, sharey=True)
    for ax, film_s in zip(axes, lengths, strict=True):
        ax.set_title(f"films of {time_text(film_s)}")
    return axes


def _legend_of_figure(ax: Axes, columns: int, **more: Any) -> None:
    handles, labels = ax.get_legend_handles_labels()
    if ax.get_legend():
        ax.get_legend().remove()
    ax.figure.legend(handles, labels, loc="outside upper left", ncols=columns, alignment="left", **more)


def r2_beside_published(
    streams: Mapping[str, pd.DataFrame],
    published: pd.DataFrame | None,
    *,
    film_s: Sequence[float],
    half_life_s: float,
    parts: int,
) -> Drawn:
    """R2 of a stream of known truth, rows in order of time and of a set, and the published curve where it is at hand.

    Parameters
    ----------
    streams : mapping of str to DataFrame
        Order of rows, of `ORDER_LINES`, to a table ``lag_s, mean_r2``.
    published : DataFrame, optional
        ``lag_s, mean_r2``.
    film_s, half_life_s, parts
        Durations of the films, true half-life of the associations, and parts that the estimator makes of the films.
    """
    [ax] = axes = style.panels()
    mean_min = float(np.mean(film_s)) / 60
    ax.axvline(mean_min / 2, **HALF_A_FILM)
    for order, table in streams.items():
        line = {"color": OURS, "linestyle": ORDER_LINES[order], "label": f"simulated, rows {order}", "gid": order}
        ax.plot(table.lag_s / 60, table.mean_r2, **line)
    if published is not None:
        line = {"color": PUBLISHED, "marker": "X", "markersize": 5, "label": "published", "gid": "published"}
        ax.plot(published.lag_s / 60, published.mean_r2, **line)
    ax.set(ylim=(0, None), xlabel="lag (min); dotted: half a film", ylabel="R², in sample")
    ax.legend()
    minima = {order: table.sort_values("mean_r2").lag_s.iloc[0] for order, table in streams.items()}
    lowest = " and ".join(f"{lag_s / 60:.0f} min {order}" for order, lag_s in minima.items())
    last = f"half-life of {time_text(half_life_s)}"
    alt = f"R2 against lag of a simulated stream whose associations have a {last}: lowest at {lowest}."
    words = (
        f"Simulated: {len(film_s)} films of {mean_min:.1f} min on average, associations with a {last}; {parts} parts."
    )
    return Drawn(axes, alt, words)


def rms_by_lag(curves: Mapping[str, pd.DataFrame], found: pd.Series, *, films: int, half_life_s: float) -> Drawn:
    """RMS difference against lag by several estimators.

    Parameters
    ----------
    curves : mapping of str to DataFrame
        What it is to ``lag_s, rms_difference`` and, where there is an interval, ``ci_low, ci_high``, grey levels. What
        is called truth is dotted.
    found : Series
        Our ``half_life_s, ci_low_s, ci_high_s`` (`half_lives`).
    films, half_life_s
        Number of films, and true half-life of their shots.
    """
    [ax] = axes = style.panels()
    looks = style.group_styles(name for name in curves if name != "truth")
    for name, table in curves.items():
        shown = table[table.lag_s > 0].sort_values("lag_s")
        look = looks.get(name, {"color": style.INK, "linestyle": style.DOTTED, "label": name, "zorder": 4})
        if "ci_low" in shown:
            band = {"color": look["color"], "alpha": 0.3, "linewidth": 0, "gid": f"interval {name}"}
            ax.fill_between(shown.lag_s, shown.ci_low, shown.ci_high, **band)
        ax.plot(shown.lag_s, shown.rms_difference, gid=name, markersize=5, **look)
    lags_s = pd.concat([table.lag_s for table in curves.values()])
    style.lag_axis(ax, round_lags(lags_s[lags_s > 0]), "time lag")
    ax.set(ylim=(0, None), ylabel="RMS difference (grey levels)")
    ax.legend(fontsize=style.SMALL_PT + 1)
    half = f"{found.half_life_s:.1f} s"
    alt = (
        f"RMS difference against lag: over all pairs it follows the truth and gives a half-life of {half}; to the "
        "first frame it tells when the black opening ends."
    )
    words = (
        f"{films} simulated films of shots, half-life {half_life_s:g} s; ours, from the covariance: {half} "
        f"({found.ci_low_s:.1f} to {found.ci_high_s:.1f} s). Truth is scaled to unrelated frames."
    )
    return Drawn(axes, alt, words)
