"""Nulls keep what they say, and take away the rest; time scales against curves whose own is known."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semanticcmc.timescales.meaning import (
    SCALES,
    last_above,
    paired_anew,
    pooled_pairs,
    shuffle_utterances,
    time_scales,
)
from semanticcmc.timescales.pairs import label_pairs
from tests.timescales.test_pairs import CONFIG, drawn, stream_of


def utterances(stream):
    """Start and sorted (label, duration) of each utterance of each film, by a loop over label times."""
    found = {}
    for movie_id in stream.movies:
        film = stream.labels[stream.labels.movie_id == movie_id]
        there = {(label, round(time_s)) for label, time_s in zip(film.label, film.time_s, strict=True)}
        starts = sorted((time, label) for label, time in there if (label, time - 1) not in there)
        for time, label in starts:
            until = time
            while (label, until) in there:
                until += 1
            found.setdefault((movie_id, time), []).append((label, until - time))
    return found


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_shuffled_utterances_stay_whole_and_in_their_film(seed):
    generator = np.random.default_rng(seed)
    films = {"f": np.zeros((90, 4), bool), "g": np.zeros((60, 4), bool)}
    for film in films.values():  # with room behind each, so that none overlap wherever they come to lie
        for start in range(0, len(film) - 5, 6):
            for label in range(4):
                film[start : start + generator.integers(0, 5), label] = True
    stream = stream_of(films)
    before, after = utterances(stream), utterances(shuffle_utterances(stream, generator))
    assert set(before) == set(after)
    for movie_id in films:
        contents = [
            sorted(tuple(one) for (film, _), one in some.items() if film == movie_id) for some in (before, after)
        ]
        assert contents[0] == contents[1]


def test_what_would_outlast_the_film_is_cut_and_every_order_is_as_likely():
    film = np.zeros((4, 2), bool)
    film[:3, 0] = film[3, 1] = True  # the first lasts 3 of 4 moments
    stream = stream_of({"f": film, "g": film})
    found = [shuffle_utterances(stream, np.random.default_rng(seed)).labels for seed in range(200)]
    swapped = [len(one[one.movie_id == "f"]) == 2 for one in found]
    assert {len(one[one.movie_id == "f"]) for one in found} == {2, 4}
    assert 70 < sum(swapped) < 130  # half of 200, binomial: within 4 standard deviations


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.sampled_from([1.0, 2.0]))
def test_films_pooled_are_the_sum_of_films(seed, step_s):
    stream = stream_of(drawn(seed))
    pairs = label_pairs(stream, (0, 4, 20), dataclasses.replace(CONFIG, step_s=step_s))
    above, often = pooled_pairs(stream, pairs.names, (0, 4, 20), step_s)
    both, share = pairs.both.sum(axis=1), 1 / np.maximum(pairs.count, 1)
    one_way = both - np.einsum("kfi,kfj,kf->kij", pairs.first, pairs.second, share)
    np.testing.assert_allclose(above, one_way + one_way.swapaxes(1, 2), atol=1e-4)
    np.testing.assert_array_equal(often, both.sum(axis=1) + both.sum(axis=2))


def test_second_moments_are_another_films():
    presences = drawn(3, lengths=(30, 17))
    above, often = pooled_pairs(stream_of(presences), ("a", "b", "c"), (0, 4), 1.0, [1, 0])
    f, g = (presences[name].astype(int) for name in ("f0", "f1"))
    both = f[:13].T @ g[4:] + g.T @ f[4:21]
    np.testing.assert_array_equal(often[1], both.sum(axis=0) + both.sum(axis=1))
    of_f, of_g = (np.outer(one.sum(axis=0), two.sum(axis=0)) for one, two in ((f[:13], g[4:]), (g, f[4:21])))
    one_way = both - of_f / 13 - of_g / 17
    np.testing.assert_allclose(above[1], one_way + one_way.T, atol=1e-9)


@given(st.integers(2, 30), st.integers(0, 1000))
def test_no_film_is_paired_with_itself_and_each_is_taken_once(films, seed):
    partners = paired_anew(films, np.random.default_rng(seed))
    assert sorted(partners) == list(range(films))
    assert all(one != other for one, other in enumerate(partners))


def test_time_scale_of_a_curve_that_is_known():
    lags_s = np.array([0, 10.0, 20, 40, 80, 160])
    curve = 0.5 ** (lags_s / 20)
    null = np.tile(np.linspace(-0.1, 0.1, 41), (6, 1)).T  # 95 % of it lie within .095
    null[:, 0] = 2  # where films and null are the same
    found = time_scales(lags_s, np.stack([curve, curve, curve, curve * 2, curve / 4]), null, CONFIG)
    found = dict(zip(SCALES, found, strict=True))
    assert [found[f"half_strength{bound}_s"] for bound in ("", "_low", "_high")] == pytest.approx([20] * 3)
    assert found["last_above_null_s"] == 40  # .25 and then .0625
    assert (found["last_above_null_low_s"], found["last_above_null_high_s"]) == (20, 80)


def test_the_last_lag_above_is_the_end_of_the_longest_run():
    lags_s = np.array([0.0, 1, 2, 4])
    values = np.array([[0, 1, 0, 1], [1, 1, 1, 1], [0, 0, 0, 0], [1, 0, 1, 1]])
    np.testing.assert_array_equal(last_above(lags_s, values, np.full(4, 0.5)), [1, 4, np.nan, 4])
