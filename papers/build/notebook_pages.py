"""Executed notebooks as pages: code folded, every figure with its text in words and links to the data behind it.

By hand: ``python -m papers.build.notebook_pages results/miniature/notebooks/04_lag_curve.ipynb``.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from semanticcmc.config import InputError
from semanticcmc.experiment import repository_root
from semanticcmc.run import atomic

PUBLISHED = ("figures", "tables", "rdms", "labels")
"""Folders of an experiment's results that a page may link into; the others hold films and weights."""

_GUARD = re.compile(r"^refuse_unknown_parameters\(.*\)\n?", re.MULTILINE)


def annotated(notebook: Path, results: str = "..") -> dict[str, Any]:
    """An executed notebook as a reader wants it: without progress lines, its figures followed by their sources.

    Parameters
    ----------
    notebook : Path
        In ``results/<experiment>/notebooks``; figures are known by what `plots.style.save` left in their outputs.
    results : str
        The experiment's folder as seen from where the page will lie.

    Returns
    -------
    dict
        The notebook as JSON has it; every image has its ``alt``.

    Raises
    ------
    InputError
        For a file that is no notebook or was not executed to its end.
    """
    try:
        page = json.loads(notebook.read_text(encoding="utf-8"))
        cells = [cell | {"source": "".join(cell["source"])} for cell in page["cells"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{notebook}: not readable as a notebook ({error!r})") from error
    code = [cell for cell in cells if cell["cell_type"] == "code" and cell["source"].strip()]
    if not code or not all(cell["execution_count"] for cell in code):
        raise InputError(
            f"{notebook}: not executed; `make poster` leaves executed notebooks in results/<experiment>/notebooks"
        )
    heading = title(cells)
    kept = []
    for cell in cells:
        kept.append(cell)
        if cell["cell_type"] != "code":
            continue
        cell["outputs"] = [out for out in cell["outputs"] if out.get("name") != "stderr"]
        cell["source"] = _GUARD.sub("", cell["source"])
        for metadata in _images(cell):
            metadata.setdefault("alt", f"A figure of: {heading}")
            if figure := metadata.get("figure"):
                kept.append(_markdown(sources(notebook.parent.parent, figure, results), cell["id"]))
    kept[0]["source"] = _below_title(kept[0]["source"], _provenance(page, notebook.name, results))
    return page | {"cells": kept}


def title(cells: list[dict[str, Any]]) -> str:
    """First heading of a notebook's cells."""
    found = re.search(r"^# (.+)$", cells[0]["source"], re.MULTILINE)
    return found[1].strip() if found else "notebook"


def _markdown(text: str, after: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": f"{after}-sources", "metadata": {}, "source": text}


def sources(folder: Path, figure: str, results: str) -> str:
    """A line of Markdown below a figure: its files, the data it was drawn from, its record.

    Parameters
    ----------
    folder : Path
        ``results/<experiment>``: the record is ``figures/<figure>.json``.
    figure, results : str
        As in `annotated`.
    """
    record = json.loads((folder / "figures" / f"{figure}.json").read_text(encoding="utf-8"))
    data = ", ".join(_link(entry["path"], folder, results) for entry in record["inputs"]) or "none"
    files = ", ".join(_anchor(f"{results}/figures/{figure}.{ending}", ending.upper()) for ending in ("svg", "png"))
    record_file = _anchor(f"{results}/figures/{figure}.json", "record")
    return _small(f"Figure <code>{escape(figure)}</code>: {files}; data: {data}; {record_file}")


def _small(html: str) -> str:
    # HTML, which Markdown keeps: pandoc reads no fenced divs in notebooks
    return f'<p class="sources">{html}</p>\n'


def _anchor(address: str, text: str) -> str:
    return f'<a href="{escape(address)}">{escape(text)}</a>'


def _link(path: str, folder: Path, results: str) -> str:
    if path.split("/")[0] in PUBLISHED and (folder / path).exists():
        return _anchor(f"{results}/{path}", path)
    return f"<code>{escape(path)}</code>"


def _images(cell: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Metadata of a cell's image outputs, to be written to."""
    for output in cell["outputs"]:
        for kind in output.get("data", {}):
            if kind.startswith("image/"):
                yield output["metadata"].setdefault(kind, {})


def _below_title(source: str, line: str) -> str:
    head, newline, rest = source.partition("\n")
    return f"{head}\n\n{line}\n{rest}" if newline else f"{head}\n\n{line}"


def _provenance(page: dict[str, Any], name: str, results: str) -> str:
    """Which run this is, and when: from what papermill wrote into the notebook."""
    run = page["metadata"].get("papermill", {})
    given = {key: value for key, value in run.get("parameters", {}).items() if key != "experiment"}
    said = ", ".join(f"{key} {value}" for key, value in given.items())
    experiment = Path(str(run.get("parameters", {}).get("experiment", ""))).parent.name
    parts = ["Executed notebook", experiment and f"experiment {experiment}", said, str(run.get("end_time", ""))[:10]]
    told = [escape(part) for part in parts if part]
    return _small(" · ".join([*told, _anchor(f"{results}/notebooks/{name}", name)]))


def _with_tables(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Cells whose Markdown outputs are cells of their own: pandoc would show them as they print."""
    split = []
    for cell in cells:
        split.append(cell)
        if cell["cell_type"] != "code":
            continue
        outputs, cell["outputs"] = cell["outputs"], []
        for i, output in enumerate(outputs):
            if "text/markdown" in output.get("data", {}):
                text = "".join(output["data"]["text/markdown"])
                split.append({"cell_type": "markdown", "id": f"{cell['id']}-{i}", "metadata": {}, "source": text})
            else:
                cell["outputs"].append(output)
    return split


def write_page(notebook: Path) -> Path:
    """Write ``<name>.html`` beside an executed notebook: one file, no script, nothing fetched from elsewhere.

    Raises
    ------
    InputError
        As `annotated`, and for anything that pandoc warns of.
    """
    import pypandoc

    page = annotated(notebook)
    page["cells"] = _with_tables(page["cells"])
    papers = repository_root() / "papers"
    target = notebook.with_suffix(".html")
    with atomic(target) as temporary:
        command = [
            pypandoc.get_pandoc_path(),
            "--from",
            "ipynb",
            "--to",
            "html",
            "--standalone",
            "--embed-resources",
            "--mathml",
            "--syntax-highlighting",
            "monochrome",
            "--fail-if-warnings",
            "--lua-filter",
            str(papers / "notebook.lua"),
            "--css",
            str(papers / "notebook.css"),
            "--metadata",
            f"pagetitle={title(page['cells'])}",
            "--metadata",
            "lang=en",
            "--output",
            str(temporary),
        ]
        done = subprocess.run(command, input=json.dumps(page), capture_output=True, text=True)
        if done.returncode:
            raise InputError(f"{notebook}: pandoc: {done.stderr.strip()}")
    return target


def main(arguments: list[str] | None = None) -> int:
    """Make the pages; returns 0, or 2 after ``error: ...`` for a notebook that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m papers.build.notebook_pages", description=__doc__)
    parser.add_argument("notebook", type=Path, nargs="+", help="an executed notebook; its page lies beside it")
    options = parser.parse_args(arguments)
    try:
        for notebook in options.notebook:
            print(write_page(notebook))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
