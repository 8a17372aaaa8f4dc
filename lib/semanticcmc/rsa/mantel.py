"""Mantel and partial Mantel tests of representational dissimilarity matrices.

A Mantel test (Mantel 1967) asks whether two distance matrices of the same items correlate, against the
null distribution that permuting the items of one of them gives. The partial test (Smouse, Long and Sokal
1986) does so for the correlation that is left when a third matrix is partialled out of both,

    r_xy.z = (r_xy - r_xz r_yz) / sqrt((1 - r_xz^2) (1 - r_yz^2)).

Several controls are partialled out at once: r_xy.z is then the correlation of what regressions on all of them leave.

``partial="smouse"``: as in vegan's ``mantel.partial``, x moves against y and control, whose correlation r_yz stays.
``partial="dsp"``: what the control leaves of y moves against x and control, whose correlation r_xz stays (double
semi-partialling, Dekker, Krackhardt and Snijders 2007; as ``sna::netlm(..., nullhyp = "qapspp")``). r is the same.

What a partial test does *not* do. It takes away the share of x that is linear in the control's distances,
and no more: where x and y each measure, with noise, the class features behind the control, it rejects too
often (9 % at .05 with 50 classes), and where neighbouring items are alike, far too often (41 %). And a control that
measures its variable with noise leaves part of that variable in partial r (``validation/mantel.csv``).

Where x = a z + e and distances are skewed, Smouse's test is too liberal at small levels for graded models, since it
permutes x and not e (rejected at .001: 1.1 %, .3 % and .2 % with 12, 48 and 256 items), and too strict for categories
(3.0-3.6 % at .05). Double semi-partialling is nearer its level (.3 %, .1 % and .2 %; 4.3-5.0 %) and as powerful
(``validation/partial_tests.csv``).
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from semanticcmc.rsa.bootstrap import intervals
from semanticcmc.rsa.permutation import significance
from semanticcmc.rsa.standardise import (
    Controls,
    Matrix,
    Standardised,
    controlled,
    named_controls,
    read,
    standardise_table,
)

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True)
class MantelResult:
    """What a test found, and how.

    Attributes
    ----------
    r : float
        The correlation, or the partial correlation.
    p : float
        Share of the reference set, the observed order included, whose statistic is as extreme.
    p_low, p_high : float
        95 % interval of the p that all n! orders would give (`permutation.monte_carlo_interval`); NaN if stopped early.
    permutations : int
        Size of the reference set without the observed order: p is at least 1 / (permutations + 1).
        ``cosets.draw_cosets(n, permutations, seed)`` gives its orders and multipliers again.
    n : int
        Number of items.
    partial : str
        How a control was partialled out: 'smouse', 'dsp', or 'none' without one.
    null : array of float, shape (permutations,), or None
        Statistics of the permutations, on request; from 500 items on to some 1e-7.
    """

    r: float
    p: float
    p_low: float
    p_high: float
    permutations: int
    n: int
    method: str
    alternative: str
    seed: int
    partial: str
    null: NDArray[np.float64] | None = dataclasses.field(default=None, repr=False, compare=False)

    def __eq__(self, other: object) -> bool:
        """Whether all fields but `null` are equal; NaN equals NaN."""
        return repr(self) == repr(other)

    def __hash__(self) -> int:
        """Of all fields but `null`."""
        return hash(repr(self))


def mantel(
    x: Matrix,
    y: Matrix,
    permutations: int = 9999,
    alternative: str = "greater",
    method: str = "pearson",
    seed: int = 0,
    device: str | torch.device | None = None,
    return_null: bool = False,
    stop_after: int | None = None,
) -> MantelResult:
    """Mantel test of the correlation between two distance matrices.

    Parameters
    ----------
    x, y : RDM, or array, tensor or DataFrame of shape (n, n)
        Symmetric with zeros on the diagonal. Two RDMs or DataFrames must hold the same classes and are aligned by
        name; without names, rows are matched by position.
    permutations : int
        Least number besides the observed order; drawn as whole cosets of a group (`cosets`), which tests as exactly as
        independent ones, and hundreds of times faster with many items.
    alternative : {'greater', 'less', 'two-sided'}
        'two-sided' compares absolute values.
    method : {'pearson', 'spearman'}
        'spearman' ranks the distances once (ties averaged).
    device : str or torch.device, optional
        Where to compute; by default where `x` is, if it is a tensor, else the CPU.
    return_null : bool
        Whether to keep the statistics of the permutations.
    stop_after : int, optional
        Stop once so many permutations, such as 20, are as extreme as the observed order: far earlier where p is large.
        p stays valid (`permutation.significance` has the proof), and `permutations` says how many were drawn.

    Returns
    -------
    MantelResult
        r and p are NaN, with a RuntimeWarning, if a matrix is constant.

    Raises
    ------
    ValueError
        For NaN or infinite values, matrices that are asymmetric, have a diagonal that is not zero, differ
        in their classes or number, have fewer than 4 items, or are no real numbers; and for unknown options.
    """
    options = (permutations, alternative, seed, return_null, "smouse", stop_after)
    return _tested({"x": x, "y": y}, method, device, options)


def partial_mantel(
    x: Matrix,
    y: Matrix,
    control: Controls,
    permutations: int = 9999,
    alternative: str = "greater",
    method: str = "pearson",
    seed: int = 0,
    device: str | torch.device | None = None,
    return_null: bool = False,
    partial: str = "smouse",
    stop_after: int | None = None,
) -> MantelResult:
    """Partial Mantel test of x against y with a control partialled out of both.

    Parameters and errors are those of `mantel`; `control` is a third matrix of the same items, or a list of
    such, which are partialled out at once, and `partial` ('smouse'
    or 'dsp') says what is permuted: the module's docstring has it. Moreover r
    and p are NaN, with a RuntimeWarning, if the control is collinear with x or y (|r| = 1). The module's
    docstring says what the test does not control. A permutation whose x is collinear with the control
    leaves 0 / 0; it counts as extreme, which can only raise p.
    """
    options = (permutations, alternative, seed, return_null, partial, stop_after)
    return _tested({"x": x, "y": y} | named_controls(control), method, device, options)


def _tested(matrices: dict[str, Matrix], method: str, device: Any, options: tuple[Any, ...]) -> MantelResult:
    """Test the first matrix against the second, given the others, with the options of `significance`."""
    squares = read(matrices, method, device)
    rdm, moved, controls = squares.some([0]), squares.some(range(1, len(squares))), len(squares) - 2
    data = controlled(rdm, moved, (0,), [controls]) if controls else Standardised(rdm, moved)
    found = significance(data, *options)
    _, alternative, seed, _, partial, _ = options
    r, p, low, high = (float(one) for one in (found.r, found.p, found.low, found.high))
    how = (int(found.size), squares.n, method, alternative, seed, partial if controls else "none")
    return MantelResult(r, p, low, high, *how, None if found.null is None else found.null.cpu().numpy())


def mantel_table(
    rdms: Mapping[Any, Matrix],
    models: Mapping[Any, Matrix],
    control: Controls | Mapping[Any, Controls] | None = None,
    permutations: int = 9999,
    alternative: str = "greater",
    method: str = "pearson",
    seed: int = 0,
    device: str | torch.device | None = None,
    bootstrap_samples: int | None = None,
    confidence: float = 0.95,
    partial: str = "smouse",
    stop_after: int | None = None,
) -> pd.DataFrame:
    """Test many RDMs against several models, all with the same permutations; each is transformed once.

    Raises ValueError as `mantel` does, but for NaN.

    Parameters
    ----------
    rdms, models : mapping of name to RDM, array, tensor or DataFrame
        All of the same classes (see `mantel`).
    control : RDM, array, tensor or DataFrame, list of such, or mapping of the rdms' names to either, optional
        Partialled out, several at once: the same for all RDMs, or each one's own.
    permutations, alternative, method, seed, device, partial, stop_after
        As in `partial_mantel`.
    bootstrap_samples : int, optional
        With it the table has intervals at the level `confidence`, as `bootstrap.intervals` gives them.

    Returns
    -------
    DataFrame
        One row a pair: ``rdm, model`` (the names), ``mantel_r, p, permutations, n, method, alternative,
        seed``, and with bootstrap samples ``ci_low, ci_high``. Where an RDM, a model or the control holds
        NaN or is constant, or is collinear with the control, mantel_r and p are NaN, with a RuntimeWarning: one dead
        layer does not stop the others.
    """
    import pandas as pd

    data = standardise_table(rdms, models, control, method, device)
    found = significance(data, permutations, alternative, seed, partial=partial, stop_after=stop_after)
    r, p, size = (one.numpy().ravel() for one in (found.r, found.p, found.size))
    table = pd.DataFrame(itertools.product(rdms, models), columns=["rdm", "model"])
    table = table.assign(mantel_r=r, p=p, permutations=size)
    table = table.assign(n=data.rdms.n, method=method, alternative=alternative, seed=seed)
    if bootstrap_samples is not None:
        low, high = intervals(data, bootstrap_samples, confidence, seed)
        table = table.assign(ci_low=low.ravel(), ci_high=high.ravel())
    return table
