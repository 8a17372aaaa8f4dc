"""``python -m semanticcmc``: the command line (`cli`)."""

import sys

from semanticcmc.cli import main

if __name__ == "__main__":
    sys.exit(main())
