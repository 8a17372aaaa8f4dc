"""Kind or company? What networks learn where themes cross, mix or halve the categories (about 80 minutes on one core).

    python -m validation.kind_or_company train a b    (parts of `PARTS`, in order; goes on where it stopped)
    python -m validation.kind_or_company              (tests what is trained, and draws it)

In experiments/miniature.yaml a theme is a category: who keeps company is of one kind. Here, with `theme_relatedness` 0,

- crossed: class i of category c has theme (c + i) mod 8, so that company says nothing of kind;
- mixed: each scene's theme is crossed with probability w, from 0 (by category) to 1 (crossed);
- second_order: the halves of a category share companions and never meet;
- unfilmed: no film shows two classes of each category, which share half of their looks' variance with it (part j).

The seed of a world draws its looks, themes and courses of films; networks of two worlds share no seed either. The unit
of inference is the world; where worlds have several networks, their variance is parted into that between worlds and
that between the networks of a world. Training leaves one RDM a network (primary layer) in `FOLDER`, outside the
repository, beside those of a world's truth (`models.parquet`): tests can be made again and others added without
training. Writes kind_or_company.csv (one row a network, model and control), what it says of worlds in
kind_or_company_summary.csv, a record of configs, versions and commit, and a figure.
"""

import dataclasses
import math
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml
from scipy import stats
from scipy.special import stdtr, stdtrit
from validation.kind_or_company_figure import ALT, draw

from semanticcmc.config import configure
from semanticcmc.evaluation.config import ActivationsConfig, EvaluationConfig, StimuliConfig
from semanticcmc.evaluation.rdm_files import network_rdms, untrained_network
from semanticcmc.evaluation.stimuli import StimulusFolder
from semanticcmc.experiment import Experiment, load_experiment, read_values
from semanticcmc.labels.stream import read_labels
from semanticcmc.rsa.mantel import mantel_table
from semanticcmc.rsa.rdm import RDM, read_rdms, write_rdms
from semanticcmc.rsa.semantics import category_rdm, lch_rdm
from semanticcmc.run import atomic, record, write_json
from semanticcmc.timescales.association import association_rdm, labels_as_wnids
from semanticcmc.timescales.curves import TimescalesConfig
from semanticcmc.timescales.pairs import label_pairs
from semanticcmc.training.checkpoints import load_network
from semanticcmc.training.loop import Run
from semanticcmc.world.build import build
from semanticcmc.world.classes import is_filmed, read_classes
from semanticcmc.world.config import WorldConfig
from semanticcmc.world.truth import theme_rdm

HERE = Path(__file__).parent
FOLDER = Path(os.environ.get("KIND_OR_COMPANY", HERE.parent / "results" / "validation" / "kind_or_company"))
MIX = {"mixed_0": 0.0, "mixed_25": 0.25, "mixed_50": 0.5, "mixed_75": 0.75, "crossed": 1.0}  # share of crossed scenes
LAGS_S = (1, 10, 60, 180, 600)
EVALUATION = configure(EvaluationConfig, read_values("miniature")[0]["evaluation"], "miniature")
TEST = EVALUATION.of_tests | {"bootstrap_samples": 0}  # as the Methods declare
UNTRAINED = 5  # networks whose mean RDM is the control random
PARTS = {
    "a": [("crossed", world, lag, 0) for lag in (60, 0, 1, 10, 180, 600) for world in range(6)],
    "b": [("crossed", world, 60, k) for k in (1, 2) for world in range(6)],
    "c": [(name, 0, 60, 0) for name in ("mixed_0", "mixed_50", "mixed_25", "mixed_75")],
    "d": [("second_order", world, 60, 0) for world in range(3)],
    "e": [(name, world, 60, 0) for world in (1, 2) for name in ("mixed_0", "mixed_50")],
    "f": [("second_order", world, 60, 0) for world in range(3, 6)],
    "g": [(name, world, 60, 0) for world in (1, 2) for name in ("mixed_25", "mixed_75")],
    "h": [("second_order", world, lag, 0) for lag in (0, 1) for world in range(6)],
    "i": [(name, world, 60, 0) for world in (3, 4, 5) for name in ("mixed_0", "mixed_50", "mixed_25", "mixed_75")],
    "j": [("unfilmed", world, lag, 0) for lag in (60, 1, 0) for world in range(6)],
}
"""Networks by part of the study, most wanted first: kind of world, its seed, lag in s (0: augment), network seed."""


def of_world(kind: str, seed: int) -> dict[str, Any]:
    """What differs from the miniature's world."""
    by = {"mixed_0": "category"}.get(kind, kind.split("_")[0] if kind.startswith("mixed") else kind)
    values = {"seed": seed, "theme_by": by, "theme_relatedness": 0.0, "crossed_share": MIX.get(kind, 0.5)}
    unfilmed = {"theme_by": "category", "unfilmed": 2, "cast_size": 4, "appearance_semantics": 0.5}
    return values | (unfilmed if kind == "unfilmed" else {})


def world_config(kind: str, seed: int) -> WorldConfig:
    """Parameters of a world."""
    return configure(WorldConfig, read_values("miniature")[0]["world"] | of_world(kind, seed), kind)


def miniature_in(folder: Path, differs: dict[str, Any]) -> Experiment:
    """The miniature's experiment in a folder, with what differs in its world; the world is not drawn yet."""
    values = read_values("miniature")[0]
    values["world"] |= differs
    folder.mkdir(parents=True, exist_ok=True)
    with atomic(folder / "experiment.yaml") as temporary:
        temporary.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return load_experiment(folder / "experiment.yaml")


def prepared(kind: str, seed: int) -> Experiment:
    """A world, drawn once, with the RDMs of its truth and of its untrained networks."""
    one = miniature_in(FOLDER / f"{kind}_{seed}", of_world(kind, seed))
    folder = one.folder
    if not (folder / "models.parquet").exists():
        build(one.section("world", WorldConfig), folder, processes=1)
        models = {name: read_rdms(folder / "world" / f"{name}_rdm.parquet")[name] for name in ("look", "theme", "met")}
        classes = models["look"].classes
        models |= {"category": category_rdm(classes, folder / "world" / "classes.csv"), "lch": lch_rdm(classes)}
        if kind == "unfilmed":  # themes and associations are of filmed classes alone
            models = {name: models[name] for name in ("look", "category", "lch")}
        else:
            stream = labels_as_wnids(one, read_labels(folder / "labels"))
            pairs = label_pairs(stream, (0.0, *map(float, LAGS_S)), one.section("timescales", TimescalesConfig))
            dimensions = one.sections["networks"]["embedding_dim"]
            for place, lag_s in enumerate(LAGS_S, start=1):
                found = association_rdm(pairs.both[place].sum(axis=0), pairs.names, dimensions)
                models[f"association {lag_s} s"] = RDM(found.subset(classes).values, classes)
        for k in range(UNTRAINED):
            models[f"random {k}"] = rdm_of(one, untrained_network(one, one.network("random", UNTRAINED * seed + k)))
        models = {name: RDM(rdm.subset(classes).values, classes) for name, rdm in models.items()}
        write_rdms(folder / "models.parquet", models)
    return one


def rdm_of(one: Experiment, network: torch.nn.Module) -> RDM:
    """RDM of a network at the primary layer."""
    config = dataclasses.replace(one.section("activations", ActivationsConfig), layers=(one.primary_layer,))
    stimuli = StimulusFolder(one.folder / "stimuli", one.section("stimuli", StimuliConfig))
    return network_rdms(network, stimuli, "intact", config, EVALUATION.distance)[one.primary_layer]


def rdm_file(kind: str, world: int, lag_s: int, k: int) -> Path:
    """Where a network's RDM is, once it is trained."""
    return FOLDER / "rdms" / f"{kind}_{world}_{f'{lag_s}s' if lag_s else 'augment'}_{k}.parquet"


def train_all(parts: list[str]) -> None:
    """Train the networks of some parts that are not trained yet."""
    torch.set_num_threads(1)
    for kind, world, lag_s, k in (job for part in parts for job in PARTS[part]):
        file = rdm_file(kind, world, lag_s, k)
        if not file.exists():
            one = prepared(kind, world)
            network = one.network(f"semantic_{lag_s}s" if lag_s else "augment", 10 * world + k)
            write_rdms(file, {"fc7": rdm_of(one, load_network(Run(one, network).train()))})
            print(f"{file.name}", flush=True)


TESTS = {
    "theme": ("none", "look", "random", "category", "look + category"),
    "category": ("none", "look", "random", "crossed", "look + crossed", "association", "look + association"),
    "association": ("none", "look", "category", "look + category"),
    "lch": ("none", "look", "look + crossed", "look + association"),
    "crossed": ("none", "look", "look + category"),
}
"""Model to controls. The theme of second_order and mixed is graded; crossed is the same partition in every world."""
TRANSFER = dict.fromkeys(("category", "lch"), ("none", "look", "random", "look + random"))  # of unfilmed
LEARNED = ("augment", "1s")  # networks of looks, as controls of one that has the same world


def rows_of(file: Path) -> list[dict[str, Any]]:
    """Tests of one network: each model given each control, over all pairs of classes and over those that never met."""
    kind, world, lag, k = file.stem.rsplit("_", 3)
    config, transfer = world_config(kind, int(world)), kind == "unfilmed"
    models = read_rdms(FOLDER / f"{kind}_{world}" / "models.parquet")
    classes = models["look"].classes
    models["random"] = RDM(np.mean([models[f"random {i}"].values for i in range(UNTRAINED)], axis=0), classes)
    if not transfer:
        models["association"] = models[f"association {lag.removesuffix('s') if lag != 'augment' else 60} s"]
        models["crossed"] = RDM(
            theme_rdm(dataclasses.replace(config, theme_by="crossed")).subset(classes).values, classes
        )
    tests = {(model, control) for model, controls in (TRANSFER if transfer else TESTS).items() for control in controls}
    for name in LEARNED:
        other = file.with_name(f"{kind}_{world}_{name}_0.parquet")
        if lag not in ("augment", name) and other.is_file():
            models[name] = RDM(read_rdms(other)["fc7"].subset(classes).values, classes)
            tests |= {
                (model, control)
                for model in (TRANSFER if transfer else ("theme", "category"))
                for control in (name, f"look + {name}")
            }
    rdm = RDM(read_rdms(file)["fc7"].subset(classes).values, classes)
    head = {"kind": kind, "world": int(world), "lag_s": 0 if lag == "augment" else int(lag[:-1]), "seed": int(k)}
    first, second = np.triu_indices(len(classes), 1)
    of_pairs = {"all": np.ones(len(first), dtype=bool)}
    if kind == "second_order":
        of_pairs["never met"] = models["met"].values == 1
    elif transfer:
        alone = ~pd.Series(is_filmed(config), read_classes(config)["wnid"]).loc[list(classes)].to_numpy()
        of_pairs["unfilmed"] = alone[first] & alone[second]
    rows = []
    for model, control in sorted(tests):
        given = [models[name] for name in control.split(" + ") if name != "none"]
        design = np.array([np.ones(len(first)), *(one.values for one in given)])
        if np.linalg.matrix_rank(np.vstack([design, models[model].values])) <= len(design):
            continue  # the model is a control: theme and category in the default world
        own = {"model": model, "control": control}
        for pairs, some in of_pairs.items():
            if pairs == "all":
                found = mantel_table({"": rdm}, {model: models[model]}, given or None, **TEST).iloc[0]
                r, p = found.mantel_r, found.p
            else:  # these pairs are no permutation of others: the world is the unit
                left = [left_over(one.values[some], design[:, some]) for one in (rdm, models[model])]
                r, p = float(np.corrcoef(*left)[0, 1]), math.nan
            if pairs == "all" or model in ("category", "lch"):
                rows.append(head | own | {"pairs": pairs, "n_pairs": int(some.sum()), "r": r, "p": p})
    return rows


def left_over(values: np.ndarray, design: np.ndarray) -> np.ndarray:
    """What a regression on the rows of `design` leaves of values."""
    return values - design.T @ np.linalg.lstsq(design.T, values, rcond=None)[0]


def mean_over_worlds(values: pd.Series) -> pd.Series:
    """Mean over worlds (the index; networks of one world are averaged first), its 95 % t interval and two-sided p."""
    of_world = values.groupby(level="world").mean()
    n, mean, error = len(of_world), of_world.mean(), of_world.sem() if len(of_world) > 1 else math.nan
    half = error * stdtrit(max(n - 1, 1), 0.975)
    p = 2 * stdtr(n - 1, -abs(mean / error)) if n > 1 else math.nan
    return pd.Series(
        {"mean": mean, "low": mean - half, "high": mean + half, "p": p, "worlds": n, "networks": len(values)}
    )


def variances(values: pd.Series, confidence: float = 0.95) -> pd.DataFrame:
    """Variance between worlds (the index) and between networks of a world: one-way random effects, k networks in each.

    In ``mean``, by analysis of variance, with intervals: that between networks by chi squared, exact; that between
    worlds by Williams (1962) and Tukey (1951), whose coverage is nearly nominal; the share of the sum that is between
    worlds (the intraclass correlation) by F, exact. Bounds below 0 say that worlds need not differ at all. Empty with
    fewer than two networks in a world.
    """
    groups = values.groupby(level="world")
    a, k, n = groups.ngroups, groups.size().min(), len(values)
    if a < 2 or k < 2:
        return pd.DataFrame()
    values = groups.head(k)
    within, between = groups.var().mean(), k * groups.mean().var()
    tails = np.array([(1 + confidence) / 2, (1 - confidence) / 2])  # of the lower and the upper bound
    free = a * (k - 1)
    f, chi = stats.f.ppf(tails, a - 1, free), stats.chi2.ppf(tails, a - 1)
    ratio = between / within / f
    found = {
        "variance between networks of a world": (within, *(free * within / stats.chi2.ppf(tails, free))),
        "variance between worlds": ((between - within) / k, *((a - 1) * (between - f * within) / (k * chi))),
        "share of variance between worlds": (
            (between - within) / (between + (k - 1) * within),
            *((ratio - 1) / (ratio + k - 1)),
        ),
    }
    rows = pd.DataFrame(found, ["mean", "low", "high"]).T.rename_axis("kind").reset_index()
    return rows.assign(worlds=a, networks=n)


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Means over worlds of every test, `variances`, and slopes over the mix (r at w = 1 less r at w = 0, a line)."""
    keys = ["kind", "lag_s", "model", "control", "pairs"]
    means = table.set_index("world").groupby(keys, sort=False)["r"].apply(mean_over_worlds).unstack().reset_index()
    mixed = table[(table.lag_s == 60) & (table.seed == 0) & table.kind.isin(MIX)].assign(w=table.kind.map(MIX))
    slopes = []
    for (model, control), rows in mixed.groupby(["model", "control"]):
        known = {world: own for world, own in rows.groupby("world") if len(own) > 2}  # both ends and between
        if known:
            slope = pd.Series({world: np.polyfit(own.w, own.r, 1)[0] for world, own in known.items()}).rename_axis(
                "world"
            )
            own = {"kind": "slope over the mix", "lag_s": 60, "model": model, "control": control, "pairs": "all"}
            slopes.append(mean_over_worlds(slope).to_dict() | own)
    parted = [
        variances(rows.set_index("world")["r"]).assign(lag_s=60, model=model, control=control, pairs="all")
        for (model, control), rows in table[(table.kind == "crossed") & (table.lag_s == 60)].groupby(
            ["model", "control"]
        )
    ]
    return pd.concat([means, pd.DataFrame(slopes), *parted], ignore_index=True)


def main() -> None:
    """Train, or test and draw."""
    if sys.argv[1:2] == ["train"]:
        return train_all(sys.argv[2:] or list(PARTS))
    torch.set_num_threads(1)
    table = pd.DataFrame([row for file in sorted((FOLDER / "rdms").glob("*.parquet")) for row in rows_of(file)])
    means = summarise(table)
    for name, made in (("kind_or_company", table), ("kind_or_company_summary", means)):
        with atomic(HERE / f"{name}.csv") as temporary:
            made.to_csv(temporary, index=False, float_format="%.5g")
    worlds = {kind: dataclasses.asdict(world_config(kind, 0)) for kind in table.kind.unique()}
    sections = read_values("miniature")[0]
    used = {name: sections[name] for name in ("training", "networks", "views", "stimuli", "activations", "evaluation")}
    networks = table.groupby(["kind", "lag_s"]).apply(lambda rows: len(rows[["world", "seed"]].drop_duplicates()))
    counts = {f"{kind}, {lag_s} s": int(count) for (kind, lag_s), count in networks.items()}
    write_json(
        HERE / "kind_or_company.json", record({"worlds": worlds, **used, "networks_trained": counts}) | {"alt": ALT}
    )
    draw(means, MIX, HERE / "kind_or_company.png")


if __name__ == "__main__":
    main()
