"""Poster, paper and site of an experiment, made from its tables: outside the library, beside their sources."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from semanticcmc.config import InputError

ROOT = Path(__file__).parents[2]  # the checkout that these scripts, and the sources beside them, are part of


def quarto() -> str | None:
    """Path of Quarto: the one beside this Python (`make quarto`), else the one on the path; None without one."""
    return shutil.which("quarto", path=str(Path(sys.executable).parent)) or shutil.which("quarto")


def pandoc(text: str, source: Path, *options: str) -> None:
    """Run pandoc on `text` in the folder of its `source`; whatever it warns of is an `InputError`."""
    import pypandoc

    command = [pypandoc.get_pandoc_path(), "--standalone", "--fail-if-warnings", "--embed-resources", "--mathml"]
    done = subprocess.run([*command, *options], cwd=source.parent, input=text, capture_output=True, text=True)
    if done.returncode:
        raise InputError(f"{source}: pandoc: {done.stderr.strip()}")


def show(made: Callable[[], Iterable[object]]) -> int:
    """Print what is made as it is made; returns 0, or 2 after ``error: ...`` for input that cannot be used."""
    try:
        for path in made():
            print(path, flush=True)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0
