"""Frame store: what was written comes back, whole films only, and a broken store is named."""

import hashlib
import json
import tarfile
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from semanticcmc.config import InputError
from semanticcmc.films import store as frames_module
from semanticcmc.films.files import Frame, film_problem, is_finished, merge_index, write_film
from semanticcmc.films.store import FrameStore, available_bytes

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


def test_rows_come_back_in_the_order_asked_for(tmp_path):
    """Whatever is read together and by how many threads: rows of several films, some of them twice."""
    store = make(tmp_path, {"a": 11, "b": 30, "c": 7})
    expected = np.concatenate([COLOURS[:11], COLOURS[40:70], COLOURS[80:87]]).astype(int)
    rows = torch.randint(len(store), (150,), generator=torch.Generator().manual_seed(0))
    for threads in (1, 2, 7):
        frames = store.read_rows(rows, threads=threads)
        assert np.abs(frames.numpy().astype(int).mean(axis=(2, 3)) - expected[rows]).max() <= 4
    assert store.read_rows([]).shape == (0, 3, 0, 0)
    assert store.read_rows([], (5, 6)).shape == (0, 3, 5, 6)


def _means(store):
    return store.read_rows(range(len(store))).float().mean(dim=(2, 3))


@pytest.mark.parametrize("method", ["forkserver", "spawn", "threads"])
def test_a_store_works_in_other_processes_and_threads(tmp_path, method):
    store = make(tmp_path, {"a": 5, "b": 5})
    expected = _means(store)
    pool = ThreadPoolExecutor(4) if method == "threads" else ProcessPoolExecutor(1, get_context(method))
    with pool:
        for found in pool.map(_means, [store] * 4):
            torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_what_cannot_fit_memory_is_refused_before_anything_is_read(tmp_path):
    store = make(tmp_path, {"a": 3})
    (tmp_path / "a.tar").unlink()  # reading would name this
    with pytest.raises(InputError, match=r"3 frames of 9000000 x 9000000 px need 729,000\.0 GB .* GB are free"):
        store.resident((9_000_000, 9_000_000))


def test_parts_make_the_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(frames_module, "FRAMES_AT_ONCE", 4)
    store = make(tmp_path, {"a": 11})
    torch.testing.assert_close(store.resident(), store.read_rows(range(11)), rtol=0, atol=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_holds_the_same_frames(tmp_path, monkeypatch):
    monkeypatch.setattr(frames_module, "FRAMES_AT_ONCE", 4)
    store = make(tmp_path, {"a": 11})
    frames = store.resident((12, 16), "cuda")
    assert frames.device.type == "cuda" and torch.equal(frames.cpu(), store.resident((12, 16)))


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
    with pytest.raises(InputError, match=r"a\.tar: the frame at 0 s cannot be read"):
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


# Free memory: what the kernel says of the machine, and less where a limit is set on the process -------------


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine as /proc and /sys show it: 8 GiB available, a job limited to 4 GiB inside a node's 64 GiB."""
    meminfo, cgroup, groups = tmp_path / "meminfo", tmp_path / "cgroup", tmp_path / "cgroups"
    meminfo.write_text("MemTotal:       65536000 kB\nMemAvailable:    8388608 kB\n")
    cgroup.write_text("0::/node/job\n")
    for folder, most in (("node", 64 << 30), ("node/job", 4 << 30)):
        (groups / folder).mkdir(parents=True)
        (groups / folder / "memory.max").write_text(f"{most}\n")
        (groups / folder / "memory.current").write_text(f"{3 << 30}\n")
        (groups / folder / "memory.stat").write_text(f"anon 5\nactive_file 0\ninactive_file {1 << 30}\n")
    for name, path in (("MEMINFO", meminfo), ("CGROUP", cgroup), ("CGROUPS", groups)):
        monkeypatch.setattr(frames_module, name, path)
    return groups, meminfo, cgroup


def test_the_lowest_limit_counts_and_caches_can_be_dropped(machine):
    groups, meminfo, cgroup = machine
    assert available_bytes() == 2 << 30  # 4 GiB less 3 used, of which 1 is a file's cache
    (groups / "node/job/memory.max").write_text("max\n")
    assert available_bytes() == 8 << 30
    (groups / "node/memory.max").write_text(f"{3 << 30}\n")
    assert available_bytes() == 1 << 30
    cgroup.unlink()
    assert available_bytes() == 8 << 30
    meminfo.unlink()
    assert available_bytes() is None


def test_here_it_is_what_can_be_had():
    free = available_bytes()
    if free is None:
        pytest.skip("this system does not say")
    assert 1 << 20 < free < 1 << 50
    assert available_bytes("meta") is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_back_what_torch_holds_unused():
    before = available_bytes("cuda")
    block = torch.empty(1 << 30, dtype=torch.uint8, device="cuda")
    assert before - available_bytes("cuda") >= 1 << 30
    del block
    assert abs(available_bytes("cuda") - before) < 1 << 28
