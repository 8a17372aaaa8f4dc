"""Semantic models of an experiment: which files hold its categories, its associations and matrices of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from semanticcmc.config import existing, package_table
from semanticcmc.experiment import Experiment, repository_root
from semanticcmc.rsa.rdm import RDM
from semanticcmc.rsa.semantics import model_rdm

MADE = {
    "association": (Path("rdms", "association.parquet"), "notebook 01 makes it for films with labels"),
    "theme": (Path("world", "theme_rdm.parquet"), "semanticcmc world makes it of a drawn world; other films have none"),
}
"""Models that an experiment makes: their file in its folder, and what makes it."""


def category_table(experiment: Experiment) -> Path:
    """Table of an experiment's superordinate categories.

    One of the user's own (``evaluation.categories``), else the world's classes where the films are the world's, else
    ``semanticcmc/data/categories.csv``.
    """
    own = experiment.sections.get("evaluation", {}).get("categories")
    if own:
        return repository_root() / own
    if experiment.source == "world":
        return experiment.folder / "world" / "classes.csv"
    return package_table("categories.csv")


def experiment_model(model: str, classes: Sequence[str], experiment: Experiment, model_files: Mapping[str, str]) -> RDM:
    """Semantic model, by name, of an experiment's classes, as `rsa.semantics.model_rdm` gives it.

    Besides ``category``, ``lch``, ``path`` and ``wu_palmer`` there are ``association``, of the labels of the
    experiment's films, and ``theme``, of a world's scenes (`MADE`), and the keys of `model_files`, paths relative to
    the repository; `classes` are wnids. Raises InputError if the associations or themes are missing, and as
    `rsa.semantics.model_rdm` does.
    """
    if model == "category":
        return model_rdm(model, classes, category_table(experiment))
    if model in model_files:
        return model_rdm(model, classes, repository_root() / model_files[model])
    if model not in MADE:
        return model_rdm(model, classes)
    file, made_by = MADE[model]
    return model_rdm(model, classes, existing(experiment.folder / file, made_by))
