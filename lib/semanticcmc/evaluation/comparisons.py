"""Networks two by two: whose correlation with a model is larger, and how alike their RDMs are; one network by layer."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd

from semanticcmc.config import InputError
from semanticcmc.evaluation.config import LAGGED, EvaluationConfig, StimuliConfig, planned_lag
from semanticcmc.evaluation.inference import Units
from semanticcmc.evaluation.lag_curve import Study, by_classes
from semanticcmc.evaluation.models import experiment_model
from semanticcmc.evaluation.rdm_files import rdm_file
from semanticcmc.experiment import Experiment, Network, repository_root
from semanticcmc.rsa.bootstrap import compare
from semanticcmc.rsa.mantel import mantel_table
from semanticcmc.rsa.permutation import holm, partial_correlation
from semanticcmc.rsa.rdm import FEWEST_CLASSES, RDM
from semanticcmc.rsa.regression import cka, commonality
from semanticcmc.rsa.standardise import Matrix, standardise, standardise_table
from semanticcmc.run import Watch

KEYS = ("condition", "seed", "layer", "model", "control", "first", "second")
LAG_COMPARISONS = (*KEYS, "difference", "ci_low", "ci_high", "p", "p_holm")
JOINT = (
    *("layer", "model", "control", "kind", "first", "second", "lag_s"),
    *("mantel_r", "ci_low", "ci_high", "p", "p_holm", "p_nothing", "seeds"),
)
YARDSTICKS = ("network", "lag_s", "seed", "layer", "measure", "model", "value", "ci_low", "ci_high", "classes")
CONNECTIVITY = ("condition", "layer", "seed", "control", "first", "second", "r")


def lag_comparisons(
    experiment: Experiment, layer: str, conditions: Sequence[str] = (), watch: Watch = iter
) -> pd.DataFrame:
    """Compare networks two by two at one layer: ``tables/lag_comparisons.csv``.

    Which lag is better than which is a question about differences, which two overlapping intervals do not answer: both
    networks are tested on the same classes, so that much of their uncertainty is shared. Each difference comes from the
    paired bootstrap over classes (`bootstrap.compare`). One row a condition, seed, model, control and pair of networks,
    with the columns `LAG_COMPARISONS`: `difference` is the (partial) correlation of `first` minus that of `second`, `p`
    two-sided, `p_holm` corrected over all pairs and models of one condition, seed and control. Networks are in the
    order of the experiment; the control itself is not among them. Without bootstrap samples the table is empty.
    """
    config = experiment.section("evaluation", EvaluationConfig)
    tables = [pd.DataFrame(columns=list(LAG_COMPARISONS))]
    for study, seed, rdms in _by_seed(experiment, layer, conditions, watch):
        for control in study.controls:
            rest, given, models = study.given(rdms, layer, control)
            if len(rest) < 2 or not models or config.bootstrap_samples == 0:
                continue
            # The least p that a bootstrap can have, 2 / (samples + 1), is then a quarter of Holm's first step at .05.
            tests, named = math.comb(len(rest), 2) * len(models), {network.name: rdm for network, rdm in rest.items()}
            options = (max(config.bootstrap_samples, math.ceil(4 * 2 * tests / 0.05)), config.confidence, config.method)
            of_groups = [compare(*own, *options, config.seed) for own in by_classes(named, models, given)]
            found = pd.concat(of_groups, ignore_index=True)
            found = found.assign(condition=study.files.condition, seed=seed, layer=layer, control=control)
            tables.append(found.assign(p_holm=holm(found["p"])))
    return pd.concat(tables[1:] or tables, ignore_index=True)[list(LAG_COMPARISONS)]


def joint(experiment: Experiment, layer: str) -> pd.DataFrame:
    """What several seeds say together, the planned test, and which lag is best: ``tables/joint.csv``.

    Of intact stimuli, one row a model, control and ``kind``, with intervals over seeds and classes at once
    (`inference`): ``network``, the mean over seeds of ``mantel_r`` of `first`, and ``difference``, `first` minus
    `second`, both for several seeds alone; ``planned``, the smaller difference of ``evaluation.planned_lag_s`` and the
    shortest and the longest lag with p of the intersection-union test, where one is declared; ``peak``, the lag
    (`lag_s`) with the largest mean, and in ``ci_low, ci_high`` the lags that bound it. ``p_holm`` is corrected over the
    models of a control and kind; ``p_nothing`` is the p of equivalence with 0.
    """
    config, planned = experiment.section("evaluation", EvaluationConfig), planned_lag(experiment)
    by_seed = [(study, rdms) for study, _, rdms in _by_seed(experiment, layer, ["intact"])]
    study, several, rows = by_seed[0][0], len(by_seed) > 1, []
    for control in study.controls:
        given = [study.given(rdms, layer, control) for _, rdms in by_seed]
        networks, tested = list(given[0][0]), list(given[0][2])
        lagged = [i for i, one in enumerate(networks) if one.name.startswith(LAGGED)]
        lagged.sort(key=lambda i: networks[i].lag_s)
        ends = [networks[i].lag_s for i in (*lagged[:1], *lagged[-1:])]
        for name in tested if networks else ():
            tables = []
            for rest, z, models in given:
                ((x, group, own),) = by_classes({one.name: rdm for one, rdm in rest.items()}, {name: models[name]}, z)
                tables.append(standardise_table(x, group, own, config.method))
            units = Units(tables)
            pairs: list[tuple[int, int | None]] = [(i, None) for i in range(len(networks))] if several else []
            pairs += itertools.combinations(range(len(networks)), 2) if several else []
            found: list[tuple[Any, ...]] = []
            for i, j in pairs:
                one, what = units.network(i, j), "network" if j is None else "difference"
                p = one.p(config.alternative if j is None else "two-sided")
                found.append((what, i, j, one.value, *one.interval(config.confidence), p, one.equivalence()))
            declared = next((i for i in lagged if networks[i].lag_s == planned), None)
            if declared is not None and planned not in ends:  # a network that is controlled is not among them
                one, p = units.inverted_u(declared, lagged[0], lagged[-1])
                found.append(("planned", declared, None, one.value, *one.interval(config.confidence), p, math.nan))
            if lagged and config.bootstrap_samples:
                best, *bounds = units.peak(lagged, config.bootstrap_samples, config.confidence, config.seed)
                limits = [networks[i].lag_s for i in bounds]
                found.append(("peak", best, None, float(units.r.mean(0)[best]), *limits, math.nan, math.nan))
            for what, i, j, *numbers in found:
                second = "" if j is None else networks[j].name
                rows.append((layer, name, control, what, networks[i].name, second, networks[i].lag_s, *numbers))
    table = pd.DataFrame(rows, columns=[name for name in JOINT if name not in ("p_holm", "seeds")])
    corrected = table.groupby(["control", "kind"])["p"].transform(holm)
    return table.assign(p_holm=corrected, seeds=len(by_seed))[list(JOINT)]


def yardsticks(experiment: Experiment, layer: str) -> pd.DataFrame:
    """Measures beside correlations, at one layer and of intact stimuli: ``tables/yardsticks.csv``.

    One row a network, seed, ``measure`` and ``model``, with its interval over classes: ``share`` of the RDM's variance
    (``share_cv`` of `regression.commonality`), ``cka`` (`regression.cka`), and, at the primary layer,
    ``category_readout`` and its ``chance`` (`decoding.readout_table`). Models are the experiment's, the association of
    its labels if of classes enough, and the true looks or else the mean RDM of untrained networks; shares, of 8 classes
    or more, and CKA are of the classes that all of them have.
    """
    config = experiment.section("evaluation", EvaluationConfig)
    columns = {"accuracy": "value", "share_cv": "value", "cka": "value", "part": "model"}
    tables = [pd.DataFrame(columns=list(YARDSTICKS))]
    for study, _, rdms in _by_seed(experiment, layer, ["intact"]):
        looks = next((name for name in ("look", "random") if name in study.controls), "none")
        rest, given, _ = study.given(rdms, layer, looks)
        models = study.models | dict(zip([looks], given, strict=False))
        with suppress(InputError):  # no labels, or of too few of the classes
            models["association"] = experiment_model("association", study.files.classes, experiment, {})
        kept = [one for one in study.files.classes if all(one in model.classes for model in models.values())]
        models = {name: model.subset(kept) for name, model in models.items()}
        models = {name: model for name, model in models.items() if len(np.unique(model.values)) > 1}
        x = {network: rdm.subset(kept) for network, rdm in rest.items()}
        if not models or not x or len(kept) < FEWEST_CLASSES:
            continue
        power = 2 if config.distance == "euclidean" else 1  # CKA is that of squared Euclidean distances
        squared = {network: RDM(rdm.values**power, rdm.classes) for network, rdm in x.items()}
        found = {"cka": cka(squared, models, config.confidence)}
        if (folds := min(4, len(kept) // FEWEST_CLASSES)) > 1:
            found["share"] = commonality(x, models, folds, method=config.method, confidence=config.confidence)
        for measure, table in found.items():
            keys = {key: [getattr(network, key) for network in table["rdm"]] for key in ("name", "lag_s", "seed")}
            table = table.assign(measure=measure, layer=layer, classes=len(kept), **keys)
            tables.append(table.drop(columns="share", errors="ignore").rename(columns=columns | {"name": "network"}))
    files = [rdm_file(experiment, network, "category_readout").with_suffix(".csv") for network in experiment.runs]
    for table in (pd.read_csv(file) for file in files if file.is_file()):
        table = table[(table["layer"] == layer) & (table["condition"] == "intact")].assign(model="category")
        tables.append(table.rename(columns=columns))
    return pd.concat([table for table in tables if len(table)] or tables, ignore_index=True)[list(YARDSTICKS)]


def connectivity(experiment: Experiment, layer: str) -> pd.DataFrame:
    """Correlate the networks' RDMs with each other at one layer: ``tables/connectivity.csv``.

    Representational connectivity (Kriegeskorte, Mur & Bandettini 2008): how alike two networks see the classes,
    whatever any model says. Given `random`, the mean RDM of untrained networks is partialled out of both: what they
    share because they learned it, and not because both see pixels. One row a condition, seed, control (``none``, and
    ``random`` where it is a control of the experiment) and pair of networks, with the columns `CONNECTIVITY`. NaN where
    an RDM is NaN or constant.
    """
    config = experiment.section("evaluation", EvaluationConfig)
    rows = []
    for study, seed, rdms in _by_seed(experiment, layer):
        for control in (control for control in ("none", "random") if control == "none" or control in study.controls):
            rest, given, _ = study.given(rdms, layer, control)
            named = {network.name: rdm for network, rdm in rest.items()}
            r = rdm_correlations(named, given[0] if given else None, config.method)
            rows += [
                (study.files.condition, layer, seed, control, first, second, r.loc[first, second])
                for first, second in itertools.combinations(r.index, 2)
            ]
    return pd.DataFrame(rows, columns=list(CONNECTIVITY))


def rdm_correlations(
    rdms: Mapping[str, Matrix], control: Matrix | None = None, method: str = "pearson"
) -> pd.DataFrame:
    """(Partial) correlation of each two RDMs of the same classes; the control is partialled out of both.

    Square, symmetric, 1 on its diagonal (or NaN); rows and columns are the names.
    """
    named = {f"RDM {name}": rdm for name, rdm in rdms.items()}
    given = {} if control is None else {"control": control}
    x = standardise(named | given, method, nan_allowed=True).flatten(1)
    r = x @ x.T / 2  # a square holds each pair of classes twice
    if control is not None:
        with_control = r[:-1, -1]
        r = partial_correlation(r[:-1, :-1], with_control[None, :, None], with_control[None, None, :])
    values = r.clamp(-1, 1).fill_diagonal_(1).cpu().numpy()
    values[:, r.isnan().all(0).cpu().numpy()] = math.nan
    return pd.DataFrame(values, index=list(rdms), columns=list(rdms))


def simple_by_layer(rdms: Mapping[str, Mapping[str, RDM]], model: RDM, config: EvaluationConfig) -> pd.DataFrame:
    """Correlation of one network's RDMs with a model, with its bootstrap interval over classes and nothing controlled.

    The RDMs, by condition and layer, are of the model's classes and perhaps others. One row a condition and layer:
    ``condition, layer, mantel_r, ci_low, ci_high``.
    """
    options, tables = config.of_tests | {"permutations": 1}, []  # of which none is told
    for condition, layers in rdms.items():
        x = {layer: rdm.subset(model.classes) for layer, rdm in layers.items()}
        found = mantel_table(x, {"model": model}, **options).rename(columns={"rdm": "layer"})
        tables.append(found[["layer", "mantel_r", "ci_low", "ci_high"]].assign(condition=condition))
    return pd.concat(tables, ignore_index=True)


def _by_seed(
    experiment: Experiment, layer: str, conditions: Sequence[str] = (), watch: Watch = iter
) -> Iterator[tuple[Study, int, dict[Network, RDM]]]:
    """Each condition, by default all, and seed with the networks' RDMs at a layer."""
    conditions = conditions or experiment.section("stimuli", StimuliConfig).conditions
    for condition in conditions:
        study = Study(experiment, condition)
        for seed in watch(list(experiment.seeds)):
            networks = [network for network in experiment.runs if network.seed == seed]
            yield study, seed, {network: study.files.read(network)[layer] for network in networks}


def beside_published(tests: pd.DataFrame, layer: str) -> pd.DataFrame:
    """The published tests and ours with WordNet at one layer, as ``tables/published.csv``.

    Returned is a DataFrame: the columns of `tests`, ``tables/lag_curve.csv``, behind ``source`` (published or ours),
    and where a published row comes from.
    """
    file = repository_root() / "data_manifests" / "published_results.csv"
    published = pd.read_csv(file, keep_default_na=False, na_values=[""]).rename(columns={"source": "citation"})
    ours = tests.query("condition == 'intact' and layer == @layer and model == 'lch' and control in ('none', 'random')")
    table = pd.concat([published.assign(source="published"), ours.assign(source="ours")], ignore_index=True)
    return table[["source", *ours.columns, *(column for column in published if column not in ours)]]
