"""The paper's tables of one experiment, as Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd
from papers.build import claims
from papers.build.evidence import Evidence
from papers.build.markdown import framed, table
from papers.build.numbers import Effect, effects, network_title, number, plain, read_table, stars
from papers.build.studies import bare
from papers.build.tables import mantel_rows

from semanticcmc.experiment import Experiment

MEASURES = {
    "appearance": "looks, correlation",
    "rms": "looks, RMS difference",
    "features": "looks, untrained network",
    "association": "associations",
    "prediction_r2": "prediction of labels, R²",
}
"""Measures of ``tables/half_lives.csv`` in words."""

CONTROL_HEADS = {"none": "simple", "random": "random", "cmc_lab": "CMC", "look": "true looks"}
MODEL_HEADS = {"category": "category", "lch": "WordNet"}


def tests_table(experiment: Experiment, tests: pd.DataFrame) -> str:
    """Simple and partial correlation with each model, a row a network: interval and corrected p."""
    heads, columns = ["network"], []
    for model in (model for model in claims.MODELS if model in set(tests["model"])):
        columns.append((effects(tests, model, "none"), effects(tests, model, "random")))
        heads += [f"{MODEL_HEADS[model]}: r", "partial r", "p"]
    rows = []
    for network in experiment.networks:
        row = [network_title(network)]
        for simple, partial in columns:
            row += [_r(simple.get(network)), _with_interval(partial.get(network)), _p(partial.get(network))]
        rows.append(row)
    return table("Correlations with the models of meaning", heads, rows)


def controls_table(experiment: Experiment, tests: pd.DataFrame) -> str:
    """Correlation with each model under each control, a row a network."""
    controls = [control for control in CONTROL_HEADS if control in set(tests["control"])]
    models = [model for model in claims.MODELS if model in set(tests["model"])]
    heads = ["network"] + [
        f"{MODEL_HEADS[model]}: {CONTROL_HEADS[control]}" if place == 0 else CONTROL_HEADS[control]
        for model in models
        for place, control in enumerate(controls)
    ]
    found = [effects(tests, model, control) for model in models for control in controls]
    rows = [[network_title(network), *(_starred(one.get(network)) for one in found)] for network in experiment.networks]
    return table("Correlations under each control", heads, rows)


def conditions_table(experiment: Experiment, by_condition: Mapping[str, Mapping[str, Effect]]) -> str:
    """Partial correlation under each condition of the stimuli, a row a network."""
    heads = ["network", *(head for name in by_condition for head in (name, "p"))]
    rows = []
    for network in experiment.networks:
        effects_here = [found.get(network) for found in by_condition.values()]
        cells = [cell for effect in effects_here for cell in (_with_interval(effect), _p(effect))]
        rows.append([network_title(network), *cells])
    return table("Parts of the pictures", heads, rows)


def accuracy_table(experiment: Experiment, evidence: Evidence, accuracy: pd.DataFrame) -> str:
    """Accuracy of nearest neighbours and of a linear probe beside the partial correlation."""
    means = accuracy.groupby(["network", "measure"])["accuracy"].mean()
    rows = []
    for network in experiment.networks:
        shares = [means.get((network, measure), math.nan) for measure in ("knn", "linear_probe")]
        rows.append(
            [network_title(network), *(_percent(share) for share in shares), _r(evidence.by_network.get(network))]
        )
    return table("Class accuracy", ["network", "nearest neighbours", "linear probe", "partial r"], rows)


def timescales_table(experiment: Experiment) -> str:
    """Time constants of looks and associations, above the film base rate."""
    half = ("half_strength_s", "half_strength_low_s", "half_strength_high_s")
    fitted = ("half_life_s", "ci_low_s", "ci_high_s")
    constants = read_table(experiment, "half_lives", ("measure", "level", *half, *fitted, "reason"))
    rows = []
    for row in constants[constants["level"].eq("film base rate")].to_dict("records"):
        told = math.isfinite(row["half_life_s"])
        rows.append(
            [
                MEASURES.get(str(row["measure"]), str(row["measure"])),
                _time(*(row[name] for name in half)),
                _time(*(row[name] for name in fitted)) if told else plain(str(row["reason"])),
            ]
        )
    return table("Time constants", ["measure", "half (s)", "half-life (s)"], rows)


def published_table(experiment: Experiment, tests: pd.DataFrame) -> str:
    """Partial correlations beside the published ones."""
    return framed("Partial correlations here and as published", mantel_rows(experiment, tests))


def comparisons_table(experiment: Experiment, evidence: Evidence) -> str:
    """Difference of the best network from each other one, with interval and corrected p."""
    rows = []
    for network in experiment.networks:
        if found := evidence.against_best.get(network):
            interval = f"[{number(found.ci_low)}, {number(found.ci_high)}]"
            rows.append([network_title(network), f"{number(found.difference)} {interval}", bare(found.p)])
    name = f"Differences from {network_title(evidence.best.network)}"
    return table(name, ["network", "difference", "p"], rows)


def _r(effect: Effect | None) -> str:
    return number(effect.r) if effect else "–"


def _p(effect: Effect | None) -> str:
    return bare(effect.p) if effect else "–"


def _starred(effect: Effect | None) -> str:
    return f"{number(effect.r)} {plain(stars(effect.p))}" if effect else "–"


def _with_interval(effect: Effect | None) -> str:
    if effect is None:
        return "–"
    known = math.isfinite(effect.ci_low) and math.isfinite(effect.ci_high)
    return number(effect.r) + (f" [{number(effect.ci_low)}, {number(effect.ci_high)}]" if known else "")


def _percent(share: float) -> str:
    return f"{number(100 * share, 0)} %" if share == share else "–"


def _time(value: float, low: float, high: float) -> str:
    told = [f"{bound:.3g}" if math.isfinite(bound) else "∞" for bound in (value, low, high)]
    return f"{told[0]} [{told[1]}, {told[2]}]" if value == value else "–"
