"""Black borders are found where there are some, and nothing of a dark film is cut."""

from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semanticcmc.films import letterbox, video
from semanticcmc.films.display import Box
from semanticcmc.films.letterbox import MOST_DECODED, SAMPLES, Kept, find_borders
from semanticcmc.films.video import Damage, decode
from tests.films.counter_films import film

WIDTH, HEIGHT = 160, 120


def scene(i, brightness=1.0):
    """A picture of smooth light and shade that changes from one to the next."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    light = np.sin(x / 13 + i / 9) + np.cos(y / 11 - i / 7) + np.sin((x + y) / 17 + i / 5)
    return np.repeat(np.clip(brightness * (120 + 45 * light), 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def bordered(box, noise=0):
    def picture(i):
        whole = np.random.default_rng(i).integers(0, noise + 1, (HEIGHT, WIDTH, 1)).repeat(3, axis=2).astype(np.uint8)
        inside = np.s_[box.y : box.y + box.height, box.x : box.x + box.width]
        whole[inside] = scene(i)[inside]
        return whole

    return picture


LETTERBOX, PILLARBOX = Box(0, 16, WIDTH, 88), Box(20, 0, 120, HEIGHT)
BORDERS = {
    "letterbox": (LETTERBOX, 0, LETTERBOX),
    "letterbox with noise": (LETTERBOX, 20, LETTERBOX),
    "pillarbox": (PILLARBOX, 0, PILLARBOX),
    "not symmetrical": (Box(8, 10, 140, 94), 12, Box(8, 10, 140, 94)),
    "both": (Box(20, 14, 120, 92), 0, Box(20, 14, 120, 92)),
    "none": (Box(0, 0, WIDTH, HEIGHT), 0, None),
}


@pytest.mark.parametrize("box, noise, expected", BORDERS.values(), ids=BORDERS)
@pytest.mark.parametrize("keyframes", [True, False])
def test_borders_are_found_to_the_pixel(tmp_path, box, noise, expected, keyframes):
    options = {"g": "1" if keyframes else "250", "crf": "16"}
    path = film(tmp_path / "film.mp4", range(90), Fraction(1, 10), options=options, picture=bordered(box, noise))
    assert find_borders(path, 1) == expected


def test_a_film_that_is_dark_almost_throughout_is_not_cut(tmp_path):
    """In all but a few pictures only a lamp in the middle is seen."""

    def picture(i):
        lit = scene(i, 1.0 if i % 30 < 2 else 0.05)
        lit[50:70, 70:90] = 230
        return lit

    path = film(tmp_path / "film.mp4", range(300), Fraction(1, 10), options={"g": "1"}, picture=picture)
    with av.open(str(path)) as container:
        dark = [f.to_ndarray(format="rgb24")[:20].max() < 32 for f in container.decode(video=0)]
    assert np.mean(dark) > 0.9
    assert find_borders(path, 1) is None


@pytest.mark.parametrize("lamp", [230, 20])
def test_black_around_the_only_light_of_a_film_is_no_border(tmp_path, lamp):
    def picture(i):
        dark = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        dark[50:70, 70:90] = lamp
        return dark

    path = film(tmp_path / "film.mp4", range(60), Fraction(1, 10), picture=picture)
    assert find_borders(path, 1) is None


def test_a_film_that_fades_to_its_rim_is_not_cut(tmp_path):
    def picture(i):
        fade = np.clip(np.arange(HEIGHT) / 60, 0, 1)[:, None, None] ** 2
        return (scene(i) * fade).astype(np.uint8)

    path = film(tmp_path / "film.mp4", range(SAMPLES), Fraction(1, 10), picture=picture)
    assert find_borders(path, 1) is None


@pytest.mark.parametrize("keyint, n, expected", [(9999, 400, LETTERBOX), (9999, 2000, None), (250, 2000, LETTERBOX)])
def test_the_search_ends_soon_in_films_with_few_keyframes(tmp_path, monkeypatch, keyint, n, expected):
    """At most `MOST_DECODED` pictures besides the keyframes; where only the beginning is known, nothing is cut."""
    picture = bordered(LETTERBOX)
    pictures = [picture(i) for i in range(40)]
    options = {"g": str(keyint), "preset": "ultrafast", "x264-params": "scenecut=0", "crf": "16"}
    path = film(tmp_path / "film.mp4", range(n), Fraction(1, 10), options=options, picture=lambda i: pictures[i % 40])
    decoded = []

    def watched(*arguments):
        for one in video.in_order(*arguments):
            decoded.append(one)
            yield one

    monkeypatch.setattr(letterbox, "in_order", watched)
    assert find_borders(path, 1) == expected
    assert len(decoded) <= MOST_DECODED + 1


@pytest.mark.parametrize("codec, name", [("libvpx", "film.webm"), ("libvpx-vp9", "film.webm"), ("libx264", "film.mp4")])
@pytest.mark.parametrize("per_s", [0.4, 1, 7, 40])
def test_a_film_decoded_whole_for_its_borders_is_not_decoded_again(tmp_path, monkeypatch, codec, name, per_s):
    """Nor are its frames others, whatever the grid, between irregular times."""
    steps = np.random.default_rng(0).choice([100, 133, 200, 2900], 90, p=[0.5, 0.3, 0.15, 0.05])
    options = {"g": "999", "crf": "20"}
    path = film(tmp_path / name, np.cumsum(steps), Fraction(1, 1000), codec, options, picture=bordered(LETTERBOX))
    damage, kept = Damage(), Kept(per_s)
    alone = list(decode(path, per_s, 64, crop=find_borders(path), damage=damage))
    assert find_borders(path, kept=kept) == find_borders(path) == LETTERBOX
    assert bool(kept.pictures) == (codec != "libx264")  # of which some pictures are skipped
    if kept.pictures:
        monkeypatch.setattr(video, "in_order", None)
        assert kept.damage == damage == Damage(90, 0)
    frames = list(decode(path, per_s, 64, crop=LETTERBOX, decoded=kept.pictures))
    for one, other in zip(frames, alone, strict=True):
        assert (one.time_s, one.pts_s, one.frame_index) == (other.time_s, other.pts_s, other.frame_index)
        assert np.array_equal(one.image, other.image)


@pytest.mark.parametrize("pictures, kept_pictures", [(20, 10), (4, 0)])
def test_too_many_pictures_are_not_kept(tmp_path, monkeypatch, pictures, kept_pictures):
    picture, times = bordered(LETTERBOX), range(0, 9000, 100)
    path = film(tmp_path / "film.webm", times, Fraction(1, 1000), "libvpx", {"g": "999"}, picture=picture)
    monkeypatch.setattr(letterbox, "KEPT_BYTES", pictures * HEIGHT * WIDTH * 1.6)
    kept = Kept(1)
    assert find_borders(path, kept=kept) == LETTERBOX
    assert len(kept.pictures) == kept_pictures


def test_frames_are_cropped_before_they_are_scaled(tmp_path):
    """The short side of what is left has the length asked for, and no frame has a dark rim."""
    path = film(tmp_path / "film.mp4", range(60), Fraction(1, 10), options={"crf": "10"}, picture=bordered(LETTERBOX))
    frames = list(decode(path, 1, 64, crop=find_borders(path)))
    assert {f.image.shape for f in frames} == {(64, round(160 * 64 / 88), 3)}
    for frame in frames:
        rim = [frame.image[0], frame.image[-1]]
        inside = scene(frame.frame_index)[[16, 103]]
        assert np.mean(rim) == pytest.approx(inside.mean(), abs=8)


def test_a_search_ends_once_every_edge_has_been_lit():
    """Of a film without borders only so many pictures are opened as are needed to see that."""

    def pictures():
        yield np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        yield scene(0)
        yield scene(300)
        raise AssertionError("goes on")

    assert letterbox.inside_borders(pictures()) is None


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), *[st.integers(0, 7)] * 4)  # more than LEAST_SHARE is left
def test_borders_are_what_is_black_in_every_picture(seed, top, bottom, left, right):
    """Pictures bright in different places; black at the rim of all is what their maximum over time shows."""
    rng = np.random.default_rng(seed)
    shown = np.zeros((5, 40, 50, 3), np.uint8)
    for picture in shown:  # each lights a part of the inside, and all together all of it
        picture[top : 40 - bottom, left : 50 - right] = 100 * rng.integers(0, 2, 1)
    shown[rng.integers(5), top : 40 - bottom, left : 50 - right] = rng.integers(70, 256, 3)
    even = [n + n % 2 for n in (top, bottom, left, right)]
    expected = Box(even[2], even[0], 50 - even[2] - even[3], 40 - even[0] - even[1])
    assert letterbox.inside_borders(shown) == (expected if any(even) else None)
