"""A staged poster source to HTML and an A0 PDF: by Quarto where it is installed, else by pandoc and Typst."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from semanticcmc.configuration import InputError

SOURCE = "poster.qmd"
VARIABLES = "_variables.yml"
TEMPLATE = "poster-template.typst"

_INCLUDE = re.compile(r"^\{\{<\s*include\s+(\S+)\s*>\}\}\s*$", re.MULTILINE)
_VARIABLE = re.compile(r"\{\{<\s*var\s+([\w.-]+)\s*>\}\}")
# Quarto exits 0 after any of these.
_QUARTO_TROUBLE = re.compile(r"\[WARNING\]|WARNING \(|ERROR|WARN:|\?var:")


def render(folder: Path) -> None:
    """Render ``poster.qmd`` in `folder`, with its ``_variables.yml``, to ``poster.html`` and ``poster.pdf``.

    Raises
    ------
    InputError
        For a variable, include, citation or picture that is not there, a column too full for its
        page, and any other warning: a warning at A0 is a mistake that nobody proof-reads.
    """
    if shutil.which("quarto"):
        _render_by_quarto(folder)
    else:
        _render_by_pandoc(folder)
    for name in ("poster.html", "poster.pdf"):
        if not (folder / name).exists():
            raise InputError(f"{folder / name}: not made, although no step complained")


def resolve(source: str, variables: Mapping[str, Any], folder: Path) -> str:
    """`source` with Quarto's ``include`` and ``var`` put in place.

    Parameters
    ----------
    source : str
        Text of a ``.qmd``.
    variables : mapping
        As in ``_variables.yml``; ``a.b`` looks up ``b`` in ``a``.
    folder : Path
        What included paths are relative to.

    Raises
    ------
    InputError
        For a variable, an included file or a shortcode that is not known.
    """

    def included(match: re.Match[str]) -> str:
        path = folder / match[1]
        if not path.is_file():
            raise InputError(f"{SOURCE} includes {match[1]}, which nobody made ({path})")
        return path.read_text(encoding="utf-8").rstrip("\n")

    def variable(match: re.Match[str]) -> str:
        value: Any = variables
        for key in match[1].split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is None or isinstance(value, Mapping):
            raise InputError(
                f"{SOURCE} asks for the variable {match[1]}, which is not in {folder / VARIABLES}"
            )
        return str(value)

    text = _VARIABLE.sub(variable, _INCLUDE.sub(included, source))
    if left := re.search(r"\{\{<.*?>\}\}", text):
        raise InputError(
            f"{SOURCE} holds {left[0]}: only var, and include on a line of its own, are known here"
        )
    return text


def _render_by_quarto(folder: Path) -> None:
    # A project of its own, or Quarto would send the pages to the site's folder and look for variables there.
    (folder / "_quarto.yml").write_text("project:\n  type: default\n", encoding="utf-8")
    done = subprocess.run(["quarto", "render", SOURCE], cwd=folder, capture_output=True, text=True)
    log = done.stdout + done.stderr
    trouble = [line for line in log.splitlines() if _QUARTO_TROUBLE.search(line)]
    if done.returncode or trouble:
        raise InputError(f"{folder / SOURCE}: quarto render: " + ("\n".join(trouble) or log.strip()))


def _render_by_pandoc(folder: Path) -> None:
    import pypandoc
    import typst

    variables = yaml.safe_load((folder / VARIABLES).read_text(encoding="utf-8"))
    text = resolve((folder / SOURCE).read_text(encoding="utf-8"), variables, folder)
    metadata = yaml.safe_load(text.split("---\n", 2)[1])
    common = [pypandoc.get_pandoc_path(), "--from", "markdown", "--standalone", "--fail-if-warnings", "--citeproc",
              "--lua-filter", "poster.lua"]  # fmt: skip
    html = ["--to", "html", "--embed-resources", "--mathml", "--css", metadata["format"]["html"]["css"],
            "--output", "poster.html"]  # fmt: skip
    pdf = ["--to", "typst-citations", "--template", TEMPLATE, "--output", "poster.typ"]
    for command in (common + html, common + pdf):
        done = subprocess.run(command, cwd=folder, input=text, capture_output=True, text=True)
        if done.returncode:
            raise InputError(f"{folder / SOURCE}: pandoc: {done.stderr.strip()}")
    # Typst reads ../figures: its root is the results folder above.
    compiler = typst.Compiler(str(folder / "poster.typ"), root=str(folder.parent))
    try:
        page, warnings = compiler.compile_with_warnings(format="pdf")
    except typst.TypstError as error:
        raise InputError(f"{folder / SOURCE}: typst: {error}") from error
    if warnings:
        raise InputError(f"{folder / SOURCE}: typst: " + "; ".join(str(warning) for warning in warnings))
    assert isinstance(page, bytes)  # one document, one file
    (folder / "poster.pdf").write_bytes(page)
