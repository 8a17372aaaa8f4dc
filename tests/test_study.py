"""The front door of notebooks, on the smoke experiment as the workflow left it."""

import contextlib
import hashlib
import io
import re
import shutil

import pandas as pd
import pytest
from IPython.core.formatters import DisplayFormatter
from IPython.core.interactiveshell import InteractiveShell
from PIL import Image
from scipy.stats import spearmanr

import semanticcmc
from semanticcmc import widgets
from semanticcmc.config import InputError
from semanticcmc.experiment import load_experiment
from semanticcmc.figures.style import lag_text
from semanticcmc.figures.tables import select
from semanticcmc.gallery import FIGURES, FROM_TABLES
from semanticcmc.rsa.rdm import RDM, read_rdms, write_rdms
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
    assert repr(E).startswith("Experiment smoke: 4 networks, 1 seed, fc7; ")
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
        (lambda E: E.figure("lagcurve"), ["figure 'lagcurve'", "lag_curve"]),
        (lambda E: E.figure("lag_curve", layer="conv9"), ["layer 'conv9'", "conv5, fc7"]),
        (lambda E: E.figure("lag_curve", models=["lhc"]), ["model 'lhc'", "category, lch"]),
        (lambda E: E.figure("lag_curve", control="lok"), ["control 'lok'", "look"]),
        (lambda E: E.figure("lag_curve", lag=3), ["choice 'lag'", "layer"]),
        (lambda E: E.lag_curve(layer="conv9"), ["layer 'conv9'", "conv5, fc7"]),
        (lambda E: E.lag_curve(models="lhc"), ["model 'lhc'", "category, lch, path"]),
        (lambda E: E.lag_curve(control="lok"), ["control 'lok'", "none, random, cmc_lab, look"]),
        (lambda E: E.lag_curve(method="kendall"), ["method 'kendall'", "pearson, spearman"]),
        (lambda E: E.lag_curve(lags=3), ["network 'semantic_3s'", "semantic_2s, semantic_10s"]),
        (lambda E: E.lag_curve(also="semantic_90s"), ["network 'semantic_90s'", "by hand are none"]),
        (lambda E: E.neighbours("dig", ["random"]), ["no class 'dig'", "dog"]),
        (lambda E: E.neighbours("dog", ["randm"]), ["no network 'randm'", "random, cmc_lab"]),
        (lambda E: E.compare("semantic_2s", "random"), ["not compared given random", "semantic_10s"]),
        (lambda E: E.rdm("random", layer="conv9"), ["layer 'conv9'", "conv5, fc7"]),
        (lambda E: E.figure("rdm", network="semantic_2s", layer="conv1"), ["layer 'conv1'", "conv5, fc7"]),
        (lambda E: E.rdms("semantic_2s")["conv9"], ["layer 'conv9'", "conv5, fc7"]),
        (lambda E: E.network("random", seed=99), ["seed 99", "semantic_10s; seed 0"]),
        (lambda E: E.run("randm"), ["no network 'randm'", "random, cmc_lab"]),
        (lambda E: E.about("randm"), ["no network 'randm'"]),
        (lambda E: E.lag_curve(models=""), ["model ''", "category, lch, path"]),
        (lambda E: E.lag_curve(models=[]), ["models: empty"]),
        (lambda E: E.lag_curve(layer=""), ["layer: empty"]),
        (lambda E: E.figure("lag_curve", models=[]), ["models: empty"]),
        (lambda E: E.figure("lag_curve", condition="greyscale"), ["condition 'greyscale'", "intact"]),
        (lambda E: E.figure("pairs"), ["figure pairs: give network=", "semantic_2s"]),
        (lambda E: E.figure("pairs", network="random", count=0), ["count 0: expected 1 or more"]),
        (lambda E: E.figure("associations", labels="x"), ["labels 'x': expected 2 or more"]),
        (lambda E: E.figure("dissociation", measure="knm"), ["measure 'knm'", "knn"]),
        (lambda E: E.figure("film_strip", lag_s=9e5), ["lag_s 900000", "s apart"]),
        (lambda E: E.figure("film_strip", lag_s="a"), ["lag_s 'a'", "number of seconds"]),
        (lambda E: E.neighbours("dog", "random", count=0), ["count 0", "a count"]),
        (lambda E: E.neighbours("dog", []), ["networks ()", "one or more networks"]),
        (lambda E: E.neighbours(5, "random"), ["no class 5"]),
        (lambda E: E.neighbours("DIG", "random"), ["no class 'DIG'", "dog"]),
        (lambda E: E.rows("lag_curve", ["mantel"]), ["column 'mantel'", "mantel_r"]),
        (lambda E: E.rows("lag_curve", ["mantel_r"], layr="fc7"), ["column 'layr'", "layer"]),
        (lambda E: semanticcmc.open(E.experiment.file, layr="fc7"), ["choice 'layr'", "layer, models, control"]),
        (lambda E: semanticcmc.open(E.experiment.file, condition="x"), ["condition 'x'", "intact"]),
        (lambda E: semanticcmc.open(E.experiment.file, method=""), ["method ''", "pearson, spearman"]),
    ],
)
def test_what_there_is_not_is_refused_and_what_there_is_listed(E, ask, words):
    with pytest.raises(InputError) as error:
        ask(E)
    assert all(word in str(error.value) for word in words)


def test_one_thing_or_several_may_be_asked_for_and_twice_is_once(E):
    assert E.neighbours("dog", E.networks[0]).equals(E.neighbours("dog", ["random"]))
    assert set(E.lag_curve(lags=[10, 10], models=["lch", "lch"]).model) == {"lch"}
    assert E.figure("rdms", networks="semantic_2s").png.is_file() and E.figure("rdms", networks=[]).png.is_file()
    assert E.is_represented("random") and repr(E.stimuli) == "StimulusFolder: 16 classes, 96 images"


def test_a_pair_of_the_film_strip_is_as_far_apart_as_asked(E):
    length_s = E.frames.times(E.frames.movies[0])[-1]
    for lag_s in (1, 10, 60, length_s // 60 * 60):
        assert f"two of them, {lag_text(lag_s)} apart" in E.figure("film_strip", lag_s=lag_s).words


def test_two_classes_of_one_noun_are_told_apart(E):
    E.classes.loc["n02084071", "noun"] = E.classes.noun["n01605630"]
    shared = E.classes.noun["n01605630"]
    with pytest.raises(InputError, match=f"{shared}: the noun of {shared} n01605630, {shared} n02084071; give one"):
        E.wnid(shared)
    assert E.wnid(f"{shared} n02084071") == "n02084071" == E.wnid("n02084071")
    assert {f"{shared} n01605630", f"{shared} n02084071"} <= set(E.rdm("random").classes)
    assert len(E.neighbours(f"{shared} n02084071", "random")) == 6


def test_what_is_not_there_yet_is_named(E, tmp_path):
    """No films, labels, stimuli or tables: one line that names the file or the folder."""
    shutil.copy(E.experiment.file, tmp_path / "experiment.yaml")
    empty = semanticcmc.open(tmp_path / "experiment.yaml")
    assert "none yet" in empty._repr_html_()
    asks = {
        "films.csv": lambda: empty.films,
        "index.parquet": lambda: empty.timescales,
        "labels.parquet": lambda: empty.labels,
        "stimuli": lambda: empty.classes,
        "lag_curve.csv": lambda: empty.figure("lag_curve"),
        "seed-0_intact.parquet": lambda: empty.lag_curve(layer="conv5"),
    }
    for file, ask in asks.items():
        with pytest.raises(InputError, match=re.escape(file)):
            ask()
    for folder in ("stimuli", "world"):
        (tmp_path / folder).symlink_to(E.folder / folder)
    with pytest.raises(InputError, match="network: there is none to choose yet"):
        widgets.neighbours(empty)
    empty.labels = None
    with pytest.raises(InputError, match="these films have no labels"):
        empty.figure("associations")


def test_where_nothing_can_be_written_that_is_said(E, monkeypatch):
    monkeypatch.setattr("semanticcmc.opened.os.access", lambda *of: False)  # as on a read-only disk, for root too
    for ask in (lambda: E.lag_curve(layer="conv5"), lambda: E.figure("layers"), lambda: E.neighbours("dog", "random")):
        with pytest.raises(InputError, match=r"explore.*: not writable; copy .*, and open"):
            ask()


def test_long_work_by_hand_shows_how_far_it_is(E, monkeypatch):
    shown = []
    monkeypatch.setattr("semanticcmc.opened.tqdm", lambda steps, **how: (shown.append(how), iter(steps))[1])
    E.timescales  # noqa: B018
    assert [how["desc"] for how in shown] == ["looks of films", "how long looks last"]
    assert all(how["delay"] == 5 for how in shown)
    assert Study(E.experiment, write=True).watch("in a workflow") is iter


def test_a_notebook_shows_one_line_of_an_error_and_the_trace_on_request(E):
    shell = InteractiveShell.instance()
    shell.user_ns["E"] = E
    shown = []
    for line in ("E.network('nope')", "%tb", "%tb Verbose"):
        with contextlib.redirect_stdout(io.StringIO()) as said:
            shell.run_cell(line)
        shown.append(said.getvalue())
    assert all("no network 'nope'" in one for one in shown)
    assert "opened.py" not in shown[0] + shown[1] and "opened.py" in shown[2]


def test_looking_by_hand_changes_nothing_that_a_workflow_made(E, capsys):
    before = checksums(E.folder)
    E.dataset()
    E.lag_curve()
    E.lag_comparisons()
    E.association()
    E.meaning()
    E.represent("semantic_2s")
    no_network_of_its_own = ("pairs", "training_curve", "objectives")  # smoke has no section `objectives`
    by_hand = [name for name in (*FROM_TABLES, *FIGURES) if name not in no_network_of_its_own]
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


def test_a_question_is_answered_as_the_workflow_answered_it_and_says_its_family(E):
    """Other layers and controls are among those that the workflow tested: the same numbers, to the last digit."""
    before = checksums(E.folder)
    declared = pd.read_csv(E.folder / "tables/lag_curve.csv", keep_default_na=False, na_values=[""])
    for layer, control, tests in (("conv5", "random", 6), ("fc7", "look", 8)):
        found = E.lag_curve(layer=layer, control=control)
        wanted = select(declared, layer=layer, control=["none", control], condition="intact").reset_index(drop=True)
        pd.testing.assert_frame_equal(pd.DataFrame(found), wanted, check_exact=True)
        assert f"p_holm is corrected for {tests} tests of a seed." in repr(found)
    assert "3,231 permutations" in repr(found)  # 400 for each of 8 tests, in whole cosets
    assert found.picture.png.is_relative_to(E.folder / "explore" / "cache")
    assert "given the true looks" in found.picture.words
    assert checksums(E.folder) == before


def test_a_smaller_question_keeps_its_permutations_and_says_what_was_declared(E):
    declared = pd.read_csv(E.folder / "tables/lag_curve.csv", keep_default_na=False, na_values=[""])
    found = E.lag_curve(lags=10, models="lch")
    assert list(found.network.unique()) == ["random", "cmc_lab", "semantic_10s"]
    wanted = select(declared, layer="fc7", control="random", condition="intact", model="lch")
    wanted = wanted.set_index("network").loc[["cmc_lab", "semantic_10s"]]
    tested = found[found.control == "random"].set_index("network")
    pd.testing.assert_frame_equal(tested[["mantel_r", "p"]], wanted[["mantel_r", "p"]], rtol=1e-9)
    assert (tested.permutations >= 400 * 6).all()  # as for the six tests declared
    assert (
        tested.p_holm.tolist()
        == [min(1, 2 * tested.p.min()), max(tested.p.max(), min(1, 2 * tested.p.min()))][
            :: 1 if tested.p.iloc[0] <= tested.p.iloc[1] else -1
        ]
    )
    assert "corrected for 2 tests of a seed; declared are 4 networks and 2 models." in repr(found)


def test_another_correlation_and_model_agree_with_ranks_of_scipy(E):
    """Spearman's r with the length of WordNet's paths, simple: by SciPy from the RDM file and the model's distances."""
    found = E.lag_curve(method="spearman", models=["path"])
    one = found[(found.network == "semantic_2s") & (found.control == "none")]
    rdm, model = E.rdms("semantic_2s")["fc7"], E.model("path")
    assert one.mantel_r.item() == pytest.approx(spearmanr(rdm.values, model.subset(rdm.classes).values)[0], abs=1e-12)
    assert "Spearman" in repr(found) and "rank correlation (Spearman)" in found.picture.words


def test_an_answer_is_kept_by_content(E, tmp_path, monkeypatch):
    copy = tmp_path / "smoke"
    shutil.copytree(E.folder, copy, ignore=shutil.ignore_patterns(".snakemake", "explore"))
    mine = semanticcmc.open(copy / "experiment.yaml")
    first = mine.lag_curve(layer="conv5")
    assert {path.suffix for path in (copy / "explore/cache").iterdir()} == {".csv", ".json", ".png", ".svg"}
    with monkeypatch.context() as patch:
        patch.setattr("semanticcmc.evaluation.lag_curve.lag_curve", None)
        pd.testing.assert_frame_equal(mine.lag_curve(layer="conv5"), first, check_exact=True)
        with pytest.raises(TypeError):
            mine.lag_curve(layer="conv5", method="spearman")
    file = copy / "rdms/semantic_2s/seed-0_intact.parquet"
    write_rdms(file, {name: RDM(rdm.values[::-1], rdm.classes) for name, rdm in read_rdms(file).items()})
    again = mine.lag_curve(layer="conv5")
    changed = (again.mantel_r != first.mantel_r).groupby(again.network).any()
    assert changed["semantic_2s"] and not changed["semantic_10s"]


def test_two_networks_are_compared_among_all_pairs(E):
    """The workflow's table of all pairs has the same row; the other way round it is turned."""
    table = pd.read_csv(E.folder / "tables/lag_comparisons.csv")
    wanted = select(table, condition="intact", control="random", first="semantic_2s", second="semantic_10s")
    found, turned = E.compare("semantic_2s", "semantic_10s"), E.compare("semantic_10s", "semantic_2s")
    for column in ("difference", "ci_low", "ci_high", "p", "p_holm"):
        assert found[column].tolist() == wanted[column].tolist()
    assert (
        turned.difference.tolist() == (-found.difference).tolist()
        and turned.ci_low.tolist() == (-found.ci_high).tolist()
    )
    assert "paired bootstrap" in repr(found) and "corrected for 6 comparisons of a seed" in repr(found)


def test_neighbours_and_rdms_go_by_noun(E):
    found = E.neighbours("dog", ["random", "semantic_2s"], count=3)
    rdm = E.rdms("semantic_2s")["fc7"]
    distances = pd.Series(rdm.square()[rdm.classes.index("n02084071")], rdm.classes).drop("n02084071").nsmallest(3)
    assert found[found.network == "semantic_2s, seed 0"].wnid.tolist() == distances.index.tolist()
    assert found.distance.tolist()[3:] == distances.tolist() and len(found) == 6
    assert E.noun["n02084071"] == "dog" and found.picture.png.is_relative_to(E.folder / "explore")
    by_noun = E.rdm("semantic_2s", layer="conv5")
    i, j = by_noun.classes.index("dog"), by_noun.classes.index("pumpkin")
    square, classes = E.rdms("semantic_2s")["conv5"].square(), E.rdms("semantic_2s")["conv5"].classes
    assert by_noun.square()[i, j] == square[classes.index("n02084071"), classes.index("n07735510")]
    assert [E.category[E.wnid(noun)] for noun in by_noun.classes] == sorted(E.category.values())


def test_a_figure_follows_what_is_chosen(E):
    fc7, conv5 = (E.figure("lag_curve", layer=layer).words for layer in ("fc7", "conv5"))
    assert " fc7; " in fc7 and " conv5; " in conv5
    other = semanticcmc.open(E.experiment.file, layer="conv5", models=["lch"], control="look")
    assert (other.shown.layer, other.shown.models, other.shown.control) == ("conv5", ("lch",), "look")
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
    assert [line for line in repr(mine.networks).splitlines() if "by hand" in line] == [f"{one!r}, by hand"]
    assert "trained by hand" in mine.about(one) and "by hand" not in mine.about(mine.networks[0])
    for also in (["semantic_5s"], "semantic_5s"):
        assert "semantic_5s" in set(mine.lag_curve(also=also).network)
    assert "semantic_5s" not in set(mine.lag_curve(also=[]).network)


def test_what_a_notebook_shows_of_things_is_small_and_says_what_they_are(E):
    shown = DisplayFormatter().format
    for thing, words in (
        (E, ["smoke: A tiny world", "semantic_10s", "3 films, 720 frames"]),
        (E.frames, ["3 films, 720 frames", "240 frames"]),
        (E.labels, ["LabelStream: 3 films", "times"]),
        (E.networks, ["semantic_2s", "2 s between the views"]),
    ):
        html = shown(thing)[0]["text/html"]
        assert html.startswith("<table>") and all(word in html for word in words)
    data, about = shown(E.rdm("semantic_2s"))
    assert data["text/plain"].startswith("RDM: 16 classes, eagle ... pumpkin")
    with Image.open(io.BytesIO(data["image/png"])) as picture:
        assert picture.width == 2 * about["image/png"]["width"]
    assert repr(E.experiment) == "Experiment smoke: 4 networks, 1 seed, fc7"
    assert repr(E.network("semantic_2s")) == "Network semantic_2s, seed 0: info_nce, 2 s between the views, rgb"


def test_a_notebook_shows_tables_as_markdown(E):
    table = pd.DataFrame({"network": ["a", "b", "c"], "mantel_r": [0.123456, 0.2, 0.3]})
    data, _ = DisplayFormatter().format(E.show(table, ".2f", head="Tests", most=2))
    assert data["text/markdown"].startswith("Tests\n\n| network")
    assert "0.12" in data["text/markdown"] and data["text/markdown"].endswith("and 1 more")
    assert E.show(table.head(0), empty="Nothing.").data == "Nothing."
    assert E.show(table.head(0)).data.count("\n") == 1  # the head alone
