"""Draws and pairings of hand-made embeddings, for the tests of objectives."""

import types

import torch

from semanticcmc.training.pairings import Draw


def drawn(first, film, lag=1, targets=None):
    """The draw of samples whose first frames are the rows `first`, partners `lag` rows later, times as rows."""
    rows = torch.stack((first, first + lag), dim=1)
    nothing = torch.empty(len(rows), 0, dtype=torch.int64)
    return Draw(rows, film, rows.double(), nothing if targets is None else targets)


def no_pairing(**attributes):
    """A pairing of which an objective asks nothing but these attributes."""
    return types.SimpleNamespace(soft=False, frames=2, lag_s=0.0, **attributes)
