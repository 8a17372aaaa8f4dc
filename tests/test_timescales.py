"""Time scales of streams whose truth is known in closed form."""

import numpy as np
import pandas as pd
import pytest

from semanticcmc.configuration import InputError
from semanticcmc.frames import Frame, FrameStore, merge_index, write_film
from semanticcmc.labels import label_stream
from semanticcmc.timescales import TimescalesConfig, appearance, association

GROUPS, MEMBERS = 6, 4
FILM, CORPUS = "film base rate", "corpus base rate"


def config(**values):
    return TimescalesConfig(**({
        "lags_s": (1.0,), "labels": 50, "step_s": 1.0, "frame_px": (16, 16), "splits": 6, "bootstrap_samples": 60,
        "null_samples": 40, "confidence": 0.95, "seed": 0} | values))  # fmt: skip


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
        rows.append(pd.DataFrame({"movie_id": f"f{i}", "time_s": time * interval_s,
                                  "label": [f"{chain[t]}-{m}" for t, m in zip(time, member, strict=True)],
                                  "confidence": 90.0}))  # fmt: skip
    times = pd.DataFrame({"movie_id": [f"f{i}" for i in range(len(chains))], "start_s": 0.0,
                          "interval_s": interval_s, "count": [len(chain) for chain in chains]})  # fmt: skip
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
def test_association_finds_the_half_life(half_life_s, interval_s):
    generator = np.random.default_rng(1)
    chains = [states(generator, 4000, half_life_s / interval_s) for _ in range(8)]
    lags_s = np.array([0, 1, 2, 5, 10, 20, 40, 300])
    table = association(stream(chains, generator, interval_s), lags_s, config())
    corpus, film = level(table, CORPUS), level(table, FILM)
    np.testing.assert_allclose(corpus["value"], expected(lags_s, half_life_s), atol=0.07)
    np.testing.assert_allclose(film["value"], expected(lags_s, half_life_s), atol=0.09)
    assert corpus["value"][0] == 1
    assert (film["value"][:4] > film["null_high"][:4]).all()
    assert film["null_low"][7] <= film["value"][7] + 0.03 and film["value"][7] - 0.03 <= film["null_high"][7]
    assert (table["ci_low"] <= table["value"] + 0.05).all() and (
        table["value"] - 0.05 <= table["ci_high"]
    ).all()


def test_without_time_order_nothing_lasts():
    generator = np.random.default_rng(2)
    chains = [generator.permutation(states(generator, 3000, 20.0)) for _ in range(6)]
    table = association(stream(chains, generator), [1, 5, 20], config())
    assert table["value"].abs().max() < 0.05


def test_what_belongs_to_the_film_is_told_from_what_belongs_to_the_moment():
    """Films that differ in how often each group is in view, and moments that have nothing to do with each other."""
    generator = np.random.default_rng(3)
    rates = generator.dirichlet(np.full(GROUPS, 0.3), size=24)
    chains = [generator.choice(GROUPS, size=1500, p=p) for p in rates]
    table = association(stream(chains, generator), [1, 10, 100], config(step_s=1.0))
    corpus, film = level(table, CORPUS), level(table, FILM)
    assert film["value"].abs().max() < 0.05
    assert corpus["value"].min() > 0.1 and np.ptp(corpus["value"]) < 0.05  # no lag makes a difference


def test_pairs_of_labels_never_cross_films():
    """One film has only x, the other only y: no pair of different labels, whatever the lag."""
    rows = pd.DataFrame({"movie_id": ["a"] * 50 + ["b"] * 50, "time_s": [*range(50)] * 2,
                         "label": ["x"] * 50 + ["y"] * 50, "confidence": 90.0})  # fmt: skip
    times = pd.DataFrame({"movie_id": ["a", "b"], "start_s": 0.0, "interval_s": 1.0, "count": 50})
    table = association(label_stream(rows, times), [1, 5], config())
    assert table["value"].isna().all() and len(table) == 4


def test_a_label_always_in_view_associates_with_nothing():
    generator = np.random.default_rng(4)
    chains = [states(generator, 2000, 10.0) for _ in range(6)]
    plain = stream(chains, generator)
    always = pd.DataFrame({"movie_id": np.repeat(plain.movies, 2000), "time_s": np.tile(np.arange(2000.0), 6),
                           "label": "person", "confidence": 90.0})  # fmt: skip
    with_person = label_stream(pd.concat([plain.labels, always]), plain.times)
    lags_s = [0, 5, 10, 40]
    values = [level(association(s, lags_s, config()), CORPUS)["value"] for s in (plain, with_person)]
    np.testing.assert_allclose(*values, atol=0.07)


def test_films_too_short_are_left_out_and_one_film_is_refused():
    generator = np.random.default_rng(5)
    chains = [states(generator, n, 10.0) for n in (800, 800, 30)]
    full = stream(chains, generator)
    keep = full.labels[full.labels["movie_id"] != "f2"]
    without = label_stream(keep, full.times[full.times["movie_id"] != "f2"])
    tables = [association(s, [1, 50], config()) for s in (full, without)]
    pd.testing.assert_frame_equal(*tables)
    with pytest.raises(InputError, match="found 0"):
        association(full, [1, 900], config())
    with pytest.raises(InputError, match="found 1"):
        association(stream(chains[:1], generator), [1], config())


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


@pytest.mark.parametrize(
    "wrong", [{"lags_s": ()}, {"lags_s": (-1.0,)}, {"labels": 1}, {"splits": 0}, {"confidence": 1.0}]
)
def test_refuses_settings_out_of_range(wrong):
    with pytest.raises(ValueError):
        config(**wrong)
