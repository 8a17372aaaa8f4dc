"""Split halves, reliability and noise ceiling."""

import numpy as np
import pandas as pd
import pytest

from semanticcmc.rsa.mantel import mantel
from semanticcmc.rsa.rdm import from_class_means
from semanticcmc.rsa.reliability import reliability_table, split_half_rdms


def reliability(features, index, classes, **options):
    return reliability_table(features, index, classes, **options).reliability.item()


def names(n):
    return tuple(f"n{index:08d}" for index in range(n))


def test_reliability_without_noise_is_1_and_with_nothing_but_noise_0():
    rng = np.random.default_rng(9)
    index = np.repeat(np.arange(20), 6)
    truth = rng.standard_normal((20, 200))
    assert reliability(truth[index], index, names(20)) == pytest.approx(1)
    noise = reliability(rng.standard_normal((120, 200)), index, names(20))
    assert abs(noise) < 0.35  # 190 distances between halves that share nothing


def test_spearman_brown_predicts_the_reliability_of_twice_the_images():
    # Reliability from halves of 8 images must be that between two independent sets of 8 images.
    rng = np.random.default_rng(10)
    truth, index = rng.standard_normal((40, 30)), np.repeat(np.arange(40), 8)
    sets = [truth[index] + 3 * rng.standard_normal((320, 30)) for _ in range(2)]
    estimate = np.mean([reliability(one, index, names(40), seed=1) for one in sets])
    first, second = (from_class_means([one[index == k].mean(0) for k in range(40)], names(40)) for one in sets)
    assert estimate == pytest.approx(np.corrcoef(first.values, second.values)[0, 1], abs=0.08)


def test_halves_share_no_image_and_leave_the_odd_one_out():
    index = np.repeat(np.arange(4), 3)
    features = np.eye(12)  # the mean of a class shows which images went in
    for pair in split_half_rdms(features, index, names(4), "euclidean", splits=5):
        for rdm in pair:  # one image of three a half: all classes are sqrt(2) apart
            np.testing.assert_allclose(rdm.values, np.sqrt(2))
    with pytest.raises(ValueError, match="n00000001, n00000002 has fewer than 2 images"):
        next(iter(split_half_rdms(features[:5], [0, 0, 0, 1, 2], names(3))))


@pytest.mark.parametrize(("noise", "least", "most"), [(1.0, -0.04, 0.04), (2.5, 0.0, 0.15)])
def test_noise_ceiling_is_what_a_perfect_model_reaches(noise, least, most):
    # With much noise errors multiply in the distances, which Spearman and Brown did not foresee: conservative.
    rng = np.random.default_rng(13)
    truth, index = rng.standard_normal((60, 20)), np.repeat(np.arange(60), 8)
    model = from_class_means(truth, names(60), "euclidean")
    beyond = []
    for _ in range(6):
        features = truth[index] + noise * rng.standard_normal((480, 20))
        means = from_class_means([features[index == k].mean(0) for k in range(60)], names(60), "euclidean")
        ceiling = reliability_table(features, index, names(60), "euclidean").ceiling.item()
        beyond.append(mantel(means, model, 1).r - ceiling)
    assert least < np.mean(beyond) < most


def test_noise_ceiling_is_the_root_of_the_reliability_and_0_where_halves_do_not_agree():
    index = np.repeat(np.arange(20), 3)
    noise = [np.random.default_rng(seed).standard_normal((60, 5)) for seed in range(8)]
    table = pd.concat([reliability_table(one, index, names(20)) for one in noise])
    assert (table.reliability < 0).any() and (table.reliability > 0).any() and (table.ceiling < 0.6).all()
    np.testing.assert_allclose(table.ceiling, np.sqrt(table.reliability.clip(lower=0)))


def test_no_noise_ceiling_where_a_class_has_one_image_and_why():
    noise = np.random.default_rng(14).standard_normal((9, 5))
    with pytest.warns(RuntimeWarning, match="1 of 5 classes have one image"):
        table = reliability_table(noise, [0, 0, 1, 1, 2, 2, 3, 3, 4], names(5))
    assert table.isna().all(axis=None) and list(table) == ["reliability", "ceiling"]
