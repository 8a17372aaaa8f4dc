"""The paper: its numbers are the tables', its references lead where they say, and what is missing stops it."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pandas as pd
import pytest
import yaml
from papers.build import paper, quarto, values
from papers.build.paper import settings
from papers.build.render import main, make, render

from semanticcmc.config import InputError
from semanticcmc.experiment import repository_root
from tests.papers.accessibility import assert_readable
from tests.papers.test_poster import PEAK, results, with_methods, without_quarto, wording

ROOT = repository_root()


@pytest.fixture(autouse=True)
def _without_quarto(monkeypatch):
    """The pandoc path, wherever the tests run; Quarto's has a test of its own."""
    without_quarto(monkeypatch)


class Page(HTMLParser):
    """Tables of a page by the identifier of their figure, its text, its links and its identifiers."""

    def __init__(self, path):
        super().__init__()
        self.tables, self.text, self.links, self.identifiers, self.figure, self.within = ({}, "", [], [], None, None)
        self.feed(path.read_text(encoding="utf-8"))
        self.text = re.sub(r"\s+", " ", self.text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.identifiers += [found["id"]] if "id" in found else []
        if tag == "figure":
            self.figure = found.get("id")
        elif tag == "tr":
            self.tables.setdefault(self.figure, []).append([])
        elif tag in ("td", "th"):
            self.tables[self.figure][-1].append("")
        elif tag == "a" and found.get("href", "").startswith("#"):
            self.links.append([found["href"][1:], ""])
            self.within = "a"
        self.within = tag if tag in ("td", "th", "style") else self.within

    def handle_endtag(self, tag):
        if tag == self.within:
            self.within = None

    def handle_data(self, data):
        if self.within == "style":
            return
        self.text += data
        if self.within in ("td", "th"):
            self.tables[self.figure][-1][-1] += data
        elif self.within == "a" and self.links:
            self.links[-1][1] += data


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    experiment = with_methods(results(tmp_path_factory.mktemp("results") / "peak", seeds=(0, 1, 2)))
    with pytest.MonkeyPatch.context() as patch:
        without_quarto(patch)
        paths = make(experiment, "paper")
    return experiment, paths, Page(paths[0])


COLUMNS = ((0, "category", "none"), (1, "category", "random"), (3, "lch", "none"), (4, "lch", "random"))


def first_number(cell):
    return float(cell.split()[0].replace("−", "-"))


def test_the_tables_on_the_page_are_the_tables_on_disk(made):
    experiment, _, page = made
    table = pd.read_csv(experiment.folder / "tables" / "lag_curve.csv", keep_default_na=False)
    table = table[(table.layer == "fc7") & (table.condition == "intact")].astype({"mantel_r": str})
    shown = {row[0]: row[1:] for row in page.tables["tbl-tests"][1:]}
    for title, network in (("1 s apart", "semantic_1s"), ("60 s apart", "semantic_60s"), ("CMC on films", "cmc_lab")):
        for place, model, control in COLUMNS:
            own = table[(table.network == network) & (table.model == model) & (table.control == control)]
            cell = shown[title][place]
            assert first_number(cell) == pytest.approx(own.mantel_r.astype(float).mean(), abs=0.0051)
            if control == "random":
                low, high = (float(bound) for bound in re.findall(r"-?\d\.\d+", cell.replace("−", "-"))[1:])
                assert low == pytest.approx(own.ci_low.min(), abs=0.0051)
                assert high == pytest.approx(own.ci_high.max(), abs=0.0051)
    accuracy = {row[0]: row[1] for row in page.tables["tbl-accuracy"][1:]}
    assert accuracy["same frame twice"].replace("\u00a0", " ") == "60 %"


def test_the_studies_on_the_page_are_the_tables_in_validation(made):
    page = made[2]
    worlds = pd.read_csv(ROOT / "validation" / "timescales.csv")
    worlds = worlds[worlds.study == "recovery"].drop_duplicates("world")
    minimum = worlds.published_minimum_s / worlds.film_s
    rho = (worlds.half_life_true_s / worlds.film_s).rank().corr(minimum.rank())
    text = page.text.replace("\u00a0", " ")
    assert f"The published minimum lay at {minimum.median():.2f} film lengths" in text
    assert f"ρ = {rho:.2f}".replace("-", "−") in text and "not the truth" in text
    tests = pd.read_csv(ROOT / "validation" / "lag_curve.csv", keep_default_na=False, na_values=[""])
    own = tests[(tests.world == "four_times_faster") & (tests.model == "category") & (tests.control == "random")]
    best = own.groupby("network").mantel_r.mean().max()
    row = next(row for row in page.tables["tbl-worlds"] if row[0] == "beats and scenes a quarter as long")
    assert first_number(row[4].replace("\u00a0", " ")) == pytest.approx(best, abs=0.0051)
    kills = pd.read_csv(ROOT / "validation" / "ingest.csv")
    assert f"{int(kills.byte_identical.sum())} of {len(kills)} ended with the same bytes" in text


def test_figures_tables_sections_and_equations_are_numbered_in_their_order(made):
    page, text = made[2], made[1][0].read_text(encoding="utf-8")
    for kind, name in (("fig", "Figure"), ("tbl", "Table")):
        given = re.findall(rf'<figure id="({kind}-[\w-]+)"', text)
        expected = {identifier: f"{name} {number}" for number, identifier in enumerate(given, 1)}
        said = {target: words.replace("\u00a0", " ") for target, words in page.links if target.startswith(f"{kind}-")}
        assert said and said == {target: expected[target] for target in said}
        captions = re.findall(rf"<strong>{name}\s(\d+):</strong>", text.replace("\u00a0", " "))
        assert sorted(map(int, captions)) == list(range(1, len(given) + 1))
    found = re.findall(r'id="(sec-[\w-]+)"[^>]*>\s*<span\s+class="header-section-number">([\d.]+)<', text)
    of_section = dict(found)
    references = [(target, words.replace("\u00a0", " ")) for target, words in page.links if target.startswith("sec-")]
    references = [(target, words) for target, words in references if words.startswith("Section ")]  # not the contents
    assert references and all(words == f"Section {of_section[target]}" for target, words in references)


def test_every_link_within_the_page_leads_somewhere_and_nothing_is_unresolved(made):
    page = made[2]
    assert {target for target, _ in page.links} <= set(page.identifiers)
    assert not re.search(r"\{\{<|\?var|undefined|\bnan\b|@(fig|tbl|sec|eq)-", page.text)
    doubled = [identifier for identifier in page.identifiers if page.identifiers.count(identifier) > 1]
    assert not doubled


def test_both_formats_number_alike(made, tmp_path):
    if not shutil.which("pdftotext"):
        pytest.skip("needs pdftotext")
    told = subprocess.run(["pdftotext", "-layout", str(made[1][1]), "-"], capture_output=True, text=True).stdout
    for name in ("Figure", "Table"):
        in_page = {int(n) for n in re.findall(rf"{name}\s(\d+):", made[2].text)}
        in_pdf = {int(n) for n in re.findall(rf"{name}\s(\d+):", told)}
        assert in_page == in_pdf != set()
    assert "??" not in told


def test_the_pdf_is_a4_and_the_page_stands_alone(made):
    boxes = re.findall(rb"/MediaBox\s*\[\s*0 0 ([\d.]+) ([\d.]+)\s*\]", made[1][1].read_bytes())
    assert boxes and {tuple(round(float(side) / 72 * 25.4) for side in box) for box in boxes} == {(210, 297)}
    assert not re.search(r'src="(?!data:)', made[1][0].read_text(encoding="utf-8"))


def test_the_page_can_be_read_by_everybody(made):
    assert_readable(made[1][0])


def test_an_absent_effect_is_reported_as_absent(tmp_path):
    text = wording(with_methods(results(tmp_path / "absent", dict.fromkeys(PEAK, 0.0213))), "paper")
    assert "no lag was found to teach what goes together" in text and "not shown to be above chance" in text
    assert "not above 0 under any of them" in text


@pytest.mark.parametrize(
    ("source", "hours", "labels", "said"),
    [
        (
            "clips",
            0.05,
            0,
            ("3.0 minutes of film cannot teach meaning: this paper", "symmetric InfoNCE", "No labels came"),
        ),
        ("poster", 158.4, 1000, ("158.4 hours", "against a memory bank of all frames", "3,000 labels")),
    ],
)
def test_films_are_told_of_as_films(tmp_path, source, hours, labels, said):
    experiment = with_methods(results(tmp_path / "e", source="films", hours=hours, labels=labels), source)
    text = wording(experiment, "paper") if labels else Page(make(experiment, "paper")[0]).text.replace("\u00a0", " ")
    assert [words for words in said if words not in text] == []
    assert "drawn world" not in text.split("A world tuned to peak")[0]


def test_a_section_that_an_experiment_has_is_in_its_paper(tmp_path, made):
    assert "Robustness to choices of the analysis" not in made[2].text
    experiment = with_methods(results(tmp_path / "e"))
    curves = {
        ("declared", "as declared"): {1: 0.0, 60: 1.0},
        ("layer", "fc6"): {1: 0.1, 60: 0.3},
        ("distance", "cosine"): {1: 0.4, 60: 0.3},
    }
    rows = [
        (f"semantic_{lag_s}s", lag_s, 0, "category", *varied, r)
        for varied, curve in curves.items()
        for lag_s, r in curve.items()
    ]
    columns = ["network", "lag_s", "seed", "model", "varied", "value", "mantel_r"]
    pd.DataFrame(rows, columns=columns).to_csv(experiment.folder / "tables" / "robustness.csv", index=False)
    shutil.copy(experiment.folder / "figures" / "rdms.svg", experiment.folder / "figures" / "robustness.svg")
    (experiment.folder / "figures" / "robustness.json").write_text(json.dumps({"alt": "Choices"}))
    text = wording(experiment, "paper")
    assert "Robustness to choices of the analysis" in text
    assert (
        "In 1 of 2 variations the largest mean correlation is at 60 s; in the others elsewhere: distance: cosine (1 s)"
        in text
    )


def test_a_missing_result_stops_with_the_command_that_makes_it(tmp_path, capsys, monkeypatch):
    experiment = with_methods(results(tmp_path / "e"))
    (experiment.folder / "tables" / "half_lives.csv").unlink()
    assert main([str(experiment.file), "paper"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error:") and "papermill analysis/01_dataset_statistics.ipynb" in said
    assert not (experiment.folder / "paper").exists() and not list(experiment.folder.glob("paper*"))
    monkeypatch.setattr("papers.build.values.ROOT", tmp_path)
    with pytest.raises(InputError, match=r"quoted\.yml: missing\. `git checkout -- validation` restores it"):
        values.validation("quoted.yml")


SHORT = """
# First {#sec-first}

@fig-a and @tbl-a are in @sec-first, after others [@wiskott_2002]. So it is [@aubret_2024].

![A figure.](study_timescales.png){#fig-a fig-alt="A figure"}

::: {#tbl-a}
| a | b |
|---|---|
| 1 | 2 |

A table.
:::

::: {#tbl-b}
| a | b |
|---|---|
| 1 | 2 |

The same.
:::
"""


@pytest.fixture(scope="module")
def short(made, tmp_path_factory):
    """A paper of a few lines, with the head of the real one, that renders."""
    staged = tmp_path_factory.mktemp("short") / "paper"
    shutil.copytree(made[0].folder / "paper", staged)
    head = (ROOT / "papers" / "paper.qmd").read_text(encoding="utf-8").split("---\n")[1]
    (staged / "paper.qmd").write_text(f"---\n{head}---\n{SHORT}", encoding="utf-8")
    render(staged, "paper")
    return staged


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("@fig-a and", "@fig-c and", "@fig-c refers to nothing"),
        ("@sec-first", "@sec-fist", "@sec-fist refers to nothing"),
        ("#tbl-b}", "#tbl-a}", "two things are called tbl-a"),
        ("@wiskott_2002", "@wiskott_1902", "wiskott_1902"),
        ("@aubret_2024", "@aubret_2024; @fig-a", "in one pair of brackets"),
        ("So it is", "{{< var claim.absent >}}", "claim.absent"),
        ("study_timescales.png", "study_absent.png", "study_absent.png"),
    ],
)
def test_what_does_not_resolve_fails(short, tmp_path, old, new, message):
    staged = tmp_path / "e" / "paper"
    shutil.copytree(short, staged)
    assert old in SHORT
    (staged / "paper.qmd").write_text((short / "paper.qmd").read_text(encoding="utf-8").replace(old, new))
    with pytest.raises(InputError, match=re.escape(message)):
        render(staged, "paper")


NO_PROSE = (
    r"\{\{<.*?>\}\}",
    r"\([^()]*\.(svg|png)\)",
    r"\{[^{}]*\}",
    r"\$\$.*?\$\$",
    r"\$[^$]*\$",
    r"`[^`]*`",
    r"@[\w-]+",
    r":::.*",
)


def prose():
    """Text of the paper's sources without what is no prose: heads, shortcodes, attributes, formulas, paths, code."""
    papers = ROOT / "papers"
    for file in [papers / "paper.qmd", *sorted(papers.glob("_paper_*.md"))]:
        text = file.read_text(encoding="utf-8")
        text = text.split("---\n", 2)[2] if file.suffix == ".qmd" else text
        for pattern in NO_PROSE:
            text = re.sub(pattern, "", text, flags=re.S if "$" in pattern else 0)
        yield file.name, text


KNOWN = (
    "conv5",
    "WordNet 3.0",
    "at lag 0",
    "95 % interval",
    "at .05",
    "at .01",
    "is 0 for",
    "and 1 otherwise",
    "mean 0",
    "greater than 0",
    "never 0",
    "spans 0",
)
"""Numbers that belong to a name or a definition."""


@pytest.mark.parametrize(("name", "text"), list(prose()))
def test_no_number_is_typed_into_the_prose(name, text):
    for known in KNOWN:
        text = text.replace(known, "")
    assert re.findall(r"[^\s]*\d+[^\s]*", text) == [], name


def test_every_figure_and_table_is_referred_to():
    papers = ROOT / "papers"
    text = "".join(file.read_text(encoding="utf-8") for file in [papers / "paper.qmd", *papers.glob("_paper_*.md")])
    floats = re.findall(r"\{#((?:fig|tbl)-[\w-]+)", text)
    assert floats and [one for one in floats if not re.search(rf"@{one}\b(?!-)", text)] == []


def test_every_reference_is_cited_and_complete():
    papers = ROOT / "papers"
    text = "".join(file.read_text(encoding="utf-8") for file in papers.iterdir() if file.suffix in (".qmd", ".md"))
    entries = re.findall(r"@(\w+)\{(\w+),(.*?)\n\}", (papers / "references.bib").read_text(encoding="utf-8"), re.S)
    assert len(entries) == len({key for _, key, _ in entries}) > 20
    for _, key, fields in entries:
        assert f"@{key}" in text, key
        assert "author = " in fields and "title = " in fields
        assert "year = " in fields or key == "odoherty_cusack"  # a poster without a date


def test_settings_are_said_as_they_stand():
    assert settings({"a": [0.5, 1.0], "b": None, "c": True, "d": {"e": 28800}, "f": -0.003}) == {
        "a": "0.5 and 1",
        "b": "none",
        "c": "yes",
        "d": {"e": "28,800"},
        "f": "−0.003",
    }


def test_a_study_with_another_outcome_is_reported_with_it(monkeypatch):
    """Every outcome has words for both cases, and the paper says those of the case that holds."""
    quoted = yaml.safe_load((ROOT / "validation" / "quoted.yml").read_text(encoding="utf-8"))
    outcomes = {key for study in quoted.values() for key, value in study["numbers"].items() if isinstance(value, bool)}
    assert outcomes == set(values.WORDS["studies"])
    assert "not as published" in paper.studies()[0]["objectives"]["needs_mending"]
    quoted["objectives"]["numbers"]["needs_mending"] = quoted["worlds"]["numbers"]["shuffled_shows_nothing"] = False
    monkeypatch.setattr(values, "QUOTED", quoted)
    said, texts = paper.studies()
    assert said["objectives"]["needs_mending"] == "" and said["worlds"]["shuffled_shows_nothing"].startswith("some")
    assert texts["study_tests"].count("\n|") == 2 + len(quoted["tests"]["table"]["rows"])  # heads, rule


def test_every_section_but_the_references_has_a_number_in_the_contents():
    for source in (repository_root() / "papers").glob("*paper*"):
        if source.suffix in (".md", ".qmd"):
            bare = re.findall(r"^#+ (.*) \{.unnumbered\}$", source.read_text(encoding="utf-8"), re.MULTILINE)
            assert bare == (["References"] if source.name == "paper.qmd" else []), source


@pytest.mark.skipif(not quarto(), reason="needs quarto")
def test_quarto_makes_the_same_paper(tmp_path, monkeypatch):
    monkeypatch.undo()
    paths = make(with_methods(results(tmp_path / "e")), "paper")
    assert "taught what goes together" in paths[0].read_text(encoding="utf-8") and paths[1].stat().st_size > 0
    assert_readable(paths[0])


def test_a_study_made_with_other_tests_than_the_methods_is_not_shown(tmp_path, monkeypatch):
    shown = [path for path in re.findall(r"\(study_(\w+)\.png\)", (ROOT / "papers" / "paper.qmd").read_text("utf-8"))]
    assert len(shown) == 6 and not any(values.stale(values.validation(f"{study}.json")) for study in shown)
    own = {"distance": "correlation", "method": "pearson", "alternative": "greater", "partial": "dsp"}
    own["random_seeds"] = [0, 1, 2, 3, 4]
    for name, config, fresh in (
        ("same", {"evaluation": own | {"seed": 7}}, True),
        ("estimator", {"lags": 40}, True),
        ("untested", None, True),
        ("smouse", {"evaluation": own | {"partial": "smouse"}}, False),
        ("older", {"miniature": {"evaluation": {key: own[key] for key in own if key != "partial"}}}, False),
        ("one_random", {"worlds": {}, "other": {"evaluation": own | {"random_seeds": [0]}}}, False),
    ):
        (tmp_path / f"{name}.json").write_text(json.dumps({"config": config, "git_commit": "0"}))
        why = values.stale(tmp_path / f"{name}.json")
        assert not why if fresh else f"python -m validation.{name} makes this study again" in why
