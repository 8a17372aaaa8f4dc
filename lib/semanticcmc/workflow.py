"""One run of an experiment: check everything first, run Snakemake, show the time left, say where results are."""

from __future__ import annotations

import collections
import csv
import fcntl
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from semanticcmc.config import InputError
from semanticcmc.evaluation.conditions import MASKED
from semanticcmc.experiment import SECTIONS, Experiment, repository_root, resolve_experiment
from semanticcmc.run import counted, duration
from semanticcmc.workflow_log import Jobs, explain_failure

# Module and dataclass that a section of the YAML fills.
CONFIGURED_BY = {
    "world": "world.config:WorldConfig",
    "movies": "films.ingest:MoviesConfig",
    "labels": "labels.stream:LabelsConfig",
    "stimuli": "evaluation.stimuli:StimuliConfig",
    "networks": "training.networks:NetworksConfig",
    "views": "training.views:ViewsConfig",
    "training": "training.recipe:TrainingConfig",
    "activations": "evaluation.activations:ActivationsConfig",
    "evaluation": "evaluation.lag_curve:EvaluationConfig",
    "timescales": "timescales.curves:TimescalesConfig",
    "prediction": "timescales.prediction:PredictionConfig",
    "classification": "evaluation.probes:ClassificationConfig",
}
NOT_CONFIGURED = {"world": ("films",), "movies": ("world",), "labels": ("world",)}


def check_sections(experiment: Experiment) -> None:
    """Fill every section's dataclass once, so that a wrong key or value stops the run before it starts.

    Raises
    ------
    InputError
        Names file, section, key and value.
    """
    for section in SECTIONS:
        if experiment.source in NOT_CONFIGURED.get(section, ()) and section not in experiment.sections:
            continue
        module, config = CONFIGURED_BY[section].split(":")
        experiment.section(section, getattr(importlib.import_module(f"semanticcmc.{module}"), config))
    masked = [condition for condition in experiment.sections["stimuli"]["conditions"] if condition in MASKED]
    if masked and experiment.source == "world" and not experiment.sections["world"]["stimuli_in_context"]:
        raise InputError(
            f"{experiment.file}: stimuli.conditions names {masked[0]}, which exemplars on grey do not "
            "have; set world.stimuli_in_context: true"
        )


def run_workflow(experiment: Experiment, cores: int, snakemake: Sequence[str] = ()) -> int:
    """Run Snakemake on an experiment that `resolve_experiment` wrote.

    Parameters
    ----------
    experiment : Experiment
    cores : int
        Processor cores to use at once.
    snakemake : sequence of str
        Further arguments for Snakemake.

    Returns
    -------
    int
        Snakemake's exit status.

    Raises
    ------
    InputError
        When another run is at work in the same results folder.
    """
    log_path = experiment.path("workflow.log")
    # The lock lives as long as this process or Snakemake does, so a killed run leaves none behind.
    with experiment.path(".workflow.lock").open("w") as lock, log_path.open("w") as log:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(f"{experiment.folder}: another run is at work there; wait for it or stop it") from error
        command = [
            sys.executable,
            "-m",
            "snakemake",
            "--snakefile",
            str(repository_root() / "Snakefile"),
            "--directory",
            str(experiment.folder),
            "--config",
            f"experiment={experiment.file}",
        ]
        if (experiment.folder / ".snakemake").exists():
            subprocess.run([*command, "--cores", "1", "--unlock"], capture_output=True)
        process = subprocess.Popen(
            [*command, "--cores", str(cores), "--rerun-incomplete", "--keep-going", *snakemake],
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[lock.fileno()],
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        previous = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        try:
            _watch(process, experiment, log_path, cores)
        except KeyboardInterrupt:
            print("\nStopping; what is finished stays, and the same command goes on from here.", flush=True)
            process.wait()
        finally:
            signal.signal(signal.SIGTERM, previous)
        return process.returncode


def _watch(process: subprocess.Popen[bytes], experiment: Experiment, log: Path, cores: int) -> None:
    """Print a line about every ten seconds until `process` ends: jobs done, what runs, time left."""
    jobs, start, said = Jobs(), time.monotonic(), 0.0
    began = time.time()
    with log.open() as lines:
        while True:
            ended = process.poll() is not None
            _feed(jobs, lines)
            done, total = jobs.done, jobs.total
            if total and (time.monotonic() - said > 10 or (ended and done)):
                said = time.monotonic()
                steps = _running_steps(experiment.folder / "progress", began)
                running = collections.Counter(rule for rule, _ in jobs.started.values())
                what = ", ".join(text for text, _ in steps) or ", ".join(
                    f"{rule} x {n}" if n > 1 else rule for rule, n in running.items()
                )
                left_s = jobs.left_s(cores, [s for _, s in steps if s is not None])
                minutes, seconds = divmod(int(time.monotonic() - start), 60)
                left = "" if done == total else f" | about {duration(left_s)} left"
                if jobs.failed:
                    left += f" | FAILED: {', '.join(dict.fromkeys(jobs.failed))}, the others go on"
                print(
                    f"[{minutes:3d}:{seconds:02d}] {done} of {total} jobs{left}{' | ' + what if what else ''}",
                    flush=True,
                )
            if ended:
                return
            time.sleep(0.5)


def _feed(jobs: Jobs, lines: IO[str]) -> None:
    for line in lines:
        jobs.feed(line.rstrip("\n"))


def _running_steps(folder: Path, since: float) -> list[tuple[str, float | None]]:
    """What the running jobs wrote of their progress within the last minute: text and seconds left."""
    steps = []
    for file in sorted(folder.glob("*.json")):
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if values["done"] < values["total"] and values["time"] > max(since, time.time() - 60):
            steps.append((f"{values['what']} {values['done']}/{values['total']}", values["left_s"]))
    return steps


def available_cores() -> int:
    """Processor cores that this process may use, where the system says so."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(
    experiment: str,
    results: str | None = None,
    films: str | None = None,
    stimuli: str | None = None,
    labels: str | None = None,
    seeds: int | None = None,
    cores: int | None = None,
    snakemake: Sequence[str] = (),
) -> int:
    """Check everything, run the workflow, and say where results are; parameters as of `resolve_experiment`.

    Returns
    -------
    int
        Snakemake's exit status.

    Raises
    ------
    InputError
        Before long work starts.
    """
    E = resolve_experiment(experiment, results, films, stimuli, labels, seeds)
    check_sections(E)
    cores = cores or available_cores()
    sizes = {"network": len(E.networks), "seed": len(E.seeds), "core": cores}
    print(f"{E.title}\n  {', '.join(counted(n, noun) for noun, n in sizes.items())}; results in {E.folder}", flush=True)
    status = run_workflow(E, cores, snakemake)
    if status:
        print(explain_failure(E.folder), file=sys.stderr)
        print(f"Stopped; what is finished stays. Snakemake's own log: {E.folder}/workflow.log", file=sys.stderr)
    else:
        _say_where(E)
    return status


def _say_where(experiment: Experiment) -> None:
    places = {
        "poster": "poster/poster.html",
        "poster, A0": "poster/poster.pdf",
        "paper": "paper/paper.html",
        "paper, A4": "paper/paper.pdf",
        "notebooks": "notebooks/",
        "figures": "figures/",
        "tables": "tables/",
        "RDMs": "rdms/",
        "networks": "networks/",
    }
    print("Finished.")
    for what, place in places.items():
        if (experiment.folder / place).exists():
            print(f"  {what:<11}{experiment.folder / place}")
    films = experiment.folder / "frames" / "films.csv"
    if films.exists():
        with films.open(encoding="utf-8", newline="") as rows:
            left_out = sum(bool(row["problem"]) for row in csv.DictReader(rows))
        if left_out:
            print(f"  LEFT OUT   {counted(left_out, 'film')} could not be used; why stands in {films}")
    matched = experiment.folder / "labels" / "films.csv"
    if matched.exists():
        with matched.open(encoding="utf-8", newline="") as rows:
            apart = [f"{row['movie_id']}: {row['problem']}" for row in csv.DictReader(rows) if row["problem"]]
        if apart:
            print(
                f"  NOT MATCHED {counted(len(apart), 'film')} of the films and the labels, all in {matched}\n    "
                + "\n    ".join(apart[:5])
            )
