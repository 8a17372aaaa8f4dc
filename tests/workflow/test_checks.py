"""An experiment is checked as a whole before its first job: what is wrong is named with key, value and remedy."""

import pytest
import yaml

from semanticcmc.config import InputError
from semanticcmc.experiment import load_experiment
from semanticcmc.workflow.checks import check_experiment


def experiment(folder, **changed):
    file = folder / "x.yaml"
    file.write_text(yaml.safe_dump({"extends": "miniature", "name": "x", "title": "t"} | changed))
    return load_experiment(file, results=folder)


def test_the_experiments_of_the_repository_have_no_fault_but_what_a_user_gives(repository, tmp_path):
    for file in (repository / "analysis" / "experiments").glob("[!b]*.yaml"):
        if file.stem.startswith("photographs"):  # they ask for the folder that a user has, and say where it comes from
            with pytest.raises(InputError, match="yaml: world.photographs null: name a folder .* Tiny-ImageNet is at"):
                check_experiment(load_experiment(file, results=tmp_path))
        elif file.stem not in ("poster", "poster_fast", "movie101"):  # for weights, or labels, that a user downloads
            check_experiment(load_experiment(file, results=tmp_path))


@pytest.mark.parametrize(
    "changed, said",
    [
        ({"primary_layer": "fc77"}, "primary_layer fc77: none of activations.layers, conv1"),
        ({"activations": {"layers": ["conv1"]}}, "primary_layer fc7: none of activations.layers, conv1"),
        ({"activations": {"layers": ["fc7", "fc9"]}}, "activations.layers fc9: no such layer; there are conv1"),
        ({"training": {"warm_start": "nothing.pt"}}, "training.warm_start nothing.pt: no such file"),
        ({"training": {"warm_start": "analysis"}}, "training.warm_start analysis: is no file"),
        ({"evaluation": {"model_files": {"words": "no.csv"}}}, "evaluation.model_files.words no.csv: no such file"),
        ({"evaluation": {"categories": "no.csv"}}, "evaluation.categories no.csv: no such file"),
        ({"labels": {"nouns": "no.csv"}}, "labels.nouns no.csv: no such file"),
        ({"stimuli": {"folder": "nothing"}}, "stimuli.folder nothing: no such folder"),
        ({"classification": {"test": "nothing"}}, "classification.test nothing: no such folder"),
        ({"baselines": ["supervised"]}, "training.supervised_weights: null; name torchvision"),
        ({"lags_s": [0.5, 60]}, "lags_s 0.5: shorter than the time between frames, 1 s"),
        ({"lags_s": [1, 86400]}, "lags_s 86400: with its tolerance longer than a film, 2400 s"),
        ({"lags_s": [1, 1.0000001]}, "lags_s 1.0 and 1.0000001: both are the network semantic_1s"),
        ({"lags_s": [], "baselines": []}, "no network: name lags_s or baselines"),
        ({"seeds": [2**70]}, "seeds 1180591620717411303424: expected at most 4294967295"),
        ({"training": {"weight_decay": float("nan")}}, "section training: weight_decay nan"),
        ({"stimuli": {"conditions": ["intact", "object"]}}, "stimuli.conditions object: exemplars on grey"),
        ({"source": "films", "evaluation": {"models": ["association"]}}, "models association: needs labels"),
    ],
)
def test_what_is_wrong_is_found_before_the_first_job(tmp_path, changed, said):
    with pytest.raises(InputError, match=said):
        check_experiment(experiment(tmp_path, **changed))


def test_all_faults_between_sections_are_told_at_once(tmp_path):
    wrong = experiment(tmp_path, primary_layer="fc77", lags_s=[86400], training={"warm_start": "nothing.pt"})
    with pytest.raises(InputError, match="(?s)lags_s.*fc77.*nothing.pt"):
        check_experiment(wrong)
