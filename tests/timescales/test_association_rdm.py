"""Associations of labels as distances: against contingency tables, closed forms, and counts by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency
from validation.presence import presence

from semanticcmc.config import InputError
from semanticcmc.evaluation.models import experiment_model
from semanticcmc.experiment import load_experiment, repository_root
from semanticcmc.labels.stream import experiment_labels, label_stream, write_labels
from semanticcmc.rsa.rdm import RDM, write_rdms
from semanticcmc.timescales.association import (
    as_wnids,
    association_kernel,
    association_rdm,
    embedding,
    experiment_association,
    labels_as_wnids,
)
from semanticcmc.world.classes import read_classes
from semanticcmc.world.config import WorldConfig
from semanticcmc.world.labels import label_tables
from semanticcmc.world.timeline import timelines

GROUPS = np.repeat([0, 1, 2], 3)
NAMES = tuple("abcdefghi")
SAME = RDM((GROUPS[:, None] != GROUPS[None, :]).astype(float), NAMES)


def stream_of(films: dict[str, list[set[str]]], interval_s: float = 0.5, start_s: float = 0.0):
    """A stream from each film's sets of labels in the order of time."""
    rows = [
        (movie_id, start_s + t * interval_s, label, 90.0)
        for movie_id, sets in films.items()
        for t, labels in enumerate(sets)
        for label in labels
    ]
    times = [(movie_id, start_s, interval_s, len(sets)) for movie_id, sets in films.items()]
    return label_stream(
        pd.DataFrame(rows, columns=["movie_id", "time_s", "label", "confidence"]),
        pd.DataFrame(times, columns=["movie_id", "start_s", "interval_s", "count"]),
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 6), st.integers(0, 10**6))
def test_the_kernel_is_that_of_correspondence_analysis(labels, seed):
    """The sum of its squares is chi-square / n of the symmetric table (scipy)."""
    counts = np.random.default_rng(seed).integers(1, 50, (labels, labels))
    table = counts + counts.T
    kernel = association_kernel(counts)
    assert np.square(kernel).sum() == pytest.approx(chi2_contingency(table, correction=False)[0] / table.sum())
    np.testing.assert_allclose(kernel, kernel.T)
    assert np.abs(np.linalg.eigvalsh(kernel)).max() <= 1 + 1e-12


def test_independent_labels_have_a_kernel_of_0():
    """And so has a label that never occurs."""
    margin = np.array([0.5, 0.3, 0.2, 0.0])
    np.testing.assert_allclose(association_kernel(1000 * np.outer(margin, margin)), 0, atol=1e-12)


def test_half_the_squared_kernel_is_mutual_information_where_association_is_weak():
    """To first order in the strength, in nats (Kullback & Leibler's divergence from independence)."""
    generator = np.random.default_rng(1)
    bend = generator.normal(size=(5, 5))
    bend += bend.T
    bend -= bend.mean(axis=0) + bend.mean(axis=1)[:, None] - bend.mean()
    joint = (1 + 0.01 * bend) / 25
    information = (joint * np.log(joint * 25)).sum()
    assert np.square(association_kernel(joint * 1e6)).sum() / 2 == pytest.approx(information, rel=0.02)


def test_the_embedding_is_the_nearest_of_its_rank():
    """What is left over is what the dropped and the negative eigenvalues hold (Eckart & Young)."""
    generator = np.random.default_rng(2)
    kernel = generator.normal(size=(7, 7))
    kernel += kernel.T
    values = np.sort(np.linalg.eigvalsh(kernel))[::-1]
    kept = values[:2][values[:2] > 0]
    vectors = embedding(kernel, 2)
    left = np.square(kernel - vectors @ vectors.T).sum()
    assert left == pytest.approx(np.square(values).sum() - np.square(kept).sum())
    assert embedding(-np.eye(3), 2).shape == (3, 0)


def test_groups_that_stand_together_lie_together():
    """Labels that follow only those of their group are at distance 0, others at 1.5: three groups, two dimensions."""
    together = np.kron(np.eye(3), np.ones((3, 3)))
    rdm = association_rdm(together, NAMES, dimensions=2)
    np.testing.assert_allclose(rdm.values, 1.5 * SAME.values, atol=1e-9)


def test_labels_become_wnids():
    """Two labels of one wnid are one; one without a wnid goes, its moments stay."""
    stream = stream_of({"film": [{"car", "auto"}, {"tree"}, {"nothing"}]}, 1.0)
    mapped = as_wnids(stream, {"car": "n1", "auto": "n1", "tree": "n2"})
    assert mapped.labels.label.tolist() == ["n1", "n2"]
    assert mapped.times["count"].tolist() == [3]


# Of an experiment's own labels.


@pytest.fixture
def experiment(tmp_path):
    """The smoke world's labels and classes, without its frames."""
    made = load_experiment(repository_root() / "analysis/experiments/smoke.yaml", results=tmp_path)
    config = made.section("world", WorldConfig)
    write_labels(made.folder / "labels", *label_tables(config, timelines(config)))
    read_classes(config).to_csv(made.path("world", "classes.csv"), index=False)
    return made


@pytest.mark.parametrize("lag_s", [0.0, 5.0])
def test_an_experiments_association_is_a_model(experiment, lag_s):
    """Its distances are 1 - cosine of the embedding of the counts of label pairs."""
    rdm = experiment_association(experiment, experiment_labels(experiment), lag_s)
    stream = labels_as_wnids(experiment, experiment_labels(experiment))
    classes = pd.read_csv(experiment.folder / "world/classes.csv").wnid.tolist()
    names, counts = pd.Index(classes), np.zeros((len(classes), len(classes)))
    for movie_id in stream.movies:  # every fifth label set is a first moment: one a second
        seen = presence(stream, movie_id, list(names)).astype(float)
        shift = round(lag_s / stream.film(movie_id).interval_s)
        counts += seen[: len(seen) - shift : 5].T @ seen[shift::5]
    vectors = embedding(association_kernel(counts), 16)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    write_rdms(experiment.path("rdms", "association.parquet"), {"association": rdm})
    found = experiment_model("association", classes, experiment, {})
    np.testing.assert_allclose(found.square(), 1 - unit @ unit.T, atol=1e-9)


def test_a_lag_longer_than_the_films_is_refused(experiment):
    with pytest.raises(InputError, match="no two films with labels are longer than 9999 s"):
        experiment_association(experiment, experiment_labels(experiment), 9999.0)


def test_labels_that_are_no_nouns_are_refused(experiment):
    """The message names the table to edit."""
    stream = experiment_labels(experiment)
    other = label_stream(stream.labels.assign(label="nothing of this world"), stream.times)
    with pytest.raises(InputError, match=r"labels\.nouns"):
        labels_as_wnids(experiment, other)
