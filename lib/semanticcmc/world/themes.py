"""Who may keep company: the themes of scenes, which classes they cast, and which theme follows which."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from semanticcmc.config import InputError, read_text_table
from semanticcmc.experiment import repository_root
from semanticcmc.labels.stream import read_labels
from semanticcmc.run import listed
from semanticcmc.world.classes import categories, closeness, is_filmed, read_classes
from semanticcmc.world.config import WorldConfig

WARM_UP = 12  # scenes before the first of a film
TOGETHER_S = 60  # labels of one such piece of a film are named together


@dataclasses.dataclass(frozen=True)
class Themes:
    """Themes of one kind, of which a scene has one: which follow and accompany each other, and whom they cast.

    `follow` and `accompany` (themes, themes), a row a scene's theme, grow with closeness in WordNet as
    exp(theme_relatedness * closeness), brought to equal sums of rows and columns, so that no theme is more common for
    having more relatives.
    """

    follow: np.ndarray  # weight of each theme as the next scene's, before the film's preference
    accompany: np.ndarray  # probability of each theme for a member of the scene's cast
    stream: str = "themes"  # of the random numbers that they are drawn from
    names: tuple[str, ...] = ()
    members: np.ndarray | None = None  # classes of each theme, bool (themes, classes)
    halves: np.ndarray | None = None  # of categories, if themes are made of them: each class's, (classes,)

    @classmethod
    def of(cls, config: WorldConfig, close: np.ndarray, *kind: Any) -> Themes:
        """From the closeness of the themes, categories or all alike (`classes.closeness`); `kind`: the other fields."""
        weights = np.exp(config.theme_relatedness * close)
        same = np.eye(len(close))
        others = _balanced(weights * (1 - same))
        stay = config.cast_from_theme
        return cls(_balanced(weights), stay * same + (1 - stay) * others, *kind)

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

    def cast(self, config: WorldConfig, generator: np.random.Generator, theme: int) -> np.ndarray:
        """Classes of a scene, int64 (cast_size,), no class twice.

        Each member's theme is drawn by `Themes.accompany`, its class at random among those not yet cast. Where themes
        overlap, a member is of the scene's theme or any other class. Where themes are made of halves of categories, a
        member that is not of the scene's theme is any class of the other categories; but of each category one half,
        drawn for the scene, is left out, so that halves never meet.
        """
        assert self.members is not None  # of a world's own themes
        weights = np.array([config.cast_from_theme, 1 - config.cast_from_theme])
        if self.halves is None and self.members.sum(0).max() > 1:
            group = np.where(self.members[theme], 0, 1)
        elif self.halves is None:
            weights = self.accompany[theme]
            group = np.where(self.members.any(0), self.members.argmax(0), -1)
        else:
            shown = 2 * np.arange(config.categories) + generator.integers(2, size=config.categories)
            of_theme = np.unique(self.halves[self.members[theme]])
            shown[of_theme // 2] = of_theme
            group = np.where(self.members[theme], 0, np.where(np.isin(self.halves, shown), 1, -1))
        order = generator.permutation(len(group))
        waiting = {g: list(order[group[order] == g]) for g in range(len(weights))}
        return np.array([waiting[g].pop() for g in generator.choice(len(weights), config.cast_size, p=weights)])


def schemes(config: WorldConfig) -> tuple[Themes, ...]:
    """A world's themes: of two kinds, categories and crossed ones, where `theme_by` is mixed; else of one.

    - category: the classes of a category.
    - crossed: class i of category c has theme (c + i) mod n, so that a theme has no two classes of a category.
    - second_order: categories 0 and 1, 2 and 3, ... are companions. A theme is a half of one and a half of the other:
      the halves of a category meet the same companions, and never each other.
    - company: a theme for each class, of those that a label stream names together with it most often (`company`).
    """
    classes = read_classes(config)
    if config.company:
        share = company(config.company, tuple(classes["wnid"]))
        nearest = np.lexsort((-share @ share, -share), axis=1)  # equals, such as never, by companions in common
        around = np.zeros(nearest.shape, dtype=bool)
        np.put_along_axis(around, nearest[:, : config.filmed_per_category], True, axis=1)
        titles = tuple(f"around {noun}" for noun in classes["noun"])
        return (Themes.of(config, np.zeros(around.shape), "themes", titles, around & is_filmed(config)),)
    names, category = categories(classes)
    n, filmed = len(names), is_filmed(config)
    place = np.arange(len(category)) % config.classes_per_category
    if config.theme_by == "second_order":
        halves = np.where(filmed, 2 * category + (2 * place >= config.filmed_per_category), -1)
        pairs = [(a, b) for c in range(0, n, 2) for a in (2 * c, 2 * c + 1) for b in (2 * c + 2, 2 * c + 3)]
        titles = tuple(" + ".join(f"{names[half // 2]} {half % 2 + 1}" for half in pair) for pair in pairs)
        members = np.array([np.isin(halves, pair) for pair in pairs])
        return (Themes.of(config, np.zeros((len(pairs), len(pairs))), "themes", titles, members, halves),)
    number, close = np.arange(n)[:, None], closeness(classes)
    by_category = Themes.of(config, close, "themes", tuple(names), (category == number) & filmed)
    members, titles = ((category + place) % n == number) & filmed, tuple(f"crossed {i + 1}" for i in range(n))
    crossed = Themes.of(config, close, "crossed themes", titles, members)
    return {"category": (by_category,), "crossed": (crossed,), "mixed": (by_category, crossed)}[config.theme_by]


@functools.lru_cache(maxsize=4)
def company(folder: str, wnids: tuple[str, ...]) -> np.ndarray:
    """How often a label stream names two classes in one minute of a film, as a share (classes, classes), 0 to 1.

    The minutes that name both over the geometric mean of those that name each (Ochiai 1957). `folder` has what the
    import of labels leaves: ``labels.parquet``, ``label_times.parquet`` and ``label_nouns.csv``. Raises InputError for
    another folder, or classes that are never named.
    """
    place = repository_root() / Path(folder).expanduser()
    nouns = read_text_table(place / "label_nouns.csv", ("label", "wnid"), "label")
    named = read_labels(place).labels[["movie_id", "label", "time_s"]]
    named = named.assign(wnid=named["label"].astype(object).map(dict(zip(nouns["label"], nouns["wnid"], strict=True))))
    named = named[named["wnid"].isin(wnids)].assign(minute=named["time_s"] // TOGETHER_S)
    if lacking := sorted(set(wnids) - set(named["wnid"])):
        raise InputError(f"{place} (world.company): never names {listed(lacking)}; leave them out of world.classes")
    seen = pd.crosstab([named["movie_id"].astype(str), named["minute"]], named["wnid"])[list(wnids)].clip(upper=1)
    together = seen.to_numpy().T @ seen.to_numpy()
    return together / np.sqrt(np.outer(together.diagonal(), together.diagonal()))


def _balanced(weights: np.ndarray) -> np.ndarray:
    """Rows and columns of a symmetric matrix brought to sum 1 (Sinkhorn and Knopp 1967), still symmetric."""
    scale = np.ones(len(weights))
    for _ in range(1000):
        scale = np.sqrt(scale / (weights @ scale))
    return scale[:, None] * weights * scale
