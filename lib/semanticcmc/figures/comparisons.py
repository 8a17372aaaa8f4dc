"""What hangs on the control, which network differs from which, and how alike networks see the classes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from semanticcmc.figures import style
from semanticcmc.figures.style import Axes, Drawn
from semanticcmc.figures.tables import (
    Selection,
    caption,
    control_text,
    model_names,
    records,
    select,
    summary,
    values_text,
)
from semanticcmc.run import counted

CONTROL_STYLES = {
    "none": {"color": "#9A9A9A", "marker": "D", "label": "none (simple r)"},
    "random": {"color": style.INK, "marker": "o", "label": "untrained networks"},
    "cmc_lab": {"color": "#B45F06", "marker": "v", "label": "L / ab network"},
    "look": {"color": "#4F8F5B", "marker": "^", "label": "true looks"},
}
MORE = [{"color": "#7A3E9D", "marker": "s"}, {"color": "#B03A5B", "marker": "P"}, {"color": "#2B6CB0", "marker": "X"}]
CONNECTIVITY = {"none": "simple", "random": "given untrained networks"}


def controls(table: pd.DataFrame, shown: Selection) -> Drawn:
    """Correlation with each model, given each control: a panel a model, a group of markers a network.

    Filled markers: Holm-corrected p below .05 in every seed. Points carry the control as their gid. `table` is
    ``tables/lag_curve.csv``; all controls are drawn.
    """
    axes = style.panels(len(shown.models), 1, height=0.5 * len(shown.models) + 0.16, sharex=True)
    rows = shown.rows(table, control=table.control)
    looks = style.network_styles(style.network_lags(rows))
    used = {control: look for control, look in CONTROL_STYLES.items() if control in set(rows.control)}
    more = [control for control in rows.control.unique() if control not in CONTROL_STYLES]
    used |= {one: MORE[i % len(MORE)] | {"label": one.replace("_", " ")} for i, one in enumerate(more)}
    for ax, model in zip(axes, shown.models, strict=True):
        means = summary(rows[rows.model == model], shown.confidence)
        style.beside(ax, means, "network", list(looks), "control", used, spread=0.6, filled=means.significant)
        for edge in range(len(looks) - 1):
            ax.axvline(edge + 0.5, color=style.RULE, linewidth=0.8, zorder=0)
        style.zero_line(ax)
        style.network_axis(ax, looks)
        ax.set_ylabel(f"r, {model_names([model])}")
    style.legend_above(axes[0], 2, title="given", alignment="left")
    told = ", ".join(look["label"] for look in used.values())
    mean = f"untrained networks: mean RDM of {shown.random_networks}"
    words = caption(rows, mean, "filled: Holm-corrected p < .05 in every seed", confidence=shown.confidence)
    return Drawn(axes, f"Correlation of every network with {model_names(shown.models)}, given {told}.", words)


def lag_comparisons(table: pd.DataFrame, tests: pd.DataFrame, shown: Selection) -> Drawn:
    """Difference of two networks' correlations with each model, row minus column, a dot a seed that tells them apart.

    The number of a cell has the gid ``<row> <column>``, its dots, a seed each whose Holm-corrected p is below .05,
    ``<row> <column> told apart``. `table` is ``tables/lag_comparisons.csv``, whose seeds are averaged; `tests`, of
    ``tables/lag_curve.csv``, have the networks' lags, in the order of rows and columns, which is the table's. Networks
    that it lacks are left out.
    """
    axes, lags_s = style.panels(1, len(shown.models), len(shown.models), 1.0), style.network_lags(tests)
    tested = shown.rows(table, model=table.model)
    rows = tested.assign(r=-tested.difference, dots=tested.p_holm < style.SIGNIFICANT)  # the later minus the earlier
    for ax, model in zip(axes, shown.models, strict=True):
        _matrix(ax, select(rows, model=model), lags_s, signed=True)
        ax.set_title(model_names([model]))
    alt = f"Differences between networks two by two in their correlation with {model_names(shown.models)}."
    words = caption(
        tested,
        shown.given,
        f"network of the row minus that of the column{_mean_of(tested)}",
        "a dot: a seed in which the paired bootstrap over classes tells the two apart (two-sided p < .05, "
        f"Holm-corrected for the {values_text(tested.groupby(['seed', 'condition']).size())} comparisons of a seed)",
    )
    return Drawn(axes, alt, words)


def connectivity(table: pd.DataFrame, tests: pd.DataFrame, shown: Selection) -> Drawn:
    """Correlation of the RDMs of each two networks, as numbers on a scale of grey from 0 to 1: a panel a control.

    The number of a cell has the gid ``<row> <column>``. `table` is ``tables/connectivity.csv``, whose seeds are
    averaged; all controls are drawn; `tests` as of `lag_comparisons`.
    """
    rows = shown.rows(table, control=table.control).assign(dots=0)
    kinds = {control: title for control, title in CONNECTIVITY.items() if control in set(rows.control)} or {"none": ""}
    axes = style.panels(1, len(kinds), len(kinds), 1.0)
    for ax, (control, title) in zip(axes, kinds.items(), strict=True):
        _matrix(ax, select(rows, control=control), style.network_lags(tests), signed=False)
        ax.set_title(title)
    alt = f"Correlation of the distances in every two networks: {', and '.join(kinds.values())}."
    what = f"correlation of the distances in two networks of one seed{_mean_of(rows)}"
    given = f", and {control_text('random', shown.random_networks)}" if "random" in kinds else ""
    return Drawn(axes, alt, caption(rows, what, f"simple{given}"))


def _mean_of(rows: pd.DataFrame) -> str:
    return f", mean of {counted(rows.seed.nunique(), 'seed')}" if rows.seed.nunique() > 1 else ""


def _matrix(ax: Axes, rows: pd.DataFrame, lags_s: Mapping[str, float], signed: bool) -> None:
    """Lower triangle of a matrix of ``second`` by ``first``: a shade for the size of ``r``, its number, its dots."""
    import seaborn as sns
    from matplotlib.colors import LinearSegmentedColormap

    names = [name for name in lags_s if name in {*rows["first"], *rows["second"]}]
    if not names:
        ax.set_axis_off()
        style.quiet_text(ax, "fewer than two networks")
        return
    below, beside = names[1:], names[:-1]
    labels = {name: look["label"] for name, look in style.network_styles(lags_s).items()}
    cells = rows.groupby(["second", "first"]).agg(r=("r", "mean"), dots=("dots", "sum"))
    sizes = cells.r.abs() if signed else cells.r.clip(lower=0)
    square = sizes.unstack().reindex(index=below, columns=beside).rename(index=labels, columns=labels)
    greys = LinearSegmentedColormap.from_list("greys", ("1.0", "0.58"))  # never so dark that ink cannot be read on it
    greatest = np.nanmax(sizes, initial=1e-9) if signed else 1.0
    sns.heatmap(square, ax=ax, cmap=greys, vmin=0, vmax=greatest, cbar=False, square=True, linewidths=1.5)
    for cell in records(cells.reset_index()):
        x, y, dots = beside.index(cell.first) + 0.5, below.index(cell.second) + 0.5, int(cell.dots)
        if np.isnan(cell.r):
            ax.text(x, y, "-", ha="center", va="center", color=style.QUIET)
            continue
        look = {"ha": "center", "va": "center", "color": style.INK, "fontsize": style.SMALL_PT}
        gid, weight = f"{cell.second} {cell.first}", "bold" if dots else "normal"
        ax.text(x, y + (0.12 if dots else 0), _number(cell.r, signed), gid=gid, fontweight=weight, **look)
        places = [x + 0.13 * (dot - (dots - 1) / 2) for dot in range(dots)]
        ax.plot(places, [y - 0.22] * dots, "o", markersize=3.5, color=style.INK, gid=f"{gid} told apart")
    ax.set(xlabel="", ylabel="")
    ax.set_xticks(ax.get_xticks(), ax.get_xticklabels(), rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(ax.get_yticks(), ax.get_yticklabels(), rotation=0)
    ax.tick_params(length=0)


def _number(value: float, signed: bool) -> str:
    """Two decimals as figures print them: ``+.12``, ``.00``; a sign only where there is something."""
    text = f"{round(value, 2) or 0.0:{'+' if signed and round(value, 2) else ''}.2f}"
    return text.replace("0.", ".", 1).replace("-", "\N{MINUS SIGN}")
