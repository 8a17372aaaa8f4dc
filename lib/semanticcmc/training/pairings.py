"""Pairing in time: which frames of a film make one sample of a batch. One class each, chosen by its name.

A network's ``lag_s`` is the one number that all of them share: the lag, or the span within which partners lie. A
network without a lag (``augment``, ``rotation``) has both frames of a sample the same.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor

from semanticcmc.config import Positive, Section, Several, configure, one_of
from semanticcmc.films.pairs import lagged_pairs

WHOLE_SPAN = 1 - 1e-9  # tolerance about the middle of a span from 0 to twice that: all lags above 0 s


class Draw(NamedTuple):
    """What was drawn of `n` samples; a part of a batch, or all of it."""

    rows: Tensor  # int64 (n, frames): rows of the index, the first frame of each sample first
    film: Tensor  # int64 (n,): number of the film that a sample's frames are from
    time_s: Tensor  # float64 (n, frames): seconds on one axis, on which films are further apart than any lag
    targets: Tensor  # int64 (n, ...): what the objective drew besides; (n, 0) where it draws nothing

    def part(self, share: slice) -> Draw:
        """Some of the samples."""
        return Draw(*(values[share] for values in self))

    def columns(self, *frames: int) -> Draw:
        """All samples, of their frames these alone."""
        rows, time_s = (torch.stack([all_[:, i] for i in frames], dim=1) for all_ in (self.rows, self.time_s))
        return self._replace(rows=rows, time_s=time_s)  # a list as index would make a GPU wait

    def to(self, device: torch.device) -> Draw:
        """The same on a device (MPS has no float64, CUDA and CPU have)."""
        return Draw(*(values.to(device, non_blocking=True) for values in self))


@dataclasses.dataclass(frozen=True)
class NoKeys(Section):
    """Of a pairing that needs no number besides the network's lag."""


class Fixed:
    """Two frames a lag apart, the lag drawn within ``lag_s * (1 +- training.lag_tolerance)``.

    `index` has `movie_id, time_s` of every frame of the store; `folder` holds the experiment's results, with
    ``labels/`` and ``world/`` for objectives that need them.
    """

    Config: type[Section] = NoKeys
    frames = 2  # of a sample
    soft = False  # whether `weights` says how alike two frames count

    def __init__(
        self,
        config: Any,
        index: pd.DataFrame,
        folder: Path,
        lag_s: float,
        longest_lag_s: float,
        lag_tolerance: float,
        shots: pd.DataFrame | None = None,
        films_per_batch: int | None = None,
    ) -> None:
        self.config, self.index, self.folder = config, index, folder
        self.lag_s, self.tolerance, self.films_per_batch = lag_s, lag_tolerance, films_per_batch
        self.made_of = (index, folder, lag_s, longest_lag_s, lag_tolerance, shots, films_per_batch)
        middle_s, tolerance = self.reach()
        longest_s = longest_lag_s * ((1 + lag_tolerance) / (1 + tolerance))
        # First frames that the longest lag allows, the same for every pairing that reaches no further.
        self.pairs = lagged_pairs(index, middle_s, max(middle_s, longest_s), tolerance, shots)

    def reach(self) -> tuple[float, float]:
        """Middle (s) and tolerance (share of it) of the lags: a film must have no gap there."""
        return self.lag_s, self.tolerance

    def lags(self, n: int, generator: torch.Generator) -> list[Tensor]:
        """Seconds (n,) from the first frame to each other frame of `n` samples."""
        return [self.pairs.lags(n, generator)]

    def draw(self, n: int, generator: torch.Generator) -> Draw:
        """Draw `n` samples at random, with replacement, by a generator on the CPU."""
        first = self.pairs.first_frames(n, generator, self.films_per_batch)
        rows = [first, *(self.pairs.partner(first, lags) for lags in self.lags(n, generator))]
        return self.at(torch.stack(rows, dim=1))

    def at(self, rows: Tensor) -> Draw:
        """The samples of these rows, int64 (n, frames)."""
        nothing = torch.empty(len(rows), 0, dtype=torch.int64)
        return Draw(rows, self.pairs.film[rows[:, 0]], self.pairs.axis[rows], nothing)

    def thinned(self, every: int) -> Fixed:
        """The same pairing over every so manyth first frame alone."""
        thin = copy.copy(self)
        thin.pairs = dataclasses.replace(self.pairs, anchors=self.pairs.anchors[::every])
        return thin

    def weights(self, draw: Draw) -> Tensor:
        """How alike the first frame of each sample and the second of each count, float (n, n), for `soft` ones."""
        raise NotImplementedError


class Window(Fixed):
    """The second frame at any time from 0 to ``lag_s`` after the first (Feichtenhofer et al. 2021)."""

    def reach(self) -> tuple[float, float]:
        return self.lag_s / 2, WHOLE_SPAN


class Decay(Window):
    """As `Window`, the probability of a lag falling linearly to 0 at ``lag_s`` (CVRL, Qian et al. 2021)."""

    def lags(self, n: int, generator: torch.Generator) -> list[Tensor]:
        u = torch.rand(n, generator=generator, dtype=torch.float64)
        return [self.lag_s * (1 - u.sqrt())]


@dataclasses.dataclass(frozen=True)
class PolyViewConfig(Section):
    """Frames of a sample: 3 or more make several pairs of each."""

    frames: Several


class PolyView(Window):
    """Frames of one film within ``lag_s``, each a partner of all others (Shidani et al. 2024)."""

    Config = PolyViewConfig

    @property
    def frames(self) -> int:  # type: ignore[override]
        return self.config.frames

    def lags(self, n: int, generator: torch.Generator) -> list[Tensor]:
        return [self.pairs.lags(n, generator) for _ in range(self.frames - 1)]


@dataclasses.dataclass(frozen=True)
class SoftTimeConfig(Section):
    """How fast likeness falls with time: 2 sigmoid(-sharpness) of it is left after ``lag_s``."""

    sharpness: Positive


class SoftTime(Window):
    """As `Window`; frames of one film count as alike by 2 sigmoid(-sharpness |t - t'| / lag_s) (SoftCLT, 2024)."""

    Config = SoftTimeConfig
    soft = True

    def weights(self, draw: Draw) -> Tensor:
        apart = (draw.time_s[:, :1] - draw.time_s[:, 1]).abs() / self.lag_s
        same_film = draw.film[:, None] == draw.film
        return (2 * torch.sigmoid(-self.config.sharpness * apart) * same_film).float()


class Triple(Fixed):
    """Past, present and future: three frames, each a lag after the one before."""

    frames = 3

    def reach(self) -> tuple[float, float]:
        least_s, most_s = self.lag_s * (1 - self.tolerance), 2 * self.lag_s * (1 + self.tolerance)
        return (least_s + most_s) / 2, (most_s - least_s) / (most_s + least_s)

    def lags(self, n: int, generator: torch.Generator) -> list[Tensor]:
        u = 2 * torch.rand(n, generator=generator, dtype=torch.float64) - 1
        lag_s = self.lag_s * (1 + self.tolerance * u)
        return [lag_s, 2 * lag_s]


PAIRINGS: dict[str, type[Fixed]] = {
    **{"fixed": Fixed, "window": Window, "decay": Decay},
    **{"poly_view": PolyView, "soft_time": SoftTime, "triple": Triple},
}


def choose_pairing(said: str | Mapping[str, Any], lag_s: float, where: str) -> tuple[type[Fixed], Any]:
    """Class and config of a pairing: its name, or ``{name: ..., its keys}``; `Fixed` for a network without a lag."""
    keys = {"name": said} if isinstance(said, str) else dict(said)
    kind = PAIRINGS[one_of(f"{where}, pairing", str(keys.pop("name", None)), PAIRINGS)]
    config = configure(kind.Config, keys, f"{where}, pairing")
    return (kind, config) if lag_s > 0 else (Fixed, NoKeys())
