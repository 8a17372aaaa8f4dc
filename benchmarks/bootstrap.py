"""Bootstrap intervals and comparisons of a study: 10 networks of 7 layers, 4 models, 1,000 samples of 1,000 classes.

    python -m benchmarks.bootstrap                    (about 4 minutes, 3 GB of memory; one core)
    python -m benchmarks.bootstrap --classes 200 --rounds 2        (on a busy machine)

`intervals` is of all 70 RDMs, without a control and with one a layer (an untrained network's RDM); `compare` of the
10 networks of one layer, with its control. Standardising is not in it. `cpu_s` is the processor time of all threads,
the median of the turns, which alternate; `load` the machine's mean load of the last minute, `quiet` whether it was at
most 1.5. Writes benchmarks/results/bootstrap.csv and a record beside it.
"""

import os

os.environ |= {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}

import argparse
import time
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
from benchmarks.turns import load, loaded, spread

from semanticcmc.rsa import bootstrap, standardise
from semanticcmc.run import atomic, record, write_json

RESULTS = Path(__file__).parent / "results"
NETWORKS, LAYERS, MODELS, SAMPLES = 10, 7, 4, 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each call")
    options = parser.parse_args()
    generator = np.random.default_rng(0)

    def rdms(kind, number):
        made = generator.random((number, options.classes, options.classes), dtype=np.float32)
        return {f"{kind} {i}": np.triu(one, 1) + np.triu(one, 1).T for i, one in enumerate(made)}

    networks, models, untrained = rdms("rdm", NETWORKS * LAYERS), rdms("model", MODELS), rdms("untrained", LAYERS)
    control = dict(zip(networks, [one for one in untrained.values() for _ in range(NETWORKS)], strict=True))
    layer = dict(list(networks.items())[:NETWORKS])
    whole, given = (standardise.standardise_table(networks, models, c) for c in (None, control))
    of_layer = standardise.standardise_table(layer, models, untrained["untrained 0"])
    calls = {
        ("intervals", "none", len(networks)): lambda: bootstrap.intervals(whole, SAMPLES, 0.95, 0),
        ("intervals", "one a layer", len(networks)): lambda: bootstrap.intervals(given, SAMPLES, 0.95, 0),
        ("compare", "one a layer", len(layer)): lambda: bootstrap.compare(layer, models, None, SAMPLES),
    }
    turns = {key: [] for key in calls}
    with mock.patch.object(bootstrap, "standardise_table", lambda *_: of_layer):
        for _ in range(options.rounds):
            for key, call in calls.items():
                start, before = time.process_time(), load()
                call()
                turns[key].append((time.process_time() - start, before))
    rows = []
    for (call, given_control, count), found in turns.items():
        seconds, loads = zip(*found, strict=True)
        row = {"call": call, "control": given_control, "rdms": count, "models": MODELS, "samples": SAMPLES}
        rows.append(row | {"classes": options.classes} | spread("cpu_s", seconds) | loaded(loads))
    table = pd.DataFrame(rows)
    print(table.to_string(index=False, float_format="{:.3g}".format))
    with atomic(RESULTS / "bootstrap.csv") as temporary:
        table.to_csv(temporary, index=False, float_format="%.4g")
    write_json(RESULTS / "bootstrap.json", record(vars(options), 0, cores=os.cpu_count()))


if __name__ == "__main__":
    main()
