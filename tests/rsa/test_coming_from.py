"""The code of site/coming_from.qmd on several subjects runs, and finds what was put in."""

import re

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import pearsonr

from semanticcmc.rsa.rdm import RDM
from tests.conftest import ROOT

NAMES = tuple(f"c{number}" for number in range(24))


@pytest.fixture(scope="module")
def code():
    """The page's code on units, as text."""
    text = (ROOT / "site" / "coming_from.qmd").read_text(encoding="utf-8")
    [found] = [one for one in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL) if "Units" in one]
    return found


def subjects(rng, model, share, count=8):
    """RDMs that hold so much of a model, and noise of each subject's own."""
    return [RDM(share * model.values + rng.standard_normal(len(model.values)), NAMES) for _ in range(count)]


def test_a_ceiling_is_above_chance_where_subjects_share_something_and_groups_differ_where_they_do(code):
    rng = np.random.default_rng(0)
    words = RDM(pdist(rng.standard_normal((24, 5))), NAMES)
    given = {"group": subjects(rng, words, 1.0), "controls": subjects(rng, words, 0.2), "words": words}
    exec(code, given)
    assert given["ceiling"].p("greater") < 0.001 and given["ceiling"].interval()[0] > 0
    means = [np.mean([pearsonr(one.values, words.values)[0] for one in given[name]]) for name in ("group", "controls")]
    assert (given["first"].value, given["second"].value) == pytest.approx(means, abs=1e-12)
    table = given["compare"]({name: given["mean_of"](given[name]) for name in ("group", "controls")}, {"words": words})
    assert table.difference[0] > 0 and table.p[0] < 0.05


def test_a_ceiling_of_noise_is_at_chance(code):
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        words = RDM(pdist(rng.standard_normal((24, 5))), NAMES)
        given = {"group": subjects(rng, words, 0.0), "controls": subjects(rng, words, 0.0), "words": words}
        exec(code, given)
        found.append(given["ceiling"].p("greater") < 0.05)
    assert np.mean(found) <= 0.25
