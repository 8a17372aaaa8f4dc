"""One network of an experiment, and the names that networks have."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from semanticcmc.config import InputError
from semanticcmc.run import small_table

# Networks without a lag of their own: objective (None: the experiment's), lag and views.
BASELINES: dict[str, tuple[str | None, float, str]] = {
    "random": ("none", math.nan, "rgb"),
    "supervised": ("labels", math.nan, "rgb"),
    "augment": (None, 0.0, "rgb"),
    "cmc_lab": (None, math.nan, "lab"),
}
GIVEN = "given"  # in place of an objective: another's network, added by `scoring`


def lagged_name(lag_s: float) -> str:
    """Name of the network of a lag, ``semantic_60s`` for 60 s; an InputError for what is no such number."""
    if isinstance(lag_s, bool) or not isinstance(lag_s, (int, float)) or not 1e-4 <= lag_s < 1e6:
        above = "seconds above 0, such as 0.5 or 60, and below 1,000,000"
        raise InputError(f"lag_s {lag_s!r}: a time lag is a number of {above} (for none: network augment)")
    return f"semantic_{lag_s:g}s"


@dataclasses.dataclass(frozen=True, repr=False)
class Network:
    """One network of an experiment, from one seed.

    Its weights come from a training `objective`, are as drawn (``none``), torchvision's (``labels``) or ``given``.
    `lag_s` are seconds between the frames of a pair; 0: both views of one frame; NaN: time plays no part.
    """

    name: str  # its folder, such as ``semantic_60s``
    objective: str
    lag_s: float = dataclasses.field(compare=False)  # the name says it, and NaN equals nothing
    seed: int  # of the initial weights and of all sampling
    views: str = "rgb"  # each frame of a pair in colour; or lab, lightness of the one and colours of the other

    @classmethod
    def named(cls, name: str, objective: str | Mapping[str, Any], seed: int) -> Network:
        """The network of this name where an experiment trains with `objective`, a name or `{name: ..., keys}`.

        Raises InputError for a name that is neither a baseline's nor ``semantic_<lag>s``.
        """
        objective = objective if isinstance(objective, str) else str(objective.get("name", ""))
        if name in BASELINES:
            own, lag_s, views = BASELINES[name]
            return cls(name, own or objective, lag_s, seed, views)
        if match := re.fullmatch(r"semantic_(\d+(?:\.\d+)?)s", name):
            return cls(lagged_name(float(match[1])), objective, float(match[1]), seed)
        expected = f"semantic_<seconds>s, such as semantic_60s, or one of {', '.join(BASELINES)}"
        raise InputError(f"network {name!r}: expected {expected}")

    def __str__(self) -> str:
        return f"{self.name}, seed {self.seed}"

    def __repr__(self) -> str:
        lag = f", {self.lag_s:g} s between the views" if self.lag_s > 0 else ""
        return f"Network {self}: {self.objective}{lag}, {self.views}"

    @property
    def trained(self) -> bool:
        """Whether it is trained here."""
        return self.objective not in ("none", "labels", GIVEN)


class Networks(tuple[Network, ...]):
    """Networks of an experiment; those trained `by_hand` are marked where they are shown."""

    by_hand: tuple[Network, ...]

    def __new__(cls, networks: Iterable[Network], by_hand: Iterable[Network] = ()) -> Networks:
        """Of all networks, and of those among them that the YAML does not list."""
        made = super().__new__(cls, networks)
        made.by_hand = tuple(by_hand)
        return made

    def __repr__(self) -> str:
        return "\n".join(f"{one!r}{', by hand' if one in self.by_hand else ''}" for one in self)

    def _repr_html_(self) -> str:
        return small_table([line.split(", ") for line in repr(self).splitlines()])
