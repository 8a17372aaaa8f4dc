"""Experiments: the YAML of one, its networks and their names, and the folder of its results."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from semanticcmc.config import DISTINCT, SOME, InputError, Natural, Section, configure, shown
from semanticcmc.layers import read_layers
from semanticcmc.network import BASELINES, GIVEN, Network, lagged_name

Config = TypeVar("Config")

SECTIONS = (
    *("world", "movies", "labels", "stimuli", "networks", "views", "training", "objectives", "watch"),
    *("activations", "evaluation", "timescales", "classification"),
)
COPY = "experiment.yaml"  # of the results folder: the experiment as the workflow ran it


def repository_root() -> Path:
    """The checkout that this package was imported from; the current folder decides nothing.

    Raises InputError where the package is installed without a checkout: experiments then go by the path of their YAML.
    """
    folder = Path(__file__).resolve().parents[2]
    if (folder / "analysis" / "experiments").is_dir():
        return folder
    raise InputError(
        f"semanticcmc is installed in {folder}, outside a checkout of the repository, which holds the experiments; "
        "install it from a checkout (pip install --editable .), or give paths: of an experiment's YAML, of results"
    )


@dataclasses.dataclass(frozen=True)
class Head(Section):
    """Values of an experiment that stand in no section."""

    name: str  # folder name of the results
    title: str  # line that figures and poster carry
    source: Literal["world", "films", "labels"]  # of frames, labels, stimuli; `labels`: alone, also without networks
    lags_s: Annotated[tuple[float, ...], DISTINCT]  # time lags of the semantic networks, seconds
    baselines: Annotated[tuple[str, ...], DISTINCT]  # networks without a lag, from `BASELINES`
    seeds: Annotated[tuple[Natural, ...], SOME, DISTINCT]
    primary_layer: str  # whose test is the experiment's claim, declared before anything runs

    def __post_init__(self) -> None:
        super().__post_init__()
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", self.name):
            raise ValueError(f"name {self.name!r}: letters, digits, dot, dash and underscore only")
        for lag_s in self.lags_s:
            lagged_name(lag_s)
        for network in self.baselines:
            if network not in BASELINES:
                raise ValueError(f"baselines: unknown {network!r}; expected some of {', '.join(BASELINES)}")


@dataclasses.dataclass(frozen=True, repr=False)
class Experiment(Head):
    """An experiment's YAML and the folder of its results."""

    sections: Mapping[str, Mapping[str, Any]]  # of the YAML, each filling one dataclass
    file: Path  # the YAML that was read
    folder: Path  # ``results/<name>``

    def __repr__(self) -> str:
        seeds = f"{len(self.seeds)} seed{'s'[: len(self.seeds) != 1]}"
        return f"Experiment {self.name}: {len(self.networks)} networks, {seeds}, {self.primary_layer}"

    @property
    def networks(self) -> tuple[str, ...]:
        """Names of all networks: baselines, ``semantic_<lag>s`` by lag, then those of the section ``objectives``."""
        if self.labels_alone:
            return ()
        return (*self.baselines, *(lagged_name(lag_s) for lag_s in sorted(self.lags_s)), *self._further)

    @property
    def labels_alone(self) -> bool:
        """Whether there are labels without frames, stimuli and networks."""
        return self.source == "labels"

    @property
    def _further(self) -> dict[str, tuple[str, float]]:
        """Networks of the section ``objectives``: name to its line's, and lag (NaN: the line gives none)."""
        found = {}
        for line, values in self.sections.get("objectives", {}).items():
            for lag_s in values.get("lags_s", [math.nan]):
                found[line if math.isnan(lag_s) else f"{line}_{lag_s:g}s"] = (line, float(lag_s))
        return found

    def network(self, name: str, seed: int) -> Network:
        """The network of this name, also one that the YAML does not list; raises as `Network.named` does."""
        if name in self._further:
            line, lag_s = self._further[name]
            return Network(name, self.sections["objectives"][line]["objective"], lag_s, seed)
        return Network.named(name, self.sections.get("training", {}).get("objective", ""), seed)

    @property
    def on_the_curve(self) -> Experiment:
        """The experiment without the section ``objectives``: the networks of the lag curve, all of one objective."""
        sections = {name: values for name, values in self.sections.items() if name != "objectives"}
        return dataclasses.replace(self, sections=sections)

    def is_further(self, network: Network) -> bool:
        """Whether it is of the section ``objectives``."""
        return network.name in self._further

    def objective(self, network: Network) -> dict[str, Any]:
        """What the YAML says of a network's objective: its name, its pairing if any, and keys of its own."""
        if self.is_further(network):
            line = dict(self.sections["objectives"][self._further[network.name][0]])
            line.pop("lags_s", None)
            return {"name": line.pop("objective"), **line}
        said = self.sections["training"]["objective"]
        return {"name": said} if isinstance(said, str) else dict(said)

    @property
    def runs(self) -> tuple[Network, ...]:
        """All networks, a network's seeds together."""
        return tuple(self.network(name, seed) for name in self.networks for seed in self.seeds)

    def extended(self, networks: Iterable[Network]) -> Experiment:
        """The experiment with further networks, such as one that was trained by hand or is another's."""
        new = [network for network in networks if network.name not in self.networks]
        given = {one.name: {"objective": GIVEN} for one in new if one.objective == GIVEN}
        new = [network for network in new if network.name not in given]
        lags_s = dict.fromkeys(network.lag_s for network in new if network.name not in BASELINES)
        baselines = dict.fromkeys(network.name for network in new if network.name in BASELINES)
        further = {**self.sections.get("objectives", {}), **given}
        own = dataclasses.replace(self, sections={**self.sections, "objectives": further}) if given else self
        return dataclasses.replace(own, lags_s=(*self.lags_s, *lags_s), baselines=(*self.baselines, *baselines))

    def section(self, name: str, config: type[Config]) -> Config:
        """Section `name` of the YAML as an instance of the dataclass `config`."""
        where = f"{self.file}, section {name}"
        if name not in self.sections:
            raise InputError(f"{where}: missing")
        return configure(config, self.sections[name], where)

    def path(self, *parts: str) -> Path:
        """Path below the results folder, its parent made: ``experiment.path("tables", "lag_curve.csv")``."""
        path = self.folder.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def run_folder(self, network: Network) -> Path:
        """``networks/<network>/seed-<seed>`` below the results folder (not made here)."""
        return self.folder / "networks" / network.name / f"seed-{network.seed}"


def read_values(experiment: str | Path) -> tuple[dict[str, Any], dict[tuple[str, ...], str], Path]:
    """The values of an experiment's YAML laid over those of the YAML that it extends, and so on.

    `experiment` is a name in ``analysis/experiments``, such as ``miniature`` or ``miniature:shuffled``
    (miniature_shuffled.yaml); or a path that ends in ``.yaml``. ``extends:`` names another in the same way; a path
    counts from the file. Returned are the values, without sections that play no part (name and title are never
    inherited: an experiment has its own); the file's name by the keys that lead to a value; and the experiment's own
    YAML. Raises as of `layers.read_layers`.
    """
    file = experiment_file(experiment)
    values, origins = read_layers(file, experiment_file)
    for key in ("name", "title"):
        if key in values and origins[key,] != file.name:
            del values[key]
    for section in {"world": ("movies",), "films": ("world",), "labels": ("world", "movies")}.get(
        values.get("source", ""), ()
    ):
        values.pop(section, None)
    first = {key: values[key] for key in ("name", "title") if key in values}
    return first | values, origins, file


def experiment_file(experiment: str | Path, folder: Path | None = None) -> Path:
    """Path of an experiment's YAML, given by its name or by a path.

    A path counts from `folder`; without one from the current folder, a notebook's own, or else from the repository.
    Raises InputError if there is none.
    """
    name = str(experiment)
    if name.endswith((".yaml", ".yml")):
        files = [((folder or Path()) / Path(name).expanduser()).resolve()]
        if not folder and not files[0].is_file():
            files.append((repository_root() / name).resolve())
    else:
        files = [repository_root() / "analysis" / "experiments" / f"{name.replace(':', '_')}.yaml"]
    if not (file := files[-1]).is_file():
        known = sorted(p.stem for p in (repository_root() / "analysis" / "experiments").glob("*.yaml"))
        named, there = " and ".join(dict.fromkeys(map(str, files))), ", ".join(name for name in known if name != "base")
        raise InputError(f"{named}: no such experiment; there are {there}, or give a path to a .yaml")
    return file


def load_experiment(experiment: str | Path, results: str | Path | None = None) -> Experiment:
    """Read an experiment by name or by the path of its YAML.

    A name opens ``results/<name>/experiment.yaml``, the copy that the workflow ran, where there is one (and says so
    when its source has changed since), else ``analysis/experiments/<name>.yaml``. Raises InputError for a file that is
    absent, no YAML, or holds an unknown, missing or wrong value. The results of all experiments are in `results`, by
    default the repository's; those of a workflow's own copy where it lies.
    """
    file = None
    if not str(experiment).endswith((".yaml", ".yml")):
        copy = Path(results or repository_root() / "results") / str(experiment).replace(":", "_") / COPY
        if copy.exists():
            file, said = copy, copy.read_text(encoding="utf-8").split("\n", 1)[0]
            if fingerprint(experiment) not in said:
                remedy = f"make poster EXPERIMENT={experiment} brings it up to date"
                print(f"{experiment} has changed since {copy.parent} was made: {remedy}.")
    file = file or experiment_file(experiment)
    values = read_values(file)[0]
    sections = {key: values.pop(key) for key in SECTIONS if key in values}
    unknown = [str(key) for key in values if key not in {f.name for f in dataclasses.fields(Head)}]
    if unknown:
        expected = ", ".join([*(f.name for f in dataclasses.fields(Head)), *SECTIONS])
        raise InputError(f"{file}: unknown key {', '.join(unknown)}; the keys here are {expected}")
    head = configure(Head, values, file)
    place = (
        file.parent
        if file.name == COPY
        else (Path(results).resolve() if results else repository_root() / "results") / head.name
    )
    for line, said in sections.get("objectives", {}).items():
        _check_line(str(line), said, f"{file}, section objectives, {line}")
    return Experiment(**dataclasses.asdict(head), sections=sections, file=file, folder=place)


def _check_line(name: str, said: Any, where: str) -> None:
    """Refuse a line of the section ``objectives`` whose name, objective or lags cannot be."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in BASELINES or name.startswith("semantic"):
        raise InputError(f"{where}: a name of its own, of small letters, digits and underscores; not semantic...")
    if not isinstance(said, Mapping) or not isinstance(said.get("objective"), str):
        raise InputError(f"{where}: expected `objective: <name>` and its keys, found {shown(said)}")
    lags_s = said.get("lags_s", [1.0])
    if not isinstance(lags_s, list) or not lags_s:
        raise InputError(f"{where}, lags_s: expected a list of seconds, found {shown(lags_s)}")
    for lag_s in lags_s:
        lagged_name(lag_s)


def fingerprint(experiment: str | Path) -> str:
    """What an experiment's files say, in short."""
    return hashlib.sha256(json.dumps(read_values(experiment)[0], sort_keys=True).encode()).hexdigest()[:16]
