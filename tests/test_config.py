import dataclasses
import os
from typing import Annotated, Literal

import pytest

from semanticcmc.config import (
    DISTINCT,
    RISING,
    SOME,
    Count,
    InputError,
    Positive,
    Section,
    Share,
    configure,
    read_text_table,
)


@dataclasses.dataclass(frozen=True)
class Config:
    steps: int
    rate: float
    name: Literal["a", "b"]
    sizes: tuple[int, ...]
    span_s: tuple[float, float]
    folder: str | None

    def __post_init__(self):
        if self.steps < 1:
            raise ValueError(f"steps {self.steps}: at least 1")


GOOD = {"steps": 3, "rate": 1, "name": "a", "sizes": [1, 2], "span_s": [1, 2.5], "folder": None}


def test_values_arrive_with_their_types():
    config = configure(Config, GOOD, "x.yaml")
    assert config == Config(3, 1.0, "a", (1, 2), (1.0, 2.5), None)
    assert isinstance(config.rate, float)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"stepz": 1}, ["x.yaml", "stepz", "steps"]),
        ({"steps": "three"}, ["x.yaml", "steps", "whole number", "three"]),
        ({"steps": True}, ["steps", "True"]),
        ({"steps": 2.5}, ["steps", "2.5"]),
        ({"steps": 0}, ["x.yaml", "steps 0", "at least 1"]),
        ({"name": "c"}, ["name", "a, b", "c"]),
        ({"sizes": 4}, ["sizes", "list", "4"]),
        ({"sizes": [1, "x"]}, ["sizes", "'x'"]),
        ({"span_s": [1]}, ["span_s", "2 values"]),
        ({"folder": 3}, ["folder", "3", "nothing"]),
    ],
)
def test_a_wrong_value_is_refused_with_file_value_and_remedy(change, words):
    with pytest.raises(InputError) as error:
        configure(Config, GOOD | change, "x.yaml")
    for word in words:
        assert word in str(error.value)


def test_a_missing_key_and_a_section_that_is_no_mapping_are_refused():
    with pytest.raises(InputError, match="missing key rate"):
        configure(Config, {key: value for key, value in GOOD.items() if key != "rate"}, "x.yaml")
    with pytest.raises(InputError, match="expected a section"):
        configure(Config, None, "x.yaml")


@dataclasses.dataclass(frozen=True)
class Ruled(Section):
    count: Count | None
    share: Share
    seeds: Annotated[tuple[int, ...], SOME, DISTINCT]
    span_s: Annotated[tuple[Positive, Positive], RISING]
    sizes: tuple[Count, ...] | None

    def __post_init__(self):
        super().__post_init__()
        if self.count == 7:
            raise ValueError("count 7: of all numbers")


WITHIN = {"count": None, "share": 0.0, "seeds": (0, 1), "span_s": (1.0, 1.0), "sizes": (1, 2)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": 0}, "count 0: expected 1 or more, or null"),
        ({"count": 7}, "count 7: of all numbers"),
        ({"share": 1.1}, "share 1.1: expected 0 to 1"),
        ({"share": float("nan")}, "share nan: expected 0 to 1"),
        ({"seeds": ()}, r"seeds \[\]: expected at least one value"),
        ({"seeds": (1, 2, 1)}, r"seeds \[1, 2, 1\]: expected no duplicate value"),
        ({"span_s": (2.0, 1.0)}, r"span_s \[2.0, 1.0\]: expected rising values"),
        ({"span_s": (1.0, float("inf"))}, "span_s inf: expected above 0"),
        ({"sizes": (3, 0)}, "sizes 0: expected 1 or more, or null"),
    ],
)
def test_values_that_break_a_rule_are_refused_however_a_section_is_made(change, message):
    given = Ruled(**WITHIN)
    with pytest.raises(InputError, match=f"x.yaml: {message}"):
        configure(Ruled, WITHIN | change, "x.yaml")
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(given, **change)


def test_a_long_value_is_not_all_in_the_message():
    with pytest.raises(InputError, match=r"x.yaml, steps: expected a whole number, found \[0, 1, .*\.\.\.$") as error:
        configure(Config, GOOD | {"steps": list(range(100_000))}, "x.yaml")
    assert len(str(error.value)) < 300


PLAIN = "wnid,category,note\nn1,animal,\nn2,a thing,x\n"
ROWS = [["n1", "animal", ""], ["n2", "a thing", "x"]]


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        "\ufeff" + PLAIN,
        "\ufeff# made by hand\n#, and more\n" + PLAIN,
        "\n# above\n\n" + PLAIN.replace("n2", "# between; it, has\nn2"),
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        "\ufeff" + PLAIN.replace(",", ";").replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        '"wnid","category","note"\n"n1","animal",""\n"n2","a thing","x"\n',
        '"wnid";"category";"note"\r\n"n1";"animal";\r\nn2;"a thing";x\r\n',
        "\ufeff# x\n" + '"wnid", "category", "note"\n"n1", "animal"\n"n2", "a thing", "x"\n',
        "wnid , category , note \nn1 , animal , \nn2 , a thing , x \n",
        PLAIN.replace("\n", ",\n"),  # as a spreadsheet with an empty column
        PLAIN.replace("\n", ",,,\n"),
        PLAIN + "\n\n",
        PLAIN.removesuffix("\n"),
    ],
)
def test_tables_of_people_are_read_however_they_are_saved(tmp_path, text):
    (tmp_path / "a.csv").write_text(text, encoding="utf-8", newline="")
    table = read_text_table(tmp_path / "a.csv", ("wnid", "category"), "wnid")
    assert list(table) == ["wnid", "category", "note"] and table.values.tolist() == ROWS


def test_what_stands_in_quotes_stays(tmp_path):
    (tmp_path / "a.csv").write_text('key;text\n"a;b";"say ""x"""\nNA;"#1; 1,5"\nnull;"two\nlines"\n"";5" disc\n')
    rows = read_text_table(tmp_path / "a.csv", ("key",), "key").values.tolist()
    assert rows == [["a;b", 'say "x"'], ["NA", "#1; 1,5"], ["null", "two\nlines"], ["", '5" disc']]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            b"wnid,category\nn1,animal,big\n",
            r"line 2: not readable .*3 values for 2 columns; put text with ',' in quotes",
        ),
        (b"# x\nwnid;category\nn1;a\nn2;b;c\n", "line 4: .*3 values for 2 columns; put text with ';' in quotes"),
        (b'wnid,category\nn1,"animal\n', "line 2: not readable as a CSV table .unexpected end of data"),
        (b'wnid,category\nn1,"an"imal\n', "line 2: not readable as a CSV table"),
        (b"wnid,category,category\nn1,a,b\n", "two columns of one name in wnid, category, category"),
        (b"wnid|category\nn1|a\n", r"no column wnid, category; found wnid\|category"),
        (b"n1,animal\n", "no column wnid, category; found n1, animal"),
        (b"# nothing else\n", "no column wnid, category"),
        (b"", "no column wnid, category"),
        (b"wnid,category\nn1,a\n n1 ,b\n", "two rows of wnid n1"),
        (b"wnid,category\nn1,caf\xe9\n", "line 2: not readable as text in UTF-8 .*; save it as UTF-8"),
        ("wnid\tcategory\nn1\ta\n".encode("utf-16"), "line 1: not readable as text in UTF-8 .*; save it as UTF-8"),
    ],
)
def test_a_table_that_is_none_is_refused_with_line_and_remedy(tmp_path, content, words):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(InputError, match=rf"a\.csv\b.*{words}"):
        read_text_table(tmp_path / "a.csv", ("wnid", "category"), "wnid")


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.csv")
    (tmp_path / "b.csv").mkdir()
    for name in ("a.csv", "b.csv"):
        with pytest.raises(InputError, match=rf"{name}: no regular file"):
            read_text_table(tmp_path / name, (), "wnid")
    with pytest.raises(InputError, match=r"c\.csv: not readable: No such file"):
        read_text_table(tmp_path / "c.csv", (), "wnid")
