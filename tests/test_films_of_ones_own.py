"""Whole runs on films of one's own, which the tests encode: with labels and class folders, good and bad ones."""

import json
from pathlib import Path

import bs4
import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from semanticcmc.config import package_table
from semanticcmc.experiment import read_values
from semanticcmc.films.files import movie_id_of

pytestmark = pytest.mark.pipeline


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
