"""Event tables and CSVs of labels: by hand, against a loop, and on the locations of a real film."""

import csv

import numpy as np
import pytest

from semanticcmc.config import InputError
from semanticcmc.labels.tables import event_films, read_events, read_label_csv

EVENTS = "onset\tduration\tplace\tlight\n0.0\t2.0\tbus stop\tday\n2.0\t1.5\tNA\tn/a\n3.5\t0.1\tnan\tnight\n"


def rows(labels):
    return sorted(zip(labels.time_s.tolist(), labels.label.tolist(), strict=True))


def write(path, text, encoding="utf-8"):
    path.write_text(text, encoding=encoding)
    return path


def test_events_are_there_from_onset_until_their_duration_is_over(tmp_path):
    file = write(tmp_path / "film_events.tsv", EVENTS)
    labels = read_events([file], ["place"], 0.5)
    places = ["bus stop"] * 4 + ["NA"] * 3 + ["nan"]
    assert rows(labels) == [(i / 2, place) for i, place in enumerate(places)]
    assert labels.sampled_s.max() == 3.5 and np.isnan(labels.duration_s)  # the film may go on
    both = read_events([file], ["place", "light"], 1.0)
    assert rows(both) == [
        (0.0, "light:day"),
        (0.0, "place:bus stop"),
        (1.0, "light:day"),
        (1.0, "place:bus stop"),
        (2.0, "place:NA"),
        (3.0, "light:night"),
        (3.0, "place:NA"),
        (3.0, "place:nan"),
    ]


def test_runs_are_films_or_pieces_of_one(tmp_path):
    files = [tmp_path / f"film_run-{n}_events.tsv" for n in (10, 2, 1)]
    assert event_films(files, join_runs=False) == {f"film_run-{n}": (files[i],) for i, n in enumerate((10, 2, 1))}
    assert event_films(files, join_runs=True) == {"film": (files[2], files[1], files[0])}
    for n, place in ((1, "bus"), (2, "car"), (10, "house")):
        write(tmp_path / f"film_run-{n}_events.tsv", f"onset\tduration\tplace\n0\t2\t{place}\n")
    joined = read_events(event_films(files, join_runs=True)["film"], ["place"], 1.0)
    assert rows(joined) == [(0, "bus"), (1, "bus"), (2, "car"), (3, "car"), (4, "house"), (5, "house")]
    assert joined.sampled_s.max() == 5


def test_locations_of_forrest_gump(repository):
    """Each second of each of its eight segments, against the line of the table that it falls in."""
    folder = repository.parent / "shared/data/studyforrest"
    if not folder.is_dir():
        pytest.skip("the studyforrest locations are not here")
    films = event_films(sorted(folder.glob("*.tsv")), join_runs=False)
    assert list(films) == [f"locations_run-{n}" for n in range(1, 9)]
    for files in films.values():
        with files[0].open(encoding="utf-8", newline="") as handle:
            events = list(csv.DictReader(handle, delimiter="\t"))
        labels = read_events(files, ["int_or_ext"], 1.0)
        end = max(float(e["onset"]) + float(e["duration"]) for e in events)
        for second in range(int(end)):
            there = {
                e["int_or_ext"]
                for e in events
                if float(e["onset"]) <= second < float(e["onset"]) + float(e["duration"])
            }
            assert there <= set(labels.label[labels.time_s == second])
    joined = read_events(event_films(sorted(folder.glob("*.tsv")), join_runs=True)["locations"], ["setting"], 1.0)
    assert 1.9 * 3600 < joined.sampled_s.max() < 2.1 * 3600  # the research cut runs about two hours


@pytest.mark.parametrize(
    "text, words",
    [
        ("onset\tplace\n0\tx\n", "no column duration"),
        ("onset\tduration\tplace\n0\tlong\tx\n", r"line 2: duration 'long'"),
        ("onset\tduration\tplace\n0\t1\tx\nn/a\t1\tx\n", r"line 3: onset 'n/a'"),
        ("onset\tduration\tplace\n-1\t1\tx\n", r"line 2: onset '-1'"),
        ("onset\tduration\tplace\n0\tnan\tx\n", r"line 2: duration 'nan'"),
        ("", "no column onset, duration, place"),
    ],
)
def test_refuses_wrong_events(tmp_path, text, words):
    with pytest.raises(InputError, match=words):
        read_events([write(tmp_path / "a_events.tsv", text)], ["place"], 1.0)


def test_refuses_events_that_are_no_utf8(tmp_path):
    file = write(tmp_path / "a.tsv", "onset\tduration\tplace\n0\t1\tcafé\n", "latin-1")
    with pytest.raises(InputError, match=r"a\.tsv, line 2: not readable as text in UTF-8"):
        read_events([file], ["place"], 1.0)


def test_a_csv_of_labels_keeps_text_as_text(tmp_path):
    text = "movie_id,time_s,label,confidence,note\n007,1.0,NA,60,x\n1e3,0,nan,70,x\n"
    text += '007,0,"Café, bar",99.5,x\n007,2,Dog,40,x\n'
    films = read_label_csv(write(tmp_path / "labels.csv", text, "utf-8-sig"), None)
    assert set(films) == {"007", "1e3"}
    confident = films["007"].confident(50)
    assert rows(confident) == [(0.0, "Café, bar"), (1.0, "NA")]
    assert confident.sampled_s.max() == 2 and confident.confidence.tolist() == [60, 99.5]
    assert rows(films["1e3"]) == [(0.0, "nan")]


SAVED = {
    "plain": lambda text: text,
    "BOM": lambda text: "\ufeff" + text,
    "remarks": lambda text: "\ufeff# mine\n#, 2\n\n" + text + "# end\n",
    "semicolons": lambda text: "\ufeff" + text.replace(",", ";").replace("\n", "\r\n"),
    "tabs": lambda text: text.replace(",", "\t"),
    "quotes": lambda text: "".join(
        ",".join(f'"{value}"' for value in line.split(",")) + "\n" for line in text.splitlines()
    ),
    "spaces": lambda text: text.replace(",", ", "),
    "empty column": lambda text: text.replace("\n", ",\n"),
}


@pytest.mark.parametrize("saved", SAVED)
@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_tables_are_read_however_they_are_saved(tmp_path, saved, suffix):
    """Whatever the end of the name says."""
    text = SAVED[saved]("movie_id,time_s,label,confidence\na,0,Dog,60\na,0.5,Big cat,99.5\n")
    films = read_label_csv(write(tmp_path / f"labels.{suffix}", text), None)
    assert rows(films["a"]) == [(0.0, "Dog"), (0.5, "Big cat")]
    assert films["a"].confidence.tolist() == [60, 99.5]
    text = SAVED[saved]("onset,duration,place\n0,0.5,bus\n0.5,1,bus stop\n")
    labels = read_events([write(tmp_path / f"a_events.{suffix}", text)], ["place"], 0.5)
    assert rows(labels) == [(0.0, "bus"), (0.5, "bus stop"), (1.0, "bus stop")]


def test_a_csv_of_spans(tmp_path):
    text = "movie_id,start_s,stop_s,label\na,0,1.5,dog\na,0.9,1.1,cat\na,0.1,0.2,ant\n"
    films = read_label_csv(write(tmp_path / "labels.csv", text), 0.5)
    assert rows(films["a"]) == [(0.0, "ant"), (0.0, "dog"), (0.5, "dog"), (1.0, "cat"), (1.0, "dog")]
    assert np.all(films["a"].confidence == 100)
    with pytest.raises(InputError, match=r"spans need an interval: state labels\.interval_s"):
        read_label_csv(tmp_path / "labels.csv", None)


@pytest.mark.parametrize(
    "text, words",
    [
        ("movie_id,label\na,dog\n", "no column time_s; found movie_id, label"),
        ("movie_id|time_s|label\na|0|dog\n", r"no column movie_id, time_s, label; found movie_id\|time_s\|label"),
        ("movie_id;time_s;label\na;0,5;dog\n", r"labels\.csv: not readable as a table .*'0,5'"),
        ("movie_id,time_s,label\na,0,dog,big\n", r"Expected 3 columns, got 4: a,0,dog,big"),
        ("# only remarks\n", "no column movie_id"),
        ("movie_id,time_s,label\na,,dog\n", "a row without time_s"),
        ("movie_id,time_s,label\na,0,\n", "a row without label"),
        ("movie_id,time_s,label\n,0,dog\n", "a row without movie_id"),
        ("movie_id,time_s,label\na,soon,dog\n", "not readable as a table"),
        ("movie_id,time_s,label,confidence\na,0,dog,120\n", "film a: confidence 120"),
        ("movie_id,time_s,label,confidence\na,0,dog,nan\n", "a row without confidence|confidence nan"),
        ("movie_id,start_s,stop_s,label\na,2,1,dog\n", "stops before it starts"),
    ],
)
def test_refuses_wrong_csvs(tmp_path, text, words):
    with pytest.raises(InputError, match=words):
        read_label_csv(write(tmp_path / "labels.csv", text), 1.0)


def test_refuses_a_csv_that_is_no_utf8(tmp_path):
    file = write(tmp_path / "labels.csv", "movie_id,time_s,label\na,0,caf\xe9\n", "latin-1")
    with pytest.raises(InputError, match=r"labels\.csv, line 2: not readable as text in UTF-8"):
        read_label_csv(file, None)
