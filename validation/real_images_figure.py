"""Draw the table of the study `real_images`: what mere looks carry of meaning, by layer and by images a class.

python -m validation.real_images_figure
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from validation.pictures import write_picture

from semanticcmc.figures import style
from semanticcmc.figures.style import Axes, Drawn
from semanticcmc.figures.tables import percent

HERE = Path(__file__).parent
PUBLISHED_IMAGES = 150  # most images a class in the published evaluation


def published_r() -> float:
    """Published correlation of the untrained network with LCH at the last convolution."""
    published = pd.read_csv(HERE.parent / "data_manifests" / "published_results.csv")
    return published.query("network == 'random' and model == 'lch' and control == 'none'").mantel_r.item()


def looks(table: pd.DataFrame, published_r: float, *, confidence: float) -> Drawn:
    """What mere looks carry of meaning: untrained networks on real images, by layer and by images a class.

    Points are means over seeds, bars means of their interval limits.

    Parameters
    ----------
    table : DataFrame
        ``validation/real_images.csv``.
    published_r : float
        Published correlation of the untrained network with WordNet, drawn at 150 images a class.
    confidence : float
        Level of the intervals, between 0 and 1.
    """
    left, right = axes = style.panels(1, 2, 1.75, 0.72, sharey=True)
    by_images = table[(table.study == "images") & (table.network == table.network.iloc[0])]
    _looks_by_layer(left, table[table.study == "layers"])
    _looks_by_images(right, by_images)
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
        f"{grown.iloc[-1]:.2f} at {grown.index[-1]:.0f}; published {published_r:.2f} at {PUBLISHED_IMAGES}."
    )
    seeds = table.groupby("network", sort=False).seed.nunique()
    words = (
        "Euclidean distances of class means, averaged over space. "
        f"Seeds: {', '.join(f'{name} {count}' for name, count in seeds.items())}; points are means over seeds, bars "
        f"means of {percent(confidence)} bootstrap intervals over classes. Hollow, right: extrapolated to "
        f"{PUBLISHED_IMAGES} images by the reliability of the RDM. Star: published, 256 other classes of up to "
        f"{PUBLISHED_IMAGES} images."
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


def draw() -> None:
    """Write real_images.png, and its words into real_images.json, from the table and record beside them."""
    table = pd.read_csv(HERE / "real_images.csv")
    record = json.loads((HERE / "real_images.json").read_text(encoding="utf-8"))
    style.use_house_style()
    drawn = looks(table, published_r(), confidence=record["config"]["confidence"])
    inputs = ["validation/real_images.csv", "data_manifests/published_results.csv"]
    write_picture(drawn, HERE / "real_images.png", inputs, record)


if __name__ == "__main__":
    draw()
