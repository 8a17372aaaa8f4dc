"""Networks to be scored, by what a person calls them: names of torchvision and timm, checkpoints, functions.

``resnet18`` has torchvision's default weights, ``resnet18:IMAGENET1K_V1`` named ones, ``resnet18:FILE`` those of a file
of one's own, ``resnet18:untrained`` none. A checkpoint of this package, of CMC or of SemanticCMC goes by its path (or
the folder of its run), and ``module:function`` by a function that returns a network, or a network and its transform of
pictures; one that takes ``pretrained`` is called with False for untrained networks. ``name=...`` names any of them.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import inspect
import math
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

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

UNTRAINED = "untrained"
PUBLISHED = NetworksConfig("published", (96, 256, 384, 384, 256), (4096, 4096), 128, 224)


@dataclasses.dataclass(frozen=True)
class Scored:
    """A network to be scored.

    Attributes
    ----------
    name, source : str
        Its name in tables and of files, and where its weights come from.
    module : Module
        In evaluation mode; takes float images (B, 3, h, w). Its layers are its modules, or what its method
        ``activations(images)`` returns by name.
    transform : callable
        Makes float (3, h, w) of an upright RGB picture.
    untrained : callable or None
        Makes the same architecture as it is before training, from a seed; None where it cannot be had.
    """

    name: str
    module: nn.Module
    transform: Callable[[Image.Image], Tensor]
    source: str
    untrained: Callable[[int], nn.Module] | None


@dataclasses.dataclass(frozen=True)
class OwnView:
    """The view that our networks see in tests (`views.evaluation_view`), of one picture."""

    size_px: int
    normalisation: str
    colour_space: str

    def __call__(self, image: Image.Image) -> Tensor:
        """Float (3, size_px, size_px)."""
        pixels = functional.pil_to_tensor(image)[None]
        return evaluation_view(pixels, self.size_px, self.normalisation, self.colour_space)[0]


def find(said: str) -> Scored:
    """The network that is meant by `said`, as the module's docstring spells it, on the CPU.

    An InputError refuses a name that is none (with the nearest ones), weights that cannot be had, do not fit or would
    execute code, and a function that cannot be imported or returns something else.
    """
    label, _, rest = said.rpartition("=")
    name, _, given = rest.partition(":")
    path, timms = Path(rest).expanduser(), _timm_names()
    if name in models.list_models(models):
        found = _torchvision(name, given)
    elif name.split(".")[0] in timms:
        found = _timm(name, given)
    elif path.exists() or path.suffix in (".pt", ".pth", ".ckpt"):
        found = _checkpoint(path)
    else:
        near = difflib.get_close_matches(name, dict.fromkeys([*models.list_models(models), *timms]), 5, 0.5)
        hint = f"near are {', '.join(near)}" if near else "none is near"
        hint += "" if timms else "; timm, which has many more, is not installed"
        if not given:
            raise InputError(f"network {said!r}: neither a file nor a name of torchvision or timm ({hint})")
        found = _function(name, given, hint)
    found.module.eval()
    return dataclasses.replace(found, name=label or found.name)


def _timm_names() -> list[str]:
    try:
        import timm
    except ImportError:
        return []
    return timm.list_models()


def _torchvision(name: str, given: str) -> Scored:
    weights = models.get_model_weights(name)

    def fetch() -> tuple[dict[str, Tensor], str]:
        if given and given not in weights.__members__:
            raise InputError(f"{name}:{given}: no file, and {name} has the weights {', '.join(weights.__members__)}")
        chosen = weights[given or "DEFAULT"]  # the file's name holds the first letters of its hash
        state = chosen.get_state_dict(progress=False, check_hash=True, map_location="cpu", weights_only=True)
        return state, f"{chosen}, {chosen.url}"

    return _known(
        name, given, lambda: models.get_model(name, weights=None), fetch, lambda _: weights.DEFAULT.transforms()
    )


def _timm(name: str, given: str) -> Scored:
    import timm

    def fetch() -> tuple[dict[str, Tensor], str]:
        if given:
            raise InputError(f"{name}:{given}: no such file; timm's weights go by its names, such as {name}.{given}")
        module = timm.create_model(name, pretrained=True)
        return module.state_dict(), f"timm {timm.__version__}, {module.pretrained_cfg.get('hf_hub_id')}"

    def transform(module: nn.Module) -> Callable[[Image.Image], Tensor]:
        return timm.data.create_transform(**timm.data.resolve_model_data_config(module), is_training=False)

    return _known(name, given, lambda: timm.create_model(name), fetch, transform)


def _known(
    name: str,
    given: str,
    make: Callable[[], nn.Module],
    fetch: Callable[[], tuple[dict[str, Tensor], str]],
    transform: Callable[[nn.Module], Any],
) -> Scored:
    """A network of a library: `make` draws it, `fetch` brings its weights and their source."""
    untrained, file = _drawn(make), Path(given).expanduser()
    module, label = untrained(0), f"{name}-{file.stem}" if given else name
    if given == UNTRAINED:
        return Scored(label, module, transform(module), "none: drawn with seed 0", untrained)
    if file.is_file():
        values, source = read_checkpoint(file), f"{file.name}, SHA-256 {sha256(file)}"
        held = (values[key] for key in ("state_dict", "model", "network") if isinstance(values.get(key), dict))
        state = {str(key).removeprefix("module."): value for key, value in next(held, values).items()}
    else:
        try:
            state, source = fetch()
        except InputError:
            raise
        except Exception as error:  # of many kinds, as hubs have them
            raise InputError(
                f"{name}: its weights are not here and cannot be fetched ({' '.join(str(error).split())[:200]}); "
                f"give {name}:FILE, with a file of weights, or {name}:{UNTRAINED}"
            ) from error
    load_weights(module, state, given or name)
    return Scored(label, module, transform(module), source, untrained)


def _drawn(make: Callable[[], nn.Module]) -> Callable[[int], nn.Module]:
    """Makes a network whose random numbers come from a seed; what others draw stays as it is."""

    def untrained(seed: int) -> nn.Module:
        with torch.random.fork_rng(devices=()), warnings.catch_warnings(action="ignore"):
            torch.manual_seed(seed)
            return make().eval()

    return untrained


def _function(module: str, name: str, hint: str) -> Scored:
    sys.path.insert(0, os.getcwd())
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"network {module}:{name}: no name of torchvision or timm ({hint}), nor a function here ({error})"
        ) from error
    finally:
        sys.path.pop(0)

    def network_of(made: Any) -> tuple[nn.Module, Any]:
        network, transform = made if isinstance(made, tuple) else (made, ImageClassification(crop_size=224))
        if not isinstance(network, nn.Module):
            raise InputError(f"network {module}:{name}: returned {type(network).__name__}, expected a torch.nn.Module")
        return network, transform

    takes = "pretrained" in inspect.signature(function).parameters
    untrained = _drawn(lambda: network_of(function(pretrained=False))[0]) if takes else None
    source = f"{module}:{name} in {Path(inspect.getfile(function)).name}"
    return Scored(f"{module}-{name}", *network_of(function()), source, untrained)


def _checkpoint(path: Path) -> Scored:
    """A network of this package, as its settings say, or of the published size, of the first plan that fits."""
    run = path if path.is_dir() else path.parent
    if (run / "run.json").is_file():
        trained, file, label = (
            load_network(run),
            run / "checkpoint.pt",
            f"{run.resolve().parent.name}-{run.resolve().name}",
        )
        network, normalisation = trained.encoder, trained.views.normalisation
    else:
        network, file, label, normalisation = published(path), path, path.stem, "published"

    def untrained(seed: int) -> nn.Module:
        kind = "cmc_lab" if network.colour_space == "lab" else "random"
        one = Network.named(kind, "none", seed) if hasattr(network, "config") else Network("", "labels", math.nan, seed)
        return build(one, getattr(network, "config", PUBLISHED)).eval()

    view = OwnView(network.input_px, network.normalisation or normalisation, network.colour_space)
    return Scored(label, network, view, f"{file.name}, SHA-256 {sha256(file)}", untrained)


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
