"""Are Mantel tests by cosets valid, and as strong as by independent permutations? (some 15 minutes on one core)

    python -m validation.mantel

Studies: type I error where the null holds (`type_i`: simple, X and Y independent; partial, X = a Z + E), and where a
partial Mantel test is known not to hold its level (`type_i_beyond`: class features that are independent only given
those behind Z; items that resemble their neighbours); `power` on the same data as independent permutations; and
the variance of p over seeds, as a multiple of the binomial variance of as many independent permutations
(`variance`), also for items sorted by class. Data are skewed: distances of cubed normal numbers, so that a few items
lie far out. Writes validation/mantel.csv and a record beside it.
"""

import math
import os

os.environ |= {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.spatial.distance import pdist, squareform
from scipy.stats import binomtest

from semanticcmc.rsa.mantel import mantel, partial_mantel
from semanticcmc.rsa.permutation import TIE, partial_correlation
from semanticcmc.rsa.standardise import standardise
from semanticcmc.run import Progress, atomic, record, write_json

torch.set_num_threads(1)
HERE = Path(__file__).parent
LEVELS = (0.05, 0.01)
PERMUTATIONS = 999
AT_ONCE = 2**21  # distances of independent permutations
NULLS = 6000


def distances(points):
    """Square Euclidean distances."""
    return squareform(pdist(points))


def skewed(n, rng):
    """Distances of n points in 2 dimensions, most near each other, some far out."""
    return distances(rng.standard_normal((n, 2)) ** 3)


def simple_null(n, rng):
    """X and Y that have nothing to do with each other."""
    return skewed(n, rng), skewed(n, rng), None


def partial_null(n, rng, make=skewed):
    """X and Y that share Z, added to each, and nothing else."""
    z, e = make(n, rng), make(n, rng)
    return 0.7 * z + e, make(n, rng) + 0.7 * z, z


def partial_null_normal(n, rng):
    """As `partial_null`, of points without far outliers."""
    return partial_null(n, rng, lambda n, rng: distances(rng.standard_normal((n, 3))))


def independent_given_features(n, rng):
    """X, Y and Z each measure the same class features with noise of their own: nothing but Z links X and Y."""
    features = rng.standard_normal((n, 5))
    return (*(distances(features + rng.standard_normal((n, 5))) for _ in range(2)), distances(features))


def autocorrelated(n, rng):
    """X and Y are independent, but each item resembles its neighbours, and Z is their distance along the line."""
    walks = [np.cumsum(rng.standard_normal((n, 2)), axis=0) for _ in range(2)]
    return (*(distances(walk) for walk in walks), distances(np.arange(n)[:, None]))


def related(n, rng, noise):
    """X and Y that measure the same points with noise; Z has nothing to do with them."""
    points = rng.standard_normal((n, 3))
    return (*(distances(points + noise * rng.standard_normal((n, 3))) for _ in range(2)), skewed(n, rng))


def independent(x, y, z, seed, permutations):
    """P as of `p_value`, of permutations drawn one by one: Y moves with Z, whose correlation stays."""
    stack = standardise({"x": x, "y": y} | ({} if z is None else {"z": z}))
    n, rng = len(x), np.random.default_rng(seed)
    first, second = torch.triu_indices(n, n, 1)
    fixed, size = stack[0, first, second], max(1, AT_ONCE // len(first))

    def statistics(orders):
        r, *of_z = stack[1:, orders[:, first], orders[:, second]] @ fixed
        r_yz = (stack[1] * stack[-1]).sum()[None, None] / 2
        return partial_correlation(r, torch.stack(of_z), r_yz) if of_z else r

    least, count = statistics(torch.arange(n)[None]) - TIE, 1
    for start in range(0, permutations, size):
        orders = rng.permuted(np.tile(np.arange(n), (min(size, permutations - start), 1)), axis=1)
        count += int((~(statistics(torch.from_numpy(orders)) < least)).sum())
    return count / (permutations + 1)


def p_value(x, y, z, seed, permutations=PERMUTATIONS, reference="cosets"):
    """P of the partial test, or of the simple one where there is no Z."""
    if reference == "independent":
        return independent(x, y, z, seed, permutations)
    options = {"permutations": permutations, "seed": seed}
    return mantel(x, y, **options).p if z is None else partial_mantel(x, y, z, **options).p


def rejections(study, condition, n, p, permutations, reference="cosets"):
    """One row a level: the share of p at or below it, with its 99 % interval."""
    rows = []
    for level in LEVELS:
        share = binomtest(int(np.sum(np.array(p) <= level)), len(p))
        low, high = share.proportion_ci(0.99, method="wilson")
        rows.append(
            (study, condition, reference, n, permutations, len(p), f"rejected at {level}", share.statistic, low, high)
        )
    return rows


def type_i(study, condition, make, n, nulls, progress, reference="cosets"):
    """Rejections over `nulls` data sets."""
    rng, p = np.random.default_rng([n, len(condition)]), []
    for case in range(nulls):
        p.append(p_value(*make(n, rng), seed=case, reference=reference))
        if case % 100 == 99:
            progress.step(100)
    return rejections(study, condition, n, p, PERMUTATIONS, reference)


def power(n, noise, cases, progress):
    """Rejections by cosets and by independent permutations of the same data sets, every other one partial."""
    rng, p = np.random.default_rng(n), {"cosets": [], "independent": []}
    for case in range(cases):
        x, y, z = related(n, rng, noise)
        for reference, found in p.items():
            found.append(p_value(x, y, z if case % 2 else None, case, 199, reference))
        if case % 20 == 19:
            progress.step(20)
    return [
        row
        for reference, found in p.items()
        for row in rejections("power", "simple and partial", n, found, 199, reference)
    ]


def variance(condition, x, y, seeds, permutations, progress):
    """Variance of p over seeds, against that of as many independent permutations."""
    p, size = [], 0
    for seed in range(seeds):
        found = mantel(x, y, permutations, seed=seed)
        p.append(found.p)
        size = found.permutations + 1
    progress.step(seeds)
    mean = float(np.mean(p))
    ratio = float(np.var(p, ddof=1)) / (mean * (1 - mean) / size)
    error = math.sqrt(2 / (seeds - 1)) * 2.6  # 99 %, as for a variance of normal numbers
    return [
        ("variance", condition, "cosets", len(x), permutations, seeds, "p", mean, math.nan, math.nan),
        (
            "variance",
            condition,
            "cosets",
            len(x),
            permutations,
            seeds,
            "variance against independent",
            ratio,
            ratio / (1 + error),
            ratio * (1 + error),
        ),
    ]


def with_p_near(target, n, make, rng):
    """The first of some data sets whose p lies near `target`: where p varies, its variance can be seen."""
    return min((make(n, rng) for _ in range(30)), key=lambda xyz: abs(p_value(*xyz[:2], None, 0) - target))[:2]


class Steps:
    """Progress in steps."""

    def __init__(self, total):
        self.progress, self.done = Progress("validation of Mantel tests", total), 0

    def step(self, count):
        """Count some steps as done."""
        self.done += count
        self.progress.update(self.done)


def studies(nulls=NULLS, cases=1000, seeds=300, largest=1000):
    """Run all studies; smaller numbers for a trial."""
    sizes = [n for n in (12, 50, 300) if n <= largest]
    spread = [(n, p) for n in (12, 48, 100, 300, 1000) for p in (999, 9999) if n <= largest]
    third = nulls // 3
    steps = Steps(nulls * 3 * len(sizes) + 2 * nulls + 2 * third + 2 * cases + (len(spread) + 2) * seeds)
    rows = []
    for n in sizes:
        rows += type_i("type_i", "simple, independent, skewed", simple_null, n, nulls, steps)
        rows += type_i("type_i", "partial, X = 0.7 Z + E, normal", partial_null_normal, n, nulls, steps)
        rows += type_i("type_i", "partial, X = 0.7 Z + E, skewed", partial_null, n, nulls, steps)
    for n in (12, 50):  # few skewed items: neither reference holds the level, since it is not E that is permuted
        rows += type_i("type_i", "partial, X = 0.7 Z + E, skewed", partial_null, n, nulls, steps, "independent")
    given, along = "partial, features independent given Z's", "partial, autocorrelated items"
    rows += type_i("type_i_beyond", given, independent_given_features, 50, third, steps)
    rows += type_i("type_i_beyond", along, autocorrelated, 50, third, steps)
    for n, noise in ((12, 1.0), (50, 2.2)):
        rows += power(n, noise, cases, steps)
    rng = np.random.default_rng(1)
    for n, permutations in spread:
        few = seeds if n < 1000 else seeds // 2
        rows += variance("skewed", *with_p_near(0.2, n, simple_null, rng), few, permutations, steps)
    classes = np.repeat(np.arange(8), 6)
    model = (classes[:, None] != classes).astype(float)
    for condition, order in (("sorted by class", np.arange(48)), ("shuffled", rng.permutation(48))):
        x = distances(np.random.default_rng(0).standard_normal((48, 4))) + 0.08 * model
        rows += variance(condition, x[np.ix_(order, order)], model[np.ix_(order, order)], seeds, 999, steps)
    columns = ["study", "condition", "reference", "n", "permutations", "repeats", "quantity", "value", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def main():
    """Run all studies and write their table."""
    table = studies()
    print(table.to_string(index=False, float_format="{:.4f}".format))
    with atomic(HERE / "mantel.csv") as temporary:
        table.to_csv(temporary, index=False, float_format="%.5f")
    write_json(HERE / "mantel.json", record(seed=0, nulls=NULLS, permutations=PERMUTATIONS))


if __name__ == "__main__":
    main()
