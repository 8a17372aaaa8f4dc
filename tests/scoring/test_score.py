"""Networks side by side: tables that hold the tests of their RDMs, a page, and a place on an experiment's lag curve."""

import dataclasses
import json
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.spatial.distance import pdist, squareform
from scipy.stats import pearsonr

from papers import scored as scored_page
from semanticcmc.cli import main
from semanticcmc.config import InputError
from semanticcmc.evaluation.comparisons import LAG_COMPARISONS
from semanticcmc.evaluation.lag_curve import COLUMNS
from semanticcmc.experiment import read_values
from semanticcmc.rsa.mantel import partial_mantel
from semanticcmc.rsa.rdm import from_class_means, read_rdms, write_rdms
from semanticcmc.rsa.semantics import lch_rdm
from semanticcmc.study import Study
from tests.evaluation import test_lag_curve
from tests.scoring.conftest import CLASSES

experiment = test_lag_curve.experiment
FEW = ["--permutations", "99", "--bootstrap", "20", "--seeds", "3"]
WORDS = squareform(pdist(np.random.default_rng(1).standard_normal((8, 4))))


def scored(folder):
    return pd.read_csv(folder / "tables" / "scores.csv")


def test_networks_are_scored_side_by_side_with_all_that_an_experiment_has(pictures, own, tmp_path, capsys, monkeypatch):
    write_rdms(tmp_path / "made.parquet", {"a": from_class_means(np.random.default_rng(0).random((8, 5)), CLASSES)})
    pd.DataFrame(WORDS, CLASSES, CLASSES).to_csv(tmp_path / "words.csv")
    command = [
        "score",
        f"one={own}:network",
        f"{own}:alone",
        str(tmp_path / "made.parquet"),
        "--stimuli",
        str(pictures),
    ]
    command += [*FEW, "--model", "lch", "--model-file", str(tmp_path / "words.csv"), "--results", str(tmp_path / "out")]
    assert main(command) == 0
    # From seed 1 on: an untrained network that is scored has seed 0, and is not in its own control.
    assert "one, untrained, seed 1, pass 1: 100%" in (told := capsys.readouterr().err)
    assert "one, untrained, seed 3, pass 1: 100%" in told and "untrained, seed 0" not in told
    out, table = tmp_path / "out", scored(tmp_path / "out")
    assert list(table.columns) == list(COLUMNS)
    assert set(table.network) == {"one", f"{own}-alone", "made"} and set(table.model) == {"lch", "words"}
    assert set(table[table.control == "random"].network) == {"one"}  # the others cannot be had untrained
    row = table[(table.network == "one") & (table.layer == "5") & (table.model == "lch")].set_index("control")
    rdms, control = (read_rdms(out / "rdms" / f"one{which}.parquet")["5"] for which in ("", "_untrained"))
    test = partial_mantel(rdms, lch_rdm(CLASSES), control, partial="dsp")
    assert row.mantel_r["random"] == pytest.approx(test.r, abs=1e-12)
    assert row.mantel_r["none"] == pytest.approx(pearsonr(rdms.values, lch_rdm(CLASSES).values)[0], abs=1e-12)
    paired = pd.read_csv(out / "tables" / "comparisons.csv")
    assert list(paired.columns) == list(LAG_COMPARISONS) and len(paired) == 3 * 2
    told = json.loads((out / "score.json").read_text())["networks"]
    assert told["one"]["alarm"] == "" and len(told["one"]["weights_sha256"]) == 64
    monkeypatch.chdir(tmp_path)
    [page] = scored_page.page(Path("out"))  # as the command line names it
    page = page.read_text()
    assert "looks untrained" not in page and page.count("<img") == 2 and page.count('alt="') == 2
    with pytest.raises(InputError, match="semanticcmc score NETWORK"):
        list(scored_page.page(tmp_path / "nowhere"))


@pytest.mark.parametrize("ending", ["npz", "parquet", "hdf5"])
def test_rdms_of_a_file_score_as_in_memory_in_whatever_order_its_classes_are(ending, tmp_path):
    rng = np.random.default_rng(2)
    rdm, order = from_class_means(rng.random((8, 5)), CLASSES), rng.permutation(8)
    tables = []
    for name, one in (("a", rdm), ("b", rdm.subset([CLASSES[i] for i in order]))):
        file = tmp_path / f"{name}.{ending}"
        if ending == "npz":
            np.savez(file, classes=np.array(one.classes), layer=one.square())
        elif ending == "parquet":
            write_rdms(file, {"layer": one})
        else:
            h5py = pytest.importorskip("h5py")
            with h5py.File(file, "w") as made:  # as rsatoolbox 0.3.2 writes it; tests/rsa has a file that it made
                made["dissimilarities"] = one.values[None]
                made["pattern_descriptors/conds"] = np.array(one.classes, dtype="S")
                made["rdm_descriptors/layer"] = np.array(["layer"], dtype="S")
        assert main(["score", str(file), *FEW, "--model", "lch", "--results", str(tmp_path / name)]) == 0
        tables.append(scored(tmp_path / name).drop(columns="network"))
    pd.testing.assert_frame_equal(*tables)
    assert tables[0].mantel_r[0] == pytest.approx(pearsonr(rdm.values, lch_rdm(CLASSES).values)[0], abs=1e-12)
    assert tables[0].layer.tolist() == ["layer"]


def test_names_on_the_page_are_text_whatever_they_look_like(tmp_path):
    rng = np.random.default_rng(0)
    layers = {name: from_class_means(rng.random((8, 5)), CLASSES) for name in ("0.1", "0.10")}
    write_rdms(tmp_path / "null.parquet", layers)
    assert main(["score", str(tmp_path / "null.parquet"), *FEW, "--model", "lch", "--results", str(tmp_path)]) == 0
    [page] = scored_page.page(tmp_path)
    assert "1: 0.1, 2: 0.10" in page.read_text()


def test_bad_input_is_named_before_anything_is_shown(pictures, own, tmp_path, capsys):
    def said(*arguments):
        assert main(["score", *arguments, "--results", str(tmp_path / "out")]) == 2
        return capsys.readouterr().err

    assert "needs pictures" in said(f"{own}:network")
    for other in ("one", "one_untrained"):  # whose file would be that of the first one's untrained networks
        named = (f"one={own}:network", f"{other}={own}:alone")
        for two in (named, named[::-1]):
            assert "two networks are called one" in said(*two, "--stimuli", str(pictures))
    assert "no layer 'conv9'; there are 1, 5" in said(f"{own}:network", "--stimuli", str(pictures), "--layers", "conv9")
    assert "--control 'look': there are random, none" in said(f"{own}:network", "--control", "look")
    assert "tokens" in said(f"{own}:network", "--tokens", "some", "--stimuli", str(pictures))
    write_rdms(tmp_path / "more.parquet", {"a": from_class_means(np.eye(9), (*CLASSES, "n00001740"))})
    assert "other classes than those before (n00001740)" in said(
        f"{own}:network", str(tmp_path / "more.parquet"), "--stimuli", str(pictures)
    )
    (tmp_path / "other").mkdir()
    for file in ("words.csv", "other/words.csv"):
        pd.DataFrame(WORDS, CLASSES, CLASSES).to_csv(tmp_path / file)
    files = [f"--model-file={tmp_path / 'words.csv'}", f"--model-file={tmp_path / 'other' / 'words.csv'}"]
    assert "['words', 'words']: expected no duplicate" in said(f"{own}:network", "--stimuli", str(pictures), *files)
    write_rdms(tmp_path / "few.parquet", {"a": from_class_means(np.eye(3), CLASSES[:3])})
    assert "WordNet: 3 of the 3 classes" in said(str(tmp_path / "few.parquet"), "--model", "lch")
    assert main(["score", f"{own}:network", "--stimuli", str(pictures), "--results", str(tmp_path / "words.csv")]) == 2
    assert "words.csv: no folder can be made there" in capsys.readouterr().err
    (tmp_path / "a.pkl").write_bytes(b"cos\nsystem\n")
    assert "a.pkl: not readable as a file of RDMs" in said(str(tmp_path / "a.pkl"))
    (pictures / CLASSES[0]).rename(pictures / "aardvark")
    assert "aardvark: not in the WordNet taxonomy" in said(f"{own}:network", "--stimuli", str(pictures))
    assert not (tmp_path / "out").exists()


def test_a_network_of_others_stands_on_the_lag_curve(experiment, own, tmp_path, capsys):
    rng = np.random.default_rng(0)
    for wnid in test_lag_curve.WORLD.wnid:
        (tmp_path / "stimuli" / wnid).mkdir(parents=True)
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(tmp_path / "stimuli" / wnid / "0.png")
    sections = {**experiment.sections, "activations": read_values("smoke")[0]["activations"]}
    experiment = dataclasses.replace(experiment, sections=sections)
    E = Study(experiment)
    one = E.add(f"own={own}:network", layers={"conv5": "1", "fc7": "5"})
    assert (one.name, one.trained, np.isnan(one.lag_s)) == ("own", False, True)
    assert [network.name for network in E.added] == ["own", "own"]  # the same for each seed
    with pytest.raises(InputError, match="own: another's network, which is shown stimuli and not trained"):
        E.train("own")
    table = E.lag_curve()
    rows = table[(table.network == "own") & (table.layer == "fc7") & (table.control == "none") & (table.model == "lch")]
    rdm = E.rdms("own")["fc7"]
    np.testing.assert_allclose(rows.mantel_r, pearsonr(rdm.values, lch_rdm(rdm.classes).values)[0], atol=1e-12)
    assert set(table.network) == {*experiment.networks, "own"} and set(table.seed) == {0, 1}
    for network in experiment.runs:  # the networks of the experiment have accuracies, others none
        file = tmp_path / "rdms" / network.name / f"seed-{network.seed}_accuracy.csv"
        file.write_text(f"network,lag_s,seed,accuracy\n{network.name},1,{network.seed},0.5\n")
    assert set(E.gather("accuracy").network) == set(experiment.networks)
    with pytest.raises(InputError, match="has a network random; call it something else"):
        E.add(f"random={own}:network")
    with pytest.raises(InputError, match="expected one for each of conv5, fc7"):
        E.add(f"other={own}:network", layers={"conv9": "1"})

    def stopped(*given):
        write_rdms(*given)
        raise KeyboardInterrupt

    with mock.patch("semanticcmc.scoring.score.write_rdms", stopped), pytest.raises(KeyboardInterrupt):
        E.add(f"stopped={own}:network")
    assert {one.name for one in E.networks} > {"own", "stopped"}  # the experiment opens, and it can be added again
    E.add(f"even={own}:network")  # by default from the first layer to the last
    told = json.loads((tmp_path / "rdms" / "even" / "given.json").read_text())
    assert told["config"]["layers"] == {"conv5": "1", "fc7": "5"}
