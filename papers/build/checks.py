"""What a rendered site must not have: unresolved marks, missing files, anything from elsewhere, pictures without text.

Quarto exits 0 after all of these; this is its post-render step.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup

from semanticcmc.config import InputError

# Lines of Quarto's log, Typst's in it, after which a page is not as meant, although Quarto exits 0.
TROUBLE = re.compile(r"\[WARNING\]|WARNING \(|ERROR|WARN:|warning:|\?var:")
# Marks that Quarto leaves in a page where it found nothing to put there.
UNRESOLVED = re.compile(
    r"\{\{<[^<>]*>\}\}|\?var:[\w.-]+|\?meta:[\w.-]+|\?@[\w-]+|(?<![\w.@])@(?:fig|tbl|sec|eq)-[\w-]+"
)
_LOADING = ", ".join(f"link[rel~={kind}][href]" for kind in ("stylesheet", "icon", "preload", "modulepreload"))
_MEANT = "img:not([aria-hidden=true], [role=presentation], [role=none])"  # not for decoration
_CSS_ADDRESS = re.compile(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')\s]+)""")


def check_page(page: Path, root: Path) -> list[str]:
    """What is wrong with one HTML page of the site in the folder `root`, in words; nothing for a good one."""
    found = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
    ids = {str(tag[name]) for name in ("id", "name") for tag in found.select(f"[{name}]")}
    loaded = [str(tag["href"]) for tag in found.select(_LOADING)] + [str(tag["src"]) for tag in found.select("[src]")]
    links = [str(tag["href"]) for tag in found.select("a[href]")]
    silent = [str(tag.get("src", ""))[:80] for tag in found.select(_MEANT) if not str(tag.get("alt", "")).strip()]
    for tag in found.select("script, style, code, pre"):
        tag.clear()  # a mark in code is no mark
    problems = [f"unresolved {mark}" for mark in dict.fromkeys(UNRESOLVED.findall(found.get_text(" ")))]
    problems += [f"a picture without text (alt): {source}" for source in silent]
    for address in dict.fromkeys([*loaded, *links]):
        parts = urlsplit(address)
        path = unquote(parts.path)
        target = (root / path.lstrip("/") if path.startswith("/") else page.parent / path).resolve()
        if address in loaded and (parts.scheme in ("http", "https") or address.startswith("//")):
            problems.append(f"loads {address} from elsewhere")
        elif address.startswith("#"):
            if len(address) > 1 and unquote(address[1:]) not in ids and address != "#top":
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


def check_log(lines: Iterable[str], source: Path) -> None:
    """Refuse a log of Quarto that holds a warning; the `InputError` holds the lines and the name of the `source`."""
    if trouble := [line.strip() for line in lines if TROUBLE.search(line)]:
        raise InputError(f"{source}: quarto render warns of:\n  " + "\n  ".join(trouble))
