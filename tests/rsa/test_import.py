"""What `import semanticcmc.rsa` brings, and what it leaves until it is needed."""

import ast
import subprocess
import sys

import pytest

import semanticcmc.rsa
from tests.conftest import ROOT

PACKAGE = ROOT / "lib" / "semanticcmc"
LATER = ("pandas", "pyarrow", "scipy.stats", "scipy.spatial", "numba", "nltk", "semanticcmc.experiment")


def test_what_takes_long_to_import_is_imported_when_needed():
    code = f"import sys, semanticcmc.rsa; print(*(name for name in {LATER} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_names_of_the_package_are_there_and_documented():
    for name in semanticcmc.rsa.__all__:
        assert getattr(semanticcmc.rsa, name).__doc__, name
    assert semanticcmc.rsa.mantel is semanticcmc.rsa.mantel_table.__globals__["mantel"]  # the function, not the module


@pytest.mark.parametrize("path", sorted((PACKAGE / "rsa").glob("*.py")), ids=lambda path: path.stem)
def test_rsa_imports_config_and_run_alone(path):
    nodes = list(ast.walk(ast.parse(path.read_text())))
    found = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    found |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    own = {name for name in found if name.startswith("semanticcmc") and not name.startswith("semanticcmc.rsa")}
    assert own <= {"semanticcmc.config", "semanticcmc.run"}
