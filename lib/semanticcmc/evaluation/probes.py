"""Linear probes: how many images of unseen folders a frozen layer tells apart, layer by layer (top-1).

    semanticcmc classify poster --network random --network semantic_60s

Convolutional maps are max-pooled to a square, as in CMC's linear probing (Tian et al. 2020; Zhang et al. 2017),
and multinomial logistic regression learns the classes from standardised features. The strength of its penalty is
chosen on a part of the training images that the probe does not learn from; test images are looked at once.
Accuracy here is of images never learned from and counts images, as published top-1 does; `decoding` cross-validates
within the stimuli and weighs classes alike.

Features wait on disk, one layer at a time is in memory: about 3 x images x features x 4 bytes, 1.2 GB for 10,000
images and 9,600 features. For larger sets name fewer ``images_per_class``.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from semanticcmc.config import SOME, Confidence, Count, InnerShare, InputError, Natural, Positive, Section
from semanticcmc.evaluation.activations import evaluation_device, show
from semanticcmc.evaluation.config import ActivationsConfig, StimuliConfig
from semanticcmc.evaluation.decoding import linear_probe
from semanticcmc.evaluation.stimuli import StimulusFolder, stimulus_folder
from semanticcmc.experiment import Experiment, Network, repository_root
from semanticcmc.run import Progress, record, sha256, write_csv, write_json
from semanticcmc.training.checkpoints import load_network


@dataclasses.dataclass(frozen=True)
class ClassificationConfig(Section):
    """Images and features of the linear probes: section ``classification`` of an experiment, explained in base.yaml."""

    train: Path | None
    test: Path | None
    test_share: InnerShare
    images_per_class: Count | None
    features: Count
    regularisation: Annotated[tuple[Positive, ...], SOME]
    validation_share: InnerShare
    confidence: Confidence
    seed: Natural


class Images:
    """Training and test images of an experiment's probes, found and compared before anything runs."""

    def __init__(self, experiment: Experiment) -> None:
        self.config = config = experiment.section("classification", ClassificationConfig)
        read = dataclasses.replace(
            experiment.section("stimuli", StimuliConfig), images_per_class=config.images_per_class
        )
        train = repository_root() / config.train.expanduser() if config.train else stimulus_folder(experiment)
        self.folders = [StimulusFolder(train, read)]  # one that is split, or one to learn from and one to test on
        counts = self.folders[0].files["wnid"].value_counts()
        least = 2 if config.test else 3
        if counts.min() < least:
            raise InputError(
                f"{train / str(counts.idxmin())}: holds {counts.min()} of the at least {least} images "
                "that a class needs, to learn from, to choose the penalty on and (classification.test null) to test on"
            )
        if config.test is None:
            return
        test = repository_root() / config.test.expanduser()
        if test.resolve() == train.resolve():
            raise InputError(
                f"{test}: both classification.train and classification.test; test: null keeps a share of it for testing"
            )
        self.folders.append(StimulusFolder(test, read))
        if differ := sorted(set(self.folders[0].classes) ^ set(self.folders[1].classes)):
            raise InputError(f"{train} and {test} hold different classes ({', '.join(differ[:5])})")

    def sets(self, features: Sequence[FeatureFiles], layer: str) -> list[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        """Training and test features of a layer and their classes, from the features of each of `folders`."""
        both = [found.read(layer) for found in features]
        if len(both) == 2:
            return both
        x, y = both[0]
        kept = held_out(y, self.config.test_share, self.config.seed)
        return [(x[~kept], y[~kept]), (x[kept], y[kept])]


def pooled(values: Tensor, features: int) -> Tensor:
    """Rows (B, d) of a layer's activations, maps (B, channels, h, w) max-pooled to fit `features`.

    The square's side is the largest, up to the map's, with channels x side^2 <= features; at least 1.
    """
    if values.ndim == 4:
        side = max(1, min(*values.shape[2:], int((features / values.shape[1]) ** 0.5)))
        values = functional.adaptive_max_pool2d(values, side)
    return values.flatten(1)


class FeatureFiles:
    """Features of every image by layer, kept in files of an empty folder: float32 numbers, image after image."""

    def __init__(self, layers: Sequence[str], folder: Path) -> None:
        self.files = {layer: folder / f"{layer}.float32" for layer in layers}
        self.class_index: list[NDArray[np.int64]] = []

    def add(self, rows: dict[str, Tensor], class_index: Tensor) -> None:
        """Add a batch: rows by layer (B, d) and the class of each."""
        for layer, file in self.files.items():
            with file.open("ab") as handle:
                handle.write(rows[layer].float().cpu().numpy().tobytes())
        self.class_index.append(class_index.numpy())

    def read(self, layer: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Features of a layer (N, d) and the class of each image (N,)."""
        classes = np.concatenate(self.class_index)
        return np.fromfile(self.files[layer], dtype=np.float32).reshape(len(classes), -1), classes


def held_out(classes: NDArray[np.int64], share: float, seed: int) -> NDArray[np.bool_]:
    """Mask of `share` of each class's images, drawn at random: at least one, never all."""
    generator, mask = np.random.default_rng(seed), np.zeros(len(classes), dtype=bool)
    for index in np.unique(classes):
        rows = np.flatnonzero(classes == index)
        kept = min(max(1, round(share * len(rows))), len(rows) - 1)
        mask[generator.permutation(rows)[:kept]] = True
    return mask


def top1(
    train: tuple[NDArray[np.float32], NDArray[np.int64]],
    test: tuple[NDArray[np.float32], NDArray[np.int64]],
    regularisation: Sequence[float],
    validation_share: float,
    confidence: float,
    seed: int,
) -> dict[str, Any]:
    """Share of test images whose class a linear probe names, with Wilson's interval.

    Training and test images are features (N, d) and the class of each (N,); the rest is as of `ClassificationConfig`.
    Returned is a dict: ``top1, ci_low, ci_high, classes, train_images, test_images, features, regularisation``. Of
    penalties that do equally well on the validation images (`held_out`) the strongest is taken, and the probe then
    learns from all training images.
    """
    from scipy.stats import binomtest
    from sklearn.model_selection import GridSearchCV, PredefinedSplit

    (x, y), (x_test, y_test) = train, test
    validation = PredefinedSplit(np.where(held_out(y, validation_share, seed), 0, -1))
    candidates = {"logisticregression__C": sorted(regularisation)}  # of equals the first is taken
    search = GridSearchCV(linear_probe(), candidates, cv=validation).fit(x, y)
    right = int((search.predict(x_test) == y_test).sum())
    low, high = binomtest(right, len(y_test)).proportion_ci(confidence, method="wilson")
    return {
        "top1": right / len(y_test),
        "ci_low": float(low),
        "ci_high": float(high),
        "classes": len(np.unique(y)),
        "train_images": len(y),
        "test_images": len(y_test),
        "features": x.shape[1],
        "regularisation": search.best_params_["logisticregression__C"],
    }


def classify(experiment: Experiment, network: Network, images: Images) -> pd.DataFrame:
    """Probe every layer of one finished network; read back where that has been done with these settings.

    One row a layer: ``network, lag_s, seed, layer`` and what `top1` found; also
    ``classification/<network>_seed-<k>.csv``.
    """
    config, activations = images.config, experiment.section("activations", ActivationsConfig)
    trained = load_network(experiment.run_folder(network))
    settings = {
        "network": network.name,
        "classification": dataclasses.asdict(config),
        "layers": activations.layers,
        "images_sha256": [folder.fingerprint() for folder in images.folders],
        "checkpoint_sha256": sha256(experiment.run_folder(network) / "checkpoint.pt"),
    }
    settings = json.loads(json.dumps(settings, default=str))
    table_file = experiment.path("classification", f"{network.name}_seed-{network.seed}.csv")
    about = table_file.with_suffix(".json")
    if table_file.exists() and about.exists() and json.loads(about.read_text())["config"] == settings:
        return pd.read_csv(table_file)
    trained.to(evaluation_device())
    progress = Progress(f"linear probes of {network}", len(activations.layers))
    rows = []
    with tempfile.TemporaryDirectory(dir=table_file.parent) as temporary:
        features = []
        for number, folder in enumerate(images.folders):
            place = Path(temporary) / str(number)
            place.mkdir()
            features.append(FeatureFiles(activations.layers, place))
            rows_of = functools.partial(pooled, features=config.features)
            show(trained, folder.batches(activations.batch_size), activations.layers, rows_of, features[-1].add)
        progress.update(0)
        for done, layer in enumerate(activations.layers, start=1):
            train, test = images.sets(features, layer)
            found = top1(train, test, config.regularisation, config.validation_share, config.confidence, config.seed)
            name = {"network": network.name, "lag_s": network.lag_s, "seed": network.seed, "layer": layer}
            rows.append(name | found)
            progress.update(done, f"{layer} {found['top1']:.3f}")
    table = pd.DataFrame(rows)
    write_csv(table_file, table)
    write_json(about, record(settings, config.seed))
    return table


def classification(experiment: Experiment, networks: Sequence[str] | None = None) -> pd.DataFrame:
    """`classify` every network, or those of some names, and write ``tables/classification.csv``.

    Raises InputError for a network that the experiment does not have.
    """
    names = networks or experiment.networks
    if unknown := [name for name in names if name not in experiment.networks]:
        raise InputError(f"{unknown[0]}: no network of {experiment.file}; it has {', '.join(experiment.networks)}")
    images = Images(experiment)
    runs = [experiment.network(name, seed) for name in names for seed in experiment.seeds]
    table = pd.concat([classify(experiment, network, images) for network in runs], ignore_index=True)
    write_csv(experiment.path("tables", "classification.csv"), table)
    return table
