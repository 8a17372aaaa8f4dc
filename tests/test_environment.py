"""environment.yml, pyproject.toml and requirements.lock name the same packages with the same bounds."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import yaml

ROOT = Path(__file__).parents[1]
CONDA_NAME = {
    "torch": "pytorch",
    "matplotlib": "matplotlib-base",
    "seaborn": "seaborn-base",
    "snakemake": "snakemake-minimal",
}
CONDA_ONLY = {"python", "quarto", "make", "pip"}


def bounds(requirements):
    """Name to version bounds, the bounds sorted."""
    parts = [re.fullmatch(r"([A-Za-z0-9_.-]+?)\s*([<>=!~].*)?", line) for line in requirements]
    return {match[1].lower(): sorted((match[2] or "").replace(" ", "").split(",")) for match in parts}


def pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    return bounds(project["dependencies"] + extras["analysis"] + extras["publish"] + extras["test"]), project


def test_conda_environment_has_the_packages_and_bounds_of_pyproject():
    entries = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    pip = next(entry["pip"] for entry in entries if isinstance(entry, dict))
    conda = bounds([entry for entry in entries if isinstance(entry, str)] + pip)
    wanted, project = pyproject()
    wanted = {CONDA_NAME.get(name, name): bound for name, bound in wanted.items()}
    assert {name: bound for name, bound in conda.items() if name not in CONDA_ONLY} == wanted
    assert conda["python"] == sorted(project["requires-python"].split(","))


def test_quarto_is_an_extra_of_its_own_with_one_bound_everywhere():
    """Its package downloads a program while it is installed, which a lock with hashes cannot hold."""
    [wanted] = pyproject()[1]["optional-dependencies"]["quarto"]
    bound = wanted.removeprefix("quarto-cli")
    assert f"  - quarto{bound}\n" in (ROOT / "environment.yml").read_text()
    assert f"'{wanted}'" in (ROOT / "Makefile").read_text()
    assert "quarto-cli" not in (ROOT / "requirements.lock").read_text()


def test_lock_pins_every_dependency_by_hash_and_names_no_host():
    text = (ROOT / "requirements.lock").read_text()
    pinned = {match.lower() for match in re.findall(r"^([A-Za-z0-9_.-]+)==", text, flags=re.M)}
    wanted, _ = pyproject()
    assert set(wanted) <= pinned
    assert "://" not in text
    entries = re.split(r"\n(?=\S)", text.strip())
    assert all("--hash=sha256:" in entry for entry in entries)


def test_citation_names_software_poster_and_methods():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["license"] == "MIT"
    titles = " ".join(reference["title"].lower() for reference in citation["references"])
    for words in ("semanticcmc", "contrastive multiview coding", "representational similarity analysis"):
        assert words in titles


def make_targets():
    return set(re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split())


def test_make_help_lists_every_command():
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"^  make (\w+) +\S", said, re.MULTILINE)) >= make_targets()


def test_a_notebook_that_was_run_does_not_dirty_a_checkout_once_installed(tmp_path):
    """The line of `make install` in a clone of its own; outside git it says and does nothing."""
    makefile = (ROOT / "Makefile").read_text()
    [line] = [line.lstrip("\t@") for line in makefile.splitlines() if "nbstripout --install" in line]
    command = line.replace("$(RUN)", sys.executable)
    env = os.environ | {"GIT_CEILING_DIRECTORIES": str(tmp_path)}

    def sh(command):
        return subprocess.run(
            command, shell=True, cwd=tmp_path, env=env, capture_output=True, text=True, check=True
        ).stdout

    assert sh(command) == "" and list(tmp_path.iterdir()) == []
    notebook = nbformat.read(ROOT / "analysis" / "05_wordnet.ipynb", as_version=4)
    shutil.copy(ROOT / "analysis" / "05_wordnet.ipynb", tmp_path / "05.ipynb")
    sh("git init -q . && git add . && git -c user.name=a -c user.email=a@b commit -qm a")
    sh(command)
    notebook.cells[1].update(execution_count=3, outputs=[nbformat.v4.new_output("stream", text="seen")])
    nbformat.write(notebook, tmp_path / "05.ipynb")
    assert sh("git diff") == "" and sh("git add -A && git status --porcelain") == ""  # nothing to commit
    sh("git config filter.nbstripout.clean false && git diff")  # a .venv that was removed stops no command of git
    assert sh("git config --global --get-regexp filter.nbstripout || true") == ""


def test_public_integration_runs_the_commands_of_the_repository():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    commands = " ".join(step.get("run", "") for step in steps)
    assert {"lint", "test", "poster"} <= set(re.findall(r"make (\w+)", commands)) <= make_targets()
    for name in re.findall(r"\b(?:tests/\w+\.py|environment\.yml)", str(workflow)):
        assert (ROOT / name).exists()
    for action in [step["uses"] for step in steps if "uses" in step]:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+@v\d+", action)
    low, high = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", pyproject()[1]["requires-python"]).groups()
    pythons = workflow["jobs"]["tests"]["strategy"]["matrix"]["python"]
    assert pythons == [f"3.{minor}" for minor in range(int(low), int(high))]


def test_changelog_and_citation_name_the_version():
    version = pyproject()[1]["version"]
    assert f"\n## [{version}] - " in (ROOT / "CHANGELOG.md").read_text()
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version
