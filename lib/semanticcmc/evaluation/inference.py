"""What holds beyond one world, or one seed: means over several, with intervals over them and over classes at once.

A unit is a world with looks, themes and timeline of its own, or, in one world, a seed of the network. A bootstrap over
classes says nothing of other units; a t interval over units that share their classes says nothing of other classes. Of
a mean over U units the variance over both is

    V = s^2 / U + C,

with s^2 the variance between the units and C the covariance, over samples of classes, of two units. s^2 holds how
units differ in general and class by class; C is what a class brings to all of them. This is the two-factor variance
of Schuett et al. (2023, eLife 12: e82566), 2 (V_units + V_classes) - V_both, where all three bootstraps would count
the interaction too often, in closed form and without their factor (U - 1) / U. The class parts are
`bootstrap.class_variance`. The interval is Student's, with degrees of freedom by Satterthwaite. Measured coverage:
``validation/joint.csv``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import torch
from scipy.special import stdtr, stdtrit

from semanticcmc.rsa.bootstrap import (
    all_and_left_out,
    bootstrap_correlations,
    bootstrap_counts,
    class_variance,
    degenerate_variance,
    pair_influences,
)
from semanticcmc.rsa.standardise import Standardised

MARGIN = 0.05
"""Correlations within it on either side of 0 count as nothing (`Estimate.equivalence`)."""


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean over units, or a difference of two, its standard error over units and classes, and degrees of freedom."""

    value: float
    error: float
    freedom: float

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Student's interval."""
        half = self.error * float(stdtrit(self.freedom, 0.5 + confidence / 2))
        return self.value - half, self.value + half

    def p(self, alternative: str = "greater", null: float = 0.0) -> float:
        """P value of Student's t against `null`; `alternative` as in `mantel.mantel`."""
        if self.error == 0:  # a network minus itself
            return math.nan
        t = (self.value - null) / self.error
        t = {"greater": -t, "less": t, "two-sided": -abs(t)}[alternative]
        return float(stdtr(self.freedom, t)) * (2 if alternative == "two-sided" else 1)

    def equivalence(self, margin: float = MARGIN) -> float:
        """P value that the value lies beyond `margin` from 0, by two one-sided tests (Schuirmann 1987)."""
        return max(self.p("greater", -margin), self.p("less", margin))


class Units:
    """Correlations of the same networks with one model in several units.

    Units (`standardise.standardise_table`) are all of the same classes in the same order: RDMs of the networks, in
    order of their lags where they are asked for, the model, and controls if any.

    Attributes
    ----------
    r : tensor of float64, shape (U, L)
        (Partial) correlations.
    left_out, influences : tensor, shapes (U, L, n) and (U, L, n, n)
        Those without each class, and what each pair of classes brings to them.
    """

    def __init__(self, units: Sequence[Standardised]) -> None:
        if len({tuple(unit.x.shape) for unit in units}) != 1:
            raise ValueError(f"units of {[tuple(unit.x.shape[:2]) for unit in units]} networks and classes: all alike")
        self._units = units
        found = [all_and_left_out(unit) for unit in units]
        self.r = torch.stack([r[:, 0] for r, _ in found])
        self.left_out = torch.stack([left_out[:, 0] for _, left_out in found])
        self.influences = torch.stack(
            [
                torch.stack([pair_influences(x, unit.y[0], unit.control(row)) for row, x in enumerate(unit.x)])
                for unit in units
            ]
        )

    def estimate(self, weights: Sequence[float]) -> Estimate:
        """Mean over units of a weighted sum of the networks' correlations, such as (1, 0, -1) for a difference."""
        w, count = torch.tensor(weights, dtype=torch.float64), len(self.r)
        values = self.r @ w
        left_out = torch.einsum("ulc,l->uc", self.left_out, w)
        influences = torch.einsum("ulij,l->uij", self.influences, w)
        shared, of_classes = class_variance(left_out.mean(0), degenerate_variance(influences.mean(0)))
        if count == 1:
            return Estimate(float(values[0]), float(shared.sqrt()), float(of_classes))
        own = class_variance(left_out, torch.stack([degenerate_variance(one) for one in influences]))[0].mean()
        shared = ((count * shared - own) / (count - 1)).clamp(min=0)
        between = values.var() / count
        freedom = (between + shared) ** 2 / (between**2 / (count - 1) + shared**2 / of_classes)
        return Estimate(float(values.mean()), float((between + shared).sqrt()), float(freedom))

    def network(self, place: int, minus: int | None = None) -> Estimate:
        """Mean correlation of one network, or how much larger it is than that of another."""
        weights = [0.0] * self.r.shape[1]
        weights[place] = 1.0
        if minus is not None:
            weights[minus] -= 1.0
        return self.estimate(weights)

    def inverted_u(self, declared: int, first: int = 0, last: int = -1) -> tuple[Estimate, float]:
        """One planned test: is the network `declared` beforehand above the first *and* above the last?

        An intersection-union test (Berger 1982): each difference one-sided, and both must be there, so that neither
        needs a correction. Returned are the smaller of both differences, and the larger of both p.
        """
        both = [self.network(declared, end) for end in (first, last)]
        return min(both, key=lambda one: one.value), max(one.p() for one in both)

    def peak(self, among: Sequence[int], samples: int, confidence: float = 0.95, seed: int = 0) -> tuple[int, int, int]:
        """Which of some networks, by lag, has the largest mean correlation, and the bootstrap interval of that one.

        Units are drawn with replacement, and classes, the same in all units. Places are returned that `among` holds.
        """
        rng = np.random.default_rng(seed)
        counts = bootstrap_counts(self._units[0].x.shape[-1], samples, seed)
        found = torch.stack([bootstrap_correlations(unit, counts)[:, 0] for unit in self._units])
        drawn = torch.from_numpy(rng.multinomial(len(found), np.full(len(found), 1 / len(found)), samples)).double()
        peaks = np.asarray(torch.einsum("ulb,bu->lb", found[:, list(among)].nan_to_num(nan=-1), drawn).argmax(0))
        tails = [(1 - confidence) / 2, (1 + confidence) / 2]
        low, high = np.quantile(peaks, tails, method="inverted_cdf")
        return among[int(self.r.mean(0)[list(among)].nan_to_num(nan=-1).argmax())], among[int(low)], among[int(high)]
