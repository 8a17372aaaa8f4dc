"""Distances between all pairs of rows at BLAS speed, in float64, equal to scipy's `pdist`.

One product of the rows with themselves gives all of them. It is accumulated over blocks of columns that
fit the cache, so that centring costs no pass over memory; BLAS computes one triangle of it, and so
float64 takes about the time of one full float32 product.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike

from semanticcmc.rsa.arrays import as_tensor
from semanticcmc.rsa.threads import threads_for
from semanticcmc.run import listed

DISTANCES = ("correlation", "spearman", "euclidean", "cosine")
LARGEST = {torch.float32: 1e30, torch.float64: 1e150}  # of which sums, and sums of squares in float64, are finite
SECONDS = 6e-11  # a number of the product, on one core
_BLOCK_VALUES = 2**21  # 16 MiB of float64


def pairwise(rows: ArrayLike | torch.Tensor, distance: str, names: Sequence[str] | None = None) -> torch.Tensor:
    """Condensed distances between all pairs of rows.

    Raises ValueError for an unknown distance, a shape that does not fit, or values that are not finite, too large to be
    squared, or no real numbers (`arrays.as_tensor`). Returned is a tensor of float64, shape (n (n - 1) / 2,): in the
    order of `scipy.spatial.distance.pdist`.

    Parameters
    ----------
    rows : array or tensor, shape (n, d)
        A tensor is computed on its own device.
    distance : {'correlation', 'spearman', 'euclidean', 'cosine'}
        1 - Pearson, 1 - Spearman (the correlation of ranks, ties averaged), Euclidean, 1 - cosine.
    names : sequence of str, optional
        Names of the rows for messages.

    Notes
    -----
    A RuntimeWarning names the rows that are constant (correlation, spearman) or zero (cosine): their
    distances are NaN, as pdist's are.
    """
    if distance not in DISTANCES:
        raise ValueError(f"distance {distance!r}: expected one of {', '.join(DISTANCES)}")
    values = as_tensor(rows, "means")
    if values.ndim != 2 or 0 in values.shape:
        raise ValueError(f"expected an array of shape (n, d), found {tuple(values.shape)}")
    if values.dtype not in LARGEST:
        values = values.to(torch.float64)
    names = [f"row {index}" for index in range(len(values))] if names is None else names
    with threads_for(len(values) ** 2 * values.shape[1] * SECONDS):
        largest = torch.linalg.vector_norm(values, torch.inf, dim=1)
        if not bool(torch.isfinite(largest).all()):
            raise ValueError(f"the values of {_names(names, ~torch.isfinite(largest))} hold NaN or infinity")
        if bool((wrong := largest > LARGEST[values.dtype]).any()):
            raise ValueError(
                f"the values of {_names(names, wrong)} reach {float(largest.max()):g}, too large for sums of "
                f"{values.dtype}: divide all by one number"
            )
        means = values.mean(1, keepdim=True).to(torch.float64)
        if distance == "spearman":
            from scipy.stats import rankdata  # here: its import takes seconds

            values = torch.from_numpy(rankdata(values.to(torch.float64).cpu().numpy(), axis=1)).to(values.device)
            means = values.mean(1, keepdim=True)
        product = _product(values, {"cosine": None, "euclidean": "columns"}.get(distance, means))
        squares = product.diagonal().clone()
        first, second = torch.triu_indices(len(values), len(values), 1, device=values.device)
        if distance == "euclidean":
            return _euclidean(values, product, squares, first, second)
        # A constant row leaves the rounding of its mean behind, not 0.
        floor = (1e-14 * means[:, 0]).square() * values.shape[1] if distance != "cosine" else 0.0
        if bool((squares <= floor).any()):
            what = "zero" if distance == "cosine" else "constant"
            warnings.warn(
                f"the values of {_names(names, squares <= floor)} are {what}: their {distance} distances are NaN",
                RuntimeWarning,
                stacklevel=3,
            )
        scale = torch.where(squares <= floor, torch.nan, squares).rsqrt()
        return (1 - product[first, second] * scale[first] * scale[second]).clamp_(0, 2)


def _product(values: torch.Tensor, centre: torch.Tensor | str | None) -> torch.Tensor:
    """Products of all rows after taking away each row's or each column's mean, or nothing."""
    product = torch.zeros(len(values), len(values), dtype=torch.float64, device=values.device)
    left = torch.zeros(len(values), dtype=torch.float64, device=values.device)
    for block in values.split(max(64, _BLOCK_VALUES // len(values)), dim=1):
        if isinstance(centre, torch.Tensor):
            part = block - centre
            left += part.sum(1)  # a mean in float32 is near, not exact
        else:
            part = block.to(torch.float64)
            if centre == "columns":
                part = part - part.mean(0, keepdim=True)
        if part.device.type == "cpu":
            array = np.ascontiguousarray(part.numpy())
            product += torch.from_numpy(array @ array.T)  # numpy sees the symmetry, torch does not
        else:
            product += part @ part.T
    return product - left[:, None] * left / values.shape[1]


def _euclidean(
    values: torch.Tensor, product: torch.Tensor, squares: torch.Tensor, first: torch.Tensor, second: torch.Tensor
) -> torch.Tensor:
    """Euclidean distances; where the product's terms cancel (near pairs), once more directly."""
    scale = squares[first] + squares[second]
    distance2 = scale - 2 * product[first, second]
    near = torch.nonzero(distance2 < 1e-4 * scale).squeeze(1)
    for some in near.split(max(1, _BLOCK_VALUES // values.shape[1])):
        difference = values[first[some]].to(torch.float64) - values[second[some]].to(torch.float64)
        distance2[some] = difference.square().sum(1)
    return distance2.clamp_(min=0).sqrt_()


def _names(names: Sequence[str], chosen: torch.Tensor) -> str:
    return listed([names[row] for row in torch.nonzero(chosen.cpu()).squeeze(1).tolist()])
