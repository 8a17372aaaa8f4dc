"""Several controls at once: tests and intervals against least squares and against what must not matter."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform
from scipy.stats import pearsonr

from semanticcmc.rsa.bootstrap import bootstrap_correlations, bootstrap_counts
from semanticcmc.rsa.cosets import draw_cosets
from semanticcmc.rsa.mantel import mantel_table, partial_mantel
from semanticcmc.rsa.rdm import RDM
from semanticcmc.rsa.standardise import standardise_table


def several(n, k, seed):
    """x, y and k controls, all of which have something in common."""
    rng = np.random.default_rng(seed)
    common = rng.random((n, 3))
    made = [pdist(common + rng.random((n, 3)) * scale) for scale in np.linspace(0.5, 1.5, k + 2)]
    classes = tuple(f"c{i}" for i in range(n))
    return [RDM(values, classes) for values in made]


def left_by_least_squares(values, controls):
    """Residual of condensed distances after a regression on controls with a constant, by numpy's lstsq."""
    design = np.column_stack([np.ones(len(values)), *controls])
    return values - design @ np.linalg.lstsq(design, values, rcond=None)[0]


@pytest.mark.parametrize("k", [2, 3])
def test_several_controls_are_what_least_squares_leaves(k):
    """As vegan's definition of a partial Mantel test: x moves, y and all controls stay."""
    x, y, *controls = several(9, k, 3)
    z = [one.values for one in controls]
    found = partial_mantel(x, y, controls, 499, return_null=True)
    assert found.r == pytest.approx(pearsonr(*(left_by_least_squares(one.values, z) for one in (x, y)))[0], abs=1e-12)
    null, left_y = [], left_by_least_squares(y.values, z)
    cosets = draw_cosets(9, 499, 0)
    # y and z move with the permutation, which is the same as x with its inverse
    for order in cosets.permutation(np.arange(1, len(cosets))):
        moved = squareform(x.square()[np.ix_(np.argsort(order), np.argsort(order))])
        null.append(pearsonr(left_by_least_squares(moved, z), left_y)[0])
    np.testing.assert_allclose(found.null, null, atol=1e-10)
    assert found.p == (1 + (np.array(null) >= found.r - 1e-10).sum()) / len(cosets)


@pytest.mark.parametrize("partial", ["smouse", "dsp"])
def test_the_order_of_controls_and_one_that_says_nothing_new_do_not_matter(partial):
    x, y, first, second = several(24, 2, 5)
    both = RDM(2 * first.values + 3 * second.values + 1, first.classes)
    tests = [partial_mantel(x, y, z, 999, partial=partial) for z in ([first, second], [second, first], (both, first))]
    tests.append(partial_mantel(x, y, [first, second, both], 999, partial=partial))
    assert [one.r for one in tests] == pytest.approx([tests[0].r] * 4, abs=1e-12)
    assert [one.p for one in tests] == pytest.approx([tests[0].p] * 4, abs=2e-3)
    explained = RDM(first.values + second.values, x.classes)
    with pytest.warns(RuntimeWarning, match="collinear"):
        assert np.isnan(partial_mantel(x, explained, [first, second], 99, partial=partial).r)


def test_intervals_given_several_controls_resample_the_whole_regression():
    """The interval's samples against regressions that weigh each pair by how often a sample holds it."""
    x, y, *controls = several(12, 2, 8)
    data = standardise_table({"x": x}, {"y": y}, {"x": controls})
    counts = bootstrap_counts(12, 6, 0)
    found = bootstrap_correlations(data, counts)[0, 0].numpy()
    i, j = np.triu_indices(12, 1)
    for sample, r in zip(counts.numpy(), found, strict=True):
        weight = np.sqrt(sample[i] * sample[j])
        design = np.column_stack([np.ones(len(i)), *(one.values for one in controls)]) * weight[:, None]
        left = [one.values * weight for one in (x, y)]
        left = [one - design @ np.linalg.lstsq(design, one, rcond=None)[0] for one in left]
        assert r == pytest.approx(left[0] @ left[1] / np.sqrt(left[0] @ left[0] * (left[1] @ left[1])), abs=1e-9)


def test_each_rdm_may_have_several_controls_of_its_own():
    x, y, first, second = several(20, 2, 1)
    table = mantel_table({"a": x, "b": y}, {"m": y}, {"a": [first, second], "b": [second]}, 199)
    alone = [partial_mantel(x, y, [first, second], 199), None]
    assert table["mantel_r"][0] == pytest.approx(alone[0].r, abs=1e-12) and table["p"][0] == alone[0].p
    assert table["mantel_r"][1] == pytest.approx(1)
