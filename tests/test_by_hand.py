"""Notebooks run by hand, with parameters changed, on a finished experiment: the results stay as they are."""

import ast
import asyncio
import re
from pathlib import Path

import nbformat
import pytest
from jupyter_client import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from semanticcmc.forks import FIXED
from semanticcmc.run import NOTEBOOK
from semanticcmc.workflow import execute_notebook
from tests.conftest import ROOT, forked_kernels, forks_of_all
from tests.test_study import checksums

pytestmark = pytest.mark.pipeline

CHANGED = {
    "00_explore": {},
    "01_dataset_statistics": {},
    "02_training": {"lag_s": 2.0},
    "03_representations": {"lag_s": 10.0, "layer": "conv5"},
    "04_lag_curve": {"layer": "conv5", "models": ["path"], "control": "look", "method": "spearman"},
    "05_wordnet": {},
    "07_robustness": {"models": ["lch"], "method": "spearman"},
    "08_objectives": {"models": ["lch"], "method": "spearman"},
}


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """One kernel for one notebook after the other, as imports take longest."""
    folder = tmp_path_factory.mktemp("k")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in forked_kernels(folder).items():
            patch.setenv(name, value)
        # Sockets in the folder: a port other tests could take meanwhile.
        manager = AsyncKernelManager(kernel_name="python3", transport="ipc", ip=str(folder / "k"))
        yield manager
        asyncio.run(manager.shutdown_kernel(now=True))


def run(kernel, name, experiment, more="", **changed):
    """Run a notebook as a person does in its folder, the values of its tagged cell edited; what its cells say."""
    notebook = nbformat.read(ROOT / "analysis" / f"{name}.ipynb", as_version=4)
    [tagged] = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    values = {"experiment": str(experiment), **changed}
    names = [line.split(" = ")[0] for line in tagged.source.splitlines()]
    assert set(values) <= set(names)
    kept = [line for line in tagged.source.splitlines() if line.split(" = ")[0] not in values]
    tagged.source = "\n".join([*(f"{key} = {value!r}" for key, value in values.items()), *kept, more])
    ast.parse(tagged.source)
    notebook.cells.insert(0, nbformat.v4.new_code_cell("get_ipython().reset()"))  # no name or cell of the one before
    NotebookClient(notebook, km=kernel, timeout=900, resources={"metadata": {"path": ROOT / "analysis"}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.get("name") == "stderr"], outputs  # no red boxes
    return "".join(output.text for output in outputs if output.output_type == "stream"), outputs


@pytest.fixture(scope="module")
def by_hand(smoke, kernel):
    """Every notebook run once by hand: what each said and showed, and the results' checksums before and after."""
    folder = smoke[0]
    before = checksums(folder)
    runs = {
        name: (*run(kernel, name, folder / "experiment.yaml", **CHANGED[name]), checksums(folder)) for name in CHANGED
    }
    return before, runs


@pytest.mark.parametrize("name", CHANGED)
def test_a_notebook_by_hand_changes_no_byte_of_the_results(by_hand, name):
    before, runs = by_hand
    said, outputs, after = runs[name]
    assert after == before
    assert any("image/png" in output.get("data", {}) for output in outputs) or name == "00_explore"
    assert (name == "00_explore") or "the results stay as they are" in said or name == "02_training"


def test_a_workflow_has_nothing_to_do_after_notebooks_by_hand(by_hand, smoke, pipeline):
    folder = smoke[0]
    before = checksums(folder)
    done = pipeline("smoke", folder.parent)
    assert done.returncode == 0 and not re.search(r"\d+ of \d+ jobs", done.stdout), done.stdout + done.stderr
    after = checksums(folder)
    changed = {path.relative_to(folder) for path, digest in after.items() if before.get(path) != digest}
    assert {path for path in changed if path.parts[0] != ".snakemake"} <= {Path("workflow.log")}
    assert {path for path in before if ".snakemake" not in path.parts} <= after.keys()


def test_by_papermill_notebook_00_is_still_and_reads_only(smoke, tmp_path, monkeypatch):
    """For a page: figures in place of widgets; parameters of one's own leave the results alone by papermill as well."""
    folder, before = smoke[0], checksums(smoke[0])
    of_one = {"experiment": f"{folder}/experiment.yaml"}
    for name, value in (forks_of_all() | FIXED | {NOTEBOOK: ""}).items():  # the last is set by execute_notebook
        monkeypatch.setenv(name, value)
    execute_notebook(ROOT / "analysis/00_explore.ipynb", tmp_path / "00.ipynb", of_one)
    execute_notebook(ROOT / "analysis/07_robustness.ipynb", tmp_path / "07.ipynb", of_one | {"method": "spearman"})
    made = nbformat.read(tmp_path / "00.ipynb", as_version=4)
    outputs = [out.data for cell in made.cells if cell.cell_type == "code" for out in cell.outputs if "data" in out]
    assert sum("image/png" in data or "<img" in data.get("text/html", "") for data in outputs) == 6
    assert not any("widget" in kind for data in outputs for kind in data)
    assert checksums(folder) == before


def test_paths_count_from_the_notebook_or_from_the_repository_and_a_wrong_name_is_one_line(kernel):
    with pytest.raises(CellExecutionError) as error:
        run(kernel, "05_wordnet", "analysis/experiments/nothing.yaml")
    said = str(error.value)
    for place in ("analysis/analysis/experiments/nothing.yaml", "analysis/experiments/nothing.yaml"):
        assert str(ROOT / place) in said
    assert "no such experiment; there are" in said and "%tb Verbose shows where" in said
    assert "Traceback" not in said and "experiment_file" not in said  # no line of the library


def test_a_name_that_is_no_parameter_is_told(smoke, kernel):
    said, _ = run(kernel, "05_wordnet", smoke[0] / "experiment.yaml", more="modles = ['lch']")
    assert "modles: no parameter of this notebook, which takes experiment; nothing follows from it." in said
    assert Path(smoke[0]).name == "smoke"
