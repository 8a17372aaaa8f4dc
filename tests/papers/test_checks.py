"""The checks of a rendered site, on pages whose faults are known."""

from pathlib import Path

import pytest
from papers.build.checks import check_log, check_site

from semanticcmc.config import InputError

GOOD = """<!DOCTYPE html><html lang="en"><head><title>A</title><link rel="stylesheet" href="style.css">
<link rel="canonical" href="https://example.org/"><script src="script.js"></script></head>
<body><a href="#place">here</a> <a href="sub/other.html#there">there</a> <a href="sub/">a folder</a>
<a href="/index.html">top</a>
<a href="https://example.org/elsewhere">elsewhere</a> <a href="mailto:a@fig-tree.org">write to a@fig-tree.org</a>
<img src="picture.png" alt="A picture"><img src="picture.png" alt="" role="presentation">
<img src="data:image/gif;base64,R0" alt="x">
<p id="place">Text with a name@fig-1 and <code>{{&lt; var x &gt;}} @fig-a ?var:x</code></p></body></html>"""


@pytest.fixture
def site(tmp_path):
    def write(page=GOOD, style="body { background: url(picture.png) }"):
        (tmp_path / "sub").mkdir(exist_ok=True)
        (tmp_path / "index.html").write_text(page)
        (tmp_path / "style.css").write_text(style)
        for name in ("script.js", "picture.png", "sub/other.html", "sub/index.html"):
            (tmp_path / name).write_text("")
        return tmp_path

    return write


def test_a_good_site_passes(site):
    check_site(site())


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("here", "{{&lt; var a.b &gt;}}", r"unresolved \{\{< var a\.b >\}\}"),
        ("here", "?var:a.b", r"unresolved \?var:a\.b"),
        ("here", "see ?@fig-curve", r"unresolved \?@fig-curve"),
        ("here", "see @tbl-mantel", r"unresolved @tbl-mantel"),
        ('alt="A picture"', "", r"a picture without text \(alt\): picture\.png"),
        ('alt="A picture"', 'alt=" "', r"a picture without text \(alt\): picture\.png"),
        ('src="script.js"', 'src="https://cdn.example.org/x.js"', r"loads https://cdn\.example\.org/x\.js"),
        ('src="script.js"', 'src="//cdn.example.org/x.js"', r"loads //cdn\.example\.org/x\.js from elsewhere"),
        ('href="style.css"', 'href="https://fonts.example.org/x"', r"loads https://fonts\.example\.org/x"),
        ('src="picture.png" alt="A', 'src="absent.png" alt="A', r"absent\.png is not there"),
        ("sub/other.html#there", "sub/none.html", r"sub/none\.html is not there"),
        ('href="sub/"', 'href="none/"', r"none/ is not there"),
        ("/index.html", "/none.html", r"/none\.html is not there"),
        ('href="#place"', 'href="#nowhere"', r"no place #nowhere in the page"),
        ("sub/other.html#there", "../outside.html", r"\.\./outside\.html leads out of the site"),
    ],
)
def test_a_fault_is_named_with_its_page(site, old, new, problem):
    assert old in GOOD
    with pytest.raises(InputError, match=rf"index\.html: {problem}"):
        check_site(site(GOOD.replace(old, new, 1)))


@pytest.mark.parametrize(
    "rule", ['@import "https://fonts.example.org/a.css";', "a { src: url('//x.example.org/a.woff2') }"]
)
def test_a_style_sheet_may_not_load_from_elsewhere(site, rule):
    with pytest.raises(InputError, match=r"style\.css: loads .*example\.org.* from elsewhere"):
        check_site(site(style=rule))


def test_all_problems_are_told_at_once(site):
    with pytest.raises(InputError, match=r"2 problem\(s\)\n.*alt.*\n.*script"):
        check_site(site(GOOD.replace('alt="A picture"', "").replace('src="script.js"', 'src="http://a.org/script.js"')))


def test_an_empty_site_is_none(tmp_path):
    with pytest.raises(InputError, match="no page"):
        check_site(tmp_path)


def test_a_quiet_log_passes():
    check_log(["[1/12] index.qmd", "Output created: _site/index.html"], Path("poster.qmd"))


@pytest.mark.parametrize(
    "line",
    [
        "[WARNING] Could not fetch resource",
        "warning: unknown font family: x",
        "\x1b[1mwarning:\x1b[0m layout",
        "?var:a",
    ],
)
def test_a_warning_of_quarto_or_of_typst_in_the_log_is_refused(line):
    with pytest.raises(InputError, match=r"poster\.qmd: quarto render warns of"):
        check_log(["[typst]: Compiling poster.typ", line], Path("poster.qmd"))


def test_a_partial_render_is_checked_for_what_it_rendered(site):
    """Links to pages that have not been rendered are no fault of it; what it lacks itself is."""
    folder = site(GOOD.replace("sub/other.html#there", "sub/none.html"))
    (folder / "sub" / "index.html").write_text("?var:a.b")
    check_site(folder, [folder / "index.html"])
    with pytest.raises(InputError, match=r"index\.html: unresolved \?var:a\.b"):
        check_site(folder, [folder / "sub" / "index.html"])
