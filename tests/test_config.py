import dataclasses
from typing import Annotated, Literal

import pytest

from semanticcmc.config import DISTINCT, RISING, SOME, Count, InputError, Positive, Section, Share, configure


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
