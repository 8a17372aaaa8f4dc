"""Networks of torchvision and timm on real images, end to end: memory beside the forecast, and the alarm for weights.

    python -m validation.score_networks [<images>] [--cases N ...]       (or IMAGES=<images>)

Twenty minutes on one core. <images> holds ``imagenet_samples`` (1,000 classes of one image) and
``tiny_imagenet/test`` (200 classes of 25); what is not there, or not installed (timm), is left out, and told. Every row
of the table is one ``semanticcmc score`` in a process of its own.

`peak_mib` is the most memory that the process had (VmHWM of Linux), all libraries, images and tests included;
`forecast_mib` what was promised of a pass before an image was shown: the process as it stood, a batch's outputs and the
class means; `allowed_mib` is ``--max-memory``. `alarm` is whether the network is said to look untrained; those of
torchvision and timm are drawn at random here (nothing is downloaded), the miniature's network is a trained one.
`difference` is the largest difference from a plain forward hook, of the distances between the first classes at the last
layer. Writes validation/score_networks.csv and a record.
"""

import argparse
import importlib.util
import json
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ |= {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}

import numpy as np
import pandas as pd
import torch
from scipy.spatial.distance import pdist

from semanticcmc.config import configure
from semanticcmc.evaluation.config import EvaluationConfig
from semanticcmc.films.pictures import read_image
from semanticcmc.rsa.rdm import read_rdms
from semanticcmc.run import record, write_csv, write_json
from semanticcmc.scoring.networks import find
from semanticcmc.scoring.rdms import ExtractionConfig, Watched
from semanticcmc.scoring.score import TESTS, score

TABLE = Path(__file__).with_suffix(".csv")
COLUMNS = ["case", "network", "stimuli", "classes", "images", "tokens", "untrained", "layers", "passes"]
COLUMNS += ["forecast_mib", "allowed_mib", "peak_mib", "alarm", "difference", "seconds"]
CHECKPOINT = Path("results/miniature/networks/semantic_60s/seed-0/checkpoint.pt")
PLAIN = 16  # classes that are compared with a plain hook

# network, its layers (none: eight, evenly), stimuli, images a class, tokens, GiB allowed, untrained networks
CASES = [
    ("miniature", (), "tiny_imagenet/test", 5, "mean", 2.0, 5),
    ("resnet18:untrained", (), "tiny_imagenet/test", 1, "mean", 2.0, 3),
    ("vit_small_patch16_224:untrained", (), "tiny_imagenet/test", 1, "mean", 2.0, 3),
    ("resnet18:untrained", (), "imagenet_samples", 1, "mean", 2.0, 0),
    ("vit_b_16:untrained", tuple(f"encoder.layers.encoder_layer_{n}" for n in (0, 11)), "tiny_imagenet/test", 1,
     "all", 2.0, 0),
    ("vit_b_16:untrained", (), "imagenet_samples", 1, "mean", 2.0, 0),  # as promised: 1,000 classes in 2 GiB
    ("resnet18:untrained", (), "tiny_imagenet/test", 25, "mean", 2.0, 0),
]  # fmt: skip


def most_mib():
    """The most memory that this process had so far, MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def plain_difference(said, layer, tokens, paths, rdm):
    """Largest difference of distances at a layer from those of a plain forward hook, one image at a time."""
    network, rows, found = find(said), Watched(torch.nn.Identity(), [], tokens).rows, []
    if hasattr(network.module, "activations"):
        return np.nan
    network.module.get_submodule(layer).register_forward_hook(lambda _, __, output: found.append(rows(output)[0]))
    means = []
    with torch.inference_mode():
        for images in paths:
            for path in images:
                network.module(network.transform(read_image(path))[None])
            means.append(torch.stack(found).double().mean(0).numpy())
            found.clear()
    return float(np.abs(pdist(means, "correlation") - rdm.values).max())


def measured(said, layers, folder, images, tokens, gib, seeds, queue):
    """Score one network in this process; put its row."""
    torch.set_num_threads(1)
    extraction = {"layers": layers, "tokens": tokens, "batch_size": 16, "images_per_class": images}
    extraction |= {"max_memory_gib": gib, "distance": "correlation", "seeds": list(range(seeds))}
    tests = {"permutations": 999, "bootstrap_samples": 0, "models": ["lch"], "model_files": {}}
    tests |= {"random_seeds": list(range(seeds))}
    begin = time.process_time()
    with tempfile.TemporaryDirectory() as scratch:
        results = Path(scratch)
        config = configure(EvaluationConfig, TESTS | tests, "tests")
        score([f"network={said}"], results, folder, configure(ExtractionConfig, extraction, "extraction"), config)
        seconds, peak = time.process_time() - begin, most_mib()
        how = json.loads((results / "score.json").read_text())["networks"]["network"]
        rdms = read_rdms(results / "rdms" / "network.parquet")
    rdm, layer = list(rdms.values())[-1], list(rdms)[-1]
    some = rdm.classes[:PLAIN]
    paths = [[str(path) for path in sorted((folder / wnid).iterdir())[:images]] for wnid in some]
    plan = pd.DataFrame(how["layers"])
    queue.put(
        {
            "classes": len(rdm.classes),
            "images": sum(len(list((folder / wnid).iterdir())[:images]) for wnid in rdm.classes),
            "layers": len(plan),
            "passes": plan["part"].max(),
            "forecast_mib": round(plan["in_all"].max()),
            "allowed_mib": round(gib * 1024),
            "peak_mib": round(peak),
            "alarm": bool(how["alarm"]) if seeds else None,
            "difference": plain_difference(said, layer, tokens, paths, rdm.subset(some)),
            "seconds": round(seconds),
        }
    )


def in_process(*arguments):
    """A row measured in a fresh process."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=measured, args=(*arguments, queue))
    process.start()
    while process.is_alive() and queue.empty():
        process.join(1)
    row = queue.get(timeout=10)
    process.join()
    return row


def missing(said, folder, checkpoint):
    """Why a case cannot be run here; empty where it can."""
    if not folder.is_dir():
        return f"{folder} is not there"
    if said.startswith("vit_small") and not importlib.util.find_spec("timm"):
        return "timm is not installed"
    return "" if said != "miniature" or checkpoint.is_file() else f"{checkpoint} is not there: train the miniature"


def main(arguments=None):
    """Measure all cases that can be run here, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    images = Path(os.environ.get("IMAGES", "images"))
    parser.add_argument("data", type=Path, nargs="?", default=images, help="with imagenet_samples and tiny_imagenet")
    parser.add_argument("--cases", nargs="+", type=int, help="those alone, by their place from 0; added to the table")
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT, help="of a trained miniature network")
    options = parser.parse_args(arguments)
    rows, skipped = pd.read_csv(TABLE).to_dict("records") if options.cases and TABLE.is_file() else [], {}
    for case, (said, layers, folder, images, tokens, gib, seeds) in enumerate(CASES):
        name = said.split(":")[0]
        if options.cases and case not in options.cases:
            continue
        if why := missing(said, options.data / folder, options.checkpoint):
            skipped[f"{name}, {folder}"] = why
            print(f"{name}, {folder}: skipped, {why}", file=sys.stderr)
            continue
        place = str(options.checkpoint.parent) if said == "miniature" else said
        row = in_process(place, layers, options.data / folder, images, tokens, gib, seeds)
        row = {"case": case, "network": name, "stimuli": folder, "tokens": tokens, "untrained": seeds} | row
        rows = sorted([*(one for one in rows if one["case"] != case), row], key=lambda one: one["case"])
        write_csv(TABLE, pd.DataFrame(rows, columns=COLUMNS))
        write_json(TABLE.with_suffix(".json"), record({"cases": CASES}, 0, skipped=skipped))


if __name__ == "__main__":
    main()
