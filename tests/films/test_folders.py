"""Films as folders of pictures: the picture at each second is the one its number says; JPEGs keep their bytes."""

import io
import tarfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.io import ImageReadMode, decode_jpeg

from semanticcmc.config import InputError
from semanticcmc.films.folders import folder_state, probe_folder, read_folder
from semanticcmc.films.ingest import MoviesConfig, ingest, merge
from semanticcmc.films.probe import probe
from semanticcmc.films.store import FrameStore
from tests.films.counter_films import HEIGHT, WIDTH, constant, counter, number, on_screen


def config(**values):
    given = {
        "folder": None,
        "frame_folders_per_s": 1.0,
        "frames_per_s": 1.0,
        "short_side_px": HEIGHT,
        "jpeg_quality": 90,
        "crop_black_borders": False,
        "manifest": None,
        "sound": False,
        "flow": None,
        "shots": False,
    }
    return MoviesConfig(**given | values)


def pictures(folder, names, picture=counter):
    """The nth name's picture says n."""
    folder.mkdir(parents=True, exist_ok=True)
    for n, name in enumerate(names):
        Image.fromarray(picture(n)).save(folder / name, quality=95)
    return folder


def seen(image):
    """What a frame's counter says, whether it comes as an array or as a JPEG."""
    return number(np.asarray(Image.open(io.BytesIO(image))) if isinstance(image, bytes) else image)


def taken(folder, per_s, frames_per_s=1.0):
    return {f.time_s: seen(f.image) for f in read_folder(folder, per_s, frames_per_s, HEIGHT)}


@pytest.mark.parametrize("pattern", ["{}.png", "film 7 picture {:06d}.jpg", "{}_of_many.JPEG"])
def test_pictures_come_as_people_count(tmp_path, pattern):
    names = [pattern.format(n) for n in range(1, 13)]  # as text 10, 11, 12 come before 2
    folder = pictures(tmp_path / "film", names)
    (folder / ".hidden_3.jpg").write_bytes(b"no picture")
    (folder / "notes 99.txt").write_text("no picture")
    assert taken(folder, 1.0) == {float(t): t for t in range(12)}
    row = probe_folder(folder, 1.0)
    assert (row["duration_s"], row["fps"], row["width"], row["height"]) == (12, 1, WIDTH, HEIGHT)
    assert row["codec"] == ("png" if pattern.endswith("png") else "jpeg")


def test_without_numbers_the_order_counts(tmp_path):
    folder = pictures(tmp_path / "film", ["ant.jpg", "bee.png", "cat.jpg"])
    assert taken(folder, 0.5) == {0.0: 0, 1.0: 0, 2.0: 1, 3.0: 1, 4.0: 2, 5.0: 2}


@settings(max_examples=25, deadline=None)
@given(
    numbers=st.lists(st.integers(0, 60), min_size=1, max_size=6, unique=True).map(sorted),
    per_s=st.sampled_from([1.0, 2.5, 24000 / 1001, 25.0]),
    frames_per_s=st.sampled_from([1.0, 5.0]),
)
def test_a_missing_number_is_a_gap_in_time(tmp_path_factory, numbers, per_s, frames_per_s):
    """The frame at t is the last picture with (n - first) / rate <= t, by the definition that videos are held to."""
    folder = pictures(tmp_path_factory.mktemp("film"), [f"frame_{n}.png" for n in numbers])
    interval = 1 / Fraction(per_s).limit_denominator(1001)
    expected = on_screen(numbers, interval, Fraction(frames_per_s))
    found = taken(folder, per_s, frames_per_s)
    assert {t: found[t] for t in expected} == expected
    last_s = float((numbers[-1] - numbers[0]) * interval)
    beyond = [t for t in found if t not in expected]
    assert all(last_s < t < last_s + float(interval) and found[t] == len(numbers) - 1 for t in beyond)


def test_a_folder_gives_the_frames_of_the_video_it_was_taken_from(tmp_path):
    """All of a film's pictures as PNG, read at its rate: the same picture at each second."""
    rate = Fraction(30000, 1001)
    (tmp_path / "films").mkdir()
    constant(tmp_path / "films" / "v.mp4", 100, rate)
    pictures(tmp_path / "films" / "p", [f"{n:05d}.png" for n in range(100)])
    store, made = tmp_path / "frames", config(frame_folders_per_s=float(rate), frames_per_s=5)
    probed = probe(tmp_path / "films", 1.0, float(rate))
    assert probed["movie_id"].tolist() == ["p", "v"] and probed["problem"].tolist() == ["", ""]
    assert probed["duration_s"].tolist() == pytest.approx([100 / float(rate)] * 2, abs=0.01)
    for film in probed.itertuples():
        ingest(film.path, film.movie_id, store, made)
    merge(probed, store, 1.0)
    frames = FrameStore(store)
    assert frames.times("p").tolist() == frames.times("v").tolist()
    assert [number(frames.read("p", t)) for t in frames.times("p")] == [
        number(frames.read("v", t)) for t in frames.times("v")
    ]
    index = pd.read_parquet(store / "index.parquet").groupby("movie_id")
    assert index["frame_index"].agg(list)["p"] == index["frame_index"].agg(list)["v"]
    assert index["pts_s"].agg(list)["p"] == pytest.approx(index["pts_s"].agg(list)["v"], abs=1e-4)


# Pictures as they are stored -------------------------------------------------------------------------------


def texture(n):
    return np.random.default_rng(n).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def test_jpegs_that_need_no_change_keep_their_bytes(tmp_path):
    """Colour, grey and progressive ones; what the store reads is what torchvision and PIL make of the files."""
    folder = pictures(tmp_path / "film", ["1.jpg", "2.jpg", "3.jpg"], texture)
    Image.fromarray(texture(1)).convert("L").save(folder / "2.jpg", quality=70)
    Image.fromarray(texture(2)).save(folder / "3.jpg", quality=40, progressive=True, subsampling=0)
    ingest(folder, "film", tmp_path / "frames", config(short_side_px=HEIGHT + 1))
    merge(probe(tmp_path, 0.0, 1.0), tmp_path / "frames")
    with tarfile.open(tmp_path / "frames" / "film.tar") as tar:
        stored = [tar.extractfile(member).read() for member in tar]
    files = [(folder / f"{n}.jpg").read_bytes() for n in (1, 2, 3)]
    assert stored == files
    store = FrameStore(tmp_path / "frames")
    for second, content in enumerate(files):
        found = store.read("film", second)
        peer = decode_jpeg(torch.frombuffer(bytearray(content), dtype=torch.uint8), ImageReadMode.RGB)
        assert np.array_equal(found, peer.permute(1, 2, 0).numpy())
        pil = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
        assert np.abs(found.astype(int) - pil).max() <= 2  # two builds of libjpeg


def test_what_must_change_is_encoded_anew_as_a_viewer_sees_it(tmp_path):
    """Turned by EXIF, made smaller, CMYK: none of them keeps its bytes."""
    turned = Image.Exif()
    turned[0x0112] = 6  # to be shown turned right
    (tmp_path / "turned").mkdir()
    upright = np.rot90(counter(5), -1)
    Image.fromarray(counter(5)).save(tmp_path / "turned" / "1.jpg", exif=turned, quality=95)
    (frame,) = read_folder(tmp_path / "turned", 1.0, 1.0, HEIGHT)
    assert frame.image.shape == (WIDTH, HEIGHT, 3)
    assert np.abs(frame.image.astype(int) - upright).max() < 30
    row = probe_folder(tmp_path / "turned", 1.0)
    assert (row["width"], row["height"]) == (HEIGHT, WIDTH)

    large = pictures(tmp_path / "large", ["1.jpg"], lambda n: counter(0xABCDEF).repeat(3, 0).repeat(3, 1))
    (frame,) = read_folder(large, 1.0, 1.0, HEIGHT)
    assert frame.image.shape == (HEIGHT, WIDTH, 3) and number(frame.image) == 0xABCDEF

    (tmp_path / "print").mkdir()
    Image.fromarray(counter(9)).convert("CMYK").save(tmp_path / "print" / "1.jpg", quality=95)
    (frame,) = read_folder(tmp_path / "print", 1.0, 1.0, HEIGHT)
    assert number(frame.image) == 9


def test_black_borders_of_pictures_are_cut_off(tmp_path):
    lit = 0xF00000  # the lowest row of blocks is white in places
    letterboxed = pictures(
        tmp_path / "films" / "film",
        [f"{n}.jpg" for n in range(8)],
        lambda n: np.pad(counter(lit + n), ((16, 16), (0, 0), (0, 0))),
    )
    ingest(letterboxed, "film", tmp_path / "frames", config(crop_black_borders=True))
    films = merge(probe(tmp_path / "films", 0.0, 1.0), tmp_path / "frames")
    assert films["kept_px"].tolist() == [f"{WIDTH}x{HEIGHT}+0+16"] and films["warning"].tolist() == [""]
    store = FrameStore(tmp_path / "frames")
    assert [number(store.read("film", t)) - lit for t in range(8)] == list(range(8))


# Which folders are films, and what is wrong with one ---------------------------------------------------------


def test_folders_of_pictures_without_a_video_are_films(tmp_path):
    for folder in (
        "Film v1.5",
        "b/Film 10",
        "b/Film 2",
        ".thumbnails",
        "with video",
        "with video/stills",
        "above video",
        "empty",
    ):
        pictures(tmp_path / folder, [] if folder == "empty" else ["1.jpg"])
    pictures(tmp_path, ["loose.jpg"])
    (tmp_path / "empty" / "text.txt").write_text("only text")
    constant(tmp_path / "with video" / "a film.mp4", 30, 25)
    (tmp_path / "above video" / "disc").mkdir()
    constant(tmp_path / "above video" / "disc" / "part.mp4", 30, 25)
    films = probe(tmp_path, 0.0, 1.0)
    assert films["movie_id"].tolist() == ["Film_v1.5", "part", "Film_2", "Film_10", "a_film"]
    refused = probe(tmp_path).set_index("movie_id")["problem"]
    assert refused[["part", "a_film"]].tolist() == ["", ""]
    assert all("movies.frame_folders_per_s" in refused[name] for name in ("Film_v1.5", "Film_2", "Film_10"))


def _png(path, image):
    image.save(path)


@pytest.mark.parametrize(
    "bad, words",
    [
        (lambda f: (f / "f2.jpg").write_text("text"), "f2.jpg is no JPEG or PNG"),
        (lambda f: (f / "f2.jpg").write_bytes((f / "f1.jpg").read_bytes()[:-400]), "f2.jpg cannot be read"),
        (lambda f: (f / "f2.jpg").write_bytes(b""), "f2.jpg is no JPEG or PNG"),
        (lambda f: _png(f / "f2.png", Image.new("RGB", (50, 40))), "f2.png has 50 x 40 px, f1.jpg has 96 x 64"),
        (lambda f: _png(f / "f2.png", Image.new("I;16", (WIDTH, HEIGHT))), "f2.png has 16 bits"),
        (lambda f: _png(f / "f01.png", Image.new("RGB", (WIDTH, HEIGHT))), "f01.png.*f1.jpg have the same number"),
        (lambda f: _png(f / "cover.png", Image.new("RGB", (9, 9))), "cover.png is not named like f1.jpg"),
        (lambda f: [p.rename(f / f"s{p.stem[1:]}_{p.stem[1:]}.jpg") for p in list(f.iterdir())], "2 numbers"),
    ],
)
def test_a_bad_picture_is_named_and_its_film_left_out(tmp_path, bad, words):
    folder = pictures(tmp_path / "film", ["f1.jpg", "f3.jpg"])
    bad(folder)
    with pytest.raises(InputError, match=words):
        ingest(folder, "film", tmp_path / "frames", config())
    assert sorted(p.name for p in (tmp_path / "frames").iterdir()) == ["film.problem.json"]


def test_what_the_rate_may_be():
    for rate in (0.0, -1.0, 1001.0):
        with pytest.raises(ValueError, match="frame_folders_per_s"):
            config(frame_folders_per_s=rate)
    assert config(frame_folders_per_s=None).frame_folders_per_s is None


def test_a_list_of_films_has_no_checksum_of_a_folder(tmp_path):
    folder = pictures(tmp_path / "film", ["1.jpg"])
    with pytest.raises(InputError, match="movies.manifest to null"):
        ingest(folder, "film", tmp_path / "frames", config(manifest=Path("films.csv")))


def test_a_finished_folder_is_read_again_only_when_it_changed(tmp_path, monkeypatch):
    folder = pictures(tmp_path / "film", [f"{n}.jpg" for n in range(3)])
    store, reads = tmp_path / "frames", []

    def ingested(**values):
        before = folder_state(folder, 1.0)
        monkeypatch.setattr("semanticcmc.films.ingest.read_folder", lambda *a: reads.append(a) or read_folder(*a))
        ingest(folder, "film", store, config(**values))
        assert folder_state(folder, 1.0) == before
        return len(reads)

    assert ingested() == 1
    assert ingested() == 1
    Image.fromarray(counter(77)).save(folder / "1.jpg", quality=95)  # the same name, exchanged
    assert ingested() == 2
    (folder / "2.jpg").unlink()
    assert ingested() == 3
    assert ingested(frame_folders_per_s=0.5) == 4
    assert len(pd.read_parquet(store / "film.parquet")) == 4
