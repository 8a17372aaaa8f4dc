"""Labels from elsewhere to the label stream of an experiment: film by film, then merged in order.

semanticcmc labels <experiment>

Reads what `labels.path` names, whatever it is of these (known by its content):

- Amazon Rekognition's JSON (`rekognition`): ``<film>.json``, or a folder of pages a film;
- event tables (`label_tables`) with the columns `onset` and `duration`;
- one CSV with the columns `movie_id, time_s, label` or `movie_id, start_s, stop_s, label`;
- a folder with ``labels.parquet`` and ``label_times.parquet``.

Writes ``labels/labels.parquet``, ``labels/label_times.parquet`` and ``labels/films.csv``: the films of the labels
beside those of the frames, also those that are in one alone.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from semanticcmc.config import InputError
from semanticcmc.experiment import Experiment
from semanticcmc.films.files import movie_id_of
from semanticcmc.labels.grid import FilmLabels, made_from, merge_parts, sampling, write_part
from semanticcmc.labels.rekognition import SUFFIX, read_rekognition, rekognition_films
from semanticcmc.labels.stream import LabelsConfig, LabelStream, read_labels, write_labels
from semanticcmc.labels.tables import event_films, read_events, read_label_csv, table_columns
from semanticcmc.run import Progress, atomic

FORMATS = (
    "Rekognition's JSON (<film>.json, or a folder of pages a film), event tables with onset and duration, "
    "a CSV with movie_id, time_s (or start_s, stop_s) and label, or labels.parquet with label_times.parquet"
)
PARTS = "films"  # folder of the films imported so far; removed when they are merged


@dataclasses.dataclass(frozen=True)
class FilmSource:
    """One film's labels, not read yet.

    Attributes
    ----------
    movie_id : str
    files : tuple of Path
        What they are read from.
    read : callable
    """

    movie_id: str
    files: tuple[Path, ...]
    read: Callable[[], FilmLabels]


def film_sources(path: Path, config: LabelsConfig) -> list[FilmSource]:
    """Films in a folder or file of labels, whatever the format; sorted by `movie_id`.

    Raises
    ------
    InputError
        If nothing there is a format known, or the settings that it needs are not stated.
    """
    if not path.exists():
        raise InputError(f"labels.path {path}: no such file or folder")
    here = [path] if path.is_file() else sorted(p for p in path.iterdir() if p.name[0] != ".")
    tables = [p for p in here if p.suffix.lower() in (".csv", ".tsv")]
    readers: dict[str, tuple[tuple[Path, ...], Callable[[], FilmLabels]]] = {}
    if tables and "onset" in table_columns(tables[0]):
        if config.interval_s is None or not config.event_columns:
            raise InputError(
                f"{path}: event tables need labels.interval_s and labels.event_columns (there are "
                f"{', '.join(table_columns(tables[0]))}) in the experiment"
            )
        columns, interval_s = config.event_columns, config.interval_s
        for name, files in event_films(tables, config.join_runs).items():
            readers[name] = files, functools.partial(read_events, files, columns, interval_s)
    elif tables:
        if len(tables) > 1:
            raise InputError(f"{path}: {len(tables)} tables; name the one with all films' labels as labels.path")
        films = read_label_csv(tables[0], config.interval_s, config.least_confidence)
        for name in films:
            readers[name] = (tables[0],), functools.partial(films.__getitem__, name)
    elif any(p.is_dir() or SUFFIX.search(p.name) for p in here):
        for name, files in rekognition_films(path).items():
            readers[name] = (files, functools.partial(read_rekognition, files, config.parents, config.least_confidence))
    if not readers:
        raise InputError(f"labels.path {path}: no labels there; expected {FORMATS}")
    names: dict[str, str] = {}
    for name in readers:
        movie_id = movie_id_of(name)
        if movie_id in names:
            raise InputError(f"{path}: {names[movie_id]!r} and {name!r} are both film {movie_id!r}; rename one")
        names[movie_id] = name
    return [FilmSource(movie_id, *readers[names[movie_id]]) for movie_id in sorted(names)]


def import_labels(
    path: str | Path, folder: str | Path, config: LabelsConfig, durations_s: Mapping[str, float] | None = None
) -> None:
    """Write a label stream from labels in another format.

    One film is in memory at a time (but a CSV is read as a whole). A film that was imported before the
    process was killed is not imported again.

    Parameters
    ----------
    path : str or Path
        See the module.
    folder : str or Path
        Where ``labels.parquet`` and ``label_times.parquet`` go.
    config : LabelsConfig
    durations_s : mapping of str to float, optional
        Lengths of films, for sources that do not state them: label times then go on to the end.

    Raises
    ------
    InputError
        For labels that cannot be read, or lie on no regular grid of times.
    """
    path, folder = Path(path).expanduser(), Path(folder)
    if path.is_dir() and (path / "labels.parquet").exists():
        stream = read_labels(path)
        write_labels(folder, stream.labels[stream.labels["confidence"] >= config.least_confidence], stream.times)
        return
    sources = film_sources(path, config)
    progress = Progress("labels of films", len(sources), folder.parent / "progress")
    parts = folder / PARTS
    parts.mkdir(parents=True, exist_ok=True)
    empty: list[tuple[FilmSource, dict[str, Any], FilmLabels]] = []
    intervals = []
    for done, source in enumerate(sources):
        progress.update(done, source.movie_id)
        state, part = _state(source, config, durations_s), parts / f"{source.movie_id}.parquet"
        if part.exists() and (made := made_from(part))["state"] == state:
            intervals.append(made["times"]["interval_s"])
            continue
        film = source.read()
        if np.isnan(film.duration_s):
            film = dataclasses.replace(film, duration_s=(durations_s or {}).get(source.movie_id, np.nan))
        grid = sampling(film.looked_s, config.interval_s, film.where)
        if grid is None:
            empty.append((source, state, film))
            continue
        intervals.append(grid[1])
        write_part(part, film, source.movie_id, grid, state)
    for source, state, film in empty:
        if not intervals:
            raise InputError(
                f"{film.where}: too few labels to tell the time from one label set to the next; "
                "state labels.interval_s in the experiment"
            )
        grid = sampling(film.looked_s, float(np.median(intervals)), film.where) or (0.0, intervals[0])
        write_part(parts / f"{source.movie_id}.parquet", film, source.movie_id, grid, state)
    progress.update(len(sources))
    merge_parts([parts / f"{source.movie_id}.parquet" for source in sources], folder)
    shutil.rmtree(parts)


def _state(source: FilmSource, config: LabelsConfig, durations_s: Mapping[str, float] | None) -> dict[str, Any]:
    """What a film's part depends on: its files as they are now, and the settings."""
    files = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in source.files]
    settings = {key: value for key, value in dataclasses.asdict(config).items() if key != "path"}
    return json.loads(json.dumps([files, settings, (durations_s or {}).get(source.movie_id)]))


def films_with_labels(stream: LabelStream, films: pd.DataFrame) -> pd.DataFrame:
    """The films of the labels beside the films that there are.

    Parameters
    ----------
    stream : LabelStream
    films : DataFrame
        `movie_id, problem`: as of `probing.probe`.

    Returns
    -------
    DataFrame
        `movie_id, label_sets, labels, problem`, one row a film that is in either; `problem` is empty for films
        that are in both and can be used.
    """
    counts = pd.DataFrame({"labels": {movie_id: r.stop - r.start for movie_id, r in stream.rows.items()}}, dtype=int)
    counts["label_sets"] = stream.times.set_index("movie_id")["count"]
    problems = films.set_index("movie_id")["problem"]
    table = counts.reindex(sorted({*counts.index, *problems.index})).rename_axis("movie_id")
    table["problem"] = [
        "labels without a film"
        if movie_id not in problems.index
        else "a film without labels"
        if movie_id not in counts.index
        else problems[movie_id] and f"labels of a film that is left out: {problems[movie_id]}"
        for movie_id in table.index
    ]
    counted = ["label_sets", "labels"]
    table[counted] = table[counted].fillna(0).astype(int)
    return table.reset_index()[["movie_id", *counted, "problem"]]


def import_experiment(experiment: Experiment) -> pd.DataFrame:
    """Import the labels that an experiment names into its results, and say which films they are of.

    Returns
    -------
    DataFrame
        As of `films_with_labels`; written to ``labels/films.csv``.

    Raises
    ------
    InputError
        As `import_labels`; also if no film that can be used has labels.
    """
    config = experiment.section("labels", LabelsConfig)
    if config.path is None:
        raise InputError(f"{experiment.file}: labels.path is empty: give LABELS=<folder or file>")
    probed = experiment.folder / "frames" / "probe.csv"
    if not probed.exists():
        raise InputError(f"{probed}: no such file; the films are opened first (make poster)")
    films = pd.read_csv(
        probed, dtype={"movie_id": str, "problem": str}, keep_default_na=False, na_values={"duration_s": [""]}
    )
    lengths = films[np.isfinite(films["duration_s"])]
    folder = experiment.folder / "labels"
    import_labels(config.path, folder, config, dict(zip(lengths["movie_id"], lengths["duration_s"], strict=True)))
    table = films_with_labels(read_labels(folder), films)
    with atomic(folder / "films.csv") as temporary:
        table.to_csv(temporary, index=False)
    if (table["problem"] != "").all():
        first = "; ".join(f"{film.movie_id}: {film.problem}" for film in table.head(10).itertuples())
        raise InputError(
            f"{config.path}: no film that can be used has labels ({first}); "
            "labels belong to the film whose file has their name"
        )
    films_labelled, sets = (table["label_sets"] > 0).sum(), table["label_sets"].sum()
    print(f"{table['labels'].sum()} labels in {sets} label sets of {films_labelled} films", file=sys.stderr)
    for film in table[table["problem"] != ""].itertuples():
        print(f"NOT MATCHED: {film.movie_id}: {film.problem}", file=sys.stderr)
    return table
