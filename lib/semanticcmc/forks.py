"""Jobs that start at once, as forks of one process that has imported what they need.

A notebook's kernel imports torch, pandas and matplotlib for longer than most notebooks then work. Within `serving`, a
process imports them once, for the first job that asks. ``python -m semanticcmc.forks MODULE ...`` in place of ``python
-m MODULE ...`` has it fork; the fork runs the module in the caller's folder, with its environment and output, gets its
signals and ends with it. Where nothing serves, as on another machine of a cluster, the caller runs the module itself.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import multiprocessing
import os
import random
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from multiprocessing.connection import wait
from typing import Any

SERVER = "SEMANTICCMC_FORKS"  # the variable that holds the path of the socket
FIXED = {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}  # what a process that runs can no longer change
NEEDED = (
    *("semanticcmc.study", "semanticcmc.rsa.kernels", "papermill", "ipykernel.kernelapp", "ipykernel.debugger"),
    *("seaborn", "fontTools.subset", "sklearn.linear_model", "sklearn.model_selection", "sklearn.neighbors"),
    "torch._dynamo",  # which every optimiser imports
)
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def serving() -> Iterator[dict[str, str]]:
    """Serve forks to processes that get the variables given; there are none but on Linux."""
    with contextlib.ExitStack() as stack:
        place = f"{stack.enter_context(tempfile.TemporaryDirectory())}/socket"  # which this user alone may enter
        try:
            listening = stack.enter_context(socket.socket(socket.AF_UNIX))
            listening.bind(place)
            listening.listen()
        except OSError:  # a longer path than sockets have
            listening.close()
        if sys.platform != "linux" or listening.fileno() < 0:
            yield {}
            return
        server = subprocess.Popen(
            [sys.executable, "-m", "semanticcmc.forks", "--serve", str(listening.fileno())],
            pass_fds=[listening.fileno()],
            env=os.environ
            | FIXED
            | {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,  # it ends with this, whatever ends this process
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,  # which no Ctrl-C reaches
        )
        listening.close()  # so that nobody waits for a server that was killed
        try:
            yield {SERVER: place}
        finally:
            server.kill()
            server.communicate()


def import_less() -> None:
    """Let papermill go without what takes long to import: jsonschema's check of URIs, the tidying of parameters."""
    for slow in ("rfc3987_syntax", "black"):
        sys.modules.setdefault(slow, None)  # type: ignore[arg-type]


def _serve(listening: socket.socket) -> None:
    """Fork for each that connects, until the standard input ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    import_less()
    while 0 not in wait([listening, 0]):
        connection, _ = listening.accept()
        for name in NEEDED:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
        if not os.fork():
            try:
                listening.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _tend(connection)
            finally:
                os._exit(0)
        connection.close()


def _tend(connection: socket.socket) -> None:
    """Run a job in a fork of its own, hand it the caller's signals, and tell the caller how it ended."""
    data, files, _, _ = socket.recv_fds(connection, 2**16, 2)
    while not data.endswith(b"\n"):
        data += connection.recv(2**16)
    job = multiprocessing.get_context("fork").Process(target=_work, args=(connection, files, json.loads(data)))
    job.start()
    connection.sendall(b"+")
    while job.sentinel not in wait([job.sentinel, connection]):
        told = connection.recv(1)
        os.kill(job.pid or 0, told[0] if told else signal.SIGKILL)  # without its caller, it ends
        if not told:
            break
    job.join()
    connection.sendall((job.exitcode or 0).to_bytes(2, "big", signed=True))


def _work(connection: socket.socket, files: list[int], job: dict[str, Any]) -> None:
    import numpy as np

    connection.close()
    for number, file in enumerate(files, start=1):
        os.dup2(file, number)
        os.close(file)
    for one in PASSED_ON:
        signal.signal(one, signal.default_int_handler if one == signal.SIGINT else signal.SIG_DFL)
    os.chdir(job["folder"])
    os.environ.clear()
    os.environ |= job["environment"]
    sys.path[0] = job["folder"]
    random.seed()  # or all forks would draw the same
    np.random.seed()  # noqa: NPY002
    _run(job["arguments"])


def _run(arguments: list[str]) -> None:
    sys.argv[:] = arguments
    runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)


def _forked(arguments: list[str]) -> int | None:
    """Exit status of a fork that runs the module; None if there is none."""
    if any(os.environ.get(name) != value for name, value in FIXED.items()):
        return None
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(os.environ[SERVER])
            job = {"arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ)}
            data = json.dumps(job).encode() + b"\n"
            connection.sendall(data[socket.send_fds(connection, [data], [1, 2]) :])
            for number in PASSED_ON:
                signal.signal(number, lambda number, _: connection.send(bytes([number])))
            begun = connection.recv(1)
        except (OSError, KeyError):
            begun = b""
        if begun:
            status = int.from_bytes(connection.recv(2) or b"\0\1", "big", signed=True)
            return status if status >= 0 else 128 - status
    return None


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        _serve(socket.socket(fileno=int(sys.argv[2])))
    elif (status := _forked(sys.argv[1:])) is not None:
        sys.exit(status)
    else:
        for number in PASSED_ON:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        _run(sys.argv[1:])
