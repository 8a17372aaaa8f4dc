"""How strongly each network codes semantics: its RDMs against WordNet and category, layer by layer."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from semanticcmc.config import InputError
from semanticcmc.evaluation.config import EvaluationConfig, StimuliConfig, control_networks
from semanticcmc.evaluation.models import experiment_model
from semanticcmc.evaluation.rdm_files import RDMFiles, rdm_file
from semanticcmc.experiment import Experiment, Network
from semanticcmc.rsa.mantel import mantel_table
from semanticcmc.rsa.permutation import holm, permutations_for_family
from semanticcmc.rsa.rdm import RDM, read_rdms
from semanticcmc.run import Watch

KEYS = ("network", "lag_s", "seed", "layer", "condition", "model", "control")
COLUMNS = (*KEYS, "mantel_r", "p", "p_holm", "ci_low", "ci_high", "permutations", "alternative", "method", "classes")


def lag_curve(
    experiment: Experiment,
    layers: Sequence[str] = (),
    conditions: Sequence[str] = (),
    permutations: Mapping[str, int] | None = None,
    watch: Watch = iter,
) -> pd.DataFrame:
    """Test every network, seed, layer and condition against every semantic model: ``tables/lag_curve.csv``.

    Parameters
    ----------
    experiment : Experiment
        Its RDM files (`rdm_files.rdm_file`) are read for all networks and conditions, one seed's at a time.
    layers, conditions : sequence of str
        By default all.
    permutations : mapping of str to int, optional
        By control, at least so many: where a part is asked for, those of the whole that was declared.
    watch : callable
        `tqdm.tqdm`, for instance.

    Returns
    -------
    DataFrame
        One row a condition, network, seed, layer, model and control, with the columns `COLUMNS`: Mantel's r, or
        partial r given the control, its p, p corrected by Holm's method over the family of all networks and
        models of one condition, seed, layer and control (with as many permutations as that needs), the bootstrap
        interval over classes, and the number of classes. Not tested are a network given itself, and, against the
        category model, classes without a category. A layer whose RDM is NaN or constant has NaN in its row,
        with a warning.

    Raises
    ------
    InputError
        If a file is missing, networks have different classes or layers, or a model has too few classes.
    """
    config = experiment.section("evaluation", EvaluationConfig)
    tables = []
    conditions = conditions or experiment.section("stimuli", StimuliConfig).conditions
    for condition in conditions:
        study, by_network = Study(experiment, condition), dict[Network, dict[str, RDM]]()
        for seed, layer in watch(list(itertools.product(experiment.seeds, layers or study.files.layers))):
            if seed not in {network.seed for network in by_network}:  # RDMs of one seed at a time are in memory
                by_network = {network: study.files.read(network) for network in experiment.runs if network.seed == seed}
            rdms = {network: by_layer[layer] for network, by_layer in by_network.items()}
            for control in study.controls:
                rest, given = study.given(rdms, layer, control)
                if rest:  # else the control is the only network
                    found = _tested(rest, given, study.models, config, layer, (permutations or {}).get(control, 0))
                    tables.append(found.assign(layer=layer, condition=condition, control=control))
    table = pd.concat(tables, ignore_index=True)
    # In the order of the experiment and its YAML, whatever was tested together.
    ranked: dict[str, Sequence[Any]] = {
        "condition": table["condition"].unique().tolist(),
        "network": experiment.networks,
        "seed": experiment.seeds,
        "layer": table["layer"].unique().tolist(),
        "model": config.models,
        "control": config.controls,
    }
    places = [table[key].map({value: place for place, value in enumerate(order)}) for key, order in ranked.items()]
    return table.iloc[np.lexsort(places[::-1])].reset_index(drop=True)[list(COLUMNS)]


def gather(experiment: Experiment, measure: str) -> pd.DataFrame:
    """Rows that notebook 03 wrote of every network, as one table ``tables/<measure>.csv``.

    `measure` is ``accuracy`` or ``noise_ceiling``, of ``rdms/<network>/seed-<k>_<measure>.csv``.

    Raises
    ------
    InputError
        If a network's file is missing.
    """
    parts = []
    for network in experiment.runs:
        file = rdm_file(experiment, network, measure).with_suffix(".csv")
        if not file.is_file():
            raise InputError(f"{file}: missing; make poster EXPERIMENT={experiment.name} makes it")
        parts.append(pd.read_csv(file))
    numbers = ("lag_s", "accuracy", "ci_low", "ci_high", "reliability", "ceiling")
    table = pd.concat([part.astype({key: float for key in numbers if key in part}) for part in parts])
    return table.reset_index(drop=True)


def look_file(experiment: Experiment) -> Path:
    """Distances between the true looks of the classes, which a drawn world knows."""
    return experiment.folder / "world" / "look_rdm.parquet"


def controls_there(experiment: Experiment) -> tuple[str, ...]:
    """Controls that can be had, whether or not the experiment declares them."""
    there = {"cmc_lab": "cmc_lab" in experiment.networks, "look": look_file(experiment).is_file()}
    return tuple(control for control in ("none", "random", "cmc_lab", "look") if there.get(control, True))


class Study:
    """What the tests of one condition share: RDM files, models of the same classes, controls.

    Attributes
    ----------
    models : dict of str to RDM
        Category may hold fewer classes than the files: those that have a category.
    controls : tuple of str
        Those of the experiment that can be had.
    """

    def __init__(self, experiment: Experiment, condition: str) -> None:
        config = experiment.section("evaluation", EvaluationConfig)
        self.files = files = RDMFiles(experiment, condition)
        own = config.model_files
        self.models = {name: experiment_model(name, files.classes, experiment, own) for name in config.models}
        self.controls = tuple(control for control in config.controls if control in controls_there(experiment))
        look = read_rdms(look_file(experiment))["look"] if "look" in self.controls else None
        self._look = look.subset(files.classes) if look else None
        self._random = files.mean(control_networks(experiment))

    def given(self, rdms: Mapping[Network, RDM], layer: str, control: str) -> tuple[dict[Network, RDM], RDM | None]:
        """RDMs that can be tested given a control, and its RDM (None for `none`): never a network given itself.

        `rdms` are of all networks of one seed at `layer`.
        """
        rest = {network: rdm for network, rdm in rdms.items() if network.name != control}
        by_name = {network.name: rdm for network, rdm in rdms.items()}
        matrices = {"random": self._random.get(layer), "cmc_lab": by_name.get("cmc_lab"), "look": self._look}
        return rest, matrices.get(control)


def by_classes(models: Mapping[str, RDM]) -> list[dict[str, RDM]]:
    """Models in groups that hold the same classes, to be tested together."""
    groups: dict[tuple[str, ...], dict[str, RDM]] = {}
    for name, model in models.items():
        groups.setdefault(model.classes, {})[name] = model
    return list(groups.values())


def _tested(
    rdms: Mapping[Network, RDM],
    given: RDM | None,
    models: Mapping[str, RDM],
    config: EvaluationConfig,
    layer: str,
    least: int,
) -> pd.DataFrame:
    """All tests of one family: networks against models, given one control or none; warnings name the layer."""
    permutations = max(config.permutations, permutations_for_family(len(rdms) * len(models)), least)
    tables = []
    for group in by_classes(models):
        kept = next(iter(group.values())).classes
        x = {f"{network}, {layer}": rdm.subset(kept) for network, rdm in rdms.items()}
        z = given.subset(kept) if given is not None else None
        found = mantel_table(x, group, z, **config.of_tests | {"permutations": permutations})
        found = found.rename(columns={"n": "classes"}).drop(columns=["rdm", "seed"])
        for key in ("name", "lag_s", "seed"):
            found[key] = [getattr(network, key) for network in rdms for _ in group]
        tables.append(found.rename(columns={"name": "network"}))
    table = pd.concat(tables, ignore_index=True)
    return table.assign(p_holm=holm(table["p"]))


def over_seeds(table: pd.DataFrame, confidence: float, value: str = "mantel_r") -> pd.DataFrame:
    """Mean over seeds and its interval, by Student's t: how far training repeats itself.

    Parameters
    ----------
    table : DataFrame
        As `lag_curve` returns it, or the table of class accuracy.
    confidence : float
        Level of the intervals, between 0 and 1.
    value : {'mantel_r', 'accuracy'}
        Column to average.

    Returns
    -------
    DataFrame
        One row a network, layer, condition, and model and control, or measure: `value` the mean, ``ci_low`` and
        ``ci_high``, ``seeds`` their number. With a single seed the interval is NaN.
    """
    key = [name for name in (*KEYS, "measure") if name in table and name != "seed"]
    rows = table.groupby(key, sort=False, dropna=False)[value].agg(["mean", "sem", "count"]).reset_index()
    half = rows["sem"] * stdtrit(np.maximum(rows["count"] - 1, 1), 0.5 + confidence / 2)
    return rows[key].assign(
        **{value: rows["mean"]}, ci_low=rows["mean"] - half, ci_high=rows["mean"] + half, seeds=rows["count"]
    )
