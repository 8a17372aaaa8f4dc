"""Regular label times from stamps as a labeller gives them: known grids, frame times, rounding."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semanticcmc.config import InputError
from semanticcmc.labels.grid import TOLERANCE, FilmLabels, on_grid, sampling, spans_on_grid


def film(time_s, duration_s=np.nan, confidence=90.0):
    time_s = np.asarray(time_s, dtype=float)
    labels = np.full(len(time_s), "dog", dtype=object)
    return FilmLabels(time_s, labels, np.full(len(time_s), confidence), duration_s, time_s, "here.json")


@pytest.mark.parametrize("fps", [24000 / 1001, 25, 30000 / 1001, 59.94])
@pytest.mark.parametrize("wanted_s", [0.2, 0.5, 1.0])
def test_frame_times_nearest_a_clock_give_the_clock_back(fps, wanted_s):
    """An hour and a half of stamps in whole ms, each of the frame on screen; not one label drifts to a neighbour."""
    clock = np.arange(int(5400 / wanted_s)) * wanted_s
    stamps = np.rint(np.floor(clock * fps + 1e-9) / fps * 1000) / 1000
    seen = np.random.default_rng(0).random(len(clock)) < 0.4  # most sets hold no label
    start_s, interval_s = sampling(stamps[seen], None, "x")
    assert start_s == 0
    assert interval_s == pytest.approx(wanted_s, rel=1e-4)
    labels, times = on_grid(film(stamps[seen], 5400.0), "a", start_s, interval_s)
    np.testing.assert_array_equal(np.rint(labels["time_s"] / interval_s), np.flatnonzero(seen))
    assert times["count"].item() == len(clock)


@pytest.mark.parametrize("step_frames", [4, 5, 6])
def test_every_so_many_frames_of_ntsc_film(step_frames):
    exact = np.arange(20_000) * step_frames * 1001 / 24000
    start_s, interval_s = sampling(np.rint(exact * 1000) / 1000, None, "x")
    assert start_s == 0 and interval_s == pytest.approx(step_frames * 1001 / 24000, rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(interval_ms=st.integers(40, 2000), start=st.floats(0, 0.99), steps=st.sets(st.integers(0, 500), min_size=3))
def test_an_exact_grid_is_found_from_a_stated_interval(interval_ms, start, steps):
    interval_s, steps = interval_ms / 1000, np.array(sorted(steps))
    stamps = start * interval_s + steps * interval_s
    found_start, found = sampling(stamps, interval_s, "x")
    assert found == interval_s
    labels, _ = on_grid(film(stamps), "a", found_start, found)
    assert np.abs(labels["time_s"] - stamps).max() <= TOLERANCE * interval_s + 1e-9
    assert len(np.unique(labels["time_s"])) == len(stamps)


@pytest.mark.parametrize("stamps, interval_s", [([0, 0.2, 0.4, 0.67, 0.8, 1.0], None), ([0, 0.2, 0.4], 0.3)])
def test_irregular_stamps_are_refused(stamps, interval_s):
    with pytest.raises(InputError, match=r"here: labels at .* s are not 0\.\d+ s apart .*labels\.interval_s"):
        sampling(np.array(stamps), interval_s, "here")


def test_too_few_stamps_do_not_tell():
    assert sampling(np.array([3.0, 3.0]), None, "x") is None
    assert sampling(np.array([]), None, "x") is None
    assert sampling(np.array([]), 0.5, "x") == (0.0, 0.5)


def test_label_times_go_on_to_the_end_of_the_film():
    """5 s at 0.2 s: 0, 0.2, ... 4.8."""
    _, times = on_grid(film([0.2, 0.4], duration_s=5.0), "007", 0.0, 0.2)
    assert times["count"].item() == 25 and times["movie_id"].item() == "007"
    for duration_s, count in ((5.1, 26), (5.02, 25), (4.98, 25)):
        _, times = on_grid(film([], duration_s=duration_s), "007", 0.0, 0.2)
        assert times["count"].item() == count
    _, times = on_grid(film([5.0], duration_s=5.02), "007", 0.0, 0.2)
    assert times["count"].item() == 26
    _, times = on_grid(film([0.2, 0.4]), "007", 0.0, 0.2)
    assert times["count"].item() == 3


def test_labels_of_another_film_are_refused():
    with pytest.raises(InputError, match=r"here\.json: labels until 7 s of a film of 5 s"):
        on_grid(film([0.0, 7.0], duration_s=5.0), "a", 0.0, 0.2)
    with pytest.raises(InputError, match=r"here\.json: confidence 101"):
        film([0.0], confidence=101.0)
    with pytest.raises(InputError, match=r"here\.json: a label at -1 s"):
        film([-1.0])


@settings(max_examples=60, deadline=None)
@given(
    spans=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 300)), min_size=1, max_size=8),
    interval=st.sampled_from([1, 2, 5, 10]),
)
def test_spans_equal_a_loop_over_label_times(spans, interval):
    """In tenths of a second, so that the loop can count in whole numbers."""
    start, stop = np.array([s for s, _ in spans]), np.array([s + n for s, n in spans])
    time_s, span = spans_on_grid(start / 10, stop / 10, interval / 10)
    for i in range(len(spans)):
        inside = [t for t in range(0, 800, interval) if start[i] <= t < stop[i]]
        found = np.rint(time_s[span == i] * 10).astype(int).tolist()
        if inside:
            assert found == inside
        else:  # between two label times: the nearest
            assert len(found) == 1 and abs(found[0] - (start[i] + stop[i]) / 2) <= interval / 2
