"""Courses of films: scenes with a theme and a cast, beats with two of the cast, shots from two set-ups."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from semanticcmc.world.classes import categories, closeness, read_classes
from semanticcmc.world.config import WorldConfig

TWO_SHOT, CLOSE_UP = 0, 1
SETUPS = ("two-shot", "close-up")
N_IN_BEAT = 2  # objects of the cast that share a beat
WARM_UP = 12  # scenes before the first of a film


@dataclasses.dataclass(frozen=True)
class Timeline:
    """The course of one film. Scenes, beats and shots are numbered through the film, from 0.

    Attributes
    ----------
    shots : DataFrame
        `start_s, stop_s, beat, scene, setup` (0 two-shot, 1 close-up), one row a shot, gapless from 0 to the
        film's end; its row number is the shot's number.
    themes : int64 array (scenes,)
        Category of each scene.
    objects : int64 array (beats, 2)
        Classes in each beat. The two-shot shows both, the close-up the first.
    place_classes : int64 array (beats,)
        Class in whose place each beat plays: the first that it was cast with. `shuffle_objects` leaves it.
    """

    movie_id: str
    shots: pd.DataFrame
    themes: np.ndarray
    objects: np.ndarray
    place_classes: np.ndarray

    def shot_at(self, times_s: np.ndarray) -> np.ndarray:
        """Number of the shot that runs at each time (start <= time < stop), int64."""
        return np.searchsorted(self.shots["start_s"].to_numpy(), times_s, side="right") - 1

    def visible(self, times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Classes in the picture: int64 (times, 2), and bool (times, 2) whether each is in view."""
        shots = self.shots.iloc[self.shot_at(times_s)]
        classes = self.objects[shots["beat"].to_numpy()]
        in_view = np.ones(classes.shape, dtype=bool)
        in_view[:, 1] = shots["setup"].to_numpy() == TWO_SHOT
        return classes, in_view


def timelines(config: WorldConfig) -> list[Timeline]:
    """Timelines of all films of a world."""
    classes = read_classes(config)
    themes = Themes.of(config, closeness(classes))
    category = categories(classes)[1]
    films = [_film(config, themes, category, i, movie_id) for i, movie_id in enumerate(config.movie_ids)]
    return _shuffled(config, films) if config.shuffle_objects else films


@dataclasses.dataclass(frozen=True)
class Themes:
    """Which categories follow and accompany each other, two tables (categories, categories), a row a scene's theme.

    Both grow with closeness in WordNet as exp(theme_relatedness * closeness), brought to equal sums of rows
    and columns, so that no category is more common for having more relatives.
    """

    follow: np.ndarray  # weight of each category as the next scene's theme, before the film's preference
    accompany: np.ndarray  # probability of each category for a member of the scene's cast

    @classmethod
    def of(cls, config: WorldConfig, close: np.ndarray) -> Themes:
        """From the closeness of the categories (`classes.closeness`)."""
        weights = np.exp(config.theme_relatedness * close)
        same = np.eye(len(close))
        others = _balanced(weights * (1 - same))
        stay = config.cast_from_theme
        return cls(_balanced(weights), stay * same + (1 - stay) * others)

    def draw(self, config: WorldConfig, generator: np.random.Generator, chains: int, scenes: int) -> np.ndarray:
        """Themes of the successive scenes of `chains` films, int64 (chains, scenes).

        A film prefers some themes for a while: log odds of each follow an AR(1) over scenes, standard
        deviation `theme_preference`, time constant `theme_scenes`. They multiply the weights of `follow`.
        `WARM_UP` scenes go by before the first, so that a film starts in the middle of things.
        """
        keep = np.exp(-1 / config.theme_scenes)
        shape = (chains, len(self.follow))
        themes = np.empty((chains, WARM_UP + scenes), dtype=np.int64)
        preference, follow = generator.normal(size=shape), np.ones(shape)
        for scene in range(WARM_UP + scenes):
            share = np.cumsum(follow * np.exp(config.theme_preference * preference), axis=1)
            themes[:, scene] = (generator.random((chains, 1)) * share[:, -1:] >= share).sum(1)
            follow = self.follow[themes[:, scene]]
            preference = keep * preference + np.sqrt(1 - keep**2) * generator.normal(size=shape)
        return themes[:, WARM_UP:]


def _balanced(weights: np.ndarray) -> np.ndarray:
    """Rows and columns of a symmetric matrix brought to sum 1 (Sinkhorn and Knopp 1967), still symmetric."""
    scale = np.ones(len(weights))
    for _ in range(1000):
        scale = np.sqrt(scale / (weights @ scale))
    return scale[:, None] * weights * scale


def pieces(generator: np.random.Generator, total_s: float, range_s: tuple[float, float]) -> np.ndarray:
    """Durations drawn uniformly from a range, then stretched together by one factor to fill `total_s` exactly."""
    count = max(1, round(2 * total_s / sum(range_s)))
    durations = generator.uniform(*range_s, count)
    return durations * (total_s / durations.sum())


def _film(config: WorldConfig, themes: Themes, category: np.ndarray, index: int, movie_id: str) -> Timeline:
    generator = config.generator("timeline", index)
    low, high = (config.time_scale * s for s in config.scene_s)
    beat_s = (config.time_scale * config.beat_s[0], config.time_scale * config.beat_s[1])
    # The film opens in the middle of a scene, as a moment picked at random finds it (long scenes are found
    # more often), so that nothing depends on the time since the film's start.
    duration = np.sqrt(generator.uniform(low**2, high**2))
    start = -generator.uniform(0, duration)
    objects: list[np.ndarray] = []
    rows, scene = [], 0
    scenes = 2 + int(config.film_duration_s / low)
    theme = themes.draw(config, config.generator("themes", index), 1, scenes)[0]
    while start < config.film_duration_s:
        cast = _cast(generator, config, themes.accompany[theme[scene]], category)
        beat_start = start
        for beat_duration in pieces(generator, duration, beat_s):
            beat, shot_start = len(objects), beat_start
            objects.append(generator.permutation(cast)[:N_IN_BEAT])
            setup = int(generator.integers(2))
            for shot_duration in pieces(generator, beat_duration, config.shot_s):
                rows.append((shot_start, shot_start + shot_duration, beat, scene, setup))
                shot_start, setup = shot_start + shot_duration, 1 - setup
            beat_start += beat_duration
        start += duration
        duration = generator.uniform(low, high)
        scene += 1
    # Keep 0 to the film's end, and number beats and scenes from there.
    shots = pd.DataFrame(rows, columns=["start_s", "stop_s", "beat", "scene", "setup"])
    shots["start_s"] = shots["start_s"].clip(lower=0.0)
    shots["stop_s"] = shots["stop_s"].clip(upper=config.film_duration_s)
    shots = shots[shots["stop_s"] - shots["start_s"] > 1e-9].reset_index(drop=True)
    shots["stop_s"] = [*shots["start_s"][1:], config.film_duration_s]  # gapless, whatever the sums were rounded to
    first, last = shots["beat"].iloc[[0, -1]]
    shots["beat"] -= first
    shown = np.array(objects)[first : last + 1]
    return Timeline(movie_id, shots, theme[: shots["scene"].iloc[-1] + 1], shown, shown[:, 0])


def _cast(generator: np.random.Generator, config: WorldConfig, weights: np.ndarray, category: np.ndarray) -> np.ndarray:
    """Different classes: category of each member by `weights`, class at random among those not yet cast."""
    order = generator.permutation(len(category))
    waiting = {c: list(order[category[order] == c]) for c in range(len(weights))}
    return np.array([waiting[c].pop() for c in generator.choice(len(weights), config.cast_size, p=weights)])


def _shuffled(config: WorldConfig, films: list[Timeline]) -> list[Timeline]:
    """Distribute the objects of all beats at random, no class twice in a beat."""
    generator = config.generator("shuffle")
    objects = generator.permutation(np.concatenate([film.objects for film in films]).ravel())
    objects = objects.reshape(-1, N_IN_BEAT)
    while (twice := np.flatnonzero(objects[:, 0] == objects[:, 1])).size:
        other = generator.integers(len(objects), size=twice.size)
        for a, b in zip(twice, other, strict=True):  # swap with any beat; repeat until none is left
            objects[a, 1], objects[b, 1] = objects[b, 1], objects[a, 1]
    ends = np.cumsum([len(film.objects) for film in films])[:-1]
    return [dataclasses.replace(film, objects=part) for film, part in zip(films, np.split(objects, ends), strict=True)]
