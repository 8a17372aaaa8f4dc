"""Checkpoints: tensors and plain values only, read without executing anything, matched key by key."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from semanticcmc.config import InputError, configure
from semanticcmc.experiment import Network
from semanticcmc.training.networks import NetworksConfig, TrainedNetwork, build
from semanticcmc.training.views import ViewsConfig

# What changes how a run is made, not what it makes.
WITHOUT_EFFECT = ("frames", "device", "checkpoint_every", "log_every")
EARLIER_BANK = {"normaliser": "first_batch", "bank": "random", "every": 1}  # of checkpoints that do not say it
PARTS = ("network", "objective", "optimiser", "generator", "step", "seconds")


def read_checkpoint(file: str | Path, stand_ins: Sequence[tuple[type, str]] = ()) -> dict[str, Any]:
    """A checkpoint's tensors and plain values, on the CPU; nothing in the file is ever executed.

    `stand_ins` are harmless types that take the place of the named ones, such as ``argparse.Namespace``. Raises
    InputError for a file that is absent, torn, or holds anything but tensors and plain values.
    """
    if not Path(file).is_file():
        raise InputError(f"{file}: {'a folder, not a' if Path(file).is_dir() else 'no such'} checkpoint")
    try:
        with torch.serialization.safe_globals(list(stand_ins)):
            values = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises many kinds for a torn or malicious file
        raise InputError(
            f"{file}: not a checkpoint of tensors and plain values, refused ({_reason(error)}); "
            "move it away or name another"
        ) from error
    if not isinstance(values, dict):
        raise InputError(f"{file}: expected a checkpoint, found {type(values).__name__}")
    return values


def _reason(error: Exception) -> str:
    """What torch.load found, without its advice to read the file in an unsafe way."""
    if wanted := re.search(r"GLOBAL (\S+)", str(error)):
        return f"it asks for {wanted[1]}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "it is torn, or was never written by torch.save"


def check_weights(
    own: Mapping[str, Tensor], weights: Mapping[str, Any], where: str | Path, spelt: Mapping[str, str] | None = None
) -> None:
    """Refuse `weights` that do not fit a network's `own`, key by key, in shape, kind of number and finite values.

    `spelt` says how the file spells the keys of `weights`, where it has names of its own. An InputError names the file,
    `where`, and the first key that does not fit.
    """
    spelt = spelt or {}
    for key, value in own.items():
        if key not in weights:
            raise InputError(f"{where}: no weights for {key}")
        given, name = weights[key], spelt.get(key, key)
        if not isinstance(given, Tensor) or given.layout != torch.strided or given.device.type == "meta":
            raise InputError(f"{where}: {name} is no plain tensor of numbers")
        if given.shape != value.shape:
            raise InputError(f"{where}: {name} has shape {tuple(given.shape)}, this network {tuple(value.shape)}")
        if given.is_floating_point() != value.is_floating_point():
            raise InputError(f"{where}: {name} holds {given.dtype}, this network {value.dtype}")
        if not torch.isfinite(given).all():
            raise InputError(f"{where}: {name} holds values that are not finite")
    for key in weights:
        if key not in own:
            raise InputError(f"{where}: {spelt.get(key, key)} has no place in this network")


def load_weights(network: nn.Module, weights: Mapping[str, Tensor], where: str | Path) -> None:
    """Copy `weights` into `network`; raises as `check_weights` does."""
    check_weights(network.state_dict(), weights, where)
    network.load_state_dict(dict(weights))


def load_state(target: nn.Module | torch.optim.Optimizer, state: dict[str, Any], where: str | Path) -> None:
    """Load the state of an objective or optimiser; InputError where it does not fit."""
    try:
        target.load_state_dict(state)
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        what = " ".join(str(error).split())
        raise InputError(
            f"{where}: its {type(target).__name__} does not fit this run ({what}); move it away to train anew"
        ) from error


def _effective(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as JSON reads them, without those that do not change what a run makes."""
    settings = json.loads(json.dumps(settings))
    training = {k: v for k, v in settings.get("training", {}).items() if k not in WITHOUT_EFFECT}
    if bank := training.get("memory_bank"):
        training["memory_bank"] = EARLIER_BANK | bank
    return {**settings, "training": training}


def checkpoint_to_resume(folder: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    """The folder's checkpoint if it is of these settings; a folder of others' is set aside.

    Raises InputError for a checkpoint that cannot be read, or lacks one of `PARTS`.
    """
    file = folder / "checkpoint.pt"
    if not file.exists():
        return None
    checkpoint = read_checkpoint(file)
    if _effective(json.loads(checkpoint.get("settings", "{}"))) == _effective(settings):
        if missing := [part for part in PARTS if part not in checkpoint]:
            raise InputError(f"{file}: holds no {', '.join(missing)}; move it away to train anew")
        return checkpoint
    n = 1
    while (aside := folder.with_name(f"{folder.name}.superseded-{n}")).exists():
        n += 1
    folder.rename(aside)
    print(f"{folder} held a run with other settings: set aside as {aside.name}", file=sys.stderr)
    return None


def load_network(run_folder: str | Path) -> TrainedNetwork:
    """The network of a finished run, in eval mode, taking uint8 images.

    Raises InputError for a folder that holds no finished run, or a checkpoint that does not fit its ``run.json``.
    """
    run_folder = Path(run_folder)
    try:
        run = json.loads((run_folder / "run.json").read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{run_folder}: no run.json; train this network first") from error
    if run["status"] != "finished":
        raise InputError(f"{run_folder}: the run is not finished; start it again, it goes on")
    settings, file = run["config"], run_folder / "checkpoint.pt"
    networks = configure(NetworksConfig, settings["networks"], run_folder / "run.json")
    views = configure(ViewsConfig, settings["views"], run_folder / "run.json")
    if line := settings.get("objective"):  # of a network of the section `objectives`
        network = Network(settings["network"], line["name"], math.nan, settings["seed"])
    else:
        network = Network.named(settings["network"], settings["training"]["objective"], settings["seed"])
    encoder = build(network, networks)
    load_weights(encoder, read_checkpoint(file).get("network", {}), file)
    return TrainedNetwork(encoder, views).eval()
