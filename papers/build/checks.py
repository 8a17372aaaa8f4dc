"""What a rendered site must not have: unresolved marks, missing files, anything from elsewhere, pictures without text.

Quarto exits 0 after all of these; this is its post-render step.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from semanticcmc.config import InputError

TROUBLE = re.compile(r"\[WARNING\]|WARNING \(|ERROR|WARN:|warning:|\?var:")
"""Lines of Quarto's log, Typst's in it, after which a page is not as meant, although Quarto exits 0."""

UNRESOLVED = re.compile(
    r"\{\{<[^<>]*>\}\}|\?var:[\w.-]+|\?meta:[\w.-]+|\?@[\w-]+|(?<![\w.@])@(?:fig|tbl|sec|eq)-[\w-]+"
)
"""Marks that Quarto leaves in a page where it found nothing to put there."""

_LOADING_LINKS = {"stylesheet", "icon", "preload", "modulepreload", "shortcut"}
_SKIPPED_TEXT = {"script", "style", "code", "pre"}
_CSS_ADDRESS = re.compile(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')\s]+)""")


class _Page(HTMLParser):
    """References, pictures and text of one page."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.without_text: list[str] = []
        self.ids: set[str] = set()
        self.text: list[str] = []
        self.code: list[str] = []
        self._within: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids.update(given[name] for name in ("id", "name") if name in given)
        if tag in _SKIPPED_TEXT:
            self._within.append(tag)
        decorative = given.get("aria-hidden") == "true" or given.get("role") in ("presentation", "none")
        if tag == "img" and not given.get("alt", "").strip() and not decorative:
            self.without_text.append(given.get("src", "")[:80])
        if tag == "link" and _LOADING_LINKS & set(given.get("rel", "").split()):
            self.loaded.append(given.get("href", ""))
        elif tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif "src" in given:
            self.loaded.append(given["src"])

    def handle_endtag(self, tag: str) -> None:
        if self._within and self._within[-1] == tag:
            self._within.pop()

    def handle_data(self, data: str) -> None:
        (self.code if self._within else self.text).append(data)


def check_page(page: Path, root: Path) -> list[str]:
    """What is wrong with one HTML page of the site in the folder `root`, in words; nothing for a good one."""
    found = _Page(page)
    problems = [f"unresolved {mark}" for mark in dict.fromkeys(UNRESOLVED.findall(" ".join(found.text)))]
    problems += [f"a picture without text (alt): {source}" for source in found.without_text]
    for address in dict.fromkeys(found.loaded):
        if urlsplit(address).scheme in ("http", "https") or address.startswith("//"):
            problems.append(f"loads {address} from elsewhere")
    for address in dict.fromkeys([*found.loaded, *found.links]):
        parts = urlsplit(address)
        path = unquote(parts.path)
        target = (root / path.lstrip("/") if path.startswith("/") else page.parent / path).resolve()
        if address.startswith("#"):
            if len(address) > 1 and unquote(address[1:]) not in found.ids and address != "#top":
                problems.append(f"no place {address} in the page")
        elif parts.scheme or parts.netloc or not path:
            continue
        elif not target.is_relative_to(root.resolve()):
            problems.append(f"{address} leads out of the site")
        elif not (target / "index.html" if target.is_dir() else target).exists():
            problems.append(f"{address} is not there")
    return problems


def check_site(folder: Path, pages: Iterable[str | Path] | None = None) -> None:
    """Check every page of a rendered site; an `InputError` lists every page and what is wrong with it.

    Of a site of which only some `pages` have been rendered, links to others are no fault.
    """
    chosen = sorted(folder.rglob("*.html")) if pages is None else [p for p in map(Path, pages) if p.suffix == ".html"]
    if pages is None and not chosen:
        raise InputError(f"{folder}: no page; `make site` renders the site")
    problems = [f"{page.relative_to(folder)}: {problem}" for page in chosen for problem in check_page(page, folder)]
    if pages is not None:
        problems = [problem for problem in problems if not problem.endswith("is not there")]
    for sheet in sorted(folder.rglob("*.css")):
        loaded = _CSS_ADDRESS.findall(sheet.read_text(encoding="utf-8"))
        problems += [f"{sheet.relative_to(folder)}: loads {address} from elsewhere" for address in loaded]
    if problems:
        raise InputError(f"{folder}: {len(problems)} problem(s)\n  " + "\n  ".join(problems))


def check_lines(notebook: Path, page: Path) -> None:
    """Refuse a page of a notebook on which the lines of a cell run into each other, as where `source` is one string."""
    code = "".join(_Page(page).code)
    cells = [cell for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    for cell in cells:
        lines = [line for line in "".join(cell["source"]).splitlines() if not line.startswith("#|")]
        if len(lines) > 1 and "\n".join(lines[:2]) not in code:
            raise InputError(f"{page}: the lines of a cell run into each other, or are not there: {lines[0]}")


def check_log(lines: Iterable[str], source: Path) -> None:
    """Refuse a log of Quarto that holds a warning; the `InputError` holds the lines and the name of the `source`."""
    if trouble := [line.strip() for line in lines if TROUBLE.search(line)]:
        raise InputError(f"{source}: quarto render warns of:\n  " + "\n  ".join(trouble))
