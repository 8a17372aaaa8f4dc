"""Folders of films become a store of frames; broken films are named and left out, and the others go on."""

import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
from av.video.frame import PictureType

from semanticcmc.cli import main
from semanticcmc.config import InputError
from semanticcmc.films import ingest as movies
from semanticcmc.films import video
from semanticcmc.films.ingest import MoviesConfig, ingest, merge
from semanticcmc.films.probe import probe
from semanticcmc.films.store import FrameStore
from tests.films.counter_films import HEIGHT, WIDTH, constant, counter, damaged, film, number


def config(**values):
    return MoviesConfig(
        **{
            "folder": None,
            "frame_folders_per_s": None,
            "frames_per_s": 1.0,
            "short_side_px": 64,
            "jpeg_quality": 90,
            "crop_black_borders": False,
            "manifest": None,
            "sound": False,
            "flow": None,
            "shots": False,
        }
        | values
    )


# Probing ---------------------------------------------------------------------------------------------------


def sound(path):
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=16000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        for i in range(100):
            frame.pts = 1024 * i
            out.mux(stream.encode(frame))
        out.mux(stream.encode())


def cut(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Films of 10 s, and all that can be wrong with one."""
    folder = tmp_path_factory.mktemp("films")
    constant(folder / "good 2.mp4", 250, 25)
    for name in ("good 10.mkv", "short.mp4"):
        constant(folder / name, 250 if "good" in name else 50, 25)
    (folder / "text.mp4").write_text("no film at all\n" * 100)
    (folder / "empty.mp4").write_bytes(b"")
    sound(folder / "sound.mp4")
    constant(folder / "cut.mp4", 250, 25)
    cut(folder / "cut.mp4", 0.5)
    constant(folder / "cut_index_first.mp4", 250, 25, container={"movflags": "faststart"})
    cut(folder / "cut_index_first.mp4", 0.6)
    constant(folder / "cut.mkv", 250, 25)
    cut(folder / "cut.mkv", 0.6)
    (folder / "notes.txt").write_text("not a film, and not named like one")
    (folder / "._good 2.mp4").write_bytes(b"what a Mac leaves behind")
    return folder


def test_probe_names_every_film_that_cannot_be_used(folder):
    films = probe(folder, longest_lag_s=5.0)
    assert len(films) == 9
    by_name = films.set_index(films["path"].map(lambda p: Path(p).name))
    assert set(films.loc[films["problem"] == "", "movie_id"]) == {"good_2", "good_10"}
    problems = {
        "text.mp4": "not readable",
        "empty.mp4": "not readable",
        "cut.mp4": "not readable",
        "sound.mp4": "no pictures in it, only audio",
        "cut_index_first.mp4": "truncated",
        "cut.mkv": "truncated",
        "short.mp4": "2 s long, not longer than the longest lag, 5 s",
    }
    for name, words in problems.items():
        assert words in by_name.loc[name, "problem"], name
    good = by_name.loc["good 2.mp4"]
    assert (good.duration_s, good.fps, good.width, good.height, good.codec) == (10, 25, WIDTH, HEIGHT, "h264")


def test_films_come_in_natural_order_with_safe_unique_names(tmp_path):
    for name in ("b/Film 10.mp4", "b/Film 2.mp4", "a/film 2.mov", "a/Été à la plage.MP4", "index.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        constant(tmp_path / name, 30, 25)
    films = probe(tmp_path)
    assert films["movie_id"].tolist() == ["film_2", "Été_à_la_plage", "Film_2_2", "Film_10", "index_2"]
    assert films["movie_id"].str.casefold().is_unique


def test_probe_stops_only_if_no_film_is_left(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        probe(tmp_path / "absent")
    with pytest.raises(InputError, match="no file ends in"):
        probe(tmp_path)
    (tmp_path / "a.mp4").write_text("text")
    with pytest.raises(InputError, match=r"no film can be used(.|\n)*a\.mp4: not readable"):
        probe(tmp_path)
    with pytest.raises(InputError, match="FILMS="):
        probe(None)


# Ingest ----------------------------------------------------------------------------------------------------


def test_a_finished_film_is_not_decoded_again(tmp_path, monkeypatch):
    path, calls = constant(tmp_path / "film.mp4", 100, 25), []

    def watched(*arguments):
        calls.append(arguments)
        return video.decode(*arguments)

    monkeypatch.setattr(movies, "decode", watched)
    store = tmp_path / "frames"
    ingest(path, "film", store, config())
    first = (store / "film.tar").read_bytes()
    ingest(path, "film", store, config())
    assert len(calls) == 1
    (store / "film.tar").write_bytes(first[:-1])
    ingest(path, "film", store, config())
    assert len(calls) == 2 and (store / "film.tar").read_bytes() == first
    ingest(path, "film", store, config(frames_per_s=5))
    assert len(calls) == 3
    constant(path, 125, 25)
    ingest(path, "film", store, config(frames_per_s=5))
    assert len(calls) == 4 and len(pd.read_parquet(store / "film.parquet")) == 25


def test_from_folder_to_store(folder, tmp_path, capsys):
    """One film breaks between probing and decoding; it is listed, and the others go on."""
    films = tmp_path / "films"
    shutil.copytree(folder, films)
    constant(films / "breaks.mp4", 250, 25, container={"movflags": "faststart"})
    probed = probe(films, longest_lag_s=5)
    cut(films / "breaks.mp4", 0.6)
    store = tmp_path / "frames"
    for row in probed[probed["problem"] == ""].itertuples():
        if row.movie_id == "breaks":
            with pytest.raises(InputError, match=r"breaks\.mp4: "):
                ingest(row.path, row.movie_id, store, config())
        else:
            ingest(row.path, row.movie_id, store, config())
    assert (store / "breaks.problem.json").exists() and not (store / "breaks.tar").exists()
    table = merge(probed, store, longest_lag_s=5).set_index("movie_id")
    written = pd.read_csv(
        store / "films.csv", index_col="movie_id", keep_default_na=False, na_values={"duration_s": [""]}
    )
    pd.testing.assert_frame_equal(written, table, check_dtype=False)
    assert table.index[table["problem"] == ""].tolist() == ["good_2", "good_10"]
    assert len(table) == 10 and table.loc["good_2", "frames"] == 10
    stored = FrameStore(store)
    assert stored.movies == ("good_10", "good_2")
    assert [number(stored.read("good_2", t)) for t in range(10)] == [25 * t for t in range(10)]


def test_borders_and_damage_are_told(tmp_path, capsys):
    """What was cut off and what was lost stands in films.csv; the film is used all the same."""

    lit = 0xF00000  # the lowest row of blocks is white in places, or it could be a border

    def letterboxed(i):
        return np.pad(counter(lit + i), ((16, 16), (0, 0), (0, 0)))

    options = {"x264-params": "bframes=3:b-adapt=0:b-pyramid=none:keyint=25:scenecut=0"}
    (tmp_path / "films").mkdir()
    path = film(tmp_path / "films" / "film.mp4", range(250), Fraction(1, 25), options=options, picture=letterboxed)
    with av.open(str(path)) as container:
        kinds = [frame.pict_type for frame in container.decode(video=0)]
    damaged(path, [next(i for i, kind in enumerate(kinds) if kind == PictureType.B and i > 20 and i % 5 == 0)])
    store = tmp_path / "frames"
    ingest(path, "film", store, config(frames_per_s=5, crop_black_borders=True))
    films = merge(probe(tmp_path / "films"), store)
    assert films["problem"].tolist() == [""] and films["frames"].tolist() == [50]
    assert films["kept_px"].tolist() == [f"{WIDTH}x{HEIGHT}+0+16"]
    assert films["warning"].tolist() == ["1 of 250 pictures are damaged; the one before stays on screen"]
    stored = FrameStore(store)
    assert number(stored.read("film", 8.0)) == lit + 200 and stored.read("film", 8.0).shape == (HEIGHT, WIDTH, 3)
    movies._summary(films)
    assert "WARNING: film: 1 of 250" in capsys.readouterr().err


def test_command_line(folder, tmp_path, capsys):
    experiment = tmp_path / "experiment.yaml"
    experiment.write_text(
        "name: films\ntitle: Films\nsource: films\nlags_s: [1, 5]\nbaselines: [random]\n"
        "seeds: [0]\nprimary_layer: fc7\n"
        f"movies: {{folder: '{folder}', frame_folders_per_s: null, frames_per_s: 1, short_side_px: 64, "
        "jpeg_quality: 90, crop_black_borders: true, manifest: null, sound: false, "
        "flow: null, shots: false}\n"
    )
    assert main(["merge", str(experiment)]) == 2 and "error:" in capsys.readouterr().err
    main(["probe", str(experiment)])
    assert "2 of 9 films can be used" in capsys.readouterr().err
    for movie_id in ("good_2", "good_10", "cut"):  # the last fails, and does not stop the others
        main(["ingest", str(experiment), movie_id])
    assert "LEFT OUT of every lag" in capsys.readouterr().err
    main(["merge", str(experiment)])
    said = capsys.readouterr().err
    assert "2 of 9 films can be used" in said and "LEFT OUT of every lag: text" in said
    assert len(FrameStore(tmp_path / "frames")) == 20
    assert main(["ingest", str(experiment), "absent"]) == 2


@pytest.mark.parametrize(
    "values, words",
    [({"frames_per_s": 0.0}, "frames_per_s"), ({"short_side_px": 4}, "short_side"), ({"jpeg_quality": 96}, "quality")],
)
def test_refuses_settings_out_of_range(values, words):
    with pytest.raises(ValueError, match=words):
        config(**values)
