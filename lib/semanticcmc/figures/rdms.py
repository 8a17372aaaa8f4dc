"""How a network sees the classes: distance matrices, a map of the classes, nearest neighbours."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from semanticcmc.evaluation.stimuli import read_image
from semanticcmc.figures import style
from semanticcmc.rsa.rdm import RDM

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PICTURE_PX = 96


def rdm_matrices(rdms: Mapping[str, RDM], categories: Mapping[str, str], columns: int = 4) -> Figure:
    """RDMs as matrices, classes ordered by category, all on one scale: the percentile within each RDM.

    Distances of two networks differ in size; ranks compare their structure, which is what the
    correlation tests look at.

    Parameters
    ----------
    rdms : mapping of str to RDM
        Title to RDM, all of the same classes.
    categories : mapping of str to str
        Class to category.
    columns : int
        Most matrices in a row.

    Returns
    -------
    Figure
        One axes an RDM, then the colour bar's.
    """
    import matplotlib.pyplot as plt
    from scipy.stats import rankdata

    room = columns if len(rdms) > 1 else 1  # two or three matrices are no taller than a full row
    columns = min(columns, len(rdms))
    rows = -(-len(rdms) // columns)
    side = (2 * style.COLUMN_IN - 2.2) / max(room, 3)
    figure, grid = plt.subplots(rows, columns, figsize=(side * room + 2.2, (side + 0.35) * rows + 0.25), squeeze=False)
    for ax, (title, rdm) in zip(grid.flat, rdms.items(), strict=False):
        order = sorted(rdm.classes, key=lambda name: (categories[name], name))
        own = rdm.subset(order)
        known = int(np.isfinite(own.values).sum())
        ranked = (rankdata(own.values, nan_policy="omit") - 1) / max(known - 1, 1) * 100
        square = np.full((len(order), len(order)), np.nan)  # the diagonal is no distance: left blank
        square[np.triu_indices(len(order), 1)] = ranked
        square.T[np.triu_indices(len(order), 1)] = ranked
        picture = ax.imshow(square, cmap="cividis", vmin=0, vmax=100)
        ax.set_title(title)
        category_blocks(ax, [categories[name] for name in order], named=ax in grid[:, 0])
    for ax in grid.flat[len(rdms) :]:
        ax.remove()
    shown = list(grid.flat[: len(rdms)])
    figure.colorbar(
        picture, ax=shown, label="distance (percentile)", shrink=0.8, aspect=30, pad=0.01, ticks=[0, 50, 100]
    )
    return figure


def category_blocks(ax: Axes, categories: Sequence[str], named: bool = True, color: str = "white") -> None:
    """Lines between the categories of a matrix whose rows are ordered by them, and their names at the left.

    Where there is no room for all names, the larger categories have theirs.
    """
    blocks, start = [], 0
    for category, items in groupby(categories):
        size = len(list(items))
        blocks.append((category, start, size))
        start += size
    for _, first, _ in blocks[1:]:
        for line in (ax.axhline, ax.axvline):
            line(first - 0.5, color=color, linewidth=0.8 if len(blocks) <= 12 else 0.4)
    named_at: dict[float, str] = {}
    for category, first, size in sorted(blocks, key=lambda block: -block[2]) if named else []:
        middle = first + (size - 1) / 2
        if all(abs(middle - other) >= 0.05 * len(categories) for other in named_at):
            named_at[middle] = category.replace("_", " ")
    ax.set_xticks([])
    ax.set_yticks(sorted(named_at), [named_at[middle] for middle in sorted(named_at)], fontsize=style.SMALL_PT)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)


def mds(rdm: RDM, categories: Mapping[str, str], names: Mapping[str, str], ax: Axes | None = None) -> Axes:
    """Classes on a plane, near where the RDM says near: classical multidimensional scaling.

    Parameters
    ----------
    rdm : RDM
    categories : mapping of str to str
        Class to category: colour and marker together.
    names : mapping of str to str
        Class to the name to write beside it; classes left out are drawn without.
    ax : Axes, optional

    Notes
    -----
    A class whose distances are NaN is left out.
    """
    ax = style.axes(ax, figsize=(style.COLUMN_IN * 1.35, style.COLUMN_IN))
    # a class without activations has no distances, and no place
    rdm = rdm.subset([name for name, row in zip(rdm.classes, rdm.square(), strict=True) if np.isnan(row).mean() < 0.5])
    places, share = classical_scaling(rdm.square())
    groups = style.group_styles(categories[name] for name in rdm.classes)
    for category, look in groups.items():
        own = [i for i, name in enumerate(rdm.classes) if categories[name] == category]
        ax.plot(
            places[own, 0],
            places[own, 1],
            linestyle="none",
            marker=look["marker"],
            color=look["color"],
            markersize=8,
            markeredgecolor="white",
            markeredgewidth=0.7,
            gid=category,
            label=look["label"],
        )
    for i, name in enumerate(rdm.classes):
        if name in names:
            ax.annotate(
                names[name],
                places[i],
                xytext=(5, 3),
                textcoords="offset points",
                fontsize=style.SMALL_PT,
                color=style.INK,
            )
    ax.set(xticks=[], yticks=[], xlabel=f"two dimensions hold {share:.0%} of the variance".replace("%", " %"))
    ax.spines[:].set_visible(False)
    ax.set_aspect("equal", adjustable="datalim")
    ax.margins(0.1)
    if len(groups) <= 24:
        ax.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=style.SMALL_PT + 0.5)
    return ax


def classical_scaling(square: np.ndarray) -> tuple[np.ndarray, float]:
    """Places on a plane by Torgerson's (1952) classical scaling.

    Parameters
    ----------
    square : (n, n) array
        Distances.

    Returns
    -------
    places : (n, 2) array
    share : float
        Share of the positive eigenvalues that the two dimensions hold.
    """
    from scipy.linalg import eigh

    squared = np.asarray(square, dtype=float) ** 2
    centred = squared - squared.mean(axis=0) - squared.mean(axis=1, keepdims=True) + squared.mean()
    eigenvalues, vectors = eigh(-0.5 * centred)
    kept = np.clip(eigenvalues[::-1][:2], 0, None)
    return vectors[:, ::-1][:, :2] * np.sqrt(kept), float(kept.sum() / np.clip(eigenvalues, 0, None).sum())


def nearest_neighbours(
    rdm: RDM,
    queries: Sequence[str],
    files: Mapping[str, str | Path],
    categories: Mapping[str, str],
    names: Mapping[str, str],
    count: int = 6,
) -> Figure:
    """For some classes, the classes that the network finds nearest: a picture of each, nearest first.

    Parameters
    ----------
    rdm : RDM
    queries : sequence of str
        Classes to look up, a row each.
    files : mapping of str to path
        An image file of each class; only those shown are read.
    categories, names : mapping of str to str
        Class to category (same as the query's: framed and ticked) and to the name written below.
    count : int
        Neighbours shown.

    Returns
    -------
    Figure
        A row of axes a query, left to right; their labels are the names.
    """
    import matplotlib.pyplot as plt
    from PIL import ImageOps

    square = rdm.square()
    np.fill_diagonal(square, np.inf)
    count = min(count, len(rdm) - 1)
    side_in = 1.05
    size = (side_in * (count + 1), (side_in + 0.25) * len(queries) + 0.35)
    figure, grid = plt.subplots(len(queries), count + 1, squeeze=False, figsize=size)
    for row, query in zip(grid, queries, strict=True):
        nearest = np.argsort(square[rdm.classes.index(query)], kind="stable")[:count]
        for ax, name in zip(row, [query, *(rdm.classes[i] for i in nearest)], strict=True):
            same = name != query and categories[name] == categories[query]
            ax.imshow(ImageOps.fit(read_image(files[name]), (PICTURE_PX, PICTURE_PX)))
            ax.set(xticks=[], yticks=[])
            color = style.MODEL_STYLES["category"]["color"] if same else style.RULE
            for spine in ax.spines.values():
                spine.set(visible=True, linewidth=2.5 if same else 0.8, color=color)
            weight = "bold" if name == query else "normal"
            label = textwrap.shorten(names[name].replace("_", " "), 14, placeholder="…")
            ax.set_xlabel(("✓ " if same else "") + label, fontsize=style.SMALL_PT, labelpad=2, fontweight=weight)
    figure.suptitle(
        "A class, and the classes nearest to it (✓ same category)",
        x=0.01,
        ha="left",
        fontsize=style.TEXT_PT,
        fontweight="bold",
    )
    return figure
