"""What ``poster.qmd`` asks for: ``_variables.yml``, ``_table_*.md`` and the code that leads to the repository."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import segno
import yaml
from papers.build import claims
from papers.build.evidence import SIGNIFICANT, Evidence
from papers.build.numbers import (
    NOTEBOOKS,
    count,
    number,
    plain,
    read_accuracy,
    read_lag_curve,
    read_table,
    required,
    seconds,
    spoken,
    time_range,
    whole,
)
from papers.build.sources import figure_source, source
from papers.build.tables import mantel_rows

from semanticcmc.config import InputError
from semanticcmc.experiment import Experiment, repository_root
from semanticcmc.figures.lag_curve import ENOUGH_FILM_H
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
        Staged source: gets ``_variables.yml``, ``_facts.md``, ``_table_mantel.md``, ``_source_*.md``, ``qr.svg``.

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
    for name in FIGURES:
        (folder / f"_source_{name}.md").write_text(figure_source(sidecar(experiment, name)), encoding="utf-8")
    tables = ("lag_curve.csv", "published.csv")
    (folder / "_source_table.md").write_text(source(NOTEBOOKS["published"], tables), encoding="utf-8")
    address = repository_address()
    segno.make(address, error="m").save(str(folder / "qr.svg"), border=1, dark="#1f2430", light="#ffffff")
    values = {
        "experiment": {
            "name": experiment.name,
            "title": plain(experiment.title),
            "layer": experiment.primary_layer,
            "seeds": count(len(experiment.seeds), "seed"),
            "commit": _commit(),
        },
        "repository": {"address": address, "short": address.removeprefix("https://").replace("/", "/\u200b")},
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
    text = re.sub(r"\b([rpρ]) ([=<]) (?=[−\d])", "\\1\u00a0\\2\u00a0", text)
    return re.sub(r"(?<=\d) (?=(?:s|min|h|%)(?:\W|$))", "\u00a0", text)


def sidecar(experiment: Experiment, figure: str) -> dict[str, Any]:
    """The JSON beside a figure: what it shows and from what it was made."""
    path = required(experiment, "figures", f"{figure}.json")
    described = dict(json.loads(path.read_text(encoding="utf-8")))
    if not described.get("alt"):
        raise InputError(f"{path}: no text in alt; save the figure by plots.style.save")
    return described


def alternative_text(experiment: Experiment, figure: str) -> str:
    """What a figure shows, in words, with what its caption says of n, seeds and intervals."""
    described = sidecar(experiment, figure)
    words = " ".join(filter(None, (described["alt"], described.get("caption"))))
    return plain(words).replace('"', "”")


def _commit() -> str:
    commit = git_commit()
    return f"commit {commit}" if commit else "outside git"


def repository_address() -> str:
    """Address of the repository, from ``CITATION.cff``."""
    citation = yaml.safe_load((repository_root() / "CITATION.cff").read_text(encoding="utf-8"))
    return str(citation["repository-code"])


def dataset(experiment: Experiment) -> dict[str, float]:
    """`QUANTITIES` of ``tables/dataset.csv`` by name."""
    table = read_table(experiment, "dataset", ("quantity", "value"))
    found = dict(zip(table["quantity"].astype(str), pd.to_numeric(table["value"], errors="coerce"), strict=True))
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
    unusable = "" if not left_out else f" {count(left_out, 'film').capitalize()} could not be used, at any lag."
    if counted["label sets"] > 0:
        labels = (
            f"{whole(counted['labels'])} labels, {whole(counted['distinct labels'])} of them distinct, "
            f"say what is in view.{unusable}"
        )
    else:
        labels = "No labels came with these films, so that how long associations last is left out here." + unusable
    curves = read_table(experiment, "timescales", ("measure", "lag_s", "value", "null_high"))
    constants = read_table(
        experiment, "half_lives", ("measure", "level", "half_strength_s", "half_strength_low_s", "half_strength_high_s")
    )
    return {"labels": labels, "persistence": persistence(curves, constants)}


def persistence(timescales: pd.DataFrame, constants: pd.DataFrame) -> str:
    """When looks and associations are down to half, and until which lag they stay above their null."""
    said = []
    for measure, name in (("appearance", "Looks"), ("association", "Associations")):
        rows = timescales[timescales["measure"].eq(measure)]
        if len(rows) and rows["value"].isna().all():
            said.append(f"No {name.lower()} that fall with the lag were found.")
        rows = rows.dropna(subset=["value", "null_high"])
        if "level" in rows and len(rows):
            rows = rows[rows["level"].eq(rows["level"].iloc[0])]
        rows = rows.sort_values("lag_s")
        if rows.empty:
            continue
        above = rows["value"].gt(rows["null_high"]).to_numpy()
        last = len(above) if above.all() else int((~above).argmax())
        if last == 0:
            said.append(f"{name} are not above chance at {'the shortest' if above.any() else 'any'} lag.")
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
    columns = ["half_strength_s", "half_strength_low_s", "half_strength_high_s"]
    half, low, high = (seconds(float(f"{value:.2g}")) for value in rows[columns].iloc[0])
    return f"halve in {half} ({low} to {high}) and "


def claim(experiment: Experiment, evidence: Evidence, counted: dict[str, float], tests: pd.DataFrame) -> dict[str, str]:
    """What may be said of the experiment, sentence by sentence."""
    hours = counted["hours"]
    film = " ".join(film_time(hours)) + " of film"
    small = experiment.source == "films" and hours < ENOUGH_FILM_H
    setting = film
    if experiment.source == "world":
        setting = world_setting(experiment)
    said = {
        "headline": claims.headline(evidence, setting, film if small else ""),
        "mark": claims.mark(evidence, small),
        "reading": claims.reading(evidence),
        "prediction": prediction(experiment, evidence),
        "baselines": claims.baselines(evidence, claims_allowed=not small),
        "dissociation": claims.dissociation(evidence, read_accuracy(experiment)),
        "conclusion": claims.conclusion(evidence, setting, small),
        "limits": claims.limits(experiment, evidence, tests, film if small else ""),
    }
    return {key: unbroken(sentence) for key, sentence in said.items()}


def prediction(experiment: Experiment, evidence: Evidence) -> str:
    """The lag that the labels recommend before any training, where they do."""
    if not (experiment.folder / "tables" / "recommended_lag.csv").exists():
        return "No lag was predicted: that takes labels."
    columns = ("model", "lag_s", "ci_low_s", "ci_high_s", "p_holm")
    table = read_table(experiment, "recommended_lag", columns).set_index("model")
    if evidence.model not in table.index:
        return "No lag was predicted for this model."
    lag_s, low_s, high_s, p_holm = map(float, table.loc[evidence.model, list(columns[1:])].to_numpy())
    if p_holm >= SIGNIFICANT:
        return "Before any training the labels predicted no lag to learn from."
    bounds = f" ({seconds(low_s)} to {seconds(high_s)})" if low_s < high_s else ""
    return f"Predicted from the labels, before any training: {seconds(lag_s)}{bounds}."


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
    """Lags, networks of looks alone, permutations and classes of the tests."""
    lags = [seconds(lag_s).removesuffix(" s") for lag_s in sorted(experiment.lags_s) if lag_s < 120]
    longer = [seconds(lag_s) for lag_s in sorted(experiment.lags_s) if lag_s >= 120]
    listed = ", ".join([*lags[:-1], *([f"{lags[-1]} s"] if lags else []), *longer])
    permutations = tests["permutations"].max() if "permutations" in tests else float("nan")
    classes = tests["classes"].max() if "classes" in tests else float("nan")
    return {
        "lags": listed,
        "looks": spoken([name for network, name in claims.LOOKS.items() if network in experiment.baselines])
        or "no network here",
        "marks": plain("***\u00a0p\u00a0≤\u00a00.001, **\u00a0p\u00a0≤\u00a00.01, *\u00a0p\u00a0≤\u00a00.05"),
        "permutations": whole(permutations) if permutations == permutations else "random",
        "classes": whole(classes) if classes == classes else "all",
    }
