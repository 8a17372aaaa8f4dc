"""Arrays, tensors and tables as others hand them over: aligned by name, read as what they say, or refused."""

import decimal
import fractions
import functools
import types
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from scipy.spatial.distance import pdist, squareform
from scipy.stats import pearsonr
from skbio.stats.distance import DistanceMatrix

from semanticcmc.config import InputError
from semanticcmc.rsa.arrays import as_tensor
from semanticcmc.rsa.bootstrap import compare
from semanticcmc.rsa.mantel import mantel, mantel_table, partial_mantel
from semanticcmc.rsa.rdm import RDM, as_rdm, from_class_means, named_rdms, read_rdms, write_rdms
from semanticcmc.rsa.reliability import reliability_table
from tests.rsa.limits import bootstrap_intervals

N, NAMES = 6, tuple("bdface")
POINTS = np.random.default_rng(0).standard_normal((3, N, 4))
X, Y, Z = (squareform(pdist(points)) for points in POINTS)
WHOLE = squareform(np.random.default_rng(1).integers(1, 99, N * (N - 1) // 2))  # distances that all types hold
ORDER = [3, 1, 5, 0, 4, 2]


def table(values=X, rows=NAMES, columns=NAMES):
    return pd.DataFrame(values, index=rows, columns=columns)


def shuffled(frame, order=ORDER):
    return frame.iloc[order, order]


WAYS_IN = {  # every way into the package for a square matrix; the other matrices are Y and Z
    "mantel x": lambda m: mantel(m, Y, 9),
    "mantel y": lambda m: mantel(Y, m, 9, method="spearman"),
    "partial control": lambda m: partial_mantel(Y, Z, m, 9),
    "table rdm": lambda m: mantel_table({"a": m}, {"m": Y}, permutations=9),
    "table model": lambda m: mantel_table({"a": Y}, {"m": m}, permutations=9),
    "table control": lambda m: mantel_table({"a": Y}, {"m": Z}, {"a": m}, permutations=9),
    "intervals": lambda m: bootstrap_intervals({"a": m}, {"m": Y}, samples=9),
    "compare": lambda m: compare({"a": m, "b": Z}, {"m": Y}, samples=9),
    "RDM": lambda m: RDM(m, NAMES),
}
way_in = pytest.mark.parametrize("way", WAYS_IN.values(), ids=WAYS_IN)


def with_nan(place):
    values = X.copy()
    values[place] = values[place[::-1]] = np.nan
    return values


def asymmetric(by, dtype):
    values = torch.from_numpy(X / X.max()).clone()
    values[1, 2] += by
    return values.to(dtype)


class Labelled:  # as xarray's DataArray: np.asarray takes its values, and leaves its names behind
    coords = NAMES

    def __array__(self, dtype=None, copy=None):
        return X


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # both are prototypes of torch
    MASKED = torch.masked.masked_tensor(torch.from_numpy(X), torch.from_numpy(X < 2))
    QUANTISED = torch.quantize_per_tensor(torch.from_numpy(X).float(), 0.1, 0, torch.quint8)

REFUSED = {
    "masked": (np.ma.masked_greater(X, 2), "masked"),
    "masked in a list": ([np.ma.masked_greater(row, 2) for row in X], "masked"),
    "masked tensor": (MASKED, "masked"),
    "complex": (X + 0j, "complex128"),
    "complex with a part": (X * (1 + 1j), "complex128"),
    "complex tensor": (torch.from_numpy(X + 0j), "complex128"),
    "complex object": ((X + 0j).astype(object), "complex"),
    "text": (X.astype(str), "U"),
    "text objects": (X.astype(str).astype(object), "text"),
    "dates": (WHOLE.astype("timedelta64[s]"), "timedelta64"),
    "records": (np.zeros((N, N), dtype=[("d", float)]), "type of real numbers"),
    "ragged": ([[0, 1], [1]], "real numbers"),
    "nothing": (None, "square|shape|real numbers"),
    "mapping": ({"a": X}, "real numbers"),
    "sparse": (sparse.csr_matrix(X), "real numbers"),
    "sparse array with coordinates": (sparse.coo_array(X), "names"),
    "sparse tensor": (torch.from_numpy(X).to_sparse(), "sparse"),
    "quantised tensor": (QUANTISED, "quint8"),
    "float8 tensor": (torch.from_numpy(WHOLE).to(torch.float8_e4m3fn), "float8"),
    "xarray": (Labelled(), "Labelled, whose names"),
    "integers beyond float": ([[0, 10**400], [10**400, 0]], "too large"),
    "float16 asymmetry": (asymmetric(0.02, torch.float16), "not symmetric"),
    "bfloat16 asymmetry": (asymmetric(0.1, torch.bfloat16), "not symmetric"),
    "float16 diagonal": ((X + 0.03 * np.eye(N)).astype(np.float16), "diagonal"),
    "float16 similarity": (torch.from_numpy(1 - X / X.max()).half(), "diagonal"),
    "bfloat16 diagonal": (torch.from_numpy(X + 0.2 * np.eye(N)).bfloat16(), "diagonal"),
    "asymmetry of one in whole numbers": (10**8 * WHOLE + np.eye(N, k=1, dtype=int), "not symmetric"),
    "asymmetry that uint8 would wrap": (np.triu(WHOLE).astype(np.uint8), "not symmetric"),
    "true diagonal": (X > -1, "diagonal"),
    "nan on the diagonal": (with_nan((1, 1)), "diagonal"),
    "infinite against minus infinite": (np.where(np.triu(X) > 0, np.inf, np.where(X > 0, -np.inf, 0)), "symmetric"),
    "opposite ends of float64": (np.triu(X > 0) * 1e308 - np.tril(X > 0) * 1e308, "symmetric"),
    "names of rows alone": (table(columns=range(N)), "columns and the classes differ"),
    "names of columns alone": (table(rows=range(N)), "differ"),
    "rows and columns of different classes": (table(columns=tuple("bdfacz")), r"2 names \(e, z\)"),
    "duplicate rows": (table(rows=tuple("bdfacb")), "duplicate|differ"),
    "names equal as text": (table(rows=[1, "1", 2, 3, 4, 5], columns=[1, "1", 2, 3, 4, 5]), "duplicate|differ"),
    "a column of class names": (table().reset_index(), "differ"),
    "categories": (pd.Series(list("abcdef"), dtype="category"), "text|real numbers|shape"),
}


@way_in
@pytest.mark.parametrize(("given", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_is_refused_by_every_way_in(way, given, message):
    with pytest.raises(ValueError, match=message):
        way(given)


def test_a_missing_number_of_a_table_is_nan():
    gap = table().astype("Float64").mask(table() == X[0, 1])
    for given in (gap, gap.astype(object), table(with_nan((0, 1)))):
        with pytest.raises(ValueError, match="x holds nan as the distance of b and d"):
            mantel(given, Y, 9)
        assert np.isnan(RDM(given, NAMES).values).tolist() == [True] + [False] * 14
        with pytest.raises(ValueError, match="b, d hold NaN"):
            from_class_means(given, NAMES)


def read_only(values):
    values = values.copy()
    values.flags.writeable = False
    return values


TAKEN = {
    "big endian": lambda m: m.astype(">f8"),
    "big endian float32": lambda m: m.astype(">f4"),
    "big endian integers": lambda m: m.astype(">i2"),
    "long double": lambda m: m.astype(np.longdouble),
    "float16": lambda m: m.astype(np.float16),
    "bfloat16": lambda m: torch.from_numpy(m).bfloat16(),
    "uint8": lambda m: m.astype(np.uint8),
    "int8 tensor": lambda m: torch.from_numpy(m).to(torch.int8),
    "uint16": lambda m: m.astype(np.uint16),
    "uint64 tensor": lambda m: torch.from_numpy(m).to(torch.uint64),
    "objects": lambda m: m.astype(object),
    "decimals": lambda m: np.array([[decimal.Decimal(int(one)) for one in row] for row in m]),
    "fractions": lambda m: [[fractions.Fraction(int(one)) for one in row] for row in m],
    "integers beyond int64": lambda m: [[10**30 * int(one) for one in row] for row in m],
    "Fortran order": np.asfortranarray,
    "reversed": lambda m: m[::-1, ::-1][::-1, ::-1],
    "every second": lambda m: np.kron(m, np.ones((2, 2)))[::2, ::2],
    "read only": read_only,
    "broadcast": lambda m: np.broadcast_to(m, (3, N, N))[1],
    "matrix": np.asmatrix,
    "masked of which nothing is": np.ma.asarray,
    "list of tensors": lambda m: list(torch.from_numpy(m)),
    "transposed tensor": lambda m: torch.from_numpy(m).T,
    "tensor with gradient": lambda m: torch.from_numpy(m * 1.0).requires_grad_(),
    "DataFrame": table,
    "DataFrame without names": pd.DataFrame,
    "DataFrame of nullable integers": lambda m: table(m).astype("Int64"),
    "DataFrame of objects": lambda m: table(m).astype(object),
}


@pytest.mark.parametrize("given", TAKEN.values(), ids=TAKEN)
@pytest.mark.filterwarnings("error", "ignore::PendingDeprecationWarning")
def test_what_holds_the_same_numbers_gives_the_same_result(given):
    values = given(WHOLE)
    scale = 10**30 if float(np.asarray(RDM(values, NAMES).values).max()) > 1e3 else 1
    np.testing.assert_allclose(RDM(values, NAMES).values / scale, squareform(WHOLE), rtol=1e-15)
    expected = partial_mantel(WHOLE, Y, Z, 99)
    found = partial_mantel(values, Y, Z, 99)
    assert (found.r, found.p) == (pytest.approx(expected.r, abs=1e-12), expected.p)
    assert mantel(Y, values, 99, method="spearman").r == mantel(Y, WHOLE, 99, method="spearman").r


def test_zeros_and_ones_of_any_type_are_distances():
    other = np.array([0, 0, 1, 1, 2, 2])
    model = other[:, None] != other
    expected = mantel(X, model.astype(float), 99)
    for given in (model, torch.from_numpy(model), model.astype(object), pd.DataFrame(model), model.astype(np.uint8)):
        assert mantel(X, given, 99) == expected


@pytest.mark.parametrize("scale", [1e-320, 1e-308, 1e-200, 1e-160, 1e-100, 1e154, 1e200, 1e307])
@pytest.mark.parametrize("n", [N, 120])
def test_distances_of_any_size_have_their_correlation(scale, n):
    points = np.random.default_rng(2).integers(0, 9, (2, n, 3))
    x, y = (squareform(pdist(one, "cityblock")) for one in points)
    tolerance = 1e-12 if scale > 1e-300 else 1e-2  # of what is left of numbers so small
    for method in ("pearson", "spearman"):
        expected, found = mantel(x, y, 99, method=method), mantel(scale * (x / x.max()), y, 99, method=method)
        assert found.r == pytest.approx(expected.r, abs=tolerance)
        assert found.p == pytest.approx(expected.p, abs=tolerance)


def test_the_greatest_numbers_of_float64_are_symmetrised_without_overflow():
    huge = 1e308 * (X / X.max())
    huge[1, 2] *= 1 + 1e-12
    assert mantel(huge, X, 9).r == pytest.approx(1)
    assert np.isfinite(RDM(huge, NAMES).values).all()


def test_float16_and_bfloat16_keep_what_rounding_explains():
    unit = torch.nn.functional.normalize(torch.from_numpy(POINTS[0]), dim=1)
    for dtype, tolerance in ((torch.float16, 4e-3), (torch.bfloat16, 3e-2)):
        rounded = 1 - (unit.to(dtype).double() @ unit.to(dtype).double().T).to(dtype)
        rounded[1, 2] += torch.finfo(dtype).eps / 2
        expected = pdist(POINTS[0], "cosine")
        np.testing.assert_allclose(RDM(rounded, NAMES).values, expected, atol=2 * tolerance)
        assert mantel(rounded, squareform(expected), 9).r == pytest.approx(1, abs=tolerance)


def test_tables_are_aligned_by_name():
    frame, other, control = table(), table(Y), table(Z)
    expected = partial_mantel(X, Y, Z, 199)
    assert mantel(frame, shuffled(frame), 99).r == pytest.approx(1, abs=1e-15)
    for given in (
        (frame, shuffled(other), shuffled(control, ORDER[::-1])),
        (frame, other.iloc[ORDER], control.iloc[:, ORDER]),  # rows and columns in different orders
        (RDM(X, NAMES), shuffled(other), RDM(shuffled(control).to_numpy(), shuffled(control).index)),
        (frame.rename(str.upper, axis=0).rename(str.upper, axis=1).rename(str.lower).rename(columns=str.lower), Y, Z),
    ):
        found = partial_mantel(*given, permutations=199)
        assert (found.r, found.p) == (pytest.approx(expected.r, abs=1e-14), expected.p)
    found = mantel_table({"a": frame}, {"m": shuffled(other)}, shuffled(control), permutations=199)
    assert (found.mantel_r[0], found.p[0]) == (pytest.approx(expected.r, abs=1e-14), expected.p)
    np.testing.assert_array_equal(RDM(shuffled(frame), NAMES).values, squareform(X))
    assert mantel(frame, other.to_numpy(), 199) == mantel(X, Y, 199)  # one order alone: by position


def test_tables_that_count_their_classes_are_aligned_by_number():
    frame = pd.DataFrame(X)
    assert mantel(frame, shuffled(frame), 99).r == pytest.approx(1, abs=1e-15)
    assert mantel(frame, frame.iloc[::-1, ::-1], 99).r == pytest.approx(1, abs=1e-15)
    read = table(X, range(N), [str(one) for one in range(N)])  # as a CSV is read
    assert mantel(shuffled(frame), read, 99).r == pytest.approx(1, abs=1e-15)
    np.testing.assert_array_equal(RDM(frame, NAMES).values, squareform(X))  # names are given beside it


def test_tables_whose_names_do_not_fit_are_refused():
    frame = table()
    with pytest.raises(ValueError, match=r"y and x differ in 2 classes \(e, z\)"):
        mantel(frame, table(Y, tuple("bdfacz"), tuple("bdfacz")), 9)
    with pytest.raises(ValueError, match="y and x differ in 12 classes"):
        mantel(frame, pd.DataFrame(Y), 9)
    with pytest.raises(ValueError, match="control: without names"):
        partial_mantel(frame, shuffled(table(Y)), Z, 9)
    with pytest.raises(ValueError, match="x: without names"):
        partial_mantel(X, RDM(Y, NAMES), RDM(Z, NAMES[::-1]), 9)
    with pytest.raises(ValueError, match=r"RDM: its rows and the classes differ in 2 names \(e, z\)"):
        RDM(frame, tuple("bdfacz"))
    with pytest.raises(ValueError, match="duplicate names among its rows"):
        mantel(table(rows=tuple("bdfacb"), columns=tuple("bdfacb")), Y, 9)


def test_condensed_vectors():
    condensed = squareform(X)
    np.testing.assert_array_equal(RDM(pd.Series(condensed), NAMES).values, condensed)
    np.testing.assert_array_equal(RDM(condensed.astype(">f8"), NAMES).values, condensed)
    pairs = pd.Series(condensed, index=pd.MultiIndex.from_tuples([(i, j) for i in range(N) for j in range(i)]))
    for named in (pairs, pd.Series(condensed).sort_values(), pd.Series(condensed).iloc[::-1]):
        with pytest.raises(ValueError, match="Series, whose names would be lost"):
            RDM(named, NAMES)
    for given in (condensed, pd.Series(condensed), list(condensed)):
        with pytest.raises(ValueError, match=r"RDM\(values, classes\) takes condensed"):
            mantel(given, Y, 9)
    with pytest.raises(ValueError, match="x is a Series, whose names would be lost"):
        mantel(pairs, Y, 9)
    with pytest.raises(ValueError, match="masked"):
        RDM(np.ma.masked_less(condensed, 2), NAMES)
    for wrong in (5.0, RDM(X, NAMES), np.zeros((2, N, N))):
        with pytest.raises(ValueError, match="6 classes need 15|real numbers"):
            RDM(wrong, NAMES)


def test_class_means_of_a_table_are_taken_by_name():
    means = POINTS[0]
    frame = pd.DataFrame(means, index=NAMES, columns=list("wxyz"))
    expected = from_class_means(means, NAMES)
    grouped = pd.concat([frame - 1, frame + 1]).groupby(level=0).mean()  # sorted by pandas
    assert tuple(grouped.index) != NAMES
    np.testing.assert_allclose(from_class_means(grouped, NAMES).values, expected.values, rtol=0, atol=1e-14)
    for given in (frame.iloc[ORDER], pd.DataFrame(means), frame.astype(object), frame.astype("Float64")):
        np.testing.assert_array_equal(from_class_means(given, NAMES).values, expected.values)
    numbered = pd.DataFrame(means).iloc[ORDER]
    np.testing.assert_array_equal(from_class_means(numbered, range(N)).values, expected.values)
    for wrong in (frame.iloc[:-1], frame.rename({"b": "z"}), numbered):
        with pytest.raises(ValueError, match="rows and the classes differ"):
            from_class_means(wrong, NAMES)
    with pytest.raises(ValueError, match="duplicate names"):
        from_class_means(frame.rename({"b": "d"}), NAMES)


@pytest.mark.parametrize("distance", ["correlation", "spearman", "euclidean", "cosine"])
def test_class_means_of_any_type(distance):
    whole = np.random.default_rng(3).integers(1, 99, (N, 40))
    expected = from_class_means(whole.astype(float), NAMES, distance).values
    for given in (
        whole,
        whole.astype(np.uint8),
        whole.astype(">i4"),
        whole.astype(np.float16),
        whole.astype(">f4"),
        whole.astype(object),
        np.asfortranarray(whole),
        torch.from_numpy(whole).to(torch.uint8),
        torch.from_numpy(whole).bfloat16(),
        torch.from_numpy(whole).float().requires_grad_(),
        np.ma.asarray(whole),
        whole.tolist(),
    ):
        np.testing.assert_allclose(from_class_means(given, NAMES, distance).values, expected, rtol=0, atol=1e-13)
    for wrong, message in (
        (np.ma.masked_greater(whole, 90), "masked"),
        (whole + 0j, "complex"),
        (whole.astype(str), "real numbers"),
        (torch.from_numpy(whole).to_sparse(), "sparse"),
        (whole[0], r"\(n, d\)|6 classes"),
        (whole[:, :0], r"\(n, d\)"),
        (7.0, r"\(n, d\)"),
    ):
        with pytest.raises(ValueError, match=message):
            from_class_means(wrong, NAMES, distance)


def test_class_means_too_large_to_be_squared_are_named():
    means = POINTS[0].copy()
    means[2, 1] = 1e160
    for given, largest in ((means, r"1e\+160"), (np.clip(means, None, 3e38).astype(np.float32), r"3e\+38")):
        with pytest.raises(ValueError, match=f"values of f reach {largest}, too large"):
            from_class_means(given, NAMES)
    with pytest.raises(ValueError, match="values of f hold NaN or infinity"):
        from_class_means(np.where(means > 1e100, np.inf, means), NAMES)
    large = from_class_means(1e140 * POINTS[0], NAMES).values
    np.testing.assert_allclose(large, from_class_means(POINTS[0], NAMES).values, rtol=0, atol=1e-14)


def test_ranks_are_float64_whatever_scipy_returns(monkeypatch):
    import scipy.stats

    ranked = scipy.stats.rankdata  # SciPy 1.18 returns ranks in the type of what is ranked
    monkeypatch.setattr(scipy.stats, "rankdata", lambda a, **options: ranked(a, **options).astype(np.asarray(a).dtype))
    means = np.random.default_rng(5).standard_normal((N, 700)).astype(np.float32)
    expected = 1 - np.corrcoef(ranked(means, axis=1))[np.triu_indices(N, 1)]
    for given in (means, torch.from_numpy(means), means.astype(">f4")):
        np.testing.assert_allclose(from_class_means(given, NAMES, "spearman").values, expected, rtol=0, atol=1e-13)
    for half in (X.astype(np.float32), torch.from_numpy(X).half()):
        r = pearsonr(*(ranked(squareform(m, checks=False)) for m in (np.asarray(half, dtype=float), Y))).statistic
        assert mantel(half, Y, 9, method="spearman").r == pytest.approx(r, abs=1e-14)


def test_no_class_and_one_class():
    for classes in ((), ("a",)):
        rdm = RDM([], classes)
        assert repr(rdm) == f"RDM: {len(classes)} classes, no distances" and rdm.square().shape == (len(classes),) * 2
        assert len(RDM(np.zeros((len(classes),) * 2), classes)) == len(classes)
        with pytest.raises(ValueError, match="at least 4"):
            mantel(rdm, rdm, 9)
    assert repr(RDM([2.0], "ab")).startswith("RDM: 2 classes, a ... b")
    assert len(from_class_means(POINTS[0][:1], "a")) == 1
    with pytest.raises(ValueError, match=r"\(n, d\)"):
        from_class_means(np.zeros((0, 3)), ())


def test_files_of_others_are_read_as_arrays_are(tmp_path):
    path, rdm = tmp_path / "rdms.parquet", RDM(WHOLE, NAMES)
    write_rdms(path, {"fc7": rdm})
    written = pd.read_parquet(path)
    for dtype in ("float32", "int16", "Int64", "Float64"):
        written.assign(fc7=written.fc7.astype(dtype)).to_parquet(path)
        np.testing.assert_array_equal(read_rdms(path)["fc7"].values, rdm.values)
    written.assign(fc7=[decimal.Decimal(int(one)) for one in written.fc7]).to_parquet(path)
    np.testing.assert_array_equal(read_rdms(path)["fc7"].values, rdm.values)
    gap = written.fc7.astype("Float64").mask(written.index == 3)
    written.assign(fc7=gap).to_parquet(path)
    np.testing.assert_array_equal(np.isnan(read_rdms(path)["fc7"].values), np.arange(len(written)) == 3)
    for values in (written.fc7.astype(str), pd.to_datetime(written.fc7), ["x"] * len(written)):
        written.assign(fc7=values).to_parquet(path)
        with pytest.raises(InputError, match=r"rdms\.parquet: RDM fc7 cannot be read as real numbers"):
            read_rdms(path)
    nameless = written.assign(class_i=written.class_i.mask(written.class_i == "b"))
    for wrong in (written.head(0), nameless):
        wrong.to_parquet(path)
        with pytest.raises(InputError, match="without a name"):
            read_rdms(path)


def test_features_of_images_are_read_in_the_same_way():
    features = np.random.default_rng(4).standard_normal((24, 5))
    index = np.repeat(range(N), 4)
    expected = reliability_table(features, index, NAMES)
    for given in (features.astype(">f8"), pd.DataFrame(features), np.asfortranarray(features), features.tolist()):
        pd.testing.assert_frame_equal(reliability_table(given, index, NAMES), expected)
    with pytest.raises(ValueError, match="features has masked values"):
        reliability_table(np.ma.masked_greater(features, 1), index, NAMES)


def test_arrays_and_tensors_are_not_copied_where_they_need_not_be():
    array, tensor = X.copy(), torch.from_numpy(X.copy())
    assert as_tensor(array).data_ptr() == array.ctypes.data and as_tensor(tensor).data_ptr() == tensor.data_ptr()
    for dtype in (np.float32, np.int32, np.bool_):
        assert as_tensor(array.astype(dtype)).dtype == getattr(torch, np.dtype(dtype).name)
    assert functools.reduce(np.array_equal, [as_tensor(array.astype(">f4")).numpy(), array.astype(np.float32)])


RSATOOLBOX = Path(__file__).parent / "rsatoolbox"  # a file that it wrote, and its answers: make.py


def as_rsatoolbox_has(values, names, **descriptors):
    """What this package reads of an ``RDMs`` of rsatoolbox, which need not be installed."""
    condensed = np.stack([squareform(one, checks=False) for one in values])
    patterns = {"index": list(range(len(names))), "class": list(names)}
    return types.SimpleNamespace(
        dissimilarities=condensed, pattern_descriptors=patterns, rdm_descriptors=descriptors or {"index": [0]}
    )


@pytest.mark.parametrize("kind", ["pandas", "skbio", "rsatoolbox"])
def test_matrices_with_names_are_aligned_by_them_wherever_they_come_from(kind):
    turned, names = X[np.ix_(ORDER, ORDER)], [NAMES[i] for i in ORDER]
    given = {
        "pandas": lambda: table(turned, names, names),
        "skbio": lambda: DistanceMatrix(turned, names),
        "rsatoolbox": lambda: as_rsatoolbox_has([turned], names),
    }[kind]()
    y, z = RDM(Y, NAMES), RDM(Z, NAMES)
    assert as_rdm(given).classes == tuple(names)
    assert mantel(given, y, 9).r == pytest.approx(pearsonr(squareform(X), squareform(Y))[0], abs=1e-12)
    assert mantel(y, given, 9).r == pytest.approx(mantel(y, RDM(X, NAMES), 9).r, abs=1e-15)
    both = partial_mantel(y, z, [given, RDM(WHOLE, NAMES)], 9)
    assert both.r == pytest.approx(partial_mantel(y, z, [RDM(X, NAMES), RDM(WHOLE, NAMES)], 9).r, abs=1e-12)


def test_an_rdm_goes_back_to_scikit_bio_and_pandas_and_comes_again():
    """As site/coming_from.qmd says it."""
    rdm = RDM(X, NAMES)
    for given in (DistanceMatrix(rdm.square(), rdm.classes), table(rdm.square(), rdm.classes, rdm.classes)):
        again = as_rdm(given)
        np.testing.assert_array_equal(again.square(), X)
        assert again.classes == NAMES


def test_several_rdms_of_rsatoolbox_go_by_their_names():
    both = as_rsatoolbox_has([X, Y], NAMES, index=[0, 1], layer=["early", "late"])
    assert {name: rdm.values.tolist() for name, rdm in named_rdms(both).items()} == {
        "early": squareform(X).tolist(),
        "late": squareform(Y).tolist(),
    }
    assert list(mantel_table(named_rdms(both), {"z": RDM(Z, NAMES)}, permutations=9).rdm) == ["early", "late"]
    with pytest.raises(ValueError, match="x holds 2 RDMs: give one"):
        mantel(both, Z, 9)
    nameless = as_rsatoolbox_has([X], range(N))
    with pytest.raises(ValueError, match=r"x: none of its pattern descriptors \(index, class\)"):
        mantel(nameless, Z, 9)


def test_a_file_of_rsatoolbox_has_the_correlations_that_it_found():
    pytest.importorskip("h5py")
    rdms, answers = read_rdms(RSATOOLBOX / "rdms.hdf5"), pd.read_csv(RSATOOLBOX / "answers.csv", index_col="layer")
    first = next(iter(rdms.values()))
    reference = RDM(np.loadtxt(RSATOOLBOX / "reference.csv", delimiter=","), first.classes)
    assert list(rdms) == list(answers.index) and first.classes[0] == "n02084071"
    for layer, rdm in rdms.items():
        assert mantel(rdm, reference, 9).r == pytest.approx(answers["corr"][layer], abs=1e-12)
        assert mantel(rdm, reference, 9, method="spearman").r == pytest.approx(answers["spearman"][layer], abs=1e-12)


def test_files_of_rdms_execute_nothing_and_have_names(tmp_path):
    np.savez(tmp_path / "a.npz", classes=np.array(NAMES), conv5=X, fc7=squareform(Y))
    found = read_rdms(tmp_path / "a.npz")
    assert list(found) == ["conv5", "fc7"] and np.array_equal(found["fc7"].square(), Y)
    np.savez(tmp_path / "b.npz", conv5=X)
    np.savez(tmp_path / "c.npz", classes=np.array(NAMES), conv5=np.array([print], dtype=object))
    np.savez(tmp_path / "d.npz", classes=np.array(NAMES), conv5=X[:3])
    (tmp_path / "e.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    (tmp_path / "f.hdf5").write_bytes(b"no HDF5")
    whole = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "g.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "h.npz").write_bytes(b"")
    np.save(tmp_path / "i.npy", X)
    (tmp_path / "i.npy").rename(tmp_path / "i.npz")
    np.savez(tmp_path / "j.npz", classes=np.array(NAMES, dtype="S"), conv5=X)
    assert read_rdms(tmp_path / "j.npz")["conv5"].classes == NAMES  # not "b'b'"
    for name, why in (
        ("b.npz", "classes"),
        ("c.npz", "pickle"),
        ("d.npz", "square"),
        ("e.pkl", "hdf5"),
        ("f.hdf5", ""),
        ("g.npz", "zip"),
        ("h.npz", ""),
        ("i.npz", ""),
    ):
        with pytest.raises(InputError, match=rf"{name}.*{why}"):
            read_rdms(tmp_path / name)
