"""The parameters of a world, the name of a mask, and a world's independent streams of random numbers."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

MASK_SUFFIX = ".mask.png"  # of every stimulus: those of the world, and what users have beside their images


def mask_file(image: str | Path) -> Path:
    """Where the mask of an image lies: ``<name without suffix>.mask.png`` beside it."""
    return Path(image).with_suffix(MASK_SUFFIX)


@dataclasses.dataclass(frozen=True)
class WorldConfig:
    """Parameters of a miniature world. Ranges are (least, most), drawn from uniformly.

    Attributes
    ----------
    seed : int
        The world: looks, films and stimuli. Another seed is another world of the same kind.
    films : int
        Number of films.
    film_duration_s : float
        Duration of each film, s.
    frame_interval_s : float
        Time from one frame to the next, s.
    image_px : int
        Width and height of frames and stimuli, px.
    jpeg_quality : int
        1 to 95.
    categories, classes_per_category : int
        How many of the categories of ``semanticcmc/data/world_classes.csv``, and of the classes of each,
        counted from the top of that table.
    appearance_semantics : float
        Rho, 0 to 1: the share of the variance of look latents that a category's classes have in common.
    instance_noise : float
        Standard deviation of what every appearance of an object adds to its class's look latent (unit variance).
    film_grade : float
        Strength of each film's colour grade, 0 (none) to 1.
    scene_background : float
        Share, 0 to 1, of the place's variance that belongs to the scene; the rest changes with each beat.
    class_places : float
        Share, 0 to 1, of the place's variance that belongs to a class: the first that the beat was cast with,
        before any shuffling. 0: any class may be shown anywhere. 1: each class has its own place. With
        `shuffle_objects` the places alone then tell the theme; without either, the objects alone.
    time_scale : float
        Factor on the durations of beats and scenes (not of shots).
    scene_s, beat_s, shot_s : (float, float)
        Durations, s.
    cast_size : int
        Number of objects (of different classes) in a scene.
    cast_from_theme : float
        Probability that a member of the cast is of the scene's theme (a category).
    theme_scenes : float
        Time constant of a film's preference for themes, scenes.
    theme_preference : float
        Strength of that preference: standard deviation of a theme's log odds. 0: none.
    theme_relatedness : float
        How much likelier the closest other category is to come next, or to lend a member to the cast, than
        the furthest one: log of the ratio of their weights, linear in LCH similarity between. 0: all alike.
    shuffle_objects : bool
        Distribute the objects at random over all beats of all films: looks, times and how often each class is seen
        stay, associations are destroyed.
    label_interval_s : float
        Time from one set of labels to the next, s.
    label_misses : float
        Probability that an object in view gets no label, by label set.
    label_false_alarms : float
        Probability that a label set holds a label of a class not in view.
    stimuli_per_class : int
        Number of exemplars of each class, none of which is seen in a film.
    stimuli_in_context : bool
        Exemplars are shown in a place of their class, with a mask beside each; otherwise isolated, on grey.
    """

    seed: int
    films: int
    film_duration_s: float
    frame_interval_s: float
    image_px: int
    jpeg_quality: int
    categories: int
    classes_per_category: int
    appearance_semantics: float
    instance_noise: float
    film_grade: float
    scene_background: float
    class_places: float
    time_scale: float
    scene_s: tuple[float, float]
    beat_s: tuple[float, float]
    shot_s: tuple[float, float]
    cast_size: int
    cast_from_theme: float
    theme_scenes: float
    theme_preference: float
    theme_relatedness: float
    shuffle_objects: bool
    label_interval_s: float
    label_misses: float
    label_false_alarms: float
    stimuli_per_class: int
    stimuli_in_context: bool

    def __post_init__(self) -> None:
        def check(expected: str, holds: Callable[[Any], bool], *names: str) -> None:
            for name in names:
                if not holds(value := getattr(self, name)):
                    raise ValueError(f"{name}: expected {expected}, found {value}")

        check("0 or more", lambda v: v >= 0, "seed")
        check("1 or more", lambda v: v >= 1, "films", "stimuli_per_class")
        check("16 or more", lambda v: v >= 16, "image_px")
        check("1 to 95", lambda v: 1 <= v <= 95, "jpeg_quality")
        check("above 0", lambda v: 0 < v < math.inf, "film_duration_s", "frame_interval_s", "label_interval_s")
        check("above 0", lambda v: 0 < v < math.inf, "time_scale", "theme_scenes")
        check("0 to 1", lambda v: 0 <= v <= 1, "appearance_semantics", "film_grade", "scene_background", "class_places")
        check("0 to 1", lambda v: 0 <= v <= 1, "cast_from_theme", "label_misses", "label_false_alarms")
        check("0 or more", lambda v: 0 <= v < math.inf, "instance_noise", "theme_preference", "theme_relatedness")
        check("[least, most], least above 0", lambda v: 0 < v[0] <= v[1] < math.inf, "scene_s", "beat_s", "shot_s")
        check("2 or more", lambda v: v >= 2, "categories")
        check("2 or more: a beat has two of the cast", lambda v: v >= 2, "cast_size")
        enough = f"cast_size ({self.cast_size}) or more: a theme may fill the cast"
        check(enough, lambda v: v >= self.cast_size, "classes_per_category")

    @property
    def movie_ids(self) -> tuple[str, ...]:
        """``film-01`` and so on, whose order as text is their order."""
        digits = max(2, len(str(self.films)))
        return tuple(f"film-{i + 1:0{digits}}" for i in range(self.films))

    @property
    def n_frames(self) -> int:
        """Frames of each film: at 0, `frame_interval_s`, ... and before its end."""
        return int(np.ceil(self.film_duration_s / self.frame_interval_s - 1e-9))

    @property
    def times_s(self) -> np.ndarray:
        """Seconds of each film's frames, float64 (n_frames,)."""
        return np.arange(self.n_frames) * self.frame_interval_s

    def generator(self, stream: str, *index: int) -> np.random.Generator:
        """A stream of random numbers of its own: a change in one part of the world leaves the others as they are."""
        word = int.from_bytes(hashlib.sha256(stream.encode()).digest()[:4], "big")
        return np.random.default_rng([self.seed, word, *index])
