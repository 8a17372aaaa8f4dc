"""Prediction of a film's labels by what was learned from other films, against regression by hand and closed forms."""

import dataclasses
import itertools

import numpy as np
import pytest
from validation.label_worlds import LabelWorld, simulate
from validation.predictability import predictability

from semanticcmc.timescales.curves import lag_grid
from semanticcmc.timescales.decay import half_lives
from semanticcmc.timescales.pairs import label_pairs
from tests.timescales.test_pairs import CONFIG, drawn, stream_of
from tests.validation.test_label_worlds import covariance, rates
from validation import predictability as module

WORLD = LabelWorld(
    durations_s=(2500.0,) * 10,
    interval_s=1.0,
    half_life_s=30.0,
    groups=5,
    labels_per_group=3,
    active=0.3,
    hit=0.8,
    false_alarm=0.05,
    film_base_rate_sd=0.7,
    seed=4,
)


def by_hand(films, lag, penalty, own_rates):
    """R2 of each film by ridge regression of each label on the others, fitted on the rows of all other films."""
    now, later = [x[: len(x) - lag].astype(float) for x in films], [x[lag:].astype(float) for x in films]
    errors, squares = 0.0, 0.0
    for out in range(len(films)):
        rest = [i for i in range(len(films)) if i != out]
        base = [np.concatenate([part[i] for i in rest]).mean(axis=0) for part in (now, later)]

        def centred(i, part, base=base):
            rows = (now, later)[part][i]
            return rows - (rows.mean(axis=0) if own_rates else base[part])

        x, y = (np.concatenate([centred(i, part) for i in rest]) for part in (0, 1))
        size = penalty * np.trace(x.T @ x) / x.shape[1]
        for label in range(x.shape[1]):
            others = [i for i in range(x.shape[1]) if i != label]
            rows = np.vstack([x[:, others], np.sqrt(size) * np.eye(len(others))])  # ridge as rows of its own
            slope = np.linalg.lstsq(rows, np.append(y[:, label], np.zeros(len(others))), rcond=None)[0]
            target = centred(out, 1)[:, label]
            errors += ((target - centred(out, 0)[:, others] @ slope) ** 2).sum()
            squares += (target**2).sum()
    return 1 - errors / squares


@pytest.mark.parametrize("step", [1, 2, 3])
def test_labels_at_one_moment_are_counted_at_the_first_moments_of_pairs(step):
    films, lags = drawn(6), [0, 1, 5, 16]
    pairs = label_pairs(stream_of(films), lags, dataclasses.replace(CONFIG, step_s=float(step)))
    for k, lag in enumerate(lags):
        for film, gram in zip(films.values(), module._Sums.of(pairs, k, np.arange(2)).gram, strict=True):
            first = [t for t in range(0, len(film), step) if t + lag < len(film)]
            for a, b in itertools.product(range(3), repeat=2):
                assert gram[a, b] == sum(film[t, a] and film[t, b] for t in first)


def test_r2_is_that_of_regressions_by_hand(monkeypatch):
    monkeypatch.setattr(module, "PENALTIES", np.array([0.3]))
    films = drawn(6, lengths=(60, 45, 52, 31), labels=4)
    lags = [0, 1, 7, 40]
    curve = predictability(label_pairs(stream_of(films), lags, CONFIG), CONFIG)
    for k, lag in enumerate(lags):
        used = [film for film in films.values() if len(film) > lag]
        for level, own_rates in ((0, True), (1, False)):
            np.testing.assert_allclose(curve.value[level, k], by_hand(used, lag, 0.3, own_rates), rtol=1e-3)


def test_r2_above_the_film_base_rate_is_the_closed_form():
    stream, truth = simulate(WORLD)
    lags = np.array([0.0, 10.0, 30.0])
    curve = predictability(label_pairs(stream, lags, CONFIG), CONFIG)
    variance = (rates(WORLD, truth) * (1 - rates(WORLD, truth))).mean(axis=0)
    gram = np.nan_to_num(covariance(WORLD, truth, 0).mean(axis=0))
    np.fill_diagonal(gram, variance)
    explained = 0.0
    for label in range(len(variance)):
        others = np.arange(len(variance)) != label
        cross = gram[others, label]
        explained += cross @ np.linalg.solve(gram[np.ix_(others, others)], cross)
    expected = explained / variance.sum() * 0.25 ** (lags / WORLD.half_life_s)
    np.testing.assert_allclose(curve.value[0], expected, atol=0.03)
    assert (curve.table(CONFIG)["ci_low"] <= curve.table(CONFIG)["ci_high"]).all()


def test_the_penalty_is_chosen_without_the_film_that_is_scored():
    """Whatever a film holds, the coefficients and penalty that score it are the same."""
    films = drawn(7, lengths=(50,) * 5, labels=3)
    other = films | {"f4": ~films["f4"]}
    other["f4"][0] = True
    scores = []
    for made in (films, other):
        pairs = label_pairs(stream_of(made), [0, 3], CONFIG)
        sums = module._Sums.of(pairs, 1, np.arange(5))
        fold = np.array([0, 1, 2, 3, 0])
        total = sums.over(slice(None))
        scores.append((module._penalties(sums, total, fold, 0)[0], sums.fitted(total, fold == 0, 0)))
    np.testing.assert_array_equal(scores[0][0], scores[1][0])
    np.testing.assert_allclose(scores[0][1][0], scores[1][1][0], atol=1e-6)


def test_the_half_life_is_found_and_shuffled_labels_lie_in_the_null():
    stream, _ = simulate(WORLD)
    curve = predictability(label_pairs(stream, lag_grid(1.0, 2400.0, 16), CONFIG), CONFIG)
    found = half_lives([curve], CONFIG)
    assert found["half_life_s"].between(24, 38).all() and (found["measure"] == "prediction_r2").all()
    generator = np.random.default_rng(0)
    films = {f"f{i}": generator.random((800, 6)) < 0.3 for i in range(6)}
    nothing = predictability(label_pairs(stream_of(films), lag_grid(1.0, 700.0, 12), CONFIG), CONFIG)
    inside = (nothing.null_low[0] <= nothing.value[0]) & (nothing.value[0] <= nothing.null_high[0])
    assert inside.mean() > 0.7 and np.abs(nothing.value[0]).max() < 0.02


def test_two_films_cannot_tell_how_well_others_are_predicted():
    world = dataclasses.replace(WORLD, durations_s=(200.0, 200.0))
    curve = predictability(label_pairs(simulate(world)[0], [0, 5], CONFIG), CONFIG)
    assert np.isnan(curve.value).all()
