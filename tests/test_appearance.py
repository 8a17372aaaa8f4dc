"""How long looks last in films whose truth is known."""

import numpy as np
import pytest

from semanticcmc.appearance import appearance
from semanticcmc.configuration import InputError
from semanticcmc.frames import Frame, FrameStore, merge_index, write_film
from semanticcmc.timescales import TimescalesConfig

FILM, CORPUS = "film base rate", "corpus base rate"


def config(**values):
    return TimescalesConfig(**({
        "lags_s": (1.0,), "labels": 50, "step_s": 1.0, "frame_px": (16, 16), "splits": 6, "bootstrap_samples": 60,
        "null_samples": 40, "confidence": 0.95, "seed": 0} | values))  # fmt: skip


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


def test_appearance_finds_how_long_shots_last(tmp_path):
    store = pictures(tmp_path, 4, 600, half_life_s=5.0)
    lags_s = np.array([0, 1, 2, 5, 10, 20, 100])
    table = appearance(store, lags_s, config())
    for name in (FILM, CORPUS):
        found = level(table, name)
        np.testing.assert_allclose(found["value"], 0.5 ** (lags_s / 5), atol=0.07)
        assert (found["value"][:5] > found["null_high"][:5]).all()
        assert found["null_low"][6] - 0.02 <= found["value"][6] <= found["null_high"][6] + 0.02
        assert (found["ci_low"] <= found["value"] + 1e-9).all() and (
            found["value"] <= found["ci_high"] + 1e-9
        ).all()


def test_a_film_s_tint_shows_above_the_corpus_alone(tmp_path):
    store = pictures(tmp_path, 4, 300, half_life_s=2.0, tint=1.0)
    table = appearance(store, [40, 60], config())
    assert level(table, FILM)["value"].abs().max() < 0.06
    assert level(table, CORPUS)["value"].min() > 0.3


def test_appearance_of_a_single_film_has_no_corpus_base_rate(tmp_path):
    table = appearance(pictures(tmp_path, 1, 80, half_life_s=4.0), [0.2, 1, 5], config())
    assert table["lag_s"].tolist() == [1, 5, 1, 5]  # frames come once a second
    assert level(table, CORPUS)["value"].isna().all() and level(table, FILM)["value"].notna().all()


def test_plain_pictures_are_like_nothing(tmp_path):
    """A film of black frames has no looks to compare: 0, and no division by 0."""
    black = np.zeros((16, 16, 3), dtype=np.uint8)
    for movie_id in "ab":
        write_film(tmp_path, movie_id, (Frame(t, t, t, black) for t in range(20)), 90)
    merge_index(tmp_path)
    assert (appearance(FrameStore(tmp_path), [1, 5], config())["value"] == 0).all()


def test_a_lag_longer_than_every_film_is_refused(tmp_path):
    with pytest.raises(InputError, match="no film is long enough"):
        appearance(pictures(tmp_path, 2, 30, half_life_s=4.0), [1, 60], config())
