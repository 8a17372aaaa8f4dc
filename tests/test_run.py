import json
import math
import os
import resource
import signal
import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch

from semanticcmc import run
from semanticcmc.config import InputError
from semanticcmc.run import (
    DiskFullError,
    Progress,
    atomic,
    duration,
    git_commit,
    is_run_by_papermill,
    record,
    refuse_unknown_parameters,
    remove_torn,
    write_json,
)


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with atomic(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_killed_writer_never_leaves_a_torn_file(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    code = (
        "import os, signal, sys; from semanticcmc.run import atomic\n"
        "with atomic(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)]).returncode == -9
    assert path.read_text() == "old"


@pytest.mark.parametrize("name", ["a.pt", "networks/x/b.csv", "c", ".d.json", "e with 12.parts.tar"])
def test_the_next_start_removes_what_kills_left_and_no_more(tmp_path, name):
    """A file of a process that lives, one that was written to just now, and files of users stay."""
    code = "import os, sys; from semanticcmc.run import atomic\nwith atomic(sys.argv[1]) as one:\n"
    code += "    one.write_text('half'); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / name)])
    (torn,) = (path for path in tmp_path.rglob("*") if path.is_file())
    remove_torn(tmp_path)
    assert torn.exists()  # it may be another computer's
    kept = [f".x.{os.getpid()}.part.tar", ".x.part.tar", ".x.1.partly", "x.999999999.part.tar"]
    for path in (torn, *(tmp_path / one for one in kept)):
        path.touch()
        os.utime(path, (1, 1))
    remove_torn(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)


def saved_with_small_files(file, elements):
    """Save a checkpoint where files may have 64 KiB, as on a disk that is full then; what was said."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
    try:
        with atomic(file) as temporary:
            torch.save({f"layer {n}": torch.zeros(elements) for n in range(3)}, temporary)
    except DiskFullError as error:
        return str(error)


@pytest.fixture(scope="module")
def child():
    with get_context("forkserver").Pool(1) as child:
        yield child


@pytest.mark.parametrize("elements", [6_000, 16_000, 16_384, 100_000, 3_000_000])
def test_a_disk_that_is_full_when_a_checkpoint_is_saved_is_named(tmp_path, child, elements):
    """torch.save raises a RuntimeError, whose text depends on where in the file the disk is full."""
    said = child.apply(saved_with_small_files, (tmp_path / "checkpoint.pt", elements))
    assert "checkpoint.pt" in said and "MB free" in said and "Make room and start again" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["src/lib/semanticcmc", "lib/python3/site-packages/semanticcmc", "a/b/c/semanticcmc"])
def test_a_repository_around_an_unpacked_archive_is_not_ours(tmp_path, monkeypatch, place):
    (tmp_path / place).mkdir(parents=True)
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    subprocess.run(["git", *who, "-C", tmp_path, "commit", "-q", "--allow-empty", "-m", "theirs"], check=True)
    monkeypatch.setattr(run, "__file__", str(tmp_path / place / "run.py"))
    assert git_commit() is None
    monkeypatch.setattr(run, "__file__", str(tmp_path / "lib" / "semanticcmc" / "run.py"))
    Path(run.__file__).parent.mkdir(parents=True, exist_ok=True)
    assert git_commit()  # where the repository is our own checkout


def test_json_holds_no_nan_and_reads_back(tmp_path):
    write_json(tmp_path / "a.json", {"x": math.nan, "path": tmp_path, "list": (1, 2.5, None)})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": None, "path": str(tmp_path), "list": [1, 2.5, None]}


def test_the_record_says_how_a_result_was_made():
    made = record({"steps": 3}, seed=4, device="cpu")
    assert made["config"] == {"steps": 3}
    assert made["seed"] == 4
    assert made["device"] == "cpu"
    assert {"git_commit", "python", "versions", "platform", "written"} <= made.keys()
    assert made["versions"]["torch"]


def test_unknown_notebook_parameters_are_refused():
    injected = "# Parameters\nexperiment = 'smoke'\nlagg_s = 60\n"
    cells = ["", "experiment = 'smoke'\nlag_s = 60", injected]
    with pytest.raises(InputError, match="lagg_s.*experiment, lag_s"):
        refuse_unknown_parameters(cells)
    refuse_unknown_parameters(["", "experiment = 'smoke'\nlagg_s = 60", injected, "%time 3"])
    assert is_run_by_papermill(cells)
    assert not is_run_by_papermill(["experiment = 'miniature'  # Parameters", "lag_s = 3"])


def test_a_name_that_the_opening_cell_does_not_read_is_told(capsys):
    opening = "E = semanticcmc.open(experiment, In, layer=layer)"
    refuse_unknown_parameters(["", "experiment = 'smoke'\nlayer = None\nlayr = 'conv5'", opening])
    assert capsys.readouterr().out.startswith("layr: no parameter of this notebook, which takes experiment, layer;")
    refuse_unknown_parameters(["", "experiment = 'smoke'\nlayer = None", opening])
    refuse_unknown_parameters(["", "experiment = 'smoke'\nlater = 1\nE = semanticcmc.open(experiment, In)"])  # one cell
    refuse_unknown_parameters([])
    assert capsys.readouterr().out == ""


def test_progress_reports_time_left_and_keeps_a_file(tmp_path, capsys):
    progress = Progress("semantic_60s, seed 0", 10, tmp_path, every_s=0)
    for done in range(11):
        progress.update(done, "loss 1.0")
    values = json.loads((tmp_path / "semantic_60s-seed-0.json").read_text())
    assert (values["done"], values["total"]) == (10, 10)
    lines = capsys.readouterr().err.splitlines()
    assert "semantic_60s, seed 0: 5 of 10" in lines[5]
    assert "left" in lines[5]
    assert "left" not in lines[-1]


@pytest.mark.parametrize(("seconds", "text"), [(45, "45 s"), (300, "5 min"), (7200, "2.0 h")])
def test_durations_as_a_person_says_them(seconds, text):
    assert duration(seconds) == text
