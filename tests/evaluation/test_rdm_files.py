"""Untrained networks as controls: the very RDMs that the notebooks write, what made them, and what is refused."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from semanticcmc.cli import main
from semanticcmc.config import InputError, package_table
from semanticcmc.evaluation import rdm_files
from semanticcmc.evaluation.activations import class_means_and_features
from semanticcmc.evaluation.config import ActivationsConfig, StimuliConfig
from semanticcmc.evaluation.stimuli import StimulusFolder, stimulus_folder
from semanticcmc.experiment import load_experiment, read_values
from semanticcmc.rsa.rdm import from_class_means, read_rdms, write_rdms
from semanticcmc.training.checkpoints import load_network
from semanticcmc.training.loop import Run

CLASSES = pd.read_csv(package_table("world_classes.csv"), comment="#").wnid[:5]


@pytest.fixture
def experiment(tmp_path):
    """The smoke experiment with five class folders of noise, seeds 0 and 3, and controls of the seeds 0 and 2."""
    rng = np.random.default_rng(0)
    for wnid in CLASSES:
        (tmp_path / "stimuli" / wnid).mkdir(parents=True)
        for number in range(3):
            pixels = rng.integers(0, 255, (6, 6, 3), dtype=np.uint8).repeat(10, 0).repeat(10, 1)
            Image.fromarray(pixels).save(tmp_path / "stimuli" / wnid / f"{number}.jpg")
    values = read_values("smoke")[0]
    values["seeds"] = [0, 3]
    values["stimuli"] |= {"folder": str(tmp_path / "stimuli"), "conditions": ["intact", "grey"]}
    values["evaluation"]["random_seeds"] = [0, 2]
    file = tmp_path / "results" / "smoke" / "experiment.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(yaml.safe_dump(values))
    return load_experiment(file)


def test_rdms_are_those_of_the_notebooks_bit_for_bit(experiment, tmp_path):
    """Seed 2 by the notebooks' steps: run folder, checkpoint, network read back, means and features in one stream."""
    network = experiment.network("random", 2)
    Run(experiment, network).train()
    trained = load_network(experiment.run_folder(network))
    config = experiment.section("activations", ActivationsConfig)
    stimuli = StimulusFolder(stimulus_folder(experiment), experiment.section("stimuli", StimuliConfig))
    files = rdm_files.make_controls(experiment)
    assert [file.name for file in files] == ["seed-2_intact.parquet", "seed-2_grey.parquet"]
    for file, condition in zip(files, ("intact", "grey"), strict=True):
        batches = stimuli.batches(config.batch_size, condition)
        means, _, _ = class_means_and_features(trained, batches, len(CLASSES), experiment.primary_layer, config)
        write_rdms(
            tmp_path / "one.parquet",
            {
                layer: from_class_means(values, stimuli.classes, experiment.sections["evaluation"]["distance"])
                for layer, values in means.items()
            },
        )
        assert file.read_bytes() == (tmp_path / "one.parquet").read_bytes()


def test_what_made_them_is_recorded(experiment):
    rdm_files.make_controls(experiment)
    about = json.loads((experiment.folder / "rdms" / "random" / "seed-2.json").read_text())
    assert about["seed"] == 2 and about["config"]["images"] == 15 and about["config"]["classes"] == 5
    assert about["config"]["networks"]["input_px"] == experiment.sections["networks"]["input_px"]
    assert {"git_commit", "versions"} <= set(about) and len(about["config"]["images_sha256"]) == 64


@pytest.mark.parametrize(
    ("baselines", "names", "made"),
    [(("random",), ["none", "random"], (2,)), (("augment",), ["random"], (0, 2, 3)), (("random",), ["none"], ())],
)
def test_only_seeds_without_a_notebook_are_made(experiment, baselines, names, made):
    """The experiment's own seeds count to the control as well: training starts from these very networks."""
    sections = dict(experiment.sections)
    sections["evaluation"] = sections["evaluation"] | {"controls": names}
    one = dataclasses.replace(experiment, baselines=baselines, sections=sections)
    assert tuple(network.seed for network in rdm_files.networks_to_make(one)) == made


def test_each_seed_sees_the_classes_in_a_way_of_its_own(experiment):
    """Seeds differ, and one seed is always the same."""
    sections = dict(experiment.sections)
    sections["evaluation"] = sections["evaluation"] | {"random_seeds": [1, 2]}
    files = rdm_files.make_controls(dataclasses.replace(experiment, sections=sections))
    rdms = {file.name: read_rdms(file)["fc7"].values for file in files}
    assert 0 < np.corrcoef(rdms["seed-1_intact.parquet"], rdms["seed-2_intact.parquet"])[0, 1] < 0.999
    again = {file.name: read_rdms(file)["fc7"].values for file in rdm_files.make_controls(experiment)}
    np.testing.assert_array_equal(again["seed-2_grey.parquet"], rdms["seed-2_grey.parquet"])


def test_command_line_tells_what_is_wrong(experiment, capsys):
    assert main(["controls", str(experiment.file)]) == 0
    assert experiment.path("rdms", "random", "seed-2_intact.parquet").is_file()
    assert "2 of 2" in capsys.readouterr().err
    sections = dict(experiment.sections)
    sections["activations"] = sections["activations"] | {"layers": ["conv9"]}
    with pytest.raises(InputError, match="layer conv9"):
        rdm_files.make_controls(dataclasses.replace(experiment, sections=sections))
    experiment.file.write_text(experiment.file.read_text().replace("random_seeds", "random_sed"))
    assert main(["controls", str(experiment.file)]) == 2
    assert "random_sed" in capsys.readouterr().err
