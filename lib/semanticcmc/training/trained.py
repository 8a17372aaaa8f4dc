"""The network of a finished run, as what comes after training takes it."""

from __future__ import annotations

import json
from pathlib import Path

from semanticcmc.config import InputError, configure
from semanticcmc.training.checkpoints import load_weights, read_checkpoint
from semanticcmc.training.networks import NetworksConfig, TrainedNetwork, build
from semanticcmc.training.views import ViewsConfig


def load_network(run_folder: str | Path) -> TrainedNetwork:
    """The network of a finished run, in eval mode, taking uint8 images.

    Raises
    ------
    InputError
        For a folder that holds no finished run, or a checkpoint that does not fit its ``run.json``.
    """
    run_folder = Path(run_folder)
    try:
        run = json.loads((run_folder / "run.json").read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{run_folder}: no run.json; train this network first") from error
    if run["status"] != "finished":
        raise InputError(f"{run_folder}: the run is not finished; start it again, it goes on")
    networks = configure(NetworksConfig, run["config"]["networks"], run_folder / "run.json")
    views = configure(ViewsConfig, run["config"]["views"], run_folder / "run.json")
    network = build(run["config"]["network"], networks, seed=0)
    file = run_folder / "checkpoint.pt"
    load_weights(network, read_checkpoint(file).get("network", {}), file)
    return TrainedNetwork(network, views).eval()
