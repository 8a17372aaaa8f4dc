"""Training of one network: pairs of frames, two views each, symmetric InfoNCE, one readable loop.

    python -m semanticcmc.training analysis/experiments/miniature.yaml --network semantic_60s --seed 0

Its run folder ``networks/<network>/seed-<k>`` holds ``run.json``, ``metrics.jsonl`` and ``checkpoint.pt``. A
killed run goes on from its checkpoint when it is started again and ends as if it had never been
interrupted; a finished one is left as it is.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from semanticcmc.checkpoints import (
    checkpoint_to_resume,
    load_weights,
    metrics_after,
    read_checkpoint,
    sha256,
    terminated,
)
from semanticcmc.configuration import InputError, configure
from semanticcmc.experiments import Experiment, load_experiment, network_lag_s
from semanticcmc.frames import FrameStore, LaggedPairs
from semanticcmc.networks import UNTRAINED, NetworksConfig, TrainedNetwork, build
from semanticcmc.objectives import InfoNCE, PairRows, alignment, uniformity
from semanticcmc.published_weights import read_weights
from semanticcmc.recipe import (
    TrainingConfig,
    choose_device,
    learning_rate,
    make_optimiser,
    starting_weights,
)
from semanticcmc.run import Progress, atomic, record, write_json
from semanticcmc.views import ViewsConfig, training_view


class TrainingError(RuntimeError):
    """Training cannot go on, through no fault of its input."""


def train(experiment: Experiment, network: str, seed: int) -> Path:
    """Train one network to the end, from its own checkpoint where it has one.

    Parameters
    ----------
    experiment : Experiment
        With sections ``networks``, ``views`` and ``training``, and a frame store in ``frames/``.
    network : str
        ``random`` (no step: the initial weights), ``supervised`` (no step: torchvision's weights), ``augment``
        (both views of one frame), ``cmc_lab`` (L against ab of one frame) or ``semantic_<lag>s`` (frames a lag
        apart).
    seed : int
        Of the initial weights and of all sampling.

    Returns
    -------
    Path
        The run folder.

    Raises
    ------
    InputError
        For a network that is unknown, films too short for the longest lag, a checkpoint that does not fit.
    TrainingError
        When the loss or a weight is no longer finite; the last good checkpoint stays.
    """
    return Run(experiment, network, seed).train()


class Run:
    """One network in training; making it checks everything that can be checked before long work.

    Attributes
    ----------
    folder : Path
        The run folder; one that held a run with other settings has been set aside.
    steps, done : int
        Steps of the whole run, and those done.
    settings : dict
        All that decides the result, as ``run.json`` and the checkpoint carry it.
    """

    def __init__(self, experiment: Experiment, network: str, seed: int) -> None:
        self.experiment, self.network, self.seed = experiment, network, seed
        self.what = f"{network}, seed {seed}"
        self.config = config = experiment.section("training", TrainingConfig)
        self.networks = experiment.section("networks", NetworksConfig)
        self.views = experiment.section("views", ViewsConfig)
        self.device = choose_device(config)
        self.model = build(network, self.networks, seed)
        self.objective = InfoNCE(config.temperature, config.learn_temperature).to(self.device)
        weights = starting_weights(network, config)
        if weights is not None:
            read = read_weights(weights, self.model, config.warm_start_off_diagonal)
            load_weights(self.model, read, weights)
        self.model.to(self.device).to(memory_format=torch.channels_last)
        self.store: FrameStore | None = None
        self.steps = self.done = 0
        if network not in UNTRAINED:
            self.store = FrameStore(experiment.folder / "frames")
            self.pairs = self._lagged_pairs(self.store)
            epochs = (config.epochs or 0) * len(self.pairs) / config.batch_pairs
            self.steps = config.steps or max(1, round(epochs))
            self.optimiser = make_optimiser(config, [*self.model.parameters(), *self.objective.parameters()])
        self.settings = {
            "experiment": experiment.name,
            "network": network,
            "seed": seed,
            "networks": dataclasses.asdict(self.networks),
            "views": dataclasses.asdict(self.views),
            "training": dataclasses.asdict(config),
            "longest_lag_s": max(experiment.lags_s, default=0.0),
            "frames_sha256": sha256(self.store.folder / "index.parquet") if self.store else None,
            "warm_start_sha256": sha256(weights) if weights else None,
        }
        self.generator = torch.Generator().manual_seed(seed)
        self.folder = experiment.run_folder(network, seed)
        self._seconds_before, self._started = 0.0, time.monotonic()
        self.checkpoint = self.folder / "checkpoint.pt"
        if checkpoint := checkpoint_to_resume(self.folder, self.settings):
            self._resume(checkpoint)

    def _lagged_pairs(self, store: FrameStore) -> LaggedPairs:
        """Pairs of the network's lag; first frames are those that the experiment's longest lag allows."""
        lag_s = 0.0 if self.network == "cmc_lab" else network_lag_s(self.network)
        longest_lag_s = max(*self.experiment.lags_s, lag_s, 0.0)
        return store.lagged_pairs(lag_s, longest_lag_s, tolerance=self.config.lag_tolerance)

    def train(self) -> Path:
        """Train to the end, unless the folder holds this run whole; returns the run folder."""
        file = self.folder / "run.json"
        whole = self.checkpoint.exists() and self.done == self.steps and file.exists()
        if whole and json.loads(file.read_text())["status"] == "finished":
            print(f"{self.what}: finished already, in {self.folder}")
            return self.folder
        self.write("started")
        self.go_on()
        self.write("finished", hours=self.seconds() / 3600)
        return self.folder

    def seconds(self) -> float:
        """Seconds of training so far, those before an interruption included."""
        return self._seconds_before + time.monotonic() - self._started

    def write(self, status: str, **more: Any) -> None:
        """Write ``run.json``."""
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"
        about = record(self.settings, self.seed, device=name, threads=torch.get_num_threads())
        try:
            write_json(self.folder / "run.json", {**about, "steps": self.steps, "status": status, **more})
        except OSError as error:
            raise InputError(f"{self.folder}: cannot be written ({error.strerror}); free it") from error

    def save(self) -> None:
        """Write the checkpoint: all that a resumed run needs to end bit-equal to an uninterrupted one."""
        if not all(bool(torch.isfinite(value).all()) for value in self.model.state_dict().values()):
            raise self._not_finite("a weight")
        values = {
            "settings": json.dumps(self.settings),
            "step": self.done,
            "seconds": self.seconds(),
            "network": self.model.state_dict(),
            "objective": self.objective.state_dict(),
            "optimiser": self.optimiser.state_dict() if self.steps else {},
            "generator": self.generator.get_state(),
        }
        with atomic(self.checkpoint) as temporary:
            torch.save(values, temporary)

    def _resume(self, checkpoint: dict[str, Any]) -> None:
        load_weights(self.model, checkpoint["network"], self.checkpoint)
        self.objective.load_state_dict(checkpoint["objective"])
        if self.steps:
            self.optimiser.load_state_dict(checkpoint["optimiser"])
        self.generator.set_state(checkpoint["generator"])
        self.done, self._seconds_before = checkpoint["step"], checkpoint["seconds"]

    def go_on(self) -> None:
        """Train from the step reached to the last; at SIGTERM save and let the signal end the process."""
        if not self.store or self.done == self.steps:
            return self.save()
        frames = self.store.resident(self.config.resident_size, self.device)
        progress = Progress(self.what, self.steps, self.experiment.folder / "progress")
        progress.update(self.done)
        self.model.train()
        logged, logged_at = self.done, time.monotonic()
        with metrics_after(self.folder / "metrics.jsonl", self.done) as metrics, terminated() as signals:
            while self.done < self.steps and not signals:
                loss, first, second = self._step(frames)
                self.done += 1
                last = self.done == self.steps
                if self.done == 1 or self.done % self.config.log_every == 0 or last:
                    step_s = (time.monotonic() - logged_at) / (self.done - logged)
                    logged, logged_at = self.done, time.monotonic()
                    line = self._measures(loss, first, second, step_s)
                    metrics.write(json.dumps(line) + "\n")
                    progress.update(self.done, f"loss {line['loss']:.3f}")
                if self.done % self.config.checkpoint_every == 0 or last:
                    self.save()
            if self.done < self.steps:
                self.save()
                print(f"{self.what}: stopped at {self.done}, saved", file=sys.stderr)
        if signals:
            signal.raise_signal(signals[0])

    def _step(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One step; returns the loss and the embeddings of both views, detached."""
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.config, self.done, self.steps)
        first, second, rows = self.views_of_pairs(frames)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16"):
            first, second = self.model.pair(first, second)
        first, second = first.float(), second.float()
        loss = self.objective(first, second, rows)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        return loss.detach(), first.detach(), second.detach()

    def views_of_pairs(self, frames: Tensor) -> tuple[Tensor, Tensor, PairRows]:
        """Views of both frames of a new batch of pairs; `frames` are all, uint8 (N, 3, H, W), by row."""
        pairs = self.pairs.sample(self.config.batch_pairs, self.generator)
        rows = PairRows(*pairs, film=self.pairs.film[pairs[0]])
        first, second = (frames[row.to(frames.device, non_blocking=True)] for row in pairs)
        how = (self.networks.input_px, self.views, self.generator, self.model.colour_space)
        view = training_view(first, *how)
        if self.model.colour_space == "lab":  # one view of one frame: its L against its a and b
            return view[:, :1], view[:, 1:], rows
        return view, training_view(second, *how), rows

    def _measures(self, loss: Tensor, first: Tensor, second: Tensor, step_s: float) -> dict[str, float]:
        """One line of ``metrics.jsonl``, of the step just done."""
        value = loss.item()
        if not math.isfinite(value):
            raise self._not_finite("the loss")
        return {
            "step": self.done,
            "loss": value,
            "alignment": alignment(first, second).item(),
            "uniformity": (uniformity(first).item() + uniformity(second).item()) / 2,
            "temperature": self.objective.temperature.item(),
            "learning_rate": self.optimiser.param_groups[0]["lr"],
            "frames_per_s": 2 * self.config.batch_pairs / step_s,
            "seconds_left": (self.steps - self.done) * step_s,
        }

    def _not_finite(self, what: str) -> TrainingError:
        kept = (
            f"the last good checkpoint is {self.checkpoint}" if self.checkpoint.exists() else "none was saved"
        )
        return TrainingError(
            f"{self.what}: {what} is not finite at step {self.done}; {kept}. "
            "Lower training.learning_rate or look at the frames."
        )


def load_network(run_folder: str | Path) -> TrainedNetwork:
    """The network of a finished run, in eval mode, taking uint8 images.

    Raises
    ------
    InputError
        For a folder that holds no finished run, or a checkpoint that does not fit its ``run.json``.
    """
    run_folder = Path(run_folder)
    try:
        run = json.loads((run_folder / "run.json").read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{run_folder}: no run.json; train this network first") from error
    if run["status"] != "finished":
        raise InputError(f"{run_folder}: the run is not finished; start it again, it goes on")
    networks = configure(NetworksConfig, run["config"]["networks"], run_folder / "run.json")
    views = configure(ViewsConfig, run["config"]["views"], run_folder / "run.json")
    network = build(run["config"]["network"], networks, seed=0)
    file = run_folder / "checkpoint.pt"
    load_weights(network, read_checkpoint(file).get("network", {}), file)
    return TrainedNetwork(network, views).eval()


def main(arguments: list[str] | None = None) -> int:
    """Command line: exit 2 for bad input, 1 where training cannot go on."""
    parser = argparse.ArgumentParser(prog="python -m semanticcmc.training", description="Train one network.")
    parser.add_argument("experiment", help="name, or path to a YAML")
    parser.add_argument(
        "--network", required=True, help="random, supervised, augment, cmc_lab or semantic_<lag>s"
    )
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    try:
        print(train(load_experiment(given.experiment), given.network, given.seed))
    except (InputError, TrainingError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
