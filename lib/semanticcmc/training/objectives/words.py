"""Words: a frame finds, among those of the batch, the labels seen at its moment or a lag later."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from semanticcmc.config import Count, InputError, Positive, Section
from semanticcmc.training.moments import labels_of_frames
from semanticcmc.training.networks import Encoder
from semanticcmc.training.objectives.base import Objective, all_samples, seeded
from semanticcmc.training.pairings import Draw, Fixed
from semanticcmc.training.views import View


@dataclasses.dataclass(frozen=True)
class WordsConfig(Section):
    """Temperature, label sets that are positives of a frame (published: 5), and hidden units of the words' tower."""

    temperature: Positive
    nearest: Count
    hidden_units: Count

    @property
    def images(self) -> int:
        """Frames of a sample."""
        return 1


class Words(Objective):
    r"""MIL-NCE (Miech et al. 2020) of frames x and the sets of labels y seen at a lag, each by a tower of its own.

    With :math:`s_{ij}^k = f(x_i) \cdot g(y_j^k) / T` for the k-th of the label sets of sample j, those of the frames
    nearest in time to the one a lag after :math:`x_j`, the loss is the mean over samples i of

    .. math:: -\log\frac{\sum_k e^{s_{ii}^k}}
              {\sum_k e^{s_{ii}^k} + \sum_{j \ne i} \sum_k (e^{s_{ij}^k} + e^{s_{ji}^k})}.

    f is the encoder; g adds up a vector a label (ReLU, linear, L2-normalised). Only the frame is an image that is seen,
    so that a batch has twice as many samples as one of pairs. Labels are those of ``labels/`` of the experiment.
    """

    Config = WordsConfig
    config: WordsConfig
    views = (View(0),)
    known: Tensor

    def __init__(self, config: WordsConfig, encoder: Encoder, pairing: Fixed, seed: int) -> None:
        super().__init__(config, encoder, pairing, seed)
        known, names = labels_of_frames(pairing.index, pairing.folder)
        self.register_buffer("known", known, persistent=False)
        least = int(torch.bincount(pairing.pairs.film).min())
        if config.nearest > least:
            raise InputError(f"nearest {config.nearest}: a film has {least} frames; take fewer")
        size: int = encoder.config.embedding_dim  # type: ignore[union-attr, assignment]

        def tower() -> nn.Module:
            bag = nn.EmbeddingBag(len(names) + 1, config.hidden_units, mode="sum", padding_idx=len(names))
            return nn.Sequential(bag, nn.ReLU(True), nn.Linear(config.hidden_units, size))

        self.tower = seeded(seed, tower)

    @classmethod
    def chance(cls, config: WordsConfig, samples: int) -> float | None:
        return math.log(2 * samples - 1)

    def draw(self, n: int, generator: torch.Generator) -> Draw:
        """A frame and the one a lag later a sample; targets are the rows of the frames nearest to the latter."""
        draw, k, film = super().draw(n, generator), self.config.nearest, self.pairing.pairs.film
        begin, end = (torch.searchsorted(film, draw.film, right=right) for right in (False, True))
        first = (draw.rows[:, -1] - k // 2).clamp(begin, end - k)
        return draw._replace(targets=first[:, None] + torch.arange(k))

    def forward(self, images: tuple[Tensor, ...], draw: Draw) -> Tensor:
        sets = self.known[draw.targets]  # (b, k, labels)
        words = functional.normalize(self.tower(sets.flatten(0, 1)), dim=1).unflatten(0, sets.shape[:2])
        draw, frames, words = all_samples(draw, *self.embed(*images), words)
        return self.loss(frames, words)

    def loss(self, frames: Tensor, words: Tensor) -> Tensor:
        """Loss, in nats, of the embeddings of frames (B, d) and of their label sets (B, k, d)."""
        scores = torch.einsum("id,jkd->ijk", frames, words) / self.config.temperature
        own = torch.eye(len(frames), dtype=torch.bool, device=frames.device)[:, :, None]
        of_others = scores.transpose(0, 1).masked_fill(own, -torch.inf)  # other frames with the own label sets
        everything = torch.cat((scores, of_others), dim=1).flatten(1)
        return (everything.logsumexp(dim=1) - scores.diagonal().T.logsumexp(dim=1)).mean()
