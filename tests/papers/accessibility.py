"""What a reader meets on a local HTML page: axe-core's findings, overflow and requests, in headless Chromium.

``violations(page, width)`` for a test; from the command line, with exit status 1 for serious findings:
``python tests/papers/accessibility.py _site/index.html --root _site --width 390``. Pages are served over HTTP, as
readers of the site get them: from a file, a browser runs no script that is a module.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import dataclasses
import functools
import http.server
import shutil
import sys
import threading
from collections.abc import Iterator
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
        Addresses elsewhere that the page asked for; none was let through.
    missing : tuple of str
        Files that the page asked for and that are not there.
    scrolling : tuple of str
        Code (``<pre>``) that scrolls sideways and that the keyboard does not reach, or that has no name.
    """

    violations: tuple[Violation, ...]
    overflow_px: int
    requests: tuple[str, ...]
    missing: tuple[str, ...]
    scrolling: tuple[str, ...]

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


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *told: object) -> None:
        pass


@contextlib.contextmanager
def served(root: Path) -> Iterator[str]:
    """Address at which the files of a folder are served while the context lasts."""
    handler = functools.partial(_Quiet, directory=str(root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def inspect(page: Path, *widths: int, root: Path | None = None) -> list[Inspection]:
    """Open a local page in a window of each of `widths` (CSS pixels; one width, `DESKTOP`, by default).

    Below 600 px the browser behaves as a phone's: a page that names no viewport is laid out 980 px wide. `root`: the
    folder that is served, by default the page's own. Skips the test where Chromium or axe-core is absent.
    """
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe-core: install the extra test")
    program, root = chromium(), (root or page.parent).resolve()
    with served(root) as host:
        address = f"{host}/{page.resolve().relative_to(root).as_posix()}"
        return _BROWSING.submit(
            lambda: [_look(_browser(program), axe.Axe(), address, host, width) for width in widths or (DESKTOP,)]
        ).result()


_BROWSING = concurrent.futures.ThreadPoolExecutor(max_workers=1)  # Playwright's event loop is no other test's


_OPEN = contextlib.ExitStack()


@functools.cache
def _browser(program: str) -> Any:
    """One for all pages, as its start takes longer than a page; `close` ends it."""
    from playwright.sync_api import sync_playwright

    playwright = _OPEN.enter_context(sync_playwright())
    return _OPEN.enter_context(playwright.chromium.launch(executable_path=program, args=["--no-sandbox"]))


def close() -> None:
    """End the browser, if there is one."""
    _BROWSING.submit(_OPEN.close).result()
    _browser.cache_clear()


_SCROLLING = """() => [...document.querySelectorAll("pre")]
    .filter(pre => pre.scrollWidth > pre.clientWidth + 1 && getComputedStyle(pre).overflowX !== "visible")
    .filter(pre => pre.tabIndex < 0 || !pre.getAttribute("aria-label"))
    .map(pre => pre.innerText.slice(0, 80))"""


def _look(browser: Any, axe: Any, address: str, host: str, width: int) -> Inspection:
    requests: list[str] = []
    missing: list[str] = []
    context = browser.new_context(viewport={"width": width, "height": 900}, is_mobile=width < 600)
    context.route(lambda url: not url.startswith((host, "data:", "blob:", "about:")), lambda route: route.abort())
    tab = context.new_page()
    tab.on("request", lambda request: requests.append(request.url))
    tab.on("response", lambda response: missing.append(response.url) if response.status == 404 else None)
    tab.goto(address)
    tab.wait_for_load_state("networkidle")
    overflow_px = tab.evaluate("document.scrollingElement.scrollWidth") - width
    scrolling = tab.evaluate(_SCROLLING)
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
        requests=tuple(url for url in requests if not url.startswith((host, "data:", "blob:", "about:"))),
        missing=tuple(url for url in missing if not url.endswith("/favicon.ico")),
        scrolling=tuple(scrolling),
    )


def violations(page: Path, width: int = DESKTOP) -> list[Violation]:
    """Rules of axe-core that a local page breaks in a window of `width` CSS pixels; all impacts."""
    return list(inspect(page, width)[0].violations)


def assert_readable(page: Path, widths: tuple[int, ...] = (DESKTOP, PHONE), root: Path | None = None) -> None:
    """No serious violation, nothing wider than the window, nothing fetched from elsewhere, no file missing."""
    for width, found in zip(widths, inspect(page, *widths, root=root), strict=True):
        assert not found.serious, f"{page} at {width} px:\n" + "\n".join(map(str, found.serious))
        assert found.overflow_px == 0, f"{page}: {found.overflow_px} px wider than a window of {width} px"
        assert not found.requests, f"{page} fetches {', '.join(found.requests)}"
        assert not found.missing, f"{page}: missing {', '.join(found.missing)}"
        assert not found.scrolling, f"{page} at {width} px: code scrolls without focus and name: {found.scrolling}"


def main(arguments: list[str] | None = None) -> int:
    """Print what is found on a page; returns 1 if anything is serious."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path)
    parser.add_argument("--width", type=int, default=DESKTOP, help="CSS pixels (default: %(default)s)")
    parser.add_argument("--root", type=Path, help="folder that is served (default: the page's own)")
    options = parser.parse_args(arguments)
    [found] = inspect(options.page, options.width, root=options.root)
    close()
    for violation in found.violations:
        print(violation)
    print(
        f"{found.overflow_px} px too wide; fetches {found.requests or 'nothing'}; "
        f"missing {found.missing or 'nothing'}; "
        f"scrolls without focus: {found.scrolling or 'nothing'}"
    )
    return int(bool(found.serious or found.overflow_px or found.requests or found.missing or found.scrolling))


if __name__ == "__main__":
    sys.exit(main())
