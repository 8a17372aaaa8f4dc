"""``python -m semanticcmc.publish <yaml>``: render the poster of an experiment."""

from __future__ import annotations

import argparse
import sys

from semanticcmc.configuration import InputError
from semanticcmc.experiments import load_experiment
from semanticcmc.publish import poster


def main(arguments: list[str] | None = None) -> int:
    """Render; returns 0, or 2 after ``error: ...`` for input that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m semanticcmc.publish", description=__doc__)
    parser.add_argument("experiment", help="an experiment's YAML, or its name")
    options = parser.parse_args(arguments)
    try:
        for path in poster(load_experiment(options.experiment)):
            print(path)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
