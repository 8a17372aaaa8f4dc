"""What Snakemake's log says: which jobs there are, how long they take, and why one failed."""

from __future__ import annotations

import collections
import dataclasses
import re
import statistics
import time
from pathlib import Path

# A first guess of seconds a job, until one of its kind has ended in this run.
FIRST_GUESS_S = {
    "world": 60.0,
    "statistics": 25.0,
    "train": 60.0,
    "represent": 15.0,
    "lag_curve": 30.0,
    "wordnet": 15.0,
    "poster": 20.0,
}
MOST_ERRORS = 5  # told in full


@dataclasses.dataclass
class Jobs:
    """Jobs that wait, run, ended or failed; fed with the log line by line.

    Attributes
    ----------
    counts : dict
        Jobs planned, by rule.
    started : dict
        Rule and moment of start of the jobs that run, by Snakemake's number.
    seconds : dict
        What the jobs took that ended, by rule.
    failed : list of str
        Rules of the jobs that failed, in that order.
    """

    counts: dict[str, int] = dataclasses.field(default_factory=dict)
    started: dict[str, tuple[str, float]] = dataclasses.field(default_factory=dict)
    seconds: dict[str, list[float]] = dataclasses.field(default_factory=lambda: collections.defaultdict(list))
    failed: list[str] = dataclasses.field(default_factory=list)
    rule: str = ""
    in_table: bool = False
    in_error: bool = False
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
        """Take the log's next line, without its end."""
        if line.startswith("Job stats:"):
            self.in_table, self.counts = True, {}
        elif self.in_table and (match := re.fullmatch(r"(\w+)\s+(\d+)", line.strip())):
            if match[1] == "total":
                self.in_table = False
            elif match[1] != "all":
                self.counts[match[1]] = int(match[2])
        elif match := re.match(r"(?:local)?(?:rule|checkpoint) (\w+):", line):
            self.rule, self.in_error = match[1], False
        elif match := re.match(r"Error in rule (\w+)", line):
            self.failed.append(match[1])
            self.in_error = True
        elif self.in_error and (match := re.match(r"\s+jobid: (\d+)", line)):
            self.started.pop(match[1], None)
        elif (match := re.match(r"\s+jobid: (\d+)", line)) and self.rule != "all":
            self.started[match[1]] = (self.rule, time.monotonic())
        elif (match := re.match(r"Finished jobid: (\d+)", line)) and match[1] in self.started:
            rule, start = self.started.pop(match[1])
            self.seconds[rule].append(time.monotonic() - start)
        elif match := re.match(r"\d+ of (\d+) steps", line):
            self.steps = int(match[1])

    def left_s(self, cores: int, running_left_s: list[float]) -> float:
        """Seconds left: jobs not started at the mean of their kind, running ones as they say themselves."""
        running = collections.Counter([*(rule for rule, _ in self.started.values()), *self.failed])
        means = {rule: self._mean(rule, running_left_s) for rule in self.counts}
        waiting = {r: n - running[r] - len(self.seconds[r]) for r, n in self.counts.items()}
        total = sum(
            max(0, n) * means[rule] for rule, n in waiting.items() if rule not in ("lag_curve", "wordnet", "poster")
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


def explain_failure(folder: Path) -> str:
    """The failed jobs' own words, in the order in which they failed, from the end of their logs.

    Parameters
    ----------
    folder : Path
        The experiment's results, with ``workflow.log``.

    Returns
    -------
    str
        Where no job failed, the end of Snakemake's own log.
    """
    text = (folder / "workflow.log").read_text(encoding="utf-8")
    words: list[str] = []
    for error in re.finditer(r"^Error in rule .*\n((?:[ \t]+.*\n?)+)", text, flags=re.M):
        if (match := re.search(r"^\s*log: (\S+)", error[1], flags=re.M)) is None:
            continue
        log = folder / match[1]
        message = _last_words(log)
        if message not in "\n".join(words):
            words.append(f"{message}\n  (whole log: {log})")
    if len(words) > MOST_ERRORS:
        words[MOST_ERRORS:] = [f"and {len(words) - MOST_ERRORS} more errors; all logs are in {folder / 'logs'}"]
    return "\n".join(words) or text[-3000:]


def _last_words(log: Path) -> str:
    """A job's error message, or the end of its log where it has none."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    said = [n for n, line in enumerate(lines) if re.match(r"(error: |.*\bInputError: )", line)]
    if not said:
        return "\n".join(lines[-15:])
    whole = "\n".join(lines[said[-1] :]).split("\n\n")[0]  # it may go on over several lines, up to an empty one
    return re.sub(r"^.*?(?:error: |InputError: )", "error: ", whole)
