"""Does the trained peak follow the world? Six worlds, one of them drawn three times (about 50 minutes on one core).

    python -m validation.lag_curve            (goes on where it stopped)

The worlds differ from experiments/miniature.yaml in what `WORLDS` says: whether looks carry category
(`appearance_semantics`), how long beats and scenes last (`time_scale`; longer ones in longer films, so that there are
as many scenes to learn from), and whether objects are shuffled across scenes (`shuffle_objects`), which destroys the
association and must make the effect vanish. A seed draws world and networks anew: looks, themes and courses of films,
weights and batches. Writes lag_curve.csv (one row a world, network, seed, model and control at the primary layer), a
record of configs, seeds, versions and commit, and a figure beside this file.
"""

import sys
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from semanticcmc.experiment import Experiment, read_values
from semanticcmc.figures import style
from semanticcmc.figures.lag_curve import lag_curve
from semanticcmc.figures.tables import Selection
from semanticcmc.run import atomic, available_cores, record, write_json
from semanticcmc.workflow import resolve_experiment, run_snakemake
from semanticcmc.workflow.checks import check_experiment

HERE = Path(__file__).parent
SEEDS = {"miniature": (0, 1, 2)}  # of the other worlds 0
WORLDS = {
    "miniature": ("as it is", {}),
    "objects_shuffled": (
        "objects shuffled across scenes",
        {"baselines": ["random"], "lags_s": [20, 60], "world": {"shuffle_objects": True}},
    ),
    "four_times_faster": (
        "beats and scenes a quarter as long",
        {"baselines": ["random"], "lags_s": [1, 5, 15, 60], "world": {"time_scale": 0.25}},
    ),
    "two_times_faster": (
        "beats and scenes half as long",
        {"baselines": ["random"], "lags_s": [1, 3, 10, 30, 90, 300], "world": {"time_scale": 0.5}},
    ),
    "three_times_slower": (
        "beats and scenes three times as long",
        {"baselines": ["random"], "lags_s": [60, 180, 600], "world": {"time_scale": 3.0, "film_duration_s": 7200}},
    ),
    "looks_carry_category": (
        "half of the looks' variance is the category's",
        {"baselines": ["random"], "lags_s": [1, 60, 600], "world": {"appearance_semantics": 0.5}},
    ),
}
"""World to what differs: in words, and in the miniature's experiment, of its sections key by key."""


def run_variant(name: str, changes: dict[str, Any], seed: int) -> tuple[Experiment, pd.DataFrame]:
    """Run the miniature with `changes` through the workflow; its results stay for the next time.

    Returns
    -------
    Experiment
    DataFrame
        Its lag curve at the primary layer.
    """
    values = read_values("miniature")[0] | {"name": f"{name}_{seed}" if seed else name, "seeds": [seed]}
    for key, value in changes.items():
        values[key] = values[key] | value if isinstance(value, dict) else value
    values["world"] |= {"seed": seed}
    if "lags_s" in changes:  # of them none is planned
        values["evaluation"] |= {"planned_lag_s": None}
    results = HERE.parent / "results" / "validation"
    source = results / "sources" / f"{values['name']}.yaml"
    with atomic(source) as temporary:
        temporary.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    experiment = resolve_experiment(source, results=results)
    check_experiment(experiment)
    if run_snakemake(experiment, available_cores(), ["tables/lag_curve.csv"]):
        sys.exit(f"{values['name']} failed: see {experiment.folder}/workflow.log")
    return experiment, primary_layer(experiment.folder / "tables/lag_curve.csv", experiment.primary_layer)


def primary_layer(file: Path, layer: str) -> pd.DataFrame:
    """A lag curve's rows of one layer; the control ``none`` is a word, not a missing value."""
    table = pd.read_csv(file, keep_default_na=False, na_values=[""])
    return table[table.layer == layer]


def draw(table: pd.DataFrame, experiment: Experiment) -> None:
    """One lag curve a world, on one scale."""
    style.use_house_style()
    by_world = table.assign(condition=[WORLDS[world][0] for world in table.world])
    worlds = [words for words, _ in WORLDS.values() if words in set(by_world.condition)]
    drawn = lag_curve(by_world, Selection.of(experiment), conditions=worlds)
    style.caption(drawn.figure, drawn.caption)
    with atomic(HERE / "lag_curve.png") as temporary:
        drawn.figure.savefig(temporary, dpi=110)


def main() -> None:
    """Run every world and gather one table, one record and one figure."""
    tables, configs = [], {}
    jobs = [(world, seed) for world in WORLDS for seed in SEEDS.get(world, (0,))]
    for world, seed in jobs:
        words, changes = WORLDS[world]
        print(f"== {world}, seed {seed}: {words}", flush=True)
        experiment, table = run_variant(world, changes, seed)
        tables.append(table.assign(world=world))
        configs[experiment.name] = {"lags_s": experiment.lags_s, **experiment.sections}
        gathered = pd.concat(tables)
        with atomic(HERE / "lag_curve.csv") as temporary:
            gathered.to_csv(temporary, index=False, float_format="%.5g")
        seeds = {name: SEEDS.get(name, (0,)) for name in dict.fromkeys(gathered.world)}
        write_json(HERE / "lag_curve.json", record(configs, seeds=seeds))
    draw(gathered, experiment)
    print(f"Wrote {HERE / 'lag_curve.csv'}, .json and .png")


if __name__ == "__main__":
    main()
