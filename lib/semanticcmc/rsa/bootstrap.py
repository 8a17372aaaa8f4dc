"""Inference around Mantel tests: bootstrap intervals over classes, comparison of networks.

A permutation test asks whether a correlation is 0. How far it is from 0, and how well it is known, the
bootstrap over classes says: classes are drawn with replacement, and pairs of a class with itself, which a
sample holds though no experiment measured them, are dropped.

What an interval generalises over: classes, drawn as these were from all that there might be. Another sample has
other classes, and as many of each category as it happens to have; where these numbers are fixed by design, intervals
are wide enough or too wide. It says nothing about other images of the same classes, other seeds or other films. An
interval that spans 0 is never evidence that there is no effect: it holds effects, too.

Bootstrap samples vary more than samples of classes do, so only the shape of an interval is theirs; its width is brought
to that of samples of classes (`interval_width`). To first order the error of a correlation is the mean over pairs of

    g_ij = a_i + a_j + d_ij,

with g_ij the influence of a pair, a_i what class i brings to all its pairs, and d_ij the rest, called degenerate
(Hoeffding 1948). Over samples of n classes its variance is V = V_lin + V_deg, with V_lin = 4 var(a) / n and
V_deg = 2 var(d) / (n (n - 1)). Resampling classes counts the degenerate part too often: the a_i are means of n - 1
influences, whose d_ij stay in them as noise (2 V_deg), and how often two classes are drawn together varies by itself
(V_deg). So

    V_jackknife = V_lin + 2 V_deg,    V_bootstrap = V_lin + 3 V_deg

(Efron and Stein 1981; Arcones and Gine 1992). For models of same and different categories V_deg is a third of V or
more, and without an effect all of it: plain percentiles of the bootstrap are then up to sqrt(3) times too wide. For
graded models V_deg is about a tenth.

95 % intervals of samples of 30, 48 and 200 classes (``validation/intervals.csv``) cover 93.5-95.6 % for graded models
(percentiles: 93.0-95.4 %), 94.1-96.5 % (94.5-99.6 %) for categories, 97.4-98.0 % (99.8-100 %) for those alike in size
without an effect, and 93.5-99.9 % where numbers of classes are fixed by design.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.special import ndtri, stdtrit  # the quantiles of scipy.stats, which takes seconds to import

from semanticcmc.rsa.permutation import partial_correlation
from semanticcmc.rsa.standardise import Controls, Matrix, Standardised, residual, standardise_table
from semanticcmc.rsa.threads import threads_for

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

_BLOCK_PAIRS = 1024  # of classes, and samples, at a time: what is made of them stays in the cache
SECONDS = 5e-11  # a number of a model in a sample, on one core
CONSTANT = 1e-12  # share of its variance that a matrix must have in a sample; the rest is rounding
CERTAIN = 1 - 1e-15  # greatest correlation that Fisher's transformation takes


def bootstrap_counts(n: int, samples: int, seed: int) -> torch.Tensor:
    """How often each bootstrap sample holds each of n classes, float64, shape (samples, n)."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.multinomial(n, np.full(n, 1 / n), size=samples).astype(np.float64))


def bootstrap_correlations(data: Standardised, counts: torch.Tensor) -> torch.Tensor:
    """(Partial) correlations of each RDM with each model in each bootstrap sample of the classes.

    A pair of two classes that a sample, a row of `counts`, (B, n), from `bootstrap_counts`, holds a and b times counts
    a b times in it. So each sample is a correlation weighted by these products; ranks (Spearman) stay. Returned is a
    tensor of float64, shape (M, K, B): NaN where a sample leaves a matrix constant or collinear with its control.
    """
    n, (first, second), found = data.x.shape[-1], _multiplied(data), []
    for some in counts.to(data.x).split(_BLOCK_PAIRS):
        sums, by_class = torch.zeros(()), some.T.contiguous()
        for rows in torch.arange(n - 1).split(max(1, 2 * _BLOCK_PAIRS // n)):  # their part above the diagonal
            alone = torch.cat([torch.cat([of[:, row, row + 1 :] for of in (data.x, data.moving)]) for row in rows], 1)
            terms = torch.cat([alone, alone[first].mul_(alone[second])])
            weights = torch.cat([by_class[row] * by_class[row + 1 :] for row in rows])
            sums = sums.addmm_(terms, weights) if sums.ndim else terms @ weights
        found.append(_correlations(data, sums / ((some.sum(1) ** 2 - some.square().sum(1)) / 2)))
    return torch.cat(found, -1)


def all_and_left_out(data: Standardised) -> tuple[torch.Tensor, torch.Tensor]:
    """Correlations of all n classes, (M, K), and with each class left out, (M, K, n)."""
    n, (first, second), own = data.x.shape[-1], _multiplied(data), []
    for row in range(n):
        alone = torch.cat([data.x[:, row], data.moving[:, row]])
        own.append(torch.cat([alone.sum(1), (alone @ alone.T)[first, second]]))
    brought = torch.stack(own, 1)  # by the pairs of each class to the sums over all
    sums = brought.sum(1, keepdim=True) / 2
    means = torch.cat([sums / (n * (n - 1) / 2), (sums - brought) / ((n - 1) * (n - 2) / 2)], 1)
    found = _correlations(data, means)
    return found[..., 0], found[..., 1:]


def _multiplied(data: Standardised) -> list[list[int]]:
    """Places, among RDMs, models and controls, of two matrices multiplied: squares, xy, zy, xz and zz of each set."""
    models, every = len(data.x) + len(data.y), range(len(data.x) + len(data.moving))
    x, y, z = every[: len(data.x)], every[len(data.x) : models], every[models:]
    pairs = [*zip(every, every, strict=True), *itertools.product(x, y), *itertools.product(z, y)]
    pairs += [(rdm, z[one]) for rdm, own in enumerate(data.own) for one in data.sets[own]]
    pairs += [(z[one], z[other]) for of_set in data.sets for one, other in itertools.product(of_set, of_set)]
    return [list(places) for places in zip(*pairs, strict=True)]


def _correlations(data: Standardised, means: torch.Tensor) -> torch.Tensor:
    """(Partial) correlations (M, K, S) from means over pairs, (T, S): of matrices, then of those `_multiplied`."""
    n, matrices, models = data.x.shape[-1], len(data.x) + len(data.moving), len(data.y)
    (first, second), alone = _multiplied(data), means[:matrices]
    covariances = means[matrices:] - alone[first] * alone[second]
    variances = covariances[:matrices]  # of all pairs 2 / (n (n - 1))
    variances = torch.where(variances > CONSTANT * 2 / (n * (n - 1)), variances, torch.nan)
    r = covariances / (variances[first] * variances[second]).sqrt()
    sizes = [len(data.x) * models, len(data.z) * models, *(len(data.sets[own]) for own in data.own)]
    r_xy, r_zy, *rest = r[matrices:].split(sizes + [len(of_set) ** 2 for of_set in data.sets])
    r_xy, r_zy = (one.view(-1, models, one.shape[-1]) for one in (r_xy, r_zy))
    if not data.own:
        return r_xy
    partial = torch.empty_like(r_xy)
    for rdm, own in enumerate(data.own):
        of_set = list(data.sets[own])
        r_xz, r_yz = rest[rdm][:, None], r_zy[of_set]
        if len(of_set) > 1:  # controls do not correlate in the whole, but in a sample
            r_xz, r_yz = _whitened(rest[len(data.x) + own].unflatten(0, (len(of_set), -1)), r_xz, r_yz)
        partial[rdm] = partial_correlation(r_xy[rdm], r_xz, r_yz)
    return partial


def _whitened(r_zz: torch.Tensor, *r: torch.Tensor) -> list[torch.Tensor]:
    """Correlations (k, ..., S) with k controls as those with controls that do not correlate; NaN where two are one."""
    lower, failed = torch.linalg.cholesky_ex(r_zz.nan_to_num(0.0).permute(2, 0, 1))
    lower[(failed > 0) | r_zz.isnan().any(0).any(0)] = math.nan
    return [torch.linalg.solve_triangular(lower, one.permute(2, 0, 1), upper=False).permute(1, 2, 0) for one in r]


def bootstrap_interval(correlations: torch.Tensor, confidence: float) -> NDArray[np.float64]:
    """Percentile interval of correlations (..., B) at a level such as 0.95: shape (2, ...), NaN left out."""
    values = correlations.cpu().numpy()
    interval = np.full((2, *values.shape[:-1]), np.nan)
    some = ~np.isnan(values).all(axis=-1)
    interval[:, some] = np.nanquantile(values[some], [(1 - confidence) / 2, (1 + confidence) / 2], axis=-1)
    return interval


def intervals(data: Standardised, samples: int, confidence: float, seed: int) -> NDArray[np.float64]:
    """Bootstrap intervals over classes of what `mantel.mantel_table` tests: lower and upper limits, (2, M, K).

    Partial r, where there is a control, is computed anew in each of so many `samples` (0: NaN); Spearman's is that of
    the ranks in the whole RDM. On Fisher's scale (z = artanh r) limits are ``z + w (q - z)``, with q the samples'
    quantiles and w the factor that brings their spread to that of samples of classes.
    """
    if samples == 0:
        return np.full((2, len(data.x), len(data.y)), np.nan)
    counts = bootstrap_counts(data.x.shape[-1], samples, seed)
    with threads_for(SECONDS * samples * len(data.x) * data.moving.numel()):
        return corrected_interval(data, bootstrap_correlations(data, counts), confidence)


def corrected_interval(data: Standardised, found: torch.Tensor, confidence: float) -> NDArray[np.float64]:
    """`intervals`, from what `bootstrap_correlations` found of the same data."""
    r, left_out = all_and_left_out(data)
    z, resampled, jackknife = (a.clamp(-CERTAIN, CERTAIN).atanh() for a in (r, found, left_out))
    degenerate = degenerate_variances(data) * z.cosh() ** 4  # the slope of artanh is 1 / (1 - r^2) = cosh^2 z
    width = interval_width(resampled, jackknife, degenerate, confidence)
    limits = torch.from_numpy(bootstrap_interval(resampled, confidence)).to(z)
    return np.tanh((z + width * (limits - z)).cpu().numpy())


def pair_influences(x: torch.Tensor, y: torch.Tensor, z: torch.Tensor | None = None) -> torch.Tensor:
    """Influence of each pair of classes on the (partial) correlation of x and y, 0 on the diagonal.

    With x and y standardised over pairs, ``x_ij y_ij - r (x_ij^2 + y_ij^2) / 2`` (Devlin, Gnanadesikan and Kettenring
    1975). For a partial correlation x and y are what a regression on z leaves of them: how the errors of its slopes
    change r is of second order. Returned is a tensor of float64, shape (n, n): NaN where z is collinear with x or y.
    All are as `standardise.standardise` gives them, (n, n), or several controls, (k, n, n), `standardise.controlled`.
    """
    pairs = len(x) * (len(x) - 1) / 2
    if z is not None:
        x, y = (residual(matrix, z) for matrix in (x, y))
    r = (x * y).sum() / 2
    return pairs * (x * y - r / 2 * (x.square() + y.square()))


def degenerate_variance(influences: torch.Tensor) -> torch.Tensor:
    """V_deg (see the module): the part of the variance of a correlation that no sum over classes explains.

    Of influences (n, n) from `pair_influences`, or the difference of two of them, n at least 4: ``s^2 / P`` with
    P = n (n - 1) / 2 pairs, and s^2 the mean square, on n (n - 3) / 2 degrees of freedom, of what the least squares
    fit of a_i + a_j leaves of them.
    """
    n = len(influences)
    a = influences.sum(1) / (n - 2)  # their mean over pairs is 0
    rest = (influences - a[:, None] - a).fill_diagonal_(0)
    squares = rest.square().sum() / 2
    return squares / (n * (n - 3) / 2) / (n * (n - 1) / 2)


def degenerate_variances(data: Standardised, minus: Sequence[tuple[int, int]] = ()) -> torch.Tensor:
    """`degenerate_variance` of the (partial) correlation of each RDM with each model, shape (M, K).

    With `minus`, pairs of RDMs, that of the differences of their correlations instead: shape (len(minus), K).
    """
    n, x, ys, own = data.x.shape[-1], data.x, data.y[None], list(data.own) or [0] * len(data.x)
    if data.own:
        controls = [data.z[list(of_set)] for of_set in data.sets]
        x = torch.stack([residual(one, controls[of]) for one, of in zip(x, own, strict=True)])
        ys = torch.stack([torch.stack([residual(y, z) for y in data.y]) for z in controls])
    r = torch.stack([torch.einsum("ij,kij->k", one, ys[of]) for one, of in zip(x, own, strict=True)]) / 2
    squares = x.new_zeros(len(minus) or len(x), ys.shape[1])
    by_class = x.new_empty(*squares.shape, n)
    for rows in torch.arange(n).split(max(1, 64 * _BLOCK_PAIRS // (n * len(x)))):
        u = x[:, rows]
        half = u.square() / 2
        for model in range(ys.shape[1]):  # as `pair_influences`, of one over all pairs
            v, slope = ys[:, model, rows][own], r[:, model, None, None]
            influences = (u - slope / 2 * v).mul_(v).sub_(slope * half)
            if minus:
                influences = influences[[i for i, _ in minus]] - influences[[j for _, j in minus]]
            squares[:, model] += influences.square().sum((1, 2))
            by_class[:, model, rows] = influences.sum(2)
    rest = squares / 2 - by_class.square().sum(-1) / (n - 2)  # what the fit of a_i + a_j leaves
    return rest.clamp(min=0) * (n - 1) / (n - 3)


def class_variance(left_out: torch.Tensor, degenerate: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Variance of a statistic over samples of classes, and how many degrees of freedom it is known with.

    ``V = max(V_jackknife - V_deg, V_deg)``, from the statistic without each class, (..., n), and V_deg, (...). Its
    degrees of freedom are those of a mean of n squares of kurtosis k (Satterthwaite 1946), ``2 n / (k - 1)``, at most
    n - 1: with few classes, or a few that weigh much, V itself is not well known.
    """
    n = left_out.shape[-1]
    deviations = left_out - left_out.nanmean(-1, keepdim=True)
    jackknife = (n - 1) * deviations.square().nanmean(-1)
    kurtosis = deviations.pow(4).nanmean(-1) / deviations.square().nanmean(-1).square()
    freedom = (2 * n / (kurtosis - 1)).nan_to_num(nan=n - 1.0).clamp(1, n - 1)
    return torch.maximum(jackknife - degenerate, degenerate), freedom


def interval_width(
    resampled: torch.Tensor, left_out: torch.Tensor, degenerate: torch.Tensor, confidence: float
) -> torch.Tensor:
    """Factor that brings the deviations of bootstrap samples to those of samples of classes.

    ``sqrt(V / V_bootstrap)``, with V from `class_variance`, times the ratio of Student's quantile to the normal one; 1
    where the samples `resampled`, (..., B), do not vary. NaN among them is left out.
    """
    variance, freedom = class_variance(left_out, degenerate)
    spread = (resampled - resampled.nanmean(-1, keepdim=True)).square().nanmean(-1)
    quantile = stdtrit(freedom.cpu().numpy(), 0.5 + confidence / 2) / ndtri(0.5 + confidence / 2)
    width = (variance / spread).sqrt() * torch.as_tensor(quantile).to(variance)
    return torch.where(spread > CONSTANT**2, width, 1.0)


def compare(
    rdms: Mapping[Any, Matrix],
    models: Mapping[Any, Matrix],
    control: Controls | Mapping[Any, Controls] | None = None,
    samples: int = 10_000,
    confidence: float = 0.95,
    method: str = "pearson",
    seed: int = 0,
    device: str | torch.device | None = None,
) -> pd.DataFrame:
    """Differences of the (partial) correlations of each two RDMs with each model, by the paired bootstrap.

    Both correlations come from the same bootstrap samples of the classes; their differences are brought to the
    spread of samples of classes as in `intervals`, without Fisher's transformation. A permutation test
    cannot answer this question: permuting a model's classes sets both correlations to 0, not their difference.

    Parameters
    ----------
    rdms, models, control, samples, confidence, method, seed, device
        As in `mantel.mantel_table`, whose `bootstrap_samples` are `samples`; two RDMs or more.

    Returns
    -------
    DataFrame
        One row a pair of RDMs and model: ``first, second, model, difference`` (first minus second), ``ci_low,
        ci_high, p`` (two-sided: twice the smaller share of samples on either side of 0, at least
        2 / (samples + 1)), ``samples``. As with an interval, a large p is no evidence that there is no difference.
    """
    import pandas as pd

    data = standardise_table(rdms, models, control, method, device)
    with threads_for(SECONDS * samples * len(data.x) * data.moving.numel()):
        pairs = list(itertools.combinations(range(len(rdms)), 2))
        once, left_out = all_and_left_out(data)
        found = bootstrap_correlations(data, bootstrap_counts(data.x.shape[-1], samples, seed))
        names, rows = list(rdms), []
        for (i, j), degenerate in zip(pairs, degenerate_variances(data, pairs), strict=True):
            observed, difference = once[i] - once[j], found[i] - found[j]
            width = interval_width(difference, left_out[i] - left_out[j], degenerate, confidence)
            difference = observed[:, None] + width[:, None] * (difference - observed[:, None])
            low, high = bootstrap_interval(difference, confidence)
            tail = torch.minimum((difference <= 0).sum(-1), (difference >= 0).sum(-1))
            size = (~difference.isnan()).sum(-1)
            p = torch.where(size > 0, (2 * (tail + 1).double() / (size + 1)).clamp(max=1), torch.nan)
            values = zip(*(one.tolist() for one in (observed, low, high, p, size)), strict=True)
            rows += [(names[i], names[j], model, *of_model) for model, of_model in zip(models, values, strict=True)]
    columns = ["first", "second", "model", "difference", "ci_low", "ci_high", "p", "samples"]
    return pd.DataFrame(rows, columns=columns)
