"""One experiment and its results: what there is to look at, and where what is made goes."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from IPython.display import Markdown

from semanticcmc.config import InputError
from semanticcmc.evaluation import robustness
from semanticcmc.evaluation.config import EvaluationConfig, StimuliConfig
from semanticcmc.evaluation.models import category_table, experiment_model
from semanticcmc.evaluation.rdm_files import rdm_file
from semanticcmc.evaluation.stimuli import StimulusFolder, stimulus_folder
from semanticcmc.evaluation.untrained import untrained_features
from semanticcmc.experiment import Experiment, Network
from semanticcmc.figures.lag_curve import too_little_film
from semanticcmc.figures.tables import Selection
from semanticcmc.films.store import FrameStore
from semanticcmc.labels.stream import LabelStream, experiment_labels, frequencies
from semanticcmc.rsa.rdm import FEWEST_CLASSES, RDM, read_rdms
from semanticcmc.rsa.semantics import NO_CATEGORY, categories
from semanticcmc.rsa.wordnet import names
from semanticcmc.run import write_csv
from semanticcmc.timescales.curves import TimescalesConfig
from semanticcmc.timescales.measured import Measured, measure

EXPLORE = "explore"  # folder of the results for what is made by hand


class Opened:
    """One experiment and its results, each thing loaded when it is first asked for.

    Parameters
    ----------
    write : bool
        Whether tables and figures go to the results; else they go to ``results/<name>/explore``.
    **chosen
        `layer`, `models`, `control` and `condition` that figures show; by default as the experiment declares.

    Attributes
    ----------
    shown : Selection
        What figures show.
    """

    def __init__(self, experiment: Experiment, write: bool = False, **chosen: Any) -> None:
        self.experiment, self.write_results = experiment, write
        self.shown = Selection.of(experiment, **{key: value for key, value in chosen.items() if value is not None})
        self._tables: dict[str, tuple[pd.DataFrame, Path]] = {}
        self._told = False

    def __repr__(self) -> str:
        networks, seeds = len(self.experiment.networks), len(self.experiment.seeds)
        return (
            f"Experiment {self.name}: {self.experiment.title}; {networks} networks, {seeds} seed{'s'[: seeds != 1]}, "
            f"{self.experiment.primary_layer}; {self.folder}"
        )

    # --- what there is

    @property
    def name(self) -> str:
        """Name of the experiment."""
        return self.experiment.name

    @property
    def folder(self) -> Path:
        """Folder of its results."""
        return self.experiment.folder

    @functools.cached_property
    def frames(self) -> FrameStore:
        """All frames, by film and time."""
        return FrameStore(self.folder / "frames")

    @functools.cached_property
    def labels(self) -> LabelStream | None:
        """What is in view, and when; None where the films have no labels."""
        return experiment_labels(self.experiment)

    @functools.cached_property
    def films(self) -> pd.DataFrame:
        """Every film found, with its length in seconds, number of frames, and problem, if it has one."""
        text = {"movie_id": str, "title": str}
        file = self.folder / "frames" / "films.csv"
        return pd.read_csv(file, dtype=text, keep_default_na=False, na_values={"duration_s": [""]})

    @functools.cached_property
    def stimuli(self) -> StimulusFolder:
        """The images that networks are tested on."""
        return StimulusFolder(stimulus_folder(self.experiment), self.experiment.section("stimuli", StimuliConfig))

    @functools.cached_property
    def classes(self) -> pd.DataFrame:
        """The classes of the stimuli: ``noun`` and ``category``, by ``wnid``."""
        found = self.stimuli.classes
        category = categories(found, category_table(self.experiment))
        return pd.DataFrame({"noun": names(found), "category": category}, index=pd.Index(found, name="wnid"))

    @property
    def noun(self) -> dict[str, str]:
        """Noun of every class, by wnid."""
        return dict(zip(self.classes.index, self.classes.noun, strict=True))

    @property
    def category(self) -> dict[str, str]:
        """Category of every class, by wnid."""
        return dict(zip(self.classes.index, self.classes.category, strict=True))

    @property
    def networks(self) -> tuple[Network, ...]:
        """All networks, those of the YAML first, then others that were trained or represented by hand."""
        return (*self.experiment.runs, *self.added)

    @property
    def added(self) -> tuple[Network, ...]:
        """Networks found in the results that the experiment's YAML does not list."""
        found = {(path.parent.name, int(path.name[5:].split("_")[0])) for path in self._run_files()}
        listed = {(network.name, network.seed) for network in self.experiment.runs}
        return tuple(self.experiment.network(*one) for one in sorted(found - listed) if one[0] != "random")

    def _run_files(self) -> Iterable[Path]:
        yield from (path.parent for path in (self.folder / "networks").glob("*/seed-*/run.json"))
        yield from (self.folder / "rdms").glob("*/seed-*_intact.parquet")

    def network(self, network: str | Network, seed: int | None = None) -> Network:
        """A network by its name; `seed` is by default the experiment's first.

        Raises
        ------
        InputError
            For one that is neither in the YAML nor in the results; the message lists those that are.
        """
        if isinstance(network, Network):
            return network
        seed = self.experiment.seeds[0] if seed is None else seed
        for one in self.networks:
            if (one.name, one.seed) == (network, seed):
                return one
        known = ", ".join(dict.fromkeys(one.name for one in self.networks))
        raise InputError(f"{self.name}: no network {network!r}, seed {seed}; there are {known}")

    def rdms(self, network: str | Network, seed: int | None = None, condition: str = "intact") -> dict[str, RDM]:
        """RDMs of a network by layer.

        Raises
        ------
        InputError
            If it has not been represented yet.
        """
        file = rdm_file(self.experiment, self.network(network, seed), condition)
        if not file.is_file():
            raise InputError(f"{file}: missing; notebook 03_representations makes it")
        return read_rdms(file)

    def model(self, model: str) -> RDM:
        """A semantic model of the stimuli's classes: ``category``, ``lch``, ... or one of the experiment's files."""
        files = self.experiment.section("evaluation", EvaluationConfig).model_files
        return experiment_model(model, self.stimuli.classes, self.experiment, files)

    def table(self, name: str) -> pd.DataFrame:
        """A table of the results, such as ``lag_curve``, or what this notebook wrote under that name.

        Raises
        ------
        InputError
            If there is none; the message lists those that there are.
        """
        if name not in self._tables:
            file = self.folder / "tables" / f"{name}.csv"
            if not file.is_file():
                there = ", ".join(sorted(path.stem for path in file.parent.glob("*.csv"))) or "none"
                raise InputError(f"{file}: missing; there are {there}; make poster EXPERIMENT={self.name} makes all")
            self._tables[name] = pd.read_csv(file, keep_default_na=False, na_values=[""]), file
        return self._tables[name][0]

    def has(self, *tables: str) -> bool:
        """Whether there are tables of these names."""
        return all(name in self._tables or (self.folder / "tables" / f"{name}.csv").is_file() for name in tables)

    # --- what is made

    def path(self, *parts: str) -> Path:
        """Where a file goes: the results where a workflow runs the notebook, else ``explore``, which it says once."""
        if self.write_results:
            return self.experiment.path(*parts)
        if not self._told:
            print(f"By hand: tables and figures go to {self.folder / EXPLORE}; the results stay as they are.")
            self._told = True
        return self.experiment.path(EXPLORE, *parts)

    def write(self, name: str, table: pd.DataFrame) -> pd.DataFrame:
        """Write a table, and return it."""
        file = self.path("tables", f"{name}.csv")
        write_csv(file, table)
        self._tables[name] = table, file
        return table

    def inputs(self, *tables: str) -> list[Path]:
        """Files of tables, for a figure's record."""
        for name in tables:
            self.table(name)
        return [self._tables[name][1] for name in tables]

    # --- what follows from it

    @functools.cached_property
    def label_counts(self) -> pd.DataFrame:
        """How often each label is seen, the most frequent first."""
        assert self.labels is not None, "these films have no labels"
        return frequencies(self.labels)

    @functools.cached_property
    def timescales(self) -> Measured:
        """How long looks and associations last; writes ``timescales`` and ``half_lives``."""
        config = self.experiment.section("timescales", TimescalesConfig)
        measured = measure(self.frames, untrained_features(self.experiment, self.frames), self.labels, config)
        self.write("timescales", measured.curves)
        self.write("half_lives", measured.constants)
        return measured

    @functools.cached_property
    def best(self) -> str:
        """Name of the network with a lag that correlates most with the first model, given the control shown."""
        rows = self.shown.rows(self.table("lag_curve"), model=self.shown.models[:1])
        means = rows[rows.lag_s > 0].dropna(subset="mantel_r").groupby("network").mantel_r.mean()
        return str(means.idxmax()) if len(means) else self.experiment.networks[-1]

    @property
    def most_robust(self) -> str:
        """Name of the network whose declared correlation with the first model is largest in the panel of robustness."""
        best = robustness.largest(self.table("robustness"))
        first = best[(best.model == self.shown.models[0]) & (best.varied == "declared")].network
        return str(first.iloc[0]) if len(first) else self.experiment.networks[-1]

    @property
    def remark(self) -> str:
        """What a reader of real films must not overlook: that there is too little film; empty elsewhere."""
        if self.experiment.source != "films":
            return ""
        counts = self.table("dataset").set_index("quantity").value
        return too_little_film(int(counts["films"]), float(counts["hours"]))

    @property
    def has_categories(self) -> bool:
        """Whether enough of the stimuli's classes have a category for the category model."""
        kept = self.classes.category[self.classes.category != NO_CATEGORY]
        return len(kept) >= FEWEST_CLASSES and kept.nunique() > 1

    @staticmethod
    def show(table: pd.DataFrame, floatfmt: str = ".3g", head: str = "", most: int = 60, empty: str = "") -> Markdown:
        """A table as a notebook shows it: its first `most` rows below the words `head`; `empty` where it has no row."""
        if table.empty and empty:
            return Markdown(empty)
        index = not isinstance(table.index, pd.RangeIndex) and table.index.name is not None
        text = table.head(most).to_markdown(index=index, floatfmt=floatfmt)
        more = f"\n\nand {len(table) - most} more" if len(table) > most else ""
        return Markdown((f"{head}\n\n" if head else "") + text + more)
