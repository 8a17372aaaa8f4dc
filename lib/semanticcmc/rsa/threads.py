"""Threads by the size of a problem: on a busy machine, waking them costs ten times what a small problem does."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator
from typing import Any

import torch

SMALL_S = 0.3  # seconds on one core, below which other threads are not woken
_lock, _limits, _inside = threading.Lock(), contextlib.ExitStack(), [0]


@contextlib.contextmanager
def threads_for(seconds: float) -> Iterator[None]:
    """Compute with one thread what takes about so many `seconds` on one core, if these are few.

    Otherwise, and afterwards, torch and BLAS have the threads that they were given. BLAS behind NumPy is held to
    one thread where threadpoolctl is installed.
    """
    if seconds >= SMALL_S:
        yield
        return
    given = torch.get_num_threads()  # each Python thread has its own number; BLAS has one for all of them
    with _lock:
        _inside[0] += 1
        if _inside[0] == 1 and (blas := _blas()):
            _limits.enter_context(blas.limit(limits=1))
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(given)
        with _lock:
            _inside[0] -= 1
            if not _inside[0]:
                _limits.close()


@functools.cache
def _blas() -> Any:
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    return ThreadpoolController().select(user_api="blas")
