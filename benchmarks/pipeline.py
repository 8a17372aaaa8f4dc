"""Where the processor time of an experiment goes, from its first frame to its poster, by job and by kind of work.

    python -m benchmarks.pipeline [experiment] [cores]

Runs `semanticcmc run` for an experiment (by default the miniature) in an empty folder, while every process of it is
sampled (`sampled/sitecustomize.py`), and gives the time of all processes to kinds of work. `share` is of the whole;
`times_reference` the multiple of a reference, the forward and backward passes of the experiment's network for 100
batches, which is timed before and after. The samples themselves take some hundredths of each process, also of those
that wait (kind `other`). Writes benchmarks/results/pipeline.csv and a record; nothing is asserted.
`pipeline_before.csv` is the same measured at the commit of its record, before notebooks were forks
(`semanticcmc.forks`), by kind.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import torch

from semanticcmc.experiment import load_experiment
from semanticcmc.run import record, write_csv, write_json
from semanticcmc.training.networks import AlexNet, NetworksConfig

HERE = Path(__file__).parent
RESULTS = HERE / "results"
BATCHES = 100


def reference_s(name: str) -> float:
    """Processor seconds of the forward and backward passes of an experiment's network for `BATCHES` batches."""
    one = load_experiment(name)
    config = one.section("networks", NetworksConfig)
    torch.manual_seed(0)
    network = AlexNet(config)
    images = torch.rand(2 * one.sections["training"]["batch_pairs"], 3, config.input_px, config.input_px)
    start = time.process_time()
    for _ in range(BATCHES):
        network(images).square().mean().backward()
    return time.process_time() - start


def job_of(output: str) -> str:
    """The rule that a process belongs to, by the log that it writes; the workflow itself writes none."""
    found = re.search(r"/logs/(.+)\.log", output)
    return re.sub(r"^(02_training|03_representations)_.+", r"\1", found[1]) if found else "workflow"


def main() -> None:
    """Run, add up, and write the table."""
    name, cores = [*sys.argv[1:], *("miniature", "1")[len(sys.argv) - 1 :]]
    load = os.getloadavg()[0]
    before_s = reference_s(name)
    with tempfile.TemporaryDirectory() as folder:
        samples = Path(folder, "samples")
        samples.mkdir()
        path = os.pathsep.join(filter(None, (str(HERE / "sampled"), os.environ.get("PYTHONPATH"))))
        command = [sys.executable, "-m", "semanticcmc", "run", name, "--results", f"{folder}/results", "--cores", cores]
        start = time.monotonic()
        subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": path, "SAMPLED": str(samples)})
        wall_s = time.monotonic() - start
        found = [json.loads(file.read_text()) for file in samples.glob("*.json")]
    rows = [{"job": job_of(one["job"]), "kind": kind, "cpu_s": s} for one in found for kind, s in one["spent"].items()]
    table = pd.DataFrame(rows).groupby(["job", "kind"], as_index=False).cpu_s.sum()
    reference = (before_s + reference_s(name)) / 2
    table = table.assign(share=table.cpu_s / table.cpu_s.sum(), times_reference=table.cpu_s / reference)
    table = table.sort_values("cpu_s", ascending=False, ignore_index=True).round(3)
    write_csv(RESULTS / "pipeline.csv", table)
    config = {"experiment": name, "cores": int(cores), "wall_s": round(wall_s, 1), "reference_s": round(reference, 2)}
    config |= {"cpu_s": round(float(table.cpu_s.sum()), 1), "load_before": round(load, 2)}
    write_json(RESULTS / "pipeline.json", record(config, seed=0))
    for by in ("job", "kind"):
        print(
            table.groupby(by)[["cpu_s", "share", "times_reference"]]
            .sum()
            .sort_values("cpu_s", ascending=False)
            .round(2)
        )


if __name__ == "__main__":
    main()
