"""Write the world of an experiment: ``python -m semanticcmc.world analysis/experiments/miniature.yaml``."""

from __future__ import annotations

import argparse
import sys

from semanticcmc.config import InputError
from semanticcmc.experiment import load_experiment
from semanticcmc.world import WorldConfig, build


def main(arguments: list[str] | None = None) -> int:
    """Command line: build the world below the experiment's results folder; exit 2 for bad input."""
    parser = argparse.ArgumentParser(prog="python -m semanticcmc.world", description="Write an experiment's world.")
    parser.add_argument("experiment", help="name, or path to a YAML")
    parser.add_argument("--processes", type=int, help="films rendered at once; by default one a CPU")
    given = parser.parse_args(arguments)
    try:
        experiment = load_experiment(given.experiment)
        build(experiment.section("world", WorldConfig), experiment.folder, given.processes)
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
