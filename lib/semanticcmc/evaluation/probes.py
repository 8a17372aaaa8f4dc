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
import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from semanticcmc.config import InputError
from semanticcmc.evaluation.config import ActivationsConfig, StimuliConfig
from semanticcmc.evaluation.linear_probes import held_out, layer_features, top1
from semanticcmc.evaluation.stimuli import StimulusFolder, stimulus_folder
from semanticcmc.experiment import Experiment, network_lag_s, repository_root
from semanticcmc.run import Progress, atomic, record, write_json
from semanticcmc.training.checkpoints import load_network, sha256

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLUMNS = (
    "network",
    "lag_s",
    "seed",
    "layer",
    "top1",
    "ci_low",
    "ci_high",
    "classes",
    "train_images",
    "test_images",
    "features",
    "regularisation",
)


@dataclasses.dataclass(frozen=True)
class ClassificationConfig:
    """Images and features of the linear probes.

    Attributes
    ----------
    train : Path or None
        Folder of class folders to learn from, from the repository's root if not absolute; None for the stimuli.
    test : Path or None
        Folder of the same classes to test on; None to keep `test_share` of each class of `train` for it.
    test_share : float
        Share of each class's images that tests, where `test` is None.
    images_per_class : int or None
        At most so many images a class in each folder, the first by name; None for all.
    features : int
        Convolutional maps are max-pooled to the largest square that has so many features at most. 9,600 gives
        CMC's squares: 10, 6, 5, 5 and 6 for conv1 to conv5 at the published widths.
    regularisation : tuple of float
        Candidates for scikit-learn's C, the inverse of the L2 penalty's strength.
    validation_share : float
        Share of each class's training images on which C is chosen.
    confidence : float
        Level of the intervals.
    seed : int
        Of both splits.
    """

    train: Path | None
    test: Path | None
    test_share: float
    images_per_class: int | None
    features: int
    regularisation: tuple[float, ...]
    validation_share: float
    confidence: float
    seed: int

    def __post_init__(self) -> None:
        for name in ("test_share", "validation_share", "confidence"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}: more than 0, less than 1")
        if self.features < 1 or (self.images_per_class is not None and self.images_per_class < 1):
            raise ValueError("features and images_per_class: at least 1")
        if not self.regularisation or min(self.regularisation) <= 0:
            raise ValueError(f"regularisation {list(self.regularisation)}: at least one number above 0")
        if self.seed < 0:
            raise ValueError(f"seed {self.seed}: 0 or more")


class Images:
    """Training and test images of an experiment's probes, found and compared before anything runs."""

    def __init__(self, experiment: Experiment) -> None:
        self.config = config = experiment.section("classification", ClassificationConfig)
        read = dataclasses.replace(
            experiment.section("stimuli", StimuliConfig), images_per_class=config.images_per_class
        )
        train = repository_root() / config.train.expanduser() if config.train else stimulus_folder(experiment)
        self.train, self.test = StimulusFolder(train, read), None
        counts = self.train.files["wnid"].value_counts()
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
            raise InputError(f"{test}: teaches and tests; classification.test null keeps a share of it apart")
        self.test = StimulusFolder(test, read)
        if differ := sorted(set(self.train.classes) ^ set(self.test.classes)):
            raise InputError(f"{train} and {test} hold different classes ({', '.join(differ[:5])})")

    @property
    def folders(self) -> tuple[StimulusFolder, ...]:
        """The folders that are read: one that is split, or one to learn from and one to test on."""
        return (self.train,) if self.test is None else (self.train, self.test)

    def fingerprint(self) -> str:
        """SHA-256 of all names and sizes, in hexadecimal."""
        found = [[path, Path(path).stat().st_size] for folder in self.folders for path in folder.files["path"]]
        return hashlib.sha256(json.dumps(found).encode()).hexdigest()

    def sets(self, files: Sequence[tuple[Mapping[str, Path], NDArray[np.int64]]], layer: str):
        """Training and test features of a layer, each (features, classes)."""
        both = [(np.fromfile(found[layer], dtype=np.float32).reshape(len(y), -1), y) for found, y in files]
        if self.test is not None:
            return both
        x, y = both[0]
        kept = held_out(y, self.config.test_share, self.config.seed)
        return [(x[~kept], y[~kept]), (x[kept], y[kept])]


def classify(experiment: Experiment, network: str, seed: int, images: Images) -> pd.DataFrame:
    """Probe every layer of one finished network; read back where that has been done with these settings.

    Returns
    -------
    DataFrame
        One row a layer, with the columns `COLUMNS`; also ``classification/<network>_seed-<k>.csv``.
    """
    config, activations = images.config, experiment.section("activations", ActivationsConfig)
    trained = load_network(experiment.run_folder(network, seed))
    settings = {
        "network": network,
        "classification": dataclasses.asdict(config),
        "layers": activations.layers,
        "images_sha256": images.fingerprint(),
        "checkpoint_sha256": sha256(experiment.run_folder(network, seed) / "checkpoint.pt"),
    }
    settings = json.loads(json.dumps(settings, default=str))
    table_file = experiment.path("classification", f"{network}_seed-{seed}.csv")
    about = table_file.with_suffix(".json")
    if table_file.exists() and about.exists() and json.loads(about.read_text())["config"] == settings:
        return pd.read_csv(table_file)
    trained.to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    progress = Progress(f"linear probes of {network}, seed {seed}", len(activations.layers))
    rows = []
    with tempfile.TemporaryDirectory(dir=table_file.parent) as temporary:
        files = []
        for number, folder in enumerate(images.folders):
            place = Path(temporary) / str(number)
            place.mkdir()
            batches = folder.batches(activations.batch_size)
            files.append(layer_features(trained, batches, activations.layers, config.features, place))
        progress.update(0)
        for done, layer in enumerate(activations.layers, start=1):
            train, test = images.sets(files, layer)
            found = top1(train, test, config.regularisation, config.validation_share, config.confidence, config.seed)
            rows.append({"network": network, "lag_s": network_lag_s(network), "seed": seed, "layer": layer, **found})
            progress.update(done, f"{layer} {found['top1']:.3f}")
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    with atomic(table_file) as path:
        table.to_csv(path, index=False)
    write_json(about, record(settings, config.seed))
    return table


def classification(experiment: Experiment, networks: Sequence[str] | None = None) -> pd.DataFrame:
    """`classify` every network and seed, or those of some `networks`, and write ``tables/classification.csv``.

    Raises
    ------
    InputError
        For a network that the experiment does not have.
    """
    networks = networks or experiment.networks
    if unknown := [name for name in networks if name not in experiment.networks]:
        raise InputError(f"{unknown[0]}: no network of {experiment.file}; it has {', '.join(experiment.networks)}")
    images = Images(experiment)
    found = [classify(experiment, network, seed, images) for network in networks for seed in experiment.seeds]
    table = pd.concat(found, ignore_index=True)
    with atomic(experiment.path("tables", "classification.csv")) as path:
        table.to_csv(path, index=False)
    return table
