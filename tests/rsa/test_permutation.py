"""Families of tests: Holm's correction and its permutations; double semi-partialling against sna and regressions."""

import itertools
import json
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import pdist, squareform
from scipy.stats import binomtest, norm, pearsonr

from semanticcmc.rsa import permutation
from semanticcmc.rsa.cosets import Cosets, draw_cosets
from semanticcmc.rsa.mantel import mantel, mantel_table, partial_mantel
from semanticcmc.rsa.permutation import holm, permutations_for_family
from tests.conftest import ROOT

VEGAN = ROOT / "tests" / "rsa" / "vegan"


def related(n, seed, noise=1.0, count=3):
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((n, 3))
    return [squareform(pdist(points + noise * rng.standard_normal((n, 3)))) for _ in range(count)]


def test_holm_by_hand():
    # Holm (1979): the smallest times m, the next times m - 1 ..., never falling, at most 1.
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.6, 0.5]), [1, 1])
    np.testing.assert_allclose(holm([0.02, np.nan, 0.03]), [0.04, np.nan, 0.04])
    assert holm([]).shape == (0,) and np.isnan(holm([np.nan])).all()


def test_holm_keeps_the_family_wise_error():
    rng = np.random.default_rng(8)
    p = norm.sf(rng.standard_normal((4000, 5)) + np.array([0, 0, 0, 3, 3]))
    wrong = np.mean([(holm(row)[:3] <= 0.05).any() for row in p])
    assert 0.02 < wrong < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 4000)


def test_a_family_gets_the_permutations_that_it_needs():
    assert permutations_for_family(3) == 1200 and permutations_for_family(1, 0.01) == 2000
    with pytest.raises(ValueError, match="at least one"):
        permutations_for_family(0)


def left_over(y, *controls):
    """What a regression on the controls leaves of condensed distances."""
    design = np.column_stack([np.ones(len(y)), *controls])
    return y - design @ np.linalg.lstsq(design, y, rcond=None)[0]


def semi_partialled(x, y, z, order):
    """Correlation of x with the residual of y in another order, given z: by regressions on condensed distances."""
    moved = squareform(squareform(left_over(squareform(y), squareform(z)))[np.ix_(order, order)])
    return pearsonr(*(left_over(one, squareform(z)) for one in (squareform(x), moved))).statistic


def test_double_semi_partialling_finds_what_sna_finds_for_the_same_permutations(monkeypatch):
    """``netlm(x, list(y, z), mode = "graph", nullhyp = "qapspp", test.statistic = "t-value")``: sna/netlm.R."""
    x, y, z = (np.loadtxt(VEGAN / f"{name}.csv", delimiter=",") for name in ("x", "y", "z"))
    stored = {key: np.array(value) for key, value in json.loads((VEGAN / "cosets.json").read_text()).items()}
    sna = pd.read_csv(VEGAN.parent / "sna" / "netlm.csv").iloc[0]
    drawn = partial_mantel(x, y, z, 9999, partial="dsp")
    assert drawn.p == pytest.approx(sna.drawn, abs=5 * np.sqrt(0.3 * 0.7 / 999))  # of 999 drawn
    monkeypatch.setattr(permutation, "stream_cosets", lambda *_: [Cosets(**stored)])
    found = partial_mantel(x, y, z, partial="dsp", return_null=True)
    r = np.array([found.r, *found.null])
    t = r * np.sqrt((190 - 3) / (1 - r**2))
    np.testing.assert_allclose(t, [sna.t, *map(float, sna.null.split())], atol=1e-9)
    assert found.p == pytest.approx((1 + sna.p * 239) / 240, abs=1e-12)  # sna leaves the observed order out


def test_sna_still_says_what_is_stored(tmp_path):
    if not shutil.which("Rscript"):
        pytest.skip("R is not installed")
    if subprocess.run(["Rscript", "-e", 'quit(status = !requireNamespace("sna", quietly = TRUE))']).returncode:
        pytest.skip("R is installed, sna is not")
    folder = VEGAN.parent / "sna"
    subprocess.run(["Rscript", folder / "netlm.R", VEGAN, tmp_path], check=True, capture_output=True)
    live, kept = (pd.read_csv(one / "netlm.csv") for one in (tmp_path, folder))
    np.testing.assert_allclose(live[["t", "p", "drawn"]], kept[["t", "p", "drawn"]], atol=1e-12)


@pytest.mark.parametrize("n", [7, 12, 220])
def test_double_semi_partialling_is_that_of_residuals_by_regression(n):
    x, y, z = related(n, n)
    found = partial_mantel(x, y, z, 2 * n - 1, partial="dsp", return_null=True, seed=2)
    cosets = draw_cosets(n, 2 * n - 1, 2)
    every = range(1, len(cosets)) if n < 100 else (1, 57, 300)
    expected = [semi_partialled(x, y, z, cosets.permutation(one)) for one in every]
    np.testing.assert_allclose(found.null[[one - 1 for one in every]], expected, atol=1e-6 if n > 200 else 1e-12)
    assert found.r == pytest.approx(partial_mantel(x, y, z, 9).r, abs=1e-12)
    assert found.r == pytest.approx(semi_partialled(x, y, z, np.arange(n)), abs=1e-12)


@pytest.mark.parametrize("alternative", ["greater", "two-sided"])
def test_p_of_double_semi_partialling_tends_to_that_of_all_permutations(alternative):
    x, y, z = related(6, 3)
    every = np.array([semi_partialled(x, y, z, list(order)) for order in itertools.permutations(range(6))])
    signed = np.abs(every) if alternative == "two-sided" else every
    exact = np.mean(signed >= signed[0] - 1e-9)
    found = partial_mantel(x, y, z, 19_999, alternative, partial="dsp")
    assert found.p == pytest.approx(exact, abs=8 * np.sqrt(exact * (1 - exact) / 20_000))


def test_a_table_of_double_semi_partialling_has_its_single_tests():
    """Also where RDMs have different controls, and several models are residuals of each."""
    a, b, y, z, w = related(210, 5, count=5)
    tied = np.round(y)
    table = mantel_table({"a": a, "b": b}, {"y": y, "tied": tied}, {"a": z, "b": w}, 999, partial="dsp")
    single = [partial_mantel(x, m, c, 999, partial="dsp") for x, c in ((a, z), (b, w)) for m in (y, tied)]
    np.testing.assert_allclose(table["mantel_r"], [one.r for one in single], atol=1e-12)
    np.testing.assert_array_equal(table["p"], [one.p for one in single])
    with pytest.raises(ValueError, match="partial 'freedman': expected one of smouse, dsp"):
        partial_mantel(a, y, z, 9, partial="freedman")


@pytest.mark.parametrize("categories", [False, True])
def test_the_interval_holds_the_p_of_all_permutations(categories):
    """At least 95 % of intervals, by full enumeration: 7 items have 5,040 orders."""
    rng, n = np.random.default_rng(3), 7
    labels = rng.integers(0, 3, n)
    x, y = related(n, 5)[:2] if not categories else (related(n, 1)[0], (labels[:, None] != labels).astype(float))
    upper = np.triu_indices(n, 1)
    every = np.array([x[np.ix_(order, order)][upper] @ y[upper] for order in itertools.permutations(range(n))])
    exact = np.mean(every >= every[0] - 1e-9)
    found = [mantel(x, y, 559, seed=seed) for seed in range(300)]
    held = sum(one.p_low <= exact <= one.p_high for one in found)
    assert binomtest(held, len(found), 0.95, alternative="less").pvalue > 1e-3
    assert np.mean([one.p_high - one.p_low for one in found]) < 3 * 2 * 1.96 * np.sqrt(exact * (1 - exact) / 559)
    assert all(one.p_low <= one.p <= one.p_high for one in found)


def test_the_interval_of_no_extreme_permutation_is_clopper_and_pearsons():
    points = np.arange(40.0)[:, None]
    found = mantel(squareform(pdist(points)), squareform(pdist(points)), 7999)
    assert found.p == 1 / 8000 and found.p_low == 0
    assert 1 - 0.025 ** (1 / 7999) <= found.p_high < 1.1 * (1 - 0.025 ** (1 / 7999))
    one_cluster = mantel(*related(30, 1, count=2), 59)
    assert (one_cluster.p_low, one_cluster.p_high) == (0, 1)


@pytest.mark.parametrize("partial", ["smouse", "dsp"])
@pytest.mark.parametrize(("n", "noise"), [(13, 1), (101, 4)])
def test_stopping_early_is_the_test_of_the_first_orders_with_enough(n, noise, partial):
    x, y, z = related(n, 8, noise)
    found = partial_mantel(x, y, z, 99_999, partial=partial, stop_after=30)
    assert found.permutations < 20_000 and np.isnan([found.p_low, found.p_high]).all()
    orders = (found.permutations + 1) // (2 * n)
    fewer, same = (
        partial_mantel(x, y, z, 2 * n * k - 1, partial=partial, return_null=True) for k in (orders - 1, orders)
    )
    assert (same.permutations, same.p) == (found.permutations, found.p)
    assert np.sum(fewer.null >= found.r - 1e-10) < 30 <= np.sum(same.null >= found.r - 1e-10)
    never = partial_mantel(x, x, z, 999, partial=partial, stop_after=10**6)
    assert never == partial_mantel(x, x, z, 999, partial=partial)


def test_each_test_of_a_table_stops_by_itself():
    x, y, z = related(40, 2, noise=0.3)
    far = related(40, 77)[0]
    given = {"a": x, "far": far}, {"y": y, "z": z}
    table = mantel_table(*given, permutations=9999, stop_after=10)
    single = [mantel(one, model, 9999, stop_after=10) for one in given[0].values() for model in given[1].values()]
    np.testing.assert_array_equal(table["p"], [one.p for one in single])
    np.testing.assert_array_equal(table["permutations"], [one.permutations for one in single])
    assert table["permutations"].max() == 9999 > 10 * table["permutations"].min()
    with pytest.raises(ValueError, match="stop_after 0: expected a whole number of at least 1"):
        mantel(x, y, 99, stop_after=0)


def test_stopping_early_holds_the_type_1_error():
    rng, found = np.random.default_rng(12), []
    for case in range(800):
        x, y = (squareform(pdist(rng.standard_normal((9, 2)) ** 3)) for _ in range(2))
        found.append(mantel(x, y, 999, seed=case, stop_after=4))
    p = np.array([one.p for one in found])
    for level in (0.01, 0.05, 0.1, 0.25, 0.5):
        assert binomtest(int((p <= level).sum()), len(p), level, alternative="greater").pvalue > 1e-3
    assert (p <= 0.05).mean() > 0.02  # and it still rejects
    assert np.median([one.permutations for one in found]) < 40
