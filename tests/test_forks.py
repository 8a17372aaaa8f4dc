"""Forks of one process run modules as processes of their own do: output, status, signals, and who outlives whom."""

import os
import signal
import socket
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
OWN = """
import atexit, multiprocessing, os, subprocess, sys
multiprocessing.set_start_method("spawn")
print(multiprocessing.current_process().name, multiprocessing.parent_process(), os.getpgrp() == os.getpid())
print([name for name, module in sys.modules.items() if module is None])
print(subprocess.run(["cat"], capture_output=True).stdout.decode())
atexit.register(print, "at its end")
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A folder with modules to run, and the environment of a caller to whom forks are served."""
    folder = tmp_path_factory.mktemp("modules")
    (folder / "told.py").write_text(TOLD)
    (folder / "ends.py").write_text("import sys; sys.exit(int(sys.argv[1]))")
    (folder / "speaks.py").write_text("import sys; print('a'); print('b', file=sys.stderr); sys.exit(7)")
    (folder / "raises.py").write_text("raise ValueError('a reason')")
    (folder / "killed.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    (folder / "own.py").write_text(OWN)
    looked_through = "any(one is vars(torch) for one in gc.get_objects())"  # frozen objects are not among them
    (folder / "garbage.py").write_text(f"import gc, torch; print(gc.isenabled(), {looked_through})")
    (folder / "leaves.py").write_text("import os, time\nif not os.fork():\n    time.sleep(20)\nos._exit(7)")
    waits = "import os, time\ntry:\n    print(os.getpid(), flush=True)\n    time.sleep(60)\n"
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
    return subprocess.Popen(command, cwd=folder, env=given | environment, preexec_fn=heard, **options)


def heard():
    """Ctrl-C, which a process ignores where tests run in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


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


def test_a_fork_finds_modules_where_its_caller_does(served, tmp_path):
    (tmp_path / "elsewhere.py").write_text("print('found')")
    assert start(served, "elsewhere", PYTHONPATH=f"{tmp_path}:{ROOT}/lib").communicate() == ("found\n", "")


def test_a_fork_collects_its_own_garbage_and_passes_by_what_was_imported(served):
    assert start(served, "garbage").communicate()[0] == "True False\n"


def test_no_module_comes_from_the_folder_that_a_run_is_started_in(tmp_path, monkeypatch):
    (tmp_path / "seaborn.py").write_text("raise SystemExit('not the real one')")
    (tmp_path / "told.py").write_text("import sys; print(sys.modules['seaborn'].__file__)")
    monkeypatch.chdir(tmp_path)
    with forks.serving() as variables:
        given = os.environ | {"PYTHONPATH": f"{ROOT}/lib"} | variables | forks.FIXED
        assert "site-packages" in start((tmp_path, given), "told").communicate()[0]


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_a_caller_without_a_stream_runs_the_module_itself(served, closed):
    """Or the socket to what serves forks would be the fork's stream: its output would be taken for signals."""
    command = f"exec {sys.executable} -m semanticcmc.forks speaks {closed}>&-"
    assert subprocess.run(command, shell=True, cwd=served[0], env=served[1], timeout=60).returncode == 7


def test_a_fork_leaves_what_all_share_when_it_ends(tmp_path):
    """Matplotlib's folder, a temporary one where no home can be written."""
    (tmp_path / "cache.py").write_text("import matplotlib, os; print(os.path.isdir(matplotlib.get_cachedir()))")
    homeless = {key: value for key, value in os.environ.items() if key[:4] not in ("XDG_", "MPLC")}
    homeless |= {"HOME": "/proc/none", "PYTHONPATH": f"{ROOT}/lib:{tmp_path}"}
    with forks.serving(homeless) as variables:
        said = [start((tmp_path, homeless | variables | forks.FIXED), "cache").communicate() for _ in range(2)]
    assert [output for output, _ in said] == ["True\n"] * 2 and "Exception" not in said[0][1] + said[1][1]


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


def has_ended(process):
    until = time.monotonic() + 30
    while is_there(process) and time.monotonic() < until:
        time.sleep(0.05)
    return not is_there(process)


def parent(process):
    return int(subprocess.run(["ps", "-o", "ppid=", "-p", str(process)], capture_output=True, check=True).stdout)


def test_a_fork_ends_with_its_caller_or_the_process_between(served):
    process = start(served, "waits")
    fork = int(process.stdout.readline())
    process.kill()
    assert has_ended(fork)
    process = start(served, "waits")
    fork = int(process.stdout.readline())
    os.kill(parent(fork), signal.SIGKILL)
    assert process.wait(30) == 1 and has_ended(fork)


def test_a_kernel_ends_with_who_started_it(served):
    code = """import os, subprocess, sys
os.environ["JPY_PARENT_PID"] = str(os.getpid())  # as jupyter_client sets it
subprocess.Popen([sys.executable, "-m", "semanticcmc.forks", "waits"])
sys.stdin.read()"""
    command = [sys.executable, "-c", code]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen(command, cwd=served[0], env=served[1], text=True, **pipes)
    fork = int(process.stdout.readline())
    process.kill()
    assert has_ended(fork)


def test_a_kernel_says_nothing_of_itself(served, tmp_path):
    given = {"JPY_PARENT_PID": str(os.getpid())}
    process = start(served, "ipykernel_launcher", "-f", str(tmp_path / "kernel.json"), **given)
    until = time.monotonic() + 30
    while not (tmp_path / "kernel.json").exists() and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.5)  # it would say so now
    process.terminate()
    assert process.communicate(timeout=30)[0] == ""


def test_a_fork_is_like_a_process_of_its_own(served):
    folder, given = served
    command = [sys.executable, "-m", "semanticcmc.forks", "own"]
    done = subprocess.run(command, cwd=folder, env=given, input="given", capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == ["MainProcess None True", "[]", "given", "at its end"], done.stderr


def test_what_a_fork_leaves_running_is_not_waited_for(served):
    assert start(served, "leaves").wait(10) == 7


def test_a_signal_that_the_caller_ignores_is_none_to_the_fork(served):
    folder, given = served
    command = ["nohup", sys.executable, "-m", "semanticcmc.forks", "waits"]
    process = subprocess.Popen(command, cwd=folder, env=given, stdout=subprocess.PIPE, text=True, preexec_fn=heard)
    fork = int(process.stdout.readline())
    for hung_up in (process.pid, fork):
        os.kill(hung_up, signal.SIGHUP)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[0] == "interrupted\n"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_caller_that_ends_before_its_fork_begins_has_none(served, number, tmp_path):
    server = socket.socket(socket.AF_UNIX)  # in its place, to hand on what the caller sent only once it has ended
    server.bind(str(place := tmp_path / "s"))
    server.listen()
    process = start(served, "waits", **{forks.SERVER: str(place)})
    connection, _ = server.accept()
    data, files, _, _ = socket.recv_fds(connection, 2**16, 3)
    process.send_signal(number)
    assert process.wait(30) != 0
    assert data.endswith(b"\n") and connection.recv(1) == b""
    with socket.socket(socket.AF_UNIX) as late:
        late.connect(served[1][forks.SERVER])
        reading, writing = os.pipe()
        socket.send_fds(late, [data], [files[0], writing, writing])
    os.close(writing)
    with os.fdopen(reading) as told:
        assert told.read() == ""  # no number of a process that waits
    for one in (*files, connection, server):
        os.close(one if isinstance(one, int) else one.detach())


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
