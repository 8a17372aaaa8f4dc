"""Mantel tests and RDM building against their peers: one run, one thread, medians, ratios.

    python benchmarks/mantel.py           (some 15 minutes; R's vegan is measured where Rscript has it)
    python benchmarks/mantel.py --quick   (2 minutes: fewer items)

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

from semanticcmc.mantel import mantel, mantel_table, partial_mantel
from semanticcmc.rdm import from_class_means
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


def median_s(call, repeats):
    call()  # once for compilation and caches
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


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


def ours(n, x, y, z):
    rows = []
    for test, call in (
        ("simple", lambda p: mantel(x, y, p)),
        ("partial", lambda p: partial_mantel(x, y, z, p)),
    ):
        timed = {p: median_s(lambda p=p: call(p), 11 if n * p < 3e7 else 5) for p in PERMUTATIONS}  # noqa: B023
        rows += rows_of("cosets", test, n, timed)
        few, more = (count // 4 for count in peer_runs(n))
        slow = {p: median_s(lambda p=p: (mantel(x, y, p, reference="independent") if test == "simple" else  # noqa: B023
                partial_mantel(x, y, z, p, reference="independent")), 1) for p in (max(few, 1), more)}  # fmt: skip
        rows += rows_of("independent", test, n, slow)
    return rows


def scikit_bio(n, x, y):
    from skbio import DistanceMatrix
    from skbio.stats.distance import mantel as test

    x, y = DistanceMatrix(x), DistanceMatrix(y)
    rows = []
    for engine in ("cython", "numba"):
        options = {"alternative": "greater", "engine": engine}
        timed = {p: median_s(lambda p=p, o=options: test(x, y, permutations=p, **o), 3) for p in peer_runs(n)}
        rows += rows_of(f"scikit-bio ({engine})", "simple", n, timed)
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
    return [
        row
        for test in ("simple", "partial")
        for row in rows_of("vegan", test, n, dict(seconds[test].items()))
    ]


def stack():
    """64 RDMs against 3 models, 10,000 permutations, 1,000 classes."""
    rng = np.random.default_rng(0)
    rdms = {k: squareform(pdist(rng.standard_normal((1000, 10)))) for k in range(64)}
    models = {k: squareform(pdist(rng.standard_normal((1000, 10)))) for k in range(3)}
    control = squareform(pdist(rng.standard_normal((1000, 10))))
    return [("cosets", "64 RDMs x 3 models", 1000, 9999, 9999, median_s(lambda: mantel_table(rdms, models), 3)),
            ("cosets", "64 RDMs x 3 models, partial", 1000, 9999, 9999,
             median_s(lambda: mantel_table(rdms, models, control), 3))]  # fmt: skip


def building():
    """RDM of 1,000 x 43,000 class means, and the float32 product that it is measured against."""
    means = np.random.default_rng(0).gamma(1, size=(1000, 43_000)).astype(np.float32)
    tensor, names = torch.from_numpy(means), [str(k) for k in range(1000)]
    rows = [("float32 product", "RDM 1000 x 43000", 1000, 0, 0, median_s(lambda: tensor @ tensor.T, 5))]
    for name, values in (("float32 means", means), ("float64 means", means.astype(np.float64))):
        rows.append((f"from_class_means, {name}", "RDM 1000 x 43000", 1000, 0, 0,
                     median_s(lambda values=values: from_class_means(values, names), 5)))  # fmt: skip
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="100 and 300 items only, nothing written")
    quick = parser.parse_args().quick
    rows = []
    for n in (100, 300) if quick else (100, 300, 1000, 3000):
        x, y, z = matrices(n)
        rows += [*ours(n, x, y, z), *scikit_bio(n, x, y), *vegan(n, x, y, z)]
        print(f"{n} items done", flush=True)
    if not quick:
        rows += [*stack(), *building()]
    table = pd.DataFrame(rows, columns=["tool", "test", "n", "permutations", "permutations_run", "seconds"])
    reference = (
        table[table.tool.isin(["cosets", "float32 product"])].set_index(["test", "n", "permutations"]).seconds
    )
    keys = list(table[["test", "n", "permutations"]].itertuples(index=False, name=None))
    table["ratio"] = table.seconds.to_numpy() / reference.loc[keys].to_numpy()
    print(table.to_string(index=False, float_format="{:.4g}".format))
    if not quick:
        with atomic(RESULTS / "mantel.csv") as temporary:
            table.to_csv(temporary, index=False, float_format="%.5g")
        write_json(RESULTS / "mantel.json", record(seed=0, threads=1))


if __name__ == "__main__":
    main()
