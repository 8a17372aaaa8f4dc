"""RDMs of any network: layers by their modules' names, memory told before it is used, untrained networks beside.

A layer's row is, of maps, the mean over space; of tokens, the first (a ViT's class token) and the mean of the others,
side by side; with ``tokens="all"`` every unit. A layer costs (classes x units) float64 numbers, whatever is shown;
layers that do not fit together into the memory allowed are seen in passes one after the other.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import functools
import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from semanticcmc.config import Count, InputError, Positive, Section
from semanticcmc.evaluation.activations import ClassSums, evaluation_device, show
from semanticcmc.evaluation.stimuli import StimulusFolder, read_image
from semanticcmc.rsa.rdm import RDM, from_class_means
from semanticcmc.run import Progress
from semanticcmc.scoring.networks import Scored
from semanticcmc.training.networks import Encoder

DEFAULT_LAYERS = 8  # at most so many where none are named
AT_ONCE = 6  # a batch's outputs, as large as the largest of a module, that are in memory at once
MIB = 2**20
FIRST_WEIGHTS = 3  # tensors, whose distribution tells trained weights from drawn ones
KOLMOGOROV_001 = 1.95  # times sqrt(2 / n): Kolmogorov-Smirnov distance of two samples of n beyond which p < .001
AGREED = 0.5  # least correlation of untrained networks' RDMs for which it says something to be as near to them
Read = Callable[[str], Tensor]


@dataclasses.dataclass(frozen=True)
class ExtractionConfig(Section):
    """How networks are shown stimuli; options of ``semanticcmc score``."""

    layers: tuple[str, ...]  # names of modules; none: at most `DEFAULT_LAYERS`, evenly
    tokens: Literal["mean", "all"]
    batch_size: Count
    images_per_class: Count | None
    max_memory_gib: Positive


@dataclasses.dataclass(frozen=True)
class Seen:
    """RDMs of a network by layer, the means of its untrained networks' (or none), and how they were made."""

    name: str
    rdms: dict[str, RDM]
    random: dict[str, RDM]
    how: dict[str, Any]

    @property
    def last(self) -> str:
        """The layer at which networks are compared."""
        return list(self.rdms)[-1]


class Watched(nn.Module):
    """A network whose activations are rows of some modules' outputs, taken before the next module may change these."""

    def __init__(self, module: nn.Module, layers: Iterable[str], tokens: str) -> None:
        super().__init__()
        self.module, self.layers, self.tokens = module, tuple(layers), tokens
        self.train(module.training)  # which `show` puts back

    def activations(self, images: Tensor) -> dict[str, Tensor]:
        """Rows (B, d) by layer; InputError for a layer that runs several times, or gives no tensor of all images."""
        rows: dict[str, Tensor] = {}

        def take(layer: str, output: Any) -> None:
            values = _tensor(output)
            if layer in rows:
                raise InputError(f"layer {layer}: runs several times an image; name the module around it")
            if values is None or len(values) != len(images):
                raise InputError(f"layer {layer}: gives no tensor with a row for each of {len(images)} images")
            rows[layer] = self._rows(values).clone()

        if own := getattr(self.module, "activations", None):
            found = own(images)
            for layer in self.layers:
                take(layer, found.get(layer))
            return rows
        with contextlib.ExitStack() as hooks:
            for layer in self.layers:
                hook = functools.partial(lambda layer, _, __, output: take(layer, output), layer)
                hooks.callback(self.module.get_submodule(layer).register_forward_hook(hook).remove)
            self.module(images)
        return rows

    def _rows(self, values: Tensor) -> Tensor:
        if self.tokens == "mean" and values.ndim == 4:
            _, second, third, last = values.shape
            return values.mean((1, 2) if second == third != last else (2, 3))  # channels last, as Swin has them
        if self.tokens == "mean" and values.ndim == 3 and values.shape[1] > 1:
            return torch.cat((values[:, 0], values[:, 1:].mean(1)), dim=1)
        return values.flatten(1)


def _tensor(output: Any) -> Tensor | None:
    """The tensor that a module gives, or the first of several."""
    output = output[0] if isinstance(output, (tuple, list)) and output else output
    return output if isinstance(output, Tensor) else None


@torch.inference_mode()
def outputs(module: nn.Module, image: Tensor) -> dict[str, int]:
    """Units of the output of every module that runs, by name, for an image (1, 3, h, w), in the order of their ends."""
    names, found = {part: name for name, part in module.named_modules()}, dict[str, int]()

    def note(part: nn.Module, _: Any, output: Any) -> None:
        if part in names and (tensor := _tensor(output)) is not None:
            found[names[part]] = tensor.numel()

    hook = nn.modules.module.register_module_forward_hook(note)
    getattr(module, "activations", module)(image)
    hook.remove()
    return found


def layers_of(module: nn.Module, image: Tensor) -> list[str]:
    """Layers that are offered, in the order in which they run.

    They are the modules whose output goes into the next block that has weights: of a chain of modules, and of one that
    holds more than half of the weights, those inside. The last, a classifier's scores, or our fc8, is left out.
    """
    if own := getattr(module, "activations", None):
        return list(own(image))[: -1 if isinstance(module, Encoder) else None]
    total = sum(one.numel() for one in module.parameters())

    def blocks(name: str, part: nn.Module) -> Iterator[tuple[str, nn.Module]]:
        inside, mine = dict(part.named_children()), sum(one.numel() for one in part.parameters())
        if inside and (not name or type(part) in (nn.Sequential, nn.ModuleList) or 2 * mine > total):
            for child, one in inside.items():
                yield from blocks(f"{name}.{child}".removeprefix("."), one)
        else:
            yield name, part

    parts = dict(blocks("", module))
    ran = [name for name in outputs(module, image) if name in parts]
    weighted = [any(one.ndim > 1 for one in parts[name].parameters()) for name in ran]
    return [name for name, after in zip(ran, weighted[1:], strict=False) if after] or ran


def chosen_layers(network: Scored, asked: Sequence[str], image: Tensor) -> tuple[str, ...]:
    """The layers asked for, or by default at most `DEFAULT_LAYERS`, evenly; an InputError lists what there is."""
    there = layers_of(network.module, image)
    own = getattr(network.module, "activations", None)
    every = list(own(image)) if own else [name for name, _ in network.module.named_modules() if name]
    if unknown := [layer for layer in asked if layer not in every]:
        near = ", ".join(difflib.get_close_matches(unknown[0], every, 3, 0.6)) or "none"
        raise InputError(
            f"{network.name}: no layer {unknown[0]!r}; there are {', '.join(there)}, and any of its "
            f"{len(every)} modules (near: {near})"
        )
    places = np.linspace(0, len(there) - 1, min(len(there), DEFAULT_LAYERS)).round().astype(int)
    return tuple(dict.fromkeys(asked)) or tuple(there[place] for place in places)


def forecast(
    network: Scored, layers: Sequence[str], classes: int, config: ExtractionConfig, image: Tensor
) -> pd.DataFrame:
    """What each layer will need: ``layer, units, mib`` of its class means, and ``part``, the pass in which it is seen.

    Raises InputError for a layer that does not fit into ``max_memory_gib`` by itself, or that does not run.
    """
    with torch.inference_mode():
        rows = Watched(network.module, layers, config.tokens).activations(image)
    if idle := [layer for layer in layers if layer not in rows]:
        raise InputError(f"{network.name}, layer {idle[0]}: does not run when the network is shown an image")
    largest = max(image.numel(), *outputs(network.module, image).values())
    held = torch.cuda.memory_allocated() if image.is_cuda else resident_bytes("VmRSS")  # where class means lie
    held += config.batch_size * largest * 4 * AT_ONCE
    allowed = config.max_memory_gib * 1024 * MIB
    plan, part, filled = [], 1, 0.0
    for layer in layers:
        need = classes * rows[layer].shape[1] * 8 + classes**2 * 8
        if held + need > allowed:
            raise InputError(
                f"{network.name}, layer {layer}: class means of {classes} x {rows[layer].shape[1]:,} units need "
                f"{need / MIB:,.0f} MiB beside {held / MIB:,.0f} MiB of network and batch, allowed are "
                f"{allowed / MIB:,.0f}: raise --max-memory, or take --tokens mean or a smaller --batch-size"
            )
        part, filled = (part, filled + need) if held + filled + need <= allowed else (part + 1, need)
        plan.append((layer, rows[layer].shape[1], need / MIB, part))
    return pd.DataFrame(plan, columns=["layer", "units", "mib", "part"])


def resident_bytes(field: str) -> int:
    """Memory of this process, now (``VmRSS``) or at its most (``VmHWM``); 0 where the system does not say so."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(field)), 0)


def rdms_of(
    network: Scored,
    stimuli: StimulusFolder,
    config: ExtractionConfig,
    distance: str,
    seeds: Sequence[int] = (),
    read: Read | None = None,
) -> Seen:
    """Show a network, and untrained ones of its architecture from `seeds`, all stimuli.

    `read` makes the network's tensor of an image's path; by default its transform of the picture. With `seeds` the
    network is emptied once it is done. Raises InputError for a layer that it lacks, too little memory, activations that
    are not finite, or that differ from one time to the next.
    """
    see = read or (lambda path: network.transform(read_image(path)))
    device, classes, twice = evaluation_device(), stimuli.classes, list[dict[str, Tensor]]()
    first = torch.stack([see(path) for path in stimuli.files["path"][:2]]).to(device)
    network.module.to(device)
    layers = chosen_layers(network, config.layers, first[:1])
    plan = forecast(network, layers, len(classes), config, first[:1])
    print(f"{network.name}: {plan.to_string(index=False, float_format='{:,.1f}'.format)}", file=sys.stderr)
    for _ in range(2):
        watched = Watched(network.module, layers, config.tokens)
        show(watched, [(first, torch.arange(len(first)))], layers, Tensor.detach, lambda rows, _: twice.append(rows))
    if differ := [layer for layer in layers if not torch.equal(twice[0][layer], twice[1][layer])]:
        raise InputError(
            f"{network.name}, layer {differ[0]}: gives other activations for the same image; see its forward"
        )

    def rdms(module: nn.Module, what: str) -> dict[str, RDM]:
        found, progress = {}, Progress(what, len(stimuli) * int(plan["part"].max()))
        for part, group in plan.groupby("part")["layer"]:
            sums, before = ClassSums(group, len(classes)), (int(str(part)) - 1) * len(stimuli)
            batches = _batches(stimuli, see, config.batch_size, progress, before)
            show(Watched(module, group, config.tokens), batches, group, Tensor.detach, sums.add)
            for layer in group:
                with torch.inference_mode():  # in place, as tensors of this mode may be
                    means = sums.sums.pop(layer).div_(torch.from_numpy(sums.counts[:, None]).to(device))
                found[layer] = from_class_means(means, classes, distance)
        return found

    how: dict[str, Any] = {"source": network.source, "weights_sha256": weights_sha256(network.module)}
    how |= {"preprocessing": " ".join(str(network.transform).split()), "layers": plan.to_dict("records")}
    own, kept = rdms(network.module, network.name), _first_weights(network.module)
    untrained, apart = list[dict[str, RDM]](), 0.0
    if seeds:
        network.module.to("meta")  # two networks at once would need twice the memory
    drawn = network.untrained
    for seed in seeds if drawn else ():
        module = drawn(seed).to(device)  # type: ignore[misc]
        apart = apart or weights_distance(kept, _first_weights(module))
        untrained.append(rdms(module, f"{network.name}, untrained, seed {seed}"))
        del module
    means = {
        layer: RDM(np.mean([one[layer].values for one in untrained], axis=0), classes) for layer in own if untrained
    }
    how |= {"untrained_networks": len(untrained), "alarm": alarm(own, untrained, apart)}
    return Seen(network.name, own, means, how | {"peak_memory_mib": resident_bytes("VmHWM") // MIB})


def _batches(
    stimuli: StimulusFolder, read: Read, size: int, progress: Progress, before: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """All images, as `read` makes tensors of them in torch's number of threads, and the place of each one's class."""
    index = torch.from_numpy(np.searchsorted(stimuli.classes, stimuli.files["wnid"].to_list()))
    paths = stimuli.files["path"].tolist()
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        for start in range(0, len(paths), size):
            yield torch.stack(list(threads.map(read, paths[start : start + size]))), index[start : start + size]
            progress.update(before + min(start + size, len(paths)))


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
    return [value.cpu() for value in found[:FIRST_WEIGHTS]]


def weights_distance(weights: Sequence[Tensor], drawn: Sequence[Tensor]) -> float:
    """How far weights are from drawn ones of the same shapes, in distribution.

    The largest Kolmogorov-Smirnov distance of two tensors over what two samples of one distribution exceed once in
    1,000 times: above 1 the weights are not as drawn.
    """
    largest = 0.0
    for pair in zip(weights, drawn, strict=True):
        x, y = (one.flatten().double().sort().values for one in pair)
        at = torch.cat((x, y))
        shares = [torch.searchsorted(one, at, right=True) / len(one) for one in (x, y)]
        largest = max(largest, float((shares[0] - shares[1]).abs().max()) / (KOLMOGOROV_001 * (2 / len(x)) ** 0.5))
    return largest


def alarm(own: dict[str, RDM], untrained: Sequence[dict[str, RDM]], apart: float) -> str:
    """Why a network looks like one that was never trained, in words; empty where it does not.

    Its first weights are distributed as drawn ones (`weights_distance`), or its RDMs of the first and of the last layer
    both correlate with the untrained networks' mean at least as each of these does with the mean of the others.
    """
    if not untrained:
        return ""
    said, near = ["its first weights are distributed as drawn ones"] if apart <= 1 else [], []
    for layer in (next(iter(own)), list(own)[-1]):
        drawn = np.stack([one[layer].values for one in untrained])
        rest = (drawn.sum(0) - drawn) / (len(drawn) - 1)
        least = min(np.corrcoef(one, others)[0, 1] for one, others in zip(drawn, rest, strict=True))
        r = np.corrcoef(own[layer].values, drawn.mean(0))[0, 1]
        if r >= least >= AGREED:
            near.append(f"{layer}: r {r:.3f}, theirs at least {least:.3f}")
    if len(near) == 2:
        said.append(f"its RDMs are as near to untrained networks' as these are to each other ({'; '.join(near)})")
    return ", and ".join(said)
