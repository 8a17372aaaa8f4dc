"""Themes that cross, mix or halve categories: counted in timelines and labels, and against closed forms."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from semanticcmc.config import InputError, configure
from semanticcmc.labels.stream import write_labels
from semanticcmc.world.classes import categories, read_classes
from semanticcmc.world.config import WorldConfig
from semanticcmc.world.labels import label_tables
from semanticcmc.world.themes import schemes
from semanticcmc.world.timeline import timelines
from semanticcmc.world.truth import association, met_rdm, theme_rdm
from tests.world.test_timeline import WORLD, world

FREE = {"theme_relatedness": 0.0, "films": 30, "film_duration_s": 2400.0}
CATEGORY, PLACE = np.repeat(np.arange(8), 6), np.tile(np.arange(6), 8)
CROSSED = (CATEGORY + PLACE) % 8
HALF = 2 * CATEGORY + (PLACE > 2)


def same_timelines(first, second):
    return all(
        a.shots.equals(b.shots) and np.array_equal(a.objects, b.objects) for a, b in zip(first, second, strict=True)
    )


def scenes(films):
    """Classes seen in each scene, bool (scenes, 48), counted beat by beat."""
    rows = []
    for film in films:
        beats = film.shots.drop_duplicates("beat")
        for _, scene in beats.groupby("scene"):
            seen = np.zeros(48, dtype=bool)
            for beat in scene["beat"]:
                seen[film.objects[beat]] = True
            rows.append(seen)
    return np.array(rows)


def beats_agree(films, group):
    """Share of beats whose two objects are of one group."""
    objects = np.concatenate([film.objects for film in films])
    return (group[objects[:, 0]] == group[objects[:, 1]]).mean()


def test_a_crossed_theme_has_no_two_classes_of_a_category():
    config = world(theme_by="crossed", **FREE)
    (scheme,) = schemes(config)
    assert np.array_equal(scheme.members.sum(0), np.ones(48)) and np.array_equal(scheme.members.sum(1), [6] * 8)
    assert all(len(set(CATEGORY[members])) == 6 for members in scheme.members)
    assert np.array_equal(scheme.members.argmax(0), CROSSED)
    films = timelines(config)
    # Two of a cast of five are of one theme: both of the scene's, or both of one of the seven others.
    assert beats_agree(films, CROSSED) == pytest.approx(0.9**2 + 7 * (0.1 / 7) ** 2, abs=0.03)
    # Of one category only where an intruder is: in six of the seven other themes each category has one class.
    assert beats_agree(films, CATEGORY) < 0.05


def test_a_mixed_world_goes_from_the_one_scheme_to_the_other():
    ends = {0.0: timelines(world(**FREE)), 1.0: timelines(world(theme_by="crossed", **FREE))}
    for share, films in ends.items():
        assert same_timelines(timelines(world(theme_by="mixed", crossed_share=share, **FREE)), films)
    config = world(theme_by="mixed", crossed_share=0.25, **FREE)
    films = timelines(config)
    crossed = np.concatenate([film.themes for film in films]) >= 8
    assert crossed.mean() == pytest.approx(0.25, abs=0.06)  # of about 400 scenes: two standard errors are .043
    one_theme = 0.9**2 + 7 * (0.1 / 7) ** 2
    assert beats_agree(films, CATEGORY) == pytest.approx(0.75 * one_theme, abs=0.06)
    assert beats_agree(films, CROSSED) == pytest.approx(0.25 * one_theme, abs=0.06)
    names = [name for scheme in schemes(config) for name in scheme.names]
    assert len(names) == len(set(names)) == 16


def test_halves_of_a_category_share_companions_and_never_a_scene():
    config = world(theme_by="second_order", label_misses=0.05, **FREE)
    films = timelines(config)
    cast = scenes(films).astype(float)
    together = cast.T @ cast
    one_category, one_half = (group[:, None] == group for group in (CATEGORY, HALF))
    assert not together[one_category & ~one_half].any()
    # With each class of its companion, both halves: 2 / 3 of the cast are of either, whatever the half.
    companions = CATEGORY[:, None] // 2 == CATEGORY // 2
    for category in range(8):
        halves = [together[np.ix_(half == HALF, category ^ 1 == CATEGORY)] for half in (2 * category, 2 * category + 1)]
        assert all((half > 0).all() for half in halves)
        assert halves[0].mean() == pytest.approx(halves[1].mean(), rel=0.5)
    assert together[companions & ~one_category].mean() > 10 * together[~companions].mean()
    # The label stream, without false alarms, says so too: never two labels of two halves at once.
    labels, _ = label_tables(config, films)
    number = {noun: i for i, noun in enumerate(read_classes(config)["noun"])}
    moments = labels.groupby(["movie_id", "time_s"]).ngroup()
    named = np.zeros((moments.max() + 1, 48))
    named[moments, labels["label"].map(number)] = 1
    seen = named.T @ named
    assert seen[one_half].all() and not seen[one_category & ~one_half].any()


def named_together(folder, groups):
    """A label stream of two films whose minutes name the classes of one group each; the folder that it is in."""
    wnids = read_classes(world(**FREE))["wnid"]
    rows = [
        {"movie_id": movie_id, "label": f"the {wnid}", "time_s": 60.0 * minute + 7, "confidence": 100.0}
        for movie_id in ("a", "b")
        for minute in range(groups.max() + 1)
        for wnid in wnids[groups == minute]
    ]
    times = {"movie_id": ["a", "b"], "start_s": 1.0, "interval_s": 2.0, "count": 1000}
    write_labels(folder, pd.DataFrame(rows), pd.DataFrame(times))
    nouns = pd.DataFrame({"label": [f"the {wnid}" for wnid in wnids], "wnid": wnids})
    nouns[[bool(groups[place] >= 0) for place in range(len(nouns))]].to_csv(folder / "label_nouns.csv", index=False)
    return str(folder)


def test_themes_are_the_company_that_labels_name(tmp_path):
    """Labels that name crossed companies, a minute each, give crossed themes, one around each class."""
    config = world(theme_by="company", company=named_together(tmp_path / "labels", CROSSED), **FREE)
    (scheme,) = schemes(config)
    assert np.array_equal(scheme.members, CROSSED[:, None] == CROSSED)
    films = timelines(config)
    # Two of a cast of five are both of the theme, or both of the 42 others: of those, by 5 in 41 of one company.
    assert beats_agree(films, CROSSED) == pytest.approx(0.9**2 + 0.1**2 * 5 / 41, abs=0.03)
    assert all(len(set(beat)) == 2 for film in films for beat in film.objects)
    truth = theme_rdm(config)
    same = (CROSSED[:, None] == CROSSED)[np.triu_indices(48, 1)]
    np.testing.assert_allclose(truth.subset(tuple(read_classes(config)["wnid"])).values, ~same)
    assert np.isnan(association(config, np.array([60.0]))).all()


def test_company_that_labels_do_not_tell_is_refused(tmp_path):
    unnamed = np.where(CROSSED == 3, -1, CROSSED)
    with pytest.raises(InputError, match=r"world.company\): never names n\d{8}.*leave them out of world.classes"):
        schemes(world(theme_by="company", company=named_together(tmp_path / "some", unnamed), **FREE))
    with pytest.raises(InputError, match="label_nouns.csv"):
        schemes(world(theme_by="company", company=str(tmp_path / "none"), **FREE))
    for by, company in (("company", None), ("category", str(tmp_path))):
        with pytest.raises(
            ValueError, match="company .*: expected a folder of labels with theme_by company, else null"
        ):
            world(theme_by=by, company=company, **FREE)


@pytest.mark.parametrize("by", ["category", "crossed", "mixed", "second_order"])
def test_distances_of_themes_are_those_of_the_scenes(by):
    """The closed form against the share of scenes' themes, drawn by the world, that two classes have in common."""
    config = dataclasses.replace(world(theme_by=by, crossed_share=0.3, **FREE), films=100)
    films, members = timelines(config), np.concatenate([scheme.members for scheme in schemes(config)])
    rows = members[np.concatenate([film.themes for film in films])].astype(float)
    common = rows.T @ rows / rows.sum(0)  # of the scenes with b in their theme, those with a too
    rdm = theme_rdm(config)
    assert rdm.classes == tuple(read_classes(config)["wnid"])
    np.testing.assert_allclose(1 - rdm.square(), common, atol=0.17)  # of about 100 such scenes a class
    assert np.abs((1 - rdm.square() - common).mean()) < 0.005
    same = {"category": CATEGORY, "crossed": CROSSED}.get(by)
    if same is not None:
        assert np.array_equal(rdm.square(), (same[:, None] != same).astype(float))


def test_who_met_whom_counts_scenes():
    config = world(films=3, film_duration_s=2400.0)
    films = timelines(config)
    seen, rdm = scenes(films), met_rdm(config, films).square()
    for a, b in ((0, 1), (0, 47), (13, 14), (20, 40)):
        both, of_each = (seen[:, a] & seen[:, b]).sum(), seen[:, a].sum() * seen[:, b].sum()
        assert rdm[a, b] == pytest.approx(1 - both / np.sqrt(of_each))


def test_association_of_crossed_themes_is_that_of_categories_alike():
    """Crossing renames the classes, and themes alike do not mind: the association of themes is the same function."""
    lags_s = np.array([0.0, 10, 60, 300])
    plain, crossed = (association(world(theme_by=by, **FREE), lags_s) for by in ("category", "crossed"))
    np.testing.assert_allclose(crossed, plain)
    assert np.isnan(association(world(theme_by="mixed", **FREE), lags_s)).all()


def test_unfilmed_classes_have_looks_and_no_films():
    changes = {"unfilmed": 2, "cast_size": 4, "appearance_semantics": 0.5, "label_false_alarms": 0.2}
    config = world(films=12, film_duration_s=2400.0, **changes)
    films, classes = timelines(config), read_classes(config)
    assert len(classes) == 48
    filmed = np.flatnonzero(scenes(films).any(0))
    assert np.array_equal(filmed, np.flatnonzero(PLACE < 4))
    labels, _ = label_tables(config, films)
    assert set(labels["label"]) == set(classes["noun"].iloc[filmed])
    for rdm in (theme_rdm(config), met_rdm(config, films)):
        assert rdm.classes == tuple(classes["wnid"].iloc[filmed])
    names = pd.Series(categories(classes)[1]).iloc[filmed].to_numpy()
    assert np.array_equal(theme_rdm(config).square(), (names[:, None] != names).astype(float))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"unfilmed": 1}, r"appearance_semantics 0.0: expected above 0"),
        ({"unfilmed": 2, "appearance_semantics": 0.5}, r"of which 4 are filmed: expected cast_size \(5\) or more"),
        ({"theme_by": "crossed"}, r"theme_relatedness 1.5: expected 0 with theme_by crossed"),
        ({"theme_by": "mixed", "theme_relatedness": 0.0, "categories": 5}, r"categories 5: expected 6 or more"),
        ({"theme_by": "second_order", "theme_relatedness": 0.0, "categories": 7}, r"categories 7, 6 .* even number"),
        ({"theme_by": "halves"}, r"theme_by: expected one of category, crossed, mixed, second_order, company"),
    ],
)
def test_impossible_themes_are_refused_with_a_remedy(changes, says):
    with pytest.raises(InputError, match=says):
        configure(WorldConfig, {**dataclasses.asdict(WORLD), **changes}, "a.yaml")
