"""Worlds of labels alone, in which associations, base rates and detector noise are known in closed form.

Labels come in groups. A group is active or not, and stays so for a while; while it is active, each of its labels is
seen with one probability at each moment, else with a lower one, independently. So labels of one group are associated
for as long as the group's activity lasts, and labels of different groups are not. A film has its own share of activity
for each group: that part of an association belongs to the film.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from semanticcmc.labels.stream import LabelStream, label_stream


@dataclasses.dataclass(frozen=True)
class LabelWorld:
    """Parameters of a world of labels.

    Attributes
    ----------
    durations_s : tuple of float
        Duration of each film, seconds.
    interval_s : float
        Time between label sets, seconds.
    half_life_s : float
        Lag at which a group's activity is correlated 1/2 with itself, seconds; infinite: a group is active in
        the whole of a film or in none of it.
    groups, labels_per_group : int
        Group 3 has the labels "g03-00", "g03-01", ...
    active : float
        Share of time for which a group is active in the median film, between 0 and 1.
    hit, false_alarm : float
        Probability that a label is seen at a moment while its group is active, and while it is not.
    film_base_rate_sd : float
        Standard deviation, over films, of the log odds of a group's share of activity.
    seed : int
    """

    durations_s: tuple[float, ...]
    interval_s: float
    half_life_s: float
    groups: int
    labels_per_group: int
    active: float
    hit: float
    false_alarm: float
    film_base_rate_sd: float
    seed: int

    def __post_init__(self) -> None:
        if not self.durations_s or min(*self.durations_s, self.interval_s, self.half_life_s) <= 0:
            raise ValueError("durations_s, interval_s and half_life_s: expected at least one film, and all above 0 s")
        if min(self.groups, self.labels_per_group) < 1 or not 0 < self.active < 1:
            raise ValueError("groups, labels_per_group and active: expected 1 or more and a share between 0 and 1")
        if not 0 <= self.false_alarm <= self.hit <= 1 or self.film_base_rate_sd < 0:
            raise ValueError(
                "expected 0 <= false_alarm <= hit <= 1 and film_base_rate_sd of 0 or more, found "
                f"{self.false_alarm}, {self.hit} and {self.film_base_rate_sd}"
            )


@dataclasses.dataclass(frozen=True)
class LabelTruth:
    """What is true of a world of labels."""

    labels: tuple[str, ...]  # sorted
    group: np.ndarray  # (labels,): number of each label's group
    active: np.ndarray  # (films, groups): share of a film for which each group is active, in expectation


def simulate(world: LabelWorld) -> tuple[LabelStream, LabelTruth]:
    """A label stream drawn from a world of labels, and what is true of it.

    A group's activity keeps its state from one moment to the next with probability ``2 ** (-interval /
    half_life)``, else it is drawn again: a two-state Markov chain that is stationary from the film's first moment
    (Cox and Miller 1965, The Theory of Stochastic Processes, chapter 3). Films are "film-000", "film-001", ...;
    confidence is 100 throughout.
    """
    generator = np.random.default_rng(world.seed)
    labels = tuple(f"g{g:02d}-{i:02d}" for g in range(world.groups) for i in range(world.labels_per_group))
    group = np.repeat(np.arange(world.groups), world.labels_per_group)
    odds = generator.normal(logit(world.active), world.film_base_rate_sd, (len(world.durations_s), world.groups))
    truth = LabelTruth(labels, group, expit(odds))
    counts = [max(1, round(duration_s / world.interval_s)) for duration_s in world.durations_s]
    films = [f"film-{i:03d}" for i in range(len(counts))]
    tables = []
    for film, (count, active) in enumerate(zip(counts, truth.active, strict=True)):
        on = _activity(generator, count, active, 0.5 ** (world.interval_s / world.half_life_s))
        seen = generator.random((count, len(labels))) < np.where(on, world.hit, world.false_alarm)[:, truth.group]
        moment, code = np.nonzero(seen)
        tables.append((np.full(len(moment), film), moment * world.interval_s, code))
    movie, time_s, code = map(np.concatenate, zip(*tables, strict=True))
    rows = pd.DataFrame(
        {
            "movie_id": pd.Categorical.from_codes(movie, pd.Index(films)),
            "time_s": time_s,
            "label": pd.Categorical.from_codes(code, pd.Index(labels)),
            "confidence": 100.0,
        }
    )
    times = pd.DataFrame({"movie_id": films, "start_s": 0.0, "interval_s": world.interval_s, "count": counts})
    return label_stream(rows, times), truth


def _activity(generator: np.random.Generator, count: int, active: np.ndarray, keep: float) -> np.ndarray:
    """Whether each group is active at each of `count` moments, bool (count, groups)."""
    redrawn = generator.random((count, len(active))) >= keep
    redrawn[0] = True
    last = np.maximum.accumulate(np.where(redrawn, np.arange(count)[:, None], 0), axis=0)
    return np.take_along_axis(generator.random((count, len(active))) < active, last, axis=0)
