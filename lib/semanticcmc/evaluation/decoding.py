"""Class accuracy of features: nearest neighbours and a linear probe, cross-validated within the stimuli.

Accuracy is the mean over classes of the share of a class's images that are recognised (balanced accuracy), so
that chance is 1 / classes however many images each class has.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from scipy.special import stdtrit

from semanticcmc.rsa.bootstrap import bootstrap_counts, bootstrap_interval
from semanticcmc.rsa.semantics import NO_CATEGORY

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from sklearn.pipeline import Pipeline


def _recognised(classifier, features: ArrayLike, labels: ArrayLike, folds: int) -> NDArray[np.float64]:
    """Share of each class's images that are recognised when left out; NaN, with a warning, where that cannot be had.

    Folds are stratified, never more than the smallest class has images.
    """
    from sklearn.metrics import recall_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    x, y = np.asarray(features, dtype=np.float64), np.asarray(labels)
    if x.ndim != 2 or len(x) != len(y):
        raise ValueError(f"features {x.shape} and labels {y.shape}: expected (N, d) and (N,)")
    if folds < 2:
        raise ValueError(f"folds {folds}: at least 2")
    classes, counts = np.unique(y, return_counts=True)
    if len(classes) < 2 or counts.min() < 2:
        few = f"{(counts < 2).sum()} of {len(classes)} classes have one image: none is left to test on"
        why = few if len(classes) > 1 else f"{len(classes)} class: nothing to tell apart"
        warnings.warn(f"no class accuracy (NaN): {why}", RuntimeWarning, stacklevel=2)
        return np.full(len(classes), math.nan)
    split = StratifiedKFold(min(folds, int(counts.min())), shuffle=True, random_state=0)
    predicted = cross_val_predict(classifier, x, y, cv=split)
    return recall_score(y, predicted, labels=classes, average=None, zero_division=0)


def knn_accuracy(features: ArrayLike, labels: ArrayLike, neighbours: int, folds: int) -> NDArray[np.float64]:
    """Accuracy of each class by the `neighbours` most similar images by cosine, of other folds.

    Features are (N, d), labels (N,). Each neighbour votes for its class; of classes with as many votes the lowest label
    wins. There are at most as many neighbours as the smallest class has images to learn from; folds are stratified, at
    most the images of that class. Returned is an array of float64, shape (classes,): in the order of the sorted labels;
    NaN, with a warning that says why, where a class has one image.
    """
    from sklearn.neighbors import KNeighborsClassifier

    smallest = int(np.unique(np.asarray(labels), return_counts=True)[1].min())
    learned_from = smallest - math.ceil(smallest / max(min(folds, smallest), 1))
    classifier = KNeighborsClassifier(min(neighbours, max(learned_from, 1)), metric="cosine")
    return _recognised(classifier, features, labels, folds)


def linear_probe() -> Pipeline:
    """Multinomial logistic regression (L2 with C = 1, by L-BFGS) on standardised features, not yet fitted."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=500))


def linear_probe_accuracy(features: ArrayLike, labels: ArrayLike, folds: int) -> NDArray[np.float64]:
    """Accuracy of each class by `linear_probe`, whose features are standardised within each fold; as `knn_accuracy`."""
    return _recognised(linear_probe(), features, labels, folds)


def category_readout(
    features: ArrayLike, class_index: ArrayLike, categories: Sequence[str], folds: int
) -> NDArray[np.float64]:
    """Linear read-out of category on classes that were held out: does a new class fall to its kind?

    No distance and no model of distances is involved. `linear_probe` learns the categories from the images of some
    classes and names those of others, so that it cannot know a category by the looks of one of its classes. Raises
    ValueError if there is one category, or one of them has a single class. Returned is an array of float64, shape
    (classes,): share of each class's images that are named rightly when it is held out; NaN for a class without images.

    Parameters
    ----------
    features : array, shape (N, d)
        One row an image, or a class.
    class_index : array of int, shape (N,)
        Class of each row, as a position in `categories`.
    categories : sequence of str
        Category of each class.
    folds : int
        Groups of whole classes, of each category as alike in number as can be; at most as many as the smallest
        category has classes.
    """
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

    x, groups = np.asarray(features, dtype=np.float64), np.asarray(class_index)
    y = np.asarray(categories)[groups]
    names, counts = np.unique(np.asarray(categories)[np.unique(groups)], return_counts=True)
    if len(names) < 2 or counts.min() < 2:
        few = ", ".join(names[counts < 2]) or "all classes"
        raise ValueError(
            f"{few}: a single class, or the only category; 2 categories of 2 classes are needed to hold out"
        )
    split = StratifiedGroupKFold(min(folds, int(counts.min())), shuffle=True, random_state=0)
    right = cross_val_predict(linear_probe(), x, y, cv=split, groups=groups) == y
    return pd.Series(right).groupby(groups).mean().reindex(range(len(categories))).to_numpy(np.float64)


def readout_table(
    features: ArrayLike, class_index: ArrayLike, category: Mapping[str, str], folds: int, confidence: float
) -> pd.DataFrame:
    """`category_readout` with its interval over classes: ``measure, accuracy, ci_low, ci_high, classes``.

    The measures are ``category_readout``, a mean over categories, and ``chance``; no row without two categories of two
    classes. `category` is of each class, in the order of `class_index`; classes without one, or alone in it, are left
    out. The interval is Student's, of classes drawn from each category (strata), its freedom by Satterthwaite.
    """
    of = pd.Series(category.values())
    counts = of[of != NO_CATEGORY].value_counts()
    kept = np.flatnonzero(of.isin(counts.index[counts > 1]))
    if of[kept].nunique() < 2:
        return pd.DataFrame(columns=["measure", "accuracy", "ci_low", "ci_high", "classes"])
    some = np.isin(class_index, kept)
    place = np.searchsorted(kept, np.asarray(class_index)[some])
    right = category_readout(np.asarray(features)[some], place, of[kept].tolist(), folds)
    groups = pd.Series(right).groupby(of[kept].to_numpy())
    means, variances, freedom = groups.mean(), groups.var() / groups.size(), groups.size() - 1
    accuracy, error = means.mean(), math.sqrt(variances.sum()) / len(means)
    half = error and error * stdtrit(variances.sum() ** 2 / (variances**2 / freedom).sum(), 0.5 + confidence / 2)
    rows = [("category_readout", accuracy, accuracy - half, accuracy + half, len(kept))]
    rows += [("chance", 1 / len(means), math.nan, math.nan, len(kept))]
    return pd.DataFrame(rows, columns=["measure", "accuracy", "ci_low", "ci_high", "classes"])


def accuracy_table(
    features: ArrayLike, labels: ArrayLike, neighbours: int, folds: int, samples: int, confidence: float, seed: int
) -> pd.DataFrame:
    """Class accuracy by measure with its interval over classes: rows of ``tables/accuracy.csv``.

    Features, labels, neighbours and folds are as in `knn_accuracy`; `samples` are bootstrap samples of the classes, the
    same as those of `bootstrap.intervals` with this seed (0: no interval). Returned is a DataFrame: ``measure`` (knn,
    linear_probe, chance), ``accuracy``, ``ci_low``, ``ci_high``. The interval says how much accuracy depends on which
    classes there are, with the classifier as it was fitted; chance has none.
    """
    measured = {
        "knn": knn_accuracy(features, labels, neighbours, folds),
        "linear_probe": linear_probe_accuracy(features, labels, folds),
    }
    rows = []
    for measure, by_class in measured.items():
        low, high = class_interval(by_class, samples, confidence, seed)
        rows.append((measure, float(by_class.mean()), low, high))
    rows.append(("chance", 1 / len(np.unique(labels)), math.nan, math.nan))
    return pd.DataFrame(rows, columns=["measure", "accuracy", "ci_low", "ci_high"])


def class_interval(by_class: NDArray[np.float64], samples: int, confidence: float, seed: int) -> tuple[float, float]:
    """Bootstrap interval of the mean over classes, drawn with replacement; NaN without samples."""
    if samples == 0:
        return math.nan, math.nan
    means = bootstrap_counts(len(by_class), samples, seed) @ torch.from_numpy(by_class) / len(by_class)
    low, high = bootstrap_interval(means, confidence)
    return float(low), float(high)
