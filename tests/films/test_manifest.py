"""The list of films: filled from a folder, what a person wrote kept, a changed film refused by name."""

import hashlib
import os
import shutil
import subprocess

import pandas as pd
import pytest

from semanticcmc.cli import main
from semanticcmc.config import InputError
from semanticcmc.films.ingest import MoviesConfig, ingest, merge
from semanticcmc.films.manifest import read_manifest, refuse_changed, remembered_sha256, title_and_year
from semanticcmc.films.probe import probe
from semanticcmc.films.store import FrameStore
from tests.films.counter_films import constant


@pytest.fixture(scope="module")
def two_films(tmp_path_factory):
    """The same picture counter at two lengths."""
    folder = tmp_path_factory.mktemp("encoded")
    for name, frames in (("a", 50), ("b", 75)):
        constant(folder / f"{name}.mp4", frames, 25)
    return folder


@pytest.fixture
def films(two_films, tmp_path):
    folder = tmp_path / "films"
    folder.mkdir()
    shutil.copy(two_films / "a.mp4", folder / "Forrest Gump (1994).mp4")
    shutil.copy(two_films / "b.mp4", folder / "007.mp4")
    return folder


def fill(films, tmp_path):
    """`make films`, and its list."""
    main(["films", str(films), "--manifest", str(tmp_path / "films.csv")])
    return read_manifest(tmp_path / "films.csv").set_index("movie_id")


def test_the_list_says_what_each_film_is(films, tmp_path, capsys):
    table = fill(films, tmp_path)
    assert table.index.tolist() == ["007", "Forrest_Gump_1994"]
    assert table["title"].tolist() == ["007", "Forrest Gump"] and table["year"].tolist() == ["", "1994"]
    assert table["source"].tolist() == ["007.mp4", "Forrest Gump (1994).mp4"]
    assert table["duration_s"].astype(float).tolist() == [3.0, 2.0] and set(table["fps"]) == {"25"}
    assert set(table["width"]) == {"96"} and set(table["height"]) == {"64"}
    if shutil.which("sha256sum"):
        said = subprocess.run(["sha256sum", films / "007.mp4"], capture_output=True, text=True, check=True).stdout
        assert table.loc["007", "sha256"] == said.split()[0]
    assert f"2 films in {tmp_path / 'films.csv'}" in capsys.readouterr().out


def test_a_folder_of_pictures_is_named_and_not_listed(films, tmp_path, capsys):
    (films / "pictures").mkdir()
    (films / "pictures" / "1.jpg").write_bytes(b"")
    assert fill(films, tmp_path).index.tolist() == ["007", "Forrest_Gump_1994"]
    assert f"pictures: a folder, which has no checksum and is not listed: {films / 'pictures'}" in (
        capsys.readouterr().err
    )


def test_what_a_person_wrote_stays(films, tmp_path, capsys):
    rows = fill(films, tmp_path).reset_index()
    rows["notes"] = ["seen twice", "NA"]
    rows.loc[0, ["title", "year", "source"]] = ["Dr. No", "1962", "British Film Institute"]
    rows.loc[2] = {"movie_id": "elsewhere", "title": "On another disk", "sha256": "0" * 64}
    rows.fillna("").to_csv(tmp_path / "films.csv", index=False)
    (films / "007.mp4").rename(films / "Dr No.mp4")
    capsys.readouterr()
    table = fill(films, tmp_path)
    assert table.loc["Dr_No", ["title", "year", "source", "notes"]].tolist() == [
        "Dr. No",
        "1962",
        "British Film Institute",
        "seen twice",
    ]
    assert table.loc["Forrest_Gump_1994", "notes"] == "NA"
    assert table.loc["elsewhere", "title"] == "On another disk" and "007" not in table.index
    said = capsys.readouterr().err
    assert "Dr_No: renamed, was 007" in said and "elsewhere: not in" in said


def test_a_changed_film_is_named_and_the_list_brought_up_to_date(films, two_films, tmp_path, capsys):
    before = fill(films, tmp_path).loc["007"]
    shutil.copy(two_films / "a.mp4", films / "007.mp4")
    with pytest.raises(InputError, match=rf"changed: sha256 [0-9a-f]{{64}}, on the list {before.sha256}.*make films"):
        refuse_changed(films / "007.mp4", "007", tmp_path / "films.csv", tmp_path / "007.json")
    capsys.readouterr()
    after = fill(films, tmp_path).loc["007"]
    assert f"007: its file has CHANGED: was {before.sha256}, is {after.sha256}" in capsys.readouterr().err
    assert after.duration_s == "2"
    refuse_changed(films / "007.mp4", "007", tmp_path / "films.csv", tmp_path / "007.json")


def test_a_film_on_no_list_or_changed_is_left_out_and_the_others_go_on(films, two_films, tmp_path):
    fill(films, tmp_path)
    shutil.copy(two_films / "a.mp4", films / "007.mp4")
    shutil.copy(two_films / "b.mp4", films / "new.mp4")
    store = tmp_path / "frames"
    config = MoviesConfig(
        folder=films,
        frame_folders_per_s=None,
        frames_per_s=1.0,
        short_side_px=64,
        jpeg_quality=90,
        crop_black_borders=False,
        manifest=tmp_path / "films.csv",
        sound=False,
        flow=None,
        shots=False,
    )
    probed = probe(films)
    for film in probed.itertuples():
        if film.movie_id == "Forrest_Gump_1994":
            ingest(film.path, film.movie_id, store, config)
        else:
            with pytest.raises(InputError):
                ingest(film.path, film.movie_id, store, config)
    table = merge(probed, store).set_index("movie_id")
    assert "its file has changed: sha256" in table.loc["007", "problem"]
    assert "'new' has no checksum in the list of films" in table.loc["new", "problem"]
    assert FrameStore(store).movies == ("Forrest_Gump_1994",)


def test_the_checksum_is_computed_once(tmp_path):
    film, memory = tmp_path / "film.mkv", tmp_path / "memory.json"
    film.write_bytes(b"x" * 1000)
    assert remembered_sha256(film, memory) == hashlib.sha256(b"x" * 1000).hexdigest()
    state = film.stat()
    film.write_bytes(b"y" * 1000)
    os.utime(film, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert remembered_sha256(film, memory) == hashlib.sha256(b"x" * 1000).hexdigest()  # not read again
    os.utime(film, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    assert remembered_sha256(film, memory) == hashlib.sha256(b"y" * 1000).hexdigest()


@pytest.mark.parametrize(
    "stem, title, year",
    [
        ("Forrest Gump (1994)", "Forrest Gump", "1994"),
        ("2001 - A Space Odyssey (1968) 1080p", "2001 - A Space Odyssey", "1968"),
        ("Le.Samouraï.[1967].x264", "Le Samouraï", "1967"),
        ("Blade_Runner_2049", "Blade Runner 2049", ""),
        ("1917", "1917", ""),
        ("(500) Days of Summer (2009)", "(500) Days of Summer", "2009"),
    ],
)
def test_title_and_year_of_a_file_name(stem, title, year):
    assert title_and_year(stem) == (title, year)


@pytest.mark.parametrize("sign", [",", ";", "\t"])
def test_a_list_is_read_however_it_is_saved(tmp_path, sign):
    """With a remark above its head, and a title that begins as one."""
    text = "\ufeff# our films\nmovie_id,title,year\na,#Alive,2020\n#b,B,\n".replace(",", sign)
    (tmp_path / "films.csv").write_text(text, encoding="utf-8", newline="\r\n")
    rows = read_manifest(tmp_path / "films.csv")[["movie_id", "title", "year"]]
    assert rows.values.tolist() == [["a", "#Alive", "2020"], ["#b", "B", ""]]


def test_refuses_wrong_lists(tmp_path):
    path = tmp_path / "films.csv"
    for content, words in (
        (b"title\nA\n", "no column movie_id"),
        (b"movie_id,title\na,A\na,B\n", "two rows of movie_id a"),
        (b"movie_id,title\na,Caf\xe9\n", "films.csv, line 2: not readable as text in UTF-8"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=words):
            read_manifest(path)
    path.write_text("movie_id,title\n007,NA\n")
    assert read_manifest(path).loc[0, ["movie_id", "title", "sha256"]].tolist() == ["007", "NA", ""]
    assert pd.api.types.is_string_dtype(read_manifest(path)["movie_id"])
