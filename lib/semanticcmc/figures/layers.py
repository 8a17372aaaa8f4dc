"""Semantics layer by layer: of all networks, of one under every condition, and of mere looks on real images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from semanticcmc.figures import style
from semanticcmc.figures.style import Axes, Drawn
from semanticcmc.figures.tables import Selection, caption, model_names, percent, summary

PUBLISHED_IMAGES = 150  # most images a class in the published evaluation


def layers(table: pd.DataFrame, shown: Selection) -> Drawn:
    """Correlation with each model layer by layer, a panel each: a line a network, darker for a longer lag.

    Parameters
    ----------
    table : DataFrame
        ``tables/lag_curve.csv``; all layers, in the order of their first rows.
    shown : Selection
    """
    axes = style.panels(1, len(shown.models), len(shown.models), sharey=True)
    names = list(dict.fromkeys(table.layer))
    rows = shown.rows(table, layer=names)
    for ax, model in zip(axes, shown.models, strict=True):
        means = summary(rows[rows.model == model], shown.confidence)
        looks = style.network_styles(style.network_lags(means))
        style.beside(ax, means, "layer", names, "network", looks, spread=0.6, lines=True)
        style.zero_line(ax)
        ax.set(xlabel="layer", ylabel=shown.axis_label(model))
    style.legend_beside(axes[-1], "network")
    alt = f"Correlation with {model_names(shown.models)} by layer: a line a network, darker for a longer lag."
    return Drawn(axes, alt, caption(rows, shown.given, confidence=shown.confidence))


def conditions_by_layer(table: pd.DataFrame, shown: Selection, network: str, seed: int, classes: int) -> Drawn:
    """Simple correlation of one network's RDMs with the first model, layer by layer: a line a condition.

    Parameters
    ----------
    table : DataFrame
        ``condition, layer, mantel_r, ci_low, ci_high`` (`comparisons.simple_by_layer`), in the order to be drawn.
    shown : Selection
    network : str
    seed, classes : int
        Of the RDMs.
    """
    [ax] = axes = style.panels()
    names, conditions = list(dict.fromkeys(table.layer)), list(dict.fromkeys(table.condition))
    style.beside(ax, table, "layer", names, "condition", condition_styles(conditions), spread=0.3, lines=True)
    style.zero_line(ax)
    model = model_names(shown.models[:1])
    ax.set(xlabel="layer", ylabel=f"r, {model}")
    if len(conditions) > 1:
        style.legend_beside(ax, "condition")
    alt = f"Simple correlation with {model} by layer, {network}, seed {seed}, under {', '.join(conditions)}."
    words = caption(table.assign(seed=seed, classes=classes), "simple r", confidence=shown.confidence)
    return Drawn(axes, alt, f"{network}; {words}")


def condition_styles(conditions: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Colour, marker and label of stimulus conditions; whole pictures are ink."""
    colours, markers = style.GROUP_COLOURS, style.GROUP_MARKERS
    return {
        name: {"color": style.INK if name == "intact" else colours[i % 8 - 1], "marker": markers[i % 8], "label": name}
        for i, name in enumerate(conditions)
    }


def looks(table: pd.DataFrame, published_r: float | None = None, *, confidence: float) -> Drawn:
    """What mere looks carry of meaning: untrained networks on real images, by layer and by images a class.

    Points are means over seeds, bars means of their interval limits.

    Parameters
    ----------
    table : DataFrame
        ``validation/real_images.csv``.
    published_r : float, optional
        Published correlation of the untrained network with WordNet, drawn at 150 images a class.
    confidence : float
        Level of the intervals, between 0 and 1.
    """
    left, right = axes = style.panels(1, 2, 1.75, 0.72, sharey=True)
    by_images = table[(table.study == "images") & (table.network == table.network.iloc[0])]
    _looks_by_layer(left, table[table.study == "layers"])
    _looks_by_images(right, by_images)
    if published_r is not None:
        right.plot(PUBLISHED_IMAGES, published_r, "*", color=style.INK, markersize=13, zorder=5)
        place = {"xytext": (-8, -4), "textcoords": "offset points", "ha": "right", "va": "center"}
        right.annotate("published", (PUBLISHED_IMAGES, published_r), fontsize=style.SMALL_PT, **place)
    for ax in axes:
        style.zero_line(ax)
        ax.legend(fontsize=style.SMALL_PT, ncols=2 if ax is left else 1, loc="best" if ax is left else "upper left")
    left.set_ylabel("correlation with the model (Mantel's r)")
    grown = by_images[by_images.quantity == "mantel_r"].groupby("images").value.mean()
    alt = (
        "Left: correlation of untrained networks with WordNet and category by layer, one image a class. Right: "
        f"correlation with WordNet against images a class, from {grown.iloc[0]:.2f} at {grown.index[0]:.0f} to "
        f"{grown.iloc[-1]:.2f} at {grown.index[-1]:.0f}"
        + ("." if published_r is None else f"; published {published_r:.2f} at {PUBLISHED_IMAGES}.")
    )
    seeds = table.groupby("network", sort=False).seed.nunique()
    words = (
        "Euclidean distances of class means, averaged over space. "
        f"Seeds: {', '.join(f'{name} {count}' for name, count in seeds.items())}; points are means over seeds, bars "
        f"means of {percent(confidence)} bootstrap intervals over classes. Hollow, right: extrapolated to "
        f"{PUBLISHED_IMAGES} images by the reliability of the RDM."
        + ("" if published_r is None else " Star: published, 256 other classes of up to 150 images.")
    )
    return Drawn(axes, alt, words)


def _looks_by_layer(ax: Axes, rows: pd.DataFrame) -> None:
    names = list(dict.fromkeys(rows.layer))
    pairs = list(rows.groupby(["network", "model"], sort=False))
    markers = dict(zip(dict.fromkeys(rows.network), style.GROUP_MARKERS, strict=False))
    for i, ((network, model), own) in enumerate(pairs):
        means = own.groupby("layer")[["value", "ci_low", "ci_high"]].mean().reindex(names)
        label = f"{network}: {'WordNet' if model == 'lch' else model}"
        look = {"color": style.model_style(str(model))["color"], "marker": markers[network], "label": label}
        places = [place + 0.09 * (i - (len(pairs) - 1) / 2) for place in range(len(names))]
        style.marks(ax, means, places, look, "value", filled=model == "lch", size=4.5)
    ax.set_xticks(range(len(names)), names)
    ax.set(xlabel="layer", title="one image a class")


def _looks_by_images(ax: Axes, rows: pd.DataFrame) -> None:
    for i, (fewest, part) in enumerate(rows.groupby("fewest")):
        aside = 1.07 ** (i - 1.5)
        part = part.assign(place=part.images.where(part.quantity != "r_150", PUBLISHED_IMAGES * aside) * aside)
        means = part.groupby(["quantity", "place"])[["value", "ci_low", "ci_high"]].mean().reset_index()
        label = f"{int(part.classes.iloc[0])} nouns of {fewest:.0f} images or more"
        look = {"color": style.GROUP_COLOURS[i], "marker": style.GROUP_MARKERS[i], "label": label}
        means = means[means.quantity.isin(["mantel_r", "r_150"])]
        measured = means.quantity == "mantel_r"
        style.marks(ax, means, means.place, look, "value", filled=measured, size=5)
        ax.plot(means.place[measured], means.value[measured], color=look["color"], linewidth=0.9)
    ticks = [1, 2, 4, 8, 16, PUBLISHED_IMAGES]
    ax.set_xscale("log", base=2)
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.minorticks_off()
    ax.set(xlabel="images a class (150: extrapolated)", title=f"broader nouns as classes, {rows.network.iloc[0]}")
