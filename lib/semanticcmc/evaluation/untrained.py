"""What an untrained network makes of frames: which of them look alike before anything is learned."""

from __future__ import annotations

import numpy as np
import torch

from semanticcmc.evaluation.activations import features
from semanticcmc.evaluation.config import ActivationsConfig
from semanticcmc.evaluation.rdm_files import untrained_network
from semanticcmc.experiment import Experiment
from semanticcmc.films.store import FrameStore
from semanticcmc.run import Watch


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
