"""Free memory: what the kernel says of the machine, and less where a limit is set on the process."""

import pytest
import torch

from semanticcmc.films import memory
from semanticcmc.films.memory import available_bytes


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
        monkeypatch.setattr(memory, name, path)
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
