"""The world's timelines and truth functions against closed forms, long runs and invariants."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semanticcmc.config import InputError, configure, package_table
from semanticcmc.world import WorldConfig
from semanticcmc.world.classes import categories, closeness, read_classes
from semanticcmc.world.detector import label_tables
from semanticcmc.world.timeline import CLOSE_UP, TWO_SHOT, Themes, pieces, timelines
from semanticcmc.world.truth import (
    association,
    long_run,
    look_rdm,
    same_scene,
    scene_changes,
    shared,
    shot_table,
    truth,
)

WORLD = WorldConfig(
    seed=0,
    films=3,
    film_duration_s=600.0,
    frame_interval_s=1.0,
    image_px=32,
    jpeg_quality=90,
    categories=8,
    classes_per_category=6,
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
)


def world(**changes):
    return dataclasses.replace(WORLD, **changes)


# The classes are what they say they are.


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


# Truth functions.


def test_scenes_last_as_renewal_theory_says():
    lags_s = np.array([0.0, 10, 60, 119, 150, 200, 239, 300])
    config = world(films=150, film_duration_s=2400.0)
    shots = shot_table(timelines(config))
    scenes = shots.groupby(["movie_id", "scene"], as_index=False).agg(
        start_s=("start_s", "min"), stop_s=("stop_s", "max")
    )
    measured = []
    for lag in lags_s:  # moments that are in one scene a lag later, over moments whose film runs on
        both = np.clip(scenes["stop_s"] - scenes["start_s"] - lag, 0, None).sum()
        measured.append(both / (config.films * (config.film_duration_s - lag)))
    np.testing.assert_allclose(same_scene(config, lags_s), measured, atol=0.015)


def test_films_open_in_the_middle_of_a_scene():
    """Whether a film's first minute is one scene is then no other than for any other minute."""
    config = world(films=500, film_duration_s=60.0, scene_s=(12.0, 240.0))
    one_scene = np.mean([len(film.themes) == 1 for film in timelines(config)])
    assert one_scene == pytest.approx(same_scene(config, [60.0])[0], abs=0.06)  # .56; were all scenes found alike: .42


def test_changes_of_scene_are_a_stationary_renewal_process():
    lags_s = np.array([0.0, 30, 60, 180, 600, 1000])
    probability = scene_changes(WORLD, lags_s, 15)
    np.testing.assert_allclose(probability.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(probability[:, 0], same_scene(WORLD, lags_s), atol=2e-3)
    # In a stationary renewal process the expected number of events is time over the mean interval, exactly.
    np.testing.assert_allclose(probability @ np.arange(16), lags_s / 180, atol=5e-3)


def test_time_scale_stretches_scenes_and_beats_but_not_shots():
    lags_s = np.array([5.0, 10, 20, 40, 60, 100])
    for factor in (0.25, 3.0):
        scaled = world(time_scale=factor)
        np.testing.assert_allclose(same_scene(scaled, factor * lags_s), same_scene(WORLD, lags_s))
        np.testing.assert_allclose(association(scaled, factor * lags_s), association(WORLD, lags_s), atol=0.01)
        slow, fast = (shared(long_run(scaled), "beat", factor * lags_s), shared(long_run(WORLD), "beat", lags_s))
        np.testing.assert_allclose(slow, fast, atol=0.03)
    long_beats = long_run(world(time_scale=3.0))
    assert (long_beats["stop_s"] - long_beats["start_s"]).median() == pytest.approx(9, abs=0.5)


def test_shared_time_by_hand():
    # One film of 10 s: a beat of set-ups 0 (4 s), 1 (2 s), 0 (1 s), then another beat of 0 (3 s).
    shots = pd.DataFrame(
        {
            "movie_id": "a",
            "start_s": [0.0, 4, 6, 7],
            "stop_s": [4.0, 6, 7, 10],
            "shot": range(4),
            "beat": [0, 0, 0, 1],
            "setup": [0, 1, 0, 0],
        }
    )
    np.testing.assert_allclose(shared(shots, "shot", np.array([0.0, 1])), [1, (3 + 1 + 0 + 2) / 9])
    np.testing.assert_allclose(shared(shots, "beat", np.array([1.0, 5])), [(6 + 2) / 9, 2 / 5])
    # 3 s later: 0 to 1 s is still in the first shot, 3 to 4 s in the third; none of the second beat.
    np.testing.assert_allclose(shared(shots, "setup", np.array([3.0])), [(1 + 1) / 7])


def test_truth_table():
    lags_s = np.array([0.0, 1, 30, 60, 300])
    table = truth(WORLD, lags_s)
    value = table.pivot(index="lag_s", columns="measure", values="value")
    assert set(value) == {"association", "appearance", "same_shot", "same_beat", "same_scene"}
    np.testing.assert_allclose(value.loc[0.0], 1)
    assert (value["same_shot"] <= value["appearance"] + 1e-9).all()
    assert (value["appearance"] <= value["same_beat"] + 1e-9).all()
    assert value.loc[60.0, "same_beat"] < 0.01 < 0.5 < value.loc[60.0, "association"]


def empirical_agreement(config, lag_s):
    """Share of one category among all pairs of different classes in view a lag apart, from timelines alone."""
    category = categories(read_classes(config))[1]
    agreeing = pairs = 0
    for film in timelines(config):
        times_s = np.arange(0, config.film_duration_s - lag_s, 5.0)
        (first, first_seen), (second, second_seen) = film.visible(times_s), film.visible(times_s + lag_s)
        counted = first_seen[:, :, None] & second_seen[:, None, :] & (first[:, :, None] != second[:, None, :])
        pairs += counted.sum()
        agreeing += (counted & (category[first][:, :, None] == category[second][:, None, :])).sum()
    return agreeing / pairs


def test_association_of_a_long_run_is_the_truth():
    config = world(films=80, film_duration_s=2400.0)
    lags_s = np.array([0.0, 5, 20, 60, 120, 900])
    measured = np.array([empirical_agreement(config, lag) for lag in lags_s])
    expected = association(config, lags_s)
    # Between films nothing goes together: pairs of different classes, all as frequent, agree by (6 - 1) / (48 - 1).
    far = 5 / 47
    np.testing.assert_allclose((measured - far) / (measured[0] - far), expected, atol=0.035)
    assert expected[3] > 0.6 and expected[-1] < 0.15


def test_shuffled_objects_keep_looks_and_times_and_lose_associations():
    config = world(films=40, film_duration_s=2400.0)
    shuffled = dataclasses.replace(config, shuffle_objects=True)
    plain, dealt = timelines(config), timelines(shuffled)
    for a, b in zip(plain, dealt, strict=True):
        assert a.shots.equals(b.shots)
    count = [np.bincount(np.concatenate([f.objects for f in films]).ravel(), minlength=48) for films in (plain, dealt)]
    assert np.array_equal(*count)
    assert empirical_agreement(shuffled, 60.0) == pytest.approx(5 / 47, abs=0.02)
    assert empirical_agreement(config, 60.0) > 0.4
    assert not association(shuffled, np.array([0.0, 60])).any()


def test_shuffled_objects_leave_the_association_to_the_places():
    """Themes alike and independent: two beats of a scene agree if one of five members plays twice, or by the cast."""
    config = world(films=60, film_duration_s=2400.0, theme_preference=0.0, theme_relatedness=0.0, shuffle_objects=True)
    category = categories(read_classes(config))[1]
    within, between, things = [], [], []
    for film in timelines(config):
        scene = film.shots.groupby("beat")["scene"].first().to_numpy()
        place, thing = category[film.place_classes], category[film.objects]
        agree, one_scene = place[1:] == place[:-1], scene[1:] == scene[:-1]
        within.extend(agree[one_scene])
        between.extend(agree[~one_scene])
        things.extend((thing == place[:, None]).ravel())
    cast = 0.9**2 + 7 * (0.1 / 7) ** 2
    assert np.mean(within) == pytest.approx(1 / 5 + 4 / 5 * cast, abs=0.03)
    assert np.mean(between) == pytest.approx(1 / 8, abs=0.04)
    assert np.mean(things) == pytest.approx(1 / 8, abs=0.02)  # what stands there does not tell the place


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


def test_rho_sets_how_alike_a_categorys_looks_are():
    same = None
    for rho in (0.0, 0.5, 0.9):
        correlations, mantel = [], []
        for seed in range(20):
            config = world(seed=seed, appearance_semantics=rho)
            category = categories(read_classes(config))[1]
            rows = np.triu_indices(48, 1)
            same = (category[:, None] == category)[rows]
            distance = look_rdm(config).values
            correlations.append(1 - distance[same].mean())
            mantel.append(np.corrcoef(distance, ~same)[0, 1])
        # Classes of one category share rho of their variance; others share nothing.
        assert np.mean(correlations) == pytest.approx(rho, abs=0.03)
        share = same.mean()
        signal = share * (1 - share) * rho**2
        noise = share * (1 - rho**2) ** 2 / 29 + (1 - share) / 29  # variance of a correlation over 30 numbers
        assert np.mean(mantel) == pytest.approx(np.sqrt(signal / (signal + noise)), abs=0.05)


# Labels.


def test_labels_without_noise_are_what_is_in_view():
    films = timelines(WORLD)
    labels, times = label_tables(WORLD, films)
    assert times["count"].tolist() == [3000] * 3 and (labels["confidence"] == 100).all()
    nouns = read_classes(WORLD)["noun"].to_numpy()
    for film in films:
        said = labels[labels["movie_id"] == film.movie_id].groupby("time_s")["label"].agg(set)
        assert len(said) == 3000
        for time_s in (0.0, 100.2, 333.4, 599.8):
            shot = film.shots[(film.shots["start_s"] <= time_s) & (time_s < film.shots["stop_s"])].iloc[0]
            shown = film.objects[shot["beat"].astype(int)][: 2 if shot["setup"] == TWO_SHOT else 1]
            assert said.iloc[round(time_s / 0.2)] == set(nouns[shown])


def test_detector_noise_has_the_rates_asked_for():
    films = timelines(WORLD)
    clean, _ = label_tables(WORLD, films)
    noisy, _ = label_tables(world(label_misses=0.2, label_false_alarms=0.1), films)
    truth_rows = set(zip(clean["movie_id"], clean["time_s"], clean["label"], strict=True))
    hit = np.array([row in truth_rows for row in zip(noisy["movie_id"], noisy["time_s"], noisy["label"], strict=True)])
    assert hit.sum() / len(clean) == pytest.approx(0.8, abs=0.01)
    assert (~hit).sum() / 9000 == pytest.approx(0.1 * (1 - 1.5 / 48), abs=0.01)
    assert not noisy.duplicated(["movie_id", "time_s", "label"]).any()
    assert noisy["confidence"].between(50, 100).all()
    assert noisy["confidence"][hit].mean() > noisy["confidence"][~hit].mean() + 10


def test_close_ups_show_one_object():
    film = timelines(WORLD)[0]
    times_s = np.arange(0, 600, 0.5)
    _, in_view = film.visible(times_s)
    close = film.shots["setup"].to_numpy()[film.shot_at(times_s)] == CLOSE_UP
    assert in_view[:, 0].all() and np.array_equal(in_view[:, 1], ~close)
    assert 0.3 < close.mean() < 0.7
