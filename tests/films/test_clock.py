"""Films whose clock starts anew or jumps, and files of several streams: all pictures at their time, or a reason."""

from fractions import Fraction

import av
import numpy as np
import pytest
from av.stream import Disposition

from semanticcmc.config import InputError
from semanticcmc.films.probe import probe
from semanticcmc.films.video import decode
from tests.films.counter_films import B_FRAMES, HEIGHT, WIDTH, constant, counter, film, number

READ_ON = {".ts": "libx264", ".vob": "mpeg2video", ".mpg": "mpeg2video", ".mkv": "libx264", ".webm": "libvpx"}
NOT_READ_ON = {".mp4": "libx264", ".mov": "libx264", ".flv": "libx264", ".wmv": "wmv2"}


def joined(path, codec, *starts_s, options=None):
    """Films of 4 s, 25 pictures a second, numbered on, each with its own clock; their bytes one after the other."""
    content = b""
    for k, start_s in enumerate(starts_s):
        pts = range(25 * start_s, 25 * start_s + 100)
        picture = lambda i, first=100 * k: counter(first + i)  # noqa: E731
        content += film(path, pts, Fraction(1, 25), codec, options, picture=picture).read_bytes()
    path.write_bytes(content)
    return path


def shown(path):
    return [number(frame.image) for frame in decode(path, 1, 64)]


@pytest.mark.parametrize("suffix, codec", READ_ON.items())
def test_joined_films_are_shown_one_after_the_other(tmp_path, suffix, codec):
    path = joined(tmp_path / f"film{suffix}", codec, 0, 0)
    assert shown(path) == list(range(0, 200, 25))
    assert probe(tmp_path).duration_s.tolist() == [pytest.approx(8, abs=0.1)]


@pytest.mark.parametrize(
    "starts_s", [(0, 600), (600, 0), (0, 2), (0, 0, 0), (5, 70000, 20), (95440, 0)], ids=lambda starts: str(starts)
)
@pytest.mark.parametrize("options", [None, B_FRAMES], ids=["as usual", "three B-frames"])
def test_a_transport_stream_goes_on_whatever_the_clock_says(tmp_path, starts_s, options):
    """Forwards, backwards, into the film before, three at once, and beyond the 26.5 h after which its clock is at 0."""
    path = joined(tmp_path / "film.ts", "libx264", *starts_s, options=options)
    assert shown(path) == list(range(0, 100 * len(starts_s), 25))
    assert probe(tmp_path).duration_s.tolist() == [pytest.approx(4 * len(starts_s), abs=0.1)]


@pytest.mark.parametrize("suffix, codec", NOT_READ_ON.items())
def test_a_second_film_that_no_player_shows_is_named(tmp_path, suffix, codec):
    constant(tmp_path / "good.mp4", 100, 25)
    joined(tmp_path / f"two{suffix}", codec, 0, 0)
    problems = probe(tmp_path).set_index("movie_id").problem
    assert problems["good"] == "" and "another film follows" in problems["two"]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
def test_one_picture_for_ten_minutes_is_refused(tmp_path, suffix):
    times = [*range(100), *range(15100, 15200)]
    path = film(tmp_path / f"film{suffix}", times, Fraction(1, 25))
    for use in (lambda: probe(tmp_path), lambda: shown(path)):
        with pytest.raises(InputError, match="no picture for 600 s"):
            use()


def test_a_slide_of_half_a_minute_stays(tmp_path):
    path = film(tmp_path / "film.mp4", [0, 25, 775, 800], Fraction(1, 25))
    assert shown(path)[:33] == [0] + 30 * [1] + [2, 3]


# Streams ---------------------------------------------------------------------------------------------------


def streams(path, *wanted, sound_s=0.0):
    """A file of several streams, (codec, pictures, size, disposition, first second, first number), and sound."""
    with av.open(str(path), "w") as out:
        packets = []
        for codec, n, scale, disposition, start_s, first in wanted:
            stream = out.add_stream(codec, rate=25)
            stream.width, stream.height = scale * WIDTH, scale * HEIGHT
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            stream.disposition = disposition
            for i in [*range(n), None]:
                frame = None
                if i is not None:
                    image = np.kron(counter(first + i), np.ones((scale, scale, 1), np.uint8))
                    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                    frame.pts, frame.time_base = round(25 * start_s) + i, Fraction(1, 25)
                packets += [(float(p.dts * p.time_base), p) for p in stream.encode(frame)]
        if sound_s:
            stream = out.add_stream("aac", rate=16000, layout="mono")
            for i in [*range(round(sound_s * 16000 / 1024)), None]:
                frame = None
                if i is not None:
                    frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
                    frame.sample_rate, frame.pts = 16000, 1024 * i
                packets += [(float(p.dts * p.time_base), p) for p in stream.encode(frame)]
        for _, packet in sorted(packets, key=lambda one: one[0]):
            out.mux(packet)
    return path


NONE, DEFAULT = Disposition(0), Disposition.default
FILM = ("libx264", 100, 2, DEFAULT, 0, 1000)
OTHERS = {
    "preview": [("libx264", 100, 1, NONE, 0, 0)],
    "preview that is default too": [("libx264", 100, 1, DEFAULT, 0, 0)],
    "larger one that is not the default": [("libx264", 100, 4, NONE, 0, 0)],
    "cover": [("mjpeg", 1, 4, Disposition.attached_pic, 0, 0)],
    "cover not said to be one": [("mjpeg", 1, 4, DEFAULT, 0, 0)],
    "short preview and cover": [("libx264", 10, 1, NONE, 0, 0), ("mjpeg", 1, 4, NONE, 0, 0)],
}


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize("others", OTHERS.values(), ids=OTHERS)
def test_the_film_is_taken_and_not_what_comes_before_it(tmp_path, suffix, others):
    path = streams(tmp_path / f"film{suffix}", *others, FILM)
    assert shown(path) == [1000, 1025, 1050, 1075]
    row = probe(tmp_path).iloc[0]
    assert (row.problem, row.width, row.duration_s) == ("", 2 * WIDTH, pytest.approx(4, abs=0.1))


@pytest.mark.parametrize("start_s", [0.6, 3, 20])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".ts", ".flv"])
def test_sound_may_start_before_the_pictures(tmp_path, suffix, start_s):
    path = streams(tmp_path / f"film{suffix}", ("libx264", 100, 1, DEFAULT, start_s, 0), sound_s=start_s + 4)
    row = probe(tmp_path).iloc[0]
    assert (row.problem, row.duration_s) == ("", pytest.approx(4, abs=0.5))
    assert shown(path) == [0, 25, 50, 75]


# Probing is a promise --------------------------------------------------------------------------------------


def without_times(path):
    """A Matroska file all of whose blocks have the time 0."""
    film(path, range(100), Fraction(1, 25))
    content = bytearray(path.read_bytes())
    at = content.index(b"\x1f\x43\xb6\x75")  # the cluster
    for size in (1, 2, 3, 4):  # of the size of a SimpleBlock of track 1
        place = at
        while (place := content.find(b"\xa3", place + 1)) >= 0:
            head = content[place + 1 : place + 4 + size]
            if head and head[0] >> (8 - size) == 1 and head[size : size + 1] == b"\x81":
                content[place + 2 + size : place + 4 + size] = bytes(2)
    path.write_bytes(content)
    return path


PROMISES = {
    "raw.h264": lambda path: constant(path, 100, 25),
    "raw, B-frames.h264": lambda path: constant(path, 100, 25, options=B_FRAMES),
    "without times.mkv": without_times,
    "raw.m2v": lambda path: constant(path, 100, 25, codec="mpeg2video"),
    "raw.m4v": lambda path: constant(path, 100, 25, codec="mpeg4"),
    "film.ivf": lambda path: constant(path, 100, 25, codec="libvpx"),
    "one.gif": lambda path: film(path, range(100), Fraction(1, 25), "gif", pix_fmt="rgb8"),
}


@pytest.mark.parametrize("name", PROMISES)
def test_what_the_probe_lets_pass_can_be_read_and_what_not_cannot(tmp_path, name):
    path = PROMISES[name](tmp_path / name)
    try:
        passes = probe(tmp_path).problem.tolist() == [""]
    except InputError:
        passes = False
    if passes:
        assert shown(path) == [0, 25, 50, 75]
    else:
        with pytest.raises(InputError):
            shown(path)
    assert passes is (not name.startswith(("raw.h", "raw, B", "without")))
