"""The architecture page says what the code is: packages, and what each imports."""

import ast
import functools
import re
from collections import defaultdict

import pytest

from tests.conftest import ROOT

LIB = ROOT / "lib" / "semanticcmc"
PAGE = (ROOT / "site" / "architecture.qmd").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([a-z.]+)` \| .*? \| ?([a-z, ]*?) ?\|$", PAGE, flags=re.MULTILINE)
TABLE = {name: [one for one in imports.split(", ") if one] for name, imports in ROWS}


def package(path):
    """Package of a file, or a module's own name where it lies at the top."""
    return path.relative_to(LIB).parts[0].removesuffix(".py") if path.is_relative_to(LIB) else "papers.build"


@functools.cache
def imports():
    """What each package imports of the others."""
    found = defaultdict(set)
    for path in [*LIB.rglob("*.py"), *(ROOT / "papers" / "build").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not node.module:
                continue
            if node.module == "semanticcmc":
                found[package(path)] |= {name.name for name in node.names}
            elif node.module.startswith("semanticcmc."):
                found[package(path)].add(node.module.split(".")[1])
    return {name: names - {name} for name, names in found.items() if not name.startswith("__")}


def test_the_table_has_every_package():
    found = {package(path) for path in LIB.rglob("*.py")} | {"papers.build"}
    assert set(TABLE) == {name for name in found if not name.startswith("__")}


@pytest.mark.parametrize("name", TABLE)
def test_a_package_imports_what_the_table_says_and_only_what_stands_above_it(name):
    assert imports().get(name, set()) == set(TABLE[name])
    above = list(TABLE)[: list(TABLE).index(name)]
    assert set(TABLE[name]) <= set(above)


def test_modules_import_in_no_circle():
    uses = {}
    for path in LIB.rglob("*.py"):
        module = ".".join(("semanticcmc", *path.relative_to(LIB).with_suffix("").parts)).removesuffix(".__init__")
        nodes = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.ImportFrom)]
        named = {f"{node.module}.{name.name}" for node in nodes for name in node.names if node.module}
        uses[module] = named | {node.module for node in nodes if node.module}
    packages = {name for name in uses if any(other.startswith(f"{name}.") for other in uses)}
    uses = {name: {one for one in used if one in uses and one not in packages} for name, used in uses.items()}
    done, path = set(), []

    def visit(name):
        assert name not in path, " imports ".join([*path[path.index(name) :], name])
        if name not in done:
            path.append(name)
            for one in sorted(uses[name]):
                visit(one)
            done.add(path.pop())

    for name in sorted(uses):
        visit(name)


def test_the_library_stays_thin():
    """Files for one sitting, folders for one look, a library of at most 19,780 lines besides the objectives."""
    files = {path: path.read_text(encoding="utf-8").count("\n") for path in (ROOT / "lib").rglob("*.py")}
    assert {path.name: lines for path, lines in files.items() if lines > 330} == {}
    objectives = LIB / "training" / "objectives"
    folders = defaultdict(int)
    for path in files:
        folders[path.parent] += 1
    assert {folder.name for folder, count in folders.items() if count > 16 and folder != objectives} == set()
    assert sum(lines for path, lines in files.items() if path.parent != objectives) <= 19_780


def test_every_place_that_the_page_names_is_there():
    for name in re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.(?:py|yml|yaml))`", PAGE):
        assert (LIB / name).is_file() or (ROOT / name).is_file(), name
