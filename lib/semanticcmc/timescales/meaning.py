"""Whether labels that are alike in meaning follow each other, by lag: what labels without films can tell of meaning.

Against two nulls, which keep how often each film has each label. Shuffled utterances also keep which labels are uttered
together, so that they differ from the films in time alone; films paired anew keep each film's course, and what films
share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import sparse

from semanticcmc.labels.stream import TIMES, LabelStream, label_stream
from semanticcmc.rsa.rdm import RDM
from semanticcmc.run import Watch
from semanticcmc.timescales.curves import TimescalesConfig, film_draws
from semanticcmc.timescales.decay import first_below_half, with_interval
from semanticcmc.timescales.pairs import LabelPairs, label_pairs

NULLS = {"shuffled": "utterances shuffled within films", "paired": "films paired anew"}
NO_MORE = 1e-6  # by what a correlation may be above its null where both are the same, but for rounding
BOUNDS = ("", "_low", "_high")
SCALES = tuple(f"{name}{bound}_s" for name in ("half_strength", "last_above_null") for bound in BOUNDS)
Near = Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]]


def meaning_by_lag(
    stream: LabelStream, models: Mapping[str, RDM], lags_s: Sequence[float], config: TimescalesConfig, watch: Watch
) -> tuple[pd.DataFrame, pd.DataFrame]:
    r"""Correlation of associations with models of meaning, by lag, over pairs of different labels.

    Two labels' association at a lag is how much more often they are a lag apart than their rates in each film say,

    .. math:: K_{ij} = \frac{J_{ij} - \sum_f p_{fi} q_{fj}}{\sqrt{p_i p_j}},

    the kernel of `association.association_kernel` with each film's rates of first and second moments in place of all
    films' (to first order pointwise mutual information). r is Pearson's correlation of K with the *nearness* of a
    model, minus its distance: positive where what is alike in meaning goes together. Intervals are over bootstrap
    samples of films, `config.null_samples` of each null. Films drawn twice add noise to K but no pairs,
    which lowers r in every sample: samples are moved by the mean difference, so that they spread about r.

    Returned are ``tables/meaning.csv``: `model, lag_s, films, confidence, r, ci_low, ci_high`, and of each null the
    band and z (`shuffled_low, shuffled_high, shuffled_z, paired_low, ...`); and ``tables/meaning_scales.csv``: `model,
    null` and `SCALES`.

    Labels have the names that the models have (`association.as_wnids`), each model at least three of them; lags rise
    from 0.
    """
    stream = label_stream(stream.labels[stream.labels["confidence"] >= config.min_confidence], stream.times)
    pairs, generator = label_pairs(stream, lags_s, config), np.random.default_rng(config.seed)
    films, lags, near = len(pairs.movies), np.asarray(lags_s), dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]()
    for name, model in models.items():
        model = model.subset([one for one in model.classes if one in pairs.names])
        at = np.array([pairs.names.index(one) for one in model.classes])
        first, second = np.triu_indices(len(at), 1)  # the order of an RDM's values
        near[name] = at[first], at[second], model.values.mean() - model.values
    draws = np.concatenate([np.ones((1, films)), film_draws(films, config)])
    found = np.stack([_of_draws(pairs, k, draws, near) for k in range(len(lags))], axis=-1)
    chance = np.empty((len(NULLS), len(models), config.null_samples, len(lags)))
    for sample in watch(range(config.null_samples)):
        shuffled, partners = shuffle_utterances(stream, generator), paired_anew(len(stream.movies), generator)
        for n, (one, second_moments) in enumerate(((shuffled, ()), (stream, partners))):
            counts = pooled_pairs(one, pairs.names, lags_s, config.step_s, second_moments)
            chance[n, :, sample] = _correlations(*counts, near)
    curves, scales = [], []
    for m, name in enumerate(models):
        found[m, 1:] += found[m, 0] - found[m, 1:].mean(axis=0)
        low, high = config.band(found[m, 1:])
        curve = pd.DataFrame({"model": name, "lag_s": lags, "films": (pairs.count > 0).sum(axis=1)})
        curve = curve.assign(confidence=config.confidence, r=found[m, 0], ci_low=low, ci_high=high)
        for (kind, words), null in zip(NULLS.items(), chance[:, m], strict=True):
            curve[f"{kind}_low"], curve[f"{kind}_high"] = config.band(null)
            spread = null.std(axis=0, ddof=1)
            curve[f"{kind}_z"] = (found[m, 0] - null.mean(axis=0)) / np.where(spread > NO_MORE, spread, np.nan)
            scales.append((name, words, *time_scales(lags, found[m], null, config)))
        curves.append(curve)
    return pd.concat(curves, ignore_index=True), pd.DataFrame(scales, columns=["model", "null", *SCALES])


def _of_draws(pairs: LabelPairs, k: int, draws: np.ndarray, near: Near) -> np.ndarray:
    """Correlations (models, draws) at the k-th lag; each row of `draws` says how often each film counts."""
    both, share = pairs.both[k], (1 / np.maximum(pairs.count[k], 1)).astype(np.float32)
    above = both - (pairs.first[k] * share[:, None])[:, :, None] * pairs.second[k][:, None, :]
    films, n = both.shape[:2]
    above = (draws.astype(np.float32) @ (above + above.swapaxes(1, 2)).reshape(films, -1)).reshape(-1, n, n)
    return _correlations(above, draws @ (both.sum(axis=1) + both.sum(axis=2)), near)


def _correlations(above: np.ndarray, often: np.ndarray, near: Near) -> np.ndarray:
    """Correlations (models, rows) with nearness of pairs above chance (rows, labels, labels), of labels so often."""
    found = np.empty((len(near), len(above)))
    for m, (first, second, nearness) in enumerate(near.values()):
        for row, (counts, margin) in enumerate(zip(above, often, strict=True)):
            scale = np.sqrt(margin[first] * margin[second])
            kernel = np.divide(counts[first, second], scale, out=np.zeros(len(scale)), where=scale > 0)
            kernel -= kernel.mean()
            with np.errstate(invalid="ignore"):  # films that are all shorter than the lag
                found[m, row] = kernel @ nearness / np.sqrt((kernel @ kernel) * (nearness @ nearness))
    return found


def shuffle_utterances(stream: LabelStream, generator: np.random.Generator) -> LabelStream:
    """The stream with the utterances of each film in another order.

    An utterance is all labels that start at one label time; each label lasts while it is there without a gap. The times
    at which utterances start stay, and so do their labels and how long these last; what would outlast the film is cut.
    Labels of one name that then overlap are one.
    """
    code, time_s = stream.labels["label"].cat.codes.to_numpy(), stream.labels["time_s"].to_numpy().copy()
    there = np.ones(len(code), dtype=bool)
    for movie_id, start_s, interval_s, count in zip(*(stream.times[name].tolist() for name in TIMES), strict=True):
        rows = stream.rows[movie_id]
        step = np.rint((time_s[rows] - start_s) / interval_s).astype(np.int64)
        order = np.lexsort((step, code[rows]))
        at = step[order]
        begins = np.flatnonzero((np.diff(code[rows][order], prepend=-1) != 0) | (np.diff(at, prepend=-2) != 1))
        starts, utterance = np.unique(at[begins], return_inverse=True)
        later = generator.permutation(starts)[utterance] - at[begins]
        step[order] = at + np.repeat(later, np.diff(begins, append=len(at)))
        time_s[rows] = start_s + interval_s * step
        there[rows] = step < count
    return label_stream(stream.labels.assign(time_s=time_s)[there], stream.times)


def paired_anew(films: int, generator: np.random.Generator) -> list[int]:
    """Another film for each: all films in a circle in random order, so that none of two or more meets itself."""
    circle = generator.permutation(films)
    return np.roll(circle, -1)[np.argsort(circle)].tolist()


def pooled_pairs(
    stream: LabelStream, names: Sequence[str], lags_s: Sequence[float], step_s: float, partners: Sequence[int] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of labels a lag apart, all films together: counted as by `pairs.label_pairs`, but many times faster.

    `names` are the labels that count, `step_s` is the time between first moments, and `partners` (`paired_anew`) says
    for each film from which film its second moments are taken, at the same time of it, as far as both last; by default
    its own. Returned are, whichever label came first, by how much pairs are more than by the rates of each film's first
    and second moments, (lags, labels, labels), and how many pairs each label is in, (lags, labels).
    """
    counts, intervals_s = (stream.times[name].to_numpy() for name in ("count", "interval_s"))
    offset = np.concatenate([[0], np.cumsum(counts)])
    column = pd.Index(names).get_indexer(stream.labels["label"].cat.categories)[stream.labels["label"].cat.codes]
    film = stream.labels["movie_id"].cat.codes.to_numpy()
    time_s = stream.labels["time_s"].to_numpy() - stream.times["start_s"].to_numpy()[film]
    moment = offset[film] + np.rint(time_s / intervals_s[film]).astype(np.int64)
    known = column >= 0
    seen = sparse.csr_array((np.ones(known.sum()), (moment[known], column[known])), shape=(offset[-1], len(names)))
    above, often = np.empty((len(lags_s), len(names), len(names))), np.empty((len(lags_s), len(names)))
    for k, lag_s in enumerate(lags_s):
        first, second = [], []
        for here, there in enumerate(partners or range(len(counts))):
            now = np.arange(0, counts[here], max(1, round(step_s / intervals_s[here])))
            later = np.rint((now * intervals_s[here] + lag_s) / intervals_s[there]).astype(np.int64)
            later = later[later < counts[there]]
            first.append(offset[here] + now[: len(later)])
            second.append(offset[there] + later)
        lengths = np.array([len(rows) for rows in first])
        held, found = seen[np.concatenate(first)], seen[np.concatenate(second)]
        film = np.repeat(np.arange(len(counts)), lengths)
        of_film = sparse.csr_array((np.ones(len(film)), (film, np.arange(len(film)))), (len(counts), len(film)))
        expected = (of_film @ held).toarray().T @ ((of_film @ found).toarray() / np.maximum(lengths, 1)[:, None])
        both = (held.T @ found).toarray()
        above[k], often[k] = both + both.T - expected - expected.T, both.sum(axis=0) + both.sum(axis=1)
    return above, often


def time_scales(
    lags_s: np.ndarray, values: np.ndarray, null: np.ndarray, config: TimescalesConfig
) -> tuple[float, ...]:
    """`SCALES`: when a curve is down to half of its value at lag 0, and the last lag at which it is above its null.

    Above is above the upper bound of the central `config.confidence` of the null, by more than `NO_MORE`; the last lag
    is the end of the longest run of lags above: at lag 0, or within an utterance, films and null may be the same.
    Intervals hold the central `config.confidence` of the bootstrap samples of films, the null's bound being held. NaN
    where a time cannot be told. `lags_s` (lags,) rise from 0; `values` (1 + draws, lags) are the curve and those of
    films drawn with replacement, `null` (nulls, lags) curves where nothing lasts.
    """
    half_s, last_s = first_below_half(lags_s, values), last_above(lags_s, values, config.band(null)[1] + NO_MORE)
    return (*with_interval(half_s[0], half_s[1:], config), *with_interval(last_s[0], last_s[1:], config))


def last_above(lags_s: np.ndarray, values: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """End of the longest run of lags at which values (rows, lags) are above the bound (lags,), the first of equal ones.

    NaN where no value is above.
    """
    run, longest = np.zeros((2, len(values)))
    found = np.full(len(values), np.nan)
    for lag_s, above in zip(lags_s, (values > bound).T, strict=True):
        run = (run + 1) * above
        found[run > longest] = lag_s
        longest = np.maximum(run, longest)
    return found
