"""Frame store and pairs: what was written comes back, and no pair ever leaves its film."""

import hashlib
import json
import tarfile

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from semanticcmc.configuration import InputError
from semanticcmc.frames import Frame, FrameStore, film_problem, is_finished, merge_index, write_film
from semanticcmc.pairs import lagged_pairs

COLOURS = np.random.default_rng(0).integers(30, 225, size=(200, 3), dtype=np.uint8)


def plain(n, size=(24, 32), first=0, step_s=1.0):
    """Frames of one colour each, which JPEG keeps within a few grey levels."""
    for i in range(n):
        image = np.broadcast_to(COLOURS[(first + i) % 200], (*size, 3)).copy()
        yield Frame(i * step_s, i * step_s - 0.01, 25 * i, image)


def make(folder, films, **keywords):
    for k, (movie_id, n) in enumerate(films.items()):
        write_film(folder, movie_id, plain(n, first=40 * k, **keywords), quality=95)
    merge_index(folder)
    return FrameStore(folder)


def index_of(times):
    """An index of films that have frames at the times given."""
    return pd.concat([pd.DataFrame({"movie_id": m, "time_s": np.asarray(t, float)}) for m, t in times.items()],
                     ignore_index=True)  # fmt: skip


def test_frames_come_back_by_time(tmp_path):
    store = make(tmp_path, {"a": 12, "b": 5})
    assert store.movies == ("a", "b") and len(store) == 17
    np.testing.assert_array_equal(store.times("b"), np.arange(5.0))
    assert np.abs(store.read("b", 3.0).astype(int) - COLOURS[43]).max() <= 4
    row = store.index.iloc[12 + 3]
    assert (row.movie_id, row.time_s, row.pts_s, row.frame_index) == ("b", 3.0, 2.99, 75)
    assert (row.width, row.height) == (32, 24)


def test_resident_is_in_the_order_of_the_index(tmp_path):
    store = make(tmp_path, {"a": 11, "b": 11})
    frames = store.resident()
    assert frames.shape == (22, 3, 24, 32) and frames.dtype == torch.uint8
    expected = np.concatenate([COLOURS[:11], COLOURS[40:51]]).astype(int)
    assert np.abs(frames.numpy().astype(int).mean(axis=(2, 3)) - expected).max() <= 4
    torch.testing.assert_close(store.read_rows([14, 2]), frames[[14, 2]])


def test_resident_brings_sizes_together(tmp_path):
    write_film(tmp_path, "a", plain(2), 95)
    write_film(tmp_path, "b", plain(2, size=(40, 30), first=7), 95)
    merge_index(tmp_path)
    store = FrameStore(tmp_path)
    with pytest.raises(InputError, match="24 x 32, 40 x 30"):
        store.resident()
    frames = store.resident((12, 16))
    assert frames.shape == (4, 3, 12, 16)
    assert np.abs(frames[2].numpy().astype(int).mean(axis=(1, 2)) - COLOURS[7]).max() <= 4


def test_resize_averages_over_what_it_merges(tmp_path):
    """A fine chequerboard becomes grey, not black or white: no aliasing."""
    board = np.kron(np.indices((32, 32)).sum(0) % 2, np.ones((2, 2)))[..., None] * np.full(3, 255)
    write_film(tmp_path, "a", [Frame(0, 0, 0, board.astype(np.uint8))], 95)
    merge_index(tmp_path)
    frames = FrameStore(tmp_path).resident((8, 8)).float()
    assert (frames - 127.5).abs().max() < 25


def test_the_tar_is_plain_and_in_time_order(tmp_path):
    """Names sort as times do (2 before 10), anyone's tar reads them, and nothing tells when they were made."""
    make(tmp_path, {"a": 12})
    with tarfile.open(tmp_path / "a.tar") as tar:
        members = tar.getmembers()
        index = pd.read_parquet(tmp_path / "a.parquet")
        assert [m.name for m in members] == sorted(m.name for m in members)
        assert members[10].name == "000010.000.jpg"
        assert {(m.mtime, m.uid, m.gid, m.uname) for m in members} == {(0, 0, 0, "")}
        assert index["offset"].tolist() == [m.offset_data for m in members]
        assert index["nbytes"].tolist() == [m.size for m in members]


def test_the_same_frames_give_the_same_bytes(tmp_path):
    for folder in ("one", "two"):
        make(tmp_path / folder, {"a": 3})
    for name in ("a.tar", "a.parquet", "index.parquet"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_frames_at_five_a_second_have_names_and_times_of_their_own(tmp_path):
    store = make(tmp_path, {"a": 12}, step_s=0.2)
    assert np.abs(store.read("a", 2.2).astype(int) - COLOURS[11]).max() <= 4
    with pytest.raises(InputError, match=r"no frame at 2\.3 s.*0 to 2\.2 s"):
        store.read("a", 2.3)


def test_checksum_and_settings_decide_whether_a_film_is_finished(tmp_path):
    assert not is_finished(tmp_path, "a", {"source": "x"})
    write_film(tmp_path, "a", plain(3), 90, {"source": "x", "size": (1, 2)})
    metadata = json.loads(pq.read_schema(tmp_path / "a.parquet").metadata[b"semanticcmc"])
    assert metadata["sha256"] == hashlib.sha256((tmp_path / "a.tar").read_bytes()).hexdigest()
    assert is_finished(tmp_path, "a", {"size": (1, 2), "source": "x"})
    assert not is_finished(tmp_path, "a", {"source": "y", "size": (1, 2)})
    tar = tmp_path / "a.tar"
    content = bytearray(tar.read_bytes())
    content[700] ^= 1
    tar.write_bytes(content)
    assert not is_finished(tmp_path, "a", {"source": "x", "size": (1, 2)})


def test_a_film_that_breaks_off_leaves_nothing(tmp_path):
    def broken():
        yield from plain(3)
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        write_film(tmp_path, "a", broken(), 90)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("movie_id", ["", "../a", "index", ".hidden"])
def test_refuses_a_name_that_is_no_file_name(tmp_path, movie_id):
    with pytest.raises(InputError, match="plain file name"):
        write_film(tmp_path, movie_id, plain(1), 90)


def test_refuses_frames_out_of_order_and_films_without_frames(tmp_path):
    frames = list(plain(3))
    with pytest.raises(InputError, match="comes after"):
        write_film(tmp_path, "a", [frames[1], frames[0]], 90)
    with pytest.raises(InputError, match="no frames"):
        write_film(tmp_path, "a", [], 90)


def test_merge_names_what_it_leaves_out(tmp_path, capsys):
    for movie_id in ("a", "b", "c"):
        write_film(tmp_path, movie_id, plain(3), 90)
    with (tmp_path / "b.tar").open("ab") as tar:
        tar.write(b"x")
    (tmp_path / "d.problem.json").write_text('{"problem": "its pictures end at 3 s of 90 s"}')
    (tmp_path / "c.tar").unlink()
    index = merge_index(tmp_path)
    said = capsys.readouterr().err
    assert set(index["movie_id"]) == {"a"} and FrameStore(tmp_path).movies == ("a",)
    assert all(f"LEFT OUT of every lag: {movie_id}" in said for movie_id in "bcd")
    assert "end at 3 s of 90 s" in said and "c.tar is missing" in said
    assert film_problem(tmp_path, "a") == ""
    assert "span 2 s" in film_problem(tmp_path, "a", 5)
    with pytest.raises(InputError, match="no usable film"):
        merge_index(tmp_path, ["b"])


def test_films_are_sorted_as_text_whatever_the_order_of_writing(tmp_path):
    store = make(tmp_path, {"film-2": 3, "film-10": 3, "Zoo": 3})
    assert store.movies == ("Zoo", "film-10", "film-2")
    assert np.abs(store.read("film-2", 0).astype(int) - COLOURS[0]).max() <= 4


def test_a_broken_store_is_named(tmp_path):
    with pytest.raises(InputError, match=r"index\.parquet: no such frame store"):
        FrameStore(tmp_path)
    store = make(tmp_path, {"a": 3})
    with pytest.raises(InputError, match="no film 'b'"):
        store.times("b")
    content = bytearray((tmp_path / "a.tar").read_bytes())
    content[512:700] = bytes(188)
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.tar: the frame at 0 s is no JPEG"):
        FrameStore(tmp_path).read("a", 0)
    shuffled = pd.read_parquet(tmp_path / "index.parquet").iloc[::-1]
    shuffled.to_parquet(tmp_path / "index.parquet")
    with pytest.raises(InputError, match="not sorted"):
        FrameStore(tmp_path)
    shuffled.drop(columns="offset").to_parquet(tmp_path / "index.parquet")
    with pytest.raises(InputError, match="column offset missing"):
        FrameStore(tmp_path)
    (tmp_path / "index.parquet").write_text("no Parquet")
    with pytest.raises(InputError, match=r"index\.parquet: not readable"):
        FrameStore(tmp_path)


# Pairs -----------------------------------------------------------------------------------------------------


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
    first, second = pairs.sample(500, torch.Generator().manual_seed(0))
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
    first, _ = lags[2].sample(40_000, torch.Generator().manual_seed(1))
    counts = np.bincount(first, minlength=len(index))
    assert counts[lags[0].anchors.numpy()].sum() == 40_000
    assert stats.chisquare(counts[lags[0].anchors.numpy()]).pvalue > 1e-3


def test_lags_are_uniform_within_the_tolerance():
    index = index_of({"a": np.arange(0, 400, 0.05)})
    first, second = lagged_pairs(index, 100, 100, 0.2).sample(20_000, torch.Generator().manual_seed(2))
    lag = index["time_s"].to_numpy()[second] - index["time_s"].to_numpy()[first]
    # Uniform on 80 to 120 s, rounded to the grid's 0.05 s.
    assert (
        stats.kstest(
            lag + np.random.default_rng(0).uniform(-0.025, 0.025, len(lag)), "uniform", (80, 40)
        ).pvalue
        > 1e-3
    )


def test_the_same_seed_draws_the_same_pairs():
    pairs = lagged_pairs(index_of({"a": np.arange(50)}), 5, 10, 0.1)
    one, two = (pairs.sample(64, torch.Generator().manual_seed(3)) for _ in range(2))
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
        np.testing.assert_array_equal(
            times[lagged_pairs(index_of({"a": times}), 10, 10, tolerance).anchors], expected
        )


def test_pairs_of_one_shot_stay_in_it():
    index = index_of({"a": np.arange(30), "b": np.arange(30)})
    shots = pd.DataFrame({"movie_id": ["b", "a", "a", "b"], "start_s": [0.0, 8.0, 0.0, 3.0],
                          "stop_s": [3.0, 30.0, 8.0, 20.0], "shot": [0, 1, 0, 1]})  # fmt: skip
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
