"""Distance matrices as the Mantel tests take them: checked, aligned by class name, ranked, standardised."""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from semanticcmc.rsa.rdm import FEWEST_CLASSES, RDM, checked_square, named_square, square_tensor
from semanticcmc.rsa.threads import threads_for
from semanticcmc.run import listed

METHODS = ("pearson", "spearman")
EXTREME = 1e100  # distances beyond, or all below its inverse, are scaled, so that their squares can be summed
SECONDS = 2e-8  # a distance, on one core
KERNELS_FROM = 100  # items from which compiled loops are worth loading

Matrix = Any  # an RDM, or a square array, tensor or DataFrame


@dataclasses.dataclass(frozen=True)
class Standardised:
    """RDMs, models and controls of the same items, standardised once for tests and intervals.

    Attributes
    ----------
    x : tensor of float64, shape (M, n, n)
        RDMs, from `standardise`.
    moving : tensor of float64, shape (K + C, n, n)
        Models and, after them, the different controls: what x is permuted against.
    own : tuple of int
        Each RDM's control, counted from 0; empty without a control.
    """

    x: torch.Tensor
    moving: torch.Tensor
    own: tuple[int, ...] = ()

    @property
    def y(self) -> torch.Tensor:
        """Models, shape (K, n, n)."""
        return self.moving[: len(self.moving) - len(set(self.own))]

    @property
    def z(self) -> torch.Tensor:
        """Controls, shape (C, n, n)."""
        return self.moving[len(self.y) :]

    def control(self, rdm: int) -> torch.Tensor | None:
        """Control of an RDM, shape (n, n); None without one."""
        return self.z[self.own[rdm]] if self.own else None


def standardise_table(
    rdms: Mapping[Any, Matrix],
    models: Mapping[Any, Matrix],
    control: Matrix | Mapping[Any, Matrix] | None = None,
    method: str = "pearson",
    device: str | torch.device | None = None,
) -> Standardised:
    """Standardise RDMs, models and controls as `mantel.mantel_table` takes them.

    Several RDMs whose control is one and the same object share it.
    """
    named = {f"RDM {key}": matrix for key, matrix in rdms.items()}
    named |= {f"model {key}": matrix for key, matrix in models.items()}
    own: list[int] = []
    if isinstance(control, Mapping):
        if lacking := [str(key) for key in rdms if key not in control]:
            raise ValueError(f"no control for RDM {listed(lacking)}")
        different: list[Matrix] = []
        for key in rdms:
            if not any(control[key] is one for one in different):
                different.append(control[key])
                named[f"control of RDM {key}"] = control[key]
            own.append(next(place for place, one in enumerate(different) if one is control[key]))
    elif control is not None:
        own = [0] * len(rdms)
        named["control"] = control
    stack = standardise(named, method, device, nan_allowed=True)
    return Standardised(stack[: len(rdms)], stack[len(rdms) :], tuple(own))


def standardise(
    matrices: Mapping[str, Matrix],
    method: str = "pearson",
    device: str | torch.device | None = None,
    nan_allowed: bool = False,
) -> torch.Tensor:
    """Standardised squares of distance matrices of the same items.

    Parameters
    ----------
    matrices : mapping of name to RDM, DataFrame, array or tensor of shape (n, n)
        RDMs and DataFrames must hold the same classes and are aligned by name to the first of them; other matrices
        are matched by position, unless that is ambiguous. The names are for messages.
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
        differs from the first in classes or size, has no names where others have them in different orders, or
        is nothing that `arrays.as_tensor` reads; or says that there are fewer than 4 items.
    """
    if method not in METHODS:
        raise ValueError(f"method {method!r}: expected one of {', '.join(METHODS)}")
    tensors = [matrix.device for matrix in matrices.values() if isinstance(matrix, torch.Tensor)]
    place = torch.device(device) if device is not None else tensors[0] if tensors else torch.device("cpu")
    matrices = {name: named_square(one, name) if hasattr(one, "iloc") else one for name, one in matrices.items()}
    unnamed = [name for name, one in matrices.items() if not isinstance(one, RDM)]
    if unnamed and len({one.classes for one in matrices.values() if isinstance(one, RDM)}) > 1:
        raise ValueError(f"{listed(unnamed)}: without names, where the others order theirs differently; give an RDM")
    first, labelled, stack = "", "", torch.empty(0)
    items: Sequence[Any]
    for index, (name, matrix) in enumerate(matrices.items()):
        if isinstance(matrix, RDM):
            labelled = labelled or name
            items = matrices[labelled].classes
            if lacking := sorted(set(items) ^ set(matrix.classes)):
                raise ValueError(
                    f"{name} and {labelled} differ in {len(lacking)} classes ({listed(lacking)}): rdm.align keeps "
                    "those that they share"
                )
            square = torch.from_numpy(matrix.subset(items).square())
        else:
            square = square_tensor(matrix, name)
            items = range(len(square))
        n = len(square)
        if not first:
            if n < FEWEST_CLASSES:
                raise ValueError(f"{name} has {n} items: at least {FEWEST_CLASSES} are needed")
            first, stack = name, torch.from_numpy(np.empty((len(matrices), n, n))).to(place)
        if n != stack.shape[1]:
            raise ValueError(f"{name} has {n} items, {first} has {stack.shape[1]}")
        kernels = kernels_for(square) if square.dtype == torch.float64 and place.type == "cpu" else None
        if kernels is None or method != "pearson" or not kernels.standardised(square.numpy(), stack[index].numpy()):
            with threads_for(n**2 * SECONDS):
                _standardise(checked_square(square, name), stack[index], name, method, items, nan_allowed)
    return stack


def _standardise(
    square: torch.Tensor, out: torch.Tensor, name: str, method: str, items: Sequence[Any], nan_allowed: bool
) -> None:
    """Write the standardised `square` into `out`; `items` are the names of its rows."""
    n = len(square)
    largest = float(torch.linalg.vector_norm(square, torch.inf))
    if not math.isfinite(largest):
        row, column = (int(place) for place in torch.nonzero(~torch.isfinite(square))[0])
        message = f"{name} holds {float(square[row, column])} as the distance of {items[row]} and {items[column]}"
        if not nan_allowed:
            raise ValueError(message)
        warnings.warn(f"{message}: its tests are NaN", RuntimeWarning, stacklevel=5)
        out.fill_(math.nan)
        return
    if method == "spearman":
        from scipy.stats import rankdata  # here: its import takes seconds

        upper = torch.triu_indices(n, n, 1, device=square.device)
        ranks = torch.from_numpy(rankdata(square[upper[0], upper[1]].cpu().numpy())).to(square.device)
        square = torch.zeros_like(square)
        square[upper[0], upper[1]] = square[upper[1], upper[0]] = ranks
    elif largest > 0 and not 1 / EXTREME < largest < EXTREME:
        square = square / largest
    mean = float(square.sum()) / (n * (n - 1))
    out.copy_(square).sub_(mean).fill_diagonal_(0)
    length = float(torch.linalg.vector_norm(out)) / math.sqrt(2)
    if length <= 1e-13 * abs(mean) * n:  # the rounding of the mean is left, and nothing else
        warnings.warn(f"{name} is constant: its tests are NaN", RuntimeWarning, stacklevel=5)
        out.fill_(math.nan)
        return
    out.mul_(1 / length)


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
