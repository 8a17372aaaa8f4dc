"""The figures of the notebooks by name: which tables each is drawn from, with what a reader may choose."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from semanticcmc.config import InputError, existing, in_a_tuple, one_of
from semanticcmc.evaluation.comparisons import simple_by_layer
from semanticcmc.evaluation.config import EvaluationConfig
from semanticcmc.evaluation.models import category_table
from semanticcmc.evaluation.rdm_files import rdm_file
from semanticcmc.experiment import Network, lagged_name
from semanticcmc.figures import accuracy as accuracies
from semanticcmc.figures import comparisons, films, layers, style, timescales, training
from semanticcmc.figures import lag_curve as lag_curves
from semanticcmc.figures import rdms as matrices
from semanticcmc.figures import robustness as changes
from semanticcmc.figures.style import Drawn
from semanticcmc.figures.tables import Selection
from semanticcmc.opened import CHOICES, Opened
from semanticcmc.rsa.semantics import NO_CATEGORY, category_rdm
from semanticcmc.timescales.curves import TimescalesConfig
from semanticcmc.timescales.measured import association_maps
from semanticcmc.training.batches import example_views
from semanticcmc.training.recipe import chance_loss
from semanticcmc.world.config import WorldConfig
from semanticcmc.world.renderer import stills
from semanticcmc.world.truth import true_persistence

FEWEST = {"count": 1, "labels": 2}  # of what a figure may show in any number
Made = tuple[Drawn, str, Iterable[str | Path]]  # the figure, its file's name, and the files that it was drawn from


def draw(E: Opened, name: str, choices: dict[str, Any]) -> Made:
    """Draw a figure by its name; see `study.Study.figure`."""
    one_of("figure", name, sorted((*FIGURES, *FROM_TABLES)))
    figure = FIGURES.get(name)
    own = dict(list(inspect.signature(figure).parameters.items())[2:]) if figure else {}  # after E and shown
    for key, value in choices.items():
        one_of(f"figure {name}: choice", key, (*CHOICES, *own))
        if key in FEWEST and not (isinstance(value, int) and value >= FEWEST[key]):
            raise InputError(f"figure {name}: {key} {value!r}: expected {FEWEST[key]} or more")
    if missing := [key for key in own if own[key].default is inspect.Parameter.empty and key not in choices]:
        raise InputError(f"figure {name}: give {missing[0]}=, one of {', '.join(str(one.name) for one in E.networks)}")
    shown = E.showing(**{key: choices[key] for key in CHOICES if key in choices})
    shown = _checked(E, shown, [*FROM_TABLES.get(name, (None, ()))[1], name])
    if figure:
        return figure(E, shown, **{key: choices[key] for key in own if key in choices})
    function, tables = FROM_TABLES[name]
    return function(*map(E.table, tables), shown), name, E.inputs(*tables)


def _checked(E: Opened, shown: Selection, tables: Iterable[str]) -> Selection:
    """Refuse what no table holds: an empty plot says nothing. A table that has one layer alone shows it."""
    if E.has("lag_curve"):
        table = E.table("lag_curve")
        for column, values in (("layer", [shown.layer]), ("model", shown.models), ("control", [shown.control])):
            for value in values:
                one_of(column, value, dict.fromkeys(table[column]), "not tested; there are")
    for name in filter(E.has, tables):
        layers = E.table(name).get("layer", pd.Series(dtype=str)).unique()
        if len(layers) == 1 and layers[0] != shown.layer:
            print(f"tables/{name}.csv holds {layers[0]} alone: it is shown, not {shown.layer}.")
            shown = dataclasses.replace(shown, layer=str(layers[0]))
    return shown


# --- 01 the films


def film_strip(E: Opened, shown: Selection, lag_s: float | None = None) -> Made:
    """The longest film, from its middle; a pair `lag_s` apart is framed (by default the middle one of the lags)."""
    store, stream, lags_s = E.frames, E.labels, sorted(E.experiment.lags_s)
    film = str(store.index.groupby("movie_id").size().idxmax())
    times_s = store.times(film)
    interval_s, length_s = times_s[1] - times_s[0], times_s[-1] - times_s[0]
    if lag_s is None:
        lag_s = float(np.clip(lags_s[len(lags_s) // 2] if lags_s else 1, interval_s, length_s))
    if not (lagged_name(lag_s) and interval_s <= lag_s <= length_s):
        raise InputError(f"lag_s {lag_s:g}: film {film} has pairs {interval_s:g} to {length_s:g} s apart")
    step = max(1, round(lag_s / 4 / interval_s))  # five pictures from the first of the pair to the second
    rows = np.arange(max(0, len(times_s) // 2 - 4 * step), len(times_s), step)[:9]
    apart = round(lag_s / (step * interval_s))
    first = min(2, max(0, len(rows) - 1 - apart))
    pair = (first, min(first + apart, len(rows) - 1))
    words, files = None, ["frames/index.parquet", f"frames/{film}.tar"]
    if stream is not None:
        files.append("labels/labels.parquet")
        labels, near = stream.labels.iloc[stream.rows[film]], stream.film(film).interval_s / 2
        at = [labels[(labels.time_s - time_s).abs() <= near] for time_s in times_s[rows]]
        words = [one.sort_values("confidence", ascending=False).label.unique()[:4].tolist() for one in at]
    title = E.films.set_index("movie_id").title.get(film, film)
    world = E.experiment.section("world", WorldConfig) if E.experiment.source == "world" else None
    if world and world.objects == "drawn":  # drawn anew for the eye; the networks see the frames as stored
        images = list(stills(world, film, times_s[rows], films.STRIP_PX))
        title += f", drawn at {films.STRIP_PX} px; networks see {world.image_px} px"
    else:
        images = [store.read(film, time_s) for time_s in times_s[rows]]
    return films.film_strip(images, times_s[rows].tolist(), words, pair, title), "film_strip", files


def persistence(E: Opened, shown: Selection) -> Made:
    """How long looks and associations last, on one axis, with the truth where it is known."""
    known = [E.folder / "world" / name for name in ("truth.csv", "shots.parquet")]
    truth = shared = None
    if all(path.exists() for path in known):
        truth, shared = true_persistence(known[0], known[1], E.frames.index, E.timescales.pictures)
    seconds = E.used_films.duration_s.sum()
    drawn = _persistence(E, ["appearance", "association"], truth=truth, seconds=seconds, shared=shared)
    return drawn, "persistence", [*E.inputs("timescales", "half_lives"), *(known if truth is not None else [])]


def persistence_looks(E: Opened, shown: Selection) -> Made:
    """How long looks last, by three measures."""
    drawn = _persistence(E, ["appearance", "rms", "features"], layer=E.experiment.primary_layer)
    return drawn, "persistence_looks", E.inputs("timescales", "half_lives")


def _persistence(E: Opened, measures: list[str], **more: Any) -> Drawn:
    config, curves = E.experiment.section("timescales", TimescalesConfig), E.timescales.curves
    more |= {"confidence": config.confidence, "count": len(E.used_films)}
    return timescales.persistence(curves[curves.measure.isin(measures)], E.timescales.constants, **more)


def label_frequencies(E: Opened, shown: Selection) -> Made:
    """How often each label is seen, by its rank."""
    drawn = films.label_frequencies(E.label_counts.set_index("label")["count"])
    return drawn, "label_frequencies", ["labels/labels.parquet"]


def associations(E: Opened, shown: Selection, labels: int = 48) -> Made:
    """Which labels follow which, at three lags."""
    config = E.experiment.section("timescales", TimescalesConfig)
    maps = association_maps(E.some_labels, E.experiment.lags_s, config, labels)
    groups = dict(zip(E.classes.noun, E.classes.category, strict=True)) if E.experiment.source == "world" else {}
    return films.association_maps(maps, groups), "associations", ["labels/labels.parquet"]


# --- 02 one network in training


def pairs(E: Opened, shown: Selection, network: str | Network, seed: int | None = None, count: int = 8) -> Made:
    """Pairs of views as a network gets them in training."""
    one = E.network(network, seed)
    first, second = map(list, example_views(E.experiment, one, count))
    drawn = training.pairs(first, second, one.name, one.lag_s)
    return drawn, f"pairs_{_of(one)}", ["frames/index.parquet"]


def training_curve(E: Opened, shown: Selection, network: str | Network, seed: int | None = None) -> Made:
    """What a network was watched by in training, by step: loss, alignment, class accuracy and so on."""
    one = E.network(network, seed)
    made_by = "notebook 02_training makes it, of a network that is trained"
    file = existing(E.experiment.run_folder(one) / "metrics.jsonl", made_by)
    chance = chance_loss(E.experiment, one)
    drawn = training.training_curves(pd.read_json(file, lines=True), one.name, one.seed, chance)
    return drawn, f"training_{_of(one)}", [file]


def _of(network: Network) -> str:
    return f"{network.name}_seed-{network.seed}"


# --- 03 one network


def category_by_layer(E: Opened, shown: Selection, network: str | Network, seed: int | None = None) -> Made:
    """A network's simple correlation with category, by layer and condition."""
    one, category = E.network(network, seed), E.classes.category
    kept = category[category != NO_CATEGORY]
    if not E.has_categories:
        raise InputError(f"{E.name}: {len(kept)} classes have a category, too few for the category model")
    conditions = E.stimuli.config.conditions
    files = [rdm_file(E.experiment, one, condition) for condition in conditions]
    by_condition = {condition: E.rdms(one, condition=condition) for condition in conditions}
    model = category_rdm(list(kept.index), category_table(E.experiment))
    table = simple_by_layer(by_condition, model, E.experiment.section("evaluation", EvaluationConfig))
    drawn = layers.conditions_by_layer(table, shown, one.name, one.seed, len(kept))
    return drawn, f"layers_{_of(one)}", [*files, category_table(E.experiment)]


def rdm(E: Opened, shown: Selection, network: str | Network, seed: int | None = None) -> Made:
    """A network's distances, ordered by category."""
    one, which, matrix, files = _matrix(E, shown, network, seed)
    return matrices.rdm_matrices({which: matrix}, E.category), f"rdm_{_of(one)}", files


def mds(E: Opened, shown: Selection, network: str | Network | None = None, seed: int | None = None) -> Made:
    """A map of the classes by a network's distances; by default of the network with the largest correlation."""
    one, which, matrix, files = _matrix(E, shown, network or E.best, seed)
    drawn = matrices.mds(matrix, E.category, E.noun, which)
    return drawn, f"mds_{_of(one)}" if network else "mds", files


def neighbours(E: Opened, shown: Selection, network: str | Network, seed: int | None = None) -> Made:
    """Classes and those nearest to each, in pictures."""
    one, which, matrix, files = _matrix(E, shown, network, seed)
    drawn = matrices.nearest_neighbours(matrix, E.pictures, E.category, E.noun, which)
    return drawn, f"neighbours_{_of(one)}", files


def _matrix(
    E: Opened, shown: Selection, network: str | Network, seed: int | None
) -> tuple[Network, str, Any, list[Path]]:
    one = E.network(network, seed)
    files = [rdm_file(E.experiment, one, shown.condition), category_table(E.experiment)]
    return one, f"{one}, {shown.layer}", E.rdms(one, condition=shown.condition)[shown.layer], files


# --- 04 all networks


def lag_curve(E: Opened, shown: Selection, conditions: bool = False) -> Made:
    """Correlation with the models by lag; a panel a condition with `conditions`."""
    table, files = E.table("lag_curve"), E.inputs("lag_curve", "dataset")
    if conditions:
        drawn = lag_curves.lag_curve(table, shown, conditions=list(table.condition.unique()))
        return drawn, "lag_curve_conditions", files
    if shown.control == "look":
        return lag_curves.lag_curve(table, shown), "lag_curve_look", E.inputs("lag_curve")
    return lag_curves.lag_curve(table, shown, E.remark), "lag_curve", files


def dissociation(E: Opened, shown: Selection, measure: str = "knn") -> Made:
    """Class accuracy against meaning."""
    one_of("measure", measure, dict.fromkeys(E.table("accuracy").measure))
    drawn = accuracies.dissociation(E.table("lag_curve"), E.table("accuracy"), shown, measure, E.remark)
    return drawn, "dissociation", E.inputs("lag_curve", "accuracy")


def rdms(E: Opened, shown: Selection, networks: str | Iterable[str] | None = None) -> Made:
    """Distances in some networks side by side: one without a lag, the shortest lag, the best, and the longest."""
    experiment = E.experiment.on_the_curve
    networks = () if networks is None else in_a_tuple(networks)
    if not networks:
        lagged = [network for network in experiment.networks if network not in experiment.baselines]
        without = [name for name in ("augment", "cmc_lab", "random") if name in experiment.baselines][:1]
        networks = (*without, *lagged[:1], E.best, *lagged[-1:])
    looks = style.network_styles(style.network_lags(E.table("lag_curve")))
    found = [_matrix(E, shown, name, None) for name in dict.fromkeys(networks)]
    distance = experiment.section("evaluation", EvaluationConfig).distance
    about = f"{shown.layer}; seed {experiment.seeds[0]}; {distance} distance of class means"
    labelled = {looks[one.name]["label"]: matrix for one, _, matrix, _ in found}
    files = [rdm_file(experiment, one, shown.condition) for one, *_ in found]
    return matrices.rdm_matrices(labelled, E.category, about), "rdms", [*files, category_table(experiment)]


# --- 05 the models


def semantic_models(E: Opened, shown: Selection, about: str = "") -> Made:
    """The models themselves, as distances between the classes."""
    models = {style.model_style(name)["label"]: E.model(name) for name in ("category", "lch")}
    first = [rdm_file(E.experiment, one, "intact") for one in E.experiment.runs[:1]]
    drawn = matrices.rdm_matrices(models, E.category, about)
    return drawn, "semantic_models", [*first, category_table(E.experiment)]


# --- 07 robustness


def robustness(E: Opened, shown: Selection, network: str | None = None) -> Made:
    """One change of the analysis a row, for the network with the largest declared correlation."""
    table = E.table("robustness")
    return changes.robustness(table, shown, network or E.most_robust), "robustness", E.inputs("robustness")


# Figures drawn from tables alone, in the order in which their function takes them.
FROM_TABLES: dict[str, tuple[Callable[..., Drawn], tuple[str, ...]]] = {
    "meaning": (timescales.meaning, ("meaning", "meaning_scales")),
    "controls": (comparisons.controls, ("lag_curve",)),
    "layers": (layers.layers, ("lag_curve",)),
    "noise_ceiling": (accuracies.noise_ceiling, ("lag_curve", "noise_ceiling")),
    "accuracy": (accuracies.accuracy_by_condition, ("accuracy",)),
    "yardsticks": (accuracies.yardsticks, ("yardsticks",)),
    "published": (lag_curves.published_table, ("published",)),
    "objectives": (accuracies.objectives, ("objectives",)),
    "lag_comparisons": (comparisons.lag_comparisons, ("lag_comparisons", "lag_curve")),
    "connectivity": (comparisons.connectivity, ("connectivity", "lag_curve")),
}
FIGURES: dict[str, Callable[..., Made]] = {
    figure.__name__: figure
    for figure in (
        *(film_strip, persistence, persistence_looks, label_frequencies, associations, pairs, training_curve),
        *(category_by_layer, rdm, mds, neighbours, lag_curve, dissociation, rdms, semantic_models, robustness),
    )
}
