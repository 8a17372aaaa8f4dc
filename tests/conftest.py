"""What several test modules share: the repository, the smoke experiment run once through the whole pipeline."""

import contextlib
import functools
import gc
import json
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import unittest.mock
from pathlib import Path

import pytest

from semanticcmc import forks
from semanticcmc.cli import main

# Processes that tests start import the same modules: compiled once, also where the environment forbids it.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
if "PYTEST_XDIST_WORKER" in os.environ:  # of several processes, each computes with one thread, and what it starts
    os.environ["OMP_NUM_THREADS"] = "1"
forks.import_less()
gc.disable()  # while all is imported
# Imports once what processes that tests start by it would import each; every optimiser needs the second.
multiprocessing.set_forkserver_preload(["semanticcmc.study", "torch._dynamo"])
ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def repository():
    return ROOT


def run_pipeline(experiment, results, *arguments, environment=()):
    """`python -m semanticcmc run` as a user does it; returns the finished process."""
    command = [sys.executable, "-m", "semanticcmc", "run", str(experiment), "--results", str(results), *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | dict(environment)
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)


OPEN = contextlib.ExitStack()


@functools.cache
def forks_of_all():
    """Variables for forks of one process that serves all runs of this process."""
    return OPEN.enter_context(forks.serving())


def forked_kernels(folder):
    """Variables for Jupyter, whose kernels are forks then, as the workflow's are; their description is in a folder."""
    command = [sys.executable, "-m", "semanticcmc.forks", "ipykernel_launcher", "-f", "{connection_file}"]
    file = folder / "kernels" / "python3" / "kernel.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"argv": command, "display_name": "Python 3", "language": "python"}))
    return forks_of_all() | forks.FIXED | {"JUPYTER_PATH": str(folder)}


def run_pipeline_here(experiment, results, *arguments, environment=()):
    """The same command within this process, which has imported torch already, as what serves the forks of its jobs has.

    Snakemake and its jobs are as ever.
    """
    command = ["run", str(experiment), "--results", str(results), *arguments]
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile("w+", buffering=1)) for _ in range(2)]
        for number, file in enumerate(files, start=1):  # what Snakemake says comes by the descriptors 1 and 2
            kept = os.dup(number)
            stack.callback(os.close, kept)
            stack.callback(os.dup2, kept, number)
            os.dup2(file.fileno(), number)
        stack.enter_context(contextlib.redirect_stdout(files[0]))
        stack.enter_context(contextlib.redirect_stderr(files[1]))
        stack.enter_context(contextlib.chdir(ROOT))
        serving = contextlib.nullcontext(forks_of_all())
        stack.enter_context(unittest.mock.patch("semanticcmc.workflow.serving", lambda _: serving))
        stack.enter_context(unittest.mock.patch.dict(os.environ, {"OMP_NUM_THREADS": "1"} | dict(environment)))
        status = main(command)
        for file in files:
            file.seek(0)
        return subprocess.CompletedProcess(command, status, *(file.read() for file in files))


@pytest.fixture(scope="session")
def pipeline():
    return run_pipeline_here


@functools.cache
def scope(file):
    """Which tests one process runs: those of a file; all on the smoke experiment; all that start two trainings at once.

    Of the latter, two at a time would be four processes that wait for one another on two cores, for twice as long.
    """
    text = (ROOT / file).read_text()
    if re.search(r"def \w+\(.*\bsmoke\b.*\):", text):
        return "smoke"
    return "two processes" if re.search(r"world_size=2|nproc-per-node", text) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Processes (pytest -n) share tests by `scope`."""
    from xdist.scheduler import LoadScopeScheduling

    class ByScope(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return scope(nodeid.partition("::")[0])

    return ByScope(config, log)


def pytest_collection_modifyitems(items):
    """The longest come first, so that at the end no process works on them alone."""
    pipeline = {item.path for item in items if item.get_closest_marker("pipeline")}
    items.sort(key=lambda item: (scope(item.path) != "smoke", item.path not in pipeline, scope(item.path) == item.path))


def pytest_collection_finish():
    """What was imported lives to the end: Python need not look through it for garbage again and again."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_sessionfinish():
    """The browser that pages were looked at with ends before Python, which waits for its thread."""
    OPEN.close()
    if opened := sys.modules.get("tests.papers.accessibility"):
        opened.close()
    gc.unfreeze()  # or libraries tell of leaks


@pytest.fixture(scope="session")
def smoke(tmp_path_factory):
    """The smoke experiment from the world to the poster: the results folder and what the command said."""
    results = tmp_path_factory.mktemp("smoke")
    (results / "opened").mkdir()  # files that its jobs open, for test_contents
    path = os.pathsep.join(filter(None, (str(ROOT / "tests" / "opened"), os.environ.get("PYTHONPATH"))))
    done = run_pipeline("smoke", results, environment={"OPENED": str(results / "opened"), "PYTHONPATH": path})
    assert done.returncode == 0, done.stdout + done.stderr
    return results / "smoke", done.stdout
