"""Cross-modal clusters: a frame tells into which cluster another view of it falls, now or a lag later."""

from __future__ import annotations

import dataclasses
from typing import Literal

import torch
from sklearn.cluster import KMeans
from torch import Tensor, nn
from torch.nn import functional

from semanticcmc.config import Section, Several
from semanticcmc.films.sound import Sounds
from semanticcmc.films.store import FrameStore
from semanticcmc.training.networks import Encoder
from semanticcmc.training.objectives.base import OneFrame, all_samples, seeded
from semanticcmc.training.objectives.sound import log_mel
from semanticcmc.training.pairings import Draw, Fixed

SIDE = 8  # a view's features are its pictures at so many pixels a side
SECONDS, BANDS = 1.0, 40  # of sound
AT_ONCE = 2048


@dataclasses.dataclass(frozen=True)
class CrossModalClustersConfig(Section):
    """The view whose clusters are the labels (sound: as published), and their number."""

    view: Literal["flow", "segmentation", "pose", "sound"]
    clusters: Several

    @property
    def images(self) -> int:
        """Frames of a sample."""
        return 1


class CrossModalClusters(OneFrame):
    """XDC (Alwassel et al. 2020), its first round: the cross-entropy of the cluster of another view.

    Before the first step the pictures of the view, at `SIDE` pixels a side, or mean spectra of a second of sound are
    put into clusters by k-means; the head is linear over fc7 of the frame, the label that of the frame a lag later
    (without a lag: of the frame itself). The published method trains an encoder of the other view as well and clusters
    its features anew after each round.
    """

    Config = CrossModalClustersConfig
    config: CrossModalClustersConfig
    clusters: Tensor

    def __init__(self, config: CrossModalClustersConfig, encoder: Encoder, pairing: Fixed, seed: int) -> None:
        super().__init__(config, encoder, pairing, seed)
        folder = pairing.folder / "frames"
        self.store = Sounds(folder, pairing.index) if config.view == "sound" else FrameStore(folder, config.view)
        self.register_buffer("clusters", torch.zeros(len(pairing.index), dtype=torch.int64))
        units = self.units("fc7")
        self.head = seeded(seed, lambda: nn.Linear(units, config.clusters))
        self.right = torch.zeros(())

    def start(self) -> None:
        """Find the clusters; they are part of the checkpoint."""
        parts = torch.arange(len(self.clusters)).split(AT_ONCE)
        features = torch.cat([features_of(self.store, rows) for rows in parts])
        found = KMeans(self.config.clusters, n_init=1, random_state=self.seed).fit_predict(features.numpy())
        self.clusters.copy_(torch.from_numpy(found))

    def draw(self, n: int, generator: torch.Generator) -> Draw:
        """A frame a sample; the target is the row of the frame whose cluster is its label."""
        draw = super().draw(n, generator)
        return draw._replace(targets=draw.rows[:, -1:])

    def forward(self, images: tuple[Tensor, ...], draw: Draw) -> Tensor:
        (features,) = self.activations(images[0], "fc7")
        draw, scores = all_samples(draw, self.head(features))
        labels = self.clusters[draw.targets[:, 0]]
        self.right = (scores.detach().argmax(dim=1) == labels).float().mean()
        return functional.cross_entropy(scores, labels)

    def measures(self) -> dict[str, float]:
        return {"right": self.right.item()}


def features_of(store: FrameStore | Sounds, rows: Tensor) -> Tensor:
    """What clusters are made of, float32 (n, features): small pictures, or the mean log power in mel bands."""
    if isinstance(store, Sounds):
        return log_mel(store.around(rows, SECONDS), BANDS).mean(dim=2)
    return functional.adaptive_avg_pool2d(store.read_rows(rows, (64, 64)).float(), SIDE).flatten(1)
