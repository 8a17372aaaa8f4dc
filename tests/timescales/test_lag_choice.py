"""An experiment's own prediction: its files, its models, and labels that are no things."""

import numpy as np
import pandas as pd
import pytest

from semanticcmc.config import InputError
from semanticcmc.experiment import load_experiment, repository_root
from semanticcmc.labels.stream import experiment_labels, label_stream, presence, write_labels
from semanticcmc.rsa.semantics import model_rdm
from semanticcmc.timescales.lag_choice import choose_lag, label_wnids
from semanticcmc.timescales.prediction import as_wnids, association_kernel, embedding
from semanticcmc.world.classes import read_classes
from semanticcmc.world.config import WorldConfig
from semanticcmc.world.detector import label_tables
from semanticcmc.world.timeline import timelines

LOOKS = pd.DataFrame(
    {"measure": "appearance", "level": "corpus base rate", "lag_s": [0.0, 1, 30], "value": [1.0, 0.9, 0.0]}
)


@pytest.fixture
def experiment(tmp_path):
    """The smoke world's labels and classes, without its frames."""
    made = load_experiment(repository_root() / "analysis/experiments/smoke.yaml", results=tmp_path)
    config = made.section("world", WorldConfig)
    write_labels(made.folder / "labels", *label_tables(config, timelines(config)))
    read_classes(config).to_csv(made.path("world", "classes.csv"), index=False)
    return made


def test_a_worlds_lag_is_chosen_from_its_labels(experiment):
    """Both models, every lag of the section, and looks where they were measured."""
    stream = experiment_labels(experiment)
    found = choose_lag(experiment, stream, LOOKS)
    lags_s = list(experiment.sections["prediction"]["lags_s"])
    assert found.curve.groupby("model").lag_s.apply(list).to_dict() == {"category": lags_s, "lch": lags_s}
    assert found.curve.set_index("lag_s").looks.loc[1].tolist() == [0.9, 0.9]
    written = pd.read_csv(experiment.folder / "tables/predicted_lag_curve.csv")
    pd.testing.assert_frame_equal(written, found.curve, check_dtype=False)
    assert set(pd.read_csv(experiment.folder / "tables/recommended_lag.csv").lag_s) <= set(map(float, lags_s))


def test_the_association_at_that_lag_is_a_model(experiment):
    """Its distances are 1 - cosine of the embedding of the counts of label pairs."""
    stream = experiment_labels(experiment)
    best_s = choose_lag(experiment, stream, LOOKS).best.lag_s[0]
    classes = pd.read_csv(experiment.folder / "world/classes.csv").wnid.tolist()
    things = as_wnids(stream, label_wnids(experiment, stream))
    names, counts = pd.Index(classes), np.zeros((len(classes), len(classes)))
    for movie_id in things.movies:  # every fifth label set is a first moment: one a second
        seen = presence(things, movie_id, list(names)).astype(float)
        shift = round(best_s / things.film(movie_id).interval_s)
        counts += seen[: len(seen) - shift : 5].T @ seen[shift::5]
    vectors = embedding(association_kernel(counts), 16)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    found = model_rdm("association", classes, experiment)
    np.testing.assert_allclose(found.square(), 1 - unit @ unit.T, atol=1e-9)


def test_labels_that_are_no_things_are_refused(experiment):
    """The message names the table to edit."""
    stream = experiment_labels(experiment)
    other = label_stream(stream.labels.assign(label="nothing of this world"), stream.times)
    with pytest.raises(InputError, match="label_nouns"):
        choose_lag(experiment, other, LOOKS)
