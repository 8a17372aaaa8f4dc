"""Whether labels that are alike in meaning follow each other, by lag: what labels without films can tell of meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from semanticcmc.labels.stream import LabelStream, label_stream
from semanticcmc.rsa.rdm import RDM
from semanticcmc.run import Watch
from semanticcmc.timescales.curves import TimescalesConfig, film_draws
from semanticcmc.timescales.nulls import NO_MORE, SCALES, paired_anew, pooled_pairs, shuffle_utterances, time_scales
from semanticcmc.timescales.pairs import LabelPairs, label_pairs

NULLS = {"shuffled": "utterances shuffled within films", "paired": "films paired anew"}
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
    samples of films, nulls as of `nulls`, `config.null_samples` of each. Films drawn twice add noise to K but no pairs,
    which lowers r in every sample: samples are moved by the mean difference, so that they spread about r.

    Returned are ``tables/meaning.csv``: `model, lag_s, films, confidence, r, ci_low, ci_high`, and of each null the
    band and z (`shuffled_low, shuffled_high, shuffled_z, paired_low, ...`); and ``tables/meaning_scales.csv``: `model,
    null` and `nulls.SCALES`.

    Parameters
    ----------
    stream : LabelStream
        Labels by the names that the models have (`association.as_wnids`).
    models : mapping of str to RDM
        Each of at least three of the labels.
    lags_s : sequence of float
        Rising, the first of them 0.
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
