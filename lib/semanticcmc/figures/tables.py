"""What figures show of the tables, and say of them: rows, means over seeds, and one builder of captions."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd

from semanticcmc.experiment import Experiment
from semanticcmc.figures.style import SIGNIFICANT, model_style
from semanticcmc.run import counted

KEYS = ("network", "lag_s", "layer", "condition", "model", "control", "measure")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Selection:
    """Which rows of the tables figures show, and what their captions say of the tests."""

    layer: str  # of the networks
    models: tuple[str, ...]  # semantic models; a panel or a colour each
    control: str  # what the partial correlation is given
    condition: str  # of the stimuli
    confidence: float  # level of the intervals, between 0 and 1
    random_networks: int  # how many untrained networks are behind the control ``random``

    @classmethod
    def of(cls, experiment: Experiment, **chosen: Any) -> Selection:
        """What an experiment declared: its primary layer, its models and their first control; or what is `chosen`."""
        from semanticcmc.evaluation.config import EvaluationConfig, control_seeds

        config = experiment.section("evaluation", EvaluationConfig)
        declared: dict[str, Any] = {
            "layer": experiment.primary_layer,
            "models": config.models,
            "control": "random" if "random" in config.controls else config.controls[0],
            "condition": "intact",
            "confidence": config.confidence,
            "random_networks": len(control_seeds(experiment)),
        }
        return cls(**declared | chosen)

    def rows(self, table: pd.DataFrame, **other: Any) -> pd.DataFrame:
        """Rows of `table` that are shown, as far as it has such columns; `other` values take their place."""
        own = {"layer": self.layer, "model": self.models, "control": self.control, "condition": self.condition}
        return select(table, **{name: value for name, value in own.items() if name in table} | other)

    @property
    def given(self) -> str:
        """What the correlation is given: ``r given the mean RDM of 5 untrained networks``."""
        return f"r {control_text(self.control, self.random_networks)}"

    def axis_label(self, model: str) -> str:
        """Label of an axis of the correlation with a model: ``partial r, category``."""
        return f"{'r' if self.control == 'none' else 'partial r'}, {model_names([model])}"


def select(table: pd.DataFrame, **wanted: Any) -> pd.DataFrame:
    """Rows of `table` whose columns hold what is wanted: one value, or one of several."""
    for column, values in wanted.items():
        table = table[table[column].isin([values] if isinstance(values, str) else list(values))]
    return table


def records(table: pd.DataFrame) -> Iterator[Any]:
    """Rows of `table`, one by one, their columns as attributes."""
    return table.itertuples()


def summary(rows: pd.DataFrame, confidence: float, value: str = "mantel_r") -> pd.DataFrame:
    """Means over seeds: one row a network (and layer, condition, model, control or measure), in the order of `rows`.

    Returned is a DataFrame: the keys, `value`, its interval (``ci_low, ci_high``; over classes where there is one
    seed), and whether the Holm-corrected p of every seed is below .05 (``significant``). Rows, of a table such as
    ``tables/lag_curve.csv``, without a value are left out.
    """
    from semanticcmc.evaluation.lag_curve import over_seeds

    rows = rows.dropna(subset=value)
    key = [name for name in KEYS if name in rows]
    corrected = rows.p_holm if "p_holm" in rows else pd.Series(float("nan"), rows.index)
    groups = rows.assign(significant=corrected < SIGNIFICANT).groupby(key, sort=False, dropna=False)
    own = groups.agg(low=("ci_low", "first"), high=("ci_high", "first"), significant=("significant", "all"))
    found = over_seeds(rows, confidence, value).merge(own.reset_index(), on=key, validate="1:1")
    alone = found.seeds == 1
    intervals = {"ci_low": found.ci_low.mask(alone, found.low), "ci_high": found.ci_high.mask(alone, found.high)}
    return found.assign(**intervals).drop(columns=["low", "high"])


def caption(rows: pd.DataFrame, *said: str, confidence: float | None = None, each: bool = False) -> str:
    """Caption of a figure of `rows`: layer, classes, condition, seeds and intervals, where it has them; what is `said`.

    Empty ones of `said` are left out. `confidence` is the level of the intervals, between 0 and 1, None where none are
    drawn; `each` says whether every seed has a point with an interval over classes, rather than their mean (`summary`).
    """
    one = {name: rows[name].iloc[0] for name in ("layer", "condition") if name in rows and rows[name].nunique() == 1}
    seeds = sorted(rows.seed.unique()) if "seed" in rows else []
    parts = [
        one.get("layer", ""),
        f"{values_text(rows.classes)} classes" if "classes" in rows else "",
        f"{one['condition']} pictures" if "condition" in one else "",
        f"1 seed ({seeds[0]:g})" if len(seeds) == 1 else "",
        f"{counted(len(seeds), 'seed')}{', a point each' if each else ''}" if len(seeds) > 1 else "",
    ]
    if confidence is not None and (each or len(seeds) < 2):
        parts.append(f"bars: {percent(confidence)} bootstrap over classes")
    elif confidence is not None:
        parts.append(f"points: means over seeds; bars: {percent(confidence)} of that mean (Student's t)")
    return "; ".join(part for part in (*parts, *said) if part) + "."


def percent(confidence: float) -> str:
    """Level of an interval as a reader says it: ``95 %``, held together."""
    return f"{100 * confidence:g}\N{NO-BREAK SPACE}%"


def control_text(control: str, random_networks: int) -> str:
    """What a correlation is given, as a caption says it."""
    if control == "none":
        return "given nothing (simple r)"
    one = "the RDM of one untrained network"
    words = {
        "random": one if random_networks == 1 else f"the mean RDM of {random_networks} untrained networks",
        "cmc_lab": "the RDM of the same seed's L / ab network",
        "look": "the true looks",
    }
    return "given " + " and ".join(words.get(part, part.replace("_", " ")) for part in control.split(" + "))


def values_text(column: Iterable[float]) -> str:
    """Number that a column holds, or its least and greatest: ``48``, ``40 to 48``; ``no`` of an empty one."""
    values = sorted(set(column))
    if not values:
        return "no"
    return f"{values[0]:,.0f}" if len(values) == 1 else f"{values[0]:,.0f} to {values[-1]:,.0f}"


def model_names(models: Iterable[str]) -> str:
    """Labels of semantic models in a sentence: ``category and WordNet (LCH)``."""
    return " and ".join(model_style(model)["label"] for model in models)
