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
import os
import sys
from pathlib import Path

import torch
import yaml

from semanticcmc.evaluation.config import ActivationsConfig, EvaluationConfig, StimuliConfig
from semanticcmc.evaluation.rdm_files import network_rdms, untrained_network
from semanticcmc.evaluation.stimuli import StimulusFolder
from semanticcmc.experiment import Experiment, load_experiment, read_values
from semanticcmc.labels.stream import read_labels
from semanticcmc.rsa.rdm import RDM, read_rdms, write_rdms
from semanticcmc.rsa.semantics import category_rdm, lch_rdm
from semanticcmc.run import atomic
from semanticcmc.timescales.curves import TimescalesConfig
from semanticcmc.timescales.pairs import label_pairs
from semanticcmc.timescales.prediction import association_rdm, labels_as_wnids
from semanticcmc.training.checkpoints import load_network
from semanticcmc.training.loop import train
from semanticcmc.world.build import build
from semanticcmc.world.config import WorldConfig

HERE = Path(__file__).parent
FOLDER = Path(os.environ.get("KIND_OR_COMPANY", HERE.parent / "results" / "validation" / "kind_or_company"))
MIX = {"mixed_0": 0.0, "mixed_25": 0.25, "mixed_50": 0.5, "mixed_75": 0.75, "crossed": 1.0}  # share of crossed scenes
LAGS_S = (1, 10, 60, 180, 600)
UNTRAINED = 5  # networks whose mean RDM is the control random
PARTS = {
    "a": [("crossed", world, lag, 0) for lag in (60, 0, 1, 10, 180, 600) for world in range(6)],
    "b": [("crossed", world, 60, k) for k in (1, 2) for world in range(6)],
    "c": [(name, 0, 60, 0) for name in ("mixed_0", "mixed_50", "mixed_25", "mixed_75")],
    "d": [("second_order", world, 60, 0) for world in range(6)],
    "e": [(name, world, 60, 0) for world in (1, 2) for name in ("mixed_0", "mixed_50", "mixed_25", "mixed_75")],
    "f": [("second_order", world, lag, 0) for lag in (0, 1) for world in range(6)],
    "g": [(name, world, 60, 0) for world in (3, 4, 5) for name in ("mixed_0", "mixed_50", "mixed_25", "mixed_75")],
}
"""Networks by part of the study, most wanted first: kind of world, its seed, lag in s (0: augment), network seed."""


def prepared(kind: str, seed: int) -> Experiment:
    """A world, drawn once, with the RDMs of its truth and of its untrained networks."""
    values = read_values("miniature")[0]
    by = {"mixed_0": "category"}.get(kind, kind.split("_")[0] if kind.startswith("mixed") else kind)
    values["world"] |= {"seed": seed, "theme_by": by, "theme_relatedness": 0.0, "crossed_share": MIX.get(kind, 0.5)}
    folder = FOLDER / f"{kind}_{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "experiment.yaml").exists():
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
            write_rdms(file, {"fc7": rdm_of(one, load_network(train(one, network)))})
            print(f"{file.name}", flush=True)


def main() -> None:
    """Train, or test and draw."""
    if sys.argv[1:2] == ["train"]:
        train_all(sys.argv[2:] or list(PARTS))


if __name__ == "__main__":
    main()
