"""Label streams: sorted whatever came in, and counted as by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semanticcmc.config import InputError
from semanticcmc.labels.stream import frequencies, label_stream, read_labels, write_labels

TIMES = pd.DataFrame({"movie_id": ["b", "a"], "start_s": [0.0, 10.0], "interval_s": [0.2, 0.5], "count": [6, 4]})
ROWS = [
    ("a", 11.0, "dog", 90.0),
    ("b", 0.0, "cat", 80.0),
    ("b", 1.0, "ant", 60.0),
    ("b", 0.2, "dog", 99.0),
    ("a", 10.0, "cat", 55.0),
    ("b", 0.2, "cat", 50.0),
]


def table(rows):
    return pd.DataFrame(rows, columns=["movie_id", "time_s", "label", "confidence"])


def test_written_and_read_in_order_of_film_time_and_label(tmp_path):
    write_labels(tmp_path, table(ROWS), TIMES)
    stream = read_labels(tmp_path)
    assert list(stream.labels.itertuples(index=False, name=None)) == sorted(ROWS)
    assert stream.movies == ("a", "b")
    assert pd.read_parquet(tmp_path / "labels.parquet").equals(stream.labels)


@settings(max_examples=50, deadline=None)
@given(order=st.permutations(range(len(ROWS))))
def test_the_order_of_arrival_does_not_matter(order):
    stream = label_stream(table([ROWS[i] for i in order]), TIMES.iloc[:: 1 if order[0] % 2 else -1])
    assert list(stream.labels.itertuples(index=False, name=None)) == sorted(ROWS)


def test_files_out_of_order_are_sorted_on_reading(tmp_path):
    """Times sort as numbers do: 10 s after 2 s."""
    rows = [("a", 10.0, "x", 50.0), ("a", 2.0, "x", 50.0), ("a", 0.0, "x", 50.0)]
    table(rows).to_parquet(tmp_path / "labels.parquet")
    pd.DataFrame({"movie_id": ["a"], "start_s": [0.0], "interval_s": [2.0], "count": [6]}).to_parquet(
        tmp_path / "label_times.parquet"
    )
    assert read_labels(tmp_path).labels["time_s"].tolist() == [0, 2, 10]


def test_of_a_label_twice_at_a_time_the_surest_stays():
    rows = [("a", 10.0, "cat", 55.0), ("a", 10.0, "cat", 77.0), ("a", 10.0, "dog", 60.0)]
    stream = label_stream(table(rows), TIMES)
    assert stream.labels[["label", "confidence"]].values.tolist() == [["cat", 77.0], ["dog", 60.0]]


def test_label_times_of_a_film():
    stream = label_stream(table(ROWS), TIMES)
    np.testing.assert_allclose(stream.time_s("a"), [10, 10.5, 11, 11.5])


def test_plain_text_and_codes_are_the_same_stream(tmp_path):
    """As another program writes them: text, or codes in an order of their own with names that none has."""
    text = label_stream(table(ROWS), TIMES)
    codes = table(ROWS).assign(
        label=lambda t: pd.Categorical(t["label"], ["zebra", "dog", "cat", "ant"]),
        movie_id=lambda t: pd.Categorical(t["movie_id"], ["b", "x", "a"]),
    )
    coded = label_stream(codes, TIMES)
    pd.testing.assert_frame_equal(text.labels, coded.labels)
    assert frequencies(coded)["label"].tolist() == ["cat", "dog", "ant"]
    table(ROWS).to_parquet(tmp_path / "labels.parquet")
    TIMES.to_parquet(tmp_path / "label_times.parquet")
    pd.testing.assert_frame_equal(read_labels(tmp_path).labels, text.labels)


def test_frequencies():
    found = frequencies(label_stream(table(ROWS), TIMES))
    assert found.values.tolist() == [["cat", 3, 0.3, 2], ["dog", 2, 0.2, 2], ["ant", 1, 0.1, 1]]
    assert list(found) == ["label", "count", "fraction", "movies"]


def test_a_stream_without_labels_has_times(tmp_path):
    stream = write_labels(tmp_path, table([]), TIMES)
    assert stream.movies == ("a", "b") and stream.labels.empty


@pytest.mark.parametrize(
    "row, words",
    [
        (("c", 0.0, "x", 50.0), "film 'c' has labels but no label times"),
        (("b", 0.3, "x", 50.0), "label at 0.3 s, none of its label times"),
        (("b", 1.2, "x", 50.0), "label at 1.2 s"),
        (("a", 9.5, "x", 50.0), "label at 9.5 s"),
        (("a", float("nan"), "x", 50.0), "label at nan s"),
        (("a", 10.0, "x", 101.0), "confidence from 0 to 100"),
        (("a", 10.0, None, 50.0), "a label is missing"),
        ((None, 10.0, "x", 50.0), "a label has no movie_id"),
    ],
)
def test_refuses_wrong_rows(row, words):
    with pytest.raises(InputError, match=words):
        label_stream(table([*ROWS, row]), TIMES)


def test_refuses_wrong_tables(tmp_path):
    with pytest.raises(InputError, match="column confidence missing"):
        label_stream(table(ROWS).drop(columns="confidence"), TIMES)
    with pytest.raises(InputError, match="two rows of film 'a'"):
        label_stream(table(ROWS), pd.concat([TIMES, TIMES[1:]]))
    with pytest.raises(InputError, match="interval_s above 0"):
        label_stream(table(ROWS), TIMES.assign(interval_s=0.0))
    with pytest.raises(InputError, match=r"labels\.parquet: no such file"):
        read_labels(tmp_path)
    write_labels(tmp_path, table(ROWS), TIMES)
    (tmp_path / "label_times.parquet").write_text("text")
    with pytest.raises(InputError, match=r"label_times\.parquet: not readable"):
        read_labels(tmp_path)
    with pytest.raises(InputError, match="no film 'x'"):
        label_stream(table(ROWS), TIMES).film("x")
