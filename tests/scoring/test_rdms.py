"""Any network's RDMs: equal to plain extraction, by layer and in passes; and what betrays weights never trained."""

import dataclasses
import types

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from torch import nn
from torchvision import models
from torchvision.models.feature_extraction import create_feature_extractor

from semanticcmc.config import InputError
from semanticcmc.evaluation.config import StimuliConfig
from semanticcmc.evaluation.stimuli import StimulusFolder
from semanticcmc.films.pictures import read_image
from semanticcmc.rsa.rdm import RDM
from semanticcmc.scoring import rdms as module_under_test
from semanticcmc.scoring.networks import Scored, find
from semanticcmc.scoring.rdms import (
    ExtractionConfig,
    Watched,
    alarm,
    layers_of,
    outputs,
    planned,
    rdms_of,
    weights_sha256,
)

CONFIG = ExtractionConfig((), "mean", 5, None, 8.0, "correlation", ())
TRAINED = [torch.linspace(0, 9, 100)], [torch.linspace(0, 1, 100)]  # weights unlike drawn ones
WITH = dataclasses.replace(CONFIG, seeds=(0, 1, 2))


def stimuli(pictures, images_per_class=2):
    return StimulusFolder(pictures, StimuliConfig(None, 224, images_per_class, ("intact",), 2.0, 255))


def direct(network, folder, layer, rows):
    """Class means and their correlation distances by torchvision's own extractor and scipy."""
    extractor = create_feature_extractor(network.module, [layer]).eval()
    with torch.inference_mode():
        images = torch.stack([network.transform(read_image(path)) for path in folder.files.path])
        values = rows(extractor(images)[layer]).double().numpy()
    return pdist([values[(folder.files.wnid == wnid).to_numpy()].mean(0) for wnid in folder.classes], "correlation")


def test_rdms_are_those_of_plain_extraction(pictures):
    network, folder = find("resnet18:untrained"), stimuli(pictures, 1)
    found = rdms_of(network, folder, dataclasses.replace(CONFIG, layers=("avgpool", "layer2.0", "layer1")))
    assert list(found.rdms) == ["layer1", "layer2.0", "avgpool"] and not found.random
    expected = direct(network, folder, "layer1", lambda values: values.mean((2, 3)))
    np.testing.assert_allclose(found.rdms["layer1"].values, expected, rtol=1e-6, atol=1e-12)
    again = rdms_of(network, folder, dataclasses.replace(CONFIG, layers=("layer1",)))
    np.testing.assert_array_equal(again.rdms["layer1"].values, found.rdms["layer1"].values)  # two runs are equal
    assert again.how["weights_sha256"] == found.how["weights_sha256"] == weights_sha256(network.module)


def vit():
    torch.manual_seed(1)
    made = models.VisionTransformer(
        image_size=32, patch_size=8, num_layers=3, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=5
    )
    view = models.ViT_B_16_Weights.DEFAULT.transforms
    transform = type(view())(crop_size=32, resize_size=32)
    return Scored("vit", made.eval(), transform, "drawn", None)


def test_a_vit_gives_class_token_and_mean_token_or_all_in_passes(pictures, monkeypatch):
    network, folder, layer = vit(), stimuli(pictures), "encoder.layers.encoder_layer_1"
    config = dataclasses.replace(CONFIG, layers=(layer, "encoder.ln"))
    found = rdms_of(network, folder, config)
    assert found.how["layers"][0]["units"] == 2 * 16
    both = direct(network, folder, layer, lambda values: torch.cat((values[:, 0], values[:, 1:].mean(1)), 1))
    np.testing.assert_allclose(found.rdms[layer].values, both, rtol=1e-6, atol=1e-9)
    every = dataclasses.replace(config, tokens="all")
    monkeypatch.setattr(module_under_test, "LOADED_LATER", 0)
    memory = types.SimpleNamespace(memory_info=lambda: types.SimpleNamespace(rss=0))
    monkeypatch.setattr(module_under_test.psutil, "Process", lambda: memory)
    plan = planned(network, 8, every, torch.zeros(1, 3, 32, 32))
    assert plan.units.tolist() == [17 * 16] * 2 and plan.part.tolist() == [1, 1]
    needed = 8 * 17 * 16 * 8 + 8 * 8 * 8  # class means and an RDM
    np.testing.assert_allclose(plan.mib, needed / 2**20)
    batch = 5 * 3 * 32 * 32 * 4 * module_under_test.AT_ONCE  # the picture is larger than all that follows from it
    little = dataclasses.replace(every, max_memory_gib=(batch + 1.5 * needed) / 2**30)
    passes = rdms_of(network, folder, little)
    assert [one["part"] for one in passes.how["layers"]] == [1, 2]
    flat = direct(network, folder, layer, lambda values: values.flatten(1))
    np.testing.assert_allclose(passes.rdms[layer].values, flat, rtol=1e-6, atol=1e-9)
    less = dataclasses.replace(every, max_memory_gib=(batch + 0.5 * needed) / 2**30)
    with pytest.raises(InputError, match=rf"vit, layer {layer}: class means of 8 x 272 units.*--max-memory"):
        rdms_of(network, folder, less)


def test_layers_are_what_goes_into_the_next_block_with_weights():
    image = torch.zeros(1, 3, 64, 64)
    resnet, transformer = models.resnet18().eval(), vit().module
    there = layers_of(resnet, outputs(resnet, image))
    assert there[:2] == ["maxpool", "layer1.0"] and there[-2:] == ["layer4.0", "avgpool"]
    assert layers_of(transformer, outputs(transformer, image[:, :, :32, :32]))[-1] == "encoder.ln"
    chain = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(True), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(14400, 5)
    ).eval()
    assert layers_of(chain, outputs(chain, image)) == ["1", "3"] and outputs(chain, image)["1"] == 4 * 62 * 62


def test_maps_with_channels_last_are_averaged_over_space_too():
    values = torch.rand(2, 7, 7, 5)
    rows = Watched(nn.Identity(), [], "mean").rows
    torch.testing.assert_close(rows(values), values.mean((1, 2)))
    torch.testing.assert_close(rows(values.permute(0, 3, 1, 2)), values.mean((1, 2)))


def test_what_cannot_be_extracted_is_named(pictures, own):
    folder = stimuli(pictures, 1)
    with pytest.raises(InputError, match=r"no layer 'layer9'; there are 1, 5, and any of its 7 modules"):
        rdms_of(find(f"{own}:network"), folder, dataclasses.replace(CONFIG, layers=("layer9",)))
    with pytest.raises(InputError, match="layer 5: activations that are not finite"):
        rdms_of(find(f"{own}:diverged"), folder, CONFIG)
    with pytest.raises(InputError, match="layer layer: other activations for the same image"):
        rdms_of(find(f"{own}:dropped"), folder, CONFIG)
    with pytest.raises(InputError, match="layer 1: other activations for the same image"):  # its pictures change
        rdms_of(find(f"{own}:changing"), folder, CONFIG)
    with pytest.raises(InputError, match="script: no module inside it is seen at work"):
        rdms_of(find(f"{own}:script"), folder, CONFIG)
    with pytest.raises(InputError, match=r"small: fails at \(1, 3, 224, 224\): .*; see its transform"):
        rdms_of(find(f"{own}:small"), folder, CONFIG)
    network = find("resnet18:untrained")
    with pytest.raises(InputError, match=r"layer layer1\.0\.relu: runs several times"):
        rdms_of(network, folder, dataclasses.replace(CONFIG, layers=("layer1.0.relu",)))


def test_weights_alarm_where_they_are_distributed_as_drawn_ones():
    generator, rng = torch.Generator().manual_seed(0), np.random.default_rng(0)
    rdms = [{"a": RDM(rng.random(28), tuple("abcdefgh"))} for _ in range(4)]  # that have nothing in common

    def heard(first, second):
        return "distributed as drawn" in alarm(rdms[0], rdms[1:], [first], [second])

    samples = torch.randn(300, 2, 2000, generator=generator)  # p < .001 once in 1,000 times: at most 3 of 300, nearly
    assert np.mean([heard(first, second) for first, second in samples]) >= 0.99
    assert not heard(torch.randn(2000, generator=generator), torch.rand(2000, generator=generator) - 0.5)
    assert not alarm(rdms[0], rdms[1:], [], [])


def test_the_alarm_tells_drawn_weights_from_trained_ones(pictures, own):
    folder = stimuli(pictures)
    trained = rdms_of(find(f"{own}:network"), folder, WITH)
    assert trained.how["alarm"] == "" and trained.how["untrained_networks"] == 3
    network = find(f"{own}:network")
    drawn = network._replace(module=network.untrained(7))
    assert "first weights are distributed as drawn ones" in rdms_of(drawn, folder, WITH).how["alarm"]
    assert rdms_of(find(f"{own}:alone"), folder, WITH).random == {}


def test_the_alarm_hears_rdms_where_weights_were_drawn_in_another_way():
    rng, classes = np.random.default_rng(0), tuple("abcdefgh")
    look = pdist(rng.standard_normal((8, 3)))

    def seen(noise, of=look):
        return {layer: RDM(of + noise * rng.standard_normal(28), classes) for layer in ("first", "last")}

    untrained = [seen(0.1) for _ in range(5)]
    assert "as near to untrained networks'" in alarm(seen(0.05), untrained, *TRAINED)
    other = pdist(rng.standard_normal((8, 3)))
    assert alarm(seen(0.05, other), untrained, *TRAINED) == ""
    first = seen(0.05) | {"last": RDM(other, classes)}  # looks first, something else at last: trained
    assert alarm(first, untrained, *TRAINED) == ""
