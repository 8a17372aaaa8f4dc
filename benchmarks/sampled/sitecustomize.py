"""Imported by every Python that finds this folder on its path: samples what the main thread does, and what it costs.

Each sample gives the processor time since the one before, of all threads of the process, to the kind of work of the
innermost function that `KINDS` knows. The file is written every second: not every process ends by itself.
"""

import atexit
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


def kind_of(frame):
    """Kind of work of a stack, innermost function first."""
    paths = []
    while frame is not None:
        paths.append(frame.f_code.co_filename)
        frame = frame.f_back
    if any("importlib._bootstrap>" in path for path in paths):
        return "imports"
    return next((kind for path in paths for part, kind in KINDS if part in path), "other")


def sample(file, job, main):
    """Add up processor time by kind until the process ends."""
    spent, before, written = {"start of Python": time.process_time()}, time.process_time(), 0.0

    def write():
        with open(f"{file}.part", "w") as out:
            json.dump({"job": job, "spent": spent}, out)
        os.replace(f"{file}.part", file)

    def take():
        nonlocal before
        kind = kind_of(sys._current_frames().get(main))
        now = time.process_time()
        spent[kind] = spent.get(kind, 0.0) + now - before
        before = now

    def loop():
        nonlocal written
        while True:
            time.sleep(EVERY_S)
            take()
            if time.monotonic() - written > 1:
                write()
                written = time.monotonic()

    atexit.register(lambda: (take(), write()))
    threading.Thread(target=loop, daemon=True).start()


if "SAMPLED" in os.environ:
    try:
        output = os.readlink("/proc/self/fd/1")  # a job's log, which names it
    except OSError:
        output = ""
    sample(os.path.join(os.environ["SAMPLED"], f"{os.getpid()}.json"), output, threading.main_thread().ident)
