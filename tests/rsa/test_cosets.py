"""Whole cosets of permutations: the statistics, the reference set that they make up, and its validity."""

import itertools
import json
import math
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform
from scipy.stats import binomtest, kstest

from semanticcmc.rsa import standardise as standardised
from semanticcmc.rsa.arrays import Squares
from semanticcmc.rsa.cosets import Cosets, coset_correlations, draw_cosets, stream_cosets
from semanticcmc.rsa.mantel import mantel, partial_mantel
from semanticcmc.rsa.permutation import correlated
from semanticcmc.rsa.standardise import read, standardise
from tests.conftest import ROOT
from tests.rsa.one_by_one import one_by_one

VEGAN = ROOT / "tests" / "rsa" / "vegan"


def distances(n, seed, dimensions=3):
    return squareform(pdist(np.random.default_rng(seed).standard_normal((n, dimensions))))


def stacked(*matrices):
    return standardise({str(index): matrix for index, matrix in enumerate(matrices)})


def all_multipliers(n):
    return [a for a in range(1, n // 2 + 1) if math.gcd(a, n) == 1]


def correlations(x, y, cosets):
    groups = [(range(len(x)), range(len(y)))]
    parts = coset_correlations(Squares(x), Squares(y), groups, [cosets])
    return torch.cat([found[0].flatten(2) for _, found in parts], dim=-1).numpy()


def by_hand(x, y, permutations):
    """Correlations of each x with each y[p][:, p]: no Fourier transform, no cosets."""
    upper = np.triu_indices(x.shape[-1], 1)
    rows = [
        [
            [np.corrcoef(one.numpy()[upper], other.numpy()[np.ix_(p, p)][upper])[0, 1] for p in permutations]
            for other in y
        ]
        for one in x
    ]
    return np.array(rows)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("n", [4, 5, 6, 7, 8, 9, 12, 13, 15, 30])
def test_every_multiplier_and_turn_is_what_a_plain_permutation_gives(n, compiled, monkeypatch):
    monkeypatch.setattr(standardised, "KERNELS_FROM", 0 if compiled else n + 1)
    if compiled:
        pytest.importorskip("numba")
    x, y = stacked(distances(n, 1), distances(n, 2)), stacked(*(distances(n, s) for s in (3, 4, 5)))
    rng = np.random.default_rng(n)
    order = rng.permutation(n)
    units = all_multipliers(n)
    cosets = Cosets(order, np.stack([order, rng.permutation(n)]), np.array([units, units[::-1]]))
    permutations = cosets.permutation(np.arange(len(cosets)))
    found = correlations(x, y, cosets)
    assert found.shape == (2, 3, 2 * 2 * len(units) * n)
    np.testing.assert_allclose(found, by_hand(x, y, permutations), atol=1e-13)
    assert (np.sort(permutations, axis=1) == np.arange(n)).all()


def test_the_cosets_of_the_affine_group_of_7_make_up_all_permutations():
    n, group = 7, np.array([all_multipliers(7)])
    x, y, z = (stacked(distances(n, s)) for s in (1, 2, 3))
    identity = np.arange(n)
    covered, orders = set(), []
    for order in itertools.permutations(range(n)):
        if order not in covered:
            coset = Cosets(identity, np.array([order]), group)
            covered |= {tuple(p) for p in coset.permutation(np.arange(len(coset)))}
            orders.append(order)
    assert len(orders) == 120 and len(covered) == math.factorial(n) and orders[0] == tuple(identity)
    cosets = Cosets(identity, np.array(orders), np.repeat(group, 120, axis=0))
    every = by_hand(x, torch.cat([y, z]), list(itertools.permutations(range(n))))
    union = correlations(x, torch.cat([y, z]), cosets)
    np.testing.assert_allclose(np.sort(union), np.sort(every), atol=1e-13)
    exact = np.mean(every[0, 0] >= every[0, 0, 0] - 1e-10)
    assert np.mean(union[0, 0] >= every[0, 0, 0] - 1e-10) == exact
    single = [np.mean(part >= every[0, 0, 0] - 1e-10) for part in union[0, 0].reshape(120, 42)]
    assert max(single) > exact > min(single)  # one coset alone is another, coarser test


def test_vegan_and_scikit_bio_find_the_same_for_the_same_permutations():
    from skbio.stats.distance import mantel as scikit_bio

    x, y, z = (np.loadtxt(VEGAN / f"{name}.csv", delimiter=",") for name in ("x", "y", "z"))
    cosets = Cosets(**{key: np.array(value) for key, value in json.loads((VEGAN / "cosets.json").read_text()).items()})
    permutations = cosets.permutation(np.arange(1, len(cosets)))
    stored = np.loadtxt(VEGAN / "permutations.csv", delimiter=",", dtype=int)
    np.testing.assert_array_equal(np.argsort(permutations, axis=1), stored)  # vegan moves x, we move y
    vegan = pd.read_csv(VEGAN / "vegan.csv").set_index(["test", "method"])
    for method in ("pearson", "spearman"):
        stack = standardise({"x": x, "y": y, "z": z}, method)
        r_xy, r_xz = correlations(stack[:1], stack[1:], cosets)[0][:, 1:]
        r_yz = float((stack[1] * stack[2]).sum() / 2)
        partial = (r_xy - r_xz * r_yz) / np.sqrt((1 - r_xz**2) * (1 - r_yz**2))
        for test, found in (("simple", r_xy), ("partial", partial)):
            row = vegan.loc[(test, method)]
            np.testing.assert_allclose(found, np.array(row.null.split(), dtype=float), atol=1e-12)
            assert (1 + np.sum(found >= row.r - 1.5e-8)) / len(cosets) == pytest.approx(row.p, abs=1e-12)
        for place in (0, 17, 238):
            moved = y[np.ix_(permutations[place], permutations[place])]
            assert scikit_bio(x, moved, method=method, permutations=0)[0] == pytest.approx(r_xy[place], abs=1e-12)


@pytest.mark.parametrize("n", [4, 6, 12, 30, 97, 300, 1000])
def test_a_reference_set_holds_the_identity_and_at_least_what_was_asked_for(n):
    for permutations in (1, 99, 9999):
        cosets = draw_cosets(n, permutations, seed=3)
        assert len(cosets) > permutations
        np.testing.assert_array_equal(cosets.permutation(0), np.arange(n))
        assert (np.gcd(cosets.multipliers, n) == 1).all() and cosets.multipliers.max() <= n // 2
        for row in cosets.multipliers:
            assert len(set(row)) == len(row)
        again = draw_cosets(n, len(cosets) - 1, seed=3)  # as a result's own numbers have it
        for field in ("order_x", "orders_y", "multipliers"):
            np.testing.assert_array_equal(getattr(again, field), getattr(cosets, field))
        orders = {tuple(order) for order in cosets.orders_y}
        assert n < 12 or len(orders) == len(cosets.orders_y)
        some = np.unique(np.linspace(0, len(cosets) - 1, 50).astype(int))
        assert (np.sort(cosets.permutation(some), axis=1) == np.arange(n)).all()
    assert not np.array_equal(draw_cosets(n, 99, 0).order_x, draw_cosets(n, 99, 1).order_x) or n < 7


@pytest.mark.parametrize(("n", "permutations"), [(12, 999), (300, 9999)])
def test_a_stream_draws_the_same_however_it_is_parted(n, permutations):
    whole = draw_cosets(n, permutations, seed=4)
    for most, first in ((1, None), (7, 1), (10**6, 2)):
        parts = list(stream_cosets(n, permutations, 4, most, first))
        assert max(len(part.orders_y) for part in parts) <= most and len(parts) > 1
        for name in ("orders_y", "multipliers"):
            np.testing.assert_array_equal(np.concatenate([getattr(one, name) for one in parts]), getattr(whole, name))


def test_memory_does_not_grow_with_the_permutations():
    pytest.importorskip("numba")
    x, y = distances(100, 1), distances(100, 2)
    peaks = []
    for permutations in (100_000, 300_000):  # 500 and 1,500 orders
        tracemalloc.start()
        mantel(x, y, permutations)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.05 * peaks[0] < 40e6


@pytest.mark.parametrize("n", [101, 250, 500, 601])
def test_compiled_loops_and_torch_agree_whatever_the_threads(n, monkeypatch):
    """To the rounding of float64, and from 500 items on of float32."""
    pytest.importorskip("numba")
    x, y = stacked(distances(n, 1), distances(n, 2)), stacked(distances(n, 3))
    cosets = draw_cosets(n, 3 * n, 0)
    units = np.array(all_multipliers(n)[:3])
    cosets = Cosets(cosets.order_x, cosets.orders_y, np.tile(units, (len(cosets.orders_y), 1)))
    with monkeypatch.context() as patched:
        patched.setattr(standardised, "KERNELS_FROM", n + 1)
        plain = correlations(x, y, cosets)
    threads = torch.get_num_threads()
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            np.testing.assert_allclose(correlations(x, y, cosets), plain, atol=2e-15 if n < 500 else 1e-7)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("alternative", ["greater", "less", "two-sided"])
@pytest.mark.parametrize("partial", [False, True])
@pytest.mark.parametrize("single", [False, True])
def test_p_is_that_of_plain_permutations_ties_included(alternative, partial, single, monkeypatch):
    # Two category models: their correlations take few values, and hundreds of permutations tie with the observed.
    if single:
        monkeypatch.setattr(pytest.importorskip("semanticcmc.rsa.kernels"), "FAR_FROM", 100)
    rng, n = np.random.default_rng(2), 210
    x, y = ((labels[:, None] != labels).astype(float) for labels in rng.integers(0, 3, size=(2, n)))
    z = distances(n, 3) if partial else None
    for one in (x, distances(n, 4)):
        stack = standardise({"x": one, "y": y} | ({"z": z} if partial else {}))
        cosets = draw_cosets(n, 799, 0)
        permutations = cosets.permutation(np.arange(len(cosets)))
        r_xy, *r_xz = by_hand(stack[:1], stack[1:], permutations)[0]
        null = r_xy
        if partial:
            r_yz = float((stack[1] * stack[2]).sum() / 2)
            null = (r_xy - r_xz[0] * r_yz) / np.sqrt((1 - r_xz[0] ** 2) * (1 - r_yz**2))
        signed = {"greater": null, "less": -null, "two-sided": np.abs(null)}[alternative]
        found = mantel(one, y, 799, alternative) if z is None else partial_mantel(one, y, z, 799, alternative)
        assert found.permutations + 1 == len(permutations)
        assert found.p == np.mean(signed >= signed[0] - 1e-10)


@pytest.mark.parametrize(("seed", "alternative"), [(21, "greater"), (33, "less")])
def test_ties_of_partial_correlations_count(seed, alternative):
    # All three have two categories: partial r ties with the observed in 40 to 100 of 840 permutations.
    n, rng = 210, np.random.default_rng(seed)
    of = [rng.permutation(np.arange(n) >= n - few) for few in rng.integers(2, 8, 3)]
    x, y, z = ((one[:, None] != one).astype(float) for one in of)
    stack = standardise({"x": x, "y": y, "z": z})
    [[r_xy, r_xz]] = by_hand(stack[:1], stack[1:], draw_cosets(n, 799, 0).permutation(np.arange(2 * n * 2)))
    r_yz = float((stack[1] * stack[2]).sum() / 2)
    null = (r_xy - r_xz * r_yz) / np.sqrt((1 - r_xz**2) * (1 - r_yz**2))
    assert 40 <= np.sum(np.abs(null - null[0]) < 1e-10) < 100
    extreme = null >= null[0] - 1e-10 if alternative == "greater" else null <= null[0] + 1e-10
    assert partial_mantel(x, y, z, 799, alternative).p == np.mean(extreme)


def test_p_is_that_of_independent_permutations_within_monte_carlo_error():
    scores = []
    for case in range(50):
        rng = np.random.default_rng(case)
        n = int(rng.integers(8, 40))
        points = rng.standard_normal((n, 2))
        x, y, z = (squareform(pdist(points + rng.gamma(2, 2) * rng.standard_normal((n, 2)))) for _ in range(3))
        matrices = (x, y, z)[: 2 + case % 2]
        test = (mantel, partial_mantel)[case % 2]
        options = {"permutations": 1999, "seed": case}
        (r, other), found = one_by_one(*matrices, **options), test(*matrices, **options)
        assert found.r == pytest.approx(r, abs=1e-10)
        one = found.p
        p = np.clip((one + other) / 2, 1 / 2000, 1 - 1 / 2000)
        scores.append((one - other) / np.sqrt(2 * p * (1 - p) / 2000))
    assert np.abs(scores).max() < 5 and np.mean(np.square(scores)) < 2.5 and abs(np.mean(scores)) < 0.6


def test_the_callers_order_does_no_harm():
    # On items sorted by class, cosets in the caller's order would spread p more than a hundredfold.
    n, classes = 48, np.repeat(np.arange(8), 6)
    rng = np.random.default_rng(0)
    model = (classes[:, None] != classes).astype(float)
    x = squareform(pdist(rng.standard_normal((n, 4)))) + 0.08 * model
    p = [mantel(x, model, 999, seed=seed).p for seed in range(150)]
    independent = [one_by_one(x, model, seed=seed)[1] for seed in range(150)]
    assert 0.02 < np.mean(p) < 0.5
    assert np.mean(p) == pytest.approx(np.mean(independent), abs=6 * np.std(independent) / np.sqrt(75))
    assert np.var(p) < 3 * np.var(independent)


@pytest.mark.parametrize("partial", [False, True])
def test_under_the_null_p_is_uniform(partial):
    # Simple: independent and skewed. Partial: x = a z + e, the case that it is meant for, without outliers: with them
    # and so few items no Mantel test of x's order holds its level (validation/mantel.csv, the long study).
    rng, n, found = np.random.default_rng(11), 12, []
    for case in range(600):
        z, e, y = (squareform(pdist(rng.standard_normal((n, 3)) ** (1 if partial else 3))) for _ in range(3))
        if partial:
            found.append(partial_mantel(0.7 * z + e, y, z, 199, seed=case).p)
        else:
            found.append(mantel(e, y, 199, seed=case).p)
    found = np.array(found)
    for level in (0.05, 0.2):
        assert binomtest(int((found <= level).sum()), len(found), level).pvalue > 1e-3
    assert kstest(found, "uniform").pvalue > 1e-3


def test_many_permutations_reach_small_p():
    x = distances(30, 1)
    assert mantel(x, x, 99_999).p <= 1e-5


@pytest.mark.parametrize("change", ["none", "far", "nan", "infinite", "asymmetric", "diagonal", "constant"])
def test_compiled_moments_are_the_plain_ones_or_none(change):
    kernels = pytest.importorskip("semanticcmc.rsa.kernels", reason="numba is not installed")
    square = torch.from_numpy(distances(130, 6))
    if change == "far":  # where a product of what is not centred would lose digits
        square = square + 1e5 * (1 - torch.eye(130, dtype=torch.float64))
    elif change == "constant":
        square = 0.1 * (1 - torch.eye(130, dtype=torch.float64))
    elif change == "asymmetric":
        square[3, 100] += 1e-12
    elif change == "diagonal":
        square[100, 100] = 1e-12
    elif change != "none":
        square[3, 100] = square[100, 3] = {"nan": torch.nan, "infinite": torch.inf}[change]
    assert bool(kernels.scale(square.numpy())[1]) == (change == "none")
    if change in ("none", "far"):
        upper = np.triu_indices(130, 1)
        values = square.numpy()[upper]
        expected = (values - values.mean()) / np.linalg.norm(values - values.mean())
        squares = read({"x": square})
        np.testing.assert_allclose(squares.stack[0].numpy()[upper], expected, atol=1e-10)
        np.testing.assert_allclose(correlated(squares, [0], squares, [0]), 1, atol=1e-13)


@settings(max_examples=200)
@given(st.data())
def test_no_asymmetry_passes_the_compiled_check(data):
    """Whole numbers, few or many of them changed on one side, in pairs, in cycles, or exchanged."""
    kernels = pytest.importorskip("semanticcmc.rsa.kernels", reason="numba is not installed")
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    n = 40
    square = squareform(rng.integers(1, data.draw(st.sampled_from([3, 10, 2**40])), n * (n - 1) // 2).astype(float))
    assert kernels.scale(square)[1]
    changed = square.copy()
    for _ in range(data.draw(st.integers(1, 30))):
        (i, j), (k, m) = rng.choice(n, (2, 2))
        kind = data.draw(st.sampled_from(["add", "exchange", "cycle", "permute"]))
        if kind == "add":
            changed[i, j] += data.draw(st.sampled_from([1, 2, 2**20, 1e-9]))
        elif kind == "exchange":
            changed[i, j], changed[k, m] = changed[k, m], changed[i, j]
        elif kind == "cycle":
            changed[i, j], changed[j, k], changed[k, i] = changed[j, k], changed[k, i], changed[i, j]
        else:
            changed[i] = changed[i, rng.permutation(n)]
    if not np.array_equal(changed, changed.T) or changed.diagonal().any():
        assert not kernels.scale(changed)[1]
