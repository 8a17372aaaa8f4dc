"""What an estimator should find in a world: how long associations and pictures last, which looks are alike."""

from __future__ import annotations

import dataclasses
import functools
import math
from pathlib import Path

import numpy as np
import pandas as pd

from semanticcmc.rsa.rdm import RDM, from_class_means
from semanticcmc.world.classes import is_filmed, read_classes
from semanticcmc.world.config import WorldConfig
from semanticcmc.world.objects import class_looks
from semanticcmc.world.themes import schemes
from semanticcmc.world.timeline import SETUPS, Timeline, timelines

CHAINS = 5_000  # films of the long run of themes, each over many scenes: a standard error of about .002
LONG_RUN_S = 100_000.0  # film time of the long run of shots: 11,000 shots


def truth(config: WorldConfig, lags_s: np.ndarray) -> pd.DataFrame:
    """Truth functions of a world by lag.

    `measure, lag_s, value`. Measures: ``association`` (`association`), ``appearance`` (the picture returns: same set-up
    of the same beat), and their parts ``same_shot, same_beat, same_scene``, the probabilities that two moments a lag
    apart share one.
    """
    shots = long_run(config)
    values = {
        "association": association(config, lags_s),
        "appearance": shared(shots, "setup", lags_s),
        "same_shot": shared(shots, "shot", lags_s),
        "same_beat": shared(shots, "beat", lags_s),
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
    """How much more often than by chance two things a lag apart are of one theme, as a share of that at lag 0.

    (P(lag) - P(far)) / (P(0) - P(far)), where P is the share that is of one theme among all pairs of different
    labels, one at a time and one a lag later in the same film, and far means an endless lag. The pairs are

    - within a beat: 2 where both moments are two-shots, 1 where one is, 0 where none is; that is 1 on average,
      since the first and the last are as frequent; of photographs, which show one at a time, 1 where set-ups differ;
    - between two beats: 1.5 x 1.5 on average (of photographs 1), less those of one class: 1 / cast_size of them in one
      scene, 1 / filmed_per_category of those of one theme between scenes.

    How often each occurs has a closed form for scenes (`scene_changes`) and follows from a long run for beats; how
    often themes agree, from `theme_agreement`. Where objects are shuffled the value is 0 at every lag; where a class
    has several themes (mixed, second_order, company), NaN.
    """
    if config.shuffle_objects:
        return np.zeros(len(lags_s))
    if config.theme_by in ("mixed", "second_order", "company"):
        return np.full(len(lags_s), np.nan)
    changes = scene_changes(config, lags_s, 1 + math.ceil(np.max(lags_s) / (config.time_scale * config.scene_s[0])))
    agree = theme_agreement(config, changes.shape[1])
    same_class = agree / config.filmed_per_category  # classes of a theme are cast alike
    same_class[0] = 1 / config.cast_size  # two beats of a scene
    alone = config.objects == "photographs"
    between = 1 if alone else 1.5**2
    pairs = changes * between * (1 - same_class[:-1])
    same_beat = np.minimum(shared(long_run(config), "beat", lags_s), changes[:, 0])
    within = same_beat - shared(long_run(config), "setup", lags_s) * alone
    pairs[:, 0] = within + (changes[:, 0] - same_beat) * between * (1 - same_class[0])
    agree[1:] *= (1 - 1 / config.filmed_per_category) / (1 - same_class[1:])  # of different classes
    near, far = agree[:-1], agree[-1]
    count = pairs.sum(1)
    found = np.divide(pairs @ (near - far), count, out=np.full(len(count), near[0] - far), where=count > 1e-12)
    return found / (near[0] - far)  # at lag 0 photographs have no pair: the limit of short lags


def theme_agreement(config: WorldConfig, scenes: int) -> np.ndarray:
    """P(one theme) of members of the casts of one scene, and of scenes 1, 2, ... apart, (scenes + 1,).

    From a long run of the chain of themes (`themes.Themes`), where each class has one; the last is for themes that
    are independent.
    """
    themes = schemes(config)[0]
    chain = themes.draw(config, config.generator("long run of themes"), CHAINS, 2 * scenes)
    one_theme = themes.accompany @ themes.accompany.T  # of two themes; members are drawn independently
    agree = [one_theme[chain[:, :scenes], chain[:, k : k + scenes]].mean() for k in range(scenes)]
    share = np.bincount(chain.ravel(), minlength=len(one_theme)) / chain.size
    return np.array([*agree, share @ one_theme @ share])


@functools.lru_cache(maxsize=4)
def long_run(config: WorldConfig) -> pd.DataFrame:
    """Shots of long films of the same kind as a world's (`shot_table`)."""
    # A film starts in the middle of things, so that its length does not matter here: few and long are quicker.
    few = dataclasses.replace(config, films=10, film_duration_s=LONG_RUN_S / 10, shuffle_objects=False)
    return shot_table(timelines(few))


def shot_table(films: list[Timeline]) -> pd.DataFrame:
    """Shots of timelines: `movie_id, start_s, stop_s, shot, beat, scene, theme, setup`, theme and set-up by number."""
    tables = [
        film.shots.assign(
            movie_id=film.movie_id, shot=np.arange(len(film.shots)), theme=film.themes[film.shots["scene"].to_numpy()]
        )
        for film in films
    ]
    columns = ["movie_id", "start_s", "stop_s", "shot", "beat", "scene", "theme", "setup"]
    return pd.concat(tables, ignore_index=True)[columns]


def shared(shots: pd.DataFrame, what: str, lags_s: np.ndarray) -> np.ndarray:
    """Share of the moments of shots (`shot_table`) that have the same shot, set-up or beat a lag later, (lags,).

    Exact, without sampling. `what` is shot, setup (the same only within a beat) or beat. Of those moments whose film
    still runs a lag later; NaN where there is none.
    """
    beat = shots.groupby(["movie_id", "beat"], sort=False).ngroup().to_numpy()
    same = shots[what].to_numpy()
    start, stop = shots["start_s"].to_numpy(), shots["stop_s"].to_numpy()
    lags = np.asarray(lags_s, dtype=np.float64)
    both = np.zeros(len(lags))
    for ahead in range(np.bincount(beat).max()):  # each shot with itself, the next, ...
        first = np.flatnonzero(
            (beat[: len(beat) - ahead] == beat[ahead:]) & (same[: len(beat) - ahead] == same[ahead:])
        )
        second = first + ahead
        for i, lag in enumerate(lags):
            overlap = np.minimum(stop[first], stop[second] - lag) - np.maximum(start[first], start[second] - lag)
            both[i] += np.clip(overlap, 0, None).sum()
    duration = shots.groupby("movie_id")["stop_s"].max().to_numpy()
    total = np.clip(duration - lags[:, None], 0, None).sum(1)
    return np.divide(both, total, out=np.full(len(lags), np.nan), where=total > 0)


def look_rdm(config: WorldConfig) -> RDM:
    """True perceptual distances of the classes: correlation distance of their look latents, by wnid."""
    return from_class_means(class_looks(config), tuple(read_classes(config)["wnid"]), distance="correlation")


def theme_rdm(config: WorldConfig) -> RDM:
    """True distances of the filmed classes by theme, 0 to 1, by wnid.

    1 less the probability that a scene's theme has the one class if it has the other: 0 in one theme, 1 in two. Where
    mixed, `crossed_share` in one category and 1 less it in one crossed theme; in second_order .5 between companions;
    of company 1 less the themes that have both over the geometric mean of those that have each.
    """
    same = np.zeros((config.categories * config.classes_per_category,) * 2)
    of_world = schemes(config)
    shares = (1 - config.crossed_share, config.crossed_share) if len(of_world) == 2 else (1.0,)
    for themes, share in zip(of_world, shares, strict=True):
        members = np.asarray(themes.members, dtype=np.float64)
        both = members.T @ members
        same += share * both / np.maximum(np.sqrt(np.outer(both.diagonal(), both.diagonal())), 1)
    return _filmed_rdm(config, 1 - same)


def met_rdm(config: WorldConfig, films: list[Timeline]) -> RDM:
    """Who met whom in timelines: 1 less the scenes that show both classes over the geometric mean of those of each.

    By wnid, of the filmed classes; 1 where two never met (or one is never seen). Ochiai's coefficient (1957).
    """
    shown = [np.zeros((len(film.themes), config.categories * config.classes_per_category)) for film in films]
    for film, scenes in zip(films, shown, strict=True):
        scenes[film.shots.groupby("beat")["scene"].first().to_numpy()[:, None], film.objects] = 1
    together = np.concatenate(shown).T @ np.concatenate(shown)
    of_each = np.sqrt(together.diagonal())
    return _filmed_rdm(config, 1 - together / np.maximum(np.outer(of_each, of_each), 1))


def _filmed_rdm(config: WorldConfig, distances: np.ndarray) -> RDM:
    filmed = np.flatnonzero(is_filmed(config))
    wnids = tuple(read_classes(config)["wnid"].iloc[filmed])
    return RDM(distances[np.ix_(filmed, filmed)][np.triu_indices(len(filmed), 1)], wnids)


def setups_of_a_place(index: pd.DataFrame, vectors: np.ndarray, shots: pd.DataFrame) -> float:
    """Likeness of a beat's two-shot and its close-up, above the film's base rate, over all such pairs of frames.

    Frames of the same set-up have a likeness of 1; but at lags of a shot or two the other set-up of the same place is
    in view, and shows part of the same. With this value c, the likeness of looks a lag apart should be ``P(same set-up)
    + c (P(same beat) - P(same set-up))``, if frames of a set-up were all alike. `index` has `movie_id, time_s`, one row
    a frame; `vectors` (N, d) are pictures, brought to mean 0 and length 1; `shots` is ``world/shots.parquet``.
    """
    product = pairs = own = 0.0
    for movie_id, rows in index.groupby("movie_id").indices.items():
        film = shots[shots["movie_id"] == movie_id].sort_values("start_s")
        shot = np.searchsorted(film["start_s"].to_numpy(), index["time_s"].to_numpy()[rows], side="right") - 1
        beat = film["beat"].to_numpy()[shot]
        setup = pd.Index(SETUPS).get_indexer(pd.Index(film["setup"]))[shot]
        frames = np.asarray(vectors[rows], dtype=np.float64)
        sums = np.zeros((2, beat.max() + 1, frames.shape[1]))
        counts = np.zeros((2, beat.max() + 1))
        np.add.at(sums, (setup, beat), frames)
        np.add.at(counts, (setup, beat), 1)
        product += (sums[0] * sums[1]).sum()
        pairs += counts[0] @ counts[1]
        own += len(rows) * (frames.mean(axis=0) ** 2).sum()
    base = own / len(index)
    return float((product / pairs - base) / (1 - base)) if pairs else math.nan


def true_persistence(truth: Path, shots: Path, index: pd.DataFrame, vectors: np.ndarray) -> tuple[pd.DataFrame, float]:
    """What persistence should be measured in a world: ``lag_s, measure, value`` of looks and associations.

    `truth` is ``world/truth.csv``, `shots` ``world/shots.parquet``. Beside the table is what a place's two set-ups show
    alike (`setups_of_a_place`, of `index` and `vectors`), which the truth of looks takes into account.
    """
    known = pd.read_csv(truth).pivot(index="lag_s", columns="measure", values="value")
    shared = setups_of_a_place(index, vectors, pd.read_parquet(shots))
    known["appearance"] += shared * (known["same_beat"] - known["appearance"])
    measures = known[["appearance", "association"]]
    return measures.melt(var_name="measure", ignore_index=False).reset_index(), shared
