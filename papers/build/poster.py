"""What ``poster.qmd`` asks for: words, its table and lists, and the code that leads to the repository."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import segno
import yaml
from papers.build import ROOT, claims, values
from papers.build.claims import Evidence
from papers.build.values import WORDS, count, plain, seconds, spoken, whole

from semanticcmc.config import InputError
from semanticcmc.experiment import Experiment
from semanticcmc.figures.lag_curve import ENOUGH_FILM_H
from semanticcmc.figures.svg_text import font_faces
from semanticcmc.figures.timescales import time_text
from semanticcmc.run import git_commit
from semanticcmc.timescales.decay import LOOKS_GONE

# Files of ``papers/`` that the poster is made from, and figures that it shows (by name without the ending).
SOURCES = ("poster.lua", "poster.css", "poster-template.typst", "two_views.svg", "references.bib")
FIGURES = ("film_strip", "persistence", "lag_curve", "rdms", "dissociation")
# Letters that travel with the page, so that it is printed on one sheet whatever fonts a machine has.
LETTERS = "".join(map(chr, (*range(32, 127), *range(160, 384)))) + "‘’“”–—…•→−×≤≥≈∞ρτ"
# Rows of ``tables/dataset.csv``.
QUANTITIES = ("films", "hours", "frames", "label sets", "labels", "distinct labels", "films left out")
HALF = "half_strength_s half_strength_low_s half_strength_high_s"  # and its interval: of ``tables/half_lives.csv``


def variables(experiment: Experiment, folder: Path) -> dict[str, Any]:
    """What the poster's source asks for, and its code into the `folder`; an `InputError` names what is missing."""
    tests = values.read_lag_curve(experiment)
    counted = dataset(experiment)
    evidence = claims.weigh(experiment, tests)
    parts = {"facts": facts(counted), "table": mantel_table(experiment, evidence, tests)}
    drawn = experiment.source == "world"
    parts["world"] = values.source_file("_poster_world.md").read_text(encoding="utf-8") if drawn else ""
    inputs = [{"path": f"tables/{name}.csv"} for name in ("lag_curve", "published")]
    parts["source_table"] = source(links({"notebook": values.NOTEBOOKS["published"], "inputs": inputs}))
    said = words(experiment, evidence, counted, tests, FIGURES)
    return unbroken(said) | {"part": parts | ends(experiment, folder, FIGURES)}


def ends(experiment: Experiment, folder: Path, figures: Iterable[str]) -> dict[str, str]:
    """What stands below each figure; code and letters of the page go into the `folder`."""
    code = segno.make(repository()["address"], error="m")
    code.save(str(folder / "qr.svg"), border=1, dark="#1f2430", light="#ffffff")
    (folder / "letters.css").write_text(font_faces(LETTERS, "STIXGeneral"), encoding="utf-8")
    return {f"source_{name}": figure_source(sidecar(experiment, name)) for name in figures}


def words(
    experiment: Experiment, evidence: Evidence, counted: dict[str, float], tests: pd.DataFrame, figures: Iterable[str]
) -> dict[str, dict[str, str]]:
    """Variables that poster and paper share."""
    return {
        "experiment": head(experiment),
        "repository": repository(),
        "claim": claim(experiment, evidence, counted, tests),
        "data": data(experiment, counted),
        "method": method(experiment, tests),
        "company": values.QUOTED["company"]["numbers"],
        "world": world(experiment) | came_out(experiment, evidence, tests),
        "figure": {name: alternative_text(experiment, name) for name in figures},
    }


def unbroken(value: Any) -> Any:
    """Texts whose ``r = 0.21``, ``60 s`` and ``59 %`` no line break parts, in a mapping of mappings."""
    if isinstance(value, Mapping):
        return {key: unbroken(one) for key, one in value.items()}
    text = re.sub(r"\b([rpρ]) ([=<]) (?=[−\d])", "\\1\u00a0\\2\u00a0", str(value))
    return re.sub(r"(?<=\d) (?=(?:s|min|h|%)(?:\W|$))", "\u00a0", text)


def head(experiment: Experiment) -> dict[str, str]:
    """Name, title, layer, seeds and commit of an experiment."""
    return {
        "name": experiment.name,
        "title": plain(experiment.title),
        "layer": experiment.primary_layer,
        "seeds": count(len(experiment.seeds), "seed"),
        "commit": git_commit() or "unknown",
    }


def repository() -> dict[str, str]:
    """Address of the repository, from ``CITATION.cff``, whole and as it is printed."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    address = str(citation["repository-code"])
    return {"address": address, "short": address.removeprefix("https://").replace("/", "/\u200b")}


def sidecar(experiment: Experiment, figure: str) -> dict[str, Any]:
    """The JSON beside a figure: what it shows and from what it was made."""
    path = values.required(experiment, "figures", f"{figure}.json")
    described = dict(json.loads(path.read_text(encoding="utf-8")))
    if not described.get("alt"):
        raise InputError(f"{path}: no text in alt; save the figure by figures.save.save")
    return described


def alternative_text(experiment: Experiment, figure: str) -> str:
    """What a figure shows, in words, with what its caption says of n, seeds and intervals."""
    described = sidecar(experiment, figure)
    words = " ".join(filter(None, (described["alt"], described.get("caption"))))
    return plain(words).replace('"', "”")


def links(described: Mapping[str, Any]) -> list[str]:
    """Links from a folder beside ``tables/`` to the notebook and the tables that a figure comes from (`sidecar`)."""
    notebook, paths = described.get("notebook"), [str(entry["path"]) for entry in described.get("inputs", ())]
    found = [f"[notebook {notebook}](../notebooks/{notebook}.html)"] if notebook else []
    return found + [f"[{plain(Path(path).name)}](../{path})" for path in paths if path.startswith("tables/")]


def source(found: Iterable[str]) -> str:
    """Links below a figure or a table."""
    return f"::: {{.poster-source}}\n{' · '.join(found)}\n:::\n"


def figure_source(described: Mapping[str, Any]) -> str:
    """Caption of a figure (`sidecar`), which `without_caption` takes from the drawing, and its links."""
    record = [f"[record](../figures/{described['figure']}.json)"] if described.get("figure") else []
    # the alternative text has it for other readers
    caption = f'::: {{.poster-caption aria-hidden="true"}}\n{plain(described.get("caption") or "")}\n:::\n\n'
    return (caption if described.get("caption") else "") + source([*links(described), *record])


def mantel_table(experiment: Experiment, evidence: Evidence, tests: pd.DataFrame) -> str:
    """Partial Mantel correlations beside the published ones, a row a network of either, by lag, in Markdown."""
    ours = {model: values.effects(tests, model, claims.CONTROL) for model in WORDS["models"]}
    columns = {f"here: {WORDS['models'][model]['head']}": found for model, found in ours.items() if found}
    columns["published: WordNet"] = values.published_effects(experiment, claims.CONTROL)
    lags_s = {network: effect.lag_s for found in columns.values() for network, effect in found.items()}
    rows = []
    for network in sorted(lags_s, key=lambda name: (lags_s[name] >= 0, np.nan_to_num(lags_s[name]), name)):
        title = values.network_title(network, lags_s[network])
        cells = {name: found[network].cells["stars"] if network in found else "–" for name, found in columns.items()}
        rows.append({"network": f"**{title}**" if network == evidence.best.network else title, **cells})
    return values.table("Partial correlations here and as published", pd.DataFrame(rows))


def dataset(experiment: Experiment) -> dict[str, float]:
    """`QUANTITIES` of ``tables/dataset.csv`` by name."""
    table = values.read_table(experiment, "dataset", "quantity value")
    found = dict(zip(table["quantity"].astype(str), pd.to_numeric(table["value"], errors="coerce"), strict=True))
    if missing := [quantity for quantity in QUANTITIES if quantity not in found]:
        raise InputError(
            f"{experiment.folder / 'tables' / 'dataset.csv'}: no row {', '.join(missing)}; "
            "make it again with analysis/01_dataset_statistics.ipynb"
        )
    return {quantity: float(found[quantity]) for quantity in QUANTITIES}


def film_time(hours: float) -> tuple[str, str]:
    """Running time as a number and its unit: ``158.4``, ``hours``; below two hours in minutes."""
    return (values.number(hours, 1), "hours") if hours >= 2 else (values.number(60 * hours, 1), "minutes")


def facts(counted: dict[str, float]) -> str:
    """The data set in a few large numbers, as a Markdown list."""
    rows = [(whole(counted["films"]), "film" if counted["films"] == 1 else "films"), film_time(counted["hours"])]
    rows += [(whole(counted[what]), what) for what in ("frames", "label sets") if counted[what] > 0]
    return "".join(f"- [{value}]{{.fact}} {what}\n" for value, what in rows)


def data(experiment: Experiment, counted: dict[str, float]) -> dict[str, str]:
    """What the films and labels are, and how long looks and associations last in them."""
    labels = "No labels came with these films, so that how long associations last is left out here."
    if counted["label sets"] > 0:
        distinct = f"{whole(counted['distinct labels'])} of them distinct"
        says = "are named" if experiment.labels_alone else "say what is in view"
        labels = f"{whole(counted['labels'])} labels, {distinct}, {says}."
    if left_out := int(counted["films left out"]):
        labels += f" {count(left_out, 'film').capitalize()} could not be used, at any lag."
    curves = values.read_table(experiment, "timescales", "measure level lag_s value null_high")
    constants = values.read_table(experiment, "half_lives", f"measure level {HALF}")
    return {"labels": labels, "persistence": persistence(curves, constants), "heading": halves(constants)}


def halves(constants: pd.DataFrame) -> str:
    """``looks halve in 5.6 s, associations in 89 s``, as far as `constants` tell."""
    known = {"looks": _half(constants, "appearance"), "associations": _half(constants, "association")}
    said = [f"{name} {text.split(' (')[0]}" for name, text in known.items() if text]
    said[1:] = [text.replace(" halve", "") for text in said[1:]]
    return spoken(said) or "how long looks and associations last"


def persistence(timescales: pd.DataFrame, constants: pd.DataFrame) -> str:
    """When looks and associations are down to half, and until which lag they stay above their null."""
    said = []
    for measure, name in (("appearance", "Looks"), ("association", "Associations")):
        rows = timescales[timescales["measure"].eq(measure)]
        if len(rows) and rows["value"].isna().all():
            said.append(f"No {name.lower()} that fall with the lag were found.")
        rows = rows.dropna(subset=["value", "null_high"])
        if rows.empty:
            continue
        rows = rows[rows["level"].eq(rows["level"].iloc[0])].sort_values("lag_s")
        above = rows["value"].gt(rows["null_high"])
        if not above.iloc[0]:
            said.append(f"{name} are not above chance at {'the shortest' if above.any() else 'any'} lag.")
            continue
        to = "to the longest lag, " if above.all() else "up to "
        last_s = rows["lag_s"][above.cummin()].iloc[-1]
        said.append(f"{name} {_half(constants, measure)}stay above chance {to}{seconds(last_s)}.")
    return " ".join(said) or "No chance level was computed for these curves."


def _half(constants: pd.DataFrame, measure: str) -> str:
    """When a measure is down to half; empty where it or its interval is not told."""
    rows = constants[constants["measure"].eq(measure) & constants["level"].eq("film base rate")][HALF.split()]
    if rows.empty or not np.isfinite(rows[["half_strength_s", "half_strength_high_s"]].iloc[0]).all():
        return ""
    half, low, high = map(time_text, rows.iloc[0])
    return f"halve in {half} ({low} to {high}) and "


def claim(experiment: Experiment, evidence: Evidence, counted: dict[str, float], tests: pd.DataFrame) -> dict[str, str]:
    """What may be said of the experiment, sentence by sentence."""
    film = " ".join(film_time(counted["hours"])) + " of film"
    too_little = film if experiment.source == "films" and counted["hours"] < ENOUGH_FILM_H else ""
    setting = world_setting(experiment) if experiment.source == "world" else film
    return {
        **claims.verdict(evidence, setting, too_little),
        "accuracy": claims.dissociation(evidence, accuracy(experiment), heading=True),
        **claims.headings(evidence, values.published_effects(experiment, claims.CONTROL)),
        "reading": claims.reading(evidence),
        "others": claims.other_models(experiment, tests, evidence),
        "recommended": recommended(experiment),
        "baselines": claims.baselines(evidence, claims_allowed=not too_little),
        "dissociation": claims.dissociation(evidence, accuracy(experiment)),
        "limits": claims.limits(experiment, evidence, tests, too_little),
    }


def accuracy(experiment: Experiment) -> pd.DataFrame:
    """How well the networks tell classes apart, at the primary layer and on intact stimuli."""
    return values.reported(experiment, "accuracy", "network measure accuracy ci_low ci_high")


def recommended(experiment: Experiment) -> str:
    """The lag that looks recommend before any training, where they do."""
    table = values.read_table(experiment, "recommended_lag", "lag_s ci_low_s ci_high_s")
    lag_s, low_s, high_s = table[["lag_s", "ci_low_s", "ci_high_s"]].iloc[0]
    if not np.isfinite(lag_s):
        return f"Looks do not fall below {LOOKS_GONE:g} within these films: no lag is recommended."
    high = seconds(high_s) if np.isfinite(high_s) else "beyond all lags"
    bounds = f" ({seconds(low_s)} to {high})" if low_s < high_s else ""
    return f"Recommended before any training, from how long looks last: {seconds(lag_s)}{bounds}."


def photographed(experiment: Experiment) -> bool:
    """Whether the objects of a drawn world are photographs."""
    return experiment.sections.get("world", {}).get("objects") == "photographs"


def world(experiment: Experiment) -> dict[str, str]:
    """The drawn world in words; empty for films."""
    if experiment.source != "world":
        return {}
    own = experiment.sections["world"]
    shuffled = " Afterwards the things were assigned to beats at random, so that no two belong together."
    scales = {"scene": float(own["time_scale"]), "beat": float(own["time_scale"]), "shot": 1.0}
    lasting = {name: values.time_range(*(by * float(s) for s in own[f"{name}_s"])) for name, by in scales.items()}
    photographs, exemplars = photographed(experiment), own.get("exemplars")
    return {
        "films": count(int(own["films"]), "film"),
        "exemplars": whole(int(exemplars)) if exemplars else "all of their folder",
        "classes": whole(int(own["categories"]) * int(own["classes_per_category"])),
        "shuffled": shuffled if own["shuffle_objects"] else "",
        "stimuli": "in a place of their class" if own.get("stimuli_in_context") else "alone and on grey",
        "category": "as photographed" if photographs else values.percent(float(own["appearance_semantics"])),
        **{name: seconds(float(own[f"{name}_s"])) for name in ("film_duration", "frame_interval", "label_interval")},
        **lasting,
    }


def came_out(experiment: Experiment, evidence: Evidence, tests: pd.DataFrame) -> dict[str, str]:
    """What ``_poster_world.md`` sets beside what was put into the world."""
    constants = values.read_table(experiment, "half_lives", f"measure level {HALF}")
    found = {name: _half(constants, name).removesuffix(" and ") or "–" for name in ("appearance", "association")}
    random = values.effects(tests, evidence.model, "none").get("random")
    return found | {"untrained": f"r = {values.number(random.r)} ({values.probability(random.p)})" if random else "–"}


def world_setting(experiment: Experiment) -> str:
    """The world that a claim holds in, from the experiment's own section ``world``."""
    world = experiment.sections.get("world", {})
    try:
        low, high = (float(world["time_scale"]) * float(bound) for bound in world["scene_s"])
        shuffled = bool(world["shuffle_objects"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{experiment.file}, section world: expected scene_s: [shortest, longest] in s, time_scale: 1.0 and "
            "shuffle_objects: false"
        ) from error
    things = ", whose things are photographs" if photographed(experiment) else ""
    put_in = ", its objects shuffled across scenes" if shuffled else WORDS["themes"][world.get("theme_by", "category")]
    return f"a world whose scenes last {values.time_range(low, high)}{things}{put_in}"


def method(experiment: Experiment, tests: pd.DataFrame) -> dict[str, str]:
    """Lags, networks of looks alone, permutations and classes of the tests."""
    lags = [seconds(lag_s).removesuffix(" s") for lag_s in sorted(experiment.lags_s) if lag_s < 120]
    longer = [seconds(lag_s) for lag_s in sorted(experiment.lags_s) if lag_s >= 120]
    looks = [name for network, name in claims.LOOKS.items() if network in experiment.baselines]
    return {
        "lags": ", ".join([*lags[:-1], *([f"{lags[-1]} s"] if lags else []), *longer]),
        "looks": spoken(looks) or "no network here",
        "marks": plain("***\u00a0p\u00a0≤\u00a00.001, **\u00a0p\u00a0≤\u00a00.01, *\u00a0p\u00a0≤\u00a00.05"),
        "permutations": whole(tests["permutations"].max()) if "permutations" in tests else "random",
        "classes": whole(tests["classes"].max()) if "classes" in tests else "all",
    }
