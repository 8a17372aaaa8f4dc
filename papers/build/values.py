"""Numbers of an experiment and of the repository's studies: read from tables, and written as text and as Markdown."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Collection, Sequence
from pathlib import Path

import pandas as pd
import yaml
from papers.build import ROOT

from semanticcmc.config import InputError
from semanticcmc.experiment import Experiment, read_values
from semanticcmc.run import plain

TESTS = ("distance", "method", "alternative", "partial", "random_seeds")  # what Methods say of tests and their control
CONDITION = "intact"  # the stimuli that documents report: whole pictures


def existing(path: Path, remedy: str) -> Path:
    """The path itself; an `InputError` with the `remedy` where nothing is there."""
    if not path.exists():
        raise InputError(f"{path}: missing. {remedy}")
    return path


def source_file(name: str) -> Path:
    """A file of ``papers/``."""
    return existing(ROOT / "papers" / name, "`git checkout -- papers` restores it")


def validation(name: str) -> Path:
    """A file of ``validation/``."""
    return existing(ROOT / "validation" / name, "`git checkout -- validation` restores it; `make validate` makes it")


def stale(record: Path) -> str:
    """Why a study may not stand beside the Methods: its record has other tests than are declared now; else empty."""
    config, now = json.loads(record.read_text(encoding="utf-8")).get("config") or {}, read_values("base")[0]
    made = [one["evaluation"] for one in (config, *config.values()) if isinstance(one, dict) and "evaluation" in one]
    again = f"Made with other tests than those declared now: python -m validation.{record.stem} makes this study again."
    return "" if all(own.get(key) == now["evaluation"][key] for own in made for key in TESTS) else again


QUOTED = yaml.safe_load(validation("quoted.yml").read_text(encoding="utf-8"))  # what documents quote of studies
# What networks, models, controls and worlds are called in documents; and which notebook makes a figure or a table.
WORDS = yaml.safe_load(source_file("words.yml").read_text(encoding="utf-8"))
NOTEBOOKS = {name: notebook for notebook, names in WORDS["notebooks"].items() for name in names.split()}


def required(experiment: Experiment, folder: str, name: str) -> Path:
    """Path of a result; an `InputError` has the commands that make it."""
    notebook = NOTEBOOKS[Path(name).stem]
    return existing(
        experiment.folder / folder / name,
        f"Make it with `papermill analysis/{notebook}.ipynb {experiment.folder / 'notebooks' / notebook}.ipynb "
        f"-p experiment {experiment.name}`, or all that is missing with `make poster EXPERIMENT={experiment.name}`",
    )


def read(path: Path, columns: str, remedy: str) -> pd.DataFrame:
    """Table of a CSV file; an `InputError` with the `remedy` where one of `columns` (``"network seed"``) is missing."""
    table = pd.read_csv(path, keep_default_na=False, na_values=["", "nan"])  # none is the name of a control
    if missing := [column for column in columns.split() if column not in table]:
        raise InputError(f"{path}: no column {', '.join(missing)}; {remedy}")
    return table


def read_table(experiment: Experiment, name: str, columns: str) -> pd.DataFrame:
    """Table ``tables/<name>.csv`` of an experiment; `columns` as for `read`."""
    path = required(experiment, "tables", f"{name}.csv")
    return read(path, columns, f"make it again with analysis/{NOTEBOOKS[name]}.ipynb")


def reported(experiment: Experiment, name: str, columns: str) -> pd.DataFrame:
    """Rows of a table for the experiment's seeds, its primary layer and intact stimuli; of several, seeds together."""
    table = read_table(experiment, name, f"seed layer condition {columns}")
    keep = table["condition"].eq(CONDITION) & table["layer"].eq(experiment.primary_layer)
    table = table[keep & table["seed"].isin(experiment.seeds)]
    kind = {"lag_curve": "network", "lag_comparisons": "difference"}.get(name)
    if kind is None or len(experiment.seeds) == 1:
        return table
    own = joint(experiment, kind)
    found = [name for name in ("mantel_r", "difference", "p_holm", "ci_low", "ci_high") if name in own]
    keys = [key for key in ("network", "first", "second", "model", "control") if key in table]
    return table.drop(columns=found).drop_duplicates(keys).merge(own[keys + found], on=keys)


def joint(experiment: Experiment, kind: str) -> pd.DataFrame:
    """Rows of ``tables/joint.csv`` of one kind."""
    table = read_table(experiment, "joint", "kind model control first second lag_s mantel_r ci_low ci_high p p_holm")
    own = table[table["kind"].eq(kind) & table["layer"].eq(experiment.primary_layer)]
    return own.rename(columns={"mantel_r": kind} if kind == "difference" else {"first": "network"})


def read_lag_curve(experiment: Experiment) -> pd.DataFrame:
    """Tests of the experiment's networks, seeds and primary layer, on intact stimuli."""
    table = reported(experiment, "lag_curve", "network lag_s model control mantel_r p_holm ci_low ci_high")
    table = table[table["network"].isin(experiment.networks)]
    if table.empty:
        raise InputError(
            f"{experiment.folder / 'tables' / 'lag_curve.csv'}: no row with condition {CONDITION}, layer "
            f"{experiment.primary_layer} (primary_layer) and one of this experiment's networks and seeds"
        )
    return table


@dataclasses.dataclass(frozen=True)
class Effect:
    """A correlation, or a difference of two; of the rows of several seeds their mean, largest p and widest bounds."""

    network: str
    lag_s: float  # 0 for ``augment``, NaN for networks without a lag
    r: float
    p: float
    ci_low: float
    ci_high: float

    @property
    def cells(self) -> dict[str, str]:
        """What a table shows of it: ``0.21``, ``0.21 [0.12, 0.30]``, ``0.032`` and ``0.21 ***``."""
        r = number(self.r)
        estimate = interval(self.r, self.ci_low, self.ci_high)
        return {"r": r, "interval": estimate, "p": bare(self.p), "stars": f"{r} {stars(self.p)}"}


def effects(table: pd.DataFrame, model: str, control: str, p: str = "p_holm") -> dict[str, Effect]:
    """Effects by network, for one semantic model and one controlled RDM (``none``: simple Mantel); `p`: its column."""
    rows = table[table["model"].eq(model) & table["control"].eq(control)].dropna(subset=["mantel_r", p])
    found = {}
    for network, seeds in rows.astype({"network": str}).groupby("network", sort=False):
        low, high = seeds["ci_low"].min(skipna=False), seeds["ci_high"].max(skipna=False)
        found[network] = Effect(network, seeds["lag_s"].iloc[0], seeds["mantel_r"].mean(), seeds[p].max(), low, high)
    return found


def comparisons(table: pd.DataFrame, model: str, control: str, network: str) -> dict[str, Effect]:
    """`network` minus each other network, by the other's name, from ``tables/lag_comparisons.csv``."""
    turned = table.rename(columns={"first": "second", "second": "first", "ci_low": "ci_high", "ci_high": "ci_low"})
    turned[["difference", "ci_low", "ci_high"]] *= -1
    rows = pd.concat([table, turned])
    rows = rows[rows["first"].eq(network)].rename(columns={"second": "network", "difference": "mantel_r"})
    return effects(rows.assign(lag_s=math.nan), model, control)


def published_effects(experiment: Experiment, control: str) -> dict[str, Effect]:
    """The published correlations with WordNet, by network."""
    table = read_table(experiment, "published", "source network lag_s model control mantel_r p")
    table = table[table["source"].eq("published")].assign(ci_low=math.nan, ci_high=math.nan)
    table["network"] = table["network"].replace("cmc_lab_movies", "cmc_lab")
    return effects(table, "lch", control, p="p")


def number(value: float, decimals: int = 2) -> str:
    """``0.21``, ``−0.05``; zero carries no sign; a dash where there is no number."""
    if not math.isfinite(value):
        return "–"
    text = f"{value:.{decimals}f}"
    return text.replace("-", "" if float(text) == 0 else "−")


def interval(value: float, low: float, high: float, decimals: int = 2) -> str:
    """``0.14 [0.03, 0.25]``; without brackets where a bound is unknown."""
    known = math.isfinite(low) and math.isfinite(high)
    return number(value, decimals) + (f" [{number(low, decimals)}, {number(high, decimals)}]" if known else "")


def percent(share: float, decimals: int = 0) -> str:
    """``59 %``; a dash where there is no number."""
    return f"{number(100 * share, decimals)} %" if math.isfinite(share) else "–"


def probability(p: float) -> str:
    """``p = 0.032``; below one in a thousand ``p < 0.001``."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def bare(p: float) -> str:
    """``0.032``, ``< 0.001``: in a column that says p at its head."""
    return probability(p).removeprefix("p = ").removeprefix("p ") if p == p else "–"


def stars(p: float) -> str:
    """``***`` to .001, ``**`` to .01, ``*`` to .05, else ``n.s.``: R's marks, as in the published table."""
    return plain("***" if p <= 0.001 else "**" if p <= 0.01 else "*" if p <= 0.05 else "n.s.")


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


def network_title(network: str, lag_s: float) -> str:
    """A network's name at the head of a row: ``60 s apart``."""
    return WORDS["networks"][network]["title"] if network in WORDS["networks"] else f"{seconds(lag_s)} apart"


def network_phrase(found: Effect) -> str:
    """A network inside a sentence: ``the network of 60 s``."""
    known = WORDS["networks"].get(found.network)
    return known["phrase"] if known else f"the network of {seconds(found.lag_s)}"


def table(name: str, rows: pd.DataFrame, left: Collection[int] = (0,)) -> str:
    """Markdown table of cells that are Markdown themselves, in a frame that scrolls where the page is too narrow.

    `name` is what a screen reader calls the frame; `left` are the positions of the columns that hold words: the
    others, numbers, are set to the right and not broken.
    """
    rows = rows.astype(str)
    for i in (i for i in range(rows.shape[1]) if i not in left):
        rows.isetitem(i, rows.iloc[:, i].str.replace(" ", "\u00a0").to_list())
    align = ["left" if i in left else "right" for i in range(rows.shape[1])]
    return framed(name, rows.to_markdown(index=False, disable_numparse=True, colalign=align))


def framed(name: str, text: str) -> str:
    """Put a Markdown table into the frame that `table` describes."""
    return f'::: {{.scroll role="region" tabindex="0" aria-label="{name}"}}\n\n{text.rstrip()}\n\n:::\n'
