"""Distance matrices as the Mantel tests take them: checked, aligned by class name, ranked, standardised."""

from __future__ import annotations

import dataclasses
import functools
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from semanticcmc.rsa.arrays import Squares
from semanticcmc.rsa.rdm import FEWEST_CLASSES, RDM, as_rdm, checked_square, square_tensor
from semanticcmc.rsa.threads import threads_for
from semanticcmc.run import listed

METHODS = ("pearson", "spearman")
EXTREME = 1e100  # distances beyond, or all below its inverse, are scaled, so that their squares can be summed
SECONDS = 2e-8  # a distance, on one core
KERNELS_FROM = 100  # items from which compiled loops are worth loading

COLLINEAR = 1e-11  # least 1 - r^2 between control and x or y that leaves something to correlate

Matrix = Any  # what `rdm.as_rdm` takes, or a square array or tensor
Controls = Any  # a matrix, or a list or tuple of them


@dataclasses.dataclass(frozen=True)
class Standardised:
    """RDMs, models and controls of the same items, standardised once (`standardise`) for tests and intervals.

    `moved`, models and, after them, the different controls, is what RDMs are permuted against. Of controls that are
    partialled out together, each is what those before it leave of it: they do not correlate.
    """

    rdms: Squares
    moved: Squares
    own: tuple[int, ...] = ()  # each RDM's set of controls, counted from 0; empty without a control
    sets: tuple[tuple[int, ...], ...] = ()  # controls of each set, counted from 0

    @property
    def models(self) -> int:
        """Number of models."""
        return len(self.moved) - sum(map(len, self.sets))

    @property
    def x(self) -> torch.Tensor:
        """RDMs, shape (M, n, n)."""
        return self.rdms.stack

    @property
    def moving(self) -> torch.Tensor:
        """Models and controls, shape (K + C, n, n)."""
        return self.moved.stack

    @property
    def y(self) -> torch.Tensor:
        """Models, shape (K, n, n)."""
        return self.moving[: self.models]

    @property
    def z(self) -> torch.Tensor:
        """Controls, shape (C, n, n)."""
        return self.moving[self.models :]

    def control(self, rdm: int) -> torch.Tensor | None:
        """Controls of an RDM, shape (k, n, n); None without one."""
        return self.z[list(self.sets[self.own[rdm]])] if self.own else None


def controlled(rdms: Squares, moved: Squares, own: Sequence[int], sizes: Sequence[int]) -> Standardised:
    """RDMs, models and, behind these, sets of so many controls; a control that those before it explain is left out."""
    if max(sizes, default=0) <= 1:  # nothing to leave out
        return Standardised(rdms, moved, tuple(own), tuple((place,) for place in range(len(sizes))))
    models = len(moved) - sum(sizes)
    kept, sets = list(moved.stack[:models]), []
    for start, size in zip(np.cumsum([models, *sizes]), sizes, strict=False):
        of_set: list[torch.Tensor] = []
        for one in moved.stack[start : start + size]:
            left = residual(one, torch.stack(of_set)) if of_set else one
            if left is one or not (torch.isnan(left).all() and not torch.isnan(one).any()):
                of_set.append(left)
        sets.append(tuple(range(len(kept) - models, len(kept) - models + len(of_set))))
        kept += of_set
    return Standardised(Squares(rdms.stack), Squares(torch.stack(kept)), tuple(own), tuple(sets))


def residual(y: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """What a regression on the controls z (k, n, n), or (n, n), leaves of y (n, n), standardised; NaN if nothing."""
    left = y
    for one in z.reshape(-1, *y.shape):  # they do not correlate
        left = left - (y * one).sum() / 2 * one
    squares = left.square().sum() / 2
    return torch.where(squares < COLLINEAR, torch.nan, left / squares.sqrt())


def standardise_table(
    rdms: Mapping[Any, Matrix],
    models: Mapping[Any, Matrix],
    control: Controls | Mapping[Any, Controls] | None = None,
    method: str = "pearson",
    device: str | torch.device | None = None,
) -> Standardised:
    """Standardise RDMs, models and controls as `mantel.mantel_table` takes them.

    Several RDMs whose control is one and the same object share it. Those of a list or tuple are partialled
    out at once.
    """
    if not rdms or not models:
        raise ValueError(f"{len(rdms)} RDMs and {len(models)} models: give at least one of each")
    named = {f"RDM {key}": matrix for key, matrix in rdms.items()}
    named |= {f"model {key}": matrix for key, matrix in models.items()}
    own: list[int] = []
    different: dict[tuple[int, ...], dict[str, Matrix]] = {}  # by the identity of the controls
    if isinstance(control, Mapping) and (lacking := [str(key) for key in rdms if key not in control]):
        raise ValueError(f"no control for RDM {listed(lacking)}")
    for key in rdms if control is not None else ():
        mine, name = (control[key], f"control of RDM {key}") if isinstance(control, Mapping) else (control, "control")
        controls = named_controls(mine, name)
        identity = tuple(map(id, controls.values()))
        different.setdefault(identity, controls)
        own.append(list(different).index(identity))
    for of_set in different.values():
        named |= of_set
    squares = read(named, method, device, nan_allowed=True)
    sizes = [len(of_set) for of_set in different.values()]
    x, moved = range(len(rdms)), range(len(rdms), len(squares))
    return controlled(squares.some(x), squares.some(moved), own, sizes)


def named_controls(control: Controls, name: str = "control") -> dict[str, Matrix]:
    """Controls with names for messages."""
    if not isinstance(control, (list, tuple)) or not any(
        isinstance(as_rdm(one), RDM) or np.ndim(one) == 2 for one in control
    ):
        return {name: control}  # one matrix, perhaps as a list of its rows
    return {f"{name}, {place} of {len(control)}": one for place, one in enumerate(control, start=1)}


def standardise(
    matrices: Mapping[str, Matrix],
    method: str = "pearson",
    device: str | torch.device | None = None,
    nan_allowed: bool = False,
) -> torch.Tensor:
    """Standardised squares (`Squares.stack`) of what `read` takes."""
    return read(matrices, method, device, nan_allowed).stack


def read(
    matrices: Mapping[str, Matrix],
    method: str = "pearson",
    device: str | torch.device | None = None,
    nan_allowed: bool = False,
) -> Squares:
    """Read distance matrices of the same items.

    All NaN, with a RuntimeWarning, where a matrix is constant. A ValueError names the matrix that is asymmetric, has a
    diagonal that is not zero, holds NaN or infinity, or differs from the first in classes or size, has no names where
    others have them in different orders, or is nothing that `arrays.as_tensor` reads; or says that there are fewer than
    4 items.

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
    """
    if method not in METHODS:
        raise ValueError(f"method {method!r}: expected one of {', '.join(METHODS)}")
    tensors = [matrix.device for matrix in matrices.values() if isinstance(matrix, torch.Tensor)]
    place = torch.device(device) if device is not None else tensors[0] if tensors else torch.device("cpu")
    matrices = {name: as_rdm(one, name) for name, one in matrices.items()}
    unnamed = [name for name, one in matrices.items() if not isinstance(one, RDM)]
    if unnamed and len({one.classes for one in matrices.values() if isinstance(one, RDM)}) > 1:
        raise ValueError(f"{listed(unnamed)}: without names, where the others order theirs differently; give an RDM")
    first, labelled = "", ""
    given: list[torch.Tensor] = []
    scales: list[tuple[float, float]] = []
    items: Sequence[Any]
    for name, matrix in matrices.items():
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
            first = name
        if given and n != len(given[0]):
            raise ValueError(f"{name} has {n} items, {first} has {len(given[0])}")
        scale = 0.0, 0.0
        if method == "pearson" and square.dtype == torch.float64 and place.type == "cpu" and kernels_for(square):
            square = square.contiguous()
            scale = _kernels().scale(square.numpy())
        if not scale[1]:
            with threads_for(n**2 * SECONDS):
                square = _standardise(checked_square(square, name).to(place), name, method, items, nan_allowed)
            scale = 0.0, 1.0
        given.append(square)
        scales.append(scale)
    return Squares(given, scales) if kernels_for(given[0]) else Squares(torch.stack(given))


def _standardise(square: torch.Tensor, name: str, method: str, items: Sequence[Any], nan_allowed: bool) -> torch.Tensor:
    """The standardised `square`, a new tensor; `items` are the names of its rows."""
    n = len(square)
    largest = float(torch.linalg.vector_norm(square, torch.inf))
    if not math.isfinite(largest):
        row, column = (int(place) for place in torch.nonzero(~torch.isfinite(square))[0])
        message = f"{name} holds {float(square[row, column])} as the distance of {items[row]} and {items[column]}"
        if not nan_allowed:
            raise ValueError(message)
        warnings.warn(f"{message}: its tests are NaN", RuntimeWarning, stacklevel=5)
        return torch.full_like(square, math.nan)
    if method == "spearman":
        from scipy.stats import rankdata  # here: its import takes seconds

        upper = torch.triu_indices(n, n, 1, device=square.device)
        ranks = torch.from_numpy(rankdata(square[upper[0], upper[1]].cpu().numpy())).to(square.device)
        square = torch.zeros_like(square)
        square[upper[0], upper[1]] = square[upper[1], upper[0]] = ranks
    elif largest > 0 and not 1 / EXTREME < largest < EXTREME:
        square = square / largest
    mean = float(square.sum()) / (n * (n - 1))
    out = (square - mean).fill_diagonal_(0)
    length = float(torch.linalg.vector_norm(out)) / math.sqrt(2)
    if length <= 1e-13 * abs(mean) * n:  # the rounding of the mean is left, and nothing else
        warnings.warn(f"{name} is constant: its tests are NaN", RuntimeWarning, stacklevel=5)
        return torch.full_like(square, math.nan)
    return out.mul_(1 / length)


def kernels_for(matrix: torch.Tensor) -> Any:
    """The compiled loops, if they are worth it for the items of `matrix` and can be had, else None."""
    return _kernels() if matrix.device.type == "cpu" and matrix.shape[-1] >= KERNELS_FROM else None


@functools.cache
def _kernels() -> Any:
    try:
        from semanticcmc.rsa import kernels
    except ImportError:  # numba is not installed
        return None
    return kernels
