"""RDMs of an experiment's networks: made of stimuli, kept as files, read back one file at a time and checked alike.

The control for looks is made here too: RDMs of several untrained networks (``semanticcmc controls miniature``).

An untrained network tells classes apart by their looks alone: its weights are random filters of the pixels. So the
partial correlation given its RDM asks what training added. But each draw of the weights sees looks in a way of its
own, and RDMs of networks that differ in nothing but their initial weights differ (Mehrer, Spoerer, Kriegeskorte &
Kietzmann 2020, *Nature Communications* 11: 5725, who ask for several instances). The RDM of one random network is
thus a noisy measure of looks, and a control that measures with noise leaves part of what it should take away in the
partial correlation (Westfall & Yarkoni 2016, *PLoS ONE* 11: e0152719). The mean over draws is closer to what the
architecture sees before it has learned anything. The published control is a single random network.

The control `random` is therefore the mean RDM of all seeds in ``evaluation.random_seeds`` and of the experiment's
own. Seeds that no notebook trains are made here: each network is drawn in memory, shown all stimuli under every
condition, and leaves ``rdms/random/seed-<k>_<condition>.parquet`` and ``rdms/random/seed-<k>.json``, equal bit for
bit to what the notebooks of training and representation write for that seed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from semanticcmc.config import InputError, existing
from semanticcmc.evaluation.activations import class_means, evaluation_device, features
from semanticcmc.evaluation.config import ActivationsConfig, EvaluationConfig, StimuliConfig, control_networks
from semanticcmc.evaluation.stimuli import StimulusFolder, stimulus_folder
from semanticcmc.experiment import Experiment, Network
from semanticcmc.films.store import FrameStore
from semanticcmc.rsa.distances import DISTANCES
from semanticcmc.rsa.rdm import RDM, from_class_means, read_rdms, write_rdms
from semanticcmc.run import Progress, Watch, record, write_json
from semanticcmc.training.networks import CONV_LAYERS, NetworksConfig, TrainedNetwork, build
from semanticcmc.training.views import ViewsConfig

POOLINGS = {True: "spatial mean", False: "every unit"}  # of convolutional maps, by activations.spatial_mean


def rdm_file(experiment: Experiment, network: Network, condition: str) -> Path:
    """``rdms/<network>/seed-<seed>_<condition>.parquet`` below the results folder."""
    return experiment.folder / "rdms" / network.name / f"seed-{network.seed}_{condition}.parquet"


def network_rdms(
    trained: TrainedNetwork, stimuli: StimulusFolder, condition: str, config: ActivationsConfig, distance: str
) -> dict[str, RDM]:
    """RDM of every layer of a network that is shown all stimuli under one condition.

    `condition` is one of `conditions.CONDITIONS`, `distance` as in `rdm.from_class_means`.
    """
    batches = stimuli.batches(config.batch_size, condition)
    means = class_means(trained, batches, len(stimuli.classes), config)
    return {layer: from_class_means(values, stimuli.classes, distance) for layer, values in means.items()}


def distance_rdms(
    means: Mapping[str, NDArray[np.float64]], channels: Mapping[str, int], classes: Sequence[str]
) -> dict[str, RDM]:
    """RDMs of class means at every distance, of convolutional layers with and without spatial mean, by `column`.

    `means` holds class means (n, d) by layer, every unit, of a convolutional layer channel by channel; `channels` the
    number of channels of the convolutional layers; `classes` the n names.
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


def write_distance_rdms(experiment: Experiment, network: Network, trained: TrainedNetwork) -> None:
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
    write_rdms(rdm_file(experiment, network, "intact_distances"), distance_rdms(means, channels, stimuli.classes))


def untrained_network(experiment: Experiment, network: Network) -> TrainedNetwork:
    """An untrained network in eval mode, as `checkpoints.load_network` gives it after its notebook ran."""
    encoder = build(network, experiment.section("networks", NetworksConfig))
    return TrainedNetwork(encoder, experiment.section("views", ViewsConfig)).eval()


def untrained_features(experiment: Experiment, store: FrameStore, watch: Watch = iter) -> np.ndarray:
    """Features of every frame at the primary layer of the experiment's network with random weights, of its first seed.

    What is alike for this network is alike before anything is learned; see `frame_features`.
    """
    untrained = untrained_network(experiment, experiment.network("random", experiment.seeds[0]))
    config = experiment.section("activations", ActivationsConfig)
    return frame_features(store, untrained, experiment.primary_layer, config, watch)


def frame_features(
    store: FrameStore, network: torch.nn.Module, layer: str, config: ActivationsConfig, watch: Watch = iter
) -> np.ndarray:
    """Features of every frame at one layer of a ``TrainedNetwork``, float32 (N, d); see `activations.features`.

    Of `config`: `batch_size`, `spatial_mean`, and `decoding_features`, to which a wider layer is projected at random.
    """
    batches = (
        (store.read_rows(rows), torch.zeros(len(rows), dtype=torch.int64))
        for film in map(store.rows, watch(store.movies))  # a film's frames have one size
        for start in range(film.start, film.stop, config.batch_size)
        for rows in [range(start, min(start + config.batch_size, film.stop))]
    )
    return features(network, batches, layer, config)[0]


def networks_to_make(experiment: Experiment) -> tuple[Network, ...]:
    """Networks of the control `random` whose RDMs no notebook writes."""
    return tuple(network for network in control_networks(experiment) if network not in experiment.runs)


def make_controls(experiment: Experiment) -> list[Path]:
    """Write the RDMs of the untrained networks that no notebook makes.

    Returned are the RDM files, a network's conditions together; beside them a JSON file a network says what made them.
    Raises InputError for stimuli that cannot be read, or a layer that the network lacks.
    """
    networks = networks_to_make(experiment)
    config = experiment.section("activations", ActivationsConfig)
    distance = experiment.section("evaluation", EvaluationConfig).distance
    stimuli = StimulusFolder(stimulus_folder(experiment), experiment.section("stimuli", StimuliConfig))
    conditions = stimuli.config.conditions
    progress = Progress("untrained networks", len(networks) * len(conditions), experiment.folder / "progress")
    progress.update(0)
    files: list[Path] = []
    for network in networks:
        untrained = untrained_network(experiment, network).to(evaluation_device())
        for condition in conditions:
            files.append(rdm_file(experiment, network, condition))
            write_rdms(files[-1], network_rdms(untrained, stimuli, condition, config, distance))
            progress.update(len(files), f"seed {network.seed}, {condition}")
        write_distance_rdms(experiment, network, untrained)
        settings = {
            "network": network.name,
            "networks": dataclasses.asdict(experiment.section("networks", NetworksConfig)),
            "views": dataclasses.asdict(experiment.section("views", ViewsConfig)),
            "stimuli": dataclasses.asdict(stimuli.config),
            "activations": dataclasses.asdict(config),
            "distance": distance,
            "classes": len(stimuli.classes),
            "images": len(stimuli.files),
            "images_sha256": stimuli.fingerprint(),
        }
        write_json(experiment.path("rdms", network.name, f"seed-{network.seed}.json"), record(settings, network.seed))
    return files


class ByLayer(dict[str, RDM]):
    """RDMs of a network by layer."""

    def __missing__(self, layer: str) -> RDM:
        raise InputError(f"layer {layer!r}: the RDM file holds {', '.join(self)}")


class RDMFiles:
    """The RDM files of an experiment under one condition, all of the same classes and layers.

    Classes are those of the first network's file, sorted; every RDM is brought into this order. Raises InputError if
    that file is missing.
    """

    def __init__(self, experiment: Experiment, condition: str) -> None:
        self.experiment, self.condition = experiment, condition
        if not experiment.runs:
            raise InputError(f"{experiment.name}: no network, hence no RDMs to compare")
        first = self._open(experiment.runs[0])
        self.layers = tuple(first)
        self.classes = tuple(sorted(next(iter(first.values())).classes))

    def _open(self, network: Network) -> dict[str, RDM]:
        remedy = f"make poster EXPERIMENT={self.experiment.name} makes it"
        if not network.trained and network not in self.experiment.runs:
            remedy = f"semanticcmc controls {self.experiment.file} makes it"
        return read_rdms(existing(rdm_file(self.experiment, network, self.condition), remedy))

    def read(self, network: Network) -> dict[str, RDM]:
        """RDMs of one network by layer.

        Raises InputError if the file is missing, or has other classes or layers than the first network's.
        """
        found = self._open(network)
        file = rdm_file(self.experiment, network, self.condition)
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

    def mean(self, networks: Sequence[Network]) -> dict[str, RDM]:
        """Mean RDM of several networks, by layer; one file at a time is in memory.

        Distances are averaged as they are: networks that differ in their seed alone have them on one scale.
        """
        sums: dict[str, np.ndarray] = {}
        for network in networks:
            for layer, rdm in self.read(network).items():
                sums[layer] = sums[layer] + rdm.values if layer in sums else rdm.values
        return {layer: RDM(values / len(networks), self.classes) for layer, values in sums.items()}
