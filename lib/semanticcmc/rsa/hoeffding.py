"""How a (partial) correlation of RDMs varies over samples of classes, and how wide an interval must be.

A correlation over pairs of classes is a statistic of second order. To first order its error is the mean over pairs of

    g_ij = a_i + a_j + d_ij,

with g_ij the influence of a pair, a_i what class i brings to all its pairs, and d_ij the rest, called degenerate
(Hoeffding 1948). Over samples of n classes its variance is V = V_lin + V_deg, with V_lin = 4 var(a) / n and
V_deg = 2 var(d) / (n (n - 1)). Resampling classes counts the degenerate part too often: the a_i are means of n - 1
influences, whose d_ij stay in them as noise (2 V_deg), and how often two classes are drawn together varies by itself
(V_deg). So

    V_jackknife = V_lin + 2 V_deg,    V_bootstrap = V_lin + 3 V_deg

(Efron and Stein 1981; Arcones and Gine 1992). For models of same and different categories V_deg is a third of V or
more, and without an effect all of it: plain percentiles of the bootstrap are then up to sqrt(3) times too wide. For
graded models V_deg is about a tenth. Measured, with what intervals cover: ``validation/intervals.csv``.
"""

from __future__ import annotations

import torch
from scipy.special import ndtri, stdtrit  # the quantiles of scipy.stats, which takes seconds to import

from semanticcmc.rsa.permutation import residual
from semanticcmc.rsa.standardise import Standardised

CONSTANT = 1e-24  # least variance of bootstrap samples to divide by


def pair_influences(x: torch.Tensor, y: torch.Tensor, z: torch.Tensor | None = None) -> torch.Tensor:
    """Influence of each pair of classes on the (partial) correlation of x and y, 0 on the diagonal.

    With x and y standardised over pairs, ``x_ij y_ij - r (x_ij^2 + y_ij^2) / 2`` (Devlin, Gnanadesikan and Kettenring
    1975). For a partial correlation x and y are what a regression on z leaves of them: how the errors of its slopes
    change r is of second order.

    Parameters
    ----------
    x, y, z : tensors, shape (n, n)
        As `standardise.standardise` gives them.

    Returns
    -------
    tensor of float64, shape (n, n)
        NaN where z is collinear with x or y.
    """
    pairs = len(x) * (len(x) - 1) / 2
    if z is not None:
        x, y = (residual(matrix, z) for matrix in (x, y))
    r = (x * y).sum() / 2
    return pairs * (x * y - r / 2 * (x.square() + y.square()))


def degenerate_variance(influences: torch.Tensor) -> torch.Tensor:
    """V_deg (see above): the part of the variance of a correlation that no sum over classes explains.

    Of influences (n, n) from `pair_influences`, or the difference of two of them, n at least 4: ``s^2 / P`` with
    P = n (n - 1) / 2 pairs, and s^2 the mean square, on n (n - 3) / 2 degrees of freedom, of what the least squares
    fit of a_i + a_j leaves of them.
    """
    n = len(influences)
    a = influences.sum(1) / (n - 2)  # their mean over pairs is 0
    rest = (influences - a[:, None] - a).fill_diagonal_(0)
    squares = rest.square().sum() / 2
    return squares / (n * (n - 3) / 2) / (n * (n - 1) / 2)


def degenerate_variances(data: Standardised) -> torch.Tensor:
    """`degenerate_variance` of the (partial) correlation of each RDM with each model, shape (M, K)."""
    variances = [
        degenerate_variance(pair_influences(x, y, data.control(i))) for i, x in enumerate(data.x) for y in data.y
    ]
    return torch.stack(variances).view(len(data.x), len(data.y))


def interval_width(
    resampled: torch.Tensor, left_out: torch.Tensor, degenerate: torch.Tensor, confidence: float
) -> torch.Tensor:
    """Factor that brings the deviations of bootstrap samples to those of samples of classes.

    ``sqrt(V / V_bootstrap)``, with ``V = max(V_jackknife - V_deg, V_deg)``, times the ratio of Student's quantile to
    the normal one. Its degrees of freedom are those of a mean of n squares of kurtosis k (Satterthwaite 1946),
    ``2 n / (k - 1)``, at most n - 1: with few classes, or a few that weigh much, V itself is not well known.

    Parameters
    ----------
    resampled : tensor, shape (..., B)
        A statistic in bootstrap samples; NaN is left out.
    left_out : tensor, shape (..., n)
        It without each class.
    degenerate : tensor, shape (...)
        V_deg.

    Returns
    -------
    tensor, shape (...)
        1 where the samples do not vary.
    """
    n = left_out.shape[-1]
    deviations = left_out - left_out.nanmean(-1, keepdim=True)
    jackknife = (n - 1) * deviations.square().nanmean(-1)
    variance = torch.maximum(jackknife - degenerate, degenerate)
    spread = (resampled - resampled.nanmean(-1, keepdim=True)).square().nanmean(-1)
    kurtosis = deviations.pow(4).nanmean(-1) / deviations.square().nanmean(-1).square()
    freedom = (2 * n / (kurtosis - 1)).nan_to_num(nan=n - 1.0).clamp(1, n - 1)
    quantile = stdtrit(freedom.cpu().numpy(), 0.5 + confidence / 2) / ndtri(0.5 + confidence / 2)
    width = (variance / spread).sqrt() * torch.as_tensor(quantile).to(variance)
    return torch.where(spread > CONSTANT, width, 1.0)
