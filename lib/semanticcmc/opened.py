"""One experiment and its results: what there is to look at, and where what is made goes."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import os
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm.auto import tqdm

from semanticcmc.config import InputError, existing, in_a_tuple, one_of
from semanticcmc.evaluation import robustness
from semanticcmc.evaluation.config import METHODS, EvaluationConfig, StimuliConfig, with_evaluation
from semanticcmc.evaluation.models import category_table, experiment_model
from semanticcmc.evaluation.rdm_files import ByLayer, rdm_file, untrained_features
from semanticcmc.evaluation.stimuli import StimulusFolder, stimulus_folder
from semanticcmc.experiment import Experiment, Network
from semanticcmc.figures.lag_curve import too_little_film
from semanticcmc.figures.tables import Selection
from semanticcmc.films.store import FrameStore
from semanticcmc.labels.stream import LabelStream, experiment_labels, frequencies
from semanticcmc.network import GIVEN, Networks
from semanticcmc.rsa.rdm import FEWEST_CLASSES, RDM, read_rdms
from semanticcmc.rsa.semantics import NO_CATEGORY, categories
from semanticcmc.rsa.wordnet import names
from semanticcmc.run import Watch, listed, small_table, write_csv
from semanticcmc.timescales.association import labels_as_wnids
from semanticcmc.timescales.curves import TimescalesConfig
from semanticcmc.timescales.measured import Measured, measure, measure_labels

EXPLORE = "explore"  # folder of the results for what is made by hand
CHOICES = ("layer", "models", "control", "condition")  # what every figure of tests may show in another way


class Opened:
    """One experiment and its results, each thing loaded when it is first asked for.

    With `write` tables and figures go to the results, else to ``results/<name>/explore``. What may be `chosen` are the
    `layer`, `models`, `control` and `condition` that figures show (`shown`), and the `method` of correlation; by
    default as the experiment declares. Models and controls that it does not declare are tested besides.
    """

    def __init__(self, experiment: Experiment, write: bool = False, **chosen: Any) -> None:
        config, method = experiment.section("evaluation", EvaluationConfig), chosen.pop("method", None)
        self.experiment, self.shown = experiment, Selection.of(experiment)
        self.shown = self.showing(**chosen)
        tested = {
            "method": one_of("method", config.method if method is None else method, METHODS),
            "models": tuple(dict.fromkeys((*config.models, *self.shown.models))),
            "controls": tuple(dict.fromkeys((*config.controls, self.shown.control))),
        }
        self.experiment, self.write_results = with_evaluation(experiment, **tested), write
        self._tables: dict[str, tuple[pd.DataFrame, Path]] = {}
        self._told = False

    def __repr__(self) -> str:
        return f"{self.experiment!r}; {'/'.join(self.folder.parts[-2:])}"  # pages of it go to others

    def showing(self, **chosen: Any) -> Selection:
        """What is shown, with some of it `chosen` in another way (None: as it is)."""
        chosen = {one_of("choice", key, CHOICES): value for key, value in chosen.items() if value is not None}
        if "models" in chosen:
            chosen["models"] = tuple(dict.fromkeys(in_a_tuple(chosen["models"])))
        if not all(chosen.values()):
            raise InputError(f"{listed([key for key in chosen if not chosen[key]])}: empty; leave out what is declared")
        there = self.experiment.section("stimuli", StimuliConfig).conditions
        one_of("condition", chosen.get("condition", self.shown.condition), there)
        return dataclasses.replace(self.shown, **chosen)

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

    @property
    def some_labels(self) -> LabelStream:
        """The labels; an InputError where the films have none."""
        if self.labels is None:
            raise InputError(f"{self.name}: these films have no labels; LABELS=<folder> of make poster names some")
        return self.labels

    @property
    def used_films(self) -> pd.DataFrame:
        """Those of the films that have frames, or labels where these are alone."""
        return self.films if self.experiment.labels_alone else self.films[self.films.movie_id.isin(self.frames.movies)]

    @functools.cached_property
    def films(self) -> pd.DataFrame:
        """Every film found, with its length in seconds, number of frames, and problem, if it has one."""
        if self.experiment.labels_alone:
            times = self.some_labels.times
            return times.assign(title="", duration_s=times["count"] * times.interval_s, frames=0, problem="")
        text = {"movie_id": str, "title": str}
        file = existing(self.folder / "frames" / "films.csv", f"make poster EXPERIMENT={self.name} makes it")
        return pd.read_csv(file, dtype=text, keep_default_na=False, na_values={"duration_s": [""]})

    @functools.cached_property
    def stimuli(self) -> StimulusFolder:
        """The images that networks are tested on."""
        return StimulusFolder(stimulus_folder(self.experiment), self.experiment.section("stimuli", StimuliConfig))

    @functools.cached_property
    def classes(self) -> pd.DataFrame:
        """The classes of the stimuli, or nouns of labels alone: ``noun`` and ``category``, by ``wnid``."""
        if self.experiment.labels_alone:
            found = tuple(labels_as_wnids(self.experiment, self.some_labels).labels.label.cat.categories)
        else:
            found = self.stimuli.classes
        category = categories(found, category_table(self.experiment))
        return pd.DataFrame({"noun": names(found), "category": category}, index=pd.Index(found, name="wnid"))

    @property
    def noun(self) -> dict[str, str]:
        """Noun of every class, by wnid."""
        return dict(zip(self.classes.index, self.classes.noun, strict=True))

    @property
    def names(self) -> pd.Series:
        """A name of its own for every class, by wnid: its noun, and the wnid behind it where two share the noun."""
        noun = self.classes.noun
        return noun.where(~noun.duplicated(keep=False), noun + " " + noun.index)

    @functools.cached_property
    def pictures(self) -> dict[str, Path]:
        """The first picture of every class, by wnid."""
        return {str(wnid): Path(path) for wnid, path in self.stimuli.files.groupby("wnid").path.first().items()}

    @property
    def category(self) -> dict[str, str]:
        """Category of every class, by wnid."""
        return dict(zip(self.classes.index, self.classes.category, strict=True))

    def _repr_html_(self) -> str:
        rows = {
            "Experiment": f"{self.name}: {self.experiment.title}",
            "networks": ", ".join(dict.fromkeys(network.name for network in self.networks)),
            "shown": f"{self.shown.layer}; {', '.join(self.shown.models)}; {self.shown.given}",
            "films": repr(self.frames) if (self.folder / "frames" / "index.parquet").is_file() else "none yet",
            "results": self.folder,
        }
        return small_table(rows)

    @property
    def networks(self) -> Networks:
        """All networks, those of the YAML first, then those trained or represented by hand, marked so."""
        return Networks((*self.experiment.runs, *self.added), self.added)

    @property
    def added(self) -> tuple[Network, ...]:
        """Networks found in the results that the experiment's YAML does not list."""
        files = [path.parent for path in (self.folder / "networks").glob("*/seed-*/run.json")]
        files += (self.folder / "rdms").glob("*/seed-*_intact.parquet")
        found = {(path.parent.name, int(path.name[5:].split("_")[0])) for path in files}
        listed = {(network.name, network.seed) for network in self.experiment.runs}
        others = {path.parent.name for path in (self.folder / "rdms").glob("*/given.json")}
        return tuple(
            Network(name, GIVEN, math.nan, seed) if name in others else self.experiment.network(name, seed)
            for name, seed in sorted(found - listed)
            if name != "random"
        )

    def network(self, network: str | Network, seed: int | None = None) -> Network:
        """A network by its name; `seed` is by default the experiment's first.

        Raises InputError for one that is neither in the YAML nor in the results; the message lists those that are.
        """
        if isinstance(network, Network):
            return network
        seed = self.experiment.seeds[0] if seed is None else seed
        known = {(one.name, one.seed): one for one in self.networks}
        if (network, seed) not in known:
            there = ", ".join(dict.fromkeys(one.name for one in self.networks))
            seeds = ", ".join(dict.fromkeys(str(one.seed) for one in self.networks))
            raise InputError(f"{self.name}: no network {network!r}, seed {seed}; there are {there}; seed {seeds}")
        return known[network, seed]

    def is_represented(self, network: str | Network) -> bool:
        """Whether there are RDMs of a network."""
        return rdm_file(self.experiment, self.network(network), self.shown.condition).is_file()

    def rdms(self, network: str | Network, seed: int | None = None, condition: str = "intact") -> dict[str, RDM]:
        """RDMs of a network by layer. Raises InputError if it has not been represented yet."""
        file = rdm_file(self.experiment, self.network(network, seed), condition)
        return ByLayer(read_rdms(existing(file, "notebook 03_representations makes it")))

    def model(self, model: str) -> RDM:
        """A semantic model of the stimuli's classes: ``category``, ``lch``, ... or one of the experiment's files."""
        files = self.experiment.section("evaluation", EvaluationConfig).model_files
        classes = tuple(self.classes.index) if self.experiment.labels_alone else self.stimuli.classes
        return experiment_model(model, classes, self.experiment, files)

    def table(self, name: str) -> pd.DataFrame:
        """A table of the results, such as ``lag_curve``, or what this notebook wrote under that name.

        Raises InputError if there is none; the message lists those that there are.
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
        return self.explore(*parts[:-1]) / parts[-1]

    def explore(self, *parts: str) -> Path:
        """Folder for what is made by hand; an InputError where nothing can be written."""
        folder = self.folder.joinpath(EXPLORE, *parts)
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise InputError(
                f"{folder}: not writable; copy {self.folder} to where you may write, and open the copy's YAML"
            )
        return folder

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

    def watch(self, what: str, total: int | None = None) -> Watch:
        """Progress for a person who waits, where something is long; none in a workflow."""
        return iter if self.write_results else functools.partial(tqdm, desc=what, total=total, delay=5, leave=False)

    # --- what follows from it

    @functools.cached_property
    def label_counts(self) -> pd.DataFrame:
        """How often each label is seen, the most frequent first."""
        return frequencies(self.some_labels)

    @functools.cached_property
    def timescales(self) -> Measured:
        """How long looks and associations last; writes ``timescales``, ``half_lives`` and ``recommended_lag``."""
        config = self.experiment.section("timescales", TimescalesConfig)
        if self.experiment.labels_alone:
            measured = measure_labels(self.some_labels, config)
        else:
            features = untrained_features(self.experiment, self.frames, self.watch("looks of films"))
            measured = measure(self.frames, features, self.labels, config, self.watch("how long looks last"))
        self.write("timescales", measured.curves)
        self.write("half_lives", measured.constants)
        self.write("recommended_lag", measured.recommended)
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
