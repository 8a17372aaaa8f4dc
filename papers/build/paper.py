"""What ``paper.qmd`` asks for: variables, tables, and the sections that an experiment has or has not."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from papers.build import claims, poster, values
from papers.build.claims import CONTROL, SIGNIFICANT, Evidence
from papers.build.values import WORDS, Effect, count, network_title, number, percent, probability, seconds, spoken
from PIL import Image, ImageDraw

from semanticcmc.experiment import Experiment

# Files of ``papers/`` that the paper is made from, and figures of the experiment that it always shows.
SOURCES = ("paper.lua", "paper.css", "paper-template.typst", "references.bib")
FIGURES = ("persistence", "lag_curve", "dissociation", "rdms")
OBJECTIVES = ("info_nce", "memory_bank_nce")  # that have a paragraph of their own
# Sections ``_paper_<name>.md`` that a paper has where the experiment has their figure.
OPTIONAL = {"robustness": "robustness", "objectives": "objectives"}

Column = tuple[str, Mapping[str, Effect], str]  # head, effects by network, and which of `Effect.cells` is shown


def variables(experiment: Experiment, folder: Path) -> dict[str, Any]:
    """What the paper's source asks for, and a study's picture into `folder`; an `InputError` names what is missing."""
    tests = values.read_lag_curve(experiment)
    evidence = claims.weigh(experiment, tests)
    accuracy = poster.accuracy(experiment)
    parts = {
        "table_timescales": timescales_table(experiment),
        "table_tests": tests_table(experiment, tests),
        "table_controls": controls_table(experiment, tests),
        "table_accuracy": accuracy_table(experiment, evidence, accuracy),
        "table_published": poster.mantel_table(experiment, evidence, tests),
    }
    drawn = {path.stem for path in (experiment.folder / "figures").glob("*.svg")}
    drawn -= set() if experiment.sections.get("objectives") else {"objectives"}  # the site's, of its lag curve alone
    optional = {name: figure for name, figure in OPTIONAL.items() if figure in drawn}
    figures = [*FIGURES[:2], *optional.values(), *FIGURES[2:]]
    said = words(experiment, evidence, tests, accuracy, figures)
    for more, texts in (studies(), sections(experiment, evidence, list(optional))):
        said |= more
        parts |= texts
    links = {figure: ", ".join(poster.links(poster.sidecar(experiment, figure))) for figure in figures}
    parts["list_sources"] = "".join(f"- @fig-{figure.replace('_', '-')}: {found}\n" for figure, found in links.items())
    pictures = "timescales kind_or_company kind_or_company_commonality recommended_lag movie101 photographs"
    for study in pictures.split():
        shutil.copyfile(values.validation(f"{study}.png"), picture := folder / f"study_{study}.png")
        if why := values.stale(values.validation(f"{study}.json")):  # in its place, so that references lead somewhere
            ImageDraw.Draw(shown := Image.new("RGB", (1600, 100), "white")).text((10, 30), why, "black", font_size=28)
            shown.save(picture)
    return poster.unbroken(said) | {"part": parts}


def words(
    experiment: Experiment, evidence: Evidence, tests: pd.DataFrame, accuracy: pd.DataFrame, figures: Sequence[str]
) -> dict[str, Any]:
    """Variables of the parts that every paper has."""
    counted = poster.dataset(experiment)
    said: dict[str, Any] = poster.words(experiment, evidence, counted, tests, figures)
    said["claim"] = {key: words.replace("this poster", "this paper") for key, words in said["claim"].items()} | {
        "lag": seconds(evidence.best.lag_s),
        "model": WORDS["models"][evidence.model]["name"],
        "correlation": f": {claims.correlation(evidence.best)}" if evidence.learned else "",
        "controls": under_controls(evidence, tests),
    }
    chance = accuracy[accuracy["measure"].eq("chance")]["accuracy"].mean()
    said["data"] |= amounts(experiment, counted)
    said["data"]["chance"] = f"; chance is {percent(chance, 1)}" if chance == chance else ""
    said["method"] |= method(experiment)
    return said | {"setting": settings(experiment.sections), "published": published(experiment)}


def studies() -> tuple[dict[str, Any], dict[str, str]]:
    """What is quoted of the studies, in the words that their outcomes allow, and their tables ``study_<name>``."""
    said, texts = {}, {}
    for name, study in values.QUOTED.items():
        said[name] = {
            key: WORDS["studies"][key][0 if value else 1] if isinstance(value, bool) else value
            for key, value in study["numbers"].items()
        }
        if found := study.get("table"):
            rows = pd.DataFrame(found["rows"], columns=found["heads"])
            texts[f"study_{name}"] = values.table(found["name"], rows, left=range(found["words"]))
    return said, texts


def sections(experiment: Experiment, evidence: Evidence, shown: list[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """What sections that only some experiments have ask for, and their texts; `shown`: those of `OPTIONAL` it has."""
    said: dict[str, Any] = {}
    texts: dict[str, str] = {}
    conditions = experiment.sections["stimuli"].get("conditions", ())
    if "robustness" in shown:
        said["robustness"] = variations(experiment, evidence)
    if evidence.against_best:
        shown = [*shown, "comparisons"]
        said["comparisons"] = {"best": network_title(evidence.best.network, evidence.best.lag_s)}
        columns = [("difference", evidence.against_best, "interval"), ("p", evidence.against_best, "p")]
        texts["table_comparisons"] = by_network(experiment, "Differences from the best network", columns)
    if len(conditions) > 1:
        shown = [*shown, "conditions"]
        said["conditions"] = spoken(conditions)
        texts["table_conditions"] = conditions_table(experiment, evidence)
    partials = {name: name if name in shown else "" for name in (*OPTIONAL, "comparisons", "conditions")}
    objective = experiment.sections["training"]["objective"]
    data = "photographs" if poster.photographed(experiment) else experiment.source
    partials |= {"data": data, "objective": objective if objective in OBJECTIVES else ""}
    for section, name in partials.items():
        source = values.source_file(f"_paper_{name}.md") if name else None
        texts[f"section_{section}"] = source.read_text(encoding="utf-8") if source else ""
    return said, texts


def settings(value: Any) -> Any:
    """Values of the experiment's YAML as text, with the same keys."""
    if isinstance(value, Mapping):
        return {str(key): settings(one) for key, one in value.items()}
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and abs(value) >= 1000:
        return values.whole(value)
    if isinstance(value, int | float):
        return f"{value:g}".replace("-", "−")
    if isinstance(value, Sequence) and not isinstance(value, str):
        return spoken([settings(one) for one in value])
    return "none" if value is None else str(value)


def amounts(experiment: Experiment, counted: dict[str, float]) -> dict[str, str]:
    """How much film, and where a claim holds."""
    time = " ".join(poster.film_time(counted["hours"]))
    amounts = [time, f"{values.whole(counted['frames'])} frames"]
    amounts += [f"{values.whole(counted['label sets'])} sets of labels"] if counted["label sets"] > 0 else []
    drawn, films = experiment.source == "world", count(int(counted["films"]), "film")
    where = poster.world_setting(experiment).replace("a world", "a drawn world", 1) if drawn else f"{time} of film"
    return {"films": films, "amounts": spoken(amounts), "where": where, "caveat": WORDS["caveat"] if drawn else ""}


def method(experiment: Experiment) -> dict[str, str]:
    """Networks, training and tests in words."""
    views, training, evaluation = (experiment.sections[name] for name in ("views", "training", "evaluation"))
    timescales = experiment.sections["timescales"]
    others = [WORDS["networks"][name]["method"] for name in experiment.baselines]
    untrained = len({*evaluation.get("random_seeds", ()), *experiment.seeds})
    steps, epochs = training.get("steps"), training.get("epochs")
    return {
        "tolerance": percent(float(training["lag_tolerance"])),
        "crop": " to ".join(percent(float(share)) for share in views["crop_scale"]),
        "baselines": f"Networks without a lag serve as comparison: {'; '.join(others)}." if others else "",
        "length": f"{values.whole(steps)} steps" if steps else f"{values.whole(epochs or 0)} passes through the frames",
        "optimiser": WORDS["optimisers"][training["optimiser"]],
        "schedule": WORDS["schedules"][training["schedule"]],
        "temperature": " and is learned" if training.get("learn_temperature") else "",
        "distance": WORDS["distances"][evaluation["distance"]],
        "partial": WORDS["partial_tests"][evaluation.get("partial", "smouse")],
        "confidence": percent(float(evaluation["confidence"])),
        "confidence_films": percent(float(timescales["confidence"])),
        "frame_px": " by ".join(str(side) for side in reversed(timescales["frame_px"])),
        "random": f"mean RDM of {count(untrained, 'such network')}" if untrained > 1 else "RDM of one such network",
    }


def published(experiment: Experiment) -> dict[str, str]:
    """The published correlations that the text names."""
    found = [effect for effect in values.published_effects(experiment, "random").values() if effect.lag_s > 0]
    shown = {
        "best": max(found, key=lambda effect: effect.r),
        "shortest": min(found, key=lambda effect: effect.lag_s),
        "random": values.published_effects(experiment, "none")["random"],
    }
    said = {f"{name}_r": f"{number(effect.r)} ({probability(effect.p)})" for name, effect in shown.items()}
    return said | {f"{name}_lag": seconds(shown[name].lag_s) for name in ("best", "shortest")}


def under_controls(evidence: Evidence, tests: pd.DataFrame) -> str:
    """Whether the best network's correlation stays under every control that was tested."""
    tested = {}
    for control, words in WORDS["controls"].items():
        if effect := values.effects(tests, evidence.model, control).get(evidence.best.network):
            tested[words["given"]] = effect
    kept = [given for given, effect in tested.items() if effect.r > 0 and effect.p < SIGNIFICANT]
    said = spoken([f"{number(effect.r)} {given}" for given, effect in tested.items()])
    phrase, model = values.network_phrase(evidence.best), WORDS["models"][evidence.model]["name"]
    start = f"For {phrase} the correlation with {model} is {said}"
    if len(kept) == len(tested):
        return f"{start}: above 0 under each of them ({probability(max(e.p for e in tested.values()))} at most)."
    return f"{start}: {f'above 0 at .05 only {spoken(kept)}' if kept else 'not above 0 under any of them at .05'}."


def variations(experiment: Experiment, evidence: Evidence) -> str:
    """In how many variations of the analysis the largest mean correlation stays where it is."""
    table = values.read_table(experiment, "robustness", "network lag_s model varied value mantel_r")
    own = table[table["model"].eq(evidence.model) & table["lag_s"].gt(0) & table["varied"].ne("declared")]
    means = own.groupby(["varied", "value", "lag_s"], sort=False)["mantel_r"].mean().dropna()
    best = [key for key in means.groupby(["varied", "value"], sort=False).idxmax()]
    moved = [
        f"{values.plain(varied)}: {values.plain(str(value))} ({seconds(lag_s)})"
        for varied, value, lag_s in best
        if lag_s != evidence.best.lag_s
    ]
    where = f"the largest mean correlation is at {seconds(evidence.best.lag_s)}"
    start = f"In {len(best) - len(moved)} of {len(best)} variations {where}"
    return f"{start}; in the others elsewhere: {'; '.join(moved)}." if moved else f"{start}."


def by_network(experiment: Experiment, name: str, columns: Sequence[Column]) -> str:
    """A row a network that has a cell, of these columns."""
    rows = []
    for network, lag_s in {run.name: run.lag_s for run in experiment.runs}.items():
        cells = [found[network].cells[cell] if network in found else "–" for _, found, cell in columns]
        if set(cells) != {"–"}:
            rows.append([network_title(network, lag_s), *cells])
    return values.table(name, pd.DataFrame(rows, columns=["network", *(head for head, _, _ in columns)]))


def tests_table(experiment: Experiment, tests: pd.DataFrame) -> str:
    """Simple and partial correlation with each model: interval and corrected p."""
    columns: list[Column] = []
    for model in (model for model in WORDS["models"] if model in set(tests["model"])):
        simple, partial = (values.effects(tests, model, control) for control in ("none", CONTROL))
        head = f"{WORDS['models'][model]['head']}: r"
        columns += [(head, simple, "r"), ("partial r", partial, "interval"), ("p", partial, "p")]
    return by_network(experiment, "Correlations with the models of meaning", columns)


def controls_table(experiment: Experiment, tests: pd.DataFrame) -> str:
    """Correlation with each model under each control."""
    columns: list[Column] = []
    for model in (model for model in WORDS["models"] if model in set(tests["model"])):
        start = f"{WORDS['models'][model]['head']}: "
        for control in (control for control in WORDS["controls"] if control in set(tests["control"])):
            head = f"{start}{WORDS['controls'][control]['head']}"
            columns.append((head, values.effects(tests, model, control), "stars"))
            start = ""
    return by_network(experiment, "Correlations under each control", columns)


def conditions_table(experiment: Experiment, evidence: Evidence) -> str:
    """Partial correlation under each condition of the stimuli, at the primary layer."""
    names = "network lag_s seed layer condition model control mantel_r p_holm ci_low ci_high"
    table = values.read_table(experiment, "lag_curve", names)
    table = table[table["layer"].eq(experiment.primary_layer) & table["seed"].isin(experiment.seeds)]
    columns: list[Column] = []
    for condition, own in table.groupby("condition", sort=False):
        found = values.effects(own, evidence.model, CONTROL)
        columns += [(str(condition), found, "interval"), ("p", found, "p")]
    return by_network(experiment, "Parts of the pictures", columns)


def accuracy_table(experiment: Experiment, evidence: Evidence, accuracy: pd.DataFrame) -> str:
    """Accuracy of nearest neighbours and of a linear probe beside the partial correlation."""
    means = accuracy.groupby(["network", "measure"])["accuracy"].mean().unstack()
    means = means.reindex(index=experiment.on_the_curve.networks, columns=["knn", "linear_probe"])
    rows = means.map(percent).set_axis(["nearest neighbours", "linear probe"], axis=1)
    found = evidence.by_network
    rows["partial r"] = [found[name].cells["r"] if name in found else "–" for name in rows.index]
    lags_s = {run.name: run.lag_s for run in experiment.runs}
    rows.insert(0, "network", [network_title(name, lags_s[name]) for name in rows.index])
    return values.table("Class accuracy", rows)


def timescales_table(experiment: Experiment) -> str:
    """Time constants of looks and associations, above the film base rate."""
    fitted = ["half_life_s", "ci_low_s", "ci_high_s"]
    constants = values.read_table(experiment, "half_lives", f"measure level {poster.HALF} {' '.join(fitted)} reason")

    def time(row: Mapping[Any, Any], names: Sequence[str]) -> str:
        told = [f"{row[name]:.3g}" if np.isfinite(row[name]) else "∞" for name in names]
        return f"{told[0]} [{told[1]}, {told[2]}]" if row[names[0]] == row[names[0]] else "–"

    rows = []
    for row in constants[constants["level"].eq("film base rate")].to_dict("records"):
        measure = WORDS["measures"].get(row["measure"], row["measure"])
        life = time(row, fitted) if np.isfinite(row["half_life_s"]) else values.plain(str(row["reason"]))
        rows.append([measure, time(row, poster.HALF.split()), life])
    return values.table("Time constants", pd.DataFrame(rows, columns=["measure", "half (s)", "half-life (s)"]))
