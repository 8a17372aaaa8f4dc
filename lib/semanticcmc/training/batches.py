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
from semanticcmc.films.store import FrameStore
from semanticcmc.run import available_cores
from semanticcmc.training.networks import NetworksConfig
from semanticcmc.training.objectives.base import Objective
from semanticcmc.training.pairings import Draw, Fixed, choose_pairing
from semanticcmc.training.recipe import TrainingConfig
from semanticcmc.training.views import ViewDraws, ViewsConfig, draw_views, evaluation_view, network_view, random_view


class Batch(NamedTuple):
    """One process's share of a batch, as an objective takes it; all on the device."""

    images: tuple[Tensor, ...]  # one a view, float32 (b, 3, px, px), channels last
    draw: Draw  # which frames they are of, and targets
    state: Tensor  # of the generator after the whole batch was drawn


class _Drawn(NamedTuple):
    draw: Draw
    views: list[ViewDraws]
    state: Tensor


class Batches:
    """Batches of a frame store, as the views that an objective asks for.

    `count` are the samples of a whole batch, `share` those that this process takes. Raises InputError for frames of
    several sizes without ``frame_px``.
    """

    def __init__(
        self,
        store: FrameStore,
        objective: Objective,
        training: TrainingConfig,
        views: ViewsConfig,
        device: torch.device,
        count: int,
        share: slice,
    ) -> None:
        self.store, self.objective, self.training, self.views = store, objective, training, views
        self.device, self.count, self.share = device, count, share
        self.height, self.width = store.common_size(training.frame_px)
        if training.frame_px is not None and any(view.box is not None for view in objective.views):
            raise InputError("training.frame_px: say null; boxes are in pixels of the frames as stored")
        kinds = dict.fromkeys(["", *(view.kind for view in objective.views)])
        self.stores = {kind: FrameStore(store.folder, kind) if kind else store for kind in kinds}

    def images_of(self, rows: Tensor) -> Tensor:
        """Frames `rows` as tests would see them (`views.evaluation_view`), on the device, in the encoder's colours."""
        encoder, frames = self.objective.encoder, self.store.read_rows(rows, self.training.frame_px)
        return evaluation_view(frames.to(self.device), encoder.input_px, self.views.normalisation, encoder.colour_space)

    def after(self, state: Tensor, count: int) -> Iterator[Batch]:
        """The `count` batches that follow from a generator's `state`; resident frames are read at the call."""
        generator = torch.Generator()
        generator.set_state(state)
        drawn = (self._draw(generator) for _ in range(count))
        if self.training.frames == "loader":
            return self._loaded(drawn)
        frames = {kind: store.resident(self.training.frame_px, self.device) for kind, store in self.stores.items()}
        return (self._batch(batch, frames, None) for batch in drawn)

    def _draw(self, generator: torch.Generator) -> _Drawn:
        """Draw a whole batch and keep this process's share of it."""
        draw, views = self.objective.draw(self.count, generator), list[ViewDraws]()
        for view in self.objective.views:
            if view.crop_of is None:
                height, width = (max(1, round(side * view.centre)) for side in (self.height, self.width))
                corner = torch.tensor([(self.height - height) // 2, (self.width - width) // 2, 0, 0])
                drawn = draw_views(self.count, height, width, self.views, generator, view.distort)
                views.append(drawn._replace(boxes=drawn.boxes + corner))
                if view.box is not None:
                    views[-1] = views[-1]._replace(boxes=draw.targets[:, view.box : view.box + 4])
            else:
                same = views[view.crop_of]
                views.append(same if view.distort else same._replace(steps=()))
        return _Drawn(draw.part(self.share), [view.part(self.share) for view in views], generator.get_state())

    def _rows(self, batch: _Drawn) -> Tensor:
        """Rows of the index by view, int64 (views, b)."""
        return torch.stack([batch.draw.rows[:, view.frame] for view in self.objective.views])

    def _loaded(self, drawn: Iterator[_Drawn]) -> Iterator[Batch]:
        """Batches whose frames threads read ahead, a batch a thread."""
        threads = max(1, available_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
        waiting: deque[tuple[_Drawn, Future[tuple[dict[str, Tensor], Tensor]]]] = deque()
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

    def _read(self, batch: _Drawn) -> tuple[dict[str, Tensor], Tensor]:
        """Frames of a batch, each once, and where each view's are among them."""
        rows, places = torch.unique(self._rows(batch), return_inverse=True)
        read = {kind: store.read_rows(rows, self.training.frame_px, threads=1) for kind, store in self.stores.items()}
        if self.device.type == "cuda":
            read = {kind: frames.pin_memory() for kind, frames in read.items()}
        return read, places

    def _batch(self, batch: _Drawn, frames: dict[str, Tensor], places: Tensor | None) -> Batch:
        """Views of `frames`; those of each view at `places`, by default at the rows of the index."""
        there = {kind: pictures.to(self.device, non_blocking=True) for kind, pictures in frames.items()}
        wanted = (self._rows(batch) if places is None else places).to(self.device, non_blocking=True)
        px, normalisation = self.objective.encoder.input_px, self.views.normalisation
        images = tuple(
            network_view(there[view.kind][at], draws, view.px or px, normalisation, view.colour_space)
            for at, draws, view in zip(wanted, batch.views, self.objective.views, strict=True)
        )
        return Batch(images, batch.draw.to(self.device), batch.state)


def pairing_of(network: Network, experiment: Experiment, store: FrameStore) -> Fixed:
    """How a network's frames are paired in time; first frames are those that the experiment's longest lag allows.

    Raises InputError for films too short, ``same_shot`` where shots are not known, more films a batch than there are.
    """
    config = experiment.section("training", TrainingConfig)
    lag_s = 0.0 if math.isnan(network.lag_s) else network.lag_s
    shots = None
    if config.same_shot:
        place = "world/shots.parquet" if experiment.source == "world" else "frames/index.shots.parquet"
        if not (file := experiment.folder / place).exists():
            raise InputError(f"training.same_shot: no {file}; a world writes it, and ingest (movies.shots: true)")
        shots = pd.read_parquet(file)
    kind, keys = choose_pairing(experiment.objective(network).get("pairing", "fixed"), lag_s, str(experiment.file))
    longest_lag_s = max(*experiment.lags_s, lag_s, 0.0)
    pairing = kind(
        keys, store.index, experiment.folder, lag_s, longest_lag_s, config.lag_tolerance, shots, config.films_per_batch
    )
    films = len(torch.unique(pairing.pairs.film[pairing.pairs.anchors]))
    if config.films_per_batch is not None and config.films_per_batch > films:
        raise InputError(f"training.films_per_batch {config.films_per_batch}: only {films} films have pairs")
    if config.negatives == "cross_film" and films == 1:
        raise InputError("training.negatives cross_film: only one film has pairs")
    return pairing


def example_views(experiment: Experiment, network: Network, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Views of `count` pairs as a network gets them: first and second, uint8 (count, height, width, 3)."""
    config, views = experiment.section("training", TrainingConfig), experiment.section("views", ViewsConfig)
    input_px, store = experiment.section("networks", NetworksConfig).input_px, FrameStore(experiment.folder / "frames")
    generator = torch.Generator().manual_seed(network.seed)
    rows = pairing_of(network, experiment, store).draw(count, generator).rows
    first, second = (
        random_view(store.read_rows(some, config.frame_px), input_px, views, generator, network.views == "rgb")
        for some in (rows[:, 0], rows[:, 1])
    )
    return first.permute(0, 2, 3, 1).numpy(), second.permute(0, 2, 3, 1).numpy()
