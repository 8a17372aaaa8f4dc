"""The likeness of the two set-ups of a place, in pictures made of a known share of the place."""

import numpy as np
import pandas as pd
import pytest

from semanticcmc.timescales.appearance import unit_vectors
from semanticcmc.world.likeness import setups_of_a_place


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_the_share_of_the_place_in_both_set_ups(share):
    """Every set-up shows its place with weight sqrt(share) and something of its own, before the film's picture."""
    generator = np.random.default_rng(0)
    shots, tables, pictures = [], [], []
    for movie_id in ("b", "a"):
        film = generator.normal(size=400)
        for beat in range(40):
            place = generator.normal(size=400)
            for setup, name in enumerate(("close-up", "two-shot")):
                start_s = 20 * beat + 10 * setup
                own = generator.normal(size=400)
                shots.append((movie_id, start_s, start_s + 10, beat, name))
                tables += [(movie_id, float(t)) for t in range(start_s, start_s + 10)]
                pictures += 10 * [np.sqrt(share) * place + np.sqrt(1 - share) * own + film]
    index = pd.DataFrame(tables, columns=["movie_id", "time_s"])
    shots = pd.DataFrame(shots, columns=["movie_id", "start_s", "stop_s", "beat", "setup"])
    shuffled = shots.sample(frac=1, random_state=0)
    assert setups_of_a_place(index, unit_vectors(np.array(pictures)), shuffled) == pytest.approx(share, abs=0.04)
