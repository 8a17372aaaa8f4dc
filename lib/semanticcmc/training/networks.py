"""AlexNet with batch norm at any width: one encoder for both frames, or a half-width pair for L and ab.

The plan is the published one (``published_protocol``: conv 96-256-384-384-256, fc 4096-4096, fc8 128, no
bias in the convolutions, L2-normalised output), its widths, kernels and input size from the experiment.
There is also torchvision's AlexNet, to be filled with weights that were learned from labels. Other backbones have the
same names of layers: conv1 to conv5 are five stages, maps whatever they are made of, fc6 to fc8 the head.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from semanticcmc.config import Section, Several
from semanticcmc.experiment import Network
from semanticcmc.training.views import ViewsConfig, evaluation_view

CONV_LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")
LAYERS = (*CONV_LAYERS, "fc6", "fc7", "fc8")
POOLED = ("conv1", "conv2", "conv5")


class Plan(NamedTuple):
    """Kernels, strides and paddings of the five convolutions; paddings of the 3/2 max-pools after `POOLED`."""

    kernels: tuple[int, ...]
    strides: tuple[int, ...]
    paddings: tuple[int, ...]
    pool_paddings: tuple[int, ...]


PLANS = {
    "published": Plan((11, 5, 3, 3, 3), (4, 1, 1, 1, 1), (2, 2, 1, 1, 1), (0, 0, 0)),
    # Much the same reductions at 44 px: maps of 14, 7, 3 and, pooled, 2 pixels a side (published: 55, 27, 13, 6).
    "miniature": Plan((7, 5, 3, 3, 3), (3, 1, 1, 1, 1), (2, 2, 1, 1, 1), (1, 0, 1)),
}
BACKBONES = {"resnet18": None, "vit_s": 16, "vit_s_miniature": 4}  # of a ViT the side of its patches, pixels
VIT_BLOCKS = 3  # a stage: 12 in all, as published
VIT_HEAD_UNITS = 64  # of attention, as published


@dataclasses.dataclass(frozen=True)
class NetworksConfig(Section):
    """Architecture of every network of an experiment: section ``networks`` of an experiment, explained in base.yaml."""

    plan: Literal["published", "miniature", "resnet18", "vit_s", "vit_s_miniature"]
    conv_channels: tuple[int, int, int, int, int]
    fc_units: tuple[int, int]
    embedding_dim: Several
    input_px: int

    def __post_init__(self) -> None:
        super().__post_init__()
        widths = (*self.conv_channels, *self.fc_units)
        if min(widths) < 2 or any(width % 2 for width in widths):
            raise ValueError(f"widths {list(widths)}: even numbers, since each half for L and ab takes half of them")
        if self.final_px < 1:
            raise ValueError(f"input_px {self.input_px}: too small for the plan {self.plan}")
        if (patch := BACKBONES.get(self.plan)) and (self.input_px % patch or len({*self.conv_channels}) > 1):
            raise ValueError(f"plan {self.plan}: five equal conv_channels, and input_px a multiple of {patch}")

    @property
    def final_px(self) -> int:
        """Side of the last pooled map, pixels (0 or less where the input is too small)."""
        if self.plan in BACKBONES:  # averaged over space
            return 1
        plan, side = PLANS[self.plan], self.input_px
        for layer, kernel, stride, padding in zip(CONV_LAYERS, plan.kernels, plan.strides, plan.paddings, strict=True):
            side = (side + 2 * padding - kernel) // stride + 1
            if layer in POOLED:
                side = (side + 2 * plan.pool_paddings[POOLED.index(layer)] - 3) // 2 + 1
        return side


class Layered(nn.Module):
    """Modules named by `LAYERS` and ``pools``, run one after the other."""

    colour_space = "rgb"  # or lab
    normalisation: str | None = None  # the one that its images need (`views.NORMALISATIONS`); None: the experiment's
    input_px: int  # side of the square input
    pools: nn.ModuleDict

    def _by_layer(self, images: Tensor) -> Iterator[tuple[str, Tensor]]:
        values = images
        for layer in LAYERS:
            if layer == "fc6":
                values = values.flatten(1)
            values = self.get_submodule(layer)(values)
            yield layer, values
            if layer in POOLED:
                values = self.pools[layer](values)

    def activations(self, images: Tensor) -> dict[str, Tensor]:
        """Activations of every layer, after its ReLU and before any pooling; fc8 as its weights give it.

        Images are float (B, in_channels, input_px, input_px), normalised as in training; activations of conv layers
        (B, channels, h, w), of fc layers (B, units).
        """
        return dict(self._by_layer(images))

    def forward(self, images: Tensor) -> Tensor:
        """Output of fc8, (B, units)."""
        values = images
        for _, values in self._by_layer(images):  # noqa: B007  (a layer is freed when the next is there)
            pass
        return values

    def pair(self, *views: Tensor) -> tuple[Tensor, ...]:
        """Embeddings of two or more views of each sample, all by this one encoder."""
        return tuple(self(view) for view in views)


class AlexNet(Layered):
    """AlexNet with batch norm; convolutions without bias, fc6 and fc7 linear, batch norm, ReLU.

    Other plans have stages of their own: ResNet-18 (He et al. 2016; conv1 its stem) and ViT-S with pooled tokens
    (Dosovitskiy et al. 2021, Beyer et al. 2022; conv1 its patches, then three blocks a stage).

    `in_channels` are 3 for RGB, 1 for L, 2 for ab. `share` is 1 for the full widths, 2 for half of each (CMC's
    halves); the embedding keeps its size.
    """

    def __init__(self, config: NetworksConfig, in_channels: int = 3, share: int = 1) -> None:
        super().__init__()
        self.config, self.input_px = config, config.input_px
        channels = [width // share for width in config.conv_channels]
        for i, layer in enumerate(CONV_LAYERS):
            inputs = channels[i - 1] if i else in_channels
            self.add_module(layer, stage(config, i, inputs, channels[i]))
        pools: list[nn.Module] = [nn.Identity(), nn.Identity(), nn.AdaptiveAvgPool2d(1)]
        if config.plan == "resnet18":
            pools[0] = nn.MaxPool2d(3, 2, 1)
        elif config.plan in PLANS:
            pools = [nn.MaxPool2d(3, 2, pad) for pad in PLANS[config.plan].pool_paddings]
        self.pools = nn.ModuleDict(dict(zip(POOLED, pools, strict=True)))
        inputs = channels[-1] * config.final_px**2
        for layer, width in zip(("fc6", "fc7"), config.fc_units, strict=True):
            units = width // share
            self.add_module(layer, nn.Sequential(nn.Linear(inputs, units), nn.BatchNorm1d(units), nn.ReLU(True)))
            inputs = units
        self.fc8 = nn.Linear(inputs, config.embedding_dim)

    def forward(self, images: Tensor) -> Tensor:
        """L2-normalised embedding (B, embedding_dim)."""
        return functional.normalize(super().forward(images), dim=1)


def stage(config: NetworksConfig, place: int, inputs: int, outputs: int) -> nn.Module:
    """One of the five stages of a plan: maps of `inputs` channels to maps of `outputs`."""
    patch = BACKBONES.get(config.plan)
    if patch and not place:
        return Patches(inputs, outputs, patch, config.input_px // patch)
    if patch:
        from torchvision.models.vision_transformer import EncoderBlock  # torchvision is slow to import

        heads, norm = max(1, outputs // VIT_HEAD_UNITS), functools.partial(nn.LayerNorm, eps=1e-6)
        return Blocks(*(EncoderBlock(heads, outputs, 4 * outputs, 0.0, 0.0, norm) for _ in range(VIT_BLOCKS)))
    if config.plan == "resnet18" and place:
        from torchvision.models.resnet import BasicBlock

        stride = 1 if place == 1 else 2
        shorter = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        first = BasicBlock(inputs, outputs, stride, shorter if stride > 1 or inputs != outputs else None)
        return nn.Sequential(first, BasicBlock(outputs, outputs))
    plan = PLANS.get(config.plan)
    shape = (plan.kernels[place], plan.strides[place], plan.paddings[place]) if plan else (7, 2, 3)  # ResNet's stem
    return nn.Sequential(nn.Conv2d(inputs, outputs, *shape, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(True))


class Patches(nn.Sequential):
    """A ViT's embedding of patches, as a map, with a position of its own learned for each (no class token)."""

    def __init__(self, inputs: int, outputs: int, patch: int, side: int) -> None:
        super().__init__(nn.Conv2d(inputs, outputs, patch, patch))
        self.positions = nn.Parameter(torch.randn(1, outputs, side, side) * 0.02)

    def forward(self, images: Tensor) -> Tensor:
        """Map (B, outputs, side, side)."""
        return super().forward(images) + self.positions


class Blocks(nn.Sequential):
    """Blocks of a ViT, of tokens that come and go as maps (B, units, h, w)."""

    def forward(self, maps: Tensor) -> Tensor:
        """Map of the same shape."""
        return super().forward(maps.flatten(2).transpose(1, 2)).transpose(1, 2).unflatten(2, maps.shape[2:])


class SupervisedAlexNet(Layered):
    """torchvision's AlexNet (Krizhevsky 2014, "One weird trick"): biases, no batch norm, 1,000 class scores.

    Its dropout is left out, since it is never trained here. It sees 224 px, normalised as torchvision's weights
    were trained, whatever the experiment's other networks see.
    """

    normalisation = "imagenet"
    input_px = 224

    def __init__(self) -> None:
        super().__init__()
        shapes = ((3, 64, 11, 4, 2), (64, 192, 5, 1, 2), (192, 384, 3, 1, 1), (384, 256, 3, 1, 1), (256, 256, 3, 1, 1))
        for layer, shape in zip(CONV_LAYERS, shapes, strict=True):
            self.add_module(layer, nn.Sequential(nn.Conv2d(*shape), nn.ReLU(True)))
        self.pools = nn.ModuleDict({layer: nn.MaxPool2d(3, 2) for layer in POOLED})
        self.fc6 = nn.Sequential(nn.Linear(256 * 6 * 6, 4096), nn.ReLU(True))
        self.fc7 = nn.Sequential(nn.Linear(4096, 4096), nn.ReLU(True))
        self.fc8 = nn.Linear(4096, 1000)


class LabPair(nn.Module):
    """CMC's network (Tian et al. 2020): one half sees L, the other a and b; no weight is shared.

    Images are CIE Lab, normalised, (B, 3, input_px, input_px).
    """

    colour_space = "lab"
    normalisation = None

    def __init__(self, config: NetworksConfig) -> None:
        super().__init__()
        self.config, self.input_px = config, config.input_px
        self.l_to_ab = AlexNet(config, in_channels=1, share=2)
        self.ab_to_l = AlexNet(config, in_channels=2, share=2)

    def activations(self, images: Tensor) -> dict[str, Tensor]:
        """Both halves' activations by layer, concatenated over channels: L first, then ab."""
        lightness, colour = self.l_to_ab.activations(images[:, :1]), self.ab_to_l.activations(images[:, 1:])
        return {layer: torch.cat((lightness[layer], colour[layer]), dim=1) for layer in LAYERS}

    def forward(self, images: Tensor) -> Tensor:
        """L2-normalised (B, 2 embedding_dim): the embeddings of L and of ab side by side."""
        return torch.cat(self.pair(images[:, :1], images[:, 1:]), dim=1) / 2**0.5

    def pair(self, first: Tensor, second: Tensor) -> tuple[Tensor, ...]:
        """Embeddings of L (B, 1, h, w) and of ab (B, 2, h, w), each by its half."""
        return self.l_to_ab(first), self.ab_to_l(second)


Encoder = AlexNet | LabPair | SupervisedAlexNet


class TrainedNetwork(nn.Module):
    """An encoder behind its evaluation view: takes uint8 images of any size, as stimuli are stored.

    `views` gives the normalisation that the encoder was trained with, where it has none of its own.
    """

    def __init__(self, encoder: Encoder, views: ViewsConfig) -> None:
        super().__init__()
        self.encoder, self.views = encoder, views

    def _view(self, images: Tensor) -> Tensor:
        encoder = self.encoder
        images = images.to(next(encoder.parameters()).device)
        normalisation = encoder.normalisation or self.views.normalisation
        return evaluation_view(images, encoder.input_px, normalisation, encoder.colour_space)

    def activations(self, images: Tensor) -> dict[str, Tensor]:
        """Activations by layer of uint8 RGB images (B, 3, H, W), on the encoder's device."""
        return self.encoder.activations(self._view(images))

    def forward(self, images: Tensor) -> Tensor:
        """L2-normalised embeddings of uint8 RGB images (B, 3, H, W)."""
        return self.encoder(self._view(images))


def build(network: Network, config: NetworksConfig) -> Encoder:
    """The encoder of a network before any training: PyTorch's default initialisation from the network's seed.

    It is the same for the same seed, whatever was drawn before. Encoders of RGB with one seed start from the same
    weights, so that the untrained network is the one that training started from. torchvision's AlexNet
    (objective ``labels``) still has to be filled with its weights (`weights.read_weights`).
    """
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(network.seed)
        if network.objective == "labels":
            return SupervisedAlexNet()
        return LabPair(config) if network.views == "lab" else AlexNet(config)
