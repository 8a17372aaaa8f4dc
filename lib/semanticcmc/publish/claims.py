"""What the poster may say: sentences chosen by p, interval and direction of the experiment's own tests."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import pandas as pd

from semanticcmc.configuration import InputError
from semanticcmc.experiments import Experiment
from semanticcmc.publish.numbers import (
    Effect,
    count,
    effects,
    network_phrase,
    number,
    probability,
    seconds,
    spoken,
    whole,
)

SIGNIFICANT = 0.05

MODELS = {"category": "superordinate category", "lch": "WordNet similarity"}
"""Semantic models in the order in which one of them carries the claim."""


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What the claim rests on: one model, tested with looks controlled, at the primary layer.

    Attributes
    ----------
    model, control : str
        As in ``tables/lag_curve.csv``.
    best : Effect
        The semantic network with the largest partial r.
    by_network : mapping of str to Effect
    learned : bool
        Whether `best` is above 0: its interval is, and its p is below .05 after Bonferroni's
        correction for the number of lags among which it was the largest.
    peaks : bool
        Whether, besides, shorter and longer lags were tried and the intervals of the shortest and the
        longest lie below it.
    """

    model: str
    control: str
    best: Effect
    by_network: Mapping[str, Effect]
    learned: bool
    peaks: bool

    @property
    def semantic(self) -> list[Effect]:
        """Effects of the semantic networks by lag, shortest first."""
        found = [effect for effect in self.by_network.values() if effect.lag_s > 0]
        return sorted(found, key=lambda effect: effect.lag_s)


def weigh(experiment: Experiment, table: pd.DataFrame) -> Evidence:
    """Evidence of an experiment from its tests at the primary layer.

    Parameters
    ----------
    experiment : Experiment
    table : DataFrame
        As `numbers.read_lag_curve` returns it.

    Raises
    ------
    InputError
        If no semantic network was tested with the random network controlled.
    """
    for model in MODELS:
        by_network = effects(table, model, "random")
        semantic = sorted((e for e in by_network.values() if e.lag_s > 0), key=lambda e: e.lag_s)
        if not semantic:
            continue
        best = max(semantic, key=lambda effect: effect.r)
        learned = best.r > 0 and best.p * len(semantic) < SIGNIFICANT and not best.ci_low <= 0
        shortest, longest = semantic[0], semantic[-1]
        ends = best not in (shortest, longest)
        peaks = learned and ends and all(end.ci_high < best.ci_low for end in (shortest, longest))
        return Evidence(model, "random", best, by_network, learned, peaks)
    raise InputError(
        f"{experiment.folder / 'tables' / 'lag_curve.csv'}: no partial test (control random) of a semantic "
        f"network at {experiment.primary_layer} with model {' or '.join(MODELS)}; list random in baselines"
    )


def test_text(effect: Effect) -> str:
    """``partial r = 0.21 [0.12, 0.30], p < 0.001``; the interval is left out where there is none."""
    interval = ""
    if math.isfinite(effect.ci_low) and math.isfinite(effect.ci_high):
        interval = f" [{number(effect.ci_low)}, {number(effect.ci_high)}]"
    return f"partial r = {number(effect.r)}{interval}, {probability(effect.p)}"


def headline(evidence: Evidence, setting: str, too_little: str = "") -> str:
    """The poster's one sentence.

    Parameters
    ----------
    evidence : Evidence
    setting : str
        Where it was found: ``a world whose scenes last 2–4 minutes``, ``158.4 hours of film``.
    too_little : str
        Amount of film if it is too little to carry a claim (``3.7 minutes of film``), else empty.
    """
    best = evidence.best
    what = {"category": "category", "lch": "WordNet's semantics"}[evidence.model]
    if too_little:
        return f"{too_little} cannot teach meaning: this poster tests the way from film to result"
    if evidence.learned:
        tail = "; shorter and longer lags taught less" if evidence.peaks else ""
        return f"In {setting}, a lag of about {seconds(best.lag_s)} taught {what}{tail}"
    return (
        f"In {setting}, no lag taught {what} "
        f"(largest partial r = {number(best.r)}, at {seconds(best.lag_s)}, {probability(best.p)})"
    )


def reading(evidence: Evidence) -> str:
    """What the lag curve shows, beside it."""
    best, lags = evidence.best, len(evidence.semantic)
    start = f"At {seconds(best.lag_s)} {test_text(best)}: the largest of {count(lags, 'lag')}"
    if lags == 1:
        start = f"At {seconds(best.lag_s)} {test_text(best)}: the only lag tried"
    corrected = "after correction for choosing among them (Bonferroni)" if lags > 1 else "at .05"
    if evidence.peaks:
        ends = (evidence.semantic[0], evidence.semantic[-1])
        tails = spoken([f"{number(e.r)} at {seconds(e.lag_s)}" for e in ends])
        return f"{start}, above chance {corrected}. Both ends stay below its interval ({tails})."
    if evidence.learned:
        return f"{start}, above chance {corrected}. Its interval does not set it apart from both ends."
    return f"{start}, not above chance {corrected}."


def baselines(evidence: Evidence, claims_allowed: bool = True) -> str:
    """What networks learned that saw looks alone: the same frame twice, or its two colour halves.

    Where there is too little film for any claim, and where no lag taught anything, the numbers stand alone.
    """
    sentences = []
    for network, name in (("augment", "the same frame twice"), ("cmc_lab", "CMC’s lightness and colour")):
        effect = evidence.by_network.get(network)
        if effect:
            learned = effect.r > 0 and effect.p < SIGNIFICANT
            verdict = (
                ("taught it too" if learned else "did not") if claims_allowed and evidence.learned else ""
            )
            sentences.append(
                f"{name} {verdict} ({test_text(effect)})" if verdict else f"{name} ({test_text(effect)})"
            )
    if not sentences:
        return "No network of looks alone was trained to compare with."
    return f"Looks alone: {spoken(sentences)}."


def dissociation(evidence: Evidence, accuracy: pd.DataFrame) -> str:
    """Whether the network that tells classes apart best is also the most semantic one.

    Parameters
    ----------
    evidence : Evidence
    accuracy : DataFrame
        Columns network, measure, accuracy: kNN at the primary layer.
    """
    knn = accuracy[accuracy["measure"].eq("knn") & accuracy["network"].isin(list(evidence.by_network))]
    means = knn.groupby("network")["accuracy"].mean().dropna()
    if means.empty:
        return "There are too few pictures of a class to measure how well classes are told apart."
    best, own = str(means.idxmax()), evidence.best.network
    first = f"Best at telling classes apart: {network_phrase(best)} ({whole(100 * means[best])} % correct"
    if best == own:
        return f"{first}), which also has the largest partial r: here the two agree."
    first += f", partial r = {number(evidence.by_network[best].r)})"
    if own not in means:
        return f"{first}."
    return f"{first}. Largest partial r: {network_phrase(own)} ({whole(100 * means[own])} % correct)."
