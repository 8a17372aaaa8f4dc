"""Activations of a network to stimuli: class means by layer in one stream, and features for decoding.

Memory is flat in the number of images: a layer costs (classes x width) float64 numbers, whatever is shown.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from semanticcmc.config import InputError
from semanticcmc.evaluation.config import ActivationsConfig

if TYPE_CHECKING:
    from numpy.typing import NDArray

Batches = Iterable[tuple[Tensor, Tensor]]


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


def _layers(network: nn.Module, images: Tensor, layers: Iterable[str], spatial_mean: bool) -> dict[str, Tensor]:
    """Activations of `images` by layer as rows (B, d)."""
    found = network.activations(images)  # type: ignore[operator]
    rows = {}
    for layer in layers:
        if layer not in found:
            raise InputError(
                f"layer {layer}: this network has {', '.join(found)}; "
                "see layers and primary_layer in the experiment's YAML"
            )
        values = found[layer]
        rows[layer] = values.mean((2, 3)) if spatial_mean and values.ndim == 4 else values.flatten(1)
        if not torch.isfinite(rows[layer]).all():
            raise InputError(
                f"layer {layer}: activations that are not finite: the network's training diverged; "
                "see its metrics.jsonl, lower the learning rate"
            )
    return rows


class ClassSums:
    """Running sums of activations by layer, half and class: the k-th image of a class counts to half k mod 2."""

    def __init__(self, layers: Iterable[str], n_classes: int, halves: int) -> None:
        self.layers, self.n_classes, self.halves = tuple(layers), n_classes, halves
        self.counts = np.zeros((halves, n_classes), dtype=np.int64)
        self.sums: dict[str, Tensor] = {}

    def add(self, rows: dict[str, Tensor], class_index: Tensor) -> None:
        """Add a batch: rows by layer (B, d) and the class of each."""
        cells = np.empty(len(class_index), dtype=np.int64)
        for position, index in enumerate(class_index.tolist()):
            half = int(self.counts[:, index].sum()) % self.halves
            self.counts[half, index] += 1
            cells[position] = half * self.n_classes + index
        for layer in self.layers:
            values = rows[layer]
            if layer not in self.sums:
                shape = (self.halves * self.n_classes, values.shape[1])
                self.sums[layer] = torch.zeros(shape, dtype=torch.float64, device=values.device)
            self.sums[layer].index_add_(0, torch.from_numpy(cells).to(values.device), values.double())

    def means(self) -> list[dict[str, NDArray[np.float64]]]:
        """Class means by layer (n_classes, d), for each half."""
        if (self.counts == 0).any():
            index = int(np.argwhere(self.counts == 0)[0, 1])
            needed = "an image" if self.halves == 1 else f"{self.halves} images"
            raise InputError(
                f"class number {index} of the stimuli: {self.counts[:, index].sum()} images, "
                f"where every class needs {needed}"
            )
        return [
            {
                layer: (
                    values.cpu().numpy().reshape(self.halves, self.n_classes, -1)[half] / self.counts[half][:, None]
                )
                for layer, values in self.sums.items()
            }
            for half in range(self.halves)
        ]


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


def _show(
    network: nn.Module,
    batches: Batches,
    layers: Iterable[str],
    spatial_mean: bool,
    takers: Iterable[ClassSums | ImageFeatures],
) -> None:
    """Show every batch to the network once and hand its activations to all `takers`."""
    layers, takers = tuple(dict.fromkeys(layers)), tuple(takers)
    with _testing(network) as device:
        for images, class_index in batches:
            rows = _layers(network, images.to(device), layers, spatial_mean)
            for taker in takers:
                taker.add(rows, class_index)


def class_means(
    network: nn.Module, batches: Batches, n_classes: int, config: ActivationsConfig
) -> dict[str, NDArray[np.float64]]:
    """Mean activation of each class, by layer, in one stream.

    Parameters
    ----------
    network : Module
        With ``activations(uint8 images (B, 3, H, W)) -> {layer: (B, units) or (B, channels, h, w)}``.
        Used in evaluation mode on the device that it is on.
    batches : iterable of (images, class_index)
        As `stimuli.StimulusFolder.batches` gives them.
    n_classes : int
    config : ActivationsConfig

    Returns
    -------
    dict of str to array of float64, shape (n_classes, d)
        d is the number of channels of a convolutional layer under ``spatial_mean``, else of its units.

    Raises
    ------
    InputError
        For a layer that the network lacks, activations that are not finite, a class without an image.
    """
    sums = ClassSums(config.layers, n_classes, 1)
    _show(network, batches, config.layers, config.spatial_mean, [sums])
    return sums.means()[0]


def half_class_means(
    network: nn.Module, batches: Batches, n_classes: int, config: ActivationsConfig
) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
    """Class means of two halves of the images, for the reliability of an RDM.

    The first, third, ... image of a class make the first half, the others the second; parameters, result and
    errors as in `class_means`, with at least 2 images a class.
    """
    sums = ClassSums(config.layers, n_classes, 2)
    _show(network, batches, config.layers, config.spatial_mean, [sums])
    first, second = sums.means()
    return first, second


def features(
    network: nn.Module, batches: Batches, layer: str, config: ActivationsConfig
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Activations of every image at one layer, for decoding.

    A layer wider than ``config.decoding_features`` is projected by a Gaussian matrix, the same for every
    network of that width. It keeps distances and angles nearly (Johnson and Lindenstrauss 1984: relative error
    of a squared distance about sqrt(2 / features), 6 % at 512), and memory at features x images.

    Returns
    -------
    features : array of float32, shape (N, d)
    class_index : array of int64, shape (N,)
    """
    kept = ImageFeatures(layer, config.decoding_features)
    _show(network, batches, [layer], config.spatial_mean, [kept])
    return kept.all()


def class_means_and_features(
    network: nn.Module, batches: Batches, n_classes: int, layer: str, config: ActivationsConfig
) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.float32], NDArray[np.int64]]:
    """`class_means` of all layers and `features` of one, from one look at every image.

    Returns
    -------
    means : dict of str to array of float64, shape (n_classes, d)
    features : array of float32, shape (N, d)
    class_index : array of int64, shape (N,)
    """
    sums, kept = ClassSums(config.layers, n_classes, 1), ImageFeatures(layer, config.decoding_features)
    _show(network, batches, [*config.layers, layer], config.spatial_mean, [sums, kept])
    return sums.means()[0], *kept.all()
