"""Weights that others trained: checkpoints of CMC, of SemanticCMC and of torchvision, for our own networks.

Files are read without executing anything. Their layouts, from the public code of each:

- CMC (Tian et al. 2020, ``alexnet.pth``): ``{'model': {'encoder.module.l_to_ab.conv_block_1.0.weight', ...},
  'opt': argparse.Namespace, ...}``, two halves at half width;
- SemanticCMC: the same with ``encoder.module.alexnet.conv_block_1.0.weight``, one network at full width;
- torchvision's AlexNet: ``features.0.weight`` to ``classifier.6.bias``, biases and no batch norm;
- this package: ``{'network': {'conv1.0.weight', ...}, ...}``.

A plain ``state_dict`` of any of these will do as well, with ``module`` (DataParallel) anywhere in its keys or not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from semanticcmc.config import InputError
from semanticcmc.training.checkpoints import check_weights, read_checkpoint
from semanticcmc.training.networks import AlexNet, Encoder, LabPair

TORCHVISION = {
    "features.0": "conv1.0",
    "features.3": "conv2.0",
    "features.6": "conv3.0",
    "features.8": "conv4.0",
    "features.10": "conv5.0",
    "classifier.1": "fc6.0",
    "classifier.4": "fc7.0",
    "classifier.6": "fc8",
}
HALVES = ("l_to_ab", "ab_to_l")
OffDiagonal = Literal["zero", "kept"]


class _Unread:
    """Takes the place of what CMC's files hold beside weights: made from anything, keeps nothing."""

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, _: Any) -> None:
        pass


# A learning rate that CMC computed with numpy is a numpy scalar in its optimiser's state.
BESIDE_WEIGHTS = [
    (_Unread, name)
    for name in ("argparse.Namespace", "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.dtype")
]


def own_name(key: str) -> str:
    """Our name of a weight: ``encoder.module.alexnet.conv_block_1.0.weight`` is ``conv1.0.weight``."""
    parts = [part for part in key.split(".") if part not in ("module", "encoder")]
    if parts[:1] == ["alexnet"]:
        parts = parts[1:]
    name = ".".join(parts)
    layer, _, kind = name.rpartition(".")
    if layer in TORCHVISION:
        return f"{TORCHVISION[layer]}.{kind}"
    return re.sub(r"\bfc8\.0\.", "fc8.", re.sub(r"\bconv_block_(\d)\.", r"conv\1.", name))


def read_weights(file: str | Path, encoder: Encoder, off_diagonal: OffDiagonal = "zero") -> dict[str, Tensor]:
    """Weights for `encoder`, on the CPU, from a checkpoint of any layout that fits it; `encoder` is left as it is.

    An `AlexNet` also takes CMC's two halves for L and ab, block by block (``published_protocol``). Then weights from L
    to the ab half and from ab to the L half are zero, or what `encoder` holds (`off_diagonal` ``kept``): random in a
    new one, those of another run as published. Batch norm's statistics do not fit the latter. Raises InputError for a
    file that cannot be read, with what it asks for if it would execute something; names the first key, as the file
    spells it, that is missing, has another shape, is not finite or has no place.
    """
    values = read_checkpoint(file, BESIDE_WEIGHTS)
    held = next((values[key] for key in ("network", "model", "state_dict") if key in values), values)
    if not isinstance(held, Mapping) or not held:
        raise InputError(f"{file}: holds no weights; expected a state_dict, by itself or as its `model`")
    weights: dict[str, Tensor] = {}
    spelt: dict[str, str] = {}
    for key, value in held.items():
        name = own_name(str(key))
        if name in weights:
            raise InputError(f"{file}: {spelt[name]} and {key} are one weight, {name}")
        weights[name], spelt[name] = value, str(key)
    own = encoder.state_dict()
    if isinstance(encoder, AlexNet) and any(name.startswith(HALVES) for name in weights):
        with torch.device("meta"):  # shapes and kinds of number, no values
            halves = LabPair(encoder.config).state_dict()
        check_weights(halves, weights, file, spelt)
        return _full_from_halves(weights, own, off_diagonal)
    check_weights(own, weights, file, spelt)
    return weights


def _full_from_halves(
    lab: Mapping[str, Tensor], own: Mapping[str, Tensor], off_diagonal: OffDiagonal
) -> dict[str, Tensor]:
    """Weights of a full AlexNet that holds `own`, from those of CMC's halves.

    The L half fills the first half of each layer's output channels, from the first half of its input channels
    (conv1: from the first channel); the ab half fills the second half, from the second half (conv1: from the
    second and third channels). Batch norm's weights and running statistics are concatenated. With zeros off the
    diagonal every layer up to fc7 gives the activations of both halves side by side, and fc8, which has no blocks
    of outputs, the sum of the halves' embeddings before they are normalised: its inputs are halved as above, its
    bias is the sum of both. (The published code drew that bias at random, uniform in [0, 1).)
    """
    full = {}
    for key, value in own.items():
        first, second = (lab[f"{half}.{key}"].to(value) for half in HALVES)
        if value.ndim == 0:  # batches that batch norm has seen: the halves saw as many
            full[key] = first
        elif key == "fc8.weight":
            full[key] = torch.cat((first, second), dim=1)
        elif key == "fc8.bias":
            full[key] = first + second
        elif value.ndim == 1:
            full[key] = torch.cat((first, second))
        else:
            outputs, inputs = first.shape[:2]
            blocks = value.clone() if off_diagonal == "kept" else torch.zeros_like(value)
            blocks[:outputs, :inputs], blocks[outputs:, inputs:] = first, second
            full[key] = blocks
    return full
