"""Files of a figure: SVG and PNG, and a record that names everything they were made from."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

from semanticcmc.config import InputError
from semanticcmc.experiment import Experiment, repository_root
from semanticcmc.figures.style import Drawn, caption
from semanticcmc.figures.svg_text import embed_fonts
from semanticcmc.run import NOTEBOOK, atomic, git_commit, sha256, write_json

SHOWN_PER_IN = 100  # pixels at which a notebook shows an inch of a figure; files have more dots an inch


@dataclasses.dataclass(frozen=True)
class Picture:
    """A figure as it was written; a notebook shows it, with its words for those who cannot see it."""

    png: Path  # beside it stand the same as SVG, and its record, a JSON file with ``alt`` and ``caption``

    @property
    def words(self) -> str:
        """Alternative text and caption."""
        told = json.loads(self.png.with_suffix(".json").read_text(encoding="utf-8"))
        return f"{told['alt']} {told.get('caption') or ''}".rstrip()

    @property
    def html(self) -> str:
        """The picture as HTML, whole: for tables and widgets that have one among other things."""
        look = self._look() | {"style": "max-width: 100%; height: auto"}
        attributes = " ".join(f'{name}="{escape(str(value))}"' for name, value in look.items())
        return f'<img src="data:image/png;base64,{base64.b64encode(self.png.read_bytes()).decode()}" {attributes}>'

    def _look(self) -> dict[str, Any]:
        """Of one size whatever its density, sharp on fine screens; with its words."""
        from PIL import Image

        with Image.open(self.png, formats=["PNG"]) as image:
            scale = SHOWN_PER_IN / image.info["dpi"][0]
            return {"alt": self.words, "width": round(image.width * scale), "height": round(image.height * scale)}

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The picture as a notebook shows it; JupyterLab knows alternative text in HTML alone, pages make their own."""
        data = {"image/png": self.png.read_bytes(), "text/plain": self.words}
        by_hand = {} if NOTEBOOK in os.environ else {"text/html": self.html}
        of = self.png.with_suffix("").parts[-3:]
        figure = "/".join(of) if of[0] == "explore" else self.png.stem
        return data | by_hand, {"image/png": self._look() | {"figure": figure}}


def save(
    drawn: Drawn,
    experiment: Experiment,
    name: str,
    inputs: Iterable[str | Path],
    notebook: str | None = None,
    folder: Path | None = None,
) -> Picture:
    """Write a figure, its caption below it, as SVG and PNG with a JSON record of everything it was made from.

    Raises InputError for an input that is no file, or an empty `alt`: found before anything is written.

    Parameters
    ----------
    name : str
        File name without ending: ``lag_curve``.
    inputs : iterable of path
        Files that the figure was drawn from; absolute, or relative to the experiment's folder. The
        record names those of the experiment from its folder, those of the repository from its root.
    notebook : str, optional
        That drew it, without ending: ``04_lag_curve``.
    folder : Path, optional
        By default ``figures`` of the experiment's results.
    """
    import matplotlib.pyplot as plt
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure, alt = drawn.figure, " ".join(drawn.alt.split())
    if not alt:
        raise InputError(f"figure {name}: needs a text (alt) for those who cannot see it")
    files = [experiment.folder / path for path in inputs]  # an absolute path stays as it is
    if missing := [str(path) for path in files if not path.is_file()]:
        raise InputError(f"figure {name}: input {', '.join(missing)} is no file")
    described = {
        "figure": name,
        "alt": alt,
        "caption": " ".join(drawn.caption.split()) or None,
        "experiment": experiment.name,
        "title": experiment.title,
        "seeds": experiment.seeds,
        "configuration": _hashed(experiment.file, experiment),
        "notebook": notebook,
        "git_commit": git_commit(),
        "inputs": [_hashed(path, experiment) for path in files],
    }
    if described["caption"]:
        caption(figure, drawn.caption)
    if plt.rcParams["savefig.dpi"] != "figure":
        figure.set_dpi(plt.rcParams["savefig.dpi"])
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    figure.set_layout_engine("none")  # lay out once: both files show the same
    svg = (folder or experiment.folder / "figures") / f"{name}.svg"
    with atomic(svg) as temporary:
        figure.savefig(temporary, metadata={"Date": None, "Title": name, "Description": alt})
        temporary.write_text(embed_fonts(temporary.read_text(encoding="utf-8")), encoding="utf-8")
    with atomic(svg.with_suffix(".png")) as temporary:
        told = {"Title": name, "Description": alt}
        plt.imsave(temporary, canvas.buffer_rgba(), format="png", origin="upper", dpi=figure.dpi, metadata=told)
    write_json(svg.with_suffix(".json"), described)
    plt.close(figure)
    return Picture(svg.with_suffix(".png"))


def _hashed(path: Path, experiment: Experiment) -> dict[str, str]:
    """Path as the reader of the results knows it, and the SHA-256 of what it holds."""
    digest = sha256(path)
    shown = path.resolve()
    for folder in (experiment.folder.resolve(), repository_root()):
        if shown.is_relative_to(folder):
            return {"path": shown.relative_to(folder).as_posix(), "sha256": digest}
    return {"path": shown.name, "sha256": digest}
