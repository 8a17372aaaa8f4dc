"""Amazon Rekognition Video: the pages of GetLabelDetection's responses to the labels of a film.

A page is one response, as the service or `aws rekognition get-label-detection` gives it: ``JobStatus``,
``VideoMetadata``, ``Labels`` (each a ``Timestamp`` in ms and a ``Label`` with ``Name``, ``Confidence`` and
``Parents``) and, on all but the last page, ``NextToken``. What scripts save of it is read too: the labels alone, in one
list or one a page, or pages without ``JobStatus``, ``VideoMetadata`` and ``NextToken`` in one list.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from semanticcmc.config import InputError
from semanticcmc.labels.grid import FilmLabels

SUFFIX = re.compile(r"\.json(\.gz)?$", re.IGNORECASE)
TEXT = re.compile("[^\ud800-\udfff]+")  # no half of a character


def rekognition_films(path: Path) -> dict[str, tuple[Path, ...]]:
    """Files of each film in a folder (or one file): ``<film>.json[.gz]``, or the pages in a folder ``<film>/``."""
    films: dict[str, tuple[Path, ...]] = {}
    for entry in [path] if path.is_file() else sorted(path.iterdir()):
        inside = sorted(entry.iterdir()) if entry.is_dir() else [entry]
        files = tuple(file for file in inside if SUFFIX.search(file.name) and file.name[0] != ".")
        if not files or entry.name.startswith("."):
            continue
        name = SUFFIX.sub("", entry.name)
        if name in films:
            raise InputError(f"{path}: both {films[name][0]} and {files[0]} are film {name!r}; remove one")
        films[name] = files
    return films


def read_rekognition(files: Sequence[Path], parents: bool) -> FilmLabels:
    """Labels of one film from its pages, in any order.

    Each file holds one page, a list of pages, or a list of labels. `parents` says whether the parents of a label count
    as labels too, with its confidence. Raises InputError for a file that is no page, a job that did not succeed, pages
    that are not one complete job (exactly one page has no ``NextToken``, and no two have the same), labels given by
    segments.
    """
    codes: dict[str, int] = {}
    labels = []
    tokens: dict[str | None, Path] = {}
    metadata: dict[str, Any] = {}
    for file in files:
        for page in _pages(file):
            token = page.get("NextToken") or None
            if token in tokens and (token is not None or tokens[token] != file or "JobStatus" in page):
                same = "are both the last of their job" if token is None else "are the same page"
                raise InputError(
                    f"{tokens[token]} and {file}: pages that {same}; keep the pages of one job alone, each once"
                )
            tokens[token] = file
            video = {key: page.get("VideoMetadata", {}).get(key) for key in ("DurationMillis", "FrameRate")}
            if metadata and video != metadata:
                raise InputError(f"{file}: a page of another film than {files[0]}: {video}, not {metadata}")
            metadata = video
            labels.append(_labels(page["Labels"], file, codes, parents))
    if None not in tokens:
        raise InputError(
            f"{files[-1]}: the film's last page is missing (every page has a NextToken); get the "
            "other pages too; all pages of a film belong into one folder, named as the film"
        )
    stamp_ms, code, confidence = (np.concatenate(parts) for parts in zip(*labels, strict=True))
    label = np.array(list(codes), dtype=object)[code]
    duration_s, duration_ms = np.nan, metadata["DurationMillis"]
    if duration_ms is not None:
        if type(duration_ms) not in (int, float) or not 0 < duration_ms < np.inf:
            raise InputError(f"{files[0]}: DurationMillis {duration_ms!r}; a number above 0, of milliseconds, expected")
        duration_s = duration_ms / 1000
    where = str(files[0] if len(files) == 1 else files[0].parent)
    return FilmLabels(stamp_ms / 1000, label, confidence, duration_s, np.unique(stamp_ms) / 1000, where)


def _pages(file: Path) -> list[dict[str, Any]]:
    """The pages in one file, each checked to be of no unfinished job and to have what a page must have."""
    try:
        if not file.is_file():  # a named pipe would be waited for without end
            raise OSError("no regular file")
        content = gzip.decompress(file.read_bytes()) if file.suffix.lower() == ".gz" else file.read_bytes()
        pages = json.loads(content)
    except (OSError, EOFError, ValueError, RecursionError) as error:  # JSON and Unicode errors are ValueErrors
        raise InputError(f"{file}: not readable as JSON ({error}); get this response again") from error
    pages = pages if isinstance(pages, list) else [pages]
    if all(isinstance(page, list) for page in pages):  # the labels of each page
        pages = [label for page in pages for label in page]
    if pages and all(isinstance(page, dict) and "Label" in page for page in pages):
        pages = [{"Labels": pages}]
    if not pages or not all(isinstance(page, dict) and {"JobStatus", "Labels"} & set(page) for page in pages):
        raise InputError(
            f"{file}: no response of Rekognition's GetLabelDetection: JobStatus, VideoMetadata and Labels expected, "
            "or a list of labels, each with Timestamp and Label"
        )
    for page in pages:
        if page.get("JobStatus", "SUCCEEDED") != "SUCCEEDED":
            why = f" ({page['StatusMessage']})" if page.get("StatusMessage") else ""
            raise InputError(f"{file}: JobStatus {page['JobStatus']}{why}: get the labels once the job has SUCCEEDED")
        video = page.get("VideoMetadata", None if "JobStatus" in page else {})
        if not isinstance(page.get("Labels"), list) or not isinstance(video, dict):
            raise InputError(f"{file}: a page without Labels or VideoMetadata; get this response again")
        by = (page.get("GetRequestMetadata") or {}).get("AggregateBy", "TIMESTAMPS")
        first = page["Labels"][0] if page["Labels"] else None
        if by != "TIMESTAMPS" or (isinstance(first, dict) and "StartTimestampMillis" in first):
            again = "get them again by time (AggregateBy=TIMESTAMPS; the job need not run again)"
            raise InputError(f"{file}: labels by segments; {again}")
    return pages


def _labels(
    entries: list[dict[str, Any]], file: Path, codes: dict[str, int], parents: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stamps (ms), codes of names (entered into `codes`) and confidences of a page's labels."""
    try:
        rows = [(entry["Timestamp"], entry["Label"]["Name"], entry["Label"]["Confidence"]) for entry in entries]
        if parents:
            rows += [
                (entry["Timestamp"], parent["Name"], entry["Label"]["Confidence"])
                for entry in entries
                for parent in entry["Label"].get("Parents") or ()
            ]
        code = [codes.setdefault(name, len(codes)) for _, name, _ in rows]
        stamp = np.array([row[0] for row in rows], dtype=np.float64)
        confidence = np.array([row[2] for row in rows], dtype=np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{file}: a label without Timestamp, Name or Confidence ({error!r}); get this response again"
        ) from error
    if bad := [name for name in codes if not isinstance(name, str) or not TEXT.fullmatch(name)]:
        raise InputError(f"{file}: a label named {bad[0]!r}; text expected")
    return stamp, np.array(code, dtype=np.int64), confidence
