"""The world's truth functions against closed forms, long runs, and pictures made of a known share of the place."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from semanticcmc.timescales.appearance import unit_vectors
from semanticcmc.world.classes import categories, read_classes
from semanticcmc.world.timeline import timelines
from semanticcmc.world.truth import (
    association,
    long_run,
    look_rdm,
    same_scene,
    scene_changes,
    setups_of_a_place,
    shared,
    shot_table,
    truth,
)
from tests.world.test_timeline import WORLD, world


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
    # Photographs show one of the two at a time: other pairs, of which there is none at lag 0.
    config = dataclasses.replace(config, objects="photographs")
    expected = association(config, lags_s)
    near, later = (empirical_agreement(config, lag) - far for lag in (20.0, 120.0))
    assert later / near == pytest.approx(expected[4] / expected[2], abs=0.035)
    assert expected[0] == 1


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


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_the_share_of_the_place_in_both_set_ups(share):
    """Every set-up shows its place with weight sqrt(share) and something of its own, before the film's picture."""
    generator = np.random.default_rng(0)
    shots, tables, pictures = [], [], []
    for movie_id in ("b", "a"):
        film = generator.normal(size=400)
        for beat in range(40):
            place = generator.normal(size=400)
            for setup, name in enumerate(("close-up", "two-shot")):
                start_s = 20 * beat + 10 * setup
                own = generator.normal(size=400)
                shots.append((movie_id, start_s, start_s + 10, beat, name))
                tables += [(movie_id, float(t)) for t in range(start_s, start_s + 10)]
                pictures += 10 * [np.sqrt(share) * place + np.sqrt(1 - share) * own + film]
    index = pd.DataFrame(tables, columns=["movie_id", "time_s"])
    shots = pd.DataFrame(shots, columns=["movie_id", "start_s", "stop_s", "beat", "setup"])
    shuffled = shots.sample(frac=1, random_state=0)
    assert setups_of_a_place(index, unit_vectors(np.array(pictures)), shuffled) == pytest.approx(share, abs=0.04)
