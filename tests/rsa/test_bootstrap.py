"""Bootstrap over classes, comparison of networks, and how correlations vary over samples of classes."""

import importlib

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform
from scipy.stats import pearsonr

from semanticcmc.rsa.bootstrap import (
    all_and_left_out,
    bootstrap_correlations,
    bootstrap_counts,
    bootstrap_interval,
    compare,
    degenerate_variance,
    degenerate_variances,
    interval_width,
    pair_influences,
)
from semanticcmc.rsa.mantel import mantel, partial_mantel
from semanticcmc.rsa.standardise import standardise, standardise_table
from tests.rsa.limits import bootstrap_intervals


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


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(6, 40), st.integers(0, 2))
def test_a_class_left_out_is_a_table_without_it(seed, n, controls):
    x, y, *z = related(n, seed, count=2 + controls)
    _, left_out = all_and_left_out(standardise_table({"x": x, "xx": x**2}, {"y": y}, z or None))
    first, second = np.triu_indices(n - 1, 1)
    for out in (0, n // 2, n - 1):
        a, b, *c = (np.delete(np.delete(one, out, 0), out, 1)[first, second] for one in (x, y, *z))
        for rdm, values in enumerate((a, a**2)):
            design = np.column_stack([np.ones(len(first)), *c])
            left = [v - design @ np.linalg.lstsq(design, v, rcond=None)[0] for v in (values, b)]
            assert float(left_out[rdm, 0, out]) == pytest.approx(pearsonr(*left).statistic, abs=1e-9)


@pytest.mark.parametrize("n", [8, 33, 150])
def test_a_sample_that_leaves_a_model_constant_is_nan_and_no_rounding(n):
    x, z, _ = related(n, n)
    data = standardise_table(
        {"x": x}, {"pair": 1 - np.eye(n) - np.eye(n)[[1, 0, *range(2, n)]] * (np.arange(n) < 2)}, z
    )
    counts = bootstrap_counts(n, 300, 0)
    found = bootstrap_correlations(data, counts)[0, 0].isnan()
    assert (found == (counts[:, :2] == 0).any(1)).all()
    assert all_and_left_out(data)[1][0, 0].isnan().tolist() == [True, True] + [False] * (n - 2)


def test_many_samples_of_many_classes_are_weighted_correlations():
    """More samples, pairs and rows than are computed at a time, to the last digits."""
    n = 210
    x, y, z = related(n, 6)
    counts = bootstrap_counts(n, 1100, 1)
    found = bootstrap_correlations(standardise_table({"z": z, "x": x}, {"x": x, "y": y}, {"z": x, "x": z}), counts)
    first, second = np.triu_indices(n, 1)
    a, b, c = (one[first, second] for one in (x, y, z))
    for sample in (0, 1023, 1024, 1099):
        weights = (counts[sample, first] * counts[sample, second]).numpy()
        assert float(found[1, 1, sample]) == pytest.approx(weighted_partial(a, b, c, weights), abs=1e-11)


@pytest.mark.parametrize("control", [False, True])
def test_degenerate_variances_are_those_of_influences_and_their_differences(control):
    a, b, y, w, z, v = related(30, 9, count=6)
    data = standardise_table({"a": a, "b": b}, {"y": y, "w": w}, {"a": [z, v], "b": v} if control else None)
    of = [[pair_influences(x, m, data.control(i)) for m in data.y] for i, x in enumerate(data.x)]
    alone = [[float(degenerate_variance(one)) for one in row] for row in of]
    apart = [float(degenerate_variance(one - other)) for one, other in zip(*of, strict=True)]
    np.testing.assert_allclose(degenerate_variances(data), alone, rtol=1e-10)
    np.testing.assert_allclose(degenerate_variances(data, [(0, 1), (1, 0)]), [apart, apart], rtol=1e-10)


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


def same_or_different(n, categories, rng):
    of = rng.integers(0, categories, n)
    return (of[:, None] != of).astype(float)


def weighted_partial(x, y, z, weights):
    """Partial correlation of weighted pairs, by weighted regression: no formula shared with the code."""
    root = np.sqrt(weights)
    design = np.column_stack([np.ones(len(x)), *([] if z is None else [z])]) * root[:, None]
    left = [v * root - design @ np.linalg.lstsq(design, v * root, rcond=None)[0] for v in (x, y)]
    return left[0] @ left[1] / np.sqrt((left[0] @ left[0]) * (left[1] @ left[1]))


@pytest.mark.parametrize("partial", [False, True])
def test_influence_is_how_r_changes_with_the_weight_of_a_pair(partial):
    n, step = 9, 1e-5
    x, y, z = related(n, 3)
    stack = standardise({"x": x, "y": y, "z": z})
    found = pair_influences(*stack[: 2 + partial]).numpy()
    first, second = np.triu_indices(n, 1)
    a, b, c = (matrix[first, second] for matrix in (x, y, z))
    for pair in range(len(first)):
        r = []
        for change in (step, -step):
            weights = np.ones(len(first))
            weights[pair] += change
            r.append(weighted_partial(a, b, c if partial else None, weights))
        slope = (r[0] - r[1]) / (2 * step)  # of r by the weight; influences are per share of all pairs
        assert found[first[pair], second[pair]] / len(first) == pytest.approx(slope, abs=1e-8)


def test_influences_are_nan_where_the_control_is_the_rdm_itself():
    x, y, _ = related(8, 1)
    stack = standardise({"x": x, "y": y})
    assert torch.isnan(pair_influences(stack[0], stack[1], stack[0])[0, 1])


def pairs_of(values):
    """Square with `values` above the diagonal, their mean taken off."""
    return torch.from_numpy(squareform(values - values.mean()))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(5, 20))
def test_what_classes_bring_is_not_degenerate(seed, n):
    rng = np.random.default_rng(seed)
    noise, brought = rng.standard_normal(n * (n - 1) // 2), rng.standard_normal(n)
    first, second = np.triu_indices(n, 1)
    both = noise + 10 * (brought[first] + brought[second])
    alone = float(degenerate_variance(pairs_of(noise)))
    assert float(degenerate_variance(pairs_of(both))) == pytest.approx(alone, rel=1e-8)
    assert float(degenerate_variance(pairs_of(both - noise))) == pytest.approx(0, abs=1e-20)


def test_degenerate_variance_of_independent_influences_is_that_of_their_mean():
    rng = np.random.default_rng(0)
    found = [float(degenerate_variance(pairs_of(3 * rng.standard_normal(66)))) for _ in range(2000)]
    assert np.mean(found) == pytest.approx(9 / 66, rel=4 * np.sqrt(2 / 54 / 2000))  # s^2 on n (n - 3) / 2 = 54


def test_the_bootstrap_counts_the_degenerate_part_three_times():
    # Same or different has no linear part where features have nothing to do with categories as likely as each other.
    rng, n = np.random.default_rng(1), 80
    ratio = []
    for case in range(30):
        x = squareform(pdist(rng.standard_normal((n, 5))))
        tables = standardise_table({"x": x}, {"y": same_or_different(n, 8, rng)}, None)
        found = bootstrap_correlations(tables, bootstrap_counts(n, 300, case))[0, 0]
        ratio.append(float(found.var() / degenerate_variances(tables)[0, 0]))
    assert 2.6 < np.mean(ratio) < 3.4


def test_intervals_of_a_category_model_cover_and_are_narrower_than_percentiles():
    # Truth: 0, since the features are drawn without regard to the categories.
    rng, n = np.random.default_rng(2), 40
    inside, ratio = 0, []
    for case in range(120):
        x, y = squareform(pdist(rng.standard_normal((n, 5)))), same_or_different(n, 8, rng)
        low, high = bootstrap_intervals({"x": x}, {"y": y}, None, 200, 0.9, seed=case)[:, 0, 0]
        inside += low <= 0 <= high
        counts = bootstrap_counts(n, 200, case)
        samples = bootstrap_correlations(standardise_table({"x": x}, {"y": y}, None), counts)[0, 0].numpy()
        ratio.append((high - low) / np.subtract(*np.quantile(samples, [0.95, 0.05])))
    assert 100 <= inside <= 118  # 108 of 120 expected; a chance of less than 1 % on either side
    assert np.mean(ratio) < 0.8


def test_width_is_that_of_samples_for_a_mean():
    # The mean of n numbers is of first order: nothing degenerate, and the interval is Student's.
    rng, n = np.random.default_rng(3), 10
    inside = []
    for case in range(400):
        values = torch.from_numpy(rng.standard_normal(n))
        resampled = bootstrap_counts(n, 500, case) @ values / n
        left_out = (values.sum() - values) / (n - 1)
        width = interval_width(resampled, left_out, torch.zeros(()).double(), 0.95)
        low, high = values.mean() + width * (resampled.quantile(torch.tensor([0.025, 0.975]).double()) - values.mean())
        inside.append(bool(low <= 0 <= high))
        student = 2.262 * float(values.std()) / np.sqrt(n)
        assert float(high - low) / 2 == pytest.approx(student, rel=0.4)
    assert 0.95 - 3 * np.sqrt(0.95 * 0.05 / 400) < np.mean(inside) < 0.95 + 3 * np.sqrt(0.95 * 0.05 / 400)


def test_limits_stay_between_minus_1_and_1_and_dead_layers_are_nan():
    x, y, z = related(10, 4)
    low, high = bootstrap_intervals({"x": x}, {"x": x, "y": y}, None, 50)
    np.testing.assert_allclose([low[0, 0], high[0, 0]], 1, atol=1e-6)
    assert -1 < low[0, 1] < high[0, 1] < 1
    with pytest.warns(RuntimeWarning, match="constant"):
        found = bootstrap_intervals({"dead": squareform(np.ones(45)), "x": x}, {"y": y}, z, 50)
    assert np.isnan(found[:, 0]).all() and np.isfinite(found[:, 1]).all()


def test_a_difference_without_its_degenerate_part_is_narrower_than_samples_say():
    rng, n = np.random.default_rng(5), 40
    model = same_or_different(n, 8, rng)
    two = {key: squareform(pdist(rng.standard_normal((n, 5)))) for key in "ab"}
    row = compare(two, {"m": model}, samples=500).iloc[0]
    samples = bootstrap_correlations(standardise_table(two, {"m": model}, None), bootstrap_counts(n, 500, 0))
    low, high = np.quantile(samples[0, 0] - samples[1, 0], [0.025, 0.975])
    assert row.ci_high - row.ci_low < 0.85 * (high - low)
    assert row.ci_low < row.difference < row.ci_high


@pytest.fixture(scope="module")
def study():
    return importlib.import_module("validation.intervals")


@pytest.mark.parametrize("model, fixed", [("tree", False), ("category", False), ("category", True)])
def test_the_truth_of_the_study_is_what_many_classes_show(study, model, fixed):
    # Truth comes from pairs of classes drawn anew; here all pairs of one large sample, of the same shares.
    design = study.DESIGNS["48 in 8"]
    population = study.Population(model, design[1], 0.8, 1)
    truth = population.truth(1600 if fixed else 48, fixed, 200_000, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    classes = population.draw(population.sample(1600, fixed, rng), rng)
    first, second = np.triu_indices(1600, 1)
    nodes = [[at[index] for at in classes.nodes] for index in (first, second)]
    pair = [study.Classes(at, classes.depth[index], {}) for at, index in zip(nodes, (first, second), strict=True)]
    x = pdist(classes.features["first"])
    assert np.corrcoef(x, population.distance(*pair))[0, 1] == pytest.approx(truth["simple"], abs=0.03)


def test_the_study_runs_and_tells_percentiles_from_corrected_intervals(study, tmp_path):
    table = study.study(samples=30, populations=2, bootstrap=100, pairs=5000, chosen=["30 in 10"])
    assert set(table.sampling) == {"classes", "fixed numbers"} and set(table.samples) == {30}
    assert (table.truth[table.effect == "0"] == 0).all()
    wide = table.pivot(index=["model", "sampling", "effect", "quantity"], columns="interval", values="half_width")
    wide = wide.drop("difference", level="quantity")
    assert (wide.corrected < wide.percentile)[wide.index.get_level_values("model") == "category"].all()
    assert (table.coverage > 0.7).all() and table.coverage.mean() > 0.9  # 21 of 30: a chance of 1e-4 at 95 %
    study.draw(table, tmp_path / "intervals.png")
    assert (tmp_path / "intervals.png").stat().st_size > 10_000
