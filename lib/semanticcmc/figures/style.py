"""House style: one palette, type that works in a column and on a poster, and parts that figures share.

A time lag is an ordered quantity, so its colours run from light to dark and stay in order in
greyscale. Networks without a lag are grey and told apart by their markers, models by colour, marker
and lightness together: no figure needs colour to be read.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from semanticcmc.figures.svg_text import FAMILY

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

# matplotlib's; its stubs refuse keyword arguments that are kept in a dict, as looks are here.
Axes: TypeAlias = Any

# One column of a page is 160 mm; on the poster it is drawn 2 to 2.5 times as large: 11 pt become 22 to 28 pt.
COLUMN_IN = 6.3
TEXT_PT = 11.0
SMALL_PT = 8.5

INK = "#1F2430"
QUIET = "#6B7280"
RULE = "#D5D9E0"
SIGNIFICANT = 0.05
DOTTED: Any = (0, (1, 1.2))
DASHED: Any = (0, (5, 2))

# Light to dark: the order of the lags survives greyscale and all common colour blindness.
LAG_COLOURS = ("#F0B44C", "#E77F4B", "#C64F63", "#8C3A7E", "#4B2A74", "#1B1748")
MODEL_STYLES = {
    "category": {"color": "#0B4F8A", "marker": "o", "label": "category"},
    "lch": {"color": "#D9772B", "marker": "s", "label": "WordNet (LCH)"},
    "look": {"color": "#4F8F5B", "marker": "^", "label": "look"},
    "path": {"color": "#A8572A", "marker": "D", "label": "WordNet (path)"},
    "wu_palmer": {"color": "#F0B27A", "marker": "v", "label": "WordNet (Wu-Palmer)"},
    "association": {"color": "#6A4C93", "marker": "P", "label": "association in the films"},
}
BASELINE_STYLES = {
    "random": {"color": "#9A9A9A", "marker": "X", "label": "random"},
    "supervised": {"color": "#B4B4B4", "marker": "P", "label": "supervised"},
    "augment": {"color": "#6E6E6E", "marker": "D", "label": "augment"},
    "cmc_lab": {"color": "#3C3C3C", "marker": "v", "label": "L / ab"},
}
OTHER_MARKERS = ("s", "^", "<", ">")  # of networks without a lag beside these
# Okabe and Ito's colours (their yellow darkened for white paper), for groups without an order.
GROUP_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#A89600", "#1F2430")
GROUP_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")


class Drawn(NamedTuple):
    """What a figure function returns: axes row by row; what they show, in words; the caption for below, or nothing."""

    axes: list[Axes]
    alt: str
    caption: str = ""

    @property
    def figure(self) -> Figure:
        """The figure that the axes lie on."""
        return self.axes[0].figure


def use_house_style() -> None:
    """Set matplotlib's defaults; call it once, before the first figure."""
    from cycler import cycler
    from matplotlib import rc

    rc("font", family=FAMILY, size=TEXT_PT)  # comes with matplotlib: the same letters on every machine
    rc("text", color=INK, parse_math=False)  # a title may cost $5
    rc("figure", figsize=(COLUMN_IN, 0.65 * COLUMN_IN), dpi=100, titlesize=TEXT_PT, titleweight="bold")
    rc("figure.constrained_layout", use=True)
    rc("axes", titlesize=TEXT_PT, titleweight="bold", titlelocation="left", titlepad=8.0)
    rc("axes", labelsize=TEXT_PT, labelcolor=INK, edgecolor=QUIET, prop_cycle=cycler(color=GROUP_COLOURS))
    rc("axes.spines", top=False, right=False)
    for axis in ("xtick", "ytick"):
        rc(axis, labelsize=TEXT_PT - 1, color=QUIET, labelcolor=INK)
    rc("legend", fontsize=TEXT_PT - 1, frameon=False)
    rc("lines", linewidth=2.0, markersize=7.0)
    rc("image", interpolation="nearest")
    rc("savefig", dpi=200, bbox=None, transparent=False, facecolor="auto")
    rc("svg", fonttype="none", hashsalt="semanticcmc")  # text stays text, whose letters `save` embeds


def panels(
    rows: int = 1, columns: int = 1, width: float = 1.0, height: float = 0.65, most: int | None = None, **shared: Any
) -> list[Axes]:
    """Axes of a new figure, at `most` so many, row by row; its size is in columns of a page (`COLUMN_IN`)."""
    import matplotlib.pyplot as plt

    size = (width * COLUMN_IN, height * COLUMN_IN)
    axes = list(plt.subplots(rows, columns, figsize=size, squeeze=False, **shared)[1].flat)
    for ax in axes[most:] if most else ():
        ax.remove()
    return axes[:most]


def model_style(model: str) -> dict[str, str]:
    """Colour, marker and label of a semantic model; one of the user's own gets ink, a cross and its name."""
    return MODEL_STYLES.get(model, {"color": INK, "marker": "X", "label": model.replace("_", " ")})


def lag_text(lag_s: float) -> str:
    """A lag as a reader says it: ``0.2 s``, ``60 s``, ``3 min``, ``1 h``."""
    if lag_s < 120:
        return f"{lag_s:g} s"
    for unit_s, unit in ((3600, "h"), (60, "min")):
        if lag_s >= unit_s and math.isclose(lag_s * 10 % unit_s, 0, abs_tol=1e-9):
            return f"{lag_s / unit_s:g} {unit}"
    return f"{lag_s:g} s"


def lag_colours(lags_s: Iterable[float]) -> dict[float, str]:
    """Colour of every lag, light to dark in equal steps from the shortest to the longest."""
    from matplotlib.colors import LinearSegmentedColormap, to_hex

    colours = LinearSegmentedColormap.from_list("lag", LAG_COLOURS)
    ordered = sorted({float(lag_s) for lag_s in lags_s})
    if len(ordered) == 1:
        return {ordered[0]: to_hex(colours(0.6))}
    return {lag_s: to_hex(colours(i / (len(ordered) - 1))) for i, lag_s in enumerate(ordered)}


def network_lags(table: pd.DataFrame) -> dict[str, float]:
    """Lag of every network in a table with the columns ``network`` and ``lag_s``."""
    return dict(zip(table.network, table.lag_s, strict=True))


def network_styles(lags_s: Mapping[str, float]) -> dict[str, dict[str, Any]]:
    """Colour, marker and label of every network: baselines grey, the others by lag; baselines first.

    `lags_s` are seconds by name of a network; NaN or 0: a baseline.
    """
    if not any(name in BASELINE_STYLES or lag_s > 0 for name, lag_s in lags_s.items()):
        return group_styles(lags_s)  # networks of others, scored
    order = [*BASELINE_STYLES, *sorted(lags_s)]
    baselines = sorted((name for name, lag_s in lags_s.items() if not lag_s > 0), key=order.index)
    lagged = sorted((lag_s, name) for name, lag_s in lags_s.items() if lag_s > 0)
    styles: dict[str, dict[str, Any]] = {}
    for i, name in enumerate(baselines):
        other = {"color": "#828282", "marker": OTHER_MARKERS[i % len(OTHER_MARKERS)], "label": name}
        styles[name] = BASELINE_STYLES.get(name, other) | {"linestyle": (0, (2, 1.5))}
    colours = lag_colours(lag_s for lag_s, _ in lagged)
    return styles | {name: {"color": colours[lag_s], "marker": "o", "label": lag_text(lag_s)} for lag_s, name in lagged}


def group_styles(groups: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Colour and marker of every group, in their order; more than 64 share styles."""
    colours, markers = len(GROUP_COLOURS), len(GROUP_MARKERS)
    styles = {}
    for i, group in enumerate(dict.fromkeys(groups)):
        marker = GROUP_MARKERS[(i + i // colours) % markers]
        styles[group] = {"color": GROUP_COLOURS[i % colours], "marker": marker, "label": group.replace("_", " ")}
    return styles


def lag_axis(ax: Axes, lags_s: Iterable[float], label: str = "time lag between the two views") -> None:
    """Make x a log axis of time lags, ticks at lags that leave room for their names."""
    ordered = sorted({float(lag_s) for lag_s in lags_s})
    apart = (ordered[-1] / ordered[0]) ** (0.12 * COLUMN_IN / ax.figure.get_figwidth())  # room for a name
    shown: list[float] = []
    for lag_s in ordered:
        if not shown or lag_s >= 0.99 * apart * shown[-1]:
            shown.append(lag_s)
    ax.set_xscale("log")
    ax.set_xticks(shown, [lag_text(lag_s) for lag_s in shown])
    ax.set_xticks([], minor=True)
    ax.set_xlabel(label)


def network_axis(ax: Axes, looks: Mapping[str, Mapping[str, Any]]) -> None:
    """Name networks at 0, 1, ... on x, in the order of their `network_styles`."""
    labels = [look["label"] for look in looks.values()]
    ax.set_xticks(range(len(labels)), labels, rotation=35, ha="right", rotation_mode="anchor")
    ax.set_xlim(-0.6, len(labels) - 0.4)


def offset(i: int, n: int) -> float:
    """Place of item `i` of `n` beside each other, from -1/2 to 1/2."""
    return 0.0 if n < 2 else i / (n - 1) - 0.5


def hues(column: str, looks: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Arguments of seaborn's relational functions: colour and marker by a column that holds labels of `looks`."""
    labels = [look["label"] for look in looks.values()]
    return {
        **{"hue": column, "style": column, "hue_order": labels, "style_order": labels},
        "palette": {look["label"]: look["color"] for look in looks.values()},
        "markers": {look["label"]: look["marker"] for look in looks.values()},
    }


def marks(
    ax: Axes,
    rows: pd.DataFrame,
    at: Any,
    look: Mapping[str, Any],
    value: str = "mantel_r",
    filled: Any = True,
    **more: Any,
) -> None:
    """Points of `rows` (column `value`) at places `at`, with their intervals (``ci_low`` to ``ci_high``).

    `look` holds ``color``, one or one a row, ``marker``, and perhaps ``label``; points that are not `filled`, a bool or
    one a row, are hollow. `more` may be the ``size`` of the points in pt, their ``gid``, and ``across=True`` for
    intervals along x.
    """
    import numpy as np

    size, across = more.pop("size", 5.5), more.pop("across", False)
    bars = ax.hlines if across else ax.vlines
    bars(at, rows.ci_low, rows.ci_high, colors=look["color"], linewidth=0.2 * size, zorder=3)
    point = {"s": size**2, "marker": look["marker"], "linewidths": 1.3, "zorder": 4} | more
    colours, at = np.broadcast_to(look["color"], len(rows)), np.broadcast_to(at, len(rows))
    for full in (True, False):
        some = np.broadcast_to(filled, len(rows)) == full
        x, y = (rows[value][some], at[some]) if across else (at[some], rows[value][some])
        ax.scatter(x, y, facecolors=colours[some] if full else "white", edgecolors=colours[some], **point)
    if "label" in look:
        face = "white" if filled is False else look["color"]
        ax.scatter([], [], facecolors=face, edgecolors=look["color"], label=look["label"], **point | {"gid": None})


def beside(
    ax: Axes, rows: pd.DataFrame, x: str, order: Sequence[str], column: str, looks: Mapping[str, Any], **more: Any
) -> None:
    """Points of `rows` at the place of column `x` in `order`, those of one place beside each other by `column`.

    They carry their value of `column` as gid, which is the key to their look. `more` may be ``spread``, the width that
    they share, ``lines=True`` to join them, and what `marks` takes.
    """
    spread, lines, filled = more.pop("spread", 0.5), more.pop("lines", False), more.pop("filled", None)
    for i, (name, look) in enumerate(looks.items()):
        own = rows[rows[column] == name]
        places = own[x].map({one: float(place) for place, one in enumerate(order)}).astype(float)
        at = places + spread * offset(i, len(looks))
        if lines:
            ax.plot(at, own.mantel_r, markersize=5.5, linewidth=1.8, gid=name, **look)
            ax.vlines(at, own.ci_low, own.ci_high, color=look["color"], linewidth=1.1, alpha=0.6, zorder=1)
        else:
            marks(ax, own, at, look, filled=True if filled is None else filled[own.index], gid=name, **more)
    ax.set_xticks(range(len(order)), order)


def zero_line(ax: Axes) -> None:
    """A quiet line at zero: no correlation."""
    ax.axhline(0, color=QUIET, linewidth=0.8, zorder=0)


def chance_line(ax: Axes, height: float) -> None:
    """A dotted line at chance, with the word at its right end."""
    ax.axhline(height, color=QUIET, linestyle=":", linewidth=1.2, gid="chance")
    at = {"xycoords": ("axes fraction", "data"), "ha": "right", "va": "bottom"}
    ax.annotate("chance", (1, height), fontsize=SMALL_PT, color=QUIET, **at)


def quiet_text(ax: Axes, text: str, height: float = 0.5) -> None:
    """A grey sentence across the middle of the axes: why there is nothing to see."""
    ax.text(0.5, height, text, transform=ax.transAxes, ha="center", va="bottom", color=QUIET)


def legend_above(ax: Axes, columns: int, **more: Any) -> None:
    """The legend between the axes and what is above them."""
    ax.legend(**{"ncols": columns, "loc": "lower left", "bbox_to_anchor": (0, 1), "columnspacing": 1.2} | more)


def legend_beside(ax: Axes, title: str) -> None:
    """The legend to the right of the axes."""
    ax.legend(title=title, loc="center left", bbox_to_anchor=(1.0, 0.5), alignment="left")


def note(ax: Axes, text: str) -> None:
    """A framed remark at the top of the axes, above what is drawn: what a reader must not overlook."""
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.22 * (high - low))
    frame = {"boxstyle": "round,pad=0.45", "facecolor": "#FFF3D6", "edgecolor": "#B7791F"}
    place = {"transform": ax.transAxes, "ha": "center", "va": "top", "zorder": 10, "bbox": frame}
    ax.text(0.5, 0.97, textwrap.fill(text, 62), **place, fontsize=TEXT_PT, fontweight="bold", color=INK)


def caption(figure: Figure, text: str) -> None:
    """A small line below the figure: how many classes and seeds, what the interval is."""
    letters = int(figure.get_figwidth() * 72 / (0.56 * SMALL_PT))
    lines = textwrap.fill(text, letters, break_on_hyphens=False)
    figure.supxlabel(lines, x=0.01, ha="left", fontsize=SMALL_PT, color=QUIET, gid="caption")
