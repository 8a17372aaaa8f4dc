"""How much of an RDM several models explain: each alone, and what they share; cross-validated over classes.

A regression of distances on those of several models (Lichstein 2007) explains the share R^2 of their variance. Of two
models that are alike, such as category and association, neither R^2 nor a partial correlation says what they explain
in common. Commonality analysis (Newton and Spurrell 1967; Nimon and Reio 2011) parts R^2 into what each set of models
shares and no other model explains. A common part can be negative, where one model hides what another explains.

Fitted R^2 grows with every model. Cross-validated, a regression is fitted to the pairs among some classes, and predicts
the pairs among the others, so that no class is in both. It is 1 - (squared errors) / (squared errors of the mean of the
fitted pairs), and below 0 where a model predicts less than that mean.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from semanticcmc.rsa.rdm import FEWEST_CLASSES
from semanticcmc.rsa.standardise import Matrix, standardise, standardise_table

if TYPE_CHECKING:
    import pandas as pd


def commonality(
    rdms: Mapping[Any, Matrix],
    models: Mapping[str, Matrix],
    folds: int = 4,
    repeats: int = 25,
    method: str = "pearson",
    seed: int = 0,
) -> pd.DataFrame:
    """Share of each RDM's variance that each model explains alone, that each set of them shares, and that all explain.

    Parameters
    ----------
    rdms, models : mapping of name to RDM, array, tensor or DataFrame
        All of the same classes (see `mantel.mantel`).
    folds : int
        Groups of classes, each in turn predicted from the others; at least 4 classes in each.
    repeats : int
        Random partitions into folds, the same for all RDMs and models, over which cross-validated shares are averaged.
    method : {'pearson', 'spearman'}
        'spearman' puts ranks in the whole RDM in place of the distances.

    Returns
    -------
    DataFrame
        One row an RDM and part: ``rdm``; ``part``, which is a model (what it alone explains), several joined by
        `` & `` (what they share), or ``all``; ``share`` of the RDM's variance, fitted, and ``share_cv``,
        cross-validated. The parts sum to ``all``. NaN, with a RuntimeWarning, for an RDM that is NaN or constant.

    Raises
    ------
    ValueError
        As `mantel.mantel` does; for a constant model, fewer than 2 folds, or folds of fewer than 4 classes.
    """
    import pandas as pd

    data = standardise_table(rdms, models, None, method)
    n, names, count = data.x.shape[-1], list(models), len(models)
    if constant := [name for name, y in zip(names, data.y, strict=True) if bool(y.isnan().any())]:
        raise ValueError(f"model {', '.join(constant)}: constant or NaN, which explains nothing; leave it out")
    if folds < 2 or n // folds < FEWEST_CLASSES:
        raise ValueError(
            f"{folds} folds of {n} classes: 2 folds or more, of {FEWEST_CLASSES} classes or more each, are needed"
        )
    first, second = torch.triu_indices(n, n, 1)
    x = data.x[:, first, second]
    values = torch.cat([torch.ones(1, len(first), dtype=torch.float64), data.y[:, first, second], x.nan_to_num()])
    rng = np.random.default_rng(seed)
    fold = torch.from_numpy(np.stack([rng.permutation(np.arange(n) % folds) for _ in range(repeats)]))
    sets = [chosen for size in range(count + 1) for chosen in itertools.combinations(range(count), size)]
    errors = torch.zeros(2, len(sets), repeats, len(x), dtype=torch.float64)  # fitted, and cross-validated
    errors[0] = _errors(values, values, sets)[:, None]
    for repeat, k in itertools.product(range(repeats), range(folds)):
        held_out = fold[repeat] == k
        train, test = (inside[first] & inside[second] for inside in (~held_out, held_out))
        errors[1, :, repeat] += _errors(values[:, train], values[:, test], sets)
    shares = (1 - errors / errors[:, :1]).mean(2).masked_fill(x.isnan().any(1), torch.nan)
    explained = dict(zip(sets, shares.transpose(0, 1), strict=True))  # (2, RDMs)
    every = sets[-1]
    parts = {" & ".join(names[k] for k in chosen): _common(explained, chosen, every) for chosen in sets[1:]}
    rows = [
        (rdm, part, *map(float, found[:, place]))
        for place, rdm in enumerate(rdms)
        for part, found in (parts | {"all": explained[every]}).items()
    ]
    return pd.DataFrame(rows, columns=["rdm", "part", "share", "share_cv"])


def _errors(train: torch.Tensor, test: torch.Tensor, sets: list[tuple[int, ...]]) -> torch.Tensor:
    """Squared errors (sets, RDMs) in `test` of regressions on each set of models fitted to `train`.

    Both are (1 + models + RDMs, pairs): a row of ones, the models, the RDMs. Sums of products are all that is needed.
    """
    given = 1 + max(map(len, sets))
    fitted, held = train @ train.T, test @ test.T
    found = []
    for chosen in sets:
        rows = [0, *(1 + k for k in chosen)]
        slopes = torch.linalg.pinv(fitted[rows][:, rows], hermitian=True) @ fitted[rows, given:]
        predicted = (slopes * (held[rows][:, rows] @ slopes)).sum(0)
        found.append(held.diagonal()[given:] - 2 * (slopes * held[rows, given:]).sum(0) + predicted)
    return torch.stack(found)


def _common(
    explained: Mapping[tuple[int, ...], torch.Tensor], chosen: tuple[int, ...], every: tuple[int, ...]
) -> torch.Tensor:
    """What the `chosen` models share and no other explains: R^2 by inclusion and exclusion."""
    rest = set(every) - set(chosen)
    total = torch.zeros_like(explained[every])
    for size in range(len(chosen) + 1):
        for some in itertools.combinations(chosen, size):
            total -= (-1) ** size * explained[tuple(sorted(rest | set(some)))]
    return total


def cka(x: Matrix, y: Matrix) -> float:
    """Linear centred kernel alignment of two representations, without bias, from their RDMs.

    Of features whose squared Euclidean distances the RDMs hold, and so too of patterns scaled to mean 0 and length 1,
    whose correlation distance is half of that. HSIC is estimated without bias (Song et al. 2012; Nguyen, Raghu and
    Kornblith 2021): between unrelated representations it is 0 on average, however many features they have. Centring
    that leaves the diagonal out (Szekely and Rizzo 2014) takes the difference between kernel and distance away.

    Parameters
    ----------
    x, y : RDM, or array, tensor or DataFrame of shape (n, n)
        As in `mantel.mantel`; Euclidean distances must be squared first.

    Returns
    -------
    float
        1 for the same representation but for rotation, shift and scale; NaN, with a RuntimeWarning, if one is constant.
    """
    stack = standardise({"x": x, "y": y})  # shift and scale do not matter
    n = stack.shape[-1]
    means = stack.sum(2, keepdim=True) / (n - 2)
    total = stack.sum((1, 2), keepdim=True) / ((n - 1) * (n - 2))
    centred = (stack - means - means.transpose(1, 2) + total) * (1 - torch.eye(n, dtype=torch.float64))
    xx, xy, yy = ((centred[i] * centred[j]).sum() for i, j in ((0, 0), (0, 1), (1, 1)))
    return float(xy / (xx * yy).sqrt())
