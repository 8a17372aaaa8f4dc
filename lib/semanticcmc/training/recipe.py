"""The recipe of a training run: its parameters, and the optimiser, schedule and device that they mean."""

from __future__ import annotations

import dataclasses
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import torch

from semanticcmc.config import (
    RISING,
    BelowOne,
    Count,
    InnerShare,
    InputError,
    NotNegative,
    Positive,
    Rule,
    Section,
    configure,
)
from semanticcmc.experiment import Experiment, Network, repository_root
from semanticcmc.training import objectives
from semanticcmc.training.objectives.base import Negatives, Objective, OneFrame, TwoViews
from semanticcmc.training.objectives.memory_bank_nce import MemoryBankConfig
from semanticcmc.training.pairings import choose_pairing

# What an objective's config takes from section `training` where the objective's own keys do not say it.
SHARED = ("temperature", "learn_temperature", "negatives", "memory_bank")


@dataclasses.dataclass(frozen=True)
class TrainingConfig(Section):
    """How every network of an experiment is trained: section ``training`` of an experiment, explained in base.yaml."""

    frames: Literal["resident", "loader"]
    frame_px: tuple[Count, Count] | None
    batch_pairs: Annotated[int, Rule("2 or more, since negatives are other pairs", lambda pairs: pairs >= 2)]
    films_per_batch: Count | None
    same_shot: bool
    steps: Count | None
    epochs: Positive | None
    lag_tolerance: BelowOne
    objective: str | Mapping[str, Any]
    temperature: Positive
    learn_temperature: bool
    negatives: Negatives
    memory_bank: MemoryBankConfig | None
    optimiser: Literal["adamw", "sgd"]
    learning_rate: Positive
    momentum: BelowOne
    weight_decay: NotNegative
    schedule: Literal["one_cycle", "cosine", "step"]
    drops: Annotated[tuple[InnerShare, ...], RISING]
    clip_norm: Positive | None
    precision: Literal["float32", "bfloat16"]
    compile: bool
    sync_batch_norm: bool
    device: Literal["auto", "cpu", "cuda"]
    checkpoint_every: Count
    log_every: Count
    warm_start: str | None
    warm_start_off_diagonal: Literal["zero", "kept"]
    supervised_weights: str | None

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("steps and epochs: one a number, the other null")
        if bool(self.drops) != (self.schedule == "step"):
            raise ValueError(f"drops {list(self.drops)}: given for the schedule step, and for it alone")
        name = self.objective if isinstance(self.objective, str) else self.objective.get("name")
        objectives.find(str(name))
        if (self.memory_bank is not None) != (name == "memory_bank_nce"):
            raise ValueError("memory_bank: given for the objective memory_bank_nce, else null")
        if self.memory_bank is not None and self.learn_temperature:
            raise ValueError("learn_temperature: not of memory_bank_nce; say false")
        if self.negatives == "cross_film" and self.films_per_batch == 1:
            raise ValueError("negatives cross_film: a batch needs pairs of more than one film (films_per_batch)")


def starting_weights(network: Network, config: TrainingConfig) -> Path | None:
    """File whose weights a network starts from; None for one that starts as drawn."""
    if network.objective == "labels" and config.supervised_weights is None:
        raise InputError(
            f"network {network.name}: training.supervised_weights is null; name torchvision's AlexNet weights, "
            "such as ~/.cache/torch/hub/checkpoints/alexnet-owt-7be5be79.pth"
        )
    file = config.supervised_weights if network.objective == "labels" else config.warm_start
    if file is None or network.objective == "none" or network.views == "lab":
        return None
    return repository_root() / Path(file).expanduser()


def learning_rate(config: TrainingConfig, step: int, steps: int) -> float:
    """Learning rate of `step` (from 0) of `steps`; one_cycle starts at 1/25 and ends at 1/250,000 of the peak.

    One cycle after Smith & Topin (2018), with PyTorch's shape; ``cosine`` after Loshchilov & Hutter (2017), one fall;
    ``step`` as He et al. (2016).
    """
    peak = config.learning_rate
    if config.schedule == "step":
        return peak * 0.1 ** sum(step >= round(share * steps) for share in config.drops)
    if config.schedule == "cosine":
        return peak * (1 + math.cos(math.pi * step / steps)) / 2
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


def choose_objective(experiment: Experiment, network: Network) -> tuple[type[Objective], Any]:
    """Class and config of a trained network's objective, from its line in the YAML and the section ``training``.

    An InputError names the file, the key and what is wrong with it; so for a pairing.
    """
    said, where = experiment.objective(network), f"{experiment.file}, objective of {network.name}"
    kind, pairing = objectives.find(said.pop("name", "")), said.pop("pairing", "fixed")
    training = dataclasses.asdict(experiment.section("training", TrainingConfig))
    keys = {field.name for field in dataclasses.fields(kind.Config)}  # type: ignore[arg-type]
    config = configure(kind.Config, {name: training[name] for name in SHARED if name in keys} | said, where)
    timed, _ = choose_pairing(pairing, network.lag_s, where)
    if timed.soft and not getattr(kind, "takes_soft", False):
        raise InputError(f"{where}, pairing {pairing}: {kind.__name__} has no candidates to weigh; take window")
    if network.lag_s > 0 and issubclass(kind, OneFrame):
        raise InputError(f"{where}: {kind.__name__} sees single frames; leave lags_s out (found {network.lag_s:g} s)")
    if network.views == "lab" and not issubclass(kind, TwoViews):
        raise InputError(f"{where}: L against ab is for objectives of two views; leave {network.name} out of baselines")
    return kind, config


def samples_of(config: TrainingConfig, images: int) -> int:
    """Samples of a batch whose objective sees `images` of each: as many images a step for all objectives."""
    return 2 * config.batch_pairs // images


def warn_of_published_start(experiment: Experiment, network: Network, config: TrainingConfig) -> None:
    """Say so where the published NCE starts from drawn weights, from which it learns nothing."""
    if network.objective != "memory_bank_nce" or network.views == "lab":
        return
    if starting_weights(network, config) is not None:
        return
    bank = choose_objective(experiment, network)[1].memory_bank
    if bank.form == "nce" and bank.normaliser == "first_batch":
        print(
            f"{network}: memory_bank_nce with Z of the first batch, as published, starts from drawn weights, from "
            "which it learned nothing (validation/published_nce.py). Name CMC's weights as training.warm_start, or say "
            "memory_bank.normaliser running, with `every` so that each row is visited 50 times.",
            file=sys.stderr,
        )


def choose_device(config: TrainingConfig) -> torch.device:
    """CUDA where there is one and the config allows it, one for each of torchrun's processes.

    Raises InputError where the config or torchrun asks for more than the machine has.
    """
    cuda = torch.cuda.is_available()
    if config.device == "cuda" and not cuda:
        raise InputError("training.device cuda: this machine has no CUDA device; say auto or cpu")
    if not cuda or config.device == "cpu":
        if config.precision == "bfloat16":
            raise InputError("training.precision bfloat16: on CUDA only (slower on a CPU); say float32")
        return torch.device("cpu")
    device = int(os.environ.get("LOCAL_RANK", "0"))
    if device >= torch.cuda.device_count():
        raise InputError(
            f"torchrun started process {device} of this machine, which has "
            f"{torch.cuda.device_count()} CUDA device(s); start one process a device"
        )
    return torch.device("cuda", device)


def chance_loss(experiment: Experiment, network: Network) -> float | None:
    """Loss, in nats, of a network that knows nothing; None where it is not known."""
    kind, config = choose_objective(experiment, network)
    timed, keys = choose_pairing(experiment.objective(network).get("pairing", "fixed"), network.lag_s, "")
    frames = getattr(config, "images", None) or getattr(keys, "frames", None) or timed.frames
    return kind.chance(config, samples_of(experiment.section("training", TrainingConfig), frames))
