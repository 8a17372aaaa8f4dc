"""Tables in Markdown that Quarto and pandoc set alike."""

from __future__ import annotations

from collections.abc import Sequence


def table(name: str, heads: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> str:
    """Give a Markdown table in a frame that scrolls sideways where the page is too narrow for it.

    Parameters
    ----------
    name : str
        What the frame is called by a screen reader.
    heads : sequence of str
    rows : sequence of sequence of str
        Cells are Markdown; as many as heads.
    words : int
        Number of leading columns that hold words, set to the left; the others, numbers, are set to the right
        and not broken.
    """
    body = [[cell.replace(" ", "\u00a0") if i >= words else cell for i, cell in enumerate(row)] for row in rows]
    lines = [f"| {' | '.join(cells)} |" for cells in (heads, *body)]
    lines.insert(1, f"|{'|'.join(':---' if i < words else '---:' for i in range(len(heads)))}|")
    return framed(name, "\n".join(lines))


def framed(name: str, text: str) -> str:
    """Put a Markdown table into the frame that `table` describes."""
    return f'::: {{.table-scroll tabindex="0" role="region" aria-label="{name}"}}\n{text.rstrip()}\n:::\n'
