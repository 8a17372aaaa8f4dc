"""How a film is called: its file's name made safe, the same for its pictures, its labels and its row in a list."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from semanticcmc.configuration import InputError


def movie_id_of(name: str) -> str:
    """A film's id from its file's name without suffix: ``Title (1994)`` gives ``Title_1994``.

    Letters and digits of any script, dot, dash and underscore stay; the id of an id is itself.
    """
    return re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", name)).strip("._-") or "film"


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
            raise InputError(
                f"{where}: {taken[ids[name]]!r} and {name!r} are both film {ids[name]!r}; rename one"
            )
        taken[ids[name]] = name
    return ids
