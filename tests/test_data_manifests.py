"""The small tables against their Frictionless data package, which says what every column may hold."""

import json
import shutil

import pytest


@pytest.fixture
def package(tmp_path, repository):
    """A copy of the tables, to spoil."""
    for path in (repository / "data_manifests").iterdir():
        if path.suffix in (".csv", ".json"):
            shutil.copy(path, tmp_path)
    return tmp_path


def problems(folder):
    frictionless = pytest.importorskip("frictionless")
    report = frictionless.validate(str(folder / "datapackage.json"))
    return [*report.errors, *(error for task in report.tasks for error in task.errors)]


def test_every_table_is_as_the_data_package_says(repository):
    folder = repository / "data_manifests"
    assert not [error.message for error in problems(folder)]
    described = {resource["path"] for resource in json.loads((folder / "datapackage.json").read_text())["resources"]}
    assert described == {path.name for path in folder.glob("*.csv")}


@pytest.mark.parametrize(
    "name, line",
    [
        ("label_nouns", "Xyzzy,dog.n.01,dog,by hand"),
        ("label_nouns", "Dog,n02084071,dog,by hand"),  # stands twice
        ("categories", "n99999999,nothing,animal"),  # in no taxonomy
        ("published_results", "random,conv5,lch,none,1.5,0.001,nobody"),
        ("films", "a,A,nineteen ninety,,,,,,"),
        ("films", "a,A,1994,no checksum,,,,,"),
        ("films", ",A,1994,,,,,,"),
    ],
)
def test_a_wrong_line_is_found(package, name, line):
    with (package / f"{name}.csv").open("a", encoding="utf-8") as handle:
        handle.write(line + "\n")
    assert problems(package)
