"""Training against the plain PyTorch recipe of the field: one run, the same threads, medians in turns, ratios.

    python -m benchmarks.training             (a quarter of an hour on two quiet cores, minutes on a GPU)
    python -m benchmarks.training --quick     (fewer pairs, no whole steps, nothing written)

The plain recipe (peers/plain_recipe.py) is written from published_protocol: ImageFolder, PIL transforms image by
image in the workers of a DataLoader, scikit-image's rgb2lab for CMC's own training, and for each pair K = 16,384 rows
gathered from each memory bank. Frames are synthetic films of 455 x 256 px, pairs are 60 s apart; K, T and the networks
are the published ones, and so is the batch of 128 (whole steps on a CPU: 16). kornia's views are measured where it is
installed. Rates by where frames come from, precision and compilation, and hours of the published study:
`benchmarks/gpu.py`.

Writes benchmarks/results/training.csv (`ratio` is the plain recipe's time over this row's, for the same work;
`ms_per_pair` the median of five turns, with the least and the greatest; `core_ms_per_pair` is what all cores spent
together, which tells more on a machine that is busy with other work; `load` the highest load average before a turn,
`quiet` whether that leaves others no more than .5 besides the threads of the benchmark) and a record beside it.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait take no time from others, in either recipe

import argparse
import dataclasses
import functools
import importlib.util
import multiprocessing
import statistics
import tarfile
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
from benchmarks.peers import plain_recipe
from benchmarks.turns import load, loaded, spread
from PIL import Image
from torch.nn.functional import normalize

from semanticcmc.experiment import load_experiment
from semanticcmc.films.files import Frame, merge_index, write_film
from semanticcmc.run import atomic, record, write_json
from semanticcmc.training import networks, views
from semanticcmc.training.loop import Run
from semanticcmc.training.objectives.memory_bank_nce import MemoryBankConfig, MemoryBankNCE, MemoryBankNCEConfig
from semanticcmc.training.pairings import Draw

RESULTS = Path(__file__).parent / "results"
BATCH, NOISE, TEMPERATURE, DIM, LAG_S = 128, 16_384, 0.07, 128, 60
BANK = {"noise": NOISE, "momentum": 0.5, "sharing": "batch", "form": "nce"}
BANK |= {"normaliser": "first_batch", "bank": "random", "every": 1}
FRAMES = 573_000  # of the published study
NETWORKS = {"semantic_60s": "rgb", "cmc_lab": "lab"}
CUDA = torch.cuda.is_available()
TIMES = ["ms_per_pair", "core_ms_per_pair"]
DEVICE = torch.device("cuda" if CUDA else "cpu")


# Frames, and ours


def write_store(folder, frames):
    """Two synthetic films, in a store and, the same JPEGs, as image files: smooth pictures with film grain."""
    rng = np.random.default_rng(0)
    for movie_id in ("film_a", "film_b"):
        pictures = []
        for time_s in range(frames // 2):
            coarse = Image.fromarray(rng.integers(0, 256, (16, 28, 3), dtype=np.uint8))
            smooth = np.asarray(coarse.resize((455, 256), Image.Resampling.BICUBIC), dtype=np.float32)
            grain = rng.normal(0, 6, smooth.shape)
            pictures.append(Frame(time_s, time_s, time_s, np.clip(smooth + grain, 0, 255).astype(np.uint8)))
        write_film(folder / "frames", movie_id, pictures, quality=90)
        with tarfile.open(folder / "frames" / f"{movie_id}.tar") as tar:
            tar.extractall(folder / "images" / movie_id, filter="data")
    merge_index(folder / "frames")


def our_run(folder, network, batch=BATCH, **training):
    """A run of the published recipe on the synthetic films."""
    poster = load_experiment("poster", folder)
    changed = {
        "frames": "loader",
        "frame_px": None,
        "batch_pairs": batch,
        "warm_start": None,
        "films_per_batch": None,
        "objective": "memory_bank_nce",
        "temperature": TEMPERATURE,
        "memory_bank": BANK,
    } | training
    sections = dict(poster.sections) | {"training": poster.sections["training"] | changed}
    ours = dataclasses.replace(poster, folder=folder, lags_s=(LAG_S,), sections=sections)
    return Run(ours, ours.network(network, 0))


def our_batches(run, count):
    return run.batches.after(torch.Generator().manual_seed(1).get_state(), count)


def our_steps(run):
    """Whole steps of ours, one a `next`."""
    run.objective.train()
    for batch in our_batches(run, 10**6):
        run._step(batch)
        yield


# Timing


def seconds(call):
    """Seconds that a call takes, and those of all cores together, workers included."""
    start, cores = time.perf_counter(), core_seconds()
    call()
    if CUDA:
        torch.cuda.synchronize()
    return time.perf_counter() - start, core_seconds() - cores


def core_seconds():
    workers = 0
    for worker in multiprocessing.active_children():
        user, system = Path(f"/proc/{worker.pid}/stat").read_text().rsplit(")")[-1].split()[11:13]
        workers += int(user) + int(system)
    return time.process_time() + workers / os.sysconf("SC_CLK_TCK")


def turns_s(calls, rounds):
    """`seconds` of each call, in turns, so that what else the machine does weighs on all alike; and the load."""
    for call in calls.values():
        call()  # once for caches, workers, kernels
    found, loads = {key: [] for key in calls}, []
    for _ in range(rounds):
        loads.append(load())
        for key, call in calls.items():
            found[key].append(seconds(call))
    return found, loads


def exhaust(iterable):
    for _ in iterable:
        pass


def data_calls(folder, network, pairs, threads):
    """Decoding alone, decoding and views, of `pairs` pairs by either recipe; views alone, of frames in memory."""
    colour_space = NETWORKS[network]
    images, lag, batch = 2 if colour_space == "rgb" else 1, LAG_S if colour_space == "rgb" else 0, 64
    run = our_run(folder, network, batch)
    pool = ThreadPoolExecutor(threads)
    rows = torch.randint(len(run.store), (pairs * images,)).split(batch)
    frames = run.store.read_rows(rows[0]).to(DEVICE)
    generator = torch.Generator().manual_seed(0)
    how = {"decode": plain_recipe.decode_only, "decode and views": plain_recipe.transform(colour_space)}
    loaders = {
        what: plain_recipe.loader(folder / "images", transform, lag, batch, threads) for what, transform in how.items()
    }

    def plain(what):
        iterator = iter(loaders[what])
        for _ in range(pairs // batch):
            next(iterator)

    sizes = len(frames), *frames.shape[2:]

    def views_alone():
        for _ in rows:
            draws = views.draw_views(*sizes, run.views, generator, distort=colour_space == "rgb")
            views.network_view(frames, draws, 224, run.views.normalisation, colour_space)

    calls = {
        ("ours", "decode"): lambda: exhaust(pool.map(run.store.read_rows, rows)),
        ("ours", "views"): views_alone,
        ("ours", "decode and views"): lambda: exhaust(our_batches(run, pairs // batch)),
    }
    calls |= {("plain", what): functools.partial(plain, what) for what in loaders}
    if importlib.util.find_spec("kornia"):
        augment = kornia_views(colour_space)
        calls["kornia", "views"] = lambda: [augment(frames) for _ in rows]
    return calls


def kornia_views(colour_space):
    import kornia
    from kornia import augmentation as K

    crop = [K.RandomResizedCrop((224, 224), scale=(0.2, 1.0)), K.RandomHorizontalFlip()]
    colours = [K.ColorJiggle(0.8, 0.8, 0.8, 0.2, p=0.8), K.RandomGrayscale(p=0.2)]
    augment = K.AugmentationSequential(*crop, *(colours if colour_space == "rgb" else []))
    scale = K.Normalize(*(torch.tensor(values) for values in views.LAB))
    convert = kornia.color.rgb_to_lab if colour_space == "lab" else lambda images: images
    return lambda frames: scale(convert(augment(frames.float() / 255)))


def objective_calls(pairs):
    """The objective's step, forward and backward, over as many bank rows as the published data set has frames."""
    count = FRAMES
    pairs_of_all = SimpleNamespace(anchors=torch.arange(count), film=torch.zeros(count, dtype=torch.long))
    pairing = SimpleNamespace(pairs=pairs_of_all, thinned=lambda every: pairing)
    encoder = torch.nn.Identity()
    encoder.config = SimpleNamespace(embedding_dim=DIM)
    config = MemoryBankNCEConfig(TEMPERATURE, "all", MemoryBankConfig(**BANK))
    ours = MemoryBankNCE(config, encoder, pairing, seed=0).to(DEVICE)
    plain = plain_recipe.NCE(count, DIM, NOISE, TEMPERATURE, DEVICE)
    first, second = (normalize(torch.randn(pairs, DIM, device=DEVICE), dim=1).requires_grad_() for _ in "12")
    index = torch.randperm(count)[:pairs].to(DEVICE)

    def step(sharing):
        ours.config = dataclasses.replace(config.memory_bank, sharing=sharing)
        rows = torch.stack((index, index), dim=1)
        ours.loss(first, second, Draw(rows, torch.zeros_like(index), rows.double(), rows[:, :0])).backward()

    return {
        ("ours", "objective"): functools.partial(step, "batch"),
        ("own noise", "objective"): functools.partial(step, "sample"),
        ("plain", "objective"): lambda: plain.loss(first, second, index).backward(),
    }


def step_calls(folder, network, batch, threads):
    """Whole steps of either recipe, and forward and backward alone."""
    run, colour_space = our_run(folder, network, batch), NETWORKS[network]
    model = networks.build(run.network, run.networks).to(DEVICE).train()
    loader = plain_recipe.loader(
        folder / "images", plain_recipe.transform(colour_space), LAG_S if colour_space == "rgb" else 0, batch, threads
    )
    objective = plain_recipe.NCE(len(run.store), DIM, NOISE, TEMPERATURE, DEVICE)
    plain = plain_recipe.steps(loader, model, objective, DEVICE)
    ours, held = our_steps(run), next(iter(our_batches(run, 1)))

    def network_alone(pair, first, second):
        first, second = pair(first, second)
        (first * second).sum().backward()

    views = held.images if colour_space == "rgb" else (held.images[0][:, :1], held.images[0][:, 1:])
    apart = [view.contiguous() for view in views]
    return {
        ("ours", "forward and backward"): lambda: network_alone(run.model.pair, *views),
        ("plain", "forward and backward"): lambda: network_alone(model.pair, *apart),
        ("ours", "whole step"): lambda: next(ours),
        ("plain", "whole step"): lambda: next(plain),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of both recipes")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="fewer pairs, no whole steps, nothing written")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    rows = []

    def measure(network, calls, pairs):
        found, loads = turns_s(calls, given.rounds)
        for (recipe, what), turns in found.items():
            taken, cores = ([1e3 * one / pairs for one in times] for times in zip(*turns, strict=True))
            row = {"network": network, "what": what, "recipe": recipe, "pairs": pairs}
            row |= {"pairs_per_s": 1e3 / statistics.median(taken)} | spread("ms_per_pair", taken)
            rows.append(row | {"core_ms_per_pair": statistics.median(cores)} | loaded(loads, given.threads))
        table = with_sums(pd.DataFrame(rows))
        print(table.to_string(index=False, float_format="{:.4g}".format), flush=True)
        if not given.quick:
            write(table, threads=given.threads, rounds=given.rounds)

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_store(folder, 240 if given.quick else 600)
        measure("any", objective_calls(BATCH), BATCH)
        for network in NETWORKS:
            pairs = 128 if given.quick else 256
            measure(network, data_calls(folder, network, pairs, given.threads), pairs)
        if not given.quick:
            batch = BATCH if CUDA else BATCH // 8  # a step of 128 pairs takes a CPU a minute
            for network in NETWORKS:
                measure(network, step_calls(folder, network, batch, given.threads), batch)


def write(table, **about):
    """The results so far."""
    device = torch.cuda.get_device_name() if CUDA else "cpu"
    with atomic(RESULTS / "training.csv") as file:
        table.to_csv(file, index=False, float_format="%.5g")
    about |= {"cores": os.cpu_count(), "device": device}
    write_json(RESULTS / "training.json", record(seed=0, **about))


def with_sums(table):
    """The table with all but forward and backward as a sum, and ratios to the plain recipe."""
    objective = table[table.what == "objective"].set_index("recipe")[TIMES]
    data = table[table.what == "decode and views"].copy()
    data["what"] = "all but forward and backward"
    data[TIMES] += objective.loc[data.recipe].to_numpy()
    data["pairs_per_s"] = 1e3 / data.ms_per_pair
    data[["ms_per_pair_min", "ms_per_pair_max"]] = np.nan  # a sum of medians
    table = pd.concat([table, data], ignore_index=True)
    plain = table[table.recipe == "plain"].set_index(["network", "what"])[TIMES]
    plain = plain.reindex(pd.MultiIndex.from_frame(table[["network", "what"]])).to_numpy()
    table[["ratio", "core_ratio"]] = plain / table[TIMES].to_numpy()
    return table


if __name__ == "__main__":
    main()
