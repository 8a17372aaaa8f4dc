"""How a film is called: its file's name made safe, the same for its pictures, its labels and its row in a list."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from semanticcmc.config import InputError


def movie_id_of(name: str) -> str:
    """A film's id from its file's name without suffix: ``Title (1994)`` gives ``Title_1994``.

    Letters and digits of any script, dot, dash and underscore stay; the id of an id is itself.
    """
    return re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", name)).strip("._-") or "film"


def name_of(path: str | Path) -> str:
    """A film's name: that of its file without suffix, or of its folder of pictures."""
    path = Path(path)
    return path.name if path.is_dir() else path.stem


def natural_parts(name: str) -> list[tuple[int, str]]:
    """A name's sorting key, as people count: ``a2b`` gives ``[(-1, "a"), (2, "b")]`` and comes before ``a10b``.

    Each number stands with the text that follows it.
    """
    parts = re.split(r"([0-9]+)", name)
    return [(-1, parts[0]), *((int(n), text) for n, text in zip(parts[1::2], parts[2::2], strict=True))]


def movie_ids_of(names: Iterable[str], where: str) -> dict[str, str]:
    """Ids by name, for names that must stay apart.

    Raises
    ------
    InputError
        If two names have one id.
    """
    ids: dict[str, str] = {}
    taken: dict[str, str] = {}
    for name in names:
        ids[name] = movie_id_of(name)
        if ids[name] in taken:
            raise InputError(f"{where}: {taken[ids[name]]!r} and {name!r} are both film {ids[name]!r}; rename one")
        taken[ids[name]] = name
    return ids
