"""One run of an experiment: check everything first, run Snakemake, say where the results are."""

from __future__ import annotations

import contextlib
import csv
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from semanticcmc.config import InputError, configure
from semanticcmc.experiment import (
    COPY,
    SECTIONS,
    Experiment,
    Head,
    fingerprint,
    load_experiment,
    read_values,
    repository_root,
)
from semanticcmc.forks import PASSED_ON, import_less, serving
from semanticcmc.run import NOTEBOOK, Stopped, atomic, available_cores, counted, handled, remove_torn, write_json
from semanticcmc.workflow.checks import check_experiment

LOG = "workflow.log"
MOST_SEEDS = 1000
_LOCKED: dict[Path, int] = {}  # folders that this process keeps others out of
# Relative paths in the YAML count from the repository.
PATHS = {
    "world": ("photographs", "classes"),
    "movies": ("folder", "manifest"),
    "stimuli": ("folder",),
    "labels": ("path", "nouns"),
    "evaluation": ("categories",),
    "classification": ("train", "test"),
    "timescales": ("looks",),
}


def resolve_experiment(experiment: str | Path, results: str | Path | None = None, **given: Any) -> Experiment:
    """Write ``results/<name>/experiment.yaml``: all values of an experiment with what this machine and call add.

    Raises InputError for a folder that is absent, or that the experiment has no use for; while a run is at work in the
    results. Returned is the Experiment as read back from the file written. The file is touched only if its content
    changes.

    Parameters
    ----------
    experiment : str or Path
        As of `experiment.read_values`.
    results : str or Path, optional
        Folder for the results of all experiments.
    films, stimuli : str, optional
        Folder of films and folder of class folders; they replace ``movies.folder`` and ``stimuli.folder``.
    labels : str, optional
        Folder or file of labels; it replaces ``labels.path``.
    photographs : str, optional
        Folder of a world's photographs; it replaces ``world.photographs``.
    seeds : int, optional
        Number of seeds, counted from 0.
    """
    file, text = _resolved(experiment, results, **given)
    with locked(file.parent):
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            with atomic(file) as temporary:
                temporary.write_text(text, encoding="utf-8")
    return load_experiment(file)


def _resolved(
    experiment: str | Path,
    results: str | Path | None = None,
    films: str | None = None,
    stimuli: str | None = None,
    labels: str | None = None,
    photographs: str | None = None,
    seeds: int | None = None,
) -> tuple[Path, str]:
    """Path and text of the copy that `resolve_experiment` writes."""
    values, _, source = read_values(experiment)
    for option, path, section, key in (
        ("FILMS", films, "movies", "folder"),
        ("STIMULI", stimuli, "stimuli", "folder"),
        ("LABELS", labels, "labels", "path"),
        ("PHOTOGRAPHS", photographs, "world", "photographs"),
    ):
        if not path:
            continue
        if not isinstance(values.get(section), dict):
            raise InputError(f"{source}: {option}={path} given, but this experiment has no section {section}")
        if option == "LABELS" and values.get("source") == "world":
            raise InputError(f"{source}: {option}={path} given, but the world makes its own labels")
        if option == "STIMULI" and values.get("source") == "labels":
            raise InputError(f"{source}: {option}={path} given, but labels alone train no network to show them to")
        place = Path(path).expanduser()
        if not (place.exists() if option == "LABELS" else place.is_dir()):
            raise InputError(f"{option}={path}: no such folder{' or file' if option == 'LABELS' else ''}")
        values[section][key] = str(place.resolve())
    for section, key in ((section, key) for section, keys in PATHS.items() for key in keys):
        path = (values.get(section) or {}).get(key)
        if isinstance(path, str) and not Path(path).is_absolute():
            values[section][key] = str((repository_root() / Path(path).expanduser()).resolve())
    if seeds is not None:
        if not 1 <= seeds <= MOST_SEEDS:
            raise InputError(f"SEEDS={seeds}: expected 1 to {MOST_SEEDS}")
        values["seeds"] = list(range(seeds))
    head = configure(Head, {key: value for key, value in values.items() if key not in SECTIONS}, source)
    file = (Path(results).resolve() if results else repository_root() / "results") / head.name / COPY
    text = f"# As run, from {source.name} ({fingerprint(experiment)}): made by the workflow; edit the source instead.\n"
    text += yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    return file, text


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[int]:
    """Keep other runs out of a results folder, which is made; gives the lock's descriptor.

    The lock lives as long as this process or one that inherits the descriptor, so that a killed run leaves none behind.
    Raises InputError when another run is at work there, or the folder cannot be written.
    """
    if folder in _LOCKED:
        yield _LOCKED[folder]
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".workflow.lock").open("a")
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}); free it or give results=") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"{folder}: another run is at work there; wait for it or stop it") from error
        except OSError as error:  # such as a network disk without locks
            print(f"{folder}: cannot be locked ({error.strerror}); start no second run there", file=sys.stderr)
        _LOCKED[folder] = lock.fileno()
        try:
            yield lock.fileno()
        finally:
            del _LOCKED[folder]


def run(
    experiment: str, results: str | None = None, cores: int | None = None, snakemake: Sequence[str] = (), **given: Any
) -> int:
    """Check everything, run the workflow, and say where results are; parameters as of `resolve_experiment`.

    Returned is Snakemake's exit status. Raises InputError before long work starts.
    """
    if cores is not None and cores < 1:
        raise InputError(f"CORES={cores}: expected 1 or more")
    with locked(_resolved(experiment, results, **given)[0].parent):
        E = resolve_experiment(experiment, results, **given)
        check_experiment(E)
        cores = cores or available_cores()
        sizes = {"network": len(E.networks), "seed": len(E.seeds), "core": cores}
        print(f"{E.title}\n  {', '.join(counted(n, k) for k, n in sizes.items())}; results in {E.folder}", flush=True)
        status = run_snakemake(E, cores, snakemake)
    if status and status <= 128:  # else it is said already
        print(f"Stopped; what is finished stays. Snakemake's own log: {E.folder / LOG}", file=sys.stderr)
    elif not status and not {"-n", "--dry-run", "--dryrun"} & set(snakemake):
        _say_where(E)
    return status


def run_snakemake(experiment: Experiment, cores: int, snakemake: Sequence[str] = ()) -> int:
    """Run Snakemake on an experiment that `resolve_experiment` wrote; `LogHandler` shows its progress.

    On so many `cores` at once, with further arguments. Returned is its exit status. Raises InputError when another run
    is at work in the same results folder.
    """
    command = [sys.executable, "-P", "-m", "snakemake", "--snakefile", str(repository_root() / "Snakefile")]
    command += ["--directory", str(experiment.folder)]
    options = ["--logger=semanticcmc", f"--cores={cores}", "--rerun-incomplete", "--keep-going"]
    options.append(f"--max-checksum-file-size={2**60}")  # bytes decide, not times: results may be copied
    with locked(experiment.folder) as lock, contextlib.ExitStack() as stack:
        if any((experiment.folder / ".snakemake" / "locks").glob("*")):  # of a run that was killed
            subprocess.run([*command, "--cores", "1", "--unlock"], capture_output=True)
        remove_torn(experiment.folder)
        environment = dict(os.environ)
        if not os.access(Path.home(), os.W_OK):  # as on some clusters: a home of its own
            (home := experiment.folder / ".home").mkdir(exist_ok=True)
            environment = {k: v for k, v in environment.items() if not k.startswith("XDG_")} | {"HOME": str(home)}
        forks = stack.enter_context(serving(environment))
        # In a group of its own, so that Ctrl-C comes to it from here alone, and what it says afterwards is not shown.
        process = subprocess.Popen(
            [*command, *options, *snakemake],
            pass_fds=[lock],
            env=environment | forks | {"PYTHONUNBUFFERED": "1", "SEMANTICCMC_CORES": str(cores)},
            process_group=0,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        stops: list[int] = []

        def tell(text: str) -> None:
            with contextlib.suppress(OSError, RuntimeError):  # nobody reads it any more, or a line is being written
                print(text, end="", file=sys.stderr, flush=True)

        def stop(number: int, _: object) -> None:
            stops.append(number)  # first: another Ctrl-C may come while this is told
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            if len(stops) == 1:
                tell(
                    "\nStopping: a training saves first; what is finished stays, the same command goes on from here.\n"
                )

        with handled(stop, *PASSED_ON):
            for line in process.stderr or ():
                if not stops:
                    tell(line)
            status = process.wait()
        return 128 + stops[0] if stops else status


def execute_notebook(notebook: Path, output: Path, parameters: Mapping[str, Any]) -> None:
    """Run a notebook by papermill, in the current folder; `output` is there only once it has ended well.

    The notebook has a cell tagged ``parameters``. While it runs, or after an error, the executed one is found in the
    folder ``unfinished`` beside `output`.
    """
    import_less()
    import papermill
    import zmq
    from traitlets.config import Config

    unfinished = output.parent / "unfinished" / output.name
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    os.environ[NOTEBOOK] = output.stem  # for the records of its figures
    with tempfile.TemporaryDirectory() as jupyter, _stopped_by_interrupt() as stops:
        # The kernel of this Python, not what JUPYTER_PATH or a home holds.
        os.environ |= {"JUPYTER_PATH": "", "JUPYTER_DATA_DIR": jupyter, "JUPYTER_PREFER_ENV_PATH": "1"}

        def start_cell(**_: object) -> None:  # a kernel that was starting did not hear of it
            if stops:
                raise Stopped(f"{notebook.name}: stopped before its end; run again to go on")

        command = [sys.executable, "-m", "semanticcmc.forks", "ipykernel_launcher", "-f", "{connection_file}"]
        kernel = {"argv": command, "display_name": "Python 3 (ipykernel)", "language": "python"}
        write_json(Path(jupyter, "kernels", "forked", "kernel.json"), kernel)
        try:
            options: dict[str, Any] = {"kernel_name": "forked", "progress_bar": False, "log_output": True}
            options["on_cell_start"] = start_cell
            if len(os.fsencode(place := f"{jupyter}/k")) + 2 <= zmq.IPC_PATH_MAX_LEN:  # sockets "k-1" to "k-5": a port
                options["config"] = Config(KernelManager={"transport": "ipc", "ip": place})  # others may take meanwhile
            papermill.execute_notebook(notebook, unfinished, parameters, cwd=str(Path.cwd()), **options)
        except papermill.PapermillExecutionError as error:
            if stops:
                raise Stopped(error.evalue) from error
            raise
    unfinished.replace(output)


@contextlib.contextmanager
def _stopped_by_interrupt() -> Iterator[list[int]]:
    """SIGTERM and Ctrl-C interrupt the cell at work, as a notebook does by its button: a training saves first."""
    import psutil  # which ipykernel needs

    stops: list[int] = []

    def interrupt(number: int, _: object) -> None:
        stops.append(number)
        kernels = psutil.Process().children()
        if len(stops) > 1 or not kernels:
            raise KeyboardInterrupt
        for kernel in kernels:
            kernel.send_signal(signal.SIGINT)

    with handled(interrupt, *PASSED_ON):
        yield stops


def _say_where(experiment: Experiment) -> None:
    places = {"poster": "poster/poster.html", "poster, A0": "poster/poster.pdf"}
    places |= {"paper": "paper/paper.html", "paper, A4": "paper/paper.pdf"}
    places |= {what: f"{what.lower()}/" for what in ("notebooks", "figures", "tables", "RDMs", "networks")}
    print("Finished.")
    for what, place in places.items():
        if (experiment.folder / place).exists():
            print(f"  {what:<11}{experiment.folder / place}")
    faults = {"frames": "LEFT OUT   {} could not be used", "labels": "NOT MATCHED {} of the films and the labels"}
    for list_of, said in faults.items():
        if (file := experiment.folder / list_of / "films.csv").exists():
            with file.open(encoding="utf-8", newline="") as rows:
                problems = [f"{row['movie_id']}: {row['problem']}" for row in csv.DictReader(rows) if row["problem"]]
            if problems:
                print(f"  {said.format(counted(len(problems), 'film'))}; all in {file}", *problems[:5], sep="\n    ")
