"""The whole pipeline on a tiny world: Snakemake, papermill, figures, poster."""

import json
import os
import re
import subprocess
import sys

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
import yaml

import semanticcmc
from semanticcmc.config import InputError
from semanticcmc.evaluation.config import ActivationsConfig, StimuliConfig
from semanticcmc.evaluation.rdm_files import network_rdms, untrained_network
from semanticcmc.evaluation.stimuli import StimulusFolder, stimulus_folder
from semanticcmc.experiment import load_experiment
from semanticcmc.rsa.rdm import read_rdms
from tests.conftest import forked_kernels

pytestmark = pytest.mark.pipeline


def files_of(folder):
    """Path to time of last change, of everything but logs and locks."""
    return {
        path.relative_to(folder): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and ".snakemake" not in path.parts and path.suffix not in (".log", ".lock")
    }


def test_one_command_leaves_every_promised_file(smoke):
    folder, said = smoke
    experiment = load_experiment(folder / "experiment.yaml")
    names = ["01_dataset_statistics", "04_lag_curve", "05_wordnet", "07_robustness"]
    for network in experiment.networks:
        for seed in experiment.seeds:
            names += [f"02_training_{network}_seed-{seed}", f"03_representations_{network}_seed-{seed}"]
            for condition in ("intact", "object", "background"):
                assert (folder / f"rdms/{network}/seed-{seed}_{condition}.parquet").exists()
            record = json.loads((folder / f"networks/{network}/seed-{seed}/run.json").read_text())
            assert record["seed"] == seed
            assert record["config"]
    for name in names:
        notebook = nbformat.read(folder / "notebooks" / f"{name}.ipynb", as_version=4)
        assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code" and cell.source)
    for table in (
        "dataset",
        "timescales",
        "half_lives",
        "recommended_lag",
        "lag_curve",
        "accuracy",
        "published",
        "lag_comparisons",
        "noise_ceiling",
        "connectivity",
        "robustness",
    ):
        assert len(pd.read_csv(folder / f"tables/{table}.csv"))
    for figure in (folder / "figures").glob("*.json"):
        assert figure.with_suffix(".svg").exists()
        assert figure.with_suffix(".png").exists()
    assert (folder / "poster/poster.html").stat().st_size > 10_000
    assert (folder / "poster/poster.pdf").read_bytes().startswith(b"%PDF")
    assert (folder / "paper/paper.html").stat().st_size > 10_000
    assert (folder / "paper/paper.pdf").read_bytes().startswith(b"%PDF")
    assert re.search(r"\d+ of \d+ jobs", said)
    assert "poster/poster.html" in said


def test_the_lag_curve_has_a_row_for_every_network_layer_model_and_control(smoke):
    folder, _ = smoke
    experiment = load_experiment(folder / "experiment.yaml")
    table = pd.read_csv(folder / "tables/lag_curve.csv", keep_default_na=False, na_values=[""])
    assert set(table.network) == set(experiment.networks)
    assert {"category", "lch"} <= set(table.model)
    assert {"none", "random", "cmc_lab", "look"} == set(table.control)
    assert {"intact", "object", "background"} == set(table.condition)
    key = ["network", "seed", "layer", "condition", "model", "control"]
    assert not table.duplicated(key).any()
    assert table.p.between(1 / (table.permutations.max() + 1) * 0.99, 1).all()
    assert (table.ci_low <= table.ci_high).all()
    assert (table.p_holm >= table.p).all()


def test_the_control_made_without_a_notebook_is_what_the_notebooks_write(smoke):
    """Seed 0 through notebooks 02 and 03, against the same seed drawn in memory: equal bit for bit."""
    folder, _ = smoke
    experiment = load_experiment(folder / "experiment.yaml")
    assert (folder / "rdms/random/seed-1.json").exists()
    assert not list((folder / "notebooks").glob("*_random_seed-1.ipynb"))
    stimuli = StimulusFolder(stimulus_folder(experiment), experiment.section("stimuli", StimuliConfig))
    config = experiment.section("activations", ActivationsConfig)
    network = untrained_network(experiment, experiment.network("random", 0))
    distance = experiment.sections["evaluation"]["distance"]
    torch.set_num_threads(1)  # as the workflow's jobs have here
    for condition in stimuli.config.conditions:
        rdms = network_rdms(network, stimuli, condition, config, distance)
        for layer, written in read_rdms(folder / f"rdms/random/seed-0_{condition}.parquet").items():
            np.testing.assert_array_equal(rdms[layer].values, written.values)


def test_the_second_time_nothing_is_done(smoke, pipeline):
    folder, _ = smoke
    before = files_of(folder)
    again = pipeline("smoke", folder.parent)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "Nothing to be done" in (folder / "workflow.log").read_text()
    assert files_of(folder) == before


def test_an_edited_parameter_runs_again_only_what_depends_on_it(smoke, repository):
    folder, _ = smoke
    file = folder / "experiment.yaml"
    before = file.read_text()
    values = yaml.safe_load(before)
    values["evaluation"]["permutations"] += 100
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        str(repository / "Snakefile"),
        "--directory",
        str(folder),
        "--config",
        f"experiment={file}",
        "--cores",
        "1",
        "--dry-run",
        "--nolock",
    ]
    try:
        file.write_text(yaml.safe_dump(values))  # keys in another order, which is no change
        said = subprocess.run(command, capture_output=True, text=True, cwd=repository).stdout
    finally:
        file.write_text(before)
    again = set(re.findall(r"^rule (\w+):", said, flags=re.M))
    assert "lag_curve" in again, said
    assert not again & {"world", "statistics", "train", "represent"}


def test_papermill_by_hand_refuses_a_parameter_that_there_is_not(tmp_path, repository):
    command = [sys.executable, "-m", "papermill", "analysis/02_training.ipynb", str(tmp_path / "out.ipynb")]
    options = ["--cwd", "analysis", "--kernel", "python3", "--no-progress-bar"]
    parameters = ["-p", "experiment", "smoke", "-p", "lagg_s", "60"]
    env = os.environ | forked_kernels(tmp_path)
    done = subprocess.run([*command, *options, *parameters], capture_output=True, text=True, cwd=repository, env=env)
    assert done.returncode != 0
    last = [line for line in done.stderr.splitlines() if "InputError:" in line][-1]
    assert "lagg_s" in last and "lag_s" in last


@pytest.mark.parametrize(
    ("network", "lag_s", "words"), [("semantic", -1, ["-1", "above 0"]), ("sematic", 60, ["sematic", "semantic"])]
)
def test_a_network_that_cannot_be_is_refused_before_it_is_trained(network, lag_s, words):
    with pytest.raises(InputError) as error:
        semanticcmc.open("smoke").asked(network, lag_s, 0)
    assert all(word in str(error.value) for word in words)


def test_two_runs_on_one_results_folder_do_not_meet(smoke, pipeline):
    import fcntl

    folder, _ = smoke
    with (folder / ".workflow.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = pipeline("smoke", folder.parent)
    assert done.returncode == 2
    assert "another run" in done.stderr
