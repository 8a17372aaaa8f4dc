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
    """A miniature world: section ``world`` of an experiment, explained in base.yaml."""

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
