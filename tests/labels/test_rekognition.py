"""Rekognition's pages to labels: pages in any order, jobs that are not whole, what JSON can hold."""

import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semanticcmc.config import InputError
from semanticcmc.labels.rekognition import read_rekognition, rekognition_films


def entry(stamp_ms, name, confidence=90.0, parents=()):
    label = {
        "Name": name,
        "Confidence": confidence,
        "Parents": [{"Name": parent} for parent in parents],
        "Instances": [{"BoundingBox": {"Width": 0.5, "Height": 1.0, "Left": 0.0, "Top": 0.0}, "Confidence": 12.0}],
        "Aliases": [{"Name": "Alias"}],
        "Categories": [{"Name": "Animals and Pets"}],
    }
    return {"Timestamp": stamp_ms, "Label": label}


def page(entries, token=None, duration_ms=2000, **more):
    """A response in the service's form."""
    next_page = {"NextToken": token} if token else {}
    return {
        "JobStatus": "SUCCEEDED",
        "LabelModelVersion": "3.0",
        "Labels": list(entries),
        **next_page,
        "VideoMetadata": {
            "Codec": "h264",
            "DurationMillis": duration_ms,
            "Format": "QuickTime / MOV",
            "FrameRate": 25.0,
            "FrameHeight": 720,
            "FrameWidth": 1280,
        },
        "GetRequestMetadata": {"SortBy": "TIMESTAMP", "AggregateBy": "TIMESTAMPS"},
        **more,
    }


ENTRIES = [
    entry(0, "Dog", 97.5, ["Animal", "Pet"]),
    entry(0, "Forêt 森", 60.0),
    entry(200, "nan", 80.0),
    entry(400, "NA", 55.0),
    entry(1800, "Dog", 20.0, ["Animal"]),
]


def rows(labels):
    return sorted(zip(labels.time_s.tolist(), labels.label.tolist(), labels.confidence.tolist(), strict=True))


@settings(max_examples=40, deadline=None)
@given(
    order=st.permutations(range(4)), cuts=st.lists(st.integers(0, 5), min_size=3, max_size=3), together=st.booleans()
)
def test_pages_in_any_order_give_the_same_labels(tmp_path_factory, order, cuts, together):
    folder = tmp_path_factory.mktemp("film")
    cuts = [0, *sorted(cuts), 5]
    pages = [page(ENTRIES[cuts[i] : cuts[i + 1]], token=f"token {i + 1}" if i < 3 else None) for i in range(4)]
    if together:
        (folder / "a.json").write_text(json.dumps([pages[i] for i in order]), encoding="utf-8")
    else:
        for name, i in enumerate(order):
            (folder / f"{name}.json").write_text(json.dumps(pages[i]), encoding="utf-8")
    labels = read_rekognition(sorted(folder.iterdir()), parents=False)
    assert rows(labels) == [
        (0.0, "Dog", 97.5),
        (0.0, "Forêt 森", 60.0),
        (0.2, "nan", 80.0),
        (0.4, "NA", 55.0),
        (1.8, "Dog", 20.0),
    ]
    assert labels.duration_s == 2.0


BARE = [{"Labels": ENTRIES[:2]}, {"Labels": []}, {"Labels": ENTRIES[2:]}]


@pytest.mark.parametrize(
    "content",
    [
        ENTRIES,  # as `labels += response["Labels"]` saves it
        [ENTRIES[:2], [], ENTRIES[2:]],  # as `labels.append(response["Labels"])` does
        BARE,
        {"Labels": ENTRIES},
        [{"Labels": ENTRIES[:2], "NextToken": "x"}, {"Labels": ENTRIES[2:]}],
        [dict(one, VideoMetadata={"DurationMillis": 2000}) for one in BARE],
        {"Labels": ENTRIES, "LabelModelVersion": "3.0", "VideoMetadata": {}},
        [dict(one, NextToken="") for one in BARE],
    ],
)
def test_what_scripts_save_of_the_responses_is_read(tmp_path, content):
    (tmp_path / "a.json").write_text(json.dumps(content), encoding="utf-8")
    labels = read_rekognition([tmp_path / "a.json"], parents=False)
    (tmp_path / "whole.json").write_text(json.dumps(page(ENTRIES)), encoding="utf-8")
    assert rows(labels) == rows(read_rekognition([tmp_path / "whole.json"], parents=False))
    assert labels.duration_s == 2 or labels.duration_s != labels.duration_s


def test_parents_and_confidence(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(page(ENTRIES)), encoding="utf-8")
    labels = read_rekognition([tmp_path / "a.json"], parents=True).confident(50)
    assert rows(labels)[:4] == [(0.0, "Animal", 97.5), (0.0, "Dog", 97.5), (0.0, "Forêt 森", 60.0), (0.0, "Pet", 97.5)]
    assert 1.8 not in labels.time_s and 1.8 in labels.sampled_s  # labelled at that time, with less confidence


def test_a_film_without_labels_and_a_packed_file(tmp_path):
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(json.dumps(page([])).encode("utf-8-sig")))
    labels = read_rekognition([tmp_path / "a.json.gz"], parents=False)
    assert not len(labels.label) and labels.duration_s == 2.0


def test_films_are_files_or_folders_of_pages(tmp_path):
    (tmp_path / "007").mkdir()
    for name in ("007/1.json", "007/2.json.gz", "007/._1.json", "My film (1994).json", "notes.txt"):
        (tmp_path / name).touch()
    films = rekognition_films(tmp_path)
    assert {name: [f.name for f in files] for name, files in films.items()} == {
        "007": ["1.json", "2.json.gz"],
        "My film (1994)": ["My film (1994).json"],
    }
    assert rekognition_films(tmp_path / "My film (1994).json").keys() == {"My film (1994)"}
    (tmp_path / "007.json").touch()
    with pytest.raises(InputError, match="are film '007'; remove one"):
        rekognition_films(tmp_path)


@pytest.mark.parametrize(
    "pages, words",
    [
        ([page(ENTRIES, JobStatus="IN_PROGRESS")], r"0\.json: JobStatus IN_PROGRESS: get the labels once"),
        ([page([], JobStatus="FAILED", StatusMessage="no video")], r"JobStatus FAILED \(no video\)"),
        ([page(ENTRIES, token="x")], r"0\.json: the film's last page is missing"),
        ([page(ENTRIES), page(ENTRIES)], r"0\.json and .*1\.json: pages that are both the last"),
        ([page(ENTRIES, "x"), page(ENTRIES, "x"), page([])], "pages that are the same page"),
        ([page(ENTRIES, "x"), page(ENTRIES, duration_ms=3000)], r"1\.json: a page of another film"),
        ([page([], GetRequestMetadata={"AggregateBy": "SEGMENTS"})], "AggregateBy=TIMESTAMPS"),
        ([page([{"StartTimestampMillis": 0, "Label": {}}])], "AggregateBy=TIMESTAMPS"),
        ([page([entry(0, "Dog", 120.0)])], "confidence 120"),
        ([page([entry(-5, "Dog")])], "a label at -0.005 s"),
        ([page([entry("soon", "Dog")])], r"0\.json: a label without Timestamp"),
        ([page([{"Timestamp": 0, "Label": {"Confidence": 3}}])], r"0\.json: a label without .*Name"),
        ([page([entry(0, "")])], r"0\.json: a label named ''"),
        ([page([entry(0, 5)])], r"0\.json: a label named 5"),
        ([{}], "no response of Rekognition"),
        ([[]], "no response of Rekognition"),
        ([[[]]], "no response of Rekognition"),
        ([[entry(0, "Dog"), {"Timestamp": 0, "Face": {}}]], "no response of Rekognition"),
        ([[entry(0, "Dog"), page([])]], "no response of Rekognition"),
        ([[1, 2]], "no response of Rekognition"),
        ([None], "no response of Rekognition"),
        ([[entry(0, "Dog"), {"Label": {"Name": "Dog", "Confidence": 9}}]], "label without Timestamp"),
        ([[{"StartTimestampMillis": 0, "Label": {"Name": "Dog"}}]], "AggregateBy=TIMESTAMPS"),
        ([{"Labels": [{"Name": "Dog", "Confidence": 90.0}]}], "a label without Timestamp"),  # of one picture
        ([{"Labels": [7]}], "a label without Timestamp"),
        ([{"Labels": {"Dog": 1}}], "a page without Labels"),
        ([[entry(0, "Dog")], [entry(200, "Dog")]], "pages that are both the last"),  # of two files: of two films?
        ([{"Labels": ENTRIES, "NextToken": "x"}], "the film's last page is missing"),
        ([page(ENTRIES, duration_ms="2000")], r"0\.json: DurationMillis '2000'; a number above 0"),
        ([page(ENTRIES, duration_ms=0)], "DurationMillis 0; a number"),
        ([page(ENTRIES, duration_ms=-1)], "DurationMillis -1; a number"),
        ([page(ENTRIES, duration_ms=float("nan"))], "DurationMillis nan; a number"),
        ([page(ENTRIES, duration_ms=float("inf"))], "DurationMillis inf; a number"),
        ([page(ENTRIES, duration_ms=True)], "DurationMillis True; a number"),
        ([page(ENTRIES, duration_ms=500)], r"labels until 1\.8 s of a film of 0\.5 s"),
        ([page([entry(0, "\ud800")])], r"a label named '\\ud800'; text expected"),
        ([{"JobStatus": "SUCCEEDED"}], "without Labels or VideoMetadata"),
    ],
)
def test_refuses_what_is_no_whole_job(tmp_path, pages, words):
    for i, content in enumerate(pages):
        (tmp_path / f"{i}.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=words):
        read_rekognition(sorted(tmp_path.iterdir()), parents=False)


@pytest.mark.parametrize(
    "content",
    [b"", b'{"JobStatus": ', b'{"JobStatus": "\xe9"}', b"[" * 100_000, b'{"Labels": []}\n{"Labels": []}'],
    ids=["empty", "torn", "latin-1", "deep", "lines"],
)
def test_refuses_what_is_no_json(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.json: not readable as JSON"):
        read_rekognition([tmp_path / "a.json"], parents=False)
