"""Permutation p values of (partial) correlations between standardised matrices, and of families of tests."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from semanticcmc.rsa.arrays import Squares
from semanticcmc.rsa.cosets import Cosets, coset_correlations, orders_at_a_time, stream_cosets
from semanticcmc.rsa.standardise import COLLINEAR, Standardised, kernels_for, residual
from semanticcmc.rsa.threads import threads_for

ALTERNATIVES = ("greater", "less", "two-sided")
PARTIALS = ("smouse", "dsp")
SECONDS = 3e-9  # a number of a model in a permutation, on one core
FEW = 4  # tests up to which float32 is faster: what it leaves open grows with the tests, transforms with the matrices
MANY = 50  # so many are computed again one by one
TIE = 1e-10  # statistics this close to the observed one count as equal to it
NEAR = 1e-6  # correlations in float32, which err by up to 4e-7, are computed again if so close to the observed one


def partial_correlation(r_xy: torch.Tensor, r_xz: torch.Tensor, r_yz: torch.Tensor) -> torch.Tensor:
    """Correlation of x and y with controls that do not correlate partialled out; NaN where they explain x or y.

    The first axis of `r_xz` and `r_yz` is that of the controls.
    """
    r_z = functools.reduce(torch.add, [x * y for x, y in zip(r_xz, r_yz, strict=True)])
    left_x, left_y = (1 - functools.reduce(torch.add, [one.square() for one in r]) for r in (r_xz, r_yz))
    collinear = (left_x < COLLINEAR) | (left_y < COLLINEAR)
    return torch.where(collinear, torch.nan, (r_xy - r_z) / (left_x * left_y).sqrt())


def correlated(x: Squares, rows: Sequence[int], y: Squares, columns: Sequence[int]) -> torch.Tensor:
    """Correlations of some matrices with some others, (rows, columns), without a copy where they are not standardised.

    Means go before products: a partial correlation magnifies what would cancel afterwards.
    """
    kernels = kernels_for(x.given[0])
    if kernels is None:
        return x.stack[list(rows)].flatten(1) @ y.stack[list(columns)].flatten(1).T / 2
    none = np.empty(0, dtype=np.int64)
    found = [[kernels.permuted(*x.of(i), *y.of(j), none) for j in columns] for i in rows]
    return torch.tensor(found, dtype=torch.float64)


class Significance(NamedTuple):
    """What `significance` found: tensors (M, K), and the statistics of the first test's permutations, on request."""

    r: torch.Tensor  # (partial) correlations
    p: torch.Tensor
    low: torch.Tensor  # interval of `monte_carlo_interval`; NaN where a test stopped early
    high: torch.Tensor
    size: torch.Tensor  # of the reference set without the identity
    null: torch.Tensor | None


def significance(
    data: Standardised,
    permutations: int,
    alternative: str = "greater",
    seed: int = 0,
    return_null: bool = False,
    partial: str = "smouse",
    stop_after: int | None = None,
) -> Significance:
    """Test each RDM against each model, with the RDM's control partialled out if there are any.

    Options are those of `mantel.mantel` and `mantel.partial_mantel`. Raises ValueError for an unknown alternative or
    partial, or where permutations or `stop_after` is no whole number of at least 1.

    With `stop_after` = h each test stops after the first whole order by which h permutations or more are as extreme as
    the observed one, and p is C / N as ever: C as extreme among N drawn, the observed one in both. This is Besag and
    Clifford's (1991) sequential p (there of single permutations, and h / l), and valid: let m be the first number of
    orders with h + 1 <= alpha N_m. To stop earlier gives p >= (h + 1) / N > alpha; to stop then, p = C_m / N_m; and to
    go on means C_m <= h < alpha N_m. So p <= alpha only where the test of m orders, a number that does not
    depend on what is drawn, has C_m / N_m <= alpha. Where there is no such m, only tests of all orders have p <= alpha.
    """
    for name, value, known in (("alternative", alternative, ALTERNATIVES), ("partial", partial, PARTIALS)):
        if value not in known:
            raise ValueError(f"{name} {value!r}: expected one of {', '.join(known)}")
    for name, number in (("permutations", permutations), ("stop_after", 1 if stop_after is None else stop_after)):
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise ValueError(f"{name} {number!r}: expected a whole number of at least 1")
    n = data.rdms.n
    with threads_for(SECONDS * permutations * len(data.moved) * n):
        fixed, moving = data.rdms, data.moved
        if residuals := partial == "dsp" and bool(data.own):
            fixed = Squares(torch.cat([data.x, data.z]))
            moving = Squares(torch.stack([residual(y, data.z[list(one)]) for one in data.sets for y in data.y]))
        tests = _tests(data, alternative, residuals, stop_after or math.inf)
        parts = stream_cosets(n, permutations, seed, orders_at_a_time(moving), stop_after and 1)
        groups, single = [(one.fixed, one.moving) for one in tests], len(data.rdms) * data.models <= FEW
        for number, (part, correlations) in enumerate(coset_correlations(fixed, moving, groups, parts, single)):
            for one, of_group in zip(tests, correlations, strict=True):
                rounded = of_group.dtype == torch.float32
                if number == 0:
                    two = fixed, one.fixed, moving, one.moving
                    one.begin(correlated(*two) if rounded else of_group[..., 0, 0].clone())
                if rounded:
                    of_group = one.exact(of_group, fixed, moving, part)
                one.add(one.statistics(of_group)[0], 2 * n, return_null and one is tests[0])
            if stop_after and all(bool((one.count >= stop_after).all()) for one in tests):
                break
    found = torch.empty(5, len(data.rdms), data.models, dtype=torch.float64)
    for one in tests:
        count, squares, drawn = (values.double().cpu() for values in (one.count, one.squares, one.drawn))
        interval = torch.stack(monte_carlo_interval(count, squares, drawn, 2 * n))
        numbers = torch.stack([(count + 1) / drawn, *torch.where(count < one.stop_after, interval, torch.nan)])
        found[0, one.x], found[4, one.x] = one.observed.cpu(), drawn - 1
        found[1:4, one.x] = torch.where(found[0, one.x].isnan(), torch.nan, numbers)
    _warn_of_collinear(data, found[0])
    null = torch.cat(tests[0].null)[1 : int(tests[0].drawn[0, 0])] if return_null else None
    r, p, low, high, size = found
    return Significance(r, p, low, high, size.long(), null)


def monte_carlo_interval(
    count: torch.Tensor, squares: torch.Tensor, drawn: torch.Tensor, cluster: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """95 % interval of the p value that all n! orders would give, from so many permutations in clusters.

    Permutations of one order and multiplier, the 2 n turns and reflections, depend on each other; others do not, or
    hardly. So it is Clopper and Pearson's interval for the number of independent permutations that the variance between
    such clusters is worth, at most those drawn, with Student's quantile for the number of clusters (Korn and Graubard
    1998). It held the p of 2 10^5 permutations or more in 95 to 100 % of draws for 12 to 1,000 items, categories and
    graded distances. One cluster gives 0 and 1.

    `count` are the permutations as extreme as the observed order, which itself is not among them, `squares` the sum of
    the squared counts of the clusters, `drawn` the permutations, the observed order among them.
    """
    from scipy.special import betaincinv, stdtrit  # here: its import takes long

    hits, squared, every = (one.numpy() for one in (count, squares, drawn))
    clusters, size, share = every / cluster, every - 1, hits / (every - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        squared_errors = squared / cluster**2 - clusters * (hits / every) ** 2
        variance = np.maximum(squared_errors, 0) / (clusters * (clusters - 1))
        worth = np.fmin(share * (1 - share) / variance, size)
    worth *= (stdtrit(size, 0.975) / stdtrit(clusters - 1, 0.975)) ** 2
    hits = share * worth
    low = np.where(hits > 0, betaincinv(hits, worth - hits + 1, 0.025), 0.0)
    high = np.where(hits < worth, betaincinv(hits + 1, worth - hits, 0.975), 1.0)
    return torch.from_numpy(low), torch.from_numpy(high)


@dataclasses.dataclass
class _Tests:
    """The x that share a control, or have none, their tests against all y, and what was counted so far."""

    x: list[int]
    fixed: list[int]  # positions of these x and, for double semi-partialling, last, the controls
    moving: list[int]  # positions of all y and, for Smouse's test, last, the controls
    axis: int  # of correlations (fixed, moving, O, B), along which the controls are the last
    r_kept: torch.Tensor | None  # of k controls with what they move, or stay, with: (k, 1, K, 1, 1), or (k, x, 1, 1, 1)
    alternative: str
    stop_after: float
    observed: torch.Tensor = dataclasses.field(init=False)  # (x, K), as all that follow
    count: torch.Tensor = dataclasses.field(init=False)  # as extreme as the observed order, without it
    squares: torch.Tensor = dataclasses.field(init=False)  # sum of the squared counts of the clusters
    drawn: torch.Tensor = dataclasses.field(init=False)  # permutations, with the observed order
    null: list[torch.Tensor] = dataclasses.field(default_factory=list)

    def begin(self, r: torch.Tensor) -> None:
        """Take the correlations (fixed, moving) of the observed order."""
        self.observed = self.statistics(r[..., None, None])[0][..., 0, 0]
        self.count, self.squares, self.drawn = torch.zeros_like(self.observed.long()).repeat(3, 1, 1)

    def statistics(self, correlations: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | float]:
        """(Partial) correlations (x, K, O, B) from the correlations (fixed, moving, O, B), and what errors grow by."""
        if self.r_kept is None:
            return correlations, 1.0
        without = correlations.shape[self.axis] - len(self.r_kept)
        of_controls = correlations.narrow(self.axis, without, len(self.r_kept)).movedim(self.axis, 0)
        of_controls, r_xy = of_controls.unsqueeze(self.axis + 1), correlations.narrow(self.axis, 0, without)
        left = (1 - of_controls.square().sum(0)) * (1 - self.r_kept.square().sum(0))
        return partial_correlation(r_xy, of_controls, self.r_kept), 1 / left

    def directed(self, statistics: torch.Tensor) -> torch.Tensor:
        """Statistics of which greater ones are more extreme."""
        if self.alternative == "two-sided":
            return statistics.abs()
        return -statistics if self.alternative == "less" else statistics

    def exact(self, correlations: torch.Tensor, fixed: Squares, moving: Squares, part: Cosets) -> torch.Tensor:
        """The correlations in float64, computed anew where rounding might decide which statistic is more extreme."""
        correlations, kernels = correlations.double(), kernels_for(fixed.given[0])
        statistics, factor = self.statistics(correlations)
        gap = self.directed(statistics) - self.directed(self.observed)[..., None, None]
        near = ~(gap.abs() > NEAR * factor) & ~self.observed.isnan()[..., None, None]
        if not self.drawn.any():
            near[:, :, 0, 0] = False
        controls = range(-len(self.r_kept), 0) if self.r_kept is not None else ()
        for m, k in near.any(-1).any(-1).nonzero().tolist():
            rows, columns = ([m, *controls], [k]) if self.axis == 0 else ([m], [k, *controls])
            some = fixed.some([self.fixed[i] for i in rows]), moving.some([self.moving[j] for j in columns])
            every = range(len(rows)), range(len(columns))
            if near[m, k].sum() > MANY:
                [(_, [found])] = coset_correlations(*some, [every], [part], single=False)
            else:
                found = correlations[rows][:, columns]
                for order, place in near[m, k].nonzero().tolist():
                    permutation = part.permutation(order * near.shape[-1] + place)
                    for i, j in itertools.product(*every):
                        found[i, j, order, place] = kernels.permuted(*some[0].of(i), *some[1].of(j), permutation)
            correlations[torch.tensor(rows)[:, None], torch.tensor(columns)] = found
        return correlations

    def add(self, statistics: torch.Tensor, cluster: int, keep: bool) -> None:
        """Count the statistics that are as extreme as the observed one, the very first; ties and 0 / 0 are."""
        extreme = ~(self.directed(statistics) < self.directed(self.observed)[..., None, None] - TIE)
        if not self.drawn.any():
            extreme[:, :, 0, 0] = False
        of_clusters = extreme.unflatten(-1, (-1, cluster)).sum(-1)
        of_orders = of_clusters.sum(-1)
        taken = self.count[..., None] + of_orders.cumsum(-1) - of_orders < self.stop_after  # not enough before
        self.count += (of_orders * taken).sum(-1)
        self.squares += (of_clusters.square().sum(-1) * taken).sum(-1)
        self.drawn += taken.sum(-1) * statistics.shape[-1]
        if keep:
            self.null.append(statistics[0, 0].flatten())


def _tests(data: Standardised, alternative: str, residuals: bool, stop_after: float) -> list[_Tests]:
    """Tests by control; `residuals`: of y, given each control in turn, move."""
    every, models = list(range(len(data.rdms))), list(range(data.models))
    if not data.own:
        return [_Tests(every, every, models, 0, None, alternative, stop_after)]
    tests = []
    for place, of_set in enumerate(map(list, data.sets)):
        members = [index for index, its in enumerate(data.own) if its == place]
        controls = [len(models) + one for one in of_set]
        kept = (data.rdms, members) if residuals else (data.moved, models)
        r_kept = correlated(data.moved, controls, *kept)
        if residuals:
            fixed = [*members, *(len(every) + one for one in of_set)]
            moves = (fixed, [place * len(models) + k for k in models], 0, r_kept[..., None, None, None])
        else:
            moves = (members, [*models, *controls], 1, r_kept[:, None, :, None, None])
        tests.append(_Tests(members, *moves, alternative, stop_after))
    return tests


def _warn_of_collinear(data: Standardised, r: torch.Tensor) -> None:
    """Warn if r is NaN where neither RDM nor model nor control is."""
    if data.own and bool(r.isnan().any()):
        of_x, of_y = (some[:, 0, 1].isnan().cpu() for some in (data.x, data.y))
        of_z = torch.tensor([bool(data.z[list(data.sets[own])][:, 0, 1].isnan().any()) for own in data.own])
        if bool((r.isnan() & ~(of_x | of_z)[:, None] & ~of_y).any()):
            warnings.warn(
                "a control is collinear with what it controls (|r| = 1): partial r is NaN", RuntimeWarning, stacklevel=5
            )


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
