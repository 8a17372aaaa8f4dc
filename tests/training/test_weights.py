"""Weights in the layouts of CMC, SemanticCMC and torchvision: read, poured, compared layer by layer, refused."""

import argparse
import builtins
import os
import pickle
import subprocess

import numpy as np
import pytest
import torch
import torchvision
import yaml
from torch.nn import functional

from semanticcmc.config import InputError
from semanticcmc.experiment import Network, load_experiment, read_values
from semanticcmc.training.checkpoints import load_network, load_weights
from semanticcmc.training.loop import Run
from semanticcmc.training.networks import LAYERS, NetworksConfig, build
from semanticcmc.training.weights import read_weights

PUBLISHED = NetworksConfig("published", (96, 256, 384, 384, 256), (4096, 4096), 128, 224)
NARROW = NetworksConfig("published", (8, 12, 10, 6, 4), (16, 14), 6, 96)
BLOCKS = ("conv_block_1", "conv_block_2", "conv_block_3", "conv_block_4", "conv_block_5")
STRIDES, PADDINGS, KERNELS = (4, 1, 1, 1, 1), (2, 2, 1, 1, 1), (11, 5, 3, 3, 3)


def built(name, config, seed=0):
    return build(Network.named(name, "info_nce", seed), config)


def random_weights(prefix, in_channels, config, share, seed):
    """Weights under the names of CMC's public code: convolutions without bias, batch norm, fc8 inside a list."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}

    def layer(name, *shape, bias):
        fan_in = torch.Size(shape[1:]).numel()
        weights[f"{prefix}{name}.0.weight"] = torch.randn(shape, generator=generator) * (2 / fan_in) ** 0.5
        if bias:
            weights[f"{prefix}{name}.0.bias"] = torch.randn(shape[0], generator=generator)
        if name != "fc8":
            for key in ("weight", "bias", "running_mean", "running_var"):
                weights[f"{prefix}{name}.1.{key}"] = torch.rand(shape[0], generator=generator) + 0.5
            weights[f"{prefix}{name}.1.num_batches_tracked"] = torch.tensor(7)

    inputs = in_channels
    for name, width, kernel in zip(BLOCKS, config.conv_channels, KERNELS, strict=True):
        layer(name, width // share, inputs, kernel, kernel, bias=False)
        inputs = width // share
    inputs *= config.final_px**2
    for name, units in (
        ("fc6", config.fc_units[0] // share),
        ("fc7", config.fc_units[1] // share),
        ("fc8", config.embedding_dim),
    ):
        layer(name, units, inputs, bias=True)
        inputs = units
    return weights


def lab_weights(config, prefix="encoder.module."):
    return random_weights(f"{prefix}l_to_ab.", 1, config, 2, seed=1) | random_weights(
        f"{prefix}ab_to_l.", 2, config, 2, seed=2
    )


def full_weights(config, prefix="encoder.module.alexnet."):
    return random_weights(prefix, 3, config, 1, seed=3)


def by_hand(weights, prefix, images):
    """The published network in plain functions, from CMC's names, in evaluation mode."""

    def finished(values, name):
        statistics = [weights[f"{prefix}{name}.1.running_{which}"] for which in ("mean", "var")]
        scale, shift = weights[f"{prefix}{name}.1.weight"], weights[f"{prefix}{name}.1.bias"]
        return functional.relu(functional.batch_norm(values, *statistics, scale, shift))

    layers, values = [], images
    for name, stride, padding in zip(BLOCKS, STRIDES, PADDINGS, strict=True):
        values = functional.conv2d(values, weights[f"{prefix}{name}.0.weight"], None, stride, padding)
        values = finished(values, name)
        layers.append(values)
        if name[-1] in "125":
            values = functional.max_pool2d(values, 3, 2)
    values = values.flatten(1)
    for name in ("fc6", "fc7", "fc8"):
        values = functional.linear(values, weights[f"{prefix}{name}.0.weight"], weights[f"{prefix}{name}.0.bias"])
        values = finished(values, name) if name != "fc8" else values
        layers.append(values)
    return dict(zip(LAYERS, layers, strict=True))


def noise(*shape, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def in_float64(weights):
    """Exact to some 1e-15, so that in which order a processor sums is no matter."""
    return {name: values.double() if values.is_floating_point() else values for name, values in weights.items()}


def as_cmc_saves(weights, **more):
    """What CMC's training script saves: beside the weights its settings and a rate that numpy computed."""
    options = argparse.Namespace(lr=0.03, layer=5, view="Lab", lr_decay_epochs=[120, 160])
    groups = [{"lr": np.float64(0.03), "params": [0]}]
    return {"opt": options, "model": weights, "optimizer": {"param_groups": groups, "state": {}}, "epoch": 240, **more}


def read_into(file, network, **options):
    load_weights(network, read_weights(file, network, **options), file)
    return network.eval()


def assert_layers_equal(got, expected, near=1e-5):
    for layer in LAYERS:
        torch.testing.assert_close(got[layer], expected[layer], rtol=near, atol=near)


def test_cmc_at_the_published_width_is_its_definition_at_every_layer(tmp_path):
    weights = lab_weights(PUBLISHED)
    torch.save(as_cmc_saves(weights), tmp_path / "alexnet.pth")
    network = read_into(tmp_path / "alexnet.pth", built("cmc_lab", PUBLISHED, 0)).double()
    images, weights = noise(2, 3, 224, 224, dtype=torch.float64), in_float64(weights)
    with torch.inference_mode():
        halves = [
            by_hand(weights, f"encoder.module.{half}.", channels)
            for half, channels in (("l_to_ab", images[:, :1]), ("ab_to_l", images[:, 1:]))
        ]
        side_by_side = {layer: torch.cat([half[layer] for half in halves], dim=1) for layer in LAYERS}
        assert_layers_equal(network.activations(images), side_by_side, near=1e-10)
        for embedding, half in zip(network.pair(images[:, :1], images[:, 1:]), halves, strict=True):
            unit = half["fc8"] / half["fc8"].pow(2).sum(1, keepdim=True).sqrt()
            torch.testing.assert_close(embedding, unit, rtol=1e-10, atol=1e-10)
        poured = read_into(tmp_path / "alexnet.pth", built("semantic_60s", PUBLISHED, 0)).double()
        together = side_by_side | {"fc8": halves[0]["fc8"] + halves[1]["fc8"]}
        assert_layers_equal(poured.activations(images), together, near=1e-6)  # biases were summed in float32


def test_semanticcmc_at_the_published_width_is_its_definition_at_every_layer(tmp_path):
    weights = full_weights(PUBLISHED)
    torch.save(weights, tmp_path / "ckpt.pth")  # a state_dict by itself
    network = read_into(tmp_path / "ckpt.pth", built("semantic_60s", PUBLISHED, 0)).double()
    images = noise(2, 3, 224, 224, dtype=torch.float64)
    with torch.inference_mode():
        expected = by_hand(in_float64(weights), "encoder.module.alexnet.", images)
        assert_layers_equal(network.activations(images), expected, near=1e-10)
        unit = expected["fc8"] / expected["fc8"].norm(dim=1, keepdim=True)
        torch.testing.assert_close(network(images), unit, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("prefix", ["", "encoder.", "module.encoder.", "encoder.module.", "module."])
def test_every_spelling_of_the_keys_is_understood(tmp_path, prefix, zipped):
    file = tmp_path / "checkpoint.pth"
    for name, weights in (
        ("cmc_lab", lab_weights(NARROW, prefix)),
        ("augment", full_weights(NARROW, f"{prefix}alexnet.")),
        ("augment", full_weights(NARROW, prefix)),
    ):
        torch.save(as_cmc_saves(weights), file, _use_new_zipfile_serialization=zipped)
        given = read_weights(file, built(name, NARROW, 0))
        assert len(given) == len(weights)
        assert all(torch.equal(one, other) for one, other in zip(given.values(), weights.values(), strict=True))


def test_a_checkpoint_of_our_own_is_read_too(tmp_path):
    for name in ("cmc_lab", "semantic_1s"):
        network = built(name, NARROW, 4)
        torch.save({"settings": "{}", "step": 3, "network": network.state_dict()}, tmp_path / "checkpoint.pt")
        given = read_weights(tmp_path / "checkpoint.pt", built(name, NARROW, 5))
        assert given.keys() == network.state_dict().keys()
        assert all(torch.equal(value, given[key]) for key, value in network.state_dict().items())


@pytest.fixture(scope="module")
def torchvision_file(tmp_path_factory):
    """torchvision's AlexNet with random weights, and the file that holds them."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        peer = torchvision.models.alexnet(weights=None).eval()
    file = tmp_path_factory.mktemp("torchvision") / "alexnet-owt.pth"
    torch.save(peer.state_dict(), file)
    return peer, file


def torchvision_layers(peer, images):
    """Outputs of every ReLU of torchvision's network, and its class scores."""
    values, layers = images, []
    for module in (*peer.features, peer.avgpool, torch.nn.Flatten(), *peer.classifier):
        values = module(values)
        if isinstance(module, torch.nn.ReLU):
            layers.append(values.clone())
    return dict(zip(LAYERS, [*layers, values], strict=True))


def test_supervised_is_torchvisions_network_at_every_layer(torchvision_file):
    peer, file = torchvision_file
    network = read_into(file, built("supervised", NARROW, 0))
    images = noise(2, 3, 224, 224)
    with torch.inference_mode():
        assert_layers_equal(network.activations(images), torchvision_layers(peer, images))
        torch.testing.assert_close(network(images), peer(images))


@pytest.fixture
def experiment(tmp_path, repository):
    """A function that makes the smoke experiment anew: training changed, another normalisation than torchvision's."""

    def make(**changes):
        values = read_values("smoke")[0]
        values["training"] |= changes
        values["views"]["normalisation"] = "published"
        (tmp_path / "experiment.yaml").write_text(yaml.safe_dump(values))
        return load_experiment(tmp_path / "experiment.yaml")

    return make


def test_supervised_in_an_experiment_sees_its_own_size_and_normalisation(torchvision_file, experiment):
    peer, file = torchvision_file
    E = experiment(supervised_weights=str(file))
    run = Run(E, E.network("supervised", 0))
    run.train()
    assert run.steps == 0
    stimuli = torch.randint(0, 256, (2, 3, 224, 224), dtype=torch.uint8)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.inference_mode():
        expected = torchvision_layers(peer, (stimuli / 255 - mean) / std)
        assert_layers_equal(load_network(run.folder).activations(stimuli), expected)


def test_supervised_without_weights_says_where_to_name_them(experiment):
    with pytest.raises(InputError, match=r"training\.supervised_weights is null; name"):
        E = experiment()
        Run(E, E.network("supervised", 0))


def test_poured_weights_keep_both_halves_apart_at_every_layer(tmp_path):
    """In float64, so that the order of summation is all that may differ."""
    weights = {
        key.replace("conv_block_", "conv").replace("fc8.0.", "fc8."): value
        for key, value in lab_weights(NARROW, prefix="").items()
    }
    images = noise(3, 3, 96, 96).double()
    torch.save(weights, tmp_path / "lab.pth")
    lab, network = built("cmc_lab", NARROW).double(), built("augment", NARROW, 1).double()
    lab.load_state_dict(weights)
    read_into(tmp_path / "lab.pth", network)
    for training in (False, True):
        expected, got = (net.train(training).activations(images) for net in (lab, network))
        for layer in LAYERS[:-1]:
            torch.testing.assert_close(got[layer], expected[layer], rtol=1e-12, atol=1e-12)
        summed = sum(expected["fc8"].split(NARROW.embedding_dim, dim=1))
        torch.testing.assert_close(got["fc8"], summed, rtol=1e-12, atol=1e-12)


def test_weights_between_the_halves_are_zero_or_kept(tmp_path):
    lab, before = built("cmc_lab", NARROW, 0), built("augment", NARROW, 1).state_dict()
    torch.save(lab.state_dict(), tmp_path / "lab.pth")
    for off_diagonal in ("zero", "kept"):
        network = built("augment", NARROW, 1)
        read_into(tmp_path / "lab.pth", network, off_diagonal=off_diagonal)
        for layer, first_inputs in (("conv1", 1), ("conv2", 4), ("conv5", 3), ("fc6", 8), ("fc7", 8)):
            got, was = network.state_dict()[f"{layer}.0.weight"], before[f"{layer}.0.weight"]
            outputs = len(got) // 2
            for rows, columns in (
                (slice(outputs), slice(first_inputs, None)),
                (slice(outputs, None), slice(first_inputs)),
            ):
                block = got[rows, columns]
                assert torch.equal(block, was[rows, columns] if off_diagonal == "kept" else block * 0)
            for rows, columns, half in (
                (slice(outputs), slice(first_inputs), lab.l_to_ab),
                (slice(outputs, None), slice(first_inputs, None), lab.ab_to_l),
            ):
                assert torch.equal(got[rows, columns], half.state_dict()[f"{layer}.0.weight"])


def test_halves_of_another_width_are_not_poured(tmp_path):
    wider = NetworksConfig("published", (8, 12, 10, 6, 4), (16, 18), 6, 96)
    torch.save(built("cmc_lab", wider).state_dict(), tmp_path / "lab.pth")
    with pytest.raises(InputError, match=r"l_to_ab\.fc7\.0\.weight has shape \(9, 8\), this network \(7, 8\)"):
        read_weights(tmp_path / "lab.pth", built("augment", NARROW))


class Runs:
    """A pickle that calls `function` when it is read."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    ("function", "command"),
    [(os.system, "touch {}"), (subprocess.call, ["touch", "{}"]), (builtins.exec, "open('{}', 'w')")],
)
@pytest.mark.parametrize("place", ["value", "settings", "weights", "scalar"])
def test_a_malicious_checkpoint_is_refused_and_nothing_of_it_runs(tmp_path, function, command, place, zipped):
    marker, file = tmp_path / "marker", tmp_path / "alexnet.pth"
    filled = [part.format(marker) for part in command] if isinstance(command, list) else command.format(marker)
    evil = Runs(function, filled)
    values = as_cmc_saves(full_weights(NARROW))
    if place == "settings":
        values["opt"].extra = evil
    elif place == "weights":
        values["model"]["encoder.module.alexnet.conv_block_1.0.weight"] = evil
    elif place == "scalar":
        values["epoch"] = Runs(np.float64(1).__reduce__()[0], evil, b"")
    else:
        values["extra"] = evil
    torch.save(values, file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(InputError, match=r"alexnet\.pth.*refused \(it asks for (\w+\.)?(system|call|exec)\)"):
        read_weights(file, built("augment", NARROW, 0))
    file.write_bytes(pickle.dumps(values, protocol=2))  # not by torch.save at all
    with pytest.raises(InputError, match="refused"):
        read_weights(file, built("augment", NARROW, 0))
    assert not marker.exists()
    if place == "value":  # the trap works: Python's own pickle falls into it
        pickle.loads(pickle.dumps(evil))
        assert marker.exists()


FIRST = "encoder.module.alexnet.conv_block_2.0.weight"


@pytest.mark.filterwarnings("ignore:Validating sparse tensor")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.update({FIRST: torch.ones(12, 8, 3, 3)}), rf"{FIRST} has shape \(12, 8, 3, 3\).*\(12, 8, 5, 5\)"),
        (lambda w: w.pop(FIRST), r"no weights for conv2\.0\.weight"),
        (lambda w: w.update({FIRST: w[FIRST] * torch.nan}), rf"{FIRST} holds values that are not finite"),
        (lambda w: w.update({FIRST: w[FIRST].long()}), rf"{FIRST} holds torch\.int64, this network torch\.float32"),
        (lambda w: w.update({FIRST: "text"}), rf"{FIRST} is no plain tensor"),
        (lambda w: w.update({FIRST: w[FIRST].to_sparse()}), rf"{FIRST} is no plain tensor"),
        (lambda w: w.update({FIRST: w[FIRST].to("meta")}), rf"{FIRST} is no plain tensor"),
        (lambda w: w.update({"module.head.weight": torch.ones(2)}), r"module\.head\.weight has no place"),
        (lambda w: w.update({"conv2.0.weight": w[FIRST]}), rf"{FIRST} and conv2\.0\.weight are one weight"),
        (lambda w: w.clear(), "holds no weights"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_the_files_own_key(tmp_path, change, message):
    file, weights = tmp_path / "ckpt.pth", full_weights(NARROW)
    change(weights)
    torch.save({"model": weights}, file)
    with pytest.raises(InputError, match=rf"ckpt\.pth: .*{message}"):
        read_weights(file, built("augment", NARROW, 0))


def test_weights_of_another_network_are_refused(tmp_path, torchvision_file):
    file = tmp_path / "ckpt.pth"
    torch.save(full_weights(NARROW), file)
    for name, missing in (("cmc_lab", r"l_to_ab\.conv1\.0\.weight"), ("supervised", r"conv1\.0\.bias|shape")):
        with pytest.raises(InputError, match=missing):
            read_weights(file, built(name, NARROW, 0))
    with pytest.raises(InputError, match=r"features\.0\.weight has shape \(64, 3, 11, 11\)"):
        read_weights(torchvision_file[1], built("augment", PUBLISHED, 0))
    torch.save(as_cmc_saves({k: v for k, v in lab_weights(NARROW).items() if "ab_to_l.fc6.1.bias" not in k}), file)
    with pytest.raises(InputError, match=r"no weights for ab_to_l\.fc6\.1\.bias"):
        read_weights(file, built("augment", NARROW, 0))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such checkpoint"),
        (b"", "torn, or was never written by torch.save"),
        (b"movie_id,time_s\nalien,1\n", "torn, or was never written by torch.save"),
        ("torn", "torn, or was never written by torch.save"),
        ("folder", "a folder, not a checkpoint"),
        ("list", "expected a checkpoint, found list"),
        ("module", "it asks for .*AlexNet"),
        ("dictionary", "holds no weights"),
    ],
)
def test_what_is_no_checkpoint_is_refused_by_name(tmp_path, content, message):
    file, network = tmp_path / "ckpt.pth", built("augment", NARROW, 0)
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content == "torn":
        torch.save({"model": full_weights(NARROW)}, file)
        file.write_bytes(file.read_bytes()[:2000])
    elif content == "folder":
        file.mkdir()
    elif content is not None:
        held = {"list": [1, 2], "module": network, "dictionary": {"model": 3}}
        torch.save(held[content], file)
    with pytest.raises(InputError, match=rf"ckpt\.pth: .*{message}") as raised:
        read_weights(file, network)
    assert "weights_only" not in str(raised.value)  # never advised to read it in an unsafe way
