"""Questions that a notebook asks in another way than the experiment declared, answered once and kept.

Answers are plain CSV and pictures in ``results/<name>/explore/cache``, named by the hash of all that they follow from:
RDMs, models, the evaluation's settings, what was asked, and the code. Results are never written.
"""

from __future__ import annotations

import dataclasses
import hashlib
import html
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import ClassVar

import pandas as pd

from semanticcmc.config import InputError, in_a_tuple, one_of
from semanticcmc.evaluation import comparisons
from semanticcmc.evaluation import lag_curve as lag_curves
from semanticcmc.evaluation.config import AND, METHODS, EvaluationConfig, control_networks, with_evaluation
from semanticcmc.evaluation.models import MADE
from semanticcmc.evaluation.rdm_files import RDMFiles, rdm_file
from semanticcmc.experiment import BASELINES, Experiment, Network, lagged_name
from semanticcmc.figures import rdms as matrices
from semanticcmc.figures.lag_curve import lag_curve as draw_lag_curve
from semanticcmc.figures.save import Picture, save
from semanticcmc.figures.style import Drawn
from semanticcmc.figures.tables import Selection, model_names, percent, values_text
from semanticcmc.opened import Opened
from semanticcmc.rsa.permutation import permutations_for_family
from semanticcmc.rsa.rdm import RDM
from semanticcmc.rsa.semantics import WORDNET_MODELS
from semanticcmc.run import counted, sha256, write_csv

# Said once, not in each row.
ALIKE = ("condition", "layer", "permutations", "alternative", "method", "classes", "samples")
CODE = ("evaluation", "rsa", "figures")  # packages that an answer follows from


class Answer(pd.DataFrame):
    """A table that says what was tested, and shows its figure in a notebook; what is made of it is a plain table.

    Attributes
    ----------
    said : str
        What the rows hold, the number of permutations, and the family of tests that p_holm is corrected for.
    picture : Picture or None
    """

    _metadata: ClassVar[list[str]] = ["said", "picture"]
    said: str
    picture: Picture | None

    @property
    def _shown(self) -> pd.DataFrame:
        return pd.DataFrame(self).drop(columns=list(ALIKE), errors="ignore")

    def __repr__(self) -> str:
        return f"{self.said}\n{self._shown.to_string(index=False, max_rows=20, float_format='{:.3g}'.format)}"

    def _repr_html_(self) -> str:
        table = self._shown.to_html(index=False, max_rows=60, float_format="{:.3g}".format, border=0)
        said = f"<p>{html.escape(self.said)}</p>"
        if self.picture is None:
            return said + table
        return f"{said}{self.picture.html}<details><summary>{counted(len(self), 'row')}</summary>{table}</details>"


@dataclasses.dataclass(frozen=True)
class Question:
    """What is asked of an experiment's tests."""

    experiment: Experiment  # with the networks and the section ``evaluation`` that were asked for
    shown: Selection  # layer, models, control and condition
    declared: tuple[tuple[str, ...], tuple[str, ...]]  # names of the networks and of the models that it declares

    @property
    def permutations(self) -> dict[str, int]:
        """As many as the declared family needs, by control, where less is asked too: no control is tested itself."""
        networks, models = self.declared
        of = {control: lag_curves.parts_of(self.experiment, control) for control in ("none", self.shown.control)}
        tests = {key: len({*networks} - {*parts}) * len({*models} - {*parts}) for key, parts in of.items()}
        return {control: permutations_for_family(max(count, 1)) for control, count in tests.items()}

    def family(self, tests: int, of: str) -> str:
        """The family of tests, in words; `of` what it is made of."""
        networks, models = map(len, self.declared)
        same = (self.experiment.networks, self.shown.models) == self.declared
        aside = "" if same else f"; declared are {counted(networks, 'network')} and {counted(models, 'model')}"
        return f"p_holm is corrected for {counted(tests, of)} of a seed{aside}"


def choices(E: Opened) -> dict[str, tuple[str, ...]]:
    """What can be asked for: layers of the RDM files, controls, methods and models."""
    own = E.experiment.section("evaluation", EvaluationConfig).model_files
    made = tuple(name for name, (file, _) in MADE.items() if (E.folder / file).is_file())
    return {
        "layer": RDMFiles(E.experiment, E.shown.condition).layers,
        "control": tuple(dict.fromkeys((*lag_curves.controls_there(E.experiment), E.shown.control))),
        "method": METHODS,
        "models": ("category", *WORDNET_MODELS, *own, *made),
    }


def asked(
    E: Opened,
    layer: str | None = None,
    method: str | None = None,
    models: str | Sequence[str] | None = None,
    control: str | None = None,
    lags: float | Sequence[float] | None = None,
    also: str | Sequence[str] | None = None,
) -> Question:
    """What is asked, checked: None is what notebook and YAML say; a value that there is not lists those that there are.

    `lags` are seconds, whose networks are tested beside those without a lag; `also` networks beyond the YAML's, by
    default all that were trained and represented by hand.
    """
    experiment, shown = E.experiment.on_the_curve, E.showing(layer=layer, models=models, control=control)
    config = experiment.section("evaluation", EvaluationConfig)
    method = config.method if method is None else method
    by_hand, there = [one for one in E.added if E.is_represented(one)], choices(E)
    also = [one.name for one in by_hand] if also is None else in_a_tuple(also)
    for name in also:
        one_of("network", name, [one.name for one in by_hand], "trained and represented by hand are")
    kept, declared = [one for one in by_hand if one.name in also], (experiment.networks, config.models)
    experiment = experiment.extended(kept)
    if lags is not None:
        for lag_s in (lags := in_a_tuple(lags)):
            one_of("network", lagged_name(lag_s), [one for one in experiment.networks if one not in BASELINES])
        experiment = dataclasses.replace(experiment, lags_s=tuple(sorted({float(lag_s) for lag_s in lags})))
    for model in shown.models:
        one_of("model", model, there["models"])
    for part in shown.control.split(AND):
        one_of("control", part, there["control"])
    one_of("method", method, there["method"])
    one_of("layer", shown.layer, there["layer"], f"the RDM files of {experiment.name} hold")
    changes = {"method": method, "models": shown.models, "controls": tuple(dict.fromkeys(("none", shown.control)))}
    return Question(with_evaluation(experiment, **changes), shown, declared)


def lag_curve(E: Opened, question: Question) -> Answer:
    """The tests asked for, drawn as the lag curve."""
    experiment, shown = question.experiment, question.shown
    layers, conditions = [shown.layer], [shown.condition]

    def make() -> pd.DataFrame:
        return lag_curves.lag_curve(experiment, layers, conditions, question.permutations, E.watch("lag curve"))

    def draw(table: pd.DataFrame) -> Drawn:
        return draw_lag_curve(table, shown, remark=E.remark)

    def say(table: pd.DataFrame) -> str:
        tested = table[table.control == shown.control]
        tests = int(tested.groupby("seed").size().max())
        return (
            f"{shown.layer}; {model_names(shown.models)}; {shown.given}; {tested.method.iloc[0].capitalize()}; "
            f"{values_text(tested.permutations)} permutations, {tested.alternative.iloc[0]}; "
            f"{question.family(tests, 'test')}."
        )

    return _answer(E, question, "lag_curve", make, say, draw)


def compare(E: Opened, first: Network, second: Network, question: Question) -> Answer:
    """Which of two networks correlates more, among all pairs of the experiment's networks."""
    experiment, shown = question.experiment, question.shown

    def make() -> pd.DataFrame:
        return comparisons.lag_comparisons(experiment, shown.layer, [shown.condition], E.watch("paired bootstrap"))

    def say(table: pd.DataFrame) -> str:
        tests = int(table[table.control == shown.control].groupby("seed").size().max())
        return (
            f"{first.name} minus {second.name}; {shown.layer}; {shown.given}; paired bootstrap over classes, "
            f"{percent(shown.confidence)} intervals; p is of a comparison planned alone; "
            f"{question.family(tests, 'comparison')}."
        )

    every = _answer(E, question, "compare", make, say)
    rows = pd.DataFrame(every[every.control == shown.control])
    one_way = rows[(rows["first"] == first.name) & (rows["second"] == second.name)]
    other = rows[(rows["first"] == second.name) & (rows["second"] == first.name)]
    turned = {"difference": -other.difference, "ci_low": -other.ci_high, "ci_high": -other.ci_low}
    found = pd.concat([one_way, other.assign(first=first.name, second=second.name, **turned)], ignore_index=True)
    if found.empty:
        there = ", ".join(dict.fromkeys([*rows["first"], *rows["second"]]))
        raise InputError(f"{first.name} and {second.name}: not compared given {shown.control}; compared are {there}")
    return _said(found, every.said)


def neighbours(E: Opened, noun: str, networks: Sequence[str | Network], layer: str | None, count: int) -> Answer:
    """The classes nearest to one, in several networks, with pictures."""
    query, layer = E.wnid(noun), E.showing(layer=layer).layer
    if not (networks and isinstance(count, int) and count > 0):
        raise InputError(f"neighbours: networks {networks!r}, count {count!r}; give one or more networks, and a count")
    by_network = {str(E.network(name)): E.rdms(name, condition=E.shown.condition)[layer] for name in networks}
    rows = []
    for network, rdm in by_network.items():
        distances = pd.Series(rdm.square()[rdm.classes.index(query)], index=rdm.classes)
        away = distances.drop(query).sort_values(kind="stable")
        for rank, (wnid, distance) in enumerate(away.head(count).items(), start=1):
            rows.append((network, rank, E.noun[str(wnid)], E.category[str(wnid)], distance, wnid))
    found = pd.DataFrame(rows, columns=["network", "rank", "noun", "category", "distance", "wnid"])
    drawn = matrices.nearest_neighbours(by_network, E.pictures, E.category, E.noun, f"{layer}", [query], count)
    files = [rdm_file(E.experiment, E.network(name), E.shown.condition) for name in networks]
    name = f"neighbours_{hashlib.sha256(repr((query, layer, count, list(by_network))).encode()).hexdigest()[:16]}"
    picture = save(drawn, E.experiment, name, files, folder=E.explore("cache"))
    said = f"Nearest to {E.noun[query]} at {layer}; distances as in the RDMs, which differ in scale between networks."
    return _said(found, said, picture)


def rdm(E: Opened, network: str | Network, layer: str | None, seed: int | None) -> RDM:
    """A network's distances, classes by noun (and wnid, where two share it), ordered by category."""
    found = E.rdms(network, seed, E.shown.condition)[E.showing(layer=layer).layer]
    category, named = E.category, E.names
    order = sorted(found.classes, key=lambda wnid: (category[wnid], named[wnid]))
    return RDM(found.subset(order).values, tuple(named[order]))


def _answer(
    E: Opened,
    question: Question,
    what: str,
    make: Callable[[], pd.DataFrame],
    say: Callable[[pd.DataFrame], str],
    draw: Callable[[pd.DataFrame], Drawn] | None = None,
) -> Answer:
    """The table and the picture from the cache, made where it lacks them."""
    shown = question.shown
    table, file = kept(E, what, question.experiment, [shown.condition], make, (shown, question.declared))
    stem, picture = file.with_suffix(""), None
    if draw is not None:
        picture = Picture(stem.with_suffix(".png"))
        if not picture.png.is_file():
            picture = save(draw(table), E.experiment, stem.name, [stem.with_suffix(".csv")], folder=stem.parent)
    return _said(table, say(table), picture)


def kept(
    E: Opened,
    what: str,
    experiment: Experiment,
    conditions: Iterable[str],
    make: Callable[[], pd.DataFrame],
    asked: object = None,
) -> tuple[pd.DataFrame, Path]:
    """A table of the cache and its file, made where it is not there; the name is a hash of all that it follows from."""
    networks = dict.fromkeys((*experiment.runs, *control_networks(experiment)))
    files = [rdm_file(experiment, network, condition) for condition in conditions for network in networks]
    files += [lag_curves.look_file(experiment), *(experiment.folder / made for made, _ in MADE.values())]
    files += [path for package in CODE for path in sorted((Path(__file__).parent / package).glob("*.py"))]
    models = experiment.section("evaluation", EvaluationConfig).models
    from_ = [
        *(str(network) for network in networks),
        *(sha256(file) for file in files if file.is_file()),
        *(hashlib.sha256(E.model(name).values.tobytes()).hexdigest() for name in models),
        json.dumps(experiment.sections["evaluation"], sort_keys=True, default=str),
        repr((list(conditions), asked)),
    ]
    file = E.explore("cache") / f"{what}_{hashlib.sha256(repr(from_).encode()).hexdigest()[:16]}.csv"
    if not file.is_file():
        write_csv(file, make())
    return pd.read_csv(file, keep_default_na=False, na_values=[""]), file


def _said(table: pd.DataFrame, said: str, picture: Picture | None = None) -> Answer:
    answer = Answer(table)
    answer.said, answer.picture = said, picture
    return answer
