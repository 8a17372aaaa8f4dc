"""Robustness: does what the declared analysis found depend on a choice that could have been another?

Each row of the panel changes the declared analysis in one respect: the distance between class means, and whether
convolutional maps are averaged over space; the layer; the control; the classes (one category left out); the
correlation between RDMs. All is read from files (`rdm_files.write_distance_rdms` makes RDMs at other distances).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pandas as pd

from semanticcmc.config import InputError
from semanticcmc.evaluation.config import EvaluationConfig, control_networks
from semanticcmc.evaluation.models import category_table
from semanticcmc.evaluation.rdm_files import POOLINGS, RDMFiles, column, distance_layers
from semanticcmc.experiment import Experiment, Network
from semanticcmc.rsa.distances import DISTANCES
from semanticcmc.rsa.mantel import mantel_table
from semanticcmc.rsa.rdm import FEWEST_CLASSES, RDM, read_rdms
from semanticcmc.rsa.semantics import categories
from semanticcmc.training.networks import CONV_LAYERS

ALPHA = 0.05  # a correlation survives a change where p is below it in every seed
COLUMNS = ("network", "lag_s", "seed", "model", "varied", "value", "mantel_r", "p", "ci_low", "ci_high", "classes")


@dataclasses.dataclass(frozen=True)
class Choice:
    """One row of the panel: what it changes, and what it tests."""

    varied: str  # what is changed
    value: str  # to what
    rdms: Mapping[Network, RDM]
    control: Mapping[Network, RDM] | None  # partialled out; networks that it lacks are not tested
    classes: tuple[str, ...]  # tested, as far as a model has them
    method: str  # of correlation between RDMs


@dataclasses.dataclass(frozen=True)
class Material:
    """RDMs that the rows of a panel choose from."""

    by_layer: Mapping[Network, Mapping[str, RDM]]  # at the declared distance
    by_distance: Mapping[Network, Mapping[str, RDM]]  # by `rdm_files.column`
    random_by_layer: Mapping[Network, Mapping[str, RDM]]  # the same of the networks of the control `random`
    random_by_distance: Mapping[Network, Mapping[str, RDM]]
    look: RDM | None  # the world's true looks
    category: Mapping[str, str]  # of each class


def material(experiment: Experiment) -> Material:
    """RDMs of an experiment's networks, read from the folder ``rdms``.

    Raises InputError if a file is missing, networks have different classes or layers, or none is there but the
    untrained one.
    """
    files, distances = (RDMFiles(experiment, condition) for condition in ("intact", "intact_distances"))
    runs = [network for network in experiment.runs if network.objective != "none"]
    if not runs:
        raise InputError(f"{experiment.file}: no network beside the untrained one, so that there is no result to vary")
    untrained = control_networks(experiment)
    look = experiment.folder / "world" / "look_rdm.parquet"
    return Material(
        {network: files.read(network) for network in runs},
        {network: distances.read(network) for network in runs},
        {network: files.read(network) for network in untrained},
        {network: distances.read(network) for network in untrained},
        read_rdms(look)["look"] if look.is_file() else None,
        categories(files.classes, category_table(experiment)),
    )


def choices(given: Material, primary_layer: str, distance: str, spatial_mean: bool, method: str) -> Iterator[Choice]:
    """Rows of the panel: the declared analysis first, then each change of it, each once.

    The declared analysis is given by `primary_layer`, `distance`, `spatial_mean` and `method`; its control is the mean
    RDM of all untrained networks, none where there are none.
    """
    runs, random = list(given.by_layer), given.random_by_layer
    rdms = {run: by_layer[primary_layer] for run, by_layer in given.by_layer.items()}
    classes = rdms[runs[0]].classes
    declared = Choice("declared", "declared analysis", rdms, _means(random, primary_layer, runs), classes, method)
    vary = functools.partial(dataclasses.replace, declared)
    yield declared
    for layer in distance_layers(primary_layer):
        for pooling in POOLINGS if layer in CONV_LAYERS else (None,):
            for other in DISTANCES:
                if other == distance and pooling in (None, spatial_mean):
                    continue  # declared, or a row of the layers
                name = column(layer, other, pooling)
                seen = {run: by_distance[name] for run, by_distance in given.by_distance.items()}
                control = _means(given.random_by_distance, name, runs)
                yield vary(varied="distance", value=name, rdms=seen, control=control)
    for layer in given.by_layer[runs[0]]:
        if layer != primary_layer:
            seen = {run: by_layer[layer] for run, by_layer in given.by_layer.items()}
            yield vary(varied="layer", value=layer, rdms=seen, control=_means(random, layer, runs))
    if random:
        yield vary(varied="control", value="none (simple r)", control=None)
    for untrained in random if len(random) > 1 else ():
        control = dict.fromkeys(runs, random[untrained][primary_layer])
        yield vary(varied="control", value=f"random network, seed {untrained.seed}", control=control)
    lab_rdms = {run.seed: rdm for run, rdm in rdms.items() if run.name == "cmc_lab"}
    if lab := {run: lab_rdms[run.seed] for run in runs if run.name != "cmc_lab" and run.seed in lab_rdms}:
        yield vary(varied="control", value="L / ab network", control=lab)
    if given.look is not None:
        yield vary(varied="control", value="true looks", control=dict.fromkeys(runs, given.look))
    for category in dict.fromkeys(given.category[wnid] for wnid in classes):
        kept = tuple(wnid for wnid in classes if given.category[wnid] != category)
        yield vary(varied="classes", value=f"without {category}", classes=kept)
    other = "spearman" if method == "pearson" else "pearson"
    yield vary(varied="method", value=other, method=other)


def _means(
    random: Mapping[Network, Mapping[str, RDM]], name: str, runs: Iterable[Network]
) -> dict[Network, RDM] | None:
    """Control of every network: the mean RDM of all untrained networks, which `RDMFiles` read in one order."""
    found = [rdms[name] for rdms in random.values()]
    return dict.fromkeys(runs, RDM(np.mean([one.values for one in found], axis=0), found[0].classes)) if found else None


def survival(table: pd.DataFrame) -> pd.DataFrame:
    """Which rows of the panel each network survives: p below .05 in every seed, with the sign of r that is tested.

    Returned is a DataFrame: one row a network, model, varied and value: ``mantel_r`` the mean over seeds, ``lowest``
    and ``highest`` r of a seed, ``p`` the largest, ``seeds`` their number, ``survives``, and ``excludes_0``: whether
    every seed's interval lies on that side of 0 too. A test that could not be done (NaN) does not survive. The table
    is as `panel` returns it.
    """
    key = ["network", "lag_s", "model", "varied", "value"]
    groups = table.groupby(key, sort=False, dropna=False)
    r = groups.mantel_r.agg(["mean", "min", "max", "size"])
    found = r.set_axis(["mantel_r", "lowest", "highest", "seeds"], axis=1)
    found["p"] = groups.p.agg(lambda p: p.max(skipna=False))
    found["survives"] = (found.p < ALPHA) & (found.lowest * found.highest > 0)
    low, high = groups.ci_low.agg(["min", "max"]), groups.ci_high.agg(["min", "max"])
    found["excludes_0"] = found.survives & ((low["min"] > 0) | (high["max"] < 0))
    return found.reset_index()


def largest(table: pd.DataFrame) -> pd.DataFrame:
    """Find the network with a lag whose mean correlation over seeds is the largest, in each row of the panel.

    One row a model, varied and value: ``network``, ``lag_s``, ``mantel_r``.
    """
    rows = survival(table)
    rows = rows[rows.lag_s > 0].dropna(subset="mantel_r")
    best = rows.groupby(["model", "varied", "value"], sort=False).mantel_r.idxmax()
    return rows.loc[best, ["model", "varied", "value", "network", "lag_s", "mantel_r"]].reset_index(drop=True)


def verdict(table: pd.DataFrame, network: str, model: str) -> str:
    """Say in one sentence in how many rows of the panel a network's correlation with a model survives, and where not.

    The table is as `panel` returns it. Of several seeds r is the mean, p the largest.
    """
    rows = survival(table)
    rows = rows[(rows.network == network) & (rows.model == model)]
    lost, seeds = rows[~rows.survives], rows.seeds.max()
    every, most = ("", "") if seeds == 1 else (f" in every one of {seeds} seeds", "largest ")
    fails = [
        f"{value} (r {r:.2f}, {most}p {p:.2g})" for value, r, p in zip(lost.value, lost.mantel_r, lost.p, strict=True)
    ]
    where = f"fails in: {'; '.join(fails)}" if fails else "it fails in none"
    if (lost.varied == "declared").any():
        where = f"the {fails[0]} is not among them, so that there is no result to survive"
    return (
        f"{network}, {model}: p < {ALPHA:g}{every} in {rows.survives.sum()} of {len(rows)} rows "
        f"({rows.excludes_0.sum()} with intervals on one side of 0); {where}."
    )


def panel(rows: Iterable[Choice], models: Mapping[str, RDM], config: EvaluationConfig) -> pd.DataFrame:
    """Test every row of the panel against every model.

    One row a network, seed, model and choice, with the columns `COLUMNS`. A choice that leaves a model too few classes,
    or only one category, has no row with it.
    """
    tables = []
    for row in rows:
        for name, model in models.items():
            kept = [wnid for wnid in model.classes if wnid in set(row.classes)]
            if row.varied == "classes" and len(kept) == len(model.classes):
                continue  # what is left out, the model does not have
            own = model.subset(kept)
            if len(kept) < FEWEST_CLASSES or np.ptp(own.values) == 0:
                continue
            tables.append(_tested(row, name, own, config))
    return pd.concat(tables, ignore_index=True)[list(COLUMNS)]


def _tested(row: Choice, name: str, model: RDM, config: EvaluationConfig) -> pd.DataFrame:
    tested = [run for run in row.rdms if row.control is None or run in row.control]
    rdms = {run: row.rdms[run].subset(model.classes) for run in tested}
    control = None
    if row.control is not None:  # one subset of each, so that RDMs that share a control still do
        subsets = {rdm: rdm.subset(model.classes) for rdm in row.control.values()}
        control = {run: subsets[row.control[run]] for run in tested}
    table = mantel_table(rdms, {name: model}, control, **config.of_tests | {"method": row.method})
    keys = pd.DataFrame({"network": run.name, "lag_s": run.lag_s, "seed": run.seed} for run in tested)
    found = table[["model", "mantel_r", "p", "n", "ci_low", "ci_high"]].rename(columns={"n": "classes"})
    return pd.concat([keys, found], axis=1).assign(varied=row.varied, value=row.value)
