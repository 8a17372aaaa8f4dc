"""Looks by lag: one Fourier transform of a film against loops over lags and over pairs, in one run on one thread.

    python -m benchmarks.appearance           (some 5 minutes)
    python -m benchmarks.appearance --quick   (half a minute: shorter films, no run at poster scale)

The peers do the same sums directly: for every lag the differences of the film and itself shifted by it (numpy), and
the differences of all pairs (`scipy.spatial.distance.pdist`). `seconds` are medians of five turns taken in alternation,
with the least and the greatest; `load` is the highest load average before one, `quiet` whether that leaves others no
more than .5; `ratio` is the time against ours on the same film. The run at the published scale (573,000 frames of
32 x 18 pixels in 100 films, curves with intervals and null at 40 lags) starts from frames in memory: reading JPEGs is
not counted.
Writes benchmarks/results/appearance.csv and a record of versions and machine beside it.
"""

import os

os.environ |= {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}

import argparse
import resource
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from benchmarks.turns import load, loaded, spread
from scipy.spatial.distance import pdist

from semanticcmc.run import atomic, record, write_json
from semanticcmc.timescales.appearance import compare_frames, lagged_differences, persistence
from semanticcmc.timescales.curves import TimescalesConfig, lag_grid

RESULTS = Path(__file__).parent / "results"
HEIGHT, WIDTH = 18, 32
POSTER_FILMS, POSTER_FRAMES = 100, 5730
TURNS = 5
CONFIG = TimescalesConfig(
    lags=40,
    labels=150,
    min_confidence=0.0,
    step_s=1.0,
    frame_px=(HEIGHT, WIDTH),
    bootstrap_samples=1000,
    null_samples=100,
    confidence=0.95,
    seed=0,
    looks=None,
)


def pictures(frames, seed=0):
    """Shots of random pictures, uint8 (frames, 3 * height * width)."""
    generator = np.random.default_rng(seed)
    shot = np.cumsum(generator.random(frames) < 0.2)
    return generator.integers(0, 256, (shot[-1] + 1, 3 * HEIGHT * WIDTH), dtype=np.uint8)[shot]


def by_lag(film):
    """Mean squared difference at every lag, a lag at a time."""
    moments = film.astype(np.float32)
    return np.array([((moments[lag:] - moments[: len(moments) - lag]) ** 2).sum(1).mean() for lag in range(len(film))])


def by_pair(film):
    """The same from all pairs."""
    distances, n = pdist(film.astype(np.float32), "sqeuclidean"), len(film)
    first, second = np.triu_indices(n, 1)
    sums = np.bincount(second - first, distances, n)
    return sums / np.arange(n, 0, -1)


def timed(calls, turns, threads=1):
    """Seconds of each call, in alternation, and the load."""
    seconds, loads = {name: [] for name in calls}, []
    for _ in range(turns):
        loads.append(load())
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return {name: spread("seconds", found) | loaded(loads, threads) for name, found in seconds.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="shorter films, no run at poster scale")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    rows = []
    for frames in (300, 600) if quick else (300, 1200, 2400):
        film = pictures(frames)
        calls = {
            "fft": lambda film=film: lagged_differences(film).squared,
            "loop over lags": lambda film=film: by_lag(film),
            "all pairs": lambda film=film: by_pair(film),
        }
        ours = calls["fft"]()
        for peer in ("loop over lags", "all pairs"):
            np.testing.assert_allclose(ours, calls[peer](), rtol=1e-3, atol=1)
        found = timed(calls, 1 if quick else TURNS)
        film = {"films": 1, "frames_per_film": frames}
        ours_s = found["fft"]["seconds"]
        rows += [{"method": name} | film | of | {"ratio": of["seconds"] / ours_s} for name, of in found.items()]
        print(*rows[-3:], sep="\n", flush=True)
    if not quick:
        torch.set_num_threads(2)
        films = torch.from_numpy(np.concatenate([pictures(POSTER_FRAMES, seed) for seed in range(POSTER_FILMS)]))
        index = pd.DataFrame(
            {
                "movie_id": np.repeat([f"film-{i:03d}" for i in range(POSTER_FILMS)], POSTER_FRAMES),
                "time_s": np.tile(np.arange(POSTER_FRAMES), POSTER_FILMS),
            }
        )

        def whole():
            looks = compare_frames(index, films, lag_grid(1.0, POSTER_FRAMES - 1, CONFIG.lags), correlation=True)
            persistence("appearance", looks, CONFIG)

        name = "fft, curves with intervals and null, 2 threads"
        found = timed({name: whole}, TURNS, threads=2)[name]
        peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        size = {"films": POSTER_FILMS, "frames_per_film": POSTER_FRAMES, "peak_memory_gib": peak_gib}
        rows.append({"method": name} | size | found)
        print(rows[-1])
    table = pd.DataFrame(rows)
    if quick:
        print(table.to_string())
        return
    with atomic(RESULTS / "appearance.csv") as path:
        table.to_csv(path, index=False, float_format="%.4g")
    write_json(RESULTS / "appearance.json", record(seed=0, threads=1))


if __name__ == "__main__":
    main()
