"""What results were made from: by content, whatever it is called and wherever it lies."""

import ast
import json
import os
import re
import shutil
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st

from semanticcmc.workflow.contents import Contents


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "repository"
    (root / "lib" / "semanticcmc" / "data").mkdir(parents=True)
    return root


def contents(root):
    return Contents(root, root / "known.json")


@pytest.mark.parametrize("change", ["byte", "name", "added", "removed", "behind a link", "link to another"])
def test_a_folder_that_changes_in_any_way_has_another_digest(tree, tmp_path, change):
    folder, other = tree / "stimuli" / "n1", tmp_path / "elsewhere"
    folder.mkdir(parents=True)
    other.mkdir()
    (folder / "a.jpg").write_bytes(b"one")
    (other / "b.jpg").write_bytes(b"two")
    (tree / "stimuli" / "n2").symlink_to(other)
    before = contents(tree).of("stimuli")
    if change == "byte":
        (folder / "a.jpg").write_bytes(b"One")
    elif change == "name":
        (folder / "a.jpg").rename(folder / "c.jpg")
    elif change == "added":
        (folder / "d.jpg").write_bytes(b"")
    elif change == "removed":
        (folder / "a.jpg").unlink()
    elif change == "behind a link":
        (other / "b.jpg").write_bytes(b"TWO")
    else:
        (tree / "stimuli" / "n2").unlink()
        (tree / "stimuli" / "n2").symlink_to(folder)
    assert contents(tree).of("stimuli") != before


def test_place_times_and_owner_play_no_part(tree, tmp_path):
    (tree / "stimuli").mkdir()
    (tree / "stimuli" / "a.jpg").write_bytes(b"one")
    before = contents(tree).of("stimuli")
    shutil.copytree(tree, tmp_path / "moved", copy_function=shutil.copyfile)  # new times
    os.utime(tree / "stimuli" / "a.jpg", (1, 1))
    assert contents(tmp_path / "moved").of("stimuli") == before == contents(tree).of("stimuli")


def test_links_that_go_round_pipes_and_absent_files_end(tree):
    (tree / "round").mkdir()
    (tree / "round" / "again").symlink_to(tree / "round")
    (tree / "round" / "dangling").symlink_to(tree / "nothing")
    os.mkfifo(tree / "round" / "pipe")
    (tree / "round" / "zero").symlink_to("/dev/zero")
    assert contents(tree).of("round") != contents(tree).of("absent")


def test_a_file_is_read_once(tree):
    (tree / "a").write_bytes(b"one")
    first = contents(tree)
    digest = first.of("a")
    first.save()
    state = (tree / "a").stat()
    (tree / "a").write_bytes(b"two")
    os.utime(tree / "a", ns=(state.st_atime_ns, state.st_mtime_ns))  # said to be unchanged
    assert contents(tree).of("a") == digest
    os.utime(tree / "a")
    assert contents(tree).of("a") != digest
    (tree / "known.json").write_text("{broken")
    assert contents(tree).of("a") != digest


def test_values_of_an_experiment_hold_content_in_place_of_paths(tree):
    (tree / "words.csv").write_text("a,b\n")
    values = {"files": {"words": "words.csv"}, "name": "a/b", "rate": 0.5, "list": [str(tree / "words.csv"), "Dr. No"]}
    found = contents(tree).values(values)
    assert found["files"]["words"] == found["list"][0] == {"content": contents(tree).of("words.csv")}
    assert (found["name"], found["rate"], found["list"][1]) == ("a/b", 0.5, "Dr. No")
    assert contents(tree).values({"title": "x/" * 5000}) == {"title": "x/" * 5000}  # no name of a file


def test_code_is_what_runs(tree):
    package = tree / "lib" / "semanticcmc"
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text("def f():\n    from semanticcmc import b\n    return b.read('table.csv')\n")
    (package / "b.py").write_text("def read(name):\n    return 1\n")
    (package / "c.py").write_text("x = 1\n")
    (package / "data" / "table.csv").write_text("1\n")
    before = contents(tree).code("semanticcmc.a")
    (package / "a.py").write_text(
        '"""Says."""\n\ndef f():\n    "What."\n    from semanticcmc import b  # why\n    return b.read("table.csv")\n'
    )
    (package / "c.py").write_text("x = 2\n")
    assert contents(tree).code("semanticcmc.a") == before
    (package / "b.py").write_text("def read(name):\n    return 2\n")
    changed = contents(tree).code("semanticcmc.a")
    (package / "data" / "table.csv").write_text("2\n")
    assert len({before, changed, contents(tree).code("semanticcmc.a")}) == 3


def test_a_notebook_counts_by_its_cells_without_outputs(tree):
    cell = {"cell_type": "code", "source": ["1 + 1"], "metadata": {}, "outputs": [], "execution_count": None}
    file = tree / "a.ipynb"

    def digest(**changed):
        file.write_text(json.dumps({"cells": [cell | changed], "metadata": {}}))
        return contents(tree).of("a.ipynb")

    before = digest()
    assert digest(outputs=["2"], execution_count=1) == before
    assert digest(source=["1 + 2"]) != before
    assert digest(metadata={"tags": ["parameters"]}) != before
    assert digest(cell_type="raw") != before


@hypothesis.given(st.binary(max_size=30), st.binary(max_size=30))
@hypothesis.settings(max_examples=30, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_files_are_alike_if_their_bytes_are(tmp_path, one, other):
    (tmp_path / "one.py").write_bytes(one)  # most are no Python
    (tmp_path / "other.py").write_bytes(other)
    found = contents(tmp_path)
    same = found.of("one.py") == found.of("other.py")
    assert same == (one == other) or _same_code(one, other)


def _same_code(one, other):
    try:
        return ast.unparse(ast.parse(one)) == ast.unparse(ast.parse(other))
    except (SyntaxError, ValueError):
        return False


# How jobs are started decides no result; packages' first file holds what notebooks call to open an experiment.
STARTED_BY = {
    *(f"lib/semanticcmc/{name}.py" for name in ("__init__", "__main__", "cli", "forks")),
    *("lib/semanticcmc/workflow/__init__.py", "lib/semanticcmc/workflow/checks.py", "papers/build/__init__.py"),
}
DECLARED = """
import json, os
import semanticcmc.workflow.contents as c

def of(self, *paths, of=c.Contents.of):
    digest = of(self, *paths)
    with open(os.environ["DECLARED"], "a") as file:
        files = [os.path.abspath(os.path.join(self.root, p, n)) for p in paths for n, _ in c._files(self.root / p)]
        file.write(json.dumps([digest, files]) + "\\n")
    return digest

c.Contents.of = of
"""


@pytest.mark.pipeline
def test_every_file_that_a_job_opens_is_one_that_it_declares(smoke, repository, pipeline, tmp_path):
    """Of what a fork had from its parent, imports of what notebooks call, nothing is another job's."""
    folder, _ = smoke
    opened = {}
    parents = {}
    for listing in (folder.parent / "opened").glob("*.txt"):
        first, *paths = listing.read_text(errors="surrogateescape").splitlines()
        parent, _, output = first.partition(" ")
        parents[listing.stem] = parent, Path(output).name if f"{folder}/logs/" in output else None
        opened[listing.stem] = paths.index(""), [path for path in paths if path]

    def job(process):  # its own log, or that of the process that started it
        while process in parents:
            process, log = parents[process]
            if log:
                return log
        return None

    by_job = {}
    for process, (before, paths) in opened.items():
        if not re.match(r"\d\d_", job(process) or ""):
            paths = paths[before:]
        inside = {os.path.relpath(path, repository) for path in paths if path.startswith(f"{repository}/")}
        kept = {
            path
            for path in inside
            if not path.startswith((".venv", ".git", "tests", "lib/semanticcmc.egg-info")) and "__pycache__" not in path
        }
        by_job.setdefault(job(process), set()).update(path for path in kept if (repository / path).is_file())
    assert len(by_job) > 10 and any("analysis/04_lag_curve.ipynb" in paths for paths in by_job.values())

    (tmp_path / "sitecustomize.py").write_text(DECLARED)
    declared_at = tmp_path / "declared.jsonl"
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    said = pipeline(
        "smoke", folder.parent, "--", "--dry-run", environment={"PYTHONPATH": path, "DECLARED": str(declared_at)}
    )
    assert "Nothing to be done" in said.stdout, said.stdout + said.stderr
    declared = [json.loads(line) for line in declared_at.read_text().splitlines()]
    params = {}
    for file in (folder / ".snakemake" / "metadata").rglob("*"):
        if file.is_file():
            record = json.loads(file.read_text())
            for log in record["log"]:
                params[Path(log).name] = " ".join(map(str, record["params"]))
    missing = {}
    for log, paths in by_job.items():
        if log in params:
            made_from = {
                os.path.relpath(file, repository)
                for digest, files in declared
                if digest in params[log]
                for file in files
            }
            missing[log] = paths - made_from - STARTED_BY
    assert len(missing) == len(params) and not any(missing.values()), {
        log: paths for log, paths in missing.items() if paths
    }


@pytest.mark.pipeline
def test_results_that_are_copied_elsewhere_are_as_they_were(smoke, pipeline, tmp_path):
    folder, _ = smoke
    shutil.copytree(folder, tmp_path / "a b" / "smoke", copy_function=shutil.copyfile)  # all files have new times
    said = pipeline("smoke", tmp_path / "a b", "--", "--dry-run")
    assert "Nothing to be done" in said.stdout, said.stdout + said.stderr
