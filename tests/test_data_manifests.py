"""Small tables against their Frictionless data packages, which say what every column may hold."""

import json
import shutil

import pytest

from semanticcmc.config import package_table
from tests.conftest import ROOT

FOLDERS = {"data_manifests": ROOT / "data_manifests", "data": package_table("")}


@pytest.fixture
def packages(tmp_path):
    """Copies of the tables, to spoil."""
    for name, folder in FOLDERS.items():
        shutil.copytree(folder, tmp_path / name)
    return tmp_path


def problems(folder):
    frictionless = pytest.importorskip("frictionless")
    report = frictionless.validate(str(folder / "datapackage.json"))
    return [*report.errors, *(error for task in report.tasks for error in task.errors)]


@pytest.mark.parametrize("folder", FOLDERS.values(), ids=FOLDERS)
def test_every_table_is_as_the_data_package_says(folder):
    assert not [error.message for error in problems(folder)]
    described = {resource["path"] for resource in json.loads((folder / "datapackage.json").read_text())["resources"]}
    assert described == {path.name for path in folder.glob("*.csv")}


@pytest.mark.parametrize(
    "folder, name, line",
    [
        ("data", "label_nouns", "Xyzzy,dog.n.01,dog,by hand"),
        ("data", "label_nouns", "Dog,n02084071,dog,by hand"),  # stands twice
        ("data", "categories", "n99999999,nothing,animal"),  # in no taxonomy
        ("data", "word_nouns", "xyzzy,n99999999,nothing,by hand"),
        ("data_manifests", "published_results", "random,conv5,lch,none,1.5,0.001,nobody"),
        ("data_manifests", "films", "a,A,nineteen ninety,,,,,,"),
        ("data_manifests", "films", "a,A,1994,no checksum,,,,,"),
        ("data_manifests", "films", ",A,1994,,,,,,"),
    ],
)
def test_a_wrong_line_is_found(packages, folder, name, line):
    with (packages / folder / f"{name}.csv").open("a", encoding="utf-8") as handle:
        handle.write(line + "\n")
    assert problems(packages / folder)
