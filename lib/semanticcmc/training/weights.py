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
from semanticcmc.training.networks import AlexNet, LabPair, Network

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


def read_weights(file: str | Path, network: Network, off_diagonal: OffDiagonal = "zero") -> dict[str, Tensor]:
    """Weights of `network` from a checkpoint of any layout that fits it; `network` is left as it is.

    Parameters
    ----------
    file : str or Path
        Checkpoint of CMC, SemanticCMC, torchvision or this package.
    network : AlexNet, LabPair or SupervisedAlexNet
        An `AlexNet` also takes CMC's two halves, poured as `pour_lab_weights` does.
    off_diagonal : {'zero', 'kept'}
        For `pour_lab_weights`.

    Returns
    -------
    dict of str to Tensor
        For ``network.load_state_dict``, on the CPU.

    Raises
    ------
    InputError
        For a file that cannot be read, with what it asks for if it would execute something; names the first
        key, as the file spells it, that is missing, has another shape, is not finite or has no place.
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
    own = network.state_dict()
    if isinstance(network, AlexNet) and any(name.startswith(HALVES) for name in weights):
        check_weights(_lab_state(network), weights, file, spelt)
        return _poured(weights, own, off_diagonal)
    check_weights(own, weights, file, spelt)
    return weights


def pour_lab_weights(lab: LabPair | Mapping[str, Tensor], network: AlexNet, off_diagonal: OffDiagonal = "zero") -> None:
    """Fill the full network from CMC's half for L and its half for ab, block by block (``published_protocol``).

    The L half fills the first half of each layer's output channels, from the first half of its input channels
    (conv1: from the first channel); the ab half fills the second half, from the second half (conv1: from the
    second and third channels). Batch norm's weights and running statistics stand one after the other. With
    zeros off the diagonal every layer up to fc7 gives the activations of both halves side by side, and fc8,
    which has no blocks of outputs, the sum of the halves' embeddings before they are normalised: its inputs
    are halved as above, its bias is the sum of both. (The published code drew that bias at random, uniform in
    [0, 1).)

    Parameters
    ----------
    lab : LabPair or mapping of str to Tensor
        The pair or its ``state_dict``, of half the widths of `network`.
    network : AlexNet
        The full network, changed in place.
    off_diagonal : {'zero', 'kept'}
        Weights from L to the ab half and from ab to the L half: zero, or what `network` held before, random in
        a new one, those of another run as published. Batch norm's statistics do not fit the latter.

    Raises
    ------
    InputError
        Names the first weight of `lab` that does not fit.
    """
    weights = lab.state_dict() if isinstance(lab, LabPair) else lab
    check_weights(_lab_state(network), weights, "weights of L and ab")
    network.load_state_dict(_poured(weights, network.state_dict(), off_diagonal))


def _lab_state(network: AlexNet) -> dict[str, Tensor]:
    """What the pair of halves of `network`'s plan holds: shapes and kinds, no values."""
    with torch.device("meta"):
        return LabPair(network.config).state_dict()


def _poured(lab: Mapping[str, Tensor], own: Mapping[str, Tensor], off_diagonal: OffDiagonal) -> dict[str, Tensor]:
    poured = {}
    for key, value in own.items():
        first, second = (lab[f"{half}.{key}"].to(value) for half in HALVES)
        if value.ndim == 0:  # batches that batch norm has seen: the halves saw as many
            poured[key] = first
        elif key == "fc8.weight":
            poured[key] = torch.cat((first, second), dim=1)
        elif key == "fc8.bias":
            poured[key] = first + second
        elif value.ndim == 1:
            poured[key] = torch.cat((first, second))
        else:
            outputs, inputs = first.shape[:2]
            blocks = value.clone() if off_diagonal == "kept" else torch.zeros_like(value)
            blocks[:outputs, :inputs], blocks[outputs:, inputs:] = first, second
            poured[key] = blocks
    return poured
