"""Pairs: none ever leaves its film, every first frame is as likely as any other."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from semanticcmc.config import InputError
from semanticcmc.films.pairs import lagged_pairs


def index_of(times):
    """An index of films that have frames at the times given."""
    return pd.concat(
        [pd.DataFrame({"movie_id": m, "time_s": np.asarray(t, float)}) for m, t in times.items()], ignore_index=True
    )


def sample(pairs, n, generator, films=None):
    """Rows of first and second frames, as a pairing draws them (`training.pairings.Fixed`)."""
    first = pairs.first_frames(n, generator, films)
    return first, pairs.partner(first, pairs.lags(n, generator))


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=5),
    lag_s=st.integers(0, 12),
    longer_s=st.integers(0, 8),
    tolerance=st.sampled_from([0.0, 0.1, 0.4]),
    step_s=st.sampled_from([1.0, 0.2]),
    start_s=st.sampled_from([0.0, 7.0]),
)
def test_pairs_stay_in_their_film_and_in_the_lag(lengths, lag_s, longer_s, tolerance, step_s, start_s):
    times = {f"f{i}": start_s + step_s * np.arange(n) for i, n in enumerate(lengths)}
    index, longest = index_of(times), float(lag_s + longer_s)
    fits = [m for m, t in times.items() if t[-1] - t[0] >= longest * (1 + tolerance) - 1e-9]
    if not fits:
        with pytest.raises(InputError, match="no film is long enough.*f0"):
            lagged_pairs(index, lag_s, longest, tolerance)
        return
    pairs = lagged_pairs(index, lag_s, longest, tolerance)
    end = index.groupby("movie_id")["time_s"].transform("max")
    expected = np.flatnonzero(index["time_s"] + longest * (1 + tolerance) <= end + 1e-6)
    np.testing.assert_array_equal(pairs.anchors, expected)
    first, second = sample(pairs, 500, torch.Generator().manual_seed(0))
    assert np.isin(first, expected).all()
    movie, time = index["movie_id"].to_numpy(), index["time_s"].to_numpy()
    assert (movie[first] == movie[second]).all()
    lag = time[second] - time[first]
    assert (np.abs(lag - lag_s) <= lag_s * tolerance + step_s / 2 + 1e-6).all()
    if tolerance == 0:
        np.testing.assert_allclose(lag, lag_s, atol=1e-6)
    if lag_s == 0:
        assert (first == second).all()


def test_first_frames_are_the_same_for_every_lag_and_uniform():
    index = index_of({"a": np.arange(40), "b": np.arange(100), "short": np.arange(20)})
    lags = [lagged_pairs(index, lag_s, 20, 0.1) for lag_s in (0, 1, 5, 20)]
    for pairs in lags[1:]:
        assert torch.equal(pairs.anchors, lags[0].anchors)
    assert len(lags[0]) == (40 - 22) + (100 - 22)
    first, _ = sample(lags[2], 40_000, torch.Generator().manual_seed(1))
    counts = np.bincount(first, minlength=len(index))
    assert counts[lags[0].anchors.numpy()].sum() == 40_000
    assert stats.chisquare(counts[lags[0].anchors.numpy()]).pvalue > 1e-3


def test_lags_are_uniform_within_the_tolerance():
    index = index_of({"a": np.arange(0, 400, 0.05)})
    first, second = sample(lagged_pairs(index, 100, 100, 0.2), 20_000, torch.Generator().manual_seed(2))
    lag = index["time_s"].to_numpy()[second] - index["time_s"].to_numpy()[first]
    # Uniform on 80 to 120 s, rounded to the grid's 0.05 s.
    assert (
        stats.kstest(lag + np.random.default_rng(0).uniform(-0.025, 0.025, len(lag)), "uniform", (80, 40)).pvalue > 1e-3
    )


def test_the_same_seed_draws_the_same_pairs():
    pairs = lagged_pairs(index_of({"a": np.arange(50)}), 5, 10, 0.1)
    one, two = (sample(pairs, 64, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one[0], two[0]) and torch.equal(one[1], two[1])


def test_a_gap_in_time_has_no_partner():
    times = np.concatenate([np.arange(10), np.arange(30, 60)])
    index = index_of({"a": times})
    pairs = lagged_pairs(index, 5, 5)
    expected = [t for t in times if t + 5 in times]
    np.testing.assert_array_equal(times[pairs.anchors], expected)
    # Lags of 4 to 6 s: none of them may fall into the gap, or anchors before it would see fewer lags.
    expected = [t for t in times if {t + 4, t + 5, t + 6} <= set(times)]
    np.testing.assert_array_equal(times[lagged_pairs(index, 5, 5, 0.2).anchors], expected)


def test_a_small_gap_within_the_tolerance_has_no_partner():
    times = np.delete(np.arange(60), 30)
    for tolerance, reach in ((0.3, range(7, 14)), (0.0, [10])):
        expected = [t for t in times if t + 10 * (1 + tolerance) <= 59 and all(t + r in times for r in reach)]
        np.testing.assert_array_equal(times[lagged_pairs(index_of({"a": times}), 10, 10, tolerance).anchors], expected)


def test_pairs_of_one_shot_stay_in_it():
    index = index_of({"a": np.arange(30), "b": np.arange(30)})
    shots = pd.DataFrame(
        {
            "movie_id": ["b", "a", "a", "b"],
            "start_s": [0.0, 8.0, 0.0, 3.0],
            "stop_s": [3.0, 30.0, 8.0, 20.0],
            "shot": [0, 1, 0, 1],
        }
    )
    pairs = lagged_pairs(index, 4, 4, 0.0, shots)
    shot_a = [t for t in range(26) if (t < 8) == (t + 4 < 8)]
    shot_b = [t for t in range(3, 16)]  # nothing is known of b from 20 s on
    np.testing.assert_array_equal(pairs.anchors, [*shot_a, *(30 + t for t in shot_b)])
    with pytest.raises(InputError, match="lie in one shot"):
        lagged_pairs(index, 25, 25, 0.0, shots)


@pytest.mark.parametrize(
    "lag_s, tolerance, message",
    [
        (-1, 0, "lag_s -1"),
        (9, 0, "longest lag"),
        (1, 1, "tolerance 1"),
        (0.2, 0, "shorter than the time between frames"),
    ],
)
def test_refuses_lags_that_cannot_be(lag_s, tolerance, message):
    with pytest.raises(InputError, match=message):
        lagged_pairs(index_of({"a": np.arange(50)}), lag_s, 8, tolerance)


# Batches from a few films ----------------------------------------------------------------------------------


def test_every_row_knows_its_film():
    pairs = lagged_pairs(index_of({"a": np.arange(9), "b": np.arange(5), "c": np.arange(7)}), 2, 3)
    assert pairs.film.dtype == torch.int64
    assert pairs.film.tolist() == [0] * 9 + [1] * 5 + [2] * 7


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=8), films=st.integers(1, 8), seed=st.integers(0, 2**31)
)
def test_a_batch_comes_from_at_most_so_many_films(lengths, films, seed):
    index = index_of({f"f{i}": np.arange(n) for i, n in enumerate(lengths)})
    usable = [i for i, n in enumerate(lengths) if n > 3]
    if not usable:
        return
    pairs, generator = lagged_pairs(index, 3, 3), torch.Generator().manual_seed(seed)
    if films > len(usable):
        with pytest.raises(InputError, match=f"expected 1 to {len(usable)}, the number of films with pairs"):
            sample(pairs, 10, generator, films)
        return
    first, second = sample(pairs, 100, generator, films)
    assert torch.equal(second, first + 3) and torch.equal(pairs.film[first], pairs.film[second])
    assert torch.isin(first, pairs.anchors).all()
    assert len(set(pairs.film[first].tolist())) <= films


def test_batches_of_a_few_films_leave_every_first_frame_as_likely():
    """One pair of each of many batches: independent draws, uniform over first frames by exact chi-square."""
    index = index_of({"a": np.arange(13), "b": np.arange(33), "short": np.arange(2), "c": np.arange(8)})
    pairs, generator = lagged_pairs(index, 3, 3), torch.Generator().manual_seed(4)
    for films in (1, 2, 3):
        drawn = [sample(pairs, 4, generator, films)[0] for _ in range(6000)]
        for place in (0, 3):
            counts = np.bincount([batch[place] for batch in drawn], minlength=len(index))
            assert counts.sum() == counts[pairs.anchors.numpy()].sum()
            assert stats.chisquare(counts[pairs.anchors.numpy()]).pvalue > 1e-3


def test_films_of_one_length_are_never_drawn_twice():
    index = index_of({f"f{i}": np.arange(20) for i in range(6)})
    pairs, generator = lagged_pairs(index, 3, 3), torch.Generator().manual_seed(5)
    for films in range(1, 7):
        assert len(set(pairs.film[sample(pairs, 400, generator, films)[0]].tolist())) == films
