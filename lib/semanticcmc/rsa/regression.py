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
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.special import stdtrit

from semanticcmc.rsa.rdm import FEWEST_CLASSES
from semanticcmc.rsa.standardise import Matrix, standardise_table

if TYPE_CHECKING:
    import pandas as pd


def commonality(
    rdms: Mapping[Any, Matrix],
    models: Mapping[str, Matrix],
    folds: int = 4,
    repeats: int = 25,
    method: str = "pearson",
    confidence: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Share of each RDM's variance that each model explains alone, that each set of them shares, and that all explain.

    Raises ValueError as `mantel.mantel`; for a constant model, fewer than 2 folds, or folds of fewer than 4 classes.

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
    confidence : float
        Level of the intervals, between 0 and 1.

    Returns
    -------
    DataFrame
        One row an RDM and part: ``rdm``; ``part``, which is a model (what it alone explains), several joined by
        `` & `` (what they share), or ``all``; ``share`` of the RDM's variance, fitted; ``share_cv``, cross-validated,
        with its jackknife interval over classes ``ci_low, ci_high``. The parts sum to ``all``. NaN, with a
        RuntimeWarning, for an RDM that is NaN or constant.
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
    values = torch.cat([1 - torch.eye(n, dtype=torch.float64)[None], data.y, data.x.nan_to_num()])
    rng = np.random.default_rng(seed)
    fold = torch.from_numpy(np.stack([rng.permutation(np.arange(n) % folds) for _ in range(repeats)]))
    sets = [chosen for size in range(count + 1) for chosen in itertools.combinations(range(count), size)]
    whole = _products(values, torch.ones(n, dtype=torch.bool))
    fitted = _errors(whole, whole, sets)
    shares = torch.stack([1 - fitted / fitted[0], torch.zeros_like(fitted)])
    for of_repeat in fold:
        errors = torch.zeros_like(fitted)
        for held_out in (of_repeat == k for k in range(folds)):
            errors += _errors(_products(values, ~held_out), _products(values, held_out), sets)
        shares[1] += (1 - errors / errors[0]) / repeats
    shares.masked_fill_(data.x[:, 0, 1].isnan()[:, None], torch.nan)
    explained = dict(zip(sets, shares.transpose(0, 1), strict=True))  # (2, RDMs, 1 + n)
    every = sets[-1]
    parts = {" & ".join(names[k] for k in chosen): _common(explained, chosen, every) for chosen in sets[1:]}
    rows = []
    for place, rdm in enumerate(rdms):
        for part, found in (parts | {"all": explained[every]}).items():
            share, share_cv = map(float, found[:, place, 0])
            rows.append((rdm, part, share, share_cv, *_jackknife(found[1, place], confidence)))
    return pd.DataFrame(rows, columns=["rdm", "part", "share", "share_cv", "ci_low", "ci_high"])


def _products(values: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """Sums of products over the pairs of some classes: of all n, then without each, (1 + n, V, V).

    `values` are (V, n, n), 0 on their diagonals: ones, the models, the RDMs; `inside` says which classes, (n,).
    """
    rows = values[:, inside][:, :, inside].transpose(0, 1)  # (classes, V, classes)
    own = torch.zeros(len(inside), len(values), len(values), dtype=torch.float64)
    own[inside] = rows @ rows.mT  # of the pairs that a class is in
    total = own.sum(0, keepdim=True) / 2
    return torch.cat([total, total - own])


def _errors(train: torch.Tensor, test: torch.Tensor, sets: list[tuple[int, ...]]) -> torch.Tensor:
    """Squared errors (sets, RDMs, 1 + n) in `test` of regressions on each set of models fitted to `train`.

    Both are sums of products from `_products`.
    """
    given = 1 + max(map(len, sets))
    found = []
    for chosen in sets:
        rows = [0, *(1 + k for k in chosen)]
        slopes = torch.linalg.pinv(train[:, rows][:, :, rows], hermitian=True) @ train[:, rows, given:]
        predicted = (slopes * (test[:, rows][:, :, rows] @ slopes)).sum(1)
        squares = test.diagonal(dim1=1, dim2=2)[:, given:]
        found.append((squares - 2 * (slopes * test[:, rows, given:]).sum(1) + predicted).T)
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


def _jackknife(found: torch.Tensor, confidence: float) -> tuple[float, float]:
    """Student's interval over classes of a statistic of all n, and without each: (1 + n,).

    The jackknife counts what no class brings to its pairs twice (see `bootstrap`): intervals are wide enough, or wider.
    """
    left_out, n = found[1:], len(found) - 1
    error = math.sqrt((n - 1) / n * float((left_out - left_out.mean()).square().sum()))
    half = float(stdtrit(n - 1, 0.5 + confidence / 2)) * error
    return float(found[0]) - half, float(found[0]) + half


def cka(rdms: Mapping[Any, Matrix], models: Mapping[Any, Matrix], confidence: float = 0.95) -> pd.DataFrame:
    """Linear centred kernel alignment of each two representations, without bias, from their RDMs.

    Of features whose squared Euclidean distances the RDMs hold, and so too of patterns scaled to mean 0 and length 1,
    whose correlation distance is half of that. HSIC is estimated without bias (Song et al. 2012; Nguyen, Raghu and
    Kornblith 2021): between unrelated representations it is 0 on average, however many features they have. Centring
    that leaves the diagonal out (Szekely and Rizzo 2014) takes the difference between kernel and distance away.

    Parameters
    ----------
    rdms, models, confidence
        As of `commonality`; Euclidean distances must be squared first.

    Returns
    -------
    DataFrame
        ``rdm, model, cka``, and its jackknife interval over classes ``ci_low, ci_high``. CKA is 1 for the same
        representation but for rotation, shift and scale; NaN, with a RuntimeWarning, if one is NaN or constant.
    """
    import pandas as pd

    data = standardise_table(rdms, models)
    rows = []
    for (rdm, x), (model, y) in itertools.product(zip(rdms, data.x, strict=True), zip(models, data.y, strict=True)):
        xx, xy, yy = (_hsic(a, b) for a, b in ((x, x), (x, y), (y, y)))
        found = xy / (xx * yy).sqrt()
        rows.append((rdm, model, float(found[0]), *_jackknife(found, confidence)))
    return pd.DataFrame(rows, columns=["rdm", "model", "cka", "ci_low", "ci_high"])


def _hsic(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """HSIC without bias, times n (n - 3): of all n classes and, with theirs, without each: (1 + n,).

    The product of two matrices centred with their diagonals left out, in sums of their entries and rows.
    """
    n, own, a, b = len(x), (x * y).sum(1), x.sum(1), y.sum(1)
    sizes = torch.tensor([n, *[n - 1] * n], dtype=torch.float64)
    rows, totals = a @ b, a.sum() * b.sum()
    products = torch.cat([own.sum()[None], own.sum() - 2 * own])
    rows = torch.cat([rows[None], rows - a * b - x @ b - y @ a + own])
    totals = torch.cat([totals[None], (a.sum() - 2 * a) * (b.sum() - 2 * b)])
    return products - 2 * rows / (sizes - 2) + totals / ((sizes - 1) * (sizes - 2))
