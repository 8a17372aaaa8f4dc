"""Class means in one stream against means of everything at once, and memory that does not grow."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from semanticcmc.config import InputError, configure
from semanticcmc.evaluation.activations import class_means, class_means_and_features, features
from semanticcmc.evaluation.config import ActivationsConfig
from semanticcmc.experiment import Network
from semanticcmc.training.networks import LAYERS, NetworksConfig, TrainedNetwork, build
from semanticcmc.training.views import ViewsConfig


class Pixels(nn.Module):
    """Its layers are the pixels themselves: every mean can be had by hand."""

    def activations(self, images):
        return {"conv": images.float(), "fc": images.flatten(1)[:, :5].float()}


class Convolutions(nn.Module):
    """A small network with batch norm and dropout, where a careless mode or batch shows."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm, self.fc = nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.Linear(8 * 49, 20)
        self.dropout = nn.Dropout(0.5)

    def activations(self, images):
        conv = self.norm(self.conv(images.float() / 255)).relu()
        return {"conv": conv, "fc": self.fc(self.dropout(conv.flatten(1))).relu()}


def config(layers=("conv", "fc"), spatial_mean=False, decoding_features=64):
    return ActivationsConfig(layers, spatial_mean, 8, decoding_features, 5, 5)


def stimuli(n=47, n_classes=5, seed=0, size_px=16):
    """Images and classes in any order, every class at least twice."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (n, 3, size_px, size_px), generator=generator, dtype=torch.uint8)
    labels = torch.cat(
        [torch.arange(n_classes).repeat(2), torch.randint(0, n_classes, (n - 2 * n_classes,), generator=generator)]
    )
    return images, labels


def in_batches(images, labels, batch_size):
    return zip(images.split(batch_size), labels.split(batch_size), strict=True)


def test_class_means_are_the_means():
    images, labels = stimuli()
    means = class_means(Pixels(), in_batches(images, labels, 8), 5, config())
    flat = images.flatten(1).numpy().astype(np.float64)
    direct = np.stack([flat[labels.numpy() == c].mean(0) for c in range(5)])
    assert means["conv"].dtype == np.float64
    np.testing.assert_allclose(means["conv"], direct, rtol=1e-14)
    np.testing.assert_allclose(means["fc"], direct[:, :5], rtol=1e-14)


def test_spatial_mean_leaves_one_number_a_channel():
    images, labels = stimuli()
    means = class_means(Pixels(), in_batches(images, labels, 8), 5, config(spatial_mean=True))
    channels = images.numpy().astype(np.float64).mean((2, 3))
    direct = np.stack([channels[labels.numpy() == c].mean(0) for c in range(5)])
    np.testing.assert_allclose(means["conv"], direct, rtol=1e-6)
    assert means["fc"].shape == (5, 5)  # a layer without space stays as it is


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 60), st.randoms(use_true_random=False))
def test_neither_batch_size_nor_order_of_the_images_matters(batch_size, shuffler):
    network = Convolutions()
    images, labels = stimuli()
    whole = class_means(network, in_batches(images, labels, 47), 5, config())
    order = list(range(47))
    shuffler.shuffle(order)
    parts = class_means(network, in_batches(images[order], labels[order], batch_size), 5, config())
    for layer in whole:
        difference = np.abs(whole[layer] - parts[layer]).max()
        assert difference < 1e-5 * np.abs(whole[layer]).max()


@pytest.mark.parametrize("name", ["random", "cmc_lab"])
@pytest.mark.parametrize("spatial_mean", [False, True])
def test_the_projects_own_networks(name, spatial_mean):
    """Means of all activations at once, at every layer: to 1e-6 from one batch, to 1e-5 from batches of 1."""
    plan = NetworksConfig("miniature", (8, 8, 8, 8, 8), (16, 16), 8, 44)
    views = ViewsConfig((0.2, 1.0), (0.75, 1.33), 0.5, (0.8, 0.8, 0.8, 0.2), 0.8, 0.2, "imagenet")
    network = TrainedNetwork(build(Network.named(name, "info_nce", 0), plan), views).eval()
    images, labels = stimuli(20, size_px=48)
    means, one_batch = (
        class_means(network, in_batches(images, labels, n), 5, config(LAYERS, spatial_mean)) for n in (1, 20)
    )
    assert tuple(means) == LAYERS
    with torch.inference_mode():
        once = network.activations(images)
    for layer, values in once.items():
        rows = values.double().mean((2, 3)) if spatial_mean and values.ndim == 4 else values.double().flatten(1)
        direct = np.stack([rows[labels == c].mean(0).numpy() for c in range(5)])
        np.testing.assert_allclose(one_batch[layer], direct, rtol=0, atol=1e-6 * np.abs(direct).max())
        np.testing.assert_allclose(means[layer], direct, rtol=0, atol=1e-5 * np.abs(direct).max())


def test_training_mode_is_put_aside_and_put_back():
    network = Convolutions().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    images, labels = stimuli()
    first = class_means(network, in_batches(images, labels, 8), 5, config())
    second = class_means(network, in_batches(images, labels, 8), 5, config())
    assert network.training
    assert network.norm.training
    np.testing.assert_array_equal(first["fc"], second["fc"])  # dropout would differ
    for name, value in network.state_dict().items():  # batch norm would have moved
        assert torch.equal(value, before[name]), name


def test_means_do_not_drift_over_many_images():
    """A float32 sum of 20,000 numbers near 200 errs by about 1e-4; a float64 sum does not."""
    value = torch.tensor([0.1 + 200], dtype=torch.float32)

    class Constant(nn.Module):
        def activations(self, images):
            return {"fc": value.expand(len(images), 1)}

    batches = ((torch.zeros(500, 3, 1, 1, dtype=torch.uint8), torch.zeros(500, dtype=torch.int64)) for _ in range(40))
    mean = class_means(Constant(), batches, 1, config(("fc",)))["fc"]
    assert mean.item() == pytest.approx(float(value), rel=1e-13)


def test_memory_is_flat_in_the_number_of_images():
    def peak(n_batches):
        generator = torch.Generator().manual_seed(0)
        shown = torch.randint(0, 256, (32, 3, 16, 16), generator=generator, dtype=torch.uint8)
        batches = ((shown.clone(), torch.arange(32) % 4) for _ in range(n_batches))
        tracemalloc.start()
        class_means(Keeper(), batches, 4, config(("fc",)))
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    alive = []

    class Keeper(nn.Module):
        """Counts the batches of activations that are alive at once."""

        def activations(self, images):
            import weakref

            values = images.flatten(1).float()
            alive.append(weakref.ref(values))
            assert sum(ref() is not None for ref in alive) <= 2
            return {"fc": values}

    peak(2)  # what is imported on the way
    assert peak(100) < peak(5) + 100_000


def test_150_images_of_1000_classes_fit_in_the_memory_of_one_batch():
    """The published number of stimuli, simulated: the process does not grow once it has seen a few batches."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        pytest.skip("needs Linux's /proc to see the process's memory")
    n_classes, per_class, batch_size, size_px = 1000, 150, 500, 8
    resident = []

    def batches():
        generator = torch.Generator().manual_seed(0)
        for start in range(0, n_classes * per_class, batch_size):
            labels = torch.arange(start, start + batch_size) % n_classes
            shape = (batch_size, 3, size_px, size_px)
            images = torch.randint(0, 200, shape, generator=generator, dtype=torch.uint8)
            images[:, 0, 0, 0] = labels % 50  # a pixel that tells the class
            resident.append(int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
            yield images, labels

    means = class_means(Pixels(), batches(), n_classes, config())["conv"]
    assert means.shape == (n_classes, 3 * size_px**2)
    np.testing.assert_array_equal(means[:, 0], np.arange(n_classes) % 50)
    # The means of 150 uniform numbers of 0 to 199: standard deviation sqrt((200^2 - 1) / 12 / 150).
    assert means[:, 1:].std() == pytest.approx(np.sqrt((200**2 - 1) / 12 / per_class), rel=0.02)
    # All activations would take 115 MB, all images 29 MB.
    assert max(resident[20:]) - max(resident[:20]) < 10e6


def test_a_class_without_an_image_is_named():
    images, _ = stimuli(12)
    labels = torch.tensor([0] * 6 + [1] * 5 + [3])
    with pytest.raises(InputError, match="class number 2 of the stimuli: 0 images"):
        class_means(Pixels(), in_batches(images, labels, 4), 4, config())


def test_unknown_layers_and_diverged_networks_are_refused():
    images, labels = stimuli()
    with pytest.raises(InputError, match="layer conv9: this network has conv, fc"):
        class_means(Pixels(), in_batches(images, labels, 8), 5, config(("conv9",)))

    class Diverged(nn.Module):
        def activations(self, images):
            return {"fc": torch.full((len(images), 3), float("nan"))}

    with pytest.raises(InputError, match="layer fc: activations that are not finite"):
        class_means(Diverged(), in_batches(images, labels, 8), 5, config(("fc",)))
    with pytest.raises(InputError, match="no stimuli"):
        features(Pixels(), [], "fc", config())


# --- features ---


def test_features_are_the_activations_of_every_image():
    images, labels = stimuli()
    values, index = features(Pixels(), in_batches(images, labels, 8), "fc", config())
    np.testing.assert_array_equal(values, images.flatten(1)[:, :5].numpy())
    np.testing.assert_array_equal(index, labels.numpy())
    assert values.dtype == np.float32


def test_wide_layers_are_projected_and_keep_their_distances():
    images, labels = stimuli()
    width = 512
    wide = config(decoding_features=width)
    values, _ = features(Pixels(), in_batches(images, labels, 8), "conv", wide)
    assert values.shape == (47, width)
    flat = images.flatten(1).double()
    true, kept = torch.pdist(flat) ** 2, torch.pdist(torch.from_numpy(values).double()) ** 2
    error = (kept / true).numpy() - 1
    # Gaussian projection: kept / true is chi-squared with `width` degrees of freedom over `width`.
    assert abs(error.mean()) < 4 * np.sqrt(2 / width)
    assert error.std() < 1.5 * np.sqrt(2 / width)
    assert np.abs(error).max() < 6 * np.sqrt(2 / width)
    again, _ = features(Pixels(), in_batches(images, labels, 5), "conv", wide)
    np.testing.assert_allclose(again, values, rtol=1e-4, atol=1e-2)


def test_means_and_features_from_one_look():
    """Each image is shown once; a layer that is decoded need not be among those tested."""
    shown = []

    class Counted(Pixels):
        def activations(self, images):
            shown.append(len(images))
            return super().activations(images)

    images, labels = stimuli()
    means, values, index = class_means_and_features(
        Counted(), in_batches(images, labels, 8), 5, "fc", config(("conv",))
    )
    assert sum(shown) == len(images)
    assert list(means) == ["conv"]
    np.testing.assert_array_equal(
        means["conv"], class_means(Pixels(), in_batches(images, labels, 8), 5, config())["conv"]
    )
    np.testing.assert_array_equal(values, images.flatten(1)[:, :5].numpy())
    np.testing.assert_array_equal(index, labels.numpy())


# --- configuration ---


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("layers", []),
        ("layers", ["fc7", "fc7"]),
        ("batch_size", 0),
        ("decoding_features", 0),
        ("decoding_folds", 1),
        ("decoding_neighbours", 0),
    ],
)
def test_bad_values_are_refused_by_name(key, value):
    values = {
        "layers": ["fc7"],
        "spatial_mean": False,
        "batch_size": 1,
        "decoding_features": 1,
        "decoding_folds": 2,
        "decoding_neighbours": 1,
    } | {key: value}
    with pytest.raises(InputError, match=key):
        configure(ActivationsConfig, values, "my.yaml")


def test_products_are_not_rounded_on_a_gpu_and_its_settings_come_back():
    """TF32, cuDNN's default for convolutions, keeps 10 bits: class means would differ from a CPU's by 1e-3."""

    class Watcher(nn.Module):
        def activations(self, images):
            self.seen = (torch.backends.cudnn.allow_tf32, torch.backends.cudnn.enabled)
            return {"conv": images.float(), "fc": images.flatten(1).float()}

    before = (torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic, torch.backends.cudnn.enabled)
    network = Watcher()
    images, labels = stimuli()
    class_means(network, [(images, labels)], 5, config())
    assert network.seen == (False, before[2])
    after = (torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic, torch.backends.cudnn.enabled)
    assert after == before
