"""Where a figure or table on a page comes from: links to the notebook that made it and to its data, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from papers.build.numbers import plain


def figure_source(described: Mapping[str, Any]) -> str:
    """Links and, for narrow windows, the caption of a figure from the JSON beside it.

    Parameters
    ----------
    described : mapping
        With ``figure``, ``notebook``, ``inputs``, and ``caption`` where there is one (`plots.style.save`).

    Returns
    -------
    str
        Markdown: a div ``.poster-source``, before it a div ``.poster-caption``; paths are relative to a
        folder beside ``figures/``.
    """
    paths = [str(entry["path"]) for entry in described.get("inputs", ())]
    tables = [path.removeprefix("tables/") for path in paths if path.startswith("tables/")]
    record = [f"[record](../figures/{described['figure']}.json)"] if described.get("figure") else []
    links = source(described.get("notebook"), tables, record)
    # the figure says it as well, in letters too small for a phone; the alternative text has it for other readers
    caption = described.get("caption")
    return f'::: {{.poster-caption aria-hidden="true"}}\n{plain(caption)}\n:::\n\n{links}' if caption else links


def source(notebook: str | None, tables: Sequence[str], more: Sequence[str] = ()) -> str:
    """Links to a notebook as executed and to tables, as a Markdown div ``.poster-source``."""
    links = [f"[notebook {notebook}](../notebooks/{notebook}.html)"] if notebook else []
    links += [f"[{plain(table)}](../tables/{table})" for table in tables]
    return f"::: {{.poster-source}}\n{' · '.join([*links, *more])}\n:::\n"
