"""How much semantics do the mere looks of real images carry? Untrained networks, and any checkpoint, on class folders.

    python -m validation.real_images <folder of class folders> [--weights FILE ...]

Quarter of an hour on one core for 1,000 images. Networks: AlexNet at the published size and CMC's pair of halves (both
as `poster` has them), and the miniature's, untrained, from several seeds; and every checkpoint that is named (of CMC,
SemanticCMC, torchvision or this package). Class means, averaged over space, Euclidean distances, as published.

`layers`: Mantel's r with LCH and with category of all classes, layer by layer, with intervals over classes.
`subsets`: the same r at the last convolution among random sets of 256 classes, as many as the published.
`images`: how r grows with the images that a class mean is made of. One image a class leaves nothing to average, so
broader nouns stand for classes, whose images are those of all classes below them: the lowest with at least 2, 4, 8, 16
images. They are tested with n images each, drawn many times. `reliability` is the correlation between RDMs of n and n
other images. With c that of halves of all N images, an RDM of n images has the reliability n / (n + k),
k = (N / 2) (1 - c) / c (Spearman 1910, Brown 1910), and noise that is independent between halves dilutes
r_n = r sqrt(n / (n + k)) (Spearman 1904): `r_unlimited` is r, and `r_150` what 150 images a class would give.

What this cannot tell: images of the classes below a noun vary more than images of one class, so that k is too large for
classes proper; broad nouns are fewer and further apart than the 256 published synsets, of which hardly one is among
ImageNet's 1,000 classes; and images were jittered there at test time. Writes validation/real_images.csv, a record and a
figure (`validation.real_images_figure` draws it anew from the table).
"""

import argparse
import functools
import os
import sys

os.environ |= {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from validation.real_images_figure import PUBLISHED_IMAGES

from semanticcmc.config import InputError
from semanticcmc.evaluation.activations import class_means
from semanticcmc.evaluation.config import ActivationsConfig, StimuliConfig
from semanticcmc.evaluation.stimuli import StimulusFolder
from semanticcmc.experiment import load_experiment
from semanticcmc.rsa.bootstrap import bootstrap_correlations, bootstrap_counts, bootstrap_interval
from semanticcmc.rsa.mantel import mantel_table
from semanticcmc.rsa.rdm import from_class_means
from semanticcmc.rsa.semantics import NO_CATEGORY, categories, category_rdm, lch_rdm
from semanticcmc.rsa.standardise import standardise_table
from semanticcmc.rsa.wordnet import depths, taxonomy_of
from semanticcmc.run import Progress, atomic, record, write_json
from semanticcmc.scoring.networks import published
from semanticcmc.training.networks import NetworksConfig, TrainedNetwork, build
from semanticcmc.training.views import ViewsConfig
from validation import real_images_figure

torch.set_num_threads(1)
HERE = Path(__file__).parent
UNTRAINED = {
    "AlexNet": ("poster", "random", 3),
    "halves for L and ab": ("poster", "cmc_lab", 2),
    "miniature": ("miniature", "random", 3),
}  # experiment, network, seeds
LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7")
PRIMARY = "conv5"
COLUMNS = (
    "network",
    "seed",
    "study",
    "layer",
    "model",
    "quantity",
    "fewest",
    "classes",
    "images",
    "value",
    "ci_low",
    "ci_high",
    "p",
)
FEWEST = (2, 4, 8, 16)  # images of a broader class
PUBLISHED_CLASSES = 256
SETTINGS = {
    "permutations": 9999,
    "samples": 400,
    "growth_samples": 200,
    "draws": 10,
    "subsets": 200,
    "confidence": 0.95,
}


def untrained():
    """Name, seed and a function that makes the network, of all drawn at random: the first seed of each first."""
    for seed in range(max(seeds for *_, seeds in UNTRAINED.values())):
        for name, (experiment, kind, seeds) in UNTRAINED.items():
            if seed < seeds:
                yield name, seed, functools.partial(as_drawn, experiment, kind, seed)


def as_drawn(experiment, kind, seed):
    """Return an untrained network of an experiment."""
    found = load_experiment(experiment)
    config, views = found.section("networks", NetworksConfig), found.section("views", ViewsConfig)
    return TrainedNetwork(build(found.network(kind, seed), config), views).eval()


def from_file(file):
    """Return the network of the published size that a checkpoint holds."""
    return TrainedNetwork(published(file), load_experiment("poster").section("views", ViewsConfig)).eval()


def activations(network, folder, images_per_class):
    """Activations of every image by layer, rows in the order of the files, and the files."""
    stimuli = StimulusFolder(folder, StimuliConfig(None, 224, images_per_class, ("intact",), 2.0, 255))

    def one_by_one():
        start = 0
        for images, _ in stimuli.batches(50):
            yield images, torch.arange(start, start + len(images))
            start += len(images)

    config = ActivationsConfig(LAYERS, True, 50, 512, 2, 1)
    return class_means(network, one_by_one(), len(stimuli), config), stimuli.files["wnid"].to_numpy()


def means(rows, members):
    """Means of the rows of each class."""
    return np.stack([rows[at].mean(0) for at in members])


def layers(rows, owners, seed, settings):
    """Rows of the study `layers`, and the RDM of `PRIMARY` with LCH's."""
    classes = sorted(set(owners))
    members = [np.flatnonzero(owners == wnid) for wnid in classes]
    rdms = {layer: from_class_means(means(rows[layer], members), classes, "euclidean") for layer in LAYERS}
    category = categories(classes)
    kept = [wnid for wnid in classes if category[wnid] != NO_CATEGORY]
    models, found = {"lch": lch_rdm(classes), "category": category_rdm(kept)}, []
    for model, rdm in models.items():
        own = {layer: one.subset(rdm.classes) for layer, one in rdms.items()}
        tests = mantel_table(
            own,
            {model: rdm},
            permutations=settings["permutations"],
            seed=seed,
            bootstrap_samples=settings["samples"],
            confidence=settings["confidence"],
        )
        images = len(owners) / len(classes)
        found.append(
            pd.DataFrame(
                {
                    "study": "layers",
                    "layer": tests["rdm"],
                    "model": model,
                    "quantity": "mantel_r",
                    "classes": len(rdm.classes),
                    "images": images,
                    "value": tests["mantel_r"],
                    "ci_low": tests["ci_low"],
                    "ci_high": tests["ci_high"],
                    "p": tests["p"],
                }
            )
        )
    return pd.concat(found), rdms[PRIMARY], models["lch"]


def subsets(rdm, model, seed, settings):
    """Correlation in random sets of as many classes as published: mean, and the middle 95 % of them."""
    rng, n = np.random.default_rng(seed), len(rdm.classes)
    if n <= PUBLISHED_CLASSES:
        return pd.DataFrame()
    upper = np.triu_indices(PUBLISHED_CLASSES, 1)
    x, y, found = rdm.square(), model.subset(rdm.classes).square(), []
    for _ in range(settings["subsets"]):
        chosen = np.ix_(*[rng.choice(n, PUBLISHED_CLASSES, replace=False)] * 2)
        found.append(np.corrcoef(x[chosen][upper], y[chosen][upper])[0, 1])
    low, high = np.quantile(found, [(1 - settings["confidence"]) / 2, (1 + settings["confidence"]) / 2])
    one = {"study": "subsets", "layer": PRIMARY, "model": "lch", "quantity": "mantel_r", "classes": PUBLISHED_CLASSES}
    return pd.DataFrame([{**one, "value": np.mean(found), "ci_low": low, "ci_high": high}])


def broader_classes(owners, fewest):
    """Lowest nouns with at least `fewest` images below them, that share none: wnid to positions of its images."""
    taxonomy = taxonomy_of(sorted(set(owners)))
    below = {}
    for position, wnid in enumerate(owners):
        for above in taxonomy.distances_above(wnid):
            below.setdefault(above, []).append(position)
    depth, taken, found = depths(taxonomy, list(below)), set(), {}
    for wnid, positions in sorted(below.items(), key=lambda item: (len(item[1]), -depth[item[0]][1], item[0])):
        if len(positions) >= fewest and taken.isdisjoint(positions):
            taken.update(positions)
            found[wnid] = np.array(positions)
    return found


def growth(rows, members, model, fewest, seed, settings):
    """How r with a model and an RDM's reliability grow with the images a class, and what they come to without limit.

    Parameters
    ----------
    rows : array (images, features)
    members : dict of class to positions of its images, at least `fewest` each
    model : RDM of these classes
    fewest : int
        Images of a class that are used, a power of 2: 1, 2, 4 ... `fewest` at a time.

    Returns
    -------
    DataFrame
        ``quantity`` (mantel_r, reliability, r_unlimited, r_150), ``images``, ``value, ci_low, ci_high``: means over
        draws of the images, percentiles of the bootstrap over classes; NaN where there is no limit.
    """
    rng, classes = np.random.default_rng(seed), list(members)
    model = model.subset(classes)
    counts = bootstrap_counts(len(classes), settings["growth_samples"], seed)
    counts = torch.cat([torch.ones(1, len(classes)), counts])  # first the classes themselves
    orders = [[rng.permutation(at)[:fewest] for at in members.values()] for _ in range(settings["draws"])]

    def rdm(order, start, stop):
        return from_class_means(means(rows, [at[start:stop] for at in order]), classes, "euclidean")

    found = {}
    for n in (2**power for power in range(fewest.bit_length()) if 2**power <= fewest):
        pairs = [[rdm(order, 0, n), *([rdm(order, n, 2 * n)] if 2 * n <= fewest else [])] for order in orders]
        every = {(i, j): one for i, pair in enumerate(pairs) for j, one in enumerate(pair)}
        tables = standardise_table(every, {"model": model}, None)
        found["mantel_r", n] = bootstrap_correlations(tables, counts)[:, 0].nanmean(0)
        if 2 * n <= fewest:
            halves = [standardise_table({"a": a}, {"b": b}, None) for a, b in pairs]
            agree = [bootstrap_correlations(half, counts)[0, 0] for half in halves]
            found["reliability", n] = torch.stack(agree).nanmean(0)
    c = found["reliability", fewest // 2].clamp(min=0)  # 0: halves have nothing in common, and r_unlimited no limit
    signal, noise = c, (1 - c) * fewest / 2  # k is noise / signal
    r = found["mantel_r", fewest]
    found["r_unlimited", fewest] = r * ((fewest * signal + noise) / (fewest * signal)).sqrt()
    at_150 = (fewest * signal + noise) / (PUBLISHED_IMAGES * signal + noise) * PUBLISHED_IMAGES / fewest
    found["r_150", fewest] = r * at_150.sqrt()
    table = []
    for (quantity, n), values in found.items():
        with np.errstate(invalid="ignore"):  # between samples without a limit
            low, high = bootstrap_interval(values[1:], settings["confidence"])
        numbers = np.array([float(values[0]), low, high])
        table.append((quantity, n, *np.where(np.isfinite(numbers), numbers, np.nan)))
    table = pd.DataFrame(table, columns=["quantity", "images", "value", "ci_low", "ci_high"])
    return table.assign(study="images", fewest=fewest, classes=len(classes))


def study(folder, weights=(), images_per_class=16, settings=None, networks=None, fewest=FEWEST, kept=None, keep=None):
    """All networks on the images of a folder.

    `keep(table)` is called after each network, and those that the table `kept` holds are not tested again.
    """
    settings = settings or SETTINGS
    networks = list(networks or untrained())
    networks += [(Path(file).stem, 0, functools.partial(from_file, file)) for file in weights]
    progress, tables = Progress("real images", len(networks)), []
    for number, (name, seed, made) in enumerate(networks, 1):
        tables.append(pd.DataFrame() if kept is None else kept[(kept.network == name) & (kept.seed == seed)])
        if tables[-1].empty:
            found = one_network(made(), folder, images_per_class, seed, settings, fewest)
            tables[-1] = found.assign(network=name, seed=seed)[list(COLUMNS)]
        if keep:
            keep(pd.concat(tables))
        progress.update(number)
    return pd.concat(tables, ignore_index=True)


def one_network(network, folder, images_per_class, seed, settings, fewest):
    """All studies of one network."""
    rows, owners = activations(network, folder, images_per_class)
    table, rdm, lch = layers(rows, owners, seed, settings)
    parts = [table, subsets(rdm, lch, seed, settings)]
    for least in fewest:
        members = broader_classes(owners, least)
        if len(members) >= 20:
            part = growth(rows[PRIMARY], members, lch_rdm(list(members)), least, seed, settings)
            parts.append(part.assign(layer=PRIMARY, model="lch"))
    return pd.concat(parts)


def main(arguments=None):
    """Command line; exit 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, help="folder of class folders named by wnid")
    parser.add_argument("--weights", nargs="*", type=Path, default=[], help="checkpoints to test beside")
    parser.add_argument(
        "--images-per-class", type=int, default=16, help="at most so many images (default: %(default)s)"
    )
    parser.add_argument("--keep", type=Path, help="table of this study: its networks are not tested again")
    given = parser.parse_args(arguments)
    if given.folder is None:  # make validate
        print("real_images: no folder of class folders given, nothing done")
        return 0

    def keep(table):
        with atomic(HERE / "real_images.csv") as temporary:
            table.to_csv(temporary, index=False, float_format="%.5g")

    try:
        kept = pd.read_csv(given.keep) if given.keep else None
        table = study(given.folder, given.weights, given.images_per_class, kept=kept, keep=keep)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    said = {
        "untrained": UNTRAINED,
        "weights": [file.name for file in given.weights],
        "images_per_class": given.images_per_class,
        "fewest": FEWEST,
    }
    write_json(HERE / "real_images.json", record(SETTINGS, 0, **said))
    real_images_figure.draw()
    print(table[table.layer == PRIMARY].to_string(index=False, float_format="{:.3f}".format))
    return 0


if __name__ == "__main__":
    sys.exit(main())
