"""A folder of pictures of eight classes, and a small network of a user's own in a module beside."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from semanticcmc.config import package_table

CLASSES = sorted(pd.read_csv(package_table("categories.csv"), comment="#").groupby("category").head(2).wnid[:8])

OWN = """
import functools

import torch
from torch import nn
from torchvision.transforms.functional import pil_to_tensor, resize


def see(picture):
    return resize(pil_to_tensor(picture), [16, 16]).float() / 255


def network(pretrained=True):
    made = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(True), nn.Conv2d(8, 12, 3), nn.ReLU(True),
                         nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(48, 10))
    if pretrained:
        torch.manual_seed(9)
        for weights in made.parameters():
            weights.data = torch.randn(weights.shape) ** 3 / 10
    return made, see


def alone():
    return network()


def later(pretrained=True):
    import imported_later

    return imported_later.network()


def failing():
    raise RuntimeError("weights are gone")


def script():
    return torch.jit.script(network()[0]), see


def small():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 14 * 14, 5))


calls = []


def changing():
    return network()[0], lambda picture: see(picture) + len(calls.append(0) or calls) / 99


made = functools.partial(network, pretrained=True)


def nothing():
    return "a network"


class Dropped(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 3)

    def forward(self, images):
        return nn.functional.dropout(self.layer(nn.functional.dropout(images, 0.5, training=True)))


def dropped():
    return Dropped(), see


def diverged():
    made, _ = network()
    made[2].weight.data[0] = float("nan")
    return made, see
"""


@pytest.fixture
def pictures(tmp_path):
    """Three pictures of 40 x 48 pixels a class."""
    rng = np.random.default_rng(0)
    for wnid in CLASSES:
        (tmp_path / "pictures" / wnid).mkdir(parents=True)
        ground = rng.integers(0, 200, (5, 6, 3))
        for number in range(3):
            pixels = (ground + rng.integers(0, 56, (5, 6, 3))).astype(np.uint8).repeat(8, 0).repeat(8, 1)
            Image.fromarray(pixels).save(tmp_path / "pictures" / wnid / f"{number}.png")
    return tmp_path / "pictures"


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The name of a module that is found from the current folder."""
    name = f"own_{abs(hash(str(tmp_path)))}"
    (tmp_path / f"{name}.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    return name
