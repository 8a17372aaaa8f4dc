"""The lag curve predicted from labels, alone or with what was trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from semanticcmc.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def predicted_lag_curve(
    curve: pd.DataFrame, best: pd.DataFrame, trained: pd.DataFrame | None = None, ax: Axes | None = None
) -> Axes:
    """Predicted correlation with each model against lag, its interval a band, the recommended lags marked below.

    Of a model that no lag is recommended for (p_holm of .05 or more) none is marked.

    Parameters
    ----------
    curve, best : DataFrame
        Of a `prediction.Prediction`.
    trained : DataFrame, optional
        `model, lag_s, mantel_r`, one row a network of those models: drawn as points.
    ax : Axes, optional

    Returns
    -------
    Axes
        Lines carry a gid: ``predicted category``, ``trained category``, ``recommended category``.
    """
    ax = style.axes(ax, figsize=(style.COLUMN_IN, 0.6 * style.COLUMN_IN))
    for m, model in enumerate(curve["model"].unique()):
        look, rows = style.model_style(model), curve[curve["model"] == model].sort_values("lag_s")
        ax.plot(
            rows.lag_s,
            rows.predicted_r,
            color=look["color"],
            linestyle=(0, (5, 2)),
            gid=f"predicted {model}",
            label=f"{look['label']}, predicted",
        )
        ax.fill_between(rows.lag_s, rows.ci_low, rows.ci_high, color=look["color"], alpha=0.15, linewidth=0)
        if trained is not None:
            own = trained[trained["model"] == model]
            ax.plot(
                own.lag_s,
                own.mantel_r,
                linestyle="none",
                marker=look["marker"],
                color=look["color"],
                gid=f"trained {model}",
                label=f"{look['label']}, trained",
            )
        one = best[best["model"] == model].iloc[0]
        if one.p_holm >= style.SIGNIFICANT:
            continue
        height = -0.06 - 0.04 * m  # below the axis' zero, in its own units of the axes
        ax.plot(
            [one.ci_low_s, one.ci_high_s],
            [height, height],
            color=look["color"],
            linewidth=1.5,
            clip_on=False,
            transform=ax.get_xaxis_transform(),
            gid=f"recommended {model}",
        )
        ax.plot(
            [one.lag_s],
            [height],
            color=look["color"],
            marker=look["marker"],
            clip_on=False,
            transform=ax.get_xaxis_transform(),
        )
    known = best[best["p_holm"] < style.SIGNIFICANT]
    place = known.ci_high_s.max() if len(known) else curve.lag_s.min()
    ax.annotate(
        "recommended" if len(known) else "no lag recommended",
        (place, -0.06),
        (8 if len(known) else 0, 0),
        ax.get_xaxis_transform(),
        "offset points",
        annotation_clip=False,
        va="center",
        color=style.QUIET,
        fontsize=style.SMALL_PT,
    )
    style.zero_line(ax)
    style.lag_axis(ax, sorted(curve.lag_s.unique()), "time lag between the two views")
    ax.tick_params(axis="x", pad=6 + 14 * curve["model"].nunique())
    ax.set_ylabel("partial correlation with the model, r")
    ax.legend(ncols=2, loc="lower left", bbox_to_anchor=(0, 1), columnspacing=1.2)
    return ax
