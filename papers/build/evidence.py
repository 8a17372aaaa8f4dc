"""What an experiment's own tests show: which lag is best, whether above chance, and which lags taught less."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pandas as pd
from papers.build.numbers import Comparison, Effect, comparisons, effects, read_lag_comparisons

from semanticcmc.config import InputError
from semanticcmc.experiment import Experiment

SIGNIFICANT = 0.05

MODELS = {"category": "superordinate category", "lch": "WordNet similarity"}
"""Semantic models in the order in which one of them carries the claim."""


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What the claim rests on: one model, tested with looks controlled, at the primary layer.

    Attributes
    ----------
    model, control : str
        As in ``tables/lag_curve.csv``.
    best : Effect
        The semantic network with the largest partial r.
    by_network : mapping of str to Effect
    against_best : mapping of str to Comparison
        Of each other network with `best`: `best` minus it.
    learned : bool
        Whether `best` is above 0 in every seed: its interval is, and its p is below .05 after Holm's
        correction over all networks and models of the figure.
    """

    model: str
    control: str
    best: Effect
    by_network: Mapping[str, Effect]
    against_best: Mapping[str, Comparison]
    learned: bool

    @property
    def semantic(self) -> list[Effect]:
        """Effects of the semantic networks by lag, shortest first."""
        found = [effect for effect in self.by_network.values() if effect.lag_s > 0]
        return sorted(found, key=lambda effect: effect.lag_s)

    def below_best(self, network: str) -> bool:
        """Whether a paired comparison shows, corrected and in every seed, that a network learned less than `best`."""
        found = self.against_best.get(network)
        return bool(found and self.apart_from_best(network) and found.p < SIGNIFICANT)

    def apart_from_best(self, network: str) -> bool:
        """Whether the interval of the difference, of one comparison alone, lies below `best` in every seed."""
        found = self.against_best.get(network)
        return bool(self.learned and found and found.ci_low > 0)

    @property
    def shorter(self) -> list[Effect]:
        """From the shortest lag up, all lags that taught less than `best`, to the first that is not shown to."""
        return self._run([effect for effect in self.semantic if effect.lag_s < self.best.lag_s])

    @property
    def longer(self) -> list[Effect]:
        """The same from the longest lag down; shortest first."""
        return self._run([e for e in self.semantic[::-1] if e.lag_s > self.best.lag_s])[::-1]

    def _run(self, tried: list[Effect]) -> list[Effect]:
        told = [self.below_best(effect.network) for effect in tried]
        return tried[: told.index(False)] if False in told else tried

    @property
    def peaks(self) -> bool:
        """Whether shorter as well as longer lags are shown to have taught less."""
        return bool(self.shorter and self.longer)


def weigh(experiment: Experiment, table: pd.DataFrame) -> Evidence:
    """Evidence of an experiment from its tests at the primary layer, and ``tables/lag_comparisons.csv``.

    Parameters
    ----------
    experiment : Experiment
    table : DataFrame
        As `numbers.read_lag_curve` returns it.

    Raises
    ------
    InputError
        If no semantic network was tested with the random network controlled, or the comparisons are missing.
    """
    compared = read_lag_comparisons(experiment)
    for model in MODELS:
        by_network = effects(table, model, "random")
        semantic = [effect for effect in by_network.values() if effect.lag_s > 0]
        if not semantic:
            continue
        best = max(semantic, key=lambda effect: effect.r)
        learned = best.r > 0 and best.p < SIGNIFICANT and not best.ci_low <= 0
        against = comparisons(compared, model, "random", best.network)
        return Evidence(model, "random", best, by_network, against, learned)
    raise InputError(
        f"{experiment.folder / 'tables' / 'lag_curve.csv'}: no partial test (control random) of a semantic "
        f"network at {experiment.primary_layer} with model {' or '.join(MODELS)}; list random in baselines"
    )
