"""The semantic models against nltk, against published matrices and against taxonomies solved by hand."""

from __future__ import annotations

import functools
import math
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semanticcmc.config import InputError, package_table
from semanticcmc.rsa.semantics import (
    anchored_categories,
    categories,
    category_rdm,
    lch_rdm,
    lch_similarities,
    model_rdm,
    path_rdm,
    read_matrix,
    wu_palmer_rdm,
)
from semanticcmc.rsa.wordnet import (
    Taxonomy,
    lowest_common_hypernyms,
    names,
    open_wordnet,
    path_lengths,
    read_taxonomy,
    taxonomy_of,
)
from tests.conftest import ROOT, SHARED

MANIFESTS = ROOT / "data_manifests"
DATA = package_table("")
WORDNET = Path("/usr/share/wordnet")
needs_wordnet = pytest.mark.skipif(
    not (WORDNET / "data.noun").is_file(), reason="WordNet 3.0's files are not installed (wordnet-base)"
)
IMAGENET = (MANIFESTS / "class_lists" / "imagenet.txt").read_text().split()
DOG, CAT = "n02084071", "n02121620"

#            a
#          /   \
#         b     c
#        / \   / \
#       d   e-+   f      e lies under b and under c
#       |
#       g -----> c       g lies under d and, as an instance, directly under c
BY_HAND = Taxonomy(
    hypernyms={"a": (), "b": ("a",), "c": ("a",), "d": ("b",), "e": ("b", "c"), "f": ("c",), "g": ("d", "c")},
    nouns={name: name.upper() for name in "abcdefg"},
    synsets={name: f"{name}.n.01" for name in "abcdefg"},
    max_depth=3,
)


def synsets() -> pd.DataFrame:
    return pd.read_csv(DATA / "wordnet_taxonomy.csv", comment="#", keep_default_na=False)


def lch_similarity(first, second, taxonomy=None):
    return lch_similarities([first, second], taxonomy)[0, 1]


@functools.cache
def wnids_of_synsets() -> dict[str, str]:
    table = synsets()
    return dict(zip(table["synset"], table["wnid"], strict=True))


# --- closed form ---


@pytest.mark.parametrize(
    ("first", "second", "steps"),
    [
        ("a", "a", 0),
        ("d", "d", 0),
        ("b", "a", 1),
        ("d", "e", 2),
        ("e", "f", 2),
        ("d", "f", 4),
        ("g", "f", 2),
        ("g", "e", 2),
        ("g", "b", 2),
        ("g", "a", 2),
        ("d", "c", 3),
    ],
)
def test_shortest_path_takes_the_nearest_of_several_common_hypernyms(first, second, steps):
    wnids = list("gfedcba")
    lengths = path_lengths(wnids, BY_HAND)
    assert lengths[wnids.index(first), wnids.index(second)] == steps
    assert lengths[wnids.index(second), wnids.index(first)] == steps
    assert lch_similarity(first, second, BY_HAND) == pytest.approx(-math.log((steps + 1) / 6), abs=1e-14)


def test_a_hypernym_reached_by_ways_of_different_length_counts_by_the_shorter():
    taxonomy = Taxonomy({"top": (), "mid": ("top",), "low": ("mid", "top"), "far": ("top",)}, {}, {}, 2)
    assert path_lengths(["low", "far"], taxonomy)[0, 1] == 2


def test_lch_rdm_is_the_logarithm_of_the_path_and_keeps_its_names():
    rdm = lch_rdm(list("dgf"), BY_HAND)
    assert rdm.classes == ("d", "g", "f")
    np.testing.assert_allclose(rdm.values, np.log([1 + 1, 4 + 1, 2 + 1]), atol=1e-14)


def test_classes_without_a_common_hypernym_are_refused_by_name():
    islands = Taxonomy({"a": (), "b": ()}, {}, {"a": "a.n.01", "b": "b.n.01"}, 1)
    with pytest.raises(InputError, match="a and b: no hypernym in common"):
        path_lengths(["a", "b"], islands)
    with pytest.raises(InputError, match="a and b: no hypernym in common"):
        wu_palmer_rdm(["a", "b"], islands)


@st.composite
def taxonomies(draw):
    """A random directed acyclic graph below one root."""
    n = draw(st.integers(2, 25))
    hypernyms: dict[str, tuple[str, ...]] = {"0": ()}
    for i in range(1, n):
        above = draw(st.sets(st.integers(0, i - 1), min_size=1, max_size=3))
        hypernyms[str(i)] = tuple(map(str, sorted(above)))
    return Taxonomy(hypernyms, {}, {}, n)


@settings(deadline=None, max_examples=50)
@given(taxonomies())
def test_paths_are_those_of_a_search_over_every_common_hypernym(taxonomy):
    wnids = list(taxonomy.hypernyms)

    def ways_up(wnid):  # every path to every hypernym, however long: brute force
        return [(wnid, 0)] + [(a, n + 1) for above in taxonomy.hypernyms[wnid] for a, n in ways_up(above)]

    sample = wnids[-6:]
    lengths = path_lengths(sample, taxonomy)
    for i, first in enumerate(sample):
        for j, second in enumerate(sample):
            up, down = ways_up(first), ways_up(second)
            assert lengths[i, j] == min(n + m for a, n in up for b, m in down if a == b)


# --- WordNet ---


def test_lch_equals_the_value_in_nltks_documentation():
    # https://www.nltk.org/howto/wordnet.html: dog.lch_similarity(cat) with dog.n.01, cat.n.01
    assert lch_similarity(DOG, CAT) == pytest.approx(2.0281482472922856, abs=1e-15)


PUBLISHED = {  # ClionaOD/cmc_associations, results/for_r/lch.csv: rows chronoscope.n.01 and table.n.03
    ("chronoscope.n.01", "chronoscope.n.01"): 3.6375861597263857,
    ("chronoscope.n.01", "table.n.03"): 1.55814461804655,
    ("chronoscope.n.01", "bell_cote.n.01"): 1.3350010667323402,
    ("chronoscope.n.01", "plum.n.02"): 0.9985288301111273,
    ("chronoscope.n.01", "speedometer.n.01"): 2.2512917986064953,
    ("chronoscope.n.01", "mocha.n.03"): 0.9295359586241757,
    ("chronoscope.n.01", "drum_majorette.n.02"): 0.9295359586241757,
    ("chronoscope.n.01", "memory_device.n.01"): 2.0281482472922856,
    ("chronoscope.n.01", "cat.n.01"): 0.8043728156701697,
    ("chronoscope.n.01", "glass.n.02"): 1.6916760106710724,
    ("table.n.03", "bell_cote.n.01"): 1.4403615823901665,
    ("table.n.03", "corner.n.11"): 1.6916760106710724,
    ("table.n.03", "memory_device.n.01"): 1.845826690498331,
    ("table.n.03", "blacksmith.n.01"): 1.072636802264849,
}


@pytest.mark.parametrize(("pair", "similarity"), PUBLISHED.items())
def test_lch_equals_the_published_matrix(pair, similarity):
    first, second = (wnids_of_synsets()[name] for name in pair)
    assert lch_similarity(first, second) == pytest.approx(similarity, abs=1e-12)


@pytest.fixture(scope="module")
def nltk_reader():
    """nltk's own reader of Debian's files."""
    pytest.importorskip("nltk")
    return open_wordnet()


@needs_wordnet
def test_similarities_equal_nltks_on_random_pairs(nltk_reader):
    """Of 1,500 pairs of the 1,000 ImageNet classes, and of 1,000 of 500 nouns, inner nodes included."""
    draw = random.Random(20261121)
    for wnids, count in ((IMAGENET, 1_500), (draw.sample(sorted(read_taxonomy().hypernyms), 500), 1_000)):
        rows = [draw.sample(range(len(wnids)), 2) for _ in range(count)] + [[5, 5]]
        nodes = [nltk_reader.synset_from_pos_and_offset("n", int(wnid[1:])) for wnid in wnids]
        for ours, theirs in (
            (lch_similarities(wnids), "lch_similarity"),
            (1 - path_rdm(wnids).square(), "path_similarity"),
        ):
            expected = [getattr(nodes[i], theirs)(nodes[j]) for i, j in rows]
            np.testing.assert_allclose([ours[i, j] for i, j in rows], expected, rtol=0, atol=1e-12)


@needs_wordnet
def test_wu_palmer_equals_nltks_on_random_pairs(nltk_reader):
    """Of the published classes and all above them: some 800 nouns, many with two ways up."""
    taxonomy = read_taxonomy()
    published = [wnids_of_synsets()[name] for name in (MANIFESTS / "class_lists" / "published.txt").read_text().split()]
    wnids = sorted({above for wnid in published for above in taxonomy.distances_above(wnid)})
    draw = random.Random(7)
    rows = [draw.sample(range(len(wnids)), 2) for _ in range(2_000)]
    nodes = [nltk_reader.synset_from_pos_and_offset("n", int(wnid[1:])) for wnid in wnids]
    ours = 1 - wu_palmer_rdm(wnids).square()
    theirs = [max(nodes[i].wup_similarity(nodes[j]), nodes[j].wup_similarity(nodes[i])) for i, j in rows]
    np.testing.assert_allclose([ours[i, j] for i, j in rows], theirs, rtol=0, atol=1e-12)


def test_lowest_common_hypernyms_by_hand():
    """e lies under b and c, which are as deep: the first by name; g under d and, directly, under c."""
    found = lowest_common_hypernyms(["d", "e", "f", "g", "b"], BY_HAND)
    assert found.tolist() == [
        ["d", "b", "a", "d", "b"],
        ["b", "e", "c", "b", "b"],
        ["a", "c", "f", "c", "a"],
        ["d", "b", "c", "g", "b"],
        ["b", "b", "a", "b", "b"],
    ]


@needs_wordnet
def test_a_class_that_no_table_has_comes_from_wordnets_files(nltk_reader):
    """A noun outside the table, with its hypernyms, and the same similarity as nltk's."""
    node = nltk_reader.synset("quetzal.n.02")
    wnid = f"n{node.offset():08d}"
    assert wnid not in read_taxonomy().hypernyms
    assert names([wnid]) == {wnid: "quetzal"}
    assert lch_similarity(wnid, DOG) == pytest.approx(node.lch_similarity(nltk_reader.synset("dog.n.01")), abs=1e-12)
    with pytest.raises(InputError, match="n00000007: not in the WordNet taxonomy"):
        taxonomy_of([wnid, "n00000007"])


def test_a_matrix_of_ones_own_is_a_model(tmp_path):
    """CSV or Parquet, any order of classes; what it lacks is left out with a warning."""
    classes = IMAGENET[:6]
    values = np.abs(np.subtract.outer(np.arange(6.0), np.arange(6.0)))
    file = tmp_path / "words.csv"
    pd.DataFrame(values, classes, classes).iloc[::-1, ::-1].to_csv(file)
    found = model_rdm("words", classes, file)
    assert found.classes == tuple(classes)
    np.testing.assert_array_equal(found.square(), values)
    with pytest.warns(UserWarning, match="1 of 7 classes are not in the model words"):
        assert len(model_rdm("words", [*classes, DOG], file)) == 6
    with pytest.raises(InputError, match="2 of the 3 classes"):
        model_rdm("words", [*classes[:2], DOG], file)


@pytest.mark.parametrize("classes", ["published", "imagenet"])
def test_small_category_sets_are_as_large_as_the_posters_and_agree_with_the_categories(classes):
    table = pd.read_csv(MANIFESTS / f"small_categories_{classes}.csv", comment="#").set_index("wnid")
    listed = (MANIFESTS / "class_lists" / f"{classes}.txt").read_text().split()
    of = wnids_of_synsets()
    assert set(table.index) <= {of.get(name, name) for name in listed}
    assert 25 <= len(table) <= 34 and 9 <= table.category.nunique() <= 11
    assert (table.category.value_counts() == 3).all()
    assert categories(list(table.index)) == table.category.to_dict()


def test_a_table_of_categories_is_a_model_of_its_classes(tmp_path):
    """Its classes alone, in the experiment's order, whatever else is tested; `other` is no category."""
    file = MANIFESTS / "small_categories_imagenet.csv"
    table = pd.read_csv(file, comment="#").set_index("wnid")
    with pytest.warns(UserWarning, match="967 of 1000 classes"):
        found = model_rdm("small_category", IMAGENET, file)
    assert found.classes == tuple(wnid for wnid in IMAGENET if wnid in table.index)
    of = table.category.loc[list(found.classes)].to_numpy()
    np.testing.assert_array_equal(found.square(), of[:, None] != of)
    mine = tmp_path / "mine.csv"
    rows = [f"{wnid},{name}" for wnid, name in zip(IMAGENET, ["sea", "sea", "sky", "sky", "other"], strict=False)]
    mine.write_text("# by me\nwnid,category\n" + "\n".join(rows))
    assert read_matrix(mine).classes == tuple(IMAGENET[:4])
    mine.write_text("wnid,category\n" + "\n".join([*rows, f"{IMAGENET[9]},"]))
    with pytest.raises(InputError, match=f"no category of {IMAGENET[9]}"):
        read_matrix(mine)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.rename(columns={"b": "x"}), "different classes"),
        (lambda table: table.assign(a=[0, 5, 2, 3]), "not symmetric"),
        (lambda table: table.assign(a=[1, 1, 2, 3]), "diagonal"),
        (lambda table: table.assign(a=["0", "one", "2", "3"]), "one"),
    ],
)
def test_a_matrix_that_is_none_is_refused_by_name(tmp_path, change, message):
    values = np.abs(np.subtract.outer(np.arange(4.0), np.arange(4.0)))
    file = tmp_path / "mine.csv"
    change(pd.DataFrame(values, list("abcd"), list("abcd"))).to_csv(file)
    with pytest.raises(InputError, match=rf"mine\.csv.*{message}"):
        read_matrix(file)


def test_an_embedding_is_a_model(tmp_path):
    """One row a class; the distance is 1 - Pearson's correlation of the dimensions; columns of text are left out."""
    values = np.random.default_rng(0).random((5, 7))
    table = pd.DataFrame(values, IMAGENET[:5], [f"d{i}" for i in range(7)])
    file = tmp_path / "spose.csv"
    table.assign(noun=list("vwxyz"))[["noun", *table.columns]].to_csv(file, index_label="wnid")
    found = model_rdm("spose", IMAGENET[1:5], file)
    np.testing.assert_allclose(found.square(), 1 - np.corrcoef(values[1:]), atol=1e-12)
    for bad, message in (
        (table.where(table > table.min().min()), "missing in dimension d"),
        (table[["d0", "d1"]], "2 columns of numbers"),
        (pd.concat([table, table[:1]]), f"duplicate class {IMAGENET[0]}"),
    ):
        bad.to_csv(file)
        with pytest.raises(InputError, match=rf"spose\.csv.*{message}"):
            read_matrix(file)


@needs_wordnet
def test_taxonomy_is_nltks(nltk_reader):
    """Names, hypernyms and instance hypernyms of every node, and the depth of the whole noun taxonomy."""
    table = synsets()
    for row in table.itertuples():
        node = nltk_reader.synset_from_pos_and_offset("n", int(row.wnid[1:]))
        above = {f"n{a.offset():08d}" for a in node.hypernyms() + node.instance_hypernyms()}
        assert (row.synset, set(row.hypernyms.split())) == (node.name(), above)
    if ("n", False) not in nltk_reader._max_depth:  # a search through all nouns, which similarities ask for too
        nltk_reader._compute_max_depth("n", False)
    assert read_taxonomy().max_depth == nltk_reader._max_depth["n", False] == 19


@needs_wordnet
def test_script_reproduces_its_tables_byte_for_byte(tmp_path):
    made = ("wordnet_taxonomy.csv", "categories.csv", "WORDNET_LICENSE")
    (tmp_path / "class_lists").mkdir()
    for path in DATA.glob("*.csv"):
        if path.name not in made:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    script = [sys.executable, str(MANIFESTS / "make_taxonomy.py"), "--data", str(tmp_path)]
    subprocess.run([*script, "--wordnet", str(WORDNET)], check=True, capture_output=True)
    for name in made:
        assert (tmp_path / name).read_bytes() == (DATA / name).read_bytes(), name


def test_script_without_wordnet_says_what_to_install(tmp_path):
    script = [sys.executable, str(MANIFESTS / "make_taxonomy.py"), "--data", str(tmp_path)]
    done = subprocess.run([*script, "--wordnet", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 1
    assert "wordnet-base" in done.stderr
    assert "Traceback" not in done.stderr


def test_taxonomy_holds_every_class_with_all_ways_up_to_entity():
    taxonomy = read_taxonomy()
    published = (MANIFESTS / "class_lists" / "published.txt").read_text().split()
    world = pd.read_csv(DATA / "world_classes.csv")
    assert (len(set(IMAGENET)), len(set(published)), len(world)) == (1000, 256, 48)
    wnids = [*IMAGENET, *(wnids_of_synsets()[s.lower()] for s in published), *world.wnid]
    assert not [wnid for wnid in wnids if "n00001740" not in taxonomy.distances_above(wnid)]
    assert taxonomy.nouns["n00001740"] == "entity"
    # dog.n.01 is a canine and a domestic animal: both ways must be there (nltk's howto, hypernym_paths).
    assert {"n02083346", "n01317541"} <= set(taxonomy.distances_above(DOG))


def test_names_are_wordnets_first_words():
    assert names([CAT, DOG, "n02123597"]) == {CAT: "cat", DOG: "dog", "n02123597": "Siamese cat"}


def test_unknown_wnids_are_named_with_the_remedy():
    with pytest.raises(InputError, match=r"n99999999: not in the WordNet taxonomy; .*make_taxonomy"):
        lch_rdm([DOG, "n99999999"])
    with pytest.raises(InputError, match=r"x0, x1, x2, x3, x4 and 2 more: not in"):
        names([f"x{i}" for i in range(7)])


# --- categories ---


def test_categories_of_well_known_things():
    expected = {
        DOG: "animal",
        CAT: "animal",
        "n01440764": "animal",
        "n02690373": "vehicle",
        "n03201208": "furniture",
        "n02676566": "musical instrument",
        "n03481172": "tool",
        "n07753592": "food",
        "n07920052": "drink",
        "n11939491": "plant",
        "n10148035": "person",
        "n03595614": "clothing",
        "n03028079": "building",
        "n02823428": "container",
        "n04074963": "device",
        "n09472597": "natural object",
    }
    assert categories(list(expected)) == expected


def test_every_class_has_a_category_and_few_have_none_that_fits():
    of = categories(IMAGENET)
    assert len(of) == 1000
    assert sum(category == "other" for category in of.values()) < 30
    assert len(set(of.values())) >= 15


def test_category_rdm_is_zero_within_and_one_between(tmp_path):
    table = tmp_path / "classes.csv"
    table.write_text("wnid,noun,category\nx1,a,red\nx2,b,blue\nx3,c,red\n")
    rdm = category_rdm(["x1", "x2", "x3"], table)
    assert rdm.classes == ("x1", "x2", "x3")
    assert rdm.values.tolist() == [1, 0, 1]
    with pytest.raises(InputError, match=r"classes\.csv: no category of x9"):
        category_rdm(["x1", "x9"], table)
    with pytest.raises(ValueError, match="duplicate class x1"):
        category_rdm(["x1", "x1"], table)
    table.write_text("wnid,category\n" + "".join(f"x{i},red\n" for i in range(5)))
    with pytest.raises(InputError, match=r"classes\.csv: 5 of the 5 classes .* not all alike"):
        model_rdm("category", [f"x{i}" for i in range(5)], table)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wnid,noun\nx1,a\n", "no column category"),
        ("wnid,category\nx1,a\nx1,b\n", "two rows of wnid x1"),
        (None, "not readable"),
    ],
)
def test_bad_tables_are_refused_by_name(tmp_path, text, message):
    table = tmp_path / "mine.csv"
    if text is not None:
        table.write_text(text)
    with pytest.raises(InputError, match=rf"mine\.csv: .*{message}|mine\.csv: {message}"):
        categories(["x1"], table)


def test_categories_by_anchors_are_those_of_the_table():
    """The script that made the table and the package agree on every class."""
    rows = pd.read_csv(DATA / "categories.csv", comment="#", keep_default_na=False)
    assert anchored_categories(rows.wnid.tolist()) == dict(zip(rows.wnid, rows.category, strict=True))


@needs_wordnet
def test_a_class_that_the_table_lacks_gets_its_nearest_anchor(nltk_reader):
    """A quetzal is an animal."""
    wnid = f"n{nltk_reader.synset('quetzal.n.02').offset():08d}"
    assert categories([wnid, DOG]) == {wnid: "animal", DOG: "animal"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wnid,synset,noun,hypernyms\nn1,a.n.01,a,\n", "noun_max_depth"),
        ("# noun_max_depth: 19\nwnid,synset,noun,hypernyms\nn1,a.n.01,a,n0\n", "names n0 as hypernyms"),
    ],
)
def test_broken_taxonomies_are_refused(tmp_path, text, message):
    path = tmp_path / "taxonomy.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_taxonomy(path)


# --- published numbers ---


def test_published_results_are_those_on_the_poster():
    results = pd.read_csv(MANIFESTS / "published_results.csv").set_index(["network", "model", "control"])
    accuracy = pd.read_csv(MANIFESTS / "published_accuracy.csv").set_index("network")
    # The poster's table: top-1 accuracy, Mantel test, partial Mantel test.
    for network, top1, simple, partial in (
        ("cmc_lab_imagenet", 0.4260, 0.1196, -0.02184),
        ("cmc_lab_movies", 0.3238, 0.1403, 0.0001595),
        ("semantic_60s", 0.0189, 0.2668, 0.2195),
    ):
        assert accuracy.loc[network, "top1_accuracy"] == top1
        assert results.loc[(network, "lch", "none"), "mantel_r"] == pytest.approx(simple, abs=1.1e-4)
        assert results.loc[(network, "lch", "random"), "mantel_r"] == partial
    assert (results["layer"] == "conv5").all()
    assert len(results) == 22
    assert results.source.str.len().min() > 0


def test_published_results_are_those_of_the_reference_table():
    reference = SHARED / "reference" / "published_mantel_conv5.csv"
    if not reference.is_file():
        pytest.skip("the reference tables are not beside the checkout")
    ours = pd.read_csv(MANIFESTS / "published_results.csv")
    pd.testing.assert_frame_equal(ours.drop(columns=["lag_s", "layer", "source"]), pd.read_csv(reference))


@pytest.mark.parametrize("sign", [",", ";", "\t"])
@pytest.mark.parametrize("above", ["", "\ufeff", "\ufeff# mine\n\n"])
def test_models_of_people_are_read_however_they_are_saved(tmp_path, sign, above):
    """A table of categories and a square of distances."""
    table = "wnid,category\nn1,a\nn2,b\nn3,a\n".replace(",", sign)
    (tmp_path / "a.csv").write_text(above + table, encoding="utf-8")
    assert read_matrix(tmp_path / "a.csv").values.tolist() == [1, 0, 1]
    assert categories(["n2", "n1"], tmp_path / "a.csv") == {"n2": "b", "n1": "a"}
    square = ",n1,n2\nn1,0,0.5\nn2,0.5,0\n".replace(",", sign)
    (tmp_path / "b.csv").write_text(above + square, encoding="utf-8")
    assert read_matrix(tmp_path / "b.csv").values.tolist() == [0.5]
