"""Presence of labels as counted by hand."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from validation.presence import presence, presence_matrix

from semanticcmc.labels.stream import frequencies, label_stream
from tests.labels.test_stream import ROWS, TIMES, table


def test_presence_has_every_label_time_also_those_without_labels():
    stream = label_stream(table(ROWS), TIMES)
    expected = np.array([[0, 1, 0], [1, 1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]], dtype=bool)
    np.testing.assert_array_equal(presence(stream, "b", ["dog", "cat", "horse"]), expected)
    np.testing.assert_array_equal(presence(stream, "a", ["dog"])[:, 0], [False, False, True, False])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 40))
def test_presence_equals_a_loop_over_rows(seed, count):
    generator = np.random.default_rng(seed)
    times = pd.DataFrame({"movie_id": ["a"], "start_s": [0.1], "interval_s": [0.2], "count": [count]})
    rows = [("a", 0.1 + 0.2 * generator.integers(count), f"l{generator.integers(5)}", 50.0) for _ in range(30)]
    stream = label_stream(table(rows), times)
    expected = np.zeros((count, 5), dtype=bool)
    for _, time_s, label, _ in rows:
        expected[round((time_s - 0.1) / 0.2), int(label[1:])] = True
    np.testing.assert_array_equal(presence(stream, "a", [f"l{i}" for i in range(5)]), expected)
    assert frequencies(stream)["count"].sum() == expected.sum()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_sparse_matrix_of_all_films_equals_a_loop_over_rows(seed):
    generator = np.random.default_rng(seed)
    counts = generator.integers(1, 12, size=3)
    times = pd.DataFrame(
        {"movie_id": ["c", "a", "b"], "start_s": [0.0, 0.1, 7.0], "interval_s": [0.2, 0.5, 1.0], "count": counts}
    )
    films = generator.integers(3, size=40)
    steps = generator.integers(counts[films])
    time_s = times["start_s"].to_numpy()[films] + times["interval_s"].to_numpy()[films] * steps
    names = generator.choice(["NA", "nan", "\u68ee", "dog", "cat"], size=40)
    rows = list(zip(times["movie_id"].to_numpy()[films], time_s, names, np.full(40, 60.0), strict=True))
    stream = label_stream(table(rows), times)
    columns, movies = ["dog", "unseen", "nan"], ["b", "c"]
    expected = np.zeros((counts[2] + counts[0], 3), dtype=bool)
    for film, step, name in zip(films, steps, names, strict=True):
        if name in columns and film != 1:
            expected[step + (counts[2] if film == 0 else 0), columns.index(name)] = True
    found = presence_matrix(stream, columns, movies)
    assert found.dtype == bool and found.nnz == expected.sum()
    np.testing.assert_array_equal(found.toarray(), expected)
    whole = presence_matrix(stream, columns).toarray()
    np.testing.assert_array_equal(whole, np.concatenate([presence(stream, m, columns) for m in "abc"]))
