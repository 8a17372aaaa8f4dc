"""Semantics against the lag that a network was trained at: measured, and published."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from semanticcmc.figures import style
from semanticcmc.figures.style import Axes, Drawn
from semanticcmc.figures.tables import Selection, caption, model_names, percent, select, summary, values_text
from semanticcmc.run import counted

# Share of the distance between two neighbouring points over which several models or seeds are spread.
SPREAD = 0.3
# Hours of film below which no lag can be expected to teach semantics: a tenth of the published 158.4 h.
ENOUGH_FILM_H = 16.0
# The line of the partial correlations that are tested, and the one of the simple correlations.
PARTIAL: dict[str, Any] = {"linestyle": "-", "linewidth": 2.2, "alpha": 1.0, "zorder": 3}
SIMPLE: dict[str, Any] = {"linestyle": (0, (3, 2)), "linewidth": 1.2, "alpha": 0.55, "zorder": 2}


def lag_curve(table: pd.DataFrame, shown: Selection, remark: str = "", conditions: Sequence[str] = ()) -> Drawn:
    """Correlation of the networks' RDMs with semantic models, against the lag that they were trained at.

    Solid: partial correlation, a point a seed with its interval, the line through the mean of the seeds, whose interval
    is a band; faint and dashed: the simple correlation. Filled points: Holm-corrected p below .05. Networks without a
    lag are at the left, in grey, a dash their simple correlation.

    Artists carry a gid: ``partial category`` and ``simple category`` the lines, ``points category`` the points,
    ``dashes category`` the dashes. `table` is ``tables/lag_curve.csv``, `remark` what a reader must not overlook
    (`too_little_film`); several `conditions` take the place of that of `shown`, a panel each.
    """
    tested = shown.rows(table, condition=conditions or shown.condition, model=table.model, control=table.control)
    rows = shown.rows(tested, condition=tested.condition, control=("none", shown.control)).dropna(subset="mantel_r")
    size = (0.8 * len(conditions), 0.72) if conditions else (0.96, 0.62)
    axes = style.panels(1, max(len(conditions), 1), *size, sharey=True)
    means = []
    for ax, condition in zip(axes, conditions or [shown.condition], strict=True):
        own = rows[rows.condition == condition]
        _curves(ax, own, shown)
        if remark:
            style.note(ax, remark)
        if conditions:
            ax.set_title(condition, pad=42)
            ax.label_outer()
        own = select(own[own.lag_s > 0], model=shown.models[:1], control=shown.control)
        mean = own.groupby("lag_s").mantel_r.mean()
        told = ", ".join(f"{style.lag_text(lag_s)} {r:.2f}" for lag_s, r in zip(mean.index, mean, strict=True))
        means.append(f"{condition}: {told}" if conditions else told)
    alt = (
        f"{remark}{'. ' if remark else ''}Correlation with {model_names(shown.models)} against the lag between the two "
        f"views; {shown.given}, with {model_names(shown.models[:1])}: {'; '.join(means)}."
    )
    tested = select(tested, control=shown.control)
    tails = {"two-sided" if alternative == "two-sided" else "one-sided" for alternative in tested.alternative}
    words = caption(
        tested,
        f"partial {shown.given}",
        "rank correlation (Spearman)" if "spearman" in set(tested.get("method", ())) else "",
        f"bands: {percent(shown.confidence)} of the mean over seeds" if tested.seed.nunique() > 1 else "",
        f"filled: p < .05, {' or '.join(sorted(tails))} Mantel test, {values_text(tested.permutations)} permutations, "
        f"Holm-corrected for the {values_text(tested.groupby(['seed', 'condition']).size())} tests of a seed",
        "grey dash: simple r of a network without a lag",
        confidence=shown.confidence,
        each=True,
    )
    return Drawn(axes, alt, words)


def _curves(ax: Axes, rows: pd.DataFrame, shown: Selection) -> None:
    """The curves of one panel."""
    looks, models = style.network_styles(style.network_lags(rows)), shown.models
    lags_s = sorted(rows.lag_s[rows.lag_s > 0].unique()) or [1.0]
    # Factor between two places on the log axis: the mean one between neighbouring lags.
    step = (lags_s[-1] / lags_s[0]) ** (1 / (len(lags_s) - 1)) if len(lags_s) > 1 else 3.0
    baselines = [name for name in looks if name in set(rows.network[~(rows.lag_s > 0)])]
    left_s = {name: lags_s[0] / step ** (len(baselines) - i + 0.35) for i, name in enumerate(baselines)}
    seeds = sorted(rows.seed.unique())
    aside = rows.seed.map({seed: SPREAD * style.offset(s, len(seeds)) / len(models) for s, seed in enumerate(seeds)})
    rows = rows.assign(place_s=rows.lag_s.where(rows.lag_s > 0, rows.network.map(left_s)) * step**aside)
    size = 7.0 if len(seeds) == 1 else 4.5
    for m, model in enumerate(models):
        look, aside = style.model_style(model), step ** (SPREAD * style.offset(m, len(models)))
        color, label = look["color"], look["label"]
        partial, simple = (select(rows, model=model, control=control) for control in (shown.control, "none"))
        for kind, own, line in (("partial", partial, PARTIAL), ("simple", simple, SIMPLE)):
            mean = own[own.lag_s > 0].groupby("lag_s").mantel_r.mean()
            ax.plot(mean.index * aside, mean, color=color, gid=f"{kind} {model}", label=f"{label}, {kind}", **line)
        if len(seeds) > 1:
            band = summary(partial[partial.lag_s > 0], shown.confidence).sort_values("lag_s")
            fill = {"color": color, "alpha": 0.15, "linewidth": 0, "zorder": 1, "gid": f"over seeds {model}"}
            ax.fill_between(band.lag_s * aside, band.ci_low, band.ci_high, **fill)
        partial, simple = (
            own.assign(color=[looks[name]["color"] if name in baselines else color for name in own.network])
            for own in (partial, simple[simple.network.isin(baselines)])
        )
        point = {"color": partial.color, "marker": look["marker"]}
        filled = partial.p_holm < style.SIGNIFICANT
        style.marks(ax, partial, partial.place_s * aside, point, filled=filled, size=size, gid=f"points {model}")
        dash = {"marker": "_", "s": 2.5 * size**2, "linewidths": 1.4, "alpha": 0.8, "gid": f"dashes {model}"}
        ax.scatter(simple.place_s * aside, simple.mantel_r, c=list(simple.color), zorder=2, **dash)
    style.zero_line(ax)
    style.lag_axis(ax, lags_s)
    if baselines:
        ax.axvline(lags_s[0] / step**0.72, color=style.RULE, linewidth=1)
        names = [looks[name]["label"] for name in baselines] + [text.get_text() for text in ax.get_xticklabels()]
        ax.set_xticks([*left_s.values(), *ax.get_xticks()], names)
        for text in ax.get_xticklabels()[: len(baselines)]:
            text.set(color=style.QUIET, fontsize=style.SMALL_PT)
    ax.set_xlim(lags_s[0] / step ** (len(baselines) + 1.0), lags_s[-1] * step**0.6)
    ax.set_ylabel("correlation with the model, r")
    style.legend_above(ax, len(models), handlelength=2.2)


def too_little_film(films: int, hours: float) -> str:
    """What a figure must say of few films, such as ``4 films, 3.7 min: ...``; empty from `ENOUGH_FILM_H` hours on."""
    if hours >= ENOUGH_FILM_H:
        return ""
    length = f"{hours:.3g} h" if hours >= 1.5 else f"{hours * 60:.3g} min"
    return f"{counted(films, 'film')}, {length}: too little film to teach semantics"


def published_table(table: pd.DataFrame, shown: Selection) -> Drawn:
    """The published correlations with WordNet (LCH) beside ours, each at its lag; simple ones are drawn faint.

    `table` is ``tables/published.csv`` (`comparisons.beside_published`).
    """
    [ax] = axes = style.panels()
    name = model_names(["lch"])
    rows = table[(table.model == "lch") & (table.lag_s > 0)].dropna(subset="mantel_r")
    largest = []
    for source, label, color, marker in (
        ("published", "published", style.QUIET, "D"),
        ("ours", "here", style.MODEL_STYLES["lch"]["color"], "s"),
    ):
        for kind, given, line in (("partial", shown.control, PARTIAL), ("simple", "none", SIMPLE)):
            own = select(rows, source=source, control=given).groupby("lag_s")
            if not len(own):
                continue
            mean = own[["mantel_r", "ci_low", "ci_high"]].mean()
            fill = {"marker": marker, "markerfacecolor": "white" if kind == "simple" else color}
            look = {"color": color, "label": f"{label}, {kind}", "gid": f"{source} {kind}"}
            ax.plot(mean.index, mean.mantel_r, **look, **fill, **line)
            if kind == "partial":
                ax.vlines(mean.index, mean.ci_low, mean.ci_high, color=color, linewidth=1.2)
                peak = mean.reset_index().sort_values("mantel_r").iloc[-1]
                largest.append(f"{label}, {peak.mantel_r:.2f} at {style.lag_text(peak.lag_s)}")
    style.zero_line(ax)
    style.lag_axis(ax, rows.lag_s)
    ax.set_ylabel(f"r with {name}")
    style.legend_above(ax, 2)
    alt = f"Correlation with {name} against lag, published and here. Largest partial correlation: {'; '.join(largest)}."
    words = "published: AlexNet, 158 h of film, conv5, 256 classes, 999 permutations, no intervals given; here: "
    return Drawn(axes, alt, words + caption(select(rows, source="ours"), confidence=shown.confidence, each=True))
