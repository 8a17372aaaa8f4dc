"""Networks by what a person calls them: the weights that are meant, or a refusal that says what there is."""

import os
import pickle
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import models

from semanticcmc.config import InputError
from semanticcmc.experiment import load_experiment
from semanticcmc.scoring import networks
from semanticcmc.scoring.networks import find
from semanticcmc.training.networks import NetworksConfig, TrainedNetwork, build
from semanticcmc.training.views import ViewsConfig

SMALL = "squeezenet1_1"


def same(first, second):
    second = second.state_dict()
    return all(torch.equal(value, second[key]) for key, value in first.state_dict().items())


@pytest.fixture
def no_network(monkeypatch):
    def unreachable(*_, **__):
        raise urllib.error.URLError("unreachable")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", unreachable)


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(InputError, match=r"'resnet19'.*near: .*resnet18"):
        find("resnet19")
    with pytest.raises(InputError, match=r"resnet19:file.*near: .*resnet18.*nor a function here"):
        find("resnet19:file")


@pytest.mark.parametrize("asked", [SMALL, f"{SMALL}:IMAGENET1K_V1"])
def test_a_name_without_its_weights_is_refused_and_never_drawn_at_random(asked, no_network):
    with pytest.raises(InputError, match=rf"{SMALL}: its weights cannot be fetched.*unreachable.*{SMALL}:untrained"):
        find(asked)
    with pytest.raises(InputError, match=rf"{SMALL}:V9: no file, and {SMALL} has the weights IMAGENET1K_V1"):
        find(f"{SMALL}:V9")


@pytest.mark.parametrize("harmless", [True, False])
def test_a_librarys_cached_weights_are_read_and_no_code_in_them_is_executed(harmless, tmp_path, monkeypatch):
    class Harm:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "executed",))

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cached = tmp_path / "hub" / "checkpoints" / Path(models.SqueezeNet1_1_Weights.DEFAULT.url).name
    cached.parent.mkdir(parents=True)
    network = models.squeezenet1_1()
    torch.save(network.state_dict() | ({} if harmless else {"classifier.1.bias": Harm()}), cached)
    if harmless:
        assert same(find(SMALL).module, network)
    else:
        with pytest.raises(InputError, match=f"{SMALL}: its weights .* are refused .*Weights only load failed"):
            find(SMALL)
    assert not (tmp_path / "executed").exists() and "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ


def test_a_file_of_a_librarys_weights_sees_pictures_as_the_library_does(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cached = tmp_path / "hub" / "checkpoints" / Path(models.GoogLeNet_Weights.DEFAULT.url).name
    cached.parent.mkdir(parents=True)
    torch.save(models.googlenet(init_weights=False).state_dict(), cached)
    library, file, image = find("googlenet"), find(f"googlenet:{cached}"), torch.rand(1, 3, 64, 64)
    with torch.inference_mode():  # the library brings pictures from ImageNet's normalisation to GoogLeNet's own
        assert torch.equal(library.module(image), file.module(image))
    assert library.untrained(0).transform_input


def test_untrained_networks_hang_on_their_seed_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    found = find(f"{SMALL}:untrained")
    assert torch.equal(torch.rand(1), expected)
    assert same(found.module, found.untrained(0)) and not same(found.module, found.untrained(1))
    assert not found.module.training
    torch.manual_seed(0)
    assert same(found.module, models.squeezenet1_1())


def test_weights_of_a_file_are_those_and_of_another_architecture_are_refused(tmp_path):
    torch.manual_seed(5)
    network, other = models.squeezenet1_1(), models.squeezenet1_0()
    torch.save(
        {"state_dict": {f"module.{key}": value for key, value in network.state_dict().items()}}, tmp_path / "a.pt"
    )
    found = find(f"mine={SMALL}:{tmp_path / 'a.pt'}")
    assert found.name == "mine" and same(found.module, network) and "a.pt, SHA-256 " in found.source
    torch.save(other.state_dict(), tmp_path / "b.pt")
    with pytest.raises(
        InputError, match=r"b\.pt: features\.0\.weight has shape \(96, 3, 7, 7\), this network \(64, 3, 3, 3\)"
    ):
        find(f"{SMALL}:{tmp_path / 'b.pt'}")
    (tmp_path / "c.pt").write_bytes(pickle.dumps({"weights": print}))
    with pytest.raises(InputError, match=r"c\.pt: not a checkpoint of tensors and plain values, refused"):
        find(f"{SMALL}:{tmp_path / 'c.pt'}")


def test_pictures_are_prepared_as_the_weights_say():
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8))
    expected = models.SqueezeNet1_1_Weights.IMAGENET1K_V1.transforms()(picture)
    assert torch.equal(find(f"{SMALL}:untrained").transform(picture), expected)


@pytest.mark.parametrize("kind", ["random", "cmc_lab"])
def test_checkpoints_of_our_plans_see_what_they_see_in_an_experiment(kind, tmp_path, monkeypatch):
    smoke = load_experiment("smoke")
    config = smoke.section("networks", NetworksConfig)
    monkeypatch.setattr(networks, "PUBLISHED", config)
    encoder = build(smoke.network(kind, 3), config).eval()
    torch.save(
        {"model": {f"encoder.module.{key}": value for key, value in encoder.state_dict().items()}}, tmp_path / "a.pt"
    )
    found = find(str(tmp_path / "a.pt"))
    assert same(found.module, encoder) and same(found.untrained(3), encoder)
    views = ViewsConfig(**smoke.sections["views"] | {"normalisation": "published"})
    pixels = np.random.default_rng(0).integers(0, 256, (60, 50, 3), dtype=np.uint8)
    shown = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    expected = TrainedNetwork(encoder, views).activations(shown)
    for layer, values in found.module.activations(found.transform(Image.fromarray(pixels))[None]).items():
        torch.testing.assert_close(values, expected[layer], rtol=1e-5, atol=1e-6)


def test_functions_of_a_users_own(own):
    found = find(f"{own}:network")
    assert found.transform(Image.new("RGB", (40, 40))).shape == (3, 16, 16)
    assert same(found.untrained(1), found.untrained(1)) and not same(found.untrained(1), found.module)
    assert find(f"{own}:alone").untrained is None
    with pytest.raises(InputError, match="returned str, expected a torch.nn.Module"):
        find(f"{own}:nothing")
    with pytest.raises(InputError, match="nor a function here .*nowhere"):
        find(f"{own}:nowhere")


def test_functions_may_be_anything_that_is_called_and_import_late(own, tmp_path):
    (tmp_path / "imported_later.py").write_text(f"from {own} import network\n")
    assert same(find(f"{own}:later").module, find(f"{own}:made").module)
    (tmp_path / f"{own}_broken.py").write_text("def network(:\n")
    for name, why in ((f"{own}:failing", "RuntimeError: weights are gone"), (f"{own}_broken:network", "SyntaxError")):
        with pytest.raises(InputError, match=why):
            find(name)


def test_a_file_called_like_a_network_is_that_file_and_a_name_of_timm_is_known_with_timm_alone(tmp_path, monkeypatch):
    smoke = load_experiment("smoke")
    config = smoke.section("networks", NetworksConfig)
    monkeypatch.setattr(networks, "PUBLISHED", config)
    monkeypatch.chdir(tmp_path)
    encoder = build(smoke.network("cmc_lab", 3), config)
    (tmp_path / "lr=0.1").mkdir()
    for file in ("alexnet.pth", "lr=0.1/alexnet.pth"):  # as CMC calls its file, and hydra its folders
        torch.save(encoder.state_dict(), file)
        assert same(find(file).module, encoder) and find(file).name == "alexnet"
    assert networks.named("a=lr=0.1/b.pt") == ("a", "lr=0.1/b.pt")
    assert networks.named("../a=resnet18")[0] == ""  # else RDMs were written outside the results
    monkeypatch.setattr(networks.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match="neither a file nor a name of torchvision or timm"):
        find("resnet18.a1_in1k")


def test_a_checkpoint_beside_a_run_is_itself(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    torch.save({"weights": torch.ones(2)}, tmp_path / "epoch-10.pt")
    with pytest.raises(InputError, match=r"epoch-10\.pt: no weights for"):  # not checkpoint.pt's, in its place
        find(str(tmp_path / "epoch-10.pt"))


def test_weights_of_a_file_may_lack_batch_norms_counts_as_old_files_do(tmp_path):
    torch.manual_seed(5)
    network = models.resnet18()
    state = {key: value for key, value in network.state_dict().items() if "num_batches" not in key}
    torch.save({"model_state_dict": state}, tmp_path / "a.pt")
    assert same(find(f"resnet18:{tmp_path / 'a.pt'}").module, network)


def test_timms_networks_have_their_own_preprocessing(tmp_path):
    timm = pytest.importorskip("timm")
    found = find("resnet10t:untrained")
    config = timm.data.resolve_model_data_config(timm.create_model("resnet10t"))
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8))
    assert torch.equal(found.transform(picture), timm.data.create_transform(**config, is_training=False)(picture))
    torch.save(found.untrained(4).state_dict(), tmp_path / "a.pt")
    assert same(find(f"resnet10t:{tmp_path / 'a.pt'}").module, found.untrained(4))
    with pytest.raises(InputError, match="resnet10t:none: no file"):
        find("resnet10t:none")
