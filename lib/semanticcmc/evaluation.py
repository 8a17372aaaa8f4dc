"""How strongly each network codes semantics: its RDMs against WordNet and category, layer by layer."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from semanticcmc.configuration import InputError
from semanticcmc.experiments import Experiment, network_lag_s, repository_root
from semanticcmc.inference import bootstrap_intervals
from semanticcmc.mantel import mantel_table
from semanticcmc.rdm import RDM, read_rdms
from semanticcmc.run import atomic
from semanticcmc.semantics import WORDNET_MODELS, model_rdm
from semanticcmc.stimuli import StimuliConfig

Key = tuple[str, int, str]  # network, seed, layer
COLUMNS = ("network", "lag_s", "seed", "layer", "condition", "model", "control", "mantel_r", "p", "ci_low",
           "ci_high", "permutations", "alternative", "method", "classes")  # fmt: skip


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """Parameters of the evaluation.

    Attributes
    ----------
    distance : str
        Between class means (`rdm.from_class_means`).
    method : {'pearson', 'spearman'}
        Correlation between RDMs.
    alternative : {'greater', 'less', 'two-sided'}
    permutations : int
        Least number for each test.
    bootstrap_samples : int
        Samples of the classes for the intervals; 0 for none.
    confidence : float
        Level of the intervals.
    models : tuple of str
        Names of `semantics.model_rdm`: category, lch, path, wu_palmer, association, or a key of `model_files`.
    model_files : mapping of str to str
        A name of one's own to the file of its matrix (`semantics.read_matrix`), relative to the repository.
    controls : tuple of {'none', 'random', 'look'}
        What is partialled out: nothing, the same seed's random network at the same layer, the world's true
        looks (skipped where there are none).
    seed : int
        Of permutations and bootstrap.
    """

    distance: Literal["correlation", "spearman", "euclidean", "cosine"]
    method: Literal["pearson", "spearman"]
    alternative: Literal["greater", "less", "two-sided"]
    permutations: int
    bootstrap_samples: int
    confidence: float
    models: tuple[str, ...]
    model_files: Mapping[str, str]
    controls: tuple[Literal["none", "random", "look"], ...]
    seed: int

    def __post_init__(self) -> None:
        if self.permutations < 1:
            raise ValueError(f"permutations {self.permutations}: at least 1")
        if self.bootstrap_samples < 0:
            raise ValueError(f"bootstrap_samples {self.bootstrap_samples}: 0 (no intervals) or more")
        if not 0 < self.confidence < 1:
            raise ValueError(f"confidence {self.confidence}: between 0 and 1, for instance 0.95")
        for key, values in (("models", self.models), ("controls", self.controls)):
            if not values or len(set(values)) != len(values):
                raise ValueError(f"{key} {list(values)}: at least one, each once")
        own = (*WORDNET_MODELS, "category", "association")
        if unknown := [name for name in self.models if name not in own and name not in self.model_files]:
            raise ValueError(f"models: {unknown[0]!r} is none of {', '.join(own)}, nor a name in model_files")
        if taken := [name for name in self.model_files if name in own]:
            raise ValueError(f"model_files: {taken[0]!r} is a model already; give the file another name")
        if self.seed < 0:
            raise ValueError(f"seed {self.seed}: 0 or more")


def lag_curve(experiment: Experiment) -> pd.DataFrame:
    """Test every network, seed, layer and condition against every semantic model, and write tables/lag_curve.csv.

    Parameters
    ----------
    experiment : Experiment
        Its ``rdms/<network>/seed-<k>_<condition>.parquet`` are read for all networks, seeds and conditions.

    Returns
    -------
    DataFrame
        One row a condition, network, seed, layer, model and control, with the columns `COLUMNS`: Mantel's r, or
        partial r given the control, its p, the bootstrap interval over classes, and the number of classes.
        Not tested are the random network given itself, and, against the category model, classes without
        a category. A layer whose RDM is NaN or constant has NaN in its row, with a warning.

    Raises
    ------
    InputError
        If a file is missing, networks have different classes or layers, or a model has too few classes.
    """
    config = experiment.section("evaluation", EvaluationConfig)
    if "random" in config.controls and "random" not in experiment.networks:
        raise InputError(f"{experiment.file}: controls name the random network, baselines do not")
    conditions = experiment.section("stimuli", StimuliConfig).conditions
    tables = [_lag_curve(experiment, config, condition) for condition in conditions]
    table = pd.concat(tables, ignore_index=True)
    with atomic(experiment.path("tables", "lag_curve.csv")) as temporary:
        table.to_csv(temporary, index=False)
    return table


def _lag_curve(experiment: Experiment, config: EvaluationConfig, condition: str) -> pd.DataFrame:
    """All tests of one condition, in the order of networks, seeds and layers."""
    rdms = _network_rdms(experiment, condition)
    classes = next(iter(rdms.values())).classes
    files = {name: repository_root() / file for name, file in config.model_files.items()}
    models = {name: model_rdm(name, classes, experiment, files.get(name)) for name in config.models}
    look = _look_rdm(experiment) if "look" in config.controls else None
    tables = [
        _tested(rdms, name, model, control, look, config)
        for name, model in models.items() for control in config.controls
        if control != "look" or look is not None  # real films have no true looks
    ]  # fmt: skip
    table = pd.concat(tables, ignore_index=True)
    table["lag_s"] = [network_lag_s(name) for name in table["network"]]
    table = table.assign(condition=condition)[list(COLUMNS)]
    order = {key: place for place, key in enumerate(rdms)}
    place = [order[key] for key in zip(table["network"], table["seed"], table["layer"], strict=True)]
    return table.iloc[np.argsort(place, kind="stable")]


def over_seeds(table: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Mean correlation over seeds and its interval, by Student's t: how far training repeats itself.

    Parameters
    ----------
    table : DataFrame
        As `lag_curve` returns it.
    confidence : float
        Level of the intervals, between 0 and 1.

    Returns
    -------
    DataFrame
        One row a network, layer, condition, model and control: ``mantel_r`` the mean, ``ci_low`` and
        ``ci_high``, ``seeds`` their number. With a single seed the interval is NaN.
    """
    key = ["network", "lag_s", "layer", "condition", "model", "control"]
    rows = table.groupby(key, sort=False, dropna=False).mantel_r.agg(["mean", "sem", "count"]).reset_index()
    half = rows["sem"] * student_t.ppf(0.5 + confidence / 2, np.maximum(rows["count"] - 1, 1))
    return rows[key].assign(
        mantel_r=rows["mean"], ci_low=rows["mean"] - half, ci_high=rows["mean"] + half, seeds=rows["count"]
    )


def _tested(
    rdms: dict[Key, RDM],
    model: str,
    model_rdm: RDM,
    control: str,
    look: RDM | None,
    config: EvaluationConfig,
) -> pd.DataFrame:
    """Test all networks, seeds and layers against one model, given one control or none."""
    kept = model_rdm.classes
    rdms = {key: rdm.subset(kept) for key, rdm in rdms.items()}
    given: RDM | dict[Key, RDM] | None = None
    if control == "random":
        given = {key: rdms["random", key[1], key[2]] for key in rdms}
        rdms = {key: rdm for key, rdm in rdms.items() if key[0] != "random"}
    elif look is not None and control == "look":
        given = look.subset(kept)
    table = mantel_table(rdms, {model: model_rdm}, given, permutations=config.permutations,
                         alternative=config.alternative, method=config.method, seed=config.seed)  # fmt: skip
    low, high = bootstrap_intervals(rdms, {model: model_rdm}, given, config.bootstrap_samples,
                                    config.confidence, config.method, config.seed)  # fmt: skip
    keys = pd.DataFrame(list(rdms), columns=["network", "seed", "layer"])
    return pd.concat(
        [keys, table.rename(columns={"n": "classes"}).drop(columns=["rdm", "seed"])], axis=1
    ).assign(ci_low=low[:, 0], ci_high=high[:, 0], control=control)


def _network_rdms(experiment: Experiment, condition: str) -> dict[Key, RDM]:
    """RDMs of all networks and seeds by (network, seed, layer); one set of classes and layers."""
    rdms: dict[Key, RDM] = {}
    expected: tuple[str, ...] = ()
    for network in experiment.networks:
        for seed in experiment.seeds:
            file = experiment.folder / "rdms" / network / f"seed-{seed}_{condition}.parquet"
            if not file.is_file():
                raise InputError(f"{file}: missing; make poster EXPERIMENT={experiment.name} makes it")
            layers = read_rdms(file)
            found = next(iter(layers.values())).classes
            expected = expected or tuple(sorted(found))
            if tuple(sorted(found)) != expected:
                differ = sorted(set(found) ^ set(expected))
                raise InputError(
                    f"{file}: other classes than the networks before ({', '.join(differ[:5])}); remove the "
                    "folder rdms so that all are made from the same stimuli"
                )
            if rdms and list(layers) != list(dict.fromkeys(layer for _, _, layer in rdms)):
                raise InputError(f"{file}: layers {', '.join(layers)}, unlike the networks before")
            rdms |= {(network, seed, layer): rdm.subset(expected) for layer, rdm in layers.items()}
    return rdms


def _look_rdm(experiment: Experiment) -> RDM | None:
    file = experiment.folder / "world" / "look_rdm.parquet"
    return read_rdms(file)["look"] if file.is_file() else None
