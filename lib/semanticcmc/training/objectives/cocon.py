"""Cooperative contrast: views of one film, an encoder each, learn from what the others find alike."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Annotated, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from semanticcmc.config import DISTINCT, SOME, NotNegative, Positive, Section, Several
from semanticcmc.training.networks import AlexNet, Encoder, NetworksConfig
from semanticcmc.training.objectives.base import Objective, all_samples, seeded
from semanticcmc.training.objectives.order import Course
from semanticcmc.training.pairings import Draw, Fixed
from semanticcmc.training.views import View


@dataclasses.dataclass(frozen=True)
class CoConConfig(Section):
    """Views beside the picture, blocks of a clip, weights of the three losses (0: off), and how they are measured.

    `both_sides` divides prediction and target by the temperature T, as the authors' code does (cos / T^2), not once.
    """

    views: Annotated[tuple[Literal["flow", "segmentation", "pose"], ...], SOME, DISTINCT]
    blocks: Several
    temperature: Positive
    both_sides: bool
    cpc: NotNegative
    sim: NotNegative
    sync: NotNegative
    sync_distance: Literal["absolute", "squared"]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.cpc + self.sim + self.sync:
            raise ValueError("cpc, sim, sync: all 0; give one of them a weight")

    @property
    def images(self) -> int:
        """Frames of a sample."""
        return self.blocks


class CoCon(Objective):
    r"""CoCon (Rai et al. 2021), with one frame as a block: the weighted sum of three losses.

    With the L2-normalised feature :math:`h_v^a` of view v of a block a (block k of clip i), over all of a batch,

    - cpc, summed over views: cross-entropy of :math:`\cos(W_k h^{i1}, h^{ik})` at the temperature among all blocks of
      all clips (as authors' code; their recurrent context is the first block here, and :math:`W_k` starts as identity);
    - sim, summed over pairs of views u, v, their D = 1 - cos, mu = 1, same and other blocks balanced:
      :math:`\tfrac12 \overline{1 - \cos(h_u^a, h_v^a)} + \tfrac12 \overline{\max(0, \cos(h_u^a, h_v^b))}_{a \ne b}`;
    - sync, over the same pairs: mean of
      :math:`|\cos(h_u^a, h_u^b) - \cos(h_v^a, h_v^b)|` (code), or squared (paper).

    Blocks are frames each a lag after the one before, crops and flips those of the clip. A batch has as many pictures
    as others; each other view is seen as often besides, by an encoder of its own that is not evaluated.
    """

    Config = CoConConfig
    config: CoConConfig

    def __init__(self, config: CoConConfig, encoder: Encoder, pairing: Fixed, seed: int) -> None:
        super().__init__(config, encoder, Course.run(pairing, config.blocks), seed)
        picture = [View(block, crop_of=0 if block else None) for block in range(config.blocks)]
        others = [
            View(block, distort=False, crop_of=0, kind=kind) for kind in config.views for block in range(config.blocks)
        ]
        self.views = (*picture, *others)
        plan: NetworksConfig = encoder.config  # type: ignore[assignment]
        self.others = nn.ModuleList(seeded(seed + 1 + i, lambda: AlexNet(plan)) for i in range(len(config.views)))
        size = plan.embedding_dim
        self.predictors = nn.Parameter(torch.eye(size).repeat(1 + len(config.views), config.blocks - 1, 1, 1))
        self.uses_whole_encoder = config.cpc > 0  # else the predictors have no part in the loss
        self.parts: dict[str, Tensor] = {}

    @property
    def images(self) -> int:
        return self.config.blocks

    def forward(self, images: tuple[Tensor, ...], draw: Draw) -> Tensor:
        blocks, features = self.config.blocks, []
        for i, encoder in enumerate([self.encoder, *self.others]):
            with self.precision(images[0]):
                flat = encoder(torch.cat(images[i * blocks : (i + 1) * blocks])).float()
            features.append(flat.unflatten(0, (blocks, -1)).transpose(0, 1))
        _, *features = all_samples(draw, *features)
        return self.loss(torch.stack(features))

    def loss(self, features: Tensor) -> Tensor:
        """Loss of L2-normalised features (views, B, blocks, d)."""
        pairs = list(itertools.combinations(features.flatten(1, 2), 2))
        terms = {
            "cpc": lambda: [self.predicted(*one) for one in zip(features, self.predictors, strict=True)],
            "sim": lambda: [similar(*pair) for pair in pairs],
            "sync": lambda: [synchronous(*pair, self.config.sync_distance == "squared") for pair in pairs],
        }
        weights = {name: getattr(self.config, name) for name in terms}
        values = {name: torch.stack(term()).sum() for name, term in terms.items() if weights[name]}
        self.parts = {name: value.detach() for name, value in values.items()}
        return torch.stack([weights[name] * value for name, value in values.items()]).sum()

    def predicted(self, features: Tensor, predictors: Tensor) -> Tensor:
        """Cpc of one view's features (B, blocks, d): the first block tells each later one."""
        scale = self.config.temperature ** (2 if self.config.both_sides else 1)
        foretold = functional.normalize(torch.einsum("kde,ie->ikd", predictors, features[:, 0]), dim=2)
        scores = foretold.flatten(0, 1) @ features.flatten(0, 1).T / scale
        own = torch.arange(scores.shape[1], device=scores.device).view(len(features), -1)[:, 1:]
        return functional.cross_entropy(scores, own.flatten())

    def measures(self) -> dict[str, float]:
        return {name: value.item() for name, value in self.parts.items()}


def similar(first: Tensor, second: Tensor) -> Tensor:
    """L_sim of the same blocks in two views, (N, d) each."""
    cosine = first @ second.T
    other = ~torch.eye(len(first), dtype=torch.bool, device=first.device)
    return (1 - cosine.diagonal()).mean() / 2 + cosine[other].clamp(min=0).mean() / 2


def synchronous(first: Tensor, second: Tensor, squared: bool) -> Tensor:
    """L_sync of the same blocks in two views, (N, d) each."""
    difference = first @ first.T - second @ second.T
    return difference.square().mean() if squared else difference.abs().mean()
