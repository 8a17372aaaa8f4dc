"""Associations of labels: how long they last, and how far apart they put the things that labels name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import ndtri

from semanticcmc.config import InputError, read_text_table
from semanticcmc.experiment import Experiment
from semanticcmc.labels.nouns import experiment_nouns
from semanticcmc.labels.stream import LabelStream, frequencies, label_stream
from semanticcmc.rsa.rdm import RDM
from semanticcmc.rsa.threads import threads_for
from semanticcmc.timescales.curves import Curve, TimescalesConfig, film_draws
from semanticcmc.timescales.pairs import LabelPairs, label_pairs


def association(pairs: LabelPairs, config: TimescalesConfig) -> Curve:
    r"""How much more often than by base rates different labels follow each other at a lag.

    Of two films f and g, C_f(lag) is the covariance of all pairs of *different* labels a lag apart in f, C_g(0) the
    same of g at one moment. Their product ``sum(C_f(lag) C_g(0) / (p p'))``, p the labels' rates in all films, is
    averaged over all pairs of films, each pair of moments of f counting once: noise has mean 0, since no film is
    paired with itself. Of both C the part that all labels share (more or fewer labels at once) is subtracted. What
    follows a label later but is not seen together with it does not count. This is linear in C(lag): on the scale of
    covariances, on which half-lives are fitted.

    The value is the same for *shares* of pairs, as they are among the pairs of labels that are there at a lag: it is
    divided by the number of pairs of different labels at the lag, and by the value at lag 0 above the corpus base rate.

    Above the film base rate C is centred on the rates of the film's own first and second moments, above the corpus base
    rate on those of all films together. `measure` "association". The null above the film base rate is that of shifting
    each label on its own circularly in its film, all shifts being equally likely: its mean is 0, its variance exact
    (`_null_spread`). Above the corpus base rate it is that of first moments of one film with second moments of another.
    Bands are normal ones. NaN where fewer than two films are longer than the lag, or without an association at lag 0.
    """
    films, lags = len(pairs.movies), len(pairs.lags_s)
    drawn = np.concatenate([np.ones((1, films)), film_draws(films, config)])
    weight = (1 / np.outer(pairs.rates, pairs.rates)).astype(np.float32)
    np.fill_diagonal(weight, 0)
    apart = weight > 0  # pairs of different labels
    by_chance = float(pairs.rates.sum() ** 2 - (pairs.rates**2).sum())  # number of them, at two unrelated moments
    strength, null = np.empty((len(drawn), 2, lags)), np.zeros((2, 2, lags))  # null: mean and spread
    moments = np.array([_of_different_films(drawn, count, pairs.count[0]) for count in pairs.count]).T
    with threads_for(1e-10 * films * pairs.both[0].size):  # one product of films and pairs of labels
        for level in range(2):
            patterns = _above_base_rate(pairs, 0, level)
            shared = (patterns * apart).sum(axis=(1, 2), keepdims=True) / by_chance
            patterns = (weight * patterns - shared) * apart
            others = patterns.sum(axis=0) - patterns
            for k in range(lags):
                above = _above_base_rate(pairs, k, level)
                products = (above.reshape(films, -1) @ patterns.reshape(films, -1).T).astype(np.float64)
                np.fill_diagonal(products, 0)
                strength[:, level, k] = ((drawn @ products) * drawn).sum(axis=1)
            if level == 0:
                null[1, level] = _null_spread(pairs, others)
            else:  # a shift in time would leave what the films' rates contribute
                null[:, level] = _null_of_other_films(pairs, others, config)
    different = np.array([(both * apart).sum(axis=(1, 2)) for both in pairs.both])
    with np.errstate(divide="ignore", invalid="ignore"):
        total = (drawn @ different.T) / (drawn @ pairs.count.T)
        total[total == 0] = np.nan
        strength = np.where(moments > 0, strength.swapaxes(0, 1) / moments, np.nan).swapaxes(0, 1)
        value = strength / total[:, None]
        scale = np.where(value[:, 1:, :1] > 0, value[:, 1:, :1], np.nan)
        value, null = value / scale, null / (moments[0] * total[0] * scale[0])
    width = ndtri((1 + config.confidence) / 2) * null[1]
    return pairs.curve("association", value, strength, (null[0] - width, null[0] + width))


def _of_different_films(drawn: np.ndarray, here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Sum of n_f n_g here_f there_g over pairs of different films, each drawn n times, for each row of `drawn`."""
    return (drawn @ here) * (drawn @ there) - drawn**2 @ (here * there)


def _base_rates(pairs: LabelPairs, k: int, level: int) -> tuple[np.ndarray, np.ndarray]:
    """Rates at the first and the second moments of a lag that are subtracted, of each film, (films or 1, labels)."""
    first, second, count = pairs.first[k], pairs.second[k], pairs.count[k][:, None]
    if level == 1:
        first, second, count = (values.sum(axis=0, keepdims=True) for values in (first, second, count))
    return first / np.maximum(count, 1), second / np.maximum(count, 1)


def _above_base_rate(pairs: LabelPairs, k: int, level: int) -> np.ndarray:
    """Sum over moments of the products of labels less their base rates, float32 (films, labels, labels)."""
    now, later = (rates.astype(np.float32) for rates in _base_rates(pairs, k, level))
    first, second = pairs.first[k], pairs.second[k] - pairs.count[k][:, None].astype(np.float32) * later
    return pairs.both[k] - first[:, :, None] * later[:, None, :] - now[:, :, None] * second[:, None, :]


def _null_of_other_films(
    pairs: LabelPairs, patterns: np.ndarray, config: TimescalesConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation, by lag, of ``sum(C * pattern)`` where a film's second moments are another film's.

    All films are put in a circle in random order, so that none is paired with itself, each shifted by a random time.
    The part of the two films' rates grows with the number of pairs of moments, that of their moments with its root.
    """
    base = _base_rates(pairs, 0, 1)[0]
    films = [seen - base for seen in pairs.presence]
    towards = [film @ pattern.astype(np.float32) for film, pattern in zip(films, patterns, strict=True)]
    generator = np.random.default_rng(config.seed)
    sums = np.zeros((config.null_samples, len(pairs.lags_s)))
    for total in sums:
        circle = generator.permutation(len(films))
        for here, there in zip(circle, np.roll(circle, -1), strict=True):
            n = min(len(films[here]), len(films[there]))
            now, later = (towards[here][:n], np.roll(films[there], generator.integers(len(films[there])), axis=0)[:n])
            by_rates = float(now.mean(axis=0) @ later.mean(axis=0))
            by_moments = float(np.vdot(now, later)) - n * by_rates
            total += pairs.count[:, here] * by_rates + np.sqrt(pairs.count[:, here] / n) * by_moments
    return sums.mean(axis=0), sums.std(axis=0)


def _null_spread(pairs: LabelPairs, patterns: np.ndarray) -> np.ndarray:
    """Standard deviation, by lag, of ``sum(C * pattern)`` over films whose labels are shifted each on its own.

    A label pair's covariance, shifted circularly by a random time, has the mean square ``r(0)``, with
    ``r(v) = sum(P P' cos(2 pi w v / T)) / T^2`` over frequencies w, P and P' the labels' power (Parseval). As the
    pattern is symmetric, a pair and its mirror image count together: ``r(0) + r(2 lag)``.
    """
    variance = np.zeros(len(pairs.lags_s))
    for film, (seen, pattern) in enumerate(zip(pairs.presence, patterns, strict=True)):
        n = len(seen)
        power = np.abs(np.fft.rfft(seen - seen.mean(axis=0), axis=0)) ** 2
        repeat = np.fft.irfft(((power @ pattern.astype(np.float64) ** 2) * power).sum(axis=1), n) / n
        twice = np.rint(2 * pairs.lags_s / pairs.step_s[film]).astype(np.int64) % n
        variance += (repeat[0] + repeat[twice]) * pairs.count[:, film] / n
    return np.sqrt(variance)


def association_kernel(together: np.ndarray) -> np.ndarray:
    r"""How much more often than by chance two labels are a lag apart, from counts (`LabelPairs.both` of all films).

    To first order their pointwise mutual information, which an ideal contrastive learner's similarity is (van den Oord
    et al. 2018; Levy & Goldberg 2014); of the spectral form of the loss (HaoChen et al. 2021; Tan et al. 2024) it is

    .. math:: K_{ij} = \frac{J_{ij} - p_i p_j}{\sqrt{p_i p_j}},

    J the share of label pairs (i, j), whichever came first, p its margin. (L, L), symmetric, 0 in rows of labels that
    never occur. Its eigenvalues are correlations, from -1 to 1 (of correspondence analysis; Greenacre 1984).
    """
    joint = together + together.T.astype(np.float64)
    joint /= max(joint.sum(), 1.0)
    margin = joint.sum(axis=1)
    chance = np.outer(margin, margin)
    return np.divide(joint - chance, np.sqrt(chance), out=np.zeros_like(joint), where=chance > 0)


def embedding(kernel: np.ndarray, dimensions: int) -> np.ndarray:
    """The learner's embedding of each label: ``embedding @ embedding.T`` is nearest to `kernel`, (L, <= dimensions).

    The eigenvectors of the largest positive eigenvalues, each times the root of its value (Eckart & Young 1936).
    """
    values, vectors = np.linalg.eigh(kernel)
    largest = np.argsort(values)[::-1][:dimensions]
    largest = largest[values[largest] > 0]
    return vectors[:, largest] * np.sqrt(values[largest])


def association_rdm(together: np.ndarray, wnids: Sequence[str], dimensions: int) -> RDM:
    """Distances, 1 - cosine, of labels in the learner's embedding; 1 from a label that has none."""
    vectors = embedding(association_kernel(together), dimensions)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
    cosines = np.clip(unit @ unit.T, -1, 1)
    np.fill_diagonal(cosines, 1)
    return RDM(1 - cosines, tuple(wnids))


def as_wnids(stream: LabelStream, wnids: Mapping[str, str]) -> LabelStream:
    """The stream with each label as its wnid; labels without one are dropped, and two of one wnid become one."""
    labels = stream.labels.assign(label=stream.labels["label"].astype(object).map(dict(wnids)))
    return label_stream(labels[labels["label"].notna()], stream.times)


def labels_as_wnids(experiment: Experiment, stream: LabelStream) -> LabelStream:
    """An experiment's labels with each noun as its wnid: the world's own nouns, else those of `label_nouns`.

    Of the films' labels the most frequent ones, as many as ``timescales.labels`` says. Raises InputError if no label is
    a noun.
    """
    if experiment.source == "world":
        nouns = read_text_table(experiment.folder / "world" / "classes.csv", ("wnid", "noun"), "wnid")
        nouns = nouns.rename(columns={"noun": "label"})
    else:
        most = experiment.section("timescales", TimescalesConfig).labels
        nouns = experiment_nouns(experiment, frequencies(stream)["label"].head(most)).query("wnid != ''")
    named = as_wnids(stream, dict(zip(nouns["label"], nouns["wnid"], strict=True)))
    if not len(named.labels):
        remedy = "give labels a row in a table of your own (label,wnid,noun,source), named as labels.nouns"
        raise InputError(f"{experiment.name}: no label is a noun of WordNet; {remedy}")
    return named


def experiment_association(experiment: Experiment, stream: LabelStream, lag_s: float) -> RDM:
    """`association_rdm` of an experiment's nouns at a lag, in as many dimensions as its networks' embedding has.

    Raises InputError if no label is a noun, or fewer than two films are longer than the lag.
    """
    config = experiment.section("timescales", TimescalesConfig)
    pairs = label_pairs(labels_as_wnids(experiment, stream), sorted({0.0, lag_s}), config)
    if (pairs.count[-1] > 0).sum() < 2:
        raise InputError(f"{experiment.name}: no two films with labels are longer than {lag_s:g} s")
    return association_rdm(pairs.both[-1].sum(axis=0), pairs.names, experiment.sections["networks"]["embedding_dim"])
