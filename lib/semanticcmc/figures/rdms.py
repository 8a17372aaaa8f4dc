"""How a network sees the classes: distance matrices, a map of the classes, nearest neighbours."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd

from semanticcmc.figures import style
from semanticcmc.figures.style import Axes, Drawn
from semanticcmc.films.pictures import read_image
from semanticcmc.rsa.rdm import RDM

PICTURE_PX = 96
COLUMNS = 4  # most matrices in a row


def rdm_matrices(rdms: Mapping[str, RDM], categories: Mapping[str, str], about: str = "") -> Drawn:
    """RDMs as matrices, classes ordered by category, all on one scale: the percentile within each RDM.

    Distances of two networks differ in size; ranks compare their structure, as the tests do. `rdms` are by title and of
    the same classes, `categories` by class. `about` is what they have in common, for the caption (``fc7; seed 0``);
    without it there is no caption.
    """
    columns = min(COLUMNS, len(rdms))
    rows = -(-len(rdms) // columns)
    # in columns of a page: a full row is as wide as its text on the poster allows, one matrix alone is larger
    side, bar = (0.24, 0.22) if len(rdms) > 1 else (0.55, 0.35)
    width, height = side * (COLUMNS if len(rdms) > 1 else 1) + bar, (side + 0.055) * rows + 0.04
    axes = style.panels(rows, columns, width, height, len(rdms))
    for place, (ax, (title, rdm)) in enumerate(zip(axes, rdms.items(), strict=True)):
        order = sorted(rdm.classes, key=lambda name: (categories[name], name))
        distances = pd.Series(rdm.subset(order).values)
        ranked = 100 * (distances.rank() - 1) / max(distances.count() - 1, 1)
        square = RDM(np.asarray(ranked, dtype=np.float64), tuple(order)).square()
        blocks = [categories[name] for name in order]
        picture = ax.imshow(with_means(square, blocks), cmap="cividis", vmin=20, vmax=80)
        ax.set_title(title)
        category_blocks(ax, blocks, named=place % columns == 0, size=style.TEXT_PT if columns > 1 else style.SMALL_PT)
    look = {"shrink": 0.8, "aspect": 30, "pad": 0.01, "ticks": [20, 50, 80], "extend": "both"}
    axes[0].figure.colorbar(picture, ax=axes, label="distance (percentile)", **look)
    alt = (
        f"Distances between {len(order)} classes as matrices, ordered by category, above the diagonal their means over "
        f"categories: {', '.join(rdms)}"
    )
    caption = (
        f"{about}; {len(order)} classes; percentiles within each matrix, above the diagonal means." if about else ""
    )
    return Drawn(axes, f"{alt}; {about}." if about else f"{alt}.", caption)


def with_means(square: np.ndarray, categories: Sequence[str]) -> np.ndarray:
    """A matrix whose upper triangle holds the means over pairs of categories, as blocks; the diagonal is NaN.

    `square` (n, n) is symmetric, its items ordered by category; `categories` are those of each item.
    """
    square = square.astype(np.float64)
    np.fill_diagonal(square, np.nan)  # no distance
    shown, own = square.copy(), np.asarray(categories)
    for first, second in itertools.product(dict.fromkeys(categories), repeat=2):
        block = np.ix_(own == first, own == second)
        if np.isfinite(square[block]).any():
            shown[block] = np.nanmean(square[block])
    return np.where(np.triu(np.ones_like(square), 1) > 0, shown, square)


def category_blocks(
    ax: Axes, categories: Sequence[str], named: bool = True, color: str = "white", size: float = style.SMALL_PT
) -> None:
    """Frames around the categories that a matrix is ordered by; at the left their names, the larger ones' first."""
    blocks, start = [], 0
    for category, items in groupby(categories):
        count = len(list(items))
        blocks.append((category, start, count))
        start += count
    for _, first, count in blocks if len(blocks) > 1 else []:
        corners = np.array([first, first, first + count, first + count, first]) - 0.5
        ax.plot(corners, np.roll(corners[:4], -1)[[0, 1, 2, 3, 0]], color=color, linewidth=1.0, solid_joinstyle="miter")
    named_at: dict[float, str] = {}
    for category, first, count in sorted(blocks, key=lambda block: -block[2]) if named else []:
        middle = first + (count - 1) / 2
        if all(abs(middle - other) >= 0.05 * len(categories) for other in named_at):
            named_at[middle] = category.replace("_", " ")
    ax.set(xticks=[], xlim=(-0.5, len(categories) - 0.5), ylim=(len(categories) - 0.5, -0.5))
    ax.set_yticks(sorted(named_at), [named_at[middle] for middle in sorted(named_at)], fontsize=size)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def largest_categories(categories: Mapping[str, str], count: int, each: int) -> list[str]:
    """The first `each` classes of the `count` largest categories, in the order of `categories`."""
    largest = pd.Series(categories).value_counts().index[:count]
    members = {one: [name for name, category in categories.items() if category == one] for one in largest}
    return [name for one in largest for name in members[one][:each]]


def mds(rdm: RDM, categories: Mapping[str, str], names: Mapping[str, str], title: str = "") -> Drawn:
    """Classes on a plane, near where the RDM says near: classical multidimensional scaling.

    A few classes of the largest categories are named; a class whose distances are NaN is left out. `categories` and
    `names` are by class; `title` says which network, seed and layer.
    """
    import seaborn as sns

    [ax] = axes = style.panels(width=1.35, height=1.0)
    # a class without activations has no distances, and no place
    rdm = rdm.subset([name for name, row in zip(rdm.classes, rdm.square(), strict=True) if np.isnan(row).mean() < 0.5])
    places, share = classical_scaling(rdm.square())
    looks = style.group_styles(sorted({categories[name] for name in rdm.classes}))
    points = pd.DataFrame(places, columns=["x", "y"])
    points["label"] = [looks[categories[name]]["label"] for name in rdm.classes]
    legend = "full" if len(looks) <= 24 else False
    sns.scatterplot(points, x="x", y="y", s=64, legend=legend, ax=ax, **style.hues("label", looks))
    for name in largest_categories({name: categories[name] for name in rdm.classes}, 8, 2 if len(rdm) <= 100 else 1):
        place = {"xytext": (5, 3), "textcoords": "offset points", "fontsize": style.SMALL_PT}
        ax.annotate(names[name], places[rdm.classes.index(name)], color=style.INK, **place)
    ax.set(
        xticks=[], yticks=[], xlabel=f"two dimensions hold {100 * share:.0f} % of the variance", ylabel="", title=title
    )
    ax.spines[:].set_visible(False)
    ax.set_aspect("equal", adjustable="datalim")
    ax.margins(0.1)
    if legend:
        ax.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=style.SMALL_PT + 0.5)
    alt = (
        f"Map of {len(rdm)} classes by classical multidimensional scaling of their distances: {title or 'one network'}"
    )
    return Drawn(axes, f"{alt}; marker and colour give the category.")


def classical_scaling(square: np.ndarray) -> tuple[np.ndarray, float]:
    """Places (n, 2) on a plane of (n, n) distances, by Torgerson's (1952) classical scaling.

    The share that comes with them is what the two dimensions hold of the positive eigenvalues.
    """
    from scipy.linalg import eigh

    squared = np.asarray(square, dtype=float) ** 2
    centred = squared - squared.mean(axis=0) - squared.mean(axis=1, keepdims=True) + squared.mean()
    eigenvalues, vectors = eigh(-0.5 * centred)
    kept = np.clip(eigenvalues[::-1][:2], 0, None)
    return vectors[:, ::-1][:, :2] * np.sqrt(kept), float(kept.sum() / np.clip(eigenvalues, 0, None).sum())


def nearest_neighbours(
    rdm: RDM | Mapping[str, RDM],
    files: Mapping[str, str | Path],
    categories: Mapping[str, str],
    names: Mapping[str, str],
    title: str = "",
    queries: Sequence[str] | None = None,
    count: int = 6,
) -> Drawn:
    """For some classes, the `count` classes that the network finds nearest: a picture of each, nearest first.

    `rdm` is of one network; or of several by name, whose rows are named. By class there are `files`, images, of which
    only those shown are read, `categories` (same as the query's: framed and ticked) and `names`, written below. `title`
    says in the alternative text which network, seed and layer. `queries` are looked up, a row each; by default the
    first of each of the six largest categories.
    """
    from PIL import ImageOps

    rdms = {"": rdm} if isinstance(rdm, RDM) else rdm
    classes = next(iter(rdms.values())).classes
    count = min(count, len(classes) - 1)
    if queries is None:
        queries = largest_categories({name: categories[name] for name in classes}, 6, 1)
    rows = [(network, one.subset(classes), query) for query in queries for network, one in rdms.items()]
    side, more = 1.05 / style.COLUMN_IN, (0.25 * len(rows) + 0.35) / style.COLUMN_IN
    axes = style.panels(len(rows), count + 1, side * (count + 1), side * len(rows) + more)
    for row, (network, rdm, query) in enumerate(rows):
        distances = rdm.square()[classes.index(query)]
        distances[classes.index(query)] = np.inf
        nearest = np.argsort(distances, kind="stable")[:count]
        shown = axes[row * (count + 1) : (row + 1) * (count + 1)]
        shown[0].set_ylabel(network.replace(", ", "\n"), fontsize=style.SMALL_PT)
        for ax, name in zip(shown, [query, *(rdm.classes[i] for i in nearest)], strict=True):
            same = name != query and categories[name] == categories[query]
            ax.imshow(ImageOps.fit(read_image(files[name]), (PICTURE_PX, PICTURE_PX)))
            ax.set(xticks=[], yticks=[])
            color = style.MODEL_STYLES["category"]["color"] if same else style.RULE
            ax.spines[:].set(visible=True, linewidth=2.5 if same else 0.8, color=color)
            weight = "bold" if name == query else "normal"
            label = textwrap.shorten(names[name].replace("_", " "), 14, placeholder="…")
            ax.set_xlabel(("✓ " if same else "") + label, fontsize=style.SMALL_PT, labelpad=2, fontweight=weight)
    axes[0].figure.suptitle("A class, and the classes nearest to it (✓ same category)", x=0.01, ha="left")
    alt = (
        f"{len(queries)} classes and the classes nearest to each: {title or 'one network'}; those of the same category "
        "are framed and ticked."
    )
    return Drawn(axes, alt)
