"""Stimuli: pictures of every kind come out upright, in RGB and at the right place; bad ones are named at once."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import tracemalloc

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

from semanticcmc.cli import main
from semanticcmc.config import InputError, configure
from semanticcmc.evaluation import stimulus_checks
from semanticcmc.evaluation.config import StimuliConfig
from semanticcmc.evaluation.stimuli import StimulusFolder, stimulus_folder
from semanticcmc.evaluation.stimulus_checks import probe, remarks
from semanticcmc.experiment import Experiment, repository_root
from semanticcmc.films.pictures import read_image, square

WNIDS = ("n02084071", "n02121620", "n02958343", "n03001627", "n04379243")
# Four colours, one a quadrant: any turn, mirror or shift shows.
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def quadrants(side: int = 40) -> Image.Image:
    pixels = np.zeros((side, side, 3), dtype=np.uint8)
    half = side // 2
    pixels[:half, :half], pixels[:half, half:], pixels[half:, :half], pixels[half:, half:] = (RED, GREEN, BLUE, WHITE)
    return Image.fromarray(pixels)


def corners(image: Image.Image) -> list[tuple[int, ...]]:
    width, height = image.size
    return [image.getpixel(at) for at in ((2, 2), (width - 3, 2), (2, height - 3), (width - 3, height - 3))]


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (max(2, height // 8), max(2, width // 8), 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture
def folder(tmp_path):
    """Five classes of three JPEGs, all of other sizes."""
    for i, wnid in enumerate(WNIDS):
        (tmp_path / wnid).mkdir()
        for k in range(3):
            noise(30 + 10 * i, 50 - 7 * k, seed=3 * i + k).save(tmp_path / wnid / f"{k}.jpg")
    return tmp_path


def config(size_px=32, images_per_class=None, conditions=("intact",), blur_sigma_px=2.0, masked_grey=255):
    return StimuliConfig(None, size_px, images_per_class, conditions, blur_sigma_px, masked_grey)


SECTION = {
    "folder": None,
    "size_px": 32,
    "images_per_class": None,
    "conditions": ["intact"],
    "blur_sigma_px": 2.0,
    "masked_grey": 255,
}


# --- reading ---


def turn_back(image: Image.Image, orientation: int) -> Image.Image:
    """How a camera stores an upright picture under each EXIF orientation (Exif 2.3, tag 0x0112)."""
    pixels = np.asarray(image)
    stored = {
        1: pixels,
        2: pixels[:, ::-1],  # row 0 is the top, column 0 the right side
        3: pixels[::-1, ::-1],  # bottom, right
        4: pixels[::-1],  # bottom, left
        5: pixels.transpose(1, 0, 2),  # row 0 is the left side, column 0 the top
        6: pixels.transpose(1, 0, 2)[::-1],  # row 0 is the right side, column 0 the top
        7: pixels.transpose(1, 0, 2)[::-1, ::-1],  # right, bottom
        8: pixels.transpose(1, 0, 2)[:, ::-1],  # left, bottom
    }[orientation]
    return Image.fromarray(np.ascontiguousarray(stored))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_cameras_orientation_is_applied(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    turn_back(quadrants(), orientation).save(tmp_path / "a.png", exif=exif)
    assert corners(read_image(tmp_path / "a.png")) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize("mode", ["RGB", "P", "RGBA", "CMYK"])
def test_colours_survive_every_colour_mode(tmp_path, mode):
    image = quadrants().convert(mode)
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    image.save(path)
    assert Image.open(path).mode == mode
    assert corners(read_image(path)) == [RED, GREEN, BLUE, WHITE]


def test_cmyk_jpeg_is_no_negative(tmp_path):
    quadrants(64).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.mode == "CMYK"
    np.testing.assert_allclose(corners(read_image(tmp_path / "a.jpg")), [RED, GREEN, BLUE, WHITE], atol=25)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16"])
def test_greys_become_three_equal_channels(tmp_path, mode):
    grey = Image.fromarray(np.repeat([[0, 255]], 8, 0).repeat(4, 1).astype(np.uint8))
    image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257) if mode == "I;16" else grey.convert(mode)
    image.save(tmp_path / "a.png")
    pixels = np.asarray(read_image(tmp_path / "a.png"))
    assert pixels.shape == (8, 8, 3)
    assert (pixels[:, :4] == 0).all()
    assert (pixels[:, 4:] == 255).all()


def test_16_bits_keep_their_whole_range(tmp_path):
    """Every 16-bit grey goes to its nearest 8-bit grey: 65,535 is 255, 32,896 is 128; none is clipped."""
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    Image.fromarray(values).save(tmp_path / "a.png")
    expected = np.floor(values / 65535 * 255 + 0.5).astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(read_image(tmp_path / "a.png"))[:, :, 1], expected)


def test_transparency_becomes_white(tmp_path):
    pixels = np.zeros((8, 8, 4), dtype=np.uint8)
    pixels[:, 4:] = (200, 0, 0, 255)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert corners(read_image(tmp_path / "a.png")) == [WHITE, (200, 0, 0), WHITE, (200, 0, 0)]
    palette = Image.fromarray(pixels[:, :, :3]).convert("P", palette=Image.Palette.ADAPTIVE)
    palette.save(tmp_path / "b.gif", transparency=palette.getpixel((0, 0)))
    assert corners(read_image(tmp_path / "b.gif")) == [WHITE, (200, 0, 0), WHITE, (200, 0, 0)]


def test_an_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, GREEN, BLUE)]
    for name in ("a.gif", "a.webp"):
        frames[0].save(
            tmp_path / name, save_all=True, append_images=frames[1:], **({"lossless": True} if "webp" in name else {})
        )
        assert corners(read_image(tmp_path / name)) == [RED] * 4


@settings(deadline=None, max_examples=60)
@given(st.integers(20, 150), st.integers(20, 150), st.integers(8, 64))
def test_square_equals_torchvision(width, height, size_px):
    image = noise(width, height)
    theirs = Compose([Resize(size_px, InterpolationMode.BILINEAR), CenterCrop(size_px)])(image)
    ours = square(image, size_px)
    assert ours.shape == (size_px, size_px, 3)
    np.testing.assert_array_equal(ours, np.asarray(theirs))


# --- batches ---


@pytest.mark.parametrize("batch_size", [1, 2, 4, 15, 100])
def test_batches_hold_every_image_once_in_order(folder, batch_size):
    stimuli = StimulusFolder(folder, config())
    assert stimuli.classes == tuple(sorted(WNIDS))
    batches = list(stimuli.batches(batch_size))
    assert [len(images) for images, _ in batches[:-1]] == [batch_size] * (len(batches) - 1)
    images, class_index = (torch.cat(parts) for parts in zip(*batches, strict=True))
    assert (images.dtype, class_index.dtype) == (torch.uint8, torch.int64)
    assert images.shape == (len(stimuli), 3, 32, 32) == (15, 3, 32, 32)
    assert [stimuli.classes[i] for i in class_index] == stimuli.files["wnid"].tolist()
    for image, path in zip(images, stimuli.files["path"], strict=True):
        np.testing.assert_array_equal(image.permute(1, 2, 0), square(Image.open(path).convert("RGB"), 32))


def test_a_reader_holds_three_batches_whatever_the_folder_holds(folder):
    """All 195 images at 96 px would take 5.4 MB; three batches of 4 take 0.3 MB."""

    def peak(images_per_class):
        stimuli = StimulusFolder(folder, config(96, images_per_class))
        tracemalloc.start()
        for _ in stimuli.batches(4):
            pass
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    for wnid in WNIDS:
        for k in range(36):
            noise(30, 30, seed=k).save(folder / wnid / f"more-{k:02d}.png")
    peak(4)  # what is imported on the way
    assert peak(None) < peak(4) + 500_000


def test_at_most_so_many_images_a_class_the_first_by_name(folder):
    files = StimulusFolder(folder, config(images_per_class=2)).files
    assert [path.rsplit("/", 1)[1] for path in files["path"]] == ["0.jpg", "1.jpg"] * 5


def test_a_reader_that_stops_early_leaves_no_thread_at_work(folder):
    before = threading.active_count()
    batches = StimulusFolder(folder, config()).batches(1)
    next(batches)
    batches.close()
    assert threading.active_count() == before


def test_other_files_and_hidden_ones_are_no_stimuli(folder):
    (folder / "readme.txt").write_text("hello")
    (folder / ".cache").mkdir()
    (folder / WNIDS[0] / "Thumbs.db").write_bytes(b"x")
    (folder / WNIDS[0] / "._0.jpg").write_bytes(b"x")
    quadrants().save(folder / WNIDS[0] / "UPPER.JPG")
    assert len(StimulusFolder(folder, config())) == len(probe(folder, config())) == 16


# --- probing ---


def test_probe_describes_every_image_as_it_will_stand(folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    noise(60, 20).save(folder / WNIDS[0] / "turned.jpg", exif=exif)
    table = probe(folder, config()).set_index("path")
    assert len(table) == 16
    row = table.loc[str(folder / WNIDS[0] / "turned.jpg")]
    assert (row.wnid, row.width, row.height, row["mode"]) == (WNIDS[0], 20, 60, "RGB")


def test_as_many_images_are_opened_at_once_as_there_are_cores(folder, monkeypatch):
    """Also by a job whose torch computes with one thread; 15 images are opened by threes, or never."""
    together = threading.Barrier(3, timeout=60)

    def read(path):
        together.wait()
        return read_image(path)

    monkeypatch.setattr(stimulus_checks, "available_cores", lambda: 3)
    monkeypatch.setattr(stimulus_checks, "read_image", read)
    assert len(probe(folder, config())) == 15


def test_all_problems_are_named_at_once(folder):
    """Text named .jpg, a JPEG cut short, an empty file, an empty class, no wnid, a wnid that WordNet lacks."""
    (folder / WNIDS[0] / "text.jpg").write_text("this is no picture")
    whole = (folder / WNIDS[1] / "0.jpg").read_bytes()
    (folder / WNIDS[1] / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / WNIDS[2] / "nothing.png").touch()
    (folder / "n02085620").mkdir()
    for name in ("dogs", "n99999999"):
        (folder / name).mkdir()
        quadrants().save(folder / name / "a.png")
    with pytest.raises(InputError) as caught:
        probe(folder, config())
    lines = str(caught.value).splitlines()
    assert "6 problems" in lines[0]
    for words in (
        (f"{WNIDS[0]}/text.jpg", "not readable", "replace or remove"),
        (f"{WNIDS[1]}/cut.jpg", "not readable", "replace or remove"),
        (f"{WNIDS[2]}/nothing.png", "not readable", "replace or remove"),
        ("n02085620", "no image", "remove"),
        ("dogs", "no WordNet id", "rename"),
        ("n99999999", "not in the WordNet taxonomy", "make_taxonomy"),
    ):
        assert [line for line in lines[1:] if all(word in line for word in words)], words


def test_every_truncation_of_a_jpeg_is_found(folder):
    whole = (folder / WNIDS[0] / "0.jpg").read_bytes()
    path = folder / WNIDS[0] / "0.jpg"
    for part in (10, 100, len(whole) // 3, len(whole) - 200):
        path.write_bytes(whole[:part])
        with pytest.raises(InputError, match=r"0\.jpg: not readable"):
            probe(folder, config())


def test_many_problems_are_counted_and_not_all_spelled_out(folder):
    for k in range(30):
        (folder / WNIDS[0] / f"bad-{k}.jpg").touch()
    with pytest.raises(InputError, match=r"30 problems(?s:.*)and 10 more"):
        probe(folder, config())


def test_pixels_that_have_no_range_are_refused(tmp_path):
    Image.fromarray(np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)).save(tmp_path / "f.tif")
    Image.fromarray(np.full((8, 8), 10**6, dtype=np.int32)).save(tmp_path / "i.tif")
    for name in ("f.tif", "i.tif"):
        with pytest.raises(InputError, match=rf"{name}: not readable .*expected 8 or 16 bits"):
            read_image(tmp_path / name)


def test_missing_and_empty_folders_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        probe(tmp_path / "absent", config())
    with pytest.raises(InputError, match="no class folders"):
        StimulusFolder(tmp_path, config())
    (tmp_path / WNIDS[0]).mkdir()
    with pytest.raises(InputError, match=f"no image of {WNIDS[0]}"):
        StimulusFolder(tmp_path, config())
    quadrants().save(tmp_path / WNIDS[0] / "a.png")
    with pytest.raises(InputError, match="at least 4 are needed"):
        probe(tmp_path, config())


def test_a_user_is_told_what_was_converted_and_what_cannot_be_had(folder):
    """Files of every kind pass; greyscale, CMYK, palette, 16 bits, animations and single images are remarked."""
    assert remarks(probe(folder, config())) == []
    for k in (1, 2):
        (folder / WNIDS[4] / f"{k}.jpg").unlink()
    for mode, name in (("L", "a.png"), ("CMYK", "b.jpg"), ("P", "c.png"), ("RGBA", "d.png")):
        quadrants().convert(mode).save(folder / WNIDS[0] / name)
    Image.fromarray(np.full((9, 9), 1000, dtype=np.uint16)).save(folder / WNIDS[1] / "e.png")
    frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, GREEN)]
    frames[0].save(folder / WNIDS[2] / "f.gif", save_all=True, append_images=frames[1:])
    table = probe(folder, config())
    assert table.set_index("path").frames[str(folder / WNIDS[2] / "f.gif")] == 2
    said = remarks(table)
    for words in (
        ("1 of 5 classes have a single image", WNIDS[4], "no accuracy"),
        ("mode L,", "a.png"),
        ("mode CMYK", "b.jpg"),
        ("2 images of Pillow's mode P", "c.png"),
        ("mode RGBA", "d.png"),
        ("mode I;16", "e.png"),
        ("1 animation", "first frame", "f.gif"),
    ):
        assert [line for line in said if all(word in line for word in words)], (words, said)


HOSTILE = {
    "pipe.jpg": (os.mkfifo, "no regular file"),
    "zero.png": (lambda path: path.symlink_to("/dev/zero"), "no regular file"),
    "gone.jfif": (lambda path: path.symlink_to("nowhere"), "no regular file"),
    "folder.jpg": (lambda path: path.mkdir(), "no regular file"),
    "script.jpg": (lambda path: path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"), "not readable"),
    "script.png": (lambda path: path.write_bytes(b"\xc5\xd0\xd3\xc6" + b"\0" * 40), "not readable"),
    "metafile.bmp": (lambda path: path.write_bytes(b"\xd7\xcd\xc6\x9a" + b"\0" * 60), "not readable"),
    "flash.gif": (lambda path: path.write_bytes(b"FITS" + b"\0" * 60), "not readable"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_only_regular_files_of_known_formats_are_opened(folder, monkeypatch, name):
    """A pipe is waited for without end, a device never ends, and Pillow would call Ghostscript for PostScript."""
    make, words = HOSTILE[name]
    make(folder / WNIDS[0] / name)
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a program was called"))
    with pytest.raises(InputError, match=rf"{name}: {words}"):
        probe(folder, config())


@pytest.mark.parametrize(
    "name, kind",
    [
        ("a.jfif", "JPEG"),
        ("a.jpe", "JPEG"),
        ("a.avif", "AVIF"),
        ("a.jp2", "JPEG2000"),
        ("A.WEBP", "WEBP"),
        ("a.tif", "TIFF"),
    ],
)
def test_images_of_all_named_kinds_are_read(folder, name, kind):
    if kind not in Image.SAVE and (Image.init(), kind not in Image.SAVE)[1]:
        pytest.skip(f"this Pillow has no {kind}")
    before = len(probe(folder, config()))
    quadrants().save(folder / WNIDS[0] / name, kind)
    assert len(probe(folder, config())) == before + 1
    assert np.abs(np.asarray(read_image(folder / WNIDS[0] / name)).astype(int) - np.asarray(quadrants())).mean() < 8


# --- configuration ---


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("size_px", 4, "size_px 4"),
        ("images_per_class", 0, "images_per_class 0"),
        ("conditions", ["intact", "upside_down"], "'upside_down' is none of intact, grey"),
        ("conditions", ["blur"], "intact among them"),
        ("conditions", ["intact", "intact"], "no duplicate"),
        ("blur_sigma_px", 0, "blur_sigma_px 0"),
        ("masked_grey", 256, "masked_grey 256"),
        ("colour", 1, "unknown key colour"),
    ],
)
def test_bad_values_are_refused_by_name(key, value, message):
    values = dict(SECTION) | {key: value}
    with pytest.raises(InputError, match=rf"my\.yaml: .*{message}|my\.yaml, .*{message}"):
        configure(StimuliConfig, values, "my.yaml")


def test_stimuli_of_an_experiment(tmp_path):
    def experiment(source, folder):
        section = {"stimuli": SECTION | {"folder": folder}}
        return Experiment("e", "E", source, (1.0,), (), (0,), "fc7", section, tmp_path / "e.yaml", tmp_path)

    assert stimulus_folder(experiment("world", None)) == tmp_path / "stimuli"
    assert stimulus_folder(experiment("films", str(tmp_path / "mine"))) == tmp_path / "mine"
    with pytest.raises(InputError, match=r"STIMULI="):
        stimulus_folder(experiment("films", None))


def experiment_file(tmp_path, folder):
    file = tmp_path / "results" / "mine" / "experiment.yaml"
    file.parent.mkdir(parents=True)
    head = "name: mine\ntitle: Mine\nsource: films\nlags_s: [1]\nbaselines: []\nseeds: [0]\nprimary_layer: fc7\n"
    file.write_text(head + yaml.safe_dump({"stimuli": SECTION | {"folder": str(folder)}}))
    return file


def test_command_line_counts_what_it_opened(folder, tmp_path_factory, capsys):
    file = experiment_file(tmp_path_factory.mktemp("e"), folder)
    assert main(["stimuli", str(file)]) == 0
    found = json.loads((file.parent / "stimuli.json").read_text())
    assert (found["classes"], found["images"], found["modes"]) == (5, 15, {"RGB": 15})
    assert "15 images of 5 classes" in capsys.readouterr().err
    quadrants().convert("L").save(folder / WNIDS[0] / "grey.png")
    assert main(["stimuli", str(file)]) == 0
    said = "1 image of Pillow's mode L, brought to 8-bit RGB"
    assert said in capsys.readouterr().err
    assert said in json.loads((file.parent / "stimuli.json").read_text())["remarks"][0]
    for name in ("a.heic", "b.jpg.part", "Thumbs.db", ".hidden.heic"):
        (folder / WNIDS[0] / name).touch()
    assert main(["stimuli", str(file)]) == 0
    assert "2 files of other kinds among the images, not shown (such as " in capsys.readouterr().err


def test_command_line_stops_at_a_bad_image(folder, tmp_path_factory, capsys):
    (folder / WNIDS[0] / "text.jpg").write_text("this is no picture")
    file = experiment_file(tmp_path_factory.mktemp("e"), folder)
    assert main(["stimuli", str(file)]) == 2
    assert not (file.parent / "stimuli.json").exists()
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "text.jpg" in error


def test_a_relative_folder_counts_from_the_repository(tmp_path, monkeypatch):
    section = {"stimuli": SECTION | {"folder": "some/images"}}
    experiment = Experiment("e", "E", "films", (1.0,), (), (0,), "fc7", section, tmp_path / "e.yaml", tmp_path)
    monkeypatch.chdir(repository_root() / "analysis")  # where papermill runs a notebook
    assert stimulus_folder(experiment) == repository_root() / "some" / "images"


def test_real_images_all_read():
    samples = repository_root().parent / "shared" / "data" / "imagenet_samples"
    if not samples.is_dir():
        pytest.skip("the ImageNet samples are not beside the checkout")
    table = probe(samples, config())
    assert len(table) == table["wnid"].nunique() == 1000
