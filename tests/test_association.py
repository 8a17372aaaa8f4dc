"""How long associations last in streams whose truth is known in closed form."""

import numpy as np
import pandas as pd
import pytest

from semanticcmc.association import association
from semanticcmc.configuration import InputError
from semanticcmc.labels import label_stream
from semanticcmc.timescales import TimescalesConfig

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


@pytest.mark.parametrize(
    "wrong", [{"lags_s": ()}, {"lags_s": (-1.0,)}, {"labels": 1}, {"splits": 0}, {"confidence": 1.0}]
)
def test_refuses_settings_out_of_range(wrong):
    with pytest.raises(ValueError):
        config(**wrong)
