"""Experiments: the YAML of one, its networks and their names, and the folder of its results."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from semanticcmc.config import InputError, configure
from semanticcmc.run import atomic
from semanticcmc.variants import split_variant, varied

Config = TypeVar("Config")

SECTIONS = (
    "world",
    "movies",
    "labels",
    "stimuli",
    "networks",
    "views",
    "training",
    "activations",
    "evaluation",
    "timescales",
    "prediction",
    "classification",
)
# Networks without a lag of their own: objective (None: the experiment's), lag and views.
_BASELINES: dict[str, tuple[str | None, float, str]] = {
    "random": ("none", math.nan, "rgb"),
    "supervised": ("labels", math.nan, "rgb"),
    "augment": (None, 0.0, "rgb"),
    "cmc_lab": (None, math.nan, "lab"),
}
BASELINES = tuple(_BASELINES)


def repository_root() -> Path:
    """The checkout that this package was imported from; the current folder decides nothing.

    Raises
    ------
    InputError
        Where the package is installed without a checkout: experiments then go by the path of their YAML.
    """
    folder = Path(__file__).resolve().parents[2]
    if (folder / "analysis" / "experiments").is_dir():
        return folder
    raise InputError(
        f"semanticcmc is installed in {folder}, outside a checkout of the repository, which holds the experiments; "
        "install it from a checkout (pip install --editable .), or give paths: of an experiment's YAML, of results"
    )


def network_name(network: str, lag_s: float | None = None) -> str:
    """Name of a network: ``semantic`` and a lag of 60 s give ``semantic_60s``; baselines keep theirs.

    Parameters
    ----------
    network : str
        ``semantic``, or one of `BASELINES`.
    lag_s : float, optional
        Time lag in seconds, greater than 0; used by ``semantic`` alone.

    Raises
    ------
    InputError
        For an unknown network, or a lag that is not a positive number.
    """
    if network in BASELINES:
        return network
    if network != "semantic":
        raise InputError(f"network {network!r}: expected semantic or one of {', '.join(BASELINES)}")
    if isinstance(lag_s, bool) or not isinstance(lag_s, (int, float)) or not math.isfinite(lag_s) or lag_s <= 0:
        raise InputError(f"lag_s {lag_s!r}: a time lag is a number of seconds above 0 (for none: network augment)")
    return f"semantic_{lag_s:g}s"


def network_lag_s(name: str) -> float:
    """Time lag in seconds of a network's name: 60 for ``semantic_60s``, 0 for ``augment``, else NaN."""
    if match := re.fullmatch(r"semantic_(\d+(?:\.\d+)?)s", name):
        return float(match[1])
    return 0.0 if name == "augment" else math.nan


@dataclasses.dataclass(frozen=True)
class Network:
    """One network of an experiment, from one seed.

    Attributes
    ----------
    name : str
        Its folder, such as ``semantic_60s``.
    objective : str
        What its weights come from: the name of a training objective, ``none`` (as drawn) or ``labels`` (torchvision's).
    lag_s : float
        Seconds between the frames of a pair; 0: both views of one frame; NaN: time plays no part.
    seed : int
        Of the initial weights and of all sampling.
    views : {'rgb', 'lab'}
        What is seen of the frames of a pair: each in colour, or lightness of the one and colours of the other.
    """

    name: str
    objective: str
    lag_s: float
    seed: int
    views: str = "rgb"

    @property
    def trained(self) -> bool:
        """Whether it is trained here."""
        return self.objective not in ("none", "labels")


@dataclasses.dataclass(frozen=True)
class Experiment:
    """An experiment's YAML and the folder of its results.

    Attributes
    ----------
    name, title : str
        Folder name of the results, and the line that figures and poster carry.
    source : {'world', 'films'}
        Where frames, labels and stimuli come from.
    lags_s : tuple of float
        Time lags of the semantic networks, seconds.
    baselines : tuple of str
        Networks without a lag, from `BASELINES`.
    seeds : tuple of int
    primary_layer : str
        The layer whose test is the experiment's claim, declared before anything runs.
    sections : mapping of str to mapping
        The YAML's sections, each named after the room that it is for.
    file : Path
        The YAML that was read.
    folder : Path
        ``results/<name>``.
    """

    name: str
    title: str
    source: str
    lags_s: tuple[float, ...]
    baselines: tuple[str, ...]
    seeds: tuple[int, ...]
    primary_layer: str
    sections: Mapping[str, Mapping[str, Any]]
    file: Path
    folder: Path

    @property
    def networks(self) -> tuple[str, ...]:
        """Names of all networks: baselines first, then ``semantic_<lag>s`` by lag."""
        return (*self.baselines, *(network_name("semantic", lag_s) for lag_s in sorted(self.lags_s)))

    def network(self, name: str, seed: int) -> Network:
        """The network of this name, also one that the YAML does not list, such as ``semantic_90s``.

        Raises
        ------
        InputError
            For a name that is neither a baseline's nor ``semantic_<lag>s``.
        """
        objective = self.sections.get("training", {}).get("objective", "")
        if name in _BASELINES:
            own, lag_s, views = _BASELINES[name]
            return Network(name, own or objective, lag_s, seed, views)
        lag_s = network_lag_s(name)
        network_name("semantic" if lag_s > 0 else name, lag_s)
        return Network(name, objective, lag_s, seed)

    @property
    def runs(self) -> tuple[Network, ...]:
        """All networks, a network's seeds together."""
        return tuple(self.network(name, seed) for name in self.networks for seed in self.seeds)

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

    def run_folder(self, network: str, seed: int) -> Path:
        """``networks/<network>/seed-<seed>`` below the results folder (not made here)."""
        return self.folder / "networks" / network / f"seed-{seed}"


@dataclasses.dataclass(frozen=True)
class _Head:
    name: str
    title: str
    source: str
    lags_s: tuple[float, ...]
    baselines: tuple[str, ...]
    seeds: tuple[int, ...]
    primary_layer: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", self.name):
            raise ValueError(f"name {self.name!r}: letters, digits, dot, dash and underscore only")
        if self.source not in ("world", "films"):
            raise ValueError(f"source {self.source!r}: expected world or films")
        for lag_s in self.lags_s:
            network_name("semantic", lag_s)
        for values, key in ((self.lags_s, "lags_s"), (self.baselines, "baselines"), (self.seeds, "seeds")):
            if len(set(values)) != len(values):
                raise ValueError(f"{key} {list(values)}: a value stands twice")
        for network in self.baselines:
            if network not in BASELINES:
                raise ValueError(f"baselines: unknown {network!r}; expected some of {', '.join(BASELINES)}")
        if not self.seeds or min(self.seeds) < 0:
            raise ValueError(f"seeds {list(self.seeds)}: at least one, none below 0")


def load_experiment(experiment: str | Path, results: str | Path | None = None) -> Experiment:
    """Read an experiment by name or by the path of its YAML.

    A name opens ``results/<name>/experiment.yaml``, the copy that the workflow ran, where there is one
    (and says so when its source has changed since), else ``analysis/experiments/<name>.yaml``.

    Parameters
    ----------
    experiment : str or Path
        ``miniature``, or a path that ends in ``.yaml``; of a variant, ``poster:fast`` (`variants`).
    results : str or Path, optional
        Folder that holds the results of all experiments; by default ``results`` in the repository.
        Not used for a workflow's own copy, whose folder is the one that it lies in.

    Raises
    ------
    InputError
        For a file that is absent, no YAML, or holds an unknown, missing or wrong value.
    """
    name, variant = split_variant(experiment)
    if name.endswith((".yaml", ".yml")):
        file = Path(name).resolve()
    else:
        root = repository_root()
        source = root / "analysis" / "experiments" / f"{name}.yaml"
        folder = f"{name}_{variant}" if variant else name
        file = Path(results or root / "results") / folder / "experiment.yaml"
        if not file.exists():
            file = source
        else:
            variant = None  # the workflow's copy is varied already
            if source.exists() and source.stat().st_mtime > file.stat().st_mtime:
                print(f"{source} has changed since {file.parent} was made: make poster brings it up to date.")
    values = varied(_read_yaml(file), variant, file)
    sections = {key: values.pop(key) for key in SECTIONS if key in values}
    unknown = [str(key) for key in values if key not in {f.name for f in dataclasses.fields(_Head)}]
    if unknown:
        expected = ", ".join([*(f.name for f in dataclasses.fields(_Head)), *SECTIONS])
        raise InputError(f"{file}: unknown key {', '.join(unknown)}; the keys here are {expected}")
    head = configure(_Head, values, file)
    place = file.parent if file.name == "experiment.yaml" else _results_root(results) / head.name
    return Experiment(**dataclasses.asdict(head), sections=sections, file=file, folder=place)


def _results_root(results: str | Path | None) -> Path:
    return Path(results).resolve() if results else repository_root() / "results"


def _read_yaml(file: Path) -> dict[str, Any]:
    import yaml  # here, since a GPU node that is handed its settings need not have it

    if not file.is_file():
        known = sorted(p.stem for p in (repository_root() / "analysis" / "experiments").glob("*.yaml"))
        raise InputError(f"{file}: no such experiment; there are {', '.join(known)}, or give a path to a .yaml")
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise InputError(f"{file}: not readable as YAML: {error}") from error
    if not isinstance(values, dict):
        raise InputError(f"{file}: expected `key: value` lines, found {type(values).__name__}")
    return values


def resolve_experiment(
    experiment: str | Path,
    results: str | Path | None = None,
    films: str | None = None,
    stimuli: str | None = None,
    labels: str | None = None,
    seeds: int | None = None,
) -> Experiment:
    """Write ``results/<name>/experiment.yaml``: the source YAML with what this machine and call add.

    Parameters
    ----------
    experiment : str or Path
        A name in ``analysis/experiments`` or a path to a YAML, with ``:variant`` for one of its variants.
    results : str or Path, optional
        Folder for the results of all experiments.
    films, stimuli : str, optional
        Folder of films and folder of class folders; they replace ``movies.folder`` and ``stimuli.folder``.
    labels : str, optional
        Folder or file of labels; it replaces ``labels.path``.
    seeds : int, optional
        Number of seeds, counted from 0.

    Returns
    -------
    Experiment
        As read back from the file written. The file is touched only if its content changes.
    """
    import yaml

    name, variant = split_variant(experiment)
    by_path = name.endswith((".yaml", ".yml"))
    source = Path(name) if by_path else repository_root() / "analysis/experiments" / f"{name}.yaml"
    values = varied(_read_yaml(source), variant, source)
    for folder, key, option in ((films, "movies", "FILMS"), (stimuli, "stimuli", "STIMULI")):
        if not folder:
            continue
        if not isinstance(values.get(key), dict):
            raise InputError(f"{source}: {option}={folder} given, but this experiment has no section {key}")
        if not Path(folder).expanduser().is_dir():
            raise InputError(f"{option}={folder}: no such folder")
        values[key]["folder"] = str(Path(folder).expanduser().resolve())
    if labels:
        if not isinstance(values.get("labels"), dict):
            raise InputError(f"{source}: LABELS={labels} given, but this experiment has no section labels")
        if values.get("source") == "world":
            raise InputError(f"{source}: LABELS={labels} given, but the world makes its own labels")
        if not Path(labels).expanduser().exists():
            raise InputError(f"LABELS={labels}: no such folder or file")
        values["labels"]["path"] = str(Path(labels).expanduser().resolve())
    for section, key in (
        ("movies", "folder"),
        ("movies", "manifest"),
        ("stimuli", "folder"),
        ("labels", "path"),
        ("classification", "train"),
        ("classification", "test"),
    ):
        place = (values.get(section) or {}).get(key)
        if isinstance(place, str):  # jobs run elsewhere: a relative path in the YAML counts from the repository
            values[section][key] = str((repository_root() / Path(place).expanduser()).resolve())
    if seeds is not None:
        if seeds < 1:
            raise InputError(f"SEEDS={seeds}: at least 1")
        values["seeds"] = list(range(seeds))
    head = configure(_Head, {k: v for k, v in values.items() if k not in SECTIONS}, source)
    file = _results_root(results) / head.name / "experiment.yaml"
    text = f"# As run, from {source.name}: made by the workflow; edit the source instead.\n" + yaml.safe_dump(
        values, sort_keys=False, allow_unicode=True
    )
    try:
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            with atomic(file) as temporary:
                temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{file.parent}: cannot be written ({error.strerror}); free it or give results=") from error
    return load_experiment(file)
