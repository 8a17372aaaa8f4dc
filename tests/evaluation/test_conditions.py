"""Conditions of stimuli: grey and blur against peers; what is hidden says nothing, through resizing as well."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms.functional import gaussian_blur

from semanticcmc.config import InputError
from semanticcmc.evaluation.conditions import CONDITIONS, read_mask, under, visible
from semanticcmc.evaluation.config import StimuliConfig
from semanticcmc.evaluation.stimuli import StimulusFolder
from semanticcmc.evaluation.stimulus_checks import probe
from semanticcmc.films.pictures import mask_file

WNIDS = ("n02084071", "n02121620", "n02958343", "n03001627")
RED, BLUE = (200, 30, 40), (20, 60, 220)
FILL = 128


def noise(height=40, width=40, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def shown(condition, pixels, mask=None, sigma=2.0):
    return under(condition, pixels, mask=mask, blur_sigma_px=sigma, masked_grey=FILL)


def disc(side=40, radius=10.5, centre=(20, 18)):
    y, x = np.mgrid[:side, :side]
    return np.where(np.hypot(y - centre[0], x - centre[1]) < radius, 255, 0).astype(np.uint8)


# --- pixels ---


def test_intact_is_left_as_it_is():
    np.testing.assert_array_equal(shown("intact", noise()), noise())


def test_grey_is_the_luma_in_every_channel():
    pixels = noise()
    grey = shown("grey", pixels)
    assert (grey == grey[:, :, :1]).all()
    theirs = np.asarray(Image.fromarray(pixels).convert("L")).astype(int)
    assert np.abs(grey[:, :, 0] - theirs).max() <= 1  # Pillow's weights are 16-bit fractions
    for level in (0, 77, 255):
        flat = np.full((4, 4, 3), level, dtype=np.uint8)
        np.testing.assert_array_equal(shown("grey", flat), flat)


@pytest.mark.parametrize("sigma", [0.8, 2.0, 4.0])
def test_blur_equals_torchvisions(sigma):
    pixels = noise()
    reach = 2 * round(4 * sigma) + 1
    theirs = gaussian_blur(torch.from_numpy(pixels).permute(2, 0, 1).float(), reach, sigma).permute(1, 2, 0)
    np.testing.assert_allclose(shown("blur", pixels, sigma=sigma), theirs.numpy(), atol=0.51)


@pytest.mark.parametrize("sigma", [1.0, 3.0])
def test_a_blurred_point_has_the_stated_width(sigma):
    """The variance of a point's spread is sigma squared in each direction, and no light is lost."""
    pixels = np.zeros((61, 61, 3), dtype=np.uint8)
    pixels[27:34, 27:34] = 255  # a square of 7 pixels: variance (49 - 1) / 12
    spread = shown("blur", pixels, sigma=sigma)[:, :, 0].astype(float)
    assert spread.sum() == pytest.approx(49 * 255, rel=0.01)
    across = spread.sum(0) / spread.sum()
    variance = (across * (np.arange(61) - 30) ** 2).sum()
    assert variance == pytest.approx(sigma**2 + 4, rel=0.03)


masks = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).choice(np.array([0, 0, 0, 0, 100, 255], dtype=np.uint8), size=(9, 9))
)


@settings(deadline=None, max_examples=100)
@given(masks, st.integers(0, 1000))
def test_what_is_hidden_says_nothing(mask, seed):
    """Other pixels outside the object change nothing of ``object``, other pixels of it nothing of ``background``."""
    mask = np.kron(mask, np.ones((4, 4), dtype=np.uint8))
    one, other = noise(36, 36, seed), noise(36, 36, seed + 1)
    whole, none = mask == 255, mask == 0
    elsewhere, there = np.where(whole[:, :, None], one, other), np.where(none[:, :, None], one, other)
    thing, place = shown("object", one, mask), shown("background", one, mask)
    np.testing.assert_array_equal(shown("object", elsewhere, mask), thing)
    np.testing.assert_array_equal(shown("background", there, mask), place)
    np.testing.assert_array_equal(thing[whole], one[whole])
    assert (thing[~whole] == FILL).all()
    assert (place[~none] == FILL).all()
    assert not (visible("object", mask) & visible("background", mask)).any()


def test_the_background_does_not_keep_the_objects_outline():
    """A disc and its bounding square hide the same pixels; two objects have a box each."""
    round_one = disc()
    rows, columns = np.where(round_one)
    square_one = np.zeros_like(round_one)
    square_one[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = 255
    np.testing.assert_array_equal(visible("background", round_one), square_one == 0)
    two = np.zeros((40, 40), dtype=np.uint8)
    two[2:10, 3:8] = two[20:30, 25:39] = 255
    np.testing.assert_array_equal(visible("background", two), two == 0)


# --- masks ---


def save(path, pixels, mask=None):
    Image.fromarray(pixels).save(path)
    if mask is not None:
        Image.fromarray(mask).save(mask_file(path))


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (None, r"a\.mask\.png: missing; the conditions object and background need it: white \(255\) where"),
        (np.zeros((20, 30), dtype=np.uint8), "marks no object, its greatest value is 0"),
        (np.ones((20, 30), dtype=np.uint8), "marks no object, its greatest value is 1"),
        (np.full((30, 20), 255, dtype=np.uint8), "20 x 30 pixels, where the upright image has 30 x 20"),
        (np.zeros((20, 30, 3), dtype=np.uint8), "mode RGB, expected greyscale of 8 bits"),
        (np.full((20, 30), 65535, dtype=np.uint16), "mode I;16, expected greyscale of 8 bits"),
    ],
)
def test_masks_that_do_not_fit_are_refused_with_the_remedy(tmp_path, mask, message):
    save(tmp_path / "a.jpg", noise(20, 30), mask)
    with pytest.raises(InputError, match=message):
        read_mask(tmp_path / "a.jpg", (30, 20))


def test_a_broken_mask_is_refused(tmp_path):
    save(tmp_path / "a.jpg", noise(20, 30))
    mask_file(tmp_path / "a.jpg").write_text("no picture")
    with pytest.raises(InputError, match=r"a\.mask\.png: not readable"):
        read_mask(tmp_path / "a.jpg", (30, 20))


def test_a_mask_of_one_bit_will_do(tmp_path):
    save(tmp_path / "a.jpg", noise())
    Image.fromarray(disc()).convert("1").save(tmp_path / "a.mask.png")
    np.testing.assert_array_equal(np.asarray(read_mask(tmp_path / "a.jpg", (40, 40))), disc())


# --- folders ---


def config(conditions=CONDITIONS, size_px=32, images_per_class=None):
    return StimuliConfig(None, size_px, images_per_class, conditions, 2.0, FILL)


@pytest.fixture
def folder(tmp_path):
    """Four classes of two images of other sizes, red objects before blue places, masks beside them."""
    rng = np.random.default_rng(0)
    for wnid in WNIDS:
        (tmp_path / wnid).mkdir()
        for k in range(2):
            height, width = rng.integers(40, 90, 2)
            y, x = np.mgrid[:height, :width]
            inside = np.hypot((y / height - 0.5) / 0.3, (x / width - 0.5) / 0.25) < 1
            pixels = np.where(inside[:, :, None], np.uint8(RED), np.uint8(BLUE))
            save(tmp_path / wnid / f"{k}.png", pixels, np.where(inside, 255, 0).astype(np.uint8))
    return tmp_path


def colours(images):
    return {tuple(colour) for colour in images.permute(0, 2, 3, 1).reshape(-1, 3).tolist()}


def test_object_and_background_stay_apart_through_resizing(folder):
    """Of red objects before blue, ``object`` holds red and grey alone, ``background`` blue and grey alone."""
    stimuli = StimulusFolder(folder, config())
    assert len(stimuli) == len(probe(folder, config())) == 8  # masks are no stimuli
    grey = (FILL,) * 3
    images = {c: torch.cat([batch for batch, _ in stimuli.batches(3, c)]) for c in CONDITIONS}
    assert colours(images["object"]) == {RED, grey}
    assert colours(images["background"]) == {BLUE, grey}
    assert len(colours(images["intact"])) > 2  # the edges, mixed by resizing
    seen = (images["object"] != FILL).all(1).float().mean((1, 2))
    assert ((seen > 0.1) & (seen < 0.5)).all()


@pytest.mark.parametrize("condition", CONDITIONS)
def test_nothing_is_random(folder, condition):
    stimuli = StimulusFolder(folder, config())
    first, again = (torch.cat([images for images, _ in stimuli.batches(n, condition)]) for n in (1, 5))
    assert torch.equal(first, again)
    assert (first.dtype, first.shape) == (torch.uint8, (8, 3, 32, 32))


def test_masks_are_asked_for_only_where_they_are_needed(folder):
    for path in folder.rglob("*.mask.png"):
        path.unlink()
    assert len(probe(folder, config(("intact", "grey", "blur")))) == 8
    with pytest.raises(InputError, match=r"8 problems(?s:.*)0\.mask\.png: missing") as caught:
        probe(folder, config(("intact", "background")))
    assert str(caught.value).count("missing") == 8
    with pytest.raises(InputError, match=r"0\.mask\.png: missing"):
        next(StimulusFolder(folder, config()).batches(1, "object"))


def test_an_object_outside_the_central_square_is_named(folder):
    """A wide image loses its sides, and with them the object; another holds nothing but the object."""
    mask = np.zeros((40, 160), dtype=np.uint8)
    mask[:, :20] = 255
    save(folder / WNIDS[0] / "aside.png", noise(40, 160), mask)
    save(folder / WNIDS[1] / "full.png", noise(), np.full((40, 40), 255, dtype=np.uint8))
    with pytest.raises(InputError, match="2 problems") as caught:
        probe(folder, config())
    assert "aside.mask.png: nothing of the object is left in the central square" in str(caught.value)
    assert "full.mask.png: nothing of the background is left in the central square" in str(caught.value)


def test_unknown_conditions_are_refused(folder):
    with pytest.raises(ValueError, match="none of intact, grey, blur, object, background"):
        next(StimulusFolder(folder, config()).batches(1, "upside_down"))
