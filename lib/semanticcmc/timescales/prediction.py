r"""At which lag can meaning be learned? A lag curve predicted from labels, before any network is trained.

An ideal contrastive learner's similarity of two things is how much more often than by chance they are shown
a lag apart: their pointwise mutual information for InfoNCE (van den Oord et al. 2018; Levy & Goldberg 2014), and for
the spectral form of the loss (HaoChen et al. 2021; Tan et al. 2024) the kernel

.. math:: K_{ij} = \frac{J_{ij} - p_i p_j}{\sqrt{p_i p_j}},

J the share of label pairs (i, j) a lag apart, made symmetric, p its margin. The two agree to first order; K weighs a
pair by how often it occurs, so that rare ones add no noise, and its truncated positive part is the learner's embedding.

What a network of finite training then shows of it is attenuated. The association of different labels carries

.. math:: I = \frac12 \sum_{i \ne j} K_{ij}^2

nats (the mutual information to first order), against `NOISE`, what a network distinguishes without having learned it,
and against what it learns instead: at a short lag the two views look alike, and pairing them by looks teaches which
thing is which, not what belongs together. With :math:`a` the share of the pairing that looks explain, the predicted
correlation is

.. math:: r = r_K \sqrt{\frac{I}{I + N + A a^2}},

:math:`r_K` the Mantel correlation of the embedding's distances with the model. N and A are fitted once, to the default
miniature world with its recipe (``validation/prediction.py``): for other recipes the curve's height means little, the
lag of its peak is the prediction.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
import pandas as pd

from semanticcmc.config import DISTINCT, SOME, Confidence, Count, InputError, Positive, Section, read_text_table
from semanticcmc.experiment import Experiment
from semanticcmc.labels.nouns import label_nouns
from semanticcmc.labels.stream import LabelsConfig, LabelStream, frequencies, label_stream
from semanticcmc.rsa.mantel import mantel_table
from semanticcmc.rsa.permutation import holm
from semanticcmc.rsa.rdm import FEWEST_CLASSES, RDM
from semanticcmc.run import Watch
from semanticcmc.timescales.curves import LEVELS, TimescalesConfig
from semanticcmc.timescales.pairs import LabelPairs, label_pairs

# Fitted to the default miniature world alone, by validation/prediction.py, and not touched since.
NOISE = 12.5  # N, nats
LOOKS = 500.0  # A, nats


@dataclasses.dataclass(frozen=True)
class PredictionConfig(Section):
    """How a lag curve is predicted from labels: section ``prediction`` of an experiment, explained in base.yaml."""

    lags_s: Annotated[tuple[Positive, ...], SOME, DISTINCT]
    permutations: Count
    bootstrap_samples: Count
    confidence: Confidence
    seed: int


@dataclasses.dataclass(frozen=True)
class Prediction:
    """A predicted lag curve and the lag that it recommends.

    Attributes
    ----------
    curve : DataFrame
        `model, lag_s, association_r` (Mantel correlation of the embedding's RDM with the model), `p` (its
        one-sided test), `information_nats`, `looks` (share of the pairing that looks explain),
        `predicted_r, ci_low, ci_high`; one row a model and lag.
    best : DataFrame
        `model, lag_s, ci_low_s, ci_high_s, p_holm`: lag of the largest predicted_r, the interval of that lag over
        bootstrap samples, and the least p of association_r, by Holm's correction over the lags. There always is a
        largest value: where p_holm is not small, no lag is recommended.
    association : RDM, optional
        Distances that the films' associations give at the recommended lag: the evaluation's model ``association``.
    """

    curve: pd.DataFrame
    best: pd.DataFrame
    association: RDM | None = None

    @property
    def recommended(self) -> pd.DataFrame:
        """Rows of `best` whose lag can be recommended: p_holm below .05."""
        return self.best[self.best["p_holm"] < 0.05]


def association_kernel(together: np.ndarray) -> np.ndarray:
    """Kernel K of the module, from counts of label pairs (`LabelPairs.both` summed over films), (L, L).

    It is symmetric, whichever label came first, and 0 in rows of labels that never occur. Its eigenvalues are
    correlations, from -1 to 1 (of correspondence analysis; Greenacre 1984).
    """
    joint = together + together.T.astype(np.float64)
    joint /= max(joint.sum(), 1.0)
    margin = joint.sum(axis=1)
    chance = np.outer(margin, margin)
    return np.divide(joint - chance, np.sqrt(chance), out=np.zeros_like(joint), where=chance > 0)


def embedding(kernel: np.ndarray, dimensions: int) -> np.ndarray:
    """The learner's embedding of each label: ``embedding @ embedding.T`` is nearest to `kernel`, (L, <= dimensions).

    The eigenvectors of the largest positive eigenvalues, each times the root of its value (Eckart & Young 1936).
    """
    values, vectors = np.linalg.eigh(kernel)
    largest = np.argsort(values)[::-1][:dimensions]
    largest = largest[values[largest] > 0]
    return vectors[:, largest] * np.sqrt(values[largest])


def association_rdm(together: np.ndarray, wnids: Sequence[str], dimensions: int) -> RDM:
    """Distances, 1 - cosine, of labels in the learner's embedding; 1 from a label that has none."""
    return _cosine_rdm(embedding(association_kernel(together), dimensions), wnids)


def _cosine_rdm(vectors: np.ndarray, names: Sequence[str]) -> RDM:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
    cosines = np.clip(unit @ unit.T, -1, 1)
    np.fill_diagonal(cosines, 1)
    return RDM(1 - cosines, tuple(names))


def as_wnids(stream: LabelStream, wnids: Mapping[str, str]) -> LabelStream:
    """The stream with each label as its wnid; labels without one are dropped, and two of one wnid become one."""
    labels = stream.labels.assign(label=stream.labels["label"].astype(object).map(dict(wnids)))
    return label_stream(labels[labels["label"].notna()], stream.times)


def predicted_lag_curve(
    pairs: LabelPairs,
    models: Mapping[str, RDM],
    config: PredictionConfig,
    dimensions: int,
    looks: pd.DataFrame | None = None,
    watch: Watch = iter,
) -> Prediction:
    """Predict how much of each model networks would show if trained at each lag.

    Raises InputError if fewer than two films are longer than the shortest lag, or fewer than four classes of a model
    occur.

    Parameters
    ----------
    pairs : LabelPairs
        Of labels named as the models' classes (`as_wnids`); lag 0 is not predicted.
    models : mapping of str to RDM
        Semantic models, each of its own classes; those that are no label are left out.
    dimensions : int
        Of the learner's embedding, the networks' ``embedding_dim``.
    looks : DataFrame, optional
        `lag_s, value`: how much of the pairing looks alone explain, from 0 to 1, as "appearance" above the
        corpus base rate (`appearance`); between its lags interpolated. Without it the persistence of the labels
        is used: how much more often than by chance a label is followed by itself.

    Returns
    -------
    Prediction
        Lags that no two films reach are left out.
    """
    kept = [k for k in range(1, len(pairs.lags_s)) if (pairs.count[k] > 0).sum() > 1]
    if not kept:
        raise InputError(f"no two films with labels are longer than {pairs.lags_s[1:].min():g} s")
    shared = {name: rdm.subset([wnid for wnid in rdm.classes if wnid in pairs.names]) for name, rdm in models.items()}
    for name, rdm in shared.items():
        if len(rdm) < FEWEST_CLASSES:
            raise InputError(
                f"{len(rdm)} of the {len(models[name])} classes of the model {name} are among the "
                f"labels, at least {FEWEST_CLASSES} are needed"
            )
    counts, lags_s, films = pairs.both[kept], pairs.lags_s[kept], len(pairs.movies)
    explained = None
    if looks is not None:  # linear in the logarithm of lag + 1 s, held at the ends
        looks = looks.sort_values("lag_s")
        explained = np.clip(np.interp(np.log1p(lags_s), np.log1p(looks["lag_s"]), looks["value"]), 0, 1)

    def predict(weights: np.ndarray) -> tuple[list[RDM], np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """RDMs, information, looks, association_r and predicted_r where each film counts as often as its weight."""
        rdms, information, persistence = _learned(counts, weights, pairs.names, dimensions)
        by_looks = persistence if explained is None else explained
        r = _correlations(rdms, shared)
        return rdms, information, by_looks, r, r * np.sqrt(information / (information + NOISE + LOOKS * by_looks**2))

    rdms, information, by_looks, association_r, predicted = predict(np.ones(films))
    p = []
    for model in shared.values():
        of_lags = dict(enumerate(rdm.subset(model.classes) for rdm in rdms))
        table = mantel_table(of_lags, {"": model}, permutations=config.permutations, seed=config.seed)
        p.append(table["p"].to_numpy())
    generator = np.random.default_rng(config.seed)
    draws = generator.multinomial(films, np.full(films, 1 / films), size=config.bootstrap_samples)
    samples = np.array([predict(draw)[-1] for draw in watch(draws)])
    tail = (1 - config.confidence) / 2
    # Fewer different films make a noisier association, so bootstrap samples lie lower: only their spread is taken.
    ci_low, ci_high = predicted + np.quantile(samples - samples.mean(axis=0), [tail, 1 - tail], axis=0)
    curve = pd.DataFrame(
        {
            "model": np.repeat(list(shared), len(lags_s)),
            "lag_s": np.tile(lags_s, len(shared)),
            "association_r": association_r.ravel(),
            "p": np.concatenate(p),
            "information_nats": np.tile(information, len(shared)),
            "looks": np.tile(by_looks, len(shared)),
            "predicted_r": predicted.ravel(),
            "ci_low": ci_low.ravel(),
            "ci_high": ci_high.ravel(),
        }
    )
    # Quantiles that are themselves lags of the grid.
    first, last = np.quantile(lags_s[samples.argmax(axis=2)], [tail, 1 - tail], axis=0, method="inverted_cdf")
    p_holm = [np.nanmin([1.0, *holm(of_model)]) for of_model in p]
    interval = {"ci_low_s": first, "ci_high_s": last, "p_holm": p_holm}
    best = pd.DataFrame({"model": list(shared), "lag_s": lags_s[predicted.argmax(axis=1)]} | interval)
    return Prediction(curve, best)


def _learned(
    counts: np.ndarray, weights: np.ndarray, names: tuple[str, ...], dimensions: int
) -> tuple[list[RDM], np.ndarray, np.ndarray]:
    """RDM, information in nats and mean persistence of the same label, by lag.

    `counts` is (lags, films, labels, labels); `weights` says how often each film counts.
    """
    upper = np.triu_indices(len(names), 1)
    rdms, information, persistence = [], [], []
    for of_lag in counts:
        kernel = association_kernel(np.tensordot(weights, of_lag, 1))
        vectors = embedding(kernel, dimensions)
        rdms.append(_cosine_rdm(vectors, names))
        information.append(np.square((vectors @ vectors.T)[upper]).sum())  # half of both triangles
        persistence.append(np.clip(kernel.diagonal().mean(), 0, 1))
    return rdms, np.array(information), np.array(persistence)


def _correlations(rdms: Sequence[RDM], models: Mapping[str, RDM]) -> np.ndarray:
    """Pearson correlation of each RDM with each model, of the model's classes, (models, lags); 0 for a constant RDM."""

    def standard(rows: list[np.ndarray]) -> np.ndarray:
        centred = np.array(rows) - np.mean(rows, axis=1, keepdims=True)
        length = np.linalg.norm(centred, axis=1, keepdims=True)
        return np.divide(centred, length, out=np.zeros_like(centred), where=length > 1e-9)

    found = []
    for model in models.values():
        of_lags = standard([rdm.subset(model.classes).values for rdm in rdms])
        found.append(standard([model.values]) @ of_lags.T)
    return np.concatenate(found)


def labels_as_wnids(experiment: Experiment, stream: LabelStream) -> LabelStream:
    """An experiment's labels with each noun as its wnid: the world's own nouns, else those of `label_nouns`.

    Of the films' labels the most frequent ones, as many as ``timescales.labels`` says. Raises InputError if no label is
    a noun.
    """
    if experiment.source == "world":
        nouns = read_text_table(experiment.folder / "world" / "classes.csv", ("wnid", "noun"), "wnid")
        nouns = nouns.rename(columns={"noun": "label"})
    else:
        most = experiment.section("timescales", TimescalesConfig).labels
        config = experiment.section("labels", LabelsConfig)
        labels = frequencies(stream)["label"].head(most)
        nouns = label_nouns(labels, config.nouns, columns=config.event_columns).query("wnid != ''")
    named = as_wnids(stream, dict(zip(nouns["label"], nouns["wnid"], strict=True)))
    if not len(named.labels):
        remedy = "give labels a row in a table of your own (label,wnid,noun,source), named as labels.nouns"
        raise InputError(f"{experiment.name}: no label is a noun of WordNet; {remedy}")
    return named


def choose_lag(
    experiment: Experiment, stream: LabelStream, models: Mapping[str, RDM], looks: pd.DataFrame, watch: Watch = iter
) -> Prediction:
    """Predict the lag curve of an experiment from its labels and the persistence of its looks.

    `stream` has labels by wnid (`labels_as_wnids`), `models` are as of `predicted_lag_curve`. Of
    ``tables/timescales.csv`` (`looks`) "appearance" above the corpus base rate says how much of the pairing looks
    explain.
    """
    config, dimensions = (
        experiment.section("prediction", PredictionConfig),
        experiment.sections["networks"]["embedding_dim"],
    )
    looks = looks[(looks["measure"] == "appearance") & (looks["level"] == LEVELS[1])]
    looks = looks.dropna(subset="value")
    counted = experiment.section("timescales", TimescalesConfig)
    pairs = label_pairs(stream, (0.0, *sorted(config.lags_s)), counted)
    found = predicted_lag_curve(pairs, models, config, dimensions, looks if len(looks) else None, watch)
    at = int(np.argmin(np.abs(pairs.lags_s - found.best["lag_s"].iloc[0])))
    rdm = association_rdm(pairs.both[at].sum(axis=0), pairs.names, dimensions)
    return dataclasses.replace(found, association=rdm)
