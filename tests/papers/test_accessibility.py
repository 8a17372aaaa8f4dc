"""The accessibility harness itself, on small pages whose faults are known."""

import re

import pytest

from tests.papers.accessibility import DESKTOP, PHONE, assert_readable, inspect, violations

GOOD = """<!DOCTYPE html><html lang="en"><head><title>A page</title>
<meta name="viewport" content="width=device-width, initial-scale=1"></head>
<body><main><h1>A page</h1><p>Dark on white, with <a href="#x" id="x">a link that says where it leads</a>.</p>
<svg role="img" aria-label="a square" width="10" height="10"><rect width="9" height="9"/></svg>
</main></body></html>"""
PICTURE = "data:image/gif;base64,R0lGODlhAQABAAAAACw="


@pytest.fixture
def page(tmp_path):
    def write(text):
        path = tmp_path / "page.html"
        path.write_text(text)
        return path

    return write


def test_a_good_page_has_no_finding_at_either_width(page):
    good = page(GOOD)
    assert violations(good) == []
    assert_readable(good)


# Each fault with the rule that axe-core's own documentation gives for it.
@pytest.mark.parametrize(
    ("rule", "old", "new"),
    [
        ("image-alt", "<main>", f'<main><img src="{PICTURE}">'),
        ("color-contrast", "<main>", '<main style="color: #bbb; background: #fff">'),
        ("html-has-lang", ' lang="en"', ""),
        ("document-title", "<title>A page</title>", ""),
        ("link-name", "a link that says where it leads", ""),
    ],
)
def test_a_fault_is_found_and_called_serious(page, rule, old, new):
    assert old in GOOD
    [found] = inspect(page(GOOD.replace(old, new)), PHONE)
    assert rule in [violation.rule for violation in found.serious]


def test_what_is_wider_than_a_phone_is_measured(page):
    wide = page(GOOD.replace("</main>", '<div style="width: 700px">wide</div></main>'))
    desktop, phone = inspect(wide, DESKTOP, PHONE)
    assert desktop.overflow_px == 0
    assert phone.overflow_px == 700 + 8 - PHONE  # the browser's own margin of the body is 8 px
    with pytest.raises(AssertionError, match=r"318 px wider than a window of 390 px"):
        assert_readable(wide)


def test_a_page_that_names_no_viewport_is_too_wide_for_a_phone(page):
    [found] = inspect(page(re.sub(r"<meta[^>]*>", "", GOOD)), PHONE)
    assert found.overflow_px == 980 - PHONE  # what phones lay such pages out at


def test_requests_and_missing_files_are_named_and_nothing_is_fetched(page):
    needy = page(
        GOOD.replace("</main>", '<img alt="a" src="https://example.org/a.png"><img alt="b" src="b.png"></main>')
    )
    [found] = inspect(needy)
    assert found.requests == ("https://example.org/a.png",)
    assert [url.rsplit("/", 1)[1] for url in found.missing] == ["b.png"]
