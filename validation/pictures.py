"""Files of a study's figure: a PNG with its caption below, and a JSON with its words (`figures.save.Picture`)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from semanticcmc.figures import style
from semanticcmc.figures.style import Drawn
from semanticcmc.run import atomic, write_json

DPI = 150


def write_picture(drawn: Drawn, png: Path, record: Mapping[str, Any]) -> None:
    """Write a figure as PNG, and as JSON its `record` with ``alt`` and ``caption``; the figure is closed."""
    style.caption(drawn.figure, drawn.caption)
    with atomic(png) as temporary:
        drawn.figure.savefig(temporary, dpi=DPI)
    words = {"alt": " ".join(drawn.alt.split()), "caption": " ".join(drawn.caption.split())}
    write_json(png.with_suffix(".json"), {**record, **words})
    plt.close(drawn.figure)
