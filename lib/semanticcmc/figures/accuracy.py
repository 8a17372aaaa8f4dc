"""Class accuracy: against semantics, under every condition, of every objective; and the noise ceiling."""

from __future__ import annotations

import pandas as pd

from semanticcmc.evaluation.lag_curve import over_seeds
from semanticcmc.figures import style
from semanticcmc.figures.layers import condition_styles
from semanticcmc.figures.style import Drawn
from semanticcmc.figures.tables import Selection, caption, model_names, records, summary

MEASURES = {"knn": "nearest neighbours", "linear_probe": "linear probe"}
YARDSTICKS = {
    "category_readout": "category of held-out\nclasses (share correct)",
    "cka": "CKA with the model",
    "share": "share of variance that\na model alone explains",
}
ROW_IN = 0.21  # height of a row of `objectives`
NO_ACCURACY = "no class accuracy: a class has one image"


def dissociation(
    table: pd.DataFrame, accuracy: pd.DataFrame, shown: Selection, measure: str = "knn", remark: str = ""
) -> Drawn:
    """How well classes are told apart against how their distances go with the first model: a point a network.

    Several seeds are small points around their mean. `table` is ``tables/lag_curve.csv``, `accuracy`
    ``tables/accuracy.csv``, whose row ``chance``, where there is one, is the dotted line; `measure` is knn or
    linear_probe, `remark` what a reader must not overlook.
    """
    import seaborn as sns

    [ax] = axes = style.panels(width=0.655, height=0.49)
    model, accuracy = shown.models[0], shown.rows(accuracy)
    rows, scores = shown.rows(table, model=model), accuracy[accuracy.measure == measure]
    each = rows.merge(scores[["network", "seed", "accuracy"]], on=["network", "seed"], validate="1:1")
    each = each.dropna(subset=["mantel_r", "accuracy"])
    looks = style.network_styles(style.network_lags(each))
    x, y = (summary(own, shown.confidence, key) for own, key in ((scores, "accuracy"), (rows, "mantel_r")))
    means = y.merge(x, on="network", suffixes=("", "_x"))
    told = MEASURES.get(measure, measure)
    if each.empty:
        ax.set(xticks=[], yticks=[])
        style.quiet_text(ax, NO_ACCURACY)
    else:
        look = {"x": "accuracy", "y": "mantel_r", "ax": ax, "zorder": 3} | style.hues("label", looks)
        means, each = (own.assign(label=[looks[name]["label"] for name in own.network]) for own in (means, each))
        sns.scatterplot(means, s=81, **look)
        if len(each) > len(means):
            sns.scatterplot(each, s=12, alpha=0.7, linewidth=0, legend=False, **look)
        colours = [looks[name]["color"] for name in means.network]
        ax.hlines(means.mantel_r, means.ci_low_x, means.ci_high_x, colors=colours, linewidth=1.0)
        ax.vlines(means.accuracy, means.ci_low, means.ci_high, colors=colours, linewidth=1.0)
        for chance in accuracy.accuracy[accuracy.measure == "chance"].dropna().head(1):
            ax.axvline(chance, color=style.QUIET, linestyle=":", linewidth=1.2)
            place = {"xycoords": ("data", "axes fraction"), "va": "top"}
            ax.annotate(" chance", (chance, 1), fontsize=style.SMALL_PT, color=style.QUIET, **place)
        style.legend_above(ax, 4, bbox_to_anchor=(-0.12, 1.0), handletextpad=0.1, columnspacing=0.7)
    style.zero_line(ax)
    ax.set(xlabel=f"share correct, {told}", ylabel=shown.axis_label(model))
    if remark:
        style.note(ax, remark)
    alt = f"Class accuracy by {told} against correlation with {model_names([model])}: a point a network."
    alt = f"{remark}. {alt}" if remark else alt
    return Drawn(axes, alt, caption(rows, "bars both ways", shown.given, confidence=shown.confidence))


def accuracy_by_condition(accuracy: pd.DataFrame, shown: Selection) -> Drawn:
    """Class accuracy of every network, a panel a measure: a marker a condition, chance dotted.

    Points carry the condition as their gid. `accuracy` is ``tables/accuracy.csv``; all conditions are drawn.
    """
    axes = style.panels(1, len(MEASURES), len(MEASURES), 0.55, sharey=True)
    rows = shown.rows(accuracy, condition=accuracy.condition)
    means = summary(rows, shown.confidence, "accuracy")
    looks = style.network_styles(style.network_lags(rows))
    conditions = condition_styles(list(dict.fromkeys(rows.condition)))
    chance = rows.accuracy[rows.measure == "chance"].dropna()
    for ax, (measure, title) in zip(axes, MEASURES.items(), strict=True):
        own = means[means.measure == measure]
        style.beside(ax, own, "network", list(looks), "condition", conditions, value="accuracy", size=6)
        if len(chance):
            style.chance_line(ax, chance.iloc[0])
        if own.empty:
            style.quiet_text(ax, NO_ACCURACY)
        style.network_axis(ax, looks)
        ax.set(xlim=(-0.6, len(looks) + 0.1), ylim=(0, 1.03))  # room for the word chance beside the last network
        ax.set(ylabel="class accuracy (share correct)", title=title)
        ax.label_outer()
    if len(conditions) > 1:
        style.legend_beside(axes[-1], "condition")
    alt = f"Class accuracy of every network by {' and by '.join(MEASURES.values())}, under {', '.join(conditions)}."
    return Drawn(axes, alt, caption(rows, "cross-validated within the stimuli", confidence=shown.confidence))


def noise_ceiling(table: pd.DataFrame, ceilings: pd.DataFrame, shown: Selection) -> Drawn:
    """How much of the noise ceiling each network's simple correlations reach: a dash the ceiling, points below it.

    Points carry the model as their gid, dashes ``ceiling``. Of ``tables/lag_curve.csv`` simple correlations are drawn,
    since the ceiling (``tables/noise_ceiling.csv``) holds for them alone.
    """
    [ax] = axes = style.panels(height=0.55)
    above, rows = shown.rows(ceilings), shown.rows(table, control="none")
    looks = style.network_styles(style.network_lags(above))
    dash = {"linestyle": "none", "marker": "_", "markersize": 20, "markeredgewidth": 1.6, "color": style.INK}
    ax.plot(above.network.map(list(looks).index), above.ceiling, gid="ceiling", label="noise ceiling", **dash)
    models = {model: style.model_style(model) for model in shown.models}
    style.beside(ax, rows, "network", list(looks), "model", models, spread=0.4, size=5)
    known = above.ceiling.dropna()
    if known.empty:
        style.quiet_text(ax, "no noise ceiling: a class has one image", 0.9)
    style.zero_line(ax)
    style.network_axis(ax, looks)
    ax.set(ylim=(None, 1.05), ylabel="simple r with the model")
    style.legend_above(ax, len(shown.models) + 1)
    told = f"{known.min():.2f} to {known.max():.2f}" if len(known) else "unknown, a class has one picture"
    alt = f"Simple correlation of every network with {model_names(shown.models)}, and the noise ceiling: {told}."
    root = "dash: root of the split-half reliability (Spearman and Brown), what a model without error could reach"
    return Drawn(axes, alt, caption(rows, root, confidence=shown.confidence, each=True))


def yardsticks(table: pd.DataFrame, shown: Selection) -> Drawn:
    """Measures beside correlations, a panel each: category read out of held-out classes, CKA, and unique shares.

    Points carry the model as their gid. Of ``tables/yardsticks.csv`` all models are drawn, each alone.
    """
    axes = style.panels(len(YARDSTICKS), 1, height=1.35, sharex=True)
    rows = shown.rows(table, model=[name for name in table.model if " & " not in name and name != "all"])
    looks = style.network_styles(style.network_lags(rows))
    models = {name: style.model_style(name) for name in dict.fromkeys(rows.model)}
    for ax, (measure, label) in zip(axes, YARDSTICKS.items(), strict=True):
        means = summary(rows[rows.measure == measure], shown.confidence, "value")
        style.beside(ax, means, "network", list(looks), "model", models, value="value", size=5)
        if means.empty:
            style.quiet_text(ax, "too few classes")
        style.zero_line(ax)
        style.network_axis(ax, looks)
        ax.set_ylabel(label)
    for chance in rows.value[rows.measure == "chance"].head(1):
        style.chance_line(axes[0], chance)
    style.legend_above(axes[0], 3)
    what = [label.replace("\n", " ") for label in YARDSTICKS.values()]
    words = caption(rows, "shares cross-validated over classes, intervals of shares and CKA by the jackknife")
    return Drawn(axes, f"Of every network: {'; '.join(what)}, of {model_names(models)}.", words)


def objectives(table: pd.DataFrame, shown: Selection) -> Drawn:
    """Correlation with the models, and class accuracy beside it: a row a network of ``tables/objectives.csv``, sorted.

    Marks carry the model, or ``accuracy``, as their gid; filled: the corrected p of every seed is below .05. Names of
    the lag curve's networks are bold.
    """
    rows = shown.rows(table, model=shown.models).dropna(subset="mantel_r")
    means, first = summary(rows, shown.confidence), rows[rows.model == shown.models[0]]
    order = means[means.model == shown.models[0]].sort_values("mantel_r", ascending=False, kind="stable")
    place = pd.Series(range(len(order)), order.network, dtype=float)
    height = (ROW_IN * len(order) + 1.0) / style.COLUMN_IN
    ax, beside = axes = style.panels(1, 2, 1.0, height, sharey=True, width_ratios=[2.4, 1])
    for i, model in enumerate(shown.models):
        look, own = style.model_style(model), means[means.model == model]
        at = place[own.network].to_numpy() + 0.4 * style.offset(i, len(shown.models))
        style.marks(ax, own, at, look, filled=own.significant, size=4.5, across=True, gid=model)
    own, look = over_seeds(first, shown.confidence, "accuracy"), {"color": style.INK, "marker": "D"}
    at = place[own.network].to_numpy()
    style.marks(beside, own, at, look, "accuracy", size=4, across=True, gid="accuracy")
    ax.axvline(0, color=style.QUIET, linewidth=0.8, zorder=0)
    for one in axes:
        one.hlines(place, *one.get_xlim(), colors=style.RULE, linewidth=0.5, zorder=0)
        one.tick_params(axis="y", length=0)
    kind = "r" if shown.control == "none" else "partial r"
    ax.set(ylim=(len(order) - 0.4, -0.6), xlabel=kind)
    beside.set(xlabel="class accuracy")
    ax.set_yticks(range(len(order)), [_name(one) for one in records(order)], fontsize=style.SMALL_PT)
    for label, network in zip(ax.get_yticklabels(), order.network, strict=True):
        label.set_fontweight("bold" if network.startswith("semantic_") else "normal")
    style.legend_above(ax, len(shown.models))
    above = [f"{_name(one)} ({one.mantel_r:.2f})" for one in records(order[order.significant])]
    sorted_by = f"{kind} with {model_names(shown.models[:1])}"
    alt = f"{len(order)} networks by their {sorted_by}. Above 0, corrected for all: {', '.join(above) or 'none'}."
    said = "filled: corrected p < .05 in every seed; bold: a fixed lag, InfoNCE; accuracy: nearest neighbours"
    return Drawn(list(axes), alt, caption(rows, shown.given, said, confidence=shown.confidence))


def _name(row: pd.Series) -> str:
    """A network as a reader says it: ``60 s``, ``vicreg, 60 s``, ``same scene``."""
    if row.network in style.BASELINE_STYLES:
        return style.BASELINE_STYLES[row.network]["label"]
    line, lag = (row.network.rsplit("_", 1)[0], style.lag_text(row.lag_s)) if row.lag_s > 0 else (row.network, "")
    return ", ".join(filter(None, (line.replace("_", " ").removeprefix("semantic"), lag)))
