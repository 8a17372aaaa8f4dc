"""A folder of films in which anything may lie: it is opened within seconds, and all that is no film has its reason."""

import os
import socket
import time

import pytest
from PIL import Image

from semanticcmc.films.probe import probe
from tests.films.counter_films import constant, counter

NO_FILE = "no regular file"
NO_NAME = "its name does not end"
BAD = {  # what lies there, how it is made, and the reason
    "pipe.mkv": (os.mkfifo, NO_FILE),
    "pipe": (os.mkfifo, NO_FILE),
    "zero.mp4": (lambda path: path.symlink_to("/dev/zero"), NO_FILE),
    "random.bin": (lambda path: path.symlink_to("/dev/urandom"), NO_FILE),
    "gone.mp4": (lambda path: path.symlink_to("nowhere"), NO_FILE),
    "gone.xyz": (lambda path: path.symlink_to("nowhere"), NO_FILE),
    "all the disk": (lambda path: path.symlink_to("/"), "a link to a folder, which is not followed"),
    "itself": (lambda path: path.symlink_to("."), "a link to a folder, which is not followed"),
    "film.mp4.part": (lambda path: path.write_bytes(b"1" * 999), NO_NAME),
    "film.crdownload": (lambda path: path.write_bytes(b"1" * 999), NO_NAME),
    "film": (lambda path: path.write_bytes(b"1" * 999), NO_NAME),
    "a.dv": (lambda path: path.write_bytes(b"1" * 999), "not readable as a film"),
    "b.mpe": (lambda path: path.write_bytes(b"1" * 999), "not readable as a film"),
    "c.ogg": (lambda path: path.write_bytes(b"1" * 999), "not readable as a film"),
    "zeros.avi": (lambda path: path.write_bytes(bytes(10**6)), "not readable as a film"),
    "holes.mkv": (lambda path: (path.touch(), os.truncate(path, 2**36)), "not readable as a film"),
    "G.ts": (lambda path: path.write_bytes(b"G" * 10**6), "not readable as a film"),
    "list.mkv": (lambda path: path.write_text("ffconcat version 1.0\nfile good.mp4\n"), "not readable as a film"),
    "list.ts": (lambda path: path.write_text("#EXTM3U\n#EXTINF:4,\ngood.mp4\n"), "not readable as a film"),
    "pictures.mp4": (lambda path: path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n"), "not readable as a film"),
}
COMPANIONS = ("film.srt", "notes.txt", "cover.jpg", "list.csv", ".hidden.xyz")


def test_a_hostile_folder_is_opened_in_seconds_and_everything_is_listed(tmp_path):
    films, good = tmp_path / "films", {"good.mp4": 4.0, "linked.mp4": 4.0, "moving.gif": 4.0}
    films.mkdir()
    for name, (make, _) in BAD.items():
        make(films / name)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(films / "socket.avi"))
    constant(films / "good.mp4", 100, 25)
    constant(films / "moving.gif", 100, 25, codec="gif", pix_fmt="rgb8")
    (films / "linked.mp4").symlink_to("good.mp4")
    for name in COMPANIONS:
        (films / name).touch()
    start = time.monotonic()
    found = probe(films)
    assert time.monotonic() - start < 60
    reasons = {os.path.basename(path): problem for path, problem in zip(found.path, found.problem, strict=True)}
    assert set(reasons) == {*BAD, *good, "socket.avi"}
    assert found.movie_id.is_unique
    assert reasons.pop("socket.avi").startswith(NO_FILE)
    assert {name: reason for name, reason in reasons.items() if not reason} == dict.fromkeys(good, "")
    for name, (_, words) in BAD.items():
        assert reasons[name].startswith(words), name


def test_a_films_name_is_the_same_whatever_lies_beside_it(tmp_path):
    constant(tmp_path / "film.mp4", 100, 25)
    before = probe(tmp_path).movie_id.tolist()
    for name in ("film", "film.aaa", "film.mp4.part", "Film.part"):
        (tmp_path / name).touch()
    assert probe(tmp_path).movie_id.tolist()[:1] == before == ["film"]


@pytest.mark.parametrize("second", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), lambda path: path.mkdir()])
def test_a_folder_of_pictures_with_no_regular_file_is_named(tmp_path, second):
    for film in ("good", "odd"):
        (tmp_path / film).mkdir()
        Image.fromarray(counter(1)).save(tmp_path / film / "1.jpg")
    second(tmp_path / "odd" / "2.jpg")
    problems = probe(tmp_path, frame_folders_per_s=1).set_index("movie_id").problem
    assert problems["good"] == "" and problems["odd"].startswith("2.jpg: no regular file")
