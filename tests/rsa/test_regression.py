"""Shares of variance against scikit-learn's regressions and known truths; CKA against HSIC written out."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import pdist, squareform
from sklearn.linear_model import LinearRegression

from semanticcmc.rsa.rdm import RDM, from_class_means
from semanticcmc.rsa.regression import cka, commonality


def noisy(n, seed, count):
    """Condensed distances of `count` noisy copies of the same points."""
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((n, 3))
    return [pdist(points + rng.standard_normal((n, 3))) for _ in range(count)]


def alignment(x, y):
    return cka({"x": x}, {"y": y}).cka.item()


def parts(x, models, **options):
    named = {name: squareform(one) for name, one in models.items()}
    return commonality({"x": squareform(x)}, named, **options).set_index("part")


def explained(x, *models):
    design = np.column_stack([np.ones(len(x)), *models])
    return LinearRegression().fit(design, x).score(design, x)


def test_parts_are_differences_of_the_r2_of_regressions():
    x, a, b, c = noisy(16, 1, 4)
    found = parts(x, {"a": a, "b": b, "c": c}, repeats=2).share
    assert found["all"] == pytest.approx(explained(x, a, b, c), abs=1e-12)
    assert found["a"] == pytest.approx(explained(x, a, b, c) - explained(x, b, c), abs=1e-12)
    shared = explained(x, a, c) + explained(x, b, c) - explained(x, c) - explained(x, a, b, c)
    assert found["a & b"] == pytest.approx(shared, abs=1e-12)
    assert found.drop("all").sum() == pytest.approx(found["all"], abs=1e-12)
    one = parts(x, {"a": a}, repeats=2).share
    assert one["a"] == one["all"] == pytest.approx(np.corrcoef(x, a)[0, 1] ** 2, abs=1e-12)


def test_cross_validated_shares_are_of_pairs_among_classes_that_were_held_out():
    n, folds, repeats = 14, 3, 4
    x, a, b = noisy(n, 2, 3)
    found = parts(x, {"a": a, "b": b}, folds=folds, repeats=repeats, seed=5).share_cv
    rng, (first, second) = np.random.default_rng(5), np.triu_indices(n, 1)
    r2 = {chosen: [] for chosen in ("ab", "a", "b")}
    for _ in range(repeats):
        fold, of = rng.permutation(np.arange(n) % folds), dict.fromkeys(r2, 0.0)
        mean_alone = 0.0
        for k in range(folds):
            held = (fold[first] == k) & (fold[second] == k)
            learned = (fold[first] != k) & (fold[second] != k)
            mean_alone += np.sum((x[held] - x[learned].mean()) ** 2)
            for chosen in of:
                design = np.column_stack([{"a": a, "b": b}[name] for name in chosen])
                fit = LinearRegression().fit(design[learned], x[learned])
                of[chosen] += np.sum((x[held] - fit.predict(design[held])) ** 2)
        for chosen, errors in of.items():
            r2[chosen].append(1 - errors / mean_alone)
    mean = {chosen: np.mean(values) for chosen, values in r2.items()}
    assert found["all"] == pytest.approx(mean["ab"], abs=1e-10)
    assert found["a"] == pytest.approx(mean["ab"] - mean["b"], abs=1e-10)
    assert found["a & b"] == pytest.approx(mean["a"] + mean["b"] - mean["ab"], abs=1e-10)


def test_a_model_that_has_no_part_in_x_explains_nothing_of_pairs_held_out():
    rng, found = np.random.default_rng(0), []
    for seed in range(40):
        a, unrelated, noise = (pdist(rng.standard_normal((24, 3))) for _ in range(3))
        x = a / a.std() + noise / noise.std()  # a explains half
        table = parts(x, {"a": a, "unrelated": unrelated}, repeats=3, seed=seed)
        found.append([*table.share_cv, table.share["unrelated"]])
    unique_a, unrelated, shared, everything, fitted = np.mean(found, axis=0)
    assert unrelated < 0 < fitted  # fitted, a model always explains something
    assert unique_a == pytest.approx(0.5, abs=0.06) and everything == pytest.approx(0.5, abs=0.06)
    assert shared == pytest.approx(0, abs=0.03)


def test_shares_of_many_rdms_are_those_of_each_and_are_aligned_by_name():
    x, z, a, b = noisy(17, 4, 4)
    names = tuple(f"c{i:02}" for i in range(17))
    models = {"a": RDM(a, names), "b": RDM(b, names).subset(names[::-1])}
    table = commonality({"x": RDM(x, names), "z": RDM(z, names)}, models, repeats=3)
    single = [parts(one, {"a": a, "b": b}, repeats=3) for one in (x, z)]
    for column in ("share", "share_cv"):
        np.testing.assert_allclose(table[column], np.concatenate([one[column] for one in single]), atol=1e-12)


def test_what_cannot_be_a_regression_is_refused_or_nan():
    x, a = noisy(16, 6, 2)
    with pytest.warns(RuntimeWarning, match="constant"), pytest.raises(ValueError, match="model flat: constant"):
        parts(x, {"a": a, "flat": np.ones_like(a)})
    with pytest.raises(ValueError, match="5 folds of 16 classes"):
        parts(x, {"a": a}, folds=5)
    with pytest.warns(RuntimeWarning, match="constant"):
        assert parts(np.ones_like(x), {"a": a}, repeats=2)[["share", "share_cv"]].isna().all(axis=None)
    twice = parts(x, {"a": a, "again": 2 * a}, repeats=2).share  # models that are the same share everything
    assert twice["a & again"] == pytest.approx(explained(x, a)) and twice["a"] == pytest.approx(0, abs=1e-9)


def hsic(k, other):
    """Unbiased estimate as it is defined: a mean over all choices of four different items (Song 2012, eq. 4)."""
    total = [
        k[i, j] * other[i, j] + k[i, j] * other[q, r] - 2 * k[i, j] * other[i, q]
        for i, j, q, r in itertools.permutations(range(len(k)), 4)
    ]
    return np.mean(total)


def test_cka_is_that_of_unbiased_hsic_of_linear_kernels():
    rng = np.random.default_rng(3)
    x = rng.standard_normal((8, 4))
    y = x[:, :2] + rng.standard_normal((8, 2))
    k, other = x @ x.T, y @ y.T
    expected = hsic(k, other) / np.sqrt(hsic(k, k) * hsic(other, other))
    found = alignment(*(squareform(pdist(one, "sqeuclidean")) for one in (x, y)))
    assert found == pytest.approx(expected, abs=1e-12)


def test_cka_of_correlation_distances_is_that_of_scaled_patterns():
    rng = np.random.default_rng(4)
    x, y = (rng.standard_normal((8, 6)) for _ in range(2))
    unit = [one - one.mean(1, keepdims=True) for one in (x, y)]
    unit = [one / np.linalg.norm(one, axis=1, keepdims=True) for one in unit]
    found = alignment(*(from_class_means(one, list("abcdefgh")) for one in (x, y)))
    assert found == pytest.approx(alignment(*(squareform(pdist(one, "sqeuclidean")) for one in unit)), abs=1e-12)


@given(seed=st.integers(0, 1000), scale=st.floats(0.1, 10), n=st.integers(5, 20))
@settings(max_examples=20, deadline=None)
def test_cka_does_not_change_with_rotation_shift_and_scale(seed, scale, n):
    rng = np.random.default_rng(seed)
    x, y = (rng.standard_normal((n, 3)) for _ in range(2))
    turned = scale * y @ np.linalg.qr(rng.standard_normal((3, 3)))[0] + 2
    a, b, c = (squareform(pdist(one, "sqeuclidean")) for one in (x, y, turned))
    assert alignment(a, b) == pytest.approx(alignment(a, c), abs=1e-8)
    assert alignment(b, c) == pytest.approx(1, abs=1e-8)


def test_cka_of_unrelated_wide_features_is_0_on_average():
    rng = np.random.default_rng(5)
    pairs = [[squareform(pdist(rng.standard_normal((12, 500)), "sqeuclidean")) for _ in range(2)] for _ in range(200)]
    found = [alignment(*two) for two in pairs]
    assert np.mean(found) == pytest.approx(0, abs=4 * np.std(found) / np.sqrt(200))  # biased, it would be nearly 1


def t_interval_of_the_jackknife(value, left_out):
    n = len(left_out)
    half = stats.t.ppf(0.975, n - 1) * np.sqrt((n - 1) * np.var(left_out))
    return value - half, value + half


def test_intervals_are_those_of_the_jackknife_over_classes():
    """Each class left out by hand: of CKA from smaller matrices, of a share from regressions of scikit-learn."""
    n, (x, a) = 12, noisy(12, 7, 2)
    square, model = squareform(x), squareform(a)
    found = cka({"x": square}, {"a": model}).iloc[0]
    others = [np.delete(np.arange(n), i) for i in range(n)]
    left_out = [alignment(square[np.ix_(k, k)], model[np.ix_(k, k)]) for k in others]
    assert (found.ci_low, found.ci_high) == pytest.approx(t_interval_of_the_jackknife(found.cka, left_out))
    fold = np.random.default_rng(3).permutation(np.arange(n) % 2)

    def predicted(kept):
        first, second = (kept[one] for one in np.triu_indices(len(kept), 1))
        errors = np.zeros(2)
        for k in (0, 1):
            train, test = ((fold[first] == j) & (fold[second] == j) for j in (1 - k, k))
            y, z = (one[first, second][:, None] for one in (square, model))
            fit = LinearRegression().fit(z[train], y[train])
            errors += [((y[test] - fit.predict(z[test])) ** 2).sum(), ((y[test] - y[train].mean()) ** 2).sum()]
        return 1 - errors[0] / errors[1]

    share = parts(x, {"a": a}, folds=2, repeats=1, seed=3).loc["a"]
    assert share.share_cv == pytest.approx(predicted(np.arange(n)))
    expected = t_interval_of_the_jackknife(share.share_cv, [predicted(k) for k in others])
    assert (share.ci_low, share.ci_high) == pytest.approx(expected)
