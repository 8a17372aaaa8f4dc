"""What a partial Mantel test may permute: type I error and power of Smouse's test and of double semi-partialling.

    python -m validation.partial_tests [data sets a case]

A few minutes on one core. X shares Z with Y and nothing else (type I), or some of what Z leaves of Y (power): X = .7
Z + E. Y is a model: categories (same or different; classes of one category are alike in Z) or graded (distances that
share Z). E and Z are skewed: distances of cubed normal numbers, of which a few lie far out. Both tests are given the
same data sets and the same permutations by cosets; 20 X are drawn for each Y and Z, which the intervals allow for.
Writes validation/partial_tests.csv, a record and a figure.
"""

import os

os.environ |= {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}

import itertools
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.spatial.distance import pdist, squareform
from scipy.stats import binomtest

from semanticcmc.rsa.mantel import mantel_table
from semanticcmc.rsa.permutation import PARTIALS
from semanticcmc.run import Progress, atomic, record, write_json

torch.set_num_threads(1)
HERE = Path(__file__).parent
SETS = 10_000  # X a case
TOGETHER = 20  # X with one Y and Z
LEVELS = (0.05, 0.01, 0.001)
SIZES = {12: 4, 48: 8, 256: 16}  # items, and categories
POWER = {12: 0.6, 48: 0.12, 256: 0.03}  # weight in X of what Z leaves of Y, by items
PERMUTATIONS = 1999


def skewed(points):
    """Distances of cubed points, standardised over pairs."""
    values = pdist(points**3)
    return (values - values.mean()) / values.std()


def data_set(model, n, effect, rng, count=TOGETHER):
    """Some X, Y and Z as squares; Y is a model that is correlated with Z (r about .3)."""
    category = np.repeat(np.arange(SIZES[n]), n // SIZES[n])
    looks = rng.standard_normal((n, 2))
    if model == "category":
        y = pdist(category[:, None]) > 0
        looks = looks + 1.5 * rng.standard_normal((SIZES[n], 2))[category]
        z = skewed(looks)
    else:
        z = skewed(looks)
        y = skewed(rng.standard_normal((n, 2))) + 0.35 * z
    left = y - np.polyval(np.polyfit(z, y, 1), z)
    shared = 0.7 * z + effect * left / left.std()
    x = [shared + skewed(rng.standard_normal((n, 2))) for _ in range(count)]
    return [squareform(one) for one in x], squareform(y.astype(float)), squareform(z)


def case(study, model, n, sets):
    """One row a test and level: the share of p at or below it, with its 99 % interval."""
    rng = np.random.default_rng([n, model == "graded", study == "power"])
    p = {partial: [] for partial in PARTIALS}
    for number in range(sets // TOGETHER):
        x, y, z = data_set(model, n, POWER[n] if study == "power" else 0.0, rng)
        for partial, found in p.items():
            table = mantel_table(dict(enumerate(x)), {"y": y}, z, PERMUTATIONS, seed=number, partial=partial)
            found.append(table["p"])
    rows = []
    for (partial, found), level in itertools.product(p.items(), LEVELS):
        share, low, high = rejected(np.array(found) <= level)
        rows.append((study, model, n, partial, sets, PERMUTATIONS, level, share, low, high))
    return rows


def rejected(found):
    """Share of (groups, X) that is true, and its interval: Wilson's, of as many as they are worth, being in groups."""
    share = found.mean()
    spread = found.mean(1).var(ddof=1) / len(found)
    alone = max(share * (1 - share), 1e-12) / found.size
    size = int(found.size / max(1.0, spread / alone))
    low, high = binomtest(round(share * size), size).proportion_ci(0.99, method="wilson")
    return share, low, high


def study(sets=SETS, sizes=tuple(SIZES), keep=None):
    """All cases; `keep(table)` is called after each, of which power has fewer data sets."""
    columns = ["study", "model", "n", "partial", "sets", "permutations", "level", "rejected", "low", "high"]
    cases = list(itertools.product(sizes, ("category", "graded"), ("type_i", "power")))
    progress, rows = Progress("validation of partial tests", len(cases)), []
    for number, (n, model, what) in enumerate(cases, 1):
        rows += case(what, model, n, sets // (5 if what == "power" else 1))
        if keep:
            keep(pd.DataFrame(rows, columns=columns))
        progress.update(number)
    return pd.DataFrame(rows, columns=columns)


def draw(table, path):
    """Rejected shares against their level, by items and model."""
    import matplotlib.pyplot as plt

    from semanticcmc.figures import style

    style.use_house_style()
    figure, axes = plt.subplots(1, 2, figsize=(2 * style.COLUMN_IN, style.COLUMN_IN), sharey=True)
    for ax, (model, part) in zip(axes, table[table.study == "type_i"].groupby("model"), strict=True):
        for (place, n), (shift, (partial, marker)) in itertools.product(
            enumerate(SIZES), zip((-0.05, 0.05), (("smouse", "o"), ("dsp", "s")), strict=True)
        ):
            one = part[(part.n == n) & (part.partial == partial)]
            if one.empty:
                continue
            at = np.arange(len(one)) + 4 * place + 3 * shift
            error = np.abs(one[["low", "high"]].to_numpy().T - one.rejected.to_numpy()) / one.level.to_numpy()
            colour = "black" if partial == "dsp" else "0.5"
            ax.errorbar(at, one.rejected / one.level, error, fmt=marker, color=colour, markersize=4, linewidth=0.8,
                        label=partial if place == 0 else None)  # fmt: skip
        ax.axhline(1, color="0.5", linewidth=0.8)
        ticks = [4 * place + k for place in range(3) for k in range(3)]
        ax.set_xticks(ticks, [f"{level:g}" for _ in SIZES for level in LEVELS], fontsize=style.SMALL_PT, rotation=90)
        ax.set(title=model, xlabel="level, for " + ", ".join(map(str, SIZES)) + " items")
    axes[0].set_ylabel("rejected / level")
    axes[0].legend(fontsize=style.SMALL_PT)
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=150, bbox_inches="tight")


def main():
    """Run all cases, or with fewer data sets, and write table, record and figure."""
    sets = int(sys.argv[1]) if len(sys.argv) > 1 else SETS

    def keep(table):
        with atomic(HERE / "partial_tests.csv") as temporary:
            table.to_csv(temporary, index=False, float_format="%.5f")

    table = study(sets, keep=keep)
    print(table.to_string(index=False, float_format="{:.4f}".format))
    draw(table, HERE / "partial_tests.png")
    settings = {"sizes": SIZES, "effects": POWER, "permutations": PERMUTATIONS}
    write_json(HERE / "partial_tests.json", record(seed=0, sets=sets, **settings))


if __name__ == "__main__":
    main()
