"""Pairs of frames a lag apart: always of one film, and with the same first frames for every lag."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import torch

from semanticcmc.config import InputError


@dataclasses.dataclass(frozen=True)
class LaggedPairs:
    """Pairs of frames a lag apart, drawn at random; made by `lagged_pairs`."""

    anchors: torch.Tensor  # int64 (n,): rows of the index that can be first frames, increasing
    film: torch.Tensor  # int64 (N,): number of each row's film, in the index's order of films
    axis: torch.Tensor  # float64 (N,): seconds of all frames, increasing, films further apart than any lag
    lag_s: float
    tolerance: float

    def __len__(self) -> int:
        return len(self.anchors)

    def first_frames(self, n: int, generator: torch.Generator, films: int | None = None) -> torch.Tensor:
        """Rows of `n` first frames, int64 (n,), drawn with replacement by a generator on the CPU.

        They are of at most so many `films`, by default of all, drawn by systematic sampling with probability
        proportional to their number of first frames (Madow 1949, Ann. Math. Stat. 20:333), so that each is uniform over
        all first frames, as without `films`; only those of one batch are no longer independent. A film with more than
        ``1 / films`` of the first frames can be drawn several times: then a batch has fewer films. Raises InputError
        for `films` below 1 or above the number of films with pairs.
        """
        if films is None:
            return self.anchors[torch.randint(len(self.anchors), (n,), generator=generator)]
        return self.anchors[self._anchors_of_films(n, films, generator)]

    def lags(self, n: int, generator: torch.Generator) -> torch.Tensor:
        """Lags in seconds, float64 (n,), uniform within the tolerance."""
        u = 2 * torch.rand(n, generator=generator, dtype=torch.float64) - 1
        return self.lag_s * (1 + self.tolerance * u)

    def _anchors_of_films(self, n: int, films: int, generator: torch.Generator) -> torch.Tensor:
        """Positions in `anchors`, int64 (n,), of at most `films` films."""
        counts = torch.bincount(self.film[self.anchors])
        present = torch.nonzero(counts)[:, 0]
        if not 1 <= films <= len(present):
            raise InputError(f"films {films}: expected 1 to {len(present)}, the number of films with pairs")
        present = present[torch.randperm(len(present), generator=generator)]
        ends = counts[present].cumsum(0)
        points = torch.arange(films) + torch.rand(1, generator=generator, dtype=torch.float64)
        drawn = torch.searchsorted(ends, points * len(self.anchors) / films, right=True)
        drawn = present[drawn.clamp(max=len(present) - 1)]  # the last point may be rounded up to the end
        film = drawn[torch.randint(films, (n,), generator=generator)]
        u = torch.rand(n, generator=generator, dtype=torch.float64)
        return (counts.cumsum(0) - counts)[film] + (u * counts[film]).to(torch.int64)

    def partner(self, first: torch.Tensor, lag_s: torch.Tensor | float) -> torch.Tensor:
        """Row of the frame nearest to `lag_s` after each of the rows `first` (the earlier of two as near)."""
        if len(self.axis) < 2:
            return torch.zeros_like(first)
        wanted = self.axis[first] + lag_s
        after = torch.searchsorted(self.axis, wanted).clamp(1, len(self.axis) - 1)
        before_is_nearer = wanted - self.axis[after - 1] <= self.axis[after] - wanted + 1e-9
        return torch.where(before_is_nearer, after - 1, after)


def lagged_pairs(
    index: pd.DataFrame, lag_s: float, longest_lag_s: float, tolerance: float = 0.0, shots: pd.DataFrame | None = None
) -> LaggedPairs:
    """Pairs of frames of one film, `lag_s` apart, whose first frames are the same for every lag.

    Raises InputError if no film is long enough, a lag is shorter than the grid's step, or no pair stays within a shot.

    Parameters
    ----------
    index : DataFrame
        `movie_id, time_s`, sorted by film and time, one row a frame.
    lag_s : float
        Seconds from first to second frame, from 0 to `longest_lag_s`.
    longest_lag_s : float
        Longest lag of the experiment. Only frames with a partner at this lag (and `tolerance` more) are first
        frames, so that long lags use the same moments of a film as short ones.
    tolerance : float
        The lag of a pair is drawn uniformly from ``lag_s * (1 - tolerance)`` to ``lag_s * (1 + tolerance)``; the
        second frame is the nearest one. A first frame for which that may fall into a gap of the film is left out.
    shots : DataFrame, optional
        `movie_id, start_s, stop_s, shot`: only pairs that cannot leave a shot. First frames then are no
        longer the same for every lag.
    """
    if not 0 <= lag_s <= longest_lag_s:
        raise InputError(f"lag_s {lag_s}: expected 0 to the longest lag, {longest_lag_s} s")
    if not 0 <= tolerance < 1:
        raise InputError(f"tolerance {tolerance}: expected 0 to less than 1")
    codes, movies = pd.factorize(index["movie_id"])
    film = torch.from_numpy(codes).to(torch.int64)
    time_s = index["time_s"].to_numpy()
    starts = np.searchsorted(codes, np.arange(len(movies)))
    stops = np.append(starts[1:], len(codes))
    first_s, last_s = time_s[starts], time_s[stops - 1]
    shift = np.concatenate([[0.0], np.cumsum(last_s[:-1] - first_s[1:] + 4 * (longest_lag_s + 1))])
    axis, end = (torch.from_numpy(seconds + shift[codes]) for seconds in (time_s, last_s[codes]))
    steps = [np.median(np.diff(time_s[a:b])) if b - a > 1 else 0.0 for a, b in zip(starts, stops, strict=True)]
    if 0 < lag_s < 0.5 * max(steps):
        raise InputError(f"lag_s {lag_s}: shorter than the time between frames, {max(steps):g} s")
    step_s = torch.tensor(steps, dtype=torch.float64)[film]

    pairs = LaggedPairs(torch.arange(len(codes)), film, axis, float(lag_s), tolerance)
    least_s, most_s, longest_s = (lag_s * (1 - tolerance), lag_s * (1 + tolerance), longest_lag_s * (1 + tolerance))
    least, most, longest = (pairs.partner(pairs.anchors, reach_s) for reach_s in (least_s, most_s, longest_s))
    keep = axis + longest_s <= end + 1e-6
    if not keep.any():
        spans = ", ".join(f"{m} {s:g} s" for m, s in zip(movies, last_s - first_s, strict=True))
        raise InputError(f"no film is long enough for a lag of {longest_s:g} s; they span {spans}")
    for partner, reach_s in ((least, least_s), (most, most_s), (longest, longest_s)):
        keep &= (axis[partner] - axis - reach_s).abs() <= step_s / 2 + 1e-6
    keep &= axis[most] - axis[least] <= (most - least + 0.5) * step_s + 1e-6  # no gap between these two
    if shots is not None:
        shot = torch.from_numpy(shot_of_frames(index, shots))
        keep &= (shot >= 0) & (shot == shot[most])
    if not keep.any():
        where = "have no gap between them" if shots is None else "lie in one shot"
        raise InputError(f"no two frames of a film that are {most_s:g} s apart {where}")
    return dataclasses.replace(pairs, anchors=torch.nonzero(keep)[:, 0])


def shot_of_frames(index: pd.DataFrame, shots: pd.DataFrame) -> np.ndarray:
    """Row of `shots` that each frame lies in (start <= time < stop), -1 for none; int64 (N,)."""
    shot = np.full(len(index), -1, dtype=np.int64)
    frames = index.groupby("movie_id").indices
    for movie_id, table in shots.reset_index(drop=True).sort_values("start_s").groupby("movie_id"):
        rows = frames.get(movie_id, np.empty(0, dtype=np.int64))
        times = index["time_s"].to_numpy()[rows]
        i = np.searchsorted(table["start_s"].to_numpy(), times, side="right") - 1
        inside = (i >= 0) & (times < table["stop_s"].to_numpy()[i])
        shot[rows] = np.where(inside, table.index.to_numpy()[i], -1)
    return shot
