"""The script for a GPU: parts that fail or hang leave a row and what they had found; words say what was not seen."""

import json
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch
from benchmarks.parts import gpu as parts
from benchmarks.training import write_store

from benchmarks import gpu

FOUND = {"what": "steps", "value": 2.0, "unit": "frames/s"}
SHOWS = f"print('{json.dumps(FOUND)}', flush=True)"
CODE = {
    "tests": f"{SHOWS}; raise ValueError('no such kernel')",
    "training": f"{SHOWS}; import subprocess, time; subprocess.Popen(['sleep', '60']); time.sleep(60)",
    "mantel": f"print('a warning'); {SHOWS}",
}


def test_what_fails_or_hangs_is_a_row_and_the_rest_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "PARTS", {"tests": (30, 30), "training": (2, 2), "mantel": (30, 30)})
    monkeypatch.setattr(gpu, "command_of", lambda part, device, folder: [sys.executable, "-c", CODE[part]])
    start = time.monotonic()
    text = gpu.measure("cuda", "a GPU", tmp_path, tmp_path)
    assert time.monotonic() - start < 30  # a process that a part started does not hold it up
    table = pd.read_csv(tmp_path / "gpu.csv")
    assert table.part.tolist() == ["tests", "tests", "training", "training", "mantel"]
    assert table.value.tolist() == pytest.approx([2, np.nan, 2, np.nan, 2], nan_ok=True)
    assert table.error.fillna("").tolist() == ["", "ValueError: no such kernel", "", "stopped after 2 s", ""]
    assert (table.device == "a GPU").all()
    assert (tmp_path / "gpu.md").read_text() == text
    assert json.loads((tmp_path / "gpu.json").read_text())["device"] == "a GPU"


def test_no_part_starts_when_the_time_is_over(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "ALL_S", 0)
    monkeypatch.setattr(gpu, "PARTS", {"training": (30, 30)})
    monkeypatch.setattr(gpu, "command_of", lambda part, device, folder: [sys.executable, "-c", CODE[part]])
    assert "failed (stopped after 0 s)" in gpu.measure("cpu", "cpu", tmp_path, tmp_path)
    assert (tmp_path / "gpu_cpu.csv").exists() and not (tmp_path / "gpu.csv").exists()


def test_words_say_what_was_reached_and_what_was_not_seen():
    row = {
        "device": "a GPU",
        "part": "training",
        "what": "loader",
        "value": 1000.0,
        "unit": "frames/s",
        "of": "data-free",
    }
    row |= {"share": 0.5, "goal": "share at least 0.8", "reached": False, "peak_gb": 3.0, "waits": 0.0, "hours": 12.0}
    bare = {"device": "a GPU", "part": "rdm", "what": "RDM", "value": 2.0, "unit": "ms"}
    lost = {"device": "a GPU", "part": "mantel", "error": "OutOfMemoryError: 3 GB"}
    lines = gpu.in_words(pd.DataFrame([row, bare, lost])).splitlines()
    assert lines[1:] == [
        "training, loader: 1,000 frames/s, 0.5 of data-free (goal share at least 0.8: missed), at most 3 GB, "
        "0 waits a step, 12 h for the study.",
        "rdm, RDM: 2 ms.",
        "mantel: failed (OutOfMemoryError: 3 GB).",
        "Not seen: the tests marked gpu, decoding, objectives, mantel, processes.",
    ]


def test_a_cpu_says_that_it_is_none():
    table = pd.DataFrame(
        [{"device": "cpu", "part": part, "what": "passed", "value": 1, "unit": ""} for part in gpu.PARTS]
    )
    assert gpu.in_words(table).endswith(f"Not seen: {gpu.UNSEEN_BY_A_CPU}.\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    write_store(folder, 160)
    return folder


def test_steps_are_those_of_the_run_by_every_source(folder):
    """Resident and loaded frames give the weights that `Run` gives; the data-free one repeats the first batch."""
    weights = {}
    for source in ("resident", "loader", "data-free"):
        run = parts.run_of(folder, "cpu")
        step = parts.step_of(run, source)
        for _ in range(3):
            step()
            weights.setdefault(source, []).append(run.model.fc8.weight.detach().clone())
    for resident, loaded in zip(weights["resident"], weights["loader"], strict=True):
        assert torch.equal(resident, loaded)
    assert torch.equal(weights["data-free"][0], weights["resident"][0])
    assert not torch.equal(weights["data-free"][1], weights["resident"][1])


def test_seconds_are_those_of_one_call(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(parts.time, "perf_counter", lambda: clock[0])

    def call():
        clock[0] += 0.01 if clock[0] else 60  # the first compiles

    assert parts.seconds_of(call, "cpu", 0.1) == pytest.approx(0.01)


def test_hours_are_of_all_epochs_frames_and_lags(folder, monkeypatch):
    monkeypatch.setattr(parts, "seconds_of", lambda call, *given, **more: 0.128)  # 1,000 pairs a second
    monkeypatch.setattr(parts, "waits_of", lambda step: 0.0)
    for name in ("reset_peak_memory_stats", "max_memory_allocated"):
        monkeypatch.setattr(torch.cuda, name, lambda: 5_000_000_000)
    run = parts.run_of(folder, "cpu", batch_pairs=128)
    rows = list(parts.by_source(run, "cuda", "poster", "published"))
    assert [row["value"] for row in rows] == pytest.approx([2000] * 3)
    assert [row["hours"] for row in rows] == pytest.approx([80 * 573 * 5 / 3600] * 3)
    assert [row.get("goal") for row in rows] == [None, "share at least 0.95", "share at least 0.8"]
    assert all(row.get("reached", True) for row in rows) and rows[0]["peak_gb"] == 5
