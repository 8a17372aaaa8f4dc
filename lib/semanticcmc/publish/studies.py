"""What the validation studies found: sentences and tables from the committed ``validation/*.csv``.

Each function reads one study's table anew and words what it says by what is in it: a study that is run again with
another outcome is reported with that outcome.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from semanticcmc.configuration import InputError
from semanticcmc.experiments import network_lag_s, repository_root
from semanticcmc.publish.markdown import table
from semanticcmc.publish.numbers import count, number, probability, seconds, spoken, whole

SIGNIFICANT = 0.05
NEAR_HALF = 0.15
"""Film lengths from one half within which a minimum counts as being at half a film."""

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


@dataclasses.dataclass(frozen=True)
class Study:
    """One study as a document shows it.

    Attributes
    ----------
    values : mapping of str to str
        Numbers and sentences by name.
    table : str
        Markdown; empty where the study has none.
    """

    values: dict[str, str]
    table: str = ""


def read(name: str, columns: Sequence[str], folder: str = "validation") -> pd.DataFrame:
    """Table ``validation/<name>.csv`` of the repository.

    Raises
    ------
    InputError
        If it is not there, or lacks one of `columns`; the message holds the command that makes it.
    """
    path = repository_root() / folder / f"{name}.csv"
    script = f"{folder}/{Path(name).stem.removesuffix('_summary')}.py"
    if not path.exists():
        raise InputError(
            f"{path}: missing. `git checkout -- {folder}` restores it, `python {script}` makes it anew"
        )
    found = pd.read_csv(path, keep_default_na=False, na_values=["", "nan"])
    if missing := [column for column in columns if column not in found]:
        raise InputError(f"{path}: no column {', '.join(missing)}; make it again with `python {script}`")
    return found


def record(name: str) -> dict[str, Any]:
    """Record ``validation/<name>.json`` that lies beside a study's table."""
    path = repository_root() / "validation" / f"{name}.json"
    if not path.exists():
        raise InputError(f"{path}: missing. `git checkout -- validation` restores it")
    return json.loads(path.read_text(encoding="utf-8"))


def percent(share: float, decimals: int = 0) -> str:
    """``59 %``."""
    return f"{number(100 * share, decimals)} %"


def words_of(world: str) -> str:
    """A world of the studies in words; one that is not known by its name."""
    return WORLDS.get(world, (world.replace("_", " "), None))[0]


def timescales() -> Study:
    """How the published estimator and ours read time scales that are known (``validation/timescales.py``)."""
    worlds = read(
        "timescales", ("study", "measure", "level", "half_life_true_s", "film_s", "published_minimum_s")
    )
    summary = read("timescales_summary", ("study", "measure", "level", "half_life_by_film", "worlds", "identifiable",
                                          "median_error", "covered", "covered_low", "covered_high", "lags_in_null"))  # fmt: skip
    ours = ("association", "film base rate")
    worlds = worlds[
        worlds["study"].eq("recovery") & worlds["measure"].eq(ours[0]) & worlds["level"].eq(ours[1])
    ]
    share, minimum = (
        worlds["half_life_true_s"] / worlds["film_s"],
        worlds["published_minimum_s"] / worlds["film_s"],
    )
    of_truth = float(spearmanr(share, minimum).statistic)
    of_length = float(spearmanr(worlds["film_s"], worlds["published_minimum_s"]).statistic)
    low, middle, high = minimum.quantile([0.25, 0.5, 0.75])
    recovery = summary[
        summary["study"].eq("recovery") & summary["measure"].eq(ours[0]) & summary["level"].eq(ours[1])
    ]
    short = recovery[recovery["half_life_by_film"].str.startswith("all")].iloc[0]
    bins = recovery[~recovery["half_life_by_film"].str.startswith("all")]
    rows = []
    for row in bins.itertuples():
        first, last = (float(bound) for bound in str(row.half_life_by_film).strip("(]").split(","))
        own = minimum[(share > first) & (share <= last)]
        told = round(row.identifiable * row.worlds)
        quartiles = f"{number(own.median())} ({number(own.quantile(0.25))}–{number(own.quantile(0.75))})"
        rows.append([f"{first:g}–{last:g}", whole(row.worlds), quartiles, f"{told} of {whole(row.worlds)}",
                     percent(row.median_error) if told else "–", percent(row.covered) if told else "–"])  # fmt: skip
    long = bins[[float(str(name).strip("(]").split(",")[0]) >= 0.1 for name in bins["half_life_by_film"]]]
    null = summary[summary["study"].eq("null") & summary["measure"].eq(ours[0])]
    lengths = sorted({design[0] / 60 for design in record("timescales")["designs"]})
    follows = abs(of_truth) < 0.3 <= of_length
    verdict = (
        f"It follows the length of the films (Spearman’s ρ = {number(of_length)}) and not the truth "
        f"(ρ = {number(of_truth)}, both as shares of the film)"
        if follows
        else f"It follows the length of the films with Spearman’s ρ = {number(of_length)} and the truth, as a share "
        f"of the film, with ρ = {number(of_truth)}"
    )
    values = {
        "worlds": whole(len(worlds)),
        "lengths": f"{spoken([f'{minutes:g}' for minutes in lengths])} minutes",
        "films": "–".join(f"{worlds['films'].agg(end):g}" for end in ("min", "max")),
        "minimum": number(middle),
        "quartiles": f"{number(low)} to {number(high)}",
        "margin": number(NEAR_HALF),
        "near": percent((minimum - 0.5).abs().le(NEAR_HALF).mean()),
        "verdict": verdict,
        "short": whole(short["worlds"]),
        "short_told": percent(short["identifiable"]),
        "error": percent(short["median_error"], 1),
        "covered": f"{percent(short['covered'])} (95 % interval {percent(short['covered_low'])} to "
        f"{percent(short['covered_high'])})",
        "long_told": f"{round((long['identifiable'] * long['worlds']).sum())} of {whole(long['worlds'].sum())}",
        "null": f"{percent(null['lags_in_null'].min())} to {percent(null['lags_in_null'].max())}",
        "null_worst": str(null.loc[null["lags_in_null"].idxmin(), "disorder"]),
    }
    heads = [
        "true half-life / film",
        "worlds",
        "published minimum / film",
        "told by ours",
        "error",
        "covered",
    ]
    return Study(values, table("Published and present estimator in worlds of known truth", heads, rows))


def trained_worlds() -> Study:
    """Whether the trained peak follows the world (``validation/lag_curve.py``)."""
    tests = read("lag_curve", ("world", "network", "seed", "model", "control", "mantel_r", "p"))
    own = tests[tests["model"].eq("category") & tests["control"].eq("random") & tests["mantel_r"].notna()]
    own = own.assign(lag_s=own["network"].map(network_lag_s))
    own = own[own["lag_s"] > 0]
    peaks, rows = {}, []
    for world, found in own.groupby("world", sort=False):
        curve = found.groupby("lag_s")["mantel_r"].mean()
        best_s = float(curve.idxmax())
        best = found[found["lag_s"].eq(best_s)]
        peaks[str(world)] = (best_s, curve, best)
        others = curve.drop(best_s)
        rows.append([words_of(str(world)), str(found["seed"].nunique()), ", ".join(seconds(lag) for lag in curve.index),
                     seconds(best_s), _with_range(best["mantel_r"]), number(others.max()) if len(others) else "–",
                     probability(best["p"].max()).removeprefix("p = ").removeprefix("p ")])  # fmt: skip
    scaled = {name: WORLDS[name][1] for name in peaks if WORLDS.get(name, ("", None))[1] not in (None, 1.0)}
    base_s = peaks["miniature"][0]
    followed = 0
    for name, scale in scaled.items():
        best_s, curve, _ = peaks[name]
        assert scale is not None
        nearest = min(curve.index, key=lambda lag, to=base_s * scale: abs(math.log(lag / to)))
        followed += nearest == best_s
    values = {"worlds": count(len(peaks), "world"), "scaled": str(len(scaled)), "followed": str(followed),
              "base": seconds(base_s)}  # fmt: skip
    if "objects_shuffled" in peaks:
        _, curve, best = peaks["objects_shuffled"]
        gone = best["p"].min() > SIGNIFICANT
        values["shuffled"] = (
            f"{'nothing was learned' if gone else 'an effect was left in at least one seed'} "
            f"(largest mean partial r = {number(curve.max())}, smallest {probability(best['p'].min())})"
        )
    if "looks_carry_category" in peaks:
        simple = tests[tests["world"].eq("looks_carry_category") & tests["network"].eq("random")
                       & tests["model"].eq("category") & tests["control"].eq("none")]  # fmt: skip
        _, curve, best = peaks["looks_carry_category"]
        values["looks"] = (
            f"random weights alone correlate with category at r = {_with_range(simple['mantel_r'])}, "
            f"and the largest partial r is {_with_range(best['mantel_r'])}"
        )
    heads = ["world", "seeds", "lags tried", "largest at", "partial r (seeds)", "next", "p"]
    return Study(values, table("Lag curves of trained worlds", heads, rows))


def permutation_tests() -> Study:
    """Type I error, power and variance of Mantel tests by cosets (``validation/mantel.py``), and their speed."""
    tests = read(
        "mantel", ("study", "condition", "reference", "n", "quantity", "value", "low", "high", "repeats")
    )
    null = tests[tests["study"].isin(["type_i", "type_i_beyond"])]
    wide = null.pivot_table(index=["study", "condition", "reference", "n"], columns="quantity", sort=False,
                            values=["value", "low", "high"])  # fmt: skip
    rows = []
    for key, row in wide.iterrows():
        _, condition, reference, n = key
        cells = [_interval(row["value", f"rejected at {level}"], row["low", f"rejected at {level}"],
                           row["high", f"rejected at {level}"], 3) for level in ("0.05", "0.01")]  # fmt: skip
        rows.append([condition, reference, str(n), *cells])
    cosets = null[null["study"].eq("type_i") & null["reference"].eq("cosets")]
    level = cosets["quantity"].str.extract(r"([\d.]+)$")[0].astype(float)
    held = cosets["low"].le(level) & cosets["high"].ge(level)
    above = cosets[cosets["low"].gt(level)]
    at_five = null[null["quantity"].eq("rejected at 0.05")]
    beyond = at_five[at_five["study"].eq("type_i_beyond")].set_index("condition")["value"]
    variance = tests[tests["quantity"].eq("variance against independent")]
    skewed, others = (
        variance[variance["condition"].eq("skewed").eq(is_skewed)]["value"] for is_skewed in (True, False)
    )
    speed = read("mantel", ("tool", "test", "n", "permutations", "seconds", "ratio"), "benchmarks/results")
    speed = speed[speed["n"].eq(1000) & speed["permutations"].eq(9999)].set_index(["tool", "test"])
    values = {
        "repeats": whole(cosets["repeats"].max()),
        "held": f"{int(held.sum())} of {len(held)}",
        "above": _too_liberal(above),
        "beyond": spoken(
            [f"{name.removeprefix('partial, ')}: {percent(value)}" for name, value in beyond.items()]
        ),
        "variance": f"{number(skewed.min(), 1)} to {number(skewed.max(), 1)}",
        "variance_category": f"{number(others.min(), 1)} to {number(others.max(), 1)}",
        "time": f"{number(1000 * speed.loc[('cosets', 'partial'), 'seconds'])} ms",
        "times_vegan": whole(speed.loc[("vegan", "partial"), "ratio"]),
        "times_skbio": whole(speed.loc[("scikit-bio (cython)", "simple"), "ratio"]),
    }
    heads = ["null hypothesis", "permutations", "classes", "rejected at .05", "rejected at .01"]
    return Study(values, table("Type I error of the permutation tests", heads, rows, words=2))


def predicted_worlds() -> Study:
    """Whether the predicted best lag is the trained one (``validation/prediction.py``)."""
    found = read("prediction_summary", ("world", "kind", "model", "seeds", "best_trained_s", "best_predicted_s", "best_low_s",
                                        "best_high_s", "spearman", "largest_predicted_r", "largest_trained_r"))  # fmt: skip
    own = found[found["kind"].eq("labels and looks") & found["model"].eq("category")]
    rows = [
        [words_of(row.world), str(row.seeds), seconds(row.best_trained_s),
         f"{seconds(row.best_predicted_s)} ({seconds(row.best_low_s)}–{seconds(row.best_high_s)})", number(row.spearman),
         number(row.largest_trained_r), number(row.largest_predicted_r)]
        for row in own.itertuples()
    ]  # fmt: skip
    unseen = own[~own["world"].isin(["miniature", "objects_shuffled"])]
    right = int(unseen["best_trained_s"].eq(unseen["best_predicted_s"]).sum())
    shuffled = own[own["world"].eq("objects_shuffled")]["largest_predicted_r"]
    values = {
        "right": f"{right} of {len(unseen)}",
        "shuffled": number(shuffled.max(), 3) if len(shuffled) else "–",
    }
    heads = ["world", "seeds", "best trained", "best predicted", "ρ", "trained r", "predicted r"]
    return Study(values, table("Predicted and trained best lags", heads, rows))


def objectives() -> Study:
    """Whether the published objective learns the same in the miniature world (``validation/objectives.py``)."""
    found = read("objectives", ("variant", "lag_s", "seed", "mantel_r", "p", "loss", "chance_loss"))
    rows = []
    for variant, own in found.groupby("variant", sort=False):
        means = own.groupby("lag_s")["mantel_r"].mean()
        best = own[own["lag_s"].eq(means.idxmax())]
        ratio = (own["loss"] / own["chance_loss"]).dropna()
        rows.append([OBJECTIVES.get(str(variant), str(variant)), ", ".join(seconds(lag) for lag in means.index),
                     str(own["seed"].nunique()), f"{number(means.max())} at {seconds(means.idxmax())}",
                     probability(best["p"].max()).removeprefix("p = ").removeprefix("p "),
                     number(ratio.min(), 1) if len(ratio) else "–"])  # fmt: skip
    others = found[found["variant"].ne("info_nce")]
    learned = int((others["p"] < SIGNIFICANT).sum())
    values = {
        "networks": count(len(others), "network"),
        "verdict": f"none of {count(len(others), 'network')} coded category (smallest {probability(others['p'].min())})"
        if not learned
        else f"{learned} of {len(others)} networks coded category at .05, uncorrected",
        "loss": "in all of them the loss ended above chance"
        if (others["loss"] > others["chance_loss"]).all()
        else "in some of them the loss ended below chance",
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
            interval = _interval(seeds["mantel_r"].mean(), seeds["ci_low"].min(), seeds["ci_high"].max())
            p = seeds["p"].max()
            rows.append([words_of(str(world)), str(condition), str(seeds["seed"].nunique()), interval,
                         probability(p).removeprefix("p = ").removeprefix("p ")])  # fmt: skip
            if p < SIGNIFICANT and seeds["mantel_r"].min() > 0:
                shown.append(str(condition))
        said.append(f"{words_of(str(world))}: {'under ' + spoken(shown) if shown else 'under no condition'}")
    values = {"verdict": "; ".join(said), "seeds": count(int(own["seed"].nunique()), "seed"),
              "lag": spoken([seconds(network_lag_s(name)) for name in own["network"].unique()])}
    return Study(
        values, table("Things and places", ["world", "pictures", "seeds", "partial r", "p"], rows, words=2)
    )


def software() -> Study:
    """Kills, byte-identical ends and imports (``validation/training.py``, ``ingest.py``, ``labels.py``)."""
    training = read("training", ("killed_at_step", "bit_equal"))
    ends = training["bit_equal"].dropna().astype(str).eq("True")
    ingest = read("ingest", ("killed", "byte_identical", "decoded_again"))
    labels = read("labels", ("stage", "quantity", "value")).set_index(["stage", "quantity"])["value"]
    values = {
        "kills": whole(training["killed_at_step"].notna().sum()),
        "runs": f"{int(ends.sum())} of {len(ends)}",
        "ingests": f"{int(ingest['byte_identical'].astype(str).eq('True').sum())} of {len(ingest)}",
        "labels": whole(labels["read", "labels"]),
        "labels_drawn": whole(labels["drawn", "labels"]),
    }
    return Study(values)


def _with_range(values: pd.Series) -> str:
    """Mean, and the range over seeds where there are several."""
    mean = number(float(values.mean()))
    return mean if len(values) < 2 else f"{mean} ({number(values.min())} to {number(values.max())})"


def _interval(value: float, low: float, high: float, decimals: int = 2) -> str:
    known = np.isfinite([low, high]).all()
    return number(value, decimals) + (
        f" [{number(low, decimals)}, {number(high, decimals)}]" if known else ""
    )


def _too_liberal(above: pd.DataFrame) -> str:
    """Which nulls were rejected too often: ``partial, skewed, 12 classes: 2.1 % at 0.01``."""
    if above.empty:
        return "None was rejected too often."
    said = [
        f"{row.condition}, {row.n} classes: {percent(row.value, 1)} at {str(row.quantity).split()[-1]}"
        for row in above.itertuples()
    ]
    return f"Too often rejected: {'; '.join(said)}."
