"""Activations of a network to stimuli: class means by layer in one stream, and features for decoding.

Memory is flat in the number of images: a layer costs (classes x width) float64 numbers, whatever is shown.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from semanticcmc.config import InputError
from semanticcmc.evaluation.config import ActivationsConfig

Batches = Iterable[tuple[Tensor, Tensor]]
RowsOf = Callable[[Tensor], Tensor]
Taker = Callable[[dict[str, Tensor], Tensor], None]


def evaluation_device() -> torch.device:
    """Where networks are shown stimuli: CUDA where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextlib.contextmanager
def _testing(network: nn.Module) -> Iterator[torch.device]:
    """The network in evaluation mode without gradients, so that no image's batch changes its activations.

    A GPU computes as exactly as a CPU here: TF32, cuDNN's default, would round every product to 10 bits.
    """
    training = network.training
    network.eval()
    exact = {"enabled": torch.backends.cudnn.enabled, "deterministic": True, "allow_tf32": False}
    try:
        with torch.inference_mode(), torch.backends.cudnn.flags(**exact):
            yield next((tensor.device for tensor in network.parameters()), torch.device("cpu"))
    finally:
        network.train(training)


def _rows(network: nn.Module, images: Tensor, layers: Iterable[str], rows_of: RowsOf) -> dict[str, Tensor]:
    """Activations of `images` by layer as rows (B, d)."""
    found = network.activations(images)  # type: ignore[operator]
    rows = {}
    for layer in layers:
        if layer not in found:
            raise InputError(
                f"layer {layer}: this network has {', '.join(found)}; "
                "see layers and primary_layer in the experiment's YAML"
            )
        rows[layer] = rows_of(found[layer])
        if not torch.isfinite(rows[layer]).all():
            raise InputError(
                f"layer {layer}: activations that are not finite: the network's training diverged; "
                "see its metrics.jsonl, lower the learning rate"
            )
    return rows


class ClassSums:
    """Running sums of activations by layer and class."""

    def __init__(self, layers: Iterable[str], n_classes: int) -> None:
        self.layers, self.counts = tuple(layers), np.zeros(n_classes, dtype=np.int64)
        self.sums: dict[str, Tensor] = {}

    def add(self, rows: dict[str, Tensor], class_index: Tensor) -> None:
        """Add a batch: rows by layer (B, d) and the class of each."""
        self.counts += np.bincount(class_index.numpy(), minlength=len(self.counts))
        for layer in self.layers:
            values = rows[layer]
            if layer not in self.sums:
                shape = (len(self.counts), values.shape[1])
                self.sums[layer] = torch.zeros(shape, dtype=torch.float64, device=values.device)
            self.sums[layer].index_add_(0, class_index.to(values.device), values.double())

    def means(self) -> dict[str, NDArray[np.float64]]:
        """Class means by layer (n_classes, d), in place of the sums."""
        if (self.counts == 0).any():
            raise InputError(f"class number {self.counts.argmin()} of the stimuli: 0 images, where it needs one")
        sums = {layer: values.cpu().numpy() for layer, values in self.sums.items()}
        return {layer: np.divide(values, self.counts[:, None], out=values) for layer, values in sums.items()}


class ImageFeatures:
    """Activations of every image at one layer, projected where it is wider than `width` (see `features`)."""

    def __init__(self, layer: str, width: int) -> None:
        self.layer, self.width = layer, width
        self.projection: Tensor | None = None
        self.rows: list[NDArray[np.float32]] = []
        self.class_index: list[NDArray[np.int64]] = []

    def add(self, rows: dict[str, Tensor], class_index: Tensor) -> None:
        """Add a batch: rows by layer (B, d) and the class of each."""
        values = rows[self.layer].float()
        if values.shape[1] > self.width:
            if self.projection is None:
                generator = torch.Generator().manual_seed(0)
                drawn = torch.randn(values.shape[1], self.width, generator=generator) / self.width**0.5
                self.projection = drawn.to(values.device)
            values = values @ self.projection
        self.rows.append(values.cpu().numpy())
        self.class_index.append(class_index.numpy())

    def all(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Features (N, d) and class of each image (N,)."""
        if not self.rows:
            raise InputError("no stimuli: features need at least one image")
        return np.concatenate(self.rows), np.concatenate(self.class_index)


def show(network: nn.Module, batches: Batches, layers: Iterable[str], rows_of: RowsOf, *takers: Taker) -> None:
    """Show every batch to the network once and hand its activations to all `takers`: rows by layer, and classes.

    The network has ``activations(uint8 images (B, 3, H, W)) -> {layer: (B, units) or (B, channels, h, w)}``, of which
    `rows_of` makes rows (B, d); it is used in evaluation mode on the device that it is on. Batches are as
    `stimuli.StimulusFolder.batches` gives them. Raises InputError for a layer that the network lacks, and for
    activations that are not finite.
    """
    layers = tuple(dict.fromkeys(layers))
    with _testing(network) as device:
        for images, class_index in batches:
            rows = _rows(network, images.to(device), layers, rows_of)
            for take in takers:
                take(rows, class_index)


def _rows_of(config: ActivationsConfig) -> RowsOf:
    """Rows of every unit, or of convolutional maps averaged over space."""
    return lambda values: values.mean((2, 3)) if config.spatial_mean and values.ndim == 4 else values.flatten(1)


def class_means(
    network: nn.Module, batches: Batches, n_classes: int, config: ActivationsConfig
) -> dict[str, NDArray[np.float64]]:
    """Mean activation of each class, by layer, in one stream; network and batches as of `show`.

    By layer float64 (n_classes, d), with d the channels of a convolutional layer under ``spatial_mean``, else its
    units. Raises as of `show`, and for a class without an image.
    """
    sums = ClassSums(config.layers, n_classes)
    show(network, batches, config.layers, _rows_of(config), sums.add)
    return sums.means()


def features(
    network: nn.Module, batches: Batches, layer: str, config: ActivationsConfig
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Activations of every image at one layer, for decoding.

    A layer wider than ``config.decoding_features`` is projected by a Gaussian matrix, the same for every network of
    that width. It keeps distances and angles nearly (Johnson and Lindenstrauss 1984: relative error of a squared
    distance about sqrt(2 / features), 6 % at 512), and memory at features x images. Features are float32 (N, d),
    classes int64 (N,).
    """
    kept = ImageFeatures(layer, config.decoding_features)
    show(network, batches, [layer], _rows_of(config), kept.add)
    return kept.all()


def class_means_and_features(
    network: nn.Module, batches: Batches, n_classes: int, layer: str, config: ActivationsConfig
) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.float32], NDArray[np.int64]]:
    """`class_means` of all layers, and `features` of one with their classes, from one look at every image."""
    sums, kept = ClassSums(config.layers, n_classes), ImageFeatures(layer, config.decoding_features)
    show(network, batches, [*config.layers, layer], _rows_of(config), sums.add, kept.add)
    return sums.means(), *kept.all()
