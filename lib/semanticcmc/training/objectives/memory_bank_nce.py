"""The published objective: noise-contrastive estimation against a memory bank for each view."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from semanticcmc.config import BelowOne, Count, Positive, Section
from semanticcmc.training.networks import Encoder
from semanticcmc.training.objectives.base import Negatives, TwoViews, films_allowed
from semanticcmc.training.pairings import Draw, Fixed

AT_ONCE = 512  # frames of the pass that fills a bank


@dataclasses.dataclass(frozen=True)
class MemoryBankConfig(Section):
    """What the published objective takes besides: ``training.memory_bank``, explained in base.yaml."""

    noise: Count
    momentum: BelowOne
    sharing: Literal["batch", "sample"]
    form: Literal["nce", "softmax"]
    normaliser: Literal["first_batch", "running"]
    bank: Literal["random", "forward_pass"]
    every: Count


@dataclasses.dataclass(frozen=True)
class MemoryBankNCEConfig(Section):
    """Keys of section ``training``, explained in base.yaml."""

    temperature: Positive
    negatives: Negatives
    memory_bank: MemoryBankConfig


class MemoryBankNCE(TwoViews):
    r"""NCE of each view's embedding against a bank of the other view's (Wu et al. 2018; Tian et al. 2020).

    Each view has a bank with one row a pair, named by the pair's first frame: what that view of the pair was embedded
    as when last seen. With the embedding v of one view of pair i, the other view's bank :math:`b`, and K pairs k drawn
    uniformly as noise (:math:`p_n = 1/n` for n pairs; i itself may be among them, as published),

    .. math:: P_j = e^{v \cdot b_j / T} / Z, \qquad
              -\log\frac{P_i}{P_i + K p_n} - \sum_k \log\frac{K p_n}{P_k + K p_n}

    is averaged over the pairs of the batch, and the two directions are added. Z, one for each direction, is ``n`` times
    the mean of :math:`e^{v \cdot b_j / T}` over pairs and noise of the first batch, as published, or of each
    (``normaliser``). The softmax form, :math:`-\log(e^{s_i} / (e^{s_i} + \sum_k e^{s_k}))` with
    :math:`s_j = v \cdot b_j / T`, needs no Z.

    After the loss, rows of the pairs just seen become ``momentum`` times the old row plus ``1 - momentum`` times the
    embedding, normalised; of pairs with one first frame the last counts. In eval mode banks stay. They start at random
    (uniform with expected norm 1, as published), or as what the starting network makes of the frames (``bank``).
    First frames, and so rows ever visited and noise, are every ``every``-th of the experiment's (published: all). Noise
    that ``negatives`` forbids is left out for that pair; :math:`K p_n` is the same.
    """

    Config = MemoryBankNCEConfig
    banks: Tensor
    normalisers: Tensor  # Z of both directions
    anchors: Tensor
    film: Tensor
    temperature: Tensor

    def __init__(self, config: MemoryBankNCEConfig, encoder: Encoder, pairing: Fixed, seed: int) -> None:
        super().__init__(config, encoder, pairing.thinned(config.memory_bank.every), seed)
        self.config, self.negatives, self._has_z = config.memory_bank, config.negatives, False
        self.generator = torch.Generator().manual_seed(seed)
        size: int = encoder.config.embedding_dim  # type: ignore[union-attr, assignment]
        banks = torch.rand(2, len(self.pairing.pairs.film), size, generator=self.generator)
        self.register_buffer("banks", banks.mul_(2).sub_(1).mul_(math.sqrt(3 / size)))
        self.register_buffer("normalisers", torch.zeros(2))
        self.register_buffer("anchors", self.pairing.pairs.anchors, persistent=False)  # beside the banks, on a GPU too
        self.register_buffer("film", self.pairing.pairs.film, persistent=False)
        self.register_buffer("temperature", torch.tensor(float(config.temperature)), persistent=False)

    @classmethod
    def chance(cls, config: MemoryBankNCEConfig, samples: int) -> float | None:
        # of 1 + K candidates in both directions, told apart by softmax, or each by NCE with P = p_n
        noise = config.memory_bank.noise
        told_one_by_one = noise * math.log1p(1 / noise) if config.memory_bank.form == "nce" else 0.0
        return 2 * (math.log1p(noise) + told_one_by_one) if config.negatives == "all" else None

    @torch.no_grad()
    def start(self) -> None:
        if self.config.bank == "random":
            return
        was_training, pairs = self.training, self.pairing.pairs
        self.eval()
        for first in pairs.anchors.split(AT_ONCE):
            second = pairs.partner(first, pairs.lag_s)
            views = self.inputs((self.images_of(first), self.images_of(second)))
            for bank, embeddings in zip(self.banks, self.embed(*views), strict=True):
                bank[first.to(bank.device)] = embeddings
        self.train(was_training)

    def get_extra_state(self) -> Tensor:
        return self.generator.get_state()

    def set_extra_state(self, state: Tensor) -> None:  # after the buffers have been loaded
        self.generator.set_state(state.cpu())
        self._has_z = bool((self.normalisers > 0).all())

    def measures(self) -> dict[str, float]:
        names = ("temperature", "normaliser_first", "normaliser_second")[: 3 if self.config.form == "nce" else 1]
        values = [self.temperature.item(), *self.normalisers.tolist()]
        return super().measures() | dict(zip(names, values, strict=False))

    def loss(self, first: Tensor, second: Tensor, draw: Draw) -> Tensor:
        """Loss, in nats, of the embeddings (B, d) of the first and second view of each pair."""
        rows, shared = draw.rows[:, 0], self.config.sharing == "batch"
        shape = (self.config.noise,) if shared else (len(first), self.config.noise)
        # int32 draws the same numbers as int64, in half of the time, and is half as much to bring to a GPU
        drawn = torch.randint(len(self.anchors), shape, generator=self.generator, dtype=torch.int32)
        noise, scores = self.anchors.index_select(0, drawn.flatten().to(first.device, non_blocking=True)), []
        for view, bank in ((first / self.temperature, self.banks[1]), (second / self.temperature, self.banks[0])):
            own = (view * bank[rows]).sum(dim=1)
            samples = bank.index_select(0, noise).view(*shape, -1)  # bank[noise], several times faster
            others = view @ samples.T if shared else torch.bmm(samples, view[:, :, None])[:, :, 0]
            if self.negatives != "all":
                allowed = films_allowed(draw.film, self.film[noise].view(shape), self.negatives)
                others = others.masked_fill(~allowed, -torch.inf)
            scores.append((own, others))
        if self.config.form == "nce" and not (self._has_z and self.config.normaliser == "first_batch"):
            with torch.no_grad():
                both = (torch.cat((own[:, None], others), dim=1) for own, others in scores)
                z = torch.stack([len(self.anchors) * one.exp().sum() / one.isfinite().sum() for one in both])
            self.normalisers.copy_(z)
            self._has_z = True
        if self.training:
            self._remember(first, second, rows)
        return torch.stack([self._loss(*scores[i], self.normalisers[i]) for i in (0, 1)]).sum()

    def _loss(self, own: Tensor, others: Tensor, normaliser: Tensor) -> Tensor:
        """Loss of one direction, from scores of partners (B,) and of noise (B, K), -inf where left out."""
        if self.config.form == "softmax":
            return functional.cross_entropy(torch.cat((own[:, None], others), dim=1), own.new_zeros(len(own)).long())
        # P / (P + K p_n) is the logistic function of this difference: nothing overflows.
        threshold = (normaliser * (self.config.noise / len(self.anchors))).log()
        return (functional.softplus(threshold - own).sum() + functional.softplus(others - threshold).sum()) / len(own)

    @torch.no_grad()
    def _remember(self, first: Tensor, second: Tensor, rows: Tensor) -> None:
        order = torch.arange(len(rows), device=rows.device)
        last = torch.where(rows[:, None] == rows, order, -1).amax(dim=1)  # so all of one row write one value
        for bank, view in zip(self.banks, (first, second), strict=True):
            mixed = self.config.momentum * bank[rows] + (1 - self.config.momentum) * view[last]
            bank[rows] = functional.normalize(mixed, dim=1)
