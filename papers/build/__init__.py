"""The poster and the paper of an experiment: numbers and wording from its tables, rendered by Quarto or by pandoc.

`numbers` reads the tables, `claims` decides what may be said, `tables` and `variables` write both for the poster,
`paper_variables`, `paper_tables` and `paper_methods` for the paper, with `studies` of what was validated; `rendering`
makes the pages. By hand: ``python -m papers.build miniature paper``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from papers.build import paper as paper_variables
from papers.build import poster as variables
from papers.build.numbers import required
from papers.build.render import render

from semanticcmc.config import InputError
from semanticcmc.experiment import Experiment, repository_root
from semanticcmc.figures.svg_text import font_files

POSTER = ("poster.qmd", "poster.lua", "poster.css", "poster-template.typst", "two_views.svg", "references.bib")
PAPER = ("paper.qmd", "paper.lua", "paper.css", "paper-template.typst", "references.bib")

FONTS = "fonts"
"""Folder of the staged document that its head names as ``font-paths``."""


def poster(experiment: Experiment) -> list[Path]:
    """Make ``poster/poster.html`` and ``poster/poster.pdf`` below the results folder; see `publish`.

    Raises
    ------
    InputError
        As `publish` does, and for a missing figure or table, with the command that makes it.
    """
    for figure in variables.FIGURES:
        required(experiment, "figures", f"{figure}.svg")
    return publish(experiment, "poster", POSTER, variables.write_generated)


def paper(experiment: Experiment) -> list[Path]:
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
