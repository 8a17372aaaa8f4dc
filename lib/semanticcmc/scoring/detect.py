"""Labels of films by a detector or classifier of torchvision: a label stream of WordNet's nouns, without any service.

``semanticcmc label`` shows each frame of an experiment's frame store to the network and writes
``detected/labels.parquet`` and ``label_times.parquet`` below its results, with the record ``label.json``. That folder
is a source of labels like any other (`labels.ingest`): ``LABELS=results/<experiment>/detected``.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator

import numpy as np
import torch
from torchvision import models

from semanticcmc.config import Count, InputError, Percent, Section, Share, one_of, package_table, read_text_table
from semanticcmc.experiment import Experiment
from semanticcmc.films.files import file_state
from semanticcmc.films.store import FrameStore
from semanticcmc.labels.grid import FilmLabels, made_from, merge_parts, sampling, write_part
from semanticcmc.labels.ingest import PARTS
from semanticcmc.labels.stream import LabelStream, read_labels
from semanticcmc.run import Progress, counted, record, write_json
from semanticcmc.scoring.networks import DETECTORS, Scored, of_a_library
from semanticcmc.training.recipe import TrainingConfig, choose_device


@dataclasses.dataclass(frozen=True)
class DetectionConfig(Section):
    """Which of a network's outputs are labels: options of ``semanticcmc label``."""

    least_confidence: Percent  # score of a detector's box, or probability of a classifier's class
    least_area: Share  # of the picture, that a box covers
    batch_size: Count


def output_labels(name: str) -> list[str]:
    """Label of each output of torchvision's network `name`, as ``detector_nouns.csv`` has it; empty for no thing."""
    column = "coco" if name in DETECTORS else "imagenet"
    table = read_text_table(package_table("detector_nouns.csv"), ("label", column), "label")
    known = dict(table.loc[table[column] != "", [column, "label"]].to_numpy())
    called = models.get_model_weights(name).DEFAULT.meta["categories"]
    return [known.get(key, "") for key in (called if name in DETECTORS else map(str, range(len(called))))]


def label_films(experiment: Experiment, network: str, config: DetectionConfig) -> LabelStream:
    """Write and return labels of all films of an experiment's frame store.

    The network is spelt as of `networks`, such as ``fasterrcnn_resnet50_fpn`` (torchvision's own weights) or
    ``fasterrcnn_resnet50_fpn:FILE``. A film that is labelled already, in the same way, is not labelled again; one in
    which nothing is found is named. Raises InputError for a network that torchvision does not have, weights that cannot
    be had or do not fit, and where nothing is found in any film.
    """
    name, _, given = network.partition(":")
    one_of("network", name, (*DETECTORS, *models.list_models(models)), "torchvision has")
    store, folder = FrameStore(experiment.folder / "frames"), experiment.folder / "detected"
    shown, labels = of_a_library(name, given), np.array(output_labels(name), dtype=object)
    shown.module.eval().to(choose_device(experiment.section("training", TrainingConfig)))
    settings = [name, shown.source, config.least_confidence, config.least_area]
    progress = Progress("frames labelled", len(store), experiment.folder / "progress")
    parts = [folder / PARTS / f"{movie_id}.parquet" for movie_id in store.movies]
    for part in parts:
        rows, times_s = store.rows(part.stem), store.times(part.stem)
        state = [settings, file_state(store.folder / f"{part.stem}.tar")]
        if part.exists() and made_from(part)["state"] == state:
            continue
        found: list[tuple[float, int, float]] = []
        for row, outputs in _outputs(shown, name in DETECTORS, store, rows, config):
            progress.update(row, part.stem)
            found += [(times_s[row - rows.start], *one) for one in outputs if labels[one[0]]]
        time_s, output, confidence = np.array(found, dtype=np.float64).reshape(-1, 3).T
        nothing = "" if found else f"nothing found with {config.least_confidence:g} % or more"
        label = labels[output.astype(int)]
        film = FilmLabels(time_s, label, confidence, np.nan, times_s, f"film {part.stem}", nothing)
        write_part(part, film, sampling(times_s, None, film.where) or (0.0, 1.0), state)
    progress.update(len(store))
    problems = {part.stem: problem for part in parts if (problem := made_from(part)["problem"])}
    for movie_id, problem in problems.items():
        print(f"WITHOUT LABELS: {movie_id}: {problem}", file=sys.stderr)
    if len(problems) == len(parts):
        remedy = "lower --least-confidence or --least-area, or give the weights of a trained network"
        raise InputError(f"{network}: nothing found in any of {counted(len(parts), 'film')}; {remedy}")
    merge_parts(parts, folder)
    write_json(folder / "label.json", record(config, network=name, weights=shown.source))
    return read_labels(folder)


def _outputs(
    shown: Scored, detects: bool, store: FrameStore, rows: slice, config: DetectionConfig
) -> Iterator[tuple[int, list[tuple[int, float]]]]:
    """Each frame's row, and number and confidence (percent) of its outputs that are sure and large enough."""
    device = next(shown.module.parameters()).device
    for start in range(rows.start, rows.stop, config.batch_size):
        batch = range(start, min(start + config.batch_size, rows.stop))
        frames = [shown.transform(store.read_rows([row])[0].to(device)) for row in batch]
        with torch.inference_mode():
            answers = shown.module(frames) if detects else shown.module(torch.stack(frames)).softmax(1)
        for row, frame, answer in zip(batch, frames, answers, strict=True):
            percent = 100 * (answer["scores"] if detects else answer).double().clamp(max=1)
            kept = percent >= config.least_confidence
            if detects:
                sides = answer["boxes"][:, 2:] - answer["boxes"][:, :2]
                kept &= sides.prod(1) >= config.least_area * frame[0].numel()
            numbers = answer["labels"] if detects else torch.arange(len(answer), device=device)
            yield row, list(zip(numbers[kept].tolist(), percent[kept].tolist(), strict=True))
