"""Films with a burnt-in counter: every frame of the grid is the one on screen then; broken films are named."""

import shutil
import struct
import subprocess
from bisect import bisect_right
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
from av.video.frame import PictureType
from PIL import Image

from semanticcmc import movies, video
from semanticcmc.configuration import InputError
from semanticcmc.frames import FrameStore
from semanticcmc.movies import MoviesConfig, ingest, merge
from semanticcmc.probing import probe
from semanticcmc.video import decode

WIDTH, HEIGHT, BLOCK = 96, 64, 16
CLIPS = Path(__file__).parents[2] / "shared" / "data" / "clips"


def config(**values):
    return MoviesConfig(
        **({"folder": None, "frames_per_s": 1.0, "short_side_px": 64, "jpeg_quality": 90} | values)
    )


def counter(number):
    """A picture that says its number in 24 black and white blocks."""
    bits = (number >> np.arange(24)) & 1
    blocks = np.kron(bits.reshape(HEIGHT // BLOCK, WIDTH // BLOCK), np.ones((BLOCK, BLOCK)))
    return np.repeat((40 + 170 * blocks).astype(np.uint8)[..., None], 3, axis=2)


def number(image):
    """What `counter` wrote, from the middles of the blocks."""
    middles = image[BLOCK // 2 :: BLOCK, BLOCK // 2 :: BLOCK].mean(axis=2)
    return int(((middles.ravel() > 125) << np.arange(24)).sum())


def film(path, pts, time_base, codec="libx264", options=None, container=None, aspect=None):
    """Encode counters, shown from `pts` (in units of `time_base`)."""
    with av.open(str(path), "w", options=container or {}) as out:
        stream = out.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.time_base = stream.time_base = time_base
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        for i, at in enumerate(pts):
            frame = av.VideoFrame.from_ndarray(counter(i), format="rgb24")
            frame.pts, frame.time_base = at, time_base
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def constant(path, n, rate, **keywords):
    rate = Fraction(rate)
    return film(path, [i * rate.denominator for i in range(n)], Fraction(1, rate.numerator), **keywords)


def on_screen(pts, time_base, frames_per_s):
    """Second of the grid -> number of the picture then, by the definition; the last one stays for its step."""
    seconds = [Fraction(p - pts[0]) * time_base for p in pts]
    grid = {Fraction(k) / frames_per_s for k in range(int(seconds[-1] * frames_per_s) + 1)}
    return {float(t): bisect_right(seconds, t) - 1 for t in sorted(grid)}


def decoded(path, frames_per_s=1.0):
    frames = list(decode(path, frames_per_s, 64))
    assert [f.time_s for f in frames] == sorted(f.time_s for f in frames)
    assert [number(f.image) for f in frames] == [f.frame_index for f in frames]
    return {f.time_s: number(f.image) for f in frames}


B_FRAMES = {"bf": "3", "b_adapt": "0", "x264-params": "b-adapt=0", "g": "250"}


RATES = {"23.976": Fraction(24000, 1001), "25": Fraction(25), "29.97": Fraction(30000, 1001)}


@pytest.mark.parametrize("rate", RATES.values(), ids=RATES)
@pytest.mark.parametrize("frames_per_s", [1, 5])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_every_frame_is_the_one_on_screen(tmp_path, rate, frames_per_s, suffix):
    path = constant(tmp_path / f"film{suffix}", 290, rate, options=B_FRAMES)
    with av.open(str(path)) as container:
        kinds = {int(frame.pict_type) for frame in container.decode(video=0)}
    assert int(PictureType.B) in kinds  # or the test would not see frames taken in decoding order
    expected = on_screen(
        [i * rate.denominator for i in range(290)], Fraction(1, rate.numerator), frames_per_s
    )
    if suffix == ".mkv":  # Matroska rounds to milliseconds, so that a frame may come just after its second
        milliseconds = [round(i * 1000 / rate) for i in range(290)]
        expected = on_screen(milliseconds, Fraction(1, 1000), frames_per_s)
    assert decoded(path, frames_per_s) == expected


@pytest.mark.parametrize(
    "suffix, codec, offset",
    [(".mp4", "libx264", 0), (".mkv", "libx264", 5000), (".webm", "libvpx", 0), (".ts", "libx264", 7777)],
)
def test_variable_rate_and_start_offset(tmp_path, suffix, codec, offset):
    times = ([20, 33, 40, 41, 250, 700, 2300], [0.2, 0.2, 0.2, 0.2, 0.1, 0.06, 0.04])
    steps = np.random.default_rng(0).choice(times[0], size=150, p=times[1])
    pts = [offset + int(p) for p in np.concatenate([[0], np.cumsum(steps)])]
    path = film(
        tmp_path / f"film{suffix}", pts, Fraction(1, 1000), codec, B_FRAMES if codec == "libx264" else None
    )
    found, expected = decoded(path), on_screen(pts, Fraction(1, 1000), 1)
    # How long the last picture stays is the container's word; until it comes there is no doubt.
    assert {t: n for t, n in found.items() if t in expected} == expected
    assert all(n == 150 for t, n in found.items() if t not in expected)


@pytest.mark.parametrize("codec, options", [("mpeg4", {"bf": "2"}), ("libx264", {"bf": "0"})])
def test_a_container_without_presentation_times(tmp_path, codec, options):
    """AVI stores none: pictures come one after the other all the same."""
    path = constant(tmp_path / "film.avi", 200, 25, codec=codec, options=options)
    found = decoded(path)
    assert [found[float(t)] for t in range(1, 7)] == pytest.approx([25 * t for t in range(1, 7)], abs=1)


def test_a_stream_without_any_times_is_refused(tmp_path):
    path = constant(tmp_path / "film.h264", 50, 25)
    with pytest.raises(InputError, match="no presentation times"):
        list(decode(path, 1, 64))


def test_frame_threads_change_nothing(tmp_path):
    path = constant(tmp_path / "film.mp4", 120, 25, options=B_FRAMES)
    one, four = ([f.image for f in decode(path, 5, 64, threads)] for threads in (1, 4))
    np.testing.assert_array_equal(one, four)


def test_frames_are_shown_upright(tmp_path):
    """A telephone held upright writes this matrix into `tkhd`: show it turned a quarter clockwise."""
    path = constant(tmp_path / "film.mp4", 30, 25)
    straight = next(iter(decode(path, 1, 64))).image
    content, identity = path.read_bytes(), struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    at = content.index(identity, content.index(b"tkhd"))
    turned = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, HEIGHT << 16, 0, 1 << 30)
    path.write_bytes(content[:at] + turned + content[at + len(turned) :])
    image = next(iter(decode(path, 1, 64))).image
    assert image.shape == (WIDTH, HEIGHT, 3)
    np.testing.assert_array_equal(image, np.rot90(straight, -1))


@pytest.mark.parametrize(
    "aspect, short_side_px, size",
    [
        (Fraction(2), 64, (64, 192)),
        (Fraction(1, 2), 48, (64, 48)),  # 96 x 128 as displayed
        (None, 32, (32, 48)),
        (None, 500, (64, 96)),  # not enlarged
    ],
)
def test_pixels_are_square_and_the_short_side_as_asked(tmp_path, aspect, short_side_px, size):
    path = constant(tmp_path / "film.mp4", 5, 25, aspect=aspect)
    assert next(iter(decode(path, 1, short_side_px))).image.shape[:2] == size


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
    with pytest.raises(InputError, match="none ends in"):
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
    written = pd.read_csv(store / "films.csv", index_col="movie_id").fillna({"problem": ""})
    pd.testing.assert_frame_equal(written, table, check_dtype=False)
    assert table.index[table["problem"] == ""].tolist() == ["good_2", "good_10"]
    assert len(table) == 10 and table.loc["good_2", "frames"] == 10
    stored = FrameStore(store)
    assert stored.movies == ("good_10", "good_2")
    assert [number(stored.read("good_2", t)) for t in range(10)] == [25 * t for t in range(10)]


def test_command_line(folder, tmp_path, capsys):
    experiment = tmp_path / "experiment.yaml"
    experiment.write_text(
        "name: films\ntitle: Films\nsource: films\nlags_s: [1, 5]\nbaselines: [random]\n"
        "seeds: [0]\nprimary_layer: fc7\n"
        f"movies: {{folder: '{folder}', frames_per_s: 1, short_side_px: 64, jpeg_quality: 90}}\n"
    )
    with pytest.raises(SystemExit) as stopped:
        movies.main([str(experiment), "--merge"])
    assert stopped.value.code == 2 and "error:" in capsys.readouterr().err
    movies.main([str(experiment), "--probe"])
    assert "2 of 9 films can be used" in capsys.readouterr().err
    for movie_id in ("good_2", "good_10", "cut"):  # the last fails, and does not stop the others
        movies.main([str(experiment), "--movie-id", movie_id])
    assert "LEFT OUT of every lag" in capsys.readouterr().err
    movies.main([str(experiment), "--merge"])
    said = capsys.readouterr().err
    assert "2 of 9 films can be used" in said and "LEFT OUT of every lag: text" in said
    assert len(FrameStore(tmp_path / "frames")) == 20
    with pytest.raises(SystemExit):
        movies.main([str(experiment), "--movie-id", "absent"])


@pytest.mark.parametrize(
    "values, words",
    [
        ({"frames_per_s": 0.0}, "frames_per_s"),
        ({"short_side_px": 4}, "short_side"),
        ({"jpeg_quality": 96}, "quality"),
    ],
)
def test_refuses_settings_out_of_range(values, words):
    with pytest.raises(ValueError, match=words):
        config(**values)


@pytest.mark.skipif(not CLIPS.is_dir(), reason="the real clips are not beside this checkout")
@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
@pytest.mark.parametrize(
    "name", ["arm-wrestling_10s_h264.mp4", "interview_45s_vp8.webm", "street-cars_30s_h264.mp4"]
)
def test_real_clips_give_the_frames_that_ffmpeg_gives(tmp_path, name):
    """ffmpeg -copyts -vf fps=1:round=up, matched by output time stamp."""
    frames = {int(f.time_s): f.image for f in decode(CLIPS / name, 1, 256)}
    height, width = frames[0].shape[:2]
    chain = f"fps=1:round=up,scale={width}:{height}:flags=bicubic"
    command = ["ffmpeg", "-v", "error", "-copyts", "-i", CLIPS / name, "-vf", chain, "-frame_pts", "1"]
    command.append(tmp_path / "%06d.png")
    subprocess.run(command, check=True)
    theirs = {int(path.stem): np.asarray(Image.open(path)).astype(float) for path in tmp_path.glob("*.png")}
    assert frames.keys() == theirs.keys()
    for second, image in theirs.items():
        own = np.abs(frames[second] - image).mean()
        others = [np.abs(frames[s] - image).mean() for s in (second - 1, second + 1) if s in frames]
        assert own < 1.5 and own < min(others)
