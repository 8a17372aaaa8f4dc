"""Objectives of single frames: their labels are the truth, their losses the written formulas."""

import types

import numpy as np
import pytest
import torch
from skimage.color import rgb2lab

from semanticcmc.config import InputError, configure
from semanticcmc.experiment import Network
from semanticcmc.training.networks import NetworksConfig, build
from semanticcmc.training.objectives.colourisation import Colourisation, ColourisationConfig, bins_of_ab
from semanticcmc.training.objectives.inpainting import Inpainting, InpaintingConfig
from semanticcmc.training.objectives.relative_position import NEIGHBOURS, RelativePosition, RelativePositionConfig
from semanticcmc.training.objectives.rotation import Rotation
from semanticcmc.training.pairings import Draw
from semanticcmc.training.views import NORMALISATIONS, normalise
from tests.training.test_loop import NETWORKS

PX = NETWORKS["input_px"]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def made(kind, config=None):
    encoder = build(Network.named("augment", "info_nce", 0), configure(NetworksConfig, NETWORKS, "here"))
    drawn = Draw(torch.zeros(6, 1, dtype=torch.int64), *torch.zeros(2, 6), torch.empty(6, 0, dtype=torch.int64))
    pairing = types.SimpleNamespace(soft=False, draw=lambda n, generator: drawn)
    return kind(config, encoder, pairing, 0).eval()


class Always(torch.nn.Module):
    """A decoder that gives the same whatever it is given."""

    def __init__(self, decoded):
        super().__init__()
        self.decoded = decoded

    def forward(self, features):
        return self.decoded


def images(px=PX, count=6):
    return torch.randn(count, 3, px, px, generator=generator())


def cross_entropy(logits, label):
    """-log softmax of one label, in NumPy."""
    return np.log(np.exp(logits - logits.max()).sum()) - (logits[label] - logits.max())


def test_rotations_loss_is_the_cross_entropy_of_the_true_turns():
    objective, seen = made(Rotation), images()
    losses = []
    for turn in range(4):
        turned = torch.from_numpy(np.rot90(seen.numpy(), turn, (2, 3)).copy())
        logits = objective.head(objective.encoder.activations(turned)["fc7"]).detach().numpy()
        losses += [cross_entropy(row, turn) for row in logits]
    assert objective((seen,), objective.draw(6, generator())).item() == pytest.approx(np.mean(losses), rel=1e-4)
    assert objective.images == 4


def test_rotations_labels_tell_where_the_top_went():
    seen = torch.zeros(2, 3, PX, PX)
    seen[:, :, 0] = 1  # the top row is bright
    every, turns = Rotation.turned(seen)
    edges = torch.stack([every[:, 0, 0, :], every[:, 0, :, 0], every[:, 0, -1, :], every[:, 0, :, -1]])
    assert torch.equal(edges.mean(2).argmax(0), turns)  # counter-clockwise: top, left, bottom, right


def relative_position(drop_colour=False, gap=0.5, jitter=0.2):
    return made(RelativePosition, RelativePositionConfig(gap, jitter, drop_colour, 16))


def test_the_label_of_a_relative_position_is_where_the_patches_came_from():
    objective = relative_position()
    targets = objective.draw(400, generator(1)).targets
    assert set(targets[:, 0].tolist()) == set(range(8)) and objective.jitter_px > 0
    px = 2 * PX
    rows, columns = torch.meshgrid(torch.arange(px).float(), torch.arange(px).float(), indexing="ij")
    picture = torch.stack((rows, columns, rows)).expand(400, -1, -1, -1)
    middle, other = objective.patches(picture, targets)
    assert middle.shape == other.shape == (400, 3, PX, PX)
    apart = (other.mean((2, 3)) - middle.mean((2, 3)))[:, :2] / objective.patch_px  # down, right; in patches
    decoded = (apart.sign() * (apart.abs() > 0.75)).long()
    assert [NEIGHBOURS.index(tuple(step)) for step in decoded.tolist()] == targets[:, 0].tolist()
    corners = objective.corners(targets)
    assert corners.min() >= 0 and corners.max() + objective.patch_px <= px
    away = (corners[:, 1] - corners[:, 0]).abs().amax(1)
    assert (away > objective.patch_px).all()  # a gap is left whatever the jitter
    torch.testing.assert_close(middle[:, 0, 0, 0], corners[:, 0, 0].float(), atol=1, rtol=0)


def test_a_patch_without_colours_keeps_one_channel():
    objective, seen = relative_position(drop_colour=True), images(2 * PX)
    draw = objective.draw(6, generator())
    whole = relative_position().patches(seen, draw.targets)
    for patch, coloured, channel in zip(objective.patches(seen, draw.targets), whole, (3, 6), strict=True):
        for i, kept in enumerate(draw.targets[:, channel]):
            torch.testing.assert_close(patch[i], coloured[i, kept].expand(3, -1, -1))


def test_relative_positions_loss_is_the_cross_entropy_of_the_place():
    objective, seen = relative_position(), images(2 * PX)
    draw = objective.draw(6, generator())
    features = [objective.encoder.activations(patch)["fc7"] for patch in objective.patches(seen, draw.targets)]
    logits = objective.head(torch.cat(features, 1)).detach().numpy()
    expected = np.mean([cross_entropy(row, place) for row, place in zip(logits, draw.targets[:, 0], strict=True)])
    assert objective((seen,), draw).item() == pytest.approx(expected, rel=1e-4)
    assert objective.images == 2


def test_patches_that_could_overlap_are_refused():
    values = {"gap": 0.1, "jitter": 0.2, "drop_colour": True, "hidden_units": 16}
    with pytest.raises(InputError, match="jitter 0.2"):
        configure(RelativePositionConfig, values, "here")


@pytest.mark.parametrize("layer", ["conv5", "fc7"])
def test_inpainting_hides_a_quarter_and_a_perfect_decoder_gives_0(layer):
    objective, seen = made(Inpainting, InpaintingConfig(layer)), images()
    rest, middle = objective.masked(seen)
    assert (rest == 0).sum() == seen.numel() // 4 and middle.numel() == seen.numel() // 4
    restored = rest.clone()
    restored[objective.middle] = middle
    assert torch.equal(restored, seen)
    draw = objective.draw(6, generator())
    features = objective.encoder.activations(rest)[layer].flatten(1)
    error = (objective.decoder(features).view(middle.shape) - middle).square().mean()
    assert objective((seen,), draw).item() == pytest.approx(error.item(), rel=1e-5)
    objective.decoder = Always(middle.flatten(1))
    assert objective((seen,), draw).item() == 0
    objective.decoder = Always(torch.zeros_like(middle.flatten(1)))  # the middle is never seen
    assert objective((seen,), draw).item() == pytest.approx(middle.square().mean().item(), rel=1e-5)


def colourisation(uniform=0.5, width=20.0):
    return made(Colourisation, ColourisationConfig("fc7", 3, width, uniform))


def lab_view(rgb):
    return normalise(rgb, "imagenet", "lab")


def test_bins_of_colours_are_the_nearest_and_hold_every_colour():
    centres = bins_of_ab(20.0)
    rgb = torch.rand(4, 3, 3, 3, generator=generator())
    ab = rgb2lab(rgb.permute(0, 2, 3, 1).numpy())[..., 1:]
    nearest = np.argmin(np.linalg.norm(ab[..., None, :] - centres.numpy(), axis=-1), axis=-1)
    assert np.array_equal(colourisation().bins(lab_view(rgb)).numpy(), nearest)
    assert np.abs(ab - centres[nearest].numpy()).max() <= 10 + 1e-3  # half a bin: none is missing
    # Zhang et al. count 313 bins of width 10 with those that a soft label reaches; those that sRGB fills are fewer.
    assert 220 < len(bins_of_ab(10.0)) <= 313


def test_rare_colours_weigh_more_by_the_written_formula():
    objective = colourisation(uniform=0.25)
    count = len(objective.seen)
    objective.seen = torch.randint(0, 50, (count,), generator=generator())
    p = objective.seen.numpy() / objective.seen.sum().item()
    w = 1 / (0.75 * p + 0.25 / count)
    np.testing.assert_allclose(objective.weights().numpy(), w / (p * w).sum(), rtol=1e-5)
    alike = colourisation(uniform=1.0)
    alike.seen += torch.arange(count)
    np.testing.assert_allclose(alike.weights().numpy(), 1, rtol=1e-6)


def test_colourisations_loss_is_the_weighted_cross_entropy_of_each_cell():
    objective, seen = colourisation().train(), images()
    rgb = torch.rand(6, 3, 3, 3, generator=generator())
    draw, lab = objective.draw(6, generator()), lab_view(rgb)
    loss = objective((seen, lab), draw).item()
    bins = objective.bins(lab)
    assert torch.equal(objective.seen, torch.bincount(bins.flatten(), minlength=len(objective.seen)))
    weights = objective.weights().numpy()
    logits = objective.decoder(objective.encoder.activations(seen)["fc7"]).detach().numpy()
    losses = [
        weights[bins[i, y, x]] * cross_entropy(logits[i, :, y, x], bins[i, y, x])
        for i in range(6)
        for y in range(3)
        for x in range(3)
    ]
    assert loss == pytest.approx(np.mean(losses), rel=1e-4)
    assert objective.images == 1 and len(objective.views) == 2


def test_the_lightness_view_is_l_in_all_channels_normalised_as_rgb():
    rgb = torch.rand(2, 3, 5, 5, generator=generator())
    lightness = rgb2lab(rgb.permute(0, 2, 3, 1).numpy())[..., 0] / 100
    mean, std = NORMALISATIONS["imagenet"]
    view = normalise(rgb, "imagenet", "lightness")
    for channel in range(3):
        expected = (lightness - mean[channel]) / std[channel]
        np.testing.assert_allclose(view[:, channel].numpy(), expected, atol=2e-4)
