"""What a network was shown and how it learned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from semanticcmc.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def training_curve(
    metrics: pd.DataFrame,
    x: str = "step",
    y: str = "loss",
    chance: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """A measure of training against the step.

    Parameters
    ----------
    metrics : DataFrame
        Lines of ``metrics.jsonl``; lines without `y` are left out.
    x, y : str
        Columns.
    chance : float, optional
        Value of `y` for a network that knows nothing (for InfoNCE: the logarithm of the number of candidates).
    ax : Axes, optional
    """
    ax = style.axes(ax)
    rows = metrics.dropna(subset=y)
    ax.plot(rows[x], rows[y], color=style.INK, linewidth=1.6, gid=y)
    if chance is not None:
        ax.axhline(chance, color=style.QUIET, linestyle=":", linewidth=1.2, gid="chance")
        ax.annotate("chance", (1, chance), xycoords=("axes fraction", "data"), ha="right", va="bottom",
                    fontsize=style.SMALL_PT, color=style.QUIET)  # fmt: skip
    ax.set_xlabel(x.replace("_", " "))
    ax.set_ylabel(y.replace("_", " "))
    return ax


def pairs(first: Sequence[np.ndarray], second: Sequence[np.ndarray], lag_s: float) -> Figure:
    """Pairs of views as the network gets them: the first above the second.

    Parameters
    ----------
    first, second : sequence of (H, W, 3) arrays
        uint8, or float in [0, 1].
    lag_s : float
        Time between the two, seconds.
    """
    import matplotlib.pyplot as plt

    count = len(first)
    side = 2 * style.COLUMN_IN / max(count, 8)
    figure, grid = plt.subplots(2, count, figsize=(side * count + 0.6, side * 2 + 0.3), squeeze=False)
    for row, images in zip(grid, (first, second), strict=True):
        for ax, image in zip(row, images, strict=True):
            ax.imshow(image)
            ax.set(xticks=[], yticks=[])
            for spine in ax.spines.values():
                spine.set_visible(False)
    grid[0, 0].set_ylabel("time t")
    grid[1, 0].set_ylabel(f"t + {style.lag_text(lag_s)}" if lag_s > 0 else "time t,\nother crop")
    return figure
