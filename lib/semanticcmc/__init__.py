"""What can a network learn from what goes together in time?

`open` is the front door of notebooks; the packages are imported by name, for instance
``from semanticcmc.rsa import partial_mantel``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from semanticcmc.study import Study

__version__ = "0.1.0"


def open(experiment: str | Path, cells: Sequence[str] | None = None, **chosen: Any) -> Study:
    """Open an experiment: its frames, labels, networks, RDMs, tables and figures (`study.open_study`).

    >>> E = semanticcmc.open("miniature")  # doctest: +SKIP
    """
    from semanticcmc.study import open_study  # here: importing the package costs nothing

    return open_study(experiment, cells, **chosen)
