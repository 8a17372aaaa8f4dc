"""Settings of stimuli, activations and tests: the sections of an experiment's YAML that evaluation reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from semanticcmc.config import DISTINCT, SOME, Confidence, Count, InputError, Natural, Positive, Rule, Section, Several
from semanticcmc.evaluation.conditions import CONDITIONS
from semanticcmc.experiment import Experiment, Network
from semanticcmc.rsa.semantics import WORDNET_MODELS

CONTROLS = ("random", "cmc_lab", "look", "augment", "shortest_lag")  # and models, and semantic networks
AND = " + "  # between controls that are partialled out at once
LAGGED = "semantic_"
Method = Literal["pearson", "spearman"]
METHODS = get_args(Method)


@dataclasses.dataclass(frozen=True)
class StimuliConfig(Section):
    """How stimuli are read: section ``stimuli`` of an experiment, explained in base.yaml."""

    folder: Path | None
    size_px: Annotated[int, Rule("8 pixels or more", lambda px: px >= 8)]
    images_per_class: Count | None
    conditions: Annotated[tuple[str, ...], Rule("intact among them", lambda names: "intact" in names), DISTINCT]
    blur_sigma_px: Positive
    masked_grey: Annotated[int, Rule("0 (black) to 255 (white)", lambda grey: 0 <= grey <= 255)]

    def __post_init__(self) -> None:
        super().__post_init__()
        if unknown := [condition for condition in self.conditions if condition not in CONDITIONS]:
            raise ValueError(f"conditions: {unknown[0]!r} is none of {', '.join(CONDITIONS)}")


@dataclasses.dataclass(frozen=True)
class ActivationsConfig(Section):
    """What is taken from a network's activations: section ``activations`` of an experiment, explained in base.yaml."""

    layers: Annotated[tuple[str, ...], SOME, DISTINCT]
    spatial_mean: bool
    batch_size: Count
    decoding_features: Count
    decoding_folds: Several
    decoding_neighbours: Count


@dataclasses.dataclass(frozen=True)
class WatchConfig(Section):
    """Which stimuli a network in training is shown: section ``watch`` of an experiment, explained in base.yaml."""

    every: Count | None  # None: no stimuli
    images_per_class: Several


@dataclasses.dataclass(frozen=True)
class EvaluationConfig(Section):
    """How RDMs are tested: section ``evaluation`` of an experiment, explained in base.yaml."""

    distance: Literal["correlation", "spearman", "euclidean", "cosine"]
    method: Method
    alternative: Literal["greater", "less", "two-sided"]
    partial: Literal["smouse", "dsp"]
    permutations: Count
    bootstrap_samples: Natural  # 0: no intervals
    confidence: Confidence
    models: Annotated[tuple[str, ...], SOME, DISTINCT]
    model_files: Mapping[str, str]
    categories: Path | None
    controls: Annotated[tuple[str, ...], SOME, DISTINCT]
    planned_lag_s: Positive | None
    random_seeds: Annotated[tuple[Natural, ...], DISTINCT]
    seed: Natural

    def __post_init__(self) -> None:
        super().__post_init__()
        own = (*WORDNET_MODELS, "category", "association", "theme")
        if unknown := [name for name in self.models if name not in own and name not in self.model_files]:
            raise ValueError(f"models: {unknown[0]!r} is none of {', '.join(own)}, nor a name in model_files")
        if taken := [name for name in self.model_files if name in own]:
            raise ValueError(f"model_files: {taken[0]!r} is a model already; give the file another name")
        known = (*CONTROLS, *own, *self.model_files)
        parts = [part for control in self.controls if control != "none" for part in control.split(AND)]
        if unknown := [part for part in parts if part not in known and not part.startswith(LAGGED)]:
            raise ValueError(
                f"controls: {unknown[0]!r} is none of none, {', '.join(known)}, nor a network such as {LAGGED}1s; "
                f"several at once are joined by {AND!r}, as in look{AND}association"
            )

    @property
    def of_tests(self) -> dict[str, Any]:
        """What the section says of a Mantel test, as arguments of `rsa.mantel.mantel_table`."""
        names = ("permutations", "alternative", "method", "seed", "bootstrap_samples", "confidence", "partial")
        return {name: getattr(self, name) for name in names}


def control_seeds(experiment: Experiment) -> tuple[int, ...]:
    """Seeds of the untrained networks whose mean RDM is the control `random`."""
    config = experiment.section("evaluation", EvaluationConfig)
    return tuple(sorted({*config.random_seeds, *experiment.seeds}))


def planned_lag(experiment: Experiment) -> float | None:
    """``evaluation.planned_lag_s``; an InputError where no shorter or no longer lag is trained beside it."""
    planned = experiment.section("evaluation", EvaluationConfig).planned_lag_s
    lags_s = sorted(experiment.lags_s)
    if planned is not None and planned not in lags_s[1:-1]:
        listed = ", ".join(f"{lag_s:g}" for lag_s in lags_s)
        raise InputError(
            f"{experiment.file}: evaluation.planned_lag_s is {planned:g}, lags_s are {listed}; give one of them "
            "between the shortest and the longest, or null"
        )
    return planned


def control_networks(experiment: Experiment) -> tuple[Network, ...]:
    """The untrained networks whose mean RDM is the control `random`; none where it is no control."""
    controls = experiment.section("evaluation", EvaluationConfig).controls
    if not any("random" in control.split(AND) for control in controls):
        return ()
    return tuple(experiment.network("random", seed) for seed in control_seeds(experiment))


def with_evaluation(experiment: Experiment, **changes: Any) -> Experiment:
    """The experiment with other values in its section ``evaluation``; itself where they are the same."""
    own = experiment.sections["evaluation"]
    changed = {key: value for key, value in changes.items() if tuple(value) != tuple(own[key])}
    return dataclasses.replace(experiment, sections={**experiment.sections, "evaluation": {**own, **changed}})
