"""Executed notebooks as pages: code folded, every figure with its text in words and links to the data behind it.

By hand: ``python -m papers.build.notebook_pages results/miniature/notebooks/*.ipynb``.
"""

from __future__ import annotations

import argparse
import json
import os
import posixpath
import re
import sys
from html import escape
from pathlib import Path
from typing import Any

from papers.build import ROOT, pandoc, show

from semanticcmc.config import InputError
from semanticcmc.run import atomic

# Folders of an experiment's results and of the repository that a page may link into; others hold films and weights.
PUBLISHED = ("figures", "explore", "tables", "rdms", "labels", "validation")
# To notebooks in Lab, which pages have not.
_LINKS = re.compile(r"^Notebooks: \[.*\n?|\[([^]]+)\]\(\d\d_\w+\.ipynb\)", re.MULTILINE)


def annotated(notebook: Path, results: str = "..") -> dict[str, Any]:
    """An executed notebook, as JSON, as a reader wants it: without progress lines, figures followed by their sources.

    It lies in ``results/<experiment>/notebooks``, that folder of results seen from the page's as `results`; figures are
    known by what `figures.save.save` left in their outputs. Every image has its ``alt``. A file that is no notebook,
    or was not executed to its end, is an `InputError`.
    """
    notebook = notebook.absolute()
    try:
        page = json.loads(relative(notebook.read_text(encoding="utf-8"), notebook.parents[2]))
        cells = [cell | {"source": _LINKS.sub(r"\1", "".join(cell["source"]))} for cell in page["cells"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{notebook}: not readable as a notebook ({error!r})") from error
    code = [cell for cell in cells if cell["cell_type"] == "code" and cell["source"].strip()]
    if not code or not all(cell["execution_count"] for cell in code):
        raise InputError(
            f"{notebook}: not executed; `make poster` leaves executed notebooks in results/<experiment>/notebooks"
        )
    kept = []
    for cell in cells:
        kept.append(cell)
        if cell["cell_type"] != "code":
            continue
        cell["outputs"] = [out for out in cell["outputs"] if out.get("name") != "stderr"]
        for output in cell["outputs"]:
            for kind in (kind for kind in output.get("data", {}) if kind.startswith("image/")):
                shown = output["metadata"].setdefault(kind, {})
                shown.setdefault("alt", f"A figure of: {title(cells)}")
                if figure := shown.get("figure"):
                    kept.append(_markdown(cell, "sources", sources(notebook.parent.parent, figure, results)))
    head, newline, rest = kept[0]["source"].partition("\n")
    kept[0]["source"] = f"{head}\n\n{_provenance(page, notebook, results)}{newline}{rest}"
    return page | {"cells": kept}


def relative(text: str, results: Path) -> str:
    """A notebook's text with paths from the repository, or from the folder of all results, and not from /."""
    for root in (ROOT.resolve(), results):
        text = text.replace(f"{root}/", "")
    return text


def title(cells: list[dict[str, Any]]) -> str:
    """First heading of a notebook's cells."""
    found = re.search(r"^# (.+)$", cells[0]["source"], re.MULTILINE)
    return found[1].strip() if found else "notebook"


def sources(folder: Path, figure: str, results: str) -> str:
    """A line below a figure of ``results/<experiment>`` (`folder`), or of a study: its files, its data, its record."""
    path, figure = figure, figure.rpartition("/")[2]
    home, address, stem = folder, results, path if (folder / f"{path}.json").is_file() else f"figures/{figure}"
    if not (home / f"{stem}.json").is_file():  # the picture of a study, which lies in the repository
        home, stem = ROOT.resolve(), f"validation/{figure}"
        address = posixpath.normpath(posixpath.join(results, os.path.relpath(home, folder.resolve())))
    linked = folder.resolve().is_relative_to(home.resolve())  # else results are elsewhere: a page is moved with them

    def link(path: str, text: str = "") -> str:
        if linked and path.split("/")[0] in PUBLISHED and (home / path).exists():
            return _link(f"{address}/{path}", text or path)
        return f"<code>{escape(path)}</code>"

    record = json.loads((home / f"{stem}.json").read_text(encoding="utf-8"))
    written = [path for ending in ("svg", "png") if (home / (path := f"{stem}.{ending}")).exists()]
    files = [link(path, path.rpartition(".")[2].upper()) for path in written]
    data = [link(entry["path"]) for entry in record["inputs"]]
    made = f"Figure <code>{escape(figure)}</code>: {', '.join(files)}; data: {', '.join(data) or 'none'}"
    return _small(f"{made}; {link(f'{stem}.json', 'record')}")


def _provenance(page: dict[str, Any], notebook: Path, results: str) -> str:
    """Which run this is, and when: from what papermill wrote into the notebook."""
    run = page["metadata"].get("papermill", {})
    given = {key: value for key, value in run.get("parameters", {}).items() if key != "experiment"}
    parts = ["Executed notebook", f"experiment {notebook.parents[1].name}"]
    parts += [", ".join(f"{key} {value}" for key, value in given.items()), str(run.get("end_time", ""))[:10]]
    link = _link(f"{results}/notebooks/{notebook.name}", notebook.name)
    return _small(" · ".join([*(escape(part) for part in parts if part), link]))


def _link(address: str, text: str) -> str:
    return f'<a href="{escape(address)}">{escape(text)}</a>'


def _small(html: str) -> str:
    return f'<p class="sources">{html}</p>\n'  # HTML, which Markdown keeps: pandoc reads no fenced divs in notebooks


def _markdown(cell: dict[str, Any], part: str, text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": f"{cell['id']}-{part}", "metadata": {}, "source": text}


def _with_tables(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Cells whose Markdown outputs are cells of their own: pandoc would show them as they print."""
    split = []
    for cell in cells:
        split.append(cell)
        if cell["cell_type"] == "code":
            tables = [output for output in cell["outputs"] if "text/markdown" in output.get("data", {})]
            cell["outputs"] = [output for output in cell["outputs"] if output not in tables]
            texts = ["".join(output["data"]["text/markdown"]) for output in tables]
            split += [_markdown(cell, str(i), text) for i, text in enumerate(texts)]
    return split


def write_page(notebook: Path) -> Path:
    """Write ``<name>.html`` beside an executed notebook: one file, no script, nothing fetched from elsewhere.

    An `InputError` is raised as in `annotated`, and for anything that pandoc warns of.
    """
    page = annotated(notebook)
    page["cells"] = _with_tables(page["cells"])
    papers = ROOT / "papers"
    target = notebook.with_suffix(".html").absolute()
    with atomic(target) as temporary:
        kinds = ("--from=ipynb", "--to=html", f"--output={temporary}", f"--metadata=pagetitle={title(page['cells'])}")
        style = f"<style>\n{(papers / 'notebook.css').read_text(encoding='utf-8')}</style>"
        look = (f"--lua-filter={papers / 'notebook.lua'}", f"--variable=header-includes:{style}", "--metadata=lang=en")
        look += ("--sandbox", "--metadata=document-css=false")  # pandoc reads no file that a notebook names
        pandoc(json.dumps(page), notebook, *kinds, *look, "--syntax-highlighting=monochrome")
    return target


def main(arguments: list[str] | None = None) -> int:
    """Make the pages; returns 0, or 2 after ``error: ...`` for a notebook that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m papers.build.notebook_pages", description=__doc__)
    parser.add_argument("notebook", type=Path, nargs="+", help="an executed notebook; its page lies beside it")
    notebooks = parser.parse_args(arguments).notebook
    return show(lambda: map(write_page, notebooks))


if __name__ == "__main__":
    sys.exit(main())
