"""Labels of films by networks of torchvision: outputs whose labels, confidences and boxes are known."""

import json
import urllib.error

import numpy as np
import pytest
import torch
import yaml
from torch import nn
from torchvision import models

from semanticcmc.cli import main
from semanticcmc.config import InputError, package_table, read_text_table
from semanticcmc.experiment import load_experiment, read_values
from semanticcmc.films.files import Frame, merge_index, write_film
from semanticcmc.labels.ingest import import_labels
from semanticcmc.labels.nouns import label_nouns
from semanticcmc.labels.stream import LabelsConfig, read_labels
from semanticcmc.rsa.wordnet import open_wordnet
from semanticcmc.scoring import detect
from semanticcmc.scoring.detect import DetectionConfig, label_films, output_labels
from semanticcmc.scoring.networks import Scored
from tests.conftest import ROOT

CLASSIFIER, DETECTOR = "squeezenet1_1", "ssdlite320_mobilenet_v3_large"
IMAGENET = (ROOT / "data_manifests" / "class_lists" / "imagenet.txt").read_text().split()
IMPORT = LabelsConfig(None, None, 50.0, False, (), False, None, (0.0, 0.0))


def add_film(folder, movie_id, levels, size=(48, 64)):
    """A film of one grey picture a second."""
    frames = (Frame(i, i, i, np.full((*size, 3), level, np.uint8)) for i, level in enumerate(levels))
    write_film(folder / "frames", movie_id, frames, 95)
    merge_index(folder / "frames", [path.stem for path in (folder / "frames").glob("*.tar")])


@pytest.fixture
def experiment(tmp_path):
    (tmp_path / "experiment.yaml").write_text(yaml.safe_dump(read_values("clips")[0]))
    add_film(tmp_path, "a", [0, 100, 200])
    add_film(tmp_path, "b", [200], size=(64, 48))
    return tmp_path


def settings(least_confidence=50.0, least_area=0.0, batch_size=2):
    return DetectionConfig(least_confidence, least_area, batch_size)


class Grey(nn.Module):
    """What stands in for a network: what it answers is decided by the mean of each picture."""

    def __init__(self, answer):
        super().__init__()
        self.answer, self.seen, self.weight = answer, 0, nn.Parameter(torch.zeros(1))

    def forward(self, frames):
        self.seen += len(frames)
        found = [self.answer(round(255 * frame.mean().item())) for frame in frames]
        return torch.stack(found) if isinstance(found[0], torch.Tensor) else found


@pytest.fixture
def stand_in(monkeypatch):
    def put(answer):
        module = Grey(answer)
        scored = Scored("stand-in", module, lambda frame: frame[:, :48, :48].float() / 255, "by hand", None)
        monkeypatch.setattr(detect, "of_a_library", lambda name, given: scored)
        return module

    return put


def probabilities(**of):
    """Logits of a classifier with these probabilities of ImageNet's classes, and the rest spread over the others."""
    left = np.full(1000, (1 - sum(of.values())) / (1000 - len(of)))
    for wnid, probability in of.items():
        left[IMAGENET.index(wnid)] = probability
    return torch.tensor(np.log(left))


def rows(stream):
    return [(row.movie_id, row.time_s, row.label, round(row.confidence, 3)) for row in stream.labels.itertuples()]


def test_a_classifiers_probabilities_become_labels_in_percent_at_the_frames_times(experiment, stand_in):
    answers = {0: {"n01440764": 0.7, "n01443537": 0.25}, 100: {"n02012849": 0.6}, 200: {}}
    stand_in(lambda level: probabilities(**answers[level]))
    found = label_films(load_experiment(experiment / "experiment.yaml"), "resnet18", settings(20.0))
    assert rows(found) == [("a", 0.0, "goldfish", 25.0), ("a", 0.0, "tench", 70.0), ("a", 1.0, "crane.n.05", 60.0)]
    assert found.times.values.tolist() == [["a", 0.0, 1.0, 3], ["b", 0.0, 1.0, 1]]


def boxes(*of):
    """A detector's answer: number, score, and width and height of each box."""
    number, score, width, height = (
        (torch.tensor(column) for column in zip(*of, strict=True)) if of else [torch.ones(0)] * 4
    )
    left_top = torch.zeros(len(of), 2)
    corners = torch.cat([left_top, torch.stack([width, height], 1).float()], 1)
    return {"boxes": corners, "labels": number.long(), "scores": score}


def test_boxes_that_are_large_and_sure_enough_become_labels_and_the_surest_of_several_counts(experiment, stand_in):
    """Numbers are COCO's of 1 to 90: 1 person, 18 dog, 26 nothing, 74 the mouse of a computer."""
    dogs = boxes((18, 0.5, 24, 24), (18, 0.75, 48, 48), (1, 0.25, 48, 48), (26, 1.0, 48, 48))
    answers = {0: dogs, 100: boxes((74, 0.5, 24, 24), (1, 0.5, 24, 23)), 200: boxes()}
    stand_in(answers.get)
    found = label_films(load_experiment(experiment / "experiment.yaml"), DETECTOR, settings(50.0, least_area=0.25))
    assert rows(found) == [("a", 0.0, "dog", 75.0), ("a", 1.0, "computer mouse", 50.0)]
    assert label_nouns(["computer mouse"])["wnid"].tolist() == ["n03793489"]


def test_a_film_without_labels_is_named_and_all_without_are_refused(experiment, stand_in, capsys):
    E = load_experiment(experiment / "experiment.yaml")
    stand_in(lambda level: probabilities(n01440764=0.9 if level == 0 else 0.1))
    label_films(E, "resnet18", settings())
    assert "WITHOUT LABELS: b: nothing found with 50 % or more" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"resnet18: nothing found in any of 2 films; lower --least-confidence"):
        label_films(E, "resnet18", settings(95.0))
    assert len(read_labels(experiment / "detected").labels) == 1  # those of before


def test_films_that_are_labelled_are_not_shown_again(experiment, stand_in):
    E = load_experiment(experiment / "experiment.yaml")
    network = stand_in(lambda level: probabilities(n01440764=0.9))
    first = label_films(E, "resnet18", settings())
    assert network.seen == 4
    label_films(E, "resnet18", settings(batch_size=3))
    assert network.seen == 4
    add_film(experiment, "b", [50, 60])  # another film of that name
    second = label_films(E, "resnet18", settings())
    assert network.seen == 6 and (len(first.labels), len(second.labels)) == (4, 5)
    label_films(E, "resnet18", settings(60.0))
    assert network.seen == 11


def test_from_a_file_of_weights_to_labels_with_nouns(experiment, capsys):
    """A classifier that says tench, 0.8, and crane (the bird), 0.2 of what is left, whatever it is shown; as a user."""
    network = models.squeezenet1_1()
    network.classifier[1].weight.data.zero_()
    network.classifier[1].bias.data = 20 + probabilities(n01440764=0.8, n02012849=0.15).float()  # above its ReLU
    torch.save(network.state_dict(), experiment / "weights.pt")
    asked = ["label", str(experiment / "experiment.yaml"), "--network", f"{CLASSIFIER}:{experiment / 'weights.pt'}"]
    assert main(asked) == 0
    said = capsys.readouterr()
    assert f"LABELS={experiment / 'detected'}" in said.out and "frames labelled: 4 of 4" in said.err
    record = json.loads((experiment / "detected" / "label.json").read_text())
    assert record["config"]["least_confidence"] == 5 and "weights.pt, SHA-256" in record["weights"]
    found = read_labels(experiment / "detected")
    surest = found.labels.groupby("label", observed=True)["confidence"].mean()
    assert surest.to_dict() == pytest.approx({"tench": 80, "crane.n.05": 15}, abs=1e-3)
    import_labels(experiment / "detected", experiment / "labels", IMPORT)  # least confidence 50
    kept = read_labels(experiment / "labels").labels["label"].unique()
    assert label_nouns(kept)["wnid"].tolist() == ["n01440764"]


def test_a_detector_of_torchvision_with_weights_of_a_file(experiment):
    """Each anchor box is class 18, dog, with logit 10 against 0 of 90 others."""
    torch.manual_seed(0)
    network = models.get_model(DETECTOR, weights_backbone=None)
    for layer in network.head.classification_head.module_list:
        layer[1].weight.data.zero_()
        layer[1].bias.data = torch.zeros(91).index_fill(0, torch.tensor(18), 10.0).repeat(len(layer[1].bias) // 91)
    torch.save({"model": network.state_dict()}, experiment / "weights.pt")
    E = load_experiment(experiment / "experiment.yaml")
    found = label_films(E, f"{DETECTOR}:{experiment / 'weights.pt'}", settings())
    odds = np.exp(10)
    assert [row[:3] for row in rows(found)] == [
        (film, t, "dog") for film, t in [("a", 0), ("a", 1), ("a", 2), ("b", 0)]
    ]
    assert found.labels["confidence"].to_numpy() == pytest.approx(100 * odds / (odds + 90), rel=1e-4)


def test_what_cannot_be_is_refused_before_any_frame_is_read(experiment, monkeypatch, capsys):
    def unreachable(*_, **__):
        raise urllib.error.URLError("unreachable")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", unreachable)
    yaml_file, file = str(experiment / "experiment.yaml"), experiment / "weights.pt"
    torch.save(models.squeezenet1_1().state_dict(), file)

    def refused(network, *options):
        assert main(["label", yaml_file, "--network", network, *options]) == 2
        return capsys.readouterr().err

    assert f"{DETECTOR}:{file}: no weights for backbone" in refused(f"{DETECTOR}:{file}")
    assert f"{CLASSIFIER}:nowhere.pt: no file, and" in refused(f"{CLASSIFIER}:nowhere.pt")
    assert "network 'yolo': torchvision has fasterrcnn" in refused("yolo")
    assert "least_confidence 101.0: expected 0 to 100" in refused(CLASSIFIER, "--least-confidence", "101")
    assert "least_area -0.1: expected 0 to 1" in refused(CLASSIFIER, "--least-area", "-0.1")
    assert "batch_size 0: expected 1 or more" in refused(CLASSIFIER, "--batch-size", "0")
    assert not (experiment / "detected").exists()
    (experiment / "frames" / "index.parquet").unlink()
    assert "no such frame store" in refused(f"{CLASSIFIER}:{file}")


# The table of outputs ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table():
    return read_text_table(package_table("detector_nouns.csv"), ("label", "wnid", "coco", "imagenet"), "label")


def test_the_table_has_each_class_of_imagenet_at_its_place_and_each_of_coco_by_its_name(table):
    numbered = table[table["imagenet"] != ""].astype({"imagenet": int}).set_index("imagenet")["wnid"]
    assert numbered.sort_index().tolist() == IMAGENET and len(numbered) == 1000
    coco = models.get_model_weights(DETECTOR).DEFAULT.meta["categories"]
    things = {name for name in coco if name not in ("N/A", "__background__")}
    assert set(table["coco"]) - {""} == things and len(things) == 80
    assert not table["wnid"].duplicated().any()
    assert [output_labels(DETECTOR)[i] for i in (0, 1, 12, 90)] == ["", "person", "", "toothbrush"]
    assert output_labels(CLASSIFIER)[:2] == ["tench", "goldfish"] and "" not in output_labels(CLASSIFIER)


def test_torchvisions_names_are_words_of_the_nouns(table):
    """Its list of ImageNet's classes is in the order of ours: each name is a word of the class's synset."""
    if (corpus := open_wordnet()) is None:
        pytest.skip("WordNet's files are not here")
    called = models.get_model_weights(CLASSIFIER).DEFAULT.meta["categories"]
    other = {"crane bird": "crane", "maillot tank suit": "maillot"}  # torchvision tells two cranes, two maillots apart
    for name, wnid in zip(called, IMAGENET, strict=True):
        words = corpus.synset_from_pos_and_offset("n", int(wnid[1:])).lemma_names()
        assert other.get(name, name).replace(" ", "_").lower() in [word.lower() for word in words]


@pytest.mark.parametrize("corpus", [True, False], ids=["WordNet", "the package alone"])
def test_every_label_leads_to_its_noun(table, corpus, monkeypatch):
    if not corpus:
        monkeypatch.setattr("semanticcmc.labels.nouns.open_wordnet", lambda: None)
    found = label_nouns(table["label"])
    assert found["wnid"].tolist() == table["wnid"].tolist()
    assert found["noun"].str.lower().tolist() == table["noun"].str.lower().tolist()
