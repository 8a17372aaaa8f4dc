"""What mere looks carry of meaning: untrained networks on real images, by layer and by images a class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from semanticcmc.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PUBLISHED_IMAGES = 150  # most images a class in the published evaluation


def looks(table: pd.DataFrame, published_r: float | None = None) -> Figure:
    """Correlation with WordNet and category by layer; with WordNet by the images that a class mean is made of.

    Parameters
    ----------
    table : DataFrame
        ``validation/real_images.csv``.
    published_r : float, optional
        Published correlation of the untrained network with WordNet, drawn at 150 images a class.

    Returns
    -------
    Figure
        Points are means over seeds, bars means of their interval limits.
    """
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(1.75 * style.COLUMN_IN, 0.72 * style.COLUMN_IN), sharey=True)
    _by_layer(left, table[table["study"] == "layers"])
    _by_images(right, table[(table["study"] == "images") & (table["network"] == table["network"].iloc[0])])
    if published_r is not None:
        right.plot(PUBLISHED_IMAGES, published_r, "*", color=style.INK, markersize=13, zorder=5)
        right.annotate(
            "published",
            (PUBLISHED_IMAGES, published_r),
            (-8, -4),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=style.SMALL_PT,
        )
    for ax in (left, right):
        style.zero_line(ax)
    left.set_ylabel("correlation with the model (Mantel's r)")
    return figure


def _means(rows: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """Means over seeds of r and of its limits, as bars need them."""
    found = rows.groupby(key, sort=False)[["value", "ci_low", "ci_high"]].mean().reset_index()
    found["below"], found["above"] = found["value"] - found["ci_low"], found["ci_high"] - found["value"]
    return found


def _by_layer(ax: Axes, rows: pd.DataFrame) -> None:
    layers = list(dict.fromkeys(rows["layer"]))
    means = _means(rows, ["network", "model", "layer"])
    pairs = list(means.groupby(["network", "model"], sort=False))
    markers = dict(zip(dict.fromkeys(means["network"]), style.GROUP_MARKERS, strict=False))
    for place, ((network, model), one) in enumerate(pairs):
        x = one["layer"].map(layers.index) + 0.09 * (place - (len(pairs) - 1) / 2)
        colour = style.model_style(str(model))["color"]
        ax.errorbar(
            x,
            one["value"],
            one[["below", "above"]].T,
            fmt=markers[network],
            color=colour,
            markersize=4.5,
            markerfacecolor=colour if model == "lch" else "white",
            linewidth=0.9,
            label=f"{network}: {'WordNet' if model == 'lch' else model}",
        )
    ax.set_xticks(range(len(layers)), layers)
    ax.set(xlabel="layer", title="one image a class")
    ax.legend(fontsize=style.SMALL_PT, ncols=2)


def _by_images(ax: Axes, rows: pd.DataFrame) -> None:
    for place, fewest in enumerate(sorted(int(number) for number in rows["fewest"].unique())):
        part = rows[rows["fewest"] == fewest]
        colour, marker = style.GROUP_COLOURS[place], style.GROUP_MARKERS[place]
        means = _means(part[part["quantity"] == "mantel_r"], ["images"])
        aside = 1.07 ** (place - 1.5)
        ax.errorbar(
            means["images"] * aside,
            means["value"],
            means[["below", "above"]].T,
            fmt=f"{marker}-",
            color=colour,
            markersize=5,
            linewidth=0.9,
            label=f"{int(part['classes'].iloc[0])} nouns of {fewest} images or more",
        )
        far = _means(part[part["quantity"] == "r_150"], ["images"]).iloc[0]
        if np.isfinite(far["value"]):
            ax.errorbar(
                PUBLISHED_IMAGES * aside**2,
                far["value"],
                [[far["below"]], [far["above"]]],
                fmt=marker,
                color=colour,
                markerfacecolor="white",
                markersize=6,
                linewidth=0.9,
            )
    ticks = [1, 2, 4, 8, 16, PUBLISHED_IMAGES]
    ax.set_xscale("log", base=2)
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.minorticks_off()
    ax.set(xlabel="images a class (150: extrapolated)", title=f"broader nouns as classes, {rows['network'].iloc[0]}")
    ax.legend(fontsize=style.SMALL_PT, loc="upper left")
