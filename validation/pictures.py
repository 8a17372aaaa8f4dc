"""Files of a study's figure: a PNG with its caption below, and a JSON with its words (`figures.save.Picture`)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from semanticcmc.figures import style
from semanticcmc.figures.style import Drawn
from semanticcmc.run import atomic, write_json

DPI = 150


def write_picture(drawn: Drawn, png: Path, inputs: Sequence[str], record: Mapping[str, Any]) -> None:
    """Write a figure as PNG, and as JSON its `record` with ``alt``, ``caption`` and ``inputs``; the figure is closed.

    `inputs` are the tables it was drawn from, as seen from the repository.
    """
    style.caption(drawn.figure, drawn.caption)
    with atomic(png) as temporary:
        drawn.figure.savefig(temporary, dpi=DPI)
    words = {"alt": " ".join(drawn.alt.split()), "caption": " ".join(drawn.caption.split())}
    write_json(png.with_suffix(".json"), {**record, **words, "inputs": [{"path": path} for path in inputs]})
    plt.close(drawn.figure)
