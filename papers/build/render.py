"""The poster and the paper of an experiment, staged with its numbers and rendered to HTML and PDF.

    python -m papers.build.render miniature paper

Quarto renders where it is installed, else pandoc and Typst.

How a document is rendered stands in the head of its ``.qmd``, as Quarto reads it: ``filters``, ``bibliography``, and of
``format`` html's ``css``, ``toc`` and ``number-sections``, and typst's ``template`` and ``font-paths``.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from papers.build import paper as paper_variables
from papers.build import poster as variables
from papers.build.numbers import required

from semanticcmc.config import InputError
from semanticcmc.experiment import Experiment, load_experiment, repository_root
from semanticcmc.figures.svg_text import font_files

VARIABLES = "_variables.yml"

_INCLUDE = re.compile(r"^\{\{<\s*include\s+(\S+)\s*>\}\}[ \t]*$", re.MULTILINE)
_VARIABLE = re.compile(r"\{\{<\s*var\s+([\w.-]+)\s*>\}\}")
# Quarto exits 0 after any of these.
_QUARTO_TROUBLE = re.compile(r"\[WARNING\]|WARNING \(|ERROR|WARN:|\?var:")


def render(folder: Path, name: str) -> None:
    """Render ``<name>.qmd`` in `folder`, with its ``_variables.yml``, to ``<name>.html`` and ``<name>.pdf``.

    Raises
    ------
    InputError
        For a variable, include, citation, cross-reference or picture that is not there, a poster's column too
        full for its page, and any other warning: nobody proof-reads what is made by a workflow.
    """
    source = folder / f"{name}.qmd"
    if shutil.which("quarto"):
        _render_by_quarto(source)
    else:
        _render_by_pandoc(source)
    for made in (source.with_suffix(".html"), source.with_suffix(".pdf")):
        if not made.exists():
            raise InputError(f"{made}: not made, although no step complained")


def resolve(source: Path, variables: Mapping[str, Any]) -> str:
    """Text of `source` with Quarto's ``include`` and ``var`` put in place.

    Parameters
    ----------
    source : Path
        A ``.qmd``; included paths are relative to its folder.
    variables : mapping
        As in ``_variables.yml``; ``a.b`` looks up ``b`` in ``a``.

    Raises
    ------
    InputError
        For a variable, an included file or a shortcode that is not known.
    """

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
            raise InputError(
                f"{source.name} asks for the variable {match[1]}, which is not in {source.with_name(VARIABLES)}"
            )
        return str(value)

    text = _VARIABLE.sub(variable, _INCLUDE.sub(included, source.read_text(encoding="utf-8")))
    if left := re.search(r"\{\{<.*?>\}\}", text):
        raise InputError(f"{source.name} holds {left[0]}: only var, and include on a line of its own, are known here")
    return text


def _render_by_quarto(source: Path) -> None:
    # A project of its own, or Quarto would send the pages to the site's folder and look for variables there.
    source.with_name("_quarto.yml").write_text("project:\n  type: default\n", encoding="utf-8")
    done = subprocess.run(["quarto", "render", source.name], cwd=source.parent, capture_output=True, text=True)
    log = done.stdout + done.stderr
    trouble = [line for line in log.splitlines() if _QUARTO_TROUBLE.search(line)]
    if done.returncode or trouble:
        raise InputError(f"{source}: quarto render: " + ("\n".join(trouble) or log.strip()))


def _render_by_pandoc(source: Path) -> None:
    import pypandoc
    import typst

    text = resolve(source, yaml.safe_load(source.with_name(VARIABLES).read_text(encoding="utf-8")))
    metadata = yaml.safe_load(text.split("---\n", 2)[1])
    html, pdf = metadata["format"]["html"], metadata["format"]["typst"]
    common = [pypandoc.get_pandoc_path(), "--from", "markdown", "--standalone", "--fail-if-warnings"]
    common += [f"--lua-filter={name}" for name in metadata["filters"]] + ["--citeproc"]  # in Quarto's order
    to_html = [
        "--to",
        "html",
        "--embed-resources",
        "--mathml",
        "--css",
        html["css"],
        *(f"--{option}" for option in ("toc", "number-sections") if html.get(option)),
        "--output",
        f"{source.stem}.html",
    ]
    to_pdf = ["--to", "typst-citations", "--template", pdf["template"], "--output", f"{source.stem}.typ"]
    for command in (common + to_html, common + to_pdf):
        done = subprocess.run(command, cwd=source.parent, input=text, capture_output=True, text=True)
        if done.returncode:
            raise InputError(f"{source}: pandoc: {done.stderr.strip()}")
    # Typst reads ../figures: its root is the results folder above.
    fonts = [str(source.parent / folder) for folder in pdf.get("font-paths", ())]
    compiler = typst.Compiler(str(source.with_suffix(".typ")), root=str(source.parents[1]), font_paths=fonts)
    try:
        pages, warnings = compiler.compile_with_warnings(format="pdf")
    except typst.TypstError as error:
        raise InputError(f"{source}: typst: {error}") from error
    if warnings:
        raise InputError(f"{source}: typst: " + "; ".join(str(warning) for warning in warnings))
    assert isinstance(pages, bytes)  # one document, one file
    source.with_suffix(".pdf").write_bytes(pages)


POSTER = ("poster.qmd", "poster.lua", "poster.css", "poster-template.typst", "two_views.svg", "references.bib")
PAPER = ("paper.qmd", "paper.lua", "paper.css", "paper-template.typst", "references.bib")

FONTS = "fonts"
"""Folder of the staged document that its head names as ``font-paths``."""


def make_poster(experiment: Experiment) -> list[Path]:
    """Make ``poster/poster.html`` and ``poster/poster.pdf`` below the results folder; see `publish`.

    Raises
    ------
    InputError
        As `publish` does, and for a missing figure or table, with the command that makes it.
    """
    for figure in variables.FIGURES:
        required(experiment, "figures", f"{figure}.svg")
    return publish(experiment, "poster", POSTER, variables.write_generated)


def make_paper(experiment: Experiment) -> list[Path]:
    """Make ``paper/paper.html`` and ``paper/paper.pdf`` below the results folder; errors as of `poster`."""
    for figure in paper_variables.FIGURES:
        required(experiment, "figures", f"{figure}.svg")
    return publish(experiment, "paper", PAPER, paper_variables.write_generated)


def publish(
    experiment: Experiment, name: str, sources: Sequence[str], generate: Callable[[Experiment, Path], None]
) -> list[Path]:
    """Stage a document's source with the experiment's numbers, render it, and put it in place.

    Everything is made in a folder beside ``<name>/`` that takes its place once both pages are there:
    where a step fails, the document that was there stays.

    Parameters
    ----------
    experiment : Experiment
    name : str
        Of the document: ``<name>.qmd`` is rendered.
    sources : sequence of str
        Files of ``papers/`` that it is made from.
    generate : callable
        Writes what the source asks for of the experiment into the staged folder.

    Returns
    -------
    list of Path
        ``<name>/<name>.html`` and ``<name>/<name>.pdf`` below the results folder.

    Raises
    ------
    InputError
        For a value that the source asks for and nobody made, and anything that pandoc, Typst or Quarto
        warns of.
    """
    papers = repository_root() / "papers"
    target = experiment.path(name)
    staged = target.with_name(f".{name}.{os.getpid()}")  # as deep as `target`: ../figures leads to the same
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir()
    try:
        for source in sources:
            if not (papers / source).exists():
                raise InputError(f"{papers / source}: missing from the checkout; `git checkout -- papers` restores it")
            shutil.copyfile(papers / source, staged / source)
        (staged / FONTS).mkdir()  # Typst draws the texts of figures with fonts that it is given
        for file in font_files():
            shutil.copyfile(file, staged / FONTS / file.name)
        generate(experiment, staged)
        render(staged, name)
        replaced = target.with_name(f".{name}.{os.getpid()}.old")
        shutil.rmtree(replaced, ignore_errors=True)
        if target.exists():
            target.rename(replaced)
        staged.rename(target)
        shutil.rmtree(replaced, ignore_errors=True)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return [target / f"{name}.html", target / f"{name}.pdf"]


DOCUMENTS = {"poster": make_poster, "paper": make_paper}


def main(arguments: list[str] | None = None) -> int:
    """Render; returns 0, or 2 after ``error: ...`` for input that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m papers.build.render", description=__doc__.splitlines()[0])
    parser.add_argument("experiment", help="an experiment's YAML, or its name")
    parser.add_argument("document", nargs="?", choices=DOCUMENTS, default="poster", help="default: poster")
    options = parser.parse_args(arguments)
    try:
        for path in DOCUMENTS[options.document](load_experiment(options.experiment)):
            print(path)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
