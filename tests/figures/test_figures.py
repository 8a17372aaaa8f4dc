"""Figures show what their tables hold, in its order and with its uncertainty; their files say whence they came."""

import base64
import hashlib
import io
import itertools
import json
import re
from xml.etree import ElementTree

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from fontTools.ttLib import TTFont
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from PIL import Image
from scipy.spatial.distance import pdist
from scipy.stats import percentileofscore

from semanticcmc.config import InputError
from semanticcmc.evaluation.lag_curve import over_seeds
from semanticcmc.experiment import Experiment
from semanticcmc.figures import films, style, training
from semanticcmc.figures import lag_curve as curves
from semanticcmc.figures import rdms as representations
from semanticcmc.figures.comparisons import connectivity
from semanticcmc.figures.layers import layers
from semanticcmc.figures.published import published_table
from semanticcmc.figures.svg_text import embed_fonts, font_files
from semanticcmc.rsa.rdm import RDM

LAGS_S = (1.0, 5.0, 20.0, 60.0, 180.0, 600.0)


@pytest.fixture(autouse=True)
def house_style():
    with matplotlib.rc_context():
        style.use_house_style()
        yield
        plt.close("all")


def curve_table(seeds=(0,), lags_s=LAGS_S, layers=("conv5", "fc7"), draw=0):
    """A table of the columns of tables/lag_curve.csv with values drawn at random."""
    generator = np.random.default_rng(draw)
    networks = [("random", np.nan), ("augment", 0.0), ("cmc_lab", np.nan)]
    networks += [(f"semantic_{lag_s:g}s", lag_s) for lag_s in lags_s]
    rows = []
    for seed, (network, lag_s), layer, model, control in itertools.product(
        seeds, networks, layers, ("category", "lch"), ("none", "random")
    ):
        if network == control == "random":
            continue
        r = generator.uniform(-0.1, 0.3)
        rows.append(
            {
                "network": network,
                "lag_s": lag_s,
                "seed": seed,
                "layer": layer,
                "condition": "intact",
                "model": model,
                "control": control,
                "mantel_r": r,
                "p": 0.001,
                "p_holm": generator.choice([0.01, 0.4]),
                "ci_low": r - generator.uniform(0.01, 0.1),
                "ci_high": r + generator.uniform(0.01, 0.1),
                "permutations": 9999,
                "alternative": "greater",
                "method": "pearson",
                "classes": 48,
            }
        )
    return pd.DataFrame(rows)


def lines(ax, gid):
    return [line for line in ax.get_lines() if line.get_gid() == gid]


def points(ax, gid):
    """Height of every point drawn under `gid`, with whether it is filled, left to right."""
    found = [
        (x, y, line.get_markerfacecolor() != "white")
        for line in lines(ax, gid)
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    ]
    return [(y, filled) for _, y, filled in sorted(found)]


def segments(ax):
    """(low, high) of all vertical bars."""
    return {
        (round(float(s[0][1]), 9), round(float(s[1][1]), 9))
        for collection in ax.collections
        if hasattr(collection, "get_segments")
        for s in collection.get_segments()
    }


def lightness(color):
    """CIE L* of a colour."""
    from skimage.color import rgb2lab

    return float(rgb2lab(np.array(to_rgb(color)).reshape(1, 1, 3))[0, 0, 0])


# Style ------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0.1, 10_000), min_size=2, max_size=8, unique=True))
@settings(max_examples=30, deadline=None)
def test_lags_get_darker_the_longer_they_are(lags_s):
    colours = style.lag_colours(lags_s)
    shades = [lightness(colours[lag_s]) for lag_s in sorted(lags_s)]
    assert all(b < a - 2 for a, b in itertools.pairwise(shades))
    assert max(shades) < 80  # still seen on white


def test_networks_without_a_lag_are_grey_and_told_apart_without_colour():
    styles = style.network_styles(["semantic_60s", "cmc_lab", "augment", "random", "supervised"])
    assert list(styles)[-1] == "semantic_60s"
    grey = [styles[name] for name in style.BASELINE_STYLES]
    assert all(len(set(to_rgb(look["color"]))) == 1 for look in grey)
    assert len({look["marker"] for look in grey}) == len(grey)
    with pytest.raises(InputError, match="sematic"):
        style.network_styles(["sematic"])


def test_models_differ_in_lightness_and_marker():
    looks = list(style.MODEL_STYLES.values())
    assert abs(lightness(looks[0]["color"]) - lightness(looks[1]["color"])) > 20
    assert len({look["marker"] for look in looks}) == len(looks)


def test_64_groups_have_64_styles():
    styles = style.group_styles(f"group {i:02d}" for i in range(64))
    assert len({(look["color"], look["marker"]) for look in styles.values()}) == 64


@pytest.mark.parametrize(
    ("lag_s", "text"),
    [
        (0.2, "0.2 s"),
        (1, "1 s"),
        (45, "45 s"),
        (60, "60 s"),
        (90, "90 s"),
        (180, "3 min"),
        (600, "10 min"),
        (3600, "1 h"),
        (5400, "1.5 h"),
    ],
)
def test_a_lag_is_said_in_the_unit_that_fits(lag_s, text):
    assert style.lag_text(lag_s) == text


# Lag curve --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_lag_curve_draws_the_rows_of_the_table(seeds):
    table = curve_table(seeds)
    ax = curves.lag_curve(table.sample(frac=1, random_state=1), "fc7")
    for model, seed in itertools.product(("category", "lch"), seeds):
        rows = table[(table.layer == "fc7") & (table.model == model)]
        semantic = rows[rows.lag_s > 0].sort_values("lag_s")
        for kind, control in (("partial", "random"), ("simple", "none")):
            [line] = lines(ax, f"{kind} {model}")
            wanted = semantic[semantic.control == control].groupby("lag_s").mantel_r.mean()
            assert line.get_ydata() == pytest.approx(wanted.to_numpy())
            assert np.abs(np.log(line.get_xdata() / wanted.index)).max() < 0.5 * np.log(3.3)  # at its lag
        own = semantic[(semantic.seed == seed) & (semantic.control == "random")]
        wanted = list(zip(own.mantel_r, own.p_holm < 0.05, strict=True))
        assert points(ax, f"partial {model} seed {seed}") == wanted
        one = rows[(rows.seed == seed) & (rows.network == "augment") & (rows.control == "random")]
        [(height, filled)] = points(ax, f"partial {model} seed {seed} augment")
        assert (height, filled) == (one.mantel_r.item(), one.p_holm.item() < 0.05)


def test_lag_curve_shows_every_interval_and_nothing_that_was_not_asked_for():
    table = curve_table()
    ax = curves.lag_curve(table, "fc7")
    shown = table[(table.layer == "fc7") & (table.control == "random")]
    assert segments(ax) == set(zip(shown.ci_low.round(9), shown.ci_high.round(9), strict=True))


def test_lag_curve_leaves_out_what_is_missing_and_keeps_the_rest():
    table = curve_table((0, 1))
    table.loc[(table.network == "semantic_60s") & (table.seed == 0), "mantel_r"] = np.nan
    table = table[~((table.network == "semantic_5s") & (table.seed == 1))]
    ax = curves.lag_curve(table, "fc7")
    drawn = table[(table.layer == "fc7") & (table.control == "random") & (table.model == "lch") & (table.lag_s > 0)]
    for seed, count in ((0, 5), (1, 5)):
        assert len(points(ax, f"partial lch seed {seed}")) == count
    [line] = lines(ax, "partial lch")
    assert line.get_ydata() == pytest.approx(drawn.groupby("lag_s").mantel_r.mean().to_numpy())


@pytest.mark.parametrize("lags_s", [(2.0,), (1.0, 2.0, 5.0), LAGS_S])
def test_networks_without_a_lag_stand_left_of_all_lags_and_no_names_touch(lags_s):
    ax = curves.lag_curve(curve_table(lags_s=lags_s), "fc7")
    left = [lines(ax, f"partial category seed 0 {name}") for name in ("augment", "cmc_lab")]
    places = [x for found in left for line in found for x in line.get_xdata()]
    assert places == sorted(places)
    assert max(places) < min(lines(ax, "partial category")[0].get_xdata())
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.get_xticklabels() if text.get_text()]
    assert [text.get_text() for text in ax.get_xticklabels()][:3] == ["random", "augment", "L / ab"]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def test_lag_curve_of_baselines_alone_is_drawn():
    table = curve_table(lags_s=())
    ax = curves.lag_curve(table, "fc7")
    assert len(points(ax, "partial category seed 0 augment")) == 1


def test_the_predicted_curve_is_that_of_its_table_within_the_lags_that_were_tried():
    predicted = pd.DataFrame(
        {
            "model": ["category"] * 3 + ["lch"] * 3,
            "lag_s": [10.0, 40.0, 3600.0] * 2,
            "predicted_r": [0.1, 0.3, 0.9, 0.2, 0.25, 0.9],
        }
    )
    ax = curves.lag_curve(curve_table(), "fc7", predicted=predicted)
    assert [y for y, _ in points(ax, "predicted category")] == [0.1, 0.3]
    assert [y for y, _ in points(ax, "predicted lch")] == [0.2, 0.25]
    assert not lines(curves.lag_curve(curve_table(), "fc7"), "predicted category")
    told = curves.lag_curve_caption(curve_table(), "fc7", "random", 0.95, 5, predicted=True)
    assert "predicted from the labels before training" in told


def test_caption_tells_classes_seeds_interval_and_test_of_the_table():
    table = curve_table((0, 1, 2))
    table.loc[table.model == "category", "classes"] = 40
    text = curves.lag_curve_caption(table, "fc7", "random", 0.9, 5).replace("\N{NO-BREAK SPACE}", " ")
    for part in (
        "fc7",
        "40 to 48 classes",
        "3 seeds",
        "90 % bootstrap",
        "one-sided",
        "9,999 permutations",
        "mean RDM of 5 untrained networks",
        "Holm-corrected for the 16 tests",
    ):
        assert part in text
    one = curves.lag_curve_caption(table[table.seed == 0], "fc7", "none", 0.9, 1)
    assert "1 seed (0)" in one and "seeds" not in one


def test_a_note_stays_clear_of_the_data():
    table = curve_table(lags_s=(1.0, 2.0, 5.0))
    ax = curves.lag_curve(table, "fc7")
    style.note(ax, "4 clips, 3.7 min: too little film to teach semantics")
    ax.figure.canvas.draw()
    [box] = [text for text in ax.texts if "too little film" in text.get_text()]
    low = ax.transData.inverted().transform(box.get_bbox_patch().get_window_extent())[0, 1]
    assert low > table.loc[(table.layer == "fc7"), "ci_high"].max()


@pytest.mark.parametrize(
    ("films", "hours", "text"),
    [
        (4, 224 / 3600, "4 films, 3.73 min: too little film to teach semantics"),
        (1, 2.0, "1 film, 2 h: too little film to teach semantics"),
        (100, 158.4, ""),
    ],
)
def test_little_film_is_said_to_be_little(films, hours, text):
    assert curves.too_little_film(films, hours) == text


def test_published_numbers_stand_at_their_lags(repository):
    published = pd.read_csv(repository / "data_manifests" / "published_results.csv")
    seconds = published.network.str.extract(r"semantic_(\d+)s")[0].astype(float)
    table = published.assign(lag_s=seconds, source="published", ci_low=np.nan, ci_high=np.nan)
    ours = curve_table().query("layer == 'fc7' and model == 'lch'").assign(source="ours")
    ax = published_table(pd.concat([table, ours]))
    [line] = lines(ax, "published partial")
    # the poster's numbers at conv5, controlling the random network
    assert dict(zip(line.get_xdata(), line.get_ydata(), strict=True)) == pytest.approx(
        {1.0: -0.04642, 10.0: 0.1654, 60.0: 0.2195, 300.0: 0.1772}
    )
    assert {line.get_gid() for line in ax.get_lines()} >= {"ours partial", "ours simple", "published simple"}


# Films ------------------------------------------------------------------------------------------------------


def pictures(count, height=20, width=30):
    generator = np.random.default_rng(0)
    return [generator.integers(0, 255, (height, width, 3), dtype=np.uint8) for _ in range(count)]


@pytest.mark.parametrize("labels", [None, [["dog"], [], ["dog", "cat"], ["hammer"], ["a very long label"]]])
def test_film_strip_shows_frames_in_time_order_and_marks_the_pair(labels):
    images, times_s = pictures(5), [3590.0, 3600.0, 3610.0, 3620.0, 3630.0]
    figure = films.film_strip(images, times_s, labels, (1, 3), "A film")
    boxes = [ax.get_position() for ax in figure.axes]
    assert [box.x0 for box in boxes] == sorted(box.x0 for box in boxes)
    for ax, image in zip(figure.axes, images, strict=True):
        assert (ax.images[0].get_array() == image).all()
    texts = [ax.get_xlabel().splitlines() for ax in figure.axes]
    assert [text[0] for text in texts] == ["59:50", "1:00:00", "1:00:10", "1:00:20", "1:00:30"]
    assert [text[1:] for text in texts] == (labels or [[]] * 5)
    [bracket] = [artist for artist in figure.artists if artist.get_gid() == "pair"] or [
        line for line in figure.lines if line.get_gid() == "pair"
    ]
    middles = [(boxes[i].x0 + boxes[i].x1) / 2 for i in (1, 3)]
    assert [min(bracket.get_xdata()), max(bracket.get_xdata())] == pytest.approx(middles)
    assert min(bracket.get_ydata()) > max(box.y1 for box in boxes)
    assert any("20 s apart" in text.get_text() for text in figure.texts)


def test_film_strip_refuses_frames_out_of_order():
    with pytest.raises(ValueError, match="order of time"):
        films.film_strip(pictures(3), [0.0, 10.0, 2.0], None, (0, 1))


def test_label_frequencies_fall_with_rank():
    ax = films.label_frequencies(pd.Series({"cat": 5, "dog": 50, "owl": 1}), named=2)
    [line] = lines(ax, "frequencies")
    assert line.get_xdata().tolist() == [1, 2, 3]
    assert line.get_ydata().tolist() == [50, 5, 1]
    assert [re.split(r"\s+", row) for row in ax.texts[0].get_text().splitlines()] == [["1", "dog"], ["2", "cat"]]


def test_association_maps_share_one_scale_and_the_order_of_categories():
    names = ["hammer", "dog", "saw", "cat"]
    categories = {"hammer": "tool", "saw": "tool", "dog": "animal", "cat": "animal"}
    maps = {
        lag_s: pd.DataFrame(np.random.default_rng(i).normal(size=(4, 4)), names, names)
        for i, lag_s in enumerate((1.0, 60.0))
    }
    figure = films.association_maps(maps, categories)
    drawn = [ax.images[0] for ax in figure.axes[:2]]
    order = ["cat", "dog", "hammer", "saw"]
    for image, table in zip(drawn, maps.values(), strict=True):
        assert np.allclose(image.get_array(), table.loc[order, order])
    highest = max(table.to_numpy().max() for table in maps.values())
    assert [image.get_clim() for image in drawn] == [pytest.approx((0, highest))] * 2


# Representations --------------------------------------------------------------------------------------------


CATEGORIES = {"n1": "tool", "n2": "animal", "n3": "tool", "n4": "animal", "n5": "bird"}


def random_rdm(draw, classes=tuple(CATEGORIES)):
    n = len(classes)
    return RDM(np.random.default_rng(draw).uniform(0, 2, n * (n - 1) // 2), classes)


def test_rdm_matrices_order_classes_by_category_and_share_a_scale_of_percentiles():
    rdms = {"a": random_rdm(0), "b": random_rdm(1, tuple(reversed(CATEGORIES)))}
    figure = representations.rdm_matrices(rdms, CATEGORIES)
    order = ["n2", "n4", "n5", "n1", "n3"]
    for ax, (title, rdm) in zip(figure.axes, rdms.items(), strict=False):
        drawn, square = ax.images[0].get_array(), rdm.square()
        assert ax.get_title(loc="left") == title
        assert ax.images[0].get_clim() == (0, 100)
        for (i, first), (j, second) in itertools.permutations(enumerate(order), 2):
            own = square[rdm.classes.index(first), rdm.classes.index(second)]
            below = percentileofscore(np.delete(rdm.values, np.argmin(np.abs(rdm.values - own))), own, "strict")
            assert drawn[i, j] == pytest.approx(below)
        assert np.ma.getmaskarray(np.ma.masked_invalid(drawn)).diagonal().all()
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == ["animal", "bird", "tool"]


def test_rdm_matrices_of_an_rdm_with_gaps_leave_them_blank():
    values = random_rdm(0).values.copy()
    values[3] = np.nan
    figure = representations.rdm_matrices({"a": RDM(values, tuple(CATEGORIES))}, CATEGORIES)
    drawn = np.ma.filled(np.ma.masked_invalid(figure.axes[0].images[0].get_array()), np.nan)
    assert np.isnan(drawn).sum() == 5 + 2
    assert np.nanmin(drawn) == 0
    assert np.nanmax(drawn) == 100


@given(st.integers(0, 1000), st.integers(4, 12))
@settings(max_examples=20, deadline=None)
def test_classical_scaling_gives_back_points_on_a_plane(draw, n):
    points = np.random.default_rng(draw).normal(size=(n, 2))
    rdm = RDM(pdist(points), tuple(map(str, range(n))))
    places, share = representations.classical_scaling(rdm.square())
    assert pdist(places) == pytest.approx(pdist(points), rel=1e-6, abs=1e-6)
    assert share == pytest.approx(1)


def test_classical_scaling_agrees_with_scikit_bio():
    ordination = pytest.importorskip("skbio.stats.ordination")
    square = random_rdm(5, tuple(f"n{i}" for i in range(10))).square()
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # distances drawn at random are not Euclidean
        found = ordination.pcoa(square, number_of_dimensions=2)
    places, _ = representations.classical_scaling(square)
    assert np.abs(places) == pytest.approx(np.abs(found.samples.to_numpy()), abs=1e-6)


def test_mds_draws_each_class_once_under_its_category():
    rdm = random_rdm(0)
    ax = representations.mds(rdm, CATEGORIES, {"n1": "hammer"})
    places, _ = representations.classical_scaling(rdm.square())
    for category in set(CATEGORIES.values()):
        [line] = lines(ax, category)
        own = [i for i, name in enumerate(rdm.classes) if CATEGORIES[name] == category]
        assert np.allclose(np.column_stack([line.get_xdata(), line.get_ydata()]), places[own])
    assert [text.get_text() for text in ax.texts] == ["hammer"]


def test_mds_leaves_out_a_class_without_distances():
    square = random_rdm(0).square()
    square[2, :] = square[:, 2] = np.nan
    square[2, 2] = 0
    rdm = RDM(square[np.triu_indices(5, 1)], tuple(CATEGORIES))
    ax = representations.mds(rdm, CATEGORIES, {})
    assert sum(len(line.get_xdata()) for line in ax.get_lines()) == 4


def test_nearest_neighbours_are_those_of_the_rdm(tmp_path):
    classes = tuple(f"n{i}" for i in range(8))
    rdm, files = random_rdm(2, classes), {}
    for i, name in enumerate(classes):
        files[name] = tmp_path / f"{name}.png"
        Image.new("RGB", (40, 30), (30 * i, 100, 200)).save(files[name])
    categories = {name: str(i % 2) for i, name in enumerate(classes)}
    figure = representations.nearest_neighbours(
        rdm, ["n3", "n6"], files, categories, dict(zip(classes, classes, strict=True)), 3
    )
    for row, query in zip(np.array(figure.axes).reshape(2, 4), ("n3", "n6"), strict=True):
        square = rdm.square()[classes.index(query)]
        nearest = sorted((square[i], name) for i, name in enumerate(classes) if name != query)[:3]
        said = [ax.get_xlabel() for ax in row]
        assert said[0] == query
        for label, (_, name) in zip(said[1:], nearest, strict=True):
            same = categories[name] == categories[query]
            assert label == ("✓ " if same else "") + name
        assert [int(ax.images[0].get_array()[5, 5, 0]) // 30 for ax in row] == [
            classes.index(name) for name in (query, *(name for _, name in nearest))
        ]


# Training ---------------------------------------------------------------------------------------------------


def test_a_live_curve_is_one_picture_drawn_again(tmp_path, monkeypatch):
    shown = []

    class Handle:
        update = shown.append

    def display(figure, display_id):
        shown.append(figure)
        return Handle

    monkeypatch.setattr("IPython.display.display", display)
    file = tmp_path / "metrics.jsonl"
    live, slow = training.LiveCurve(file, every_s=0), training.LiveCurve(file, every_s=1e6)
    for step in (1, 2, 3):
        with file.open("a") as lines:
            lines.write(json.dumps({"step": step, "loss": 5.0 - step}) + "\n")
        live({"seconds_left": 3.0 - step})
        assert len(shown) == step
        assert list(shown[-1].axes[0].lines[0].get_xdata()) == list(range(1, step + 1))
    assert not plt.get_fignums()  # none is left for the cell to show again
    for left in (2.0, 1.0, 0.0):
        slow({"seconds_left": left})
    assert len(shown) == 5  # the first and the last


def test_training_curve_draws_the_metrics_and_chance():
    metrics = pd.DataFrame({"step": [5, 10, 15], "loss": [3.0, np.nan, 1.0]})
    ax = training.training_curve(metrics, chance=3.5)
    [line] = lines(ax, "loss")
    assert line.get_xdata().tolist() == [5, 15]
    assert line.get_ydata().tolist() == [3.0, 1.0]
    assert lines(ax, "chance")[0].get_ydata() == pytest.approx([3.5, 3.5])


def test_pairs_stand_one_above_the_other():
    first, second = pictures(4), pictures(8)[4:]
    figure = training.pairs(first, second, 60.0)
    grid = np.array(figure.axes).reshape(2, 4)
    for column, (a, b) in enumerate(zip(first, second, strict=True)):
        assert (grid[0, column].images[0].get_array() == a).all()
        assert (grid[1, column].images[0].get_array() == b).all()
    assert "60 s" in grid[1, 0].get_ylabel()


# All of them ------------------------------------------------------------------------------------------------


def test_no_text_is_smaller_than_the_house_allows():
    figures = [
        curves.lag_curve(curve_table(), "fc7").figure,
        layers(curve_table(), over_seeds(curve_table(), 0.95)).figure,
        connectivity(
            pd.DataFrame(
                {"control": ["none"], "condition": ["intact"], "first": ["augment"], "second": ["random"], "r": 0.5}
            ),
            ["random", "augment"],
            "none",
            "intact",
        ).figure,
        films.film_strip(pictures(5), [0.0, 1.0, 2.0, 3.0, 4.0], [["dog"]] * 5, (1, 3)),
        representations.rdm_matrices({"a": random_rdm(0)}, CATEGORIES),
        representations.mds(random_rdm(0), CATEGORIES, CATEGORIES).figure,
    ]
    for figure in figures:
        sizes = [text.get_fontsize() for text in figure.findobj(matplotlib.text.Text) if text.get_text().strip()]
        assert min(sizes) >= style.SMALL_PT


@pytest.fixture
def experiment(tmp_path):
    folder = tmp_path / "results" / "tiny"
    folder.mkdir(parents=True)
    file = folder / "experiment.yaml"
    file.write_text("name: tiny\n")
    return Experiment("tiny", "A tiny world", "world", (1.0, 60.0), ("random",), (0, 1), "fc7", {}, file, folder)


def test_save_writes_both_pictures_and_names_every_input_by_its_hash(experiment, repository, tmp_path):
    (experiment.folder / "tables").mkdir()
    table = experiment.folder / "tables" / "lag_curve.csv"
    table.write_text("network,mantel_r\n")
    outside = tmp_path / "somewhere" / "films.csv"
    outside.parent.mkdir()
    outside.write_bytes(b"\x00\xff" * 1000)
    inside = repository / "data_manifests" / "published_results.csv"
    ax = curves.lag_curve(curve_table(), "fc7")
    alt = "Correlation against lag:\n the largest at 60 s."
    svg = style.save(ax.figure, experiment, "lag_curve", ["tables/lag_curve.csv", outside, inside], alt, notebook="04")
    assert svg == experiment.folder / "figures" / "lag_curve.svg"
    assert svg.read_text().lstrip().startswith("<?xml")
    with Image.open(svg.with_suffix(".png")) as image:
        assert image.width == pytest.approx(ax.figure.get_figwidth() * 200, abs=2)
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
        svg = style.save(curves.lag_curve(curve_table(), "fc7").figure, experiment, "a", [], "what it shows")
        written.append((svg.read_bytes(), svg.with_suffix(".png").read_bytes()))
    assert written[0] == written[1]


SVG = "{http://www.w3.org/2000/svg}"


def embedded_fonts(svg):
    """Fonts that an SVG carries, by weight and style."""
    rules = re.findall(
        r"@font-face\{font-family:'([^']+)';font-weight:(\w+);font-style:(\w+);"
        r"src:url\(data:font/woff;base64,([^)]+)\)",
        svg,
    )
    assert {family for family, *_ in rules} == {style.FAMILY}
    return {(weight, slant): TTFont(io.BytesIO(base64.b64decode(data))) for _, weight, slant, data in rules}


def test_text_of_a_saved_figure_is_text_and_its_letters_travel_with_it(experiment):
    ax = curves.lag_curve(curve_table(), "fc7")
    ax.set_title("R² of Größe, −0.5")
    svg = style.save(ax.figure, experiment, "a", [], "what it shows").read_text(encoding="utf-8")
    said = ["".join(text.itertext()) for text in ElementTree.fromstring(svg.encode()).iter(f"{SVG}text")]
    assert {"R² of Größe, −0.5", "time lag between the two views", "correlation with the model, r"} <= set(said)
    fonts = embedded_fonts(svg)
    assert set(fonts) == {("normal", "normal"), ("bold", "normal")}, "the faces that are used"
    faces = itertools.product(("normal", "bold"), ("normal", "italic"))
    whole = dict(zip(faces, font_files(), strict=True))
    for face, font in fonts.items():
        full = TTFont(whole[face])
        for letter in set("".join(said)):
            glyph, original = font.getBestCmap()[ord(letter)], full.getBestCmap()[ord(letter)]
            assert font["hmtx"][glyph][0] == full["hmtx"][original][0], "no letter is wider than it was"
        assert font["head"].modified == full["head"].modified, "nothing of the moment in the file"
    assert len(svg) - len(re.sub("base64,[^)]*", "", svg)) < 60_000


def test_a_drawing_without_text_stays_as_it_is():
    drawing = '<svg xmlns="http://www.w3.org/2000/svg"><rect width="1" height="1"/></svg>'
    assert embed_fonts(drawing) == drawing


def test_the_record_of_a_figure_holds_its_caption_as_it_was_written(experiment):
    ax = curves.lag_curve(curve_table(), "fc7")
    words = "48 classes; 3 seeds; bars: the 95 % bootstrap over classes; filled: p < .05 of the one-sided " * 2
    style.caption(ax.figure, words)
    svg = style.save(ax.figure, experiment, "a", [], "what it shows")
    assert json.loads(svg.with_suffix(".json").read_text())["caption"] == words.strip()
    plain = style.save(curves.lag_curve(curve_table(), "fc7").figure, experiment, "b", [], "what it shows")
    assert json.loads(plain.with_suffix(".json").read_text())["caption"] is None


def test_save_refuses_a_missing_input_or_no_words_before_anything_is_written(experiment):
    figure = curves.lag_curve(curve_table(), "fc7").figure
    with pytest.raises(InputError, match=r"lag_curve: input .*nowhere\.csv"):
        style.save(figure, experiment, "lag_curve", ["tables/nowhere.csv"], "what it shows")
    with pytest.raises(InputError, match="alt"):
        style.save(figure, experiment, "lag_curve", [], "  ")
    assert not (experiment.folder / "figures").exists()
