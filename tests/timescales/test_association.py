"""How long associations last in streams whose truth is known in closed form."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from validation.label_worlds import LabelWorld, simulate

from semanticcmc.labels.stream import label_stream
from semanticcmc.timescales.association import association
from semanticcmc.timescales.curves import lag_grid
from semanticcmc.timescales.decay import half_lives, model
from semanticcmc.timescales.pairs import label_pairs
from semanticcmc.world.labels import label_tables
from semanticcmc.world.timeline import timelines
from semanticcmc.world.truth import association as true_association
from tests.timescales.test_pairs import CONFIG, drawn, stream_of
from tests.world.test_timeline import WORLD

GROUPS, MEMBERS = 6, 4
FILM, CORPUS = "film base rate", "corpus base rate"
LABELS = LabelWorld(
    durations_s=(1500.0,) * 10,
    interval_s=1.0,
    half_life_s=20.0,
    groups=5,
    labels_per_group=3,
    active=0.3,
    hit=0.6,
    false_alarm=0.05,
    film_base_rate_sd=0.7,
    seed=2,
)


def states(generator, n, half_life_s, p=None):
    """A chain that stays, or is drawn anew: two moments k apart share a state by 2 ** (-k / half-life) or by chance."""
    anew = generator.random(n) >= 0.5 ** (1 / half_life_s)
    anew[0] = True
    return generator.choice(GROUPS, size=anew.sum(), p=p)[np.cumsum(anew) - 1]


def stream(chains, generator, interval_s=1.0):
    """In state g the labels of group g are in view, each half of the time on its own."""
    rows = []
    for i, chain in enumerate(chains):
        time, member = np.nonzero(generator.random((len(chain), MEMBERS)) < 0.5)
        rows.append(
            pd.DataFrame(
                {
                    "movie_id": f"f{i}",
                    "time_s": time * interval_s,
                    "label": [f"{chain[t]}-{m}" for t, m in zip(time, member, strict=True)],
                    "confidence": 90.0,
                }
            )
        )
    times = pd.DataFrame(
        {
            "movie_id": [f"f{i}" for i in range(len(chains))],
            "start_s": 0.0,
            "interval_s": interval_s,
            "count": [len(chain) for chain in chains],
        }
    )
    return label_stream(pd.concat(rows), times)


def expected(lag_s, half_life_s):
    """Of pairs of different labels the share of one group, above chance, as a share of that at lag 0."""

    def share(same):  # of a group's other members, and of members of other groups
        within, across = (MEMBERS - 1) * same, MEMBERS * (1 - same)
        return within / (within + across)

    stays = 0.5 ** (np.asarray(lag_s) / half_life_s)
    chance = share(1 / GROUPS)
    return (share(stays + (1 - stays) / GROUPS) - chance) / (1 - chance)


def level(table, name):
    return table[table["level"] == name].reset_index(drop=True)


@pytest.mark.parametrize("half_life_s, interval_s", [(20.0, 1.0), (4.0, 0.5)])
def curve_of(labels, lags_s, **values):
    config = dataclasses.replace(CONFIG, **values)
    return association(label_pairs(labels, lags_s, config), config)


def rows_of(curve, name):
    table = curve.table(CONFIG)
    return table[table["level"] == name].reset_index(drop=True)


@pytest.mark.parametrize("half_life_s, interval_s", [(20.0, 1.0), (4.0, 0.5)])
def test_values_are_shares_of_pairs_above_chance(half_life_s, interval_s):
    generator = np.random.default_rng(1)
    chains = [states(generator, 4000, half_life_s / interval_s) for _ in range(8)]
    lags_s = np.array([0, 1, 2, 5, 10, 20, 40, 300])
    curve = curve_of(stream(chains, generator, interval_s), lags_s)
    corpus, film = rows_of(curve, CORPUS), rows_of(curve, FILM)
    np.testing.assert_allclose(corpus["value"], expected(lags_s, half_life_s), atol=0.07)
    np.testing.assert_allclose(film["value"], expected(lags_s, half_life_s), atol=0.09)
    assert corpus["value"][0] == 1
    assert (film["value"][:4] > film["null_high"][:4]).all()
    table = curve.table(CONFIG)
    assert (table["ci_low"] <= table["value"] + 0.05).all() and (table["value"] - 0.05 <= table["ci_high"]).all()


def test_the_film_curve_is_the_closed_form_at_lags_up_to_the_film():
    curve = curve_of(simulate(LABELS)[0], lag_grid(1.0, 1499.0, 20))
    shape = model(curve, np.array([20.0]), centred=True)[0]
    np.testing.assert_allclose(curve.decay[0] / curve.decay[0, 0], shape / shape[0], atol=0.08)
    found = half_lives([curve], CONFIG)
    assert found["half_life_s"].between(16, 25).all()
    assert (found["ci_low_s"] < 20).all() and (found["ci_high_s"] > 20).all()


def test_value_and_intervals_are_those_of_loops_over_films_and_labels():
    films = drawn(5, lengths=(40, 25, 31), labels=4)
    lags = [0, 2, 9]
    curve = curve_of(stream_of(films), lags, bootstrap_samples=1)
    for level, own_rates in ((0, True), (1, False)):
        for k, lag in enumerate(lags):
            assert curve.decay[level, k] == pytest.approx(by_loops(films, lag, own_rates), rel=1e-3)


def by_loops(films, lag, own_rates):
    films = [film.astype(float) for film in films.values()]
    p = np.concatenate(films).mean(axis=0)
    apart = [(a, b) for a in range(4) for b in range(4) if a != b]
    expected = sum(p[a] * p[b] for a, b in apart)

    def above(film, lag):
        """Sums of products of labels a and b less their rates, by label pair."""
        now = np.concatenate([f[: len(f) - lag] for f in ([film] if own_rates else films)]).mean(axis=0)
        later = np.concatenate([f[lag:] for f in ([film] if own_rates else films)]).mean(axis=0)
        return {
            (a, b): sum((film[t, a] - now[a]) * (film[t + lag, b] - later[b]) for t in range(len(film) - lag))
            for a, b in apart
        }

    strength, moments = 0.0, 0
    for i, one in enumerate(films):
        for j, other in enumerate(films):
            if i != j:
                here, there = above(one, lag), above(other, 0)
                strength += sum(here[pair] * there[pair] / (p[pair[0]] * p[pair[1]]) for pair in apart)
                strength -= sum(here.values()) * sum(there.values()) / expected
                moments += (len(one) - lag) * len(other)
    return strength / moments


def test_null_is_that_of_shifting_each_label_on_its_own():
    labels = simulate(dataclasses.replace(LABELS, durations_s=(300.0,) * 4))[0]
    lags = [0, 1, 8, 60]
    pairs = label_pairs(labels, lags, CONFIG)
    curve = association(pairs, CONFIG)
    patterns = covariances(pairs.presence, 0)
    p = np.concatenate(pairs.presence).mean(axis=0)
    weight = (1 - np.eye(len(p))) / np.outer(p, p)
    shared = (patterns * (1 - np.eye(len(p)))).sum(axis=(1, 2)) / (p.sum() ** 2 - (p**2).sum())
    patterns = (weight * patterns - shared[:, None, None]) * (1 - np.eye(len(p)))
    others = patterns.sum(axis=0) - patterns
    generator, draws = np.random.default_rng(0), []
    for _ in range(300):
        shifted = [
            np.stack([np.roll(x, generator.integers(len(x))) for x in film.T], axis=1) for film in pairs.presence
        ]
        draws.append([(covariances(shifted, lag) * others).sum() for lag in lags])
    scale = curve.decay[0] / curve.value[0]  # per pair of moments, as a share of the value at lag 0
    moments = [sum((300 - lag) * 300 * 3 for _ in range(4)) for lag in lags]
    np.testing.assert_allclose(
        np.std(draws, axis=0) / scale / moments, (curve.null_high - curve.null_low)[0] / 2 / 1.96, rtol=0.2
    )
    np.testing.assert_allclose(np.mean(draws, axis=0) / scale / moments, 0, atol=0.15 * curve.null_high[0].max())


def test_null_above_the_corpus_is_that_of_films_paired_anew():
    """First moments of one film with those of another, at a random time of it: mean and spread of many draws."""
    labels = simulate(dataclasses.replace(LABELS, durations_s=(600.0,) * 6))[0]
    lags = [0, 8, 30]
    pairs = label_pairs(labels, lags, CONFIG)
    curve = association(pairs, dataclasses.replace(CONFIG, null_samples=2000))
    p = np.concatenate(pairs.presence).mean(axis=0)
    above = [film - p for film in pairs.presence]
    apart = 1 - np.eye(len(p))
    patterns = np.array([film.T @ film for film in above])
    shared = (patterns * apart).sum(axis=(1, 2)) / (p.sum() ** 2 - (p**2).sum())
    patterns = (apart / np.outer(p, p) * patterns - shared[:, None, None]) * apart
    others = patterns.sum(axis=0) - patterns
    generator, draws = np.random.default_rng(0), []
    for _ in range(600):
        circle = generator.permutation(6)
        met = {
            f: np.roll(above[g], generator.integers(600), axis=0)
            for f, g in zip(circle, np.roll(circle, -1), strict=True)
        }
        draws.append(
            [sum(((above[f][: 600 - lag].T @ met[f][lag:]) * others[f]).sum() for f in range(6)) for lag in lags]
        )
    moments = np.array([(600 - lag) * 600 * 30 for lag in lags])
    scale = curve.decay[1] / curve.value[1]
    middle = (curve.null_high + curve.null_low)[1] / 2
    half = (curve.null_high - curve.null_low)[1] / 2 / 1.96
    drawn_now = np.array(draws) / scale / moments
    np.testing.assert_allclose(half, drawn_now.std(axis=0), rtol=0.2)
    np.testing.assert_allclose(middle, drawn_now.mean(axis=0), atol=0.15 * half.max())


def covariances(films, lag):
    """Sums of products of each label and each other a lag later, less the rates of the moments used, film by film."""
    return np.array(
        [(x[: len(x) - lag] - x[: len(x) - lag].mean(axis=0)).T @ (x[lag:] - x[lag:].mean(axis=0)) for x in films]
    )


def test_without_time_order_nothing_lasts():
    generator = np.random.default_rng(2)
    chains = [generator.permutation(states(generator, 3000, 20.0)) for _ in range(6)]
    curve = curve_of(stream(chains, generator), [0, 1, 5, 20])
    assert np.abs(curve.value[:, 1:]).max() < 0.05


def test_what_belongs_to_the_film_is_told_from_what_belongs_to_the_moment():
    """Films that differ in how often each group is in view, and moments that have nothing to do with each other."""
    generator = np.random.default_rng(3)
    rates = generator.dirichlet(np.full(GROUPS, 0.3), size=24)
    chains = [generator.choice(GROUPS, size=1500, p=p) for p in rates]
    curve = curve_of(stream(chains, generator), [0, 1, 10, 100])
    corpus, film = curve.value[1, 1:], curve.value[0, 1:]
    assert np.abs(film).max() < 0.05
    assert corpus.min() > 0.1 and np.ptp(corpus) < 0.05  # no lag makes a difference


def test_a_world_of_films_is_found_within_the_intervals():
    """The miniature's timelines, through its detector: truth is a share of pairs above the corpus base rate."""
    world = dataclasses.replace(WORLD, films=10, film_duration_s=1500.0, label_interval_s=1.0)
    labels = label_stream(*label_tables(world, timelines(world)))
    lags = np.array([0.0, 1, 3, 10, 30, 60, 120, 200, 400])
    found = rows_of(curve_of(labels, lags, bootstrap_samples=200), CORPUS)
    truth = true_association(world, lags)
    inside = (found["ci_low"] - 0.02 <= truth) & (truth <= found["ci_high"] + 0.02)
    assert inside.mean() > 0.85, np.c_[truth, found["ci_low"], found["ci_high"]]


def test_pairs_of_labels_never_cross_films():
    """One film has only x, the other only y: no pair of different labels, whatever the lag."""
    labels = stream_of({"a": np.tile([True, False], (50, 1)), "b": np.tile([False, True], (50, 1))})
    assert np.isnan(curve_of(labels, [0, 1, 5]).value).all()


def test_a_label_always_in_view_associates_with_nothing():
    generator = np.random.default_rng(4)
    chains = [states(generator, 2000, 10.0) for _ in range(6)]
    plain = stream(chains, generator)
    always = pd.DataFrame(
        {
            "movie_id": np.repeat(plain.movies, 2000),
            "time_s": np.tile(np.arange(2000.0), 6),
            "label": "person",
            "confidence": 90.0,
        }
    )
    rows = plain.labels.astype({"movie_id": str, "label": str})
    with_person = label_stream(pd.concat([rows, always]), plain.times)
    one, other = (curve_of(s, [0, 5, 10, 40]).decay for s in (plain, with_person))
    np.testing.assert_allclose(one[0] / one[0, 0], other[0] / other[0, 0], atol=0.02)


def test_a_film_shorter_than_a_lag_has_no_part_in_it():
    generator = np.random.default_rng(5)
    chains = [states(generator, n, 10.0) for n in (800, 800, 30)]
    full = stream(chains, generator)
    keep = full.labels[full.labels["movie_id"] != "f2"]
    without = label_stream(keep, full.times[full.times["movie_id"] != "f2"])
    lags = [0, 1, 50, 799, 900]
    one, other = (label_pairs(s, lags, CONFIG) for s in (full, without))
    assert (one.count[2:, 2] == 0).all() and (one.both[2:, :2] == other.both[2:]).all()
    curve = association(one, CONFIG)
    assert np.isfinite(curve.value[:, :3]).all() and np.isnan(curve.value[:, 4]).all()
