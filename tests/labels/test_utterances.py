"""Narrations, captions and timed words: every format says the same, and what is wrong is named with its line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semanticcmc.config import InputError
from semanticcmc.labels.utterances import LONGEST_S, is_of_words, read_utterances

SAID = [(61.0, 63.5, "A dog barks."), (63.5, 70.25, "The man, in a hat, laughs."), (3600.0, 3601.0, "Snow & ice")]
SUBRIP = """1
00:01:01,000 --> 00:01:03,500
<i>A dog</i> barks.

2
00:01:03,500 --> 00:01:10,250
{\\an8}The man,

in a hat, laughs.

3
01:00:00,000 --> 01:00:01,000
Snow & ice
"""
WEBVTT = """WEBVTT Kind: descriptions

STYLE
::cue { color: white }

NOTE 00:00 is where the film starts

1 - the dog
01:01.000 --> 01:03.500 align:start
<v Narrator>A dog barks.

00:01:03.500 --> 00:01:10.250
The man,
in a hat, laughs.

NOTE not a cue

01:00:00.000 --> 01:00:01.000
Snow &amp; ice
"""
NARRATION = """0:1:1|0:1:3.5|A dog barks.
0:1:3.5|0:1:10.25|The man, in a hat, laughs.

1:0:0|1:0:1|Snow & ice
"""
TABLE = '# by hand\nstart;end;speaker;text\n61;63.5;x;A dog barks.\n63.5;1:10.25;;"The man, in a hat, laughs."\n'
TABLE += "3600;3601;;Snow & ice\n"
EVENTS = (
    "onset\tduration\tdescription\n61\t2.5\tA dog barks.\n63.5\t6.75\tThe man, in a hat, laughs.\n3600\t1\tSnow & ice\n"
)
FORMATS = {"a.srt": SUBRIP, "b.vtt": WEBVTT, "c.txt": NARRATION, "d.csv": TABLE, "e.tsv": EVENTS}


def write(folder, name, text, encoding="utf-8"):
    (folder / name).write_text(text, encoding=encoding)
    return folder / name


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_every_format_says_the_same(tmp_path, name, encoding):
    file = write(tmp_path, name, FORMATS[name], encoding)
    assert is_of_words(file)
    assert [tuple(one)[:3] for one in read_utterances(file)] == SAID


def test_a_utterance_knows_its_line(tmp_path):
    for name, text in FORMATS.items():
        file = write(tmp_path, name, text)
        lines = text.splitlines()
        for one, word in zip(read_utterances(file), ("dog", "man", "Snow"), strict=True):
            # Of captions the line of the times, the words are below it.
            assert word in " ".join(lines[one.line - 1 : one.line + 1])


def test_other_tables_and_files_are_not_of_words(tmp_path):
    assert not is_of_words(write(tmp_path, "a.csv", "movie_id,time_s,label\nfilm,0,dog\n"))
    assert not is_of_words(write(tmp_path, "b.tsv", "onset\tduration\tplace\n0\t1\tkitchen\n"))
    assert not is_of_words(tmp_path / "c.json")


@pytest.mark.parametrize(
    "name, text, line, said",
    [
        ("a.txt", "0:0:1|0:0:2|A dog\n0:0:9|0:0:8|A cat\n", 2, "from 9 to 8 s stops before it starts"),
        ("a.txt", "0:0:1|0:0:2|A dog\n\n0:0:1|9:0:8|A cat\n", 3, "lasts more than 600 s"),
        ("a.txt", "0:0:1|0:0:2|A dog\nThe cat\n", 2, "expected h:m:s|h:m:s|sentence"),
        ("a.txt", "0:0:1|-0:0:2|A dog\n", 1, "'-0:0:2' is no time from 0"),
        ("a.srt", "1\n00:00:01 --> 00:00:02\nA dog\n\n2\n00:00:05 -->\nA cat\n", 6, "expected <start> --> <end>"),
        ("a.vtt", "WEBVTT\n\n00:05.000 --> 00:xx\nA cat\n", 3, "'00:xx' is no time"),
        ("a.csv", "start,end,text\n0,1,dog\n1,nan,cat\n", 3, "'nan' is no time"),
        ("a.tsv", "onset\tduration\tword\n0\t1\tdog\n1\t-1\tcat\n", 3, "'-1' is no time from 0"),
        ("a.csv", 'start,end,text\n# a remark\n\n0,1,"A dog\nand a cat"\n5,4,cat\n', 6, "from 5 to 4 s stops"),
        ("a.csv", "start,end,text\n0,1,dog\n1,2,a dog, a cat\n", 3, "4 values for 3 columns"),
        ("a.txt", f"{400 * '1'}:0:0|0:0:2|A dog\n", 1, "is no time from 0"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, name, text, line, said):
    file = write(tmp_path, name, text)
    with pytest.raises(InputError) as error:
        read_utterances(file)
    assert f"{file}, line {line}: " in str(error.value)
    assert said in str(error.value)


def test_text_in_another_encoding_is_named_with_its_line(tmp_path):
    rows = [f"0:0:{i % 60}|0:0:{i % 60}|The caf\xe9" if i == 700 else "0:0:1|0:0:2|" + "dog " * 9 for i in range(800)]
    with pytest.raises(InputError, match=r"line 701: .*save it as UTF-8"):
        read_utterances(write(tmp_path, "a.txt", "\n".join(rows), "cp1252"))


@pytest.mark.parametrize("name", ["a.txt", "a.srt", "a.vtt"])
def test_a_file_without_utterances_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="no utterance there"):
        read_utterances(write(tmp_path, name, "\n"))


def test_spans_in_any_order_and_overlapping_are_kept_and_said(tmp_path, capsys):
    text = "0:0:8|0:0:9|third\n0:0:1|0:0:5|first\n0:0:4|0:0:6|second\n"
    assert [one.text for one in read_utterances(write(tmp_path, "a.txt", text))] == ["first", "second", "third"]
    said = capsys.readouterr().err
    assert "spans that start before the one above: sorted by time: 1, the first on line 2" in said
    assert "spans that start before another ends: both count: 1, the first on line 3" in said


def test_each_span_that_starts_before_another_ends_is_counted(tmp_path, capsys):
    read_utterances(write(tmp_path, "a.txt", "0:0:0|0:0:9|a\n0:0:1|0:0:2|b\n0:0:5|0:0:6|c\n0:0:9|0:0:9|d\n"))
    assert "before another ends: both count: 2, the first on line 2" in capsys.readouterr().err


def test_breaks_of_lines_part_words_and_what_is_no_markup_is_kept(tmp_path):
    cue = "1\n00:00:01,000 --> 00:00:02,000\n"
    file = write(tmp_path, "a.srt", cue + "A dog<br>barks<BR />once\\Nor <i>twic</i>e: 1 < 2 dogs > 0\n")
    assert [one.text for one in read_utterances(file)] == ["A dog barks once or twice: 1 < 2 dogs > 0"]


@given(
    spans=st.lists(
        st.tuples(st.integers(0, 20_000), st.integers(0, int(LONGEST_S)), st.text("ab c", min_size=1)), min_size=1
    )
)
def test_no_utterance_is_lost(tmp_path_factory, spans):
    def clock(second):
        return f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02},000"

    folder = tmp_path_factory.mktemp("captions")
    cues = [f"{i}\n{clock(a)} --> {clock(a + n)}\n{text}\n" for i, (a, n, text) in enumerate(spans, 1)]
    found = read_utterances(write(folder, "a.srt", "\n".join(cues)))
    assert [tuple(one)[:2] for one in found] == sorted((float(a), float(a + n)) for a, n, _ in spans)
    assert sorted(one.text for one in found) == sorted(text.strip() for _, _, text in spans)
