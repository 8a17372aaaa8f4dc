"""Steps on a GPU, as far as a computer without one can tell: where tensors lie, and what waits for the GPU.

PyTorch's fake tensors have a device and a shape but no values. Operations on tensors of two devices, and those that
need values on the computer (`item`, a mask as index), raise; copies that the computer waits for are collected. The
backward pass, which the autograd engine makes of the same operations, is left out.
"""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from semanticcmc.experiment import load_experiment
from semanticcmc.training import recipe
from semanticcmc.training.loop import Run
from tests.training.test_loop import BANK, experiment, frames  # noqa: F401  (fixtures)
from tests.training.test_objectives import NAMES, folder, write_experiment  # noqa: F401

GPU = torch.device("cuda", 0)
# Objectives whose loss does wait: for a mask as index, `bincount`, `torch.cov`; sounds are read from disk in the step.
WAIT = ("cocon", "sup_con", "colourisation", "vicreg", "sound")
EVERY_COLOUR = {"jitter": [0.4, 0.4, 0.4, 0.2], "jitter_share": 1.0, "grey_share": 0.2}


class Waits(TorchDispatchMode):
    """Collects copies between devices that are not ``non_blocking``, and tensors of a GPU indexed from the computer."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out, name = op(*args, **kwargs), op.overloadpacket.__name__
        if name == "_to_copy":
            waits = args[0].device != out.device and not kwargs.get("non_blocking")
        elif name == "copy_":
            waits = args[0].device != args[1].device and not any(args[2:])
        elif name in ("index", "index_put", "index_put_", "_unsafe_index"):
            waits = args[0].device == GPU and any(i is not None and i.device != GPU for i in args[1])
        else:
            waits = False
        if waits:
            self.found.append(f"{op} {tuple(out.shape)}")
        return out


def move(module, fake):
    """Parameters and buffers become fake ones on the GPU."""
    for part in module.modules():
        for name, value in part._parameters.items():
            if value is not None:
                there = fake.from_tensor(value.detach()).to(GPU)
                part._parameters[name] = torch.nn.Parameter(there, value.requires_grad)
        for name, value in part._buffers.items():
            part._buffers[name] = None if value is None else fake.from_tensor(value).to(GPU)


def waits_of_a_step(run, monkeypatch):
    """What the computer waits for in batch and step, as `Run` makes them on a GPU; no kernel runs."""
    run.objective.train()
    run.objective.start()
    drawn = run.batches._draw(torch.Generator())
    pictures, places = run.batches._read(drawn)
    run.batches.device = GPU

    def backward(loss):
        assert loss.device == GPU
        for parameter in run.objective.parameters():
            if parameter.requires_grad:
                parameter.grad = torch.zeros_like(parameter)

    monkeypatch.setattr(torch.Tensor, "backward", backward)
    with FakeTensorMode(allow_non_fake_inputs=True) as fake:
        move(run.objective, fake)
        run.optimiser = recipe.make_optimiser(run.config, list(run.objective.parameters()))
        resident = {kind: fake.from_tensor(images).to(GPU) for kind, images in pictures.items()}
        with Waits() as waits:
            for frames in (pictures, resident):
                batch = run.batches._batch(drawn, frames, places)
                assert all(images.device == GPU for images in batch.images)
                run._step(batch)
    return waits.found


@pytest.mark.parametrize("name", NAMES)
def test_no_step_waits_for_the_gpu(tmp_path, folder, name, monkeypatch):  # noqa: F811
    E = load_experiment(write_experiment(tmp_path / "own", folder, clip_norm=1.0))
    network = E.network(name, 0)
    if network.objective in WAIT:
        pytest.skip("waits, as WAIT says")
    E.sections["views"].update(EVERY_COLOUR)
    assert waits_of_a_step(Run(E, network), monkeypatch) == []


@pytest.mark.parametrize("name", ["semantic_5s", "cmc_lab"])
@pytest.mark.parametrize("sharing", ["batch", "sample"])
def test_no_step_of_the_published_objective_waits(experiment, name, sharing, monkeypatch):  # noqa: F811
    bank = BANK["memory_bank"] | {"sharing": sharing}
    E = experiment(**BANK | {"memory_bank": bank, "negatives": "cross_film"})
    E.sections["views"].update(EVERY_COLOUR)
    assert waits_of_a_step(Run(E, E.network(name, 0)), monkeypatch) == []


def test_waits_are_seen():
    with FakeTensorMode(), Waits() as waits:
        there = torch.empty(3, device=GPU)
        torch.empty(3).to(GPU, non_blocking=True)
        assert waits.found == []
        there.new_tensor([1.0, 2.0])
        there[torch.tensor([0, 1])]
        there.cpu()
        assert len(waits.found) == 3
