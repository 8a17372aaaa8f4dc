"""What a network was shown and how it learned."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from semanticcmc.figures import style
from semanticcmc.figures.style import Axes, Drawn
from semanticcmc.run import duration

MEASURES = ("loss", "alignment", "uniformity", "effective_rank", "temperature", "class_accuracy", "category_r")


def training_curves(metrics: pd.DataFrame, network: str, seed: int, chance: float | None = None) -> Drawn:
    """Those of `MEASURES` that were taken, against the step.

    `metrics` are lines of ``metrics.jsonl``, of which those without a measure are left out of its curve; `chance` is
    the loss of a network that knows nothing (for InfoNCE the logarithm of the number of candidates).
    """
    measures = [measure for measure in MEASURES if measure in metrics]
    rows = -(-len(measures) // 4)
    size = (13 / style.COLUMN_IN, 3 * rows / style.COLUMN_IN)
    axes = style.panels(rows, -(-len(measures) // rows), *size, len(measures))
    for ax, measure in zip(axes, measures, strict=True):
        _curve(ax, metrics, measure)
    if chance is not None:
        style.chance_line(axes[0], chance)
    told = ", ".join(measures).replace("_", " ")
    return Drawn(axes, f"{told.capitalize()} by step, network {network}, seed {seed}.")


def _curve(ax: Axes, metrics: pd.DataFrame, measure: str) -> None:
    rows = metrics.dropna(subset=measure)
    marker = "o" if len(rows) < len(metrics) else None  # of measures taken at some of the steps
    ax.plot(rows.step, rows[measure], color=style.INK, linewidth=1.6, marker=marker, markersize=3, gid=measure)
    ax.set(xlabel="step", ylabel=measure.replace("_", " "))


class LiveCurve:
    """The loss, and category r where it is taken, drawn again in the notebook's cell while training goes on.

    Above them stand step, loss, the last category r, and the time left. `metrics` is ``metrics.jsonl``, which may hold
    lines from before an interruption; `what` says which network and seed; `every_s` are the least seconds between two
    drawings.
    """

    def __init__(self, metrics: Path, what: str, every_s: float = 2.0) -> None:
        self.metrics, self.what, self.every_s = metrics, what, every_s
        self.drawn, self.handle = -math.inf, None

    def __call__(self, line: Mapping[str, float]) -> None:
        """Draw, once the metrics hold a new `line` and the last drawing is old enough."""
        if time.monotonic() - self.drawn < self.every_s and line["seconds_left"] > 0:
            return
        import matplotlib.pyplot as plt
        from IPython.display import display

        metrics = pd.read_json(self.metrics, lines=True)
        measures = [measure for measure in ("loss", "category_r") if measure in metrics]
        axes = style.panels(1, len(measures), float(len(measures)))
        for ax, measure in zip(axes, measures, strict=True):
            _curve(ax, metrics, measure)
        r = f", category r {metrics.category_r.dropna().iloc[-1]:.3f}" if "category_r" in metrics else ""
        left = f"{duration(line['seconds_left'])} left" if line["seconds_left"] > 0 else "done"
        axes[0].set_title(f"{self.what}: step {line['step']:g}, loss {line['loss']:.3f}{r}, {left}")
        figure = axes[0].figure
        plt.close(figure)  # shown here alone, not once more at the end of the cell
        if self.handle is None:
            self.handle = display(figure, display_id=True)
        else:
            self.handle.update(figure)
        self.drawn = time.monotonic()


def pairs(first: Sequence[np.ndarray], second: Sequence[np.ndarray], network: str, lag_s: float) -> Drawn:
    """Pairs of views as the network gets them: the first above the second.

    Images are (H, W, 3), uint8, or float in [0, 1]; `lag_s` are seconds between the two, 0 or NaN where both are of one
    frame.
    """
    count = len(first)
    side = 2 / max(count, 8)
    axes = style.panels(2, count, side * count + 0.6 / style.COLUMN_IN, side * 2 + 0.3 / style.COLUMN_IN)
    for ax, image in zip(axes, (*first, *second), strict=True):
        ax.imshow(image)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    axes[0].set_ylabel("time t")
    axes[count].set_ylabel(f"t + {style.lag_text(lag_s)}" if lag_s > 0 else "time t,\nother crop")
    alt = f"{count} pairs of views as network {network} gets them, the first view of each above the second."
    return Drawn(axes, alt)
