"""Two processes of torchrun train what one trains: the same gradients, weights and banks; they stop together."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
import yaml

from semanticcmc.config import InputError, configure
from semanticcmc.experiment import load_experiment
from semanticcmc.films.files import Frame, merge_index, write_film
from semanticcmc.forks import FIXED
from semanticcmc.training.checkpoints import read_checkpoint
from semanticcmc.training.distributed import Processes, wrapped
from semanticcmc.training.recipe import TrainingConfig
from tests.conftest import forks_of_all

NETWORKS = {
    "plan": "miniature",
    "conv_channels": [4, 4, 4, 4, 4],
    "fc_units": [16, 16],
    "embedding_dim": 8,
    "input_px": 44,
}
VIEWS = {
    "crop_scale": [0.5, 1.0],
    "crop_aspect": [0.9, 1.1],
    "flip": 0.5,
    "jitter": [0.2, 0.2, 0.2, 0.1],
    "jitter_share": 0.8,
    "grey_share": 0.2,
    "normalisation": "imagenet",
}
TRAINING = {
    "frames": "loader",
    "frame_px": None,
    "batch_pairs": 12,
    "films_per_batch": None,
    "same_shot": False,
    "steps": 6,
    "epochs": None,
    "lag_tolerance": 0.1,
    "objective": "info_nce",
    "temperature": 0.3,
    "learn_temperature": True,
    "negatives": "all",
    "memory_bank": None,
    "optimiser": "sgd",
    "learning_rate": 0.1,
    "momentum": 0.9,
    "weight_decay": 0.01,
    "schedule": "cosine",
    "drops": [],
    "clip_norm": 1.0,
    "precision": "float32",
    "compile": False,
    "sync_batch_norm": False,
    "device": "cpu",
    "checkpoint_every": 3,
    "log_every": 2,
    "warm_start": None,
    "warm_start_off_diagonal": "zero",
    "supervised_weights": None,
}
OBJECTIVES = {
    "info_nce": {},
    "within_film": {"negatives": "within_film"},
    "memory_bank": {
        "objective": "memory_bank_nce",
        "learn_temperature": False,
        "memory_bank": {
            "noise": 32,
            "momentum": 0.5,
            "sharing": "batch",
            "form": "nce",
            "normaliser": "first_batch",
            "bank": "random",
            "every": 1,
        },
    },
}
WORKER = """
# Train each experiment given with batch norm in eval mode, so that no view depends on another; two processes
# are interrupted after the fourth gradient and go on from the checkpoint of step 3.
import sys
from pathlib import Path
import torch
from semanticcmc.experiment import load_experiment
from semanticcmc.training.distributed import joined
from semanticcmc.training.loop import Run

def train(file, stop_at):
    E = load_experiment(file)
    run = Run(E, E.network("semantic_2s", 0))
    run.model.eval()
    run.model.train = lambda mode=True: run.model
    gradients, step = [], run.optimiser.step
    def keep_and_step():
        gradients.append([parameter.grad.clone() for parameter in run.model.parameters()])
        if len(gradients) == stop_at:
            torch.save(gradients, Path(file).parent / f"gradients-{run.processes.rank}.pt")
            raise InterruptedError
        step()
    run.optimiser.step = keep_and_step
    run.train()
    return gradients

torch.set_num_threads(1)
with joined(torch.device("cpu")):
    for file in sys.argv[1:]:
        try:
            train(file, 4)
        except InterruptedError:
            assert len(train(file, 0)) == 3
"""


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frames")
    generator = np.random.default_rng(0)
    for film in range(3):
        looks = generator.integers(0, 256, (20, 4, 4, 3), dtype=np.uint8).repeat(12, 1).repeat(12, 2)
        write_film(folder, f"film{film}", (Frame(t, t, t, looks[t]) for t in range(20)), quality=90)
    merge_index(folder)
    return folder


def experiment(folder, frames, **changes):
    """The YAML of an experiment over the frames."""
    folder.mkdir(parents=True)
    (folder / "frames").symlink_to(frames)
    values = {
        "name": folder.name,
        "title": "Three films",
        "source": "films",
        "lags_s": [2.0],
        "baselines": [],
        "seeds": [0],
        "primary_layer": "fc7",
        "networks": NETWORKS,
        "views": VIEWS,
        "training": TRAINING | changes,
    }
    file = folder / "experiment.yaml"
    file.write_text(yaml.safe_dump(values))
    return file


def start(processes, *arguments, **environment):
    """Start a module in one process by itself, or in several under torchrun."""
    under = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", processes] if processes > 1 else []
    command = [sys.executable, *map(str, (*under, "-m", *arguments))]
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | environment
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, frames):
    """Folder of every objective's run, by the number of processes."""
    root = tmp_path_factory.mktemp("trained")
    (root / "worker.py").write_text(WORKER)
    forked = forks_of_all() | FIXED | {"PYTHONPATH": str(root)}
    running = []
    for processes in (1, 2):
        files = [experiment(root / str(processes) / name, frames, **OBJECTIVES[name]) for name in OBJECTIVES]
        running.append(start(processes, "semanticcmc.forks", "worker", *files, **forked))
    for process in running:
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
    return root


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_gradients_of_two_processes_are_those_of_one(trained, objective):
    one = torch.load(trained / "1" / objective / "gradients-0.pt")
    assert all(bool(gradient.any()) for gradient in one[0])
    for rank in (0, 1):
        two = torch.load(trained / "2" / objective / f"gradients-{rank}.pt")
        torch.testing.assert_close(two[0], one[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_whole_run_of_two_processes_is_that_of_one(trained, objective):
    one, two = (read_checkpoint(trained / n / objective / "networks/semantic_2s/seed-0/checkpoint.pt") for n in "12")
    for part in ("network", "objective"):
        torch.testing.assert_close(two[part], one[part], atol=1e-4, rtol=1e-4)
    assert torch.equal(two["generator"], one["generator"])
    lines = []
    for n, processes in (("1", 1), ("2", 2)):
        folder = trained / n / objective / "networks/semantic_2s/seed-0"
        lines.append([json.loads(line) for line in (folder / "metrics.jsonl").open()])
        assert json.loads((folder / "run.json").read_text())["processes"] == processes
    assert [line["step"] for line in lines[1]] == [1, 2, 4, 6]  # written by one process alone
    for first, second in zip(*lines, strict=True):
        assert second["loss"] == pytest.approx(first["loss"], rel=1e-4)


def test_torchrun_stops_both_at_sigterm(tmp_path, frames):
    file = experiment(tmp_path / "films", frames, steps=100_000, checkpoint_every=100_000, log_every=5)
    E = load_experiment(file)
    folder = E.run_folder(E.network("semantic_2s", 0))
    metrics = folder / "metrics.jsonl"
    process = start(2, "semanticcmc", "train", file, "--network", "semantic_2s")
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if metrics.exists() and len(metrics.read_text().splitlines()) > 3:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert "saved" in said, said
    step = read_checkpoint(folder / "checkpoint.pt")["step"]
    assert step % 5 == 0
    assert [json.loads(line)["step"] for line in metrics.open()] == [1, *range(5, step + 1, 5)]


def test_batches_that_cannot_be_dealt_out_evenly_are_refused():
    assert [Processes(rank, 3).share(12) for rank in range(3)] == [slice(0, 4), slice(4, 8), slice(8, 12)]
    for count, n in ((5, 12), (8, 8)):
        with pytest.raises(InputError, match=f"batch_pairs {n}: {count} processes"):
            Processes(0, count).share(n)


def test_batch_norm_over_processes_is_refused_on_a_cpu():
    config = configure(TrainingConfig, TRAINING | {"sync_batch_norm": True}, "here")
    objective = torch.nn.Identity()
    with pytest.raises(InputError, match="sync_batch_norm"):
        wrapped(objective, config, Processes(0, 2), torch.device("cpu"))
    assert wrapped(objective, config, Processes(0, 1), torch.device("cpu")) is objective
