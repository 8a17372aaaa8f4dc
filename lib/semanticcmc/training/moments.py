"""What is known of each frame besides its pixels: the scene that it is in, the labels at that moment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from semanticcmc.config import existing
from semanticcmc.films.pairs import shot_of_frames


def scenes_of_frames(index: pd.DataFrame, folder: Path) -> Tensor:
    """Number of the scene that each frame is in, no two films sharing one, -1 for none: int64 (N,).

    `index` has `movie_id, time_s`, one row a frame; `folder` holds the results of an experiment over a world. Raises
    InputError where shots are not known: of films.
    """
    file = folder / "world" / "shots.parquet"
    shots = pd.read_parquet(existing(file, "scenes are known of a world alone; take positives label"))
    scene = shots.groupby(["movie_id", "scene"], sort=False).ngroup().to_numpy()
    shot = shot_of_frames(index, shots)
    return torch.from_numpy(np.where(shot >= 0, scene[shot], -1).astype(np.int64))


def labels_of_frames(index: pd.DataFrame, folder: Path) -> tuple[Tensor, list[str]]:
    """Labels in the label set nearest to each frame, and their names.

    Numbers of a frame's labels are int64 (N, most), filled up with the number of labels that there are. Raises
    InputError where the films have no labels.
    """
    remedy = "the films have no labels; make poster LABELS=<folder> imports them"
    files = (existing(folder / "labels" / f"{name}.parquet", remedy) for name in ("labels", "label_times"))
    labels, times = map(pd.read_parquet, files)
    times["movie_id"] = times["movie_id"].astype(str)

    def sets(table: pd.DataFrame) -> pd.DataFrame:
        own = table[["movie_id", "time_s"]].assign(movie_id=table["movie_id"].astype(str)).merge(times, how="left")
        number = ((own["time_s"] - own["start_s"]) / own["interval_s"]).round()
        return pd.DataFrame({"movie_id": own["movie_id"], "set": number})

    seen = sets(labels).assign(label=labels["label"].cat.codes.to_numpy().astype(np.int64))
    found = sets(index).assign(row=np.arange(len(index))).merge(seen, on=["movie_id", "set"])
    place = found.groupby("row").cumcount()
    names = labels["label"].cat.categories.astype(str).tolist()
    numbers = np.full((len(index), int(place.max()) + 1 if len(found) else 1), len(names))
    numbers[found["row"], place] = found["label"]
    return torch.from_numpy(numbers), names
