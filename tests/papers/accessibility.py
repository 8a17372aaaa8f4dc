"""What a reader meets on a local HTML page: axe-core's findings, overflow and requests, in headless Chromium.

``violations(page, width)`` for a test; from the command line, with exit status 1 for serious findings:
``python tests/papers/accessibility.py results/miniature/poster/poster.html --width 390``.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

DESKTOP, PHONE = 1280, 390
"""Widths in CSS pixels."""

SERIOUS = ("serious", "critical")
"""The impacts, in axe-core's words, that a page must be free of."""

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclasses.dataclass(frozen=True)
class Violation:
    """One rule of axe-core that a page breaks.

    Attributes
    ----------
    rule : str
        Identifier in axe-core: ``image-alt``.
    impact : str
        ``minor``, ``moderate``, ``serious`` or ``critical``.
    help : str
    elements : tuple of str
        Their selectors, each with its markup.
    """

    rule: str
    impact: str
    help: str
    elements: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.rule} ({self.impact}): {self.help}\n    " + "\n    ".join(self.elements)


@dataclasses.dataclass(frozen=True)
class Inspection:
    """What was found on a page of one width.

    Attributes
    ----------
    violations : tuple of Violation
    overflow_px : int
        How much wider than the window the page is.
    requests : tuple of str
        Addresses outside the file system that the page asked for; none was let through.
    missing : tuple of str
        Files that the page asked for and that are not there.
    """

    violations: tuple[Violation, ...]
    overflow_px: int
    requests: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def serious(self) -> tuple[Violation, ...]:
        """Violations that keep somebody from reading the page."""
        return tuple(violation for violation in self.violations if violation.impact in SERIOUS)


def chromium() -> str:
    """Path of an installed Chromium or Chrome; skips the test where there is none."""
    found = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    if found is None:
        pytest.skip(f"no Chromium: none of {', '.join(_CHROMIUM)} on the path")
    return found


def inspect(page: Path, *widths: int) -> list[Inspection]:
    """Open a local page in a window of each of `widths` (CSS pixels; one width, `DESKTOP`, by default).

    Below 600 px the browser behaves as a phone's: a page that names no viewport is laid out 980 px wide.
    Skips the test where Chromium or axe-core is absent.
    """
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe-core: install the extra test")
    from playwright.sync_api import sync_playwright

    program = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        found = [_look(browser, axe.Axe(), page, width) for width in widths or (DESKTOP,)]
        browser.close()
    return found


def _look(browser: Any, axe: Any, page: Path, width: int) -> Inspection:
    requests: list[str] = []
    missing: list[str] = []
    context = browser.new_context(viewport={"width": width, "height": 900}, is_mobile=width < 600, offline=True)
    tab = context.new_page()
    tab.on("request", lambda request: requests.append(request.url))
    tab.on("requestfailed", lambda request: missing.append(request.url))
    tab.goto(page.resolve().as_uri())
    overflow_px = tab.evaluate("document.scrollingElement.scrollWidth") - width
    rules = axe.run(tab).response["violations"]
    context.close()
    return Inspection(
        violations=tuple(
            Violation(
                rule=rule["id"],
                impact=rule["impact"],
                help=rule["help"],
                elements=tuple(f"{' '.join(map(str, node['target']))}: {node['html'][:160]}" for node in rule["nodes"]),
            )
            for rule in rules
        ),
        overflow_px=max(0, overflow_px),
        requests=tuple(url for url in requests if not url.startswith(("file:", "data:", "blob:", "about:"))),
        missing=tuple(url for url in missing if url.startswith("file:")),
    )


def violations(page: Path, width: int = DESKTOP) -> list[Violation]:
    """Rules of axe-core that a local page breaks in a window of `width` CSS pixels; all impacts."""
    return list(inspect(page, width)[0].violations)


def assert_readable(page: Path, widths: tuple[int, ...] = (DESKTOP, PHONE)) -> None:
    """No serious violation, nothing wider than the window, nothing fetched from elsewhere, no file missing."""
    for width, found in zip(widths, inspect(page, *widths), strict=True):
        assert not found.serious, f"{page} at {width} px:\n" + "\n".join(map(str, found.serious))
        assert found.overflow_px == 0, f"{page}: {found.overflow_px} px wider than a window of {width} px"
        assert not found.requests, f"{page} fetches {', '.join(found.requests)}"
        assert not found.missing, f"{page}: missing {', '.join(found.missing)}"


def main(arguments: list[str] | None = None) -> int:
    """Print what is found on a page; returns 1 if anything is serious."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path)
    parser.add_argument("--width", type=int, default=DESKTOP, help="CSS pixels (default: %(default)s)")
    options = parser.parse_args(arguments)
    [found] = inspect(options.page, options.width)
    for violation in found.violations:
        print(violation)
    print(
        f"{found.overflow_px} px too wide; fetches {found.requests or 'nothing'}; missing {found.missing or 'nothing'}"
    )
    return int(bool(found.serious or found.overflow_px or found.requests or found.missing))


if __name__ == "__main__":
    sys.exit(main())
