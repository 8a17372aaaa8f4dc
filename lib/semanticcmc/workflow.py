"""One command for an experiment: check everything first, run the workflow, show the time left, say where results are.

python -m semanticcmc.workflow miniature
python -m semanticcmc.workflow clips --films ~/films --stimuli ~/images
python -m semanticcmc.workflow poster -- --profile slurm        (what follows -- goes to Snakemake)
"""

from __future__ import annotations

import argparse
import collections
import csv
import dataclasses
import fcntl
import importlib
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from semanticcmc.conditions import MASKED
from semanticcmc.configuration import InputError
from semanticcmc.experiments import SECTIONS, Experiment, repository_root, resolve_experiment
from semanticcmc.run import duration

# A first guess of seconds a job, until one of its kind has ended in this run.
FIRST_GUESS_S = {"world": 60.0, "statistics": 25.0, "train": 60.0, "represent": 15.0, "lag_curve": 30.0,
                 "wordnet": 15.0, "poster": 20.0}  # fmt: skip
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
        room = importlib.import_module(f"semanticcmc.{section}")
        experiment.section(section, getattr(room, f"{section.capitalize()}Config"))
    masked = [condition for condition in experiment.sections["stimuli"]["conditions"] if condition in MASKED]
    if masked and experiment.source == "world" and not experiment.sections["world"]["stimuli_in_context"]:
        raise InputError(f"{experiment.file}: stimuli.conditions names {masked[0]}, which exemplars on grey do not "
                         "have; set world.stimuli_in_context: true")  # fmt: skip


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
            raise InputError(
                f"{experiment.folder}: another run is at work there; wait for it or stop it"
            ) from error
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(repository_root() / "Snakefile"),
                   "--directory", str(experiment.folder), "--config", f"experiment={experiment.file}"]  # fmt: skip
        if (experiment.folder / ".snakemake").exists():
            subprocess.run([*command, "--cores", "1", "--unlock"], capture_output=True)
        process = subprocess.Popen(
            [*command, "--cores", str(cores), "--rerun-incomplete", *snakemake],
            stdout=log, stderr=subprocess.STDOUT, pass_fds=[lock.fileno()],
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        previous = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        try:
            _watch(process, experiment, log_path, cores)
        except KeyboardInterrupt:
            print("\nStopping; what is finished stays, and the same command goes on from here.", flush=True)
            process.wait()
        finally:
            signal.signal(signal.SIGTERM, previous)
        return process.returncode


@dataclasses.dataclass
class _Jobs:
    """What Snakemake's log tells of its jobs; fed line by line."""

    counts: dict[str, int] = dataclasses.field(default_factory=dict)
    started: dict[str, tuple[str, float]] = dataclasses.field(default_factory=dict)
    seconds: dict[str, list[float]] = dataclasses.field(default_factory=lambda: collections.defaultdict(list))
    rule: str = ""
    in_table: bool = False
    steps: int = 0  # as Snakemake counts them, those that a checkpoint added and the last, `all`, included

    @property
    def done(self) -> int:
        """Jobs that ended."""
        return sum(len(seconds) for seconds in self.seconds.values())

    @property
    def total(self) -> int:
        """Jobs there are, as far as is known."""
        return max(sum(self.counts.values()), self.steps - 1, self.done)

    def feed(self, line: str) -> None:
        if line.startswith("Job stats:"):
            self.in_table, self.counts = True, {}
        elif self.in_table and (match := re.fullmatch(r"(\w+)\s+(\d+)", line.strip())):
            if match[1] == "total":
                self.in_table = False
            elif match[1] != "all":
                self.counts[match[1]] = int(match[2])
        elif match := re.match(r"(?:local)?(?:rule|checkpoint) (\w+):", line):
            self.rule = match[1]
        elif (match := re.match(r"\s+jobid: (\d+)", line)) and self.rule != "all":
            self.started[match[1]] = (self.rule, time.monotonic())
        elif (match := re.match(r"Finished jobid: (\d+)", line)) and match[1] in self.started:
            rule, start = self.started.pop(match[1])
            self.seconds[rule].append(time.monotonic() - start)
        elif match := re.match(r"\d+ of (\d+) steps", line):
            self.steps = int(match[1])

    def left_s(self, cores: int, running_left_s: list[float]) -> float:
        """Seconds left: jobs not started at the mean of their kind, running ones as they say themselves."""
        running = collections.Counter(rule for rule, _ in self.started.values())
        means = {rule: self._mean(rule, running_left_s) for rule in self.counts}
        waiting = {r: n - running[r] - len(self.seconds[r]) for r, n in self.counts.items()}
        total = sum(
            max(0, n) * means[rule]
            for rule, n in waiting.items()
            if rule not in ("lag_curve", "wordnet", "poster")
        )
        at_the_end = sum(
            max(0, waiting.get(rule, 0)) * means.get(rule, 0) for rule in ("lag_curve", "wordnet", "poster")
        )
        for rule, start in self.started.values():
            if rule != "train" or not running_left_s:
                total += max(0.0, means.get(rule, 10.0) - (time.monotonic() - start))
        return max([(total + sum(running_left_s)) / cores, *running_left_s]) + at_the_end

    def _mean(self, rule: str, running_left_s: list[float]) -> float:
        if self.seconds[rule]:
            return statistics.fmean(self.seconds[rule])
        starts = [start for running, start in self.started.values() if running == rule]
        if rule == "train" and running_left_s and starts:
            return max(running_left_s) + time.monotonic() - min(starts)
        return FIRST_GUESS_S.get(rule, 10.0)


def _watch(process: subprocess.Popen[bytes], experiment: Experiment, log: Path, cores: int) -> None:
    """Print a line about every ten seconds until `process` ends: jobs done, what runs, time left."""
    jobs, start, said = _Jobs(), time.monotonic(), 0.0
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
                print(
                    f"[{minutes:3d}:{seconds:02d}] {done} of {total} jobs{left}{' | ' + what if what else ''}",
                    flush=True,
                )
            if ended:
                return
            time.sleep(0.5)


def _feed(jobs: _Jobs, lines: IO[str]) -> None:
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


def _explain_failure(experiment: Experiment) -> str:
    """The failing jobs' own words, from the end of their logs."""
    text = experiment.path("workflow.log").read_text(encoding="utf-8")
    words: list[str] = []
    for match in re.finditer(r"^\s*log: (\S+)", text.partition("Error in rule")[2], flags=re.M):
        log = experiment.folder / match[1]
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
        said = [n for n, line in enumerate(lines) if re.match(r"(error: |.*\bInputError: )", line)]
        message = "\n".join(lines[-15:])
        if said:  # the message may go on over several lines, up to an empty one
            whole = "\n".join(lines[said[-1] :]).split("\n\n")[0]
            message = re.sub(r"^.*?(?:error: |InputError: )", "error: ", whole)
        if message not in "\n".join(words):
            words.append(f"{message}\n  (whole log: {log})")
    return "\n".join(words) or text[-3000:]


def available_cores() -> int:
    """Processor cores that this process may use, where the system says so."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(
        prog="python -m semanticcmc.workflow", description=__doc__.splitlines()[0]
    )
    parser.add_argument("experiment", help="a name in analysis/experiments, or the path of a YAML")
    parser.add_argument("--films", metavar="FOLDER", help="folder of video files, for an experiment on films")
    parser.add_argument("--stimuli", metavar="FOLDER", help="folder of class folders, each named by its wnid")
    parser.add_argument("--labels", metavar="PATH", help="folder or file of labels in time, for films")
    parser.add_argument(
        "--seeds", type=int, metavar="N", help="seeds 0 .. N-1 instead of the experiment's own"
    )
    parser.add_argument("--results", metavar="FOLDER", help="where results/<experiment> go; default: results")
    parser.add_argument("--cores", type=int, default=available_cores(), help="default: all there are")
    parser.epilog = "What follows -- goes to Snakemake: targets, --profile ..."
    given = list(sys.argv[1:] if arguments is None else arguments)
    split = given.index("--") if "--" in given else len(given)
    options, snakemake = parser.parse_args(given[:split]), given[split + 1 :]
    try:
        experiment = resolve_experiment(
            options.experiment,
            options.results,
            options.films,
            options.stimuli,
            options.labels,
            options.seeds,
        )
        check_sections(experiment)
        networks = (
            f"{len(experiment.networks)} networks, {len(experiment.seeds)} seed(s), {options.cores} cores"
        )
        print(f"{experiment.title}\n  {networks}; results in {experiment.folder}", flush=True)
        status = run_workflow(experiment, options.cores, snakemake)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if status:
        print(_explain_failure(experiment), file=sys.stderr)
        print(
            f"Stopped; what is finished stays. Everything Snakemake said: {experiment.folder}/workflow.log",
            file=sys.stderr,
        )
        return status
    _say_where(experiment)
    return 0


def _say_where(experiment: Experiment) -> None:
    places = {"poster": "poster/poster.html", "poster, A0": "poster/poster.pdf", "notebooks": "notebooks/",
              "figures": "figures/", "tables": "tables/", "RDMs": "rdms/", "networks": "networks/"}  # fmt: skip
    print("Finished.")
    for what, place in places.items():
        if (experiment.folder / place).exists():
            print(f"  {what:<11}{experiment.folder / place}")
    films = experiment.folder / "frames" / "films.csv"
    if films.exists():
        with films.open(encoding="utf-8", newline="") as rows:
            left_out = sum(bool(row["problem"]) for row in csv.DictReader(rows))
        if left_out:
            print(f"  LEFT OUT   {left_out} film(s) could not be used; why stands in {films}")
    matched = experiment.folder / "labels" / "films.csv"
    if matched.exists():
        with matched.open(encoding="utf-8", newline="") as rows:
            apart = [f"{row['movie_id']}: {row['problem']}" for row in csv.DictReader(rows) if row["problem"]]
        if apart:
            print(f"  NOT MATCHED {len(apart)} film(s) of the films and the labels, all in {matched}\n    "
                  + "\n    ".join(apart[:5]))  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
