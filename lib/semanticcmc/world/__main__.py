"""Write the world of an experiment: ``python -m semanticcmc.world analysis/experiments/miniature.yaml``."""

from __future__ import annotations

import argparse
import sys

from semanticcmc.configuration import InputError
from semanticcmc.experiments import load_experiment
from semanticcmc.world import WorldConfig, build


def main() -> None:
    """Read the experiment, build its world below its results folder."""
    parser = argparse.ArgumentParser(prog="python -m semanticcmc.world", description=__doc__)
    parser.add_argument("experiment", help="path of an experiment's YAML, or its name")
    parser.add_argument("--processes", type=int, help="films rendered at once; by default one a CPU")
    arguments = parser.parse_args()
    try:
        experiment = load_experiment(arguments.experiment)
        build(experiment.section("world", WorldConfig), experiment.folder, arguments.processes)
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
