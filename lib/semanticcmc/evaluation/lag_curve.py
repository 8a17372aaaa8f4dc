"""How strongly each network codes semantics: its RDMs against WordNet and category, layer by layer."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from semanticcmc.config import existing
from semanticcmc.evaluation.config import AND, EvaluationConfig, StimuliConfig, control_networks
from semanticcmc.evaluation.models import MADE, experiment_model
from semanticcmc.evaluation.rdm_files import RDMFiles, rdm_file
from semanticcmc.experiment import Experiment, Network, lagged_name
from semanticcmc.network import GIVEN
from semanticcmc.rsa.mantel import mantel_table
from semanticcmc.rsa.permutation import holm, permutations_for_family
from semanticcmc.rsa.rdm import RDM, read_rdms
from semanticcmc.rsa.semantics import WORDNET_MODELS
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

    Raises InputError if a file is missing, networks have different classes or layers, or a model has too few classes.
    Returned is a DataFrame: one row a condition, network, seed, layer, model and control, with the columns `COLUMNS`:
    Mantel's r, or partial r given the control, its p, p corrected by Holm's method over the family of all networks and
    models of one condition, seed, layer and control (with as many permutations as that needs), the bootstrap interval
    over classes, and the number of classes. Not tested are a network or model given itself, and classes that a model or
    a control lacks, such as those without a category. A layer whose RDM is NaN or constant has NaN in its row, with a
    warning.

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
                rest, given, models = study.given(rdms, layer, control)
                if rest and models:  # else the control is the only network, or model
                    found = _tested(rest, given, models, config, layer, (permutations or {}).get(control, 0))
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


def by_objective(experiment: Experiment) -> pd.DataFrame:
    """What each objective taught, at the primary layer and of intact stimuli: ``tables/objectives.csv``.

    As of `lag_curve`, with ``objective``, ``pairing`` (empty without a lag), ``images`` seen in training, class
    ``accuracy`` by nearest neighbours, and ``effective_rank`` of single images.
    """
    table, rows = lag_curve(experiment, [experiment.primary_layer], ["intact"]), []
    for network in experiment.runs:
        pairing = experiment.objective(network).get("pairing", "fixed") if network.lag_s > 0 else ""
        pairing = pairing if isinstance(pairing, str) else pairing["name"]
        run = json.loads((experiment.run_folder(network) / "run.json").read_text(encoding="utf-8"))
        rows.append((network.name, network.seed, network.objective, pairing, run.get("images", math.nan)))  # old: none
    seen = pd.DataFrame(rows, columns=["network", "seed", "objective", "pairing", "images"])
    for measure in ("accuracy", "effective_rank"):
        own = gather(experiment, measure).query("condition == 'intact'").drop_duplicates(["network", "seed"])
        seen = seen.merge(own[["network", "seed", measure]], on=["network", "seed"])
    return table.merge(seen, on=["network", "seed"], validate="m:1")


def gather(experiment: Experiment, measure: str) -> pd.DataFrame:
    """Rows that notebook 03 wrote of every network, as one table ``tables/<measure>.csv``.

    `measure` is ``accuracy``, ``noise_ceiling`` or ``effective_rank``, of ``rdms/<network>/seed-<k>_<measure>.csv``.
    Raises InputError if a network's file is missing.
    """
    parts = []
    for network in (one for one in experiment.runs if one.objective != GIVEN):  # of which there are RDMs alone
        file = rdm_file(experiment, network, measure).with_suffix(".csv")
        parts.append(pd.read_csv(existing(file, f"make poster EXPERIMENT={experiment.name} makes it")))
    numbers = ("lag_s", "accuracy", "ci_low", "ci_high", "reliability", "ceiling", "effective_rank")
    table = pd.concat([part.astype({key: float for key in numbers if key in part}) for part in parts])
    return table.reset_index(drop=True)


def look_file(experiment: Experiment) -> Path:
    """Distances between the true looks of the classes, which a drawn world knows."""
    return experiment.folder / "world" / "look_rdm.parquet"


def controls_there(experiment: Experiment) -> tuple[str, ...]:
    """Controls that can be had, declared or not; `AND` joins several to one."""
    config = experiment.section("evaluation", EvaluationConfig)
    networks = [name for name in experiment.networks if name != "random"]
    looks = ["look"] if look_file(experiment).is_file() else []
    shortest = ["shortest_lag"] if experiment.lags_s else []
    made = [name for name, (file, _) in MADE.items() if (experiment.folder / file).is_file()]
    models = ["category", *WORDNET_MODELS, *made, *config.model_files]
    there = dict.fromkeys(["none", "random", "cmc_lab", *looks, *shortest, *networks, *models])
    return tuple(name for name in there if name != "cmc_lab" or name in networks)


def parts_of(experiment: Experiment, control: str) -> tuple[str, ...]:
    """What a control is made of: models, looks and networks by name; nothing of `none`."""
    shortest = lagged_name(min(experiment.lags_s)) if experiment.lags_s else "shortest_lag"
    names = [] if control == "none" else control.split(AND)
    return tuple(dict.fromkeys(shortest if name == "shortest_lag" else name for name in names))


class Study:
    """What the tests of one condition share: RDM files, models of the same classes, controls that can be had.

    The model of category may hold fewer classes than the files: those that have a category.
    """

    def __init__(self, experiment: Experiment, condition: str) -> None:
        config = experiment.section("evaluation", EvaluationConfig)
        self.files = files = RDMFiles(experiment, condition)
        own = config.model_files
        self.models = {name: experiment_model(name, files.classes, experiment, own) for name in config.models}
        there = controls_there(experiment)
        parts = {control: parts_of(experiment, control) for control in config.controls}
        self._parts = {control: names for control, names in parts.items() if all(name in there for name in names)}
        self.controls = tuple(self._parts)
        needed = {name for names in self._parts.values() for name in names} - {"random", *experiment.networks}
        look = read_rdms(look_file(experiment)) if "look" in needed else {}
        self._fixed = {name: rdm.subset(files.classes) for name, rdm in look.items()}
        self._fixed |= {name: experiment_model(name, files.classes, experiment, own) for name in needed - {"look"}}
        self._random = files.mean(control_networks(experiment))

    def given(
        self, rdms: Mapping[Network, RDM], layer: str, control: str
    ) -> tuple[dict[Network, RDM], list[RDM], dict[str, RDM]]:
        """RDMs that can be tested given a control, the control's RDMs, and the models that can be tested given it.

        No network and no model is tested given itself. `rdms` are of all networks of one seed at `layer`.
        """
        parts = self._parts[control]
        by_name = {network.name: rdm for network, rdm in rdms.items()}
        matrices = self._fixed | by_name | ({"random": self._random[layer]} if "random" in parts else {})
        rest = {network: rdm for network, rdm in rdms.items() if network.name not in parts}
        models = {name: model for name, model in self.models.items() if name not in parts}
        return rest, [matrices[name] for name in parts], models


def by_classes(
    rdms: Mapping[Any, RDM], models: Mapping[str, RDM], given: Sequence[RDM]
) -> Iterator[tuple[dict[Any, RDM], dict[str, RDM], list[RDM] | None]]:
    """Networks, models and controls (None without one) in groups of the same classes, to be tested together."""
    groups: dict[tuple[str, ...], dict[str, RDM]] = {}
    for name, model in models.items():
        kept = tuple(one for one in model.classes if all(one in control.classes for control in given))
        groups.setdefault(kept, {})[name] = model if kept == model.classes else model.subset(kept)
    for kept, group in groups.items():
        of_group = [control.subset(kept) for control in given]
        yield {key: rdm.subset(kept) for key, rdm in rdms.items()}, group, of_group or None


def _tested(
    rdms: Mapping[Network, RDM],
    given: Sequence[RDM],
    models: Mapping[str, RDM],
    config: EvaluationConfig,
    layer: str,
    least: int,
) -> pd.DataFrame:
    """All tests of one family: networks against models, given some controls or none; warnings name the layer."""
    permutations = max(config.permutations, permutations_for_family(len(rdms) * len(models)), least)
    tables = []
    for x, group, z in by_classes({f"{network}, {layer}": rdm for network, rdm in rdms.items()}, models, given):
        found = mantel_table(x, group, z, **config.of_tests | {"permutations": permutations})
        found = found.rename(columns={"n": "classes"}).drop(columns=["rdm", "seed"])
        for key in ("name", "lag_s", "seed"):
            found[key] = [getattr(network, key) for network in rdms for _ in group]
        tables.append(found.rename(columns={"name": "network"}))
    table = pd.concat(tables, ignore_index=True)
    return table.assign(p_holm=holm(table["p"]))


def over_seeds(table: pd.DataFrame, confidence: float, value: str = "mantel_r") -> pd.DataFrame:
    """Mean over seeds of a column, and its interval at a level by Student's t: how far training repeats itself.

    `table` is as `lag_curve` returns it, or that of class accuracy. Returned is a DataFrame: one row a network, layer,
    condition, and model and control, or measure: `value` the mean, ``ci_low`` and ``ci_high``, ``seeds`` their number.
    With a single seed the interval is NaN.
    """
    key = [name for name in (*KEYS, "measure") if name in table and name != "seed"]
    rows = table.groupby(key, sort=False, dropna=False)[value].agg(["mean", "sem", "count"]).reset_index()
    half = rows["sem"] * stdtrit(np.maximum(rows["count"] - 1, 1), 0.5 + confidence / 2)
    return rows[key].assign(
        **{value: rows["mean"]}, ci_low=rows["mean"] - half, ci_high=rows["mean"] + half, seeds=rows["count"]
    )
