"""One network over several processes: those that torchrun started, one a device."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import threading
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from semanticcmc.config import InputError
from semanticcmc.run import handled
from semanticcmc.training.networks import AlexNet
from semanticcmc.training.objectives.base import Objective
from semanticcmc.training.pairings import Draw
from semanticcmc.training.recipe import TrainingConfig


@dataclasses.dataclass(frozen=True)
class Processes:
    """Which of how many processes this one is; process 0 is the one that writes."""

    rank: int
    count: int

    def share(self, n: int) -> slice:
        """The part that this process takes of `n` pairs; InputError where they cannot be dealt out evenly."""
        if n % self.count or n // self.count < 2:
            raise InputError(
                f"batch_pairs {n}: {self.count} processes cannot have as many pairs each, 2 or more; "
                f"take a multiple of {self.count}"
            )
        each = n // self.count
        return slice(self.rank * each, (self.rank + 1) * each)

    @contextlib.contextmanager
    def first_one_first(self) -> Iterator[None]:
        """The others enter the block when process 0 has left it."""
        if self.count > 1 and self.rank:
            distributed.barrier()
        yield
        if self.count > 1 and not self.rank:
            distributed.barrier()

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether `flag` is true in any process; all are to ask at once."""
        if self.count == 1:
            return flag
        flags = torch.tensor(float(flag), device=device)
        distributed.all_reduce(flags, distributed.ReduceOp.MAX)
        return bool(flags)


@contextlib.contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """Join the processes of this network if torchrun started several: by NCCL on CUDA, else by gloo.

    A process that fails does not wait for the others to leave the group, so that torchrun can end them.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
        distributed.init_process_group("nccl", device_id=device)
    else:
        distributed.init_process_group("gloo")
    yield
    distributed.destroy_process_group()


def this_process() -> Processes:
    """The processes that were `joined`; one alone where none were."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return Processes(0, 1)
    return Processes(distributed.get_rank(), distributed.get_world_size())


@contextlib.contextmanager
def terminated() -> Iterator[list[int]]:
    """A list that SIGTERM and Ctrl-C fill instead of ending the process (main thread only); not a second Ctrl-C."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return

    def catch(number: int, _: object) -> None:
        if number == signal.SIGINT and number in caught:
            raise KeyboardInterrupt
        caught.append(number)

    with handled(catch, signal.SIGTERM, signal.SIGINT):
        yield caught


def wrapped(
    objective: Objective, config: TrainingConfig, processes: Processes, device: torch.device
) -> Callable[[tuple[Tensor, ...], Draw], Tensor]:
    """The objective as it is trained: compiled if wanted and, over several processes, with mean gradients.

    Batch norm's running statistics, which training does not use, are those of process 0, which writes. Raises
    InputError for ``sync_batch_norm`` over several processes without CUDA.
    """
    if processes.count > 1 and config.sync_batch_norm:
        if device.type != "cuda":
            raise InputError("training.sync_batch_norm: on CUDA only; say false for processes on a CPU")
        nn.SyncBatchNorm.convert_sync_batchnorm(objective)  # in place, with the same parameters
    if config.compile:
        for half in objective.encoder.modules():  # a LabPair has two
            if isinstance(half, AlexNet):
                half.compile()
    if processes.count == 1:
        return objective
    devices = [device] if device.type == "cuda" else None
    unused = not objective.uses_whole_encoder
    return DistributedDataParallel(objective, devices, broadcast_buffers=False, find_unused_parameters=unused)
