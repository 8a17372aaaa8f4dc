"""How much of category and WordNet the mere looks of real images carry: `studies.Study` of it."""

from __future__ import annotations

import pandas as pd
from papers.build.markdown import table
from papers.build.numbers import count, number, probability, spoken, whole
from papers.build.studies import Study, bare, read

LAYER = "conv5"
MODELS = {"lch": "WordNet", "category": "category"}


def real_images() -> Study:
    """Untrained networks on real images, at the published layer (``validation/real_images.py``)."""
    columns = ("network", "seed", "study", "layer", "model", "quantity", "classes", "images", "value", "p", "fewest")
    found = read("real_images", columns)
    layers = found[found["study"].eq("layers") & found["layer"].eq(LAYER) & found["quantity"].eq("mantel_r")]
    rows, said = [], []
    for model, words in MODELS.items():
        own = layers[layers["model"].eq(model)]
        least, most = (probability(own["p"].agg(end)) for end in ("min", "max"))
        p = most if least == most else f"{least} to {most.removeprefix('p = ')}"
        said.append(f"{number(own['value'].min())} to {number(own['value'].max())} with {words} ({p})")
        for network, seeds in own.groupby("network", sort=False):
            rows.append(
                [
                    str(network),
                    words,
                    str(seeds["seed"].nunique()),
                    whole(seeds["classes"].max()),
                    _range(seeds["value"]),
                    bare(seeds["p"].max()),
                ]
            )
    many = found[found["quantity"].eq("r_150")]
    values = {
        "classes": whole(layers["classes"].max()),
        "images": count(int(layers["images"].max()), "image"),
        "networks": count(int(layers["network"].nunique()), "architecture"),
        "found": spoken(said),
        "many": f"{number(many['value'].min())} to {number(many['value'].max())}" if len(many) else "–",
    }
    heads = ["network", "model", "seeds", "classes", "r (seeds)", "largest p"]
    return Study(values, table("Untrained networks on real images", heads, rows, words=2))


def _range(values: pd.Series) -> str:
    mean = number(float(values.mean()))
    return mean if len(values) < 2 else f"{mean} ({number(values.min())} to {number(values.max())})"
