"""How long looks and associations of films last: every measure of one experiment's films, in one go."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd

from semanticcmc.films.store import FrameStore
from semanticcmc.labels.stream import LabelStream
from semanticcmc.run import Watch
from semanticcmc.timescales.appearance import compare_frames, persistence, rms_difference, unit_vectors
from semanticcmc.timescales.association import association
from semanticcmc.timescales.curves import Curve, TimescalesConfig, lag_grid
from semanticcmc.timescales.decay import half_lives, half_strength, recommended_by, recommended_lag
from semanticcmc.timescales.pairs import LabelPairs, label_pairs, times_as_often

FILMS_THAT_LONG = 0.75  # share of the films that are longer than the longest lag


@dataclasses.dataclass(frozen=True)
class Measured:
    """What `measure` found."""

    curves: pd.DataFrame  # ``tables/timescales.csv``: one row a measure, level and lag (`curves.Curve.table`)
    constants: pd.DataFrame  # ``tables/half_lives.csv``: half-strengths and half-lives, one row a measure and level
    recommended: pd.DataFrame  # ``tables/recommended_lag.csv``: the first lag at which looks are gone
    rms: pd.DataFrame  # RMS difference by lag in grey levels (`appearance.rms_difference`)
    pictures: np.ndarray  # (frames, d): small pictures of all frames as unit vectors


def measure(
    store: FrameStore, features: np.ndarray, stream: LabelStream | None, config: TimescalesConfig, watch: Watch = iter
) -> Measured:
    """Measure looks three ways, and associations of labels where several films have them.

    `features` (frames, d) is what an untrained network makes of every frame (`evaluation.rdm_files`).
    """
    times_s = [store.times(film) for film in store.movies]
    frame_s = float(np.median(np.concatenate([np.diff(t) for t in times_s])))
    longest_s = float(np.quantile([t[-1] - t[0] for t in times_s], 1 - FILMS_THAT_LONG))
    lags_s = lag_grid(frame_s, longest_s, config.lags)
    pictures: Any = store.resident(config.frame_px)
    seen = {"appearance": pictures, "rms": pictures, "features": features}
    looks = {name: compare_frames(store.index, seen[name], lags_s, name != "rms") for name in watch(list(seen))}
    curves = [persistence(name, one, config) for name, one in looks.items()]
    if stream is not None and len(stream.movies) > 1:  # with one film, what is the film's cannot be told apart
        pairs = label_pairs(stream, lag_grid(*label_lags_s(stream), config.lags), config)
        curves.append(association(pairs, config))
    recommended = recommended_lag(curves[0], config)
    return _measured(curves, recommended, rms_difference(looks["rms"], config), unit_vectors(pictures), config)


def measure_labels(stream: LabelStream, config: TimescalesConfig) -> Measured:
    """Measure associations of labels that come without films; a lag is recommended by `config.looks`, if at all."""
    pairs = label_pairs(stream, lag_grid(*label_lags_s(stream), config.lags), config)
    recommended = recommended_by(config.looks)
    return _measured([association(pairs, config)], recommended, pd.DataFrame(), np.empty((0, 0)), config)


def _measured(
    curves: list[Curve], recommended: pd.DataFrame, rms: pd.DataFrame, pictures: np.ndarray, config: TimescalesConfig
) -> Measured:
    constants = half_strength(curves, config).merge(half_lives(curves, config), on=["measure", "level"])
    table = pd.concat([curve.table(config) for curve in curves], ignore_index=True)
    return Measured(table, constants, recommended, rms, pictures)


def label_lags_s(stream: LabelStream) -> tuple[float, float]:
    """Shortest and longest lag, seconds, at which labels can be compared."""
    lengths_s = (stream.times["count"] - 1) * stream.times["interval_s"]
    return float(stream.times["interval_s"].max()), float(np.quantile(lengths_s, 1 - FILMS_THAT_LONG))


def association_maps(
    stream: LabelStream, lags_s: tuple[float, ...], config: TimescalesConfig, labels: int = 48
) -> dict[float, pd.DataFrame]:
    """How many times as often (log2) one label follows another as if they were independent, at some of `lags_s`.

    The shortest, the middle and the longest that the films allow; of the most frequent labels at most `labels`.
    NaN where two labels never follow each other.
    """
    shortest_s, longest_s = label_lags_s(stream)
    possible = [lag_s for lag_s in sorted(lags_s) if shortest_s <= lag_s < longest_s] or [shortest_s]
    chosen = sorted({possible[0], possible[len(possible) // 2], possible[-1]})
    fewer = dataclasses.replace(config, labels=min(config.labels, labels))
    pairs: LabelPairs = label_pairs(stream, (0.0, *chosen), fewer)
    with np.errstate(divide="ignore"):
        strength = np.log2(times_as_often(pairs))
    maps = zip(chosen, strength[1:], strict=True)
    return {lag: pd.DataFrame(one, pairs.names, pairs.names).replace(-np.inf, np.nan) for lag, one in maps}
