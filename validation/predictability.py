"""How well a film's labels predict its labels a lag later, by a regression fitted on other films.

The counterpart of `published_estimators.association_r2`, which is scored on the films it was fitted to, laid end to
end: here the fit is within films and in time order, and R2 that of a film that was left out, above what base rates
predict. `validation.timescales` compares it with `association`, which is nearer the truth; experiments use that one.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from semanticcmc.rsa.threads import threads_for
from semanticcmc.timescales.curves import Curve, TimescalesConfig, film_draws
from semanticcmc.timescales.pairs import LabelPairs

PENALTIES = 10.0 ** np.arange(-3, 3)  # of the ridge, in units of the mean variance of a label
FOLDS = 4  # of the films that a fit is made from, to choose the penalty
LEFT = 1 / 4  # of the correlation at lag 0: what half-lives above the film base rate are fitted down to


def predictability(pairs: LabelPairs, config: TimescalesConfig) -> Curve:
    """Share of the labels' variance a lag later that a ridge regression fitted on other films explains (R2).

    Each label is predicted from the *other* labels at the first moment. For each film the coefficients are fitted on
    all other films, with the penalty that does best when these are split among themselves, then scored on the film: ``1
    - squared errors / squares``, both summed over films and labels. Above the film base rate labels are centred on the
    film's own rates at first and second moments; above the corpus base rate on the rates of the films fitted. `measure`
    "prediction_r2", below 0 where worse than base rates. `decay` is the correlation of predicted with observed labels:
    the root of R2 but for what the penalty and the noise of the coefficients take from R2. Above the film base rate it
    is NaN from the lag on at which less than `LEFT` of it is left: there the sign of a covariance is lost, and noise
    shortens the curve. Bootstrap samples weigh the films' scores; coefficients are not fitted again. The null scores
    the same coefficients on films whose labels are shifted circularly each on its own. Its mean is exact; its variance
    is that of the part that is linear in the film's covariances, twice, since where nothing lasts coefficients are
    noise of the other films, and each pair of films is used twice. NaN where fewer than three films are longer than the
    lag. Half-lives from `decay` are biased by a few per cent, and their intervals, which ignore the coefficients'
    noise, cover less than nominal (validation/timescales_summary.csv).
    """
    shape = (2, len(pairs.lags_s), len(pairs.movies))
    product, predicted, squares, null_mean, null_variance = np.zeros((5, *shape))
    with threads_for(1e-9 * len(pairs.names) ** 3):  # each matrix of labels is inverted
        shifted = [_ShiftedLabels.of(seen) for seen in pairs.presence]
        for k in range(shape[1]):
            films = np.flatnonzero(pairs.count[k] > 0)
            if len(films) < 3:
                continue
            sums = _Sums.of(pairs, k, films)
            total = sums.over(slice(None))
            fold = np.arange(len(films)) % min(FOLDS, len(films))
            penalties = [_penalties(sums, total, fold, level) for level in range(2)]
            for level, (i, film) in itertools.product(range(2), enumerate(films)):
                this = np.arange(len(films)) == i
                gram, cross, rates = sums.fitted(total, this, level)
                slopes = next(_ridge(gram, cross, penalties[level][fold[i]][None]))
                gram, cross, squares[level, k, film], away = sums.scored(this, level, rates)
                product[level, k, film] = (slopes * cross).sum()
                predicted[level, k, film] = (slopes * (gram @ slopes)).sum()
                null_mean[level, k, film], null_variance[level, k, film] = shifted[film].explained(
                    slopes, away, pairs.count[k, film], round(2 * pairs.lags_s[k] / pairs.step_s[film])
                )
    weights = np.concatenate([np.ones((1, shape[-1])), film_draws(shape[-1], config)])
    with np.errstate(divide="ignore", invalid="ignore"):
        both, of_predicted, of_all = (
            np.moveaxis(of_films @ weights.T, -1, 0) for of_films in (product, predicted, squares)
        )
        value, correlation = (2 * both - of_predicted) / of_all, both / np.sqrt(of_predicted * of_all)
        null = null_mean.sum(axis=-1) / of_all[0]
        width = ndtri((1 + config.confidence) / 2) * np.sqrt(2 * null_variance.sum(axis=-1)) / of_all[0]
    correlation[0, 0, np.cumsum(correlation[0, 0] < LEFT * correlation[0, 0, 0]) > 0] = np.nan
    return pairs.curve("prediction_r2", value, correlation, (null - width, null + width))


class _Sums(NamedTuple):
    """Sums over pairs of moments at one lag, a row a film, float64; or over films."""

    moments: np.ndarray  # (films,): number of pairs
    first: np.ndarray  # (films, labels)
    second: np.ndarray  # (films, labels)
    gram: np.ndarray  # (films, labels, labels)
    both: np.ndarray  # (films, labels, labels)
    own_gram: np.ndarray  # the same, centred on each film's own rates
    own_both: np.ndarray

    @classmethod
    def of(cls, pairs: LabelPairs, k: int, films: np.ndarray) -> _Sums:
        """Of some films at lag number k."""
        moments = pairs.count[k, films]
        counts = (pairs.first, pairs.second, pairs.both)
        first, second, both = (values[k, films].astype(np.float64) for values in counts)
        seen = [pairs.presence[film][: int(pairs.count[k, film])] for film in films]
        gram = np.array([film.T @ film for film in seen], dtype=np.float64)
        rates = first / moments[:, None]
        own_gram = gram - rates[:, :, None] * first[:, None, :]
        own_both = both - rates[:, :, None] * second[:, None, :]
        return cls(moments, first, second, gram, both, own_gram, own_both)

    def over(self, films: np.ndarray | slice) -> _Sums:
        """Sums over films."""
        return _Sums(*(values[films].sum(axis=0) for values in self))

    def fitted(
        self, total: _Sums, left_out: np.ndarray, level: int
    ) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
        """Covariances to fit, and the rates they are centred on, of all films but those left out (bool (films,))."""
        rest = _Sums(*(values - part for values, part in zip(total, self.over(left_out), strict=True)))
        rates = rest.first / rest.moments, rest.second / rest.moments
        if level == 0:
            return rest.own_gram, rest.own_both, rates
        return rest.gram - np.outer(rates[0], rest.first), rest.both - np.outer(rates[0], rest.second), rates

    def scored(
        self, chosen: np.ndarray, level: int, rates: tuple[np.ndarray, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, float, tuple[np.ndarray, np.ndarray]]:
        """Covariances and sum of squares of chosen films, and how their rates differ from those subtracted."""
        count, first, second, gram, both, own_gram, own_both = self.over(chosen)
        if level == 0:
            of_films = (self.second[chosen] ** 2 / self.moments[chosen, None]).sum()
            no_difference = np.zeros(len(first))
            return own_gram, own_both, float(second.sum() - of_films), (no_difference, no_difference)
        now, later = rates
        gram = gram - np.outer(first, now) - np.outer(now, first) + count * np.outer(now, now)
        both = both - np.outer(first, later) - np.outer(now, second) + count * np.outer(now, later)
        squares = second.sum() - 2 * second @ later + count * later @ later  # a label's square is itself
        return gram, both, float(squares), (first / count - now, second / count - later)


def _ridge(gram: np.ndarray, cross: np.ndarray, penalties: np.ndarray) -> Iterator[np.ndarray]:
    """Coefficients (labels now, labels later) that predict each label from the others, for each penalty.

    Leaving variable j out of a ridge regression takes from its coefficients the multiple of column j of the inverse
    that brings coefficient j to 0.
    """
    size = np.trace(gram) / len(gram)
    for penalty in penalties:
        inverse = np.linalg.inv(gram + max(penalty * size, 1e-12) * np.eye(len(gram)))
        slopes = inverse @ cross
        yield slopes - inverse * (np.diag(slopes) / np.diag(inverse))


def _explained(slopes: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> float:
    """Sum of squares less that of errors: ``2 tr(B' C) - tr(B' G B)``."""
    return float(2 * (slopes * cross).sum() - (slopes * (gram @ slopes)).sum())


def _penalties(sums: _Sums, total: _Sums, fold: np.ndarray, level: int) -> np.ndarray:
    """Best penalty for the films outside each fold: fitted without two folds, scored on the second of them."""
    folds = fold.max() + 1
    explained = np.zeros((folds, len(PENALTIES)))
    for a, b in itertools.combinations(range(folds), 2):
        gram, cross, rates = sums.fitted(total, (fold == a) | (fold == b), level)
        tests = [sums.scored(fold == other, level, rates) for other in (b, a)]
        for i, slopes in enumerate(_ridge(gram, cross, PENALTIES)):
            for outside, test in zip((a, b), tests, strict=True):
                explained[outside, i] += _explained(slopes, test[0], test[1])
    return PENALTIES[explained.argmax(axis=1)]


@dataclasses.dataclass(frozen=True)
class _ShiftedLabels:
    """Means over all shifts, without shifting, of a film whose labels are shifted circularly each on its own."""

    variance: np.ndarray  # (labels,)
    square: np.ndarray  # (labels, labels): mean over shifts of the square of a pair's sum of products
    repeat: np.ndarray  # (moments,): how a pair's covariance is correlated with itself so much later, all labels alike

    @classmethod
    def of(cls, seen: np.ndarray) -> _ShiftedLabels:
        """From labels at moments, (moments, labels)."""
        n = len(seen)
        power = np.abs(np.fft.rfft(seen - seen.mean(axis=0), axis=0)) ** 2
        twice = np.full(len(power), 2.0)  # frequencies that stand for their negative as well
        twice[0] = 1
        if n % 2 == 0:
            twice[-1] = 1
        square = (power.T * twice) @ power / n**2
        np.fill_diagonal(square, 0)
        repeat = np.fft.irfft(power.sum(axis=1) ** 2 - (power**2).sum(axis=1), n)
        return cls(seen.var(axis=0), square, repeat / max(repeat[0], 1e-300))

    def explained(
        self, slopes: np.ndarray, away: tuple[np.ndarray, np.ndarray], count: float, twice_lag: int
    ) -> tuple[float, float]:
        """Mean and variance of what `slopes` explain in `count` pairs; `away`: the film's rates less the subtracted."""
        gram = np.diag(self.variance) + np.outer(away[0], away[0])
        mean = count * _explained(slopes, gram, np.outer(*away))
        mirrored = self.repeat[twice_lag % len(self.repeat)] * (slopes * slopes.T * self.square).sum()
        spread = (slopes**2 * self.square).sum() + mirrored
        return mean, 4 * max(float(spread), 0.0) * count / len(self.repeat)
