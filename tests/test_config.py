import dataclasses
from typing import Literal

import pytest

from semanticcmc.config import InputError, configure


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
