"""Which lag to train at: the prediction of an experiment's own films, before any network is trained."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from semanticcmc.config import InputError
from semanticcmc.evaluation.lag_curve import EvaluationConfig
from semanticcmc.experiment import Experiment, repository_root
from semanticcmc.labels.nouns import label_nouns
from semanticcmc.labels.stream import LabelStream, frequencies
from semanticcmc.rsa.rdm import write_rdms
from semanticcmc.rsa.semantics import model_rdm
from semanticcmc.run import atomic
from semanticcmc.timescales.curves import LEVELS, TimescalesConfig
from semanticcmc.timescales.pairs import label_pairs
from semanticcmc.timescales.prediction import (
    Prediction,
    PredictionConfig,
    as_wnids,
    association_rdm,
    predicted_lag_curve,
)
from semanticcmc.training.networks import NetworksConfig


def label_wnids(experiment: Experiment, stream: LabelStream) -> dict[str, str]:
    """Wnid of each label that is a thing: the world's own nouns, else those of `label_nouns`.

    Of the films' labels the most frequent ones, as many as ``timescales.labels`` says.
    """
    if experiment.source == "world":
        classes = pd.read_csv(experiment.folder / "world" / "classes.csv")
        return dict(zip(classes["noun"], classes["wnid"], strict=True))
    most = experiment.section("timescales", TimescalesConfig).labels
    nouns = label_nouns(frequencies(stream)["label"].head(most))
    nouns = nouns[nouns["wnid"] != ""]
    return dict(zip(nouns["label"], nouns["wnid"], strict=True))


def choose_lag(experiment: Experiment, stream: LabelStream, timescales: pd.DataFrame) -> Prediction:
    """Predict the lag curve of an experiment from its labels and the persistence of its looks.

    Parameters
    ----------
    experiment : Experiment
    stream : LabelStream
        Its labels.
    timescales : DataFrame
        ``tables/timescales.csv``: of it, "appearance" above the corpus base rate says how much of the pairing looks
        explain; where that is not there (one film), the persistence of the labels stands in.

    Returns
    -------
    Prediction
        Also written: ``tables/predicted_lag_curve.csv``, ``tables/recommended_lag.csv`` and
        ``rdms/association.parquet``, the distances that the films' associations give at the recommended lag, which
        `semantics.model_rdm` offers as a model.

    Raises
    ------
    InputError
        If the labels do not allow a prediction; it says why.
    """
    evaluation = experiment.section("evaluation", EvaluationConfig)
    config = experiment.section("prediction", PredictionConfig)
    dimensions = experiment.section("networks", NetworksConfig).embedding_dim
    wnids = label_wnids(experiment, stream)
    things = as_wnids(stream, wnids)
    shown = tuple(sorted(things.labels["label"].unique()))
    if not shown:
        raise InputError(
            f"{experiment.name}: no label is a noun of WordNet; add them to data_manifests/label_nouns.csv"
        )
    models = {}
    for name in evaluation.models:
        file = evaluation.model_files.get(name)
        if name != "association":  # which is what is made here
            with warnings.catch_warnings(action="ignore"):  # that classes are left out: the table says how many
                models[name] = model_rdm(name, shown, experiment, repository_root() / file if file else None)
    looks = timescales[(timescales["measure"] == "appearance") & (timescales["level"] == LEVELS[1])]
    looks = looks.dropna(subset="value")
    counted = experiment.section("timescales", TimescalesConfig)
    pairs = label_pairs(things, (0.0, *sorted(config.lags_s)), counted)
    found = predicted_lag_curve(pairs, models, config, dimensions, looks if len(looks) else None)
    for name, table in (("predicted_lag_curve", found.curve), ("recommended_lag", found.best)):
        with atomic(experiment.path("tables", f"{name}.csv")) as temporary:
            table.to_csv(temporary, index=False)
    at = int(np.argmin(np.abs(pairs.lags_s - found.best["lag_s"].iloc[0])))
    rdm = association_rdm(pairs.both[at].sum(axis=0), pairs.names, dimensions)
    write_rdms(experiment.path("rdms", "association.parquet"), {"association": rdm})
    return found
