"""The page of scored networks: their figures, what each network is, and all tests.

``python -m papers.scored [FOLDER]`` writes ``score.html`` and ``figures/`` into the folder that ``semanticcmc
score`` wrote, by default ``score``.
"""

from __future__ import annotations

import html
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from papers.build import show

from semanticcmc.config import InputError
from semanticcmc.experiment import Experiment
from semanticcmc.figures import comparisons, layers
from semanticcmc.figures.save import Picture, save
from semanticcmc.figures.style import use_house_style
from semanticcmc.figures.tables import Selection
from semanticcmc.run import atomic, small_table

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>body {{font: 1rem/1.5 sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem}}
td, th {{padding: .1rem .6rem; text-align: left}} .wide {{overflow-x: auto}}
.alarm {{background: #FFF3D6; padding: 1rem}}</style></head><body><main><h1>{title}</h1>
{parts}</main></body></html>
"""
LAST = "last layer"


def figures(experiment: Experiment, table: pd.DataFrame, last: pd.DataFrame, shown: Selection) -> list[Picture]:
    """An experiment's figures of layers, by their place, as the page lists them, and of controls at the last."""
    places = {name: list(dict.fromkeys(rows.layer)) for name, rows in table.groupby("network")}
    pairs = zip(table.network, table.layer, strict=True)
    numbered = table.assign(layer=[places[name].index(layer) + 1 for name, layer in pairs])
    drawn = layers.layers(numbered.sort_values("layer", kind="stable").astype({"layer": str}), shown)
    of_last = comparisons.controls(last.assign(layer=LAST), shown)
    inputs = [experiment.folder / "tables" / "scores.csv"]
    return [save(one, experiment, name, inputs) for name, one in (("layers", drawn), ("controls", of_last))]


def page(folder: Path) -> Iterator[Path]:
    """Write the page and its figures; an InputError where `semanticcmc score` has not written into the folder."""
    folder = folder.resolve()  # figures name their inputs from an experiment's folder
    record = folder / "score.json"
    if not record.is_file():
        raise InputError(f"{record}: missing; semanticcmc score NETWORK --stimuli FOLDER --results {folder} writes it")
    told = json.loads(record.read_text(encoding="utf-8"))
    tests, networks = told["config"]["tests"], told["networks"]
    text = {"keep_default_na": False, "na_values": [""], "dtype": {"network": str, "layer": str}}  # null, 0.1 and 0.10
    table, paired = (pd.read_csv(folder / "tables" / f"{name}.csv", **text) for name in ("scores", "comparisons"))
    layer = table.groupby("network").layer.last()
    last = table[table.layer == table.network.map(layer)]
    title = f"Scored: {', '.join(networks)}"
    experiment = Experiment("score", title, "films", (), (), (0,), LAST, {}, record, folder)
    shown = Selection(
        layer=LAST,
        models=tuple(tests["models"]),
        control="random" if "random" in set(table.control) else "none",
        condition="intact",
        confidence=tests["confidence"],
        random_networks=len(tests["random_seeds"]),
    )
    use_house_style()
    parts = []
    for name, how in networks.items():
        if how.get("alarm"):
            parts.append(
                f'<p class="alarm"><b>{html.escape(name)} looks untrained:</b> {html.escape(how["alarm"])}.</p>'
            )
        numbers = dict.fromkeys(table[table.network == name].layer)
        rows = {key: value for key, value in how.items() if key not in ("layers", "alarm")}
        rows["layers"] = ", ".join(f"{n}: {layer}" for n, layer in enumerate(numbers, start=1))
        parts += [f"<h2>{html.escape(name)}</h2>", small_table(rows)]
    parts += [picture.html for picture in figures(experiment, table, last, shown)]
    for head, part in (("At the last layers", last), ("Paired bootstrap", paired), ("All tests", table)):
        cells = part.dropna(axis=1, how="all").to_html(index=False, float_format="{:.3g}".format, border=0)
        parts.append(f'<h2>{head}</h2><div class="wide" tabindex="0" role="region" aria-label="{head}">{cells}</div>')
    with atomic(folder / "score.html") as temporary:
        temporary.write_text(PAGE.format(title=html.escape(title), parts="\n".join(parts)), encoding="utf-8")
    yield folder / "score.html"


if __name__ == "__main__":
    sys.exit(show(lambda: page(Path(sys.argv[1] if len(sys.argv) > 1 else "score"))))
