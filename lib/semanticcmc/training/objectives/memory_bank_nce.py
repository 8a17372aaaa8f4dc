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

    Each view has a bank with one row a pair, named by the pair's first frame: bank 1 holds what view 1 of
    that pair was embedded as when last seen, bank 2 the same of view 2, the frame a lag later. With the
    embedding v of one view of pair i, the other view's bank :math:`b`, and K pairs k drawn uniformly as noise
    (:math:`p_n = 1/n` for n pairs; i itself may be among them, as published),

    .. math:: P_j = e^{v \cdot b_j / T} / Z, \qquad
              -\log\frac{P_i}{P_i + K p_n} - \sum_k \log\frac{K p_n}{P_k + K p_n}

    is averaged over the pairs of the batch, and the two directions are added. Z, one for each direction, is
    ``n`` times the mean of :math:`e^{v \cdot b_j / T}` over a batch's pairs and noise: of the first batch, as
    published, or of each (``normaliser``). The softmax form, :math:`-\log(e^{s_i} / (e^{s_i} + \sum_k e^{s_k}))` with
    :math:`s_j = v \cdot b_j / T`, needs no Z.

    After the loss, rows of the pairs just seen become ``momentum`` times the old row plus ``1 - momentum``
    times the embedding, normalised; of pairs with one first frame the last in the batch counts. In eval mode
    banks stay as they are. They start at random (uniform with expected norm 1, as published), or as what the network
    that training starts from makes of every frame and the one a lag later (``bank``).

    First frames, and so rows of the banks that are ever visited and noise, are every ``every``-th of the experiment's.
    (The published lists paired every frame, with the next film's at a film's end.) Noise of other films than
    ``negatives`` allows is left out for that pair, so that it sees K times the share of such pairs, and :math:`K p_n`
    is the same.

    `state_dict` holds all that a resumed run needs: banks, Z, and the state of the generator of noise.
    """

    Config = MemoryBankNCEConfig
    banks: Tensor
    normalisers: Tensor
    anchors: Tensor
    film: Tensor
    temperature: Tensor

    def __init__(self, config: MemoryBankNCEConfig, encoder: Encoder, pairing: Fixed, seed: int) -> None:
        super().__init__(config, encoder, pairing.thinned(config.memory_bank.every), seed)
        self.config, self.negatives = config.memory_bank, config.negatives
        pairs = self.pairing.pairs
        self.generator = torch.Generator().manual_seed(seed)
        size: int = encoder.config.embedding_dim  # type: ignore[union-attr, assignment]
        bound = math.sqrt(3 / size)
        banks = torch.rand(2, len(pairs.film), size, generator=self.generator).mul_(2).sub_(1).mul_(bound)
        self.register_buffer("banks", banks)
        self.register_buffer("normalisers", torch.zeros(2))
        self.register_buffer("anchors", pairs.anchors, persistent=False)
        self.register_buffer("film", pairs.film, persistent=False)
        self.register_buffer("temperature", torch.tensor(float(config.temperature)), persistent=False)
        self._is_normalised = self.config.form == "softmax"

    @classmethod
    def chance(cls, config: MemoryBankNCEConfig, samples: int) -> float | None:
        """Of 1 + K candidates in both directions, told apart by softmax, or each by NCE with P = p_n."""
        if config.negatives != "all":
            return None
        noise = config.memory_bank.noise
        told_one_by_one = noise * math.log1p(1 / noise) if config.memory_bank.form == "nce" else 0.0
        return 2 * (math.log1p(noise) + told_one_by_one)

    @torch.no_grad()
    def start(self) -> None:
        """Fill the banks with what the network makes of every first frame and of the one a lag later, if so said."""
        if self.config.bank == "random":
            return
        was_training = self.training
        self.eval()
        for first in self.anchors.cpu().split(AT_ONCE):
            second = self.pairing.pairs.partner(first, self.pairing.pairs.lag_s)
            views = self.inputs((self.images_of(first), self.images_of(second)))
            for bank, embeddings in zip(self.banks, self.embed(*views), strict=True):
                bank[first.to(bank.device)] = embeddings
        self.train(was_training)

    def get_extra_state(self) -> Tensor:
        """State of the generator of noise."""
        return self.generator.get_state()

    def set_extra_state(self, state: Tensor) -> None:
        """Take the generator's state, after the buffers have been loaded."""
        self.generator.set_state(state.cpu())
        self._is_normalised = self.config.form == "softmax" or bool((self.normalisers > 0).all())

    def measures(self) -> dict[str, float]:
        """Besides, T, and Z of both directions where the form has one."""
        measures = super().measures() | {"temperature": self.temperature.item()}
        if self.config.form == "nce":
            first, second = self.normalisers.tolist()
            measures |= {"normaliser_first": first, "normaliser_second": second}
        return measures

    def loss(self, first: Tensor, second: Tensor, draw: Draw) -> Tensor:
        """Loss, in nats, of the embeddings (B, d) of the first and second view of each pair."""
        rows = draw.rows[:, 0]
        shared = self.config.sharing == "batch"
        shape = (self.config.noise,) if shared else (len(first), self.config.noise)
        drawn = torch.randint(len(self.anchors), shape, generator=self.generator)
        noise = self.anchors[drawn.to(first.device, non_blocking=True)]
        allowed = None
        if self.negatives != "all":
            allowed = films_allowed(draw.film, self.film[noise], self.negatives)
        scores = []
        for view, bank in ((first / self.temperature, self.banks[1]), (second / self.temperature, self.banks[0])):
            own = (view * bank[rows]).sum(dim=1)
            gathered = bank.index_select(0, noise.flatten())  # several times faster than bank[noise] on a CPU
            samples = gathered.view(*shape, -1)  # (K, d) for all pairs, or (B, K, d)
            others = view @ samples.T if shared else torch.bmm(samples, view[:, :, None])[:, :, 0]
            if allowed is not None:
                others = others.masked_fill(~allowed, -torch.inf)
            scores.append((own, others))
        if not self._is_normalised or (self.config.normaliser == "running" and self.config.form == "nce"):
            with torch.no_grad():
                self.normalisers.copy_(torch.stack([self._normaliser(*score) for score in scores]))
            self._is_normalised = True
        loss = torch.stack([self._loss(*scores[i], self.normalisers[i]) for i in (0, 1)]).sum()
        if self.training:
            self._remember(first.detach(), second.detach(), rows)
        return loss

    def _normaliser(self, own: Tensor, others: Tensor) -> Tensor:
        """Z: the mean over a batch's scores, times the number of pairs that P is a distribution over."""
        scores = torch.cat((own[:, None], others), dim=1)
        return len(self.anchors) * scores.exp().sum() / scores.isfinite().sum()

    def _loss(self, own: Tensor, others: Tensor, normaliser: Tensor) -> Tensor:
        """Loss of one direction, from scores of partners (B,) and of noise (B, K), -inf where left out."""
        if self.config.form == "softmax":
            return functional.cross_entropy(torch.cat((own[:, None], others), dim=1), own.new_zeros(len(own)).long())
        # P / (P + K p_n) is the logistic function of this difference: nothing overflows.
        threshold = (normaliser * (self.config.noise / len(self.anchors))).log()
        noise = functional.softplus(others - threshold).sum()
        return (functional.softplus(threshold - own).sum() + noise) / len(own)

    @torch.no_grad()
    def _remember(self, first: Tensor, second: Tensor, rows: Tensor) -> None:
        order = torch.arange(len(rows), device=rows.device)
        last = torch.where(rows[:, None] == rows, order, -1).amax(dim=1)  # so all of one row write one value
        for bank, view in zip(self.banks, (first, second), strict=True):
            mixed = self.config.momentum * bank[rows] + (1 - self.config.momentum) * view[last]
            bank[rows] = functional.normalize(mixed, dim=1)
