"""What an estimator should find in a world: how long associations and pictures last, which looks are alike."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from semanticcmc.rdm import RDM, from_class_means
from semanticcmc.world.appearance import class_looks
from semanticcmc.world.classes import closeness, read_classes
from semanticcmc.world.config import WorldConfig
from semanticcmc.world.timeline import Themes, timelines

CHAINS = 20_000  # films of the long run of themes: a standard error of about .003
LONG_RUN_S = 400_000.0  # film time of the long run of shots


def truth(config: WorldConfig, lags_s: np.ndarray) -> pd.DataFrame:
    """Truth functions of a world by lag.

    Returns
    -------
    DataFrame
        `measure, lag_s, value`. Measures: ``association`` (`association`), ``appearance`` (the picture
        returns: same set-up of the same beat), and their parts ``same_shot, same_beat, same_scene``, the
        probabilities that two moments a lag apart share one.
    """
    shots = long_run(config)
    values = {
        "association": association(config, lags_s),
        "appearance": shared(shots, ["film", "beat", "setup"], lags_s),
        "same_shot": shared(shots, ["film", "beat", "shot"], lags_s),
        "same_beat": shared(shots, ["film", "beat"], lags_s),
        "same_scene": same_scene(config, lags_s),
    }
    tables = [pd.DataFrame({"measure": name, "lag_s": lags_s, "value": v}) for name, v in values.items()]
    return pd.concat(tables, ignore_index=True)


def same_scene(config: WorldConfig, lags_s: np.ndarray) -> np.ndarray:
    """Probability that two moments of a film a lag apart lie in one scene, in closed form.

    Scenes follow each other as a stationary renewal process of durations D, uniform between two bounds:
    E[(D - lag)+] / E[D] (Cox 1962, Renewal theory).
    """
    low, high = (config.time_scale * s for s in config.scene_s)
    lag = np.asarray(lags_s, dtype=np.float64)
    if high == low:
        return np.clip(1 - lag / low, 0, None)
    left = (np.clip(high - lag, 0, None) ** 2 - np.clip(low - lag, 0, None) ** 2) / 2 / (high - low)
    return left / ((low + high) / 2)


def scene_changes(config: WorldConfig, lags_s: np.ndarray, most: int) -> np.ndarray:
    """Probability of 0, 1, ... `most` changes of scene between two moments a lag apart, (lags, most + 1).

    The stationary renewal process of `same_scene`, its sums of durations convolved on a fine grid; the last
    column is `most` or more.
    """
    low, high = (config.time_scale * s for s in config.scene_s)
    lag = np.asarray(lags_s, dtype=np.float64)
    mean = (low + high) / 2
    step = mean / 400
    grid = (np.arange(int(np.ceil(max(lag.max(), high) / step)) + 2) + 0.5) * step
    duration = ((grid >= low) & (grid <= high)).astype(np.float64)
    if not duration.any():
        duration[np.argmin(np.abs(grid - mean))] = 1.0
    duration /= duration.sum()
    arrival = (1 - np.cumsum(duration) + duration / 2) * step / mean  # density of the first change
    at_least = [np.ones(len(lag))]
    for _ in range(most):
        at_least.append(np.interp(lag, np.append(0, grid + step / 2), np.append(0, np.cumsum(arrival))))
        arrival = np.convolve(arrival, duration)[: len(grid)]
        arrival = (arrival + np.append(0, arrival[:-1])) / 2  # both lie half a step into their bins
    less = np.array([*at_least[1:], np.zeros(len(lag))])
    return np.clip(np.array(at_least) - less, 0, 1).T


def association(config: WorldConfig, lags_s: np.ndarray) -> np.ndarray:
    """How much oftener than by chance two things seen a lag apart are of one category, as a share of that at lag 0.

    For an object seen at a time and an object of another class seen a lag later, both at random from the casts
    of the scenes: (P(same category) - P at an endless lag) / (P in one scene - P at an endless lag). Durations
    enter in closed form (`scene_changes`), the agreement of the themes of two scenes by a long run of their
    chain (`timeline.Themes`). Between the films of a world it is 0. With shuffled objects it is 0 at every
    lag. (A timeline's own scene casts differ from this by sampling alone.)

    Returns
    -------
    float64 array (lags,)
    """
    if config.shuffle_objects:
        return np.zeros(len(lags_s))
    agreement, chance = theme_agreement(config, lags_s)
    within = agreement[0]
    changes = scene_changes(config, lags_s, len(agreement) - 1)
    return changes @ (agreement - chance) / (within - chance)


def theme_agreement(config: WorldConfig, lags_s: np.ndarray) -> tuple[np.ndarray, float]:
    """P(same category | different classes) of members of casts 0, 1, ... scenes apart, and at an endless lag."""
    themes = Themes.of(config, closeness(read_classes(config)))
    n = len(themes.follow)
    apart = 2 + int(np.max(lags_s) / (config.time_scale * config.scene_s[0]))
    chain = themes.draw(config, config.generator("long run of themes"), CHAINS, apart)
    pairs = themes.accompany @ themes.accompany.T  # P(one category | two themes), members independent
    share = np.bincount(chain.ravel(), minlength=n) / chain.size
    agree = np.array([pairs[chain[:, 0], chain[:, k]].mean() for k in range(apart)])
    chance = share @ pairs @ share
    # Different classes: two casts may also agree in the class, one time in `classes_per_category`.
    same_class = 1 / config.classes_per_category
    other = lambda p: p * (1 - same_class) / (1 - p * same_class)  # noqa: E731
    return np.append(agree[0], other(agree[1:])), float(other(chance))


def long_run(config: WorldConfig) -> pd.DataFrame:
    """Shots of many films of a world of the same kind: `film, start_s, stop_s, shot, beat, scene, setup`."""
    films = max(2, round(LONG_RUN_S / config.film_duration_s))
    many = dataclasses.replace(config, films=films, shuffle_objects=False)
    return shot_table(timelines(many)).rename(columns={"movie_id": "film"})


def shot_table(films: list) -> pd.DataFrame:
    """Shots of timelines: `movie_id, start_s, stop_s, shot, beat, scene, theme, setup` (numbers)."""
    tables = [film.shots.assign(movie_id=film.movie_id, shot=np.arange(len(film.shots)),
                                theme=film.themes[film.shots["scene"].to_numpy()]) for film in films]  # fmt: skip
    columns = ["movie_id", "start_s", "stop_s", "shot", "beat", "scene", "theme", "setup"]
    return pd.concat(tables, ignore_index=True)[columns]


def shared(shots: pd.DataFrame, same: list[str], lags_s: np.ndarray) -> np.ndarray:
    """Share of time at which what is on stands also a lag later, exact over all moments of given shots.

    Parameters
    ----------
    shots : DataFrame
        Gapless within `film`.
    same : list of str
        Columns that must be equal at both moments.

    Returns
    -------
    float64 array (lags,)
        Of the moments whose film still runs a lag later.
    """
    key = shots.groupby(same, sort=False).ngroup().to_numpy()
    film = pd.factorize(shots["film"])[0]
    start, stop = shots["start_s"].to_numpy(), shots["stop_s"].to_numpy()
    duration = pd.Series(stop).groupby(film).max().to_numpy()
    lags = np.asarray(lags_s, dtype=np.float64)
    overlap = np.zeros(len(lags))
    for ahead in range(len(shots)):  # pairs of shots so many apart; none further apart share what is asked
        n = len(shots) - ahead
        a, b = np.arange(n), np.arange(n) + ahead
        a, b = a[key[a] == key[b]], b[key[a] == key[b]]
        if not len(a) and (ahead > 1 or len(same) < 3):
            break
        for i, lag in enumerate(lags):
            both = np.minimum(stop[a], stop[b] - lag) - np.maximum(start[a], start[b] - lag)
            overlap[i] += np.clip(both, 0, None).sum()
    total = np.clip(duration[None, :] - lags[:, None], 0, None).sum(1)
    return np.divide(overlap, total, out=np.full(len(lags), np.nan), where=total > 0)


def look_rdm(config: WorldConfig) -> RDM:
    """True perceptual distances of the classes: correlation distance of their look latents, by wnid."""
    return from_class_means(class_looks(config), tuple(read_classes(config)["wnid"]), distance="correlation")
