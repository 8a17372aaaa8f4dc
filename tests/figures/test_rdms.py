"""How a network sees the classes is drawn from its RDM alone."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from PIL import Image
from scipy.spatial.distance import pdist
from scipy.stats import percentileofscore

from semanticcmc.figures import rdms as representations
from semanticcmc.figures import style
from semanticcmc.rsa.rdm import RDM
from tests.figures.drawing import texts

CATEGORIES = {"n1": "tool", "n2": "animal", "n3": "tool", "n4": "animal", "n5": "bird"}


def random_rdm(draw, classes=tuple(CATEGORIES)):
    n = len(classes)
    return RDM(np.random.default_rng(draw).uniform(0, 2, n * (n - 1) // 2), classes)


def test_rdm_matrices_order_classes_by_category_and_share_a_scale_of_percentiles():
    rdms = {"a": random_rdm(0), "b": random_rdm(1, tuple(reversed(CATEGORIES)))}
    axes, alt, caption = representations.rdm_matrices(rdms, CATEGORIES, "fc7; seed 0")
    order = ["n2", "n4", "n5", "n1", "n3"]
    for ax, (title, rdm) in zip(axes, rdms.items(), strict=True):
        drawn, square = ax.images[0].get_array(), rdm.square()
        assert ax.get_title(loc="left") == title
        assert ax.images[0].get_clim() == (20, 80)
        for (i, first), (j, second) in itertools.permutations(enumerate(order), 2):
            own = square[rdm.classes.index(first), rdm.classes.index(second)]
            if i < j:
                continue  # means over categories
            below = percentileofscore(np.delete(rdm.values, np.argmin(np.abs(rdm.values - own))), own, "strict")
            assert drawn[i, j] == pytest.approx(below)
        assert np.ma.getmaskarray(np.ma.masked_invalid(drawn)).diagonal().all()
    assert texts(axes[0].get_yticklabels()) == ["animal", "bird", "tool"]
    assert "5 classes" in alt and "a, b" in alt
    assert caption == "fc7; seed 0; 5 classes; percentiles within each matrix, above the diagonal means."


def test_rdm_matrices_of_an_rdm_with_gaps_leave_them_blank():
    values = random_rdm(0).values.copy()
    values[3] = np.nan
    [ax], _, caption = representations.rdm_matrices({"a": RDM(values, tuple(CATEGORIES))}, CATEGORIES)
    assert caption == ""
    drawn = np.ma.filled(np.ma.masked_invalid(ax.images[0].get_array()), np.nan)
    assert np.isnan(np.tril(drawn)).sum() == 5 + 1
    assert np.nanmin(drawn) == 0


def test_means_over_pairs_of_categories_stand_above_the_diagonal():
    square = np.array([[0, 1, 2, 3], [1, 0, 4, 5], [2, 4, 0, 6], [3, 5, 6, 0]])
    shown = representations.with_means(square, ["a", "a", "b", "b"])
    assert np.isnan(shown.diagonal()).all()
    assert (np.tril(shown, -1)[np.tril_indices(4, -1)] == square[np.tril_indices(4, -1)]).all()
    assert shown[0, 1] == 1 and shown[2, 3] == 6
    assert set(shown[:2, 2:].ravel()) == {3.5}


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


def coloured(ax):
    """Places of the points of each colour."""
    [cloud] = [c for c in ax.collections if len(c.get_offsets())]
    found = {}
    for place, color in zip(cloud.get_offsets(), cloud.get_facecolors(), strict=True):
        found.setdefault(to_hex(color), []).append(np.ma.getdata(place))
    return found


def test_mds_draws_each_class_once_in_the_colour_of_its_category():
    rdm, nouns = random_rdm(0), {name: f"noun {name}" for name in CATEGORIES}
    [ax], alt, _ = representations.mds(rdm, CATEGORIES, nouns, "random, seed 0")
    places, _ = representations.classical_scaling(rdm.square())
    for category, look in style.group_styles(sorted(set(CATEGORIES.values()))).items():
        own = [i for i, name in enumerate(rdm.classes) if CATEGORIES[name] == category]
        assert np.allclose(coloured(ax)[look["color"].lower()], places[own])
    assert texts(ax.get_legend().get_texts()) == ["animal", "bird", "tool"]
    assert {text.get_text(): text.xy for text in ax.texts}.keys() == set(nouns.values())
    for i, name in enumerate(rdm.classes):
        [text] = [text for text in ax.texts if text.get_text() == nouns[name]]
        assert np.allclose(text.xy, places[i])
    assert "5 classes" in alt and "random, seed 0" in alt


def test_the_first_classes_of_the_largest_categories_are_named():
    categories = {"a": "few", "b": "many", "c": "many", "d": "many", "e": "some", "f": "some"}
    assert representations.largest_categories(categories, 2, 2) == ["b", "c", "e", "f"]
    assert representations.largest_categories(categories, 6, 1) == ["b", "e", "a"]


def test_mds_leaves_out_a_class_without_distances():
    square = random_rdm(0).square()
    square[2, :] = square[:, 2] = np.nan
    square[2, 2] = 0
    rdm = RDM(square[np.triu_indices(5, 1)], tuple(CATEGORIES))
    [ax], alt, _ = representations.mds(rdm, CATEGORIES, dict.fromkeys(CATEGORIES, ""))
    assert sum(map(len, coloured(ax).values())) == 4
    assert "4 classes" in alt


def test_nearest_neighbours_are_those_of_the_rdm(tmp_path):
    classes = tuple(f"n{i}" for i in range(8))
    rdm, files = random_rdm(2, classes), {}
    for i, name in enumerate(classes):
        files[name] = tmp_path / f"{name}.png"
        Image.new("RGB", (40, 30), (30 * i, 100, 200)).save(files[name])
    categories = {name: str(i % 2) for i, name in enumerate(classes)}
    nouns = dict(zip(classes, classes, strict=True))
    axes, alt, _ = representations.nearest_neighbours(rdm, files, categories, nouns, "fc7", ["n3", "n6"], 3)
    assert "2 classes" in alt and "fc7" in alt
    for row, query in zip(np.array(axes).reshape(2, 4), ("n3", "n6"), strict=True):
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
