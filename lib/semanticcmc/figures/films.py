"""What films show: film strip, frequent labels, which label follows which."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from datetime import timedelta

import numpy as np
import pandas as pd

from semanticcmc.figures import style
from semanticcmc.figures.rdms import category_blocks
from semanticcmc.figures.style import Axes, Drawn

WIDTH = 1.2  # of a strip, in columns of a page: with text that can be read on a poster of A0
STRIP_PX = 256
"""Width and height of a drawn world's frames in a film strip: on an A0 poster they are some 60 mm wide."""


def film_strip(
    images: Sequence[np.ndarray],
    times_s: Sequence[float],
    labels: Sequence[Sequence[str]] | None,
    pair: tuple[int, int],
    title: str = "",
) -> Drawn:
    """Frames of a film in the order of time, their labels underneath, and two of them marked a lag apart.

    Images are uint8 (H, W, 3), `times_s` their seconds in the film, increasing, `labels` those of each frame (None: the
    film has none), `pair` the indices of the two frames under the bracket. `title` says which film.
    """
    if list(times_s) != sorted(times_s):
        raise ValueError(f"times_s {list(times_s)}: frames must be in the order of time")
    count, width = len(images), WIDTH * style.COLUMN_IN
    height = (width / count) * images[0].shape[0] / images[0].shape[1]
    fits = max(8, int(width / count * 72 / (0.55 * style.TEXT_PT)))  # letters below a frame
    below = [
        [line for name in names for line in textwrap.wrap(name, fits, break_long_words=False)]
        for names in labels or [[]] * count
    ]
    most = max(map(len, below), default=0)
    total = height + 0.62 + (most + 1) * style.TEXT_PT * 1.35 / 72
    axes = style.panels(1, count, WIDTH, total / style.COLUMN_IN)
    figure = axes[0].figure
    figure.get_layout_engine().set(w_pad=0.02, wspace=0.0)
    for i, (ax, image, time_s) in enumerate(zip(axes, images, times_s, strict=True)):
        marked = i in pair
        ax.imshow(image, interpolation="lanczos")  # smooth at any size
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set(visible=True, color=style.INK if marked else style.RULE, linewidth=3.5 if marked else 1)
        clock = str(timedelta(seconds=round(time_s))).removeprefix("0:").removeprefix("0")  # 0:45, 59:50, 1:00:00
        ax.set_xlabel(
            "\n".join([clock, *below[i]]), fontsize=style.TEXT_PT, fontweight="bold" if marked else "normal", labelpad=5
        )
        ax.xaxis.label.set_linespacing(1.3)
    lag = style.lag_text(times_s[pair[1]] - times_s[pair[0]])
    figure.suptitle(title, x=0.01, ha="left")
    _bracket(axes[pair[0]], axes[pair[1]], f"one pair: two views, {lag} apart")
    for ax in (axes[0], axes[-1]):  # a long word at either end would leave the picture
        words, frame = ax.xaxis.label.get_window_extent(), ax.get_window_extent()
        inside = max(0, 4 - words.x0) - max(0, words.x1 + 4 - figure.bbox.width)
        ax.xaxis.label.set_x(0.5 + inside / frame.width)
    alt = (
        f"{count} frames of {title or 'a film'}, in the order of time, {style.lag_text(times_s[1] - times_s[0])} apart"
        f"{', with their labels' if labels else ''}; two of them, {lag} apart, are framed as a pair."
    )
    return Drawn(axes, alt)


def _bracket(first: Axes, second: Axes, text: str) -> None:
    """A bracket above two axes, from middle to middle, with a text at its centre."""
    from matplotlib.lines import Line2D

    figure = first.figure
    first.set_title(" ", fontsize=style.TEXT_PT)  # keeps room above the frames
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # the bracket is placed on the layout as drawn
    left, right = first.get_position(), second.get_position()
    start, stop = (left.x0 + left.x1) / 2, (right.x0 + right.x1) / 2
    tick = 0.07 / figure.get_figheight()
    low, high = left.y1 + 0.6 * tick, left.y1 + 2.6 * tick
    corners = [start, start, stop, stop], [low, high, high, low]
    figure.add_artist(Line2D(*corners, color=style.INK, linewidth=2, gid="pair"))
    box = {"facecolor": "white", "edgecolor": "none", "pad": 3}
    figure.text((start + stop) / 2, high, text, ha="center", va="center", fontsize=style.TEXT_PT, bbox=box)


def label_frequencies(frequencies: pd.Series, named: int = 6) -> Drawn:
    """Number of label sets that hold each label, by rank (Zipf's plot), the most frequent ones named.

    `frequencies` is label to number of label sets; `named` how many labels to name.
    """
    from matplotlib.ticker import LogFormatter

    [ax] = axes = style.panels()
    ordered = frequencies.sort_values(ascending=False, kind="stable")
    ax.loglog(range(1, len(ordered) + 1), ordered, "o-", color=style.INK, markersize=3.5, lw=1, gid="frequencies")
    for axis in (ax.xaxis, ax.yaxis):  # in plain numbers: mathematics is not parsed
        axis.set(major_formatter=LogFormatter(), minor_formatter=LogFormatter())
    listed = "\n".join(f"{i}  {name}" for i, name in enumerate(ordered.index[:named], start=1))
    ax.text(0.04, 0.05, listed, transform=ax.transAxes, va="bottom", fontsize=style.SMALL_PT, linespacing=1.4)
    ax.set(xlabel="rank of the label", ylabel="label sets that hold it")
    alt = f"Number of label sets that hold each of {len(ordered)} labels against its rank, both on log axes"
    return Drawn(axes, f"{alt}; most frequent: {', '.join(ordered.index[:3])}.")


def association_maps(maps: Mapping[float, pd.DataFrame], categories: Mapping[str, str]) -> Drawn:
    """How every label now goes with every label a lag later, labels ordered by category, a map a lag.

    `maps` are, by lag in seconds, square tables (label now, label later) of the log2 of how many times as often as by
    chance the second follows the first. On one scale; 0 (chance) is white, like all below it. `categories` are those of
    labels, where they are known.
    """
    from matplotlib.colors import LinearSegmentedColormap

    axes = style.panels(1, len(maps), 2.0, 0.66)
    names = sorted(next(iter(maps.values())).index, key=lambda name: (categories.get(name, "~"), name))
    highest = max(float(np.nanmax(table.to_numpy())) for table in maps.values()) or 1.0
    colours = LinearSegmentedColormap.from_list("association", ("#FFFFFF", *style.LAG_COLOURS))
    for ax, (lag_s, table) in zip(axes, maps.items(), strict=True):
        picture = ax.imshow(table.loc[names, names].to_numpy(), cmap=colours, vmin=0, vmax=highest)
        ax.set_title(f"{style.lag_text(lag_s)} later")
        category_blocks(ax, [categories.get(name, "other") for name in names], named=ax is axes[0], color=style.RULE)
    label = "times as often as by chance (log2)"
    axes[0].figure.colorbar(picture, ax=axes, shrink=0.8, aspect=30, pad=0.01, label=label)
    lags = ", ".join(style.lag_text(lag_s) for lag_s in maps)
    alt = f"Association of {len(names)} labels with each other at {lags}, ordered by category where it is known."
    return Drawn(axes, alt)
