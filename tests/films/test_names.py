"""Names of films: any byte that a file system takes; one odd name, and the others all the same."""

import os
import re

import hypothesis
import numpy as np
import pandas as pd
from hypothesis import strategies as st
from PIL import Image

from semanticcmc.films.files import Frame, movie_id_of, write_film
from semanticcmc.films.probe import probe
from semanticcmc.run import write_csv

ODD = ["é" * 120, "a" * 226, "wow" + "o" * 40, "ab" * 60, "-n", "$(touch pwned)", "a'b\"c", "{x}", "%s", "Fargo (1996)"]
NOT_LISTED = [b"caf\xe9", b"two\rlines", b"two\nlines", b"tab\t", b"bell\x07"]


@hypothesis.given(st.text(max_size=300))
def test_an_id_is_safe_short_and_its_own_id(name):
    movie_id = movie_id_of(name)
    assert movie_id == movie_id_of(movie_id)
    assert 0 < len(movie_id.encode()) <= 150
    assert movie_id.isprintable() and not set(movie_id) & set("/\\ $`'\"{}*?")
    assert movie_id[0] not in ".-"
    assert not re.search(r"(.+)\1{9}$", movie_id)  # what Snakemake takes for a rule that feeds itself has 20


def test_names_that_differ_at_their_end_alone_keep_apart():
    assert len({movie_id_of("a" * 200 + end) for end in "bcd"}) == 3
    assert movie_id_of("Fargo (1996)") == "Fargo_1996"


def test_one_odd_name_never_stops_the_folder(tmp_path):
    for name in [*(name.encode() for name in ODD), *NOT_LISTED]:
        folder = os.path.join(os.fsencode(tmp_path), b"films", name)
        os.makedirs(folder)
        Image.new("RGB", (16, 16)).save(os.path.join(os.fsdecode(folder), "1.png"))
    films = probe(tmp_path / "films", frame_folders_per_s=1)
    write_csv(tmp_path / "probe.csv", films)
    read = pd.read_csv(tmp_path / "probe.csv", dtype=str, keep_default_na=False)
    assert list(read.path) == list(films.path) and read.movie_id.is_unique
    usable = read[read.problem == ""]
    assert {os.path.basename(path) for path in usable.path} == set(ODD)
    assert (
        len(read) - len(usable) == len(NOT_LISTED) and read.problem[read.problem != ""].str.endswith("rename it").all()
    )
    frame = Frame(0.0, 0.0, 0, np.zeros((8, 8, 3), np.uint8))
    for movie_id in usable.movie_id:
        assert write_film(tmp_path, movie_id, [frame], 90).is_file()
