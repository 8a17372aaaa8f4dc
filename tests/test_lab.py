"""JupyterLab in a browser, on a finished smoke experiment: what a person sees who explores it, and stops a training."""

import contextlib
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pandas as pd
import pytest

try:
    from playwright.sync_api import TimeoutError, sync_playwright
except ImportError:
    pytest.skip("no Playwright: install the extra test", allow_module_level=True)

from tests.conftest import ROOT, forked_kernels
from tests.papers.accessibility import chromium
from tests.test_study import checksums

pytestmark = pytest.mark.pipeline
LONG_MS = 300_000
SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
}
TRAINING = """import semanticcmc

E = semanticcmc.open({experiment!r})
E.experiment.sections["training"].update(steps=300, log_every=5)
run = E.run(E.asked("semantic", 5.0, 0))"""


@pytest.fixture(scope="module")
def results(smoke, tmp_path_factory):
    copy = tmp_path_factory.mktemp("lab") / "smoke"
    shutil.copytree(smoke[0], copy, ignore=shutil.ignore_patterns(".snakemake", "explore"))
    return copy


@pytest.fixture(scope="module")
def lab(results, tmp_path_factory):
    """Address of a JupyterLab on copies of the notebooks, which open this experiment."""
    folder = tmp_path_factory.mktemp("notebooks")
    for path in (ROOT / "analysis").glob("*.ipynb"):
        text = path.read_text(encoding="utf-8")
        (folder / path.name).write_text(
            text.replace(r"experiment = \"miniature\"", rf"experiment = \"{results}/experiment.yaml\"")
        )
    cells = [TRAINING.format(experiment=f"{results}/experiment.yaml"), "E.train(run)"]
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(made, folder / "train.ipynb")
    home = tmp_path_factory.mktemp("home")
    for name, values in SETTINGS.items():
        file = home / "settings" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(8)
    places = {"JUPYTERLAB_SETTINGS_DIR": home / "settings", "JUPYTERLAB_WORKSPACES_DIR": home / "spaces"}
    env = os.environ | {key: str(value) for key, value in places.items()} | {"JUPYTER_CONFIG_DIR": str(home)}
    env |= forked_kernels(home)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--ServerApp.root_dir={folder}"]
    command += [f"--ServerApp.port={port}", f"--IdentityProvider.token={token}", "--ServerApp.ip=127.0.0.1"]
    with (home / "lab.log").open("w") as log:
        server = subprocess.Popen(command, env=env, stdout=log, stderr=log, cwd=folder)
    for _ in range(240):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api?token={token}")
            break
        except OSError:
            assert server.poll() is None, (home / "lab.log").read_text()
            time.sleep(0.5)
    yield lambda name: f"http://127.0.0.1:{port}/lab/tree/{name}.ipynb?token={token}&reset"
    server.terminate()
    server.wait(30)


@pytest.fixture(scope="module")
def browser():
    program = chromium()
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def tab(browser):
    context = browser.new_context(viewport={"width": 1400, "height": 1000}, device_scale_factor=2)
    tab = context.new_page()
    tab.set_default_timeout(LONG_MS)
    yield tab
    see(tab, "last")
    context.close()


def see(tab, name):
    """A screenshot for whoever asks for them: SEMANTICCMC_SCREENSHOTS=<folder>."""
    if folder := os.environ.get("SEMANTICCMC_SCREENSHOTS"):
        tab.screenshot(timeout=10_000, path=Path(folder) / f"{name}.png")


def run_all(tab, address):
    tab.goto(address)
    tab.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
    with contextlib.suppress(TimeoutError):  # Lab may ask which kernel, though there is one
        tab.locator(".jp-Dialog .jp-mod-accept").click(timeout=8_000)
    tab.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").first.wait_for()
    tab.get_by_role("menuitem", name="Run", exact=True).click()
    tab.get_by_text("Run All Cells", exact=True).click()
    tab.locator(".jp-OutputArea-output").first.wait_for()


def wait_idle(tab):
    """Until no cell is waiting or running."""
    tab.wait_for_function(
        "() => { const all = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(e => e.textContent);"
        " return all.some(text => /[0-9]/.test(text)) && !all.some(text => text.includes('*'))"
        " && document.querySelector('.jp-Notebook-ExecutionIndicator').dataset.status == 'idle'; }"
    )


def choose(tab, label, value):
    box = tab.locator(".widget-dropdown", has=tab.locator(f"label:text-is('{label}')")).first
    box.locator("select").select_option(label=value)


def test_a_person_plays_films_chooses_tests_and_points_at_distances(lab, tab, results):
    before = checksums(results)
    nouns = set(pd.read_csv(results / "world/classes.csv").noun)
    run_all(tab, lab("00_explore"))
    wait_idle(tab)
    errors = tab.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']")
    assert errors.count() == 0
    see(tab, "explore_top")
    moment = tab.locator(".widget-html b").first
    first = moment.inner_text()
    tab.locator(".noUi-handle").first.focus()
    for _ in range(5):
        tab.keyboard.press("ArrowRight")
    tab.wait_for_function("first => document.querySelector('.widget-html b').innerText != first", arg=first)
    assert float(moment.inner_text().removesuffix(" s")) > float(first.removesuffix(" s"))
    see(tab, "explore_films")

    choose(tab, "layer", "conv5")
    tab.locator(".widget-select-multiple select").first.select_option("path")
    said = tab.locator(".widget-html p", has_text="p_holm is corrected for")
    tab.wait_for_function(
        "() => [...document.querySelectorAll('.widget-html p')]"
        ".some(e => e.innerText.startsWith('conv5; WordNet (path); '))"
    )
    assert "declared are 4 networks and 2 models" in said.first.inner_text()
    shown = tab.locator(".widget-html img").first
    shown.scroll_into_view_if_needed()
    assert "conv5" in shown.get_attribute("alt")
    widths = shown.evaluate("image => [image.naturalWidth, image.clientWidth]")
    assert widths[0] >= 1.9 * widths[1]  # sharp at two dots a pixel
    see(tab, "explore_tests")

    matrix = tab.locator(".js-plotly-plot .nsewdrag").first
    matrix.scroll_into_view_if_needed()
    box = matrix.bounding_box()
    tab.mouse.move(box["x"] + 5, box["y"] + 5)
    tab.mouse.move(box["x"] + 0.72 * box["width"], box["y"] + 0.1 * box["height"], steps=8)
    told = tab.wait_for_function(  # what the matrix says where the mouse came to rest is shown below it as well
        "() => { const text = document.querySelector('.js-plotly-plot .hovertext')?.textContent ?? '';"
        " const [pair] = text.split(':'), shown = [...document.querySelectorAll('.widget-html')];"
        " return pair && shown.some(e => e.innerText.includes(pair)) && text; }"
    )
    pair = re.fullmatch(r"(\w+) and (\w+): \d\.\d+", text := told.json_value())
    assert pair and set(pair.groups()) <= nouns, text
    see(tab, "explore_rdm")
    tab.locator(".jp-Cell").last.scroll_into_view_if_needed()
    tab.wait_for_timeout(1000)
    see(tab, "explore_end")
    assert checksums(results) == before


def test_a_person_runs_the_lag_curve(lab, tab, results):
    before = checksums(results)
    run_all(tab, lab("04_lag_curve"))
    wait_idle(tab)
    images = tab.locator(".jp-OutputArea-output img")
    assert images.count() > 10
    for image in images.all():
        assert len(image.get_attribute("alt") or "") > 20
        natural, shown = image.evaluate("image => [image.naturalWidth, image.clientWidth]")
        assert natural >= 1.9 * shown
    assert tab.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    images.nth(0).scroll_into_view_if_needed()
    see(tab, "lag_curve")
    assert checksums(results) == before


def test_a_person_stops_a_training_and_goes_on(lab, tab, results):
    run_all(tab, lab("train"))
    output = tab.locator(".jp-CodeCell").nth(1).locator(".jp-OutputArea")
    output.locator("img").first.wait_for()
    see(tab, "training")
    tab.locator(".jp-Toolbar [data-command='notebook:interrupt-kernel'], [title*='Interrupt the kernel']").first.click()
    output.get_by_text("run again to go on").wait_for()
    stopped = re.search(
        r"semantic_5s, seed 0: stopped at step (\d+) of 300, saved; run again to go on", output.inner_text()
    )
    assert 0 < int(stopped[1]) < 300 and "Traceback" not in output.inner_text()
    see(tab, "stopped")
    folder = results / "networks/semantic_5s/seed-0"
    assert json.loads((folder / "run.json").read_text())["status"] == "started"
    tab.locator(".jp-CodeCell").nth(1).locator(".cm-content").click()
    tab.keyboard.press("Control+Enter")
    deadline = time.monotonic() + LONG_MS / 1000
    while json.loads((folder / "run.json").read_text())["status"] != "finished" and time.monotonic() < deadline:
        tab.wait_for_timeout(500)
    steps = [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, *range(5, 301, 5)]  # as if it had never been stopped
    output.get_by_text("300 steps in").wait_for()
    assert output.locator("img").count() == 1
    see(tab, "finished")
