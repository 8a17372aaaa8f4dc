"""What was validated of the tests, the intervals and the software: sentences and tables as in `studies`."""

from __future__ import annotations

import pandas as pd
from papers.build.markdown import table
from papers.build.numbers import number, spoken, whole
from papers.build.studies import Study, interval, percent, read

LEVELS = ("0.05", "0.01")
CASE = ("design", "model", "effect")
"""What tells apart the populations of ``validation/intervals.csv``."""


def permutation_tests() -> Study:
    """Type I error, power and variance of Mantel tests by cosets (``validation/mantel.py``), and their speed."""
    tests = read("mantel", ("study", "condition", "reference", "n", "quantity", "value", "low", "high", "repeats"))
    null = tests[tests["study"].isin(["type_i", "type_i_beyond"])]
    rates: dict[tuple[str, str, str], dict[str, str]] = {}
    for row in null.to_dict("records"):
        key = (str(row["condition"]), str(row["reference"]), str(row["n"]))
        rates.setdefault(key, {})[row["quantity"]] = interval(row["value"], row["low"], row["high"], 3)
    rows = [[*key, *(found.get(f"rejected at {level}", "–") for level in LEVELS)] for key, found in rates.items()]
    cosets = null[null["study"].eq("type_i") & null["reference"].eq("cosets")]
    level = cosets["quantity"].str.extract(r"([\d.]+)$")[0].astype(float)
    held = cosets["low"].le(level) & cosets["high"].ge(level)
    above = cosets[cosets["low"].gt(level)]
    at_five = null[null["quantity"].eq("rejected at 0.05")]
    beyond = at_five[at_five["study"].eq("type_i_beyond")].to_dict("records")
    variance = tests[tests["quantity"].eq("variance against independent")]
    skewed, others = (
        variance[variance["condition"].eq("skewed").eq(is_skewed)]["value"] for is_skewed in (True, False)
    )
    speed = read("mantel", ("tool", "test", "n", "permutations", "seconds", "ratio"), "benchmarks/results")
    speed = speed[speed["n"].eq(1000) & speed["permutations"].eq(9999)]

    def measured(tool: str, test: str, column: str) -> float:
        return float(speed[speed["tool"].eq(tool) & speed["test"].eq(test)][column].iloc[0])

    values = {
        "repeats": whole(cosets["repeats"].max()),
        "held": f"{int(held.sum())} of {len(held)}",
        "above": _too_liberal(above),
        "independent": one_by_one(null),
        "beyond": spoken([f"{percent(row['value'])} ({row['condition'].removeprefix('partial, ')})" for row in beyond]),
        "variance": f"{number(skewed.min(), 1)} to {number(skewed.max(), 1)}",
        "variance_category": f"{number(others.min(), 1)} to {number(others.max(), 1)}",
        "time": f"{number(1000 * measured('cosets', 'partial', 'seconds'), 0)} ms",
        "times_vegan": whole(float(f"{measured('vegan', 'partial', 'ratio'):.2g}")),
        "times_skbio": whole(float(f"{measured('scikit-bio (cython)', 'simple', 'ratio'):.2g}")),
    }
    heads = ["null hypothesis", "permutations", "classes", "rejected at .05", "rejected at .01"]
    return Study(values, table("Type I error of the permutation tests", heads, rows, words=2))


def one_by_one(null: pd.DataFrame) -> str:
    """Rejection at .01 by permutations drawn one by one beside that by cosets, on the same data."""
    at = null[null["quantity"].eq("rejected at 0.01")]
    said = []
    for row in at[at["reference"].eq("independent")].to_dict("records"):
        same = at[at["reference"].eq("cosets") & at["condition"].eq(row["condition"]) & at["n"].eq(row["n"])]
        beside = percent(same["value"].iloc[0], 1)
        said.append(f"{percent(row['value'], 1)} instead of {beside} with {row['n']} classes")
    return f"at .01 in {spoken(said)}"


def intervals() -> Study:
    """How often intervals over classes hold the truth (``validation/intervals.py``)."""
    keys = ["interval", "sampling", "quantity"]
    found = read("intervals", (*keys, *CASE, "coverage", "half_width"))
    rows = []
    for values in found[keys].drop_duplicates().to_dict("records"):
        own = found[(found[keys] == pd.Series(values)).all(axis=1)]
        coverage = f"{percent(own['coverage'].min(), 1)} to {percent(own['coverage'].max(), 1)}"
        rows.append(
            [*(str(values[key]) for key in keys), whole(len(own)), coverage, number(own["half_width"].median())]
        )
    drawn = found[found["sampling"].eq("classes")]
    said = [
        f"{kind} {percent(own['coverage'].min(), 1)} to {percent(own['coverage'].max(), 1)}"
        for kind, own in drawn.groupby("interval", sort=False)
    ]
    cases = whole(len(drawn[[*CASE, "quantity"]].drop_duplicates()))
    heads = ["interval", "classes drawn", "quantity", "cases", "covered", "half width"]
    return Study({"cases": cases, "covered": spoken(said)}, table("Coverage of the intervals", heads, rows, words=3))


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


def _too_liberal(above: pd.DataFrame) -> str:
    """Which nulls were rejected too often, and at most how often."""
    if above.empty:
        return "None was rejected too often."
    partial = "all of them partial tests, " if above["condition"].str.startswith("partial").all() else ""
    classes = spoken([str(n) for n in sorted(above["n"].unique())])
    worst = [
        f"{percent(own['value'].max(), 1)} at .{str(quantity).rpartition('.')[2]}"
        for quantity, own in above.groupby("quantity")
    ]
    return f"In the others it is above, {partial}with {classes} classes: {spoken(worst)} at most."
