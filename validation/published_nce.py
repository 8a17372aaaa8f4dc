"""What does the published objective need to learn? The miniature's lags, as published and mended (an hour on one core).

    python -m validation.published_nce            (goes on where it stopped)

Noise-contrastive estimation against a memory bank, with the published temperature, momentum and form and 4,096 samples
of noise for the world's 28,800 frames, in place of InfoNCE. All else is as in experiments/miniature.yaml: the same
world, pairs and views, and the same 300 steps. As published, Z is frozen from the first batch, whose scores are against
a random bank, and each of about 20,700 rows is visited 3.7 times (published: 80). Mended, Z is estimated anew at
every step, and every sixteenth first frame alone makes a pair, so that each row is visited 59 times. What `VARIANTS`
names besides is tried at one lag. InfoNCE's rows are those of the world `miniature` in pretexts.csv.

Writes published_nce.csv (one row a network: its category coding at the primary layer, simple and given the mean RDM of
untrained networks, and how its training ended), a record of configs, versions and commit, and a figure beside this
file.
"""

import functools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import yaml

from semanticcmc.evaluation.activations import class_means_and_features
from semanticcmc.evaluation.config import ActivationsConfig, EvaluationConfig, StimuliConfig, control_networks
from semanticcmc.evaluation.models import category_table
from semanticcmc.evaluation.rdm_files import untrained_network
from semanticcmc.evaluation.stimuli import StimulusFolder
from semanticcmc.experiment import Experiment, load_experiment, read_values
from semanticcmc.figures import style
from semanticcmc.rsa.mantel import mantel_table
from semanticcmc.rsa.rdm import RDM, from_class_means
from semanticcmc.rsa.semantics import category_rdm
from semanticcmc.run import atomic, record, write_json
from semanticcmc.training.checkpoints import load_network
from semanticcmc.training.loop import Run
from semanticcmc.training.networks import TrainedNetwork
from semanticcmc.training.recipe import chance_loss

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results" / "validation" / "published_nce"
PUBLISHED = {
    "noise": 4096,
    "momentum": 0.5,
    "sharing": "batch",
    "form": "nce",
    "normaliser": "first_batch",
    "bank": "random",
    "every": 1,
}
SGD = {
    "optimiser": "sgd",
    "learning_rate": 0.03,
    "weight_decay": 0.0001,
    "schedule": "step",
    "drops": [0.375, 0.625, 0.875],
}
THREE, LAGS_S = [(60, 0), (60, 1), (60, 2)], [(lag_s, 0) for lag_s in (600, 1, 180, 20, 5)]
ONE = [(60, 0)]


def nce(bank: dict[str, Any] | None = None, **training: Any) -> dict[str, Any]:
    """The miniature's training with the published objective, and what differs from it."""
    own = {"objective": "memory_bank_nce", "temperature": 0.07, "learn_temperature": False}
    return own | {"memory_bank": PUBLISHED | (bank or {})} | training


MENDED = {"normaliser": "running", "every": 16}
VARIANTS: dict[str, tuple[str, dict[str, Any], list[tuple[int, int]]]] = {
    "mended": ("NCE, Z anew and each row visited 59 times", nce(MENDED), THREE + LAGS_S),
    "nce": ("NCE as published, the miniature's AdamW", nce(), THREE + LAGS_S),
    "running": ("Z anew alone", nce({"normaliser": "running"}), ONE),
    "visited": ("59 visits alone", nce({"every": 16}), ONE),
    "filled": ("59 visits, bank filled by a pass, Z frozen", nce({"every": 16, "bank": "forward_pass"}), ONE),
    "mended, filled": ("both, bank filled by a pass", nce(MENDED | {"bank": "forward_pass"}), ONE),
    "softmax, visited": ("softmax form, 59 visits", nce({"every": 16, "form": "softmax"}), ONE),
    "softmax": ("memory bank in softmax form", nce({"form": "softmax"}), ONE),
    "nce, slower": ("NCE, AdamW at a tenth of the rate", nce(learning_rate=0.0003), ONE),
    "nce, sgd": ("NCE, the published SGD and drops", nce(**SGD), ONE),
    "nce, longer": ("NCE, a third of the rate, 2,400 steps", nce(learning_rate=0.001, steps=2400), ONE),
}
"""Variant to words, training, and lags (s) with seeds."""


def world() -> Path:
    """The miniature's world, made once."""
    folder = RESULTS / "world"
    if not (folder / "frames/index.parquet").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "experiment.yaml").write_text(yaml.safe_dump(read_values("miniature")[0]), encoding="utf-8")
        subprocess.run([sys.executable, "-m", "semanticcmc", "world", folder / "experiment.yaml"], check=True)
    return folder


def experiment(variant: str, training: dict[str, Any]) -> Experiment:
    """The miniature with another training, over the world made once."""
    values = read_values("miniature")[0]
    values["training"] |= training
    folder = RESULTS / variant.replace(", ", "_")
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("frames", "stimuli", "world", "labels"):
        if not (folder / part).exists():
            (folder / part).symlink_to(world() / part)
    with atomic(folder / "experiment.yaml") as temporary:
        temporary.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return load_experiment(folder / "experiment.yaml")


def rdm_of(one: Experiment, trained: TrainedNetwork) -> RDM:
    """A network's RDM at the primary layer."""
    stimuli = StimulusFolder(one.folder / "stimuli", one.section("stimuli", StimuliConfig))
    activations, layer = one.section("activations", ActivationsConfig), one.primary_layer
    batches = stimuli.batches(activations.batch_size)
    means, _, _ = class_means_and_features(trained, batches, len(stimuli.classes), layer, activations)
    return from_class_means(means[layer], stimuli.classes, one.section("evaluation", EvaluationConfig).distance)


@functools.cache
def untrained() -> RDM:
    """Mean RDM of the miniature's untrained networks: the control `random`."""
    one = experiment("nce", VARIANTS["nce"][1])
    rdms = [rdm_of(one, untrained_network(one, network)) for network in control_networks(one)]
    return RDM(np.mean([rdm.values for rdm in rdms], axis=0), rdms[0].classes)


def row(one: Experiment, lag_s: float, seed: int) -> dict[str, Any]:
    """Train one network, or open it, and test its category coding."""
    network = one.network(f"semantic_{lag_s}s", seed)
    folder = Run(one, network).train()
    rdm = rdm_of(one, load_network(folder))
    category = category_rdm(rdm.classes, category_table(one))
    tested = {"mantel_r": None, "partial_r": untrained()}
    found = {name: mantel_table({0: rdm}, {0: category}, control=control) for name, control in tested.items()}
    last = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    return {
        "lag_s": lag_s,
        "seed": seed,
        "mantel_r": found["mantel_r"]["mantel_r"].iloc[0],
        "p": found["mantel_r"]["p"].iloc[0],
        "partial_r": found["partial_r"]["mantel_r"].iloc[0],
        "partial_p": found["partial_r"]["p"].iloc[0],
        "loss": last["loss"],
        "chance_loss": chance_loss(one, network),
        "alignment": last["alignment"],
        "uniformity": last["uniformity"],
    }


def info_nce() -> pd.DataFrame:
    """InfoNCE's rows, all seeds, measured by pretexts.py."""
    table = pd.read_csv(HERE / "pretexts.csv", keep_default_na=False, na_values=[""])
    rows = table[(table.world == "miniature") & (table.model == "category") & table.network.str.startswith("semantic")]
    names = {"none": {}, "random": {"mantel_r": "partial_r", "p": "partial_p"}}
    simple, partial = (
        rows[rows.control == control][["lag_s", "seed", "mantel_r", "p"]].rename(columns=names[control])
        for control in names
    )
    return simple.merge(partial, on=["lag_s", "seed"]).assign(variant="info_nce")


def draw(table: pd.DataFrame) -> None:
    """Category coding given untrained networks against the lag: curves where there are several lags, else points."""
    style.use_house_style()
    figure, ax = plt.subplots(figsize=(6.4, 6.4), layout="constrained")
    ax.axhline(0, color=style.QUIET, linewidth=1)
    words = {"info_nce": "InfoNCE (mean of 3 seeds)"} | {name: said for name, (said, *_) in VARIANTS.items()}
    for (name, said), marker in zip(words.items(), "os^vDXPp<>*h", strict=True):
        mean = table[table.variant == name].groupby("lag_s").partial_r.mean().dropna()
        if mean.empty:  # not trained yet
            continue
        ax.plot(mean.index, mean, marker=marker, label=said, linestyle="-" if len(mean) > 1 else "none")
    ax.set(xscale="log", xlabel="time lag (s)", ylabel="Partial r with category, fc7")
    lags_s = sorted(table.lag_s.unique())
    ax.set_xticks(lags_s, [f"{lag_s:g}" for lag_s in lags_s])
    ax.minorticks_off()
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1))
    with atomic(HERE / "published_nce.png") as temporary:
        figure.savefig(temporary, dpi=110)
    plt.close(figure)


def main() -> None:
    """Train what is not trained yet; after each network write the table, record and figure anew."""
    rows = []
    jobs = [(variant, *run) for variant, (_, _, runs) in VARIANTS.items() for run in runs]
    for variant, lag_s, seed in sorted(jobs, key=lambda job: (job[0] == "nce, longer", job[0] != "mended")):
        one = experiment(variant, VARIANTS[variant][1])
        rows.append(row(one, lag_s, seed) | {"variant": variant})
        print(rows[-1], flush=True)
        table = pd.concat([info_nce(), pd.DataFrame(rows).sort_values(["variant", "lag_s", "seed"])])
        with atomic(HERE / "published_nce.csv") as temporary:
            table.to_csv(temporary, index=False, float_format="%.5g")
        write_json(HERE / "published_nce.json", record({"miniature": one.sections, "variants": VARIANTS}, seed=0))
        draw(table)
    print(f"Wrote {HERE / 'published_nce.csv'}, .json and .png")


if __name__ == "__main__":
    main()
