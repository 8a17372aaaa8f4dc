"""Does the trained peak follow the world? Five worlds, three seeds each, every lag (about an hour on 2 cores).

    python validation/lag_curve.py            (goes on where it stopped)

The worlds differ from experiments/miniature.yaml in one value each: whether looks carry category
(`appearance_semantics`), how long beats and scenes last (`time_scale`), and whether objects are shuffled
across scenes (`shuffle_objects`), which destroys the association and must make the effect vanish.
Writes validation/lag_curve.csv (one row a world, network, seed, model and control at the primary layer) and a
record of config, seeds, versions and commit beside it.
"""

import sys
from pathlib import Path

import pandas as pd
import yaml

from semanticcmc.experiments import resolve_experiment
from semanticcmc.run import atomic, record, write_json
from semanticcmc.workflow import available_cores, check_sections, run_workflow

HERE = Path(__file__).parent
SEEDS = 3
WORLDS = {
    "miniature": {},
    "looks_carry_category": {"appearance_semantics": 0.5},
    "four_times_faster": {"time_scale": 0.25},
    "three_times_slower": {"time_scale": 3.0},
    "objects_shuffled": {"shuffle_objects": True},
}


def main() -> None:
    """Run every world's networks and lag curve through the workflow, then gather one table."""
    base = yaml.safe_load((HERE.parent / "analysis/experiments/miniature.yaml").read_text(encoding="utf-8"))
    results = HERE.parent / "results" / "validation"
    tables, configs = [], {}
    for world, change in WORLDS.items():
        values = base | {"name": world, "world": base["world"] | change}
        source = results / "sources" / f"{world}.yaml"
        with atomic(source) as temporary:
            temporary.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
        experiment = resolve_experiment(source, results=results, seeds=SEEDS)
        check_sections(experiment)
        print(f"== {world}: {change or 'as it is'}", flush=True)
        if run_workflow(experiment, available_cores(), ["tables/lag_curve.csv"]):
            sys.exit(f"{world} failed: see {experiment.folder}/workflow.log")
        table = pd.read_csv(experiment.folder / "tables/lag_curve.csv", keep_default_na=False, na_values=[""])
        tables.append(table[table.layer == experiment.primary_layer].assign(world=world))
        configs[world] = experiment.sections["world"]
        with atomic(HERE / "lag_curve.csv") as temporary:
            pd.concat(tables).to_csv(temporary, index=False, float_format="%.5g")
    write_json(HERE / "lag_curve.json", record(configs, seeds=list(range(SEEDS))))
    print(f"Wrote {HERE / 'lag_curve.csv'}")


if __name__ == "__main__":
    main()
