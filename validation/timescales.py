"""Do the time scales of associations come out right where they are known? (some 10 minutes on two cores)

    python -m validation.timescales [worlds]

Worlds of labels alone (`validation.label_worlds`), two thirds of them with half-lives from 5 s to 1/20 of the
film, evenly in the logarithm, one third from there to twice the film: films of about 20, 40 and 95 minutes (in a
world they differ by up to a fifth), 10 to 40 of them, two levels of detector noise. Studies: `recovery`, the half-
life by `association`, which experiments use, and by `validation.predictability`, at both levels; `null`, the share of
lags above 0 at which the curve above the film base rate lies in its pointwise null where labels are shuffled in time
within films, or shifted circularly, each on its own, and where whole label sets are shuffled, so that labels seen
together stay so. Beside both the published estimator's curve (R2 in sample, films laid end to end, time order kept):
the lag at which it is least, which is what was read as the time constant.
Writes validation/timescales.csv (a row a world, measure and level), timescales_summary.csv, timescales.png, a record.
"""

import os

os.environ |= {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}

import dataclasses
import math
import multiprocessing
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from validation.label_worlds import LabelWorld, simulate
from validation.predictability import predictability
from validation.presence import presence
from validation.published_estimators import association_r2

from semanticcmc.labels.stream import LabelStream, label_stream
from semanticcmc.run import Progress, atomic, record, write_json
from semanticcmc.timescales.association import association
from semanticcmc.timescales.curves import TimescalesConfig, lag_grid
from semanticcmc.timescales.decay import half_lives
from semanticcmc.timescales.pairs import label_pairs

HERE = Path(__file__).parent
CONFIG = TimescalesConfig(
    lags=40,
    labels=150,
    min_confidence=0.0,
    step_s=1.0,
    frame_px=(18, 32),
    bootstrap_samples=200,
    null_samples=1,
    confidence=0.95,
    seed=0,
    looks=None,
)
WORLDS, NULLS = 408, 60
DESIGNS = [
    (duration_s, films, hit)
    for duration_s, sizes in ((1200.0, (10, 20, 40)), (2400.0, (10, 20, 40)), (5700.0, (10, 20)))
    for films in sizes
    for hit in (0.4, 0.8)
]
BINS = [0, 0.01, 0.02, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 2.1]  # of the half-life as a share of the film


def draw_world(number, half_life_s=None):
    """World number so and so: its design in turn, its half-life at random."""
    generator = np.random.default_rng([number, 6])
    duration_s, films, hit = DESIGNS[number % len(DESIGNS)]
    limit = duration_s / 20
    low, high = (5.0, limit) if number % 3 else (limit, 2 * duration_s)
    drawn = float(np.exp(generator.uniform(math.log(low), math.log(high))))
    durations_s = tuple(np.round(duration_s * generator.uniform(0.8, 1.2, films)).tolist())
    world = LabelWorld(
        durations_s=durations_s,
        interval_s=1.0,
        half_life_s=half_life_s or drawn,
        groups=8,
        labels_per_group=4,
        active=0.3,
        hit=hit,
        false_alarm=0.05,
        film_base_rate_sd=0.7,
        seed=number,
    )
    return world, {
        "world": number,
        "film_s": float(np.mean(durations_s)),
        "films": films,
        "hit": hit,
        "half_life_true_s": world.half_life_s,
    }


def pairs_of(stream):
    """Counts of label pairs on the grid of lags up to the second longest film."""
    longest_s = float(np.sort(stream.times["count"])[-2]) - 1
    return label_pairs(stream, lag_grid(1.0, longest_s, CONFIG.lags), CONFIG)


def published_minimum_s(stream, names):
    """Lag at which the published R2 is least, of 24 lags from one sample to the mean film."""
    films = [presence(stream, movie_id, names).astype(np.float64) for movie_id in stream.movies]
    longest = int(np.mean([len(film) for film in films]))
    lags = np.unique(
        np.rint(np.geomspace(1, longest, 6)).astype(int).tolist()
        + np.rint(np.linspace(0.1, 1, 10) * longest).astype(int).tolist()
    )
    table = association_r2(films, lags.tolist(), parts=max(1, len(films) // 6))
    return float(lags[table["mean_r2"].to_numpy().argmin()])


def recovery(number):
    """Rows of one world: its half-lives by measure and level."""
    world, facts = draw_world(number)
    stream, truth = simulate(world)
    pairs = pairs_of(stream)
    found = half_lives([association(pairs, CONFIG), predictability(pairs, CONFIG)], CONFIG)
    return found.assign(study="recovery", **facts, published_minimum_s=published_minimum_s(stream, truth.labels))


def disordered(stream: LabelStream, how: str, generator: np.random.Generator) -> LabelStream:
    """The stream with its labels disordered in time within films."""
    tables = []
    for film in stream.times.itertuples():
        labels = stream.labels.iloc[stream.rows[film.movie_id]]
        code, names = pd.factorize(labels["label"])
        step = labels["time_s"].to_numpy().astype(np.int64)
        if how == "label sets shuffled":
            step = generator.permutation(film.count)[step]
        elif how == "labels shuffled":
            step = generator.permuted(np.tile(np.arange(film.count), (len(names), 1)), axis=1)[code, step]
        else:
            step = (step + generator.integers(film.count, size=len(names))[code]) % film.count
        tables.append(labels.assign(time_s=step.astype(np.float64)))
    return label_stream(pd.concat(tables), stream.times)


def null(number):
    """Row of one world of disordered labels: the share of lags at which the curve lies in its null."""
    how = ("labels shuffled", "labels shifted", "label sets shuffled")[number % 3]
    world, facts = draw_world(number // 6 * 3 + 1 + number // 3 % 2)  # of those with a half-life up to 1/20
    world = dataclasses.replace(world, durations_s=world.durations_s[:10])
    stream = disordered(simulate(world)[0], how, np.random.default_rng([number, 7]))
    pairs = pairs_of(stream)
    rows = []
    for curve in (association(pairs, CONFIG), predictability(pairs, CONFIG)):
        table = curve.table(CONFIG).query("level == 'film base rate' and lag_s > 0").dropna(subset="value")
        inside = table["value"].between(table["null_low"], table["null_high"]).mean()
        rows.append(
            {
                "study": "null",
                "measure": curve.measure,
                "level": "film base rate",
                "disorder": how,
                "lags_in_null": inside,
            }
            | facts
        )
    return pd.DataFrame(rows)


def summary(table):
    """Shares and errors by measure, level and half-life as a share of the film; coverage with its 95 % interval."""
    rows = []
    found = table[table["study"].eq("recovery")]
    share = found["half_life_true_s"] / found["film_s"]
    within = pd.Series(np.where(share <= 0.05, "all up to 1/20", ""), found.index)
    groups = [(within, "all up to 1/20"), *((pd.cut(share, BINS), name) for name in pd.cut(share, BINS).cat.categories)]
    for (measure, level), own in found.groupby(["measure", "level"]):
        for group, name in groups:
            chosen = own[group.loc[own.index].eq(name)]
            told = chosen[chosen["identifiable"].astype(bool)]
            error = np.log(told["half_life_s"] / told["half_life_true_s"])
            covered = int(told["half_life_true_s"].between(told["ci_low_s"], told["ci_high_s"]).sum())
            low, high = binomtest(covered, len(told)).proportion_ci(method="wilson") if len(told) else (math.nan,) * 2
            rows.append(
                {
                    "study": "recovery",
                    "measure": measure,
                    "level": level,
                    "half_life_by_film": str(name),
                    "worlds": len(chosen),
                    "identifiable": len(told) / max(len(chosen), 1),
                    "median_error": math.expm1(error.abs().median()),
                    "median_bias": math.expm1(error.median()),
                    "covered": covered / max(len(told), 1),
                    "covered_low": low,
                    "covered_high": high,
                    "published_over_film": (chosen["published_minimum_s"] / chosen["film_s"]).median(),
                }
            )
    disorder = table[table["study"].eq("null")]
    for (measure, how), own in disorder.groupby(["measure", "disorder"]):
        rows.append(
            {
                "study": "null",
                "measure": measure,
                "level": "film base rate",
                "disorder": how,
                "worlds": len(own),
                "lags_in_null": own["lags_in_null"].mean(),
            }
        )
    return pd.DataFrame(rows)


def draw(table, path):
    """Found against true half-lives, with intervals; the published reading in grey."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogFormatter

    from semanticcmc.figures import style

    style.use_house_style()
    rows = table.query("study == 'recovery' and measure == 'association' and level == 'film base rate'")
    figure, ax = plt.subplots(figsize=(style.COLUMN_IN, 0.8 * style.COLUMN_IN))
    ax.plot(
        rows["half_life_true_s"],
        rows["published_minimum_s"],
        "x",
        color="0.6",
        markersize=3.5,
        label="published estimator: lag of its minimum",
    )
    told = rows[rows["identifiable"].astype(bool)]
    bars = np.abs(told[["ci_low_s", "ci_high_s"]].to_numpy().T - told["half_life_s"].to_numpy())
    ax.errorbar(
        told["half_life_true_s"],
        told["half_life_s"],
        bars,
        fmt="o",
        markersize=2.5,
        linewidth=0.7,
        label="association, 95 % interval over films",
    )
    rest = rows[~rows["identifiable"].astype(bool)]
    ax.plot(rest["half_life_true_s"], np.full(len(rest), 3.0), "|", color="0.3", markersize=6, label="not identifiable")
    limits = np.array([4, rows["half_life_true_s"].max()])
    ax.plot(limits, limits, color="0.2", linewidth=0.8)
    ax.set(xscale="log", yscale="log", xlabel="true half-life (s)", ylabel="found (s)")
    for axis in (ax.xaxis, ax.yaxis):  # in plain numbers: mathematics is not parsed
        axis.set(major_formatter=LogFormatter(), minor_formatter=LogFormatter())
    ax.legend(fontsize=style.SMALL_PT)
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=150, bbox_inches="tight")


def main():
    """Run both studies, or as many worlds of each as asked for, and write their tables."""
    worlds = int(sys.argv[1]) if len(sys.argv) > 1 else WORLDS
    nulls = min(NULLS, worlds)
    progress, tables = Progress("validation of time scales", worlds + nulls), []
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        for study, count in ((recovery, worlds), (null, nulls)):
            for table in pool.imap(study, range(count)):
                tables.append(table)
                progress.update(len(tables))
    table = pd.concat(tables, ignore_index=True)
    table = table[["study", *(name for name in table if name != "study")]]
    found = summary(table)
    print(found.to_string(index=False, float_format="{:.3f}".format))
    for name, values in (("timescales.csv", table), ("timescales_summary.csv", found)):
        with atomic(HERE / name) as temporary:
            values.to_csv(temporary, index=False, float_format="%.5g")
    draw(table, HERE / "timescales.png")
    write_json(HERE / "timescales.json", record(CONFIG, 0, worlds=worlds, nulls=nulls, designs=DESIGNS))


if __name__ == "__main__":
    main()
