"""How the published estimator of time scales and ours did in worlds of known truth: `studies.Study` of it."""

from __future__ import annotations

from papers.build.markdown import table
from papers.build.numbers import number, spoken, whole
from papers.build.studies import Study, percent, read, record
from scipy.stats import spearmanr

NEAR_HALF = 0.15
"""Film lengths from one half within which a minimum counts as being at half a film."""


def timescales() -> Study:
    """How the published estimator and ours read time scales that are known (``validation/timescales.py``)."""
    worlds = read("timescales", ("study", "measure", "level", "half_life_true_s", "film_s", "published_minimum_s"))
    told = ("identifiable", "median_error", "covered", "covered_low", "covered_high")
    columns = ("study", "measure", "level", "half_life_by_film", "worlds", *told, "lags_in_null")
    summary = read("timescales_summary", columns)
    ours = ("association", "film base rate")
    worlds = worlds[worlds["study"].eq("recovery") & worlds["measure"].eq(ours[0]) & worlds["level"].eq(ours[1])]
    share = worlds["half_life_true_s"] / worlds["film_s"]
    minimum = worlds["published_minimum_s"] / worlds["film_s"]
    of_truth = float(spearmanr(share, minimum).statistic)
    of_length = float(spearmanr(worlds["film_s"], worlds["published_minimum_s"]).statistic)
    low, middle, high = minimum.quantile([0.25, 0.5, 0.75]).tolist()
    recovery = summary[summary["study"].eq("recovery") & summary["measure"].eq(ours[0]) & summary["level"].eq(ours[1])]
    short = recovery[recovery["half_life_by_film"].str.startswith("all")].iloc[0]
    bins = recovery[~recovery["half_life_by_film"].str.startswith("all")]
    rows = []
    for row in bins.to_dict("records"):
        first, last = (float(bound) for bound in str(row["half_life_by_film"]).strip("(]").split(","))
        own = minimum[(share > first) & (share <= last)]
        told = round(row["identifiable"] * row["worlds"])
        quarter, half, three_quarters = (number(value) for value in own.quantile([0.25, 0.5, 0.75]).tolist())
        rows.append(
            [
                f"{first:g}–{last:g}",
                whole(row["worlds"]),
                f"{half} ({quarter}–{three_quarters})",
                f"{told} of {whole(row['worlds'])}",
                percent(row["median_error"]) if told else "–",
                percent(row["covered"]) if told else "–",
            ]
        )
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
        "whatever": ", whatever the truth" if follows else "",
        "short": whole(short["worlds"]),
        "short_told": percent(short["identifiable"]),
        "error": percent(short["median_error"], 1),
        "covered": f"{percent(short['covered'])} (95 % interval {percent(short['covered_low'])} to "
        f"{percent(short['covered_high'])})",
        "long_told": f"{round((long['identifiable'] * long['worlds']).sum())} of {whole(long['worlds'].sum())}",
        "null": f"{percent(null['lags_in_null'].min())} to {percent(null['lags_in_null'].max())}",
        "null_worst": str(null.sort_values("lags_in_null")["disorder"].iloc[0]),
    }
    heads = ["true half-life / film", "worlds", "published minimum / film", "told by ours", "error", "covered"]
    return Study(values, table("Published and present estimator in worlds of known truth", heads, rows))
