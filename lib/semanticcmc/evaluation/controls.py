"""The control for looks: RDMs of several untrained networks.

    semanticcmc controls miniature

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
import hashlib
import json
from pathlib import Path

from semanticcmc.evaluation.activations import evaluation_device
from semanticcmc.evaluation.config import ActivationsConfig, EvaluationConfig, StimuliConfig, control_seeds
from semanticcmc.evaluation.rdm_files import network_rdms, rdm_file, write_distance_rdms
from semanticcmc.evaluation.stimuli import StimulusFolder, stimulus_folder
from semanticcmc.experiment import Experiment
from semanticcmc.rsa.rdm import write_rdms
from semanticcmc.run import Progress, record, write_json
from semanticcmc.training.networks import NetworksConfig, TrainedNetwork, build
from semanticcmc.training.views import ViewsConfig


def untrained_network(experiment: Experiment, seed: int) -> TrainedNetwork:
    """The network `random` of one seed, in eval mode, as `checkpoints.load_network` gives it after its notebook ran."""
    network = build("random", experiment.section("networks", NetworksConfig), seed)
    return TrainedNetwork(network, experiment.section("views", ViewsConfig)).eval()


def seeds_to_make(experiment: Experiment) -> tuple[int, ...]:
    """Seeds of the control `random` whose RDMs no notebook writes; none where it is no control."""
    if "random" not in experiment.section("evaluation", EvaluationConfig).controls:
        return ()
    trained = experiment.seeds if "random" in experiment.baselines else ()
    return tuple(seed for seed in control_seeds(experiment) if seed not in trained)


def make_controls(experiment: Experiment) -> list[Path]:
    """Write the RDMs of the untrained networks that no notebook makes.

    Returns
    -------
    list of Path
        The RDM files, a seed's conditions together; beside them a JSON file a seed says what made them.

    Raises
    ------
    InputError
        For stimuli that cannot be read, or a layer that the network lacks.
    """
    seeds = seeds_to_make(experiment)
    config = experiment.section("activations", ActivationsConfig)
    distance = experiment.section("evaluation", EvaluationConfig).distance
    stimuli = StimulusFolder(stimulus_folder(experiment), experiment.section("stimuli", StimuliConfig))
    conditions = stimuli.config.conditions
    progress = Progress("untrained networks", len(seeds) * len(conditions), experiment.folder / "progress")
    progress.update(0)
    files: list[Path] = []
    for seed in seeds:
        network = untrained_network(experiment, seed).to(evaluation_device())
        for condition in conditions:
            rdms = network_rdms(network, stimuli, condition, config, distance)
            files.append(rdm_file(experiment, "random", seed, condition))
            write_rdms(files[-1], rdms)
            progress.update(len(files), f"seed {seed}, {condition}")
        write_distance_rdms(experiment, "random", seed, network)
        settings = {
            "network": "random",
            "networks": dataclasses.asdict(experiment.section("networks", NetworksConfig)),
            "views": dataclasses.asdict(experiment.section("views", ViewsConfig)),
            "stimuli": dataclasses.asdict(stimuli.config),
            "activations": dataclasses.asdict(config),
            "distance": distance,
            "classes": len(stimuli.classes),
            "images": len(stimuli.files),
            "images_sha256": _fingerprint(stimuli),
        }
        write_json(experiment.path("rdms", "random", f"seed-{seed}.json"), record(settings, seed))
    return files


def _fingerprint(stimuli: StimulusFolder) -> str:
    """SHA-256 of the stimuli's classes, names and sizes, in hexadecimal."""
    found = [(wnid, Path(path).name, Path(path).stat().st_size) for wnid, path in stimuli.files.itertuples(index=False)]
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()
