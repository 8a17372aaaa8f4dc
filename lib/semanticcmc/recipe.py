"""The recipe of a training run: its parameters, and the optimiser, schedule and device that they mean."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any, Literal

import torch

from semanticcmc.configuration import InputError
from semanticcmc.experiments import repository_root


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """How every network of an experiment is trained.

    Attributes
    ----------
    resident_size : tuple of int or None
        Height and width at which all frames are held in memory, pixels; None for the store's own.
    batch_pairs : int
        Pairs a step.
    steps : int or None
        Steps of a run; None where `epochs` says it.
    epochs : float or None
        Passes over all first frames of pairs; None where `steps` says it.
    lag_tolerance : float
        Each pair's lag is drawn within ``lag_s`` (1 +- this).
    optimiser : {'adamw', 'sgd'}
    learning_rate : float
        Greatest of the schedule.
    momentum : float
        Of SGD; AdamW takes it as its first beta.
    weight_decay : float
    schedule : {'one_cycle', 'step'}
        One cosine rise over the first 30 % of steps and a cosine fall; or a drop to a tenth at each of
        `drops`.
    drops : tuple of float
        Shares of the run after which `step` drops the rate; none for one_cycle.
    temperature : float
        Of InfoNCE, or where it starts.
    learn_temperature : bool
    precision : {'float32', 'bfloat16'}
        Of the network's forward pass; bfloat16 on CUDA only.
    device : {'auto', 'cpu', 'cuda'}
    checkpoint_every, log_every : int
        Steps between checkpoints, and between lines of metrics.
    warm_start : str or None
        Checkpoint that ``augment`` and ``semantic`` networks start from, of this package, CMC or SemanticCMC
        (`published_weights`), relative to the repository.
    warm_start_off_diagonal : {'zero', 'kept'}
        Where `warm_start` holds CMC's halves for L and ab: weights between the two, none or as drawn.
    supervised_weights : str or None
        torchvision's AlexNet weights, for the network ``supervised``, relative to the repository.
    """

    resident_size: tuple[int, int] | None
    batch_pairs: int
    steps: int | None
    epochs: float | None
    lag_tolerance: float
    optimiser: Literal["adamw", "sgd"]
    learning_rate: float
    momentum: float
    weight_decay: float
    schedule: Literal["one_cycle", "step"]
    drops: tuple[float, ...]
    temperature: float
    learn_temperature: bool
    precision: Literal["float32", "bfloat16"]
    device: Literal["auto", "cpu", "cuda"]
    checkpoint_every: int
    log_every: int
    warm_start: str | None
    warm_start_off_diagonal: Literal["zero", "kept"]
    supervised_weights: str | None

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("steps and epochs: one a number, the other null")
        for name in ("steps", "epochs", "learning_rate", "temperature", "checkpoint_every", "log_every"):
            value = getattr(self, name)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise ValueError(f"{name} {value}: expected more than 0")
        if self.batch_pairs < 2:
            raise ValueError(f"batch_pairs {self.batch_pairs}: at least 2, since negatives are other pairs")
        if not 0 <= self.lag_tolerance < 1 or not 0 <= self.momentum < 1 or self.weight_decay < 0:
            raise ValueError("lag_tolerance and momentum: 0 to less than 1; weight_decay: 0 or more")
        if list(self.drops) != sorted(self.drops) or any(not 0 < share < 1 for share in self.drops):
            raise ValueError(f"drops {list(self.drops)}: rising shares of the run, between 0 and 1")
        if bool(self.drops) != (self.schedule == "step"):
            raise ValueError(f"drops {list(self.drops)}: given for the schedule step, and for it alone")
        if self.resident_size is not None and min(self.resident_size) < 1:
            raise ValueError(f"resident_size {list(self.resident_size)}: height and width in pixels, or null")


def starting_weights(network: str, config: TrainingConfig) -> Path | None:
    """File whose weights a network starts from; None for one that starts as drawn."""
    if network == "supervised" and config.supervised_weights is None:
        raise InputError(
            "network supervised: training.supervised_weights is null; name torchvision's AlexNet weights, "
            "such as ~/.cache/torch/hub/checkpoints/alexnet-owt-7be5be79.pth"
        )
    file = {"supervised": config.supervised_weights, "random": None, "cmc_lab": None}.get(
        network, config.warm_start
    )
    return repository_root() / Path(file).expanduser() if file is not None else None


def learning_rate(config: TrainingConfig, step: int, steps: int) -> float:
    """Learning rate of `step` (from 0) of `steps`; one_cycle starts at 1/25 and ends at 1/250,000 of the peak.

    One cycle after Smith & Topin (2018), with PyTorch's shape; ``step`` as He et al. (2016).
    """
    peak = config.learning_rate
    if config.schedule == "step":
        return peak * 0.1 ** sum(step >= round(share * steps) for share in config.drops)
    rise = max(0.3 * steps - 1, 1e-9)
    low, high, share = (
        (peak / 25, peak, step / rise)
        if step <= rise
        else (peak, peak / 250_000, (step - rise) / max(steps - 1 - rise, 1e-9))
    )
    return high + (low - high) * (1 + math.cos(math.pi * share)) / 2


def make_optimiser(config: TrainingConfig, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """SGD or AdamW over the parameters that are learned; one fused kernel on every device."""
    learned = [parameter for parameter in parameters if parameter.requires_grad]
    common: dict[str, Any] = {"lr": config.learning_rate, "weight_decay": config.weight_decay, "fused": True}
    if config.optimiser == "sgd":
        return torch.optim.SGD(learned, momentum=config.momentum, **common)
    return torch.optim.AdamW(learned, betas=(config.momentum, 0.999), **common)


def choose_device(config: TrainingConfig) -> torch.device:
    """CUDA where there is one and the config allows it; InputError where the config asks for more."""
    cuda = torch.cuda.is_available()
    if config.device == "cuda" and not cuda:
        raise InputError("training.device cuda: this machine has no CUDA device; say auto or cpu")
    device = torch.device("cuda" if cuda and config.device != "cpu" else "cpu")
    if config.precision == "bfloat16" and device.type == "cpu":
        raise InputError("training.precision bfloat16: on CUDA only (slower on a CPU); say float32")
    return device
