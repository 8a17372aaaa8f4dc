"""Pictures of the world and the files that `build` writes."""

import dataclasses
import hashlib
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

from semanticcmc.cli import main
from semanticcmc.evaluation.conditions import CONDITIONS
from semanticcmc.evaluation.config import StimuliConfig
from semanticcmc.evaluation.stimuli import StimulusFolder
from semanticcmc.evaluation.stimulus_checks import probe
from semanticcmc.films.pairs import lagged_pairs
from semanticcmc.films.store import FrameStore
from semanticcmc.labels.stream import read_labels
from semanticcmc.rsa.rdm import read_rdms
from semanticcmc.world import renderer as renderers
from semanticcmc.world.build import build
from semanticcmc.world.classes import read_classes
from semanticcmc.world.labels import label_tables
from semanticcmc.world.objects import N_LOOK, Light, class_looks, draw_objects, oklch
from semanticcmc.world.places import place_latents
from semanticcmc.world.renderer import FilmRenderer, stills, stimuli
from semanticcmc.world.timeline import TWO_SHOT, timelines
from tests.world.test_timeline import world

PICTURES = world(films=2, film_duration_s=300.0, film_grade=0.0)
SMALL = world(
    films=2,
    film_duration_s=40.0,
    time_scale=0.25,
    categories=2,
    classes_per_category=2,
    cast_size=2,
    stimuli_per_class=2,
    label_misses=0.1,
    label_false_alarms=0.1,
)


@pytest.fixture(scope="module")
def film():
    return FilmRenderer(PICTURES, timelines(PICTURES)[0], class_looks(PICTURES))


def sizes(mask):
    return mask.reshape(len(mask), -1).mean(1)


# Pictures.


def test_frames_show_what_the_labels_say(film):
    """Give one class another look: exactly the frames that carry its label change."""
    labels, _ = label_tables(PICTURES, [film.timeline])
    classes = read_classes(PICTURES)
    chosen = film.timeline.objects[2, 0]
    looks = class_looks(PICTURES)
    looks[chosen] = -looks[chosen]
    times_s = PICTURES.times_s
    other = FilmRenderer(PICTURES, film.timeline, looks)
    changed = (film.frames(times_s) != other.frames(times_s)).any(axis=(1, 2, 3))
    labelled = labels.loc[labels["label"] == classes["noun"][chosen], "time_s"].to_numpy()
    in_view = np.abs(times_s[:, None] - labelled).min(1) < 1e-6
    assert np.array_equal(changed, in_view) and 0 < in_view.sum() < len(times_s)


def on_grey(film, times_s):
    """Frames of objects alone, without shadows: where an object is opaque it has the pixels of the whole picture."""

    def grey(pictures, centre, width, size):
        return torch.full((len(centre), 3, size, size), 0.5)

    with mock.patch.multiple(renderers, _view_of_places=grey, _cast_shadow=lambda *_: None):
        return film.frames(times_s)


def empty(film, times_s):
    """Frames of the same places without objects and their shadows."""
    with mock.patch.object(FilmRenderer, "objects", lambda *_: ()), mock.patch.object(renderers, "_cast_shadow"):
        return film.frames(times_s)


def test_layers_hold_the_objects_and_the_place(film):
    times_s = PICTURES.times_s[::3]
    together, objects, place = (show(film, times_s).astype(int) for show in (FilmRenderer.frames, on_grey, empty))
    seen = (np.abs(objects - 128) > 2).any(-1)
    differs = (np.abs(together - place) > 2).any(-1)
    assert ((sizes(seen) > 0.04) & (sizes(seen) < 0.8)).all()  # an object is in view, and room around it
    assert (sizes(differs & seen) > 0.8 * sizes(seen)).all()  # and it stands out against the place
    # The looks of objects do not reach the place, and behind opaque pixels the place does not show.
    other = FilmRenderer(PICTURES, film.timeline, -class_looks(PICTURES))
    assert np.array_equal(empty(other, times_s), place)
    grown = torch.nn.functional.max_pool2d(torch.from_numpy(1.0 - seen)[:, None], 5, 1, 2)[:, 0].numpy() == 0
    assert grown.any() and (np.abs(together - objects)[grown] <= 1).mean() > 0.97  # where parts join there are seams


def test_two_shots_have_two_objects_and_close_ups_a_larger_one(film):
    times_s = PICTURES.times_s
    seen = (np.abs(on_grey(film, times_s).astype(int) - 128) > 2).any(-1)
    two = film.timeline.shots["setup"].to_numpy()[film.timeline.shot_at(times_s)] == TWO_SHOT
    left, right = seen[:, :, :16].mean((1, 2)), seen[:, :, 16:].mean((1, 2))
    assert (np.minimum(left, right)[two] > 0.01).all()
    middle = seen[:, 14:18, 14:18].mean((1, 2))
    assert middle[~two].mean() > 0.95
    assert sizes(seen)[~two].mean() > 2 * sizes(seen)[two].mean() / 2  # one object against each of two


def test_a_set_up_returns_within_a_beat_and_not_after(film):
    shots = film.timeline.shots
    frames = film.frames((shots["start_s"] + shots["stop_s"]).to_numpy() / 2).astype(float)
    beat, setup = shots["beat"].to_numpy(), shots["setup"].to_numpy()
    i, j = np.triu_indices(len(shots), 1)
    distance = np.sqrt(((frames[i] - frames[j]) ** 2).mean((1, 2, 3)))
    same_beat, same_setup = beat[i] == beat[j], setup[i] == setup[j]
    returns, cuts, apart = (distance[m].mean() for m in (same_beat & same_setup, same_beat & ~same_setup, ~same_beat))
    assert returns < 0.6 * cuts and cuts < apart


def test_grade_and_place_are_knobs():
    films = timelines(PICTURES)
    times_s = np.arange(0, 300, 5.0)

    def colour_apart(strength):
        config = dataclasses.replace(PICTURES, film_grade=strength)
        means = [FilmRenderer(config, f, class_looks(config)).frames(times_s).mean((0, 1, 2)) for f in films]
        return np.abs(means[0] - means[1]).max()

    assert colour_apart(1.0) > colour_apart(0.0) + 3

    def between_beats(share):
        config = dataclasses.replace(PICTURES, scene_background=share)
        renderer = FilmRenderer(config, films[0], class_looks(config))
        shots = films[0].shots[films[0].shots["setup"] == TWO_SHOT].groupby("beat").first()
        frames = empty(renderer, shots["start_s"].to_numpy() + 1).astype(float)
        same = shots["scene"].to_numpy()[1:] == shots["scene"].to_numpy()[:-1]
        return np.abs(np.diff(frames, axis=0)).mean((1, 2, 3))[same].mean()

    assert between_beats(1.0) < 0.6 * between_beats(0.0)


def test_frames_do_not_depend_on_their_neighbours(film):
    times_s = PICTURES.times_s
    assert np.array_equal(film.frames(times_s)[200:210], film.frames(times_s[200:210]))


def test_frames_of_some_beats_are_those_of_the_whole_film(film):
    times_s = np.array([10.0, 80.0, 12.0])
    some = FilmRenderer(PICTURES, film.timeline, class_looks(PICTURES), times_s)
    np.testing.assert_array_equal(some.frames(times_s), film.frames(times_s))
    beat = film.timeline.shots["beat"].to_numpy()
    elsewhere = film.timeline.shots["start_s"][~np.isin(beat, beat[film.timeline.shot_at(times_s)])].to_numpy()
    with pytest.raises(ValueError, match="not drawn"):
        some.frames(elsewhere[:1])


def test_a_still_is_the_same_picture_with_more_pixels(film):
    times_s, larger = np.array([5.0, 40.0, 90.0]), 4
    small = film.frames(times_s).astype(float)
    large = stills(PICTURES, film.timeline.movie_id, times_s, larger * PICTURES.image_px).astype(float)
    assert large.shape == (3, larger * PICTURES.image_px, larger * PICTURES.image_px, 3)
    side = PICTURES.image_px
    means = large.reshape(3, side, larger, side, larger, 3).mean((2, 4))
    for one, other in zip(small, means, strict=True):
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.995


def test_stimuli_in_context_are_an_object_before_a_place():
    """Behind opaque pixels no place shows, outside the mask no object; the place is one of films."""
    config = world(image_px=48, stimuli_per_class=6, stimuli_in_context=True)
    looks = class_looks(config)
    images, masks = stimuli(config, looks, 3)
    elsewhere, same_masks = stimuli(dataclasses.replace(config, class_places=1.0), looks, 3)
    assert np.array_equal(masks, same_masks)
    assert np.abs(images.astype(int) - elsewhere)[masks == 255].max() <= 1  # opacity is rounded to 8 bits
    assert (np.abs(images.astype(int) - elsewhere)[masks == 0].max(-1) > 8).mean() > 0.8
    assert ((sizes(masks == 255) > 0.05) & (sizes(masks > 0) < 0.5)).all()

    others, other_masks = stimuli(config, -looks, 3)
    neither = (masks == 0) & (other_masks == 0)
    assert np.abs(images.astype(int) - others)[neither].max() <= 1
    assert not np.array_equal(images, others)


def test_stimuli_stand_in_the_places_of_their_class():
    """Places alone tell the class where places are the class's, and nothing where they are anybody's."""

    def between(share):
        config = world(image_px=48, stimuli_per_class=6, stimuli_in_context=True, class_places=share)
        corner = [stimuli(config, class_looks(config), k)[0][:, :12, :6].astype(float) for k in range(8)]
        means = np.stack([part.mean((1, 2)) for part in corner])  # (classes, exemplars, rgb)
        return means.mean(1).var(0).mean() / means.var((0, 1)).mean()

    assert between(1.0) > 2 * between(0.0)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_class_places_is_the_share_of_the_places_variance(share):
    """Latents of two beats of one class correlate by `class_places`; of two classes, even of a category, by 0."""
    config = world(class_places=share)
    place_class = np.repeat(np.arange(48), 40)
    scene = np.arange(len(place_class))
    latents = place_latents(config, scene, place_class, np.random.default_rng(1))
    assert latents.var() == pytest.approx(1, abs=0.03)
    means = latents.reshape(48, 40, -1).mean(1)
    # A mean of 40 has the class's part whole and a fortieth of the rest.
    assert means.var() == pytest.approx(share + (1 - share) / 40, rel=0.1)
    category = np.repeat(np.arange(8), 6)
    pairs = np.triu_indices(48, 1)
    across = np.corrcoef(means)[pairs]
    same = (category[:, None] == category)[pairs]
    assert abs(across[same].mean()) < 3 / np.sqrt(same.sum() * latents.shape[1])


def test_a_shuffle_leaves_the_places_and_moves_the_objects():
    config = world(films=2, class_places=1.0)
    for film, dealt in zip(timelines(config), timelines(world(films=2, shuffle_objects=True)), strict=True):
        assert np.array_equal(film.place_classes, film.objects[:, 0])
        assert np.array_equal(dealt.place_classes, film.place_classes)
        assert (dealt.objects[:, 0] != film.objects[:, 0]).mean() > 0.8


def test_stimuli_in_context_have_masks_beside_them(tmp_path):
    config = dataclasses.replace(SMALL, films=1, stimuli_in_context=True, stimuli_per_class=3)
    build(config, tmp_path, processes=1)
    read = StimuliConfig(None, 32, None, CONDITIONS, 2.0, 128)
    table = probe(tmp_path / "stimuli", read)
    assert len(table) == 4 * 3 and set(table["mode"]) == {"RGB"}
    folder = StimulusFolder(tmp_path / "stimuli", read)
    intact, thing, place = (next(folder.batches(12, condition))[0] for condition in ("intact", "object", "background"))
    assert (((thing == intact) | (thing == 128)).all(1) & ((place == intact) | (place == 128)).all(1)).all()
    both = (thing != 128).any(1) & (place != 128).any(1)
    assert not both.any()
    assert (thing != 128).any(1).float().mean((1, 2)).min() > 0.05
    assert (place != 128).any(1).float().mean((1, 2)).min() > 0.2


def test_stimuli_are_isolated_and_never_the_same():
    config = world(stimuli_per_class=8)
    looks = class_looks(config)
    images = np.stack([stimuli(config, looks, i)[0] for i in range(48)])
    border = np.concatenate([images[:, :, 0], images[:, :, -1]], 2)
    assert np.mean(border == 128) > 0.95
    assert len({image.tobytes() for image in images.reshape(-1, 32, 32, 3)}) == 48 * 8
    # Exemplars of a class are more alike than those of two.
    flat = images.reshape(48, 8, -1).astype(float)
    within = np.mean([np.linalg.norm(c[:4, None] - c[None, 4:], axis=-1).mean() for c in flat])
    means = flat.mean(1)
    between = np.linalg.norm(flat[:, 0][:, None] - flat[:, 1][None], axis=-1)[~np.eye(48, dtype=bool)].mean()
    assert within < 0.85 * between and np.isfinite(means).all()


def test_light_comes_from_where_it_stands():
    """A plain round object lit from the left is brighter on its left."""
    light = Light(np.array([[-0.8, 0.0, 0.6], [0.8, 0.0, 0.6]]), np.ones((2, 3)))
    pictures = draw_objects(np.zeros((2, N_LOOK)), np.zeros(2), light, 64)
    brightness = pictures[:, :3].sum(1) / pictures[:, 3].clamp_min(1e-6)
    rows = slice(28, 36)
    left, right = brightness[:, rows, 16:24].mean((1, 2)), brightness[:, rows, 40:48].mean((1, 2))
    assert left[0] > 1.2 * right[0] and right[1] > 1.2 * left[1]


def test_oklch_knows_grey_and_hue():
    grey = oklch(torch.tensor([[0.0], [0.5999], [1.0]]), 0.0, torch.zeros(3, 1))[..., 0]
    # CSS Color 4: oklch(59.99% 0 none) is #808080.
    np.testing.assert_allclose(grey * 255, [[0] * 3, [128] * 3, [255] * 3], atol=0.6)
    red = oklch(torch.tensor([[0.62796]]), 0.25768, torch.deg2rad(torch.tensor([[29.234]])))[..., 0]
    np.testing.assert_allclose(red, [[1, 0, 0]], atol=0.01)


# Files.


def digests(folder):
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and "progress" not in p.parts
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    build(SMALL, folder, processes=1)
    return folder


def test_files_are_those_of_real_films(built):
    store, stream = FrameStore(built / "frames"), read_labels(built / "labels")
    assert store.movies == stream.movies == SMALL.movie_ids and len(store) == 80
    films = timelines(SMALL)
    rendered = FilmRenderer(SMALL, films[1], class_looks(SMALL)).frames(np.array([7.0]))[0]
    far = [np.abs(store.read(movie_id, 7.0).astype(int) - rendered).mean() for movie_id in store.movies]
    assert far[1] < 8 < 20 < far[0]  # JPEG halves the resolution of colour
    films_csv = pd.read_csv(built / "frames" / "films.csv", keep_default_na=False)
    assert list(films_csv) == ["movie_id", "title", "duration_s", "frames", "source", "problem"]
    assert films_csv["frames"].tolist() == [40, 40] and (films_csv["problem"] == "").all()
    classes = pd.read_csv(built / "world" / "classes.csv")
    assert list(classes) == ["wnid", "noun", "category"]
    assert set(stream.labels["label"]) <= set(classes["noun"])
    look = read_rdms(built / "world" / "look_rdm.parquet")["look"]
    looks = class_looks(SMALL)
    assert look.classes == tuple(classes["wnid"])
    np.testing.assert_allclose(look.values[0], 1 - np.corrcoef(looks[0], looks[1])[0, 1])
    shots = pd.read_parquet(built / "world" / "shots.parquet")
    assert list(shots) == ["movie_id", "start_s", "stop_s", "shot", "beat", "scene", "theme", "setup"]
    assert set(shots["theme"]) <= set(classes["category"]) and set(shots["setup"]) <= {"two-shot", "close-up"}
    assert list(pd.read_csv(built / "world" / "truth.csv")) == ["measure", "lag_s", "value"]
    for wnid in classes["wnid"]:
        images = sorted((built / "stimuli" / wnid).iterdir())
        assert [p.suffix for p in images] == [".jpg"] * 2
        assert Image.open(images[0]).size == (32, 32)


def test_pairs_can_be_kept_within_the_shots_that_it_writes(built):
    store, shots = FrameStore(built / "frames"), pd.read_parquet(built / "world" / "shots.parquet")
    pairs = lagged_pairs(store.index, 2, 5, shots=shots)
    shot = np.concatenate([film.shot_at(store.times(film.movie_id)) for film in timelines(SMALL)])
    expected = [row for row in lagged_pairs(store.index, 2, 5).anchors.tolist() if shot[row] == shot[row + 2]]
    assert pairs.anchors.tolist() == expected and 0 < len(expected) < len(lagged_pairs(store.index, 2, 5))


def test_the_world_does_not_depend_on_the_number_of_processes(built, tmp_path, monkeypatch):
    monkeypatch.setattr("semanticcmc.world.build.FRAMES_WORTH_A_PROCESS", 1)
    build(SMALL, tmp_path, processes=2)
    assert digests(tmp_path) == digests(built)


def test_a_finished_film_is_not_rendered_again_and_another_world_is(built, tmp_path, monkeypatch):
    build(SMALL, tmp_path, processes=1)
    (tmp_path / "frames" / "film-02.tar").write_bytes(b"cut short")
    rendered = []
    render = FilmRenderer.frames
    monkeypatch.setattr(
        FilmRenderer, "frames", lambda self, *a: rendered.append(self.timeline.movie_id) or render(self, *a)
    )
    build(SMALL, tmp_path, processes=1)
    assert rendered == ["film-02"]
    assert digests(tmp_path) == digests(built)
    build(dataclasses.replace(SMALL, films=1, classes_per_category=3, film_grade=1.0), tmp_path, processes=1)
    assert rendered[1:] == ["film-01"]
    assert FrameStore(tmp_path / "frames").movies == ("film-01",)
    assert len(list((tmp_path / "stimuli").iterdir())) == 6


def experiment_file(folder, config):
    values = {
        **{"name": "tiny", "title": "tiny", "source": "world", "lags_s": [1], "baselines": [], "seeds": [0]},
        "primary_layer": "fc7",
        "world": {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(config).items()},
    }
    file = folder / "experiment.yaml"
    file.write_text(yaml.safe_dump(values))
    return file


def test_command_builds_below_the_results_folder(tmp_path, built):
    assert main(["world", str(experiment_file(tmp_path, SMALL)), "--processes", "1"]) == 0
    assert digests(tmp_path).items() >= digests(built).items()


def test_command_names_what_is_wrong(tmp_path, capsys):
    file = experiment_file(tmp_path, SMALL)
    file.write_text(file.read_text().replace("films: 2", "films: 0"))
    assert main(["world", str(file)]) == 2
    assert f"error: {file}, section world: films 0: expected 1 or more" in capsys.readouterr().err
    assert not (tmp_path / "frames").exists()
