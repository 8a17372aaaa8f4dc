"""The training loop: killed and resumed, set aside, refused, and learning what its pairs hold."""

import functools
import itertools
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from semanticcmc.cli import main
from semanticcmc.config import InputError, configure
from semanticcmc.experiment import Network, load_experiment, repository_root
from semanticcmc.films.files import Frame, merge_index, write_film
from semanticcmc.run import TrainingError
from semanticcmc.training.checkpoints import load_network, read_checkpoint
from semanticcmc.training.loop import Run
from semanticcmc.training.networks import AlexNet, NetworksConfig, build
from semanticcmc.training.recipe import TrainingConfig, chance_loss, learning_rate, starting_weights
from semanticcmc.training.views import evaluation_view

NETWORKS = {
    "plan": "miniature",
    "conv_channels": [4, 4, 4, 4, 4],
    "fc_units": [16, 16],
    "embedding_dim": 8,
    "input_px": 44,
}
VIEWS = {
    "crop_scale": [0.8, 1.0],
    "crop_aspect": [0.9, 1.1],
    "flip": 0.5,
    "jitter": [0.1, 0.1, 0.1, 0.0],
    "jitter_share": 0.8,
    "grey_share": 0.0,
    "normalisation": "imagenet",
}
TRAINING = {
    "frames": "resident",
    "frame_px": None,
    "batch_pairs": 16,
    "films_per_batch": None,
    "same_shot": False,
    "objective": "info_nce",
    "negatives": "all",
    "memory_bank": None,
    "clip_norm": None,
    "compile": False,
    "sync_batch_norm": False,
    "steps": 40,
    "epochs": None,
    "lag_tolerance": 0.1,
    "optimiser": "adamw",
    "learning_rate": 0.003,
    "momentum": 0.9,
    "weight_decay": 0.01,
    "schedule": "one_cycle",
    "drops": [],
    "temperature": 0.3,
    "learn_temperature": True,
    "precision": "float32",
    "device": "cpu",
    "checkpoint_every": 10,
    "log_every": 5,
    "warm_start": None,
    "warm_start_off_diagonal": "zero",
    "supervised_weights": None,
}


BANK = {
    "objective": "memory_bank_nce",
    "learn_temperature": False,
    "memory_bank": {
        "noise": 20,
        "momentum": 0.5,
        "sharing": "batch",
        "form": "nce",
        "normaliser": "first_batch",
        "bank": "random",
        "every": 1,
    },
}


def run_of(E, name, seed=0):
    return Run(E, E.network(name, seed))


def trained(E, name, seed=0):
    return Run(E, E.network(name, seed)).train()


def built(name, seed=0):
    return build(Network.named(name, "info_nce", seed), configure(NetworksConfig, NETWORKS, "here"))


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """Three films of 60 s; every ten seconds one look, as a picture of 3 x 3 colours, unlike all others."""
    folder = tmp_path_factory.mktemp("frames")
    generator = np.random.default_rng(0)
    for film in range(3):
        looks = generator.integers(0, 256, (6, 3, 3, 3), dtype=np.uint8).repeat(16, 1).repeat(16, 2)
        write_film(folder, f"film{film}", (Frame(t, t, t, looks[t // 10]) for t in range(60)), quality=90)
    merge_index(folder)
    return folder


@pytest.fixture
def experiment(tmp_path, frames):
    """A function that makes an experiment over the three films, with the changes given to its training."""
    numbers = itertools.count()

    def make(name=None, lags_s=(1.0, 5.0), **changes):
        folder = tmp_path / (name or f"experiment{next(numbers)}")
        folder.mkdir(exist_ok=True)
        if not (folder / "frames").exists():
            (folder / "frames").symlink_to(frames)
        values = {
            "name": "films",
            "title": "Three films",
            "source": "films",
            "lags_s": list(lags_s),
            "baselines": ["random", "augment", "cmc_lab"],
            "seeds": [0],
            "primary_layer": "fc7",
            "networks": NETWORKS,
            "views": VIEWS,
            "training": TRAINING | changes,
        }
        (folder / "experiment.yaml").write_text(yaml.safe_dump(values))
        return load_experiment(folder / "experiment.yaml")

    return make


def tensors(value, path=""):
    """All tensors and numbers of a checkpoint by their place in it; the clock is left out."""
    if isinstance(value, dict):
        for key in value:
            if key != "seconds":
                yield from tensors(value[key], f"{path}/{key}")
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from tensors(item, f"{path}/{i}")
    else:
        yield path, value


def assert_bit_equal(one, other):
    first, second = (dict(tensors(read_checkpoint(folder / "checkpoint.pt"))) for folder in (one, other))
    assert first.keys() == second.keys()
    for key, value in first.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, second[key]), key
        else:
            assert value == second[key], key


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_run_resumes_and_ends_bit_equal_to_an_uninterrupted_one(experiment, kill):
    steps = {"steps": 120, "checkpoint_every": 7, "log_every": 5}
    whole, killed = experiment(**steps), experiment(**steps)
    command = [sys.executable, "-m", "semanticcmc", "train", str(killed.file), "--network", "semantic_5s"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    heard = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # ignored where tests run in the background
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, preexec_fn=heard)
    folder = killed.run_folder(killed.network("semantic_5s", 0))
    metrics, deadline = folder / "metrics.jsonl", time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if metrics.exists() and len(metrics.read_text().splitlines()) > 3:
            break
        time.sleep(0.005)
    process.send_signal(kill)
    said = process.communicate(timeout=60)[1].decode().splitlines()
    assert process.returncode == (130 if kill == signal.SIGINT else -kill)
    if kill == signal.SIGINT:  # no trace of torch: the line of progress, and where it stopped
        assert re.fullmatch(r"semantic_5s, seed 0: stopped at step \d+ of 120, saved; run again to go on", said[-1])
        assert not any("Traceback" in line for line in said)
    reached = read_checkpoint(folder / "checkpoint.pt")["step"]
    assert 7 <= reached < 120
    assert json.loads((folder / "run.json").read_text())["status"] == "started"
    with pytest.raises(InputError, match="not finished"):
        load_network(folder)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert trained(killed, "semantic_5s", 0) == folder
        assert_bit_equal(folder, trained(whole, "semantic_5s", 0))
    finally:
        torch.set_num_threads(threads)
    one, other = (
        [json.loads(line) for line in (E.run_folder(E.network("semantic_5s", 0)) / "metrics.jsonl").open()]
        for E in (killed, whole)
    )
    assert [(line["step"], line["loss"]) for line in one] == [(line["step"], line["loss"]) for line in other]
    assert [line["step"] for line in one] == [1, *range(5, 121, 5)]


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
@pytest.mark.parametrize("objective", ["info_nce", "memory_bank_nce"])
def test_resuming_from_a_checkpoint_in_the_middle_changes_nothing(experiment, optimiser, objective, monkeypatch):
    changes = {"optimiser": optimiser, "steps": 12, "checkpoint_every": 5, "log_every": 100, "frames": "loader"}
    changes |= BANK if objective == "memory_bank_nce" else {}
    whole, stopped = experiment(**changes), experiment(**changes)
    step = Run._step

    def failing(run, batch):
        if run.done == 8:
            raise KeyboardInterrupt
        return step(run, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "_step", failing)
        with pytest.raises(KeyboardInterrupt):
            trained(stopped, "cmc_lab", 1)
    assert run_of(stopped, "cmc_lab", 1).done == 5
    assert_bit_equal(trained(stopped, "cmc_lab", 1), trained(whole, "cmc_lab", 1))


def test_frames_from_memory_and_from_the_store_train_the_same_network(experiment):
    resident, loader = (experiment(frames=frames, frame_px=[46, 52]) for frames in ("resident", "loader"))
    one, other = (read_checkpoint(trained(E, "semantic_5s", 0) / "checkpoint.pt") for E in (resident, loader))
    for part in ("network", "optimiser", "generator"):
        for (key, value), (_, same) in zip(tensors(one[part]), tensors(other[part]), strict=True):
            assert torch.equal(value, same) if isinstance(value, torch.Tensor) else value == same, key


def test_a_run_goes_on_with_frames_from_the_store_that_began_with_frames_in_memory(experiment, monkeypatch):
    whole = trained(experiment(frames="resident"), "augment", 0)
    step = Run._step

    def failing(run, batch):
        if run.done == 25:
            raise KeyboardInterrupt
        return step(run, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "_step", failing)
        with pytest.raises(KeyboardInterrupt):
            trained(experiment("same", frames="resident"), "augment", 0)
    E = experiment("same", frames="loader")
    assert run_of(E, "augment", 0).done == 20
    one, other = (read_checkpoint(f / "checkpoint.pt")["network"] for f in (whole, trained(E, "augment", 0)))
    assert all(torch.equal(value, other[key]) for key, value in one.items())


def test_more_frames_than_fit_in_memory_are_refused_before_any_is_read(experiment):
    with pytest.raises(InputError, match=r"180 frames of 90000 x 90000 px need 4,374.0 GB.*training.frames loader"):
        trained(experiment(frame_px=[90_000, 90_000]), "augment", 0)


def test_frames_of_several_sizes_need_one_size_given(experiment):
    E = experiment()
    (E.folder / "frames").unlink()
    for film, side in (("a", 48), ("b", 60)):
        images = np.random.default_rng(0).integers(0, 256, (20, 48, side, 3), dtype=np.uint8)
        write_film(E.folder / "frames", film, (Frame(t, t, t, images[t]) for t in range(20)), quality=90)
    merge_index(E.folder / "frames")
    with pytest.raises(InputError, match=r"48 x 48, 48 x 60 px .*training.frame_px"):
        run_of(E, "augment", 0)


def test_pairs_of_a_batch_come_from_few_films_where_so_said(experiment):
    run = run_of(experiment(films_per_batch=1), "semantic_1s", 0)
    films = [set(batch.draw.film.tolist()) for batch in run.batches.after(run.generator_state, 12)]
    assert all(len(film) == 1 for film in films) and len(set.union(*films)) == 3
    with pytest.raises(InputError, match=r"films_per_batch 4: only 3 films"):
        run_of(experiment(films_per_batch=4), "semantic_1s", 0)


def test_pairs_within_a_shot(experiment):
    E = experiment(same_shot=True, lag_tolerance=0.0)
    with pytest.raises(InputError, match=r"no .*shots.parquet; a world writes it, and ingest \(movies.shots: true\)"):
        run_of(E, "semantic_5s", 0)
    shots = [(f"film{film}", t, t + 10.0, t // 10) for film in range(3) for t in range(0, 60, 10)]
    columns = ["movie_id", "start_s", "stop_s", "shot"]
    pd.DataFrame(shots, columns=columns).to_parquet(E.folder / "frames/index.shots.parquet")
    first, second = next(run_of(E, "semantic_5s", 0).batches.after(torch.Generator().get_state(), 1)).draw.rows.T
    assert torch.equal(first + 5, second) and torch.equal(first // 10, second // 10)


def test_a_gradient_is_clipped_to_its_greatest_norm(experiment):
    """One step of plain SGD at rate 1 moves the weights by exactly the norm of the gradient."""
    plain = {
        "optimiser": "sgd",
        "momentum": 0.0,
        "weight_decay": 0.0,
        "schedule": "cosine",
        "steps": 1,
        "learning_rate": 1.0,
        "learn_temperature": False,
    }
    for clip_norm in (1e-3, 1e3):
        run = run_of(experiment(clip_norm=clip_norm, **plain), "augment", 0)
        before = [parameter.detach().clone() for parameter in run.model.parameters()]
        run.train()
        moved = torch.stack([(b - a).norm() for a, b in zip(before, run.model.parameters(), strict=True)]).norm()
        gradient = torch.stack([parameter.grad.norm() for parameter in run.model.parameters()]).norm()
        assert moved.item() == pytest.approx(gradient.item(), rel=1e-3)
        assert (moved.item() == pytest.approx(1e-3, rel=1e-3)) == (clip_norm == 1e-3)


def test_both_encoders_are_compiled_where_so_said(experiment, monkeypatch):
    """The graphs are captured and run as they are: compiling them to machine code is PyTorch's business."""
    captured = []

    def backend(graph, _):
        captured.append(graph)
        return graph.forward

    monkeypatch.setattr(AlexNet, "compile", lambda encoder: torch.nn.Module.compile(encoder, backend=backend))
    changes = {"steps": 3, "log_every": 1}
    plain, compiled = (trained(experiment(**changes, compile=compile), "cmc_lab", 0) for compile in (False, True))
    assert len(captured) >= 2
    one, other = (
        [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").open()] for folder in (plain, compiled)
    )
    assert other == pytest.approx(one, rel=1e-5)
    assert load_network(compiled)(torch.zeros(2, 3, 48, 48, dtype=torch.uint8)).shape[0] == 2


def test_what_a_run_leaves(experiment):
    E = experiment()
    folder = trained(E, "semantic_1s", 3)
    assert folder == E.folder / "networks/semantic_1s/seed-3"
    about = json.loads((folder / "run.json").read_text())
    assert about["status"] == "finished" and about["seed"] == 3 and about["steps"] == 40
    assert about["config"]["network"] == "semantic_1s" and about["config"]["seed"] == 3
    assert about["config"]["training"] == TRAINING and about["device"] == "cpu" and about["hours"] > 0
    assert {"torch", "numpy"} <= about["versions"].keys()
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").open()]
    assert [line["step"] for line in lines] == [1, 5, 10, 15, 20, 25, 30, 35, 40]
    for line in lines:
        assert 0 <= line["alignment"] <= 4 and -8 <= line["uniformity"] <= 0
        assert 1 <= line["effective_rank"] <= 8.01 and 0 < line["waiting_share"] < 1
        assert line["frames_per_s"] > 0 and line["seconds_left"] >= 0 and line["temperature"] > 0
    progress = json.loads(next((E.folder / "progress").glob("*.json")).read_text())
    assert progress["done"] == progress["total"] == 40


def test_it_learns_what_its_pairs_share(experiment):
    """Frames within a second mostly share their look, which no other look resembles: the loss must show it."""
    E = experiment(steps=150, batch_pairs=16, learning_rate=0.01)
    folder = trained(E, "semantic_1s", 0)
    losses = [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").open()]
    assert abs(losses[0] - math.log(16)) < 1  # before anything is learned: about chance
    assert np.mean(losses[-6:]) < math.log(16) - 0.8


def test_a_finished_run_is_not_trained_again(experiment, capsys):
    E = experiment("same")
    folder = trained(E, "augment", 0)
    before = (folder / "checkpoint.pt").stat().st_mtime_ns, (folder / "run.json").read_text()
    trained(experiment("same", log_every=1, checkpoint_every=3), "augment", 0)  # without effect on the result
    assert "finished already" in capsys.readouterr().out
    assert before == ((folder / "checkpoint.pt").stat().st_mtime_ns, (folder / "run.json").read_text())


def test_a_run_with_other_settings_is_set_aside_not_lost(experiment, capsys):
    folder = trained(experiment("same"), "augment", 0)
    first = read_checkpoint(folder / "checkpoint.pt")
    for n in (1, 2):
        trained(experiment("same", temperature=0.3 + n / 10), "augment", 0)
        assert f"set aside as seed-0.superseded-{n}" in capsys.readouterr().err
    kept = read_checkpoint(folder.with_name("seed-0.superseded-1") / "checkpoint.pt")
    assert dict(tensors(kept["network"])).keys() == dict(tensors(first["network"])).keys()
    assert all(torch.equal(kept["network"][key], value) for key, value in first["network"].items())


def test_other_frames_are_another_run(experiment, tmp_path):
    E = experiment("same")
    trained(E, "augment", 0)
    (E.folder / "frames").unlink()
    image = np.zeros((48, 48, 3), dtype=np.uint8)
    write_film(E.folder / "frames", "film", (Frame(t, t, t, image + t) for t in range(30)), quality=90)
    merge_index(E.folder / "frames")
    run = run_of(E, "augment", 0)
    assert run.done == 0 and (E.folder / "networks/augment/seed-0.superseded-1").exists()


def test_random_is_the_network_that_training_starts_from(experiment):
    E = experiment()
    folder = trained(E, "random", 2)
    saved = read_checkpoint(folder / "checkpoint.pt")["network"]
    for name in ("random", "augment", "semantic_5s"):
        initial = built(name, seed=2).state_dict()
        assert all(torch.equal(value, saved[key]) for key, value in initial.items())
    assert all(torch.equal(v, saved[k]) for k, v in run_of(E, "semantic_5s", 2).model.state_dict().items())
    trained(E, "random", 2)
    assert json.loads((folder / "run.json").read_text())["steps"] == 0


@pytest.mark.parametrize("name", ["random", "semantic_1s", "cmc_lab"])
def test_a_network_read_back_is_the_one_that_was_trained(experiment, name):
    E = experiment(steps=3)
    run = run_of(E, name, 0)
    run.train()
    images = torch.randint(0, 256, (4, 3, 50, 50), dtype=torch.uint8)
    network = load_network(run.folder)
    assert not network.training
    view = evaluation_view(images, 44, "imagenet", run.model.colour_space)
    expected = run.model.eval().activations(view)
    for layer, values in network.activations(images).items():
        torch.testing.assert_close(values, expected[layer])


def test_pairs_are_a_lag_apart_and_cmc_lab_has_one_frame(experiment):
    E = experiment()
    generator = torch.Generator().manual_seed(0)
    for name, lag_s in (("augment", 0), ("cmc_lab", 0), ("semantic_5s", 5)):
        run = run_of(E, name, 0)
        first, second = run.pairing.draw(200, generator).rows.T
        index = run.store.index
        a, b = index.iloc[first.numpy()], index.iloc[second.numpy()]
        assert (a["movie_id"].to_numpy() == b["movie_id"].to_numpy()).all()
        np.testing.assert_allclose(b["time_s"].to_numpy() - a["time_s"].to_numpy(), lag_s, atol=1)
        assert a["time_s"].max() <= 59 - 5 * 1.1  # one range of first frames for every lag
    run = run_of(E, "cmc_lab", 0)
    batch = next(run.batches.after(run.generator_state, 1))
    assert [images.shape for images in batch.images] == [(16, 3, 44, 44)]  # L, a, b of one frame


def test_a_warm_start_begins_with_the_given_weights(experiment):
    source = trained(experiment(steps=5), "augment", 0) / "checkpoint.pt"
    E = experiment(warm_start=str(source))
    given = read_checkpoint(source)["network"]
    for name, warm in (("augment", True), ("semantic_1s", True), ("random", False)):
        weights = run_of(E, name, 1).model.state_dict()
        assert warm == all(torch.equal(value, weights[key]) for key, value in given.items())
    torch.save({"network": {**given, "fc6.0.weight": torch.ones(3, 3)}}, source)
    with pytest.raises(InputError, match=r"fc6\.0\.weight has shape \(3, 3\)"):
        run_of(E, "semantic_1s", 1)


@pytest.mark.parametrize("off_diagonal", ["zero", "kept"])
def test_cmcs_halves_as_a_warm_start_fill_the_full_network(experiment, tmp_path, off_diagonal):
    lab, drawn = built("cmc_lab", seed=7), built("augment", seed=1)
    torch.save({"model": {f"module.{key}": value for key, value in lab.state_dict().items()}}, tmp_path / "lab.pth")
    E = experiment(warm_start=str(tmp_path / "lab.pth"), warm_start_off_diagonal=off_diagonal)
    weights = run_of(E, "semantic_1s", 1).model.conv2[0].weight  # 4 channels, of which each half has 2
    assert torch.equal(weights[:2, :2], lab.l_to_ab.conv2[0].weight)
    assert torch.equal(weights[2:, 2:], lab.ab_to_l.conv2[0].weight)
    between = drawn.conv2[0].weight if off_diagonal == "kept" else torch.zeros_like(weights)
    assert torch.equal(weights[:2, 2:], between[:2, 2:]) and torch.equal(weights[2:, :2], between[2:, :2])


def test_which_networks_start_from_a_file(experiment):
    changes = {"warm_start": "weights/cmc.pth", "supervised_weights": "~/alexnet.pth"}
    E = experiment(**changes)
    config = E.section("training", TrainingConfig)
    names = ("random", "cmc_lab", "augment", "semantic_1s")
    found = {name: starting_weights(E.network(name, 0), config) for name in names}
    given = repository_root() / "weights" / "cmc.pth"
    assert found == {"random": None, "cmc_lab": None, "augment": given, "semantic_1s": given}
    assert starting_weights(E.network("supervised", 0), config) == Path.home() / "alexnet.pth"


class Malicious:
    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return open, (str(self.file), "w")


def test_a_malicious_checkpoint_in_a_run_folder_or_as_warm_start_never_runs(experiment, tmp_path):
    E, touched = experiment(), tmp_path / "touched"
    file = E.run_folder(E.network("augment", 0)) / "checkpoint.pt"
    file.parent.mkdir(parents=True)
    torch.save({"settings": Malicious(touched)}, file)
    with pytest.raises(InputError, match="refused"):
        trained(E, "augment", 0)
    with pytest.raises(InputError, match="refused"):
        trained(experiment(warm_start=str(file)), "semantic_1s", 0)
    assert not touched.exists()


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_good_checkpoint(experiment, monkeypatch):
    E = experiment(checkpoint_every=2, log_every=1)
    step = Run._step

    def broken(run, batch):
        if run.done == 5:
            run.model.state_dict()["conv1.0.weight"][0, 0, 0, 0] = math.nan
        return step(run, batch)

    monkeypatch.setattr(Run, "_step", broken)
    with pytest.raises(TrainingError, match=r"not finite at step 6; the last good checkpoint is .*\.pt"):
        trained(E, "augment", 0)
    checkpoint = read_checkpoint(E.run_folder(E.network("augment", 0)) / "checkpoint.pt")
    assert checkpoint["step"] == 4
    assert all(torch.isfinite(value).all() for value in checkpoint["network"].values())


def test_a_bank_that_is_no_number_is_never_saved(experiment, monkeypatch):
    E = experiment(checkpoint_every=2, log_every=100, **BANK)
    step = Run._step

    def broken(run, batch):
        if run.done == 3:
            run.objective.banks[0, 0] = math.inf
        return step(run, batch)

    monkeypatch.setattr(Run, "_step", broken)
    with pytest.raises(TrainingError, match="banks of the objective is not finite at step 4"):
        trained(E, "augment", 0)
    assert read_checkpoint(E.run_folder(E.network("augment", 0)) / "checkpoint.pt")["step"] == 2


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda c: c.pop("optimiser"), "holds no optimiser"),
        (lambda c: c["network"].pop("fc7.0.bias"), r"no weights for fc7\.0\.bias"),
        (lambda c: c["network"]["conv1.0.weight"].fill_(math.nan), r"conv1\.0\.weight holds values .* not finite"),
        (lambda c: c["network"].update({"fc8.bias": torch.zeros(3)}), r"fc8\.bias has shape \(3,\)"),
        (lambda c: c["objective"].update(banks=torch.zeros(2, 3, 4)), "MemoryBankNCE does not fit this run"),
        (lambda c: c["optimiser"].update(param_groups=[]), "AdamW does not fit this run"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_by_name(experiment, spoil, message):
    E = experiment("spoilt", steps=2, **BANK)
    file = trained(E, "augment", 0) / "checkpoint.pt"
    checkpoint = read_checkpoint(file)
    spoil(checkpoint)
    torch.save(checkpoint, file)
    with pytest.raises(InputError, match=message) as refused:
        run_of(E, "augment", 0)
    assert str(file) in str(refused.value)


def test_films_shorter_than_the_longest_lag_are_refused_with_their_lengths(experiment):
    for name in ("augment", "semantic_1s"):  # for every lag alike
        with pytest.raises(InputError, match=r"film0 59 s, film1 59 s"):
            trained(experiment(lags_s=(1.0, 600.0)), name, 0)


def test_the_command_line_says_what_is_wrong_and_exits_2(experiment, capsys):
    assert main(["train", str(experiment().file), "--network", "vgg"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and "random, supervised, augment, cmc_lab" in error
    assert main(["train", str(experiment(lags_s=(900.0,)).file), "--network", "augment"]) == 2
    assert main(["train", str(experiment(steps=1).file), "--network", "augment", "--seed", "7"]) == 0
    assert "seed-7" in capsys.readouterr().out


def config(**changes):
    return configure(TrainingConfig, TRAINING | changes, "here")


def test_learning_rates_are_pytorchs_schedules():
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.03)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.003, total_steps=50, cycle_momentum=False)
    for step in range(50):
        assert learning_rate(config(), step, 50) == pytest.approx(cycle.get_last_lr()[0], rel=1e-9)
        optimiser.step()
        if step < 49:
            cycle.step()
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.003)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=50)
    for step in range(50):
        assert learning_rate(config(schedule="cosine"), step, 50) == pytest.approx(cosine.get_last_lr()[0], rel=1e-9)
        optimiser.step()
        cosine.step()
    published = config(schedule="step", drops=[0.375, 0.625, 0.875], learning_rate=0.03)
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.03)
    drops = torch.optim.lr_scheduler.MultiStepLR(optimiser, [30, 50, 70])
    for step in range(80):  # 80 epochs, a step each: a tenth at 30, 50 and 70
        assert learning_rate(published, step, 80) == pytest.approx(drops.get_last_lr()[0], rel=1e-9)
        optimiser.step()
        drops.step()


@pytest.mark.parametrize("form", [None, "nce", "softmax"])
def test_chance_is_the_loss_of_embeddings_that_are_all_alike(experiment, form):
    bank = BANK | {"memory_bank": BANK["memory_bank"] | {"form": form}} if form else {}
    E = experiment(**bank)
    run = run_of(E, "augment", 0)
    draw = next(run.batches.after(run.generator_state, 1)).draw
    alike = torch.zeros(16, 8)
    assert run.objective.loss(alike, alike, draw).item() == pytest.approx(chance_loss(E, run.network), rel=1e-5)
    E = experiment(negatives="within_film")
    assert chance_loss(E, E.network("augment", 0)) is None


def test_epochs_are_passes_over_the_first_frames_of_pairs(experiment):
    run = run_of(experiment(steps=None, epochs=2.5), "augment", 0)
    per_film = sum(t + 5 * 1.1 <= 59 for t in range(60))
    assert run.steps == round(2.5 * 3 * per_film / 16)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 3}, "steps and epochs"),
        ({"steps": 0}, "steps 0"),
        ({"learning_rate": -1}, "learning_rate -1"),
        ({"batch_pairs": 1}, "batch_pairs 1"),
        ({"drops": [0.5]}, "drops"),
        ({"schedule": "step", "drops": [0.9, 0.5]}, "rising"),
        ({"optimiser": "lion"}, "adamw, sgd"),
        ({"learning_rat": 1}, "unknown key learning_rat"),
        ({"schedule": "cosine", "drops": [0.5]}, "drops"),
        ({"clip_norm": 0}, "clip_norm 0"),
        ({"films_per_batch": 0}, "films_per_batch 0"),
        ({"frame_px": [0, 4]}, "frame_px"),
        ({"objective": "memory_bank_nce"}, "memory_bank"),
        ({"memory_bank": BANK["memory_bank"]}, "memory_bank"),
        (BANK | {"learn_temperature": True}, "learn_temperature"),
        (BANK | {"memory_bank": BANK["memory_bank"] | {"noise": 0}}, "noise"),
        (BANK | {"memory_bank": BANK["memory_bank"] | {"nois": 1}}, "memory_bank: unknown key nois"),
        (BANK | {"memory_bank": 7}, "memory_bank"),
        ({"negatives": "cross_film", "films_per_batch": 1}, "more than one film"),
    ],
)
def test_wrong_values_are_refused_by_name(changes, message):
    with pytest.raises(InputError, match=message):
        config(**changes)


def test_bfloat16_on_a_cpu_is_refused(experiment):
    with pytest.raises(InputError, match="bfloat16"):
        run_of(experiment(precision="bfloat16"), "augment", 0)
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="no CUDA device"):
            run_of(experiment(device="cuda"), "augment", 0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize(
    "changes",
    [{}, {"precision": "bfloat16", "compile": True, "clip_norm": 1.0}, {"frames": "loader", **BANK}],
    ids=["float32", "compiled bfloat16", "loader and memory bank"],
)
@pytest.mark.parametrize("name", ["semantic_1s", "cmc_lab"])
def test_it_trains_on_a_gpu_and_is_read_back_on_a_cpu(experiment, name, changes):
    folder = trained(experiment(device="auto", steps=10, **changes), name, 0)
    assert json.loads((folder / "run.json").read_text())["device"] != "cpu"
    assert load_network(folder)(torch.zeros(2, 3, 48, 48, dtype=torch.uint8)).device.type == "cpu"
