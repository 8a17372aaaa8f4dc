"""What every run shares: atomic files, the record of how a result was made, progress with time left."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import errno
import hashlib
import html
import importlib.metadata
import json
import math
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semanticcmc.config import InputError

if TYPE_CHECKING:
    import pandas as pd


Watch = Callable[[Iterable[Any]], Iterable[Any]]  # hands on what is to be done, one by one, and may show how far it is
AT_WORK_S = 60.0  # a file that nobody has written to for so long is nobody's
NOTEBOOK = "SEMANTICCMC_NOTEBOOK"  # in the environment of a notebook that is executed: the name of its file


def refuse_unknown_parameters(cells: Sequence[str]) -> None:
    """Refuse names that papermill injected but the notebook's tagged cell does not have (papermill only warns).

    `cells` are the sources executed so far, the one at work last: ``In`` in a notebook, whose tagged cell assigns
    ``experiment``. Names that a person assigned in that cell, but the cell which opens the experiment does not read,
    are told. Unknown names raise an InputError.
    """
    tagged = [cell for cell in cells if "experiment" in _names(cell) and not _is_injected(cell)]
    known = list(dict.fromkeys(name for cell in tagged for name in _names(cell)))
    for cell in filter(_is_injected, cells):
        if tagged and (unknown := [name for name in _names(cell) if name not in known]):
            raise InputError(f"unknown parameter {', '.join(unknown)}; this notebook takes {', '.join(known)}")
    given, now = tagged[-1] if tagged else "", cells[-1] if cells else ""
    read = _names(now, read=True)
    if given != now and "experiment" in read and (unread := [one for one in _names(given) if one not in read]):
        takes = ", ".join(name for name in known if name in read)
        print(f"{', '.join(unread)}: no parameter of this notebook, which takes {takes}; nothing follows from it.")


def _names(cell: str, read: bool = False) -> list[str]:
    """Names that a cell assigns at its top level, or all that it has; none where it is no plain Python."""
    try:
        body = ast.parse(cell)
    except SyntaxError:
        return []
    if read:
        return [node.id for node in ast.walk(body) if isinstance(node, ast.Name)]
    targets = [target for node in body.body if isinstance(node, ast.Assign) for target in node.targets]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def is_run_by_papermill(cells: Sequence[str]) -> bool:
    """Whether papermill gave this notebook its parameters: then nobody watches it run."""
    return any(map(_is_injected, cells))


def _is_injected(cell: str) -> bool:
    return cell.lstrip().startswith("# Parameters")  # how papermill heads the cell it injects


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def available_cores() -> int:
    """Processor cores that this process may use, where the system says so."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class DiskFullError(OSError):
    """A file does not fit: disk full, quota, or limit on a file's size. Nothing of it is left behind."""

    def __str__(self) -> str:
        return str(self.strerror)


class Stopped(KeyboardInterrupt):
    """Work was stopped by hand, and saved: a notebook shows this message alone."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


class TrainingError(RuntimeError):
    """Training cannot go on, through no fault of its input."""


@contextlib.contextmanager
def handled(handler: Callable[[int, Any], None], *numbers: int) -> Iterator[None]:
    """Call `handler` where these signals are to stop the process, but one that is ignored (nohup)."""
    previous = {one: signal.signal(one, handler) for one in numbers if signal.getsignal(one) != signal.SIG_IGN}
    try:
        yield
    finally:
        for one, before in previous.items():
            signal.signal(one, before)


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Path to write to beside `path`; renamed to `path` when the block ends well, removed when not.

    The DiskFullError names the disk, what is free on it, and the remedy.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    except (OSError, RuntimeError) as error:
        # What torch.save says of a file that cannot take more; it keeps the number of the error to itself.
        number = errno.ENOSPC if "inline_container" in str(error) else getattr(error, "errno", None)
        if isinstance(error, DiskFullError) or number not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        free = shutil.disk_usage(path.parent).free
        raise DiskFullError(
            number,
            f"{path}: {os.strerror(number)}; "
            f"the disk that holds {path.parent} has {free / 1e6:,.0f} MB free. Make room and start again: "
            "what is finished stays",
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def remove_torn(folder: Path) -> None:
    """Remove temporary files that `atomic` left in a folder when its process was killed."""
    for path in folder.rglob(".*.part*"):
        if (named := re.search(r"\.(\d+)\.part(\.|$)", path.name)) and not Path("/proc", named[1]).exists():
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > AT_WORK_S:  # a job on another computer may still write it
                    path.unlink()


def write_json(path: str | Path, values: Any) -> None:
    """Write `values` as JSON, atomically; paths become text, NaN becomes null."""

    def plain(value: Any) -> Any:
        if isinstance(value, float) and not math.isfinite(value):
            return None
        if isinstance(value, Mapping):
            return {str(key): plain(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(item) for item in value]
        return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)

    with atomic(path) as temporary:
        temporary.write_text(json.dumps(plain(values), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write_csv(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table without its index as CSV, atomically."""
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False)


def record(config: Any = None, seed: int | None = None, **more: Any) -> dict[str, Any]:
    """What must stand beside every result: config, seed, git commit, versions, machine and time."""
    names = ("semanticcmc", "torch", "torchvision", "numpy", "scipy", "pandas", "pyarrow")
    found = {}
    for name in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    values = dataclasses.asdict(config) if dataclasses.is_dataclass(config) else config  # type: ignore[arg-type]
    return {
        "config": values,
        "seed": seed,
        "git_commit": git_commit(),
        "python": platform.python_version(),
        "versions": found,
        "platform": platform.platform(),
        "written": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        **more,
    }


def git_commit() -> str | None:
    """The checkout's commit, with ``+changes`` where tracked files differ from it; None outside git."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():  # a repository around an unpacked archive is another
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+changes"]
    try:  # a busy machine may take its time to compare
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


class Progress:
    """Progress of one job: a line now and then with the time left, and a small file for whoever watches.

    `what` names the job as a person would say it, ``semantic_60s, seed 0``, `total` is its number of steps. In `folder`
    (``experiment.folder / "progress"``) ``<what>.json`` is kept up to date; where something else shows the progress it
    is kept alone (`quiet`). `every_s` are the least seconds between two lines.
    """

    def __init__(
        self, what: str, total: int, folder: Path | None = None, every_s: float = 5.0, quiet: bool = False
    ) -> None:
        self.what, self.total, self.every_s, self.quiet = what, total, every_s, quiet
        self.file = folder / (re.sub(r"[^\w.-]+", "-", what) + ".json") if folder else None
        self.started, self.last, self.first = time.monotonic(), 0.0, 0

    def update(self, done: int, note: str = "") -> None:
        """Say that `done` of the steps are done, with a `note` such as the loss."""
        now = time.monotonic()
        if not self.last:
            self.first, self.started = done, now  # a resumed job counts from where it resumes
        elif now - self.last < self.every_s and done < self.total:
            return
        self.last = now
        rate = (done - self.first) / (now - self.started) if now > self.started else 0.0
        left_s = (self.total - done) / rate if rate else math.nan
        left = f", {duration(left_s)} left" if done < self.total and math.isfinite(left_s) else ""
        if not self.quiet:
            note = f", {note}" if note else ""
            print(f"{self.what}: {done} of {self.total}{left}{note}", file=sys.stderr, flush=True)
        if self.file:
            values = {"what": self.what, "done": done, "total": self.total, "left_s": left_s, "time": time.time()}
            write_json(self.file, values)


def small_table(rows: Mapping[Any, Any] | Sequence[Sequence[Any]]) -> str:
    """Rows as a small table of HTML, as a notebook shows what an object is."""
    lines, named = (rows.items(), True) if isinstance(rows, Mapping) else (rows, False)
    cells = ("".join(_cell(one, wraps=place > 0 or not named) for place, one in enumerate(line)) for line in lines)
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in cells)}</table>"


def _cell(text: Any, wraps: bool) -> str:
    look = "white-space: normal; overflow-wrap: anywhere" if wraps else "white-space: nowrap"
    return f'<td style="text-align: left; {look}">{html.escape(str(text))}</td>'


def plain(text: str) -> str:
    """Text of others, such as a label or a title, so that Markdown shows it as it stands, in one line."""
    special = r"\`*_{}[]()<>#$@^~|&!:"  # the colon, since an address is made a link by some readers
    return "".join("\\" + letter if letter in special else letter for letter in " ".join(text.split()))


def counted(number: int, noun: str) -> str:
    """Number and noun as a person would say them: ``1 seed``, ``3 seeds``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(names: Sequence[Any]) -> str:
    """The first five names, and how many more there are: ``a, b, c, d, e and 2 more``."""
    return ", ".join(map(str, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def duration(seconds: float) -> str:
    """Seconds as a person would say them: ``45 s``, ``3 min``, ``2.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
