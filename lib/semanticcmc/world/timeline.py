"""Courses of films: scenes with a theme and a cast, beats with two of the cast, shots from two set-ups."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from semanticcmc.world.config import WorldConfig
from semanticcmc.world.themes import Themes, schemes

TWO_SHOT, CLOSE_UP = 0, 1
SETUPS = ("two-shot", "close-up")
N_IN_BEAT = 2  # objects of the cast that share a beat


@dataclasses.dataclass(frozen=True)
class Timeline:
    """The course of one film. Scenes, beats and shots are numbered through the film, from 0.

    `shots` has `start_s, stop_s, beat, scene, setup` (0 two-shot, 1 close-up), one row a shot, gapless from 0 to the
    film's end. In whose place a beat plays, the first class that it was cast with, `shuffle_objects` leaves.
    """

    movie_id: str
    shots: pd.DataFrame
    themes: np.ndarray  # int64 (scenes,): theme of each, numbered through the world's schemes (`themes.schemes`)
    objects: np.ndarray  # int64 (beats, 2): classes in each; the two-shot shows both, the close-up the first
    place_classes: np.ndarray  # int64 (beats,): class in whose place each plays
    alone: bool = False  # a set-up shows one object, as photographs do: in place of the two-shot the second of the two

    def shot_at(self, times_s: np.ndarray) -> np.ndarray:
        """Number of the shot that runs at each time (start <= time < stop), int64."""
        return np.searchsorted(self.shots["start_s"].to_numpy(), times_s, side="right") - 1

    def visible(self, times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Classes in the picture: int64 (times, 2), and bool (times, 2) whether each is in view."""
        shots = self.shots.iloc[self.shot_at(times_s)]
        classes = self.objects[shots["beat"].to_numpy()]
        in_view = np.ones(classes.shape, dtype=bool)
        in_view[:, 1] = shots["setup"].to_numpy() == TWO_SHOT
        in_view[:, 0] = ~(in_view[:, 1] & self.alone)
        return classes, in_view


def timelines(config: WorldConfig) -> list[Timeline]:
    """Timelines of all films of a world."""
    of_world = schemes(config)
    films = [_film(config, of_world, i, movie_id) for i, movie_id in enumerate(config.movie_ids)]
    return _shuffled(config, films) if config.shuffle_objects else films


def pieces(generator: np.random.Generator, total_s: float, range_s: tuple[float, float]) -> np.ndarray:
    """Durations drawn uniformly from a range, then stretched together by one factor to fill `total_s` exactly."""
    count = max(1, round(2 * total_s / sum(range_s)))
    durations = generator.uniform(*range_s, count)
    return durations * (total_s / durations.sum())


def _film(config: WorldConfig, of_world: Sequence[Themes], index: int, movie_id: str) -> Timeline:
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
    chains = [one.draw(config, config.generator(one.stream, index), 1, scenes)[0] for one in of_world]
    crossed = config.generator("schemes", index).random(scenes) < config.crossed_share
    scheme = crossed * (len(of_world) - 1)
    theme = np.stack(chains)[scheme, np.arange(scenes)]
    while start < config.film_duration_s:
        cast = of_world[scheme[scene]].cast(config, generator, theme[scene])
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
    theme += scheme * len(of_world[0].names)
    themes, alone = theme[: shots["scene"].iloc[-1] + 1], config.objects == "photographs"
    return Timeline(movie_id, shots, themes, shown, shown[:, 0], alone)


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
