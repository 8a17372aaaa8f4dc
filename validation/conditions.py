"""Do the conditions tell what was learned about things from what was learned about places?

    python -m validation.conditions            (about half an hour on 2 quiet cores; goes on where it stopped)

Two worlds that differ from experiments/miniature.yaml in `WORLDS`. In ``objects`` things of one category share scenes
and stand anywhere, as in the miniature. In ``places`` each class has a place of its own, places of one category share
scenes, and things are dealt out at random. Looks carry no category in either: only time tells what belongs together.
The stimuli stand in context, each thing in a place of its class, with exact masks. What a network at 60 s learned must
show under ``object`` and not under ``background`` in the first world, and the other way round in the second.

FOUND

With three seeds the conditions tell the worlds apart: in ``objects`` category is coded under ``object`` (partial r .10
to .15, largest p .004) and not found under ``background`` (.00 to .01); in ``places`` the other way round (-.00 to .01,
and .34 to .40, largest p .0001). The paired difference of the two conditions is clear in ``places`` (p .0002 with each
seed) and in ``objects`` with two seeds of three (p .009, .06, .003).

``places`` is no mirror with all else equal. With the miniature's films and 300 steps little or nothing was found in
places, though the association is there (the places' own joint counts at 60 s give embedding distances that correlate
.84 with category) and so are the places (a linear classifier of 16 x 16 pixels names the class of .66 of the
backgrounds at `class_places` 0.8, of .98 at 1, chance .02). What stood in the way was tried out step by step, seed 0,
partial r with category under ``background`` given the mean of five random networks (0.80: of one):

    class_places  film_grade  films  steps     r      p
            0.80         0.5     12    300  .019    .23
            0.96         0.5     12    300  .025    .18
            0.96         0.5     12    900  .040    .09
            1.00         0.5     12    300  .057    .02
            1.00         0.0     12    300  .140  .0002
            1.00         0.0     12    900  .197  .0001
            1.00         0.0     24    900  .399  .0001   the world ``places``

What helped most was to leave out the films' colour grades (probably since a grade tints all of a place and tells the
film, which pairs share at every lag), then more steps, and twice the films. Heights compare conditions within a world,
not things with places.

The films of ``objects`` are the miniature's, so that the networks which validation/lag_curve.py left in
results/validation/miniature are used where they are there; else they are trained. Writes conditions.csv (one row a
world, condition, network, seed, model and control at the primary layer), conditions_contrasts.csv (one row a world and
seed: category under ``object`` less that under ``background``), a record and a figure beside this file.
"""

import dataclasses
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
import yaml

from semanticcmc.evaluation.config import ActivationsConfig, EvaluationConfig, StimuliConfig
from semanticcmc.evaluation.lag_curve import Study, lag_curve
from semanticcmc.evaluation.rdm_files import make_controls, network_rdms, rdm_file
from semanticcmc.evaluation.stimuli import StimulusFolder, stimulus_folder
from semanticcmc.experiment import Experiment, Network, read_values
from semanticcmc.figures import style
from semanticcmc.rsa.bootstrap import compare
from semanticcmc.rsa.rdm import write_rdms
from semanticcmc.run import atomic, counted, record, write_json
from semanticcmc.training.checkpoints import load_network
from semanticcmc.training.loop import Run
from semanticcmc.workflow import resolve_experiment
from semanticcmc.world.build import build
from semanticcmc.world.config import WorldConfig

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results" / "validation"
SEEDS = 3
NETWORKS = ("random", "semantic_60s")
CONDITIONS = ("intact", "object", "background")
WORLDS: dict[str, tuple[str, dict[str, dict[str, object]]]] = {
    "objects": ("category in the things alone", {}),
    "places": (
        "category in the places alone",
        {
            "world": {"shuffle_objects": True, "class_places": 1.0, "film_grade": 0.0, "films": 24},
            "training": {"steps": 900},
        },
    ),
}
"""World to what it is in words, and what differs from the miniature, section by section."""


def variant(name: str, changes: dict[str, dict[str, object]]) -> Experiment:
    """The miniature with `changes` to its sections, stimuli in context, two networks."""
    values = read_values("miniature")[0]
    values |= {"name": name, "baselines": ["random"], "lags_s": [60]}
    values["world"] |= {"stimuli_in_context": True}
    for section, changed in changes.items():
        values[section] |= changed
    values["stimuli"]["conditions"] = list(CONDITIONS)
    values["activations"]["layers"] = [values["primary_layer"]]
    source = RESULTS / "sources" / f"conditions_{name}.yaml"
    with atomic(source) as temporary:
        temporary.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return resolve_experiment(source, results=RESULTS / "conditions", seeds=SEEDS)


def run_folders(experiment: Experiment) -> dict[Network, Path]:
    """World and networks of an experiment: the folder of each finished run."""
    world = experiment.section("world", WorldConfig)
    miniature = dataclasses.replace(experiment, folder=RESULTS / "miniature")
    before = {network: miniature.run_folder(network) for network in experiment.runs}
    if experiment.name == "objects" and all((path / "checkpoint.pt").exists() for path in before.values()):
        # No film is needed, and the stimuli do not depend on films: one short film stands for them.
        build(dataclasses.replace(world, films=1, film_duration_s=60.0), experiment.folder)
        return before
    build(world, experiment.folder)
    return {network: Run(experiment, network).train() for network in experiment.runs}


def measure(name: str, changes: dict[str, dict[str, object]]) -> tuple[Experiment, pd.DataFrame]:
    """The tests of one world at the primary layer."""
    experiment = variant(name, changes)
    config = experiment.section("activations", ActivationsConfig)
    distance = experiment.sections["evaluation"]["distance"]
    folders = run_folders(experiment)
    stimuli = StimulusFolder(stimulus_folder(experiment), experiment.section("stimuli", StimuliConfig))
    for network, folder in folders.items():
        trained = load_network(folder)
        for condition in CONDITIONS:
            rdms = network_rdms(trained, stimuli, condition, config, distance)
            write_rdms(rdm_file(experiment, network, condition), rdms)
    make_controls(experiment)
    return experiment, lag_curve(experiment)


def contrasts(experiment: Experiment) -> pd.DataFrame:
    """Category under ``object`` less category under ``background``, given random networks: the paired bootstrap.

    Returns
    -------
    DataFrame
        One row a seed: ``network, seed``, and the columns of `bootstrap.compare`.
    """
    config, layer = experiment.section("evaluation", EvaluationConfig), experiment.primary_layer
    studies = {condition: Study(experiment, condition) for condition in CONDITIONS[1:]}
    tables = []
    for seed in experiment.seeds:
        rdms, control = {}, {}
        network = experiment.network(NETWORKS[1], seed)
        for condition, study in studies.items():
            rest, given = study.given({network: study.files.read(network)[layer]}, layer, "random")
            rdms[condition], control[condition] = rest[network], given
        category = {"category": studies["object"].models["category"]}
        found = compare(rdms, category, control, confidence=config.confidence, method=config.method)
        tables.append(found.assign(network=NETWORKS[1], seed=seed))
    return pd.concat(tables)


def draw(table: pd.DataFrame) -> None:
    """Partial r with category by condition, a panel a world, a point a seed."""
    style.use_house_style()
    figure, axes = plt.subplots(1, len(WORLDS), figsize=(4.6 * len(WORLDS), 4.2), sharey=True)
    look = style.model_style("category")
    for ax, (world, (words, _)) in zip(axes, WORLDS.items(), strict=True):
        for network, control, colour, marker, label in (
            ("semantic_60s", "random", look["color"], "o", "60 s, given random networks"),
            ("random", "none", style.QUIET, "X", "random network"),
        ):
            rows = table[(table.world == world) & (table.network == network) & (table.control == control)]
            rows = rows[rows.model == "category"]
            aside = 0.12 if network == "random" else -0.12
            x = rows.condition.map(CONDITIONS.index) + aside + 0.06 * (rows.seed - rows.seed.max() / 2)
            bars = np.stack([rows.mantel_r - rows.ci_low, rows.ci_high - rows.mantel_r])
            ax.errorbar(x, rows.mantel_r, bars, fmt=marker, color=colour, label=label)
        style.zero_line(ax)
        ax.set_xticks(range(len(CONDITIONS)), CONDITIONS)
        ax.set_title(words)
    axes[0].set_ylabel("correlation with category")
    axes[-1].legend()
    style.caption(
        figure, f"Bars: 95 % bootstrap over classes. {counted(table.seed.nunique(), 'seed')}; {table.layer.iloc[0]}."
    )
    with atomic(HERE / "conditions.png") as temporary:
        figure.savefig(temporary, dpi=110)


def main() -> None:
    """Both worlds; two tables, one record and one figure."""
    tables: dict[str, list[pd.DataFrame]] = {"conditions": [], "conditions_contrasts": []}
    configs = {}
    for world, (words, changes) in WORLDS.items():
        print(f"== {world}: {words}; {torch.get_num_threads()} threads", flush=True)
        experiment, table = measure(world, changes)
        tables["conditions"].append(table.assign(world=world))
        tables["conditions_contrasts"].append(contrasts(experiment).assign(world=world))
        configs[world] = {"lags_s": experiment.lags_s, **experiment.sections}
    gathered = {name: pd.concat(parts) for name, parts in tables.items()}
    for name, table in gathered.items():
        with atomic(HERE / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False, float_format="%.5g")
    write_json(HERE / "conditions.json", record(configs, seeds=list(range(SEEDS))))
    draw(gathered["conditions"])
    table = gathered["conditions"]
    shown = table[(table.model == "category") & (table.control == "random")]
    print(shown[["world", "condition", "seed", "mantel_r", "p", "ci_low", "ci_high"]].to_string())
    print(gathered["conditions_contrasts"].to_string())


if __name__ == "__main__":
    main()
