"""Training of one network: pairs of frames, two views each, symmetric InfoNCE, one readable loop.

    python -m semanticcmc.training analysis/experiments/miniature.yaml --network semantic_60s --seed 0

Its run folder ``networks/<network>/seed-<k>`` holds ``run.json``, ``metrics.jsonl`` and ``checkpoint.pt``. A
killed run goes on from its checkpoint when it is started again and ends as if it had never been
interrupted; a finished one is left as it is.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import json
import math
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from semanticcmc.checkpoints import checkpoint_to_resume, load_weights, metrics_after, read_checkpoint
from semanticcmc.configuration import InputError, configure
from semanticcmc.experiments import Experiment, load_experiment, network_lag_s, repository_root
from semanticcmc.frames import FrameStore, LaggedPairs
from semanticcmc.networks import Network, NetworksConfig, TrainedNetwork, build
from semanticcmc.objectives import InfoNCE, alignment, uniformity
from semanticcmc.recipe import TrainingConfig, choose_device, learning_rate, make_optimiser
from semanticcmc.run import Progress, atomic, record, write_json
from semanticcmc.views import ViewsConfig, training_view


class TrainingError(RuntimeError):
    """Training cannot go on, through no fault of its input."""


def train(experiment: Experiment, network: str, seed: int) -> Path:
    """Train one network to the end, from its checkpoint where it has one.

    Parameters
    ----------
    experiment : Experiment
        With sections ``networks``, ``views`` and ``training``, and a frame store in ``frames/``.
    network : str
        ``random`` (no step: the initial weights), ``augment`` (both views of one frame), ``cmc_lab`` (L
        against ab of one frame) or ``semantic_<lag>s`` (frames a lag apart).
    seed : int
        Of the initial weights and of all sampling.

    Returns
    -------
    Path
        The run folder.

    Raises
    ------
    InputError
        For a network that is unknown, frames too short for the longest lag, a checkpoint that does not fit.
    TrainingError
        When the loss or a weight is no longer finite; the last good checkpoint stays.
    """
    config = experiment.section("training", TrainingConfig)
    networks = experiment.section("networks", NetworksConfig)
    views = experiment.section("views", ViewsConfig)
    model, objective = build(network, networks, seed), InfoNCE(config.temperature, config.learn_temperature)
    trained = network != "random"
    warm_start = None
    if config.warm_start is not None and network not in ("random", "cmc_lab"):
        warm_start = repository_root() / config.warm_start
        load_weights(model, read_checkpoint(warm_start).get("network", {}), warm_start)
    store = FrameStore(experiment.folder / "frames") if trained else None
    pairs = _pairs(experiment, network, config, store) if store else None
    settings = {
        "experiment": experiment.name,
        "network": network,
        "networks": dataclasses.asdict(networks),
        "views": dataclasses.asdict(views),
        "training": dataclasses.asdict(config),
        "longest_lag_s": max(experiment.lags_s, default=0.0),
        "frames_sha256": _sha256(store.folder / "index.parquet") if store else None,
        "warm_start_sha256": _sha256(warm_start) if warm_start else None,
    }
    folder = experiment.run_folder(network, seed)
    checkpoint = checkpoint_to_resume(folder, settings)
    run_file = folder / "run.json"
    if checkpoint and run_file.exists() and json.loads(run_file.read_text())["status"] == "finished":
        print(f"{network}, seed {seed}: finished already, in {folder}")
        return folder
    device = choose_device(config)
    model.to(device).to(memory_format=torch.channels_last)
    objective.to(device)
    steps = 0
    if pairs is not None:
        steps = config.steps or max(1, round(float(config.epochs or 0) * len(pairs) / config.batch_pairs))
    about = record(settings, seed, device=_device_name(device), threads=torch.get_num_threads(), steps=steps)
    write_json(run_file, {**about, "status": "started"})
    run = _Run(experiment, network, seed, folder, settings, config, views, networks.input_px, device)
    hours = run.train(model, objective, store, pairs, steps, checkpoint) / 3600
    write_json(run_file, {**about, "status": "finished", "hours": hours})
    return folder


@dataclasses.dataclass
class _Run:
    """One run's fixed surroundings and its loop."""

    experiment: Experiment
    network: str
    seed: int
    folder: Path
    settings: dict[str, Any]
    config: TrainingConfig
    views: ViewsConfig
    input_px: int
    device: torch.device

    def train(
        self,
        model: Network,
        objective: InfoNCE,
        store: FrameStore | None,
        pairs: LaggedPairs | None,
        steps: int,
        checkpoint: dict[str, Any] | None,
    ) -> float:
        """The loop; returns the seconds trained, those before an interruption included."""
        config, generator = self.config, torch.Generator().manual_seed(self.seed)
        optimiser = make_optimiser(config, [*model.parameters(), *objective.parameters()])
        done, seconds = 0, 0.0
        if checkpoint:
            load_weights(model, checkpoint["network"], self.folder / "checkpoint.pt")
            objective.load_state_dict(checkpoint["objective"])
            optimiser.load_state_dict(checkpoint["optimiser"])
            generator.set_state(checkpoint["generator"])
            done, seconds = checkpoint["step"], checkpoint["seconds"]

        def save(step: int) -> None:
            if not all(bool(torch.isfinite(value).all()) for value in model.state_dict().values()):
                raise self._not_finite("a weight", step)
            values = {
                "step": step,
                "seconds": seconds + time.monotonic() - started,
                "settings": json.dumps(self.settings),
                "network": model.state_dict(),
                "objective": objective.state_dict(),
                "optimiser": optimiser.state_dict(),
                "generator": generator.get_state(),
            }
            with atomic(self.folder / "checkpoint.pt") as temporary:
                torch.save(values, temporary)

        started = time.monotonic()
        frames = store.resident(config.resident_size, self.device) if store and done < steps else None
        progress = Progress(f"{self.network}, seed {self.seed}", steps, self.experiment.folder / "progress")
        model.train()
        since, since_step = time.monotonic(), done
        with metrics_after(self.folder / "metrics.jsonl", done) as metrics, _terminated() as terminated:
            for step in range(done + 1, steps + 1):
                assert frames is not None and pairs is not None
                rate = learning_rate(config, step - 1, steps)
                for group in optimiser.param_groups:
                    group["lr"] = rate
                first, second = self._views(frames, pairs, model, generator)
                with torch.autocast(self.device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
                    first, second = model.pair(first, second)
                first, second = first.float(), second.float()
                loss = objective(first, second)
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                optimiser.step()

                last = step == steps or bool(terminated)
                if step == 1 or step % config.log_every == 0 or last:
                    value = loss.item()
                    if not math.isfinite(value):
                        raise self._not_finite("the loss", step)
                    now = time.monotonic()
                    step_s = (now - since) / (step - since_step)
                    since, since_step = now, step
                    line = {
                        "step": step,
                        "loss": value,
                        **_watch(first.detach(), second.detach()),
                        "temperature": objective.temperature.item(),
                        "learning_rate": rate,
                        "frames_per_s": 2 * config.batch_pairs / step_s,
                        "seconds_left": (steps - step) * step_s,
                    }
                    metrics.write(json.dumps(line) + "\n")
                    metrics.flush()
                    progress.update(step, f"loss {value:.3f}")
                if step % config.checkpoint_every == 0 or last:
                    save(step)
                if terminated and step < steps:
                    print(f"{self.network}, seed {self.seed}: stopped at step {step}, saved", file=sys.stderr)
                    break
        if terminated:
            signal.raise_signal(signal.SIGTERM)  # the state is safe: let the signal do what it does
        if steps == 0:
            save(0)
        return seconds + time.monotonic() - started

    def _views(
        self, frames: Tensor, pairs: LaggedPairs, model: Network, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        rows = pairs.sample(self.config.batch_pairs, generator)
        first, second = (frames[row.to(frames.device, non_blocking=True)] for row in rows)
        if model.colour_space == "lab":  # one view of one frame, its L against its a and b
            view = training_view(first, self.input_px, self.views, generator, "lab")
            return view[:, :1], view[:, 1:]
        return (
            training_view(first, self.input_px, self.views, generator),
            training_view(second, self.input_px, self.views, generator),
        )

    def _not_finite(self, what: str, step: int) -> TrainingError:
        file = self.folder / "checkpoint.pt"
        kept = f"the last good checkpoint is {file}" if file.exists() else "no checkpoint was written yet"
        return TrainingError(
            f"{self.network}, seed {self.seed}: {what} is not finite at step {step}; {kept}. "
            "Lower training.learning_rate or look at the frames."
        )


def _watch(first: Tensor, second: Tensor) -> dict[str, float]:
    return {
        "alignment": alignment(first, second).item(),
        "uniformity": (uniformity(first).item() + uniformity(second).item()) / 2,
    }


def _pairs(experiment: Experiment, network: str, config: TrainingConfig, store: FrameStore) -> LaggedPairs:
    """Pairs of the network's lag; first frames are those that the experiment's longest lag allows."""
    lag_s = network_lag_s(network)
    lag_s = 0.0 if math.isnan(lag_s) else lag_s  # cmc_lab: two views of one frame
    longest = max(*experiment.lags_s, lag_s) if experiment.lags_s else lag_s
    return store.lagged_pairs(lag_s, longest_lag_s=longest, tolerance=config.lag_tolerance)


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def _sha256(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


@contextlib.contextmanager
def _terminated() -> Iterator[list[int]]:
    """A list that SIGTERM fills, so that the loop can save before it ends (main thread only)."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return
    before = signal.signal(signal.SIGTERM, lambda number, _: caught.append(number))
    try:
        yield caught
    finally:
        signal.signal(signal.SIGTERM, before)


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
    return TrainedNetwork(network, networks, views).eval()


def main(arguments: list[str] | None = None) -> int:
    """Command line: exit 2 for bad input, 1 where training cannot go on."""
    parser = argparse.ArgumentParser(prog="python -m semanticcmc.training", description="Train one network.")
    parser.add_argument("experiment", help="name, or path to a YAML")
    parser.add_argument("--network", required=True, help="random, augment, cmc_lab or semantic_<lag>s")
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
