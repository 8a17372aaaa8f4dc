"""How well an RDM is known: split halves of the images, and the ceiling that noise sets to a correlation."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from semanticcmc.rsa.rdm import RDM, from_class_means
from semanticcmc.run import listed

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike


def split_half_rdms(
    features: ArrayLike | torch.Tensor,
    class_index: ArrayLike,
    classes: Sequence[str],
    distance: str = "correlation",
    splits: int = 20,
    seed: int = 0,
) -> Iterator[tuple[RDM, RDM]]:
    """Pairs of RDMs, each from one random half of every class's images.

    Parameters
    ----------
    features : array or tensor, shape (N, d)
        One row an image.
    class_index : array of int, shape (N,)
        Position of each image's class in `classes`. An odd image out is left out of that split.
    classes : sequence of str
    distance : str
        As in `from_class_means`.
    splits : int
        Number of random splits.
    seed : int

    Raises
    ------
    ValueError
        If a class has fewer than 2 images.
    """
    rows = torch.as_tensor(features).to(torch.float64)
    labels = np.asarray(class_index)
    members = [np.flatnonzero(labels == index) for index in range(len(classes))]
    if few := [name for name, rows_of in zip(classes, members, strict=True) if len(rows_of) < 2]:
        raise ValueError(f"class {listed(few)} has fewer than 2 images: no halves")
    rng = np.random.default_rng(seed)
    for _ in range(splits):
        halves: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
        for rows_of in members:
            order = rng.permutation(rows_of)
            size = len(order) // 2
            for half, chosen in zip(halves, (order[:size], order[size : 2 * size]), strict=True):
                half.append(rows[torch.from_numpy(chosen)].mean(0))
        first, second = (from_class_means(torch.stack(half), classes, distance) for half in halves)
        yield first, second


def split_half_reliability(
    features: ArrayLike | torch.Tensor,
    class_index: ArrayLike,
    classes: Sequence[str],
    distance: str = "correlation",
    splits: int = 20,
    seed: int = 0,
) -> float:
    """Reliability of an RDM: Pearson's r between halves, mean over splits, Spearman-Brown corrected.

    Parameters are those of `split_half_rdms`. With r the mean correlation of two half RDMs, the
    reliability of the RDM of all images is 2 r / (1 + r) (Spearman 1910, Brown 1910).
    """
    pairs = split_half_rdms(features, class_index, classes, distance, splits, seed)
    r = float(np.mean([np.corrcoef(first.values, second.values)[0, 1] for first, second in pairs]))
    return 2 * r / (1 + r)


def noise_ceiling(reliability: float) -> float:
    """Greatest simple correlation that a perfect model could have with an RDM of this reliability.

    Its square root (Spearman 1904: a correlation is attenuated by the square root of each reliability; a model has
    no noise); 0 where halves do not agree at all. It holds for simple correlations, not for partial ones.
    Spearman and Brown take the errors of distances as additive. Where class means are so noisy that errors
    multiply, it is too low: simulated with 8 images a class, noise 2.5 times the spread of the classes, .52 where
    .58 is reached.
    """
    return math.sqrt(max(reliability, 0.0)) if math.isfinite(reliability) else math.nan


def reliability_table(
    features: ArrayLike | torch.Tensor,
    class_index: ArrayLike,
    classes: Sequence[str],
    distance: str = "correlation",
    splits: int = 20,
    seed: int = 0,
) -> pd.DataFrame:
    """Reliability of an RDM and the noise ceiling that follows: a row of ``tables/noise_ceiling.csv``.

    Parameters are those of `split_half_rdms`.

    Returns
    -------
    DataFrame
        One row: ``reliability, ceiling``; both NaN, with a RuntimeWarning that says why, where a class has fewer than
        2 images.
    """
    import pandas as pd

    counts = np.bincount(np.asarray(class_index), minlength=len(classes))
    reliability = math.nan
    if few := int((counts < 2).sum()):
        warnings.warn(
            f"no noise ceiling (NaN): {few} of {len(classes)} classes have one image, which has no halves",
            RuntimeWarning,
            stacklevel=2,
        )
    else:
        reliability = split_half_reliability(features, class_index, classes, distance, splits, seed)
    return pd.DataFrame({"reliability": [reliability], "ceiling": [noise_ceiling(reliability)]})
