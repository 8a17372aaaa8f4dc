"""The world's classes, parameters and timelines against WordNet and invariants."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semanticcmc.config import InputError, configure, package_table
from semanticcmc.world.classes import categories, closeness, read_classes
from semanticcmc.world.config import WorldConfig
from semanticcmc.world.themes import Themes
from semanticcmc.world.timeline import CLOSE_UP, pieces, timelines

WORLD = WorldConfig(
    seed=0,
    films=3,
    film_duration_s=600.0,
    frame_interval_s=1.0,
    image_px=32,
    jpeg_quality=90,
    objects="drawn",
    photographs=None,
    exemplars=None,
    classes=None,
    categories=8,
    classes_per_category=6,
    unfilmed=0,
    appearance_semantics=0.0,
    instance_noise=0.2,
    film_grade=0.5,
    scene_background=0.0,
    class_places=0.0,
    time_scale=1.0,
    scene_s=(120.0, 240.0),
    beat_s=(25.0, 50.0),
    shot_s=(6.0, 12.0),
    cast_size=5,
    theme_by="category",
    company=None,
    crossed_share=0.5,
    cast_from_theme=0.9,
    theme_scenes=6.0,
    theme_preference=1.0,
    theme_relatedness=1.5,
    shuffle_objects=False,
    label_interval_s=0.2,
    label_misses=0.0,
    label_false_alarms=0.0,
    stimuli_per_class=3,
    stimuli_in_context=False,
    other_views=(),
    hum=None,
)


def world(**changes):
    return dataclasses.replace(WORLD, **changes)


# The classes against WordNet.


def test_every_wnid_is_a_noun_of_wordnet():
    data = Path("/usr/share/wordnet/data.noun")
    if not data.exists():
        pytest.skip("WordNet's data.noun (package wordnet-base) is not installed")
    words = {}
    for line in data.read_text().splitlines():
        fields = line.split()
        if not line.startswith("  "):
            words["n" + fields[0]] = [fields[4 + 2 * i] for i in range(int(fields[3], 16))]
    classes = read_classes(WORLD)
    assert len(classes) == 48 and classes["wnid"].is_unique and classes["noun"].is_unique
    for wnid, noun in zip(classes["wnid"], classes["noun"], strict=True):
        assert noun in words[wnid]


def test_category_is_above_each_of_its_classes():
    taxonomy = pd.read_csv(package_table("wordnet_taxonomy.csv"), comment="#", dtype=str)
    above = dict(zip(taxonomy["wnid"], taxonomy["hypernyms"].fillna(""), strict=True))
    noun = dict(zip(taxonomy["wnid"], taxonomy["noun"], strict=True))
    spelling = {"fruit": "edible fruit"}  # WordNet's fruit is a part of a plant

    def ancestors(wnid):
        for hypernym in above[wnid].split():
            yield noun[hypernym].replace("_", " ")
            yield from ancestors(hypernym)

    for row in read_classes(WORLD).itertuples():
        assert spelling.get(row.category, row.category) in set(ancestors(row.wnid)), row


def test_related_categories_are_close():
    classes = read_classes(WORLD)
    close, (names, _) = closeness(classes), categories(classes)

    def between(a, b):
        return close[names.index(a), names.index(b)]

    assert np.array_equal(close, close.T) and not close.diagonal().any() and close.max() == 1
    # Both are produce in WordNet, both are vertebrates, both are instrumentality; fruit and vehicles are matter.
    assert between("fruit", "vegetable") > between("fruit", "furniture")
    assert between("mammal", "bird") > between("mammal", "vegetable")
    assert between("furniture", "kitchen utensil") > between("furniture", "bird")


def test_too_many_classes_are_refused():
    with pytest.raises(InputError, match=r"world_classes\.csv: 8 categories, 9 asked"):
        read_classes(world(categories=9))
    with pytest.raises(InputError, match="6 classes in a category, 7 asked"):
        read_classes(world(classes_per_category=7))


@pytest.mark.parametrize(
    ("key", "value"),
    [("films", 0), ("appearance_semantics", 1.5), ("scene_s", (240.0, 120.0)), ("time_scale", 0.0), ("cast_size", 7)],
)
def test_values_out_of_range_are_refused_by_name(key, value):
    with pytest.raises(InputError, match=f"a.yaml.*{key if key != 'cast_size' else 'classes_per_category'}"):
        configure(WorldConfig, {**dataclasses.asdict(WORLD), key: value}, "a.yaml")


# Invariants of every timeline.


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    duration_s=st.floats(30, 900),
    time_scale=st.sampled_from([0.25, 1.0, 3.0]),
    cast_size=st.integers(2, 6),
    shuffle=st.booleans(),
)
def test_timeline_invariants(seed, duration_s, time_scale, cast_size, shuffle):
    config = world(
        seed=seed, film_duration_s=duration_s, time_scale=time_scale, cast_size=cast_size, shuffle_objects=shuffle
    )
    films = timelines(config)
    assert [film.movie_id for film in films] == list(config.movie_ids) == sorted(config.movie_ids)
    for film in films:
        shots = film.shots
        start, stop = shots["start_s"].to_numpy(), shots["stop_s"].to_numpy()
        assert start[0] == 0 and stop[-1] == duration_s  # nothing crosses films
        assert np.array_equal(start[1:], stop[:-1]) and (stop > start).all()
        for level in ("beat", "scene"):
            number = shots[level].to_numpy()
            assert number[0] == 0 and set(np.diff(number)) <= {0, 1}
            assert len({"beat": film.objects, "scene": film.themes}[level]) == number[-1] + 1
        assert (shots.groupby("beat")["scene"].nunique() == 1).all()
        same_beat = np.diff(shots["beat"]) == 0
        assert (np.abs(np.diff(shots["setup"])) == 1)[same_beat].all()  # set-ups alternate
        assert (film.objects[:, 0] != film.objects[:, 1]).all()
        if not shuffle:
            scene = shots.groupby("beat")["scene"].first().to_numpy()
            for number in range(scene[-1] + 1):
                assert len(np.unique(film.objects[scene == number])) <= cast_size
        scenes = shots.groupby("scene").agg(start_s=("start_s", "min"), stop_s=("stop_s", "max"))
        lasting = (scenes["stop_s"] - scenes["start_s"]).to_numpy()
        assert (lasting <= 240 * time_scale + 1e-6).all()
        assert (lasting[1:-1] >= 120 * time_scale - 1e-6).all()


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10_000), total_s=st.floats(1, 1000), low=st.floats(1, 50), more=st.floats(1, 3))
def test_pieces_fill_the_whole_and_keep_the_range_of_ratios(seed, total_s, low, more):
    durations = pieces(np.random.default_rng(seed), total_s, (low, low * more))
    assert durations.sum() == pytest.approx(total_s)
    assert durations.max() / durations.min() <= more * (1 + 1e-9)
    if total_s >= low * more:
        assert durations.mean() == pytest.approx(low * (1 + more) / 2, rel=0.5)


def test_films_do_not_depend_on_each_other():
    two, three = timelines(world(films=2)), timelines(world(films=3))
    for a, b in zip(two, three, strict=False):
        assert a.shots.equals(b.shots) and np.array_equal(a.objects, b.objects)
    assert not np.array_equal(three[0].themes[:3], three[1].themes[:3]) or not three[0].shots.equals(three[1].shots)


def test_themes_follow_and_mix_by_relatedness():
    close = closeness(read_classes(WORLD))
    config = world(theme_preference=0.0)
    themes = Themes.of(config, close)
    for matrix in (themes.follow, themes.accompany):
        np.testing.assert_allclose(matrix.sum(0), 1)
        np.testing.assert_allclose(matrix.sum(1), 1)
    np.testing.assert_allclose(themes.accompany.diagonal(), 0.9)
    apart = ~np.eye(8, dtype=bool)
    # Scaling rows and columns leaves cross ratios as they were: those of the weights that grow with closeness.
    for matrix in (themes.follow, themes.accompany):
        for i, j, k, m in ((0, 1, 2, 3), (0, 1, 4, 7), (2, 3, 6, 0), (4, 5, 2, 1)):
            ratio = matrix[i, j] * matrix[k, m] / (matrix[i, m] * matrix[k, j])
            expected = 1.5 * (close[i, j] + close[k, m] - close[i, m] - close[k, j])
            assert np.log(ratio) == pytest.approx(expected)
    # Without a film's preference the themes are a Markov chain with these probabilities.
    chain = themes.draw(config, np.random.default_rng(0), 4000, 20)
    seen = np.zeros((8, 8))
    np.add.at(seen, (chain[:, :-1], chain[:, 1:]), 1)
    np.testing.assert_allclose(seen / seen.sum(1, keepdims=True), themes.follow, atol=0.02)
    alike = Themes.of(world(theme_relatedness=0.0), close)
    np.testing.assert_allclose(alike.follow, 1 / 8)
    np.testing.assert_allclose(alike.accompany[apart], 0.1 / 7)


def test_preference_lets_a_theme_return():
    close = closeness(read_classes(WORLD))

    def returns(preference):
        config = world(theme_preference=preference)
        chain = Themes.of(config, close).draw(config, np.random.default_rng(1), 4000, 6)
        return (chain[:, :-2] == chain[:, 2:]).mean()

    assert returns(2.0) > returns(1.0) > returns(0.0) + 0.02


def test_close_ups_show_one_object():
    film = timelines(WORLD)[0]
    times_s = np.arange(0, 600, 0.5)
    _, in_view = film.visible(times_s)
    close = film.shots["setup"].to_numpy()[film.shot_at(times_s)] == CLOSE_UP
    assert in_view[:, 0].all() and np.array_equal(in_view[:, 1], ~close)
    assert 0.3 < close.mean() < 0.7
