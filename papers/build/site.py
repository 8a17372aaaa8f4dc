"""The site: what it needs is checked and made before Quarto renders, and its pages are checked afterwards.

``make site``, or by hand::

    python -m papers.build.site             all of it; needs Quarto
    python -m papers.build.site prepare     what Quarto runs first (_quarto.yml, pre-render), through step.py
    python -m papers.build.site check       what it runs last (post-render)
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from papers.build import ROOT, claims, notebook_pages, poster, quarto, show, values
from papers.build.checks import check_log, check_site

from semanticcmc.config import InputError
from semanticcmc.experiment import Experiment, load_experiment
from semanticcmc.run import atomic

EXPERIMENT = "miniature"  # that the site shows
_ONE = "semantic_60s_seed-0"  # the network that notebooks 02 and 03 are shown of
_STEMS = sorted(path.stem for path in (ROOT / "analysis").glob("[0-9]*.ipynb"))
# Chapters of the site, and the executed notebooks that they show.
NOTEBOOKS = {stem: f"{stem}_{_ONE}" if stem[:2] in ("02", "03") else stem for stem in _STEMS}
REQUIRED = (  # results that the pages lead to
    *(f"{name}/{name}.{ending}" for name in ("poster", "paper") for ending in ("html", "pdf")),
    "tables/lag_curve.csv",
    "figures/lag_curve.svg",
    *(f"notebooks/{name}.{ending}" for name in NOTEBOOKS.values() for ending in ("ipynb", "html")),
)
TABLES = ROOT / "site" / "tables.yml"
MAKE = ".venv/bin/semanticcmc run miniature -- site"
NO_QUARTO = """\
Quarto is not on the path, and the site is made by it: `make quarto` brings it where the network allows, else
`conda env create --file environment.yml`, or https://quarto.org/docs/get-started/ (1.6 or newer).
Poster, paper and notebooks need no Quarto: they are in results/miniature/ as HTML."""

# Pages of the site, each a folder of studies, and where its tables are; ``site/_<page>.md`` begins the page.
STUDIES = {"validation": "validation", "benchmarks": "benchmarks/results"}
ROWS = 60  # a longer table of a study is linked to, and shown only as far as ``site/tables.yml`` says


def required(folder: Path) -> None:
    """Check that all results are in ``results/<experiment>``; an `InputError` has the command that makes them."""
    if missing := [name for name in REQUIRED if not (folder / name).exists()]:
        more = f" and {len(missing) - 1} more" if missing[1:] else ""
        first = "" if Path(sys.prefix, "bin", "semanticcmc").exists() else "`make install`, then "
        raise InputError(
            f"{folder}: missing {missing[0]}{more}; {first}`{MAKE}` makes what is missing and nothing else"
        )


def prepare(root: Path, experiment: Experiment) -> list[Path]:
    """Write what Quarto renders besides tracked pages, into the repository `root`: variables, notebooks, studies.

    A file that would not change is left alone: ``quarto preview`` renders anew what was written.
    """
    required(experiment.folder)
    tests = values.read_lag_curve(experiment)
    claim = poster.claim(experiment, claims.weigh(experiment, tests), poster.dataset(experiment), tests)
    said = {"experiment": poster.head(experiment), "headline": claim["headline"]}
    said["lag_curve"] = poster.alternative_text(experiment, "lag_curve")
    # quoted, or Quarto prints 0.30 as 0.3
    told = yaml.safe_dump(poster.unbroken(said), allow_unicode=True, default_style='"', width=10_000)
    texts = {root / "_variables.yml": told}
    for page, results in STUDIES.items():
        head = (root / "site" / f"_{page}.md").read_text(encoding="utf-8")
        texts[root / "site" / f"{page}.qmd"] = f"{head.rstrip()}\n\n{studies(root, page, results)}"
    results = f"../../results/{experiment.name}"
    for chapter, name in NOTEBOOKS.items():
        executed = for_quarto(notebook_pages.annotated(experiment.folder / "notebooks" / f"{name}.ipynb", results))
        texts[root / "site" / "notebooks" / f"{chapter}.ipynb"] = json.dumps(executed, indent=1)
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            with atomic(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
    reference(root)
    return list(texts)


def reference(root: Path) -> None:
    """Have quartodoc write ``reference/``, where a module or the list of them in ``_quarto.yml`` is newer."""
    written = root / "reference" / "_sidebar.yml"
    sources = [root / "_quarto.yml", *(root / "lib").rglob("*.py")]
    if not written.exists() or max(path.stat().st_mtime for path in sources) > written.stat().st_mtime:
        _run([str(Path(sys.executable).with_name("quartodoc")), "build", "--config", "_quarto.yml"], root)
        written.touch()


def for_quarto(page: dict[str, Any]) -> dict[str, Any]:
    """An annotated notebook as Quarto wants it: texts of figures as options, tables that scroll, lists of lines."""
    for cell in (cell for cell in page["cells"] if cell["cell_type"] == "code"):
        texts = []
        for i, output in enumerate(cell["outputs"]):
            texts += [kind["alt"] for kind in output.get("metadata", {}).values() if "alt" in kind]
            data = {kind: "".join(value) for kind, value in output.get("data", {}).items() if kind.startswith("text/")}
            raw = f"```{{=html}}\n{data['text/html']}\n```" if "text/html" in data else ""  # else Quarto fetches jQuery
            if table := data.get("text/markdown", raw):
                name = f"table {cell['execution_count']}.{i + 1}"
                output["data"] = {"text/markdown": values.framed(name, table)}
        if texts:
            cell["source"] = f"#| fig-alt: {json.dumps(' '.join(texts), ensure_ascii=False)}\n{cell['source']}"
    for cell in page["cells"]:
        cell["source"] = cell["source"].splitlines(keepends=True)  # Quarto loses the newlines of a single string
    return page


def studies(root: Path, scripts: str, results: str) -> str:
    """A section for each script of a folder that has a table, by name; `results`: the folder of the tables."""
    sections = [section(root, script, root / results) for script in sorted((root / scripts).glob("*.py"))]
    if not any(sections):
        raise InputError(f"{root / results}: no tables; `make validate` and `make benchmark` make them")
    return "\n".join(filter(None, sections))


def section(root: Path, script: Path, results: Path) -> str:
    """What a script says of itself at its head, its figure, table and record; empty without a table."""
    said = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8")))
    if not said:
        raise InputError(f"{script}: no docstring; its first sentence is its heading on the site")
    question = re.split(r"(?<=[.?])\s|\s\(", said, maxsplit=1)[0]
    text = re.sub(r"^ *\n+|^ +", "", said.removeprefix(question))  # a command's indentation stays
    text = re.sub(r"^( {4}python -m .*?) {3,}\(?(.+?)\)?$", r"\1\n\n(\2)\n", text, flags=re.MULTILINE)
    text = re.sub(r"^ {4}.*``.*", lambda line: line[0].replace("``", ""), text, flags=re.MULTILINE)
    text = re.sub(r"^FOUND$", "**Found.**", text, flags=re.MULTILINE)
    question = question.rstrip(".")
    endings = ("_summary.csv", ".csv", ".json", ".png", ".svg")
    found = [path for ending in endings if (path := results / f"{script.stem}{ending}").exists()]
    data = [path for path in found if path.suffix in (".csv", ".json")]
    if not data or data[0].suffix != ".csv":
        return ""

    def address(path: Path) -> str:
        return f"../{path.relative_to(root).as_posix()}"

    lines = [f"## {question} {{#{script.stem.replace('_', '-')}}}", "", text, ""]
    for figure in found[len(data) :][:1] or sorted(results.glob(f"{script.stem}_*.png")):
        own = figure.with_suffix(".json")
        told = json.loads(own.read_text(encoding="utf-8")).get("alt") if own.is_file() else None
        alt = told or f"Figure of this study, drawn from the table {data[0].name}: {question}"
        lines += [f'[![]({address(figure)}){{fig-alt="{alt}" width="100%"}}]({address(figure)})', ""]
    lines.append(shown(root, data[0]))
    links, when = ", ".join(f"[{path.name}]({address(path)})" for path in data), ""
    if data[-1].suffix == ".json":
        record = json.loads(data[-1].read_text(encoding="utf-8"))
        when = f", written {str(record.get('written', ''))[:10]} at commit {record.get('git_commit')}"
        when += f". **{why.rstrip('.')}**" if (why := values.stale(data[-1])) else ""
    return "\n".join([*lines, "::: sources", f"Data: {links}{when}.", ":::", ""])


def shown(root: Path, path: Path) -> str:
    """Table of a study in Markdown, numbers with four digits: all of it, the part that `TABLES` names, or nothing."""

    def cell(value: Any) -> str:
        if pd.isna(value):
            return "–"
        if not isinstance(value, float):
            return str(value)
        return f"{value:,.0f}" if abs(value) >= 1000 or value.is_integer() else f"{value:.4g}"

    table, what = pd.read_csv(path), "all rows"
    if part := yaml.safe_load(TABLES.read_text(encoding="utf-8")).get(path.relative_to(root).as_posix()):
        table, what = table.query(part["rows"])[part["columns"]], "the rows that answer the question"
    elif len(table) > ROWS:
        return ""
    left = [i for i, column in enumerate(table) if not pd.api.types.is_numeric_dtype(table[column])]
    name = f"{path.stem.removesuffix('_summary')}: {what}"
    return values.table(name, table.map(cell), left)


def build(root: Path, experiment: Experiment) -> Path:
    """Render the site, which Quarto has prepared and checked on its way; returns the site's first page.

    An `InputError` names a missing result, or Quarto where it is absent, or anything that it or a page complains of.
    """
    required(experiment.folder)
    if not (program := quarto()):
        raise InputError(NO_QUARTO)
    check_log(_run([program, "render"], root), root)
    return root / "_site" / "index.html"


def _run(command: list[str], root: Path) -> list[str]:
    """Run a command, show what it says, and return the lines."""
    environment = os.environ | {"QUARTO_PYTHON": sys.executable}  # which runs the steps before and after
    said = []
    with subprocess.Popen(
        command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            said.append(line)
    if process.returncode:
        raise InputError(f"{' '.join(command)}: ended with status {process.returncode}; its messages are above")
    return said


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns 0, or 2 after ``error: ...``."""
    parser = argparse.ArgumentParser(prog="python -m papers.build.site", description=__doc__.splitlines()[0])
    parser.add_argument("step", nargs="?", choices=["build", "prepare", "check"], default="build")
    step = parser.parse_args(arguments).step

    def made() -> Iterable[object]:
        if step == "prepare":
            prepare(ROOT, load_experiment(EXPERIMENT))
        elif step == "build":
            yield f"The site: {build(ROOT, load_experiment(EXPERIMENT))}"
            yield "`make serve` shows it in a browser; opened as a file, its search would find nothing."
        elif os.environ.get("QUARTO_PROJECT_OUTPUT_DIR") and not os.environ.get("QUARTO_PROJECT_RENDER_ALL"):
            check_site(ROOT / "_site", map(Path, os.environ["QUARTO_PROJECT_OUTPUT_FILES"].splitlines()))
        else:
            check_site(ROOT / "_site")

    return show(made)


if __name__ == "__main__":
    sys.exit(main())
