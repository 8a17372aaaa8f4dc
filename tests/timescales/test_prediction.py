"""The predicted lag curve against contingency tables, closed forms and streams whose best lag is known."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency
from validation.presence import presence

from semanticcmc.config import InputError
from semanticcmc.evaluation.models import experiment_model
from semanticcmc.evaluation.untrained import label_models
from semanticcmc.experiment import load_experiment, repository_root
from semanticcmc.labels.stream import experiment_labels, label_stream, write_labels
from semanticcmc.rsa.rdm import RDM, write_rdms
from semanticcmc.timescales.curves import TimescalesConfig
from semanticcmc.timescales.pairs import label_pairs
from semanticcmc.timescales.prediction import (
    PredictionConfig,
    as_wnids,
    association_kernel,
    association_rdm,
    choose_lag,
    embedding,
    labels_as_wnids,
    predicted_lag_curve,
)
from semanticcmc.world.classes import read_classes
from semanticcmc.world.config import WorldConfig
from semanticcmc.world.labels import label_tables
from semanticcmc.world.timeline import timelines

GROUPS = np.repeat([0, 1, 2], 3)
NAMES = tuple("abcdefghi")
SAME = RDM((GROUPS[:, None] != GROUPS[None, :]).astype(float), NAMES)
CONFIG = PredictionConfig((1.0, 5.0, 20.0), 99, 20, 0.95, 0)
COUNTED = TimescalesConfig(2, 150, 0.0, 1.0, (1, 1), 1, 1, 0.95, 0)
DIMENSIONS = 8


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


def counted(stream):
    """Pairs of its labels at the lags of `CONFIG`."""
    return label_pairs(stream, (0.0, *CONFIG.lags_s), COUNTED)


def groups_in_turn(seconds: int, change_s: int, films: int = 6, seed: int = 0, also: float = 0.0):
    """Films in which, for `change_s` seconds, two of the three labels of one group stand in turn."""
    generator = np.random.default_rng(seed)
    made = {}
    for film in range(films):
        sets: list[set[str]] = []
        while len(sets) < seconds:
            group = generator.integers(3)
            for _ in range(change_s):
                sets.append({NAMES[3 * group + generator.integers(3)]})
        made[f"film {film}"] = sets[:seconds]
    return stream_of(made, interval_s=1.0)


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


def test_the_association_ends_with_the_groups():
    """Significant while a group lasts, not beyond; predicted_r falls with it."""
    found = predicted_lag_curve(counted(groups_in_turn(600, 12)), {"category": SAME}, CONFIG, DIMENSIONS)
    curve = found.curve.set_index("lag_s")
    assert curve.association_r[1.0] > 0.95
    assert curve.p[1.0] <= 0.02
    assert curve.p[20.0] > 0.05
    assert curve.predicted_r[1.0] > curve.predicted_r[5.0] > abs(curve.predicted_r[20.0])
    assert (curve.ci_low <= curve.ci_high).all()
    assert found.best.p_holm[0] == pytest.approx(len(curve) * curve.p.min()), "Holm's first step"


def test_looks_move_the_best_lag_beyond_themselves():
    """Where looks explain the pairing at 1 s and nothing at 5 s, 5 s is recommended."""
    looks = pd.DataFrame({"lag_s": [0.0, 1.0, 4.0, 20.0], "value": [1.0, 0.9, 0.0, 0.0]})
    found = predicted_lag_curve(counted(groups_in_turn(600, 12)), {"category": SAME}, CONFIG, DIMENSIONS, looks)
    assert found.best.lag_s.tolist() == [5.0]
    assert found.best.ci_low_s.tolist() == [5.0] == found.best.ci_high_s.tolist()
    assert found.curve.set_index("lag_s").looks[5.0] == 0.0


def test_neither_the_order_of_labels_nor_of_films_nor_the_start_matters():
    """The same curve from the model's classes turned round and films renamed."""
    stream = groups_in_turn(300, 12)
    films = {
        f"film {5 - i}": [set(rows.label[rows.time_s == t]) for t in range(300)]
        for i, (_, rows) in enumerate(stream.labels.groupby("movie_id"))
    }
    turned = SAME.subset(NAMES[::-1])
    one = predicted_lag_curve(counted(stream), {"category": SAME}, CONFIG, DIMENSIONS).curve
    other = predicted_lag_curve(counted(stream_of(films, 1.0, 100.0)), {"category": turned}, CONFIG, DIMENSIONS).curve
    for column in ("association_r", "information_nats", "looks", "predicted_r"):
        np.testing.assert_allclose(one[column], other[column], atol=1e-9)


def test_a_model_of_fewer_classes_is_compared_by_name():
    """A second model of some classes, in another order, gives what it gives alone."""
    stream, some = groups_in_turn(300, 12), SAME.subset(("i", "a", "c", "e", "d"))
    both = predicted_lag_curve(counted(stream), {"category": SAME, "some": some}, CONFIG, DIMENSIONS).curve
    kernel_rdm = association_rdm(lagged_sum(stream, 1.0), NAMES, DIMENSIONS).subset(some.classes)
    found = both[(both.model == "some") & (both.lag_s == 1.0)].association_r.item()
    assert found == pytest.approx(np.corrcoef(kernel_rdm.values, some.values)[0, 1])


def lagged_sum(stream, lag_s: float):
    """Counts of all films together."""
    pairs = counted(stream)
    return pairs.both[pairs.lags_s == lag_s][0].sum(axis=0)


def test_labels_become_wnids():
    """Two labels of one wnid are one; one without a wnid goes, its moments stay."""
    stream = stream_of({"film": [{"car", "auto"}, {"tree"}, {"nothing"}]}, 1.0)
    mapped = as_wnids(stream, {"car": "n1", "auto": "n1", "tree": "n2"})
    assert mapped.labels.label.tolist() == ["n1", "n2"]
    assert mapped.times["count"].tolist() == [3]


def test_what_cannot_be_predicted_is_refused():
    """Films too short, too few labels, a lag of 0."""
    short = label_pairs(stream_of({"long": [set(NAMES)] * 30, "short": [set(NAMES)] * 3}, 1.0), (0.0, 5.0), COUNTED)
    with pytest.raises(InputError, match="longer than 5 s"):
        predicted_lag_curve(short, {"category": SAME}, CONFIG, DIMENSIONS)
    with pytest.raises(InputError, match="3 of the 9 classes of the model category"):
        predicted_lag_curve(
            counted(stream_of({f: [set("abc")] * 30 for f in "xy"}, 1.0)), {"category": SAME}, CONFIG, DIMENSIONS
        )
    with pytest.raises(ValueError, match="above 0"):
        PredictionConfig((0.0, 1.0), 99, 20, 0.95, 0)
    curve = predicted_lag_curve(counted(groups_in_turn(15, 5)), {"category": SAME}, CONFIG, DIMENSIONS).curve
    assert curve.lag_s.tolist() == [1.0, 5.0]  # 20 s is longer than the films


# An experiment's own prediction.

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


def chosen(experiment, stream):
    """The choice as notebook 01 makes it, of labels by wnid."""
    models = label_models(experiment, sorted(stream.labels["label"].unique()))
    return choose_lag(experiment, stream, models, LOOKS)


def test_a_worlds_lag_is_chosen_from_its_labels(experiment):
    """Both models, every lag of the section, and looks where they were measured."""
    found = chosen(experiment, labels_as_wnids(experiment, experiment_labels(experiment)))
    lags_s = list(experiment.sections["prediction"]["lags_s"])
    assert found.curve.groupby("model").lag_s.apply(list).to_dict() == {"category": lags_s, "lch": lags_s}
    assert found.curve.set_index("lag_s").looks.loc[1].tolist() == [0.9, 0.9]
    assert set(found.best.lag_s) <= set(map(float, lags_s))
    assert found.recommended.equals(found.best[found.best.p_holm < 0.05])


def test_the_association_at_that_lag_is_a_model(experiment):
    """Its distances are 1 - cosine of the embedding of the counts of label pairs."""
    stream = labels_as_wnids(experiment, experiment_labels(experiment))
    prediction = chosen(experiment, stream)
    best_s = prediction.best.lag_s[0]
    classes = pd.read_csv(experiment.folder / "world/classes.csv").wnid.tolist()
    names, counts = pd.Index(classes), np.zeros((len(classes), len(classes)))
    for movie_id in stream.movies:  # every fifth label set is a first moment: one a second
        seen = presence(stream, movie_id, list(names)).astype(float)
        shift = round(best_s / stream.film(movie_id).interval_s)
        counts += seen[: len(seen) - shift : 5].T @ seen[shift::5]
    vectors = embedding(association_kernel(counts), 16)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    write_rdms(experiment.path("rdms", "association.parquet"), {"association": prediction.association})
    found = experiment_model("association", classes, experiment, {})
    np.testing.assert_allclose(found.square(), 1 - unit @ unit.T, atol=1e-9)


def test_labels_that_are_no_nouns_are_refused(experiment):
    """The message names the table to edit."""
    stream = experiment_labels(experiment)
    other = label_stream(stream.labels.assign(label="nothing of this world"), stream.times)
    with pytest.raises(InputError, match=r"labels\.nouns"):
        labels_as_wnids(experiment, other)
