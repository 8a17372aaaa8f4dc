"""How well a film's labels tell its labels a lag later, by what was learned from other films.

The honest counterpart of an R2 that is scored on the films it was fitted to, films laid end to end: fitted within films
and in time order, scored on a film that was left out, above what base rates tell.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np
from scipy.stats import norm

from semanticcmc.timescales.curves import Curve, TimescalesConfig, film_draws
from semanticcmc.timescales.pairs import LabelPairs

PENALTIES = 10.0 ** np.arange(-3, 3)  # of the ridge, in units of the mean variance of a label
FOLDS = 4  # of the films that a fit is made from, to choose the penalty


def predictability(pairs: LabelPairs, config: TimescalesConfig) -> Curve:
    """Share of the labels' variance a lag later that a ridge regression fitted on other films tells (R2).

    Each label is predicted from the *other* labels at the first moment. For each film the coefficients are fitted on
    all other films, with the penalty that does best when these are split among themselves, then scored on the film:
    ``1 - squared errors / squares``, both summed over films and labels. Above the film base rate labels are centred
    on the film's own rates at first and second moments; above the corpus base rate on the rates of the films fitted.

    Parameters
    ----------
    pairs : LabelPairs
    config : TimescalesConfig

    Returns
    -------
    Curve
        `measure` "prediction_r2", below 0 where worse than base rates. `decay` is the correlation of what is
        predicted with what is there: the root of R2 but for what the penalty and the noise of the coefficients take
        from R2. Bootstrap samples weigh the films' scores; coefficients are not fitted anew. The null scores the same
        coefficients on films whose labels are shifted circularly each on its own. Its mean is exact; its variance is
        that of the part that is linear in the film's covariances, twice, since where nothing lasts coefficients are
        noise of the other films, and every two films meet twice. NaN where fewer than three films are longer than
        the lag. Half-lives from `decay` are biased by a few per cent, and their intervals, blind to the noise of the
        coefficients, cover less than they say (validation/timescales_summary.csv): trust those of `association`.
    """
    shape = (2, len(pairs.lags_s), len(pairs.movies))
    product, predicted, squares, null_told, null_variance = np.zeros((5, *shape))
    shifted = [_ShiftedLabels.of(seen) for seen in pairs.presence]
    for level, k in itertools.product(range(2), range(shape[1])):
        films = np.flatnonzero(pairs.count[k] > 0)
        if len(films) < 3:
            continue
        sums = _Sums.of(pairs, k, films)
        fold = np.arange(len(films)) % min(FOLDS, len(films))
        penalties = _penalties(sums, fold, level)
        for i, film in enumerate(films):
            this = np.arange(len(films)) == i
            gram, cross, rates = sums.fitted(this, level)
            slopes = next(_ridge(gram, cross, penalties[fold[i]][None]))
            gram, cross, squares[level, k, film], away = sums.scored(this, level, rates)
            product[level, k, film] = (slopes * cross).sum()
            predicted[level, k, film] = (slopes * (gram @ slopes)).sum()
            null_told[level, k, film], null_variance[level, k, film] = shifted[film].told(
                slopes, away, pairs.count[k, film], round(2 * pairs.lags_s[k] / pairs.step_s[film])
            )
    weights = np.concatenate([np.ones((1, shape[-1])), film_draws(shape[-1], config)])
    with np.errstate(divide="ignore", invalid="ignore"):
        both, of_predicted, of_all = (
            np.moveaxis(of_films @ weights.T, -1, 0) for of_films in (product, predicted, squares)
        )
        value, correlation = (2 * both - of_predicted) / of_all, both / np.sqrt(of_predicted * of_all)
        null = null_told.sum(axis=-1) / of_all[0]
        width = norm.ppf((1 + config.confidence) / 2) * np.sqrt(2 * null_variance.sum(axis=-1)) / of_all[0]
    return Curve(
        "prediction_r2",
        pairs.lags_s,
        value[0],
        value[1:],
        null - width,
        null + width,
        correlation[0],
        correlation[1:],
        True,
        pairs.count.T,
        pairs.duration_s,
        pairs.interval_s,
    )


@dataclasses.dataclass(frozen=True)
class _Sums:
    """Sums over pairs of moments at one lag, a row a film, float64."""

    count: np.ndarray  # (films,)
    first: np.ndarray  # (films, labels)
    second: np.ndarray  # (films, labels)
    gram: np.ndarray  # (films, labels, labels)
    both: np.ndarray  # (films, labels, labels)
    own_gram: np.ndarray  # the same, centred on each film's own rates
    own_both: np.ndarray
    totals: tuple[np.ndarray, ...]  # of the above over films

    @classmethod
    def of(cls, pairs: LabelPairs, k: int, films: np.ndarray) -> _Sums:
        """Of some films at lag number k."""
        count = pairs.count[k, films]
        first, second, gram, both = (
            values[k, films].astype(np.float64) for values in (pairs.first, pairs.second, pairs.gram, pairs.both)
        )
        rates = first / count[:, None]
        own_gram = gram - rates[:, :, None] * first[:, None, :]
        own_both = both - rates[:, :, None] * second[:, None, :]
        arrays = (count, first, second, gram, both, own_gram, own_both)
        return cls(*arrays, tuple(values.sum(axis=0) for values in arrays))

    def fitted(self, left_out: np.ndarray, level: int) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
        """Covariances to fit, and the rates they are centred on, of all films but those left out (bool (films,))."""
        arrays = (self.count, self.first, self.second, self.gram, self.both, self.own_gram, self.own_both)
        count, first, second, gram, both, own_gram, own_both = (
            total - values[left_out].sum(axis=0) for total, values in zip(self.totals, arrays, strict=True)
        )
        rates = first / count, second / count
        if level == 0:
            return own_gram, own_both, rates
        return gram - np.outer(rates[0], first), both - np.outer(rates[0], second), rates

    def scored(
        self, chosen: np.ndarray, level: int, rates: tuple[np.ndarray, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, float, tuple[np.ndarray, np.ndarray]]:
        """Covariances and sum of squares of chosen films, and how their rates differ from those subtracted."""
        count, first, second = (values[chosen].sum(axis=0) for values in (self.count, self.first, self.second))
        if level == 0:
            of_films = (self.second[chosen] ** 2 / self.count[chosen, None]).sum()
            nothing = np.zeros(len(first))
            gram, both = self.own_gram[chosen].sum(axis=0), self.own_both[chosen].sum(axis=0)
            return gram, both, float(second.sum() - of_films), (nothing, nothing)
        now, later = rates
        gram = self.gram[chosen].sum(axis=0) - np.outer(first, now) - np.outer(now, first) + count * np.outer(now, now)
        both = (
            self.both[chosen].sum(axis=0)
            - np.outer(first, later)
            - np.outer(now, second)
            + count * np.outer(now, later)
        )
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


def _told(slopes: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> float:
    """Sum of squares less that of errors: ``2 tr(B' C) - tr(B' G B)``."""
    return float(2 * (slopes * cross).sum() - (slopes * (gram @ slopes)).sum())


def _penalties(sums: _Sums, fold: np.ndarray, level: int) -> np.ndarray:
    """Best penalty for the films outside each fold: fitted on two folds less, scored on the second of them."""
    folds = fold.max() + 1
    told = np.zeros((folds, len(PENALTIES)))
    for a, b in itertools.combinations(range(folds), 2):
        gram, cross, rates = sums.fitted((fold == a) | (fold == b), level)
        tests = [sums.scored(fold == other, level, rates) for other in (b, a)]
        for i, slopes in enumerate(_ridge(gram, cross, PENALTIES)):
            for outside, test in zip((a, b), tests, strict=True):
                told[outside, i] += _told(slopes, test[0], test[1])
    return PENALTIES[told.argmax(axis=1)]


@dataclasses.dataclass(frozen=True)
class _ShiftedLabels:
    """What is known, without any shifting, of a film whose labels are shifted circularly each on its own."""

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

    def told(
        self, slopes: np.ndarray, away: tuple[np.ndarray, np.ndarray], count: float, twice_lag: int
    ) -> tuple[float, float]:
        """Mean and variance of what `slopes` tell of `count` pairs; `away`: the film's rates less those subtracted."""
        gram = np.diag(self.variance) + np.outer(away[0], away[0])
        mean = count * _told(slopes, gram, np.outer(*away))
        mirrored = self.repeat[twice_lag % len(self.repeat)] * (slopes * slopes.T * self.square).sum()
        spread = (slopes**2 * self.square).sum() + mirrored
        return mean, 4 * max(float(spread), 0.0) * count / len(self.repeat)
