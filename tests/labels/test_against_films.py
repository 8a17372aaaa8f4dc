"""Labels held against their film, 12 s of 25 pictures a second: units, lengths, thresholds, what fills the memory."""

import json
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import yaml

from semanticcmc.config import InputError
from semanticcmc.experiment import load_experiment
from semanticcmc.labels.ingest import import_experiment, import_labels
from semanticcmc.labels.stream import LabelsConfig, read_labels, write_labels

FILM_S = 12.0
HEAD = "movie_id,time_s,label,confidence\n"


def rekognition(times_s, confidence=90.0, duration_ms=12_000, name="Dog"):
    labels = [{"Timestamp": 1000 * t, "Label": {"Name": name, "Confidence": confidence}} for t in times_s]
    return json.dumps({"JobStatus": "SUCCEEDED", "Labels": labels, "VideoMetadata": {"DurationMillis": duration_ms}})


def csv_of(times_s, confidence=90.0, film="a"):
    return HEAD + "".join(f"{film},{t},Dog,{confidence}\n" for t in times_s)


def events(*rows):
    return "onset\tduration\tplace\n" + "".join(f"{onset}\t{duration}\tbus\n" for onset, duration in rows)


def stream(folder, count, interval_s=1.0, confidence=90.0):
    times = pd.DataFrame({"movie_id": ["a"], "start_s": 0.0, "interval_s": interval_s, "count": [count]})
    labels = pd.DataFrame({"movie_id": ["a"], "time_s": 0.0, "label": "Dog", "confidence": confidence})
    write_labels(folder, labels, times)


def imported(folder, files, films=("a",), duration_s=FILM_S, fps=25.0, **config):
    """Row of ``labels/films.csv`` of film a, whose labels are in these files (name to text)."""
    (folder / "in").mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / "in" / name).write_text(text, encoding="utf-8")
    values = dict(path=str(folder / "in"), interval_s=None, least_confidence=50, parents=False, event_columns=[])
    values |= dict(join_runs=False, nouns=None, widen_s=[0, 0]) | config
    (folder / "experiment.yaml").write_text(
        "name: x\ntitle: X\nsource: films\nlags_s: [1]\nbaselines: [random]\nseeds: [0]\nprimary_layer: fc7\n"
        + yaml.safe_dump({"labels": values})
    )
    (folder / "frames").mkdir(exist_ok=True)
    probe = pd.DataFrame({"movie_id": films, "duration_s": duration_s, "fps": fps, "problem": ""})
    probe.to_csv(folder / "frames" / "probe.csv", index=False)
    table = import_experiment(load_experiment(folder / "experiment.yaml"))
    return table.set_index("movie_id").loc["a"]


SECONDS = np.arange(12.0)
EVENTS = {"event_columns": ["place"], "interval_s": 1.0}


@pytest.mark.parametrize(
    ("file", "text", "config"),
    [
        ("a_events.tsv", events((0, 3000), (3000, 9500)), EVENTS),  # milliseconds
        ("a_events.tsv", events((0, 60), (60, 5400)), EVENTS),  # a whole film's
        ("a_events.tsv", events((0, 2), (14, 1)), EVENTS),
        ("a.json", rekognition(SECONDS * 1000), {}),
        ("a.json", rekognition(np.arange(0, 40.0), duration_ms=40_000), {}),
        ("labels.csv", csv_of(SECONDS * 1000), {"interval_s": 1000.0}),
        ("labels.csv", csv_of(np.arange(300)), {}),  # frame numbers
        ("labels.csv", "movie_id,start_s,stop_s,label\na,0,12000,Dog\n", {"interval_s": 1.0}),
    ],
)
def test_labels_beyond_the_films_end_are_refused(tmp_path, file, text, config):
    with pytest.raises(InputError, match=r"labels until \S+ s of a film of 12 s: .*times not in seconds"):
        imported(tmp_path, {file: text}, **config)


def test_a_stream_of_another_film_is_refused(tmp_path):
    (tmp_path / "in").mkdir()
    stream(tmp_path / "in", 5400)
    with pytest.raises(InputError, match="in, film a: labels until 5399 s of a film of 12 s"):
        imported(tmp_path, {})
    stream(tmp_path / "in", 12)
    assert imported(tmp_path, {})["label_sets"] == 12


@pytest.mark.parametrize(
    ("file", "text", "config", "ends"),
    [
        ("a_events.tsv", events((0, 1), (3, 1)), EVENTS, 0),  # the last event ends at 4 s
        ("a_events.tsv", events((0, 12.4)), EVENTS, 1),  # a little longer than the film
        ("a_events.tsv", events((0, 0)), EVENTS, 0),
        ("a.json", rekognition([0, 1, 2], duration_ms=None), {}, 0),
        ("a.json", rekognition([0, 1, 2], duration_ms=12_040), {}, 0),
        ("a.json", rekognition([*SECONDS, 12.9], duration_ms=12_900), {"interval_s": 1.0}, 0),  # sound goes on
        ("labels.csv", csv_of([0, 1, 2]), {}, 0),
        ("labels.csv", "movie_id,start_s,stop_s,label\na,0,2.5,Dog\n", {"interval_s": 1.0}, 0),
    ],
)
def test_label_times_end_with_the_film(tmp_path, file, text, config, ends):
    """Or at its end, where a label is there."""
    row = imported(tmp_path, {file: text}, **config)
    assert row["problem"] == "" and row["label_sets"] == 12 + ends
    assert read_labels(tmp_path / "labels").labels["time_s"].max() <= 12


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("a.json", rekognition(SECONDS, confidence=0.97)),
        ("a.json", rekognition(SECONDS, confidence=1)),
        ("labels.csv", csv_of(SECONDS, 0.5)),
        ("labels.csv", csv_of(SECONDS, 0.0)),
        ("labels.csv", "movie_id,start_s,stop_s,label,confidence\na,0,12,Dog,0.9\n"),
    ],
)
def test_confidences_that_are_shares_are_refused(tmp_path, file, text):
    with pytest.raises(InputError, match=r"no confidence above \S+; multiply by 100: percent expected"):
        imported(tmp_path, {file: text}, interval_s=1.0)


def test_shares_in_a_stream_are_refused(tmp_path):
    (tmp_path / "in").mkdir()
    stream(tmp_path / "in", 12, confidence=0.9)
    with pytest.raises(InputError, match="film a: no confidence above 0.9; multiply by 100"):
        imported(tmp_path, {})
    assert imported(tmp_path, {}, least_confidence=0.5)["labels"] == 1  # a threshold of the same unit


def test_a_film_without_a_sure_label_is_listed(tmp_path):
    """It stops nothing where another film has labels; alone it does."""
    unsure = {"a.json": rekognition(SECONDS, confidence=40)}
    row = imported(tmp_path, unsure | {"b.json": rekognition(SECONDS)}, films=("a", "b"))
    assert row["problem"].startswith("none of 12 labels has a confidence of 50 or more (at most 40)")
    assert (row["label_sets"], row["labels"]) == (12, 0)
    (tmp_path / "in" / "b.json").unlink()
    with pytest.raises(InputError, match=r"a: none of 12 labels .* lower labels\.least_confidence"):
        imported(tmp_path, unsure)
    (tmp_path / "in" / "a.json").unlink()
    stream(tmp_path / "in", 12, confidence=40)
    with pytest.raises(InputError, match="a: none of 1 labels"):
        imported(tmp_path, {})


@pytest.mark.parametrize("duration_ms", [3_000, 40_000, 1e15])
def test_labels_of_a_film_of_another_length_are_listed(tmp_path, duration_ms):
    files = {"a.json": rekognition([0, 1, 2], duration_ms=duration_ms), "b.json": rekognition(SECONDS)}
    row = imported(tmp_path, files, films=("a", "b"))
    assert row["problem"].startswith(f"labels of a film of {duration_ms / 1000:g} s, but it has 12 s")
    assert row["label_sets"] == 12


def test_more_label_sets_than_pictures_are_listed(tmp_path):
    files = {"a_events.tsv": events((0, 12)), "b_events.tsv": events((0, 12))}
    config = EVENTS | {"interval_s": 0.01}
    row = imported(tmp_path, files, films=("a", "b"), fps=[25.0, 100.0], **config)
    assert row["problem"].startswith("more label sets than its 300 pictures: state a longer labels.interval_s")
    assert row["label_sets"] == 1200
    assert imported(tmp_path, files, films=("a", "b"), fps=np.nan, **config)["problem"] == ""
    assert imported(tmp_path, files, films=("a", "b"), **EVENTS | {"interval_s": 0.04})["problem"] == ""


@pytest.mark.parametrize(
    ("file", "text", "config"),
    [
        ("a.json", rekognition([0, 1, 1e12]), {}),
        ("a.json", rekognition([0, 1e-9, 2e-9]), {}),
        ("a.json", rekognition(SECONDS), {"interval_s": 1e-9}),
        ("a.json", rekognition(SECONDS), {"interval_s": 1e-300}),
        ("a.json", rekognition([0, 0.2, 1e15], duration_ms=None), {}),
        ("labels.csv", csv_of([0, 1e-7, 12]), {}),
        ("labels.csv", "movie_id,start_s,stop_s,label\na,0,1e15,Dog\n", {"interval_s": 1.0}),
        ("labels.csv", "movie_id,start_s,stop_s,label\na,0,inf,Dog\n", {"interval_s": 1.0}),
        ("labels.csv", "movie_id,start_s,stop_s,label\na,0,12,Dog\n", {"interval_s": 1e-9}),
        ("a_events.tsv", events((0, 12)), EVENTS | {"interval_s": 1e-9}),
        ("a_events.tsv", events((0, 1e300)), EVENTS),
        ("a_events.tsv", events((1e17, 0)), EVENTS),
        ("a_events.tsv", events(*[(0, 2e6)] * 20), EVENTS),  # each of them could be
    ],
)
@pytest.mark.parametrize("known", [{"a": FILM_S}, {}], ids=["film", "no film"])
def test_what_would_fill_the_memory_is_refused_before(tmp_path, file, text, config, known):
    (tmp_path / file).write_text(text)
    values = dict(interval_s=None, event_columns=()) | config
    settings = LabelsConfig(
        tmp_path / file, least_confidence=50, parents=False, join_runs=False, nouns=None, widen_s=(0, 0), **values
    )
    too_many = r"at most 20,000,000 are read; correct the times, or labels\.interval_s"
    tracemalloc.start()
    try:
        with pytest.raises(
            InputError, match=rf"{file}.*({too_many}|of a film of 12 s|are not 1e-300 s apart .* state the interval)"
        ):
            import_labels(tmp_path / file, tmp_path / "out", settings, known)
        assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
    finally:
        tracemalloc.stop()


def test_a_stream_that_would_fill_the_memory_is_refused(tmp_path):
    times = pd.DataFrame({"movie_id": ["a"], "start_s": 0.0, "interval_s": 0.2, "count": [10**15]})
    with pytest.raises(InputError, match=r"film 'a': 1e\+15 label sets, one every 0\.2 s; at most 20,000,000"):
        write_labels(tmp_path, pd.DataFrame(columns=["movie_id", "time_s", "label", "confidence"]), times)


def test_problems_outlive_a_stop(tmp_path):
    """Parts of an import that was killed keep them."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.json").write_text(rekognition(SECONDS, confidence=40))
    (tmp_path / "in" / "b.json").write_text("torn")
    config = LabelsConfig(tmp_path / "in", None, 50.0, False, (), False, None, (0.0, 0.0))
    with pytest.raises(InputError, match="torn|b.json"):
        import_labels(tmp_path / "in", tmp_path / "out", config)
    (tmp_path / "in" / "b.json").write_text(rekognition(SECONDS))
    problems = import_labels(tmp_path / "in", tmp_path / "out", config)
    assert "none of 12 labels" in problems["a"] and problems["b"] == ""
