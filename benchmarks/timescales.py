"""How long do association curves take at poster scale, against counting pairs the direct way?

    python -m benchmarks.timescales [films]

A world of labels like the published data set: 100 films of 95 minutes with five label sets a second (2.85 million),
150 labels, some 14 in a set; 40 lags, 1000 bootstrap samples. Ours: counts of `label_pairs` once a second, then
`association` with intervals and null. The direct way: for each lag every label set of every film multiplied with
the one a lag later, and the same table of films added up anew for each bootstrap sample. It is timed at three lags,
in alternation with ours at the same lags and with our whole run. Times are medians of five turns, with the least and
the greatest, `load` the highest load average before one, `quiet` whether that leaves others no more than .5. Writes
benchmarks/results/timescales.csv and a record.
"""

import resource
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from benchmarks.turns import load, loaded, spread
from validation.label_worlds import LabelWorld, simulate
from validation.presence import presence

from semanticcmc.run import atomic, record, write_json
from semanticcmc.timescales.association import association
from semanticcmc.timescales.curves import TimescalesConfig, film_draws, lag_grid
from semanticcmc.timescales.decay import half_lives
from semanticcmc.timescales.pairs import label_pairs

RESULTS = Path(__file__).parent / "results"
CONFIG = TimescalesConfig(
    lags=40,
    labels=150,
    min_confidence=0.0,
    step_s=1.0,
    frame_px=(18, 32),
    bootstrap_samples=1000,
    null_samples=1,
    confidence=0.95,
    seed=0,
    looks=None,
)
LAGS_S = [0.0, 1.0, 60.0, 1800.0]  # timed in alternation
TURNS = 5
DIRECT_SAMPLES = 20  # bootstrap samples that the direct way is timed on; the rest take as long each


def ours(stream, lags_s):
    """Curve with intervals and null, and its half-lives."""
    curve = association(label_pairs(stream, lags_s, CONFIG), CONFIG)
    return curve, half_lives([curve], CONFIG)


def direct(stream, names, lags_s):
    """Seconds that the direct way takes for tables of all lags and all bootstrap samples."""
    start, added_s = time.perf_counter(), 0.0
    draws = film_draws(len(stream.movies), CONFIG)[:DIRECT_SAMPLES]
    seen = [presence(stream, movie_id, names).astype(np.float32) for movie_id in stream.movies]
    for lag_s in lags_s:
        steps = round(lag_s / 0.2)
        tables = [film[: len(film) - steps].T @ film[steps:] for film in seen]
        added = time.perf_counter()
        for draw in draws:
            sum(times * table for times, table in zip(draw, tables, strict=True))
        added_s += time.perf_counter() - added
    return time.perf_counter() - start + added_s * (CONFIG.bootstrap_samples / DIRECT_SAMPLES - 1)


def main():
    """Time both and write the table."""
    films = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    world = LabelWorld(
        durations_s=(5700.0,) * films,
        interval_s=0.2,
        half_life_s=60.0,
        groups=30,
        labels_per_group=5,
        active=0.15,
        hit=0.5,
        false_alarm=0.025,
        film_base_rate_sd=0.7,
        seed=0,
    )
    stream, truth = simulate(world)
    turns, loads = {"all_lags_s": [], "one_lag_s": [], "one_lag_direct_s": []}, []
    for _ in range(TURNS):
        loads.append(load())
        start = time.perf_counter()
        ours(stream, LAGS_S)
        turns["one_lag_s"].append((time.perf_counter() - start) / len(LAGS_S))
        turns["one_lag_direct_s"].append(direct(stream, truth.labels, LAGS_S) / len(LAGS_S))
        start = time.perf_counter()
        curve, found = ours(stream, lag_grid(0.2, 5699.0, CONFIG.lags))
        turns["all_lags_s"].append(time.perf_counter() - start)
    row = {"films": films, "label_sets": int(stream.times["count"].sum()), "labels": len(stream.labels)}
    row["lags"] = len(curve.lags_s)
    for name, seconds in turns.items():
        row |= spread(name, seconds)
    row["times_as_fast"] = row["one_lag_direct_s"] / row["one_lag_s"]
    # Of the whole run, the direct way's included.
    row["peak_memory_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    row |= {"half_life_s_of_60": found["half_life_s"].iloc[0]} | loaded(loads, torch.get_num_threads())
    table = pd.DataFrame([row])
    print(table.T.to_string(header=False))
    with atomic(RESULTS / "timescales.csv") as temporary:
        table.to_csv(temporary, index=False, float_format="%.4g")
    write_json(RESULTS / "timescales.json", record(CONFIG, 0, films=films, turns=TURNS))


if __name__ == "__main__":
    main()
