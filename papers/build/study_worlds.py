"""What was trained or predicted in other worlds, by other objectives, on parts of pictures."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from papers.build.markdown import table
from papers.build.numbers import count, number, probability, seconds, spoken
from papers.build.studies import SIGNIFICANT, Study, bare, exists, interval, read

from semanticcmc.experiment import network_lag_s

WORLDS = {
    "miniature": ("as it is", 1.0),
    "two_times_faster": ("beats and scenes half as long", 0.5),
    "four_times_faster": ("beats and scenes a quarter as long", 0.25),
    "three_times_slower": ("beats and scenes three times as long", 3.0),
    "objects_shuffled": ("objects shuffled across scenes", None),
    "looks_carry_category": ("half of the looks’ variance is the category’s", None),
    "objects": ("category in the things alone", None),
    "places": ("category in the places alone", None),
}
"""Worlds of the studies in words, and the factor on their durations where the peak should follow it."""

OBJECTIVES = {
    "info_nce": "InfoNCE, as in the experiment",
    "nce": "NCE with memory bank, the same optimiser",
    "nce, slower": "NCE, a tenth of the rate",
    "nce, sgd": "NCE, the published SGD and drops",
    "nce, longer": "NCE, a third of the rate, eight times the steps",
    "softmax": "memory bank in softmax form",
}
"""Variants of the study of objectives, in words."""


def words_of(world: str) -> str:
    """A world of the studies in words; one that is not known by its name."""
    return WORLDS.get(world, (world.replace("_", " "), None))[0]


class Peak(NamedTuple):
    """The largest mean correlation of a trained world.

    Attributes
    ----------
    lags_s : list of float
        Lags that were tried.
    lag_s, r : float
        Where the mean over seeds is largest, and that mean.
    best, tests : DataFrame
        The tests at that lag, a row a seed, and those at all lags.
    """

    lags_s: list[float]
    lag_s: float
    r: float
    best: pd.DataFrame
    tests: pd.DataFrame


def _curve(tests: pd.DataFrame) -> tuple[list[float], float, list[float]]:
    """Lags of tests, the one with the largest mean over seeds, and all means."""
    curve = tests.groupby("lag_s")["mantel_r"].mean()
    lags_s, means = [float(lag_s) for lag_s in curve.index.tolist()], [float(r) for r in curve.tolist()]
    return lags_s, lags_s[int(np.argmax(means))], means


def _nearest(lags_s: list[float], to_s: float) -> float:
    """The lag that is nearest to a time, by their ratio."""
    return min(lags_s, key=lambda lag_s: abs(math.log(lag_s / to_s)))


def trained_worlds() -> Study:
    """Whether the trained peak follows the world (``validation/lag_curve.py``)."""
    tests = read("lag_curve", ("world", "network", "seed", "model", "control", "mantel_r", "p"))
    own = tests[tests["model"].eq("category") & tests["control"].eq("random") & tests["mantel_r"].notna()]
    own = own.assign(lag_s=own["network"].map(network_lag_s))
    own = own[own["lag_s"] > 0]
    peaks, rows = {}, []
    for world, found in own.groupby("world", sort=False):
        lags_s, best_s, means = _curve(found)
        best = found[found["lag_s"].eq(best_s)]
        peaks[str(world)] = Peak(lags_s, best_s, max(means), best, found)
        rows.append(
            [
                words_of(str(world)),
                str(found["seed"].nunique()),
                ", ".join(seconds(lag_s) for lag_s in lags_s),
                seconds(best_s),
                _with_range(best["mantel_r"]),
                number(sorted(means)[-2]) if len(means) > 1 else "–",
                bare(best["p"].max()),
            ]
        )
    scaled = {name: scale for name, (_, scale) in WORLDS.items() if name in peaks and scale not in (None, 1.0)}
    base_s = peaks["miniature"].lag_s
    followed = [
        peaks[name].lag_s == _nearest(peaks[name].lags_s, base_s * (scale or 1)) for name, scale in scaled.items()
    ]
    values = {
        "worlds": count(len(peaks), "world"),
        "scaled": str(len(scaled)),
        "followed": str(sum(followed)),
        "base": seconds(base_s),
    }
    if "objects_shuffled" in peaks:
        least = peaks["objects_shuffled"].tests["p"].min()
        values["shuffled"] = (
            f"{'no effect was found' if least > SIGNIFICANT else 'some effect was left'} "
            f"(largest mean partial r = {number(peaks['objects_shuffled'].r)}, smallest {probability(least)} of all "
            "lags and seeds)"
        )
    if "looks_carry_category" in peaks:
        simple = tests[
            tests["world"].eq("looks_carry_category")
            & tests["network"].eq("random")
            & tests["model"].eq("category")
            & tests["control"].eq("none")
        ]
        misleads = simple["mantel_r"].min() > 0 and simple["p"].max() < SIGNIFICANT
        values["looks"] = (
            f"random weights alone correlate with category at r = {_with_range(simple['mantel_r'])}"
            f"{', so that a simple correlation would mislead' if misleads else ''}; the largest partial r is "
            f"{_with_range(peaks['looks_carry_category'].best['mantel_r'])}"
        )
    heads = ["world", "seeds", "lags tried", "largest at", "partial r (seeds)", "next", "p"]
    return Study(values, table("Lag curves of trained worlds", heads, rows))


def predicted_worlds() -> Study:
    """Whether the predicted best lag is the trained one (``validation/prediction.py``)."""
    lags_s = ("best_trained_s", "best_predicted_s", "best_low_s", "best_high_s")
    sizes = ("spearman", "largest_trained_r", "largest_predicted_r")
    found = read("prediction_summary", ("world", "kind", "model", "seeds", *lags_s, *sizes))
    own = found[found["kind"].eq("labels and looks") & found["model"].eq("category")]
    rows = []
    for row in own.to_dict("records"):
        trained, predicted, low, high = (seconds(row[name]) for name in lags_s)
        numbers = [number(row[name]) for name in sizes]
        rows.append([words_of(row["world"]), str(row["seeds"]), trained, f"{predicted} ({low}–{high})", *numbers])
    unseen = own[~own["world"].isin(["miniature", "objects_shuffled"])]
    right = int(unseen["best_trained_s"].eq(unseen["best_predicted_s"]).sum())
    shuffled = own[own["world"].eq("objects_shuffled")]["largest_predicted_r"]
    values = {"right": f"{right} of {len(unseen)}", "shuffled": number(shuffled.max(), 3) if len(shuffled) else "–"}
    heads = ["world", "seeds", "best trained", "best predicted", "ρ", "trained r", "predicted r"]
    return Study(values, table("Predicted and trained best lags", heads, rows))


NEGATIVE = (
    "Two reasons are likely. A row of the bank is many steps old when it is used, and the normalising constant, frozen "
    "from the first batch, is soon wrong; published runs started from networks that had been trained already. What is "
    "found here is therefore found with InfoNCE alone."
)
"""What follows where the published objective learned nothing."""


def objectives() -> Study:
    """Whether the published objective learns the same in the miniature world (``validation/objectives.py``)."""
    found = read("objectives", ("variant", "lag_s", "seed", "mantel_r", "p", "loss", "chance_loss"))
    rows = []
    for variant, own in found.groupby("variant", sort=False):
        lags_s, best_s, means = _curve(own)
        ratio = (own["loss"] / own["chance_loss"]).dropna()
        rows.append(
            [
                OBJECTIVES.get(str(variant), str(variant)),
                ", ".join(seconds(lag_s) for lag_s in lags_s),
                str(own["seed"].nunique()),
                f"{number(max(means))} at {seconds(best_s)}",
                bare(own[own["lag_s"].eq(best_s)]["p"].max()),
                number(ratio.min(), 1) if len(ratio) else "–",
            ]
        )
    others = found[found["variant"].ne("info_nce")]
    learned = int((others["p"] < SIGNIFICANT).sum())
    networks, smallest = count(len(others), "network"), probability(others["p"].min())
    above = bool((others["loss"] > others["chance_loss"]).all())
    values = {
        "verdict": f"The result is negative: none of {networks} coded category (smallest {smallest})"
        if not learned
        else f"Of {networks} {learned} coded category at .05, uncorrected (smallest {smallest})",
        "loss": f"the loss ended above chance in {'all' if above else 'some'} of them",
        "consequence": NEGATIVE if not learned else "",
    }
    heads = ["objective", "lags tried", "seeds", "largest mean r", "its p", "loss / chance"]
    return Study(values, table("The published objective in the miniature world", heads, rows))


def conditions() -> Study:
    """Whether things or places were learned (``validation/conditions.py``)."""
    found = read(
        "conditions",
        ("world", "condition", "network", "seed", "model", "control", "mantel_r", "p", "ci_low", "ci_high"),
    )
    own = found[found["model"].eq("category") & found["control"].eq("random") & found["network"].ne("random")]
    own = own[own["mantel_r"].notna()]
    rows, said = [], []
    for world, tests in own.groupby("world", sort=False):
        shown = []
        for condition, seeds in tests.groupby("condition", sort=False):
            estimate = interval(seeds["mantel_r"].mean(), seeds["ci_low"].min(), seeds["ci_high"].max())
            p = seeds["p"].max()
            rows.append([words_of(str(world)), str(condition), str(seeds["seed"].nunique()), estimate, bare(p)])
            if p < SIGNIFICANT and seeds["mantel_r"].min() > 0:
                shown.append(str(condition))
        where = f"under {spoken(shown)}" if shown else "under no condition"
        said.append(f"in the world with {words_of(str(world))} {where}")
    values = {
        "verdict": "; ".join(said),
        "contrasts": contrasts(),
        "seeds": count(int(own["seed"].nunique()), "seed"),
        "lag": spoken([seconds(network_lag_s(name)) for name in own["network"].unique()]),
    }
    return Study(values, table("Things and places", ["world", "pictures", "seeds", "partial r", "p"], rows, words=2))


def contrasts() -> str:
    """By how much more is coded under things than under places; empty where that was not compared."""
    if not exists("conditions_contrasts"):
        return ""
    columns = ("world", "first", "second", "model", "difference", "ci_low", "ci_high", "p", "seed")
    found = read("conditions_contrasts", columns)
    said = []
    for world, own in found[found["model"].eq("category")].groupby("world", sort=False):
        first, second = (str(own[name].iloc[0]) for name in ("first", "second"))
        difference = interval(own["difference"].mean(), own["ci_low"].min(), own["ci_high"].max())
        p = probability(own["p"].max())
        said.append(f"in the world with {words_of(str(world))} {first} less {second} is {difference} ({p})")
    seeds = ", means, widest bounds and largest p of the seeds" if found["seed"].nunique() > 1 else ""
    return f"By the paired bootstrap{seeds}, {'; '.join(said)}."


def _with_range(values: pd.Series) -> str:
    """Mean, and the range over seeds where there are several."""
    mean = number(float(values.mean()))
    return mean if len(values) < 2 else f"{mean} ({number(values.min())} to {number(values.max())})"
