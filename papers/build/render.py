"""The poster and the paper of an experiment, staged with its numbers and rendered to HTML and PDF.

    python -m papers.build.render miniature paper

Quarto renders where it is installed, else pandoc and Typst. How is in the head of the ``.qmd``, as Quarto reads it:
``filters``, ``bibliography``, and of ``format`` html's ``css``, ``toc`` and ``number-sections``, and typst's
``template`` and ``font-paths``.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from papers.build import pandoc, paper, poster, show, values
from papers.build.checks import check_log

from semanticcmc.config import InputError
from semanticcmc.experiment import Experiment, load_experiment
from semanticcmc.figures.svg_text import font_files

DOCUMENTS = {"poster": poster, "paper": paper}
"""Documents, and the modules that say which files of ``papers/`` and which figures they need, and write the rest."""

_INCLUDE = re.compile(r"^\{\{<\s*include\s+(\S+)\s*>\}\}[ \t]*$", re.MULTILINE)
_VARIABLE = re.compile(r"\{\{<\s*var\s+([\w.-]+)\s*>\}\}")


def make(experiment: Experiment, name: str) -> list[Path]:
    """Make ``<name>/<name>.html`` and ``.pdf`` below the results folder: stage the source, render it, put it in place.

    Everything is made in a folder beside ``<name>/`` that takes its place once both pages are there: where a step
    fails, the document that was there stays. An `InputError` names a missing figure or table and the command that
    makes it, and is raised for anything that `render` refuses.
    """
    document = DOCUMENTS[name]
    for figure in document.FIGURES:
        values.required(experiment, "figures", f"{figure}.svg")
    target = experiment.path(name)
    staged = target.with_name(f".{name}.{os.getpid()}")  # as deep as `target`: ../figures leads to the same
    replaced = target.with_name(f"{staged.name}.old")
    shutil.rmtree(staged, ignore_errors=True)
    fonts = staged / "fonts"  # `font-paths` in the head of the document
    fonts.mkdir(parents=True)
    try:
        for source in document.SOURCES:
            shutil.copyfile(values.source_file(source), staged / source)
        for file in font_files():  # Typst draws the texts of figures with fonts that it is given
            shutil.copyfile(file, fonts / file.name)
        document.write_generated(experiment, staged)
        render(staged, name)
        shutil.rmtree(replaced, ignore_errors=True)
        if target.exists():
            target.rename(replaced)
        staged.rename(target)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
        shutil.rmtree(replaced, ignore_errors=True)
    return [target / f"{name}.html", target / f"{name}.pdf"]


def render(folder: Path, name: str) -> None:
    """Render ``<name>.qmd`` in `folder`, with its ``_variables.yml``, to ``<name>.html`` and ``<name>.pdf``.

    An `InputError` is raised for a variable, include, citation, cross-reference or picture that is not there, for a
    poster's column too full for its page, and for any other warning: nobody proof-reads what a workflow makes.
    """
    source = folder / f"{name}.qmd"
    (_by_quarto if shutil.which("quarto") else _by_pandoc)(source)
    for made in (source.with_suffix(".html"), source.with_suffix(".pdf")):
        if not made.exists():
            raise InputError(f"{made}: not made, although no step reported an error")


def resolve(source: Path, variables: Mapping[str, Any]) -> str:
    """Text of a ``.qmd`` with Quarto's ``include`` and ``var`` in place; unknown ones are an `InputError`."""

    def included(match: re.Match[str]) -> str:
        path = source.parent / match[1]
        if not path.is_file():
            raise InputError(f"{source.name} includes {match[1]}, which nobody made ({path})")
        return _INCLUDE.sub(included, path.read_text(encoding="utf-8").rstrip("\n"))

    def variable(match: re.Match[str]) -> str:
        value: Any = variables
        for key in match[1].split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is None or isinstance(value, Mapping):
            file = source.with_name("_variables.yml")
            raise InputError(f"{source.name} asks for the variable {match[1]}, which is not in {file}")
        return str(value)

    text = _VARIABLE.sub(variable, _INCLUDE.sub(included, source.read_text(encoding="utf-8")))
    if left := re.search(r"\{\{<.*?>\}\}", text):
        raise InputError(f"{source.name} holds {left[0]}: only var, and include on a line of its own, are known here")
    return text


def _by_quarto(source: Path) -> None:
    # A project of its own, or Quarto would send the pages to the site's folder and look for variables there.
    source.with_name("_quarto.yml").write_text("project:\n  type: default\n", encoding="utf-8")
    done = subprocess.run(["quarto", "render", source.name], cwd=source.parent, capture_output=True, text=True)
    log = done.stdout + done.stderr
    check_log(log.splitlines(), source)
    if done.returncode:
        raise InputError(f"{source}: quarto render: {log.strip()}")


def _by_pandoc(source: Path) -> None:
    import typst

    text = resolve(source, yaml.safe_load(source.with_name("_variables.yml").read_text(encoding="utf-8")))
    head = yaml.safe_load(text.split("---\n", 2)[1])
    html, pdf = head["format"]["html"], head["format"]["typst"]
    common = ["--from=markdown", *(f"--lua-filter={name}" for name in head["filters"]), "--citeproc"]  # Quarto's order
    options = [f"--{option}" for option in ("toc", "number-sections") if html.get(option)]
    pandoc(text, source, *common, "--to=html", f"--css={html['css']}", *options, f"--output={source.stem}.html")
    template = f"--template={pdf['template']}"
    pandoc(text, source, *common, "--to=typst-citations", template, f"--output={source.stem}.typ")
    # Typst reads ../figures: its root is the results folder above.
    fonts = [str(source.parent / folder) for folder in pdf.get("font-paths", ())]
    compiler = typst.Compiler(str(source.with_suffix(".typ")), root=str(source.parents[1]), font_paths=fonts)
    try:
        pages, warnings = compiler.compile_with_warnings(format="pdf")
    except typst.TypstError as error:
        raise InputError(f"{source}: typst: {error}") from error
    if warnings:
        raise InputError(f"{source}: typst: {'; '.join(map(str, warnings))}")
    assert isinstance(pages, bytes)  # one document, one file
    source.with_suffix(".pdf").write_bytes(pages)


def main(arguments: list[str] | None = None) -> int:
    """Make a document; returns 0, or 2 after ``error: ...`` for input that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m papers.build.render", description=__doc__.splitlines()[0])
    parser.add_argument("experiment", help="an experiment's YAML, or its name")
    parser.add_argument("document", nargs="?", choices=DOCUMENTS, default="poster", help="default: poster")
    options = parser.parse_args(arguments)
    return show(lambda: make(load_experiment(options.experiment), options.document))


if __name__ == "__main__":
    sys.exit(main())
