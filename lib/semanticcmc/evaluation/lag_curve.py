"""How strongly each network codes semantics: its RDMs against WordNet and category, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

KEYS = ("network", "lag_s", "seed", "layer", "condition", "model", "control")
COLUMNS = (*KEYS, "mantel_r", "p", "p_holm", "ci_low", "ci_high", "permutations", "alternative", "method", "classes")


def lag_curve(experiment: Experiment) -> pd.DataFrame:
    """Test every network, seed, layer and condition against every semantic model: ``tables/lag_curve.csv``.

    Parameters
    ----------
    experiment : Experiment
        Its RDM files (`rdm_files.rdm_file`) are read for all networks and conditions, one seed's at a time.

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
    for condition in experiment.section("stimuli", StimuliConfig).conditions:
        study = Study(experiment, condition)
        for seed in experiment.seeds:
            by_network = {network: study.files.read(network) for network in experiment.runs if network.seed == seed}
            for layer in study.files.layers:
                rdms = {network: layers[layer] for network, layers in by_network.items()}
                for control in study.controls:
                    rest, given = study.given(rdms, layer, control)
                    if rest:  # else the control is the only network
                        found = _tested(rest, given, study.models, config, layer)
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
        look = experiment.folder / "world" / "look_rdm.parquet"
        there = {"cmc_lab": "cmc_lab" in experiment.networks, "look": look.is_file()}
        self.controls = tuple(control for control in config.controls if there.get(control, True))
        self._look = read_rdms(look)["look"].subset(files.classes) if "look" in self.controls else None
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
    rdms: Mapping[Network, RDM], given: RDM | None, models: Mapping[str, RDM], config: EvaluationConfig, layer: str
) -> pd.DataFrame:
    """All tests of one family: networks against models, given one control or none; warnings name the layer."""
    permutations = max(config.permutations, permutations_for_family(len(rdms) * len(models)))
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
