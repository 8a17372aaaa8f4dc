"""The parameters of a world, the name of a mask, and a world's independent streams of random numbers."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Annotated

import numpy as np

from semanticcmc.config import RISING, Count, JpegQuality, Natural, NotNegative, Positive, Rule, Section, Several, Share

SpanS = Annotated[tuple[Positive, Positive], RISING]  # shortest and longest, seconds
MASK_SUFFIX = ".mask.png"  # of every stimulus: those of the world, and what users have beside their images


def mask_file(image: str | Path) -> Path:
    """Where the mask of an image lies: ``<name without suffix>.mask.png`` beside it."""
    return Path(image).with_suffix(MASK_SUFFIX)


@dataclasses.dataclass(frozen=True)
class WorldConfig(Section):
    """A miniature world: section ``world`` of an experiment, explained in base.yaml."""

    seed: Natural
    films: Count
    film_duration_s: Positive
    frame_interval_s: Positive
    image_px: Annotated[int, Rule("16 or more", lambda px: px >= 16)]
    jpeg_quality: JpegQuality
    categories: Several
    classes_per_category: int
    appearance_semantics: Share
    instance_noise: NotNegative
    film_grade: Share
    scene_background: Share
    class_places: Share
    time_scale: Positive
    scene_s: SpanS
    beat_s: SpanS
    shot_s: SpanS
    cast_size: Annotated[int, Rule("2 or more: a beat has two of the cast", lambda size: size >= 2)]
    cast_from_theme: Share
    theme_scenes: Positive
    theme_preference: NotNegative
    theme_relatedness: NotNegative
    shuffle_objects: bool
    label_interval_s: Positive
    label_misses: Share
    label_false_alarms: Share
    stimuli_per_class: Count
    stimuli_in_context: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.classes_per_category < self.cast_size:
            enough = f"cast_size ({self.cast_size}) or more: a theme may fill the cast"
            raise ValueError(f"classes_per_category {self.classes_per_category}: expected {enough}")

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
