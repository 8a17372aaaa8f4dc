"""The statistics of the study of kind and company, against scipy and by hand."""

import importlib

import numpy as np
import pandas as pd
import pytest
from scipy import stats


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
        assert config.theme_by == {"mixed_0": "category"}.get(
            kind, kind.removesuffix(kind[5:]) if "mixed" in kind else kind
        )
