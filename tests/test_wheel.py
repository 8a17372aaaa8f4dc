"""The package installed from a wheel, outside any checkout: rsa works, with the tables that come with it."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT

USE = """
import json, sys
import numpy as np
import semanticcmc
from semanticcmc.config import package_table
from semanticcmc.rsa import RDM, category_rdm, lch_rdm, mantel, partial_mantel

classes = ["n02084071", "n02121620", "n01503061", "n04490091", "n02958343", "n03001627", "n04379243", "n07753592"]
points = np.random.default_rng(0).standard_normal((8, 3))
rdm = RDM(np.linalg.norm(points[:, None] - points, axis=-1), classes)
lch, category = lch_rdm(classes), category_rdm(classes)
simple, partial = mantel(rdm, lch, 199), partial_mantel(rdm, lch, category, 199)
found = [simple.r, simple.p, partial.r, partial.p, lch.values.tolist(), category.values.tolist()]
print(json.dumps({"from": [semanticcmc.__file__, str(package_table("categories.csv"))], "found": found}))
"""


def run(folder, path, code=USE):
    env = os.environ | {"PYTHONPATH": str(path)}
    return subprocess.run([sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Folder that holds the package as a wheel installs it, and nothing else."""
    pytest.importorskip("setuptools", minversion="77", reason="setuptools builds the wheel")
    copy, target = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("installed")
    shutil.copytree(ROOT / "lib", copy / "lib", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    for arguments in (["wheel", "--wheel-dir", copy / "dist", copy], ["install", "--no-compile", "--target", target]):
        if arguments[0] == "install":
            [wheel] = (copy / "dist").glob("semanticcmc-*.whl")
            arguments.append(wheel)
        done = subprocess.run([sys.executable, "-m", "pip", *arguments, *options], capture_output=True, text=True)
        if "No module named pip" in done.stderr:
            pytest.skip("pip is not installed")
        assert done.returncode == 0, done.stderr
    return target


@pytest.fixture
def elsewhere(tmp_path):
    """A folder that looks like a checkout, with other tables."""
    (tmp_path / "analysis" / "experiments").mkdir(parents=True)
    (tmp_path / "analysis" / "experiments" / "smoke.yaml").write_text("name: another\n")
    for folder in ("data_manifests", "lib/semanticcmc/data", "data"):
        (tmp_path / folder).mkdir(parents=True)
        for name in ("categories.csv", "category_anchors.csv", "wordnet_taxonomy.csv"):
            (tmp_path / folder / name).write_text("wnid,category\nn02084071,wrong\n")
    return tmp_path


def test_a_wheel_gives_the_numbers_of_the_checkout_in_any_folder(installed, elsewhere):
    results = []
    for path in (installed, ROOT / "lib"):
        done = run(elsewhere, path)
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        assert all(place.startswith(str(path)) for place in result["from"])
        results.append(result["found"])
    assert results[0] == results[1]
    assert sorted(set(results[0][-1])) == [0, 1]  # the categories are those of the package


def test_a_wheel_has_no_experiments_and_says_where_they_are(installed, elsewhere):
    code = "from semanticcmc.experiment import load_experiment; load_experiment('smoke')"
    done = run(elsewhere, installed, code)
    assert done.returncode == 1
    assert "outside a checkout of the repository" in done.stderr


def test_a_wheel_holds_the_package_its_tables_and_nothing_else(installed):
    def files(folder):
        found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        made = ("__pycache__/", ".dist-info/", ".egg-info/")
        return {name for name in found if not any(part in name for part in made)}

    assert files(installed) - {"bin/semanticcmc"} == files(ROOT / "lib")


def test_what_a_build_leaves_is_ignored_by_git():
    for path, ignored in (
        ("build/lib/semanticcmc/cli.py", True),
        ("lib/semanticcmc.egg-info/PKG-INFO", True),
        ("dist/semanticcmc-0.1.0-py3-none-any.whl", True),
        ("papers/build/numbers.py", False),
    ):
        done = subprocess.run(["git", "check-ignore", "--quiet", "--no-index", path], cwd=ROOT)
        if done.returncode == 128:
            pytest.skip("not a git checkout")
        assert (done.returncode == 0) == ignored, path
