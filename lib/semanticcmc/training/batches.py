"""Batches of a training run: which pairs and views, in which order, and their frames from memory or disk.

What a batch is depends on the state of one generator alone, not on where frames lie, how many threads read
them, or over how many processes a batch is dealt out.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from semanticcmc.config import InputError
from semanticcmc.experiment import Experiment, Network
from semanticcmc.films.pairs import LaggedPairs
from semanticcmc.films.store import FrameStore
from semanticcmc.run import available_cores
from semanticcmc.training.networks import Encoder, NetworksConfig
from semanticcmc.training.objectives.base import PairRows
from semanticcmc.training.recipe import TrainingConfig
from semanticcmc.training.views import ViewDraws, ViewsConfig, draw_views, network_view, random_view


class Batch(NamedTuple):
    """One process's share of a batch, as an encoder takes it."""

    first: Tensor  # views, float32 (b, channels, input_px, input_px), on the device, channels last
    second: Tensor
    rows: PairRows  # which frames they are of
    state: Tensor  # of the generator after the whole batch was drawn


class _Drawn(NamedTuple):
    rows: PairRows
    views: list[ViewDraws]
    state: Tensor


class Batches:
    """Batches of pairs of a frame store, as views that an encoder takes.

    An encoder of CIE Lab gets one view of the first frame, its L against its a and b. `share` are the pairs of each
    batch that this process takes.

    Raises
    ------
    InputError
        For frames of several sizes without ``frame_px``.
    """

    def __init__(
        self,
        store: FrameStore,
        pairs: LaggedPairs,
        training: TrainingConfig,
        views: ViewsConfig,
        encoder: Encoder,
        device: torch.device,
        share: slice,
    ) -> None:
        self.store, self.pairs, self.training, self.views = store, pairs, training, views
        self.input_px, self.colour_space = encoder.input_px, encoder.colour_space
        self.device, self.share = device, share
        sizes = store.index[["height", "width"]].drop_duplicates().to_numpy().tolist()
        if training.frame_px is None and len(sizes) > 1:
            found = ", ".join(f"{height} x {width}" for height, width in sizes[:5])
            raise InputError(
                f"{store.folder}: frames of {found} px (height x width); give one size as training.frame_px"
            )
        self.height, self.width = training.frame_px or (int(sizes[0][0]), int(sizes[0][1]))

    def after(self, state: Tensor, count: int) -> Iterator[Batch]:
        """The `count` batches that follow from a generator's `state`; resident frames are read at the call."""
        generator = torch.Generator()
        generator.set_state(state)
        drawn = (self._draw(generator) for _ in range(count))
        if self.training.frames == "loader":
            return self._loaded(drawn)
        frames = self.store.resident(self.training.frame_px, self.device)
        return (self._batch(batch, frames, None) for batch in drawn)

    def _draw(self, generator: torch.Generator) -> _Drawn:
        """Draw a whole batch and keep this process's share of it."""
        count = self.training.batch_pairs
        first, second = self.pairs.sample(count, generator, self.training.films_per_batch)
        how = (count, self.height, self.width, self.views, generator)
        if self.colour_space == "lab":
            views = [draw_views(*how, distort=False)]
        else:
            views = [draw_views(*how), draw_views(*how)]
        first, second = first[self.share], second[self.share]
        rows = PairRows(first, second, self.pairs.film[first])
        return _Drawn(rows, [view.part(self.share) for view in views], generator.get_state())

    def _loaded(self, drawn: Iterator[_Drawn]) -> Iterator[Batch]:
        """Batches whose frames threads read ahead, a batch a thread."""
        cores = available_cores()
        threads = max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
        waiting: deque[tuple[_Drawn, Future[tuple[Tensor, Tensor]]]] = deque()
        pool = ThreadPoolExecutor(threads, thread_name_prefix="frames")
        try:
            for batch in islice(drawn, threads + 1):
                waiting.append((batch, pool.submit(self._read, batch)))
            while waiting:
                batch, frames = waiting.popleft()
                ready = self._batch(batch, *frames.result())
                for following in islice(drawn, 1):
                    waiting.append((following, pool.submit(self._read, following)))
                yield ready
        finally:
            pool.shutdown(cancel_futures=True)

    def _read(self, batch: _Drawn) -> tuple[Tensor, Tensor]:
        """Frames of a batch, each once, and where each view's are among them."""
        rows, places = torch.unique(torch.stack(batch.rows[: len(batch.views)]), return_inverse=True)
        frames = self.store.read_rows(rows, self.training.frame_px, threads=1)
        return (frames.pin_memory() if self.device.type == "cuda" else frames), places

    def _batch(self, batch: _Drawn, frames: Tensor, places: Tensor | None) -> Batch:
        """Views of `frames`; those of each view at `places`, by default at the rows of the index."""
        frames = frames.to(self.device, non_blocking=True)
        wanted = torch.stack(batch.rows[: len(batch.views)]) if places is None else places
        first, *second = (
            network_view(frames[at], draws, self.input_px, self.views.normalisation, self.colour_space)
            for at, draws in zip(wanted.to(self.device, non_blocking=True), batch.views, strict=True)
        )
        if not second:
            return Batch(first[:, :1], first[:, 1:], batch.rows, batch.state)
        return Batch(first, second[0], batch.rows, batch.state)


def pairs_of_network(
    network: Network, config: TrainingConfig, experiment: Experiment, store: FrameStore
) -> LaggedPairs:
    """Pairs of a network's lag; first frames are those that the experiment's longest lag allows.

    Raises
    ------
    InputError
        For films too short, ``same_shot`` where shots are not known, more films a batch than there are.
    """
    lag_s = 0.0 if math.isnan(network.lag_s) else network.lag_s
    longest_lag_s = max(*experiment.lags_s, lag_s, 0.0)
    shots = None
    if config.same_shot:
        file = experiment.folder / "world" / "shots.parquet"
        if not file.exists():
            raise InputError(f"training.same_shot: {file} is not there; shots are known of the world alone")
        shots = pd.read_parquet(file)
    pairs = store.lagged_pairs(lag_s, longest_lag_s, config.lag_tolerance, shots)
    films = len(torch.unique(pairs.film[pairs.anchors]))
    if config.films_per_batch is not None and config.films_per_batch > films:
        raise InputError(f"training.films_per_batch {config.films_per_batch}: only {films} films have pairs")
    if config.negatives == "cross_film" and films == 1:
        raise InputError("training.negatives cross_film: only one film has pairs")
    return pairs


def example_views(experiment: Experiment, network: Network, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Views of `count` pairs as a network gets them: first and second, uint8 (count, height, width, 3)."""
    config, views = experiment.section("training", TrainingConfig), experiment.section("views", ViewsConfig)
    input_px, store = experiment.section("networks", NetworksConfig).input_px, FrameStore(experiment.folder / "frames")
    generator = torch.Generator().manual_seed(network.seed)
    first, second = (
        random_view(store.read_rows(rows, config.frame_px), input_px, views, generator, network.views == "rgb")
        for rows in pairs_of_network(network, config, experiment, store).sample(count, generator)
    )
    return first.permute(0, 2, 3, 1).numpy(), second.permute(0, 2, 3, 1).numpy()
