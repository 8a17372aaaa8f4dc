"""Every frame of the grid is the one on screen then, shown as a player shows it, whatever the film."""

import os
import shutil
import struct
import subprocess
from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.frame import PictureType
from PIL import Image

from semanticcmc.config import InputError
from semanticcmc.films import video
from semanticcmc.films.probe import probe
from semanticcmc.films.video import Damage, can_skip, decode
from tests.conftest import SHARED
from tests.films.counter_films import (
    B_FRAMES,
    HEIGHT,
    RATES,
    WIDTH,
    constant,
    counter,
    damaged,
    film,
    moving,
    number,
    on_screen,
)

CLIPS = SHARED / "data" / "clips"


def decoded(path, frames_per_s=1.0):
    frames = list(decode(path, frames_per_s, 64))
    assert [f.time_s for f in frames] == sorted(f.time_s for f in frames)
    assert [number(f.image) for f in frames] == [f.frame_index for f in frames]
    return {f.time_s: number(f.image) for f in frames}


@pytest.mark.parametrize("rate", RATES.values(), ids=RATES)
@pytest.mark.parametrize("frames_per_s", [1, 5])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_every_frame_is_the_one_on_screen(tmp_path, rate, frames_per_s, suffix):
    path = constant(tmp_path / f"film{suffix}", 290, rate, options=B_FRAMES)
    with av.open(str(path)) as container:
        kinds = {int(frame.pict_type) for frame in container.decode(video=0)}
    assert int(PictureType.B) in kinds  # or the test would not see frames taken in decoding order
    expected = on_screen([i * rate.denominator for i in range(290)], Fraction(1, rate.numerator), frames_per_s)
    if suffix == ".mkv":  # Matroska rounds to milliseconds, so that a frame may come just after its second
        milliseconds = [round(i * 1000 / rate) for i in range(290)]
        expected = on_screen(milliseconds, Fraction(1, 1000), frames_per_s)
    assert decoded(path, frames_per_s) == expected


@pytest.mark.parametrize(
    "suffix, codec, offset",
    [
        (".mp4", "libx264", 0),
        (".mkv", "libx264", 5000),
        (".webm", "libvpx", 0),
        (".webm", "libvpx-vp9", 0),
        (".mkv", "libsvtav1", 0),
        (".ts", "libx264", 7777),
    ],
)
def test_variable_rate_and_start_offset(tmp_path, suffix, codec, offset):
    times = ([20, 33, 40, 41, 250, 700, 2300], [0.2, 0.2, 0.2, 0.2, 0.1, 0.06, 0.04])
    steps = np.random.default_rng(0).choice(times[0], size=150, p=times[1])
    pts = [offset + int(p) for p in np.concatenate([[0], np.cumsum(steps)])]
    path = film(tmp_path / f"film{suffix}", pts, Fraction(1, 1000), codec, B_FRAMES if codec == "libx264" else None)
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


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [("mkv", "libx264"), ("webm", "libvpx"), ("wmv", "wmv2"), ("mp4", "libx264"), ("ts", "libx264"), ("mkv", "mpeg4")],
)
@pytest.mark.parametrize("start_s", [0.48, 7.32, 3600])
def test_the_time_before_the_first_picture_is_not_of_the_film(tmp_path, suffix, codec, start_s):
    path = film(tmp_path / f"a.{suffix}", [round(25 * start_s) + i for i in range(100)], Fraction(1, 25), codec)
    row = probe(tmp_path).iloc[0]
    assert row["problem"] == "" and row["duration_s"] == pytest.approx(4, abs=0.5)
    assert len(decoded(path)) == 4


def test_a_stream_without_any_times_is_refused(tmp_path):
    path = constant(tmp_path / "film.h264", 50, 25)
    with pytest.raises(InputError, match="no presentation times"):
        list(decode(path, 1, 64))


def test_frame_threads_change_nothing(tmp_path):
    path = constant(tmp_path / "film.mp4", 120, 25, options=B_FRAMES)
    one, four = ([f.image for f in decode(path, 5, 64, threads)] for threads in (1, 4))
    np.testing.assert_array_equal(one, four)


DISPLAYS = {  # (a, b, c, d) of the display matrix, and what numpy calls it
    "telephone held upright": ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
    "upside down": ((-1, 0, 0, -1), lambda image: np.rot90(image, 2)),
    "turned anticlockwise": ((0, -1, 1, 0), np.rot90),
    "mirrored": ((-1, 0, 0, 1), np.fliplr),
    "flipped": ((1, 0, 0, -1), np.flipud),
    "mirrored and turned": ((0, 1, 1, 0), lambda image: image.transpose(1, 0, 2)),
    "mirrored and turned the other way": ((0, -1, -1, 0), lambda image: np.rot90(image.transpose(1, 0, 2), 2)),
}


@pytest.mark.parametrize("matrix, expected", DISPLAYS.values(), ids=DISPLAYS)
def test_frames_are_shown_as_the_display_matrix_says(tmp_path, matrix, expected):
    """Cameras write it into `tkhd`: a point (x, y), y down, is shown at (a x + c y, b x + d y)."""
    path = constant(tmp_path / "film.mp4", 30, 25)
    straight = [f.image for f in decode(path, 1, 64)]
    content, identity = path.read_bytes(), struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    at = content.index(identity, content.index(b"tkhd"))
    a, b, c, d = (value << 16 for value in matrix)
    left, top = (-min(0, p * WIDTH, q * HEIGHT, p * WIDTH + q * HEIGHT) for p, q in ((a, c), (b, d)))
    turned = struct.pack(">9i", a, b, 0, c, d, 0, left, top, 1 << 30)
    path.write_bytes(content[:at] + turned + content[at + len(turned) :])
    found = [f.image for f in decode(path, 1, 64)]
    np.testing.assert_array_equal(found, [expected(image) for image in straight])


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


@pytest.mark.parametrize(
    "name, first, expected",
    [
        ("film.ts", -30, {0: 0, 1: 25, 2: 50, 3: 75}),
        ("film.mp4", -30, {0: 30, 1: 55, 2: 80}),  # an edit list says that what lies before zero is not shown
        ("film.mkv", 0, {0: 0, 1: 25, 2: 50, 3: 75}),
    ],
)
def test_negative_times_and_no_duration(tmp_path, name, first, expected):
    container = {"avoid_negative_ts": "disabled"} if first else {"live": "1"}
    pts = range(first, first + 100)
    path = film(tmp_path / name, pts, Fraction(1, 25), options=B_FRAMES, container=container)
    with av.open(str(path)) as opened:
        assert (opened.duration is None) == (first == 0)  # a live stream has none
    frames = list(decode(path, 1, 64))
    assert {f.time_s: number(f.image) for f in frames} == expected
    assert [f.frame_index for f in frames] == [25 * k for k in range(len(frames))]


# Colour ----------------------------------------------------------------------------------------------------

LUMA = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}  # weights of R and B


def flat(path, yuv, size=(96, 64), pix_fmt="yuv420p", **tags):
    """One second of one colour, losslessly; `tags` are numbers of FFmpeg's AVColorSpace and so on."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=5)
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        for i in range(5):
            frame = av.VideoFrame(*size, pix_fmt)
            for plane, value in zip(frame.planes, yuv, strict=True):
                kind = np.uint16 if "10" in pix_fmt else np.uint8
                plane.update(np.full(plane.buffer_size // kind().itemsize, value, kind).tobytes())
            for name, value in tags.items():
                setattr(frame, name, value)
            frame.pts, frame.time_base = i, Fraction(1, 5)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def rgb_of(yuv, matrix, full_range):
    """R'G'B' in 0 to 255 of 8-bit Y'CbCr: the closed form of BT.601, BT.709 and BT.2020."""
    red, blue = LUMA[matrix]
    y, cb, cr = (
        (yuv[0] / 255, (yuv[1] - 128) / 255, (yuv[2] - 128) / 255)
        if full_range
        else ((yuv[0] - 16) / 219, (yuv[1] - 128) / 224, (yuv[2] - 128) / 224)
    )
    r, b = y + 2 * (1 - red) * cr, y + 2 * (1 - blue) * cb
    return 255 * np.clip([r, (y - red * r - blue * b) / (1 - red - blue), b], 0, 1)


@pytest.mark.parametrize(
    "size, tags, matrix, full_range",
    [
        ((96, 64), {}, "bt601", False),
        ((1280, 720), {}, "bt709", False),
        ((720, 576), {}, "bt601", False),
        ((96, 64), {"colorspace": 1, "color_range": 1}, "bt709", False),
        ((1280, 720), {"colorspace": 6, "color_range": 1}, "bt601", False),
        ((96, 64), {"colorspace": 5, "color_range": 2}, "bt601", True),
        ((96, 64), {"colorspace": 1, "color_range": 2}, "bt709", True),
        ((96, 64), {"colorspace": 9, "color_range": 1}, "bt2020", False),
    ],
)
@pytest.mark.parametrize("yuv", [(120, 90, 180), (150, 160, 100), (60, 150, 128), (235, 128, 128)])
def test_colours_are_those_of_the_stated_matrix_and_range(tmp_path, yuv, size, tags, matrix, full_range):
    path = flat(tmp_path / "film.mkv", yuv, size, **tags)
    image = next(iter(decode(path, 1, 64))).image
    np.testing.assert_allclose(image.reshape(-1, 3).mean(axis=0), rgb_of(yuv, matrix, full_range), atol=1.5)


HDR = {"colorspace": 9, "color_primaries": 9, "color_range": 1}


@pytest.mark.parametrize("transfer", [16, 18], ids=["PQ", "HLG"])
def test_greys_of_hdr_films_stay_grey_in_order_and_white_is_white(tmp_path, transfer):
    images = []
    for grey in (64, 200, 300, 400, 500, 600, 700, 940):
        path = flat(tmp_path / f"{grey}.mkv", (grey, 512, 512), pix_fmt="yuv420p10le", color_trc=transfer, **HDR)
        images.append(next(iter(decode(path, 1, 64))).image.reshape(-1, 3).mean(axis=0))
    assert np.ptp(images, axis=1).max() <= 1
    levels = np.mean(images, axis=1)
    assert levels[0] == 0 and levels[-1] == 255 and np.all(np.diff(levels[:-1]) > 0)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
@pytest.mark.parametrize("yuv", [(300, 512, 512), (380, 500, 540), (350, 560, 490), (400, 512, 512)])
def test_pq_below_the_roll_off_is_what_zimg_makes_of_it(tmp_path, yuv):
    """Light and primaries by the zimg library inside ffmpeg; its light becomes signal by BT.1886 here."""
    path = flat(tmp_path / "film.mkv", yuv, pix_fmt="yuv420p10le", color_trc=16, **HDR)
    chain = "zscale=transfer=linear:npl=203:primaries=709:matrix=gbr:range=full,format=gbrpf32le"
    command = ["ffmpeg", "-v", "error", "-i", path, "-vf", chain, "-frames:v", "1", "-f", "rawvideo", "-"]
    done = subprocess.run(command, capture_output=True)
    if b"zscale" in done.stderr:
        pytest.skip("this ffmpeg has no zscale")
    green, blue, red = np.frombuffer(done.stdout, np.float32).reshape(3, -1).mean(axis=1)
    expected = 255 * np.clip([red, green, blue], 0, 1) ** (1 / 2.4)
    image = next(iter(decode(path, 1, 64))).image
    np.testing.assert_allclose(image.reshape(-1, 3).mean(axis=0), expected, atol=2)


@pytest.mark.parametrize("codec, quality", [("libx264", {"qp": "10"}), ("mpeg2video", {"qscale": "2", "b": "8M"})])
@pytest.mark.parametrize("field_order", ["tff", "bff"])
def test_interlaced_films_are_deinterlaced(tmp_path, codec, quality, field_order):
    """Each picture weaves two moments; what is shown is the first of them, without the comb."""
    second_lines = slice(1 if field_order == "tff" else 0, None, 2)

    def woven(i):
        picture = counter(2 * i)
        picture[second_lines] = counter(2 * i + 1)[second_lines]
        return picture

    options = {"flags": "+ildct+ilme", "bf": "2"} | quality
    path = film(
        tmp_path / "film.mkv", range(60), Fraction(1, 25), codec, options, None, None, woven, field_order=field_order
    )
    frames = list(decode(path, 5, 64))
    assert [f.frame_index for f in frames] == list(range(0, 60, 5))
    assert [number(f.image) for f in frames] == list(range(0, 120, 10))
    assert max(np.abs(f.image.astype(int) - counter(2 * f.frame_index)).mean() for f in frames) < 8


def test_films_that_are_not_interlaced_keep_their_lines(tmp_path):
    def lines(i):
        return np.repeat((40 + 170 * (np.indices((HEIGHT, WIDTH))[0] % 2)).astype(np.uint8)[..., None], 3, 2)

    path = film(tmp_path / "film.mp4", range(10), Fraction(1, 25), picture=lines)
    image = next(iter(decode(path, 1, 64))).image
    assert np.abs(np.diff(image.astype(int), axis=0)).mean() > 150


# Damage ----------------------------------------------------------------------------------------------------


def test_a_damaged_picture_leaves_the_one_before_on_screen(tmp_path):
    """Only from a picture that others refer to does damage reach further than its own time."""
    options = {"x264-params": "bframes=3:b-adapt=0:b-pyramid=none:keyint=50:min-keyint=50:scenecut=0"}
    path = constant(tmp_path / "film.mp4", 250, 25, options=options)
    with av.open(str(path)) as container:
        alone = [i for i, f in enumerate(container.decode(video=0)) if f.pict_type == PictureType.B]
    gone = next(i for i in alone if i % 5 == 0 and i > 50)
    damaged(path, [gone])
    damage = Damage()
    frames = {round(25 * f.time_s): f for f in decode(path, 5, 64, damage=damage)}
    assert (damage.lost, damage.pictures) == (1, 250)
    assert gone - 5 <= frames[gone].frame_index < gone
    assert all(number(f.image) == f.frame_index for f in frames.values())
    assert all(f.frame_index == i for i, f in frames.items() if i != gone)


def test_a_film_with_much_damage_is_refused(tmp_path):
    path = constant(tmp_path / "film.mp4", 250, 25, options={"g": "25"})
    damaged(path, range(100, 110))
    with pytest.raises(InputError, match=r"damaged: \d+ of its 250 pictures"):
        list(decode(path, 1, 64))


# Skipping --------------------------------------------------------------------------------------------------

X265 = {"x265-params": "bframes=4:b-adapt=0:b-pyramid=1:keyint=60:log-level=none"}
SKIPPED = {
    "three B-frames": ("film.mp4", "libx264", {"x264-params": "bframes=3:b-adapt=0:b-pyramid=none"}),
    "pyramid, strict": ("film.mp4", "libx264", {"x264-params": "bframes=5:b-adapt=0:b-pyramid=strict"}),
    "pyramid, open GOP": (
        "film.mkv",
        "libx264",
        {"x264-params": "bframes=7:b-adapt=0:b-pyramid=normal:open-gop=1:keyint=40"},
    ),
    "weighted, adaptive": ("film.mp4", "libx264", {"x264-params": "bframes=8:b-adapt=2:weightp=2:ref=6"}),
    "interlaced": ("film.mp4", "libx264", {"x264-params": "bframes=3:b-adapt=0:tff=1"}),
    "HEVC": ("film.mp4", "libx265", X265),
    "HEVC in Matroska": ("film.mkv", "libx265", X265),
    "MPEG-2": ("film.mkv", "mpeg2video", {"bf": "2", "g": "24"}),
    "MPEG-4 part 2": ("film.mp4", "mpeg4", {"bf": "2", "g": "24"}),
}


@pytest.mark.parametrize("name, codec, options", SKIPPED.values(), ids=SKIPPED)
@pytest.mark.parametrize("variable", [False, True], ids=["constant", "variable"])
def test_skipping_pictures_changes_no_frame(tmp_path, monkeypatch, name, codec, options, variable):
    if codec not in av.codecs_available:
        pytest.skip(f"PyAV was built without {codec}")
    steps = np.random.default_rng(1).choice([40, 80, 200], size=159) if variable else np.full(159, 40)
    if codec == "mpeg2video":
        steps = np.full(159, 40)  # it knows no variable rate
    pts, base = [0, *np.cumsum(steps).tolist()], Fraction(1, 25 if codec == "mpeg2video" else 1000)
    pts = [p // 40 for p in pts] if codec == "mpeg2video" else pts
    path = film(tmp_path / name, pts, base, codec, options, picture=moving)
    with av.open(str(path)) as container:
        assert can_skip(container, container.streams.video[0])
        kept = len(list(video.in_order(container, container.streams.video[0], Fraction(1), Damage())))
    assert kept < 130  # or nothing is skipped, and nothing is tested
    skipped = {key: list(decode(path, *key)) for key in ((1, 64, 1), (1, 64, 4), (5, 64, 2))}
    monkeypatch.setattr(video, "can_skip", lambda container, stream: False)
    for key, found in skipped.items():
        whole = list(decode(path, *key))
        assert [(f.time_s, f.pts_s, f.frame_index) for f in found] == [
            (f.time_s, f.pts_s, f.frame_index) for f in whole
        ]
        np.testing.assert_array_equal([f.image for f in found], [f.image for f in whole])
        expected = on_screen(pts, base, key[0])
        assert {f.time_s: f.frame_index for f in found if f.time_s in expected} == expected


def exp_golomb(bits, at):
    """Number in the code of H.264 at a place of a string of bits, and the place after it."""
    zeros = bits.index("1", at) - at
    return int(bits[at + zeros : at + 2 * zeros + 1], 2) - 1, at + 2 * zeros + 1


def without_reordering(path):
    """Strike out what an MP4's sequence parameter set says of reordering (`bitstream_restriction`), its last fields."""
    content = path.read_bytes()
    start = content.index(b"avcC") + 12
    parameters = content[start : start + int.from_bytes(content[start - 2 : start], "big")]
    bits = "".join(f"{byte:08b}" for byte in parameters)
    for flag in range(bits.rindex("1") - 12, 80, -1):
        values, at = [], flag + 4  # the flag, another, and two zeros as x264 writes them, each a 1
        try:
            for _ in range(4):
                value, at = exp_golomb(bits, at)
                values.append(value)
        except ValueError:
            continue
        if bits[flag:].startswith("1111") and at == bits.rindex("1") and values[2] <= values[3] <= 16:
            break
    else:
        raise AssertionError("no bitstream_restriction found")
    struck = int(f"{bits[:flag]}01".ljust(len(bits), "0"), 2).to_bytes(len(parameters), "big")
    path.write_bytes(content.replace(parameters, struck))


@pytest.mark.parametrize("pyramid", ["none", "normal"])
def test_skipping_where_the_film_says_nothing_of_reordering(tmp_path, monkeypatch, pyramid):
    """The decoder must find out by itself that B-frames come, here after 12 s without any."""
    path, options = tmp_path / "film.mp4", f"bframes=5:b-adapt=0:b-pyramid={pyramid}:keyint=999:scenecut=0"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"x264-params": options})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for i in range(450):
            frame = av.VideoFrame.from_ndarray(moving(i), format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 25)
            frame.pict_type = PictureType.P if i < 300 else PictureType.NONE
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    without_reordering(path)
    skipped = [(f.frame_index, f.image) for f in decode(path, 5, 64, 2)]
    monkeypatch.setattr(video, "can_skip", lambda container, stream: False)
    whole = [(f.frame_index, f.image) for f in decode(path, 5, 64, 2)]
    assert [index for index, _ in skipped] == [index for index, _ in whole] == list(range(0, 450, 5))
    np.testing.assert_array_equal([image for _, image in skipped], [image for _, image in whole])


def test_temporal_layers_of_hevc_are_not_skipped(tmp_path):
    """There a picture that its own layer does not need may still be the reference of the next layer."""
    if "libx265" not in av.codecs_available:
        pytest.skip("PyAV was built without libx265")
    layers = {"x265-params": "bframes=4:b-adapt=0:b-pyramid=1:temporal-layers=3:log-level=none"}
    path = constant(tmp_path / "film.mp4", 60, 25, codec="libx265", options=layers)
    with av.open(str(path)) as container:
        assert not can_skip(container, container.streams.video[0])
    assert decoded(path) == {0: 0, 1: 25, 2: 50}


@pytest.mark.skipif(not CLIPS.is_dir(), reason="the real clips are not beside this checkout")
@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
@pytest.mark.parametrize(
    "name",
    [
        "arm-wrestling_10s_h264.mp4",
        "interview_45s_vp8.webm",
        "person-walking_139s_h264.mp4",
        "street-cars_30s_h264.mp4",
        "vp9.webm -c:v libvpx-vp9 -b:v 300k -cpu-used 8 -auto-alt-ref 1 -lag-in-frames 16",
        "av1.mp4 -c:v libsvtav1 -preset 12",
    ],
)
def test_real_clips_give_the_frames_that_ffmpeg_gives(tmp_path, name):
    """ffmpeg -vf setpts=PTS-STARTPTS,fps=1:round=up, matched by output time stamp; also of a clip encoded anew."""
    path, coding = CLIPS / name.split()[0], name.split()[1:]
    if coding:
        clip, path = CLIPS / "street-cars_30s_h264.mp4", tmp_path / path.name
        made = ["ffmpeg", "-v", "error", "-i", clip, "-t", "12", "-vf", "scale=-2:144", *coding, path]
        subprocess.run(made, check=True, env=os.environ | {"SVT_LOG": "1"})
    frames = {int(f.time_s): f.image for f in decode(path, 1, 256)}
    height, width = frames[0].shape[:2]
    chain = f"setpts=PTS-STARTPTS,fps=1:round=up,scale={width}:{height}:flags=bicubic"
    command = ["ffmpeg", "-v", "error", "-copyts", "-i", path, "-vf", chain, "-frame_pts", "1"]
    command.append(tmp_path / "%06d.png")
    subprocess.run(command, check=True)
    theirs = {int(path.stem): np.asarray(Image.open(path)).astype(float) for path in tmp_path.glob("*.png")}
    assert frames.keys() == theirs.keys()
    for second, image in theirs.items():
        own = np.abs(frames[second] - image).mean()
        others = [np.abs(frames[s] - image).mean() for s in (second - 1, second + 1) if s in frames]
        assert own < 1.5 and own < min(others)
