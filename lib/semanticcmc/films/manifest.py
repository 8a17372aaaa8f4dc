"""The list of a study's films: what each is called, and the checksum that tells whether it is still the same file.

semanticcmc films FOLDER [--manifest data_manifests/films.csv]

Fills the list from a folder of films (``make films FILMS=<folder>``). What a person wrote (title, year, source) stays,
found by `movie_id` or, for a film that was renamed, by its checksum. An experiment that names the list
(`movies.manifest`) leaves out a film that is not on it or whose file has changed.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd

from semanticcmc.config import InputError
from semanticcmc.run import Progress, atomic, write_json

COLUMNS = ("movie_id", "title", "year", "sha256", "duration_s", "fps", "width", "height", "source")
WRITTEN = ("title", "year", "source")  # by a person; made up only where empty
BLOCK = 2**24  # bytes read at once


def sha256_of(path: Path, memory: Path, progress: Progress | None = None) -> str:
    """SHA-256 of a file, computed once and remembered by its size and time of change.

    Parameters
    ----------
    path : Path
    memory : Path
        Small JSON file that remembers it.
    progress : Progress, optional
        Told the MiB read.
    """
    state = path.stat()
    key = {"bytes": state.st_size, "changed_ns": state.st_mtime_ns}
    if memory.exists():
        known = json.loads(memory.read_text(encoding="utf-8"))
        if {name: known.get(name) for name in key} == key:
            return known["sha256"]
    digest = hashlib.sha256()
    with path.open("rb") as film:
        while block := film.read(BLOCK):
            digest.update(block)
            if progress:
                progress.update(film.tell() // 2**20)
    write_json(memory, {"sha256": digest.hexdigest(), **key})
    return digest.hexdigest()


def title_and_year(stem: str) -> tuple[str, str]:
    """Title and year of a film's file name: ``Forrest Gump (1994)``; without a year the name itself."""
    if match := re.match(r"(.*?)[\s._-]*[(\[]((?:18[89]|19\d|20\d)\d)[)\]]", stem):
        stem, year = match[1], match[2]
    else:
        year = ""
    return re.sub(r"[_\s]+", " ", stem if " " in stem else stem.replace(".", " ")).strip(), year


def read_manifest(path: Path) -> pd.DataFrame:
    """A list of films as text, nothing taken for a number or for missing; empty columns where it lacks one.

    Raises
    ------
    InputError
        If the file is no CSV in UTF-8 with a column `movie_id`, or lists a film twice.
    """
    try:
        rows = pd.read_csv(path, dtype=str, keep_default_na=False, comment=None, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not readable as a CSV table in UTF-8 ({error})") from error
    if "movie_id" not in rows:
        raise InputError(f"{path}: no column movie_id; expected {', '.join(COLUMNS)}")
    if rows["movie_id"].duplicated().any():
        raise InputError(f"{path}: film {rows['movie_id'][rows['movie_id'].duplicated()].iloc[0]!r} stands twice")
    return rows.reindex(columns=[*COLUMNS, *(c for c in rows if c not in COLUMNS)], fill_value="")


def fill_manifest(folder: Path, manifest: Path, memory: Path) -> list[str]:
    """Bring a list of films up to date with a folder.

    Parameters
    ----------
    folder : Path
        Searched with the folders below it, as an experiment's `movies.folder`.
    manifest : Path
        CSV; made if it is not there. Rows of films that are not in the folder stay as they are.
    memory : Path
        Folder that remembers checksums.

    Returns
    -------
    list of str
        What a person should know: films that are new, renamed, changed, not in the folder or not usable, and
        folders of pictures, which are never on the list.

    Raises
    ------
    InputError
        If the folder holds no film, or the list is no such table.
    """
    from semanticcmc.films.probe import probe  # here, since the check needs no PyAV

    films: dict[str, dict[str, Any]] = {film["movie_id"]: film for film in _records(probe(folder))}
    old = read_manifest(manifest) if manifest.exists() else pd.DataFrame(columns=list(COLUMNS), dtype=str)
    rows: dict[str, dict[str, Any]] = {row["movie_id"]: row for row in _records(old)}
    gone = {row["sha256"]: row for movie_id, row in rows.items() if movie_id not in films}
    said = []
    for movie_id, film in films.items():
        path = Path(film["path"])
        if path.is_dir():
            said.append(f"{movie_id}: a folder, which has no checksum and is not listed: {path}")
            continue
        try:
            progress = Progress(f"checksum of {movie_id}, MiB", max(1, path.stat().st_size // 2**20))
            sha256 = sha256_of(path, memory / f"{movie_id}.json", progress)
        except OSError as error:
            said.append(f"{movie_id}: cannot be read ({error.strerror}); its row is as it was")
            continue
        before = rows.get(movie_id, {})
        if not before and sha256 in gone:
            before = gone[sha256]
            said.append(f"{movie_id}: renamed, was {before['movie_id']}")
            rows.pop(before["movie_id"], None)
        elif not before:
            said.append(f"{movie_id}: new")
        elif before["sha256"] not in ("", sha256):
            said.append(f"{movie_id}: its file has CHANGED: was {before['sha256']}, is {sha256}")
        if film["problem"]:
            said.append(f"{movie_id}: cannot be used: {film['problem']}")
        title, year = title_and_year(path.stem)
        made = {"title": title, "year": year, "source": path.name}
        written = {name: before.get(name) or made[name] for name in WRITTEN}
        numbers = {name: _text(film[name]) for name in ("duration_s", "fps", "width", "height")}
        rows[movie_id] = {**before, "movie_id": movie_id, "sha256": sha256, **numbers, **written}
    said += [f"{movie_id}: not in {folder}" for movie_id in rows if movie_id not in films]
    table = pd.DataFrame([rows[movie_id] for movie_id in sorted(rows)], columns=list(old.columns))
    with atomic(manifest) as temporary:
        table.fillna("").to_csv(temporary, index=False)
    return said


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _text(number: float) -> str:
    """A number as short as exact to a thousandth; nothing for one that is not known."""
    return "" if pd.isna(number) else f"{number:.3f}".rstrip("0").rstrip(".")


def refuse_changed(path: Path, movie_id: str, manifest: Path, memory: Path) -> None:
    """Refuse a film that is not the one on the list.

    Parameters
    ----------
    path : Path
        The film's file.
    movie_id : str
    manifest : Path
        The list.
    memory : Path
        JSON file that remembers the film's checksum, as `sha256_of` has it.

    Raises
    ------
    InputError
        Names both checksums and the remedy.
    """
    listed = read_manifest(manifest).set_index("movie_id")["sha256"]
    remedy = f"look at the file; if it is the right one, bring {manifest} up to date: make films FILMS=<folder>"
    if not listed.get(movie_id):
        raise InputError(f"film {movie_id!r} has no checksum in the list of films; {remedy}")
    sha256 = sha256_of(path, memory)
    if sha256 != listed[movie_id].lower():
        raise InputError(f"its file has changed: sha256 {sha256}, on the list {listed[movie_id]}; {remedy}")
