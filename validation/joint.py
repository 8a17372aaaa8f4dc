"""Do intervals over worlds and classes at once cover? Hundreds of samples of both a case, from a known population.

    python -m validation.joint [samples a case]

A few minutes on one core. A sample holds n classes, drawn one by one into 8 categories, and some worlds. A class has
features of its category and a peculiarity of its own, the same in all worlds, and looks, drawn anew in each world.
Three networks, of a short, a middle and a long lag, see looks, meaning (less at both ends) and noise; how much
meaning they see varies from world to world with the standard deviation `spread`. The truth is the mean over
infinitely many worlds of the correlation among infinitely many pairs of classes. Beside the joint interval: Student's
over worlds alone, and that over classes alone, of the mean. Writes validation/joint.csv, a record and a figure.
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
from scipy.stats import binomtest, norm, t

from semanticcmc.evaluation.inference import Units
from semanticcmc.rsa.bootstrap import class_variance, degenerate_variance
from semanticcmc.rsa.standardise import standardise_table
from semanticcmc.run import Progress, atomic, record, write_json

torch.set_num_threads(1)
HERE = Path(__file__).parent
SAMPLES = 400
CATEGORIES, FEATURES = 8, 12
MEANING = np.array([0.3, 0.7, 0.35])  # of the three networks
CASES = ((30, 3, 0.3), (30, 6, 0.3), *itertools.product((48,), (3, 6), (0.0, 0.3)))  # classes, worlds, spread
CENTRES = np.random.default_rng(0).standard_normal((CATEGORIES, FEATURES))
QUANTITIES = ("simple", "partial", "difference")


def classes(n, rng):
    """Category and meaning of n classes."""
    category = rng.integers(0, CATEGORIES, n)
    return category, CENTRES[category] + 0.5 * rng.standard_normal((n, FEATURES))


def world(meaning, strength, rng):
    """Features of the three networks, and of looks, in a world where meaning counts `strength` times."""
    looks = rng.standard_normal(meaning.shape)
    noise = 0.5 * rng.standard_normal((len(MEANING), *meaning.shape))
    return looks + strength * MEANING[:, None, None] * meaning + noise, looks


def truths(spread, pairs=100_000, worlds=15):
    """Mean over worlds of the population's correlations: simple and partial of the middle one, and middle - long."""
    found, rng = [], np.random.default_rng(1)
    for strength in 1 + spread * norm.ppf((np.arange(worlds if spread else 1) + 0.5) / worlds if spread else [0.5]):
        (one, first), (other, second) = (classes(pairs, rng) for _ in range(2))
        (x, looks), (y, others) = (world(meaning, strength, rng) for meaning in (first, second))
        distances = np.linalg.norm(x - y, axis=2)
        model, control = (one != other).astype(float), np.linalg.norm(looks - others, axis=1)
        r = np.corrcoef([*distances, model, control])
        partial = (r[:3, 3] - r[:3, 4] * r[3, 4]) / np.sqrt((1 - r[:3, 4] ** 2) * (1 - r[3, 4] ** 2))
        found.append((r[1, 3], partial[1], partial[1] - partial[2]))
    return dict(zip(QUANTITIES, np.mean(found, axis=0), strict=True))


def over_classes(units, weights, mean):
    """Interval of the mean of these worlds, over classes alone."""
    w = torch.tensor(weights, dtype=torch.float64)
    influences = torch.einsum("ulij,l->ij", units.influences, w) / len(units.r)
    left_out = torch.einsum("ulc,l->c", units.left_out, w) / len(units.r)
    variance, freedom = class_variance(left_out, degenerate_variance(influences))
    half = t.ppf(0.975, float(freedom)) * float(variance) ** 0.5
    return mean - half, mean + half


def sample(n, worlds, spread, seed):
    """Estimates of one sample: quantity, interval, found, low, high."""
    rng = np.random.default_rng([seed, n, worlds, int(10 * spread)])
    category, meaning = classes(n, rng)
    model, units = (category[:, None] != category).astype(float), {"simple": [], "partial": []}
    for strength in 1 + spread * rng.standard_normal(worlds):
        seen, looks = world(meaning, strength, rng)
        rdms = {name: squareform(pdist(one)) for name, one in enumerate(seen)}
        for quantity, control in (("simple", None), ("partial", squareform(pdist(looks)))):
            units[quantity].append(standardise_table(rdms, {"model": model}, control))
    of = {quantity: Units(found) for quantity, found in units.items()}
    rows = []
    for quantity, weights in zip(QUANTITIES, ((0, 1, 0), (0, 1, 0), (0, 1, -1)), strict=True):
        joint = of["partial" if quantity == "difference" else quantity]
        values = (joint.r @ torch.tensor(weights, dtype=torch.float64)).numpy()
        mean, half = values.mean(), t.ppf(0.975, worlds - 1) * values.std(ddof=1) / np.sqrt(worlds)
        alone = over_classes(joint, weights, mean)
        for kind, limits in (
            ("joint", joint.estimate(weights).interval()),
            ("worlds alone", (mean - half, mean + half)),
            ("classes alone", alone),
        ):
            rows.append((quantity, kind, mean, *limits))
    return rows


def case(n, worlds, spread, samples):
    """Coverage of one case."""
    truth = truths(spread)
    rows = [row for seed in range(samples) for row in sample(n, worlds, spread, seed)]
    table = pd.DataFrame(rows, columns=["quantity", "interval", "found", "low", "high"])
    out = []
    for (quantity, kind), part in table.groupby(["quantity", "interval"], sort=False):
        right = truth[quantity]
        inside = int(((part.low <= right) & (right <= part.high)).sum())
        covered = binomtest(inside, len(part)).proportion_ci(0.95, method="wilson")
        width = ((part.high - part.low) / 2).mean()
        bias = part.found.mean() - right
        out.append((n, worlds, spread, quantity, kind, samples, right, bias, part.found.std(), width,
                    inside / len(part), covered.low, covered.high))  # fmt: skip
    columns = "classes worlds spread quantity interval samples truth bias sd half_width coverage low high"
    return pd.DataFrame(out, columns=columns.split())


def draw(table, path):
    """Coverage by case and interval, with the range asked for."""
    import matplotlib.pyplot as plt

    from semanticcmc.figures import style

    style.use_house_style()
    figure, axes = plt.subplots(1, 3, figsize=(2 * style.COLUMN_IN, style.COLUMN_IN), sharey=True)
    names = [f"{n} classes, {worlds} worlds, {spread:g}" for n, worlds, spread in CASES]
    marks = {"joint": ("o", "black"), "worlds alone": ("x", "0.45"), "classes alone": ("+", "0.45")}
    for ax, quantity in zip(axes, QUANTITIES, strict=True):
        ax.axvspan(0.93, 0.97, color="0.9")
        for kind, (marker, colour) in marks.items():
            part = table[(table.quantity == quantity) & (table.interval == kind)]
            error = [part.coverage - part.low, part.high - part.coverage]
            ax.errorbar(part.coverage, -np.arange(len(part)), xerr=error, fmt=marker, color=colour, markersize=4,
                        linewidth=0.8, label=kind)  # fmt: skip
        ax.set(title=quantity, xlabel="coverage")
    axes[0].set_yticks(-np.arange(len(names)), names, fontsize=style.SMALL_PT)
    axes[0].legend(fontsize=style.SMALL_PT, loc="lower left")
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=150, bbox_inches="tight")


def study(samples=SAMPLES, cases=CASES, keep=None):
    """All cases; `keep(table)` is called after each."""
    progress, tables = Progress("validation of joint intervals", len(cases)), []
    for number, one in enumerate(cases, 1):
        tables.append(case(*one, samples))
        if keep:
            keep(pd.concat(tables))
        progress.update(number)
    return pd.concat(tables, ignore_index=True)


def main():
    """Run all cases, or with fewer samples, and write table, record and figure."""
    samples = int(sys.argv[1]) if len(sys.argv) > 1 else SAMPLES

    def keep(table):
        with atomic(HERE / "joint.csv") as temporary:
            table.to_csv(temporary, index=False, float_format="%.5f")

    table = study(samples, keep=keep)
    print(table.to_string(index=False, float_format="{:.3f}".format))
    draw(table, HERE / "joint.png")
    write_json(HERE / "joint.json", record(seed=0, samples=samples, meaning=MEANING.tolist(), categories=CATEGORIES))


if __name__ == "__main__":
    main()
