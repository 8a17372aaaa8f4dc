"""Pages of executed notebooks: nothing lost, nothing fetched, every figure with its text and its data."""

import json
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import bs4
import nbformat
import pandas as pd
import pytest
from papers.build.notebook_pages import annotated, main, relative, write_page

from semanticcmc.config import InputError
from semanticcmc.figures.save import Picture
from semanticcmc.run import small_table
from semanticcmc.study import Study
from tests.conftest import ROOT
from tests.papers.accessibility import assert_readable

PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
ALT = 'Correlation against lag, in "seconds" & minutes'


class Page(HTMLParser):
    """What a page refers to and shows."""

    def __init__(self, path):
        super().__init__()
        self.images, self.links, self.tags, self.folded, self.text = [], [], set(), "", ""
        self._open = False
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.add(tag)
        self._open = self._open or tag == "details"
        if tag == "img":
            self.images.append(given)
        if tag in ("a", "link", "script", "img"):
            self.links.append(given.get("href") or given.get("src"))

    def handle_endtag(self, tag):
        if tag == "details":
            self._open = False

    def handle_data(self, data):
        self.text += data
        if self._open:
            self.folded += data

    @property
    def local_links(self):
        return [link for link in self.links if link and not link.startswith(("data:", "#", "https://github.com/"))]


def executed_notebook(folder, name):
    """``<folder>/notebooks/<name>.ipynb`` as papermill and `figures.save.save` leave it, with its figure and table."""
    for place in ("notebooks", "figures", "tables"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    for ending in ("svg", "png"):
        (folder / "figures" / f"curve.{ending}").write_text("")
    table = folder / "tables" / "lag_curve.csv"
    if not table.exists():
        table.write_text("network\n")
    inputs = [{"path": "tables/lag_curve.csv"}, {"path": "frames/index.parquet"}]
    (folder / "figures" / "curve.json").write_text(json.dumps({"alt": ALT, "inputs": inputs}))
    v4 = nbformat.v4
    outputs = [
        v4.new_output("stream", name="stderr", text="a line of progress"),
        v4.new_output("stream", name="stdout", text="the largest is 60 s"),
        v4.new_output("display_data", data={"text/markdown": "| s | r |\n|--|--|\n| 60 | 0.21 |", "text/plain": "<M>"}),
        v4.new_output(
            "display_data",
            data={"image/png": PICTURE, "text/plain": "<Figure>"},
            metadata={"image/png": {"alt": ALT, "figure": "curve"}},
        ),
    ]
    cells = [
        v4.new_markdown_cell("# Where is meaning?\n\nThe square is $a^2$."),
        v4.new_code_cell("answer = 6 * 7", execution_count=1),
        v4.new_code_cell("draw(answer)", execution_count=2, outputs=outputs),
    ]
    run = {"parameters": {"experiment": str(folder / "experiment.yaml"), "seed": 3}, "end_time": "2026-11-21T03:05:42"}
    path = folder / "notebooks" / f"{name}.ipynb"
    nbformat.write(v4.new_notebook(cells=cells, metadata={"papermill": run}), path)
    return path


@pytest.fixture
def notebook(tmp_path):
    return executed_notebook(tmp_path / "results" / "tiny", "04_lag_curve")


def test_page_shows_what_the_notebook_showed(notebook):
    page = Page(write_page(notebook))
    assert [image["alt"] for image in page.images] == [ALT]
    assert {"math", "table", "main", "details"} <= page.tags
    assert "answer = 6 * 7" in page.folded
    assert "draw(answer)" in page.folded
    for said in ("Where is meaning?", "the largest is 60 s", "0.21", "experiment tiny", "seed 3", "2026-11-21"):
        assert said in page.text
        assert said not in page.folded
    for unsaid in ("a line of progress", "<M>"):
        assert unsaid not in page.text


def test_page_stands_alone_and_leads_to_its_data(notebook):
    path = write_page(notebook)
    page = Page(path)
    assert "script" not in page.tags
    assert "../tables/lag_curve.csv" in page.local_links
    assert "../figures/curve.json" in page.local_links
    for link in page.local_links:
        assert (path.parent / link).exists(), link
    assert "frames/index.parquet" in page.text  # named, and no link: films are not given away


def test_a_picture_made_by_hand_leads_to_its_own_record(notebook):
    """Notebook 00 writes into explore/: beside a figure of the results that has the same name."""
    made = notebook.parent.parent / "explore"
    shutil.copytree(notebook.parent.parent / "figures", made / "figures")
    notebook.write_text(notebook.read_text().replace('"figure": "curve"', '"figure": "explore/figures/curve"'))
    page = Page(write_page(notebook))
    assert {"../explore/figures/curve.json", "../explore/figures/curve.svg"} <= set(page.local_links)
    assert "../figures/curve.json" not in page.local_links and "Figure curve: " in page.text
    shutil.rmtree(made)  # a name of that kind without such a record is that of the results
    assert "../figures/curve.json" in Page(write_page(notebook)).local_links


def test_wide_html_of_an_output_stays_on_a_phone(notebook):
    """What an object is, with long paths, and a data frame of many columns."""
    page = nbformat.read(notebook, 4)
    frame = pd.DataFrame([[0.123456789] * 30], columns=[f"a long name {i}" for i in range(30)])
    wide = small_table({"results": "/a/long/path" * 30}) + frame.to_html() + small_table([["several words " * 30]])
    page.cells[2].outputs.append(nbformat.v4.new_output("display_data", data={"text/html": wide}))
    nbformat.write(page, notebook)
    path = write_page(notebook)
    assert path.read_text().count('class="scroll"') == 4  # one of Markdown
    assert_readable(path)


@pytest.mark.parametrize("inside", [True, False])
def test_the_picture_of_a_study_leads_to_its_table_in_the_repository(repository, tmp_path, monkeypatch, inside):
    """From results in the repository by links; from results elsewhere, which may be moved, by name."""
    monkeypatch.setattr("papers.build.notebook_pages.ROOT", tmp_path if inside else repository)
    (tmp_path / "papers").symlink_to(repository / "papers")
    (tmp_path / "validation").mkdir()
    for name in ("real_images.json", "real_images.png", "real_images.csv"):
        shutil.copy(repository / "validation" / name, tmp_path / "validation" / name)
    path = executed_notebook(tmp_path / "results" / "tiny", "05_wordnet")
    path.write_text(path.read_text().replace('"figure": "curve"', '"figure": "real_images"'))
    page = Page(write_page(path))
    assert ("../../../validation/real_images.csv" in page.local_links) is inside
    assert "validation/real_images.csv" in page.text and "data_manifests/published_results.csv" in page.text
    for link in page.local_links:
        assert (path.parent / link).exists(), link
    site = annotated(path, results="../../results/tiny")["cells"][-1]["source"]
    assert ('"../../validation/real_images.png"' in site) is inside


def test_page_can_be_read_by_everybody(notebook):
    assert_readable(write_page(notebook))


def test_annotated_notebook_stays_a_notebook(notebook):
    page = annotated(notebook, results="../../results/tiny")
    nbformat.validate(nbformat.from_dict(page))
    assert "../../results/tiny/tables/lag_curve.csv" in page["cells"][-1]["source"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"cells": [{"cell_type": "markdown"}]}'])
def test_what_is_no_notebook_is_refused(tmp_path, content):
    path = tmp_path / "broken.ipynb"
    path.write_text(content)
    with pytest.raises(InputError, match=r"broken\.ipynb: not readable as a notebook"):
        annotated(path)


def test_unexecuted_notebook_is_refused_and_an_old_page_stays(repository, tmp_path, capsys):
    path = tmp_path / "04_lag_curve.ipynb"
    path.write_bytes((repository / "analysis" / path.name).read_bytes())
    path.with_suffix(".html").write_text("old")
    assert main([str(path)]) == 2
    assert "not executed; `make poster` leaves executed notebooks" in capsys.readouterr().err
    assert path.with_suffix(".html").read_text() == "old"


def test_pages_are_light_to_make():
    """One process a notebook: what it imports counts."""
    command = "import sys, papers.build.notebook_pages; print(*{'torch', 'pandas', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == ""


@pytest.mark.pipeline
def test_every_notebook_of_a_run_has_its_page(smoke):
    folder, _ = smoke
    notebooks = sorted((folder / "notebooks").glob("*.ipynb"))
    pictures = [*(folder / "figures").glob("*.png"), ROOT / "validation" / "real_images.png"]
    texts = {Picture(png).words for png in pictures}
    assert notebooks
    for notebook in notebooks:
        path = notebook.with_suffix(".html")
        page = Page(path)
        assert {image["alt"] for image in page.images} <= texts
        assert all((path.parent / link).exists() for link in page.local_links)
        assert path.stat().st_size < 2_000_000
    assert_readable(folder / "notebooks" / "04_lag_curve.html")


@pytest.mark.pipeline
def test_two_clicks_lead_from_the_poster_to_the_data_of_its_central_figure(smoke):
    folder, _ = smoke
    poster = folder / "poster" / "poster.html"
    [link] = {link for link in Page(poster).local_links if link.endswith("04_lag_curve.html")}
    notebook = (poster.parent / link).resolve()
    links = [link for link in Page(notebook).local_links if link.endswith("tables/lag_curve.csv")]
    assert (notebook.parent / links[0]).read_text().startswith("network,lag_s,seed,")


def test_paths_of_the_machine_that_executed_a_notebook_are_not_shown(tmp_path):
    text = f'{{"code": "{ROOT}/analysis/x.ipynb", "said": "{tmp_path}/mine/networks/n.pt"}}'
    assert relative(text, tmp_path) == '{"code": "analysis/x.ipynb", "said": "mine/networks/n.pt"}'


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![x](/etc/hostname)",
    "![x](http://example.org/a.png)",
    "[a](javascript:alert(1))",
    "`<b>`{=html}",
    "::: {.x}",
    "{{< include /etc/passwd >}}",
    "a|b\nc",
    "&lt;i&gt; $x$ *b* ~~s~~ ^a^ @cite \\newpage",
    "Ba$$in, 50% off: $5 #1",
    "007",
]


def test_labels_of_others_are_shown_as_they_stand(tmp_path):
    table = pd.DataFrame({"label": HOSTILE, "count": 1.5})
    notebook = executed_notebook(tmp_path, "a")
    page = nbformat.read(notebook, 4)
    page.cells[1].outputs = [nbformat.v4.new_output("display_data", data={"text/markdown": Study.show(table).data})]
    nbformat.write(page, notebook)
    shown = bs4.BeautifulSoup(write_page(notebook).read_text(encoding="utf-8"), "html.parser")
    rows = [" ".join(row.find("td").get_text().split()) for row in shown.find("table").find_all("tr")[1:]]
    assert rows == [" ".join(label.split()) for label in HOSTILE]
    assert not shown.find("table").find_all(["script", "img", "a", "b", "i", "math"])


def test_a_page_never_holds_a_file_that_a_notebook_names(tmp_path):
    (tmp_path / "secret.png").write_bytes(b"of this machine")
    notebook = executed_notebook(tmp_path, "a")
    page = nbformat.read(notebook, 4)
    page.cells[1].outputs = [
        nbformat.v4.new_output("display_data", data={"text/markdown": f"![x]({tmp_path / 'secret.png'})"})
    ]
    nbformat.write(page, notebook)
    with pytest.raises(InputError, match="Could not fetch"):
        write_page(notebook)
