"""The site: what it needs is checked and made before Quarto runs, and its pages are checked afterwards.

``make site``, or by hand::

    python -m papers.build.site             all of it; needs Quarto
    python -m papers.build.site prepare     what ``quarto render`` runs first (_quarto.yml, pre-render)
    python -m papers.build.site check       what it runs last (post-render)
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from papers.build import notebook_pages
from papers.build.checks import check_log, check_site
from papers.build.study_pages import markdown, studies

from semanticcmc.config import InputError
from semanticcmc.experiment import Experiment, load_experiment, repository_root
from semanticcmc.run import atomic

EXPERIMENT = "miniature"
"""The experiment that the site shows."""

NOTEBOOKS = {
    "01_dataset_statistics": "01_dataset_statistics",
    "02_training": "02_training_semantic_60s_seed-0",
    "03_representations": "03_representations_semantic_60s_seed-0",
    "04_lag_curve": "04_lag_curve",
    "05_wordnet": "05_wordnet",
    "06_estimators": "06_estimators",
    "07_robustness": "07_robustness",
}
"""Chapters of the site, and the executed notebooks that they show."""

REQUIRED = (
    "poster/poster.html",
    "poster/poster.pdf",
    "paper/paper.html",
    "paper/paper.pdf",
    "tables/lag_curve.csv",
    "figures/lag_curve.svg",
)
"""Results that the pages lead to, besides the notebooks."""

MAKE = ".venv/bin/semanticcmc run miniature -- site"

NO_QUARTO = """\
Quarto is not on the path, and the site is made by it. One of these brings it (1.6 or newer):
  conda env create --file environment.yml && conda activate semanticcmc     (all packages and Quarto)
  the installer or archive for your system from https://quarto.org/docs/get-started/
Poster, paper and notebooks need no Quarto: they stand in results/miniature/ as HTML."""


def required(folder: Path) -> None:
    """Check that all results are there.

    Parameters
    ----------
    folder : Path
        ``results/<experiment>``.

    Raises
    ------
    InputError
        Names what is missing and the command that makes it.
    """
    names = [*REQUIRED, *(f"notebooks/{name}.{ending}" for name in NOTEBOOKS.values() for ending in ("ipynb", "html"))]
    if missing := [name for name in names if not (folder / name).exists()]:
        raise InputError(f"{folder}: missing {', '.join(missing)}; `{MAKE}` makes what is missing and nothing else")


def prepare(root: Path, experiment: Experiment) -> list[Path]:
    """Write what the site's pages include: variables, chapters, tables.

    Parameters
    ----------
    root : Path
        The repository: ``_variables.yml`` and ``site/`` are written there.
    experiment : Experiment
        Finished.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    InputError
        For a missing result, with the command that makes it.
    """
    required(experiment.folder)
    texts = {
        root / "_variables.yml": variables(experiment),
        root / "site" / "_validation.md": markdown(studies(root / "validation"), root),
        root / "site" / "_benchmarks.md": markdown(studies(root / "benchmarks", root / "benchmarks" / "results"), root),
    }
    results = f"../../results/{experiment.name}"
    for chapter, name in NOTEBOOKS.items():
        page = for_quarto(notebook_pages.annotated(experiment.folder / "notebooks" / f"{name}.ipynb", results))
        texts[root / "site" / "notebooks" / f"{chapter}.ipynb"] = json.dumps(page, indent=1)
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return list(texts)


def variables(experiment: Experiment) -> str:
    """``_variables.yml`` of the site: the experiment's headline and the text of its central figure."""
    from papers.build import claims
    from papers.build import poster as variables
    from papers.build.numbers import count, read_lag_curve

    tests = read_lag_curve(experiment)
    claim = variables.claim(experiment, claims.weigh(experiment, tests), variables.dataset(experiment), tests)
    values = {
        "experiment": {
            "name": experiment.name,
            "title": experiment.title,
            "seeds": count(len(experiment.seeds), "seed"),
        },
        "headline": claim["headline"],
        "lag_curve": variables.alternative_text(experiment, "lag_curve"),
    }
    # quoted, or Quarto prints 0.30 as 0.3
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, default_style='"', width=10_000)


def for_quarto(page: dict[str, Any]) -> dict[str, Any]:
    """An annotated notebook as Quarto wants it: texts of figures as cell options, tables that scroll."""
    for cell in page["cells"]:
        if cell["cell_type"] != "code":
            continue
        texts = []
        for i, output in enumerate(cell["outputs"]):
            texts += [kind["alt"] for kind in output.get("metadata", {}).values() if "alt" in kind]
            if table := "".join(output.get("data", {}).get("text/markdown", "")):
                options = f'.scroll role="region" tabindex="0" aria-label="table {cell["execution_count"]}.{i + 1}"'
                output["data"] = {"text/markdown": f"::: {{{options}}}\n\n{table}\n\n:::\n"}
        if texts:
            cell["source"] = f"#| fig-alt: {json.dumps(' '.join(texts), ensure_ascii=False)}\n{cell['source']}"
    return page


def build(root: Path, experiment: Experiment) -> Path:
    """Check, prepare, write the reference, render and check again; returns the site's first page.

    Raises
    ------
    InputError
        For a missing result, for Quarto where it is absent, and for anything that it or a page complains of.
    """
    prepare(root, experiment)
    if shutil.which("quarto") is None:
        raise InputError(NO_QUARTO)
    _run([str(Path(sys.executable).with_name("quartodoc")), "build", "--config", "_quarto.yml"], root)
    check_log(_run(["quarto", "render"], root))
    check_site(root / "_site")
    return root / "_site" / "index.html"


def _run(command: list[str], root: Path) -> list[str]:
    """Run a command, show what it says, and return the lines."""
    # Quarto starts its pre- and post-render steps as `python`
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = os.environ | {"QUARTO_PYTHON": sys.executable, "PATH": path}
    said = []
    with subprocess.Popen(
        command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            said.append(line)
    if process.returncode:
        raise InputError(f"{' '.join(command)}: ended with status {process.returncode}; its words stand above")
    return said


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns 0, or 2 after ``error: ...``."""
    parser = argparse.ArgumentParser(prog="python -m papers.build.site", description=__doc__.splitlines()[0])
    parser.add_argument("step", nargs="?", choices=["build", "prepare", "check"], default="build")
    step = parser.parse_args(arguments).step
    root = repository_root()
    try:
        if step == "prepare":
            prepare(root, load_experiment(EXPERIMENT))
        elif step == "check" and os.environ.get("QUARTO_PROJECT_RENDER_ALL", "1") == "1":
            check_site(root / "_site")
        elif step == "build":
            print(f"The site: {build(root, load_experiment(EXPERIMENT))}")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
