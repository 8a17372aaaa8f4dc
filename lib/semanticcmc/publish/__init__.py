"""The poster of an experiment: numbers and wording from its tables, rendered by Quarto or by pandoc.

`numbers` reads the tables, `claims` decides what may be said, `tables` and `variables` write both for the source,
`rendering` makes the pages. By hand: ``python -m semanticcmc.publish analysis/experiments/miniature.yaml``.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from semanticcmc.configuration import InputError
from semanticcmc.experiments import Experiment, repository_root
from semanticcmc.publish.numbers import required
from semanticcmc.publish.rendering import render
from semanticcmc.publish.variables import FIGURES, write_generated

SOURCES = (
    "poster.qmd",
    "poster.lua",
    "poster.css",
    "poster-template.typst",
    "two_views.svg",
    "references.bib",
)


def poster(experiment: Experiment) -> list[Path]:
    """Stage the poster's source with the experiment's numbers, render it, and put it in place.

    Everything is made in a folder beside ``poster/`` that takes its place once both pages are there:
    where a step fails, the poster that was there stays.

    Returns
    -------
    list of Path
        ``poster/poster.html`` and ``poster/poster.pdf`` below the results folder.

    Raises
    ------
    InputError
        For a missing figure or table (with the command that makes it), a value that the source asks
        for and nobody made, and anything that pandoc, Typst or Quarto warns of.
    """
    for figure in FIGURES:
        required(experiment, "figures", f"{figure}.svg")
    papers = repository_root() / "papers"
    target = experiment.path("poster")
    staged = target.with_name(f".poster.{os.getpid()}")  # as deep as `target`: ../figures leads to the same
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir()
    try:
        for name in SOURCES:
            if not (papers / name).exists():
                raise InputError(
                    f"{papers / name}: missing from the checkout; `git checkout -- papers` restores it"
                )
            shutil.copyfile(papers / name, staged / name)
        write_generated(experiment, staged)
        render(staged)
        replaced = target.with_name(f".poster.{os.getpid()}.old")
        shutil.rmtree(replaced, ignore_errors=True)
        if target.exists():
            target.rename(replaced)
        staged.rename(target)
        shutil.rmtree(replaced, ignore_errors=True)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return [target / "poster.html", target / "poster.pdf"]
