"""A linear probe of one frozen layer: pooled features from a stream of images, top-1 on images never learned from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from semanticcmc.config import InputError
from semanticcmc.evaluation.decoding import linear_probe

if TYPE_CHECKING:
    from numpy.typing import NDArray


def pooled(values: Tensor, features: int) -> Tensor:
    """Rows (B, d) of a layer's activations, maps (B, channels, h, w) max-pooled to fit `features`.

    The square's side is the largest, up to the map's, with channels x side^2 <= features; at least 1.
    """
    if values.ndim == 4:
        side = max(1, min(*values.shape[2:], int((features / values.shape[1]) ** 0.5)))
        values = functional.adaptive_max_pool2d(values, side)
    return values.flatten(1)


def layer_features(
    network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], layers: Sequence[str], features: int, folder: Path
) -> tuple[dict[str, Path], NDArray[np.int64]]:
    """Write every layer's features of every image to `folder`, from one look at each image.

    Parameters
    ----------
    network : Module
        With ``activations(uint8 images) -> {layer: values}``, in evaluation mode.
    batches : iterable of (images, class_index)
        As `stimuli.StimulusFolder.batches` gives them.
    layers : sequence of str
    features : int
        For `pooled`.
    folder : Path

    Returns
    -------
    files : dict of str to Path
        float32 numbers of each layer, image after image.
    class_index : array of int64, shape (N,)
    """
    files = {layer: folder / f"{layer}.float32" for layer in layers}
    handles = {layer: file.open("wb") for layer, file in files.items()}
    classes = []
    try:
        with torch.inference_mode():
            for images, class_index in batches:
                found = network.activations(images)  # type: ignore[operator]
                for layer, handle in handles.items():
                    if layer not in found:
                        raise InputError(f"layer {layer}: this network has {', '.join(found)}")
                    rows = pooled(found[layer], features).float().cpu().numpy()
                    if not np.isfinite(rows).all():
                        raise InputError(f"layer {layer}: activations that are not finite; train it anew")
                    handle.write(np.ascontiguousarray(rows).tobytes())
                classes.append(class_index.numpy())
    finally:
        for handle in handles.values():
            handle.close()
    return files, np.concatenate(classes)


def held_out(classes: NDArray[np.int64], share: float, seed: int) -> NDArray[np.bool_]:
    """Mask of `share` of each class's images, drawn at random: at least one, never all."""
    generator, mask = np.random.default_rng(seed), np.zeros(len(classes), dtype=bool)
    for index in np.unique(classes):
        rows = np.flatnonzero(classes == index)
        kept = min(max(1, round(share * len(rows))), len(rows) - 1)
        mask[generator.permutation(rows)[:kept]] = True
    return mask


def top1(
    train: tuple[NDArray[np.float32], NDArray[np.int64]],
    test: tuple[NDArray[np.float32], NDArray[np.int64]],
    regularisation: Sequence[float],
    validation_share: float,
    confidence: float,
    seed: int,
) -> dict[str, Any]:
    """Share of test images whose class a linear probe names, with Wilson's interval.

    Parameters
    ----------
    train, test : tuple of arrays
        Features (N, d) and class of each image (N,).
    regularisation : sequence of float
        Candidates for scikit-learn's C (`decoding.linear_probe`).
    validation_share : float
        Share of each class's training images on which C is chosen (`held_out`).
    confidence : float
        Level of the interval.
    seed : int
        Of the validation images.

    Returns
    -------
    dict
        ``top1, ci_low, ci_high, classes, train_images, test_images, features, regularisation``. Of penalties
        that do equally well on the validation images the strongest is taken, and the probe then learns from
        all training images.
    """
    from scipy.stats import binomtest

    (x, y), (x_test, y_test) = train, test
    chosen = min(regularisation)
    if len(regularisation) > 1:
        kept = held_out(y, validation_share, seed)
        scores = {c: linear_probe(c).fit(x[~kept], y[~kept]).score(x[kept], y[kept]) for c in sorted(regularisation)}
        chosen = max(scores, key=lambda c: scores[c])
    right = int((linear_probe(chosen).fit(x, y).predict(x_test) == y_test).sum())
    low, high = binomtest(right, len(y_test)).proportion_ci(confidence, method="wilson")
    return {
        "top1": right / len(y_test),
        "ci_low": float(low),
        "ci_high": float(high),
        "classes": len(np.unique(y)),
        "train_images": len(y),
        "test_images": len(y_test),
        "features": x.shape[1],
        "regularisation": chosen,
    }
