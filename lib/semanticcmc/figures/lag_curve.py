"""Semantics against the lag that a network was trained at: drawn from tables/lag_curve.csv."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from semanticcmc.figures import captions, style
from semanticcmc.run import counted

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
    predicted: pd.DataFrame | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Correlation of the networks' RDMs with semantic models, against the lag that they were trained at.

    Solid: partial correlation given `control`, a point a seed with its interval, the line through the
    mean of the seeds; faint and dashed: the simple correlation; dotted: what was predicted. Filled points:
    Holm-corrected p below .05. Networks without a lag stand to the left, in grey.

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
    predicted : DataFrame, optional
        ``tables/predicted_lag_curve.csv``: the partial correlation predicted from the labels before any training.
    ax : Axes, optional

    Returns
    -------
    Axes
        Lines carry a gid: ``partial category`` the mean, ``predicted category`` the prediction,
        ``partial category seed 0`` its points,
        ``partial category seed 0 augment`` a baseline; ``simple ...`` likewise.
    """
    ax = style.axes(ax, figsize=(style.COLUMN_IN, 0.78 * style.COLUMN_IN))
    rows = table[(table.layer == layer) & (table.condition == condition) & table.model.isin(models)]
    rows = rows[rows.control.isin(["none", control])].dropna(subset="mantel_r")
    lags_s = sorted(rows.lag_s[rows.lag_s > 0].unique()) or [1.0]
    step = _step(lags_s)
    baselines = [name for name in style.BASELINE_STYLES if name in set(rows.network)]
    place_s = {name: lags_s[0] / step ** (len(baselines) - i + 0.35) for i, name in enumerate(baselines)}
    seeds = sorted(rows.seed.unique())
    for m, model in enumerate(models):
        look = style.model_style(model)
        aside = SPREAD * captions.offset(m, len(models))
        for kind, shown in (("partial", control), ("simple", "none")):
            solid = kind == "partial"
            chosen = rows[(rows.model == model) & (rows.control == shown)]
            mean = chosen[chosen.lag_s > 0].groupby("lag_s").mantel_r.mean()
            ax.plot(
                mean.index * step**aside,
                mean.to_numpy(),
                color=look["color"],
                gid=f"{kind} {model}",
                linestyle="-" if solid else (0, (3, 2)),
                linewidth=2.2 if solid else 1.2,
                alpha=1.0 if solid else 0.55,
                zorder=3 if solid else 2,
                label=f"{look['label']}, {kind}",
            )
            if solid and over_seeds is not None and len(seeds) > 1:
                band = over_seeds[
                    (over_seeds.layer == layer)
                    & (over_seeds.condition == condition)
                    & (over_seeds.model == model)
                    & (over_seeds.control == shown)
                ]
                band = band[band.lag_s > 0].sort_values("lag_s")
                ax.fill_between(
                    band.lag_s * step**aside,
                    band.ci_low,
                    band.ci_high,
                    color=look["color"],
                    alpha=0.15,
                    linewidth=0,
                    gid=f"over seeds {model}",
                    zorder=1,
                )
            if solid and predicted is not None:
                told = predicted[(predicted.model == model) & predicted.lag_s.between(lags_s[0], lags_s[-1])]
                ax.plot(
                    told.lag_s,
                    told.predicted_r,
                    color=look["color"],
                    linestyle=(0, (1, 1.2)),
                    linewidth=1.6,
                    zorder=2,
                    gid=f"predicted {model}",
                    label=f"{look['label']}, predicted",
                )
            for s, seed in enumerate(seeds):
                own = chosen[chosen.seed == seed]
                shift = step ** (aside + SPREAD * captions.offset(s, len(seeds)) / len(models))
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
                        ax.plot(
                            x,
                            one.mantel_r,
                            linestyle="none",
                            marker="_",
                            markersize=1.6 * size,
                            alpha=0.8,
                            markeredgewidth=1.4,
                            color=grey["color"],
                            gid=f"{gid} {name}",
                            zorder=2,
                        )
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


def lag_curve_caption(
    table: pd.DataFrame, layer: str, control: str, confidence: float, random_networks: int, predicted: bool = False
) -> str:
    """What a lag curve's points, bars and fillings mean, with the numbers that are the table's.

    Parameters
    ----------
    table : DataFrame
        ``tables/lag_curve.csv``.
    layer, control : str
        As drawn.
    confidence : float
        Level of the intervals, between 0 and 1.
    random_networks : int
        Number of untrained networks behind the control `random` (`evaluation.control_seeds`).
    predicted : bool
        Whether a predicted curve is drawn.
    """
    rows = table[(table.layer == layer) & (table.control == control)]
    seeds = sorted(rows.seed.unique())
    tail = {"greater": "one-sided", "less": "one-sided", "two-sided": "two-sided"}
    family = rows.groupby(["seed", "condition"]).size()
    parts = [
        f"{layer}; {captions.values_text(rows.classes)} classes",
        f"1 seed ({seeds[0]})" if len(seeds) == 1 else f"{counted(len(seeds), 'seed')}, a point each",
        f"partial: {captions.control_text(control, random_networks)}",
        f"bars: {captions.percent(confidence)} bootstrap over classes",
        *([f"bands: {captions.percent(confidence)} of the mean over seeds"] if len(seeds) > 1 else []),
        f"filled: p < {style.SIGNIFICANT:g}".replace("0.", ".")
        + f", {' or '.join(sorted({tail[a] for a in rows.alternative}))} Mantel test, "
        + f"{captions.values_text(rows.permutations)} permutations, "
        + f"Holm-corrected for the {captions.values_text(family)} tests of a seed",
        "grey dash: simple r of a network without a lag",
        *(
            ["dotted: predicted from the labels before training; where it peaks counts, not its height"]
            if predicted
            else []
        ),
    ]
    return "; ".join(parts) + "."


def too_little_film(films: int, hours: float) -> str:
    """What a figure must say of few films, such as ``4 films, 3.7 min: ...``; empty from `ENOUGH_FILM_H` hours on."""
    if hours >= ENOUGH_FILM_H:
        return ""
    length = f"{hours:.3g} h" if hours >= 1.5 else f"{hours * 60:.3g} min"
    return f"{counted(films, 'film')}, {length}: too little film to teach semantics"


def _points(ax: Axes, rows: pd.DataFrame, x: pd.Series, look: Mapping[str, str], size: float, gid: str) -> None:
    """Points at `x` with their intervals, filled where the corrected p is below .05."""
    ax.vlines(x, rows.ci_low, rows.ci_high, color=look["color"], linewidth=0.18 * size, zorder=3)
    for filled in (True, False):
        chosen = (rows.p_holm < style.SIGNIFICANT) == filled
        ax.plot(
            x[chosen],
            rows.mantel_r[chosen],
            linestyle="none",
            marker=look["marker"],
            color=look["color"],
            markerfacecolor=look["color"] if filled else "white",
            markeredgewidth=1.3,
            markersize=size,
            gid=gid,
            zorder=4,
        )


def _step(lags_s: Sequence[float]) -> float:
    """Factor between two places on the log axis: the mean one between neighbouring lags."""
    if len(lags_s) < 2:
        return 3.0
    return float(lags_s[-1] / lags_s[0]) ** (1 / (len(lags_s) - 1))
