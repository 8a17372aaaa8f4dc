"""The site's pages of studies and of benchmarks, from the scripts, tables and figures of both.

What a script says of itself at its head is what its page says; the numbers are those of its table. Nothing is typed.
"""

from __future__ import annotations

import ast
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd

from semanticcmc.config import InputError

ROWS = 60
"""A longer table is linked to, and shown only as far as `SHOWN` says."""

_PRIMARY = 'model == "category" and control == "random" and lag_s > 0'
SHOWN = {
    "validation/lag_curve.csv": (_PRIMARY, ["world", "lag_s", "seed", "mantel_r", "ci_low", "ci_high", "p"]),
    "validation/conditions.csv": (
        _PRIMARY,
        ["world", "condition", "lag_s", "seed", "mantel_r", "ci_low", "ci_high", "p"],
    ),
    "validation/robustness.csv": (
        'model == "category" and network == "semantic_60s"',
        ["varied", "value", "seed", "mantel_r", "ci_low", "ci_high", "p"],
    ),
    "validation/intervals.csv": (
        'interval == "corrected" and quantity != "simple"',
        ["design", "model", "sampling", "effect", "quantity", "samples", "truth", "sd", "half_width", "coverage"],
    ),
    "validation/real_images.csv": (
        'quantity == "mantel_r" and layer == "conv5" and seed == 0',
        ["network", "study", "model", "fewest", "classes", "images", "value", "ci_low", "ci_high", "p"],
    ),
    "benchmarks/results/mantel.csv": (
        'test == "partial"',
        ["tool", "n", "permutations", "permutations_run", "seconds", "ratio"],
    ),
}
"""Of tables with many rows, those that answer the study's question: a query, and columns."""


@dataclasses.dataclass(frozen=True)
class Study:
    """A script with its results.

    Attributes
    ----------
    name : str
        Of the script, without ending.
    question : str
        First sentence of its docstring.
    text : str
        The rest, as Markdown.
    table, figure, record : Path or None
        Summary or whole table, picture, and JSON record.
    """

    name: str
    question: str
    text: str
    table: Path | None
    figure: Path | None
    record: Path | None


def studies(scripts: Path, results: Path | None = None) -> list[Study]:
    """Studies of a folder of scripts, by name; scripts without a table draw what another one measured.

    Parameters
    ----------
    scripts : Path
        ``validation`` or ``benchmarks``.
    results : Path, optional
        Where their tables lie; by default beside them.

    Raises
    ------
    InputError
        For a script with no docstring, or a folder without any table.
    """
    results = results or scripts
    found = []
    for script in sorted(scripts.glob("*.py")):
        said = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8")))
        if not said:
            raise InputError(f"{script}: no docstring; its first sentence is its heading on the site")
        table = _first(results / f"{script.stem}_summary.csv", results / f"{script.stem}.csv")
        if table is None:
            continue
        question = re.split(r"(?<=[.?])\s|\s\(", said, maxsplit=1)[0]
        text = re.sub(r"^ *\n+|^ +", "", said.removeprefix(question))  # a command's indentation stays
        figure = _first(results / f"{script.stem}.png", results / f"{script.stem}.svg")
        record = _first(results / f"{script.stem}.json")
        found.append(Study(script.stem, question.rstrip("."), text, table, figure, record))
    if not found:
        raise InputError(f"{results}: no tables; `make validate` and `make benchmark` make them")
    return found


def _first(*paths: Path) -> Path | None:
    return next((path for path in paths if path.exists()), None)


def markdown(found: list[Study], root: Path, back: str = "..") -> str:
    """A section a study: what was asked, how, and what came out, with links to script, table and record.

    Parameters
    ----------
    found : list of Study
    root : Path
        The repository.
    back : str
        The repository as seen from the page.
    """
    return "\n".join(_section(study, root, back) for study in found)


def _section(study: Study, root: Path, back: str) -> str:
    assert study.table is not None
    lines = [f"## {study.question} {{#{study.name.replace('_', '-')}}}", "", study.text, ""]
    if study.figure:
        address = f"{back}/{study.figure.relative_to(root).as_posix()}"
        alt = f"Figure of this study, drawn from the table {study.table.name}: {study.question}"
        lines += [f'[![]({address}){{fig-alt="{alt}" width="100%"}}]({address})', ""]  # a phone may want it larger
    shown, what = _shown(study.table.relative_to(root).as_posix(), pd.read_csv(study.table))
    if shown is not None:
        lines += scrolling(_table(shown), f"{study.name}: {what}")
    files = [study.table, study.table.with_name(f"{study.name}.csv"), study.record]
    links = dict.fromkeys(f"[{path.name}]({back}/{path.relative_to(root).as_posix()})" for path in files if path)
    lines += ["::: sources", f"Data: {', '.join(links)}{_when(study.record)}.", ":::", ""]
    return "\n".join(lines)


def _shown(path: str, table: pd.DataFrame) -> tuple[pd.DataFrame | None, str]:
    if path in SHOWN:
        query, columns = SHOWN[path]
        return table.query(query)[columns], "the rows that answer the question"
    return (table, "all rows") if len(table) <= ROWS else (None, "")


def _table(table: pd.DataFrame) -> str:
    """As Markdown: numbers with four digits, to the right; a dash where there is none."""
    numeric = [pd.api.types.is_numeric_dtype(table[column]) for column in table]
    text = table.map(_value)
    return text.to_markdown(
        index=False, disable_numparse=True, colalign=["right" if number else "left" for number in numeric]
    )


def _value(value: Any) -> str:
    if pd.isna(value):
        return "–"
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 or value.is_integer() else f"{value:.4g}"


def scrolling(table: str, name: str) -> list[str]:
    """Lines of Markdown: a table that scrolls by itself where it is wider than the page, by keyboard as well."""
    return [f'::: {{.scroll role="region" tabindex="0" aria-label="{name}"}}', "", table, "", ":::", ""]


def _when(record: Path | None) -> str:
    if record is None:
        return ""
    written = json.loads(record.read_text(encoding="utf-8"))
    return f", written {str(written.get('written', ''))[:10]} at commit {written.get('git_commit')}"
