"""Networks two by two: differences against the bootstrap written out, correlations against numpy and the formula."""

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semanticcmc.config import InputError
from semanticcmc.evaluation.comparisons import (
    CONNECTIVITY,
    JOINT,
    LAG_COMPARISONS,
    YARDSTICKS,
    connectivity,
    joint,
    lag_comparisons,
    rdm_correlations,
    simple_by_layer,
    yardsticks,
)
from semanticcmc.evaluation.config import EvaluationConfig
from semanticcmc.evaluation.lag_curve import lag_curve
from semanticcmc.experiment import repository_root
from semanticcmc.rsa.rdm import RDM, read_rdms, write_rdms
from semanticcmc.rsa.regression import cka
from semanticcmc.rsa.semantics import category_rdm, read_matrix
from tests.evaluation.test_lag_curve import NETWORKS, RANDOM_SEEDS, WORLD, experiment, with_settings  # noqa: F401  (a fixture)

SPOSE = repository_root().parent / "shared" / "data" / "things_spose_66d.csv"  # never committed
CLASSES = tuple(sorted(WORLD.wnid))


def rdm_of(folder, network, seed, layer="fc7"):
    return read_rdms(folder / "rdms" / network / f"seed-{seed}_intact.parquet")[layer].subset(CLASSES)


def test_differences_are_those_of_the_lag_curve(experiment):  # noqa: F811
    table = lag_comparisons(experiment, experiment.primary_layer)
    assert tuple(table.columns) == LAG_COMPARISONS
    curve = lag_curve(experiment)
    r = curve[curve.layer == "fc7"].set_index(["seed", "model", "control", "network"]).mantel_r
    for (seed, model, control), rows in table.groupby(["seed", "model", "control"]):
        tested = [network for network in NETWORKS if network != control]
        assert list(zip(rows["first"], rows["second"], strict=True)) == list(itertools.combinations(tested, 2))
        for row in rows.itertuples():
            expected = r[seed, model, control, row.first] - r[seed, model, control, row.second]
            assert row.difference == pytest.approx(expected, abs=1e-12)
            assert row.ci_low < row.ci_high
    assert len(table) == 2 * 2 * (6 + 3 + 3 + 6)


def test_intervals_are_the_paired_bootstraps_no_wider_than_its_plain_percentiles(experiment):  # noqa: F811
    """The bootstrap written out: classes drawn, pairs of a class with itself dropped, numpy's correlation."""
    from semanticcmc.rsa.semantics import lch_rdm

    model, first, second = (
        rdm.square()
        for rdm in (lch_rdm(CLASSES), rdm_of(experiment.folder, "augment", 0), rdm_of(experiment.folder, "cmc_lab", 0))
    )
    rng, differences = np.random.default_rng(8), []
    for _ in range(4000):
        drawn = rng.integers(0, 24, 24)
        i, j = np.triu_indices(24, 1)
        i, j = drawn[i], drawn[j]
        kept = i != j
        i, j = i[kept], j[kept]
        differences.append(np.corrcoef(first[i, j], model[i, j])[0, 1] - np.corrcoef(second[i, j], model[i, j])[0, 1])
    plain = np.quantile(differences, [0.05, 0.95])
    table = lag_comparisons(experiment, experiment.primary_layer)
    [row] = table[
        (table.seed == 0)
        & (table.model == "lch")
        & (table.control == "none")
        & (table["first"] == "augment")
        & (table["second"] == "cmc_lab")
    ].itertuples()
    share = (row.ci_high - row.ci_low) / (plain[1] - plain[0])  # how much too wide: `interval_width`
    assert 1 / np.sqrt(3) - 0.05 < share < 1.05
    assert (row.p < 0.1) == (row.ci_low > 0 or row.ci_high < 0)  # the interval's level is .9


def test_only_the_network_that_codes_the_category_differs(experiment):  # noqa: F811
    """Augment and cmc_lab see looks alone in this world, the semantic one the category as well."""
    table = lag_comparisons(experiment, experiment.primary_layer)
    rows = table[(table.model == "category") & (table.control == "look")]
    meaning = (rows["first"] == "semantic_60s") | (rows["second"] == "semantic_60s")
    assert rows[meaning].p_holm.max() < 0.05
    assert rows[~meaning].p_holm.median() > 0.5  # the others differ by noise alone
    assert rows[meaning].difference.abs().min() > rows[~meaning].difference.abs().max()
    assert (rows.p_holm >= rows.p).all()


def test_a_dead_network_leaves_its_comparisons_empty_and_holm_does_not_count_them(experiment):  # noqa: F811
    from semanticcmc.rsa.rdm import write_rdms

    nothing = RDM(np.full(276, np.nan), CLASSES)
    write_rdms(experiment.folder / "rdms" / "augment" / "seed-0_intact.parquet", {"conv5": nothing, "fc7": nothing})
    one = dataclasses.replace(with_settings(experiment, controls=["none"], models=["category"]), seeds=(0,))
    with pytest.warns(RuntimeWarning, match="nan"):
        table = lag_comparisons(one, one.primary_layer)
    dead = (table["first"] == "augment") | (table["second"] == "augment")
    assert table[dead][["difference", "p", "p_holm"]].isna().all(axis=None)
    alive = table[~dead]
    assert alive.p_holm.min() == pytest.approx(min(1, 3 * alive.p.min()))  # three comparisons were made, not six


def test_without_a_bootstrap_or_a_second_network_nothing_is_compared(experiment):  # noqa: F811
    for one in (
        with_settings(experiment, bootstrap_samples=0),
        dataclasses.replace(experiment, baselines=(), lags_s=(60.0,)),
    ):
        assert tuple(lag_comparisons(one, one.primary_layer).columns) == LAG_COMPARISONS


def test_connectivity_is_the_correlation_of_distances(experiment):  # noqa: F811
    table = connectivity(experiment, experiment.primary_layer)
    assert tuple(table.columns) == CONNECTIVITY
    random = np.mean([rdm_of(experiment.folder, "random", seed).values for seed in RANDOM_SEEDS], axis=0)
    for row in table.itertuples():
        x, y = (rdm_of(experiment.folder, name, row.seed).values for name in (row.first, row.second))
        r = np.corrcoef([x, y, random])
        if row.control == "none":
            assert row.r == pytest.approx(r[0, 1], abs=1e-12)
        else:  # what regression on the random network's distances leaves of both
            design = np.column_stack([np.ones_like(random), random])
            left = [one - design @ np.linalg.lstsq(design, one, rcond=None)[0] for one in (x, y)]
            assert row.r == pytest.approx(np.corrcoef(left)[0, 1], abs=1e-9)
    counts = table.groupby("control").size()
    assert counts.to_dict() == {"none": 2 * 6, "random": 2 * 3}
    assert "random" not in set(table[table.control == "random"][["first", "second"]].to_numpy().ravel())


def test_simple_correlations_by_layer_are_numpys_with_the_bootstraps_interval(experiment):  # noqa: F811
    from semanticcmc.rsa.semantics import lch_rdm

    config, model = experiment.section("evaluation", EvaluationConfig), lch_rdm(CLASSES[1:])
    rdms = {"intact": read_rdms(experiment.folder / "rdms" / "augment" / "seed-0_intact.parquet")}
    table = simple_by_layer(rdms, model, config)
    assert list(table.layer) == ["conv5", "fc7"] and set(table.condition) == {"intact"}
    for row in table.itertuples():
        x = rdms["intact"][row.layer].subset(CLASSES[1:])
        assert row.mantel_r == pytest.approx(np.corrcoef(x.values, model.values)[0, 1], abs=1e-12)
        assert row.ci_low < row.mantel_r < row.ci_high


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["pearson", "spearman"]))
def test_correlations_are_symmetric_and_blind_to_scale(seed, method):
    rng = np.random.default_rng(seed)
    names = tuple("abcdefg")
    rdms = {name: RDM(rng.uniform(0, 1, 21), names) for name in ("x", "y", "z")}
    found = rdm_correlations(rdms, method=method)
    np.testing.assert_allclose(found, found.T, atol=1e-15)
    np.testing.assert_array_equal(np.diag(found), 1)
    scaled = rdms | {"x": RDM(3 * rdms["x"].values + 1, names)}
    np.testing.assert_allclose(rdm_correlations(scaled, method=method), found, atol=1e-12)
    expected = pd.DataFrame({name: rdm.values for name, rdm in rdms.items()}).corr(method)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_dead_rdm_has_no_correlations():
    names = tuple("abcde")
    rng = np.random.default_rng(0)
    rdms = {
        "x": RDM(rng.uniform(0, 1, 10), names),
        "y": RDM(rng.uniform(0, 1, 10), names),
        "dead": RDM(np.ones(10), names),
    }
    with pytest.warns(RuntimeWarning, match="dead is constant"):
        found = rdm_correlations(rdms)
    assert found["dead"].isna().all() and found.loc["dead"].isna().all()
    assert np.isfinite(found.loc[["x", "y"], ["x", "y"]]).all(axis=None)


def test_seeds_together_are_means_with_intervals_over_seeds_and_classes(experiment):  # noqa: F811
    table = joint(with_settings(experiment, planned_lag_s=None), "fc7")
    assert tuple(table.columns) == JOINT and (table.seeds == 2).all()
    curve = lag_curve(experiment)
    means = curve[curve.layer == "fc7"].groupby(["model", "control", "network"]).mantel_r.mean()
    for row in table[table.kind == "network"].itertuples():
        assert row.mantel_r == pytest.approx(means[row.model, row.control, row.first], abs=1e-12)
        assert row.ci_low < row.mantel_r < row.ci_high and row.p <= row.p_holm
    differences = table[table.kind == "difference"]
    assert len(differences) == 2 * (6 + 3 + 3 + 6)
    for row in differences.itertuples():
        expected = means[row.model, row.control, row.first] - means[row.model, row.control, row.second]
        assert row.mantel_r == pytest.approx(expected, abs=1e-12)
    peaks = table[table.kind == "peak"]  # one lag alone
    assert (peaks[["lag_s", "ci_low", "ci_high"]] == 60).all(axis=None) and "planned" not in set(table.kind)


def test_a_single_seed_has_the_planned_test_and_the_peak_alone(experiment):  # noqa: F811
    alone = with_settings(dataclasses.replace(experiment, seeds=(0,)), planned_lag_s=None)
    assert set(joint(alone, "fc7").kind) == {"peak"}
    with pytest.raises(InputError, match=r"planned_lag_s is 60, lags_s are 60; give one of them between"):
        joint(with_settings(experiment, planned_lag_s=60.0), "fc7")


def test_yardsticks_tell_the_network_that_codes_category_from_those_of_looks(experiment):  # noqa: F811
    """In the fixture one network codes looks and category, the others looks alone: by CKA and by shares of variance."""
    rng = np.random.default_rng(5)
    association = RDM(rng.random(276), CLASSES)  # has nothing to do with anything
    write_rdms(experiment.folder / "rdms" / "association.parquet", {"association": association})
    table = yardsticks(experiment, "fc7")
    assert tuple(table.columns) == YARDSTICKS and (table.classes == 24).all()
    one = table.set_index(["measure", "model", "network", "seed"]).value.sort_index()
    assert one["cka", "category", "semantic_60s"].min() > 0.4 > 0.2 > one["cka", "category", "augment"].max()
    assert one["share", "category", "semantic_60s"].min() > 0.1 > 0.02 > one["share", "category", "augment"].max()
    assert one["share", "look", "augment"].min() > 0.9 and abs(one["share", "association"]).max() < 0.02
    rdm = rdm_of(experiment.folder, "semantic_60s", 1)
    expected = cka({"": rdm}, {"": category_rdm(CLASSES, experiment.folder / "world" / "classes.csv")}).iloc[0]
    row = table.query("measure == 'cka' and model == 'category' and network == 'semantic_60s' and seed == 1").iloc[0]
    own = cka({"": rdm}, {"": category_rdm(CLASSES, experiment.folder / "world" / "classes.csv")}, 0.9).iloc[0]
    assert row.value == expected.cka and (row.ci_low, row.ci_high) == (own.ci_low, own.ci_high)
    few = association.subset(CLASSES[:3])  # of labels that name few of the classes: all else is as without them
    write_rdms(experiment.folder / "rdms" / "association.parquet", {"association": few})
    left = set(yardsticks(experiment, "fc7").model)
    assert {"category", "look"} <= left and "association" not in left


def test_yardsticks_read_what_notebook_03_found_of_held_out_classes(experiment):  # noqa: F811
    rows = {"network": "augment", "lag_s": 0.0, "seed": 0, "layer": "fc7", "condition": ["intact", "grey"]}
    rows |= {"measure": "category_readout", "accuracy": [0.4, 0.3], "ci_low": 0.2, "ci_high": 0.5, "classes": 20}
    file = experiment.folder / "rdms" / "augment" / "seed-0_category_readout.csv"
    pd.DataFrame(rows).to_csv(file, index=False)
    pd.DataFrame(rows).head(0).to_csv(str(file).replace("seed-0", "seed-1"), index=False)  # no categories
    found = yardsticks(experiment, "fc7").query("measure == 'category_readout'")
    assert found[["network", "model", "value", "classes"]].values.tolist() == [["augment", "category", 0.4, 20]]
    assert yardsticks(experiment, "conv5").query("measure == 'category_readout'").empty


@pytest.mark.parametrize("real", [False, True])
def test_an_embedding_of_judgements_is_one_model_more(experiment, tmp_path, real):  # noqa: F811
    """Through model_files: in tests and by yardsticks, of the classes that it has; SPoSE where it is at hand."""
    file = SPOSE
    if real and not file.is_file():
        pytest.skip(f"{file} is not there")
    if not real:
        file, rng = tmp_path / "words.csv", np.random.default_rng(2)
        kinds = pd.get_dummies(WORLD.category).to_numpy(dtype=float)
        words = pd.DataFrame(3 * kinds + rng.random((24, kinds.shape[1])), WORLD.wnid).add_prefix("d")
        words.insert(0, "noun", "a word")
        words[:-3].to_csv(file)
    given = with_settings(experiment, models=["category", "spose"], model_files={"spose": str(file)}, controls=["look"])
    known = [one for one in CLASSES if one in read_matrix(file).classes]
    assert len(known) == 21 if not real else len(known) >= 8
    with pytest.warns(UserWarning, match=f"{24 - len(known)} of 24 classes are not in the model spose"):
        tests, table = lag_curve(given, layers=["fc7"]), yardsticks(given, "fc7")
    rows = tests[tests.model == "spose"].set_index(["network", "seed"])
    assert (rows.classes == len(known)).all() and rows.ci_low.notna().all()
    assert (table.classes == len(known)).all() and {"cka", "share"} == set(table.measure)
    spose = read_matrix(file).subset(known)
    kind = category_rdm(known, experiment.folder / "world" / "classes.csv")
    assert np.corrcoef(spose.values, kind.values)[0, 1] > 0.3  # people judge things of one kind alike
    assert rows.mantel_r["semantic_60s"].min() > rows.mantel_r["augment"].max()
