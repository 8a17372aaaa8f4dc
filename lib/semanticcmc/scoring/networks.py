"""Networks to be scored, by what a person calls them: names of torchvision and timm, checkpoints, functions.

``resnet18`` has its library's weights, ``resnet18:IMAGENET1K_V1`` named ones of torchvision, ``resnet18:FILE`` those of
a file, ``resnet18:untrained`` none. A checkpoint of this package, of CMC or of SemanticCMC goes by its path (or the
folder of its run), ``module:function`` by a function that returns a network, or a network and its transform of
pictures; one that takes ``pretrained`` is called with False for untrained networks. ``name=...`` names any of them.
"""

from __future__ import annotations

import difflib
import importlib.util
import inspect
import math
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import models
from torchvision.transforms import functional
from torchvision.transforms._presets import ImageClassification

from semanticcmc.config import InputError
from semanticcmc.network import Network
from semanticcmc.run import sha256
from semanticcmc.training.checkpoints import load_network, load_weights, read_checkpoint
from semanticcmc.training.networks import Encoder, NetworksConfig, build
from semanticcmc.training.views import evaluation_view
from semanticcmc.training.weights import read_weights

DETECTORS = models.list_models(models.detection)
PUBLISHED = NetworksConfig("published", (96, 256, 384, 384, 256), (4096, 4096), 128, 224)
Drawn = Callable[[int], nn.Module]  # from a seed


class Scored(NamedTuple):
    """A network of float images (B, 3, h, w) in evaluation mode; its layers are modules, or of its ``activations``."""

    name: str
    module: nn.Module
    transform: Callable[[Any], Tensor]  # float (3, h, w) of an upright RGB picture, of PIL or uint8 (3, h, w)
    source: str  # of its weights
    untrained: Drawn | None  # the same architecture before training; None where that cannot be had


class OwnView(NamedTuple):
    """The view that our networks see in tests (`views.evaluation_view`), of one picture."""

    size_px: int
    normalisation: str
    colour_space: str

    def __call__(self, image: Image.Image) -> Tensor:
        """Float (3, size_px, size_px)."""
        return evaluation_view(functional.pil_to_tensor(image)[None], *self)[0]


def find(said: str) -> Scored:
    """The network that is meant by `said`, as the module's docstring spells it, on the CPU.

    An InputError refuses a name that is none (with the nearest ones), weights that cannot be had, do not fit or would
    execute code, and a function that cannot be imported or returns something else.
    """
    label, rest = named(said)
    name, _, given = rest.partition(":")
    timms = importlib.import_module("timm").list_models() if importlib.util.find_spec("timm") else ()
    path, known = Path(rest).expanduser(), dict.fromkeys([*models.list_models(models), *timms])
    if name in known or (name.split(".")[0] in timms and not path.exists()):
        found = of_a_library(name, given)
    elif path.exists() or path.suffix in (".pt", ".pth", ".ckpt"):
        found = _checkpoint(path)
    else:
        near = ", ".join(difflib.get_close_matches(name, known, 5, 0.5)) or "none"
        refused = f"network {said!r}: neither a file nor a name of torchvision or timm (near: {near})"
        if not given:
            raise InputError(f"{refused}; timm's names are known where it is installed")
        found = _function(name, given, refused)
    found.module.eval()
    return found._replace(name=label or found.name)


def named(said: str) -> tuple[str, str]:
    """Label (or none) and the rest of ``label=rest``; what is a file, or has ``/`` or ``:`` before ``=``, has none."""
    label, _, rest = said.partition("=")
    return (label, rest) if rest and not Path(said).exists() and not set("/:") & set(label) else ("", said)


def of_a_library(name: str, given: str) -> Scored:
    """A network of torchvision (detectors too) or of timm: its own weights, a file's, or none; raises as `find`."""
    if name in (*models.list_models(models), *DETECTORS):
        weights: Any = models.get_model_weights(name)
        known, chosen = weights.__members__, weights.__members__.get(given or "DEFAULT")
        source, transform = f"{chosen}, {getattr(chosen, 'url', '')}", weights.DEFAULT.transforms()
        create, options = models.get_model, {"weights": chosen}
        always: dict[str, Any] = {"weights_backbone": None} if name in DETECTORS else {}  # else fetched for itself
        always |= {"transform_input": True} if name in ("googlenet", "inception_v3") else {}  # as with their weights
    else:
        import timm

        known, source, always = {}, f"timm {timm.__version__}, {name}", {}
        create, options = timm.create_model, {"pretrained": True}
        settings = timm.data.resolve_model_data_config(_drawn(lambda: create(name))(0))
        transform = timm.data.create_transform(**settings, is_training=False)
    untrained, file = _drawn(lambda: create(name, **always)), Path(given).expanduser()
    label = f"{name}-{file.stem}" if given else name
    if given == "untrained":
        return Scored(label, untrained(0), transform, "none: drawn with seed 0", untrained)
    if file.is_file():
        module, values = untrained(0), read_checkpoint(file)
        held = (values[key] for key in ("state_dict", "model_state_dict", "model") if isinstance(values.get(key), dict))
        state = {str(key).removeprefix("module."): value for key, value in next(held, values).items()}
        counts = {key: value for key, value in module.state_dict().items() if key.endswith(".num_batches_tracked")}
        load_weights(module, counts | state, f"{name}:{file}")  # old files lack these
        return Scored(label, module, transform, f"{file.name}, SHA-256 {sha256(file)}", untrained)
    if given and given not in known:
        there = ", ".join(known) or "that its name says, such as resnet18.a1_in1k"
        raise InputError(f"{name}:{given}: no file, and {name} has the weights {there}")
    try:  # libraries check the hash of what they fetch; torchvision would execute what a file in its cache holds
        with mock.patch.dict(os.environ, {"TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1"}):
            return Scored(label, create(name, **options), transform, source, untrained)
    except Exception as error:  # of many kinds, as hubs have them
        raise InputError(
            f"{name}: its weights cannot be fetched or are refused ({' '.join(str(error).split())[:200]}); "
            f"give {name}:FILE, with a file of weights, or {name}:untrained"
        ) from error


def _drawn(make: Callable[[], nn.Module]) -> Drawn:
    """Makes a network whose random numbers come from a seed; what others draw stays as it is."""

    def untrained(seed: int) -> nn.Module:
        with torch.random.fork_rng(devices=()), warnings.catch_warnings(action="ignore"):
            torch.manual_seed(seed)
            return make().eval()

    return untrained


def _function(module: str, name: str, refused: str) -> Scored:
    def made(**options: Any) -> tuple[nn.Module, Any]:
        found = function(**options)
        network, transform = found if isinstance(found, tuple) else (found, ImageClassification(crop_size=224))
        if not isinstance(network, nn.Module):
            raise InputError(f"network {module}:{name}: returned {type(network).__name__}, expected a torch.nn.Module")
        return network, transform

    sys.path[:0] = {os.getcwd()} - {*sys.path}  # to stay: a function may import when it is called
    try:
        function = getattr(importlib.import_module(module), name)
        takes, found = "pretrained" in inspect.signature(function).parameters, made()
    except Exception as error:  # whatever a person's module raises
        raise InputError(f"{refused}, nor a function here ({type(error).__name__}: {error})") from error
    source = f"{module}:{name} in {Path(getattr(sys.modules[module], '__file__', None) or module).name}"
    return Scored(f"{module}-{name}", *found, source, _drawn(lambda: made(pretrained=False)[0]) if takes else None)


def _checkpoint(path: Path) -> Scored:
    """A network of this package, as its settings say, or of the published size, of the first plan that fits."""
    run = path if path.is_dir() else path.parent
    if (run / "run.json").is_file() and path in (run, run / "checkpoint.pt"):  # not another file beside
        trained, path = load_network(run), run / "checkpoint.pt"
        network, normalisation, label = trained.encoder, trained.views.normalisation, "-".join(run.resolve().parts[-2:])
    else:
        network, normalisation, label = published(path), "published", path.stem

    def untrained(seed: int) -> nn.Module:
        kind = "cmc_lab" if network.colour_space == "lab" else "random"
        one = Network.named(kind, "none", seed) if hasattr(network, "config") else Network("", "labels", math.nan, seed)
        return build(one, getattr(network, "config", PUBLISHED)).eval()

    view: Any = OwnView(network.input_px, network.normalisation or normalisation, network.colour_space)
    return Scored(label, network, view, f"{path.name}, SHA-256 {sha256(path)}", untrained)


def published(file: Path) -> Encoder:
    """The encoder of the published size that a checkpoint holds; an InputError says why none of them fits."""
    refused = list[str]()
    for kind in ("cmc_lab", "random", "supervised"):  # a network of RGB takes halves too
        encoder = build(Network.named(kind, "none", 0), PUBLISHED)
        try:
            load_weights(encoder, read_weights(file, encoder), file)
            return encoder
        except InputError as error:
            refused.append(str(error))
    raise InputError(f"{'; '.join(dict.fromkeys(refused))}; name its architecture, as in resnet18:{file}")
