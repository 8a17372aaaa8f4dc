"""Files of a figure say what it shows and what it was made from."""

import hashlib
import json

import matplotlib.pyplot as plt
import pytest
from IPython.core.formatters import DisplayFormatter
from PIL import Image

from semanticcmc.config import InputError
from semanticcmc.figures.lag_curve import lag_curve
from semanticcmc.figures.save import save
from semanticcmc.figures.style import Drawn
from tests.figures.drawing import curve_table, selection


def test_save_writes_both_pictures_and_names_every_input_by_its_hash(experiment, repository, tmp_path):
    (experiment.folder / "tables").mkdir()
    table = experiment.folder / "tables" / "lag_curve.csv"
    table.write_text("network,mantel_r\n")
    outside = tmp_path / "somewhere" / "films.csv"
    outside.parent.mkdir()
    outside.write_bytes(b"\x00\xff" * 1000)
    inside = repository / "data_manifests" / "published_results.csv"
    drawn = lag_curve(curve_table(), selection())._replace(alt="Correlation against lag:\n the largest at 60 s.")
    svg = save(
        drawn, experiment, "lag_curve", ["tables/lag_curve.csv", outside, inside], notebook="04"
    ).png.with_suffix(".svg")
    assert svg == experiment.folder / "figures" / "lag_curve.svg"
    assert svg.read_text().lstrip().startswith("<?xml")
    with Image.open(svg.with_suffix(".png")) as image:
        assert image.width == pytest.approx(drawn.figure.get_figwidth() * 200, abs=2)
        assert image.text["Description"] == "Correlation against lag: the largest at 60 s."
    sidecar = json.loads(svg.with_suffix(".json").read_text())
    hashes = {entry["path"]: entry["sha256"] for entry in sidecar["inputs"]}
    assert hashes == {
        "tables/lag_curve.csv": hashlib.sha256(b"network,mantel_r\n").hexdigest(),
        "films.csv": hashlib.sha256(b"\x00\xff" * 1000).hexdigest(),
        "data_manifests/published_results.csv": hashlib.sha256(inside.read_bytes()).hexdigest(),
    }
    assert (sidecar["experiment"], sidecar["title"], sidecar["seeds"]) == ("tiny", "A tiny world", [0, 1])
    assert sidecar["alt"] == "Correlation against lag: the largest at 60 s."
    assert sidecar["notebook"] == "04"
    assert sidecar["configuration"]["sha256"] == hashlib.sha256(b"name: tiny\n").hexdigest()
    assert str(tmp_path) not in svg.with_suffix(".json").read_text()
    assert sorted(path.name for path in svg.parent.iterdir()) == ["lag_curve.json", "lag_curve.png", "lag_curve.svg"]


def test_equal_figures_make_equal_files(experiment):
    written = []
    for _ in range(2):
        svg = save(lag_curve(curve_table(), selection()), experiment, "a", []).png.with_suffix(".svg")
        written.append((svg.read_bytes(), svg.with_suffix(".png").read_bytes()))
    assert written[0] == written[1]


def test_the_caption_is_below_the_figure_and_in_its_record_as_it_was_written(experiment):
    words = "48 classes; 3 seeds; bars: the 95 % bootstrap over classes; filled: p < .05 of the one-sided " * 2
    drawn = lag_curve(curve_table(), selection())
    svg = save(drawn._replace(caption=words), experiment, "a", []).png.with_suffix(".svg")
    assert json.loads(svg.with_suffix(".json").read_text())["caption"] == words.strip()
    assert drawn.figure.get_supxlabel().split() == words.split()
    plain = lag_curve(curve_table(), selection())._replace(caption="")
    svg = save(plain, experiment, "b", []).png.with_suffix(".svg")
    assert json.loads(svg.with_suffix(".json").read_text())["caption"] is None
    assert not plain.figure.get_supxlabel()


def test_save_refuses_a_missing_input_or_no_words_before_anything_is_written(experiment):
    drawn = lag_curve(curve_table(), selection())
    with pytest.raises(InputError, match=r"lag_curve: input .*nowhere\.csv"):
        save(drawn, experiment, "lag_curve", ["tables/nowhere.csv"])
    with pytest.raises(InputError, match="alt"):
        save(drawn._replace(alt="  "), experiment, "lag_curve", [])
    assert not (experiment.folder / "figures").exists()


def test_a_notebook_shows_the_file_sharp_and_with_its_words(experiment):
    drawn = lag_curve(curve_table(), selection())
    picture = save(drawn, experiment, "a", [], folder=experiment.folder / "explore")
    assert not plt.get_fignums()  # shown once, by the picture
    data, about = DisplayFormatter().format(picture)
    assert data["image/png"] == picture.png.read_bytes()
    with Image.open(picture.png) as image:
        assert about["image/png"]["width"] == pytest.approx(image.width / 2, abs=1)
        image.resize((300, 150)).save(picture.png, dpi=(150, 150))
        assert {"width": 200, "height": 100}.items() <= DisplayFormatter().format(picture)[1]["image/png"].items()
    assert about["image/png"]["figure"] == "a"
    by_hand = save(drawn, experiment, "b", [], folder=experiment.folder / "explore" / "figures")
    assert DisplayFormatter().format(by_hand)[1]["image/png"]["figure"] == "explore/figures/b"
    assert about["image/png"]["alt"] == data["text/plain"] == picture.words
    assert picture.words.startswith(drawn.alt) and drawn.caption[:20] in picture.words


@pytest.mark.parametrize("dpi", [100.0, "figure"])
def test_a_png_is_upright_whatever_a_matplotlibrc_says(experiment, dpi):
    """Dark above, light below, as drawn."""
    figure = plt.figure(figsize=(2, 1), layout="none")
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set_axis_off()
    ax.axhspan(0.5, 1, color="black")
    ax.set_ylim(0, 1)
    with plt.rc_context({"image.origin": "lower", "savefig.dpi": dpi, "figure.dpi": 100}):
        picture = save(Drawn([ax], "Dark above."), experiment, "halves", [])
    with Image.open(picture.png) as image:
        grey = image.convert("L")
        assert grey.size == (200, 100) and grey.getpixel((100, 20)) < 30 < 220 < grey.getpixel((100, 80))
