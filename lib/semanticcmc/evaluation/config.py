"""Settings of stimuli, activations and tests: the sections of an experiment's YAML that evaluation reads."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from semanticcmc.evaluation.conditions import CONDITIONS
from semanticcmc.experiment import Experiment, Network
from semanticcmc.rsa.semantics import WORDNET_MODELS


@dataclasses.dataclass(frozen=True)
class StimuliConfig:
    """How stimuli are read: section ``stimuli`` of an experiment, explained in base.yaml."""

    folder: Path | None
    size_px: int
    images_per_class: int | None
    conditions: tuple[str, ...]
    blur_sigma_px: float
    masked_grey: int

    def __post_init__(self) -> None:
        if self.size_px < 8:
            raise ValueError(f"size_px {self.size_px}: at least 8 pixels")
        if self.images_per_class is not None and self.images_per_class < 1:
            raise ValueError(f"images_per_class {self.images_per_class}: at least 1, or nothing for all")
        if unknown := [condition for condition in self.conditions if condition not in CONDITIONS]:
            raise ValueError(f"conditions: {unknown[0]!r} is none of {', '.join(CONDITIONS)}")
        if "intact" not in self.conditions or len(set(self.conditions)) != len(self.conditions):
            raise ValueError(f"conditions {list(self.conditions)}: each once, intact among them")
        if not 0 < self.blur_sigma_px < math.inf:
            raise ValueError(f"blur_sigma_px {self.blur_sigma_px}: above 0")
        if not 0 <= self.masked_grey <= 255:
            raise ValueError(f"masked_grey {self.masked_grey}: 0 (black) to 255 (white)")


@dataclasses.dataclass(frozen=True)
class ActivationsConfig:
    """What is taken from a network's activations: section ``activations`` of an experiment, explained in base.yaml."""

    layers: tuple[str, ...]
    spatial_mean: bool
    batch_size: int
    decoding_features: int
    decoding_folds: int
    decoding_neighbours: int

    def __post_init__(self) -> None:
        if not self.layers or len(set(self.layers)) != len(self.layers):
            raise ValueError(f"layers {list(self.layers)}: at least one, none twice")
        least_of = {"batch_size": 1, "decoding_features": 1, "decoding_folds": 2, "decoding_neighbours": 1}
        for name, least in least_of.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} {getattr(self, name)}: at least {least}")


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """How RDMs are tested: section ``evaluation`` of an experiment, explained in base.yaml."""

    distance: Literal["correlation", "spearman", "euclidean", "cosine"]
    method: Literal["pearson", "spearman"]
    alternative: Literal["greater", "less", "two-sided"]
    permutations: int
    bootstrap_samples: int
    confidence: float
    models: tuple[str, ...]
    model_files: Mapping[str, str]
    categories: Path | None
    controls: tuple[Literal["none", "random", "cmc_lab", "look"], ...]
    random_seeds: tuple[int, ...]
    seed: int

    def __post_init__(self) -> None:
        if self.permutations < 1:
            raise ValueError(f"permutations {self.permutations}: at least 1")
        if self.bootstrap_samples < 0:
            raise ValueError(f"bootstrap_samples {self.bootstrap_samples}: 0 (no intervals) or more")
        if not 0 < self.confidence < 1:
            raise ValueError(f"confidence {self.confidence}: between 0 and 1, for instance 0.95")
        for key, values in (("models", self.models), ("controls", self.controls)):
            if not values or len(set(values)) != len(values):
                raise ValueError(f"{key} {list(values)}: at least one, each once")
        own = (*WORDNET_MODELS, "category", "association")
        if unknown := [name for name in self.models if name not in own and name not in self.model_files]:
            raise ValueError(f"models: {unknown[0]!r} is none of {', '.join(own)}, nor a name in model_files")
        if taken := [name for name in self.model_files if name in own]:
            raise ValueError(f"model_files: {taken[0]!r} is a model already; give the file another name")
        if len(set(self.random_seeds)) != len(self.random_seeds) or min(self.random_seeds, default=0) < 0:
            raise ValueError(f"random_seeds {list(self.random_seeds)}: each once, none below 0")
        if self.seed < 0:
            raise ValueError(f"seed {self.seed}: 0 or more")


def control_seeds(experiment: Experiment) -> tuple[int, ...]:
    """Seeds of the untrained networks whose mean RDM is the control `random`."""
    config = experiment.section("evaluation", EvaluationConfig)
    return tuple(sorted({*config.random_seeds, *experiment.seeds}))


def control_networks(experiment: Experiment) -> tuple[Network, ...]:
    """The untrained networks whose mean RDM is the control `random`; none where it is no control."""
    if "random" not in experiment.section("evaluation", EvaluationConfig).controls:
        return ()
    return tuple(experiment.network("random", seed) for seed in control_seeds(experiment))
