"""RDMs of an experiment's networks: made of stimuli, kept as files, read back one file at a time and checked alike."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from semanticcmc.config import InputError
from semanticcmc.evaluation.activations import class_means
from semanticcmc.evaluation.config import ActivationsConfig, StimuliConfig
from semanticcmc.evaluation.stimuli import StimulusFolder, stimulus_folder
from semanticcmc.experiment import Experiment
from semanticcmc.rsa.distances import DISTANCES
from semanticcmc.rsa.rdm import RDM, from_class_means, read_rdms, write_rdms
from semanticcmc.training.networks import CONV_LAYERS, TrainedNetwork

if TYPE_CHECKING:
    from numpy.typing import NDArray

POOLINGS = {True: "spatial mean", False: "every unit"}  # of convolutional maps, by activations.spatial_mean


def rdm_file(experiment: Experiment, network: str, seed: int, condition: str) -> Path:
    """``rdms/<network>/seed-<seed>_<condition>.parquet`` below the results folder."""
    return experiment.folder / "rdms" / network / f"seed-{seed}_{condition}.parquet"


def network_rdms(
    network: TrainedNetwork, stimuli: StimulusFolder, condition: str, config: ActivationsConfig, distance: str
) -> dict[str, RDM]:
    """RDM of every layer of a network that is shown all stimuli under one condition.

    Parameters
    ----------
    network : TrainedNetwork
    stimuli : StimulusFolder
    condition : str
        Of `conditions.CONDITIONS`.
    config : ActivationsConfig
    distance : str
        As in `rdm.from_class_means`.
    """
    batches = stimuli.batches(config.batch_size, condition)
    means = class_means(network, batches, len(stimuli.classes), config)
    return {layer: from_class_means(values, stimuli.classes, distance) for layer, values in means.items()}


def distance_rdms(
    means: Mapping[str, NDArray[np.float64]], channels: Mapping[str, int], classes: Sequence[str]
) -> dict[str, RDM]:
    """RDMs of class means at every distance, of convolutional layers with and without spatial mean.

    Parameters
    ----------
    means : mapping of str to array, shape (n, d)
        Class means by layer, every unit; of a convolutional layer channel by channel.
    channels : mapping of str to int
        Of the convolutional layers.
    classes : sequence of str
        The n names.

    Returns
    -------
    dict of str to RDM
        By `column`.
    """
    rdms = {}
    for layer, values in means.items():
        pooled: dict[bool | None, NDArray[np.float64]] = {None: values}
        if layer in channels:
            pooled = {True: values.reshape(len(values), channels[layer], -1).mean(2), False: values}
        for spatial_mean, rows in pooled.items():
            for distance in DISTANCES:
                rdms[column(layer, distance, spatial_mean)] = from_class_means(rows, classes, distance)
    return rdms


def column(layer: str, distance: str, spatial_mean: bool | None) -> str:
    """Name of an RDM: ``fc7, euclidean``, or ``conv5, spatial mean, euclidean`` of a convolutional layer."""
    pooling = "" if spatial_mean is None else f"{POOLINGS[spatial_mean]}, "
    return f"{layer}, {pooling}{distance}"


def distance_layers(primary_layer: str) -> tuple[str, ...]:
    """Layers that are seen at every distance: the primary one and the last convolutional one."""
    return tuple(dict.fromkeys([primary_layer, CONV_LAYERS[-1]]))


def write_distance_rdms(experiment: Experiment, network: str, seed: int, trained: TrainedNetwork) -> None:
    """Show a network the intact stimuli and write ``rdms/<network>/seed-<k>_intact_distances.parquet``.

    The spatial mean of class means is the class mean of spatial means: class means of every unit, in one stream, give
    both. Memory is that of one convolutional layer's (346 MB for 1,000 classes of the published conv5).
    """
    config = dataclasses.replace(
        experiment.section("activations", ActivationsConfig),
        layers=distance_layers(experiment.primary_layer),
        spatial_mean=False,
    )
    stimuli = StimulusFolder(stimulus_folder(experiment), experiment.section("stimuli", StimuliConfig))
    means = class_means(trained, stimuli.batches(config.batch_size), len(stimuli.classes), config)
    one = torch.zeros(1, 3, stimuli.config.size_px, stimuli.config.size_px, dtype=torch.uint8)
    with torch.inference_mode():
        shapes = {layer: values.shape for layer, values in trained.activations(one).items()}
    channels = {layer: shapes[layer][1] for layer in config.layers if len(shapes[layer]) == 4}
    file = rdm_file(experiment, network, seed, "intact_distances")
    write_rdms(file, distance_rdms(means, channels, stimuli.classes))


class RDMFiles:
    """The RDM files of an experiment under one condition, all of the same classes and layers.

    Parameters
    ----------
    experiment : Experiment
    condition : str

    Attributes
    ----------
    classes : tuple of str
        Sorted, as in the first file; every RDM is brought into this order.
    layers : tuple of str

    Raises
    ------
    InputError
        If the first network's file is missing.
    """

    def __init__(self, experiment: Experiment, condition: str) -> None:
        self.experiment, self.condition = experiment, condition
        first = self._open(experiment.networks[0], experiment.seeds[0])
        self.layers = tuple(first)
        self.classes = tuple(sorted(next(iter(first.values())).classes))

    def _open(self, network: str, seed: int) -> dict[str, RDM]:
        file = rdm_file(self.experiment, network, seed, self.condition)
        if file.is_file():
            return read_rdms(file)
        remedy = f"make poster EXPERIMENT={self.experiment.name} makes it"
        if network == "random" and (seed not in self.experiment.seeds or network not in self.experiment.networks):
            remedy = f"semanticcmc controls {self.experiment.file} makes it"
        raise InputError(f"{file}: missing; {remedy}")

    def read(self, network: str, seed: int) -> dict[str, RDM]:
        """RDMs of one network by layer.

        Raises
        ------
        InputError
            If the file is missing, or has other classes or layers than the first network's.
        """
        found = self._open(network, seed)
        file = rdm_file(self.experiment, network, seed, self.condition)
        classes = next(iter(found.values())).classes
        if tuple(sorted(classes)) != self.classes:
            differ = sorted(set(classes) ^ set(self.classes))
            raise InputError(
                f"{file}: other classes than the networks before ({', '.join(differ[:5])}); remove the "
                "folder rdms so that all are made from the same stimuli"
            )
        if tuple(found) != self.layers:
            raise InputError(
                f"{file}: layers {', '.join(found)}, unlike the networks before ({', '.join(self.layers)}); remove "
                "the folder rdms so that all are made with the same section activations"
            )
        return {layer: rdm.subset(self.classes) for layer, rdm in found.items()}

    def mean(self, network: str, seeds: Sequence[int]) -> dict[str, RDM]:
        """Mean over `seeds` of one network's RDMs, by layer; one file at a time is in memory.

        Distances are averaged as they are: networks that differ in their seed alone have them on one scale.
        """
        sums: dict[str, np.ndarray] = {}
        for seed in seeds:
            for layer, rdm in self.read(network, seed).items():
                sums[layer] = sums[layer] + rdm.values if layer in sums else rdm.values
        return {layer: RDM(values / len(seeds), self.classes) for layer, values in sums.items()}
