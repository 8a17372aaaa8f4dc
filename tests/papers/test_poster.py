"""The poster: its numbers are the tables', its claims follow the tests, and what is missing stops it."""

import itertools
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from papers.build import claims, poster, quarto, values
from papers.build.render import DOCUMENTS, main, make, render, resolve, stage

from semanticcmc.config import InputError
from semanticcmc.experiment import load_experiment, read_values, repository_root
from semanticcmc.figures import accuracy, films, lag_curve, rdms, style, timescales
from tests.figures.drawing import pictures
from tests.figures.test_every_figure import FIGURES
from tests.figures.test_rdms import CATEGORIES, random_rdm
from tests.papers.accessibility import assert_readable

FIGURE_SIZES = {
    "film_strip": (1260, 259),
    "persistence": (630, 480),
    "lag_curve": (630, 453),
    "rdms": (1260, 295),
    "dissociation": (630, 409),
}
PEAK = {1: 0.05, 20: 0.1234, 60: 0.2345, 600: 0.0123}


def without_quarto(patch):
    """The pandoc path, wherever the tests run; Quarto's has tests of its own."""
    patch.setattr("papers.build.render.quarto", lambda: None)


@pytest.fixture(autouse=True)
def _without_quarto(monkeypatch):
    without_quarto(monkeypatch)


def results(
    folder,
    partial=None,
    p=0.0001,
    seeds=(0,),
    source="world",
    hours=8.0,
    labels=1000,
    half_width=0.05,
    pair_width=0.05,
    shuffled=False,
    baselines=("random", "augment", "cmc_lab"),
    joint=(),
):
    """Results of an experiment as the workflow leaves them, its partial r by lag as given.

    Intervals of r and of differences between two networks are as wide as said; p is that of an r above 0.1, and of
    a difference whose interval excludes 0.
    """
    partial = PEAK if partial is None else partial
    for name in ("tables", "figures"):
        (folder / name).mkdir(parents=True)
    head = {
        "name": folder.name,
        "title": "A test",
        "source": source,
        "lags_s": list(partial),
        "seeds": list(seeds),
        "baselines": list(baselines),
        "primary_layer": "fc7",
    }
    if source == "world":
        head["world"] = {
            "scene_s": [120, 240],
            "shot_s": [6, 12],
            "beat_s": [20, 40],
            "films": 12,
            "categories": 8,
            "classes_per_category": 6,
            "film_duration_s": 2400,
            "frame_interval_s": 1,
            "label_interval_s": 0.2,
            "time_scale": 0.5,
            "shuffle_objects": shuffled,
            "appearance_semantics": 0.0,
        }
    (folder / "experiment.yaml").write_text(yaml.safe_dump(head))
    rows = []
    lags_s = {"augment": 0.0} | {f"semantic_{lag_s}s": float(lag_s) for lag_s in partial}
    found = {
        "random": 0.0311,
        "augment": 0.0122,
        "cmc_lab": -0.0233,
        **{f"semantic_{k}s": v for k, v in partial.items()},
    }
    found = {name: r for name, r in found.items() if name in baselines or name.startswith("semantic")}
    for network, r in found.items():
        for seed in seeds:
            for layer in ("conv1", "fc7"):
                for model, scale in (("category", 1.0), ("lch", 0.5)):
                    for control in ("none", "random"):
                        value = r * scale if layer == "fc7" else 0.9  # a wrong layer would be seen
                        rows.append(
                            {
                                "network": network,
                                "lag_s": lags_s.get(network),
                                "seed": seed,
                                "layer": layer,
                                "condition": "intact",
                                "model": model,
                                "control": control,
                                "mantel_r": value,
                                "p": 1e-5,
                                "p_holm": p if value > 0.1 else 0.4,
                                "ci_low": value - half_width,
                                "ci_high": value + half_width,
                                "permutations": 9999,
                                "classes": 48,
                            }
                        )
    table = pd.DataFrame(rows)
    table.loc[table.network.eq("random") & table.control.eq("random"), ["mantel_r", "p_holm"]] = float("nan")
    table.to_csv(folder / "tables" / "lag_curve.csv", index=False)
    pairs = [
        {
            "condition": "intact",
            "seed": seed,
            "layer": layer,
            "model": model,
            "control": "random",
            "first": first,
            "second": second,
            "difference": d,
            "ci_low": d - pair_width,
            "ci_high": d + pair_width,
            "p": 1e-5,
            "p_holm": p if abs(d) > pair_width else 0.9,
        }
        for seed in seeds
        for layer, sign in (("conv1", -1), ("fc7", 1))
        for model, scale in (("category", 1), ("lch", 0.5))
        for first, second in itertools.combinations([name for name in found if name != "random"], 2)
        for d in [sign * scale * (found[first] - found[second])]
    ]
    columns = [
        "condition",
        "seed",
        "layer",
        "model",
        "control",
        "first",
        "second",
        "difference",
        "ci_low",
        "ci_high",
        "p",
        "p_holm",
    ]
    pd.DataFrame(pairs, columns=columns).to_csv(folder / "tables" / "lag_comparisons.csv", index=False)
    together = pd.DataFrame(rows).rename(columns={"network": "first"}).assign(kind="network", second="")
    apart = pd.DataFrame(pairs).rename(columns={"difference": "mantel_r"}).assign(kind="difference", lag_s=float("nan"))
    more = pd.DataFrame(joint or [], columns=["kind", "first", "lag_s", "mantel_r", "ci_low", "ci_high", "p"])
    more = more.assign(second="", layer="fc7", model="category", control="random", p_holm=more.p, seed=seeds[0])
    shown = pd.concat([one[one.seed == seeds[0]] for one in (together, apart, more) if len(one)])
    shown.to_csv(folder / "tables" / "joint.csv", index=False)
    accuracy = [
        {
            "network": network,
            "seed": seed,
            "layer": "fc7",
            "condition": "intact",
            "measure": "knn",
            "accuracy": 0.6 if network == "augment" else 0.4,
            "ci_low": 0.35,
            "ci_high": 0.64,
        }
        for network in found
        for seed in seeds
    ]
    pd.DataFrame(accuracy).to_csv(folder / "tables" / "accuracy.csv", index=False)
    quantities = {
        "films": 12,
        "hours": hours,
        "frames": 28_800,
        "label sets": labels,
        "labels": 3 * labels,
        "distinct labels": 48,
        "films left out": 1,
    }
    pd.DataFrame({"quantity": quantities.keys(), "value": quantities.values(), "unit": ""}).to_csv(
        folder / "tables" / "dataset.csv", index=False
    )
    pd.DataFrame(
        [
            {"measure": m, "level": "film base rate", "lag_s": lag, "value": 1 / lag, "null_high": 0.05}
            for m in (("appearance", "association") if labels else ("appearance",))
            for lag in (1, 10, 100)
        ]
    ).to_csv(folder / "tables" / "timescales.csv", index=False)
    constants = [(m, "film base rate", s, s / 2, 2 * s) for m, s in (("appearance", 4.0), ("association", 90.0))]
    columns = ["measure", "level", "half_strength_s", "half_strength_low_s", "half_strength_high_s"]
    pd.DataFrame(constants, columns=columns).to_csv(folder / "tables" / "half_lives.csv", index=False)
    recommended = pd.DataFrame({"lag_s": [40.0], "ci_low_s": 28.0, "ci_high_s": 60.0})
    recommended.to_csv(folder / "tables" / "recommended_lag.csv", index=False)
    published = pd.read_csv(repository_root() / "data_manifests" / "published_results.csv")
    published["lag_s"] = pd.to_numeric(published["network"].str.extract(r"^semantic_(\d+)s$")[0])
    published.assign(source="published").to_csv(folder / "tables" / "published.csv", index=False)
    for name, (width, height) in FIGURE_SIZES.items():
        (folder / "figures" / f"{name}.svg").write_text(
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
            f'<rect width="{width}" height="{height}" fill="#ccd"/></svg>'
        )
        table = "lag_curve" if values.NOTEBOOKS[name].startswith("04") else "timescales"
        described = {
            "figure": name,
            "alt": f"What {name} [shows].",
            "caption": f"n of {name}; 3 seeds.",
            "notebook": values.NOTEBOOKS[name],
            "inputs": [{"path": f"tables/{table}.csv"}],
        }
        (folder / "figures" / f"{name}.json").write_text(json.dumps(described))
    return load_experiment(folder / "experiment.yaml")


def with_methods(experiment, source="miniature"):
    """The same results with the sections that the methods are told from, of an experiment in the repository."""
    values = read_values(source)[0]
    own = yaml.safe_load(experiment.file.read_text(encoding="utf-8"))
    kept = {key: value for key, value in own.items() if key not in ("world", "movies")}
    experiment.file.write_text(yaml.safe_dump(values | kept), encoding="utf-8")
    tables = experiment.folder / "tables"
    constants = pd.read_csv(tables / "half_lives.csv")
    constants.assign(half_life_s=60.0, ci_low_s=50.0, ci_high_s=70.0, reason="").to_csv(
        tables / "half_lives.csv", index=False
    )
    return load_experiment(experiment.file)


def wording(experiment, name):
    """A document's text before pandoc sees it: its source with everything that is made for it in place."""
    staged = experiment.folder / "staged" / name
    staged.mkdir(parents=True)
    text = resolve(repository_root() / "papers" / f"{name}.qmd", DOCUMENTS[name].variables(experiment, staged))
    return re.sub(r"\s+", " ", text)


class Page(HTMLParser):
    """Text of the elements of a page by class, the table's cells and the pictures' texts."""

    def __init__(self, path):
        super().__init__()
        self.rows, self.alts, self.text, self.claim, self.within = [], [], "", "", None
        self.feed(path.read_text(encoding="utf-8"))
        self.claim, self.text = (re.sub(r"\s+", " ", words) for words in (self.claim, self.text))

    def handle_starttag(self, tag, attributes):
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "img":
            self.alts.append(dict(attributes).get("alt", ""))
        self.within = (
            tag
            if tag in ("td", "th", "h1", "style", "strong") and not (tag == "strong" and self.within in ("td", "th"))
            else self.within
        )

    def handle_endtag(self, tag):
        if tag == self.within:
            self.within = None

    def handle_data(self, data):
        if self.within in ("td", "th"):
            self.rows[-1][-1] += data
        elif self.within == "h1":
            self.claim += data
        if self.within != "style":
            self.text += data


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    experiment = results(tmp_path_factory.mktemp("results") / "peak", seeds=(0, 1, 2))
    with pytest.MonkeyPatch.context() as patch:
        without_quarto(patch)
        paths = make(experiment, "poster")
    return experiment, paths, Page(paths[0])


def test_the_table_on_the_page_is_the_table_on_disk(made):
    experiment, _, page = made
    table = pd.read_csv(experiment.folder / "tables" / "lag_curve.csv", keep_default_na=False)
    published = pd.read_csv(repository_root() / "data_manifests" / "published_results.csv", keep_default_na=False)
    shown = {row[0]: row[1:] for row in page.rows[1:]}
    assert page.rows[0] == ["network", "here: category", "here: WordNet", "published: WordNet"]
    for title, network in (("1 s apart", "semantic_1s"), ("60 s apart", "semantic_60s"), ("CMC on films", "cmc_lab")):
        for column, model in enumerate(("category", "lch")):
            rows = table[
                (table.network == network)
                & (table.layer == "fc7")
                & (table.model == model)
                & (table.control == "random")
            ]
            assert float(shown[title][column].split()[0].replace("−", "-")) == pytest.approx(
                rows.mantel_r.astype(float).mean(), abs=0.0051
            )
    for title, network in (
        ("60 s apart", "semantic_60s"),
        ("5 min apart", "semantic_300s"),
        ("CMC on films", "cmc_lab_movies"),
        ("supervised", "supervised"),
    ):
        row = published[(published.network == network) & (published.control == "random") & (published.layer == "conv5")]
        assert float(shown[title][2].split()[0].replace("−", "-")) == pytest.approx(
            float(row.mantel_r.iloc[0]), abs=0.0051
        )
    assert shown["20 s apart"][2] == "–", "a lag that was not published has no published number"


def test_the_page_says_what_the_tables_say(made):
    _, _, page = made
    for said in (
        "12 films",
        "8.0 hours",
        "28,800 frames",
        "1,000 label sets",
        "9,999 permutations",
        "48 classes",
        "partial r = 0.23 [0.18, 0.28], p < 0.001",
        "r = 0.03 (p = 0.400)",
        "60 % [35, 64] correct",
        "One film could not be used",
        "40 % [35, 64] correct",
        "three seeds a network",
    ):
        assert said in page.text, said
    assert not re.search(r"\{\{<|\?var|undefined|\bnan\b", page.text)


def test_the_claim_names_the_worlds_scenes_and_the_lag(made):
    _, _, page = made
    put_in = "In a world whose scenes last 1–2 minutes and whose themes are its categories"
    assert page.claim.startswith(f"{put_in}, a lag of about 60 s taught what goes together")
    assert "picked up what goes together (here, by design, things of one category)" in page.text
    assert "picked up superordinate categories" not in page.text
    assert "lags up to 20 s and of 10 min taught less" in page.claim


def test_every_picture_has_a_text_and_the_page_stands_alone(made):
    _, paths, page = made
    assert len(page.alts) == 7 and all(page.alts)
    assert "What lag_curve [shows]. n of lag_curve; 3 seeds." in page.alts
    text = paths[0].read_text(encoding="utf-8")
    assert not re.search(r'src="(?!data:|#)', text)
    assert not re.search(r'href="(?!data:|#|https://github|https://doi|\.\./(notebooks|tables|figures)/)', text)


def test_every_figure_leads_to_its_notebook_its_data_and_its_record(made):
    experiment, paths, _ = made
    links = re.findall(r'href="\.\./([^"]+)"', paths[0].read_text(encoding="utf-8"))
    for name in poster.FIGURES:
        described = json.loads((experiment.folder / "figures" / f"{name}.json").read_text())
        assert f"notebooks/{described['notebook']}.html" in links
        assert described["inputs"][0]["path"] in links and f"figures/{name}.json" in links
    for link in links:
        assert link.startswith("notebooks/") or (experiment.folder / link).is_file(), link
    shown = re.search(r'<img[^>]*alt="What lag_curve.*?</section>', paths[0].read_text(encoding="utf-8"), re.DOTALL)
    assert shown and "../notebooks/04_lag_curve.html" in shown[0], "below the figure itself"


def test_everybody_can_read_the_page_at_a_desk_and_on_a_phone(made):
    assert_readable(made[1][0])


def test_the_pdf_is_one_a0_page(made):
    data = made[1][1].read_bytes()
    assert data.startswith(b"%PDF")
    boxes = re.findall(rb"/MediaBox\s*\[\s*0 0 ([\d.]+) ([\d.]+)\s*\]", data)
    assert len(boxes) == 1
    assert [float(side) / 72 * 25.4 for side in boxes[0]] == pytest.approx([1189, 841], abs=0.1)


@pytest.mark.skipif(not shutil.which("chromium") or not shutil.which("pdfinfo"), reason="needs chromium and pdfinfo")
def test_the_page_prints_to_one_a0_sheet(made, tmp_path):
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-sync",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-pdf-header-footer",
    ]
    printed = tmp_path / "printed.pdf"
    subprocess.run(
        [
            "chromium",
            *flags,
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--print-to-pdf={printed}",
            made[1][0].as_uri(),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    told = subprocess.run(["pdfinfo", str(printed)], capture_output=True, text=True).stdout
    assert re.search(r"Pages:\s+1\n", told) and re.search(r"Page size:\s+3370\.\d+ x 2383\.\d+", told)


@pytest.mark.parametrize(
    ("partial", "p", "half_width", "pair_width", "learned", "less"),
    [
        (PEAK, 0.0001, 0.05, 0.05, True, "lags up to 20 s and of 10 min"),
        (PEAK, 0.0001, 0.05, 0.15, True, "lags of 1 s and of 10 min"),  # 20 s is not told apart
        (PEAK, 0.0001, 0.15, 0.05, True, "lags up to 20 s and of 10 min"),  # intervals overlap, differences are told
        (PEAK, 0.0001, 0.05, 0.20, True, "a lag of 10 min"),
        (PEAK, 0.0001, 0.05, 0.30, True, ""),  # no difference is told
        (PEAK, 0.06, 0.05, 0.05, False, ""),  # p of one test is .00001: that corrected counts
        (PEAK, 0.0001, 0.30, 0.05, False, ""),  # the interval holds 0
        ({1: 0.1, 20: 0.2, 60: 0.3}, 0.0001, 0.02, 0.05, True, "lags up to 20 s"),  # still rising at the longest lag
        (
            {1: 0.1, 5: 0.29, 20: 0.1, 60: 0.3, 180: 0.1, 300: 0.28, 600: 0},
            0.0001,
            0.02,
            0.05,
            True,
            "lags of 1 s and of 10 min",
        ),  # lags nearer than one that is not told apart are not named
        ({1: -0.3, 60: -0.2, 600: -0.3}, 0.0001, 0.02, 0.05, False, ""),  # the wrong direction
        ({60: 0.3}, 0.0001, 0.02, 0.05, True, ""),  # nothing to compare with
    ],
)
def test_what_may_be_claimed(tmp_path, partial, p, half_width, pair_width, learned, less):
    experiment = results(tmp_path / "e", partial, p=p, half_width=half_width, pair_width=pair_width)
    evidence = claims.weigh(experiment, values.read_lag_curve(experiment))
    assert evidence.learned == learned
    assert evidence.peaks == (" and " in less)
    said = claims.verdict(evidence, "a world")
    headline = said["headline"]
    assert ("no lag was found to teach" in headline) is not learned
    assert headline.endswith(f"; {less} taught less" if less else headline)
    assert ("taught less" in headline) == bool(less)
    assert said["result"] in headline
    assert (f"less from {less}" in said["conclusion"]) == bool(less)


def test_a_difference_counts_whichever_network_stands_first(tmp_path):
    experiment = results(tmp_path / "e")
    before = claims.weigh(experiment, values.read_lag_curve(experiment))
    file = experiment.folder / "tables" / "lag_comparisons.csv"
    table = pd.read_csv(file)
    turned = table.rename(columns={"first": "second", "second": "first", "ci_low": "ci_high", "ci_high": "ci_low"})
    turned[["difference", "ci_low", "ci_high"]] *= -1
    turned.to_csv(file, index=False)
    after = claims.weigh(experiment, values.read_lag_curve(experiment))
    assert sorted(map(repr, after.against_best.values())) == sorted(map(repr, before.against_best.values()))
    assert before.against_best["semantic_1s"].r == pytest.approx(0.2345 - 0.05)


def test_without_any_comparison_no_lag_is_called_better(tmp_path):
    experiment = results(tmp_path / "e")
    file = experiment.folder / "tables" / "lag_comparisons.csv"
    pd.read_csv(file).head(0).to_csv(file, index=False)  # bootstrap_samples: 0
    evidence = claims.weigh(experiment, values.read_lag_curve(experiment))
    assert evidence.learned and not evidence.shorter and not evidence.longer
    assert "In pairs" not in claims.reading(evidence)


def test_an_interval_about_zero_is_never_called_absence(tmp_path):
    experiment = results(tmp_path / "e", dict.fromkeys(PEAK, 0.02))
    tests = values.read_lag_curve(experiment)
    evidence = claims.weigh(experiment, tests)
    said = " ".join(
        [*claims.verdict(evidence, "a world").values(), claims.reading(evidence), claims.baselines(evidence)]
    )
    assert "An effect up to 0.07 remains possible" in said
    for denial in ("did not", "no effect", "taught nothing", "at chance", "no difference", "no lag taught"):
        assert denial not in said


def test_several_seeds_stand_together(tmp_path):
    """The claim is that of the mean over seeds with its own interval, whatever a single seed's test says."""
    experiment = results(tmp_path / "e", seeds=(0, 1))
    for name in ("lag_curve", "lag_comparisons"):
        file = experiment.folder / "tables" / f"{name}.csv"
        pd.read_csv(file, keep_default_na=False, na_values=[""]).assign(p_holm=0.9, ci_low=-1.0).to_csv(
            file, index=False
        )
    table = values.read_lag_curve(experiment)
    assert len(table) == table.drop_duplicates(["network", "model", "control"]).shape[0]
    evidence = claims.weigh(experiment, table)
    assert evidence.learned and evidence.peaks
    file = experiment.folder / "tables" / "joint.csv"
    rows = pd.read_csv(file, keep_default_na=False, na_values=[""])
    rows.loc[rows["first"].eq("semantic_60s"), "p_holm"] = 0.2
    rows.to_csv(file, index=False)
    assert not claims.weigh(experiment, values.read_lag_curve(experiment)).learned


@pytest.mark.parametrize(("low", "p", "shown"), [(0.02, 0.01, True), (-0.02, 0.2, False)])
def test_the_planned_test_takes_the_place_of_all_pairs(tmp_path, low, p, shown):
    joint = [
        ("planned", "semantic_60s", 60.0, 0.08, low, 0.14, p),
        ("peak", "semantic_60s", 60.0, 0.23, 20.0, 60.0, float("nan")),
    ]
    evidence = claims.weigh(made := results(tmp_path / "e", pair_width=0.3, joint=joint), values.read_lag_curve(made))
    said = claims.reading(evidence)
    assert evidence.peaks is shown and "In pairs" not in said
    assert f"60 s, planned, is {'' if shown else 'not shown to be '}above both the shortest and the longest" in said
    assert "In 95 % of resamples the largest is at 20 s to 60 s" in said


def test_an_interval_within_the_margin_is_equivalent_to_nothing(tmp_path):
    experiment = results(tmp_path / "e", dict.fromkeys(PEAK, 0.01), half_width=0.03)
    assert "within ±0.05" in claims.reading(claims.weigh(experiment, values.read_lag_curve(experiment)))


def test_an_absent_effect_and_too_little_film_are_said_in_the_headline(tmp_path):
    absent = wording(results(tmp_path / "absent", dict.fromkeys(PEAK, 0.0213), shuffled=True), "poster")
    assert (
        "::: {.poster-claim} In a world whose scenes last 1–2 minutes, its objects shuffled across scenes, " in absent
    )
    assert "no lag was found to teach categories (largest partial r = 0.02 [−0.03, 0.07], at 1 s)" in absent
    assert "none found" in absent and "picked up" not in absent and "taught" not in absent
    clips = Page(make(results(tmp_path / "clips", source="films", hours=0.05, labels=0), "poster")[0])
    assert clips.claim.startswith("3.0 minutes of film cannot teach meaning"), "whatever p says"
    assert "No labels came with these films" in clips.text and "picked up" not in clips.text


def test_no_baseline_but_random_and_no_labels_make_a_poster_too(tmp_path):
    few = results(tmp_path / "few", source="films", hours=158.4, labels=0, baselines=("random",))
    text = wording(few, "poster")
    assert "::: {.poster-claim} In 158.4 hours of film, a lag of about 60 s taught categories" in text
    assert "Looks alone: no network here." in text and "CMC’s lightness" not in text
    assert "No network of looks alone was trained" in text and "Recommended before any training" in text


@pytest.mark.parametrize(
    ("lag_s", "low_s", "high_s", "said"),
    [
        (40, 28, 60, "Recommended before any training, from how long looks last: 40 s (28 s to 60 s)."),
        (40, 28, np.inf, "from how long looks last: 40 s (28 s to beyond all lags)."),
        (40, 40, 40, "from how long looks last: 40 s."),
        (np.nan, np.nan, np.nan, "Looks do not fall below 0.1 within these films: no lag is recommended."),
    ],
)
def test_the_recommended_lag_is_said_with_its_interval(tmp_path, lag_s, low_s, high_s, said):
    experiment = results(tmp_path / "e")
    file = experiment.folder / "tables" / "recommended_lag.csv"
    pd.DataFrame({"lag_s": [lag_s], "ci_low_s": low_s, "ci_high_s": high_s}).to_csv(file, index=False)
    assert said in poster.recommended(experiment)


@pytest.mark.skipif(not shutil.which("pdftotext"), reason="needs pdftotext")
def test_text_of_the_figures_can_be_searched_in_the_pdf(tmp_path):
    import matplotlib.pyplot as plt

    from semanticcmc.figures import style
    from semanticcmc.figures.save import save

    experiment = results(tmp_path / "e")
    with plt.rc_context():
        style.use_house_style()
        [ax] = style.panels()
        ax.set_xlabel("time lag between the two views")
        ax.set_ylabel("partial R², größer")
        save(style.Drawn([ax], "what it shows"), experiment, "lag_curve", [])
        plt.close("all")
    said = subprocess.run(
        ["pdftotext", str(make(experiment, "poster")[1]), "-"], capture_output=True, text=True, check=True
    )
    for words in ("time lag between the two views", "partial R², größer", "one frame, halved"):
        assert words in said.stdout
    fonts = subprocess.run(
        ["pdffonts", str(experiment.folder / "poster" / "poster.pdf")], capture_output=True, text=True
    )
    assert "DejaVuSans" in fonts.stdout


def test_figures_make_room_for_a_longer_text(made, tmp_path):
    staged = tmp_path / "poster"
    shutil.copytree(made[0].folder / "poster", staged)
    source = staged / "poster.qmd"
    source.write_text(source.read_text().replace("## Motivation", "word " * 60 + "\n\n## Motivation"))
    render(staged, "poster")
    assert (staged / "poster.pdf").stat().st_size > 0


def test_a_missing_result_stops_with_the_command_that_makes_it(tmp_path, capsys):
    experiment = results(tmp_path / "e")
    (experiment.folder / "figures" / "lag_curve.svg").unlink()
    assert main([str(experiment.file)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error:") and "papermill analysis/04_lag_curve.ipynb" in said and "make poster" in said
    (experiment.folder / "tables" / "published.csv").unlink()
    with pytest.raises(InputError, match="05_wordnet"):
        poster.variables(experiment, tmp_path)


def test_a_failing_poster_leaves_the_old_one(tmp_path):
    experiment = results(tmp_path / "e")
    (experiment.folder / "poster").mkdir()
    (experiment.folder / "poster" / "poster.html").write_text("old")
    (experiment.folder / "figures" / "rdms.json").write_text("{}")
    with pytest.raises(InputError, match="no text in alt"):
        make(experiment, "poster")
    assert (experiment.folder / "poster" / "poster.html").read_text() == "old"
    assert [path.name for path in experiment.folder.glob("*poster*")] == ["poster"]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_a_quarto_project_that_needs_nothing_else(tmp_path, name):
    """Quarto knows no project in a folder like .poster, and Typst reads nothing above the project's folder."""
    experiment = with_methods(results(tmp_path / "e"))
    staged = tmp_path / "elsewhere"
    stage(experiment, name, staged)
    assert yaml.safe_load((staged / "_quarto.yml").read_text())["project"]["render"] == [f"{name}.qmd"]
    text = (staged / f"{name}.qmd").read_text(encoding="utf-8")
    assert "{{<" not in text and "?var:" not in text
    for path in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text):
        assert (staged / path).is_file() and ".." not in path, path
    head = yaml.safe_load(text.split("---\n", 2)[1])
    for path in [head["bibliography"], *head["filters"], *head["format"]["html"]["css"]]:
        assert (staged / path).is_file()
    if name == "paper":  # what Quarto's Typst output asks a whole template for
        assert "#let equation-numbering" in (staged / "paper-template.typst").read_text()


def test_the_staged_folder_has_a_visible_name(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("papers.build.render.stage", lambda experiment, name, folder: seen.append(folder) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        make(results(tmp_path / "e"), "poster")
    assert not seen[0].name.startswith(".") and seen[0].parent == tmp_path / "e"


def test_the_record_names_the_program_and_what_the_document_was_made_from(made):
    record = json.loads((made[0].folder / "poster" / "poster.json").read_text())
    assert re.fullmatch(r"pandoc [\d.]+, Typst [\d.]+", record["rendered_by"])
    assert {entry["path"] for entry in record["inputs"]} >= {"tables/lag_curve.csv", "figures/lag_curve.svg"}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_template_has_no_include_and_its_filter_says_what_makes_it(name):
    """Quarto stops with a stack trace where a file to include is missing, and would leave ?var: for the numbers."""
    assert "include" not in re.findall(r"\{\{<\s*(\w+)", (repository_root() / "papers" / f"{name}.qmd").read_text())
    told = (repository_root() / "papers" / f"{name}.lua").read_text()
    assert f"papers/{name}.qmd is a template. `make poster` writes it" in told


@pytest.mark.skipif(not quarto(), reason="needs quarto")
@pytest.mark.parametrize("name", DOCUMENTS)
def test_quarto_says_of_a_template_what_makes_it(tmp_path, name):
    papers = tmp_path / "papers"
    shutil.copytree(repository_root() / "papers", papers, ignore=shutil.ignore_patterns("build"))
    done = subprocess.run([quarto(), "render", f"{name}.qmd"], cwd=papers, capture_output=True, text=True)
    assert done.returncode and f"papers/{name}.qmd is a template" in done.stderr
    assert "stack traceback" not in done.stderr and not (papers / f"{name}.html").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("## Motivation", "{{< var claim.absent >}}\n\n## Motivation", "claim.absent"),
        ("## Motivation", "{{< include _absent.md >}}\n\n## Motivation", "_absent.md"),
        ("@tian_2020", "@tian_1020", "tian_1020"),
        ("two_views.svg", "absent.svg", "absent.svg"),
        ("## Motivation", "word " * 1500 + "\n\n## Motivation", r"column left of the poster is [\d.]+ mm too full"),
    ],
)
def test_what_quarto_would_only_warn_of_fails(made, tmp_path, old, new, message):
    staged = tmp_path / "poster"
    shutil.copytree(made[0].folder / "poster", staged)
    source = staged / "poster.qmd"
    assert old in source.read_text(encoding="utf-8")
    source.write_text(source.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        render(staged, "poster")


DRAWN = {
    "film_strip": lambda: films.film_strip(pictures(9, 20, 20), [*range(9)], [["dog", "saw"]] * 9, (2, 6)),
    "persistence": FIGURES[timescales.persistence],
    "lag_curve": FIGURES[lag_curve.lag_curve],
    "rdms": lambda: rdms.rdm_matrices({name: random_rdm(i) for i, name in enumerate("abcd")}, CATEGORIES, "fc7"),
    "dissociation": FIGURES[accuracy.dissociation],
}


def test_text_of_figures_is_at_least_24_pt_at_a0(tmp_path):
    """Of figures that the package draws, as wide as they turn out in the columns of the page."""
    typst = pytest.importorskip("typst")
    experiment = results(tmp_path / "e")
    with matplotlib.rc_context():
        style.use_house_style()
        for name, draw in DRAWN.items():
            drawn = draw()
            if drawn.caption:
                style.caption(drawn.figure, drawn.caption)  # as `save` does; it is set as text on the poster
            drawn.figure.savefig(experiment.folder / "figures" / f"{name}.svg")
    staged = make(experiment, "poster")[0].parent
    fonts = [str(staged / "fonts")]
    told = typst.query(str(staged / "poster.typ"), "<figure-width>", "value", root=str(staged), font_paths=fonts)
    widths_pt, sizes_pt = dict(json.loads(told)), {}
    for column in (staged / "poster.qmd").read_text(encoding="utf-8").split('{.poster-column name="')[1:]:
        for path in re.findall(r"!\[\]\(([\w/]+\.svg)\)", column):
            drawing = (staged / path).read_text(encoding="utf-8")
            scale = widths_pt[column.split('"')[0]] / float(re.search(r'viewBox="0 0 ([\d.]+) ', drawing)[1])
            texts = " ".join(re.findall(r"<t(?:ext|span)[^>]*>", drawing))
            sizes = re.findall(r'font(?:-size)?(?:="|: )(?:bold |italic |\d00 )?([\d.]+)', texts)
            sizes_pt[Path(path).stem] = min(map(float, sizes)) * scale
    assert sizes_pt.keys() == DRAWN.keys() | {"two_views"}
    assert all(size >= 24 for size in sizes_pt.values()), sizes_pt


def test_no_number_is_typed_into_the_posters_prose():
    source = (repository_root() / "papers" / "poster.qmd").read_text(encoding="utf-8").split("---\n", 2)[2]
    prose = re.sub(r"\{\{<.*?>\}\}|\{[^{}]*\}|@\w+|\([^)]*\.svg\)|:::.*", "", source)
    assert re.findall(r"\d+", prose.replace("conv5", "")) == []  # the published layer's name


def test_unknown_shortcodes_are_refused(tmp_path):
    source = tmp_path / "a.qmd"
    source.write_text("a {{< var b.c >}} d")
    assert resolve(source, {"b": {"c": "x"}}) == "a x d"
    source.write_text("{{< meta title >}}")
    with pytest.raises(InputError, match="meta"):
        resolve(source, {})


@given(st.floats(-1, 1))
def test_numbers_are_rounded_not_changed(value):
    text = values.number(value)
    assert float(text.replace("−", "-")) == pytest.approx(value, abs=0.00501)
    assert not re.fullmatch(r"−0\.0+", text)


@pytest.mark.parametrize(
    ("value", "said"), [(0.0002, "p < 0.001"), (0.001, "p = 0.001"), (0.0321, "p = 0.032"), (1.0, "p = 1.000")]
)
def test_probabilities(value, said):
    assert values.probability(value) == said


def test_times_are_said_as_people_say_them():
    assert [values.seconds(s) for s in (0.5, 60, 180, 9000)] == ["0.5 s", "60 s", "3 min", "2.5 h"]
    assert [values.time_range(120, 240), values.time_range(30, 60)] == ["2–4 minutes", "30–60 seconds"]


def test_the_citation_file_and_the_bibliography_name_what_this_stands_on():
    citation = yaml.safe_load((repository_root() / "CITATION.cff").read_text(encoding="utf-8"))
    families = [reference["authors"][0]["family-names"] for reference in citation["references"]]
    assert families == ["O'Doherty", "Tian", "Kriegeskorte"]
    assert poster.repository()["address"].startswith("https://")


@pytest.mark.skipif(not quarto(), reason="needs quarto")
def test_quarto_makes_the_same_poster_and_makes_it_again(tmp_path, monkeypatch):
    monkeypatch.undo()
    html, pdf = make(results(tmp_path / "e"), "poster")
    assert json.loads(html.with_suffix(".json").read_text())["rendered_by"].startswith("Quarto ")
    for _ in range(2):
        assert "taught what goes together" in html.read_text(encoding="utf-8") and "?var:" not in html.read_text(
            encoding="utf-8"
        )
        assert pdf.stat().st_size > 0
        assert_readable(html)
        html.unlink(), pdf.unlink()
        subprocess.run([quarto(), "render", html.with_suffix(".qmd")], check=True, capture_output=True)


def test_associations_that_no_lag_shows_are_not_kept_silent():
    curves = pd.DataFrame(
        {
            "measure": ["appearance", "association"],
            "level": "film base rate",
            "lag_s": 1,
            "value": [1, np.nan],
            "null_high": [0.1, np.nan],
        }
    )
    unknown = {f"half_strength{bound}_s": np.nan for bound in ("", "_low", "_high")}
    constants = pd.DataFrame([{"measure": "association", "level": "film base rate", **unknown}])
    said = poster.persistence(curves, constants)
    assert said == "Looks stay above chance to the longest lag, 1 s. No associations that fall with the lag were found."


@pytest.mark.parametrize(
    ("high_s", "text"),
    [
        (7.0, "Looks halve in 4.1 s (2 s to 7 s) and stay above chance up to 10 s."),
        (np.inf, "Looks stay above chance up to 10 s."),
    ],
)
def test_the_time_to_half_is_said_where_its_interval_is_told(high_s, text):
    curves = pd.DataFrame(
        {
            "measure": "appearance",
            "level": "film base rate",
            "lag_s": [1, 10, 100],
            "value": [1, 0.2, 0],
            "null_high": 0.1,
        }
    )
    constants = pd.DataFrame(
        {
            "measure": ["appearance"],
            "level": "film base rate",
            "half_strength_s": 4.12,
            "half_strength_low_s": 2.0,
            "half_strength_high_s": high_s,
        }
    )
    assert poster.persistence(curves, constants) == text
