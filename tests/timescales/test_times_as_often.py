"""How many times as often labels follow each other, in streams where it is known."""

import numpy as np
import pandas as pd

from semanticcmc.labels.stream import label_stream
from semanticcmc.timescales.curves import TimescalesConfig
from semanticcmc.timescales.pairs import label_pairs, times_as_often

CONFIG = TimescalesConfig(
    lags=2,
    labels=50,
    min_confidence=0.0,
    step_s=1.0,
    frame_px=(2, 2),
    bootstrap_samples=1,
    null_samples=1,
    confidence=0.95,
    seed=0,
)


def stream(films):
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
    found = times_as_often(label_pairs(stream(films), (0.0, 3.0), CONFIG))  # labels by name: first, later, other
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
    found = times_as_often(label_pairs(stream(films), (0.0, 5.0), CONFIG))
    np.testing.assert_allclose(found[:, [0, 1], [1, 0]], 1, atol=0.03)


def test_labels_that_no_film_has_both_of():
    films = {"a": {"x": np.ones(50, bool)}, "b": {"y": np.ones(50, bool)}}
    found = times_as_often(label_pairs(stream(films), (0.0,), CONFIG))
    assert np.isnan(found[0, 0, 1]) and found[0, 0, 0] == 1
