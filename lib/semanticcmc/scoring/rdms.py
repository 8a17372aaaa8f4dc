"""RDMs of any network: layers by their modules' names, memory told before it is used, untrained networks beside.

A layer's row is, of maps, the mean over space; of tokens, the first (a ViT's class token) and the mean of the others,
side by side; with ``tokens="all"`` every unit. A layer costs (classes x units) float64 numbers, whatever is shown;
layers that do not fit together into the memory allowed are seen in passes one after the other.
"""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import psutil
import torch
from scipy.stats import ks_2samp
from torch import Tensor, nn
from tqdm.auto import tqdm

from semanticcmc.config import Count, InputError, Natural, Positive, Section
from semanticcmc.evaluation.activations import ClassSums, evaluation_device, show
from semanticcmc.evaluation.stimuli import StimulusFolder
from semanticcmc.films.pictures import read_image
from semanticcmc.rsa.rdm import RDM, from_class_means
from semanticcmc.scoring.networks import Scored
from semanticcmc.training.networks import Encoder

DEFAULT_LAYERS = 8  # at most so many where none are named
AT_ONCE = 6  # a batch's outputs, as large as the largest of a module, that are in memory at once
MIB = 2**20
LOADED_LATER = 256 * MIB  # by libraries, once images are shown and RDMs tested: measured, about 220
See = Callable[[str], Tensor]
FIRST_WEIGHTS = 3  # tensors, whose distribution tells trained weights from drawn ones
AGREED = 0.5  # least correlation of untrained networks' RDMs for which it says something to be as near to them


@dataclasses.dataclass(frozen=True)
class ExtractionConfig(Section):
    """How networks are shown stimuli; options of ``semanticcmc score``."""

    layers: tuple[str, ...]  # names of modules; none: at most `DEFAULT_LAYERS`, evenly
    tokens: Literal["mean", "all"]
    batch_size: Count
    images_per_class: Count | None
    max_memory_gib: Positive
    distance: Literal["correlation", "spearman", "euclidean", "cosine"]
    seeds: tuple[Natural, ...]  # of untrained networks; none: without them


class Seen(NamedTuple):
    """RDMs of a network by layer, the means of its untrained networks' (or none), and how they were made."""

    name: str
    rdms: Mapping[str, RDM]
    random: Mapping[str, RDM]
    how: Mapping[str, Any]


def run(module: nn.Module, images: Tensor, take: Callable[[str, Tensor], None]) -> None:
    """Show images; `take` gets each layer's output before the next may change it: its ``activations``, or modules."""
    if own := getattr(module, "activations", None):
        for layer, values in own(images).items():
            take(layer, values)
        return
    names = {part: name for name, part in module.named_modules() if name}

    def hook(part: nn.Module, _: Any, output: Any) -> None:
        output = output[0] if isinstance(output, (tuple, list)) and output else output
        if part in names and isinstance(output, Tensor):
            take(names[part], output)

    handle = nn.modules.module.register_module_forward_hook(hook)
    try:
        module(images)
    finally:
        handle.remove()


class Watched(nn.Module):
    """A network whose activations are rows (B, d) of some layers' outputs."""

    def __init__(self, module: nn.Module, layers: Iterable[str], tokens: str) -> None:
        super().__init__()
        self.module, self.layers, self.tokens = module, tuple(layers), tokens
        self.train(module.training)  # which `show` puts back

    def activations(self, images: Tensor) -> dict[str, Tensor]:
        """Rows by layer; InputError for a layer that runs several times, or gives no row an image."""
        rows: dict[str, Tensor] = {}

        def take(layer: str, values: Tensor) -> None:
            if layer in self.layers:
                if layer in rows or len(values) != len(images):
                    raise InputError(f"layer {layer}: runs several times, or not on images; name the module around it")
                rows[layer] = self.rows(values).clone()

        run(self.module, images, take)
        return rows

    def rows(self, values: Tensor) -> Tensor:
        """Rows of one layer's output."""
        if self.tokens == "mean" and values.ndim == 4:
            _, second, third, last = values.shape
            return values.mean((1, 2) if second == third != last else (2, 3))  # channels last, as Swin has them
        if self.tokens == "mean" and values.ndim == 3 and values.shape[1] > 1:
            return torch.cat((values[:, 0], values[:, 1:].mean(1)), dim=1)
        return values.flatten(1)


@torch.inference_mode()
def outputs(module: nn.Module, image: Tensor) -> dict[str, int]:
    """Units of every layer that runs, for an image (1, 3, h, w), in the order of their ends."""
    found: dict[str, int] = {}
    run(module, image, lambda layer, values: found.update({layer: values.numel()}))
    return found


def layers_of(module: nn.Module, ran: Iterable[str]) -> list[str]:
    """Layers that are offered, of those that `ran` (`outputs`), in that order.

    They are the modules whose output goes into the next block that has weights: of a chain of modules, and of one that
    holds more than half of the weights, those inside. The last, a classifier's scores, or our fc8, is left out.
    """
    if hasattr(module, "activations"):
        return list(ran)[: -1 if isinstance(module, Encoder) else None]
    total = sum(one.numel() for one in module.parameters())

    def blocks(name: str, part: nn.Module) -> Iterator[tuple[str, nn.Module]]:
        inside, mine = dict(part.named_children()), sum(one.numel() for one in part.parameters())
        if inside and (not name or type(part) in (nn.Sequential, nn.ModuleList) or 2 * mine > total):
            for child, one in inside.items():
                yield from blocks(f"{name}.{child}".removeprefix("."), one)
        else:
            yield name, part

    parts = dict(blocks("", module))
    there = [name for name in ran if name in parts]
    weighted = [any(one.ndim > 1 for one in parts[name].parameters()) for name in there]
    return [name for name, after in zip(there, weighted[1:], strict=False) if after] or there or list(ran)


def evenly(layers: Sequence[str], count: int) -> list[str]:
    """So many layers, from the first to the last; some repeat where there are fewer."""
    return [layers[place] for place in np.linspace(0, len(layers) - 1, count).round().astype(int)]


def planned(network: Scored, classes: int, config: ExtractionConfig, image: Tensor) -> pd.DataFrame:
    """What each layer will need: ``layer, units, mib`` of class means, ``part``, its pass, ``in_all``, MiB by then.

    Layers are those asked for, or by default at most `DEFAULT_LAYERS`, evenly. An InputError lists what there is, or
    names a layer that does not fit into ``max_memory_gib`` by itself.
    """
    try:
        ran = outputs(network.module, image)
    except Exception as error:
        raise InputError(f"{network.name}: fails at {tuple(image.shape)}: {error}; see its transform") from error
    there = layers_of(network.module, ran)
    if not ran:
        raise InputError(f"{network.name}: no module inside it is seen at work (a script? one layer?)")
    if unknown := [layer for layer in config.layers if layer not in ran]:
        offered = f"{', '.join(there)}, and any of its {len(ran)} modules"
        raise InputError(f"{network.name}: no layer {unknown[0]!r}; there are {offered}")
    layers = [one for one in ran if one in (config.layers or evenly(there, min(len(there), DEFAULT_LAYERS)))]
    with torch.inference_mode():
        rows = Watched(network.module, layers, config.tokens).activations(image)
    held = torch.cuda.memory_allocated() if image.is_cuda else psutil.Process().memory_info().rss  # where means lie
    held += len(layers) * (2 + len(config.seeds)) * classes**2 * 4  # RDMs: its own, untrained networks', these' mean
    held += LOADED_LATER + config.batch_size * max(image.numel(), *ran.values()) * 4 * AT_ONCE
    allowed, plan, part, filled = config.max_memory_gib * 1024 * MIB, [], 1, 0
    for layer, units in ((layer, rows[layer].shape[1]) for layer in layers):
        need = classes * units * 8 + classes**2 * 8
        if held + need > allowed:
            raise InputError(
                f"{network.name}, layer {layer}: class means of {classes} x {units:,} units need {need / MIB:,.0f} MiB "
                f"beside {held / MIB:,.0f} MiB of network and batch, allowed are {allowed / MIB:,.0f}: raise "
                "--max-memory, or take --tokens mean or a smaller --batch-size"
            )
        part, filled = (part, filled + need) if held + filled + need <= allowed else (part + 1, need)
        plan.append((layer, units, need / MIB, part, (held + filled) / MIB))
    return pd.DataFrame(plan, columns=["layer", "units", "mib", "part", "in_all"])


def rdms_of(network: Scored, stimuli: StimulusFolder, config: ExtractionConfig, see: See | None = None) -> Seen:
    """Show a network, and untrained ones of its architecture, all stimuli.

    `see` makes the network's tensor of an image's path; by default its transform of the picture. With `seeds` the
    network is emptied once it is done. Raises InputError as of `planned`, and for activations that are not finite, or
    differ from one time to the next.
    """
    see = see or (lambda path: network.transform(read_image(path)))
    device, classes, twice = evaluation_device(), stimuli.classes, list[dict[str, Tensor]]()
    first = [(torch.stack([see(path) for path in stimuli.files["path"][:2]]), torch.arange(2)) for _ in range(2)]
    plan = planned(network._replace(module=network.module.to(device)), len(classes), config, first[0][0][:1].to(device))
    print(f"{network.name}: {plan.to_string(index=False, float_format='{:,.1f}'.format)}", file=sys.stderr)
    watched = Watched(network.module, plan["layer"], config.tokens)
    show(watched, first, plan["layer"], Tensor.detach, lambda rows, _: twice.append(rows))
    if differ := [layer for layer in plan["layer"] if not torch.equal(twice[0][layer], twice[1][layer])]:
        raise InputError(f"{network.name}, layer {differ[0]}: other activations for the same image; what is random?")

    def rdms(module: nn.Module, what: str) -> dict[str, RDM]:
        found, batches = dict[str, RDM](), -(-len(stimuli) // config.batch_size)
        for part, group in plan.groupby("part")["layer"]:
            sums, watched = ClassSums(group, len(classes)), Watched(module, group, config.tokens)
            shown = tqdm(stimuli.batches(config.batch_size, see=see), f"{what}, pass {part}", batches, mininterval=5)
            show(watched, shown, group, Tensor.detach, sums.add)
            means = sums.means()
            found |= {layer: from_class_means(means[layer], classes, config.distance) for layer in group}
            del sums, means  # before the next pass needs as much
        return found

    own, weights, told = rdms(network.module, network.name), _first_weights(network.module), str(network.transform)
    how: dict[str, Any] = {"source": network.source, "weights_sha256": weights_sha256(network.module)}
    how |= {"preprocessing": " ".join(told.split()), "layers": plan.to_dict("records")}
    untrained, drawn = list[dict[str, RDM]](), list[Tensor]()
    for seed in config.seeds if network.untrained else ():
        network.module.to("meta")  # two networks at once would need twice the memory
        module = network.untrained(seed).to(device)  # type: ignore[misc]
        drawn = _first_weights(module)
        untrained.append(rdms(module, f"{network.name}, untrained, seed {seed}"))
    random = {name: RDM(np.mean([one[name].values for one in untrained], 0), classes) for name in own if untrained}
    how |= {"untrained_networks": len(untrained), "alarm": alarm(own, untrained, weights, drawn)}
    return Seen(network.name, own, random, how)


def weights_sha256(module: nn.Module) -> str:
    """SHA-256 of all weights and buffers: names, types, shapes and values, in hexadecimal."""
    digest = hashlib.sha256()
    for key, value in module.state_dict().items():
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _first_weights(module: nn.Module) -> list[Tensor]:
    """The first tensors of weights with two dimensions or more, on the CPU."""
    found = [value for key, value in module.state_dict().items() if key.endswith("weight") and value.ndim > 1]
    return [value.cpu().flatten() for value in found[:FIRST_WEIGHTS]]


def alarm(
    own: Mapping[str, RDM], untrained: Sequence[Mapping[str, RDM]], weights: Sequence[Tensor], drawn: Sequence[Tensor]
) -> str:
    """Why a network looks like one that was never trained, in words; empty where it does not.

    Its first weights are distributed as drawn ones (no p of Kolmogorov and Smirnov below .001), or its RDMs of the
    first and the last layer both correlate with the untrained networks' mean at least as each of these does with the
    mean of the others.
    """
    pairs = list(zip(weights, drawn, strict=True)) if untrained else []
    alike = pairs and all(ks_2samp(*pair, method="asymp").pvalue >= 0.001 for pair in pairs)
    said, near = ["its first weights are distributed as drawn ones"] if alike else [], list[str]()
    for layer in (next(iter(own)), list(own)[-1]) if untrained else ():
        values = np.stack([one[layer].values for one in untrained])
        rest = (values.sum(0) - values) / (len(values) - 1)
        least = min(np.corrcoef(one, others)[0, 1] for one, others in zip(values, rest, strict=True))
        r = np.corrcoef(own[layer].values, values.mean(0))[0, 1]
        if r >= least >= AGREED:
            near.append(f"{layer}: r {r:.3f}, theirs at least {least:.3f}")
    if len(near) == 2:
        said.append(f"its RDMs are as near to untrained networks' as these are to each other ({'; '.join(near)})")
    return ", and ".join(said)
