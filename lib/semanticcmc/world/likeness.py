"""How alike the two set-ups of one place look: what the truth of a film's looks needs besides its timeline."""

from __future__ import annotations

import numpy as np
import pandas as pd

from semanticcmc.world.timeline import SETUPS


def setups_of_a_place(index: pd.DataFrame, vectors: np.ndarray, shots: pd.DataFrame) -> float:
    """Likeness of a beat's two-shot and its close-up, above the film's base rate, over all such pairs of frames.

    A picture that comes back is its own likeness, 1; but at lags of a shot or two the other set-up of the same place is
    in view, and shows some of the same. With this value c, looks a lag apart should be alike by
    ``P(same set-up) + c (P(same beat) - P(same set-up))``, if frames of a set-up were all alike.

    Parameters
    ----------
    index : DataFrame
        `movie_id, time_s`, one row a frame.
    vectors : array (N, d)
        Pictures, brought to mean 0 and length 1.
    shots : DataFrame
        `world/shots.parquet`: `movie_id, start_s, stop_s, beat, setup`.
    """
    product = pairs = own = 0.0
    for movie_id, rows in index.groupby("movie_id").indices.items():
        film = shots[shots["movie_id"] == movie_id].sort_values("start_s")
        shot = np.searchsorted(film["start_s"].to_numpy(), index["time_s"].to_numpy()[rows], side="right") - 1
        beat = film["beat"].to_numpy()[shot]
        setup = pd.Index(SETUPS).get_indexer(pd.Index(film["setup"]))[shot]
        frames = np.asarray(vectors[rows], dtype=np.float64)
        sums = np.zeros((2, beat.max() + 1, frames.shape[1]))
        counts = np.zeros((2, beat.max() + 1))
        np.add.at(sums, (setup, beat), frames)
        np.add.at(counts, (setup, beat), 1)
        product += (sums[0] * sums[1]).sum()
        pairs += counts[0] @ counts[1]
        own += len(rows) * (frames.mean(axis=0) ** 2).sum()
    base = own / len(index)
    return float((product / pairs - base) / (1 - base))
