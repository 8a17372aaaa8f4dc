"""The statistics of the study of kind and company, against scipy and by hand."""

import importlib

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.linear_model import LinearRegression

from semanticcmc.config import package_table
from semanticcmc.rsa.rdm import RDM, read_rdms, write_rdms


@pytest.fixture
def study():
    return importlib.import_module("validation.kind_or_company")


def test_the_world_is_the_unit_of_the_interval(study):
    values = np.array([0.1, 0.3, 0.2, 0.25])
    found = study.mean_over_worlds(pd.Series(values, pd.Index(range(4), name="world")))
    truth = stats.ttest_1samp(values, 0)
    interval = truth.confidence_interval(0.95)
    assert tuple(found[["mean", "low", "high", "p"]]) == pytest.approx((0.2125, *interval, truth.pvalue))
    # Two more networks of one world make it no better known: they are averaged first.
    repeated = pd.Series([0.0, 0.2, *values[1:]], pd.Index([0, 0, 1, 2, 3], name="world"))
    again = study.mean_over_worlds(repeated)
    assert tuple(again[["mean", "low", "high"]]) == pytest.approx(tuple(found[["mean", "low", "high"]]))
    assert (again["worlds"], again["networks"]) == (4, 5)
    alone = study.mean_over_worlds(pd.Series([0.1], pd.Index([0], name="world")))
    assert alone["mean"] == 0.1 and alone[["low", "high", "p"]].isna().all()


def test_the_slope_over_the_mix_is_a_line_within_each_world(study):
    rows = [
        {"kind": kind, "world": world, "lag_s": 60, "seed": 0, "model": "category", "control": "look", "pairs": "all"}
        | {"r": 0.3 - (0.2 + 0.1 * world) * share}
        for world in range(3)
        for kind, share in study.MIX.items()
    ]
    rows += [rows[0] | {"world": 3}, rows[0] | {"world": 3, "kind": "crossed", "r": 9.0}]  # two points are no line
    found = study.summarise(pd.DataFrame(rows)).query("kind == 'slope over the mix'").iloc[0]
    assert found["worlds"] == 3 and found["mean"] == pytest.approx(-0.3)
    assert (found["low"], found["high"]) == pytest.approx(stats.t.interval(0.95, 2, -0.3, 0.1 / np.sqrt(3)))


def test_what_controls_leave_does_not_correlate_with_them(study):
    rng = np.random.default_rng(0)
    design = np.vstack([np.ones(40), rng.random((2, 40))])
    left = study.left_over(rng.random(40), design)
    np.testing.assert_allclose(design @ left, 0, atol=1e-10)


def test_every_part_names_worlds_that_can_be_drawn(study):
    jobs = [job for part in study.PARTS.values() for job in part]
    assert len(set(jobs)) == len(jobs)
    for kind, world, *_ in set(jobs):
        config = study.world_config(kind, world)
        assert config.seed == world and config.theme_relatedness == 0
        by = {"mixed_0": "category", "unfilmed": "category"}
        assert config.theme_by == by.get(kind, kind.removesuffix(kind[5:]) if "mixed" in kind else kind)
        assert (config.unfilmed > 0) == (config.appearance_semantics > 0) == (kind == "unfilmed")


def test_transfer_is_tested_among_the_classes_that_no_film_shows(study, tmp_path, monkeypatch):
    """Against regressions of scikit-learn, on the pairs of the last two classes of each category alone."""
    monkeypatch.setattr(study, "FOLDER", tmp_path)
    monkeypatch.setattr(study, "TEST", study.TEST | {"permutations": 99})
    wnids, rng = tuple(pd.read_csv(package_table("world_classes.csv"), comment="#").wnid), np.random.default_rng(0)
    first, second = np.triu_indices(48, 1)
    category = (first // 6 != second // 6).astype(float)
    values = {"look": rng.random(1128) + category / 4, "category": category, "lch": rng.random(1128) + category}
    values |= {f"random {k}": values["look"] + rng.random(1128) for k in range(study.UNTRAINED)}
    write_rdms(tmp_path / "unfilmed_3" / "models.parquet", {name: RDM(one, wnids) for name, one in values.items()})
    for lag in ("60s", "1s"):
        learned = category * (first % 6 > 3) * (second % 6 > 3) + values["look"] + rng.random(1128)
        write_rdms(study.FOLDER / "rdms" / f"unfilmed_3_{lag}_0.parquet", {"fc7": RDM(learned, wnids)})
    rows = pd.DataFrame(study.rows_of(tmp_path / "rdms" / "unfilmed_3_60s_0.parquet"))
    assert set(rows.pairs) == {"all", "unfilmed"} and set(rows.control) > {"look + random", "1s", "look + 1s"}
    some = (first % 6 > 3) & (second % 6 > 3)
    random = np.mean([values[f"random {k}"] for k in range(study.UNTRAINED)], axis=0)
    network = read_rdms(tmp_path / "rdms" / "unfilmed_3_60s_0.parquet")["fc7"].values
    design = np.column_stack([values["look"], random])[some]
    left = [one[some] - LinearRegression().fit(design, one[some]).predict(design) for one in (network, category)]
    one = rows.query("pairs == 'unfilmed' and model == 'category' and control == 'look + random'").iloc[0]
    assert one.n_pairs == 16 * 15 / 2 and one.r == pytest.approx(np.corrcoef(*left)[0, 1])
    every = rows.query("pairs == 'all' and model == 'category' and control == 'look + random'").iloc[0]
    assert every.n_pairs == 1128 and every.p <= 1


def test_variances_are_those_of_an_analysis_of_variance_and_their_intervals_cover_the_truth(study):
    rng, worlds = np.random.default_rng(1), np.repeat(range(6), 3)
    inside = {name: [] for name in ("variance between worlds", "variance between networks of a world")}
    inside["share of variance between worlds"] = []
    for _ in range(300):
        r = 0.2 + 0.3 * rng.standard_normal(6)[worlds] + 0.2 * rng.standard_normal(18)
        found = study.variances(pd.Series(r, pd.Index(worlds, name="world"))).set_index("kind")
        for name, truth in zip(inside, (0.09, 0.04, 0.09 / 0.13), strict=True):
            inside[name].append(found.low[name] <= truth <= found.high[name])
    assert all(np.mean(held) == pytest.approx(0.95, abs=0.035) for held in inside.values()), inside
    between, within, _ = (found["mean"][name] for name in inside)
    assert (3 * between + within) / within == pytest.approx(stats.f_oneway(*r.reshape(6, 3)).statistic)
    assert study.variances(pd.Series([0.1, 0.2], pd.Index([0, 1], name="world"))).empty
