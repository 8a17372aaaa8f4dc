"""What films show: film strip, frequent labels, which label follows which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from semanticcmc.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

STRIP_PX = 256
"""Width and height of a drawn world's frames in a film strip: on an A0 poster they are some 60 mm wide."""


def film_strip(
    images: Sequence[np.ndarray],
    times_s: Sequence[float],
    labels: Sequence[Sequence[str]] | None,
    pair: tuple[int, int],
    title: str = "",
) -> Figure:
    """Frames of a film in the order of time, their labels underneath, and two of them marked a lag apart.

    Parameters
    ----------
    images : sequence of uint8 (H, W, 3) arrays
        Frames.
    times_s : sequence of float
        Their times in the film, seconds, increasing.
    labels : sequence of sequence of str, or None
        Labels of each frame; None where the film has no labels.
    pair : tuple of int
        Indices of the two frames to mark.
    title : str

    Returns
    -------
    Figure
        One axes a frame, left to right.
    """
    import matplotlib.pyplot as plt

    if list(times_s) != sorted(times_s):
        raise ValueError(f"times_s {list(times_s)}: frames stand in the order of time")
    count = len(images)
    width = 2 * style.COLUMN_IN
    shape = images[0].shape
    height = (width / count) * shape[0] / shape[1]
    most = max((len(names) for names in labels), default=0) if labels else 0
    text_in = style.SMALL_PT * 1.35 / 72
    total = height + 0.72 + (most + 1) * text_in
    figure, row = plt.subplots(1, count, figsize=(width, total), squeeze=False)
    figure.get_layout_engine().set(w_pad=0.02, wspace=0.0)  # type: ignore[union-attr, call-arg]
    for i, (ax, image, time_s) in enumerate(zip(row[0], images, times_s, strict=True)):
        marked = i in pair
        ax.imshow(image, interpolation="lanczos")  # smooth at any size
        ax.set_xticks([])
        ax.set_yticks([])
        for spine in ax.spines.values():
            spine.set(visible=True, color=style.INK if marked else style.RULE, linewidth=3.5 if marked else 1)
        names = "\n".join([f"{_clock(time_s)}", *(labels[i] if labels else [])])
        ax.set_xlabel(names, fontsize=style.SMALL_PT, fontweight="bold" if marked else "normal", labelpad=5)
        if labels:
            ax.xaxis.label.set_linespacing(1.3)
    first, second = row[0][pair[0]], row[0][pair[1]]
    figure.suptitle(title, x=0.01, ha="left", fontsize=style.TEXT_PT, fontweight="bold")
    lag_s = times_s[pair[1]] - times_s[pair[0]]
    _bracket(figure, first, second, f"one pair: two views, {style.lag_text(lag_s)} apart")
    return figure


def _bracket(figure: Figure, first: Axes, second: Axes, text: str) -> None:
    """A bracket above two axes, from middle to middle, with a text at its centre."""
    first.set_title(" ", fontsize=style.TEXT_PT)  # keeps room above the frames
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # the bracket is placed on the layout as drawn
    left, right = first.get_position(), second.get_position()
    start, stop = (left.x0 + left.x1) / 2, (right.x0 + right.x1) / 2
    tick = 0.07 / figure.get_figheight()
    low = left.y1 + 0.6 * tick
    high = low + 2 * tick
    from matplotlib.lines import Line2D

    figure.add_artist(
        Line2D([start, start, stop, stop], [low, high, high, low], color=style.INK, linewidth=2, gid="pair")
    )
    figure.text(
        (start + stop) / 2,
        high,
        text,
        ha="center",
        va="center",
        fontsize=style.TEXT_PT,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 3},
    )


def _clock(time_s: float) -> str:
    """Seconds as a clock: ``0:45``, ``1:02:03``."""
    minutes, seconds = divmod(round(time_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def label_frequencies(frequencies: pd.Series, ax: Axes | None = None, named: int = 6) -> Axes:
    """Number of label sets that hold each label, by rank (Zipf's plot), the most frequent ones named.

    Parameters
    ----------
    frequencies : Series
        Label to number of label sets that hold it.
    ax : Axes, optional
    named : int
        How many labels to name, most frequent first.
    """
    ax = style.axes(ax)
    ordered = frequencies.sort_values(ascending=False)
    ax.loglog(
        np.arange(1, len(ordered) + 1),
        ordered.to_numpy(),
        color=style.INK,
        marker="o",
        markersize=3.5,
        linewidth=1,
        gid="frequencies",
    )
    listed = "\n".join(f"{i}  {name}" for i, name in enumerate(ordered.index[:named], start=1))
    ax.text(0.04, 0.05, listed, transform=ax.transAxes, va="bottom", fontsize=style.SMALL_PT, linespacing=1.4)
    ax.set_xlabel("rank of the label")
    ax.set_ylabel("label sets that hold it")
    return ax


def association_maps(maps: Mapping[float, pd.DataFrame], categories: Mapping[str, str], title: str = "") -> Figure:
    """How every label now goes with every label a lag later, labels ordered by category, a map a lag.

    Parameters
    ----------
    maps : mapping of float to DataFrame
        Lag in seconds to a square table (label now, label later): the log2 of how many times as often
        as by chance the second follows the first. On one scale; 0 (chance) is white, like all below it.
    categories : mapping of str to str
        Label to its category.
    title : str
    """
    import matplotlib.pyplot as plt

    from semanticcmc.figures.rdms import category_blocks

    figure, row = plt.subplots(1, len(maps), figsize=(2 * style.COLUMN_IN, 0.66 * style.COLUMN_IN), squeeze=False)
    names = sorted(next(iter(maps.values())).index, key=lambda name: (categories.get(name, "~"), name))
    highest = max(float(np.nanmax(table.to_numpy())) for table in maps.values()) or 1.0
    for ax, (lag_s, table) in zip(row[0], maps.items(), strict=True):
        picture = ax.imshow(
            table.loc[names, names].to_numpy(), cmap=_association_colours(), vmin=0, vmax=highest, aspect="equal"
        )
        ax.set_title(f"{style.lag_text(lag_s)} later")
        category_blocks(ax, [categories.get(name, "other") for name in names], named=ax is row[0][0], color=style.RULE)
    figure.colorbar(
        picture, ax=row[0].tolist(), shrink=0.8, aspect=30, pad=0.01, label="times as often as by chance (log2)"
    )
    figure.suptitle(title, x=0.01, ha="left", fontsize=style.TEXT_PT, fontweight="bold")
    return figure


def _association_colours() -> LinearSegmentedColormap:
    """White for no association or less, then the colours of the lags from light to dark."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("association", ("#FFFFFF", *style.LAG_COLOURS))
