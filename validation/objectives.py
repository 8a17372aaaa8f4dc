"""Does the inverted U survive the published objective? The miniature's lags, three seeds (about 40 minutes on 2 cores).

    python validation/objectives.py            (goes on where it stopped)

Noise-contrastive estimation against a memory bank, with the published temperature, momentum and form, and as much
noise for the world's 28,800 frames as `VARIANTS` says, beside InfoNCE. All else is as in experiments/miniature.yaml:
the same world, the same pairs and views, the same number of steps. InfoNCE's rows are those of the world `miniature`
in lag_curve.csv. Writes objectives.csv (one row an objective, network, seed, model and control at the primary layer),
a record of configs, seeds, versions and commit, and a figure beside this file.
"""

import matplotlib.pyplot as plt
import pandas as pd
from lag_curve import HERE, SEEDS, primary_layer, run_variant

from semanticcmc.evaluation import over_seeds
from semanticcmc.plots import lag_curve, style
from semanticcmc.run import atomic, record, write_json

BANK = {"noise": 4096, "momentum": 0.5, "sharing": "batch", "form": "nce"}
PUBLISHED = {
    "objective": "memory_bank_nce",
    "temperature": 0.07,
    "learn_temperature": False,
    "memory_bank": BANK,
}
VARIANTS = {
    "info_nce": ("InfoNCE, temperature learned from 0.3", None),
    "memory_bank_nce": ("NCE with a memory bank, temperature 0.07",
                        {"baselines": ["random"], "training": PUBLISHED}),
}  # fmt: skip
"""Objective to what differs from the miniature: in words and by key; None where lag_curve.csv has it."""


def draw(table: pd.DataFrame, layer: str) -> None:
    """One lag curve an objective, on one scale."""
    style.use_house_style()
    figure, axes = plt.subplots(1, len(VARIANTS), figsize=(4.6 * len(VARIANTS), 4.2), sharey=True)
    for ax, objective in zip(axes.flat, VARIANTS, strict=True):
        rows = table[table.objective == objective]
        lag_curve.lag_curve(rows, layer, over_seeds=over_seeds(rows, 0.95), ax=ax)
        ax.set_title(VARIANTS[objective][0], pad=42, fontsize=style.TEXT_PT)
        ax.label_outer()
    style.caption(figure, lag_curve.lag_curve_caption(table, layer, "random", 0.95))
    with atomic(HERE / "objectives.png") as temporary:
        figure.savefig(temporary, dpi=110)


def main() -> None:
    """Train with every objective and gather one table, one record and one figure."""
    tables, configs = [], {}
    for objective, (words, changes) in VARIANTS.items():
        print(f"== {objective}: {words}", flush=True)
        if changes is None:
            table = primary_layer(HERE / "lag_curve.csv", "fc7")
            table = table[table.world == "miniature"].drop(columns="world")
        else:
            experiment, table = run_variant(objective, changes, SEEDS)
            configs[objective] = {"lags_s": experiment.lags_s, **experiment.sections}
        tables.append(table.assign(objective=objective))
    gathered = pd.concat(tables)
    with atomic(HERE / "objectives.csv") as temporary:
        gathered.to_csv(temporary, index=False, float_format="%.5g")
    write_json(HERE / "objectives.json", record(configs, seeds=list(range(SEEDS))))
    draw(gathered, experiment.primary_layer)
    print(f"Wrote {HERE / 'objectives.csv'}, .json and .png")


if __name__ == "__main__":
    main()
