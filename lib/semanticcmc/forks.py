"""Jobs that start at once, as forks of one process that has imported what they need.

A notebook's kernel imports torch, pandas and matplotlib for longer than most notebooks then work. Within `serving`, a
process imports them once, for the first job that asks. ``python -m semanticcmc.forks MODULE ...`` in place of ``python
-m MODULE ...`` has it fork; the fork runs the module in the caller's folder, with its environment and output, gets its
signals and ends with it. Where nothing serves, as on another machine of a cluster, the caller runs the module itself.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import multiprocessing.util
import os
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from multiprocessing.connection import wait
from typing import Any

SERVER = "SEMANTICCMC_FORKS"  # the variable that holds the path of the socket
FIXED = {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}  # what a process that runs can no longer change
AS_A_KERNEL = {"JPY_PARENT_PID": "1", "MPLBACKEND": "module://matplotlib_inline.backend_inline"}  # when imported
NEEDED = (
    *("semanticcmc.cli", "semanticcmc.study", "semanticcmc.rsa.kernels", "semanticcmc.training.loop"),
    *("papermill", "ipykernel.kernelapp", "ipykernel.debugger", "pydantic.type_adapter", "pyarrow.dataset"),
    *("seaborn", "matplotlib.backends.backend_svg", "fontTools.ttLib", "uharfbuzz"),
    *("sklearn.linear_model", "sklearn.model_selection", "sklearn.neighbors"),
    "torch._dynamo",  # which every optimiser imports
)
SLOW = ("rfc3987_syntax", "black")
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def serving(environment: Mapping[str, str] = os.environ) -> Iterator[dict[str, str]]:
    """Serve forks to processes that have an environment and get the variables given; there are none but on Linux."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket(socket.AF_UNIX))
        try:
            place = f"{stack.enter_context(tempfile.TemporaryDirectory())}/socket"  # which this user alone may enter
            listening.bind(place)
            listening.listen()
        except OSError:  # nowhere to write, or a longer path than sockets have
            listening.close()
        if sys.platform != "linux" or listening.fileno() < 0:
            yield {}
            return
        server = subprocess.Popen(
            [sys.executable, "-uP", "-m", "semanticcmc.forks", "--serve", str(listening.fileno())],  # of no folder
            pass_fds=[listening.fileno()],
            env=dict(environment) | FIXED | AS_A_KERNEL,
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
    for slow in SLOW:
        sys.modules.setdefault(slow, None)  # type: ignore[arg-type]


def _serve(listening: socket.socket) -> None:
    """Fork for each that connects, until the standard input ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    import_less()
    gc.disable()  # of what is imported nothing is garbage
    while 0 not in wait([listening, 0]):
        connection, _ = listening.accept()
        for name in NEEDED:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
        gc.freeze()  # a fork that looked through it for garbage would copy it all
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
    data, files, _, _ = socket.recv_fds(connection, 2**16, 3)
    while not data.endswith(b"\n"):
        if not (more := connection.recv(2**16)):
            return  # the caller ended
        data += more
    connection.sendall(b"+")
    if not (told := connection.recv(1)):  # a signal, or 0 as soon as the caller hands them on
        return
    given = (connection, files, json.loads(data), multiprocessing.current_process())
    job = multiprocessing.get_context("fork").Process(target=_work, args=given)
    job.start()
    while told and job.is_alive():  # asked once a second too: what the job forks keeps its sentinel open
        os.kill(job.pid or 0, told[0])
        told = connection.recv(1) if connection in wait([job.sentinel, connection], timeout=1) else b"\0"
    if told:
        connection.sendall((job.exitcode or 0).to_bytes(2, "big", signed=True))
    else:  # without its caller, it ends
        job.kill()


def _work(connection: socket.socket, files: list[int], job: dict[str, Any], main: Any) -> None:
    import numpy as np

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: it ends with its parent
    gc.enable()
    atexit.unregister(shutil.rmtree)  # of a folder that all share, as matplotlib's where no home can be written
    connection.close()
    os.setsid()  # what it sends to its group reaches no other job
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    for one in PASSED_ON:
        default = signal.default_int_handler if one == signal.SIGINT else signal.SIG_DFL
        signal.signal(one, signal.SIG_IGN if one in job["ignored"] else default)
    os.chdir(job["folder"])
    os.environ.clear()
    os.environ |= job["environment"]
    sys.path[:0] = [job["folder"], *filter(None, job["environment"].get("PYTHONPATH", "").split(os.pathsep))]
    for slow in SLOW:
        sys.modules.pop(slow, None)
    multiprocessing.set_start_method(None, force=True)  # to others it is a main process
    vars(multiprocessing.process).update(_parent_process=None, _current_process=main)
    if sys.version_info < (3, 13):  # from then on multiprocessing does so itself
        multiprocessing.util.Finalize(None, atexit._run_exitfuncs, exitpriority=0)
    np.random.seed()  # noqa: NPY002  # or all forks would draw the same; Python's own random does so itself
    sys.argv[:] = job["arguments"]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _forked(arguments: list[str]) -> int | None:
    """Exit status of a fork that runs the module; None if there is none."""
    streams = all(os.path.exists(f"/proc/self/fd/{number}") for number in range(3))  # or a socket would be one
    if not streams or any(os.environ.get(name) != value for name, value in FIXED.items()):
        return None
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.settimeout(300)  # imports from a slow disk take long
            connection.connect(os.environ[SERVER])
            if os.environ.get("JPY_PARENT_PID") == str(os.getppid()):  # a kernel, which ends with who started it
                ctypes.CDLL(None).prctl(1, signal.SIGKILL)
            ignored = [number for number in PASSED_ON if signal.getsignal(number) == signal.SIG_IGN]  # as by nohup
            job = {"arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ), "ignored": ignored}
            data = json.dumps(job).encode() + b"\n"
            connection.sendall(data[socket.send_fds(connection, [data], [0, 1, 2]) :])
            if not connection.recv(1):
                return None
        except (OSError, KeyError):
            return None
        connection.settimeout(None)
        for number in {*PASSED_ON} - {*ignored}:
            signal.signal(number, lambda number, _: connection.send(bytes([number])))
        connection.sendall(b"\0")
        status = int.from_bytes(connection.recv(2) or b"\0\1", "big", signed=True)
        return status if status >= 0 else 128 - status


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        _serve(socket.socket(fileno=int(sys.argv[2])))
    elif (status := _forked(sys.argv[1:])) is not None:
        sys.exit(status)
    else:
        del sys.argv[0]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
