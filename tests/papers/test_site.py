"""The site as far as it can be seen without Quarto: its sources, what they include, its links, and its gates."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from papers.build import site as website
from papers.build.checks import check_page
from papers.build.render import resolve

from semanticcmc.config import InputError
from tests.conftest import ROOT
from tests.papers.test_notebook_pages import ALT, executed_notebook
from tests.papers.test_poster import results

CONFIGURATION = yaml.safe_load((ROOT / "_quarto.yml").read_text())
STUDIES = [f"site/{page}.qmd" for page in website.STUDIES]  # written whole by `prepare`
PAGES = [Path(name) for name in CONFIGURATION["project"]["render"] if name.endswith(".qmd")]
SOURCES = [ROOT / page for page in PAGES if page.as_posix() not in STUDIES]
GENERATED = ("site/notebooks/", "reference/", *STUDIES)


def navigation(items):
    """Addresses of a navbar, menus included."""
    for item in items:
        if "href" in item:
            yield item["href"]
        yield from navigation(item.get("menu", []))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A checkout with made-up results, prepared: its folder and its experiment."""
    root = tmp_path_factory.mktemp("checkout")
    for name in ("_quarto.yml", "index.qmd"):
        shutil.copy(ROOT / name, root / name)
    (root / "analysis").symlink_to(ROOT / "analysis")
    # Quarto writes beside what it renders, and the package looks for results in the checkout that it is part of
    for name in ("lib", "papers", "validation", "benchmarks"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("runs", "__pycache__"))
    (root / "site").mkdir()
    for page in [file for kind in ("*.qmd", "_*.md", "*.yml") for file in (ROOT / "site").glob(kind)]:
        if page.relative_to(ROOT).as_posix() not in STUDIES:
            shutil.copy(page, root / "site" / page.name)
    experiment = results(root / "results" / "miniature")
    for name in website.NOTEBOOKS.values():
        executed_notebook(experiment.folder, name).with_suffix(".html").write_text("<p>A page</p>")
    for name in website.REQUIRED:
        path = experiment.folder / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    website.prepare(root, experiment)
    return root, experiment


# --- what the site is made of


def test_the_reference_has_every_module_of_the_package():
    package = ROOT / "lib" / "semanticcmc"
    modules = {path.relative_to(package).with_suffix("").as_posix().replace("/", ".") for path in package.rglob("*.py")}
    modules = {module.removesuffix(".__init__") for module in modules if not module.endswith("__main__")} - {"__init__"}
    listed = [module for section in CONFIGURATION["quartodoc"]["sections"] for module in section["contents"]]
    assert sorted(modules - set(listed)) == [], "add these to quartodoc's sections in _quarto.yml"
    assert sorted(set(listed) - modules) == [], "these are no longer there"
    assert len(listed) == len(set(listed))


def test_every_section_of_the_reference_has_its_page(tmp_path):
    """Quartodoc reads the docstrings from a copy of the package: it writes beside its configuration."""
    (tmp_path / "_quarto.yml").write_text(yaml.safe_dump(CONFIGURATION))
    (tmp_path / "lib").symlink_to(ROOT / "lib")
    command = [str(Path(sys.executable).with_name("quartodoc")), "build", "--config", "_quarto.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for section in CONFIGURATION["quartodoc"]["sections"]:
        for module in section["contents"]:
            page = (tmp_path / "reference" / f"{module}.qmd").read_text()
            assert len(page) > 80
            places = set(re.findall(r"\{ #([\w.]+) \}", page))
            assert set(re.findall(r"\]\(#([\w.]+)\)", page)) <= places, f"{module}: links to places that are not there"


def test_all_pages_are_rendered_and_reached():
    """What is rendered is in git or made; every page of ``site/`` is rendered, and the navigation leads to it."""
    rendered = CONFIGURATION["project"]["render"]
    for name in rendered:
        assert name in GENERATED or (ROOT / name).exists(), name
    for page in (ROOT / "site").glob("*.qmd"):
        assert f"site/{page.name}" in rendered
    reached = set(navigation(CONFIGURATION["website"]["navbar"]["left"]))
    assert {name for name in rendered if name.endswith(".qmd")} - {"index.qmd"} <= reached
    assert {f"site/notebooks/{chapter}.ipynb" for chapter in website.NOTEBOOKS} <= reached
    for address in reached:
        assert (ROOT / address).exists() or address.startswith(("results/miniature/", *GENERATED)), address


def test_every_notebook_of_the_analysis_is_on_the_site():
    assert set(website.NOTEBOOKS) == {path.stem for path in (ROOT / "analysis").glob("[0-9]*.ipynb")}


@pytest.fixture(scope="module")
def pages(site):
    """Each source as HTML, by its path: by pandoc, Quarto's shortcodes resolved; what pandoc warns of, Quarto does."""
    pypandoc = pytest.importorskip("pypandoc")
    root, _ = site
    values = yaml.safe_load((root / "_variables.yml").read_text())
    bibliography = f"--bibliography={ROOT / 'papers' / 'references.bib'}"
    options = [
        "--from=markdown",
        "--to=html",
        "--mathml",
        "--citeproc",
        "--fail-if-warnings",
        "--standalone",
        bibliography,
    ]

    def page(source):
        text = resolve(root / source, values).replace("fig-alt=", "alt=")
        command = [pypandoc.get_pandoc_path(), *options]
        return subprocess.run(command, cwd=(root / source).parent, input=text, capture_output=True, text=True)

    return {source: page(source) for source in PAGES}


@pytest.mark.parametrize("name", PAGES, ids=lambda path: path.stem)
def test_a_page_renders_without_a_warning_and_its_links_lead_somewhere(site, pages, name):
    root, _ = site
    assert pages[name].returncode == 0, pages[name].stderr
    for address in re.findall(r'(?:href|src)="([^"#][^"]*)"', pages[name].stdout):
        path = address.split("#")[0]
        if path.startswith(("https://", "data:")):
            continue
        target = os.path.normpath(name.parent / path)
        assert (root / target).exists() or target.startswith("reference/"), f"{name}: {address}"
        if target.endswith(".qmd") and not target.startswith("reference/"):
            assert Path(target) in PAGES, f"{name}: {address} is no page of the site"


def test_no_output_is_html_that_quarto_fetches_scripts_for():
    """Quarto adds jQuery and RequireJS from elsewhere to a page with an output of HTML; a raw block needs neither."""
    data = {"text/html": ["<table>\n", "<tr><td>a</td></tr></table>"], "text/plain": "a"}
    cell = {"cell_type": "code", "source": "E", "execution_count": 1, "outputs": [{"data": data}]}
    [found] = website.for_quarto({"cells": [cell]})["cells"][0]["outputs"]
    assert set(found["data"]) == {"text/markdown"}
    assert "```{=html}\n<table>\n<tr><td>a</td></tr></table>\n```" in found["data"]["text/markdown"]


def test_a_cell_reaches_quarto_as_a_list_of_lines():
    """Of nbformat's two forms of a source, Quarto runs the lines of a single string into each other."""
    cells = [{"cell_type": kind, "source": "a = 1\nb = 2", "outputs": []} for kind in ("code", "markdown")]
    assert [cell["source"] for cell in website.for_quarto({"cells": cells})["cells"]] == [["a = 1\n", "b = 2"]] * 2


def test_the_site_passes_its_checks_where_pandoc_stands_in_for_quarto(site, pages, tmp_path):
    """Resources are copied and pages made as `_quarto.yml` says; only the reference is not there."""
    pypandoc = pytest.importorskip("pypandoc")
    root, _ = site
    for pattern in CONFIGURATION["project"]["resources"]:
        for path in root.glob(pattern):
            (tmp_path / path.relative_to(root)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, tmp_path / path.relative_to(root))
    command = [pypandoc.get_pandoc_path(), "--from=ipynb", "--to=html", "--standalone", "--embed-resources"]
    made = {name.as_posix(): page.stdout for name, page in pages.items()}
    for chapter in website.NOTEBOOKS:
        name = f"site/notebooks/{chapter}.ipynb"
        done = subprocess.run(
            [*command, "--metadata=pagetitle=A chapter", root / name],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
        made[name] = done.stdout
    for name, page in made.items():

        def to_page(match, name=name):
            target = os.path.normpath(Path(name).parent / match[1])
            return match[0].replace(match[2], ".html") if target in made else match[0]

        target = (tmp_path / name).with_suffix(".html")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(re.sub(r'href="([^"#:]+(\.qmd|\.ipynb))', to_page, page))
    problems = [line for page in sorted(tmp_path.rglob("*.html")) for line in check_page(page, tmp_path)]
    assert [line for line in problems if "reference/" not in line] == []


def test_links_into_the_reference_lead_to_modules():
    modules = [module for section in CONFIGURATION["quartodoc"]["sections"] for module in section["contents"]]
    for source in [*SOURCES, ROOT / "README.md"]:
        for module in re.findall(r"reference/([\w.]+)\.qmd", source.read_text()):
            assert module in [*modules, "index"]


def test_links_within_the_site_name_sections_that_are_there(site):
    root, _ = site
    for source in SOURCES:
        for page, place in re.findall(r"\]\(([\w./]+\.qmd)#([\w-]+)\)", source.read_text()):
            text = ((root / source.relative_to(ROOT)).parent / page).read_text()
            assert f"{{#{place}}}" in text, f"{source.name}: {page}#{place}"


def test_links_of_the_readme_lead_to_files():
    for source in (ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        for address in re.findall(r"\]\(([^)#]+)\)", source.read_text()):
            assert address.startswith("https://") or (ROOT / address).exists(), f"{source.name}: {address}"


# --- what is made before


def test_missing_results_are_named_with_the_command_that_makes_them(tmp_path):
    with pytest.raises(InputError, match=r"missing poster/poster\.html.*`.*semanticcmc run miniature -- site`"):
        website.required(tmp_path)


def test_the_site_can_be_asked_of_the_workflow():
    """The rule that the message names holds every notebook that the site shows."""
    snakefile = (ROOT / "Snakefile").read_text()
    assert website.MAKE.endswith(" -- site")
    assert re.search(r"^rule site:", snakefile, re.MULTILINE)
    for name in website.NOTEBOOKS.values():
        assert name.split("_semantic")[0] in snakefile


def test_prepared_notebooks_carry_the_texts_of_their_figures(site):
    root, _ = site
    for chapter in website.NOTEBOOKS:
        page = (root / "site" / "notebooks" / f"{chapter}.ipynb").read_text()
        assert "../../results/miniature/tables/lag_curve.csv" in page
        assert (root / "results" / "miniature" / "tables" / "lag_curve.csv").exists()
        cells = yaml.safe_load(page)["cells"]
        for cell in cells:  # Quarto loses the newlines of a single string
            assert isinstance(cell["source"], list) and all("\n" not in line[:-1] for line in cell["source"])
        first = next(cell for cell in cells if "draw(" in "".join(cell["source"]))["source"][0]
        assert yaml.safe_load(first.removeprefix("#| ")) == {"fig-alt": ALT}


def test_variables_are_the_posters_words(site):
    root, _ = site
    values = yaml.safe_load((root / "_variables.yml").read_text())
    assert "60" in values["headline"]  # the network with the largest partial r in the made-up results
    assert values["experiment"]["seeds"] == "one seed"


@pytest.mark.parametrize(("scripts", "tables"), [("validation", "validation"), ("benchmarks", "benchmarks/results")])
def test_study_pages_hold_every_study_with_its_numbers(scripts, tables):
    parts = yaml.safe_load((ROOT / "site" / "tables.yml").read_text())
    written = website.studies(ROOT, scripts, tables)
    for script in (ROOT / scripts).glob("*.py"):
        text = website.section(ROOT, script, ROOT / tables)
        assert bool(text) == (ROOT / tables / f"{script.stem}.csv").exists()
        assert text in written
        if not text:
            continue
        assert re.match(rf"## [^\n]+ {{#{script.stem.replace('_', '-')}}}\n", text)
        rows = [line for line in text.splitlines() if line.startswith("| ")][1:]
        path = ROOT / tables / f"{script.stem}_summary.csv"
        path = path if path.exists() else path.with_name(f"{script.stem}.csv")
        table = pd.read_csv(path)
        if part := parts.get(path.relative_to(ROOT).as_posix()):
            table = table.query(part["rows"])[part["columns"]]
        for row, shown in zip(table.itertuples(index=False), rows, strict=False):
            cells = [cell.strip() for cell in shown.strip("|").split("|")]
            for value, cell in zip(row, cells, strict=True):
                if isinstance(value, float) and cell != "–":
                    assert float(cell.replace(",", "")) == pytest.approx(value, rel=6e-4)
                elif cell != "–":
                    assert cell == str(value)
        assert rows == [] or len(rows) == len(table)


def test_a_study_shows_its_pictures_with_their_own_words():
    text = website.section(ROOT, ROOT / "validation" / "estimators.py", ROOT / "validation")
    shown = re.findall(r'\[!\[\]\(\.\./(\S+?)\)\{fig-alt="(.+?)" width', text)
    names = ("r2", "reported", "poster", "rms")
    assert {path for path, _ in shown} == {f"validation/estimators_{name}.png" for name in names}
    for path, alt in shown:
        assert alt == json.loads((ROOT / path).with_suffix(".json").read_text())["alt"]


def test_a_table_too_long_for_a_page_is_linked_to(tmp_path):
    (tmp_path / "long.py").write_text('"""Is it long? Yes."""')
    pd.DataFrame({"x": range(website.ROWS + 1)}).to_csv(tmp_path / "long.csv", index=False)
    text = website.studies(tmp_path, ".", ".")
    assert text.startswith("## Is it long? {#long}\n\nYes.")
    assert "[long.csv](../long.csv)" in text
    assert "|" not in text


def test_a_study_that_says_nothing_and_a_folder_without_tables_are_refused(tmp_path):
    (tmp_path / "mute.py").write_text("x = 1")
    with pytest.raises(InputError, match=r"mute\.py: no docstring"):
        website.studies(tmp_path, ".", ".")
    (tmp_path / "mute.py").write_text('"""Is it there?"""')
    with pytest.raises(InputError, match=r"no tables; `make validate` and `make benchmark` make them"):
        website.studies(tmp_path, ".", ".")


# --- Quarto


def test_without_quarto_one_message_says_how_to_get_it(site, monkeypatch):
    root, experiment = site
    monkeypatch.setattr(website, "quarto", lambda: None)
    with pytest.raises(InputError, match=r"conda env create --file environment\.yml"):
        website.build(root, experiment)


@pytest.fixture
def stand_ins(tmp_path, monkeypatch):
    """A program in the place of Quarto, which ends well whatever it says, as Quarto does."""

    def write(said):
        (tmp_path / "quarto").write_text(f"#!/bin/sh\nmkdir -p _site; echo > _site/index.html\necho '{said}'\n")
        (tmp_path / "quarto").chmod(0o755)

    monkeypatch.setattr(website, "quarto", lambda: str(tmp_path / "quarto"))
    return write


def test_a_quiet_render_of_good_pages_is_a_site(site, stand_ins):
    root, experiment = site
    stand_ins("Output created: _site/index.html")
    assert website.build(root, experiment) == root / "_site" / "index.html"


@pytest.mark.parametrize(
    "warning",
    [
        "[WARNING] Citeproc: citation tian_2020 not found",
        "WARNING (poster.lua:3): Unable to resolve crossref",
        "WARN: Unable to resolve link target",
        "ERROR (poster.lua:3) a column",
    ],
)
def test_what_quarto_only_warns_of_stops_the_build(site, stand_ins, warning):
    root, experiment = site
    stand_ins(warning)
    with pytest.raises(InputError, match=re.escape(warning)):
        website.build(root, experiment)


@pytest.mark.parametrize("script", ["pre-render", "post-render"])
def test_without_the_package_quartos_steps_say_in_one_line_what_to_run(tmp_path, script):
    """Quarto starts them with the first Python that it finds, which may have nothing."""
    program, step = CONFIGURATION["project"][script].split()
    (tmp_path / "papers").mkdir()
    shutil.copy(ROOT / program, tmp_path / program)
    done = subprocess.run([sys.executable, "-I", "-S", tmp_path / program, step], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "error: the package semanticcmc is not installed; run `make install` first\n"


def test_no_page_includes_a_file_that_is_not_in_git():
    """Quarto resolves includes before anything that could write them, and stops with a stack trace."""
    for source in SOURCES:
        assert "{{< include" not in source.read_text(), source
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert all(f"/{page}" in ignored for page in STUDIES)


def test_every_picture_of_a_page_has_a_text():
    """Quarto does not take a caption for one."""
    for source in SOURCES:
        for picture in re.findall(r"!\[[^\]]*\]\([^)]*\)(?!\])(\{[^}]*\})?", source.read_text()):
            assert "fig-alt=" in picture, source


def test_code_that_scrolls_has_focus_and_a_name_and_names_break_at_their_dots():
    pypandoc = pytest.importorskip("pypandoc")
    text = "```\nx\n```\n\n| a |\n|--|\n| `training.objectives.memory_bank_nce` |\n"
    command = [pypandoc.get_pandoc_path(), "--from=markdown", "--to=html", f"--lua-filter={ROOT / 'papers/site.lua'}"]
    page = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
    assert re.search(r'<pre[^>]*tabindex="0"[^>]*aria-label=', page.replace("\n", " "))
    assert "training.<wbr>objectives.<wbr>memory_<wbr>bank_<wbr>nce" in page
    assert re.search(r'class="scroll wide"[^>]*role="region"', page.replace("\n", " "))


def test_a_studys_command_is_whole_and_its_remark_a_sentence():
    text = website.section(ROOT, ROOT / "validation" / "conditions.py", ROOT / "validation")
    assert "    python -m validation.conditions\n" in text
    assert "\nFOUND\n" not in text and not re.search(r"^ {4}.*``", text, re.MULTILINE)


@pytest.mark.skipif(website.quarto() is None, reason="Quarto is not on the path")
def test_quarto_renders_the_site(site, monkeypatch):
    root, experiment = site
    monkeypatch.setenv("PYTHONPATH", f"{root / 'lib'}{os.pathsep}{root}")
    assert website.build(root, experiment).exists()
