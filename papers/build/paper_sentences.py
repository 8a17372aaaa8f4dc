"""Sentences of the paper about one experiment, worded by the tests that they rest on."""

from __future__ import annotations

import pandas as pd
from papers.build import claims
from papers.build.evidence import SIGNIFICANT, Evidence
from papers.build.numbers import (
    Effect,
    count,
    effects,
    network_phrase,
    number,
    plain,
    probability,
    read_table,
    seconds,
    spoken,
)

from semanticcmc.experiment import Experiment

GIVEN = {
    "none": "with nothing controlled",
    "random": "given random weights",
    "cmc_lab": "given CMC’s views",
    "look": "given the true looks",
}
"""Controls of ``tables/lag_curve.csv`` in words."""


def caveat(experiment: Experiment) -> str:
    """What the reader of the abstract must know."""
    seeds = f"{count(len(experiment.seeds), 'seed').capitalize()} a network."
    if experiment.source != "world":
        return seeds
    return f"The world’s scenes are as long as we made them, so that the lag found is no measure of real films. {seeds}"


def published(experiment: Experiment) -> dict[str, str]:
    """The published partial correlations that the introduction names."""
    table = read_table(experiment, "published", ("source", "network", "model", "control", "mantel_r", "p"))
    table = table[table["source"].eq("published")].assign(ci_low=float("nan"), ci_high=float("nan"))
    found = [effect for effect in effects(table, "lch", "random", p="p").values() if effect.lag_s > 0]
    untrained = effects(table, "lch", "none", p="p")["random"]
    best, shortest = max(found, key=lambda effect: effect.r), min(found, key=lambda effect: effect.lag_s)
    return {
        "random": f"{number(untrained.r)} ({probability(untrained.p)})",
        "best_lag": seconds(best.lag_s),
        "best_r": f"{number(best.r)} ({probability(best.p)})",
        "shortest_lag": seconds(shortest.lag_s),
        "shortest_r": f"{number(shortest.r)} ({probability(shortest.p)})",
    }


def under_controls(evidence: Evidence, tests: pd.DataFrame) -> str:
    """Whether the best network's correlation stays under every control that was tested."""
    best = evidence.best.network
    found = {control: effects(tests, evidence.model, control).get(best) for control in GIVEN}
    tested = {control: effect for control, effect in found.items() if effect}
    said = spoken([f"{number(effect.r)} {GIVEN[control]}" for control, effect in tested.items()])
    kept = [control for control, effect in tested.items() if effect.r > 0 and effect.p < SIGNIFICANT]
    start = f"For {network_phrase(best)} the correlation with {claims.MODELS[evidence.model]} is {said}"
    if len(kept) == len(tested):
        return f"{start}: above 0 under each of them ({probability(max(e.p for e in tested.values()))} at most)."
    if not kept:
        return f"{start}: not above 0 under any of them at .05."
    return f"{start}: above 0 at .05 only {spoken([GIVEN[control] for control in kept])}."


def recommendation(experiment: Experiment, evidence: Evidence) -> str:
    """What was recommended from the labels, and which of the trained lags is nearest to it and best."""
    table = read_table(experiment, "recommended_lag", ("model", "lag_s", "ci_low_s", "ci_high_s", "p_holm"))
    own = table[table["model"].eq(evidence.model) & table["p_holm"].lt(SIGNIFICANT)]
    if own.empty:
        return "They had recommended no lag: at none do their associations go with the model."
    row = own.iloc[0]
    lag_s, low_s, high_s = (float(row[name]) for name in ("lag_s", "ci_low_s", "ci_high_s"))
    nearest = min((effect.lag_s for effect in evidence.semantic), key=lambda lag: max(lag / lag_s, lag_s / lag))
    start = (
        f"They recommended {seconds(lag_s)} (interval {seconds(low_s)} to {seconds(high_s)}). "
        f"The nearest of the lags trained is {seconds(nearest)}"
    )
    if nearest == evidence.best.lag_s:
        return f"{start}, where the largest partial r is."
    return f"{start}; the largest partial r is at {seconds(evidence.best.lag_s)}."


def variations(experiment: Experiment, evidence: Evidence) -> str:
    """In how many variations of the analysis the largest mean correlation stays where it is."""
    table = read_table(experiment, "robustness", ("network", "lag_s", "model", "varied", "value", "mantel_r"))
    own = table[table["model"].eq(evidence.model) & table["lag_s"].gt(0) & table["varied"].ne("declared")]
    own = own.dropna(subset=["mantel_r"])
    means = own.groupby(["varied", "value", "lag_s"], sort=False)["mantel_r"].mean().reset_index()
    best = means.loc[means.groupby(["varied", "value"], sort=False)["mantel_r"].idxmax()]
    moved = [
        f"{plain(str(row['varied']))}: {plain(str(row['value']))} ({seconds(float(row['lag_s']))})"
        for row in best[best["lag_s"].ne(evidence.best.lag_s)].to_dict("records")
    ]
    where = f"the largest mean correlation is at {seconds(evidence.best.lag_s)}"
    start = f"In {len(best) - len(moved)} of {len(best)} variations {where}"
    return f"{start}; in the others elsewhere: {'; '.join(moved)}." if moved else f"{start}."


def by_condition(experiment: Experiment, evidence: Evidence) -> dict[str, dict[str, Effect]]:
    """Partial effects of all networks under each condition of the stimuli, at the primary layer."""
    table = read_table(experiment, "lag_curve", ("condition", "layer", "network", "seed"))
    table = table.assign(control=table["control"].fillna("none"))
    table = table[table["layer"].eq(experiment.primary_layer) & table["seed"].isin(experiment.seeds)]
    return {
        str(condition): effects(own, evidence.model, evidence.control)
        for condition, own in table.groupby("condition", sort=False)
    }
