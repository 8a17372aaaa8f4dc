"""Words that several captions share, and places side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from semanticcmc.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def percent(confidence: float) -> str:
    """Level of an interval as a reader says it: ``95 %``, held together."""
    return f"{100 * confidence:g}\N{NO-BREAK SPACE}%"


def control_text(control: str, random_networks: int) -> str:
    """What a partial correlation is given, as a caption says it.

    Parameters
    ----------
    control : {'none', 'random', 'cmc_lab', 'look'}
    random_networks : int
        Number of untrained networks behind the control `random`.
    """
    if control == "random":
        return (
            "given the RDM of one untrained network"
            if random_networks == 1
            else f"given the mean RDM of {random_networks} untrained networks"
        )
    return {
        "none": "given nothing (simple r)",
        "cmc_lab": "given the RDM of the same seed's L / ab network",
        "look": "given the true looks",
    }[control]


def values_text(column: Iterable[float]) -> str:
    """Number that a column holds, or its least and greatest: ``48``, ``40 to 48``; ``no`` of an empty one."""
    values = sorted(set(column))
    if not values:
        return "no"
    return f"{values[0]:,.0f}" if len(values) == 1 else f"{values[0]:,.0f} to {values[-1]:,.0f}"


def offset(i: int, n: int) -> float:
    """Place of item `i` of `n`, from -1/2 to 1/2."""
    return 0.0 if n < 2 else i / (n - 1) - 0.5


def network_axis(ax: Axes, networks: Sequence[str]) -> None:
    """Name networks at 0, 1, ... on x, those with a lag after those without."""
    labels = [look["label"] for look in style.network_styles(networks).values()]
    ax.set_xticks(range(len(networks)), labels, rotation=35, ha="right", rotation_mode="anchor")
    ax.set_xlim(-0.6, len(networks) - 0.4)
