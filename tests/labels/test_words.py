"""From words to labels: which words count, by WordNet's own files and by tables, and when.

Sentences and expectations are written by hand; what WordNet says is read from its files (wndb(5WN)), not from nltk.
"""

from pathlib import Path

import pandas as pd
import pytest

from semanticcmc.cli import main
from semanticcmc.config import InputError, package_table, read_text_table
from semanticcmc.labels import words as labels_words
from semanticcmc.labels.ingest import import_labels
from semanticcmc.labels.stream import LabelsConfig, read_labels
from semanticcmc.labels.words import Lexicon, words_of
from semanticcmc.rsa.wordnet import open_wordnet, taxonomy_of
from tests.labels.test_ingest import config, experiment, probed

needs_wordnet = pytest.mark.skipif(open_wordnet() is None, reason="WordNet 3.0 is not installed")
pytest.importorskip("nltk")


@pytest.fixture(scope="module")
def lexicon():
    return Lexicon()


def nouns(lexicon, text, brackets=True):
    """Label to wnid of the things in a text."""
    return {
        one.label: one.wnid for words in words_of([text], brackets) for _, one in lexicon.decided(words) if one.wnid
    }


@needs_wordnet
def test_words_that_are_no_things_do_not_count(lexicon):
    text = "He still looked down at the saw. It led them back in or out; they fell, sat, lay and left. I was in Maine."
    assert nouns(lexicon, text) == {}
    assert nouns(lexicon, "A feeling of joy at the idea, for a long time.") == {}


@needs_wordnet
def test_things_count_by_their_singular_and_the_right_sense(lexicon):
    found = nouns(lexicon, "Two dogs and the children sat at a table, took off their glasses and fed the mice.")
    assert found == {
        "dog": "n02084071",
        "child": "n09917593",
        "table": "n04379243",  # the furniture, not the first sense, a table of numbers
        "glasses": "n04272054",  # spectacles
        "mouse": "n02330245",
    }


@needs_wordnet
def test_nouns_of_several_words_go_before_their_parts(lexicon):
    assert list(nouns(lexicon, "Three tennis balls roll under the dining tables.")) == ["tennis ball", "dining table"]
    # Punctuation parts words.
    assert list(nouns(lexicon, "She plays tennis, balls fly.")) == ["ball"]


@needs_wordnet
def test_people_with_a_name_do_not_count(lexicon):
    text = "[Manager Zhang] gave Dog a bone. Zhang has a cat. Manager Zhang and Young laugh."
    assert list(nouns(lexicon, text)) == ["bone", "cat"]
    said = [[one.label for _, one in lexicon.decided(words)] for words in words_of([text], True)]
    assert not {"manager", "dog", "young"} & set(said[0])
    # In captions brackets say what is heard.
    assert list(nouns(lexicon, "[DOG BARKING]", brackets=False)) == ["dog"]
    # A word is no name at the beginning of a sentence because it begins with a capital there.
    assert list(nouns(lexicon, "Dogs sit. Cats run.")) == ["dog", "cat"]


@needs_wordnet
def test_a_word_that_wordnet_counted_more_often_as_a_verb_does_not_count(lexicon):
    """`leaves` leave more often than they grow: by the counts in WordNet's own cntlist."""
    files = Path("/usr/share/wordnet/cntlist.rev")
    if not files.is_file():
        pytest.skip("WordNet's files are not here")
    count = {"%1": 0, "%2": 0}
    for line in files.read_text().splitlines():
        sense, _, times = line.split()
        if sense.startswith(("watch%1", "watch%2")):
            count[sense[5:7]] += int(times)
    assert count["%2"] > count["%1"] > 0
    assert lexicon.word("watch").wnid == ""
    assert lexicon.word("watch").source.startswith("more often a verb")
    assert lexicon.word("door").wnid == "n03221720"


@needs_wordnet
def test_a_label_has_one_decision_whatever_form_was_said(lexicon):
    decided = {}
    for line in open_wordnet().open("index.noun"):
        lemma = line.split(" ")[0]
        if lemma.isalpha() and not lemma.endswith("s") and "p" < lemma < "pb":
            for said in (lemma, f"{lemma}s"):
                one = lexicon.word(said)
                assert decided.setdefault(one.label, one.wnid) == one.wnid, said


def test_the_package_s_table_names_things_or_nothing():
    table = read_text_table(package_table("word_nouns.csv"), ("label", "wnid", "noun", "source"), "label")
    things = table[table["wnid"] != ""]
    assert {"down", "still", "saw", "LED"} <= set(table["label"][table["wnid"] == ""])
    if open_wordnet() is not None:
        taxonomy = taxonomy_of(list(things["wnid"]))
        for row in things.itertuples():
            assert taxonomy.nouns[row.wnid] == row.noun
            assert "n00001740" in taxonomy.distances_above(row.wnid)  # entity, the root


def test_without_wordnet_the_package_s_tables_serve(monkeypatch):
    monkeypatch.setattr(labels_words, "open_wordnet", lambda: None)
    monkeypatch.setattr("semanticcmc.labels.nouns.open_wordnet", lambda: None)
    bare = Lexicon()
    found = nouns(bare, "Two dogs and a table, still at the fire truck with the teeth of [Dog Man] and Lion.")
    assert found == {"dog": "n02084071", "table": "n04379243", "fire truck": "n03345487", "teeth": "n05282746"}


TEXTS = {
    "a": "0:0:2|0:0:5|The dog runs.\n0:0:8|0:0:8|A cat!\n0:0:8|0:0:12|[Ann] zzyzxes the dog.\n",
    "b": "0:0:1|0:0:3|Still nothing.\n",
}


def films(folder, texts=TEXTS):
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return folder


def seen(folder, movie_id="a"):
    labels = read_labels(folder).labels.query("movie_id == @movie_id")
    return {label: own["time_s"].tolist() for label, own in labels.groupby("label", observed=True)}


def test_each_noun_counts_while_its_utterance_lasts_and_as_long_before_and_after_as_said(tmp_path):
    import_labels(films(tmp_path / "in"), tmp_path / "out", config(interval_s=1.0))
    assert seen(tmp_path / "out") == {"dog": [2, 3, 4, 8, 9, 10, 11], "cat": [8]}
    assert read_labels(tmp_path / "out").times["count"].tolist() == [12, 3]  # to the last utterance's end
    import_labels(tmp_path / "in", tmp_path / "wide", config(interval_s=1.0, widen_s=(3.0, 2.0)))
    assert seen(tmp_path / "wide") == {"dog": list(range(12)), "cat": [5, 6, 7, 8, 9]}


def test_what_is_not_read_is_named(tmp_path, capsys):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0:0:1|0:0:3|A dog and a cat.\n", encoding="utf-8")
    (tmp_path / "labels" / "b.ass").write_text("[Script Info]\n", encoding="utf-8")
    import_labels(tmp_path / "labels", tmp_path / "out" / "labels", config(interval_s=1.0))
    assert "NOT READ: b.ass" in capsys.readouterr().err


def test_a_setting_for_event_tables_does_not_hide_words(tmp_path):
    import_labels(films(tmp_path / "in"), tmp_path / "out", config(interval_s=1.0, event_columns=("word",)))
    assert seen(tmp_path / "out")["cat"] == [8]


def test_every_word_is_listed_and_an_edited_table_decides(tmp_path):
    problems = import_labels(films(tmp_path / "in"), tmp_path / "out", config(interval_s=1.0))
    assert "no word is a noun" in problems["b"]
    assert problems["a"] == ""
    table = pd.read_csv(tmp_path / "out" / "words.csv", keep_default_na=False).set_index("label")
    assert table.loc[["dog", "cat"], ["count", "films"]].values.tolist() == [[2, 1], [1, 1]]
    assert table.loc["zzyzxes", ["wnid", "count"]].tolist() == ["", 1]
    assert table["count"].sum() == 10  # The dog runs. A cat zzyzxes the dog. Still nothing.
    spoken = pd.read_parquet(tmp_path / "out" / "words.parquet")
    rows = [("a", 2.0, 5.0, "dog"), ("a", 8.0, 8.0, "cat"), ("a", 8.0, 12.0, "dog"), ("b", 1.0, 3.0, "")]
    assert list(spoken[["movie_id", "start_s", "stop_s", "label"]].itertuples(index=False, name=None)) == rows
    table.loc["dog", ["wnid", "noun"]] = ""
    table.loc["zzyzxes", ["wnid", "noun", "source"]] = "n02119022", "red fox", "by hand"
    table.to_csv(tmp_path / "mine.csv")
    import_labels(tmp_path / "in", tmp_path / "out", config(interval_s=1.0, nouns=tmp_path / "mine.csv"))
    assert seen(tmp_path / "out") == {"zzyzxes": [8, 9, 10, 11], "cat": [8]}


def test_what_cannot_be_words_of_these_films_is_refused(tmp_path):
    folder = films(tmp_path / "in")
    with pytest.raises(InputError, match=r"labels\.interval_s"):
        import_labels(folder, tmp_path / "out", config())
    with pytest.raises(InputError, match=r"a\.txt, line 3: labels until .* of a film of 9 s.*another film's"):
        import_labels(folder, tmp_path / "out", config(interval_s=1.0), {"a": 9.0})
    films(tmp_path / "no noun", {"a": "0:0:1|0:0:2|Qwghlm xyzzy\n"})
    with pytest.raises(InputError, match="none of 2 words is a noun; is the text English"):
        import_labels(tmp_path / "no noun", tmp_path / "out", config(interval_s=1.0))
    assert set(pd.read_csv(tmp_path / "out" / "words.csv")["label"]) == {"qwghlm", "xyzzy"}
    (folder / "a.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nA dog\n", encoding="utf-8")
    with pytest.raises(InputError, match="one file a film expected"):
        import_labels(folder, tmp_path / "out", config(interval_s=1.0))


def test_labels_alone_last_as_long_as_is_stated_beside_them(tmp_path):
    def imported(**stated):
        if stated:
            rows = "".join(f"{name},{duration_s}\n" for name, duration_s in stated.items())
            (tmp_path / "in" / "films.csv").write_text(f"movie_id,duration_s\n{rows}", encoding="utf-8")
        assert main(["labels", str(tmp_path / "experiment.yaml")]) == 0
        times = read_labels(tmp_path / "labels").times
        return dict(zip(times["movie_id"], times["count"], strict=True))

    films(tmp_path / "in", {"a": TEXTS["a"], "b": TEXTS["a"]})
    made = experiment(tmp_path, tmp_path / "in")
    text = made.file.read_text(encoding="utf-8").replace("interval_s: null", "interval_s: 1")
    made.file.write_text(text.replace("source: films", "source: world"), encoding="utf-8")  # no films are probed
    assert imported() == {"a": 12, "b": 12}
    assert imported(a=20, c=7) == {"a": 20, "b": 12}
    table = pd.read_csv(tmp_path / "labels" / "films.csv", keep_default_na=False)
    assert table["problem"].tolist() == ["", "labels without a film", "a film without labels"]
    (tmp_path / "in" / "films.csv").write_text("movie_id,duration_s\na,long\n", encoding="utf-8")
    assert main(["labels", str(tmp_path / "experiment.yaml")]) == 2


def test_words_are_matched_with_films_and_keep_their_nouns(tmp_path):
    films(tmp_path / "in", {"a": TEXTS["a"].replace("0:0:8|0:0:12", "0:0:0|0:0:1").replace("0:0:", "0:0:0.")})
    probed(tmp_path, a="")
    made = experiment(tmp_path, tmp_path / "in")
    made.file.write_text(made.file.read_text().replace("interval_s: null", "interval_s: 0.1"), encoding="utf-8")
    assert main(["labels", str(made.file)]) == 0
    assert main(["nouns", str(made.file)]) == 0
    table = pd.read_csv(tmp_path / "labels" / "label_nouns.csv", keep_default_na=False)
    assert dict(zip(table["label"], table["wnid"], strict=True)) == {"dog": "n02084071", "cat": "n02121620"}
    assert isinstance(made.section("labels", LabelsConfig).widen_s, tuple)
