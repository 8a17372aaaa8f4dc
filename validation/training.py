"""Does a killed run end as if it had never been killed? Kill -9 at 10 random moments, both objectives.

    python -m validation.training            (about 10 minutes)

Two runs of one network on the smoke world's frames: one is left alone, the other is killed when it has reached each of
10 steps drawn at random, at a random moment of the next half second, and started again each time. Then the checkpoints
are compared bit by bit. One thread a process, since a CPU's sums depend on their number. Writes training.csv (one row
a kill, and one of the end) and a record of configs, seeds, versions and commit beside this file.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml

from semanticcmc.experiment import Experiment, load_experiment, read_values
from semanticcmc.run import atomic, record, write_json
from semanticcmc.training.checkpoints import read_checkpoint

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results" / "validation" / "killed"
KILLS, NETWORK = 10, "semantic_10s"
BASE = {"steps": 600, "checkpoint_every": 10, "log_every": 1, "frames": "loader"}
OBJECTIVES = {
    "info_nce": {},
    "memory_bank_nce": {
        "objective": "memory_bank_nce",
        "temperature": 0.07,
        "learn_temperature": False,
        "memory_bank": {
            "noise": 256,
            "momentum": 0.5,
            "sharing": "batch",
            "form": "nce",
            "normaliser": "first_batch",
            "bank": "random",
            "every": 1,
        },
    },
}


def experiment(name: str, objective: str) -> Experiment:
    """The smoke experiment with a longer training, over the frames made once, in an empty results folder."""
    values = read_values("smoke")[0]
    values["training"] |= BASE | OBJECTIVES[objective]
    folder = RESULTS / f"{objective}_{name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "frames").symlink_to(RESULTS / "world" / "frames")
    (folder / "experiment.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    return load_experiment(folder / "experiment.yaml")


def start(one: Experiment) -> subprocess.Popen[bytes]:
    """Start, or start again, the training of the network."""
    command = [sys.executable, "-m", "semanticcmc", "train", str(one.file), "--network", NETWORK]
    return subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL)


def finish(one: Experiment) -> None:
    """Train to the end."""
    if start(one).wait():
        sys.exit(f"{one.folder}: training failed")


def last_logged(one: Experiment) -> int:
    """Last step in the metrics, 0 where there is none."""
    file = one.run_folder(one.network(NETWORK, 0)) / "metrics.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    whole = [line for line in lines if line.endswith("}")]
    return json.loads(whole[-1])["step"] if whole else 0


def step_reached(one: Experiment) -> int:
    """Step of the checkpoint that a run left, 0 where it left none."""
    file = one.run_folder(one.network(NETWORK, 0)) / "checkpoint.pt"
    return read_checkpoint(file)["step"] if file.exists() else 0


def differing(one: Any, other: Any, place: str = "") -> list[str]:
    """Places where two checkpoints differ in any bit; the clock is left out."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [d for key in one if key != "seconds" for d in differing(one[key], other[key], f"{place}/{key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [d for i, pair in enumerate(zip(one, other, strict=True)) for d in differing(*pair, f"{place}/{i}")]
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        same = one.shape == other.shape and one.contiguous().numpy().tobytes() == other.contiguous().numpy().tobytes()
    else:
        same = one == other
    return [] if same else [place]


def study(objective: str) -> list[dict[str, Any]]:
    """Rows of one objective: each kill, and the end."""
    rng = np.random.default_rng(0)
    whole, killed = experiment("whole", objective), experiment("killed", objective)
    finish(whole)
    rows = []
    for target in sorted(rng.integers(1, BASE["steps"], KILLS).tolist()):
        process = start(killed)
        while process.poll() is None and last_logged(killed) < target:
            time.sleep(0.005)
        time.sleep(float(rng.uniform(0, 0.5)))
        process.send_signal(signal.SIGKILL)
        process.wait()
        rows.append(
            {
                "objective": objective,
                "killed_at_step": last_logged(killed),
                "checkpoint_step": step_reached(killed),
                "was_running": process.returncode == -signal.SIGKILL,
            }
        )
        print(rows[-1], flush=True)
    finish(killed)
    files = [one.run_folder(one.network(NETWORK, 0)) / "checkpoint.pt" for one in (whole, killed)]
    places = differing(*(read_checkpoint(file) for file in files))
    rows.append({"objective": objective, "checkpoint_step": step_reached(killed), "bit_equal": not places})
    print(f"{objective}: {places or 'bit-equal'}", flush=True)
    return rows


def main() -> None:
    """Make the frames, kill and compare, write the table and its record."""
    (RESULTS / "world").mkdir(parents=True, exist_ok=True)
    world = RESULTS / "world" / "experiment.yaml"
    world.write_text(yaml.safe_dump(read_values("smoke")[0]), encoding="utf-8")
    if not (RESULTS / "world/frames/index.parquet").exists():
        subprocess.run([sys.executable, "-m", "semanticcmc", "world", str(world)], check=True)
    rows = [row for objective in OBJECTIVES for row in study(objective)]
    with atomic(HERE / "training.csv") as temporary:
        pd.DataFrame(rows).convert_dtypes().to_csv(temporary, index=False)
    write_json(HERE / "training.json", record({"training": BASE, "objectives": OBJECTIVES, "kills": KILLS}, seed=0))
    print(f"Wrote {HERE / 'training.csv'} and .json")


if __name__ == "__main__":
    main()
