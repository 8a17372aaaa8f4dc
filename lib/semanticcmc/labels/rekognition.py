"""Amazon Rekognition Video: the pages of GetLabelDetection's responses to the labels of a film.

A page is one response, as the service or `aws rekognition get-label-detection` gives it: ``JobStatus``,
``VideoMetadata``, ``Labels`` (each a ``Timestamp`` in ms and a ``Label`` with ``Name``, ``Confidence`` and
``Parents``) and, on all but the last page, ``NextToken``.
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


def rekognition_films(path: Path) -> dict[str, tuple[Path, ...]]:
    """Files of each film: ``<film>.json``, or the pages in a folder ``<film>/``; ``.json.gz`` as well.

    Parameters
    ----------
    path : Path
        One such file, or the folder that holds them.
    """
    if path.is_file():
        return {SUFFIX.sub("", path.name): (path,)}
    films: dict[str, tuple[Path, ...]] = {}
    for entry in sorted(path.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            files = tuple(sorted(f for f in entry.iterdir() if SUFFIX.search(f.name) and f.name[0] != "."))
        else:
            files = (entry,) if SUFFIX.search(entry.name) else ()
        name = SUFFIX.sub("", entry.name)
        if files and name in films:
            raise InputError(f"{path}: both {films[name][0]} and {files[0]} are film {name!r}; remove one")
        if files:
            films[name] = files
    return films


def read_rekognition(files: Sequence[Path], parents: bool, least_confidence: float) -> FilmLabels:
    """Labels of one film from its pages, in any order.

    Parameters
    ----------
    files : sequence of Path
        Each holds one page, or a list of pages.
    parents : bool
        Whether the parents of a label count as labels too, as sure as it is.
    least_confidence : float
        Labels less sure are left out; their times are still times at which Rekognition looked.

    Raises
    ------
    InputError
        For a file that is no page, a job that did not succeed, pages that are not one whole job
        (exactly one page has no ``NextToken``, and no two have the same), labels given by segments.
    """
    codes: dict[str, int] = {}
    stamps, names, confidences = [], [], []
    tokens: dict[str | None, Path] = {}
    metadata: dict[str, Any] | None = None
    for file in files:
        for page in _pages(file):
            _check_job(page, file)
            token = page.get("NextToken") or None
            if token in tokens:
                same = "are both the last of their job" if token is None else "are the same page"
                raise InputError(
                    f"{tokens[token]} and {file}: pages that {same}; keep the pages of one job alone, each once"
                )
            tokens[token] = file
            video = {key: page["VideoMetadata"].get(key) for key in ("DurationMillis", "FrameRate")}
            if metadata is not None and video != metadata:
                raise InputError(f"{file}: a page of another film than {files[0]}: {video}, not {metadata}")
            metadata = video
            stamp, name, confidence = _labels(page["Labels"], file, codes, parents)
            stamps.append(stamp)
            names.append(name)
            confidences.append(confidence)
    if None not in tokens:
        raise InputError(
            f"{files[-1]}: the film's last page is missing (every page has a NextToken); get the "
            "other pages too; all pages of a film lie in one folder, named as the film"
        )
    stamp_ms, code, confidence = (np.concatenate(parts) for parts in (stamps, names, confidences))
    duration_ms = (metadata or {}).get("DurationMillis")
    whole = FilmLabels(
        stamp_ms / 1000,
        np.array(list(codes), dtype=object)[code],
        confidence,
        float("nan") if duration_ms is None else duration_ms / 1000,
        np.unique(stamp_ms) / 1000,
        str(files[0] if len(files) == 1 else files[0].parent),
    )
    kept = confidence >= least_confidence
    return FilmLabels(
        whole.time_s[kept], whole.label[kept], confidence[kept], whole.duration_s, whole.looked_s, whole.where
    )


def _pages(file: Path) -> list[dict[str, Any]]:
    """The pages in one file."""
    try:
        content = gzip.decompress(file.read_bytes()) if file.suffix.lower() == ".gz" else file.read_bytes()
        pages = json.loads(content)
    except (OSError, EOFError, ValueError) as error:  # JSON and Unicode errors are ValueErrors
        raise InputError(f"{file}: not readable as JSON ({error}); get this response again") from error
    pages = pages if isinstance(pages, list) else [pages]
    if not pages or not all(isinstance(page, dict) and "JobStatus" in page for page in pages):
        raise InputError(
            f"{file}: no response of Rekognition's GetLabelDetection: JobStatus, VideoMetadata and Labels expected"
        )
    return pages


def _check_job(page: dict[str, Any], file: Path) -> None:
    """Refuse a page of a job that failed or goes on, or without what a page must have."""
    if page["JobStatus"] != "SUCCEEDED":
        why = f" ({page['StatusMessage']})" if page.get("StatusMessage") else ""
        raise InputError(f"{file}: JobStatus {page['JobStatus']}{why}: get the labels once the job has SUCCEEDED")
    if not isinstance(page.get("Labels"), list) or not isinstance(page.get("VideoMetadata"), dict):
        raise InputError(f"{file}: a page without Labels or VideoMetadata; get this response again")
    by = (page.get("GetRequestMetadata") or {}).get("AggregateBy", "TIMESTAMPS")
    if by != "TIMESTAMPS" or (page["Labels"] and "Timestamp" not in page["Labels"][0]):
        raise InputError(
            f"{file}: labels by segments; get them again by time (AggregateBy=TIMESTAMPS; the job need not run again)"
        )


def _labels(
    entries: list[dict[str, Any]], file: Path, codes: dict[str, int], parents: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stamps (ms), codes of names (entered into `codes`) and confidences of a page's labels."""
    try:
        labels = [entry["Label"] for entry in entries]
        rows = [
            (entry["Timestamp"], label["Name"], label["Confidence"])
            for entry, label in zip(entries, labels, strict=True)
        ]
        if parents:
            rows += [
                (entry["Timestamp"], parent["Name"], label["Confidence"])
                for entry, label in zip(entries, labels, strict=True)
                for parent in label.get("Parents") or ()
            ]
        code = [codes.setdefault(name, len(codes)) for _, name, _ in rows]
        stamp = np.array([row[0] for row in rows], dtype=np.float64)
        confidence = np.array([row[2] for row in rows], dtype=np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{file}: a label without Timestamp, Name or Confidence ({error!r}); get this response again"
        ) from error
    if bad := [name for name in codes if not isinstance(name, str) or not name]:
        raise InputError(f"{file}: a label named {bad[0]!r}; text expected")
    return stamp, np.array(code, dtype=np.int64), confidence
