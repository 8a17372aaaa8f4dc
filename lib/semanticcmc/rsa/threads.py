"""Threads by the size of a problem: on a busy machine, waking them costs ten times what a small problem does."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator
from typing import Any

import torch

SMALL_S = 0.3  # seconds on one core, below which other threads are not woken


@contextlib.contextmanager
def threads_for(seconds: float) -> Iterator[None]:
    """Compute with one thread what takes about so many `seconds` on one core, if these are few.

    Afterwards torch, and NumPy's BLAS where threadpoolctl is installed, have the threads that they were given. BLAS has
    one number for the whole process, which only the main thread changes.
    """
    if seconds >= SMALL_S:
        yield
        return
    given = torch.get_num_threads()  # of this thread alone
    blas = _blas() if threading.current_thread() is threading.main_thread() else None
    with blas.limit(limits=1) if blas else contextlib.nullcontext():
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(given)


@functools.cache
def _blas() -> Any:
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    return ThreadpoolController().select(user_api="blas")
