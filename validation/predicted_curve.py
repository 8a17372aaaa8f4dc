r"""The lag curve that labels and looks predict before any training: a rule that validation/recommended_lag.py compares.

An ideal contrastive learner's similarity of two things is how much more often than by chance they are shown a lag
apart (`timescales.association.association_kernel`). What a network of finite training then shows of it is attenuated.
The association of different labels carries

.. math:: I = \frac12 \sum_{i \ne j} K_{ij}^2

nats (the mutual information to first order), against `NOISE`, what a network distinguishes without having learned it,
and against what it learns instead: at a short lag the two views look alike, and pairing them by looks teaches which
thing is which, not what belongs together. With :math:`a` the share of the pairing that looks explain, the predicted
correlation is

.. math:: r = r_K \sqrt{\frac{I}{I + N + A a^2}},

:math:`r_K` the Mantel correlation of the embedding's distances with the model. N and A were fitted once, to the trained
curve of the default miniature world, before the worlds of that study were drawn, and not touched since.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from semanticcmc.rsa.rdm import RDM
from semanticcmc.timescales.association import association_kernel, association_rdm, embedding
from semanticcmc.timescales.pairs import LabelPairs

NOISE = 12.5  # N, nats
LOOKS = 500.0  # A, nats
LAGS_S = tuple(map(float, (1, 2, 3, 5, 7, 10, 14, 20, 28, 40, 60, 90, 120, 180, 240, 360, 600)))  # at which it is told


def predicted_curve(
    pairs: LabelPairs, models: Mapping[str, RDM], dimensions: int, looks: pd.DataFrame | None = None
) -> pd.DataFrame:
    """How much of each model networks would show if trained at each lag.

    Parameters
    ----------
    pairs : LabelPairs
        Of labels named as the models' classes (`as_wnids`); lag 0, and lags that no two films reach, are left out.
    models : mapping of str to RDM
        Semantic models, each of its own classes; those that are no label are left out.
    dimensions : int
        Of the learner's embedding, the networks' ``embedding_dim``.
    looks : DataFrame, optional
        `lag_s, value`: how much of the pairing looks alone explain, from 0 to 1, as "appearance" above the
        corpus base rate; between its lags interpolated. Without it the persistence of the labels is used: how much more
        often than by chance a label is followed by itself.

    Returns
    -------
    DataFrame
        `model, lag_s, association_r` (Mantel correlation of the embedding's RDM with the model), `information_nats`,
        `looks` (share of the pairing that looks explain), `predicted_r`; one row a model and lag.
    """
    kept = [k for k in range(1, len(pairs.lags_s)) if (pairs.count[k] > 0).sum() > 1]
    lags_s, upper = pairs.lags_s[kept], np.triu_indices(len(pairs.names), 1)
    rdms, information, by_looks = [], [], []
    for together in pairs.both[kept].sum(axis=1):
        kernel = association_kernel(together)
        vectors = embedding(kernel, dimensions)
        rdms.append(association_rdm(together, pairs.names, dimensions))
        information.append(np.square((vectors @ vectors.T)[upper]).sum())  # half of both triangles
        by_looks.append(np.clip(kernel.diagonal().mean(), 0, 1))
    if looks is not None:  # linear in the logarithm of lag + 1 s, held at the ends
        looks = looks.sort_values("lag_s")
        by_looks = np.clip(np.interp(np.log1p(lags_s), np.log1p(looks["lag_s"]), looks["value"]), 0, 1)
    lags = pd.DataFrame({"lag_s": lags_s, "information_nats": information, "looks": by_looks})
    shown = np.sqrt(lags.information_nats / (lags.information_nats + NOISE + LOOKS * lags.looks**2))
    curves = []
    for name, model in models.items():
        own = model.subset([wnid for wnid in model.classes if wnid in pairs.names])
        r = np.array([correlation(rdm.subset(own.classes), own) for rdm in rdms])
        curves.append(lags.assign(model=name, association_r=r, predicted_r=r * shown))
    return pd.concat(curves, ignore_index=True)


def correlation(one: RDM, other: RDM) -> float:
    """Pearson correlation of two RDMs of the same classes; 0 for a constant one."""
    return float(np.corrcoef(one.values, other.values)[0, 1]) if np.ptp(one.values) > 1e-9 else 0.0
