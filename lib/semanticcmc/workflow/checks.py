"""An experiment checked as a whole before its first job: its sections, and what these and files say of each other."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from semanticcmc.config import InputError
from semanticcmc.experiment import Experiment, repository_root

# Module and dataclass that each section of the YAML fills.
CONFIGURED_BY = {
    "world": "world.config:WorldConfig",
    "movies": "films.ingest:MoviesConfig",
    "labels": "labels.stream:LabelsConfig",
    "stimuli": "evaluation.config:StimuliConfig",
    "networks": "training.networks:NetworksConfig",
    "views": "training.views:ViewsConfig",
    "training": "training.recipe:TrainingConfig",
    "watch": "evaluation.config:WatchConfig",
    "activations": "evaluation.config:ActivationsConfig",
    "evaluation": "evaluation.config:EvaluationConfig",
    "timescales": "timescales.curves:TimescalesConfig",
    "classification": "evaluation.probes:ClassificationConfig",
}
NOT_CONFIGURED = {"world": ("films", "labels"), "movies": ("world", "labels"), "labels": ("world",)}  # by source
MOST_SEED = 2**32 - 1  # of NumPy's and scikit-learn's generators


def check_experiment(experiment: Experiment) -> None:
    """Fill every section's dataclass once, and hold sections and files against each other.

    An InputError names file, section, key, value and remedy; of faults between sections all at once.
    """
    from semanticcmc.training.recipe import choose_objective

    sections: dict[str, Any] = {}
    for section, place in CONFIGURED_BY.items():
        if experiment.source in NOT_CONFIGURED.get(section, ()) and section not in experiment.sections:
            continue
        module, config = place.split(":")
        config = getattr(importlib.import_module(f"semanticcmc.{module}"), config)
        sections[section] = experiment.section(section, config)
    for network in experiment.runs:
        if network.trained:
            choose_objective(experiment, network)
    faults = [*_files(experiment, sections)]
    if experiment.labels_alone:
        faults += _labels(sections)
    else:
        faults = [*_networks(experiment, sections), *_tested(experiment, sections), *faults]
    if faults:
        raise InputError(f"{experiment.file}: " + "\n  ".join(faults))


def _labels(sections: dict[str, Any]) -> Iterator[str]:
    """Faults of labels without films, whose files are opened here: nothing long has run before."""
    from semanticcmc.labels.ingest import film_sources
    from semanticcmc.timescales.decay import recommended_by

    config, looks = sections["labels"], sections["timescales"].looks
    if config.path is None:
        yield "labels.path is empty: give LABELS=<folder or file>"
        return
    try:
        recommended_by(looks if looks and looks.is_file() else None)
        if not (config.path / "labels.parquet").is_file() and len(films := film_sources(config.path, config)) < 2:
            yield f"labels.path {config.path}: labels of {films[0].movie_id} alone; associations need two films or more"
    except InputError as error:
        yield str(error)


def _networks(experiment: Experiment, sections: dict[str, Any]) -> Iterator[str]:
    """Faults of the networks' names and lags."""
    from semanticcmc.evaluation.config import planned_lag

    if not experiment.networks:
        yield "no network: name lags_s or baselines"
    named: dict[str, float] = {}
    for lag_s in experiment.lags_s:
        if (name := f"{lag_s:g}") in named:
            yield f"lags_s {named[name]!r} and {lag_s!r}: both are the network semantic_{name}s; keep one"
        named[name] = lag_s
    for seed in experiment.seeds:
        if seed > MOST_SEED:
            yield f"seeds {seed}: expected at most {MOST_SEED}"
    world = experiment.source == "world"
    step_s = sections["world"].frame_interval_s if world else 1 / sections["movies"].frames_per_s
    film_s = sections["world"].film_duration_s if world else math.inf
    for lag_s in sorted({network.lag_s for network in experiment.runs if network.lag_s > 0}):
        if lag_s < step_s:
            yield f"lags_s {lag_s:g}: shorter than the time between frames, {step_s:g} s"
        if lag_s * (1 + sections["training"].lag_tolerance) >= film_s:
            yield f"lags_s {lag_s:g}: with its tolerance longer than a film, {film_s:g} s"
    try:
        planned_lag(experiment)
    except InputError as error:
        yield str(error).removeprefix(f"{experiment.file}: ")


def _tested(experiment: Experiment, sections: dict[str, Any]) -> Iterator[str]:
    """Faults of the layers, and of the stimuli's conditions."""
    from semanticcmc.evaluation.conditions import MASKED
    from semanticcmc.training.networks import LAYERS

    tested = sections["activations"].layers
    if unknown := [layer for layer in tested if layer not in LAYERS]:
        yield f"activations.layers {unknown[0]}: no such layer; there are {', '.join(LAYERS)}"
    if experiment.primary_layer not in tested:
        yield f"primary_layer {experiment.primary_layer}: none of activations.layers, {', '.join(tested)}"
    masked = [condition for condition in sections["stimuli"].conditions if condition in MASKED]
    if masked and experiment.source == "world" and not sections["world"].stimuli_in_context:
        yield (f"stimuli.conditions {masked[0]}: exemplars on grey have no masks; set world.stimuli_in_context: true")


def _files(experiment: Experiment, sections: dict[str, Any]) -> Iterator[str]:
    """Faults of the files named: absent, no file, or not named where one is needed."""
    from semanticcmc.world.photographs import photographs
    from semanticcmc.world.themes import schemes

    evaluation, training, world = sections["evaluation"], sections["training"], sections.get("world")
    for wanted, read in (("photographs", photographs), ("company", schemes)):
        try:
            if world and wanted in (world.objects, world.theme_by):
                read(world)
        except InputError as error:
            yield str(error)
    named = {f"evaluation.model_files.{name}": file for name, file in evaluation.model_files.items()}
    named |= {"evaluation.categories": evaluation.categories, "training.warm_start": training.warm_start}
    if "supervised" in experiment.networks:
        if training.supervised_weights is None:
            yield "training.supervised_weights: null; name torchvision's AlexNet weights for the network supervised"
        named["training.supervised_weights"] = training.supervised_weights
    for section, key in (("labels", "nouns"), ("movies", "manifest")):
        named[f"{section}.{key}"] = getattr(sections.get(section), key, None)
    if (looks := sections["timescales"].looks) and not experiment.labels_alone:
        yield f"timescales.looks {looks}: is for labels without films (source: labels); looks of films are measured"
    named["timescales.looks"] = looks
    for key, file in named.items():
        if file and not (path := repository_root() / Path(file).expanduser()).is_file():
            yield f"{key} {file}: {'is no file' if path.exists() else 'no such file'}"
    for section, key in (("stimuli", "folder"), ("classification", "train"), ("classification", "test")):
        folder = getattr(sections[section], key)
        if folder and not (repository_root() / Path(folder).expanduser()).is_dir():
            yield f"{section}.{key} {folder}: no such folder"
    labelled = experiment.source == "world" or ("labels" in sections and sections["labels"].path)
    if "association" in evaluation.models and not labelled:
        yield "evaluation.models association: needs labels of the films (LABELS=<folder or file>, labels.path)"
