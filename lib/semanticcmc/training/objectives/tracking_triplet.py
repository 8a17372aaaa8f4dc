"""Tracking: the first and last patch of an object's track are nearer to each other than to others' patches."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from semanticcmc.config import Count, InputError, Positive, Section
from semanticcmc.training.networks import Encoder
from semanticcmc.training.objectives.base import Objective, all_samples, refuse_lag
from semanticcmc.training.pairings import Draw, Fixed
from semanticcmc.training.views import View

BOX = ["top", "left", "height", "width"]


@dataclasses.dataclass(frozen=True)
class TrackingTripletConfig(Section):
    """The margin (published: 0.5), and how many of the hardest negatives of each sample count (published: 4)."""

    margin: Positive
    hardest: Count


class TrackingTriplet(Objective):
    r"""The triplets of Wang & Gupta (2015): the mean over samples and their hardest negatives of

    .. math:: \max(0, D(x, x^+) - D(x, x^-) + m), \qquad D(x, y) = 1 - \cos(x, y).

    x and :math:`x^+` are the patches of one object at the first and the last frame of a shot that it is in, boxes and
    tracks exact as the world gives them (``world.other_views: [tracks]``), not tracked; negatives are the last patches
    of other samples of the batch, of which those nearest to x count. Tracks are drawn alike, whatever their length.
    The same object in another shot may be a negative, as published.
    """

    Config = TrackingTripletConfig
    config: TrackingTripletConfig
    views = (View(0, box=0), View(1, box=len(BOX)))

    def __init__(self, config: TrackingTripletConfig, encoder: Encoder, pairing: Fixed, seed: int) -> None:
        refuse_lag(pairing, "a track's first and last")
        super().__init__(config, encoder, pairing, seed)
        self.ends, self.boxes = tracks(pairing)

    @classmethod
    def chance(cls, config: TrackingTripletConfig, samples: int) -> float | None:
        """Of embeddings that are all the same."""
        return config.margin

    def draw(self, n: int, generator: torch.Generator) -> Draw:
        """First and last frame of a track a sample; the targets are the boxes of both."""
        track = torch.randint(len(self.ends), (n,), generator=generator)
        return self.pairing.at(self.ends[track])._replace(targets=self.boxes[track])

    def forward(self, images: tuple[Tensor, ...], draw: Draw) -> Tensor:
        draw, first, last = all_samples(draw, *self.embed(*images))
        return self.loss(first, last)

    def loss(self, first: Tensor, last: Tensor) -> Tensor:
        """Loss of the embeddings (B, d) of the first and last patch of each track."""
        distance = 1 - first @ last.T
        own = distance.diagonal()
        others = distance + torch.diag(torch.full_like(own, torch.inf))
        nearest = others.topk(min(self.config.hardest, len(first) - 1), largest=False).values
        return (own[:, None] - nearest + self.config.margin).clamp(min=0).mean()


def tracks(pairing: Fixed) -> tuple[Tensor, Tensor]:
    """Rows of the index (tracks, 2) of the first and last frame of each track, and the boxes (tracks, 8) there."""
    index = pairing.index[["movie_id", "time_s"]].assign(row=np.arange(len(pairing.index)))
    index["movie_id"] = index["movie_id"].astype(str)
    tables = []
    for movie_id in index["movie_id"].unique():
        file = pairing.folder / "world" / "tracks" / f"{movie_id}.parquet"
        if not file.exists():
            raise InputError(f"{file}: no tracks; a world writes them with world.other_views: [tracks]")
        tables.append(pd.read_parquet(file).assign(movie_id=movie_id))
    seen = pd.concat(tables).merge(index, on=["movie_id", "time_s"]).sort_values("row", kind="stable")
    of_track = seen.groupby(["movie_id", "shot", "object"], sort=True)
    first, last = of_track.head(1), of_track.tail(1)
    keys = ["movie_id", "shot", "object"]
    both = first.merge(last, on=keys, suffixes=("", "_last"))
    both = both[both["row"] < both["row_last"]]
    if both.empty:
        raise InputError(f"{pairing.folder / 'world' / 'tracks'}: no object is in two frames of one shot")
    boxes = both[[*BOX, *(f"{side}_last" for side in BOX)]].to_numpy(np.int64)
    return torch.from_numpy(both[["row", "row_last"]].to_numpy(np.int64)), torch.from_numpy(boxes)
