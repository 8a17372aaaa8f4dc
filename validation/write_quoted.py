"""What does the paper quote of these studies? (seconds; run it after any of them)

    python -m validation.write_quoted

Writes quoted.yml from the tables beside it: of each study its numbers as the text of ``papers/paper.qmd`` shows them,
the outcomes that decide its wording (``studies`` in papers/words.yml), and the rows of its table. The studies are
finished, so papers read that file; a test holds it to the tables.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from papers.build import values
from papers.build.values import number, percent, probability, seconds, spoken, whole

from semanticcmc.run import atomic

HERE = Path(__file__).parent
SIGNIFICANT = 0.05
PRETEXTS = values.WORDS["pretexts"]
WORLDS = {world: words["name"] for world, words in values.WORDS["worlds"].items()}
NEAR_HALF = 0.15  # film lengths from one half within which a minimum counts as being at half a film


def table(name: str, columns: str, folder: Path = HERE) -> pd.DataFrame:
    """Table of a study; `columns` are those that are needed."""
    module = f"{'validation' if folder == HERE else 'benchmarks'}.{name.split('_summary')[0].split('_contrasts')[0]}"
    remedy = f"`git checkout -- {folder}` restores it, `python -m {module}` makes it again"
    return values.read(values.existing(folder / f"{name}.csv", remedy), columns, remedy)


class Row(list):
    """A row of a table, written on one line."""


def study(numbers: dict[str, Any], name: str = "", rows: pd.DataFrame | None = None, words: int = 1) -> dict[str, Any]:
    """Numbers by name, and a table: what it is called, and how many of its columns hold words."""
    if rows is None:
        return {"numbers": numbers}
    cells = [Row(map(str, row)) for row in rows.to_numpy()]
    return {"numbers": numbers, "table": {"name": name, "words": words, "heads": Row(rows), "rows": cells}}


def span(found: pd.Series, decimals: int = 2) -> str:
    """Least and largest value: ``0.15 to 0.18``."""
    return f"{number(found.min(), decimals)} to {number(found.max(), decimals)}"


def over_seeds(found: pd.Series) -> str:
    """Mean, and the range where there are several: ``0.17 (0.15 to 0.18)``."""
    return number(found.mean()) + (f" ({span(found)})" if len(found) > 1 else "")


def shares(found: pd.Series, decimals: int = 1) -> str:
    """Least and largest share: ``72.1 % to 95.3 %``."""
    return f"{percent(found.min(), decimals)} to {percent(found.max(), decimals)}"


def timescales() -> dict[str, Any]:
    """How the published estimator and ours read time scales that are known (``timescales.py``)."""
    truth = "study == 'recovery' and measure == 'association' and level == 'film base rate'"
    worlds = table("timescales", "study measure level half_life_true_s film_s films published_minimum_s").query(truth)
    told = "worlds identifiable median_error covered covered_low covered_high"
    summary = table("timescales_summary", f"study measure level half_life_by_film {told} lags_in_null")
    share, minimum = (worlds[name] / worlds["film_s"] for name in ("half_life_true_s", "published_minimum_s"))
    of_truth = share.corr(minimum, method="spearman")
    of_length = worlds["film_s"].corr(worlds["published_minimum_s"], method="spearman")
    recovery = summary.query(truth).set_index("half_life_by_film")
    recovery["told"] = (recovery["identifiable"] * recovery["worlds"]).round().astype(int)
    short, bins = recovery.loc["all up to 1/20"], recovery.drop("all up to 1/20")
    rows, long = [], []
    for name, own in bins.iterrows():
        first, last = (float(bound) for bound in str(name).strip("(]").split(","))
        long.append(first >= 0.1)
        quarter, half, three_quarters = minimum[(share > first) & (share <= last)].quantile([0.25, 0.5, 0.75])
        minima = f"{number(half)} ({number(quarter)}–{number(three_quarters)})"
        errors = [percent(own[column]) if own["told"] else "–" for column in ("median_error", "covered")]
        told = f"{own['told']:.0f} of {own['worlds']:.0f}"
        rows.append([f"{first:g}–{last:g}", whole(own["worlds"]), minima, told, *errors])
    heads = ["true half-life / film", "worlds", "published minimum / film", "measured by ours", "error", "covered"]
    null = summary[summary["study"].eq("null") & summary["measure"].eq("association")]
    minutes = sorted({design[0] / 60 for design in json.loads((HERE / "timescales.json").read_text())["designs"]})
    numbers = {
        "worlds": whole(len(worlds)),
        "lengths": f"{spoken([f'{length:g}' for length in minutes])} minutes",
        "films": f"{worlds['films'].min():g}–{worlds['films'].max():g}",
        "minimum": number(minimum.median()),
        "quartiles": span(minimum.quantile([0.25, 0.75])),
        "margin": number(NEAR_HALF),
        "near": percent((minimum - 0.5).abs().le(NEAR_HALF).mean()),
        "of_length": number(of_length),
        "of_truth": number(of_truth),
        "follows_films": bool(abs(of_truth) < 0.3 <= of_length),
        "short": whole(short["worlds"]),
        "short_told": percent(short["identifiable"]),
        "error": percent(short["median_error"], 1),
        "covered": percent(short["covered"]),
        "covered_interval": f"{percent(short['covered_low'])} to {percent(short['covered_high'])}",
        "long_told": f"{bins[long]['told'].sum()} of {whole(bins[long]['worlds'].sum())}",
        "in_null": shares(null["lags_in_null"], 0),
        "in_null_worst": null.sort_values("lags_in_null")["disorder"].iloc[0],
    }
    rows = pd.DataFrame(rows, columns=heads)
    return study(numbers, "Published and present estimator in worlds of known truth", rows)


def tests() -> dict[str, Any]:
    """Type I error, power and variance of Mantel tests by cosets (``mantel.py``), and their speed."""
    tests = table("mantel", "study condition reference n quantity value low high repeats")
    null = tests[tests["study"].isin(["type_i", "type_i_beyond"])]
    null = null.assign(
        level=null["quantity"].str.extract(r"([\d.]+)$")[0].astype(float),
        rate=[values.interval(*row, 3) for row in null[["value", "low", "high"]].to_numpy()],
    )
    case = ["condition", "reference", "n"]
    rows = null.set_index([*case, "level"])["rate"].unstack().loc[null.set_index(case).index.unique(), [0.05, 0.01]]
    rows = rows.fillna("–").reset_index()
    rows.columns = ["null hypothesis", "permutations", "classes", "rejected at .05", "rejected at .01"]
    cosets = null[null["study"].eq("type_i") & null["reference"].eq("cosets")]
    held = cosets["low"].le(cosets["level"]) & cosets["high"].ge(cosets["level"])
    above = cosets[cosets["low"].gt(cosets["level"])]
    worst = [f"{percent(own.value.max(), 1)} at {f'{level:g}'[1:]}" for level, own in above.groupby("level")]
    rates = null[null["level"].eq(0.01)].set_index(["condition", "n", "reference"])["value"].unstack().dropna()
    beyond = null[null["study"].eq("type_i_beyond") & null["level"].eq(0.05)].set_index("condition")["value"]
    variance = tests[tests["quantity"].eq("variance against independent")]
    skewed = variance["condition"].eq("skewed")
    speed = table("mantel", "tool test n permutations seconds ratio", HERE.parent / "benchmarks" / "results")
    speed = speed[speed["permutations"].eq(9999)]
    by_n = (
        speed[speed["tool"].eq("scikit-bio (cython)") & speed["test"].eq("simple")]
        .dropna(subset="ratio")
        .sort_values("n")
    )
    speed = speed[speed["n"].eq(1000)].set_index(["tool", "test"])
    one_by_one = [
        f"{percent(own['independent'], 1)} instead of {percent(own['cosets'], 1)} with {n} classes"
        for (_, n), own in rates.iterrows()
    ]
    numbers = {
        "repeats": whole(cosets["repeats"].max()),
        "held": f"{held.sum()} of {len(held)}",
        "above": f"in {len(above)} it is above, at most {spoken(worst)}" if worst else "in none it is above",
        "independent": spoken(one_by_one),
        "beyond": spoken([f"{percent(rate)} ({name.removeprefix('partial, ')})" for name, rate in beyond.items()]),
        "variance": span(variance[skewed]["value"], 1),
        "variance_category": span(variance[~skewed]["value"], 1),
        "time": f"{number(1000 * speed.loc[('cosets', 'partial'), 'seconds'], 0)} ms",
        "times_vegan": whole(float(f"{speed.loc[('vegan', 'partial'), 'ratio']:.2g}")),
        "times_skbio": spoken(
            [f"{float(f'{ratio:.2g}'):g} (n = {n:g})" for n, ratio in by_n[["n", "ratio"]].to_numpy()]
        ),
    }
    return study(numbers, "Type I error of the permutation tests", rows, words=2)


def intervals() -> dict[str, Any]:
    """How often intervals over classes hold the truth (``intervals.py``)."""
    found = table("intervals", "interval sampling quantity design model effect coverage half_width")
    groups = found.groupby(["interval", "sampling", "quantity"], sort=False)
    half_width = groups["half_width"].median().map(number)
    rows = pd.DataFrame({"cases": groups.size(), "covered": groups["coverage"].agg(shares), "half width": half_width})
    rows = rows.reset_index().rename(columns={"sampling": "classes drawn"})
    drawn = found[found["sampling"].eq("classes")]
    cases = len(drawn[["design", "model", "effect", "quantity"]].drop_duplicates())
    numbers = {"cases": whole(cases), **drawn.groupby("interval")["coverage"].agg(shares)}
    return study(numbers, "Coverage of the intervals", rows, words=3)


def images() -> dict[str, Any]:
    """Untrained networks on real images, at the published layer (``real_images.py``)."""
    found = table("real_images", "network seed study layer model quantity classes images value p")
    layers = found.query("study == 'layers' and layer == 'conv5' and quantity == 'mantel_r'")
    heads = {model: words["head"] for model, words in values.WORDS["models"].items()}
    numbers = {
        "classes": whole(layers["classes"].max()),
        "images": values.count(int(layers["images"].max()), "image"),
        "networks": values.count(layers["network"].nunique(), "architecture"),
        "many": span(found[found["quantity"].eq("r_150")]["value"]),
    }
    for model, own in layers.groupby("model"):
        least, most = probability(own["p"].min()), probability(own["p"].max())
        p = most if least == most else f"{least} to {most.removeprefix('p = ')}"
        numbers[model] = f"{span(own['value'])} with {heads[model]} ({p})"
    groups = layers.sort_values("model", ascending=False, kind="stable").groupby(["network", "model"], sort=False)
    columns = {"seeds": groups["seed"].nunique(), "classes": groups["classes"].max().map(whole)}
    columns |= {"r (seeds)": groups["value"].agg(over_seeds), "largest p": groups["p"].max().map(values.bare)}
    rows = pd.DataFrame(columns).reset_index().replace({"model": heads})
    return study(numbers, "Untrained networks on real images", rows, words=2)


def software() -> dict[str, Any]:
    """Kills, byte-identical ends and imports (``training.py``, ``ingest.py``, ``labels.py``)."""
    training = table("training", "killed_at_step bit_equal")
    ends = training["bit_equal"].dropna().astype(str).eq("True")
    imports = table("ingest", "byte_identical")["byte_identical"].astype(str).eq("True")
    labels = table("labels", "stage quantity value").set_index(["stage", "quantity"])["value"]
    numbers = {
        "kills": whole(training["killed_at_step"].notna().sum()),
        "runs": f"{ends.sum()} of {len(ends)}",
        "ingests": f"{imports.sum()} of {len(imports)}",
    }
    numbers |= {"labels": whole(labels["read", "labels"]), "labels_drawn": whole(labels["drawn", "labels"])}
    return study(numbers)


class Curves:
    """Lag curves of several worlds, or objectives: mean correlation over seeds, and the lag where it is largest."""

    def __init__(self, tests: pd.DataFrame, by: str) -> None:
        order = tests[by].unique()
        tests = tests.sort_values("lag_s", kind="stable")
        self.means = tests.groupby([by, "lag_s"])["mantel_r"].mean()
        self.best_s = self.means.groupby(by).idxmax().map(lambda key: key[1]).reindex(order)
        self.largest = self.means.groupby(by).max().reindex(order)
        self.best = tests[tests["lag_s"].eq(tests[by].map(self.best_s))].groupby(by)
        self.seeds = tests.groupby(by)["seed"].nunique().reindex(order)
        self.tried = tests.groupby(by)["lag_s"].agg(lambda lags_s: ", ".join(map(seconds, lags_s.unique())))


def worlds() -> dict[str, Any]:
    """Whether the trained peak follows the world (``lag_curve.py``)."""
    tests = table("lag_curve", "world network lag_s seed model control mantel_r p")
    tests = tests[tests["model"].eq("category")]
    partial = tests[tests["control"].eq("random") & tests["lag_s"].gt(0)].dropna(subset=["mantel_r"])
    curves = Curves(partial, "world")
    columns = {"seeds": curves.seeds, "lags tried": curves.tried, "largest at": curves.best_s.map(seconds)}
    columns["partial r (seeds)"] = curves.best["mantel_r"].agg(over_seeds)
    columns["next"] = curves.means.groupby("world").agg(lambda r: number(r.nlargest(2).iloc[1]) if len(r) > 1 else "–")
    columns["p"] = curves.best["p"].max().map(values.bare)
    rows = pd.DataFrame(columns).loc[curves.best_s.index].rename_axis("world").reset_index()
    rows = rows.replace({"world": WORLDS})
    followed = []
    for name, words in values.WORDS["worlds"].items():
        if "scale" in words and name in curves.best_s:
            tried_s = curves.means[name].index
            distances = np.abs(np.log(tried_s / (words["scale"] * curves.best_s["miniature"])))
            followed.append(curves.best_s[name] == tried_s[np.argmin(distances)])
    looks = tests[tests["world"].eq("looks_carry_category")]
    looks = looks[looks["network"].eq("random") & looks["control"].eq("none")]
    shuffled_p = partial[partial["world"].eq("objects_shuffled")]["p"].min()
    numbers = {
        "worlds": values.count(len(rows), "world"),
        "scaled": len(followed),
        "followed": int(sum(followed)),
        "base": seconds(curves.best_s["miniature"]),
        "shuffled_shows_nothing": bool(shuffled_p > SIGNIFICANT),
        "shuffled_r": number(curves.largest["objects_shuffled"]),
        "shuffled_p": probability(shuffled_p),
        "looks": over_seeds(looks["mantel_r"]),
        "looks_mislead": bool(looks["mantel_r"].min() > 0 and looks["p"].max() < SIGNIFICANT),
        "looks_partial": over_seeds(curves.best.get_group("looks_carry_category")["mantel_r"]),
    }
    return study(numbers, "Lag curves of trained worlds", rows)


def recommended() -> dict[str, Any]:
    """What the recommended lag, and those of other rules, lose against the best one (``recommended_lag.py``)."""
    every = table("recommended_lag_summary", "rule than mean low high p worlds among").fillna({"than": ""})
    every = every.set_index(["among", "than", "rule"])
    summary = every.loc["all"]
    lags_s = table("recommended_lag", "world lag_s r").groupby("lag_s")["world"].nunique()
    named = int((lags_s[lags_s < lags_s.max()]).sum())  # networks at lags that rules name; the others are every world's
    rules = table("recommended_lag_rules", "world rule lag_s")
    record = json.loads((HERE / "recommended_lag.json").read_text(encoding="utf-8"))["config"]
    looks, other = f"looks below {record['looks_gone']:g}", "predicted curve"

    def told(rule: str, than: str = "", among: str = "all") -> str:
        found = every.loc[(among, than, rule)]
        return values.interval(found["mean"], found["low"], found["high"], 3)

    difference = summary.loc[(other, looks)]
    trained = next(
        row for row in record["other_regrets"]["regret_as_trained"] if row["than"] == other and row["rule"] == looks
    )
    numbers = {
        "worlds": values.count(int(difference["worlds"]), "world"),
        "lags": spoken([seconds(lag_s) for lag_s in lags_s.index[lags_s == lags_s.max()]]),
        "named": values.count(named, "network"),
        "threshold": f"{record['looks_gone']:g}",
        "margin": number(record["margin"]),
        "looks": told(looks),
        "predicted": told(other),
        "difference": told(looks, other),
        "p": probability(difference["p"]),
        "difference_as_trained": values.interval(trained["mean"], trained["low"], trained["high"], 3),
        "never": values.count(int(np.isinf(rules["lag_s"][rules["rule"].eq(looks)]).sum()), "world"),
        "difference_where_named": told(looks, other, "where looks fall"),
        "looks_lose_more": bool(difference["low"] > 0),
        "within_margin": bool(-record["margin"] < difference["low"] and difference["high"] < record["margin"]),
    }
    rows = []
    for rule, words in values.WORDS["rules"].items():
        compared = [told(rule, other), values.bare(summary.loc[(other, rule), "p"])] if rule != other else ["–", "–"]
        rows.append([words, told(rule), *compared])
    heads = ["rule", "regret", "less that of the predicted curve", "p"]
    return study(numbers, "Regret of rules that name a lag", pd.DataFrame(rows, columns=heads))


def narrations() -> dict[str, Any]:
    """Until which lag nouns that are alike in meaning follow each other in narrations of films (``movie101.py``)."""
    curves = table("movie101", "span_s way model lag_s r ci_low ci_high shuffled_high shuffled_z paired_high paired_z")
    columns = "span_s way model nouns half_strength_s half_strength_low_s half_strength_high_s"
    columns += " last_above_shuffled_s last_above_paired_s"
    keys = ["span_s", "way", "model"]
    summary = table("movie101_summary", columns).set_index(keys)
    curves = curves.set_index([*keys, "lag_s"]).sort_index()
    config = json.loads((HERE / "movie101.json").read_text(encoding="utf-8"))["config"]
    best, minute = (0, "embedding", "lch"), curves.loc[(0, "embedding", "lch", 60)]

    def half(key: tuple[Any, ...]) -> str:
        ends = [f"half_strength{end}_s" for end in ("", "_low", "_high")]
        return "{} ({} to {})".format(*(seconds(summary.loc[key, end].round()) for end in ends))

    def told(key: tuple[Any, ...], lag_s: int) -> str:
        return values.interval(*curves.loc[(*key, lag_s), ["r", "ci_low", "ci_high"]], 3)

    numbers = {
        "films": values.count(config["films"], "film"),
        "hours": whole(config["hours"]),
        "nouns": whole(summary.loc[best, "nouns"]),
        "half": half(best),
        "shuffled": seconds(summary.loc[best, "last_above_shuffled_s"]),
        "paired": seconds(summary.loc[best, "last_above_paired_s"]),
        "at_0": told(best, 0),
        "at_60": told(best, 60),
        "at_300": told(best, 300),
        "z_0": number(curves.loc[(*best, 0), "shuffled_z"], 1),
        "added": spoken([seconds(span) for span in (5, 10)]),
        "wider": spoken([seconds(summary.loc[(span, *best[1:]), "half_strength_s"].round()) for span in (5, 10)]),
        "meaning_lasts": bool(minute["r"] > max(minute["shuffled_high"], minute["paired_high"])),
    }
    rows = []
    for way in ("embedding", "direct"):
        for model in ("lch", "category"):
            key = (0, way, model)
            last = [seconds(summary.loc[key, f"last_above_{null}_s"]) for null in ("shuffled", "paired")]
            name = f"{values.WORDS['models'][model]['head']}, {way}"
            rows.append([name, told(key, 0), told(key, 60), half(key), *last])
    heads = ["model", "r at 0 s", "at 60 s", "half-strength", "above shuffled", "above paired"]
    return study(numbers, "Narrations of real films", pd.DataFrame(rows, columns=heads))


def photographs() -> dict[str, Any]:
    """What lags teach of photographs, and whether company that does not look alike teaches too (``photographs.py``)."""
    found = table("photographs", "kind seed network lag_s photographs measure value control p").fillna({"control": ""})
    record = json.loads((HERE / "photographs.json").read_text(encoding="utf-8"))["config"]
    unseen = found[found["photographs"].eq("unseen")]
    trained = unseen[unseen["kind"].eq("category") & unseen["lag_s"].notna()]
    both = trained.query("measure == 'r with category' and control == 'random + augment'")
    means = both.groupby("lag_s")["value"].mean()
    peak_s, ends_s = means.idxmax(), [means.index.min(), means.index.max()]

    def of(lag_s: float, measure: str, control: str = "") -> pd.Series:
        return trained.query("lag_s == @lag_s and measure == @measure and control == @control")["value"]

    def theme(kind: str, shown: str) -> str:
        one = found.query("kind == @kind and lag_s == 60 and photographs == @shown and control == 'random'")
        return over_seeds(one[one["measure"].eq("r with theme")]["value"])

    themes = unseen.query("kind != 'category' and lag_s == 60 and measure == 'r with theme' and control == 'random'")
    seeds = themes[~themes["kind"].str.endswith("_warm")].groupby("kind")["seed"].nunique()
    by_seed = both.pivot(index="lag_s", columns="seed", values="value").dropna(axis=1)
    untrained = unseen[unseen["kind"].eq("category") & unseen["lag_s"].isna()]
    simple = untrained.query("measure == 'r with category' and control == 'none'")["value"]
    numbers = {
        "classes": whole(len(pd.read_csv(HERE.parent / "data_manifests" / "photograph_classes.csv"))),
        "steps": whole(record["training"]["steps"]),
        "seeds": values.count(by_seed.shape[1], "seed"),
        "peak": seconds(peak_s),
        "at_peak": over_seeds(of(peak_s, "r with category", "random + augment")),
        "at_ends": spoken(
            [f"{over_seeds(of(s, 'r with category', 'random + augment'))} at {seconds(s)}" for s in ends_s]
        ),
        "in_between": bool((~by_seed.idxmax().isin(ends_s)).all()),
        "untrained": over_seeds(simple),
        "same_frame": over_seeds(of(0, "r with category", "random")),
        "crossed_lag": seconds(60),
        "crossed_seeds": values.count(seeds.min(), "seed") + ("" if seeds.min() == seeds.max() else " or more"),
        **{
            f"{kind}_{shown}": theme(kind, shown)
            for kind in ("crossed", "crossed_10", "crossed_2")
            for shown in ("seen", "unseen")
        },
        "warm_seen": theme("crossed_10_warm", "seen"),
        "warm_unseen": theme("crossed_10_warm", "unseen"),
        "company_of_unseen": bool(themes["p"].min() * len(themes) > SIGNIFICANT),
        "needs_alike": bool(themes["p"].min() * len(themes) > SIGNIFICANT and means.max() > 0),
    }
    given = "random + augment"
    columns = {
        "category, untrained": ("r with category", "random"),
        "category, and same frame": ("r with category", given),
        "WordNet, and same frame": ("r with lch", given),
        "class right": ("class, 5-NN", ""),
    }
    rows = [
        ["same frame" if lag_s == 0 else seconds(lag_s), *(over_seeds(of(lag_s, *one)) for one in columns.values())]
        for lag_s in sorted(trained["lag_s"].unique())
    ]
    chance = untrained[untrained["measure"].eq("class, 5-NN")]["value"]
    rows.append(["untrained", "–", "–", "–", over_seeds(chance)])
    heads = ["lag", *columns]
    return study(numbers, "Photographs in drawn timelines", pd.DataFrame(rows, columns=heads))


def objectives() -> dict[str, Any]:
    """Whether the published objective learns the same in the miniature world (``published_nce.py``)."""
    found = table("published_nce", "variant lag_s seed partial_r partial_p loss chance_loss")
    found = found.assign(mantel_r=found["partial_r"], p=found["partial_p"])
    curves = Curves(found, "variant")
    largest = curves.largest.map(number) + " at " + curves.best_s.map(seconds)
    columns = {"lags tried": curves.tried, "seeds": curves.seeds, "largest mean partial r": largest}
    columns["its p"] = curves.best["p"].max().map(values.bare)
    found["ratio"] = found["loss"] / found["chance_loss"]
    columns["loss / chance"] = found.groupby("variant")["ratio"].min().map(lambda least: number(least, 1))
    rows = pd.DataFrame(columns).loc[curves.best_s.index].rename_axis("objective").reset_index()
    rows = rows.replace({"objective": values.WORDS["objectives"]})
    others = found[found["variant"].ne("info_nce")]
    at_best = others[others["lag_s"].eq(curves.best_s["info_nce"])]
    is_mended, softmax = at_best["variant"].str.startswith("mended"), at_best["variant"].eq("softmax, visited")
    mended, unmended = at_best[at_best["variant"].eq("mended")], at_best[~is_mended & ~softmax]
    numbers = {
        "networks": values.count(len(unmended), "network"),
        "lag": seconds(curves.best_s["info_nce"]),
        "learned": str((unmended["p"] < SIGNIFICANT).sum() or "none"),
        "smallest": probability(unmended["p"].min()),
        "above": "all" if unmended["ratio"].gt(1).all() else str(unmended["ratio"].gt(1).sum()),
        "mended_r": over_seeds(mended["mantel_r"]),
        "mended_p": probability(mended["p"].max()),
        "mended_peaks": bool(curves.best_s["mended"] == curves.best_s["info_nce"]),
        "needs_mending": bool(at_best[is_mended]["p"].max() < SIGNIFICANT <= unmended["p"].min()),
        "softmax_needs_visits": bool(at_best[softmax]["p"].max() < SIGNIFICANT),
    }
    return study(numbers, "The published objective in the miniature world", rows)


def pretexts() -> dict[str, Any]:
    """What objectives teach of as many images of the same world (``pretexts.py``)."""
    columns = "world network objective lag_s seed model control mantel_r p accuracy loss chance_loss"
    every = table("pretexts", columns)
    found = every.query("control == 'random'").dropna(subset=["mantel_r"])
    tests = found[found["world"].eq("miniature")]
    kind, lch = (tests[tests["model"].eq(model)].groupby("network") for model in ("category", "lch"))
    order = kind["mantel_r"].mean().sort_values(ascending=False).index
    bound = kind["p"].max() * len(order)  # Bonferroni's, for the seed with the largest p
    columns = {"seeds": kind["seed"].nunique(), "category r (seeds)": kind["mantel_r"].agg(over_seeds)}
    columns |= {"largest p": kind["p"].max().map(values.bare), "LCH r (seeds)": lch["mantel_r"].agg(over_seeds)}
    columns |= {"class accuracy": kind["accuracy"].mean().map(percent)}
    rows = pd.DataFrame(columns).loc[order].rename(index=_pretext).rename_axis("objective").reset_index()
    lags = found[found["network"].str.startswith("semantic_") & found["model"].eq("category")]
    best = lags.groupby("network")["mantel_r"].mean().idxmax()
    numbers = {
        "networks": whole(len(order)),
        "seeds": values.count(int(tests["seed"].nunique()), "seed"),
        "best_lag": _pretext(best),
        "best": over_seeds(lags[lags["network"].eq(best)]["mantel_r"]),
        "learned": f"{(bound < SIGNIFICANT).sum()} of {len(order)}",
    }
    differences = table("pretexts_summary", "first second difference ci_low ci_high p seeds")
    told = {"cocon_cpc_20s": "cocon", "hum_shuffled: sound": "sound"}
    asked = differences[differences["second"].isin(["semantic_60s", *told])]
    for _, own in asked.iterrows():
        name = told.get(own["second"], own["first"])
        said = values.interval(own["difference"], own["ci_low"], own["ci_high"])
        numbers[f"{name}_more"] = f"{said}, {probability(own['p'])}"
        numbers[f"{name}_told_apart"] = bool(own["p"] < SIGNIFICANT)
    published = pd.read_csv(HERE.parent / "data_manifests/published_cocon.csv").set_index("network")["top1_accuracy"]
    for network in ("random", "cocon_cpc_20s", "cocon_sim_20s", "cocon_sync_20s", "cocon_20s"):
        own = tests[tests["network"].eq(network) & tests["model"].eq("category")]
        coded = f"; {over_seeds(own['mantel_r'])}" if len(own) else ""  # untrained networks are the control
        accuracy = every[every["network"].eq(network)].groupby("seed")["accuracy"].first()
        numbers[f"{network.removesuffix('_20s')}_published"] = percent(published[network.removesuffix("_20s")], 1)
        numbers[f"{network.removesuffix('_20s')}_taught"] = f"{percent(accuracy.mean())}{coded}"
    for world, own in found[found["objective"].eq("sound") & found["model"].eq("category")].groupby("world"):
        numbers[f"sound_{world}"] = f"{over_seeds(own['mantel_r'])}, largest {probability(own['p'].max())}"
    arrow = found[found["objective"].eq("arrow_of_time") & found["model"].eq("category")]
    arrow = arrow.assign(ratio=arrow["loss"] / arrow["chance_loss"])
    for world, own in arrow.groupby("world"):
        numbers[f"arrow_{world}"] = f"{number(own['ratio'].min(), 3)} to {number(own['ratio'].max(), 3)}"
    return study(numbers, "What objectives teach in the miniature world", rows)


def _pretext(network: str) -> str:
    """A network of the study as a reader says it: ``window, up to 2 min``, ``same scene``."""
    line, _, last = network.rpartition("_")
    lag = last.removesuffix("s") if last.endswith("s") else ""
    line, lag = (line, seconds(float(lag))) if lag.isdigit() else (network, "")
    said = PRETEXTS.get(line, line.replace("_", " "))
    return said.replace("{}", lag) if "{}" in said else ", ".join(filter(None, (said, lag)))


def places() -> dict[str, Any]:
    """Whether objects or places were learned (``conditions.py``)."""
    found = table("conditions", "world condition network lag_s seed model control mantel_r p ci_low ci_high")
    own = found.query("model == 'category' and control == 'random' and lag_s > 0").dropna(subset=["mantel_r"])

    def estimated(found: pd.Series, seeds: pd.DataFrame) -> str:
        return values.interval(found.mean(), seeds["ci_low"].min(), seeds["ci_high"].max())

    rows, coded = [], {}
    for (world, condition), seeds in own.groupby(["world", "condition"], sort=False):
        p, estimate = seeds["p"].max(), estimated(seeds["mantel_r"], seeds)
        rows.append([WORLDS.get(world, world), condition, seeds["seed"].nunique(), estimate, values.bare(p)])
        shown = p < SIGNIFICANT and seeds["mantel_r"].min() > 0
        coded[world] = [*coded.get(world, ()), *([condition] if shown else [])]
    compared = table("conditions_contrasts", "world first second model difference ci_low ci_high p seed")
    compared = compared[compared["model"].eq("category")].groupby("world")
    numbers = {
        "seeds": values.count(own["seed"].nunique(), "seed"),
        "lag": spoken([seconds(lag_s) for lag_s in own["lag_s"].unique()]),
        "coded": {world: f"under {spoken(shown) or 'no condition'}" for world, shown in coded.items()},
        "difference": {
            world: f"{estimated(own['difference'], own)} ({probability(own['p'].max())})" for world, own in compared
        },
    }
    rows = pd.DataFrame(rows, columns=["world", "pictures", "seeds", "partial r", "p"])
    return study(numbers, "Objects and places", rows, words=2)


def company() -> dict[str, Any]:
    """What networks learn where company and kind are parted (``kind_or_company.py``): means over worlds."""
    columns = "kind lag_s model control pairs mean low high p worlds"
    means = table("kind_or_company_summary", columns).query("lag_s == 60")

    def found(kind: str, model: str, control: str, pairs: str = "all") -> pd.Series:
        keys = {"kind": kind, "model": model, "control": control, "pairs": pairs}
        own = means[(means[list(keys)] == pd.Series(keys)).all(axis=1)]
        return (
            own.iloc[0]
            if len(own)
            else pd.Series({**dict.fromkeys(("mean", "low", "high"), float("nan")), "worlds": 0})
        )

    cases = {
        "theme": found("crossed", "theme", "look + category"),
        "kind": found("crossed", "category", "look + crossed"),
        "mix": found("slope over the mix", "category", "look"),
        "default": found("mixed_0", "category", "look"),
        "default_given": found("mixed_0", "category", "look + association"),
        "never_met": found("second_order", "category", "look", "never met"),
        "never_met_given": found("second_order", "category", "look + association", "never met"),
    }
    said = {name: values.interval(one["mean"], one["low"], one["high"]) for name, one in cases.items()}
    numbers = said | {f"{name}_worlds": values.count(int(one["worlds"]), "world") for name, one in cases.items()}
    outcomes = {
        "company_taught": cases["theme"]["low"] > 0,
        "company_teaches_no_kind": not cases["kind"]["low"] > 0,
        "kind_follows_mix": cases["mix"]["high"] < 0,
        "company_of_company": cases["never_met"]["low"] > 0,
    }
    numbers |= {name: bool(holds) for name, holds in outcomes.items()}
    learned = "was learned" if outcomes["company_taught"] else "was not shown to be learned"
    kind = "no category was shown" if outcomes["company_teaches_no_kind"] else "and so was category"
    numbers["lag"] = seconds(60)
    numbers["conclusion"] = (
        f"With themes across categories ({numbers['theme_worlds']}) company {learned} ({said['theme']}), "
        f"{kind} ({said['kind']})."
    )
    rows = [
        [words, numbers[f"{name}_worlds"].split()[0], said[name]]
        for name, words in (
            ("theme", "crossed: theme, given looks and category"),
            ("kind", "crossed: category, given looks and theme"),
            ("default", "by category: category, given looks"),
            ("default_given", "by category: category, given looks and association"),
            ("mix", "from by category to crossed: change of category, given looks"),
            ("never_met", "second order: category of pairs that never met, given looks"),
            ("never_met_given", "the same, given looks and association"),
        )
        if cases[name]["worlds"]
    ]
    return study(
        numbers, "Kind and company", pd.DataFrame(rows, columns=["world and model", "worlds", "partial r [95 %]"])
    )


def commonality() -> dict[str, Any]:
    """What company and kind explain, alone and in common (``kind_or_company_commonality.py``); how worlds vary."""
    found = table("kind_or_company_commonality", "kind part share_cv low high worlds networks").set_index(
        ["kind", "part"]
    )
    columns = "kind lag_s model control pairs mean low high worlds networks"
    parted = table("kind_or_company_summary", columns).query(
        "lag_s == 60 and model == 'theme' and control == 'look + category' and kind.str.contains('variance')"
    )
    parted = parted.set_index("kind")
    share = parted.loc["share of variance between worlds"]
    spread = np.sqrt(parted["mean"].drop(share.name).clip(lower=0))
    parts = {"kind": "category", "company": "association", "common": "category & association"}
    told = {"default": "miniature", "by_category": "mixed_0", "crossed": "crossed"}
    numbers = {
        f"{world}_{name}": values.interval(*found.loc[(kind, part), ["share_cv", "low", "high"]], 3)
        for world, kind in told.items()
        for name, part in parts.items()
    }
    low = found["low"]
    numbers |= {
        "by_category_worlds": values.count(int(found.loc[("mixed_0", "all"), "worlds"]), "world"),
        "crossed_worlds": values.count(int(found.loc[("crossed", "all"), "worlds"]), "world"),
        "shared_by_both": bool(low[("mixed_0", "category & association")] > 0),
        "none_alone": bool(max(low[("mixed_0", "category")], low[("mixed_0", "association")]) <= 0),
        "company_alone": bool(low[("crossed", "association")] > 0),
        "no_kind_alone": bool(low[("crossed", "category")] <= 0),
        "each": values.count(int(share["networks"] / share["worlds"]), "network"),
        "between": f"{percent(share['mean'])} [{percent(share['low'])}, {percent(share['high'])}]",
        "of_worlds": number(spread["variance between worlds"], 3),
        "of_networks": number(spread["variance between networks of a world"], 3),
    }
    return study(numbers)


# by the names that their variables have in paper.qmd
STUDIES = (
    *(timescales, worlds, company, commonality, tests, intervals, recommended, narrations, photographs),
    *(objectives, pretexts, places, images, software),
)


def quoted() -> str:
    """Text of quoted.yml."""
    dumper = type("Dumper", (yaml.SafeDumper,), {})
    dumper.add_representer(Row, lambda d, row: d.represent_sequence("tag:yaml.org,2002:seq", row, flow_style=True))
    start = "# Written by write_quoted.py from the tables in this folder; papers/paper.qmd quotes it.\n"
    return start + yaml.dump(
        {quote.__name__: quote() for quote in STUDIES}, Dumper=dumper, sort_keys=False, allow_unicode=True, width=10_000
    )


if __name__ == "__main__":
    with atomic(HERE / "quoted.yml") as temporary:
        temporary.write_text(quoted(), encoding="utf-8")
    print(f"Wrote {HERE / 'quoted.yml'}")
