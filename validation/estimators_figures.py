"""Figures of the study `estimators`: what estimators of time scales report of worlds whose truth is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from semanticcmc.figures import style
from semanticcmc.figures.style import Axes, Drawn
from semanticcmc.figures.tables import percent
from semanticcmc.figures.timescales import round_lags, time_text
from semanticcmc.run import counted

BLUE, RED = "#0B4F8A", "#B0301C"
THEIRS, OURS = "published, lag of the minimum", "ours, half-life"
ESTIMATOR_STYLES: dict[str, dict[str, Any]] = {
    THEIRS: {"color": RED, "marker": "X"},
    OURS: {"color": BLUE, "marker": "o"},
}
ORDER_LINES: dict[str, Any] = {"in time order": "-", "in the order of a set": style.DASHED}
HALF_A_FILM: dict[str, Any] = {"color": style.QUIET, "linewidth": 1, "linestyle": style.DOTTED, "gid": "half a film"}


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
    published: pd.DataFrame,
    *,
    film_s: Sequence[float],
    half_life_s: float,
    parts: int,
) -> Drawn:
    """R2 of a stream of known truth, rows in order of time and of a set, and the published curve.

    Parameters
    ----------
    streams : mapping of str to DataFrame
        Order of rows, of `ORDER_LINES`, to a table ``lag_s, mean_r2``.
    published : DataFrame
        ``lag_s, mean_r2``.
    film_s, half_life_s, parts
        Durations of the films, true half-life of the associations, and parts that the estimator makes of the films.
    """
    [ax] = axes = style.panels()
    mean_min = float(np.mean(film_s)) / 60
    ax.axvline(mean_min / 2, **HALF_A_FILM)
    for order, table in streams.items():
        line = {"color": BLUE, "linestyle": ORDER_LINES[order], "label": f"simulated, rows {order}", "gid": order}
        ax.plot(table.lag_s / 60, table.mean_r2, **line)
    line = {"color": RED, "marker": "X", "markersize": 5, "label": "published", "gid": "published"}
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
