"""Photographs in drawn timelines: what lags teach of natural looks, and when company teaches (3 minutes a network).

    PHOTOGRAPHS=<folder> python -m validation.photographs train a b    (parts of `PARTS`; goes on where it stopped;
                                                                        several processes at once share the work)
    python -m validation.photographs                                   (tests what is trained, and draws it)

The objects of experiments/photographs.yaml are photographs of 64 classes of Tiny-ImageNet, 8 of each of 8 categories:
100 a class for films, 25 that no film shows for tests. Who meets whom, and for how long, is drawn. Kinds of world:

- category: a theme is a category, so that those who keep company share looks too;
- crossed: class i of category c has theme (c + i) mod 8, so that company says nothing of category, nor of looks. Each
  photograph is in one beat of one film (72 of 100 a class are dealt; `world.exemplars` null);
- crossed_10, crossed_2: films show only 10, or 2, photographs of a class, each in some 7, or 36, beats of many films.
  If company is learned of unseen photographs here and not where each is dealt once, exemplars must recur; if it is not
  learned here either, recurrence is not what is missing;
- crossed_warm, crossed_10_warm: the same, starting from the network `augment` of the kind crossed, not from scratch.

A seed is the world's and the network's. Training leaves the features (fc7) of one network a file in `FOLDER`, outside
the repository: of the test photographs (unseen) and of those that films show (seen); tests can be made again and others
added without training. Writes photographs.csv (one row a network, photographs, model and control, and accuracies), a
record of configs, versions and commit, and a figure.
"""

import contextlib
import fcntl
import json
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from validation.photographs_figure import ALT, draw

from semanticcmc.config import configure
from semanticcmc.evaluation.activations import features
from semanticcmc.evaluation.config import ActivationsConfig, EvaluationConfig, StimuliConfig
from semanticcmc.evaluation.decoding import knn_accuracy
from semanticcmc.evaluation.rdm_files import untrained_network
from semanticcmc.evaluation.stimuli import StimulusFolder
from semanticcmc.experiment import Experiment, load_experiment, read_values
from semanticcmc.films.pictures import read_image, square
from semanticcmc.rsa.mantel import mantel_table
from semanticcmc.rsa.rdm import RDM, from_class_means, read_rdms
from semanticcmc.rsa.semantics import category_rdm, lch_rdm
from semanticcmc.run import atomic, record, write_json
from semanticcmc.training.checkpoints import load_network
from semanticcmc.training.loop import Run
from semanticcmc.world.build import build
from semanticcmc.world.config import WorldConfig

HERE = Path(__file__).parent
FOLDER = Path(os.environ.get("PHOTOGRAPHS_STUDY", HERE.parent / "results" / "validation" / "photographs"))
EXEMPLARS = {"category": None, "crossed": None, "crossed_10": 10, "crossed_2": 2}  # photographs of a class in films
WARM = "_warm"
EVALUATION = configure(EvaluationConfig, read_values("photographs")[0]["evaluation"], "photographs")
TEST = EVALUATION.of_tests | {"bootstrap_samples": 0}
UNTRAINED = 3  # networks whose mean RDM is the control random
NEIGHBOURS, FOLDS = 5, 5
STEPS: int | None = int(os.environ.get("PHOTOGRAPHS_STEPS", "0")) or None  # fewer than the experiment's, for a trial


def parts() -> dict[str, list[tuple[str, int, int]]]:
    """Networks by part of the study, most wanted first: kind of world, seed, lag in s (0: augment)."""
    found = {}
    for seed, names in enumerate(("abc", "def", "ghi")):
        found[names[0]] = [("category", seed, lag_s) for lag_s in (60, 1, 10, 600, 0)]
        crossed = [("crossed", 60), ("crossed_10", 60), ("crossed_2", 60), ("crossed", 0)]
        found[names[1]] = [(kind, seed, lag_s) for kind, lag_s in crossed]
        found[names[2]] = [(f"{kind}{WARM}", seed, 60) for kind in ("crossed", "crossed_10")]
    return found


PARTS = parts()


def experiment_of(kind: str, seed: int) -> Experiment:
    """Experiment of a kind of world, whose photographs `PHOTOGRAPHS` names; the world is drawn once."""
    world = kind.removesuffix(WARM)
    values = read_values("photographs" if world == "category" else "photographs:crossed")[0]
    own = {"seed": seed, "exemplars": EXEMPLARS[world], "photographs": os.environ.get("PHOTOGRAPHS")}
    values["world"] |= own | {"stimuli_in_context": False}
    values["training"] |= {"steps": STEPS or values["training"]["steps"], "checkpoint_every": 200}
    if kind != world:
        values["training"]["warm_start"] = str(checkpoint("crossed", seed, 0))
    folder = FOLDER / f"{kind}_{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    with atomic(folder / "experiment.yaml") as temporary:
        temporary.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    if kind != world:  # of the same films
        experiment_of(world, seed)
        for name in ("frames", "stimuli", "world"):
            if not (folder / name).exists():
                (folder / name).symlink_to(FOLDER / f"{world}_{seed}" / name)
    with claimed(folder / "world.lock", wait=True):
        if not (folder / "frames" / "films.csv").exists():
            build(load_experiment(folder / "experiment.yaml").section("world", WorldConfig), folder, processes=1)
    return load_experiment(folder / "experiment.yaml")


def network_of(lag_s: int) -> str:
    """Name of a network."""
    return f"semantic_{lag_s}s" if lag_s else "augment"


def checkpoint(kind: str, seed: int, lag_s: int) -> Path:
    """Weights of a trained network."""
    return FOLDER / f"{kind}_{seed}" / "networks" / network_of(lag_s) / f"seed-{seed}" / "checkpoint.pt"


def feature_file(kind: str, seed: int, network: str) -> Path:
    """Where a network's features are, once it is trained."""
    return FOLDER / "features" / f"{kind}-{seed}-{network}.npz"


def in_films(one: Experiment, size: int = 128) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """The photographs that films show, each once, in batches; classes count by wnid."""
    shown = pd.read_csv(one.folder / "world" / "appearances.csv")[["wnid", "file"]]
    shown = shown.drop_duplicates().sort_values("file")
    index = np.searchsorted(np.unique(shown.wnid), shown.wnid)
    folder, px = Path(one.sections["world"]["photographs"]), one.sections["world"]["image_px"]
    for at in range(0, len(shown), size):
        images = np.array([square(read_image(folder / file), px) for file in shown.file[at : at + size]])
        yield torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(index[at : at + size])


def write_features(one: Experiment, network: torch.nn.Module, file: Path, **more: Any) -> None:
    """Features of the primary layer of unseen and seen photographs, and the class of each."""
    config, layer = one.section("activations", ActivationsConfig), one.primary_layer
    stimuli = StimulusFolder(one.folder / "stimuli", one.section("stimuli", StimuliConfig))
    unseen, unseen_class = features(network, stimuli.batches(config.batch_size), layer, config)
    seen, seen_class = features(network, in_films(one), layer, config)
    found = {"unseen": unseen, "unseen_class": unseen_class, "seen": seen, "seen_class": seen_class}
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic(file) as temporary, temporary.open("wb") as handle:
        np.savez(handle, classes=np.array(stimuli.classes), **found, **more)


@contextlib.contextmanager
def claimed(lock: Path, wait: bool = False) -> Iterator[bool]:
    """Whether no other process is at the same work; that one is waited for, or not."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


def train_all(names: list[str]) -> None:
    """Train the networks of some parts that are not trained yet, and that no other process is at."""
    torch.set_num_threads(1)
    for kind, seed, lag_s in (job for name in names for job in PARTS[name]):
        file = feature_file(kind, seed, network_of(lag_s))
        if kind.endswith(WARM) and not feature_file("crossed", seed, "augment").exists():
            print(f"{file.name}: left out until the network it starts from is trained", flush=True)
            continue
        with claimed(file.with_suffix(".lock")) as mine:
            if mine and not file.exists():
                train_one(kind, seed, lag_s, file)


def train_one(kind: str, seed: int, lag_s: int, file: Path) -> None:
    """Train a network and write its features, and before those of the untrained networks of its world."""
    one = experiment_of(kind, seed)
    for k in range(UNTRAINED) if not kind.endswith(WARM) else ():
        random = feature_file(kind, seed, f"random_{k}")
        if not random.exists():
            write_features(one, untrained_network(one, one.network("random", UNTRAINED * seed + k)), random)
    run = Run(one, one.network(network_of(lag_s), seed))
    trained = load_network(run.train())
    lines = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    last = [line["loss"] for line in lines if line["step"] > 0.9 * run.steps]
    write_features(one, trained, file, loss=np.mean(last), steps=run.steps)
    print(f"{file.name}: loss {np.mean(last):.3f}", flush=True)


CONTROLS = ("none", "random", "augment", "random + augment")


def rdm_of(file: Path, photographs: str) -> RDM:
    """RDM of class means, of unseen or seen photographs."""
    with np.load(file) as kept:
        values, index = kept[photographs].astype(np.float64), kept[f"{photographs}_class"]
        means = np.array([values[index == k].mean(axis=0) for k in range(len(kept["classes"]))])
        return from_class_means(means, tuple(kept["classes"].tolist()), EVALUATION.distance)


def category_accuracy(values: np.ndarray, index: np.ndarray, category: np.ndarray) -> float:
    """Share of photographs whose category is that of most of the 5 nearest ones (cosine) of other classes."""
    nearest = KNeighborsClassifier(NEIGHBOURS, metric="cosine")
    named = cross_val_predict(nearest, values, category[index], groups=index, cv=LeaveOneGroupOut())
    return float((named == category[index]).mean())


def rows_of(file: Path) -> list[dict[str, Any]]:
    """Tests and accuracies of one network."""
    kind, seed, network = file.stem.split("-")
    world = FOLDER / f"{kind}_{seed}" / "world"
    base = kind.removesuffix(WARM)
    head = {"kind": kind, "seed": int(seed), "network": network}
    head["lag_s"] = {"augment": 0}.get(network, math.nan if network[:6] == "random" else network[9:-1])
    head["lag_s"] = float(head["lag_s"])
    augment = feature_file("category" if kind == "category" else "crossed", int(seed), "augment")
    rows = []
    for photographs in ("unseen", "seen"):
        rdm = rdm_of(file, photographs)
        models = {"category": category_rdm(rdm.classes, world / "classes.csv"), "lch": lch_rdm(rdm.classes)}
        if kind != "category":
            models["theme"] = read_rdms(world / "theme_rdm.parquet")["theme"].subset(rdm.classes)
        untrained = [rdm_of(feature_file(base, int(seed), f"random_{k}"), photographs) for k in range(UNTRAINED)]
        given = {"random": RDM(np.mean([one.values for one in untrained], axis=0), rdm.classes)}
        if augment.exists():
            given["augment"] = rdm_of(augment, photographs)
        is_random = math.isnan(head["lag_s"])
        for control in CONTROLS[:1] if is_random else CONTROLS:
            names = [name for name in control.split(" + ") if name != "none"]
            if all(name in given and name != network for name in names):
                controls = [given[name] for name in names] or None
                for found in mantel_table({"": rdm}, models, controls, **TEST).itertuples():
                    own = {"measure": f"r with {found.model}", "control": control, "value": found.mantel_r}
                    own["p"] = found.p
                    rows.append(head | {"photographs": photographs} | own)
    with np.load(file) as kept:
        values, index, classes = kept["unseen"], kept["unseen_class"], kept["classes"]
        loss = float(kept["loss"]) if "loss" in kept else math.nan
    table = pd.read_csv(world / "classes.csv").set_index("wnid").loc[classes.tolist(), "category"].to_numpy()
    measured = {
        "class, 5-NN": float(knn_accuracy(values, index, NEIGHBOURS, FOLDS).mean()),
        "category of other classes, 5-NN": category_accuracy(values, index, table),
        **({} if math.isnan(loss) else {"loss": loss}),
    }
    rows += [head | {"photographs": "unseen", "measure": name, "value": value} for name, value in measured.items()]
    return rows


def main() -> None:
    """Train, or test and draw."""
    files = sorted((FOLDER / "features").glob("*.npz"))
    if not files and "PHOTOGRAPHS" not in os.environ:
        return print("validation.photographs: skipped; PHOTOGRAPHS=<folder with train and test> names them")
    if sys.argv[1:2] == ["train"]:
        return train_all(sys.argv[2:] or list(PARTS))
    torch.set_num_threads(1)
    table = pd.DataFrame([row for file in files for row in rows_of(file)])
    table = table.sort_values(["kind", "seed", "lag_s", "network", "photographs", "measure"], kind="stable")
    with atomic(HERE / "photographs.csv") as temporary:
        table.to_csv(temporary, index=False, float_format="%.5g")
    sections = {name: read_values(name)[0] for name in ("photographs", "photographs:crossed")}
    worlds = {name: values["world"] for name, values in sections.items()}
    used = ("training", "networks", "views", "stimuli", "activations", "evaluation")
    settings = {name: sections["photographs"][name] for name in used} | {"exemplars": EXEMPLARS}
    settings |= {"networks_trained": [file.stem for file in files if "random" not in file.stem]}
    write_json(HERE / "photographs.json", record({"worlds": worlds, **settings}) | {"alt": ALT})
    draw(table, HERE / "photographs.png")


if __name__ == "__main__":
    main()
