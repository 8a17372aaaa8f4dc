"""What the site is made of besides results: the API reference by quartodoc, the page of the permutation test."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml


def test_every_room_of_the_reference_has_its_page(tmp_path, repository):
    """Quartodoc reads the docstrings from a copy of the package: it writes beside its configuration."""
    configuration = yaml.safe_load((repository / "_quarto.yml").read_text())
    (tmp_path / "_quarto.yml").write_text(yaml.safe_dump(configuration))
    (tmp_path / "lib").symlink_to(repository / "lib")
    command = [str(Path(sys.executable).with_name("quartodoc")), "build", "--config", "_quarto.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    rooms = [room for section in configuration["quartodoc"]["sections"] for room in section["contents"]]
    for room in rooms:
        assert (tmp_path / "reference" / f"{room}.qmd").stat().st_size > 100


def test_the_page_of_the_permutation_test_renders_without_a_warning(tmp_path, repository):
    pypandoc = pytest.importorskip("pypandoc")
    page = tmp_path / "page.html"
    options = ["--citeproc", "--mathml", "--fail-if-warnings", f"--resource-path={repository / 'papers'}",
               f"--bibliography={repository / 'papers' / 'references.bib'}"]  # fmt: skip
    source = repository / "papers" / "permutation_cosets.qmd"
    pypandoc.convert_file(str(source), "html", format="markdown", outputfile=str(page), extra_args=options)
    assert "<math" in page.read_text()


def test_what_the_site_renders_is_there_or_made_by_the_workflow(repository):
    render = yaml.safe_load((repository / "_quarto.yml").read_text())["project"]["render"]
    for source in render:
        if source.startswith("results/miniature/notebooks/"):
            assert (repository / "analysis" / Path(source).name).exists()
        elif source != "reference/":
            assert (repository / source).exists()
