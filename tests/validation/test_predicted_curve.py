"""The curve predicted from labels against streams whose best lag is known."""

import importlib

import numpy as np
import pandas as pd
import pytest

from semanticcmc.timescales.association import association_rdm
from semanticcmc.timescales.curves import TimescalesConfig
from semanticcmc.timescales.pairs import label_pairs
from tests.timescales.test_association_rdm import NAMES, SAME, stream_of

LAGS_S = (1.0, 5.0, 20.0)
COUNTED = TimescalesConfig(2, 150, 0.0, 1.0, (1, 1), 1, 1, 0.95, 0, None)
DIMENSIONS = 8


@pytest.fixture
def predicted():
    """The curve of a stream, by `predicted_curve` of the study."""
    study = importlib.import_module("validation.predicted_curve")
    return lambda stream, models, looks=None: study.predicted_curve(counted(stream), models, DIMENSIONS, looks)


def counted(stream):
    """Pairs of its labels at `LAGS_S`."""
    return label_pairs(stream, (0.0, *LAGS_S), COUNTED)


def groups_in_turn(seconds: int, change_s: int, films: int = 6, seed: int = 0):
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


def test_the_association_ends_with_the_groups(predicted):
    """It is there while a group lasts; predicted_r falls with it. A lag that no two films reach is left out."""
    curve = predicted(groups_in_turn(600, 12), {"category": SAME}).set_index("lag_s")
    assert curve.association_r[1.0] > 0.95
    assert abs(curve.association_r[20.0]) < 0.5
    assert curve.predicted_r[1.0] > curve.predicted_r[5.0] > abs(curve.predicted_r[20.0])
    assert predicted(groups_in_turn(15, 5), {"category": SAME}).lag_s.tolist() == [1.0, 5.0]


def test_looks_move_the_best_lag_beyond_themselves(predicted):
    """Where looks explain the pairing at 1 s and nothing at 5 s, 5 s is best."""
    looks = pd.DataFrame({"lag_s": [0.0, 1.0, 4.0, 20.0], "value": [1.0, 0.9, 0.0, 0.0]})
    curve = predicted(groups_in_turn(600, 12), {"category": SAME}, looks).set_index("lag_s")
    assert curve.predicted_r.idxmax() == 5.0
    assert curve.looks[5.0] == 0.0


def test_neither_the_order_of_labels_nor_of_films_nor_the_start_matters(predicted):
    """The same curve from the model's classes turned round and films renamed."""
    stream = groups_in_turn(300, 12)
    films = {
        f"film {5 - i}": [set(rows.label[rows.time_s == t]) for t in range(300)]
        for i, (_, rows) in enumerate(stream.labels.groupby("movie_id"))
    }
    turned = SAME.subset(NAMES[::-1])
    one = predicted(stream, {"category": SAME})
    other = predicted(stream_of(films, 1.0, 100.0), {"category": turned})
    for column in ("association_r", "information_nats", "looks", "predicted_r"):
        np.testing.assert_allclose(one[column], other[column], atol=1e-9)


def test_a_model_of_fewer_classes_is_compared_by_name(predicted):
    """A second model of some classes, in another order, gives what it gives alone."""
    stream, some = groups_in_turn(300, 12), SAME.subset(("i", "a", "c", "e", "d"))
    both = predicted(stream, {"category": SAME, "some": some})
    pairs = counted(stream)
    kernel_rdm = association_rdm(pairs.both[1].sum(axis=0), NAMES, DIMENSIONS).subset(some.classes)
    found = both[(both.model == "some") & (both.lag_s == 1.0)].association_r.item()
    assert found == pytest.approx(np.corrcoef(kernel_rdm.values, some.values)[0, 1])
