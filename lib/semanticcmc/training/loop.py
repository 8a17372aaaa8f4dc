"""Training of one network, in the order in which it happens.

    semanticcmc train miniature --network semantic_60s --seed 0
    torchrun --nproc-per-node 4 -m semanticcmc train poster --network semantic_60s

The run folder ``networks/<network>/seed-<k>`` holds ``run.json``, ``metrics.jsonl`` and ``checkpoint.pt``. A
killed run goes on from its checkpoint when it is started again and ends as if it had never been
interrupted; a finished one is left as it is. Processes that torchrun starts share every batch.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from semanticcmc.config import InputError
from semanticcmc.experiment import Experiment, Network
from semanticcmc.films.store import FrameStore
from semanticcmc.run import Progress, Stopped, TrainingError, atomic, record, sha256, write_json
from semanticcmc.training import recipe
from semanticcmc.training.batches import Batch, Batches, pairing_of
from semanticcmc.training.checkpoints import checkpoint_to_resume, load_state, load_weights
from semanticcmc.training.distributed import terminated, this_process, wrapped
from semanticcmc.training.networks import Encoder, NetworksConfig, build
from semanticcmc.training.views import ViewsConfig
from semanticcmc.training.weights import read_weights

ENCODER = "encoder."  # of an objective's parameters and buffers: the checkpoint's network; the rest is its objective
Watch = Callable[[dict[str, float]], None]  # takes a line of metrics
Test = Callable[[Encoder, int, int], dict[str, float]]  # of encoder, step and steps: what to log besides


class Run:
    """One network in training; making it checks everything that can be checked before long work.

    The experiment has the sections ``networks``, ``views`` and ``training``, and a frame store in ``frames/``. A
    network that is not trained (`Network.trained`) takes no step: its run folder holds the weights that it starts with.
    Raises InputError for films too short for the longest lag, or a checkpoint that does not fit.
    """

    def __init__(self, experiment: Experiment, network: Network) -> None:
        self.experiment, self.network = experiment, network
        self.config = config = experiment.section("training", recipe.TrainingConfig)
        self.networks = experiment.section("networks", NetworksConfig)
        self.views = experiment.section("views", ViewsConfig)
        self.device, self.processes = recipe.choose_device(config), this_process()
        self.model = build(network, self.networks)
        weights = recipe.starting_weights(network, config)
        if weights is not None:
            self.model.load_state_dict(read_weights(weights, self.model, config.warm_start_off_diagonal))
        self.steps = self.done = 0  # of the whole run, and those done
        self.store = FrameStore(experiment.folder / "frames") if network.trained else None
        if self.store is not None:
            self._prepare(self.store)
        self.settings = {  # all that decides the result, as ``run.json`` and the checkpoint carry it
            "experiment": experiment.name,
            "network": network.name,
            "seed": network.seed,
            "networks": dataclasses.asdict(self.networks),
            "views": dataclasses.asdict(self.views),
            "training": dataclasses.asdict(config),
            "longest_lag_s": max(experiment.lags_s, default=0.0),
            "frames_sha256": sha256(self.store.folder / "index.parquet") if self.store else None,
            "warm_start_sha256": sha256(weights) if weights else None,
            **({"objective": experiment.objective(network)} if experiment.is_further(network) else {}),
        }
        self.generator_state = torch.Generator().manual_seed(network.seed).get_state()
        self.folder = experiment.run_folder(network)
        self.checkpoint = self.folder / "checkpoint.pt"
        self._seconds_before, self._started = 0.0, time.monotonic()
        with self.processes.first_one_first():  # it sets aside what is of another run
            checkpoint = checkpoint_to_resume(self.folder, self.settings)
        if checkpoint:
            self._resume(checkpoint)

    def _prepare(self, store: FrameStore) -> None:
        """Pairing and objective, batches and optimiser, all on its device."""
        config, network = self.config, self.network
        kind, keys = recipe.choose_objective(self.experiment, network)
        recipe.warn_of_published_start(self.experiment, network, config)
        self.pairing = pairing_of(network, self.experiment, store)
        self.objective = kind(keys, self.model, self.pairing, network.seed)
        self.objective.in_bfloat16 = config.precision == "bfloat16"
        per_pass = len(self.pairing.pairs) / config.batch_pairs
        self.steps = config.steps or max(1, round((config.epochs or 0) * per_pass))
        count = recipe.samples_of(config, self.objective.images)
        share = self.processes.share(count)
        self.batches = Batches(store, self.objective, config, self.views, self.device, count, share)
        self.objective.images_of = self.batches.images_of
        self.objective.to(self.device).to(memory_format=torch.channels_last)
        self.loss = wrapped(self.objective, config, self.processes, self.device)
        heads = [p for name, p in self.objective.named_parameters() if not name.startswith(ENCODER)]
        self.optimiser = recipe.make_optimiser(config, [*self.model.parameters(), *heads])

    def _resume(self, checkpoint: dict[str, Any]) -> None:
        """Go back to where the checkpoint was saved."""
        load_weights(self.model, checkpoint["network"], self.checkpoint)
        if self.steps:
            encoder = {f"{ENCODER}{key}": value for key, value in checkpoint["network"].items()}
            load_state(self.objective, encoder | checkpoint["objective"], self.checkpoint)
            load_state(self.optimiser, checkpoint["optimiser"], self.checkpoint)
        self.generator_state = checkpoint["generator"]
        self.done, self._seconds_before = checkpoint["step"], checkpoint["seconds"]

    def train(self, watch: Watch | None = None, test: Test | None = None) -> Path:
        """Train to the end, unless the folder holds this run whole; returns the run folder.

        `watch` is called with each line of ``metrics.jsonl`` when it is written, and shows the progress; `test`, at
        each step that is logged, gives what to log besides (`evaluation.represent`), and uses no random numbers. Ctrl-C
        raises `Stopped` once the step is saved. Raises TrainingError when the loss or a weight is no longer finite; the
        last good checkpoint stays.
        """
        self._started = time.monotonic()
        file = self.folder / "run.json"
        whole = self.checkpoint.exists() and self.done == self.steps and file.exists()
        if whole and json.loads(file.read_text())["status"] == "finished":
            print(f"{self.network}: finished already, in {self.folder}")
            return self.folder
        self._record("started")
        if self.done < self.steps:
            self._loop(watch, test)
        else:
            self._save()
        self._record("finished", hours=self._seconds() / 3600)
        return self.folder

    def report(self) -> str:
        """What a finished run took, where it is, and how it ended."""
        about = json.loads((self.folder / "run.json").read_text())
        took = f"{about['steps']} steps in {60 * about['hours']:.1f} min on {about['device']}"
        lines = [f"{self.network}: {took}, {about['threads']} thread(s)"]
        lines.append(f"{self.checkpoint}, {self.checkpoint.stat().st_size / 1e6:.1f} MB")
        if self.steps:
            last = json.loads((self.folder / "metrics.jsonl").read_text().splitlines()[-1])
            shown = ("loss", "alignment", "uniformity", "temperature", "normaliser_first", "normaliser_second")
            lines.append(", ".join(f"{name} {last[name]:.4g}" for name in ("frames_per_s", *shown) if name in last))
        return "\n".join(lines)

    def _loop(self, watch: Watch | None, test: Test | None) -> None:
        """Train from the step reached to the last; at SIGTERM or Ctrl-C save, then end as the signal would."""
        batches = self.batches.after(self.generator_state, self.steps - self.done)
        self.objective.train()
        if not self.done:
            self.objective.start()
        logged, waited = self.done, 0.0
        logged_at = since = time.monotonic()
        with self._metrics(watch) as log, terminated() as signals:
            for batch in batches:
                waited += time.monotonic() - since
                loss = self._step(batch)
                self.done, self.generator_state = self.done + 1, batch.state
                last = self.done == self.steps
                is_logged = self.done == 1 or self.done % self.config.log_every == 0 or last
                if is_logged:
                    took_s = time.monotonic() - logged_at
                    line = self._measures(loss, took_s / (self.done - logged))
                    more = test(self.model, self.done, self.steps) if test and not self.processes.rank else {}
                    log({**line, "waiting_share": waited / took_s, **more})
                    logged, logged_at, waited = self.done, time.monotonic(), 0.0
                if self.done % self.config.checkpoint_every == 0 or last:
                    self._save()
                # Several processes stop together, at a step that is logged: asking costs them a message.
                if self.processes.count == 1 or is_logged:
                    stopped = self.processes.any(bool(signals), self.device)
                    if stopped:
                        break
                since = time.monotonic()
            if stopped and not last:
                self._save()
                self._seconds_before = self._seconds()
        if stopped:
            said = f"{self.network}: stopped at step {self.done} of {self.steps}, saved; run again to go on"
            if signal.SIGINT in signals:
                raise Stopped(said)
            print(said, file=sys.stderr)
            signal.raise_signal(signal.SIGTERM)

    def _step(self, batch: Batch) -> Tensor:
        """One step; returns the loss, detached."""
        for group in self.optimiser.param_groups:
            group["lr"] = recipe.learning_rate(self.config, self.done, self.steps)
        loss = self.loss(batch.images, batch.draw)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if self.config.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        self.optimiser.step()
        self.objective.after_step(self.done + 1, self.steps)
        return loss.detach()

    def _measures(self, loss: Tensor, step_s: float) -> dict[str, float]:
        """One line of ``metrics.jsonl``, of the step just done: all samples' loss, this process's embeddings."""
        value = loss.item()
        if not math.isfinite(value):
            raise self._not_finite("the loss")
        return {
            "step": self.done,
            "loss": value,
            **self.objective.measures(),
            "learning_rate": self.optimiser.param_groups[0]["lr"],
            "frames_per_s": 2 * self.config.batch_pairs / step_s,
            "seconds_left": (self.steps - self.done) * step_s,
        }

    @contextlib.contextmanager
    def _metrics(self, watch: Watch | None) -> Iterator[Watch]:
        """What takes each line of metrics: process 0 writes it, shows it, and hands it to `watch`.

        Lines of later steps than the one resumed from, left by a run that was killed, are dropped first.
        """
        if self.processes.rank:
            yield lambda line: None
            return
        file, kept = self.folder / "metrics.jsonl", []
        for line in file.read_text().splitlines() if file.exists() else ():
            with contextlib.suppress(json.JSONDecodeError):  # a kill can tear the last line
                if json.loads(line)["step"] <= self.done:
                    kept.append(line)
        with atomic(file) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in kept))
        folder = self.experiment.folder / "progress"
        progress = Progress(str(self.network), self.steps, folder, quiet=watch is not None)
        progress.update(self.done)

        def log(line: dict[str, float]) -> None:
            lines.write(json.dumps(line) + "\n")
            progress.update(int(line["step"]), f"loss {line['loss']:.3f}")
            if watch is not None:
                watch(line)

        with file.open("a", buffering=1) as lines:  # a line is there as soon as it is written
            yield log

    def _save(self) -> None:
        """Write the checkpoint: all that a resumed run needs to end bit-equal to an uninterrupted one."""
        state: dict[str, Any] = {"network": self.model.state_dict(), "objective": {}, "optimiser": {}}
        if self.steps:
            whole = self.objective.state_dict()
            heads = {key: value for key, value in whole.items() if not key.startswith(ENCODER)}
            state |= {"objective": heads, "optimiser": self.optimiser.state_dict()}
        for what in ("network", "objective"):
            for key, value in state[what].items():
                if not torch.isfinite(value).all():
                    raise self._not_finite(f"{key} of the {what}")
        if self.processes.rank:
            return
        state |= {"settings": json.dumps(self.settings), "step": self.done, "seconds": self._seconds()}
        with atomic(self.checkpoint) as temporary:
            torch.save({**state, "generator": self.generator_state}, temporary)

    def _record(self, status: str, **more: Any) -> None:
        """Write ``run.json``."""
        if self.processes.rank:
            return
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"
        how = {"device": name, "processes": self.processes.count, "threads": torch.get_num_threads()}
        images = self.steps * self.batches.count * self.objective.images if self.store else 0
        how |= {"steps": self.steps, "images": images, "status": status}
        about = record(self.settings, self.network.seed, **how, **more)
        try:
            write_json(self.folder / "run.json", about)
        except OSError as error:
            raise InputError(f"{self.folder}: cannot be written ({error.strerror}); free it") from error

    def _seconds(self) -> float:
        """Seconds of training so far, those before an interruption included."""
        return self._seconds_before + time.monotonic() - self._started

    def _not_finite(self, what: str) -> TrainingError:
        there = self.checkpoint.exists()
        kept = f"the last good checkpoint is {self.checkpoint}" if there else "none was saved"
        return TrainingError(
            f"{self.network}: {what} is not finite at step {self.done}; {kept}. "
            "Lower training.learning_rate or look at the frames."
        )
