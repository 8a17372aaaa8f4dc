"""Networks scored side by side: their RDMs against semantic models, and against each other.

Of each network the control ``random`` is the mean RDM of untrained networks of its own architecture. All tests of a
control are one family for Holm's correction; networks are compared at their last layers, by the paired bootstrap.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd
import torch
from PIL import Image

from semanticcmc.config import InputError
from semanticcmc.evaluation.comparisons import LAG_COMPARISONS
from semanticcmc.evaluation.config import ActivationsConfig, EvaluationConfig, StimuliConfig
from semanticcmc.evaluation.lag_curve import COLUMNS, by_classes
from semanticcmc.evaluation.rdm_files import rdm_file
from semanticcmc.evaluation.stimuli import StimulusFolder, shown
from semanticcmc.experiment import Experiment
from semanticcmc.films.pictures import read_image
from semanticcmc.network import BASELINES, GIVEN, Network
from semanticcmc.rsa.bootstrap import compare
from semanticcmc.rsa.mantel import mantel_table
from semanticcmc.rsa.permutation import holm, permutations_for_family
from semanticcmc.rsa.rdm import RDM, read_rdms, write_rdms
from semanticcmc.rsa.semantics import model_rdm
from semanticcmc.run import listed, record, sha256, write_csv, write_json
from semanticcmc.scoring.networks import find, named
from semanticcmc.scoring.rdms import ExtractionConfig, Seen, evenly, planned, rdms_of

RDM_FILES = (".npz", ".parquet", ".hdf5", ".h5", ".pkl")
LAST = "last layer"
Group = tuple[str, dict[str, RDM], dict[str, RDM], dict[str, RDM] | None]
TESTS = {  # as base.yaml has them
    **{"distance": "correlation", "method": "pearson", "alternative": "greater", "partial": "dsp"},
    **{"confidence": 0.95, "seed": 0, "categories": None, "planned_lag_s": None, "controls": ["none", "random"]},
}


def score(
    said: Sequence[str], folder: Path, stimuli: Path | None, extraction: ExtractionConfig, config: EvaluationConfig
) -> pd.DataFrame:
    """Score networks (`networks.find`), or files of RDMs, one a layer; writes RDMs, tables and ``score.json``.

    `stimuli` is a folder of class folders, which files of RDMs do not need. Returned is ``tables/scores.csv``, with the
    columns of ``lag_curve.csv``. Raises InputError as `networks.find` and `rdms.rdms_of` do, for two networks of one
    name or of other classes, and for models without the classes.
    """
    read = StimuliConfig(None, 224, extraction.images_per_class, ("intact",), 2.0, 255)  # no squares of them are used
    pictures = StimulusFolder(stimuli, read) if stimuli else None
    done, classes = dict[str, Seen](), pictures.classes if pictures else ()
    for one in said:  # files are read, and networks looked at, before anything takes long
        label, rest = named(one)
        if (file := Path(rest).expanduser()).suffix in RDM_FILES:
            seen = Seen(label or file.stem, read_rdms(file), {}, {"source": f"{file.name}, SHA-256 {sha256(file)}"})
        elif pictures is None:
            raise InputError(f"{one}: needs pictures, a folder of them a class: --stimuli FOLDER")
        else:
            network = find(one)  # one at a time is in memory
            planned(network, len(classes), extraction, network.transform(read_image(pictures.files["path"][0]))[None])
            seen, network = Seen(network.name, {}, {}, {"said": one}), network._replace(module=torch.nn.Identity())
        if {seen.name, f"{seen.name}_untrained", seen.name.removesuffix("_untrained")} & done.keys():  # as files are
            raise InputError(f"two networks are called {seen.name}, _untrained aside: name one, as in other={rest}")
        own = tuple(sorted(next(iter(seen.rdms.values())).classes)) if seen.rdms else classes
        if other := sorted(set(own) ^ set(classes or own)):
            raise InputError(f"{one}: other classes than those before ({listed(other)}); leave them out of both")
        done[seen.name], classes = seen, own
    models = {name: model_rdm(name, classes, config.model_files.get(name)) for name in config.models}
    try:
        (folder / "rdms").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--results {folder}: no folder can be made there ({error.strerror})") from error
    for name, seen in done.items():
        if pictures and not seen.rdms:
            done[name] = seen = rdms_of(find(seen.how["said"]), pictures, extraction)
            write_rdms(folder / "rdms" / f"{name}.parquet", seen.rdms)
            if seen.random:
                write_rdms(folder / "rdms" / f"{name}_untrained.parquet", seen.random)
        done[name] = seen._replace(rdms={layer: rdm.subset(classes) for layer, rdm in seen.rdms.items()})
    networks = list(done.values())
    table = tests(networks, models, config)
    write_csv(folder / "tables" / "scores.csv", table)
    write_csv(folder / "tables" / "comparisons.csv", compared(networks, models, config))
    told = {"stimuli": stimuli, "extraction": dataclasses.asdict(extraction), "tests": dataclasses.asdict(config)}
    write_json(folder / "score.json", record(told, config.seed, networks={one.name: one.how for one in networks}))
    return table


def _groups(rdms: Mapping[str, RDM], random: Mapping[str, RDM], models: Mapping[str, RDM]) -> Iterator[Group]:
    """Each control with RDMs and models of the same classes, and each RDM's own control; without one no ``random``."""
    for control, given in (("none", {}), ("random", random)):
        some = {name: rdm for name, rdm in rdms.items() if control == "none" or name in given}
        for x, group, _ in by_classes(some, models, []) if some else ():
            own = {name: given[name].subset(rdm.classes) for name, rdm in x.items()} if given else None
            yield control, x, group, own


def tests(networks: Sequence[Seen], models: Mapping[str, RDM], config: EvaluationConfig) -> pd.DataFrame:
    """All tests of all networks, layers and models, each network given its own untrained ones: columns of `COLUMNS`."""
    least = permutations_for_family(sum(len(one.rdms) for one in networks) * len(models))
    options, tables = config.of_tests | {"permutations": max(config.permutations, least)}, []
    for one in networks:
        for control, x, group, given in _groups(one.rdms, one.random, models):
            found = mantel_table(x, group, given, **options).rename(columns={"rdm": "layer", "n": "classes"})
            tables.append(found.assign(network=one.name, control=control))
    table = pd.concat(tables, ignore_index=True).assign(lag_s=math.nan, condition="intact", seed=0)
    return table.assign(p_holm=table.groupby("control")["p"].transform(holm))[list(COLUMNS)]


def compared(networks: Sequence[Seen], models: Mapping[str, RDM], config: EvaluationConfig) -> pd.DataFrame:
    """Networks two by two at their last layers, by the paired bootstrap: columns of `LAG_COMPARISONS`."""
    tables = [pd.DataFrame(columns=list(LAG_COMPARISONS))]
    samples = max(config.bootstrap_samples, math.ceil(8 * math.comb(len(networks), 2) * len(models) / 0.05))
    rdms = {one.name: list(one.rdms.values())[-1] for one in networks}
    random = {one.name: list(one.random.values())[-1] for one in networks if one.random}
    for control, x, group, given in _groups(rdms, random, models):
        if len(x) > 1 and config.bootstrap_samples:
            found = compare(x, group, given, samples, config.confidence, config.method, config.seed)
            tables.append(found.assign(control=control, condition="intact", seed=0, layer=LAST))
    table = pd.concat(tables[1:] or tables, ignore_index=True)
    return table.assign(p_holm=table.groupby("control")["p"].transform(holm))[list(LAG_COMPARISONS)]


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
    if layers and set(layers) != set(config.layers):
        raise InputError(f"layers of {said}: expected one for each of {', '.join(config.layers)}, found {dict(layers)}")
    distance, one = experiment.section("evaluation", EvaluationConfig).distance, Network(name, GIVEN, math.nan, 0)
    extraction = ExtractionConfig(tuple((layers or {}).values()), "mean", config.batch_size, None, 4.0, distance, ())
    for condition in pictures.config.conditions:

        def see(path: str, condition: str = condition) -> torch.Tensor:
            return network.transform(Image.fromarray(shown(path, read_image(path), condition, pictures.config)))

        seen = rdms_of(network, pictures, extraction, see)
        layers = layers or dict(zip(config.layers, evenly(list(seen.rdms), len(config.layers)), strict=True))
        write_json(experiment.path("rdms", name, "given.json"), record({"layers": layers}, how=seen.how))  # first
        for seed in experiment.seeds:
            file = rdm_file(experiment, dataclasses.replace(one, seed=seed), condition)
            write_rdms(file, {ours: seen.rdms[layers[ours]] for ours in config.layers})
    return dataclasses.replace(one, seed=experiment.seeds[0])
