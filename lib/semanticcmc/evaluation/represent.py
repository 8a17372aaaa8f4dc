"""One network shown all stimuli: its RDMs, how well it recognises single pictures, how well its distances are known."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import pandas as pd

from semanticcmc.evaluation.activations import class_means_and_features, evaluation_device
from semanticcmc.evaluation.config import ActivationsConfig, EvaluationConfig
from semanticcmc.evaluation.decoding import accuracy_table
from semanticcmc.evaluation.rdm_files import rdm_file, write_distance_rdms
from semanticcmc.evaluation.stimuli import StimulusFolder
from semanticcmc.experiment import Experiment, Network
from semanticcmc.rsa.rdm import RDM, from_class_means, write_rdms
from semanticcmc.rsa.reliability import reliability_table
from semanticcmc.run import write_csv
from semanticcmc.training.checkpoints import load_network


@dataclasses.dataclass(frozen=True)
class Representation:
    """What `represent` found of a network.

    Attributes
    ----------
    rdms : dict of dict of RDM
        By condition and layer.
    accuracy : DataFrame
        ``rdms/<network>/seed-<k>_accuracy.csv``: class accuracy of single pictures (`decoding.accuracy_table`).
    noise_ceiling : DataFrame
        ``rdms/<network>/seed-<k>_noise_ceiling.csv``: split-half reliability (`rsa.reliability`).
    """

    rdms: dict[str, dict[str, RDM]]
    accuracy: pd.DataFrame
    noise_ceiling: pd.DataFrame


def represent(
    experiment: Experiment,
    network: Network,
    stimuli: StimulusFolder,
    write: bool = True,
    watch: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> Representation:
    """Show a trained network the stimuli under every condition.

    Parameters
    ----------
    network : Network
        With a checkpoint in its run folder.
    write : bool
        Whether to write the network's files below ``rdms/``, at other distances too (notebook 07 needs these).
    watch : callable
        Hands on the batches of a condition, one by one, and may show how far it is.

    Raises
    ------
    InputError
        For a network that has not been trained, a layer that it lacks, or activations that are not finite.
    """
    config = experiment.section("activations", ActivationsConfig)
    evaluation = experiment.section("evaluation", EvaluationConfig)
    layer, classes = experiment.primary_layer, stimuli.classes
    trained = load_network(experiment.run_folder(network)).to(evaluation_device())
    intervals = (evaluation.bootstrap_samples, evaluation.confidence, evaluation.seed)
    rdms: dict[str, dict[str, RDM]] = {}
    accuracy: list[pd.DataFrame] = []
    ceilings: list[pd.DataFrame] = []
    for condition in stimuli.config.conditions:
        batches = watch(stimuli.batches(config.batch_size, condition))
        means, features, labels = class_means_and_features(trained, batches, len(classes), layer, config)
        rdms[condition] = {one: from_class_means(mean, classes, evaluation.distance) for one, mean in means.items()}
        keys = {"network": network.name, "lag_s": network.lag_s, "seed": network.seed, "layer": layer}
        recognised = accuracy_table(features, labels, config.decoding_neighbours, config.decoding_folds, *intervals)
        known = reliability_table(features, labels, classes, evaluation.distance)
        for tables, found in ((accuracy, recognised), (ceilings, known)):
            tables.append(pd.DataFrame(keys | {"condition": condition}, index=found.index).join(found))
    made = Representation(rdms, pd.concat(accuracy), pd.concat(ceilings))
    if write:
        for condition, by_layer in rdms.items():
            write_rdms(rdm_file(experiment, network, condition), by_layer)
        for measure in ("accuracy", "noise_ceiling"):
            write_csv(rdm_file(experiment, network, measure).with_suffix(".csv"), getattr(made, measure))
        write_distance_rdms(experiment, network, trained)
    return made
