"""The numbers of one experiment, read from its tables and written as a person would say them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from semanticcmc.config import InputError
from semanticcmc.experiment import Experiment, network_lag_s

NOTEBOOKS = {
    "film_strip": "01_dataset_statistics",
    "persistence": "01_dataset_statistics",
    "rdms": "04_lag_curve",
    "mds": "04_lag_curve",
    "lag_curve": "04_lag_curve",
    "dissociation": "04_lag_curve",
    "published": "05_wordnet",
    "dataset": "01_dataset_statistics",
    "timescales": "01_dataset_statistics",
    "half_lives": "01_dataset_statistics",
    "recommended_lag": "01_dataset_statistics",
    "accuracy": "04_lag_curve",
    "lag_comparisons": "04_lag_curve",
    "lag_curve_conditions": "04_lag_curve",
    "predicted_lag_curve": "04_lag_curve",
    "robustness": "07_robustness",
}
"""Which notebook makes a figure or a table, by its name without the ending."""

CONDITION = "intact"
"""The stimuli that the poster reports: whole pictures."""


def required(experiment: Experiment, folder: str, name: str) -> Path:
    """Path of a result that the poster needs.

    Raises
    ------
    InputError
        If it is not there; the message holds the commands that make it.
    """
    path = experiment.folder / folder / name
    if not path.exists():
        notebook = NOTEBOOKS[Path(name).stem]
        raise InputError(
            f"{path}: missing. Make it with `papermill analysis/{notebook}.ipynb "
            f"{experiment.folder / 'notebooks' / notebook}.ipynb -p experiment {experiment.name}`, "
            f"or all that is missing with `make poster EXPERIMENT={experiment.name}`"
        )
    return path


def read_table(experiment: Experiment, name: str, columns: Sequence[str]) -> pd.DataFrame:
    """Table ``tables/<name>.csv`` of an experiment, refused if one of `columns` is not in it."""
    path = required(experiment, "tables", f"{name}.csv")
    table = pd.read_csv(path)
    if missing := [column for column in columns if column not in table]:
        raise InputError(f"{path}: no column {', '.join(missing)}; make it again with analysis/{NOTEBOOKS[name]}.ipynb")
    return table


def read_lag_curve(experiment: Experiment) -> pd.DataFrame:
    """Tests of the experiment's networks, seeds and primary layer, on intact stimuli."""
    columns = ("network", "seed", "layer", "condition", "model", "control", "mantel_r", "p_holm", "ci_low", "ci_high")
    table = _reported(experiment, read_table(experiment, "lag_curve", columns))
    keep = table["network"].isin(experiment.networks)
    if not keep.any():
        raise InputError(
            f"{experiment.folder / 'tables' / 'lag_curve.csv'}: no row with condition {CONDITION}, layer "
            f"{experiment.primary_layer} (primary_layer) and one of this experiment's networks and seeds"
        )
    return table[keep]


def read_lag_comparisons(experiment: Experiment) -> pd.DataFrame:
    """Networks of the experiment compared two by two, as `read_lag_curve` has their tests; may be empty."""
    columns = (
        "seed",
        "layer",
        "condition",
        "model",
        "control",
        "first",
        "second",
        "difference",
        "ci_low",
        "ci_high",
        "p_holm",
    )
    return _reported(experiment, read_table(experiment, "lag_comparisons", columns))


def read_accuracy(experiment: Experiment) -> pd.DataFrame:
    """How well the networks tell classes apart, at the primary layer and on intact stimuli."""
    columns = ("network", "seed", "layer", "condition", "measure", "accuracy", "ci_low", "ci_high")
    return _reported(experiment, read_table(experiment, "accuracy", columns))


def _reported(experiment: Experiment, table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the experiment's seeds and primary layer, on intact stimuli."""
    if "control" in table:
        # pandas reads the word none as a missing value in some versions and as text in others
        table = table.assign(control=table["control"].fillna("none"))
    keep = table["condition"].eq(CONDITION) & table["layer"].eq(experiment.primary_layer)
    return table[keep & table["seed"].isin(experiment.seeds)]


@dataclasses.dataclass(frozen=True)
class Effect:
    """One network's test at the primary layer, over the seeds it was trained with.

    Attributes
    ----------
    network : str
    lag_s : float
        Seconds; 0 for ``augment``, NaN for networks without a lag.
    r : float
        Mean over seeds.
    p : float
        The largest of the seeds: significant means significant in every one of them. Of this experiment,
        corrected by Holm's method over the networks and models of one figure.
    ci_low, ci_high : float
        The lowest and the highest bound of the seeds' bootstrap intervals.
    seeds : int
    """

    network: str
    lag_s: float
    r: float
    p: float
    ci_low: float
    ci_high: float
    seeds: int


@dataclasses.dataclass(frozen=True)
class Comparison:
    """By how much one network's r is larger than another's, over the seeds: p and bounds as in `Effect`."""

    difference: float
    p: float
    ci_low: float
    ci_high: float


def comparisons(table: pd.DataFrame, model: str, control: str, network: str) -> dict[str, Comparison]:
    """`network` minus each other network, by the other's name.

    Parameters
    ----------
    table : DataFrame
        As `read_lag_comparisons` returns it.
    model, control, network : str
    """
    rows = table[table["model"].eq(model) & table["control"].eq(control)].dropna(subset=["difference", "p_holm"])
    found = {}
    for other in {*rows["first"], *rows["second"]} - {network}:
        ahead = rows[rows["first"].eq(network) & rows["second"].eq(other)]
        behind = rows[rows["first"].eq(other) & rows["second"].eq(network)]
        lows = pd.concat([ahead["ci_low"], -behind["ci_high"]])
        if len(lows):
            found[str(other)] = Comparison(
                difference=float(pd.concat([ahead["difference"], -behind["difference"]]).mean()),
                p=float(pd.concat([ahead["p_holm"], behind["p_holm"]]).max()),
                ci_low=float(lows.min(skipna=False)),
                ci_high=float(pd.concat([ahead["ci_high"], -behind["ci_low"]]).max(skipna=False)),
            )
    return found


def effects(table: pd.DataFrame, model: str, control: str, p: str = "p_holm") -> dict[str, Effect]:
    """Effects by network, for one semantic model and one controlled RDM (``none``: simple Mantel); `p`: its column."""
    found = {}
    rows = table[table["model"].eq(model) & table["control"].eq(control)].dropna(subset=["mantel_r", p])
    for network, seeds in rows.groupby("network", sort=False):
        name = str(network)
        found[name] = Effect(
            network=name,
            lag_s=network_lag_s(name),
            r=float(seeds["mantel_r"].mean()),
            p=float(seeds[p].max()),
            ci_low=float(seeds["ci_low"].min(skipna=False)),
            ci_high=float(seeds["ci_high"].max(skipna=False)),
            seeds=len(seeds),
        )
    return found


def number(value: float, decimals: int = 2) -> str:
    """``0.21``, ``−0.05``; zero carries no sign; a dash where there is no number."""
    if not math.isfinite(value):
        return "–"
    text = f"{value:.{decimals}f}"
    return text.replace("-", "" if float(text) == 0 else "−")


def probability(p: float) -> str:
    """``p = 0.032``; below one in a thousand ``p < 0.001``."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def stars(p: float) -> str:
    """``***`` to .001, ``**`` to .01, ``*`` to .05, else ``n.s.``: R's marks, as in the published table."""
    return "***" if p <= 0.001 else "**" if p <= 0.01 else "*" if p <= 0.05 else "n.s."


def whole(value: float) -> str:
    """``28,800``."""
    return f"{value:,.0f}"


def seconds(value: float) -> str:
    """A time as a person would say it: ``60 s``, ``2.5 min``, ``8 h``."""
    if value < 120:
        return f"{value:.3g} s"
    return f"{value / 60:.3g} min" if value < 7200 else f"{value / 3600:.3g} h"


def time_range(low_s: float, high_s: float) -> str:
    """Two times with one unit: ``2–4 minutes``, ``30–60 seconds``."""
    unit, name = (60.0, "minutes") if min(low_s, high_s) >= 60 else (1.0, "seconds")
    low, high = f"{low_s / unit:.3g}", f"{high_s / unit:.3g}"
    return f"{low} {name}" if low == high else f"{low}–{high} {name}"


def count(number_of: int, what: str) -> str:
    """``one seed``, ``three seeds``, ``12 seeds``."""
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    return f"{words[number_of] if number_of < len(words) else whole(number_of)} {what}{'' if number_of == 1 else 's'}"


def spoken(items: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join(filter(None, (", ".join(items[:-1]), *items[-1:])))


def network_title(network: str) -> str:
    """A network's name at the head of a row: ``60 s apart``."""
    names = {
        "random": "random weights",
        "supervised": "supervised",
        "augment": "same frame twice",
        "cmc_lab": "CMC on films",
        "cmc_lab_imagenet": "CMC on ImageNet",
        "cmc_lab_movies": "CMC on films",
    }
    return names.get(network) or f"{seconds(network_lag_s(network))} apart"


def network_phrase(network: str) -> str:
    """A network inside a sentence: ``the network of 60 s``."""
    names = {
        "random": "random weights",
        "supervised": "the supervised network",
        "augment": "the network of the same frame twice",
        "cmc_lab": "CMC",
    }
    return names.get(network) or f"the network of {seconds(network_lag_s(network))}"


def plain(text: str) -> str:
    """Text from outside, so that Markdown prints it as it stands."""
    return "".join("\\" + letter if letter in r"\`*_{}[]()<>#$@^~|" else letter for letter in text)
