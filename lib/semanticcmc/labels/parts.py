"""Films imported so far, a Parquet file each, and the one sorted label stream that they are merged into."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from semanticcmc.labels.grid import FilmLabels, on_grid
from semanticcmc.labels.stream import label_stream
from semanticcmc.run import atomic


def write_part(part: Path, film: FilmLabels, movie_id: str, grid: tuple[float, float], state: dict[str, Any]) -> None:
    """Write one film's labels, sorted.

    Parameters
    ----------
    part : Path
        ``<movie_id>.parquet``; its metadata hold label times, label names and `state`.
    film : FilmLabels
    movie_id : str
    grid : (start_s, interval_s)
    state : dict
        What the part was made from (as JSON has it), for `made_from`.
    """
    stream = label_stream(*on_grid(film, movie_id, *grid), film.where)
    times = {key: stream.times[key].iloc[0].item() for key in ("start_s", "interval_s", "count")}
    names = stream.labels["label"].cat.categories.tolist()
    made = json.dumps({"state": state, "times": times, "labels": names})
    code = stream.labels["label"].cat.codes.to_numpy().astype(np.int32)
    columns = {name: stream.labels[name].to_numpy() for name in ("time_s", "confidence")}
    table = pa.table(columns | {"label": code}).replace_schema_metadata({"made_from": made})
    with atomic(part) as temporary:
        pq.write_table(table, temporary)


def made_from(part: Path) -> dict[str, Any]:
    """Metadata of a part: `state`, `times` (`start_s, interval_s, count`) and `labels`, its label names."""
    return json.loads(pq.read_schema(part).metadata[b"made_from"])


def merge_parts(parts: Sequence[Path], folder: Path) -> None:
    """Write one sorted stream from the films' parts, a row group a film, one film in memory at a time.

    Parameters
    ----------
    parts : sequence of Path
        In the order of `movie_id`.
    folder : Path
        Where ``labels.parquet`` and ``label_times.parquet`` go.
    """
    made = {part.stem: made_from(part) for part in parts}
    movies, names = list(made), sorted(set().union(*(film["labels"] for film in made.values())))
    place = {name: i for i, name in enumerate(names)}
    text = pa.dictionary(pa.int32(), pa.string())
    schema = pa.schema({"movie_id": text, "time_s": pa.float64(), "label": text, "confidence": pa.float64()})
    with atomic(folder / "label_times.parquet") as times_file, atomic(folder / "labels.parquet") as labels_file:
        pd.DataFrame([{"movie_id": movie_id, **film["times"]} for movie_id, film in made.items()]).to_parquet(
            times_file, index=False
        )
        with pq.ParquetWriter(labels_file, schema) as writer:
            for i, part in enumerate(parts):
                rows = pq.read_table(part)
                code = np.array([place[name] for name in made[part.stem]["labels"]], dtype=np.int32)[rows["label"]]
                films = pa.DictionaryArray.from_arrays(np.full(len(rows), i, dtype=np.int32), pa.array(movies))
                labels = pa.DictionaryArray.from_arrays(code, pa.array(names, pa.string()))
                columns = [films, rows["time_s"], labels, rows["confidence"]]
                writer.write_table(pa.table(columns, schema=schema), row_group_size=max(1, len(rows)))
