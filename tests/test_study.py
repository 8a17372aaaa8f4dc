"""The front door of notebooks, on the smoke experiment as the workflow left it."""

import hashlib
import shutil

import pandas as pd
import pytest
from IPython.core.formatters import DisplayFormatter

import semanticcmc
from semanticcmc.config import InputError
from semanticcmc.experiment import load_experiment
from semanticcmc.gallery import FIGURES, FROM_TABLES
from semanticcmc.rsa.rdm import read_rdms
from semanticcmc.study import Study

pytestmark = pytest.mark.pipeline


@pytest.fixture
def E(smoke):
    return semanticcmc.open(smoke[0] / "experiment.yaml")


def checksums(folder):
    """SHA-256 of every file of results, but those made by hand."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and "explore" not in path.parts]
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_everything_is_there_and_says_what_it_is(E):
    assert repr(E).startswith("Experiment smoke: A tiny world (tests only); 4 networks, 1 seed, fc7; ")
    assert repr(E.frames).startswith("FrameStore: 3 films, 720 frames, 0.2 h; ")
    assert repr(E.labels).startswith("LabelStream: 3 films, ")
    assert [str(network) for network in E.networks] == [f"{name}, seed 0" for name in E.experiment.networks]
    assert len(E.stimuli.classes) == len(E.classes) == 16 and E.classes.category.nunique() == 4
    rdms = E.rdms("semantic_2s")
    assert list(rdms) == ["conv5", "fc7"] and repr(rdms["fc7"]).startswith("RDM: 16 classes, n01605630 ... ")
    assert E.model("lch").classes == rdms["fc7"].classes
    assert set(E.table("lag_curve").network) == set(E.experiment.networks)
    assert {"frames", "labels", "networks", "rdms", "model", "table", "figure"} <= set(dir(E))


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda E: E.table("lagcurve"), ["lagcurve.csv: missing", "lag_curve", "make poster EXPERIMENT=smoke"]),
        (lambda E: E.rdms("semantic_3s"), ["no network 'semantic_3s'", "semantic_2s"]),
        (lambda E: E.figure("lagcurve"), ["no figure 'lagcurve'", "lag_curve"]),
        (lambda E: E.figure("lag_curve", layer="conv9"), ["layer 'conv9'", "conv5, fc7"]),
        (lambda E: E.figure("lag_curve", models=["lhc"]), ["model 'lhc'", "category, lch"]),
        (lambda E: E.figure("lag_curve", control="lok"), ["control 'lok'", "look"]),
        (lambda E: E.figure("lag_curve", lag=3), ["no choice 'lag'", "layer"]),
        (lambda E: E.figure("rdm", network="semantic_2s", layer="conv1"), ["layer 'conv1'", "conv5, fc7"]),
    ],
)
def test_what_there_is_not_is_refused_and_what_there_is_listed(E, ask, words):
    with pytest.raises(InputError) as error:
        ask(E)
    assert all(word in str(error.value) for word in words)


def test_looking_by_hand_changes_nothing_that_a_workflow_made(E, capsys):
    before = checksums(E.folder)
    E.dataset()
    E.lag_curve()
    E.lag_comparisons()
    E.predict()
    E.represent("semantic_2s")
    by_hand = [*FROM_TABLES, *(name for name in FIGURES if name not in ("pairs", "training_curve"))]
    chosen = {
        "category_by_layer": {"network": "random"},
        "rdm": {"network": "random"},
        "neighbours": {"network": "random"},
    }
    for name in by_hand:
        picture = E.figure(name, **chosen.get(name, {}))
        assert picture.png.is_relative_to(E.folder / "explore")
    assert checksums(E.folder) == before
    assert capsys.readouterr().out.count("the results stay as they are") == 1


def test_a_figure_follows_what_is_chosen(E):
    fc7, conv5 = (E.figure("lag_curve", layer=layer).words for layer in ("fc7", "conv5"))
    assert " fc7; " in fc7 and " conv5; " in conv5
    other = semanticcmc.open(E.experiment.file, layer="conv5", models=["lch"], control="look")
    assert (other.shown.layer, other.shown.models, other.shown.control) == ("conv5", ["lch"], "look")
    assert " conv5; " in other.figure("lag_curve").words


def test_a_workflow_writes_into_the_results(E, tmp_path):
    copy = tmp_path / "smoke"
    shutil.copytree(E.folder, copy, ignore=shutil.ignore_patterns(".snakemake", "explore"))
    written = Study(load_experiment(copy / "experiment.yaml"), write=True)
    (copy / "tables" / "lag_curve.csv").unlink()
    table = written.lag_curve()
    pd.testing.assert_frame_equal(pd.read_csv(copy / "tables" / "lag_curve.csv"), table, check_dtype=False)
    assert written.figure("lag_curve").png == copy / "figures" / "lag_curve.png"
    assert (copy / "tables/lag_curve.csv").read_bytes() == (E.folder / "tables/lag_curve.csv").read_bytes()


def test_a_network_trained_by_hand_is_found_and_once_represented_on_the_curve(E, tmp_path):
    copy = tmp_path / "smoke"
    shutil.copytree(E.folder, copy, ignore=shutil.ignore_patterns(".snakemake", "explore"))
    mine = semanticcmc.open(copy / "experiment.yaml")
    one = mine.asked("semantic", 5.0, 0)
    assert one not in mine.networks
    mine.experiment.sections["training"]["steps"] = 2
    run = mine.run(one)
    run.train()
    assert mine.added == (one,) and one in mine.networks
    assert "semantic_5s" not in set(mine.lag_curve().network)
    found = mine.represent("semantic_5s")
    assert read_rdms(copy / "rdms/semantic_5s/seed-0_intact.parquet").keys() == found.rdms["intact"].keys()
    curve = mine.lag_curve()
    assert list(curve.network.unique()) == ["random", "cmc_lab", "semantic_2s", "semantic_5s", "semantic_10s"]
    assert curve[curve.network == "semantic_5s"].lag_s.unique() == 5
    assert "5 s" in mine.figure("lag_curve").words


def test_a_notebook_shows_tables_as_markdown(E):
    table = pd.DataFrame({"network": ["a", "b", "c"], "mantel_r": [0.123456, 0.2, 0.3]})
    data, _ = DisplayFormatter().format(E.show(table, ".2f", head="Tests", most=2))
    assert data["text/markdown"].startswith("Tests\n\n| network")
    assert "0.12" in data["text/markdown"] and data["text/markdown"].endswith("and 1 more")
    assert E.show(table.head(0), empty="Nothing.").data == "Nothing."
