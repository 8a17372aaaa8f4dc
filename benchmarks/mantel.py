"""Mantel tests and RDM building against their peers: one run, one thread, medians, ratios.

    python -m benchmarks.mantel           (some 15 minutes; R's vegan is measured where Rscript has it)
    python -m benchmarks.mantel --quick   (2 minutes: fewer items)

Peers are timed at a few permutations and the rest is extrapolated along the line through two of them, since their
time is linear in the number of permutations (`permutations_run` says how many were run). Writes
benchmarks/results/mantel.csv and a record of versions and machine beside it. The figure of benchmarks/mantel_figure.py
draws it. `ratio` is the time against ours for the same test (for RDM building, against the float32 product).
"""

import os

os.environ |= {
    name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
}

import argparse
import functools
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.spatial.distance import pdist, squareform
from validation.mantel import independent

from semanticcmc.rsa.mantel import mantel, mantel_table, partial_mantel
from semanticcmc.rsa.rdm import from_class_means
from semanticcmc.run import atomic, record, write_json

torch.set_num_threads(1)
RESULTS = Path(__file__).parent / "results"
PERMUTATIONS = (999, 9_999, 99_999)
PEER_WORK = 4e8  # matrix entries that a peer permutes in its longer run
VEGAN = """
suppressPackageStartupMessages(library(vegan))
arguments <- commandArgs(trailingOnly = TRUE)
n <- as.integer(arguments[2]); runs <- as.integer(strsplit(arguments[3], ",")[[1]])
values <- matrix(readBin(arguments[1], "double", 3 * n * n), ncol = 3)
x <- as.dist(matrix(values[, 1], n)); y <- as.dist(matrix(values[, 2], n)); z <- as.dist(matrix(values[, 3], n))
for (p in runs) {
  cat("simple", p, system.time(mantel(x, y, permutations = p))[["elapsed"]], "\\n")
  cat("partial", p, system.time(mantel.partial(x, y, z, permutations = p))[["elapsed"]], "\\n")
}
"""


def matrices(n):
    """Three distance matrices of the same n noisy points."""
    rng = np.random.default_rng(n)
    points = rng.standard_normal((n, 10))
    return [squareform(pdist(points + rng.standard_normal((n, 10)))) for _ in range(3)]


def medians_s(calls, rounds):
    """Median time of each call, in turns, so that what else the machine does weighs on all alike."""
    for call in calls.values():
        call()  # once for compilation and caches
    seconds = {key: [] for key in calls}
    for _ in range(rounds):
        for key, call in calls.items():
            for _ in range(3 if key[0] == "cosets" else 1):
                start = time.perf_counter()
                call()
                seconds[key].append(time.perf_counter() - start)
    return {key: statistics.median(found) for key, found in seconds.items()}


def rows_of(tool, test, n, timed):
    """A row for each number of permutations, along the line through the two that were timed (or as timed)."""
    if set(timed) == set(PERMUTATIONS):
        return [(tool, test, n, p, p, seconds) for p, seconds in timed.items()]
    (few, few_s), (more, more_s) = sorted(timed.items())
    each_s = max(more_s - few_s, 1e-12) / (more - few)
    return [(tool, test, n, p, more, few_s + (p - few) * each_s) for p in PERMUTATIONS]


def peer_runs(n):
    more = int(np.clip(PEER_WORK / n**2, 10, 4000))
    return more // 4, more


def in_python(n, x, y, z):
    """Rows of ours and of scikit-bio."""
    from skbio import DistanceMatrix
    from skbio.stats.distance import mantel as scikit_bio

    calls, peers = {}, [DistanceMatrix(x), DistanceMatrix(y)]
    for test, run, given in (("simple", mantel, (x, y)), ("partial", partial_mantel, (x, y, z))):
        for p in PERMUTATIONS:
            calls["cosets", test, p] = functools.partial(run, *given, p)
        for p in (max(count // 4, 1) for count in peer_runs(n)):
            calls["independent", test, p] = functools.partial(independent, *(*given, None)[:3], 0, p)
    for engine in ("cython", "numba"):
        for p in peer_runs(n):
            calls[f"scikit-bio ({engine})", "simple", p] = functools.partial(
                scikit_bio, *peers, permutations=p, alternative="greater", engine=engine
            )
    timed = medians_s(calls, 5)
    rows = []
    for tool, test in dict.fromkeys(key[:2] for key in calls):
        rows += rows_of(tool, test, n, {p: s for (a, b, p), s in timed.items() if (a, b) == (tool, test)})
    return rows


def vegan(n, x, y, z):
    if not shutil.which("Rscript"):
        return []
    runs = [max(3, count // 4) for count in peer_runs(n)]
    with tempfile.NamedTemporaryFile(suffix=".bin") as handle:
        np.stack([x, y, z]).tofile(handle)
        handle.flush()
        asked = [str(p) for p in runs for _ in range(3)]
        done = subprocess.run(
            ["Rscript", "-e", VEGAN, handle.name, str(n), ",".join(asked)], capture_output=True, text=True
        )
    if done.returncode:
        print("vegan is not measured:", done.stderr.strip().splitlines()[-1])
        return []
    seconds = pd.DataFrame([line.split() for line in done.stdout.splitlines()], columns=["test", "p", "s"])
    seconds = seconds.astype({"p": int, "s": float}).groupby(["test", "p"]).s.median()
    return [row for test in ("simple", "partial") for row in rows_of("vegan", test, n, dict(seconds[test].items()))]


def stack():
    """64 RDMs against 3 models, 10,000 permutations, 1,000 classes."""
    rng = np.random.default_rng(0)
    rdms, models = ({k: squareform(pdist(rng.standard_normal((1000, 10)))) for k in range(m)} for m in (64, 3))
    control = squareform(pdist(rng.standard_normal((1000, 10))))
    timed = medians_s(
        {
            ("table", "64 RDMs x 3 models"): functools.partial(mantel_table, rdms, models),
            ("table", "64 RDMs x 3 models, partial"): functools.partial(mantel_table, rdms, models, control),
        },
        3,
    )
    return [("cosets", test, 1000, 9999, 9999, seconds) for (_, test), seconds in timed.items()]


def building():
    """RDM of 1,000 x 43,000 class means, and the float32 product that it is measured against."""
    means = np.random.default_rng(0).gamma(1, size=(1000, 43_000)).astype(np.float32)
    tensor, names = torch.from_numpy(means), [str(k) for k in range(1000)]
    double = means.astype(np.float64)
    timed = medians_s(
        {
            ("float32 product",): lambda: tensor @ tensor.T,
            ("from_class_means, float32 means",): lambda: from_class_means(means, names),
            ("from_class_means, float64 means",): lambda: from_class_means(double, names),
        },
        5,
    )
    return [(tool, "RDM 1000 x 43000", 1000, 0, 0, seconds) for (tool,), seconds in timed.items()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="100 and 300 items only, nothing written")
    quick = parser.parse_args().quick
    rows = []
    for n in (100, 300) if quick else (100, 300, 1000, 3000):
        x, y, z = matrices(n)
        rows += [*in_python(n, x, y, z), *vegan(n, x, y, z)]
        print(f"{n} items done", flush=True)
    if not quick:
        rows += [*stack(), *building()]
    table = pd.DataFrame(rows, columns=["tool", "test", "n", "permutations", "permutations_run", "seconds"])
    reference = table[table.tool.isin(["cosets", "float32 product"])].set_index(["test", "n", "permutations"]).seconds
    keys = list(table[["test", "n", "permutations"]].itertuples(index=False, name=None))
    table["ratio"] = table.seconds.to_numpy() / reference.loc[keys].to_numpy()
    print(table.to_string(index=False, float_format="{:.4g}".format))
    if not quick:
        with atomic(RESULTS / "mantel.csv") as temporary:
            table.to_csv(temporary, index=False, float_format="%.5g")
        write_json(RESULTS / "mantel.json", record(seed=0, threads=1))


if __name__ == "__main__":
    main()
