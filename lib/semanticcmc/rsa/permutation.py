"""Permutation p values of (partial) correlations between standardised matrices, and of families of tests."""

from __future__ import annotations

import dataclasses
import functools
import math
import warnings
from typing import TYPE_CHECKING

import numpy as np
import torch

from semanticcmc.rsa.cosets import coset_correlations, draw_cosets
from semanticcmc.rsa.standardise import COLLINEAR, Standardised, residual
from semanticcmc.rsa.threads import threads_for

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

ALTERNATIVES = ("greater", "less", "two-sided")
PARTIALS = ("smouse", "dsp")
SECONDS = 3e-9  # a number of a model in a permutation, on one core
TIE = 1e-10  # statistics this close to the observed one count as equal to it


def partial_correlation(r_xy: torch.Tensor, r_xz: torch.Tensor, r_yz: torch.Tensor) -> torch.Tensor:
    """Correlation of x and y with controls that do not correlate partialled out; NaN where they explain x or y.

    The first axis of `r_xz` and `r_yz` is that of the controls.
    """
    r_z = functools.reduce(torch.add, [x * y for x, y in zip(r_xz, r_yz, strict=True)])
    left_x, left_y = (1 - functools.reduce(torch.add, [one.square() for one in r]) for r in (r_xz, r_yz))
    collinear = (left_x < COLLINEAR) | (left_y < COLLINEAR)
    return torch.where(collinear, torch.nan, (r_xy - r_z) / (left_x * left_y).sqrt())


def significance(
    data: Standardised,
    permutations: int,
    alternative: str = "greater",
    seed: int = 0,
    return_null: bool = False,
    partial: str = "smouse",
) -> tuple[torch.Tensor, torch.Tensor, int, torch.Tensor | None]:
    """Test each RDM against each model, with the RDM's control partialled out if there are any.

    Raises ValueError for an unknown alternative or partial, or permutations that are no whole number of at least 1.

    Parameters
    ----------
    permutations, alternative, seed, return_null, partial
        As in `mantel.mantel` and `mantel.partial_mantel`.

    Returns
    -------
    r, p : tensor of float64, shape (M, K)
        (Partial) correlation and its p value.
    size : int
        Of the reference set without the identity.
    null : tensor, shape (size,), or None
        Statistics of the permutations in the first test, on request.
    """
    for name, value, known in (("alternative", alternative, ALTERNATIVES), ("partial", partial, PARTIALS)):
        if value not in known:
            raise ValueError(f"{name} {value!r}: expected one of {', '.join(known)}")
    if isinstance(permutations, bool) or not isinstance(permutations, int) or permutations < 1:
        raise ValueError(f"permutations {permutations!r}: expected a whole number of at least 1")
    cosets = draw_cosets(data.x.shape[-1], permutations, seed)
    size = len(cosets) - 1
    with threads_for(SECONDS * permutations * len(data.moving) * data.x.shape[-1]):
        fixed, moving = data.x, data.moving
        if residuals := partial == "dsp" and bool(data.own):
            fixed = torch.cat([data.x, data.z])
            moving = torch.stack([residual(y, data.z[list(one)]) for one in data.sets for y in data.y])
        tests = _tests(data, alternative, residuals)
        identity = 1  # the very first
        for correlations in coset_correlations(fixed, moving, [(one.fixed, one.moving) for one in tests], cosets):
            for one, of_group in zip(tests, correlations, strict=True):
                one.add(one.statistics(of_group[..., identity:]), return_null)
            identity = 0
    r, p = (data.x.new_empty(len(data.x), len(data.y)) for _ in range(2))
    for one in tests:
        r[one.x] = one.observed
        p[one.x] = torch.where(torch.isnan(one.observed), torch.nan, (one.count + 1) / (size + 1))
    return r, p, size, torch.cat(tests[0].null, dim=-1)[0, 0] if return_null else None


@dataclasses.dataclass
class _Tests:
    """The x that share a control, or have none, their tests against all y, and what was counted so far."""

    x: list[int]
    fixed: list[int]  # positions of these x and, for double semi-partialling, last, the controls
    moving: list[int]  # positions of all y and, for Smouse's test, last, the controls
    axis: int  # of correlations (fixed, moving, B), along which the controls are the last
    r_kept: torch.Tensor | None  # of k controls with what they move, or stay, with: (k, 1, K, 1), or (k, x, 1, 1)
    observed: torch.Tensor  # (x, K)
    alternative: str
    count: torch.Tensor  # (x, K)
    null: list[torch.Tensor] = dataclasses.field(default_factory=list)

    def statistics(self, correlations: torch.Tensor) -> torch.Tensor:
        """(Partial) correlations (x, K, B) from the correlations (fixed, moving, B)."""
        if self.r_kept is None:
            return correlations
        without = correlations.shape[self.axis] - len(self.r_kept)
        of_controls = correlations.narrow(self.axis, without, len(self.r_kept)).movedim(self.axis, 0)
        r_xy = correlations.narrow(self.axis, 0, without)
        return partial_correlation(r_xy, of_controls.unsqueeze(self.axis + 1), self.r_kept)

    def directed(self, statistics: torch.Tensor) -> torch.Tensor:
        """Statistics of which greater ones are more extreme."""
        if self.alternative == "two-sided":
            return statistics.abs()
        return -statistics if self.alternative == "less" else statistics

    def add(self, statistics: torch.Tensor, keep: bool) -> None:
        """Count the statistics that are as extreme as the observed one; ties and 0 / 0 are."""
        least = self.directed(self.observed)[..., None] - TIE
        self.count += (~(self.directed(statistics) < least)).sum(-1)
        if keep:
            self.null.append(statistics)


def _tests(data: Standardised, alternative: str, residuals: bool) -> list[_Tests]:
    """Tests by control, with their observed statistics; `residuals`: of y, given each control in turn, move."""
    models = list(range(len(data.y)))
    r_xy, r_xz, r_zy = (_correlations(*two) for two in ((data.x, data.y), (data.x, data.z), (data.z, data.y)))
    if not data.own:
        every = list(range(len(data.x)))
        return [_Tests(every, every, models, 0, None, r_xy, alternative, torch.zeros_like(r_xy))]
    tests = []
    for place, of_set in enumerate(map(list, data.sets)):
        members = [index for index, its in enumerate(data.own) if its == place]
        own_xy, own_xz, r_yz = r_xy[members], r_xz[members][:, of_set].T[..., None], r_zy[of_set][:, None]
        observed = partial_correlation(own_xy, own_xz, r_yz)
        if bool((torch.isnan(observed) & ~torch.isnan(own_xy + own_xz.sum(0) + r_yz.sum(0))).any()):
            warnings.warn(
                "a control is collinear with what it controls (|r| = 1): partial r is NaN", RuntimeWarning, stacklevel=5
            )
        fixed = [*members, *(len(data.x) + one for one in of_set)]
        moves = (fixed, [place * len(models) + k for k in models], 0, own_xz[..., None])
        if not residuals:
            moves = (members, [*models, *(len(data.y) + one for one in of_set)], 1, r_yz[..., None])
        tests.append(_Tests(members, *moves, observed, alternative, torch.zeros_like(observed)))
    return tests


def _correlations(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return x.flatten(1) @ y.flatten(1).T / 2


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """P values of one family of tests, corrected by Holm's step-down method (Holm 1979).

    Parameters
    ----------
    p : array, shape (m,)
        NaN (a test that could not be done) stays NaN and does not count.

    Returns
    -------
    array, shape (m,)
        What is at most alpha is significant with a family-wise error of at most alpha.
    """
    values = np.asarray(p, dtype=np.float64)
    corrected = np.full(values.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(values))
    order = tested[np.argsort(values[tested], kind="stable")]
    steps = values[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1) if len(order) else steps
    return corrected


def permutations_for_family(tests: int, alpha: float = 0.05) -> int:
    """Permutations that Holm's first step needs: p down to alpha / tests, and a twentieth of that.

    With fewer, the smallest p that a test can have may not be significant after the correction, or depends on a few
    permutations.
    """
    if tests < 1:
        raise ValueError(f"{tests} tests: a family has at least one")
    return math.ceil(20 * tests / alpha - 1e-9)
