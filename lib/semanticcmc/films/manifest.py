"""The list of a study's films, with a checksum of each, so that a changed file is noticed.

``semanticcmc films FOLDER`` (``make films FILMS=<folder>``) fills the list from a folder. What a person wrote (title,
year, source) stays, found by `movie_id` or, for a film that was renamed, by its checksum. An experiment that names the
list (`movies.manifest`) leaves out a film that is not on it or whose file has changed.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd

from semanticcmc.config import InputError, read_text_table
from semanticcmc.films.files import file_state
from semanticcmc.films.probe import SUFFIXES, probe
from semanticcmc.run import Progress, sha256, write_csv, write_json

COLUMNS = ("movie_id", "title", "year", "sha256", "duration_s", "fps", "width", "height", "source")
WRITTEN = ("title", "year", "source")  # by a person; made up only where empty


def remembered_sha256(path: Path, memory: Path) -> str:
    """SHA-256 of a file, computed once: `memory`, a JSON file, keeps it with the file's size and time of change."""
    state = file_state(path)
    if memory.exists():
        known = json.loads(memory.read_text(encoding="utf-8"))
        if state.items() <= known.items():
            return known["sha256"]
    digest = sha256(path)
    write_json(memory, {"sha256": digest, **state})
    return digest


def title_and_year(stem: str) -> tuple[str, str]:
    """Title and year of a film's file name: ``Forrest Gump (1994)``; without a year the name itself."""
    match = re.match(r"(.*?)[\s._-]*[(\[]((?:18[89]|19\d|20\d)\d)[)\]]", stem)
    stem, year = match.groups() if match else (stem, "")
    return re.sub(r"[_\s]+", " ", stem if " " in stem else stem.replace(".", " ")).strip(), year


def read_manifest(path: Path) -> pd.DataFrame:
    """A list of films as text (`config.read_text_table`), one row a film; columns that it lacks are empty."""
    rows = read_text_table(path, ["movie_id"], "movie_id", remarks=False)  # a title may begin with #
    return rows.reindex(columns=[*COLUMNS, *(c for c in rows if c not in COLUMNS)], fill_value="")


def fill_manifest(folder: Path, manifest: Path, memory: Path) -> list[str]:
    """Bring a list of films up to date with a folder; returns messages on films that are new, renamed or changed.

    There are messages also on films that are not in the folder or cannot be used, and on folders of pictures, which are
    never on the list. `folder` is searched with all folders below it. `manifest` is a CSV, made if it is not there;
    rows of films that are not in the folder stay as they are. The folder `memory` keeps checksums. Raises InputError if
    the folder holds no film, or the list is no such table.
    """
    films = _by_movie_id(probe(folder))
    old = read_manifest(manifest) if manifest.exists() else pd.DataFrame(columns=list(COLUMNS), dtype=str)
    rows = _by_movie_id(old)
    gone = {row["sha256"]: movie_id for movie_id, row in rows.items() if movie_id not in films}
    messages, progress = [], Progress("checksums of films", len(films))
    for done, (movie_id, film) in enumerate(films.items()):
        path = Path(film["path"])
        progress.update(done, path.name)
        if path.suffix.lower() not in SUFFIXES.split() or not path.is_file():
            why = (
                "a folder, which has no checksum" if path.is_dir() else f"no film that can be used ({film['problem']})"
            )
            messages.append(f"{movie_id}: {why} and is not listed: {path}")
            continue
        try:
            sha256 = remembered_sha256(path, memory / f"{movie_id}.json")
        except OSError as error:
            messages.append(f"{movie_id}: cannot be read ({error.strerror}); its row stays as it was")
            continue
        before = rows.get(movie_id, {})
        if not before and sha256 in gone:
            messages.append(f"{movie_id}: renamed, was {gone[sha256]}")
            before = rows.pop(gone.pop(sha256))
        elif not before:
            messages.append(f"{movie_id}: new")
        elif before["sha256"] not in ("", sha256):
            messages.append(f"{movie_id}: its file has CHANGED: was {before['sha256']}, is {sha256}")
        if film["problem"]:
            messages.append(f"{movie_id}: cannot be used: {film['problem']}")
        made = zip(WRITTEN, (*title_and_year(path.stem), path.name), strict=True)
        written = {name: before.get(name) or value for name, value in made}
        measured = {name: film[name] for name in ("duration_s", "fps", "width", "height")}
        numbers = {name: "" if pd.isna(n) else f"{n:.3f}".rstrip("0").rstrip(".") for name, n in measured.items()}
        rows[movie_id] = {**before, "sha256": sha256, **numbers, **written}
    progress.update(len(films))
    messages += [f"{movie_id}: not in {folder}" for movie_id in rows if movie_id not in films]
    table = pd.DataFrame([{"movie_id": movie_id, **rows[movie_id]} for movie_id in sorted(rows)], columns=old.columns)
    write_csv(manifest, table.fillna(""))
    return messages


def _by_movie_id(table: pd.DataFrame) -> dict[Any, dict[Any, Any]]:
    return table.set_index("movie_id").to_dict("index")


def refuse_changed(path: Path, movie_id: str, manifest: Path, memory: Path) -> None:
    """Refuse a film whose file is not the one on the list; `memory` as for `remembered_sha256`.

    An InputError names both checksums and the remedy.
    """
    listed = read_manifest(manifest).set_index("movie_id")["sha256"]
    remedy = f"look at the file; if it is the right one, bring {manifest} up to date: make films FILMS=<folder>"
    if not listed.get(movie_id):
        raise InputError(f"film {movie_id!r} has no checksum in the list of films; {remedy}")
    sha256 = remembered_sha256(path, memory)
    if sha256 != listed[movie_id].lower():
        raise InputError(f"its file has changed: sha256 {sha256}, on the list {listed[movie_id]}; {remedy}")
