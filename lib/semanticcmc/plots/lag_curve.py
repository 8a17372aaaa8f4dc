"""Semantics against lag, layer and accuracy, and beside the published numbers: drawn from tables/lag_curve.csv."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from semanticcmc.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Share of the distance between two neighbouring points over which several models or seeds are spread.
SPREAD = 0.3
# Hours of film below which no lag can be expected to teach semantics: a tenth of the published 158.4 h.
ENOUGH_FILM_H = 16.0


def lag_curve(
    table: pd.DataFrame,
    layer: str,
    models: Sequence[str] = ("category", "lch"),
    control: str = "random",
    condition: str = "intact",
    over_seeds: pd.DataFrame | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Correlation of the networks' RDMs with semantic models, against the lag that they were trained at.

    Solid: partial correlation given `control`, a point a seed with its interval, the line through the
    mean of the seeds; faint and dashed: the simple correlation. Filled points: p below .05. Networks
    without a lag stand to the left, in grey.

    Parameters
    ----------
    table : DataFrame
        ``tables/lag_curve.csv``.
    layer : str
        Usually the experiment's ``primary_layer``.
    models : sequence of str
        Values of ``model`` to draw.
    control : str
        Value of ``control`` of the partial correlation.
    condition : str
        Stimulus condition.
    over_seeds : DataFrame, optional
        `evaluation.over_seeds` of the table; where there are several seeds its intervals are drawn as bands.
    ax : Axes, optional

    Returns
    -------
    Axes
        Lines carry a gid: ``partial category`` the mean, ``partial category seed 0`` its points,
        ``partial category seed 0 augment`` a baseline; ``simple ...`` likewise.
    """
    ax = style.axes(ax, figsize=(style.COLUMN_IN, 0.72 * style.COLUMN_IN))
    rows = table[(table.layer == layer) & (table.condition == condition) & table.model.isin(models)]
    rows = rows[rows.control.isin(["none", control])].dropna(subset="mantel_r")
    lags_s = sorted(rows.lag_s[rows.lag_s > 0].unique()) or [1.0]
    step = _step(lags_s)
    baselines = [name for name in style.BASELINE_STYLES if name in set(rows.network)]
    place_s = {name: lags_s[0] / step ** (len(baselines) - i + 0.35) for i, name in enumerate(baselines)}
    seeds = sorted(rows.seed.unique())
    for m, model in enumerate(models):
        look = style.model_style(model)
        aside = SPREAD * _offset(m, len(models))
        for kind, shown in (("partial", control), ("simple", "none")):
            solid = kind == "partial"
            chosen = rows[(rows.model == model) & (rows.control == shown)]
            mean = chosen[chosen.lag_s > 0].groupby("lag_s").mantel_r.mean()
            ax.plot(
                mean.index * step**aside, mean.to_numpy(), color=look["color"], gid=f"{kind} {model}",
                linestyle="-" if solid else (0, (3, 2)), linewidth=2.2 if solid else 1.2,
                alpha=1.0 if solid else 0.55, zorder=3 if solid else 2, label=f"{look['label']}, {kind}",
            )  # fmt: skip
            if solid and over_seeds is not None and len(seeds) > 1:
                band = over_seeds[(over_seeds.layer == layer) & (over_seeds.condition == condition)
                                  & (over_seeds.model == model) & (over_seeds.control == shown)]  # fmt: skip
                band = band[band.lag_s > 0].sort_values("lag_s")
                ax.fill_between(band.lag_s * step**aside, band.ci_low, band.ci_high, color=look["color"], alpha=0.15,
                                linewidth=0, gid=f"over seeds {model}", zorder=1)  # fmt: skip
            for s, seed in enumerate(seeds):
                own = chosen[chosen.seed == seed]
                shift = step ** (aside + SPREAD * _offset(s, len(seeds)) / len(models))
                size = 7.0 if len(seeds) == 1 else 4.5
                gid = f"{kind} {model} seed {seed}"
                if solid:
                    _points(ax, own[own.lag_s > 0], own.lag_s[own.lag_s > 0] * shift, look, size, gid)
                for name in baselines:
                    grey = {"color": style.BASELINE_STYLES[name]["color"], "marker": look["marker"]}
                    one = own[own.network == name]
                    x = pd.Series(place_s[name] * shift, index=one.index)
                    if solid:
                        _points(ax, one, x, grey, size, f"{gid} {name}")
                    else:
                        ax.plot(x, one.mantel_r, linestyle="none", marker="_", markersize=1.6 * size, alpha=0.8,
                                markeredgewidth=1.4, color=grey["color"], gid=f"{gid} {name}", zorder=2)  # fmt: skip
    style.zero_line(ax)
    style.lag_axis(ax, lags_s, "time lag between the two views")
    if baselines:
        ax.axvline(lags_s[0] / step**0.72, color=style.RULE, linewidth=1)
        ticks, names = ax.get_xticks(), [text.get_text() for text in ax.get_xticklabels()]
        labels = [style.BASELINE_STYLES[name]["label"] for name in baselines]
        ax.set_xticks([*place_s.values(), *ticks], [*labels, *names])
        for text in ax.get_xticklabels()[: len(baselines)]:
            text.set(color=style.QUIET, fontsize=style.SMALL_PT)
    ax.set_xlim(lags_s[0] / step ** (len(baselines) + 1.0), lags_s[-1] * step**0.6)
    ax.set_ylabel("correlation with the model, r")
    ax.legend(ncols=len(models), loc="lower left", bbox_to_anchor=(0, 1), columnspacing=1.2, handlelength=2.2)
    return ax


def lag_curve_caption(table: pd.DataFrame, layer: str, control: str, confidence: float) -> str:
    """What a lag curve's points, bars and fillings mean, with the numbers that are the table's.

    Parameters
    ----------
    table : DataFrame
        ``tables/lag_curve.csv``.
    layer, control : str
        As drawn.
    confidence : float
        Level of the intervals, between 0 and 1.
    """
    rows = table[(table.layer == layer) & (table.control == control)]
    seeds = sorted(rows.seed.unique())
    tail = {"greater": "one-sided", "less": "one-sided", "two-sided": "two-sided"}
    parts = [
        f"{layer}; {_values(rows.classes)} classes",
        f"{len(seeds)} seed{'s, a point each' if len(seeds) > 1 else ' (' + str(seeds[0]) + ')'}"
        if seeds
        else "no seed",
        f"partial: given the RDM of {'the random network' if control == 'random' else 'the true looks'}",
        f"bars: {confidence:.0%} bootstrap over classes".replace("%", "\N{NO-BREAK SPACE}%"),
        *(
            [f"bands: {confidence:.0%} of the mean over seeds".replace("%", "\N{NO-BREAK SPACE}%")]
            if len(seeds) > 1
            else []
        ),
        f"filled: p < {style.SIGNIFICANT:g}".replace("0.", ".")
        + f", {' or '.join(sorted({tail[a] for a in rows.alternative}))} Mantel test, "
        + f"{_values(rows.permutations)} permutations",
        "grey dash: simple r of a network without a lag",
    ]
    return "; ".join(parts) + "."


def too_little_film(films: int, hours: float) -> str:
    """What a figure must say of few films, such as ``4 films, 3.7 min: ...``; empty from `ENOUGH_FILM_H` hours on."""
    if hours >= ENOUGH_FILM_H:
        return ""
    length = f"{hours:.3g} h" if hours >= 1.5 else f"{hours * 60:.3g} min"
    return f"{films} {'film' if films == 1 else 'films'}, {length}: too little film to teach semantics"


def layers(
    table: pd.DataFrame,
    model: str = "category",
    control: str = "random",
    condition: str = "intact",
    ax: Axes | None = None,
) -> Axes:
    """Correlation with one model layer by layer: a line a network, darker for a longer lag.

    Several seeds are averaged; the bars are the mean of their intervals.

    Parameters
    ----------
    table : DataFrame
        ``tables/lag_curve.csv``; layers in the order of their first rows.
    model, control, condition : str
        Which rows to draw.
    ax : Axes, optional
    """
    ax = style.axes(ax)
    rows = table[(table.model == model) & (table.control == control) & (table.condition == condition)]
    rows = rows.dropna(subset="mantel_r")
    names = list(dict.fromkeys(table.layer))
    networks = style.network_styles(rows.network)
    means = rows.groupby(["network", "layer"])[["mantel_r", "ci_low", "ci_high"]].mean()
    for i, (network, look) in enumerate(networks.items()):
        own = means.loc[network].reindex(names)
        x = np.arange(len(names)) + 0.6 * _offset(i, len(networks))
        baseline = network in style.BASELINE_STYLES
        ax.plot(
            x, own.mantel_r, gid=network, label=look["label"], color=look["color"],
            marker=look["marker"], markersize=5.5, linewidth=1.1 if baseline else 1.8,
            linestyle=(0, (2, 1.5)) if baseline else "-", zorder=2 if baseline else 3,
        )  # fmt: skip
        ax.vlines(x, own.ci_low, own.ci_high, color=look["color"], linewidth=0.9, alpha=0.5, zorder=1)
    style.zero_line(ax)
    ax.set_xticks(range(len(names)), names)
    ax.set_xlabel("layer")
    ax.set_ylabel(f"{'partial ' if control != 'none' else ''}r, {style.model_style(model)['label']}")
    ax.legend(title="network", loc="center left", bbox_to_anchor=(1.0, 0.5), alignment="left")
    return ax


def dissociation(
    table: pd.DataFrame,
    accuracy: pd.DataFrame,
    layer: str,
    model: str = "category",
    control: str = "random",
    measure: str = "knn",
    condition: str = "intact",
    ax: Axes | None = None,
) -> Axes:
    """How well classes are told apart against how semantic their distances are: a point a network and seed.

    Parameters
    ----------
    table : DataFrame
        ``tables/lag_curve.csv``.
    accuracy : DataFrame
        ``tables/accuracy.csv``; a ``chance`` row, where there is one, gives the dotted line.
    layer, model, control, condition : str
        Rows of `table` to draw.
    measure : str
        Row of `accuracy`: ``knn`` or ``linear_probe``.
    ax : Axes, optional
    """
    ax = style.axes(ax)
    rows = table[
        (table.layer == layer) & (table.model == model) & (table.control == control)
        & (table.condition == condition)
    ]  # fmt: skip
    accuracy = accuracy[(accuracy.layer == layer) & (accuracy.condition == condition)]
    scores = accuracy[accuracy.measure == measure]
    both = rows.merge(scores[["network", "seed", "accuracy"]], on=["network", "seed"], validate="1:1")
    both = both.dropna(subset=["mantel_r", "accuracy"])
    networks = style.network_styles(both.network)
    for network, look in networks.items():
        own = both[both.network == network]
        ax.vlines(own.accuracy, own.ci_low, own.ci_high, color=look["color"], linewidth=1.0, alpha=0.6)
        ax.plot(
            own.accuracy, own.mantel_r, linestyle="none", gid=network, label=look["label"],
            color=look["color"], marker=look["marker"], markersize=9, markeredgecolor="white",
        )  # fmt: skip
    chance = accuracy[accuracy.measure == "chance"].accuracy.dropna()
    if len(chance) and len(both):
        ax.axvline(chance.iloc[0], color=style.QUIET, linestyle=":", linewidth=1.2)
        ax.annotate(" chance", (chance.iloc[0], 1), xycoords=("data", "axes fraction"), va="top",
                    fontsize=style.SMALL_PT, color=style.QUIET)  # fmt: skip
    style.zero_line(ax)
    words = {"knn": "nearest neighbours", "linear_probe": "linear probe"}
    ax.set_xlabel(f"class accuracy, {words.get(measure, measure)} (share correct)")
    ax.set_ylabel(f"{'partial ' if control != 'none' else ''}r, {style.model_style(model)['label']}")
    if both.empty:
        ax.set(xticks=[], yticks=[])
        ax.text(0.5, 0.5, "no class accuracy: a class has one image", transform=ax.transAxes, ha="center",
                va="bottom", color=style.QUIET)  # fmt: skip
    else:
        ax.legend(title="network", loc="center left", bbox_to_anchor=(1.0, 0.5), alignment="left")
    return ax


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
                mean.index, mean.mantel_r, gid=f"{source} {kind}", label=f"{look['label']}, {kind}",
                color=look["color"], marker=look["marker"], alpha=1.0 if solid else 0.55,
                linestyle="-" if solid else (0, (3, 2)), linewidth=2.4 if solid else 1.2,
                markerfacecolor=look["color"] if solid else "white",
            )  # fmt: skip
            if solid:
                ax.vlines(mean.index, mean.ci_low, mean.ci_high, color=look["color"], linewidth=1.2)
    style.zero_line(ax)
    style.lag_axis(ax, lags_s, "time lag between the two views")
    ax.set_ylabel("r with WordNet (LCH)")
    ax.legend(ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
    return ax


def _points(
    ax: Axes, rows: pd.DataFrame, x: pd.Series, look: Mapping[str, str], size: float, gid: str
) -> None:
    """Points at `x` with their intervals, filled where p is below .05."""
    ax.vlines(x, rows.ci_low, rows.ci_high, color=look["color"], linewidth=1.3, zorder=3)
    for filled in (True, False):
        chosen = (rows.p < style.SIGNIFICANT) == filled
        ax.plot(
            x[chosen], rows.mantel_r[chosen], linestyle="none", marker=look["marker"], color=look["color"],
            markerfacecolor=look["color"] if filled else "white", markeredgewidth=1.3, markersize=size,
            gid=gid, zorder=4,
        )  # fmt: skip


def _step(lags_s: Sequence[float]) -> float:
    """Factor between two places on the log axis: the mean one between neighbouring lags."""
    if len(lags_s) < 2:
        return 3.0
    return float(lags_s[-1] / lags_s[0]) ** (1 / (len(lags_s) - 1))


def _offset(i: int, n: int) -> float:
    """Place of item `i` of `n`, from -1/2 to 1/2."""
    return 0.0 if n < 2 else i / (n - 1) - 0.5


def _values(column: Iterable[float]) -> str:
    values = sorted(set(column))
    return f"{values[0]:,.0f}" if len(values) == 1 else f"{values[0]:,.0f} to {values[-1]:,.0f}"
