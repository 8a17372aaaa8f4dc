"""Do things alike in meaning follow each other in real films? Words of 109 films (3 minutes on 2 cores after import).

    python -m validation.movie101 [<folder of narrations>]       (or MOVIE101=<folder>)

Movie101 (Yue et al. 2023, 2024; CC BY 4.0; https://github.com/yuezih/Movie101) has timed narrations of what is seen, in
English by machine. None of it is in the repository. The label import makes things of its words (`labels.words`), on a
grid of 2 s: an utterance's things are there while it lasts. Of the 300 most frequent WordNet nouns, J is how often two
are a lag apart within films, whichever comes first, and E how often they would be by each film's own rates.

- `direct`: log((J + 1) / (E + 1)), pointwise mutual information of counts, each with one more;
- `embedding`: cosines in the 64 dimensions that `timescales.association.embedding` gives of (J - E) / sqrt(p p').

Each is correlated with what WordNet says of the same pairs of nouns (LCH), and with belonging to the same superordinate
category (nouns in none are left out). Nulls, 60 of each: `shuffled`, the sentences of each film dealt out anew over its
spans; `paired`, the first moments of a film with the second moments of another. Intervals are over films (bootstrap);
films drawn twice add noise but no pairs, which lowers r in every sample, so samples are moved by the mean difference.
`half_strength_s` is the lag at which r is down to half of its value at lag 0, `last_above_null_s` the end of the first
run of lags at which r is above 97.5 % of the null. `span_s` is what is added before and after each utterance.

What this cannot tell: a word is said when there is a pause for it, not while the thing is in view; looks; and a film
says what it is about in other words than another. Writes movie101.csv (a row a span, way, model and lag),
movie101_summary.csv (time scales), a record and a figure.
"""

import functools
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

os.environ |= {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import sparse

from semanticcmc.config import InputError
from semanticcmc.figures import style
from semanticcmc.labels.grid import spans_on_grid
from semanticcmc.labels.ingest import import_labels
from semanticcmc.labels.nouns import read_nouns
from semanticcmc.labels.stream import LabelsConfig
from semanticcmc.rsa.semantics import NO_CATEGORY, categories, lch_rdm
from semanticcmc.run import atomic, record, write_csv, write_json
from semanticcmc.timescales.association import embedding
from semanticcmc.timescales.decay import first_below_half

HERE = Path(__file__).parent
FOLDER = Path(os.environ.get("MOVIE101_RESULTS", HERE.parent / "results" / "validation" / "movie101"))
PROCESSES = 2
STEP_S = 2.0
LAGS_S = (0, 4, 10, 20, 40, 60, 90, 120, 180, 300, 600)
SPANS_S = ((0, 0), (5, 5), (10, 10))  # before and after
SETTINGS = {"nouns": 300, "dimensions": 64, "samples": 200, "nulls": 60, "confidence": 0.95, "seed": 0}
WAYS, NULLS = ("direct", "embedding"), ("shuffled", "paired")
Spoken = pd.DataFrame  # one row a word of an utterance: film, utterance, start_s, stop_s, noun (a number)


def imported(folder: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    """The words of an import into `FOLDER`, made unless it is there, and each label's wnid."""
    if not (FOLDER / "labels" / "labels.parquet").exists():
        config = LabelsConfig(None, STEP_S, 0.0, False, (), False, None, (0.0, 0.0))
        import_labels(folder, FOLDER / "labels", config)
    nouns = {label: noun[0] for label, noun in read_nouns([FOLDER / "labels" / "words.csv"]).items() if noun[0]}
    return pd.read_parquet(FOLDER / "labels" / "words.parquet"), nouns


def frequent(words: pd.DataFrame, wnid_of: dict[str, str], most: int) -> tuple[Spoken, tuple[str, ...]]:
    """Words of the most frequent nouns, by number of utterances that have them, and their wnids."""
    words = words.assign(wnid=words["label"].map(wnid_of), film=words["movie_id"].astype("category").cat.codes)
    words["utterance"] = words.groupby(["film", "start_s", "stop_s"]).ngroup()
    counts = words.dropna(subset="wnid").groupby("wnid")["utterance"].nunique()
    wnids = tuple(sorted(counts.sort_values(ascending=False, kind="stable").index[:most]))
    words["noun"] = pd.Index(wnids).get_indexer(words["wnid"])
    return words[["film", "utterance", "start_s", "stop_s", "noun"]], wnids


def presence(words: Spoken, nouns: int, span_s: tuple[float, float] = (0, 0)) -> list[sparse.csr_array]:
    """Of each film whether each noun is there at each moment, (moments, nouns)."""
    films = []
    for _, film in words.groupby("film"):
        end_s = film["stop_s"].max()
        own = film[film["noun"] >= 0]
        start_s = np.maximum(own["start_s"].to_numpy() - span_s[0], 0)
        stop_s = np.minimum(own["stop_s"].to_numpy() + span_s[1], end_s)
        time_s, row = spans_on_grid(start_s, stop_s, STEP_S)
        moments = max(1, int(np.ceil(end_s / STEP_S)))
        moment = np.minimum(np.rint(time_s / STEP_S).astype(np.int64), moments - 1)
        ones = np.ones(len(moment), dtype=np.float32)
        seen = sparse.csr_array((ones, (moment, own["noun"].to_numpy()[row])), shape=(moments, nouns))
        seen.data[:] = 1  # a noun of two utterances at once is there once
        films.append(seen)
    return films


def shuffled(words: Spoken, generator: np.random.Generator) -> Spoken:
    """Sentences of each film dealt out anew over its spans."""
    spans = words.drop_duplicates("utterance").set_index("utterance")[["film", "start_s", "stop_s"]]
    order = np.concatenate([generator.permutation(own.index) for _, own in spans.groupby("film")])
    before = np.concatenate([own.index for _, own in spans.groupby("film")])
    moved = spans.loc[order].set_axis(before)
    return words.assign(**{name: words["utterance"].map(moved[name]) for name in ("start_s", "stop_s")})


def paired(films: int, generator: np.random.Generator) -> np.ndarray:
    """Another film for each: all in a circle in random order."""
    circle = generator.permutation(films)
    return circle[(np.argsort(circle) + 1) % films]


def pairs_at(films: list[sparse.csr_array], lag_s: float) -> tuple[np.ndarray, np.ndarray]:
    """J and E of each film, (films, nouns, nouns), float32: which noun comes first does not matter."""
    step, nouns = round(lag_s / STEP_S), films[0].shape[1]
    joint, expected = np.zeros((2, len(films), nouns, nouns), dtype=np.float32)
    for i, film in enumerate(films):
        later = film[step:]
        if count := later.shape[0]:
            now = film[:count]
            joint[i] = (now.T @ later).toarray()
            expected[i] = np.outer(now.sum(axis=0), later.sum(axis=0)) / count
    return joint + joint.swapaxes(1, 2), expected + expected.swapaxes(1, 2)


def pooled_at(
    films: list[sparse.csr_array], lag_s: float, partners: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """J and E of `pairs_at` summed over films, (nouns, nouns), without telling films apart: many times faster."""
    step, now, later = round(lag_s / STEP_S), [], []
    for i, film in enumerate(films):
        other = films[i if partners is None else partners[i]][step:]
        count = min(film.shape[0], other.shape[0])
        if count:
            now.append(film[:count])
            later.append(other[:count])
    joint = (sparse.vstack(now).T @ sparse.vstack(later)).toarray().astype(np.float64)
    first, second = (np.array([one.sum(axis=0) for one in held], dtype=np.float64) for held in (now, later))
    expected = first.T @ (second / np.array([[one.shape[0]] for one in now]))
    return joint + joint.T, expected + expected.T


def similarity(joint: np.ndarray, expected: np.ndarray, way: str, dimensions: int) -> np.ndarray:
    """How alike two nouns are by their pairs, (nouns, nouns)."""
    if way == "direct":
        return np.log((joint + 1) / (expected + 1))
    margin = joint.sum(axis=1)
    scale = np.sqrt(np.outer(margin, margin))
    kernel = np.divide(joint - expected, scale, out=np.zeros(joint.shape), where=scale > 0)
    vectors = embedding(kernel, dimensions)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
    return unit @ unit.T


def models(wnids: tuple[str, ...]) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Rows and columns of each model's pairs of nouns, and how near each pair is, standardised."""
    category = categories(wnids)
    kept = np.array([category[wnid] != NO_CATEGORY for wnid in wnids])
    names = np.array([category[wnid] for wnid in wnids])
    first, second = np.triu_indices(len(wnids), 1)
    inside = kept[first] & kept[second]
    near = {
        "lch": (first, second, -lch_rdm(wnids).square()[first, second]),
        "category": (first[inside], second[inside], (names[first] == names[second])[inside].astype(float)),
    }
    return {name: (i, j, (value - value.mean()) / value.std()) for name, (i, j, value) in near.items()}


def correlations(joint: np.ndarray, expected: np.ndarray, near: dict[str, Any], dimensions: int) -> np.ndarray:
    """Pearson's r by way and model, from J and E of all films together."""
    found = np.empty((len(WAYS), len(near)))
    for w, way in enumerate(WAYS):
        alike = similarity(joint, expected, way, dimensions)
        for m, (first, second, nearness) in enumerate(near.values()):
            values = alike[first, second]
            found[w, m] = (values - values.mean()) @ nearness / (len(values) * values.std())
    return found


def curves(films: list[sparse.csr_array], near: dict[str, Any], settings: dict[str, Any], samples: int) -> np.ndarray:
    """Correlations of all films and of bootstrap samples, (1 + samples, lags, ways, models)."""
    generator = np.random.default_rng(settings["seed"])
    draws = generator.multinomial(len(films), np.full(len(films), 1 / len(films)), size=samples).astype(np.float32)
    one = functools.partial(_curve_at, films, near, settings["dimensions"], draws)
    with ProcessPoolExecutor(PROCESSES) as pool:
        return np.stack(list(pool.map(one, LAGS_S)), axis=1)


def _curve_at(films: list[sparse.csr_array], near: Any, dimensions: int, draws: np.ndarray, lag_s: float) -> np.ndarray:
    found = [correlations(*pooled_at(films, lag_s), near, dimensions)]
    if len(draws):
        joint, expected = (draws @ one.reshape(len(films), -1) for one in pairs_at(films, lag_s))
        shape = 2 * (films[0].shape[1],)
        for counts in zip(joint, expected, strict=True):
            found.append(correlations(*(one.reshape(shape) for one in counts), near, dimensions))
    return np.array(found)


def nulls(words: Spoken, near: dict[str, Any], settings: dict[str, Any]) -> dict[str, np.ndarray]:
    """Correlations of shuffled sentences and of films paired anew, (nulls, lags, ways, models) each."""
    one = functools.partial(_null, words, presence(words, settings["nouns"]), near, settings)
    with ProcessPoolExecutor(PROCESSES) as pool:
        found = list(pool.map(one, range(settings["nulls"])))
    return {name: np.stack([each[name] for each in found]) for name in NULLS}


def _null(words: Spoken, own: list[sparse.csr_array], near: Any, settings: dict[str, Any], n: int) -> dict[str, Any]:
    generator = np.random.default_rng((settings["seed"], n))
    made: dict[str, tuple[Any, ...]] = {"shuffled": (presence(shuffled(words, generator), settings["nouns"]), None)}
    made["paired"] = own, paired(len(own), generator)
    return {
        name: np.stack(
            [correlations(*pooled_at(films, lag_s, partners), near, settings["dimensions"]) for lag_s in LAGS_S]
        )
        for name, (films, partners) in made.items()
    }


def last_above(values: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """Last lag of the first run of lags at which values (rows, lags) are above the bound (lags,); NaN without one."""
    above = values > bound
    start = above.argmax(axis=1)
    after = ~above & (np.arange(values.shape[1]) > start[:, None])
    end = np.where(after.any(axis=1), after.argmax(axis=1), values.shape[1]) - 1
    return np.where(above.any(axis=1), np.array(LAGS_S, dtype=float)[end], np.nan)


def study(words: Spoken, wnids: tuple[str, ...], settings: dict[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables of the curves and of their time scales."""
    settings = settings | {"nouns": len(wnids)}
    near, rows, scales = models(wnids), [], []
    tail = (1 - settings["confidence"]) / 2
    chance = nulls(words, near, settings)
    for span_s in SPANS_S:
        main = span_s == (0, 0)
        r, *samples = curves(presence(words, len(wnids), span_s), near, settings, settings["samples"] if main else 0)
        samples = np.array(samples).reshape(-1, *r.shape)
        samples += r - samples.mean(axis=0) if main else 0
        for w, way in enumerate(WAYS):
            for m, model in enumerate(near):
                row = {"span_s": span_s[0], "way": way, "model": model, "lag_s": LAGS_S, "r": r[:, w, m]}
                half = first_below_half(np.array(LAGS_S, dtype=float), r[None, :, w, m])[0]
                scale = {"span_s": span_s[0], "way": way, "model": model, "nouns": len(np.unique(near[model][:2]))}
                scale |= {"pairs": len(near[model][2]), "half_strength_s": half}
                if main:
                    own = samples[:, :, w, m]
                    row["ci_low"], row["ci_high"] = np.quantile(own, [tail, 1 - tail], axis=0)
                    halves = np.sort(first_below_half(np.array(LAGS_S, dtype=float), own))
                    scale |= _interval("half_strength", halves, tail)
                    for name in NULLS:
                        null = chance[name][:, :, w, m]
                        low, high = np.quantile(null, [tail, 1 - tail], axis=0)
                        z = (r[:, w, m] - null.mean(axis=0)) / null.std(axis=0, ddof=1)
                        row |= {f"{name}_low": low, f"{name}_high": high, f"{name}_z": z}
                        scale[f"last_above_{name}_s"] = last_above(r[None, :, w, m], high)[0]
                        scale |= _interval(f"last_above_{name}", last_above(own, high), tail)
                rows.append(pd.DataFrame(row))
                scales.append(scale)
    return pd.concat(rows, ignore_index=True), pd.DataFrame(scales)


def _interval(name: str, samples: np.ndarray, tail: float) -> dict[str, float]:
    """Bounds of the central samples, of which some may be infinite; samples without a lag count as 0 s."""
    samples = np.sort(np.nan_to_num(samples, nan=0.0, posinf=np.inf))
    low, high = (float(samples[round(share * (len(samples) - 1))]) for share in (tail, 1 - tail))
    return {f"{name}_low_s": low, f"{name}_high_s": high}


def _cpu_s() -> float:
    """Processor time of this process and of those that it started, s."""
    return sum(os.times()[:4])


def draw(table: pd.DataFrame, scales: pd.DataFrame, films: int, png: Path) -> dict[str, str]:
    """Draw r by lag with nulls, a panel a way and model, and the effect of the span; returns its words."""
    style.use_house_style()
    figure, axes = plt.subplots(2, 3, figsize=(9.6, 6.0), layout="constrained", sharex=True)
    names = {"lch": "WordNet (LCH)", "category": "category"}
    looks = {"shuffled": ("#C46A1B", "sentences shuffled"), "paired": ("#6B7280", "films paired anew")}
    told = []
    for column, model in enumerate(("lch", "category")):
        for line, way in enumerate(WAYS):
            ax = axes[line][column]
            rows = table[(table.model == model) & (table.way == way) & (table.span_s == 0)]
            x = np.where(rows.lag_s == 0, 2, rows.lag_s)
            for null, (color, label) in looks.items():
                ax.fill_between(
                    x, rows[f"{null}_low"], rows[f"{null}_high"], color=color, alpha=0.3, linewidth=0, label=label
                )
            error = [rows.r - rows.ci_low, rows.ci_high - rows.r]
            ax.errorbar(x, rows.r, yerr=error, color=style.INK, marker="o", markersize=4, capsize=2, label="films")
            ax.axhline(0, color=style.QUIET, linewidth=0.8)
            half = scales[(scales.model == model) & (scales.way == way) & (scales.span_s == 0)].half_strength_s.iloc[0]
            if np.isfinite(half):
                ax.axvline(half, color=style.INK, linestyle=":", linewidth=1)
            ax.set_title(f"{names[model]}, {way}", fontsize="medium")
            if column == 0:
                ax.set_ylabel("correlation, r")
            told.append(
                f"{names[model]}, {way}: {rows.r.iloc[0]:.3f} at 0 s, {rows.r[rows.lag_s == 60].iloc[0]:.3f} at 60 s"
            )
    for line, way in enumerate(WAYS):
        ax = axes[line][2]
        for (span_s, rows), marker in zip(
            table[(table.model == "lch") & (table.way == way)].groupby("span_s"), "osD", strict=True
        ):
            label = "the utterance's own span" if span_s == 0 else f"{span_s:g} s more on both sides"
            ax.plot(np.where(rows.lag_s == 0, 2, rows.lag_s), rows.r, marker=marker, markersize=4, label=label)
        ax.axhline(0, color=style.QUIET, linewidth=0.8)
        ax.set_title(f"spans, LCH, {way}", fontsize="medium")
    for ax in axes[1]:
        ax.set(xscale="log", xlabel="time lag (s)")
        ax.set_xticks([2, 10, 60, 300], ["0", "10", "60", "300"])
        ax.minorticks_off()
    axes[0][1].set_ylim(top=1.5 * axes[0][1].get_ylim()[1])  # place for the legend
    axes[0][1].legend(frameon=False, fontsize="small", loc="upper right")
    axes[1][2].legend(frameon=False, fontsize="small", loc="lower left")
    nouns = int(scales.nouns.max())
    caption = (
        f"Words of {films} whole films (Movie101, CC BY 4.0), {nouns} nouns: correlation of how often two follow each "
        "other, above the films' own rates, with WordNet and with category. Bars: 95 % bootstrap over films; bands: "
        "95 % of 60 nulls; dotted: half of the value at 0 s."
    )
    style.caption(figure, caption)
    with atomic(png) as temporary:
        figure.savefig(temporary, dpi=110)
    plt.close(figure)
    alt = f"Six panels over the time lag with bands of two nulls. {'; '.join(told)}."
    return {"alt": alt, "caption": caption}


def main() -> None:
    """Import the narrations unless it was done, measure, and draw."""
    folder = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("MOVIE101")
    if not folder:
        return print("validation.movie101: skipped; MOVIE101=<folder of Movie101's narrations> names them")
    if not Path(folder).is_dir():
        raise InputError(
            f"{folder}: no such folder; give Movie101's narrations: python -m validation.movie101 <folder>"
        )
    words, wnid_of = imported(Path(folder))
    began, cpu = time.perf_counter(), _cpu_s()
    spoken, wnids = frequent(words, wnid_of, SETTINGS["nouns"])
    table, scales = study(spoken, wnids, SETTINGS)
    took = {"seconds": round(time.perf_counter() - began), "cpu_seconds": round(_cpu_s() - cpu)}
    write_csv(HERE / "movie101.csv", table.round(5))
    write_csv(HERE / "movie101_summary.csv", scales.round(3))
    films = spoken["film"].nunique()
    known = int((words["label"] != "").sum())
    counts = {"films": films, "hours": round(words.groupby("movie_id")["stop_s"].max().sum() / 3600, 1)}
    counts |= {"utterances": int(spoken["utterance"].nunique()), "words_that_are_things": known}
    counts |= {"in_the_nouns": int((spoken["noun"] >= 0).sum()), "nouns": len(wnids)}
    config = {**SETTINGS, "lags_s": LAGS_S, "spans_s": SPANS_S, "step_s": STEP_S, **counts, **took}
    words_of_figure = draw(table, scales, films, HERE / "movie101.png")
    write_json(HERE / "movie101.json", record(config, seed=SETTINGS["seed"]) | words_of_figure)
    print(scales.to_string(), table[table.span_s == 0].to_string(), took, counts, sep="\n")


if __name__ == "__main__":
    main()
