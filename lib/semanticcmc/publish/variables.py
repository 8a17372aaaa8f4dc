"""What ``poster.qmd`` asks for: ``_variables.yml``, ``_table_*.md`` and the code that leads to the repository."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import segno
import yaml

from semanticcmc.configuration import InputError
from semanticcmc.experiments import Experiment, repository_root
from semanticcmc.plots.lag_curve import ENOUGH_FILM_H
from semanticcmc.publish import claims
from semanticcmc.publish.numbers import (
    count,
    effects,
    number,
    plain,
    probability,
    read_lag_curve,
    read_table,
    required,
    seconds,
    time_range,
    whole,
)
from semanticcmc.publish.tables import mantel_rows
from semanticcmc.run import git_commit

FIGURES = ("film_strip", "persistence", "lag_curve", "rdms", "dissociation")
"""Figures that the poster shows, by name without the ending."""

QUANTITIES = ("films", "hours", "frames", "label sets", "labels", "distinct labels", "films left out")
"""Rows of ``tables/dataset.csv``."""


def write_generated(experiment: Experiment, folder: Path) -> None:
    """Write all that the poster's source asks for into `folder`.

    Parameters
    ----------
    experiment : Experiment
        Its tables are read.
    folder : Path
        Staged source: gets ``_variables.yml``, ``_facts.md``, ``_table_mantel.md``, ``qr.svg``.

    Raises
    ------
    InputError
        For a table, column or row that is missing, with what makes it.
    """
    tests = read_lag_curve(experiment)
    evidence = claims.weigh(experiment, tests)
    counted = dataset(experiment)
    (folder / "_facts.md").write_text(facts(counted), encoding="utf-8")
    (folder / "_table_mantel.md").write_text(mantel_rows(experiment, tests), encoding="utf-8")
    address = repository_address()
    segno.make(address, error="m").save(str(folder / "qr.svg"), border=1, dark="#1f2430", light="#ffffff")
    values = {
        "experiment": {
            "name": experiment.name,
            "title": plain(experiment.title),
            "layer": experiment.primary_layer,
            "seeds": count(len(experiment.seeds), "seed"),
            "commit": git_commit() or "outside git",
        },
        "repository": {"address": address, "short": address.removeprefix("https://")},
        "claim": claim(experiment, evidence, counted, tests),
        "data": data(experiment, counted),
        "method": method(experiment, tests),
        "figure": {name: alternative_text(experiment, name) for name in FIGURES},
    }
    # quoted, or Quarto prints 0.30 as 0.3
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, default_style='"', width=10_000)
    (folder / "_variables.yml").write_text(text, encoding="utf-8")


def unbroken(text: str) -> str:
    """Text whose ``r = 0.21``, ``60 s`` and ``59 %`` no line break parts."""
    text = re.sub(r"\b([rp]) ([=<]) (?=[−\d])", "\\1\u00a0\\2\u00a0", text)
    return re.sub(r"(?<=\d) (?=(?:s|min|h|%)(?:\W|$))", "\u00a0", text)


def alternative_text(experiment: Experiment, figure: str) -> str:
    """What a figure shows, in words, from the JSON beside it."""
    path = required(experiment, "figures", f"{figure}.json")
    alt = json.loads(path.read_text(encoding="utf-8")).get("alt", "")
    if not alt:
        raise InputError(f"{path}: no text in alt; save the figure by plots.style.save")
    return plain(alt).replace('"', "”")


def repository_address() -> str:
    """Address of the repository, from ``CITATION.cff``."""
    citation = yaml.safe_load((repository_root() / "CITATION.cff").read_text(encoding="utf-8"))
    return str(citation["repository-code"])


def dataset(experiment: Experiment) -> dict[str, float]:
    """`QUANTITIES` of ``tables/dataset.csv`` by name."""
    table = read_table(experiment, "dataset", ("quantity", "value"))
    found = dict(
        zip(table["quantity"].astype(str), pd.to_numeric(table["value"], errors="coerce"), strict=True)
    )
    if missing := [quantity for quantity in QUANTITIES if quantity not in found]:
        raise InputError(
            f"{experiment.folder / 'tables' / 'dataset.csv'}: no row {', '.join(missing)}; "
            "make it again with analysis/01_dataset_statistics.ipynb"
        )
    return {quantity: float(found[quantity]) for quantity in QUANTITIES}


def film_time(hours: float) -> tuple[str, str]:
    """Running time as a number and its unit: ``158.4``, ``hours``; below two hours in minutes."""
    return (number(hours, 1), "hours") if hours >= 2 else (number(60 * hours, 1), "minutes")


def facts(counted: dict[str, float]) -> str:
    """The data set in a few large numbers, as a Markdown list."""
    time, unit = film_time(counted["hours"])
    rows = [(whole(counted["films"]), "film" if counted["films"] == 1 else "films"), (time, unit)]
    rows.append((whole(counted["frames"]), "frames"))
    if counted["label sets"] > 0:
        rows.append((whole(counted["label sets"]), "label sets"))
    return "".join(f"- [{value}]{{.fact}} {what}\n" for value, what in rows)


def data(experiment: Experiment, counted: dict[str, float]) -> dict[str, str]:
    """What the films and labels are, and how long looks and associations last in them."""
    left_out = int(counted["films left out"])
    unusable = (
        "" if not left_out else f" {count(left_out, 'film').capitalize()} could not be used, at any lag."
    )
    if counted["label sets"] > 0:
        labels = (
            f"{whole(counted['labels'])} labels, {whole(counted['distinct labels'])} of them distinct, "
            f"say what is in view.{unusable}"
        )
    else:
        labels = (
            "No labels came with these films, so that how long associations last is left out here." + unusable
        )
    curves = read_table(experiment, "timescales", ("measure", "lag_s", "value", "null_high"))
    constants = read_table(
        experiment,
        "half_lives",
        ("measure", "level", "half_strength_s", "half_strength_high_s"),
    )
    return {"labels": labels, "persistence": persistence(curves, constants)}


def persistence(timescales: pd.DataFrame, constants: pd.DataFrame) -> str:
    """When looks and associations are down to half, and until which lag they stay above their null."""
    said = []
    for measure, name in (("appearance", "Looks"), ("association", "Associations")):
        rows = timescales[timescales["measure"].eq(measure)].dropna(subset=["value", "null_high"])
        if "level" in rows and len(rows):
            rows = rows[rows["level"].eq(rows["level"].iloc[0])]
        rows = rows.sort_values("lag_s")
        if rows.empty:
            continue
        above = rows["value"].gt(rows["null_high"]).to_numpy()
        last = len(above) if above.all() else int((~above).argmax())
        if last == 0:
            said.append(f"{name} are at chance {'at the shortest lag' if above.any() else 'at every lag'}.")
            continue
        stay = "stay above chance to the longest lag, " if last == len(above) else "stay above chance up to "
        said.append(f"{name} {_half(constants, measure)}{stay}{seconds(rows['lag_s'].iloc[last - 1])}.")
    return " ".join(said) or "No chance level was computed for these curves."


def _half(constants: pd.DataFrame, measure: str) -> str:
    """When a measure is down to half; empty where it or its interval is not told."""
    rows = constants[constants["measure"].eq(measure) & constants["level"].eq("film base rate")]
    rows = rows[np.isfinite(rows["half_strength_s"]) & np.isfinite(rows["half_strength_high_s"])]
    if rows.empty:
        return ""
    return f"halve in {seconds(float(f'{rows.half_strength_s.iloc[0]:.2g}'))} and "


def claim(
    experiment: Experiment, evidence: claims.Evidence, counted: dict[str, float], tests: pd.DataFrame
) -> dict[str, str]:
    """What may be said of the experiment, sentence by sentence."""
    hours = counted["hours"]
    film = " ".join(film_time(hours)) + " of film"
    small = experiment.source == "films" and hours < ENOUGH_FILM_H
    setting = film
    if experiment.source == "world":
        setting = world_setting(experiment)
    accuracy = read_table(experiment, "accuracy", ("network", "layer", "condition", "measure", "accuracy"))
    accuracy = accuracy[accuracy["layer"].eq(experiment.primary_layer) & accuracy["condition"].eq("intact")]
    said = {
        "headline": claims.headline(evidence, setting, film if small else ""),
        "mark": mark(evidence, small),
        "reading": claims.reading(evidence),
        "baselines": claims.baselines(evidence, claims_allowed=not small),
        "dissociation": claims.dissociation(evidence, accuracy),
        "conclusion": conclusion(evidence, setting, small),
        "limits": limits(experiment, evidence, tests, film if small else ""),
    }
    return {key: unbroken(sentence) for key, sentence in said.items()}


def mark(evidence: claims.Evidence, small: bool) -> str:
    """The few words set large beside the lag curve."""
    if small:
        return "too little film"
    return seconds(evidence.best.lag_s) if evidence.learned else "no lag"


def conclusion(evidence: claims.Evidence, setting: str, small: bool) -> str:
    """The last word, no stronger than the headline."""
    best = seconds(evidence.best.lag_s)
    if small:
        return (
            f"The corridor runs from film to poster. What it measured ({claims.test_text(evidence.best)} at "
            f"{best}) says nothing about meaning: that takes hundreds of scenes."
        )
    what = claims.MODELS[evidence.model]
    if not evidence.learned:
        return f"In {setting}, time alone did not teach {what}: {claims.test_text(evidence.best)} at {best}."
    first = f"A network that never saw a label picked up {what} from frames {best} apart"
    if evidence.peaks:
        return f"{first}, less from nearer and farther ones: meaning shows where a pair shares a scene but not a view."
    return f"{first}. Which lag serves best remains open."


def limits(experiment: Experiment, evidence: claims.Evidence, tests: pd.DataFrame, too_little: str) -> str:
    """What the reader must know before believing the headline."""
    said = []
    if experiment.source == "world":
        said.append(
            "We drew this world and chose how long its scenes last: the time scale found is the one put in."
        )
        random = effects(tests, evidence.model, "none").get("random")
        rho = experiment.sections["world"].get("appearance_semantics")
        if random and rho is not None:
            said.append(
                f"Random weights carry r = {number(random.r)} ({probability(random.p)}): partly by construction, "
                f"since category was given {number(100 * float(rho), 0)} % of how things look."
            )
        look = effects(tests, evidence.model, "look").get(evidence.best.network)
        if look:
            said.append(f"With the true looks controlled instead, {claims.test_text(look)}.")
    if too_little:
        said.append(f"No test on {too_little} bears on semantics.")
    many = count(len(experiment.seeds), "seed").capitalize()
    if len(experiment.seeds) == 1:
        said.append(f"{many} a network: neighbouring lags may differ by chance.")
    else:
        said.append(f"{many} a network: means, with the largest p and the widest bounds of the intervals.")
    return " ".join(said)


def world_setting(experiment: Experiment) -> str:
    """The world that a claim holds in, from the experiment's own section ``world``."""
    world = experiment.sections.get("world", {})
    try:
        low, high = world["scene_s"]
        scale = float(world["time_scale"])
        shuffled = bool(world["shuffle_objects"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{experiment.file}, section world: expected scene_s: [shortest, longest] in s, time_scale: 1.0 and "
            "shuffle_objects: false"
        ) from error
    setting = f"a world whose scenes last {time_range(scale * float(low), scale * float(high))}"
    return f"{setting}, its objects shuffled across scenes" if shuffled else setting


def method(experiment: Experiment, tests: pd.DataFrame) -> dict[str, str]:
    """Lags, permutations and classes of the tests."""
    lags = [seconds(lag_s).removesuffix(" s") for lag_s in sorted(experiment.lags_s) if lag_s < 120]
    longer = [seconds(lag_s) for lag_s in sorted(experiment.lags_s) if lag_s >= 120]
    spoken = ", ".join([*lags[:-1], *([f"{lags[-1]} s"] if lags else []), *longer])
    permutations = tests["permutations"].max() if "permutations" in tests else float("nan")
    classes = tests["classes"].max() if "classes" in tests else float("nan")
    return {
        "lags": spoken,
        "permutations": whole(permutations) if permutations == permutations else "random",
        "classes": whole(classes) if classes == classes else "all",
    }
