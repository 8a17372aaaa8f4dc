"""Do the conditions tell what was learned about things from what was learned about places?

    python validation/conditions.py            (about 20 minutes on 2 cores; goes on where it stopped)

Two worlds that differ from experiments/miniature.yaml in `WORLDS`. In ``objects`` things of one category share scenes
and stand anywhere, as in the miniature. In ``places`` each class has a place of its own, places of one category share
scenes, and things are dealt out at random. Looks carry no category in either: only time tells what belongs together.
The stimuli stand in context, each thing in a place of its class, with exact masks. What a network at 60 s learned must
show under ``object`` and not under ``background`` in the first world, and the other way round in the second.

Found with one seed: in ``objects`` it does (partial r with category .12, p .0007, against -.00). In ``places``, where
0.8 of a place's variance is its class's, nothing was learned about either (.02, p .23, and -.01), so that this world
cannot show yet that ``background`` finds what is there.

The films of ``objects`` are the miniature's, so that the networks which validation/lag_curve.py left in
results/validation/miniature are used where they are there; else they are trained. Writes conditions.csv (one row a
world, condition, network, seed, model and control at the primary layer), a record and a figure beside this file.
"""

import dataclasses
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
import yaml

from semanticcmc.activations import ActivationsConfig, class_means
from semanticcmc.controls import make_controls
from semanticcmc.evaluation import lag_curve
from semanticcmc.experiments import Experiment, resolve_experiment
from semanticcmc.plots import style
from semanticcmc.rdm import from_class_means, write_rdms
from semanticcmc.run import atomic, record, write_json
from semanticcmc.stimuli import StimuliConfig, StimulusFolder, stimulus_folder
from semanticcmc.trained import load_network
from semanticcmc.training import train
from semanticcmc.world import WorldConfig, build

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results" / "validation"
SEEDS = 1
NETWORKS = ("random", "semantic_60s")
CONDITIONS = ("intact", "object", "background")
WORLDS = {
    "objects": ("category in the things alone", {}),
    "places": ("category in the places alone", {"shuffle_objects": True, "class_places": 0.8}),
}
"""World to what it is in words, and what differs from the miniature's."""


def variant(name: str, changes: dict[str, object]) -> Experiment:
    """The miniature with `changes` to its world, stimuli in context, two networks."""
    file = HERE.parent / "analysis" / "experiments" / "miniature.yaml"
    values = yaml.safe_load(file.read_text(encoding="utf-8"))
    values |= {"name": name, "baselines": ["random"], "lags_s": [60]}
    values["world"] |= {"stimuli_in_context": True} | changes
    values["stimuli"]["conditions"] = list(CONDITIONS)
    values["activations"]["layers"] = [values["primary_layer"]]
    source = RESULTS / "sources" / f"conditions_{name}.yaml"
    with atomic(source) as temporary:
        temporary.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return resolve_experiment(source, results=RESULTS / "conditions", seeds=SEEDS)


def run_folders(experiment: Experiment) -> dict[tuple[str, int], Path]:
    """World and networks of an experiment: the folder of each finished run."""
    runs = [(network, seed) for network in NETWORKS for seed in range(SEEDS)]
    world = experiment.section("world", WorldConfig)
    before = {run: RESULTS / "miniature" / "networks" / run[0] / f"seed-{run[1]}" for run in runs}
    if experiment.name == "objects" and all((path / "checkpoint.pt").exists() for path in before.values()):
        # No film is needed, and the stimuli do not depend on films: one short film stands for them.
        build(dataclasses.replace(world, films=1, film_duration_s=60.0), experiment.folder)
        return before
    build(world, experiment.folder)
    return {run: train(experiment, *run) for run in runs}


def measure(name: str, changes: dict[str, object]) -> tuple[Experiment, pd.DataFrame]:
    """The tests of one world at the primary layer."""
    experiment = variant(name, changes)
    config = experiment.section("activations", ActivationsConfig)
    distance = experiment.sections["evaluation"]["distance"]
    folders = run_folders(experiment)
    stimuli = StimulusFolder(stimulus_folder(experiment), experiment.section("stimuli", StimuliConfig))
    for (network, seed), folder in folders.items():
        trained = load_network(folder)
        for condition in CONDITIONS:
            batches = stimuli.batches(config.batch_size, condition)
            means = class_means(trained, batches, len(stimuli.classes), config)
            rdms = {
                layer: from_class_means(values, stimuli.classes, distance) for layer, values in means.items()
            }
            write_rdms(experiment.path("rdms", network, f"seed-{seed}_{condition}.parquet"), rdms)
    make_controls(experiment)
    return experiment, lag_curve(experiment)


def draw(table: pd.DataFrame) -> None:
    """Partial r with category by condition, a panel a world, a point a seed."""
    style.use_house_style()
    figure, axes = plt.subplots(1, len(WORLDS), figsize=(4.6 * len(WORLDS), 4.2), sharey=True)
    look = style.model_style("category")
    for ax, (world, (words, _)) in zip(axes, WORLDS.items(), strict=True):
        for network, control, colour, label in (
            ("semantic_60s", "random", look["color"], "60 s, given the random network"),
            ("random", "none", style.QUIET, "random network"),
        ):
            rows = table[(table.world == world) & (table.network == network) & (table.control == control)]
            rows = rows[rows.model == "category"]
            aside = 0.12 if network == "random" else -0.12
            x = rows.condition.map(CONDITIONS.index) + aside + 0.06 * (rows.seed - rows.seed.max() / 2)
            bars = np.stack([rows.mantel_r - rows.ci_low, rows.ci_high - rows.mantel_r])
            ax.errorbar(x, rows.mantel_r, bars, fmt="o", color=colour, label=label)
        style.zero_line(ax)
        ax.set_xticks(range(len(CONDITIONS)), CONDITIONS)
        ax.set_title(words)
    axes[0].set_ylabel("correlation with category")
    axes[-1].legend()
    style.caption(
        figure, f"Bars: 95 % bootstrap over classes. {table.seed.nunique()} seed(s); {table.layer.iloc[0]}."
    )
    with atomic(HERE / "conditions.png") as temporary:
        figure.savefig(temporary, dpi=110)


def main() -> None:
    """Both worlds; one table, one record and one figure."""
    tables, configs = [], {}
    for world, (words, changes) in WORLDS.items():
        print(f"== {world}: {words}; {torch.get_num_threads()} threads", flush=True)
        experiment, table = measure(world, changes)
        tables.append(table.assign(world=world))
        configs[world] = {"lags_s": experiment.lags_s, **experiment.sections}
    gathered = pd.concat(tables)
    with atomic(HERE / "conditions.csv") as temporary:
        gathered.to_csv(temporary, index=False, float_format="%.5g")
    write_json(HERE / "conditions.json", record(configs, seeds=list(range(SEEDS))))
    draw(gathered)
    shown = gathered[(gathered.model == "category") & (gathered.control != "look")]
    print(
        shown[
            ["world", "condition", "network", "seed", "control", "mantel_r", "p", "ci_low", "ci_high"]
        ].to_string()
    )


if __name__ == "__main__":
    main()
