"""What ``paper.qmd`` asks for: variables, tables, and the sections that an experiment has or has not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import yaml

from semanticcmc.configuration import InputError
from semanticcmc.experiments import Experiment, network_lag_s, repository_root
from semanticcmc.publish import claims, paper_tables, paper_methods, studies, variables
from semanticcmc.publish.numbers import (
    CONDITION,
    count,
    effects,
    network_phrase,
    network_title,
    number,
    plain,
    probability,
    read_lag_curve,
    read_table,
    seconds,
    spoken,
    whole,
)
from semanticcmc.run import git_commit

FIGURES = ("persistence", "lag_curve", "rdms", "dissociation")
"""Figures of the experiment that every paper shows."""

SECTIONS = ("comparisons", "predicted", "robustness", "conditions", "intervals", "real_images")
"""Sections that are left empty where an experiment, or the repository, has nothing to say in them."""

SIGNIFICANT = claims.SIGNIFICANT

STUDIES = {
    "timescales": (studies.timescales, "timescales_study"),
    "worlds": (studies.trained_worlds, "worlds"),
    "tests": (studies.permutation_tests, "type_i"),
    "predicted": (studies.predicted_worlds, "predicted"),
    "objectives": (studies.objectives, "objectives"),
    "places": (studies.conditions, "places"),
    "software": (studies.software, ""),
}
"""Studies by the name of their variables: what reads them, and their table."""

Parts = dict[str, dict[str, str]]


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
    accuracy = read_table(experiment, "accuracy", ("network", "layer", "measure", "accuracy"))
    accuracy = accuracy[
        accuracy["layer"].eq(experiment.primary_layer) & accuracy["network"].isin(experiment.networks)
    ]
    if "condition" in accuracy:
        accuracy = accuracy[accuracy["condition"].eq(CONDITION)]
    tables = {
        "timescales": paper_tables.timescales_table(experiment),
        "tests": paper_tables.tests_table(experiment, tests),
        "controls": paper_tables.controls_table(experiment, tests),
        "accuracy": paper_tables.accuracy_table(experiment, tests, accuracy),
        "published": paper_tables.published_table(experiment, tests),
    }
    address = variables.repository_address()
    values: dict[str, object] = {
        "experiment": {"name": experiment.name, "layer": experiment.primary_layer,
                       "seeds": count(len(experiment.seeds), "seed"), "commit": git_commit() or "outside git"},
        "repository": {"address": address, "short": address.removeprefix("https://")},
        "setting": paper_methods.settings(experiment.sections),
        "world": paper_methods.world(experiment),
        "data": variables.data(experiment, counted) | _data(experiment, counted),
        "method": variables.method(experiment, tests) | paper_methods.method(experiment, tests),
        "claim": variables.claim(experiment, evidence, counted, tests)
        | {"test": claims.test_text(evidence.best), "controls": under_controls(evidence, tests), "caveat": caveat(experiment, counted)},
        "published": published(experiment),
        "caption": captions(experiment, tests, counted, accuracy),
    }  # fmt: skip
    for name, (study, its_table) in STUDIES.items():
        found = study()
        values[name] = found.values
        if its_table:
            tables[its_table] = found.table
    shutil.copyfile(_validation("timescales.png"), folder / "study_timescales.png")
    shown = [*FIGURES, *_sections(experiment, evidence, tests, folder, values, tables)]
    values["figure"] = {name: variables.alternative_text(experiment, name) for name in shown}
    for name, text in tables.items():
        (folder / f"_table_{name}.md").write_text(text, encoding="utf-8")
    # quoted, or Quarto prints 0.30 as 0.3
    text = yaml.safe_dump(
        _unbroken(values), sort_keys=False, allow_unicode=True, default_style='"', width=10_000
    )
    (folder / "_variables.yml").write_text(text, encoding="utf-8")


def _sections(experiment: Experiment, evidence: claims.Evidence, tests: pd.DataFrame, folder: Path,
              values: dict[str, object], tables: dict[str, str]) -> list[str]:  # fmt: skip
    """Write ``_section_<name>.md``: the text in ``papers/_paper_*.md`` that this experiment has, else nothing.

    Adds what they ask for to `values` and `tables`; returns the figures that they show.
    """
    section = dict.fromkeys(SECTIONS, "")
    section["data"] = "world" if experiment.source == "world" else "films"
    section["objective"] = str(experiment.sections["training"]["objective"])
    figures = []
    if _has(experiment, "tables", "lag_comparisons.csv"):
        compared = read_comparisons(experiment, evidence)
        if len(compared):
            section["comparisons"] = "comparisons"
            best = evidence.best.network
            tables["comparisons"] = paper_tables.comparisons_table(compared, best)
            values["comparisons"] = {"best": network_title(best), "reading": differences(compared)}
    if _has(experiment, "figures", "predicted_lag_curve.svg"):
        section["predicted"] = "predicted"
        values["predicted_here"] = {"reading": recommendation(experiment, evidence)}
        figures.append("predicted_lag_curve")
    if _has(experiment, "figures", "robustness.svg"):
        section["robustness"] = "robustness"
        values["robustness"] = {"reading": variations(experiment, evidence)}
        figures.append("robustness")
    if _has(experiment, "figures", "lag_curve_conditions.svg"):
        section["conditions"] = "conditions"
        values["conditions"] = parts_of_pictures(experiment, evidence)
        figures.append("lag_curve_conditions")
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
        raise InputError(
            f"{path}: missing. `git checkout -- validation` restores it, `make validate` makes it anew"
        )
    return path


def _unbroken(values: object) -> object:
    if isinstance(values, dict):
        return {key: _unbroken(value) for key, value in values.items()}
    return variables.unbroken(values) if isinstance(values, str) else values


def _data(experiment: Experiment, counted: dict[str, float]) -> dict[str, str]:
    time = " ".join(variables.film_time(counted["hours"]))
    amounts = [count(int(counted["films"]), "film"), time, f"{whole(counted['frames'])} frames"]
    if counted["label sets"] > 0:
        amounts.append(f"{whole(counted['label sets'])} sets of labels")
    drawn = variables.world_setting(experiment) if experiment.source == "world" else ""
    where = f"{drawn.replace('a world', 'a drawn world', 1)}" if drawn else f"{time} of film"
    return {"counts": spoken(amounts), "where": where}


def caveat(experiment: Experiment, counted: dict[str, float]) -> str:
    """What the reader of the abstract must know."""
    seeds = f"{count(len(experiment.seeds), 'seed').capitalize()} a network."
    if experiment.source == "world":
        return f"The world is drawn and its scenes are as long as we made them, so that the lag found is no measure of real films. {seeds}"
    return seeds


def published(experiment: Experiment) -> dict[str, str]:
    """The published partial correlations that the introduction names."""
    table = read_table(experiment, "published", ("source", "network", "model", "control", "mantel_r", "p"))
    table = table[table["source"].eq("published")].assign(ci_low=float("nan"), ci_high=float("nan"))
    found = [effect for effect in effects(table, "lch", "random").values() if effect.lag_s > 0]
    best, shortest = max(found, key=lambda effect: effect.r), min(found, key=lambda effect: effect.lag_s)
    return {"best_lag": seconds(best.lag_s), "best_r": f"{number(best.r)} ({probability(best.p)})",
            "shortest_lag": seconds(shortest.lag_s), "shortest_r": f"{number(shortest.r)} ({probability(shortest.p)})"}  # fmt: skip


def captions(
    experiment: Experiment, tests: pd.DataFrame, counted: dict[str, float], accuracy: pd.DataFrame
) -> Parts | dict[str, str]:
    """What n, the seeds and the intervals of each figure and table are."""
    level = f"{number(100 * float(experiment.sections['evaluation']['confidence']), 0)} %"
    over_films = f"{number(100 * float(experiment.sections['timescales']['confidence']), 0)} %"
    classes = f"{whole(tests['classes'].max())} classes" if "classes" in tests else "all classes"
    seeds = count(len(experiment.seeds), "seed")
    several = len(experiment.seeds) > 1
    layer = f"Layer {experiment.primary_layer}, {classes}, {seeds}"
    p = "p corrected by Holm’s method over the family" if "p_holm" in tests else "p not corrected"
    of_seeds = ", the largest of the seeds" if several else ""
    chance = accuracy[accuracy["measure"].eq("chance")]["accuracy"]
    return {
        "persistence": f"{count(int(counted['films']), 'film').capitalize()}; bands and brackets: {over_films} bootstrap over films.",
        "lag_curve": f"{layer}; bars: {level} bootstrap over classes"
        + ("; bands: the same level over seeds." if several else "."),
        "tests": f"{layer}; brackets: {level} bootstrap over classes{' (widest of the seeds)' if several else ''}; {p}{of_seeds}.",
        "controls": f"{layer}{' (means)' if several else ''}; \\*\\*\\* p ≤ .001, \\*\\* ≤ .01, \\* ≤ .05, n.s. above{of_seeds}, uncorrected.",
        "dissociation": f"{layer}, a point a network and seed.",
        "accuracy": f"{seeds.capitalize()}{', means' if several else ''}; chance is {number(100 * chance.mean(), 1)} %." if len(chance) else
        f"{seeds.capitalize()}{', means' if several else ''}.",
        "published": f"\\*\\*\\* p ≤ .001, \\*\\* ≤ .01, \\* ≤ .05, n.s. above{of_seeds}.",
        "comparisons": f"{seeds.capitalize()}{': mean differences, widest bounds, largest p' if several else ''}; {level} intervals.",
    }  # fmt: skip


def under_controls(evidence: claims.Evidence, tests: pd.DataFrame) -> str:
    """Whether the best network's correlation stays under every control that was tested."""
    best = evidence.best.network
    found = {
        control: effects(tests, evidence.model, control).get(best) for control in paper_tables.CONTROL_HEADS
    }
    tested = {control: effect for control, effect in found.items() if effect}
    given = {"none": "with nothing controlled", "random": "given random weights", "cmc_lab": "given CMC’s views",
             "look": "given the true looks"}  # fmt: skip
    said = spoken([f"{number(effect.r)} {given[control]}" for control, effect in tested.items()])
    kept = [control for control, effect in tested.items() if effect.r > 0 and effect.p < SIGNIFICANT]
    start = f"For {network_phrase(best)} the correlation with {claims.MODELS[evidence.model]} is {said}"
    if len(kept) == len(tested):
        return (
            f"{start}: above 0 under each of them ({probability(max(e.p for e in tested.values()))} at most)."
        )
    if not kept:
        return f"{start}: not above 0 under any of them at .05."
    return f"{start}: above 0 at .05 only {spoken([given[control] for control in kept])}."


def recommendation(experiment: Experiment, evidence: claims.Evidence) -> str:
    """What was recommended from the labels, and which of the trained lags is nearest to it and best."""
    table = read_table(experiment, "recommended_lag", ("model", "lag_s", "ci_low_s", "ci_high_s"))
    own = table[table["model"].eq(evidence.model)]
    if own.empty:
        return "They had recommended no lag."
    row = own.iloc[0]
    interval = f"{seconds(row.lag_s)} (interval {seconds(row.ci_low_s)} to {seconds(row.ci_high_s)})"
    nearest = min(
        (effect.lag_s for effect in evidence.semantic), key=lambda lag: max(lag / row.lag_s, row.lag_s / lag)
    )
    best = evidence.best.lag_s
    agrees = f"which is also where the largest partial r is, {seconds(best)}" if nearest == best else (
        f"while the largest partial r is at {seconds(best)}")  # fmt: skip
    if nearest == best:
        return f"They recommended {interval}. The nearest of the lags trained is {seconds(nearest)}, where the largest partial r is."
    return f"They recommended {interval}. The nearest of the lags trained is {seconds(nearest)}, {agrees}."


def read_comparisons(experiment: Experiment, evidence: claims.Evidence) -> pd.DataFrame:
    """Differences of the best network from every other: ``network, lag_s, difference, ci_low, ci_high, p_holm``.

    Over seeds the mean difference, the widest bounds and the largest p.
    """
    columns = (
        "condition",
        "seed",
        "layer",
        "model",
        "control",
        "first",
        "second",
        "difference",
        "ci_low",
        "ci_high",
        "p_holm",
    )
    table = read_table(experiment, "lag_comparisons", columns)
    table["control"] = table["control"].fillna("none")
    best = evidence.best.network
    own = table[table["condition"].eq(CONDITION) & table["layer"].eq(experiment.primary_layer) & table["model"].eq(evidence.model)
                & table["control"].eq(evidence.control) & table["seed"].isin(experiment.seeds)]  # fmt: skip
    forth, back = own[own["first"].eq(best)], own[own["second"].eq(best)]
    back = back.assign(
        second=back["first"], difference=-back["difference"], ci_low=-back["ci_high"], ci_high=-back["ci_low"]
    )
    both = pd.concat([forth, back]).rename(columns={"second": "network"})
    found = both.groupby("network", sort=False).agg(
        difference=("difference", "mean"),
        ci_low=("ci_low", "min"),
        ci_high=("ci_high", "max"),
        p_holm=("p_holm", "max"),
    )
    order = [name for name in experiment.networks if name in found.index]
    return found.loc[order].reset_index().assign(lag_s=[network_lag_s(name) for name in order])


def differences(compared: pd.DataFrame) -> str:
    """How many of the other networks the best one differs from."""
    apart = compared[compared["p_holm"].lt(SIGNIFICANT) & compared["difference"].gt(0)]
    if apart.empty:
        return (
            "It differs from none of them at .05 after Holm’s correction: which lag is best is not settled."
        )
    if len(apart) == len(compared):
        return "It is above every one of them at .05 after Holm’s correction."
    names = spoken([network_phrase(str(name)) for name in apart["network"]])
    return f"It is above {len(apart)} of {len(compared)} at .05 after Holm’s correction: {names}."


def variations(experiment: Experiment, evidence: claims.Evidence) -> str:
    """In how many variations of the analysis the largest mean correlation stays where it is."""
    table = read_table(experiment, "robustness", ("network", "lag_s", "model", "varied", "value", "mantel_r"))
    own = table[table["model"].eq(evidence.model) & table["lag_s"].gt(0)].dropna(subset=["mantel_r"])
    best = {
        key: curve.groupby("lag_s")["mantel_r"].mean().idxmax()
        for key, curve in own.groupby(["varied", "value"], sort=False)
    }
    same = [key for key, lag_s in best.items() if lag_s == evidence.best.lag_s]
    start = f"In {len(same)} of {len(best)} variations the largest mean correlation is at {seconds(evidence.best.lag_s)}"
    moved = [f"{plain(str(varied))} {plain(str(value))} ({seconds(lag_s)})" for (varied, value), lag_s in best.items()
             if lag_s != evidence.best.lag_s]  # fmt: skip
    return f"{start}; elsewhere: {spoken(moved)}." if moved else f"{start}."


def parts_of_pictures(experiment: Experiment, evidence: claims.Evidence) -> dict[str, str]:
    """What the best network codes under each condition of the stimuli."""
    table = read_table(experiment, "lag_curve", ("condition", "layer", "network", "seed"))
    table["control"] = table["control"].fillna("none")
    table = table[table["layer"].eq(experiment.primary_layer) & table["seed"].isin(experiment.seeds)]
    best, said, names = evidence.best.network, [], []
    for condition, own in table.groupby("condition", sort=False):
        effect = effects(own, evidence.model, evidence.control).get(best)
        names.append(str(condition))
        if effect:
            said.append(f"{condition}: {claims.test_text(effect)}")
    return {"names": spoken(names), "reading": f"For {network_phrase(best)}: {'; '.join(said)}."}
