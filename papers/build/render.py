"""The poster and the paper of an experiment, staged with its numbers and rendered to HTML and PDF.

    python -m papers.build.render miniature paper

Quarto renders where it is installed, else pandoc and Typst. How is in the head of the ``.qmd``, as Quarto reads it:
``filters``, ``bibliography``, and of ``format`` html's ``css``, ``toc`` and ``number-sections``, and typst's
``template`` and ``font-paths``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from papers.build import pandoc, paper, poster, quarto, show, values
from papers.build.checks import check_log

from papers import labels
from semanticcmc.config import InputError
from semanticcmc.experiment import Experiment, load_experiment
from semanticcmc.figures.svg_text import font_files
from semanticcmc.run import git_commit, sha256, write_json

# Documents, and the modules that say which files of ``papers/`` they need (``SOURCES``) and what they say.
DOCUMENTS = {"poster": poster, "paper": paper}
_FIGURE = re.compile(r"\(figures/([\w.-]+\.svg)\)")
_VARIABLE = re.compile(r"\{\{<\s*var\s+([\w.-]+)\s*>\}\}")


def make(experiment: Experiment, name: str) -> list[Path]:
    """Make ``<name>/<name>.html`` and ``.pdf`` below the results folder: stage the source, render it, put it in place.

    Everything is made in a folder beside ``<name>/`` that takes its place once both pages are there: where a step
    fails, the document that was there stays. An `InputError` names a missing figure or table and the command that
    makes it, and is raised for anything that `render` refuses.
    """
    target = experiment.path(name)
    staged = target.with_name(f"{name}.{os.getpid()}")  # visible: Quarto knows no project in a folder like .poster
    replaced = target.with_name(f"{staged.name}.old")
    shutil.rmtree(staged, ignore_errors=True)
    try:
        stage(experiment, name, staged)
        render(staged, name)
        shutil.rmtree(replaced, ignore_errors=True)
        if target.exists():
            target.rename(replaced)
        staged.rename(target)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
        shutil.rmtree(replaced, ignore_errors=True)
    return [target / f"{name}.html", target / f"{name}.pdf"]


def stage(experiment: Experiment, name: str, folder: Path) -> None:
    """Write a document into a new `folder` that is all it needs: its text with the numbers in place, figures, fonts.

    The folder is a Quarto project of its own, above its ``figures/``, since Typst reads nothing above its project:
    ``quarto render`` in it, or in a copy of it, makes the same pages again.
    """
    alone = experiment.labels_alone
    if alone and name != "poster":
        raise InputError(f"{experiment.file}: labels without films have a poster, no {name}")
    document, text, table = (labels, "labels", "meaning") if alone else (DOCUMENTS[name], name, "lag_curve")
    (folder / "fonts").mkdir(parents=True)  # `font-paths` in the head of the document
    (folder / "figures").mkdir()
    for source in document.SOURCES:
        shutil.copyfile(values.source_file(source), folder / source)
    for file in font_files():  # Typst draws the texts of figures with fonts that it is given
        shutil.copyfile(file, folder / "fonts" / file.name)
    text = resolve(values.source_file(f"{text}.qmd"), document.variables(experiment, folder))
    for figure in dict.fromkeys(_FIGURE.findall(text)):
        drawing = values.required(experiment, "figures", figure).read_text(encoding="utf-8")
        drawing = without_caption(drawing) if name == "poster" else drawing
        (folder / "figures" / figure).write_text(drawing, encoding="utf-8")
    (folder / f"{name}.qmd").write_text(text, encoding="utf-8")
    (folder / "_quarto.yml").write_text(f"project:\n  render:\n  - {name}.qmd\n  type: default\n", encoding="utf-8")
    made_from = [experiment.folder / "tables" / f"{table}.csv", *sorted((folder / "figures").iterdir())]
    record = {
        "document": name,
        "experiment": experiment.name,
        "seeds": experiment.seeds,
        "git_commit": git_commit(),
        "inputs": [{"path": f"{path.parent.name}/{path.name}", "sha256": sha256(path)} for path in made_from],
    }
    write_json(folder / f"{name}.json", record)


def without_caption(svg: str) -> str:
    """A figure's drawing without the caption at its foot, which `style.caption` set; for where it is set as text."""
    found = re.search(r'<g id="caption">(.*?)</g>', svg, re.DOTALL)
    if not found:
        return svg
    tops = [float(y) for y in re.findall(r'(?:translate\([-\d.]+[ ,]|\by=")([\d.]+)', found[1])]
    height = min(tops) - 10  # the baseline of its first line, less the height of a letter
    svg = svg[: found.start()] + svg[found.end() :]
    svg = re.sub(r'height="[\d.]+pt"', f'height="{height:g}pt"', svg, count=1)
    return re.sub(r'viewBox="0 0 ([\d.]+) [\d.]+"', rf'viewBox="0 0 \1 {height:g}"', svg, count=1)


def render(folder: Path, name: str) -> None:
    """Render ``<name>.qmd`` in `folder` to ``<name>.html`` and ``.pdf``; ``<name>.json`` says by which program.

    An `InputError` is raised for a citation, cross-reference or picture that is not there, for a poster's column too
    full for its page, and for any other warning: nobody proof-reads what a workflow makes.
    """
    source = folder / f"{name}.qmd"
    resolve(source, {})  # refuses what is left to resolve
    program = _by_quarto(source, found) if (found := quarto()) else _by_pandoc(source)
    for made in (source.with_suffix(".html"), source.with_suffix(".pdf")):
        if not made.exists():
            raise InputError(f"{made}: not made, although no step reported an error")
    record = json.loads(source.with_suffix(".json").read_text(encoding="utf-8"))
    write_json(source.with_suffix(".json"), record | {"rendered_by": program})


def resolve(source: Path, variables: Mapping[str, Any]) -> str:
    """Text of a ``.qmd`` with Quarto's ``var`` in place, in their values as well; an unknown one is an `InputError`."""

    def variable(match: re.Match[str]) -> str:
        value: Any = variables
        for key in match[1].split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is None or isinstance(value, Mapping):
            raise InputError(f"{source} asks for the variable {match[1]}, which papers/build does not make")
        return str(value)

    text = source.read_text(encoding="utf-8")
    while _VARIABLE.search(text):
        text = _VARIABLE.sub(variable, text)
    if left := re.search(r"\{\{<.*?>\}\}", text):
        raise InputError(f"{source} holds {left[0]}: only var is known here")
    return text


def _by_quarto(source: Path, program: str) -> str:
    done = subprocess.run([program, "render", source.name], cwd=source.parent, capture_output=True, text=True)
    log = done.stdout + done.stderr
    check_log(log.splitlines(), source)
    if done.returncode:
        raise InputError(f"{source}: quarto render: {log.strip()}")
    shutil.rmtree(source.with_name(".quarto"), ignore_errors=True)  # its cache
    told = subprocess.run([program, "--version"], capture_output=True, text=True)
    return f"Quarto {told.stdout.strip()}"


def _by_pandoc(source: Path) -> str:
    import pypandoc
    import typst

    text = source.read_text(encoding="utf-8")
    head = yaml.safe_load(text.split("---\n", 2)[1])
    html, pdf = head["format"]["html"], head["format"]["typst"]
    common = ["--from=markdown", *(f"--lua-filter={name}" for name in head["filters"]), "--citeproc"]  # Quarto's order
    options = [f"--{option}" for option in ("toc", "number-sections") if html.get(option)]
    options += [f"--css={sheet}" for sheet in html["css"]]
    pandoc(text, source, *common, "--to=html", *options, f"--output={source.stem}.html")
    template = f"--template={pdf['template']}"
    pandoc(text, source, *common, "--to=typst-citations", template, f"--output={source.stem}.typ")
    fonts = [str(source.parent / folder) for folder in pdf.get("font-paths", ())]
    compiler = typst.Compiler(str(source.with_suffix(".typ")), root=str(source.parent), font_paths=fonts)
    try:
        pages, warnings = compiler.compile_with_warnings(format="pdf")
    except typst.TypstError as error:
        raise InputError(f"{source}: typst: {error}") from error
    if warnings:
        raise InputError(f"{source}: typst: {'; '.join(map(str, warnings))}")
    assert isinstance(pages, bytes)  # one document, one file
    source.with_suffix(".pdf").write_bytes(pages)
    return f"pandoc {pypandoc.get_pandoc_version()}, Typst {version('typst')}"


def main(arguments: list[str] | None = None) -> int:
    """Make a document; returns 0, or 2 after ``error: ...`` for input that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m papers.build.render", description=__doc__.splitlines()[0])
    parser.add_argument("experiment", help="an experiment's YAML, or its name")
    parser.add_argument("document", nargs="?", choices=DOCUMENTS, default="poster", help="default: poster")
    options = parser.parse_args(arguments)
    return show(lambda: make(load_experiment(options.experiment), options.document))


if __name__ == "__main__":
    sys.exit(main())
