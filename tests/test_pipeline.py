"""The whole pipeline on a tiny world and on a film that the test encodes: Snakemake, papermill, figures, poster."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import bs4
import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

import semanticcmc
from semanticcmc.config import InputError, package_table
from semanticcmc.evaluation.config import ActivationsConfig, StimuliConfig
from semanticcmc.evaluation.rdm_files import network_rdms, untrained_network
from semanticcmc.evaluation.stimuli import StimulusFolder, stimulus_folder
from semanticcmc.experiment import load_experiment, read_values
from semanticcmc.films.files import movie_id_of
from semanticcmc.rsa.rdm import read_rdms

pytestmark = pytest.mark.pipeline


def files_of(folder):
    """Path to time of last change, of everything but logs and locks."""
    return {
        path.relative_to(folder): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and ".snakemake" not in path.parts and path.suffix not in (".log", ".lock")
    }


def test_one_command_leaves_every_promised_file(smoke):
    folder, said = smoke
    experiment = load_experiment(folder / "experiment.yaml")
    names = ["01_dataset_statistics", "04_lag_curve", "05_wordnet", "07_robustness"]
    for network in experiment.networks:
        for seed in experiment.seeds:
            names += [f"02_training_{network}_seed-{seed}", f"03_representations_{network}_seed-{seed}"]
            for condition in ("intact", "object", "background"):
                assert (folder / f"rdms/{network}/seed-{seed}_{condition}.parquet").exists()
            record = json.loads((folder / f"networks/{network}/seed-{seed}/run.json").read_text())
            assert record["seed"] == seed
            assert record["config"]
    for name in names:
        notebook = nbformat.read(folder / "notebooks" / f"{name}.ipynb", as_version=4)
        assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code" and cell.source)
    for table in (
        "dataset",
        "timescales",
        "half_lives",
        "recommended_lag",
        "lag_curve",
        "accuracy",
        "published",
        "lag_comparisons",
        "noise_ceiling",
        "connectivity",
        "robustness",
    ):
        assert len(pd.read_csv(folder / f"tables/{table}.csv"))
    for figure in (folder / "figures").glob("*.json"):
        assert figure.with_suffix(".svg").exists()
        assert figure.with_suffix(".png").exists()
    assert (folder / "poster/poster.html").stat().st_size > 10_000
    assert (folder / "poster/poster.pdf").read_bytes().startswith(b"%PDF")
    assert (folder / "paper/paper.html").stat().st_size > 10_000
    assert (folder / "paper/paper.pdf").read_bytes().startswith(b"%PDF")
    assert re.search(r"\d+ of \d+ jobs", said)
    assert "poster/poster.html" in said


def test_the_lag_curve_has_a_row_for_every_network_layer_model_and_control(smoke):
    folder, _ = smoke
    experiment = load_experiment(folder / "experiment.yaml")
    table = pd.read_csv(folder / "tables/lag_curve.csv", keep_default_na=False, na_values=[""])
    assert set(table.network) == set(experiment.networks)
    assert {"category", "lch"} <= set(table.model)
    assert {"none", "random", "cmc_lab", "look"} == set(table.control)
    assert {"intact", "object", "background"} == set(table.condition)
    key = ["network", "seed", "layer", "condition", "model", "control"]
    assert not table.duplicated(key).any()
    assert table.p.between(1 / (table.permutations.max() + 1) * 0.99, 1).all()
    assert (table.ci_low <= table.ci_high).all()
    assert (table.p_holm >= table.p).all()


def test_the_control_made_without_a_notebook_is_what_the_notebooks_write(smoke):
    """Seed 0 through notebooks 02 and 03, against the same seed drawn in memory: equal bit for bit."""
    folder, _ = smoke
    experiment = load_experiment(folder / "experiment.yaml")
    assert (folder / "rdms/random/seed-1.json").exists()
    assert not list((folder / "notebooks").glob("*_random_seed-1.ipynb"))
    stimuli = StimulusFolder(stimulus_folder(experiment), experiment.section("stimuli", StimuliConfig))
    config = experiment.section("activations", ActivationsConfig)
    network = untrained_network(experiment, experiment.network("random", 0))
    distance = experiment.sections["evaluation"]["distance"]
    torch.set_num_threads(1)  # as the workflow's jobs have here
    for condition in stimuli.config.conditions:
        rdms = network_rdms(network, stimuli, condition, config, distance)
        for layer, written in read_rdms(folder / f"rdms/random/seed-0_{condition}.parquet").items():
            np.testing.assert_array_equal(rdms[layer].values, written.values)


def test_the_second_time_nothing_is_done(smoke, pipeline):
    folder, _ = smoke
    before = files_of(folder)
    again = pipeline("smoke", folder.parent)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "Nothing to be done" in (folder / "workflow.log").read_text()
    assert files_of(folder) == before


def test_an_edited_parameter_runs_again_only_what_depends_on_it(smoke, repository):
    folder, _ = smoke
    file = folder / "experiment.yaml"
    before = file.read_text()
    values = yaml.safe_load(before)
    values["evaluation"]["permutations"] += 100
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        str(repository / "Snakefile"),
        "--directory",
        str(folder),
        "--config",
        f"experiment={file}",
        "--cores",
        "1",
        "--dry-run",
        "--nolock",
    ]
    try:
        file.write_text(yaml.safe_dump(values))  # keys in another order, which is no change
        said = subprocess.run(command, capture_output=True, text=True, cwd=repository).stdout
    finally:
        file.write_text(before)
    again = set(re.findall(r"^rule (\w+):", said, flags=re.M))
    assert "lag_curve" in again, said
    assert not again & {"world", "statistics", "train", "represent"}


def test_a_killed_run_goes_on_where_it_stopped(tmp_path, repository, pipeline):
    results, networks = tmp_path / "results", ("random", "semantic_2s")
    notebooks = results / "smoke/notebooks"
    targets = [f"notebooks/02_training_{network}_seed-0.ipynb" for network in networks]
    options = ["smoke", "--results", str(results), "--cores", "1", "--", *targets]
    command = [sys.executable, "-m", "semanticcmc", "run", *options]
    running = subprocess.Popen(command, cwd=repository, start_new_session=True, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 180
    while not list(notebooks.glob("02_*.ipynb")) and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(0.3)  # into the second network, which takes a few seconds
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    time.sleep(3)  # Snakemake, in a group of its own, sees that it is alone, and ends with its jobs
    finished = {
        path: path.stat().st_mtime_ns
        for path in (*notebooks.glob("02_*.ipynb"), results / "smoke/frames/index.parquet")
    }
    assert len(finished) == 2, "one network and the world were to be finished"
    done = pipeline("smoke", results, "--", *targets)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all((results / "smoke" / target).exists() for target in targets)
    assert {path: path.stat().st_mtime_ns for path in finished} == finished


def encode_film(path, seconds, seed):
    """A film of coloured noise scenes, encoded here."""
    import av

    generator = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for index in range(seconds * 10):
            if index % 40 == 0:
                scene = generator.integers(0, 255, (8, 12, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
            frame = av.VideoFrame.from_ndarray(np.roll(scene, index, axis=1), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


HOSTILE = (
    "<script>alert(1)</script> ![x](/etc/hostname) ![y](http://example.org/y.png) "
    "Ba$$in, 50% off: $5 #1 `x`{=html} {{< var x >}}"
)


def test_films_and_class_folders_of_ones_own_reach_the_poster_whatever_they_are_called(tmp_path, pipeline):
    """From films, labels and class folders to poster, paper and pages; all names are of someone who means harm."""
    films, stimuli, labels = tmp_path / "my $(touch pwned) films", tmp_path / "stimuli", tmp_path / "labels"
    films.mkdir()
    labels.mkdir()
    generator = np.random.default_rng(0)
    names = ["<b>film</b> 'q' $(touch pwned)", "![x](y) & `z` {a}"]
    for number, name in enumerate(name.replace("/", "") for name in names):
        encode_film(films / f"{name}.mp4", 40, number)
    (films / "notes.mp4").write_text("no film")
    movie_ids = [movie_id_of(name.replace("/", "")) for name in names]
    said = (HOSTILE, "<i>", "Dog", "Cat", "Horse", "Cup", "Spoon", "Chair", "Table", "Car")
    rows = [
        (movie_id, t, label) for movie_id in movie_ids for t in range(40) for label in said if generator.random() < 0.5
    ]
    pd.DataFrame(rows, columns=["movie_id", "time_s", "label"]).to_csv(labels / "labels.csv", index=False)
    classes = pd.read_csv(package_table("world_classes.csv")).wnid[::4]
    for wnid in classes:
        (stimuli / wnid).mkdir(parents=True)
        for number in range(2):
            Image.fromarray(generator.integers(0, 255, (80, 100, 3), dtype=np.uint8)).save(
                stimuli / wnid / f"{number}.jpg"
            )
    distances = generator.random((len(classes), len(classes)))
    distances += distances.T
    np.fill_diagonal(distances, 0)
    own = pd.DataFrame(distances, index=pd.Index(classes, name="wnid"), columns=list(classes))
    own.to_csv(tmp_path / "own $x.csv")
    values = read_values("clips")[0]
    smoke = read_values("smoke")[0]
    small = ("networks", "training", "evaluation", "timescales")
    values |= {key: smoke[key] for key in small} | {"name": "own", "baselines": ["random"], "lags_s": [2]}
    values |= {"title": HOSTILE}
    values["evaluation"] |= {"controls": ["none", "random"], "random_seeds": [0], "models": ["category", "<b> $x"]}
    values["evaluation"] |= {"model_files": {"<b> $x": str(tmp_path / "own $x.csv")}}
    source = tmp_path / "own.yaml"
    source.write_text(yaml.safe_dump(values))
    given = ("--films", str(films), "--stimuli", str(stimuli), "--labels", str(labels))
    done = pipeline(source, tmp_path / "results", *given)
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / "results/own"
    index = pd.read_parquet(folder / "frames/index.parquet")
    assert index.groupby("movie_id").size().to_dict() == dict.fromkeys(movie_ids, 40)
    assert pd.read_csv(folder / "frames/films.csv").problem.notna().sum() == 1
    assert "LEFT OUT" in done.stdout
    assert set(pd.read_parquet(folder / "rdms/random/seed-0_intact.parquet").class_i) <= set(classes)
    assert (folder / "poster/poster.pdf").exists() and (folder / "paper/paper.pdf").exists()
    pages = [folder / "poster/poster.html", folder / "paper/paper.html", *(folder / "notebooks").glob("*.html")]
    assert len(pages) > 6
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert str(tmp_path) not in text, page
        shown = bs4.BeautifulSoup(text, "html.parser")
        assert not [tag for tag in shown.find_all("script") if "alert" in tag.text], page
        asked = [tag.get("src") or tag.get("href") for tag in shown.find_all(["img", "script", "link", "iframe"])]
        assert not [address for address in asked if address and not address.startswith("data:")], (page, asked)
    assert not list(tmp_path.rglob("pwned")) and not (Path.cwd() / "pwned").exists()


def test_labels_of_ones_own_are_imported_beside_the_films(tmp_path, repository, pipeline):
    """Rekognition's JSON by file name; labels that have no film are named; nouns by a table of one's own."""
    films, stimuli, labels = tmp_path / "films", tmp_path / "stimuli", tmp_path / "labels"
    films.mkdir()
    labels.mkdir()
    for wnid in pd.read_csv(package_table("world_classes.csv")).wnid[:4]:
        (stimuli / wnid).mkdir(parents=True)
        Image.new("RGB", (70, 70)).save(stimuli / wnid / "a.jpg")
    encode_film(films / "My film (1994).mp4", 12, 0)
    entries = [{"Timestamp": 500 * i, "Label": {"Name": "NA", "Confidence": 40.0 + 5 * i}} for i in range(10)]
    response = {"JobStatus": "SUCCEEDED", "Labels": entries, "VideoMetadata": {"DurationMillis": 12_000}}
    for name in ("My film (1994)", "other"):
        (labels / f"{name}.json").write_text(json.dumps(response))
    values, source, nouns = read_values("clips")[0], tmp_path / "clips.yaml", tmp_path / "nouns.csv"
    nouns.write_text("label,wnid,noun,source\nNA,n02084071,dog,by hand\n")
    values["labels"]["nouns"] = str(nouns)
    source.write_text(yaml.safe_dump(values))
    done = pipeline(
        source,
        tmp_path / "results",
        "--films",
        str(films),
        "--stimuli",
        str(stimuli),
        "--labels",
        str(labels),
        "--",
        "labels/label_nouns.csv",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "other: labels without a film" in done.stdout
    folder = tmp_path / "results/clips/labels"
    rows = pd.read_parquet(folder / "labels.parquet")
    assert rows.movie_id.value_counts().to_dict() == {"My_film_1994": 8, "other": 8}  # of 50 % and more
    assert set(rows.label) == {"NA"}
    times = pd.read_parquet(folder / "label_times.parquet")
    assert times["count"].tolist() == [24, 24] and times["interval_s"].tolist() == [0.5, 0.5]
    table = pd.read_csv(folder / "films.csv", keep_default_na=False).set_index("movie_id")
    assert table.problem.to_dict() == {"My_film_1994": "", "other": "labels without a film"}
    table = pd.read_csv(folder / "label_nouns.csv", keep_default_na=False)
    assert table.values.tolist() == [["NA", "n02084071", "dog", "by hand"]]


def test_papermill_by_hand_refuses_a_parameter_that_there_is_not(tmp_path, repository):
    command = [sys.executable, "-m", "papermill", "analysis/02_training.ipynb", str(tmp_path / "out.ipynb")]
    options = ["--cwd", "analysis", "--kernel", "python3", "--no-progress-bar"]
    parameters = ["-p", "experiment", "smoke", "-p", "lagg_s", "60"]
    done = subprocess.run([*command, *options, *parameters], capture_output=True, text=True, cwd=repository)
    assert done.returncode != 0
    last = [line for line in done.stderr.splitlines() if "InputError:" in line][-1]
    assert "lagg_s" in last and "lag_s" in last


@pytest.mark.parametrize(
    ("network", "lag_s", "words"), [("semantic", -1, ["-1", "above 0"]), ("sematic", 60, ["sematic", "semantic"])]
)
def test_a_network_that_cannot_be_is_refused_before_it_is_trained(network, lag_s, words):
    with pytest.raises(InputError) as error:
        semanticcmc.open("smoke").asked(network, lag_s, 0)
    assert all(word in str(error.value) for word in words)


def test_bad_stimuli_stop_the_run_before_any_film_is_read(tmp_path, pipeline):
    films, stimuli = tmp_path / "films", tmp_path / "stimuli"
    films.mkdir()
    encode_film(films / "a.mp4", 20, 0)
    (stimuli / "hammers").mkdir(parents=True)
    (stimuli / "n02084071").mkdir()
    (stimuli / "n02084071" / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 torn")
    done = pipeline("clips", tmp_path / "results", "--films", str(films), "--stimuli", str(stimuli))
    assert done.returncode != 0
    assert "hammers" in done.stderr
    assert "torn.jpg" in done.stderr
    assert not list((tmp_path / "results").rglob("*.tar"))


def test_films_of_which_none_is_usable_stop_the_run_and_are_named(tmp_path, repository, pipeline):
    films, stimuli = tmp_path / "films", tmp_path / "stimuli"
    films.mkdir()
    (films / "text.mp4").write_text("no film")
    encode_film(films / "short.mp4", 2, 0)
    for wnid in pd.read_csv(package_table("world_classes.csv")).wnid[:4]:
        (stimuli / wnid).mkdir(parents=True)
        Image.new("RGB", (70, 70)).save(stimuli / wnid / "a.jpg")
    done = pipeline("clips", tmp_path / "results", "--films", str(films), "--stimuli", str(stimuli))
    assert done.returncode != 0
    assert "text.mp4" in done.stderr
    assert "short" in done.stderr


def test_two_runs_on_one_results_folder_do_not_meet(smoke, pipeline):
    import fcntl

    folder, _ = smoke
    with (folder / ".workflow.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = pipeline("smoke", folder.parent)
    assert done.returncode == 2
    assert "another run" in done.stderr
