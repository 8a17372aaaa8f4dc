"""RDMs: distances against scipy, names that travel with values, files."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform
from scipy.stats import rankdata

from semanticcmc.config import InputError
from semanticcmc.rsa.rdm import RDM, align, from_class_means, read_rdms, write_rdms

SCIPY = {"correlation": "correlation", "euclidean": "euclidean", "cosine": "cosine", "spearman": "correlation"}


def names(n):
    return tuple(f"n{index:08d}" for index in range(n))


def scipys(means, distance):
    rows = rankdata(means, axis=1) if distance == "spearman" else means
    return pdist(np.asarray(rows, dtype=np.float64), SCIPY[distance])


@pytest.mark.parametrize("distance", SCIPY)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", [(2, 3), (9, 5), (40, 700)])
def test_distances_equal_scipy(distance, dtype, shape):
    means = (3 + np.random.default_rng(0).standard_normal(shape)).astype(dtype)
    rdm = from_class_means(means, names(len(means)), distance)
    np.testing.assert_allclose(rdm.values, scipys(means, distance), rtol=1e-11, atol=1e-13)
    tensor = from_class_means(torch.from_numpy(means), names(len(means)), distance)
    np.testing.assert_array_equal(tensor.values, rdm.values)


def test_distances_of_more_values_than_a_block_holds():
    means = np.random.default_rng(1).gamma(1, size=(3, 400_000))
    for distance in ("correlation", "euclidean", "cosine"):
        found = from_class_means(means, names(3), distance).values
        np.testing.assert_allclose(found, scipys(means, distance), rtol=1e-11)


def test_near_pairs_far_from_the_origin_keep_their_distances():
    # The product of such rows has 1e12 times their squared distance: nothing of it would be left.
    means = 1e6 + np.random.default_rng(2).standard_normal((6, 50))
    means[1] = means[0] + 1e-3
    means[3] = means[2]
    found = from_class_means(means, names(6), "euclidean")
    np.testing.assert_allclose(found.values, scipys(means, "euclidean"), rtol=1e-9)
    assert found.square()[2, 3] == 0


def test_float32_means_err_by_less_than_1e_6():
    # Activations after a ReLU: sparse, skewed, of very different size.
    rng = np.random.default_rng(3)
    means = (np.maximum(rng.standard_normal((30, 20_000)), 0) * rng.gamma(0.3, size=20_000)).astype(np.float32)
    found = from_class_means(means, names(30)).values
    assert np.abs(found - scipys(means, "correlation")).max() < 1e-12


@pytest.mark.parametrize(
    ("distance", "row", "what"),
    [("correlation", 0.1, "constant"), ("spearman", 7.0, "constant"), ("cosine", 0.0, "zero")],
)
def test_rows_without_direction_are_nan_and_named(distance, row, what):
    means = np.random.default_rng(4).standard_normal((5, 30))
    means[2] = row
    with pytest.warns(RuntimeWarning, match=f"n00000002 are {what}"):
        square = from_class_means(means, names(5), distance).square()
    kept = [0, 1, 3, 4]
    assert np.isnan(square[2, kept]).all() and np.isfinite(square[np.ix_(kept, kept)]).all()
    assert from_class_means(means, names(5), "euclidean").square()[2, 0] > 0


@pytest.mark.parametrize(
    ("means", "distance", "message"),
    [
        (np.ones((3, 4)), "mahalanobis", "mahalanobis"),
        (np.ones((2, 4)), "cosine", "3 classes"),
        (np.array([[1, 2], [np.nan, 1], [0, 1]]), "cosine", "n00000001"),
        (np.array([[1, 2], [2, 1], [np.inf, 1]]), "euclidean", "n00000002"),
        (np.ones((3, 4, 2)), "cosine", "shape"),
    ],
)
def test_bad_means_are_refused_by_name(means, distance, message):
    with pytest.raises(ValueError, match=message):
        from_class_means(means, names(3), distance)


def test_order_of_values_is_scipys():
    square = np.arange(16.0).reshape(4, 4)
    square = square + square.T
    np.fill_diagonal(square, 0)
    rdm = RDM(squareform(square), "abcd")
    np.testing.assert_array_equal(rdm.square(), square)
    np.testing.assert_array_equal(RDM(square, "abcd").values, rdm.values)
    assert len(rdm) == 4 and rdm.classes == ("a", "b", "c", "d")


def test_rdm_is_a_frozen_copy():
    values = np.array([1.0, 2, 3])
    rdm = RDM(values, "abc")
    values[0] = 9
    assert rdm.values[0] == 1
    with pytest.raises(ValueError):
        rdm.values[0] = 2


@pytest.mark.parametrize(
    ("values", "classes", "message"),
    [
        ([1.0, 2], "abc", "3 classes need 3"),
        ([1.0, 2, 3], "aba", "duplicate class a"),
        ([[0, 1], [2, 0]], "ab", "not symmetric"),
        ([[1.0, 2], [2, 1]], "ab", "diagonal"),
        ([[0, 1, 2], [1, 0, 3]], "ab", "square"),
        ([[np.nan, 2], [2, 0]], "ab", "diagonal"),
        ([[0, np.nan], [2, 0]], "ab", "not symmetric"),
    ],
)
def test_what_is_no_rdm_is_refused(values, classes, message):
    with pytest.raises(ValueError, match=message):
        RDM(np.array(values), tuple(classes))


def test_rounding_of_symmetry_is_forgiven():
    features = np.random.default_rng(5).standard_normal((30, 8))
    for dtype in (np.float64, np.float32):
        noisy = 1 - np.corrcoef(features.astype(dtype)).astype(dtype)
        noisy[3, 4] += 4 * np.finfo(dtype).eps
        rdm = RDM(noisy, names(30))
        np.testing.assert_allclose(
            rdm.square(), squareform(pdist(features, "correlation")), atol=20 * np.finfo(dtype).eps
        )


@given(n=st.integers(4, 12), seed=st.integers(0, 2**16))
@settings(max_examples=40, deadline=None)
def test_a_subset_is_the_rdm_of_the_subset(n, seed):
    rng = np.random.default_rng(seed)
    means = rng.standard_normal((n, 3))
    chosen = rng.permutation(n)[: rng.integers(1, n + 1)]
    subset = from_class_means(means, names(n), "euclidean").subset([names(n)[i] for i in chosen])
    np.testing.assert_allclose(subset.values, pdist(means[chosen]), rtol=1e-7, atol=1e-12)


def test_align_joins_by_name_and_says_what_it_drops():
    means = np.random.default_rng(6).standard_normal((6, 4))
    first = from_class_means(means[[0, 1, 2, 3, 4]], list("abcde"))
    second = from_class_means(means[[5, 4, 3, 1, 0]], list("fedba"))
    with pytest.warns(UserWarning, match="2 classes .* c, f"):
        one, two = align(first, second)
    assert one.classes == two.classes == ("a", "b", "d", "e")
    np.testing.assert_allclose(one.values, two.values, atol=1e-12)
    with pytest.raises(ValueError, match=r"share 3 classes.*b"):
        align(first, second, from_class_means(means[:4], list("axde")))
    with pytest.raises(ValueError, match="3 classes"):
        align(RDM([1.0, 2, 3], "abc"))
    with pytest.raises(ValueError, match="no class z"):
        first.subset(["a", "z"])


def test_files_round_trip_and_rows_may_be_shuffled(tmp_path):
    rng = np.random.default_rng(7)
    rdms = {layer: from_class_means(rng.standard_normal((7, 5)), names(7)[::-1]) for layer in ("conv1", "fc7")}
    write_rdms(tmp_path / "a" / "rdms.parquet", rdms)
    back = read_rdms(tmp_path / "a" / "rdms.parquet")
    for layer, rdm in rdms.items():
        assert back[layer].classes == rdm.classes
        np.testing.assert_array_equal(back[layer].values, rdm.values)
    table = pd.read_parquet(tmp_path / "a" / "rdms.parquet")
    assert list(table) == ["class_i", "class_j", "conv1", "fc7"] and len(table) == 21
    shuffled = table.sample(frac=1, random_state=0)
    flip = rng.random(21) < 0.5
    shuffled.loc[flip, ["class_i", "class_j"]] = shuffled.loc[flip, ["class_j", "class_i"]].to_numpy()
    shuffled.to_parquet(tmp_path / "shuffled.parquet")
    again = read_rdms(tmp_path / "shuffled.parquet")["fc7"]
    np.testing.assert_array_equal(again.subset(rdms["fc7"].classes).values, rdms["fc7"].values)


def test_damaged_files_are_refused_by_name(tmp_path):
    rdm = from_class_means(np.random.default_rng(8).standard_normal((5, 3)), names(5))
    path = tmp_path / "rdms.parquet"
    write_rdms(path, {"fc7": rdm})
    table = pd.read_parquet(path)
    for bad in (table[1:], pd.concat([table, table[:1]]), table.assign(class_j=table["class_i"])):
        bad.to_parquet(path, index=False)
        with pytest.raises(InputError, match=r"rdms\.parquet: each of the \d+ pairs"):
            read_rdms(path)
    table[["class_i", "class_j"]].to_parquet(path, index=False)
    with pytest.raises(InputError, match="one or more RDMs"):
        read_rdms(path)
    path.write_text("no parquet")
    with pytest.raises(InputError, match="not readable"):
        read_rdms(path)
    with pytest.raises(InputError, match="absent"):
        read_rdms(tmp_path / "absent.parquet")
    for rdms in ({}, {"a": rdm, "b": rdm.subset(rdm.classes[::-1])}, {"class_i": rdm}):
        with pytest.raises(ValueError, match=r"new\.parquet"):
            write_rdms(tmp_path / "new.parquet", rdms)
    assert not (tmp_path / "new.parquet").exists()
