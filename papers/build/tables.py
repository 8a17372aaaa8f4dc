"""The poster's table: partial correlations of this experiment beside the published ones."""

from __future__ import annotations

import pandas as pd
from papers.build import claims
from papers.build.numbers import Effect, effects, network_title, number, plain, read_table, stars

from semanticcmc.experiment import Experiment, network_lag_s


def mantel_rows(experiment: Experiment, tests: pd.DataFrame) -> str:
    """Partial Mantel correlations beside the published ones, as a Markdown table.

    One row a network of either, by lag; the published column is LCH at conv5 of the full-size network,
    read from ``tables/published.csv``.
    """
    published = read_table(experiment, "published", ("source", "network", "model", "control", "mantel_r", "p"))
    published = published[published["source"].eq("published")]
    published = published.assign(network=published["network"].replace("cmc_lab_movies", "cmc_lab"))
    theirs = effects(published.assign(ci_low=float("nan"), ci_high=float("nan")), "lch", "random", p="p")
    ours = {model: effects(tests, model, "random") for model in claims.MODELS}
    ours = {model: found for model, found in ours.items() if found}
    networks = sorted({*theirs, *(name for found in ours.values() for name in found)}, key=_order)
    heads = ["network", *({"category": "category", "lch": "WordNet"}[model] for model in ours), "published"]
    # rules longer than a line of text make the table as wide as its panel, columns by their dashes
    lines = [f"| {' | '.join(heads)} |", f"|:{40 * '-'}|" + (len(heads) - 1) * f"{25 * '-'}:|"]
    best = claims.weigh(experiment, tests).best.network
    for network in networks:
        cells = [_cell(found.get(network)) for found in (*ours.values(), theirs)]
        title = network_title(network)
        lines.append(f"| {f'**{title}**' if network == best else title} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(effect: Effect | None) -> str:
    return f"{number(effect.r)} {plain(stars(effect.p))}" if effect else "–"


def _order(network: str) -> tuple[bool, float, str]:
    lag_s = network_lag_s(network)
    return (lag_s == lag_s, lag_s if lag_s == lag_s else 0.0, network)
