"""Class accuracy against Bayes' closed form, against cases solved by hand, and against its own invariances."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from scipy import stats
from scipy.stats import norm

from semanticcmc.evaluation import decoding
from semanticcmc.evaluation.decoding import (
    accuracy_table,
    category_readout,
    class_interval,
    linear_probe_accuracy,
    readout_table,
)


def linear_probe(x, y, folds=5):
    return linear_probe_accuracy(x, y, folds).mean()


def knn_accuracy(x, y, neighbours, folds):
    return decoding.knn_accuracy(x, y, neighbours, folds).mean()


CLASSIFIERS = [
    pytest.param(lambda x, y, folds=5: knn_accuracy(x, y, neighbours=5, folds=folds), id="knn"),
    pytest.param(linear_probe, id="linear_probe"),
]


def clusters(n_classes=6, n=20, width=12, spread=0.1, seed=0):
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(n_classes), n)
    return rng.normal(size=(n_classes, width))[y] + spread * rng.normal(size=(len(y), width)), y


@pytest.mark.parametrize("accuracy", CLASSIFIERS)
def test_classes_far_apart_are_all_told_apart(accuracy):
    x, y = clusters()
    assert accuracy(x, y) == 1.0


@pytest.mark.parametrize("accuracy", CLASSIFIERS)
def test_noise_is_at_chance_though_it_can_be_learned_by_heart(accuracy):
    """400 features of 240 images separate any labels in the sample; only left-out images tell the truth."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(240, 400)), np.repeat(np.arange(6), 40)
    chance = 1 / len(np.unique(y))
    error = math.sqrt(chance * (1 - chance) / len(y))
    assert accuracy(x, y) == pytest.approx(1 / 6, abs=4 * error)


@pytest.mark.parametrize("separation", [1.0, 2.0])
def test_linear_probe_reaches_bayes_accuracy_of_two_gaussians(separation):
    """N(+-s/2, 1) along one axis: no classifier exceeds Phi(s / 2), and the best one is linear."""
    rng = np.random.default_rng(2)
    y = np.repeat([0, 1], 2000)
    x = rng.normal(size=(4000, 3))
    x[:, 1] += separation * (y - 0.5)
    bayes = norm.cdf(separation / 2)
    assert linear_probe(x, y) == pytest.approx(bayes, abs=4 * math.sqrt(bayes * (1 - bayes) / 4000))


def test_knn_by_hand():
    """On a circle: each image's nearest by angle is of its own class, but for two classes that interleave."""
    degrees = {"a": [0, 1, 2, 3], "b": [90, 91, 92, 93], "c": [180, 182, 184, 186], "d": [181, 183, 185, 187]}
    angles = np.deg2rad(np.concatenate(list(degrees.values())))
    y = np.repeat(np.arange(4), 4)
    x = np.column_stack([np.cos(angles), np.sin(angles)])
    # With every image left out in turn (16 folds are more than 4 a class allow, so 4), a and b are certain;
    # c and d sit one degree from the other class and two from their own.
    got = knn_accuracy(x, y, neighbours=1, folds=16)
    assert got == pytest.approx(0.5 + 0.5 * np.mean(left_out_knn(x, y)[8:]), abs=1e-12)


def left_out_knn(x, y):
    """Nearest by angle among the images of the other folds, written out; the folds are scikit-learn's."""
    from sklearn.model_selection import StratifiedKFold

    right = np.zeros(len(y))
    for train, test in StratifiedKFold(4, shuffle=True, random_state=0).split(x, y):
        right[test] = [y[train][np.argmax(x[train] @ one)] == y[i] for i, one in zip(test, x[test], strict=True)]
    return right


def test_knn_sees_angles_and_the_probe_no_units():
    x, y = clusters(spread=1.0)
    rng = np.random.default_rng(3)
    lengths, units = rng.uniform(0.1, 10, (len(x), 1)), rng.uniform(0.1, 10, x.shape[1])
    assert 0.3 < knn_accuracy(x, y, 5, 5) < 1
    assert knn_accuracy(x * lengths, y, 5, 5) == knn_accuracy(x, y, 5, 5)
    assert linear_probe(x * units + units, y) == pytest.approx(linear_probe(x, y), abs=0.01)


@pytest.mark.parametrize("accuracy", CLASSIFIERS)
def test_classes_with_more_images_count_no_more(accuracy):
    """All images alike: guessing the largest class is right for 90 % of images, and for one class in two."""
    y = np.array([0] * 90 + [1] * 10)
    assert accuracy(np.ones((100, 3)), y) == pytest.approx(0.5)


@pytest.mark.parametrize("accuracy", CLASSIFIERS)
def test_labels_may_have_gaps_and_any_order(accuracy):
    x, y = clusters(spread=1.0)
    order = np.random.default_rng(4).permutation(len(y))
    assert accuracy(x[order], 7 * y[order] + 3) == pytest.approx(accuracy(x, y), abs=0.08)


@pytest.mark.parametrize("accuracy", CLASSIFIERS)
def test_two_images_a_class_are_enough(accuracy):
    x, y = clusters(n=2, spread=0.01)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert accuracy(x, y, folds=5) == 1.0


@pytest.mark.parametrize("accuracy", CLASSIFIERS)
def test_one_image_a_class_gives_nan_and_says_why(accuracy):
    with pytest.warns(RuntimeWarning, match="6 of 6 classes have one image"):
        assert math.isnan(accuracy(*clusters(n=1)))
    x, y = clusters()
    y[0] = 99
    with pytest.warns(RuntimeWarning, match="1 of 7 classes have one image"):
        assert math.isnan(accuracy(x, y))
    with pytest.warns(RuntimeWarning, match="1 class: nothing to tell apart"):
        assert math.isnan(accuracy(x, np.zeros(len(x))))


def test_each_class_has_the_accuracy_of_its_own_images():
    """Two classes far apart, two that are one cloud: the mean over classes hides what each class shows."""
    rng = np.random.default_rng(5)
    y = np.repeat([3, 5, 8, 9], 50)
    x = np.array([[10, 0], [0, 10], [-10, 0], [-10, 0]])[np.repeat(np.arange(4), 50)] + 0.1 * rng.normal(size=(200, 2))
    for by_class in (decoding.knn_accuracy(x, y, 5, 5), linear_probe_accuracy(x, y, 5)):
        assert by_class[:2].tolist() == [1, 1]
        assert by_class[2:].mean() == pytest.approx(0.5, abs=0.2)


def test_interval_over_classes_is_the_spread_of_means_of_drawn_classes():
    """Against scipy's bootstrap of the mean, and against the normal limit for many classes."""
    from scipy.stats import bootstrap

    rng = np.random.default_rng(6)
    values = rng.uniform(0, 1, 60)
    theirs = bootstrap(
        [values], np.mean, n_resamples=20_000, method="percentile", confidence_level=0.9, rng=np.random.default_rng(0)
    ).confidence_interval
    found = class_interval(values, 20_000, 0.9, seed=1)
    assert found == pytest.approx([theirs.low, theirs.high], abs=0.003)
    half = norm.ppf(0.95) * values.std() / np.sqrt(60)
    assert found == pytest.approx([values.mean() - half, values.mean() + half], abs=0.004)
    assert class_interval(np.full(9, 0.3), 100, 0.9, 0) == pytest.approx((0.3, 0.3))
    assert np.isnan(class_interval(values, 0, 0.9, 0)).all()


def test_accuracy_table_has_the_names_of_the_table():
    x, y = clusters(n_classes=4)
    table = accuracy_table(x, y, 5, 5, 50, 0.95, 0).set_index("measure")
    assert table.accuracy.to_dict() == {"knn": 1.0, "linear_probe": 1.0, "chance": 0.25}
    assert table.ci_low["knn"] == table.ci_high["knn"] == 1.0
    assert np.isnan(table.loc["chance", ["ci_low", "ci_high"]].to_list()).all()
    x, y = clusters(spread=1.0)
    table = accuracy_table(x, y, 5, 5, 1000, 0.95, 0).set_index("measure").drop("chance")
    assert (table.ci_low < table.accuracy).all() and (table.accuracy < table.ci_high).all()
    with pytest.warns(RuntimeWarning, match="one image"):
        table = accuracy_table(*clusters(n=1), 5, 5, 1000, 0.95, 0).set_index("measure")
    assert table.drop("chance").isna().all(axis=None)
    assert table.accuracy["chance"] == pytest.approx(1 / 6)


def test_more_neighbours_than_images_to_learn_from():
    """Neighbours beyond those of its own class could only outvote an image's own."""
    x, y = clusters(n=2, spread=0.01)
    assert knn_accuracy(x, y, neighbours=50, folds=2) == 1.0


@pytest.mark.parametrize("accuracy", CLASSIFIERS)
def test_shapes_and_folds_are_checked(accuracy):
    x, y = clusters()
    with pytest.raises(ValueError, match="expected"):
        accuracy(x[1:], y)
    with pytest.raises(ValueError, match="folds 1"):
        accuracy(x, y, folds=1)


def categories_of_classes(shift, seed, per_category=6, images=5):
    """Images of 4 categories of classes whose looks are their own, and share `shift` of their category's."""
    rng = np.random.default_rng(seed)
    category = np.repeat(np.arange(4), per_category)
    looks = shift * rng.standard_normal((4, 20))[category] + rng.standard_normal((len(category), 20))
    of = np.repeat(np.arange(len(category)), images)
    return looks[of] + 0.1 * rng.standard_normal((len(of), 20)), of, [f"c{one}" for one in category]


def test_category_is_read_out_of_classes_that_were_held_out():
    found = category_readout(*categories_of_classes(5.0, 0), folds=6)
    assert found.shape == (24,) and found.mean() > 0.95


def test_looks_that_tell_classes_apart_say_nothing_of_the_category_of_a_new_class():
    """Within classes it would be perfect: only because a class is held out as a whole, it is chance."""
    found = [category_readout(*categories_of_classes(0.0, seed), folds=6).mean() for seed in range(12)]
    assert np.mean(found) == pytest.approx(0.25, abs=4 * np.std(found) / np.sqrt(12))
    x, of, category = categories_of_classes(0.0, 0)
    assert linear_probe_accuracy(x, np.asarray(category)[of], 5).mean() > 0.95


def test_a_category_of_one_class_cannot_be_held_out():
    x, of, category = categories_of_classes(1.0, 0)
    with pytest.raises(ValueError, match="lonely: a single class"):
        category_readout(x, of, ["lonely", *category[1:]], 5)
    with pytest.raises(ValueError, match="the only category"):
        category_readout(x, of, ["one"] * len(category), 5)


def test_the_interval_of_the_readout_is_welchs_over_classes():
    x, of, category = categories_of_classes(0.7, 3)
    keep = np.asarray(of) < 12  # two categories: half of the sum of two means
    names = dict(zip((f"n{i}" for i in range(12)), category[:12], strict=True))
    table = readout_table(x[keep], np.asarray(of)[keep], names, 3, 0.9).set_index("measure")
    right = category_readout(x[keep], np.asarray(of)[keep], category[:12], 3)
    welch = stats.ttest_ind(right[:6], -right[6:], equal_var=False).confidence_interval(0.9)
    found = table.loc["category_readout"]
    assert found.accuracy == pytest.approx(right.mean())
    assert (found.ci_low, found.ci_high) == pytest.approx((welch.low / 2, welch.high / 2))
    assert table.accuracy["chance"] == 0.5 and (table.classes == 12).all()


def test_classes_without_a_category_or_alone_in_theirs_are_not_read_out():
    x, of, category = categories_of_classes(5.0, 0)
    names = {f"n{i}": one for i, one in enumerate(category)} | {"n0": "other", "n1": "lonely"}
    table = readout_table(x, of, names, 5, 0.95)
    assert (table.classes == 22).all() and table.accuracy[0] > 0.9
    assert readout_table(x, of, dict.fromkeys(names, "other"), 5, 0.95).empty
