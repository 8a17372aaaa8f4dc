"""What the poster may say: sentences chosen by p, interval, direction and comparisons of the experiment's own tests.

Where a test finds nothing they say that nothing was found, never that there is nothing: an interval about 0 holds
effects of both signs.
"""

from __future__ import annotations

import math

import pandas as pd
from papers.build.evidence import MODELS, SIGNIFICANT, Evidence, weigh
from papers.build.numbers import Effect, count, effects, network_phrase, number, probability, seconds, spoken, whole

from semanticcmc.experiment import Experiment

__all__ = [
    "MODELS",
    "SIGNIFICANT",
    "Evidence",
    "baselines",
    "conclusion",
    "dissociation",
    "headline",
    "limits",
    "mark",
    "reading",
    "test_text",
    "weigh",
]

SHORT = {"category": "categories", "lch": "WordNet’s semantics"}
"""Models in the headline."""

LOOKS = {"augment": "the same frame twice", "cmc_lab": "CMC’s lightness and colour"}
"""Networks that see looks alone, as what they see."""

LEARNED = {"category": "superordinate categories", "lch": "WordNet similarity"}
"""Models as what was learned."""


def interval(low: float, high: float) -> str:
    """`` [0.12, 0.30]`` with the space before it; empty where there is none."""
    return f" [{number(low)}, {number(high)}]" if math.isfinite(low) and math.isfinite(high) else ""


def test_text(effect: Effect) -> str:
    """``partial r = 0.21 [0.12, 0.30], p < 0.001``; the interval is left out where there is none."""
    return f"partial r = {number(effect.r)}{interval(effect.ci_low, effect.ci_high)}, {probability(effect.p)}"


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
    best, what = evidence.best, SHORT[evidence.model]
    if too_little:
        return f"{too_little} cannot teach meaning: this poster tests the way from film to result"
    if evidence.learned:
        less = taught_less(evidence)
        tail = f"; {less} taught less" if less else ""
        return f"In {setting}, a lag of about {seconds(best.lag_s)} taught {what}{tail}"
    return (
        f"In {setting}, no lag was found to teach {what} "
        f"(largest partial r = {number(best.r)}{interval(best.ci_low, best.ci_high)}, at {seconds(best.lag_s)})"
    )


def taught_less(evidence: Evidence) -> str:
    """The lags that comparisons show to have taught less: ``lags up to 5 s and from 3 min on``; empty for none."""
    said = []
    if evidence.shorter:
        far = seconds(evidence.shorter[-1].lag_s)
        said.append(f"up to {far}" if len(evidence.shorter) > 1 else f"of {far}")
    if evidence.longer:
        far = seconds(evidence.longer[0].lag_s)
        said.append(f"from {far} on" if len(evidence.longer) > 1 else f"of {far}")
    if not said:
        return ""
    alone = len(evidence.shorter) + len(evidence.longer) == 1
    return f"{'a lag' if alone else 'lags'} {spoken(said)}"


def reading(evidence: Evidence) -> str:
    """What the lag curve shows, beside it."""
    best, lags = evidence.best, len(evidence.semantic)
    start = f"At {seconds(best.lag_s)} {test_text(best)}: "
    start += f"the largest of {count(lags, 'lag')}" if lags > 1 else "the only lag tried"
    if not evidence.learned:
        possible = f" An effect up to {number(best.ci_high)} remains possible." if best.ci_high > 0 else ""
        return f"{start}, not shown to be above chance.{possible}"
    return f"{start}, above chance. {pairs(evidence)}".strip()


def pairs(evidence: Evidence) -> str:
    """From which lags the best one can be told, by paired comparisons; empty where there are none."""
    others = [e for e in evidence.semantic if e.network in evidence.against_best]
    less = [seconds(e.lag_s) for e in others if evidence.below_best(e.network)]
    apart = [seconds(e.lag_s) for e in others if evidence.apart_from_best(e.network)]
    if not others:
        return ""
    if less:
        rest = [seconds(e.lag_s) for e in others if not evidence.below_best(e.network)]
        tail = f"; not told apart from {spoken(rest)}" if rest else ""
        return f"In pairs it is above {spoken(less)}{tail}."
    if apart:
        told = spoken(apart) if len(apart) < len(others) else "every other lag"
        return (
            f"In pairs, intervals of the difference exclude 0 for {told}, one by one; "
            "after Holm’s correction over all pairs no lag is told apart from it."
        )
    return "In pairs, no lag is told apart from it."


def baselines(evidence: Evidence, claims_allowed: bool = True) -> str:
    """What networks learned that saw looks alone: the same frame twice, or its two colour halves.

    Where there is too little film for any claim, and where no lag taught anything, the numbers stand alone.
    """
    sentences = []
    for network, name in LOOKS.items():
        effect = evidence.by_network.get(network)
        if effect:
            learned = effect.r > 0 and effect.p < SIGNIFICANT and not effect.ci_low <= 0
            verdict = ""
            if claims_allowed and evidence.learned:
                below = evidence.below_best(network)
                verdict = " taught it, but less" if below and learned else " taught less" if below else ""
                verdict = verdict or (" taught it too" if learned else " is not shown to have taught it")
            sentences.append(f"{name}{verdict} ({test_text(effect)})")
    if not sentences:
        return "No network of looks alone was trained to compare with."
    return f"Looks alone: {spoken(sentences)}."


def dissociation(evidence: Evidence, accuracy: pd.DataFrame) -> str:
    """Whether the network that tells classes apart best is also the most semantic one, in this sample.

    Parameters
    ----------
    evidence : Evidence
    accuracy : DataFrame
        As `numbers.read_accuracy` returns it.
    """
    knn = accuracy[accuracy["measure"].eq("knn") & accuracy["network"].isin(list(evidence.by_network))]
    knn = knn.dropna(subset="accuracy")
    if knn.empty:
        return "There are too few pictures of a class to measure how well classes are told apart."
    means = knn.groupby("network").agg({"accuracy": "mean", "ci_low": "min", "ci_high": "max"})
    best, own = str(means["accuracy"].idxmax()), evidence.best.network

    def correct(network: str) -> str:
        share, low, high = (100 * float(value) for value in means.loc[network].to_numpy())
        bounds = f" [{whole(low)}, {whole(high)}]" if math.isfinite(low) and math.isfinite(high) else ""
        return f"{whole(share)} %{bounds} correct"

    first = f"Highest class accuracy: {network_phrase(best)} ({correct(best)}"
    if best == own:
        return f"{first}), which also has the largest partial r: here the two agree."
    first += f", partial r = {number(evidence.by_network[best].r)})"
    if own not in means.index:
        return f"{first}."
    return f"{first}. Largest partial r: {network_phrase(own)} ({correct(own)})."


def mark(evidence: Evidence, small: bool) -> str:
    """The few words set large beside the lag curve."""
    if small:
        return "too little film"
    return seconds(evidence.best.lag_s) if evidence.learned else "none found"


def conclusion(evidence: Evidence, setting: str, small: bool) -> str:
    """The last word, no stronger than the headline."""
    best = seconds(evidence.best.lag_s)
    if small:
        return (
            f"The corridor runs from film to poster. What it measured ({test_text(evidence.best)} at "
            f"{best}) says nothing about meaning: that takes hundreds of scenes."
        )
    what = LEARNED[evidence.model]
    if not evidence.learned:
        return f"In {setting}, time alone was not found to teach {what}: {test_text(evidence.best)} at {best}."
    first = f"A network that never saw a label picked up {what} from frames {best} apart"
    less = taught_less(evidence)
    if evidence.peaks:
        return f"{first}, less from {less}, as if a pair had to share a scene but not a view."
    if less:
        return f"{first}, less from {less}. Which lag serves best remains open."
    return f"{first}. Which lag serves best remains open."


def limits(experiment: Experiment, evidence: Evidence, tests: pd.DataFrame, too_little: str) -> str:
    """What the reader must know before believing the headline."""
    said = []
    if experiment.source == "world":
        said.append(
            "We drew this world and chose how long its scenes last: the time scale found is the one put in."
            if evidence.learned
            else "We drew this world and chose what there is to find in it."
        )
        random = effects(tests, evidence.model, "none").get("random")
        rho = experiment.sections["world"].get("appearance_semantics")
        if random and rho is not None:
            said.append(
                f"Random weights carry r = {number(random.r)} ({probability(random.p)}); "
                f"category was given {number(100 * float(rho), 0)} % of how things look."
            )
        look = effects(tests, evidence.model, "look").get(evidence.best.network)
        if look:
            said.append(f"With the true looks controlled instead, {test_text(look)}.")
    if too_little:
        said.append(f"No test on {too_little} bears on semantics.")
    many = count(len(experiment.seeds), "seed").capitalize()
    if len(experiment.seeds) == 1:
        said.append(f"{many} a network: neighbouring lags may differ by chance.")
    else:
        said.append(f"{many} a network: means, with the largest p and the widest bounds of the intervals.")
    return " ".join(said)
