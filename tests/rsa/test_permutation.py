"""Families of tests: Holm's correction and its permutations; double semi-partialling against sna and regressions."""

import itertools
import json
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import pdist, squareform
from scipy.stats import norm, pearsonr

from semanticcmc.rsa import permutation
from semanticcmc.rsa.cosets import Cosets, draw_cosets
from semanticcmc.rsa.mantel import mantel_table, partial_mantel
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
    monkeypatch.setattr(permutation, "draw_cosets", lambda *_: Cosets(**stored))
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
