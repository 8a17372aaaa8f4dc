"""Validation studies as documents report them: the committed ``validation/*.csv``, read, and numbers in them worded.

What each study says is in `study_timescales`, `study_worlds` and `study_tests`. They word what they say by what is in
the tables: a study that is run again with another outcome is reported with that outcome.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from papers.build.numbers import number, probability

from semanticcmc.config import InputError
from semanticcmc.experiment import repository_root

SIGNIFICANT = 0.05


@dataclasses.dataclass(frozen=True)
class Study:
    """One study as a document shows it.

    Attributes
    ----------
    values : mapping of str to str
        Numbers and sentences by name.
    table : str
        Markdown; empty where the study has none.
    """

    values: dict[str, str]
    table: str = ""


def read(name: str, columns: Sequence[str], folder: str = "validation") -> pd.DataFrame:
    """Table ``validation/<name>.csv`` of the repository.

    Raises
    ------
    InputError
        If it is not there, or lacks one of `columns`; the message holds the command that makes it.
    """
    path = repository_root() / folder / f"{name}.csv"
    script = f"{folder}/{name.removesuffix('_summary').removesuffix('_contrasts')}.py"
    if not path.exists():
        raise InputError(f"{path}: missing. `git checkout -- {folder}` restores it, `python {script}` makes it anew")
    found = pd.read_csv(path, keep_default_na=False, na_values=["", "nan"])
    if missing := [column for column in columns if column not in found]:
        raise InputError(f"{path}: no column {', '.join(missing)}; make it again with `python {script}`")
    return found


def exists(name: str) -> bool:
    """Whether there is a table ``validation/<name>.csv``: for studies that a checkout may not have."""
    return (repository_root() / "validation" / f"{name}.csv").exists()


def record(name: str) -> dict[str, Any]:
    """Record ``validation/<name>.json`` that lies beside a study's table."""
    path = repository_root() / "validation" / f"{name}.json"
    if not path.exists():
        raise InputError(f"{path}: missing. `git checkout -- validation` restores it")
    return json.loads(path.read_text(encoding="utf-8"))


def percent(share: float, decimals: int = 0) -> str:
    """``59 %``."""
    return f"{number(100 * share, decimals)} %"


def bare(p: float) -> str:
    """``0.032``, ``< 0.001``: in a column that says p at its head."""
    return probability(p).removeprefix("p = ").removeprefix("p ") if p == p else "–"


def interval(value: float, low: float, high: float, decimals: int = 2) -> str:
    """``0.14 [0.03, 0.25]``; the brackets only where both bounds are known."""
    known = np.isfinite([low, high]).all()
    return number(value, decimals) + (f" [{number(low, decimals)}, {number(high, decimals)}]" if known else "")
