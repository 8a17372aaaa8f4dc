"""Worlds whose objects are photographs, on small pictures made here whose colours say which they are."""

import dataclasses
import runpy

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from semanticcmc.config import InputError
from semanticcmc.evaluation.conditions import under
from semanticcmc.evaluation.config import StimuliConfig
from semanticcmc.evaluation.stimuli import StimulusFolder
from semanticcmc.films.store import FrameStore
from semanticcmc.labels.stream import read_labels
from semanticcmc.world.build import build
from semanticcmc.world.classes import read_classes
from semanticcmc.world.photographs import _boxes, appearances, photographed_frames, photographed_stimuli, photographs
from semanticcmc.world.timeline import CLOSE_UP, timelines
from tests.conftest import ROOT
from tests.world.test_timeline import world

SHOWN, TESTED = 5, 3  # photographs of a class
PX = 16


def level(k, number, part):
    """Grey level of a photograph: train in even, test in odd ones."""
    return 2 * (k * (SHOWN + TESTED) + number) + (part == "test")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four classes, each photograph of one grey level; boxes to the left of the middle."""
    place = tmp_path_factory.mktemp("photographs")
    config = world(categories=2, classes_per_category=2, cast_size=2)
    lines = ["file,x0,y0,x1,y1"]
    for part, count in (("train", SHOWN), ("test", TESTED)):
        for k, wnid in enumerate(read_classes(config)["wnid"]):
            (place / part / wnid).mkdir(parents=True)
            for number in range(count):
                file = f"{part}/{wnid}/{number}.png"
                Image.new("RGB", (24, PX), (level(k, number, part),) * 3).save(place / file)
                lines.append(f"{file},6,3,11,12")
    (place / "boxes.csv").write_text("\n".join(lines) + "\n")
    return place


@pytest.fixture
def config(folder):
    sizes = {"categories": 2, "classes_per_category": 2, "cast_size": 2, "stimuli_per_class": 2, "image_px": PX}
    own = {"objects": "photographs", "photographs": str(folder), "film_grade": 0.0}
    return world(films=3, film_duration_s=300.0, **sizes, **own)


def test_each_photograph_is_dealt_once_before_any_is_dealt_again(config):
    config = dataclasses.replace(config, film_duration_s=2400.0)
    table = appearances(config)
    assert len(table) == sum(film.objects.size for film in timelines(config))
    for wnid, own in table.groupby("wnid", sort=False):
        assert set(own["file"].str.split("/").str[:2].map(tuple)) == {("train", wnid)}
        rounds = [own["file"].iloc[i : i + SHOWN] for i in range(0, len(own), SHOWN)]
        assert len(rounds) > 2
        assert all(part.nunique() == len(part) for part in rounds)
        assert len({tuple(part) for part in rounds[:-1]}) > 1  # shuffled anew


def test_few_exemplars_come_again_in_other_films(config):
    config = dataclasses.replace(config, film_duration_s=2400.0)
    few = appearances(dataclasses.replace(config, exemplars=2))
    assert (few.groupby("wnid")["file"].nunique() == 2).all()
    assert (few.groupby("file")["movie_id"].nunique() > 1).all()
    other = appearances(dataclasses.replace(config, exemplars=2, seed=1))
    assert set(few["file"]) != set(other["file"])  # drawn by seed


def test_frames_show_the_photograph_that_labels_and_appearances_name(config, tmp_path):
    build(config, tmp_path, processes=1)
    store, table = FrameStore(tmp_path / "frames"), pd.read_csv(tmp_path / "world" / "appearances.csv")
    stream = read_labels(tmp_path / "labels")
    nouns = read_classes(config).set_index("wnid")["noun"]
    film = timelines(config)[1]
    own = table[table["movie_id"] == film.movie_id].set_index(["beat", "object"])
    for shot in film.shots[film.shots["stop_s"] - film.shots["start_s"] > 2].itertuples():
        time_s = np.ceil(shot.start_s)
        appearance = own.loc[(shot.beat, 0 if shot.setup == CLOSE_UP else 1)]
        shown = np.asarray(Image.open(config.photographs + "/" + appearance["file"]))[0, 0, 0]
        assert np.abs(store.read(film.movie_id, time_s).astype(int) - shown).max() <= 2  # JPEG
        said = stream.labels.iloc[stream.rows[film.movie_id]]
        said = said[(said["time_s"] - time_s).abs() < 1e-6]["label"]
        assert list(said) == [nouns[appearance["wnid"]]]


def test_stimuli_are_of_test_alone_and_films_of_train_alone(config):
    films = [photographed_frames(config, film) for film in timelines(config)]
    assert {int(value) % 2 for film in films for value in np.unique(film)} == {0}
    for k in range(4):
        images, masks = photographed_stimuli(config, k)
        assert images.shape == (2, PX, PX, 3) and images[:, 0, 0, 0].tolist() == [level(k, i, "test") for i in (0, 1)]
        assert not masks.any()


def test_what_else_is_drawn_does_not_change_the_deal(config):
    assert appearances(config).equals(appearances(dataclasses.replace(config, stimuli_per_class=1, label_misses=0.5)))
    film = timelines(config)[2]
    graded = photographed_frames(dataclasses.replace(config, film_grade=1.0), film)
    assert not np.array_equal(graded, photographed_frames(config, film))


def test_boxes_are_the_masks_of_object_and_background(config, tmp_path):
    config = dataclasses.replace(config, stimuli_in_context=True, films=1, film_duration_s=60.0)
    build(config, tmp_path, processes=1)
    assert not (tmp_path / "world" / "look_rdm.parquet").exists()  # true looks are not known
    box = np.zeros((PX, PX), dtype=bool)
    box[3:13, 2:8] = True  # x from 6 to 11 of 24 px, of which the central 16 begin at 4
    kept = StimuliConfig(None, PX, None, ("intact", "object", "background"), 4.0, 255)
    stimuli = StimulusFolder(tmp_path / "stimuli", kept)
    wnids = read_classes(config)["wnid"].tolist()
    intact, index = next(stimuli.batches(100))
    expected = [level(wnids.index(stimuli.classes[i]), n % 2, "test") for n, i in enumerate(index.tolist())]
    assert intact[:, 0, 0, 0].tolist() == expected  # without loss
    for condition, hidden in (("object", ~box), ("background", box)):
        images = next(stimuli.batches(100, condition))[0].numpy()
        assert ((images == 255).all((0, 1)) == hidden).all()
        again = under(
            condition, np.zeros((PX, PX, 3), np.uint8), blur_sigma_px=1, masked_grey=9, mask=box * np.uint8(255)
        )
        assert ((again == 9).all(2) == hidden).all()


def test_other_photographs_make_the_world_anew(config, folder, tmp_path):
    mine = tmp_path / "photographs"
    for part in ("train", "test"):
        for path in (folder / part).rglob("*.png"):
            (mine / path.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
            Image.open(path).save(mine / path.relative_to(folder))
    config = dataclasses.replace(config, photographs=str(mine), films=1, film_duration_s=60.0)
    build(config, tmp_path / "world", processes=1)
    made = (tmp_path / "world" / "frames" / "film-01.tar").stat().st_mtime_ns
    build(config, tmp_path / "world", processes=1)
    assert (tmp_path / "world" / "frames" / "film-01.tar").stat().st_mtime_ns == made
    photographs.cache_clear()
    appearances.cache_clear()
    next((mine / "train").rglob("*.png")).unlink()
    build(config, tmp_path / "world", processes=1)
    assert (tmp_path / "world" / "frames" / "film-01.tar").stat().st_mtime_ns != made


# Bad input.


@pytest.fixture
def broken(config, folder, tmp_path):
    """A copy of the photographs to spoil, its configuration, and a class of it."""
    for path in folder.rglob("*.*"):
        (tmp_path / path.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path.relative_to(folder)).write_bytes(path.read_bytes())
    wnid = read_classes(config)["wnid"][0]
    return tmp_path, dataclasses.replace(config, photographs=str(tmp_path), stimuli_in_context=True), wnid


def test_missing_folders_and_pictures_are_named_with_their_source(config, broken):
    place, spoiled, wnid = broken
    for photographs_of in (None, str(place / "nowhere")):
        with pytest.raises(InputError, match="(null|nowhere: no such folder)[:;] name a folder.*tiny-imagenet-200.zip"):
            photographs(dataclasses.replace(config, photographs=photographs_of))
    for path in (place / "train" / wnid).iterdir():
        path.unlink()
    with pytest.raises(InputError, match=f"train/{wnid}: no picture in it"):
        photographs(spoiled)
    (place / "train" / wnid).rmdir()
    with pytest.raises(InputError, match=f"train/{wnid}: no such folder"):
        photographs(spoiled)


def test_a_photograph_in_both_folders_is_refused(broken):
    place, spoiled, wnid = broken
    (place / "train" / wnid / "again.png").write_bytes((place / "test" / wnid / "1.png").read_bytes())
    with pytest.raises(InputError, match="test/.*/1.png: the same photograph as .*train/.*/again.png"):
        photographs(spoiled)


def test_a_photograph_that_films_show_as_another_class_is_refused_too(broken):
    place, spoiled, wnid = broken
    other = read_classes(spoiled)["wnid"][1]
    (place / "train" / other / "again.png").write_bytes((place / "test" / wnid / "1.png").read_bytes())
    with pytest.raises(InputError, match=f"test/{wnid}/1.png: the same photograph as .*train/{other}/again.png"):
        photographs(spoiled)


def test_a_link_to_no_photograph_is_named(broken):
    place, spoiled, wnid = broken
    (place / "train" / wnid / "gone.png").symlink_to(place / "nowhere.png")
    with pytest.raises(InputError, match=f"train/{wnid}/gone.png: a folder, or a link to no file; remove it"):
        photographs(spoiled)


def test_an_unreadable_photograph_is_named(broken):
    place, spoiled, wnid = broken
    for path in (place / "train" / wnid).iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(InputError, match=f"train/{wnid}/.*png: not readable as an image"):
        for film in timelines(spoiled):
            photographed_frames(spoiled, film)


@pytest.mark.parametrize(
    "line, said",
    [
        ("", "no such line; add it or set world.stimuli_in_context: false"),
        ("6,3,x,12", "box 6, 3, x, 12; expected x0 <= x1 below 24 and y0 <= y1 below 16"),
        ("6,3,11,16", "box 6, 3, 11, 16; expected x0 <= x1 below 24 and y0 <= y1 below 16"),
        ("11,3,6,12", "box 11, 3, 6, 12; expected"),
    ],
)
def test_a_box_that_cannot_be_is_named(broken, line, said):
    place, spoiled, wnid = broken
    file = f"test/{wnid}/0.png"
    kept = [one for one in (place / "boxes.csv").read_text().splitlines() if not one.startswith(file)]
    (place / "boxes.csv").write_text("\n".join([*kept, *([f"{file},{line}"] if line else [])]) + "\n")
    with pytest.raises(InputError, match=f"boxes.csv, {file}: {said}"):
        photographed_stimuli(spoiled, 0)


def test_photographs_that_show_no_object_or_no_background_are_left_out(broken, capsys):
    place, spoiled, wnid = broken
    kept = (place / "boxes.csv").read_text().splitlines()
    for box in ("4,0,19,15", "0,0,2,15"):  # the whole central square, or none of it
        own = [f"test/{wnid}/0.png,{box}" if one.startswith(f"test/{wnid}/0.png") else one for one in kept]
        (place / "boxes.csv").write_text("\n".join(own) + "\n")
        _boxes.cache_clear()
        images, masks = photographed_stimuli(spoiled, 0)
        assert images[:, 0, 0, 0].tolist() == [level(0, 1, "test")] and len(masks) == 1
        assert f"{wnid}: 1 of 2 photographs left out" in capsys.readouterr().out
        own = [f"{one.split(',')[0]},{box}" if one.startswith(f"test/{wnid}") else one for one in kept]
        (place / "boxes.csv").write_text("\n".join(own) + "\n")
        _boxes.cache_clear()
        with pytest.raises(InputError, match=f"boxes.csv, {wnid}: 2 of 2 photographs left out.*; add others"):
            photographed_stimuli(spoiled, 0)


def test_what_photographs_have_no_use_for_is_refused(config):
    for name, value in {"class_places": 0.5, "other_views": ("flow",), "hum": "category"}.items():
        with pytest.raises(ValueError, match=f"{name} .*of drawn objects alone"):
            dataclasses.replace(config, **{name: value})
    with pytest.raises(ValueError, match="exemplars 3: expected null with objects drawn"):
        world(exemplars=3)


def test_classes_of_ones_own(tmp_path):
    table = tmp_path / "classes.csv"
    rows = read_classes(world(categories=3, classes_per_category=2, cast_size=2))
    rows.iloc[::-1].to_csv(table, index=False)
    found = read_classes(world(classes=str(table), categories=2, classes_per_category=2, cast_size=2))
    assert found["wnid"].tolist() == rows["wnid"].tolist()[:1:-1]


def test_tiny_imagenet_is_laid_out(tmp_path):
    source, target = tmp_path / "tiny-imagenet-200", tmp_path / "photographs"
    (source / "train" / "n1" / "images").mkdir(parents=True)
    (source / "val" / "images").mkdir(parents=True)
    names = [f"n1_{i}.JPEG" for i in (0, 10, 2)]
    for name in names:
        (source / "train" / "n1" / "images" / name).write_text(name)
    (source / "train" / "n1" / "n1_boxes.txt").write_text("".join(f"{name}\t0\t1\t62\t63\n" for name in names))
    (source / "val" / "images" / "val_7.JPEG").write_text("seven")
    (source / "val" / "val_annotations.txt").write_text("val_7.JPEG\tn1\t3\t4\t5\t6\n")
    runpy.run_path(str(ROOT / "data_manifests" / "lay_out_tiny_imagenet.py"))["main"](source, target, 2, 1)
    assert sorted(path.name for path in (target / "train" / "n1").iterdir()) == ["n1_0.JPEG", "n1_2.JPEG"]
    assert (target / "test" / "n1" / "val_7.JPEG").read_text() == "seven"
    boxes = pd.read_csv(target / "boxes.csv").set_index("file")
    assert boxes.loc["test/n1/val_7.JPEG"].tolist() == [3, 4, 5, 6] and len(boxes) == 3
