"""Networks against the published definition, written out with plain functions."""

import pytest
import torch
from torch.nn import functional
from torchvision.models import resnet18

from semanticcmc.config import InputError, configure
from semanticcmc.experiment import Network
from semanticcmc.training.checkpoints import load_weights, read_checkpoint
from semanticcmc.training.networks import LAYERS, NetworksConfig, TrainedNetwork, build
from semanticcmc.training.views import ViewsConfig, evaluation_view

PUBLISHED = NetworksConfig("published", (96, 256, 384, 384, 256), (4096, 4096), 128, 224)
NARROW = NetworksConfig("published", (8, 12, 10, 6, 4), (16, 14), 6, 96)
MINIATURE = NetworksConfig("miniature", (16, 48, 96, 64, 64), (256, 128), 64, 44)
VIEWS = ViewsConfig((0.5, 1.0), (0.75, 1.33), 0.5, (0.2, 0.2, 0.2, 0.0), 0.8, 0.0, "imagenet")


def built(name, config, seed=0):
    return build(Network.named(name, "info_nce", seed), config)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def perturb(network, seed=1):
    """Give batch norm's weights and running statistics values that matter."""
    generator = torch.Generator().manual_seed(seed)
    for value in network.state_dict().values():
        if value.ndim == 1 and value.dtype == torch.float32:
            value.copy_(torch.rand(len(value), generator=generator) + 0.5)
    return network


def published_layers(weights, images, training):
    """The published network, step by step: conv (no bias), batch norm, ReLU, and 3/2 pools after 1, 2, 5."""

    def normed(values, layer):
        statistics = [weights[f"{layer}.1.running_{name}"].clone() for name in ("mean", "var")]
        scale, shift = weights[f"{layer}.1.weight"], weights[f"{layer}.1.bias"]
        return functional.batch_norm(values, *statistics, scale, shift, training=training)

    layers, values = {}, images
    plan = {"conv1": (4, 2), "conv2": (1, 2), "conv3": (1, 1), "conv4": (1, 1), "conv5": (1, 1)}
    for layer, (stride, padding) in plan.items():
        values = functional.conv2d(values, weights[f"{layer}.0.weight"], None, stride, padding)
        layers[layer] = values = functional.relu(normed(values, layer))
        if layer in ("conv1", "conv2", "conv5"):
            values = functional.max_pool2d(values, 3, 2)
    values = values.flatten(1)
    for layer in ("fc6", "fc7"):
        values = functional.linear(values, weights[f"{layer}.0.weight"], weights[f"{layer}.0.bias"])
        layers[layer] = values = functional.relu(normed(values, layer))
    layers["fc8"] = functional.linear(values, weights["fc8.weight"], weights["fc8.bias"])
    return layers


@pytest.mark.parametrize("training", [False, True])
def test_every_layer_is_the_published_definition(training):
    network = perturb(built("semantic_60s", NARROW, 0)).train(training)
    images = noise(5, 3, 96, 96)
    expected = published_layers(network.state_dict(), images, training)
    got = network.activations(images)
    assert tuple(got) == LAYERS
    for layer in LAYERS:
        torch.testing.assert_close(got[layer], expected[layer], atol=1e-5, rtol=1e-5)
    embedding = expected["fc8"] / expected["fc8"].norm(dim=1, keepdim=True)
    torch.testing.assert_close(network(images), embedding, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("training", [False, True])
def test_each_half_of_cmc_is_the_published_definition_at_half_width(training):
    network = perturb(built("cmc_lab", NARROW, 0)).train(training)
    images = noise(5, 3, 96, 96)
    weights = network.state_dict()
    halves = [
        published_layers(
            {key.removeprefix(f"{half}."): value for key, value in weights.items() if key.startswith(half)},
            channels,
            training,
        )
        for half, channels in (("l_to_ab", images[:, :1]), ("ab_to_l", images[:, 1:]))
    ]
    got = network.activations(images)
    widths = [4, 6, 5, 3, 2, 8, 7, 6]  # half of NARROW's, and each half's whole embedding
    for layer, width in zip(LAYERS, widths, strict=True):
        assert got[layer].shape[1] == 2 * width
        expected = torch.cat([half[layer] for half in halves], dim=1)
        torch.testing.assert_close(got[layer], expected, atol=1e-5, rtol=1e-5)


def test_the_published_network_has_the_published_shapes():
    with torch.device("meta"):
        network = built("semantic_60s", PUBLISHED, 0)
        shapes = {k: tuple(v.shape[1:]) for k, v in network.activations(torch.empty(2, 3, 224, 224)).items()}
    assert shapes == {
        "conv1": (96, 55, 55),
        "conv2": (256, 27, 27),
        "conv3": (384, 13, 13),
        "conv4": (384, 13, 13),
        "conv5": (256, 13, 13),
        "fc6": (4096,),
        "fc7": (4096,),
        "fc8": (128,),
    }
    convolutions = 96 * 3 * 121 + 256 * 96 * 25 + 384 * 256 * 9 + 384 * 384 * 9 + 256 * 384 * 9
    linear = (9216 + 1) * 4096 + (4096 + 1) * 4096 + (4096 + 1) * 128  # 256 maps of 6 x 6
    norms = 2 * (96 + 256 + 384 + 384 + 256 + 4096 + 4096)
    assert sum(p.numel() for p in network.parameters()) == convolutions + linear + norms


@pytest.mark.parametrize("input_px", [44, 48, 56, 64])
def test_the_miniature_takes_its_inputs(input_px):
    config = NetworksConfig("miniature", (4, 4, 4, 4, 4), (8, 8), 5, input_px)
    for name, size in (("augment", 5), ("cmc_lab", 10)):
        embedding = built(name, config, 0)(noise(3, 3, input_px, input_px))
        assert embedding.shape == (3, size)
        torch.testing.assert_close(embedding.norm(dim=1), torch.ones(3))


def test_l_and_ab_halves_see_their_own_channels_only():
    network = built("cmc_lab", MINIATURE, 0).eval()
    images = noise(2, 3, 44, 44)
    other = images.clone()
    other[:, 0] += 1
    for layer, before in network.activations(images).items():
        after, half = network.activations(other)[layer], before.shape[1] // 2
        assert not torch.equal(before[:, :half], after[:, :half])
        assert torch.equal(before[:, half:], after[:, half:])
    first, second = network.pair(images[:, :1], images[:, 1:])
    assert torch.allclose(network(images), torch.cat((first, second), dim=1) / 2**0.5)


def test_one_seed_starts_every_network_from_the_same_weights():
    torch.manual_seed(5)
    random = built("random", MINIATURE, 3).state_dict()
    drawn = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(1), drawn)  # nobody else's random numbers are used up
    for name in ("augment", "semantic_1s", "semantic_600s"):
        same = built(name, MINIATURE, 3).state_dict()
        assert all(torch.equal(value, same[key]) for key, value in random.items())
    other = built("random", MINIATURE, 4).state_dict()
    assert not torch.equal(other["conv1.0.weight"], random["conv1.0.weight"])


def test_one_encoder_takes_both_views():
    network = built("augment", MINIATURE, 0).eval()
    first, second = noise(4, 3, 44, 44), noise(4, 3, 44, 44, seed=1)
    embeddings = network.pair(first, second)
    assert torch.equal(embeddings[0], network(first)) and torch.equal(embeddings[1], network(second))


def test_a_trained_network_takes_stimuli_as_they_are_stored():
    stimuli = torch.randint(0, 256, (2, 3, 50, 70), dtype=torch.uint8)
    for name, colour_space in (("augment", "rgb"), ("cmc_lab", "lab")):
        network = built(name, MINIATURE, 0)
        trained = TrainedNetwork(network, VIEWS).eval()
        view = evaluation_view(stimuli, 44, "imagenet", colour_space)
        assert torch.equal(trained.activations(stimuli)["conv3"], network.activations(view)["conv3"])
        assert torch.equal(trained(stimuli), network(view))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("conv_channels", [16, 48, 95, 64, 64], "half"),
        ("input_px", 8, "input_px 8: too small"),
        ("embedding_dim", 1, "embedding_dim 1"),
        ("plan", "vgg", "published, miniature"),
        ("conv_channels", [16, 48, 96, 64], "5 values"),
    ],
)
def test_wrong_values_are_refused_by_name(key, value, message):
    values = {
        "plan": "miniature",
        "conv_channels": [16, 48, 96, 64, 64],
        "fc_units": [256, 128],
        "embedding_dim": 64,
        "input_px": 44,
    }
    with pytest.raises(InputError, match=message):
        configure(NetworksConfig, values | {key: value}, "miniature.yaml")


def test_weights_that_do_not_fit_are_refused_naming_the_first_key():
    network = built("augment", MINIATURE, 0)
    weights = network.state_dict()
    wider = NetworksConfig("miniature", (16, 48, 96, 64, 64), (256, 130), 64, 44)
    with pytest.raises(InputError, match=r"other\.pt: fc7\.0\.weight has shape \(130, 256\).*\(128, 256\)"):
        load_weights(network, built("augment", wider, 0).state_dict(), "other.pt")
    with pytest.raises(InputError, match=r"no weights for conv2\.1\.bias"):
        load_weights(network, {k: v for k, v in weights.items() if k != "conv2.1.bias"}, "other.pt")
    with pytest.raises(InputError, match="fc9 has no place"):
        load_weights(network, {**weights, "fc9": torch.ones(1)}, "other.pt")
    with pytest.raises(InputError, match=r"conv1\.0\.weight holds values that are not finite"):
        load_weights(network, {**weights, "conv1.0.weight": weights["conv1.0.weight"] / 0}, "other.pt")


class Malicious:
    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return open, (str(self.file), "w")


def test_a_malicious_pickle_is_refused_and_nothing_of_it_runs(tmp_path):
    touched, file = tmp_path / "touched", tmp_path / "checkpoint.pt"
    torch.save({"network": Malicious(touched)}, file)
    with pytest.raises(InputError, match=r"checkpoint\.pt: not a checkpoint of tensors"):
        read_checkpoint(file)
    assert not touched.exists()


def test_what_is_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such checkpoint"):
        read_checkpoint(tmp_path / "absent.pt")
    torn, listed = tmp_path / "torn.pt", tmp_path / "listed.pt"
    torch.save({"network": torch.ones(100)}, torn)
    torn.write_bytes(torn.read_bytes()[:300])
    torch.save([1, 2], listed)
    with pytest.raises(InputError, match=r"torn\.pt"):
        read_checkpoint(torn)
    with pytest.raises(InputError, match="found list"):
        read_checkpoint(listed)


def test_the_plan_resnet18_is_torchvisions_up_to_its_last_stage():
    config = NetworksConfig("resnet18", (64, 64, 128, 256, 512), (16, 14), 6, 64)
    torch.manual_seed(0)
    peer, ours = perturb(resnet18()).eval(), built("semantic_60s", config).eval()
    spelt = {"conv1": "conv1.0", "bn1": "conv1.1"} | {f"layer{n}": f"conv{n + 1}" for n in range(1, 5)}
    weights = {f"{spelt[head]}.{rest}": value for key, value in peer.state_dict().items() if not key.startswith("fc")
               for head, _, rest in [key.partition(".")]}  # fmt: skip
    missing, unexpected = ours.load_state_dict(weights, strict=False)
    assert {key[:3] for key in missing} <= {"fc6", "fc7", "fc8"} and not unexpected
    images = noise(2, 3, 64, 64)
    found, pooled = ours.activations(images), []
    peer.fc.register_forward_pre_hook(lambda _, given: pooled.append(given[0]))
    stages = {}
    for number in range(1, 5):
        part = peer.get_submodule(f"layer{number}")
        part.register_forward_hook(lambda _, __, values, number=number: stages.update({f"conv{number + 1}": values}))
    peer(images)
    assert tuple(found) == LAYERS
    for layer, values in stages.items():
        torch.testing.assert_close(found[layer], values, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found["fc6"], ours.fc6(pooled[0]), rtol=1e-5, atol=1e-5)


def test_the_plan_vit_runs_its_blocks_on_tokens_with_positions():
    config = NetworksConfig("vit_s_miniature", (64, 64, 64, 64, 64), (16, 14), 6, 16)
    network = built("semantic_60s", config).eval()
    images = noise(2, 3, 16, 16)
    patches = images.unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 2, 3, 1, 4, 5).flatten(1, 2).flatten(2)  # (B, 16, 48)
    weights, bias = network.conv1[0].weight.flatten(1), network.conv1[0].bias
    tokens = patches @ weights.T + bias + network.conv1.positions[0].flatten(1).T
    found = network.activations(images)
    for layer in ("conv2", "conv3", "conv4", "conv5"):
        for block in network.get_submodule(layer):
            tokens = block(tokens)
        torch.testing.assert_close(found[layer].flatten(2).transpose(1, 2), tokens, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found["fc6"], network.fc6(tokens.mean(1)), rtol=1e-4, atol=1e-5)
    network(images).sum().backward()
    assert all(one.grad is not None for one in network.parameters())


@pytest.mark.parametrize("changed", [{"input_px": 18}, {"conv_channels": [64, 64, 64, 64, 32]}])
def test_a_vits_input_and_widths_must_fit_its_patches(changed):
    values = {
        "plan": "vit_s_miniature",
        "conv_channels": [64] * 5,
        "fc_units": [16, 14],
        "embedding_dim": 6,
        "input_px": 16,
    }
    with pytest.raises(InputError, match="five equal conv_channels, and input_px a multiple of 4"):
        configure(NetworksConfig, values | changed, "a.yaml")
