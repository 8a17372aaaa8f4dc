"""Spectral contrastive loss: embeddings become the eigenvectors of the graph of pairs."""

from __future__ import annotations

from torch import Tensor

from semanticcmc.training.objectives.base import TwoViews
from semanticcmc.training.pairings import Draw


class Spectral(TwoViews):
    r"""Spectral contrastive loss (HaoChen, Wei, Gaidon & Ma 2021, arXiv 2106.04156).

    With z and z' (B, d), the embeddings of the two views *before* they are normalised,

    .. math:: -\frac2B \sum_i z_i \cdot z'_i + \frac{1}{B (B - 1)} \sum_{i \ne j} (z_i \cdot z'_j)^2

    Let A be the probability with which two frames are drawn as a pair, as a symmetric matrix over all frames (the graph
    of lagged pairs), and D its row sums. The mean of the loss over batches is the squared error of a factorisation
    of rank d, :math:`\|D^{-1/2} A D^{-1/2} - F F^\top\|^2` with :math:`F = D^{1/2} Z`, less a constant. So an
    encoder that can give each frame any embedding ends with the d eigenvectors u of the greatest eigenvalues of
    that matrix, :math:`Z = D^{-1/2} u \sqrt\lambda` up to a rotation: slow features of the film.
    """

    unit_length = False

    @classmethod
    def chance(cls, config: object, samples: int) -> float | None:
        """Of an embedding that is the same for all frames, at the length with the least loss, 1."""
        return -1.0

    def loss(self, first: Tensor, second: Tensor, draw: Draw) -> Tensor:
        """Loss of the embeddings (B, d) of the first and second view of each pair, of any length."""
        similarity = first @ second.T
        own, squares = similarity.diagonal(), similarity.square()
        others = (squares.sum() - own.square().sum()) / (len(first) * (len(first) - 1))
        return others - 2 * own.mean()
