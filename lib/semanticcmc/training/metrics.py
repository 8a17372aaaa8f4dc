"""Metrics of a training run: JSON lines, progress and whoever watches."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from semanticcmc.run import Progress, atomic

Watch = Callable[[dict[str, float]], None]


@contextlib.contextmanager
def metrics_log(file: Path, done: int, progress: Progress, watch: Watch | None = None) -> Iterator[Watch]:
    """What takes each new line of metrics, from the step resumed from: writes it, shows it, hands it on.

    Parameters
    ----------
    file : Path
        ``metrics.jsonl``.
    done : int
        Steps done; lines of later steps, left by a run that was killed, are dropped.
    progress : Progress
        Told of `step` and `loss`.
    watch : callable, optional
        Called with each new line.
    """
    with _after(file, done) as lines:
        progress.update(done)

        def log(line: dict[str, float]) -> None:
            lines.write(json.dumps(line) + "\n")
            progress.update(int(line["step"]), f"loss {line['loss']:.3f}")
            if watch is not None:
                watch(line)

        yield log


@contextlib.contextmanager
def _after(file: Path, done: int) -> Iterator[Any]:
    """The metrics file, open to append; lines after the step resumed from are dropped first."""
    lines = file.read_text().splitlines() if file.exists() else []
    kept = []
    for line in lines:
        with contextlib.suppress(json.JSONDecodeError):  # a kill can tear the last line
            if json.loads(line)["step"] <= done:
                kept.append(line)
    with atomic(file) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in kept))
    with file.open("a", buffering=1) as handle:  # a line is there as soon as it is written
        yield handle
