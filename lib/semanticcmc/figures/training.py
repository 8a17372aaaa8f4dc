"""What a network was shown and how it learned."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from semanticcmc.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def training_curve(
    metrics: pd.DataFrame, x: str = "step", y: str = "loss", chance: float | None = None, ax: Axes | None = None
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
        ax.annotate(
            "chance",
            (1, chance),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            fontsize=style.SMALL_PT,
            color=style.QUIET,
        )
    ax.set_xlabel(x.replace("_", " "))
    ax.set_ylabel(y.replace("_", " "))
    return ax


class LiveCurve:
    """A measure of training, drawn again in the notebook's cell while training goes on.

    Parameters
    ----------
    metrics : Path
        ``metrics.jsonl``, which may hold lines from before an interruption.
    y : str
        Column.
    every_s : float
        Least seconds between two drawings.
    """

    def __init__(self, metrics: Path, y: str = "loss", every_s: float = 2.0) -> None:
        self.metrics, self.y, self.every_s = metrics, y, every_s
        self.drawn, self.handle = -math.inf, None

    def __call__(self, line: Mapping[str, float]) -> None:
        """Draw, once the metrics hold a new `line` and the last drawing is old enough."""
        if time.monotonic() - self.drawn < self.every_s and line["seconds_left"] > 0:
            return
        import matplotlib.pyplot as plt
        from IPython.display import display

        figure, ax = plt.subplots(layout="constrained")
        training_curve(pd.read_json(self.metrics, lines=True), y=self.y, ax=ax)
        plt.close(figure)  # shown here alone, not once more at the end of the cell
        if self.handle is None:
            self.handle = display(figure, display_id=True)
        else:
            self.handle.update(figure)
        self.drawn = time.monotonic()


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
