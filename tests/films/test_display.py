"""Anchors of the HDR formulas that their recommendations print."""

import numpy as np
import pytest

from semanticcmc.films.display import hlg_to_nits, nits_to_pq, pq_to_nits, roll_off, to_sdr


@pytest.mark.parametrize("signal, nits", [(0.0, 0), (0.38, 26), (0.51, 100), (0.58, 203), (0.75, 1000), (1, 10_000)])
def test_pq_levels_of_bt_2408(signal, nits):
    """ITU-R BT.2408, table 1, prints the levels in whole per cent."""
    assert nits_to_pq(np.array(float(nits))) == pytest.approx(signal, abs=0.006)
    assert nits_to_pq(pq_to_nits(np.array(signal))) == pytest.approx(signal, abs=1e-6)


@pytest.mark.parametrize("signal, nits", [(0.75, 203), (1.0, 1000), (0.38, 26)])
def test_hlg_levels_of_bt_2408(signal, nits):
    """On a display of 1,000 cd/m2: diffuse white, peak, an 18 % grey card."""
    assert hlg_to_nits(np.full(3, signal)) == pytest.approx(np.full(3, nits), rel=0.06)


def test_roll_off_keeps_shadows_rises_and_ends_at_white():
    nits = np.linspace(0, 1000, 2001)
    rolled = roll_off(nits)
    np.testing.assert_allclose(rolled[nits < 80], nits[nits < 80], rtol=1e-6)
    assert np.all(np.diff(rolled) > 0) and np.all(rolled <= nits + 1e-6)
    assert rolled[-1] == pytest.approx(203, rel=1e-6)


def test_black_is_black_and_a_primary_outside_bt_709_is_clipped():
    image = np.zeros((1, 2, 3), np.uint16)
    image[0, 1] = round(0.5 * 65535), 0, 0  # the red of BT.2020, at the luminance of a middle grey
    found = to_sdr(image, "pq")
    assert found[0, 0].tolist() == [0, 0, 0]
    assert found[0, 1, 0] > 150 and found[0, 1, 1:].tolist() == [0, 0]
