"""House style: one palette, type that works in a column and on a poster, and files that say whence they came.

A time lag is an ordered quantity, so its colours run from light to dark and stay in order in
greyscale. Networks without a lag are grey and told apart by their markers, models by colour, marker
and lightness together: no figure needs colour to be read.
"""

from __future__ import annotations

import hashlib
import math
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semanticcmc.config import InputError
from semanticcmc.experiment import Experiment, network_lag_s, repository_root
from semanticcmc.figures.svg_text import FAMILY, embed_fonts
from semanticcmc.run import atomic, git_commit, write_json

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# One column of a page is 160 mm; on the poster it is drawn 2 to 2.5 times as large: 11 pt become 22 to 28 pt.
COLUMN_IN = 6.3
TEXT_PT = 11.0
SMALL_PT = 8.5

INK = "#1F2430"
QUIET = "#6B7280"
RULE = "#D5D9E0"
SIGNIFICANT = 0.05

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
# Okabe and Ito's colours (their yellow darkened for white paper), for groups without an order.
GROUP_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#A89600", "#1F2430")
GROUP_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")


def use_house_style() -> None:
    """Set matplotlib's defaults; call it once, before the first figure."""
    import matplotlib
    from cycler import cycler

    matplotlib.rcParams.update(
        {
            "font.family": FAMILY,  # comes with matplotlib: the same letters on every machine
            "font.size": TEXT_PT,
            "axes.titlesize": TEXT_PT,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.labelsize": TEXT_PT,
            "xtick.labelsize": TEXT_PT - 1,
            "ytick.labelsize": TEXT_PT - 1,
            "legend.fontsize": TEXT_PT - 1,
            "legend.frameon": False,
            "figure.figsize": (COLUMN_IN, 0.65 * COLUMN_IN),
            "figure.constrained_layout.use": True,
            "figure.dpi": 100,
            "savefig.dpi": 200,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": QUIET,
            "axes.labelcolor": INK,
            "axes.prop_cycle": cycler(color=GROUP_COLOURS),
            "axes.titlepad": 8.0,
            "text.color": INK,
            "xtick.color": QUIET,
            "ytick.color": QUIET,
            "xtick.labelcolor": INK,
            "ytick.labelcolor": INK,
            "lines.linewidth": 2.0,
            "lines.markersize": 7.0,
            "image.interpolation": "nearest",
            "svg.fonttype": "none",  # text stays text; `save` embeds its letters
            "svg.hashsalt": "semanticcmc",  # equal input, equal file
        }
    )


def model_style(model: str) -> dict[str, str]:
    """Colour, marker and label of a semantic model; one of the user's own gets ink, a cross and its name."""
    return MODEL_STYLES.get(model, {"color": INK, "marker": "X", "label": model.replace("_", " ")})


def axes(ax: Axes | None, **size: Any) -> Axes:
    """`ax`, or the axes of a new figure."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(**size)[1]


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


def network_styles(networks: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Colour, marker and label of every network: baselines grey, the others by lag; baselines first.

    Parameters
    ----------
    networks : iterable of str
        Names such as ``random``, ``augment``, ``semantic_60s``.
    """
    names = sorted(set(networks), key=_network_order)
    semantic = {name: network_lag_s(name) for name in names if name not in BASELINE_STYLES}
    if unknown := [name for name, lag_s in semantic.items() if math.isnan(lag_s)]:
        raise InputError(f"no style for network {', '.join(unknown)}: expected a baseline or semantic_<lag>s")
    colours = lag_colours(semantic.values()) if semantic else {}
    return {
        name: {"color": colours[semantic[name]], "marker": "o", "label": lag_text(semantic[name])}
        if name in semantic
        else dict(BASELINE_STYLES[name])
        for name in names
    }


def _network_order(name: str) -> tuple[int, float, str]:
    if name in BASELINE_STYLES:
        return (0, list(BASELINE_STYLES).index(name), name)
    return (1, network_lag_s(name), name)


def group_styles(groups: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Colour and marker of every group, in sorted order; more than 64 share styles."""
    colours, markers = len(GROUP_COLOURS), len(GROUP_MARKERS)
    return {
        group: {
            "color": GROUP_COLOURS[i % colours],
            "marker": GROUP_MARKERS[(i + i // colours) % markers],
            "label": group.replace("_", " "),
        }
        for i, group in enumerate(sorted(set(groups)))
    }


def lag_axis(ax: Axes, lags_s: Sequence[float], label: str = "time lag") -> None:
    """Make x a log axis of time lags, ticks at lags that leave room for their names."""
    ordered = sorted({float(lag_s) for lag_s in lags_s})
    apart = (ordered[-1] / ordered[0]) ** 0.12  # room for a name: at most 9 on the axis
    shown: list[float] = []
    for lag_s in ordered:
        if not shown or lag_s >= 0.99 * apart * shown[-1]:
            shown.append(lag_s)
    ax.set_xscale("log")
    ax.set_xticks(shown, [lag_text(lag_s) for lag_s in shown])
    ax.set_xticks([], minor=True)
    ax.set_xlabel(label)


def zero_line(ax: Axes) -> None:
    """A quiet line at zero: no correlation."""
    ax.axhline(0, color=QUIET, linewidth=0.8, zorder=0)


def note(ax: Axes, text: str) -> None:
    """A framed remark at the top of the figure, above what is drawn: what a reader must not overlook."""
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.22 * (high - low))
    ax.text(
        0.5,
        0.97,
        textwrap.fill(text, 62),
        transform=ax.transAxes,
        ha="center",
        va="top",
        fontsize=TEXT_PT,
        fontweight="bold",
        color=INK,
        zorder=10,
        bbox={"boxstyle": "round,pad=0.45", "facecolor": "#FFF3D6", "edgecolor": "#B7791F"},
    )


def caption(figure: Figure, text: str) -> None:
    """A small line below the figure: how many classes and seeds, what the interval is. Its sidecar gets it too."""
    letters = int(figure.get_figwidth() * 72 / (0.56 * SMALL_PT))
    lines = textwrap.fill(text, letters, break_on_hyphens=False)
    figure.supxlabel(lines, x=0.01, ha="left", fontsize=SMALL_PT, color=QUIET)


def save(
    figure: Figure,
    experiment: Experiment,
    name: str,
    inputs: Iterable[str | Path],
    alt: str,
    notebook: str | None = None,
) -> Path:
    """Write a figure as SVG and PNG with a JSON sidecar that names everything it was made from.

    In a notebook the figure is shown as well, its text in the output's metadata.

    Parameters
    ----------
    figure : Figure
    experiment : Experiment
        Files go to ``<experiment.folder>/figures``.
    name : str
        File name without ending: ``lag_curve``.
    inputs : iterable of path
        Files that the figure was drawn from; absolute, or relative to the experiment's folder. The
        sidecar names those of the experiment from its folder, those of the repository from its root.
    alt : str
        What the figure shows, in words, for those who cannot see it.
    notebook : str, optional
        Notebook that drew it, without ending: ``04_lag_curve``.

    Returns
    -------
    Path
        Of the SVG; PNG and JSON lie beside it.

    Raises
    ------
    InputError
        For an input that is no file, or an empty `alt`: found before anything is written.
    """
    if not alt.strip():
        raise InputError(f"figure {name}: needs a text (alt) for those who cannot see it")
    files = [experiment.folder / path for path in inputs]  # an absolute path stays as it is
    if missing := [str(path) for path in files if not path.is_file()]:
        raise InputError(f"figure {name}: input {', '.join(missing)} is no file")
    described = {
        "figure": name,
        "alt": " ".join(alt.split()),
        "caption": " ".join(figure.get_supxlabel().split()) or None,
        "experiment": experiment.name,
        "title": experiment.title,
        "seeds": experiment.seeds,
        "configuration": _hashed(experiment.file, experiment),
        "notebook": notebook,
        "git_commit": git_commit(),
        "inputs": [_hashed(path, experiment) for path in files],
    }
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # lay out once: both files and the notebook show the same
    svg = experiment.path("figures", f"{name}.svg")
    with atomic(svg) as temporary:
        figure.savefig(temporary, metadata={"Date": None, "Title": name, "Description": described["alt"]})
        temporary.write_text(embed_fonts(temporary.read_text(encoding="utf-8")), encoding="utf-8")
    with atomic(svg.with_suffix(".png")) as temporary:
        figure.savefig(temporary, metadata={"Title": name, "Description": described["alt"]})
    write_json(svg.with_suffix(".json"), described)
    _show(figure, name, str(described["alt"]))
    return svg


def _show(figure: Figure, name: str, alt: str) -> None:
    """In a notebook: show the figure here, with its name and its text, instead of bare at the end of the cell."""
    import matplotlib
    import matplotlib.pyplot as plt

    if "inline" not in matplotlib.get_backend():
        return
    from IPython.display import display

    display(figure, metadata={"image/png": {"alt": alt, "figure": name}})
    plt.close(figure)


def _hashed(path: Path, experiment: Experiment) -> dict[str, str]:
    """Path as the reader of the results knows it, and the SHA-256 of what it holds."""
    with path.open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    shown = path.resolve()
    for folder in (experiment.folder.resolve(), repository_root()):
        if shown.is_relative_to(folder):
            return {"path": shown.relative_to(folder).as_posix(), "sha256": digest}
    return {"path": shown.name, "sha256": digest}
