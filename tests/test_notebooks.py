"""Every notebook as it lies in git: stripped, parameters tagged and explained, no functions, a title of its own."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

from semanticcmc.gallery import FIGURES, FROM_TABLES

NOTEBOOKS = sorted((Path(__file__).parents[1] / "analysis").glob("[0-9][0-9]_*.ipynb"))
PARAMETERS = {
    "00": ["experiment"],
    "01": ["experiment"],
    "02": ["experiment", "network", "lag_s", "seed"],
    "03": ["experiment", "network", "lag_s", "seed", "layer"],
    "04": ["experiment", "layer", "models", "control", "method"],
    "05": ["experiment"],
    "06": ["experiment"],
    "07": ["experiment", "models", "method"],
    "08": ["experiment", "models", "control", "method"],
}
UNITS = {"lag_s": r"\bs\b|\bseconds?\b"}


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def source(cell):
    """A code cell as Python: display magics and the trailing semicolon aside."""
    return ast.parse(cell.source)


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return nbformat.read(request.param, as_version=4)


@pytest.fixture
def number(request, notebook):
    return Path(request.node.callspec.params["notebook"]).stem[:2]


def test_the_story_is_whole():
    assert [path.stem[:2] for path in NOTEBOOKS] == ["00", "01", "02", "03", "04", "05", "06", "07", "08"]


def test_notebook_is_valid_and_runs_on_the_plain_kernel(notebook):
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"


def test_notebook_holds_no_outputs(notebook):
    for cell in code(notebook):
        assert cell.outputs == []
        assert cell.execution_count is None
        assert "papermill" not in cell.metadata
    assert "papermill" not in notebook.metadata
    assert "widgets" not in notebook.metadata


def test_notebook_opens_with_its_title_and_what_it_shows(notebook):
    title, *words = notebook.cells[0].source.splitlines()
    assert notebook.cells[0].cell_type == "markdown"
    assert re.match(r"# \w", title)
    assert len(" ".join(words).split()) >= 20


def test_notebook_has_one_parameters_cell_every_default_explained(notebook, number):
    [tagged] = [cell for cell in code(notebook) if "parameters" in cell.metadata.get("tags", [])]
    assert tagged is code(notebook)[0]
    found = {}
    for line, statement in zip(tagged.source.splitlines(), source(tagged).body, strict=True):
        assert isinstance(statement, ast.Assign)
        assert isinstance(statement.value, ast.Constant)
        name = statement.targets[0].id
        comment = line.split("#", 1)[1]
        assert len(comment.split()) >= 2
        assert re.search(UNITS.get(name, ""), comment)
        found[name] = statement.value.value
    assert list(found) == PARAMETERS[number]
    assert found["experiment"] == "miniature"


def test_notebook_opens_its_experiment_and_refuses_parameters_that_it_does_not_know(notebook, number):
    calls = [node for node in ast.walk(source(code(notebook)[1])) if isinstance(node, ast.Call)]
    opened = next(call for call in calls if ast.unparse(call.func) == "semanticcmc.open")
    assert [argument.id for argument in opened.args] == ["experiment", "In"]
    chosen = {keyword.arg: ast.unparse(keyword.value) for keyword in opened.keywords}
    tests = {name: name for name in PARAMETERS[number] if name in ("layer", "models", "control", "method")}
    assert chosen == ({"write": "False"} if number == "00" else tests)  # 00 is read-only, whoever runs it
    read = {node.id for node in ast.walk(source(code(notebook)[1])) if isinstance(node, ast.Name)}
    assert read >= set(PARAMETERS[number])  # by which a name that is no parameter is told from one that is


def test_cells_are_short_and_imports_stand_together(notebook):
    imports = []
    for cell in code(notebook)[1:]:
        assert len([line for line in cell.source.splitlines() if line.strip()]) <= 8, cell.source
        if any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(source(cell))):
            imports.append(cell)
    assert len(imports) == 1


def test_notebook_defines_no_functions_or_classes(notebook):
    for cell in code(notebook):
        for node in ast.walk(source(cell)):
            assert not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda)


def test_notebook_ends_with_a_figure(notebook):
    calls = [ast.unparse(node.func) for node in ast.walk(source(code(notebook)[-1])) if isinstance(node, ast.Call)]
    assert {"E.figure", "Picture"} & set(calls)


def test_setup_is_folded_and_every_notebook_links_to_all(notebook):
    assert [cell.metadata.get("jupyter") for cell in code(notebook)[:3]][1:] == [{"source_hidden": True}, None]
    assert [cell.metadata.get("jupyter") for cell in code(notebook)].count({"source_hidden": True}) == 1
    linked = re.findall(r"\]\((\w+\.ipynb)\)", notebook.cells[0].source)
    assert linked == [path.name for path in NOTEBOOKS]


def test_exploring_stays_small():
    cells = code(nbformat.read(NOTEBOOKS[0], as_version=4))
    assert sum(len(cell.source.splitlines()) for cell in cells) <= 120
    assert len((NOTEBOOKS[0].parents[1] / "lib/semanticcmc/widgets.py").read_text().splitlines()) <= 200


def test_notebook_names_no_place_of_its_own(notebook):
    for cell in notebook.cells:
        assert not re.search(r"/home/|/work/|/tmp/|/Users/|results/", cell.source)


def test_every_figure_is_one_of_the_gallery(notebook):
    for cell in code(notebook):
        for node in ast.walk(source(cell)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "E.figure":
                assert ast.literal_eval(node.args[0]) in (*FIGURES, *FROM_TABLES)
