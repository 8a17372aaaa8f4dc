"""Meaning by lag against the formula written out with loops, and SciPy's correlation."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import pearsonr

from semanticcmc.rsa.rdm import RDM
from semanticcmc.timescales.meaning import NULLS, meaning_by_lag
from tests.timescales.test_pairs import CONFIG, drawn, stream_of


def correlation(films, lag, distance):
    """Correlation of nearness with how much more often than by each film's rates labels are a lag apart."""
    n = len(distance)
    joint, chance = np.zeros((2, n, n))
    for film in films:
        moments = len(film) - lag
        for i in range(n):
            for j in range(n):
                joint[i, j] += sum(film[t, i] and film[t + lag, j] for t in range(moments))
                chance[i, j] += film[:moments, i].sum() * film[lag:, j].sum() / moments
    often = (joint + joint.T).sum(axis=1)
    above = (joint + joint.T - chance - chance.T) / np.sqrt(np.outer(often, often))
    upper = np.triu_indices(n, 1)
    return pearsonr(above[upper], -distance[upper]).statistic


def test_meaning_is_the_correlation_of_nearness_with_what_follows_more_often_than_by_chance():
    films, lags = drawn(5, lengths=(40, 25, 33), labels=5), (0, 1, 3, 7)
    far = np.random.default_rng(1).random((5, 5))
    far = (far + far.T) * (1 - np.eye(5))
    models = {"all": RDM(far, tuple("abcde")), "some": RDM(far[np.ix_([3, 0, 1], [3, 0, 1])], ("d", "a", "b"))}
    config = dataclasses.replace(CONFIG, null_samples=3)
    curves, scales = meaning_by_lag(stream_of(films), models, lags, config, iter)
    curves = curves.set_index(["model", "lag_s"])
    for lag in lags:
        assert curves.r["all", lag] == pytest.approx(correlation(films.values(), lag, far), abs=1e-5)
    assert list(scales.null) == list(NULLS.values()) * 2
    assert (curves.ci_low < curves.r).all() and (curves.r < curves.ci_high).all()
    again = meaning_by_lag(stream_of(films), {"d": models["some"]}, lags, config, iter)[0]
    np.testing.assert_allclose(again.r, curves.r["some"])  # whatever else is asked
    assert again.films.tolist() == [3] * 4
