"""Forks of one process run modules as processes of their own do: output, status, signals, and who outlives whom."""

import os
import signal
import subprocess
import sys
import time

import pytest

from semanticcmc import forks
from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks are served on Linux alone")
TOLD = """
import os, random, sys, time
import numpy as np
print(os.getpid(), os.getcwd(), os.environ.get("GIVEN"), sys.argv[1:], __name__, random.random(), np.random.rand())
print("an error", file=sys.stderr)
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A folder with modules to run, and the environment of a caller to whom forks are served."""
    folder = tmp_path_factory.mktemp("modules")
    (folder / "told.py").write_text(TOLD)
    (folder / "ends.py").write_text("import sys; sys.exit(int(sys.argv[1]))")
    (folder / "raises.py").write_text("raise ValueError('a reason')")
    (folder / "killed.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    waits = "import os, time\nprint(os.getpid(), flush=True)\ntry:\n    time.sleep(60)\n"
    (folder / "waits.py").write_text(waits + "except KeyboardInterrupt:\n    print('interrupted', flush=True)\n")
    given = {"PYTHONPATH": f"{ROOT / 'lib'}:{ROOT}:{folder}"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", given["PYTHONPATH"])
        with forks.serving() as variables:
            assert variables
            yield folder, os.environ | given | variables | forks.FIXED


def start(served, module, *arguments, **environment):
    folder, given = served
    command = [sys.executable, "-m", "semanticcmc.forks", module, *arguments]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "errors": "replace"}
    return subprocess.Popen(command, cwd=folder, env=given | environment, **options)


def is_there(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_fork_has_the_callers_folder_environment_arguments_and_output(served):
    first, second = (start(served, "told", "-x", "ü", GIVEN="a\nb \udcff").communicate() for _ in range(2))
    process, _, rest = first[0].partition(" ")
    assert rest.startswith(f"{served[0]} a\nb \ufffd ['-x', 'ü'] __main__ ")  # of a byte that is no UTF-8
    assert first[1] == "an error\n"
    assert first[0].split()[-2:] != second[0].split()[-2:]  # random numbers of its own
    assert process != second[0].partition(" ")[0]


@pytest.mark.parametrize(
    ("module", "arguments", "status"), [("ends", ["0"], 0), ("ends", ["7"], 7), ("killed", [], 137)]
)
def test_the_callers_status_is_the_forks(served, module, arguments, status):
    process = start(served, module, *arguments)
    assert process.wait(60) == status


def test_an_error_is_told_in_the_callers_output(served):
    process = start(served, "raises")
    assert "ValueError: a reason" in process.communicate()[1] and process.returncode == 1


def test_a_signal_to_the_caller_reaches_the_fork(served):
    process = start(served, "waits")
    fork = int(process.stdout.readline())
    assert fork != process.pid
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[0] == "interrupted\n" and process.returncode == 0
    other = start(served, "waits")
    other.stdout.readline()
    other.terminate()
    assert other.wait(60) == 128 + signal.SIGTERM


def test_a_fork_ends_with_its_caller(served):
    process = start(served, "waits")
    fork = int(process.stdout.readline())
    process.kill()
    until = time.monotonic() + 30
    while is_there(fork) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_there(fork)


@pytest.mark.parametrize("without", [{forks.SERVER: "/no/socket"}, {"OMP_NUM_THREADS": "2"}])
def test_where_no_fork_is_to_be_had_the_caller_runs_the_module(served, without):
    process = start(served, "told", **without)
    assert process.communicate()[0].startswith(f"{process.pid} {served[0]} ")


def test_a_server_that_was_killed_or_left_alone_is_not_waited_for(served):
    code = "with forks.serving() as given: print(given[forks.SERVER], flush=True); os.kill(os.getpid(), 9)"
    command = [sys.executable, "-c", f"import os; from semanticcmc import forks\n{code}"]
    owner = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=served[1])
    place = owner.stdout.readline().strip()
    owner.wait()
    time.sleep(0.5)  # the server's input has ended with its owner
    process = start(served, "told", **{forks.SERVER: place})
    assert process.communicate(timeout=60)[0].startswith(f"{process.pid} ")
