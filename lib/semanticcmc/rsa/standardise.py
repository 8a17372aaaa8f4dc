"""Distance matrices as the Mantel tests take them: checked, aligned by class name, ranked, standardised."""

from __future__ import annotations

import functools
import math
import types
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata

from semanticcmc.rsa.rdm import FEWEST_CLASSES, RDM, checked_square, square_tensor

METHODS = ("pearson", "spearman")
KERNELS_FROM = 100  # items from which compiled loops are worth loading

Matrix = Any  # an RDM, or a square array or tensor


def standardise(
    matrices: Mapping[str, Matrix],
    method: str = "pearson",
    device: str | torch.device | None = None,
    nan_allowed: bool = False,
) -> torch.Tensor:
    """Standardised squares of distance matrices of the same items.

    Parameters
    ----------
    matrices : mapping of name to RDM, array or tensor of shape (n, n)
        RDMs must hold the same classes and are aligned by name to the first of them; other matrices are
        matched by position. The names are for messages.
    method : {'pearson', 'spearman'}
        'spearman' puts ranks (ties averaged) in place of the distances.
    device : str or torch.device, optional
        By default that of the first tensor, else the CPU.
    nan_allowed : bool
        Whether NaN and infinity give NaN with a warning instead of an error.

    Returns
    -------
    tensor of float64, shape (N, n, n)
        Diagonal 0; the entries above it have mean 0 and sum of squares 1. All NaN, with a RuntimeWarning,
        where a matrix is constant.

    Raises
    ------
    ValueError
        Names the matrix that is asymmetric, has a diagonal that is not zero, holds NaN or infinity, or
        differs from the first in classes or size; or says that there are fewer than 4 items.
    """
    if method not in METHODS:
        raise ValueError(f"method {method!r}: expected one of {', '.join(METHODS)}")
    tensors = [matrix.device for matrix in matrices.values() if isinstance(matrix, torch.Tensor)]
    place = torch.device(device) if device is not None else tensors[0] if tensors else torch.device("cpu")
    first, labelled, stack = "", "", torch.empty(0)
    for index, (name, matrix) in enumerate(matrices.items()):
        if isinstance(matrix, RDM):
            labelled = labelled or name
            matrix = _aligned(matrix, matrices[labelled].classes, name, labelled)
            square = torch.from_numpy(matrix.square())
        else:
            square = square_tensor(matrix, name)
        n = len(square)
        if not first:
            if n < FEWEST_CLASSES:
                raise ValueError(f"{name} has {n} items: at least {FEWEST_CLASSES} are needed")
            first, stack = name, torch.from_numpy(np.empty((len(matrices), n, n))).to(place)
        if n != stack.shape[1]:
            raise ValueError(f"{name} has {n} items, {first} has {stack.shape[1]}")
        kernels = kernels_for(square) if square.dtype == torch.float64 and place.type == "cpu" else None
        if kernels is None or method != "pearson" or not kernels.standardised(square, stack[index]):
            _standardise(checked_square(square, name), stack[index], name, method, matrix, nan_allowed)
    return stack


def kernels_for(matrix: torch.Tensor) -> types.ModuleType | None:
    """Return the compiled loops, if they are worth it for the items of `matrix` and can be had."""
    return _kernels() if matrix.device.type == "cpu" and matrix.shape[-1] >= KERNELS_FROM else None


@functools.cache
def _kernels() -> types.ModuleType | None:
    try:
        from semanticcmc.rsa import kernels
    except ImportError:  # numba is not installed
        return None
    return kernels


def standardise_table(
    rdms: Mapping[Any, Matrix],
    models: Mapping[Any, Matrix],
    control: Matrix | Mapping[Any, Matrix] | None,
    method: str = "pearson",
    device: str | torch.device | None = None,
) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
    """Standardised RDMs, models and controls, as `mantel.mantel_table` takes them.

    Returns
    -------
    x, moving : tensors, shapes (M, n, n) and (K + C, n, n)
        From `standardise`: the RDMs; the K models and, after them, the C different controls.
    own : list of int
        Each RDM's control, counted from 0; empty without a control.
    """
    named = {f"RDM {key}": matrix for key, matrix in rdms.items()}
    named |= {f"model {key}": matrix for key, matrix in models.items()}
    own: list[int] = []
    if isinstance(control, Mapping):
        if lacking := [str(key) for key in rdms if key not in control]:
            raise ValueError(f"no control for RDM {', '.join(lacking[:5])}")
        distinct = {id(control[key]): (key, control[key]) for key in rdms}
        own = [list(distinct).index(id(control[key])) for key in rdms]
        named |= {f"control of RDM {key}": matrix for key, matrix in distinct.values()}
    elif control is not None:
        own = [0] * len(rdms)
        named["control"] = control
    stack = standardise(named, method, device, nan_allowed=True)
    return stack[: len(rdms)], stack[len(rdms) :], own


def _aligned(matrix: RDM, classes: tuple[str, ...], name: str, first: str) -> RDM:
    if matrix.classes == classes:
        return matrix
    if lacking := sorted(set(classes) ^ set(matrix.classes)):
        raise ValueError(
            f"{name} and {first} differ in {len(lacking)} classes ({', '.join(lacking[:5])}): rdm.align keeps "
            "those that they share"
        )
    return matrix.subset(classes)


def _standardise(
    square: torch.Tensor, out: torch.Tensor, name: str, method: str, given: Matrix, nan_allowed: bool
) -> None:
    """Write the standardised `square` into `out`."""
    n = len(square)
    total = float(square.sum())
    if not math.isfinite(total):
        _refuse_or_warn(square, name, given, nan_allowed)
        out.fill_(math.nan)
        return
    if method == "spearman":
        upper = torch.triu_indices(n, n, 1, device=square.device)
        ranks = torch.from_numpy(rankdata(square[upper[0], upper[1]].cpu().numpy())).to(square.device)
        square = torch.zeros_like(square)
        square[upper[0], upper[1]] = square[upper[1], upper[0]] = ranks
        total = float(square.sum())
    mean = total / (n * (n - 1))
    out.copy_(square).sub_(mean).fill_diagonal_(0)
    length = float(torch.linalg.vector_norm(out)) / math.sqrt(2)
    if length <= 1e-13 * abs(mean) * n:  # the rounding of the mean is left, and nothing else
        warnings.warn(f"{name} is constant: its tests are NaN", RuntimeWarning, stacklevel=5)
        out.fill_(math.nan)
        return
    out.mul_(1 / length)


def _refuse_or_warn(square: torch.Tensor, name: str, given: Matrix, nan_allowed: bool) -> None:
    row, column = (int(index) for index in torch.nonzero(~torch.isfinite(square))[0])
    pair = (given.classes[row], given.classes[column]) if isinstance(given, RDM) else (row, column)
    message = f"{name} holds {float(square[row, column])} as the distance of {pair[0]} and {pair[1]}"
    if not nan_allowed:
        raise ValueError(message)
    warnings.warn(f"{message}: its tests are NaN", RuntimeWarning, stacklevel=6)
