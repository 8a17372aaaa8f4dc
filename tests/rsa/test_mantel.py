"""Mantel and partial Mantel tests against scikit-bio, vegan, full enumeration and what must not change them."""

import functools
import itertools
import shutil
import subprocess
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform
from scipy.stats import pearsonr, spearmanr

from semanticcmc.rsa.bootstrap import intervals
from semanticcmc.rsa.mantel import mantel, mantel_table, partial_mantel
from semanticcmc.rsa.rdm import RDM
from semanticcmc.rsa.standardise import standardise, standardise_table
from tests.conftest import ROOT
from tests.rsa.one_by_one import one_by_one

VEGAN = ROOT / "tests" / "rsa" / "vegan"


def related(n, seed, noise=1.0, count=3):
    """Square distance matrices of `count` noisy copies of the same n points."""
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((n, 3))
    return [squareform(pdist(points + noise * rng.standard_normal((n, 3)))) for _ in range(count)]


def upper(square):
    return square[np.triu_indices(len(square), 1)]


def partial_by_residuals(x, y, z):
    """Partial correlation as the correlation of what a regression on z leaves: no formula shared with the code."""
    design = np.column_stack([np.ones(len(z)), z])
    residuals = [v - design @ np.linalg.lstsq(design, v, rcond=None)[0] for v in (x, y)]
    return pearsonr(*residuals).statistic


@functools.cache
def enumerated(n, noise, partial):
    """Statistics of all permutations of x's items, the identity first, by regression where partial."""
    x, y, z = related(n, 5, noise)
    moved = np.array([upper(x[np.ix_(order, order)]) for order in itertools.permutations(range(n))])
    design = np.column_stack([np.ones(moved.shape[1]), *([upper(z)] if partial else [])])
    basis = np.linalg.qr(design)[0]
    left, right = (m - m @ basis @ basis.T for m in (moved, upper(y)))
    return left @ right / np.sqrt((left**2).sum(1) * (right**2).sum())


@pytest.mark.parametrize("method", ["pearson", "spearman"])
@pytest.mark.parametrize("seed", range(3))
def test_r_is_the_correlation_of_the_distances(method, seed):
    x, y, z = related(15, seed)
    correlation = {"pearson": pearsonr, "spearman": spearmanr}[method]
    assert mantel(x, y, 9, method=method).r == pytest.approx(correlation(upper(x), upper(y)).statistic, abs=1e-12)
    ranks = [pd.Series(upper(m)).rank().to_numpy() if method == "spearman" else upper(m) for m in (x, y, z)]
    assert partial_mantel(x, y, z, 9, method=method).r == pytest.approx(partial_by_residuals(*ranks), abs=1e-12)


@pytest.mark.parametrize("alternative", ["greater", "less", "two-sided"])
@pytest.mark.parametrize(("n", "noise"), [(6, 0.7), (7, 1.0)])
def test_p_tends_to_that_of_all_permutations(alternative, n, noise):
    x, y, z = related(n, 5, noise)
    for control in (None, z):
        every = enumerated(n, noise, control is not None)
        signed = {"greater": every, "less": -every, "two-sided": np.abs(every)}[alternative]
        exact = np.mean(signed >= signed[0] - 1e-9)
        options = {"permutations": 19_999, "alternative": alternative, "seed": 1}
        found = mantel(x, y, **options) if control is None else partial_mantel(x, y, control, **options)
        assert found.r == pytest.approx(every[0], abs=1e-12)
        peer = one_by_one(x, y, *([z] if control is not None else []), **options)
        assert peer == (pytest.approx(found.r, abs=1e-10), pytest.approx(exact, abs=4 * np.sqrt(exact / 20_000) + 1e-4))
        # Statistics of one coset depend on each other: allow twice the binomial error (see test_mantel_cosets).
        assert found.p == pytest.approx(exact, abs=4 * 2 * np.sqrt(exact * (1 - exact) / 20_000) + 1e-4)


@pytest.mark.parametrize("alternative", ["greater", "less", "two-sided"])
@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_scikit_bio_agrees(alternative, method):
    from skbio.stats.distance import mantel as scikit_bio

    x, y, _ = related(12, 3, noise=1.2)
    r, p, n = scikit_bio(x, y, method=method, permutations=4999, alternative=alternative, seed=1)
    found = mantel(x, y, 4999, alternative, method)
    assert (found.r, found.n) == (pytest.approx(r, abs=1e-12), n)
    assert found.p == pytest.approx(p, abs=6 * np.sqrt(p * (1 - p) / 5000) + 2e-4)


def vegan_inputs():
    return [np.loadtxt(VEGAN / f"{name}.csv", delimiter=",") for name in ("x", "y", "z")]


@pytest.mark.parametrize("method", ["pearson", "spearman"])
@pytest.mark.parametrize("test", ["simple", "partial"])
def test_vegan_agrees(method, test):
    stored = pd.read_csv(VEGAN / "vegan.csv").set_index(["test", "method"]).loc[(test, method)]
    x, y, z = vegan_inputs()
    found = mantel(x, y, method=method) if test == "simple" else partial_mantel(x, y, z, method=method)
    assert found.r == pytest.approx(stored.r, abs=1e-9)


def test_vegan_still_says_what_is_stored(tmp_path):
    if not shutil.which("Rscript"):
        pytest.skip("R is not installed")
    asked = subprocess.run(["Rscript", "-e", 'quit(status = !requireNamespace("vegan", quietly = TRUE))'])
    if asked.returncode:
        pytest.skip("R is installed, vegan is not")
    subprocess.run(["Rscript", VEGAN / "mantel.R", VEGAN, tmp_path], check=True, capture_output=True)
    live, stored = (pd.read_csv(folder / "vegan.csv") for folder in (tmp_path, VEGAN))
    np.testing.assert_allclose(live[["r", "p"]], stored[["r", "p"]], atol=1e-12)


matrices = {"n": st.integers(4, 14), "seed": st.integers(0, 2**20), "method": st.sampled_from(["pearson", "spearman"])}


@given(**matrices, scale=st.floats(0.01, 100), shift=st.floats(-5, 5))
@settings(max_examples=30, deadline=None)
def test_scale_and_shift_change_nothing(n, seed, method, scale, shift):
    x, y, z = related(n, seed)
    moved = scale * y + shift * (1 - np.eye(n))
    one, other = (partial_mantel(x, m, z, 99, method=method, seed=seed) for m in (y, moved))
    assert other.r == pytest.approx(one.r, abs=1e-8, nan_ok=True)
    assert other.p == pytest.approx(one.p, abs=1e-12, nan_ok=True)
    assert mantel(x, -y, 9, method=method).r == pytest.approx(-mantel(x, y, 9, method=method).r, abs=1e-12)


@given(**matrices)
@settings(max_examples=30, deadline=None)
def test_r_does_not_depend_on_the_order_of_items(n, seed, method):
    x, y, z = related(n, seed)
    order = np.random.default_rng(seed).permutation(n)
    moved = [m[np.ix_(order, order)] for m in (x, y, z)]
    for test, given_ in ((mantel, 2), (partial_mantel, 3)):
        one, other = (test(*ms[:given_], 9, method=method) for ms in ((x, y, z), moved))
        assert other.r == pytest.approx(one.r, abs=1e-9, nan_ok=True)


@given(**matrices)
@settings(max_examples=30, deadline=None)
def test_simple_r_is_symmetric(n, seed, method):
    x, y, _ = related(n, seed)
    assert mantel(x, y, 9, method=method).r == pytest.approx(mantel(y, x, 9, method=method).r, abs=1e-12)


def test_p_is_symmetric_in_distribution():
    x, y, _ = related(10, 8, noise=1.5)
    one, other = mantel(x, y, 19_999), mantel(y, x, 19_999)
    assert one.p == pytest.approx(other.p, abs=0.02)


def test_rdms_are_joined_by_name():
    x, y, z = related(9, 2)
    classes = tuple("abcdefghi")
    order = [3, 1, 4, 0, 5, 8, 2, 6, 7]
    shuffled = [RDM(m[np.ix_(order, order)], tuple(classes[i] for i in order)) for m in (y, z)]
    one = partial_mantel(RDM(x, classes), *shuffled, permutations=199)
    other = partial_mantel(x, y, z, permutations=199)
    assert (one.r, one.p) == (pytest.approx(other.r, abs=1e-12), other.p)


def test_a_result_says_what_was_done_and_can_be_had_again():
    x, y, z = related(11, 4)
    found = partial_mantel(x, y, z, 150, "less", "spearman", seed=7, return_null=True)
    assert (found.method, found.alternative, found.seed) == ("spearman", "less", 7)
    assert (
        found.partial == "smouse"
        and found.n == 11
        and found.permutations >= 150
        and found.null.shape == (found.permutations,)
    )
    assert found.p == (1 + np.sum(found.null <= found.r + 1e-10)) / (found.permutations + 1)
    again = partial_mantel(x, y, z, 150, "less", "spearman", seed=7)
    assert again == found and again.null is None
    other = partial_mantel(x, y, z, 150, "less", "spearman", seed=8, return_null=True)
    assert not np.array_equal(other.null, found.null)


def test_a_table_holds_what_single_tests_say():
    x, y, z = related(13, 6)
    w = related(13, 7)[0]
    rdms, models = {("net", 0): x, ("net", 1): w}, {"lch": y, "category": z}
    options = {"permutations": 199, "seed": 3}
    table = mantel_table(rdms, models, **options)
    assert list(zip(table.rdm, table.model, strict=True)) == list(itertools.product(rdms, models))
    for row in table.itertuples():
        one = mantel(rdms[row.rdm], models[row.model], **options)
        assert (row.mantel_r, row.p, row.permutations) == (pytest.approx(one.r, abs=1e-12), one.p, one.permutations)
    for own in ({("net", 0): w, ("net", 1): x}, {("net", 0): z, ("net", 1): z}):
        partial = mantel_table(rdms, {"lch": y}, own, **options)
        for row in partial.itertuples():
            one = partial_mantel(rdms[row.rdm], y, own[row.rdm], **options)
            assert (row.mantel_r, row.p) == (pytest.approx(one.r, abs=1e-12), one.p)
    pd.testing.assert_frame_equal(mantel_table(rdms, {"lch": y}, z, **options), partial)


def test_a_table_has_the_intervals_of_the_bootstrap_and_standardises_once():
    x, y, z = related(13, 6)
    other, w, _ = related(13, 7)
    rdms, options = {"a": x, "b": other}, {"method": "spearman", "seed": 3}
    for control in (None, z, {"a": z, "b": related(13, 8)[0]}):
        table = mantel_table(rdms, {"m": y, "w": w}, control, 99, bootstrap_samples=50, confidence=0.9, **options)
        data = standardise_table(rdms, {"m": y, "w": w}, control, "spearman")
        expected = intervals(data, 50, 0.9, 3)
        np.testing.assert_array_equal([table.ci_low, table.ci_high], expected.reshape(2, -1))
    with pytest.warns(RuntimeWarning) as caught:
        mantel_table({"dead": 1 - np.eye(13), "x": x}, {"m": y}, permutations=99, bootstrap_samples=50)
    assert len(caught) == 1


def test_rdms_share_a_control_that_is_one_object():
    x, y, z = related(9, 2)
    data = standardise_table({"a": x, "b": y, "c": x}, {"m": y}, {"a": z, "b": x, "c": z})
    assert data.own == (0, 1, 0) and data.z.shape == (2, 9, 9)
    for rdm, expected in enumerate((z, x, z)):
        assert torch.equal(data.control(rdm), standardise({"z": expected}))
    assert standardise_table({"a": x}, {"m": y}).control(0) is None


def spoilt(kind, n=8):
    x, y, _ = related(n, 1)
    if kind == "nan":
        x[2, 3] = x[3, 2] = np.nan
    elif kind == "asymmetric":
        x[2, 3] += 0.01
    elif kind == "diagonal":
        np.fill_diagonal(x, 1)
    return (x if kind != "oblong" else x[:, 1:]), y


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("nan", "x holds nan as the distance of 2 and 3"),
        ("asymmetric", r"x is not symmetric: \[2, 3\]"),
        ("diagonal", "x has 1 on its diagonal"),
        ("oblong", "square"),
    ],
)
def test_what_is_no_distance_matrix_is_refused_by_name(kind, message):
    x, y = spoilt(kind)
    with pytest.raises(ValueError, match=message):
        mantel(x, y, 9)
    with pytest.raises(ValueError, match=message.replace("x ", "y ")):
        mantel(y, x, 9)
    with pytest.raises(ValueError, match=message.replace("x ", "control ")):
        partial_mantel(y, y, x, 9)


def test_matrices_that_do_not_fit_are_refused():
    x, y, _ = related(8, 1)
    with pytest.raises(ValueError, match="y has 7 items, x has 8"):
        mantel(x, y[1:, 1:], 9)
    with pytest.raises(ValueError, match="3 items: at least 4"):
        mantel(x[:3, :3], y[:3, :3], 9)
    with pytest.raises(ValueError, match=r"y and x differ in 2 classes \(h, z\)"):
        mantel(RDM(x, "abcdefgh"), RDM(y, "abcdefgz"), 9)
    with pytest.raises(ValueError, match="NaN|nan .* of b and d"):
        bad = x.copy()
        bad[1, 3] = bad[3, 1] = np.nan
        mantel(RDM(bad, "abcdefgh"), RDM(y, "abcdefgh"), 9)
    with pytest.raises(ValueError, match="no control for RDM b"):
        mantel_table({"a": x, "b": y}, {"m": y}, {"a": x})
    for option, value in (("alternative", "larger"), ("method", "kendall"), ("permutations", 0)):
        with pytest.raises(ValueError, match=f"{option} .*{value}"):
            mantel(x, y, **{option: value})


def test_degenerate_matrices_give_nan_with_a_warning():
    x, y, _ = related(8, 1)
    constant = 0.3 * (1 - np.eye(8))
    with pytest.warns(RuntimeWarning, match="y is constant"):
        found = mantel(x, constant, 9)
    assert np.isnan(found.r) and np.isnan(found.p)
    for control in (x, 3 * x + 2 * (1 - np.eye(8)), -y + 9 * (1 - np.eye(8))):
        with pytest.warns(RuntimeWarning, match="collinear"):
            found = partial_mantel(x, y, control, 9)
        assert np.isnan(found.r) and np.isnan(found.p)


def test_results_that_are_nan_equal_themselves():
    x, y, _ = related(8, 1)
    with pytest.warns(RuntimeWarning, match="y is constant"):
        one, again, other = (mantel(x, 1 - np.eye(8), 9, seed=seed) for seed in (0, 0, 1))
    assert np.isnan(one.r) and one == again and hash(one) == hash(again)
    assert one != other and one != mantel(x, y, 9) and one != None  # noqa: E711


def test_one_dead_layer_does_not_stop_the_others():
    x, y, z = related(8, 1)
    dead = np.where(np.eye(8), 0, np.nan)
    with pytest.warns(RuntimeWarning) as caught:
        table = mantel_table({"fc6": dead, "fc7": x, "fc8": 1 - np.eye(8)}, {"lch": y}, z, 99).set_index("rdm")
    assert {"RDM fc6 holds nan", "RDM fc8 is constant"} == {
        str(w.message)[: 17 if "fc6" in str(w.message) else 19] for w in caught
    }
    assert table.mantel_r.isna().tolist() == [True, False, True] == table.p.isna().tolist()
    assert table.p["fc7"] == partial_mantel(x, y, z, 99).p


def test_permutations_without_a_partial_correlation_count_as_extreme():
    # x moved by half of the permutations *is* the control: there partial r is 0 / 0, and p must not gain by it.
    x = squareform(pdist(np.array([[0.0], [1], [3], [7]])))
    z = x[np.ix_([1, 0, 2, 3], [1, 0, 2, 3])]
    y = related(4, 3)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = partial_mantel(x, y, z, 999, return_null=True)
    assert np.isnan(found.null).any()
    assert found.p >= np.isnan(found.null).mean()


def test_views_and_read_only_arrays_are_taken_as_they_are():
    x, y, _ = related(9, 2)
    backwards = x[::-1, ::-1]
    kept = x.copy()
    kept.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert mantel(backwards, y, 99) == mantel(backwards.copy(), y, 99)
        assert mantel(kept, y.astype(np.float32), 99).r == pytest.approx(mantel(x, y, 99).r, abs=1e-6)
        assert mantel(x.round().astype(int).tolist(), y, 99) == mantel(x.round(), y, 99)
    np.testing.assert_array_equal(kept, x)


def test_tensors_are_taken_as_they_are():
    x, y, z = related(9, 2)
    tensors = [torch.from_numpy(m) for m in (x, y, z)]
    assert partial_mantel(*tensors, permutations=99) == partial_mantel(x, y, z, 99)
    assert partial_mantel(*(m.float() for m in tensors), permutations=99).r == pytest.approx(
        partial_mantel(x, y, z, 99).r, abs=1e-6
    )


@pytest.mark.gpu
def test_the_gpu_agrees():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    x, y, z = related(300, 2)
    here, there = (partial_mantel(x, y, z, 9999, device=device) for device in ("cpu", "cuda"))
    assert there.r == pytest.approx(here.r, abs=1e-12) and there.p == here.p


@pytest.mark.parametrize("n", [100, 300, 520])
@pytest.mark.parametrize("partial", ["smouse", "dsp"])
@pytest.mark.parametrize("offset", [0, 20, 60])
def test_a_model_that_is_its_own_control_leaves_nothing(n, partial, offset):
    """Also where distances differ little beside their mean, and products of what is not centred would cancel."""
    rng = np.random.default_rng(n)
    x, y = (squareform(rng.standard_normal(n * (n - 1) // 2) + offset) for _ in range(2))
    for three in ((x, y, y), (x, y, x), (x, y, [x, y])):
        with pytest.warns(RuntimeWarning, match="collinear"):
            found = partial_mantel(*three, 199, partial=partial)
        assert np.isnan(found.r) and np.isnan(found.p)


def test_ties_of_partial_correlations_count_far_from_0():
    """Of few items, on a large mean: r and p are those of the same distances without it."""
    n = 520

    def few(items, offset):
        inside = np.isin(np.arange(n), items)
        return (offset + (inside[:, None] != inside)) * (1.0 - np.eye(n))

    found = [
        partial_mantel(*(few(range(*one), offset) for one in ((200, 206), (20,), (22,))), 4999, alternative="less")
        for offset in (0, 12)
    ]
    assert found[0].p == found[1].p > 0.5
    assert found[0].r == pytest.approx(found[1].r, abs=1e-13)


def test_values_at_the_end_of_the_range_are_scaled():
    rng = np.random.default_rng(0)
    x, y, z = (squareform(rng.standard_normal(120 * 119 // 2) + 60) for _ in range(3))
    small, large = (partial_mantel(x * by, y * by, z * by, 199) for by in (1.0, 1e151))
    assert large.r == pytest.approx(small.r, abs=1e-12) and large.p == small.p


def test_a_table_of_nothing_is_refused():
    x = squareform(np.arange(1.0, 7))
    for two in (({}, {"m": x}), ({"x": x}, {})):
        with pytest.raises(ValueError, match="at least one of each"):
            mantel_table(*two)
