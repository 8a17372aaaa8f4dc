"""What every objective shares: its interface, the samples of all processes, and what embeddings are watched by.

An objective is a module that holds the encoder, in a file of its own, found by that file's name. Once a step it is
called as ``objective(images, draw)`` and gives a scalar loss. It is wrapped in DistributedDataParallel as a whole:
heads and encoder are trained alike, and the evaluated network is the encoder alone.

Under torchrun the batch is that of all processes together (`all_samples`): every process computes the loss of
all samples and returns the same value, and its gradient is scaled so that the mean over processes, which
DistributedDataParallel takes, is the gradient that one process would have had.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from itertools import combinations
from typing import Any, ClassVar, Literal, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional

from semanticcmc.config import InputError, Section
from semanticcmc.training.networks import Encoder, LabPair, Layered
from semanticcmc.training.pairings import Draw, Fixed
from semanticcmc.training.views import View

Negatives = Literal["all", "within_film", "cross_film"]
Module = TypeVar("Module", bound=nn.Module)


@dataclasses.dataclass(frozen=True)
class NoKeys(Section):
    """Of an objective without keys of its own."""


class Objective(nn.Module):
    """The encoder in training: what is drawn, which views, heads, loss. A subclass in a file is found by its name.

    Parameters
    ----------
    config : Section
        Instance of `Config`. Keys that the YAML gives none come from the section ``training`` (`recipe.SHARED`).
    encoder : AlexNet or LabPair
        What is evaluated in the end; its parameters and buffers are the checkpoint's ``network``.
    pairing : Fixed
        Which frames make a sample (`pairings`); knows the index of all frames and the experiment's folder.
    seed : int
        Of heads, banks and noise: `seeded`, or a generator of one's own.
    """

    Config: ClassVar[type[Section]] = NoKeys
    views: tuple[View, ...] = (View(),)
    encoder: Encoder
    unit_length = True  # of embeddings; False: fc8 as it is
    uses_whole_encoder = True  # False: fc8 or more has no part in the loss
    in_bfloat16 = False  # of the encoder's forward passes; set by the loop
    images_of: Callable[[Tensor], Tensor]  # evaluation views of rows of the index; set by the loop

    def __init__(self, config: Any, encoder: Encoder, pairing: Fixed, seed: int) -> None:
        super().__init__()
        self.encoder, self.config, self.pairing, self.seed = encoder, config, pairing, seed
        self.watched: tuple[Tensor, ...] = ()

    @property
    def images(self) -> int:
        """Images that the encoder sees of a sample: objectives see the same number a step."""
        return len(self.views)

    @classmethod
    def chance(cls, config: Any, samples: int) -> float | None:
        """Loss of knowing nothing, of a batch of `samples`; None where it is not known."""
        return None

    def start(self) -> None:
        """Called once before the first step of a run, not when it is resumed; `images_of` is there."""

    def draw(self, n: int, generator: torch.Generator) -> Draw:
        """Draw `n` samples, the whole batch, by a generator on the CPU; targets of one's own by ``_replace``."""
        return self.pairing.draw(n, generator)

    def forward(self, images: tuple[Tensor, ...], draw: Draw) -> Tensor:
        """Loss of this process's samples: one tensor of images (b, 3, px, px) a view."""
        raise NotImplementedError

    def after_step(self, step: int, steps: int) -> None:
        """Called after each optimiser step (from 1): momentum encoders and the like."""

    def measures(self) -> dict[str, float]:
        """What to log of the last step; how this process's embeddings are spread, where it has pairs."""
        if len(self.watched) < 2:
            return {}
        spread = {
            measure.__name__: sum(measure(one).item() for one in self.watched) / len(self.watched)
            for measure in (uniformity, effective_rank)
        }
        return {"alignment": alignment(*self.watched[:2]).item(), **spread}

    def embed(self, *images: Tensor) -> tuple[Tensor, ...]:
        """Embeddings (b, d) of two or more views, float32, watched by `measures` once L2-normalised."""
        embeddings = self.embed_by(self.encoder, *images)
        watched = (one.detach() for one in embeddings)
        self.watched = tuple(one if self.unit_length else functional.normalize(one, dim=1) for one in watched)
        return embeddings

    def embed_by(self, encoder: Any, *images: Tensor) -> tuple[Tensor, ...]:
        """The same by another encoder, such as one that follows, unwatched."""
        with self.precision(images[0]):
            embeddings = encoder.pair(*images) if self.unit_length else _outputs(encoder, *images)
        return tuple(one if one.dtype == torch.float64 else one.float() for one in embeddings)

    def activations(self, images: Tensor, *layers: str) -> tuple[Tensor, ...]:
        """Activations of the encoder's `layers`, float32, with their gradients."""
        with self.precision(images):
            found = self.encoder.activations(images)
        return tuple(found[layer].float() for layer in layers)

    def precision(self, images: Tensor) -> torch.autocast:
        """Context of the encoder's forward passes."""
        return torch.autocast(images.device.type, torch.bfloat16, enabled=self.in_bfloat16)


class TwoViews(Objective):
    """An objective of partners: `loss` of two views; of three frames and more the mean over all pairs of them."""

    takes_soft = False  # whether `loss` heeds a pairing's weights

    @property
    def views(self) -> tuple[View, ...]:  # type: ignore[override]
        """One crop of each frame; of a `LabPair` one of the first frame, its L against its a and b."""
        if self.encoder.colour_space == "lab":
            return (View(distort=False, colour_space="lab"),)
        return tuple(View(frame) for frame in range(self.pairing.frames))

    @property
    def images(self) -> int:
        return 2 if self.encoder.colour_space == "lab" else len(self.views)

    def inputs(self, images: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Images as `encoder.pair` takes them: those of a `LabPair` as L and ab."""
        return images if self.encoder.colour_space == "rgb" else (images[0][:, :1], images[0][:, 1:])

    def forward(self, images: tuple[Tensor, ...], draw: Draw) -> Tensor:
        draw, *embeddings = all_samples(draw, *self.embed(*self.inputs(images)))
        pairs = list(combinations(range(len(embeddings)), 2))
        losses = [self.loss(embeddings[a], embeddings[b], draw.columns(a, b)) for a, b in pairs]
        return losses[0] if len(losses) == 1 else torch.stack(losses).mean()

    def loss(self, first: Tensor, second: Tensor, draw: Draw) -> Tensor:
        """Loss of the embeddings (B, d) of both views of all processes' samples."""
        raise NotImplementedError


class OneFrame(Objective):
    """An objective of single frames: a head reads a layer of the encoder, and fc8 has no part in the loss."""

    uses_whole_encoder = False

    def units(self, layer: str) -> int:
        """Units of a layer, those of all places of a map."""
        was_training, px = self.encoder.training, self.encoder.input_px
        self.encoder.eval()
        with torch.no_grad():
            values = self.encoder.activations(torch.zeros(1, 3, px, px))[layer]
        self.encoder.train(was_training)
        return values.numel()


def _outputs(encoder: Encoder, *images: Tensor) -> tuple[Tensor, ...]:
    """What `Encoder.pair` gives before it is normalised."""
    halves = (encoder.l_to_ab, encoder.ab_to_l) if isinstance(encoder, LabPair) else (encoder,) * len(images)
    return tuple(Layered.forward(half, view) for half, view in zip(halves, images, strict=True))


def refuse_lag(pairing: Fixed, instead: str) -> None:
    """Refuse a network with a lag whose objective has times of its own, which are `instead`."""
    if pairing.lag_s > 0:
        raise InputError(f"lags_s {pairing.lag_s:g}: leave them away; the objective's times are {instead}")


def films_allowed(film: Tensor, other: Tensor, negatives: Negatives) -> Tensor:
    """Whether frames of films `other` (m,) may be negatives of pairs of films `film` (n,): bool (n, m)."""
    same = film[:, None] == other
    return same if negatives == "within_film" else ~same


def all_samples(draw: Draw, *values: Tensor) -> tuple[Any, ...]:
    """The draw and the values (b, ...) of all processes, in the order of their ranks; as given where there is one.

    With the same b in each of W processes, (b, ...) becomes (W b, ...). In the backward pass the gradient of a
    process's own samples is multiplied by W, so that averaging over processes gives the gradient of a loss that all
    computed.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return draw, *values
    return Draw(*map(_gather, draw)), *(_Gather.apply(value) for value in values)


def _gather(local: Tensor) -> Tensor:
    pieces = [
        torch.empty_like(local, memory_format=torch.contiguous_format) for _ in range(distributed.get_world_size())
    ]
    distributed.all_gather(pieces, local.contiguous())
    return torch.cat(pieces)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, local: Tensor) -> Tensor:
        return _gather(local)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        processes = distributed.get_world_size()
        return gradient.chunk(processes)[distributed.get_rank()] * processes


def seeded(seed: int, make: Callable[[], Module]) -> Module:
    """A head as PyTorch draws it from a seed, whatever was drawn before."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return make()


def average_of(module: Module) -> Module:
    """A copy that is not learned but follows (`follow`): the target or key encoder of BYOL and MoCo."""
    return copy.deepcopy(module).requires_grad_(False)


@torch.no_grad()
def follow(average: nn.Module, module: nn.Module, momentum: float) -> None:
    """Each parameter of `average` becomes `momentum` of itself plus the rest of `module`'s."""
    for mean, value in zip(average.parameters(), module.parameters(), strict=True):
        mean.lerp_(value, 1 - momentum)


def alignment(first: Tensor, second: Tensor) -> Tensor:
    """Mean squared distance of partners (Wang & Isola 2020, alpha 2): 0 where each pair coincides."""
    return (first - second).square().sum(dim=1).mean()


def uniformity(embeddings: Tensor) -> Tensor:
    """Log of the mean of exp(-2 d^2) of pairs of L2-normalised rows (Wang & Isola 2020, t 2): 0 where all coincide."""
    return functional.pdist(embeddings.float()).square().mul(-2).exp().mean().log()


def effective_rank(embeddings: Tensor) -> Tensor:
    """RankMe of rows (B, d): exp of the entropy of the singular values' shares (Garrido et al. 2023); collapsed: 1."""
    values = torch.linalg.svdvals(embeddings.float())
    return torch.special.entr(values / values.sum() + 1e-7).sum().exp()
