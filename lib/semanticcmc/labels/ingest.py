"""Labels from other formats to the label stream of an experiment: film by film, then merged in order.

The source that `labels.path` names is one of these, known by its content:

- Amazon Rekognition's JSON (`rekognition`): ``<film>.json``, or a folder of pages a film;
- event tables (`tables`) with the columns `onset` and `duration`;
- one CSV with the columns `movie_id, time_s, label` or `movie_id, start_s, stop_s, label`;
- words (`utterances`): narrations, SubRip, WebVTT or tables of timed text, a file a film;
- a folder with ``labels.parquet`` and ``label_times.parquet``.

``semanticcmc labels`` writes ``labels/labels.parquet``, ``labels/label_times.parquet`` and ``labels/films.csv``: the
films of the labels and of the frames, also those that are in one of the two alone. Of words also what `words` writes.
Where there are labels alone, films last as long as ``films.csv`` beside them says (`movie_id, duration_s`), if there is
one, else to the end of their labels.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from semanticcmc.config import InputError, read_text_table, table_head
from semanticcmc.experiment import Experiment
from semanticcmc.films.files import file_state, movie_id_of
from semanticcmc.films.probe import read_probe
from semanticcmc.labels.grid import FilmLabels, made_from, merge_parts, refuse_beyond, sampling, unsure, write_part
from semanticcmc.labels.nouns import DECIDED
from semanticcmc.labels.rekognition import SUFFIX, read_rekognition, rekognition_films
from semanticcmc.labels.stream import LabelsConfig, LabelStream, read_labels, write_labels
from semanticcmc.labels.tables import event_films, read_events, read_label_csv
from semanticcmc.labels.utterances import is_of_words
from semanticcmc.labels.words import SPOKEN, read_words
from semanticcmc.run import Progress, listed, write_csv

FORMATS = (
    "Rekognition's JSON (<film>.json, or a folder of pages a film), event tables with onset and duration, "
    "a CSV with movie_id, time_s (or start_s, stop_s) and label, words (.txt of h:m:s|h:m:s|sentence, .srt, .vtt, or "
    "a CSV a film with start, end and text), or labels.parquet with label_times.parquet"
)
DURATIONS = "films.csv"  # beside labels alone: how long their films last
PARTS = "films"  # folder of the films imported so far; removed when they are merged


class FilmSource(NamedTuple):
    """One film's labels, not read yet, and the files that they are read from."""

    movie_id: str
    files: tuple[Path, ...]
    read: Callable[[], FilmLabels]


def film_sources(path: Path, config: LabelsConfig, folder: Path | None = None) -> list[FilmSource]:
    """Films in a folder or file of labels in any format, sorted by `movie_id`; `folder` is that of `words.read_words`.

    Raises InputError if nothing there has a known format, or settings that it needs are not stated.
    """
    if not (path.is_file() or path.is_dir()):
        raise InputError(f"labels.path {path}: no such file or folder")
    here = [path] if path.is_file() else sorted(p for p in path.iterdir() if p.name[0] != ".")
    here = [p for p in here if path.is_file() or p.name != DURATIONS]
    tables = [p for p in here if p.suffix.lower() in (".csv", ".tsv")]
    words = [p for p in here if p.is_file() and is_of_words(p) and not (p in tables and config.event_columns)]
    readers: dict[str, tuple[tuple[Path, ...], Callable[[], FilmLabels]]] = {}
    if words:
        if len({p.stem for p in words}) < len(words) or set(tables) - set(words):
            expected = "one file a film expected, and no table without start, end and text; rename or remove one"
            raise InputError(f"{path}: {listed([p.name for p in [*words, *tables]])}: {expected}")
        said = functools.cache(functools.partial(read_words, {movie_id_of(p.stem): p for p in words}, config, folder))
        if folder is not None:  # for words.csv, also where all films were imported before the process was killed
            said()
        for p in words:
            files = (p, *filter(None, [config.nouns]))
            readers[p.stem] = files, functools.partial(lambda name: said()[name], movie_id_of(p.stem))
    elif tables and "onset" in (columns := table_head(tables[0])[2]):
        if config.interval_s is None or not config.event_columns:
            there = f"(there are {', '.join(columns)}) in the experiment"
            raise InputError(f"{path}: event tables need labels.interval_s and labels.event_columns {there}")
        for name, files in event_films(tables, config.join_runs).items():
            readers[name] = files, functools.partial(read_events, files, config.event_columns, config.interval_s)
    elif tables:
        if len(tables) > 1:
            raise InputError(f"{path}: {len(tables)} tables; name the one with all films' labels as labels.path")
        films = read_label_csv(tables[0], config.interval_s)
        for name in films:
            readers[name] = (tables[0],), functools.partial(films.__getitem__, name)
    elif any(p.is_dir() or SUFFIX.search(p.name) for p in here):
        for name, files in rekognition_films(path).items():
            readers[name] = files, functools.partial(read_rekognition, files, config.parents)
    if not readers:
        raise InputError(f"labels.path {path}: no labels there; expected {FORMATS}")
    read = {file for files, _ in readers.values() for file in files}
    if folder is not None and (others := [p.name for p in here if p.is_file() and p not in read]):
        print(f"NOT READ: {listed(others)}: beside labels in another format", file=sys.stderr)
    names: dict[str, str] = {}
    for name in readers:
        movie_id = movie_id_of(name)
        if movie_id in names:
            raise InputError(f"{path}: {names[movie_id]!r} and {name!r} are both film {movie_id!r}; rename one")
        names[movie_id] = name
    return [FilmSource(movie_id, *readers[names[movie_id]]) for movie_id in sorted(names)]


def import_labels(
    path: str | Path, folder: str | Path, config: LabelsConfig, durations_s: Mapping[str, float] | None = None
) -> dict[str, str]:
    """Write a label stream, ``labels.parquet`` and ``label_times.parquet``, to a folder, from labels as of the module.

    A film that was imported before the process was killed is not imported again. Raises InputError for labels that
    cannot be read, are on no regular grid of times, or go on after their film. Returned is a dict: by `movie_id`, what
    may be wrong with labels that were read (`FilmLabels.problem`). With `durations_s`, lengths of films, label times go
    on to the end, and labels beyond it are refused.
    """
    path, folder, durations_s = Path(path).expanduser(), Path(folder), durations_s or {}
    for name in (DECIDED, SPOKEN):  # of words imported before
        (folder / name).unlink(missing_ok=True)
    if path.is_dir() and (path / "labels.parquet").exists():
        stream, problems = read_labels(path), dict[str, str]()
        all_confidence = stream.labels["confidence"].to_numpy()
        for movie_id, rows in stream.rows.items():
            where = f"{path}, film {movie_id}"
            refuse_beyond(stream.time_s(movie_id).max(initial=0.0), durations_s.get(movie_id, np.nan), where)
            problems[movie_id] = unsure(all_confidence[rows], config.least_confidence, where)
        write_labels(folder, stream.labels[all_confidence >= config.least_confidence], stream.times)
        return problems
    sources = film_sources(path, config, folder)
    progress = Progress("labels of films", len(sources), folder.parent / "progress")
    parts = folder / PARTS
    parts.mkdir(parents=True, exist_ok=True)
    settings = {key: value for key, value in dataclasses.asdict(config).items() if key not in ("path", "nouns")}
    unsampled, intervals = [], []
    for done, source in enumerate(sources):
        progress.update(done, source.movie_id)
        part, duration_s = parts / f"{source.movie_id}.parquet", durations_s.get(source.movie_id)
        files = [(str(file), *file_state(file).values()) for file in source.files]
        state = json.loads(json.dumps([files, settings, duration_s]))  # what the film's part depends on
        if part.exists() and (made := made_from(part))["state"] == state:
            intervals.append(made["times"]["interval_s"])
            continue
        film = source.read().confident(config.least_confidence)
        if duration_s is not None:
            film = film.lasting(duration_s)
        grid = sampling(film.sampled_s, config.interval_s, film.where)
        if grid is None:
            unsampled.append((part, film, state))
            continue
        intervals.append(grid[1])
        write_part(part, film, grid, state)
    for part, film, state in unsampled:
        if not intervals:
            raise InputError(
                f"{film.where}: too few labels to tell the time from one label set to the next; "
                "state labels.interval_s in the experiment"
            )
        grid = sampling(film.sampled_s, float(np.median(intervals)), film.where) or (0.0, intervals[0])
        write_part(part, film, grid, state)
    progress.update(len(sources))
    imported = [parts / f"{source.movie_id}.parquet" for source in sources]
    merge_parts(imported, folder)
    problems = {part.stem: made_from(part).get("problem", "") for part in imported}
    shutil.rmtree(parts)
    return problems


def films_with_labels(stream: LabelStream, films: pd.DataFrame, problems: Mapping[str, str]) -> pd.DataFrame:
    """Match the films of the labels, with the `problems` that `import_labels` found, with those of `read_probe`.

    `movie_id, label_sets, labels, problem`, one row a film that is in either; `problem` is empty for films that are in
    both and can be used.
    """
    counts = stream.times[["movie_id"]].assign(
        label_sets=stream.times["count"], labels=[rows.stop - rows.start for rows in stream.rows.values()]
    )
    table = counts.merge(films, "outer", "movie_id", indicator="found")
    left_out = "labels of a film that is left out: " + table["problem"]
    table["problem"] = left_out.where(table["problem"] != "", table["movie_id"].map(problems).fillna(""))
    pictures = table["duration_s"] * table["fps"]
    many = (table["label_sets"] > 1 + 1.01 * pictures) & (table["problem"] == "")
    words = "more label sets than its {:.0f} pictures: state a longer labels.interval_s, or correct the times"
    table.loc[many, "problem"] = pictures[many].map(words.format)
    table.loc[table["found"] == "left_only", "problem"] = "labels without a film"
    table.loc[table["found"] == "right_only", "problem"] = "a film without labels"
    table = table.fillna({"label_sets": 0, "labels": 0}).astype({"label_sets": int, "labels": int})
    return table[["movie_id", "label_sets", "labels", "problem"]]


def stated_durations(path: Path) -> pd.DataFrame | None:
    """Films that labels alone come with, in the form of `read_probe`, from `DURATIONS` beside them; None without it."""
    file = path.expanduser() / DURATIONS
    if not file.is_file():
        return None
    films = read_text_table(file, ("movie_id", "duration_s"), "movie_id")[["movie_id", "duration_s"]]
    duration_s = pd.to_numeric(films["duration_s"], errors="coerce")
    if len(wrong := films[~((duration_s > 0) & np.isfinite(duration_s))]):
        movie_id, found = wrong.iloc[0]
        raise InputError(f"{file}: film {movie_id!r}: duration_s {found!r}; seconds above 0 expected")
    return films.assign(movie_id=films["movie_id"].map(movie_id_of), duration_s=duration_s, fps=np.nan, problem="")


def import_experiment(experiment: Experiment) -> pd.DataFrame:
    """Import an experiment's labels into its results, and match them with its films.

    Returned is the table of `films_with_labels`, written to ``labels/films.csv``. Raises as `import_labels`; also if no
    film that can be used has labels.
    """
    config = experiment.section("labels", LabelsConfig)
    if config.path is None:
        raise InputError(f"{experiment.file}: labels.path is empty: give LABELS=<folder or file>")
    films = read_probe(experiment) if experiment.source == "films" else stated_durations(config.path)
    folder, durations_s = experiment.folder / "labels", dict[str, float]()
    if films is not None:
        lengths = films[np.isfinite(films["duration_s"])]
        durations_s = dict(zip(lengths["movie_id"], lengths["duration_s"], strict=True))
    problems = import_labels(config.path, folder, config, durations_s)
    stream = read_labels(folder)
    if films is None:
        films = stream.times[["movie_id"]].assign(duration_s=np.nan, fps=np.nan, problem="")
    table = films_with_labels(stream, films, problems)
    write_csv(folder / "films.csv", table)
    if (table["problem"] != "").all():
        first = "; ".join(f"{film.movie_id}: {film.problem}" for film in table.head(10).itertuples())
        remedy = "labels are matched with films by the name of the film's file"
        raise InputError(f"{config.path}: no film that can be used has labels ({first}); {remedy}")
    films_labelled, sets = (table["label_sets"] > 0).sum(), table["label_sets"].sum()
    print(f"{table['labels'].sum()} labels in {sets} label sets of {films_labelled} films", file=sys.stderr)
    for film in table[table["problem"] != ""].itertuples():
        print(f"NOT MATCHED: {film.movie_id}: {film.problem}", file=sys.stderr)
    return table
