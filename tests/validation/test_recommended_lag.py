"""The regret of rules that name a lag, and its interval over worlds, against closed forms and scipy."""

import importlib

import numpy as np
import pandas as pd
import pytest
from scipy import stats


@pytest.fixture
def study():
    return importlib.import_module("validation.recommended_lag")


def test_the_regret_of_a_line_is_what_the_line_says(study):
    """A smoothing spline leaves a straight line as it is; lags beyond those trained count as the last one."""
    lags_s = np.array(study.LAGS_S)
    curve = pd.DataFrame({"lag_s": lags_s, "r": 0.3 - 0.04 * np.log(lags_s)})
    for smooth in study.PENALTIES.values():
        for lag_s in (1, 20.0, 810):
            assert study.regret(curve, lag_s, smooth) == pytest.approx(0.04 * np.log(lag_s), abs=1e-6)
        assert study.regret(curve, np.inf, smooth) == pytest.approx(0.04 * np.log(810), abs=1e-6)


def test_without_smoothing_the_regret_is_that_of_the_network_at_the_lag(study):
    curve = pd.DataFrame({"lag_s": [1, 22.0, 90, 810], "r": [0.1, 0.4, 0.5, -0.1]})
    assert study.regret_as_trained(curve, 22) == pytest.approx(0.1)
    assert study.regret_as_trained(curve, 90) == 0
    assert study.regret_as_trained(curve, np.inf) == pytest.approx(0.6)  # no lag named: the longest one


def test_rules_are_compared_world_by_world(study):
    rows = [
        {"world": world, "rule": rule, "regret": regret}
        for rule, regrets in {"first": [0.1, 0.3, 0.2], "second": [0.0, 0.1, 0.15]}.items()
        for world, regret in enumerate(regrets)
    ]
    found = study.summarise(pd.DataFrame(rows), "regret").set_index(["than", "rule"])
    truth = stats.ttest_rel([0.0, 0.1, 0.15], [0.1, 0.3, 0.2])
    wanted = (-0.35 / 3, *truth.confidence_interval(0.95), truth.pvalue)
    assert tuple(found.loc[("first", "second"), ["mean", "low", "high", "p"]]) == pytest.approx(wanted)
    assert found.loc[("", "first"), "mean"] == pytest.approx(0.2)
