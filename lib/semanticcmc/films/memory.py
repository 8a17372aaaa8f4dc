"""Memory that is still free, so that what cannot fit is refused before it is begun."""

from __future__ import annotations

from pathlib import Path

import torch

MEMINFO, CGROUP, CGROUPS = Path("/proc/meminfo"), Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def available_bytes(device: str | torch.device = "cpu") -> int | None:
    """Bytes that can still be had on a device; None where the system does not say.

    On a CPU the kernel's estimate (``MemAvailable``: free, and what it can drop at once), or less where the
    process has a limit (cgroup v2, as batch systems and containers set it).
    """
    device = torch.device(device)
    if device.type == "cuda":
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + held
    if device.type != "cpu":
        return None
    free = [*_machine(), *_limits()]
    return min(free) if free else None


def _machine() -> list[int]:
    try:
        lines = MEMINFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return [1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]


def _limits() -> list[int]:
    """What is left below each limit on this process's cgroup and those above it; file caches can be dropped."""
    try:
        groups = [line[3:] for line in CGROUP.read_text(encoding="utf-8").splitlines() if line[:3] == "0::"]
    except OSError:
        return []
    left = []
    for group in groups:
        folder = CGROUPS / group.lstrip("/")
        while True:
            try:
                most = (folder / "memory.max").read_text(encoding="utf-8").strip()
                used = int((folder / "memory.current").read_text(encoding="utf-8"))
                lines = (folder / "memory.stat").read_text(encoding="utf-8").splitlines()
                if most != "max":
                    values = {key: int(value) for key, value in (line.split() for line in lines)}
                    left.append(int(most) - used + values["active_file"] + values["inactive_file"])
            except (OSError, ValueError, KeyError):
                pass  # the root has no limit, and a container shows only part of the tree
            if folder == CGROUPS or CGROUPS not in folder.parents:
                break
            folder = folder.parent
    return left
