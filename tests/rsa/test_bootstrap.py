"""Bootstrap over classes and comparison of networks."""

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import pdist, squareform
from scipy.stats import pearsonr

from semanticcmc.rsa.bootstrap import (
    bootstrap_correlations,
    bootstrap_counts,
    bootstrap_interval,
    bootstrap_intervals,
    compare,
)
from semanticcmc.rsa.mantel import mantel, partial_mantel
from semanticcmc.rsa.standardise import standardise_table


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
    data = standardise_table({"x": x, "z": z}, {"y": y, "yy": y**2}, {"x": z, "z": x})
    counts = bootstrap_counts(n, 5, seed=3)
    found = bootstrap_correlations(data, counts).numpy()
    simple = bootstrap_correlations(standardise_table({"x": x}, {"y": y}, None), counts).numpy()
    for sample, count in enumerate(counts.numpy().astype(int)):
        a, b, c = resampled((x, y, z), np.repeat(np.arange(n), count))
        assert simple[0, 0, sample] == pytest.approx(pearsonr(a, b).statistic, abs=1e-5)
        for k, model in enumerate((b, b**2)):
            for i, (one, other) in enumerate(((a, c), (c, a))):
                residuals = [v - np.polyval(np.polyfit(other, v, 1), other) for v in (one, model)]
                assert found[i, k, sample] == pytest.approx(pearsonr(*residuals).statistic, abs=1e-5)


def test_every_class_once_gives_the_correlation_itself():
    x, y, z = related(12, 2)
    data = standardise_table({"x": x}, {"y": y}, z)
    once = bootstrap_correlations(data, np_ones(1, 12))
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


def test_tables_are_plain():
    x, y, z = related(8, 1)
    table = compare({"a": x, "b": z}, {"m": y}, samples=20)
    assert isinstance(table, pd.DataFrame) and list(table.columns)[:4] == ["first", "second", "model", "difference"]
