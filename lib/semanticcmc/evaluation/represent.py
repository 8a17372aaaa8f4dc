"""A network shown stimuli: trained, all of them for its RDMs and accuracy; in training, a few, to watch it.

Nothing is random in what watches a training, and the network is in evaluation mode meanwhile: its weights are bit for
bit those of a training without. Those values are for the eye; results are made of all stimuli.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
import torch

from semanticcmc.config import InputError
from semanticcmc.evaluation.activations import class_means_and_features, evaluation_device
from semanticcmc.evaluation.comparisons import rdm_correlations
from semanticcmc.evaluation.config import ActivationsConfig, EvaluationConfig, StimuliConfig, WatchConfig
from semanticcmc.evaluation.decoding import accuracy_table, readout_table
from semanticcmc.evaluation.models import category_table, experiment_model
from semanticcmc.evaluation.rdm_files import rdm_file, write_distance_rdms
from semanticcmc.evaluation.stimuli import StimulusFolder, stimulus_folder
from semanticcmc.experiment import Experiment, Network
from semanticcmc.rsa.rdm import RDM, from_class_means, write_rdms
from semanticcmc.rsa.reliability import reliability_table
from semanticcmc.rsa.semantics import NO_CATEGORY, categories
from semanticcmc.run import write_csv
from semanticcmc.training.checkpoints import load_network
from semanticcmc.training.networks import Encoder, TrainedNetwork
from semanticcmc.training.objectives.base import effective_rank
from semanticcmc.training.recipe import TrainingConfig
from semanticcmc.training.views import ViewsConfig


@dataclasses.dataclass(frozen=True)
class Representation:
    """What `represent` found of a network, and wrote as ``rdms/<network>/seed-<k>_<measure>.csv``."""

    rdms: dict[str, dict[str, RDM]]  # by condition and layer
    accuracy: pd.DataFrame  # class accuracy of single pictures (`decoding.accuracy_table`)
    noise_ceiling: pd.DataFrame  # split-half reliability (`rsa.reliability`)
    effective_rank: pd.DataFrame  # of single pictures' activations at the primary layer (RankMe)
    category_readout: pd.DataFrame  # of classes held out (`decoding.readout_table`); no row without categories


def represent(
    experiment: Experiment,
    network: Network,
    stimuli: StimulusFolder,
    write: bool = True,
    watch: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> Representation:
    """Show a trained network, with a checkpoint in its run folder, the stimuli under every condition.

    With `write` its files below ``rdms/`` are written, at other distances too (notebook 07 needs these). `watch` hands
    on the batches of a condition, one by one, and may show how far it is. Raises InputError for a network that has not
    been trained, a layer that it lacks, or activations that are not finite.
    """
    config = experiment.section("activations", ActivationsConfig)
    evaluation = experiment.section("evaluation", EvaluationConfig)
    layer, classes = experiment.primary_layer, stimuli.classes
    trained = load_network(experiment.run_folder(network)).to(evaluation_device())
    intervals = (evaluation.bootstrap_samples, evaluation.confidence, evaluation.seed)
    rdms: dict[str, dict[str, RDM]] = {}
    tables = defaultdict[str, list[pd.DataFrame]](list)
    category = dict.fromkeys(classes, NO_CATEGORY)
    with contextlib.suppress(InputError):  # of a class that the table lacks, which the tests name
        category = categories(classes, category_table(experiment))
    for condition in stimuli.config.conditions:
        batches = watch(stimuli.batches(config.batch_size, condition))
        means, features, labels = class_means_and_features(trained, batches, len(classes), layer, config)
        rdms[condition] = {one: from_class_means(mean, classes, evaluation.distance) for one, mean in means.items()}
        keys = {"network": network.name, "lag_s": network.lag_s, "seed": network.seed, "layer": layer}
        found = {
            "accuracy": accuracy_table(features, labels, config.decoding_neighbours, config.decoding_folds, *intervals),
            "noise_ceiling": reliability_table(features, labels, classes, evaluation.distance),
            "effective_rank": pd.DataFrame({"effective_rank": [effective_rank(torch.from_numpy(features)).item()]}),
            "category_readout": readout_table(features, labels, category, config.decoding_folds, evaluation.confidence),
        }
        for measure, rows in found.items():
            tables[measure].append(pd.DataFrame(keys | {"condition": condition}, index=rows.index).join(rows))
    made = Representation(rdms, **{measure: pd.concat(parts) for measure, parts in tables.items()})
    if write:
        for condition, by_layer in rdms.items():
            write_rdms(rdm_file(experiment, network, condition), by_layer)
        for measure in tables:
            write_csv(rdm_file(experiment, network, measure).with_suffix(".csv"), getattr(made, measure))
        write_distance_rdms(experiment, network, trained)
    return made


class WatchedStimuli:
    """The first images of each class, called with an encoder in training; `watched_stimuli` says where there are any.

    Raises InputError for an image that cannot be read.
    """

    def __init__(self, experiment: Experiment, every: int, images_per_class: int) -> None:
        self.every, self.log_every = every, experiment.section("training", TrainingConfig).log_every
        self.layer, self.views = experiment.primary_layer, experiment.section("views", ViewsConfig)
        self.evaluation = experiment.section("evaluation", EvaluationConfig)
        activations = experiment.section("activations", ActivationsConfig)
        self.activations = dataclasses.replace(activations, layers=(self.layer,))
        stimuli = dataclasses.replace(experiment.section("stimuli", StimuliConfig), images_per_class=images_per_class)
        folder = StimulusFolder(stimulus_folder(experiment), stimuli)
        self.classes, self.batches = folder.classes, list(folder.batches(activations.batch_size))
        self.category = None
        # No categories, no category r; of classes without one notebook 04 warns.
        with warnings.catch_warnings(action="ignore"), contextlib.suppress(InputError):
            self.category = experiment_model("category", self.classes, experiment, {})

    def __call__(self, encoder: Encoder, step: int, steps: int) -> dict[str, float]:
        """``class_accuracy`` and ``category_r`` at a step that is logged, where they are defined and due.

        They are due at the first step, the last, and the first one logged from each n-th on.
        """
        if step // self.every == (step - self.log_every) // self.every and step < steps:
            return {}
        network = TrainedNetwork(encoder, self.views)
        means, features, labels = class_means_and_features(
            network, self.batches, len(self.classes), self.layer, self.activations
        )
        found = {"class_accuracy": nearest_mean_accuracy(features, labels)}
        if self.category is not None:
            rdm = from_class_means(means[self.layer], self.classes, self.evaluation.distance)
            rdms = {"network": rdm.subset(self.category.classes), "category": self.category}
            r = rdm_correlations(rdms, method=self.evaluation.method)
            found["category_r"] = float(r.to_numpy()[0, 1])
        return {name: value for name, value in found.items() if math.isfinite(value)}


def watched_stimuli(experiment: Experiment, network: Network) -> WatchedStimuli | None:
    """What watches a network in training; None without ``watch.every``, stimuli, or a network that is trained."""
    config = experiment.section("watch", WatchConfig) if "watch" in experiment.sections else None  # not in old results
    if config is None or config.every is None or not network.trained:
        return None
    try:
        there = stimulus_folder(experiment).is_dir()
    except InputError:  # films without stimuli
        there = False
    return WatchedStimuli(experiment, config.every, config.images_per_class) if there else None


def nearest_mean_accuracy(features: np.ndarray, labels: np.ndarray) -> float:
    """Share of images (N, d) whose class mean, made without the image, is the nearest (Euclidean); NaN for lone images.

    Chance is 1 / classes. `labels` (N,) count from 0; classes have as many images each, or nearly.
    """
    counts = np.bincount(labels)
    if len(counts) < 2 or counts.min() < 2:
        return math.nan
    rows, own = features.astype(np.float64), np.arange(len(labels))
    means = np.stack([rows[labels == label].mean(0) for label in range(len(counts))])
    distance = np.square(rows).sum(1)[:, None] - 2 * rows @ means.T + np.square(means).sum(1)
    share = counts[labels] / (counts[labels] - 1)  # the mean without an image lies further from it by this factor
    distance[own, labels] *= share**2
    return float((distance.argmin(1) == labels).mean())
