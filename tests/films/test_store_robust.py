"""Ingest that is interrupted: killed, or out of disk. What is finished stays, nothing torn is taken for a film."""

import importlib
import os
import resource
import sys
from multiprocessing import get_context

import numpy as np
import pyarrow.parquet as pq
import pytest

from semanticcmc.config import InputError
from semanticcmc.films.files import Frame, is_finished, merge_index, write_film
from semanticcmc.films.store import FrameStore
from semanticcmc.run import DiskFullError, atomic

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a server that forks")


def noise(n):
    generator = np.random.default_rng(0)
    for t in range(n):
        yield Frame(t, t, t, generator.integers(0, 255, size=(64, 96, 3), dtype=np.uint8))


def test_an_ingest_killed_once_ends_as_if_undisturbed(tmp_path):
    """The study of validation/ingest.py, with two short films and one kill."""
    pytest.importorskip("av")
    study = importlib.import_module("validation.ingest")
    table, _ = study.study(tmp_path, [6, 8], kills=1)
    row = table.iloc[0]
    assert row["byte_identical"] and row["finished_untouched"] and row["rerun_ended_well"]
    assert row["decoded_again"] == 0 and row["unfinished_files_left"] == 0


def write_with_small_files(folder):
    """Write a film where files may have 64 KiB, as on a disk that is full then; what was said."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
    try:
        write_film(folder, "a", noise(100), 90, {"source": "x"})
    except DiskFullError as error:
        return str(error)


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path):
    """The limit gives EFBIG where a full disk gives ENOSPC; no small file system need be mounted for it."""
    write_film(tmp_path, "before", noise(2), 90, {"source": "x"})

    with get_context("forkserver").Pool(1) as child:
        said = child.apply(write_with_small_files, (tmp_path,))
    assert "a.tar" in said and f"disk that holds {tmp_path}" in said
    assert "MB free" in said and "Make room and start again" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["before.parquet", "before.tar"]
    assert is_finished(tmp_path, "before", {"source": "x"})
    write_film(tmp_path, "a", noise(100), 90, {"source": "x"})  # room was made
    assert is_finished(tmp_path, "a", {"source": "x"})


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_no_space_left_is_a_full_disk(tmp_path):
    """/dev/full answers every write with ENOSPC, as a full disk does."""
    named = pytest.raises(DiskFullError, match="No space left on device.*MB free")
    with named, atomic(tmp_path / "a.txt"), open("/dev/full", "w") as full:
        full.write("x")


def test_what_a_killed_job_left_is_cleared(tmp_path):
    other = tmp_path / ".ab.tar.12.part.tar"
    for path in (tmp_path / ".a.tar.12.part.tar", other):
        path.write_bytes(b"torn")
    write_film(tmp_path, "a", noise(2), 90)
    assert sorted(p.name for p in tmp_path.iterdir()) == [other.name, "a.parquet", "a.tar"]


@pytest.mark.parametrize("where", ["first", "middle", "last", "quantisation table", "height"])
def test_one_flipped_bit_is_noticed_when_the_frame_is_read(tmp_path, where):
    """Most flips inside a JPEG give other pixels without a word of the decoder."""
    write_film(tmp_path, "a", noise(5), 90)
    index = merge_index(tmp_path)
    frame = index.iloc[2]
    marker = {"quantisation table": b"\xff\xdb", "height": b"\xff\xc0"}.get(where)
    content = bytearray((tmp_path / "a.tar").read_bytes())
    start, length = int(frame.offset), int(frame.nbytes)
    at = (
        content.index(marker, start) + 6
        if marker
        else start + {"first": 0, "middle": length // 2, "last": length - 1}[where]
    )
    content[at] ^= 1
    (tmp_path / "a.tar").write_bytes(content)
    store = FrameStore(tmp_path)
    for use in (lambda: store.read("a", 2.0), lambda: store.resident(), lambda: store.read_rows([4, 2])):
        with pytest.raises(InputError, match=r"a\.tar: the frame at 2 s cannot be read .*make the film again"):
            use()
    assert store.read("a", 3.0).shape == (64, 96, 3)


def test_a_store_of_an_earlier_version_is_read_as_before(tmp_path):
    write_film(tmp_path, "a", noise(3), 90)
    merge_index(tmp_path)
    before = FrameStore(tmp_path).resident()
    for name in ("a.parquet", "index.parquet"):
        table = pq.read_table(tmp_path / name)
        pq.write_table(table.drop_columns(["crc32"]), tmp_path / name)
    merge_index(tmp_path)
    assert (FrameStore(tmp_path).resident() == before).all()
