"""How long looks last in films whose truth is known."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from semanticcmc.config import InputError
from semanticcmc.films.files import Frame, merge_index, write_film
from semanticcmc.films.store import FrameStore
from semanticcmc.timescales.appearance import compare_frames, persistence, rms_difference
from semanticcmc.timescales.curves import TimescalesConfig

FILM, CORPUS = "film base rate", "corpus base rate"


def config(**values):
    return TimescalesConfig(
        **(
            {
                "lags": 20,
                "labels": 50,
                "min_confidence": 0.0,
                "step_s": 1.0,
                "frame_px": (16, 16),
                "bootstrap_samples": 60,
                "null_samples": 40,
                "confidence": 0.95,
                "seed": 0,
                "looks": None,
            }
            | values
        )
    )


def level(table, name):
    return table[table["level"] == name].reset_index(drop=True)


def pictures(folder, films, n, half_life_s, tint=0.0, seed=0):
    """Films of shots, each a random picture and over as a radioactive atom decays; a film may have a tint."""
    generator = np.random.default_rng(seed)
    for f in range(films):
        anew = generator.random(n) >= 0.5 ** (1 / half_life_s)
        shots = np.cumsum(anew)
        kinds = generator.normal(size=(shots[-1] + 1, 16, 16, 3)) + tint * generator.normal(size=(16, 16, 3))
        images = np.clip(127 + 30 * kinds, 0, 255).astype(np.uint8).repeat(4, axis=1).repeat(4, axis=2)
        write_film(folder, f"f{f}", (Frame(t, t, t, images[s]) for t, s in enumerate(shots)), 95)
    merge_index(folder)
    return FrameStore(folder)


def appearance(store, lags_s, config):
    """Correlation of small pictures, as notebook 01 measures it."""
    looks = compare_frames(store.index, store.resident(config.frame_px), lags_s, correlation=True)
    return persistence("appearance", looks, config)


def test_appearance_finds_how_long_shots_last(tmp_path):
    store = pictures(tmp_path, 4, 600, half_life_s=5.0)
    lags_s = np.array([0, 1, 2, 5, 10, 20, 100])
    table = appearance(store, lags_s, config()).table(config())
    for name in (FILM, CORPUS):
        found = level(table, name)
        np.testing.assert_allclose(found["value"], 0.5 ** (lags_s / 5), atol=0.07)
        assert (found["value"][:5] > found["null_high"][:5]).all()
        assert found["null_low"][6] - 0.02 <= found["value"][6] <= found["null_high"][6] + 0.02
        assert (found["ci_low"] <= found["value"] + 1e-9).all() and (found["value"] <= found["ci_high"] + 1e-9).all()


def test_a_film_s_tint_shows_above_the_corpus_alone(tmp_path):
    store = pictures(tmp_path, 4, 300, half_life_s=2.0, tint=1.0)
    table = appearance(store, [40, 60], config()).table(config())
    assert level(table, FILM)["value"].abs().max() < 0.06
    assert level(table, CORPUS)["value"].min() > 0.3


def test_appearance_of_a_single_film_has_no_corpus_base_rate(tmp_path):
    table = appearance(pictures(tmp_path, 1, 80, half_life_s=4.0), [0.2, 1, 5], config()).table(config())
    assert table["lag_s"].tolist() == [1, 5, 1, 5]  # frames come once a second
    assert level(table, CORPUS)["value"].isna().all() and level(table, FILM)["value"].notna().all()


def test_identical_pictures_have_a_likeness_of_0(tmp_path):
    """A film of black frames has no looks to compare: 0, and no division by 0."""
    black = np.zeros((16, 16, 3), dtype=np.uint8)
    for movie_id in "ab":
        write_film(tmp_path, movie_id, (Frame(t, t, t, black) for t in range(20)), 90)
    merge_index(tmp_path)
    assert (appearance(FrameStore(tmp_path), [1, 5], config()).value == 0).all()


def test_a_lag_longer_than_every_film_is_refused(tmp_path):
    with pytest.raises(InputError, match="no film is long enough"):
        appearance(pictures(tmp_path, 2, 30, half_life_s=4.0), [1, 60], config())


def moments(generator, films, n, pixels, keep, tint=0.0):
    """Films whose pixels are each forgotten at a rate, x(t + 1) = keep x(t) + noise, around the film's own picture."""
    x = np.empty((films, n, pixels))
    x[:, 0] = generator.normal(size=(films, pixels))
    for t in range(1, n):
        x[:, t] = keep * x[:, t - 1] + np.sqrt(1 - keep**2) * generator.normal(size=(films, pixels))
    x += tint * generator.normal(size=(films, 1, pixels))
    index = pd.DataFrame(
        {"movie_id": np.repeat([f"f{f}" for f in range(films)], n), "time_s": np.tile(np.arange(n), films)}
    )
    return index, x.reshape(films * n, pixels)


@pytest.mark.parametrize("correlation", [False, True])
def test_likeness_is_how_much_is_remembered(correlation):
    """Above the film keep^lag; above the corpus (keep^lag + tint^2) / (1 + tint^2), of pixels and correlations."""
    keep, tint, lags_s = 0.9, 0.7, np.array([0, 1, 2, 5, 10, 20, 50])
    index, x = moments(np.random.default_rng(0), 12, 2000, 150, keep, tint)
    table = persistence("features", compare_frames(index, x, lags_s, correlation), config()).table(config())
    np.testing.assert_allclose(level(table, FILM)["value"], keep**lags_s, atol=0.02)
    above_corpus = (keep**lags_s + tint**2) / (1 + tint**2)
    np.testing.assert_allclose(level(table, CORPUS)["value"], above_corpus, atol=0.03)
    assert (level(table, CORPUS)["value"] > level(table, CORPUS)["null_high"]).all()  # what a film looks like lasts
    film = level(table, FILM).iloc[-1]
    assert film["null_low"] - 0.01 <= film["value"] <= film["null_high"] + 0.01


def test_rms_difference_is_in_the_pixels_unit():
    """2 s^2 (1 - keep^lag) squared for pixels of standard deviation s, 2 s^2 (1 + tint^2) between films."""
    keep, tint, sd, lags_s = 0.8, 1.0, 30.0, np.array([0, 1, 3, 40])
    index, x = moments(np.random.default_rng(1), 10, 2000, 200, keep, tint)
    found = rms_difference(compare_frames(index, 128 + sd * x, lags_s, correlation=False), config())
    np.testing.assert_allclose(found["rms_difference"], sd * np.sqrt(2 * (1 - keep**lags_s)), rtol=0.01)
    np.testing.assert_allclose(found["same_film"], sd * np.sqrt(2), rtol=0.01)
    np.testing.assert_allclose(found["other_film"], sd * np.sqrt(2 * (1 + tint**2)), rtol=0.06)
    assert (found["ci_low"] <= found["rms_difference"]).all() and (found["rms_difference"] <= found["ci_high"]).all()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_every_pair_of_a_film_with_gaps_and_no_other(seed):
    """Films of their own lengths, steps and gaps, against a loop over all pairs of frames."""
    generator = np.random.default_rng(seed)
    lags_s, tables, vectors, expected, weight = [0, 2, 4, 10], [], [], [], []
    for f, step_s in enumerate((1.0, 2.0, 0.5)):
        steps = np.r_[0, 1 + np.flatnonzero(generator.random(45) < 0.8), 47]
        assume(np.median(np.diff(steps)) == 1)  # else most frames are two steps apart, and that is the film's step
        x = generator.normal(size=(len(steps), 6)) + 50 * f
        tables.append(pd.DataFrame({"movie_id": f"f{f}", "time_s": 3 + step_s * steps}))
        vectors.append(x)
        lags = np.rint(np.array(lags_s) / step_s)
        expected.append(
            [
                np.mean(
                    [
                        ((x[i] - x[j]) ** 2).sum()
                        for i in range(len(x))
                        for j in range(len(x))
                        if steps[j] - steps[i] == lag
                    ]
                )
                for lag in lags
            ]
        )
        weight.append([np.sum(steps[:, None] + lag == steps) for lag in lags])
    looks = compare_frames(pd.concat(tables), np.concatenate(vectors), lags_s, correlation=False)
    np.testing.assert_allclose(looks.squared, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        looks.difference(np.ones(3)), np.average(expected, axis=0, weights=weight), rtol=1e-4, atol=1e-6
    )
    between = [cdist(vectors[i], vectors[j], "sqeuclidean").mean() for i, j in ((0, 1), (0, 2), (1, 2))]
    np.testing.assert_allclose(looks.base[[0, 0, 1], [1, 2, 2]], between, rtol=1e-6)


def test_frames_off_their_grid_are_refused():
    index = pd.DataFrame({"movie_id": "f", "time_s": [0, 1, 2, 2.1, 3, 4]})
    with pytest.raises(InputError, match="film f: frames closer than the 1 s of most"):
        compare_frames(index, np.zeros((5, 2)), [1], correlation=True)
