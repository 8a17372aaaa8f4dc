"""A frame store of the poster's size, its index alone: 100 films, 573,000 frames."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from semanticcmc.films.files import COLUMNS
from semanticcmc.films.pairs import lagged_pairs
from semanticcmc.films.store import FrameStore

FILMS, SECONDS = 100, 5_730
LAGS_S = (1.0, 10.0, 30.0, 60.0, 300.0)  # as published


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Films of 3,730 to 7,730 s at one frame a second; every 1,000th second of each is missing."""
    folder = tmp_path_factory.mktemp("store")
    lengths = np.linspace(SECONDS - 2_000, SECONDS + 2_000, FILMS).astype(int)
    time_s = np.concatenate([np.arange(length) for length in lengths])
    film = np.repeat(np.arange(FILMS), lengths)
    kept = time_s % 1_000 != 999
    time_s, film = time_s[kept], film[kept]
    numbers = np.arange(len(time_s))
    columns = {
        "movie_id": [f"film_{i:03d}" for i in film],
        "time_s": time_s,
        "pts_s": time_s,
        "frame_index": numbers,
        "offset": numbers * 20_000,
        "nbytes": np.full(len(film), 20_000),
        "width": np.full(len(film), 455),
        "height": np.full(len(film), 256),
        "crc32": np.zeros(len(film)),
    }
    table = pa.table({name: pa.array(columns[name], kind) for name, kind in COLUMNS.items()})
    pq.write_table(table, folder / "index.parquet")
    return FrameStore(folder), lengths, pd.DataFrame({"film": film, "time_s": time_s})


def test_the_index_holds_every_film(store):
    """Films, frames and their seconds are those that were written."""
    frames, lengths, index = store
    assert len(frames.movies) == FILMS
    assert len(frames) == len(index) == sum(lengths) - sum(length // 1_000 for length in lengths)
    np.testing.assert_array_equal(frames.times("film_042"), index.time_s[index.film == 42])


@pytest.mark.parametrize("lag_s", LAGS_S)
def test_pairs_at_every_published_lag(store, lag_s):
    """First frames are those with a partner at the lag and at the longest, counted from the gaps alone."""
    frames, lengths, index = store
    pairs, generator = lagged_pairs(frames.index, lag_s, max(LAGS_S)), torch.Generator().manual_seed(0)
    expected = 0
    for length in lengths:
        there = np.arange(length) % 1_000 != 999
        first = np.flatnonzero(there[: length - int(max(LAGS_S))])
        expected += (there[first + int(lag_s)] & there[first + int(max(LAGS_S))]).sum()
    assert len(pairs) == expected
    rows = pairs.first_frames(20_000, generator)
    first, second = (index.iloc[some.numpy()] for some in (rows, pairs.partner(rows, pairs.lags(20_000, generator))))
    assert (first.film.to_numpy() == second.film.to_numpy()).all()
    np.testing.assert_array_equal(second.time_s.to_numpy() - first.time_s.to_numpy(), lag_s)
