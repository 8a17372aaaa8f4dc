"""Families of tests: Holm's correction, and the permutations that it needs."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform
from scipy.stats import norm

from semanticcmc.rsa.mantel import mantel_table
from semanticcmc.rsa.permutation import holm, permutations_for_family


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


def test_a_family_is_corrected_and_gets_the_permutations_that_it_needs():
    x, y, z = related(10, 9)
    assert permutations_for_family(3) == 1200 and permutations_for_family(1, 0.01) == 2000
    table = mantel_table({"a": x, "b": z}, {"m": y}, permutations=99, family="layers")
    assert (table.permutations >= 800).all() and (table.family == "layers").all()
    np.testing.assert_allclose(table.p_holm, holm(table.p))
    assert "p_holm" not in mantel_table({"a": x}, {"m": y}, permutations=99)
    with pytest.raises(ValueError, match="at least one"):
        permutations_for_family(0)
