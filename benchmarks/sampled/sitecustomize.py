"""Imported by every Python that finds this folder on its path: samples what the main thread does, and what it costs.

Each sample gives the processor time since the one before, of all threads of the process, to the kind of work of the
innermost function that `KINDS` knows. The file is written again and again: not every process ends by itself.
"""

import atexit
import contextlib
import json
import os
import sys
import threading
import time

KINDS = (  # part of a file's path and the kind of work, the first that fits
    ("importlib._bootstrap", "imports"),
    ("semanticcmc/training/views", "views"),
    ("semanticcmc/training/crops", "views"),
    ("semanticcmc/films/", "films and frames"),
    ("/PIL/", "films and frames"),
    ("semanticcmc/world/", "drawing the world"),
    ("semanticcmc/rsa/distances", "RDMs"),
    ("semanticcmc/rsa/", "tests and intervals"),
    ("semanticcmc/labels/", "labels and time scales"),
    ("semanticcmc/timescales/", "labels and time scales"),
    ("semanticcmc/figures/", "figures"),
    ("/matplotlib/", "figures"),
    ("papers/build/", "pages"),
    ("/torch/autograd/", "forward and backward"),
    ("/torch/nn/", "forward and backward"),
    ("/torch/optim/", "forward and backward"),
    ("semanticcmc/training/", "rest of training"),
    ("semanticcmc/evaluation/", "rest of evaluation"),
    ("snakemake", "workflow"),
    ("papermill", "notebooks"),
    ("nbconvert", "notebooks"),
    ("ipykernel", "notebooks"),
)
EVERY_S = 0.005
WRITTEN_EVERY_S = 0.2


def kind_of(frame):
    """Kind of work of a stack, innermost function first."""
    paths = []
    while frame is not None:
        paths.append(frame.f_code.co_filename)
        frame = frame.f_back
    if any("importlib._bootstrap>" in path for path in paths):
        return "imports"
    return next((kind for path in paths for part, kind in KINDS if part in path), "other")


def sample(spent):
    """Add up processor time by kind in `spent` until the process ends."""
    file = os.path.join(os.environ["SAMPLED"], f"{os.getpid()}-{time.monotonic_ns()}.json")
    main, before, written, job, process = threading.main_thread().ident, time.process_time(), 0.0, "", os.getpid()

    def write():
        if process != os.getpid():
            return  # a fork, which has a file of its own
        with open(f"{file}.part", "w") as out:
            json.dump({"job": job, "spent": spent}, out)
        os.replace(f"{file}.part", file)

    def take():
        nonlocal before, job
        if "/logs/" not in job:  # a job's log, which names it; a kernel's output goes elsewhere later
            with contextlib.suppress(OSError):
                job = os.readlink("/proc/self/fd/1")
        kind = kind_of(sys._current_frames().get(main))
        now = time.process_time()
        spent[kind] = spent.get(kind, 0.0) + now - before
        before = now

    def loop():
        nonlocal written
        while True:
            time.sleep(EVERY_S)
            take()
            if time.monotonic() - written > WRITTEN_EVERY_S:
                write()
                written = time.monotonic()

    atexit.register(lambda: (take(), write()))
    threading.Thread(target=loop, daemon=True).start()


if "SAMPLED" in os.environ:
    sample({"start of Python": time.process_time()})
    os.register_at_fork(after_in_child=lambda: sample({}))
