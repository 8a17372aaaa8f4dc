"""Counts of label pairs against a loop over moments."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semanticcmc.configuration import InputError
from semanticcmc.cooccurrence import lagged_counts
from semanticcmc.labels import label_stream

NAMES = ("a", "b", "c")


def stream_of(films: dict[str, list[set[str]]], interval_s: float = 0.5, start_s: float = 0.0):
    """A stream from each film's sets of labels in the order of time."""
    rows = [(movie_id, start_s + t * interval_s, label, 90.0)
            for movie_id, sets in films.items() for t, labels in enumerate(sets) for label in labels]  # fmt: skip
    times = [(movie_id, start_s, interval_s, len(sets)) for movie_id, sets in films.items()]
    return label_stream(
        pd.DataFrame(rows, columns=["movie_id", "time_s", "label", "confidence"]),
        pd.DataFrame(times, columns=["movie_id", "start_s", "interval_s", "count"]),
    )


films = st.dictionaries(
    st.sampled_from(["one", "two", "three"]),
    st.lists(st.sets(st.sampled_from((*NAMES, "other"))), min_size=1, max_size=12),
    min_size=1,
)


@settings(max_examples=60, deadline=None)
@given(films, st.integers(0, 6), st.integers(1, 3), st.sampled_from([0.0, 3.5]))
def test_counts_are_those_of_a_loop(films, lag, step, start_s):
    """Of every pair of moments in one film, and of no others."""
    counts = lagged_counts(stream_of(films, start_s=start_s), NAMES, lag * 0.5, step * 0.5)
    for i, movie_id in enumerate(sorted(films)):
        sets = films[movie_id]
        expected, moments = np.zeros((3, 3)), 0
        for t in range(0, len(sets) - lag, step):
            moments += 1
            for a, first in enumerate(NAMES):
                for b, second in enumerate(NAMES):
                    expected[a, b] += first in sets[t] and second in sets[t + lag]
        np.testing.assert_array_equal(counts.together[i], expected)
        assert counts.moments[i] == moments


def test_bad_lags_and_names_are_refused():
    """A lag below 0 or between two label sets, a label twice."""
    stream = stream_of({"film": [{"a"}, {"b"}]})
    with pytest.raises(InputError, match="lag_s -1"):
        lagged_counts(stream, NAMES, -1.0)
    with pytest.raises(InputError, match=r"0\.5 s in film"):
        lagged_counts(stream, NAMES, 0.2)
    with pytest.raises(InputError, match="'a' is asked for twice"):
        lagged_counts(stream, ("a", "a"), 0.5)
