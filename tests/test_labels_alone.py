"""Labels without films: from a folder of tables to a poster, with a truth that the tables were drawn from."""

import numpy as np
import pandas as pd
import pytest
import yaml
from papers.build import render

import semanticcmc
from papers import labels as labels_poster
from semanticcmc import workflow
from semanticcmc.cli import main
from semanticcmc.config import InputError
from semanticcmc.experiment import read_values
from semanticcmc.labels.ingest import import_experiment
from semanticcmc.labels.nouns import write_label_nouns
from semanticcmc.timescales.decay import recommended_by
from semanticcmc.workflow.checks import check_experiment
from tests.papers.accessibility import assert_readable

SCENE_S = 80  # each of one group: a pair of moments is in one scene with probability 1 - lag / 80
GROUPS = (
    *(("dog", "cat", "wolf"), ("cup", "bottle", "bowl"), ("car", "truck", "bus")),
    *(("apple", "banana", "lemon"), ("shirt", "hat", "sock"), ("chair", "table", "sofa")),
)


def tables(folder, films=10, scenes=36, seed=0):
    """Event tables: about every 8 s two nouns of the scene's group are said, for 2 s."""
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for film in range(films):
        groups = generator.integers(len(GROUPS), size=scenes)
        starts = np.arange(0, scenes * SCENE_S, 8) + 2 * generator.integers(4, size=scenes * SCENE_S // 8)
        rows = [
            (start, 2, word)
            for start in starts
            for word in generator.choice(GROUPS[groups[start // SCENE_S]], 2, replace=False)
        ]
        pd.DataFrame(rows, columns=["onset", "duration", "word"]).to_csv(folder / f"film{film}.csv", index=False)
    return folder


def experiment(folder, labels=None, **sections):
    """A resolved experiment of labels alone."""
    own = {"extends": "base", "name": "said", "title": "Said (drawn)", "source": "labels"}
    own["labels"] = {"interval_s": 2, "event_columns": ["word"]}
    own["timescales"] = {"lags": 12, "step_s": 2, "bootstrap_samples": 40, "null_samples": 20} | sections
    file = folder / "said.yaml"
    file.write_text(yaml.safe_dump(own), encoding="utf-8")
    return workflow.resolve_experiment(file, folder / "results", labels=labels and str(labels))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Everything that the jobs of a run make, in this process."""
    folder = tmp_path_factory.mktemp("alone")
    one = experiment(folder, tables(folder / "tables"))
    check_experiment(one)
    import_experiment(one)
    write_label_nouns(one)
    E = semanticcmc.open(one.file, write=True)
    E.dataset(), E.timescales, E.figure("persistence")
    E.meaning(), E.figure("meaning")
    return E


def test_counts_are_the_tables(made):
    counts = made.table("dataset").set_index("quantity").value
    assert (counts["films"], counts["distinct labels"], counts["frames"]) == (10, 18, 0)
    assert counts["labels"] == 10 * 36 * 10 * 2
    assert counts["hours"] == pytest.approx(10 * 36 * SCENE_S / 3600, rel=0.01)  # to the end of the last label
    assert made.experiment.networks == ()


def test_meaning_lasts_as_long_as_scenes_do(made):
    curve = made.table("meaning").query("model == 'category'").set_index("lag_s")
    scales = made.table("meaning_scales").query("model == 'category'").set_index("null")
    inside, outside = curve[(curve.index > 0) & (curve.index < SCENE_S * 0.7)], curve[curve.index > SCENE_S * 1.3]
    for null in ("paired", "shuffled"):
        assert (inside.r > inside[f"{null}_high"]).all() and (outside.r < outside[f"{null}_high"]).mean() > 0.7
    for name in ("films paired anew", "utterances shuffled within films"):
        assert scales.loc[name].last_above_null_s == inside.index[-1]
        assert SCENE_S / 2 < scales.loc[name].half_strength_s < SCENE_S
    assert (curve.films == 10).all()


def test_utterances_are_shuffled_whole_so_that_lag_0_tells_nothing(made):
    curve = made.table("meaning").query("lag_s == 0")
    assert (curve.shuffled_high - curve.r).abs().max() < 0.01  # films differ where one noun is said twice in a row
    assert (curve.r - curve.paired_high).min() > 0.2


def test_no_lag_is_recommended_and_the_poster_says_why(made, monkeypatch):
    monkeypatch.setattr(render, "quarto", lambda: None)  # the pandoc path, wherever the tests run
    assert made.table("recommended_lag").lag_s.isna().all()
    html, pdf = render.make(made.experiment, "poster")
    text = " ".join(html.read_text(encoding="utf-8").split())
    assert "no lag is recommended" in text and "Labels have no looks" in text
    assert "What labels name a lag apart is alike in meaning above chance up to" in text
    assert pdf.stat().st_size > 10_000
    assert_readable(html)
    with pytest.raises(InputError, match="have a poster, no paper"):
        render.make(made.experiment, "paper")


def test_what_is_not_above_chance_is_not_claimed(made):
    """A half-strength is said of models alone whose curve is above both nulls."""
    scales = made.table("meaning_scales").assign(half_strength_s=50.0, last_above_null_s=90.0)
    scales.loc[scales.model.eq("lch") & scales.null.str.startswith("films"), "last_above_null_s"] = np.nan
    said = labels_poster.claim(made.experiment, scales)
    assert said["result"] == "half of the correlation is left at 50 s (category)"
    assert said["until"] == " up to 90 s by superordinate category"
    said = labels_poster.claim(made.experiment, scales.assign(last_above_null_s=np.nan))
    assert "not alike in meaning" in said["headline"] and said["result"] == "meaning by lag"


def test_a_curve_of_looks_that_is_given_recommends_its_lag(tmp_path, made):
    rows = {"measure": "appearance", "level": "corpus base rate", "lag_s": [0, 5, 10, 20, 40]}
    looks = pd.DataFrame(rows | {"value": [1, 0.6, 0.2, 0.08, 0.02]})
    looks["ci_low"], looks["ci_high"] = looks.value - 0.11, looks.value + 0.05
    file = tmp_path / "timescales.csv"
    pd.concat([looks.assign(measure="rms", value=0.9), looks]).to_csv(file, index=False)
    assert recommended_by(file).iloc[0].tolist() == [20, 10, 40]  # the first below a tenth, of value and bounds
    looks.assign(value=0.5).to_csv(file, index=False)
    assert recommended_by(file).isna().all(axis=None)
    for wrong in (looks.assign(measure="association"), looks.drop(columns="value"), looks.assign(value=0.05)):
        wrong.to_csv(file, index=False)
        with pytest.raises(InputError, match=r"timescales.csv \(timescales.looks\): no curve of looks"):
            recommended_by(file)
    looks.drop(columns="ci_low").to_csv(file, index=False)
    assert recommended_by(file).iloc[0].tolist() == pytest.approx([20, np.nan, 40], nan_ok=True)
    looks.to_csv(file, index=False, sep=";")
    assert recommended_by(file).iloc[0].tolist() == [20, 10, 40]
    looks.to_csv(file, index=False, sep=";", decimal=",")  # "0,08" is no number
    alone = experiment(tmp_path, made.experiment.sections["labels"]["path"], looks=str(file))
    with pytest.raises(InputError, match=r"timescales.csv \(timescales.looks\): no curve of looks"):
        check_experiment(alone)
    for content, said in ((b"", "not readable as a CSV table"), (b"\xff\xfe", "line 1: not readable as text")):
        file.write_bytes(content)
        with pytest.raises(InputError, match=f"timescales.csv.*{said}"):
            recommended_by(file)


def test_what_needs_frames_or_networks_says_so(made):
    with pytest.raises(InputError, match="no curve to draw: .*looks need frames"):
        made.figure("persistence_looks")
    for asked in (made.joint, made.connectivity, made.lag_comparisons, made.robustness):
        with pytest.raises(InputError, match="said: no network, hence no RDMs to compare"):
            asked()


def test_the_notebooks_run_on_labels_alone(made, monkeypatch, capsys):
    import nbformat
    from IPython.core.interactiveshell import InteractiveShell

    for name in ("01_dataset_statistics", "05_wordnet"):
        cells = nbformat.read(semanticcmc.experiment.repository_root() / "analysis" / f"{name}.ipynb", 4).cells
        shell = InteractiveShell()
        shell.user_ns["experiment"] = str(made.experiment.file)
        for cell in cells:
            if cell.cell_type == "code" and "parameters" not in cell.metadata.get("tags", ()):
                shell.run_cell(cell.source, silent=True).raise_error()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "labels.path is empty: give LABELS=<folder or file>"),
        (["--stimuli", "."], "STIMULI=. given, but labels alone train no network"),
        (["--films", "."], "FILMS=. given, but this experiment has no section movies"),
        (["--labels", "one"], "labels of film0 alone; associations need two films or more"),
        (["--labels", "empty"], "no labels there; expected"),
        (["--labels", "gone"], "LABELS=gone: no such folder or file"),
    ],
)
def test_what_cannot_be_used_is_named_before_anything_runs(given, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    experiment(tmp_path)
    tables(tmp_path / "one", films=1)
    (tmp_path / "empty").mkdir()
    assert main(["run", "said.yaml", "--results", "results", *given]) == 2
    assert words in capsys.readouterr().err


def test_looks_are_for_labels_alone_and_their_file_is_there(tmp_path):
    with pytest.raises(InputError, match=r"timescales.looks .*gone.csv: no such file"):
        check_experiment(experiment(tmp_path, tables(tmp_path / "tables", films=2), looks=str(tmp_path / "gone.csv")))
    values = read_values("smoke")[0]
    values["timescales"]["looks"] = str(tmp_path / "said.yaml")
    file = tmp_path / "smoke.yaml"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    with pytest.raises(InputError, match="is for labels without films"):
        check_experiment(workflow.resolve_experiment(file, tmp_path / "results"))


@pytest.mark.pipeline
def test_one_command_leads_from_labels_to_the_poster(tmp_path, pipeline):
    experiment(tmp_path, null_samples=5)
    labels = tables(tmp_path / "tables", films=4, scenes=6)
    done = pipeline(tmp_path / "said.yaml", tmp_path / "results", "--labels", str(labels))
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / "results" / "said"
    for name in ("poster/poster.pdf", "notebooks/01_dataset_statistics.html", "notebooks/05_wordnet.html"):
        assert (folder / name).is_file()
    assert not any((folder / name).exists() for name in ("frames", "networks", "paper"))
    again = pipeline(tmp_path / "said.yaml", tmp_path / "results", "--labels", str(labels))
    assert again.returncode == 0, again.stdout + again.stderr
    assert "Nothing to be done" in (folder / "workflow.log").read_text(encoding="utf-8")
