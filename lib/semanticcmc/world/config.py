"""The parameters of a world, and its independent streams of random numbers."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Annotated, Literal

import numpy as np

from semanticcmc.config import RISING, Count, JpegQuality, Natural, NotNegative, Positive, Rule, Section, Several, Share

OF_DRAWN = {"appearance_semantics": 0, "scene_background": 0, "class_places": 0, "other_views": "[]", "hum": "null"}
SpanS = Annotated[tuple[Positive, Positive], RISING]  # shortest and longest, seconds


@dataclasses.dataclass(frozen=True)
class WorldConfig(Section):
    """A miniature world: section ``world`` of an experiment, explained in base.yaml."""

    seed: Natural
    films: Count
    film_duration_s: Positive
    frame_interval_s: Positive
    image_px: Annotated[int, Rule("16 or more", lambda px: px >= 16)]
    jpeg_quality: JpegQuality
    objects: Literal["drawn", "photographs"]
    photographs: str | None
    exemplars: Count | None
    classes: str | None
    categories: Several
    classes_per_category: int
    unfilmed: Natural
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
    theme_by: Literal["category", "crossed", "mixed", "second_order", "company"]
    company: str | None
    crossed_share: Share
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
    other_views: tuple[Literal["flow", "segmentation", "pose", "tracks"], ...]
    hum: Literal["category", "shuffled"] | None

    def __post_init__(self) -> None:
        super().__post_init__()
        filmed = self.filmed_per_category
        if filmed < self.cast_size:
            less = f", of which {filmed} are filmed" if self.unfilmed else ""
            enough = f"cast_size ({self.cast_size}) or more: a theme may fill the cast"
            raise ValueError(f"classes_per_category {self.classes_per_category}{less}: expected {enough}")
        for name, none in OF_DRAWN.items():
            if self.objects == "photographs" and getattr(self, name):
                raise ValueError(f"{name} {getattr(self, name)}: of drawn objects alone; with photographs {none}")
        if self.objects == "drawn" and (self.photographs or self.exemplars):
            named = "photographs" if self.photographs else "exemplars"
            raise ValueError(f"{named} {getattr(self, named)}: expected null with objects drawn; or say photographs")
        if self.unfilmed and self.objects == "drawn" and not self.appearance_semantics:
            only = "expected above 0: unfilmed classes have nothing but looks in common with their category"
            raise ValueError(f"appearance_semantics {self.appearance_semantics}: {only}; or set unfilmed to 0")
        if self.theme_by != "category" and self.theme_relatedness:
            alike = f"expected 0 with theme_by {self.theme_by}: WordNet relates categories, not such themes"
            raise ValueError(f"theme_relatedness {self.theme_relatedness}: {alike}")
        if (self.theme_by == "company") != bool(self.company):
            expected = "a folder of labels with theme_by company, else null"
            raise ValueError(f"company {self.company}: expected {expected}")
        if self.theme_by in ("crossed", "mixed") and self.categories < filmed:
            apart = f"expected {filmed} or more, so that a crossed theme has no two classes of one"
            raise ValueError(f"categories {self.categories}: {apart}")
        if self.theme_by == "second_order" and (self.categories < 4 or self.categories % 2 or filmed % 2):
            halves = "expected an even number, 4 or more, each with an even number of filmed classes"
            raise ValueError(f"categories {self.categories}, {filmed} classes filmed of each: {halves}")

    @property
    def filmed_per_category(self) -> int:
        """Classes of each category that the films may show."""
        return self.classes_per_category - self.unfilmed

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
