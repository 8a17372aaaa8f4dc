"""Bootstrap over classes, comparison of networks, Holm's correction, reliability and noise ceiling."""

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import pdist, squareform
from scipy.stats import norm, pearsonr

from semanticcmc.rsa.bootstrap import (
    bootstrap_correlations,
    bootstrap_counts,
    bootstrap_interval,
    bootstrap_intervals,
    compare,
    holm,
    permutations_for_family,
)
from semanticcmc.rsa.mantel import mantel, mantel_table, partial_mantel
from semanticcmc.rsa.rdm import from_class_means
from semanticcmc.rsa.reliability import noise_ceiling, reliability_table, split_half_rdms, split_half_reliability
from semanticcmc.rsa.standardise import standardise_table


def names(n):
    return tuple(f"n{index:08d}" for index in range(n))


def related(n, seed, noise=1.0, count=3):
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((n, 3))
    return [squareform(pdist(points + noise * rng.standard_normal((n, 3)))) for _ in range(count)]


def resampled(matrices, chosen):
    """Distances of the classes drawn, pairs of a class with itself dropped: the sample, written out."""
    first, second = np.triu_indices(len(chosen), 1)
    apart = chosen[first] != chosen[second]
    return [matrix[chosen[first][apart], chosen[second][apart]] for matrix in matrices]


@pytest.mark.parametrize("n", [9, 220])
def test_weighted_bootstrap_is_the_sample_written_out(n):
    x, y, z = related(n, 1)
    stacks = standardise_table({"x": x, "z": z}, {"y": y, "yy": y**2}, {"x": z, "z": x})
    counts = bootstrap_counts(n, 5, seed=3)
    found = bootstrap_correlations(*stacks, counts).numpy()
    simple = bootstrap_correlations(*standardise_table({"x": x}, {"y": y}, None), counts).numpy()
    for sample, count in enumerate(counts.numpy().astype(int)):
        a, b, c = resampled((x, y, z), np.repeat(np.arange(n), count))
        assert simple[0, 0, sample] == pytest.approx(pearsonr(a, b).statistic, abs=1e-5)
        for k, model in enumerate((b, b**2)):
            for i, (one, other) in enumerate(((a, c), (c, a))):
                residuals = [v - np.polyval(np.polyfit(other, v, 1), other) for v in (one, model)]
                assert found[i, k, sample] == pytest.approx(pearsonr(*residuals).statistic, abs=1e-5)


def test_every_class_once_gives_the_correlation_itself():
    x, y, z = related(12, 2)
    stacks = standardise_table({"x": x}, {"y": y}, z)
    once = bootstrap_correlations(*stacks, np_ones(1, 12))
    assert float(once) == pytest.approx(partial_mantel(x, y, z, 9).r, abs=1e-12)


def np_ones(*shape):
    import torch

    return torch.ones(*shape, dtype=torch.float64)


def test_counts_are_samples_of_the_classes():
    counts = bootstrap_counts(30, 4000, seed=1).numpy()
    assert (counts.sum(1) == 30).all() and (counts == counts.round()).all()
    np.testing.assert_allclose(counts.mean(0), 1, atol=0.1)
    np.testing.assert_allclose(counts.var(0), 1 - 1 / 30, atol=0.15)


def test_interval_holds_the_middle_and_leaves_out_nan():
    import torch

    values = torch.linspace(0, 1, 1001, dtype=torch.float64).repeat(2, 1)
    values[1] += 1
    values = torch.cat([values, torch.full((2, 3), torch.nan)], dim=1)
    np.testing.assert_allclose(bootstrap_interval(values, 0.9), [[0.05, 1.05], [0.95, 1.95]])
    assert np.isnan(bootstrap_interval(torch.full((1, 4), torch.nan), 0.9)).all()


def test_intervals_cover_the_correlation_among_many_classes():
    # Truth: the correlation among 2,000 classes. 40 samples of 40 of them; 90 % intervals.
    rng = np.random.default_rng(5)
    points = rng.standard_normal((2000, 3))
    x, y = (squareform(pdist(points + noise * rng.standard_normal((2000, 3)))) for noise in (0.6, 1.0))
    truth = mantel(x, y, 1).r
    inside = 0
    for case in range(40):
        chosen = np.ix_(*[rng.choice(2000, 40, replace=False)] * 2)
        low, high = bootstrap_intervals({"x": x[chosen]}, {"y": y[chosen]}, None, 300, 0.9, seed=case)
        inside += bool(low[0, 0] <= truth <= high[0, 0])
    assert inside >= 31  # at least 90 % expected; 31 or fewer of 40 has a chance of 2 %


def test_no_samples_give_no_interval():
    x, y, _ = related(8, 1)
    assert np.isnan(bootstrap_intervals({"x": x}, {"y": y}, None, 0)).all()


def test_comparison_tells_a_good_network_from_a_bad_one_and_equals_apart():
    rng = np.random.default_rng(6)
    points = rng.standard_normal((60, 3))
    model = squareform(pdist(points))
    good, same, bad = (squareform(pdist(points + noise * rng.standard_normal((60, 3)))) for noise in (0.5, 0.5, 3))
    table = compare({"good": good, "same": same, "bad": bad}, {"m": model}, samples=2000).set_index(["first", "second"])
    row = table.loc[("good", "bad")]
    r = [mantel(one, model, 1).r for one in (good, bad)]
    assert row.difference == pytest.approx(r[0] - r[1], abs=1e-12)
    assert row.p < 0.01 and 0 < row.ci_low < row.difference < row.ci_high
    assert row.p == pytest.approx(2 / 2001, abs=0.01)
    assert table.loc[("good", "same")].p > 0.05
    itself = compare({"a": good, "b": good}, {"m": model}, bad, samples=100).iloc[0]
    assert itself.difference == 0 and itself.p == 1


def test_comparison_holds_its_level_where_networks_are_equally_good():
    rng = np.random.default_rng(7)
    p = []
    for case in range(120):
        points = rng.standard_normal((25, 3))
        two = {k: squareform(pdist(points + rng.standard_normal((25, 3)))) for k in "ab"}
        p.append(compare(two, {"m": squareform(pdist(points))}, samples=200, seed=case).p[0])
    assert np.mean(np.array(p) < 0.05) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 120)


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


def test_reliability_without_noise_is_1_and_with_nothing_but_noise_0():
    rng = np.random.default_rng(9)
    index = np.repeat(np.arange(20), 6)
    truth = rng.standard_normal((20, 200))
    assert split_half_reliability(truth[index], index, names(20)) == pytest.approx(1)
    noise = split_half_reliability(rng.standard_normal((120, 200)), index, names(20))
    assert abs(noise) < 0.35  # 190 distances between halves that share nothing


def test_spearman_brown_predicts_the_reliability_of_twice_the_images():
    # Reliability from halves of 8 images must be that between two independent sets of 8 images.
    rng = np.random.default_rng(10)
    truth, index = rng.standard_normal((40, 30)), np.repeat(np.arange(40), 8)
    sets = [truth[index] + 3 * rng.standard_normal((320, 30)) for _ in range(2)]
    estimate = np.mean([split_half_reliability(one, index, names(40), seed=1) for one in sets])
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


def test_noise_ceiling_is_the_root_of_the_reliability():
    noise = np.random.default_rng(14).standard_normal((60, 5))
    index = np.repeat(np.arange(20), 3)
    [row] = reliability_table(noise, index, names(20)).itertuples()
    assert row.ceiling < 0.6
    assert row.reliability == split_half_reliability(noise, index, names(20))
    assert [noise_ceiling(r) for r in (0.81, 0.0, -0.2)] == pytest.approx([0.9, 0, 0])


def test_no_noise_ceiling_where_a_class_has_one_image_and_why():
    noise = np.random.default_rng(14).standard_normal((9, 5))
    with pytest.warns(RuntimeWarning, match="1 of 5 classes have one image"):
        table = reliability_table(noise, [0, 0, 1, 1, 2, 2, 3, 3, 4], names(5))
    assert table.isna().all(axis=None) and list(table) == ["reliability", "ceiling"]


def test_tables_are_plain():
    x, y, z = related(8, 1)
    table = compare({"a": x, "b": z}, {"m": y}, samples=20)
    assert isinstance(table, pd.DataFrame) and list(table.columns)[:4] == ["first", "second", "model", "difference"]
