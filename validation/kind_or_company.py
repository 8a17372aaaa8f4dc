"""Kind or company? What networks learn where themes cross, mix or halve the categories (about 80 minutes on one core).

    python -m validation.kind_or_company train a b    (parts of `PARTS`, in order; goes on where it stopped)
    python -m validation.kind_or_company              (tests what is trained, and draws it)

In experiments/miniature.yaml a theme is a category: who keeps company is of one kind. Here, with `theme_relatedness` 0,

- crossed: class i of category c has theme (c + i) mod 8, so that company says nothing of kind;
- mixed: each scene's theme is crossed with probability w, from 0 (by category) to 1 (crossed);
- second_order: the halves of a category share companions and never meet.

The seed of a world draws its looks, themes and courses of films; networks of two worlds share no seed either. The unit
of inference is the world. Training leaves one RDM a network (primary layer) in `FOLDER`, outside the repository, beside
those of a world's truth (`models.parquet`): tests can be made again and others added without training. Writes
kind_or_company.csv (one row a network, model and control), a record of configs, versions and commit, and a figure.
"""

import dataclasses
import math
import os
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
import yaml
from matplotlib.axes import Axes
from scipy.special import stdtr, stdtrit

from semanticcmc.config import configure
from semanticcmc.evaluation.config import ActivationsConfig, EvaluationConfig, StimuliConfig
from semanticcmc.evaluation.rdm_files import network_rdms, untrained_network
from semanticcmc.evaluation.stimuli import StimulusFolder
from semanticcmc.experiment import Experiment, load_experiment, read_values
from semanticcmc.figures import style
from semanticcmc.labels.stream import read_labels
from semanticcmc.rsa.mantel import mantel_table
from semanticcmc.rsa.rdm import RDM, read_rdms, write_rdms
from semanticcmc.rsa.semantics import category_rdm, lch_rdm
from semanticcmc.run import atomic, record, write_json
from semanticcmc.timescales.curves import TimescalesConfig
from semanticcmc.timescales.pairs import label_pairs
from semanticcmc.timescales.prediction import association_rdm, labels_as_wnids
from semanticcmc.training.checkpoints import load_network
from semanticcmc.training.loop import Run
from semanticcmc.world.build import build
from semanticcmc.world.config import WorldConfig
from semanticcmc.world.truth import theme_rdm

HERE = Path(__file__).parent
FOLDER = Path(os.environ.get("KIND_OR_COMPANY", HERE.parent / "results" / "validation" / "kind_or_company"))
MIX = {"mixed_0": 0.0, "mixed_25": 0.25, "mixed_50": 0.5, "mixed_75": 0.75, "crossed": 1.0}  # share of crossed scenes
LAGS_S = (1, 10, 60, 180, 600)
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
}
"""Networks by part of the study, most wanted first: kind of world, its seed, lag in s (0: augment), network seed."""


def of_world(kind: str, seed: int) -> dict[str, Any]:
    """What differs from the miniature's world."""
    by = {"mixed_0": "category"}.get(kind, kind.split("_")[0] if kind.startswith("mixed") else kind)
    return {"seed": seed, "theme_by": by, "theme_relatedness": 0.0, "crossed_share": MIX.get(kind, 0.5)}


def world_config(kind: str, seed: int) -> WorldConfig:
    """Parameters of a world."""
    return configure(WorldConfig, read_values("miniature")[0]["world"] | of_world(kind, seed), kind)


def prepared(kind: str, seed: int) -> Experiment:
    """A world, drawn once, with the RDMs of its truth and of its untrained networks."""
    values = read_values("miniature")[0]
    values["world"] |= of_world(kind, seed)
    folder = FOLDER / f"{kind}_{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    with atomic(folder / "experiment.yaml") as temporary:
        temporary.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    one = load_experiment(folder / "experiment.yaml")
    if not (folder / "models.parquet").exists():
        build(one.section("world", WorldConfig), folder, processes=1)
        stream = labels_as_wnids(one, read_labels(folder / "labels"))
        pairs = label_pairs(stream, (0.0, *map(float, LAGS_S)), one.section("timescales", TimescalesConfig))
        models = {name: read_rdms(folder / "world" / f"{name}_rdm.parquet")[name] for name in ("theme", "met", "look")}
        classes = models["theme"].classes
        models |= {"category": category_rdm(classes, folder / "world" / "classes.csv"), "lch": lch_rdm(classes)}
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
    distance = one.section("evaluation", EvaluationConfig).distance
    return network_rdms(network, stimuli, "intact", config, distance)[one.primary_layer]


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
LEARNED = ("augment", "1s")  # networks of looks, as controls of one that has the same world


def rows_of(file: Path) -> list[dict[str, Any]]:
    """Tests of one network: each model given each control, over all pairs of classes and over those that never met."""
    kind, world, lag, k = file.stem.rsplit("_", 3)
    models = read_rdms(FOLDER / f"{kind}_{world}" / "models.parquet")
    classes = models["look"].classes
    pairs = len(models["look"].values)
    models["random"] = RDM(np.mean([models[f"random {i}"].values for i in range(UNTRAINED)], axis=0), classes)
    models["association"] = models[f"association {lag.removesuffix('s') if lag != 'augment' else 60} s"]
    crossed = dataclasses.replace(world_config(kind, int(world)), theme_by="crossed")
    models["crossed"] = RDM(theme_rdm(crossed).subset(classes).values, classes)
    tests = {(model, control) for model, controls in TESTS.items() for control in controls}
    for name in LEARNED:
        other = file.with_name(f"{kind}_{world}_{name}_0.parquet")
        if lag not in ("augment", name) and other.is_file():
            models[name] = RDM(read_rdms(other)["fc7"].subset(classes).values, classes)
            tests |= {(model, control) for model in ("theme", "category") for control in (name, f"look + {name}")}
    rdm = RDM(read_rdms(file)["fc7"].subset(classes).values, classes)
    head = {"kind": kind, "world": int(world), "lag_s": 0 if lag == "augment" else int(lag[:-1]), "seed": int(k)}
    never = models["met"].values == 1
    rows = []
    for model, control in sorted(tests):
        given = [models[name] for name in control.split(" + ") if name != "none"]
        design = np.array([np.ones(pairs), *(one.values for one in given)])
        if np.linalg.matrix_rank(np.vstack([design, models[model].values])) <= len(design):
            continue  # the model is a control: theme and category in the default world
        own = {"model": model, "control": control}
        found = mantel_table({"": rdm}, {model: models[model]}, given or None, permutations=9999).iloc[0]
        rows.append(head | own | {"pairs": "all", "n_pairs": pairs, "r": found.mantel_r, "p": found.p})
        if kind == "second_order" and model in ("category", "lch"):
            left = [left_over(one.values[never], design[:, never]) for one in (rdm, models[model])]
            r = float(np.corrcoef(*left)[0, 1])  # pairs that met are no permutation of others: the world is the unit
            rows.append(head | own | {"pairs": "never met", "n_pairs": int(never.sum()), "r": r, "p": math.nan})
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


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Means over worlds of every test, and slopes over the mix (r at w = 1 less r at w = 0, by least squares)."""
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
    return pd.concat([means, pd.DataFrame(slopes)], ignore_index=True)


ALT = (
    "Five panels with intervals over worlds: theme and category against the lag where themes cross categories, simple, "
    "given looks, and given each other; both against the share of crossed scenes; category where its halves never meet."
)
LOOKS = {  # told apart in grey by marker and line
    "theme": {"color": style.INK, "marker": "o", "linestyle": "-", "label": "theme"},
    "category": {"color": "#B45F06", "marker": "s", "linestyle": "--", "label": "category"},
}


def draw(means: pd.DataFrame) -> None:
    """Lag curves of the crossed world in three ways, the mix, and the second-order world."""
    style.use_house_style()
    figure, axes = plt.subplots(2, 3, figsize=(9.6, 6.4), layout="constrained", sharey="row")
    crossed = means[(means.kind == "crossed") & (means.pairs == "all")]
    ways = {"simple r": ("none", "none"), "given the true looks": ("look", "look")}
    ways["given looks, each other"] = ("look + category", "look + crossed")
    for ax, (title, controls) in zip(axes[0], ways.items(), strict=True):
        for (name, look), control in zip(LOOKS.items(), controls, strict=True):
            rows = crossed[(crossed.model == name) & (crossed.control == control)].sort_values("lag_s")
            points(ax, np.where(rows.lag_s == 0, 0.3, rows.lag_s), rows, look)
        ax.set_title(f"crossed, {title}", fontsize="medium")
        ax.set(xscale="log", xlabel="time lag (s)")
        ax.set_xticks([0.3, 1, 10, 60, 600], ["same\nframe", "1", "10", "60", "600"])
        ax.minorticks_off()
    mix = means[means.kind.isin(MIX) & (means.lag_s == 60) & (means.pairs == "all")].assign(w=means.kind.map(MIX))
    for ax, controls, title in (
        (axes[1][0], ("look", "look"), "mix at 60 s: given looks"),
        (axes[1][1], ("look + category", "look + crossed"), "mix at 60 s: and each other"),
    ):
        for (name, look), control in zip(
            {"crossed": LOOKS["theme"], "category": LOOKS["category"]}.items(), controls, strict=True
        ):
            rows = mix[(mix.model == name) & (mix.control == control)].sort_values("w")
            points(ax, rows.w, rows, look)
        ax.set_title(title, fontsize="medium")
        ax.set_xlabel("share of crossed scenes")
    second, ax = means[(means.kind == "second_order") & (means.model == "category")], axes[1][2]
    shown = {
        "all pairs": ("all", "look"),
        "never met": ("never met", "look"),
        "never met,\ngiven association": ("never met", "look + association"),
    }
    for lag_s, marker, shift, fill in ((0, "v", -0.2, "white"), (1, "D", 0.0, "#9A9A9A"), (60, "s", 0.2, "#B45F06")):
        rows = [
            second[(second.lag_s == lag_s) & (second.pairs == of) & (second.control == given)]
            for of, given in shown.values()
        ]
        for place, row in enumerate(rows):
            look = {"color": "#B45F06", "marker": marker, "linestyle": "none", "markerfacecolor": fill}
            points(
                ax,
                np.full(len(row), place + shift),
                row,
                look | ({"label": f"{lag_s} s" if lag_s else "same frame"} if not place else {}),
            )
    ax.set_xticks(range(3), list(shown))
    ax.set_title("second order: category", fontsize="medium")
    ax.margins(x=0.15)
    ax.set_ylim(-0.3, 0.4)  # intervals of two worlds go beyond
    for ax in axes.flat:
        style.zero_line(ax)
    axes[0][0].legend(loc="upper left", frameon=False)
    ax.legend(loc="lower center", ncols=3, frameon=False, fontsize="small", columnspacing=0.8, handletextpad=0.2)
    for row in axes:
        row[0].set_ylabel("(partial) r, fc7")
    n = means[means.lag_s == 60].set_index("kind").worlds.groupby(level=0).max().astype(int)
    shares = [f"{share:g}: {n[kind]}" for kind, share in MIX.items() if kind in n]
    told = f"share of crossed scenes {', '.join(shares)}; second order: {n.get('second_order', 0)}"
    style.caption(
        figure, f"Means over worlds, 95 % t intervals over worlds (worlds at 60 s: {told}); 48 classes, 300 steps, fc7."
    )
    with atomic(HERE / "kind_or_company.png") as temporary:
        figure.savefig(temporary, dpi=110)


def points(ax: Axes, x: np.ndarray | pd.Series, rows: pd.DataFrame, look: dict[str, Any]) -> None:
    """Means and their intervals."""
    error = np.abs(rows[["low", "high"]].to_numpy().T - rows["mean"].to_numpy()).reshape(2, -1)
    ax.errorbar(x, rows["mean"], np.nan_to_num(error), capsize=2, markersize=5, linewidth=1.3, **look)


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
    used = {name: sections[name] for name in ("training", "networks", "views", "stimuli", "activations")}
    networks = table.groupby(["kind", "lag_s"]).apply(lambda rows: len(rows[["world", "seed"]].drop_duplicates()))
    counts = {f"{kind}, {lag_s} s": int(count) for (kind, lag_s), count in networks.items()}
    write_json(
        HERE / "kind_or_company.json", record({"worlds": worlds, **used, "networks_trained": counts}) | {"alt": ALT}
    )
    draw(means)


if __name__ == "__main__":
    main()
