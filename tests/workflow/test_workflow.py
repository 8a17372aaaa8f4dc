"""What is counted and told of Snakemake's jobs, by events made here and by Snakemake itself."""

import errno
import io
import json
import os
import signal
import subprocess
import sys
import time
import types

import nbformat
import psutil
import pytest

from semanticcmc.forks import FIXED
from semanticcmc.workflow import locked, resolve_experiment, run_snakemake
from snakemake_logger_plugin_semanticcmc import MOST_ERRORS, Jobs
from tests.conftest import forks_of_all


def record(**fields):
    return types.SimpleNamespace(**fields)


def test_time_left_counts_waiting_jobs_at_the_mean_of_their_kind():
    jobs = Jobs()
    jobs.feed("run_info", record(stats={"all": 1, "train": 5, "total": 6}))
    jobs.feed("job_info", record(jobid=3, rule_name="train"))
    jobs.feed("job_finished", record(job_id=3))
    jobs.seconds["train"] = [30.0]
    assert jobs.left_s(1) == pytest.approx(4 * 30)
    assert jobs.left_s(2) == pytest.approx(4 * 30 / 2)


def test_jobs_that_a_checkpoint_adds_are_counted():
    jobs = Jobs()
    jobs.feed("run_info", record(stats={"probe_films": 1, "all": 1, "total": 2}))
    jobs.feed("job_info", record(jobid=1, rule_name="probe_films"))
    jobs.feed("job_finished", record(job_id=1))
    jobs.feed("progress", record(done=1, total=4))
    assert (jobs.done, jobs.total) == (1, 3)


SNAKEFILE = """
rule all:
    input: "bad", "good1", "good2", "worse", "never"

rule bad:
    output: "bad"
    log: "logs/bad.log"
    priority: 50
    shell: "echo 'starting' > {log}; echo 'error: a.tar: No space left on device' >> {log}; exit 2"

rule good:
    output: "good{n}"
    log: "logs/good{n}.log"
    shell: "sleep 0.2; echo 'error: in a job that ended well' > {log}; touch {output}"

rule worse:
    input: "good1"
    output: "worse"
    log: "logs/worse.log"
    shell: "echo 'error: another' > {log}; exit 1"

rule never:
    input: "bad"
    output: "never"
    log: "logs/never.log"
    shell: "touch {output}"
"""


@pytest.fixture
def workflow(tmp_path, monkeypatch):
    """A workflow of its own, and the experiment that it runs in."""
    root, results = tmp_path / "repository", tmp_path / "results"
    root.mkdir()
    results.mkdir()
    monkeypatch.setattr("semanticcmc.workflow.repository_root", lambda: root)
    experiment = types.SimpleNamespace(folder=results, file="any.yaml", path=lambda *parts: results.joinpath(*parts))
    return root / "Snakefile", experiment


def test_one_failed_job_stops_no_other_and_the_first_error_is_told_first(workflow, capfd):
    snakefile, experiment = workflow
    snakefile.write_text(SNAKEFILE)
    assert run_snakemake(experiment, 2) != 0
    made = {name for name in ("bad", "good1", "good2", "worse", "never") if (experiment.folder / name).exists()}
    assert made == {"good1", "good2"}
    out, said = capfd.readouterr()
    assert said.startswith("error: a.tar: No space left on device\n")
    assert said.count("error: ") == 2 and said.index("error: a.tar") < said.index("error: another")
    assert "ended well" not in said and "starting" not in said
    assert out.endswith(" 2 of 5 jobs | FAILED: bad, worse\n")  # nothing goes on any more, no time is left
    assert "Error in rule worse" in (experiment.folder / "workflow.log").read_text()


def test_a_workflow_that_cannot_start_says_why(workflow, capfd):
    snakefile, experiment = workflow
    snakefile.write_text('rule all:\n    input: "absent"\n')
    assert run_snakemake(experiment, 1) != 0
    assert "absent" in capfd.readouterr().err


def test_a_dry_run_shows_what_would_be_done_and_does_nothing(workflow, capfd):
    snakefile, experiment = workflow
    snakefile.write_text(SNAKEFILE)
    assert run_snakemake(experiment, 1, ["--dry-run"]) == 0
    assert "good1" in capfd.readouterr().out
    assert not (experiment.folder / "good1").exists()


def test_many_errors_are_cut_short_and_one_told_by_many_jobs_is_told_once(tmp_path):
    (tmp_path / "logs").mkdir()
    errors, jobs = MOST_ERRORS + 2, Jobs()
    for n in range(2 * errors):
        (tmp_path / "logs" / f"{n}.log").write_text(f"Traceback\nx.InputError: value <{n // 2}>\nremedy\n\nmore\n")
        jobs.feed("job_error", record(jobid=n, rule_name="a", log=[f"logs/{n}.log"]))
    said = jobs.why(tmp_path)
    assert said.splitlines()[:2] == ["error: value <0>", "remedy"]
    assert [said.count(f"<{n}>") for n in range(errors)] == [1] * MOST_ERRORS + [0, 0]
    assert said.endswith(f"and 2 more errors; all logs are in {tmp_path / 'logs'}")


def test_make_hands_values_on_as_they_are(repository, tmp_path):
    show = tmp_path / "show"
    show.write_text('#!/bin/sh\nfor one in "$@"; do printf \'%s\\n\' "$one"; done\n')
    show.chmod(0o755)
    (tmp_path / "requirements.lock").touch()
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / ".ready").touch()
    values = {
        "EXPERIMENT": "a b'c",
        "FILMS": 'a"; touch pwned; "',
        "STIMULI": "$(shell touch pwned)`touch pwned`",
        "LABELS": "d$HOME $$ é",
        "CORES": "-1",
    }
    make = [
        "make",
        "--no-print-directory",
        "--makefile",
        str(repository / "Makefile"),
        f"RUN={show}",
        f"VENV={tmp_path}",
        "poster",
    ]
    alone = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    for given in ([f"{name}={value}" for name, value in values.items()], []):
        run = subprocess.run([*make, *given], cwd=tmp_path, capture_output=True, text=True, env=alone | values)
        options = [
            line for name in ("films", "stimuli", "labels", "cores") for line in (f"--{name}", values[name.upper()])
        ]
        assert run.stdout.splitlines() == ["-m", "semanticcmc", "run", values["EXPERIMENT"], *options], run.stderr
    assert not (tmp_path / "pwned").exists()


def test_a_second_start_changes_nothing_of_the_first(tmp_path, capfd):
    first = resolve_experiment("smoke", results=tmp_path)
    before = {path: path.read_bytes() for path in first.folder.rglob("*") if path.is_file()}
    (first.folder / "workflow.log").write_text("of the first")
    code = "import sys; from semanticcmc.cli import main; sys.exit(main(sys.argv[1:]))"
    with locked(first.folder):
        command = [sys.executable, "-c", code, "run", "smoke", "--seeds", "3", "--results", str(tmp_path)]
        second = subprocess.run(command, capture_output=True, text=True)
    assert second.returncode == 2 and "another run is at work there" in second.stderr
    assert {path: path.read_bytes() for path in before} == before
    assert (first.folder / "workflow.log").read_text() == "of the first"


def test_a_disk_without_locks_is_not_another_run(tmp_path, monkeypatch, capsys):
    def unsupported(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", unsupported)
    with locked(tmp_path):
        assert "cannot be locked (No locks available); start no second run there" in capsys.readouterr().err


def notebook_of(path, *cells):
    about = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata=about)
    nbformat.write(book, path)
    return path


TRAINING = """
import psutil, sys, time
from pathlib import Path
from semanticcmc.run import Stopped
ports = [one for one in psutil.Process().net_connections("inet") if one.status == "LISTEN"]
Path("writing").write_text(f"{sys.executable} {len(ports)}")
Path("writing").rename("kernel")
try:
    time.sleep(60)
except KeyboardInterrupt:
    raise Stopped("semantic_1s, seed 0: stopped at step 3 of 9, saved; run again to go on")
"""


@pytest.mark.parametrize(("number", "temporary"), [(signal.SIGTERM, "t"), (signal.SIGINT, 120 * "t")])
def test_a_notebook_is_stopped_with_a_line_in_the_kernel_of_this_python(tmp_path, number, temporary):
    """Another kernel of the same name lies in JUPYTER_PATH, and the home cannot be written.

    The kernel is given no port, which another could take before it does, but where the path of the folder for temporary
    files is longer than that of a socket may be. One port it takes by itself.
    """
    (tmp_path / temporary).mkdir()
    kernel = tmp_path / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    spec = {"argv": ["/bin/false", "{connection_file}"], "display_name": "Python 3", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec))
    notebook = notebook_of(tmp_path / "a.ipynb", TRAINING)
    environment = {**os.environ, "JUPYTER_PATH": str(tmp_path / "jupyter"), "HOME": "/proc/none"}
    environment["TMPDIR"] = str(tmp_path / temporary)
    process = subprocess.Popen(
        [sys.executable, "-m", "semanticcmc", "execute", notebook, tmp_path / "out.ipynb"],
        cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where tests run in the background
    )  # fmt: skip
    while process.poll() is None and not (tmp_path / "kernel").exists():
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    ports = 1 if temporary == "t" else 6
    assert (tmp_path / "kernel").read_text() == f"{sys.executable} {ports}", said
    assert process.returncode == 130
    assert said.splitlines()[-1] == "semantic_1s, seed 0: stopped at step 3 of 9, saved; run again to go on"
    assert not {"zmq", "Traceback (most recent call last):\n  File"} & set(said)
    assert not (tmp_path / "out.ipynb").exists()


def test_a_notebook_whose_kernel_does_not_hear_of_a_stop_begins_no_further_cell(tmp_path):
    """As one that is about to start, which ignores interrupts: it would work on as an orphan."""
    notebook = notebook_of(tmp_path / "a.ipynb", "import time; time.sleep(4)", "open('went_on', 'w')")
    code = (
        "import os, psutil, signal, sys, threading\n"
        "from semanticcmc.cli import main\n"
        "psutil.Process.send_signal = lambda *_: None\n"
        "threading.Timer(2, os.kill, (os.getpid(), signal.SIGTERM)).start()\n"
        "sys.exit(main(['execute', *sys.argv[1:]]))\n"
    )
    command, env = [sys.executable, "-c", code, notebook, tmp_path / "out.ipynb"], os.environ | forks_of_all() | FIXED
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 130, done.stderr
    assert done.stderr.splitlines()[-1] == "a.ipynb: stopped before its end; run again to go on"
    assert not (tmp_path / "went_on").exists() and not (tmp_path / "out.ipynb").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("closed", [False, True])
def test_a_run_that_is_stopped_says_one_line(tmp_path, monkeypatch, number, closed):
    """What Snakemake says after a Ctrl-C, tracebacks as a rule, is not shown; a run whose terminal closes stops too."""
    E = types.SimpleNamespace(folder=tmp_path)
    child = (
        "import os, signal, sys, time\n"
        "print('at work', file=sys.stderr, flush=True)\n"
        f"signal.signal({number}, lambda *_: 1 / 0)\n"
        "time.sleep(0.5)\n"
        f"os.kill(os.getppid(), {number})\n"
        "time.sleep(30)\n"
    )
    again = [number]

    class Terminal(io.StringIO):
        def write(self, text):
            if closed:
                raise OSError(errno.EIO, "Input/output error")
            if "Stopping" in text and again:  # a second Ctrl-C while the first is answered
                os.kill(os.getpid(), again.pop())
            return super().write(text)

    popen = subprocess.Popen

    def start(command, **more):  # in place of Snakemake alone: what serves forks is as ever
        return popen([sys.executable, "-c", child] if "snakemake" in command else command, **more)

    monkeypatch.setattr(subprocess, "Popen", start)
    monkeypatch.setattr(sys, "stderr", Terminal())
    default = signal.signal(number, signal.SIG_DFL)
    try:
        assert run_snakemake(E, 1) == 128 + number
    finally:
        signal.signal(number, default)
    said = "Stopping: a training saves first; what is finished stays, the same command goes on from here."
    assert [line for line in sys.stderr.getvalue().split("\n") if line] == ([] if closed else ["at work", said])


def at_work(process):
    """Whether it has not ended yet, whoever is to take note of it."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.pipeline
def test_a_killed_run_goes_on_where_it_stopped(tmp_path, repository, pipeline):
    results, networks = tmp_path / "results", ("random", "semantic_2s")
    notebooks = results / "smoke/notebooks"
    targets = [f"notebooks/02_training_{network}_seed-0.ipynb" for network in networks]
    options = ["smoke", "--results", str(results), "--cores", "1", "--", *targets]
    command = [sys.executable, "-m", "semanticcmc", "run", *options]
    running = subprocess.Popen(command, cwd=repository, start_new_session=True, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 180
    while not list(notebooks.glob("02_*.ipynb")) and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(0.3)  # into the second network, which takes a few seconds
    started = psutil.Process(running.pid).children(recursive=True)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    while [one for one in started if at_work(one)] and time.monotonic() < deadline:
        time.sleep(0.1)  # Snakemake, in a group of its own, sees that it is alone, and ends with its jobs
    assert not [one for one in started if at_work(one)]
    finished = {
        path: path.stat().st_mtime_ns
        for path in (*notebooks.glob("02_*.ipynb"), results / "smoke/frames/index.parquet")
    }
    assert len(finished) == 2, "one network and the world were to be finished"
    done = pipeline("smoke", results, "--", *targets)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all((results / "smoke" / target).exists() for target in targets)
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
