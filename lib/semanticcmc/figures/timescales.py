"""How long looks and associations last, by lag."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from semanticcmc.config import InputError
from semanticcmc.figures import style
from semanticcmc.figures.style import Axes, Drawn
from semanticcmc.figures.tables import Selection, model_names, percent, records, select
from semanticcmc.run import counted, duration

MEASURE_STYLES: dict[str, dict[str, Any]] = {
    "appearance": {"color": "#C46A1B", "marker": "^", "label": "looks"},
    "association": {"color": "#0B4F8A", "marker": "o", "label": "associations"},
    "rms": {"color": "#8C3A7E", "marker": "s", "label": "RMS difference"},
    "features": {"color": "#4F8F5B", "marker": "D", "label": "untrained features"},
}
LEVEL_LINES: dict[str, Any] = {"film base rate": "-", "corpus base rate": style.DASHED}
ROUND_LAGS_S = (0.2, 1, 3, 10, 30, 60, 180, 600, 1800, 3600, 10800)


def persistence(
    table: pd.DataFrame,
    half_strengths: pd.DataFrame,
    truth: pd.DataFrame | None = None,
    *,
    confidence: float,
    count: int,
    seconds: float | None = None,
    layer: str = "",
    shared: float | None = None,
) -> Drawn:
    """Strength of looks and of associations against lag on one axis: intervals, nulls, truth, when half is left.

    Artists carry a gid: ``appearance film base rate``, ``interval ...`` and ``null ...`` of it, ``truth appearance``,
    ``half strength appearance``.

    `table` is ``tables/timescales.csv``; lags of 0 s have no place on the log axis and are left out. `half_strengths`
    (`decay.half_strength`) are marked for every measure that comes down to half above the film base rate; `truth`
    (``measure, lag_s, value``) is dotted. The intervals, at the level `confidence`, between 0 and 1, are a bootstrap
    over `count` films of `seconds` together. `layer` is that of the untrained features, `shared` what the truth of
    looks counts the other camera set-up of a place for.
    """
    [ax] = axes = style.panels(width=0.67, height=0.55)
    table = table[table.lag_s > 0].sort_values("lag_s").dropna(subset="value")
    if table.empty:
        raise InputError("no curve to draw: associations need two films with labels or more, looks need frames")
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
    ax.set(ylim=(-0.22, 1.33), yticks=np.arange(-0.2, 1.1, 0.2), ylabel="strength (share of lag 0)")
    style.legend_above(ax, 2, bbox_to_anchor=(-0.12, 1.0), fontsize=style.SMALL_PT + 0.5)
    alt = (
        f"Strength of {', '.join(MEASURE_STYLES[measure]['label'] for measure in measures)} against lag, as a share of "
        f"lag 0. Down to half at:{''.join(f' {text}.' for text in told) or ' no lag.'}"
    )
    what = counted(count, "film") + ("" if seconds is None else f", {duration(seconds)}")
    words = f"{what}; bands: {percent(confidence)} bootstrap over films; pale: the same where nothing lasts"
    words += f"; untrained features: {layer}, random weights" if layer else ""
    if shared is not None and math.isfinite(shared):
        words += f"; truth of looks: same set-up, and {shared:.2f} of it in the place's other one"
    return Drawn(axes, alt, f"{words}.")


def _half_strengths(ax: Axes, table: pd.DataFrame, longest_s: float) -> list[str]:
    """A diamond for each lag of half strength at the top of the axes, with its interval; the lags in words."""
    told = []
    for i, one in enumerate(records(table)):
        low_s, high_s = one.half_strength_low_s, one.half_strength_high_s
        look, height, end_s = MEASURE_STYLES[one.measure], 1.25 - 0.13 * i, min(high_s, longest_s)
        bar = {"color": look["color"], "linewidth": 3, "zorder": 5, "solid_capstyle": "butt"}
        ax.plot([low_s, end_s], [height, height], gid=f"half strength interval {one.measure}", **bar)
        mark = {"color": look["color"], "marker": "d", "markersize": 9, "markeredgecolor": "white", "zorder": 6}
        ax.plot([one.half_strength_s], [height], gid=f"half strength {one.measure}", **mark)
        end = time_text(high_s) if math.isfinite(high_s) else "beyond all lags"
        text = f"{time_text(one.half_strength_s)} ({time_text(low_s)} to {end})"
        letters = {"color": look["color"], "fontsize": style.SMALL_PT + 0.5, "fontweight": "bold"}
        left = low_s > 30  # the words then stand before it, or they would leave the axes
        place = ((low_s, height), (-7, 0)) if left else ((end_s, height), (7, 0))
        letters |= {"ha": "right" if left else "left", "va": "center", "zorder": 6}
        ax.annotate(text, *place, textcoords="offset points", **letters)
        told.append(f"{look['label']} {text}")
    return told


def meaning(table: pd.DataFrame, scales: pd.DataFrame, shown: Selection) -> Drawn:
    """Correlation of labels' associations with models of meaning, by lag, and where they are at chance.

    Dashed is the upper bound of utterances shuffled within films, grey the band of films paired anew. Artists carry a
    gid: ``meaning category``, ``interval category``, ``shuffled category``, ``paired category``, ``half category``.
    Tables are ``tables/meaning.csv`` and ``tables/meaning_scales.csv`` (`timescales.meaning`); lags of 0 s have no
    place on the log axis and are left out.
    """
    [ax] = axes = style.panels(width=0.96, height=0.62)
    told = []
    for model in shown.models:
        look, own = style.model_style(model), select(table, model=model).sort_values("lag_s")
        rows, half_s = own[own.lag_s > 0].dropna(subset="r"), select(scales, model=model).half_strength_s.min()
        ax.fill_between(rows.lag_s, rows.paired_low, rows.paired_high, color=style.RULE, lw=0, gid=f"paired {model}")
        band = {"color": look["color"], "alpha": 0.25, "linewidth": 0, "gid": f"interval {model}"}
        ax.fill_between(rows.lag_s, rows.ci_low, rows.ci_high, **band)
        shuffled = {"color": look["color"], "linestyle": style.DASHED, "linewidth": 1.4, "gid": f"shuffled {model}"}
        ax.plot(rows.lag_s, rows.shuffled_high, label="_", **shuffled)
        line = {"color": look["color"], "marker": look["marker"], "linewidth": 2.2, "label": look["label"]}
        ax.plot(rows.lag_s, rows.r, gid=f"meaning {model}", **line)
        mark = {"color": look["color"], "marker": "d", "markersize": 11, "markeredgecolor": "white", "zorder": 6}
        ax.plot([half_s], [own.r.iloc[0] / 2], linestyle="", gid=f"half {model}", label="_", **mark)
        near = rows.iloc[:: max(1, len(rows) // 5)]
        told.append(f"{look['label']}: {', '.join(f'{time_text(one.lag_s)} {one.r:.3f}' for one in records(near))}")
    ax.plot([], [], "d", color=style.QUIET, label="half of lag 0")
    ax.plot([], [], color=style.QUIET, linestyle=style.DASHED, label="utterances shuffled")
    ax.fill_between([], [], [], color=style.RULE, label="films paired anew")
    style.zero_line(ax)
    style.lag_axis(ax, round_lags(table.lag_s[table.lag_s > 0]), "time lag")
    ax.set_ylabel("correlation with the model, r")
    style.legend_above(ax, 3)
    alt = f"Correlation of associations with {model_names(shown.models)}, by lag. {'; '.join(told)}."
    level = percent(table.confidence.max())
    words = f"bands: {level} bootstrap over films; dashed and grey: {level} of chance"
    return Drawn(axes, alt, f"{counted(int(table.films.max()), 'film')}; {words}.")


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
