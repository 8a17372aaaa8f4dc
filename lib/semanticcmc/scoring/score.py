"""Networks scored side by side: their RDMs against semantic models, and against each other; tables, figures, a page.

Of each network the control ``random`` is the mean RDM of untrained networks of its own architecture. All tests of a
control are one family for Holm's correction; networks are compared at their last layers, by the paired bootstrap.
"""

from __future__ import annotations

import dataclasses
import html
import json
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image

from semanticcmc.config import InputError
from semanticcmc.evaluation.comparisons import LAG_COMPARISONS
from semanticcmc.evaluation.config import ActivationsConfig, EvaluationConfig, StimuliConfig
from semanticcmc.evaluation.lag_curve import COLUMNS, by_classes
from semanticcmc.evaluation.rdm_files import rdm_file
from semanticcmc.evaluation.stimuli import StimulusFolder, read_image, shown
from semanticcmc.experiment import Experiment
from semanticcmc.figures import comparisons, layers
from semanticcmc.figures.save import save
from semanticcmc.figures.style import use_house_style
from semanticcmc.figures.tables import Selection
from semanticcmc.network import BASELINES, GIVEN, Network
from semanticcmc.rsa.bootstrap import compare
from semanticcmc.rsa.mantel import mantel_table
from semanticcmc.rsa.permutation import holm, permutations_for_family
from semanticcmc.rsa.rdm import FEWEST_CLASSES, RDM, read_rdms, write_rdms
from semanticcmc.rsa.semantics import model_rdm
from semanticcmc.run import atomic, listed, record, sha256, small_table, write_csv, write_json
from semanticcmc.scoring.networks import Scored, find
from semanticcmc.scoring.rdms import ExtractionConfig, Seen, chosen_layers, layers_of, rdms_of, weights_sha256

RDM_FILES = (".npz", ".parquet", ".hdf5", ".h5", ".pkl")
LAST = "last layer"
TESTS = {  # as base.yaml has them
    **{"method": "pearson", "alternative": "greater", "partial": "dsp", "confidence": 0.95, "seed": 0},
    **{"categories": None, "planned_lag_s": None},
}
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>body {{font: 1rem/1.5 sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem}}
td, th {{padding: .1rem .6rem; text-align: left}} .wide {{overflow-x: auto}}
.alarm {{background: #FFF3D6; padding: 1rem}}</style></head><body><main><h1>{title}</h1>
{parts}</main></body></html>
"""


def score(
    said: Sequence[str], folder: Path, stimuli: Path | None, extraction: ExtractionConfig, config: EvaluationConfig
) -> pd.DataFrame:
    """Score networks, or RDMs already made; write tables, RDMs, figures, ``score.json`` and ``score.html``.

    Parameters
    ----------
    said : sequence of str
        As of `networks.find`, or files of RDMs (`rsa.rdm.read_rdms`), one RDM a layer.
    folder : Path
        Where all is written; a network whose RDMs it holds, made in the same way, is not shown the stimuli again.
    stimuli : Path or None
        Folder of class folders; not needed for files of RDMs.
    config : EvaluationConfig
        Of the tests, the distance, the models, and the seeds of untrained networks.

    Returns
    -------
    DataFrame
        ``tables/scores.csv``, with the columns of ``lag_curve.csv``. Raises InputError as `networks.find` and
        `rdms.rdms_of` do, for two networks of one name, and for models without the classes.
    """
    done: dict[str, Seen | str] = {}  # files are read, and networks looked at, before anything takes long
    classes, pictures = list[tuple[str, ...]](), None
    for one in said:
        label, _, rest = one.rpartition("=")
        if (file := Path(rest).expanduser()).suffix in RDM_FILES:
            rdms, name = read_rdms(file), label or file.stem
            seen: Seen | str = Seen(name, rdms, {}, {"source": f"{file.name}, SHA-256 {sha256(file)}"})
            classes.append(next(iter(rdms.values())).classes)
        elif stimuli is None:
            raise InputError(f"{one}: needs pictures, a folder of them a class: --stimuli FOLDER")
        else:
            shown = StimuliConfig(None, 224, extraction.images_per_class, ("intact",), 2.0, 255)  # size: not used
            pictures = pictures or StimulusFolder(stimuli, shown)
            seen, name = one, _looked_at(one, pictures, extraction)
            classes.append(pictures.classes)
        if name in done:
            raise InputError(f"two networks are called {name}: name one of them, as in other={rest}")
        done[name] = seen
    shared = tuple(sorted(set(classes[0]).intersection(*classes)))
    if len(shared) < FEWEST_CLASSES:
        raise InputError(f"{', '.join(done)}: {len(shared)} classes in common, at least {FEWEST_CLASSES} are needed")
    if left_out := sorted(set().union(*classes) - set(shared)):
        warnings.warn(f"{len(left_out)} classes are not of all networks, left out: {listed(left_out)}", stacklevel=2)
    models, networks = semantic_models(shared, config), []
    for seen in done.values():
        if isinstance(seen, str) and pictures:
            seen = _kept_or_shown(find(seen), pictures, extraction, config, folder)
        if isinstance(seen, Seen):
            networks.append(dataclasses.replace(seen, rdms=_of(seen.rdms, shared), random=_of(seen.random, shared)))
    table, paired = tests(networks, models, config), compared(networks, models, config)
    write_csv(folder / "tables" / "scores.csv", table)
    write_csv(folder / "tables" / "comparisons.csv", paired)
    told = {"stimuli": stimuli, "extraction": dataclasses.asdict(extraction), "tests": dataclasses.asdict(config)}
    write_json(folder / "score.json", record(told, config.seed, networks={one.name: one.how for one in networks}))
    write_page(folder, networks, table, paired, config)
    return table


def _looked_at(said: str, pictures: StimulusFolder, extraction: ExtractionConfig) -> str:
    """Name of a network that can be had, and has the layers asked for; it does not stay in memory."""
    network = find(said)
    chosen_layers(network, extraction.layers, network.transform(read_image(pictures.files["path"][0]))[None])
    return network.name


def _of(rdms: Mapping[str, RDM], classes: Sequence[str]) -> dict[str, RDM]:
    return {layer: rdm.subset(classes) for layer, rdm in rdms.items()}


def semantic_models(classes: Sequence[str], config: EvaluationConfig) -> dict[str, RDM]:
    """Models by name; an InputError says what classes that have no WordNet ids can be tested against."""
    strange = [name for name in classes if not re.fullmatch(r"n\d{8}", name)]
    if strange and (need := [name for name in config.models if name not in config.model_files]):
        raise InputError(
            f"classes {listed(strange)}: no WordNet ids (such as n02084071), which {' and '.join(need)} needs; rename "
            "the folders, or test a table of your own that has these names: --model-file words.csv"
        )
    return {name: model_rdm(name, classes, config.model_files.get(name)) for name in config.models}


def _kept_or_shown(
    network: Scored, pictures: StimulusFolder, extraction: ExtractionConfig, config: EvaluationConfig, folder: Path
) -> Seen:
    """RDMs of a network from `folder`, where they were made in the same way, else made and written there."""
    file, untrained = (folder / "rdms" / f"{network.name}{which}.parquet" for which in ("", "_untrained"))
    seeds = list(config.random_seeds if "random" in config.controls else ())
    way: dict[str, Any] = {"weights": weights_sha256(network.module), "preprocessing": str(network.transform)}
    way |= {"stimuli": pictures.fingerprint(), "distance": config.distance, "seeds": seeds}
    way |= {"layers": list(extraction.layers), "tokens": extraction.tokens}
    if (told := file.with_suffix(".json")).is_file() and (kept := json.loads(told.read_text("utf-8")))["config"] == way:
        random = read_rdms(untrained) if kept["how"]["untrained_networks"] else {}
        return Seen(network.name, read_rdms(file), random, kept["how"])
    seen = rdms_of(network, pictures, extraction, config.distance, seeds)
    for path, rdms in ((untrained, seen.random), (file, seen.rdms)):
        if rdms:
            write_rdms(path, rdms)
    write_json(told, record(way, how=seen.how))
    return seen


def tests(networks: Sequence[Seen], models: Mapping[str, RDM], config: EvaluationConfig) -> pd.DataFrame:
    """All tests of all networks, layers and models, each network given its own untrained ones: columns of `COLUMNS`."""
    count = sum(len(one.rdms) for one in networks) * len(models)
    of_tests = config.of_tests | {"permutations": max(config.permutations, permutations_for_family(count))}
    tables = []
    for one in networks:
        for control in ("none", "random") if one.random else ("none",):
            for rdms, group, _ in by_classes(one.rdms, models, []):
                given = _of(one.random, next(iter(group.values())).classes) if control == "random" else None
                found = mantel_table(rdms, group, given, **of_tests).rename(columns={"rdm": "layer", "n": "classes"})
                tables.append(found.assign(network=one.name, control=control, lag_s=math.nan, condition="intact"))
    table = pd.concat(tables, ignore_index=True).assign(seed=0)
    table["p_holm"] = table.groupby("control")["p"].transform(holm)
    return table[list(COLUMNS)]


def compared(networks: Sequence[Seen], models: Mapping[str, RDM], config: EvaluationConfig) -> pd.DataFrame:
    """Networks two by two at their last layers, by the paired bootstrap: columns of `LAG_COMPARISONS`."""
    tables = [pd.DataFrame(columns=list(LAG_COMPARISONS))]
    for control in ("none", "random"):
        some = [one for one in networks if one.random or control == "none"]
        samples = max(config.bootstrap_samples, math.ceil(8 * math.comb(len(some), 2) * len(models) / 0.05))
        if len(some) < 2 or config.bootstrap_samples == 0:
            continue
        for rdms, group, _ in by_classes({one.name: one.rdms[one.last] for one in some}, models, []):
            kept = next(iter(group.values())).classes
            given = {one.name: one.random[one.last].subset(kept) for one in some} if control == "random" else None
            found = compare(rdms, group, given, samples, config.confidence, config.method, config.seed)
            tables.append(found.assign(control=control, condition="intact", seed=0, layer=LAST))
    table = pd.concat(tables[1:] or tables, ignore_index=True)
    return table.assign(p_holm=table.groupby("control")["p"].transform(holm))[list(LAG_COMPARISONS)]


def write_page(
    folder: Path, networks: Sequence[Seen], table: pd.DataFrame, paired: pd.DataFrame, config: EvaluationConfig
) -> None:
    """Draw an experiment's figures, layers and controls, and write the page with these and what each network is."""
    use_house_style()
    title = f"Scored: {', '.join(one.name for one in networks)}"
    experiment = Experiment("score", title, "films", (), (), (0,), LAST, {}, folder / "score.json", folder)
    told: dict[str, Any] = {"models": config.models, "condition": "intact", "confidence": config.confidence}
    given = "random" if "random" in set(table["control"]) else "none"
    selected = Selection(layer=LAST, control=given, random_networks=len(config.random_seeds), **told)
    last = pd.concat(table[(table["network"] == one.name) & (table["layer"] == one.last)] for one in networks)
    by_layer, numbered = table, len({tuple(one.rdms) for one in networks}) > 1 or table["layer"].str.len().max() > 10
    if numbered:  # other architectures, or long names: layers by their place, as the page lists them
        place = {(one.name, layer): n for one in networks for n, layer in enumerate(one.rdms, start=1)}
        by_layer = table.assign(layer=[place[key] for key in zip(table["network"], table["layer"], strict=True)])
        by_layer = by_layer.sort_values("layer", kind="stable").astype({"layer": str})
    drawn = layers.layers(by_layer, selected)
    for ax in drawn.axes:
        ax.tick_params(axis="x", rotation=0 if numbered else 90)
    of_last = comparisons.controls(last.assign(layer=LAST), selected)
    inputs = [folder / "tables" / "scores.csv"]
    pictures = [save(one, experiment, name, inputs) for name, one in (("layers", drawn), ("controls", of_last))]
    parts = []
    for one in networks:
        why = html.escape(one.how.get("alarm", ""))
        alarm = f'<p class="alarm"><b>It looks untrained:</b> {why}.</p>' if why else ""
        rows = {name: value for name, value in one.how.items() if name not in ("layers", "alarm")}
        rows["layers"] = f"{', '.join(one.rdms)}; the last is compared"
        parts += [f"<h2>{html.escape(one.name)}</h2>", alarm, small_table(rows)]
    parts += [picture.html for picture in pictures]
    for head, part in (("At the last layers", last), ("Paired bootstrap", paired), ("All tests", table)):
        cells = part.dropna(axis=1, how="all").to_html(index=False, float_format="{:.3g}".format, border=0)
        parts.append(f'<h2>{head}</h2><div class="wide" tabindex="0" role="region" aria-label="{head}">{cells}</div>')
    with atomic(folder / "score.html") as temporary:
        temporary.write_text(PAGE.format(title=html.escape(title), parts="\n".join(parts)), encoding="utf-8")


def add(
    experiment: Experiment, pictures: StimulusFolder, said: str, layers: Mapping[str, str] | None = None
) -> Network:
    """Show another's network an experiment's stimuli, so that it stands among its networks; writes its RDM files.

    `layers` says which of its layers stands at each of the experiment's, by default its own from first to last, evenly.
    It has no lag, sees the same squares as all networks, is the same for every seed of the experiment, and its control
    ``random`` is the experiment's (`score` gives each architecture its own).
    """
    config, network = experiment.section("activations", ActivationsConfig), find(said)
    name = re.sub(r"\W+", "_", network.name)
    if name in (*experiment.networks, *BASELINES) or name.startswith("semantic_"):
        raise InputError(f"{said}: {experiment.name} has a network {name}; call it something else, as in other={said}")
    if layers is None:
        first = network.transform(read_image(pictures.files["path"][0]))[None]
        there = layers_of(network.module, first)
        places = np.linspace(0, len(there) - 1, len(config.layers)).round().astype(int)
        layers = {layer: there[place] for layer, place in zip(config.layers, places, strict=True)}
    if set(layers) != set(config.layers):
        raise InputError(f"layers of {said}: expected one for each of {', '.join(config.layers)}, found {dict(layers)}")
    extraction = ExtractionConfig(tuple(dict.fromkeys(layers.values())), "mean", config.batch_size, None, 4.0)
    distance, one = experiment.section("evaluation", EvaluationConfig).distance, Network(name, GIVEN, math.nan, 0)
    for condition in pictures.config.conditions:

        def read(path: str, condition: str = condition) -> torch.Tensor:
            square = shown(path, read_image(path), condition, pictures.config)
            return network.transform(Image.fromarray(square))

        seen = rdms_of(network, pictures, extraction, distance, read=read)
        for seed in experiment.seeds:
            file = rdm_file(experiment, dataclasses.replace(one, seed=seed), condition)
            write_rdms(file, {ours: seen.rdms[layers[ours]] for ours in config.layers})
    write_json(experiment.path("rdms", name, "given.json"), record({"layers": layers}, how=seen.how))
    return dataclasses.replace(one, seed=experiment.seeds[0])
