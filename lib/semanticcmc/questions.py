"""Questions that a notebook asks in another way than the experiment declared, answered once and kept.

Answers are plain CSV and pictures in ``results/<name>/explore/cache``, named by the hash of all that they follow from:
RDMs, models, the evaluation's settings, what was asked, and the code. Results are never written.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import hashlib
import html
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from semanticcmc.config import InputError, in_a_tuple, one_of
from semanticcmc.evaluation import comparisons
from semanticcmc.evaluation import lag_curve as lag_curves
from semanticcmc.evaluation.config import AND, METHODS, EvaluationConfig, control_networks, with_evaluation
from semanticcmc.evaluation.models import MADE
from semanticcmc.evaluation.rdm_files import RDMFiles, rdm_file
from semanticcmc.experiment import BASELINES, Experiment, Network, lagged_name
from semanticcmc.figures.lag_curve import lag_curve as draw_lag_curve
from semanticcmc.figures.rdms import nearest_neighbours
from semanticcmc.figures.save import Picture, save
from semanticcmc.figures.tables import Selection, model_names, percent, values_text
from semanticcmc.opened import Opened
from semanticcmc.rsa.permutation import permutations_for_family
from semanticcmc.rsa.rdm import RDM
from semanticcmc.rsa.semantics import WORDNET_MODELS
from semanticcmc.run import counted, listed, sha256, write_csv

# Said once, not in each row.
ALIKE = ("condition", "layer", "permutations", "alternative", "method", "classes", "samples")
CODE = ("evaluation", "rsa", "figures")  # packages that an answer follows from


class Answer(pd.DataFrame):
    """A table that says what was tested, and shows its figure in a notebook; what is made of it is a plain table."""

    _metadata: ClassVar[list[str]] = ["said", "picture"]
    said: str  # what the rows hold, the number of permutations, and the family of tests that p_holm is corrected for
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

    def family(self, tested: pd.DataFrame, of: str) -> str:
        """The family of tests, in words; `of` what it is made of."""
        tests = int(tested.groupby("seed").size().max())
        networks, models = map(len, self.declared)
        same = (self.experiment.networks, self.shown.models) == self.declared
        aside = "" if same else f"; declared are {counted(networks, 'network')} and {counted(models, 'model')}"
        return f"p_holm is corrected for {counted(tests, of)} of a seed{aside}"

    def kept(self, E: Opened, what: str, make: Callable[[], pd.DataFrame]) -> tuple[pd.DataFrame, Path]:
        """The answer's table from the cache, made where it is not there, and its file."""
        return kept(E, what, self.experiment, [self.shown.condition], make, (self.shown, self.declared))


class Asked(Opened):
    """An experiment that answers what is asked in another way than it declared."""

    def choices(self) -> dict[str, tuple[str, ...]]:
        """What can be asked for: layers of the RDM files, controls, methods and models."""
        own = self.experiment.section("evaluation", EvaluationConfig).model_files
        made = tuple(name for name, (file, _) in MADE.items() if (self.folder / file).is_file())
        return {
            "layer": RDMFiles(self.experiment, self.shown.condition).layers,
            "control": tuple(dict.fromkeys((*lag_curves.controls_there(self.experiment), self.shown.control))),
            "method": METHODS,
            "models": ("category", *WORDNET_MODELS, *own, *made),
        }

    def question(
        self,
        layer: str | None = None,
        method: str | None = None,
        models: str | Sequence[str] | None = None,
        control: str | None = None,
        lags: float | Sequence[float] | None = None,
        also: str | Sequence[str] | None = None,
    ) -> Question:
        """What is asked, checked: None is what notebook and YAML say; a value that there is not lists those there are.

        `lags` are seconds, whose networks are tested beside those without a lag; `also` networks beyond the YAML's, by
        default all that were trained and represented by hand.
        """
        experiment, shown = self.experiment.on_the_curve, self.showing(layer=layer, models=models, control=control)
        config = experiment.section("evaluation", EvaluationConfig)
        method = config.method if method is None else method
        by_hand, there = [one for one in self.added if self.is_represented(one)], self.choices()
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

    def lag_curve(self, **asked: Any) -> pd.DataFrame:
        """All layers, conditions, models and controls of its networks, as ``tables/lag_curve.csv``; or what is `asked`.

        >>> E.lag_curve(layer="conv5", method="spearman", models=["path"], lags=[1, 60])  # doctest: +SKIP

        What is `asked` are parameters of `question`: the answer has its figure, says its family of tests, and is kept
        in ``explore/cache``; the results stay as they are.
        """
        if all(value is None for value in asked.values()):
            experiment, conditions = self._with_added(), self.stimuli.config.conditions
            if self.write_results:
                return self.write("lag_curve", lag_curves.lag_curve(experiment))
            make = functools.partial(lag_curves.lag_curve, experiment, watch=self.watch("lag curve"))
            return self.write("lag_curve", kept(self, "all", experiment, conditions, make)[0])
        question = self.question(**asked)
        experiment, shown = question.experiment, question.shown
        of = ([shown.layer], [shown.condition], question.permutations, self.watch("lag curve"))
        table, file = question.kept(self, "lag_curve", lambda: lag_curves.lag_curve(experiment, *of))
        picture = Picture(file.with_suffix(".png"))
        if not picture.png.is_file():
            drawn = draw_lag_curve(table, shown, remark=self.remark)
            picture = save(drawn, self.experiment, file.stem, [file], folder=file.parent)
        tested = table[table.control == shown.control]
        said = (
            f"{shown.layer}; {model_names(shown.models)}; {shown.given}; {tested.method.iloc[0].capitalize()}; "
            f"{values_text(tested.permutations)} permutations, {tested.alternative.iloc[0]}; "
            f"{question.family(tested, 'test')}."
        )
        return _said(table, said, picture)

    def compare(self, first: str | Network, second: str | Network, **asked: Any) -> Answer:
        """Does one network correlate more than another? By the paired bootstrap, among all pairs of networks.

        `asked` are parameters of `question`.
        """
        one, other, question = self.network(first), self.network(second), self.question(**asked)
        shown = question.shown
        of = (question.experiment, shown.layer, [shown.condition], self.watch("paired bootstrap"))
        every = question.kept(self, "compare", lambda: comparisons.lag_comparisons(*of))[0]
        rows = every[every.control == shown.control]
        one_way = rows[(rows["first"] == one.name) & (rows["second"] == other.name)]
        back = rows[(rows["first"] == other.name) & (rows["second"] == one.name)]
        turned = {"difference": -back.difference, "ci_low": -back.ci_high, "ci_high": -back.ci_low}
        found = pd.concat([one_way, back.assign(first=one.name, second=other.name, **turned)], ignore_index=True)
        if found.empty:
            there = ", ".join(dict.fromkeys([*rows["first"], *rows["second"]]))
            raise InputError(f"{one.name} and {other.name}: not compared given {shown.control}; compared are {there}")
        said = (
            f"{one.name} minus {other.name}; {shown.layer}; {shown.given}; paired bootstrap over classes, "
            f"{percent(shown.confidence)} intervals; p is of a comparison planned alone; "
            f"{question.family(rows, 'comparison')}."
        )
        return _said(found, said)

    def neighbours(
        self, noun: str, networks: Sequence[str | Network] | str | Network, layer: str | None = None, count: int = 6
    ) -> Answer:
        """The classes nearest to one, by noun, in some networks, with pictures."""
        query, layer, networks = self.wnid(noun), self.showing(layer=layer).layer, in_a_tuple(networks)
        if not (networks and isinstance(count, int) and count > 0):
            raise InputError(
                f"neighbours: networks {networks!r}, count {count!r}; give one or more networks and a count"
            )
        condition = self.shown.condition
        by_network = {str(self.network(name)): self.rdms(name, condition=condition)[layer] for name in networks}
        rows = []
        for network, rdm in by_network.items():
            distances = pd.Series(rdm.square()[rdm.classes.index(query)], index=rdm.classes)
            away = distances.drop(query).sort_values(kind="stable")
            for rank, (wnid, distance) in enumerate(away.head(count).items(), start=1):
                rows.append((network, rank, self.noun[str(wnid)], self.category[str(wnid)], distance, wnid))
        found = pd.DataFrame(rows, columns=["network", "rank", "noun", "category", "distance", "wnid"])
        drawn = nearest_neighbours(by_network, self.pictures, self.category, self.noun, layer, [query], count)
        files = [rdm_file(self.experiment, self.network(name), condition) for name in networks]
        name = f"neighbours_{_short((query, layer, count, list(by_network)))}"
        picture = save(drawn, self.experiment, name, files, folder=self.explore("cache"))
        differ = "distances as in the RDMs, which differ in scale between networks"
        return _said(found, f"Nearest to {self.noun[query]} at {layer}; {differ}.", picture)

    def rdm(self, network: str | Network, layer: str | None = None, seed: int | None = None) -> RDM:
        """A network's distances, by default at the layer shown; classes by noun (and wnid), ordered by category."""
        found = self.rdms(network, seed, self.shown.condition)[self.showing(layer=layer).layer]
        category, named = self.category, self.names
        order = sorted(found.classes, key=lambda wnid: (category[wnid], named[wnid]))
        return RDM(found.subset(order).values, tuple(named[order]))

    def wnid(self, noun: str) -> str:
        """Class of a noun, or of its name where two share the noun; an InputError lists some nouns."""
        found = self.classes.index[(self.classes.noun == noun) | (self.names == noun) | (self.classes.index == noun)]
        if len(found) == 1:
            return str(found[0])
        if len(found):
            raise InputError(f"{noun}: the noun of {', '.join(self.names[found])}; give one of these")
        near = difflib.get_close_matches(str(noun).strip().lower(), self.classes.noun, 5, 0.5)
        raise InputError(f"no class {noun!r}; there are {', '.join(near) if near else listed(list(self.classes.noun))}")

    def _with_added(self) -> Experiment:
        """The lag curve's networks, with those that were represented by hand unless a workflow runs this notebook."""
        if self.write_results:
            return self.experiment.on_the_curve
        return self.experiment.on_the_curve.extended(filter(self.is_represented, self.added))


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
    file = E.explore("cache") / f"{what}_{_short(from_)}.csv"
    if not file.is_file():
        write_csv(file, make())
    return pd.read_csv(file, keep_default_na=False, na_values=[""]), file


def _short(values: object) -> str:
    return hashlib.sha256(repr(values).encode()).hexdigest()[:16]


def _said(table: pd.DataFrame, said: str, picture: Picture | None = None) -> Answer:
    answer = Answer(table)
    answer.said, answer.picture = said, picture
    return answer
