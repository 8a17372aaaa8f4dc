"""``python -m papers.build <yaml> [poster|paper]``: render a document of an experiment."""

from __future__ import annotations

import argparse
import sys

from papers.build import paper, poster

from semanticcmc.config import InputError
from semanticcmc.experiment import load_experiment

DOCUMENTS = {"poster": poster, "paper": paper}


def main(arguments: list[str] | None = None) -> int:
    """Render; returns 0, or 2 after ``error: ...`` for input that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m papers.build", description=__doc__)
    parser.add_argument("experiment", help="an experiment's YAML, or its name")
    parser.add_argument("document", nargs="?", choices=DOCUMENTS, default="poster", help="default: poster")
    options = parser.parse_args(arguments)
    try:
        for path in DOCUMENTS[options.document](load_experiment(options.experiment)):
            print(path)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
