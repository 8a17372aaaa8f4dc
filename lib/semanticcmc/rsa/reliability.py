"""How well an RDM is known: split halves of the images, and the ceiling that noise sets to a correlation."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from semanticcmc.rsa.arrays import as_tensor
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

    Raises ValueError if a class has fewer than 2 images.

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
    """
    rows = as_tensor(features, "features").to(torch.float64)
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
        One row, both NaN, with a RuntimeWarning that says why, where a class has fewer than 2 images:
        ``reliability`` of the RDM of all images, 2 r / (1 + r) with r the mean over splits of Pearson's correlation
        of the two halves (Spearman 1910, Brown 1910), and ``ceiling``, the greatest simple correlation that a perfect
        model could have with the RDM: the square root of its reliability (Spearman 1904: a correlation is attenuated
        by the square root of each reliability; a model has no noise), 0 where halves do not agree at all.

    Notes
    -----
    The ceiling holds for simple correlations, not for partial ones. Spearman and Brown take the errors of distances
    as additive. Where class means are so noisy that errors multiply, the ceiling is too low: simulated with 8 images
    a class, noise 2.5 times the spread of the classes, .52 where .58 is reached.
    """
    import pandas as pd

    reliability = math.nan
    if few := int((np.bincount(np.asarray(class_index), minlength=len(classes)) < 2).sum()):
        warnings.warn(
            f"no noise ceiling (NaN): {few} of {len(classes)} classes have one image, which has no halves",
            RuntimeWarning,
            stacklevel=2,
        )
    else:
        pairs = split_half_rdms(features, class_index, classes, distance, splits, seed)
        r = float(np.mean([np.corrcoef(first.values, second.values)[0, 1] for first, second in pairs]))
        reliability = 2 * r / (1 + r)
    return pd.DataFrame({"reliability": [reliability], "ceiling": [np.sqrt(np.maximum(reliability, 0))]})
