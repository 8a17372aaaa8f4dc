"""Means over units, with intervals over units and classes: variances by hand, planned test, peak, equivalence."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist, squareform
from scipy.stats import ttest_1samp

from semanticcmc.evaluation.inference import Estimate, Units
from semanticcmc.rsa.standardise import standardise_table
from tests.rsa.limits import bootstrap_intervals


def distances(points):
    return squareform(pdist(points))


def units(count, n=20, noise=(2.0, 0.5, 2.0), seed=0, same=False, control=True):
    """Units of three networks; the middle one measures the points behind the model best."""
    rng = np.random.default_rng(seed)
    points, found = rng.standard_normal((n, 3)), []
    for _ in range(count):
        if same and found:
            found.append(found[0])
            continue
        rdms = {k: distances(points + one * rng.standard_normal((n, 3))) for k, one in enumerate(noise)}
        given = distances(rng.standard_normal((n, 3))) if control else None
        found.append(standardise_table(rdms, {"model": distances(points)}, given))
    return found


def test_one_unit_has_the_variance_over_classes_that_the_bootstrap_has():
    rng = np.random.default_rng(1)
    points = rng.standard_normal((40, 3))
    x, y = (distances(points + 0.8 * rng.standard_normal((40, 3))) for _ in range(2))
    low, high = Units([standardise_table({"x": x}, {"y": y})]).network(0).interval()
    limits = bootstrap_intervals({"x": x}, {"y": y}, samples=4000)[:, 0, 0]
    assert high - low == pytest.approx(limits[1] - limits[0], rel=0.1)  # on Fisher's scale these are skewed


def test_units_that_are_the_same_have_the_variance_over_classes_and_nothing_more():
    one, three = (Units(units(count, same=True)).network(1) for count in (1, 3))
    assert three.value == pytest.approx(one.value, abs=1e-12)
    assert three.error == pytest.approx(one.error, rel=1e-9)


def test_units_whose_classes_have_nothing_in_common_have_the_t_test_over_units():
    """Unrelated points in every unit: what a class brings to one is independent of what it brings to the next."""
    rng, ratio = np.random.default_rng(2), []
    for _ in range(60):
        found = []
        for _ in range(4):
            points = rng.standard_normal((25, 3))
            x, y = (distances(points + rng.standard_normal((25, 3))) for _ in range(2))
            found.append(standardise_table({"x": x}, {"y": y}))
        joint = Units(found)
        alone = joint.r[:, 0].std() / 2
        ratio.append((joint.network(0).error ** 2, float(alone**2)))
    both, of_units = np.mean(ratio, axis=0)
    assert both == pytest.approx(of_units, rel=0.25) and both >= of_units  # a covariance is at least 0


def test_variance_is_that_over_units_and_what_classes_have_in_common():
    """By jackknife covariances, for a model so graded that the degenerate part is small."""
    joint = Units(units(4, n=60, control=False))
    found = joint.network(1)
    deviations = joint.left_out[:, 1] - joint.left_out[:, 1].mean(1, keepdim=True)
    covariance = 59 / 60 * deviations @ deviations.T
    shared = (covariance.sum() - covariance.diagonal().sum()) / 12
    expected = joint.r[:, 1].var() / 4 + shared
    assert found.error**2 == pytest.approx(float(expected), rel=0.2)
    assert found.value == pytest.approx(float(joint.r[:, 1].mean()), abs=1e-12)


def test_a_difference_is_that_of_the_correlations():
    joint = Units(units(3))
    assert joint.network(1, 0).value == pytest.approx(float((joint.r[:, 1] - joint.r[:, 0]).mean()), abs=1e-12)
    assert joint.network(1, 1).error == pytest.approx(0, abs=1e-9)


def test_p_interval_and_equivalence_are_students():
    values = np.random.default_rng(3).normal(0.02, 0.03, 8)
    one = Estimate(values.mean(), values.std(ddof=1) / np.sqrt(8), 7)
    for alternative in ("greater", "less", "two-sided"):
        assert one.p(alternative) == pytest.approx(ttest_1samp(values, 0, alternative=alternative).pvalue)
    expected = ttest_1samp(values, 0).confidence_interval(0.9)
    assert one.interval(0.9) == pytest.approx((expected.low, expected.high))
    tost = max(
        ttest_1samp(values, -0.05, alternative="greater").pvalue, ttest_1samp(values, 0.05, alternative="less").pvalue
    )
    assert one.equivalence() == pytest.approx(tost)
    low, high = one.interval(0.9)
    assert (one.equivalence() < 0.05) == (low > -0.05 and high < 0.05)  # the 90 % interval lies within the bounds


def test_the_planned_test_needs_both_differences():
    found, p = Units(units(3)).inverted_u(1)
    assert p < 0.01 and found.value > 0.1
    rising, p = Units(units(3, noise=(2.0, 1.0, 0.3))).inverted_u(1)
    assert p > 0.5 and rising.value < 0


def test_the_peak_has_an_interval():
    assert Units(units(3)).peak((0, 1, 2), 200) == (1, 1, 1)
    best, low, high = Units(units(2, noise=(2.0, 1.0, 0.9), n=10)).peak((0, 1, 2), 200)
    assert 0 <= low <= best <= high <= 2 and low < high


def test_units_of_other_networks_are_refused():
    two, three = units(1, noise=(1.0, 1.0)), units(1)
    with pytest.raises(ValueError, match="all alike"):
        Units([*two, *three])
    assert torch.isfinite(Units(three).r).all()
