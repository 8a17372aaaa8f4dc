"""Views against torchvision and scikit-image, and against pictures whose crop is known."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from skimage.color import rgb2lab
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms.v2 import functional as peer

from semanticcmc.config import InputError, configure
from semanticcmc.training import crops, views
from semanticcmc.training.views import ViewsConfig

SIMCLR = ViewsConfig(
    crop_scale=(0.2, 1.0),
    crop_aspect=(0.75, 4 / 3),
    flip=0.5,
    jitter=(0.8, 0.8, 0.8, 0.2),
    jitter_share=0.8,
    grey_share=0.2,
    normalisation="imagenet",
)
PLAIN = ViewsConfig((1.0, 1.0), (1.0, 1.0), 0.0, (0.0, 0.0, 0.0, 0.0), 0.0, 0.0, "imagenet")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def training_view(images, size_px, config, chance, colour_space="rgb"):
    draws = views.draw_views(len(images), *images.shape[2:], config, chance, distort=colour_space == "rgb")
    return views.network_view(images, draws, size_px, config.normalisation, colour_space)


def pictures(count, height, width, seed=0):
    return torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8, generator=generator(seed))


@pytest.mark.parametrize("crop_all", [crops._cropped_one_by_one, crops._cropped_by_products])
def test_every_crop_of_a_batch_is_torchvisions_of_that_image(crop_all):
    """One by one as on a CPU, and by matrix products as on a GPU."""
    images = pictures(12, 50, 70)
    boxes = crops.crop_boxes(12, 50, 70, SIMCLR.crop_scale, SIMCLR.crop_aspect, generator())
    boxes[0] = torch.tensor([3, 5, 9, 7])  # enlarged
    boxes[1] = torch.tensor([0, 0, 50, 70])  # the whole frame, made smaller
    flips = torch.arange(12) % 2 == 0
    made = crop_all(images, boxes, 32, flips)
    for image, (top, left, height, width), flip, crop in zip(images, boxes.tolist(), flips, made, strict=True):
        expected = peer.resized_crop(image.float(), top, left, height, width, [32, 32], antialias=True)
        expected = peer.horizontal_flip(expected) if flip else expected
        torch.testing.assert_close(crop, expected, atol=2e-3, rtol=0)


def test_a_crop_at_full_resolution_is_the_pictures_own_pixels():
    image = torch.arange(3 * 20 * 30).reshape(1, 3, 20, 30) % 251
    box = torch.tensor([[4, 9, 8, 8]])
    crop = crops.resized_crop(image.to(torch.uint8), box, 8, torch.tensor([False]))
    torch.testing.assert_close(crop, image[:, :, 4:12, 9:17].float())
    flipped = crops.resized_crop(image.to(torch.uint8), box, 8, torch.tensor([True]))
    torch.testing.assert_close(flipped, image[:, :, 4:12, 9:17].flip(3).float())


def test_a_ramp_stays_a_ramp_where_a_crop_tells():
    """A picture whose value is the column: the crop's values say which columns it shows."""
    ramp = torch.arange(64, dtype=torch.float32).expand(1, 3, 64, 64)
    crop = crops.resized_crop(ramp, torch.tensor([[0, 10, 64, 40]]), 20, torch.tensor([False]))
    columns = 10 + (np.arange(20) + 0.5) * 2 - 0.5  # centres of the 20 new pixels, two old ones each
    np.testing.assert_allclose(crop[0, 0, 7, 1:-1], columns[1:-1], atol=1e-4)


def test_boxes_are_distributed_as_torchvisions():
    height, width, count = 96, 128, 4000
    ours = crops.crop_boxes(count, height, width, SIMCLR.crop_scale, SIMCLR.crop_aspect, generator()).numpy()
    torch.manual_seed(0)
    image = torch.empty(3, height, width)
    theirs = np.array(
        [RandomResizedCrop.get_params(image, list(SIMCLR.crop_scale), list(SIMCLR.crop_aspect)) for _ in range(count)]
    )
    for measure in (
        lambda box: box[:, 2] * box[:, 3],
        lambda box: box[:, 3] / box[:, 2],
        lambda box: box[:, 0],
        lambda box: box[:, 1],
    ):
        assert stats.ks_2samp(measure(ours), measure(theirs)).pvalue > 1e-3


def test_boxes_lie_in_the_frame_and_fall_back_to_its_centre():
    boxes = crops.crop_boxes(2000, 30, 90, SIMCLR.crop_scale, SIMCLR.crop_aspect, generator())
    assert (boxes >= 0).all() and (boxes[:, 0] + boxes[:, 2] <= 30).all()
    assert (boxes[:, 1] + boxes[:, 3] <= 90).all()
    assert (boxes[:, 2:] >= 1).all()
    square = ViewsConfig((1.0, 1.0), (1.0, 1.0), 0, (0, 0, 0, 0), 0, 0, "imagenet")  # fits no wide frame
    assert (
        crops.crop_boxes(3, 30, 90, square.crop_scale, square.crop_aspect, generator()).tolist()
        == [[0, 30, 30, 30]] * 3
    )


@pytest.mark.parametrize(
    ("ours", "theirs", "factors"),
    [
        (crops.adjust_brightness, peer.adjust_brightness, [0.2, 1.0, 1.8]),
        (crops.adjust_contrast, peer.adjust_contrast, [0.2, 1.0, 1.8]),
        (crops.adjust_saturation, peer.adjust_saturation, [0.0, 1.0, 1.8]),
        (crops.adjust_hue, peer.adjust_hue, [-0.2, 0.0, 0.45]),
    ],
)
def test_each_colour_step_is_torchvisions_with_each_samples_own_factor(ours, theirs, factors):
    images = pictures(3, 8, 8).float() / 255
    images[:, :, 0, 0] = 0.5  # grey: no hue
    images[:, :, 0, 1] = 0
    got = ours(images.clone(), torch.tensor(factors).view(3, 1, 1, 1))
    for image, factor, one in zip(images, factors, got, strict=True):
        torch.testing.assert_close(one, theirs(image, factor), atol=1e-3, rtol=0)


def test_colour_distortion_draws_for_each_sample_and_leaves_the_others_alone():
    images = (pictures(1, 8, 8).float() / 255).expand(400, -1, -1, -1)
    distorted = views.distorted(images.clone(), *views.draw_distortion(400, SIMCLR, generator()))
    assert (distorted >= 0).all() and (distorted <= 1).all()
    same = ((distorted - images).abs() < 1e-5).flatten(1).all(1).float().mean()
    grey = (distorted.amax(1) - distorted.amin(1)).flatten(1).amax(1) < 1e-6
    # 80 % are jittered and 20 % of all lose their colour: 16 % stay as they are (sd 1.8 % and 2 % of 400)
    assert abs(same - 0.16) < 0.08 and abs(grey.float().mean() - 0.2) < 0.08
    coloured = distorted[~grey]
    assert len(torch.unique(coloured.flatten(1), dim=0)) > 0.7 * len(coloured)
    untouched = views.distorted(images.clone(), *views.draw_distortion(400, PLAIN, generator()))
    assert torch.equal(untouched, images)


def test_lab_is_scikit_images():
    steps = torch.linspace(0, 1, 18)
    colours = torch.stack(torch.meshgrid(steps, steps, steps, indexing="ij")).reshape(1, 3, 18, 324)
    lab = crops.rgb_to_lab(colours)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(lab, rgb2lab(colours[0].permute(1, 2, 0).double().numpy()), atol=1e-3)


def test_white_is_100_and_black_is_0_in_lab():
    white_and_black = torch.tensor([1.0, 0.0]).view(2, 1, 1, 1).expand(2, 3, 1, 1)
    lab = crops.rgb_to_lab(white_and_black)[:, :, 0, 0]
    torch.testing.assert_close(lab, torch.tensor([[100.0, 0, 0], [0, 0, 0]]), atol=0.02, rtol=0)


def test_normalisations_by_name():
    image = torch.tensor((0.485, 0.456, 0.406)).view(1, 3, 1, 1)
    assert views.normalise(image, "imagenet").abs().max() < 1e-6
    # As published: L's mean 50 and standard deviation 50 on red in [0, 1], and so on.
    expected = (image[0, :, 0, 0] - torch.tensor((50, 6.025, -6.6895))) / torch.tensor((50, 92.208, 101.1675))
    torch.testing.assert_close(views.normalise(image, "published")[0, :, 0, 0], expected)
    lab = views.normalise(torch.ones(1, 3, 1, 1), "imagenet", "lab")  # white: L 100
    assert math.isclose(lab[0, 0, 0, 0].item(), 1.0, abs_tol=1e-4)


def test_evaluation_view_is_a_resized_centre_without_chance():
    images = pictures(2, 60, 60)
    view = views.evaluation_view(images, 24, "imagenet")
    torch.rand(3)
    assert torch.equal(view, views.evaluation_view(images, 24, "imagenet"))
    expected = peer.normalize(
        peer.resize(images.float() / 255, [24, 24], antialias=True), *views.NORMALISATIONS["imagenet"]
    )
    torch.testing.assert_close(view, expected, atol=1e-4, rtol=0)
    wide = torch.zeros(2, 3, 60, 100, dtype=torch.uint8)
    wide[:, :, :, 20:80] = images
    torch.testing.assert_close(views.evaluation_view(wide, 24, "imagenet"), view)


def test_views_depend_on_the_generator_alone_and_differ_between_samples():
    images = pictures(1, 40, 40).expand(16, -1, -1, -1)
    view = training_view(images, 24, SIMCLR, generator(3))
    assert torch.equal(view, training_view(images, 24, SIMCLR, generator(3)))
    assert not torch.equal(view, training_view(images, 24, SIMCLR, generator(4)))
    assert len(torch.unique(view.flatten(1), dim=0)) == 16
    assert view.shape == (16, 3, 24, 24) and view.dtype == torch.float32


@pytest.mark.parametrize("distort", [True, False])
def test_views_of_half_a_batch_are_those_of_the_whole(distort):
    images = pictures(6, 40, 50)
    draws = views.draw_views(6, 40, 50, SIMCLR, generator(), distort)
    whole = views.random_view(images, 24, SIMCLR, generator(), distort)
    halves = [views.drawn_view(images[half], draws.part(half), 24) for half in (slice(0, 2), slice(2, 6))]
    torch.testing.assert_close(torch.cat(halves), whole)


@pytest.mark.parametrize("colour_space", ["rgb", "lab"])
def test_a_view_made_in_parts_is_the_view_made_at_once(colour_space, monkeypatch):
    images = pictures(7, 40, 60)
    draws = views.draw_views(7, 40, 60, SIMCLR, generator(), distort=colour_space == "rgb")
    at_once = views.normalise(views.drawn_view(images, draws, 24), "imagenet", colour_space)
    monkeypatch.setattr(views, "PART_PX", 3 * 24**2)
    view = views.network_view(images, draws, 24, "imagenet", colour_space)
    torch.testing.assert_close(view, at_once)
    assert view.is_contiguous(memory_format=torch.channels_last)


def test_without_chance_a_view_is_the_frame_itself():
    images = pictures(2, 24, 24)
    view = views.random_view(images, 24, PLAIN, generator())
    torch.testing.assert_close(view, images.float() / 255)


def test_lab_views_keep_their_colours():
    """CMC's views are not distorted: with the whole frame in the crop they are the frame in Lab."""
    images = pictures(2, 24, 24)
    grey_only = ViewsConfig((1.0, 1.0), (1.0, 1.0), 0.0, (0.8, 0.8, 0.8, 0.2), 1.0, 1.0, "imagenet")
    view = training_view(images, 24, grey_only, generator(), "lab")
    torch.testing.assert_close(view, views.evaluation_view(images, 24, "imagenet", "lab"))


@pytest.mark.parametrize(
    ("key", "value"),
    [("crop_scale", [0.5, 1.2]), ("crop_aspect", [2, 1]), ("flip", 1.5), ("jitter", [0.1, 0.1, 0.1, 0.7])],
)
def test_wrong_values_are_refused_by_name(key, value):
    values = {
        "crop_scale": [0.2, 1],
        "crop_aspect": [0.75, 1.33],
        "flip": 0.5,
        "jitter": [0, 0, 0, 0],
        "jitter_share": 0.8,
        "grey_share": 0.2,
        "normalisation": "imagenet",
    }
    with pytest.raises(InputError, match=key):
        configure(ViewsConfig, values | {key: value}, "miniature.yaml")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("colour_space", ["rgb", "lab"])
def test_the_same_views_on_a_gpu(colour_space):
    images = pictures(32, 40, 60)
    here = training_view(images, 24, SIMCLR, generator(), colour_space)
    there = training_view(images.cuda(), 24, SIMCLR, generator(), colour_space)
    torch.testing.assert_close(there.cpu(), here, atol=1e-3, rtol=1e-3)
