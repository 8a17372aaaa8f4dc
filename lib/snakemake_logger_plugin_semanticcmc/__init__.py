"""Snakemake's log for a person (``snakemake --logger semanticcmc``): a line now and then with the time left.

Everything that Snakemake says goes to ``workflow.log``, or to the terminal in a dry run; errors of jobs are told at
the end. The name of this module is Snakemake's rule for plug-ins.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import logging
import os
import re
import signal
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from snakemake_interface_logger_plugins.base import LogHandlerBase

from semanticcmc.run import duration
from semanticcmc.workflow import LOG

EVERY_S = 10.0
FIRST_GUESS_S = {"world": 60.0, "train": 60.0}  # until a job of the kind has ended; others 15 s
MOST_ERRORS = 5  # told in full


@dataclasses.dataclass
class Jobs:
    """Jobs that wait, run, ended or failed."""

    planned: dict[str, int] = dataclasses.field(default_factory=dict)  # number by rule
    started: dict[int, tuple[str, float]] = dataclasses.field(default_factory=dict)  # rule and start, by job number
    seconds: dict[str, list[float]] = dataclasses.field(default_factory=lambda: collections.defaultdict(list))  # taken
    failed: list[tuple[str, list[str]]] = dataclasses.field(default_factory=list)  # rule and logs, in that order
    total: int = 0

    @property
    def done(self) -> int:
        """Number of jobs that ended."""
        return sum(map(len, self.seconds.values()))

    def feed(self, event: str, record: object) -> None:
        """Take one of Snakemake's log events (`snakemake_interface_logger_plugins.common.LogEvent`)."""
        field = vars(record).get
        if event == "run_info":
            self.planned = {rule: n for rule, n in field("stats").items() if rule not in ("all", "total")}
        elif event == "job_info" and field("rule_name") != "all":
            self.started[field("jobid")] = (field("rule_name"), time.monotonic())
        elif event == "job_finished" and field("job_id") in self.started:
            rule, start = self.started.pop(field("job_id"))
            self.seconds[rule].append(time.monotonic() - start)
        elif event == "job_error":
            self.started.pop(field("jobid"), None)
            self.failed.append((field("rule_name"), list(field("log") or ())))
        elif event == "progress":
            self.total = field("total") - 1  # without the last, `all`
        self.total = max(self.total, sum(self.planned.values()), self.done)

    def left_s(self, cores: int, running_left_s: Sequence[float] = ()) -> float:
        """Seconds left: jobs not started at the mean of their kind, running ones as they say themselves."""
        running = collections.Counter(rule for rule, _ in (*self.started.values(), *self.failed))
        total = sum(running_left_s)
        for rule, planned in self.planned.items():
            total += max(0, planned - running[rule] - len(self.seconds[rule])) * self._mean_s(rule, running_left_s)
        if not running_left_s:
            for rule, start in self.started.values():
                total += max(0.0, self._mean_s(rule, ()) - (time.monotonic() - start))
        return max([total / cores, *running_left_s])

    def _mean_s(self, rule: str, running_left_s: Sequence[float]) -> float:
        if self.seconds[rule]:
            return statistics.fmean(self.seconds[rule])
        starts = [start for one, start in self.started.values() if one == rule]
        if rule == "train" and running_left_s and starts:
            return max(running_left_s) + time.monotonic() - min(starts)
        return FIRST_GUESS_S.get(rule, 15.0)

    def why(self, folder: Path) -> str:
        """The failed jobs' own messages, in the order in which they failed, from the end of their logs."""
        said: dict[str, Path] = {}
        for _, logs in self.failed:
            for log in logs[:1]:
                said.setdefault(_last_message(folder / log), folder / log)
        words = [f"{message}\n  (whole log: {log})" for message, log in list(said.items())[:MOST_ERRORS]]
        if len(said) > MOST_ERRORS:
            words.append(f"and {len(said) - MOST_ERRORS} more errors; all logs are in {folder / 'logs'}")
        return "\n".join(words)


def _last_message(log: Path) -> str:
    """A job's error message, or the end of its log where it has none."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    said = [n for n, line in enumerate(lines) if re.match(r"(error: |.*\bInputError: )", line)]
    if not said:
        return "\n".join(lines[-15:])
    whole = "\n".join(lines[said[-1] :]).split("\n\n")[0]  # it may go on over several lines, up to an empty one
    return re.sub(r"^.*?(?:error: |InputError: )", "error: ", whole)


class LogHandler(LogHandlerBase):
    """Prints ``[ 3:20] 14 of 41 jobs | about 5 min left | semantic_60s, seed 0 120/300`` about every ten seconds."""

    writes_to_stream = True
    writes_to_file = has_filter = has_formatter = needs_rulegraph = False

    def __post_init__(self) -> None:
        self.jobs, self.began, self.said = Jobs(), time.time(), time.time()
        self.dry_run, self.log, self.closed = self.common_settings.dryrun, None, threading.Event()
        self.errors: list[str] = []
        threading.Thread(target=self._watch, daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Take one record: into the log, and into the count of jobs."""
        if self.log is None:  # by now Snakemake stands in the results folder
            self.folder = Path.cwd()
            self.log = sys.stdout if self.dry_run else (self.folder / LOG).open("w", encoding="utf-8")
        if event := getattr(record, "event", None):
            self.jobs.feed(str(event), record)
        if (text := self.format(record)) not in ("", "None", None):
            print(text, file=self.log, flush=True)
            if record.levelno >= logging.ERROR:
                self.errors.append(text)

    def _watch(self) -> None:
        parent = os.getppid() if "SEMANTICCMC_CORES" in os.environ else None
        while not self.closed.wait(0.5):
            if parent and os.getppid() != parent:  # the command was killed: its run ends with it
                os.killpg(0, signal.SIGKILL)
            if time.time() - self.said > EVERY_S:
                self._say()

    def _say(self) -> None:
        """Print the line of progress."""
        self.said = time.time()
        if not self.jobs.total or self.dry_run:
            return
        steps = self._steps()
        running = collections.Counter(rule for rule, _ in self.jobs.started.values())
        what = ", ".join(text for text, _ in steps) or ", ".join(
            f"{rule} x {n}" if n > 1 else rule for rule, n in running.items()
        )
        minutes, seconds = divmod(int(time.time() - self.began), 60)
        parts = [f"[{minutes:3d}:{seconds:02d}] {self.jobs.done} of {self.jobs.total} jobs"]
        if self.jobs.done < self.jobs.total and not self.closed.is_set():
            cores = int(os.environ.get("SEMANTICCMC_CORES", "1"))  # that ``run_snakemake`` gave
            left_s = self.jobs.left_s(cores, [left for _, left in steps if left is not None])
            parts.append(f"about {duration(left_s)} left")
        if failed := dict.fromkeys(rule for rule, _ in self.jobs.failed):
            parts.append(f"FAILED: {', '.join(failed)}" + ", the others go on" * (not self.closed.is_set()))
        print(" | ".join([*parts, what] if what else parts), flush=True)

    def _steps(self) -> list[tuple[str, float | None]]:
        """What the running jobs wrote of their progress within the last minute: text and seconds left."""
        steps = []
        for file in sorted((self.folder / "progress").glob("*.json")):
            try:
                values = json.loads(file.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue
            if values["done"] < values["total"] and values["time"] > max(self.began, time.time() - 60):
                steps.append((f"{values['what']} {values['done']}/{values['total']}", values["left_s"]))
        return steps

    def close(self) -> None:
        """Print the last line, and why jobs failed."""
        if not self.closed.is_set():
            self.closed.set()
            self._say()
            said = self.jobs.why(self.folder) if self.jobs.failed else "\n".join(self.errors)
            if said:
                print(said, file=sys.stderr, flush=True)
        super().close()
