"""From folders of labels to a sorted stream: every format gives the same one, films are joined, none is lost."""

import json
import os

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semanticcmc.cli import main
from semanticcmc.config import InputError
from semanticcmc.experiment import load_experiment
from semanticcmc.labels import ingest as label_imports
from semanticcmc.labels.ingest import import_experiment, import_labels
from semanticcmc.labels.stream import LabelsConfig, experiment_labels, read_labels, write_labels

CONFIG = {
    "path": None,
    "interval_s": None,
    "least_confidence": 50.0,
    "parents": False,
    "event_columns": (),
    "join_runs": False,
    "nouns": None,
    "widen_s": (0.0, 0.0),
}


def config(**values):
    return LabelsConfig(**(CONFIG | values))


def rekognition(path, rows, duration_s, **more):
    """One film's response: rows of time_s, label, confidence."""
    labels = [{"Timestamp": round(t * 1000), "Label": {"Name": n, "Confidence": c, "Parents": []}} for t, n, c in rows]
    response = {"JobStatus": "SUCCEEDED", "Labels": labels, "VideoMetadata": {"DurationMillis": duration_s * 1000}}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(response | more), encoding="utf-8")


def stream_rows(folder):
    return [tuple(row) for row in read_labels(folder).labels.astype({"movie_id": object, "label": object}).to_numpy()]


FILMS = {
    "007": [(0.0, "Dog", 90.0), (0.2, "Dog", 80.0), (0.2, "Café", 55.0), (0.8, "nan", 99.0)],
    "Title_1994": [(0.0, "Café", 70.0), (0.4, "Dog", 75.0), (0.6, "Ant", 100.0)],
}
EXPECTED = [
    (movie_id, t, n, c) for movie_id in FILMS for t, n, c in sorted(FILMS[movie_id], key=lambda r: (r[0], r[1]))
]


def test_every_format_gives_the_same_stream(tmp_path):
    for movie_id, name in (("007", "007"), ("Title_1994", "Title (1994)")):
        rekognition(tmp_path / "rekognition" / f"{name}.json", reversed(FILMS[movie_id]), 1.0)
    rows = [(movie_id, *row) for movie_id in FILMS for row in FILMS[movie_id]]
    table = pd.DataFrame(rows, columns=["movie_id", "time_s", "label", "confidence"]).sample(frac=1, random_state=0)
    table.to_csv(tmp_path / "labels.csv", index=False)
    times = pd.DataFrame({"movie_id": list(FILMS), "start_s": 0.0, "interval_s": 0.2, "count": 5})
    write_labels(tmp_path / "ready made", table, times)
    for source in ("rekognition", "labels.csv", "ready made"):
        import_labels(tmp_path / source, tmp_path / "out", config(), {"007": 1.0, "Title_1994": 1.0})
        assert [(m, pytest.approx(t), n, c) for m, t, n, c in stream_rows(tmp_path / "out")] == EXPECTED, source
        found = read_labels(tmp_path / "out").times
        pd.testing.assert_frame_equal(found, times, check_dtype=False)
        assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["label_times.parquet", "labels.parquet"]


@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 9), st.sampled_from(["Dog", "NA", "森", "cat"]), st.integers(50, 100)), max_size=30
    ),
    order=st.randoms(use_true_random=False),
)
def test_streams_come_out_sorted_and_the_surest_of_duplicates_stays(tmp_path_factory, rows, order):
    folder = tmp_path_factory.mktemp("labels")
    shuffled = [(step / 5, name, sure) for step, name, sure in rows]
    order.shuffle(shuffled)
    rekognition(folder / "in" / "a.json", shuffled, 2.0)
    import_labels(folder / "in", folder / "out", config(interval_s=0.2))
    surest = {}
    for step, name, sure in rows:
        surest[step, name] = max(sure, surest.get((step, name), 0))
    found = [(round(t * 5), name, sure) for _, t, name, sure in stream_rows(folder / "out")]
    assert found == [(*key, surest[key]) for key in sorted(surest)]


def test_a_film_without_labels_has_the_others_interval(tmp_path):
    rekognition(tmp_path / "in" / "full.json", FILMS["007"], 1.0)
    rekognition(tmp_path / "in" / "empty.json", [], 3.0)
    rekognition(tmp_path / "in" / "one.json", [(0.4, "Dog", 90.0)], 3.0)
    import_labels(tmp_path / "in", tmp_path / "out", config())
    stream = read_labels(tmp_path / "out")
    assert stream.times.values.tolist() == [["empty", 0.0, 0.2, 15], ["full", 0.0, 0.2, 5], ["one", 0.0, 0.2, 15]]
    assert stream.rows["empty"] == slice(0, 0)
    for name in ("full", "one"):
        (tmp_path / "in" / f"{name}.json").unlink()
    with pytest.raises(InputError, match=r"empty\.json: too few labels to tell .*labels\.interval_s"):
        import_labels(tmp_path / "in", tmp_path / "out", config())


def test_an_import_that_stopped_goes_on_with_the_films_that_are_left(tmp_path, monkeypatch):
    for name in ("a", "b", "c"):
        rekognition(tmp_path / "in" / f"{name}.json", FILMS["007"], 1.0)
    rekognition(tmp_path / "in" / "c.json", FILMS["007"], 1.0, JobStatus="IN_PROGRESS")
    with pytest.raises(InputError, match=r"c\.json: JobStatus IN_PROGRESS"):
        import_labels(tmp_path / "in", tmp_path / "out", config())
    assert not (tmp_path / "out" / "labels.parquet").exists()
    rekognition(tmp_path / "in" / "c.json", FILMS["007"], 1.0)
    rekognition(tmp_path / "in" / "b.json", FILMS["Title_1994"], 1.0)  # changed meanwhile
    read, seen = label_imports.read_rekognition, []
    monkeypatch.setattr(
        label_imports, "read_rekognition", lambda files, *rest: (seen.append(files[0].stem), read(files, *rest))[1]
    )
    import_labels(tmp_path / "in", tmp_path / "out", config())
    assert seen == ["b", "c"]
    assert [m for m, *_ in stream_rows(tmp_path / "out")] == ["a"] * 4 + ["b"] * 3 + ["c"] * 4


def test_events_need_to_know_what_is_a_label(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "film_events.tsv").write_text("onset\tduration\tplace\n0\t1\tbus\n")
    with pytest.raises(InputError, match=r"labels\.event_columns \(there are onset, duration, place\)"):
        import_labels(tmp_path / "in", tmp_path / "out", config(interval_s=0.5))
    import_labels(tmp_path / "in", tmp_path / "out", config(interval_s=0.5, event_columns=("place",)))
    assert stream_rows(tmp_path / "out") == [("film", 0.0, "bus", 100.0), ("film", 0.5, "bus", 100.0)]


def test_refuses_what_is_no_source(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        import_labels(tmp_path / "nothing", tmp_path / "out", config())
    (tmp_path / "in").mkdir()
    with pytest.raises(InputError, match="no labels there; expected Rekognition"):
        import_labels(tmp_path / "in", tmp_path / "out", config())
    for name in ("a film", "a_film"):
        rekognition(tmp_path / "in" / f"{name}.json", FILMS["007"], 1.0)
    with pytest.raises(InputError, match="'a film' and 'a_film' are both film 'a_film'"):
        import_labels(tmp_path / "in", tmp_path / "out", config())
    for name in ("a.csv", "b.csv"):
        (tmp_path / "in" / name).write_text("movie_id,time_s,label\na,0,x\n")
    with pytest.raises(InputError, match="2 tables; name the one"):
        import_labels(tmp_path / "in", tmp_path / "out", config())


@pytest.mark.parametrize("name", ["a.json", "a.csv", "a_events.tsv", "a.json.gz", ""])
def test_a_pipe_is_not_waited_for(tmp_path, name):
    """Among the labels, or in their place."""
    if name:
        (tmp_path / "in").mkdir()
    os.mkfifo(tmp_path / "in" / name)
    with pytest.raises(InputError, match=f"{name}.*(no regular file|no such file or folder)"):
        import_labels(tmp_path / "in", tmp_path / "out", config(interval_s=1.0, event_columns=("place",)))


def experiment(folder, path, source="films"):
    (folder / "experiment.yaml").write_text(
        f"name: x\ntitle: X\nsource: {source}\nlags_s: [1]\nbaselines: [random]\nseeds: [0]\nprimary_layer: fc7\n"
        f"labels: {{path: {path or 'null'}, interval_s: null, least_confidence: 50, parents: false, "
        "event_columns: [], join_runs: false, nouns: null, widen_s: [0, 0]}\n"
    )
    return load_experiment(folder / "experiment.yaml")


def probed(folder, **problems):
    (folder / "frames").mkdir()
    films = pd.DataFrame(
        {
            "movie_id": list(problems),
            "duration_s": [1.0, np.nan, 1.0][: len(problems)],
            "fps": 25.0,
            "problem": list(problems.values()),
        }
    )
    films.to_csv(folder / "frames" / "probe.csv", index=False)


def test_labels_and_films_are_joined_by_name_and_none_is_lost_silently(tmp_path, capsys):
    for name in ("a", "b", "d"):
        rekognition(tmp_path / "in" / f"{name}.json", FILMS["007"], 1.0)
    probed(tmp_path, a="", b="truncated", c="")
    made = experiment(tmp_path, tmp_path / "in")
    with pytest.raises(InputError, match=r"no labels yet; make poster imports them"):
        experiment_labels(made)
    main(["labels", str(tmp_path / "experiment.yaml")])
    said = capsys.readouterr().err
    table = pd.read_csv(tmp_path / "labels" / "films.csv", keep_default_na=False)
    assert table.values.tolist() == [
        ["a", 5, 4, ""],
        ["b", 5, 4, "labels of a film that is left out: truncated"],
        ["c", 0, 0, "a film without labels"],
        ["d", 5, 4, "labels without a film"],
    ]
    for film in table[table.problem != ""].itertuples():
        assert f"NOT MATCHED: {film.movie_id}: {film.problem}" in said
    stream = experiment_labels(made)
    assert stream.movies == ("a", "b", "d")


def test_an_experiment_whose_films_and_labels_do_not_meet_stops(tmp_path):
    rekognition(tmp_path / "in" / "other.json", FILMS["007"], 1.0)
    probed(tmp_path, a="")
    with pytest.raises(InputError, match="no film that can be used has labels .*labels without a film"):
        import_experiment(experiment(tmp_path, tmp_path / "in"))


def test_films_need_no_labels_and_the_world_has_its_own(tmp_path):
    assert experiment_labels(experiment(tmp_path, None)) is None
    rows = [(movie_id, *row) for movie_id in FILMS for row in FILMS[movie_id]]
    times = pd.DataFrame({"movie_id": list(FILMS), "start_s": 0.0, "interval_s": 0.2, "count": 5})
    write_labels(tmp_path / "labels", pd.DataFrame(rows, columns=["movie_id", "time_s", "label", "confidence"]), times)
    assert len(experiment_labels(experiment(tmp_path, None, "world")).labels) == len(rows)
