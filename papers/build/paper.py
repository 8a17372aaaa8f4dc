"""What ``paper.qmd`` asks for: variables, tables, and the sections that an experiment has or has not."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import yaml
from papers.build import (
    claims,
    paper_methods,
    paper_sentences,
    paper_tables,
    study_images,
    study_tests,
    study_timescales,
    study_worlds,
)
from papers.build import poster as variables
from papers.build.evidence import Evidence
from papers.build.numbers import count, network_title, number, plain, read_accuracy, read_lag_curve, spoken, whole
from papers.build.studies import exists

from semanticcmc.config import InputError
from semanticcmc.experiment import Experiment, repository_root
from semanticcmc.run import git_commit

FIGURES = ("persistence", "lag_curve", "rdms", "dissociation")
"""Figures of the experiment that every paper shows."""

FLOATS = {
    "persistence": "persistence",
    "lag_curve": "lag-curve",
    "predicted_lag_curve": "predicted",
    "robustness": "robustness",
    "dissociation": "dissociation",
    "rdms": "rdms",
}
"""Figures of an experiment, in the paper's order, and what they are called in its source after ``fig-``."""

SECTIONS = ("comparisons", "predicted", "robustness", "conditions", "intervals", "real_images")
"""Sections that are left empty where an experiment, or the repository, has nothing to say in them."""

STUDIES = {
    "timescales": (study_timescales.timescales, "timescales_study"),
    "worlds": (study_worlds.trained_worlds, "worlds"),
    "tests": (study_tests.permutation_tests, "type_i"),
    "predicted": (study_worlds.predicted_worlds, "predicted"),
    "objectives": (study_worlds.objectives, "objectives"),
    "places": (study_worlds.conditions, "places"),
    "software": (study_tests.software, ""),
}
"""Studies by the name of their variables: what reads them, and their table."""


def write_generated(experiment: Experiment, folder: Path) -> None:
    """Write all that the paper's source asks for into `folder`.

    Parameters
    ----------
    experiment : Experiment
        Its tables are read, and the repository's ``validation/*.csv``.
    folder : Path
        Staged source: gets ``_variables.yml``, ``_table_*.md``, ``_section_*.md`` and the studies' figures.

    Raises
    ------
    InputError
        For a table, column or figure that is missing, with what makes it.
    """
    tests = read_lag_curve(experiment)
    evidence = claims.weigh(experiment, tests)
    counted = variables.dataset(experiment)
    accuracy = read_accuracy(experiment)
    tables = {
        "timescales": paper_tables.timescales_table(experiment),
        "tests": paper_tables.tests_table(experiment, tests),
        "controls": paper_tables.controls_table(experiment, tests),
        "accuracy": paper_tables.accuracy_table(experiment, evidence, accuracy),
        "published": paper_tables.published_table(experiment, tests),
    }
    claim = variables.claim(experiment, evidence, counted, tests)
    claim["abstract"] = claim["headline"] + (f": {claims.test_text(evidence.best)}" if evidence.learned else "")
    address = variables.repository_address()
    values: dict[str, object] = {
        "experiment": {
            "name": experiment.name,
            "layer": experiment.primary_layer,
            "seeds": count(len(experiment.seeds), "seed"),
            "commit": git_commit() or "outside git",
        },
        "repository": {"address": address, "short": address.removeprefix("https://")},
        "setting": paper_methods.settings(experiment.sections),
        "world": paper_methods.world(experiment),
        "data": variables.data(experiment, counted) | _data(experiment, counted),
        "method": variables.method(experiment, tests) | paper_methods.method(experiment, tests),
        "claim": {key: said.replace("this poster", "this paper") for key, said in claim.items()}
        | {
            "model": claims.MODELS[evidence.model],
            "controls": paper_sentences.under_controls(evidence, tests),
            "caveat": paper_sentences.caveat(experiment),
        },
        "published": paper_sentences.published(experiment),
        "caption": captions(experiment, tests, counted, accuracy),
    }
    for name, (study, its_table) in STUDIES.items():
        found = study()
        values[name] = found.values
        if its_table:
            tables[its_table] = found.table
    shutil.copyfile(_validation("timescales.png"), folder / "study_timescales.png")
    shown = [*FIGURES, *_sections(experiment, evidence, tests, folder, values, tables)]
    values["figure"] = {name: variables.alternative_text(experiment, name) for name in shown}
    (folder / "_list_sources.md").write_text(sources(experiment, shown), encoding="utf-8")
    for name, text in tables.items():
        (folder / f"_table_{name}.md").write_text(text, encoding="utf-8")
    # quoted, or Quarto prints 0.30 as 0.3
    text = yaml.safe_dump(_unbroken(values), sort_keys=False, allow_unicode=True, default_style='"', width=10_000)
    (folder / "_variables.yml").write_text(text, encoding="utf-8")


def sources(experiment: Experiment, figures: Sequence[str]) -> str:
    """Which notebook drew each figure and from which tables, as a Markdown list with links to both."""
    lines = []
    for figure in (name for name in FLOATS if name in figures):
        described = variables.sidecar(experiment, figure)
        notebook = described.get("notebook")
        links = [f"[{notebook}](../notebooks/{notebook}.html)"] if notebook else []
        inputs = [str(entry["path"]) for entry in described.get("inputs", ())]
        links += [f"[{plain(Path(path).name)}](../{path})" for path in inputs if path.startswith("tables/")]
        lines.append(f"- @fig-{FLOATS[figure]}: {', '.join(links)}\n")
    return "".join(lines)


def _sections(
    experiment: Experiment,
    evidence: Evidence,
    tests: pd.DataFrame,
    folder: Path,
    values: dict[str, object],
    tables: dict[str, str],
) -> list[str]:
    """Write ``_section_<name>.md``: the text in ``papers/_paper_*.md`` that this experiment has, else nothing.

    Adds what they ask for to `values` and `tables`; returns the figures that they show.
    """
    section = dict.fromkeys(SECTIONS, "")
    section["data"] = "world" if experiment.source == "world" else "films"
    section["objective"] = str(experiment.sections["training"]["objective"])
    figures = []
    if evidence.against_best:
        section["comparisons"] = "comparisons"
        tables["comparisons"] = paper_tables.comparisons_table(experiment, evidence)
        values["comparisons"] = {"best": network_title(evidence.best.network)}
    if _has(experiment, "figures", "predicted_lag_curve.svg"):
        section["predicted"] = "predicted"
        values["predicted_here"] = {"reading": paper_sentences.recommendation(experiment, evidence)}
        figures.append("predicted_lag_curve")
    if _has(experiment, "figures", "robustness.svg"):
        section["robustness"] = "robustness"
        values["robustness"] = {"reading": paper_sentences.variations(experiment, evidence)}
        figures.append("robustness")
    if len(experiment.sections["stimuli"].get("conditions", ())) > 1:
        section["conditions"] = "conditions"
        by_condition = paper_sentences.by_condition(experiment, evidence)
        values["conditions"] = {"names": spoken(list(by_condition))}
        tables["conditions"] = paper_tables.conditions_table(experiment, by_condition)
    if exists("intervals"):
        section["intervals"] = "intervals"
        coverage = study_tests.intervals()
        values["intervals"], tables["coverage"] = coverage.values, coverage.table
    if exists("real_images"):
        section["real_images"] = "real_images"
        looks = study_images.real_images()
        values["images"], tables["images"] = looks.values, looks.table
    for name, source in section.items():
        partial = repository_root() / "papers" / f"_paper_{source}.md"
        if source and not partial.exists():
            raise InputError(f"{partial}: missing from the checkout; `git checkout -- papers` restores it")
        text = partial.read_text(encoding="utf-8") if source else ""
        (folder / f"_section_{name}.md").write_text(text, encoding="utf-8")
    return figures


def _has(experiment: Experiment, folder: str, name: str) -> bool:
    return (experiment.folder / folder / name).exists()


def _validation(name: str) -> Path:
    path = repository_root() / "validation" / name
    if not path.exists():
        raise InputError(f"{path}: missing. `git checkout -- validation` restores it, `make validate` makes it anew")
    return path


def _unbroken(values: object) -> object:
    if isinstance(values, dict):
        return {key: _unbroken(value) for key, value in values.items()}
    return variables.unbroken(values) if isinstance(values, str) else values


def _data(experiment: Experiment, counted: dict[str, float]) -> dict[str, str]:
    time = " ".join(variables.film_time(counted["hours"]))
    amounts = [time, f"{whole(counted['frames'])} frames"]
    if counted["label sets"] > 0:
        amounts.append(f"{whole(counted['label sets'])} sets of labels")
    drawn = variables.world_setting(experiment) if experiment.source == "world" else ""
    where = f"{drawn.replace('a world', 'a drawn world', 1)}" if drawn else f"{time} of film"
    films = count(int(counted["films"]), "film")
    return {"amounts": spoken(amounts), "counts": spoken([films, *amounts]), "where": where}


def captions(
    experiment: Experiment, tests: pd.DataFrame, counted: dict[str, float], accuracy: pd.DataFrame
) -> dict[str, str]:
    """What n, the seeds and the intervals of each figure and table are."""
    level = f"{number(100 * float(experiment.sections['evaluation']['confidence']), 0)} %"
    over_films = f"{number(100 * float(experiment.sections['timescales']['confidence']), 0)} %"
    classes = f"{whole(tests['classes'].max())} classes" if "classes" in tests else "all classes"
    seeds = count(len(experiment.seeds), "seed")
    several = len(experiment.seeds) > 1
    layer = f"Layer {experiment.primary_layer}, {classes}, {seeds}"
    p = "p corrected by Holm’s method over all networks and models"
    of_seeds = ", the largest of the seeds" if several else ""
    chance = accuracy[accuracy["measure"].eq("chance")]["accuracy"]
    films = count(int(counted["films"]), "film").capitalize()
    bars = f"{level} bootstrap over classes"
    means, widest = (", means", " (widest of the seeds)") if several else ("", "")
    marks = f"\\*\\*\\* p ≤ .001, \\*\\* ≤ .01, \\* ≤ .05, n.s. above{of_seeds}"
    return {
        "persistence": f"{films}; bands and brackets: {over_films} bootstrap over films.",
        "lag_curve": f"{layer}; bars: {bars}{'; bands: the same level over seeds' if several else ''}.",
        "robustness": f"{classes}, {seeds}; bars: {bars}; layer {experiment.primary_layer} where a row names none.",
        "tests": f"{layer}{means}; brackets: {bars}{widest}; {p}{of_seeds}.",
        "controls": f"{layer}{means}; {marks}, corrected as there.",
        "dissociation": f"{layer}; points and bars as the note in the figure says.",
        "accuracy": f"{seeds.capitalize()}{means}"
        + (f"; chance is {number(100 * chance.mean(), 1)} %." if len(chance) else "."),
        "published": f"{marks}.",
        "comparisons": f"{seeds.capitalize()}{means}{widest}; {level} intervals; "
        "p corrected by Holm’s method over all pairs.",
    }
