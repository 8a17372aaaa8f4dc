"""What Quarto runs before and after it renders the site: finds a Python that has the package, or says how to get one.

Quarto starts this with the first Python that it finds, so that nothing is imported here but what every Python has.
"""

import importlib.util
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OWN = os.path.join(ROOT, ".venv", "bin", "python")


def main(step):
    """Run a step of `papers.build.site`; returns its status."""
    python = sys.executable
    if importlib.util.find_spec("semanticcmc") is None:
        python = OWN
        if not os.path.exists(OWN):
            print("error: the package semanticcmc is not installed; run `make install` first", file=sys.stderr)
            return 2
    return subprocess.call([python, "-m", "papers.build.site", step], cwd=ROOT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
