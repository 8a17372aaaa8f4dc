"""Whether labels that are alike in meaning follow each other, by lag: what labels without films can tell of meaning."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from semanticcmc.labels.stream import LabelStream
from semanticcmc.rsa.rdm import RDM
from semanticcmc.run import Watch
from semanticcmc.timescales.curves import TimescalesConfig, film_draws
from semanticcmc.timescales.nulls import NO_MORE, TimeScale, paired_anew, pooled_pairs, shuffle_utterances, time_scale
from semanticcmc.timescales.pairs import LabelPairs, label_pairs

NULLS = {"shuffled": "utterances shuffled within films", "paired": "films paired anew"}


@dataclasses.dataclass(frozen=True)
class Meaning:
    """What `meaning_by_lag` found."""

    curves: pd.DataFrame  # ``tables/meaning.csv``: model, lag_s, r, ci_low, ci_high; of each null its bounds and z
    scales: pd.DataFrame  # ``tables/meaning_scales.csv``: of each model and null a `nulls.TimeScale`


def meaning_by_lag(
    stream: LabelStream, models: Mapping[str, RDM], lags_s: tuple[float, ...], config: TimescalesConfig, watch: Watch
) -> Meaning:
    r"""Correlation of associations with models of meaning, by lag, over pairs of different labels.

    Two labels' association at a lag is how much more often they are a lag apart than their rates in each film say,

    .. math:: K_{ij} = \frac{J_{ij} - \sum_f p_{fi} q_{fj}}{\sqrt{p_i p_j}},

    the kernel of `association.association_kernel` with each film's rates of first and second moments in place of all
    films' (to first order pointwise mutual information). r is Pearson's correlation of K with the *nearness* of a
    model, minus its distance: positive where what is alike in meaning goes together. Intervals are over bootstrap
    samples of films, nulls as of `nulls`, `config.null_samples` of each. Films drawn twice add noise to K but no pairs,
    which lowers r in every sample: samples are moved by the mean difference, so that they spread about r.

    Parameters
    ----------
    stream : LabelStream
        Labels by the names that the models have (`association.as_wnids`).
    models : mapping of str to RDM
        Each of at least three of the labels.
    lags_s : tuple of float
        Rising, the first of them 0.
    """
    pairs, generator = label_pairs(stream, lags_s, config), np.random.default_rng(config.seed)
    films = len(stream.movies)
    draws = np.concatenate([np.ones((1, len(pairs.movies))), film_draws(len(pairs.movies), config)])
    near = {name: _nearness(model, pairs.names) for name, model in models.items()}
    found = np.stack([_of_draws(pairs, k, draws, near) for k in range(len(lags_s))], axis=-1)
    null: dict[str, list[np.ndarray]] = {name: [] for name in NULLS}
    for _ in watch(range(config.null_samples)):
        shuffled = pooled_pairs(shuffle_utterances(stream, generator), pairs.names, lags_s, config.step_s)
        anew = pooled_pairs(stream, pairs.names, lags_s, config.step_s, paired_anew(films, generator))
        for name, counts in (("shuffled", shuffled), ("paired", anew)):
            margins = counts.both.sum(axis=1) + counts.both.sum(axis=2)
            by_lag = [_correlations(counts.above[k][None], margins[k][None], near) for k in range(len(lags_s))]
            null[name].append(np.stack(by_lag, axis=-1)[:, 0])
    curves, scales = [], []
    for m, model in enumerate(models):
        r, samples = found[m, 0], found[m, 1:]
        samples = samples + r - samples.mean(axis=0)
        low, high = config.band(samples)
        row = {
            "model": model,
            "films": (pairs.count > 0).sum(axis=1),
            "confidence": config.confidence,
            "lag_s": lags_s,
            "r": r,
            "ci_low": low,
            "ci_high": high,
        }
        for name, words in NULLS.items():
            chance = np.stack([one[m] for one in null[name]])
            spread = chance.std(axis=0, ddof=1)
            z = (r - chance.mean(axis=0)) / np.where(spread > NO_MORE, spread, np.nan)
            row |= dict(zip((f"{name}_low", f"{name}_high", f"{name}_z"), (*config.band(chance), z), strict=True))
            scale = time_scale(np.asarray(lags_s), r, samples, chance, config)
            scales.append((model, words, *scale))
        curves.append(pd.DataFrame(row))
    columns = ["model", "null", *TimeScale._fields]
    return Meaning(pd.concat(curves, ignore_index=True), pd.DataFrame(scales, columns=columns))


def _nearness(model: RDM, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows and columns of a model's pairs of labels among `names`, and how near each pair is, less the mean."""
    at = np.array([names.index(one) for one in model.classes])
    first, second = np.triu_indices(len(at), 1)  # the order of an RDM's values
    return at[first], at[second], model.values.mean() - model.values


def _of_draws(
    pairs: LabelPairs, k: int, draws: np.ndarray, near: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]]
) -> np.ndarray:
    """Correlations (models, draws) at the k-th lag; each row of `draws` says how often each film counts."""
    both, share = pairs.both[k], (1 / np.maximum(pairs.count[k], 1)).astype(np.float32)
    above = both - (pairs.first[k] * share[:, None])[:, :, None] * pairs.second[k][:, None, :]
    films, n = both.shape[:2]
    above = (draws.astype(np.float32) @ (above + above.swapaxes(1, 2)).reshape(films, -1)).reshape(-1, n, n)
    return _correlations(above, draws @ (both.sum(axis=1) + both.sum(axis=2)), near)


def _correlations(
    above: np.ndarray, margins: np.ndarray, near: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]]
) -> np.ndarray:
    """Correlations (models, rows) of associations with nearness, from counts above chance (rows, labels, labels)."""
    found = np.empty((len(near), len(above)))
    for m, (first, second, nearness) in enumerate(near.values()):
        for row, (counts, often) in enumerate(zip(above, margins, strict=True)):
            scale = np.sqrt(often[first] * often[second])
            kernel = np.divide(counts[first, second], scale, out=np.zeros(len(scale)), where=scale > 0)
            kernel -= kernel.mean()
            with np.errstate(invalid="ignore"):  # films that are all shorter than the lag
                found[m, row] = kernel @ nearness / np.sqrt((kernel @ kernel) * (nearness @ nearness))
    return found
