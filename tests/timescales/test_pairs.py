"""Pairs of labels counted by film and lag, against loops that count one pair after the other."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semanticcmc.config import InputError
from semanticcmc.labels.stream import label_stream
from semanticcmc.timescales.curves import TimescalesConfig
from semanticcmc.timescales.pairs import label_pairs, times_as_often

CONFIG = TimescalesConfig(
    lags=10,
    labels=50,
    min_confidence=0.0,
    step_s=1.0,
    frame_px=(16, 16),
    bootstrap_samples=20,
    null_samples=10,
    confidence=0.95,
    seed=0,
    looks=None,
)


def stream_of(presences, interval_s=1.0, start_s=0.0, confidence=90.0):
    """A label stream from bool arrays (moments, labels), one a film; labels "a", "b", ..."""
    rows = []
    for film, presence in presences.items():
        moment, label = np.nonzero(presence)
        rows.append(
            pd.DataFrame(
                {
                    "movie_id": film,
                    "time_s": start_s + moment * interval_s,
                    "label": [chr(97 + i) for i in label],
                    "confidence": confidence,
                }
            )
        )
    times = pd.DataFrame(
        {
            "movie_id": list(presences),
            "start_s": start_s,
            "interval_s": interval_s,
            "count": [len(presence) for presence in presences.values()],
        }
    )
    return label_stream(pd.concat(rows), times)


def drawn(seed, lengths=(30, 17), labels=3):
    """Films at random, every label in each."""
    generator = np.random.default_rng(seed)
    films = {f"f{i}": generator.random((n, labels)) < 0.4 for i, n in enumerate(lengths)}
    for film in films.values():
        film[0] = True
    return films


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 1000), step=st.integers(1, 3), interval_s=st.sampled_from([0.2, 1.0, 2.5]))
def test_counts_are_those_of_a_loop(seed, step, interval_s):
    films = drawn(seed)
    config = dataclasses.replace(CONFIG, step_s=step * interval_s)
    lags = [0, 1, 2, 5, 16, 20]
    pairs = label_pairs(stream_of(films, interval_s, start_s=3.0), [k * interval_s for k in lags], config)
    assert pairs.names == ("a", "b", "c") and pairs.movies == ("f0", "f1")
    for f, film in enumerate(films.values()):
        for i, k in enumerate(lags):
            first = [t for t in range(0, len(film), step) if t + k < len(film)]
            assert pairs.count[i, f] == len(first)
            for a in range(3):
                assert pairs.first[i, f, a] == sum(film[t, a] for t in first)
                assert pairs.second[i, f, a] == sum(film[t + k, a] for t in first)
                for b in range(3):
                    assert pairs.both[i, f, a, b] == sum(film[t, a] and film[t + k, b] for t in first)


def test_unsure_labels_do_not_count_and_rows_come_in_any_order():
    films = drawn(1)
    sure, unsure = stream_of(films), stream_of({"f0": np.ones((30, 4), bool)}, confidence=40.0)
    mixed = pd.concat(
        [unsure.labels.astype({"movie_id": str, "label": str}), sure.labels.astype({"movie_id": str, "label": str})]
    ).sample(frac=1, random_state=0)
    config = dataclasses.replace(CONFIG, min_confidence=50.0)
    one, other = (label_pairs(s, [0, 3], config) for s in (sure, label_stream(mixed, sure.times)))
    assert one.names == other.names
    np.testing.assert_array_equal(one.both, other.both)


def test_a_shift_of_the_whole_stream_and_the_order_of_films_change_nothing():
    films = drawn(2)
    here, later = (label_pairs(stream_of(films, start_s=s), [0, 1, 7], CONFIG) for s in (0.0, 1234.5))
    np.testing.assert_array_equal(here.both, later.both)
    turned = label_pairs(stream_of(dict(zip(("f1", "f0"), films.values(), strict=True))), [0, 1, 7], CONFIG)
    np.testing.assert_array_equal(here.both, turned.both[:, ::-1])


def test_a_gap_in_time_holds_moments_without_labels():
    """Ten seconds without labels are ten moments at which nothing was seen, not ten seconds cut out."""
    film = np.zeros((40, 2), bool)
    film[:10, 0], film[20:30, 1] = True, True
    pairs = label_pairs(stream_of({"x": film, "y": film}), [0, 10, 20], CONFIG)
    assert pairs.both[:, 0, 0, 1].tolist() == [0, 0, 10] and pairs.count[:, 0].tolist() == [40, 30, 20]


def test_the_most_frequent_labels_are_used():
    film = np.zeros((20, 4), bool)
    for label, often in enumerate((3, 9, 5, 5)):
        film[:often, label] = True
    pairs = label_pairs(stream_of({"x": film, "y": film}), [0], dataclasses.replace(CONFIG, labels=2))
    assert pairs.names == ("b", "c")  # of equal ones the first by name


def test_too_few_films_or_labels_are_refused():
    with pytest.raises(InputError, match="found 1 and 3"):
        label_pairs(stream_of({"x": np.ones((20, 3), bool)}), [0], CONFIG)
    with pytest.raises(InputError, match="found 2 and 1"):
        label_pairs(stream_of({"x": np.ones((20, 1), bool), "y": np.ones((20, 1), bool)}), [0], CONFIG)
    sure = dataclasses.replace(CONFIG, min_confidence=95.0)
    with pytest.raises(InputError, match="found 2 and 0; lower timescales.min_confidence"):
        label_pairs(stream_of(drawn(3)), [0], sure)


@pytest.mark.parametrize("lags_s", [[], [1.0, 2.0], [0.0, 2.0, 1.0]])
def test_lags_start_at_0_and_rise(lags_s):
    with pytest.raises(ValueError, match="expected 0 first"):
        label_pairs(stream_of(drawn(4)), lags_s, CONFIG)


# How many times as often labels follow each other.


def named_stream(films):
    """From presence by film and label, a set a second."""
    rows = [
        (movie_id, float(t), label, 100.0)
        for movie_id, film in films.items()
        for label, seen in film.items()
        for t in np.flatnonzero(seen)
    ]
    times = [(movie_id, 0.0, 1.0, len(next(iter(film.values())))) for movie_id, film in films.items()]
    return label_stream(
        pd.DataFrame(rows, columns=["movie_id", "time_s", "label", "confidence"]),
        pd.DataFrame(times, columns=["movie_id", "start_s", "interval_s", "count"]),
    )


def test_together_apart_and_unrelated():
    """A label p of the time in view, the other always 3 s after it: 1 / p times as often at lag 3; never at lag 0."""
    generator = np.random.default_rng(0)
    films = {}
    for movie_id in ("a", "b"):
        first = np.zeros(8000, bool)
        first[::8] = True
        films[movie_id] = {"first": first, "later": np.roll(first, 3), "other": generator.random(8000) < 0.3}
    found = times_as_often(label_pairs(named_stream(films), (0.0, 3.0), CONFIG))  # labels by name: first, later, other
    np.testing.assert_allclose(found[1, 0, 1], 8, rtol=0.01)
    assert found[0, 0, 1] == 0 and found[1, 1, 0] == 0
    np.testing.assert_allclose(found[:, 2, :2], 1, atol=0.1)
    np.testing.assert_allclose(found[0, 2, 2], 1 / 0.3, rtol=0.05)


def test_what_belongs_to_the_film_is_not_an_association():
    """Both labels are common in one film and rare in the other, and have nothing to do with each other within."""
    generator = np.random.default_rng(1)
    films = {
        movie_id: {label: generator.random(20_000) < rate for label in ("x", "y")}
        for movie_id, rate in (("a", 0.5), ("b", 0.05))
    }
    found = times_as_often(label_pairs(named_stream(films), (0.0, 5.0), CONFIG))
    np.testing.assert_allclose(found[:, [0, 1], [1, 0]], 1, atol=0.03)


def test_labels_that_no_film_has_both_of():
    films = {"a": {"x": np.ones(50, bool)}, "b": {"y": np.ones(50, bool)}}
    found = times_as_often(label_pairs(named_stream(films), (0.0,), CONFIG))
    assert np.isnan(found[0, 0, 1]) and found[0, 0, 0] == 1
