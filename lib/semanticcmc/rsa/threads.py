"""Threads by the size of a problem, since waking them costs ten times what a small one does; memory that is kept."""

from __future__ import annotations

import contextlib
import functools
import math
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

SMALL_S = 0.3  # seconds on one core, below which other threads are not woken
KEPT = 4  # arrays that are kept for the next call, of at most so many values (32 MiB) each
KEPT_VALUES = 2**22
_free: list[NDArray[np.float64]] = []


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


@contextlib.contextmanager
def workspace(*shape: int, dtype: type[np.inexact[Any]] = np.float64) -> Iterator[NDArray[Any]]:
    """An array with any content, for the time of the ``with``: to get new memory takes as long as to compute in it."""
    size = 2 * math.ceil(math.prod(shape) * np.dtype(dtype).itemsize / 16)  # whole numbers of any dtype
    try:
        buffer = _free.pop()  # in one step, whatever the threads
    except IndexError:
        buffer = np.empty(0)
    if len(buffer) < size:
        buffer = np.empty(size)
    try:
        yield buffer[:size].view(dtype)[: math.prod(shape)].reshape(shape)
    finally:
        if len(buffer) <= KEPT_VALUES and len(_free) < KEPT:
            _free.append(buffer)
