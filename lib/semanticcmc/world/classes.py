"""The world's classes: real nouns with their wnids, and how close their categories are in WordNet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from semanticcmc.config import InputError, package_table, read_text_table
from semanticcmc.experiment import repository_root
from semanticcmc.rsa.semantics import lch_similarities
from semanticcmc.world.config import WorldConfig


def read_classes(config: WorldConfig) -> pd.DataFrame:
    """Classes of a world: `wnid, noun, category` of its table or the package's, those of one category together.

    Raises InputError if the table has fewer categories or classes than `config` asks for, or is no such table.
    """
    path = package_table("world_classes.csv")
    if config.classes:
        path = repository_root() / Path(config.classes).expanduser()
    table = read_text_table(path, ("wnid", "noun", "category"), "wnid")[["wnid", "noun", "category"]]
    names = list(table["category"].unique())
    if config.categories > len(names):
        raise InputError(f"{path}: {len(names)} categories, {config.categories} asked for: world.categories")
    groups = [table[table["category"] == name] for name in names[: config.categories]]
    least = min(map(len, groups))
    if config.classes_per_category > least:
        raise InputError(
            f"{path}: {least} classes in a category, {config.classes_per_category} asked for: "
            "world.classes_per_category"
        )
    return pd.concat([group.head(config.classes_per_category) for group in groups], ignore_index=True)


def categories(classes: pd.DataFrame) -> tuple[list[str], np.ndarray]:
    """Names of the categories in their order, and the number of each class's category, int64 (classes,)."""
    names = list(classes["category"].unique())
    return names, classes["category"].map({name: i for i, name in enumerate(names)}).to_numpy(np.int64)


def is_filmed(config: WorldConfig) -> np.ndarray:
    """Whether films may show each class, bool (classes,): all but the last `unfilmed` of each category."""
    place = np.arange(config.classes_per_category)
    return np.tile(place < config.filmed_per_category, config.categories)


def closeness(classes: pd.DataFrame) -> np.ndarray:
    """How close two categories are: mean LCH similarity between their classes, 0 (furthest two) to 1 (closest two).

    Symmetric, (categories, categories). The diagonal, a category with itself, is 0 by convention: how often a theme
    follows itself is the film's preference alone.
    """
    names, category = categories(classes)
    similarity, member = lch_similarities(tuple(classes["wnid"])), np.eye(len(names))[category]
    between = member.T @ similarity @ member / np.outer(member.sum(0), member.sum(0))
    between = (between + between.T) / 2  # symmetric to the last bit
    apart = ~np.eye(len(between), dtype=bool)
    low, high = between[apart].min(), between[apart].max()
    return np.where(apart, (between - low) / (high - low) if high > low else 0.0, 0.0)
