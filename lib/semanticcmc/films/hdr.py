"""High dynamic range to the standard one: PQ and HLG pictures of BT.2100 brought to BT.709 by a stated formula.

1. The signal becomes light: ITU-R BT.2100, PQ by its EOTF, HLG by its inverse OETF and the OOTF of a display
   of 1,000 cd/m2 (system gamma 1.2).
2. BT.2020 primaries become BT.709 primaries (ITU-R BT.2407, section 2); what lies outside is clipped.
3. Highlights are rolled off by the EETF of ITU-R BT.2390 (section 5.4.1) from 1,000 to 203 cd/m2, the level of
   diffuse white in BT.2408, applied to the greatest of R, G and B, so that hues stay.
4. Light becomes signal by the inverse of BT.1886 (gamma 2.4), 203 cd/m2 being white.
"""

from __future__ import annotations

import functools

import numpy as np

TRANSFERS = {16: "pq", 18: "hlg"}  # AVColorTransferCharacteristic
PEAK_NITS, WHITE_NITS = 1000.0, 203.0
_M1, _M2, _C1, _C2, _C3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
_LUMINANCE = np.array([0.2627, 0.6780, 0.0593])  # of BT.2020 primaries
_TO_BT709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])


def pq_to_nits(signal: np.ndarray) -> np.ndarray:
    """Luminance in cd/m2 of a PQ signal in 0 to 1 (BT.2100, table 4)."""
    root = np.power(signal, 1 / _M2)
    return 10_000 * np.power(np.maximum(root - _C1, 0) / (_C2 - _C3 * root), 1 / _M1)


def nits_to_pq(nits: np.ndarray) -> np.ndarray:
    """PQ signal in 0 to 1 of a luminance in cd/m2: the inverse of `pq_to_nits`."""
    root = np.power(np.maximum(nits, 0) / 10_000, _M1)
    return np.power((_C1 + _C2 * root) / (1 + _C3 * root), _M2)


def hlg_to_scene(signal: np.ndarray) -> np.ndarray:
    """Scene light in 0 to 1 of an HLG signal in 0 to 1 (BT.2100, table 5)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)


def hlg_to_nits(signal: np.ndarray) -> np.ndarray:
    """Light in cd/m2, (..., 3), of an HLG signal (..., 3) on a display of `PEAK_NITS` (system gamma 1.2)."""
    scene = hlg_to_scene(signal)
    return PEAK_NITS * np.power(np.maximum(scene @ _LUMINANCE, 1e-12), 0.2)[..., None] * scene


def roll_off(nits: np.ndarray) -> np.ndarray:
    """Luminance on a display of `WHITE_NITS` for one of at most `PEAK_NITS` (BT.2390, section 5.4.1)."""
    peak = nits_to_pq(np.array(PEAK_NITS))
    white = nits_to_pq(np.array(WHITE_NITS)) / peak
    knee = 1.5 * white - 0.5
    signal = np.minimum(nits_to_pq(nits) / peak, 1)
    t = np.maximum(signal - knee, 0) / (1 - knee)
    hermite = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * white
    return pq_to_nits(np.where(signal < knee, signal, hermite) * peak)


@functools.cache
def _pq_table() -> np.ndarray:
    """Light of every 16-bit PQ signal, cd/m2."""
    return pq_to_nits(np.arange(65536) / 65535)


def to_sdr(image: np.ndarray, transfer: str) -> np.ndarray:
    """An HDR picture as a standard one.

    Parameters
    ----------
    image : uint16 array (height, width, 3)
        R'G'B' of BT.2020, full range.
    transfer : str
        ``pq`` or ``hlg``.

    Returns
    -------
    uint8 array (height, width, 3)
        R'G'B' of BT.709, full range.
    """
    nits = _pq_table()[image] if transfer == "pq" else hlg_to_nits(image / 65535)
    nits = np.maximum(nits @ _TO_BT709.T, 0)
    greatest = nits.max(axis=2, keepdims=True)
    nits *= roll_off(greatest) / np.maximum(greatest, 1e-6)
    return np.rint(255 * np.power(np.clip(nits / WHITE_NITS, 0, 1), 1 / 2.4)).astype(np.uint8)
