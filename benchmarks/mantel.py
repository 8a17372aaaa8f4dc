"""Mantel tests and RDM building against their peers: one run, one thread, five turns, ratios.

    python -m benchmarks.mantel           (some 7 minutes on a quiet core; vegan is measured where Rscript has it)
    python -m benchmarks.mantel --quick   (a minute: 100 and 300 items, nothing written)

Peers are timed at a few permutations and the rest is extrapolated along the line through two of them, since their
time is linear in the number of permutations (`permutations_run` says how many were run). Times are of the processor:
`seconds` is the median of five turns, in which all tools come one after another, `low` and `high` the least and the
greatest. `load` is the highest load average (1 minute) before a turn, to which the benchmark itself adds 1; rows are
`quiet` up to 1.5. `ratio` is the time against ours for the same test (for RDM building, against the float32 product).
Writes benchmarks/results/mantel.csv and a record of versions and machine beside it, and prints the ratios that are
aimed at. The figure of benchmarks/mantel_figure.py draws it.
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
PEER_WORK = 4e8  # matrix entries that scikit-bio permutes in its longer run; others, which are slower, fewer
TURNS = 5
QUIET_LOAD = 1.5  # load average up to which nothing else runs: the benchmark itself is 1
COLUMNS = ["tool", "test", "n", "permutations", "permutations_run", "seconds", "low", "high", "load", "quiet"]
# Ratio of two rows' seconds, and how much at least (or at most): (tool, test, n), each at 9,999 permutations.
AIMS = (
    (("scikit-bio (cython)", "simple", 1000), ("cosets", "simple", 1000), "at least", 600),
    (("vegan", "partial", 1000), ("cosets", "partial", 1000), "at least", 8000),
    (("scikit-bio (cython)", "simple", 100), ("cosets", "simple", 100), "at least", 30),
    (("cosets", "64 RDMs x 3 models", 1000), ("cosets", "simple", 1000), "at most", 17),
)
VEGAN = """
suppressPackageStartupMessages(library(vegan))
arguments <- commandArgs(trailingOnly = TRUE)
n <- as.integer(arguments[2]); runs <- as.integer(strsplit(arguments[3], ",")[[1]])
values <- matrix(readBin(arguments[1], "double", 3 * n * n), ncol = 3)
x <- as.dist(matrix(values[, 1], n)); y <- as.dist(matrix(values[, 2], n)); z <- as.dist(matrix(values[, 3], n))
for (p in runs) {
  cat("simple", p, sum(system.time(mantel(x, y, permutations = p))[1:2]), "\\n")
  cat("partial", p, sum(system.time(mantel.partial(x, y, z, permutations = p))[1:2]), "\\n")
}
"""


def matrices(n):
    """Three distance matrices of the same n noisy points."""
    rng = np.random.default_rng(n)
    points = rng.standard_normal((n, 10))
    return [squareform(pdist(points + rng.standard_normal((n, 10)))) for _ in range(3)]


def in_turns(calls, turns=TURNS):
    """Processor time of each call in each of the turns, and the highest load average before one."""
    for call in calls.values():
        call()  # once for compilation and caches
    seconds, load = {key: [] for key in calls}, 0.0
    for _ in range(turns):
        load = max(load, os.getloadavg()[0])
        for key, call in calls.items():
            found = []
            while len(found) < 20 and sum(found) < 0.1:  # what is short, some times
                start = time.process_time()
                call()
                found.append(time.process_time() - start)
            seconds[key].append(statistics.median(found))
    return seconds, load


def measured(seconds, load):
    """Median, least and greatest of the turns, the load, and whether it was quiet."""
    return statistics.median(seconds), min(seconds), max(seconds), load, load <= QUIET_LOAD


def rows_of(tool, test, n, timed, load):
    """A row for each number of permutations, along the line through the two that were timed (or as timed)."""
    if set(timed) == set(PERMUTATIONS):
        return [(tool, test, n, p, p, *measured(seconds, load)) for p, seconds in timed.items()]
    (few, few_s), (more, more_s) = sorted(timed.items())
    each_s = [max(b - a, 1e-12) / (more - few) for a, b in zip(few_s, more_s, strict=True)]
    lines = {p: [s + (p - few) * each for s, each in zip(few_s, each_s, strict=True)] for p in PERMUTATIONS}
    return [(tool, test, n, p, more, *measured(seconds, load)) for p, seconds in lines.items()]


def peer_runs(n, work=PEER_WORK):
    more = int(np.clip(work / n**2, 8, 4000))
    return more // 4, more


def in_python(n, x, y, z):
    """Rows of ours and of scikit-bio."""
    from skbio import DistanceMatrix
    from skbio.stats.distance import mantel as scikit_bio

    calls, peers = {}, [DistanceMatrix(x), DistanceMatrix(y)]
    for test, run, given in (("simple", mantel, (x, y)), ("partial", partial_mantel, (x, y, z))):
        for p in PERMUTATIONS:
            calls["cosets", test, p] = functools.partial(run, *given, p)
        for p in peer_runs(n, PEER_WORK / 10) if n < 3000 else ():
            calls["independent", test, p] = functools.partial(independent, *(*given, None)[:3], 0, p)
    for engine in ("cython", "numba"):
        for p in peer_runs(n):
            calls[f"scikit-bio ({engine})", "simple", p] = functools.partial(
                scikit_bio, *peers, permutations=p, alternative="greater", engine=engine
            )
    timed, load = in_turns(calls)
    rows = []
    for tool, test in dict.fromkeys(key[:2] for key in calls):
        rows += rows_of(tool, test, n, {p: s for (a, b, p), s in timed.items() if (a, b) == (tool, test)}, load)
    return rows


def vegan(n, x, y, z):
    if not shutil.which("Rscript"):
        return []
    with tempfile.NamedTemporaryFile(suffix=".bin") as handle:
        np.stack([x, y, z]).tofile(handle)
        handle.flush()
        asked = ",".join(map(str, peer_runs(n, PEER_WORK / 10) * TURNS))
        load = os.getloadavg()[0]
        done = subprocess.run(["Rscript", "-e", VEGAN, handle.name, str(n), asked], capture_output=True, text=True)
        load = max(load, os.getloadavg()[0])
    if done.returncode:
        print("vegan is not measured:", done.stderr.strip().splitlines()[-1])
        return []
    timed = {}
    for test, p, seconds in (line.split() for line in done.stdout.splitlines()):
        timed.setdefault(test, {}).setdefault(int(p), []).append(float(seconds))
    return [row for test, of_test in timed.items() for row in rows_of("vegan", test, n, of_test, load)]


def stack():
    """64 RDMs against 3 models, 10,000 permutations, 1,000 classes."""
    rng = np.random.default_rng(0)
    rdms, models = ({k: squareform(pdist(rng.standard_normal((1000, 10)))) for k in range(m)} for m in (64, 3))
    control = squareform(pdist(rng.standard_normal((1000, 10))))
    timed, load = in_turns(
        {
            "64 RDMs x 3 models": functools.partial(mantel_table, rdms, models),
            "64 RDMs x 3 models, partial": functools.partial(mantel_table, rdms, models, control),
        }
    )
    return [("cosets", test, 1000, 9999, 9999, *measured(seconds, load)) for test, seconds in timed.items()]


def building():
    """RDM of 1,000 x 43,000 class means, and the float32 product that it is measured against."""
    means = np.random.default_rng(0).gamma(1, size=(1000, 43_000)).astype(np.float32)
    tensor, names = torch.from_numpy(means), [str(k) for k in range(1000)]
    double = means.astype(np.float64)
    timed, load = in_turns(
        {
            "float32 product": lambda: tensor @ tensor.T,
            "from_class_means, float32 means": lambda: from_class_means(means, names),
            "from_class_means, float64 means": lambda: from_class_means(double, names),
        }
    )
    return [(tool, "RDM 1000 x 43000", 1000, 0, 0, *measured(seconds, load)) for tool, seconds in timed.items()]


def aims(table):
    """Sentences: the ratios that are aimed at, and what they are."""
    seconds = table.query("permutations == 9999").set_index(["tool", "test", "n"]).seconds
    for over, under, bound, aim in AIMS:
        what = f"{' '.join(map(str, over))} / {' '.join(map(str, under))}, 9,999 permutations"
        if over in seconds.index and under in seconds.index:
            yield f"{what}: {seconds[over] / seconds[under]:.0f} (aim: {bound} {aim})"
        else:
            yield f"{what}: not measured (aim: {bound} {aim})"


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
    table = pd.DataFrame(rows, columns=COLUMNS)
    reference = table[table.tool.isin(["cosets", "float32 product"])].set_index(["test", "n", "permutations"]).seconds
    keys = list(table[["test", "n", "permutations"]].itertuples(index=False, name=None))
    table["ratio"] = table.seconds.to_numpy() / reference.loc[keys].to_numpy()
    print(table.to_string(index=False, float_format="{:.4g}".format))
    print(*aims(table), sep="\n")
    if not quick:
        with atomic(RESULTS / "mantel.csv") as temporary:
            table.to_csv(temporary, index=False, float_format="%.5g")
        write_json(RESULTS / "mantel.json", record(seed=0, threads=1))


if __name__ == "__main__":
    main()
