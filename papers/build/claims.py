"""What poster and paper may say: evidence of an experiment's own tests, and sentences chosen by it.

Where a test finds nothing they say that nothing was found, never that there is nothing: an interval about 0 holds
effects of both signs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from itertools import takewhile

import pandas as pd
from papers.build import values
from papers.build.values import WORDS, Effect, seconds, spoken

from semanticcmc.config import InputError
from semanticcmc.experiment import Experiment

SIGNIFICANT = 0.05
NOTHING = 0.05  # r within this of 0 counts as nothing
CONTROL = "random"  # what is controlled in the tests that a claim rests on: the RDM of untrained networks
LOOKS = {"augment": "the same frame twice", "cmc_lab": "CMC’s lightness and colour"}  # what networks of looks see


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What the claim rests on: one model, tested with looks controlled, at the primary layer."""

    model: str
    best: Effect  # of the semantic network with the largest partial r
    by_network: Mapping[str, Effect]
    against_best: Mapping[str, Effect]  # by each other network's name: `best` minus it
    planned: Effect | None = None  # of the declared lag: how far it is above the shortest and the longest, at least
    peak: Effect | None = None  # its lag, and in place of the interval of r those that bound it, s

    @property
    def learned(self) -> bool:
        """Whether `best` is above 0."""
        return above_zero(self.best)

    @property
    def semantic(self) -> list[Effect]:
        """Effects of the semantic networks by lag, shortest first."""
        return sorted((e for e in self.by_network.values() if e.lag_s > 0), key=lambda effect: effect.lag_s)

    def below_best(self, effect: Effect) -> bool:
        """Whether a paired comparison shows, corrected, that a network learned less than `best`."""
        found = self.against_best.get(effect.network)
        return bool(self.learned and found and found.ci_low > 0 and found.p < SIGNIFICANT)

    @property
    def shorter(self) -> list[Effect]:
        """From the shortest lag up, all lags that taught less than `best`, to the first that is not shown to."""
        return list(takewhile(self.below_best, (e for e in self.semantic if e.lag_s < self.best.lag_s)))

    @property
    def longer(self) -> list[Effect]:
        """The same from the longest lag down."""
        return list(takewhile(self.below_best, (e for e in self.semantic[::-1] if e.lag_s > self.best.lag_s)))

    @property
    def peaks(self) -> bool:
        """Whether shorter as well as longer lags are shown to have taught less: by the planned test, or in pairs."""
        planned = self.planned is not None and self.planned.network == self.best.network and above_zero(self.planned)
        return self.learned and (planned or bool(self.shorter and self.longer))


def above_zero(effect: Effect) -> bool:
    """Whether an interval lies above 0, and p below .05 after Holm's correction over the figure's tests."""
    return effect.r > 0 and effect.p < SIGNIFICANT and not effect.ci_low <= 0


def weigh(experiment: Experiment, table: pd.DataFrame, models: Iterable[str] = WORDS["models"]) -> Evidence:
    """Evidence on the first of `models` tested, from `values.read_lag_curve` and ``tables/lag_comparisons.csv``.

    An `InputError` is raised if no semantic network was tested with the random network controlled.
    """
    columns = "model control first second difference p_holm ci_low ci_high"
    compared = values.reported(experiment, "lag_comparisons", columns)
    for model in models:
        by_network = values.effects(table, model, CONTROL)
        semantic = [effect for effect in by_network.values() if effect.lag_s > 0]
        if semantic:
            best = max(semantic, key=lambda effect: effect.r)
            against = values.comparisons(compared, model, CONTROL, best.network)
            rows = [values.joint(experiment, kind).fillna({"p": 1}) for kind in ("planned", "peak")]
            more = (next(iter(values.effects(one, model, CONTROL, p="p").values()), None) for one in rows)
            return Evidence(model, best, by_network, against, *more)
    raise InputError(
        f"{experiment.folder / 'tables' / 'lag_curve.csv'}: no partial test (control random) of a semantic "
        f"network at {experiment.primary_layer} with model {' or '.join(WORDS['models'])}; list random in baselines"
    )


def correlation(effect: Effect) -> str:
    """``partial r = 0.21 [0.12, 0.30], p < 0.001, r² = 0.04``; the interval is left out where there is none."""
    r = values.interval(effect.r, effect.ci_low, effect.ci_high)
    return f"partial r = {r}, {values.probability(effect.p)}, r² = {values.number(effect.r**2)}"


def verdict(evidence: Evidence, setting: str, too_little: str = "") -> dict[str, str]:
    """What was found in a `setting`: as headline, a panel's heading, the few words set large, and conclusion.

    Where themes are categories, so is company. `too_little` is the amount of film if it cannot carry a claim.
    """
    best, lag, by_design = evidence.best, seconds(evidence.best.lag_s), WORDS["themes"]["category"] in setting
    model = WORDS["models"][evidence.model] | (WORDS["company"] if by_design else {})
    found = f"{correlation(best)} at {lag}"
    if too_little:
        headline = f"{too_little} cannot teach meaning: this poster tests the way from film to result"
        result, mark = "too little film for a claim", "too little film"
        conclusion = f"All steps from film to poster work. What they measured ({found}) says nothing about meaning: "
        conclusion += "that takes hundreds of scenes."
    elif not evidence.learned:
        result, mark = f"no lag was found to teach {model['taught']}", "none found"
        headline = f"In {setting}, {result} (largest {correlation(best).split(', p')[0]}, at {lag})"
        conclusion = f"In {setting}, time alone was not found to teach {model['learned']}: {found}."
    else:
        result, mark, less = f"a lag of about {lag} taught {model['taught']}", lag, taught_less(evidence)
        headline = f"In {setting}, {result}" + (f"; {less} taught less" if less else "")
        conclusion = f"A network that never saw a label picked up {model['learned']} from frames {lag} apart"
        conclusion += f", less from {less}" if less else ""
        conclusion += "." if evidence.peaks else ". Which lag serves best remains open."
    return {"headline": headline, "result": result, "mark": mark, "conclusion": conclusion}


def taught_less(evidence: Evidence) -> str:
    """The lags that comparisons show to have taught less: ``lags up to 5 s and from 3 min on``; empty for none."""
    said = []
    if shorter := [seconds(effect.lag_s) for effect in evidence.shorter]:
        said.append(f"up to {shorter[-1]}" if len(shorter) > 1 else f"of {shorter[0]}")
    if longer := [seconds(effect.lag_s) for effect in evidence.longer]:
        said.append(f"from {longer[-1]} on" if len(longer) > 1 else f"of {longer[0]}")
    return f"{'a lag' if len(shorter + longer) == 1 else 'lags'} {spoken(said)}" if said else ""


def reading(evidence: Evidence) -> str:
    """What the lag curve shows, beside it."""
    best, lags = evidence.best, len(evidence.semantic)
    start = f"At {seconds(best.lag_s)} {correlation(best)}: "
    start += f"the largest of {values.count(lags, 'lag')}" if lags > 1 else "the only lag tried"
    if not evidence.learned:
        possible = f" An effect up to {values.number(best.ci_high)} remains possible." if best.ci_high > 0 else ""
        if best.ci_low > -NOTHING and best.ci_high < NOTHING:
            possible = f" Its interval lies within ±{NOTHING}: equivalent to nothing."
        return f"{start}, not shown to be above chance.{possible}"
    told = "" if evidence.planned else pairs(evidence)
    return " ".join(filter(None, (f"{start}, above chance.", told, planned(evidence))))


def planned(evidence: Evidence) -> str:
    """The planned test of the inverted U, and which lags the bootstrap leaves for the largest correlation."""
    said = []
    if found := evidence.planned:
        by = f"{values.interval(found.r, found.ci_low, found.ci_high)}, {values.probability(found.p)}"
        above = f"{'' if above_zero(found) else 'not shown to be '}above both the shortest and the longest lag"
        said = [f"{seconds(found.lag_s)}, planned, is {above} (by {by})."]
    if (found := evidence.peak) and len(evidence.semantic) > 1:
        said.append(f"In 95 % of resamples the largest is at {seconds(found.ci_low)} to {seconds(found.ci_high)}.")
    return " ".join(said)


def other_models(experiment: Experiment, table: pd.DataFrame, evidence: Evidence) -> str:
    """Of each further model: what its curve shows, what is left at the longest lag, and whether that is a peak."""
    rest = [one for one in WORDS["models"] if one != evidence.model and values.effects(table, one, CONTROL)]
    said = []
    for its in (weigh(experiment, table, [model]) for model in rest):
        last, less = its.semantic[-1], [seconds(effect.lag_s) for effect in its.semantic if its.below_best(effect)]
        found = f"{correlation(its.best)} at {seconds(its.best.lag_s)}, {last.cells['stars']} at {seconds(last.lag_s)}"
        told = f"in pairs above {spoken(less)}" if less else "no lag told apart"
        said.append(
            f"{WORDS['models'][its.model]['name']}: {found}; {told}{'' if its.peaks else ', no inverted U shown'}."
        )
    return " ".join(said)


def pairs(evidence: Evidence) -> str:
    """From which lags the best one can be told, by paired comparisons; empty where there are none."""
    others = [effect for effect in evidence.semantic if effect.network in evidence.against_best]
    less = [seconds(effect.lag_s) for effect in others if evidence.below_best(effect)]
    rest = [seconds(effect.lag_s) for effect in others if not evidence.below_best(effect)]
    if less:
        return f"In pairs it is above {spoken(less)}" + (f"; not told apart from {spoken(rest)}." if rest else ".")
    return "In pairs, no lag is told apart from it." if others else ""


def headings(evidence: Evidence, published: Mapping[str, Effect]) -> dict[str, str]:
    """Headings of the distances, where a test shows what they go with, and of the comparison, which describes."""
    here_s, name = seconds(evidence.best.lag_s), WORDS["models"][evidence.model]["name"]
    there_s = seconds(max((e for e in published.values() if e.lag_s > 0), key=lambda effect: effect.r).lag_s)
    return {
        "distances": f"at {here_s} distances go with {name}" if evidence.learned else "distances between the classes",
        "agreement": f"partial r highest at {here_s} "
        + ("in both" if here_s == there_s else f"here, at {there_s} as published"),
    }


def baselines(evidence: Evidence, claims_allowed: bool = True) -> str:
    """What networks of looks alone learned; in numbers alone where no claim can be made, or no lag taught anything."""
    sentences = []
    for effect in (evidence.by_network[network] for network in LOOKS if network in evidence.by_network):
        said = ""
        if claims_allowed and evidence.learned and evidence.below_best(effect):
            said = " taught it, but less" if above_zero(effect) else " taught less"
        elif claims_allowed and evidence.learned:
            said = " taught it too" if above_zero(effect) else " is not shown to have taught it"
        sentences.append(f"{LOOKS[effect.network]}{said} ({correlation(effect)})")
    none = "No network of looks alone was trained to compare with."
    return f"Looks alone: {spoken(sentences)}." if sentences else none


def dissociation(evidence: Evidence, accuracy: pd.DataFrame, heading: bool = False) -> str:
    """Whether the network that tells classes apart best is the most semantic one too: a description, no test."""
    knn = accuracy[accuracy["measure"].eq("knn") & accuracy["network"].isin(list(evidence.by_network))]
    knn = knn.dropna(subset="accuracy")
    if knn.empty and heading:
        return "class accuracy and semantics"
    if knn.empty:
        return "There are too few pictures of a class to measure how well classes are told apart."
    means = 100 * knn.groupby("network").agg({"accuracy": "mean", "ci_low": "min", "ci_high": "max"})
    best, own = evidence.by_network[str(means["accuracy"].idxmax())], evidence.best
    if heading:
        if best.network == own.network:
            return f"accuracy and partial r both highest at {seconds(own.lag_s)}"
        where = f"at {seconds(best.lag_s)}" if best.lag_s > 0 else f"for {values.network_phrase(best)}"
        return f"accuracy highest {where}, partial r at {seconds(own.lag_s)}"

    def correct(effect: Effect) -> str:
        share, low, high = (float(value) for value in means.loc[effect.network].to_numpy())
        bounds = f" [{values.whole(low)}, {values.whole(high)}]" if low == low and high == high else ""
        return f"{values.whole(share)} %{bounds} correct"

    first = f"Highest class accuracy: {values.network_phrase(best)} ({correct(best)}"
    if best.network == own.network:
        return f"{first}), which also has the largest partial r: here the two agree."
    first += f", partial r = {values.number(best.r)})."
    known = own.network in means.index
    return first + (f" Largest partial r: {values.network_phrase(own)} ({correct(own)})." if known else "")


def limits(experiment: Experiment, evidence: Evidence, tests: pd.DataFrame, too_little: str) -> str:
    """What the reader must know before believing the headline."""
    said = []
    if experiment.source == "world":
        photographs = experiment.sections["world"].get("objects") == "photographs"
        said.append("We drew this world: what goes together in it, and for how long, was put in.")
        random = values.effects(tests, evidence.model, "none").get("random")
        rho = experiment.sections["world"].get("appearance_semantics")
        if random and rho is not None:
            given = f"category was given {values.percent(float(rho))} of how things look"
            said.append(
                f"Random weights carry r = {values.number(random.r)} ({values.probability(random.p)}); "
                f"{'looks are those of photographs' if photographs else given}."
            )
        if look := values.effects(tests, evidence.model, "look").get(evidence.best.network):
            said.append(f"With the true looks controlled instead, {correlation(look)}.")
    if too_little:
        said.append(f"No test on {too_little} bears on semantics.")
    alone, seeds = "neighbouring lags may differ by chance", values.count(len(experiment.seeds), "seed").capitalize()
    together = "means, with p and intervals by Student’s t over seeds and classes at once"
    said.append(f"{seeds} a network: {alone if len(experiment.seeds) == 1 else together}.")
    return " ".join(said)
