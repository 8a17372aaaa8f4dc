"""What can a network learn, by which objective? Each sees as many images of the same world (about a minute a network).

    python -m validation.pretexts            (goes on where it stopped)

The miniature world, whose films group classes by category: a scene's theme is one. Every network of
analysis/experiments/miniature_objectives.yaml, and InfoNCE at all lags of the miniature, sees 153,600 images at most
(an objective of three frames 153,000), by the same recipe, and is tested at the primary layer. `arrow_of_time` sees a
second world as well, in which no theme is preferred and time has no direction (``theme_preference: 0``): a loss below
chance there would be an error. In the miniature every category hums, which is put in; `sound` is also trained in a
third world, where what is heard tells nothing of category (``hum: shuffled``; frames are the miniature's).

Writes pretexts.csv (the columns of lag_curve.csv, one row a network, seed, model and control; besides, the objective,
the pairing, class accuracy, effective rank of the layer, images seen, and the mean loss of the last tenth of the steps
beside that of knowing nothing), pretexts_summary.csv (differences between objectives that were asked for
beforehand), a record of configs, versions and commit, and a figure beside this file.
"""

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import yaml

from semanticcmc.evaluation.config import EvaluationConfig, StimuliConfig
from semanticcmc.evaluation.inference import Units
from semanticcmc.evaluation.lag_curve import Study, by_classes, lag_curve
from semanticcmc.evaluation.rdm_files import make_controls, networks_to_make, rdm_file
from semanticcmc.evaluation.represent import represent
from semanticcmc.evaluation.stimuli import StimulusFolder
from semanticcmc.experiment import Experiment, Network, load_experiment, read_values
from semanticcmc.figures import style
from semanticcmc.figures.accuracy import objectives
from semanticcmc.figures.tables import Selection
from semanticcmc.films.soundtrack import sound_file, write_sound
from semanticcmc.rsa.permutation import holm
from semanticcmc.rsa.rdm import read_rdms
from semanticcmc.rsa.standardise import standardise_table
from semanticcmc.run import TrainingError, atomic, record, write_csv, write_json
from semanticcmc.training.loop import Run
from semanticcmc.training.recipe import chance_loss
from semanticcmc.world.config import WorldConfig
from semanticcmc.world.hum import hum
from semanticcmc.world.timeline import timelines

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results" / "validation" / "pretexts"
SEEDS = (0, 1, 2)
WORLDS: dict[str, dict[str, Any]] = {
    "miniature": {},
    "reversible": {"theme_preference": 0.0},
    "hum_shuffled": {"hum": "shuffled", "other_views": []},
}
"""World to what differs from the miniature's."""
ALONE = {"reversible": "arrow_of_time", "hum_shuffled": "sound"}  # what is trained in worlds but the miniature
ABLATION = {"cocon_cpc": {"sim": 0.0, "sync": 0.0}, "cocon_sim": {"sync": 0.0}, "cocon_sync": {"sim": 0.0}}
"""CoCon with some of its losses off, as its authors' ablation (8 minutes each)."""
CONTRASTS = (
    *((name, "semantic_60s") for name in ("same_scene", "same_label", "debiased_60s", "window_120s")),
    *(("cocon_20s", f"{name}_20s") for name in ABLATION),
    ("sound", "hum_shuffled: sound"),
)
"""Pairs of networks of the miniature, or of the world before the colon."""
FIRST = ("same_scene", "same_label", "window", "debiased", *ALONE.values(), "vicreg", "byol", "moco", "rotation", "cpc")
LAST = ("nce", "tracking_triplet", "cross_modal_clusters", "cocon", *ABLATION)  # what takes long a step, or other views


def experiment(world: str) -> Experiment:
    """Miniature_objectives with all lags of the miniature over one world, which is made once."""
    values = read_values("miniature_objectives")[0]
    values |= {"name": world, "lags_s": read_values("miniature")[0]["lags_s"], "seeds": list(SEEDS)}
    values["world"] |= WORLDS[world]
    values["objectives"] |= {name: values["objectives"]["cocon"] | off for name, off in ABLATION.items()}
    folder = RESULTS / world
    with atomic(folder / "experiment.yaml") as temporary:
        temporary.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    if not (folder / "frames/index.parquet").exists():
        subprocess.run([sys.executable, "-m", "semanticcmc", "world", folder / "experiment.yaml"], check=True)
    made = load_experiment(folder / "experiment.yaml")
    config = made.section("world", WorldConfig)
    for film in timelines(config):  # a world that was made before it hummed: its frames stay
        if not sound_file(folder / "frames", film.movie_id).exists():
            write_sound(folder / "frames", film.movie_id, hum(config, film))
    return made


def line_of(network: Network) -> str:
    """Line of the section ``objectives`` that a network is of; ``semantic`` of InfoNCE at a lag."""
    return network.name.rsplit("_", 1)[0] if network.lag_s > 0 else network.name


def alone(one: Experiment, network: Network) -> Experiment:
    """The experiment with one network, beside its controls and models."""
    lags_s = [network.lag_s] if network.lag_s > 0 else []
    line = {**one.sections["objectives"].get(line_of(network), {}), **({"lags_s": lags_s} if lags_s else {})}
    further, is_baseline = one.is_further(network), network.name in one.baselines
    return dataclasses.replace(
        one,
        sections={**one.sections, "objectives": {line_of(network): line} if further else {}},
        lags_s=() if further else tuple(lags_s),
        baselines=(network.name,) if is_baseline else (),
        seeds=(network.seed,),
    )


def rows(one: Experiment, network: Network) -> pd.DataFrame:
    """Train one network, or open it, show it the stimuli and test it; kept for the next time."""
    file = RESULTS / one.name / "rows" / f"{network.name}_seed-{network.seed}.csv"
    if file.exists():
        return pd.read_csv(file, keep_default_na=False, na_values=[""])
    run = Run(one, network)
    folder = run.train()
    stimuli = StimulusFolder(one.folder / "stimuli", one.section("stimuli", StimuliConfig))
    made = represent(one, network, stimuli)
    table = lag_curve(alone(one, network), [one.primary_layer]).drop(columns="p_holm")
    said, chance, lines = one.objective(network), None, []
    if network.trained:
        chance, lines = chance_loss(one, network), (folder / "metrics.jsonl").read_text().splitlines()
    losses = [line["loss"] for line in map(json.loads, lines) if line["step"] > 0.9 * run.steps]
    pairing = said.get("pairing", "fixed") if network.lag_s > 0 else ""
    accuracy = made.accuracy.set_index("measure").accuracy
    table = table.assign(
        world=one.name,
        objective=network.objective,
        pairing=pairing if isinstance(pairing, str) else pairing["name"],
        accuracy=accuracy["knn"],
        linear_probe=accuracy["linear_probe"],
        effective_rank=made.effective_rank.effective_rank.iloc[0],
        images=run.steps * run.objective.images * run.batches.count if network.trained else 0,
        loss=sum(losses) / len(losses) if losses else math.nan,
        chance_loss=math.nan if chance is None else chance,
    )
    write_csv(file, table)
    return table


def jobs() -> list[tuple[str, Network]]:
    """Worlds and networks, a seed after the other, those first that are trained already or tell most."""
    runs = experiment("miniature").runs
    found = [("miniature", network) for network in runs]
    found += [(world, network) for world, line in ALONE.items() for network in runs if line_of(network) == line]
    told = [line_of(network) for _, network in found]
    order = ["random", "augment", "cmc_lab", "semantic", *FIRST, *dict.fromkeys(told)]
    order = [*(name for name in order if name not in LAST), *LAST]
    return sorted(
        found, key=lambda job: (line_of(job[1]) in ABLATION, job[1].seed, order.index(line_of(job[1])), job[0])
    )


def contrasts(worlds: dict[str, Experiment]) -> pd.DataFrame:
    """Differences of partial r with category of the networks of `CONTRASTS`, over the seeds that both have.

    Intervals and two-sided p are over seeds and classes at once (`evaluation.inference`), of one seed over classes.
    Untrained networks and stimuli, and so the control, are the same in all worlds.
    """
    one, found = worlds["miniature"], []
    study = Study(alone(one, one.network("augment", 0)), "intact")
    config, (_, given, models) = (
        one.section("evaluation", EvaluationConfig),
        study.given({}, one.primary_layer, "random"),
    )
    for pair in CONTRASTS:
        sides, units = [name.rpartition(": ") for name in pair], []
        for seed in SEEDS:
            files = [
                rdm_file(worlds[world or "miniature"], one.network(name, seed), "intact") for world, _, name in sides
            ]
            if all(file.exists() for file in files):
                rdms = {name: read_rdms(file)[one.primary_layer] for name, file in zip(pair, files, strict=True)}
                ((x, model, control),) = by_classes(rdms, {"category": models["category"]}, given)
                units.append(standardise_table(x, model, control, config.method))
        if units:
            difference = Units(units).network(0, 1)
            low, high = difference.interval(config.confidence)
            found.append((*pair, difference.value, low, high, difference.p("two-sided"), len(units)))
    return pd.DataFrame(found, columns=["first", "second", "difference", "ci_low", "ci_high", "p", "seeds"])


def draw(table: pd.DataFrame, one: Experiment) -> dict[str, Any]:
    """Every network of the miniature by what it learned, over the seeds that all have, or the first; its words."""
    style.use_house_style()
    table = table[table.world == "miniature"]
    table = table[~table.network.str.rsplit("_", n=1).str[0].isin(ABLATION)]
    seeds = [seed for seed in SEEDS if table[table.seed == seed].network.nunique() == table.network.nunique()]
    drawn = objectives(table[table.seed.isin(seeds or SEEDS[:1])], Selection.of(one))
    style.caption(drawn.figure, drawn.caption)
    with atomic(HERE / "pretexts.png") as temporary:
        drawn.figure.savefig(temporary, dpi=110)
    plt.close(drawn.figure)
    return {"alt": drawn.alt, "caption": drawn.caption, "inputs": [{"path": "validation/pretexts.csv"}]}


def main() -> None:
    """Train what is not trained yet; after each network write the table and record anew."""
    tables, worlds = [], {name: experiment(name) for name in dict.fromkeys(world for world, _ in jobs())}
    for world, network in jobs():
        one = worlds[world]
        others = alone(one, one.network("augment", 0))
        if not all(rdm_file(one, control, "intact").exists() for control in networks_to_make(others)):
            make_controls(others)
        try:
            tables.append(rows(one, network))
        except TrainingError as error:
            print(error, flush=True)
            continue
        found = pd.concat(tables)
        family = found.groupby(["world", "seed", "model", "control"]).p
        found = found.assign(p_holm=family.transform(lambda p: holm(p)))
        print(f"{world}, {network}", flush=True)
        with atomic(HERE / "pretexts.csv") as temporary:
            found.to_csv(temporary, index=False, float_format="%.5g")
        configs = {name: {"lags_s": one.lags_s, **one.sections} for name, one in worlds.items()}
        with atomic(HERE / "pretexts_summary.csv") as temporary:
            contrasts(worlds).to_csv(temporary, index=False, float_format="%.5g")
        words = draw(found, worlds["miniature"])
        write_json(HERE / "pretexts.json", record(configs, seeds=list(SEEDS)) | words)
    print(f"Wrote {HERE / 'pretexts.csv'}, .json and .png")


if __name__ == "__main__":
    main()
