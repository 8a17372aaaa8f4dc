"""How long looks last: how alike the pictures of a film are at a lag, in time order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from semanticcmc.frames import FrameStore
from semanticcmc.pairs import lagged_pairs
from semanticcmc.timescales import TimescalesConfig, table


def appearance(store: FrameStore, lags_s: Sequence[float], config: TimescalesConfig) -> pd.DataFrame:
    """How alike the pictures of a film are at a lag, above unrelated pictures.

    Pearson correlation, over pixels and colour channels at ``config.frame_px``, of frames a lag apart,
    averaged over pairs; from it the base rate is subtracted (all pairs of frames of one film, or all pairs
    of frames of two films), and the rest given as a share of 1 less the base rate, so that it is 1 at lag 0.

    Parameters
    ----------
    store : FrameStore
    lags_s : sequence of float
        Seconds; each is taken to the nearest frame. Those above 0 that come nearest to 0 are left out.
    config : TimescalesConfig

    Returns
    -------
    DataFrame
        As of `association`, `measure` "appearance". The null is the correlation of a film with itself
        shifted circularly by a random time. With one film there is no corpus base rate: NaN.

    Raises
    ------
    InputError
        If no film is longer than the longest lag.
    """
    step_s = np.median(np.concatenate([np.diff(store.times(movie_id)) for movie_id in store.movies]))
    lags_s = [lag_s for lag_s in lags_s if lag_s == 0 or lag_s > step_s / 2]
    partners = [lagged_pairs(store.index, lag_s, max(lags_s)) for lag_s in lags_s]
    first = partners[0].anchors
    # A gap can leave single frames without a partner at some lag.
    kept = np.asarray([np.isin(first, pairs.anchors) for pairs in partners]).all(axis=0)
    first = first[torch.from_numpy(kept)]
    seconds = [pairs.partner(first, pairs.lag_s).numpy() for pairs in partners]
    rows, generator = first.numpy(), np.random.default_rng(config.seed)
    alike, shifted, means, pairs_of_film = [], [], [], []
    for movie_id in store.movies:
        film = store.rows(movie_id)
        own = (rows >= film.start) & (rows < film.stop)
        if not own.any():
            continue
        looks = _looks(store, film, config.frame_px)
        now = looks[rows[own] - film.start]
        alike.append([np.einsum("td,td->t", now, looks[s[own] - film.start]).mean() for s in seconds])
        circular = _circular_similarity(looks)
        shifted.append(circular[generator.integers(1, max(len(looks), 2), config.null_samples) % len(looks)])
        means.append(looks.mean(axis=0))
        pairs_of_film.append(own.sum())
    by_film, null, of_films = (
        np.array(alike),
        np.array(shifted).T[:, :, None],
        np.array(means) @ np.array(means).T,
    )
    weight = np.array(pairs_of_film, dtype=np.float64)
    each_once = np.ones(len(weight))
    draws = generator.multinomial(len(weight), each_once / len(weight), size=config.bootstrap_samples)
    samples = np.array([_above_base(by_film, of_films, draw * weight) for draw in draws])
    # A shifted film is as alike at every lag.
    shifts = np.array([_above_base(draw, of_films, weight) for draw in null]).repeat(len(lags_s), axis=2)
    return table("appearance", lags_s, _above_base(by_film, of_films, weight), samples, shifts, config)


def _looks(store: FrameStore, film: slice, size_px: tuple[int, int]) -> np.ndarray:
    """Small pictures of a film as vectors of mean 0 and length 1 (0 for a plain picture), float32 (T, d)."""
    looks = store.read_rows(range(film.start, film.stop), size_px).flatten(1).numpy().astype(np.float32)
    looks -= looks.mean(axis=1, keepdims=True)
    length = np.linalg.norm(looks, axis=1, keepdims=True)
    return np.divide(looks, length, out=np.zeros_like(looks), where=length > 1e-3)


def _circular_similarity(looks: np.ndarray) -> np.ndarray:
    """Mean product of a film's vectors and the same shifted circularly by 0, 1, ... frames, (T,)."""
    power = np.zeros(len(looks) // 2 + 1)
    for part in np.array_split(looks, max(1, looks.shape[1] // 64), axis=1):
        power += (np.abs(np.fft.rfft(part, axis=0)) ** 2).sum(axis=1)
    return np.fft.irfft(power, n=len(looks)) / len(looks)


def _above_base(by_film: np.ndarray, of_films: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Similarity above base rate as a share of 1 less the base rate, (levels, lags), films weighted."""
    share = weight / weight.sum()
    between = np.outer(share, share)
    np.fill_diagonal(between, 0)
    base = np.array(
        [share @ np.diag(of_films), (between * of_films).sum() / between.sum() if between.any() else np.nan]
    )
    return (share @ by_film - base[:, None]) / (1 - base[:, None])
