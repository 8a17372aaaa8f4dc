"""Do intervals over classes cover? A thousand samples of classes a case, from populations whose truth is known.

    python -m validation.intervals [samples of classes a case]

An hour on one core. Classes are drawn from infinite populations: each stands at a leaf of a tree, and the model is
Leacock and Chodorow's distance (`tree`), or in a category, and the model is same or different (`category`). Its
features are those of its nodes, its own look and noise. Two networks, equally good, measure the features, so that their
difference is 0; a third matrix, of looks alone, is the control. The truth of a population is the correlation among a
million pairs of its classes.

Sampling: every class is drawn by itself, so that the numbers in the categories vary, as intervals assume (`classes`);
or as many are drawn of each category as the population holds, as in a list that someone balanced (`fixed numbers`). The
truth then is the correlation at those shares of pairs. Writes validation/intervals.csv, a record and a figure; a study
that was stopped goes on, so remove the table to do everything again.
"""

import os

os.environ |= {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}

import dataclasses
import itertools
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import binomtest

from semanticcmc.rsa.bootstrap import (
    bootstrap_correlations,
    bootstrap_counts,
    bootstrap_interval,
    compare,
    corrected_interval,
)
from semanticcmc.rsa.standardise import standardise_table
from semanticcmc.run import Progress, atomic, record, write_json

torch.set_num_threads(1)
HERE = Path(__file__).parent
SAMPLES = 1000  # of classes, a case
POPULATIONS = 5
BOOTSTRAP = 400  # samples of an interval: the Monte Carlo error of its limits is then 7 % of its half width
CONFIDENCE = 0.95
FEATURES = 12
PAIRS = 1_000_000  # for a population's truth
NODES = {"tree": (0.7, 0.5, 0.5), "category": (1.0,)}  # spread of the features of a tree's nodes, from its top
# Strength of semantics in the networks' features: none, and so that simple r is about .1 and .3.
STRENGTHS = {"tree": {"0": 0.0, "0.1": 0.65, "0.3": 1.5}, "category": {"0": 0.0, "0.1": 0.36, "0.3": 0.8}}
UNEQUAL = (0.36, 0.14, 0.10, 0.08, 0.07, 0.06, 0.05, 0.04, 0.03, 0.02, 0.02, 0.01, 0.01, 0.01)  # as in ImageNet
DESIGNS = {"48 in 8": (48, (1 / 8,) * 8), "30 in 10": (30, (1 / 10,) * 10), "200 in 14": (200, UNEQUAL)}


@dataclasses.dataclass
class Classes:
    """A sample of classes: nodes of each level, leaf depths, and features of the two networks and of looks."""

    nodes: list[np.ndarray]
    depth: np.ndarray
    features: dict[str, np.ndarray]


class Population:
    """Infinitely many classes below the nodes of a tree, or in categories; nodes and their features are fixed."""

    def __init__(self, model, shares, strength, seed):
        rng = np.random.default_rng(seed)
        self.model, self.shares, self.strength = model, np.array(shares), strength
        sizes = [len(shares) * 3**level for level in range(len(NODES[model]))]
        self.children = [rng.dirichlet(np.full(3, 3.0), size) for size in sizes[:-1]]
        draws = [(spread, size) for spread, size in zip(NODES[model], sizes, strict=True)]
        self.meaning, self.look = (
            [spread * rng.standard_normal((size, FEATURES)) for spread, size in draws] for _ in range(2)
        )

    def draw(self, categories, rng):
        """Draw a class in each of `categories`."""
        n, nodes = len(categories), [categories]
        for children in self.children:
            reached = np.cumsum(children[nodes[-1]], axis=1)
            nodes.append(3 * nodes[-1] + (rng.random((n, 1)) > reached).sum(1).clip(max=2))
        meaning, look = (
            sum(f[at] for f, at in zip(features, nodes, strict=True)) for features in (self.meaning, self.look)
        )
        looks = 0.3 * (self.strength > 0) * look + rng.standard_normal((n, FEATURES))
        seen = 0.7 * looks + self.strength * meaning
        spread = np.exp(0.3 * rng.standard_normal((n, 1)))  # some classes lie further out than others
        networks = {name: seen + 0.7 * spread * rng.standard_normal((n, FEATURES)) for name in ("first", "second")}
        control = looks + 0.6 * rng.standard_normal((n, FEATURES))
        return Classes(nodes, rng.integers(4, 8, n), {**networks, "control": control})

    def sample(self, n, fixed, rng):
        """Categories of n classes: drawn one by one, or as many of each as the shares say."""
        if fixed:
            return np.repeat(np.arange(len(self.shares)), np.round(n * self.shares).astype(int))
        return rng.choice(len(self.shares), n, p=self.shares)

    def distance(self, first, second):
        """Model's distance of classes, elementwise."""
        shared = sum((a == b).astype(int) for a, b in zip(first.nodes, second.nodes, strict=True))
        if self.model == "category":
            return (shared == 0).astype(float)
        return np.log(first.depth + second.depth - 2 * shared + 1.0)

    def truth(self, n, fixed, pairs, rng):
        """Simple and partial correlation among infinitely many classes; that of both networks is the same."""
        if self.strength == 0:  # then neither what the network sees nor the control depends on the nodes
            return {"simple": 0.0, "partial": 0.0}
        if fixed:
            numbers = np.bincount(self.sample(n, fixed, rng))
            cells = np.triu(np.outer(numbers, numbers), 1) + np.diag(numbers * (numbers - 1) / 2)
            a, b = np.divmod(rng.choice(cells.size, pairs, p=cells.ravel() / cells.sum()), len(numbers))
        else:
            a, b = (self.sample(pairs, fixed, rng) for _ in range(2))
        first, second = self.draw(a, rng), self.draw(b, rng)
        x, z = (np.linalg.norm(first.features[name] - second.features[name], axis=1) for name in ("first", "control"))
        (_, xy, xz), (_, _, yz), _ = np.corrcoef([x, self.distance(first, second), z])
        return {"simple": xy, "partial": (xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2))}


def square(features):
    """Euclidean distances."""
    products = features @ features.T
    squares = products.diagonal()
    distances = np.sqrt(np.maximum(squares[:, None] + squares - 2 * products, 0))
    np.fill_diagonal(distances, 0)
    return (distances + distances.T) / 2


def intervals(population, n, fixed, truth, seed, bootstrap):
    """Rows of one sample of classes: quantity, interval, truth, found, low, high."""
    rng = np.random.default_rng([seed, n, fixed])
    classes = population.draw(population.sample(n, fixed, rng), rng)
    column = dataclasses.replace(classes, nodes=[at[:, None] for at in classes.nodes], depth=classes.depth[:, None])
    model = population.distance(column, classes)
    np.fill_diagonal(model, 0)
    rdms = {name: square(classes.features[name]) for name in ("first", "second")}
    control, rows = square(classes.features["control"]), []
    for quantity, given in (("simple", None), ("partial", control)):
        tested = standardise_table({"first": rdms["first"]}, {"model": model}, given)
        samples = bootstrap_correlations(tested, bootstrap_counts(n, bootstrap, seed))
        found = float(bootstrap_correlations(tested, torch.ones(1, n)))
        for kind, limits in (
            ("percentile", bootstrap_interval(samples, CONFIDENCE)),
            ("corrected", corrected_interval(tested, samples, CONFIDENCE)),
        ):
            rows.append((quantity, kind, truth[quantity], found, *limits[:, 0, 0]))
    if n > 100:
        return rows
    pair = compare(rdms, {"model": model}, control, bootstrap, CONFIDENCE, seed=seed).iloc[0]
    return [*rows, ("difference", "corrected", 0.0, pair.difference, pair.ci_low, pair.ci_high)]


def summary(rows, case):
    """One row a quantity and interval: coverage with its 95 % interval, misses on each side, spread and width."""
    table = pd.DataFrame(rows, columns=["quantity", "interval", "truth", "found", "low", "high"])
    out = []
    for (quantity, kind), part in table.groupby(["quantity", "interval"], sort=False):
        error = part.found - part.truth
        missed = {"above": (part.low > part.truth).mean(), "below": (part.high < part.truth).mean()}
        inside = int(((part.low <= part.truth) & (part.truth <= part.high)).sum())
        covered = binomtest(inside, len(part)).proportion_ci(0.95, method="wilson")
        out.append(
            {
                **case,
                "quantity": quantity,
                "interval": kind,
                "samples": len(part),
                "truth": part.truth.mean(),
                "bias": error.mean(),
                "sd": error.std(),
                "half_width": ((part.high - part.low) / 2).mean(),
                "coverage": inside / len(part),
                "coverage_low": covered.low,
                "coverage_high": covered.high,
                "truth_below": missed["above"],
                "truth_above": missed["below"],
            }
        )
    return out


def cases():
    """All cases: design, model, sampling and strength; fixed numbers for categories only, of them the model speaks."""
    for (design, (n, shares)), model in itertools.product(DESIGNS.items(), NODES):
        for fixed, effect in itertools.product((False, True) if model == "category" else (False,), STRENGTHS[model]):
            if n < 100 or effect != "0.1":  # the large design at its extremes
                yield (
                    {
                        "design": design,
                        "classes": n,
                        "model": model,
                        "effect": effect,
                        "sampling": "fixed numbers" if fixed else "classes",
                    },
                    shares,
                    fixed,
                )


def study(
    samples=SAMPLES, populations=POPULATIONS, bootstrap=BOOTSTRAP, pairs=PAIRS, chosen=None, kept=None, keep=None
):
    """Coverage in all cases, or those of the designs `chosen`.

    A case takes minutes: `keep(table)` is called after each, and those that the table `kept` holds are not done again.
    """
    todo = [case for case in cases() if chosen is None or case[0]["design"] in chosen]
    progress, tables = Progress("validation of intervals", len(todo)), []
    for number, (case, shares, fixed) in enumerate(todo, 1):
        tables.append(before(kept, case))
        if tables[-1].empty:
            tables[-1] = one_case(case, shares, fixed, samples, populations, bootstrap, pairs)
        if keep:
            keep(pd.concat(tables))
        progress.update(number)
    return pd.concat(tables, ignore_index=True)


def before(kept, case):
    """Rows of a case in a table, or none."""
    if kept is None:
        return pd.DataFrame()
    return kept[(kept[list(case)] == list(case.values())).all(axis=1)]


def one_case(case, shares, fixed, samples, populations, bootstrap, pairs):
    """Summary of one case."""
    found, strength = [], STRENGTHS[case["model"]][case["effect"]]
    for number in range(populations):
        population = Population(case["model"], shares, strength, number)
        truth = population.truth(case["classes"], fixed, pairs, np.random.default_rng(number))
        for repeat in range(samples // populations):
            found += intervals(population, case["classes"], fixed, truth, number * samples + repeat, bootstrap)
    return pd.DataFrame(summary(found, case))


def draw(table, path):
    """Coverage by case, corrected and plain percentiles, with the range asked for."""
    import matplotlib.pyplot as plt

    from semanticcmc.figures import style

    style.use_house_style()
    panels = [("tree", "classes"), ("category", "classes"), ("category", "fixed numbers")]
    figure, axes = plt.subplots(1, 3, figsize=(2 * style.COLUMN_IN, 1.3 * style.COLUMN_IN), sharey=True, sharex=True)
    names = {
        (d, e, q): f"{d}, r {e}, {q}"
        for d in DESIGNS
        for e in ("0", "0.1", "0.3")
        for q in ("simple", "partial", "difference")
    }
    order = [key for key in names if ((table.design == key[0]) & (table.effect == key[1])).any()]
    for ax, (model, sampling) in zip(axes, panels, strict=True):
        ax.axvspan(0.93, 0.97, color="0.9")
        ax.axvline(CONFIDENCE, color="0.5", linewidth=0.8)
        part = table[(table.model == model) & (table.sampling == sampling)].set_index(["design", "effect", "quantity"])
        for kind, marker, colour in (("percentile", "x", "0.45"), ("corrected", "o", "black")):
            one = part[part.interval == kind]
            at = [-order.index(key) for key in one.index]
            ax.errorbar(
                one.coverage,
                at,
                xerr=[one.coverage - one.coverage_low, one.coverage_high - one.coverage],
                fmt=marker,
                color=colour,
                markersize=3.5,
                linewidth=0.7,
                label=kind,
            )
        ax.set(title=f"{model}, {sampling}" if model == "category" else model, xlim=(0.85, 1.005), xlabel="coverage")
    axes[0].set_yticks([-i for i in range(len(order))], [names[key] for key in order], fontsize=style.SMALL_PT)
    axes[0].legend(fontsize=style.SMALL_PT, loc="lower left")
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=150, bbox_inches="tight")


def main():
    """Run all cases, or with fewer samples, and write table, record and figure."""
    warnings.simplefilter("error", RuntimeWarning)
    samples = int(sys.argv[1]) if len(sys.argv) > 1 else SAMPLES

    def keep(table):
        with atomic(HERE / "intervals.csv") as temporary:
            table.to_csv(temporary, index=False, float_format="%.5f")

    file = HERE / "intervals.csv"
    kept = pd.read_csv(file, dtype={"effect": str}) if file.is_file() else None
    if kept is not None and set(kept["samples"]) != {samples}:
        kept = None
    table = study(samples, kept=kept, keep=keep)
    print(table.to_string(index=False, float_format="{:.3f}".format))
    draw(table, HERE / "intervals.png")
    write_json(
        HERE / "intervals.json",
        record(
            seed=0,
            samples=samples,
            populations=POPULATIONS,
            bootstrap=BOOTSTRAP,
            confidence=CONFIDENCE,
            pairs=PAIRS,
            strengths=STRENGTHS,
        ),
    )


if __name__ == "__main__":
    main()
