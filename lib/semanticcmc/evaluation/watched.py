"""What a network tells of the stimuli while it is trained: class accuracy and category r of a small fixed set of them.

Nothing here is random, and the network is in evaluation mode while it is shown them: its weights are bit for bit
those of a training without. The values are for the eye; results are made of all stimuli, by notebooks 03 and 04.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import warnings

import numpy as np

from semanticcmc.config import InputError
from semanticcmc.evaluation.activations import class_means_and_features
from semanticcmc.evaluation.comparisons import rdm_correlations
from semanticcmc.evaluation.config import ActivationsConfig, EvaluationConfig, StimuliConfig, WatchConfig
from semanticcmc.evaluation.models import experiment_model
from semanticcmc.evaluation.stimuli import StimulusFolder, stimulus_folder
from semanticcmc.experiment import Experiment, Network
from semanticcmc.rsa.rdm import from_class_means
from semanticcmc.training.networks import Encoder, TrainedNetwork
from semanticcmc.training.recipe import TrainingConfig
from semanticcmc.training.views import ViewsConfig


class WatchedStimuli:
    """The first images of each class, called with an encoder in training; `watched_stimuli` says where there are any.

    Raises
    ------
    InputError
        For an image that cannot be read.
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
