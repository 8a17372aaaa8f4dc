"""Labels to nouns: against nltk's reader on WordNet's own files, and by a table of one's own."""

import csv
import random
from pathlib import Path

import pandas as pd
import pytest
import yaml

from semanticcmc.cli import main
from semanticcmc.config import InputError, package_table
from semanticcmc.experiment import load_experiment, read_values
from semanticcmc.labels.nouns import first_sense, label_nouns
from semanticcmc.labels.stream import write_labels

WORDNET = Path("/usr/share/wordnet")
needs_wordnet = pytest.mark.skipif(not (WORDNET / "index.noun").exists(), reason="WordNet's files are not here")


@pytest.fixture(scope="module")
def index():
    """wnids of each noun's senses by lemma, the first sense first, as WordNet's own index has them (wndb(5WN))."""
    rows = [line.split() for line in (WORDNET / "index.noun").read_text().splitlines() if line[0] != " "]
    return {row[0]: [f"n{offset}" for offset in row[-int(row[2]) :]] for row in rows}


@pytest.fixture(scope="module")
def words():
    """Words of each synset, as WordNet's own data file has them."""
    rows = [line.split() for line in (WORDNET / "data.noun").read_text().splitlines() if line[0] != " "]
    return {f"n{row[0]}": row[4 : 4 + 2 * int(row[3], 16) : 2] for row in rows}


def plain_table(path, *rows):
    path.write_text("label,wnid,noun,source\n" + "".join(f"{','.join(row)}\n" for row in rows), encoding="utf-8")
    return path


@needs_wordnet
def test_the_first_sense_is_the_first_of_wordnets_index(index):
    """Nouns as labels have them, regular and irregular plurals, and what is no noun at all."""
    # Not those that are plurals as well: nltk looks at both.
    some = [lemma for lemma in random.Random(0).sample(sorted(index), 3000) if not lemma.endswith("s")]
    singulars = {lemma.replace("_", " ").title(): lemma for lemma in some}
    plurals = {
        "Dogs": "dog",
        "Geese": "goose",
        "Children": "child",
        "Firemen": "fireman",
        "Wolves": "wolf",
        "Boxes": "box",
        "Churches": "church",
        "Cherries": "cherry",
        "Fire Trucks": "fire_truck",
    }
    names = singulars | plurals
    assert [first_sense(name)[0] for name in names] == [index[lemma][0] for lemma in names.values()]
    nothing = label_nouns(["Zzyzx", "Quickly", "\u68ee"])
    assert (nothing[["wnid", "noun", "source"]] == "").all(axis=None)


@needs_wordnet
def test_the_table_holds_nouns_of_wordnet(repository, words):
    """Each wnid is a noun and its word the first of it; what the table calls the first sense is it."""
    with (package_table("label_nouns.csv")).open(encoding="utf-8") as handle:
        table = list(csv.DictReader(line for line in handle if line[0] != "#"))
    assert len({row["label"] for row in table}) == len(table)
    nouns = [row for row in table if row["wnid"]]
    assert len(nouns) >= 150
    for row in nouns:
        assert row["noun"] == words[row["wnid"]][0].replace("_", " ")
        first = first_sense(row["label"])
        assert (row["source"] == "first sense") == bool(first and first[0] == row["wnid"]), row


def test_a_table_of_ones_own_goes_before_the_packages_and_that_before_wordnet(tmp_path, monkeypatch):
    table = plain_table(tmp_path / "mine.csv", ("Dog", "n02012849", "crane", ""), ("place:Cat", "", "", "no thing"))
    labels = ["Dog", "Cat", "place:Dog", "place:Cat", "Outdoors", "Xyzzy"]
    asked = []
    monkeypatch.setattr("semanticcmc.labels.nouns.first_sense", asked.append)
    ours = label_nouns(labels, columns=["place"]).set_index("label")
    assert ours["noun"].tolist() == ["dog", "cat", "dog", "cat", "", ""] and asked == ["Xyzzy"]
    assert ours.loc["Outdoors", "source"] and not ours.loc["Xyzzy", "source"]
    mine = label_nouns(labels, table, ["place"]).set_index("label")
    assert mine["noun"].tolist() == ["crane", "cat", "crane", "", "", ""]
    assert mine.loc[["Dog", "place:Cat"], "source"].tolist() == ["mine.csv", "no thing"]


def test_what_is_in_a_table_is_not_looked_up(tmp_path, monkeypatch):
    known = {"Crane": ("n10930000", "Crane", "here"), "dog": ("n02084071", "dog", "here")}
    table = plain_table(tmp_path / "table.csv", ("Crane", "n02012849", "crane", "by hand"), ("NA", "", "", "by hand"))
    monkeypatch.setattr("semanticcmc.labels.nouns.first_sense", known.get)
    found = label_nouns(["dog", "Crane", "NA", "nan", "place:Crane", "place:dog"], table, ["place"])
    assert found.values.tolist() == [
        ["dog", "n02084071", "dog", "here"],
        ["Crane", "n02012849", "crane", "by hand"],
        ["NA", "", "", "by hand"],
        ["nan", "", "", ""],
        ["place:Crane", "n02012849", "crane", "by hand"],
        ["place:dog", "n02084071", "dog", "here"],
    ]


def test_only_labels_of_event_tables_are_split_at_the_colon(monkeypatch):
    """``maker:coffee`` is no coffee."""
    known = {word: (f"n{i:08d}", word, "here") for i, word in enumerate(("coffee", "red", "a:b"))}
    labels = ["maker:coffee", "place:coffee", "car:red", ":coffee", "coffee:", "place:maker:coffee", "place:a:b"]
    monkeypatch.setattr("semanticcmc.labels.nouns.first_sense", known.get)
    assert not label_nouns(labels)["noun"].any()
    nouns = label_nouns(labels, columns=["place", "light"])["noun"]
    assert nouns.tolist() == ["", "coffee", "", "", "", "", "a:b"]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff# mine\nlabel;wnid;noun;source\nDog;n02012849;crane;\n",
        '"label"\t"wnid"\t"noun"\t"source"\n"Dog"\t"n02012849"\t"crane"\t""\n',
        "\ufefflabel, wnid, noun, source\r\nDog, n02012849, crane\r\n",
    ],
)
def test_a_table_of_ones_own_is_read_however_it_is_saved(tmp_path, text):
    (tmp_path / "mine.csv").write_text(text, encoding="utf-8", newline="")
    assert label_nouns(["Dog"], tmp_path / "mine.csv").values.tolist() == [["Dog", "n02012849", "crane", "mine.csv"]]


def test_without_wordnet_the_taxonomy_answers(monkeypatch):
    monkeypatch.setattr("semanticcmc.labels.nouns.open_wordnet", lambda: None)
    assert first_sense("Dog") == ("n02084071", "dog", "wordnet_taxonomy.csv, first sense")
    assert first_sense("Tennis Balls")[:2] == ("n04409515", "tennis ball")
    assert first_sense("Zzyzx") is None


def test_refuses_wrong_tables(tmp_path):
    with pytest.raises(InputError, match=r"label 'Dog': 'dog\.n\.01' is no wnid"):
        label_nouns([], plain_table(tmp_path / "a.csv", ("Dog", "dog.n.01", "dog", "x")))
    with pytest.raises(InputError, match=r"a\.csv: .*Dog"):
        label_nouns([], plain_table(tmp_path / "a.csv", ("Dog", "", "", "x"), ("Dog", "", "", "x")))


@pytest.mark.parametrize("own", [False, True], ids=["the package's table", "one's own table"])
def test_labels_without_a_noun_are_listed_with_their_counts(tmp_path, capsys, own):
    values = read_values("clips")[0]
    values["labels"]["path"] = "anything"
    if own:
        row = ("Xyzzy", "n02012849", "crane", "by hand")
        values["labels"]["nouns"] = str(plain_table(tmp_path / "mine.csv", row))
    (tmp_path / "experiment.yaml").write_text(yaml.safe_dump(values))
    rows = [("a", 0.0, "Dog", 90.0), ("a", 0.0, "Xyzzy", 90.0), ("a", 1.0, "Xyzzy", 90.0), ("a", 1.0, "Outdoors", 90.0)]
    times = pd.DataFrame({"movie_id": ["a"], "start_s": [0.0], "interval_s": [1.0], "count": [4]})
    labels = pd.DataFrame(rows, columns=["movie_id", "time_s", "label", "confidence"])
    write_labels(tmp_path / "labels", labels, times)
    main(["nouns", str(tmp_path / "experiment.yaml")])
    said = capsys.readouterr().err
    assert f"{1 + own} of 3 labels have a noun" in said and "labels.nouns" in said
    unmapped = pd.read_csv(tmp_path / "labels/unmapped_labels.csv")
    without = [["Xyzzy", 2, 0.5, 1], ["Outdoors", 1, 0.25, 1]]
    assert unmapped.values.tolist() == without[own:]
    nouns = pd.read_csv(tmp_path / "labels/label_nouns.csv", keep_default_na=False).set_index("label")
    wnid = "n02012849" if own else ""
    assert nouns["wnid"].to_dict() == {"Xyzzy": wnid, "Dog": "n02084071", "Outdoors": ""}
    assert load_experiment(tmp_path / "experiment.yaml").folder == tmp_path
