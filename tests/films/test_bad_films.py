"""A folder with all that can be wrong: good films finish, bad ones have their reason, the poster counts them."""

import contextlib
import io
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from fractions import Fraction

import av
import numpy as np
import pandas as pd
import pytest
import yaml
from papers.build import poster as variables

from semanticcmc import workflow
from semanticcmc.cli import main
from semanticcmc.experiment import load_experiment, read_values
from semanticcmc.films.store import FrameStore
from semanticcmc.study import Study
from tests.films.counter_films import HEIGHT, WIDTH, constant, counter, number


class Pipe(io.RawIOBase):
    """Where nothing can be written twice, so that no duration gets into a file's head."""

    def __init__(self, file):
        self.file = file

    def writable(self):
        return True

    def seekable(self):
        return False

    def write(self, content):
        return self.file.write(content)


def streamed(path, n):
    """A film of n pictures, 25 a second, as a live stream is saved: it states no duration."""
    with path.open("wb") as file, av.open(Pipe(file), "w", format="matroska") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for i in range(n):
            frame = av.VideoFrame.from_ndarray(counter(i), format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())


def sound(path):
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=16000, layout="mono")
        for i in range(50):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, 1024 * i
            out.mux(stream.encode(frame))
        out.mux(stream.encode())


def experiment(folder, films):
    """The YAML of films of one's own, small and without borders."""
    values = read_values("clips")[0]
    values |= {"name": "films", "lags_s": [1, 5]}
    values["movies"] |= {"folder": str(films), "short_side_px": 64, "crop_black_borders": False}
    file = folder / "experiment.yaml"
    file.write_text(yaml.safe_dump(values))
    return file


GOOD = {
    "a/film.mp4": "film",
    "b/film.mp4": "film_2",
    "b/NA.mp4": "NA",
    "b/Été à la mer (1994).mp4": "Été_à_la_mer_1994",
    "live.mkv": "live",
}
BAD = {
    "a/empty.mp4": "not readable as a film",
    "a/text renamed.mp4": "not readable as a film",
    "a/sound only.mp4": "no pictures in it, only audio",
    "b/cut.mp4": "truncated",
    "b/cut live.mkv": "3.6 s long, not longer than the longest lag",
    "raw.h264": "no presentation times; put it into another container",
    "pictures": "movies.frame_folders_per_s",
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The commands of the workflow, run on such a folder: the experiment and what was said."""
    folder = tmp_path_factory.mktemp("films and more")
    films = folder / "my films"
    for name in ("a", "b", "pictures"):
        (films / name).mkdir(parents=True)
    first = 0
    for name in GOOD:
        if name != "live.mkv":
            constant(films / name, 250, 25, picture=lambda i, first=first: counter(first + i))
            first += 1000
    streamed(films / "live.mkv", 250)
    (films / "a/empty.mp4").write_bytes(b"")
    (films / "a/text renamed.mp4").write_text("no film at all\n" * 100)
    sound(films / "a/sound only.mp4")
    whole = constant(folder / "whole.mp4", 250, 25, container={"movflags": "faststart"}).read_bytes()
    (films / "b/cut.mp4").write_bytes(whole[: int(0.6 * len(whole))])
    streamed(films / "b/cut live.mkv", 90)  # nothing tells that such a film is cut, only that it is too short
    constant(films / "raw.h264", 250, 25)
    shutil.copy("/dev/null", films / "pictures/1.jpg")
    file, said = experiment(folder, films), io.StringIO()
    with contextlib.redirect_stderr(said):
        main(["probe", str(file)])
        probed = pd.read_csv(folder / "frames/probe.csv", dtype=str, keep_default_na=False)
        for movie_id in probed.movie_id[probed.problem == ""]:  # as the rule `ingested` does
            main(["ingest", str(file), movie_id, "--threads", "1"])
        main(["merge", str(file)])
    return load_experiment(file), said.getvalue()


def test_the_good_ones_finish_and_each_bad_one_has_its_reason(finished):
    experiment, said = finished
    films = pd.read_csv(experiment.folder / "frames/films.csv", keep_default_na=False)
    names = [*GOOD, *BAD]
    assert len(films) == len(names) and films.movie_id.str.casefold().is_unique
    assert sorted(films.source) == sorted(name.split("/")[-1] for name in names)
    good = films[films.problem == ""]
    assert sorted(good.movie_id) == sorted(GOOD.values())
    assert good.frames.tolist() == [10] * len(GOOD)
    assert good.duration_s.astype(float).tolist() == pytest.approx([10.0] * len(GOOD))
    for name, words in BAD.items():
        row = films[films.source == name.split("/")[-1]].iloc[0]
        assert words in row.problem and row.frames == 0, name
        assert f"LEFT OUT of every lag: {row.movie_id}: {row.problem}" in said
    assert f"{len(GOOD)} of {len(names)} films can be used, 50 s" in said


def test_films_of_one_name_keep_their_own_pictures(finished):
    store = FrameStore(finished[0].folder / "frames")
    for first, (name, movie_id) in zip(range(0, 10_000, 1000), GOOD.items(), strict=False):
        start = 0 if name == "live.mkv" else first
        assert [number(store.read(movie_id, t)) for t in range(10)] == [start + 25 * t for t in range(10)]


def test_the_poster_and_the_summary_say_how_many_are_left_out(finished, capsys):
    """From films.csv through what notebook 01 counts to the poster's sentence."""
    experiment, _ = finished
    Study(experiment, write=True).dataset()
    (experiment.folder / "tables/timescales.csv").write_text("measure,level,lag_s,value,null_high\n")
    (experiment.folder / "tables/half_lives.csv").write_text(
        "measure,level,half_strength_s,half_strength_low_s,half_strength_high_s\n"
    )
    dataset = variables.dataset(experiment)
    assert (dataset["films"], dataset["frames"], dataset["films left out"]) == (len(GOOD), 50, len(BAD))
    assert dataset["hours"] == pytest.approx(50 / 3600)
    assert "Seven films could not be used, at any lag." in variables.data(experiment, dataset)["labels"]
    assert len(BAD) == 7
    workflow._say_where(experiment)
    assert "LEFT OUT   7 films could not be used" in capsys.readouterr().out


CHILD = """
import os, sys
from semanticcmc.cli import main
from semanticcmc.films import ingest, probe  # before this process may no longer read them
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
file = sys.argv[1]
main(["probe", file])
for movie_id in ("good", "later"):
    if movie_id == "later":
        os.chmod(sys.argv[2], 0)
    main(["ingest", file, movie_id, "--threads", "1"])
main(["merge", file])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX permissions")
def test_what_may_not_be_read_is_named():
    """A film, a folder, and a film that is locked after it was opened first; as a user whom permissions bind."""
    with tempfile.TemporaryDirectory() as place:  # pytest's own folders are closed to other users
        folder = pathlib.Path(place)
        films = folder / "films"
        (films / "closed folder").mkdir(parents=True)
        for name in ("good", "locked", "later"):
            constant(films / f"{name}.mp4", 250, 25)
        file = experiment(folder, films)
        if os.geteuid() == 0:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, 65534, 65534)
        (films / "locked.mp4").chmod(0)
        (films / "closed folder").chmod(0)
        command = [sys.executable, "-c", CHILD, str(file), str(films / "later.mp4")]
        done = subprocess.run(command, capture_output=True, text=True)
        (films / "closed folder").chmod(0o700)
        if "ModuleNotFoundError" in done.stderr:
            pytest.skip("the other user cannot read Python's packages, of which some are imported late")
        assert done.returncode == 0, done.stderr
        problems = pd.read_csv(folder / "frames/films.csv", keep_default_na=False).set_index("movie_id").problem
        assert problems.to_dict() == {
            "good": "",
            "closed_folder": "not readable as a film: Permission denied",
            "locked": "not readable as a film: Permission denied",
            "later": "not readable as a film: Permission denied",
        }
        assert "1 of 4 films can be used" in done.stderr and len(FrameStore(folder / "frames")) == 10
