"""What benchmarks/gpu.py measures: each function is a part, in a process of its own, and yields rows of its table."""

import dataclasses
import functools
import gc
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
import torchvision
from torch.nn.functional import normalize

from benchmarks import training as plain
from semanticcmc.experiment import load_experiment
from semanticcmc.films.store import FrameStore
from semanticcmc.rsa.mantel import mantel as simple_test
from semanticcmc.rsa.mantel import mantel_table, partial_mantel
from semanticcmc.rsa.rdm import from_class_means
from semanticcmc.run import available_cores
from semanticcmc.training.distributed import joined, this_process
from semanticcmc.training.loop import Run
from semanticcmc.training.objectives.info_nce import InfoNCE, InfoNCEConfig

ROOT = Path(__file__).parents[2]
LAGS = 5  # of the published study
EPOCHS = {"poster": 80, "poster_fast": 20}
LEAST_SHARE = {"resident": 0.95, "loader": 0.80}  # goals
TEST_MS = 1.0


def told(error):
    """An error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]


def last_error(text):
    """The last line of a process's output that names an error of its own, or the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    named = [line for line in lines if "Error: " in line and "ChildFailedError" not in line]
    return (named or lines or ["no message"])[-1][:300]


def waiting(device):
    """What waits for all that a device was given to do."""
    return torch.cuda.synchronize if device == "cuda" else lambda: None


def seconds_of(call, device, seconds, least=3):
    """Seconds of a call: the median of blocks of calls, each block waited for; up to three calls first do not count."""
    wait, begin = waiting(device), time.perf_counter()
    for _ in range(3):
        start = time.perf_counter()
        call()
        wait()
        if time.perf_counter() - start < 2 * seconds < time.perf_counter() - begin:
            break
    count, taken = max(1, round(seconds / 5 / (time.perf_counter() - start))), []
    end = time.perf_counter() + seconds
    while len(taken) < least or time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(count):
            call()
        wait()
        taken.append((time.perf_counter() - start) / count)
    return statistics.median(taken)


def tests(device, folder):
    """The tests marked `gpu`, their files alone."""
    files = sorted(str(file) for file in (ROOT / "tests").rglob("test_*.py") if "mark.gpu" in file.read_text())
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    for count, what in itertools.pairwise(lines[-1].replace(",", "").split()):
        if what in ("passed", "failed", "skipped", "error", "errors"):
            yield {"what": what, "value": int(count), "unit": "tests"}
    for line in lines:
        if line.startswith(("FAILED", "ERROR")):
            yield {"what": line.split()[1], "error": line[:300]}


def run_of(folder, device, name="poster", **training):
    """A run at full size over synthetic films, with banks as large as the published ones; small on a CPU."""
    whole = load_experiment(name, folder)
    sections = dict(whole.sections)
    said = sections["training"] | {"device": device, "frames": "loader"}
    if device != "cuda":
        sections["networks"] = load_experiment("miniature", folder).sections["networks"]
        said |= {"batch_pairs": 16, "frame_px": [64, 114], "sync_batch_norm": False}
        if said["memory_bank"]:
            said["memory_bank"] = said["memory_bank"] | {"noise": 256}
    sections["training"] = said | training
    whole = dataclasses.replace(whole, folder=folder, lags_s=(plain.LAG_S,), sections=sections)
    run = Run(whole, whole.network(f"semantic_{plain.LAG_S}s", 0))
    if device == "cuda" and said["memory_bank"]:
        bank = run.objective
        bank.banks = normalize(torch.randn(2, plain.FRAMES, bank.banks.shape[2], device=device), dim=2)
        bank.anchors = torch.arange(plain.FRAMES, device=device)
        bank.film = torch.zeros(plain.FRAMES, dtype=torch.int64, device=device)
    run.objective.train()
    return run


def step_of(run, source):
    """A function that takes one whole step of a run."""
    if source == "data-free":
        return functools.partial(run._step, next(run.batches.after(run.generator_state, 1)))
    run.batches.training = dataclasses.replace(run.config, frames=source)
    batches = run.batches.after(run.generator_state, 10**9)
    return lambda: run._step(next(batches))


def waits_of(step, steps=5):
    """Times that the computer waits for the GPU in a step."""
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(steps):
                step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(one.message) for one in caught) / steps


def training(device, folder):
    """Whole steps of `Run`: of the published recipe by source, precision and compilation; of the fast recipe."""
    precisions = ("float32", "bfloat16") if device == "cuda" else ("float32",)
    settings = [("poster", precision, False) for precision in precisions]
    settings += [("poster_fast", precisions[-1], device == "cuda")]
    settings += [("poster", precision, True) for precision in reversed(precisions)]
    for name, precision, compiled in settings:
        what = f"{name}, {precision}{', compiled' if compiled else ''}"
        try:
            run = run_of(folder, device, name, precision=precision, compile=compiled)
            free_s = yield from by_source(run, device, name, what)
            if name == "poster" and not compiled:
                yield from variants(run, device, what, free_s)
                yield contiguous(folder, device, precision, what, free_s)
        except Exception as error:  # another setting may do
            yield {"what": what, "error": told(error)}
        run = None
        gc.collect()  # so that the next peak of memory is its own


def by_source(run, device, name, what):
    """Rows of one setting by where frames come from; returns the seconds of a data-free step."""
    free_s, pairs = None, run.config.batch_pairs
    for source in ("data-free", *LEAST_SHARE):
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        step = step_of(run, source)
        step_s = seconds_of(step, device, 2 if device == "cuda" else 1)
        free_s = free_s or step_s
        row = {"what": f"{what}, {source}", "value": 2 * pairs / step_s, "unit": "frames/s"}
        if source in LEAST_SHARE:
            row |= {"share": free_s / step_s, "of": "data-free"}
        if device == "cuda":
            row["peak_gb"], row["waits"] = torch.cuda.max_memory_allocated() / 1e9, waits_of(step)
            row["hours"] = EPOCHS[name] * plain.FRAMES * LAGS / pairs * step_s / 3600
            if source in LEAST_SHARE:
                least = LEAST_SHARE[source]
                row |= {"goal": f"share at least {least:g}", "reached": bool(row["share"] >= least)}
        yield row
    return free_s


def data_free(step, run, device, what, free_s):
    """A row of data-free steps of another kind."""
    step_s = seconds_of(step, device, 2 if device == "cuda" else 1)
    row = {"what": what, "value": 2 * run.config.batch_pairs / step_s, "unit": "frames/s"}
    return row | {"share": free_s / step_s, "of": "data-free"}


def contiguous(folder, device, precision, what, free_s):
    """Data-free steps with channels before pixels, as PyTorch lays images out by default."""
    run = run_of(folder, device, precision=precision)
    run.objective.to(memory_format=torch.contiguous_format)
    held = next(run.batches.after(run.generator_state, 1))
    apart = held._replace(images=tuple(images.contiguous() for images in held.images))
    return data_free(functools.partial(run._step, apart), run, device, f"{what}, data-free, channels first", free_s)


def variants(run, device, what, free_s):
    """Data-free steps with what PyTorch leaves off by default; what the computer itself does in a step."""

    def free(how):
        return data_free(step_of(run, "data-free"), run, device, f"{what}, data-free, {how}", free_s)

    if device == "cuda":
        with torch.backends.cudnn.flags(benchmark=True, allow_tf32=torch.backends.cudnn.allow_tf32):
            yield free("cudnn.benchmark")
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high")
        yield free("TF32 products")
        torch.set_float32_matmul_precision(before)
    generator, bank = torch.Generator().manual_seed(0), run.objective
    shape = (run.config.batch_pairs, bank.config.noise)
    for part, call in {
        "batch": lambda: run.batches._draw(generator),
        "noise": lambda: torch.randint(len(bank.anchors), shape, generator=generator, dtype=torch.int32),
    }.items():
        drawing_s = seconds_of(call, "cpu", 0.3)
        row = {"what": f"{what}, drawing the {part} on the computer", "value": 1e3 * drawing_s, "unit": "ms a step"}
        yield row | {"share": drawing_s / free_s, "of": "a data-free step"}


def decoding(device, folder):
    """Frames decoded a second: by the store on all cores, as the loader does, and by torchvision (nvJPEG on a GPU)."""
    store, files = FrameStore(folder / "frames"), sorted((folder / "images").rglob("*.jpg"))[:256]
    encoded = [torchvision.io.read_file(str(file)) for file in files]
    store_s = seconds_of(lambda: store.read_rows(range(len(files)), threads=available_cores()), "cpu", 1)
    yield {"what": "by the store", "value": len(files) / store_s, "unit": "frames/s"}
    other_s = seconds_of(lambda: torchvision.io.decode_jpeg(encoded, device=device), device, 1)
    row = {"what": f"by torchvision on {device}", "value": len(files) / other_s, "unit": "frames/s"}
    yield row | {"share": store_s / other_s, "of": "the store's rate"}


def objectives(device, folder):
    """Losses alone, forward and backward: the memory bank of 573,000 rows, and InfoNCE of two batches."""
    plain.DEVICE, pairs = torch.device(device), plain.BATCH if device == "cuda" else 4
    names = {"ours": "noise of the batch", "own noise": "noise of each pair", "plain": "plain recipe"}
    calls = {f"memory bank, {pairs} pairs, {names[key[0]]}": call for key, call in plain.objective_calls(pairs).items()}
    objective = InfoNCE(InfoNCEConfig(0.1, True, "all"), torch.nn.Identity(), SimpleNamespace(soft=False), 0)
    objective.to(device)
    for count in (128, 1024):
        views = [normalize(torch.randn(count, plain.DIM, device=device), dim=1).requires_grad_() for _ in "12"]
        calls[f"InfoNCE, {count} pairs"] = lambda views=views: objective.loss(*views, None).backward()
    for what, call in calls.items():
        yield {"what": what, "value": 1e3 * seconds_of(call, device, 1), "unit": "ms"}


def mantel(device, folder):
    """Single tests, and many at once, against the memory that a product of cosets must read.

    A coset of 2 n permutations is one product of two matrices' transforms, n^2 / 2 complex numbers each (`rsa.cosets`):
    8 n bytes a permutation, if no number is used twice once it has been read.
    """
    from benchmarks.mantel import matrices  # which leaves torch one thread

    cuda = device == "cuda"
    values = torch.empty(2**30 if cuda else 2**26, dtype=torch.uint8, device=device)
    other = torch.empty_like(values)
    bytes_s = 2 * len(values) / seconds_of(lambda: other.copy_(values), device, 0.5)
    yield {"what": "memory, copying", "value": bytes_s / 1e9, "unit": "GB/s"}
    n, many = (1000, 64) if cuda else (300, 4)
    x, y, z = matrices(n)

    def row(what, test_s):
        goal = {"goal": f"at most {TEST_MS:g} ms", "reached": bool(1e3 * test_s <= TEST_MS)} if cuda else {}
        return {"what": what, "value": 1e3 * test_s, "unit": "ms a test"} | goal

    for permutations in (10**4, 10**5, 10**6) if cuda else (10**4, 10**5):
        for what, call in {
            "simple": lambda p=permutations: simple_test(x, y, p, device=device),
            "partial": lambda p=permutations: partial_mantel(x, y, z, p, device=device),
        }.items():
            test_s = seconds_of(call, device, 1, least=1)
            share = {"share": 8 * n * permutations / bytes_s / test_s, "of": "the memory's rate"}
            yield row(f"{what}, {n} items, {permutations:,} permutations", test_s) | share
    noise = np.random.default_rng(0).standard_normal((many, n, n))
    rdms = {str(k): np.abs(x + one + one.T) * (1 - np.eye(n)) for k, one in enumerate(noise)}
    models = {"x": x, "y": y, "z": z}
    table_s = seconds_of(lambda: mantel_table(rdms, models, permutations=10**4, device=device), device, 1, least=1)
    yield row(f"{many} RDMs x 3 models at once, {n} items, 10,000 permutations", table_s / (3 * many))


def rdm(device, folder):
    """The RDM of 1,000 classes x 43,000 units, against one float32 product of the same numbers."""
    shape = (1000, 43_000) if device == "cuda" else (300, 4_300)
    means, names = torch.rand(shape, device=device), [str(k) for k in range(shape[0])]
    product_s = seconds_of(lambda: means @ means.T, device, 1)
    rdm_s = seconds_of(lambda: from_class_means(means, names), device, 1)
    size = f"{shape[0]:,} x {shape[1]:,}"
    yield {"what": f"float32 product, {size}", "value": 1e3 * product_s, "unit": "ms"}
    yield {"what": f"RDM, {size}", "value": 1e3 * rdm_s, "unit": "ms", "share": product_s / rdm_s, "of": "the product"}


def processes(device, folder):
    """The published recipe by two processes on two GPUs; a CPU's two processes show only that it runs."""
    if device == "cuda" and torch.cuda.device_count() < 2:
        yield {"what": "2 processes", "error": "not seen: this machine has one GPU"}
        return
    found = {}
    for count in (1, 2):
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}", "-m"]
        command += ["benchmarks.gpu", "--device", device, "--part", "one_of_several", "--folder", str(folder)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            yield {"what": f"{count} process(es)", "error": last_error(done.stderr)}
            return
        found[count] = json.loads([line for line in done.stdout.splitlines() if line.startswith("{")][-1])["value"]
        row = {"what": f"{count} process(es), loader", "value": found[count], "unit": "frames/s"}
        yield row | ({"share": found[2] / found[1] / 2, "of": "two alone"} if count == 2 else {})


def one_of_several(device, folder):
    """One of torchrun's processes; each has as many pairs, however many there are."""
    where, each, steps = torch.device("cpu"), 16, 10
    if device == "cuda":
        where, each, steps = torch.device("cuda", int(os.environ["LOCAL_RANK"])), 128, 50
    with joined(where):
        processes = this_process()
        run = run_of(folder, device, batch_pairs=each * processes.count)
        step = step_of(run, "loader")
        for _ in range(2):  # the first round warms up
            start = time.perf_counter()
            for _ in range(steps):
                step()
            waiting(device)()
        if not processes.rank:
            yield {"value": 2 * each * processes.count * steps / (time.perf_counter() - start)}
