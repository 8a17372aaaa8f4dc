"""Double semi-partialling against Smouse's partial test, both by cosets: one run, one thread, five turns.

    python -m benchmarks.partial           (a minute)

Writes benchmarks/results/partial.csv and a record beside it. Columns are those of benchmarks/mantel.py; `ratio` is the
time against Smouse's test.
"""

import os

os.environ |= {
    name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
}

import functools
import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from benchmarks.mantel import in_turns, measured
from scipy.spatial.distance import pdist, squareform

from semanticcmc.rsa.mantel import mantel_table
from semanticcmc.rsa.permutation import PARTIALS
from semanticcmc.run import atomic, record, write_json

torch.set_num_threads(1)
RESULTS = Path(__file__).parent / "results"
PERMUTATIONS = 9999
TABLES = ((1, 1), (10, 2))  # RDMs and models
COLUMNS = ["partial", "n", "rdms", "models", "permutations", "seconds", "low", "high", "load", "quiet", "ratio"]


def rows(n, count, models):
    """Both tests of one table, with one control for all RDMs."""
    rng = np.random.default_rng(n)
    points = rng.standard_normal((n, 10))
    noisy = [squareform(pdist(points + rng.standard_normal((n, 10)))) for _ in range(count + models + 1)]
    given = (dict(enumerate(noisy[:count])), dict(enumerate(noisy[count:-1])), noisy[-1], PERMUTATIONS)
    timed, load = in_turns({partial: functools.partial(mantel_table, *given, partial=partial) for partial in PARTIALS})
    numbers = {partial: measured(seconds, load) for partial, seconds in timed.items()}
    return [(key, n, count, models, PERMUTATIONS, *of, of[0] / numbers["smouse"][0]) for key, of in numbers.items()]


def main():
    """Time all tables and write them."""
    found = [row for n, (count, models) in itertools.product((48, 256, 1000), TABLES) for row in rows(n, count, models)]
    table = pd.DataFrame(found, columns=COLUMNS)
    print(table.to_string(index=False))
    with atomic(RESULTS / "partial.csv") as temporary:
        table.to_csv(temporary, index=False, float_format="%.5g")
    write_json(RESULTS / "partial.json", record(permutations=PERMUTATIONS))


if __name__ == "__main__":
    main()
