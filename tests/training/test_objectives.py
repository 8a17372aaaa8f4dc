"""Every objective and pairing of miniature_objectives.yaml, and one of miniature_gaze.yaml: what all of them must hold.

A new objective is tested here as soon as it has a line there; its formula is tested in a file of its own.
"""

import copy
import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from torch import distributed, multiprocessing

from semanticcmc.config import InputError
from semanticcmc.experiment import load_experiment, read_values
from semanticcmc.films.files import Frame, merge_index, write_film
from semanticcmc.films.soundtrack import SOUND_HZ, write_sound
from semanticcmc.training import objectives
from semanticcmc.training.checkpoints import load_network, read_checkpoint
from semanticcmc.training.loop import Run
from semanticcmc.training.pairings import PAIRINGS
from semanticcmc.training.recipe import choose_objective
from tests.training.test_loop import NETWORKS, TRAINING, VIEWS, assert_bit_equal

LINES = read_values("miniature:objectives")[0]["objectives"]
LINES |= {"centre_window": read_values("miniature:gaze")[0]["objectives"]["centre_window"]}
LAG_S = 4.0  # in place of the lines' own: the films are short
SHORT = {"after_s": [1, 4], "runs": 2, "frames": 3, "clusters": 8}  # also: so that batches are of several samples
NAMES = [f"{name}_{LAG_S:g}s" if "lags_s" in line else name for name, line in LINES.items()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three films of 60 s in looks of ten seconds, their shots, scenes, tracks, other views, sound, a label a look."""
    folder = tmp_path_factory.mktemp("world")
    generator, films = np.random.default_rng(0), [f"film{film}" for film in range(3)]
    for film in films:
        looks = generator.integers(0, 256, (6, 3, 3, 3), dtype=np.uint8).repeat(16, 1).repeat(16, 2)
        write_film(folder / "frames", film, (Frame(t, t, t, looks[t // 10]) for t in range(60)), quality=90)
        for view in ("flow", "segmentation", "pose"):
            write_film(
                folder / "frames", f"{film}.{view}", (Frame(t, t, t, looks[t // 7 % 6]) for t in range(60)), quality=90
            )
        noise = generator.integers(-9000, 9000, (6, SOUND_HZ)).repeat([10] * 6, axis=0)  # one a look
        write_sound(folder / "frames", film, [noise.astype(np.int16).ravel()])
    merge_index(folder / "frames", films)
    shots = [(film, t, t + 10.0, t // 10, t // 20) for film in films for t in range(0, 60, 10)]
    (folder / "world/tracks").mkdir(parents=True)
    pd.DataFrame(shots, columns=["movie_id", "start_s", "stop_s", "shot", "scene"]).to_parquet(
        folder / "world/shots.parquet"
    )
    boxes = [(t * 1.0, t // 10, thing, 5, 5 + thing, 30, 40) for t in range(60) for thing in (0, 1)]
    for film in films:
        names = ["time_s", "shot", "object", "top", "left", "height", "width"]
        pd.DataFrame(boxes, columns=names).to_parquet(folder / f"world/tracks/{film}.parquet")
    (folder / "labels").mkdir()
    labels = [(film, t / 2, "abc"[t // 20 % 3], 90.0) for film in films for t in range(120)]
    table = pd.DataFrame(labels, columns=["movie_id", "time_s", "label", "confidence"])
    table.astype({"movie_id": "category", "label": "category"}).to_parquet(folder / "labels/labels.parquet")
    times = pd.DataFrame({"movie_id": films, "start_s": 0.0, "interval_s": 0.5, "count": 120})
    times.to_parquet(folder / "labels/label_times.parquet")
    return folder


def write_experiment(target, folder, lines=LINES, **changes):
    """The YAML of an experiment over the films with all lines, at their short lag."""
    target.mkdir(parents=True)
    for part in ("frames", "world", "labels"):
        (target / part).symlink_to(folder / part)
    short = SHORT | {"lags_s": [LAG_S]}
    lines = {
        name: {key: said if isinstance(said, dict) else short.get(key, said) for key, said in line.items()}
        for name, line in lines.items()
    }
    training = {"steps": 6, "batch_pairs": 12, "checkpoint_every": 2, "log_every": 3, "learning_rate": 0.01}
    values = {
        "name": "own",
        "title": "Three films",
        "source": "films",
        "lags_s": [LAG_S],
        "baselines": [],
        "seeds": [0],
        "primary_layer": "fc7",
        "networks": NETWORKS,
        "views": VIEWS,
        "training": TRAINING | training | changes,
        "objectives": lines,
    }
    file = target / "experiment.yaml"
    file.write_text(yaml.safe_dump(values, sort_keys=False))
    return file


def run_of(file, name):
    E = load_experiment(file)
    return Run(E, E.network(name, 0))


def test_every_objective_and_pairing_has_a_line():
    assert {line["objective"] for line in LINES.values()} == set(objectives.NAMES)
    said = {(line.get("pairing") or "fixed") for line in LINES.values() if isinstance(line.get("pairing", ""), str)}
    said |= {line["pairing"]["name"] for line in LINES.values() if isinstance(line.get("pairing"), dict)}
    assert said == set(PAIRINGS)


def test_networks_are_named_by_line_and_lag(tmp_path, folder):
    E = load_experiment(write_experiment(tmp_path / "own", folder))
    assert E.networks == (f"semantic_{LAG_S:g}s", *NAMES)
    network = E.network("same_scene", 3)
    assert (network.objective, network.seed, network.trained) == ("sup_con", 3, True) and np.isnan(network.lag_s)
    assert E.network(f"window_{LAG_S:g}s", 0).lag_s == LAG_S


def test_crops_of_the_centre_lie_in_it_and_are_those_of_a_frame_as_small(tmp_path, folder):
    run = run_of(write_experiment(tmp_path / "own", folder), f"centre_window_{LAG_S:g}s")  # half the sides, of 48 px
    drawn = run.batches._draw(torch.Generator().manual_seed(0)).views
    assert all(
        (view.boxes[:, :2] >= 12).all() and (view.boxes[:, :2] + view.boxes[:, 2:] <= 36).all() for view in drawn
    )
    run.batches.height = run.batches.width = 24
    run.objective.config = dataclasses.replace(run.objective.config, centre=1.0)
    for view, small in zip(drawn, run.batches._draw(torch.Generator().manual_seed(0)).views, strict=True):
        assert torch.equal(view.boxes, small.boxes + torch.tensor([12, 12, 0, 0]))


@pytest.mark.parametrize("name", NAMES)
def test_a_step_against_the_gradient_lowers_the_loss(tmp_path, folder, name):
    run = run_of(write_experiment(tmp_path / "own", folder), name)
    run.objective.train()
    run.objective.start()
    batch = next(run.batches.after(run.generator_state, 1))
    before = copy.deepcopy(run.objective.state_dict())
    loss = run.objective(batch.images, batch.draw)
    loss.backward()
    run.objective.load_state_dict(before)  # banks, queues and noise as they were
    learned = [p for p in run.objective.parameters() if p.grad is not None]
    norm = torch.stack([p.grad.norm() for p in learned]).norm()
    with torch.no_grad():
        for p in learned:
            p -= 1e-3 * p.grad / norm
    assert 0 < loss.item() < float("inf") or run.network.objective in ("align_uniform", "spectral")
    assert run.objective(batch.images, batch.draw).item() < loss.item()


@pytest.mark.parametrize("name", NAMES)
def test_a_run_resumes_bit_equal_and_its_network_encodes_frames_never_seen(tmp_path, folder, name, monkeypatch):
    whole, stopped = (write_experiment(tmp_path / part, folder) for part in ("whole", "stopped"))
    step = Run._step

    def failing(run, batch):
        if run.done == 5:
            raise KeyboardInterrupt
        return step(run, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "_step", failing)
        with pytest.raises(KeyboardInterrupt):
            run_of(stopped, name).train()
    run = run_of(stopped, name)
    assert run.done == 4
    finished = run.train()
    E = load_experiment(whole)
    assert_bit_equal(finished, Run(E, E.network(name, 0)).train())
    images = torch.randint(0, 256, (5, 3, 50, 50), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    embeddings = load_network(finished)(images)
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(5))
    for line in (finished / "metrics.jsonl").open():
        assert all(np.isfinite(value) for value in json.loads(line).values())


@pytest.mark.parametrize(("name", "line"), LINES.items())
def test_a_wrong_config_names_the_key(tmp_path, folder, name, line):
    for number, key in enumerate([*(key for key in line if key not in ("objective", "lags_s")), "nois"]):
        wrong = {name: line | {key: {"nois": 1}}}
        E = load_experiment(write_experiment(tmp_path / str(number), folder, wrong))
        with pytest.raises(InputError, match=rf"experiment.yaml.*({key}|nois)"):
            choose_objective(E, E.runs[-1])


def trained_with_fixed_batch_norm(file, name):
    """Folder of a run with batch norm in eval mode, so that no view depends on another."""
    run = run_of(file, name)
    modules = [
        module for module in run.objective.modules() if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)
    ]
    for module in modules:
        module.training = False
        module.train = lambda mode=True: None
    run.train()
    return run.folder


def one_of_two(rank, root, file):
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{root}/meet", rank=rank, world_size=2)
    for name in NAMES:
        trained_with_fixed_batch_norm(file, name)
    distributed.destroy_process_group()


@pytest.mark.skipif(not distributed.is_gloo_available(), reason="torch without gloo")
def test_two_processes_train_what_one_trains(tmp_path, folder):
    how = {"optimiser": "sgd", "steps": 3, "checkpoint_every": 3}
    one, two = (write_experiment(tmp_path / part, folder, **how) for part in ("one", "two"))
    multiprocessing.start_processes(one_of_two, (str(tmp_path), two), nprocs=2, start_method="forkserver")
    E = load_experiment(two)
    for name in NAMES:
        first = read_checkpoint(trained_with_fixed_batch_norm(one, name) / "checkpoint.pt")
        second = read_checkpoint(E.run_folder(E.network(name, 0)) / "checkpoint.pt")
        for part in ("network", "objective"):
            for key, value in first[part].items():
                torch.testing.assert_close(second[part][key], value, atol=2e-5, rtol=1e-4, msg=f"{name}: {part} {key}")
