"""The plain PyTorch recipe of the field, written from published_protocol: what benchmarks/training.py compares with.

Image files in folders, PIL transforms image by image in the workers of a DataLoader, scikit-image's Lab, and noise of
each pair's own, gathered row by row from each memory bank.
"""

import numpy as np
import torch
from skimage.color import rgb2lab
from torch.nn.functional import normalize
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.datasets import ImageFolder

from semanticcmc.training.views import LAB


class Pairs(Dataset):
    """Frames `lag` places apart in the list of image files; for Lab one frame, whose halves are the two views."""

    def __init__(self, folder, transform, lag):
        self.images, self.transform, self.lag = ImageFolder(folder), transform, lag

    def __len__(self):
        return len(self.images) - self.lag

    def __getitem__(self, i):
        first = self.transform(self.images[i][0])
        return first, self.transform(self.images[i + self.lag][0]) if self.lag else first, i


def to_lab(image):
    return np.asarray(rgb2lab(np.asarray(image)), dtype=np.float32)


def transform(colour_space):
    """Crop, flip, and SimCLR's colour distortion or CIE Lab; normalised as published."""
    crop = [transforms.RandomResizedCrop(224, scale=(0.2, 1.0)), transforms.RandomHorizontalFlip()]
    jitter = transforms.RandomApply([transforms.ColorJitter(0.8, 0.8, 0.8, 0.2)], 0.8)
    colours = [to_lab] if colour_space == "lab" else [jitter, transforms.RandomGrayscale(0.2)]
    return transforms.Compose([*crop, *colours, transforms.ToTensor(), transforms.Normalize(*LAB)])


def decode_only(image):
    """For the time that decoding takes: ImageFolder has decoded `image`."""
    return image.size[0]


def loader(folder, transform, lag, batch, workers):
    return DataLoader(
        Pairs(folder, transform, lag),
        batch,
        shuffle=True,
        num_workers=workers,
        drop_last=True,
        persistent_workers=True,
        pin_memory=torch.cuda.is_available(),
    )


class NCE:
    """NCE with a memory bank for each view, term by term as the formula is written."""

    def __init__(self, n, dim, noise, temperature, device):
        bound = (dim / 3) ** -0.5
        self.banks = [(torch.rand(n, dim, device=device) * 2 - 1) * bound for _ in range(2)]
        self.noise, self.temperature, self.z = noise, temperature, [None, None]

    def loss(self, first, second, index):
        """Loss of embeddings (B, dim) of the pairs `index` (B,); the banks remember them."""
        n, dim = self.banks[0].shape
        rows = torch.randint(n, (len(index), self.noise + 1), device=index.device)
        rows[:, 0], loss, share = index, 0, self.noise / n
        for i, (view, bank) in enumerate(((first, self.banks[1]), (second, self.banks[0]))):
            gathered = torch.index_select(bank, 0, rows.view(-1)).view(*rows.shape, dim)
            scores = torch.exp(torch.bmm(gathered, view[:, :, None])[:, :, 0] / self.temperature)
            if self.z[i] is None:
                self.z[i] = scores.mean().item() * n
            p = scores / self.z[i]
            own, noise = torch.log(p[:, 0] / (p[:, 0] + share)), torch.log(share / (p[:, 1:] + share))
            loss = loss - (own.sum() + noise.sum()) / len(index)
        with torch.no_grad():
            for view, bank in zip((first, second), self.banks, strict=True):
                bank.index_copy_(0, index, normalize(bank[index] * 0.5 + view * 0.5, dim=1))
        return loss


def steps(loader, model, objective, device):
    """Whole steps with SGD as published, one a `next`."""
    optimiser = torch.optim.SGD(model.parameters(), 0.03, momentum=0.9, weight_decay=1e-4)
    while True:
        for first, second, index in loader:
            if model.colour_space == "lab":
                first, second = first[:, :1], first[:, 1:]
            loss = objective.loss(*model.pair(first.to(device), second.to(device)), index.to(device))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            yield
