"""Methods of an experiment in words: what ``paper.qmd`` says of its world, networks, training and tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from papers.build.numbers import count, number, seconds, spoken, time_range, whole

from semanticcmc.experiment import Experiment

BASELINES = {
    "random": "one of random weights, never trained",
    "supervised": "one trained with labels on ImageNet",
    "augment": "one whose two views are the same frame twice (a lag of 0)",
    "cmc_lab": "one with CMC’s own views, the lightness and the colours of one frame, each with half an encoder",
}
"""Networks without a lag, in words."""

DISTANCES = {
    "correlation": "one minus Pearson’s correlation",
    "spearman": "one minus Spearman’s correlation",
    "euclidean": "Euclidean",
    "cosine": "one minus the cosine",
}

CONTROLS = {
    "cmc_lab": "Another control is the network of CMC’s own views of the same seed: it saw the films, but no time.",
    "look": "In the drawn world the true looks are known, and the distances between them are controlled as well.",
}

SHUFFLED = " Afterwards the things were dealt out anew over all beats, so that none keeps company with any other."

OPTIMISERS = {"adamw": "AdamW", "sgd": "stochastic gradient descent"}
SCHEDULES = {"one_cycle": "a one-cycle schedule", "step": "a rate that drops in steps", "cosine": "a cosine schedule"}


def settings(values: Any) -> Any:
    """Values of the experiment's YAML as a reader is told them, with the same keys."""
    if isinstance(values, Mapping):
        return {str(key): settings(value) for key, value in values.items()}
    if isinstance(values, bool):
        return "yes" if values else "no"
    if isinstance(values, int) and abs(values) >= 1000:
        return whole(values)
    if isinstance(values, int | float):
        return f"{values:g}".replace("-", "−")
    if isinstance(values, Sequence) and not isinstance(values, str):
        return spoken([settings(value) for value in values])
    return "none" if values is None else str(values)


def world(experiment: Experiment) -> dict[str, str]:
    """The drawn world in words; empty where there are films instead."""
    if experiment.source != "world":
        return {}
    own = experiment.sections["world"]
    scale = float(own["time_scale"])
    category = float(own["appearance_semantics"])
    return {
        "films": count(int(own["films"]), "film"),
        "duration": seconds(float(own["film_duration_s"])),
        "frame_interval": seconds(float(own["frame_interval_s"])),
        "classes": whole(int(own["categories"]) * int(own["classes_per_category"])),
        "looks": "Looks are drawn without regard to category, so that they tell nothing of it."
        if category == 0
        else f"A share of {category:g} of the looks’ variance is common to the classes of a category.",
        "scene": time_range(*(scale * float(bound) for bound in own["scene_s"])),
        "beat": time_range(*(scale * float(bound) for bound in own["beat_s"])),
        "shot": time_range(*(float(bound) for bound in own["shot_s"])),
        "label_interval": seconds(float(own["label_interval_s"])),
        "shuffled": SHUFFLED if own["shuffle_objects"] else "",
        "stimuli": "in a place of their class" if own.get("stimuli_in_context") else "alone and on grey",
    }


def method(experiment: Experiment, tests: pd.DataFrame) -> dict[str, str]:
    """Networks, training and tests in words.

    Parameters
    ----------
    experiment : Experiment
    tests : DataFrame
        As `numbers.read_lag_curve` returns it.
    """
    views, training = experiment.sections["views"], experiment.sections["training"]
    evaluation = experiment.sections["evaluation"]
    height, width = experiment.sections["timescales"]["frame_px"]
    low, high = views["crop_scale"]
    others = [BASELINES[name] for name in experiment.baselines]
    controls = [CONTROLS[name] for name in CONTROLS if name in set(tests["control"])]
    return {
        "tolerance": f"{number(100 * float(training['lag_tolerance']), 0)} %",
        "crop": f"{number(100 * float(low), 0)} to {number(100 * float(high), 0)} %",
        "baselines": f"Networks without a lag serve as comparison: {'; '.join(others)}." if others else "",
        "training": trained(training),
        "temperature": " and is learned" if training.get("learn_temperature") else "",
        "distance": DISTANCES[str(evaluation["distance"])],
        "controls": " ".join(controls),
        "confidence": f"{number(100 * float(evaluation['confidence']), 0)} %",
        "frame_px": f"{width} by {height} pixels",
        "random": random_networks(experiment),
    }


def random_networks(experiment: Experiment) -> str:
    """How many untrained networks the control is the mean of."""
    evaluation = experiment.sections["evaluation"]
    seeds = {*evaluation.get("random_seeds", ()), *experiment.seeds}
    return f"the mean RDM of {count(len(seeds), 'such network')}" if len(seeds) > 1 else "the RDM of one such network"


def trained(training: Mapping[str, Any]) -> str:
    """How long and by what a network was trained: ``Training took 300 steps of AdamW ...``."""
    steps, epochs = training.get("steps"), training.get("epochs")
    length = f"{whole(steps)} steps" if steps else f"{whole(epochs or 0)} passes through the frames"
    optimiser, schedule = str(training["optimiser"]), str(training["schedule"])
    rates = f"learning rate {training['learning_rate']:g}, weight decay {training['weight_decay']:g}"
    how = f"{OPTIMISERS.get(optimiser, optimiser)} ({rates}, {SCHEDULES.get(schedule, schedule)})"
    return f"Training took {length} of {how} on batches of {whole(training['batch_pairs'])} pairs from all films."
