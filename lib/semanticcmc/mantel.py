"""Mantel and partial Mantel tests of representational dissimilarity matrices.

A Mantel test (Mantel 1967) asks whether two distance matrices of the same items correlate, against the
null distribution that permuting the items of one of them gives. The partial test (Smouse, Long and Sokal
1986) does so for the correlation that is left when a third matrix is partialled out of both,

    r_xy.z = (r_xy - r_xz r_yz) / sqrt((1 - r_xz^2) (1 - r_yz^2)).

As in vegan's ``mantel.partial``, x moves against y and control, whose correlation r_yz stays.

What a partial test does *not* do. It takes away the share of x that is linear in the control's distances,
and no more: where x and y are both noisy functions of one set of features, it rejects too often. It also
does so where neighbouring items are alike (autocorrelation). And a control that measures its variable with
noise leaves part of that variable in partial r.
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import rankdata

from semanticcmc.permutations import independent_correlations
from semanticcmc.rdm import FEWEST_CLASSES, RDM, condensed

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALTERNATIVES = ("greater", "less", "two-sided")
METHODS = ("pearson", "spearman")
REFERENCES = ("independent",)
TIE = 1e-10  # statistics this close to the observed one count as equal to it
COLLINEAR = 1e-12  # least 1 - r^2 between control and x or y that leaves something to correlate

Matrix = Any  # an RDM, or a square array or tensor


@dataclasses.dataclass(frozen=True)
class MantelResult:
    """What a test found, and how.

    Attributes
    ----------
    r : float
        The correlation, or the partial correlation.
    p : float
        Share of the reference set, the observed order included, whose statistic is as extreme.
    permutations : int
        Size of the reference set without the observed order: p is at least 1 / (permutations + 1).
    n : int
        Number of items.
    method, alternative, reference : str
    seed : int
    partial : bool
        Whether a control was partialled out.
    null : array of float, shape (permutations,), or None
        Statistics of the permutations, on request.
    """

    r: float
    p: float
    permutations: int
    n: int
    method: str
    alternative: str
    reference: str
    seed: int
    partial: bool
    null: NDArray[np.float64] | None = dataclasses.field(default=None, repr=False, compare=False)


def mantel(
    x: Matrix,
    y: Matrix,
    permutations: int = 9999,
    alternative: str = "greater",
    method: str = "pearson",
    reference: str = "independent",
    seed: int = 0,
    device: str | torch.device | None = None,
    return_null: bool = False,
) -> MantelResult:
    """Mantel test of the correlation between two distance matrices.

    Parameters
    ----------
    x, y : RDM, or array or tensor of shape (n, n)
        Symmetric with zeros on the diagonal. Two RDMs must hold the same classes and are aligned by name;
        without names, rows are matched by position.
    permutations : int
        Least number of permutations besides the observed order.
    alternative : {'greater', 'less', 'two-sided'}
        'two-sided' compares absolute values.
    method : {'pearson', 'spearman'}
        'spearman' ranks the distances once (ties averaged).
    reference : {'independent'}
        How the reference set is drawn.
    seed : int
    device : str or torch.device, optional
        Where to compute; by default where `x` is, if it is a tensor, else the CPU.
    return_null : bool
        Whether to keep the statistics of the permutations.

    Returns
    -------
    MantelResult
        r and p are NaN, with a RuntimeWarning, if a matrix is constant.

    Raises
    ------
    ValueError
        For NaN or infinite values, matrices that are asymmetric, have a diagonal that is not zero, differ
        in their classes or number, or have fewer than 4 items; and for unknown options.
    """
    stacks = _prepare({"x": x, "y": y}, method, device)
    return _one(stacks, permutations, alternative, method, reference, seed, return_null)


def partial_mantel(
    x: Matrix,
    y: Matrix,
    control: Matrix,
    permutations: int = 9999,
    alternative: str = "greater",
    method: str = "pearson",
    reference: str = "independent",
    seed: int = 0,
    device: str | torch.device | None = None,
    return_null: bool = False,
) -> MantelResult:
    """Partial Mantel test of x against y with a control partialled out of both.

    Parameters and errors are those of `mantel`; `control` is a third matrix of the same items. Moreover r
    and p are NaN, with a RuntimeWarning, if the control is collinear with x or y (|r| = 1). The module's
    docstring says what the test does not control. A permutation whose x is collinear with the control
    leaves 0 / 0; it counts as extreme, which can only raise p.
    """
    stacks = _prepare({"x": x, "y": y, "control": control}, method, device)
    return _one(stacks, permutations, alternative, method, reference, seed, return_null)


def mantel_table(
    rdms: Mapping[Any, Matrix],
    models: Mapping[Any, Matrix],
    control: Matrix | None = None,
    permutations: int = 9999,
    alternative: str = "greater",
    method: str = "pearson",
    reference: str = "independent",
    seed: int = 0,
    device: str | torch.device | None = None,
) -> pd.DataFrame:
    """Test many RDMs against several models, all with the same permutations and one control.

    Parameters
    ----------
    rdms, models : mapping of name to RDM, array or tensor
        All of the same classes (see `mantel`).
    control : RDM, array or tensor, optional
        Partialled out of each pair.
    permutations, alternative, method, reference, seed, device
        As in `mantel`.

    Returns
    -------
    DataFrame
        One row a pair: ``rdm, model`` (the keys), ``mantel_r, p, permutations, n, method, alternative,
        reference, seed``. Where an RDM, a model or the control holds NaN or is constant, or is collinear
        with the control, mantel_r and p are NaN, with a RuntimeWarning: one dead layer does not stop the
        others.

    Raises
    ------
    ValueError
        As `mantel` does, but for NaN.
    """
    x, y, z = prepare(rdms, models, control, method, device)
    r, p, size, _ = _test(x, y, z, permutations, alternative, reference, seed)
    rows = [
        {"rdm": key, "model": model, "mantel_r": float(r[i, j]), "p": float(p[i, j])}
        for i, key in enumerate(rdms) for j, model in enumerate(models)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["rdm", "model", "mantel_r", "p"]).assign(
        permutations=size, n=x.shape[-1], method=method, alternative=alternative, reference=reference,
        seed=seed,
    )  # fmt: skip


def prepare(
    rdms: Mapping[Any, Matrix],
    models: Mapping[Any, Matrix],
    control: Matrix | None,
    method: str = "pearson",
    device: str | torch.device | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """Checked, aligned, ranked (Spearman) and standardised RDMs, models and control, as in `mantel_table`.

    Returns
    -------
    tensors of float64, shapes (M, n, n), (K, n, n) and (1, n, n) or None
        Diagonal 0; above it mean 0 and sum of squares 1, or all NaN where that is impossible.
    """
    named = {f"RDM {key}": matrix for key, matrix in rdms.items()}
    named |= {f"model {key}": matrix for key, matrix in models.items()}
    if control is not None:
        named["control"] = control
    stacks = _prepare(named, method, device, nan_allowed=True)
    x, y, z = (
        stacks[: len(rdms)],
        stacks[len(rdms) : len(rdms) + len(models)],
        stacks[len(rdms) + len(models) :],
    )
    return x, y, z if control is not None else None


def _one(
    stacks: torch.Tensor,
    permutations: int,
    alternative: str,
    method: str,
    reference: str,
    seed: int,
    return_null: bool,
) -> MantelResult:
    control = stacks[2:] if len(stacks) == 3 else None
    r, p, size, null = _test(stacks[:1], stacks[1:2], control, permutations, alternative, reference, seed,
                             return_null)  # fmt: skip
    kept = null[0, 0].cpu().numpy() if null is not None else None
    return MantelResult(float(r[0, 0]), float(p[0, 0]), size, stacks.shape[-1], method, alternative, reference,
                        seed, control is not None, kept)  # fmt: skip


def _prepare(
    matrices: Mapping[str, Matrix],
    method: str,
    device: str | torch.device | None,
    nan_allowed: bool = False,
) -> torch.Tensor:
    """Checked, aligned, ranked and standardised matrices, shape (N, n, n); NaN where that is impossible."""
    if method not in METHODS:
        raise ValueError(f"method {method!r}: expected one of {', '.join(METHODS)}")
    labelled = {name: matrix for name, matrix in matrices.items() if isinstance(matrix, RDM)}
    classes = next(iter(labelled.values())).classes if labelled else None
    tensors = [matrix.device for matrix in matrices.values() if isinstance(matrix, torch.Tensor)]
    place = torch.device(device) if device is not None else tensors[0] if tensors else torch.device("cpu")
    stacks: list[torch.Tensor] = []
    for name, matrix in matrices.items():
        if isinstance(matrix, RDM):
            if set(matrix.classes) != set(classes or ()):
                lacking = sorted(set(classes or ()) ^ set(matrix.classes))
                raise ValueError(
                    f"{name} and {next(iter(labelled))} differ in their classes ({', '.join(lacking[:5])} ...): "
                    "rdm.align keeps those that they share"
                )
            matrix = matrix if matrix.classes == classes else matrix.subset(classes or ())
            values = torch.tensor(matrix.values, device=place)
        else:
            values = condensed(matrix, name).to(place)
        if not bool(torch.isfinite(values).all()) and not nan_allowed:
            raise ValueError(f"{name} holds NaN or infinity{_where(values, classes)}")
        if stacks and len(values) != len(stacks[0]):
            raise ValueError(f"{name} has {_items(values)} items, {next(iter(matrices))} {_items(stacks[0])}")
        if _items(values) < FEWEST_CLASSES:
            raise ValueError(f"{name} has {_items(values)} items: at least {FEWEST_CLASSES} are needed")
        stacks.append(_standardised(values, name, method))
    n = _items(stacks[0])
    square = torch.zeros(len(stacks), n, n, dtype=torch.float64, device=place)
    first, second = torch.triu_indices(n, n, 1, device=place)
    square[:, first, second] = square[:, second, first] = torch.stack(stacks)
    return square


def _standardised(values: torch.Tensor, name: str, method: str) -> torch.Tensor:
    """`values`, or their ranks, with mean 0 and sum of squares 1; NaN with a warning where impossible."""
    if not bool(torch.isfinite(values).all()):
        warnings.warn(f"{name} holds NaN or infinity: its tests are NaN", RuntimeWarning, stacklevel=4)
        return torch.full_like(values, math.nan)
    if method == "spearman":
        values = torch.from_numpy(rankdata(values.cpu().numpy())).to(values.device)
    centred = values - values.mean()
    length = torch.linalg.vector_norm(centred)
    if float(length) <= 1e-13 * math.sqrt(len(values)) * float(values.abs().max()):
        warnings.warn(f"{name} is constant: its tests are NaN", RuntimeWarning, stacklevel=4)
        return torch.full_like(values, math.nan)
    return centred / length


def _items(values: torch.Tensor) -> int:
    return (1 + math.isqrt(1 + 8 * len(values))) // 2


def _where(values: torch.Tensor, classes: tuple[str, ...] | None) -> str:
    if classes is None:
        return ""
    first, second = torch.triu_indices(len(classes), len(classes), 1)
    pair = int(torch.nonzero(~torch.isfinite(values.cpu()))[0])
    return f" (distance of {classes[int(first[pair])]} and {classes[int(second[pair])]})"


def _test(
    x: torch.Tensor,
    y: torch.Tensor,
    control: torch.Tensor | None,
    permutations: int,
    alternative: str,
    reference: str,
    seed: int,
    return_null: bool = False,
) -> tuple[torch.Tensor, torch.Tensor, int, torch.Tensor | None]:
    """Statistics and p values of each x against each y, shape (M, K), and the size of the reference set."""
    if alternative not in ALTERNATIVES:
        raise ValueError(f"alternative {alternative!r}: expected one of {', '.join(ALTERNATIVES)}")
    if reference not in REFERENCES:
        raise ValueError(f"reference {reference!r}: expected one of {', '.join(REFERENCES)}")
    if isinstance(permutations, bool) or not isinstance(permutations, int) or permutations < 1:
        raise ValueError(f"permutations {permutations!r}: expected a whole number of at least 1")
    moving = y if control is None else torch.cat([y, control])
    r_yz = None if control is None else torch.einsum("kij,cij->k", y, control) / 2
    observed = _statistic(torch.einsum("mij,kij->mk", x, moving)[..., None] / 2, r_yz)[..., 0]
    if r_yz is not None and bool((torch.isnan(observed) & ~_undefined(x, y, control)).any()):
        warnings.warn("the control is collinear with x or y (|r| = 1): partial r is NaN", RuntimeWarning,
                      stacklevel=4)  # fmt: skip
    count, size, kept = torch.zeros_like(observed), 0, []
    for block in independent_correlations(x, moving, permutations, seed):
        statistics = _statistic(block, r_yz)
        count += _extreme(statistics, observed[..., None], alternative).sum(-1)
        size += block.shape[-1]
        if return_null:
            kept.append(statistics)
    p = torch.where(torch.isnan(observed), torch.nan, (count + 1) / (size + 1))
    return observed, p, size, torch.cat(kept, dim=-1) if return_null else None


def partial_correlation(r_xy: torch.Tensor, r_xz: torch.Tensor, r_yz: torch.Tensor) -> torch.Tensor:
    """Correlation of x and y with z partialled out of both; NaN where z is collinear with x or y."""
    left_x, left_y = 1 - r_xz.square(), 1 - r_yz.square()
    collinear = (left_x < COLLINEAR) | (left_y < COLLINEAR)
    return torch.where(collinear, torch.nan, (r_xy - r_xz * r_yz) / (left_x * left_y).sqrt())


def _statistic(correlations: torch.Tensor, r_yz: torch.Tensor | None) -> torch.Tensor:
    """(Partial) correlations from those of each x with each y and, in the last row of y, the control."""
    if r_yz is None:
        return correlations
    return partial_correlation(correlations[:, :-1], correlations[:, -1:], r_yz[:, None])


def _undefined(x: torch.Tensor, y: torch.Tensor, control: torch.Tensor | None) -> torch.Tensor:
    """Pairs that are NaN for a reason that was said before."""
    bad = torch.isnan(x[:, 0, 1])[:, None] | torch.isnan(y[:, 0, 1])
    return bad if control is None else bad | torch.isnan(control[:, 0, 1])


def _extreme(statistics: torch.Tensor, observed: torch.Tensor, alternative: str) -> torch.Tensor:
    """Which are at least as extreme as the observed one, ties and undefined ones included."""
    if alternative == "less":
        statistics, observed = -statistics, -observed
    elif alternative == "two-sided":
        statistics, observed = statistics.abs(), observed.abs()
    return (statistics >= observed - TIE) | torch.isnan(statistics)
